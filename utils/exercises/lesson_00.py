"""Exercises of lesson 0, setup: how the exercises work."""

import numpy as np

from utils.exercises import Answers, exercise


@exercise(hints=["A table of 2 rows and 3 columns holds 6 numbers.", "64 · 128 · 16"])
def elements():
    return 64 * 128 * 16


@elements.mistake("you added the sizes; a table of 2 rows and 3 columns holds 6 numbers, not 5.")
def _():
    return 64 + 128 + 16


@elements.mistake("those are only the first two axes.")
def _():
    return 64 * 128


@exercise(
    cases=[((2, 3, 5),), ((7,),), ((4, 1),)],
    hints=["The last axis disappears, the others stay.", "A slice of a tuple: `shape[:-1]`."],
)
def shape_after_sum(shape):
    return shape[:-1]


@shape_after_sum.mistake("that is the shape without its first axis; the sum is over the last.")
def _(shape):
    return shape[1:]


@shape_after_sum.mistake("the last axis is gone, not of length 1 (that would be keepdims=True).")
def _(shape):
    return (*shape[:-1], 1)


@exercise(
    cases=[(100,), (1_000_000,)],
    hints=["It grows with n, but slower than n.", "The square root: `np.sqrt(n)`."],
)
def typical_sum(n):
    return np.sqrt(n)


@typical_sum.mistake(
    "then a million samples would typically sum to a million: plus and minus cancel."
)
def _(n):
    return n


@typical_sum.mistake("that is the typical miss of the mean. The sum is n times as large.")
def _(n):
    return 1 / np.sqrt(n)


answer = Answers(
    (
        "The packages",
        "NumPy computes with arrays of numbers. TensorFlow does so too, and it can also"
        " compute derivatives. Keras is a library for neural networks that runs on top of"
        " TensorFlow, its backend.",
    ),
    (
        "The first computation",
        "The shape gives the length of each axis, so their product is how many numbers the"
        " tensor holds. Summing over an axis removes it from the shape: (4, 2, 3) becomes (4,"
        " 2) if the last axis is summed.",
    ),
    (
        "The first computation",
        "The numbers have the mean 0, so positive and negative ones largely cancel, and the"
        " sum stays far below a million. They do not cancel exactly: the sum of n numbers"
        " typically differs from 0 by the square root of n, here by 1,000.",
    ),
    (
        "Do the libraries agree?",
        "If both results agree, we have understood what the library does. Both sides"
        " calculate with about 7 digits and may add in a different order, and each addition"
        " rounds. So the last digits may differ, and the lesson only demands that the"
        " difference is small.",
    ),
    (
        "If your result looks different",
        "Each run of the cell samples the next million numbers, so a second run gives another"
        " sum. Restart the kernel and run all cells. The generator then starts from the same"
        " seed and gives the first sum again.",
    ),
)
