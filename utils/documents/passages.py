"""Cut a text into passages: the pieces that are searched for and quoted.

    for start, stop in passages(text, size=100):
        print(text[start:stop])

A passage is made of whole sentences, as many as have at most `size` words together, and may
span several short paragraphs. With `overlap`, each passage begins with
the last sentences of the one before, so that what stands across a border is whole in one of them.
"""

import re
from collections.abc import Iterator

from utils.documents.words import words

SIZE = 100  # words
# A sentence ends at a full stop with a space behind it, at a Chinese one, or at a blank line.
SENTENCE_END = re.compile(r"""\n\s*\n|(?<=[.!?])["')”’*]*\s+|(?<=[。！？])[”’」]?""")

Span = tuple[int, int]  # start and stop in a text, in characters


def sentences(text: str) -> list[Span]:
    """The sentences of a text, without the white space around them; none is empty."""
    cuts = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    spans = (_stripped(text, *span) for span in zip(cuts, cuts[1:], strict=False))
    return [(start, stop) for start, stop in spans if stop > start]


def passages(text: str, size: int = SIZE, overlap: int = 0) -> list[Span]:
    """The passages of a text, in their order.

    Args:
        text: any text.
        size: the most words of a passage; a longer sentence is cut.
        overlap: the most words that a passage has in common with the one before; below `size`.
    """
    pieces = [piece for span in sentences(text) for piece in _pieces(text, span, size)]
    lengths = [len(words(text[start:stop])) for start, stop in pieces]
    found, first = [], 0
    while first < len(pieces):
        last, total = first + 1, lengths[first]
        while last < len(pieces) and total + lengths[last] <= size:
            total += lengths[last]
            last += 1
        found.append((pieces[first][0], pieces[last - 1][1]))
        if last == len(pieces):
            break
        first = _step_back(lengths, first, last, overlap)
    return found


def _step_back(lengths: list[int], first: int, last: int, overlap: int) -> int:
    """Where the next passage begins: `last`, or some sentences before it, but behind `first`."""
    shared = 0
    while last - 1 > first and shared + lengths[last - 1] <= overlap:
        last -= 1
        shared += lengths[last]
    return last


def _pieces(text: str, span: Span, size: int) -> Iterator[Span]:
    """A sentence, or where it is too long its parts of `size` words, as many characters apart."""
    start, stop = span
    while start < stop:
        end = stop
        while (count := len(words(text[start:end]))) > size:  # nearly right at the first try
            end = start + max(1, int((end - start) * size / count))
        if end < stop:
            end = (
                max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end), -1) + 1
                or end
            )
        yield _stripped(text, start, end)
        start = end


def _stripped(text: str, start: int, stop: int) -> Span:
    """The span without white space at its ends."""
    inner = text[start:stop]
    return start + len(inner) - len(inner.lstrip()), stop - len(inner) + len(inner.rstrip())
