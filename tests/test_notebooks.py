"""The builder: what makes a notebook stale, what keeps its outputs, what is refused."""

import base64
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tools import digests
from tools.notebooks import Course, check, command_line
from tools.outputs import machine_trace, tidy
from tools.translation import read_sections
from utils.code_digest import imported_files

SCRIPT = """\
# %% [markdown]
# # 1. A lesson
#
# With a [picture](../assets/a.svg), a [lesson](01_a.ipynb) and a [site](https://example.org).

# %%
from utils.scale import scaled

constant = 3
print("the answer is", scaled(constant))  # a comment

# %% [markdown]
# The end.
"""
MODULE = '''\
"""Used by the lesson."""


def scaled(value):
    return 2 * value
'''


def one_lesson_course(root: Path) -> Course:
    for folder in ("codes/zh", "utils", "datasets"):
        (root / folder).mkdir(parents=True)
    project = '[project]\nurls = { Repository = "https://github.com/someone/course" }\n'
    write(root / "pyproject.toml", project)
    write(root / "utils/__init__.py", "")
    write(root / "utils/scale.py", MODULE)
    write(root / "codes/01_a.py", SCRIPT)
    return Course(root)


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    write(path, text.replace(old, new))


def notebook_path(course, folder=""):
    return course.root / "notebooks" / folder / "01_a.ipynb"


def stdout(course):
    cells = nbformat.read(notebook_path(course), 4).cells
    return "".join(o.text for c in cells for o in c.get("outputs", []))


@pytest.fixture
def course(tmp_path):
    """A course of one lesson, without its notebook."""
    return one_lesson_course(tmp_path)


@pytest.fixture(scope="module")
def first_build(tmp_path_factory):
    """The bytes of the notebook; building it takes a kernel, so it is done once for all tests."""
    one = one_lesson_course(tmp_path_factory.mktemp("course"))
    assert command_line(one, ["build"]) == 0
    return notebook_path(one).read_bytes()


@pytest.fixture
def built(course, first_build):
    """The same course with its notebook, up to date."""
    notebook_path(course).parent.mkdir()
    notebook_path(course).write_bytes(first_build)
    assert check(course) == []
    return course


def test_building_twice_from_nothing_gives_identical_bytes(course, first_build):
    assert command_line(course, ["build"]) == 0
    assert notebook_path(course).read_bytes() == first_build
    assert stdout(course) == "the answer is 6\n"


def test_building_again_executes_nothing(built, capsys):
    capsys.readouterr()
    assert command_line(built, ["build"]) == 0
    assert capsys.readouterr().out == ""


def test_an_edited_constant_is_stale_and_names_the_cell(built):
    edit(built.root / "codes/01_a.py", "constant = 3", "constant = 4")
    [problem] = check(built)
    assert "notebooks/01_a.ipynb is stale" in problem
    assert "from utils.scale import scaled" in problem  # the first line of the changed cell
    assert command_line(built, ["build"]) == 0
    assert stdout(built) == "the answer is 8\n"
    assert check(built) == []


def test_an_edited_comment_keeps_the_outputs(built, capsys):
    edit(built.root / "codes/01_a.py", "# a comment", "# another comment")
    capsys.readouterr()
    assert "lacks the newest prose" in check(built)[0]
    assert command_line(built, ["build"]) == 0
    assert "running" not in capsys.readouterr().out
    assert "# another comment" in notebook_path(built).read_text(encoding="utf-8")
    assert stdout(built) == "the answer is 6\n"


def test_an_edited_utils_function_is_stale(built):
    edit(built.root / "utils/scale.py", "2 * value", "5 * value")
    [problem] = check(built)
    assert "utils/scale.py changed" in problem
    assert command_line(built, ["build"]) == 0
    assert stdout(built) == "the answer is 15\n"


def test_a_module_that_a_used_module_imports_counts_too(built):
    write(built.root / "utils/factor.py", "FACTOR = 2\n")
    edit(built.root / "utils/scale.py", '"""\n', '"""\n\nfrom utils.factor import FACTOR\n')
    assert command_line(built, ["build"]) == 0
    edit(built.root / "utils/factor.py", "2", "3")
    assert "utils/factor.py changed" in check(built)[0]


@pytest.mark.parametrize("name", ["words.txt", "runs.json"])
def test_an_edited_data_file_is_stale(built, name):
    write(built.root / "datasets" / name, "one\n")
    edit(built.root / "codes/01_a.py", "constant = 3", f'constant, name = 3, "{name}"')
    assert command_line(built, ["build"]) == 0
    write(built.root / "datasets" / name, "two\n")
    assert f"datasets/{name} changed" in check(built)[0]


