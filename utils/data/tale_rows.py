"""The rows that the course's own chat model learns from."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random

from utils.data.chat_template import Template
from utils.data.conversations import new_turns, short_conversations, small_talk_turns
from utils.data.dialogue_rows import MAX_LOSS_SHARE, Arrays, Row, as_arrays, fill_row
from utils.data.dialogues import LONGEST_DIALOGUE, Dialogue, Message
from utils.data.typing_noise import as_typed
from utils.tales import Story

TALK_EVERY = 6  # one row in so many is small talk
SHORTEST = 10  # ids; hardly any conversation has fewer


class TaleRows:
    """The rows of each step of the course's own fine-tuning.

    A row has a tale and many short conversations about it; one row in `TALK_EVERY` has small talk
    instead. The first rows are in plain words: a model learns first to read, then to understand
    other words. Source: Bengio and others, *Curriculum Learning*, 2009.

    Args:
        stories: the tales, taken in their order, again and again.
        talk: small talk.
        template: the chat template that makes ids of messages.
        plain_rows: the number of rows in plain words.
        context: the longest input of the model; a row is longer.
    """

    def __init__(
        self,
        stories: Sequence[Story],
        talk: Sequence[Dialogue],
        template: Template,
        plain_rows: int,
        context: int = LONGEST_DIALOGUE,
    ):
        self.stories, self.talk, self.template = stories, talk, template
        self.plain_rows, self.context = plain_rows, context
        self.length = 1 + context * 2

    def batch(self, step: int, batch_size: int, seed: int) -> Arrays:
        """The rows of one step, a function of the step and the seed: see `as_arrays`."""
        numbers = range(step * batch_size, (step + 1) * batch_size)
        rows = [self._row(number, Random(f"{seed} {number}")) for number in numbers]
        return as_arrays(rows, self.length, self.template.end_id)

    def _row(self, number: int, rng: Random) -> Row:
        rows_of_talk, position = divmod(number, TALK_EVERY)
        if position == TALK_EVERY - 1:
            start: list[Message] = []
            dialogues: Iterable[list[Message]] = self._small_talk(rng)
        else:
            story = self.stories[(number - rows_of_talk) % len(self.stories)]
            plain = number < self.plain_rows
            dialogues = short_conversations(story, self.talk, rng, plain)
            start = [Message("system", story.text)]
        encode = self.template.encode
        return fill_row(map(encode, dialogues), self.length, self.context, encode(start), SHORTEST)

    def _small_talk(self, rng: Random) -> Iterator[list[Message]]:
        while True:
            turns = small_talk_turns(rng.choice(self.talk))
            yield new_turns([(as_typed(said, rng), reply, kind) for said, reply, kind in turns])[0]

    @property
    def max_loss_tokens(self) -> int:
        """No row has more targets of weight 1 than this."""
        return int(MAX_LOSS_SHARE * self.length)
