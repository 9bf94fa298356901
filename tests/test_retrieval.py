"""The search of lesson 20: words, passages, ranking, the sentence encoder, the questions."""

import json
import math
import re
from pydoc_data.topics import topics

import bm25s
import numpy as np
import pytest

from utils.data.downloads import fetched, shipped
from utils.documents.passages import passages, sentences
from utils.documents.ranking import bm25, fuse, rarity
from utils.documents.words import STOP_WORDS, keywords, words

TEXTS = [
    "The warranty of the kettle lasts two years.",
    "The kettle is made of steel. Clean the kettle with vinegar, never with a steel brush.",
    "You may return it within a month.",
]

# ---- words ---------------------------------------------------------------------------------------


def test_words_are_compared_without_capitals_and_punctuation():
    assert words("Open a FILE: open()! don't, __init__") == (
        ["open", "a", "file", "open", "don", "t", "init"]
    )


def test_chinese_is_cut_into_pairs_of_characters():
    assert words("打开文件 open 书") == ["打开", "开文", "文件", "open", "书"]


def test_keywords_say_what_a_question_is_about():
    assert keywords("How do I leave a loop, a loop?") == ["leave", "loop"]
    assert keywords("What is it?") == ["what", "is", "it"]
    assert all(words(word) == [word] for word in STOP_WORDS)


# ---- passages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "overlap"), [(5, 0), (8, 0), (8, 4), (50, 10), (1, 0)])
def test_passages_have_every_word_in_its_order_and_are_short_enough(size, overlap):
    text = " ".join(TEXTS) + "\n\n" + "word " * 23 + "\n\n这是第一句。这是第二句。"
    found = passages(text, size, overlap)
    assert all(0 < len(words(text[start:stop])) <= size for start, stop in found)
    assert [start for start, _ in found] == sorted({start for start, _ in found})
    covered = set().union(*(range(start, stop) for start, stop in found))
    assert all(at in covered for at, character in enumerate(text) if character.isalnum())
    if not overlap:
        assert sum(stop - start for start, stop in found) == len(covered)


def test_an_overlap_repeats_whole_sentences():
    text = "One is here. Two is here. Three is here. Four is here."
    found = [text[start:stop] for start, stop in passages(text, size=6, overlap=3)]
    assert found == [
        "One is here. Two is here.",
        "Two is here. Three is here.",
        "Three is here. Four is here.",
    ]


def test_a_text_without_words_has_no_passage():
    assert passages(" \n\n ") == [] and sentences("") == []


# ---- ranking -------------------------------------------------------------------------------------


def test_bm25_is_that_of_the_library_divided_by_the_best_possible():
    asked, texts = words("Does vinegar clean the kettle of steel?"), [words(t) for t in TEXTS]
    library = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    library.index(texts, show_progress=False)
    rarities = {w: rarity(len(texts), sum(w in text for text in texts)) for w in asked}
    average = sum(map(len, texts)) / len(texts)
    ours = np.array([bm25(rarities, text, average) for text in texts])
    assert np.allclose(ours * sum(rarities.values()), library.get_scores(asked), atol=1e-5)
    assert ours.argmax() == 1 and np.all((ours >= 0) & (ours < 1))


def test_a_rare_word_counts_more_than_a_common_one():
    assert rarity(100, 1) > rarity(100, 50) > rarity(100, 100) > 0


def test_a_question_without_words_fits_nothing():
    assert bm25({}, ["a"], 1.0) == 0


def test_fusion_prefers_what_both_rankings_have_in_front():
    assert fuse("abc", "bca")[0] == "b"
    assert fuse("ab", "c") == ["a", "c", "b"]
    assert fuse() == []


# ---- the sentence encoder ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder():
    if not fetched("minilm"):
        pytest.skip("the sentence encoder is not here: python -m utils.data.downloads minilm")
    from utils.documents.encoder import SentenceEncoder

    return SentenceEncoder()


def test_texts_of_like_meaning_are_near(encoder):
    asked, near, far = encoder(
        ["How do I leave a loop early?", "break ends the nearest loop.", "A beaver built a dam."]
    )
    assert asked @ near > 0.4 > 0.2 > asked @ far
    assert math.isclose(np.linalg.norm(near), 1, abs_tol=1e-5)


def test_a_vector_does_not_depend_on_the_other_texts(encoder):
    texts = ["short", "a much longer text " * 30, "naïve café, 中文"]
    together = encoder(texts)
    alone = np.concatenate([encoder([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-5


def test_a_text_longer_than_the_encoder_reads_is_cut(encoder):
    words_of = "one two three four five six seven eight nine ten " * 60
    assert np.allclose(encoder([words_of]), encoder([words_of + "and much more"]), atol=1e-5)


# ---- the questions about Python ------------------------------------------------------------------


def flat(text):
    return " ".join(text.split())


def test_the_evidence_stands_where_the_file_says():
    asked = json.loads(shipped("python_questions.json").read_text(encoding="utf-8"))
    known = [one for one in asked["answerable"] if one["topic"] in topics]
    found = [one["evidence"] in flat(topics[one["topic"]]) for one in known]
    assert sum(found) >= 100
    assert len(asked["unanswerable"]) >= 60


def test_the_questions_do_not_repeat_their_evidence():
    asked = json.loads(shipped("python_questions.json").read_text(encoding="utf-8"))
    common = [
        len(set(words(one["question"])) & set(words(one["evidence"])))
        / len(set(words(one["question"])))
        for one in asked["answerable"]
    ]
    assert np.mean(common) < 0.2
    questions = [one["question"] for one in asked["answerable"]] + asked["unanswerable"]
    assert len(set(questions)) == len(questions)
    assert all(re.fullmatch(r"[A-Z].*\?", question) for question in questions)
