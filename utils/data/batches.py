"""Windows of text: what a model sees in one training step.

A *window* is `context` + 1 ids in a row. All but the last are the inputs, all but the first are
the targets: at each place the model has to say what comes next.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf


class Windows:
    """A text cut into windows.

    Running text is cut anew for each pass over it, at places shifted by a random number, so that
    no word always stands at the same place. Short documents get a window each, with the end id in
    front, and padded with end ids behind; the padding has weight 0 in the loss. A window then
    never shows the model two tales at once, whose heroes it could confuse.

    Args:
        ids: token ids, (tokens,), more than `context` of them to train on; may be a memory map.
        context: the longest input. If no document is as long, the windows are shorter.
        end_id: the id that stands at the end of each document, and before the first.
        documents: whether to give each document its own window.
    """

    def __init__(self, ids: np.ndarray, context: int, end_id: int, documents: bool = False):
        self.ids, self.context, self.end_id = ids, context, end_id
        self.marks = None
        if documents:  # document i lies between two end ids, marks[i] and marks[i + 1]
            self.marks = np.flatnonzero(np.asarray(ids) == end_id)
            self.context = min(context, int(np.diff(self.marks).max()))

    def __len__(self) -> int:
        """The number of windows in one pass."""
        if self.marks is not None:
            return len(self.marks) - 1
        return max(1, (len(self.ids) - 1) // self.context - 1)

    def in_order(self) -> tuple[np.ndarray, np.ndarray]:
        """Every window once, for validation: each id is a target once.

        Of a document longer than the context only the beginning is there.

        Returns:
            rows: (windows, context + 1), int32.
            weights: (windows, context), float32, 0 where the target is padding.
        """
        if self.marks is not None:
            return self._rows(self.marks[:-1])
        return self._rows(np.arange(0, len(self.ids) - 1, self.context))

    def batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The windows of one training step: (batch, context + 1), and weights as above.

        A function of the step and the seed alone. A run that goes on after a break needs no other
        memory of where it was in the text.
        """
        steps_per_pass = max(1, len(self) // batch_size)
        number, place = divmod(step, steps_per_pass)
        order = self._shuffled(number, seed)
        chosen = order[place * batch_size : (place + 1) * batch_size]
        return self._rows(np.resize(chosen, batch_size))

    def _shuffled(self, number: int, seed: int) -> np.ndarray:
        """The first places of the windows of one pass, in random order."""
        rng = np.random.default_rng([seed, number])
        if self.marks is not None:
            return rng.permutation(self.marks[:-1])
        shift = rng.integers(min(self.context, len(self.ids) - self.context))
        return rng.permutation(len(self)) * self.context + shift

    def _rows(self, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.full((len(starts), self.context + 1), self.end_id, dtype="int32")
        weights = np.zeros((len(starts), self.context), dtype="float32")
        stops = starts + self.context + 1
        if self.marks is not None:
            following = self.marks[np.searchsorted(self.marks, starts) + 1]
            stops = np.minimum(stops, following + 1)
        for row, weight, start, stop in zip(rows, weights, starts, stops, strict=True):
            text = self.ids[start:stop]
            row[: len(text)] = text
            weight[: len(text) - 1] = 1
        return rows, weights


def as_examples(rows: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Windows as `fit` takes them: (inputs, targets, weights), each (batch, context)."""
    return rows[:, :-1], rows[:, 1:], weights


class Batches(Protocol):
    """What can give the rows of any step: `Windows`, or something like it."""

    context: int

    def batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows (batch, context + 1), and the weights of their targets, (batch, context)."""


def endless_batches(
    windows: Batches,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """The batches of all steps from `first_step` on, for `fit(..., steps_per_epoch=...)`.

    Args:
        windows: the windows, which give the rows of any step.
        batch_size: rows in a step, of all processes together.
        seed: the seed of the order of the rows.
        first_step: number of the step to begin with.
        shard: the number of this process, and how many there are. Every process takes other rows
            of each step, and together they take all.
    """
    rank, world = shard

    def batch(step: int) -> tuple[np.ndarray, ...]:
        rows, weights = windows.batch(step, batch_size, seed)
        return as_examples(rows[rank::world], weights[rank::world])

    return every_step(batch, first_step)


def every_step(
    batch: Callable[[int], tuple[np.ndarray, ...]], first_step: int = 0
) -> tf.data.Dataset:
    """The batches of all steps from `first_step` on.

    Keras would make such a data set from a generator by itself. Two things are done better here
    (measured with TensorFlow 2.21 on Python 3.11). A data set from a generator makes the whole
    process give every larger piece of memory back at once, which costs a fifth of the training
    time. And TensorFlow's self-tuning delays the end of `fit` by up to minutes; it is off.

    Args:
        batch: a function from a step to its arrays, of the same shapes and types for each step.
        first_step: number of the step to begin with.
    """
    example = batch(first_step)

    def arrays(step):
        kinds = [part.dtype for part in example]
        parts = tf.numpy_function(lambda number: batch(int(number)), [step], kinds)
        return tuple(
            tf.ensure_shape(part, like.shape) for part, like in zip(parts, example, strict=True)
        )

    return _untuned(tf.data.Dataset.counter(first_step).map(arrays))


def ready_batches(batches: Iterable[Sequence[np.ndarray]]) -> tf.data.Dataset:
    """A few batches of equal shape, all in memory, for `fit`; why, see `every_step`.

    Args:
        batches: the batches, each with inputs, targets and perhaps weights.
    """
    arrays = (np.stack(parts) for parts in zip(*batches, strict=True))  # (steps, batch, …) each
    return _untuned(tf.data.Dataset.from_tensor_slices(tuple(arrays)))


def _untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
