"""Build `notebooks/` from `codes/`, one way.

    python -m tools.notebooks build [LESSON …]   write what changed, executing only what is stale
    python -m tools.notebooks check              say what is out of date; exit code 1 if anything is

`codes/NN_topic.py` is the only hand-written source of a lesson, `codes/zh/NN_topic.md` its Chinese
prose. A notebook carries digests of its code, of the modules and data it uses, and of itself, so
that stale outputs and hand edits are seen without running anything.
"""

import argparse
import copy
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode

from tools.digests import code_digest, digest, file_digest, used_files
from tools.outputs import machine_trace, tidy
from tools.translation import translate

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 300_000  # bytes; larger notebooks are slow to load and to review
SECONDS = 600  # per cell
MAGIC = re.compile(r"^\s*(?:#\s*)?(?:%%?[a-zA-Z]|!\s*\w)")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# The same arithmetic on every machine, as far as TensorFlow lets us choose.
KERNEL_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "-1",
}
COLAB_CELL = """\
# Google Colab starts without the course: fetch it. Anywhere else this cell only looks for it.
import os
import sys

colab = "/content/course"
if "google.colab" in sys.modules and not os.path.exists(colab):
    from subprocess import check_call

    check_call(["git", "clone", "--depth=1", "{repository}", colab])
    check_call([sys.executable, "-m", "pip", "install", "--quiet", "--editable", colab])
    sys.path.insert(0, colab)  # this kernel started before the installation
try:
    import utils.course
except ModuleNotFoundError:

    class AnotherPython(Exception):
        def _render_traceback_(self):
            return [str(self)]  # one line is enough

    raise AnotherPython(
        "This notebook runs in another Python: choose the kernel of the course's environment"
        " (Kernel → Change Kernel), or start JupyterLab with `make lab`."
    ) from None"""


class Refused(Exception):
    """Something that only a person can decide; the message says what and why."""


class Course:
    """The folders of a course, and the notebooks that follow from its scripts."""

    def __init__(self, root: Path = ROOT):
        self.root = root
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        self.repository: str = project["urls"]["Repository"]

    def scripts(self) -> list[Path]:
        """The lessons, in order."""
        return sorted((self.root / "codes").glob("[0-9][0-9]_*.py"))

    def target(self, script: Path, folder: str = "") -> Path:
        """Where the notebook of a script lives."""
        return self.root / "notebooks" / folder / f"{script.stem}.ipynb"

    def sections(self, script: Path) -> Path:
        """Where the Chinese prose of a script lives, if it has any."""
        return self.root / "codes" / "zh" / f"{script.stem}.md"

    def name(self, path: Path) -> str:
        """A path as a person would write it."""
        return path.relative_to(self.root).as_posix()

    def read_script(self, script: Path) -> NotebookNode:
        """A script as a notebook without outputs.

        Raises:
            Refused: for a magic or a syntax error, naming the cell.
        """
        notebook = jupytext.reads(
            script.read_text(encoding="utf-8"),
            {"extension": ".py", "format_name": "percent", "comment_magics": False},
        )
        for cell in notebook.cells:
            if cell.cell_type == "code":
                _refuse_bad_code(cell.source, self.name(script))
        notebook.cells[1:1] = self._colab_cells(script)
        notebook.nbformat, notebook.nbformat_minor = 4, 5
        notebook.metadata = nbformat.from_dict(copy.deepcopy(METADATA))
        _name_cells(notebook)
        notebook.metadata["course"] = {
            "code": digest("\n".join(map(code_digest, _code(notebook)))),
            "uses": {self.name(f): file_digest(f) for f in self._uses(notebook)},
        }
        return notebook

    def _uses(self, notebook: NotebookNode) -> list[Path]:
        return used_files("\n".join(_code(notebook)), self.root)

    def _colab_cells(self, script: Path) -> list[NotebookNode]:
        address = self.repository.removeprefix("https://github.com/")
        notebook = self.name(self.target(script))
        badge = (
            "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
            f"(https://colab.research.google.com/github/{address}/blob/main/{notebook})"
        )
        setup = COLAB_CELL.format(repository=self.repository)
        return [
            nbformat.v4.new_markdown_cell(badge, metadata={"tags": ["generated"]}),
            nbformat.v4.new_code_cell(setup, metadata={"tags": ["generated"]}),
        ]

    def chinese(self, script: Path, notebook: NotebookNode):
        """The Chinese edition of a finished notebook, with its gaps; None if there is no prose."""
        if not self.sections(script).exists():
            return None
        editions = {self.target(s).name for s in self.scripts() if self.sections(s).exists()}
        result = translate(notebook, self.sections(script), editions)
        for cell in result.notebook.cells:
            if "generated" in cell.metadata.get("tags", []):
                cell.source = cell.source.replace("/notebooks/", "/notebooks/zh/")
        return result


