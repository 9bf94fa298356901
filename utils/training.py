"""How training shows itself: a progress bar in a terminal, one tidy line per epoch elsewhere."""

import sys

import keras


class Progress(keras.callbacks.Callback):
    """Report training; use it with `fit(..., verbose=0, callbacks=[Progress()])`.

    In a terminal: one Keras progress bar for the whole run, with the time left.
    In a notebook or a file: one line every `every` epochs, and always the first and the last,
    without timings, so that two runs print the same text.

    Args:
        every: epochs from one line to the next.
    """

    def __init__(self, every: int = 1):
        super().__init__()
        self.every = every
        self.bar: keras.utils.Progbar | None = None

    def on_train_begin(self, logs=None):
        if sys.stdout.isatty():
            self.bar = keras.utils.Progbar(self.params["epochs"], unit_name="epoch")

    def on_epoch_end(self, epoch, logs=None):
        done, total = epoch + 1, self.params["epochs"]
        if self.bar is not None:
            # Keras would average over epochs; the last value is what counts.
            self.bar.stateful_metrics.update(logs)
            self.bar.update(done, list(logs.items()))
        elif done in (1, total) or done % self.every == 0:
            values = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
            print(f"epoch {done:{len(str(total))}}/{total}  {values}")
