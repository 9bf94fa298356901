"""The requests that make the model write: a text to continue, and a chat to answer."""

import secrets
from collections.abc import Collection, Sequence
from typing import Any

from flask import Response, request

from utils.data.decoding import as_text
from utils.generation.sampling import Sampling, as_sampling
from utils.serving.adapted import AdaptedEngine
from utils.serving.answers import Answer, ChatAnswer, Choice, TextAnswer
from utils.serving.batching import NO_PENALTIES, Penalties
from utils.serving.engine import Busy, Closing, Engine, Reply
from utils.serving.problems import Problem, json_answer, shown
from utils.serving.prompts import Render, as_beginning, as_message, longest_prompt, remembered
from utils.serving.schemas import chat_schema, completion_schema, generate_schema
from utils.serving.validation import Validator

LIKELIEST = 1e-3  # at temperatures below this, chance has no part any more
FORGOTTEN = "X-Forgotten-Messages"  # header: how many messages, the oldest, the model did not see


class Completions:
    """What POST /generate, /v1/completions and /v1/chat/completions answer.

    Attributes:
        engines: all models by their names, the one that answers chats first.

    Args:
        engine: the engine that answers chats.
        render: a function that makes the prompt of a chat.
        writer: the engine that continues texts.
        adapted: the same model with adapters, each under a name of its own.
    """

    def __init__(
        self,
        engine: Engine,
        render: Render | None,
        writer: Engine,
        adapted: Sequence[AdaptedEngine] = (),
    ):
        self.engine, self.render, self.writer = engine, render, writer
        self.chats: dict[str, Any] = {engine.name: engine} | {one.name: one for one in adapted}
        self.engines = {**self.chats, writer.name: writer}
        self._check_generate = Validator(generate_schema(writer.context))
        self._check_chat = Validator(chat_schema(list(self.chats), engine.slots))
        self._check_text = Validator(completion_schema(list(self.engines), writer.slots))

    # ---- a text to continue ----------------------------------------------------------------------

    def generate(self, body: object) -> Response:
        """The text with what the model adds to it."""
        asked = self._check_generate(body)
        text, length = asked["text"], int(asked["max_length"])
        prompt = _text_prompt(self.writer, text, "text")
        if length <= len(prompt):
            say = f"max_length must be above {len(prompt)}, the tokens of this text, not {length}."
            raise Problem(400, say, "max_length", "context_length_exceeded")
        reply = _submit(self.writer, prompt, length, asked)
        written = "".join(as_text(reply, self.writer.tokenizer))
        return json_answer({"generated_text": text + written})

    def complete(self, body: object) -> Response:
        """The continuation of each prompt in OpenAI's format, whole or as a stream of events."""
        self._check_name(body, self.engines)
        asked = self._check_text(body)
        engine = self.engines[asked["model"]]
        texts = [asked["prompt"]] if isinstance(asked["prompt"], str) else asked["prompt"]
        if len(texts) * asked["n"] > engine.slots:
            say = f"n times the number of prompts must be at most {engine.slots}, not"
            raise Problem(400, f"{say} {len(texts) * asked['n']:.0f}.", "n", "too_many_choices")
        prompts = [_text_prompt(engine, text, "prompt") for text in texts]
        echoes = texts if asked["echo"] else [""] * len(texts)
        choices = _choices(engine, prompts, asked, asked["max_tokens"], echoes)
        return _answer(TextAnswer(engine.name, choices, sum(map(len, prompts))), asked)

    # ---- a chat to answer ------------------------------------------------------------------------

    def chat(self, body: object) -> Response:
        """The next message of a chat in OpenAI's format, whole or as a stream of events."""
        self._check_name(body, self.chats)
        asked = self._check_chat(body)
        engine = self.chats[asked["model"]]
        if self.render is None:
            say = f"{engine.name} is a base model: it has not been taught to chat, and continues"
            raise Problem(400, f"{say} texts at /v1/completions.", "model", "no_chat_model")
        messages = [as_message(one) for one in asked["messages"]]
        about = engine.context, engine.tokenizer, engine.room_for_reply
        kept = remembered(messages, self.render, *about)
        _check_size(engine, [message.content for message in kept], "messages")
        prompt = self.render(kept)
        _check_room(engine, prompt, "messages")
        most = asked["max_completion_tokens"] or asked["max_tokens"] or engine.context
        choices = _choices(engine, [prompt], asked, most, [""])
        response = _answer(ChatAnswer(engine.name, choices, len(prompt)), asked)
        response.headers[FORGOTTEN] = str(len(messages) - len(kept))
        return response

    def _check_name(self, body: object, names: Collection[str]) -> None:
        """Raise a Problem with status 404 if a body asks for a model that does not do this."""
        name = body.get("model") if isinstance(body, dict) else None
        if isinstance(name, str) and name not in names:
            raise no_such_model(name, names)


