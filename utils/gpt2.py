"""The small GPT-2 of the course: keras-nlp's GPT-2, in a size that a laptop trains in minutes."""

import keras
import keras_nlp
from keras import ops

# Four layers suffice to remember who is who in a tale; every tale of the course fits into 256
# tokens. Everything else has GPT-2's own proportions: heads of equal width, a feed-forward network
# four times as wide as the model.
SMALL = {
    "num_layers": 4,
    "num_heads": 4,
    "hidden_dim": 128,
    "intermediate_dim": 512,
    "max_sequence_length": 256,
}


def small_gpt2(vocabulary_size: int, **changes: int) -> keras_nlp.models.GPT2CausalLM:
    """A small GPT-2 with fresh weights, for ids in and logits out.

    Its input is a dictionary of `token_ids` and `padding_mask`, both (batch, time); its output the
    logits, (batch, time, vocabulary_size). It has no dropout: a few minutes of training on text
    that is seen a few times leave nothing to overfit.

    Args:
        vocabulary_size: tokens in the vocabulary.
        changes: what is to differ from `SMALL`.
    """
    backbone = keras_nlp.models.GPT2Backbone(
        vocabulary_size=vocabulary_size, dropout=0.0, **{**SMALL, **changes}
    )
    return keras_nlp.models.GPT2CausalLM(backbone=backbone, preprocessor=None)


def from_ids(model: keras_nlp.models.GPT2CausalLM) -> keras.Model:
    """The same model, the same weights, with ids as its only input: (batch, time) -> logits.

    For windows that are full there is nothing to mask. When the compiler knows that the padding
    mask is all ones, it leaves it out, and training takes about two thirds of the time.
    """
    ids = keras.Input((None,), dtype="int32")
    hidden = model.backbone({"token_ids": ids, "padding_mask": ops.ones_like(ids)})
    return keras.Model(ids, model.backbone.token_embedding(hidden, reverse=True))