def test_a_comment_or_a_docstring_in_utils_is_not_stale(built):
    edit(built.root / "utils/scale.py", "return", "# twice\n    return")
    edit(built.root / "utils/scale.py", "Used by", "For")
    assert check(built) == []


def test_a_docstring_that_its_module_reads_is_stale(built):
    edit(built.root / "utils/scale.py", "2 * value", "print(__doc__) or 2 * value")
    assert command_line(built, ["build"]) == 0
    edit(built.root / "utils/scale.py", "Used by", "For")
    assert "utils/scale.py changed" in check(built)[0]


def test_a_module_that_no_longer_counts_keeps_the_outputs(built, monkeypatch, capsys):
    monkeypatch.setattr(digests, "WITHOUT_EFFECT", {"utils/scale.py"})
    edit(built.root / "utils/scale.py", "2 * value", "5 * value")
    capsys.readouterr()
    assert "lacks the newest prose" in check(built)[0]
    assert command_line(built, ["build"]) == 0
    assert "running" not in capsys.readouterr().out
    assert check(built) == []


def test_what_is_said_to_be_without_effect_exists_and_is_used():
    root = Course().root
    scripts = [script.read_text(encoding="utf-8") for script in Course().scripts()]
    used = {file for script in scripts for file in imported_files(script, root)}
    for name in digests.WITHOUT_EFFECT:
        assert any(root / name in (file, *file.parents) for file in used), name


def test_how_answers_are_judged_changes_no_output(built):
    (built.root / "utils/exercises").mkdir()
    write(built.root / "utils/exercises/__init__.py", '"""Judge answers."""\n')
    edit(built.root / "utils/scale.py", '"""\n', '"""\n\nimport utils.exercises\n')
    assert command_line(built, ["build"]) == 0
    write(built.root / "utils/exercises/__init__.py", '"""Judge answers."""\n\nSTRICT = True\n')
    assert check(built) == []


@pytest.mark.parametrize("text", ["", "<<<<<<< HEAD\n{}"])
def test_a_notebook_after_a_merge_conflict_is_one_sentence(built, text, capsys):
    path = next((built.root / "notebooks").glob("01*.ipynb"))
    path.write_text(text, encoding="utf-8")
    assert command_line(built, ["check"]) != 0
    said = capsys.readouterr()
    assert "restore it with git" in said.out + said.err and "Traceback" not in said.err


@pytest.mark.parametrize("line", ["%matplotlib inline", "# %time x", "!pip list", "# !ls"])
def test_a_magic_is_refused(course, capsys, line):
    edit(course.root / "codes/01_a.py", "constant = 3", f"constant = 3\n{line}")
    assert command_line(course, ["build"]) == 1
    printed = capsys.readouterr().out
    assert "codes/01_a.py" in printed and line in printed and "magic" in printed


def test_a_syntax_error_is_refused(course, capsys):
    edit(course.root / "codes/01_a.py", "constant = 3", "constant = ")
    assert command_line(course, ["build"]) == 1
    assert "invalid syntax" in capsys.readouterr().out


def test_a_failing_cell_is_refused_and_nothing_is_written(course, capsys):
    edit(course.root / "codes/01_a.py", "constant = 3", "constant = undefined")
    assert command_line(course, ["build"]) == 1
    assert "name 'undefined' is not defined" in capsys.readouterr().out
    assert not notebook_path(course).exists()


@pytest.mark.parametrize(("old", "new"), [("The end.", "The END."), ("answer is 6", "answer is 7")])
def test_a_hand_edited_notebook_is_refused_and_kept(built, capsys, old, new):
    edit(notebook_path(built), old, new)
    mine = notebook_path(built).read_bytes()
    assert "edited by hand" in check(built)[0]
    assert command_line(built, ["build"]) == 1
    assert "edited by hand" in capsys.readouterr().out
    assert notebook_path(built).read_bytes() == mine


def test_a_notebook_without_a_script_is_named(built):
    shutil.copy(notebook_path(built), built.root / "notebooks/02_gone.ipynb")
    assert "02_gone.ipynb belongs to no script" in check(built)[0]


def test_a_path_of_the_builders_machine_is_refused(course, capsys):
    edit(course.root / "codes/01_a.py", "constant = 3", 'constant = 3\nprint("/home/me/file")')
    assert command_line(course, ["build"]) == 1
    assert "/home/me/file" in capsys.readouterr().out


CHINESE = [
    "# 1. 一课\n\n[图](../assets/a.svg)、[课](01_a.ipynb)、[站](https://example.org)。",
    "完。",
]


