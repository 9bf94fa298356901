"""Activation-aware rounding (AWQ): finer steps for the weights whose inputs are large.

    small = quantize_activation_aware(kernel, inputs, bits=4, shared=32)
    kernel = dequantize_activation_aware(small)    # nearly the same where the inputs are large

A column of a weight matrix is multiplied with one input. If it is multiplied by a factor before
rounding, and divided by it again afterwards, its steps are finer by this factor. Lesson 18 explains
it, and holds it against rounding to the nearest number and against GPTQ (`compression.py`).

Source: Lin and others, *AWQ: Activation-aware Weight Quantization for LLM Compression and
Acceleration*, 2023, section 3.
"""

from typing import NamedTuple

import numpy as np

from utils.models.compression import Quantized, dequantize, quantize, quantized_bytes

ALPHAS = tuple(np.linspace(0, 1, 21))  # 0, 0.05, … 1
SMALLEST = 1e-4  # of the mean sizes of the inputs, as a part of the largest one
FACTOR_BYTES = 4  # of an input's factor in a file, float32


class ActivationAware(NamedTuple):
    """A weight matrix whose columns were multiplied by factors, then rounded."""

    quantized: Quantized  # of kernel * factors
    factors: np.ndarray  # float32, (inputs,)
    alpha: float  # how much the factors follow the inputs: 0 not at all, 1 in proportion


def factors_of(inputs: np.ndarray, alpha: float) -> np.ndarray:
    """A factor for each input: its mean size to the power of alpha, (inputs,), float32.

    They are divided by the square root of the largest times the smallest, so that these two are
    equally far from 1.

    Args:
        inputs: examples of what a matrix is multiplied with, (examples, inputs).
        alpha: a number from 0, where all factors are 1, to 1.
    """
    sizes = np.abs(inputs).mean(axis=0, dtype="float64")
    if not sizes.any():
        return np.ones(len(sizes), "float32")
    factors = np.maximum(sizes, SMALLEST * sizes.max()) ** alpha
    return (factors / np.sqrt(factors.max() * factors.min())).astype("float32")


def quantize_activation_aware(
    kernel: np.ndarray, inputs: np.ndarray, bits: int, shared: int
) -> ActivationAware:
    """AWQ: round a matrix with that alpha of `ALPHAS` that changes its outputs least.

    The squared error of the outputs, |X D^T|² for a difference D of the matrices, is the sum of
    D (X^T X) times D. So the examples X are read once, and not once for each alpha.

    Args:
        kernel: the weight matrix, (outputs, inputs), float32.
        inputs: examples of what the matrix is multiplied with, (examples, inputs).
        bits: the bits of each whole number, 2 to 8.
        shared: how many inputs of an output share a scale.
    """
    products = inputs.T.astype("float64") @ inputs  # (inputs, inputs)

    def error(small: ActivationAware) -> float:
        off = dequantize_activation_aware(small).astype("float64") - kernel
        return float(np.sum((off @ products) * off))

    tried = []
    for alpha in ALPHAS:
        factors = factors_of(inputs, alpha)
        tried.append(ActivationAware(quantize(kernel * factors, bits, shared), factors, alpha))
    return min(tried, key=error)


def dequantize_activation_aware(small: ActivationAware) -> np.ndarray:
    """The matrix that numbers, scales and factors stand for, (outputs, inputs), float32."""
    return dequantize(small.quantized) / small.factors


def activation_aware_bytes(small: ActivationAware, bits: int) -> int:
    """What the matrix takes in a file: numbers without a gap, scales, and a factor an input.

    The factors take nothing where the layer before can be divided by them, as in the paper.
    """
    return quantized_bytes(small.quantized, bits) + small.factors.size * FACTOR_BYTES
