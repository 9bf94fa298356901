"""Exercises of lesson 20, retrieval."""

from math import inf

import numpy as np

from utils.exercises import Answers, exercise

RANKS = [[1, 2, 4], [1, 1, 5, inf], [3, 10]]
COUNTS = [(1, 100, 100, 1.2, 0.75), (10, 300, 100, 1.2, 0.75), (2, 50, 100, 2.0, 0.5)]
RANKINGS = [
    (["a", "b", "c", "d"], ["b", "d", "a", "c"], 60),
    (["x", "y", "z"], ["z", "x", "y"], 1),
    (["p", "q", "r", "s"], ["q", "s", "p", "r"], 0),
    # Here the sums of the ranks, or another constant, give another order.
    (list("abcdeg"), list("bdcega"), 0),
    (list("abcdeg"), list("bdcega"), 60),
]
SCORES = [
    ([0.9, 0.8, 0.4, 0.7], [0.1, 0.5, 0.3]),
    ([0.2, 0.6, 0.9, 0.8], [0.3, 0.25, 0.7, 0.5, 0.1]),
    ([0.5, 0.6], [0.1, 0.2, 0.3]),
    ([0.3, 0.7], [0.5, 0.1]),
]


@exercise(
    cases=[(ranks,) for ranks in RANKS],
    hints=[
        "Each question contributes 1 / rank.",
        "1 / math.inf is 0: a question whose passage was not found counts in the mean, too.",
    ],
)
def mean_reciprocal_rank(ranks):
    return sum(1 / rank for rank in ranks) / len(ranks)


@mean_reciprocal_rank.mistake("that is one over the mean rank: take the reciprocals first.")
def _(ranks):
    return len(ranks) / sum(ranks)


@mean_reciprocal_rank.mistake("that is recall@1: a second place counts a half.")
def _(ranks):
    return sum(rank == 1 for rank in ranks) / len(ranks)


@mean_reciprocal_rank.mistake("that is the mean rank, not the mean reciprocal rank.")
def _(ranks):
    return sum(ranks) / len(ranks)


@exercise(
    cases=COUNTS,
    hints=[
        "It is n / (n + something), and the something grows with the length.",
        "n / (n + k1 * (1 - b + b * length / average))",
    ],
)
def saturation(n, length, average, k1, b):
    return n / (n + k1 * (1 - b + b * length / average))


@saturation.mistake("that leaves out the length of the passage.")
def _(n, length, average, k1, b):
    return n / (n + k1)


@saturation.mistake("a long passage must get less: divide the length by the average.")
def _(n, length, average, k1, b):
    return n / (n + k1 * (1 - b + b * average / length))


@saturation.mistake("that is above 1 for large n: this variant has no factor k1 + 1.")
def _(n, length, average, k1, b):
    return n * (k1 + 1) / (n + k1 * (1 - b + b * length / average))


@exercise(
    cases=RANKINGS,
    hints=[
        "Each name gets 1 / (constant + rank) from each of the two rankings; the first rank is 1.",
        "sorted(names, key=…, reverse=True) with the sum as the key.",
    ],
)
def fuse_rankings(first, second, constant):
    def score(name):
        return sum(1 / (constant + ranking.index(name) + 1) for ranking in (first, second))

    return sorted(first, key=score, reverse=True)


@fuse_rankings.mistake("that is worst first: the highest score comes first.")
def _(first, second, constant):
    def score(name):
        return sum(1 / (constant + ranking.index(name) + 1) for ranking in (first, second))

    return sorted(first, key=score)


@fuse_rankings.mistake("those are the sums of the ranks: add their reciprocals.")
def _(first, second, constant):
    return sorted(first, key=lambda name: first.index(name) + second.index(name))


@fuse_rankings.mistake("the constant is missing: 1 / (constant + rank).")
def _(first, second, constant):
    def score(name):
        return sum(1 / (ranking.index(name) + 1) for ranking in (first, second))

    return sorted(first, key=score, reverse=True)


@fuse_rankings.mistake("that is the first ranking alone.")
def _(first, second, constant):
    return list(first)


@fuse_rankings.mistake("that is the second ranking alone.")
def _(first, second, constant):
    return list(second)


def _balanced(threshold, inside, outside):
    return (np.mean(np.array(inside) >= threshold) + np.mean(np.array(outside) < threshold)) / 2


@exercise(
    cases=SCORES,
    hints=[
        "Try each score of both lists as the threshold.",
        "max(sorted(inside + outside), key=…): of several best ones, max takes the first.",
    ],
)
def choose_threshold(inside, outside):
    return max(sorted(inside + outside), key=lambda t: _balanced(t, inside, outside))


@choose_threshold.mistake("that lets all answerable questions pass, whatever else passes, too.")
def _(inside, outside):
    return min(inside)


@choose_threshold.mistake("that stops all unanswerable questions but one, at any price.")
def _(inside, outside):
    return max(outside)


@choose_threshold.mistake("of several equally good thresholds take the lowest.")
def _(inside, outside):
    return max(sorted(inside + outside, reverse=True), key=lambda t: _balanced(t, inside, outside))


answer = Answers(
    (
        "TF-IDF: words that tell passages apart",
        "It does not tell one passage from another, because all have it. Its inverse document"
        " frequency is the lowest there is: 1 in scikit-learn's TF-IDF, where it still adds to the"
        " scores, and nearly 0 in BM25.",
    ),
    (
        "BM25: counts that saturate",
        "The count saturates: the first occurrences add most, and the tenth adds little. In a"
        " passage that is longer than the average the count rises more slowly, because a long"
        " passage has more words of any kind.",
    ),
    (
        "Vectors: the small model",
        "It was trained to predict the next token. Nothing in that training asks for similar"
        " vectors where two texts have a similar meaning. By its vectors two tales are more alike"
        " than a question and a tale.",
    ),
    (
        "Two rankings, one list",
        "Scores of different methods have different scales, so their sum is decided by the method"
        " with the larger numbers. Ranks have the same scale for all methods.",
    ),
    (
        "How long should a passage be?",
        "Five passages of 400 words are much more to read. At an equal number of words read,"
        " passages of 400 words find no more than those of 100.",
    ),
)
