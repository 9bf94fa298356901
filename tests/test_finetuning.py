"""Fine-tuning: the rows of a step, the larger embedding, and a whole run on a tiny model."""

import json
import signal
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_gpt2 import TINY

from utils import small_chat
from utils.data.bpe import Tokenizer
from utils.data.chat_template import ChatTokenizer, Template
from utils.data.conversations import tales_with_room
from utils.data.dialogue_rows import (
    MAX_LOSS_SHARE,
    PackedRows,
    Row,
    as_arrays,
    fill_row,
    fit_context,
    pack,
    pad,
)
from utils.data.dialogues import (
    Dialogue,
    DialogueError,
    Message,
    read_jsonl,
    small_talk,
    write_jsonl,
)
from utils.data.keras_tokenizers import as_keras, folder
from utils.data.tale_rows import TALK_EVERY, TaleRows
from utils.errors import CourseError
from utils.models import surgery
from utils.models.gpt2 import build_gpt2, from_ids
from utils.models.surgery import packed_logits, resize_token_embeddings
from utils.training import runs
from utils.training.finetuning import finetune, finetune_on, packed_batches, split
from utils.training.optimizers import WarmupStableDecay
from utils.training.presets import load_preset, save_preset
from utils.training.recipes import OWN_DIALOGUES, ChatRecipe
from utils.training.runs import Run

END = 9
TALES = [([1, 2, 3, END], [0, 0, 1, 1]), ([4, 5, END], [0, 1, 1]), ([6, END], [0, 1])]


# ---- rows ----------------------------------------------------------------------------------------


def test_a_row_holds_as_many_dialogues_as_fit():
    rows = list(pack(TALES, 7))
    assert [row[0] for row in rows] == [[1, 2, 3, END, 4, 5, END], [6, END]]
    assert [row[1] for row in rows] == [[0, 0, 1, 1, 0, 1, 1], [0, 1]]


def test_a_dialogue_is_never_cut():
    assert [row[0] for row in pack(TALES, 6)] == [[1, 2, 3, END], [4, 5, END, 6, END]]
    assert [row[0] for row in pack(TALES, 3)] == [[4, 5, END], [6, END]]  # the first is too long


def test_packing_leaves_the_dialogues_as_they_were():
    before = [list(ids) for ids, _ in TALES]
    list(pack(TALES, 100))
    assert [ids for ids, _ in TALES] == before


def test_padding_is_at_the_right_and_weighs_nothing():
    rows, weights = pad(TALES[:2], 6, END)
    assert rows.tolist() == [[1, 2, 3, END, END, END], [4, 5, END, END, END, END]]
    assert weights.tolist() == [[0, 1, 1, 0, 0], [1, 1, 0, 0, 0]]  # of ids 1 to 5, the targets


def test_a_shared_beginning_is_read_once():
    row = fill_row([([1, 2, END], [0, 1, 1]), ([3, END], [0, 1])], 20, 20, start=([7, 8], [0, 0]))
    assert row.ids == [7, 8, 1, 2, END, 3, END]
    assert row.weights == [0, 0, 0, 1, 1, 0, 1]
    assert row.positions == [0, 1, 2, 3, 4, 2, 3]  # each goes on from the beginning
    assert row.segments == [0, 0, 1, 1, 1, 2, 2]


def test_a_row_takes_no_dialogue_beyond_its_length_or_the_context():
    long, short = ([1, 2, 3], [0, 1, 0]), ([4, 5], [0, 1])
    assert fill_row([long, short], 5, 20, ([7, 8], [0, 0])).ids == [7, 8, 1, 2, 3]
    assert fill_row([long, short], 20, 4, ([7, 8], [0, 0])).ids == [7, 8, 4, 5]
    endless = fill_row(iter(lambda: ([4, 5], [0, 0]), None), 9, 20, ([7, 8], [0, 0]))
    assert len(endless.ids) == 8
    learnt = fill_row(iter(lambda: short, None), 9, 20, ([7, 8], [0, 0])).weights
    assert sum(learnt) == int(MAX_LOSS_SHARE * 9)


