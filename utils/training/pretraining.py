"""Pretraining: from a text to a small GPT-2 that writes such texts. Lesson 8 explains each part."""

import hashlib
import json
import math
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import keras_nlp
import numpy as np

from utils.data.batches import Windows, endless_batches
from utils.data.corpora import Corpus
from utils.data.keras_tokenizers import GPT2Tokenizer, as_keras
from utils.errors import CourseError
from utils.evaluation.losses import TokenLosses
from utils.models.gpt2 import SMALL, from_ids, small_gpt2
from utils.paths import checkpoints_dir
from utils.training.checkpoints import (
    exclusive_lock,
    load_checkpoint,
    load_weights,
    need_space,
    save_checkpoint,
    save_weights,
    whole,
)
from utils.training.optimizers import Muon, warmup_cosine
from utils.training.progress import Progress
from utils.training.recipes import ChatRecipe, Recipe

CONTEXT = SMALL["max_sequence_length"]
VALIDATION_WINDOWS = 100  # for a report; the last validation reads all of them
RESULT = "result.json"
SNAPSHOT = "snapshot-{:07d}.npz"
BEST = "best.npz"


class TrainingFailed(CourseError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: holds the model and what training has kept.
        history: for each report its `step`, `loss`, `validation_loss` and `learning_rate`; the loss
            is the mean since the report before, the validation loss that of a part of the text.
        validation_loss: of the trained model on the whole validation text, in nats per token.
    """

    folder: Path
    history: list[dict]
    validation_loss: float

    @property
    def preset(self) -> str:
        """The trained model, for `keras_nlp.models.GPT2CausalLM.from_preset`."""
        return str(self.folder / "preset")

    def model_at(self, step: int) -> keras_nlp.models.GPT2CausalLM:
        """The model as it was after a step of which there is a snapshot."""
        model = keras_nlp.models.GPT2CausalLM.from_preset(self.preset)
        load_weights(self.folder / SNAPSHOT.format(step), model.backbone)
        return model


# ---- the model and its optimizer -----------------------------------------------------------------


def prepare(model: keras_nlp.models.GPT2CausalLM, recipe: Recipe) -> keras.Model:
    """A model from ids to logits that shares the weights of a GPT-2, compiled for a run."""
    schedule = warmup_cosine(recipe.learning_rate, recipe.steps, warmup=recipe.steps // 20)
    optimizer = Muon(schedule, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)
    return compiled(from_ids(model), optimizer)


def compiled(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> keras.Model:
    """Compile with the loss of pretraining: nats per token, the mean over targets of weight 1."""
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    model.compile(optimizer=optimizer, loss=loss, weighted_metrics=[], jit_compile=True)
    return model


# ---- training ------------------------------------------------------------------------------------


def pretrain(
    corpus: Corpus, recipe: Recipe, snapshots: Collection[int] = (), quiet: bool = False
) -> Run:
    """Train a small GPT-2 on a corpus, or go on with a training that was stopped.

    What is finished is not trained again; its reports are printed again. A second process that
    wants the same run waits for the first.

    Args:
        corpus: what to learn.
        recipe: how.
        snapshots: steps after which the weights are kept, for `Run.model_at`.
        quiet: do not print the reports of a finished run.

    Raises:
        TrainingFailed: if the loss becomes NaN or infinite. The last good checkpoint is kept.
        CheckpointError: if something cannot be written. The last good checkpoint is kept.
        CourseError: if the text is too short.
    """
    folder = run_folder(corpus, recipe)
    return once(folder, recipe, lambda: _train(corpus, recipe, folder, snapshots), quiet)


def run_folder(corpus: Corpus, recipe: Recipe) -> Path:
    """Where a run keeps its files. Another recipe or another text has another folder."""
    settings = json.dumps([corpus.digest, SMALL, asdict(recipe)])
    digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return checkpoints_dir() / f"{corpus.name}-{digest}"


def is_finished(folder: Path) -> bool:
    """Is there a trained model in this folder?"""
    return (folder / "preset").is_dir()


def read_run(folder: Path) -> Run:
    """A finished run, from its folder."""
    return Run(folder, **json.loads((folder / RESULT).read_text(encoding="utf-8")))


def once(
    folder: Path, recipe: Recipe | ChatRecipe, train: Callable[[], Run], quiet: bool = False
) -> Run:
    """Train, unless it was done before; then print its reports again, or be `quiet`.

    A second process that wants the same run waits for the first.
    """
    with exclusive_lock(folder):
        if not is_finished(folder):
            return train()
        run = read_run(folder)
    if not quiet:
        progress = Progress(steps_per_epoch=recipe.steps_per_report)
        for number, report in enumerate(run.history, start=1):
            losses = {name: report[name] for name in ("loss", "validation_loss")}
            progress.line(number, recipe.steps // recipe.steps_per_report, losses)
    return run


def _train(corpus: Corpus, recipe: Recipe, folder: Path, snapshots: Collection[int]) -> Run:
    end_id = corpus.tokenizer.end_id
    if len(corpus.train) <= CONTEXT:
        raise CourseError(
            f"{corpus.name} is too short to learn from: it has {len(corpus.train)} tokens, and"
            f" one window of the model takes {CONTEXT + 1}."
        )
    windows = Windows(corpus.train, CONTEXT, end_id, corpus.documents)
    validation = Windows(corpus.validation, CONTEXT, end_id, corpus.documents).in_order()
    keras.utils.set_random_seed(recipe.seed)
    gpt2 = small_gpt2(corpus.vocabulary_size)
    model = prepare(gpt2, recipe)
    step, history = load_checkpoint(folder, model)
    keeper = Keeper(folder, gpt2.backbone, recipe, validation, history, snapshots)
    if step == 0 and 0 in snapshots:
        save_weights(folder / SNAPSHOT.format(0), gpt2.backbone)
    if not keeper.should_stop():
        model.fit(
            endless_batches(windows, recipe.batch_size, recipe.seed, first_step=step),
            initial_epoch=step // recipe.steps_per_report,
            epochs=recipe.steps // recipe.steps_per_report,
            steps_per_epoch=recipe.steps_per_report,
            shuffle=False,  # the batches are shuffled already
            verbose=0,
            callbacks=[
                keeper,
                Progress(steps_per_epoch=recipe.steps_per_report),
                keras.callbacks.TensorBoard(folder / "logs", write_graph=False),
            ],
        )
    load_weights(folder / BEST, gpt2.backbone)
    result = {"history": history, "validation_loss": TokenLosses(model).mean(*validation)}
    with whole(folder / RESULT) as path:
        path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    save_preset(
        gpt2, as_keras(corpus.tokenizer), folder / "preset"
    )  # last: it says that the run is finished
    return read_run(folder)


class Keeper(keras.callbacks.Callback):
    """Reports, and keeps what must not be lost: checkpoints, snapshots and the best weights."""

    def __init__(self, folder, backbone, recipe, validation, history, snapshots):
        super().__init__()
        self.folder, self.backbone, self.recipe = folder, backbone, recipe
        self.snapshots = set(snapshots)
        rows, weights = validation
        # Evenly from the whole validation text, the same for every report.
        chosen = np.linspace(0, len(rows) - 1, min(len(rows), VALIDATION_WINDOWS)).astype(int)
        self.validation = rows[chosen], weights[chosen]
        self.history = history
        self.steps_before = 0

    def on_train_begin(self, logs=None):
        self.losses = TokenLosses(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        self.steps_before = epoch * self.recipe.steps_per_report

    def on_train_batch_end(self, batch, logs=None):
        step = self.steps_before + batch + 1
        self._check(logs["loss"], step)
        if step in self.snapshots:
            save_weights(self.folder / SNAPSHOT.format(step), self.backbone)

    def on_epoch_end(self, epoch, logs=None):
        step = self.steps_before + self.recipe.steps_per_report
        logs["validation_loss"] = self.losses.mean(*self.validation)
        self._check(logs["validation_loss"], step)
        rate = float(self.model.optimizer.learning_rate)
        self.history.append({"step": step, **logs, "learning_rate": rate})
        if self.reports_since_best() == 0:
            save_weights(self.folder / BEST, self.backbone)
        save_checkpoint(self.folder, self.model, step, self.history)
        self.model.stop_training = self.should_stop()

    def reports_since_best(self) -> int:
        """Reports after the one with the lowest validation loss."""
        losses = [report["validation_loss"] for report in self.history]
        return len(losses) - 1 - int(np.argmin(losses)) if losses else 0

    def should_stop(self) -> bool:
        """Early stopping: has the validation loss not improved for long enough?"""
        return self.reports_since_best() >= self.recipe.patience

    def _check(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"The loss became {loss} at step {step}: the learning rate"
                f" {self.recipe.learning_rate:g} is too high, try a tenth of it. Checkpoints from"
                f" before are kept in {self.folder}."
            )


def save_preset(model: keras_nlp.models.GPT2CausalLM, tokenizer: GPT2Tokenizer, path: Path) -> None:
    """Write a model together with its tokenizer, as keras-nlp's `from_preset` reads them."""
    preprocessor = keras_nlp.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=CONTEXT)
    complete = keras_nlp.models.GPT2CausalLM(model.backbone, preprocessor)
    need_space(path.parent, 10 * complete.count_params())  # HDF5 cannot say it by itself
    with whole(path) as part:
        complete.save_to_preset(str(part))
