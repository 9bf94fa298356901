"""The parameters of a Llama, such as SmolLM2, by name; read from what a GGUF file holds.

    file = read_gguf(download("smollm2"))
    config = read_config(file.metadata)
    weights = read_weights(config, file.tensors)      # NumPy, float32, 540 MB for SmolLM2-135M

Lesson 15 builds a Llama's block, lesson 16 the whole model.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from utils.errors import CourseError


class Config(NamedTuple):
    """The numbers of a Llama."""

    num_layers: int
    width: int  # numbers of a token's vector
    inner: int  # of the feed-forward network
    num_heads: int  # of queries
    num_kv_heads: int  # of keys and values; each serves num_heads // num_kv_heads heads of queries
    head_dim: int
    context: int  # the most tokens it was trained to read
    vocabulary_size: int
    rope_base: float
    epsilon: float  # of RMSNorm


class Block(NamedTuple):
    """The parameters of one block. Weight matrices are stored transposed, (outputs, inputs).

    In a GGUF the rows of query and key are in such an order that rotary positions turn neighbours:
    rows 0 and 1 of a head, 2 and 3, and so on. (Keras turns the first half against the second.)
    """

    attention_norm: np.ndarray  # (width,)
    query: np.ndarray  # (num_heads * head_dim, width)
    key: np.ndarray  # (num_kv_heads * head_dim, width)
    value: np.ndarray  # (num_kv_heads * head_dim, width)
    output: np.ndarray  # (width, num_heads * head_dim)
    mlp_norm: np.ndarray  # (width,)
    gate: np.ndarray  # (inner, width)
    up: np.ndarray  # (inner, width)
    down: np.ndarray  # (width, inner)


class Weights(NamedTuple):
    """The parameters of a Llama whose token embedding is its output layer, too."""

    token_embedding: np.ndarray  # (vocabulary, width)
    blocks: list[Block]
    norm: np.ndarray  # (width,), before the output layer


NAMES = {
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "mlp_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}  # of the parameters of a block in a GGUF


def read_config(metadata: Mapping[str, Any]) -> Config:
    """The numbers of the model in a GGUF file.

    Args:
        metadata: the metadata of the file, see `utils.data.gguf_reader`.

    Raises:
        CourseError: if the file holds another kind of model.
    """
    if (kind := metadata.get("general.architecture")) != "llama":
        raise CourseError(f"The file holds a model of kind {kind}: the course reads llama.")
    num_heads = metadata["llama.attention.head_count"]
    return Config(
        num_layers=metadata["llama.block_count"],
        width=metadata["llama.embedding_length"],
        inner=metadata["llama.feed_forward_length"],
        num_heads=num_heads,
        num_kv_heads=metadata["llama.attention.head_count_kv"],
        head_dim=metadata["llama.embedding_length"] // num_heads,
        context=metadata["llama.context_length"],
        vocabulary_size=len(metadata["tokenizer.ggml.tokens"]),
        rope_base=metadata["llama.rope.freq_base"],
        epsilon=metadata["llama.attention.layer_norm_rms_epsilon"],
    )


def read_weights(config: Config, tensors: Mapping[str, Any]) -> Weights:
    """The parameters of the model in a GGUF file, unpacked.

    Args:
        config: what `read_config` returned.
        tensors: the tensors by name; each has a method `unpack()` that returns float32.

    Raises:
        CourseError: if the model has an output layer of its own, or lacks a parameter.
    """
    if "output.weight" in tensors:
        raise CourseError("The model has an output layer of its own: the course reads tied ones.")

    def read(name: str) -> np.ndarray:
        if (tensor := tensors.get(f"{name}.weight")) is None:
            raise CourseError(f"The file has no tensor {name}.weight.")
        return tensor.unpack()

    return Weights(
        token_embedding=read("token_embd"),
        blocks=[
            Block(**{field: read(f"blk.{number}.{name}") for field, name in NAMES.items()})
            for number in range(config.num_layers)
        ],
        norm=read("output_norm"),
    )
