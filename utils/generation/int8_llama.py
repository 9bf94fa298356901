"""Llama with weight matrices in int8, for several texts at once; written for a chat server.

    model = Int8Llama(config, weights, end_id)
    cache = model.empty_cache(8)                             # of eight texts
    x = model.read(tokens, positions, cache, slots=[0, 3])   # two of them, each at its position
    logits = model.logits(x)

The model of lesson 16, with one change: `Int8Product` multiplies with the weight matrices. The rest
is NumPy, and nothing is compiled: how many texts there are, and how many new tokens each of them
has, may change from step to step.

Its numbers differ from those of `cached_llama.py` by what rounding to int8 changes; the
measurements beside it say how much that is.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from utils.generation.cached_llama import halves_together
from utils.generation.generator import Generator
from utils.generation.int8 import Int8Product
from utils.models import llama
from utils.models.llama import Config

Product = Callable[[np.ndarray], np.ndarray]  # (rows, inputs) -> (rows, outputs)


class LayerCache(NamedTuple):
    """The keys and values of one layer; each text has a slot."""

    keys: np.ndarray  # (slots, length, num_kv_heads, head_dim)
    values: np.ndarray  # (slots, length, num_kv_heads, head_dim)


class Block(NamedTuple):
    """The parameters of one transformer block."""

    attention_norm: np.ndarray  # (width,)
    qkv: Product
    out: Product
    mlp_norm: np.ndarray  # (width,)
    gate_up: Product
    down: Product


class Int8Llama:
    """The model, as `utils.serving` takes one that is not compiled.

    Attributes:
        context: the length of the longest text, in tokens.
        vocabulary_size: the number of tokens in the vocabulary.
        end_id: the id of the token that ends a text.

    Args:
        config: the numbers of the model.
        weights: its parameters, as `utils.models.llama` reads them from a GGUF file.
        end_id: the id of the token that ends a text.
        product: the function that makes the product with a weight matrix, (outputs, inputs).
    """

    any_length = True  # the time of a step depends on the texts, not on the context

    def __init__(
        self,
        config: Config,
        weights: llama.Weights,
        end_id: int,
        product: Callable[[np.ndarray], Product] = Int8Product,
    ):
        self.config, self.end_id = config, end_id
        self.context, self.vocabulary_size = config.context, config.vocabulary_size
        self._embedding, self._norm = weights.token_embedding, weights.norm
        self._blocks = [_block(block, config.head_dim, product) for block in weights.blocks]
        self._head = product(weights.token_embedding)
        exponents = np.arange(0, config.head_dim, 2) / config.head_dim
        angles = np.arange(config.context)[:, None] * config.rope_base**-exponents
        self._turn = np.stack([np.cos(angles), np.sin(angles)]).astype("float32")

    def check(self, prompts: Sequence[Sequence[int]], length: int, seed: int) -> None:
        """Raise GenerationError if a prompt, the length or the seed is out of range."""
        Generator.check(self, prompts, length, seed)  # type: ignore[arg-type]

    def empty_cache(self, slots: int) -> list[LayerCache]:
        """A cache for texts of the whole context; its memory is taken when it is written."""
        config = self.config
        shape = (slots, config.context, config.num_kv_heads, config.head_dim)
        return [
            LayerCache(np.zeros(shape, "float32"), np.zeros(shape, "float32"))
            for _ in range(config.num_layers)
        ]

    def read(
        self,
        tokens: np.ndarray,
        positions: np.ndarray,
        cache: list[LayerCache],
        slots: Sequence[int],
    ) -> np.ndarray:
        """Read the next tokens of some texts; their keys and values are put into the cache.

        Args:
            tokens: ids, (texts, new).
            positions: the position of the first new token in each text, (texts,).
            cache: the keys and values of all earlier positions.
            slots: the slots of these texts in the cache.

        Returns:
            What the blocks make of each new token, (texts * new, width).
        """
        where = positions[:, None] + np.arange(tokens.shape[1])
        turn = self._turn[:, where, None]  # (2, texts, new, 1, head_dim / 2)
        x = self._embedding[tokens.reshape(-1)]
        for block, layer in zip(self._blocks, cache, strict=True):
            qkv = block.qkv(self._rms_norm(x, block.attention_norm))
            qkv = qkv.reshape(*tokens.shape, -1, self.config.head_dim)
            x = x + block.out(self._attention(qkv, turn, positions, layer, slots))
            gate, up = np.split(block.gate_up(self._rms_norm(x, block.mlp_norm)), 2, axis=-1)
            x = x + block.down(_silu(gate) * up)
        return x

    def logits(self, x: np.ndarray) -> np.ndarray:
        """The logits for the token after each row of x, (rows, width): (rows, vocabulary)."""
        return self._head(self._rms_norm(x, self._norm))

    def _rms_norm(self, x: np.ndarray, gamma: np.ndarray) -> np.ndarray:
        """x with mean square 1 along its last axis, then scaled by gamma."""
        mean_square = np.einsum("ij,ij->i", x, x)[:, None] / x.shape[1]
        return x / np.sqrt(mean_square + self.config.epsilon) * gamma

    def _attention(self, qkv, turn, positions, layer, slots):
        """Causal self-attention of the new tokens, qkv (texts, new, heads, head_dim)."""
        heads, kv_heads = self.config.num_heads, self.config.num_kv_heads
        texts, new, _, head_dim = qkv.shape
        turned = _rotate(qkv[:, :, : heads + kv_heads], turn)
        turned[:, :, :heads] /= math.sqrt(head_dim)
        mixed = np.empty((texts, new, heads * head_dim), "float32")
        for text, (slot, start) in enumerate(zip(slots, positions, strict=True)):
            keys, values = layer.keys[slot], layer.values[slot]
            end = start + new
            keys[start:end] = turned[text, :, heads:]
            values[start:end] = qkv[text, :, heads + kv_heads :]
            mixed[text] = _mix(turned[text, :, :heads], keys[:end], values[:end])
        return mixed.reshape(texts * new, -1)


def _block(block: llama.Block, head_dim: int, product: Callable[[np.ndarray], Product]) -> Block:
    """The matrices that are multiplied by the same rows, in one product."""
    query, key = (halves_together(kernel, head_dim) for kernel in (block.query, block.key))
    return Block(
        attention_norm=block.attention_norm,
        qkv=product(np.concatenate([query, key, block.value])),
        out=product(block.output),
        mlp_norm=block.mlp_norm,
        gate_up=product(np.concatenate([block.gate, block.up])),
        down=product(block.down),
    )


def _rotate(x, turn):
    """Turn each pair of features, one in each half of a head, by the angle of its position."""
    (cos, sin), (a, b) = turn, np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def _mix(query, keys, values):
    """The attention of the last tokens of one text to all of it.

    The query heads that share a key head become further rows of its queries.

    Args:
        query: the queries, (new, heads, head_dim).
        keys: the keys, (length, kv_heads, head_dim); the last `new` are those of the new tokens.
        values: the values, (length, kv_heads, head_dim).

    Returns:
        The mean of the values, weighted by attention, (new, heads * head_dim).
    """
    (new, heads, head_dim), (length, kv_heads, _) = query.shape, keys.shape
    query = query.reshape(new, kv_heads, -1, head_dim).transpose(1, 2, 0, 3)
    scores = query.reshape(kv_heads, -1, head_dim) @ keys.transpose(1, 2, 0)
    if new > 1:  # a token does not see those after it
        later = np.triu(np.full((new, new), -math.inf, "float32"), 1)
        scores.reshape(kv_heads, -1, new, length)[..., -new:] += later
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = (p @ values.swapaxes(0, 1)) / p.sum(axis=-1, keepdims=True)
    mixed = mixed.reshape(kv_heads, heads // kv_heads, new, head_dim)
    return mixed.transpose(2, 0, 1, 3).reshape(new, -1)


def _silu(x):
    """x times the logistic function of x; by tanh, which does not overflow."""
    return 0.5 * x * (1 + np.tanh(0.5 * x))
