"""Exercises of lesson 15, the modern block."""

import numpy as np

from utils.exercises import Answers, exercise

TOKENS = np.array([[1.0, -2.0, 3.0, 6.0], [0.5, 0.5, -0.5, 0.0]])
VECTOR = np.array([1.0, -0.5, 0.3, 2.0, 0.7, -1.2])


@exercise(
    cases=[
        (TOKENS, np.ones(4), 1e-5),
        (TOKENS, np.array([1.0, 2.0, 0.5, -1.0]), 1e-5),
        (0.01 * TOKENS, np.ones(4), 1e-4),
    ],
    hints=[
        "The mean of the squares, for each token: np.mean(x**2, axis=-1, keepdims=True).",
        "epsilon is added to the mean square, under the root.",
    ],
)
def rms_norm(x, scale, epsilon):
    mean_square = np.mean(x**2, axis=-1, keepdims=True)
    return x / np.sqrt(mean_square + epsilon) * scale


@rms_norm.mistake("that is layer normalization: RMSNorm does not subtract the mean.")
def _(x, scale, epsilon):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + epsilon) * scale


@rms_norm.mistake("each token has its own mean, over the last axis; yours is of the whole array.")
def _(x, scale, epsilon):
    return x / np.sqrt(np.mean(x**2) + epsilon) * scale


@rms_norm.mistake("the sum of the squares grows with the number of features; take the mean.")
def _(x, scale, epsilon):
    return x / np.sqrt(np.sum(x**2, axis=-1, keepdims=True) + epsilon) * scale


@rms_norm.mistake("epsilon belongs under the root; for small x that is another result.")
def _(x, scale, epsilon):
    return x / (np.sqrt(np.mean(x**2, axis=-1, keepdims=True)) + epsilon) * scale


@exercise(
    cases=[
        (VECTOR, 0, 10_000.0),
        (VECTOR, 1, 10_000.0),
        (VECTOR, 7, 100.0),
        (VECTOR[:4], 20, 10_000.0),
    ],
    hints=[
        "half = len(vector) // 2; pair i is (vector[i], vector[i + half]).",
        "The angles are position * wavelength ** -(np.arange(half) / half).",
        "(left * cos - right * sin, right * cos + left * sin), joined by np.concatenate.",
    ],
)
def rotate(vector, position, wavelength):
    half = len(vector) // 2
    angles = position * wavelength ** -(np.arange(half) / half)
    left, right = vector[:half], vector[half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([left * cos - right * sin, right * cos + left * sin])


@rotate.mistake("you pair neighbours, as the paper does; Keras pairs i with i + half.")
def _(vector, position, wavelength):
    half = len(vector) // 2
    angles = position * wavelength ** -(np.arange(half) / half)
    left, right = vector[0::2], vector[1::2]
    cos, sin = np.cos(angles), np.sin(angles)
    pairs = [left * cos - right * sin, right * cos + left * sin]
    return np.stack(pairs, axis=-1).reshape(-1)


@rotate.mistake("you turn the other way: it is left · cos − right · sin.")
def _(vector, position, wavelength):
    half = len(vector) // 2
    angles = position * wavelength ** -(np.arange(half) / half)
    left, right = vector[:half], vector[half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([left * cos + right * sin, right * cos - left * sin])


@rotate.mistake("all your pairs turn at the same speed; pair i turns at wavelength^(−i / half).")
def _(vector, position, wavelength):
    half = len(vector) // 2
    left, right = vector[:half], vector[half:]
    cos, sin = np.cos(position), np.sin(position)
    return np.concatenate([left * cos - right * sin, right * cos + left * sin])


@rotate.mistake("the exponent is i / half; with i / len(vector) the slow pairs are too fast.")
def _(vector, position, wavelength):
    half = len(vector) // 2
    angles = position * wavelength ** -(np.arange(half) / len(vector))
    left, right = vector[:half], vector[half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([left * cos - right * sin, right * cos + left * sin])


@exercise(
    cases=[(128, 512), (576, 2304), (768, 3072), (100, 300)],
    hints=[
        "Without biases GPT-2's network has 2 · width · hidden parameters. And one with a gate?",
        "3 · width · new = 2 · width · hidden; use round().",
    ],
)
def gated_width(width, hidden):
    return round(2 * hidden / 3)


@gated_width.mistake("with as many hidden units as before it has half as many parameters again.")
def _(width, hidden):
    return hidden


@gated_width.mistake("half is too few: the matrix that leads back is not doubled.")
def _(width, hidden):
    return hidden // 2


@exercise(
    cases=[(12, 12, 12, 64, 1024), (32, 32, 8, 128, 8192), (30, 9, 3, 64, 100)],
    hints=[
        "For each token, in each block: a key and a value for each key head.",
        "Two bytes for a number of 16 bits. The number of query heads does not count.",
    ],
)
def cache_bytes(layers, query_heads, kv_heads, head_dim, tokens):
    return 2 * layers * kv_heads * head_dim * tokens * 2


@cache_bytes.mistake("queries are not kept: count the key heads, not the query heads.")
def _(layers, query_heads, kv_heads, head_dim, tokens):
    return 2 * layers * query_heads * head_dim * tokens * 2


@cache_bytes.mistake("that is half: keys and values both count, and each number has two bytes.")
def _(layers, query_heads, kv_heads, head_dim, tokens):
    return 2 * layers * kv_heads * head_dim * tokens


@cache_bytes.mistake("a number of 16 bits has two bytes; yours have four.")
def _(layers, query_heads, kv_heads, head_dim, tokens):
    return 2 * layers * kv_heads * head_dim * tokens * 4


answer = Answers(
    (
        "RMSNorm",
        "It does not subtract the mean, and it has no bias. The paper assumes that what helps is to"
        " take away the size of the features; dividing by the root of the mean square does that.",
    ),
    (
        "Rotary positions",
        "Query and key are turned by angles that grow with their positions. A dot product depends"
        " on the angle between the two, so only the difference of the positions is left.",
    ),
    (
        "SwiGLU: a feed-forward network with a gate",
        "It has three matrices instead of two. For the same number of parameters its hidden layer"
        " must be narrower, two thirds as wide.",
    ),
    (
        "Grouped-query attention",
        "It saves memory for the cached keys and values, and the time to read them at every new"
        " token. The scores are as many as before, because every query head still has its own.",
    ),
    (
        "What does each change bring?",
        "That the runs do not show a difference. It may be zero, or anything inside the interval;"
        " more seeds would make the interval narrower.",
    ),
)
