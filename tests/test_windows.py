"""Windows of text: every token is a target, no two tales meet, batches depend on the step alone."""

import keras
import numpy as np
import pytest

from utils.data.batches import Windows, as_examples, endless_batches
from utils.evaluation.losses import TokenLosses
from utils.models.gpt2 import build_gpt2, from_ids
from utils.models.sizes import ModelSize

END = 9


def test_documents_get_a_window_each():
    ids = np.array([END, 1, 2, 3, END, 4, END, 5, 6, 7, 8, 1, END])
    rows, weights = Windows(ids, context=4, end_id=END, documents=True).in_order()
    assert rows.tolist() == [[9, 1, 2, 3, 9], [9, 4, 9, 9, 9], [9, 5, 6, 7, 8]]
    assert weights.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]]


@pytest.mark.parametrize("length", [5, 12, 13, 100])
def test_in_running_text_each_token_but_the_first_is_a_target_once(length):
    ids = np.arange(length)
    rows, weights = Windows(ids, context=4, end_id=1000).in_order()
    targets = rows[:, 1:][weights == 1]
    assert targets.tolist() == list(range(1, length))


def passes_of(windows, seed=1):
    """The rows of the first two passes, eight windows in a step."""
    steps = len(windows) // 8
    batches = [windows.batch(step, 8, seed)[0] for step in range(2 * steps)]
    return np.concatenate(batches[:steps]), np.concatenate(batches[steps:])


def test_one_pass_shows_every_document_once_and_each_pass_another_order():
    documents = [[END, n // 8, n % 8, END] for n in range(40)]
    ids = np.array([END, *(i for document in documents for i in document[1:])])
    first, second = passes_of(Windows(ids, context=9, end_id=END, documents=True))
    assert first.shape == (40, 4)  # no longer than the longest document
    assert sorted(first.tolist()) == sorted(second.tolist()) == documents
    assert not np.array_equal(first, second)


def test_each_pass_cuts_running_text_at_other_places():
    first, second = passes_of(Windows(np.arange(165), context=4, end_id=END))
    for rows in (first, second):
        assert len(np.unique(rows[:, :-1])) == rows[:, :-1].size, "a token is read twice"
    assert not np.array_equal(np.sort(first[:, 0]), np.sort(second[:, 0]))


def test_a_batch_depends_on_the_step_and_the_seed_alone():
    windows = Windows(np.arange(1000), context=10, end_id=0)
    again = Windows(np.arange(1000), context=10, end_id=0)
    for step in (0, 57, 3):
        assert np.array_equal(windows.batch(step, 8, seed=1)[0], again.batch(step, 8, seed=1)[0])
    assert not np.array_equal(windows.batch(0, 8, seed=1)[0], windows.batch(0, 8, seed=2)[0])
    late = next(iter(endless_batches(windows, 8, seed=1, first_step=57)))
    assert np.array_equal(late[1], windows.batch(57, 8, seed=1)[0][:, 1:])


def test_a_text_of_few_windows_still_fills_a_batch():
    rows, weights = Windows(np.arange(12), context=10, end_id=0).batch(3, 8, seed=0)
    assert rows.shape == (8, 11) and weights.all()


def test_the_end_of_fit_does_not_wait_for_a_tuner():
    batches = endless_batches(Windows(np.arange(100), context=4, end_id=0), 2, seed=0)
    assert batches.options().autotune.enabled is False


def test_token_losses_are_those_of_keras_whatever_the_number_of_windows():
    keras.utils.set_random_seed(0)
    model = from_ids(build_gpt2(20, ModelSize(1, 2, 16, 512, 8)))
    windows = Windows(np.random.default_rng(0).integers(20, size=60), context=8, end_id=0)
    rows, weights = windows.in_order()
    inputs, targets, _ = as_examples(rows, weights)
    expected = keras.losses.sparse_categorical_crossentropy(
        targets, model.predict(inputs, verbose=0), from_logits=True
    )
    losses = TokenLosses(model, batch_size=3)
    assert losses(rows) == pytest.approx(np.asarray(expected), abs=1e-5)
    mean = np.sum(np.asarray(expected) * weights) / weights.sum()
    assert losses.mean(rows, weights) == pytest.approx(mean, abs=1e-5)
