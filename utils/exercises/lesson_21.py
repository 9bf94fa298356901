"""Exercises of lesson 21, preferences."""

import numpy as np

from utils.exercises import Answers, exercise

REWARDS = [[1.0, 0.0, 0.0, 1.0, 1.0], [0.5, 2.0, -1.0], [1.0, 1.0, 1.0, 1.0], [3.0, 3.0, 3.0, 7.0]]


@exercise(
    cases=[(1.0, 0.0), (0.0, 2.0), (5.0, 5.0), (-3.0, -1.5)],
    hints=[
        "Only the difference of the scores counts.",
        "The sigmoid of x is 1 / (1 + np.exp(-x)).",
    ],
)
def win_probability(first, second):
    return 1 / (1 + np.exp(second - first))


@win_probability.mistake("that is the probability that the second one wins.")
def _(first, second):
    return 1 / (1 + np.exp(first - second))


@win_probability.mistake("scores are no weights: take the sigmoid of their difference.")
def _(first, second):
    return first / (first + second)


@win_probability.mistake("that is for sure; a comparison is a game of chance.")
def _(first, second):
    return float(first > second)


@exercise(
    cases=[(0.6, 1.0), (0.6, 0.25), (0.1, 2.0), (0.5, 10.0)],
    hints=[
        "The best policy multiplies the probability of each text by exp(reward / beta).",
        "Good texts get v * exp(1 / beta), the others keep 1 - v; then make it add up to 1.",
    ],
)
def best_share(v, beta):
    good = v * np.exp(1 / beta)
    return good / (1 - v + good)


@best_share.mistake("beta is a price: the higher it is, the less may change. Divide by it.")
def _(v, beta):
    good = v * np.exp(beta)
    return good / (1 - v + good)


@best_share.mistake("probabilities must add up to 1: divide by the sum of good and others.")
def _(v, beta):
    return v * np.exp(1 / beta)


@best_share.mistake("the others keep 1 - v in the sum, not v.")
def _(v, beta):
    good = v * np.exp(1 / beta)
    return good / (v + good)


@exercise(
    cases=[
        (-50.0, -60.0, -52.0, -58.0, 0.1),
        (-60.0, -80.0, -52.0, -58.0, 0.5),
        (-40.0, -41.0, -40.0, -41.0, 1.0),
        (-70.0, -55.0, -60.0, -60.0, 0.1),
    ],
    hints=[
        "The implicit reward of a text is beta * (log p of the policy - log p of the reference).",
        "The loss is -log of the sigmoid of the difference of the two implicit rewards.",
        "-log sigmoid(x) is np.log1p(np.exp(-x)).",
    ],
)
def pair_loss(chosen, rejected, chosen_0, rejected_0, beta):
    return np.log1p(np.exp(-beta * ((chosen - chosen_0) - (rejected - rejected_0))))


@pair_loss.mistake("that forgets the reference: the gain on it counts, not log p itself.")
def _(chosen, rejected, chosen_0, rejected_0, beta):
    return np.log1p(np.exp(-beta * (chosen - rejected)))


@pair_loss.mistake("that prefers the rejected text.")
def _(chosen, rejected, chosen_0, rejected_0, beta):
    return np.log1p(np.exp(beta * ((chosen - chosen_0) - (rejected - rejected_0))))


@pair_loss.mistake("that is the probability; the loss is minus its logarithm.")
def _(chosen, rejected, chosen_0, rejected_0, beta):
    return 1 / (1 + np.exp(-beta * ((chosen - chosen_0) - (rejected - rejected_0))))


@pair_loss.mistake("beta multiplies the log ratios, within the sigmoid.")
def _(chosen, rejected, chosen_0, rejected_0, beta):
    return beta * np.log1p(np.exp(-((chosen - chosen_0) - (rejected - rejected_0))))


@exercise(
    cases=[(rewards,) for rewards in REWARDS],
    hints=[
        "np.mean and np.std give what you need.",
        "If the standard deviation is 0, return zeros; else divide by it.",
    ],
)
def advantages(rewards):
    rewards = np.array(rewards)
    deviation = rewards.std()
    centred = rewards - rewards.mean()
    return centred / deviation if deviation > 0 else np.zeros(len(rewards))


@advantages.mistake("divide by the standard deviation, too, after subtracting the mean.")
def _(rewards):
    return np.array(rewards) - np.mean(rewards)


@advantages.mistake("subtract the mean first: a text is compared with its group.")
def _(rewards):
    deviation = np.std(rewards)
    return np.array(rewards) / deviation if deviation > 0 else np.zeros(len(rewards))


@advantages.mistake("take the standard deviation, not the variance.")
def _(rewards):
    variance = np.var(rewards)
    centred = np.array(rewards) - np.mean(rewards)
    return centred / variance if variance > 0 else np.zeros(len(rewards))


answer = Answers(
    (
        "Bradley and Terry: scores from comparisons",
        "Both were compared with the other texts. The joke mostly won against them and the list"
        " mostly lost, and all these games share the same scores.",
    ),
    (
        "How good can it get? The frontier",
        "The best policy multiplies each probability by a factor that depends on the reward alone,"
        " and all good texts have the same reward. To change their proportions would cost KL"
        " divergence and gain nothing.",
    ),
    (
        "DPO: the policy is its own reward model",
        "The loss knows only the difference of the two implicit rewards. If the rejected text loses"
        " more than the chosen one, the loss falls although both have become unlikelier.",
    ),
    (
        "GRPO: learn from one's own samples",
        "It does not change the direction of the gradient's mean, but makes the estimate less"
        " noisy: a text becomes likelier if it is better than the others of its group, not merely"
        " if its reward is positive.",
    ),
    (
        "The control: a lower temperature",
        "It makes stories valid more often, too, needs no training at all, and costs little KL"
        " divergence. A training that gains no more has not made the model better at telling"
        " stories.",
    ),
)
