"""A whole GPT-2 with smaller weight matrices: the functions of `compression.py` for each of them.

The results are plain weights again, in float32, with the values that a small file would hold. So
everything that reads a GPT-2 can judge them; `stored` says how many bytes the file would take.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np

from utils.generation.int8_gpt2 import Int8GPT2
from utils.generation.plain_gpt2 import Weights
from utils.models.compression import (
    CHANNEL,
    dequantize,
    quantize,
    quantize_for_inputs,
    quantized_bytes,
)

BLOCK = ("qkv_kernel", "out_kernel", "mlp_up_kernel", "mlp_down_kernel")
TABLES = ("token_embedding", "position_embedding")
FLOAT = 4  # bytes


class Stored(NamedTuple):
    """Weights in float32, and the bytes that they would take in a file."""

    weights: Weights
    size: int


def as_arrays(weights: Weights) -> Weights:
    """The same weights as NumPy arrays."""
    return keras.tree.map_structure(np.asarray, weights)


def change_matrices(
    weights: Weights, change: Callable[[np.ndarray], tuple[np.ndarray, int]], tables: bool = True
) -> Stored:
    """The weights with every weight matrix changed; biases and normalizations stay as they are.

    Args:
        weights: the parameters of a GPT-2, NumPy arrays.
        change: a function from a matrix (outputs, inputs) to one of the same shape, and its bytes
            in a file.
        tables: whether to change the token embedding and the position embedding, too.
    """
    size = FLOAT * sum(array.size for array in keras.tree.flatten(weights))

    def changed(part, names):
        nonlocal size
        replaced = {}
        for name in names:
            replaced[name], small = change(getattr(part, name))
            size += small - FLOAT * replaced[name].size
        return part._replace(**replaced)

    blocks = [changed(block, BLOCK) for block in weights.blocks]
    weights = changed(weights, TABLES if tables else ())
    return Stored(weights._replace(blocks=blocks), size)


def quantize_gpt2(
    weights: Weights, bits: int, shared: str | int = CHANNEL, tables: bool = True
) -> Stored:
    """A GPT-2 with its matrices rounded, see `quantize`; its other parameters stay in float32."""

    def rounded(kernel: np.ndarray) -> tuple[np.ndarray, int]:
        small = quantize(kernel, bits, shared)
        return dequantize(small), quantized_bytes(small, bits)

    return change_matrices(weights, rounded, tables)


def quantize_gpt2_for_texts(
    weights: Weights, num_heads: int, texts: np.ndarray, bits: int, shared: int
) -> Stored:
    """GPTQ for the matrices of the blocks: rounded so that their outputs for some texts stay near.

    Matrix after matrix is rounded when the texts first reach it, so each one sees inputs that the
    rounded matrices before it have made.

    Args:
        weights: the parameters of a GPT-2, NumPy arrays.
        num_heads: attention heads in each block.
        texts: token ids, (texts, time).
        bits, shared: the arguments of `quantize_for_inputs`.
    """
    products: list[_Calibrated] = []

    def product(kernel: np.ndarray) -> _Calibrated:
        products.append(_Calibrated(kernel, bits, shared))
        return products[-1]

    model = Int8GPT2(weights, num_heads, end_id=-1, product=product)
    count = len(texts)
    model.read(texts, np.zeros(count, int), model.empty_cache(count), range(count))
    made = {id(product.kernel): product for product in products}

    def rounded(kernel: np.ndarray) -> tuple[np.ndarray, int]:
        found = made[id(kernel)]
        return found.rounded, found.size

    return change_matrices(weights, rounded, tables=False)


class _Calibrated:
    """A product that rounds its matrix for the first inputs that it gets."""

    def __init__(self, kernel: np.ndarray, bits: int, shared: int):
        self.kernel, self.bits, self.shared = kernel, bits, shared
        self.rounded = kernel
        self.size = 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if not self.size:
            small = quantize_for_inputs(self.kernel, x, self.bits, self.shared)
            self.rounded, self.size = dequantize(small), quantized_bytes(small, self.bits)
        return x @ self.rounded.T


def inputs_of_matrices(weights: Weights, num_heads: int, texts: np.ndarray) -> Sequence[np.ndarray]:
    """What each matrix of the blocks is multiplied with when texts (texts, time) are read.

    Returns:
        An array (texts * time, inputs) for each matrix, block by block in the order of `BLOCK`.
    """
    seen: list[np.ndarray] = []

    def product(kernel: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        def multiply(x: np.ndarray) -> np.ndarray:
            seen.append(x)
            return x @ kernel.T

        return multiply

    model = Int8GPT2(weights, num_heads, end_id=-1, product=product)
    count = len(texts)
    model.read(texts, np.zeros(count, int), model.empty_cache(count), range(count))
    return seen
