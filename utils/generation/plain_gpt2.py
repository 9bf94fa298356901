"""GPT-2 in its simplest form: the parameters under their usual names, and one forward pass.

Read this first. `cached_gpt2.py` computes the same logits for a few new tokens at a time, faster.
"""

import math
from typing import NamedTuple

import keras
import keras_nlp
import tensorflow as tf
from keras import ops

from utils.errors import GenerationError


class Block(NamedTuple):
    """The parameters of one transformer block.

    Weight matrices are stored transposed, (outputs, inputs), like the token embedding: each output
    is then a sum over one row, which lies together in memory. Attention may be narrower than the
    model if the width is no multiple of the number of heads: attended = heads * head_dim.
    """

    qkv_kernel: tf.Tensor  # (3 * attended, width): query, key and value, one below the other
    qkv_bias: tf.Tensor  # (3 * attended,)
    out_kernel: tf.Tensor  # (width, attended)
    out_bias: tf.Tensor  # (width,)
    ln_1_gamma: tf.Tensor  # (width,), layer normalization before attention
    ln_1_beta: tf.Tensor  # (width,)
    mlp_up_kernel: tf.Tensor  # (inner, width), inner is usually 4 * width
    mlp_up_bias: tf.Tensor  # (inner,)
    mlp_down_kernel: tf.Tensor  # (width, inner)
    mlp_down_bias: tf.Tensor  # (width,)
    ln_2_gamma: tf.Tensor  # (width,), layer normalization before the feed-forward network
    ln_2_beta: tf.Tensor  # (width,)


class Weights(NamedTuple):
    """The parameters of a GPT-2."""

    token_embedding: tf.Tensor  # (vocabulary, width)
    position_embedding: tf.Tensor  # (context, width)
    blocks: list[Block]
    ln_f_gamma: tf.Tensor  # (width,), the final layer normalization
    ln_f_beta: tf.Tensor  # (width,)


def plain_logits(weights: Weights, ids: tf.Tensor, num_heads: int) -> tf.Tensor:
    """The logits of whole texts, computed without a cache.

    Args:
        weights: the parameters of the model.
        ids: token ids, (batch, time).
        num_heads: the number of attention heads in each block.

    Returns:
        The logits for the token after each position, (batch, time, vocabulary).
    """
    x = tf.gather(weights.token_embedding, ids)  # (batch, time, width)
    x += weights.position_embedding[: ids.shape[1]]
    for block in weights.blocks:
        x += _attention(layer_norm(x, block.ln_1_gamma, block.ln_1_beta), block, num_heads)
        x += _feed_forward(layer_norm(x, block.ln_2_gamma, block.ln_2_beta), block)
    x = layer_norm(x, weights.ln_f_gamma, weights.ln_f_beta)
    return tf.matmul(x, weights.token_embedding, transpose_b=True)


def _attention(x, block, num_heads):
    """Causal self-attention within x, (batch, time, width)."""
    batch, time, _ = x.shape
    qkv = _linear(x, block.qkv_kernel, block.qkv_bias)
    qkv = tf.reshape(qkv, (batch, time, 3, num_heads, -1))
    qkv = tf.transpose(qkv, (2, 0, 3, 1, 4))
    query, key, value = tf.unstack(qkv)  # each (batch, heads, time, head_dim)
    scores = tf.matmul(query, key, transpose_b=True) / math.sqrt(query.shape[-1])
    causal_mask = tf.range(time) <= tf.range(time)[:, None]  # (time, time)
    attention_weights = tf.nn.softmax(tf.where(causal_mask, scores, -math.inf))
    mixed = tf.transpose(tf.matmul(attention_weights, value), (0, 2, 1, 3))
    return _linear(tf.reshape(mixed, (batch, time, -1)), block.out_kernel, block.out_bias)


def _feed_forward(x, block):
    inner = gelu(_linear(x, block.mlp_up_kernel, block.mlp_up_bias))  # (batch, time, inner)
    return _linear(inner, block.mlp_down_kernel, block.mlp_down_bias)


