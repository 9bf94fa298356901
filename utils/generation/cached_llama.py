"""Llama with a KV cache: logits for a few new tokens at a time, written for speed. See lesson 16.

    file = read_gguf(download("smollm2"))
    config = read_config(file.metadata)
    model = cached_llama(config, read_weights(config, file.tensors))
    generator = Generator(model, end_id)

The counterpart of `cached_gpt2.py`, with the parts of lesson 15: RMSNorm, rotary positions, SwiGLU
and grouped-query attention.

What is new besides is a long context. The cache has space for all of it from the beginning, and
attention reads it in blocks, as many as the longest text has: the time of a step depends on the
texts, not on the space, and nothing is compiled anew while they grow.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops
from tensorflow.compiler.tf2xla.python.xla import dynamic_slice

from utils.generation.cached_gpt2 import LARGE, PIECES, LayerCache, empty_cache
from utils.generation.generator import CachedModel
from utils.models import llama
from utils.models.llama import Config

BLOCK = 128  # positions of the cache that attention reads at a time


class Block(NamedTuple):
    """The parameters of one transformer block.

    Weight matrices are (inputs, outputs): several rows at once are multiplied faster so.
    """

    attention_norm: np.ndarray  # (width,)
    qkv_kernel: np.ndarray  # (width, (num_heads + 2 * num_kv_heads) * head_dim)
    out_kernel: np.ndarray  # (num_heads * head_dim, width)
    mlp_norm: np.ndarray  # (width,)
    gate_up_kernel: np.ndarray  # (width, 2 * inner): the gate, then what it lets through
    down_kernel: np.ndarray  # (inner, width)


class Weights(NamedTuple):
    """The parameters of a Llama whose output layer is its token embedding."""

    token_embedding: np.ndarray  # (width, vocabulary)
    blocks: list[Block]
    norm: np.ndarray  # (width,), before the output layer


def cached_llama(config: Config, weights: llama.Weights) -> CachedModel:
    """The parts of a Llama that `Generator` needs.

    Args:
        config: the numbers of the model.
        weights: its parameters, as `utils.models.llama` reads them from a GGUF file.
    """
    return CachedModel(
        Weights(
            weights.token_embedding.T,
            [_joined(block, config.head_dim) for block in weights.blocks],
            weights.norm,
        ),
        partial(read_tokens, config),
        partial(empty_cache, config.num_layers, config.num_kv_heads, config.head_dim),
        config.context,
        config.vocabulary_size,
        any_length=True,
    )


def _joined(block: llama.Block, head_dim: int) -> Block:
    """The matrices that are multiplied by the same rows, side by side."""
    query, key = halves_together(block.query, head_dim), halves_together(block.key, head_dim)
    return Block(
        attention_norm=block.attention_norm,
        qkv_kernel=np.concatenate([query, key, block.value]).T,
        out_kernel=block.output.T,
        mlp_norm=block.mlp_norm,
        gate_up_kernel=np.concatenate([block.gate, block.up]).T,
        down_kernel=block.down.T,
    )


def halves_together(kernel: np.ndarray, head_dim: int) -> np.ndarray:
    """The rows of a query or key matrix, (outputs, inputs), in the order that `_rotate` needs.

    A rotary position turns pairs of features. In a GGUF file the two of a pair are neighbours; here
    one is in the first half of its head, the other in the second half.
    """
    outputs, inputs = kernel.shape
    pairs = kernel.reshape(outputs // head_dim, head_dim // 2, 2, inputs)
    return pairs.swapaxes(1, 2).reshape(outputs, inputs)


def read_tokens(
    config: Config,
    weights: Weights,
    tokens: tf.Tensor,
    position: tf.Tensor,
    cache: list[LayerCache],
    slot: tf.Tensor | int = 0,
) -> tuple[tf.Tensor, list[LayerCache]]:
    """The logits of a few new tokens; the tokens before them are in the cache.

    Args:
        config: the numbers of the model.
        weights: its parameters.
        tokens: token ids, (batch, new); usually new = 1.
        position: the position of the first of them in the text: () if it is the same in all rows,
            otherwise (batch,), and then new must be 1.
        cache: the keys and values of all earlier positions, perhaps of more texts than `tokens`.
        slot: which of the texts in the cache the first row of `tokens` continues.

    Returns:
        The logits for the token after each new one, (batch, new, vocabulary), and the cache with
        the new tokens in it.
    """
    weights = tf.nest.map_structure(tf.convert_to_tensor, weights)
    (batch, new), width = tokens.shape, weights.norm.shape[0]
    positions = tf.broadcast_to(position[..., None] + tf.range(new), (batch, new))
    turn = _turn(positions, config)
    x = tf.gather(weights.token_embedding, tokens, axis=1)  # (width, batch, new)
    x = tf.transpose(tf.reshape(x, (width, batch * new)))  # products of plain matrices are faster
    cache_after = []
    for block, layer_cache in zip(weights.blocks, cache, strict=True):
        x, layer_cache = _read_block(config, block, x, turn, positions, layer_cache, slot)
        cache_after.append(layer_cache)
    logits = _product(_rms_norm(x, weights.norm, config), weights.token_embedding)
    return tf.reshape(logits, (batch, new, -1)), cache_after


@tf.function(autograph=False)  # traced once for all layers
def _read_block(config, block, x, turn, positions, cache, slot):
    """The new tokens, x (batch * new, width), after one block, and the cache of its layer."""
    normal = _rms_norm(x, block.attention_norm, config)
    qkv = tf.reshape(_product(normal, block.qkv_kernel), (*positions.shape, -1, config.head_dim))
    mixed, cache = _attention(qkv, turn, positions, config, cache, slot)
    x = _product(mixed, block.out_kernel) - (-x)  # see `cached_gpt2._linear`
    normal = _rms_norm(x, block.mlp_norm, config)
    gate, up = tf.split(_product(normal, block.gate_up_kernel), 2, axis=-1)
    return _product(tf.nn.silu(gate) * up, block.down_kernel) - (-x), cache


def _turn(positions, config):
    """The cosine and sine of each pair's angle at some positions, (batch, new, 1, head_dim / 2)."""
    exponents = np.arange(0, config.head_dim, 2) / config.head_dim
    frequencies = (config.rope_base**-exponents).astype("float32")  # radians for each position
    angles = tf.cast(positions, tf.float32)[..., None, None] * frequencies
    return tf.cos(angles), tf.sin(angles)


