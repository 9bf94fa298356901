"""GPT-2 with a KV cache: logits for a few new tokens at a time, written for speed. See lesson 9.

`plain_gpt2.py` has the same model without the cache and without the tricks. The tricks change only
how XLA, the compiler, spreads the arithmetic over processors and memory; each says why it is there.
"""

import math
from typing import NamedTuple

import tensorflow as tf
from keras import ops

from utils.generation.plain_gpt2 import Weights, gelu, layer_norm

LARGE = 1 << 19  # parameters; weight matrices of at least this size are read in pieces
PIECES = 8


class LayerCache(NamedTuple):
    """The keys and values of all tokens that one layer has seen.

    The keys are stored transposed, so that query times keys is one plain product. The heads of all
    texts share one axis because a matrix product of XLA has a single batch axis: so it reads the
    cache as it is, and new tokens are written into it in place. Without that, every step would
    copy the cache.
    """

    keys: tf.Tensor  # (batch * heads, head_dim, length)
    values: tf.Tensor  # (batch * heads, length, head_dim)


def empty_cache(
    num_layers: int, num_heads: int, head_dim: int, batch: int, length: int
) -> list[LayerCache]:
    """A cache for `length` positions of `batch` texts, one LayerCache for each layer."""
    keys, values = (batch * num_heads, head_dim, length), (batch * num_heads, length, head_dim)
    return [LayerCache(tf.zeros(keys), tf.zeros(values)) for _ in range(num_layers)]


def grow_cache(cache: list[LayerCache], length: int) -> list[LayerCache]:
    """The cache with space for `length` positions, at least as many as it has."""
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
    """The logits of a few new tokens; the tokens before them are in the cache.

    Args:
        weights: the parameters of the model.
        tokens: token ids, (batch, new); usually new = 1.
        position: the position of the first of them in the text: () if it is the same in all rows,
            otherwise (batch,), and then new must be 1.
        cache: the keys and values of all earlier positions.

    Returns:
        The logits for the token after each new one, (batch, new, vocabulary), and the cache with
        the new tokens in it.
    """
    batch, new = tokens.shape
    x = tf.gather(weights.token_embedding, tokens)  # (batch, new, width)
    x += tf.gather(weights.position_embedding, position[..., None] + tf.range(new))
    x = tf.reshape(x, (batch * new, -1))  # products of plain matrices are faster
    cache_after = []
    for block, layer_cache in zip(weights.blocks, cache, strict=True):
        normal = layer_norm(x, block.ln_1_gamma, block.ln_1_beta)
        added, layer_cache = _attention(normal, block, batch, position, layer_cache)
        x += added
        normal = layer_norm(x, block.ln_2_gamma, block.ln_2_beta)
        inner = gelu(_linear(normal, block.mlp_up_kernel, block.mlp_up_bias))
        x += _linear(inner, block.mlp_down_kernel, block.mlp_down_bias)
        cache_after.append(layer_cache)
    x = layer_norm(x, weights.ln_f_gamma, weights.ln_f_beta)
    logits = tf.matmul(x, weights.token_embedding, transpose_b=True)
    return tf.reshape(logits, (batch, new, -1)), cache_after


def _attention(x, block, batch, position, cache):
    """Causal self-attention of the new tokens, x (batch * new, width), to all tokens so far."""
    rows, head_dim, length = cache.keys.shape
    heads, new = rows // batch, x.shape[0] // batch
    qkv = _linear(x, block.qkv_kernel, block.qkv_bias)
    qkv = tf.transpose(tf.reshape(qkv, (batch, new, 3, heads, head_dim)), (2, 0, 3, 1, 4))
    query, key, value = tf.unstack(tf.reshape(qkv, (3, rows, new, head_dim)))
    keys, values = _update_cache(cache, tf.linalg.matrix_transpose(key), value, position)
    is_tiny = batch == new == 1 and not _is_large(block.out_kernel)
    product = _product_as_sum if is_tiny else tf.matmul
    scores = product(query, keys) / math.sqrt(head_dim)  # (rows, new, length)
    past = tf.range(length) <= (position[..., None] + tf.range(new))[..., None]
    past = tf.reshape(past, (-1, 1, new, length))  # (1 or batch, 1, new, length)
    scores = tf.reshape(scores, (batch, heads, new, length))
    attention_weights = tf.nn.softmax(tf.where(past, scores, -math.inf))
    mixed = product(tf.reshape(attention_weights, (rows, new, length)), values)
    mixed = tf.transpose(tf.reshape(mixed, (batch, heads, new, head_dim)), (0, 2, 1, 3))
    mixed = tf.reshape(mixed, (batch * new, -1))
    return _linear(mixed, block.out_kernel, block.out_bias), LayerCache(keys, values)


def _update_cache(cache, key, value, position):
    """The keys and values of the cache with new ones, at one position or at each row's own."""
    if position.shape.rank == 0:
        keys = ops.slice_update(cache.keys, (0, 0, position), key)
        return keys, ops.slice_update(cache.values, (0, position, 0), value)
    rows, _, length = cache.keys.shape
    positions = tf.repeat(position, rows // position.shape[0])  # (rows,)
    here = tf.range(length) == positions[:, None]  # (rows, length)
    keys = tf.where(here[:, None, :], key, cache.keys)
    return keys, tf.where(here[:, :, None], value, cache.values)


def _product_as_sum(a, b):
    """a (rows, 1, n) @ b (rows, n, m): (rows, 1, m), for a small model and a single text.

    XLA fuses a sum with the operations around it into one loop, which saves most of the time when
    the matrices are tiny. It does not fuse a matrix product.
    """
    return tf.reduce_sum(tf.squeeze(a, 1)[..., None] * b, axis=1, keepdims=True)


def _is_large(kernel):
    """Whether a product with this weight matrix is worth distributing over all processors."""
    return math.prod(kernel.shape) >= LARGE


def _linear(x, kernel, bias):
    """x (rows, inputs) @ kernel.T + bias: (rows, outputs).

    The bias is added as a difference because XLA would fuse the sum with the product of a single
    row into a loop of its own, which runs on one processor; a product runs on all of them.

    A single row and a large weight matrix are multiplied in pieces. Only the time to read the
    matrix counts then, and each processor reads faster along pieces of its own.
    """
    rows, (outputs, inputs) = x.shape[0], kernel.shape
    if rows > 1 or not _is_large(kernel) or outputs % PIECES:
        return tf.matmul(x, kernel, transpose_b=True) - (-bias)
    pieces = tf.reshape(kernel, (PIECES, outputs // PIECES, inputs))
    product = tf.matmul(tf.tile(x[None], (PIECES, 1, 1)), pieces, transpose_b=True)
    return tf.reshape(product, (1, outputs)) - (-bias)
