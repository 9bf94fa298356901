"""Lesson 6: the block by hand computes and learns what keras-nlp's does; the rest is told right."""

import re
from itertools import islice, pairwise
from types import SimpleNamespace

import keras
import keras_nlp
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from lesson_code import definitions

from utils.tales import NotATale, corpus, parse, sentences

TALES = corpus("en", "validation", 30)
lesson = definitions(
    "06_transformer",
    constants=["LENGTH", "BLANK", "END", "BLANKS", "WIDTH", "HEADS", "BLOCKS", "GIVEN"],
    **{"keras": keras, "keras_nlp": keras_nlp, "np": np, "ops": ops, "re": re, "tf": tf},
    **{"NotATale": NotATale, "parse": parse, "sentences": sentences},
)
words = sorted({word for tale in TALES for word in lesson.split(tale.text)})
lesson.vocabulary = np.array(["[BLANK]", "[END]", *words])
lesson.id_of = {word: number for number, word in enumerate(lesson.vocabulary)}

# batch, time, features, heads, hidden
SHAPES = [(1, 1, 4, 1, 16), (2, 5, 8, 2, 32), (3, 17, 24, 6, 24), (1, 9, 12, 4, 50)]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_block_and_its_gradients_equal_the_library(shape, pre_norm, causal, seed):
    batch, time, features, heads, hidden = shape
    rng = np.random.default_rng(seed)
    x, upstream = rng.normal(size=(2, batch, time, features)).astype("float32")
    library = keras_nlp.layers.TransformerDecoder(
        hidden, heads, activation="gelu", normalize_first=pre_norm
    )
    library.build(x.shape)
    library.set_weights([rng.normal(size=w.shape) / 4 for w in library.weights])
    p = lesson.grouped(library.weights)

    ours = lesson.output_and_gradients(
        lambda x: lesson.block(x, p, causal, pre_norm), x, library.weights, upstream
    )
    theirs = lesson.output_and_gradients(
        lambda x: library(x, use_causal_mask=causal), x, library.weights, upstream
    )
    assert len(ours) == 1 + 1 + 16
    for our, their in zip(map(np.array, ours), map(np.array, theirs), strict=True):
        assert our.shape == their.shape
        assert np.abs(our - their).max() < 1e-5 * max(1.0, np.abs(their).max())


def test_the_measure_of_the_lesson_sees_a_difference_in_any_array():
    one, other = [np.zeros(3), np.ones((2, 2))], [np.zeros(3), np.ones((2, 2))]
    assert lesson.largest_difference(one, other) == 0
    other[1][1, 0] = 1.5
    assert lesson.largest_difference(one, other) == pytest.approx(1 / 3)


@pytest.mark.parametrize("shape", [(4,), (3, 8), (2, 5, 16)], ids=str)
@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
def test_layer_norm_equals_keras(shape, epsilon):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=shape) / 10 + 3).astype("float32")  # small, so that epsilon matters
    layer = keras.layers.LayerNormalization(epsilon=epsilon)
    layer.build(shape)
    layer.set_weights([rng.normal(size=shape[-1]), rng.normal(size=shape[-1])])
    assert np.allclose(lesson.layer_norm(x, *layer.weights, epsilon), layer(x), atol=2e-5)


def test_layer_norm_forgets_size_and_position_but_not_the_pattern():
    x = np.random.default_rng(0).normal(size=(2, 3, 6)).astype("float32")
    plain = np.array(lesson.layer_norm(x, 1.0, 0.0))
    assert np.allclose(plain.mean(axis=-1), 0, atol=1e-5)
    assert np.allclose(plain.var(axis=-1), 1, atol=1e-3)
    assert np.allclose(lesson.layer_norm(50 * x + 7, 1.0, 0.0), plain, atol=1e-3)
    assert not np.allclose(lesson.layer_norm(x**3, 1.0, 0.0), plain, atol=0.1)


def test_both_forms_of_gelu_equal_keras_and_differ():
    x = np.linspace(-8, 8, 1001, dtype="float32")
    assert np.allclose(lesson.gelu(x), keras.activations.gelu(x, approximate=False), atol=1e-5)
    assert np.allclose(lesson.gelu_tanh(x), keras.activations.gelu(x, approximate=True), atol=1e-5)
    assert 1e-4 < np.abs(lesson.gelu(x) - lesson.gelu_tanh(x)).max() < 1e-3


