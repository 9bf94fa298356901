"""Text from a GPT-2, fast: a KV cache, and one compiled loop for a whole text. See lesson 9.

    generator = Generator(model, end_id)              # a GPT2CausalLM or its GPT2Backbone
    rows = generator([[end_id]] * 16, top_p=0.95)     # sixteen texts from nothing: lists of ids
    for token in generator.stream(prompt): ...        # one text, token by token

keras-nlp's own `generate` gives the same texts more slowly: it copies the whole cache of all layers
in each step and sorts the vocabulary before it samples. Here every layer has a cache of its own,
`sample_tokens` never sorts the vocabulary, and all processors read the weights.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from utils.errors import GenerationError
from utils.generation.cached_gpt2 import LayerCache, empty_cache, grow_cache, read_tokens
from utils.generation.plain_gpt2 import read_weights
from utils.generation.sampling import Sampling, as_sampling, random_numbers, sample_tokens

CHUNK = 16  # tokens of a prompt that are read in one step
MIN_CHUNK = 4  # tokens; fewer are read one by one
CACHE_GROWTH = 256  # positions by which a cache grows, so that a step reads few empty ones
TO_GENERATE = -1  # stands in a row at the positions that are still to be generated


class CachedModel(NamedTuple):
    """A language model in the parts that `Generator` needs; another architecture brings its own.

    Attributes:
        weights: the parameters, tensors in any nested structure of tuples and lists.
        read_tokens: a function (weights, tokens, position, cache) -> (logits, cache) with the
            arguments of `cached_gpt2.read_tokens`.
        empty_cache: a function (batch, length) -> a LayerCache for each layer. On the first axis
            of its arrays the rows of a text lie together, text after text.
        context: the length of the longest text, in tokens.
        vocabulary_size: the number of tokens in the vocabulary.
        any_length: whether the time of a step depends on the length of the texts, not on that of
            the cache. Then the cache need not grow, and `read_tokens` takes `slot`, too: the number
            of its first row among the texts of a larger cache, which it changes in place.
    """

    weights: Any
    read_tokens: Callable[..., tuple[tf.Tensor, list[LayerCache]]]
    empty_cache: Callable[[int, int], list[LayerCache]]
    context: int
    vocabulary_size: int
    any_length: bool = False

    @classmethod
    def from_gpt2(cls, model: keras.Model) -> Self:
        """The parts of a GPT2CausalLM or a GPT2Backbone, with a copy of its weights.

        Raises:
            GenerationError: if it is not a GPT-2, or has parameters that a GPT-2 does not have.
        """
        weights, backbone = read_weights(model), getattr(model, "backbone", model)
        heads = backbone.num_heads
        return cls(
            weights,
            read_tokens,
            partial(empty_cache, backbone.num_layers, heads, backbone.hidden_dim // heads),
            backbone.max_sequence_length,
            backbone.vocabulary_size,
        )


class Generator:
    """Generates text with the weights that a model has now; `update` takes newer ones.

    The first call with another number of prompts or another length compiles, which takes some
    seconds; a long text compiles again where its cache grows. Everything else may change freely.

    Args:
        model: a keras-nlp GPT2CausalLM or its GPT2Backbone, or the parts of another model.
        end_id: the id of the token that ends a text.

    Raises:
        GenerationError: if a keras-nlp model is not a GPT-2, or weights are NaN or infinite.
    """

    def __init__(self, model: keras.Model | CachedModel, end_id: int):
        parts = _parts(model)
        self.weights = tf.nest.map_structure(tf.Variable, parts.weights)
        self.read_tokens, self.empty_cache = parts.read_tokens, parts.empty_cache
        self.context, self.vocabulary_size = parts.context, parts.vocabulary_size
        self.any_length = parts.any_length
        self.end_id = end_id

    def update(self, model: keras.Model | CachedModel) -> None:
        """Copy the weights of a model of the same size; compiles nothing anew.

        Raises:
            GenerationError: if weights are NaN or infinite. Those of before stay.
        """
        tf.nest.map_structure(
            lambda variable, array: variable.assign(array), self.weights, _parts(model).weights
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
            prompts: token ids, at least one in each prompt. To begin with nothing, begin with the
                end id: in training each text follows the end of another.
            length: the length of the longest text in tokens, prompt included; None for the model's
                context.
            temperature: a number above 0 by which the logits are divided.
            top_k: the number of likeliest tokens to sample from; 0 for all of them, 1 for the
                likeliest each time, which is not random.
            top_p: the probability that the likeliest tokens, from which to sample, must reach
                together; 1 for all tokens.
            seed: a whole number, 0 or more; the same seed gives the same texts.

        Returns:
            The prompts, each with its continuation. A text that ends within `length` has the end id
            as its last.

        Raises:
            GenerationError: if a setting is out of range, or a prompt does not fit.
        """
        length = self.context if length is None else length
        sampling = as_sampling(temperature, top_k, top_p)
        self.check(prompts, length, seed)
        if not prompts:
            return []
        rows = np.full((len(prompts), length), TO_GENERATE, "int32")
        for row, prompt in zip(rows, prompts, strict=True):
            row[: len(prompt)] = prompt
        uniform = np.stack([random_numbers(seed, row, length) for row in range(len(prompts))])
        shortest = min(map(len, prompts))
        growth = length if self.any_length else CACHE_GROWTH
        sizes = [*range(growth, length, growth), length]  # of the cache, in positions
        sizes = [size for size in sizes if size >= shortest]
        position, cache = self._read_prompts(rows, shortest, sizes[0])
        state = tf.constant(rows), tf.constant(position), tf.ones(len(prompts), tf.bool)
        for size in sizes:
            state, cache = self._generate(*state, grow_cache(cache, size), uniform, sampling)
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
        """Continue one prompt; yield each new id as soon as it is sampled, the end id last.

        It takes the arguments of a call, raises its errors and yields its ids.
        """
        length = self.context if length is None else length
        sampling = as_sampling(temperature, top_k, top_p)
        self.check([prompt], length, seed)
        return self._stream(list(prompt), length, sampling, seed)

    def _stream(self, text: list[int], length: int, sampling: Sampling, seed: int) -> Iterator[int]:
        uniform = random_numbers(seed, 0, length)
        rows = np.full((1, length), TO_GENERATE, "int32")
        rows[0, : len(text)] = text
        position, cache = self._read_prompts(rows, len(text), length)
        while len(text) < length:
            token, numbers = tf.constant([[text[position]]]), uniform[None, position]
            sampled, cache = self._step(token, tf.constant(position), cache, numbers, sampling)
            position += 1
            if position == len(text):
                text.append(int(sampled[0]))
                yield text[-1]
                if text[-1] == self.end_id:
                    return

    def _read_prompts(
        self, rows: np.ndarray, shortest: int, size: int
    ) -> tuple[int, list[LayerCache]]:
        """Read the prompts in chunks, up to but not including the last token of the shortest one.

        A chunk may go beyond a prompt: what it writes into the cache there is replaced before it is
        read. It must not go beyond the end of the cache; there it begins earlier and reads some
        tokens again.

        Args:
            rows: token ids, (batch, length), TO_GENERATE after each prompt.
            shortest: the length of the shortest prompt, in tokens.
            size: the number of positions in the cache.

        Returns:
            The position reached, and the cache. Tokens that are too few for another chunk are left
            to the steps that generate.
        """
        position, cache = 0, self.empty_cache(len(rows), size)
        while position + MIN_CHUNK < shortest and size >= CHUNK:
            start = min(position, size - CHUNK)
            chunk = tf.constant(np.maximum(rows[:, start : start + CHUNK], 0))
            cache = self._read_chunk(chunk, tf.constant(start), cache)
            position = min(start + CHUNK, shortest - 1)
        return position, cache

    def _cut(self, text: list[int], prompt_length: int) -> list[int]:
        """A row up to the end of its text."""
        generated = text[prompt_length:]
        if self.end_id in generated:
            generated = generated[: generated.index(self.end_id) + 1]
        return text[:prompt_length] + generated

    @tf.function(jit_compile=True)
    def _read_chunk(self, tokens, position, cache):
        return self.read_tokens(self.weights, tokens, position, cache)[1]

    @tf.function(jit_compile=True)
    def _step(self, tokens, position, cache, uniform, sampling):
        """Read one token in each row, (batch, 1), and sample the next ones, (batch,)."""
        logits, cache = self.read_tokens(self.weights, tokens, position, cache)
        return sample_tokens(logits[:, 0], uniform, sampling), cache

    @tf.function(jit_compile=True)
    def _generate(self, rows, position, unfinished, cache, uniform, sampling):
        """Fill the positions of rows (batch, length) that are TO_GENERATE, in one compiled loop.

        It stops when the rows are full, the cache is full, or no text is unfinished, (batch,).
        """
        size, length = cache[0].values.shape[1], rows.shape[1]
        weights = tf.nest.map_structure(tf.convert_to_tensor, self.weights)
        current, texts = tf.gather(rows, position, axis=1), rows
        while position < min(size, length - 1) and tf.reduce_any(unfinished):
            logits, cache = self.read_tokens(weights, current[:, None], position, cache)
            sampled = sample_tokens(logits[:, 0], uniform[:, position], sampling)
            position += 1
            given = tf.gather(rows, position, axis=1)  # (batch,)
            is_new = given == TO_GENERATE
            current = tf.where(is_new, sampled, given)
            unfinished &= ~is_new | (sampled != self.end_id)
            texts = ops.slice_update(texts, (0, position), current[:, None])
        return (texts, position, unfinished), cache

    def check(self, prompts: Sequence[Sequence[int]], length: int, seed: int) -> None:
        """Raise GenerationError if a prompt, the length or the seed is out of range."""
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


def _parts(model: keras.Model | CachedModel) -> CachedModel:
    parts = model if isinstance(model, CachedModel) else CachedModel.from_gpt2(model)
    for array in map(tf.convert_to_tensor, tf.nest.flatten(parts.weights)):
        if array.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(array)):
            raise GenerationError(
                "The model has weights that are NaN or infinite, as after a training that failed:"
                " no text can come of it. Take a checkpoint from before."
            )
    return parts
