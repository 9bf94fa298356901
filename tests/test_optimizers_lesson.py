"""Lesson 13: by hand and by library, the same; its benchmark keeps its word."""

import json

import keras
import numpy as np
import pytest
from lesson_code import definitions

from benchmarks import optimizers, race, results
from utils.data.downloads import DATASETS
from utils.errors import CourseError
from utils.training.optimizers import Muon

lesson = definitions("13_optimizers", constants=["N", "A", "B", "C"], np=np)
rng = np.random.default_rng(13)


# ---- Muon ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (8, 8), (8, 2, 4), (2, 4, 8), (3, 5, 4)])
def test_muon_by_hand_takes_the_steps_of_the_course(shape):
    kernel, momentum = np.zeros(shape), np.zeros(shape)
    variable = keras.Variable(np.zeros(shape, "float32"), name="kernel")
    optimizer = Muon(0.1, weight_decay=None)
    for _ in range(4):
        gradient = rng.normal(size=shape).astype("float32")
        kernel, momentum = lesson.muon_step(kernel, momentum, gradient, 0.1)
        optimizer.apply([gradient], [variable])
    assert np.abs(kernel).max() > 0.05
    assert np.abs(kernel - variable.numpy()).max() < 1e-4


@pytest.mark.parametrize("shape", [(6, 10), (16, 16)])
def test_the_iteration_sets_the_singular_values_and_keeps_the_directions(shape):
    left, _ = np.linalg.qr(rng.normal(size=(shape[0], shape[0])))
    right, _ = np.linalg.qr(rng.normal(size=(shape[1], shape[1])))
    values = np.geomspace(1, 0.01, shape[0])
    result = lesson.by_newton_schulz(left * values @ right[: shape[0]])
    inside = left.T @ result @ right[: shape[0]].T
    assert np.abs(inside - np.diag(np.diag(inside))).max() < 1e-8
    assert np.diag(inside).min() > 0.6 and np.diag(inside).max() < 1.3


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (5, 5)])
def test_by_svd_all_singular_values_are_one(shape):
    result = lesson.by_svd(rng.normal(size=shape))
    assert np.allclose(np.linalg.svd(result, compute_uv=False), 1)


# ---- windows -------------------------------------------------------------------------------------


def test_story_windows_start_at_a_story_and_have_no_padding():
    end = 9
    ids = np.array([end, 1, 2, 3, end, 4, 5, end, 6, 7, 8, 8, end, 1, 1, end])
    windows = optimizers.StoryWindows(ids, context=6, end_id=end)
    seen = set()
    for step in range(3):
        rows, loss_mask = windows.batch(step, batch_size=1, seed=0)
        assert rows.shape == (1, 7) and rows[0, 0] == end
        assert (loss_mask == 1).all()
        seen.add(tuple(rows[0]))
    assert len(seen) == 3  # a pass reads each window once


# ---- the benchmark -------------------------------------------------------------------------------


def made_up(losses):
    """What stands in for a training: its loss depends on the rate alone."""
    made = []

    def make(setting):
        made.append(setting)
        return [[0, 0.0, 7.0], [setting.steps, 1.0, losses(setting.rate)]]

    return make, made


def test_the_tuning_goes_on_while_the_best_rate_is_at_the_edge(tmp_path):
    file = results.Results(tmp_path / "results.json")
    make, made = made_up(lambda rate: abs(np.log(rate / 0.0001)))
    best = optimizers.tune(file, "AdamW", make)
    assert min(setting.rate for setting in made) < best < max(setting.rate for setting in made)
    assert best == pytest.approx(0.0001, rel=0.2)


def test_a_benchmark_that_was_stopped_goes_on(tmp_path):
    path = tmp_path / "results.json"
    make, made = made_up(lambda rate: abs(np.log(rate / 0.005)))
    optimizers.all_runs(results.Results(path), make)
    first = len(made)
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["runs"]["AdamW"]
    results.write(path, data)
    optimizers.all_runs(results.Results(path), make)
    assert len(made) == first + 1 and made[-1].optimizer == "AdamW"
    assert json.loads(path.read_text(encoding="utf-8"))["runs"].keys() > {"AdamW", "Muon", "plain"}


def test_runs_of_other_versions_are_neither_mixed_nor_lost(tmp_path):
    path = tmp_path / "results.json"
    results.write(path, {"versions": {"keras": "0.1"}, "runs": {"Muon": {"loss": 1}}})
    before = path.read_bytes()
    shown = []
    results.Results(path).show(lambda name, made: shown.append(name) or name)
    assert shown == ["Muon"]  # --list needs no version
    with pytest.raises(CourseError, match=r"made with keras 0\.1, not .*--again"):
        results.Results(path).run("AdamW", {}, dict, str)
    assert path.read_bytes() == before
    results.Results(path, again=True).run("AdamW", {}, dict, lambda *_: "")
    assert json.loads(path.read_text("utf-8"))["runs"].keys() == {"AdamW"}


def test_a_damaged_file_of_results_is_one_sentence(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('{"versions": ', encoding="utf-8")
    with pytest.raises(CourseError, match="damaged"):
        results.Results(path)


def test_the_shipped_file_has_all_runs_and_equal_tuning():
    data = json.loads((DATASETS / "optimizers.json").read_text(encoding="utf-8"))
    runs = data["runs"]
    assert {
        "AdamW",
        "Muon",
        "large batch",
        "short schedule",
        "plain",
        "packed",
        "stories",
    } <= runs.keys()
    for name in ("AdamW", "Muon"):
        tuned = {
            run["setting"]["rate"]: run["evaluations"][-1][2]
            for run_name, run in runs.items()
            if run_name.startswith(f"{name} tuning")
        }
        best = min(tuned, key=tuned.__getitem__)
        assert len(tuned) >= 3 and min(tuned) < best < max(tuned)
        assert runs[name]["setting"]["rate"] == best
        assert runs[name]["evaluations"][-1][0] == optimizers.STEPS
    assert runs["AdamW"]["setting"]["windows"] == runs["Muon"]["setting"]["windows"]


def test_a_lap_says_whether_it_arrived():
    lap = {"entry": "mine", "seed": 3, "seconds": 61.2, "cpu_seconds": 99.6, "ratio": 1.0999}
    assert race.lap_line(lap).endswith("1.100 times the floor, arrived")
    assert "did not arrive" in race.lap_line(lap | {"ratio": 1.2})