def build(course: Course, lessons: list[str]) -> int:
    """Bring the named lessons (all, if none is named) up to date; return the exit code."""
    for script in _chosen(course, lessons):
        try:
            _build_one(course, script)
        except Refused as refusal:
            print(refusal)
            return 1
    return 0


def _build_one(course: Course, script: Path) -> None:
    notebook = course.read_script(script)
    target = course.target(script)
    before = _read(target)
    _refuse_hand_edit(course, before, target)
    if before is None or _why_stale(notebook, before):
        print(f"running {course.name(script)}", flush=True)
        _execute(notebook, target, course.root)
    else:
        _copy_outputs(before, notebook)
    _write(course, notebook, target)
    if chinese := course.chinese(script, notebook):
        target = course.target(script, "zh")
        _refuse_hand_edit(course, _read(target), target)
        _write(course, chinese.notebook, target)
        for problem in _translation_problems(course, script, chinese):
            print(problem)


def check(course: Course) -> list[str]:
    """Everything that is out of date, one sentence each; nothing is executed."""
    problems: list[str] = []
    for script in course.scripts():
        try:
            problems += _check_one(course, script)
        except Refused as refusal:
            problems.append(str(refusal))
    known = {course.target(s) for s in course.scripts()}
    known |= {course.target(s, "zh") for s in course.scripts() if course.sections(s).exists()}
    for notebook in sorted((course.root / "notebooks").glob("**/[0-9]*.ipynb")):
        if notebook not in known and ".ipynb_checkpoints" not in notebook.parts:
            problems.append(f"{course.name(notebook)} belongs to no script in codes/: delete it.")
    return problems


def _check_one(course: Course, script: Path) -> Iterator[str]:
    notebook, target = course.read_script(script), course.target(script)
    before = _read(target)
    _refuse_hand_edit(course, before, target)
    if before is None:
        yield f"{course.name(target)} was never built. Run: make notebooks"
        return
    if why := _why_stale(notebook, before):
        yield f"{course.name(target)} is stale: {why}. Run: make notebooks"
        return
    _copy_outputs(before, notebook)
    yield from _differences(course, notebook, target)
    if chinese := course.chinese(script, notebook):
        yield from _translation_problems(course, script, chinese)
        yield from _differences(course, chinese.notebook, course.target(script, "zh"))


def _differences(course: Course, notebook: NotebookNode, target: Path) -> Iterator[str]:
    text = _sealed(notebook)
    if len(text.encode()) > LARGEST:
        yield f"{course.name(target)} is larger than {LARGEST:,} bytes: print or plot less."
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        _refuse_hand_edit(course, _read(target), target)
        yield f"{course.name(target)} lacks the newest prose. Run: make notebooks"


def _translation_problems(course: Course, script: Path, chinese) -> Iterator[str]:
    where = course.name(course.sections(script))
    for cell in chinese.missing:
        yield f"{where}: no Chinese for the English cell {cell}"
    for section in chinese.orphans:
        yield f"{where}: section {section} matches no English cell (was the English edited?)"


def _why_stale(notebook: NotebookNode, before: NotebookNode) -> str | None:
    old, new = before.metadata["course"], notebook.metadata["course"]
    if old["code"] != new["code"]:
        return "the code changed in " + _first_changed_cell(notebook, before)
    changed = sorted(set(old["uses"].items()) ^ set(new["uses"].items()))
    return f"{changed[0][0]} changed, which it uses" if changed else None


