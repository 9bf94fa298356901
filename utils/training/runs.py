"""The one harness for everything that trains.

A *method*, such as pretraining or fine-tuning, says what is trained: a model, the batches of each
step, an evaluation. The harness does the rest, the same for all: a run can be stopped at any time
and goes on, stops early, keeps its best weights, its snapshots and its logs, says when the loss is
no longer finite, and is made once, however many processes want it.

    run = train_once(identity, recipe, prepare)     # `prepare` makes the method, when it is needed
"""

import json
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

from utils.errors import CourseError
from utils.files import atomic_write, exclusive_lock
from utils.paths import checkpoints_dir
from utils.training.budget import TimeEstimate
from utils.training.checkpoints import (
    cannot_write,
    forget_checkpoints,
    is_readable,
    load_checkpoint,
    load_weights,
    newest_step,
    save_checkpoint,
    save_weights,
)
from utils.training.identity import FILE, Identity, read_identity, what_differs
from utils.training.presets import load_preset
from utils.training.progress import Progress
from utils.training.recipes import TrainingRecipe

RESULT = "result.json"
PRESET = "preset"
SNAPSHOT = "snapshot-{:07d}.npz"
BEST = "best.npz"


class TrainingFailed(CourseError):
    """The loss became NaN or infinite."""


class Method(NamedTuple):
    """What a way of training consists of.

    Attributes:
        model: the compiled model, for `fit`.
        backbone: the model whose weights are the result; they are part of `model`.
        batches: a function from a step to the data set of all batches from that step on. A batch is
            a function of its step and the seed, so a run that goes on needs no other memory of
            where it was.
        evaluate: the validation loss at an evaluation; may be that of a part of the data.
        evaluate_fully: the validation loss of the trained model, on all of them.
        save: a function that writes the trained model into a folder, as `from_preset` reads it.
    """

    model: keras.Model
    backbone: keras.Model
    batches: Callable[[int], tf.data.Dataset]
    evaluate: Callable[[], float]
    evaluate_fully: Callable[[], float]
    save: Callable[[Path], None]


class Processes(NamedTuple):
    """The processes that train one model together, and which of them this is."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Only the leading process writes files and shows progress."""
        return self.rank == 0


