"""Scores of an answer against the right one: exact match and token F1. Lesson 11 builds them.

Source: Rajpurkar and others, *SQuAD*, 2016, section 6.1. Chinese has no spaces, so there a token is
a character, as in Cui and others, *A Span-Extraction Dataset for Chinese Machine Reading
Comprehension*, 2019, section 4.1. (Their own program counts the longest common part of both texts,
so its F1 depends on the order, too.)
"""

import re
import string
from collections import Counter

PUNCTUATION = {
    "en": string.punctuation,  # all that ASCII has
    "zh": string.punctuation + "，。、！？：；“”‘’（）《》【】…—～·",
}


def normalize(text: str, language: str = "en") -> str:
    """Lower case, without punctuation, English articles and spare spaces."""
    text = "".join(char for char in text.lower() if char not in PUNCTUATION[language])
    if language == "en":
        text = re.sub(r"\b(a|an|the)\b", " ", text)
    return " ".join(text.split())


def answer_tokens(text: str, language: str = "en") -> list[str]:
    """The words of a normalized answer; in Chinese its characters, numbers and Latin words."""
    text = normalize(text, language)
    return text.split() if language == "en" else re.findall(r"[a-z0-9]+|\S", text)


def exact_match(answer: str, right: str, language: str = "en") -> float:
    """1 if both have the same tokens in the same order, else 0."""
    return float(answer_tokens(answer, language) == answer_tokens(right, language))


def token_f1(answer: str, right: str, language: str = "en") -> float:
    """The harmonic mean of precision and recall over tokens, in any order; 1 if neither has any."""
    ours, theirs = answer_tokens(answer, language), answer_tokens(right, language)
    if not ours and not theirs:
        return 1.0
    matches = (Counter(ours) & Counter(theirs)).total()  # & keeps the smaller of two counts
    return 2 * matches / (len(ours) + len(theirs))
