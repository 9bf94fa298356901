"""How fast does keras-nlp's GPT-2 train, in the size of nanoGPT's recipe, with its batch?

`benchmarks.nanogpt` runs it as a process of its own:

    python -m benchmarks.training_speed FOLDER    # print the training tokens a second

FOLDER is that of `benchmarks.characters`. What is done here for speed changes no gradient, only how
it is computed:

- each processor has a share of the batch to itself (`shared_step_function`);
- all weights lie in one vector (`FlatWeights`);
- two gradients are written out, because XLA computes them in a slow way (`QuickDense`,
  `QuickLayerNormalization`).
"""

# ruff: noqa: E402
from benchmarks.short_process import INTEL_MAC, prepare

if __name__ == "__main__":
    prepare()

import argparse
import gc
import math
import os
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

from benchmarks.characters import CONTEXT, STEPS_IN_A_CALL, batches, read, step_function
from utils.data.batches import Windows
from utils.models.gpt2 import build_gpt2
from utils.models.sizes import ModelSize

SIZE = ModelSize(layers=4, heads=4, width=128, feed_forward=512, context=CONTEXT)
BATCH = 12
CALLS, SETTLING = 14, 2


def new_model(vocabulary_size: int) -> keras.Model:
    """The GPT-2 of nanoGPT's recipe, but with the biases that a GPT-2 has. Always the same."""
    keras.utils.set_random_seed(0)
    return build_gpt2(vocabulary_size, SIZE)


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


class QuickDense(keras.layers.Dense):
    """Keras's dense layer, with the gradient of its kernel written out.

    It is a product whose left matrix is to be read down its columns. XLA has a quicker product for
    matrices that are read along their rows. So one of the two is turned before, the narrower one;
    the barriers keep XLA from undoing that.
    """

    def call(self, inputs, training=None):
        from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_optimization_barrier

        def barrier(matrix):
            return xla_optimization_barrier([matrix])[0]

        @tf.custom_gradient
        def product(rows, kernel):  # (tokens, inputs), (inputs, outputs)
            def gradient(upstream):  # (tokens, outputs)
                if kernel.shape[0] <= kernel.shape[1]:
                    of_kernel = barrier(tf.transpose(rows)) @ upstream
                else:
                    of_kernel = tf.transpose(barrier(barrier(tf.transpose(upstream)) @ rows))
                return tf.matmul(upstream, kernel, transpose_b=True), of_kernel

            return rows @ kernel, gradient

        kernel = tf.convert_to_tensor(self.kernel)
        outputs = product(tf.reshape(inputs, (-1, kernel.shape[0])), kernel) + self.bias
        outputs = tf.reshape(outputs, (*tf.unstack(tf.shape(inputs))[:-1], kernel.shape[1]))
        return self.activation(outputs)


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
    """Let the layers of a model compute their gradients as above.

    keras-nlp makes its layers itself and has no setting for that; so their class is changed.
    """
    quick = {
        keras.layers.Dense: QuickDense,
        keras.layers.LayerNormalization: QuickLayerNormalization,
    }
    for layer in model._flatten_layers():
        layer.__class__ = quick.get(type(layer), type(layer))


def losses(model: keras.Model, weights: list[tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
    """Like `characters.losses`, as if `weights` were the model's: (batch, CONTEXT)."""
    ids, targets = rows[:, :-1], rows[:, 1:]
    inputs = {"token_ids": ids, "padding_mask": ops.ones_like(ids)}
    logits, _ = model.stateless_call(weights, model.non_trainable_variables, inputs)
    return ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)


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
            loss = ops.mean(losses(model, weights.split(vector), rows))
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


def tokens_per_second(model: keras.Model, windows: Windows) -> float:
    """The speed of training a model with the batch and the optimizer of nanoGPT's recipe.

    The median of many calls, each with its batches made and its loss waited for.
    """
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.1, beta_2=0.99, global_clipnorm=1.0)
    if INTEL_MAC:  # its XLA keeps both processors busy, and takes longer with shares
        steps = step_function(model, optimizer, BATCH)
    else:
        quicken(model)
        steps = shared_step_function(model, FlatWeights(model), optimizer, BATCH)
    seconds = []
    for call in range(CALLS):
        start = time.perf_counter()
        float(steps(batches(windows, call, BATCH)))
        seconds.append(time.perf_counter() - start)
    tokens = STEPS_IN_A_CALL * BATCH * CONTEXT
    return tokens / statistics.median(seconds[SETTLING:])


def main() -> None:
    """Train for a while and print the tokens a second."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    ids, _, vocabulary_size = read(parser.parse_args().folder)
    print(tokens_per_second(new_model(vocabulary_size), Windows(ids, CONTEXT, end_id=0)))
    gc.freeze()  # see `benchmarks.characters`


if __name__ == "__main__":
    main()
