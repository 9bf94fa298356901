"""The description of the server in OpenAPI 3.1, from the schemas that it checks requests with."""

from collections.abc import Sequence
from typing import Any, Protocol

from utils.serving.schemas import Schema, chat_schema, completion_schema, generate_schema

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"enum": ["invalid_request_error", "server_error"]},
                "param": {"type": ["string", "null"], "description": "The field to blame."},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
# The parts of a stream. `data` is JSON, a piece of the answer or an error, or at the end [DONE].
EVENT = {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}}
WHEN_WRITING = {
    400: "A field is missing or wrong, or the text does not fit into the model's context.",
    413: "The body is larger than the server reads.",
    415: "The body is not application/json.",
    429: "All places in the queue are taken; Retry-After says when to come back.",
    503: "The server is shutting down, or the model failed.",
}


class Model(Protocol):
    """What the description needs to know of an engine."""

    name: str
    context: int
    slots: int


def described(engine: Model, writer: Model, chats: Sequence[str] = ()) -> dict[str, Any]:
    """The description of a server.

    Args:
        engine: the model that answers chats.
        writer: the model that continues texts.
        chats: the names under which it answers chats, with adapters too; none for its own alone.
    """
    chats = list(chats) or [engine.name]
    names = list(dict.fromkeys([*chats, writer.name]))
    model = _object(
        id={"enum": names},
        object={"const": "model"},
        created=_INTEGER,
        owned_by=_TEXT,
        max_model_len=_INTEGER,
        chats={"type": "boolean"},
        tells_tales={"type": "boolean"},
    )
    models = _object(object={"const": "list"}, data={"type": "array", "items": model})
    health = _object(status={"enum": ["ok"]}, model=_TEXT, running=_INTEGER, waiting=_INTEGER)
    path = {"name": "model", "in": "path", "required": True, "schema": {"enum": names}}
    about = f"Chats by {engine.name}, within {engine.context} tokens; texts to be continued."
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "From a line to GPT: the chat server",
            "version": "1",
            "description": about,
        },
        "paths": {
            "/generate": {"post": _generate(writer.context)},
            "/v1/completions": {"post": _complete(names, writer.slots)},
            "/v1/chat/completions": {"post": _chat(chats, engine.slots)},
            "/v1/models": {"get": {"responses": {"200": _json("The models.", models)}}},
            "/v1/models/{model}": {
                "get": {
                    "parameters": [path],
                    "responses": {"200": _json("The model.", model), **_errors({404: "Unknown."})},
                }
            },
            "/healthz": {
                "get": {
                    "summary": "Health check",
                    "responses": {
                        "200": _json("Ready.", health),
                        **_errors({503: "Shutting down."}),
                    },
                }
            },
        },
    }


def _generate(context: int) -> dict[str, Any]:
    answer = _json("The text with its continuation.", _object(generated_text=_TEXT))
    return {
        "summary": "Continue a text",
        "requestBody": _body(generate_schema(context)),
        "responses": {"200": answer, **_errors(WHEN_WRITING)},
    }


def _complete(names: list[str], slots: int) -> dict[str, Any]:
    answer = _answer("text_completion", {"enum": names}, slots, text=_TEXT)
    return {
        "summary": "Continue texts, as OpenAI's API does",
        "requestBody": _body(completion_schema(names, slots)),
        "responses": {"200": answer, **_errors({**WHEN_WRITING, 404: "Unknown model."})},
    }


def _chat(names: list[str], slots: int) -> dict[str, Any]:
    message = _object(role={"const": "assistant"}, content=_TEXT)
    answer = _answer("chat.completion", {"enum": names}, slots, message=message)
    answer["headers"] = {
        "X-Forgotten-Messages": {
            "required": True,
            "schema": _INTEGER,
            "description": "How many messages, the oldest, do not fit into the model's context.",
        }
    }
    return {
        "summary": "Answer in a chat, as OpenAI's API does",
        "requestBody": _body(chat_schema(names, slots)),
        "responses": {"200": answer, **_errors({**WHEN_WRITING, 404: "Unknown model."})},
    }


def _answer(kind: str, model: Schema, slots: int, **content: Schema) -> dict[str, Any]:
    """Texts in OpenAI's format; `content` is what a choice has besides the usual."""
    usage = _object(prompt_tokens=_INTEGER, completion_tokens=_INTEGER, total_tokens=_INTEGER)
    finish = {"enum": ["stop", "length"]}
    choice = _object(index=_INTEGER, finish_reason=finish, logprobs={}, **content)
    whole = _object(
        id=_TEXT,
        object={"const": kind},
        created=_INTEGER,
        model=model,
        choices={"type": "array", "items": choice, "minItems": 1, "maxItems": slots},
        usage=usage,
    )
    answer = _json("The texts; with `stream`, as events.", whole)
    answer["content"]["text/event-stream"] = {"schema": EVENT}
    return answer


_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _body(schema: Schema) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _json(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _errors(meanings: dict[int, str]) -> dict[str, Any]:
    answers = {str(status): _json(meaning, ERROR) for status, meaning in meanings.items()}
    if "429" in answers:
        retry = {"required": True, "schema": _INTEGER, "description": "In seconds."}
        answers["429"]["headers"] = {"Retry-After": retry}
    return answers
