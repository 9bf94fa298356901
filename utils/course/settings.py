"""The settings of a lesson: one line that works in a notebook, in a script and in CI.

    args = settings(epochs=500, learning_rate=0.01)

In a notebook this is a namespace. In a script the same line also reads the command line:
`--epochs 10 --learning-rate 0.1`. Call it before Keras is imported: then `--help` is instant,
and TensorFlow starts without its log lines.
"""

import argparse
import difflib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from utils.course.hyperparameters import OPTIONS
from utils.errors import CourseError, show_one_sentence
from utils.quiet import import_tensorflow


class SettingError(CourseError):
    """A setting has a value that makes no sense."""


def in_notebook() -> bool:
    """True inside a Jupyter kernel, False in a script or a terminal."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


def settings(**defaults: object) -> argparse.Namespace:
    """Return the lesson's settings; in a script the command line overrides them.

    Args:
        defaults: `name=value`, every name an entry of `utils.course.hyperparameters.OPTIONS`.

    Raises:
        SettingError: in a notebook, for a value out of range. A script says the same sentence
            on stderr and exits with code 2.
    """
    if in_notebook():
        args = _checked(defaults)
    else:
        args = read_command_line(defaults, sys.argv[1:])
        _prepare_script(args.__dict__.pop("show"), args.__dict__.pop("data_dir"))
    import_tensorflow()
    return args


def read_command_line(defaults: dict[str, object], words: Sequence[str]) -> argparse.Namespace:
    """Parse `words`; a mistake prints one sentence and exits with code 2."""
    _checked(defaults)
    parser = _OneSentenceParser(description=_title(Path(sys.argv[0])), allow_abbrev=False)
    for name, default in defaults.items():
        if isinstance(default, bool):
            parser.add_argument(_flag(name), action="store_true", help=OPTIONS[name].meaning)
            continue
        parser.add_argument(
            _flag(name),
            type=_converter(name),
            default=default,
            metavar="VALUE",
            help=f"{OPTIONS[name].meaning}: {OPTIONS[name].expected} (default {default})",
        )
    parser.add_argument("--data-dir", metavar="DIR", help="where data is kept and looked for")
    parser.add_argument("--show", action="store_true", help="show figures in windows, not in files")
    args, unknown = parser.parse_known_args(words)
    if unknown:
        parser.refuse_unknown(unknown[0])
    return args


def _checked(defaults: dict[str, object]) -> argparse.Namespace:
    for name, value in defaults.items():
        try:
            OPTIONS[name].convert(str(value))
        except ValueError:
            raise SettingError(_complaint(name, value)) from None
    return argparse.Namespace(**defaults)


def _converter(name: str):
    def convert(text: str) -> object:
        try:
            return OPTIONS[name].convert(text)
        except ValueError:
            raise argparse.ArgumentTypeError(_complaint(_flag(name), text)) from None

    return convert


def _complaint(name: str, value: object) -> str:
    expected = OPTIONS[name.lstrip("-").replace("-", "_")].expected
    return f"{name} must be {expected}, not {value!r}."


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _title(script: Path) -> str | None:
    """The lesson's title: the first Markdown heading in its script."""
    lines = script.read_text(encoding="utf-8").splitlines() if script.suffix == ".py" else []
    return next((line[4:] for line in lines if line.startswith("# # ")), None)


def _prepare_script(show: bool, data_dir: str | None) -> None:
    """What a notebook has by itself: figures that appear, UTF-8 text, short error messages."""
    sys.excepthook = show_one_sentence
    if data_dir:
        os.environ["COURSE_DATA"] = os.path.abspath(data_dir)
    if not show:
        os.environ["MPLBACKEND"] = "module://utils.course.saved_figures"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not when a test has replaced it
            stream.reconfigure(encoding="utf-8", errors="replace")


class _OneSentenceParser(argparse.ArgumentParser):
    """An ArgumentParser whose complaint is one sentence instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        # argparse puts "argument --epochs: " before the converter's own sentence.
        sentence = message.split(": ", 1)[-1] if "must be" in message else message
        stop = "" if sentence[-1] in ".?" else "."
        self.exit(2, f"{self.prog}: {sentence}{stop} Try --help.\n")

    def refuse_unknown(self, word: str) -> NoReturn:
        near = difflib.get_close_matches(word.split("=")[0], self._option_string_actions, n=1)
        self.error(f"unknown option {word!r}" + (f", did you mean {near[0]}?" if near else ""))
