"""What can be wrong with a request, as an answer that names the field."""

import json
from typing import Any

from flask import Response

RETRY_AFTER = 1  # seconds; by then the small GPT-2 has finished a text, so a slot is free


class Problem(Exception):
    """An answer other than 200.

    Args:
        status: of HTTP.
        message: one sentence for a person.
        field: the part of the request that is to blame, if one is.
        code: a word for programs.
        headers: more headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        field: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}
        self.field, self.code = field, code

    def as_json(self) -> dict[str, Any]:
        """The error as OpenAI's clients expect it."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        about = {"message": self.message, "type": kind, "param": self.field, "code": self.code}
        return {"error": about}

    def answer(self) -> Response:
        return json_answer(self.as_json(), self.status, self.headers)


def json_answer(
    content: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(json_bytes(content), status, headers, mimetype="application/json")


def json_bytes(content: object) -> bytes:
    """JSON in UTF-8. What Unicode cannot encode, half of a surrogate pair, gets an escape."""
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")


def shown(value: object) -> str:
    """A value of the request, short enough for a sentence."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:36]} ..."
