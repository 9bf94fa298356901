"""A folder that must not be written to, for root as well, who may write everywhere."""

import contextlib
import errno
import os
import sys
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
_refused = {}  # the paths that are read-only now, each with its error number


@contextlib.contextmanager
def read_only(path, number=errno.EROFS):
    """Refuse to every part of this process to write to `path` or to anything inside."""
    _refused[Path(path).absolute()] = number
    try:
        yield
    finally:
        del _refused[Path(path).absolute()]


def _refuse(event, arguments):
    if not _refused:
        return
    if event == "open":
        path, _, flags = arguments
        paths = [path] if flags & WRITING else []
    else:
        paths = arguments[:2] if event in CHANGES else []
    for path in paths:
        if not isinstance(path, (str, bytes, os.PathLike)):
            continue
        path = Path(os.fsdecode(path)).absolute()
        for refused, number in _refused.items():
            if path.is_relative_to(refused):
                raise OSError(number, os.strerror(number), str(path))


sys.addaudithook(_refuse)  # sees what Python is about to do; it cannot be taken off again
