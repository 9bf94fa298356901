"""Exercises of lesson 9, from probabilities to a text."""

import numpy as np

from utils.exercises import Answers, exercise

LOGITS = np.array([[2.0, 1.0, 0.0, -1.0], [0.5, 0.5, 3.0, 1.0]])
LARGE = np.array([[1000.0, 999.0, 998.0]])
P = np.array([0.1, 0.5, 0.03, 0.3, 0.07])


def _softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@exercise(
    cases=[(LOGITS, 0.5), (LOGITS, 2.0), (LARGE, 0.8)],
    hints=[
        "Divide the logits first; then it is the softmax of a batch, as in lesson 2.",
        "`scaled = logits / temperature`, minus its row's maximum, then np.exp, then divide by the"
        " row's sum.",
    ],
)
def batch_temperature(logits, temperature):
    scaled = logits / temperature
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)  # (batch, vocabulary)


@batch_temperature.mistake("you multiplied: a high temperature must make the rows flatter.")
def _(logits, temperature):
    return _softmax(logits * temperature)


@batch_temperature.mistake("divide before the softmax: after it, a factor cancels or is no use.")
def _(logits, temperature):
    return _softmax(logits) / temperature


@batch_temperature.mistake("all rows together add to 1; each row must: axis=-1.")
def _(logits, temperature):
    exponentials = np.exp((logits - logits.max()) / temperature)
    return exponentials / exponentials.sum()


@batch_temperature.mistake("right for small logits, but e to the 1000 overflows: subtract the max.")
def _(logits, temperature):
    with np.errstate(over="ignore", invalid="ignore"):
        exponentials = np.exp(logits / temperature)
        return exponentials / exponentials.sum(axis=-1, keepdims=True)


@exercise(
    cases=[(P, 0.2), (P, 0.15), (P, 1.0), (np.array([0.25, 0.25, 0.25, 0.25]), 0.9)],
    hints=[
        "The limit is `min_p * p.max()`. What is below it becomes zero.",
        "`kept = np.where(p >= min_p * p.max(), p, 0.0)`, then divide by the sum.",
    ],
)
def keep_min_p(p, min_p):
    kept = np.where(p >= min_p * p.max(), p, 0.0)
    return kept / kept.sum()


@keep_min_p.mistake("the limit is min_p times the largest probability, not min_p itself.")
def _(p, min_p):
    kept = np.where(p >= min_p, p, 0.0)
    with np.errstate(invalid="ignore"):
        return kept / kept.sum()


@keep_min_p.mistake("what is left must add to 1: divide by its sum.")
def _(p, min_p):
    return np.where(p >= min_p * p.max(), p, 0.0)


@keep_min_p.mistake("at least means that a token on the limit stays: >=, not >.")
def _(p, min_p):
    kept = np.where(p > min_p * p.max(), p, 0.0)
    with np.errstate(invalid="ignore"):
        return kept / kept.sum()


@exercise(
    hints=[
        "Without a cache: to write token 2, one token goes in; to write token 3, two; and so on.",
        "1 + 2 + … + 99 = 99 · 100 / 2, and with a cache 99 times one.",
    ],
)
def tokens_read():
    return sum(range(1, 100)), 99


@tokens_read.mistake("to write token 100, only the 99 before it are read.")
def _():
    return sum(range(1, 101)), 100


@tokens_read.mistake(
    "the wrong way round: the cache saves work, so the second number is the smaller one."
)
def _():
    return 99, sum(range(1, 100))


@tokens_read.mistake("without a cache the text is short at first: add 1 + 2 + …, not 99 times 99.")
def _():
    return 99 * 99, 99


@exercise(
    cases=[(4, 4, 32, 256), (12, 12, 64, 1024)],
    hints=[
        "Each token has a key and a value in each layer. How many numbers are in each of them?",
        "Keys and values are as wide as the model, heads · head_dim.",
    ],
)
def cache_size(layers, heads, head_dim, time):
    return 2 * layers * heads * head_dim * time


@cache_size.mistake("there are values besides the keys: twice that.")
def _(layers, heads, head_dim, time):
    return layers * heads * head_dim * time


@cache_size.mistake("the queries are used once and not kept: two, not three.")
def _(layers, heads, head_dim, time):
    return 3 * layers * heads * head_dim * time


@cache_size.mistake("every layer has keys and values of its own.")
def _(layers, heads, head_dim, time):
    return 2 * heads * head_dim * time


@cache_size.mistake("that is with the scores, which grow with the square; they are not kept.")
def _(layers, heads, head_dim, time):
    return 2 * layers * heads * head_dim * time + layers * heads * time**2


@exercise(
    hints=[
        "A ratio of a at temperature 1 is a to the power of 1/T at T.",
        "4 to the power of 2.",
    ],
)
def ratio():
    return 16


@ratio.mistake("that is for temperature 2: a lower temperature makes the ratio larger.")
def _():
    return 2


@ratio.mistake(
    "logits double; ratios of probabilities are their exponentials, so they are squared."
)
def _():
    return 8


@ratio.mistake("temperature changes ratios, except at 1.")
def _():
    return 4


answer = Answers(
    (
        "Temperature",
        "It divides the logits before the softmax. Below 1 the likeliest tokens gain at the cost of"
        " the others, above 1 all become more equal. Near zero only the likeliest token is left,"
        " which is greedy decoding.",
    ),
    (
        "Top-k and top-p",
        "Each token of the tail is nearly impossible, but together they are not, so in a long text"
        " one of them is chosen sooner or later, and the model must continue from it. Top-k keeps a"
        " fixed number of tokens; top-p keeps as many as are needed for the probability p.",
    ),
    (
        "Beam search",
        "It decides word by word, and a less likely word may begin a likelier text. Beam search"
        " keeps several beginnings at once and compares their probabilities as a whole; it need not"
        " find the likeliest text either.",
    ),
    (
        "With a cache",
        "The causal mask hides each new token from the earlier ones, so their keys and values stay"
        " the same, and the new token needs nothing else of them. The price is memory: two vectors"
        " for each token in each layer.",
    ),
    (
        "Valid, and not always the same",
        "A model that tells one flawless tale again and again would have full validity. Diversity"
        " must be measured beside it, and real tales show which value to aim for.",
    ),
)
