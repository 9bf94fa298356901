"""What a training will take is said before, and what does not fit is refused before."""

from dataclasses import replace

import pytest
from tiny_gpt2 import RECIPE

from utils.data.corpora import load_corpus
from utils.models.gpt2 import build_gpt2
from utils.models.sizes import SIZES, SizeError, custom_size
from utils.training import budget
from utils.training.budget import (
    GIB,
    TimeEstimate,
    TooLarge,
    check_memory,
    check_tuning_memory,
    training_memory,
)
from utils.training.pretraining import pretrain
from utils.training.recipes import Recipe

# Peaks of the resident memory after two steps and a validation, in GiB, on Linux with TensorFlow
# 2.21: named size, batch size, parts, vocabulary, peak.
MEASURED = [
    ("small", 16, 1, 1536, 1.34),
    ("small", 64, 1, 1536, 1.89),
    ("medium", 16, 1, 1536, 2.73),
    ("medium", 16, 4, 1536, 2.06),
    ("gpt2", 2, 2, 50257, 6.12),
]


@pytest.mark.parametrize(("name", "batch_size", "parts", "vocabulary", "peak"), MEASURED)
def test_the_estimate_is_near_what_was_measured(name, batch_size, parts, vocabulary, peak):
    recipe = Recipe(size=SIZES[name], batch_size=batch_size, accumulate=parts)
    estimate = training_memory(recipe, vocabulary, recipe.size.context)
    assert estimate / GIB == pytest.approx(peak, rel=0.1)


def test_what_does_not_fit_is_refused_with_flags_that_do(monkeypatch):
    monkeypatch.setattr(budget, "free_memory", lambda: 8 * GIB)
    recipe = Recipe(size=SIZES["gpt2"], batch_size=16)
    with pytest.raises(TooLarge, match="8.0 GiB are free: give --accumulate 8,") as error:
        check_memory(recipe, 50257, 1024)
    assert "\n" not in str(error.value)
    assert check_memory(replace(recipe, accumulate=8), 50257, 1024) < 8 * GIB
    monkeypatch.setattr(budget, "free_memory", lambda: 3 * GIB)
    with pytest.raises(TooLarge, match="a smaller --size, --context or --batch-size"):
        check_memory(recipe, 50257, 1024)


def test_tuning_a_model_that_is_too_large_is_refused():
    model = build_gpt2(300, RECIPE.size)
    assert check_tuning_memory(model, 2, 8, 16) < 2 * GIB
    with pytest.raises(TooLarge, match="a smaller --batch-size, or a smaller --base"):
        check_tuning_memory(model, 10**9, 8, 8 * 10**9)
    whole = check_tuning_memory(model, 2, 8, 16)
    model.backbone.token_embedding.trainable = False
    assert check_tuning_memory(model, 2, 8, 16) < whole


def test_processes_that_cannot_split_a_batch_are_not_told_to(monkeypatch):
    monkeypatch.setattr(budget, "free_memory", lambda: 8 * GIB)
    with pytest.raises(TooLarge, match="give a smaller --size"):
        check_memory(Recipe(size=SIZES["gpt2"]), 50257, 1024, in_parts=False)


def test_a_batch_beyond_all_memory_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "checkpoints"))
    path = tmp_path / "text.txt"
    path.write_text("The hen ate the bun. The fox saw the hen. " * 50, encoding="utf-8")
    corpus = load_corpus(str(path), 300)
    with pytest.raises(TooLarge, match="takes about .* GiB of memory"):
        pretrain(corpus, replace(RECIPE, batch_size=100_000_000))


def test_the_time_is_said_once_and_leaves_the_compilation_out(monkeypatch, capsys):
    clock = iter([100.0, 101.0])  # after the first step, and five steps later
    monkeypatch.setattr(budget.time, "perf_counter", lambda: next(clock))
    estimate = TimeEstimate(measured=5)
    estimate.set_params({"epochs": 20, "steps": 40})
    estimate.on_epoch_begin(10)  # a training that goes on at step 400 of 800
    for batch in range(40):
        estimate.on_train_batch_end(batch)
    assert capsys.readouterr().out == "0.2 s a step on this machine, so about 79 s.\n"


def test_in_a_terminal_the_time_stands_on_a_line_of_its_own(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    estimate = TimeEstimate(measured=1)
    estimate.set_params({"epochs": 1, "steps": 10})
    estimate.on_epoch_begin(0)
    print("5/10 ━━━━", end="")  # Keras's bar
    for batch in range(10):
        estimate.on_train_batch_end(batch)
    assert " s a step" in capsys.readouterr().out.splitlines()[1]


def test_a_size_by_its_name_with_numbers_changed():
    assert custom_size("small") == SIZES["small"]
    assert custom_size("gpt2", context=256) == replace(SIZES["gpt2"], context=256)
    wide = custom_size("small", width=256)
    assert (wide.heads, wide.feed_forward) == (4, 1024)
    with pytest.raises(SizeError, match="3 heads cannot share a width of 128 .*, such as 2"):
        custom_size("small", heads=3)
    with pytest.raises(SizeError, match="such as 2"):
        custom_size("small", width=200, heads=3)


@pytest.mark.parametrize(("width", "heads"), [(64, 1), (200, 2), (131, 1), (384, 6), (1600, 25)])
def test_a_width_alone_always_makes_a_model(width, heads):
    """Also where 64 does not divide it; GPT-2 XL has 1,600 and 25."""
    assert custom_size("small", width=width).heads == heads
    assert 10_000_000 < SIZES["medium"].parameters(1536) < 12_000_000
    assert SIZES["gpt2"].parameters(50257) == 124_439_808  # as published