def test_padding_is_a_segment_that_nothing_learns():
    row = Row([1, 2, END], [0, 1, 1], [0, 1, 2], [0, 1, 1])
    inputs, targets, weights, positions, segments = as_arrays([row], 6, END)
    assert inputs.tolist() == [[1, 2, END, END, END]]
    assert targets.tolist() == [[2, END, END, END, END]]
    assert weights.tolist() == [[1, 1, 0, 0, 0]]
    assert positions.tolist() == [[0, 1, 2, 0, 0]]
    assert segments.tolist() == [[0, 1, 1, -1, -1]]


@pytest.fixture(scope="module")
def tale_rows():
    template = Template(Tokenizer.load(folder("en")))
    return TaleRows(tales_with_room("en", "train", 20), small_talk("en"), template, plain_rows=4)


def test_rows_of_tales_hold_many_conversations_and_some_are_small_talk(tale_rows):
    template = tale_rows.template
    ids, *_, segments = tale_rows.batch(0, 2 * TALK_EVERY, seed=1)
    talk = [row[0] == template.role_ids["user"] for row in ids]
    assert talk == [n % TALK_EVERY == TALK_EVERY - 1 for n in range(2 * TALK_EVERY)]
    assert segments.max(axis=1).min() >= 3
    texts = [template.tokenizer.decode(i for i in row if i < template.end_id) for row in ids]
    plain, others = " ".join(texts[:4]), " ".join(texts[4:])
    assert "The tale does not" not in plain and "The tale does not" in others


def test_a_step_depends_on_its_number_and_the_seed_alone(tale_rows):
    first = tale_rows.batch(5, 2, seed=1)
    tale_rows.batch(3, 2, seed=1)
    assert all(map(np.array_equal, first, tale_rows.batch(5, 2, seed=1)))
    assert not np.array_equal(first[0], tale_rows.batch(5, 2, seed=2)[0])
    assert not np.array_equal(first[0], tale_rows.batch(6, 2, seed=1)[0])


def test_no_row_has_more_to_learn_than_it_says(tale_rows):
    learnt = [tale_rows.batch(step, 1, 1)[2].sum() for step in range(36)]
    assert max(learnt) <= tale_rows.max_loss_tokens


# ---- the model -----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    """A folder of its own for each test."""
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path))


def test_more_rows_leave_the_old_logits_as_they_were():
    keras.utils.set_random_seed(1)
    old = build_gpt2(50, TINY)
    new = resize_token_embeddings(old, 3, init_from=49)
    ids = np.arange(20)[None]
    before, after = np.asarray(from_ids(old)(ids)), np.asarray(from_ids(new)(ids))
    assert after.shape == (1, 20, 53)
    assert np.abs(after[..., :50] - before).max() < 1e-5
    added = np.asarray(new.backbone.token_embedding.embeddings)[50:]
    assert np.unique(added, axis=0).shape == added.shape  # each role has its own


def test_a_packed_row_gives_the_loss_and_gradients_of_its_conversations_alone(monkeypatch):
    monkeypatch.setattr(surgery, "BLOCK", 4)  # four blocks of queries; the last one is smaller
    keras.utils.set_random_seed(1)
    model = build_gpt2(10, replace(TINY, layers=2))  # the last layer is treated in another way
    start, talks = ([7, 8], [0, 0]), TALES[:2]
    row = fill_row(talks, 15, TINY.context, start)
    inputs, targets, weights, positions, segments = as_arrays([row], 15, END)
    places = np.flatnonzero(weights)
    packed, alone = packed_logits(model), from_ids(model)

    def of_packed():
        logits = packed([inputs, positions, segments, places[None]])[0]
        return keras.ops.sparse_categorical_crossentropy(targets[0, places], logits, True)

    def one_by_one():
        losses = []
        for ids, mask in talks:
            ids = np.array(start[0] + ids)
            logits = alone(ids[None, :-1])[0]
            loss = keras.ops.sparse_categorical_crossentropy(ids[1:], logits, True)
            losses.append(loss[len(start[0]) - 1 :][np.array(mask) == 1])
        return tf.concat(losses, 0)

    results = []
    for losses in (of_packed, one_by_one):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(losses())
        results.append((loss, tape.gradient(loss, model.backbone.trainable_variables)))
    (loss, gradients), (same_loss, same_gradients) = results
    assert float(loss) == pytest.approx(float(same_loss), abs=1e-5)
    for one, other in zip(gradients, same_gradients, strict=True):
        one, other = (tf.convert_to_tensor(gradient) for gradient in (one, other))
        assert np.allclose(one, other, atol=1e-5)


