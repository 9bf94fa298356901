"""The command line of every lesson and command: one parser, one set of converters.

A mistake is answered with one sentence on stderr and exit code 2.

    def main(words: list[str] | None = None) -> int:
        parser = OneSentenceParser(prog="python -m utils.serving", description="…")
        parser.add_argument("--port", type=whole_number(0, 65535), default=8000, help="…")
        args = parser.parse_args(words)
        …

    if __name__ == "__main__":
        run(main)
"""

import argparse
import difflib
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from utils.errors import speak_plainly


@dataclass(frozen=True)
class Converter:
    """Turns the text of a flag into a value; usable as `type` of `add_argument`.

    Attributes:
        expected: a noun phrase for the values that make sense, such as "a number above 0".
        convert: a function that returns the value of a text, or raises ValueError for one that
            makes no sense.
    """

    expected: str
    convert: Callable[[str], object]

    def __call__(self, text: str) -> object:
        try:
            return self.convert(text)
        except ValueError:
            raise argparse.ArgumentTypeError(self.complaint(text)) from None

    def complaint(self, value: object) -> str:
        """The end of a sentence that begins with the name of a setting."""
        return f"must be {self.expected}, not {value!r}"


def whole_number(low: int, high: int | None = None) -> Converter:
    """A whole number between `low` and `high`, both included; None for no upper bound."""

    def convert(text: str) -> int:
        value = int(text)
        if value < low or (high is not None and value > high):
            raise ValueError(text)
        return value

    bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
    return Converter(f"a whole number {bounds}", convert)


def real_number(expected: str, accept: Callable[[float], bool]) -> Converter:
    """A number that `accept` says True of; `expected` describes these numbers."""

    def convert(text: str) -> float:
        value = float(text)
        if not accept(value):
            raise ValueError(text)
        return value

    return Converter(expected, convert)


def positive_number() -> Converter:
    """A finite number above 0."""
    return real_number("a number above 0", lambda value: 0 < value < math.inf)


def share() -> Converter:
    """A number above 0 and not above 1."""
    return real_number("a number above 0 and not above 1", lambda value: 0 < value <= 1)


def rate() -> Converter:
    """A number of at least 0 and below 1."""
    return real_number("a number of at least 0 and below 1", lambda value: 0 <= value < 1)


def any_text() -> Converter:
    """Any text, the empty one included."""
    return Converter("a text", str)


def name(what: str = "a name") -> Converter:
    """A text that is not blank; `what` is a noun phrase for it."""

    def convert(text: str) -> str:
        if not text.strip():
            raise ValueError(text)
        return text

    return Converter(what, convert)


def one_of(*names: str) -> Converter:
    """One of `names`."""

    def convert(text: str) -> str:
        if text not in names:
            raise ValueError(text)
        return text

    return Converter(_listed(names), convert)


def switch() -> Converter:
    """On or off: True or False in a notebook, a flag without a value in a script."""

    def convert(text: str) -> bool:
        return one_of("True", "False").convert(text) == "True"

    return Converter("True or False", convert)


def folder(*names: str) -> Converter:
    """The path of a folder that is there, or one of `names`."""
    return _existing("the path of a folder", os.path.isdir, names)


def preset_folder() -> Converter:
    """The folder of a preset or of a run, which has a preset in it. The path of that preset."""

    def convert(text: str) -> str:
        path = str(folder().convert(text))
        inside = os.path.join(path, "preset")
        return inside if os.path.isfile(os.path.join(inside, "config.json")) else path

    return Converter(folder().expected, convert)


def file(kind: str, *names: str) -> Converter:
    """The path of a file that is there, or one of `names`; `kind` is such as "text file"."""
    return _existing(f"the path of a {kind}", os.path.isfile, names)


def any_path() -> Converter:
    """A path at which there may be nothing yet, as a Path."""

    def convert(text: str) -> Path:
        if not text.strip():
            raise ValueError(text)
        return Path(os.path.expanduser(text))

    return Converter("a path", convert)


def _existing(expected: str, is_there: Callable[[str], bool], names: Sequence[str]) -> Converter:
    def convert(text: str) -> str:
        path = text if text in names else os.path.expanduser(text)
        if text not in names and not is_there(path):
            raise ValueError(text)
        return path

    return Converter(_listed([*names, expected]), convert)


def address() -> Converter:
    """A host and a port, such as 192.168.0.5:7000."""

    def convert(text: str) -> str:
        host, _, port = text.rpartition(":")
        if not host or not 0 < int(port) < 65536:
            raise ValueError(text)
        return text

    return Converter("an address with a port, such as 192.168.0.5:7000", convert)


def _listed(names: Sequence[str]) -> str:
    """The names as a person lists them: "a, b or c"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


class OneSentenceParser(argparse.ArgumentParser):
    """An ArgumentParser whose complaint is one sentence instead of the whole usage.

    Flags cannot be abbreviated: `--step` would mean something else once there is a `--steps-a-day`.
    """

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{"allow_abbrev": False, **options})

    def parse_args(self, args=None, namespace=None):  # type: ignore[override]
        """Parse `args` (the command line, if None); a mistake exits with code 2."""
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            word = unknown[0]
            near = difflib.get_close_matches(word.split("=")[0], self._option_string_actions, n=1)
            self.error(f"unknown option {word!r}" + (f", did you mean {near[0]}?" if near else ""))
        return known

    def error(self, message: str) -> NoReturn:
        """Print one sentence on stderr and exit with code 2."""
        # argparse says "argument --epochs: must be …".
        sentence = re.sub(r"^argument (\S+): ", r"\1 ", message)
        stop = "" if sentence[-1] in ".?" else "."
        self.exit(2, f"{self.prog}: {sentence}{stop} Try --help.\n")


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with the code that its `main` returns.

    A CourseError, Ctrl-C and a closed pipe end it as they end a lesson, see `utils.errors`.
    """
    speak_plainly()
    sys.exit(main())
