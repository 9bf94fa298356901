"""Sampling: from the logits of a model to the next token, without sorting the vocabulary.

`allowed_probabilities` says in plain NumPy from which distribution `sample_tokens` takes a token.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from utils.errors import GenerationError

GROUP = 128  # tokens of the vocabulary whose probabilities are added up together
MANY_GROUPS = 64  # from this number on it pays to sort the largest probabilities of the groups
ATTEMPTS = 32  # random numbers for one token; further attempts use the same numbers again


class Sampling(NamedTuple):
    """The settings of sampling, as tensors, so that another value compiles nothing anew."""

    temperature: tf.Tensor  # float32, above 0; the logits are divided by it
    top_k: tf.Tensor  # int32, the number of likeliest tokens to sample from
    top_p: tf.Tensor  # float32, the probability that the likeliest tokens must reach together


def allowed_probabilities(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The distribution of the next token, the plain way: sort, cut, renormalise.

    A token is kept if fewer than top_k tokens are likelier, and those have a probability below
    top_p together. Both limits apply to the whole distribution, and tokens that are equally likely
    are kept or cut together.

    Args:
        logits: the logits of one position, (vocabulary,).
        sampling: the settings, each of shape ().

    Returns:
        Probabilities, (vocabulary,), that add up to 1; those of the tokens that are cut are 0.
    """
    temperature, top_k, top_p = map(float, sampling)
    exponentials = np.exp((logits - logits.max()) / temperature, dtype="float64")
    p = exponentials / exponentials.sum()
    descending = np.sort(p)[::-1]
    likelier = np.searchsorted(-descending, -p)  # (vocabulary,), how many tokens are likelier
    likelier_sum = np.concatenate([[0], np.cumsum(descending)])[likelier]
    kept = np.where((likelier < top_k) & (likelier_sum < top_p), p, 0)
    return kept / kept.sum()


def sample_tokens(logits: tf.Tensor, uniform: tf.Tensor, sampling: Sampling) -> tf.Tensor:
    """A token for each row, sampled from the distribution that `allowed_probabilities` describes.

    It is rejection sampling, because sorting the vocabulary would take longer than anything else
    in a small model. Sample from all tokens; whether the token is allowed shows in the tokens that
    are likelier, without an order. If it is not, exclude it and all tokens that are no likelier,
    and sample again. Allowed tokens are never excluded, so they keep their proportions.

    To sample is to find the token at which the cumulative sum of the probabilities passes a random
    mark: first its group, then the token within the group. Two short sums replace a long one.

    Args:
        logits: the logits, (batch, vocabulary).
        uniform: independent random numbers from 0 to 1, (batch, ATTEMPTS).
        sampling: the settings; each a tensor of shape (), or with a value for each row:
            temperature (batch, 1), top_k and top_p (batch,).

    Returns:
        Token ids, (batch,), int32. A row of logits that are not finite gets any token.
    """
    batch, vocabulary = logits.shape
    largest = tf.reduce_max(logits, axis=-1, keepdims=True)
    p = tf.exp((logits - largest) / sampling.temperature)  # proportional to the probabilities
    p = tf.pad(p, [(0, 0), (0, -vocabulary % GROUP)])
    p = tf.reshape(p, (batch, -1, GROUP))
    allowed_sum = sampling.top_p * tf.reduce_sum(p, axis=(1, 2))

    def is_unfinished(_, token, accepted, excluded):
        return ~tf.reduce_all(accepted)

    def sample(attempt, token, accepted, excluded):
        kept = tf.where(p > excluded[:, None, None], p, 0.0)
        cumulative = tf.cumsum(tf.reduce_sum(kept, axis=-1), axis=-1)  # (batch, groups)
        mark = tf.gather(uniform, attempt % ATTEMPTS, axis=1) * cumulative[:, -1]
        group, sum_before = _position_of(mark, cumulative)
        kept_there = tf.gather(kept, group, batch_dims=1)  # (batch, GROUP)
        offset, _ = _position_of(mark - sum_before, tf.cumsum(kept_there, axis=-1))
        p_sampled = tf.gather(kept_there, offset, batch_dims=1)  # (batch,)
        likelier = p > p_sampled[:, None, None]
        within_k = tf.reduce_sum(tf.cast(likelier, tf.int32), axis=(1, 2)) < sampling.top_k
        within_p = tf.reduce_sum(tf.where(likelier, p, 0.0), axis=(1, 2)) < allowed_sum
        token = tf.where(accepted, token, group * GROUP + offset)
        accepted = accepted | (within_k & within_p)
        return attempt + 1, token, accepted, tf.where(accepted, excluded, p_sampled)

    excluded = _excluded_by_top_k(p, sampling.top_k)
    hopeless = ~tf.math.is_finite(allowed_sum)  # no token would ever be accepted
    start = (0, tf.zeros(batch, tf.int32), hopeless, excluded)
    return tf.while_loop(is_unfinished, sample, start)[1]


def _excluded_by_top_k(p, top_k):
    """A limit for each row, (batch,): tokens whose p is not above it are not in the top k.

    If k groups have a token that is likelier than a token, then that token is not in the top k.
    """
    batch, groups, _ = p.shape
    if groups < MANY_GROUPS:
        return -tf.ones(batch)
    largest = tf.sort(tf.reduce_max(p, axis=-1), direction="DESCENDING")  # (batch, groups)
    k = tf.broadcast_to(tf.minimum(top_k, groups), (batch,))  # each row may have its own
    kth = tf.gather(largest, k - 1, batch_dims=1)
    return tf.where(top_k <= groups, 0.99999 * kth, -1.0)  # so that the k-th itself is kept


def _position_of(mark, cumulative):
    """The position of a mark (batch,) in cumulative sums (batch, n), and the sum before it."""
    # The second condition keeps a mark that was rounded up from passing the end.
    passed = (cumulative <= mark[:, None]) & (cumulative < cumulative[:, -1:])
    sum_before = tf.reduce_max(tf.where(passed, cumulative, 0.0), axis=-1)
    return tf.reduce_sum(tf.cast(passed, tf.int32), axis=-1), sum_before


def random_numbers(seed: int, row: int, length: int) -> np.ndarray:
    """The random numbers of one text, (length, ATTEMPTS); `row` is its number in the batch."""
    return np.random.default_rng([seed, row]).random((length, ATTEMPTS), "float32")


def as_sampling(temperature: float, top_k: int, top_p: float) -> Sampling:
    """The settings as tensors of shape ().

    Args:
        temperature: a finite number above 0.
        top_k: a whole number; 0 means all tokens.
        top_p: a number above 0, at most 1; 1 means all tokens.

    Raises:
        GenerationError: if a setting is out of range.
    """
    if not 0 < temperature < math.inf:  # also true for NaN
        raise GenerationError(
            f"temperature must be a number above 0, not {temperature}: for the likeliest token"
            " each time, set top_k=1."
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
    smallest = float(np.finfo("float32").tiny)  # smaller numbers would round to 0
    return Sampling(
        tf.constant(max(temperature, smallest), tf.float32),
        tf.constant(min(top_k, everything) or everything, tf.int32),
        tf.constant(max(top_p, smallest), tf.float32),
    )
