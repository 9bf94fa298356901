"""Pretraining: from a text to a GPT-2 that writes such texts. Lesson 8 explains each part."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol

import keras
import keras_nlp
import numpy as np

from utils.data.batches import Windows, endless_batches
from utils.data.corpora import Corpus
from utils.data.keras_tokenizers import as_keras
from utils.errors import CourseError
from utils.evaluation.losses import TokenLosses
from utils.models.gpt2 import build_gpt2, from_ids
from utils.training.accumulation import AccumulatingModel
from utils.training.budget import check_memory
from utils.training.identity import Identity, identify
from utils.training.optimizers import Muon, warmup_cosine
from utils.training.presets import save_preset
from utils.training.recipes import Recipe
from utils.training.runs import (
    ALONE,
    Method,
    Processes,
    Run,
    compiled,
    train_once,
)

VALIDATION_WINDOWS = 100  # at an evaluation; the last one reads all of them


def pretrain(
    corpus: Corpus,
    recipe: Recipe,
    snapshots: Collection[int] = (),
    quiet: bool = False,
    processes: Processes = ALONE,
    announce: bool = False,
) -> Run:
    """Train a GPT-2 on a corpus, or go on with a training that was stopped.

    Args:
        corpus: the corpus to learn.
        recipe: the training configuration, with the size of the model.
        snapshots: steps after which the weights are kept, for `Run.model_at`.
        quiet: whether to skip printing the evaluations of a finished run.
        processes: those that train together; each takes its share of every batch.
        announce: whether to say after the first steps how long the rest will take.

    Raises:
        TrainingFailed: if the loss becomes NaN or infinite. The last good checkpoint is kept.
        CheckpointError: if something cannot be written. The last good checkpoint is kept.
        CourseError: if the text is too short, the batch cannot be split as the recipe says, or the
            training does not fit into the memory.
    """
    identity = identity_of(corpus, recipe, snapshots)

    def prepare_method() -> Method:
        return method_of(corpus, recipe, processes)

    return train_once(identity, recipe, prepare_method, quiet, processes, announce)


def identity_of(corpus: Corpus, recipe: Recipe, snapshots: Collection[int] = ()) -> Identity:
    """The identity of a pretraining; its folder is where the run is kept."""
    merges = "\n".join(corpus.tokenizer.merge_lines)
    data = {"corpus": corpus.digest, "tokenizer": hashlib.sha256(merges.encode()).hexdigest()}
    return identify(__name__, corpus.name, data, recipe, tuple(snapshots))


def windows_of(corpus: Corpus, context: int) -> tuple[Windows, Windows]:
    """The windows of a corpus for training and for validation."""
    end_id = corpus.tokenizer.end_id
    train, validation = (
        Windows(ids, context, end_id, corpus.documents) for ids in (corpus.train, corpus.validation)
    )
    return train, validation


def prepare(model: keras_nlp.models.GPT2CausalLM, recipe: Recipe) -> keras.Model:
    """A model from ids to logits that shares the weights of a GPT-2, compiled for a run."""
    schedule = warmup_cosine(recipe.learning_rate, recipe.steps, warmup=recipe.steps // 20)
    optimizer = Muon(schedule, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)
    network = from_ids(model)
    if recipe.accumulate > 1:
        network = AccumulatingModel(network, recipe.accumulate)
    return compiled(network, optimizer)


class Losses(Protocol):
    """Measures a model on windows, as `TokenLosses` does."""

    def mean(self, rows: np.ndarray, weights: np.ndarray) -> float:
        """Nats per token; rows (windows, context + 1), weights (windows, context)."""


def method_of(
    corpus: Corpus,
    recipe: Recipe,
    processes: Processes = ALONE,
    losses_of: Callable[[keras.Model], Losses] = TokenLosses,
) -> Method:
    """What a pretraining consists of.

    Args:
        corpus, recipe, processes: the arguments of `pretrain`.
        losses_of: a function that makes what evaluates the model.

    Raises:
        CourseError: see `pretrain`.
    """
    context = recipe.size.context
    _check(corpus, recipe, processes)
    train, validation = windows_of(corpus, context)
    share = replace(recipe, batch_size=recipe.batch_size // processes.world)
    check_memory(share, corpus.vocabulary_size, train.context, in_parts=processes.world == 1)
    gpt2 = build_gpt2(corpus.vocabulary_size, recipe.size, recipe.dtype)
    model = prepare(gpt2, recipe)
    rows, weights = validation.in_order()
    # Evenly from the whole validation text, the same at every evaluation.
    some = np.linspace(0, len(rows) - 1, min(len(rows), VALIDATION_WINDOWS)).astype(int)
    losses = losses_of(model)
    return Method(
        model=model,
        backbone=gpt2.backbone,
        batches=lambda first_step: endless_batches(
            train, recipe.batch_size, recipe.seed, first_step, processes
        ),
        evaluate=lambda: losses.mean(rows[some], weights[some]),
        evaluate_fully=lambda: losses.mean(rows, weights),
        save=lambda path: save_preset(gpt2, as_keras(corpus.tokenizer), path),
    )


def _check(corpus: Corpus, recipe: Recipe, processes: Processes) -> None:
    if len(corpus.train) <= recipe.size.context:
        raise CourseError(
            f"{corpus.name} is too short to learn from: it has {len(corpus.train)} tokens, and"
            f" one window of the model takes {recipe.size.context + 1}."
        )
    parts = recipe.accumulate * processes.world
    if recipe.batch_size % parts:
        raise CourseError(
            f"A batch of {recipe.batch_size} cannot be split into {parts} equal parts: choose"
            " --batch-size and --accumulate so that one divides the other."
        )