def chinese_file(course):
    return course.sections(course.scripts()[0])


@pytest.fixture
def bilingual(built, capsys):
    """The same course in both languages: `translate` begins the file, a person fills it."""
    assert command_line(built, ["translate", "01_a"]) == 0
    empty = chinese_file(built).read_text(encoding="utf-8")
    for chinese in CHINESE:
        empty = empty.replace("-->\n\n", f"-->\n{chinese}\n", 1)
    write(chinese_file(built), empty)
    assert command_line(built, ["build"]) == 0
    assert check(built) == []
    capsys.readouterr()
    return built


def test_translate_begins_a_chinese_file(built, capsys):
    assert command_line(built, ["translate"]) == 0
    assert not chinese_file(built).exists(), "only a lesson that is named is begun"
    assert command_line(built, ["translate", "01_a"]) == 0
    first, last = read_sections(chinese_file(built))
    assert first.english.startswith("# 1. A lesson\n\nWith a [picture]")
    assert (last.english, last.chinese) == ("The end.", "")
    assert f"section {last.key} has no Chinese yet for 'The end.'" in capsys.readouterr().out
    assert any(f"section {last.key} has no Chinese yet" in problem for problem in check(built))


def test_the_chinese_edition_has_the_same_code_and_outputs(bilingual):
    english = nbformat.read(notebook_path(bilingual), 4).cells
    chinese = nbformat.read(notebook_path(bilingual, "zh"), 4).cells
    for one, other in zip(english, chinese, strict=True):
        if one.cell_type == "code":
            assert (one.source, one.outputs) == (other.source, other.outputs)
    assert chinese[-1].source == "完。"
    title = chinese[0].source
    assert "(../../assets/a.svg)" in title, "relative links climb out of the deeper folder"
    assert "(01_a.ipynb)" in title, "a link to a lesson with a Chinese edition stays Chinese"
    assert "(https://example.org)" in title
    assert "/notebooks/zh/01_a.ipynb" in chinese[1].source, "the badge opens the Chinese edition"


def test_a_changed_english_cell_is_shown_until_its_chinese_is_confirmed(bilingual, capsys):
    edit(bilingual.root / "codes/01_a.py", "# The end.", "# The very end of it.")
    old = read_sections(chinese_file(bilingual))[-1]
    for command in ("build", "translate"):
        assert command_line(bilingual, [command]) == 0
        printed = capsys.readouterr().out
        assert "The [-end.-]{+very end of it.+}" in printed
        assert f"confirm 01_a {old.key}" in printed
    assert read_sections(chinese_file(bilingual))[-1] == old, "nobody has confirmed it"
    assert any(f"section {old.key}, '完。': the English has changed" in p for p in check(bilingual))
    english_stands_in = nbformat.read(notebook_path(bilingual, "zh"), 4).cells[-1]
    assert english_stands_in.source == "The very end of it."

    edit(chinese_file(bilingual), "完。", "真的完了。")
    assert command_line(bilingual, ["confirm", "01_a", old.key]) == 0
    new = read_sections(chinese_file(bilingual))[-1]
    assert (new.english, new.chinese) == ("The very end of it.", "真的完了。")
    assert command_line(bilingual, ["build"]) == 0
    assert check(bilingual) == []


def test_a_stale_notebook_does_not_hide_what_is_to_be_translated(bilingual):
    edit(bilingual.root / "codes/01_a.py", "constant = 3", "constant = 4")
    edit(bilingual.root / "codes/01_a.py", "# The end.", "# The very end.")
    problems = "\n".join(check(bilingual))
    assert "01_a.ipynb is stale" in problems and "the English has changed" in problems


def test_all_changed_sections_can_be_confirmed_at_once(bilingual):
    edit(bilingual.root / "codes/01_a.py", "# The end.", "# The very end.")
    edit(bilingual.root / "codes/01_a.py", "A lesson", "A first lesson")
    assert command_line(bilingual, ["confirm", "01_a", "all"]) == 0
    assert command_line(bilingual, ["build"]) == 0
    assert check(bilingual) == []


def test_only_a_changed_section_can_be_confirmed(bilingual, capsys):
    before = chinese_file(bilingual).read_bytes()
    key = read_sections(chinese_file(bilingual))[0].key
    for wrong in (["confirm", "01_a", key], ["confirm", "01_a", "all", "12345678"]):
        assert command_line(bilingual, wrong) == 1
        assert "has not changed" in capsys.readouterr().out
    assert command_line(bilingual, ["confirm", "02_b", "all"]) == 1
    assert "There is no lesson '02_b'" in capsys.readouterr().out
    assert chinese_file(bilingual).read_bytes() == before


