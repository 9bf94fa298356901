"""DPO: learn from pairs of texts, without a reward model and without sampling.

    run = train_on_pairs(pairs, "hedgehog", base, DpoRecipe())

Source: Rafailov and others, *Direct Preference Optimization: Your Language Model is Secretly a
Reward Model*, 2023.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import keras_nlp
import numpy as np
from keras import ops

from utils.data.chat_template import ChatTokenizer, with_roles
from utils.data.keras_tokenizers import GPT2Tokenizer, as_keras, from_keras
from utils.preferences.losses import DpoLoss, dpo_loss
from utils.preferences.pairs import (
    PairRows,
    PairsRecipe,
    compile_for,
    identity_of,
    pair_batches,
    pair_inputs,
    split,
)
from utils.preferences.stories import log_prob_network
from utils.training.budget import check_tuning_memory
from utils.training.presets import load_preset, save_preset
from utils.training.runs import Method, Run, train_once

PAIRS_AT_A_TIME = 4


@dataclass(frozen=True)
class DpoRecipe(PairsRecipe):
    """The configuration of DPO; see `PairsRecipe` for the other attributes.

    Attributes:
        beta: how much a nat of log ratio is worth.
    """

    steps: int = 60
    batch_size: int = 8
    learning_rate: float = 1e-4
    beta: float = 0.1
    evaluations: int = 4


def train_on_pairs(
    pairs: PairRows, name: str, base: Path, recipe: DpoRecipe, quiet: bool = False
) -> Run:
    """Train a model on pairs, or go on with a training that was stopped.

    Every tenth pair is held out. The validation loss is the DPO loss there, and log 2 for a model
    that is still the base.

    Args:
        pairs: the pairs of texts, each with a preferred one.
        name: the name of the data, for the folder of the run.
        base: folder with the preset of a GPT-2, with or without the roles of a chat.
        recipe: the training configuration.
        quiet: whether to skip printing the evaluations of a finished run.

    Raises:
        PairsError: if there are too few pairs.
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
        CourseError: if `base` holds no GPT-2.
    """
    identity = identity_of(__name__, f"dpo-{name}", pairs, base, recipe)
    return train_once(identity, recipe, _prepare(pairs, base, recipe), quiet)


def _prepare(pairs: PairRows, base: Path, recipe: DpoRecipe) -> Callable[[], Method]:
    """What makes the method, when it is needed."""

    def method() -> Method:
        gpt2 = load_preset(base)
        texts, context = 2 * recipe.batch_size, pairs.mask.shape[2]
        check_tuning_memory(gpt2, texts, context, texts * context)
        network = pair_network(gpt2, pairs)
        by_base = log_probs_of(network, pairs)  # before anything is trained
        train, held_out = split(len(pairs.rows))
        compile_for(network, DpoLoss(recipe.beta), recipe)

        def evaluate() -> float:
            log_probs = log_probs_of(network, pairs.part(held_out))
            return float(dpo_loss(log_probs, by_base[held_out], recipe.beta))

        return Method(
            model=network,
            backbone=gpt2.backbone,
            batches=lambda step: pair_batches(pairs, by_base, train, recipe, step),
            evaluate=evaluate,
            evaluate_fully=evaluate,
            save=lambda path: save_preset(gpt2, _tokenizer(gpt2), path),
        )

    return method


def _tokenizer(gpt2: keras_nlp.models.GPT2CausalLM) -> GPT2Tokenizer:
    found = gpt2.preprocessor.tokenizer
    plain = from_keras(found)
    return with_roles(plain) if isinstance(found, ChatTokenizer) else as_keras(plain)


def pair_network(gpt2: keras_nlp.models.GPT2CausalLM, pairs: PairRows) -> keras.Model:
    """The same weights, from pairs of rows to log p of the two continuations, (pairs, 2), in nats.

    The inputs are rows (pairs, 2, time + 1) and masks (pairs, 2, time), as long as those of some
    pairs.
    """
    rows, mask = pair_inputs(pairs)
    flat = ops.reshape(rows, (-1, rows.shape[2]))  # (2 · pairs, time + 1)
    log_probs = ops.reshape(log_prob_network(gpt2)(flat), (-1, *mask.shape[1:]))
    return keras.Model([rows, mask], ops.sum(log_probs * mask, axis=-1))


def log_probs_of(network: keras.Model, pairs: PairRows) -> np.ndarray:
    """log p of both continuations of each pair by a `pair_network`, (pairs, 2), in nats."""
    full = -(-len(pairs.rows) // PAIRS_AT_A_TIME) * PAIRS_AT_A_TIME
    numbers = np.resize(np.arange(len(pairs.rows)), full)  # one shape for every batch
    parts = [
        network.predict_on_batch([pairs.rows[some], pairs.mask[some]])
        for some in np.split(numbers, full // PAIRS_AT_A_TIME)
    ]
    return np.concatenate(parts)[: len(pairs.rows)]