def _first_changed_cell(notebook: NotebookNode, before: NotebookNode) -> str:
    known = {code_digest(source) for source in _code(before)}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and code_digest(cell.source) not in known:
            return f"cell {number}, {cell.source.splitlines()[0]!r}"
    return "the order or number of its cells"


def _execute(notebook: NotebookNode, target: Path, root: Path) -> None:
    """Run every cell in a fresh kernel, in the folder where the notebook will lie."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.environ.update(KERNEL_ENVIRONMENT, PYTHONPATH=str(root))
    os.environ.pop("COURSE_DATA", None)  # a notebook must not depend on a prepared machine
    keep = copy.deepcopy(notebook.metadata)
    place = {"metadata": {"path": str(target.parent)}}
    client = NotebookClient(notebook, timeout=SECONDS, record_timing=False, resources=place)
    try:
        client.execute()
    except CellExecutionError as error:
        raise Refused(f"{target.name} does not run: {strip_ansi(str(error))}") from None
    notebook.metadata = keep
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            tidy(cell)
            if trace := machine_trace(cell):
                raise Refused(f"{target.name}, cell {number} prints {trace!r}: nobody else can.")


def _copy_outputs(before: NotebookNode, notebook: NotebookNode) -> None:
    pairs = zip(_code_cells(before), _code_cells(notebook), strict=True)
    for old, new in pairs:
        new.outputs, new.execution_count = old.outputs, old.execution_count


def _refuse_hand_edit(course: Course, notebook: NotebookNode | None, target: Path) -> None:
    if notebook is not None and notebook.metadata.get("course", {}).get("page") != _page(notebook):
        raise Refused(
            f"{course.name(target)} was edited by hand: move the change to codes/ (or keep a "
            "copy), restore the notebook with git, and build again."
        )


def _refuse_bad_code(source: str, script: str) -> None:
    for line in source.splitlines():
        if MAGIC.match(line):
            raise Refused(f"{script}: {line.strip()!r} is a notebook magic; scripts have none.")
    try:
        code_digest(source)
    except SyntaxError as error:
        raise Refused(f"{script}: {error.msg} in the cell {source.splitlines()[0]!r}") from None


def _name_cells(notebook: NotebookNode) -> None:
    """Ids from content: a random id would change with every build."""
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        key = digest(cell.cell_type + cell.source)
        seen[key] = seen.get(key, 0) + 1
        cell.id = key if seen[key] == 1 else f"{key}-{seen[key]}"


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _code(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in _code_cells(notebook)]


def _page(notebook: NotebookNode) -> str:
    """The digest of everything a reader sees, to tell a hand edit."""
    visible = [(c.cell_type, c.source, c.get("outputs", [])) for c in notebook.cells]
    return digest(json.dumps(visible, sort_keys=True))


def _sealed(notebook: NotebookNode) -> str:
    notebook.metadata["course"]["page"] = _page(notebook)
    return nbformat.writes(notebook) + "\n"


def _read(path: Path) -> NotebookNode | None:
    return nbformat.read(path, 4) if path.exists() else None


def _write(course: Course, notebook: NotebookNode, target: Path) -> None:
    text = _sealed(notebook)
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {course.name(target)}")


def _chosen(course: Course, lessons: list[str]) -> list[Path]:
    scripts = {script.stem: script for script in course.scripts()}
    for lesson in lessons:
        if lesson not in scripts:
            raise SystemExit(
                f"There is no lesson {lesson!r}; the lessons are {', '.join(scripts)}."
            )
    return [scripts[lesson] for lesson in lessons or scripts]


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Build the notebooks from the scripts.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="say what is out of date")
    builder = commands.add_parser("build", help="write what changed, run what is stale")
    builder.add_argument("lessons", nargs="*", metavar="LESSON", help="such as 02_next_token")
    args = parser.parse_args()
    course = Course()
    if args.command == "build":
        return build(course, args.lessons)
    problems = check(course)
    print("\n".join(problems) or "Notebooks and translations are up to date.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
