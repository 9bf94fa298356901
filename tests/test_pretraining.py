"""A training can be killed, says what is wrong, and never loses a good model."""

import io
import math
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace

import keras
import numpy as np
import pytest
import tiny_gpt2
from tiny_gpt2 import RECIPE, TINY

from utils.data.batches import Windows
from utils.data.corpora import load_corpus
from utils.data.keras_tokenizers import VOCABULARY_SIZE, GPT2Tokenizer
from utils.errors import CourseError
from utils.evaluation.losses import TokenLosses
from utils.models.gpt2 import build_gpt2, from_ids
from utils.small_gpt2 import SNAPSHOTS
from utils.training import runs
from utils.training.checkpoints import (
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from utils.training.optimizers import Muon
from utils.training.presets import load_preset
from utils.training.pretraining import identity_of, prepare, pretrain
from utils.training.recipes import Recipe
from utils.training.runs import TrainingFailed

TINY_PROGRAM = tiny_gpt2.__file__
TEXT = "".join(
    f"The {animal} {verb} the {thing}. " for animal in ("hen", "fox", "cow", "cat", "duck")
    for verb in ("saw", "ate", "hid", "lost") for thing in ("egg", "bun", "hat", "key", "cake")
) * 6  # fmt: skip


def use_folders(patch, folder):
    """Data and checkpoints of its own."""
    patch.setenv("COURSE_DATA", str(folder / "data"))
    patch.setenv("COURSE_CHECKPOINTS", str(folder / "checkpoints"))


def write_text(folder):
    path = folder / "farm.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run that nothing has interrupted, and what it has printed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        use_folders(patch, folder)
        corpus = load_corpus(str(write_text(folder)), RECIPE.vocabulary_size)
        return pretrain(corpus, RECIPE, snapshots=(0, 5)), printed.getvalue()


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path, undisturbed):
    """Each test has folders of its own. (What is undisturbed comes before it.)"""
    use_folders(monkeypatch, tmp_path)


@pytest.fixture
def text_file(tmp_path):
    return write_text(tmp_path)


@pytest.fixture
def corpus(text_file):
    return load_corpus(str(text_file), RECIPE.vocabulary_size)


def same_weights(run, other):
    ours, theirs = (load_preset(one.preset).backbone.get_weights() for one in (run, other))
    return all(map(np.array_equal, ours, theirs))


class Interrupted(Exception):
    pass


