"""Checkpoints: everything that a training needs to go on as if it had never stopped.

A checkpoint is one file with the weights, the optimizer's state, the step, and the losses so far.
It appears under its name only when it is complete, and the one before stays until then. So whatever
happens, there is a good one.
"""

import contextlib
import errno
import json
import os
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock, Timeout

from utils.errors import CourseError

KEEP = 2
PATTERN = "checkpoint-{:07d}.npz"


class CheckpointError(CourseError):
    """A checkpoint that cannot be written or read."""


def save_checkpoint(folder: Path, model: keras.Model, step: int, history: list[dict]) -> Path:
    """Write the checkpoint of a step, then delete all but the last two.

    Args:
        folder: is made if it is not there.
        model: compiled; its optimizer's state is part of the checkpoint.
        step: the steps that have been done.
        history: what training has reported so far.

    Raises:
        CheckpointError: if the disk is full or the folder cannot be written to. The checkpoints
            that were there before are still there.
    """
    path = folder / PATTERN.format(step)
    contents: dict[str, Any] = {"step": step, "history": json.dumps(history)}
    for number, variable in enumerate(_variables(model)):
        contents[f"{number:04d}"] = np.asarray(variable)
    with whole(path) as part, open(part, "wb") as file:
        np.savez(file, **contents)
    for old in _newest_first(folder)[KEEP:]:
        old.unlink()
    return path


def save_weights(path: Path, model: keras.Model) -> None:
    """Write the weights of a model, all of them or nothing; raise CheckpointError if that fails.

    Not in Keras's own format: on a full disk HDF5 brings the whole process down.
    """
    with whole(path) as part, open(part, "wb") as file:
        np.savez(file, *(np.asarray(weight) for weight in model.weights))


def load_weights(path: Path, model: keras.Model) -> None:
    """Put the weights that `save_weights` wrote into a model of the same shape."""
    with np.load(path, allow_pickle=False) as data:
        model.set_weights([data[f"arr_{i}"] for i in range(len(data.files))])


def load_checkpoint(folder: Path, model: keras.Model) -> tuple[int, list[dict]]:
    """Put the newest good checkpoint into a compiled model.

    A checkpoint that is damaged is named on stderr, and the one before is taken.

    Returns:
        The step to go on from, and the history: 0 and an empty list if there is no checkpoint.

    Raises:
        CheckpointError: if the checkpoint belongs to a model of another shape.
    """
    for path in _newest_first(folder):
        try:
            with np.load(path, allow_pickle=False) as data:
                step, history = int(data["step"]), json.loads(str(data["history"]))
                values = [data[name] for name in sorted(data.files) if name.isdigit()]
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            print(f"{path} is damaged ({error}): going on from an earlier one.", file=sys.stderr)
            continue
        variables = _variables(model)
        if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
            raise CheckpointError(
                f"{path} belongs to another model: move the folder away, or train with the"
                " settings it was made with."
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return step, history
    return 0, []


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path to write a file or a folder to; it gets its name only when it is complete.

    Raises:
        CheckpointError: if it cannot be written. What was there before is still there.
    """
    part = path.with_name(f"part-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        yield part
        if part.is_file():
            with open(part, "rb+") as file:  # a file whose name is on the disk before its bytes
                os.fsync(file.fileno())  # would be empty after a power cut
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            _remove(part)
        raise _cannot_write(path, error) from error


def need_space(folder: Path, size: int) -> None:
    """Raise CheckpointError if the disk has less than `size` bytes left."""
    if shutil.disk_usage(folder).free < size:
        raise _cannot_write(folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


@contextlib.contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Make a folder, and hold it: another process that wants it waits until this one is done."""
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Another process is training {folder.name}: waiting for it.", file=sys.stderr)
            lock.acquire()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    with lock:
        lock.release()
        yield


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be written ({error.strerror or error}): free some space, or set"
        " COURSE_CHECKPOINTS to a folder that you may write to. What was saved before is still"
        " there, and the next run goes on from it."
    )


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Weights, seeds of dropout, and the optimizer's state with its step."""
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(PATTERN.replace("{:07d}", "*")), reverse=True)
