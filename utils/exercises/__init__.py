"""Exercises with instant feedback.

An exercise is its own solution, plus the mistakes people make:

    @exercise(cases=[(1.0,), (2.5,)], hints=["Multiply first."])
    def predict(x):
        return 3 * x + 1

    @predict.mistake("You added before you multiplied.")
    def _(x):
        return 3 * (x + 1)

A learner calls `predict(answer)`, `predict.hint()` and `predict.solution()`. Nothing here raises,
so a notebook with unsolved exercises still runs to its end.

A question about an idea has its answer in `Answers`, for learners to compare their own with.
"""

import copy
import dis
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

TOLERANCE = 1e-4  # relative and absolute: float32 results agree, rounded ones to 4 digits too


class Mistake(NamedTuple):
    """A typical wrong answer, written as code, and what to say to it."""

    message: str
    answer: Callable


class Exercise:
    """A question whose answer is a value or a function; see the module's docstring.

    Args:
        solution: the right answer: a function, or for a value a function without parameters.
        cases: the arguments to try, one tuple a trial; a value has the single case `()`.
        hints: the hints, from a first idea to nearly everything.
    """

    def __init__(self, solution: Callable, cases: Sequence[tuple], hints: Sequence[str]):
        self.name = solution.__name__
        self.__doc__ = solution.__doc__
        self.answer = solution
        self.cases = cases
        self.hints = hints
        self.mistakes: list[Mistake] = []
        self._hints_given = 0

    def __repr__(self) -> str:
        return f"exercise {self.name}: check.{self.name}(your_answer), .hint(), .solution()"

    def mistake(self, message: str) -> Callable[[Callable], Callable]:
        """Register the decorated function as a mistake that gets `message` as its answer."""

        def register(wrong: Callable) -> Callable:
            self.mistakes.append(Mistake(message, wrong))
            return wrong

        return register

    def __call__(self, answer: Any) -> None:
        """Say in one line whether `answer` is right, not attempted, or what is wrong with it."""
        if not_attempted(answer):
            print(f"… {self.name}: not attempted yet. check.{self.name}.hint() gives a hint.")
            return
        complaint = self._complaint(answer)
        print(f"✗ {self.name}: {complaint}" if complaint else f"✓ {self.name}: correct.")

    def hint(self) -> None:
        """Print the next hint; after the last one, start again."""
        number = self._hints_given % len(self.hints) + 1
        self._hints_given += 1
        print(f"Hint {number} of {len(self.hints)}: {self.hints[number - 1]}")

    def solution(self) -> None:
        """Print a solution's source code."""
        source = textwrap.dedent(inspect.getsource(self.answer))
        print(source[source.index("def ") :].rstrip())

    def _complaint(self, answer: Any) -> str | None:
        is_function = self.cases != [()]
        if is_function and not callable(answer):
            return f"a function is wanted here, not {_kind(answer)}."
        try:
            results = [_evaluate(answer, case) for case in self.cases]
        except (Exception, SystemExit) as error:
            return f"your code raised {type(error).__name__}: {error}"
        return self._compare(results, is_function)

    def _compare(self, results: list, is_function: bool) -> str | None:
        expected = [self.answer(*copy.deepcopy(case)) for case in self.cases]
        if all(map(_agree, results, expected)):
            return None
        for mistake in self.mistakes:
            wrong = [_evaluate(mistake.answer, case) for case in self.cases]
            if all(map(_agree, results, wrong)):
                return mistake.message
        wrong_trials = zip(self.cases, results, expected, strict=True)
        return next(
            _difference(case if is_function else None, result, right)
            for case, result, right in wrong_trials
            if not _agree(result, right)
        )


def exercise(
    *, hints: Sequence[str], cases: Sequence[tuple] = ((),)
) -> Callable[[Callable], Exercise]:
    """Turn the decorated solution into an `Exercise`."""
    return lambda solution: Exercise(solution, list(cases), hints)


class Answers:
    """The answers to the questions of *Check your understanding*, one at a time.

    Args:
        answers: a pair for each question: the heading of the lesson whose text answers it, and
            the answer.
    """

    def __init__(self, *answers: tuple[str, str]):
        self.answers = answers

    def __call__(self, question: int | None) -> None:
        """Print the answer to a question, counted from 1."""
        if question is None or not 1 <= question <= len(self.answers):
            print(f"… answer in your own words, then set `question` to 1 … {len(self.answers)}.")
            return
        heading, answer = self.answers[question - 1]
        print(textwrap.fill(answer, 88))
        print(f"(from the section {heading!r})")


