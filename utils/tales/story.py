"""Tell a tale, or read one: text, exact probability, and questions with their answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from types import ModuleType

from utils.tales import chinese, english
from utils.tales.derivations import (
    Derivation,
    Draw,
    Follow,
    Telling,
    derivations,
    log_probability,
    probability,
)
from utils.tales.grammar import Grammar
from utils.tales.memoryless import memoryless
from utils.tales.notation import read_grammar
from utils.tales.questions import Question, QuestionList, read_questions

LANGUAGES: dict[str, ModuleType] = {"en": english, "zh": chinese}
HINT = {"en": 1, "zh": 4}  # words or characters that an error message quotes


class NotATale(ValueError):
    """The text is not one of the tales.

    `kind` is "ungrammatical" (no tale has these words) or "inconsistent" (each sentence is fine,
    but one contradicts what was told before). `position` is where, in characters from the start;
    `sentence` counts from 1.
    """

    def __init__(self, kind: str, sentence: int, position: int, reason: str):
        super().__init__(f"sentence {sentence}: {reason}")
        self.kind = kind
        self.sentence = sentence
        self.position = position
        self.reason = reason


@dataclass(frozen=True)
class Story:
    """One tale, on one line. `log_prob` is the logarithm of its exact probability, in nats."""

    text: str
    language: str
    log_prob: float
    derivation: Derivation = field(repr=False)
    memory: Mapping[str, str] = field(repr=False)

    @property
    def probability(self) -> Fraction:
        """The exact probability, as a fraction."""
        return probability(grammar(self.language), self.derivation)

    @property
    def questions(self) -> tuple[Question, ...]:
        """Questions whose answers the story knows."""
        return _question_list(self.language).about(self.memory)


@cache
def grammar(language: str) -> Grammar:
    """The rules of a language, "en" or "zh". Raises ValueError for another language."""
    return read_grammar(_module(language).RULES, keep=_question_list(language).names)


@cache
def memoryless_grammar(language: str) -> Grammar:
    """The same rules without the memory that makes stories consistent."""
    return memoryless(grammar(language))


@cache
def _question_list(language: str) -> QuestionList:
    return read_questions(_module(language).QUESTIONS)


def _module(language: str) -> ModuleType:
    if language not in LANGUAGES:
        raise ValueError(f"the tales are told in {' and '.join(LANGUAGES)}, not in {language!r}")
    return LANGUAGES[language]


def tell(language: str = "en", seed: int = 0) -> Story:
    """Tell the tale with this number: the same one on every machine.

    Raises ValueError for an unknown language or a negative seed.
    """
    if seed < 0:
        raise ValueError(f"the seed must be 0 or more, not {seed}")
    return _story(next(derivations(grammar(language), Draw(seed))), language)


def _story(telling: Telling, language: str) -> Story:
    derivation = telling.derivation
    log_prob = log_probability(grammar(language), derivation)
    return Story(telling.told, language, log_prob, derivation, telling.memory)


def parse(text: str, language: str = "en") -> Story:
    """Read a tale: find its one derivation, and so its probability and its questions.

    Raises:
        NotATale: no tale has this text; with the sentence, the position and the reason.
        ValueError: for an unknown language.
    """
    follow = Follow(text)
    telling = next(derivations(grammar(language), follow), None)
    if telling is None:
        raise _explain(text, language, follow)
    return _story(telling, language)


def _explain(text: str, language: str, follow: Follow) -> NotATale:
    """Inconsistent if the grammar without its memory can tell the text, else ungrammatical."""
    without_memory = Follow(text)
    if next(derivations(memoryless_grammar(language), without_memory), None):
        kind, clue = "inconsistent", "does not fit what was told before"
    else:
        kind, clue = "ungrammatical", "is not how a tale goes on"
        follow = without_memory
    miss = follow.recall_missed
    at, length = (miss.start, len(_units(miss.text))) if miss else (follow.furthest, HINT[language])
    found = _first(text[at:], length)
    hints = dict.fromkeys(_first((text[: m.start] + m.text)[at:], length) for m in follow.missed)
    wanted = " or ".join(repr(hint) if hint else "the end" for hint in list(hints)[:4])
    if miss and miss.text in text[:at]:
        wanted += f" as in sentence {_sentence_number(text, text.index(miss.text))}"
    reason = f"{found!r} {clue}" if found else "the tale breaks off"
    return NotATale(kind, _sentence_number(text, at), at, f"{reason}; expected {wanted}")


def _units(text: str) -> list[str]:
    """English words, single Chinese characters, punctuation."""
    return re.findall(r"[A-Za-z']+ ?|\S ?", text)


def _first(text: str, length: int) -> str:
    return "".join(_units(text)[:length]).strip()


def _sentence_number(text: str, position: int) -> int:
    return len(sentences(text[:position] + "_"))


SENTENCE_END = re.compile(
    r"""[.!?]"?[ ](?=["A-Z_])"""  # English: a space and a capital letter follow
    # Chinese: no "she said" follows
    r"""|[。！？](?:”(?![^，。！？“”]{1,12}(?:[说问喊叹]|心想))|(?!”))"""
)


def sentences(text: str) -> list[str]:
    """Cut a tale into sentences. Direct speech belongs to the words that say who speaks."""
    cuts = sorted({0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)})
    return [text[a:b].strip() for a, b in zip(cuts, cuts[1:], strict=False)]
