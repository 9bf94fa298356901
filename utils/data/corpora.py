"""Text to pretrain on: turned into ids once, kept on disk, read through memory maps.

    corpus = load_corpus("tales")        # or another of `NAMES`, or the path of a text file
    corpus.train                         # every id of the training text, (tokens,), not in memory

The text of a corpus is read in blocks, so a file may be larger than the memory. What is on disk is
read without a lock and without writing anything, so a finished folder may be shared read-only.
"""

import codecs
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]

from utils import tales
from utils.data import bpe
from utils.data.downloads import download
from utils.data.keras_tokenizers import VOCABULARY_SIZE
from utils.data.keras_tokenizers import folder as tokenizer_folder
from utils.errors import CourseError
from utils.files import atomic_write, exclusive_lock, not_utf8
from utils.paths import data_dir

TALES = {"tales": "en", "tales-zh": "zh"}
NAMES = (*TALES, "shakespeare", "python_docs")
BLOCK = 1 << 20  # bytes of text in memory at a time
SAMPLE = 1 << 20  # bytes that a new tokenizer learns from
FORMAT = 2  # of the files below; another number makes them anew
CONTENTS = "contents.json"  # what is in a finished folder
IDS = ("train.ids", "validation.ids")
TOKENIZER = ("merges.txt", "vocab.json")


class CorpusError(CourseError):
    """A text that cannot be trained on."""


@dataclass(frozen=True)
class Corpus:
    """A text as ids.

    Attributes:
        name: "tales", or the name of the file.
        digest: the name of its folder; it differs for every other text and tokenizer.
        tokenizer: the tokenizer that made the ids.
        train, validation: ids, (tokens,), uint16, memory-mapped. There is an end id after each
            document, and one before the first, as if another text had ended there.
        documents: True if the text consists of many short documents, each with its own end.
        language: "en" or "zh" if these are the tales, else None.
    """

    name: str
    digest: str
    tokenizer: bpe.Tokenizer
    train: np.ndarray
    validation: np.ndarray
    documents: bool
    language: str | None

    @property
    def vocabulary_size(self) -> int:
        """The number of different ids, the end of a text included."""
        return len(self.tokenizer.tokens)

    @property
    def tokenizer_digest(self) -> str:
        """The SHA-256 of the tokenizer's merges, which decide all of its ids."""
        return hashlib.sha256("\n".join(self.tokenizer.merge_lines).encode()).hexdigest()

    @property
    def floor(self) -> float | None:
        """The lowest possible validation loss in nats per token; None if nobody knows it."""
        if self.language is None:
            return None
        stories = tales.corpus(self.language, "validation")
        ends = np.flatnonzero(self.validation == self.tokenizer.end_id)
        return tales.floor(stories, np.diff(ends).tolist())[0]


def load_corpus(name: str, vocabulary_size: int = VOCABULARY_SIZE) -> Corpus:
    """Return a corpus; the first time, its text is turned into ids, in `data_dir()/tokens`.

    Args:
        name: one of `NAMES`, or the path of a file of UTF-8 text.
        vocabulary_size: the number of tokens of the tokenizer that is trained on the text. The
            tales have a tokenizer already.

    Raises:
        CorpusError: if there is no such file, its text cannot be trained on, or the ids have to be
            made and cannot be written.
        DataUnavailable: if it has to be downloaded and cannot be.
    """
    if name in TALES:
        return _load_tales(name)
    if name == "shakespeare":
        return _load_file(name, download("shakespeare"), vocabulary_size)
    if name == "python_docs":
        return _load_file(name, _python_docs(), vocabulary_size)
    path = Path(name).expanduser()
    if not path.is_file():
        raise CorpusError(
            f"There is no corpus {name!r}: give the path of a text file, or one of"
            f" {', '.join(NAMES)}."
        )
    return _load_file(path.name, path, vocabulary_size)


# ---- the tales -----------------------------------------------------------------------------------


def _load_tales(name: str) -> Corpus:
    language = TALES[name]
    shipped = tokenizer_folder(language)
    tokenizer = bpe.Tokenizer.load(shipped)
    rules = tales.LANGUAGES[language].RULES
    folder = _folder(name, tales.SPLITS, rules, _digest(shipped / "merges.txt"))

    def write(folder: Path) -> None:
        tokenizer.save(folder)
        for split in ("train", "validation"):
            with open(folder / f"{split}.ids", "wb") as file:
                _append(file, [tokenizer.end_id])
                for story in tales.corpus(language, split):
                    _append(file, [*tokenizer.encode(story.text), tokenizer.end_id])

    _make_once(folder, write)
    return _open(name, folder, language)


# ---- any text ------------------------------------------------------------------------------------


