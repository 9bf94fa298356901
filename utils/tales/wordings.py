"""In how many words people ask about a tale: grammars of questions.

A grammar of questions is written as the tales are, and `derivations` reads it too: it samples a
wording, and it finds out whether a wording is one of the grammar's. So it can be proved that no
training has seen the wordings of an examination.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from random import Random
from types import ModuleType

from utils.tales import chinese_wordings, english_wordings
from utils.tales.derivations import Draw, Follow, derivations
from utils.tales.grammar import Grammar, capitalised
from utils.tales.notation import read_grammar

LANGUAGES: dict[str, ModuleType] = {"en": english_wordings, "zh": chinese_wordings}

# Topics that no tale says anything about: of its people and things, and of the rest of the world.
UNANSWERED = ("unsaid", "world")


@cache
def grammar(language: str) -> Grammar:
    """The grammar of questions of a language, "en" or "zh"."""
    return read_grammar(LANGUAGES[language].WORDINGS, start="wording")


def wording(
    topic: str, memory: Mapping[str, str], language: str, rng: Random, follow_up: bool = False
) -> str:
    """A question about a topic of a tale, in words sampled from the grammar.

    Args:
        topic: the topic of a `Question`, or one of `UNANSWERED`.
        memory: what the tale remembers.
        language: "en" or "zh".
        rng: the random generator.
        follow_up: whether to say "she" and "it", as after a question that has named them.
    """
    ways = list(_names(memory, language, follow_up))
    names = rng.choices([way for _, way in ways], [weight for weight, _ in ways])[0]
    drawn = Draw(rng.getrandbits(32))
    told = next(derivations(grammar(language), drawn, {**memory, **names, "topic": topic})).told
    return capitalised(told)


def in_grammar(text: str, topic: str, memory: Mapping[str, str], language: str) -> bool:
    """Whether the grammar has this wording of a topic, whatever its capital letters."""
    ways = [
        names for follow_up in (False, True) for _, names in _names(memory, language, follow_up)
    ]
    for names in ways:
        known = {**memory, **names, "topic": topic}
        for start in (text, text[:1].lower() + text[1:]):
            if next(derivations(grammar(language), Follow(start), known), None):
                return True
    return False


Names = tuple[int, dict[str, str]]  # how likely it is that things are called so, and their names


def _names(memory: Mapping[str, str], language: str, follow_up: bool) -> Iterator[Names]:
    """How the child and the things may be called; after another question, by pronouns."""
    return (_chinese_names if language == "zh" else _english_names)(memory, follow_up)


def _english_names(memory: Mapping[str, str], follow_up: bool) -> Iterator[Names]:
    she, her, him = memory["she"], memory["her"], memory["him"]
    pronouns = {"pron": she, "their": her, "them": him, "self": f"{him}self"}
    if follow_up:
        it = {"it": "it", "that": "it"}
        yield 1, pronouns | it | {"who": she, "whom": him, "whose": her}
        return
    it = {"it": f"the {memory['prize']}", "that": f"the {memory.get('other', '')}"}
    child = memory["child"]
    ways = [(6, memory["hero"]), (1, f"the {child}"), (1, "the child"), (1, f"the little {child}")]
    for weight, who in ways:
        yield weight, pronouns | it | {"who": who, "whom": who, "whose": f"{who}'s"}


def _chinese_names(memory: Mapping[str, str], follow_up: bool) -> Iterator[Names]:
    if follow_up:
        yield 1, {"who": memory["she"], "it": "它", "that": "它"}
        return
    it = {"it": memory["prize"], "that": memory.get("other", "")}
    ways = [(6, memory["hero"]), (1, memory["child"]), (1, "孩子"), (1, "那个孩子")]
    for weight, who in ways:
        yield weight, it | {"who": who}
