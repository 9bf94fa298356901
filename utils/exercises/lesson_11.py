"""Exercises of lesson 11, evaluation."""

from collections import Counter

import numpy as np

from utils.exercises import Answers, exercise

POND = ["to", "old", "pond"]
WAYS = [["to", "lake"], ["old", "old", "pond"], ["to", "old", "fish", "pond", "there"]]
CAT = ["the", "cat", "sat", "on", "the", "mat"]
DOG = ["the", "dog", "sat", "near", "the", "old", "mat"]


@exercise(
    cases=[(0.5, 100, 400), (2.0, 30, 30), (1.2, 250, 900)],
    hints=[
        "The whole text loses loss · num_tokens nats, however it is cut.",
        "Divide those nats by the number of characters; then e to the power of it.",
    ],
)
def per_character(loss, num_tokens, num_characters):
    return np.exp(loss * num_tokens / num_characters)


@per_character.mistake("those are the nats per character; perplexity is e to the power of them.")
def _(loss, num_tokens, num_characters):
    return loss * num_tokens / num_characters


@per_character.mistake("turned round: there are fewer nats per character than per token.")
def _(loss, num_tokens, num_characters):
    return np.exp(loss * num_characters / num_tokens)


@per_character.mistake("divide the nats, not the perplexity: the exponential comes last.")
def _(loss, num_tokens, num_characters):
    return np.exp(loss) * num_tokens / num_characters


@per_character.mistake("that is the perplexity per token: characters have no say in it yet.")
def _(loss, num_tokens, num_characters):
    return np.exp(loss)


def _f1(candidate, reference):
    matches = sum((Counter(candidate) & Counter(reference)).values())
    return 2 * matches / (len(candidate) + len(reference))


@exercise(
    cases=[(POND, WAYS), (["red", "red"], [["red"], ["blue"]]), (["a"], [["b"], ["c", "d"]])],
    hints=[
        "Compute F1 for each reference; the largest one is the answer.",
        "`Counter(candidate) & Counter(reference)` holds the matches; F1 is twice their number over"
        " both lengths together.",
    ],
)
def best_f1(candidate, references):
    scores = []
    for reference in references:
        matches = sum((Counter(candidate) & Counter(reference)).values())
        scores.append(2 * matches / (len(candidate) + len(reference)))
    return max(scores)


@best_f1.mistake("that is the mean of all references; one good match is enough: take the best.")
def _(candidate, references):
    return np.mean([_f1(candidate, reference) for reference in references])


@best_f1.mistake("a token that comes twice must count twice: use Counter, not set.")
def _(candidate, references):
    scores = []
    for reference in references:
        ours, theirs = set(candidate), set(reference)
        scores.append(2 * len(ours & theirs) / (len(ours) + len(theirs)))
    return max(scores)


@best_f1.mistake("that is recall: divide by what the candidate says, too.")
def _(candidate, references):
    return max(
        sum((Counter(candidate) & Counter(reference)).values()) / len(reference)
        for reference in references
    )


@best_f1.mistake("that is precision: divide by what the reference says, too.")
def _(candidate, references):
    return max(
        sum((Counter(candidate) & Counter(reference)).values()) / len(candidate)
        for reference in references
    )


@exercise(
    hints=[
        "All its n-grams are in the reference, so the four precisions are 1. What is left?",
        "The brevity penalty e to the 1 − r/c, with r twice as long as c; in per cent.",
    ],
)
def half_bleu():
    return 100 * np.exp(1 - 2)


@half_bleu.mistake("in per cent, please: times 100.")
def _():
    return np.exp(1 - 2)


@half_bleu.mistake("the penalty is not the ratio of the lengths, but e to the 1 − r/c.")
def _():
    return 50


@half_bleu.mistake("nothing it says is wrong, but it says too little: mind the brevity penalty.")
def _():
    return 100


@half_bleu.mistake("r/c is 2 here, not 1/2: the reference is the longer one.")
def _():
    return 100 * np.exp(1 - 1 / 2)


@exercise(
    cases=[(CAT, DOG), (DOG, CAT[:2]), (CAT, []), ([], CAT), (["b", "a"], ["a", "b"])],
    hints=[
        "From i words to none takes i deletions, from none to j words j insertions.",
        "Equal last words cost nothing: the field on the diagonal. Else 1 more than the smallest of"
        " three neighbours.",
    ],
)
def edit_distance(a, b):
    table = [
        [max(i, j) if i == 0 or j == 0 else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)
    ]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                table[i][j] = table[i - 1][j - 1]
            else:
                table[i][j] = 1 + min(table[i - 1][j - 1], table[i - 1][j], table[i][j - 1])
    return table[len(a)][len(b)]


def _distance(a, b, replacement=1, empty=1):
    """The edit distance with another price of a replacement, or of the empty beginnings."""
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0, :] = empty * np.arange(len(a) + 1), empty * np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            price = 0 if a[i - 1] == b[j - 1] else replacement
            around = table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + price
            table[i, j] = min(around)
    return int(table[-1, -1])


@edit_distance.mistake("to replace a word is one step, not a deletion and an insertion.")
def _(a, b):
    return _distance(a, b, replacement=2)


@edit_distance.mistake("the first row and column are not zero: an empty text is j insertions away.")
def _(a, b):
    return _distance(a, b, empty=0)


@edit_distance.mistake("a word that is missing moves all others: use the table, not positions.")
def _(a, b):
    differing = sum(x != y for x, y in zip(a, b, strict=False))
    return differing + abs(len(a) - len(b))


@exercise(
    hints=[
        "If an error has the probability e, twenty right answers have (1 − e)²⁰. Make that 0.05.",
        "1 − 0.05^(1/20)",
    ],
)
def hidden_errors():
    return 1 - 0.05 ** (1 / 20)


@hidden_errors.mistake("that is the share of right answers; the question is about the errors.")
def _():
    return 0.05 ** (1 / 20)


@hidden_errors.mistake("twenty answers in a row: the probabilities multiply, they do not add.")
def _():
    return 0.05 / 20


@hidden_errors.mistake("that is how often one error in twenty comes; here is none. Solve for e.")
def _():
    return 0.05


@hidden_errors.mistake("with no errors at all such a result is certain, not of probability 0.05.")
def _():
    return 0


answer = Answers(
    (
        "Perplexity of what?",
        "When the two cut the text into different tokens. A perplexity is per token, so it has to"
        " be converted to a unit that both have, such as the character.",
    ),
    (
        "Answers: exact match and F1",
        "Where several strings are right, or an answer is partly right: one missing word counts as"
        " entirely wrong. F1 gives a part of the point for the tokens that agree, so little for a"
        " right answer in quite other words.",
    ),
    (
        "Clipping",
        "Without clipping, a text that repeats one right word has full precision. Precision also"
        " rewards a short text that risks nothing, and the brevity penalty takes that back.",
    ),
    (
        "Which of two is better?",
        "How far the difference would vary with other questions. The bootstrap of the differences"
        " on the same questions gives an interval; if it holds 0, chance may be the reason.",
    ),
    (
        "Hallucination",
        "In a chat, after a question, an answer is the likeliest continuation, known or not. The"
        " share of questions without an answer that get one shows it, beside the share of questions"
        " with an answer that are refused.",
    ),
)
