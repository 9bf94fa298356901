"""Chatting in the terminal: lines in, replies out, token by token.

Ctrl-C stops a reply, or, where nothing is being said, the chat. So do /quit and the end of the
input, which makes `echo "Hello!" | python codes/10_chat.py --chat` work, too.
"""

import sys
from collections.abc import Callable, Iterator, Sequence

from utils.data.chat_template import ChatError
from utils.data.dialogues import Message

HELP = {
    "en": "Say something, or /tale for a tale to talk about, /reset to forget, /quit to stop.",
    "zh": "说点什么吧。/tale 换一个故事来聊，/reset 忘掉前面的话，/quit 结束。",
}
FORGOTTEN = {"en": "All is forgotten.", "zh": "都忘掉了。"}
UNKNOWN = {"en": "There is no command {}.", "zh": "没有 {} 这个命令。"}

Reply = Callable[[Sequence[Message]], Iterator[str]]


def talk(reply: Reply, tell: Callable[[], str], language: str = "en") -> None:
    """Chat until the user stops.

    Args:
        reply: gives the pieces of a reply to messages.
        tell: gives a new tale to talk about.
        language: of the hints.
    """
    messages: list[Message] = []
    print(HELP[language])
    while (line := _read_line()) is not None:
        if line == "/quit":
            return
        if line == "/reset":
            messages = []
            print(FORGOTTEN[language])
        elif line == "/tale":
            messages = [Message("system", tell())]
            print(messages[0].content)
        elif line.startswith("/"):
            print(UNKNOWN[language].format(line), HELP[language])
        elif line:
            messages = _exchange(reply, messages, line)


def _read_line() -> str | None:
    """What the user types; None if that was the last."""
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        print()
        return None


def _exchange(reply: Reply, messages: list[Message], line: str) -> list[Message]:
    """Answer a line; the messages with both, or as they were if it cannot be answered."""
    asked = [*messages, Message("user", line)]
    said = ""
    try:
        for piece in reply(asked):
            said += piece
            print(piece, end="", flush=True)
    except ChatError as error:
        print(error, file=sys.stderr)
        return messages
    except KeyboardInterrupt:
        print(" …", end="")
    print()
    return [*asked, Message("assistant", said)] if said else messages