def test_a_new_cell_gets_an_empty_section_in_its_place(bilingual):
    edit(bilingual.root / "codes/01_a.py", "# %%\n", "# %% [markdown]\n# New.\n\n# %%\n")
    assert command_line(bilingual, ["translate"]) == 0
    assert [s.english for s in read_sections(chinese_file(bilingual))][1:] == ["New.", "The end."]
    assert [s.chinese for s in read_sections(chinese_file(bilingual))] == [CHINESE[0], "", "完。"]


def test_a_section_whose_cell_is_gone_is_kept_and_named(bilingual):
    edit(bilingual.root / "codes/01_a.py", "\n# %% [markdown]\n# The end.\n", "")
    assert command_line(bilingual, ["translate"]) == 0
    key = read_sections(chinese_file(bilingual))[-1].key
    assert any(f"section {key}, '完。', belongs to no English" in p for p in check(bilingual))


def test_punctuation_changes_only_the_comment_of_a_section(bilingual, capsys):
    edit(bilingual.root / "codes/01_a.py", "# The end.", "# The\n# end")
    assert "does not show the newest English" in check(bilingual)[0]
    assert command_line(bilingual, ["build"]) == 0
    assert "confirm" not in capsys.readouterr().out
    assert read_sections(chinese_file(bilingual))[-1].english == "The\nend"
    assert check(bilingual) == []


def test_text_above_the_first_section_is_refused_and_kept(bilingual, capsys):
    text = "一句话\n" + chinese_file(bilingual).read_text(encoding="utf-8")
    write(chinese_file(bilingual), text)
    assert "'一句话' stands above the first section" in check(bilingual)[0]
    assert command_line(bilingual, ["translate"]) == 1
    assert "stands above" in capsys.readouterr().out
    assert chinese_file(bilingual).read_text(encoding="utf-8") == text


def code_cell(*outputs):
    return nbformat.v4.new_code_cell("", outputs=list(outputs))


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def test_tidy_leaves_what_a_person_saw():
    cell = code_cell(
        stream("noise\n", "stderr"),
        stream("10%\r20%\r30%\n"),
        stream("\x1b[31mred\x1b[0m abc\b\b\bxyz\n"),
    )
    tidy(cell)
    assert [o.text for o in cell.outputs] == ["30%\nred xyz\n"]


def test_tidy_keeps_a_figure_readable():
    from io import BytesIO

    from PIL import Image

    png = BytesIO()
    Image.new("RGB", (40, 30), "#0072B2").save(png, "PNG")
    data = {"image/png": base64.b64encode(png.getvalue()).decode()}
    cell = code_cell(nbformat.v4.new_output("display_data", data=data))
    tidy(cell)
    image = Image.open(BytesIO(base64.b64decode(cell.outputs[0].data["image/png"])))
    assert image.size == (40, 30)
    assert image.convert("RGB").getpixel((5, 5)) == (0x00, 0x72, 0xB2)


def test_traces_of_a_machine_are_found():
    assert machine_trace(code_cell(stream("<object at 0x7f3970396d90>")))
    assert machine_trace(code_cell(stream("saved /Users/me/a.png")))
    assert machine_trace(code_cell(stream("0x10 apples, at home"))) is None


def test_the_colab_cell_fetches_the_course(course, tmp_path, monkeypatch):
    """Run the cell as Colab would, with git and pip replaced by a note of what they were asked."""
    import subprocess
    import types

    notebook = course.read_script(course.scripts()[0])
    asked = []
    monkeypatch.setattr(subprocess, "check_call", asked.append)
    monkeypatch.setattr(sys, "path", list(sys.path))
    exec(notebook.cells[2].source, {})
    assert asked == [], "outside Colab the cell does nothing"
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(notebook.cells[2].source, {})
    git, pip = asked
    assert git[:2] == ["git", "clone"] and "https://github.com/someone/course" in git
    assert pip[-2:] == ["--editable", git[-1]] and sys.path[0] == git[-1]


def test_another_kernel_is_told_in_one_line(course):
    notebook = course.read_script(course.scripts()[0])
    hidden = nbformat.v4.new_code_cell('import sys\nsys.modules["utils"] = None')
    cells = [hidden, nbformat.v4.new_code_cell(notebook.cells[2].source)]
    run = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(run, allow_errors=True).execute()
    (shown,) = run.cells[1].outputs
    (line,) = shown.traceback
    assert "choose the kernel of the course's environment" in line and "\n" not in line


def test_the_course_itself_is_up_to_date():
    assert check(Course()) == []
