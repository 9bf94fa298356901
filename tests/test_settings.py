"""What a learner types on the command line, and what they get for it."""

import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from lesson_code import definitions

from utils.course.hyperparameters import OPTIONS
from utils.course.settings import SettingError, read_command_line, settings
from utils.paths import data_dir
from utils.training.recipes import ChatRecipe, Recipe

LESSON = Path(__file__).parent.parent / "codes" / "01_linear_regression.py"
DEFAULTS = {"epochs": 500, "learning_rate": 0.01, "seed": 4}


def test_defaults_and_overrides():
    args = read_command_line(DEFAULTS, ["--learning-rate", "0.5"])
    assert (args.epochs, args.learning_rate, args.seed) == (500, 0.5, 4)


def test_a_switch_is_a_flag_without_a_value():
    assert read_command_line({"chat": False}, ["--chat"]).chat is True
    assert read_command_line({"chat": False}, []).chat is False


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--epochs", "-3"], "--epochs must be a whole number from 1 to 1000000, not '-3'."),
        (["--epochs", "ten"], "--epochs must be a whole number from 1 to 1000000, not 'ten'."),
        (["--epochs", "2.5"], "--epochs must be a whole number from 1 to 1000000, not '2.5'."),
        (["--learning-rate", "nan"], "--learning-rate must be a number above 0, not 'nan'."),
        (["--learning-rate", "inf"], "--learning-rate must be a number above 0, not 'inf'."),
        (["--learning-rate", "0"], "--learning-rate must be a number above 0, not '0'."),
        (["--epochs"], "--epochs expected one argument."),
        (["--epoch", "3"], "unknown option '--epoch', did you mean --epochs?"),
        (["--frobnicate"], "unknown option '--frobnicate'."),
        (["extra"], "unknown option 'extra'."),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(words, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        read_command_line(DEFAULTS, words)
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.endswith(f"{sentence} Try --help.\n")


def test_a_notebook_gets_the_same_sentence(monkeypatch):
    monkeypatch.setattr("utils.course.settings.in_notebook", lambda: True)
    with pytest.raises(SettingError, match="epochs must be a whole number .*, not -3"):
        settings(epochs=-3)


@pytest.mark.parametrize("flag", ["--data-dir={home}", "--data-dir=~"], ids=["path", "tilde"])
def test_a_script_looks_for_data_where_the_flag_says(flag, monkeypatch, tmp_path):
    """A shell leaves the ~ of `--data-dir=~/data` to the program."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", [str(LESSON), flag.format(home=tmp_path)])
    monkeypatch.setattr("sys.excepthook", sys.excepthook)  # settings() sets these; put them back
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("COURSE_DATA", "elsewhere")
    assert not hasattr(settings(**DEFAULTS), "data_dir")
    assert data_dir() == tmp_path


@pytest.mark.parametrize(
    "name", sorted(OPTIONS.keys() - {"prompt"})
)  # any text will do for that one
def test_every_setting_refuses_nonsense(name):
    nonsense = [""] if name == "run" else ["", "ten", str(-math.inf), "nan"]
    for text in nonsense:
        with pytest.raises(ValueError):
            OPTIONS[name].values.convert(text)
            pytest.fail(f"{name} accepted {text!r}")


def test_a_setting_without_a_value_is_none_until_it_is_given(capsys):
    assert read_command_line({"layers": None}, []).layers is None
    assert read_command_line({"layers": None}, ["--layers", "3"]).layers == 3
    with pytest.raises(SystemExit):
        read_command_line({"layers": None}, ["--help"])
    assert "from 1 to 96 (default: as the size has it)" in " ".join(capsys.readouterr().out.split())


def test_none_is_no_value_for_a_setting_that_needs_one():
    with pytest.raises(SettingError, match="epochs must be a whole number .*, not None"):
        read_command_line({"epochs": None}, [])


def test_help_needs_no_tensorflow():
    code = (
        "import runpy, sys; sys.argv = [sys.argv[1], '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, LESSON], capture_output=True, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr
    assert "passes over the training data" in result.stdout
    assert "Linear regression" in result.stdout


@pytest.mark.parametrize("module", ["utils.small_gpt2", "utils.small_chat"])
@pytest.mark.parametrize("flags", [["--seed", "ten"], ["--steps", "0"], ["--no-such-flag"]])
def test_a_command_that_trains_refuses_a_wrong_flag_before_it_begins(module, flags):
    result = subprocess.run(
        [sys.executable, "-m", module, *flags], capture_output=True, encoding="utf-8"
    )
    assert result.returncode == 2
    assert result.stdout == "" and result.stderr.count("\n") == 1
    assert flags[0] in result.stderr


@pytest.mark.parametrize(
    ("lesson", "recipe"), [("08_pretraining", Recipe()), ("10_chat", ChatRecipe())]
)
def test_a_lesson_trains_what_the_command_trains(lesson, recipe):
    asked, usual = {}, asdict(recipe)
    definitions(lesson, constants=["args"], settings=lambda **given: asked.update(given))
    both = asked.keys() & usual.keys()
    assert both >= {"steps", "batch_size", "learning_rate", "seed"}
    assert {name: asked[name] for name in both} == {name: usual[name] for name in both}
