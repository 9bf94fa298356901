"""A small GPT-2 on the characters of a text: as good as nanoGPT's, in a fraction of its time.

`benchmarks.nanogpt` runs it as a process of its own and measures that from start to exit:

    python -m benchmarks.characters FOLDER    # train, print the validation loss

FOLDER holds train.bin, val.bin and meta.pkl in nanoGPT's format.

In a run of seconds everything counts: importing and compiling take longer than training. So

- one function, compiled by XLA, does fifty steps in a loop: between the steps there is no Python;
- the model has two layers of width 96, not four of 128: it is compiled in half the time, and a step
  costs a third. What the larger one would do better it has no time to learn;
- a batch has 32 windows, not 12: to orthogonalise a matrix costs Muon the same for any batch, so
  more text shares that cost;
- the learning rate of Muon falls in a straight line from 0.02 to 0, and its momentum is 0.85: with
  0.95 a gradient would be felt for a tenth of the run;
- XLA is told to add up long columns in one go (`tree_reduction_rewriter` would do it in several,
  one after the other): the gradients of biases and gains are such sums. And it may use the widest
  vectors that the processor has;
- the length of a window is left open when a step is traced; XLA learns it all the same. With a
  known length Keras writes the projections of attention as a product for each window, and the
  gradients of their kernels are then as many small products, to be added up;
- validation is not compiled by XLA: it runs once, and compiling would take as long;
- there is no garbage collector. While TensorFlow is imported and at the end, it would look through
  all objects again and again and find nothing to throw away.
"""

# ruff: noqa: E402
from benchmarks.short_process import prepare

if __name__ == "__main__":
    prepare()

import argparse
import gc
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from utils.quiet import import_tensorflow

import_tensorflow()

import keras
import tensorflow as tf
from keras import ops

from utils.data.batches import Windows
from utils.models.gpt2 import build_gpt2
from utils.models.sizes import ModelSize
from utils.training.optimizers import Muon

CONTEXT = 64  # nanoGPT's, so both see the same windows of the validation text
OURS = ModelSize(layers=2, heads=4, width=96, feed_forward=384, context=CONTEXT)
BATCH, STEPS, LEARNING_RATE, MOMENTUM = 32, 300, 0.02, 0.85
STEPS_IN_A_CALL = 50


def read(folder: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """The ids to train on and to validate with, (characters,), and the size of the vocabulary."""
    train, validation = (np.fromfile(folder / f"{name}.bin", "<u2") for name in ("train", "val"))
    return train, validation, pickle.loads((folder / "meta.pkl").read_bytes())["vocab_size"]


def step_function(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, batch_size: int
) -> Callable[[np.ndarray], tf.Tensor]:
    """STEPS_IN_A_CALL training steps, compiled as one function.

    Returns:
        a function from windows (STEPS_IN_A_CALL, batch_size, CONTEXT + 1) to the mean loss of the
        last step.
    """
    optimizer.build(model.trainable_variables)
    shape = (STEPS_IN_A_CALL, batch_size, None)

    @tf.function(jit_compile=True, input_signature=[tf.TensorSpec(shape, tf.int32)])
    def steps(batches):
        loss = 0.0
        for number in tf.range(STEPS_IN_A_CALL):
            with tf.GradientTape() as tape:
                loss = ops.mean(losses(model, batches[number]))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
        return loss

    return steps


def batches(windows: Windows, call: int, batch_size: int) -> np.ndarray:
    """The windows of all steps of one call: (STEPS_IN_A_CALL, batch_size, CONTEXT + 1)."""
    numbers = range(call * STEPS_IN_A_CALL, (call + 1) * STEPS_IN_A_CALL)
    return np.stack([windows.batch(number, batch_size, seed=0)[0] for number in numbers])


def losses(model: keras.Model, rows: tf.Tensor) -> tf.Tensor:
    """−log of the probability of each target: windows (batch, CONTEXT + 1) -> (batch, CONTEXT)."""
    ids, targets = rows[:, :-1], rows[:, 1:]
    logits = model({"token_ids": ids, "padding_mask": ops.ones_like(ids)})
    return ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)


def train(windows: Windows, vocabulary_size: int) -> keras.Model:
    """A fresh small GPT-2, trained with the settings above."""
    model = build_gpt2(vocabulary_size, OURS)
    falling = keras.optimizers.schedules.PolynomialDecay(LEARNING_RATE, STEPS, 0.0)
    optimizer = Muon(falling, adam_lr_ratio=0.5, momentum=MOMENTUM, weight_decay=None)
    steps = step_function(model, optimizer, BATCH)
    for call in range(STEPS // STEPS_IN_A_CALL):
        steps(batches(windows, call, BATCH))
    return model


def validation_loss(model: keras.Model, windows: Windows) -> float:
    """The mean loss over a whole text, in nats per character."""
    rows, weights = windows.in_order()

    @tf.function(input_signature=[tf.TensorSpec((None, CONTEXT + 1), tf.int32)])
    def of_batch(rows):
        return losses(model, rows)

    batches = np.array_split(rows, max(1, len(rows) // 256))
    return float(
        np.average(np.concatenate([of_batch(batch) for batch in batches]), weights=weights)
    )


def main() -> None:
    """Train and print the validation loss."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    train_ids, validation_ids, vocabulary_size = read(args.folder)
    model = train(Windows(train_ids, CONTEXT, end_id=0), vocabulary_size)
    print(validation_loss(model, Windows(validation_ids, CONTEXT, end_id=0)))
    gc.freeze()  # so that Python does not look through everything before it exits, either


if __name__ == "__main__":
    main()
