"""Exercises of lesson 16, a real model."""

import numpy as np

from utils.exercises import Answers, exercise

BLOCKS = [
    np.array([-1.0, -0.4, 0.1, 0.26, 0.5]),
    np.array([0.0, 1.0, 2.0, 3.0, 10.0]),
    np.array([2.0, -2.0, 0.3, -0.9]),
]
PAIRS = [np.array([0x21, 0x43], "uint8"), np.array([0xF0, 0x0A, 0x7C], "uint8")]
HEADS = [(np.arange(1.0, 5.0), 0.5), (np.array([1.0, 0.0, 0.0, 2.0, -1.0, 3.0]), 1.0)]


@exercise(
    cases=[(pairs,) for pairs in PAIRS],
    hints=[
        "The lower half of a byte is `byte & 15`, the upper half `byte >> 4`.",
        "First the lower halves of all bytes, then the upper halves: np.concatenate.",
    ],
)
def unpack_pairs(pairs):
    return np.concatenate([pairs & 15, pairs >> 4])


@unpack_pairs.mistake("the two halves of a byte are no neighbours: first come all lower halves.")
def _(pairs):
    return np.stack([pairs & 15, pairs >> 4], axis=1).ravel()


@unpack_pairs.mistake("the lower halves come first.")
def _(pairs):
    return np.concatenate([pairs >> 4, pairs & 15])


@unpack_pairs.mistake("`pairs & 240` keeps the upper half where it is: shift it down by 4 bits.")
def _(pairs):
    return np.concatenate([pairs & 15, pairs & 240])


@exercise(
    cases=[(block, bits) for block in BLOCKS for bits in (2, 4)],
    hints=[
        "With b bits there are 2**b levels, and so 2**b - 1 distances between them.",
        "Count from the smallest number in distances, round, and go back.",
    ],
)
def nearest_levels(block, bits):
    low = block.min()
    scale = (block.max() - low) / (2**bits - 1)
    return low + scale * np.round((block - low) / scale)


@nearest_levels.mistake("2**bits levels have one distance less between them: 2**bits - 1.")
def _(block, bits):
    low = block.min()
    scale = (block.max() - low) / 2**bits
    return low + scale * np.round((block - low) / scale)


@nearest_levels.mistake("those are the numbers of the levels; turn them back into weights.")
def _(block, bits):
    low = block.min()
    return np.round((block - low) / ((block.max() - low) / (2**bits - 1)))


@nearest_levels.mistake("round to the nearest level, not down.")
def _(block, bits):
    low = block.min()
    scale = (block.max() - low) / (2**bits - 1)
    return low + scale * np.floor((block - low) / scale)


@nearest_levels.mistake("the levels begin at the smallest number of the block, not at 0.")
def _(block, bits):
    scale = (block.max() - block.min()) / (2**bits - 1)
    return scale * np.round(block / scale)


@exercise(
    cases=HEADS,
    hints=[
        "head[0::2] are the first numbers of all pairs, head[1::2] the second ones.",
        "(a, b) becomes (a cos − b sin, a sin + b cos); write it back into the same positions.",
    ],
)
def turn_neighbours(head, angle):
    turned = np.empty_like(head)
    turned[0::2] = head[0::2] * np.cos(angle) - head[1::2] * np.sin(angle)
    turned[1::2] = head[0::2] * np.sin(angle) + head[1::2] * np.cos(angle)
    return turned


@turn_neighbours.mistake("that turns the first half against the second, Keras' layout.")
def _(head, angle):
    first, second = np.split(head, 2)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([first * cos - second * sin, first * sin + second * cos])


@turn_neighbours.mistake("that turns the other way round: look at the signs.")
def _(head, angle):
    turned = np.empty_like(head)
    turned[0::2] = head[0::2] * np.cos(angle) + head[1::2] * np.sin(angle)
    turned[1::2] = head[1::2] * np.cos(angle) - head[0::2] * np.sin(angle)
    return turned


@turn_neighbours.mistake("the pairs are right, but keep each number at its own position.")
def _(head, angle):
    first, second = head[0::2], head[1::2]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([first * cos - second * sin, first * sin + second * cos])


