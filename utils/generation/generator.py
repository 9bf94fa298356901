"""Text from a GPT-2, fast: a KV cache, and one compiled loop for a whole text. See lesson 9.

    generator = Generator(model, end_id)              # a GPT2CausalLM or its GPT2Backbone
    rows = generator([[end_id]] * 16, top_p=0.95)     # sixteen texts from nothing: lists of ids
    for token in generator.stream(prompt): ...        # one text, token by token

keras-nlp's own `generate` gives the same texts more slowly: it copies the whole cache of all layers
in each step and sorts the vocabulary before each draw. Here every layer has a cache of its own,
`draw_tokens` never sorts the vocabulary, and both processors read the weights.
"""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from utils.errors import GenerationError
from utils.generation.cached_gpt2 import (
    LayerCache,
    empty_cache,
    read_tokens,
    read_weights,
    with_room,
)
from utils.generation.sampling import Sampling, as_sampling, draw_tokens, random_numbers

CHUNK, WORTH_A_CHUNK = 16, 4  # tokens of a prompt that are read in one step, and the least of them
ROOM = 256  # a cache grows by so many places, so that a step reads few that are still empty
TO_WRITE = -1  # marks the places of a row that are to be generated


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
