"""A file of preferences: a prompt and two texts a line, of which one is preferred.

pairs = read_pairs(path)      # {"prompt": …, "chosen": …, "rejected": …}
"""

import json
from dataclasses import dataclass
from pathlib import Path

from utils.errors import CourseError
from utils.files import read_text

FIELDS = ("prompt", "chosen", "rejected")


class PairsError(CourseError):
    """A file that holds no pairs of texts; one sentence says why."""


@dataclass(frozen=True)
class Pair:
    """A preference: after the prompt, `chosen` is better than `rejected`."""

    prompt: str
    chosen: str
    rejected: str


def read_pairs(path: Path) -> list[Pair]:
    """Read pairs from JSON Lines; empty lines are skipped.

    Raises:
        PairsError: if the file cannot be read or holds no pair, and for a line that is no pair:
            with its number and what is wrong.
    """
    # not splitlines(): JSON may hold U+2028 and the like within a line
    pairs = []
    for number, line in enumerate(read_text(path, PairsError).split("\n"), 1):
        if line.strip():
            try:
                pairs.append(_pair(line))
            except PairsError as error:
                raise PairsError(f"{path}, line {number}: {error}") from None
    if not pairs:
        raise PairsError(f"{path} holds no pair.")
    return pairs


def _pair(line: str) -> Pair:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PairsError("this is not JSON, which puts one object on one line.") from error
    if not isinstance(record, dict) or not set(FIELDS) <= set(record):
        raise PairsError('a pair is {"prompt": …, "chosen": …, "rejected": …}.')
    for name in FIELDS:
        if not isinstance(record[name], str):
            raise PairsError(f'"{name}" must be a text.')
        if any("\ud800" <= character <= "\udfff" for character in record[name]):
            raise PairsError(f'"{name}" has half of a character: an emoji may have been cut.')
        if name != "prompt" and not record[name].strip():
            raise PairsError(f'"{name}" is empty.')
    if record["chosen"] == record["rejected"]:
        raise PairsError("both texts are the same, so there is nothing to prefer.")
    return Pair(*(record[name] for name in FIELDS))
