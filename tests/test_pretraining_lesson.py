"""Lesson 8: by hand and by library, the same; and its pictures show what they say."""

import ast
from collections import Counter
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from lesson_code import CODES, definitions

from utils.data.batches import Windows
from utils.data.bpe import Tokenizer, split_words
from utils.data.keras_tokenizers import folder
from utils.tales import NotATale, corpus, parse, tell
from utils.tales.surprisal import surprisals
from utils.training.optimizers import warmup_cosine
from utils.training.recipes import Recipe

lesson = definitions(
    "08_pretraining",
    constants=["x", "y"],
    **{"np": np, "keras": keras, "split_words": split_words, "parse": parse, "NotATale": NotATale},
)
TALES = corpus("en", "validation", 60)
rng = np.random.default_rng(8)


def test_its_settings_are_those_of_the_recipe():
    tree = ast.parse((CODES / "08_pretraining.py").read_text(encoding="utf-8"))
    call = next(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "settings"
    )
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert given.pop("corpus") == "tales"
    assert Recipe(**given) == Recipe()


# ---- windows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [1, 4, 7])
@pytest.mark.parametrize("length", [8, 9, 12, 29])
def test_cutting_by_hand_gives_the_same_windows(length, context):
    ids = rng.integers(50, size=length)
    rows, loss_mask = lesson.cut(ids, context, end_id=50)
    theirs = Windows(ids, context, 50).in_order()
    assert np.array_equal(rows, theirs[0]) and np.array_equal(loss_mask, theirs[1])
    assert np.array_equal(rows[:, 1:][loss_mask > 0], ids[1:])  # each id is a target once


# ---- optimizers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_adamw_by_hand_takes_the_path_of_keras(rate, decay):
    ours = lesson.adamw(rate, 60, decay)
    theirs = lesson.keras_path(keras.optimizers.AdamW(rate, weight_decay=decay), 60)
    assert ours.shape == theirs.shape == (61, 2)
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize("beta", [0.0, 0.8])
def test_momentum_by_hand_takes_the_path_of_keras(beta):
    ours = lesson.momentum_descent(0.05, 60, beta)
    theirs = lesson.keras_path(keras.optimizers.SGD(0.05, momentum=beta), 60)
    assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.parametrize("steps,warmup", [(40, 0), (40, 1), (100, 10), (7, 3)])
def test_the_learning_rate_by_hand_is_the_schedule(steps, warmup):
    schedule = warmup_cosine(0.02, steps, warmup)
    for step in range(steps + 1):
        assert lesson.rate_at(step, 0.02, steps, warmup) == pytest.approx(
            float(schedule(step)), abs=1e-8
        )


@pytest.mark.parametrize("limit", [0.5, 1000.0])
def test_clipping_by_hand_is_that_of_keras(limit):
    gradients = [rng.normal(size=shape).astype("float32") for shape in [(3, 4), (5,), (2, 2, 2)]]
    variables = [keras.Variable(np.zeros_like(g)) for g in gradients]
    keras.optimizers.SGD(1.0, global_clipnorm=limit).apply(gradients, variables)
    for ours, theirs in zip(lesson.clip(gradients, limit), variables, strict=True):
        assert np.abs(ours + theirs.numpy()).max() < 1e-6


def test_the_whole_loop_fits_on_one_screen():
    tree = ast.parse((CODES / "08_pretraining.py").read_text(encoding="utf-8"))
    loop = next(node for node in tree.body if getattr(node, "name", "") == "training_loop")
    assert loop.end_lineno - loop.lineno < 30
    assert "tf.GradientTape" in ast.unparse(loop)


# ---- the loss and what it is compared with -------------------------------------------------------


def test_the_losses_of_counting_are_those_of_whole_tables():
    size, smoothing = 7, 0.01
    train, validation = rng.integers(size, size=300), rng.integers(size, size=90)
    given = SimpleNamespace(vocabulary_size=size, train=train, validation=validation)
    losses = lesson.simple_losses(given)
    table = np.full((size, size), smoothing)
    np.add.at(table, (train[:-1], train[1:]), 1)
    single = table.sum(axis=0) - smoothing * size + smoothing
    asked = validation[1:]
    assert losses["guessing"] == pytest.approx(np.log(7))
    assert losses["frequencies"] == pytest.approx(-np.log(single[asked] / single.sum()).mean())
    pairs = -np.log((table / table.sum(axis=1, keepdims=True))[validation[:-1], asked]).mean()
    assert losses["pairs"] == pytest.approx(pairs)


def test_a_pair_that_never_occurred_costs_much_but_not_everything():
    given = SimpleNamespace(
        vocabulary_size=4, train=np.array([0, 1, 0, 1, 0]), validation=np.array([1, 3, 2])
    )
    assert 1 < lesson.simple_losses(given)["pairs"] < 10


def test_the_words_of_a_tale_cost_what_its_tokens_cost():
    lesson.corpus = SimpleNamespace(tokenizer=Tokenizer.load(folder("en")))
    for tale in TALES[:10]:
        tokens = len(lesson.corpus.tokenizer.encode(tale.text)) + 1  # and the end
        losses = rng.random(256)
        by_word = lesson.word_losses(tale.text, losses)
        assert len(by_word) == len(split_words(tale.text)) + 1
        assert by_word.sum() == pytest.approx(losses[:tokens].sum())
        assert by_word[-1] == losses[tokens - 1]


def test_a_text_is_judged_as_the_parser_does():
    lesson.corpus = SimpleNamespace(language="en")
    assert lesson.judge(TALES[0].text) is None
    assert lesson.judge("Once upon a time nothing happened.").sentence == 1


# ---- exact surprisal -----------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_words_of_a_tale_add_up_to_its_probability(language):
    for tale in corpus(language, "validation", 100):
        nats = surprisals(tale.text, language, split_words)
        assert len(nats) == len(split_words(tale.text)) + 1
        assert min(nats) > -1e-9
        assert sum(nats) == pytest.approx(-tale.log_prob)


def test_a_surprisal_depends_on_nothing_that_comes_later():
    begun = {}
    shared = 0
    for tale in TALES:
        words = split_words(tale.text)
        for k, nats in enumerate(surprisals(tale.text, "en", split_words)[:-1]):
            beginning = tuple(words[: k + 1])
            shared += beginning in begun
            assert begun.setdefault(beginning, nats) == pytest.approx(nats)
    assert shared > 100


def test_a_beginning_is_as_frequent_as_its_surprisal_says():
    told = [split_words(tell("en", seed).text) for seed in range(4000)]
    counted = Counter(tuple(words[:k]) for words in told for k in range(1, 13))
    for words in told[:20]:
        nats = np.cumsum(surprisals("".join(words), "en", split_words))
        for k in range(1, 13):
            expected = len(told) * np.exp(-nats[k - 1])
            assert abs(counted[tuple(words[:k])] - expected) < 5 * np.sqrt(expected) + 2


def test_what_is_no_tale_has_no_surprisal():
    with pytest.raises(ValueError, match="no tale"):
        surprisals(TALES[0].text[:-1], "en", split_words)
