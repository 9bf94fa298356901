"""A grammar that has forgotten everything, to tell what is ungrammatical from what contradicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from utils.tales.grammar import Choice, Grammar, Option, Piece, Recall, Rule, Text, capitalised


def memoryless(grammar: Grammar) -> Grammar:
    """The same grammar without its memory: it tells all that is grammatical, consistent or not.

    Where the grammar recalls something, this one chooses freely from all that could have been
    remembered, and where a choice depends on the memory, from all the rules that it may mean.
    """
    rules = {}
    for title, rule in grammar.rules.items():
        rules[title] = Rule(title, [_forget(option) for option in rule.options])
    for recall in set(grammar.all(Recall)):
        rules[repr(recall)] = _any_of(
            repr(recall), [(Text(t),) for t in _recalled(grammar, recall)]
        )
    for choice in set(grammar.all(Choice)):
        if choice.key:
            options = [o.pieces for title in grammar.titles(choice) for o in rules[title].options]
            rules[repr(choice)] = _any_of(repr(choice), dict.fromkeys(options))
    return Grammar(rules, grammar.start)


def _forget(option: Option) -> Option:
    """Replace what depends on the memory by a free choice."""

    def forget(piece: Piece) -> Piece:
        if isinstance(piece, Recall) or (isinstance(piece, Choice) and piece.key):
            return Choice("", repr(piece), None)
        return piece

    return Option(option.weight, tuple(forget(piece) for piece in option.pieces), {})


def _any_of(title: str, options: Iterable[tuple[Piece, ...]]) -> Rule:
    return Rule(title, [Option(1, pieces, {}) for pieces in options])


def _recalled(grammar: Grammar, recall: Recall) -> list[str]:
    """Everything that this piece could ever say."""
    texts = sorted(_values(grammar, recall.name))
    return [capitalised(text) for text in texts] if recall.capital else texts


@cache
def _values(grammar: Grammar, name: str) -> set[str]:
    """Everything that could ever be remembered under a name."""
    found = set()
    for option in (option for rule in grammar.rules.values() for option in rule.options):
        if name in option.notes:
            found |= _texts(grammar, option.notes[name])
        for piece in option.pieces:
            if isinstance(piece, Choice) and piece.name == name:
                found |= _texts(grammar, [piece])
    return found


def _texts(grammar: Grammar, pieces: Sequence[Piece]) -> set[str]:
    """Everything that pieces in a row can say."""
    texts = {""}
    for piece in pieces:
        texts = {text + end for text in texts for end in _piece_texts(grammar, piece)}
    return texts


def _piece_texts(grammar: Grammar, piece: Piece) -> Iterable[str]:
    if isinstance(piece, Text):
        return [piece.text]
    if isinstance(piece, Recall):
        return _recalled(grammar, piece)
    options = (o for title in grammar.titles(piece) for o in grammar.rules[title].options)
    return {text for option in options for text in _texts(grammar, option.pieces)}