class Interrupt(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.steps_left = step

    def on_train_batch_end(self, batch, logs=None):
        self.steps_left -= 1
        if self.steps_left == 0:
            raise Interrupted


def interrupt_training(corpus, recipe, step):
    """Train until `step` of this process, then fail."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "Progress", lambda **_: Interrupt(step))
        with pytest.raises(Interrupted):
            pretrain(corpus, recipe)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The checkpoints of a run that was interrupted between two of them, to be copied."""
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.MonkeyPatch.context() as patch:
        use_folders(patch, folder)
        corpus = load_corpus(str(write_text(folder)), RECIPE.vocabulary_size)
        interrupt_training(corpus, RECIPE, 15)
    return folder / "checkpoints"


@pytest.fixture
def stopped(interrupted, corpus, tmp_path):
    """The folder of an interrupted run of a test's own."""
    shutil.copytree(interrupted, tmp_path / "checkpoints")
    return identity_of(corpus, RECIPE).folder


@contextmanager
def full_disk():
    """No file may have more than 5000 bytes."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_whatever_stops_a_run_it_ends_like_one_in_one_piece(corpus, stopped, undisturbed, capsys):
    """An exception between two checkpoints, then a full disk, then another exception."""
    before = {path: path.read_bytes() for path in stopped.glob("checkpoint-*.npz")}
    assert before
    refused = pytest.raises(CheckpointError, match="cannot be written.*free some space")
    with refused as error, full_disk():
        pretrain(corpus, RECIPE)
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in stopped.glob("checkpoint-*.npz")} == before
    assert not list(stopped.glob(".part-*"))
    interrupt_training(corpus, RECIPE, 5)
    capsys.readouterr()
    resumed, (whole, report) = pretrain(corpus, RECIPE), undisturbed
    assert resumed.history == whole.history and same_weights(resumed, whole)
    said = capsys.readouterr().out
    assert said.startswith("step 20/40") and report.endswith(said)


def test_what_is_finished_is_not_trained_again_but_reported_again(
    undisturbed, tmp_path, monkeypatch, capsys
):
    whole, report = undisturbed
    assert report.splitlines()[-1].startswith("step 40/40  loss ")
    use_folders(monkeypatch, whole.folder.parents[1])
    corpus = load_corpus(str(whole.folder.parents[1] / "farm.txt"), RECIPE.vocabulary_size)
    monkeypatch.setattr(runs, "_train", None)
    assert pretrain(corpus, RECIPE, snapshots=(0, 5)) == whole
    assert capsys.readouterr().out == report


def test_a_run_learns_and_keeps_what_later_lessons_need(corpus, undisturbed):
    run, _ = undisturbed
    losses = [report["validation_loss"] for report in run.history]
    assert losses[-1] < losses[0] < math.log(300) + 0.2
    assert [report["step"] for report in run.history] == list(range(2, 41, 2))
    model = load_preset(run.preset)
    assert isinstance(model.preprocessor.tokenizer, GPT2Tokenizer)
    text = "The hen ate the bun."
    ids = np.asarray(model.preprocessor.tokenizer(text))
    assert ids.tolist() == corpus.tokenizer.encode(text)
    rows, mask = Windows(corpus.validation, 32, corpus.tokenizer.end_id).in_order()
    assert TokenLosses(from_ids(model)).mean(rows, mask) == pytest.approx(
        run.validation_loss, abs=1e-5
    )
    fresh, later = (TokenLosses(from_ids(run.model_at(step))).mean(rows, mask) for step in (0, 5))
    assert fresh == pytest.approx(math.log(300), abs=0.1) and later < fresh
    assert list((run.folder / "logs").rglob("events*")), "TensorBoard finds nothing"


def test_killed_with_sigkill_it_is_finished_by_one_of_two_processes_with_the_same_weights(
    corpus, text_file, tmp_path, undisturbed
):
    command = [sys.executable, "-u", TINY_PROGRAM, str(text_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for _ in zip(range(7), process.stdout, strict=False):  # it has made so many reports
            pass
        process.send_signal(signal.SIGKILL)
    checkpoints = tmp_path / "checkpoints"
    assert list(checkpoints.rglob("checkpoint-*.npz")) and not list(checkpoints.rglob("preset"))
    start = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [subprocess.Popen(command, encoding="utf-8", **start) for _ in range(2)]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    # One went on where the killed one had been. The other waited, and reports all that was done.
    (trained, _), (waited, _) = sorted(outputs, key=lambda output: len(output[0]))
    assert "step 40/40" in trained and "step  2/40" not in trained
    assert "step  2/40" in waited and waited.endswith(trained)
    assert sum("waiting for it" in stderr for _, stderr in outputs) <= 1
    assert same_weights(pretrain(corpus, RECIPE, quiet=True), undisturbed[0])


def test_a_learning_rate_that_is_far_too_high(corpus):
    recipe = replace(RECIPE, learning_rate=1e20)
    with pytest.raises(TrainingFailed, match=r"loss became (nan|inf) at step \d+.*try a tenth"):
        pretrain(corpus, recipe)
    folder = identity_of(corpus, recipe).folder
    assert not (folder / "preset").exists(), "no model is left"
    for path in folder.glob("checkpoint-*.npz"):
        with np.load(path) as data:
            assert all(np.isfinite(data[name]).all() for name in data.files if "/" in name)


def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(corpus, stopped, capsys):
    older, newest = sorted(stopped.glob("checkpoint-*.npz"))
    newest.write_bytes(newest.read_bytes()[:-2000])
    model = prepare(build_gpt2(corpus.vocabulary_size, TINY), RECIPE)
    step, history = load_checkpoint(stopped, model)
    assert f"{step:07d}" in older.name and history[-1]["step"] == step
    assert f"{newest} is damaged" in capsys.readouterr().err
    older.write_bytes(b"")
    assert load_checkpoint(stopped, model) == (0, [])


def test_a_folder_that_cannot_be_written_to(corpus, text_file, monkeypatch):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(text_file))
    with pytest.raises(CheckpointError, match="COURSE_CHECKPOINTS"):
        pretrain(corpus, RECIPE)


def test_a_checkpoint_of_another_model_is_refused(corpus, tmp_path):
    save_checkpoint(tmp_path, prepare(build_gpt2(corpus.vocabulary_size, TINY), RECIPE), 1, [])
    wider = build_gpt2(corpus.vocabulary_size, replace(TINY, width=32))
    with pytest.raises(CheckpointError, match="belongs to another model.*in the model"):
        load_checkpoint(tmp_path, prepare(wider, RECIPE))


def test_a_text_learnt_by_heart_stops_early_and_the_best_weights_are_kept(tmp_path):
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), size=4)) for _ in range(40)]
    path = tmp_path / "noise.txt"
    path.write_text(" ".join(rng.choice(words, size=400)), encoding="utf-8")
    recipe = replace(RECIPE, steps=1000, learning_rate=0.05, patience=2)
    corpus = load_corpus(str(path), recipe.vocabulary_size)
    run = pretrain(corpus, recipe)
    losses = [report["validation_loss"] for report in run.history]
    assert len(losses) < 20 and int(np.argmin(losses)) == len(losses) - 3
    assert run.validation_loss == pytest.approx(min(losses), abs=1e-4)


def test_a_text_shorter_than_a_window(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("Too short.", encoding="utf-8")
    with pytest.raises(CourseError, match="short.txt is too short to learn from"):
        pretrain(load_corpus(str(path), 258), RECIPE)


def test_muon_orthogonalizes_attention_as_one_matrix():
    """One step for a kernel in three dimensions is the same as for its matrix in two."""
    rng = np.random.default_rng(0)
    for shape, matrix in [((12, 3, 4), (12, 12)), ((3, 4, 12), (12, 12)), ((12, 20), (12, 20))]:
        start, gradient = rng.normal(size=(2, *shape)).astype("float32")
        kernel = keras.Variable(start, name="kernel")
        Muon(0.1, weight_decay=None).apply([gradient], [kernel])
        flat = keras.Variable(start.reshape(matrix), name="kernel")
        keras.optimizers.Muon(0.1, weight_decay=None).apply([gradient.reshape(matrix)], [flat])
        assert np.asarray(kernel).reshape(matrix) == pytest.approx(np.asarray(flat), abs=1e-5)
    bias = keras.Variable(start[:3], name="bias")
    adamw = Muon(0.1, adam_lr_ratio=1, weight_decay=None, adam_weight_decay=None)
    adamw.apply([gradient[:3]], [bias])
    assert np.abs(np.asarray(bias) - start[:3]) == pytest.approx(0.1, abs=1e-3), "AdamW: by sign"


def test_the_defaults_belong_together():
    assert RECIPE.patience == Recipe().patience
    assert Recipe().vocabulary_size == VOCABULARY_SIZE
    assert SNAPSHOTS[0] == 0
