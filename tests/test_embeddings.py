"""Lesson 4: what it makes by hand equals the library, and a mistake gets a sentence."""

import difflib
import re
from collections import Counter

import keras
import keras_nlp
import numpy as np
import pytest
import tensorflow as tf
from lesson_code import definitions

from utils.errors import CourseError
from utils.tales import corpus


def lesson_definitions(**given):
    names = {"np": np, "re": re, "difflib": difflib, "CourseError": CourseError, **given}
    return definitions("04_embeddings", ["CLASSES"], **names)


lesson = lesson_definitions()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class TestLookUp:
    @pytest.fixture
    def case(self, rng):
        """A table whose row 6 is never looked up, with most ids repeated."""
        return rng.integers(0, 6, size=20), rng.normal(size=(7, 4)), rng.normal(size=(20, 4))

    def test_it_equals_the_one_hot_product_and_the_layer(self, case):
        ids, table, _ = case
        layer = keras.layers.Embedding(7, 4)
        layer.build((None,))
        layer.set_weights([table])
        ours = lesson.look_up(ids, table)
        np.testing.assert_allclose(ours, np.eye(7)[ids] @ table)
        np.testing.assert_allclose(ours, layer(ids), atol=1e-6)

    def test_its_gradient_equals_both(self, case):
        ids, table, upstream = case
        layer = keras.layers.Embedding(7, 4)
        layer.build((None,))
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(ids) * upstream)
        keras_gradient = tf.convert_to_tensor(tape.gradient(loss, layer.embeddings))
        ours = lesson.look_up_gradient(ids, upstream, 7)
        np.testing.assert_allclose(ours, np.eye(7)[ids].T @ upstream, atol=1e-12)
        np.testing.assert_allclose(ours, keras_gradient, atol=1e-5)
        assert not ours[6].any()

    @pytest.mark.parametrize("wrong", [-1, 7, 50_000])
    def test_an_id_out_of_range_is_one_sentence(self, case, wrong):
        with pytest.raises(CourseError, match=f"from 0 to 6; {wrong} is none"):
            lesson.look_up(np.array([0, wrong]), case[1])

    def test_no_ids_give_no_rows(self, case):
        assert lesson.look_up(np.array([], dtype=int), case[1]).shape == (0, 4)


@pytest.mark.parametrize("noise_words", [1, 5])
def test_negative_sampling_equals_keras(rng, noise_words):
    centre, candidates = rng.normal(size=8), rng.normal(size=(1 + noise_words, 8))
    is_real = np.eye(1 + noise_words)[0]
    variables = [tf.Variable(centre), tf.Variable(candidates)]
    with tf.GradientTape() as tape:
        mean = keras.losses.BinaryCrossentropy(from_logits=True)(
            is_real, tf.linalg.matvec(variables[1], variables[0])
        )
        loss = mean * len(candidates)
    ours = lesson.negative_sampling_gradient(centre, candidates, is_real)
    assert lesson.negative_sampling_loss(centre, candidates, is_real) == pytest.approx(float(loss))
    for our, their in zip(ours, tape.gradient(loss, variables), strict=True):
        np.testing.assert_allclose(our, their, atol=1e-5)


def test_near_pairs_of_a_short_text():
    found = Counter(map(tuple, lesson.near_pairs(np.array([7, 8, 9, 7]), window=2).tolist()))
    one_way = Counter([(7, 8), (8, 9), (9, 7), (7, 9), (8, 7)])
    assert found == one_way + Counter((b, a) for a, b in one_way.elements())


@pytest.mark.parametrize("length", [0, 1])
def test_a_text_without_neighbours_has_no_pairs(length):
    assert lesson.near_pairs(np.arange(length), window=2).shape == (0, 2)


