"""A reward model: it gives each text a score, so that the preferred text of a pair gets the higher.

    run = train_reward_model(pairs, "valid", base, RewardRecipe())
    scores = load_reward_model(run)(rows, mask)

It is the base model with one number at its end in place of the logits (Stiennon and others,
*Learning to summarize from human feedback*, 2020, section 3.4).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import keras_nlp
import numpy as np
from keras import ops

from utils.preferences.losses import BradleyTerryLoss, bradley_terry_loss
from utils.preferences.pairs import (
    PairRows,
    PairsRecipe,
    compile_for,
    identity_of,
    pair_batches,
    pair_inputs,
    split,
)
from utils.training.checkpoints import load_weights, save_weights
from utils.training.presets import load_preset
from utils.training.runs import Method, Run, train_once

FILE = "reward-model.npz"
TEXTS_AT_A_TIME = 32


@dataclass(frozen=True)
class RewardRecipe(PairsRecipe):
    """The configuration of a reward model; see `PairsRecipe`."""

    steps: int = 60
    batch_size: int = 16
    learning_rate: float = 3e-4


def train_reward_model(
    pairs: PairRows, name: str, base: Path, recipe: RewardRecipe, quiet: bool = False
) -> Run:
    """Train a reward model on pairs, or go on with a training that was stopped.

    Every tenth pair is held out; the validation loss is that of Bradley and Terry there, and log 2
    for a model that cannot tell the two texts apart. The weights with the lowest one are kept.

    Args:
        pairs: the pairs of texts, each with a preferred one.
        name: the name of the data, for the folder of the run.
        base: folder with the preset of a GPT-2.
        recipe: the training configuration.
        quiet: whether to skip printing the evaluations of a finished run.

    Raises:
        PairsError: if there are too few pairs.
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
        CourseError: if `base` holds no GPT-2.
    """
    identity = identity_of(__name__, f"reward-{name}", pairs, base, recipe)
    return train_once(identity, recipe, _prepare(pairs, base, recipe), quiet)


def _prepare(pairs: PairRows, base: Path, recipe: RewardRecipe) -> Callable[[], Method]:
    """What makes the method, when it is needed."""

    def method() -> Method:
        scorer = reward_model(load_preset(base))
        network = _for_pairs(scorer, pairs)
        train, held_out = split(len(pairs.rows))
        compile_for(network, BradleyTerryLoss(), recipe)
        none = np.zeros((len(pairs.rows), 2), "float32")  # Keras wants targets

        def evaluate() -> float:
            rows, mask = pairs.part(held_out)
            chosen, rejected = (score(scorer, rows[:, side], mask[:, side]) for side in (0, 1))
            return float(bradley_terry_loss(chosen, rejected))

        return Method(
            model=network,
            backbone=scorer,
            batches=lambda step: pair_batches(pairs, none, train, recipe, step),
            evaluate=evaluate,
            evaluate_fully=evaluate,
            save=lambda path: save_weights(path / FILE, scorer),
        )

    return method


def reward_model(gpt2: keras_nlp.models.GPT2CausalLM) -> keras.Model:
    """From rows (texts, time + 1) and masks (texts, time) to a score for each text, (texts,).

    The score is a linear function of the last hidden state, at the token that ends the text: the
    one position that has seen all of it. It begins as 0 for all texts.
    """
    rows = keras.Input((None,), dtype="int32")
    mask = keras.Input((None,), dtype="float32")
    hidden = gpt2.backbone({"token_ids": rows, "padding_mask": ops.ones_like(rows)})
    places = ops.cumsum(ops.ones_like(mask), axis=1)  # 1, 2, 3, … in each row
    last = ops.cast(ops.max(mask * places, axis=1), "int32")  # (texts,)
    at_end = ops.take_along_axis(hidden, last[:, None, None], axis=1)[:, 0]  # (texts, width)
    scores = keras.layers.Dense(1, kernel_initializer="zeros", name="score")(at_end)
    return keras.Model([rows, mask], scores[:, 0])


def _for_pairs(scorer: keras.Model, pairs: PairRows) -> keras.Model:
    rows, mask = pair_inputs(pairs)
    flat = [ops.reshape(x, (-1, x.shape[2])) for x in (rows, mask)]  # (2 · pairs, …)
    return keras.Model([rows, mask], ops.reshape(scorer(flat), (-1, 2)))


def score(scorer: keras.Model, rows: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The score of each text, (texts,)."""
    full = -(-len(rows) // TEXTS_AT_A_TIME) * TEXTS_AT_A_TIME
    numbers = np.resize(np.arange(len(rows)), full)  # one shape for every batch
    parts = [
        scorer.predict_on_batch([rows[some], mask[some]])
        for some in np.split(numbers, full // TEXTS_AT_A_TIME)
    ]
    return np.concatenate(parts)[: len(rows)]


def load_reward_model(run: Run, base: Path) -> keras.Model:
    """The trained reward model of a run; see `reward_model`.

    Raises:
        CheckpointError: if its file is missing or damaged.
    """
    scorer = reward_model(load_preset(base))
    load_weights(Path(run.preset) / FILE, scorer)
    return scorer


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The probability that a text that should win has the higher score; 0.5 is chance.

    Args:
        positive, negative: the scores of the texts that should win, and of the others.
    """
    higher = positive[:, None] > negative[None]
    return float(np.mean(higher + 0.5 * (positive[:, None] == negative[None])))
