"""How pytest runs the lessons, and which process runs what.

Each lesson runs in full once: nbval runs its notebook, one item for each code cell. After the cells
come items that hold the outputs of this run against what `tests/promises.toml` promises.

With several processes, `Groups` and `turn` say which of them runs what, and when.
"""

import base64
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile
from xdist.scheduler import LoadFileScheduling

PROMISES = Path(__file__).parent / "tests" / "promises.toml"
LESSONS = tomllib.loads(PROMISES.read_text(encoding="utf-8"))
SMALLEST_FIGURE = 1000  # bytes; an empty one has fewer
PASSED = pytest.StashKey[bool]()


class Outputs:
    """What the cells of a notebook have put out in this run.

    Attributes:
        code: of all cells.
        text: what they printed, and the values of their last lines.
        errors: what they wrote to stderr.
        figures: their pictures, as PNG.
    """

    def __init__(self, cells: list[IPyNbCell]):
        self.code = "\n".join(cell.cell.source for cell in cells)
        self.text, self.errors = "", ""
        self.figures: list[bytes] = []
        for output in (output for cell in cells for output in cell.test_outputs):
            if output.output_type == "stream" and output.name == "stderr":
                self.errors += output.text
            elif output.output_type == "stream":
                self.text += output.text
            else:
                self._add(output.get("data", {}))

    def _add(self, data: dict[str, str]) -> None:
        if "image/png" in data:
            self.figures.append(base64.b64decode(data["image/png"]))
        else:
            self.text += data.get("text/plain", "") + "\n"


def keeps_its_promises(lesson: str, outputs: Outputs) -> None:
    """Each promise of the lesson is in its text."""
    broken = [one for one in LESSONS[lesson]["promises"] if not re.search(one, outputs.text)]
    assert not broken, "not in the outputs: " + "; ".join(map(repr, broken))


def draws_its_figures(lesson: str, outputs: Outputs) -> None:
    """Each `plt.show()` has left a picture."""
    asked, drawn = outputs.code.count("plt.show()"), len(outputs.figures)
    assert drawn == asked, f"{asked} calls of plt.show(), {drawn} figures"
    assert all(len(figure) > SMALLEST_FIGURE for figure in outputs.figures), "a figure is empty"


def exercises_wait_for_an_answer(lesson: str, outputs: Outputs) -> None:
    """No exercise is solved or judged before the reader has tried."""
    for question in set(re.findall(r"^check\.(\w+)\(", outputs.code, re.M)):
        line = "… answer in" if question == "answer" else f"… {question}: not attempted yet"
        assert line in outputs.text, f"not in the outputs: {line!r}"


def gives_no_warning(lesson: str, outputs: Outputs) -> None:
    """Nothing unsettles the reader."""
    assert "Warning" not in outputs.errors, outputs.errors


class LessonNotebook(IPyNbFile):
    """The notebook of a lesson: its cells, then what is to be said about their outputs."""

    def collect(self) -> Iterator[pytest.Item]:
        cells = list(super().collect())
        yield from cells
        for check in (
            keeps_its_promises,
            draws_its_figures,
            exercises_wait_for_an_answer,
            gives_no_warning,
        ):
            yield OutputsItem.from_parent(self, name=check.__name__, cells=cells, check=check)


class OutputsItem(pytest.Item):
    """A check of the outputs of all cells; it fails if one of them did not run or failed."""

    def __init__(self, *, cells: list[IPyNbCell], check: Callable, **kwargs):
        super().__init__(**kwargs)
        self.cells, self.check = cells, check

    def runtest(self) -> None:
        lacking = [cell.name for cell in self.cells if not cell.stash.get(PASSED, False)]
        assert not lacking, f"nothing is known, since these did not pass: {', '.join(lacking)}"
        self.check(self.path.stem, Outputs(self.cells))

    def repr_failure(self, excinfo, style=None) -> str:
        if excinfo.errisinstance(AssertionError):
            return f"{self.path.stem} {self.name.replace('_', ' ')}: no, {excinfo.value}"
        return super().repr_failure(excinfo, style)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    collectors = yield
    if file_path.suffix == ".ipynb" and file_path.stem in LESSONS:
        return [LessonNotebook.from_parent(parent, path=file_path) for _ in collectors]
    return collectors


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


# ---- which process runs what, and when -----------------------------------------------------------


class Groups(LoadFileScheduling):
    """Whichever process is free runs the next file, as with xdist's loadfile; with two exceptions.

    The notebooks that train the models are one group: one process trains, while another does what
    needs no model instead of waiting. The scripts, all in tests/test_lessons.py, are a group each.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        if LESSONS.get(Path(file).stem, {}).get("models") == "trains":
            return "models"
        return file + "".join(name for name in LESSONS if f"[{name}" in nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Groups(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items):
    items.sort(key=turn)  # stable: the cells of a notebook stay in their order


# What others wait for comes first. The tests give it time; what is short fills up the end.
TURNS = ["trains", "needs no model", "test", "uses", "script"]


def turn(item: pytest.Item) -> tuple[int, int]:
    """The place of an item in the order of all; among lessons, what takes long comes first."""
    name = item.path.stem
    if name in LESSONS:
        kind = LESSONS[name].get("models", "needs no model")
        return TURNS.index(kind), -LESSONS[name]["budget"]
    if name == "test_lessons":
        budgets = [LESSONS[lesson]["budget"] for lesson in LESSONS if f"[{lesson}" in item.nodeid]
        return TURNS.index("script"), -max(budgets, default=0)
    return TURNS.index("test"), 0
