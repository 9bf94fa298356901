"""Text from a GPT-2, fast: a KV cache, and one compiled loop for a whole text. See lesson 9.

    generator = Generator(model, end_id)              # a GPT2CausalLM or its GPT2Backbone
    rows = generator([[end_id]] * 16, top_p=0.95)     # sixteen texts from nothing: lists of ids
    for token in generator.stream(prompt): ...        # one text, token by token

keras-nlp's own `generate` gives the same texts more slowly: it copies the whole cache of all layers
in each step and sorts the vocabulary before each draw. Here every layer has a cache of its own,
`draw_tokens` never sorts the vocabulary, and both processors read the weights.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from utils.errors import CourseError

CHUNK, WORTH_A_CHUNK = 16, 4  # tokens of a prompt that are read in one step, and the least of them
LARGE, PIECES = 1 << 19, 8  # a kernel from this size on is read in so many pieces
ROOM = 256  # a cache grows by so many places, so that a step reads few that are still empty
TO_WRITE = -1  # marks the places of a row that are to be generated
GROUP = 128  # tokens of the vocabulary that are searched together for the one that is drawn
MANY_GROUPS = 64  # from here on it pays to sort what is likeliest in each of them
DRAWS = 32  # random numbers for one token; more than one is needed only when a draw is rejected


class GenerationError(CourseError):
    """A text cannot be generated with these settings."""


# ---- the model -----------------------------------------------------------------------------------


class Block(NamedTuple):
    """The arrays of one transformer block; `joint` is query, key and value together.

    Kernels lie on their side, (outputs, inputs), like the token table: each output has a row, and
    is one sum over memory that lies together.
    """

    joint: tf.Tensor  # (3 * width, width)
    joint_bias: tf.Tensor
    out: tf.Tensor  # (width, width)
    out_bias: tf.Tensor
    gain_1: tf.Tensor  # (width,), of the normalization before attention
    bias_1: tf.Tensor
    widen: tf.Tensor  # (4 * width, width)
    widen_bias: tf.Tensor
    narrow: tf.Tensor  # (width, 4 * width)
    narrow_bias: tf.Tensor
    gain_2: tf.Tensor  # (width,), of the normalization before the feed-forward network
    bias_2: tf.Tensor


class Weights(NamedTuple):
    """The arrays of a GPT-2."""

    token_table: tf.Tensor  # (vocabulary, width)
    position_table: tf.Tensor  # (context, width)
    blocks: list[Block]
    last_gain: tf.Tensor  # (width,)
    last_bias: tf.Tensor


class LayerCache(NamedTuple):
    """What one layer remembers: the keys and values of every token that it has seen.

    The keys lie on their side, so that the next query times the keys is one plain product. The
    heads of all texts are one axis because a product of XLA has one axis of this kind, no more: so
    it reads the cache as it is, and the new tokens can be put into it in place.
    """

    keys: tf.Tensor  # (batch * heads, head_dim, length)
    values: tf.Tensor  # (batch * heads, length, head_dim)


def read_weights(model: keras.Model) -> Weights:
    """A copy of the weights of a keras-nlp GPT2CausalLM or GPT2Backbone.

    Raises:
        GenerationError: if this is no plain GPT-2.
    """
    backbone = getattr(model, "backbone", model)
    arrays = [tf.cast(variable.value, tf.float32) for variable in backbone.weights]
    if len(arrays) != 4 + 16 * backbone.num_layers:
        raise GenerationError(
            f"This model has {len(arrays)} arrays where a plain GPT-2 has"
            f" {4 + 16 * backbone.num_layers}: undo what was added to it, such as LoRA, first."
        )
    blocks = [_read_block(arrays[i : i + 16]) for i in range(2, len(arrays) - 2, 16)]
    token_table, position_table = arrays[:2]
    return Weights(token_table, position_table, blocks, arrays[-2], arrays[-1])


def _read_block(arrays: list[tf.Tensor]) -> Block:
    """A block from its sixteen arrays, in the order in which keras-nlp keeps them."""
    width = arrays[0].shape[0]
    kernels = [tf.transpose(tf.reshape(kernel, (width, width))) for kernel in arrays[0:8:2]]
    joint_bias = tf.concat([tf.reshape(bias, (width,)) for bias in arrays[1:6:2]], axis=0)
    block = Block(tf.concat(kernels[:3], axis=0), joint_bias, kernels[3], *arrays[7:])
    return block._replace(widen=tf.transpose(block.widen), narrow=tf.transpose(block.narrow))


def empty_cache(weights: Weights, num_heads: int, batch: int, length: int) -> list[LayerCache]:
    """Room for the keys and values of `length` tokens in every layer."""
    rows, head_dim = batch * num_heads, weights.token_table.shape[1] // num_heads
    keys, values = (rows, head_dim, length), (rows, length, head_dim)
    return [LayerCache(tf.zeros(keys), tf.zeros(values)) for _ in weights.blocks]


def with_room(cache: list[LayerCache], length: int) -> list[LayerCache]:
    """The cache with room for `length` tokens, which may be more than it has."""
    more = length - cache[0].values.shape[1]
    return [
        LayerCache(
            tf.pad(keys, [(0, 0), (0, 0), (0, more)]), tf.pad(values, [(0, 0), (0, more), (0, 0)])
        )
        for keys, values in cache
    ]


def read_tokens(
    weights: Weights, tokens: tf.Tensor, position: tf.Tensor, cache: list[LayerCache]
) -> tuple[tf.Tensor, list[LayerCache]]:
    """Send a few new tokens through GPT-2; what came before them is in the cache.

    Args:
        weights: of the model.
        tokens: (batch, new), ids; usually new = 1.
        position: the place of the first of them in the text, (), or one for each row, (batch,); in
            rows that have come to different places, new must be 1.
        cache: filled up to that place.

    Returns:
        logits for what follows each of them, (batch, new, vocabulary), and the cache with the new
        tokens in it.
    """
    batch, new = tokens.shape
    x = tf.gather(weights.token_table, tokens)  # (batch, new, width)
    x += tf.gather(weights.position_table, position[..., None] + tf.range(new))
    x = tf.reshape(x, (batch * new, -1))  # a plain matrix is faster
    cache_after = []
    for block, layer_cache in zip(weights.blocks, cache, strict=True):
        normal = _layer_norm(x, block.gain_1, block.bias_1)
        added, layer_cache = _attention(normal, block, batch, position, layer_cache)
        x += added
        normal = _layer_norm(x, block.gain_2, block.bias_2)
        widened = _gelu(_linear(normal, block.widen, block.widen_bias))
        x += _linear(widened, block.narrow, block.narrow_bias)
        cache_after.append(layer_cache)
    x = _layer_norm(x, weights.last_gain, weights.last_bias)
    logits = tf.matmul(x, weights.token_table, transpose_b=True)
    return tf.reshape(logits, (batch, new, -1)), cache_after


def _attention(x, block, batch, position, cache):
    """Causal self-attention of the new tokens, x (batch * new, width), to all tokens so far."""
    rows, head_dim, length = cache.keys.shape
    heads, new = rows // batch, x.shape[0] // batch
    joint = _linear(x, block.joint, block.joint_bias)
    joint = tf.transpose(tf.reshape(joint, (batch, new, 3, heads, head_dim)), (2, 0, 3, 1, 4))
    query, key, value = tf.unstack(tf.reshape(joint, (3, rows, new, head_dim)))
    keys, values = _remember(cache, tf.linalg.matrix_transpose(key), value, position)
    product = _sum if batch == new == 1 and not _is_large(block.out) else tf.matmul
    scores = product(query, keys) / math.sqrt(head_dim)  # (rows, new, length)
    past = tf.range(length) <= (position[..., None] + tf.range(new))[..., None]
    past = tf.reshape(past, (-1, 1, new, length))  # (1 or batch, 1, new, length)
    scores = tf.reshape(scores, (batch, heads, new, length))
    weights = tf.nn.softmax(tf.where(past, scores, -math.inf))
    mixed = product(tf.reshape(weights, (rows, new, length)), values)  # (rows, new, head_dim)
    mixed = tf.transpose(tf.reshape(mixed, (batch, heads, new, head_dim)), (0, 2, 1, 3))
    return _linear(tf.reshape(mixed, x.shape), block.out, block.out_bias), LayerCache(keys, values)


def _remember(cache, key, value, position):
    """The keys and values of the cache, with new ones at a place, or each text's at its own."""
    if position.shape.rank == 0:
        keys = ops.slice_update(cache.keys, (0, 0, position), key)
        return keys, ops.slice_update(cache.values, (0, position, 0), value)
    rows, _, length = cache.keys.shape
    places = tf.repeat(position, rows // position.shape[0])  # (rows,)
    here = tf.range(length) == places[:, None]  # (rows, length)
    keys = tf.where(here[:, None, :], key, cache.keys)
    return keys, tf.where(here[:, :, None], value, cache.values)


def _sum(a, b):
    """a (rows, 1, n) @ b, for a little model: XLA merges a sum with what stands around it."""
    return tf.reduce_sum(tf.squeeze(a, 1)[..., None] * b, axis=1, keepdims=True)


def _is_large(kernel):
    """Is it worth a product, on all processors, rather than a loop of XLA's making?"""
    return math.prod(kernel.shape) >= LARGE


def _linear(x, kernel, bias):
    """x (rows, inputs) @ kernel.T + bias: (rows, outputs).

    Written as a difference because XLA merges a sum with the product before it, for a single row,
    into one loop; and a loop of its own making runs on one processor, a product on all.

    A large kernel and a single row are cut into pieces, as nothing counts but how fast the kernel
    is read: so each processor reads along its own pieces, not every other few rows.
    """
    rows, (outputs, inputs) = x.shape[0], kernel.shape
    if rows > 1 or not _is_large(kernel) or outputs % PIECES:
        return tf.matmul(x, kernel, transpose_b=True) - (-bias)
    pieces = tf.reshape(kernel, (PIECES, outputs // PIECES, inputs))
    product = tf.matmul(tf.tile(x[None], (PIECES, 1, 1)), pieces, transpose_b=True)
    return tf.reshape(product, (1, outputs)) - (-bias)


def _layer_norm(x, gain, bias):
    mean = tf.reduce_mean(x, axis=-1, keepdims=True)
    variance = tf.reduce_mean((x - mean) ** 2, axis=-1, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-5) * gain + bias


def _gelu(x):
    return 0.5 * x * (1 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


# ---- the draw ------------------------------------------------------------------------------------


class Sampling(NamedTuple):
    """How to draw. Numbers in tensors, so that another number compiles nothing anew."""

    temperature: tf.Tensor  # above 0
    top_k: tf.Tensor  # draw among the k likeliest; int32
    top_p: tf.Tensor  # draw among the likeliest that together have at least this probability


def draw_tokens(logits: tf.Tensor, uniform: tf.Tensor, sampling: Sampling) -> tf.Tensor:
    """Draw a token for each row from softmax(logits / temperature), cut off by top-k and top-p.

    Without sorting the vocabulary: draw from all tokens; to see whether the token is among those
    allowed, it is enough to look at the tokens that are likelier. If it is not, forget it and all
    that are no likelier, and draw again. What is allowed is never forgotten, so it keeps its
    proportions.

    To draw is to find the token at which the running total of p passes a random mark: first the
    group of tokens, then the token in it, so that two short totals do instead of a long one.

    Both limits are set on the whole distribution, and a token has to be within both. Tokens that
    are equally likely are in or out together.

    Args:
        logits: (batch, vocabulary).
        uniform: (batch, DRAWS), independent random numbers from 0 to 1.
        sampling: the settings.

    Returns:
        (batch,), int32.
    """
    batch, vocabulary = logits.shape
    likeliest = tf.reduce_max(logits, axis=-1, keepdims=True)
    p = tf.exp((logits - likeliest) / sampling.temperature)  # not yet adding to 1
    p = tf.pad(p, [(0, 0), (0, -vocabulary % GROUP)])
    p = tf.reshape(p, (batch, -1, GROUP))
    allowed_sum = sampling.top_p * tf.reduce_sum(p, axis=(1, 2))

    def undecided(_, token, accepted, forgotten):
        return ~tf.reduce_all(accepted)

    def draw(attempt, token, accepted, forgotten):
        kept = tf.where(p > forgotten[:, None, None], p, 0.0)
        up_to = tf.cumsum(tf.reduce_sum(kept, axis=-1), axis=-1)  # (batch, groups)
        mark = tf.gather(uniform, attempt % DRAWS, axis=1) * up_to[:, -1]
        group, passed = _place(up_to, mark)
        kept_there = tf.gather(kept, group, batch_dims=1)  # (batch, GROUP)
        offset, _ = _place(tf.cumsum(kept_there, axis=-1), mark - passed)
        p_drawn = tf.gather(kept_there, offset, batch_dims=1)  # (batch,)
        likelier = p > p_drawn[:, None, None]
        within_k = tf.reduce_sum(tf.cast(likelier, tf.int32), axis=(1, 2)) < sampling.top_k
        within_p = tf.reduce_sum(tf.where(likelier, p, 0.0), axis=(1, 2)) < allowed_sum
        token = tf.where(accepted, token, group * GROUP + offset)
        accepted = accepted | (within_k & within_p)
        return attempt + 1, token, accepted, tf.where(accepted, forgotten, p_drawn)

    forgotten = _too_unlikely(p, sampling.top_k)
    start = (0, tf.zeros(batch, tf.int32), tf.zeros(batch, tf.bool), forgotten)
    return tf.while_loop(undecided, draw, start)[1]


def _too_unlikely(p, top_k):
    """A probability for each row, (batch,): no token up to it is among the k likeliest.

    If k groups have a token that is likelier than this one, this one is not among them.
    """
    batch, groups, _ = p.shape
    if groups < MANY_GROUPS:
        return -tf.ones(batch)
    likeliest = tf.sort(tf.reduce_max(p, axis=-1), direction="DESCENDING")  # (batch, groups)
    kth = tf.gather(likeliest, tf.minimum(top_k, groups) - 1, axis=1)
    return tf.where(top_k <= groups, 0.99999 * kth, -1.0)  # so that the k-th itself is kept


def _place(up_to, mark):
    """Where a mark falls among running totals (batch, n), and the total before that place."""
    passed = (up_to <= mark[:, None]) & (up_to < up_to[:, -1:])  # never past the end by rounding
    total = tf.reduce_max(tf.where(passed, up_to, 0.0), axis=-1)
    return tf.reduce_sum(tf.cast(passed, tf.int32), axis=-1), total


# ---- whole texts ---------------------------------------------------------------------------------


class Generator:
    """Generates text with the weights that a model has now; `update` takes newer ones.

    The first call with another number of prompts or another length compiles, which takes some
    seconds; a long text compiles again where its cache grows. Everything else may change freely.

    Args:
        model: a keras-nlp GPT2CausalLM, or its GPT2Backbone.
        end_id: the token that ends a text.
    """

    def __init__(self, model: keras.Model, end_id: int):
        backbone = getattr(model, "backbone", model)
        self.weights = tf.nest.map_structure(tf.Variable, read_weights(model))
        self.num_heads, self.end_id = backbone.num_heads, end_id
        self.vocabulary_size, self.context = backbone.vocabulary_size, backbone.max_sequence_length

    def update(self, model: keras.Model) -> None:
        """Take over the weights of a model of the same size; compiles nothing anew."""
        tf.nest.map_structure(
            lambda variable, array: variable.assign(array), self.weights, read_weights(model)
        )

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        length: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> list[list[int]]:
        """Continue each prompt until its text ends.

        A row depends on the seed, its prompt and its number in the list, not on the other rows.

        Args:
            prompts: ids, each at least one. To begin with nothing, begin with the end id: in
                training that is what stood before each text.
            length: the longest text, prompt included; None for the model's context.
            temperature: above 0; divides the logits.
            top_k: draw among the k likeliest tokens; 0 for all of them, 1 for no chance at all.
            top_p: draw among the likeliest tokens that together have this probability; 1 for all.
            seed: the same seed, the same texts.

        Returns:
            the prompts with what was generated. The end id is the last one of each text that came
            to its end within `length`.

        Raises:
            GenerationError: for a setting that makes no sense, or a prompt that does not fit.
        """
        length = self.context if length is None else length
        sampling = as_sampling(temperature, top_k, top_p)
        self.check(prompts, length, seed)
        if not prompts:
            return []
        rows = np.full((len(prompts), length), TO_WRITE, "int32")
        for row, prompt in zip(rows, prompts, strict=True):
            row[: len(prompt)] = prompt
        uniform = np.stack([random_numbers(seed, row, length) for row in range(len(prompts))])
        shortest = min(map(len, prompts))
        rooms = [room for room in (*range(ROOM, length, ROOM), length) if room >= shortest]
        position, cache = self._read_prompts(rows, shortest, rooms[0])
        state = tf.constant(rows), tf.constant(position), tf.ones(len(prompts), tf.bool)
        for room in rooms:
            state, cache = self._write(*state, with_room(cache, room), uniform, sampling)
            if not np.any(state[-1]):
                break
        texts = state[0].numpy().tolist()
        return [self._cut(text, len(prompt)) for text, prompt in zip(texts, prompts, strict=True)]

    def stream(
        self,
        prompt: Sequence[int],
        length: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[int]:
        """Continue one prompt; yield each new id as soon as it is drawn, the end id last.

        Arguments and errors are those of a call, and so are the ids.
        """
        length = self.context if length is None else length
        sampling = as_sampling(temperature, top_k, top_p)
        self.check([prompt], length, seed)
        return self._stream(list(prompt), length, sampling, seed)

    def _stream(self, text: list[int], length: int, sampling: Sampling, seed: int) -> Iterator[int]:
        uniform = random_numbers(seed, 0, length)
        rows = np.full((1, length), TO_WRITE, "int32")
        rows[0, : len(text)] = text
        position, cache = self._read_prompts(rows, len(text), length)
        while len(text) < length:
            token, draws = tf.constant([[text[position]]]), uniform[None, position]
            drawn, cache = self.step(token, tf.constant(position), cache, draws, sampling)
            position += 1
            if position == len(text):
                text.append(int(drawn[0]))
                yield text[-1]
                if text[-1] == self.end_id:
                    return

    def _read_prompts(
        self, rows: np.ndarray, shortest: int, room: int
    ) -> tuple[int, list[LayerCache]]:
        """Read in chunks what all prompts have, without the last token of the shortest one.

        A chunk may go beyond a prompt: what it puts into the cache there is not looked at before it
        is replaced. It must not go beyond the cache, which has `room` for so many tokens; rather it
        begins earlier and reads some again.

        Returns:
            the place reached, and the cache. A few tokens may be left, too few for another chunk:
            they go through the steps that write.
        """
        position, cache = 0, empty_cache(self.weights, self.num_heads, len(rows), room)
        while position + WORTH_A_CHUNK < shortest and room >= CHUNK:
            start = min(position, room - CHUNK)
            chunk = tf.constant(np.maximum(rows[:, start : start + CHUNK], 0))
            cache = self._read_chunk(chunk, tf.constant(start), cache)
            position = min(start + CHUNK, shortest - 1)
        return position, cache

    def _cut(self, text: list[int], prompt_length: int) -> list[int]:
        """A row up to the end of its text."""
        written = text[prompt_length:]
        if self.end_id in written:
            written = written[: written.index(self.end_id) + 1]
        return text[:prompt_length] + written

    @tf.function(jit_compile=True)
    def _read_chunk(self, tokens, position, cache):
        return read_tokens(self.weights, tokens, position, cache)[1]

    @tf.function(jit_compile=True)
    def step(self, tokens, position, cache, uniform, sampling):
        """Read one token a row, (batch, 1), and draw the next ones, (batch,)."""
        logits, cache = read_tokens(self.weights, tokens, position, cache)
        return draw_tokens(logits[:, 0], uniform, sampling), cache

    @tf.function(jit_compile=True)
    def _write(self, rows, position, unfinished, cache, uniform, sampling):
        """Fill the places of rows (batch, length) that are TO_WRITE, in one loop without Python.

        Ends when the rows are full, or the cache, or no text is unfinished, (batch,).
        """
        room, length = cache[0].values.shape[1], rows.shape[1]
        weights = tf.nest.map_structure(tf.convert_to_tensor, self.weights)
        current, texts = tf.gather(rows, position, axis=1), rows
        while position < min(room, length - 1) and tf.reduce_any(unfinished):
            logits, cache = read_tokens(weights, current[:, None], position, cache)
            drawn = draw_tokens(logits[:, 0], uniform[:, position], sampling)
            position += 1
            given = tf.gather(rows, position, axis=1)  # (batch,)
            to_write = given == TO_WRITE
            current = tf.where(to_write, drawn, given)
            unfinished &= ~to_write | (drawn != self.end_id)
            texts = ops.slice_update(texts, (0, position), current[:, None])
        return (texts, position, unfinished), cache

    def check(self, prompts: Sequence[Sequence[int]], length: int, seed: int) -> None:
        """Raise GenerationError for prompts, a length or a seed that cannot be."""
        if seed < 0:
            raise GenerationError(f"seed must be a whole number, 0 or more, not {seed}.")
        if not 2 <= length <= self.context:
            raise GenerationError(
                f"length must be a whole number from 2 to {self.context}, the model's context,"
                f" not {length}."
            )
        for prompt in prompts:
            if len(prompt) == 0:
                raise GenerationError(
                    "A prompt is empty: to begin with nothing, begin with the end id,"
                    f" {self.end_id}."
                )
            if len(prompt) >= length:
                raise GenerationError(
                    f"A prompt has {len(prompt)} tokens and fills the length of {length}:"
                    " shorten the prompt, or raise the length."
                )
            if not 0 <= min(prompt) <= max(prompt) < self.vocabulary_size:
                raise GenerationError(
                    f"A prompt has ids from {min(prompt)} to {max(prompt)}, but this model knows"
                    f" 0 to {self.vocabulary_size - 1}: use the tokenizer that it was trained with."
                )


def random_numbers(seed: int, row: int, length: int) -> np.ndarray:
    """The random numbers of one text, (length, DRAWS); a batch numbers its rows from 0."""
    return np.random.default_rng([seed, row]).random((length, DRAWS), "float32")


def as_sampling(temperature: float, top_k: int, top_p: float) -> Sampling:
    """The settings as tensors of shape (); raises GenerationError for one that makes no sense."""
    if not 0 < temperature < math.inf:  # also true for NaN
        raise GenerationError(
            f"temperature must be a number above 0, not {temperature}: for the likeliest token"
            " each time, take top_k=1."
        )
    if top_k < 0 or top_k != int(top_k):
        raise GenerationError(
            f"top_k must be a whole number, 0 for all tokens or more, not {top_k}."
        )
    if not 0 < top_p <= 1:
        raise GenerationError(
            f"top_p must be a number above 0 and not above 1, not {top_p}: 1 keeps all tokens."
        )
    everything = np.iinfo("int32").max
    smallest = float(np.finfo("float32").tiny)  # below it a number is 0, and no draw would do
    return Sampling(
        tf.constant(max(temperature, smallest), tf.float32),
        tf.constant(min(top_k, everything) or everything, tf.int32),
        tf.constant(max(top_p, smallest), tf.float32),
    )
