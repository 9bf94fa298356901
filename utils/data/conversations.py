"""Conversations with a tale on the page, as people have them.

They ask in all the words of `utils.tales.wordings` and mistype, they ask what the tale does not
say, and in between they talk about other things.
"""

from collections.abc import Iterator, Sequence
from random import Random

from utils.data.bpe import Tokenizer
from utils.data.dialogues import (
    FOLLOW_UP_PROBABILITY,
    HERO_FIRST_PROBABILITY,
    LONGEST_DIALOGUE,
    Dialogue,
    Message,
    as_sentence,
    given_away,
    num_tokens,
    small_talk,
)
from utils.data.typing_noise import as_typed
from utils.paths import DATASETS
from utils.tales import Question, Story, corpus
from utils.tales.wordings import UNANSWERED, wording

# What the assistant says where the tale has no answer. With a tale on the page it is also the reply
# to small talk of the kind `UNKNOWN`, such as the question for the capital of France.
REFUSALS = {
    "en": ("The tale does not say.", "The tale does not tell us that.", "That is not in the tale."),
    "zh": ("故事里没有说。", "故事没有讲这个。", "这个故事里没有提到。"),
}
UNKNOWN = "unknown"
SMALL_TALK_PROBABILITY = 0.21
UNANSWERED_PROBABILITY = 0.30
PLAIN_PROBABILITY = 0.10  # a question in plain words, among all the other words
# A conversation goes on to another topic with this probability.
GO_ON_PROBABILITY = 0.35
# What is hard to find in a tale is asked more often; any other topic has the weight 1.
WEIGHTS = {"home": 2, "lost": 6, "look": 6, "found": 12, "spot": 2, "helper": 2, "scene": 2}
ROOM = 32  # tokens that a tale leaves at least, for a question and its reply

Turn = tuple[str, str, str]  # what the user says, the reply, its kind


def tales_with_room(
    language: str, split: str, number: int | None = None, room: int = ROOM
) -> list[Story]:
    """The tales of a split after which the context has room for a conversation.

    Args:
        language: "en" or "zh".
        split: "train", "validation" or "test".
        number: the tales that are looked at; None for all.
        room: tokens that must be left.
    """
    tokenizer = Tokenizer.load(DATASETS / f"tokenizer-{language}")
    longest = LONGEST_DIALOGUE - room
    stories = corpus(language, split, number)
    return [story for story in stories if len(tokenizer.encode(story.text)) <= longest]


def conversations(language: str, split: str, number: int | None = None) -> list[Dialogue]:
    """One conversation about each of the first tales of a split, always the same.

    The tale is the system's message. As many turns follow as fit into `LONGEST_DIALOGUE` tokens.

    Args:
        language: "en" or "zh".
        split: "train", "validation" or "test", of the tales; the small talk of a test is that of
            the validation.
        number: the tales that are looked at; None for all.
    """
    talk = small_talk(language, "train" if split == "train" else "validation")
    tokenizer = Tokenizer.load(DATASETS / f"tokenizer-{language}")
    return [
        _filled(story, turns_about(story, talk, Random(story.text)), tokenizer)
        for story in tales_with_room(language, split, number)
    ]


def _filled(story: Story, topics: Iterator[list[Turn]], tokenizer: Tokenizer) -> Dialogue:
    messages = [Message("system", story.text)]
    kinds: list[str] = []
    for turns in topics:
        more, more_kinds = new_turns(turns, messages[1:])
        if num_tokens([*messages, *more], tokenizer) > LONGEST_DIALOGUE:
            break
        messages, kinds = messages + more, kinds + more_kinds
    return Dialogue(tuple(messages), tuple(kinds))


def new_turns(
    turns: Sequence[Turn], before: Sequence[Message] = ()
) -> tuple[list[Message], list[str]]:
    """Turns as messages with their kinds, without what has been answered in the conversation."""
    messages: list[Message] = []
    kinds: list[str] = []
    for said, reply, kind in turns:
        if not given_away(reply, [*before, *messages]):
            messages += [Message("user", said), Message("assistant", reply)]
            kinds.append(kind)
    return messages, kinds


# ---- what is said --------------------------------------------------------------------------------


