"""Exercises of lesson 1, linear regression."""

import math

import numpy as np

from utils.exercises import Answers, exercise

FOUR = np.array([1.0, 2.0, 3.0, 4.0])
WIDE = np.array([-3.0, 0.5, 2.0])


def _curvatures(x):
    X = np.stack([x, np.ones_like(x)], axis=1)
    return np.linalg.eigvalsh(2 / len(x) * X.T @ X)


@exercise(
    cases=[(0.0, 0.0, FOUR, 1 - FOUR), (2.0, -1.0, WIDE, WIDE**2)],
    hints=[
        "The derivative of a sum is the sum of the derivatives: one word of `gradient` changes.",
        "`np.sum(2 * error * x)` is the first of the two.",
    ],
)
def gradient_of_sum(w, b, x, y):
    error = w * x + b - y
    return np.sum(2 * error * x), np.sum(2 * error)


@gradient_of_sum.mistake("that is the gradient of the mean. The sum is n times as large.")
def _(w, b, x, y):
    error = w * x + b - y
    return np.mean(2 * error * x), np.mean(2 * error)


@gradient_of_sum.mistake("you lost the factor 2 that the square leaves behind.")
def _(w, b, x, y):
    error = w * x + b - y
    return np.sum(error * x), np.sum(error)


@gradient_of_sum.mistake("it points downhill: the error is prediction minus target.")
def _(w, b, x, y):
    error = y - (w * x + b)
    return np.sum(2 * error * x), np.sum(2 * error)


@gradient_of_sum.mistake("the chain rule gives the derivative with respect to w a factor x.")
def _(w, b, x, y):
    error = w * x + b - y
    return np.sum(2 * error), np.sum(2 * error)


@exercise(
    cases=[(FOUR,), (WIDE,)],
    hints=[
        "Build X and the Hessian from x as in the lesson; `np.linalg.eigvalsh` does the rest.",
        "The steepest direction overshoots first: divide 2 by the largest eigenvalue.",
    ],
)
def learning_rate_limit(x):
    X = np.stack([x, np.ones_like(x)], axis=1)
    hessian = 2 / len(x) * X.T @ X
    return 2 / np.linalg.eigvalsh(hessian).max()


@learning_rate_limit.mistake(
    "that is the limit of the flattest direction; the steepest diverges first."
)
def _(x):
    return 2 / _curvatures(x).min()


@learning_rate_limit.mistake(
    "half of it: at 1/λ the steep direction needs a single step, and training converges."
)
def _(x):
    return 1 / _curvatures(x).max()


@learning_rate_limit.mistake("is your Hessian 2/n · XᵀX? It looks as if the 2/n were missing.")
def _(x):
    return 2 / (_curvatures(x).max() * len(x) / 2)


@exercise(
    hints=[
        "Each epoch keeps the part `1 - 0.01 * eigenvalues[0]`. Which power of it is 0.01?",
        "`np.log(0.01) / np.log(1 - 0.01 * eigenvalues[0])`, rounded up to a whole epoch.",
    ],
)
def epochs_to_one_percent():
    flattest = np.linalg.eigvalsh([[15.0, 5.0], [5.0, 2.0]])[0]
    return math.ceil(np.log(0.01) / np.log(1 - 0.01 * flattest))


@epochs_to_one_percent.mistake(
    "almost: after so many epochs there is still a bit more than 1 %. Round up."
)
def _():
    return epochs_to_one_percent.answer() - 1


@epochs_to_one_percent.mistake("that is the steep direction. The flat one is the slow one.")
def _():
    return math.ceil(np.log(0.01) / np.log(1 - 0.01 * _curvatures(FOUR)[1]))


@epochs_to_one_percent.mistake("the power is a whole number of epochs: round up.")
def _():
    return np.log(0.01) / np.log(1 - 0.01 * _curvatures(FOUR)[0])


@exercise(
    hints=[
        "Replace x by `x - x.mean()`, build the Hessian again, divide its eigenvalues.",
        "After centring, X.T @ X is diagonal, so the eigenvalues stand in it: 2 · mean(x²) and 2.",
    ],
)
def condition_number_centred():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    x = x - x.mean()
    X = np.stack([x, np.ones_like(x)], axis=1)
    smallest, largest = np.linalg.eigvalsh(2 / len(x) * X.T @ X)
    return largest / smallest


@condition_number_centred.mistake("that is the number before centring.")
def _():
    return np.divide(*_curvatures(FOUR)[::-1])


@condition_number_centred.mistake(
    "divide the larger by the smaller: a condition number is never below 1."
)
def _():
    return 1 / condition_number_centred.answer()


@condition_number_centred.mistake(
    "that is for x divided by its standard deviation as well; here only the mean is subtracted."
)
def _():
    return 1.0


@exercise(
    hints=[
        "period = size to the power of 3/2, in units of the Earth's.",
        "`2 ** 1.5`",
    ],
)
def year_of_asteroid():
    return 2**1.5


@year_of_asteroid.mistake("it is the other way round: the period grows faster than the size.")
def _():
    return 2 ** (2 / 3)


@year_of_asteroid.mistake("that would be a straight line.")
def _():
    return 2.0


@year_of_asteroid.mistake("that is the square of the period; take the root.")
def _():
    return 8.0


answer = Answers(
    (
        "The idea, by hand",
        "The loss is one number that says how wrong the model is: zero for a perfect line, and"
        " larger the larger the errors are. A step of gradient descent changes every parameter"
        " against the gradient, multiplied by the learning rate, so that the loss falls.",
    ),
    (
        "The idea, by hand",
        "Change one parameter by a tiny amount and divide the change of the loss by that"
        " amount. The result must be nearly equal to the partial derivative of the formula. Do"
        " the same for each parameter.",
    ),
    (
        "Why: two speeds",
        "The loss has the shape of a narrow valley. The error that is left lies in the flat"
        " direction: the line only has to turn around a point near the data, which barely"
        " changes the loss. So the gradient is small there, each step is small, and the error at"
        " x = 10 shrinks slowly.",
    ),
    (
        "A learning rate that is too large",
        "Each step overshoots: it ends farther from the goal than it began, so the gradient and"
        " the next step are even larger, and the loss grows without end. In the steep direction"
        " the curvature is the largest, so this happens there first.",
    ),
    (
        "Real data: the planets",
        "They are the test set. A rule may fit the six bodies that it was trained on and no"
        " others. Only bodies that the model has never seen show whether what it has learnt holds"
        " for others too, that is, whether it generalises.",
    ),
)
