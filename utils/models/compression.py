"""Smaller weight matrices: few bits for each number, or zeros in place of the least of them.

    small = quantize(kernel, bits=4, shared=32)    # whole numbers, and a scale for each 32 of them
    kernel = dequantize(small)                     # nearly the same
    packed = pack(small.numbers, bits=4)           # two numbers in a byte

A weight matrix is stored transposed here, (outputs, inputs), as in `plain_gpt2.py`. Lesson 18
explains each function, and measures what it costs.
"""

from typing import NamedTuple

import numpy as np

CHANNEL, TENSOR = "channel", "tensor"
SCALE_BYTES = 2  # of a scale in a file, float16


class Quantized(NamedTuple):
    """A weight matrix in whole numbers; `dequantize` multiplies them by their scales."""

    numbers: np.ndarray  # int8, (outputs, inputs), from -most to most
    scales: np.ndarray  # float16, (outputs, groups), (outputs, 1) or (1, 1)


def most(bits: int) -> int:
    """The largest of the whole numbers; the smallest is its negative, so that zero stays zero."""
    return 2 ** (bits - 1) - 1


def quantize(kernel: np.ndarray, bits: int, shared: str | int = CHANNEL) -> Quantized:
    """Round a weight matrix to whole numbers times a scale.

    The scale is chosen so that the largest number of those that share it is still exact.

    Args:
        kernel: the weight matrix, (outputs, inputs), float32.
        bits: the bits of each whole number, 2 to 8.
        shared: what shares a scale: "tensor", the whole matrix; "channel", the weights of an
            output; or how many inputs of an output, a divisor of their number.
    """
    groups = _grouped(kernel, shared)
    scales = (np.abs(groups).max(axis=-1, keepdims=True) / most(bits)).astype("float16")
    steps = np.where(scales == 0, 1, scales).astype("float32")
    numbers = np.clip(np.rint(groups / steps), -most(bits), most(bits))
    return Quantized(numbers.reshape(kernel.shape).astype("int8"), scales[..., 0])


def dequantize(quantized: Quantized) -> np.ndarray:
    """The matrix that whole numbers and scales stand for, (outputs, inputs), float32."""
    numbers, scales = quantized
    groups = numbers.reshape(*scales.shape, -1).astype("float32")
    return (groups * scales[..., None].astype("float32")).reshape(numbers.shape)


def quantized_bytes(quantized: Quantized, bits: int) -> int:
    """What a matrix takes in a file: its numbers without a gap, and its scales."""
    return -(-quantized.numbers.size * bits // 8) + quantized.scales.size * SCALE_BYTES


def round_between(kernel: np.ndarray, bits: int, shared: str | int = CHANNEL) -> np.ndarray:
    """A matrix rounded to 2**bits levels between the least and the largest number of each group.

    This uses every level, but a group needs a **zero point** beside its scale: the whole number
    that stands for 0. It has `bits` bits, so that 0 is one of the levels.

    Args:
        kernel: the weight matrix, (outputs, inputs), float32.
        bits, shared: the arguments of `quantize`.

    Returns:
        What the whole numbers stand for, in the shape of the kernel.
    """
    groups = _grouped(kernel, shared)
    low = np.minimum(groups.min(axis=-1, keepdims=True), 0)
    high = np.maximum(groups.max(axis=-1, keepdims=True), 0)
    scales = (high - low) / (2**bits - 1)
    steps = np.where(scales == 0, 1, scales)
    zero = np.rint(-low / steps)
    numbers = np.clip(np.rint(groups / steps) + zero, 0, 2**bits - 1)
    return ((numbers - zero) * scales).reshape(kernel.shape).astype("float32")


def _grouped(kernel: np.ndarray, shared: str | int) -> np.ndarray:
    """The kernel as (outputs, groups, inputs of a group) or, for one scale, (1, 1, all)."""
    if shared == TENSOR:
        return kernel.reshape(1, 1, -1)
    return kernel.reshape(
        len(kernel),
        -1,
        kernel.shape[1] if shared == CHANNEL else shared,  # type: ignore[arg-type]
    )


# ---- bits in bytes -------------------------------------------------------------------------------


def pack(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers from -most to most, each in so many bits, without a gap: uint8, one axis."""
    positive = (numbers.astype("int16") + most(bits)).astype("uint8").reshape(-1, 1)
    return np.packbits(np.unpackbits(positive, axis=1)[:, -bits:])


def unpack(packed: np.ndarray, bits: int, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers that `pack` has packed, int8, in their shape."""
    size = int(np.prod(shape))
    used = np.unpackbits(packed, count=size * bits).reshape(size, bits)
    positive = np.packbits(np.pad(used, [(0, 0), (8 - bits, 0)]), axis=1)
    return (positive.astype("int16") - most(bits)).astype("int8").reshape(shape)


# ---- rounding that looks at the inputs -----------------------------------------------------------


def quantize_for_inputs(
    kernel: np.ndarray, inputs: np.ndarray, bits: int, shared: int, damping: float = 0.01
) -> Quantized:
    """GPTQ: round a matrix so that its products with the inputs change little.

    One column after the other is rounded, and the columns that are still to come are changed so
    that they make up for the error. How much each of them has to change follows from the inputs:
    the inverse of their matrix of products, in Cholesky's form, has the numbers.

    Source: Frantar and others, *GPTQ: Accurate Post-Training Quantization for Generative
    Pre-trained Transformers*, 2022, algorithm 1, without its blocks, which only save time.

    Args:
        kernel: the weight matrix, (outputs, inputs), float32.
        inputs: examples of what the matrix is multiplied with, (examples, inputs).
        bits: the bits of each whole number, 2 to 8.
        shared: how many inputs of an output share a scale.
        damping: part of the mean diagonal that is added to it, so that the inverse exists.
    """
    products = inputs.T.astype("float64") @ inputs  # (inputs, inputs)
    size = len(products)
    products += np.eye(size) * (damping * np.trace(products) / size)
    upper = np.linalg.cholesky(np.linalg.inv(products)).T  # inverse = upper.T @ upper
    left = kernel.astype("float64")
    numbers = np.empty(kernel.shape, "int8")
    scales = np.empty((len(kernel), size // shared), "float16")
    for column in range(size):
        group, position = divmod(column, shared)
        if position == 0:
            scales[:, group] = quantize(left[:, column : column + shared], bits).scales[:, 0]
        steps = np.where(scales[:, group] == 0, 1, scales[:, group]).astype("float64")
        rounded = np.clip(np.rint(left[:, column] / steps), -most(bits), most(bits))
        numbers[:, column] = rounded
        error = (left[:, column] - rounded * steps) / upper[column, column]
        left[:, column:] -= error[:, None] * upper[column, column:]
    return Quantized(numbers, scales)


# ---- zeros ---------------------------------------------------------------------------------------


def prune(kernel: np.ndarray, share: float) -> np.ndarray:
    """The array with the given share of its numbers set to zero, those nearest to zero."""
    if not (zeros := round(share * kernel.size)):
        return kernel.copy()
    limit = np.partition(np.abs(kernel), zeros - 1, axis=None)[zeros - 1]
    return np.where(np.abs(kernel) <= limit, 0, kernel).astype(kernel.dtype)
