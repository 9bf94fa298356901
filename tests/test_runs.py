"""The harness: what decides a run, what is kept of it, and what happens when files are damaged."""

import errno
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tiny_gpt2
from tiny_gpt2 import RECIPE, TINY

from utils import files
from utils.code_digest import digest_of_source
from utils.data.batches import Windows, endless_batches
from utils.data.corpora import load_corpus
from utils.errors import CourseError
from utils.evaluation import losses
from utils.evaluation.losses import TokenLosses
from utils.models.gpt2 import build_gpt2, from_ids, hidden_states, in_float32
from utils.training import identity as identities
from utils.training import runs
from utils.training.checkpoints import (
    CheckpointError,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
    training_state,
)
from utils.training.identity import WITHOUT_EFFECT, files_of, read_identity, what_differs
from utils.training.presets import load_preset
from utils.training.pretraining import identity_of, prepare, pretrain
from utils.training.runs import is_finished, read_run, run_by_name, what_is_there

QUICK, SNAPSHOT = replace(RECIPE, steps=20), (5,)
TEXT = "".join(
    f"The {animal} saw the {thing}. " for animal in ("hen", "fox", "cow", "cat", "duck", "owl")
    for thing in ("egg", "bun", "hat", "key", "cake", "pot", "jug")
) * 12  # fmt: skip


@pytest.fixture(autouse=True)
def own_checkpoints(monkeypatch, tmp_path):
    """A folder of its own for each test."""
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "checkpoints"))


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "farm.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def corpus(text_file, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(text_file.parent / "data"))
    return load_corpus(str(text_file), RECIPE.vocabulary_size)


@pytest.fixture(scope="module")
def trained(text_file, tmp_path_factory):
    """A folder of checkpoints with one finished run, to be copied."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CHECKPOINTS", str(folder))
        patch.setenv("COURSE_DATA", str(text_file.parent / "data"))
        pretrain(load_corpus(str(text_file), RECIPE.vocabulary_size), QUICK, SNAPSHOT)
    return folder


@pytest.fixture
def run(corpus, trained, tmp_path):
    """A finished run of a test's own."""
    shutil.copytree(trained, tmp_path / "checkpoints")
    return read_run(identity_of(corpus, QUICK, SNAPSHOT).folder)


def weights(run):
    return load_preset(run.preset).backbone.get_weights()


# ---- identity ------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [
    {"steps": 21}, {"seed": 1}, {"learning_rate": 0.02}, {"patience": 3}, {"accumulate": 2},
    {"dtype": "mixed_bfloat16"}, {"size": replace(TINY, width=32)},
    {"size": replace(TINY, dropout=0.1)},
])  # fmt: skip
def test_another_setting_is_another_run(corpus, change):
    assert identity_of(corpus, replace(QUICK, **change)).folder != identity_of(corpus, QUICK).folder


def test_other_data_snapshots_code_or_versions_are_another_run(corpus, text_file, monkeypatch):
    mine = identity_of(corpus, QUICK)
    assert identity_of(corpus, QUICK).folder == mine.folder
    assert identity_of(corpus, QUICK, (5,)).folder != mine.folder
    for data in ({"corpus": "other"}, {"tokenizer": "other"}):
        assert replace(mine, data={**mine.data, **data}).folder != mine.folder
    assert replace(mine, code="other").folder != mine.folder
    for name in ("version", "digest_of_code"):
        with monkeypatch.context() as patch:
            patch.setattr(identities, name, lambda of_what: f"{of_what} of tomorrow")
            assert identity_of(corpus, QUICK).folder != mine.folder


def test_the_code_that_trains_counts_and_what_only_keeps_files_does_not():
    path = files_of("utils.training.pretraining")[0]
    skip = {file for name in WITHOUT_EFFECT for file in files_of(name)}
    assert all(file.is_file() for file in skip), "a module that has moved"
    counted = identities.imported_files(path.read_text("utf-8"), identities.REPOSITORY, skip)
    names = {file.stem for file in counted}
    assert {"runs", "optimizers", "batches", "gpt2", "losses", "accumulation"} <= names
    assert not names & {"checkpoints", "progress", "corpora", "bpe", "downloads", "files"}
    with_comment = "# a comment\n" + path.read_text("utf-8").replace('"""', '"""Once more. ', 1)
    source = path.read_text("utf-8")
    same = (digest_of_source(text, docstrings=False) for text in (source, with_comment))
    assert len(set(same)) == 1
    changed = digest_of_source(source.replace("0.98", "0.99"), docstrings=False)
    assert changed != digest_of_source(source, docstrings=False)


