"""Exercises of lesson 2, a language model is a classifier."""

import numpy as np

from utils.exercises import Answers, exercise

LOGITS = np.array([[2.0, 1.0, 0.0], [-1.0, 3.0, 0.5]])
LARGE = np.array([[1000.0, 1001.0, 999.0]])


@exercise(
    cases=[(LOGITS,), (LARGE,)],
    hints=[
        "Take the softmax of the lesson and look at what `axis` and `keepdims` do to the shapes.",
        "Subtract `logits.max(axis=-1, keepdims=True)` first, or large logits overflow.",
    ],
)
def batch_softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))  # (batch, classes)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@batch_softmax.mistake("all numbers together add to 1; here each row must.")
def _(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


@batch_softmax.mistake("each column adds to 1; here each row must: axis=-1.")
def _(logits):
    exponentials = np.exp(logits - logits.max(axis=0))
    return exponentials / exponentials.sum(axis=0)


@batch_softmax.mistake("right for small logits, but e to the 1000 overflows: subtract the maximum.")
def _(logits):
    with np.errstate(over="ignore", invalid="ignore"):
        exponentials = np.exp(logits)
        return exponentials / exponentials.sum(axis=-1, keepdims=True)


@exercise(
    cases=[(LOGITS, np.array([0, 2])), (LOGITS, np.array([1, 1]))],
    hints=[
        "Compute the probabilities, then pick one from each row.",
        "`probabilities[np.arange(len(targets)), targets]` picks; then minus log, then the mean.",
    ],
)
def batch_cross_entropy(logits, targets):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
    chosen = probabilities[np.arange(len(targets)), targets]  # (batch,)
    return -np.log(chosen).mean()


def _chosen(logits, targets):
    return batch_softmax.answer(logits)[np.arange(len(targets)), targets]


@batch_cross_entropy.mistake("a sum grows with the batch: take the mean.")
def _(logits, targets):
    return -np.log(_chosen(logits, targets)).sum()


@batch_cross_entropy.mistake("the sign: a loss is never negative here.")
def _(logits, targets):
    return np.log(_chosen(logits, targets)).mean()


@batch_cross_entropy.mistake("the mean comes after the logarithm, not before.")
def _(logits, targets):
    return -np.log(_chosen(logits, targets).mean())


@batch_cross_entropy.mistake("that is in bits. The loss in this course is in nats: np.log.")
def _(logits, targets):
    return -np.log2(_chosen(logits, targets)).mean()


@batch_cross_entropy.mistake("one loss for each example: take their mean.")
def _(logits, targets):
    return -np.log(_chosen(logits, targets))


@exercise(
    hints=[
        "First the mean of −log p over the three positions, then e to it.",
        "`np.exp(-np.mean(np.log([0.5, 0.25, 0.125])))`",
    ],
)
def perplexity():
    return np.exp(-np.mean(np.log([0.5, 0.25, 0.125])))


@perplexity.mistake("that is the loss. Perplexity is e to it.")
def _():
    return -np.mean(np.log([0.5, 0.25, 0.125]))


@perplexity.mistake("take the mean of the logarithms, not of the probabilities.")
def _():
    return 1 / np.mean([0.5, 0.25, 0.125])


@perplexity.mistake("take the mean over the positions, not the sum.")
def _():
    return 64.0


@exercise(
    cases=[(np.array([0, 1, 1, 2, 0, 1, 1]), 3), (np.array([3, 3, 3, 3]), 4)],
    hints=[
        "`ids[:-2]`, `ids[1:-1]` and `ids[2:]` are the first, second and third of every triple.",
        "`np.add.at(counts, (first, second, third), 1)` counts them all, repeated ones too.",
    ],
)
def count_triples(ids, vocabulary_size):
    counts = np.zeros((vocabulary_size,) * 3)
    np.add.at(counts, (ids[:-2], ids[1:-1], ids[2:]), 1)
    return counts


@count_triples.mistake("the order is turned round: the first index is the first of the three.")
def _(ids, vocabulary_size):
    return count_triples.answer(ids, vocabulary_size).T


@count_triples.mistake(
    "`counts[a, b, c] += 1` with arrays adds only once for a repeated triple: use np.add.at."
)
def _(ids, vocabulary_size):
    return np.minimum(count_triples.answer(ids, vocabulary_size), 1)


@count_triples.mistake("those are pairs: the table needs a third axis.")
def _(ids, vocabulary_size):
    counts = np.zeros((vocabulary_size,) * 2)
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    return counts


@count_triples.mistake("you went on from the end to the beginning: a text is not a circle.")
def _(ids, vocabulary_size):
    return count_triples.answer(np.append(ids, ids[:2]), vocabulary_size)


@exercise(
    hints=[
        "Four equal logits: what does softmax say? Then subtract 1 at the target.",
        "The probabilities are all 1/4.",
    ],
)
def gradient():
    return np.array([0.25, 0.25, -0.75, 0.25])


@gradient.mistake("that is the direction of the step; the gradient points the other way.")
def _():
    return np.array([-0.25, -0.25, 0.75, -0.25])


@gradient.mistake("those are the predicted probabilities. Subtract the true ones.")
def _():
    return np.full(4, 0.25)


@gradient.mistake("the classes are counted from 0: class 2 is the third.")
def _():
    return np.array([0.25, -0.75, 0.25, 0.25])


answer = Answers(
    (
        "The idea, by hand",
        "A classifier gives a probability to each item of a fixed list. A language model does"
        " this with the tokens of its vocabulary: its input is the text so far, and its classes"
        " are the possible next tokens.",
    ),
    (
        "Why not the squared error?",
        "Minimising the cross-entropy maximises the probability that the model gives to the"
        " training text. And its gradient stays large when the model is certain of a wrong"
        " token, while the gradient of the squared error nearly vanishes there, so that such a"
        " model would learn almost nothing.",
    ),
    (
        "In which direction: the gradient",
        "It is the predicted minus the true probabilities, where the true ones are 1 for the"
        " target and 0 for all other classes. A step goes against it, so it raises the logit of"
        " the target and lowers all others.",
    ),
    (
        "The same in Keras",
        "With equal logits every token is equally likely, so the loss is the logarithm of the"
        " size of the vocabulary; with small random weights it is close to that. A clearly"
        " different value means that something is wrong: the loss function or the initial weights.",
    ),
    (
        "Why it forgets: a context of one character",
        "The model overfits. Most long contexts occur only a few times in the training text, so"
        " the table memorises what followed them there. A new text has contexts that never"
        " occurred, and similar contexts share nothing.",
    ),
)
