"""The vocabulary of settings: what each hyperparameter means and which values make sense.

One name means one thing in every lesson. A lesson that needs a new setting adds its line here.
"""

import math
from collections.abc import Callable
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


VOCABULARY = {
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
}
