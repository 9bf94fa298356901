"""The fast generator writes what the model means: same logits, same draws, whatever the batch."""

from itertools import pairwise, product

import keras
import keras_nlp
import numpy as np
import pytest
import tensorflow as tf
from lesson_code import definitions

from utils.course.settings import read_command_line
from utils.errors import CourseError, GenerationError
from utils.generation.cached_gpt2 import LARGE
from utils.generation.generator import CHUNK, CachedModel, Generator
from utils.generation.plain_gpt2 import plain_logits, read_weights
from utils.generation.sampling import (
    ATTEMPTS,
    allowed_probabilities,
    as_sampling,
    sample_tokens,
)
from utils.models.gpt2 import build_gpt2
from utils.models.sizes import ModelSize

VOCABULARY, CONTEXT, LENGTH, END = 50, 48, 44, 49
PROMPTS = [[END], list(range(3 * CHUNK - 8)), [3, 4, 5], list(range(9, 19))]


def random_model(seed, **changes):
    """A small GPT-2 with large random weights, so that its answers differ from place to place.

    The biases are small: a large one at the end would make one token the likeliest everywhere.
    """
    rng = np.random.default_rng(seed)
    size = {"layers": 2, "heads": 3, "width": 24, "feed_forward": 96, "context": CONTEXT}
    model = build_gpt2(VOCABULARY, ModelSize(**{**size, **changes}))
    for weight in model.weights:
        scale = 0.5 if weight.name in ("kernel", "embeddings") else 0.05
        weight.assign((weight.name == "gamma") + scale * rng.normal(size=weight.shape))
    return model


@pytest.fixture(scope="module")
def model():
    return random_model(0)


@pytest.fixture(scope="module")
def generator(model):
    return Generator(model, END)


def logits_of(model, ids):
    """What keras-nlp answers without a cache: (batch, time) -> (batch, time, vocabulary)."""
    return np.array(model({"token_ids": ids, "padding_mask": np.ones_like(ids)}))


# ---- the model -----------------------------------------------------------------------------------

# One head, pieces that do not come out even, and heads that do not fill the width: 3 * 8 < 26.
SHAPES = [{}, {"layers": 3, "heads": 1}, {"width": 30, "feed_forward": 40}]


def relative_difference(logits, expected):
    """The largest difference in units of the largest logit: these models have logits up to 20."""
    assert np.abs(expected).max() > 1
    return np.abs(logits - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("changes", SHAPES, ids=str)
def test_the_plain_model_is_keras_nlp_s(changes):
    changed = random_model(1, **changes)
    ids = np.random.default_rng(1).integers(0, VOCABULARY, size=(3, CONTEXT)).astype("int32")
    logits = plain_logits(read_weights(changed), ids, changed.backbone.num_heads)
    assert relative_difference(logits, logits_of(changed, ids)) < 1e-5


@pytest.mark.parametrize("changes", SHAPES, ids=str)
@pytest.mark.parametrize(("batch", "new"), [(1, 1), (3, 1), (1, 8), (3, 16)])
@pytest.mark.parametrize("large", [LARGE, 1], ids=["whole", "in pieces"])
def test_logits_with_the_cache_equal_those_without(changes, batch, new, large, monkeypatch):
    monkeypatch.setattr("utils.generation.cached_gpt2.LARGE", large)
    changed = random_model(1, **changes)
    model = CachedModel.from_gpt2(changed)
    ids = np.random.default_rng(1).integers(0, VOCABULARY, size=(batch, CONTEXT)).astype("int32")
    cache, parts = model.empty_cache(batch, CONTEXT), []
    for position in range(0, CONTEXT, new):
        tokens = tf.constant(ids[:, position : position + new])
        logits, cache = model.read_tokens(model.weights, tokens, tf.constant(position), cache)
        parts.append(logits)
    expected = plain_logits(model.weights, ids, changed.backbone.num_heads)
    assert relative_difference(np.concatenate(parts, axis=1), expected) < 1e-5


def test_rows_at_different_positions_have_the_logits_of_each_row_alone(model):
    """The rows begin 0, 3 and 7 steps late; until then a row reads its first token again."""
    cached, steps, delays = CachedModel.from_gpt2(model), 20, np.array([0, 3, 7])
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (3, steps)).astype("int32")
    expected = plain_logits(cached.weights, ids, model.backbone.num_heads).numpy()
    cache = cached.empty_cache(3, CONTEXT)
    for step in range(steps):
        positions = np.maximum(step - delays, 0).astype("int32")
        tokens = tf.constant(ids[range(3), positions][:, None])
        logits, cache = cached.read_tokens(cached.weights, tokens, tf.constant(positions), cache)
        assert relative_difference(logits[:, 0], expected[range(3), positions]) < 1e-5


