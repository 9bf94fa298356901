"""keras-nlp's GPT-2 in any size, and the views of it that training and evaluation need."""

import keras
import keras_nlp
from keras import ops

from utils.models.sizes import SIZES, ModelSize


def build_gpt2(
    vocabulary_size: int, size: ModelSize = SIZES["small"], dtype: str = "float32"
) -> keras_nlp.models.GPT2CausalLM:
    """A GPT-2 with fresh weights, for ids in and logits out.

    Its input is a dictionary of `token_ids` and `padding_mask`, both (batch, time); its output the
    logits, (batch, time, vocabulary_size).

    Args:
        vocabulary_size: tokens in the vocabulary.
        size: layers, heads, width and so on.
        dtype: "float32", or "mixed_bfloat16" to multiply in 16 bits while the weights keep 32.
    """
    backbone = keras_nlp.models.GPT2Backbone(
        vocabulary_size=vocabulary_size,
        num_layers=size.layers,
        num_heads=size.heads,
        hidden_dim=size.width,
        intermediate_dim=size.feed_forward,
        max_sequence_length=size.context,
        dropout=size.dropout,
        dtype=dtype,
    )
    return keras_nlp.models.GPT2CausalLM(backbone=backbone, preprocessor=None)


def size_of(model: keras_nlp.models.GPT2CausalLM) -> ModelSize:
    """The size of a GPT-2."""
    backbone = model.backbone
    return ModelSize(
        layers=backbone.num_layers,
        heads=backbone.num_heads,
        width=backbone.hidden_dim,
        feed_forward=backbone.intermediate_dim,
        context=backbone.max_sequence_length,
        dropout=backbone.dropout,
    )


def in_float32(model: keras_nlp.models.GPT2CausalLM) -> keras_nlp.models.GPT2CausalLM:
    """The same GPT-2, computing in 32 bits; the model itself if it does so already."""
    backbone = model.backbone
    if backbone.dtype_policy.compute_dtype == "float32":
        return model
    plain = build_gpt2(backbone.vocabulary_size, size_of(model))
    plain.backbone.set_weights(backbone.get_weights())
    return plain


def from_ids(model: keras_nlp.models.GPT2CausalLM) -> keras.Model:
    """The same model, the same weights, with ids as its only input: (batch, time) -> logits.

    For windows that are full there is nothing to mask. When the compiler knows that the padding
    mask is all ones, it leaves it out, and training takes about two thirds of the time.
    """
    ids = keras.Input((None,), dtype="int32")
    hidden = model.backbone({"token_ids": ids, "padding_mask": ops.ones_like(ids)})
    return keras.Model(ids, model.backbone.token_embedding(hidden, reverse=True))


def hidden_states(model: keras_nlp.models.GPT2CausalLM) -> keras.Model:
    """The same weights, for what reads texts instead of continuing them: classifiers, retrieval.

    The inputs are ids and a padding mask, (batch, time) each, the mask 1 where there is a token and
    0 where there is padding, on the right. The output are the vectors after the last layer
    normalization, (batch, time, width). Those of padding are 0, so that a sum over the time leaves
    them out.
    """
    ids = keras.Input((None,), dtype="int32")
    mask = keras.Input((None,), dtype="int32")
    hidden = model.backbone({"token_ids": ids, "padding_mask": mask})
    return keras.Model([ids, mask], hidden * ops.cast(mask, hidden.dtype)[..., None])
