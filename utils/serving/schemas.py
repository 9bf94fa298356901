"""What a request may contain, once: to check requests, and to describe them to others.

A schema is JSON Schema, the part of it that is needed here. `check` finds the first thing in a
value that does not fit and says so; `utils/serving/openapi.py` publishes the same schemas.
"""

import difflib
from typing import Any

from utils.serving.problems import Problem, shown

Schema = dict[str, Any]

ROLES = ["system", "user", "assistant"]
MOST_MESSAGES = 1000


def number(default: float, **limits: float) -> Schema:
    return {"type": ["number", "null"], "default": default, **limits}


def whole_number(low: int, high: int, **more: object) -> Schema:
    return {"type": ["integer", "null"], "minimum": low, "maximum": high, **more}


def only(value: object) -> Schema:
    """A field of OpenAI's that changes the answer in a way that is not possible here."""
    return {"enum": [None, value], "description": "Anything else is not possible here."}


SAMPLING: dict[str, Schema] = {
    "temperature": {
        **number(1.0, minimum=0, maximum=100),
        "description": "Divides the logits: below 1 careful, above 1 daring, 0 the likeliest.",
    },
    "top_k": {
        **whole_number(0, 2**31 - 1, default=0),
        "description": "Draw among so many likeliest tokens; 0 for all.",
    },
    "top_p": {
        **number(0.8, exclusiveMinimum=0, maximum=1),
        "description": "Draw among the likeliest tokens that together have this probability.",
    },
    "seed": {
        **whole_number(0, 2**63 - 1),
        "description": "The same seed, the same text; without one, another text each time.",
    },
}


def generate_schema(context: int) -> Schema:
    """The body of POST /generate."""
    length = whole_number(2, context, default=context)
    properties = {
        "text": {"type": "string", "description": "How the text begins; may be empty."},
        "max_length": {**length, "description": "The longest text in tokens, all included."},
        **SAMPLING,
    }
    return {
        "type": "object",
        "required": ["text"],
        "properties": properties,
        "additionalProperties": False,
    }


def message_schema(*roles: str) -> Schema:
    properties = {"role": {"type": "string", "enum": list(roles)}, "content": {"type": "string"}}
    return {"type": "object", "required": ["role", "content"], "properties": properties}


def chat_schema(model: str) -> Schema:
    """The body of POST /v1/chat/completions. What else OpenAI's clients may send is ignored."""
    most_tokens = whole_number(1, 2**31 - 1)
    properties = {
        "model": {"type": "string", "enum": [model]},
        "messages": {
            "type": "array",
            "items": message_schema(*ROLES),
            "minItems": 1,
            "maxItems": MOST_MESSAGES,
        },
        "max_completion_tokens": {**most_tokens, "description": "The longest reply."},
        "max_tokens": {**most_tokens, "description": "The same under its older name."},
        **SAMPLING,
        "stream": {"type": ["boolean", "null"], "default": False},
        "stream_options": {
            "type": ["object", "null"],
            "properties": {"include_usage": {"type": ["boolean", "null"], "default": False}},
        },
        "n": only(1),
        "stop": only([]),
        "tools": only([]),
        "logprobs": only(False),
    }
    return {"type": "object", "required": ["model", "messages"], "properties": properties}


# ---- checking ------------------------------------------------------------------------------------


def is_a(value: object, kind: str) -> bool:
    """Whether a value has a type of JSON Schema. There 2.0 is an integer, and true is none."""
    if isinstance(value, bool) or kind == "boolean":
        return isinstance(value, bool) and kind == "boolean"
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    python: dict[str, Any] = {"number": (int, float), "string": str, "array": list, "object": dict}
    return value is None if kind == "null" else isinstance(value, python[kind])


def check(value: object, schema: Schema, field: str = "") -> None:
    """Raise a Problem that names the first field that does not fit its schema."""
    if not _fits(value, schema):
        raise Problem(
            400,
            f"{field or 'The request body'} must be {expected(schema)}, not {shown(value)}.",
            field or None,
        )
    if isinstance(value, str):
        _check_text(value, field)
    if isinstance(value, dict):
        _check_object(value, schema, f"{field}." if field else "")
    if isinstance(value, list) and "items" in schema:
        for place, item in enumerate(value):
            check(item, schema["items"], f"{field}[{place}]")


def _fits(value: Any, schema: Schema) -> bool:
    """Type, choice, limits. NaN, which Python reads although it is not JSON, is in no limits."""
    if "enum" in schema:
        return any(
            value == one and isinstance(value, bool) == isinstance(one, bool)
            for one in schema["enum"]
        )
    if not any(is_a(value, kind) for kind in _kinds(schema)):
        return False
    if isinstance(value, list):
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return True
    above = value > schema.get("exclusiveMinimum", float("-inf"))
    return above and schema.get("minimum", value) <= value <= schema["maximum"]


def _check_text(text: str, field: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        sentence = f"{field} contains half of a surrogate pair, which is no character."
        raise Problem(400, sentence, field) from None


def _check_object(value: dict, schema: Schema, prefix: str) -> None:
    for name in schema.get("required", []):
        if name not in value:
            raise Problem(400, f"{prefix}{name} is missing.", f"{prefix}{name}")
    known = schema.get("properties", {})
    for name, content in value.items():
        if name in known:
            check(content, known[name], f"{prefix}{name}")
        elif not schema.get("additionalProperties", True):
            near = difflib.get_close_matches(name[:40], known, n=1)
            hint = f", did you mean {near[0]}?" if near else "."
            raise Problem(400, f"There is no field {shown(name)}{hint}", f"{prefix}{name}"[:60])


def _kinds(schema: Schema) -> list[str]:
    kinds = schema["type"]
    return [kinds] if isinstance(kinds, str) else kinds


def expected(schema: Schema) -> str:
    """What a schema allows, in words."""
    if "enum" in schema:
        return " or ".join("null" if one is None else shown(one) for one in schema["enum"])
    kind = _kinds(schema)[0]
    words = {"string": "a text", "boolean": "true or false", "object": "a JSON object"}
    if kind in words:
        return words[kind]
    if kind == "array":
        return f"a list of {schema['minItems']} to {schema['maxItems']} messages"
    name = "a whole number" if kind == "integer" else "a number"
    if "exclusiveMinimum" in schema:
        return f"{name} above {schema['exclusiveMinimum']} and not above {schema['maximum']}"
    return f"{name} from {schema['minimum']} to {schema['maximum']}"


def with_defaults(body: dict, schema: Schema) -> dict[str, Any]:
    """The body with every field of its schema; where null or nothing was said, the default."""
    filled = {name: about.get("default") for name, about in schema["properties"].items()}
    return filled | {name: value for name, value in body.items() if value is not None}
