"""How scripts and commands end: by a mistake, by Ctrl-C, by a reader that has gone."""

import importlib.metadata
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from utils.command_line import (
    OneSentenceParser,
    any_path,
    file,
    folder,
    one_of,
    preset_folder,
    rate,
    whole_number,
)

ROOT = Path(__file__).parent.parent
LESSON = ROOT / "codes" / "01_linear_regression.py"
RUNNABLE = sorted(
    path
    for path in (ROOT / "utils").rglob("*.py")
    if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")
    and path.name != "python_version.py"  # imports nothing of ours, see tests/test_doctor.py
)


# ---- the parser ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--port", "99999"], "--port must be a whole number from 0 to 65535, not '99999'."),
        (["--language", "fr"], "--language must be en or zh, not 'fr'."),
        (["--languages", "en"], "unknown option '--languages', did you mean --language?"),
        (["--lang", "en"], "unknown option '--lang', did you mean --language?"),
        (["extra"], "unknown option 'extra'."),
        (["--port"], "--port expected one argument."),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(words, sentence, capsys):
    parser = OneSentenceParser(prog="python -m us")
    parser.add_argument("--port", type=whole_number(0, 65535))
    parser.add_argument("--language", type=one_of("en", "zh"))
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(words)
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"python -m us: {sentence} Try --help.\n"


def test_converters(tmp_path, monkeypatch):
    (tmp_path / "text").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    preset = tmp_path / "run" / "preset"
    preset.mkdir(parents=True)
    (preset / "config.json").touch()
    good = [
        (whole_number(1), "5", 5),
        (rate(), "0", 0.0),
        (folder("none"), "none", "none"),
        (folder(), str(tmp_path), str(tmp_path)),
        (file("text file"), str(tmp_path / "text"), str(tmp_path / "text")),
        (file("text file"), "~/text", str(tmp_path / "text")),
        (folder(), "~", str(tmp_path)),
        (preset_folder(), str(preset), str(preset)),
        (preset_folder(), "~/run", str(preset)),
        (preset_folder(), "~", str(tmp_path)),
        (any_path(), "~/new", tmp_path / "new"),
        (any_path(), "~nobody-of-this-name/new", Path("~nobody-of-this-name/new")),
    ]
    for converter, text, value in good:
        assert converter(text) == value
    bad = [
        (whole_number(1), ["0", "", "2.5"]),
        (rate(), ["1", "-0.1", "nan"]),
        (folder("none"), ["non", "", str(tmp_path / "text"), "~nobody-of-this-name/a"]),
        (file("text file"), ["", str(tmp_path), "~nobody-of-this-name/a"]),
        (any_path(), ["", " "]),
    ]
    for converter, texts in bad:
        for text in texts:
            with pytest.raises(ValueError):
                converter.convert(text)


# ---- the end of a process ------------------------------------------------------------------------

ENDLESS = """
from utils.course.settings import settings

settings(seed=1)
while True:
    print("another line")
"""
COMMAND = """
from utils.command_line import run

def main():
    while True:
        print("another line")

run(main)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("code", [ENDLESS, COMMAND], ids=["lesson", "command"])
def test_ctrl_c_is_one_sentence_and_exit_code_130(code):
    command = [sys.executable, "-c", code]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, encoding="utf-8", **streams) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 130
    assert said.startswith("Stopped: ") and said.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_ctrl_c_in_a_training_that_a_lesson_has_started_is_said_once(tmp_path):
    (tmp_path / "endless.py").write_text(COMMAND, encoding="utf-8")
    code = "from utils.command_line import run\nfrom utils.small_gpt2 import train_by\n"
    command = [sys.executable, "-c", code + "run(lambda: train_by('endless'))"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    with subprocess.Popen(
        command, env=environ, stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True
    ) as process:
        while "another line" not in process.stderr.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to both processes
        said = process.communicate()[1]
    assert process.returncode == 130
    assert said.count("Stopped") == 1 and "Traceback" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_training_does_not_outlive_a_lesson_that_alone_was_stopped(tmp_path):
    (tmp_path / "endless.py").write_text(COMMAND, encoding="utf-8")
    code = "from utils.command_line import run\nfrom utils import small_gpt2\n"
    code += "small_gpt2.GOODBYE = 0.2\nrun(lambda: small_gpt2.train_by('endless'))"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environ, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        while "another line" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.count("Stopped") == 1 and "Traceback" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other pipes")
@pytest.mark.parametrize("code", [ENDLESS, COMMAND], ids=["lesson", "command"])
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_that_has_gone_is_no_error(code, unbuffered):
    command = [sys.executable, "-c", code]
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environ, encoding="utf-8", **streams) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other pipes")
def test_a_reader_that_has_gone_before_the_end_is_no_error():
    """What is still buffered then is written when Python ends, where no exception is caught."""
    code = "from utils.command_line import run; run(lambda: print('last words'))"
    reader, writer = os.pipe()
    os.close(reader)
    command, environ = [sys.executable, "-c", code], {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(command, env=environ, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.stderr == b""


def test_a_bug_still_shows_its_traceback():
    code = "from utils.command_line import run; run(lambda: 1 / 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr


# ---- files run by their path ---------------------------------------------------------------------


@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_beside_a_command_hides_a_library(path):
    """`python utils/doctor.py` puts utils/ first on the path, where a tokenizers.py would be taken
    for the library of that name."""
    libraries = importlib.metadata.packages_distributions().keys() | sys.stdlib_module_names
    beside = {other.stem for other in path.parent.iterdir() if other.suffix == ".py"}
    beside |= {other.parent.name for other in path.parent.glob("*/__init__.py")}
    assert not (beside - {"__init__", "__main__"}) & libraries


@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_can_be_run_by_its_path(path, tmp_path):
    command = [sys.executable, path, "--help"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, encoding="utf-8")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("usage: ")
