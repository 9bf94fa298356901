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
        steps_per_epoch: the gradient steps of an epoch; if given, these are counted, not epochs.
    """

    def __init__(self, every: int = 1, steps_per_epoch: int | None = None):
        super().__init__()
        self.every = every
        self.scale = steps_per_epoch or 1
        self.unit = "step" if steps_per_epoch else "epoch"
        self.epochs_done = 0
        self.bar: keras.utils.Progbar | None = None

    def on_train_begin(self, logs=None):
        if sys.stdout.isatty():
            total = self.params["epochs"] * self.scale
            self.bar = keras.utils.Progbar(total, unit_name=self.unit)

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs_done = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.bar is not None and self.unit == "step":
            self._update(self.bar, self.epochs_done * self.scale + batch + 1, logs)

    def on_epoch_end(self, epoch, logs=None):
        total = self.params["epochs"]
        if self.bar is not None:
            self._update(self.bar, (epoch + 1) * self.scale, logs)
        elif epoch + 1 in (1, total) or (epoch + 1) % self.every == 0:
            self.line(epoch + 1, total, logs)

    def _update(self, bar: keras.utils.Progbar, done: int, logs: dict) -> None:
        # Keras would average over epochs; the last value is what counts.
        bar.stateful_metrics.update(logs)
        bar.update(done, list(logs.items()))

    def line(self, epoch: int, epochs: int, logs: dict) -> None:
        """Print the line of one epoch."""
        done, total = epoch * self.scale, epochs * self.scale
        values = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        print(f"{self.unit} {done:{len(str(total))}}/{total}  {values}")
