"""Classifiers that count words: the ones that every other has to beat.

    for name, classifier in baselines("zh").items():
        classifier.fit(texts, classes)
        classifier.probabilities(more_texts)        # (texts, classes)

Chinese writes no spaces between words, so there the "words" are single characters and pairs of
neighbours.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]

WORD = re.compile(r"[\w']+|[^\w\s]")
SMOOTHING = 1.0  # added to each count
LARGE = 4.0  # the inverse strength of regularisation, fixed for all tasks


class Classifier(Protocol):
    """Learns from texts whose classes are known, then says how probable each class of a text is."""

    def fit(self, texts: Sequence[str], classes: Sequence[int]) -> None:
        """Learn."""

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, classes)."""


def english_words(text: str) -> list[str]:
    """The words and signs of a text, in lower case."""
    return WORD.findall(text.lower())


def chinese_pieces(text: str) -> list[str]:
    """Single characters, and pairs of neighbouring ones."""
    characters = re.sub(r"\s+", "", text.lower())
    return [*characters, *map("".join, zip(characters, characters[1:], strict=False))]


def pieces_of(language: str) -> Callable[[str], list[str]]:
    """What counts as a word in a language: "zh", or any other that puts spaces between words."""
    return chinese_pieces if language == "zh" else english_words


def looks_chinese(texts: Sequence[str]) -> bool:
    """Whether most letters of some texts are Chinese characters."""
    letters = [c for text in texts for c in text if c.isalpha()]
    return sum("\u4e00" <= c <= "\u9fff" for c in letters) > len(letters) / 2


class Majority:
    """Always says how frequent each class was."""

    def fit(self, texts: Sequence[str], classes: Sequence[int]) -> None:
        """Count the classes."""
        counts = np.bincount(classes)
        self._shares = counts / counts.sum()

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """The same row for each text."""
        return np.tile(self._shares, (len(texts), 1))


class NaiveBayes:
    """Multinomial naive Bayes, as lesson 19 writes it: classes and words are counted.

    Args:
        pieces: a function that cuts a text into words.
    """

    def __init__(self, pieces: Callable[[str], list[str]]):
        self._pieces = pieces

    def fit(self, texts: Sequence[str], classes: Sequence[int]) -> None:
        """Count how often each class has each word."""
        cut = [self._pieces(text) for text in texts]
        self._column = {w: i for i, w in enumerate(sorted({w for text in cut for w in text}))}
        counts = np.full((max(classes) + 1, len(self._column)), SMOOTHING)
        for words, number in zip(cut, classes, strict=True):
            np.add.at(counts[number], [self._column[word] for word in words], 1)
        self._log_words = np.log(counts / counts.sum(1, keepdims=True))
        self._log_classes = np.log(np.bincount(classes) / len(classes))

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """By Bayes' rule; words that were never seen are left out."""
        rows = []
        for text in texts:
            known = [self._column[w] for w in self._pieces(text) if w in self._column]
            rows.append(self._log_classes + self._log_words[:, known].sum(1))
        scores = np.array(rows)
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)


class LogisticRegressionOfWords:
    """scikit-learn's logistic regression on TF-IDF, of the words that two texts have.

    Args:
        pieces: a function that cuts a text into words.
    """

    def __init__(self, pieces: Callable[[str], list[str]]):
        self._pieces = pieces
        self._model = make_pipeline(
            TfidfVectorizer(analyzer=pieces, min_df=2, sublinear_tf=True),
            LogisticRegression(C=LARGE, max_iter=1000),
        )

    def fit(self, texts: Sequence[str], classes: Sequence[int]) -> None:
        """Learn a weight for each word and class; for all words, if no two texts share any."""
        texts_with = Counter(word for text in texts for word in set(self._pieces(text)))
        fewest = min(2, max(texts_with.values(), default=1))
        self._model.set_params(tfidfvectorizer__min_df=fewest).fit(texts, classes)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """The softmax of the sums of weights."""
        return self._model.predict_proba(texts)


def baselines(language: str) -> dict[str, Classifier]:
    """The three classifiers, by the names that the tables have."""
    pieces = pieces_of(language)
    return {
        "majority": Majority(),
        "naive Bayes": NaiveBayes(pieces),
        "logistic regression": LogisticRegressionOfWords(pieces),
    }
