"""Exercises of lesson 0, setup: how the exercises work."""

import numpy as np

from utils.exercises import exercise


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
    "then a million draws would typically sum to a million: plus and minus cancel."
)
def _(n):
    return n


@typical_sum.mistake("that is the typical miss of the mean. The sum is n times as large.")
def _(n):
    return 1 / np.sqrt(n)
