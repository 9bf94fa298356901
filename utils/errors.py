"""The mistakes that a user can mend: their message is one sentence that says how."""

import atexit
import io
import os
import sys
from types import TracebackType


class CourseError(Exception):
    """A mistake whose message is one sentence for the user, shown without a traceback."""

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows in place of a traceback."""
        return [str(self)]


class DataUnavailable(CourseError):
    """A data set is not there and cannot be fetched; the sentence says how to get it by hand."""


class GenerationError(CourseError):
    """A text cannot be generated with these settings."""


STOPPED, BROKEN_PIPE = 130, 141  # exit codes as shells give them: 128 + SIGINT, 128 + SIGPIPE


def show_one_sentence(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """A `sys.excepthook` for scripts: a sentence for a user's mistake, the traceback of a bug.

    Ctrl-C is no mistake: it ends with one sentence and exit code 130. A reader that has closed
    the pipe, as in `lesson | head -1`, ends without any and with exit code 141.

    Raises:
        SystemExit: in these two cases. Python takes its code as that of the process.
    """
    if isinstance(error, CourseError):
        print(error, file=sys.stderr)
    elif isinstance(error, KeyboardInterrupt):
        print("Stopped: the same command goes on from what it has saved.", file=sys.stderr)
        raise SystemExit(STOPPED)
    elif isinstance(error, BrokenPipeError) and stdout_is_broken(probe="\n"):
        raise SystemExit(BROKEN_PIPE)
    else:
        sys.__excepthook__(kind, error, traceback)


def stdout_is_broken(probe: str = "") -> bool:
    """Write out what is buffered; whether nobody reads it any more.

    In that case the buffer goes nowhere, or Python would complain when it ends. After a failed
    write the buffer may be empty, and only a `probe` shows that the next one would fail, too.
    """
    try:
        sys.stdout.write(probe)
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        return True
    return False


def speak_plainly() -> None:
    """Prepare a script or a command: text in UTF-8, one sentence for each mistake."""
    sys.excepthook = show_one_sentence
    atexit.register(stdout_is_broken)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not when a test has replaced it
            stream.reconfigure(encoding="utf-8", errors="replace")
