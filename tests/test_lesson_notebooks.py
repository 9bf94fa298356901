"""What conftest.py does with notebooks: it checks their outputs and deals them out to processes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NBVAL = ["--nbval-lax", "--nbval-current-env"]
CHECKS = [
    "keeps_its_promises",
    "draws_its_figures",
    "exercises_wait_for_an_answer",
    "gives_no_warning",
]
TRAINING = {"stopping", "skipping"}
PROMISES = r"""
[good]
budget = 1
promises = ['the answer is \d+\n(.*\n)*.forty-two']
[broken]
budget = 1
promises = ['the answer is 6\n', 'a line that nobody prints']
[stopping]
budget = 1
models = "trains"
promises = ['before the error']
[skipping]
budget = 1
models = "trains"
promises = ['before the gap']
"""
CHECK = 'check = type("check", (), {"area": lambda answer: print("… area: %s")})'
FIGURE = "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])\nplt.show()"
NOTEBOOKS = {
    "good": [
        "answer = 42\nprint('the answer is', answer)",
        FIGURE,
        "answer == 42 and 'forty-two'",  # needs the cells before it, so the same process
        CHECK % "not attempted yet",
        "check.area(...)",
    ],
    "broken": [
        "import warnings\nwarnings.warn('surprise')\nprint('the answer is 6')",
        "_ = 'plt.show()'",
        CHECK % "correct",
        "check.area(...)",
    ],
    "stopping": ["print('before the error')", "1 / 0"],
    "skipping": ["print('before the gap')", "# NBVAL_SKIP\nprint('never seen')"],
    "no_lesson": ["print('a page of notes')"],
}


class Item(NamedTuple):
    """An item of a notebook that has run; `process` is the number of the xdist worker."""

    process: str
    outcome: str
    notebook: str
    name: str


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """All items in the order in which they ended, and what pytest said."""
    root = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "conftest.py", root)
    for folder in ("tests", "notebooks"):
        (root / folder).mkdir()
    (root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (root / "tests" / "promises.toml").write_text(PROMISES, encoding="utf-8")
    for name, cells in NOTEBOOKS.items():
        notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
        nbformat.write(notebook, root / "notebooks" / f"{name}.ipynb")
    plugins = ["-p", "xdist.plugin", "-p", "nbval.plugin", "-p", "no:cacheprovider"]
    flags = ["-v", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    said = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *flags, *NBVAL, "notebooks"],
        cwd=root,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # others take seconds to import
        capture_output=True,
        encoding="utf-8",
        check=False,
    ).stdout
    line = r"^\[gw(\d)\].* (PASSED|FAILED|SKIPPED) notebooks/(\w+)\W+ipynb::(Cell \d+|\w+)"
    return [Item(*found) for found in re.findall(line, said, re.M)], said


def outcomes(session, notebook):
    return {item.name: item.outcome for item in session[0] if item.notebook == notebook}


def checks(session, notebook):
    found = outcomes(session, notebook)
    return {name: found.get(name) for name in CHECKS}


def test_a_good_notebook_passes(session):
    expected = dict.fromkeys([*(f"Cell {i}" for i in range(5)), *CHECKS], "PASSED")
    assert outcomes(session, "good") == expected, session[1]


def test_each_broken_promise_is_found(session):
    found, said = outcomes(session, "broken"), session[1]
    assert [found[f"Cell {i}"] for i in range(4)] == ["PASSED"] * 4, said
    assert checks(session, "broken") == dict.fromkeys(CHECKS, "FAILED"), said
    assert "not in the outputs: 'a line that nobody prints'\n" in said
    assert "1 calls of plt.show(), 0 figures" in said
    assert "not in the outputs: '… area: not attempted yet'" in said
    assert "UserWarning: surprise" in said


@pytest.mark.parametrize(("notebook", "outcome"), [("stopping", "FAILED"), ("skipping", "SKIPPED")])
def test_cells_that_did_not_run_keep_no_promise(session, notebook, outcome):
    found, said = outcomes(session, notebook), session[1]
    assert (found["Cell 0"], found["Cell 1"]) == ("PASSED", outcome), said
    assert checks(session, notebook) == dict.fromkeys(CHECKS, "FAILED"), said
    assert "these did not pass: Cell 1" in said


def test_a_notebook_that_is_no_lesson_only_runs(session):
    assert outcomes(session, "no_lesson") == {"Cell 0": "PASSED"}


def test_a_process_runs_a_notebook_in_order_and_the_checks_last(session):
    for notebook, cells in NOTEBOOKS.items():
        items = [item for item in session[0] if item.notebook == notebook]
        assert len({item.process for item in items}) == 1, session[1]
        names = [item.name for item in items]
        assert names[: len(cells)] == [f"Cell {i}" for i in range(len(cells))]


def test_one_process_begins_with_all_that_trains_and_the_other_does_not_wait(session):
    training = {item.process for item in session[0] if item.notebook in TRAINING}
    assert len(training) == 1, session[1]
    first = next(item.notebook for item in session[0] if item.process in training)
    assert first in TRAINING
    assert {item.process for item in session[0]} - training, session[1]
