"""Files that appear only when they are complete, locks between processes, and text in UTF-8.

    with exclusive_lock(lock_file, "Another process is writing it: waiting.", cannot_write):
        if not path.exists():  # else the process that was waited for has written it
            with atomic_write(path, cannot_write) as part:
                part.write_text(text)

A finished file is best read without either of them: a folder may be shared with people who must
not write to it.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from utils.errors import CourseError

Refusal = Callable[[Path, OSError], CourseError]  # what to raise where a path cannot be written


@contextlib.contextmanager
def atomic_write(path: Path, refusal: Refusal) -> Iterator[Path]:
    """Give a temporary path for a file or a folder; it is renamed to `path` when it is complete.

    If the block raises, or the process is killed, what was at `path` before is still there. Two
    processes must not write the same path at the same time: hold an `exclusive_lock`.

    Args:
        path: the file or folder to write. Its parent folder is made if it is missing.
        refusal: the function that makes the error to raise from `path` and the OSError.

    Yields:
        A path in the same folder, with the same suffix, at which there is nothing yet.

    Raises:
        CourseError: what `refusal` returns, if an OSError occurs, in the block as well.
    """
    part = path.with_name(f".part-{path.name}")  # hidden: a name that no file of a user's has
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)  # left by a process that was killed
        yield part
        _flush_to_disk(part)
        _replace(part, path)
    except OSError as error:
        raise refusal(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            _remove(part)


@contextlib.contextmanager
def exclusive_lock(lock_file: Path, waiting: str, refusal: Refusal) -> Iterator[None]:
    """Hold a lock: another process that wants the same one waits until this one is done.

    The lock file stays behind, because a process may be waiting for it. It means nothing by
    itself: the lock of a process that ended, in whatever way, is free.

    Args:
        lock_file: the file that stands for the lock. Its folder is made if it is missing.
        waiting: one sentence for stderr, said if another process holds the lock.
        refusal: the function that makes the error to raise from `lock_file` and the OSError.

    Raises:
        CourseError: what `refusal` returns, if the lock file cannot be written.
    """
    lock = FileLock(lock_file, mode=0o666)  # others with whom the folder is shared may wait, too
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(waiting, file=sys.stderr)
            lock.acquire()
    except OSError as error:
        raise refusal(lock_file, error) from error
    try:
        yield
    finally:
        lock.release()


def read_text(path: Path | str, error: type[CourseError]) -> str:
    """The text of a file in UTF-8, without the byte order mark that Windows puts at its start.

    Args:
        path: the file.
        error: the kind of error to raise, with one sentence.

    Raises:
        CourseError: an `error`, if there is no such file or it is written in another encoding.
    """
    try:
        return Path(path).read_text(encoding="utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as wrong:
        line = wrong.object[: wrong.start].count(b"\n") + 1
        sentence = not_utf8(Path(path), line, wrong.start, wrong.object[wrong.start])
    except OSError as wrong:
        sentence = f"{path} cannot be read ({wrong.strerror})."
    raise error(sentence)


def not_utf8(path: Path, line: int, offset: int, byte: int) -> str:
    """The sentence about a file that is not text in UTF-8.

    Args:
        path: the file.
        line: the line of the first wrong byte, counted from 1.
        offset: the position of that byte in the file, counted from 0.
        byte: its value.
    """
    return (
        f"{path} is not text in UTF-8 (line {line}, byte offset {offset}: 0x{byte:02x}):"
        " open it in an editor and save it in that encoding."
    )


def _flush_to_disk(part: Path) -> None:
    """Have the bytes on the disk before the name is: after a power cut a file could be empty."""
    for path in part.rglob("*") if part.is_dir() else [part]:
        if path.is_file():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())


def _replace(part: Path, path: Path) -> None:
    if not path.is_dir():
        part.replace(path)
        return
    # No system call replaces a folder that is not empty.
    old = path.with_name(f".old-{path.name}")
    _remove(old)
    path.replace(old)
    try:
        part.replace(path)
    except OSError:
        old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
