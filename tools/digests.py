"""What a notebook's outputs depend on, as digests: when one differs, the outputs are stale."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

from utils.code_digest import digest_of_source, imported_files

DIGITS = 8
# Modules that cannot change what a notebook printed: they read a command line, keep files, or judge
# answers, of which a notebook of the course has none. (A test holds what it prints instead.)
WITHOUT_EFFECT = (
    "utils/command_line.py",
    "utils/course/hyperparameters.py",
    "utils/exercises",
    "utils/files.py",
    "utils/paths.py",
    "utils/training/presets.py",
)


def digest(text: str) -> str:
    """Eight hexadecimal digits that stand for `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def code_digest(source: str) -> str:
    """A digest of what a cell does: comments and formatting do not count.

    Strings do: a cell may show the docstring of a function that it defines.
    """
    return digest_of_source(source, docstrings=True)[:DIGITS]


def file_digest(path: Path) -> str:
    """The digest of a module's code, or of a data file's text.

    The docstrings of a module count only when it reads one of them itself, as `__doc__`.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return digest(text)
    return digest_of_source(text, docstrings="__doc__" in text)[:DIGITS]


def used_files(source: str, root: Path) -> list[Path]:
    """The files of the project that `source` depends on, itself left out.

    Modules of `utils` count when they are imported, directly or by one another; a file in
    `datasets/` counts when its name stands in the code as a string.
    """
    modules = imported_files(source, root)
    texts = [source, *(module.read_text(encoding="utf-8") for module in modules)]
    found = modules | {file for text in texts for file in _data_files(text, root)}
    without_effect = {root / name for name in WITHOUT_EFFECT}
    return sorted(file for file in found if without_effect.isdisjoint([file, *file.parents]))


def _data_files(source: str, root: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "/" not in node.value:
            path = root / "datasets" / node.value
            if path.suffix in (".csv", ".json", ".jsonl", ".txt") and path.is_file():
                yield path
