"""The small GPT-2 with the parts of current models, each behind a switch of its own.

Without switches this is GPT-2, with all of them Llama: the same logits as keras-nlp's backbones
with the same weights. Lesson 15 explains the parts and measures what each of them brings.
"""

from dataclasses import dataclass, replace

import keras
import keras_nlp
from keras import ops

from utils.errors import CourseError
from utils.models.sizes import ModelSize

EPSILON = 1e-5  # of every normalization


@dataclass(frozen=True)
class Parts:
    """What a model is made of; GPT-2's parts where nothing else is said.

    Attributes:
        rms_norm: RMSNorm in place of layer normalization.
        rotary: whether to turn queries and keys by their position, in place of a table of
            positions.
        swiglu: a gated feed-forward network, in place of one with GELU.
        group: query heads that share a key head and a value head.
        biases: whether all `Dense` layers have biases.
        experts: feed-forward networks in each block, of which a token passes through one.
        balance: weight of the loss that spreads tokens over the experts.
    """

    rms_norm: bool = False
    rotary: bool = False
    swiglu: bool = False
    group: int = 1
    biases: bool = True
    experts: int = 1
    balance: float = 0.01  # Fedus and others, 2021, section 2.2


GPT2 = Parts()
LLAMA = Parts(rms_norm=True, rotary=True, swiglu=True, group=2, biases=False)


def build_model(vocabulary_size: int, size: ModelSize, parts: Parts = GPT2) -> keras.Model:
    """A model with fresh weights from ids (batch, time) to logits (batch, time, vocabulary_size).

    Args:
        vocabulary_size: tokens in the vocabulary.
        size: layers, heads, width and so on; its dropout is not used.
        parts: the parts of the model.

    Raises:
        CourseError: if the heads cannot be put into groups.
    """
    if size.heads % parts.group:
        raise CourseError(
            f"{size.heads} query heads make no groups of {parts.group}: choose a divisor of"
            f" {size.heads}."
        )
    ids = keras.Input((None,), dtype="int32")
    table = keras.layers.ReversibleEmbedding(
        vocabulary_size, size.width, embeddings_initializer=normal(0.01), name="token_embedding"
    )
    x = table(ids)  # (batch, time, width), and so on until the logits
    if not parts.rotary:
        x += keras_nlp.layers.PositionEmbedding(size.context, normal(), name="position_embedding")(
            x
        )
    for number in range(size.layers):
        x = Block(size, parts, name=f"block_{number}")(x)
    return keras.Model(ids, table(normalization(parts, "last_norm")(x), reverse=True))


class Block(keras.layers.Layer):
    """A pre-norm transformer block: attention, then a feed-forward network, each added to x."""

    def __init__(self, size: ModelSize, parts: Parts, **kwargs):
        super().__init__(**kwargs)
        self.attention_norm = normalization(parts, "attention_norm")
        self.attention = Attention(size, parts, name="attention")
        self.network_norm = normalization(parts, "network_norm")
        network = Experts if parts.experts > 1 else FeedForward
        self.network = network(size, parts, name="network")

    def call(self, x):
        x = x + self.attention(self.attention_norm(x))  # (batch, time, width)
        return x + self.network(self.network_norm(x))


