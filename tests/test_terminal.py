"""The chat in the terminal: what a user types, and what they then see."""

import pytest

from utils.data.chat_template import ChatError
from utils.data.dialogues import Message
from utils.terminal import HELP, talk


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
