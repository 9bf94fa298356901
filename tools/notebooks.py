"""Build `notebooks/` from `codes/`, one way.

    python -m tools.notebooks build [LESSON …]        write what changed, run only what is stale
    python -m tools.notebooks check                   say what is out of date, running nothing
    python -m tools.notebooks translate [LESSON …]    say what is to be translated, make room for it
    python -m tools.notebooks confirm LESSON KEY …    say that changed sections are translated

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
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode

from tools import translation
from tools.digests import code_digest, digest, file_digest, used_files
from tools.outputs import machine_trace, tidy
from utils.errors import CourseError
from utils.paths import REPOSITORY

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


class Course:
    """The folders of a course, and the notebooks that follow from its scripts."""

    def __init__(self, root: Path = REPOSITORY):
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

    def chinese_scripts(self) -> list[Path]:
        """The lessons that have a Chinese edition, be it begun or complete."""
        return [script for script in self.scripts() if self.sections(script).exists()]

    def name(self, path: Path) -> str:
        """A path as a person would write it."""
        return path.relative_to(self.root).as_posix()

    def read_script(self, script: Path) -> NotebookNode:
        """A script as a notebook without outputs.

        Raises:
            CourseError: for a magic or a syntax error, naming the cell.
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

    def rows(self, script: Path, notebook: NotebookNode) -> list[translation.Row]:
        """The English cells of a lesson beside its Chinese sections."""
        cells = [cell.source for cell in translation.prose(notebook)]
        return translation.align(cells, translation.read_sections(self.sections(script)))

    def chinese(self, script: Path, notebook: NotebookNode) -> NotebookNode:
        """The Chinese edition of a finished notebook."""
        editions = {self.target(s).name for s in self.chinese_scripts()}
        sections = translation.read_sections(self.sections(script))
        translated = translation.translate(notebook, sections, editions)
        for cell in translated.cells:
            if "generated" in cell.metadata.get("tags", []):
                cell.source = cell.source.replace("/notebooks/", "/notebooks/zh/")
        return translated


def build(course: Course, lessons: list[str]) -> None:
    """Bring the named lessons (all, if none is named) up to date."""
    for script in _chosen(course, lessons):
        notebook, target = course.read_script(script), course.target(script)
        before = _read(course, target)
        if before is None or _why_stale(notebook, before):
            print(f"running {course.name(script)}", flush=True)
            _execute(notebook, target, course.root)
        else:
            _copy_outputs(before, notebook)
        _write(course, _sealed(notebook), target)
        if script in course.chinese_scripts():
            _build_chinese(course, script, notebook)


def _build_chinese(course: Course, script: Path, notebook: NotebookNode) -> None:
    target = course.target(script, "zh")
    _read(course, target)
    _bring_sections_up_to_date(course, script, notebook)
    _write(course, _sealed(course.chinese(script, notebook)), target)


def translate(course: Course, lessons: list[str]) -> None:
    """Say what is to be translated in the named lessons, and make room for it in their files.

    A file that does not exist is begun. Without a name: all lessons that have a file.
    """
    for script in _chosen(course, lessons):
        if lessons or script in course.chinese_scripts():
            _bring_sections_up_to_date(course, script, course.read_script(script))


def confirm(course: Course, lesson: str, keys: list[str]) -> None:
    """Note that the Chinese of changed sections fits the newest English.

    Args:
        course: the course.
        lesson: the name of a lesson, such as 02_next_token.
        keys: the keys of the sections, as they stand in the file; or `all`.

    Raises:
        CourseError: for a key whose English has not changed.
    """
    [script] = _chosen(course, [lesson])
    notebook = course.read_script(script)
    changed = [r.section.key for r in course.rows(script, notebook) if r.is_changed]
    for key in keys:
        if key not in (*changed, "all"):
            known = ", ".join(changed) or "none"
            raise CourseError(f"The English of section {key} has not changed; changed: {known}.")
    _bring_sections_up_to_date(course, script, notebook, changed if "all" in keys else keys)


def _bring_sections_up_to_date(
    course: Course, script: Path, notebook: NotebookNode, confirmed: Collection[str] = ()
) -> None:
    """Write the newest English into a Chinese file, and print what is left for a person to do."""
    sections = translation.brought_up_to_date(course.rows(script, notebook), confirmed)
    _write(course, translation.as_text(sections), course.sections(script))
    for problem in _to_translate(course, script, notebook):
        print(problem)


def _to_translate(course: Course, script: Path, notebook: NotebookNode) -> Iterator[str]:
    confirm = f"python -m tools.notebooks confirm {script.stem}"
    file = course.name(course.sections(script))
    return translation.problems(course.rows(script, notebook), file, confirm)


def check(course: Course) -> list[str]:
    """Everything that is out of date, one sentence each; nothing is executed."""
    problems: list[str] = []
    for script in course.scripts():
        try:
            problems += _check_one(course, script)
        except CourseError as error:
            problems.append(str(error))
    known = {course.target(s) for s in course.scripts()}
    known |= {course.target(s, "zh") for s in course.chinese_scripts()}
    for notebook in sorted((course.root / "notebooks").glob("**/[0-9]*.ipynb")):
        if notebook not in known and ".ipynb_checkpoints" not in notebook.parts:
            problems.append(f"{course.name(notebook)} belongs to no script in codes/: delete it.")
    return problems


