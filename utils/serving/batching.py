"""Several texts at once, each at its own place: one compiled step for a fixed number of slots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from keras import ops

from utils.generation.generator import Generator
from utils.generation.sampling import ATTEMPTS, Sampling, random_numbers, sample_tokens

# Tokens of a prompt that are read at a time, and how many such pieces between two steps. To call
# the model at all takes longer than to read some more tokens, so that pieces are large; but while
# they are read, everybody else waits.
CHUNK, PIECES = 256, 2
EVERYTHING = np.iinfo("int32").max  # top_k that cuts nothing off


@dataclass
class Text:
    """A text that is being written.

    Attributes:
        ids: the prompt, and what has been drawn so far.
        uniform: random numbers for each place, (length, ATTEMPTS).
        position: the place that the next step reads; all before it are in the cache.
    """

    ids: list[int]
    uniform: np.ndarray
    position: int = 0


class Batch:
    """Writes up to `slots` texts together. A text may begin or end while others go on.

    The shapes never change, so everything is compiled when this is made, and nothing later. A slot
    without a text goes through the step as well: its token is not used. Each text is the one that
    `Generator.stream` would write.

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
        self.chunk = min(CHUNK, length)
        self._step = compiled(self._write_one, *self._inputs())
        self._read = compiled(self._read_piece, *piece_at(0, np.zeros((1, self.chunk), "int32"), 0))
        self.step()
        self._read(*piece_at(0, np.zeros((1, self.chunk), "int32"), 0))

    def start(
        self, slot: int, prompt: Sequence[int], length: int, sampling: Sampling, seed: int
    ) -> None:
        """Begin a text of at most `length` tokens, prompt included, in a free slot."""
        self.texts[slot] = Text(list(prompt), random_numbers(seed, 0, length))
        self.temperature[slot] = sampling.temperature
        self.top_k[slot] = sampling.top_k
        self.top_p[slot] = sampling.top_p

    def stop(self, slot: int) -> None:
        """Forget the text in a slot."""
        del self.texts[slot]
        self.temperature[slot], self.top_k[slot], self.top_p[slot] = 1, EVERYTHING, 1

    def step(self) -> dict[int, int]:
        """Go one token ahead in every text; the new ids, by slot. None where a prompt is read."""
        for _ in range(PIECES):
            self._read_ahead()
        drawn = self._step(*self._inputs()).numpy().tolist()
        return {
            slot: drawn[slot] for slot, text in self.texts.items() if _went_on(text, drawn[slot])
        }

    def _inputs(self) -> tuple:
        """What the next step reads: tokens, positions, random numbers, and how to draw."""
        tokens, positions = np.zeros((self.slots, 1), "int32"), np.zeros(self.slots, "int32")
        uniform = np.zeros((self.slots, ATTEMPTS), "float32")
        for slot, text in self.texts.items():
            tokens[slot], positions[slot] = text.ids[text.position], text.position
            uniform[slot] = text.uniform[text.position]
        settings = Sampling(*map(tf.constant, (self.temperature, self.top_k, self.top_p)))
        return *map(tf.constant, (tokens, positions, uniform)), settings

    def _read_ahead(self) -> None:
        """Read a piece of the first prompt that is not read yet, if there is one.

        The last token of a prompt is left to the step, which draws what follows it. A piece may go
        beyond the prompt: what it puts into the cache there is not looked at before it is replaced.
        And a piece must not go beyond the cache; rather it begins earlier and reads some again.
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
        """Read a token in each slot, (slots, 1), at its place, (slots,); draw what follows."""
        cache = tf.nest.map_structure(tf.convert_to_tensor, self.cache)
        logits, cache = self.generator.read_tokens(self.generator.weights, tokens, positions, cache)
        tf.nest.map_structure(lambda variable, array: variable.assign(array), self.cache, cache)
        return sample_tokens(logits[:, 0], uniform, sampling)

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


def _went_on(text: Text, drawn: int) -> bool:
    """Move a text to its next place; if that is a new one, put there what was drawn."""
    text.position += 1
    is_new = text.position == len(text.ids)
    if is_new:
        text.ids.append(drawn)
    return is_new
