"""A small GPT-2 on the characters of a text: as good as nanoGPT's, in a fraction of its time.

`benchmarks.nanogpt` runs it as a process of its own and measures that from start to exit:

    python -m benchmarks.characters FOLDER           # train, print the validation loss
    python -m benchmarks.characters FOLDER --speed   # nanoGPT's model and batch: tokens a second

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
import gc
import os
from importlib.metadata import version

INTEL_MAC = version("tensorflow").startswith("2.16.")  # the last for those, with an older XLA

if __name__ == "__main__":  # whoever only imports this keeps their process as it is
    gc.disable()
    flags = "--xla_disable_hlo_passes=tree_reduction_rewriter"
    if not INTEL_MAC:  # it has no such flag
        flags += " --xla_cpu_prefer_vector_width=512"
    os.environ.setdefault("XLA_FLAGS", flags)

import argparse
import math
import pickle
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from utils.quiet import import_tensorflow

import_tensorflow()

import keras
import tensorflow as tf
from keras import ops

from utils.gpt2 import small_gpt2
from utils.optimizers import Muon
from utils.windows import Windows

CONTEXT = 64  # nanoGPT's, so both see the same windows of the validation text
OURS = {"num_layers": 2, "num_heads": 4, "hidden_dim": 96, "intermediate_dim": 384}
THEIRS = {"num_layers": 4, "num_heads": 4, "hidden_dim": 128, "intermediate_dim": 512}
BATCH, STEPS, LEARNING_RATE, MOMENTUM = 32, 300, 0.02, 0.85
THEIR_BATCH = 12
STEPS_IN_A_CALL = 50
SPEED_CALLS, SETTLING = 14, 2


def read(folder: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """The ids to train on and to validate with, (characters,), and the size of the vocabulary."""
    train, validation = (np.fromfile(folder / f"{name}.bin", "<u2") for name in ("train", "val"))
    return train, validation, pickle.loads((folder / "meta.pkl").read_bytes())["vocab_size"]


def step_function(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, batch_size: int
) -> Callable[[np.ndarray], tf.Tensor]:
    """STEPS_IN_A_CALL training steps, compiled as one function.

    Returns:
        takes windows (STEPS_IN_A_CALL, batch_size, CONTEXT + 1), gives the mean loss of the last
        step.
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


def losses(model: keras.Model, rows: tf.Tensor, weights: list | None = None) -> tf.Tensor:
    """−log of the probability of each target: windows (batch, CONTEXT + 1) -> (batch, CONTEXT).

    With `weights`, as if these were the model's trainable variables.
    """
    ids, targets = rows[:, :-1], rows[:, 1:]
    inputs = {"token_ids": ids, "padding_mask": ops.ones_like(ids)}
    if weights is None:
        logits = model(inputs)
    else:
        logits, _ = model.stateless_call(weights, model.non_trainable_variables, inputs)
    return ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)


def train(windows: Windows, vocabulary_size: int) -> keras.Model:
    """A fresh small GPT-2, trained with the settings above."""
    model = small_gpt2(vocabulary_size, max_sequence_length=CONTEXT, **OURS)
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


# ---- the speed of nanoGPT's model ----------------------------------------------------------------