def _rotate(x, turn):
    """Turn each pair of features, one in each half of a head, by the angle of its position."""
    (cos, sin), (a, b) = turn, tf.split(x, 2, axis=-1)
    return tf.concat([a * cos - b * sin, b * cos + a * sin], axis=-1)


def _attention(qkv, turn, positions, config, cache, slot):
    """Causal self-attention of the new tokens, qkv (batch, new, heads, head_dim), to all so far.

    The query heads that share a key head become further rows of its queries.
    """
    (batch, new), head_dim = positions.shape, config.head_dim
    heads, kv_heads = config.num_heads, config.num_kv_heads
    rows, group, first = batch * kv_heads, heads // kv_heads, slot * kv_heads
    query, key, value = tf.split(qkv, [heads, kv_heads, kv_heads], axis=2)
    query = tf.reshape(_rotate(query, turn), (batch, new, kv_heads, group, head_dim))
    query = tf.transpose(query, (0, 2, 3, 1, 4)) / math.sqrt(head_dim)
    key = tf.transpose(_rotate(key, turn), (0, 2, 3, 1))  # (batch, kv_heads, head_dim, new)
    value = tf.transpose(value, (0, 2, 1, 3))  # (batch, kv_heads, new, head_dim)
    cache = _update_cache(cache, key, value, positions[:, 0], first)
    last = tf.repeat(tf.tile(positions, (1, group)), kv_heads, axis=0)  # (rows, group * new)
    mixed = _read_blocks(tf.reshape(query, (rows, group * new, head_dim)), cache, last, first)
    mixed = tf.reshape(mixed, (batch, kv_heads, group, new, head_dim))
    return tf.reshape(tf.transpose(mixed, (0, 3, 1, 2, 4)), (batch * new, -1)), cache


