"""The server keeps what its OpenAPI description promises, and breaks under nothing it forbids.

Schemathesis makes up requests from the description, good ones and bad ones: always the same few
here. More of them for each address, and others each time:

    SCHEMATHESIS_CASES=2500 python -m pytest tests/test_serving_openapi.py
"""

import os
from collections import Counter
from types import SimpleNamespace

import pytest
import requests
from hypothesis import HealthCheck, settings
from schemathesis import openapi
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tiny_server import CONTEXT, NAME, running, tiny_engine

from utils.serving.openapi import described

MANY = os.environ.get("SCHEMATHESIS_CASES")
CASES = settings(
    max_examples=int(MANY or 40),
    derandomize=not MANY,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# Good data has to be accepted, with some exceptions, which no schema can express.
EXCEPTIONS = {"context_length_exceeded", "too_many_choices", "unknown_token"}
MODEL = SimpleNamespace(name=NAME, context=CONTEXT, slots=2)
schema = openapi.from_dict(described(MODEL, MODEL))
PATHS = ["/generate", "/v1/chat/completions", "/v1/completions"]
PATHS += ["/v1/models", "/v1/models/{model}", "/healthz"]
seen: Counter = Counter()  # of path, whether the request was good, and status


@pytest.fixture(scope="module")
def url():
    with running(tiny_engine()) as url:
        yield url


def check(case, url):
    """Send a request, and check that the answer is one that was promised."""
    answer = case.call(base_url=url)
    seen[case.path, case.meta.generation.mode.is_positive, answer.status_code] += 1
    excepted = answer.status_code == 400 and answer.json()["error"]["code"] in EXCEPTIONS
    case.validate_response(answer, excluded_checks=[positive_data_acceptance] if excepted else [])


# One function for each address. Schemathesis could give one function all of them, but under one
# name, and of several tests with one name pytest-xdist runs only the first.


@schema.include(path=PATHS[0]).parametrize()
@CASES
def test_generate(case, url):
    check(case, url)


@schema.include(path=PATHS[1]).parametrize()
@CASES
def test_chat(case, url):
    check(case, url)


@schema.include(path=PATHS[2]).parametrize()
@CASES
def test_completions(case, url):
    check(case, url)


@schema.include(path=PATHS[3]).parametrize()
@CASES
def test_models(case, url):
    check(case, url)


@schema.include(path=PATHS[4]).parametrize()
@CASES
def test_model(case, url):
    check(case, url)


@schema.include(path=PATHS[5]).parametrize()
@CASES
def test_health(case, url):
    check(case, url)


def test_every_address_got_good_and_bad_requests():
    assert set(PATHS) == set(described(MODEL, MODEL)["paths"])
    for path in PATHS:
        assert {positive for at, positive, _ in seen if at == path} == {True, False}
    for path in PATHS[:3]:
        assert {(path, True, 200), (path, False, 400)} <= set(seen)
    print(f"{seen.total()} requests: {dict(seen)}")  # shown by pytest -s


def test_the_description_is_what_the_server_shows(url):
    assert requests.get(f"{url}/openapi.json").json() == described(MODEL, MODEL)
    schema.validate()


def test_a_broken_promise_would_be_noticed(url):
    """The same checks find a fault in a server whose description says something else."""
    other = described(MODEL, MODEL)
    answer = other["paths"]["/generate"]["post"]["responses"]["200"]["content"]
    answer["application/json"]["schema"] = {"type": "object", "required": ["story"]}
    operation = openapi.from_dict(other)["/generate"]["POST"]
    case = operation.Case(body={"text": ""}, media_type="application/json")
    with pytest.raises(FailureGroup, match="story"):
        case.call_and_validate(base_url=url)
