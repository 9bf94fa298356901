"""The wings of utils import one another in one direction only."""

import ast
import re
from pathlib import Path

import pytest

from utils.paths import REPOSITORY

UTILS = REPOSITORY / "utils"
# The small files beside the wings that every wing may import.
SHARED = {"errors", "paths", "memory", "files", "command_line", "quiet", "code_digest", "loopback"}


def allowed():
    """What each wing may import, from the table of CONTRIBUTING.md."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)/` \| .*\? \| (.*) \|$", text, re.M)
    return {wing: set(re.findall(r"`(\w+)`", names)) for wing, names in rows}


WINGS = allowed()


def imported(path):
    """The parts of utils that a file imports: names of wings and of files beside them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "utils":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("utils."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            names = (alias.name.split(".") for alias in node.names)
            yield from (name[1] for name in names if name[0] == "utils" and len(name) > 1)


def test_the_table_has_every_wing():
    folders = {path.name for path in UTILS.iterdir() if (path / "__init__.py").is_file()}
    assert set(WINGS) == folders


@pytest.mark.parametrize("wing", sorted(WINGS.keys() - {"serving"}))
def test_a_wing_imports_what_the_table_says(wing):
    may = {wing} | WINGS[wing] | SHARED
    for path in (UTILS / wing).rglob("*.py"):
        assert set(imported(path)) <= may, path.name


def test_a_file_that_every_wing_may_import_imports_no_wing():
    for name in SHARED:
        assert not set(imported(UTILS / f"{name}.py")) & set(WINGS), name


def test_the_package_files_are_empty_so_that_help_is_quick():
    for wing in WINGS.keys() - {"serving", "tales", "exercises"}:
        assert Path(UTILS, wing, "__init__.py").read_text(encoding="utf-8") == ""
