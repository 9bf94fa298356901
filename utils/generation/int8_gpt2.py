"""GPT-2 with weight matrices in int8, for several texts at once, as `int8_llama.py` for Llama.

    model = Int8GPT2(read_weights(gpt2), num_heads=12, end_id=50256)
    cache = model.empty_cache(8)                             # of eight texts
    x = model.read(tokens, positions, cache, slots=[0, 3])   # two of them, each at its position
    logits = model.logits(x)

`Int8Product` multiplies with the weight matrices; the rest is NumPy, and nothing is compiled. See
lesson 18, which measures how much faster that is, and what rounding to int8 changes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from utils.generation import plain_gpt2
from utils.generation.generator import Generator
from utils.generation.int8 import Int8Product

Product = Callable[[np.ndarray], np.ndarray]  # (rows, inputs) -> (rows, outputs)


class LayerCache(NamedTuple):
    """The keys and values of one layer; each text has a slot."""

    keys: np.ndarray  # (slots, heads, length, head_dim)
    values: np.ndarray  # (slots, heads, length, head_dim)


class Linear(NamedTuple):
    """A product with a weight matrix, and the bias that is added to it."""

    product: Product
    bias: np.ndarray  # (outputs,)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x (rows, inputs): (rows, outputs)."""
        return self.product(x) + self.bias


class Norm(NamedTuple):
    """Layer normalization."""

    gamma: np.ndarray  # (width,)
    beta: np.ndarray  # (width,)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x (rows, width) with mean 0 and variance 1 in each row, scaled and moved."""
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.einsum("ij,ij->i", centred, centred)[:, None] / x.shape[1]
        return centred / np.sqrt(variance + 1e-5) * self.gamma + self.beta


class Block(NamedTuple):
    """The parts of one transformer block."""

    ln_1: Norm
    qkv: Linear
    out: Linear
    ln_2: Norm
    up: Linear
    down: Linear


class Int8GPT2:
    """The model, as `utils.serving` takes one that is not compiled.

    Attributes:
        context: the length of the longest text, in tokens.
        vocabulary_size: the number of tokens in the vocabulary.
        end_id: the id of the token that ends a text.

    Args:
        weights: the parameters of a GPT-2, as `read_weights` of `plain_gpt2` returns them.
        num_heads: attention heads in each block.
        end_id: the id of the token that ends a text.
        product: the function that makes the product with a weight matrix, (outputs, inputs).
    """

    any_length = True  # the time of a step depends on the texts, not on the context

    def __init__(
        self,
        weights: plain_gpt2.Weights,
        num_heads: int,
        end_id: int,
        product: Callable[[np.ndarray], Product] = Int8Product,
    ):
        self.num_heads, self.end_id = num_heads, end_id
        self._tokens = np.asarray(weights.token_embedding)
        self._positions = np.asarray(weights.position_embedding)
        self.context, self.vocabulary_size = len(self._positions), len(self._tokens)
        self._blocks = [_block(block, product) for block in weights.blocks]
        self._norm = Norm(np.asarray(weights.ln_f_gamma), np.asarray(weights.ln_f_beta))
        self._head = product(self._tokens)
        self._attended = weights.blocks[0].out_kernel.shape[1]

    def check(self, prompts: Sequence[Sequence[int]], length: int, seed: int) -> None:
        """Raise GenerationError if a prompt, the length or the seed is out of range."""
        Generator.check(self, prompts, length, seed)  # type: ignore[arg-type]

    def empty_cache(self, slots: int) -> list[LayerCache]:
        """A cache for texts of the whole context; its memory is taken when it is written."""
        head_dim = self._attended // self.num_heads
        shape = (slots, self.num_heads, self.context, head_dim)
        return [
            LayerCache(np.zeros(shape, "float32"), np.zeros(shape, "float32")) for _ in self._blocks
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
        where = (positions[:, None] + np.arange(tokens.shape[1])).reshape(-1)
        x = self._tokens[tokens.reshape(-1)] + self._positions[where]
        for block, layer in zip(self._blocks, cache, strict=True):
            qkv = block.qkv(block.ln_1(x)).reshape(*tokens.shape, 3, self.num_heads, -1)
            x = x + block.out(_attention(qkv, positions, layer, slots))
            x = x + block.down(_gelu(block.up(block.ln_2(x))))
        return x

    def logits(self, x: np.ndarray) -> np.ndarray:
        """The logits for the token after each row of x, (rows, width): (rows, vocabulary)."""
        return self._head(self._norm(x))

    def continued(self, prompt: Sequence[int], length: int) -> Iterator[int]:
        """Continue one prompt with the likeliest token each time; the end id is the last one.

        Raises:
            GenerationError: if the prompt does not fit.
        """
        self.check([prompt], length, 0)
        return self._continued(list(prompt), length)

    def _continued(self, text: list[int], length: int) -> Iterator[int]:
        cache, tokens, position = self.empty_cache(1), np.array([text]), 0
        while len(text) < length:
            x = self.read(tokens, np.array([position]), cache, [0])
            position = len(text)
            text.append(int(self.logits(x[-1:])[0].argmax()))
            yield text[-1]
            if text[-1] == self.end_id:
                return
            tokens = np.array([text[-1:]])


def _block(block: plain_gpt2.Block, product: Callable[[np.ndarray], Product]) -> Block:
    b = plain_gpt2.Block(*map(np.asarray, block))
    return Block(
        ln_1=Norm(b.ln_1_gamma, b.ln_1_beta),
        qkv=Linear(product(b.qkv_kernel), b.qkv_bias),
        out=Linear(product(b.out_kernel), b.out_bias),
        ln_2=Norm(b.ln_2_gamma, b.ln_2_beta),
        up=Linear(product(b.mlp_up_kernel), b.mlp_up_bias),
        down=Linear(product(b.mlp_down_kernel), b.mlp_down_bias),
    )


def _attention(qkv, positions, layer, slots):
    """Causal self-attention of the new tokens, qkv (texts, new, 3, heads, head_dim)."""
    texts, new, _, heads, head_dim = qkv.shape
    queries, keys, values = qkv.transpose(2, 0, 3, 1, 4)  # each (texts, heads, new, head_dim)
    queries = queries / math.sqrt(head_dim)
    mixed = np.empty((texts, new, heads * head_dim), "float32")
    for text, (slot, start) in enumerate(zip(slots, positions, strict=True)):
        end = start + new
        layer.keys[slot, :, start:end], layer.values[slot, :, start:end] = keys[text], values[text]
        mixed[text] = _mix(queries[text], layer.keys[slot, :, :end], layer.values[slot, :, :end])
    return mixed.reshape(texts * new, -1)


def _mix(queries, keys, values):
    """The attention of the last tokens of one text, (heads, new, head_dim), to all of it.

    Returns:
        The mean of the values, weighted by attention, (new, heads * head_dim).
    """
    _, new, _ = queries.shape
    scores = queries @ keys.swapaxes(1, 2)  # (heads, new, length)
    if new > 1:  # a token does not see those after it
        scores[..., -new:] += np.triu(np.full((new, new), -math.inf, "float32"), 1)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = (p @ values) / p.sum(axis=-1, keepdims=True)
    return mixed.swapaxes(0, 1).reshape(new, -1)


def _gelu(x):
    """GPT-2's activation function, the tanh approximation of GELU."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))