def test_the_code_that_makes_data_counts_where_no_digest_has_all_of_them():
    skip = {file for name in WITHOUT_EFFECT for file in files_of(name)}
    for module, expected in {
        "training.finetuning": {"conversations", "dialogues", "questions", "wordings", "grammar"},
        "preferences.grpo": {"stories", "derivations", "english"},
        "preferences.answers": {"examination", "dialogues", "wordings"},
    }.items():
        source = files_of(f"utils.{module}")[0].read_text("utf-8")
        counted = identities.imported_files(source, identities.REPOSITORY, skip)
        assert expected <= {file.stem for file in counted}, module


def test_a_run_of_other_code_is_told_and_can_be_used_by_name(corpus, run):
    identity = identity_of(corpus, QUICK, SNAPSHOT)
    older = replace(identity, code="older code")
    run.folder.rename(older.folder)
    older.save()
    assert not is_finished(identity.folder)
    said = what_is_there(identity)
    assert "\n" not in said and f"--run {older.folder.name}" in said
    assert "the training code has changed" in said
    assert run_by_name(older.folder.name) == replace(run, folder=older.folder)
    with pytest.raises(CourseError, match=f"called 'typo'; there are .*{older.folder.name}"):
        run_by_name("typo")


def test_the_note_about_a_run_in_a_renamed_folder_can_be_typed(corpus, run):
    folder = run.folder.rename(run.folder.with_name("my run"))
    said = what_is_there(identity_of(corpus, QUICK, SNAPSHOT))
    assert said.endswith("--run 'my run'") and f"was called {run.folder.name}" in said
    folder.rename(run.folder)


def test_why_other_settings_train_anew(corpus, run):
    said = what_is_there(identity_of(corpus, replace(QUICK, steps=21), SNAPSHOT))
    assert "steps 20, not 21" in said and "training starts anew" in said
    other = read_identity(run.folder)
    wider = identity_of(corpus, replace(QUICK, size=replace(TINY, width=32)), SNAPSHOT)
    assert what_differs(other, wider) == ["width 16, not 32"]


def test_a_setting_of_several_values_does_not_differ_from_itself(run):
    adapter = replace(read_identity(run.folder), recipe={"rank": 4, "matrices": ("query", "key")})
    run.folder.rename(adapter.folder)
    adapter.save()
    assert what_differs(read_identity(adapter.folder), adapter) == []


