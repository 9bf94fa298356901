"""How to write a grammar with a memory.

A grammar is written as plain text. Two kinds of brackets do all the work:

    [rule]          choose one option of a rule, now; its text is remembered under the rule's name
    {name}          say again what is remembered; {Name} starts it with a capital letter
    [name=rule]     choose from a rule, but remember the text under another name
    [rule {name}]   choose from the rule whose title ends in what is remembered:
                    [helper {trouble}] is [helper tree] once the trouble is a tree
    [red|blue|]     choose one of these few texts (the last one here is empty)

A rule is a title with a colon, then one option per indented line. A number in front is the option's
weight. Notes after `::` are remembered too, as soon as the option is chosen:

    child:
        3 girl :: she=she; her=her
        2 boy :: she=he; her=his

Without the memory this is a context-free grammar, and whatever it says is grammatical. The memory
makes stories consistent: the kite of the second sentence is still a kite in the ninth, and a kite
in a tree is fetched by somebody who climbs or flies. Who has what, and where, is kept in the memory
and needs no second bookkeeping beside the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from utils.tales.grammar import Choice, Grammar, GrammarError, Option, Piece, Recall, Rule, Text


def read_grammar(source: str, start: str = "story", keep: Iterable[str] = ()) -> Grammar:
    """Compile the notation.

    What some rule recalls is remembered; `keep` names more that should be.
    Raises GrammarError for a rule that is missing, empty, written twice or wrongly.
    """
    rules: dict[str, Rule] = {}

    def add(title: str, lines: Sequence[str]) -> None:
        if not lines or title in rules:
            raise GrammarError(f"the rule {title!r} is empty or written twice")
        rules[title] = Rule(title, [_option(line, add_few) for line in lines])

    def add_few(inside: str) -> None:
        if inside not in rules:
            add(inside, inside.split("|"))

    for title, lines in sections(source):
        add(title, lines)
    return Grammar(rules, start, keep)


def _option(line: str, add_few: Callable[[str], None]) -> Option:
    weight, pattern, notes = _match(r"(?:(\d+)(?: |$))?(.*?)(?: *:: *(.*))?", line)
    pairs = [_match(r" *(\w+)=(.*?) *", note) for note in notes.split(";")] if notes else []
    return Option(
        weight=int(weight or 1),
        pieces=tuple(_pieces(pattern, add_few)),
        notes={name: _note(value, add_few) for name, value in pairs},
    )


def _pieces(pattern: str, add_few: Callable[[str], None]) -> Iterator[Piece]:
    for part in re.split(r"(\[[^\]]*\]|\{\w+\})", pattern):
        if part.startswith("["):
            if "|" in part:
                add_few(part[1:-1])
            yield _choice(part[1:-1])
        elif part.startswith("{"):
            name = part[1:-1]
            yield Recall(name[0].lower() + name[1:], name[0].isupper())
        elif part:
            yield Text(part)


def _match(pattern: str, text: str) -> tuple:
    match = re.fullmatch(pattern, text)
    if not match:
        raise GrammarError(f"cannot read {text!r}")
    return match.groups()


def _note(value: str, add_few: Callable[[str], None]) -> tuple[Text | Recall, ...]:
    pieces = []
    for piece in _pieces(value, add_few):
        if isinstance(piece, Choice):
            raise GrammarError(f"a note can recall, but not choose: {value!r}")
        pieces.append(piece)
    return tuple(pieces)


def _choice(inside: str) -> Choice:
    if "|" in inside:
        return Choice(inside, inside, None)
    name, _, rule = inside.rpartition("=")
    rule, key = _match(r"([^{]+?)(?: \{(\w+)\})?", rule)
    return Choice(name or rule, rule, key)


def sections(source: str) -> Iterator[tuple[str, list[str]]]:
    """Split the notation into (title, option lines); `#` starts a comment line."""
    title: str | None = None
    lines: list[str] = []
    for line in source.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line[0].isspace():
            if title is not None:
                yield title, lines
            title, lines = line.strip().removesuffix(":"), []
        elif title is None:
            raise GrammarError(f"an option before the first title: {line.strip()!r}")
        else:
            lines.append(line.strip())
    if title is not None:
        yield title, lines
