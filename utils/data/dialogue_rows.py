"""Dialogues as rows of ids with a loss mask: packed, padded, and those of each training step."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from utils.data.chat_template import Template
from utils.data.dialogues import Dialogue

PATIENCE = 16  # a row is full when so many dialogues in turn have no room in it
MAX_LOSS_SHARE = 0.33  # of a row's ids; a bound, so that the targets of a step have one shape

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


class Row(NamedTuple):
    """Several dialogues in one row, none of which sees another one.

    They may share their beginning, such as a tale: each goes on from it as if it were alone. So
    the tale is read once for all of them.

    Attributes:
        ids: the ids of the shared beginning, then of the dialogues, one behind the other.
        weights: 1 for each id that is to be learnt, else 0.
        positions: the position of each id in its own dialogue, the shared beginning included.
        segments: 0 for the shared beginning, then the number of the dialogue; -1 for padding.
    """

    ids: list[int]
    weights: list[int]
    positions: list[int]
    segments: list[int]


Arrays = tuple[np.ndarray, ...]


def fill_row(
    dialogues: Iterable[Encoded], length: int, context: int, start: Encoded, shortest: int = 1
) -> Row:
    """Put dialogues into a row until several in turn have no room.

    Args:
        dialogues: the dialogues without their shared beginning; may be endless.
        length: the length of the row, in tokens.
        context: the longest dialogue that a model can read, the shared beginning included.
        start: the shared beginning.
        shortest: the fewest ids of a dialogue; a row with less room is full.
    """
    first, number, refused = len(start[0]), 0, 0
    row = Row(list(start[0]), list(start[1]), list(range(first)), [0] * first)
    for ids, weights in dialogues:
        if first + len(ids) > context or not _fits(row, ids, weights, length):
            refused += 1
            if refused == PATIENCE:
                break
            continue
        number += 1
        row.ids.extend(ids)
        row.weights.extend(weights)
        row.positions.extend(range(first, first + len(ids)))
        row.segments.extend([number] * len(ids))
        if length - len(row.ids) < shortest:
            break
    return row


def _fits(row: Row, ids: list[int], weights: list[int], length: int) -> bool:
    return (
        len(row.ids) + len(ids) <= length
        and sum(row.weights) + sum(weights) <= MAX_LOSS_SHARE * length
    )


def as_arrays(rows: Sequence[Row], length: int, end_id: int) -> Arrays:
    """Rows as the inputs, targets and weights of a step, padded with end ids of weight 0.

    Returns:
        inputs, targets: (rows, length - 1), int32.
        weights: (rows, length - 1), float32, of the targets.
        positions, segments: (rows, length - 1), int32, of the inputs.
    """
    ids, weights = pad([row[:2] for row in rows], length, end_id)
    positions = np.zeros(ids.shape, "int32")
    segments = np.full(ids.shape, -1, "int32")
    for i, row in enumerate(rows):
        positions[i, : len(row.ids)] = row.positions
        segments[i, : len(row.ids)] = row.segments
    return ids[:, :-1], ids[:, 1:], weights, positions[:, :-1], segments[:, :-1]


class PackedRows:
    """The rows of each step, for dialogues of any kind: each row is packed with as many as fit.

    Which dialogues share a row is decided once, by chance; in each pass the rows are shuffled anew.

    Args:
        dialogues: the dialogues, none longer than a row, which has `context` + 1 ids.
        context: the longest input of the model.
        end_id: the id that pads.
    """

    def __init__(self, dialogues: Sequence[Encoded], context: int, end_id: int):
        self.context, self.length, self.end_id = context, context + 1, end_id
        order = np.random.default_rng(0).permutation(len(dialogues))
        self.rows = list(pack((dialogues[int(i)] for i in order), self.length))

    def batch(self, step: int, batch_size: int, seed: int) -> Arrays:
        """The rows of one step, a function of the step and the seed: see `as_arrays`."""
        numbers = range(step * batch_size, (step + 1) * batch_size)
        rows = [_one_segment(*self._row(n, seed)) for n in numbers]
        return as_arrays(rows, self.length, self.end_id)

    def _row(self, number: int, seed: int) -> Encoded:
        passes, position = divmod(number, len(self.rows))
        order = np.random.default_rng([seed, passes]).permutation(len(self.rows))
        return self.rows[int(order[position])]

    @property
    def max_loss_tokens(self) -> int:
        """No row has more targets of weight 1 than this."""
        return max(sum(weights[1:]) for _, weights in self.rows)

    def in_order(self) -> tuple[np.ndarray, np.ndarray]:
        """Every row once: for validation."""
        return pad(self.rows, self.length, self.end_id)


def _one_segment(ids: list[int], weights: list[int]) -> Row:
    """A packed row as it always was: each dialogue sees those before it."""
    return Row(ids, weights, list(range(len(ids))), [0] * len(ids))


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

    A dialogue is left out if its last question and reply are too long by themselves, or if none of
    the replies that stay is to be learnt.

    Args:
        dialogues: dialogues of any length.
        template: the chat template that makes ids of them.
        context: the longest input of the model.
    """
    fitting, shortened, left_out = [], 0, 0
    for dialogue in dialogues:

        def fits(turns: int, dialogue: Dialogue = dialogue) -> bool:
            messages = _without_oldest_turns(dialogue, turns).messages
            return len(template.encode(messages)[0]) <= context + 1

        turns = len(dialogue.kinds)
        # By bisection, so that a dialogue of a thousand turns is not encoded a thousand times.
        forgotten = 0 if fits(0) else bisect_left(range(turns), True, key=fits)
        kept = _without_oldest_turns(dialogue, forgotten) if forgotten else dialogue
        if any(True for _ in kept.replies()):
            shortened += forgotten > 0
            fitting.append(kept)
        else:
            left_out += 1
    return Fitted(fitting, shortened, left_out)


def _without_oldest_turns(dialogue: Dialogue, number: int) -> Dialogue:
    """A dialogue without the first of its questions and replies; the system's message stays."""
    system = [message for message in dialogue.messages if message.role == "system"]
    talk = dialogue.messages[len(system) + 2 * number :]
    return replace(dialogue, messages=(*system, *talk), kinds=dialogue.kinds[number:])
