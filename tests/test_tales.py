"""The tales as a course uses them: the same everywhere, exactly scored, parsed, asked about."""

import math
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from utils.tales import (
    SPLITS,
    NotATale,
    as_text,
    corpus,
    floor,
    parse,
    sentences,
    split_of,
    tell,
)
from utils.tales.corpus import describe, words
from utils.tales.derivations import Follow, derivations, log_probability
from utils.tales.story import grammar, memoryless_grammar

LANGUAGES = ("en", "zh")
CARD = Path(__file__).parents[1] / "datasets" / "tales.md"


@cache
def stories(language):
    return [tell(language, seed) for seed in range(10_000)]


@cache
def split(language, name):
    return corpus(language, name)


# --- exact --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_ten_thousand_stories_have_one_derivation_each_and_parsing_finds_it(language):
    for story in stories(language):
        found = [t.derivation for t in derivations(grammar(language), Follow(story.text))]
        assert found == [story.derivation], story.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_parse_gives_back_everything_about_a_story(language):
    story = stories(language)[7]
    assert parse(story.text, language) == story
    assert parse(story.text, language).questions == story.questions
    assert math.log(story.probability) == pytest.approx(story.log_prob, rel=1e-12)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_files_are_those_of_the_data_card(language):
    """The SHA-256 of every file, the floors and the counts."""
    assert describe(language) in CARD.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_splits_share_no_story_and_have_their_sizes(language):
    texts = {name: {story.text for story in split(language, name)} for name in SPLITS}
    assert {name: len(split(language, name)) for name in SPLITS} == SPLITS
    assert not texts["train"] & texts["validation"] | texts["train"] & texts["test"]
    assert not texts["validation"] & texts["test"]
    assert all(split_of(text) == name for name in SPLITS for text in texts[name])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_floor_is_known_to_half_a_percent(language):
    for name in ("validation", "test"):
        value, error = floor(split(language, name))
        assert 0 < error < 0.005 * value


def test_the_floor_is_the_ratio_of_nats_to_tokens():
    few = split("en", "test")[:50]
    tokens = [len(words(story.text)) for story in few]
    value, error = floor(few, tokens)
    assert value == pytest.approx(-sum(story.log_prob for story in few) / sum(tokens))
    assert floor(few + few, tokens + tokens)[0] == pytest.approx(value)
    assert floor(few * 4, tokens * 4)[1] == pytest.approx(error / 2, rel=0.02)
    with pytest.raises(ValueError, match="as many lengths"):
        floor(few, tokens[:-1])


# --- worth reading ------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_stories_have_eight_to_fifteen_sentences_on_one_line(language):
    assert {len(sentences(story.text)) for story in stories(language)} <= set(range(8, 16))
    assert not any("\n" in story.text for story in stories(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_rare_in_the_training_stories(language):
    told = [word for story in split(language, "train") for word in words(story.text)]
    counts = Counter(told)
    assert min(counts.values()) >= 40
    assert 600 <= len(counts) <= 2_000


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("an article before a vowel", r"\b[Aa] [aeiouAEIOU]"),
        ("a double space or a space before a stop", r"  | [,.!?]"),
        ("two stops", r"[,.!?][,.!?]"),
        ("a bracket that was not filled", r"[\[\]{}|=:]"),
        ("a word twice", r"\b(\w+) \1\b"),
        ("a sentence that begins small", r"(^|[.] |[.]\" )[a-z]"),
        ("a pronoun of the wrong kind", r"\b(given|gave|made|bought|brought|for) his a\b"),
    ],
)
def test_english_has_no(what, pattern):
    for story in stories("en"):
        assert not re.search(pattern, story.text), f"{what}: {story.text}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_quotes_come_in_pairs(language):
    opening, closing = {"en": '""', "zh": "“”"}[language]
    for story in stories(language):
        if language == "en":
            assert story.text.count(opening) % 2 == 0
        else:
            assert re.fullmatch(r"([^“”]|“[^“”]+”)*", story.text), story.text
            assert story.text.count(opening) == story.text.count(closing)


