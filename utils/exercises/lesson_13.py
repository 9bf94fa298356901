"""Exercises of lesson 13, optimizers."""

import numpy as np

from utils.exercises import Answers, exercise

MATRICES = [
    np.array([[3.0, 0.0], [0.0, 0.5]]),
    np.array([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]]),
    np.array([[2.0, 1.0], [0.0, 1.0], [1.0, -3.0]]),
]
LOSSES = np.array([5.0, 2.0, 1.2, 1.05, 1.1])
STEPS = np.array([0, 10, 20, 30, 40])


@exercise(
    cases=[(matrix,) for matrix in MATRICES],
    hints=[
        "np.linalg.svd gives U, the singular values, and V transposed. Which of them do you need?",
        "full_matrices=False keeps the shapes fitting for an oblong matrix; then U @ Vt.",
    ],
)
def orthogonalise(matrix):
    U, _, Vt = np.linalg.svd(matrix, full_matrices=False)
    return U @ Vt


@orthogonalise.mistake("that is the matrix itself: set the singular values to 1.")
def _(matrix):
    return matrix


@orthogonalise.mistake("dividing by the length scales all singular values alike; set each to 1.")
def _(matrix):
    return matrix / np.linalg.norm(matrix)


@orthogonalise.mistake("that is Adam's first step, the signs of the single numbers.")
def _(matrix):
    return np.sign(matrix)


@orthogonalise.mistake("the third result of np.linalg.svd is V transposed already.")
def _(matrix):
    U, _, Vt = np.linalg.svd(matrix, full_matrices=False)
    return U @ Vt.T if Vt.shape[0] == Vt.shape[1] else U @ Vt[:, : U.shape[1]].T


@exercise(
    cases=[(s, 3.4445, -4.7750, 2.0315) for s in (0.01, 0.5, 1.0)] + [(0.3, 1.5, -0.5, 0.0)],
    hints=["The polynomial has odd powers only: 1, 3 and 5.", "a·s + b·s³ + c·s⁵"],
)
def newton_schulz_round(s, a, b, c):
    return a * s + b * s**3 + c * s**5


@newton_schulz_round.mistake("the powers are odd: 1, 3, 5; even ones would turn the directions.")
def _(s, a, b, c):
    return a * s + b * s**2 + c * s**3


@newton_schulz_round.mistake("X itself counts as s: multiply what you have by s once more.")
def _(s, a, b, c):
    return a + b * s**2 + c * s**4


@newton_schulz_round.mistake("that is five rounds; one is asked for.")
def _(s, a, b, c):
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    return s


@exercise(
    cases=[
        (np.array([1.0, 2.0]), np.array([0.5, -1.0]), 0.95),
        (np.zeros(2), np.array([1.0, 3.0]), 0.9),
        (np.array([[1.0, -1.0]]), np.array([[2.0, 2.0]]), 0.5),
    ],
    hints=[
        "The new buffer is beta times the old one, plus the gradient.",
        "The look ahead is the gradient plus beta times the *new* buffer.",
    ],
)
def nesterov(momentum, gradient, beta):
    momentum = beta * momentum + gradient
    return momentum, gradient + beta * momentum


@nesterov.mistake("with the old buffer that is plain momentum: the look ahead uses the new one.")
def _(momentum, gradient, beta):
    return beta * momentum + gradient, gradient + beta * momentum


@nesterov.mistake("the look ahead adds the current gradient once more; yours leaves it out.")
def _(momentum, gradient, beta):
    momentum = beta * momentum + gradient
    return momentum, beta * momentum


@nesterov.mistake("Adam's mean takes 1 − beta of the gradient; Muon's buffer is a sum.")
def _(momentum, gradient, beta):
    momentum = beta * momentum + (1 - beta) * gradient
    return momentum, gradient + beta * momentum


@exercise(
    cases=[
        (STEPS, LOSSES, 1.0, 1.1),
        (STEPS, LOSSES, 0.5, 2.4),
        (STEPS, LOSSES, 1.0, 5.0),
        (STEPS, LOSSES, 0.5, 1.1),
    ],
    hints=[
        "losses <= ratio * floor is an array of True and False.",
        "argmax of such an array is the first True; if there is none, return -1.",
    ],
)
def first_step_below(steps, losses, floor, ratio):
    below = losses <= ratio * floor
    return int(steps[below.argmax()]) if below.any() else -1


@first_step_below.mistake("if the loss is never so low, argmax is 0: return -1 in that case.")
def _(steps, losses, floor, ratio):
    return int(steps[(losses <= ratio * floor).argmax()])


@first_step_below.mistake("that is the number of the evaluation; the step stands in `steps`.")
def _(steps, losses, floor, ratio):
    below = losses <= ratio * floor
    return int(below.argmax()) if below.any() else -1


@first_step_below.mistake("that is the last step so low; the first one is asked for.")
def _(steps, losses, floor, ratio):
    below = losses <= ratio * floor
    return int(steps[below][-1]) if below.any() else -1


answer = Answers(
    (
        "Why: a matrix has directions",
        "It looks at each number of a matrix alone. If common and rare directions lie across the"
        " axes, every number is dominated by the common ones, and the rare ones get hardly any of"
        " the step.",
    ),
    (
        "Why: a matrix has directions",
        "It sets all singular values to 1, so every direction gets a step of the same size. The"
        " directions themselves, U and V, stay as they are.",
    ),
    (
        "Newton–Schulz: orthogonalisation without an SVD",
        "An SVD in each step would be slow. Newton–Schulz needs only a few products of matrices and"
        " comes near enough: the singular values need not be exactly 1.",
    ),
    (
        "Muon by hand",
        "Biases and gains, which are no matrices that turn anything, and the embeddings, which are"
        " tables to look things up in. For them a direction in Muon's sense has no meaning.",
    ),
    (
        "How fast? A sweep you can see",
        "A learning rate has a meaning only together with its optimizer: the same number is too"
        " small for one and too large for another. Each has to be tuned, with equal effort.",
    ),
)
