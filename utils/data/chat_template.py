"""The chat template: how messages become ids, and ids a reply. Lesson 10 explains it.

    <|system|>the tale<|user|>a question<|assistant|>an answer<|endoftext|><|user|>…

    template = Template(tokenizer)                  # the one that the model was pretrained with
    template.prompt(messages)                       # ids up to the place where the reply begins
    ids, weights = template.encode(messages)        # a whole dialogue, and which ids to learn

The tokens of the roles are the only thing that tells who speaks. So a text never becomes one of
them, whatever it says: what a user types is text.
"""

from collections.abc import Iterable, Sequence

import keras

from utils.data.bpe import END, Tokenizer
from utils.data.dialogues import ROLES, Message
from utils.data.keras_tokenizers import GPT2Tokenizer
from utils.errors import CourseError


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
        end_id: stands at the end of each reply.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer, self.end_id = tokenizer, tokenizer.end_id
        self.role_ids = {role: i for i, role in enumerate(ROLES, start=len(tokenizer.tokens))}

    @property
    def vocabulary_size(self) -> int:
        """Tokens of the tokenizer and of the roles."""
        return len(self.tokenizer.tokens) + len(self.role_ids)

    def encode(self, messages: Iterable[Message]) -> tuple[list[int], list[int]]:
        """A dialogue as ids, and a weight for each: 1 if the assistant says it, else 0.

        The end of a reply belongs to what the assistant says: to stop has to be learnt, too.
        """
        ids: list[int] = []
        weights: list[int] = []
        for message in messages:
            text, spoken = plain_ids(message.content, self.tokenizer), message.role == "assistant"
            if spoken:
                text.append(self.end_id)
            ids += [self.role_ids[message.role], *text]
            weights += [0, *[int(spoken)] * len(text)]
        return ids, weights

    def prompt(self, messages: Sequence[Message], longest: int | None = None) -> list[int]:
        """The ids after which the assistant speaks.

        Args:
            messages: so far; the last one is the user's.
            longest: if they are more ids than this, the oldest exchanges are forgotten. The
                system's message stays.

        Raises:
            ChatError: if the system's message and the last one do not fit by themselves.
        """
        while True:
            ids = [*self.encode(messages)[0], self.role_ids["assistant"]]
            if longest is None or len(ids) <= longest:
                return ids
            system = [message for message in messages if message.role == "system"]
            talk = [message for message in messages if message.role != "system"]
            if len(talk) < 3:
                raise ChatError(
                    f"The last message makes {len(ids)} tokens, with what it is about, and there"
                    f" is room for {longest}: shorten it."
                )
            messages = [*system, *talk[2:]]

    def reply(self, ids: Iterable[int]) -> str:
        """The text of a reply, up to the first token that is no text."""
        text: list[int] = []
        for i in ids:
            if i >= self.end_id:
                break
            text.append(int(i))
        return self.tokenizer.decode(text)
