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


def logits_at_positions(model: keras_nlp.models.GPT2CausalLM) -> keras.Model:
    """The same model, the same weights, with logits for some places only.

    Logits are about a quarter of the arithmetic of a step, and in a dialogue about a tale one
    target in nine is learnt.

    The inputs are ids, (batch, time), and places, (chosen,), counted through all rows, one behind
    the other. The output are the logits, (chosen, vocabulary).
    """
    ids = keras.Input((None,), dtype="int32")
    places = keras.Input((), dtype="int32")
    hidden = model.backbone({"token_ids": ids, "padding_mask": ops.ones_like(ids)})
    hidden = ops.take(ops.reshape(hidden, (-1, hidden.shape[-1])), places, axis=0)
    return keras.Model([ids, places], model.backbone.token_embedding(hidden, reverse=True))
