"""The description of the server in OpenAPI 3.1, from the schemas that it checks requests with."""

from typing import Any

from utils.serving.schemas import Schema, chat_schema, generate_schema, message_schema

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
    415: "The body is no application/json.",
    429: "All places in the queue are taken; Retry-After says when to come back.",
    503: "The server is shutting down, or the model failed.",
}


def described(name: str, context: int, writers_context: int) -> dict[str, Any]:
    """The description of a server with a chat model of this name.

    Args:
        name: of the chat model.
        context: its context, in tokens.
        writers_context: that of the model that continues texts.
    """
    model = _object(id={"const": name}, object={"const": "model"}, created=_INTEGER, owned_by=_TEXT)
    models = _object(object={"const": "list"}, data={"type": "array", "items": model})
    health = _object(status={"enum": ["ok"]}, model=_TEXT, running=_INTEGER, waiting=_INTEGER)
    path = {"name": "model", "in": "path", "required": True, "schema": {"const": name}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "From a line to GPT: the chat server",
            "version": "1",
            "description": f"Chats by {name}, within {context} tokens; texts to be continued.",
        },
        "paths": {
            "/generate": {"post": _generate(writers_context)},
            "/v1/chat/completions": {"post": _chat(name)},
            "/v1/models": {"get": {"responses": {"200": _json("The models.", models)}}},
            "/v1/models/{model}": {
                "get": {
                    "parameters": [path],
                    "responses": {"200": _json("The model.", model), **_errors({404: "Unknown."})},
                }
            },
            "/healthz": {
                "get": {
                    "responses": {
                        "200": _json("Ready.", health),
                        **_errors({503: "Shutting down."}),
                    }
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


def _chat(name: str) -> dict[str, Any]:
    finish = {"enum": ["stop", "length"]}
    usage = _object(prompt_tokens=_INTEGER, completion_tokens=_INTEGER, total_tokens=_INTEGER)
    choice = _object(
        index={"const": 0}, message=message_schema("assistant"), finish_reason=finish, logprobs={}
    )
    whole = _object(
        id=_TEXT,
        object={"const": "chat.completion"},
        created=_INTEGER,
        model={"const": name},
        choices={"type": "array", "items": choice, "minItems": 1, "maxItems": 1},
        usage=usage,
    )
    answer = _json("The next message; with `stream`, as events.", whole)
    answer["content"]["text/event-stream"] = {"schema": EVENT}
    return {
        "summary": "Answer in a chat, as OpenAI's API does",
        "requestBody": _body(chat_schema(name)),
        "responses": {"200": answer, **_errors({**WHEN_WRITING, 404: "Unknown model."})},
    }


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
