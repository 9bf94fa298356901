"""Lesson 15: each part equals the library's; the comparison of the parts is a fair one."""

import json
import re
from dataclasses import asdict, replace
from itertools import product

import keras
import keras_nlp
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from lesson_code import definitions
from scipy import stats

from benchmarks import modern_block
from utils.errors import CourseError
from utils.models.modern import (
    GPT2,
    LLAMA,
    Experts,
    Parts,
    balancing_loss,
    build_model,
    expert_shares,
    matched,
    parameters,
)
from utils.models.sizes import SIZES, ModelSize
from utils.paths import DATASETS, REPOSITORY

lesson = definitions("15_modern_block", constants=["EPSILON"], np=np, ops=ops, stats=stats)
TINY = ModelSize(layers=2, heads=4, width=32, feed_forward=48, context=12)
VOCABULARY = 40
ONE_EACH = [
    GPT2,
    Parts(rms_norm=True),
    Parts(rotary=True),
    Parts(swiglu=True),
    Parts(group=2),
    Parts(biases=False),
    LLAMA,
    Parts(experts=2),
    replace(LLAMA, experts=3),
]


def randomised(model, seed=0):
    """The model, with all arrays random: zeros and ones would hide a mistake."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape) / 4 for w in model.weights])
    return model


def with_gradients(function, x, variables, upstream):
    """function(x), and the gradients of a weighted sum of it at x and the variables."""
    x = ops.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = function(x)
        loss = ops.sum(output * upstream)
    return [np.array(a) for a in [output, *tape.gradient(loss, [x, *variables])]]


def assert_equal(ours, theirs, x, variables=()):
    upstream = np.random.default_rng(1).normal(size=x.shape).astype("float32")
    pairs = zip(
        with_gradients(ours, x, variables, upstream),
        with_gradients(theirs, x, variables, upstream),
        strict=True,
    )
    for our, their in pairs:
        assert np.abs(our - their).max() < 1e-5 * max(1.0, np.abs(their).max())


# ---- by hand and by library ----------------------------------------------------------------------


def llama(epsilon, heads=4, kv_heads=2, layers=1):
    return randomised(
        keras_nlp.models.LlamaBackbone(
            vocabulary_size=VOCABULARY,
            num_layers=layers,
            num_query_heads=heads,
            num_key_value_heads=kv_heads,
            hidden_dim=32,
            intermediate_dim=48,
            layer_norm_epsilon=epsilon,
            tie_word_embeddings=True,
        )
    )


@pytest.mark.parametrize("size", [1.0, 0.01])
@pytest.mark.parametrize("epsilon", [1e-6, 1e-5, 1e-3])
def test_rms_norm_equals_the_library(epsilon, size):
    norm = llama(epsilon).layer_norm
    x = (size * np.random.default_rng(0).normal(size=(2, 5, 32))).astype("float32")
    assert_equal(lambda x: lesson.rms_norm(x, norm.scale, epsilon), norm, x, norm.weights)


def test_the_wrong_epsilon_shows_with_small_inputs():
    x = np.random.default_rng(0).normal(size=(2, 5, 32))
    for size, least, most in [(1.0, 0, 1e-4), (0.01, 0.01, 1)]:
        right, wrong = (lesson.rms_norm(size * x, 1.0, epsilon) for epsilon in (1e-5, 1e-6))
        assert least <= np.abs(right - wrong).max() / np.abs(right).max() <= most


@pytest.mark.parametrize("wavelength", [100, 10_000, 500_000])
@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (2, 7, 3, 8), (1, 300, 2, 64)], ids=str)
def test_rotary_equals_the_library(shape, wavelength):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    theirs = keras_nlp.layers.RotaryEmbedding(max_wavelength=wavelength)
    ours = np.array(lesson.rotary(x, wavelength))
    # At position 300 the library's angles, in 32 bits, are off by some 1e-5 themselves.
    assert np.abs(ours - theirs(x)).max() < (1e-5 if shape[1] < 100 else 1e-4)


def test_a_rotated_score_depends_on_the_distance_alone():
    rng = np.random.default_rng(0)
    query, key = (np.tile(rng.normal(size=(1, 1, 1, 16)), (1, 40, 1, 1)) for _ in range(2))
    queries, keys = (np.array(lesson.rotary(each))[0, :, 0] for each in (query, key))
    scores = queries @ keys.T  # (time, time)
    for distance in (-7, 0, 1, 12):
        diagonal = np.diag(scores, distance)
        assert np.abs(diagonal - diagonal[0]).max() < 1e-4
    assert np.abs(np.diff(scores[0])).min() > 1e-3  # and it does depend on it


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (6, 2), (4, 1)])
def test_grouped_attention_equals_the_library(heads, kv_heads):
    layer = keras.layers.GroupQueryAttention(8, heads, kv_heads, use_bias=False)
    x = np.random.default_rng(0).normal(size=(2, 7, 20)).astype("float32")
    layer(x, x)
    randomised(layer)
    assert_equal(
        lambda x: lesson.grouped_attention(x, *layer.weights),
        lambda x: layer(x, x, use_causal_mask=True),
        x,
        layer.weights,
    )


@pytest.mark.parametrize("size", [1.0, 0.01])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (2, 1)])
def test_the_block_equals_the_library(heads, kv_heads, size):
    block = llama(1e-5, heads, kv_heads).transformer_layers[0]
    p = lesson.grouped(block.weights)
    x = (size * np.random.default_rng(0).normal(size=(3, 9, 32))).astype("float32")
    assert_equal(lambda x: lesson.llama_block(x, p, 1e-5), block, x, block.weights)


def test_cache_bytes_is_the_size_of_what_the_block_keeps():
    block = llama(1e-5, heads=4, kv_heads=2).transformer_layers[0]
    x = np.random.default_rng(0).normal(size=(1, 9, 32)).astype("float32")
    empty = np.zeros((1, 2, 9, 2, 8), "float32")  # (batch, key and value, time, kv_heads, head_dim)
    output, cache = block(x, self_attention_cache=empty, self_attention_cache_update_index=0)
    assert np.abs(output - block(x)).max() < 1e-4
    assert np.array(cache).nbytes == lesson.cache_bytes(1, 2, 8, 9, 4)


# ---- the model with switches ---------------------------------------------------------------------


def logits_of(backbone, ids):
    hidden = backbone({"token_ids": ids, "padding_mask": np.ones_like(ids)})
    return np.array(backbone.token_embedding(hidden, reverse=True))


def test_without_switches_it_is_gpt2():
    library = randomised(
        keras_nlp.models.GPT2Backbone(
            vocabulary_size=VOCABULARY,
            num_layers=TINY.layers,
            num_heads=TINY.heads,
            hidden_dim=TINY.width,
            intermediate_dim=TINY.feed_forward,
            max_sequence_length=TINY.context,
            dropout=0.0,
        )
    )
    model = build_model(VOCABULARY, TINY, GPT2)
    table, positions, *blocks, gamma, beta = library.get_weights()
    ours = [table, positions]
    for number in range(TINY.layers):
        attention_and_norm, network_and_norm = np.split(np.arange(16) + 16 * number, [10])
        for part, norm in [(attention_and_norm, 8), (network_and_norm, 4)]:
            ours += [blocks[i] for i in (*part[norm:], *part[:norm])]
    model.set_weights([*ours, gamma, beta])
    ids = np.random.default_rng(0).integers(VOCABULARY, size=(3, TINY.context))
    theirs = logits_of(library, ids)
    assert np.abs(model(ids) - theirs).max() < 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("group", [1, 2, 4])
def test_with_all_switches_it_is_llama(group):
    library = llama(1e-5, TINY.heads, TINY.heads // group, TINY.layers)
    model = build_model(VOCABULARY, TINY, replace(LLAMA, group=group))
    table, *blocks, last = library.get_weights()
    ours = [table]
    for number in range(TINY.layers):
        a = blocks[9 * number : 9 * number + 9]
        ours += [a[4], *a[:4], a[8], *a[5:8]]
    model.set_weights([*ours, last])
    ids = np.random.default_rng(0).integers(VOCABULARY, size=(3, TINY.context))
    theirs = logits_of(library, ids)
    assert np.abs(model(ids) - theirs).max() < 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("parts", ONE_EACH, ids=str)
def test_no_model_sees_the_future_and_each_sees_the_past(parts):
    model = randomised(build_model(VOCABULARY, TINY, parts))
    ids = np.random.default_rng(0).integers(1, VOCABULARY, size=(1, 10))
    before = np.array(model(ids))
    last, first = ids.copy(), ids.copy()
    last[0, -1], first[0, 0] = 0, 0
    assert np.abs(before - model(last))[0, :-1].max() < 1e-5
    assert np.abs(before - model(first))[0, -1].max() > 1e-3


@pytest.mark.parametrize("parts", ONE_EACH, ids=str)
def test_the_number_of_parameters_is_matched(parts):
    model = build_model(VOCABULARY, TINY, parts)
    assert parameters(VOCABULARY, TINY, parts) == model.count_params()
    size = matched(VOCABULARY, TINY, parts)
    assert replace(size, feed_forward=TINY.feed_forward) == TINY
    goal = parameters(VOCABULARY, TINY, GPT2)
    off = abs(parameters(VOCABULARY, size, parts) - goal)
    for units in (-1, 1):
        other = replace(size, feed_forward=size.feed_forward + units)
        assert off <= abs(parameters(VOCABULARY, other, parts) - goal)


def test_heads_that_make_no_groups_are_refused():
    with pytest.raises(CourseError, match="4 query heads make no groups of 3"):
        build_model(VOCABULARY, TINY, Parts(group=3))


# ---- a mixture of experts ------------------------------------------------------------------------


def test_a_token_passes_through_the_expert_with_the_largest_share():
    layer = Experts(TINY, Parts(experts=3))
    x = np.random.default_rng(0).normal(size=(2, 5, TINY.width)).astype("float32")
    layer(x)
    randomised(layer)
    output = np.array(layer(x))
    shares = np.array(ops.softmax(layer.router(x)))  # (batch, time, experts)
    each = [np.array(network(x)) for network in layer.networks]
    assert len(np.unique(shares.argmax(axis=-1))) > 1
    for place in product(range(2), range(5)):
        chosen = shares[place].argmax()
        expected = shares[place][chosen] * each[chosen][place]
        assert np.abs(output[place] - expected).max() < 1e-5


def test_the_mixture_by_hand_equals_the_layer():
    layer = Experts(TINY, Parts(experts=3))
    x = np.random.default_rng(0).normal(size=(2, 5, TINY.width)).astype("float32")
    layer(x)
    randomised(layer)
    router, networks = layer.router.kernel, layer.networks
    assert_equal(lambda x: lesson.mixture(x, router, networks), layer, x, layer.weights)


def test_the_balancing_loss_is_least_when_tokens_are_spread_evenly():
    even = np.full((1, 6, 3), 1 / 3)
    in_turn = np.tile(np.eye(3), (2, 1))[None]  # (1, 6, 3)
    one = np.zeros((1, 6, 3))
    one[..., 0] = 1
    assert float(balancing_loss(even, in_turn)) == pytest.approx(1)
    assert float(balancing_loss(one, one)) == pytest.approx(3)


def test_the_balancing_loss_by_hand_equals_that_of_the_model():
    shares = np.random.default_rng(0).dirichlet(np.ones(3), size=40)  # (tokens, experts)
    chosen = np.eye(3)[shares.argmax(axis=-1)]
    theirs = float(balancing_loss(shares[None], chosen[None]))
    assert lesson.balancing(shares) == pytest.approx(theirs)
    assert theirs > 1


def test_the_balancing_loss_is_part_of_what_is_trained_if_it_has_a_weight():
    ids = np.random.default_rng(0).integers(VOCABULARY, size=(2, 6))
    for weight in (0.0, 0.5):
        model = randomised(build_model(VOCABULARY, TINY, Parts(experts=2, balance=weight)))
        model(ids)
        assert len(model.losses) == TINY.layers
        total = float(sum(model.losses))
        # between 1 and 2 in each block, times its weight
        assert weight * TINY.layers * 0.99 <= total <= weight * TINY.layers * 2


def test_expert_shares_are_those_of_the_tokens():
    model = randomised(build_model(VOCABULARY, TINY, Parts(experts=2)))
    ids = np.random.default_rng(0).integers(VOCABULARY, size=(4, 12))
    before = np.array(expert_shares(model, ids))
    assert before.shape == (TINY.layers, 2)
    assert np.allclose(before.sum(axis=-1), 1)
    router = model.get_layer("block_1").network.router.kernel
    router.assign(np.array(router)[:, ::-1])  # each expert gets the tokens of the other
    after = np.array(expert_shares(model, ids))
    assert np.allclose(after[0], before[0]) and np.allclose(after[1], before[1, ::-1])
    assert 0 < before[1, 0] < 1 and before[1, 0] != before[1, 1]


# ---- the comparison ------------------------------------------------------------------------------


def test_the_intervals_hold_all_together():
    assert 3.15 < lesson.t_limit(12, 6) < 3.16  # of Student's t with 12 degrees, a risk of 0.05 / 6
    rng, truth = np.random.default_rng(0), np.array([0, 0, 0, -0.5, 1, 0, 0.1])
    held = 0
    for _ in range(2000):
        losses = truth[:, None] + 3 * rng.normal(size=3) + 0.2 * rng.normal(size=(7, 3))
        changes, half = lesson.differences(losses)
        held += np.all(np.abs(changes - truth[1:]) <= half)
    assert 0.94 < held / 2000 < 0.99


def test_no_difference_is_an_answer():
    assert [lesson.verdict(change, 0.1) for change in (-0.3, -0.05, 0.0, 0.1, 0.2)] == [
        "better",
        "no difference",
        "no difference",
        "no difference",
        "worse",
    ]


# ---- the benchmark -------------------------------------------------------------------------------


def made_up(setting):
    """What stands in for a training."""
    return {"parameters": 9, "feed_forward": 1, "milliseconds": 1.0, "evaluations": [[9, 1.0]]}


def test_a_benchmark_that_was_stopped_goes_on(tmp_path):
    path, made = tmp_path / "results.json", []

    def make(setting):
        made.append(setting)
        return made_up(setting)

    def complete(runs):
        made.clear()
        modern_block.complete(modern_block.Results(path), runs, make)

    runs = modern_block.plan()
    complete(runs)
    assert made == list(runs.values())
    complete(runs)
    assert made == []
    other = runs | {"all, seed 1": replace(runs["all, seed 1"], rate=0.5)}
    complete(other)
    assert made == [other["all, seed 1"]]
    assert json.loads(path.read_text(encoding="utf-8"))["runs"].keys() == runs.keys()


def test_each_variant_differs_from_gpt2_in_one_part_and_the_last_in_all():
    changed = {
        name: {key for key, value in asdict(Parts(**parts)).items() if value != asdict(GPT2)[key]}
        for name, parts in modern_block.VARIANTS.items()
    }
    assert changed["GPT-2"] == set()
    single = [name for name in changed if name not in ("GPT-2", "all")]
    assert all(len(changed[name]) == 1 for name in single)
    assert changed["all"] == set.union(*(changed[name] for name in single))
    assert Parts(**modern_block.VARIANTS["all"]) == LLAMA


def test_the_shipped_file_has_all_runs_with_equal_parameters():
    data = json.loads((DATASETS / "modern_block.json").read_text(encoding="utf-8"))
    for name, setting in modern_block.plan().items():
        run = data["runs"][name]
        assert run["setting"] == asdict(setting), name
        if setting.context is None:
            assert run["evaluations"][-1][0] == setting.steps
            assert run["evaluations"][-1][1] > data["floor"]
            parts, size = Parts(**setting.parts), SIZES["small"]
            size = matched(1536, size, parts) if setting.matched else size
            assert run["feed_forward"] == size.feed_forward
            assert run["parameters"] == parameters(1536, size, parts)
            gpt2 = data["runs"]["GPT-2, seed 0"]["parameters"]
            assert abs(run["parameters"] / gpt2 - 1) < 0.001 or not setting.matched
        else:
            assert len(run["by_position"]) == modern_block.LONG // modern_block.POSITIONS_PER_MEAN


def test_the_drawing_has_the_shapes_of_the_models():
    drawing = (REPOSITORY / "assets" / "modern_block.svg").read_text(encoding="utf-8")
    size = SIZES["small"]
    widths = {matched(1536, size, parts).feed_forward for parts in (GPT2, LLAMA)}
    head_dim = size.width // size.heads
    expected = {f"(time, {number})" for number in (size.width, *widths)}
    expected |= {f"(time, {heads}, {head_dim})" for heads in (size.heads, size.heads // 2)}
    assert set(re.findall(r"\(time, [^)]*\)", drawing)) == expected
