"""Fine-tuning: the rows of a step, the larger embedding, and a whole run on a tiny model."""

import keras
import keras_nlp
import numpy as np
import pytest
import tensorflow as tf
import tiny_gpt2

from utils.data import dialogue_rows
from utils.data.batches import endless_batches
from utils.data.bpe import Tokenizer
from utils.data.chat_template import ChatTokenizer, Template
from utils.data.dialogue_rows import DialogueRows, pack, pad
from utils.data.keras_tokenizers import as_keras, folder
from utils.models import gpt2
from utils.models.gpt2 import from_ids, small_gpt2
from utils.models.surgery import logits_at_positions, resize_token_embeddings
from utils.training import finetuning, pretraining
from utils.training.finetuning import finetune, with_places
from utils.training.optimizers import WarmupStableDecay
from utils.training.pretraining import Run, TrainingFailed
from utils.training.recipes import ChatRecipe

END = 9
TALES = [([1, 2, 3, END], [0, 0, 1, 1]), ([4, 5, END], [0, 1, 1]), ([6, END], [0, 1])]
TALK = [([7, 8], [0, 1]), ([8, 7], [0, 1])]


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


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.setattr(dialogue_rows, "CONTEXT", 6)
    return DialogueRows(TALES, TALK, END, talk_every=2)


def test_a_step_has_tales_and_small_talk(rows):
    ids, weights = rows.batch(0, 4, seed=1)
    assert ids.shape == (4, 7) and weights.shape == (4, 6)
    assert {row[0] for row in ids[1::2].tolist()} <= {1, 4, 6}
    assert {row[0] for row in ids[::2].tolist()} <= {7, 8}


def test_a_step_depends_on_its_number_and_the_seed_alone(rows):
    rows.batch(3, 4, seed=1)
    again = DialogueRows(TALES, TALK, END, talk_every=2)
    assert np.array_equal(rows.batch(5, 4, seed=1)[0], again.batch(5, 4, seed=1)[0])
    steps = [rows.batch(step, 4, seed=1)[0].tolist() for step in range(8)]
    assert len({str(step) for step in steps}) > 1


def test_in_a_pass_every_tale_comes_once(rows):
    firsts = [rows.batch(step, 2, seed=1)[0][1, 0] for step in range(6)]
    assert sorted(firsts[:3]) == sorted(firsts[3:]) == [1, 4, 6]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
def test_no_step_has_more_to_learn_than_it_says(rows, batch_size):
    most = rows.max_loss_tokens(batch_size)
    assert most <= batch_size * rows.context
    for step in range(12):
        assert rows.batch(step, batch_size, seed=1)[1].sum() <= most


# ---- the model -----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """A GPT-2 with room for a dialogue that still trains in seconds, and folders of its own."""
    for name, value in {**tiny_gpt2.TINY, "max_sequence_length": 256}.items():
        monkeypatch.setitem(gpt2.SMALL, name, value)
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path))


def test_more_rows_leave_the_old_logits_as_they_were():
    keras.utils.set_random_seed(1)
    old = small_gpt2(50)
    new = resize_token_embeddings(old, 3, init_from=49)
    ids = np.arange(20)[None]
    before, after = np.asarray(from_ids(old)(ids)), np.asarray(from_ids(new)(ids))
    assert after.shape == (1, 20, 53)
    assert np.abs(after[..., :50] - before).max() < 1e-5
    added = np.asarray(new.backbone.token_embedding.embeddings)[50:]
    assert np.unique(added, axis=0).shape == added.shape  # each role has its own


def test_logits_for_what_is_learnt_alone_give_the_same_loss_and_gradients(rows):
    keras.utils.set_random_seed(1)
    model = small_gpt2(10)
    everywhere, chosen = from_ids(model), logits_at_positions(model)
    for network in (everywhere, chosen):
        pretraining.compiled(network, keras.optimizers.SGD())
    batches = endless_batches(rows, 4, seed=1)
    (all_of_it,), (some,) = batches.take(1), with_places(batches, rows.max_loss_tokens(4)).take(1)
    assert len(some[1]) < all_of_it[1].numpy().size and sum(some[2]) == all_of_it[2].numpy().sum()
    results = []
    for network, (inputs, targets, weights) in [(everywhere, all_of_it), (chosen, some)]:
        with tf.GradientTape() as tape:
            loss = network.compute_loss(inputs, targets, network(inputs), weights)
        results.append((loss, tape.gradient(loss, model.backbone.trainable_variables)))
    (loss, gradients), (same_loss, same_gradients) = results
    assert float(loss) == pytest.approx(float(same_loss), abs=1e-6)
    for one, other in zip(gradients, same_gradients, strict=True):
        one, other = (tf.convert_to_tensor(gradient) for gradient in (one, other))
        assert np.allclose(one, other, atol=1e-6)


def test_the_rate_rises_stays_and_falls():
    rate = WarmupStableDecay(0.5, steps=100, warmup=10, decay=40)
    values = [float(rate(step)) for step in range(101)]
    assert values[0] == pytest.approx(0.05) and values[4] == pytest.approx(0.25)
    assert values[9:60] == pytest.approx([0.5] * 51)
    assert values[80] == pytest.approx(0.25) and values[100] == 0
    assert WarmupStableDecay.from_config(rate.get_config()).get_config() == rate.get_config()


# ---- a whole run ---------------------------------------------------------------------------------


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A pretrained model, as far as anybody can tell: its weights are random."""
    monkeypatch.setattr(pretraining, "CONTEXT", 256)
    monkeypatch.setattr(finetuning, "VALIDATION_TALES", 4)
    everything = finetuning.about_tales
    monkeypatch.setattr(
        finetuning,
        "about_tales",
        lambda language, split, number, *more: everything(language, split, number or 30, *more),
    )
    tokenizer = Tokenizer.load(folder("en"))
    run = Run(tmp_path / "base", [], 0.0)
    run.folder.mkdir()
    keras.utils.set_random_seed(1)
    pretraining.save_preset(
        small_gpt2(len(tokenizer.tokens)), as_keras(tokenizer), run.folder / "preset"
    )
    return run


RECIPE = ChatRecipe(steps=40, batch_size=4, learning_rate=0.02, patience=40)


def test_it_learns_is_kept_and_is_not_trained_again(base, monkeypatch, capsys):
    run = finetune(base, "en", RECIPE)
    assert run.history[-1]["validation_loss"] < run.history[0]["validation_loss"]
    assert [report["step"] for report in run.history] == list(range(2, 41, 2))
    trained = keras_nlp.models.GPT2CausalLM.from_preset(run.preset)
    assert type(trained.preprocessor.tokenizer) is ChatTokenizer
    assert (
        trained.backbone.vocabulary_size == Template(Tokenizer.load(folder("en"))).vocabulary_size
    )
    reports = capsys.readouterr().out
    monkeypatch.setattr(finetuning, "_finetune", None)  # it must not be called again
    assert finetune(base, "en", RECIPE) == run
    assert capsys.readouterr().out == reports


def test_it_stops_when_the_validation_loss_gets_no_better(base):
    run = finetune(base, "en", ChatRecipe(steps=400, batch_size=4, learning_rate=1e-12, patience=1))
    assert len(run.history) < 20


def test_a_rate_that_is_too_high_is_told_and_nothing_is_left(base, tmp_path):
    with pytest.raises(TrainingFailed, match="learning rate 1e\\+30 is too high"):
        finetune(base, "en", ChatRecipe(steps=40, batch_size=4, learning_rate=1e30))
    assert not list(tmp_path.glob("chat-*/preset"))