def test_chinese_is_written_with_chinese_characters_and_punctuation():
    for story in stories("zh"):
        assert re.fullmatch(r"[\u4e00-\u9fff，。、：！？“”]+", story.text)
        assert not re.search(r"[，。、：][，。、：！？]|的的|了了", story.text), story.text


def test_he_and_she_agree_with_the_child():
    for story in stories("en"):
        wrong = {"girl": r"\b(boy|him)\b", "boy": r"\bgirl\b"}[story.memory["child"]]
        assert not re.search(wrong, story.text)
    for story in stories("zh"):
        assert {"小女孩": "小男孩", "小男孩": "小女孩"}[story.memory["child"]] not in story.text


# --- grammatical and consistent, or not ---------------------------------------------------------


def mend(story, old, new, times=-1):
    assert old in story.text
    return story.text.replace(old, new, times)


def kite_story():
    return next(
        s for s in stories("en") if s.memory["prize"] == "kite" and s.text.count("kite") > 3
    )


def test_a_second_toy_is_inconsistent():
    story = kite_story()
    last = story.text.rindex("kite")
    with pytest.raises(
        NotATale, match=r"sentence \d+: 'ball' does not fit .* expected 'kite' as in"
    ) as caught:
        parse(story.text[:last] + "ball" + story.text[last + 4 :])
    assert (caught.value.kind, caught.value.position) == ("inconsistent", last)


def test_the_wrong_remedy_is_inconsistent():
    """A duck swims. It can't help with what is high up in a tree."""
    story = next(s for s in stories("en") if s.memory["helper"] == "squirrel")
    with pytest.raises(NotATale) as caught:
        parse(story.text.replace("squirrel", "duck"))
    assert caught.value.kind == "inconsistent"


def test_a_pronoun_that_does_not_resolve_is_inconsistent():
    story = next(s for s in stories("en") if s.memory["child"] == "girl" and " she " in s.text)
    at = story.text.rindex(" she ") + 1
    with pytest.raises(NotATale, match="'he'") as caught:
        parse(story.text[:at] + "he" + story.text[at + 3 :])
    assert (caught.value.kind, caught.value.position) == ("inconsistent", at)


def test_chinese_contradictions_are_inconsistent_too():
    story = next(s for s in stories("zh") if s.memory["prize"] == "风筝")
    last = story.text.rindex("风筝")
    with pytest.raises(NotATale) as caught:
        parse(story.text[:last] + "皮球" + story.text[last + 2 :], "zh")
    assert (caught.value.kind, caught.value.position) == ("inconsistent", last)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "breaks off"),
        ("Hello, world.", "'Hello'"),
        ("\x00\ufffd🙂", "expected"),
        ("很久以前", "expected"),
    ],
)
def test_other_texts_are_ungrammatical(text, reason):
    with pytest.raises(NotATale, match=re.escape(reason)) as caught:
        parse(text)
    assert (caught.value.kind, caught.value.sentence) == ("ungrammatical", 1)


def test_a_misspelt_word_is_found_where_it_is():
    story = tell("en", 5)
    at = story.text.index(" and ") + 1
    with pytest.raises(NotATale, match="'adn' is not how a tale goes on; expected 'and'") as caught:
        parse(mend(story, " and ", " adn ", 1))
    assert (caught.value.kind, caught.value.position) == ("ungrammatical", at)


@pytest.mark.parametrize("language", LANGUAGES)
def test_cut_off_doubled_and_shuffled_stories_are_refused_without_searching_long(language):
    story = tell(language, 11)
    parts = sentences(story.text)
    space = " " if language == "en" else ""
    broken = [story.text[:end] for end in range(0, len(story.text), 7)]
    broken += [story.text * 2, story.text * 500, story.text + "\n", " " + story.text]
    broken += [space.join(parts[:i] + parts[i + 1 :]) for i in range(len(parts))]
    broken += [space.join(parts[:i] + [parts[i]] + parts[i:]) for i in range(len(parts))]
    for text in broken:
        follow = Follow(text)
        assert not list(derivations(grammar(language), follow))
        assert follow.patience > 19_000
        without_memory = Follow(text)
        list(derivations(memoryless_grammar(language), without_memory))
        assert without_memory.patience > 0
        with pytest.raises(NotATale):
            parse(text, language)


