"""What can be wrong with a request, as an answer that names the field."""

import json
from typing import Any

from flask import Response

RETRY_AFTER = 1  # seconds; by then the small GPT-2 has finished a text, so a slot is free


class Problem(Exception):
    """An answer with an error status.

    Args:
        status: HTTP status code.
        message: one sentence for the user.
        field: the field or header of the request that is wrong, if it is one.
        code: the kind of error, a word for programs.
        headers: further headers of the answer.
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
        """The error as a response."""
        return json_answer(self.as_json(), self.status, self.headers)


def json_answer(
    content: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A response with JSON."""
    return Response(json_bytes(content), status, headers, mimetype="application/json")


def json_bytes(content: object) -> bytes:
    """JSON in UTF-8. Half of a surrogate pair, which UTF-8 cannot encode, gets an escape."""
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")


def shown(value: object) -> str:
    """A value of the request, short enough for a sentence."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:36]} ..."
