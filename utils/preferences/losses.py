"""The losses of learning from preferences, as formulas. Lesson 21 derives each of them.

They are written with `keras.ops`, so they take arrays of NumPy as well as tensors, and have
gradients where these are wanted.
"""

import keras
import numpy as np
from keras import ops


def bradley_terry_loss(chosen, rejected):
    """−log of the probability that the chosen one wins, the mean over pairs, in nats.

    By the model of Bradley and Terry (1952) that probability is the sigmoid of the difference of
    the scores.

    Args:
        chosen, rejected: scores, (pairs,).
    """
    return ops.mean(ops.softplus(rejected - chosen))


def dpo_loss(log_probs, reference, beta: float):
    """Bradley-Terry with the implicit reward: β times the log ratio of policy and reference.

    Source: Rafailov and others, *Direct Preference Optimization*, 2023, equation 7.

    Args:
        log_probs: log p of the chosen and of the rejected text by the model that is trained,
            (pairs, 2), in nats.
        reference: the same by the model that it started from.
        beta: how much a nat of log ratio is worth.
    """
    implicit = beta * (log_probs - reference)  # (pairs, 2)
    return bradley_terry_loss(implicit[:, 0], implicit[:, 1])


def group_advantages(rewards: np.ndarray, epsilon: float = 1e-4) -> np.ndarray:
    """Rewards of a group of texts, (texts,), less their mean, in units of their deviation.

    Source: Shao and others, *DeepSeekMath*, 2024, section 4.1.1.
    """
    return (rewards - rewards.mean()) / (rewards.std() + epsilon)


def frontier(base: float, kl: np.ndarray) -> np.ndarray:
    """The highest possible share of texts with reward 1, for a KL divergence to the base model.

    The KL-optimal policy for a reward of 0 or 1 multiplies the probability of each text of reward 1
    by the same factor: v* = v e^(1/β) / (1 − v + v e^(1/β)). Its divergence depends on v* alone:
    v* log(v*/v) + (1 − v*) log((1 − v*)/(1 − v)).

    Args:
        base: the share v of the base model.
        kl: divergences in nats, each 0 or more.
    """
    shares = np.linspace(base, 1 - 1e-9, 20_001)
    return np.interp(kl, bernoulli_kl(shares, base), shares)


def bernoulli_kl(share, base):
    """The least KL divergence at which a policy can have this share, in nats."""
    return share * np.log(share / base) + (1 - share) * np.log((1 - share) / (1 - base))


def optimal_share(base: float, beta: float) -> float:
    """The share of reward 1 under the policy that maximises reward − β · KL."""
    return base / (base + (1 - base) * np.exp(-1 / beta))


def best_of_n_kl(n: int) -> float:
    """The KL divergence of best-of-n to its base model, in nats: log n − (n − 1)/n.

    Exact where no two texts have the same score, an upper bound otherwise.

    Source: Stiennon and others, *Learning to summarize from human feedback*, 2020, appendix G.3.
    """
    return float(np.log(n) - (n - 1) / n)


class DpoLoss(keras.losses.Loss):
    """`dpo_loss` for `fit`: the targets are the log probabilities by the reference."""

    def __init__(self, beta: float):
        super().__init__(reduction=None)
        self.beta = beta

    def call(self, reference, log_probs):
        return dpo_loss(log_probs, reference, self.beta)


class BradleyTerryLoss(keras.losses.Loss):
    """`bradley_terry_loss` for `fit`; the predictions are scores, (batch, 2), targets unused."""

    def __init__(self):
        super().__init__(reduction=None)

    def call(self, unused, scores):
        return bradley_terry_loss(scores[:, 0], scores[:, 1])