def _python_docs() -> Path:
    """The help texts that come with Python (`help("LOOPING")`), as one file."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[title] for title in sorted(topics)).encode()
    path = data_dir() / f"python_docs-{hashlib.sha256(text).hexdigest()[:8]}.txt"

    def is_finished() -> bool:
        return path.is_file() and path.read_bytes() == text

    if not is_finished():
        with _lock(path):
            if not is_finished():
                with atomic_write(path, _cannot_write) as part:
                    part.write_bytes(text)
    return path


def _load_file(name: str, path: Path, vocabulary_size: int) -> Corpus:
    folder = _folder(name, vocabulary_size, _digest(path))

    def write(folder: Path) -> None:
        _check_text(path)
        start, size = _text_start(path), path.stat().st_size
        middle = _character_start(path, int(0.9 * size))  # the last tenth is for validation
        if middle <= start:
            raise CorpusError(
                f"{path} is empty or nearly so: a model needs some text to learn from."
            )
        sample = _sample(path, start, middle)
        tokenizer = bpe.Tokenizer(bpe.train(sample, vocabulary_size - bpe.SMALLEST_VOCABULARY))
        tokenizer.save(folder)
        parts = {"train": (start, middle), "validation": (middle, size)}
        with tqdm(desc=name, total=size, unit="B", unit_scale=True, disable=None) as bar:
            for part, (first, last) in parts.items():
                with open(folder / f"{part}.ids", "wb") as file:
                    _append(file, [tokenizer.end_id])
                    for text in _blocks(path, first, last):
                        _append(file, tokenizer.encode(text))
                        bar.update(len(text.encode()))
                    _append(file, [tokenizer.end_id])

    _make_once(folder, write)
    return _open(name, folder, None)


def _check_text(path: Path) -> None:
    """Raise CorpusError, with the first wrong byte, unless a whole file is text in UTF-8."""
    offset, line, data = 0, 1, b""  # where `data` starts in the file
    with open(path, "rb") as file:
        while True:
            block = file.read(BLOCK)
            data += block
            try:
                _, length = codecs.utf_8_decode(data, "strict", not block)
                wrong = data.find(0)  # allowed in UTF-8, but a text has none
            except UnicodeDecodeError as error:
                wrong = error.start
            if wrong >= 0:
                line += data[:wrong].count(b"\n")
                raise CorpusError(not_utf8(path, line, offset + wrong, data[wrong]))
            if not block:
                return
            offset += length
            line += data[:length].count(b"\n")
            data = data[length:]  # the beginning of a character


def _text_start(path: Path) -> int:
    """The position where the text of a file starts: 0, or behind its byte order mark."""
    with open(path, "rb") as file:
        mark = codecs.BOM_UTF8
        return len(mark) if file.read(len(mark)) == mark else 0


def _blocks(path: Path, start: int, stop: int) -> Iterator[str]:
    """The text between two bytes of a file in pieces that end at the end of a word."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open(path, "rb") as file:
        file.seek(start)
        rest = ""
        while (left := stop - file.tell()) > 0:
            text = rest + decoder.decode(file.read(min(BLOCK, left)))
            cut = max(text.rfind("\n"), text.rfind(" "), 0) or len(text)
            yield text[:cut]
            rest = text[cut:]
        yield rest


def _sample(path: Path, start: int, stop: int) -> str:
    """Pieces from all over the training text, about `SAMPLE` bytes together."""
    pieces = 16
    if stop <= SAMPLE:
        return "".join(_blocks(path, start, stop))
    length = SAMPLE // pieces
    starts = [_character_start(path, start + i * (stop // pieces)) for i in range(pieces)]
    ends = [_character_start(path, start + length) for start in starts]
    return "".join(text for a, b in zip(starts, ends, strict=True) for text in _blocks(path, a, b))


def _character_start(path: Path, position: int) -> int:
    """The first byte from `position` on that begins a character in UTF-8."""
    with open(path, "rb") as file:
        file.seek(position)
        following = file.read(4)
    skip = next((i for i, byte in enumerate(following) if byte & 0xC0 != 0x80), 0)
    return position + skip


# ---- ids on disk ---------------------------------------------------------------------------------


def _folder(name: str, *made_of: object) -> Path:
    digest = hashlib.sha256(json.dumps([FORMAT, *made_of]).encode()).hexdigest()[:12]
    return data_dir() / "tokens" / f"{name}-{digest}"


def _make_once(folder: Path, write: Callable[[Path], None]) -> None:
    """Make a folder with `write`, all of it or nothing, unless it is there and complete."""
    if _is_complete(folder):
        return
    with _lock(folder):
        if _is_complete(folder):  # made by the process that this one has waited for
            return
        if folder.exists():
            print(f"{folder} is damaged: it is made anew.", file=sys.stderr)
        with atomic_write(folder, _cannot_write) as part:
            part.mkdir()
            write(part)
            (part / CONTENTS).write_text(json.dumps(_contents(part)), encoding="utf-8")


def _is_complete(folder: Path) -> bool:
    """Is everything there as it was when the folder was made?"""
    try:
        expected = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        return expected == _contents(folder)
    except (OSError, ValueError):
        return False


def _contents(folder: Path) -> dict[str, int | str]:
    """What tells a complete folder from a damaged one: the ids are large, so only their sizes."""
    sizes = {name: (folder / name).stat().st_size for name in IDS}
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TOKENIZER}
    return sizes | digests


def _lock(path: Path) -> AbstractContextManager[None]:
    waiting = f"Another process is preparing {path.name}: waiting for it."
    return exclusive_lock(path.with_name(f"{path.name}.lock"), waiting, _cannot_write)


def _cannot_write(path: Path, error: OSError) -> CorpusError:
    return CorpusError(
        f"{path} cannot be written ({error.strerror or error}): free some space, or give"
        " --data-dir a folder that you may write to."
    )


def _append(file, ids: list[int]) -> None:
    file.write(np.asarray(ids, dtype="<u2").tobytes())


def _open(name: str, folder: Path, language: str | None) -> Corpus:
    train, validation = (np.memmap(folder / file, dtype="<u2", mode="r") for file in IDS)
    tokenizer = bpe.Tokenizer.load(folder)
    return Corpus(name, folder.name, tokenizer, train, validation, language is not None, language)


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}).") from None
