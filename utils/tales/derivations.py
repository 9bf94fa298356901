"""Telling stories from a grammar: one program, and the guides that make it draw, list or parse.

There is one program, `derivations`. A *guide* decides which options it may take, and so which
reading of the grammar this is: `Draw` takes one at random, `Replay` takes the recorded one,
`Everything` takes them all, and `Follow` takes all and drops those that disagree with a given text.
Because the program is the same each time, what is generated, scored and parsed cannot drift apart.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import fsum, prod
from os.path import commonprefix
from string import ascii_letters as LETTERS
from typing import NamedTuple

from utils.tales.grammar import (
    Choice,
    Grammar,
    Option,
    Piece,
    Recall,
    Rule,
    Text,
    capitalised,
)

Derivation = tuple[tuple[str, int], ...]
"""The choices that make a story, in order: (title of the rule, number of the option)."""


class Remember(NamedTuple):
    """Put away everything told since `start` under `name`."""

    name: str
    start: int


class Telling(NamedTuple):
    """A story half told. Nothing in it ever changes, so a telling can be taken up again later."""

    told: str
    to_tell: tuple | None  # what is still to come, as a linked list: (piece, (piece, ... None))
    memory: dict[str, str]
    path: tuple | None  # choices so far, newest first: (title, index, (title, index, ... None))

    @property
    def derivation(self) -> Derivation:
        """The choices in the order in which they were made."""
        choices, path = [], self.path
        while path:
            title, index, path = path
            choices.append((title, index))
        return tuple(reversed(choices))


class Guide:
    """What `derivations` may do. This one allows everything."""

    def options(self, rule: Rule) -> Sequence[int]:
        """The options of a rule that may be tried, by number."""
        return range(len(rule.options))

    def agrees(self, told: str, text: str, piece: Piece) -> bool:
        """May `text` follow what has been told?"""
        return True

    def may_end(self, told: str) -> bool:
        """May the story end here?"""
        return True


Everything = Guide


class Draw(Guide):
    """Takes one option at random, by weight.

    `random.Random(seed).random()` is the method that Python promises to keep the same for a seed,
    so all draws are made from it. It gives a multiple of 2^−53, exact on every platform.
    """

    def __init__(self, seed: int):
        self.random = random.Random(seed).random

    def options(self, rule: Rule) -> Sequence[int]:
        return (bisect_right(rule.cumulative, int(self.random() * rule.total)),)


class Replay(Guide):
    """Takes the options of a recorded derivation."""

    def __init__(self, derivation: Derivation):
        self.indices = iter([index for _, index in derivation])

    def options(self, rule: Rule) -> Sequence[int]:
        return (next(self.indices),)


class Miss(NamedTuple):
    """Words that should have come at `start` and did not."""

    start: int
    text: str
    piece: Piece | None  # None if the story should have ended


class Follow(Guide):
    """Takes every option, as long as the words are those of `text`.

    It remembers how far it came: no reading got past the word or character at `furthest`, where
    each of `missed` would have been right. After `patience` choices it gives up, so that no text,
    however odd, is read for longer than a moment.
    """

    def __init__(self, text: str, patience: int = 20_000):
        self.text = text
        self.patience = patience
        self.furthest = 0
        self.missed: list[Miss] = []

    def options(self, rule: Rule) -> Sequence[int]:
        self.patience -= 1
        return range(len(rule.options)) if self.patience > 0 else ()

    def agrees(self, told: str, text: str, piece: Piece) -> bool:
        return self.text.startswith(text, len(told)) or self._miss(len(told), text, piece)

    def may_end(self, told: str) -> bool:
        return len(told) == len(self.text) or self._miss(len(told), "", None)

    @property
    def recall_missed(self) -> Miss | None:
        """The miss that contradicts something remembered, if there is one."""
        return next((miss for miss in self.missed if isinstance(miss.piece, Recall)), None)

    def _miss(self, start: int, text: str, piece: Piece | None) -> bool:
        """Note a miss unless reading has come further before. Always False."""
        if start + len(text) >= self.furthest:
            same = commonprefix([text, self.text[start : start + len(text)]])
            position = start + len(same.rstrip(LETTERS))
            if position > self.furthest:
                self.furthest, self.missed = position, []
            if position == self.furthest:
                self.missed.append(Miss(start, text, piece))
        return False


def derivations(
    grammar: Grammar, guide: Guide, memory: Mapping[str, str] | None = None
) -> Iterator[Telling]:
    """Yield every complete story that the guide lets through, depth first.

    `memory` is what is remembered before the first word, for a grammar that recalls it.

    A choice makes one unfinished telling for each option and puts them on the agenda; the newest
    is taken up first. With `Draw` there is one option each time and so one story. With `Follow` a
    wrong option disagrees within a few words and is dropped, so reading takes a time in proportion
    to the length.
    """
    agenda = [Telling("", (Choice("", grammar.start, None), None), dict(memory or {}), None)]
    while agenda:
        telling = _tell_on(agenda.pop(), guide)
        if telling is None:
            continue
        if telling.to_tell is None:
            if guide.may_end(telling.told):
                yield telling
            continue
        choice, rest = telling.to_tell
        title = choice.rule if choice.key is None else f"{choice.rule} {telling.memory[choice.key]}"
        rule = grammar.rules[title]
        if choice.name in grammar.remembered:
            rest = (Remember(choice.name, len(telling.told)), rest)
        for index in reversed(guide.options(rule)):
            if _may_begin(rule.options[index], telling.told, guide):
                agenda.append(_take(telling, rest, rule, index))


def _may_begin(option: Option, told: str, guide: Guide) -> bool:
    """Look at the first words before taking an option up: most end here when a text is followed."""
    first = option.pieces[0] if option.pieces else None
    return not isinstance(first, Text) or guide.agrees(told, first.text, first)


def _take(telling: Telling, rest: tuple | None, rule: Rule, index: int) -> Telling:
    option: Option = rule.options[index]
    for piece in reversed(option.pieces):
        rest = (piece, rest)
    memory = telling.memory
    for name, pieces in option.notes.items():
        memory = memory | {name: "".join(_words(piece, memory) for piece in pieces)}
    return Telling(telling.told, rest, memory, (rule.title, index, telling.path))


def _tell_on(telling: Telling, guide: Guide) -> Telling | None:
    """Tell up to the next choice or the end. None if the guide does not agree with the words."""
    told, to_tell, memory, path = telling
    while to_tell is not None:
        piece, rest = to_tell
        kind = type(piece)
        if kind is Choice:
            break
        if kind is Remember:
            memory = memory | {piece.name: told[piece.start :]}
        else:
            text = piece.text if kind is Text else _words(piece, memory)
            if not guide.agrees(told, text, piece):
                return None
            told += text
        to_tell = rest
    return Telling(told, to_tell, memory, path)


def _words(piece: Text | Recall, memory: dict[str, str]) -> str:
    if isinstance(piece, Text):
        return piece.text
    text = memory[piece.name]
    return capitalised(text) if piece.capital else text


def probability(grammar: Grammar, derivation: Derivation) -> Fraction:
    """The exact probability of a derivation."""
    return prod(
        (grammar.rules[title].probability(index) for title, index in derivation), start=Fraction(1)
    )


def log_probability(grammar: Grammar, derivation: Derivation) -> float:
    """Its natural logarithm, in nats, to float precision."""
    return fsum(grammar.rules[title].log_probs[index] for title, index in derivation)