def test_a_batch_keeps_every_target_of_weight_1(tale_rows):
    ((inputs, targets, weights),) = packed_batches(tale_rows, 2, seed=1).take(1)
    arrays = tale_rows.batch(0, 2, seed=1)
    assert weights.numpy().sum() == arrays[2].sum()
    assert np.array_equal(targets, np.take_along_axis(arrays[1], inputs[3].numpy(), axis=1))


def test_the_rate_rises_stays_and_falls():
    rate = WarmupStableDecay(0.5, steps=100, warmup=10, decay=40)
    values = [float(rate(step)) for step in range(101)]
    assert values[0] == pytest.approx(0.05) and values[4] == pytest.approx(0.25)
    assert values[9:60] == pytest.approx([0.5] * 51)
    assert values[80] == pytest.approx(0.25) and values[100] == 0
    assert WarmupStableDecay.from_config(rate.get_config()).get_config() == rate.get_config()


# ---- a whole run ---------------------------------------------------------------------------------


def random_base(path):
    """A pretrained model, as far as anybody can tell: its weights are random."""
    tokenizer = Tokenizer.load(folder("en"))
    run = Run(path / "base", [], 0.0)
    keras.utils.set_random_seed(1)
    model = build_gpt2(len(tokenizer.tokens), replace(TINY, context=256))
    save_preset(model, as_keras(tokenizer), Path(run.preset))
    return run


@pytest.fixture
def base(tmp_path):
    return random_base(tmp_path)


FEW_TALES = 30
RECIPE = ChatRecipe(steps=40, batch_size=4, learning_rate=0.02, patience=40)


def test_it_learns_is_kept_and_is_not_trained_again(base, monkeypatch, capsys):
    run = finetune(base, "en", RECIPE, tales=FEW_TALES)
    assert run.history[-1]["validation_loss"] < run.history[0]["validation_loss"]
    assert [report["step"] for report in run.history] == list(range(2, 41, 2))
    trained = load_preset(run.preset)
    assert type(trained.preprocessor.tokenizer) is ChatTokenizer
    assert (
        trained.backbone.vocabulary_size == Template(Tokenizer.load(folder("en"))).vocabulary_size
    )
    reports = capsys.readouterr().out
    monkeypatch.setattr(runs, "_train", None)  # it must not be called again
    assert finetune(base, "en", RECIPE, tales=FEW_TALES) == run
    assert capsys.readouterr().out == reports


