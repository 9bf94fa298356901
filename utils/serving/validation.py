"""Checks requests against their schemas, with jsonschema, and says what is wrong in a sentence.

    check = Validator(generate_schema(context=256))
    body = check({"text": "The fox"})       # with every field of the schema

jsonschema tells what does not fit; here it gets this server's wording, and three things that JSON
Schema does not say: NaN, which Python reads although it is not JSON, is no number; half of a
surrogate pair is no text; and the fields are checked in the order of the request, so that its first
mistake is the one that is named.
"""

import difflib
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]
from jsonschema.validators import extend  # type: ignore[import-untyped]

from utils.serving.problems import Problem, shown
from utils.serving.schemas import Schema

# Two mistakes that jsonschema does not know.
HALF, UNKNOWN = "half of a surrogate pair", "unknown field"


class Validator:
    """Checks request bodies.

    Args:
        schema: the schema of an object, in JSON Schema 2020-12.
    """

    def __init__(self, schema: Schema):
        self._schema, self._validator = schema, _Draft(schema)

    def __call__(self, body: object) -> dict[str, Any]:
        """The body with every field of its schema; where it has null or nothing, the default.

        Raises:
            Problem: with status 400, for the first thing that does not fit.
        """
        error = next(self._validator.iter_errors(body), None)
        if error is not None:
            raise _as_problem(error)
        assert isinstance(body, dict)
        filled = {name: about.get("default") for name, about in self._schema["properties"].items()}
        return filled | {name: value for name, value in body.items() if value is not None}


# ---- what jsonschema does not do by itself -------------------------------------------------------


def _is_number(checker: Any, value: object) -> bool:
    return Draft202012Validator.TYPE_CHECKER.is_type(value, "number") and value == value


def _type(validator: Any, types: Any, value: Any, schema: Schema) -> Iterator[ValidationError]:
    yield from Draft202012Validator.VALIDATORS["type"](validator, types, value, schema)
    if isinstance(value, str) and not is_unicode(value):
        yield ValidationError(HALF, validator=HALF)


def _properties(
    validator: Any, properties: dict[str, Schema], value: Any, schema: Schema
) -> Iterator[ValidationError]:
    for name, content in value.items() if isinstance(value, dict) else ():
        if name in properties:
            yield from validator.descend(content, properties[name], path=name, schema_path=name)
        elif schema.get("additionalProperties") is False:
            yield ValidationError(UNKNOWN, validator=UNKNOWN, path=[name])


_Draft: Any = extend(
    Draft202012Validator,
    {"type": _type, "properties": _properties},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number),
)


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can encode a text: not if it has half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# ---- the wording ---------------------------------------------------------------------------------


def _as_problem(error: ValidationError) -> Problem:
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.path)
    field = field.removeprefix(".")
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        field = f"{field}.{missing}".removeprefix(".")
        return Problem(400, f"{field} is missing.", field)
    if error.validator == UNKNOWN:
        name, known = str(error.path[-1]), error.schema["properties"]
        near = difflib.get_close_matches(name[:40], known, n=1)
        hint = f", did you mean {near[0]}?" if near else "."
        return Problem(400, f"There is no field {shown(name)}{hint}", field[:60])
    if error.validator == HALF:
        sentence = f"{field} contains half of a surrogate pair, which is no character."
        return Problem(400, sentence, field)
    say = f"must be {expected(error.schema)}, not {shown(error.instance)}."
    return Problem(400, f"{field or 'The request body'} {say}", field or None)


def expected(schema: Schema) -> str:
    """What a schema allows, in words."""
    if "enum" in schema:
        return " or ".join("null" if one is None else shown(one) for one in schema["enum"])
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return " or ".join(_words(kind, schema) for kind in kinds if kind != "null")


def _words(kind: str, schema: Schema) -> str:
    if kind == "string":
        return "a text that is not empty" if schema.get("minLength") else "a text"
    words = {"boolean": "true or false", "object": "a JSON object"}
    if kind in words:
        return words[kind]
    if kind == "array":
        low = f"{schema['minItems']} to" if schema["minItems"] else "up to"
        return f"a list of {low} {schema['maxItems']} {schema['title']}"
    name = "a whole number" if kind == "integer" else "a number"
    return f"{name} from {schema['minimum']} to {schema['maximum']}"
