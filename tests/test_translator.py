"""Lesson 19, translation: passages with a known meaning, translators that count, and a GPT-2."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest
from nltk.translate.api import AlignedSent
from nltk.translate.ibm1 import IBMModel1

from benchmarks import translation as benchmark
from utils.errors import CourseError
from utils.tales import chinese, english
from utils.tales.derivations import Follow, derivations
from utils.tasks.translation import (
    COMBINATIONS,
    KINDS,
    LEXICON,
    SPLITS,
    TranslationError,
    grammar,
    held_out,
    is_held_out,
    kind_of,
    meanings,
    pairs,
    read,
    right_facts,
    told,
)
from utils.tasks.translator import (
    SIZE,
    PairRows,
    Translator,
    TranslatorRecipe,
    bilingual_corpus,
    encoded,
    first_model,
    prompt,
    shared_tokenizer,
    train_translator,
    unpaired_texts,
)
from utils.tasks.word_for_word import (
    NOTHING,
    Model1,
    TranslationMemory,
    as_words,
    chinese_words,
    english_words,
    judge,
)

TRAIN, TEST = pairs("train", 300), pairs("test", 40)
PAIR = TRAIN[0]


@pytest.fixture(scope="module")
def tokenizer():
    """The vocabulary of both languages."""
    return shared_tokenizer()


# ---- passages ------------------------------------------------------------------------------------


def test_all_words_are_words_of_the_tales():
    for title, words in LEXICON.items():
        for en, zh in words if kind_of(title) != "gender" else ():
            kind_of_tree = en.removeprefix("at the top of a tall ").removesuffix(" tree")
            assert en in english.RULES or kind_of_tree in english.RULES, en
            assert zh in chinese.RULES or all(part in chinese.RULES for part in zh[4:]), zh


def test_no_chinese_word_has_two_meanings():
    facts = {}
    for title, words in LEXICON.items():
        for number, (en, zh) in enumerate(words):
            fact = kind_of(title), number if kind_of(title) == "gender" else en
            assert facts.setdefault(zh, fact) == fact, zh


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_told_is_read_again(language):
    for pair in [*TRAIN, *TEST]:
        text = pair.english if language == "en" else pair.chinese
        assert read(text, language) == pair.meaning, text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_wording_and_every_word_is_told(language):
    rules = grammar(language).rules
    texts = [pair.english if language == "en" else pair.chinese for pair in TRAIN]
    taken = {
        choice
        for text in texts
        for choice in next(derivations(grammar(language), Follow(text))).derivation
    }
    used = {title for title, _ in taken}
    options = {(title, i) for title in used for i in range(len(rules[title].options))}
    assert options == taken
    assert used >= {"who", "went", "end", *map(kind_of, LEXICON)} - {"gender", "look", "prize"}


def test_a_meaning_has_several_wordings_with_the_same_facts():
    texts = {told(PAIR.meaning, "zh", seed) for seed in range(20)}
    assert len(texts) > 5
    assert {read(text, "zh") for text in texts} == {PAIR.meaning}


def test_what_is_no_passage_or_contradicts_itself_has_no_meaning():
    hero, other = "小刚", "月月"
    assert hero in PAIR.chinese and read(PAIR.chinese.replace(hero, other), "zh") is None
    assert read(PAIR.chinese[:-1], "zh") is None
    assert read(PAIR.chinese + "好。", "zh") is None
    assert read("", "zh") is None
    assert read(PAIR.english, "zh") is None
    assert PAIR.meaning.gender == "he" and " he " in PAIR.english
    assert read(PAIR.english.replace(" he ", " she "), "en") is None


def test_one_wrong_word_is_one_wrong_fact():
    place = dict(LEXICON["place"])
    other = "the lake" if PAIR.meaning.place != "the lake" else "the mill"
    wrong = PAIR.chinese.replace(place[PAIR.meaning.place], place[other])
    assert read(wrong, "zh") == replace(PAIR.meaning, place=other)
    found = right_facts(wrong, PAIR.meaning)
    assert [kind for kind in KINDS if not found[kind]] == ["place"]


def test_facts_are_found_where_there_is_no_sentence():
    words = dict(LEXICON["pal"])[PAIR.meaning.pal] + "，" + dict(LEXICON["joy"])[PAIR.meaning.joy]
    found = right_facts(words, PAIR.meaning)
    assert {kind for kind, right in found.items() if right} == {"pal", "joy"}
    two = words + next(zh for en, zh in LEXICON["pal"] if en != PAIR.meaning.pal)
    assert not right_facts(two, PAIR.meaning)["pal"]
    owl = replace(PAIR.meaning, prize="baby owl")
    assert right_facts("小猫头鹰", owl)["prize"] and not right_facts("小猫", owl)["prize"]


def test_one_english_word_may_have_two_chinese_ones():
    kitten = replace(PAIR.meaning, look="white", prize="kitten")
    kite = replace(kitten, prize="kite")
    assert "雪白的小猫" in told(kitten, "zh") and "白色的风筝" in told(kite, "zh")
    assert "white kitten" in told(kitten, "en") and "white kite" in told(kite, "en")


# ---- splits --------------------------------------------------------------------------------------


def combinations(some):
    """The combinations of facts that meanings have."""
    return {
        (one, other, facts[one], facts[other])
        for facts in map(asdict, some)
        for one, other in COMBINATIONS
    }


def test_no_combination_of_the_test_is_in_a_training_text_of_any_kind():
    texts = unpaired_texts("train", 300)
    languages = ["en", "zh"] * 300
    unpaired = [read(text, language) for text, language in zip(texts, languages, strict=True)]
    learnt = combinations([p.meaning for p in [*TRAIN, *pairs("validation", 100)]] + unpaired)
    assert not learnt & combinations([pair.meaning for pair in TEST])
    assert all(all(held_out(pair.meaning)) for pair in TEST)
    assert not any(is_held_out(*values) for _, _, *values in learnt)


def test_every_word_of_the_test_is_learnt_in_other_combinations():
    def facts(some):
        return {item for pair in some for item in asdict(pair.meaning).items()}

    assert facts(TEST) <= facts(pairs("train", 200))


def test_smaller_sets_are_the_beginning_of_larger_ones_and_no_text_is_in_two_splits():
    assert pairs("train", 20) == TRAIN[:20]
    texts = Counter(pair.english for split in SPLITS for pair in pairs(split, 100))
    assert max(texts.values()) == 1
    english_ones, chinese_ones = (unpaired_texts("train", 100)[side::2] for side in (0, 1))
    assert not {read(t, "en") for t in english_ones} & {read(t, "zh") for t in chinese_ones}


def test_the_passages_are_the_same_on_every_machine():
    text = "".join(pair.english + pair.chinese for pair in TRAIN[:50])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "29dc2728b266d0c8"


def test_what_there_is_not_is_refused_in_a_sentence():
    with pytest.raises(TranslationError, match="not in 'fr'"):
        read("Bonjour", "fr")
    with pytest.raises(TranslationError, match="not 'dev'"):
        next(meanings("dev"))
    assert set(grammar("en").rules) >= set(LEXICON)


# ---- translators that count ----------------------------------------------------------------------

TOY = [("the kite", "风筝"), ("the red kite", "红色的 风筝"), ("the red hat", "红色的 帽子")]
TOY_WORDS = [(en.split(), zh.split()) for en, zh in TOY]


@pytest.mark.parametrize("rounds", [1, 3, 10])
def test_model_1_is_that_of_nltk(rounds):
    ours = Model1(TOY_WORDS, rounds).table
    sentences = [AlignedSent(zh, en) for en, zh in TOY_WORDS]
    theirs = IBMModel1(sentences, rounds).translation_table  # [word to explain][by this word]
    met = {(en, zh) for english, chinese in TOY_WORDS for en in english for zh in chinese}
    assert len(met) == 10  # of 12; what has never met has no count
    for en, zh in met:
        assert ours[en][zh] == pytest.approx(theirs[zh][en], abs=1e-9)
    assert ours[NOTHING]["风筝"] == pytest.approx(theirs["风筝"][None], abs=1e-9)


def test_model_1_finds_which_words_belong_together():
    model = Model1(as_words(TRAIN), rounds=8)
    places = {en.split()[-1]: zh for en, zh in LEXICON["place"]}
    assert {word: next(iter(model.table[word])) for word in places} == places
    sums = [sum(row.values()) for row in model.table.values()]
    np.testing.assert_allclose(sums, 1)
    alignment = model.align(["the", "kite", "xyz"], ["风筝", "外"])
    assert alignment.shape == (4, 2) and alignment[:, 0].argmax() == 2
    np.testing.assert_allclose(alignment.sum(0), [1, 0])


def test_counting_knows_words_but_no_sentences_and_a_memory_the_reverse():
    model, memory = Model1(as_words(TRAIN), rounds=8), TranslationMemory(TRAIN)
    asked = [pair.english for pair in TEST]
    by_words = judge([model.translate(text) for text in asked], TEST)
    by_memory = judge([memory(text) for text in asked], TEST)
    facts = len(KINDS) * len(TEST)
    assert by_words.readable == by_words.right == 0 and sum(by_words.facts.values()) / facts > 0.9
    assert by_memory.readable == len(TEST) and by_memory.right == 0
    assert sum(by_memory.facts.values()) / facts < 0.6
    assert by_memory.bleu > 2 * by_words.bleu
    assert [memory(pair.english) for pair in TRAIN[:9]] == [pair.chinese for pair in TRAIN[:9]]


def test_another_wording_is_right_though_its_bleu_is_not_100():
    other = [told(pair.meaning, "zh", number) for number, pair in enumerate(TEST)]
    judged = judge(other, TEST)
    assert judged.right == judged.readable == len(TEST) == judged.facts["joy"]
    assert judged.bleu < 90 and judge([pair.chinese for pair in TEST], TEST).bleu == 100


def test_texts_are_cut_into_words():
    assert english_words("Luckily, a cat's") == ["luckily", ",", "a", "cat's"]
    assert chinese_words("小猫头鹰去了河边。") == ["小猫头鹰", "去", "了", "河边", "。"]
    assert "".join(chinese_words(PAIR.chinese)) == PAIR.chinese


# ---- the GPT-2 -----------------------------------------------------------------------------------


def test_a_row_is_a_prompt_and_what_is_learnt(tokenizer):
    ids, weights = encoded(PAIR, tokenizer)
    learnt = [i for i, weight in zip(ids, weights, strict=True) if weight]
    assert tokenizer.decode(learnt[:-1]) == PAIR.chinese and learnt[-1] == tokenizer.end_id
    assert ids[: len(ids) - len(learnt)] == prompt(PAIR.english, tokenizer)
    rows = PairRows(TRAIN[:5], tokenizer)
    batch, weights = rows.batch(step=3, batch_size=2, seed=1)
    assert batch.shape == (2, SIZE.context + 1) and weights.shape == (2, SIZE.context)
    for row, weight in zip(batch, weights, strict=True):
        text = tokenizer.decode(row[1:][weight == 1][:-1])
        assert text in {pair.chinese for pair in TRAIN[:5]}
    np.testing.assert_array_equal(rows.batch(3, 2, 1)[0], batch)
    one_pass = np.concatenate([rows.batch(step, 1, 0)[0] for step in range(5)])
    assert len(np.unique(one_pass, axis=0)) == 5


def test_a_pair_that_is_too_long_is_refused(tokenizer):
    with pytest.raises(CourseError, match="the model reads 20"):
        PairRows(TRAIN[:2], tokenizer, context=20)


def test_it_learns_a_few_pairs_by_heart_and_translates_them(tokenizer, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path))
    few = TRAIN[:4]
    recipe = TranslatorRecipe(steps=60, batch_size=4, patience=20)
    run = train_translator(few, tokenizer, recipe)
    # The weights that are kept are the best on other pairs, so look at the last training loss.
    assert run.history[-1]["loss"] < 0.2 < run.history[0]["loss"]
    said = Translator(run)([few[0].english, few[1].english])
    assert all("。" in text for text in said)
    again = train_translator(few, tokenizer, recipe, quiet=True)
    assert again.history == run.history


def test_a_translator_may_start_from_a_language_model(tokenizer, monkeypatch, tmp_path):
    class Base:
        preset = None

    keras.utils.set_random_seed(1)
    model = first_model(tokenizer, None)
    monkeypatch.setattr("utils.tasks.translator.load_preset", lambda preset: model)
    other = first_model(tokenizer, Base())
    for one, same in zip(model.backbone.get_weights(), other.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


def test_the_language_model_reads_both_languages(tokenizer):
    corpus = bilingual_corpus(tokenizer, number=3)
    texts = tokenizer.decode(corpus.train).split("<|endoftext|>")[1:-1]
    for text, language in zip(texts, ["en", "zh"] * 3, strict=True):
        assert read(text, language) is not None
    assert corpus.digest != bilingual_corpus(tokenizer, number=4).digest


# ---- the measured runs ---------------------------------------------------------------------------


def test_the_fluent_wrong_translation_with_the_highest_bleu():
    place = dict(LEXICON["place"])
    said = [pair.chinese for pair in TEST[:3]]
    assert benchmark.nearly(said, TEST[:3]) is None
    here = TEST[1].meaning.place
    said[1] = said[1].replace(place[here], next(zh for en, zh in place.items() if en != here))
    said[2] = said[2][:-1]  # nearly the reference, but no passage
    found = benchmark.nearly(said, TEST[:3])
    assert found["translation"] == said[1] and 50 < found["bleu"] < 100


def test_the_file_has_every_run_with_its_setting():
    results = json.loads(benchmark.FILE.read_text(encoding="utf-8"))
    rates = {}
    for method in ("scratch", "pretrained"):
        trials = {rate: results["trials"][f"{method} | rate {rate}"] for rate in benchmark.RATES}
        rates[method] = min(trials, key=lambda rate: trials[rate]["loss"])
    settings = benchmark.counts() + benchmark.trainings(rates, benchmark.SEEDS)
    for setting in settings:
        run = results["runs"][setting.name]
        assert run["setting"] == asdict(setting)
        for test in benchmark.TESTS:
            found = run[test]
            assert found["texts"] == benchmark.TEXTS
            assert 0 <= found["right"] <= found["readable"] <= found["texts"]
    assert len(results["runs"]) == len(settings)


def test_what_counts_is_measured_again_as_the_file_says():
    setting = benchmark.counts()[1]
    results = json.loads(benchmark.FILE.read_text(encoding="utf-8"))
    found = {"setting": asdict(setting), **benchmark.counted(setting)}
    assert found == results["runs"][setting.name]
