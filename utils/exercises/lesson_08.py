"""Exercises of lesson 8, pretraining."""

import numpy as np

from utils.exercises import Answers, exercise

LOSSES = np.array([[2.0, 1.0, 0.5], [3.0, 0.2, 0.1]])
LOSS_MASK = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])


@exercise(
    cases=[(np.arange(10, 23), 4), (np.arange(9), 4), (np.array([5, 3, 8, 1, 9, 2, 7]), 2)],
    hints=[
        "How many windows? Every target needs an id before it: (len(ids) - 1) // context.",
        "Cut the text once for the inputs and, shifted by one, for the targets; then reshape each.",
    ],
)
def full_windows(ids, context):
    length = (len(ids) - 1) // context * context
    return ids[:length].reshape(-1, context), ids[1 : length + 1].reshape(-1, context)


@full_windows.mistake("your windows share no id, so the first id of each is never a target.")
def _(ids, context):
    rows = ids[: len(ids) // (context + 1) * (context + 1)].reshape(-1, context + 1)
    return rows[:, :-1], rows[:, 1:]


@full_windows.mistake("the targets are not shifted: the target of each id is the next one.")
def _(ids, context):
    inputs = full_windows.answer(ids, context)[0]
    return inputs, inputs


@full_windows.mistake("inputs and targets have changed places.")
def _(ids, context):
    inputs, targets = full_windows.answer(ids, context)
    return targets, inputs


@full_windows.mistake("a window at every id makes each of them a target many times.")
def _(ids, context):
    starts = range(len(ids) - context)
    rows = np.array([ids[start : start + context + 1] for start in starts])
    return rows[:, :-1], rows[:, 1:]


@exercise(
    cases=[(step, 0.02, 100, 10) for step in (0, 5, 10, 55, 100)] + [(7, 1.0, 40, 4)],
    hints=[
        "Before `warmup`: the part of the way that is done, times the peak.",
        "After it: 1 minus (step - warmup) / (steps - warmup), times the peak.",
    ],
)
def linear_rate(step, peak, steps, warmup):
    if step < warmup:
        return peak * step / warmup
    return peak * (1 - (step - warmup) / (steps - warmup))


@linear_rate.mistake("it jumps after the warm-up: the way down begins at `warmup`, not at 0.")
def _(step, peak, steps, warmup):
    return peak * step / warmup if step < warmup else peak * (1 - step / steps)


@linear_rate.mistake("the way down takes steps - warmup steps; yours does not arrive at 0.")
def _(step, peak, steps, warmup):
    return peak * step / warmup if step < warmup else peak * (1 - (step - warmup) / steps)


@linear_rate.mistake("that is the cosine of the lesson; here the way down is a straight line.")
def _(step, peak, steps, warmup):
    if step < warmup:
        return peak * step / warmup
    return peak * 0.5 * (1 + np.cos(np.pi * (step - warmup) / (steps - warmup)))


@linear_rate.mistake("there is no warm-up yet: at step 0 the rate is 0.")
def _(step, peak, steps, warmup):
    return peak * min(1, 1 - (step - warmup) / (steps - warmup))


@exercise(
    cases=[(LOSSES, LOSS_MASK), (LOSSES[:1], LOSS_MASK[:1]), (LOSSES, 1 - LOSS_MASK)],
    hints=[
        "Multiply first; then add up all positions of all rows.",
        "Divide by how many count, which is the sum of the mask.",
    ],
)
def masked_loss(losses, loss_mask):
    return (losses * loss_mask).sum() / loss_mask.sum()


@masked_loss.mistake("that divides by the padding, too, and makes the loss look smaller.")
def _(losses, loss_mask):
    return (losses * loss_mask).mean()


@masked_loss.mistake("the loss mask is not used: padding must not count.")
def _(losses, loss_mask):
    return losses.mean()


@masked_loss.mistake("that is the sum; divide it by the sum of the mask.")
def _(losses, loss_mask):
    return (losses * loss_mask).sum()


@masked_loss.mistake("a short row then counts as much as a long one: add all rows up first.")
def _(losses, loss_mask):
    sums = loss_mask.sum(axis=1)
    return np.mean((losses * loss_mask).sum(axis=1)[sums > 0] / sums[sums > 0])


@exercise(
    hints=[
        "After one gradient g: m = 0.1 · g and v = 0.001 · g². The gradient cancels.",
        "0.1 / √0.001",
    ],
)
def first_stride():
    return 0.1 / np.sqrt(0.001)


@first_stride.mistake("that is with bias correction: without it the stride is another one.")
def _():
    return 1


@first_stride.mistake("you forgot the root: Adam divides by √v.")
def _():
    return 100


@first_stride.mistake("1 − β is what a new gradient is multiplied by, not β.")
def _():
    return 0.9 / np.sqrt(0.999)


@first_stride.mistake("that is v over m; the step is m over the root of v.")
def _():
    return np.sqrt(0.001) / 0.1


@exercise(
    hints=[
        "How many nats does the model lose on a whole tale?",
        "A loss is −log p, so e to that many nats is the ratio of the probabilities.",
    ],
)
def times_less_probable():
    return np.exp((0.32 - 0.29) * 200)


@times_less_probable.mistake("those are the nats that it loses on a tale; e to them is the ratio.")
def _():
    return (0.32 - 0.29) * 200


@times_less_probable.mistake("that is for one token; the nats of 200 tokens add up.")
def _():
    return np.exp(0.32 - 0.29)


@times_less_probable.mistake("that compares the losses; a loss is a logarithm, so subtract.")
def _():
    return 0.32 / 0.29


@times_less_probable.mistake("it is that much less probable: give the factor, not one over it.")
def _():
    return np.exp(-(0.32 - 0.29) * 200)


answer = Answers(
    (
        "From a text to batches",
        "Texts have different lengths, so rows are filled with padding. The loss mask is 0 there,"
        " because padding is no text: a model that predicts it well would only seem to be good.",
    ),
    (
        "From gradient descent to AdamW",
        "It follows a decaying sum of the gradients. Across the valley they keep changing sign"
        " and soon cancel; along the bottom they agree and add up, so it moves faster there.",
    ),
    (
        "Why the learning rate rises first, then falls",
        "After bias correction Adam's very first step has full length for every parameter, even"
        " where the gradient is only noise. While the learning rate is small, the running means"
        " have time to tell the signal from the noise.",
    ),
    (
        "What the curve means",
        "No. The floor holds for new texts. The training loss is measured on tales that the model"
        " has read before, so it may have memorised parts of them; only the validation loss"
        " compares with the floor.",
    ),
    (
        "Overfitting: memorising instead of learning",
        "The training loss goes on falling while the validation loss turns up. More text helps"
        " most; early stopping keeps the parameters from before the turn; regularisation, such as"
        " weight decay or dropout, keeps the model from fitting the training text too closely.",
    ),
)