def test_a_disk_that_is_full_at_the_first_file_is_one_sentence(corpus, run, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        identity_of(corpus, QUICK, SNAPSHOT).save()
    assert read_identity(run.folder) is not None  # what was there is still there


# ---- damage --------------------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES = {
    "no result": lambda folder: (folder / "result.json").unlink(),
    "weights cut off": lambda folder: cut(folder / "preset" / "model.weights.h5"),
    "no tokenizer": lambda folder: (folder / "preset" / "tokenizer.json").unlink(),
    "no JSON": lambda folder: (folder / "result.json").write_text("{", encoding="utf-8"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_half_copied_run_is_not_taken_for_a_finished_one(corpus, run, damage):
    DAMAGES[damage](run.folder)
    assert not is_finished(run.folder)
    with pytest.raises(CourseError, match="train it again"):
        read_run(run.folder)
    said = what_is_there(identity_of(corpus, QUICK, SNAPSHOT))
    note = f"{run.folder} lacks a file or a part of one: the model is made anew."
    assert said == ("" if damage == "no result" else note)


def test_a_half_copied_run_is_made_anew_from_its_last_checkpoint(corpus, run, capsys):
    whole = weights(run)
    for damage in ("weights cut off", "no tokenizer", "no JSON"):
        DAMAGES[damage](run.folder)
    capsys.readouterr()
    again = pretrain(corpus, QUICK, SNAPSHOT)
    said = capsys.readouterr()
    assert "step " not in said.out, "the checkpoint was at the end"
    assert said.err.count("\n") == 1 and "the model is made anew" in said.err
    assert again == run and all(map(np.array_equal, weights(again), whole))
    assert read_run(run.folder) == run, "and it is whole again"


class Begun(Exception):
    """Training would begin now."""


@pytest.mark.parametrize(
    ("damaged", "damage"), [("best.npz", Path.unlink), ("snapshot-0000005.npz", cut)]
)
def test_without_what_was_kept_before_a_checkpoint_it_starts_again(
    corpus, run, damaged, damage, monkeypatch, capsys
):
    def begin(method, recipe, step, *_):
        raise Begun(f"at step {step}")

    (run.folder / "result.json").unlink()
    damage(run.folder / damaged)
    monkeypatch.setattr(runs, "_fit", begin)
    with pytest.raises(Begun, match="at step 0"):
        pretrain(corpus, QUICK, SNAPSHOT)
    said = capsys.readouterr().err
    assert f"{damaged} is missing or damaged: training starts from the beginning" in said
    assert not (run.folder / damaged).exists(), "what exists would not be written again"


def test_a_run_that_started_again_ends_as_before(corpus, run, capsys):
    whole = weights(run)
    (run.folder / "result.json").unlink()
    (run.folder / "best.npz").unlink()
    again = pretrain(corpus, QUICK, SNAPSHOT)
    assert "step  1/20" in capsys.readouterr().out
    assert again == run and all(map(np.array_equal, weights(again), whole))


def test_what_is_finished_is_read_without_writing(corpus, run, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "FileLock", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert pretrain(corpus, QUICK, SNAPSHOT, quiet=True) == run
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


# ---- checkpoints ---------------------------------------------------------------------------------


def test_arrays_of_equal_shape_cannot_change_places(tmp_path):
    size = replace(TINY, dropout=0.1)
    model = prepare(build_gpt2(50, size), QUICK)
    state = training_state(model)
    for number, variable in enumerate(state.values()):
        variable.assign(np.full(variable.shape, number))
    save_checkpoint(tmp_path, model, 7, [{"step": 7}])
    (path,) = tmp_path.glob("checkpoint-*.npz")
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    np.savez(path, **dict(reversed(arrays.items())))  # another order in the file
    keras.backend.clear_session()  # another process counts its layers anew
    fresh = prepare(build_gpt2(50, size), QUICK)
    assert load_checkpoint(tmp_path, fresh) == (7, [{"step": 7}])
    for name, variable in training_state(fresh).items():
        assert np.array_equal(np.asarray(variable), np.asarray(state[name])), name
    arrays["position_embedding/embedding"] = arrays.pop("position_embedding/embeddings")
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match="position_embedding/embedding.* has the shape"):
        load_checkpoint(tmp_path, fresh)


def test_only_what_is_trainable_makes_a_small_file(tmp_path):
    backbone = build_gpt2(500, TINY).backbone
    backbone.enable_lora(2, target_layer_names=["query", "value"])
    for weight in backbone.trainable_weights:
        weight.assign(keras.random.normal(weight.shape))
    save_weights(tmp_path / "all.npz", backbone)
    save_weights(tmp_path / "adapter.npz", backbone, trainable_only=True)
    sizes = [(tmp_path / name).stat().st_size for name in ("adapter.npz", "all.npz")]
    assert sizes[0] < 0.5 * sizes[1]
    other = build_gpt2(500, TINY).backbone
    other.enable_lora(2, target_layer_names=["query", "value"])
    load_weights(tmp_path / "adapter.npz", other, trainable_only=True)
    pairs = zip(backbone.trainable_weights, other.trainable_weights, strict=True)
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
    with pytest.raises(CheckpointError, match="belongs to another model"):
        load_weights(tmp_path / "adapter.npz", other)
    (tmp_path / "adapter.npz").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_weights(tmp_path / "adapter.npz", other, trainable_only=True)


# ---- a step in parts, and in 16 bits -------------------------------------------------------------


def one_step(corpus, **changes):
    """The loss and the weights after two steps."""
    recipe = replace(QUICK, batch_size=8, **changes)
    keras.utils.set_random_seed(1)
    gpt2 = build_gpt2(corpus.vocabulary_size, recipe.size, recipe.dtype)
    model = prepare(gpt2, recipe)
    windows = Uneven(corpus.train, TINY.context, corpus.tokenizer.end_id)
    batches = endless_batches(windows, recipe.batch_size, seed=3)
    history = model.fit(batches, steps_per_epoch=2, epochs=2, verbose=0).history
    return history["loss"], gpt2.backbone.get_weights()


class Uneven(Windows):
    """Windows of which some have far fewer targets that count than others."""

    def batch(self, step, batch_size, seed):
        rows, counted = super().batch(step, batch_size, seed)
        for number in range(batch_size):
            counted[number, 3 * number + 1 :] = 0
        return rows, counted


def test_a_batch_in_parts_makes_the_step_of_the_whole_batch(corpus):
    losses_of_whole, whole = one_step(corpus)
    for parts in (2, 8):
        losses_of_parts, in_parts = one_step(corpus, accumulate=parts)
        assert losses_of_parts == pytest.approx(losses_of_whole, abs=1e-5)
        for one, other in zip(whole, in_parts, strict=True):
            assert one == pytest.approx(other, abs=2e-4)


def test_a_batch_that_cannot_be_split_is_refused(corpus):
    with pytest.raises(CourseError, match="A batch of 4 cannot be split into 3 equal parts"):
        pretrain(corpus, replace(QUICK, accumulate=3))


def test_in_16_bits_the_loss_is_nearly_the_same_and_the_weights_keep_32(corpus, run, capsys):
    mixed = pretrain(corpus, replace(QUICK, dtype="mixed_bfloat16"), SNAPSHOT)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "(dtype float32, not mixed_bfloat16), so training" in said
    assert f"--run {run.folder.name}" in said
    assert mixed.folder != run.folder and is_finished(run.folder)
    assert mixed.validation_loss == pytest.approx(run.validation_loss, rel=0.02)
    model = load_preset(mixed.preset)
    assert model.backbone.dtype_policy.name == "float32", "it is used in 32 bits afterwards"
    assert {weight.dtype for weight in model.backbone.get_weights()} == {np.dtype("float32")}


# ---- several processes ---------------------------------------------------------------------------


def test_two_processes_share_every_batch_and_no_row_twice(corpus):
    windows = Windows(corpus.train, TINY.context, corpus.tokenizer.end_id)
    whole = next(iter(endless_batches(windows, 4, seed=1, first_step=3)))
    shares = [next(iter(endless_batches(windows, 4, 1, 3, (rank, 2)))) for rank in (0, 1)]
    for together, *parts in zip(whole, *shares, strict=True):
        assert np.array_equal(together[0::2], parts[0]) and np.array_equal(together[1::2], parts[1])


def test_of_two_processes_that_train_together_only_the_first_writes(corpus, text_file, tmp_path):
    command = [sys.executable, "-u", tiny_gpt2.__file__, str(text_file)]
    folders = [tmp_path / "rank0", tmp_path / "rank1"]
    started = [
        subprocess.Popen(
            [*command, str(rank), "2"],
            env={**os.environ, "COURSE_CHECKPOINTS": str(folder)},
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for rank, folder in enumerate(folders)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert list(folders[0].rglob("preset")) and not list(folders[1].rglob("*.*"))
    assert "step 40/40" in outputs[0] and "step" not in outputs[1]
    assert all("\nloss " in f"\n{output}" for output in outputs)


# ---- views of a model ----------------------------------------------------------------------------


def test_validation_makes_few_logits_at_a_time_and_the_loss_is_the_same(monkeypatch):
    model = from_ids(build_gpt2(50, TINY))
    rows = np.random.default_rng(0).integers(0, 50, (7, 33)).astype("int32")
    at_once = TokenLosses(model)
    assert at_once.windows_at_a_time(1024) == losses.MAX_WINDOWS
    monkeypatch.setattr(losses, "MAX_LOGITS", 2 * 32 * 50)
    assert at_once.windows_at_a_time(32) == 2 and at_once.windows_at_a_time(1024) == 1
    assert TokenLosses(model)(rows) == pytest.approx(TokenLosses(model, 7)(rows), abs=1e-5)


def test_hidden_states_do_not_depend_on_padding():
    model = hidden_states(build_gpt2(50, TINY))
    ids = np.random.default_rng(0).integers(0, 50, (2, 12)).astype("int32")
    mask = np.ones_like(ids)
    mask[0, 7:] = 0
    padded = np.asarray(model([ids, mask]))
    alone = np.asarray(model([ids[:1, :7], mask[:1, :7]]))
    assert padded.shape == (2, 12, TINY.width)
    assert padded[0, :7] == pytest.approx(alone[0], abs=1e-5) and not padded[0, 7:].any()
    other = ids.copy()
    other[0, 7:] = 3
    assert np.asarray(model([other, mask]))[0] == pytest.approx(padded[0], abs=1e-5)


def test_a_preset_from_before_the_modules_moved_still_loads(run):
    whole = weights(run)
    for path in Path(run.preset).glob("*.json"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("utils.data.keras_tokenizers", "utils.tokenizers"), "utf-8")
    old = Path(run.preset, "tokenizer.json").read_text(encoding="utf-8")
    assert '"utils.tokenizers"' in old
    model = load_preset(run.preset)
    assert all(map(np.array_equal, model.backbone.get_weights(), whole))
    assert type(model.preprocessor.tokenizer).__name__ == "GPT2Tokenizer"


@pytest.mark.parametrize("name", ["gpt2_base_en", "nowhere"])
def test_what_is_no_folder_is_never_looked_for_elsewhere(name):
    with pytest.raises(CourseError, match=f"{name} holds no preset"):
        load_preset(name)


def test_a_model_in_32_bits_is_taken_as_it_is():
    model = build_gpt2(50, TINY)
    assert in_float32(model) is model
    assert runs.ALONE.leads
