"""A chat in the terminal: the user types lines, the model replies token by token.

Ctrl-C stops a reply, and at the prompt it ends the chat. /quit and the end of the input end it,
too, so that `echo "Hello!" | python codes/10_chat.py --chat` works.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from io import TextIOWrapper

from utils.data.dialogues import Message
from utils.errors import CourseError

HELP = {
    "en": "Say something, or /tale for a tale to talk about, /reset to forget, /quit to stop.",
    "zh": "说点什么吧。/tale 换一个故事来聊，/reset 忘掉前面的话，/quit 结束。",
}
FORGOTTEN = {"en": "All is forgotten.", "zh": "都忘掉了。"}
UNKNOWN = {"en": "There is no command {}.", "zh": "没有 {} 这个命令。"}
NO_TEXT = {
    "en": "That line contains half a character: type it again.",
    "zh": "这一行里有半个字，请重新输入。",
}

Reply = Callable[[Sequence[Message]], Iterator[str]]


def talk(reply: Reply, tell: Callable[[], str], language: str = "en") -> None:
    """Chat until the user stops.

    Args:
        reply: a function that yields the pieces of the reply to a list of messages.
        tell: a function that returns a new tale to talk about.
        language: "en" or "zh", the language of the hints.
    """
    if isinstance(sys.stdin, TextIOWrapper):  # not when a test has replaced it
        sys.stdin.reconfigure(errors="surrogateescape")  # or bytes that are no text end the chat
    messages: list[Message] = []
    print(HELP[language])
    while (line := _read_line()) is not None:
        if line == "/quit":
            return
        if not _is_text(line):
            print(NO_TEXT[language], file=sys.stderr)
            continue
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
    """The line that the user types; None if there is no more."""
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        print()
        return None


def _is_text(line: str) -> bool:
    """False if some of its bytes were no characters, such as half of one after a backspace."""
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _exchange(reply: Reply, messages: list[Message], line: str) -> list[Message]:
    """Answer a line; return the messages with line and reply, or unchanged if there is none."""
    asked = [*messages, Message("user", line)]
    said = ""
    try:
        for piece in reply(asked):
            said += piece
            print(piece, end="", flush=True)
    except CourseError as error:  # such as a message that is too long
        print(error, file=sys.stderr)
        return messages
    except KeyboardInterrupt:
        print(" …", end="")
    print()
    return [*asked, Message("assistant", said)] if said else messages
