"""GPT-2 with a KV cache, written for speed: a few new tokens at a time. See lesson 9."""

import math
from typing import NamedTuple

import keras
import tensorflow as tf
from keras import ops

from utils.errors import GenerationError

LARGE, PIECES = 1 << 19, 8  # a kernel from this size on is read in so many pieces


class Block(NamedTuple):
    """The arrays of one transformer block; `joint` is query, key and value together.

    Kernels lie on their side, (outputs, inputs), like the token table: each output has a row, and
    is one sum over memory that lies together.
    """

    joint: tf.Tensor  # (3 * width, width)
    joint_bias: tf.Tensor
    out: tf.Tensor  # (width, width)
    out_bias: tf.Tensor
    gain_1: tf.Tensor  # (width,), of the normalization before attention
    bias_1: tf.Tensor
    widen: tf.Tensor  # (4 * width, width)
    widen_bias: tf.Tensor
    narrow: tf.Tensor  # (width, 4 * width)
    narrow_bias: tf.Tensor
    gain_2: tf.Tensor  # (width,), of the normalization before the feed-forward network
    bias_2: tf.Tensor


class Weights(NamedTuple):
    """The arrays of a GPT-2."""

    token_table: tf.Tensor  # (vocabulary, width)
    position_table: tf.Tensor  # (context, width)
    blocks: list[Block]
    last_gain: tf.Tensor  # (width,)
    last_bias: tf.Tensor


class LayerCache(NamedTuple):
    """What one layer remembers: the keys and values of every token that it has seen.

    The keys lie on their side, so that the next query times the keys is one plain product. The
    heads of all texts are one axis because a product of XLA has one axis of this kind, no more: so
    it reads the cache as it is, and the new tokens can be put into it in place.
    """

    keys: tf.Tensor  # (batch * heads, head_dim, length)
    values: tf.Tensor  # (batch * heads, length, head_dim)


def read_weights(model: keras.Model) -> Weights:
    """A copy of the weights of a keras-nlp GPT2CausalLM or GPT2Backbone.

    Raises:
        GenerationError: if this is no plain GPT-2.
    """
    backbone = getattr(model, "backbone", model)
    arrays = [tf.cast(variable.value, tf.float32) for variable in backbone.weights]
    if len(arrays) != 4 + 16 * backbone.num_layers:
        raise GenerationError(
            f"This model has {len(arrays)} arrays where a plain GPT-2 has"
            f" {4 + 16 * backbone.num_layers}: undo what was added to it, such as LoRA, first."
        )
    blocks = [_read_block(arrays[i : i + 16]) for i in range(2, len(arrays) - 2, 16)]
    token_table, position_table = arrays[:2]
    return Weights(token_table, position_table, blocks, arrays[-2], arrays[-1])


def _read_block(arrays: list[tf.Tensor]) -> Block:
    """A block from its sixteen arrays, in the order in which keras-nlp keeps them."""
    width = arrays[0].shape[0]
    kernels = [tf.transpose(tf.reshape(kernel, (width, width))) for kernel in arrays[0:8:2]]
    joint_bias = tf.concat([tf.reshape(bias, (width,)) for bias in arrays[1:6:2]], axis=0)
    block = Block(tf.concat(kernels[:3], axis=0), joint_bias, kernels[3], *arrays[7:])
    return block._replace(widen=tf.transpose(block.widen), narrow=tf.transpose(block.narrow))


def empty_cache(weights: Weights, num_heads: int, batch: int, length: int) -> list[LayerCache]:
    """Room for the keys and values of `length` tokens in every layer."""
    rows, head_dim = batch * num_heads, weights.token_table.shape[1] // num_heads
    keys, values = (rows, head_dim, length), (rows, length, head_dim)
    return [LayerCache(tf.zeros(keys), tf.zeros(values)) for _ in weights.blocks]


def with_room(cache: list[LayerCache], length: int) -> list[LayerCache]:
    """The cache with room for `length` tokens, which may be more than it has."""
    more = length - cache[0].values.shape[1]
    return [
        LayerCache(
            tf.pad(keys, [(0, 0), (0, 0), (0, more)]), tf.pad(values, [(0, 0), (0, more), (0, 0)])
        )
        for keys, values in cache
    ]


