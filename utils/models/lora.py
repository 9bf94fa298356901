"""LoRA on a keras-nlp GPT-2: put it in, and merge it into plain weights.

add_lora(model, rank=8)            # now only the adapter is trainable
plain = merged(model)              # a GPT-2 without any trace of LoRA, with the same outputs
"""

import keras
import keras_nlp
import numpy as np

from utils.models.gpt2 import build_gpt2, size_of

MATRICES = {  # the weight matrices of a block, and what keras-nlp calls their layers
    "query": "query",
    "key": "key",
    "value": "value",
    "output": "attention_output",
    "up": "feedforward_intermediate_dense",
    "down": "feedforward_output_dense",
}


def add_lora(
    model: keras_nlp.models.GPT2CausalLM,
    rank: int,
    alpha: float | None = None,
    matrices: tuple[str, ...] = tuple(MATRICES),
) -> None:
    """Freeze a GPT-2 and give some of its weight matrices an adapter; its outputs do not change.

    Source: Hu and others, *LoRA: Low-Rank Adaptation of Large Language Models*, 2021. Keras keeps
    the kernels of query, key and value with an axis for the heads, and gives each head an A of its
    own, so the change of these three matrices can have a rank of heads * rank.

    Args:
        model: the GPT-2; it is changed in place.
        rank: the rank of each A and B.
        alpha: the scale of the change, which is multiplied by alpha / rank; None for a factor of 1.
        matrices: which of `MATRICES`, in every block.
    """
    model.backbone.trainable = True
    for layer in model.backbone._flatten_layers(include_self=False):
        layer.trainable = False
    for layer in _named(model, matrices):
        layer.trainable = True
        layer.enable_lora(rank, lora_alpha=rank if alpha is None else alpha)
        layer.bias.trainable = False  # Keras would train it, but LoRA is about matrices


def _named(model: keras_nlp.models.GPT2CausalLM, matrices: tuple[str, ...]) -> list[keras.Layer]:
    names = {MATRICES[matrix] for matrix in matrices}
    layers = model.backbone._flatten_layers(include_self=False)
    return [layer for layer in layers if layer.name in names and hasattr(layer, "enable_lora")]


def lora_variables(model: keras_nlp.models.GPT2CausalLM) -> dict[str, keras.Variable]:
    """The A and B of every adapter by their path in the model."""
    return {
        variable.path: variable
        for variable in model.backbone.weights
        if variable.name.startswith("lora_")
    }


def merged(model: keras_nlp.models.GPT2CausalLM) -> keras_nlp.models.GPT2CausalLM:
    """A plain GPT-2 whose weight matrices contain the adapters.

    Args:
        model: a GPT-2 with or without adapters; it is not modified.
    """
    backbone = model.backbone
    arrays = {variable.path: np.asarray(variable) for variable in backbone.weights}
    for layer in backbone._flatten_layers(include_self=False):
        if getattr(layer, "lora_enabled", False):
            arrays[layer._kernel.path] = np.asarray(layer.kernel)  # W + (alpha / rank) A B
    plain = build_gpt2(backbone.vocabulary_size, size_of(model))
    plain.backbone.set_weights([arrays[variable.path] for variable in plain.backbone.weights])
    return plain
