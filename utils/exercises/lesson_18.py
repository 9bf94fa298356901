"""Exercises of lesson 18, compression."""

import numpy as np

from utils.exercises import Answers, exercise

KERNEL = np.array([[0.7, -0.32, 0.05, 0.49], [-2.0, 0.3, 1.1, 0.0], [0.02, -0.01, 0.03, 0.016]])
TEACHER = np.array([0.6, 0.3, 0.1, 0.0])
LOGITS = np.array([2.0, 0.5, -1.0, 0.3])


@exercise(
    cases=[(KERNEL, 8), (KERNEL, 4), (KERNEL, 3), (KERNEL[:, :3], 2)],
    hints=[
        "The largest whole number is 2 ** (bits - 1) - 1.",
        "scales = np.abs(kernel).max(axis=1, keepdims=True) / largest",
        "np.rint(kernel / scales) are the whole numbers; multiply them by the scales.",
    ],
)
def per_channel(kernel, bits):
    largest = 2 ** (bits - 1) - 1
    scales = np.abs(kernel).max(axis=1, keepdims=True) / largest
    return np.rint(kernel / scales) * scales


@per_channel.mistake("that is one scale for the whole matrix; each row has its own.")
def _(kernel, bits):
    scale = np.abs(kernel).max() / (2 ** (bits - 1) - 1)
    return np.rint(kernel / scale) * scale


@per_channel.mistake("those are the scales of the inputs: an output is a row here, so axis=1.")
def _(kernel, bits):
    scales = np.abs(kernel).max(axis=0, keepdims=True) / (2 ** (bits - 1) - 1)
    return np.rint(kernel / scales) * scales


@per_channel.mistake("those are the whole numbers; multiply them by the scales.")
def _(kernel, bits):
    scales = np.abs(kernel).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    return np.rint(kernel / scales)


@per_channel.mistake("take the largest absolute value: a row may have a larger negative weight.")
def _(kernel, bits):
    scales = kernel.max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    return np.rint(kernel / scales) * scales


@per_channel.mistake("astype(int) cuts off; np.rint takes the nearest whole number.")
def _(kernel, bits):
    scales = np.abs(kernel).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    return (kernel / scales).astype(int) * scales


@exercise(
    cases=[(128, 512, 4, 32), (768, 768, 8, 768), (3072, 768, 3, 64), (10, 32, 2, 32)],
    hints=[
        "The numbers take outputs * inputs * bits / 8 bytes.",
        "There are outputs * inputs / group scales, of 2 bytes each.",
    ],
)
def stored_bytes(outputs, inputs, bits, group):
    numbers = outputs * inputs
    return numbers * bits // 8 + numbers // group * 2


@stored_bytes.mistake("the scales are missing: each group has one, of 2 bytes.")
def _(outputs, inputs, bits, group):
    return outputs * inputs * bits // 8


@stored_bytes.mistake("those are bits, not bytes.")
def _(outputs, inputs, bits, group):
    numbers = outputs * inputs
    return numbers * bits + numbers // group * 16


@stored_bytes.mistake("a scale of 16 bits has 2 bytes; yours have one.")
def _(outputs, inputs, bits, group):
    numbers = outputs * inputs
    return numbers * bits // 8 + numbers // group


@stored_bytes.mistake("every output has groups of its own: there are more scales.")
def _(outputs, inputs, bits, group):
    return outputs * inputs * bits // 8 + inputs // group * 2


@exercise(
    cases=[(0.6, 230), (0.5, 230), (0.9, 100), (1.0, 50), (0.01, 20)],
    hints=[
        "(1 - error) ** tokens is the share of valid stories.",
        "Solve for the error: take the root, valid ** (1 / tokens).",
    ],
)
def error_of_a_token(valid, tokens):
    return 1 - valid ** (1 / tokens)


@error_of_a_token.mistake("that is the probability that a token is right; the rest is the error.")
def _(valid, tokens):
    return valid ** (1 / tokens)


@error_of_a_token.mistake("dividing works for small shares only: probabilities are multiplied.")
def _(valid, tokens):
    return (1 - valid) / tokens


@error_of_a_token.mistake("that is a power; the root is wanted, valid ** (1 / tokens).")
def _(valid, tokens):
    return 1 - valid**tokens


@exercise(
    cases=[(TEACHER, LOGITS), (np.array([0.0, 1.0, 0.0, 0.0]), LOGITS), (TEACHER, 100 * LOGITS)],
    hints=[
        "Cross-entropy: minus the sum of teacher times log of the student's probabilities.",
        "log p = logits - log(sum(exp(logits))); subtract the largest logit first.",
    ],
)
def distillation_loss(teacher, logits):
    shifted = logits - logits.max()
    log_p = shifted - np.log(np.sum(np.exp(shifted)))
    return -np.sum(teacher * log_p)


@distillation_loss.mistake("that takes the teacher's likeliest token only: use all of them.")
def _(teacher, logits):
    shifted = logits - logits.max()
    return -(shifted - np.log(np.sum(np.exp(shifted))))[np.argmax(teacher)]


@distillation_loss.mistake("the logits are no log-probabilities yet: normalise them.")
def _(teacher, logits):
    return -np.sum(teacher * logits)


@distillation_loss.mistake("the sum is right, but a loss is minus that sum.")
def _(teacher, logits):
    shifted = logits - logits.max()
    return np.sum(teacher * (shifted - np.log(np.sum(np.exp(shifted)))))


@distillation_loss.mistake("take the sum over the vocabulary, not the mean.")
def _(teacher, logits):
    shifted = logits - logits.max()
    return -np.mean(teacher * (shifted - np.log(np.sum(np.exp(shifted)))))


answer = Answers(
    (
        "Whole numbers and a scale",
        "The largest weight decides the step of all that share its scale. If it is far larger than"
        " the others, they fall onto few levels or become zero. A group limits the damage to the"
        " weights of one group.",
    ),
    (
        "Three prices",
        "The loss is a mean over tokens, but a story is valid only if all of its tokens are right."
        " A probability of a mistake that is small for one token is taken to the power of some two"
        " hundred tokens.",
    ),
    (
        "Rounding that looks at the inputs",
        "The error of the outputs, for inputs like those of the calibration data. Where inputs"
        " resemble each other, the error of one weight can be made up for by another, which is then"
        " rounded in the other direction than by itself.",
    ),
    (
        "A smaller student: distillation",
        "What else could have followed, and how likely it was. The text shows one continuation,"
        " chosen by chance; the teacher shows the distribution, so the gradient is less noisy.",
    ),
    (
        "Eight bits at the size of GPT-2",
        "To generate a token, the large model has to fetch all its weights from memory, and int8"
        " has a quarter of the bytes. In the small one the blocks take little of the time, so there"
        " is little to gain; the calls from Python probably cost Int8GPT2 more than that.",
    ),
)