class FlatWeights:
    """All trainable weights of a model in one vector, for an optimizer that needs no matrices.

    A call of a compiled function takes the longer, the more variables it reads and writes: here it
    is one, with two moments, in place of as many for each kernel, bias and gain.
    """

    def __init__(self, model: keras.Model):
        self.variables = model.trainable_variables
        self.shapes = [tuple(variable.shape) for variable in self.variables]
        self.vector = keras.Variable(np.concatenate([np.ravel(v) for v in self.variables]))

    def split(self, vector: tf.Tensor) -> list[tf.Tensor]:
        """The weights in their own shapes, from a vector of all."""
        parts = tf.split(vector, [math.prod(shape) for shape in self.shapes])
        return [tf.reshape(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def write_back(self) -> None:
        """Give the model the weights that the vector has."""
        for variable, value in zip(self.variables, self.split(self.vector.value), strict=True):
            variable.assign(value)


class QuickLayerNormalization(keras.layers.LayerNormalization):
    """Keras's layer normalization, with its gradient written out.

    The gradient of the gain is a sum of products over batch and time. XLA would merge the two, and
    go down the columns one by one, far apart in memory. A maximum between them, which changes
    nothing, keeps them apart: then products and sum are two quick passes along the rows.

    Source: Ba, Kiros and Hinton, *Layer normalization*, 2016.
    """

    def call(self, inputs):
        @tf.custom_gradient
        def normalize(x, gain, bias):  # (batch, time, features), (features,), (features,)
            centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
            variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
            scale = tf.math.rsqrt(variance + self.epsilon)
            normalized = centred * scale

            def gradient(upstream):
                inner = upstream * gain
                mean = tf.reduce_mean(inner, axis=-1, keepdims=True)
                along = tf.reduce_mean(inner * normalized, axis=-1, keepdims=True)
                products = tf.maximum(upstream * normalized, tf.float32.min)
                return (
                    scale * (inner - mean - normalized * along),
                    tf.reduce_sum(products, axis=(0, 1)),
                    tf.reduce_sum(upstream, axis=(0, 1)),
                )

            return normalized * gain + bias, gradient

        return normalize(inputs, *map(tf.convert_to_tensor, (self.gamma, self.beta)))


def quicken(model: keras.Model) -> None:
    """Let every layer normalization of a model compute its gradient as above.

    keras-nlp makes its layers itself and has no setting for that; so their class is changed.
    """
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.LayerNormalization:
            layer.__class__ = QuickLayerNormalization


def shared_step_function(
    model: keras.Model, weights: FlatWeights, optimizer: keras.optimizers.Optimizer, batch_size: int
) -> Callable[[np.ndarray], tf.Tensor]:
    """Like `step_function`, but each processor has a share of the batch to itself.

    XLA alone spreads single products over the processors. For a model as small as this most of them
    are too short for that, and one processor waits for the other again and again. Here they meet
    once in a step: when the gradients of the shares are averaged.
    """
    shares = math.gcd(batch_size, os.cpu_count() or 1)
    optimizer.build([weights.vector])
    shape = (STEPS_IN_A_CALL, batch_size, None)

    @tf.function(jit_compile=True)
    def gradient(vector, rows):
        with tf.GradientTape() as tape:
            tape.watch(vector)
            loss = ops.mean(losses(model, rows, weights.split(vector)))
        return loss, tape.gradient(loss, vector)

    @tf.function(jit_compile=True)
    def update(gradients):
        optimizer.apply([sum(gradients) / shares], [weights.vector])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.int32)])
    def steps(batches):
        for rows in tf.unstack(batches):
            vector = tf.convert_to_tensor(weights.vector.value)
            # No share needs anything of another one, so TensorFlow runs them side by side.
            results = [gradient(vector, share) for share in tf.split(rows, shares)]
            update([result[1] for result in results])
        return sum(result[0] for result in results) / shares

    return steps


def tokens_per_second(windows: Windows, vocabulary_size: int) -> float:
    """The speed of training the model of nanoGPT's recipe with its batch and its optimizer.

    The median of many calls, each with its batches made and its loss waited for.
    """
    model = small_gpt2(vocabulary_size, max_sequence_length=CONTEXT, **THEIRS)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.1, beta_2=0.99, global_clipnorm=1.0)
    if INTEL_MAC:  # its XLA keeps both processors busy, and takes longer with shares
        steps = step_function(model, optimizer, THEIR_BATCH)
    else:
        quicken(model)
        steps = shared_step_function(model, FlatWeights(model), optimizer, THEIR_BATCH)
    seconds = []
    for call in range(SPEED_CALLS):
        start = time.perf_counter()
        float(steps(batches(windows, call, THEIR_BATCH)))
        seconds.append(time.perf_counter() - start)
    tokens = STEPS_IN_A_CALL * THEIR_BATCH * CONTEXT
    return tokens / statistics.median(seconds[SETTLING:])


def main() -> None:
    """Train and print the validation loss; or print the speed of training nanoGPT's model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speed", action="store_true")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    train_ids, validation_ids, vocabulary_size = read(args.folder)
    windows = Windows(train_ids, CONTEXT, end_id=0)
    if args.speed:
        print(tokens_per_second(windows, vocabulary_size))
    else:
        model = train(windows, vocabulary_size)
        print(validation_loss(model, Windows(validation_ids, CONTEXT, end_id=0)))
    gc.freeze()  # so that Python does not look through everything before it exits, either


if __name__ == "__main__":
    main()
