"""Exercises of lesson 14, scaling."""

import numpy as np

from utils.exercises import Answers, exercise

LAWS = [
    (1e5, 1e6, 300.0, 3000.0, 0.3, 0.6, 0.65),
    (2e4, 5e5, 50.0, 900.0, 0.0, 0.5, 0.5),
    (3e6, 2e7, 406.4, 410.7, 1.69, 0.34, 0.28),
]
GRADIENTS = [
    (np.array([[1.0, 2.0], [3.0, -2.0]]), np.array([30, 10])),
    (np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0], [4.0, 4.0, 0.0]]), np.array([5, 10, 85])),
    (np.array([[2.0], [4.0]]), np.array([7, 7])),
]


@exercise(
    cases=LAWS,
    hints=["Three terms: E, one with N, one with D.", "E + A / N**alpha + B / D**beta"],
)
def loss_by_law(N, D, A, B, E, alpha, beta):
    return E + A / N**alpha + B / D**beta


@loss_by_law.mistake("the irreducible loss E is missing.")
def _(N, D, A, B, E, alpha, beta):
    return A / N**alpha + B / D**beta


@loss_by_law.mistake("N and D have changed places.")
def _(N, D, A, B, E, alpha, beta):
    return E + A / D**alpha + B / N**beta


@loss_by_law.mistake("the power belongs to N and D alone, not to the whole fraction.")
def _(N, D, A, B, E, alpha, beta):
    return E + (A / N) ** alpha + (B / D) ** beta


@exercise(
    cases=[(1,), (124_439_808,), (1_557_611_200,)],
    hints=[
        "Four bytes for a number in float32. How many numbers for each parameter?",
        "The parameter, its gradient, and AdamW's two running means.",
    ],
)
def adamw_bytes(parameters):
    return 16 * parameters


@adamw_bytes.mistake("that is the weights alone, or the number of values without their size.")
def _(parameters):
    return 4 * parameters


@adamw_bytes.mistake("one value too few: weight, gradient, and *two* running means of AdamW.")
def _(parameters):
    return 12 * parameters


@adamw_bytes.mistake("weights and gradients are there; AdamW's two running means are missing.")
def _(parameters):
    return 8 * parameters


@exercise(
    cases=GRADIENTS,
    hints=[
        "Each part counts by its share of all targets.",
        "shares = targets / targets.sum(); then the sum over parts of share times gradient.",
    ],
)
def combine(gradients, targets):
    return (targets / targets.sum()) @ gradients


@combine.mistake("a plain mean is right only if all parts have equally many targets.")
def _(gradients, targets):
    return gradients.mean(axis=0)


@combine.mistake("that is the sum; the loss of the batch is a mean over its targets.")
def _(gradients, targets):
    return gradients.sum(axis=0)


@combine.mistake("divide by the number of all targets, not by the number of parts.")
def _(gradients, targets):
    return targets @ gradients / len(targets)


@exercise(
    cases=[(8, 2), (12, 4), (6400, 64)],
    hints=[
        "A piece has n / P numbers. In how many steps does a process send one?",
        "P - 1 steps of reduce-scatter, and P - 1 of all-gather.",
    ],
)
def ring_traffic(n, P):
    return 2 * (P - 1) * n // P


@ring_traffic.mistake("there are two rounds: sums go round once, then the results.")
def _(n, P):
    return (P - 1) * n // P


@ring_traffic.mistake("in each step a process sends one piece of n / P numbers, not all of them.")
def _(n, P):
    return 2 * (P - 1) * n


@ring_traffic.mistake("a round has P - 1 steps: nobody sends a piece to itself.")
def _(n, P):
    return 2 * n


answer = Answers(
    (
        "A law for the loss",
        "E is the irreducible loss, the entropy of the text. The term with N is what a small model"
        " loses against a large one, the term with D what a short training loses against a long"
        " one. Both go to zero.",
    ),
    (
        "The runs",
        "While the learning rate is high the loss stays above what the model could reach. A run"
        " that is looked at before its rate has come down seems worse than it is, so the law would"
        " describe the schedule and not the number of tokens.",
    ),
    (
        "Does the Chinchilla procedure find the floor?",
        "The bootstrap varies the runs and takes the form of the law for granted. If the true curve"
        " has another form, every resampled fit makes the same mistake.",
    ),
    (
        "Many processes: data parallel, by hand",
        "The loss is a mean over targets. In a plain mean of the gradients the targets of the"
        " shorter part count more than those of the longer one, so it is not the gradient of the"
        " whole batch. Each part must count by its share of the targets.",
    ),
    (
        "The real thing: Keras on JAX",
        "Memory. In data parallel every process has the whole model, its gradients and optimizer"
        " states. In model parallel each keeps only its pieces of the weight matrices, so a model"
        " may be larger than any device.",
    ),
)
