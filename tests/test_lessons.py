"""Every lesson as a script: it runs, saves its figures, and takes its flags.

The scripts run with flags that make them quick. In full length the lessons run as notebooks, and
conftest.py checks there what the prose promises.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LESSONS = tomllib.loads((ROOT / "tests" / "promises.toml").read_text(encoding="utf-8"))


def script(name):
    return ROOT / "codes" / f"{name}.py"


def source(name):
    return script(name).read_text(encoding="utf-8")


def run(name, *flags, cwd, **environment):
    return subprocess.run(
        [sys.executable, script(name), *flags],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
    )


def test_each_lesson_has_its_promises():
    assert list(LESSONS) == sorted(path.stem for path in (ROOT / "codes").glob("[0-9]*.py"))


@pytest.fixture(scope="module", params=LESSONS)
def lesson(request, tmp_path_factory):
    """A lesson that has run once, without a warning: (name, folder, output)."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    result = run(name, *LESSONS[name]["flags"].split(), cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr
    return name, folder, result.stdout


def test_it_saves_each_figure_and_says_where(lesson):
    name, folder, output = lesson
    saved = re.findall(r"^figure saved: (.*)$", output, re.M)
    assert len(saved) == source(name).count("plt.show()")
    for path in saved:
        assert (folder / path).stat().st_size > 1000


def test_its_exercises_wait_for_an_answer(lesson):
    name, _, output = lesson
    asked = set(re.findall(r"^check\.(\w+)\(", source(name), re.M)) - {"answer"}
    assert 3 <= len(asked) <= 5
    for question in asked:
        assert f"… {question}: not attempted yet" in output


@pytest.mark.parametrize("name", LESSONS)
def test_a_wrong_flag_is_one_sentence(name, tmp_path):
    result = run(name, "--seed", "-3", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == "" and result.stderr.count("\n") == 1
    assert "--seed" in result.stderr


@pytest.mark.parametrize("name", LESSONS)
def test_help_says_the_title_and_every_flag(name, tmp_path):
    result = run(name, "--help", cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == ""
    title = source(name).splitlines()[1].removeprefix("# # ")
    assert title in " ".join(result.stdout.split())
    assert settings_of(name) <= set(re.findall(r"^  (--[\w-]+)", result.stdout, re.M))


def settings_of(name):
    """The flags that a lesson should have: one for each setting."""
    calls = [node for node in ast.walk(ast.parse(source(name))) if isinstance(node, ast.Call)]
    (call,) = [one for one in calls if getattr(one.func, "id", "") == "settings"]
    return {"--" + setting.arg.replace("_", "-") for setting in call.keywords}


@pytest.mark.parametrize("name", LESSONS)
def test_no_lesson_imports_another(name):
    imported = set()
    for node in ast.walk(ast.parse(source(name))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    assert not imported & {"codes", "tools", "tests"}
