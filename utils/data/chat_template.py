"""The chat template: how messages become ids, and ids a reply. Lesson 10 explains it.

    <|system|>the tale<|user|>a question<|assistant|>an answer<|endoftext|><|user|>…

    template = Template(tokenizer)                  # the one that the model was pretrained with
    template.prompt(messages)                       # ids up to the place where the reply begins
    ids, weights = template.encode(messages)        # a whole dialogue, and which ids to learn

The tokens of the roles are the only thing that tells who speaks. So a text never becomes one of
them, whatever it says: what a user types is text.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

import keras

from utils.data.bpe import END, Tokenizer
from utils.data.dialogues import ROLES, Message
from utils.data.keras_tokenizers import GPT2Tokenizer
from utils.errors import CourseError

# Tokens of the context that are kept free for a reply; few replies in the data are longer.
ROOM_FOR_REPLY = 40


class ChatError(CourseError):
    """Messages from which no prompt can be made."""


def role_token(role: str) -> str:
    """The token that says who speaks."""
    return f"<|{role}|>"


@keras.saving.register_keras_serializable(package="course")
class ChatTokenizer(GPT2Tokenizer):
    """GPT-2's tokenizer in Keras with a token for each role, behind all others."""

    def __init__(self, vocabulary=None, merges=None, **kwargs):
        for role in ROLES:
            self._add_special_token(role_token(role), f"{role}_token")
        super().__init__(vocabulary=vocabulary, merges=merges, **kwargs)


def with_roles(tokenizer: Tokenizer) -> ChatTokenizer:
    """The same tokenizer in Keras, with the roles added; every other token keeps its id."""
    ids = {role_token(role): i for role, i in Template(tokenizer).role_ids.items()}
    vocabulary = {**tokenizer.vocabulary, **ids}
    return ChatTokenizer(vocabulary=vocabulary, merges=tokenizer.merge_lines)


def recent_messages(
    messages: Sequence[Message], context: int, fits: Callable[[Sequence[Message], int], bool]
) -> list[Message]:
    """What the model is shown of a chat: the one context policy of the terminal, the page, the API.

    `ROOM_FOR_REPLY` tokens of the context are kept free for the reply, at most half of it. Where
    the chat is too long for the rest, its oldest turns are forgotten. The last turn and the
    system's messages always stay, so what is returned may still be too long.

    Args:
        messages: the chat so far.
        context: the model's context, in tokens.
        fits: whether the prompt of some messages has at most so many tokens.
    """
    longest = context - min(ROOM_FOR_REPLY, context // 2)
    return _without_oldest(messages, lambda kept: fits(kept, longest))


def _without_oldest(
    messages: Sequence[Message], fits: Callable[[Sequence[Message]], bool]
) -> list[Message]:
    """The system's messages and as many of the newest turns as fit, at least the last one.

    A turn begins with a message of the user. The number of turns to forget is found by bisection,
    so that a chat of a thousand messages is not encoded a thousand times.
    """
    talk = [number for number, message in enumerate(messages) if message.role != "system"]
    starts = [number for number in talk if messages[number].role == "user" or number == talk[0]]

    def since(start: int) -> list[Message]:
        return [
            message
            for number, message in enumerate(messages)
            if number >= start or message.role == "system"
        ]

    forgotten = bisect_left(starts[:-1], True, key=lambda start: fits(since(start)))
    return since(starts[forgotten] if starts else 0)


def plain_ids(text: str, tokenizer: Tokenizer) -> list[int]:
    """The ids of a text that somebody else wrote: a special token in it is taken letter by letter.

    Otherwise a user could end the text by typing the token's name.
    """
    first, *rest = text.split(END)
    ids = tokenizer.encode(first)
    for part in rest:
        ids += tokenizer.encode(END[:1]) + tokenizer.encode(END[1:] + part)
    return ids


class Template:
    """Turns messages into ids, and the ids of a reply into text.

    Attributes:
        role_ids: the id of each role's token.
        end_id: the id that stands at the end of each reply.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer, self.end_id = tokenizer, tokenizer.end_id
        self.role_ids = {role: i for i, role in enumerate(ROLES, start=len(tokenizer.tokens))}

    @property
    def vocabulary_size(self) -> int:
        """Tokens of the tokenizer and of the roles."""
        return len(self.tokenizer.tokens) + len(self.role_ids)

    def encode(self, messages: Iterable[Message]) -> tuple[list[int], list[int]]:
        """A dialogue as ids, and a weight for each: 1 if it is to be learnt, else 0.

        To be learnt is what the assistant says, but for the replies that are not.

        The end of a reply belongs to what the assistant says: to stop has to be learnt, too.
        """
        ids: list[int] = []
        weights: list[int] = []
        for message in messages:
            text, spoken = plain_ids(message.content, self.tokenizer), message.role == "assistant"
            if spoken:
                text.append(self.end_id)
            ids += [self.role_ids[message.role], *text]
            weights += [0, *[int(spoken and message.learn)] * len(text)]
        return ids, weights

    def prompt(self, messages: Sequence[Message], longest: int | None = None) -> list[int]:
        """The ids after which the assistant speaks.

        Args:
            messages: the chat so far; the last message is the user's.
            longest: the largest number of ids; where there are more, the oldest turns are
                forgotten. The system's message stays.

        Raises:
            ChatError: if the system's message and the last turn have more than `longest` ids.
        """
        if longest is not None:
            messages = _without_oldest(messages, lambda kept: self.fits(kept, longest))
        ids = [*self.encode(messages)[0], self.role_ids["assistant"]]
        if longest is not None and len(ids) > longest:
            raise ChatError(
                f"The last message makes {len(ids)} tokens, with what it is about, and there"
                f" is room for {longest}: shorten it."
            )
        return ids

    def fits(self, messages: Sequence[Message], longest: int) -> bool:
        """Whether the prompt of these messages has at most `longest` ids."""
        return len(self.prompt(messages)) <= longest

    def reply(self, ids: Iterable[int]) -> str:
        """The text of a reply, up to the first token that is no text."""
        text: list[int] = []
        for i in ids:
            if i >= self.end_id:
                break
            text.append(int(i))
        return self.tokenizer.decode(text)
