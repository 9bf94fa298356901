"""Dialogues as rows of ids with a loss mask: packed, padded, and those of each training step."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from utils.data.chat_template import Template
from utils.data.dialogues import LONGEST_DIALOGUE, Dialogue

Encoded = tuple[list[int], list[int]]  # ids, and for each of them a weight: to learn or not


def pack(dialogues: Iterable[Encoded], length: int) -> Iterator[Encoded]:
    """Put dialogues one behind the other into rows of at most `length` ids, in their order.

    A dialogue is never cut; one that is longer than a row is left out.
    """
    ids: list[int] = []
    weights: list[int] = []
    for more_ids, more_weights in dialogues:
        if len(more_ids) > length:
            continue
        if len(ids) + len(more_ids) > length:
            yield ids, weights
            ids, weights = [], []
        ids, weights = ids + more_ids, weights + more_weights
    if ids:
        yield ids, weights


def pad(rows: Sequence[Encoded], length: int, end_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Fill rows up on the right with end ids, which have weight 0.

    Returns:
        ids: (rows, length), int32.
        weights: (rows, length - 1), float32: of the targets, which are all ids but the first.
    """
    padded = np.full((len(rows), length), end_id, "int32")
    weights = np.zeros((len(rows), length - 1), "float32")
    for i, (ids, spoken) in enumerate(rows):
        padded[i, : len(ids)] = ids
        weights[i, : len(ids) - 1] = spoken[1:]
    return padded, weights


class DialogueRows:
    """The rows of each step of a fine-tuning, as `utils.data.batches.endless_batches` takes them.

    A dialogue about a tale fills a row by itself. Small talk is short, so a row is packed with as
    much of it as it holds. The rows of all steps stand in one sequence, and every sixth is small
    talk.

    Args:
        tales: dialogues about tales.
        talk: small talk.
        end_id: pads.
        talk_every: one row in so many is small talk.
        context: longest input of the model; a row has one id more.
    """

    def __init__(
        self,
        tales: Sequence[Encoded],
        talk: Sequence[Encoded],
        end_id: int,
        talk_every: int = 6,
        context: int = LONGEST_DIALOGUE,
    ):
        self.tales, self.talk, self.talk_every = tales, talk, talk_every
        self.context, self.end_id = context, end_id

    def batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of one step, a function of the step and the seed: see `pad`."""
        numbers = range(step * batch_size, (step + 1) * batch_size)
        return pad([self._row(n, seed) for n in numbers], self.context + 1, self.end_id)

    def _row(self, number: int, seed: int) -> Encoded:
        rows_of_talk, place = divmod(number, self.talk_every)
        if place == 0:
            order = np.random.default_rng([seed, number]).permutation(len(self.talk))
            return next(pack((self.talk[int(i)] for i in order), self.context + 1))
        return self._tale(number - rows_of_talk - 1, seed)

    def _tale(self, number: int, seed: int) -> Encoded:
        """The next dialogue about a tale; after each pass they are shuffled anew."""
        passes, place = divmod(number, len(self.tales))
        order = np.random.default_rng([seed, passes]).permutation(len(self.tales))
        return self.tales[int(order[place])]

    def max_loss_tokens(self, batch_size: int) -> int:
        """No step has more targets of weight 1 than this."""
        rows_of_talk = math.ceil(batch_size / self.talk_every)
        in_a_tale = max(sum(weights) for _, weights in self.tales)
        return rows_of_talk * self.context + (batch_size - rows_of_talk) * in_a_tale

    def in_order(self) -> tuple[np.ndarray, np.ndarray]:
        """Every dialogue once: for validation."""
        rows = pack([*self.tales, *self.talk], self.context + 1)
        return pad(list(rows), self.context + 1, self.end_id)


class PackedRows:
    """The rows of each step, for dialogues of any kind: each row is packed with as many as fit.

    Which dialogues share a row is decided once, by chance; in each pass the rows are shuffled anew.

    Args:
        dialogues: none longer than a row, which has `context` + 1 ids.
        context: longest input of the model.
        end_id: pads.
    """

    def __init__(self, dialogues: Sequence[Encoded], context: int, end_id: int):
        self.context, self.end_id = context, end_id
        order = np.random.default_rng(0).permutation(len(dialogues))
        self.rows = list(pack((dialogues[int(i)] for i in order), context + 1))

    def batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of one step, a function of the step and the seed: see `pad`."""
        numbers = range(step * batch_size, (step + 1) * batch_size)
        return pad([self._row(n, seed) for n in numbers], self.context + 1, self.end_id)

    def _row(self, number: int, seed: int) -> Encoded:
        passes, place = divmod(number, len(self.rows))
        order = np.random.default_rng([seed, passes]).permutation(len(self.rows))
        return self.rows[int(order[place])]

    def max_loss_tokens(self, batch_size: int) -> int:
        """No step has more targets of weight 1 than this."""
        return batch_size * max(sum(weights[1:]) for _, weights in self.rows)

    def in_order(self) -> tuple[np.ndarray, np.ndarray]:
        """Every row once: for validation."""
        return pad(self.rows, self.context + 1, self.end_id)


def encoded(dialogues: Sequence[Dialogue], template: Template) -> list[Encoded]:
    """Dialogues as ids with their weights."""
    return [template.encode(dialogue.messages) for dialogue in dialogues]


class Fitted(NamedTuple):
    """Dialogues that fit into a context, and how many did not as they were."""

    dialogues: list[Dialogue]
    shortened: int
    left_out: int


def fit_context(dialogues: Iterable[Dialogue], template: Template, context: int) -> Fitted:
    """Shorten dialogues that are too long, at their oldest turns; the system's message stays.

    A dialogue whose last question and reply are too long by themselves is left out.

    Args:
        dialogues: of any length.
        template: makes ids of them.
        context: longest input of the model.
    """
    fitting, shortened, left_out = [], 0, 0
    for dialogue in dialogues:
        short: Dialogue | None = dialogue
        while short and len(template.encode(short.messages)[0]) > context + 1:
            short = _without_oldest_turn(short)
        if short is None:
            left_out += 1
        else:
            shortened += short is not dialogue
            fitting.append(short)
    return Fitted(fitting, shortened, left_out)


def _without_oldest_turn(dialogue: Dialogue) -> Dialogue | None:
    """A dialogue without its first question and reply; None if there is only one."""
    system = [message for message in dialogue.messages if message.role == "system"]
    talk = dialogue.messages[len(system) + 2 :]
    return replace(dialogue, messages=(*system, *talk), kinds=dialogue.kinds[1:]) if talk else None
