"""From what a client sends to the ids that the model continues."""

from collections.abc import Callable, Sequence
from typing import Any

from utils.data.bpe import END, Tokenizer
from utils.data.chat_template import ROOM_FOR_REPLY, plain_ids, recent_messages
from utils.data.dialogues import Message
from utils.data.smollm2 import PretrainedTokenizer

# From a chat to the ids that come before the next reply.
Render = Callable[[Sequence[Message]], list[int]]


def as_beginning(text: str, tokenizer: Tokenizer) -> list[int]:
    """The prompt of a text to be continued: in training an end token stood before each text."""
    if isinstance(tokenizer, PretrainedTokenizer):  # its end id ends a message, not a text
        return [tokenizer.special_ids[END], *tokenizer.encode(text)]
    return [tokenizer.end_id, *plain_ids(text, tokenizer)]


def special_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """The ids among a tokenizer's tokens that are no text, such as that of a role."""
    if isinstance(tokenizer, PretrainedTokenizer):
        return frozenset(tokenizer.special_ids.values())
    return frozenset([tokenizer.end_id])


def plain_chat(tokenizer: Tokenizer) -> Render:
    """A chat as a plain transcript, "role: text" on each line: for a model that knows no roles."""

    def render(messages: Sequence[Message]) -> list[int]:
        lines = [f"{message.role}: {message.content}\n" for message in messages]
        return as_beginning("".join([*lines, "assistant:"]), tokenizer)

    return render


def as_message(sent: dict[str, Any]) -> Message:
    """A message of OpenAI's API. Its content is a text, text parts, or in the assistant's null."""
    role = "system" if sent["role"] == "developer" else sent["role"]
    content = sent.get("content") or ""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content)
    return Message(role, content)


def remembered(
    messages: Sequence[Message],
    render: Render,
    context: int,
    tokenizer: Tokenizer,
    room_for_reply: int = ROOM_FOR_REPLY,
) -> list[Message]:
    """What of a chat the model is shown, by the context policy of `recent_messages`.

    Args:
        messages: the chat.
        render: a function that makes its prompt.
        context: the model's context, in tokens.
        tokenizer: the tokenizer of the model.
        room_for_reply: tokens of the context that are kept free, where the model writes more in a
            reply than `recent_messages` expects.
    """

    def fits(kept: Sequence[Message], longest: int) -> bool:
        size = sum(len(message.content.encode()) for message in kept)
        return size <= longest_prompt(longest, tokenizer) and len(render(kept)) <= longest

    return recent_messages(messages, context - (room_for_reply - ROOM_FOR_REPLY), fits)


def longest_prompt(tokens: int, tokenizer: Tokenizer) -> int:
    """A text of more bytes has more tokens than these, so it need not be encoded."""
    return tokens * max(map(len, tokenizer.tokens))
