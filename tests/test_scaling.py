"""Lesson 14: the fit finds a truth, the ring adds up, the benchmark keeps its word."""

import json
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from lesson_code import definitions

from benchmarks import scaling
from utils.data.downloads import DATASETS
from utils.models.sizes import SIZES, ModelSize
from utils.training.budget import ATTENTION, FLOAT, GIB, HIDDEN, LOGITS, VECTORS

given = {"ATTENTION": ATTENTION, "FLOAT": FLOAT, "HIDDEN": HIDDEN, "LOGITS": LOGITS}
given |= {"np": np, "json": json, "os": os, "socket": socket, "subprocess": subprocess, "sys": sys}
given |= {"time": time}
lesson = definitions("14_scaling", constants=["DELTA", "STARTS"], VECTORS=VECTORS, GIB=GIB, **given)
lesson.rng = np.random.default_rng(0)
rng = np.random.default_rng(14)
GRID = [part.ravel() for part in np.meshgrid(np.geomspace(1e4, 3e6, 9), np.geomspace(1e5, 2e6, 4))]
TRUTHS = [
    [np.log(300), np.log(3000), np.log(0.3), 0.6, 0.65],
    [np.log(50), np.log(400), np.log(1.2), 0.4, 0.5],
]

# ---- the fit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("truth", TRUTHS)
def test_without_noise_the_fit_finds_the_law(truth):
    found = lesson.fit(*GRID, lesson.law(np.array(truth), *GRID))
    assert np.allclose(found, truth, atol=1e-3)


def test_a_run_that_is_far_off_hardly_moves_the_law():
    truth = np.array(TRUTHS[0])
    losses = lesson.law(truth, *GRID)
    losses[5] *= 3
    found = lesson.fit(*GRID, losses)
    others = np.arange(len(losses)) != 5
    off = np.abs(lesson.law(found, *GRID) / lesson.law(truth, *GRID) - 1)[others]
    assert off.max() < 0.01


def test_the_interval_holds_the_truth_and_grows_with_the_noise():
    truth = np.array(TRUTHS[0])
    widths = []
    for noise in (0.005, 0.05):
        losses = lesson.law(truth, *GRID) * np.exp(noise * rng.normal(size=len(GRID[0])))
        low, high = lesson.interval(np.exp(lesson.bootstrap(*GRID, losses, samples=40)[:, 2]))
        assert low < np.exp(truth[2]) < high
        widths.append(high - low)
    assert widths[0] < widths[1]


# ---- several processes ---------------------------------------------------------------------------


