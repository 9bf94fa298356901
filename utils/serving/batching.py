"""Several texts at once, each at its own position: one compiled step for a fixed batch size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops

from utils.generation.generator import Generator
from utils.generation.sampling import ATTEMPTS, Sampling, random_numbers, sample_tokens

# Tokens of a prompt that are read at a time, and how many such pieces between two steps. Pieces are
# large because each call of the model costs more than some more tokens do; but while they are read,
# all other texts wait.
CHUNK, PIECES = 256, 2
EVERYTHING = np.iinfo("int32").max  # top_k that cuts nothing off


class Penalties(NamedTuple):
    """What is added to the logits before sampling, as OpenAI's API defines it.

    Attributes:
        logit_bias: for some ids, what is added from the start.
        presence: subtracted from the logit of each token that has been generated.
        frequency: subtracted once more for each time that it has been.
    """

    logit_bias: Mapping[int, float]
    presence: float
    frequency: float


NO_PENALTIES = Penalties({}, 0.0, 0.0)


@dataclass
class Text:
    """A text that is being written.

    Attributes:
        ids: the prompt and the tokens generated so far.
        uniform: random numbers for each position, (length, ATTEMPTS).
        penalties: change its logits.
        generated: the ids generated so far, each once.
        position: the position that the next step reads; all before it are in the cache.
    """

    ids: list[int]
    uniform: np.ndarray
    penalties: Penalties
    generated: set[int]
    position: int = 0


class Batch:
    """Writes up to `slots` texts together. A text may begin or end while others go on.

    The shapes never change, so everything is compiled when this is made, and nothing later. A slot
    without a text goes through the step as well: its token is not used. Without penalties, each
    text is the one that `Generator.stream` would write.

    Args:
        generator: the model; its weights are shared, not copied.
        slots: texts at once.
    """

    def __init__(self, generator: Generator, slots: int):
        self.generator, self.slots = generator, slots
        self.texts: dict[int, Text] = {}
        length = generator.context
        cache = generator.empty_cache(slots, length)
        # Variables, because XLA changes them in place; a tensor would be copied in each step.
        self.cache = tf.nest.map_structure(tf.Variable, cache)
        self.temperature = np.ones((slots, 1), "float32")  # as `sample_tokens` divides the logits
        self.top_k = np.full(slots, EVERYTHING, "int32")
        self.top_p = np.ones(slots, "float32")
        # What penalties add to the logits. The model's copy is renewed only when this one changes,
        # so a server that nobody asks for penalties does not wait for them.
        self.bias = np.zeros((slots, generator.vocabulary_size), "float32")
        self._models_bias, self._bias_changed = tf.Variable(self.bias), False
        self.chunk = min(CHUNK, length)
        self._step = compiled(self._write_one, *self._inputs())
        self._read = compiled(self._read_piece, *piece_at(0, np.zeros((1, self.chunk), "int32"), 0))
        self.step()
        self._read(*piece_at(0, np.zeros((1, self.chunk), "int32"), 0))

    def start(
        self,
        slot: int,
        prompt: Sequence[int],
        length: int,
        sampling: Sampling,
        seed: int,
        penalties: Penalties = NO_PENALTIES,
    ) -> None:
        """Begin a text of at most `length` tokens, prompt included, in a free slot."""
        self.texts[slot] = Text(list(prompt), random_numbers(seed, 0, length), penalties, set())
        for token, value in penalties.logit_bias.items():
            self._add_bias(slot, token, value)
        self.temperature[slot] = sampling.temperature
        self.top_k[slot] = sampling.top_k
        self.top_p[slot] = sampling.top_p

    def stop(self, slot: int) -> None:
        """Forget the text in a slot."""
        if self.texts.pop(slot).penalties is not NO_PENALTIES:
            self.bias[slot], self._bias_changed = 0, True
        self.temperature[slot], self.top_k[slot], self.top_p[slot] = 1, EVERYTHING, 1

    def step(self) -> dict[int, int]:
        """Go one token ahead in every text; the new ids by slot, none where a prompt is read."""
        for _ in range(PIECES):
            self._read_ahead()
        if self._bias_changed:
            self._models_bias.assign(self.bias)
            self._bias_changed = False
        sampled = self._step(*self._inputs()).numpy().tolist()
        new = {
            slot: sampled[slot]
            for slot, text in self.texts.items()
            if _went_on(text, sampled[slot])
        }
        for slot, token in new.items():
            self._penalize(slot, token)
        return new

    def _penalize(self, slot: int, token: int) -> None:
        """Make a token that has just been generated as unlikely as the text's penalties want."""
        text = self.texts[slot]
        if text.penalties.presence or text.penalties.frequency:
            first_time = token not in text.generated
            text.generated.add(token)
            penalty = text.penalties.frequency + first_time * text.penalties.presence
            self._add_bias(slot, token, -penalty)

    def _add_bias(self, slot: int, token: int, value: float) -> None:
        self.bias[slot, token] += value
        self._bias_changed = True

    def _inputs(self) -> tuple:
        """What the next step reads: tokens, positions, random numbers, sampling settings."""
        tokens, positions = np.zeros((self.slots, 1), "int32"), np.zeros(self.slots, "int32")
        uniform = np.zeros((self.slots, ATTEMPTS), "float32")
        for slot, text in self.texts.items():
            tokens[slot], positions[slot] = text.ids[text.position], text.position
            uniform[slot] = text.uniform[text.position]
        settings = Sampling(*map(tf.constant, (self.temperature, self.top_k, self.top_p)))
        return *map(tf.constant, (tokens, positions, uniform)), settings

    def _read_ahead(self) -> None:
        """Read a piece of the first prompt that is not read yet, if there is one.

        The last token of a prompt is left to the step, which samples what follows it. A piece may
        go beyond the prompt: what it puts into the cache there is replaced before it is read. A
        piece must not go beyond the cache: where it would, it begins earlier and reads some tokens
        again.
        """
        for slot, text in self.texts.items():
            last = len(text.ids) - 1
            if text.position < last:
                start = min(text.position, self.generator.context - self.chunk)
                piece = np.zeros((1, self.chunk), "int32")
                given = text.ids[start : start + self.chunk]
                piece[0, : len(given)] = given
                self._read(*piece_at(slot, piece, start))
                text.position = min(start + self.chunk, last)
                return

    def _write_one(self, tokens, positions, uniform, sampling):
        """Read a token in each slot, (slots, 1), at its position, (slots,); sample the next one."""
        cache = tf.nest.map_structure(tf.convert_to_tensor, self.cache)
        logits, cache = self.generator.read_tokens(self.generator.weights, tokens, positions, cache)
        tf.nest.map_structure(lambda variable, array: variable.assign(array), self.cache, cache)
        return sample_tokens(logits[:, 0] + self._models_bias, uniform, sampling)

    def _read_piece(self, slot, tokens, position):
        """Read a piece of a prompt, (1, chunk), in one slot."""

        def rows_of_slot(array):  # each slot has equally many, one for each head
            rows = array.shape[0] // self.slots
            # Not tf.slice: that would be compiled anew for each slot.
            return tf.gather(array, slot * rows + tf.range(rows))

        row = tf.nest.map_structure(rows_of_slot, self.cache)
        _, row = self.generator.read_tokens(self.generator.weights, tokens, position, row)
        for variable, array in zip(tf.nest.flatten(self.cache), tf.nest.flatten(row), strict=True):
            whole = tf.convert_to_tensor(variable)
            variable.assign(ops.slice_update(whole, (slot * array.shape[0], 0, 0), array))


def piece_at(slot: int, tokens: np.ndarray, position: int) -> tuple[tf.Tensor, ...]:
    """The inputs for reading a piece of a prompt."""
    return tf.constant(slot), tf.constant(tokens), tf.constant(position)


def compiled(function: Callable, *inputs) -> Callable:
    """A function compiled for the shapes of these inputs, once and for all."""
    return tf.function(function, jit_compile=True).get_concrete_function(*inputs)


def _went_on(text: Text, token: int) -> bool:
    """Move a text to its next position; if that is a new one, put the sampled token there."""
    text.position += 1
    is_new = text.position == len(text.ids)
    if is_new:
        text.ids.append(token)
    return is_new
