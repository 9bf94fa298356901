"""The vocabulary of settings: what each hyperparameter means and which values make sense.

One name means one thing in every lesson. A lesson that needs a new setting adds its line here.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Hyperparameter(NamedTuple):
    """One setting: `convert` turns its text into a value, or raises ValueError for a bad one."""

    meaning: str
    expected: str
    convert: Callable[[str], object]


def whole_number(meaning: str, low: int, high: int) -> Hyperparameter:
    """A whole number between `low` and `high`, both included."""

    def convert(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return Hyperparameter(meaning, f"a whole number from {low} to {high}", convert)


def positive_number(meaning: str) -> Hyperparameter:
    """A finite number above 0."""

    def convert(text: str) -> float:
        value = float(text)
        if not 0 < value < math.inf:  # also false for NaN
            raise ValueError(text)
        return value

    return Hyperparameter(meaning, "a number above 0", convert)


def share(meaning: str) -> Hyperparameter:
    """A number above 0 and not above 1."""

    def convert(text: str) -> float:
        value = float(text)
        if not 0 < value <= 1:  # also true for NaN
            raise ValueError(text)
        return value

    return Hyperparameter(meaning, "a number above 0 and not above 1", convert)


def one_of(meaning: str, *names: str) -> Hyperparameter:
    """One of `names`."""

    def convert(text: str) -> str:
        if text not in names:
            raise ValueError(text)
        return text

    return Hyperparameter(meaning, " or ".join(names), convert)


def switch(meaning: str) -> Hyperparameter:
    """On or off: True or False in a notebook, a flag without a value in a script."""

    def convert(text: str) -> bool:
        if text not in ("True", "False"):
            raise ValueError(text)
        return text == "True"

    return Hyperparameter(meaning, "True or False", convert)


def name_or_folder(meaning: str, *names: str) -> Hyperparameter:
    """One of `names`, or the path of a folder that is there."""

    def convert(text: str) -> str:
        if text not in names and not (text and Path(text).is_dir()):  # Path("") is the current one
            raise ValueError(text)
        return text

    return Hyperparameter(meaning, f"{', '.join(names)} or a folder", convert)


def name_or_file(meaning: str, *names: str) -> Hyperparameter:
    """One of `names`, or the path of a file that is there."""

    def convert(text: str) -> str:
        if text not in names and not Path(text).expanduser().is_file():
            raise ValueError(text)
        return text

    return Hyperparameter(meaning, f"{', '.join(names)} or the path of a text file", convert)


OPTIONS = {
    "corpus": name_or_file("the text to learn", "tales", "tales-zh", "shakespeare", "python_docs"),
    "language": one_of("the language of the tales", "en", "zh"),
    "epochs": whole_number("passes over the training data", 1, 1_000_000),
    "steps": whole_number("gradient steps", 1, 1_000_000),
    "batch_size": whole_number("examples in one gradient step", 1, 1_000_000),
    "learning_rate": positive_number("length of a step against the gradient"),
    "vocabulary_size": whole_number(
        "tokens: 256 bytes, the end of a text, the merges", 258, 50_257
    ),
    "seed": whole_number("starting point of every random draw", 0, 2**32 - 1),
    "embedding_dim": whole_number("numbers in the vector of a token", 2, 4096),
    "window": whole_number("how far from a word its neighbours may stand", 1, 20),
    "temperature": positive_number("divides the logits: below 1 careful, above 1 daring"),
    "top_k": whole_number("draw among so many likeliest tokens, 0 for all", 0, 50_257),
    "top_p": share("draw among the likeliest tokens that together have this probability"),
    "chat": switch("skip the lesson and talk in the terminal"),
    "prompt": Hyperparameter("how the text begins", "a text", str),
    "length": whole_number("tokens of a generated text, prompt included", 2, 256),
    "preset": name_or_folder(
        "published weights to fetch",
        "none",
        "gpt2_base_en",
        "gpt2_medium_en",
        "gpt2_large_en",
        "gpt2_extra_large_en",
    ),
}
