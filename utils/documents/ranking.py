"""The arithmetic of a search: BM25, and the fusion of several rankings. See lesson 20."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

K1, B = 1.2, 0.75  # of BM25: how soon repetitions saturate, how much long passages pay
FUSION = 60  # of reciprocal rank fusion: how little the first ranks differ from the next ones

Item = TypeVar("Item", bound=Hashable)


def rarity(total: int, containing: int) -> float:
    """The inverse document frequency of a word, above 0; the rarer the word, the higher.

    Source: S. Robertson, H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond
    (2009), with 1 added inside the logarithm, as Lucene does.

    Args:
        total: the number of passages.
        containing: the number of those that contain the word.
    """
    return math.log(1 + (total - containing + 0.5) / (containing + 0.5))


def bm25(rarities: Mapping[str, float], text: Sequence[str], average: float) -> float:
    """How well a passage fits a question, as a share of the best possible fit: from 0 to 1.

    It is BM25 divided by the sum of the rarities, the bound that a passage approaches when it
    repeats all words of the question. So scores of different questions can be compared.

    Args:
        rarities: the rarities of the question's keywords.
        text: the words of the passage.
        average: the mean number of words of a passage.
    """
    norm = K1 * (1 - B + B * len(text) / max(average, 1))
    counts = {word: text.count(word) for word in rarities}
    score = sum(rarities[word] * n / (n + norm) for word, n in counts.items())
    return score / (sum(rarities.values()) or 1.0)


def fuse(*rankings: Iterable[Item]) -> list[Item]:
    """One ranking out of several, each the best first: reciprocal rank fusion.

    Source: G. Cormack, C. Clarke, S. Büttcher, Reciprocal Rank Fusion outperforms Condorcet and
    individual Rank Learning Methods (2009).
    """
    scores: dict[Item, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, 1):
            scores[item] = scores.get(item, 0.0) + 1 / (FUSION + rank)
    return sorted(scores, key=lambda item: -scores[item])
