"""The schemas of all requests: the server checks requests with them and publishes them.

Every field of a request is in its schema. A field that would change the answer in a way that is not
possible here is refused by name, and so is one that nobody knows; what can safely be ignored stands
in `IGNORED`. `utils/serving/validation.py` checks requests, `utils/serving/openapi.py` publishes
the schemas.
"""

from typing import Any

Schema = dict[str, Any]

ROLES = ["system", "developer", "user", "assistant"]
MOST_MESSAGES = 1000
MOST_STOPS = 4  # as in OpenAI's API
MOST_PARTS = 50
# What OpenAI's clients may send and no answer depends on.
IGNORED = [
    "metadata",
    "parallel_tool_calls",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
]


def number(default: float, **limits: float) -> Schema:
    """A number, or null for the default."""
    return {"type": ["number", "null"], "default": default, **limits}


def whole_number(low: int, high: int, **more: object) -> Schema:
    """A whole number within limits, or null."""
    return {"type": ["integer", "null"], "minimum": low, "maximum": high, **more}


def flag() -> Schema:
    """True or false; null is false."""
    return {"type": ["boolean", "null"], "default": False}


def only(*values: object) -> Schema:
    """A field of OpenAI's API that is possible here with these values alone."""
    return {"enum": [None, *values], "description": "Anything else is not possible here."}


def several(items: Schema, plural: str, low: int, high: int) -> Schema:
    """A list. Its limits stand before its items, so that no more items than these are checked."""
    return {"type": "array", "minItems": low, "maxItems": high, "items": items, "title": plural}


def text_or_several(plural: str, low: int, high: int, text: Schema | None = None) -> Schema:
    """A text, or a list of texts or of what `text` describes."""
    items = text or {"type": "string"}
    return {**several(items, plural, low, high), "type": ["string", "array"]}


SAMPLING: dict[str, Schema] = {
    "temperature": {
        **number(1.0, minimum=0, maximum=100),
        "description": "Divides the logits: below 1 careful, above 1 daring, 0 the likeliest.",
    },
    "top_k": {
        **whole_number(0, 2**31 - 1, default=0),
        "description": "Sample from so many of the likeliest tokens; 0 for all.",
    },
    "top_p": {
        **number(0.8, minimum=0, maximum=1),
        "description": "Sample from the likeliest tokens that together have this probability;"
        " 0 for the likeliest alone.",
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
    return body_schema(["text"], properties)


def body_schema(required: list[str], properties: dict[str, Schema]) -> Schema:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


# ---- OpenAI's API --------------------------------------------------------------------------------


def message_schema() -> Schema:
    """A message; of the assistant's, all may be missing but the role."""
    part = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": ["text"]}, "text": {"type": "string"}},
        "if": {"properties": {"type": {"const": "text"}}},
        "then": {"required": ["text"]},
    }
    content = text_or_several("text parts", 0, MOST_PARTS, part)
    nullable = {**content, "type": [*content["type"], "null"]}
    return {
        "type": "object",
        "required": ["role"],
        "properties": {"role": {"enum": ROLES}},
        "if": {"properties": {"role": {"const": "assistant"}}},
        "then": {"properties": {"content": nullable}},
        "else": {"required": ["content"], "properties": {"content": content}},
    }


def writing_fields(slots: int) -> dict[str, Schema]:
    """What a chat and a text to be completed have in common.

    Args:
        slots: texts that the model writes at once.
    """
    stop = text_or_several("texts", 0, MOST_STOPS, {"type": "string", "minLength": 1})
    return {
        **SAMPLING,
        "presence_penalty": {
            **number(0.0, minimum=-2, maximum=2),
            "description": "Subtracted from the logit of each token that has been generated.",
        },
        "frequency_penalty": {
            **number(0.0, minimum=-2, maximum=2),
            "description": "Subtracted each time that the token has been generated.",
        },
        "logit_bias": {
            "type": ["object", "null"],
            "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
            "description": "Added to the logits of tokens, by their ids.",
        },
        "stop": {
            **stop,
            "type": [*stop["type"], "null"],
            "minLength": 1,
            "description": "The text ends before the first of these.",
        },
        "n": {**whole_number(1, slots, default=1), "description": "How many texts to write."},
        "stream": flag(),
        "stream_options": {"type": ["object", "null"], "properties": {"include_usage": flag()}},
        **{name: {"description": "Ignored."} for name in IGNORED},
    }


def chat_schema(models: list[str], slots: int) -> Schema:
    """The body of POST /v1/chat/completions."""
    most_tokens = whole_number(1, 2**31 - 1)
    properties = {
        "model": {"type": "string", "enum": models},
        "messages": several(message_schema(), "messages", 1, MOST_MESSAGES),
        "max_completion_tokens": {**most_tokens, "description": "The longest reply."},
        "max_tokens": {**most_tokens, "description": "The same under its older name."},
        **writing_fields(slots),
        "audio": only(),
        "function_call": only("none", "auto"),
        "functions": only([]),
        "logprobs": only(False),
        "modalities": only(["text"]),
        "reasoning_effort": only("none"),
        "response_format": only({"type": "text"}),
        "tool_choice": only("none", "auto"),
        "tools": only([]),
        "top_logprobs": only(0),
        "verbosity": only("medium"),
        "web_search_options": only(),
    }
    return body_schema(["model", "messages"], properties)


def completion_schema(models: list[str], slots: int) -> Schema:
    """The body of POST /v1/completions."""
    prompt = text_or_several("texts", 1, slots)
    properties = {
        "model": {"type": "string", "enum": models},
        "prompt": {**prompt, "description": "How the text begins, or several texts."},
        "max_tokens": {
            **whole_number(1, 2**31 - 1, default=16),
            "description": "The longest continuation; 16 as in OpenAI's API.",
        },
        **writing_fields(slots),
        "echo": {**flag(), "description": "Whether the prompt is to be part of the text."},
        "best_of": only(1),
        "logprobs": only(),
        "suffix": only(""),
    }
    return body_schema(["model", "prompt"], properties)
