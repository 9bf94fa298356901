"""Generated texts in the format of OpenAI's API: one JSON object, or a stream of events."""

import secrets
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar

from flask import Response

from utils.data.decoding import as_text
from utils.serving.engine import Busy, Closing, ModelFailed, Reply
from utils.serving.problems import RETRY_AFTER, Problem, json_answer, json_bytes

Piece = tuple[int, str | None]  # the number of a choice and a piece of its text, None at its end


class Choice:
    """One of the texts that answer a request.

    Attributes:
        tokens: how many the model has generated so far.

    Args:
        reply: the ids as they come from the engine.
        tokenizer: the tokenizer that decodes them.
        stops: texts that end the reply; it stops before the first of them.
        echo: the text in front.
    """

    def __init__(self, reply: Reply, tokenizer: Any, stops: Sequence[str], echo: str = ""):
        self.reply, self.tokenizer, self.stops, self.echo = reply, tokenizer, stops, echo
        self.tokens, self._stopped = 0, False

    @property
    def finish_reason(self) -> str:
        """When the text is complete: "stop" or "length"."""
        return "stop" if self._stopped else self.reply.finish_reason

    def pieces(self) -> Iterator[str]:
        """The text, piece by piece, without the stop text.

        What may be the beginning of a stop text is held back until it is clear that it is none.
        """
        if self.echo:
            yield self.echo
        held = ""
        for piece in as_text(self._counted(), self.tokenizer):
            held += piece
            ends = [at for stop in self.stops if (at := held.find(stop)) >= 0]
            if ends:
                self._stopped, held = True, held[: min(ends)]
                self.reply.cancel()
                break
            ready = len(held) - max((overlap(held, stop) for stop in self.stops), default=0)
            if ready:
                yield held[:ready]
                held = held[ready:]
        if held:
            yield held

    def _counted(self) -> Iterator[int]:
        for number in self.reply:
            self.tokens += 1
            yield number


def overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text are the beginning of a stop text."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


class Answer:
    """The texts that answer a request. Subclasses say how a text and its pieces are written.

    Args:
        model: its name.
        choices: the texts.
        prompt_tokens: the tokens of all prompts together.
    """

    prefix: ClassVar[str]  # of the id
    kind: ClassVar[str]  # of a whole answer
    kind_of_piece: ClassVar[str]

    def __init__(self, model: str, choices: Sequence[Choice], prompt_tokens: int):
        self.model, self.choices, self.prompt_tokens = model, choices, prompt_tokens
        self.id, self.created = f"{self.prefix}-{secrets.token_hex(12)}", int(time.time())

    def text(self, text: str) -> dict[str, Any]:
        """A whole text."""
        raise NotImplementedError

    def piece(self, text: str) -> dict[str, Any]:
        """A piece of a text."""
        raise NotImplementedError

    first_piece: ClassVar[dict[str, Any] | None] = None  # before the first piece of each text
    last_piece: ClassVar[dict[str, Any]]  # comes with the finish reason

    # ---- as one object ---------------------------------------------------------------------------

    def whole(self) -> Response:
        """One JSON object, when all texts are complete."""
        try:
            texts = ["".join(choice.pieces()) for choice in self.choices]
        finally:
            self.cancel()  # where one text fails, nobody waits for the others
        choices = [
            {"index": i, **self.text(text), "logprobs": None, "finish_reason": choice.finish_reason}
            for i, (text, choice) in enumerate(zip(texts, self.choices, strict=True))
        ]
        return json_answer({**self._head(self.kind), "choices": choices, "usage": self._usage()})

    def cancel(self) -> None:
        """Nobody waits for the rest."""
        for choice in self.choices:
            choice.reply.cancel()

    # ---- as a stream -----------------------------------------------------------------------------

    def streamed(self, with_usage: bool) -> Response:
        """Server-sent events, a piece of a text in each.

        Waits for the first piece, so that a failure before it becomes an answer of its own.
        """
        pieces = self._pieces()
        try:
            first = next(pieces)
        except BaseException:
            self.cancel()  # the other choices, which nobody reads now
            raise
        events = self._events(chain([first], pieces), with_usage)
        # No proxy on the way may keep the events back until there are many.
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        kind = "text/event-stream; charset=utf-8"
        response = Response(events, headers=headers, content_type=kind)
        response.call_on_close(self.cancel)
        return response

    def _pieces(self) -> Iterator[Piece]:
        """The pieces of all choices, in turn: the engine writes them together, step by step."""
        writing = {i: choice.pieces() for i, choice in enumerate(self.choices)}
        while writing:
            for i, pieces in list(writing.items()):
                piece = next(pieces, None)
                if piece is None:
                    del writing[i]
                yield i, piece

    def _events(self, pieces: Iterator[Piece], with_usage: bool) -> Iterator[bytes]:
        if self.first_piece is not None:
            for i in range(len(self.choices)):
                yield self._chunk(i, self.first_piece)
        try:
            for i, piece in pieces:
                if piece is None:
                    yield self._chunk(i, self.last_piece, self.choices[i].finish_reason)
                else:
                    yield self._chunk(i, self.piece(piece))
            if with_usage:
                head = self._head(self.kind_of_piece)
                yield _event({**head, "choices": [], "usage": self._usage()})
        except (Closing, ModelFailed) as error:
            yield _event(as_problem(error).as_json())
        yield b"data: [DONE]\n\n"

    def _chunk(self, i: int, piece: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": i, **piece, "logprobs": None, "finish_reason": finish_reason}
        return _event({**self._head(self.kind_of_piece), "choices": [choice]})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _usage(self) -> dict[str, int]:
        tokens = sum(choice.tokens for choice in self.choices)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": self.prompt_tokens + tokens,
        }


class ChatAnswer(Answer):
    """The next message of a chat."""

    prefix, kind, kind_of_piece = "chatcmpl", "chat.completion", "chat.completion.chunk"
    first_piece: ClassVar = {"delta": {"role": "assistant", "content": ""}}
    last_piece: ClassVar = {"delta": {}}

    def text(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text}}

    def piece(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text}}


class TextAnswer(Answer):
    """The continuation of a text."""

    prefix, kind, kind_of_piece = "cmpl", "text_completion", "text_completion"
    last_piece: ClassVar = {"text": ""}

    def text(self, text: str) -> dict[str, Any]:
        return {"text": text}

    piece = text


def as_problem(error: Busy | Closing | ModelFailed) -> Problem:
    """What the engine says, as an answer."""
    if isinstance(error, Busy):
        return Problem(429, str(error), None, "busy", {"Retry-After": str(RETRY_AFTER)})
    code = "shutting_down" if isinstance(error, Closing) else "model_failed"
    return Problem(503, str(error), None, code)


def _event(content: object) -> bytes:
    return b"data: " + json_bytes(content) + b"\n\n"
