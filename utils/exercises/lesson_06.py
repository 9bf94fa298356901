"""Exercises of lesson 6, the transformer block and its masks."""

import numpy as np

from utils.exercises import Answers, exercise

_RNG = np.random.default_rng(6)
TOKENS = _RNG.normal(size=(2, 3, 4)) * np.array([1.0, 5.0, 20.0])[:, None] + 2
SCALE, SHIFT = np.array([1.0, 2.0, 0.5, -1.0]), np.array([0.0, 1.0, -1.0, 3.0])


def _normal(x, axis=-1):
    mean, variance = x.mean(axis=axis, keepdims=True), x.var(axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)


@exercise(
    cases=[(TOKENS, SCALE, SHIFT), (np.array([[1.0, 3.0, 5.0, 7.0]]), np.ones(4), SHIFT)],
    hints=[
        "Mean and variance are those of one token: `axis=-1`, and `keepdims=True` to divide.",
        "`(x - mean) / np.sqrt(variance + 1e-5)`, then times the gain, plus the bias.",
    ],
)
def normalize(x, gain, bias):
    mean = x.mean(axis=-1, keepdims=True)  # (batch, time, 1)
    variance = x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gain + bias


@normalize.mistake("those are the mean and variance of all tokens; each token has its own.")
def _(x, gain, bias):
    return _normal(x, axis=None) * gain + bias


@normalize.mistake("you normalized over the tokens; normalize over the features of one: axis=-1.")
def _(x, gain, bias):
    return _normal(x, axis=-2) * gain + bias


@normalize.mistake("divide by the standard deviation, the root of the variance.")
def _(x, gain, bias):
    variance = x.var(axis=-1, keepdims=True)
    return (x - x.mean(axis=-1, keepdims=True)) / (variance + 1e-5) * gain + bias


@normalize.mistake("the gain and the bias are missing.")
def _(x, gain, bias):
    return _normal(x)


@normalize.mistake("the bias comes after the gain: times the gain first, then plus the bias.")
def _(x, gain, bias):
    return (_normal(x) + bias) * gain


@exercise(
    cases=[(16,), (768,)],
    hints=[
        "Attention: four weight matrices of width × width, each with a bias. Feed-forward: two.",
        "4·w² + 4·w, then 8·w² + 5·w, then twice a gain and a bias: 4·w.",
    ],
)
def block_parameters(width):
    attention = 4 * (width * width + width)
    feed_forward = width * 4 * width + 4 * width + 4 * width * width + width
    normalizations = 2 * 2 * width
    return attention + feed_forward + normalizations


@block_parameters.mistake(
    "those are the weight matrices alone: add the biases and the normalizations."
)
def _(width):
    return 12 * width**2


@block_parameters.mistake("you forgot the two normalizations: each has a gain and a bias.")
def _(width):
    return 12 * width**2 + 9 * width


@block_parameters.mistake(
    "the feed-forward network has two weight matrices: to four times the width, and back."
)
def _(width):
    return 8 * width**2 + 12 * width


@block_parameters.mistake("attention has four weight matrices: query, key, value and the output.")
def _(width):
    return 11 * width**2 + 12 * width


def _half(x):
    return x / 2 + 1


def _square(x):
    return x**2


def _center(x):
    return x - x.mean(axis=-1, keepdims=True)


def _as_norm(x):
    return _normal(x)


FOUR = np.array([[1.0, 2.0, 4.0, 9.0], [0.5, -1.0, 0.0, 2.0]])


@exercise(
    cases=[(FOUR, _half, _square, _as_norm), (FOUR, _square, _half, _center)],
    hints=[
        "Two steps, and each is: add to x what the part makes of it, then normalize the sum.",
        "`x = norm(x + attend(x))`; the second step is the same with `feed_forward`.",
    ],
)
def post_norm_block(x, attend, feed_forward, norm):
    x = norm(x + attend(x))
    return norm(x + feed_forward(x))


@post_norm_block.mistake("that is pre-norm: here the norm comes after the plus.")
def _(x, attend, feed_forward, norm):
    x = x + attend(norm(x))
    return x + feed_forward(norm(x))


@post_norm_block.mistake("the residual is missing: x + attend(x), not attend(x) alone.")
def _(x, attend, feed_forward, norm):
    return norm(feed_forward(norm(attend(x))))


@post_norm_block.mistake("the plus belongs inside the norm: norm(x + attend(x)).")
def _(x, attend, feed_forward, norm):
    x = x + norm(attend(x))
    return x + norm(feed_forward(x))


