"""Read a GGUF file: a model's settings, its tokenizer and its weights in one file. See lesson 16.

    file = read_gguf("SmolLM2-135M-Instruct.Q4_1.gguf")
    file.metadata["llama.block_count"]             # 30
    file.tensors["blk.0.attn_q.weight"].unpack()   # float32, (outputs, inputs)

The format, all numbers little-endian: `GGUF`, the version, how many tensors and how many entries of
metadata; the entries (name, type, value); for each tensor its name, shape, kind and where its data
start; then the data. Source: the specification `gguf.md` in the repository of ggml.
"""

import math
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from utils.errors import CourseError

FORMATS = "BbHhIif?sAQqd"  # of the types 0 to 12, as `struct` calls them; s: text, A: array
VERSIONS = (2, 3)


class Kind(NamedTuple):
    """How the numbers of a tensor are stored: in blocks of `size` numbers, one `dtype` a block."""

    name: str
    size: int
    dtype: np.dtype


KINDS = {
    0: Kind("F32", 1, np.dtype("<f4")),
    1: Kind("F16", 1, np.dtype("<f2")),
    3: Kind("Q4_1", 32, np.dtype([("scale", "<f2"), ("low", "<f2"), ("pairs", "u1", 16)])),
    8: Kind("Q8_0", 32, np.dtype([("scale", "<f2"), ("numbers", "i1", 32)])),
}


class GGUFError(CourseError):
    """A file that is no GGUF, is damaged, or has a kind of tensor that the course cannot read."""


class Tensor(NamedTuple):
    """A tensor as it is stored.

    Attributes:
        kind: "F32", "F16", "Q4_1" or "Q8_0".
        shape: its sizes, the axis of the outputs first (the file has them the other way round).
        blocks: the blocks, memory-mapped, shape[:-1] + (blocks a row,); a block of Q4_1 or Q8_0 has
            fields.
    """

    kind: str
    shape: tuple[int, ...]
    blocks: np.ndarray

    def unpack(self) -> np.ndarray:
        """The numbers in float32, of shape `shape`."""
        unpack = {"Q4_1": unpack_q4_1, "Q8_0": unpack_q8_0}.get(self.kind, np.float32)
        return np.asarray(unpack(self.blocks)).reshape(self.shape)


class GGUF(NamedTuple):
    """What is in a file: `metadata` by key, `tensors` by name."""

    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def unpack_q4_1(blocks: np.ndarray) -> np.ndarray:
    """Blocks (...,) of 32 numbers from 0 to 15, two in a byte: (..., 32) float32.

    The lower four bits of the 16 bytes are the first 16 numbers, the upper four bits the others.
    """
    pairs = blocks["pairs"]
    numbers = np.concatenate([pairs & 15, pairs >> 4], axis=-1).astype(np.float32)
    scale, low = (blocks[field].astype(np.float32)[..., None] for field in ("scale", "low"))
    return scale * numbers + low


def unpack_q8_0(blocks: np.ndarray) -> np.ndarray:
    """Blocks (...,) of 32 numbers from -128 to 127: (..., 32) float32."""
    return blocks["scale"].astype(np.float32)[..., None] * blocks["numbers"].astype(np.float32)


def read_gguf(path: Path | str) -> GGUF:
    """Read a file; the tensors stay on the disk until they are used.

    Raises:
        GGUFError: if there is no such file, or one that cannot be read as a GGUF.
    """
    try:
        data = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as error:  # ValueError: an empty file
        reason = getattr(error, "strerror", None) or "it is empty"
        raise GGUFError(f"{path} cannot be read ({reason}).") from None
    try:
        return _Reader(data).file()
    except (struct.error, ValueError, IndexError, UnicodeDecodeError):
        raise GGUFError(f"{path} is not a whole GGUF file: fetch it again.") from None
    except KeyError as error:
        raise GGUFError(
            f"{path} has tensors of kind {error}: the course reads F32, F16, Q4_1 and Q8_0."
        ) from None


class _Reader:
    """Reads a file from its beginning, one number or text after the other."""

    def __init__(self, data: np.ndarray):
        self.data, self.position = data, 0
        self.bytes = memoryview(data)  # type: ignore[arg-type]

    def file(self) -> GGUF:
        if bytes(self.bytes[:4]) != b"GGUF" or self.numbers("4sI")[1] not in VERSIONS:
            raise ValueError
        num_tensors, num_entries = self.numbers("QQ")
        metadata = {self.text(): self.value(self.numbers("I")[0]) for _ in range(num_entries)}
        heads = {self.text(): self.tensor_head() for _ in range(num_tensors)}
        alignment = metadata.get("general.alignment", 32)
        start = math.ceil(self.position / alignment) * alignment
        return GGUF(metadata, {name: self.tensor(start, *head) for name, head in heads.items()})

    def numbers(self, formats: str) -> tuple:
        numbers = struct.unpack_from(f"<{formats}", self.bytes, self.position)
        self.position += struct.calcsize(f"<{formats}")
        return numbers

    def text(self) -> str:
        (length,) = self.numbers("Q")
        self.position += length
        return str(self.bytes[self.position - length : self.position], "utf-8")

    def value(self, kind: int) -> Any:
        form = FORMATS[kind]
        if form == "s":
            return self.text()
        if form == "A":
            kind, count = self.numbers("IQ")
            if FORMATS[kind] in "sA":
                return [self.value(kind) for _ in range(count)]
            return list(self.numbers(f"{count}{FORMATS[kind]}"))
        return self.numbers(form)[0]

    def tensor_head(self) -> tuple[tuple[int, ...], int, int]:
        (axes,) = self.numbers("I")
        *sizes, kind, offset = self.numbers(f"{axes}QIQ")
        return tuple(reversed(sizes)), kind, offset

    def tensor(self, start: int, shape: tuple[int, ...], number: int, offset: int) -> Tensor:
        kind = KINDS[number]
        blocks = (*shape[:-1], shape[-1] // kind.size)
        data = self.data[start + offset :][: math.prod(blocks) * kind.dtype.itemsize]
        return Tensor(kind.name, shape, data.view(kind.dtype).reshape(blocks))
