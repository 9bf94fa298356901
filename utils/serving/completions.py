"""The two requests that make the model write: a text to continue, and a chat to answer."""

import secrets
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from flask import Response, request

from utils.data.decoding import as_text
from utils.data.dialogues import Message
from utils.generation.sampling import Sampling, as_sampling
from utils.serving.engine import Busy, Closing, Engine, ModelFailed, Reply
from utils.serving.problems import RETRY_AFTER, Problem, json_answer, json_bytes, shown
from utils.serving.prompts import Render, as_beginning, longest_prompt
from utils.serving.schemas import chat_schema, check, generate_schema, with_defaults

LIKELIEST = 1e-3  # at temperatures below this, chance has no part any more


class Completions:
    """What POST /generate and POST /v1/chat/completions answer.

    Args:
        engine: answers in a chat.
        render: makes the prompt of a chat.
        writer: continues a text.
    """

    def __init__(self, engine: Engine, render: Render, writer: Engine):
        self.engine, self.render, self.writer = engine, render, writer
        self.generate_schema = generate_schema(writer.context)
        self.chat_schema = chat_schema(engine.name)

    # ---- a text to continue ----------------------------------------------------------------------

    def generate(self, body: object) -> Response:
        """The text with what the model adds to it."""
        check(body, self.generate_schema)
        assert isinstance(body, dict)
        body = with_defaults(body, self.generate_schema)
        text, length = body["text"], int(body["max_length"])
        _check_size(self.writer, [text], "text")
        prompt = as_beginning(text, self.writer.tokenizer)
        _check_room(self.writer, prompt, "text")
        if length <= len(prompt):
            say = f"max_length must be above {len(prompt)}, the tokens of this text, not {length}."
            raise Problem(400, say, "max_length", "context_length_exceeded")
        reply = _submit(self.writer, prompt, length, body)
        written = "".join(as_text(reply, self.writer.tokenizer))
        return json_answer({"generated_text": text + written})

    # ---- a chat to answer ------------------------------------------------------------------------

    def chat(self, body: object) -> Response:
        """The next message of a chat, whole or as a stream of events."""
        if isinstance(body, dict) and isinstance(name := body.get("model"), str):
            self.check_model(name)
        check(body, self.chat_schema)
        assert isinstance(body, dict)
        body = with_defaults(body, self.chat_schema)
        messages = [Message(one["role"], one["content"]) for one in body["messages"]]
        _check_size(self.engine, [message.content for message in messages], "messages")
        prompt = self.render(messages)
        _check_room(self.engine, prompt, "messages")
        most = body["max_completion_tokens"] or body["max_tokens"] or self.engine.context
        length = min(len(prompt) + int(most), self.engine.context)
        reply = _submit(self.engine, prompt, length, body)
        answer = ChatAnswer(self.engine, reply)
        if not body["stream"]:
            return json_answer(answer.whole())
        with_usage = bool((body["stream_options"] or {}).get("include_usage"))
        return _streamed(answer.events(with_usage), reply)

    def check_model(self, name: str) -> None:
        if name != self.engine.name:
            raise Problem(
                404,
                f"There is no model {shown(name)}: this server has {self.engine.name}.",
                "model",
                "model_not_found",
            )


# ---- both ----------------------------------------------------------------------------------------


def _check_size(engine: Engine, texts: Sequence[str], field: str) -> None:
    """Refuse what is far too long before the tokenizer spends seconds on it."""
    size = sum(len(text.encode()) for text in texts)
    longest = longest_prompt(engine.context, engine.tokenizer)
    if size > longest:
        say = f"{field} has {size:,} bytes, but no more than {longest:,} can fit into"
        say += f" the model's context of {engine.context} tokens: shorten it."
        raise Problem(400, say, field, "context_length_exceeded")


def _check_room(engine: Engine, prompt: Sequence[int], field: str) -> None:
    if len(prompt) >= engine.context:
        say = f"{field} has {len(prompt):,} tokens, which leaves no room for an answer in the"
        say += f" model's context of {engine.context}: shorten it."
        raise Problem(400, say, field, "context_length_exceeded")


def _submit(engine: Engine, prompt: Sequence[int], length: int, body: dict[str, Any]) -> Reply:
    seed = secrets.randbits(32) if body["seed"] is None else int(body["seed"])
    gone = request.environ.get("waitress.client_disconnected", lambda: False)
    return engine.submit(prompt, length, _sampling(body), seed, gone)


def _sampling(body: dict[str, Any]) -> Sampling:
    if body["temperature"] < LIKELIEST:
        return as_sampling(1.0, 1, 1.0)
    return as_sampling(body["temperature"], int(body["top_k"]), body["top_p"])


def as_problem(error: Busy | Closing | ModelFailed) -> Problem:
    """What the engine says, as an answer."""
    if isinstance(error, Busy):
        return Problem(429, str(error), None, "busy", {"Retry-After": str(RETRY_AFTER)})
    code = "shutting_down" if isinstance(error, Closing) else "model_failed"
    return Problem(503, str(error), None, code)


class ChatAnswer:
    """A reply in OpenAI's format."""

    def __init__(self, engine: Engine, reply: Reply):
        self.engine, self.reply = engine, reply
        self.id, self.created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
        self.tokens = 0

    def whole(self) -> dict[str, Any]:
        """One object, when all is written."""
        message = {"role": "assistant", "content": "".join(self._pieces())}
        choice = {"index": 0, "message": message, "logprobs": None}
        choice["finish_reason"] = self.reply.finish_reason
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    def events(self, with_usage: bool) -> Iterator[bytes]:
        """Server-sent events, a piece of text in each.

        Waits for the first piece before it returns, so that what goes wrong until then can still
        become an answer of its own.
        """
        pieces = self._pieces()
        first = next(pieces, "")
        return self._events(chain([first], pieces), with_usage)

    def _events(self, pieces: Iterator[str], with_usage: bool) -> Iterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})
        try:
            for piece in pieces:
                yield self._chunk({"content": piece})
            yield self._chunk({}, self.reply.finish_reason)
            if with_usage:
                head = self._head("chat.completion.chunk")
                yield _event({**head, "choices": [], "usage": self._usage()})
        except ModelFailed as error:
            yield _event(as_problem(error).as_json())
        yield b"data: [DONE]\n\n"

    def _pieces(self) -> Iterator[str]:
        return as_text(self._counted(), self.engine.tokenizer)

    def _counted(self) -> Iterator[int]:
        for number in self.reply:
            self.tokens += 1
            yield number

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.engine.name}

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _usage(self) -> dict[str, int]:
        prompt = len(self.reply.request.prompt)
        total = prompt + self.tokens
        return {
            "prompt_tokens": prompt,
            "completion_tokens": self.tokens,
            "total_tokens": total,
        }


def _event(content: object) -> bytes:
    return b"data: " + json_bytes(content) + b"\n\n"


def _streamed(events: Iterator[bytes], reply: Reply) -> Response:
    # No proxy on the way may keep the events back until there are many.
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    response = Response(events, headers=headers, content_type="text/event-stream; charset=utf-8")
    response.call_on_close(reply.cancel)
    return response