def not_attempted(answer: Any) -> bool:
    """True for None, `...`, and a function whose body does nothing."""
    if answer is None or answer is ...:
        return True
    if not inspect.isfunction(answer):
        return False
    steps = list(dis.get_instructions(answer))
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    constants = {s.argval for s in steps if s.opname in ("LOAD_CONST", "RETURN_CONST")}
    return {s.opname for s in steps} <= idle and constants <= {None, ...}


def _evaluate(answer: Any, case: tuple) -> Any:
    # A copy, so that an answer which changes its input cannot spoil the next trial.
    return answer(*copy.deepcopy(case)) if callable(answer) else answer


def _agree(result: Any, expected: Any) -> bool:
    if isinstance(expected, bool):
        return isinstance(result, bool | np.bool_) and bool(result) == expected
    if isinstance(expected, str | bytes):
        return isinstance(result, type(expected)) and result == expected
    if isinstance(expected, dict):
        same_keys = isinstance(result, dict) and result.keys() == expected.keys()
        return same_keys and all(_agree(result[k], v) for k, v in expected.items())
    if isinstance(expected, list | tuple) and not _is_numeric(expected):
        same_length = isinstance(result, list | tuple) and len(result) == len(expected)
        return same_length and all(map(_agree, result, expected))
    if _shape_of(result) is None:
        return False
    result, expected = _mask_as_numbers(result), np.asarray(expected)
    tolerance = 0 if np.issubdtype(expected.dtype, np.integer) else TOLERANCE  # counts are exact
    return (
        np.issubdtype(result.dtype, np.number)
        and result.shape == expected.shape
        and np.allclose(result, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    )


def _difference(case: tuple | None, result: Any, expected: Any) -> str:
    """Say how `result` is wrong; the right value is shown only for one trial of a function."""
    if result is None:
        return "your function returned nothing: did you forget `return`?"
    several = isinstance(expected, tuple) and any(
        isinstance(e, np.ndarray | list) for e in expected
    )
    if several and isinstance(result, tuple) and len(result) == len(expected):
        parts = enumerate(zip(result, expected, strict=True), 1)
        number, (mine, right) = next(part for part in parts if not _agree(*part[1]))
        return f"result {number} of {len(expected)}: {_difference(case, mine, right)}"
    shape, wanted = _shape_of(result), _shape_of(expected)
    if shape is None and wanted is not None:
        return "the parts of your answer differ in length, or are no numbers."
    if _is_numeric(expected) and not _is_numeric(_mask_as_numbers(result)):
        return f"expected {_shape(wanted)}, got {_kind(result)}."
    if shape != wanted:
        return f"expected {_shape(wanted)}, got {_shape(shape)}."
    if case is None:
        return f"{_short(result)} is not the answer yet."
    inputs = ", ".join(map(_short, case))
    return f"for the input {inputs} the answer is {_short(expected)}, yours gave {_short(result)}."


def _is_numeric(value: Any) -> bool:
    try:
        return np.issubdtype(np.asarray(value).dtype, np.number)
    except ValueError:  # lists of different lengths
        return False


def _shape_of(value: Any) -> tuple | None:
    """The shape of a value as an array; None if it has none, as lists of different lengths."""
    try:
        return np.asarray(value).shape
    except Exception:  # of any kind: the value may be a learner's own object
        return None


def _mask_as_numbers(value: Any) -> np.ndarray:
    """A value as an array, a mask of True and False as one of 1 and 0."""
    array = np.asarray(value)
    return array.astype(int) if array.dtype == bool and array.ndim else array


def _kind(value: Any) -> str:
    return f"{'an' if type(value).__name__[0] in 'aeiou' else 'a'} {type(value).__name__}"


def _shape(shape: tuple | None) -> str:
    if shape is None:
        return "parts of different lengths"
    return f"an array of shape {shape}" if shape else "a single number"


def _short(value: Any) -> str:
    if not _is_numeric(value):
        return repr(value)
    if np.ndim(value) == 0:
        whole = not np.iscomplexobj(value) and float(value).is_integer()
        return str(int(value)) if whole else f"{value:.6g}"
    text = np.array2string(np.asarray(value), precision=4, separator=", ", threshold=8)
    return " ".join(text.split())
