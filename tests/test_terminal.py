"""The chat in the terminal: what a user types, and what they then see."""

import os
import subprocess
import sys

import pytest

from utils.data.chat_template import ChatError
from utils.data.dialogues import Message
from utils.terminal import HELP, NO_TEXT, talk


class Echo:
    """Replies with what was said last, in two pieces, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, messages):
        self.asked.append(messages)
        yield "You said: "
        yield messages[-1].content


@pytest.fixture
def chat(monkeypatch, capsys):
    def run(*lines, reply, language="en"):
        lines = iter(lines)

        def typed(prompt):
            line = next(lines, EOFError)
            if isinstance(line, type):
                raise line
            return line

        monkeypatch.setattr("builtins.input", typed)
        talk(reply, lambda: "Once there was a hen.", language)
        return capsys.readouterr()

    return run


def test_it_answers_and_remembers(chat):
    echo = Echo()
    out = chat("Hello!", "  ", "And you?", reply=echo).out
    assert "You said: Hello!\n" in out and "You said: And you?\n" in out
    assert echo.asked[1] == [
        Message("user", "Hello!"),
        Message("assistant", "You said: Hello!"),
        Message("user", "And you?"),
    ]


def test_reset_forgets(chat):
    echo = Echo()
    chat("Hello!", "/reset", "Who am I?", reply=echo)
    assert echo.asked[1] == [Message("user", "Who am I?")]


def test_a_tale_is_shown_and_becomes_the_systems_message(chat):
    echo = Echo()
    out = chat("Hello!", "/tale", "Who is it about?", reply=echo).out
    assert "Once there was a hen.\n" in out
    assert echo.asked[1] == [
        Message("system", "Once there was a hen."),
        Message("user", "Who is it about?"),
    ]


def test_nothing_is_said_after_quit(chat):
    echo = Echo()
    chat("/quit", "Hello!", reply=echo)
    assert echo.asked == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_unknown_command_is_told(chat, language):
    echo = Echo()
    out = chat("/dance", reply=echo, language=language).out
    assert "/dance" in out and out.count(HELP[language]) == 2
    assert echo.asked == []


def test_ctrl_c_stops_a_reply_and_keeps_what_was_said(chat):
    asked = []

    def reply(messages):
        asked.append(messages)
        yield "I was going to"
        if len(asked) == 1:
            raise KeyboardInterrupt

    chat("Hello!", "Go on.", reply=reply)
    assert asked[1][1] == Message("assistant", "I was going to")


def test_ctrl_c_between_replies_ends_the_chat(chat):
    echo = Echo()
    chat(KeyboardInterrupt, "Hello!", reply=echo)
    assert echo.asked == []


def test_a_message_that_is_too_long_is_not_remembered(chat):
    asked = []

    def reply(messages):
        asked.append(messages)
        if len(asked) == 1:
            raise ChatError("shorten it.")
        yield "Yes."

    err = chat("very long", "Better?", reply=reply).err
    assert err == "shorten it.\n"
    assert asked[1] == [Message("user", "Better?")]


ECHO = """
from utils.terminal import talk

def reply(messages):
    yield f"You said: {messages[-1].content}"

talk(reply, lambda: "Once there was a hen.")
"""
STRICT = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}  # as in any locale but C


def test_bytes_that_are_no_text_do_not_end_the_chat():
    typed = b"Hi \xe7\x8b\nhello\n\xff\xfe\n\xe4\xbd\xa0\xe5\xa5\xbd\n"
    command = [sys.executable, "-c", ECHO]
    done = subprocess.run(command, env=STRICT, input=typed, capture_output=True)
    said = done.stdout.decode("utf-8")
    assert done.returncode == 0 and "You said: hello\n" in said and "You said: 你好\n" in said
    assert said.count("You said") == 2
    assert done.stderr.decode("utf-8").splitlines() == [NO_TEXT["en"]] * 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no terminals of this kind")
def test_a_backspace_that_leaves_half_a_character_does_not_end_the_chat():
    """`stty -iutf8`: the backspace takes one byte away, of three."""
    import pty

    ours, theirs = pty.openpty()
    subprocess.run(["stty", "-iutf8"], stdin=theirs, check=True)
    streams = {"stdin": theirs, "stdout": theirs, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", ECHO], env=STRICT, **streams) as process:
        os.write(ours, "你好吗\x7f啊\nhello\n/quit\n".encode())
        said = process.stderr.read().decode("utf-8")
        assert process.wait() == 0
    assert b"You said: hello" in os.read(ours, 10_000)
    assert said.count(NO_TEXT["en"]) == 1  # the prompts are there, too
