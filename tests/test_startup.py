"""`make bench`: what it times, and what it holds it against."""

import sys

import pytest

from benchmarks import startup


@pytest.fixture
def timed(monkeypatch):
    """Nothing runs, and every process takes 100 seconds: the first argument of each."""
    asked = []
    monkeypatch.setattr(startup, "seconds", lambda arguments, _: asked.append(arguments[0]) or 100)
    return asked


def test_each_lesson_is_held_against_its_budget(timed, monkeypatch, capsys):
    monkeypatch.setattr(startup, "budgets", lambda: {"08_pretraining": 101, "09_generation": 99})
    monkeypatch.setattr(sys, "argv", ["startup.py"])
    startup.main()
    within, over = capsys.readouterr().out.splitlines()[-2:]
    assert within.split() == ["08_pretraining", "100.00", "s", "of", "101", "s"]
    assert over.startswith("09_generation ") and over.endswith(
        "100.00 s of  99 s   over its budget"
    )


def test_quick_leaves_the_lessons_out(timed, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["startup.py", "--quick", "--repeats", "2"])
    startup.main()
    assert len(timed) == 2 * len(startup.STARTS)


def test_every_lesson_has_a_budget():
    lessons = {path.stem for path in (startup.ROOT / "codes").glob("[0-9]*.py")}
    assert set(startup.budgets()) == lessons and min(startup.budgets().values()) > 0


def test_the_models_of_the_reader_are_left_alone(tmp_path):
    """A lesson that is timed trains in the folder of this measurement."""
    code = "import sys, os; sys.exit(os.environ['COURSE_CHECKPOINTS'] != sys.argv[1])"
    assert startup.seconds(["-c", code, str(tmp_path / "checkpoints")], str(tmp_path)) > 0