@pytest.mark.parametrize(("processes", "n"), [(1, 5), (2, 8), (3, 7), (4, 2), (5, 100)])
def test_after_a_ring_all_reduce_everyone_has_the_sum(processes, n):
    vectors = [rng.normal(size=n) for _ in range(processes)]
    sums, sent = lesson.ring_all_reduce(vectors)
    assert sums.shape == (processes, n)
    assert np.allclose(sums, np.sum(vectors, axis=0))
    if n % processes == 0:
        assert (sent == 2 * (processes - 1) * n // processes).all()


def test_the_vectors_that_were_handed_in_stay_as_they_were():
    vectors = [np.ones(6), 2 * np.ones(6), 3 * np.ones(6)]
    lesson.ring_all_reduce(vectors)
    assert [vector[0] for vector in vectors] == [1, 2, 3]


REPORT = """
import json, os, sys
print("a line of the library's own")
print(json.dumps({"arguments": sys.argv[1:4], "backend": os.environ["KERAS_BACKEND"]}))
"""


def test_each_process_knows_its_rank_and_reports():
    lesson.WORKER = REPORT
    first, second = lesson.together("data", 2)
    assert first == {"arguments": ["data", "0", "2"], "backend": "jax"}
    assert second["arguments"] == ["data", "1", "2"]


def test_if_a_process_fails_there_is_no_report():
    lesson.WORKER = "import sys, time; sys.argv[2] == '1' and sys.exit(1); time.sleep(600)"
    assert lesson.together("data", 2) is None  # and the other one is not waited for


def test_processes_that_wait_for_ever_are_stopped():
    lesson.WORKER = "import time; time.sleep(600)"
    assert lesson.together("data", 2, patience=1) is None


# ---- arithmetic ----------------------------------------------------------------------------------


def test_the_flops_are_six_for_each_parameter_that_multiplies():
    size = SIZES["gpt2"]
    parameters = size.parameters(50_257) - size.context * size.width
    flops = lesson.flops(size.layers, size.width, 50_257, tokens=1)
    assert flops / (6 * parameters) == pytest.approx(1, abs=0.002)  # but for biases and gains


def test_activations_grow_with_the_tokens_and_not_with_the_vocabulary_alone():
    size = ModelSize(12, 12, 768, 3072, 1024)
    one, two = (lesson.activations(size, 50_257, tokens) for tokens in (1024, 2048))
    assert two == 2 * one and 0.5 * GIB < one < 4 * GIB


# ---- the benchmark -------------------------------------------------------------------------------


def test_the_plan_has_the_sizes_and_budgets_that_the_lesson_promises():
    plan = scaling.settings()
    assert len(plan) == len({setting.name for setting in plan})
    for language, least in (("en", 12), ("zh", 5)):
        grid = [s for s in plan if (s.language, s.purpose) == (language, "grid")]
        sizes = {scaling.non_embedding(scaling.size_of(s.layers, s.width)) for s in grid}
        assert len(sizes) >= least and len({s.tokens for s in grid}) >= 3
        if language == "en":
            assert min(sizes) < 12_000 and max(sizes) > 2_900_000


def test_the_runs_for_a_fixed_time_are_not_among_those_of_the_fit():
    plan = scaling.settings()
    for name, runs in scaling.FIXED_TIME.items():
        made = {(s.width, s.tokens) for s in plan if s.purpose == name}
        assert made == set(runs)
        assert not made & {(s.width, s.tokens) for s in plan if s.purpose == "grid"}


def test_a_benchmark_that_was_stopped_goes_on(tmp_path):
    path, made = tmp_path / "scaling.json", []

    def make(setting):
        made.append(setting.name)
        blank = {"parameters": 1, "tokens": 2, "steps": 3, "seconds": 4.0, "loss": 5.0}
        return vars(setting) | blank

    plan = scaling.settings()[:3]
    scaling.complete(scaling.Results(path), plan[:2], make)
    scaling.complete(scaling.Results(path), plan, make)
    assert made == [setting.name for setting in plan]
    assert list(json.loads(path.read_text(encoding="utf-8"))["runs"]) == made


def test_a_run_learns_and_is_the_same_each_time(monkeypatch):
    monkeypatch.setattr(scaling, "HELD_OUT", 20)
    monkeypatch.setattr(scaling, "KEPT", 0)
    first, long, again = (
        scaling.train(scaling.Setting("en", 1, 16, tokens, 0.08))
        for tokens in (6_000, 30_000, 6_000)
    )
    assert first["tokens"] <= 6_200 and first["steps"] == 4
    assert long["loss"] < first["loss"] - 0.3
    assert again["loss"] == first["loss"]  # the compiled model begins anew


def test_no_tale_is_read_twice_or_held_out():
    rows, loss_mask, stories = scaling.tales("en", "train", 40)
    held_out = {story.text for story in scaling.tales("en", "validation", 40)[2]}
    texts = [story.text for story in stories]
    assert len(set(texts)) == len(texts) == len(rows) and not held_out & set(texts)
    assert (loss_mask.sum(axis=1) > 50).all()


def test_the_shipped_runs_are_the_plan_s_and_their_losses_lie_above_the_floor():
    data = json.loads((DATASETS / "scaling.json").read_text(encoding="utf-8"))
    planned = {setting.name: setting for setting in scaling.settings()}
    for name, run in data["runs"].items():
        assert planned[name].purpose == run["purpose"]
        assert data["floors"][run["language"]] < run["loss"] < 7.5
        assert run["tokens"] == pytest.approx(planned[name].tokens, rel=0.05)
