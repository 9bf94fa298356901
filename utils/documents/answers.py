"""Answers from documents: the sentence that fits a question best, with its source, or none.

    answer = ask(index, "How long is the warranty?", encoder)
    print(answer.sentence or NOT_THERE)

An answer is always a quotation, never an invention. What a document says is data: a sentence in it
that looks like an instruction is quoted like any other.
"""

from collections.abc import Mapping
from typing import NamedTuple

from utils.documents.index import DocumentIndex, Encoder, Found
from utils.documents.passages import sentences
from utils.documents.ranking import bm25, fuse
from utils.documents.words import words

NOT_THERE = "That is not in your documents."
# Below these the best passage does not answer the question. Lesson 20 chooses them on questions
# with and without an answer in Python's documentation.
LEAST_LIKENESS = 0.30  # cosine, with an encoder
LEAST_SCORE = 0.15  # share of the best possible BM25, without one
PASSAGES = 5


class Answer(NamedTuple):
    """The answer to a question.

    Attributes:
        sentence: the best sentence of the best passage; None if no passage is good enough.
        sources: the passages that were found, the best first.
    """

    sentence: str | None
    sources: list[Found]


def ask(index: DocumentIndex, question: str, encoder: Encoder | None = None) -> Answer:
    """Look a question up.

    Args:
        index: the index of the documents.
        question: the question, in plain words.
        encoder: an encoder that compares by meaning, too; None to compare by words only.
    """
    sources = index.search(question, PASSAGES, encoder)
    if not is_answered(sources):
        return Answer(None, sources)
    best = best_sentence(sources[0].text, question, index.rarities(question), encoder)
    return Answer(best, sources)


def is_answered(sources: list[Found]) -> bool:
    """Whether one of the passages is good enough to quote from."""
    likeness = [found.likeness for found in sources if found.likeness is not None]
    if likeness:
        return max(likeness) >= LEAST_LIKENESS
    return max((found.score for found in sources), default=0.0) >= LEAST_SCORE


def best_sentence(
    text: str, question: str, rarities: Mapping[str, float], encoder: Encoder | None = None
) -> str:
    """The sentence of a passage that fits a question best, on one line.

    Args:
        text: the passage.
        question: the question.
        rarities: the rarities of the question's keywords.
        encoder: an encoder that ranks by meaning, too; None to rank by words only.
    """
    found = [" ".join(text[start:stop].split()) for start, stop in sentences(text)]
    lengths = [len(words(sentence)) for sentence in found]
    average = sum(lengths) / max(1, len(lengths))
    scores = [bm25(rarities, words(sentence), average) for sentence in found]
    numbers = range(len(found))
    rankings = [sorted(numbers, key=lambda n: -scores[n])]
    if encoder:
        cosines = encoder(found) @ encoder([question])[0]
        rankings.append(sorted(numbers, key=lambda n: -cosines[n]))
    return found[fuse(*rankings)[0]] if found else ""
