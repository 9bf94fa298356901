"""Checkpoints: everything that a training needs to go on as if it had never stopped.

A checkpoint is one file with the weights, the optimizer's state, the step, and the losses so far.
Each array is stored under the name of its variable, so two of the same shape cannot change places.
It appears under its name only when it is complete, and the one before stays until then. So whatever
happens, there is a good one.
"""

import errno
import json
import os
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from utils.errors import CourseError
from utils.files import atomic_write

FORMAT = 2  # of the files; format 1 knew arrays by their number alone
KEEP = 2
PATTERN = "checkpoint-{:07d}.npz"
METADATA = "metadata"
DAMAGE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)


class CheckpointError(CourseError):
    """A checkpoint that cannot be written or read."""


# ---- a whole training ----------------------------------------------------------------------------


def save_checkpoint(folder: Path, model: keras.Model, step: int, history: list[dict]) -> Path:
    """Write the checkpoint of a step, then delete all but the last two.

    Args:
        folder: where the checkpoints lie; made if it is missing.
        model: the compiled model; its optimizer's state is part of the checkpoint.
        step: number of steps that have been done.
        history: the evaluations so far.

    Raises:
        CheckpointError: if the disk is full or the folder cannot be written to. The checkpoints
            that were there before are still there.
    """
    path = folder / PATTERN.format(step)
    _write(path, training_state(model), {"step": step, "history": history})
    for old in _newest_first(folder)[KEEP:]:
        old.unlink()
    return path


def load_checkpoint(folder: Path, model: keras.Model) -> tuple[int, list[dict]]:
    """Put the newest good checkpoint into a compiled model.

    A checkpoint that is damaged is named on stderr, and the one before is taken.

    Returns:
        The step to go on from, and the history: 0 and an empty list if there is no checkpoint.

    Raises:
        CheckpointError: if the checkpoint belongs to another model.
    """
    for path in _newest_first(folder):
        try:
            arrays, metadata = _read(path)
            step, history = metadata["step"], metadata["history"]
        except DAMAGE as error:
            print(f"{path} is damaged ({error}): going on from an earlier one.", file=sys.stderr)
            continue
        _assign(path, training_state(model), arrays)
        return step, history
    return 0, []


def newest_step(folder: Path) -> int:
    """The step of the newest checkpoint, good or damaged; 0 if there is none."""
    return max((int(path.stem.split("-")[1]) for path in _newest_first(folder)), default=0)


def forget_checkpoints(folder: Path) -> None:
    """Delete all checkpoints, so that training starts from the beginning."""
    for path in _newest_first(folder):
        path.unlink()


def training_state(model: keras.Model) -> dict[str, keras.Variable]:
    """The weights, the seeds of dropout, and the optimizer's state with its step, by name."""
    model.optimizer.build(model.trainable_variables)
    state = _named(model.variables)
    for variable in model.optimizer.variables:
        # Keras calls the second optimizer of a process `muon_1`.
        state[f"optimizer/{variable.path.split('/', 1)[1]}"] = variable
    return state


# ---- the weights of a model ----------------------------------------------------------------------


def save_weights(path: Path, model: keras.Model, trainable_only: bool = False) -> None:
    """Write the weights of a model, all of them or nothing; raise CheckpointError if that fails.

    Not in Keras's own format: on a full disk HDF5 brings the whole process down.

    Args:
        path: the path of the file.
        model: the model whose weights are written.
        trainable_only: whether to leave out what is frozen. Of a model with adapters this is a
            small file.
    """
    _write(path, _named(model.trainable_weights if trainable_only else model.weights), {})


def load_weights(path: Path, model: keras.Model, trainable_only: bool = False) -> None:
    """Put the weights that `save_weights` wrote into a model with the same names and shapes.

    Raises:
        CheckpointError: if the file is missing, damaged, or of another model.
    """
    try:
        arrays, _ = _read(path)
    except DAMAGE as error:
        raise CheckpointError(f"{path} cannot be read ({error}): make it again.") from None
    _assign(path, _named(model.trainable_weights if trainable_only else model.weights), arrays)


def is_readable(path: Path) -> bool:
    """Is this a file that was written here, from its first byte to its last?"""
    try:
        _read(path)
    except DAMAGE:
        return False
    return True


# ---- arrays by name ------------------------------------------------------------------------------


def _named(variables: Iterable[keras.Variable]) -> dict[str, keras.Variable]:
    """Variables by their path in the model, the same one in each process.

    Keras counts the seed generators of a process, so their numbers are taken out; of several in one
    layer, the second is called `seed_generator:1`.
    """
    named: dict[str, keras.Variable] = {}
    for variable in variables:
        plain = re.sub(r"seed_generator_\d+", "seed_generator", variable.path)
        name, number = plain, 0
        while name in named:
            number += 1
            name = f"{plain}:{number}"
        named[name] = variable
    return named


def _write(path: Path, variables: dict[str, keras.Variable], about: dict[str, Any]) -> None:
    metadata = json.dumps({"format": FORMAT, **about})
    arrays: dict[str, Any] = {METADATA: np.asarray(metadata)}
    arrays |= {name: np.asarray(variable) for name, variable in variables.items()}
    with atomic_write(path, cannot_write) as part, open(part, "wb") as file:
        np.savez(file, **arrays)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a file by name, and what else was written; the checksum of each is checked."""
    with np.load(path, allow_pickle=False) as data:
        metadata = json.loads(str(data[METADATA]))
        if metadata["format"] != FORMAT:
            raise ValueError(f"format {metadata['format']}, not {FORMAT}")
        return {name: data[name] for name in data.files if name != METADATA}, metadata


def _assign(
    path: Path, variables: dict[str, keras.Variable], arrays: dict[str, np.ndarray]
) -> None:
    """Put each array into the variable of its name, if names and shapes are those of the model."""
    wanted = {name: tuple(variable.shape) for name, variable in variables.items()}
    found = {name: array.shape for name, array in arrays.items()}
    if found != wanted:
        name = min(dict(found.items() ^ wanted.items()))
        raise CheckpointError(
            f"{path} belongs to another model ({name} has the shape {found.get(name)} in the file"
            f" and {wanted.get(name)} in the model): move the folder away, or train with the"
            " settings it was made with."
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


# ---- files ---------------------------------------------------------------------------------------


def need_space(folder: Path, size: int) -> None:
    """Raise CheckpointError if the disk has less than `size` bytes left."""
    if shutil.disk_usage(folder).free < size:
        raise cannot_write(folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def cannot_write(path: Path, error: OSError) -> CheckpointError:
    """What to raise where a file of a run cannot be written."""
    return CheckpointError(
        f"{path} cannot be written ({error.strerror or error}): free some space, or set"
        " COURSE_CHECKPOINTS to a folder that you may write to. What was saved before is still"
        " there, and the next run goes on from it."
    )


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(PATTERN.replace("{:07d}", "*")), reverse=True)