@exercise(
    cases=[
        ([("user", "Hi")],),
        ([("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Why?")],),
    ],
    hints=[
        "Each message is <|im_start|>, the role, a line break, the text, <|im_end|>, a line break.",
        "At the end the assistant's message begins, and nothing ends it: that is up to the model.",
    ],
)
def as_prompt(messages):
    lines = [f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in messages]
    return "".join([*lines, "<|im_start|>assistant\n"])


@as_prompt.mistake("begin the assistant's message at the end, or the model may go on as the user.")
def _(messages):
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in messages)


@as_prompt.mistake("there is a line break after each <|im_end|>.")
def _(messages):
    lines = [f"<|im_start|>{role}\n{text}<|im_end|>" for role, text in messages]
    return "".join([*lines, "<|im_start|>assistant\n"])


@as_prompt.mistake("do not end the assistant's message: the model is to write it.")
def _(messages):
    lines = [f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in messages]
    return "".join([*lines, "<|im_start|>assistant\n<|im_end|>\n"])


@as_prompt.mistake("a line break stands between the role and the text.")
def _(messages):
    lines = [f"<|im_start|>{role} {text}<|im_end|>\n" for role, text in messages]
    return "".join([*lines, "<|im_start|>assistant\n"])


@exercise(
    cases=[(1000, 30, 9, 3, 64), (8192, 32, 32, 8, 128)],
    hints=[
        "Only the heads of keys and values are kept, not those of the queries.",
        "tokens × layers × 2 (keys and values) × num_kv_heads × head_dim × 4 bytes",
    ],
)
def cache_bytes(tokens, layers, num_heads, num_kv_heads, head_dim):
    return tokens * layers * 2 * num_kv_heads * head_dim * 4


@cache_bytes.mistake("keys *and* values are kept: twice as much.")
def _(tokens, layers, num_heads, num_kv_heads, head_dim):
    return tokens * layers * num_kv_heads * head_dim * 4


@cache_bytes.mistake("queries are not kept; heads of keys and values are fewer.")
def _(tokens, layers, num_heads, num_kv_heads, head_dim):
    return tokens * layers * 2 * num_heads * head_dim * 4


@cache_bytes.mistake("each layer has a cache of its own.")
def _(tokens, layers, num_heads, num_kv_heads, head_dim):
    return tokens * 2 * num_kv_heads * head_dim * 4


@cache_bytes.mistake("that is how many numbers there are; each has four bytes.")
def _(tokens, layers, num_heads, num_kv_heads, head_dim):
    return tokens * layers * 2 * num_kv_heads * head_dim


answer = Answers(
    (
        "Four bits a number",
        "Sixteen levels have to cover the range of all numbers that share them. In a block of 32"
        " neighbours that range is small; in a whole matrix a single large number would set the"
        " levels so far apart that most others became equal.",
    ),
    (
        "Its tokenizer",
        "Because then a user could type the token that ends their message, and begin a message of"
        " the system. The model could not tell it from a real one. Only the program may set"
        " special tokens.",
    ),
    (
        "The same in Keras: the two layouts of RoPE",
        "RoPE turns pairs of numbers, and a head's numbers are paired as neighbours in one"
        " convention and as halves in the other. The rows of the two matrices decide which number"
        " ends up where, so permuting them moves each number to its partner. Values are not turned,"
        " and the scores do not change if queries and keys are permuted alike.",
    ),
    (
        "How fast, and what bounds it?",
        "Each token needs every weight once, so the time of a token is mostly the time in which the"
        " memory delivers all weights. Several tokens at once share each weight that was fetched.",
    ),
    (
        "Fewer bits: where language breaks",
        "With two bits each number has the choice among four levels, and the error of a weight is"
        " no longer small against the weight. The errors of thirty transformer blocks probably add"
        " up. What four bits cost would have to be measured against the original weights, which the"
        " file does not contain: rounding its matrices to sixteen levels finds the same levels"
        " again.",
    ),
)
