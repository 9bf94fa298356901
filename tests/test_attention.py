"""Lesson 5: attention written by hand computes and learns what Keras computes and learns."""

import ast
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from lesson_code import CODES, definitions

from utils.errors import CourseError

lesson = definitions(
    "05_attention",
    constants=["letters", "vocabulary", "asked", "large_vocabulary", "second_letters"],
    np=np,
    partial=partial,
    rng=np.random.default_rng(0),
    CourseError=CourseError,
)
source = ast.parse((CODES / "05_attention.py").read_text(encoding="utf-8"))
classes = [node for node in source.body if isinstance(node, ast.ClassDef)]
exec(compile(ast.Module(classes, []), "05_attention.py", "exec"), vars(lesson))

# batch, time, features, heads, head_dim; in the last two the heads do not add up to the features
SHAPES = [(1, 1, 4, 1, 4), (2, 5, 8, 2, 4), (3, 16, 24, 6, 4), (2, 7, 6, 3, 5), (1, 9, 10, 4, 2)]
MASKS = ["none", "causal", "random"]


def make_mask(kind, time, rng):
    if kind == "none":
        return None
    if kind == "causal":
        return np.tri(time, dtype=bool)
    return rng.random((time, time)) < 0.5 + np.eye(time)  # everybody sees itself


def relative(ours, theirs):
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max())


@pytest.fixture(params=[(shape, seed) for shape in SHAPES for seed in (0, 1)], ids=str)
def setting(request):
    """A Keras layer with random weights, an input, and a generator."""
    (batch, time, features, num_heads, head_dim), seed = request.param
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, time, features)).astype("float32")
    layer = keras.layers.MultiHeadAttention(num_heads, head_dim)
    layer(x, x)
    layer.set_weights([rng.normal(size=w.shape) / 2 for w in layer.get_weights()])
    return layer, x, num_heads, rng


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # one token: right here
@pytest.mark.parametrize("kind", MASKS)
def test_outputs_weights_and_gradients_equal_keras(setting, kind):
    layer, x, num_heads, rng = setting
    mask = make_mask(kind, x.shape[1], rng)
    options = {
        "none": {},
        "causal": {"use_causal_mask": True},
        "random": {"attention_mask": None if mask is None else mask[None]},
    }[kind]
    upstream = rng.normal(size=x.shape).astype("float32")
    with tf.GradientTape() as tape:
        inputs = tf.Variable(x)
        theirs, their_weights = layer(inputs, inputs, return_attention_scores=True, **options)
        loss = tf.reduce_sum(theirs * upstream)
    their_x, *their_arrays = tape.gradient(loss, [inputs, *layer.trainable_variables])

    our_layer = lesson.MultiHeadAttention(lesson.as_projections(layer.get_weights()), num_heads)
    ours, our_weights = our_layer(x, mask)
    assert relative(ours, theirs) < 1e-5
    assert relative(our_weights, their_weights) < 1e-5

    our_x, our_pairs = lesson.multi_head_gradient(our_layer, x, mask, upstream)
    assert relative(our_x, their_x) < 1e-5
    their_pairs = lesson.as_projections([array.numpy() for array in their_arrays])
    for our, their in zip(our_pairs, their_pairs, strict=True):
        # together: the true gradient of the key's bias is 0, and 0 has no relative error
        assert relative(np.vstack(our), np.vstack(their)) < 1e-5


def test_the_bias_of_the_key_learns_nothing():
    rng = np.random.default_rng(0)
    x, upstream = rng.normal(size=(2, 3, 6, 8))
    projections = [(rng.normal(size=(8, 8)), rng.normal(size=8)) for _ in range(4)]
    layer = lesson.MultiHeadAttention(projections, num_heads=2)
    _, pairs = lesson.multi_head_gradient(layer, x, np.tri(6, dtype=bool), upstream)
    assert np.abs(pairs[1][1]).max() < 1e-12 < np.abs(pairs[0][1]).max()


def test_each_row_adds_to_one_and_has_no_weight_on_the_future():
    query, key, value = np.random.default_rng(0).normal(size=(3, 2, 4, 9, 5))
    _, weights = lesson.attention(query, key, value, np.tri(9, dtype=bool))
    assert np.allclose(weights.sum(axis=-1), 1)
    assert np.all(weights[..., ~np.tri(9, dtype=bool)] == 0)
    assert np.all(weights[..., np.tri(9, dtype=bool)] > 0)


@pytest.mark.parametrize("changed", range(1, 8))
def test_a_later_token_cannot_change_an_earlier_output(setting, changed):
    layer, x, num_heads, rng = setting
    if changed >= x.shape[1]:
        changed = x.shape[1] - 1
    ours = lesson.MultiHeadAttention(lesson.as_projections(layer.get_weights()), num_heads)
    mask = np.tri(x.shape[1], dtype=bool)
    other = x.copy()
    other[:, changed:] = rng.normal(size=other[:, changed:].shape)
    (before, _), (after, _) = ours(x, mask), ours(other, mask)
    assert np.allclose(before[:, :changed], after[:, :changed], rtol=0, atol=1e-6)
    assert not np.allclose(before[:, changed], after[:, changed])