@pytest.mark.parametrize("causal", [True, False])
def test_the_mask_is_what_the_models_differ_in(causal):
    model = lesson.language_model(causal)
    row = lesson.rows_of(TALES)[:1]
    changed = row.copy()
    changed[0, 20] = lesson.END
    moved = np.abs(model(row) - model(changed)).max(axis=-1)[0] > 1e-6  # (time,)
    assert moved[20:].all() and moved[:20].any() != causal


@pytest.mark.parametrize(("width", "blocks"), [(16, 1), (32, 3)])
def test_parameters_are_counted_right(width, blocks, monkeypatch):
    for name, value in {"WIDTH": width, "BLOCKS": blocks}.items():
        monkeypatch.setitem(lesson.language_model.__globals__, name, value)
    model = lesson.language_model(causal=True)
    parts = lesson.parameters(len(lesson.vocabulary), lesson.LENGTH, width, blocks)
    assert sum(parts.values()) == model.count_params()


def test_words_joined_are_the_text():
    for tale in TALES:
        assert "".join(lesson.split(tale.text)) == tale.text


def test_a_row_begins_with_a_sentence_and_is_part_of_its_tale():
    tale = TALES[0]
    rows = lesson.rows_of([tale])
    assert rows.shape[1] == lesson.LENGTH and len(rows) > 3
    for row, sentence in zip(rows, sentences(tale.text), strict=False):
        text = lesson.as_text(row).strip()
        assert text in tale.text
        assert text.startswith(sentence[: len(text)])


def test_gpt_learns_from_every_word_and_bert_from_the_blanks_alone():
    rows, rng = lesson.rows_of(TALES), np.random.default_rng(0)
    inputs, targets, loss_mask = lesson.next_word(rows, rng)
    assert all(np.array_equal(row[1:], target) for row, target in zip(rows, targets, strict=True))
    assert np.array_equal(inputs, rows[:, :-1]) and loss_mask.all()

    inputs, targets, loss_mask = lesson.fill_blanks(rows, rng)
    assert np.array_equal(inputs == lesson.BLANK, loss_mask > 0)
    assert np.array_equal(inputs[loss_mask == 0], rows[loss_mask == 0])
    assert np.array_equal(targets, rows) and not (targets[loss_mask > 0] == lesson.END).any()
    assert loss_mask.mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("batch_size", [1, 7, 10_000])
def test_batches_have_no_end_however_few_the_rows(batch_size, monkeypatch):
    rows = lesson.rows_of(TALES)
    given = {"args": SimpleNamespace(seed=0, batch_size=batch_size), "train_rows": rows}
    for name, value in given.items():
        monkeypatch.setitem(lesson.batches.__globals__, name, value)
    for inputs, _, _ in islice(lesson.batches(lesson.next_word), 3):
        assert len(inputs) == min(batch_size, len(rows))


@pytest.mark.parametrize(
    ("row", "column", "told"),
    [
        ([5, 6, 7, 5], 0, False),  # once more, but only to the right
        ([7, 5, 5, 6], 1, False),
        ([7, 5, 6, 5], 3, True),
        ([5, 5, 6, 5], 1, True),  # on both sides
        ([6, 6, 5, 7], 2, False),  # once in all
    ],
)
def test_a_word_is_told_before_only_to_the_left_of_the_blank(row, column, told):
    assert lesson.told_before(np.array([row]), np.array([column])).tolist() == [told]


def test_the_first_mistake_is_found():
    words = lesson.split(TALES[0].text)[:32]
    ids = np.array([lesson.id_of[word] for word in words])
    counts = []
    for place in [9, 20, 30]:
        broken = ids.copy()
        broken[place] = broken[place - 1]  # no tale says a word twice
        counts.append(lesson.words_before_the_first_mistake(broken))
        assert counts[-1] <= place - lesson.GIVEN
    assert all(a < b for a, b in pairwise(counts))
    assert counts[-1] <= lesson.words_before_the_first_mistake(ids) <= 32 - lesson.GIVEN
