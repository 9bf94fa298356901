"""The fast Llama computes what keras-nlp's does, whatever the batch, the slot and the cache."""

import keras_nlp
import numpy as np
import pytest
import tensorflow as tf
from tiny_llama import CONTEXT, tiny_llama

from utils.generation.cached_llama import cached_llama, halves_together
from utils.generation.generator import CHUNK, Generator

END, LENGTH = 49, 44
PROMPTS = [[END], list(range(3 * CHUNK - 8)), [3, 4, 5], list(range(9, 19))]


@pytest.fixture(scope="module")
def tiny():
    return tiny_llama()


@pytest.fixture(scope="module")
def keras_s(tiny):
    """The same model in keras-nlp; queries and keys in the order that its rotary positions need."""
    config, weights = tiny
    backbone = keras_nlp.models.LlamaBackbone(
        vocabulary_size=config.vocabulary_size,
        num_layers=config.num_layers,
        num_query_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        hidden_dim=config.width,
        intermediate_dim=config.inner,
        rope_max_wavelength=config.rope_base,
        layer_norm_epsilon=config.epsilon,
        tie_word_embeddings=True,
    )
    backbone.token_embedding.embeddings.assign(weights.token_embedding)
    backbone.layer_norm.scale.assign(weights.norm)
    for layer, block in zip(backbone.transformer_layers, weights.blocks, strict=True):
        attention, kernels = layer._self_attention_layer, [block.query, block.key]
        query, key = (halves_together(kernel, config.head_dim).T for kernel in kernels)
        for dense, kernel in [
            (attention._query_dense, query),
            (attention._key_dense, key),
            (attention._value_dense, block.value.T),
            (attention._output_dense, block.output.T),
            (layer._feedforward_gate_dense, block.gate.T),
            (layer._feedforward_intermediate_dense, block.up.T),
            (layer._feedforward_output_dense, block.down.T),
        ]:
            dense.kernel.assign(kernel.reshape(dense.kernel.shape))
        layer._self_attention_layernorm.scale.assign(block.attention_norm)
        layer._feedforward_layernorm.scale.assign(block.mlp_norm)
    return backbone


def logits_of(backbone, ids):
    """What keras-nlp answers without a cache: (batch, time) -> (batch, time, vocabulary)."""
    hidden = backbone({"token_ids": ids, "padding_mask": np.ones_like(ids)})
    return np.array(backbone.token_embedding(hidden, reverse=True))


def relative_difference(logits, expected):
    assert np.abs(expected).max() > 1
    return np.abs(logits - expected).max() / np.abs(expected).max()


def some_ids(batch, time=CONTEXT):
    return np.random.default_rng(1).integers(0, END, size=(batch, time)).astype("int32")


# A block that divides the cache, one that does not, and one that holds all of it.
@pytest.mark.parametrize("block", [16, 32, 512])
@pytest.mark.parametrize(("batch", "new"), [(1, 1), (3, 1), (1, 8), (3, 24)])
def test_logits_with_the_cache_are_keras_nlp_s(tiny, keras_s, batch, new, block, monkeypatch):
    monkeypatch.setattr("utils.generation.cached_llama.BLOCK", block)
    monkeypatch.setattr("utils.generation.cached_llama.LARGE", 24 * 40)  # some in pieces
    model, ids, parts = cached_llama(*tiny), some_ids(batch), []
    cache = model.empty_cache(batch, CONTEXT)

    @tf.function(jit_compile=True)
    def read(tokens, position, cache):
        return model.read_tokens(model.weights, tokens, position, cache)

    for position in range(0, CONTEXT, new):
        tokens = tf.constant(ids[:, position : position + new])
        logits, cache = read(tokens, tf.constant(position), cache)
        parts.append(logits)
    expected = logits_of(keras_s, ids)
    assert relative_difference(np.concatenate(parts, axis=1), expected) < 1e-5


def test_rows_at_different_positions_have_the_logits_of_each_row_alone(tiny, keras_s, monkeypatch):
    """The rows begin 0, 3 and 30 steps late; until then a row reads its first token again."""
    monkeypatch.setattr("utils.generation.cached_llama.BLOCK", 16)
    model, steps, delays = cached_llama(*tiny), 60, np.array([0, 3, 30])
    ids = some_ids(3)
    expected, cache = logits_of(keras_s, ids), model.empty_cache(3, CONTEXT)
    for step in range(steps):
        positions = np.maximum(step - delays, 0).astype("int32")
        tokens = tf.constant(ids[range(3), positions][:, None])
        logits, cache = model.read_tokens(model.weights, tokens, tf.constant(positions), cache)
        assert relative_difference(logits[:, 0], expected[range(3), positions]) < 1e-5


def test_a_text_in_a_slot_changes_nothing_in_the_others(tiny, keras_s):
    model, ids = cached_llama(*tiny), some_ids(2, 40)
    cache, position = model.empty_cache(4, CONTEXT), tf.constant(0)
    both = [tf.constant(row[None]) for row in ids]
    _, cache = model.read_tokens(model.weights, both[0], position, cache, tf.constant(2))
    before = [(layer.keys.numpy(), layer.values.numpy()) for layer in cache]
    logits, cache = model.read_tokens(model.weights, both[1], position, cache, tf.constant(3))
    assert relative_difference(logits, logits_of(keras_s, ids[1:])) < 1e-5
    rows = slice(0, 3 * tiny[0].num_kv_heads)  # of the first three texts
    for (keys, values), layer in zip(before, cache, strict=True):
        assert np.array_equal(keys[rows], layer.keys[rows]) and keys[rows].any()
        assert np.array_equal(values[rows], layer.values[rows])


def greedily(backbone, prompt):
    """The likeliest token each time, the plain way."""
    ids = list(prompt)
    while len(ids) < LENGTH and not (len(ids) > len(prompt) and ids[-1] == END):
        row = np.zeros((1, LENGTH), "int32")  # one length, so that Keras compiles once
        row[0, : len(ids)] = ids
        ids.append(int(logits_of(backbone, row)[0, len(ids) - 1].argmax()))
    return ids


def test_the_generator_takes_the_likeliest_each_time(tiny, keras_s):
    generator = Generator(cached_llama(*tiny), END)
    expected = [greedily(keras_s, prompt) for prompt in PROMPTS]
    assert generator(PROMPTS, LENGTH, top_k=1) == expected
    assert [*generator.stream(PROMPTS[2], LENGTH, top_k=1)] == expected[2][3:]
    assert len(set(map(tuple, expected))) == 4


def test_a_long_text_compiles_nothing_anew(tiny, monkeypatch):
    monkeypatch.setattr("utils.generation.generator.CACHE_GROWTH", 8)
    generator = Generator(cached_llama(*tiny), end_id=-7)
    text = generator([[1, 2, 3]], LENGTH, seed=1)[0]
    assert len(text) == LENGTH
    assert generator._generate.experimental_get_tracing_count() == 1