ADAPTED = ["query", "key", "value", "attention_output", "token_embedding"]
ADAPTED += ["feedforward_intermediate_dense", "feedforward_output_dense"]


def with_adapters(targets=None):
    """A random model with LoRA adapters that have learnt something."""
    model, rng = random_model(6), np.random.default_rng(7)
    model.backbone.enable_lora(2, target_layer_names=targets)
    for weight in model.backbone.weights:
        if weight.name.startswith("lora_"):
            weight.assign(0.3 * rng.normal(size=weight.shape))
    return model


@pytest.mark.parametrize("targets", [None, ADAPTED], ids=["query and value", "all"])
def test_adapters_are_merged(targets):
    adapted, plain = with_adapters(targets), random_model(6)
    ids = np.random.default_rng(1).integers(0, VOCABULARY, size=(3, CONTEXT)).astype("int32")
    logits = plain_logits(read_weights(adapted), ids, adapted.backbone.num_heads)
    assert relative_difference(logits, logits_of(adapted, ids)) < 1e-5
    assert relative_difference(logits_of(plain, ids), logits_of(adapted, ids)) > 0.1


def test_an_adapted_model_writes_what_the_merged_one_writes():
    adapted, merged = with_adapters(ADAPTED), random_model(6)
    for ours, theirs in zip(merged._flatten_layers(), adapted._flatten_layers(), strict=True):
        if getattr(theirs, "lora_enabled", False):
            name = "embeddings" if hasattr(theirs, "embeddings") else "kernel"
            getattr(ours, name).assign(getattr(theirs, name))
    texts = Generator(adapted, END)(PROMPTS, LENGTH, seed=1)
    generator = Generator(random_model(6), END)
    plain = generator(PROMPTS, LENGTH, seed=1)
    generator.update(merged)
    assert generator(PROMPTS, LENGTH, seed=1) == texts != plain
    generator.update(random_model(6))
    generator.update(adapted)
    assert generator(PROMPTS, LENGTH, seed=1) == texts


def quantized():
    changed = random_model(6).backbone
    changed.quantize("int8")
    return changed


def extended():
    changed = random_model(6).backbone
    changed.bottleneck = keras.layers.Dense(3)
    changed.bottleneck.build((None, 24))
    return changed


NO_GPT2 = [
    (lambda: keras.Sequential([keras.layers.Dense(2)]), "A Sequential is no GPT-2"),
    (lambda: keras_nlp.models.OPTBackbone(9, 1, 1, 4, 8, max_sequence_length=9), "OPTBackbone"),
    (quantized, "before it is quantized"),
    (extended, "38 arrays of parameters where a GPT-2 has 36"),
]


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@pytest.mark.parametrize(("make", "sentence"), NO_GPT2, ids=["layers", "opt", "int8", "extended"])
def test_what_is_no_gpt2_is_refused(make, sentence):
    with pytest.raises(CourseError) as caught:
        Generator(make(), END)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_another_architecture_brings_its_own_parts():
    """A table of five tokens stands for it: each token is followed by the next one."""
    table = 50 * tf.constant(np.roll(np.eye(5, dtype="float32"), 1, axis=1))

    def read_tokens(weights, tokens, position, cache):
        return tf.gather(weights["table"], tokens), cache

    gpt2 = CachedModel.from_gpt2(random_model(0))  # only its cache, which the table does not use
    counting = CachedModel({"table": table}, read_tokens, gpt2.empty_cache, 12, 5)
    generator = Generator(counting, end_id=4)
    assert generator([[0], [2]]) == [[0, 1, 2, 3, 4], [2, 3, 4]]
    assert list(generator.stream([1])) == [2, 3, 4]
    generator.update(counting._replace(weights={"table": tf.transpose(table)}))
    assert generator([[3]]) == [[3, 2, 1, 0, 4]]


# ---- the texts -----------------------------------------------------------------------------------


