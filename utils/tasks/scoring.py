"""How good a classifier is: accuracy, F1, confusion, calibration, and how sure that is.

Classes are whole numbers, probabilities are (texts, classes). Lesson 19 writes each measure by hand
and shows that it equals scikit-learn's.
"""

import math
from typing import NamedTuple

import numpy as np

Z = 1.959964  # 95 % of a normal distribution lie within so many standard deviations
BINS = 10


class Interval(NamedTuple):
    """A share with its 95 % interval."""

    share: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.share:.1%} ({100 * self.low:.1f}–{100 * self.high:.1f})"


def confusion(right: np.ndarray, said: np.ndarray, classes: int) -> np.ndarray:
    """How often class i was called class j, (classes, classes); the diagonal is right."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (np.asarray(right), np.asarray(said)), 1)
    return counts


def macro_f1(counts: np.ndarray) -> float:
    """The mean over the classes of F1, the harmonic mean of precision and recall.

    A class that is neither there nor named is left out.
    """
    hits = np.diag(counts)
    either = counts.sum(0) + counts.sum(1)
    there = either > 0
    return float(np.mean(2 * hits[there] / either[there]))


def wilson(hits: float, number: int) -> Interval:
    """A share with its Wilson interval, which stays between 0 and 1.

    Args:
        hits: the number of hits; the mean of several trials may be a fraction.
        number: the number of cases, hits and misses together.

    Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference
    (1927).
    """
    share = hits / number
    middle = (share + Z**2 / (2 * number)) / (1 + Z**2 / number)
    spread = math.sqrt(share * (1 - share) / number + Z**2 / (4 * number**2))
    half = Z * spread / (1 + Z**2 / number)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def difference(these: np.ndarray, others: np.ndarray) -> tuple[float, float, float]:
    """How much more often `these` are right than `others`, on the same texts, and the interval.

    Args:
        these, others: whether each text was right, (texts,) each.

    Returns:
        the difference of the shares, and the ends of its 95 % interval. For the interval, one text
        counts as right by these alone and one by the others alone, so that few texts do not seem
        sure.

    Source: D. G. Bonett, R. M. Price, Adjusted Wald Confidence Interval for a Difference of
    Binomial Proportions Based on Paired Data (2012).
    """
    change = np.asarray(these, float) - np.asarray(others, float)
    padded = np.append(change, [1.0, -1.0])
    half = Z * padded.std() / math.sqrt(len(padded))
    return float(change.mean()), float(padded.mean() - half), float(padded.mean() + half)


class Bin(NamedTuple):
    """Texts whose probability lies in the same interval.

    Attributes:
        texts: the number of texts.
        confidence: the mean probability of the class that was named.
        accuracy: the share that is right.
    """

    texts: int
    confidence: float
    accuracy: float


def reliability(probabilities: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[Bin]:
    """The texts in bins of equal width by the probability of the class that was named.

    Empty bins are left out.
    """
    confidence, hit = probabilities.max(1), probabilities.argmax(1) == np.asarray(right)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        Bin(int(mine.sum()), float(confidence[mine].mean()), float(hit[mine].mean()))
        for mine in (place == number for number in range(bins))
        if mine.any()
    ]


def calibration_error(probabilities: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """The expected calibration error: how far confidence and accuracy are apart, on average.

    Source: M. P. Naeini, G. F. Cooper, M. Hauskrecht, Obtaining Well Calibrated Probabilities
    Using Bayesian Binning (2015).
    """
    found = reliability(probabilities, right, bins)
    return sum(b.texts * abs(b.confidence - b.accuracy) for b in found) / len(right)


def scores(probabilities: np.ndarray, right: np.ndarray) -> dict[str, float | int]:
    """What the table of the lesson shows of a classifier on a test."""
    said, classes = probabilities.argmax(1), probabilities.shape[1]
    counts = confusion(right, said, classes)
    return {
        "texts": len(right),
        "hits": int(np.diag(counts).sum()),
        "macro_f1": round(macro_f1(counts), 4),
        "calibration_error": round(calibration_error(probabilities, right), 4),
    }
