"""Ways to adapt a GPT-2 with few parameters, by hand: LoRA, DoRA, AdaLoRA, BitFit, IA³, prompts.

    method = lora(rank=8)
    parameters = method.start(weights, rng)            # what is trained, arrays by name
    changed = method.adapt(weights, parameters)        # a GPT-2 with these parameters in it
    logits = adapted_logits(changed, ids, num_heads)

Each method is two functions: what is trained and how it begins, and how it enters the model. The
model is that of `utils.generation.plain_gpt2`, whose weight matrices are (outputs, inputs).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from utils.generation.plain_gpt2 import Block, Weights, gelu, layer_norm

ATTENTION, FEED_FORWARD = ("query", "key", "value", "output"), ("up", "down")
ALL = ATTENTION + FEED_FORWARD
Arrays = dict[str, tf.Tensor]


class Adapted(NamedTuple):
    """A GPT-2 as a method has changed it.

    Attributes:
        weights: all its parameters.
        prompt: vectors in front of the embeddings of the text, (vectors, width); or None.
        prefixes: keys and values in front of those of the text, one pair a layer,
            (vectors, width) each; or None.
    """

    weights: Weights
    prompt: tf.Tensor | None = None
    prefixes: Sequence[tuple[tf.Tensor, tf.Tensor]] | None = None


class Method(NamedTuple):
    """A way to adapt a model.

    Attributes:
        start: a function (weights, rng) -> the parameters that are trained, by name, as they begin.
        adapt: a function (weights, parameters) -> Adapted.
        budget: how many singular values AdaLoRA keeps in the end; None for all others.
    """

    start: Callable[[Weights, np.random.Generator], dict[str, np.ndarray]]
    adapt: Callable[[Weights, Arrays], Adapted]
    budget: int | None = None


# ---- the model -----------------------------------------------------------------------------------


def adapted_logits(
    model: Adapted,
    ids: tf.Tensor,
    num_heads: int,
    positions: tf.Tensor | None = None,
    segments: tf.Tensor | None = None,
) -> tf.Tensor:
    """The logits of whole texts, (batch, time, vocabulary).

    Args:
        model: the model.
        ids: token ids, (batch, time).
        num_heads: its attention heads in each block.
        positions: the position of each id in its own text, (batch, time), where a row holds several
            texts.
        segments: the number of its text, (batch, time); 0 is a beginning that all texts share. Not
            for a model with a prompt.
    """
    weights = model.weights
    batch, time = ids.shape
    if positions is None:
        positions = tf.range(time)
    x = tf.gather(weights.token_embedding, ids) + tf.gather(weights.position_embedding, positions)
    in_view = None
    if segments is not None:  # (batch, queries, keys)
        of_keys = segments[:, None, :]
        in_view = (of_keys == segments[:, :, None]) | (of_keys == 0)
    if model.prompt is not None:  # the text keeps its positions; the prompt has none
        x = tf.concat([tf.repeat(model.prompt[None], batch, axis=0), x], axis=1)
    for number, block in enumerate(weights.blocks):
        prefix = model.prefixes[number] if model.prefixes else None
        inner = layer_norm(x, block.ln_1_gamma, block.ln_1_beta)
        x += _attention(inner, block, num_heads, prefix, in_view)
        inner = layer_norm(x, block.ln_2_gamma, block.ln_2_beta)
        inner = gelu(tf.matmul(inner, block.mlp_up_kernel, transpose_b=True) + block.mlp_up_bias)
        x += tf.matmul(inner, block.mlp_down_kernel, transpose_b=True) + block.mlp_down_bias
    x = layer_norm(x, weights.ln_f_gamma, weights.ln_f_beta)[:, -time:]
    return tf.matmul(x, weights.token_embedding, transpose_b=True)


def _attention(x, block, num_heads, prefix, in_view):
    """Causal attention within x, (batch, time, width); every position sees the prefix, too.

    `in_view`, (batch, time, time), says which keys of x a query may see besides; None for all.
    """
    batch, time, width = x.shape
    qkv = tf.matmul(x, block.qkv_kernel, transpose_b=True) + block.qkv_bias
    query, key, value = tf.split(qkv, 3, axis=-1)
    more = 0
    if prefix is not None:
        more = prefix[0].shape[0]
        key, value = (
            tf.concat([tf.repeat(new[None], batch, axis=0), old], axis=1)
            for new, old in zip(prefix, (key, value), strict=True)
        )

    def by_heads(array):  # (batch, heads, length, head_dim)
        parts = tf.reshape(array, (batch, -1, num_heads, width // num_heads))
        return tf.transpose(parts, (0, 2, 1, 3))

    query, key, value = map(by_heads, (query, key, value))
    scores = tf.matmul(query, key, transpose_b=True) / math.sqrt(width // num_heads)
    seen = tf.range(time + more) <= tf.range(time)[:, None] + more  # (time, more + time)
    if in_view is not None:
        seen &= tf.pad(in_view, [[0, 0], [0, 0], [more, 0]], constant_values=True)[:, None]
    attention_weights = tf.nn.softmax(tf.where(seen, scores, -math.inf))
    mixed = tf.transpose(tf.matmul(attention_weights, value), (0, 2, 1, 3))
    mixed = tf.reshape(mixed, (batch, time, width))
    return tf.matmul(mixed, block.out_kernel, transpose_b=True) + block.out_bias


def matrices(block: Block) -> dict[str, tf.Tensor]:
    """The six weight matrices of a block by name, (outputs, inputs) each."""
    query, key, value = tf.split(block.qkv_kernel, 3, axis=0)
    others = block.out_kernel, block.mlp_up_kernel, block.mlp_down_kernel
    return dict(zip(ALL, (query, key, value, *others), strict=True))


def with_matrices(block: Block, new: dict[str, tf.Tensor]) -> Block:
    """A block with some of its weight matrices replaced."""
    every = matrices(block) | new
    return block._replace(
        qkv_kernel=tf.concat([every["query"], every["key"], every["value"]], axis=0),
        out_kernel=every["output"],
        mlp_up_kernel=every["up"],
        mlp_down_kernel=every["down"],
    )


def _change(weights: Weights, targets: Sequence[str], change: Callable) -> Adapted:
    """Replace each target by change("3.query", its matrix)."""
    blocks = []
    for number, block in enumerate(weights.blocks):
        old = matrices(block)
        new = {name: change(f"{number}.{name}", old[name]) for name in targets}
        blocks.append(with_matrices(block, new))
    return Adapted(weights._replace(blocks=blocks))


def _each(weights: Weights, targets: Sequence[str], make: Callable) -> dict[str, np.ndarray]:
    """What make("3.query", its matrix) returns for each target, all together."""
    found: dict[str, np.ndarray] = {}
    for number, block in enumerate(weights.blocks):
        old = matrices(block)
        for name in targets:
            found |= make(f"{number}.{name}", old[name].numpy())
    return found


# ---- the methods ---------------------------------------------------------------------------------


def full(tokens: bool = True) -> Method:
    """Full fine-tuning: everything is trained.

    Args:
        tokens: whether the token embeddings are trained, too.
    """

    def start(weights, rng):
        found = {str(i): array.numpy() for i, array in enumerate(tf.nest.flatten(weights))}
        if not tokens:
            del found["0"]  # the token embeddings come first in `Weights`
        return found

    def adapt(weights, parameters):
        arrays = tf.nest.flatten(weights)
        for number, array in parameters.items():
            arrays[int(number)] = array
        return Adapted(tf.nest.pack_sequence_as(weights, arrays))

    return Method(start, adapt)


def with_tokens(method: Method, rows: int | None = None) -> Method:
    """The same method, and token embeddings are trained as they are besides.

    Args:
        method: the method that trains the rest.
        rows: the number of last rows, the newest tokens; None for the whole table.
    """
    first = 0 if rows is None else -rows

    def start(weights, rng):
        return method.start(weights, rng) | {"tokens": weights.token_embedding[first:].numpy()}

    def adapt(weights, parameters):
        tokens = parameters["tokens"]
        table = tf.concat([weights.token_embedding[: -tokens.shape[0]], tokens], axis=0)
        return method.adapt(weights._replace(token_embedding=table), parameters)

    return Method(start, adapt, method.budget)


def lora(rank: int, targets: Sequence[str] = ALL) -> Method:
    """W + B A with A random and B zero (Hu and others, 2021); alpha is the rank, a factor of 1."""

    def start(weights, rng):
        return _each(weights, targets, lambda name, W: _pair(name, W, rank, rng))

    def adapt(weights, parameters):
        return _change(weights, targets, lambda name, W: W + _product(name, parameters))

    return Method(start, adapt)


def _pair(name, W, rank, rng):
    limit = math.sqrt(6 / W.shape[1])  # He's uniform numbers, as Keras takes them
    A = rng.uniform(-limit, limit, (rank, W.shape[1]))
    return {f"{name}.A": A, f"{name}.B": np.zeros((len(W), rank))}


def _product(name, parameters):
    return tf.matmul(parameters[f"{name}.B"], parameters[f"{name}.A"])


def dora(rank: int, targets: Sequence[str] = ALL) -> Method:
    """LoRA for the direction of each row, a number for its length (Liu and others, 2024)."""

    def start(weights, rng):
        lengths = _each(
            weights,
            targets,
            lambda name, W: {f"{name}.length": np.linalg.norm(W, axis=1, keepdims=True)},
        )
        return lora(rank, targets).start(weights, rng) | lengths

    def adapt(weights, parameters):
        def change(name, W):
            changed = W + _product(name, parameters)
            length = tf.norm(changed, axis=1, keepdims=True)
            return parameters[f"{name}.length"] * changed / length

        return _change(weights, targets, change)

    return Method(start, adapt)


def adalora(rank: int, targets: Sequence[str] = ALL) -> Method:
    """The idea of AdaLoRA: W + P diag(s) Q; begin with twice the rank, keep the important half.

    Zhang and others, 2023, without their penalty for P and Q that are not orthogonal. Which s are
    kept is a decision over all matrices together; see `keep_important`.
    """

    def start(weights, rng):
        def make(name, W):
            columns, rows = 2 * rank, W.shape[1]
            return {
                f"{name}.P": rng.normal(0, 1 / math.sqrt(len(W)), (len(W), columns)),
                f"{name}.s": np.zeros(columns),
                f"{name}.Q": rng.normal(0, 1 / math.sqrt(rows), (columns, rows)),
            }

        return _each(weights, targets, make)

    def adapt(weights, parameters):
        def change(name, W):
            P, s, Q = (parameters[f"{name}.{part}"] for part in "PsQ")
            return W + tf.matmul(P * s, Q)

        return _change(weights, targets, change)

    return Method(start, adapt, budget=rank)


def keep_important(
    values: dict[str, np.ndarray], gradients: dict[str, np.ndarray], budget: int
) -> dict[str, np.ndarray]:
    """AdaLoRA's decision: 1 for each s that is kept, 0 for the others.

    Important is what changes the loss: |s times its gradient|.

    Args:
        values: the numbers s of each matrix, by name.
        gradients: the gradients of the loss with respect to them.
        budget: how many are kept for each matrix on average.
    """
    importance = {name: np.abs(values[name] * gradients[name]) for name in values}
    all_of_them = np.sort(np.concatenate(list(importance.values())))[::-1]
    last = all_of_them[budget * len(values) - 1]
    return {name: (one >= last).astype("float32") for name, one in importance.items()}


BIASES = ("qkv_bias", "out_bias", "ln_1_beta", "mlp_up_bias", "mlp_down_bias", "ln_2_beta")


def bitfit() -> Method:
    """Only the biases are trained (Ben Zaken and others, 2021)."""

    def start(weights, rng):
        found = {
            f"{number}.{name}": getattr(block, name).numpy()
            for number, block in enumerate(weights.blocks)
            for name in BIASES
        }
        return found | {"ln_f_beta": weights.ln_f_beta.numpy()}

    def adapt(weights, parameters):
        blocks = [
            block._replace(**{name: parameters[f"{number}.{name}"] for name in BIASES})
            for number, block in enumerate(weights.blocks)
        ]
        return Adapted(weights._replace(blocks=blocks, ln_f_beta=parameters["ln_f_beta"]))

    return Method(start, adapt)


def ia3() -> Method:
    """Keys, values and hidden units are stretched, each by a number (Liu and others, 2022)."""

    def start(weights, rng):
        width, inner = weights.blocks[0].mlp_down_kernel.shape
        sizes = {"key": width, "value": width, "hidden": inner}
        return {
            f"{number}.{name}": np.ones(size)
            for number in range(len(weights.blocks))
            for name, size in sizes.items()
        }

    def adapt(weights, parameters):
        blocks = []
        for number, block in enumerate(weights.blocks):
            key, value, hidden = (
                parameters[f"{number}.{name}"] for name in ("key", "value", "hidden")
            )
            rows = tf.concat([tf.ones_like(key), key, value], axis=0)  # of the query: unchanged
            blocks.append(
                block._replace(
                    qkv_kernel=rows[:, None] * block.qkv_kernel,
                    qkv_bias=rows * block.qkv_bias,
                    mlp_down_kernel=block.mlp_down_kernel * hidden,
                )
            )
        return Adapted(weights._replace(blocks=blocks))

    return Method(start, adapt)


def prompt_tuning(vectors: int) -> Method:
    """Vectors in front of the text (Lester and others, 2021); they begin as tokens do."""

    def start(weights, rng):
        return {"prompt": _some_tokens(weights, vectors, rng)}

    return Method(start, lambda weights, found: Adapted(weights, prompt=found["prompt"]))


def _some_tokens(weights, number, rng):
    table = weights.token_embedding.numpy()
    return table[rng.choice(len(table), number, replace=False)]


def prefix_tuning(vectors: int) -> Method:
    """Keys and values in front of the text, in every layer (Li and Liang, 2021).

    They begin as the keys and values of some tokens.
    """

    def start(weights, rng):
        found = {}
        for number, block in enumerate(weights.blocks):
            x = layer_norm(_some_tokens(weights, vectors, rng), block.ln_1_gamma, block.ln_1_beta)
            qkv = tf.matmul(x, block.qkv_kernel, transpose_b=True) + block.qkv_bias
            _, key, value = np.split(qkv.numpy(), 3, axis=-1)
            found |= {f"{number}.key": key, f"{number}.value": value}
        return found

    def adapt(weights, parameters):
        pairs = [
            (parameters[f"{number}.key"], parameters[f"{number}.value"])
            for number in range(len(weights.blocks))
        ]
        return Adapted(weights, prefixes=pairs)

    return Method(start, adapt)


METHODS: dict[str, Callable[[], Method]] = {
    "full": full,
    "full, tokens frozen": lambda: full(tokens=False),
    "LoRA r=4": lambda: lora(4),
    "LoRA r=8": lambda: lora(8),
    "LoRA r=8, tokens trained": lambda: with_tokens(lora(8)),
    "LoRA r=8, roles trained": lambda: with_tokens(lora(8), rows=3),
    "LoRA r=16": lambda: lora(16),
    "LoRA r=16, tokens trained": lambda: with_tokens(lora(16)),
    "LoRA r=32": lambda: lora(32),
    "LoRA r=1": lambda: lora(1),
    "LoRA r=4 query, value": lambda: lora(4, ("query", "value")),
    "LoRA r=4 feed-forward": lambda: lora(4, FEED_FORWARD),
    "BitFit": bitfit,
    "IA3": ia3,
    "DoRA r=4": lambda: dora(4),
    "prompt tuning": lambda: prompt_tuning(8),
    "prefix tuning": lambda: prefix_tuning(8),
    "AdaLoRA r=4": lambda: adalora(4),
}