def no_such_model(name: str, names: Collection[str]) -> Problem:
    """The answer to a request for another model than those of these names."""
    say = f"There is no model {shown(name)}: this server has {' and '.join(names)}."
    return Problem(404, say, "model", "model_not_found")


def _text_prompt(engine: Engine, text: str, field: str) -> list[int]:
    _check_size(engine, [text], field)
    prompt = as_beginning(text, engine.tokenizer)
    _check_room(engine, prompt, field)
    return prompt


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


# ---- from a request to the engine ----------------------------------------------------------------


def _choices(
    engine: Engine,
    prompts: Sequence[list[int]],
    asked: dict[str, Any],
    most: float,
    echoes: Sequence[str],
) -> list[Choice]:
    """Ask for `n` texts after each prompt, all of them or none.

    Args:
        engine: what writes them.
        prompts: the ids of each prompt.
        asked: the request, with all its fields.
        most: the longest text in tokens, without its prompt.
        echoes: the text that stands before those of each prompt.
    """
    stops = [asked["stop"]] if isinstance(asked["stop"], str) else asked["stop"] or []
    penalties, n = _penalties(engine, asked), int(asked["n"])
    choices: list[Choice] = []
    try:
        for number in range(n * len(prompts)):
            prompt, echo = prompts[number // n], echoes[number // n]
            length = min(len(prompt) + int(most), engine.context)
            reply = _submit(engine, prompt, length, asked, penalties, number)
            choices.append(Choice(reply, engine.tokenizer, stops, echo))
    except (Busy, Closing):
        for choice in choices:
            choice.reply.cancel()
        raise
    return choices


def _submit(
    engine: Engine,
    prompt: Sequence[int],
    length: int,
    asked: dict[str, Any],
    penalties: Penalties = NO_PENALTIES,
    number: int = 0,
) -> Reply:
    """Ask for a text; `number` tells it from the others of a request with the same seed."""
    seed = secrets.randbits(32) if asked["seed"] is None else int(asked["seed"]) + number
    gone = request.environ.get("waitress.client_disconnected", lambda: False)
    return engine.submit(prompt, length, _sampling(asked), seed, gone, penalties)


def _sampling(asked: dict[str, Any]) -> Sampling:
    if asked["temperature"] < LIKELIEST or asked["top_p"] == 0:
        return as_sampling(1.0, 1, 1.0)
    return as_sampling(asked["temperature"], int(asked["top_k"]), asked["top_p"])


def _penalties(engine: Engine, asked: dict[str, Any]) -> Penalties:
    bias, number = asked["logit_bias"] or {}, engine.vocabulary_size
    for token in bias:
        if not (token.isascii() and token.isdigit() and len(token) < 10 and int(token) < number):
            say = f"logit_bias names the token {shown(token)}, but the tokens of this model have"
            raise Problem(400, f"{say} ids from 0 to {number - 1}.", "logit_bias", "unknown_token")
    if not (bias or asked["presence_penalty"] or asked["frequency_penalty"]):
        return NO_PENALTIES
    biases = {int(token): float(value) for token, value in bias.items()}
    return Penalties(biases, asked["presence_penalty"], asked["frequency_penalty"])


def _answer(answer: Answer, asked: dict[str, Any]) -> Response:
    if not asked["stream"]:
        return answer.whole()
    return answer.streamed(with_usage=bool((asked["stream_options"] or {}).get("include_usage")))
