"""Exercises of lesson 17, adapters."""

import numpy as np

from utils.exercises import Answers, exercise

W = np.array([[1.0, 0.0, 2.0], [0.0, -1.0, 1.0]])
A = np.array([[1.0, 2.0, 0.0], [0.5, 0.0, -1.0]])
B = np.array([[1.0, -2.0], [0.0, 3.0]])
S = np.array([0.5, -2.0, 0.1, 1.0, 0.0])
GRADIENT = np.array([1.0, 0.1, 30.0, -0.7, 9.0])


@exercise(
    cases=[(W.T, A.T, B.T, 2.0), (W.T, A.T, B.T, 1.0), (W.T, A[:1].T, B[:, :1].T, 3.0)],
    hints=[
        "The change is A @ B, times alpha divided by the rank.",
        "The rank is the number of columns of A: A.shape[1].",
    ],
)
def merge(kernel, A, B, alpha):
    return kernel + alpha / A.shape[1] * A @ B


@merge.mistake("you left out the factor alpha / rank.")
def _(kernel, A, B, alpha):
    return kernel + A @ B


@merge.mistake("the factor is alpha divided by the rank, not alpha alone.")
def _(kernel, A, B, alpha):
    return kernel + alpha * A @ B


@merge.mistake("len(A) is the number of inputs here; the rank is A.shape[1].")
def _(kernel, A, B, alpha):
    return kernel + alpha / len(A) * A @ B


@merge.mistake("that is only the change: add it to the kernel.")
def _(kernel, A, B, alpha):
    return alpha / A.shape[1] * A @ B


@exercise(
    cases=[([(8, 12)], 2), ([(128, 128), (512, 128)], 4), ([(3, 5), (5, 3), (7, 7)], 1)],
    hints=[
        "For each matrix A has rank * inputs numbers and B outputs * rank.",
        "rank * (outputs + inputs), summed over the shapes.",
    ],
)
def count_lora(shapes, rank):
    return sum(rank * (outputs + inputs) for outputs, inputs in shapes)


@count_lora.mistake("outputs times inputs is the whole matrix; A and B are added, not multiplied.")
def _(shapes, rank):
    return sum(rank * outputs * inputs for outputs, inputs in shapes)


@count_lora.mistake("that is A alone (or B alone): both are trained.")
def _(shapes, rank):
    return sum(rank * inputs for _, inputs in shapes)


@count_lora.mistake("every matrix of the list has an adapter, not only the first.")
def _(shapes, rank):
    return rank * sum(shapes[0])


@exercise(
    cases=[(S, GRADIENT, 2), (S, GRADIENT, 3), (-S, GRADIENT, 1)],
    hints=[
        "The importance of a number is |s · gradient|.",
        "np.argsort(importance)[::-1][:budget] are the places of the most important ones.",
    ],
)
def keep(s, gradient, budget):
    ones = np.zeros(len(s))
    ones[np.argsort(np.abs(s * gradient))[::-1][:budget]] = 1
    return ones


@keep.mistake("size alone is not importance: multiply by the gradient.")
def _(s, gradient, budget):
    ones = np.zeros(len(s))
    ones[np.argsort(np.abs(s))[::-1][:budget]] = 1
    return ones


@keep.mistake("a large gradient alone says nothing if s is zero: multiply the two.")
def _(s, gradient, budget):
    ones = np.zeros(len(s))
    ones[np.argsort(np.abs(gradient))[::-1][:budget]] = 1
    return ones


@keep.mistake("the sign does not matter: take the absolute value of the product.")
def _(s, gradient, budget):
    ones = np.zeros(len(s))
    ones[np.argsort(s * gradient)[::-1][:budget]] = 1
    return ones


@keep.mistake("those are the least important ones: argsort begins with the smallest.")
def _(s, gradient, budget):
    ones = np.zeros(len(s))
    ones[np.argsort(np.abs(s * gradient))[:budget]] = 1
    return ones


@exercise(
    cases=[(1000, 1000), (1000, 10), (124_439_808, 1_327_104)],
    hints=[
        "A number in float32 has 4 bytes, trained or not.",
        "A trained one has a gradient and two numbers of Adam besides: 12 bytes more.",
    ],
)
def training_bytes(parameters, trained):
    return 4 * parameters + 12 * trained


@training_bytes.mistake("the frozen parameters are in memory, too, with 4 bytes each.")
def _(parameters, trained):
    return 16 * trained


@training_bytes.mistake("what is frozen has no gradient and no state in the optimizer.")
def _(parameters, trained):
    return 16 * parameters


@training_bytes.mistake("besides the gradient Adam keeps two numbers for each one trained.")
def _(parameters, trained):
    return 4 * parameters + 4 * trained


answer = Answers(
    (
        "LoRA by hand",
        "With B zero the product is zero, so training begins with the model as it was. The gradient"
        " of B contains A and that of A contains B. If both were zero, both gradients would be zero"
        " for ever; with A random, B moves in the first step and A from the second on.",
    ),
    (
        "LoRA by hand",
        "It limits how many directions of a weight matrix can change: BA has at most r singular"
        " values that are not zero. The more large singular values a task's change has, the more"
        " rank it takes: the toy's change has two, and rank 1 could not reach it.",
    ),
    (
        "The table",
        "The forward pass is the same, with two thin products more, and backward the gradients"
        " must be computed through all layers. Only those of the frozen matrices themselves are"
        " saved, and the work of the optimizer on them. What LoRA saves is memory.",
    ),
    (
        "The table",
        "What is frozen is W, but the model computes with W plus the change, and that is another"
        " model. Only without the adapter is it the old one again.",
    ),
    (
        "A file that knows where it belongs",
        "An adapter is a difference to one set of weights. Another model of the same size would"
        " take it without complaint and write nonsense; the digest tells them apart, names do not.",
    ),
)