def _linear(x, kernel, bias):
    return tf.matmul(x, kernel, transpose_b=True) + bias


def layer_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    """x with mean 0 and variance 1 along its last axis, then scaled by gamma and moved by beta."""
    mean = tf.reduce_mean(x, axis=-1, keepdims=True)
    variance = tf.reduce_mean((x - mean) ** 2, axis=-1, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-5) * gamma + beta


def gelu(x: tf.Tensor) -> tf.Tensor:
    """GPT-2's activation function, the tanh approximation of GELU."""
    return 0.5 * x * (1 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def read_weights(model: keras.Model) -> Weights:
    """The parameters of a keras-nlp GPT-2, copied and in float32.

    LoRA adapters are merged: the `kernel` and `embeddings` of a Keras layer are its own parameters
    plus its adapter's. (With mixed precision Keras rounds that sum to the precision of the layer's
    computations.)

    Args:
        model: a GPT2CausalLM or a GPT2Backbone; it is not modified.

    Raises:
        GenerationError: if it is not a GPT-2, or has parameters that a GPT-2 does not have.
    """
    backbone = getattr(model, "backbone", model)
    _check(backbone)
    return Weights(
        token_embedding=_array(backbone.token_embedding.embeddings),
        position_embedding=_array(backbone.position_embedding.position_embeddings),
        blocks=[_read_block(layer, backbone.hidden_dim) for layer in backbone.transformer_layers],
        ln_f_gamma=_array(backbone.layer_norm.gamma),
        ln_f_beta=_array(backbone.layer_norm.beta),
    )


def _read_block(layer: keras.Layer, width: int) -> Block:
    """The parameters of a TransformerDecoder, by the names that keras-nlp's own importers use."""
    attention, ln_1 = layer._self_attention_layer, layer._self_attention_layer_norm
    up, down = layer._feedforward_intermediate_dense, layer._feedforward_output_dense
    ln_2 = layer._feedforward_layer_norm
    qkv = attention.query_dense, attention.key_dense, attention.value_dense
    return Block(
        qkv_kernel=tf.concat([_transposed(dense.kernel, (width, -1)) for dense in qkv], axis=0),
        qkv_bias=tf.concat([tf.reshape(_array(dense.bias), (-1,)) for dense in qkv], axis=0),
        out_kernel=_transposed(attention.output_dense.kernel, (-1, width)),
        out_bias=_array(attention.output_dense.bias),
        ln_1_gamma=_array(ln_1.gamma),
        ln_1_beta=_array(ln_1.beta),
        mlp_up_kernel=_transposed(up.kernel, (width, -1)),
        mlp_up_bias=_array(up.bias),
        mlp_down_kernel=_transposed(down.kernel, (-1, width)),
        mlp_down_bias=_array(down.bias),
        ln_2_gamma=_array(ln_2.gamma),
        ln_2_beta=_array(ln_2.beta),
    )


def _array(parameter: keras.Variable | tf.Tensor) -> tf.Tensor:
    return tf.cast(ops.convert_to_tensor(parameter), tf.float32)


def _transposed(kernel: keras.Variable | tf.Tensor, shape: tuple[int, int]) -> tf.Tensor:
    """A weight matrix, (outputs, inputs); Keras keeps it as (inputs, outputs), heads apart."""
    return tf.transpose(tf.reshape(_array(kernel), shape))


def _check(backbone: keras.Model) -> None:
    """Raise GenerationError unless the model is a GPT-2 of which every parameter is read."""
    if not isinstance(backbone, keras_nlp.models.GPT2Backbone):
        raise GenerationError(
            f"A {type(backbone).__name__} is no GPT-2: the generator needs a GPT2CausalLM or a"
            " GPT2Backbone of keras-nlp."
        )
    found = [weight for weight in backbone.weights if not weight.name.startswith("lora_")]
    expected = 4 + 16 * backbone.num_layers  # arrays
    if len(found) != expected:
        raise GenerationError(
            f"This model has {len(found)} arrays of parameters where a GPT-2 has {expected}:"
            " generate with it before it is quantized or extended (LoRA may stay)."
        )
