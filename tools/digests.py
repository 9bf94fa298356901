"""What a notebook's outputs depend on, as digests: when one differs, the outputs are stale."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

# Settings only bound the command line: a new entry cannot change what a notebook printed.
WITHOUT_EFFECT = {"utils/course/hyperparameters.py"}


def digest(text: str) -> str:
    """Eight hexadecimal digits that stand for `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def code_digest(source: str) -> str:
    """A digest of what the code does: comments and formatting do not count."""
    return digest(_canonical(ast.parse(source)))


def used_files(source: str, root: Path) -> list[Path]:
    """The files of the project that `source` depends on, itself left out.

    Modules of `utils` count when they are imported, directly or by one another; a file in
    `datasets/` counts when its name stands in the code as a string.
    """
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        for path in _mentioned(ast.parse(waiting.pop()), root):
            if path not in found:
                found.add(path)
                if path.suffix == ".py":
                    waiting.append(path.read_text(encoding="utf-8"))
    return sorted(p for p in found if p.relative_to(root).as_posix() not in WITHOUT_EFFECT)


def file_digest(path: Path) -> str:
    """The digest of a module's code, or of a data file's bytes."""
    text = path.read_text(encoding="utf-8")
    return code_digest(text) if path.suffix == ".py" else digest(text)


def _canonical(node: object) -> str:
    # ast.dump differs from one Python to the next; class names and filled fields do not.
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
        inside = ",".join(f"{name}={_canonical(value)}" for name, value in fields)
        return f"{type(node).__name__}({inside})"
    if isinstance(node, list):
        return "[" + ",".join(map(_canonical, node)) + "]"
    return repr(node)


def _mentioned(tree: ast.AST, root: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(alias.name, root)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from _module_files(node.module, root)
            for alias in node.names:  # the imported name may be a module itself
                yield from _module_files(f"{node.module}.{alias.name}", root)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _data_file(node.value, root)


def _module_files(name: str, root: Path) -> Iterator[Path]:
    if name.split(".")[0] != "utils":
        return
    base = root.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            yield path


def _data_file(name: str, root: Path) -> Iterator[Path]:
    path = root / "datasets" / name
    if "/" not in name and path.suffix in (".csv", ".jsonl", ".txt") and path.is_file():
        yield path