class Attention(keras.layers.Layer):
    """Causal self-attention, in which groups of query heads may share keys and values."""

    def __init__(self, size: ModelSize, parts: Parts, **kwargs):
        super().__init__(**kwargs)
        head_dim = size.width // size.heads

        def heads(count: int, name: str) -> keras.layers.Layer:
            return keras.layers.EinsumDense(
                "btf,fhd->bthd",
                (None, count, head_dim),
                bias_axes="hd" if parts.biases else None,
                kernel_initializer=normal(),
                name=name,
            )

        self.query = heads(size.heads, "query")
        self.key = heads(size.heads // parts.group, "key")
        self.value = heads(size.heads // parts.group, "value")
        self.projection = keras.layers.EinsumDense(
            "bthd,hdf->btf",
            (None, size.width),
            bias_axes="f" if parts.biases else None,
            kernel_initializer=normal(),
            name="projection",
        )
        self.rotate = keras_nlp.layers.RotaryEmbedding() if parts.rotary else None
        self.group = parts.group

    def call(self, x):
        queries, keys, values = self.query(x), self.key(x), self.value(x)  # (batch, time, heads, d)
        if self.rotate:
            queries, keys = self.rotate(queries), self.rotate(keys)
        keys, values = (ops.repeat(each, self.group, axis=2) for each in (keys, values))
        return self.projection(ops.dot_product_attention(queries, keys, values, is_causal=True))


class FeedForward(keras.layers.Layer):
    """Each token on its own: wider, through a non-linear function, and back to its width."""

    def __init__(self, size: ModelSize, parts: Parts, **kwargs):
        super().__init__(**kwargs)

        def dense(units: int, name: str) -> keras.layers.Layer:
            return keras.layers.Dense(
                units, use_bias=parts.biases, kernel_initializer=normal(), name=name
            )

        self.up = dense(size.feed_forward, "up")
        self.gate = dense(size.feed_forward, "gate") if parts.swiglu else None
        self.down = dense(size.width, "down")

    def call(self, x):
        hidden = self.up(x)  # (batch, time, feed_forward)
        if self.gate is None:
            return self.down(ops.gelu(hidden, approximate=True))
        return self.down(hidden * ops.silu(self.gate(x)))


class Experts(keras.layers.Layer):
    """A mixture of experts with top-1 routing: each token passes through one of several networks.

    Here every network reads every token and the outputs that nobody asked for are dropped: simple,
    and no faster than one network. Its balancing loss keeps one expert from getting all the tokens.

    Source: Fedus and others, *Switch Transformers*, 2021, sections 2.1 and 2.2.
    """

    def __init__(self, size: ModelSize, parts: Parts, **kwargs):
        super().__init__(**kwargs)
        self.count, self.balance = parts.experts, parts.balance
        self.router = keras.layers.Dense(
            parts.experts, use_bias=False, kernel_initializer=normal(), name="router"
        )
        self.networks = [
            FeedForward(size, parts, name=f"expert_{number}") for number in range(parts.experts)
        ]

    def route(self, x):
        """The router's probabilities and its choice, one 1 for each token: two (…, experts)."""
        shares = ops.softmax(self.router(x))
        return shares, ops.one_hot(ops.argmax(shares, axis=-1), self.count)

    def call(self, x):
        shares, chosen = self.route(x)  # (batch, time, experts) each
        self.add_loss(self.balance * balancing_loss(shares, chosen))
        outputs = ops.stack([network(x) for network in self.networks], axis=-1)
        return ops.sum(outputs * (shares * chosen)[:, :, None, :], axis=-1)


def balancing_loss(shares, chosen):
    """How unevenly tokens are spread over experts: 1 if evenly, up to the number of experts.

    Args:
        shares: the router's probabilities, (batch, time, experts).
        chosen: 1 for the expert that reads the token, 0 for the others, in the same shape.
    """
    tokens, probability = (ops.mean(each, axis=(0, 1)) for each in (chosen, shares))
    return ops.sum(tokens * probability) * shares.shape[-1]


def expert_shares(model: keras.Model, ids):
    """The share of the tokens that each expert reads: (blocks, experts).

    Args:
        model: one with experts.
        ids: token ids, (batch, time).
    """
    blocks = [layer for layer in model.layers if isinstance(layer, Block)]
    inputs = keras.Model(model.input, [block.input for block in blocks])(ids)
    shares = []
    for block, x in zip(blocks, inputs, strict=True):
        x = x + block.attention(block.attention_norm(x))
        _, chosen = block.network.route(block.network_norm(x))
        shares.append(ops.mean(chosen, axis=(0, 1)))
    return ops.stack(shares)


def normalization(parts: Parts, name: str) -> keras.layers.Layer:
    """The normalization that a model uses everywhere."""
    kind = keras.layers.RMSNormalization if parts.rms_norm else keras.layers.LayerNormalization
    return kind(epsilon=EPSILON, name=name)


def normal(stddev: float = 0.02) -> keras.initializers.Initializer:
    """How GPT-2 initialises its weight matrices."""
    return keras.initializers.RandomNormal(stddev=stddev)


# ---- equal numbers of parameters -----------------------------------------------------------------


def parameters(vocabulary_size: int, size: ModelSize, parts: Parts) -> int:
    """The number of parameters of such a model, by arithmetic."""
    width, kv_width = size.width, size.width // parts.group
    norm = width if parts.rms_norm else 2 * width
    positions = 0 if parts.rotary else size.context * width
    attention = 2 * width * width + 2 * width * kv_width
    into, bias = 2 if parts.swiglu else 1, int(parts.biases)
    network = (into + 1) * width * size.feed_forward + bias * (into * size.feed_forward + width)
    network = parts.experts * network + (width * parts.experts if parts.experts > 1 else 0)
    attention += bias * (2 * width + 2 * kv_width)
    blocks = size.layers * (2 * norm + attention + network)
    return vocabulary_size * width + positions + blocks + norm


def matched(vocabulary_size: int, size: ModelSize, parts: Parts) -> ModelSize:
    """The size with the feed-forward width for which the model has as many parameters as GPT-2.

    What a part saves goes into the feed-forward network, what it costs is taken from there. The
    width is a whole number, so the two differ by less than what half a hidden unit costs.
    """
    goal = parameters(vocabulary_size, size, GPT2)
    fixed, one_more = (
        parameters(vocabulary_size, replace(size, feed_forward=units), parts) for units in (1, 2)
    )
    return replace(size, feed_forward=1 + round((goal - fixed) / (one_more - fixed)))
