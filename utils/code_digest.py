"""What a program does, as a digest: equal for texts that differ only in comments and formatting.

A training run and a notebook remember the digests of the code that made them, to know later
whether that code has changed. Nothing is imported or executed here.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path

PACKAGE = "utils"
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def digest_of_source(source: str, *, docstrings: bool) -> str:
    """SHA-256 of what `source` says to Python, as 64 hexadecimal digits.

    Comments and formatting do not count. Python 3.11, 3.12 and 3.13 agree on the digest.

    Args:
        source: the text of a module or of a cell.
        docstrings: whether the docstrings of modules, classes and functions count.

    Raises:
        SyntaxError: for a text that is not Python.
    """
    return _digest(source, docstrings)


def imported_files(source: str, root: Path, skip: Collection[Path] = ()) -> set[Path]:
    """The files of the package `utils` that `source` imports, directly or through one another.

    An import inside a function counts as well. So do the `__init__.py` of the packages around an
    imported module, because Python runs them first. Imports must be absolute.

    Args:
        source: the text of a module or of a cell.
        root: the folder that contains `utils`.
        skip: files that are left out, with what only they import.

    Raises:
        SyntaxError: for a text that is not Python.
    """
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        named = {file for name in _imports(waiting.pop()) for file in _files(name, root)}
        new = named - found - set(skip)
        found |= new
        waiting += [file.read_text(encoding="utf-8") for file in new]
    return found


# Both functions above are asked about the same texts again and again.
@lru_cache(maxsize=256)
def _parse(source: str) -> ast.Module:
    return ast.parse(source)


@lru_cache(maxsize=4096)
def _digest(source: str, docstrings: bool) -> str:
    return hashlib.sha256(_canonical(_parse(source), docstrings).encode()).hexdigest()


def _canonical(node: object, docstrings: bool) -> str:
    """A tree as text, in a form that no version of Python changes (`ast.dump` and `repr` do)."""
    if isinstance(node, list):
        return f"[{','.join(_canonical(item, docstrings) for item in node)}]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    fields = dict(ast.iter_fields(node))
    fields.pop("kind", None)  # the u of u"text"
    if not docstrings and isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False):
        fields["body"] = fields["body"][1:]
    if isinstance(node, ast.JoinedStr):  # Python 3.12.1 ends some format specifications with ""
        fields["values"] = [v for v in node.values if getattr(v, "value", None) != ""]
    parts = [
        f"{name}={_canonical(value, docstrings)}"
        for name, value in fields.items()
        if value is not None and value != []  # a new version adds fields, empty in older code
    ]
    return f"{type(node).__name__}({','.join(parts)})"


@lru_cache(maxsize=1024)
def _imports(source: str) -> tuple[str, ...]:
    """The dotted names that may be modules of the package."""
    names: list[str] = []
    for node in ast.walk(_parse(source)):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(names)


def _files(name: str, root: Path) -> Iterator[Path]:
    """What importing a dotted name executes: the packages on the way, and the module."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return
    for length in range(1, len(parts) + 1):
        base = root.joinpath(*parts[:length])
        yield from (f for f in (base / "__init__.py", base.with_suffix(".py")) if f.is_file())