@post_norm_block.mistake("each of the two parts has a norm of its own; you have only the last.")
def _(x, attend, feed_forward, norm):
    x = x + attend(x)
    return norm(x + feed_forward(x))


@post_norm_block.mistake("attention first, then the feed-forward network.")
def _(x, attend, feed_forward, norm):
    x = norm(x + feed_forward(x))
    return norm(x + attend(x))


@exercise(
    cases=[(2, 5), (1, 3), (3, 3)],
    hints=[
        "Start from the causal mask, `np.tri(time, dtype=bool)`, and allow some more cells.",
        "A key is visible if it is not later than the query, or if it stands in the prompt.",
    ],
)
def prefix_mask(prompt, time):
    query, key = np.arange(time)[:, None], np.arange(time)  # (time, 1), (time,)
    return ((key <= query) | (key < prompt)).astype(int)  # (time, time)


@prefix_mask.mistake("that is the plain causal mask: inside the prompt, words see later ones, too.")
def _(prompt, time):
    return np.tri(time, dtype=int)


@prefix_mask.mistake("that is BERT's: after the prompt, no word may see later ones.")
def _(prompt, time):
    return np.ones((time, time), int)


@prefix_mask.mistake("rows are queries, columns are keys: your mask is transposed.")
def _(prompt, time):
    return prefix_mask.answer(prompt, time).T


@prefix_mask.mistake("the prompt is one word too long: the words are counted from 0.")
def _(prompt, time):
    return prefix_mask.answer(prompt + 1, time)


@prefix_mask.mistake(
    "after the prompt a word must still see itself and what was written before it."
)
def _(prompt, time):
    return np.tile((np.arange(time) < prompt).astype(int), (time, 1))


GUESSES = np.array([[4, 7, 2, 9], [1, 1, 5, 6]])
TRUTH = np.array([[4, 3, 2, 8], [1, 0, 5, 5]])
BLANKED = np.array([[0, 1, 1, 0], [0, 1, 0, 1]])
FEW = np.array([[1, 0, 0, 0], [1, 0, 1, 1]])


@exercise(
    cases=[(GUESSES, TRUTH, BLANKED), (GUESSES, TRUTH, FEW)],
    hints=[
        "Only the positions where `blanks` is 1 count. How many are there, how many are right?",
        "`np.sum((guesses == truth) * blanks) / np.sum(blanks)`",
    ],
)
def accuracy_on_blanks(guesses, truth, blanks):
    return np.sum((guesses == truth) * blanks) / np.sum(blanks)


@accuracy_on_blanks.mistake("you counted every word. BERT sees the others: count the blanks only.")
def _(guesses, truth, blanks):
    return np.mean(guesses == truth)


@accuracy_on_blanks.mistake("divide by the number of blanks, not by the number of words.")
def _(guesses, truth, blanks):
    return np.mean((guesses == truth) * blanks)


@accuracy_on_blanks.mistake("that is the mean of the rows' accuracies; weight all blanks equally.")
def _(guesses, truth, blanks):
    return np.mean(np.sum((guesses == truth) * blanks, axis=1) / np.sum(blanks, axis=1))


@accuracy_on_blanks.mistake("that is the share of wrong answers.")
def _(guesses, truth, blanks):
    return np.sum((guesses != truth) * blanks) / np.sum(blanks)


answer = Answers(
    (
        "Layer normalization",
        "It subtracts the mean of the token's features and divides by their standard deviation, so"
        " every token has the same scale. The gain and the bias of each feature are learnt, so"
        " training can choose another scale.",
    ),
    (
        "The feed-forward network and GELU",
        "Without the activation its two Dense layers could be replaced by one. It works on each"
        " token alone, so it cannot move information between tokens; only attention does that.",
    ),
    (
        "The residual connection",
        "Without them each layer multiplies the gradient by about the same factor, and after many"
        " layers it has vanished or exploded. With them it has a path around every layer, but each"
        " plus still adds to it. A normalization divides what comes back through the layer by the"
        " size of x, which grows along the stack, so the gradient stays in bounds.",
    ),
    (
        "Pre-norm or post-norm: depth decides",
        "In pre-norm the residual stream passes through plus signs alone; in post-norm it is"
        " normalized after every plus. In a shallow stack both train, but a deep post-norm stack"
        " does not tolerate large steps at first: it needs a warm-up of the learning rate.",
    ),
    (
        "One block, two masks",
        "The mask and the training question. GPT has the causal mask and learns to predict the next"
        " word, which is what writing asks at every step. BERT sees both sides, so it must be asked"
        " for words that were replaced by blanks; it was never trained on texts that are mostly"
        " blank.",
    ),
)
