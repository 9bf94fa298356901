"""One GPT-2 and several adapters in one batch: each text is written with the adapter of its slot.

    parts = adapted_gpt2(base, [pirate, poet])      # for `Generator.stream` and for an `Engine`
    # texts of adapter 0 are the base's own, 1 the pirate's, 2 the poet's

The weights of the base are there once. What an adapter adds to a weight matrix is a product of two
thin ones, so a row x costs x W as always, and two thin products more with the matrices of its own
adapter. Source: Chen and others, *Punica: Multi-Tenant LoRA Serving*, 2023.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from utils.generation.cached_gpt2 import LayerCache, _update_cache, empty_cache
from utils.generation.generator import CachedModel
from utils.generation.plain_gpt2 import Weights, gelu, layer_norm, read_weights

MATRICES = ("qkv_kernel", "out_kernel", "mlp_up_kernel", "mlp_down_kernel")
ROUNDING = 1e-6  # of the largest singular value of a weight matrix; what is less is no change


class Thin(NamedTuple):
    """What all adapters add to one weight matrix; adapter 0 adds nothing.

    The change of adapter i is B[i] @ A[i].
    """

    A: tf.Tensor  # (adapters, rank, inputs)
    B: tf.Tensor  # (adapters, outputs, rank)


class AdaptedWeights(NamedTuple):
    """A base and the adapters for it."""

    base: Weights
    adapters: list[dict[str, Thin]]  # for each block, by the names in MATRICES


class AdapterOfText(NamedTuple):
    """Which adapter a text is written with; kept where the cache is, so that it moves with it."""

    number: tf.Tensor  # (batch, 1, 1), int32


def adapted_gpt2(base: keras.Model, adapted: Sequence[keras.Model]) -> CachedModel:
    """The parts of a GPT-2 that is served with several adapters.

    Args:
        base: the model without an adapter.
        adapted: the same model with one, such as LoRA's, in some of its weight matrices.

    Raises:
        GenerationError: if one of them is no GPT-2.
    """
    weights, parts = read_weights(base), CachedModel.from_gpt2(base)
    others = [read_weights(model) for model in adapted]
    adapters = [
        {
            name: _thin(getattr(block, name), [getattr(o.blocks[number], name) for o in others])
            for name in MATRICES
        }
        for number, block in enumerate(weights.blocks)
    ]
    backbone = getattr(base, "backbone", base)
    heads = backbone.num_heads
    empty = partial(_empty_cache, backbone.num_layers, heads, backbone.hidden_dim // heads)
    return parts._replace(
        weights=AdaptedWeights(weights, adapters), read_tokens=read_tokens, empty_cache=empty
    )


def _thin(kernel: tf.Tensor, adapted: Sequence[tf.Tensor]) -> Thin:
    """The changes of one weight matrix as products of thin matrices, of the largest rank needed."""
    pairs = []
    for other in adapted:
        U, S, Vt = np.linalg.svd((other - kernel).numpy(), full_matrices=False)
        rank = int(np.sum(ROUNDING * np.linalg.norm(kernel, 2) < S))
        pairs.append((Vt[:rank], U[:, :rank] * S[:rank]))
    rank = max([1, *(len(A) for A, _ in pairs)])
    outputs, inputs = kernel.shape
    As = np.zeros((1 + len(pairs), rank, inputs), "float32")
    Bs = np.zeros((1 + len(pairs), outputs, rank), "float32")
    for i, (A, B) in enumerate(pairs, 1):
        As[i, : len(A)], Bs[i, :, : len(A)] = A, B
    return Thin(tf.constant(As), tf.constant(Bs))


def _empty_cache(num_layers: int, num_heads: int, head_dim: int, batch: int, length: int) -> list:
    """A cache as that of the base, and behind it the adapter of each text, at first none."""
    layers = empty_cache(num_layers, num_heads, head_dim, batch, length)
    return [*layers, AdapterOfText(tf.zeros((batch, 1, 1), tf.int32))]


def read_tokens(
    weights: AdaptedWeights, tokens: tf.Tensor, position: tf.Tensor, cache: list
) -> tuple[tf.Tensor, list]:
    """The logits of a few new tokens, as `cached_gpt2.read_tokens`, each text with its adapter."""
    base, (*layers, adapter) = weights.base, cache
    number, (batch, new) = adapter.number[:, 0, 0], tokens.shape

    def linear(x, kernel, bias, thin):  # x (batch, new, inputs)
        y = tf.matmul(x, kernel, transpose_b=True) + bias
        A, B = tf.gather(thin.A, number), tf.gather(thin.B, number)
        return y + tf.matmul(tf.matmul(x, A, transpose_b=True), B, transpose_b=True)

    x = tf.gather(base.token_embedding, tokens)
    x += tf.gather(base.position_embedding, position[..., None] + tf.range(new))
    after = []
    for block, thin, layer in zip(base.blocks, weights.adapters, layers, strict=True):
        normal = layer_norm(x, block.ln_1_gamma, block.ln_1_beta)
        qkv = linear(normal, block.qkv_kernel, block.qkv_bias, thin["qkv_kernel"])
        mixed, layer = _attention(qkv, batch, position, layer)
        x += linear(mixed, block.out_kernel, block.out_bias, thin["out_kernel"])
        normal = layer_norm(x, block.ln_2_gamma, block.ln_2_beta)
        inner = gelu(linear(normal, block.mlp_up_kernel, block.mlp_up_bias, thin["mlp_up_kernel"]))
        x += linear(inner, block.mlp_down_kernel, block.mlp_down_bias, thin["mlp_down_kernel"])
        after.append(layer)
    x = layer_norm(x, base.ln_f_gamma, base.ln_f_beta)
    return tf.matmul(x, base.token_embedding, transpose_b=True), [*after, adapter]


def _attention(qkv, batch, position, cache):
    """What the new tokens, (batch, new, 3 * width), see in all tokens so far, and the cache."""
    rows, head_dim, length = cache.keys.shape
    heads, new = rows // batch, qkv.shape[1]
    qkv = tf.transpose(tf.reshape(qkv, (batch, new, 3, heads, head_dim)), (2, 0, 3, 1, 4))
    query, key, value = tf.unstack(tf.reshape(qkv, (3, rows, new, head_dim)))
    keys, values = _update_cache(cache, tf.linalg.matrix_transpose(key), value, position)
    scores = tf.matmul(query, keys) / math.sqrt(head_dim)  # (rows, new, length)
    past = tf.range(length) <= (position[..., None] + tf.range(new))[..., None]
    past = tf.reshape(past, (-1, 1, new, length))
    scores = tf.where(past, tf.reshape(scores, (batch, heads, new, length)), -math.inf)
    mixed = tf.matmul(tf.reshape(tf.nn.softmax(scores), (rows, new, length)), values)
    mixed = tf.transpose(tf.reshape(mixed, (batch, heads, new, head_dim)), (0, 2, 1, 3))
    return tf.reshape(mixed, (batch, new, -1)), LayerCache(keys, values)
