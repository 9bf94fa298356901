"""Exercises of lesson 5, attention."""

import numpy as np

from utils.exercises import Answers, exercise

SCORES = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0], [2.0, 2.0, -1.0]])
FOUR = np.array([[0.5, 4.0, 1.0, 0.0]] * 4)
QUERY = np.array([[1.0, 0.0, 2.0, -1.0], [0.5, 1.0, 0.0, 0.0]])  # (2, 4)
KEY = np.array([[2.0, 1.0, 0.0, 1.0], [0.0, 3.0, 1.0, 0.0], [1.0, 1.0, 1.0, 2.0]])  # (3, 4)
WIDE = np.arange(9.0).reshape(1, 9) - 4  # (1, 9)
TEXT = np.arange(24.0).reshape(3, 8)  # (time, features)
SHORT = np.arange(8.0).reshape(2, 4)


def _softmax(scores, axis=-1):
    exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


@exercise(
    cases=[(SCORES,), (FOUR,)],
    hints=[
        "First hide what is above the diagonal, then take the softmax of each row.",
        "`np.tri(len(scores), dtype=bool)` is True where a row may look.",
        "`np.where(mask, scores, -np.inf)` hides the rest.",
    ],
)
def causal_softmax(scores):
    mask = np.tri(len(scores), dtype=bool)  # (time, time)
    scores = np.where(mask, scores, -np.inf)
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@causal_softmax.mistake("there is no mask: the first row still looks at later columns.")
def _(scores):
    return _softmax(scores)


@causal_softmax.mistake(
    "you masked after the softmax, so the rows no longer add to 1. Mask the scores, with -inf."
)
def _(scores):
    return _softmax(scores) * np.tri(len(scores))


@causal_softmax.mistake("a score of 0 is not hidden: e to the 0 is 1. Hide with -inf.")
def _(scores):
    return _softmax(scores * np.tri(len(scores)))


@causal_softmax.mistake("each column adds to 1; here each row must: axis=-1.")
def _(scores):
    return _softmax(np.where(np.tri(len(scores), dtype=bool), scores, -np.inf), axis=0)


@causal_softmax.mistake("upside down: your rows see the future and not the past.")
def _(scores):
    return _softmax(np.where(np.tri(len(scores), dtype=bool).T, scores, -np.inf))


@causal_softmax.mistake(
    "a token may see itself. Without that, the first row has nothing to look at."
)
def _(scores):
    with np.errstate(invalid="ignore"):
        return _softmax(np.where(np.tri(len(scores), k=-1, dtype=bool), scores, -np.inf))


@exercise(
    cases=[(QUERY, KEY), (WIDE, WIDE[:, ::-1] + 1)],
    hints=[
        "Row i, column j is the dot product of query i and key j: one matrix product.",
        "`query @ key.T`, divided by the root of `query.shape[-1]`.",
    ],
)
def scaled_scores(query, key):
    head_dim = query.shape[-1]
    return query @ key.T / np.sqrt(head_dim)  # (queries, keys)


@scaled_scores.mistake("the scores grow with the length of the vectors: divide by √d.")
def _(query, key):
    return query @ key.T


@scaled_scores.mistake("you divided by d; it is the root of d that keeps the variance at 1.")
def _(query, key):
    return query @ key.T / query.shape[-1]


@scaled_scores.mistake("d is the length of one vector, the last axis, not the number of vectors.")
def _(query, key):
    return query @ key.T / np.sqrt(query.shape[0])


@scaled_scores.mistake("rows and columns are swapped: a row belongs to a query.")
def _(query, key):
    return key @ query.T / np.sqrt(query.shape[-1])


@exercise(
    cases=[(TEXT, 2), (TEXT, 4), (SHORT, 2)],
    hints=[
        "Reshape to (time, heads, head_dim) first. Which two axes must change places?",
        "`.reshape(time, num_heads, -1).transpose(1, 0, 2)`",
    ],
)
def split_text(x, num_heads):
    time, features = x.shape
    x = x.reshape(time, num_heads, features // num_heads)  # (time, heads, head_dim)
    return x.transpose(1, 0, 2)  # (heads, time, head_dim)


@split_text.mistake(
    "right shape, wrong numbers: a reshape alone mixes tokens. Reshape, then transpose."
)
def _(x, num_heads):
    time, features = x.shape
    return x.reshape(num_heads, time, features // num_heads)


@split_text.mistake("that is (time, heads, head_dim): the transpose is still missing.")
def _(x, num_heads):
    return x.reshape(len(x), num_heads, -1)


@split_text.mistake(
    "a head takes neighbouring features, as Keras does: reshape to (time, heads, head_dim)."
)
def _(x, num_heads):
    return x.reshape(len(x), -1, num_heads).transpose(2, 0, 1)


@exercise(
    cases=[(8, 2, 4), (768, 12, 64), (10, 3, 5)],
    hints=[
        "Three projections go from features to num_heads * head_dim, the fourth goes back.",
        "Each has a weight matrix (in × out) and a bias (out).",
    ],
)
def count_parameters(features, num_heads, head_dim):
    inner = num_heads * head_dim
    query_key_value = 3 * (features * inner + inner)
    output = inner * features + features
    return query_key_value + output


@count_parameters.mistake("those are the weight matrices. Each projection has a bias, too.")
def _(features, num_heads, head_dim):
    return 4 * features * num_heads * head_dim


@count_parameters.mistake("query, key and value are three; the fourth mixes what the heads found.")
def _(features, num_heads, head_dim):
    inner = num_heads * head_dim
    return 3 * (features * inner + inner)


@count_parameters.mistake("the last bias has one number for each feature that comes out.")
def _(features, num_heads, head_dim):
    inner = num_heads * head_dim
    return 3 * (features * inner + inner) + inner * features + inner


@count_parameters.mistake("that is one head; there are num_heads of them.")
def _(features, num_heads, head_dim):
    return count_parameters.answer(features, 1, head_dim)


@exercise(
    hints=[
        "The matrix has a row and a column for each token.",
        "Eight times the rows and eight times the columns.",
    ],
)
def times_as_large():
    return 8**2


@times_as_large.mistake("that is how the text grows. The matrix grows in both directions.")
def _():
    return 8


@times_as_large.mistake("that would be doubling; the matrix grows with the square.")
def _():
    return 16


@times_as_large.mistake("that is the cube; a matrix has two directions.")
def _():
    return 8**3


answer = Answers(
    (
        "Why queries and keys are separate",
        "With one matrix the score of two tokens would be the same in both directions. With two, "
        "what a token looks for is independent of what it can be found by: a pronoun finds its "
        "noun, while the noun does not look for the pronoun.",
    ),
    (
        "Why divide by √d",
        "The dot product of two random vectors of d numbers has variance d, so without the "
        "division the scores grow with d. Softmax turns large scores into attention weights near "
        "1 and 0, where hardly any gradient comes back. Division by √d keeps the variance at 1.",
    ),
    (
        "Step 3: the causal mask",
        "It would look at the next token, the one that it is to predict, and so learn to read the "
        "answer. Scores of -inf before the softmax give weights of exactly 0, and the other "
        "weights of the row still add to 1.",
    ),
    (
        "Two heads with different jobs",
        "One head gives a position one weighted mean, which may mix two things up, unless it has "
        "enough numbers to keep them apart. Two heads look for two things separately. They start "
        "with different random numbers, get different gradients, and so can specialise if the "
        "task needs two things.",
    ),
    (
        "What it costs",
        "The work for the scores becomes four times as large, because every token is compared "
        "with every token. The work for the projections only doubles, because they treat each "
        "token on its own.",
    ),
)