@pytest.mark.parametrize("name", ["gpt2_base_en", "./gpt2_base_en"])
def test_a_folder_with_the_name_of_a_published_model_is_read(name, base, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr("kagglehub.model_download", refuse)
    whole = load_preset(base.preset).backbone.get_weights()
    Path(base.preset).rename(tmp_path / "gpt2_base_en")
    monkeypatch.chdir(tmp_path)
    assert all(map(np.array_equal, load_preset(name).backbone.get_weights(), whole))


def test_a_model_without_its_tokenizer_is_one_sentence(tmp_path):
    build_gpt2(50, TINY).save_to_preset(str(tmp_path / "alone"))
    with pytest.raises(CourseError, match="alone holds a GPT-2 without its tokenizer"):
        load_preset(tmp_path / "alone")


# ---- somebody's own dialogues --------------------------------------------------------------------


def conversation(number, turns=1):
    """A short dialogue about a number."""
    messages = []
    for turn in range(turns):
        messages += [
            Message("user", f"What comes after {number + turn}?"),
            Message("assistant", f"After it comes {number + turn + 1}."),
        ]
    return Dialogue(tuple(messages), ("",) * turns)


def test_own_dialogues_are_packed_and_every_row_comes_once_in_a_pass():
    dialogues = [([n, n, n], [0, 1, 1]) for n in range(1, 9)]
    rows = PackedRows(dialogues, context=6, end_id=END)  # two in a row
    first, again = (PackedRows(dialogues, 6, END).batch(step, 2, seed=1)[0] for step in (0, 0))
    assert np.array_equal(first, again)
    for start in (0, 2):
        seen = [rows.batch(start + step, 2, seed=1)[0] for step in range(2)]
        ids = np.concatenate(seen).ravel()
        assert sorted(set(ids.tolist()) - {END}) == list(range(1, 9))
    assert max(rows.batch(step, 1, 1)[2].sum() for step in range(9)) <= rows.max_loss_tokens


def test_a_dialogue_that_is_too_long_loses_its_oldest_turns():
    template = Template(Tokenizer.load(folder("en")))
    rules = Message("system", "You count.")
    long = conversation(1, turns=9)
    long = Dialogue((rules, *long.messages), long.kinds)
    short = conversation(1)
    endless = Dialogue((Message("user", "one " * 500), Message("assistant", "Two.")), ("",))
    fitted = fit_context([short, long, endless], template, 60)
    assert (fitted.shortened, fitted.left_out) == (1, 1)
    kept = fitted.dialogues[1]
    assert kept.messages[0] == rules and kept.messages[-1] == long.messages[-1]
    assert kept.messages[1].role == "user" and len(kept.kinds) < 9
    assert len(template.encode(kept.messages)[0]) <= 61 < len(template.encode(long.messages)[0])
    assert fitted.dialogues[0] is short


def test_a_dialogue_that_loses_all_it_should_teach_is_left_out():
    template = Template(Tokenizer.load(folder("en")))
    *messages, last = conversation(1, turns=9).messages
    dialogue = Dialogue((*messages, replace(last, learn=False)), ("",) * 9)
    assert not fit_context([dialogue], template, 200).left_out
    many = [m if n < 2 else replace(m, learn=False) for n, m in enumerate(dialogue.messages)]
    assert fit_context([Dialogue(tuple(many), ("",) * 9)], template, 60).left_out == 1


def test_a_dialogue_of_very_many_turns_is_not_encoded_as_often():
    encodings = 0

    class Counted(Template):
        def encode(self, messages):
            nonlocal encodings
            encodings += 1
            return super().encode(messages)

    template = Counted(Tokenizer.load(folder("en")))
    fitted = fit_context([conversation(1, turns=500)], template, 60)
    assert (fitted.shortened, fitted.left_out) == (1, 0)
    kept = fitted.dialogues[0]
    longer = Dialogue(conversation(1, turns=500).messages[-len(kept.messages) - 2 :], kept.kinds)
    assert encodings < 20
    assert len(template.encode(kept.messages)[0]) <= 61 < len(template.encode(longer.messages)[0])


def test_a_tenth_is_held_out():
    train, held_out = split([conversation(n) for n in range(40)])
    assert len(held_out) == 4 and not {d.messages for d in train} & {d.messages for d in held_out}


def write_own(folder):
    path = folder / "counting.jsonl"
    write_jsonl(path, [conversation(number) for number in range(40)])
    return path


def test_too_few_dialogues_are_told():
    with pytest.raises(DialogueError, match="There are 9 dialogues .* at least 10 are needed"):
        split([conversation(n) for n in range(9)])


@pytest.fixture
def own_file(tmp_path):
    return write_own(tmp_path)


OWN = replace(OWN_DIALOGUES, steps=40, learning_rate=0.02)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A fine-tuning on somebody's own dialogues, and one more of the model that it has made."""
    folder = tmp_path_factory.mktemp("undisturbed")
    base = random_base(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CHECKPOINTS", str(folder))
        dialogues = read_jsonl(write_own(folder))
        first = finetune_on(dialogues, "counting", Path(base.preset), OWN)
        return first, finetune_on(dialogues, "counting", Path(first.preset), OWN)


def test_own_dialogues_are_learnt_also_by_a_model_that_knows_the_roles(undisturbed):
    first, second = undisturbed
    assert first.folder.name.startswith("chat-counting-")
    assert first.history[-1]["validation_loss"] < first.history[0]["validation_loss"]
    sizes = {load_preset(run.preset).backbone.vocabulary_size for run in undisturbed}
    assert len(sizes) == 1, "the roles get their rows once"
    assert second.history[0]["loss"] < first.history[0]["loss"]


def command_of(*flags):
    return [sys.executable, "-u", "-m", "utils.small_chat", *map(str, flags)]


def test_the_command_says_what_it_did_and_after_a_sigkill_goes_on_to_the_same_weights(
    undisturbed, own_file, tmp_path
):
    first, second = undisturbed
    flags = ("--steps", OWN.steps, "--learning-rate", OWN.learning_rate)
    command = command_of("--dialogues", own_file, "--base", first.preset, *flags)
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        while not process.stdout.readline().startswith("step  6/40"):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert not list(tmp_path.rglob("preset"))
    result = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert result.returncode == 0, result.stderr
    said, preset = result.stdout.split("--preset ")
    assert "counting.jsonl: 36 dialogues to learn from, 4 held out; 0 were longer" in said
    assert "duplicates" not in said
    last = second.history[-1]["step"]
    assert f"step {last:2}/40" in said and "step  2/40" not in said
    assert "4 replies in dialogues held out" in said
    resumed = finetune_on(read_jsonl(own_file), "counting", Path(first.preset), OWN)
    assert resumed.preset == preset.strip() and resumed.history == second.history
    ours, theirs = (load_preset(run.preset) for run in (resumed, second))
    assert type(ours.preprocessor.tokenizer) is ChatTokenizer
    assert all(map(np.array_equal, ours.backbone.get_weights(), theirs.backbone.get_weights()))


def test_a_bad_line_is_told_with_its_number_before_anything_is_trained(base, own_file, tmp_path):
    lines = own_file.read_text(encoding="utf-8").splitlines()
    wrong = json.loads(lines[6])
    wrong["messages"][0]["role"] = "narrator"
    lines[6] = json.dumps(wrong)
    own_file.write_text("\n".join(lines), encoding="utf-8")
    before = set(tmp_path.iterdir())
    command = command_of("--dialogues", own_file, "--base", base.preset)
    result = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert result.returncode != 0 and result.stdout == ""
    assert f"{own_file}, line 7: " in result.stderr and "'narrator'" in result.stderr
    assert result.stderr.count("\n") == 1 and set(tmp_path.iterdir()) == before


def test_a_dialogue_that_is_there_twice_is_learnt_or_held_out_but_not_both(
    base, tmp_path, monkeypatch, capsys
):
    def stop(dialogues, *_):
        given.extend(dialogues)
        raise KeyboardInterrupt

    given, path = [], tmp_path / "twice.jsonl"
    dialogues = [conversation(number) for number in range(20)]
    write_jsonl(path, dialogues * 2)
    monkeypatch.setattr("utils.training.finetuning.finetune_on", stop)
    settings = {"language": "en", "lora": None, "steps": 2, "seed": 0}
    settings |= {"batch_size": None, "learning_rate": None}
    with pytest.raises(KeyboardInterrupt):
        small_chat.chat_on_own_dialogues(
            Namespace(dialogues=str(path), base=base.preset, **settings)
        )
    assert given == dialogues
    said = capsys.readouterr().out
    assert "twice.jsonl: 18 dialogues to learn from, 2 held out; 0 were longer" in said
    assert said.endswith("; 20 duplicates were left out\n")


def test_a_base_without_dialogues_is_one_sentence(tmp_path):
    command = command_of("--base", tmp_path)
    result = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert result.returncode != 0 and result.stdout == ""
    assert "give --dialogues FILE" in result.stderr and result.stderr.count("\n") == 1
