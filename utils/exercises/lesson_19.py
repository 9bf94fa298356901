"""Exercises of lesson 19, tasks."""

import numpy as np

from utils.exercises import Answers, exercise

HIDDEN = np.arange(24.0).reshape(2, 4, 3) ** 1.5
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0]])
COUNTS = np.array([[8, 2, 0], [1, 5, 4], [3, 0, 2]])
X = np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])
P = np.array([[0.7, 0.3], [0.4, 0.6]])

TABLE = {
    ("the", "风筝"): 0.3,
    ("the", "红色的"): 0.5,
    ("red", "风筝"): 0.1,
    ("red", "红色的"): 0.7,
    ("kite", "风筝"): 0.6,
    ("kite", "红色的"): 0.3,
    ("hat", "红色的"): 0.2,
}


@exercise(
    cases=[(HIDDEN, MASK), (HIDDEN, np.ones((2, 4), int)), (HIDDEN[1:], MASK[1:])],
    hints=[
        "mask[..., None] has the shape (batch, time, 1): it can be multiplied with hidden.",
        "Sum the masked hidden states over the time, axis 1.",
        "Divide by the number of real tokens of each text, mask.sum(axis=1).",
    ],
)
def pool(hidden, mask):
    there = mask[..., None]
    return (hidden * there).sum(axis=1) / there.sum(axis=1)


@pool.mistake("that is the mean over the padding, too: leave it out.")
def _(hidden, mask):
    return hidden.mean(axis=1)


@pool.mistake("divide by the number of real tokens of each text, not by the length of the row.")
def _(hidden, mask):
    return (hidden * mask[..., None]).mean(axis=1)


@pool.mistake("that is the sum: divide by the number of real tokens of each text.")
def _(hidden, mask):
    return (hidden * mask[..., None]).sum(axis=1)


@pool.mistake("that divides by the tokens of the whole batch: each text has its own number.")
def _(hidden, mask):
    return (hidden * mask[..., None]).sum(axis=1) / mask.sum()


@exercise(
    cases=[(COUNTS,), (np.array([[90, 5], [3, 2]]),), (np.eye(4, dtype=int) * 3,)],
    hints=[
        "The hits are np.diag(counts).",
        "Row sums are how often a class is there, column sums how often it was said.",
        "F1 = 2 * hits / (row sum + column sum).",
    ],
)
def f1_of_classes(counts):
    return 2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1))


@f1_of_classes.mistake("that is the recall: precision counts as well.")
def _(counts):
    return np.diag(counts) / counts.sum(axis=1)


@f1_of_classes.mistake("that is the precision: recall counts as well.")
def _(counts):
    return np.diag(counts) / counts.sum(axis=0)


@f1_of_classes.mistake("take the harmonic mean of precision and recall, not the ordinary mean.")
def _(counts):
    hits = np.diag(counts)
    return (hits / counts.sum(axis=0) + hits / counts.sum(axis=1)) / 2


@f1_of_classes.mistake("that is macro-F1: the F1 of each class is wanted, before the mean.")
def _(counts):
    return np.mean(2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1)))


@exercise(
    cases=[(X, P, np.array([0, 1])), (X, P, np.array([1, 1])), (X[:1], P[:1], np.array([1]))],
    hints=[
        "The gradient for the logits is predicted minus true: p - np.eye(labels)[classes].",
        "x.T @ (p - y) adds up what the texts say.",
        "The loss is a mean: divide by the number of texts.",
    ],
)
def head_gradient(x, p, classes):
    y = np.eye(p.shape[1])[classes]
    return x.T @ (p - y) / len(x)


@head_gradient.mistake("the sign is the other way round: predicted minus true.")
def _(x, p, classes):
    return x.T @ (np.eye(p.shape[1])[classes] - p) / len(x)


@head_gradient.mistake("that is the sum over the texts; the loss is their mean.")
def _(x, p, classes):
    return x.T @ (p - np.eye(p.shape[1])[classes])


@head_gradient.mistake("the true probabilities are missing: subtract 1 at the right label.")
def _(x, p, classes):
    return x.T @ p / len(x)


@head_gradient.mistake("that has the shape (labels, width); the weights are (width, labels).")
def _(x, p, classes):
    return (p - np.eye(p.shape[1])[classes]).T @ x / len(x)


@exercise(
    cases=[
        (TABLE, ["the", "kite"], "风筝"),
        (TABLE, ["the", "red", "kite"], "红色的"),
        (TABLE, ["the", "the", "hat"], "红色的"),
    ],
    hints=[
        "Each English word gets a share in proportion to t[e, z].",
        "Divide each t[e, z] by their sum over the English words of this text.",
    ],
)
def shares(t, english, z):
    total = sum(t[e, z] for e in english)
    return [t[e, z] / total for e in english]


@shares.mistake("those are the probabilities themselves: divide by their sum; shares add to 1.")
def _(t, english, z):
    return [t[e, z] for e in english]


@shares.mistake("the words of this text share z, not all words of the table.")
def _(t, english, z):
    total = sum(share for (_, other), share in t.items() if other == z)
    return [t[e, z] / total for e in english]


@shares.mistake("in Model 1 a word is shared out, not given to the likeliest one alone.")
def _(t, english, z):
    best = int(np.argmax([t[e, z] for e in english]))
    return [float(number == best) for number in range(len(english))]


@shares.mistake("all words get the same: that is so in the first round only.")
def _(t, english, z):
    return [1 / len(english)] * len(english)


@exercise(
    cases=[(3, 2), (5, 5), (1, 4)],
    hints=[
        "The row is: end of text, English, line break, Chinese, end of text.",
        "The targets are all ids but the first. So the English ones and the line break have 0.",
        "[0] * (english + 1), then a 1 for each Chinese token and for the end.",
    ],
)
def loss_mask(english, chinese):
    return [0] * (english + 1) + [1] * (chinese + 1)


@loss_mask.mistake("the end of the text is learnt, too: otherwise the translator never stops.")
def _(english, chinese):
    return [0] * (english + 1) + [1] * chinese + [0]


@loss_mask.mistake("that is one for each id; targets are all ids but the first.")
def _(english, chinese):
    return [0] * (english + 2) + [1] * (chinese + 1)


@loss_mask.mistake("the line break is a token as well, and it is not to be learnt.")
def _(english, chinese):
    return [0] * english + [1] * (chinese + 1)


@loss_mask.mistake("the other way round: the English text is given, the Chinese one is learnt.")
def _(english, chinese):
    return [1] * (english + 1) + [0] * (chinese + 1)


answer = Answers(
    (
        "The data",
        "After the split a copy of a test text may be in the training part. A classifier that has"
        " memorised it is right without having understood anything, and the test cannot tell.",
    ),
    (
        "One number for a classifier",
        "Where one label is frequent, always saying that label has a high accuracy and finds none"
        " of the rare ones. Macro-F1 counts every label alike and shows it.",
    ),
    (
        "A vector for a text: pooling",
        "The vector would depend on how far the text is padded, so on the longest text of its"
        " batch. The same text could get another label in another batch.",
    ),
    (
        "Calibration",
        "It is too sure: its confidence is 15 points above its accuracy. That matters wherever"
        " something is decided by the probability, such as when to hand over to a person.",
    ),
    (
        "Four measures that disagree",
        "BLEU counts runs of characters that are in the reference, too. A passage of the memory"
        " shares its fixed phrases with the reference, and these are long runs; the few words that"
        " differ are the facts. The words alone have the facts, but no runs.",
    ),
)
