"""Products in int8, and the Llama and the batch that use them."""

import numpy as np
import pytest
from tiny_llama import CONTEXT, tiny_llama

from utils.errors import GenerationError
from utils.generation.cached_llama import cached_llama
from utils.generation.int8 import Int8Product, as_network, hadamard, rounded
from utils.generation.int8_llama import Int8Llama
from utils.generation.sampling import as_sampling
from utils.serving.int8_batch import Int8Batch

END, SLOTS = 49, 3
LIKELIEST, DARING = as_sampling(1.0, 1, 1.0), as_sampling(1.5, 0, 0.95)


def in_float32(kernel):
    return lambda x: x @ kernel.T


@pytest.fixture(scope="module")
def tiny():
    return tiny_llama()


@pytest.fixture(scope="module")
def int8(tiny):
    return Int8Llama(*tiny, END)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def relative_error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


# ---- the product ---------------------------------------------------------------------------------


def test_the_product_is_nearly_that_of_the_floats_for_any_number_of_rows():
    kernel = random(70, 192)
    kernel[3] = 0
    product = Int8Product(kernel)
    for rows in (5, 1, 64, 5):
        x = random(rows, 192, seed=rows)
        assert 0 < relative_error(product(x), x @ kernel.T) < 0.02
        assert not product(x)[:, 3].any()


def test_a_row_does_not_depend_on_the_others():
    product, x = Int8Product(random(40, 64)), random(9, 64, seed=1)
    alone = product(x[4:5])
    x[:4] *= 1000
    assert np.allclose(product(x)[4:5], alone, rtol=1e-5, atol=1e-5)


def test_an_outlier_does_not_drown_the_other_inputs():
    kernel, x = random(50, 256), random(4, 256, seed=1)
    x[:, 7] = 300
    expected = x @ kernel.T
    scale = (x.max(axis=1, keepdims=True) - x.min(axis=1, keepdims=True)) / 255
    naive = (np.rint(x / scale) * scale) @ kernel.T
    error = np.abs(Int8Product(kernel)(x) - expected).mean()
    assert error < 0.5 * np.abs(naive - expected).mean()


def test_the_hadamard_matrix_is_orthogonal():
    for size in (1, 2, 64):
        assert np.allclose(hadamard(size) @ hadamard(size).T, np.eye(size), atol=1e-6)


def test_rounded_weights_are_at_most_half_a_step_away():
    kernel = random(6, 32)
    numbers, scales = rounded(kernel)
    assert numbers.dtype == np.int8 and np.abs(numbers).max() == 127
    assert (np.abs(numbers * scales[:, None] - kernel) <= 0.501 * scales[:, None]).all()
    assert as_network(numbers, scales)[4:8] == b"TFL3"


# ---- the model -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "new"), [(1, 1), (3, 1), (1, 8), (3, 24)])
def test_but_for_the_product_it_is_the_compiled_llama(tiny, batch, new):
    model, compiled = Int8Llama(*tiny, END, in_float32), cached_llama(*tiny)
    ids = np.random.default_rng(1).integers(0, END, size=(batch, 48)).astype("int32")
    cache, other = model.empty_cache(4), compiled.empty_cache(batch, CONTEXT)
    slots = [3, 0, 2][:batch]
    for position in range(0, 48, new):
        tokens = ids[:, position : position + new]
        logits = model.logits(model.read(tokens, np.full(batch, position), cache, slots))
        where = np.array(position, "int32")
        expected, other = compiled.read_tokens(compiled.weights, tokens, where, other)
        assert relative_error(logits.reshape(batch, new, -1), np.array(expected)) < 1e-5


def test_texts_at_different_positions_are_as_each_alone(int8):
    ids = [np.random.default_rng(seed).integers(0, END, size=40) for seed in range(2)]
    cache, alone = int8.empty_cache(2), []
    for slot, size in enumerate([7, 20]):
        int8.read(ids[slot][None, :size], np.zeros(1, int), cache, [slot])
    for slot, size in enumerate([7, 20]):
        fresh = int8.empty_cache(1)
        int8.read(ids[slot][None, :size], np.zeros(1, int), fresh, [0])
        alone.append(int8.read(ids[slot][None, size : size + 1], np.array([size]), fresh, [0]))
    next_ids = np.array([[ids[0][7]], [ids[1][20]]])
    together = int8.read(next_ids, np.array([7, 20]), cache, [0, 1])
    assert np.allclose(together, np.concatenate(alone), rtol=1e-5, atol=1e-5)


def test_in_int8_it_predicts_nearly_the_same(tiny, int8):
    plain = Int8Llama(*tiny, END, in_float32)
    ids = np.random.default_rng(2).integers(0, END, size=(1, 100))
    about = np.zeros(1, int)
    found, expected = (m.logits(m.read(ids, about, m.empty_cache(1), [0])) for m in (int8, plain))
    assert 1e-4 < np.sqrt(np.mean((found - expected) ** 2)) / expected.std() < 0.1


def test_what_makes_no_sense_is_one_sentence(int8):
    for prompt, length in [([], 9), ([END + 1], 9), ([1] * 9, 9), ([1], CONTEXT + 1)]:
        with pytest.raises(GenerationError):
            int8.check([prompt], length, 0)


# ---- the batch -----------------------------------------------------------------------------------


def likeliest(model, prompt, count):
    """The likeliest token each time, the plain way: all is read anew for each."""
    ids = list(prompt)
    for _ in range(count):
        x = model.read(np.array([ids]), np.zeros(1, int), model.empty_cache(1), [0])
        ids.append(int(model.logits(x)[-1].argmax()))
    return ids


def test_texts_that_come_and_go_are_those_of_the_plain_way(int8, monkeypatch):
    monkeypatch.setattr("utils.serving.batching.LARGE_MODEL_CHUNK", 16)
    batch = Int8Batch(int8, SLOTS)
    prompts = [
        [7 + (number + i) % 40 for i in range(size)] for number, size in enumerate([1, 50, 17])
    ]
    for start, slot in ((0, 1), (4, 0), (9, 2)):  # at different steps
        while len(batch.texts) and len(batch.texts[1].ids) < len(prompts[0]) + start:
            batch.step()
        prompt = prompts[len(batch.texts)]
        batch.start(slot, prompt, CONTEXT, LIKELIEST, 0)
    while min(len(text.ids) - len(prompts[i]) for i, text in enumerate(batch.texts.values())) < 10:
        batch.step()
    for prompt, text in zip(prompts, batch.texts.values(), strict=True):
        assert text.ids == likeliest(int8, prompt, len(text.ids) - len(prompt))


def test_a_text_of_chance_does_not_depend_on_the_others(int8):
    batch, texts = Int8Batch(int8, SLOTS), []
    for others in (0, 2):
        for slot in range(others):
            batch.start(slot, [5, 6, 7 + slot], CONTEXT, DARING, slot)
        batch.start(2, [9, 8, 7], CONTEXT, DARING, 11)
        while len(batch.texts[2].ids) < 40:
            batch.step()
        texts.append(batch.texts[2].ids)
        for slot in list(batch.texts):
            batch.stop(slot)
    assert texts[0] == texts[1]


def test_a_step_without_texts_is_none(int8):
    assert Int8Batch(int8, 1).step() == {}
