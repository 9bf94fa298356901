"""From ids to text while they arrive, never half a character."""

import codecs
from collections.abc import Iterable, Iterator

from utils.data.bpe import Tokenizer


def as_text(ids: Iterable[int], tokenizer: Tokenizer) -> Iterator[str]:
    """The text of some ids, piece by piece; each piece as soon as its last byte has come.

    A token is a run of bytes, and most Chinese characters have three, so a token may end inside
    a character. What is not UTF-8 at all becomes "�". Put together, the pieces are what
    `tokenizer.decode` makes of all ids.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for number in ids:
        if piece := decoder.decode(tokenizer.tokens[number]):
            yield piece
    if rest := decoder.decode(b"", final=True):
        yield rest