ALONE = Processes()


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: the folder that holds the model and what training has kept.
        history: the evaluations, each with `step`, `loss`, `validation_loss` and `learning_rate`;
            the loss is the mean since the evaluation before, the validation loss that of a part of
            the data.
        validation_loss: the loss of the trained model on all validation data, in nats per token.
    """

    folder: Path
    history: list[dict]
    validation_loss: float

    @property
    def preset(self) -> str:
        """The trained model, for `keras_nlp.models.GPT2CausalLM.from_preset`."""
        return str(self.folder / PRESET)

    def model_at(self, step: int) -> keras_nlp.models.GPT2CausalLM:
        """The model as it was after a step of which there is a snapshot."""
        model = load_preset(self.preset)
        load_weights(self.folder / SNAPSHOT.format(step), model.backbone)
        return model


# ---- finished runs -------------------------------------------------------------------------------


def is_finished(folder: Path) -> bool:
    """Is there a whole trained model in this folder?"""
    return _read_result(folder) is not None


def read_run(folder: Path) -> Run:
    """A finished run, from its folder.

    Raises:
        CourseError: if there is none, or if files of it are missing or cut off.
    """
    result = _read_result(folder)
    if result is None:
        damaged = (folder / RESULT).exists()
        problem = "lacks a file or a part of one" if damaged else "holds no finished run"
        raise CourseError(f"{folder} {problem}: train it again, or choose another one.")
    return Run(folder, result["history"], result["validation_loss"])


def run_by_name(name: str) -> Run:
    """A finished run by the name of its folder, whatever code and versions have made it.

    Raises:
        CourseError: if there is no such run.
    """
    known = sorted(path.parent.name for path in checkpoints_dir().glob(f"*/{RESULT}"))
    if name not in known:
        there = f"there are {', '.join(known)}" if known else "there are none yet"
        raise CourseError(f"No finished run in {checkpoints_dir()} is called {name!r}; {there}.")
    return read_run(checkpoints_dir() / name)


def _read_result(folder: Path) -> dict | None:
    """What a run wrote at its end; None if it is not there, or not all files that it names are."""
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        sizes = result["files"].items()
        whole = all((folder / name).stat().st_size == size for name, size in sizes)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return result if whole else None


def _finished_files(folder: Path) -> dict[str, int]:
    """The files that make up a trained model, with their sizes in bytes."""
    files = [*(folder / PRESET).rglob("*"), *folder.glob(SNAPSHOT.replace("{:07d}", "*"))]
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(files)
        if path.is_file()
    }


# ---- training ------------------------------------------------------------------------------------


def train_once(
    identity: Identity,
    recipe: TrainingRecipe,
    prepare: Callable[[], Method],
    quiet: bool = False,
    processes: Processes = ALONE,
    announce: bool = False,
) -> Run:
    """Train, or go on with a training that was stopped. What is finished is only read.

    The evaluations of a finished run are printed again. A second process that wants the same run
    waits for the first. A finished run is read without writing anything, so its folder may be
    read-only.

    Args:
        identity: the identity of the run; it says in which folder it is kept.
        recipe: the training configuration.
        prepare: a function that makes the method, with the seed of the recipe set; called only to
            train.
        quiet: whether to skip printing the evaluations of a finished run.
        processes: those that train together. Their batches and gradients are the method's business.
        announce: whether to say after the first steps how long the rest will take.

    Raises:
        TrainingFailed: if the loss becomes NaN or infinite. The last good checkpoint is kept.
        CheckpointError: if something cannot be written. The last good checkpoint is kept.
    """
    folder = identity.folder
    if not is_finished(folder):
        waiting = f"Another process is training {folder.name}: waiting for it."
        lock = exclusive_lock(folder / ".lock", waiting, cannot_write)
        with lock if processes.leads else nullcontext():
            if not is_finished(folder):
                return _train(identity, recipe, prepare, processes, announce)
    run = read_run(folder)
    if not quiet:
        _print_again(run.history, recipe)
    return run


def _print_again(history: Sequence[dict], recipe: TrainingRecipe) -> None:
    progress = Progress(steps_per_epoch=recipe.steps_per_evaluation)
    for number, evaluation in enumerate(history, start=1):
        losses = {name: evaluation[name] for name in ("loss", "validation_loss")}
        progress.line(number, recipe.steps // recipe.steps_per_evaluation, losses)


def _train(
    identity: Identity,
    recipe: TrainingRecipe,
    prepare: Callable[[], Method],
    processes: Processes,
    announce: bool,
) -> Run:
    folder = identity.folder
    keras.utils.set_random_seed(recipe.seed)
    method = prepare()
    if processes.leads:
        if note := what_is_there(identity):
            print(note, file=sys.stderr)
        identity.save()
        drop_orphaned_checkpoints(identity)
    step, history = load_checkpoint(folder, method.model)
    keeper = CheckpointCallback(identity, method, recipe, history, processes)
    keeper.keep_snapshot(step)
    if not keeper.should_stop():
        _fit(method, recipe, step, keeper, announce)
    keeper.restore_best()
    validation_loss = method.evaluate_fully()
    if processes.leads:
        _finish(folder, method, history, validation_loss)
    return Run(folder, history, validation_loss)


def _fit(
    method: Method,
    recipe: TrainingRecipe,
    step: int,
    keeper: "CheckpointCallback",
    announce: bool,
) -> None:
    callbacks = [keeper]
    if announce:
        callbacks.append(TimeEstimate())
    if keeper.processes.leads:
        callbacks += [
            Progress(steps_per_epoch=recipe.steps_per_evaluation),
            keras.callbacks.TensorBoard(keeper.folder / "logs", write_graph=False),
        ]
    method.model.fit(
        method.batches(step),
        initial_epoch=step // recipe.steps_per_evaluation,
        epochs=recipe.steps // recipe.steps_per_evaluation,
        steps_per_epoch=recipe.steps_per_evaluation,
        shuffle=False,  # the batches are shuffled already
        verbose=0,
        callbacks=callbacks,
    )


def drop_orphaned_checkpoints(identity: Identity) -> None:
    """Delete the checkpoints of a run if the best weights or snapshots before them are damaged."""
    folder, reached = identity.folder, newest_step(identity.folder)
    kept = [SNAPSHOT.format(step) for step in identity.snapshots if step <= reached]
    damaged = [name for name in (BEST, *kept) if reached and not is_readable(folder / name)]
    if damaged:
        print(
            f"{folder / damaged[0]} is missing or damaged: training starts from the beginning.",
            file=sys.stderr,
        )
        forget_checkpoints(folder)
        for name in damaged:
            (folder / name).unlink(missing_ok=True)


def _finish(folder: Path, method: Method, history: list[dict], validation_loss: float) -> None:
    """Write the model, then the result: it says that the run is finished, and names its files."""
    method.save(folder / PRESET)
    result = {
        "history": history,
        "validation_loss": validation_loss,
        "files": _finished_files(folder),
    }
    with atomic_write(folder / RESULT, cannot_write) as path:
        path.write_text(json.dumps(result, indent=1), encoding="utf-8")


def what_is_there(identity: Identity) -> str:
    """Why a run is trained although there is one like it, in one sentence; "" if there is none."""
    if (identity.folder / RESULT).exists():
        return f"{identity.folder} lacks a file or a part of one: the model is made anew."
    others = []
    for path in checkpoints_dir().glob(f"*/{FILE}"):
        other = read_identity(path.parent)
        if other and other.name == identity.name and is_finished(path.parent):
            others.append((what_differs(other, identity), path.parent.name))
    if not others or (identity.folder / FILE).exists():
        return ""
    differences, name = min(others, key=lambda other: len(other[0]))
    why = "; ".join(differences) or f"its folder was called {identity.folder.name}"
    return (
        f"{name} is another run ({why}), so training starts anew. That one is kept; a command with"
        f" the flag --run can still use it: --run {shlex.quote(name)}"
    )


class CheckpointCallback(keras.callbacks.Callback):
    """Evaluates, and keeps what must not be lost: checkpoints, snapshots and the best weights."""

    def __init__(self, identity, method, recipe, history, processes):
        super().__init__()
        self.folder, self.snapshots = identity.folder, identity.snapshots
        self.method, self.recipe = method, recipe
        self.history, self.processes = history, processes
        self.steps_before = 0
        self.best_weights: list[np.ndarray] | None = None  # of a process that writes no files

    def on_epoch_begin(self, epoch, logs=None):
        self.steps_before = epoch * self.recipe.steps_per_evaluation

    def on_train_batch_end(self, batch, logs=None):
        step = self.steps_before + batch + 1
        self._check(logs["loss"], step)
        self.keep_snapshot(step)

    def on_epoch_end(self, epoch, logs=None):
        step = self.steps_before + self.recipe.steps_per_evaluation
        logs["validation_loss"] = self.method.evaluate()
        self._check(logs["validation_loss"], step)
        rate = float(self.model.optimizer.learning_rate)
        self.history.append({"step": step, **logs, "learning_rate": rate})
        if self.evaluations_since_best() == 0:
            self._keep_best()
        if self.processes.leads:
            save_checkpoint(self.folder, self.model, step, self.history)
        self.model.stop_training = self.should_stop()

    def keep_snapshot(self, step: int) -> None:
        """Write the weights of a step, if they are wanted."""
        path = self.folder / SNAPSHOT.format(step)
        if step in self.snapshots and self.processes.leads and not path.exists():
            if hasattr(self.method.model, "jax_state_sync"):
                self.method.model.jax_state_sync()  # on JAX, `fit` keeps them elsewhere
            save_weights(path, self.method.backbone)

    def restore_best(self) -> None:
        """Put the weights with the lowest validation loss into the model."""
        if self.best_weights is None:
            load_weights(self.folder / BEST, self.method.backbone)
        else:
            self.method.backbone.set_weights(self.best_weights)

    def evaluations_since_best(self) -> int:
        """Evaluations after the one with the lowest validation loss."""
        losses = [evaluation["validation_loss"] for evaluation in self.history]
        return len(losses) - 1 - int(np.argmin(losses)) if losses else 0

    def should_stop(self) -> bool:
        """Early stopping: has the validation loss not improved for long enough?"""
        return self.evaluations_since_best() >= self.recipe.patience

    def _keep_best(self) -> None:
        if self.processes.leads:
            save_weights(self.folder / BEST, self.method.backbone)
        else:
            self.best_weights = self.method.backbone.get_weights()

    def _check(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"The loss became {loss} at step {step}: the learning rate"
                f" {self.recipe.learning_rate:g} is too high, try a tenth of it. Checkpoints from"
                f" before are kept in {self.folder}."
            )


# ---- what methods share --------------------------------------------------------------------------


def compiled(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> keras.Model:
    """Compile for language modelling: nats per token, the mean over targets of weight 1."""
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    model.compile(optimizer=optimizer, loss=loss, weighted_metrics=[], jit_compile=True)
    optimizer.build(model.trainable_variables)  # else `fit` compiles its step a second time
    return model
