"""Lesson 11: every measure by hand equals its reference, also for odd texts; intervals cover."""

import re
import string
import unicodedata
from collections import Counter
from itertools import product
from types import SimpleNamespace

import keras_nlp
import numpy as np
import pytest
import sacrebleu
from lesson_code import definitions
from rouge_score.rouge_scorer import RougeScorer

from utils.evaluation import scores
from utils.tales import corpus

ODD = ["", " ", "a", "The", "pond", "the pond.", "the the the the", "a b c d e", "!?"]
ODD += ["Jack's x-ray", "Jack"]
ODD += ["小", "小猫", "小猫在家。", "在海上。", "在上海。", "“你好！”他说。", "a 小猫 b", "，。"]
LANGUAGES = ["en", "zh"]
NAMES = ["rouge1", "rouge2", "rougeL"]
# Few, so that n-grams of random texts agree.
WORDS = ["the", "cat", "sat", "on", "a", "mat", "."]


@pytest.fixture
def lesson():
    return definitions(
        "11_evaluation",
        constants=["PUNCTUATION", "HOW", "SPACE", "TRUTH"],
        **{"np": np, "re": re, "string": string, "Counter": Counter},
        rng=np.random.default_rng(11),
        keras_nlp=keras_nlp,
    )


def random_pairs(number=200, longest=14):
    """Pairs of texts from few words, so that n-grams repeat and often agree; some are empty."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(0, longest, size=(number, 2))
    return [tuple(" ".join(rng.choice(WORDS, size=n)) for n in pair) for pair in lengths]


# ---- perplexity ----------------------------------------------------------------------------------


def test_perplexity_of_equally_likely_tokens_is_their_number(lesson):
    assert lesson.perplexity(np.log([7.0, 7.0, 7.0])) == pytest.approx(7)
    assert lesson.perplexity(np.log([2.0, 8.0])) == pytest.approx(4)  # the geometric mean


def test_filler_does_not_count(lesson):
    losses = np.log([[2.0, 8.0, 100.0], [4.0, 1.0, 1.0]])
    loss_mask = np.array([[1, 1, 0], [1, 0, 0]])
    assert lesson.perplexity(losses, loss_mask) == pytest.approx(4)


def test_keras_nlp_agrees_in_one_batch_and_weights_texts_equally_otherwise(lesson):
    rng = np.random.default_rng(2)
    p = rng.uniform(0.05, 1, size=(6, 5))
    loss_mask = (np.arange(5) < rng.integers(1, 6, size=(6, 1))).astype(float)
    by_hand = lesson.perplexity(-np.log(p), loss_mask)
    assert lesson.library_perplexity(p, loss_mask, 6) == pytest.approx(by_hand, rel=1e-5)
    of_each = [
        np.log(lesson.perplexity(-np.log(row), w)) for row, w in zip(p, loss_mask, strict=True)
    ]
    one_by_one = lesson.library_perplexity(p, loss_mask, 1)
    assert one_by_one == pytest.approx(np.exp(np.mean(of_each)), rel=1e-5)
    assert abs(one_by_one - by_hand) > 1e-3


# ---- exact match and F1 --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("The", ""),
        ("a", ""),
        ("The Pond.", "pond"),
        ("  the   red\tkite\n", "red kite"),
        ("theatre and another panda", "theatre and another panda"),  # articles only as words
        ("a-b", "ab"),  # punctuation goes first, without a space in its place …
        ("the-end", "theend"),  # … so this "the" is no word any more
        ("Jack's", "jacks"),
        ("U.S.A.", "usa"),
        ("an apple, a day!", "apple day"),
        ("“quoted”", "“quoted”"),  # SQuAD takes away ASCII punctuation only
        ("3.14 $5", "314 5"),
        ("THE END", "end"),
    ],
)
def test_normalization_is_that_of_squad(lesson, text, expected):
    assert lesson.normalize(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("，。", []),
        ("在小镇边上。", [*"在小镇边上"]),
        ("“一只 iPhone 15！”", ["一", "只", "iphone", "15"]),
        ("a cat", ["a", "cat"]),  # no articles in Chinese: nothing is taken away
        ("红 色", ["红", "色"]),
    ],
)
def test_chinese_characters_are_tokens(lesson, text, expected):
    assert lesson.answer_tokens(text, "zh") == expected


def test_no_punctuation_of_the_chinese_tales_is_left(lesson):
    for tale in corpus("zh", "validation", 100):
        tokens = lesson.answer_tokens(tale.text, "zh")
        assert not [t for t in tokens if unicodedata.category(t[0])[0] in "PZ"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_f1_and_exact_match_agree_with_rouge_score(lesson, language):
    scorer = RougeScorer(
        ["rouge1", "rougeL"],
        tokenizer=SimpleNamespace(tokenize=lambda text: lesson.answer_tokens(text, language)),
    )
    for ours, theirs in [*product(ODD, ODD), *random_pairs()]:
        if not lesson.answer_tokens(theirs, language):
            continue  # rouge-score says 0 even if both are empty; see below
        score = scorer.score(theirs, ours)
        assert lesson.token_f1(ours, theirs, language) == pytest.approx(score["rouge1"].fmeasure)
        assert lesson.exact_match(ours, theirs, language) == (score["rougeL"].fmeasure == 1)


@pytest.mark.parametrize(
    ("candidate", "reference", "match", "f1"),
    [
        ("", "", 1, 1),
        ("the", "", 1, 1),  # nothing is left of either
        ("", "pond", 0, 0),
        ("pond", "the", 0, 0),
        ("the pond", "Pond!", 1, 1),
        ("kite red", "red kite", 0, 1),
        ("red red kite", "red kite", 0, 4 / 5),
        ("to the pond", "pond", 0, 2 / 3),
        ("lake", "pond", 0, 0),
    ],
)
def test_known_answers(lesson, candidate, reference, match, f1):
    assert lesson.exact_match(candidate, reference) == match
    assert lesson.token_f1(candidate, reference) == pytest.approx(f1)


# ---- BLEU ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "tokenizer"), [("en", "13a"), ("zh", "zh")])
def test_tokens_are_those_of_sacrebleu_on_the_tales(lesson, language, tokenizer):
    cut = sacrebleu.BLEU(tokenize=tokenizer).tokenizer
    hard = {"en": "Jack's well-known \"x-ray\", isn't it?", "zh": "他说：“你好，Tom！”他15岁。"}
    for text in [hard[language], *(tale.text for tale in corpus(language, "validation", 200))]:
        assert lesson.tokens(text) == cut(text).split()


def test_clipping(lesson):
    reference = ["the", "cat", "the", "mat"]
    assert lesson.clipped(["the"] * 5, reference, 1) == (2, 5)
    assert lesson.clipped(["the", "cat"], reference, 2) == (1, 1)
    assert lesson.clipped(["the"], reference, 2) == (0, 0)
    assert lesson.clipped([], reference, 1) == (0, 0)


def test_bleu_of_every_pair_is_that_of_sacrebleu(lesson):
    library = sacrebleu.BLEU(tokenize="none", force=True)
    found = []
    for ours, theirs in [*product(ODD, ODD), *random_pairs()]:
        pair = lesson.tokens(ours), lesson.tokens(theirs)
        found.append(lesson.bleu(lesson.bleu_counts(*pair)))
        expected = library.corpus_score([" ".join(pair[0])], [[" ".join(pair[1])]]).score
        assert found[-1] == pytest.approx(expected, abs=1e-9), (ours, theirs)
    assert {0, 100} <= {round(score) for score in found} and len(set(found)) > 50


def test_bleu_of_a_corpus_is_that_of_sacrebleu_and_no_mean(lesson):
    pairs = random_pairs(60)
    counts = [lesson.bleu_counts(ours.split(), theirs.split()) for ours, theirs in pairs]
    copies, references = zip(*pairs, strict=True)
    library = sacrebleu.BLEU(tokenize="none", force=True)
    expected = library.corpus_score(list(copies), [list(references)]).score
    assert lesson.bleu(np.sum(counts, axis=0)) == pytest.approx(expected, abs=1e-9)
    assert abs(np.mean([lesson.bleu(row) for row in counts]) - expected) > 1


@pytest.mark.parametrize("zeros", [1, 2, 3])
def test_smoothing_halves_for_each_order_without_a_match(lesson, zeros):
    matches = [6, 5, 4, 3][: 4 - zeros] + [0] * zeros
    smoothed = [6, 5, 4, 3][: 4 - zeros] + [0.5, 0.25, 0.125][:zeros]
    counts = np.array([*matches, 9, 8, 7, 6, 9, 9])
    expected = 100 * np.prod(np.divide(smoothed, [9, 8, 7, 6])) ** 0.25
    assert lesson.bleu(counts) == pytest.approx(expected)


def test_brevity_penalty(lesson):
    reference = list("abcdefghij")
    half = lesson.bleu(lesson.bleu_counts(reference[:5], reference))
    assert half == pytest.approx(100 * np.exp(1 - 2))
    assert lesson.bleu(lesson.bleu_counts(reference, reference[:5])) < 50  # only by precision
    assert lesson.bleu(lesson.bleu_counts(reference, reference)) == pytest.approx(100)


# ---- ROUGE ---------------------------------------------------------------------------------------


def test_rouge_is_that_of_rouge_score_with_its_own_tokens(lesson):
    scorer = RougeScorer(NAMES)
    english = [text for text in ODD if not re.search("[\u4e00-\u9fff]", text)]
    for ours, theirs in [*product(english, english), *random_pairs()]:
        score = scorer.score(theirs, ours)
        assert lesson.rouge(ours, theirs) == pytest.approx(np.array([score[n] for n in NAMES]))


def test_rouge_of_chinese_is_that_of_rouge_score_with_our_tokens(lesson):
    scorer = RougeScorer(NAMES, tokenizer=SimpleNamespace(tokenize=lesson.rouge_tokens))
    for ours, theirs in product(ODD, ODD):
        score = scorer.score(theirs, ours)
        assert lesson.rouge(ours, theirs) == pytest.approx(np.array([score[n] for n in NAMES]))
    assert lesson.rouge("在海上。", "在海上。").tolist() == [[1, 1, 1]] * 3
    assert not lesson.rouge("", "在海上。").any()


def longest_by_trying(a, b):
    """The length of the longest common subsequence, by trying every subsequence of `a`."""
    best = 0
    for kept in product([False, True], repeat=len(a)):
        part = [token for token, keep in zip(a, kept, strict=True) if keep]
        rest = iter(b)
        if all(token in rest for token in part):  # `in` moves on in `rest`, so order counts
            best = max(best, len(part))
    return best


def test_the_longest_common_subsequence_is_the_longest(lesson):
    rng = np.random.default_rng(3)
    for _ in range(60):
        a, b = (list(rng.choice(list("abc"), size=rng.integers(0, 8))) for _ in range(2))
        assert lesson.lcs_table(a, b)[-1, -1] == longest_by_trying(a, b)
        places = lesson.common(a, b)
        assert len(places) == longest_by_trying(a, b)
        assert all(a[i] == b[j] for i, j in places)
        assert all(i < k and j < n for (i, j), (k, n) in zip(places, places[1:], strict=False))


# ---- keras-nlp and Chinese -----------------------------------------------------------------------


def test_keras_nlp_gives_zero_to_chinese_that_is_right(lesson):
    text = "小猫在家。它在睡觉。"
    assert lesson.library_bleu([text], [text]) == 0
    assert lesson.library_rouge(keras_nlp.metrics.RougeL(), [text], [text]) == 0


def test_with_our_tokens_keras_nlp_agrees_on_chinese(lesson):
    import tensorflow as tf

    copies, references = (
        ["小猫在家。它在睡觉。", "他在海上。"],
        ["小狗在家。它在家睡觉。", "他在上海。"],
    )
    pairs = list(zip(copies, references, strict=True))
    counts = [lesson.bleu_counts(*map(lesson.tokens, pair)) for pair in pairs]
    spaced = lesson.spaced(copies), lesson.spaced(references)
    theirs = lesson.library_bleu(*spaced, tokenizer=tf.strings.split)
    assert theirs == pytest.approx(lesson.bleu(np.sum(counts, axis=0)), rel=1e-5) and theirs > 0


# ---- spoilt copies -------------------------------------------------------------------------------


def test_spoiling_does_what_it_says(lesson):
    right, other = list("abcdefghijklmnopqrstuvwxyz") * 20, ["?"]
    for share in [0.0, 0.3, 1.0]:
        dropped = lesson.spoil(right, "dropped", share, other)
        assert abs(1 - len(dropped) / len(right) - share) < 0.07
        rest = iter(right)
        assert all(token in rest for token in dropped)
        replaced = lesson.spoil(right, "replaced", share, other)
        assert len(replaced) == len(right) and set(replaced) <= {*right, "?"}
        assert abs(replaced.count("?") / len(right) - share) < 0.07
        swapped = lesson.spoil(right, "swapped", share, other)
        assert Counter(swapped) == Counter(right) and (swapped == right) == (share == 0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_course_counts_as_the_lesson_does(lesson, language):
    for pair in [*product(ODD, ODD), *random_pairs()]:
        assert scores.exact_match(*pair, language) == lesson.exact_match(*pair, language)
        assert scores.token_f1(*pair, language) == lesson.token_f1(*pair, language)


# ---- the bootstrap -------------------------------------------------------------------------------


def test_the_bootstrap_of_a_mean_has_the_spread_of_the_formula(lesson):
    values = np.random.default_rng(4).uniform(size=60) ** 3
    means = lesson.bootstrap(values, resamples=4000)
    assert means.shape == (4000,)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.std() == pytest.approx(values.std() / 60**0.5, rel=0.05)
    assert np.ptp(lesson.bootstrap(np.ones(5))) == 0  # a perfect result knows no doubt


def test_the_interval_is_the_middle_part(lesson):
    assert lesson.interval(np.arange(101), level=0.9) == pytest.approx([5, 95])
    assert lesson.interval(np.arange(1001)) == pytest.approx([25, 975])


def test_the_interval_holds_the_truth_as_often_as_it_promises(lesson):
    """The whole bootstrap, without the short cut by binomial draws that the lesson takes."""
    rng, hits = np.random.default_rng(5), 0
    for _ in range(400):
        low, high = lesson.interval(lesson.bootstrap(rng.random(100) < 0.8, resamples=400))
        hits += low <= 0.8 <= high
    assert 0.91 < hits / 400 < 0.98


def test_the_short_cut_by_binomial_draws_covers_alike(lesson):
    lesson.EXAMS = 1000
    ends = lesson.examined(100)
    assert ends.shape == (2, 1000)
    covered = np.mean((ends[0] <= lesson.TRUTH) & (ends[1] >= lesson.TRUTH))
    assert 0.91 < covered < 0.98


def test_bleu_drawn_again_is_as_wide_as_in_sacrebleu(lesson):
    pairs = [(ours, theirs) for ours, theirs in random_pairs(200) if ours and theirs]
    copies, references = zip(*pairs, strict=True)
    counts = np.array([lesson.bleu_counts(o.split(), t.split()) for o, t in pairs])
    chosen = lesson.rng.integers(len(counts), size=(1000, len(counts)))
    low, high = lesson.interval([lesson.bleu(counts[some].sum(axis=0)) for some in chosen])
    library = sacrebleu.BLEU(tokenize="none", force=True)
    said = str(library.corpus_score(list(copies), [list(references)], n_bootstrap=1000))
    half = float(re.search(r"± ([\d.]+)\)", said)[1])
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)
