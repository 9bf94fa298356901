"""Preference pairs as ids, and what DPO and a reward model have in common when they learn them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from utils.data.batches import every_step
from utils.data.bpe import Tokenizer
from utils.data.chat_template import Template, plain_ids
from utils.data.dialogues import Message
from utils.preferences.pair_file import PairsError
from utils.preferences.stories import Stories
from utils.training.identity import Identity, identify
from utils.training.optimizers import WarmupStableDecay
from utils.training.presets import preset_digest
from utils.training.recipes import TrainingRecipe

HELD_OUT = 10  # one pair in so many is for validation


class PairRows(NamedTuple):
    """Pairs as ids.

    Attributes:
        rows: token ids, (pairs, 2, time + 1), int32: the chosen text and the rejected one, padded.
        mask: 1 for each token of the continuation, (pairs, 2, time), float32.
    """

    rows: np.ndarray
    mask: np.ndarray

    def part(self, numbers: slice | np.ndarray) -> "PairRows":
        """Some of the pairs."""
        return PairRows(self.rows[numbers], self.mask[numbers])


# ---- ids -----------------------------------------------------------------------------------------

Ids = tuple[list[int], list[int]]  # of a prompt and of its continuation


def chat_ids(prompt: str, text: str, template: Template) -> Ids:
    """The prompt as a message of the user and the text as the reply, in the chat template."""
    start = template.prompt([Message("user", prompt)])
    return list(start), [*plain_ids(text, template.tokenizer), template.end_id]


def text_ids(prompt: str, text: str, tokenizer: Tokenizer) -> Ids:
    """The prompt as the beginning of a text, and how it goes on, for a model that cannot chat."""
    start = [tokenizer.end_id, *plain_ids(prompt, tokenizer)]
    return start, [*plain_ids(text, tokenizer), tokenizer.end_id]


def as_rows(pairs: Sequence[tuple[Ids, Ids]], end_id: int) -> PairRows:
    """Pairs of ids, the chosen one first, as arrays that are as long as the longest one."""
    longest = max(len(start) + len(rest) for pair in pairs for start, rest in pair)
    rows = np.full((len(pairs), 2, longest), end_id, "int32")
    mask = np.zeros((len(pairs), 2, longest - 1), "float32")
    for number, pair in enumerate(pairs):
        for side, (start, rest) in enumerate(pair):
            rows[number, side, : len(start) + len(rest)] = [*start, *rest]
            mask[number, side, len(start) - 1 : len(start) + len(rest) - 1] = 1
    return PairRows(rows, mask)


def pairs_of_stories(chosen: Stories, rejected: Stories) -> PairRows:
    """The first of the chosen stories with the first of the rejected ones, and so on."""
    number = min(len(chosen.rows), len(rejected.rows))
    sides = [(part.rows[:number], part.mask[:number]) for part in (chosen, rejected)]
    return PairRows(*(np.stack(arrays, axis=1) for arrays in zip(*sides, strict=True)))


# ---- training ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairsRecipe(TrainingRecipe):
    """The configuration of a training on pairs.

    Attributes:
        batch_size: pairs in a step.
        learning_rate: the highest one; it falls in a line to 0.
        evaluations: how often the loss of the held-out pairs is measured.
    """

    patience: int = 1000
    evaluations: int = 5

    @property
    def steps_per_evaluation(self) -> int:
        """Steps between two evaluations."""
        return max(1, self.steps // self.evaluations)


def identity_of(
    module: str, name: str, pairs: PairRows, base: Path, recipe: PairsRecipe
) -> Identity:
    """What a run on pairs is made of.

    Args:
        module: the one that trains.
        name: the name of the run.
        pairs: the pairs of texts, each with a preferred one.
        base: folder with the preset of a GPT-2.
        recipe: the training configuration.

    Raises:
        PairsError: if there are too few pairs.
        CourseError: if `base` holds no preset.
    """
    split(len(pairs.rows))  # first: too few of them are told at once
    digest = hashlib.sha256(pairs.rows.tobytes() + pairs.mask.tobytes()).hexdigest()
    return identify(module, name, {"base": preset_digest(base), "pairs": digest}, recipe)


def compile_for(network: keras.Model, loss: keras.losses.Loss, recipe: PairsRecipe) -> None:
    """Give a network of pairs its optimizer, Adam with a warm-up over a tenth of the steps."""
    rate = WarmupStableDecay(
        recipe.learning_rate, recipe.steps, warmup=recipe.steps // 10, decay=recipe.steps
    )
    optimizer = keras.optimizers.Adam(rate, beta_2=0.98, global_clipnorm=1.0)
    network.compile(optimizer=optimizer, loss=loss, jit_compile=True)
    optimizer.build(network.trainable_variables)


def split(number: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the pairs to learn from, and of every tenth one, which is held out.

    Raises:
        PairsError: if there are too few to hold any out.
    """
    if number < HELD_OUT:
        raise PairsError(
            f"There are {number} pairs, and at least {HELD_OUT} are needed, because one in ten is"
            " held out: add some."
        )
    held_out = np.arange(1, number + 1) % HELD_OUT == 0
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def pair_inputs(pairs: PairRows) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The inputs of a network that reads such pairs: rows and masks."""
    shapes = pairs.rows.shape[1:], pairs.mask.shape[1:]
    return keras.Input(shapes[0], dtype="int32"), keras.Input(shapes[1], dtype="float32")


def pair_batches(
    pairs: PairRows,
    targets: np.ndarray,
    train: np.ndarray,
    recipe: TrainingRecipe,
    first_step: int = 0,
) -> tf.data.Dataset:
    """The batches of all steps from `first_step` on: (rows, mask), targets.

    Args:
        pairs: the pairs of which to take some.
        targets: what the loss compares with, (pairs, …).
        train: the numbers of the pairs that may be taken.
        recipe: its batch size and its seed; each pass has another order.
        first_step: number of the step to begin with.
    """
    size = recipe.batch_size

    def batch(step: int) -> tuple[np.ndarray, ...]:
        places = np.arange(step * size, (step + 1) * size)
        passes, orders = places // len(train), {}
        for number in set(passes.tolist()):
            orders[number] = np.random.default_rng([recipe.seed, number]).permutation(train)
        some = [orders[int(p)][i % len(train)] for p, i in zip(passes, places, strict=True)]
        return pairs.rows[some], pairs.mask[some], targets[some]

    return every_step(batch, first_step).map(lambda rows, mask, wanted: ((rows, mask), wanted))
