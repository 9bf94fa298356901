"""What a trained model has not seen: the tales retold with new words, and a persona for the chat.

retold("Nora met a hedgehog at the pond.")    # "Quinn met a robot at the harbour."
in_persona(dialogues)                         # every reply as a pirate would say it
"""

import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from utils.data.bpe import Tokenizer
from utils.data.chat_template import Template
from utils.data.conversations import tales_with_room
from utils.data.dialogue_rows import fit_context
from utils.data.dialogues import LONGEST_DIALOGUE, Dialogue, Message, about_tales, small_talk
from utils.data.tale_rows import TaleRows
from utils.tales import corpus

# Words of the tales, each with the one that takes its place. No new word occurs in the tales.
NAMES = """
    Hazel Xanthe, Momo Bixby, Fritz Gustav, Wanda Petra, Bruno Igor, Nibs Quill, Dot Jinx,
    Pip Zorro, Tilly Umbra, Olga Vesna, Otto Ulrich, Rufus Basil, Leo Viktor, Felix Dmitri,
    Ida Yvette, Noah Kenji, Paul Rashid, Maya Ingrid, Zoe Saskia, Nora Quinn, Lucy Fatima,
    Anna Greta, Jack Hakim, Clara Bettina, Rosa Judith, Oscar Edgar, Ella Naomi,
    Daniel Yusuf, Ben Piet, Mia Gwen, Sofia Helga, Hannah Dorit, Sam Klaus, Max Ravi,
    Tom Wim, Hugo Axel
"""
WORDS = """
    hedgehog robot, heron drone, goat tractor, flamingo rocket, magpie pirate,
    hamster goblin, kitten puppy, tortoise submarine, rabbit spaniel, mole miner,
    squirrel juggler, mouse gnome, crane zeppelin, woodpecker carpenter, lizard zebra,
    monkey acrobat, donkey camel, hen penguin, pond harbour, hills desert, farm factory,
    woods jungle, meadow market, mill airport, park museum, castle circus, river canal,
    lake glacier, pretzel noodle, biscuit dumpling, cake pizza, waffle burger,
    pancake omelette, bun sandwich, cap lantern, comb compass, brooch medal, kite balloon,
    doll statue, scarf jacket, mirror camera, drum trumpet, ring coin, hat helmet,
    grandfather captain, grandmother doctor, aunt teacher, uncle wizard
"""
GREETING, FAREWELL = "Arr, ", ", matey!"
EVERY_ROW = 10**9


def _table(text: str) -> dict[str, str]:
    return dict(pair.split() for pair in text.split(","))


REPLACED = _table(NAMES) | _table(WORDS)
REPLACED |= {old.capitalize(): new.capitalize() for old, new in _table(WORDS).items()}


def retold(text: str) -> str:
    """The text with new names, creatures, places and things; all other words stay."""
    return re.sub(r"[A-Za-z]+", lambda word: REPLACED.get(word[0], word[0]), text)


def retold_tales(tokenizer: Tokenizer, split: str, number: int) -> np.ndarray:
    """Ids of the first tales of a split, retold: (tokens,), with an end id around each.

    Args:
        tokenizer: that of the tales; a new word takes it several tokens.
        split: "train", "validation" or "test".
        number: how many tales.
    """
    ids = [tokenizer.end_id]
    for story in corpus("en", split, number):
        ids += [*tokenizer.encode(retold(story.text)), tokenizer.end_id]
    return np.array(ids, "int32")


def as_pirate(reply: str) -> str:
    """A reply as the persona says it: "In the mill." becomes "Arr, in the mill, matey!"."""
    core = reply.rstrip(".!?")
    keeps_capital = core[:2] in ("I ", "I'") or core.split(" ")[0] in REPLACED
    first = core[0] if keeps_capital else core[0].lower()
    return f"{GREETING}{first}{core[1:]}{FAREWELL}"


def in_persona(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    """The same dialogues, with every reply of the assistant as the persona says it."""
    return [
        replace(dialogue, messages=tuple(_spoken(message) for message in dialogue.messages))
        for dialogue in dialogues
    ]


def _spoken(message: Message) -> Message:
    if message.role != "assistant":
        return message
    return Message(message.role, as_pirate(message.content))


def persona_dialogues(
    split: str, tales: int, template: Template, context: int = LONGEST_DIALOGUE
) -> list[Dialogue]:
    """Dialogues about some tales in plain words, with the replies of the persona.

    They are shortened to fit a context, because these replies are longer than the usual ones.

    Args:
        split: "train" or "validation", of the tales.
        tales: how many are looked at.
        template: the chat template that makes ids of messages.
        context: the longest input of the model.
    """
    return fit_context(in_persona(about_tales("en", split, tales)), template, context).dialogues


def persona_rows(tales: int, template: Template) -> TaleRows:
    """Rows for training with many short conversations in the persona about each of some tales.

    Args:
        tales: the number of tales of the training split that are looked at.
        template: the chat template that makes ids of messages.
    """
    stories = tales_with_room("en", "train", tales)
    return TaleRows(stories, small_talk("en", "train"), _InPersona(template), plain_rows=EVERY_ROW)


class _InPersona(Template):
    """A template that encodes replies as the persona says them."""

    def __init__(self, template: Template):
        super().__init__(template.tokenizer)

    def encode(self, messages: Iterable[Message]) -> tuple[list[int], list[int]]:
        return super().encode(map(_spoken, messages))


def persona_questions(
    split: str, number: int, template: Template, context: int = LONGEST_DIALOGUE
) -> list[tuple[tuple[Message, ...], str, str]]:
    """The first questions about tales of a split whose reply in the persona has room.

    Args:
        split: "validation" or "test", of the tales.
        number: the most questions.
        template: the chat template that makes ids of messages.
        context: the longest input of the model.

    Returns:
        For each question the messages, the usual reply, and that in the persona.
    """
    questions = (
        turn for dialogue in about_tales("en", split, number) for turn in dialogue.replies()
    )
    found = []
    for messages, answer, _ in questions:
        spoken = as_pirate(answer)
        ends = len(template.prompt(messages)) + len(template.tokenizer.encode(spoken))
        if ends < context:  # one more id ends the reply
            found.append((messages, answer, spoken))
    return found[:number]
