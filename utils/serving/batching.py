"""Several texts at once, each at its own position: one compiled step for a fixed batch size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops

from utils.generation.adapted_gpt2 import AdapterOfText
from utils.generation.generator import Generator
from utils.generation.sampling import ATTEMPTS, Sampling, random_numbers, sample_tokens

# Tokens of a prompt that are read at a time, and how many such pieces between two steps. Pieces are
# large because each call of the model costs more than some more tokens do; but while they are read,
# all other texts wait. Of a large model, 64 tokens keep the processors busy just as well.
CHUNK, LARGE_MODEL_CHUNK, PIECES = 256, 64, 2
EVERYTHING = np.iinfo("int32").max  # top_k that cuts nothing off


class Penalties(NamedTuple):
    """What is added to the logits before sampling, as OpenAI's API defines it.

    Attributes:
        logit_bias: the numbers that are added from the start, by id.
        presence: a number subtracted from the logit of each token that has been generated.
        frequency: a number subtracted once more for each time that it has been.
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
        penalties: the penalties that change its logits.
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

    A model of `any_length` has two more ways to save time, which change its numbers in the last
    digits only: a text that is alone is written by a step of its own, and a prompt that begins like
    the last text of its slot, as in the next turn of a chat, is read from where the two differ.

    Args:
        generator: the model; its weights are shared, not copied.
        slots: texts at once.
    """

    def __init__(self, generator: Generator, slots: int):
        self.generator, self.slots = generator, slots
        self.texts: dict[int, Text] = {}
        self.temperature = np.ones((slots, 1), "float32")  # as `sample_tokens` divides the logits
        self.top_k = np.full(slots, EVERYTHING, "int32")
        self.top_p = np.ones(slots, "float32")
        # What penalties add to the logits.
        self.bias = np.zeros((slots, generator.vocabulary_size), "float32")
        self.chunk = min(LARGE_MODEL_CHUNK if generator.any_length else CHUNK, generator.context)
        self._left: dict[int, list[int]] = {}  # by slot: the ids of its last text in the cache
        self._prepare()

    def _prepare(self) -> None:
        """Make the cache, and compile what a step calls."""
        generator = self.generator
        empty = generator.empty_cache(self.slots, generator.context)
        # Variables, because XLA changes them in place; a tensor would be copied in each step.
        self.cache = tf.nest.map_structure(tf.Variable, empty)
        # The model's copy of the bias is renewed only when ours changes, so a server that nobody
        # asks for penalties does not wait for them.
        self._models_bias, self._bias_changed = tf.Variable(self.bias), False
        if generator.any_length:
            self._step_alone = compiled(self._write_alone, tf.constant(0), *self._inputs([0]))
            self._step_alone(tf.constant(0), *self._inputs([0]))
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
        adapter: int = 0,
    ) -> None:
        """Begin a text of at most `length` tokens, prompt included, in a free slot.

        A model with adapters, see `adapted_gpt2`, writes it with that of this number.
        """
        if isinstance(self.cache[-1], AdapterOfText):
            self.cache[-1].number[slot].assign([[adapter]])
        uniform, known = random_numbers(seed, 0, length), self._known(slot, prompt)
        self.texts[slot] = Text(list(prompt), uniform, penalties, set(), known)
        for token, value in penalties.logit_bias.items():
            self._add_bias(slot, token, value)
        self.temperature[slot] = sampling.temperature
        self.top_k[slot] = sampling.top_k
        self.top_p[slot] = sampling.top_p

    def best_slot(self, free: Sequence[int], prompt: Sequence[int]) -> int:
        """The free slot for a prompt: whose cache saves the most, and is the smallest loss."""

        def gain(slot: int) -> int:
            return 2 * self._known(slot, prompt) - len(self._left.get(slot, []))

        return max(free, key=gain)

    def _known(self, slot: int, prompt: Sequence[int]) -> int:
        """How many tokens of a prompt a free slot has in its cache; the last is read anew."""
        left = self._left.get(slot, [])
        most = min(len(left), len(prompt) - 1)
        return next((n for n in range(most) if left[n] != prompt[n]), most)

    def stop(self, slot: int) -> None:
        """Forget the text in a slot."""
        text = self.texts.pop(slot)
        if self.generator.any_length:
            self._left[slot] = text.ids[: text.position]
        if text.penalties is not NO_PENALTIES:
            self.bias[slot], self._bias_changed = 0, True
        self.temperature[slot], self.top_k[slot], self.top_p[slot] = 1, EVERYTHING, 1

    def step(self) -> dict[int, int]:
        """Go one token ahead in every text; the new ids by slot, none where a prompt is read."""
        for _ in range(PIECES):
            self._read_ahead()
        sampled = self._sampled()
        new = {
            slot: sampled[slot]
            for slot, text in self.texts.items()
            if _went_on(text, sampled[slot])
        }
        for slot, token in new.items():
            self._penalize(slot, token)
        return new

    def _sampled(self) -> dict[int, int]:
        """What follows the token at the position of each text, by slot."""
        if self._bias_changed:
            self._models_bias.assign(self.bias)
            self._bias_changed = False
        if self.generator.any_length and len(self.texts) == 1:
            slots = list(self.texts)
            sampled = self._step_alone(tf.constant(slots[0]), *self._inputs(slots))
        else:
            slots = list(range(self.slots))
            sampled = self._step(*self._inputs())
        return dict(zip(slots, sampled.numpy().tolist(), strict=True))

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

    def _inputs(self, slots: Sequence[int] | None = None) -> tuple:
        """What the next step reads: tokens, positions, random numbers, sampling settings.

        Args:
            slots: the slots whose texts are meant; None for all.
        """
        tokens, positions = np.zeros((self.slots, 1), "int32"), np.zeros(self.slots, "int32")
        uniform = np.zeros((self.slots, ATTEMPTS), "float32")
        for slot, left in self._left.items():  # a free slot reads its first token again,
            tokens[slot] = left[:1] or 0  # which changes nothing in its cache
        for slot, text in self.texts.items():
            tokens[slot], positions[slot] = text.ids[text.position], text.position
            uniform[slot] = text.uniform[text.position]
        settings = self.temperature, self.top_k, self.top_p
        rows = slice(None) if slots is None else slots
        inputs = [tf.constant(array[rows]) for array in (tokens, positions, uniform, *settings)]
        return *inputs[:3], Sampling(*inputs[3:])

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

    def _write_alone(self, slot, tokens, positions, uniform, sampling):
        """The same for the text in one slot: each of the inputs has one row."""
        logits = self._read_in_place(slot, tokens, positions)
        bias = tf.gather(self._models_bias, slot[None])
        return sample_tokens(logits[:, 0] + bias, uniform, sampling)

    def _read_in_place(self, slot, tokens, position):
        """Read tokens, (1, new), in one slot of a model of any length; their logits."""
        cache = tf.nest.map_structure(tf.convert_to_tensor, self.cache)
        read, weights = self.generator.read_tokens, self.generator.weights
        logits, cache = read(weights, tokens, position, cache, slot)
        tf.nest.map_structure(lambda variable, array: variable.assign(array), self.cache, cache)
        return logits

    def _read_piece(self, slot, tokens, position):
        """Read a piece of a prompt, (1, chunk), in one slot."""
        if self.generator.any_length:
            self._read_in_place(slot, tokens, position)
            return

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
