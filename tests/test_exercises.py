"""Exercises answer every learner: one who has not begun, one who is right, one who is not."""

import importlib
import pkgutil
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

import utils.exercises
from utils.exercises import Answers, Exercise, exercise, not_attempted


def all_exercises():
    for module in pkgutil.iter_modules(utils.exercises.__path__):
        lesson = importlib.import_module(f"utils.exercises.{module.name}")
        for name, value in vars(lesson).items():
            if isinstance(value, Exercise):
                yield pytest.param(value, id=f"{module.name}.{name}")


def said(capsys, question, answer):
    question(answer)
    return capsys.readouterr().out


def nothing(*arguments):
    """A stub with a docstring."""


@pytest.mark.parametrize("question", list(all_exercises()))
class TestEveryExercise:
    def test_stub_is_not_attempted(self, question, capsys):
        for stub in (..., None, nothing, lambda *a: None):
            assert "not attempted yet" in said(capsys, question, stub)

    def test_solution_is_correct(self, question, capsys):
        is_value = question.cases == [()]
        answer = question.answer() if is_value else question.answer
        assert said(capsys, question, answer) == f"✓ {question.name}: correct.\n"

    def test_each_mistake_gets_its_own_message(self, question, capsys):
        assert question.mistakes, "an exercise without typical mistakes only says right or wrong"
        for mistake in question.mistakes:
            is_value = question.cases == [()]
            answer = mistake.answer() if is_value else mistake.answer
            assert said(capsys, question, answer) == f"✗ {question.name}: {mistake.message}\n"

    def test_a_wild_answer_is_wrong_but_never_raises(self, question, capsys):
        def explode(*arguments):
            raise KeyError("boom")

        wild = ["text", -12345.678, np.zeros((7, 7, 7)), {}, explode, lambda: 0, object(), [1, "a"]]
        for answer in wild:
            assert said(capsys, question, answer).startswith(f"✗ {question.name}: ")

    def test_hints_and_solution_print(self, question, capsys):
        for hint in question.hints:
            question.hint()
            assert hint in capsys.readouterr().out
        question.solution()
        assert f"def {question.name}(" in capsys.readouterr().out


@exercise(cases=[(1.0, 2.0), (3.0, 4.0)], hints=["Add.", "a + b"])
def add(a, b):
    return a + b


@add.mistake("you multiplied.")
def _(a, b):
    return a * b


def test_an_unknown_mistake_shows_one_trial(capsys):
    text = said(capsys, add, lambda a, b: a - b)
    assert text == "✗ add: for the input 1, 2 the answer is 3, yours gave -1.\n"


def test_a_forgotten_return_is_told(capsys):
    def answer(a, b):
        a + b

    assert "did you forget `return`?" in said(capsys, add, answer)


def test_a_wrong_shape_is_told(capsys):
    text = said(capsys, add, lambda a, b: np.array([a, b]))
    assert "expected a single number, got an array of shape (2,)" in text


def test_a_mask_of_true_and_false_is_one_of_numbers(capsys):
    @exercise(cases=[(2,)], hints=["-"])
    def mask(n):
        return np.tri(n)

    assert "correct" in said(capsys, mask, lambda n: np.tri(n, dtype=bool))
    assert "correct" in said(capsys, mask, lambda n: [[True, False], [True, True]])
    assert "the answer is" in said(capsys, mask, lambda n: np.ones((n, n), bool))


def test_parts_of_other_lengths_are_told_and_not_blamed_on_the_code(capsys):
    @exercise(cases=[(np.arange(4),)], hints=["-"])
    def shifted(ids):
        return ids[:-1], ids[1:]

    text = said(capsys, shifted, lambda ids: (ids[:-1], ids))
    assert text.startswith("✗ shifted: result 2 of 2: expected an array of shape (3,), got")
    text = said(capsys, shifted, lambda ids: [ids[:-1], ids])
    assert "differ in length" in text


def test_a_large_number_is_shown_in_full(capsys):
    @exercise(cases=[(37_748_736,)], hints=["-"])
    def same(n):
        return n

    text = said(capsys, same, lambda n: n + 2)
    assert "the answer is 37748736, yours gave 37748738." in text


def test_a_number_where_a_function_is_wanted(capsys):
    assert "a function is wanted here, not a float" in said(capsys, add, 3.0)


def test_an_error_in_the_answer_is_named(capsys):
    assert "your code raised ZeroDivisionError" in said(capsys, add, lambda a, b: 1 / 0)


def test_an_answer_cannot_spoil_the_next_trial(capsys):
    @exercise(cases=[(np.array([1.0]),)], hints=["-"])
    def double(x):
        return 2 * x

    def answer(x):
        x *= 2
        return x

    assert "correct" in said(capsys, double, answer)
    assert "correct" in said(capsys, double, answer)


def test_hints_start_again_after_the_last(capsys):
    for expected in ("Add.", "a + b", "Add."):
        add.hint()
        assert expected in capsys.readouterr().out


def test_a_constant_answer_is_an_attempt():
    assert not not_attempted(lambda: 3)
    assert not not_attempted(0)
    assert not_attempted(lambda: ...)


# ---- questions about ideas -----------------------------------------------------------------------


REPOSITORY = Path(__file__).parent.parent
LESSONS = sorted((REPOSITORY / "codes").glob("[0-9]*.py"))
NOTEBOOKS = REPOSITORY / "notebooks"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_asks_five_questions_and_its_text_answers_them(lesson, capsys):
    text = lesson.read_text(encoding="utf-8")
    section = text.partition("# ## Check your understanding\n")[2].partition("# %%")[0]
    assert re.findall(r"^# (\d)\. ", section, re.M) == list("12345")
    module = importlib.import_module(f"utils.exercises.lesson_{lesson.name[:2]}")
    headings = re.findall(r"^# #+ (.*)$", text, re.M)
    assert len(module.answer.answers) == 5
    for number, (heading, words) in enumerate(module.answer.answers, 1):
        assert heading in headings
        module.answer(number)
        said = capsys.readouterr().out
        assert words.split()[0] in said and heading in said


@pytest.mark.parametrize("wish", [None, 0, 6, -1])
def test_no_answer_is_given_before_it_is_asked_for(wish, capsys):
    Answers(*[("Heading", "The answer.")] * 5)(wish)
    said = capsys.readouterr().out
    assert "The answer." not in said and said.startswith("… ")


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_its_unanswered_exercises_print(lesson, capsys):
    check = importlib.import_module(f"utils.exercises.lesson_{lesson.stem[:2]}")
    notebook = nbformat.read(NOTEBOOKS / f"{lesson.stem}.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if re.search(r"^check\.", cell.source, re.M)]
    assert len(cells) > 1
    for cell in cells:
        exec(cell.source, {"check": check, "np": np})
        assert capsys.readouterr().out == "".join(output.text for output in cell.outputs)
