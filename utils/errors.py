"""The mistakes that a user can mend: their message is one sentence that says how."""

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


def show_one_sentence(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """A `sys.excepthook` for scripts: the sentence of a CourseError, the traceback of a bug."""
    if isinstance(error, CourseError):
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
