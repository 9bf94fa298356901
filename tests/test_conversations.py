"""People ask in many words: those of the grammar, mistyped, and others that it does not have."""

import re
from random import Random

import pytest

from utils.data.conversations import (
    REFUSALS,
    UNKNOWN,
    conversations,
    short_conversations,
    turns_about,
)
from utils.data.dialogues import small_talk
from utils.data.typing_noise import (
    as_typed,
    with_loose_words,
    with_typo,
    without_capitals,
    without_punctuation,
)
from utils.evaluation.examination import (
    REFUSE,
    examination,
    is_right,
    rewordings,
    shares,
)
from utils.tales import LANGUAGES, corpus, tell
from utils.tales.grammar import capitalised
from utils.tales.questions import fill, slots
from utils.tales.wordings import UNANSWERED, grammar, in_grammar, wording


def all_topics(story):
    for question in story.questions:
        yield question, False
        for follow_up in question.follow_ups:
            yield follow_up, True


# ---- wordings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_topic_has_many_wordings_without_open_brackets(language):
    for story in corpus(language, "validation", 30):
        for question, follow_up in all_topics(story):
            rng = Random(story.text)
            asked = [
                wording(question.topic, story.memory, language, rng, follow_up) for _ in range(12)
            ]
            assert len(set(asked)) > 4, question.topic
            for text in asked:
                assert not re.search(r"[{}\[\]|]|  | [?,]| \.(?!\.)", text), text
                assert text[-1] in "?.？。" and text[0] == capitalised(text[0])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wording_is_one_of_the_grammar(language):
    rng = Random(1)
    for story in corpus(language, "validation", 6):
        for question in story.questions:
            text = wording(question.topic, story.memory, language, rng)
            assert in_grammar(text, question.topic, story.memory, language), text
            assert not in_grammar(text + " Xyz", question.topic, story.memory, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_follow_up_names_nothing_but_what_was_named(language):
    rng = Random(1)
    for story in corpus(language, "validation", 30):
        for question, follow_up in all_topics(story):
            if follow_up:
                text = wording(question.topic, story.memory, language, rng, True)
                assert story.memory["hero"] not in text


def test_no_option_is_empty_by_mistake():
    """A number alone would be read as a weight."""
    for language in LANGUAGES:
        for rule in grammar(language).rules.values():
            texts = rule.title.split("|") if "|" in rule.title else ["some text"]
            empty = sum(not option.pieces for option in rule.options)
            assert empty == texts.count(""), rule.title


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_rewording_of_the_examination_is_in_the_grammar(language, split):
    stories = list(corpus(language, "test", 80))
    for topic, pattern in rewordings(language, split):
        story = next(
            story
            for story in stories
            if slots(pattern) <= set(story.memory)
            and (topic in UNANSWERED or topic in {q.topic for q in story.questions})
        )
        text = capitalised(fill(pattern, story.memory))
        assert not in_grammar(text, topic, story.memory, language), text


# ---- typing --------------------------------------------------------------------------------------


def test_typing_noise_by_example():
    assert without_capitals("Where did Zoe live?") == "where did zoe live?"
    assert without_punctuation("Why couldn't she, the girl?") == "Why couldn't she the girl"
    assert without_punctuation("小雨住在哪里？") == "小雨住在哪里"


@pytest.mark.parametrize("text", ["Where did Zoe live?", "小雨住在哪里？", "What was the way?"])
def test_a_typo_is_one_slip_and_leaves_the_ends_alone(text):
    seen = set()
    for seed in range(200):
        typed = with_typo(text, Random(seed))
        assert abs(len(typed) - len(text)) <= 1 and typed[-1] == text[-1]
        seen.add(typed)
    assert len(seen) >= 3


@pytest.mark.parametrize("text", ["", "?", "No.", "a b c"])
def test_what_is_too_short_for_a_typo_stays(text):
    assert with_typo(text, Random(0)) == text


def test_most_messages_are_typed_with_noise_of_some_kind():
    typed = [as_typed("Where did Zoe live?", Random(seed)) for seed in range(500)]
    assert 0.1 < typed.count("Where did Zoe live?") / 500 < 0.3
    assert "where did zoe live" in typed


def test_small_words_are_left_out_or_put_in_and_what_counts_stays():
    seen = {with_loose_words("Tell me where Zoe lived.", Random(seed)) for seed in range(200)}
    assert "Tell where Zoe lived." in seen and any(len(text) > 24 for text in seen)
    for text in seen:
        assert text.startswith("Tell ") and text.endswith(" lived.") and " Zoe " in text
    for text in ("Hello!", "小雨住在哪里？"):
        assert {with_loose_words(text, Random(seed)) for seed in range(20)} == {text}


# ---- conversations -------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_conversations_have_questions_refusals_and_small_talk(language):
    told = conversations(language, "validation", 60)
    kinds = {kind for dialogue in told for kind in dialogue.kinds}
    topics = {kind for dialogue in small_talk(language) for kind in dialogue.kinds}
    assert {"who", "where", "what", "why", "order", "unanswered"} <= kinds
    assert kinds & topics
    for dialogue in told:
        for _, reply, kind in dialogue.replies():
            assert (reply in REFUSALS[language]) == (kind == "unanswered")
            assert kind != UNKNOWN, "with a tale on the page that is what the tale does not say"
    assert told == conversations(language, "validation", 60)


def test_nothing_is_asked_again_in_a_conversation():
    for story in corpus("en", "validation", 20):
        talks = short_conversations(story, small_talk(), Random(0))
        for _ in range(20):
            replies = [m.content for m in next(talks) if m.role == "assistant"]
            answers = [reply for reply in replies if reply not in REFUSALS["en"]]
            assert len(answers) == len(set(answers))


def test_plain_talk_has_no_noise_and_no_refusal():
    story = tell("en", 7)
    known = {p for question, _ in all_topics(story) for p in question.phrasings}
    turns = turns_about(story, small_talk(), Random(0), plain=True)
    for _ in range(50):
        assert {said for said, _, _ in next(turns)} <= known


# ---- the examination -----------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_examination_is_large_enough_and_fits_the_context(language):
    parts = examination(language)
    assert len(parts["other words"]) >= 300 and len(parts["no answer"]) >= 100
    test = {story.text for story in corpus(language, "test")}
    for part in parts.values():
        assert all(question.messages[0].content in test for question in part)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_examination_is_always_the_same(language):
    assert examination(language, 20) == examination(language, 20)


def test_a_refusal_is_right_only_where_the_tale_has_no_answer():
    parts = examination("en", tales=3)
    asked, unanswered = parts["plain words"][0], parts["no answer"][0]
    refusal = REFUSALS["en"][1]
    assert unanswered.answer == REFUSE
    assert is_right(refusal, unanswered, "en") and not is_right(refusal, asked, "en")
    assert is_right(asked.answer, asked, "en") and not is_right("A kite.", unanswered, "en")
    assert shares([refusal, asked.answer], [asked, asked], "en") == (0.5, 0.5)
