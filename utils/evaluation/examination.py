"""The examination of a chat model: questions about tales that no training has seen.

Each part asks for something else: the plain wording of a question, wordings that the grammar of the
training does not have, careless typing, what no tale says, and small talk with a tale on the page.
Small talk that asks for general knowledge is to be refused, too.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from random import Random
from typing import NamedTuple

from utils.data.conversations import REFUSALS, UNKNOWN, tales_with_room
from utils.data.dialogues import (
    Dialogue,
    Message,
    as_sentence,
    small_talk,
)
from utils.data.typing_noise import with_typo, without_capitals, without_punctuation
from utils.errors import CourseError
from utils.evaluation.scores import exact_match
from utils.files import read_text
from utils.paths import DATASETS
from utils.tales import Story
from utils.tales.grammar import capitalised
from utils.tales.questions import fill, slots
from utils.tales.wordings import UNANSWERED

TALES = 200  # each gives some plain questions
PLAIN_PER_TALE = 3
TALES_PER_REWORDING = 2
ROOM = 56  # tokens for a question, however it is typed, and the reply
REFUSE = ""  # the right answer where the tale has none


class Question(NamedTuple):
    """A question with the messages before it, its right reply or `REFUSE`, and what it is about."""

    messages: tuple[Message, ...]
    answer: str
    kind: str


def rewordings(language: str, split: str = "test") -> list[tuple[str, str]]:
    """Questions in other words than those of the training, written by hand: (topic, pattern).

    Args:
        language: "en" or "zh".
        split: "test", or "validation" for those that an author of the grammar may look at.
    """
    path = DATASETS / "dialogues" / f"rewordings-{language}-{split}.txt"
    lines = read_text(path, CourseError).splitlines()
    return [(topic, pattern) for topic, _, pattern in (line.partition(": ") for line in lines)]


def examination(language: str = "en", tales: int = TALES) -> dict[str, list[Question]]:
    """The parts of the examination by name, always the same questions.

    Args:
        language: "en" or "zh".
        tales: the tales of the test split that the plain questions are about.
    """
    rng = Random(0)
    stories = tales_with_room(language, "test", room=ROOM)[: 2 * tales]
    plain = [one for story in stories[:tales] for one in _plain(story, rng)]
    reworded = list(_reworded(language, stories, rng))
    typed = {
        "lower case, no punctuation": lambda text: without_punctuation(without_capitals(text)),
        "one typo": lambda text: with_typo(text, rng),
    }
    return {
        "plain words": plain,
        **{name: [_typed(one, noise) for one in plain] for name, noise in typed.items()},
        "other words": [one for one in reworded if one.answer != REFUSE],
        "no answer": [one for one in reworded if one.answer == REFUSE],
        "small talk": list(_small_talk(small_talk(language, "validation"), stories)),
    }


def is_right(reply: str, question: Question, language: str) -> bool:
    """Whether a reply is the right one; where the tale has no answer, a refusal is."""
    if question.answer == REFUSE:
        return is_refusal(reply, language)
    return exact_match(reply, question.answer, language) == 1


def is_refusal(reply: str, language: str) -> bool:
    """Whether a reply says that the tale has no answer."""
    return reply in REFUSALS[language]


def shares(
    replies: Sequence[str], questions: Sequence[Question], language: str
) -> tuple[float, float]:
    """The share of replies that are right, and the share of refusals."""
    right = [is_right(*pair, language) for pair in zip(replies, questions, strict=True)]
    refused = [is_refusal(reply, language) for reply in replies]
    return sum(right) / len(right), sum(refused) / len(refused)


def _asked(story: Story, text: str, answer: str, kind: str) -> Question:
    return Question((Message("system", story.text), Message("user", text)), answer, kind)


def _plain(story: Story, rng: Random) -> Iterator[Question]:
    for question in rng.sample(story.questions, PLAIN_PER_TALE):
        answer = as_sentence(question.answer, story.language)
        yield _asked(story, question.question, answer, question.topic)


def _typed(question: Question, noise: Callable[[str], str]) -> Question:
    *before, last = question.messages
    return question._replace(messages=(*before, Message("user", noise(last.content))))


def _reworded(language: str, stories: list[Story], rng: Random) -> Iterator[Question]:
    """Each pattern for the first tales, in some order, that have all it speaks of."""
    for topic, pattern in rewordings(language):
        fitting = (
            (story, answer)
            for story in rng.sample(stories, len(stories))
            if slots(pattern) <= set(story.memory)
            if (answer := _answer(story, topic)) is not None
        )
        for story, answer in islice(fitting, TALES_PER_REWORDING):
            text = capitalised(fill(pattern, story.memory))
            yield _asked(story, text, answer, topic)


def _answer(story: Story, topic: str) -> str | None:
    if topic in UNANSWERED:
        return REFUSE
    answers = [one.answer for one in story.questions if one.topic == topic]
    return as_sentence(answers[0], story.language) if answers else None


def _small_talk(held_out: list[Dialogue], stories: list[Story]) -> Iterator[Question]:
    for dialogue, story in zip(held_out, cycle(stories), strict=False):
        said, reply = dialogue.messages[:2]
        answer = REFUSE if UNKNOWN in dialogue.kinds else reply.content
        yield _asked(story, said.content, answer, dialogue.kinds[0])