def short_conversations(
    story: Story, talk: Sequence[Dialogue], rng: Random, plain: bool = False
) -> Iterator[list[Message]]:
    """Conversations about a tale, without end: most about one topic, some about several.

    Args:
        story: the tale.
        talk: small talk that may come in between.
        rng: the random generator.
        plain: whether to ask in plain words, typed well, and nothing but what the tale says.
    """
    messages: list[Message] = []
    for turns in turns_about(story, talk, rng, plain):
        messages += new_turns(turns, messages)[0]
        if messages and rng.random() > GO_ON_PROBABILITY:
            yield messages
            messages = []


def turns_about(
    story: Story, talk: Sequence[Dialogue], rng: Random, plain: bool = False
) -> Iterator[list[Turn]]:
    """What people say with a tale on the page, topic by topic, without end; see above."""
    questions = story.questions
    while True:
        for question in _in_some_order(questions, rng):
            if plain:
                yield _in_plain_words(question, story, rng)
            else:
                turns = _as_people_ask(question, story, talk, rng)
                yield [(as_typed(said, rng), reply, kind) for said, reply, kind in turns]


def small_talk_turns(dialogue: Dialogue) -> list[Turn]:
    """The turns of a dialogue."""
    return [(before[-1].content, reply, kind) for before, reply, kind in dialogue.replies()]


def _with_tale(dialogue: Dialogue, story: Story, rng: Random) -> list[Turn]:
    """The turns of a dialogue when a tale is on the page."""
    turns = small_talk_turns(dialogue)
    if UNKNOWN not in dialogue.kinds:
        return turns
    return [(turns[0][0], rng.choice(REFUSALS[story.language]), "unanswered")]


def _in_plain_words(question: Question, story: Story, rng: Random) -> list[Turn]:
    return [
        (rng.choice(one.phrasings), as_sentence(one.answer, story.language), one.kind)
        for one in [question, *_some(question.follow_ups, rng)]
    ]


def _as_people_ask(
    question: Question, story: Story, talk: Sequence[Dialogue], rng: Random
) -> list[Turn]:
    luck = rng.random()
    if luck < SMALL_TALK_PROBABILITY:
        return _with_tale(rng.choice(talk), story, rng)
    if luck < SMALL_TALK_PROBABILITY + UNANSWERED_PROBABILITY:
        return [_unanswered(story, rng)]
    follow_ups = _some(question.follow_ups, rng)
    return [_asked(question, story, rng), *(_asked(one, story, rng, True) for one in follow_ups)]


def _asked(question: Question, story: Story, rng: Random, follow_up: bool = False) -> Turn:
    if rng.random() < PLAIN_PROBABILITY:
        said = rng.choice(question.phrasings)
    else:
        said = wording(question.topic, story.memory, story.language, rng, follow_up)
    return said, as_sentence(question.answer, story.language), question.kind


def _unanswered(story: Story, rng: Random) -> Turn:
    """What no tale says, what has nothing to do with tales, or food where there is none."""
    weights = dict(zip(UNANSWERED, (6, 4), strict=True))
    if story.memory["packed"] == "no":
        weights["snack"] = 2
    (topic,) = rng.choices(list(weights), list(weights.values()))
    said = wording(topic, story.memory, story.language, rng)
    return said, rng.choice(REFUSALS[story.language]), "unanswered"


def _in_some_order(questions: Sequence[Question], rng: Random) -> list[Question]:
    """Shuffled by weight; that for the hero, which is the first one of a tale, often first.

    A question of twice the weight is twice as likely to come next. Source: Efraimidis and
    Spirakis, *Weighted random sampling with a reservoir*, 2006.
    """
    hero, *others = questions
    keys = {id(one): rng.random() ** (1 / WEIGHTS.get(one.topic, 1)) for one in others}
    others.sort(key=lambda one: keys[id(one)], reverse=True)
    at = 0 if rng.random() < HERO_FIRST_PROBABILITY else rng.randrange(len(questions))
    return [*others[:at], hero, *others[at:]]


def _some(follow_ups: Sequence[Question], rng: Random) -> list[Question]:
    return [one for one in follow_ups if rng.random() < FOLLOW_UP_PROBABILITY]
