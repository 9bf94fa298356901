"""Labelled texts: tables of `text,label`, without duplicates, split for training and testing.

examples = read_table("my.csv")                  # or one sentence that says what is wrong with it
unique, dropped = without_duplicates(examples)
parts = split(unique, seed=0)                    # parts.train, parts.validation, parts.test
"""

import csv
import io
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from utils.errors import CourseError
from utils.files import read_text

COLUMNS = ("text", "label")
FEWEST_ROWS = 40  # of a table: below that a test says nothing
FEWEST_OF_A_LABEL = 5  # so that each part of the split has some
VALIDATION, TEST = 0.1, 0.2  # shares of a split


class TableError(CourseError):
    """A table that no classifier can be trained on; one sentence says why, with the line."""


class Example(NamedTuple):
    """A text, what it is, and where it comes from.

    Attributes:
        text: the text.
        label: the name of its class.
        group: the name of a group, whose texts are alike and never go into different parts of a
            split; "" for a text that is alone.
    """

    text: str
    label: str
    group: str = ""


class Split(NamedTuple):
    """Labelled texts in three parts that share no text and no group."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]


# ---- tables --------------------------------------------------------------------------------------


def read_table(path: Path | str) -> list[Example]:
    """The rows of a table with the columns `text` and `label`, in CSV.

    The file is UTF-8, with or without a byte order mark. The columns are separated by commas,
    semicolons or tabs; a text that holds one of these, or a line break, stands in quotes.

    Raises:
        TableError: if the file cannot be read, or a row of it cannot be learnt from.
    """
    path = Path(path)
    text = read_text(path, TableError)
    if "\0" in text:
        raise TableError(f"{path} is no text but a binary file: save the table as CSV in UTF-8.")
    examples = [_example(path, line, row) for line, row in _rows(path, text)]
    _check(path, examples)
    return examples


def _rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows below the header, each with the line that it begins in."""
    first = text.splitlines()[0] if text.strip() else ""
    names = {name: re.split(f"[{name}]", first.lower()) for name in ",;\t"}
    separator = next(
        (name for name, parts in names.items() if set(COLUMNS) <= {_bare(part) for part in parts}),
        "",
    )
    if not separator:
        raise TableError(
            f"{path}, line 1: the columns must be called text and label, as in `text,label`; the"
            f" line is {_shown(first)}."
        )
    # The limit holds for the whole process, so it is only ever raised. No cell is longer than that.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        header = _header(path, next(reader))
        line = reader.line_num + 1
        for row in reader:
            if any(cell.strip() for cell in row):
                if len(row) != len(header):
                    raise TableError(
                        f"{path}, line {line}: there are {len(row)} columns, but the header has"
                        f" {len(header)}: put a text with {_name_of(separator)} in quotes."
                    )
                yield line, dict(zip(header, row, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(f"{path}, line {line}: the quotes are wrong ({error}).") from None


def _header(path: Path, row: Sequence[str]) -> list[str]:
    """The names of the columns; TableError if two have the same name that is needed."""
    names = [_bare(name) for name in row]
    for name in COLUMNS:
        if names.count(name) > 1:
            raise TableError(
                f"{path}, line 1: {names.count(name)} columns are called {name}, and only one may"
                " be: rename or delete the others."
            )
    return names


def _bare(name: str) -> str:
    return name.strip().strip('"').strip().lower()


def _name_of(separator: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs"}[separator]


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…") if text else "empty"


def _example(path: Path, line: int, row: dict[str, str]) -> Example:
    text, label = (row[name].strip() for name in COLUMNS)
    for name, value in zip(COLUMNS, (text, label), strict=True):
        if not value:
            raise TableError(f"{path}, line {line}: the {name} is empty: fill it in or delete it.")
    return Example(text, label)


def _check(path: Path, examples: Sequence[Example]) -> None:
    """Raise TableError unless there are enough rows of at least two labels."""
    if len(examples) < FEWEST_ROWS:
        raise TableError(
            f"{path} has {len(examples)} rows, and at least {FEWEST_ROWS} are needed, because a"
            " part of them is held out for the test: add some."
        )
    counts = Counter(example.label for example in examples)
    if len(counts) == 1:
        raise TableError(
            f"{path}: all rows have the label {_shown(examples[0].label)}; there must be two at"
            " least, or there is nothing to tell apart."
        )
    label, number = min(counts.items(), key=lambda item: item[1])
    if number < FEWEST_OF_A_LABEL:
        raise TableError(
            f"{path}: the label {_shown(label)} has only {number} of {len(examples)} rows, and"
            f" {FEWEST_OF_A_LABEL} are needed: add some, or join it with another label."
        )


# ---- duplicates and parts ------------------------------------------------------------------------


def normal_form(text: str) -> str:
    """A text without what makes no difference: case, widths of characters, spaces, punctuation.

    Two texts with the same form are duplicates.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in plain if unicodedata.category(c)[0] in "LNSM") or plain.strip()


def without_duplicates(examples: Iterable[Example]) -> tuple[list[Example], int]:
    """Each text once, the first of its kind; a text with several labels is left out entirely.

    This comes *before* the split: else a text of the test may have been learnt by heart.

    Returns:
        the examples, and how many have been left out.
    """
    first: dict[str, Example] = {}
    labels: dict[str, set[str]] = defaultdict(set)
    number = 0
    for example in examples:
        number += 1
        form = normal_form(example.text)
        first.setdefault(form, example)
        labels[form].add(example.label)
    kept = [example for form, example in first.items() if len(labels[form]) == 1]
    return kept, number - len(kept)


def split(examples: Sequence[Example], seed: int, test: float = TEST) -> Split:
    """Three parts, a tenth of the groups for validation, at random, label by label.

    Args:
        examples: the examples without duplicates.
        seed: the seed of the choice.
        test: the share of the groups for the test.

    Raises:
        TableError: if a label has too few different texts, or groups, to be in all three parts.
    """
    rng = Random(seed)
    groups: dict[str, list[Example]] = defaultdict(list)
    for number, example in enumerate(examples):
        groups[example.group or str(number)].append(example)
    by_label: dict[str, list[str]] = defaultdict(list)
    for name, alike in groups.items():  # a group may have several labels: the first one counts
        by_label[alike[0].label].append(name)
    parts = Split([], [], [])
    for _, names in sorted(by_label.items()):
        rng.shuffle(names)
        first = max(1, round(test * len(names)))
        second = first + max(1, round(VALIDATION * len(names)))
        for part, chosen in [
            (parts.test, names[:first]),
            (parts.validation, names[first:second]),
            (parts.train, names[second:]),
        ]:
            part.extend(example for name in chosen for example in groups[name])
    for label in labels_of(examples):
        if any(label not in {example.label for example in part} for part in parts):
            raise TableError(
                f"The label {_shown(label)} has too few different texts to be in all of training,"
                " validation and test: add some."
            )
    for part in parts:
        rng.shuffle(part)
    return parts


def labels_of(examples: Iterable[Example]) -> list[str]:
    """The names of all classes, in order."""
    return sorted({example.label for example in examples})


def as_classes(examples: Iterable[Example], labels: Sequence[str]) -> list[int]:
    """The number of each example's class in `labels`."""
    numbers = {label: number for number, label in enumerate(labels)}
    return [numbers[example.label] for example in examples]