def test_unknown_languages_splits_and_seeds_are_named():
    for wrong in (
        lambda: tell("fr"),
        lambda: parse("", "fr"),
        lambda: corpus("fr"),
        lambda: corpus(split="all"),
    ):
        with pytest.raises(ValueError, match="fr|all"):
            wrong()
    with pytest.raises(ValueError, match="-1"):
        tell(seed=-1)


# --- questions ----------------------------------------------------------------------------------


def all_questions(questions):
    for question in questions:
        yield question
        yield from all_questions(question.follow_ups)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_story_has_questions_of_every_kind(language):
    for story in stories(language)[:300]:
        questions = list(all_questions(story.questions))
        assert {question.kind for question in questions} == {"who", "where", "what", "why", "order"}
        assert all(len(set(question.phrasings)) >= 2 for question in questions)
        assert not any("{" in str(question) for question in questions)
        asked = [phrasing for question in story.questions for phrasing in question.phrasings]
        assert len(set(asked)) == len(asked)


def test_answers_are_what_the_story_says():
    story = next(s for s in stories("en") if s.memory["plot"] == "treasure" and "other" in s.memory)
    answers = {q.question: q.answer for q in story.questions}
    hero, helper = story.memory["hero"], story.memory["helper"]
    assert answers["Who is the story about?"] == hero
    assert answers[f"Where was the {story.memory['prize']}?"] == story.memory["where"]
    order = f"Who did {hero} meet first, the {story.memory['other']} or the {helper}?"
    assert answers[order] == f"the {story.memory['other']}"
    assert story.text.index(story.memory["other"]) < story.text.index(helper)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_the_answers_are_in_the_story(language):
    """What, who and where can be read off the story; follow-ups come with a pronoun."""
    for story in stories(language)[:500]:
        for question in all_questions(story.questions):
            if question.kind in ("who", "where"):
                assert set(words(question.answer)) <= set(words(story.text)) | {
                    "the",
                    "at",
                    "on",
                    "in",
                }


# --- the same everywhere ------------------------------------------------------------------------


def run(*options):
    command = [sys.executable, "-m", "utils.tales", *options]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def test_the_command_prints_the_stories_that_tell_tells():
    result = run("--language", "zh", "--stories", "2", "--seed", "3", "--questions")
    assert tell("zh", 3).text in result.stdout and tell("zh", 4).text in result.stdout
    assert tell("zh", 4).questions[0].question in result.stdout
    assert result.returncode == 0


def test_the_command_writes_the_three_splits(tmp_path):
    result = run("--stories", "20", "--write", str(tmp_path / "new"))
    assert result.returncode == 0
    for name in SPLITS:
        written = (tmp_path / "new" / f"tales-en-{name}.txt").read_bytes()
        assert written == as_text(corpus("en", name, 20)).encode()


@pytest.mark.parametrize(
    "options",
    [["--language", "fr"], ["--stories", "0"], ["--seed", "-1"], ["--seed", "x"], ["--wrong"]],
)
def test_wrong_options_get_one_sentence_and_code_two(options):
    result = run(*options)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr


def test_a_folder_that_cannot_be_written_gets_one_sentence(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = run("--stories", "1", "--write", str(tmp_path / "file"))
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "cannot write" in result.stderr


def test_log_probabilities_do_not_depend_on_how_a_story_was_found():
    story = tell("en", 99)
    assert (
        parse(story.text).log_prob
        == log_probability(grammar("en"), story.derivation)
        == story.log_prob
    )
