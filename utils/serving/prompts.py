"""From what a client sends to the ids that the model continues."""

from collections.abc import Callable, Sequence

from utils.data.bpe import Tokenizer
from utils.data.chat_template import plain_ids
from utils.data.dialogues import Message

# From a chat to the ids that come before the next reply.
Render = Callable[[Sequence[Message]], list[int]]


def as_beginning(text: str, tokenizer: Tokenizer) -> list[int]:
    """The prompt of a text to be continued: in training the end id stood before each text."""
    return [tokenizer.end_id, *plain_ids(text, tokenizer)]


def plain_chat(tokenizer: Tokenizer) -> Render:
    """A chat as a play: role, colon, text, one message a line. For a model that knows no roles."""

    def render(messages: Sequence[Message]) -> list[int]:
        lines = [f"{message.role}: {message.content}\n" for message in messages]
        return as_beginning("".join([*lines, "assistant:"]), tokenizer)

    return render


def longest_prompt(context: int, tokenizer: Tokenizer) -> int:
    """A text of more bytes than this cannot fit into the context, so it need not be encoded."""
    return context * max(map(len, tokenizer.tokens))