def test_nearest_neighbours_ignore_length_and_the_word_itself():
    vectors = np.array([[1.0, 0.0], [90.0, 10.0], [0.0, 1.0], [-1.0, 0.0]])
    found = lesson.nearest(lesson.cosine_similarities(vectors), 3)
    assert found.tolist()[0] == [1, 2, 3]
    assert all(word not in row for word, row in enumerate(found.tolist()))


def test_the_map_of_a_flat_cloud_keeps_its_distances(rng):
    flat = rng.normal(size=(10, 2))
    turned = (
        flat @ np.linalg.qr(rng.normal(size=(5, 2)))[0].T + 3.0
    )  # in a plane of five dimensions
    view, seen = lesson.widest_view(turned)
    assert seen == pytest.approx(1.0)

    def distances(points):
        return np.linalg.norm(points[:, None] - points, axis=-1)

    np.testing.assert_allclose(distances(view), distances(flat), atol=1e-10)


class TestPositions:
    def test_the_layer_is_a_sum_of_two_look_ups(self, rng):
        layer = keras_nlp.layers.TokenAndPositionEmbedding(9, 12, 6)
        ids = rng.integers(0, 9, size=(2, 7))
        ours = layer(ids)
        tokens, positions = layer.get_weights()
        by_hand = lesson.look_up(ids[0], tokens) + lesson.look_up(np.arange(7), positions)
        np.testing.assert_allclose(ours[0], by_hand, atol=1e-6)

    @pytest.mark.parametrize(("places", "dim"), [(1, 2), (50, 32), (20, 7)])
    def test_sines_equal_the_layer(self, places, dim):
        theirs = keras_nlp.layers.SinePositionEncoding()(np.zeros((1, places, dim), "float32"))[0]
        np.testing.assert_allclose(lesson.sine_positions(places, dim), theirs, atol=1e-5)

    @pytest.mark.parametrize("sentence", [["the", "duck", "asked", "me"], list("小猫看见老鼠")])
    @pytest.mark.parametrize("with_positions", [False, True])
    def test_an_average_is_blind_unless_something_mixes(self, rng, sentence, with_positions):
        keras.utils.set_random_seed(0)
        given = lesson_definitions(mixer=keras.layers.Dense(32, activation="relu"))
        tokens = rng.normal(size=(len(sentence), 16))  # one vector for each place
        _, first_seen = np.unique(sentence, return_inverse=True)
        tokens = tokens[first_seen]  # the same word, the same vector
        positions = with_positions * lesson.sine_positions(len(sentence), 16)
        first, reordered = tokens + positions, tokens[::-1] + positions
        tensors, average, mixed = given.compare(first, reordered)
        assert tensors > 0.1
        assert average < 1e-6
        assert mixed > 1e-3 if with_positions else mixed < 1e-5
        assert given.compare(first, first) == [0, 0, 0]


class TestWords:
    def test_punctuation_and_capitals_are_dropped(self):
        assert lesson.split_words('"Don\'t," said Mia.') == ["don't", "said", "mia"]
        assert lesson.split_words("") == []

    def test_an_unknown_word_is_one_sentence_with_a_suggestion(self):
        with pytest.raises(CourseError, match=r"no 'duk'\. Did you mean 'duck'\?"):
            lesson.word_ids(["duk"], {"duck": 0, "crow": 1})
        with pytest.raises(CourseError, match=r"no 'xyz'\.$"):
            lesson.word_ids(["xyz"], {"duck": 0})

    def test_no_words_have_no_ids(self):
        assert lesson.word_ids([], {"duck": 0}).shape == (0,)

    def test_each_class_has_enough_words_in_the_tales(self):
        text = " ".join(tale.text for tale in corpus("en", "train", stories=1000))
        counts = Counter(lesson.split_words(text))
        seen = set()
        for kind, members in lesson.CLASSES.items():
            common = {word for word in members.split() if counts[word] >= 20}
            assert len(common) >= 6, f"five neighbours of one kind are not possible in {kind}"
            assert not common & seen, f"a word of {kind} is in two classes"
            seen |= common
