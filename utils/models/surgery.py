"""Changes to a model that is there: new rows of its embedding, logits for some positions only."""

import keras
import keras_nlp
import numpy as np
from keras import ops

from utils.models.gpt2 import build_gpt2, size_of

NEW_ROWS_SEED = 0


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
    all of them share. Logits are made where something is to be learnt only: they are about a
    quarter of the arithmetic of a step, and few tokens of such a row are targets.

    The inputs are ids, positions and segments, (batch, time) each, and the places of the targets,
    (chosen,), counted through all rows, one behind the other; see `utils.data.dialogue_rows.Row`.
    The output are the logits, (chosen, vocabulary).
    """
    ids, positions, segments = (keras.Input((None,), dtype="int32") for _ in range(3))
    chosen = keras.Input((), dtype="int32")
    backbone = model.backbone
    tokens = backbone.token_embedding(ids)  # (batch, time, width)
    hidden = backbone.embeddings_add(
        (tokens, backbone.position_embedding(tokens, positions=positions))
    )
    hidden = backbone.embeddings_dropout(hidden)
    of_query, of_key = segments[:, :, None], segments[:, None, :]
    seen = ops.logical_or(ops.equal(of_query, of_key), ops.equal(of_key, 0))
    seen = ops.cast(seen, "int32")  # (batch, time, time)
    for layer in backbone.transformer_layers:
        hidden = layer(hidden, decoder_attention_mask=seen)  # the causal mask comes on top
    hidden = backbone.layer_norm(hidden)
    hidden = ops.take(ops.reshape(hidden, (-1, hidden.shape[-1])), chosen, axis=0)
    logits = backbone.token_embedding(hidden, reverse=True)
    return keras.Model([ids, positions, segments, chosen], logits)