def _update_cache(cache, key, value, position, first):
    """The cache with the new keys and values of some texts, from row `first` on, put in place.

    Args:
        cache: the cache of one layer.
        key: the new keys, (batch, kv_heads, head_dim, new).
        value: the new values, (batch, kv_heads, new, head_dim).
        position: where the new ones of each text begin, (batch,).
        first: a row of the cache.
    """
    keys, values = cache
    for text, start in enumerate(tf.unstack(position)):
        row = first + text * key.shape[1]
        keys = ops.slice_update(keys, (row, 0, start), key[text])
        values = ops.slice_update(values, (row, start, 0), value[text])
    return LayerCache(keys, values)


def _read_blocks(query, cache, last, first):
    """Softmax attention over the cache, block by block.

    Of the blocks so far three things are kept for each query: its largest score, the sum of the
    exponentials, and the sum of the values that they weight, both relative to the largest score.
    Source: M. Milakov, N. Gimelshein, Online normalizer calculation for softmax (2018).

    Args:
        query: the queries, (rows, queries, head_dim).
        cache: the cache of one layer.
        last: the last position that each query may see, (rows, queries).
        first: the row of the cache that belongs to the first row of `query`.

    Returns:
        The mean of the values, weighted by attention, (rows, queries, head_dim).
    """
    (rows, queries, head_dim), length = query.shape, cache.values.shape[1]
    size = min(BLOCK, length)
    num_blocks = tf.reduce_max(last) // size + 1

    def is_unfinished(number, *_):
        return number < num_blocks

    def read(number, largest, total, mixed):
        start = tf.minimum(number * size, length - size)
        keys = dynamic_slice(cache.keys, [first, 0, start], [rows, head_dim, size])
        values = dynamic_slice(cache.values, [first, start, 0], [rows, size, head_dim])
        here = start + tf.range(size)
        # The last block begins earlier if it would go beyond the cache; what was read stays out.
        seen = (here >= number * size) & (here <= last[..., None])  # (rows, queries, size)
        scores = tf.where(seen, tf.matmul(query, keys), -math.inf)
        larger = tf.maximum(largest, tf.reduce_max(scores, axis=-1, keepdims=True))
        p, shrink = tf.exp(scores - larger), tf.exp(largest - larger)
        total = total * shrink + tf.reduce_sum(p, axis=-1, keepdims=True)
        return number + 1, larger, total, mixed * shrink + tf.matmul(p, values)

    zero = tf.zeros((rows, queries, 1))
    start = tf.constant(0), zero - math.inf, zero, tf.zeros(query.shape)
    _, _, total, mixed = tf.while_loop(is_unfinished, read, start)
    return mixed / total


def _rms_norm(x, gamma, config):
    """x with mean square 1 along its last axis, then scaled by gamma."""
    return x * tf.math.rsqrt(tf.reduce_mean(x**2, axis=-1, keepdims=True) + config.epsilon) * gamma


def _product(x, kernel):
    """x (rows, inputs) @ kernel (inputs, outputs); of one row in pieces, as in `cached_gpt2`."""
    rows, (inputs, outputs) = x.shape[0], kernel.shape
    if rows > 1 or inputs * outputs < LARGE or inputs % PIECES:
        return tf.matmul(x, kernel)
    pieces = tf.reshape(kernel, (PIECES, inputs // PIECES, outputs))
    product = tf.matmul(tf.reshape(x, (PIECES, 1, inputs // PIECES)), pieces)
    return tf.reduce_sum(product, axis=0)
