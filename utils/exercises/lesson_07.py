"""Exercises of lesson 7, GPT-2 as a whole."""

import numpy as np

from utils.exercises import Answers, exercise

_RNG = np.random.default_rng(7)
STATES, TABLE = _RNG.normal(size=(2, 3, 4)), 2 * _RNG.normal(size=(5, 4))


@exercise(
    cases=[(STATES, TABLE), (STATES[:1, :, :2], TABLE[:, :2])],
    hints=[
        "The logit of a token is the dot product of x with that token's row.",
        "For all at once: `x @ token_table.T`.",
    ],
)
def tied_logits(x, token_table):
    return x @ token_table.T  # (batch, time, width) @ (width, vocabulary)


@tied_logits.mistake("those are probabilities: the model returns logits, without a softmax.")
def _(x, token_table):
    exponentials = np.exp(x @ token_table.T)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@tied_logits.mistake("you divided by the lengths; it is the plain dot product.")
def _(x, token_table):
    lengths = np.linalg.norm(x, axis=-1)[..., None] * np.linalg.norm(token_table, axis=-1)
    return x @ token_table.T / lengths


@tied_logits.mistake("dividing by the root of the width belongs to attention, not to the output.")
def _(x, token_table):
    return x @ token_table.T / np.sqrt(x.shape[-1])


@tied_logits.mistake("those are the logits of the last position alone; every position has its own.")
def _(x, token_table):
    return x[:, -1] @ token_table.T


@exercise(
    cases=[(np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]),), (np.array([[7, 8, 9]]),)],
    hints=[
        "The target of the first token is the second one. What is the target of the last?",
        "`ids[:, :-1]` are the inputs; the targets are the same, one to the right: `ids[:, 1:]`.",
    ],
)
def inputs_and_targets(ids):
    return ids[:, :-1], ids[:, 1:]


@inputs_and_targets.mistake("the targets are not shifted: this model will repeat its input.")
def _(ids):
    return ids[:, :-1], ids[:, :-1]


@inputs_and_targets.mistake("that is backwards: it would learn to predict the token before.")
def _(ids):
    return ids[:, 1:], ids[:, :-1]


@inputs_and_targets.mistake("np.roll puts the first token behind the last one: cut, do not roll.")
def _(ids):
    return ids, np.roll(ids, -1, axis=1)


@inputs_and_targets.mistake("you shifted from row to row: time is the second axis.")
def _(ids):
    return ids[:-1], ids[1:]


@exercise(
    cases=[(10, 16, 8, 2), (50257, 1024, 768, 12)],
    hints=[
        "Start from the formula of the lesson. Which array is there in addition, of which shape?",
        "(2·V + T)·d + L·(12·d² + 13·d) + 2·d",
    ],
)
def untied_parameters(vocabulary_size, context, width, layers):
    tables = (2 * vocabulary_size + context) * width
    return tables + layers * (12 * width**2 + 13 * width) + 2 * width


def _tied(vocabulary_size, context, width, layers):
    tables = (vocabulary_size + context) * width
    return tables + layers * (12 * width**2 + 13 * width) + 2 * width


@untied_parameters.mistake("that is the tied model: the output's own table is missing.")
def _(vocabulary_size, context, width, layers):
    return _tied(vocabulary_size, context, width, layers)


@untied_parameters.mistake("the output predicts no positions: one table of them is enough.")
def _(vocabulary_size, context, width, layers):
    return _tied(vocabulary_size, context, width, layers) + (vocabulary_size + context) * width


@untied_parameters.mistake("the last normalization is missing: a gain and a bias.")
def _(vocabulary_size, context, width, layers):
    return _tied(vocabulary_size, context, width, layers) + (vocabulary_size - 2) * width


@untied_parameters.mistake("those are the weight matrices alone: add 13·d for biases and norms.")
def _(vocabulary_size, context, width, layers):
    tied = _tied(vocabulary_size, context, width, layers)
    return tied + (vocabulary_size - 13 * layers) * width


@exercise(
    cases=[
        (np.arange(4 * 12.0).reshape(4, 12), 2),
        (np.arange(6 * 18.0).reshape(6, 18), 3),
    ],
    hints=[
        "The three are side by side: np.split(kernel, 3, axis=1) separates them.",
        "Then each needs only a reshape to (width, num_heads, width // num_heads); np.stack them.",
    ],
)
def split_kernel(kernel, num_heads):
    width = len(kernel)
    parts = np.split(kernel, 3, axis=1)  # three of (width, width)
    return np.stack([part.reshape(width, num_heads, width // num_heads) for part in parts])


@split_kernel.mistake("a reshape alone mixes the three: split the columns first.")
def _(kernel, num_heads):
    width = len(kernel)
    return kernel.reshape(3, width, num_heads, width // num_heads)


@split_kernel.mistake("you transposed the matrices: GPT-2 stores (inputs, outputs), as Keras does.")
def _(kernel, num_heads):
    width = len(kernel)
    parts = np.split(kernel, 3, axis=1)
    return np.stack([part.T.reshape(width, num_heads, width // num_heads) for part in parts])


@split_kernel.mistake("a head is a run of neighbouring columns: head_dim is the last axis.")
def _(kernel, num_heads):
    width = len(kernel)
    parts = np.split(kernel, 3, axis=1)
    shape = width, width // num_heads, num_heads
    return np.stack([part.reshape(shape).swapaxes(1, 2) for part in parts])


@split_kernel.mistake("the last three axes are (width, heads, head_dim), in this order.")
def _(kernel, num_heads):
    return split_kernel.answer(kernel, num_heads).transpose(0, 2, 1, 3)


@exercise(
    hints=[
        "Knowing nothing, every token has the probability 1/50257.",
        "−ln(1/50257), which is np.log(50257).",
    ],
)
def first_loss_of_gpt2():
    return np.log(50257)


@first_loss_of_gpt2.mistake("that is in bits; our losses are in nats: np.log, not np.log2.")
def _():
    return np.log2(50257)


@first_loss_of_gpt2.mistake("that is the logarithm to base 10: np.log, not np.log10.")
def _():
    return np.log10(50257)


@first_loss_of_gpt2.mistake("that is the perplexity; the loss is its logarithm.")
def _():
    return 50257


@first_loss_of_gpt2.mistake("a loss is −log p, and p is below 1: the sign is the other one.")
def _():
    return -np.log(50257)


answer = Answers(
    (
        "One table, used twice",
        "The word itself. Among rows of about the same length none has a larger dot product with a"
        " word's row than that row itself. The blocks have to turn the vector of each token into"
        " the vector of the next one.",
    ),
    (
        "A tale goes through",
        "Its context window is 256: the table of position embeddings has that many rows, so there"
        " are no embeddings for later positions.",
    ),
    (
        "First test: the first loss",
        "ln V, because a model that knows nothing gives every one of the V tokens the same"
        " probability. A value far from it shows that something is wrong, for example that the"
        " logits are too large at the start.",
    ),
    (
        "Second test: can it learn at all?",
        "It is a short training that must succeed, so a model that fails has a fault. But with"
        " targets that are not shifted the loss falls just as low; only the generated text shows"
        " that this model repeats its input.",
    ),
    (
        "A model as a folder",
        "The config with the sizes, the files of the tokenizer, and the arrays under their"
        " published names and shapes. The output needs no array, since it is the token table.",
    ),
)