def _check_one(course: Course, script: Path) -> Iterator[str]:
    notebook, target = course.read_script(script), course.target(script)
    if script in course.chinese_scripts():
        yield from _check_sections(course, script, notebook)
    before = _read(course, target)
    if before is None:
        yield f"{course.name(target)} was never built. Run: make notebooks"
        return
    if why := _why_stale(notebook, before):
        yield f"{course.name(target)} is stale: {why}. Run: make notebooks"
        return
    _copy_outputs(before, notebook)
    yield from _differences(course, notebook, target)
    if script in course.chinese_scripts():
        target = course.target(script, "zh")
        _read(course, target)
        yield from _differences(course, course.chinese(script, notebook), target)


def _check_sections(course: Course, script: Path, notebook: NotebookNode) -> Iterator[str]:
    rows, file = course.rows(script, notebook), course.sections(script)
    yield from _to_translate(course, script, notebook)
    newest = translation.as_text(translation.brought_up_to_date(rows))
    if file.read_text(encoding="utf-8") != newest:
        command = f"python -m tools.notebooks translate {script.stem}"
        yield f"{course.name(file)} does not show the newest English. Run: {command}"


def _differences(course: Course, notebook: NotebookNode, target: Path) -> Iterator[str]:
    text = _sealed(notebook)
    if len(text.encode()) > LARGEST:
        yield f"{course.name(target)} is larger than {LARGEST:,} bytes: print or plot less."
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        yield f"{course.name(target)} lacks the newest prose. Run: make notebooks"


def _why_stale(notebook: NotebookNode, before: NotebookNode) -> str | None:
    old, new = before.metadata["course"], notebook.metadata["course"]
    if old["code"] != new["code"]:
        return "the code changed in " + _first_changed_cell(notebook, before)
    changed = sorted(name for name, now in new["uses"].items() if old["uses"].get(name) != now)
    return f"{changed[0]} changed, which it uses" if changed else None


def _first_changed_cell(notebook: NotebookNode, before: NotebookNode) -> str:
    known = {code_digest(source) for source in _code(before)}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and code_digest(cell.source) not in known:
            return f"cell {number}, {(cell.source.splitlines() or [''])[0]!r}"
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
        raise CourseError(f"{target.name} does not run: {strip_ansi(str(error))}") from None
    notebook.metadata = keep
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            tidy(cell)
            if trace := machine_trace(cell):
                raise CourseError(
                    f"{target.name}, cell {number} prints {trace!r}: nobody else can."
                )


def _copy_outputs(before: NotebookNode, notebook: NotebookNode) -> None:
    pairs = zip(_code_cells(before), _code_cells(notebook), strict=True)
    for old, new in pairs:
        new.outputs, new.execution_count = old.outputs, old.execution_count


def _refuse_bad_code(source: str, script: str) -> None:
    for line in source.splitlines():
        if MAGIC.match(line):
            raise CourseError(f"{script}: {line.strip()!r} is a notebook magic; scripts have none.")
    try:
        code_digest(source)
    except SyntaxError as error:
        raise CourseError(f"{script}: {error.msg} in the cell {source.splitlines()[0]!r}") from None


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


def _read(course: Course, target: Path) -> NotebookNode | None:
    """A notebook that was built before, if there is one.

    Raises:
        CourseError: if somebody has edited it since.
    """
    if not target.exists():
        return None
    try:
        notebook = nbformat.read(target, 4)
    except nbformat.reader.NotJSONError:
        raise CourseError(
            f"{course.name(target)} is no notebook (a merge conflict?): restore it with git, and"
            " build again."
        ) from None
    if notebook.metadata.get("course", {}).get("page") != _page(notebook):
        raise CourseError(
            f"{course.name(target)} was edited by hand: move the change to codes/ (or keep a "
            "copy), restore the notebook with git, and build again."
        )
    return notebook


def _write(course: Course, text: str, target: Path) -> None:
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {course.name(target)}")


def _chosen(course: Course, lessons: list[str]) -> list[Path]:
    scripts = {script.stem: script for script in course.scripts()}
    for lesson in lessons:
        if lesson not in scripts:
            known = ", ".join(scripts)
            raise CourseError(f"There is no lesson {lesson!r}; the lessons are {known}.")
    return [scripts[lesson] for lesson in lessons or scripts]


def command_line(course: Course, words: Sequence[str]) -> int:
    """Do what `words` say, print what is wrong, and return the exit code."""
    args = _parser().parse_args(words)
    found: list[str] = []
    try:
        if args.command == "build":
            build(course, args.lessons)
        elif args.command == "translate":
            translate(course, args.lessons)
        elif args.command == "confirm":
            confirm(course, args.lesson, args.keys)
        else:
            found = check(course)
            print("\n".join(found) or "Notebooks and translations are up to date.")
    except CourseError as error:
        found = [str(error)]
        print(error)
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.notebooks",
        description="Build the notebooks from the scripts and the Chinese prose.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="say what is out of date, running nothing")
    for name, what in (
        ("build", "write what changed, run what is stale"),
        ("translate", "say what is to be translated, make room for it"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("lessons", nargs="*", metavar="LESSON", help="such as 02_next_token")
    command = commands.add_parser("confirm", help="say that changed sections are translated")
    command.add_argument("lesson", metavar="LESSON", help="such as 02_next_token")
    command.add_argument("keys", nargs="+", metavar="KEY", help="of a changed section; or: all")
    return parser


if __name__ == "__main__":
    sys.exit(command_line(Course(), sys.argv[1:]))
