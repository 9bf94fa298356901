"""The small GPT-2 of the course: keras-nlp's GPT-2, in a size that a laptop trains in minutes."""

import keras
import keras_nlp
from keras import ops

# Two layers are the least with which a model can copy what was said before (lesson 5), and in the
# few minutes of a training two get further than three or four, which take longer for each step.
# Every tale of the course fits into 256 tokens. Everything else has GPT-2's own proportions: heads
# of 64 features, a feed-forward network four times as wide as the model.
SMALL = {
    "num_layers": 2,
    "num_heads": 2,
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
