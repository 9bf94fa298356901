"""A GPT-2 in a folder, with few bits for each weight: what `python -m utils.compress` writes.

The folder is a preset of keras-nlp, but for its weights: they are in `compressed.npz`, matrices in
whole numbers with their scales, everything else in float32. Reading it makes an ordinary GPT-2.
"""

import math
import zipfile
from pathlib import Path

import keras
import keras_nlp
import numpy as np

from utils.errors import CourseError
from utils.models.compression import CHANNEL, Quantized, dequantize, pack, quantize, unpack

FILE = "compressed.npz"
GROUP, LEAST_GROUP = 32, 8  # inputs that share a scale where a number has less than eight bits
NUMBERS, SCALES = ":numbers", ":scales"


def is_compressed(folder: Path) -> bool:
    """Whether a folder holds a GPT-2 that has been written by `save_compressed`."""
    return (folder / FILE).is_file()


def save_compressed(model: keras_nlp.models.GPT2CausalLM, folder: Path, bits: int) -> None:
    """Write a GPT-2 with its tokenizer into a folder, its weight matrices rounded to few bits.

    Args:
        model: the GPT-2; it is not modified.
        folder: an empty one.
        bits: the bits of each weight, 2 to 8; from 8 on the weights of an output share a scale,
            otherwise each group of them has its own.
    """
    model.save_to_preset(str(folder))
    for path in folder.glob("*.weights.*"):
        path.unlink()
    arrays = {"bits": np.array(bits, "int64")}
    for variable in model.backbone.weights:
        array = np.asarray(variable, "float32")
        if _is_matrix(variable):
            small = quantize(_as_rows(variable, array), bits, _shared(variable, bits))
            arrays[variable.path + NUMBERS] = pack(small.numbers, bits)
            arrays[variable.path + SCALES] = small.scales
        else:
            arrays[variable.path] = array
    np.savez(folder / FILE, **arrays)  # type: ignore[arg-type]


def load_compressed(folder: Path) -> keras_nlp.models.GPT2CausalLM:
    """A GPT-2 with its tokenizer, from a folder that `save_compressed` has written; in float32.

    Raises:
        CourseError: if a file of it is missing or damaged.
    """
    try:
        model = keras_nlp.models.GPT2CausalLM.from_preset(str(folder.resolve()), load_weights=False)
        with np.load(folder / FILE) as arrays:
            bits = int(arrays["bits"])
            for variable in model.backbone.weights:
                variable.assign(_unpacked(variable, arrays, bits))
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        reason, *_ = f"{type(error).__name__}: {error}".splitlines()
        raise CourseError(
            f"{folder} holds a compressed GPT-2 that cannot be read: write it again with"
            f" `python -m utils.compress` ({reason[:200]})."
        ) from None
    return model


def _unpacked(variable: keras.Variable, arrays, bits: int) -> np.ndarray:
    if not _is_matrix(variable):
        return arrays[variable.path]
    shape = _as_rows(variable, np.broadcast_to(np.float32(0), variable.shape)).shape
    numbers = unpack(arrays[variable.path + NUMBERS], bits, shape)
    rows = dequantize(Quantized(numbers, arrays[variable.path + SCALES]))
    is_kernel = variable.name == "kernel"  # Keras keeps kernels as (inputs, outputs)
    return (rows.T if is_kernel else rows).reshape(variable.shape)


def _is_matrix(variable: keras.Variable) -> bool:
    return variable.name in ("kernel", "embeddings", "position_embeddings")


def _as_rows(variable: keras.Variable, array: np.ndarray) -> np.ndarray:
    """A weight matrix as (outputs, inputs), a table as it is."""
    if variable.name != "kernel":
        return array
    heads_first = "attention_output" in variable.path  # (heads, head_dim, outputs)
    inputs = math.prod(array.shape[:2]) if heads_first else array.shape[0]
    return array.reshape(inputs, -1).T


def _shared(variable: keras.Variable, bits: int) -> str | int:
    inputs = _as_rows(variable, np.broadcast_to(np.float32(0), variable.shape)).shape[1]
    group = math.gcd(GROUP, inputs)
    return CHANNEL if bits == 8 or group < LEAST_GROUP else group