def test_without_a_mask_the_order_does_not_matter():
    rng = np.random.default_rng(0)
    query, key, value = rng.normal(size=(3, 6, 4))
    order = rng.permutation(6)
    straight, _ = lesson.attention(query, key, value)
    shuffled, _ = lesson.attention(query[order], key[order], value[order])
    assert np.allclose(shuffled, straight[order])


def test_a_long_query_is_a_dictionary():
    keys, values = np.eye(3), np.array([[4.0], [2.0], [6.0]])
    outputs, _ = lesson.attention(1000 * keys[[1]], keys, values)
    assert np.allclose(outputs, 2.0)


def test_large_scores_do_not_overflow():
    assert np.allclose(lesson.softmax(np.array([1e4, 1e4, -1e4])), [0.5, 0.5, 0.0])


def test_a_row_that_may_see_nothing_is_nan_as_the_lesson_says():
    mask = np.array([[False, False], [True, True]])
    with np.errstate(invalid="ignore"):
        outputs, _ = lesson.attention(*np.ones((3, 2, 4)), mask)
    assert np.isnan(outputs[0]).all() and np.isfinite(outputs[1]).all()


def test_a_head_is_a_slice_of_every_token_and_merging_undoes_it():
    x = np.random.default_rng(0).normal(size=(2, 5, 12))
    heads = lesson.split_heads(x, 3)
    for head in range(3):
        assert np.array_equal(heads[:, head], x[:, :, 4 * head : 4 * head + 4])
    assert np.array_equal(lesson.merge_heads(heads), x)


def test_split_heads_is_the_loop_over_heads():
    rng = np.random.default_rng(0)
    x, matrices = rng.normal(size=(1, 5, 6)), rng.normal(size=(3, 4, 6, 2))  # 4 heads of 2 numbers
    mask = np.tri(5, dtype=bool)
    one_by_one = [
        lesson.attention(*(x[0] @ m for m in head), mask)[0] for head in zip(*matrices, strict=True)
    ]
    wide = [np.concatenate(list(each), axis=1) for each in matrices]  # (6, 8) each
    together, _ = lesson.attention(*(lesson.split_heads(x @ m, 4) for m in wide), mask)
    assert np.allclose(lesson.merge_heads(together)[0], np.concatenate(one_by_one, axis=1))


def test_features_that_cannot_be_split_are_refused_in_one_sentence():
    with pytest.raises(CourseError) as error:
        lesson.split_heads(np.zeros((1, 2, 8)), 3)
    assert str(error.value) == "8 features cannot be cut into 3 equal heads."


@pytest.mark.parametrize("text", ["", "a1z", "A1B2", "a1 b2"])
def test_a_text_with_other_characters_is_refused_in_one_sentence(text):
    with pytest.raises(CourseError) as error:
        lesson.ask(text)
    assert str(error.value) == "Ask with a text of the letters a to h, digits and the dot."


def test_the_texts_can_be_solved_by_looking_at_the_marked_positions_only():
    texts = lesson.make_texts(500)
    assert texts.shape == (500, 4 * lesson.pairs + 1)
    first, second = texts[:, : 2 * lesson.pairs], texts[:, 2 * lesson.pairs + 1 :]
    for one, two in zip(first, second, strict=True):
        learnt = dict(one.reshape(-1, 2).tolist())
        assert len(learnt) == lesson.pairs, "a letter twice would have two digits"
        assert learnt == dict(two.reshape(-1, 2).tolist())
    positions = lesson.right_positions(texts[:, :-1], lesson.asked)
    found = np.take_along_axis(texts, positions, axis=1)
    assert np.array_equal(found, texts[:, lesson.asked + 1])


def test_the_answer_to_two_letters_is_the_number_of_their_digits():
    texts = lesson.with_two_letters(lesson.make_texts(500))
    assert texts.shape == (500, 22)
    for text in texts.tolist():
        spelled = [lesson.large_vocabulary[i] for i in text]
        digit_of = dict(zip(spelled[0:12:2], spelled[1:12:2], strict=True))
        assert spelled[12] == "."
        for second in lesson.second_letters:
            first_letter, second_letter, number = spelled[second - 1 : second + 2]
            assert number == digit_of[first_letter] + digit_of[second_letter]


def test_attention_on_positions_is_read_off_row_by_row():
    weights = np.random.default_rng(0).random((2, 3, 5))  # (batch, asked, time)
    positions = np.array([[0, 4, 2], [1, 1, 3]])
    shares = lesson.share_on(weights, positions)
    assert shares.shape == (2, 3)
    assert shares[1, 2] == weights[1, 2, 3] and shares[0, 1] == weights[0, 1, 4]
