"""Text to pretrain on: turned into ids once, kept on disk, read through memory maps.

    corpus = load_corpus("tales")        # or another of `NAMES`, or the path of a text file
    corpus.train                         # every id of the training text, (tokens,), not in memory

The text of a corpus is read in blocks, so a file may be larger than the memory.
"""

import codecs
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm import tqdm  # type: ignore[import-untyped]

from utils import tales
from utils.data import bpe
from utils.data.downloads import download
from utils.data.keras_tokenizers import VOCABULARY_SIZE
from utils.data.keras_tokenizers import folder as tokenizer_folder
from utils.errors import CourseError
from utils.paths import data_dir

TALES = {"tales": "en", "tales-zh": "zh"}
NAMES = (*TALES, "shakespeare", "python_docs")
BLOCK = 1 << 20  # bytes of text in memory at a time
SAMPLE = 1 << 20  # bytes that a new tokenizer learns from
FORMAT = 1  # of the files below; another number makes them anew


class CorpusError(CourseError):
    """A text that cannot be trained on."""


@dataclass(frozen=True)
class Corpus:
    """A text as ids.

    Attributes:
        name: "tales", or the name of the file.
        digest: tells it from every other text and tokenizer.
        tokenizer: made the ids, and turns others back into text.
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
        vocabulary_size: of the tokenizer that is trained on the text. The tales have theirs.

    Raises:
        CorpusError: if there is no such file, or its text cannot be trained on.
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

    return _open(name, _once(folder, write), language)


# ---- any text ------------------------------------------------------------------------------------


def _python_docs() -> Path:
    """The help texts that come with Python (`help("LOOPING")`), as one file."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[title] for title in sorted(topics))
    path = data_dir() / f"python_docs-{hashlib.sha256(text.encode()).hexdigest()[:8]}.txt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    return path


def _load_file(name: str, path: Path, vocabulary_size: int) -> Corpus:
    folder = _folder(name, vocabulary_size, _digest(path))
    size = path.stat().st_size
    middle = _character_start(path, int(0.9 * size))  # the last tenth is for validation

    def write(folder: Path) -> None:
        merges = bpe.train(_sample(path, middle), vocabulary_size - bpe.SMALLEST_VOCABULARY)
        tokenizer = bpe.Tokenizer(merges)
        tokenizer.save(folder)
        parts = {"train": (0, middle), "validation": (middle, size)}
        with tqdm(desc=name, total=size, unit="B", unit_scale=True, disable=None) as bar:
            for part, (start, stop) in parts.items():
                with open(folder / f"{part}.ids", "wb") as file:
                    _append(file, [tokenizer.end_id])
                    for text in _blocks(path, start, stop):
                        _append(file, tokenizer.encode(text))
                        bar.update(len(text.encode()))
                    _append(file, [tokenizer.end_id])

    if size == 0:
        raise CorpusError(f"{path} is empty: a model needs some text to learn from.")
    return _open(name, _once(folder, write), None)


def _blocks(path: Path, start: int, stop: int) -> Iterator[str]:
    """The text between two bytes of a file in pieces that end at the end of a word."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open(path, "rb") as file:
        file.seek(start)
        rest = ""
        while (left := stop - file.tell()) > 0:
            try:
                text = rest + decoder.decode(file.read(min(BLOCK, left)))
            except UnicodeDecodeError:
                raise _not_text(path) from None
            if "\0" in text:
                raise _not_text(path)
            cut = max(text.rfind("\n"), text.rfind(" "), 0) or len(text)
            yield text[:cut]
            rest = text[cut:]
        yield rest


def _sample(path: Path, stop: int) -> str:
    """Pieces from all over the training text, about `SAMPLE` bytes together."""
    pieces = 16
    if stop <= SAMPLE:
        return "".join(_blocks(path, 0, stop))
    length = SAMPLE // pieces
    starts = [_character_start(path, i * (stop // pieces)) for i in range(pieces)]
    ends = [_character_start(path, start + length) for start in starts]
    return "".join(text for a, b in zip(starts, ends, strict=True) for text in _blocks(path, a, b))


def _character_start(path: Path, position: int) -> int:
    """The first byte from `position` on that begins a character in UTF-8."""
    with open(path, "rb") as file:
        file.seek(position)
        following = file.read(4)
    skip = next((i for i, byte in enumerate(following) if byte & 0xC0 != 0x80), 0)
    return position + skip


def _not_text(path: Path) -> CorpusError:
    return CorpusError(f"{path} is not text in UTF-8: open it in an editor and save it as that.")


# ---- ids on disk ---------------------------------------------------------------------------------


def _folder(name: str, *made_of: object) -> Path:
    digest = hashlib.sha256(json.dumps([FORMAT, *made_of]).encode()).hexdigest()[:12]
    return data_dir() / "tokens" / f"{name}-{digest}"


def _once(folder: Path, write) -> Path:
    """Make a folder with `write`, all of it or nothing; a second process waits for the first."""
    part = folder.with_name(f"{folder.name}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                write(part)
                part.rename(folder)
    except OSError as error:
        raise CorpusError(
            f"{folder} cannot be written ({error.strerror or error}): free some space, or give"
            " --data-dir a folder that you may write to."
        ) from error
    return folder


def _append(file, ids: list[int]) -> None:
    file.write(np.asarray(ids, dtype="<u2").tobytes())


def _open(name: str, folder: Path, language: str | None) -> Corpus:
    train, validation = (
        np.memmap(folder / f"{split}.ids", dtype="<u2", mode="r")
        for split in ("train", "validation")
    )
    tokenizer = bpe.Tokenizer.load(folder)
    return Corpus(name, folder.name, tokenizer, train, validation, language is not None, language)


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}).") from None
