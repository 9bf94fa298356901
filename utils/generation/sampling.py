"""Sampling: from the logits of a model to the next token, without sorting the vocabulary."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from utils.errors import GenerationError

GROUP = 128  # tokens of the vocabulary that are searched together for the one that is drawn
MANY_GROUPS = 64  # from here on it pays to sort what is likeliest in each of them
DRAWS = 32  # random numbers for one token; more than one is needed only when a draw is rejected


class Sampling(NamedTuple):
    """How to draw. Numbers in tensors, so that another number compiles nothing anew."""

    temperature: tf.Tensor  # above 0
    top_k: tf.Tensor  # draw among the k likeliest; int32
    top_p: tf.Tensor  # draw among the likeliest that together have at least this probability


def draw_tokens(logits: tf.Tensor, uniform: tf.Tensor, sampling: Sampling) -> tf.Tensor:
    """Draw a token for each row from softmax(logits / temperature), cut off by top-k and top-p.

    Without sorting the vocabulary: draw from all tokens; to see whether the token is among those
    allowed, it is enough to look at the tokens that are likelier. If it is not, forget it and all
    that are no likelier, and draw again. What is allowed is never forgotten, so it keeps its
    proportions.

    To draw is to find the token at which the running total of p passes a random mark: first the
    group of tokens, then the token in it, so that two short totals do instead of a long one.

    Both limits are set on the whole distribution, and a token has to be within both. Tokens that
    are equally likely are in or out together.

    Args:
        logits: (batch, vocabulary).
        uniform: (batch, DRAWS), independent random numbers from 0 to 1.
        sampling: the settings.

    Returns:
        (batch,), int32.
    """
    batch, vocabulary = logits.shape
    likeliest = tf.reduce_max(logits, axis=-1, keepdims=True)
    p = tf.exp((logits - likeliest) / sampling.temperature)  # not yet adding to 1
    p = tf.pad(p, [(0, 0), (0, -vocabulary % GROUP)])
    p = tf.reshape(p, (batch, -1, GROUP))
    allowed_sum = sampling.top_p * tf.reduce_sum(p, axis=(1, 2))

    def undecided(_, token, accepted, forgotten):
        return ~tf.reduce_all(accepted)

    def draw(attempt, token, accepted, forgotten):
        kept = tf.where(p > forgotten[:, None, None], p, 0.0)
        up_to = tf.cumsum(tf.reduce_sum(kept, axis=-1), axis=-1)  # (batch, groups)
        mark = tf.gather(uniform, attempt % DRAWS, axis=1) * up_to[:, -1]
        group, passed = _place(up_to, mark)
        kept_there = tf.gather(kept, group, batch_dims=1)  # (batch, GROUP)
        offset, _ = _place(tf.cumsum(kept_there, axis=-1), mark - passed)
        p_drawn = tf.gather(kept_there, offset, batch_dims=1)  # (batch,)
        likelier = p > p_drawn[:, None, None]
        within_k = tf.reduce_sum(tf.cast(likelier, tf.int32), axis=(1, 2)) < sampling.top_k
        within_p = tf.reduce_sum(tf.where(likelier, p, 0.0), axis=(1, 2)) < allowed_sum
        token = tf.where(accepted, token, group * GROUP + offset)
        accepted = accepted | (within_k & within_p)
        return attempt + 1, token, accepted, tf.where(accepted, forgotten, p_drawn)

    forgotten = _too_unlikely(p, sampling.top_k)
    start = (0, tf.zeros(batch, tf.int32), tf.zeros(batch, tf.bool), forgotten)
    return tf.while_loop(undecided, draw, start)[1]


def _too_unlikely(p, top_k):
    """A probability for each row, (batch,): no token up to it is among the k likeliest.

    If k groups have a token that is likelier than this one, this one is not among them.
    """
    batch, groups, _ = p.shape
    if groups < MANY_GROUPS:
        return -tf.ones(batch)
    likeliest = tf.sort(tf.reduce_max(p, axis=-1), direction="DESCENDING")  # (batch, groups)
    k = tf.broadcast_to(tf.minimum(top_k, groups), (batch,))  # each row may have its own
    kth = tf.gather(likeliest, k - 1, batch_dims=1)
    return tf.where(top_k <= groups, 0.99999 * kth, -1.0)  # so that the k-th itself is kept


def _place(up_to, mark):
    """Where a mark falls among running totals (batch, n), and the total before that place."""
    passed = (up_to <= mark[:, None]) & (up_to < up_to[:, -1:])  # never past the end by rounding
    total = tf.reduce_max(tf.where(passed, up_to, 0.0), axis=-1)
    return tf.reduce_sum(tf.cast(passed, tf.int32), axis=-1), total


def random_numbers(seed: int, row: int, length: int) -> np.ndarray:
    """The random numbers of one text, (length, DRAWS); a batch numbers its rows from 0."""
    return np.random.default_rng([seed, row]).random((length, DRAWS), "float32")


def as_sampling(temperature: float, top_k: int, top_p: float) -> Sampling:
    """The settings as tensors of shape (); raises GenerationError for one that makes no sense."""
    if not 0 < temperature < math.inf:  # also true for NaN
        raise GenerationError(
            f"temperature must be a number above 0, not {temperature}: for the likeliest token"
            " each time, take top_k=1."
        )
    if top_k < 0 or top_k != int(top_k):
        raise GenerationError(
            f"top_k must be a whole number, 0 for all tokens or more, not {top_k}."
        )
    if not 0 < top_p <= 1:
        raise GenerationError(
            f"top_p must be a number above 0 and not above 1, not {top_p}: 1 keeps all tokens."
        )
    everything = np.iinfo("int32").max
    smallest = float(np.finfo("float32").tiny)  # below it a number is 0, and no draw would do
    return Sampling(
        tf.constant(max(temperature, smallest), tf.float32),
        tf.constant(min(top_k, everything) or everything, tf.int32),
        tf.constant(max(top_p, smallest), tf.float32),
    )
