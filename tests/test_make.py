"""What make does before a lesson can run: it chooses a Python, installs once, and mends what broke.

The Pythons here are shell scripts that write down how they are called, so nothing is installed.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")

GOOD = """\
#!/bin/sh
echo "$*" >> calls.txt
case "$*" in "-m venv"*) mkdir -p .venv/bin .venv/lib && cp "$0" .venv/bin/python ;; esac
"""
TOO_OLD = "#!/bin/sh\necho 'Python 3.9 is too old.'\nexit 1\n"
BROKEN = "#!/bin/sh\necho 'no such version' >&2\nexit 127\n"
FAILS_TO_INSTALL = GOOD + 'case "$*" in *"pip install"*) exit 1 ;; esac\n'


@pytest.fixture
def folder(tmp_path):
    """A copy of the project as far as make looks at it, with a space in its path."""
    copy = tmp_path / "my course"
    (copy / "utils").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "utils/python_version.py"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def python(folder, name, script):
    path = folder.parent / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)
    return path


def make(folder, *arguments, path=None):
    """Run make where the only Pythons are those in bin/; return the exit code and its output."""
    ours = {"MAKEFLAGS", "MAKELEVEL"}  # those of the make that runs the tests
    ours |= {"PYTHON", "PRESET", "MODEL", "DOCS", "DATA", "NANOGPT", "SHAKESPEARE", "TORCH_PYTHON"}
    environ = {name: value for name, value in os.environ.items() if name not in ours}
    environ["PATH"] = f"{folder.parent / 'bin'}:{path or environ['PATH']}"
    done = subprocess.run(
        ["make", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def installs(folder):
    calls = (folder / "calls.txt").read_text(encoding="utf-8").splitlines()
    return [call for call in calls if "pip install" in call]


def test_it_installs_once_and_runs_the_lesson_each_time(folder):
    chosen = python(folder, "good", GOOD)
    for _ in range(2):
        code, said = make(folder, "run", f"PYTHON={chosen}")
        assert code == 0, said
    assert len(installs(folder)) == 1
    assert "--constraint requirements.txt --editable .[dev]" in installs(folder)[0]
    calls = (folder / "calls.txt").read_text(encoding="utf-8")
    assert calls.count("-m utils.small_gpt2") == 2


def test_the_python_with_torch_can_be_named(folder):
    chosen = python(folder, "good", GOOD)
    settings = ["NANOGPT=there", "SHAKESPEARE=text", "TORCH_PYTHON=/with/torch"]
    code, said = make(folder, "bench", f"PYTHON={chosen}", *settings)
    assert code == 0, said
    assert "-m benchmarks.nanogpt there text --python /with/torch" in said


@pytest.mark.parametrize("changed", ["requirements.txt", "pyproject.toml"])
def test_a_changed_dependency_is_installed(folder, changed):
    chosen = python(folder, "good", GOOD)
    make(folder, "run", f"PYTHON={chosen}")
    later = (folder / ".venv" / "installed").stat().st_mtime + 10
    os.utime(folder / changed, (later, later))
    make(folder, "run", f"PYTHON={chosen}")
    assert len(installs(folder)) == 2


def test_a_folder_that_was_moved_is_installed_again(folder):
    chosen = python(folder, "good", GOOD)
    make(folder, "run", f"PYTHON={chosen}")
    moved = folder.rename(folder.with_name("moved"))
    make(moved, "run", f"PYTHON={chosen}")
    assert len(installs(moved)) == 2


def test_a_failed_install_is_tried_again(folder):
    chosen = python(folder, "good", FAILS_TO_INSTALL)
    code, _ = make(folder, "run", f"PYTHON={chosen}")
    assert code != 0
    (folder / ".venv" / "bin" / "python").write_text(GOOD, encoding="utf-8")
    code, said = make(folder, "run", f"PYTHON={chosen}")
    assert code == 0, said
    assert len(installs(folder)) == 2


def test_a_half_copied_package_is_forgotten_before_pip_believes_in_it(folder):
    chosen = python(folder, "good", FAILS_TO_INSTALL)
    make(folder, "run", f"PYTHON={chosen}")
    packages = folder / ".venv" / "lib" / "python3.11" / "site-packages"
    for name in ("whole-1.0.dist-info", "half-1.0.dist-info"):
        (packages / name).mkdir(parents=True)
        (packages / name / "METADATA").touch()
    (packages / "whole-1.0.dist-info" / "INSTALLER").touch()
    make(folder, "run", f"PYTHON={chosen}")
    assert [path.name for path in packages.iterdir()] == ["whole-1.0.dist-info"]


def test_a_python_that_does_not_fit_is_told_and_nothing_is_created(folder):
    chosen = python(folder, "old", TOO_OLD)
    code, said = make(folder, "run", f"PYTHON={chosen}")
    assert code != 0
    assert said.splitlines()[0] == "Python 3.9 is too old."
    assert not (folder / ".venv").exists()


def test_a_python_that_does_not_exist_is_told(folder):
    code, said = make(folder, "run", "PYTHON=no-such-python")
    assert code != 0
    assert said.startswith("no-such-python does not run here: install Python 3.11")


def test_the_first_python_that_fits_is_chosen(folder):
    python(folder, "python3.11", BROKEN)
    python(folder, "python3.12", TOO_OLD)
    python(folder, "python3.13", GOOD)
    code, said = make(folder, "run", path="/usr/bin:/bin")
    assert code == 0, said
    assert (folder / ".venv" / "bin" / "python").read_text(encoding="utf-8") == GOOD


def test_help_is_the_default_and_names_every_command(folder):
    code, said = make(folder)
    assert code == 0
    named = {line.split()[1] for line in said.splitlines() if line.startswith("  make ")}
    assert named >= {"run", "test", "lab", "notebooks", "check", "data", "bench", "clean"}


def test_clean_keeps_data_and_models(folder):
    kept = [folder / "datasets" / "cache" / "data.txt", folder / "checkpoints" / "model.keras"]
    gone = [folder / "outputs" / "figure.png", folder / ".venv" / "bin" / "python"]
    for path in kept + gone:
        path.parent.mkdir(parents=True)
        path.touch()
    code, said = make(folder, "clean")
    assert code == 0
    assert "Kept: datasets/cache" in said
    assert [path.exists() for path in kept + gone] == [True, True, False, False]


def test_chat_serves_the_model_of_a_folder(folder):
    python(folder, "python3.11", GOOD)
    assert make(folder, "chat")[0] == make(folder, "chat", "PRESET=/my models/x")[0] == 0
    assert make(folder, "chat", "MODEL=smollm2")[0] == make(folder, "chat", "MODEL=gpt2")[0] == 0
    assert make(folder, "chat", "DOCS=/my papers")[0] == 0
    calls = (folder / "calls.txt").read_text(encoding="utf-8").splitlines()
    served = [call for call in calls if "utils.serving" in call]
    chosen = ["--preset /my models/x", "--model smollm2", "--model gpt2", "--docs /my papers"]
    assert served == ["-m utils.serving", *(f"-m utils.serving {words}" for words in chosen)]
