"""Translation by counting: which words go together, and which pair is most like a new text.

    model = Model1(pairs, rounds=8)
    model.table["kite"]                  # how probable each Chinese word is, for an English one
    model.translate("Tom had a kite.")   # the likeliest word for each word, in English order

    TranslationMemory(pairs)("Tom had a kite.")     # the Chinese text of the most similar pair

Source: P. F. Brown, S. A. Della Pietra, V. J. Della Pietra, R. L. Mercer, The Mathematics of
Statistical Machine Translation: Parameter Estimation (1993), section 4.1.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sacrebleu

from utils.tasks.counting import english_words
from utils.tasks.translation import KINDS, LEXICON, Pair, read, right_facts

NOTHING = "∅"  # the word that stands for no word: what is in one language only comes from it
SURE = 0.3  # a word whose best translation is less probable than this is left out
_CHINESE = sorted({zh for pairs in LEXICON.values() for _, zh in pairs}, key=len, reverse=True)
_CHINESE_WORD = re.compile("|".join([*map(re.escape, _CHINESE), r"[^\W\d_]", r"\S"]))


def chinese_words(text: str) -> list[str]:
    """A Chinese text in words.

    It has no spaces, so a list of words cuts it: wherever one of them begins, the longest is taken
    (**maximum matching**). All that is in no list is cut into single characters.
    """
    return _CHINESE_WORD.findall(text)


# ---- IBM Model 1 ---------------------------------------------------------------------------------


class Model1:
    """IBM Model 1: the probabilities of words as translations of words, learnt from whole pairs.

    Args:
        pairs: (English words, Chinese words) of each pair.
        rounds: the rounds of expectation and maximisation.
    """

    def __init__(self, pairs: Sequence[tuple[Sequence[str], Sequence[str]]], rounds: int):
        self.english = [NOTHING, *dict.fromkeys(word for en, _ in pairs for word in en)]
        self.chinese = [*dict.fromkeys(word for _, zh in pairs for word in zh)]
        self._row = {word: number for number, word in enumerate(self.english)}
        self._column = {word: number for number, word in enumerate(self.chinese)}
        rows = [[0, *(self._row[word] for word in en)] for en, _ in pairs]
        columns = [[self._column[word] for word in zh] for _, zh in pairs]
        shape = len(self.english), len(self.chinese)
        self.probabilities = np.full(shape, 1 / shape[1])  # (English words, Chinese words)
        for _ in range(rounds):
            counts = np.zeros(shape)
            for row, column in zip(rows, columns, strict=True):
                places = np.ix_(row, column)
                shares = self.probabilities[places]
                np.add.at(counts, places, shares / shares.sum(0))
            self.probabilities = counts / counts.sum(1, keepdims=True)

    @property
    def table(self) -> dict[str, dict[str, float]]:
        """For each English word the Chinese words with their probabilities, likeliest first."""
        found = {}
        for word, row in zip(self.english, self.probabilities, strict=True):
            order = [int(number) for number in np.argsort(-row, kind="stable") if row[number] > 0]
            found[word] = {self.chinese[number]: float(row[number]) for number in order}
        return found

    def align(self, english: Sequence[str], chinese: Sequence[str]) -> np.ndarray:
        """How probably each Chinese word comes from each English one, (1 + English, Chinese).

        The first row is that of `NOTHING`; each column sums to 1. Words that were in no pair are
        ignored: their rows and columns are 0.
        """
        known = np.zeros((1 + len(english), len(chinese)))
        for i, one in enumerate([NOTHING, *english]):
            for j, other in enumerate(chinese):
                if one in self._row and other in self._column:
                    known[i, j] = self.probabilities[self._row[one], self._column[other]]
        sums = known.sum(0)
        return np.divide(known, sums, out=np.zeros_like(known), where=sums > 0)

    def translate(self, text: str) -> str:
        """The likeliest Chinese word for each English word, in English order.

        Left out are words without a sure translation, and what has just been said.
        """
        said: list[str] = []
        for word in english_words(text):
            if word in self._row:
                best = int(self.probabilities[self._row[word]].argmax())
                sure = self.probabilities[self._row[word], best] >= SURE
                if sure and self.chinese[best] not in said[-4:]:
                    said.append(self.chinese[best])
        return "".join(said)


def as_words(pairs: Sequence[Pair]) -> list[tuple[list[str], list[str]]]:
    """The texts of pairs in words, for `Model1`."""
    return [(english_words(pair.english), chinese_words(pair.chinese)) for pair in pairs]


# ---- translation memory --------------------------------------------------------------------------


class TranslationMemory:
    """Takes the Chinese text of the pair whose English is most similar: the words in common count.

    A word counts the more, the fewer of the pairs have it (see *inverse document frequency*).

    Args:
        pairs: what is remembered.
    """

    def __init__(self, pairs: Sequence[Pair]):
        self.pairs = pairs
        texts = [set(english_words(pair.english)) for pair in pairs]
        self._column = {word: i for i, word in enumerate(sorted(set().union(*texts)))}
        there = np.array([self._row(text) for text in texts])  # (pairs, words), 1 if it is there
        self.rarity = np.log(len(pairs) / there.sum(0))
        self.vectors = _unit(there * self.rarity)

    def __call__(self, text: str) -> str:
        """The Chinese text of the most similar pair; of equal ones that of the first."""
        vector = _unit(self._row(set(english_words(text)))[None] * self.rarity)[0]
        return self.pairs[int((self.vectors @ vector).argmax())].chinese

    def _row(self, words: set[str]) -> np.ndarray:
        row = np.zeros(len(self._column), "float32")
        row[[self._column[word] for word in words if word in self._column]] = 1
        return row


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, 1e-9)


# ---- how good ------------------------------------------------------------------------------------


class Judgement(NamedTuple):
    """What a test has found about translations into Chinese.

    Attributes:
        texts: the number of texts.
        right: how many say all facts and nothing else: they are read, not compared.
        readable: how many are passages without a contradiction, whatever they say.
        facts: the number of texts, by kind, with the right word and no wrong one.
        bleu: BLEU in per cent, of all texts together, against one translation of each.
    """

    texts: int
    right: int
    readable: int
    facts: dict[str, int]
    bleu: float


def judge(translations: Sequence[str], pairs: Sequence[Pair]) -> Judgement:
    """Judge translations of the English texts of some pairs."""
    meanings = [read(text, "zh") for text in translations]
    right = [
        right_facts(text, pair.meaning) for text, pair in zip(translations, pairs, strict=True)
    ]
    return Judgement(
        texts=len(pairs),
        right=sum(found == pair.meaning for found, pair in zip(meanings, pairs, strict=True)),
        readable=sum(found is not None for found in meanings),
        facts={kind: sum(one[kind] for one in right) for kind in KINDS},
        bleu=round(bleu(translations, [pair.chinese for pair in pairs]), 2),
    )


def bleu(translations: Sequence[str], references: Sequence[str]) -> float:
    """BLEU of Chinese texts in per cent, by characters: see lesson 11."""
    return sacrebleu.corpus_bleu(list(translations), [list(references)], tokenize="zh").score
