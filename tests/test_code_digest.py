"""The digest of code: what changes it, what does not, and which files an import reaches."""

import ast

import pytest

from utils.code_digest import digest_of_source, imported_files
from utils.paths import REPOSITORY

FUNCTION = '''\
def scaled(value):
    """Twice the value."""
    return 2 * value
'''
# What Python 3.11, 3.12 and 3.13 parse or print differently, or did in one of their releases.
DIFFICULT = r"""
u"text", f"{a!r:{b}}{c}", f"{d = :>{e}}" "f" f"{{g}}", f"", -0.0, 1e400j, "é\U0001fae8", None, ...
def nothing(*, a, b=1) -> None: pass
class Empty: pass
match a:
    case None | {**rest}: pass
"""


def same(one: str, other: str, docstrings: bool = True) -> bool:
    digests = [digest_of_source(source, docstrings=docstrings) for source in (one, other)]
    return digests[0] == digests[1]


def test_comments_and_formatting_do_not_count():
    assert same(FUNCTION, FUNCTION.replace("return 2 * value", "return (2*value)  # twice"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("2", "3"), ("2", "2.0"), ("2", "True"), ("value", "other"), ("scaled", "s"), ("*", "+")],
)
def test_code_counts(old, new):
    assert not same(FUNCTION, FUNCTION.replace(old, new), docstrings=False)


def test_docstrings_count_on_request():
    reworded = FUNCTION.replace("Twice", "Two times")
    assert not same(FUNCTION, reworded, docstrings=True)
    assert same(FUNCTION, reworded, docstrings=False)


@pytest.mark.parametrize("holder", ["", "class A:\n    ", "async def f():\n    "])
def test_docstrings_of_modules_classes_and_coroutines_too(holder):
    assert same(f"{holder}'one'", f"{holder}'two'", docstrings=False)


def test_other_strings_always_count():
    assert not same("x = 'one'", "x = 'two'", docstrings=False)
    assert not same("x = 1\n'one'", "x = 1\n'two'", docstrings=False)


def test_every_python_computes_the_same_digest():
    expected = "1d92abda4051eef19911c2253e024fe9472b0f5b8ae5684546cf55e1ac162ce3"
    assert digest_of_source(DIFFICULT, docstrings=True) == expected


def test_a_text_that_is_not_python_is_refused():
    with pytest.raises(SyntaxError):
        digest_of_source("def", docstrings=True)


@pytest.fixture
def root(tmp_path):
    """A package `utils` where `a` imports `b.c`, which imports `d` and `a` again."""
    files = {
        "__init__.py": "",
        "a.py": "import os\nimport utils.b.c",
        "b/__init__.py": "from utils.e import name",
        "b/c.py": "def f():\n    from utils import a, d",
        "d.py": "",
        "e.py": "name = 1",
        "unused.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "utils" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_an_import_reaches_what_python_would_run(root):
    everything = {p for p in root.rglob("*.py") if p.name != "unused.py"}
    assert imported_files("from utils.a import anything", root) == everything
    assert imported_files("import utils.d", root) == {
        root / "utils/__init__.py",
        root / "utils/d.py",
    }
    assert imported_files("import numpy, utilities.d", root) == set()


def test_utils_imports_absolutely():
    """A relative import would go unseen."""
    for file in (REPOSITORY / "utils").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        levels = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not any(levels), file