def greedily(model, prompt):
    """The likeliest token each time, the plain way."""
    ids = list(prompt)
    while len(ids) < LENGTH and not (len(ids) > len(prompt) and ids[-1] == END):
        ids.append(int(logits_of(model, np.array([ids]))[0, -1].argmax()))
    return ids


def test_top_1_takes_the_likeliest_each_time(model, generator):
    expected = [greedily(model, prompt) for prompt in PROMPTS]
    assert generator(PROMPTS, LENGTH, top_k=1) == expected
    assert [generator([prompt], LENGTH, top_k=1)[0] for prompt in PROMPTS] == expected


def test_it_writes_what_keras_nlp_writes(model, generator):
    model.compile(sampler="greedy")
    ids = np.zeros((1, LENGTH), "int32")
    ids[0, :3] = PROMPTS[2]
    mask = (np.arange(LENGTH) < 3).astype("int32")[None]
    theirs = model.generate({"token_ids": ids, "padding_mask": mask}, stop_token_ids=None)
    ours = Generator(model, end_id=-7)(PROMPTS[2:], LENGTH, top_k=1)
    assert ours[0] == np.array(theirs["token_ids"])[0].tolist()


@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[:1], PROMPTS[1:2]])
def test_a_cache_that_grows_changes_no_text(generator, model, prompts, monkeypatch):
    whole = generator(prompts, LENGTH, seed=3), generator(prompts, LENGTH, top_k=1)
    monkeypatch.setattr("utils.generation.generator.CACHE_GROWTH", 15)
    grown = Generator(model, END)
    assert (grown(prompts, LENGTH, seed=3), grown(prompts, LENGTH, top_k=1)) == whole
    assert any(len(text) > 2 * 15 for text in whole[0])


def test_a_seed_repeats_and_another_one_does_not(generator):
    first, again, other = (generator(PROMPTS, LENGTH, top_p=0.9, seed=s) for s in (5, 5, 6))
    assert first == again != other


def test_a_row_does_not_depend_on_the_others(generator):
    together = generator(PROMPTS, LENGTH, top_p=0.9, seed=2)
    for number, prompt in enumerate(PROMPTS):
        others = [[7]] * number
        assert generator([*others, prompt], LENGTH, top_p=0.9, seed=2)[number] == together[number]


def test_equal_prompts_get_different_texts(generator):
    first, second = generator([[END], [END]], LENGTH)
    assert first != second


def test_an_end_that_was_expected_inside_the_prompt_ends_nothing(model):
    for prompt in ([first, 4, 5] for first in range(VOCABULARY)):
        after_first, *_, after_all = (
            logits_of(model, np.array([prompt]))[0].argmax(axis=-1).tolist()
        )
        if after_first != after_all:
            break
    text = Generator(model, end_id=after_first)([prompt], LENGTH, top_k=1)[0]
    assert after_first != after_all and text[:4] == [*prompt, after_all]


def test_rows_begin_with_their_prompts_and_stop_at_the_end(generator):
    rows = [row for seed in range(8) for row in generator(PROMPTS, LENGTH, 3.0, seed=seed)]
    for prompt, row in zip(PROMPTS * 8, rows, strict=True):
        written = row[len(prompt) :]
        assert row[: len(prompt)] == prompt and written
        assert END not in written[:-1] and (written[-1] == END or len(row) == LENGTH)
        assert min(row) >= 0
    lengths = [len(row) for row in rows]
    assert min(lengths) < LENGTH == max(lengths)  # or the test has seen one kind only


@pytest.mark.parametrize("prompt", PROMPTS, ids=len)
def test_a_stream_is_the_first_row_token_by_token(generator, prompt):
    settings = {"temperature": 1.3, "top_k": 20, "top_p": 0.95, "seed": 3}
    whole = generator([prompt], LENGTH, **settings)[0]
    assert list(generator.stream(prompt, LENGTH, **settings)) == whole[len(prompt) :]