def read_tokens(
    weights: Weights, tokens: tf.Tensor, position: tf.Tensor, cache: list[LayerCache]
) -> tuple[tf.Tensor, list[LayerCache]]:
    """Send a few new tokens through GPT-2; what came before them is in the cache.

    Args:
        weights: of the model.
        tokens: (batch, new), ids; usually new = 1.
        position: the place of the first of them in the text, (), or one for each row, (batch,); in
            rows that have come to different places, new must be 1.
        cache: filled up to that place.

    Returns:
        logits for what follows each of them, (batch, new, vocabulary), and the cache with the new
        tokens in it.
    """
    batch, new = tokens.shape
    x = tf.gather(weights.token_table, tokens)  # (batch, new, width)
    x += tf.gather(weights.position_table, position[..., None] + tf.range(new))
    x = tf.reshape(x, (batch * new, -1))  # a plain matrix is faster
    cache_after = []
    for block, layer_cache in zip(weights.blocks, cache, strict=True):
        normal = _layer_norm(x, block.gain_1, block.bias_1)
        added, layer_cache = _attention(normal, block, batch, position, layer_cache)
        x += added
        normal = _layer_norm(x, block.gain_2, block.bias_2)
        widened = _gelu(_linear(normal, block.widen, block.widen_bias))
        x += _linear(widened, block.narrow, block.narrow_bias)
        cache_after.append(layer_cache)
    x = _layer_norm(x, weights.last_gain, weights.last_bias)
    logits = tf.matmul(x, weights.token_table, transpose_b=True)
    return tf.reshape(logits, (batch, new, -1)), cache_after


def _attention(x, block, batch, position, cache):
    """Causal self-attention of the new tokens, x (batch * new, width), to all tokens so far."""
    rows, head_dim, length = cache.keys.shape
    heads, new = rows // batch, x.shape[0] // batch
    joint = _linear(x, block.joint, block.joint_bias)
    joint = tf.transpose(tf.reshape(joint, (batch, new, 3, heads, head_dim)), (2, 0, 3, 1, 4))
    query, key, value = tf.unstack(tf.reshape(joint, (3, rows, new, head_dim)))
    keys, values = _remember(cache, tf.linalg.matrix_transpose(key), value, position)
    product = _sum if batch == new == 1 and not _is_large(block.out) else tf.matmul
    scores = product(query, keys) / math.sqrt(head_dim)  # (rows, new, length)
    past = tf.range(length) <= (position[..., None] + tf.range(new))[..., None]
    past = tf.reshape(past, (-1, 1, new, length))  # (1 or batch, 1, new, length)
    scores = tf.reshape(scores, (batch, heads, new, length))
    weights = tf.nn.softmax(tf.where(past, scores, -math.inf))
    mixed = product(tf.reshape(weights, (rows, new, length)), values)  # (rows, new, head_dim)
    mixed = tf.transpose(tf.reshape(mixed, (batch, heads, new, head_dim)), (0, 2, 1, 3))
    return _linear(tf.reshape(mixed, x.shape), block.out, block.out_bias), LayerCache(keys, values)


def _remember(cache, key, value, position):
    """The keys and values of the cache, with new ones at a place, or each text's at its own."""
    if position.shape.rank == 0:
        keys = ops.slice_update(cache.keys, (0, 0, position), key)
        return keys, ops.slice_update(cache.values, (0, position, 0), value)
    rows, _, length = cache.keys.shape
    places = tf.repeat(position, rows // position.shape[0])  # (rows,)
    here = tf.range(length) == places[:, None]  # (rows, length)
    keys = tf.where(here[:, None, :], key, cache.keys)
    return keys, tf.where(here[:, :, None], value, cache.values)


def _sum(a, b):
    """a (rows, 1, n) @ b, for a little model: XLA merges a sum with what stands around it."""
    return tf.reduce_sum(tf.squeeze(a, 1)[..., None] * b, axis=1, keepdims=True)


def _is_large(kernel):
    """Is it worth a product, on all processors, rather than a loop of XLA's making?"""
    return math.prod(kernel.shape) >= LARGE


def _linear(x, kernel, bias):
    """x (rows, inputs) @ kernel.T + bias: (rows, outputs).

    Written as a difference because XLA merges a sum with the product before it, for a single row,
    into one loop; and a loop of its own making runs on one processor, a product on all.

    A large kernel and a single row are cut into pieces, as nothing counts but how fast the kernel
    is read: so each processor reads along its own pieces, not every other few rows.
    """
    rows, (outputs, inputs) = x.shape[0], kernel.shape
    if rows > 1 or not _is_large(kernel) or outputs % PIECES:
        return tf.matmul(x, kernel, transpose_b=True) - (-bias)
    pieces = tf.reshape(kernel, (PIECES, outputs // PIECES, inputs))
    product = tf.matmul(tf.tile(x[None], (PIECES, 1, 1)), pieces, transpose_b=True)
    return tf.reshape(product, (1, outputs)) - (-bias)


def _layer_norm(x, gain, bias):
    mean = tf.reduce_mean(x, axis=-1, keepdims=True)
    variance = tf.reduce_mean((x - mean) ** 2, axis=-1, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-5) * gain + bias


def _gelu(x):
    return 0.5 * x * (1 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
