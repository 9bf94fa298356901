"""What a grammar with a memory is made of; `utils.tales.notation` says how one is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate
from typing import NamedTuple


class Text(NamedTuple):
    """Words that are always the same."""

    text: str


class Recall(NamedTuple):
    """Something remembered, said again."""

    name: str
    capital: bool


class Choice(NamedTuple):
    """A choice from `rule`, or from `rule` plus what is remembered under `key`."""

    name: str
    rule: str
    key: str | None


Piece = Text | Recall | Choice


@dataclass(frozen=True, eq=False)
class Option:
    """One way to continue: `pieces` to tell, and `notes` to remember."""

    weight: int
    pieces: tuple[Piece, ...]
    notes: Mapping[str, tuple[Text | Recall, ...]]


class Rule:
    """Weighted options under one title."""

    def __init__(self, title: str, options: Sequence[Option]):
        self.title = title
        self.options = tuple(options)
        self.cumulative = list(accumulate(option.weight for option in options))
        self.total = self.cumulative[-1]
        self.log_probs = [math.log(option.weight / self.total) for option in options]

    def probability(self, index: int) -> Fraction:
        """The exact probability of one option."""
        return Fraction(self.options[index].weight, self.total)


class GrammarError(ValueError):
    """The rules themselves are wrong: for the person who extends them."""


class Grammar:
    """Rules by title, and the rule to start from.

    What some rule recalls is remembered while telling; `keep` names more that should be.
    Raises GrammarError if a choice asks for a rule that is not there.
    """

    def __init__(self, rules: Mapping[str, Rule], start: str = "story", keep: Iterable[str] = ()):
        self.rules = rules
        self.start = start
        for choice in [Choice("", start, None), *self.all(Choice)]:
            if not self.titles(choice):
                raise GrammarError(f"there is no rule {choice.rule!r}")
        keys = {choice.key for choice in self.all(Choice) if choice.key}
        self.remembered = frozenset(keep) | keys | {recall.name for recall in self.all(Recall)}

    def all(self, kind: type) -> Iterator:
        """Every piece of this kind anywhere in the rules."""
        options = (option for rule in self.rules.values() for option in rule.options)
        return (piece for option in options for piece in option.pieces if isinstance(piece, kind))

    def titles(self, choice: Choice) -> list[str]:
        """The titles that a choice may turn out to mean; several if it depends on the memory."""
        if choice.key is None:
            return [choice.rule] if choice.rule in self.rules else []
        return [title for title in self.rules if title.startswith(choice.rule + " ")]

    def log_prob_limit(self) -> float:
        """No story is more probable than this (in nats), so there are at least e^−limit stories.

        It takes the likeliest option of every choice, and where a choice depends on the memory the
        likeliest of all the rules it may mean.
        """

        @cache
        def of_rule(title: str) -> float:
            options = zip(self.rules[title].options, self.rules[title].log_probs, strict=True)
            return max(log_prob + of_pieces(option.pieces) for option, log_prob in options)

        def of_pieces(pieces: Sequence[Piece]) -> float:
            choices = (piece for piece in pieces if isinstance(piece, Choice))
            return sum(max(map(of_rule, self.titles(choice))) for choice in choices)

        return of_rule(self.start)


def capitalised(text: str) -> str:
    """The same text with a capital first letter."""
    return text[:1].upper() + text[1:]