def test_other_settings_compile_nothing_anew(generator):
    generator(PROMPTS, LENGTH)
    before = generator._generate.experimental_get_tracing_count()
    for settings in [{"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.2}, {"seed": 9}]:
        generator(PROMPTS[::-1], LENGTH, **settings)
    assert generator._generate.experimental_get_tracing_count() == before


def test_a_prompt_of_another_length_compiles_nothing_anew(generator):
    generator([[3] * 20], LENGTH)
    before = generator._read_chunk.experimental_get_tracing_count()
    for size in range(1, LENGTH):
        generator([[3] * size], LENGTH)
    assert generator._read_chunk.experimental_get_tracing_count() == before


def test_update_takes_the_weights_of_another_model(model):
    other = random_model(4)
    generator = Generator(model, END)
    before = generator([[3]], LENGTH, top_k=1)
    generator.update(other)
    after = generator([[3]], LENGTH, top_k=1)
    assert before == [greedily(model, [3])] and after == [greedily(other, [3])] != before


def test_a_backbone_alone_will_do(model, generator):
    assert Generator(model.backbone, END)([[3]], LENGTH) == generator([[3]], LENGTH)


# ---- sampling ------------------------------------------------------------------------------------


def test_what_is_allowed_by_hand():
    p = np.array([0.1, 0.4, 0.05, 0.3, 0.15])
    for settings, kept in [
        ((1.0, 2, 1.0), [0, 4, 0, 3, 0]),
        ((1.0, 0, 0.69), [0, 4, 0, 3, 0]),
        ((1.0, 0, 0.71), [0, 8, 0, 6, 3]),
        ((1.0, 1, 0.71), [0, 1, 0, 0, 0]),
        ((0.5, 2, 1.0), [0, 16, 0, 9, 0]),
        ((1.0, 0, 1.0), p),
    ]:
        found = allowed_probabilities(np.log(p), as_sampling(*settings))
        assert np.allclose(found, np.array(kept) / np.sum(kept))


def test_equally_likely_tokens_are_kept_or_cut_together():
    logits = np.log([0.1, 0.3, 0.3, 0.3])
    for settings in [(1.0, 1, 1.0), (1.0, 0, 0.2), (1.0, 3, 0.89)]:
        found = allowed_probabilities(logits, as_sampling(*settings))
        assert np.allclose(found, [0, 1 / 3, 1 / 3, 1 / 3])


SETTINGS = [(1.0, 0, 1.0), (0.6, 0, 1.0), (2.0, 7, 1.0), (1.0, 1, 1.0), (1.0, 0, 0.8)]
SETTINGS += [(1.0, 0, 0.01), (0.8, 10, 0.9), (1.5, 4, 0.3)]


@pytest.mark.parametrize("digits", [7, 0], ids=["all different", "many equal"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_exactly_the_allowed_tokens_are_accepted(settings, digits):
    """One row for each of 300 tokens; its first random number points at the middle of the token."""
    rng = np.random.default_rng(8)
    logits = rng.normal(size=300).round(digits).astype("float32")
    p = np.exp(logits / settings[0], dtype="float64")
    uniform = rng.random((300, ATTEMPTS), "float32")
    uniform[:, 0] = (np.cumsum(p) - p / 2) / p.sum()
    found = sample_tokens(tf.constant(np.tile(logits, (300, 1))), uniform, as_sampling(*settings))
    allowed = allowed_probabilities(logits, as_sampling(*settings)) > 0
    assert np.array_equal(found.numpy() == np.arange(300), allowed)
    assert allowed[found].all()


@pytest.mark.parametrize("many_groups", [64, 10], ids=["few", "many"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_tokens_are_drawn_as_often_as_they_should(settings, many_groups, monkeypatch):
    """300 tokens in 38 groups: once too few to sort, and once enough, as in a large vocabulary."""
    monkeypatch.setattr("utils.generation.sampling.GROUP", 8)
    monkeypatch.setattr("utils.generation.sampling.MANY_GROUPS", many_groups)
    rng, draws = np.random.default_rng(8), 20_000
    logits = 2 * rng.normal(size=300).astype("float32")
    uniform = rng.random((draws, ATTEMPTS), "float32")
    drawn = sample_tokens(tf.constant(np.tile(logits, (draws, 1))), uniform, as_sampling(*settings))
    seen = np.bincount(drawn, minlength=300) / draws
    expected = allowed_probabilities(logits, as_sampling(*settings))
    assert seen[expected == 0].sum() == 0
    error = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(seen - expected) <= 5 * error + 2 / draws).all()


def test_hopeless_random_numbers_still_end():
    """Each draw begins with the least likely token of 500; only the likeliest is allowed."""
    logits = tf.range(500, dtype=tf.float32)[None] / 100
    drawn = sample_tokens(logits, tf.zeros((1, ATTEMPTS)), as_sampling(1.0, 1, 1.0))
    assert drawn.numpy().tolist() == [499]


def test_the_largest_random_number_draws_no_token_that_is_impossible():
    uniform = np.full((1, ATTEMPTS), np.nextafter(np.float32(1), np.float32(0)))
    for size in (50, 128, 300):
        for seed in range(20):
            logits = np.random.default_rng(seed).normal(size=(1, size)).astype("float32")
            logits[0, size // 2 :] = -1000
            drawn = sample_tokens(tf.constant(logits), uniform, as_sampling(1.0, 0, 1.0))
            assert 0 <= drawn[0] < size // 2


def test_rows_of_a_batch_are_drawn_each_on_its_own():
    rng = np.random.default_rng(9)
    logits, uniform = (
        rng.normal(size=(6, 30)).astype("float32"),
        rng.random((6, ATTEMPTS), "float32"),
    )
    settings = as_sampling(1.0, 5, 0.9)
    together = sample_tokens(tf.constant(logits), uniform, settings).numpy()
    alone = [sample_tokens(logits[i : i + 1], uniform[i : i + 1], settings)[0] for i in range(6)]
    assert together.tolist() == np.array(alone).tolist()


# ---- mistakes ------------------------------------------------------------------------------------

MISTAKES = [
    ({"temperature": 0}, "temperature must be a number above 0, not 0"),
    ({"temperature": -1.0}, "temperature must be"),
    ({"temperature": float("nan")}, "temperature must be a number above 0, not nan"),
    ({"temperature": float("inf")}, "temperature must be"),
    ({"top_k": -1}, "top_k must be a whole number"),
    ({"top_k": 2.5}, "top_k must be a whole number"),
    ({"top_p": 0}, "top_p must be a number above 0 and not above 1, not 0"),
    ({"top_p": 1.01}, "top_p must be"),
    ({"top_p": float("nan")}, "top_p must be"),
    ({"seed": -1}, "seed must be"),
    ({"length": CONTEXT + 1}, f"length must be a whole number from 2 to {CONTEXT}"),
    ({"length": 1}, "length must be"),
    ({"prompts": [[1] * CONTEXT]}, f"{CONTEXT} tokens and fills the length of {CONTEXT}"),
    ({"prompts": [[1, 2, 3]], "length": 3}, "3 tokens and fills the length of 3"),
    ({"prompts": [[1], []]}, f"begin with the end id, {END}"),
    ({"prompts": [[VOCABULARY]]}, f"knows 0 to {VOCABULARY - 1}"),
    ({"prompts": [[-1, 3]]}, f"knows 0 to {VOCABULARY - 1}"),
]


@pytest.mark.parametrize(("wrong", "sentence"), MISTAKES, ids=str)
def test_a_wrong_setting_is_one_sentence(generator, wrong, sentence):
    prompts = wrong.get("prompts", [[1]])
    settings = {name: value for name, value in wrong.items() if name != "prompts"}
    with pytest.raises(CourseError) as caught:
        generator(prompts, **settings)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(CourseError):
        generator.stream(prompts[-1], **settings)  # at once, not at the first token


def test_weights_that_are_not_numbers_are_one_sentence(generator, model):
    broken = random_model(0)
    weights = broken.get_weights()
    weights[-1][0] = np.nan
    broken.set_weights(weights)
    with pytest.raises(GenerationError, match="NaN or infinite"):
        Generator(broken, END)
    before = generator([[1]], LENGTH)
    with pytest.raises(GenerationError, match="NaN or infinite"):
        generator.update(broken)
    assert generator([[1]], LENGTH) == before


def test_sampling_ends_whatever_the_logits_are():
    logits = np.zeros((4, 300), "float32")
    logits[0], logits[1, 7], logits[2, 9], logits[3, 5] = np.nan, np.nan, np.inf, 100
    drawn = sample_tokens(logits, np.full((4, ATTEMPTS), 0.5, "float32"), as_sampling(1.0, 1, 1.0))
    assert drawn[3] == 5


def test_no_prompts_give_no_texts(generator):
    assert generator([]) == []


def test_a_large_top_k_means_all(generator):
    assert generator([[3]], LENGTH, top_k=10**12) == generator([[3]], LENGTH)


def test_mixed_precision_models_are_read(model):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = random_model(0)
    finally:
        keras.config.set_dtype_policy(policy)
    assert isinstance(mixed, keras_nlp.models.GPT2CausalLM)
    assert Generator(mixed, END)([[3]], 12) == Generator(model, END)([[3]], 12)


# ---- lesson 9 ------------------------------------------------------------------------------------

lesson = definitions(
    "09_generation",
    constants=["words", "table", "table_logits", "hidden"],
    **{"np": np, "keras": keras},
)


def test_cutting_by_hand_keeps_what_it_should():
    p = np.array([0.1, 0.4, 0.05, 0.3, 0.15])
    assert np.allclose(lesson.keep_top_k(p, 2), [0, 4 / 7, 0, 3 / 7, 0])
    assert np.allclose(lesson.keep_top_p(p, 0.69), [0, 4 / 7, 0, 3 / 7, 0])
    assert np.count_nonzero(lesson.keep_top_p(p, 0.71)) == 3
    assert np.allclose(lesson.keep_top_p(p, 1.0), p) and np.allclose(lesson.keep_top_k(p, 9), p)
    assert np.allclose(lesson.with_temperature(np.log(p), 0.5), p**2 / np.sum(p**2))


def test_a_beam_as_wide_as_there_are_texts_finds_the_likeliest():
    paths = [(0, *rest) for rest in product(range(5), repeat=3)]
    steps = [[lesson.table_logits[a, b] for a, b in pairwise(p)] for p in paths]
    best = max(range(len(paths)), key=lambda i: sum(steps[i]))
    score, ids = lesson.beam_search(0, 4, width=125)[0]
    assert tuple(ids) == paths[best] and score == pytest.approx(sum(steps[best]))


@pytest.mark.parametrize("seed", range(5))
def test_searches_by_hand_equal_the_library_on_random_tables(seed):
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.ones(5), size=5)
    toy = definitions("09_generation", **{"np": np, "keras": keras})
    toy.table, toy.table_logits, toy.hidden = table, np.log(table), rng.normal(size=(5, 2))
    samplers = keras_nlp.samplers
    for width in [1, 2, 4]:
        theirs = toy.library_search(samplers.BeamSampler(width), 8)
        score = sum(toy.table_logits[a, b] for a, b in pairwise(theirs))  # two texts may have equal
        assert toy.beam_search(0, 8, width)[0][0] == pytest.approx(score, abs=1e-5)
    for k, alpha in [(1, 0.5), (3, 0.2), (4, 0.7)]:
        theirs = toy.library_search(samplers.ContrastiveSampler(k=k, alpha=alpha), 8)
        assert toy.contrastive_search(0, 8, k, alpha) == theirs


@pytest.mark.parametrize("pieces", [[CONTEXT], [1] * CONTEXT, [5, 1, 20, 2, 20]])
def test_gpt2_by_hand_gives_the_same_logits_with_and_without_a_cache(model, pieces):
    lesson.weights = keras.tree.map_structure(np.asarray, read_weights(model))
    lesson.HEADS = model.backbone.num_heads
    ids = np.random.default_rng(3).integers(0, VOCABULARY, size=CONTEXT)
    cache, parts = None, []
    for part in np.split(ids, np.cumsum(pieces)[:-1]):
        logits, cache = lesson.gpt2(part.tolist(), cache)
        parts.append(logits)
    expected = logits_of(model, ids[None])[0]
    assert np.abs(np.concatenate(parts) - expected).max() < 1e-4


def test_diversity_is_the_share_of_different_runs():
    assert lesson.diversity(["a b c d e"]) == 1.0
    assert lesson.diversity(["a b c d", "a b c d", "b c d e", "a b"]) == pytest.approx(2 / 3)


WRONG_FLAGS = [
    ("temperature", ["0", "-1", "nan", "inf", "hot"]),
    ("top_k", ["-1", "2.5", "nan"]),
    ("top_p", ["0", "1.5", "nan"]),
    ("length", ["1", "8193"]),
]


@pytest.mark.parametrize(("name", "values"), WRONG_FLAGS, ids=str)
def test_a_flag_out_of_range_is_one_sentence(name, values, capsys):
    defaults = {"temperature": 1.0, "top_k": 0, "top_p": 0.8, "prompt": "", "length": 256}
    flag = "--" + name.replace("_", "-")
    for value in values:
        with pytest.raises(SystemExit) as exit_:
            read_command_line(defaults, [f"{flag}={value}"])
        said = capsys.readouterr().err
        assert exit_.value.code == 2 and f"{flag} must be" in said and said.count("\n") == 1
