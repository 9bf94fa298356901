"""Changes to a model that is there: new rows of its embedding, logits for some positions only."""

import keras
import keras_nlp
import numpy as np
from keras import ops

from utils.models.gpt2 import build_gpt2, size_of

NEW_ROWS_SEED = 0
BLOCK = 128  # queries that are given the same keys


def resize_token_embeddings(
    model: keras_nlp.models.GPT2CausalLM, new: int, init_from: int
) -> keras_nlp.models.GPT2CausalLM:
    """The same GPT-2 with more rows in its token embedding, for new tokens behind all others.

    A new row begins as a copy of a row that means something similar, plus noise as large as the
    embeddings are, so that the new tokens differ from it and from each other.

    Args:
        model: the model to copy; it is not modified.
        new: the number of rows.
        init_from: the id of the token whose row is copied.
    """
    old = model.backbone
    table, *others = old.get_weights()  # (vocabulary, width), …
    larger = build_gpt2(len(table) + new, size_of(model))
    noise = np.random.default_rng(NEW_ROWS_SEED).normal(0, table.std(), (new, table.shape[1]))
    rows = (table[init_from] + noise).astype(table.dtype)
    larger.backbone.set_weights([np.concatenate([table, rows]), *others])
    return larger


def packed_logits(model: keras_nlp.models.GPT2CausalLM) -> keras.Model:
    """The same model, the same weights, for rows of several dialogues that do not see each other.

    Every token sees what stands before it in its own segment, and segment 0, the beginning that
    all of them share. Few tokens of such a row are targets, and nothing else needs the output of
    the last layer: so that layer and the logits are computed where something is to be learnt only.

    The inputs are ids, positions and segments, (batch, time) each, and in each row the positions of
    the targets, (batch, chosen); see `utils.data.dialogue_rows.Row`. The output are the logits
    there, (batch, chosen, vocabulary).
    """
    ids, positions, segments, target_positions = (
        keras.Input((None,), dtype="int32") for _ in range(4)
    )
    backbone = model.backbone
    tokens = backbone.token_embedding(ids)  # (batch, time, width)
    hidden = backbone.embeddings_add(
        (tokens, backbone.position_embedding(tokens, positions=positions))
    )
    hidden = backbone.embeddings_dropout(hidden)
    *first_layers, last_layer = backbone.transformer_layers
    for layer in first_layers:
        hidden = _InBlocks(layer)(hidden, segments)
    hidden = backbone.layer_norm(_layer_at(target_positions, last_layer, hidden, segments))
    logits = backbone.token_embedding(hidden, reverse=True)
    return keras.Model([ids, positions, segments, target_positions], logits)


class _InBlocks(keras.layers.Layer):
    """A layer of GPT-2 for such rows, its attention computed for one block of queries at a time.

    No query sees a key behind it. If all keys are given to all queries, half of the scores are
    computed only to be masked; so a block of queries gets the keys up to its own end.
    """

    def __init__(self, layer: keras_nlp.layers.TransformerDecoder):
        super().__init__()
        self.layer = layer

    def call(self, hidden, segments):
        """The output of the layer, (batch, time, width); the time must be known."""
        attention, length = self.layer._self_attention_layer, hidden.shape[1]
        normed = self.layer._self_attention_layer_norm(hidden)
        queries, keys = attention._query_dense(normed), attention._key_dense(normed)
        values = attention._value_dense(normed)
        attended = []
        for start in range(0, length, BLOCK):
            end = min(start + BLOCK, length)
            causal = ops.arange(end)[None, :] <= ops.arange(start, end)[:, None]
            in_view = _in_view(segments[:, start:end], segments[:, :end])
            mask = in_view * ops.cast(causal, "int32")
            parts = queries[:, start:end], keys[:, :end], values[:, :end]
            attended.append(attention._compute_attention(*parts, attention_mask=mask)[0])
        together = attention._output_dense(ops.concatenate(attended, axis=1))
        return _rest_of_layer(self.layer, hidden, together)

    def compute_output_shape(self, hidden_shape, segments_shape):
        """That of the input; `call` could not say so, where the time is not known yet."""
        return hidden_shape


def _in_view(of_queries, of_keys):
    """1 where a query may see a key by their segments: (batch, queries, keys)."""
    of_queries, of_keys = of_queries[:, :, None], of_keys[:, None, :]
    same = ops.equal(of_queries, of_keys)
    return ops.cast(ops.logical_or(same, ops.equal(of_keys, 0)), "int32")


def _layer_at(target_positions, layer, hidden, segments):
    """The output of a layer of GPT-2 at some positions of each row only: (batch, chosen, width)."""
    normed = layer._self_attention_layer_norm(hidden)
    number = ops.cumsum(ops.ones_like(segments), axis=1) - 1  # of each token in its row
    causal = number[:, None, :] <= target_positions[:, :, None]  # (batch, chosen, time)
    in_view = _in_view(ops.take_along_axis(segments, target_positions, axis=1), segments)
    attended = layer._self_attention_layer(
        query=_take(normed, target_positions),
        value=normed,
        attention_mask=in_view * ops.cast(causal, "int32"),
    )
    return _rest_of_layer(layer, _take(hidden, target_positions), attended)


def _rest_of_layer(layer, hidden, attended):
    """What follows the attention of a layer: both residual connections and the feed-forward net."""
    hidden = hidden + layer._self_attention_dropout(attended)
    inner = layer._feedforward_intermediate_dense(layer._feedforward_layer_norm(hidden))
    return hidden + layer._feedforward_dropout(layer._feedforward_output_dense(inner))


def _take(hidden, target_positions):
    """The vectors at some positions of each row: (batch, chosen, width)."""
    return ops.take_along_axis(hidden, target_positions[:, :, None], axis=1)
