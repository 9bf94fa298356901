"""The chat server answers as it says: to OpenAI's own client, to bad requests, to too many."""

import json
import socket
import threading
import time
from contextlib import contextmanager

import openai
import pytest
import requests
from tiny_server import CONTEXT, NAME, Gate, Parrot, running, shut, tiny_engine, until

from utils.data.dialogues import Message
from utils.generation.sampling import as_sampling
from utils.serving.app import LARGEST_BODY, create_app
from utils.serving.prompts import as_beginning, plain_chat
from utils.serving.server import Server, listen

HOST = "127.0.0.1"
SLOTS, QUEUE = 2, 2
CHAT = [{"role": "user", "content": "the fox"}]


@pytest.fixture(scope="module")
def engine():
    engine = tiny_engine(SLOTS, QUEUE)
    engine.gate = Gate(engine)
    return engine


@pytest.fixture(scope="module")
def url(engine):
    with running(engine) as url:
        yield url


@pytest.fixture(scope="module")
def client(url):
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none needed", max_retries=0)


@pytest.fixture
def flask(engine):
    """Flask's own test client: the application without a network."""
    return create_app(engine, plain_chat(engine.tokenizer)).test_client()


def ask(client, stream=False, **changes):
    options = {"model": NAME, "messages": CHAT, "seed": 3, "stream": stream, **changes}
    return client.chat.completions.create(**options)


def is_idle(engine):
    return until(lambda: engine.load == (0, 0))


# ---- POST /generate ------------------------------------------------------------------------------


def test_generate_continues_the_text_as_the_model_does(url, engine):
    sampling = {"temperature": 1.2, "top_k": 30, "top_p": 0.9, "seed": 5}
    answer = requests.post(f"{url}/generate", json={"text": "狐狸", "max_length": 60, **sampling})
    prompt = as_beginning("狐狸", engine.tokenizer)
    written = list(engine._generator.stream(prompt, 60, **sampling))
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"generated_text": "狐狸" + engine.tokenizer.decode(written)}


def test_generate_needs_no_more_than_a_text(flask, engine):
    texts = [flask.post("/generate", json={"text": ""}).json["generated_text"] for _ in range(2)]
    assert texts[0] != texts[1]  # without a seed, another one each time
    usual = {"temperature": 1.0, "top_k": 0, "top_p": 0.8, "max_length": CONTEXT}
    explicit, implicit, nulls = (
        flask.post("/generate", json={"text": "the", "seed": 4, **more}).json
        for more in [usual, {}, dict.fromkeys(usual)]
    )
    assert explicit == implicit == nulls


def test_one_model_may_answer_and_another_continue_texts():
    chat, writer = Parrot("an answer"), Parrot("a tale")
    chat.load, writer.load = (1, 2), (3, 4)
    flask = create_app(chat, plain_chat(chat.tokenizer), writer).test_client()
    assert flask.post("/generate", json={"text": ""}).json["generated_text"] == "a tale"
    asked = {"model": chat.name, "messages": [{"role": "user", "content": "Hello"}]}
    answer = flask.post("/v1/chat/completions", json=asked).json
    assert answer["choices"][0]["message"]["content"] == "an answer"
    health = flask.get("/healthz").json
    assert (health["running"], health["waiting"]) == (4, 6)
    writer.refuse()
    assert flask.get("/healthz").status_code == 503


@pytest.mark.parametrize("cold", [0, 1e-9])
def test_temperature_0_takes_the_likeliest(flask, cold):
    by_temperature, by_top_k = (
        flask.post("/generate", json={"text": "the", **how}).json
        for how in [{"temperature": cold}, {"top_k": 1}]
    )
    assert by_temperature == by_top_k


# ---- OpenAI's API --------------------------------------------------------------------------------


def test_openai_gets_a_whole_answer(client, engine):
    answer = ask(client, max_tokens=20)
    choice, prompt = answer.choices[0], plain_chat(engine.tokenizer)([Message("user", "the fox")])
    written = list(engine._generator.stream(prompt, len(prompt) + 20, top_p=0.8, seed=3))
    assert choice.message.content == engine.tokenizer.decode(written)
    assert choice.message.role == "assistant" and choice.finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (len(prompt), 20)
    assert answer.usage.total_tokens == len(prompt) + 20 and answer.model == NAME


def test_openai_gets_the_same_answer_as_a_stream(client):
    whole = ask(client).choices[0].message.content
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    *pieces, last, usage = chunks
    assert "".join(chunk.choices[0].delta.content for chunk in pieces) == whole
    assert len(pieces) > 40 and pieces[0].choices[0].delta.role == "assistant"
    assert last.choices[0].finish_reason == "length" and last.choices[0].delta.content is None
    assert usage.choices == [] and usage.usage.total_tokens == CONTEXT
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_model_that_ends_its_text_says_stop(client, engine):
    sampling = {"seed": 3, "extra_body": {"top_k": 1}}
    prompt = plain_chat(engine.tokenizer)([Message("user", "the fox")])
    written = list(engine._generator.stream(prompt, CONTEXT, top_k=1))
    engine.end_id = written[4]
    try:
        answer = ask(client, **sampling)
        *_, last = ask(client, stream=True, **sampling)
    finally:
        engine.end_id = engine._generator.end_id
    content = engine.tokenizer.decode(written[: written.index(written[4])])
    assert answer.choices[0].message.content == content
    assert answer.choices[0].finish_reason == last.choices[0].finish_reason == "stop"


def test_either_name_limits_the_answer(client):
    for name in ["max_tokens", "max_completion_tokens"]:
        assert ask(client, **{name: 3}).usage.completion_tokens == 3
    assert ask(client, max_tokens=10**6).usage.total_tokens == CONTEXT


def test_openai_finds_the_model(client):
    assert [model.id for model in client.models.list()] == [NAME]
    assert client.models.retrieve(NAME).object == "model"
    with pytest.raises(openai.NotFoundError, match="There is no model"):
        client.models.retrieve("gpt/4")
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, model="gpt-4")
    assert caught.value.code == "model_not_found" and caught.value.param == "model"


def test_openai_is_told_when_a_chat_is_too_long(client):
    for words in [100, 10_000]:
        long = [{"role": "user", "content": "xyz " * words}]
        with pytest.raises(openai.BadRequestError, match="shorten it") as caught:
            ask(client, messages=long)
        assert caught.value.code == "context_length_exceeded" and caught.value.param == "messages"


def test_each_piece_is_sent_when_it_is_written(client, engine):
    with shut(engine.gate) as gate:
        gate.let(30)  # enough for the prompt and the first few characters
        stream = ask(client, stream=True)
        assert next(stream).choices[0].delta.role == "assistant"
        assert next(stream).choices[0].delta.content
        assert engine.load == (1, 0)  # the rest is not written yet
    assert len(list(stream)) > 20
    assert is_idle(engine)


def test_half_a_character_is_never_sent():
    engine = Parrot("é狐狸🦊!")
    flask = create_app(engine, plain_chat(engine.tokenizer)).test_client()
    body = {"model": "parrot", "messages": [{"role": "user", "content": ""}], "stream": True}
    events = flask.post("/v1/chat/completions", json=body).get_data().split(b"\n\n")
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events[:-2]]
    pieces = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    assert pieces == ["", "é", "狐", "狸", "🦊", "!", None] and events[-2] == b"data: [DONE]"


# ---- too many ------------------------------------------------------------------------------------


@contextmanager
def full(engine, url):
    """All slots and the queue are taken, and the model is held back."""
    with shut(engine.gate) as gate:
        body = {"text": "", "max_length": 50}
        asking = [
            threading.Thread(target=requests.post, args=(f"{url}/generate",), kwargs={"json": body})
            for _ in range(SLOTS + QUEUE)
        ]
        for thread in asking:
            thread.start()
        assert gate.has(SLOTS, QUEUE)
        yield gate
    for thread in asking:
        thread.join()


def test_beyond_the_queue_is_429_and_the_rest_works(engine, url, client):
    with full(engine, url):
        answer = requests.post(f"{url}/generate", json={"text": ""})
        assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
        assert answer.json()["error"]["code"] == "busy"
        for stream in (True, False):
            with pytest.raises(openai.RateLimitError):
                ask(client, stream=stream)
        health = requests.get(f"{url}/healthz").json()
        assert (health["status"], health["running"], health["waiting"]) == ("ok", SLOTS, QUEUE)
    assert is_idle(engine)


def test_openai_comes_back_when_there_is_room(engine, url, client):
    with full(engine, url) as gate:
        opener = threading.Timer(0.3, gate.open)
        opener.start()
        patient = client.with_options(max_retries=5)
        assert ask(patient, max_tokens=2).usage.completion_tokens == 2


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("waits", [False, True])
def test_who_hangs_up_frees_the_place(engine, url, stream, waits):
    """Whether the text is being written or waits, and also while not a word has been sent."""
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps({"model": NAME, "messages": CHAT, "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
    with shut(engine.gate) as gate:
        for _ in range(SLOTS if waits else 0):
            engine.submit([1], CONTEXT, as_sampling(1.0, 0, 1.0), 0)
        connection = socket.create_connection((host, int(port)))
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        assert gate.has(SLOTS, 1) if waits else gate.has(1, 0)
        connection.close()
        after = (SLOTS, 0) if waits else (0, 0)
        assert gate.let_until(lambda: engine.load == after)  # long before the text would end
    assert is_idle(engine)


def test_closing_a_stream_frees_the_slot_on_any_server(flask, engine):
    """Without what waitress tells about the connection."""
    with shut(engine.gate) as gate:
        gate.let(30)
        answer = flask.post("/v1/chat/completions", json={**TALK, "stream": True})
        assert engine.load == (1, 0)
        answer.close()
        assert gate.let_until(lambda: engine.load == (0, 0))


# ---- failures and the end ------------------------------------------------------------------------


def test_a_failure_in_the_middle_of_a_stream_is_told(engine, url, client, monkeypatch):
    with shut(engine.gate) as gate:
        gate.let(30)
        stream = ask(client, stream=True)
        next(stream)
        monkeypatch.setattr(engine._batch, "step", lambda: 1 / 0)
        gate.let(1)
        with pytest.raises(openai.APIError, match="The model failed"):
            list(stream)
    assert is_idle(engine)


def test_a_failure_before_the_first_word_is_503(engine, client, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(engine._batch, "step", lambda: 1 / 0)
        for stream in (True, False):
            with pytest.raises(openai.InternalServerError) as caught:
                ask(client, stream=stream)
            assert caught.value.status_code == 503 and caught.value.code == "model_failed"
    assert ask(client, max_tokens=2).usage.completion_tokens == 2


def test_a_bug_shows_no_traceback(engine):
    flask = create_app(engine, lambda messages: 1 / 0).test_client()
    answer = flask.post("/v1/chat/completions", json={"model": NAME, "messages": CHAT})
    assert answer.status_code == 500 and "made a mistake" in answer.json["error"]["message"]
    assert "Traceback" not in answer.text and "ZeroDivision" not in answer.text


def test_a_server_that_is_stopped_finishes_and_refuses():
    engine = tiny_engine(slots=1, queue=1)
    gate = Gate(engine)
    gate.shut()
    answers = {}

    def generate(url, name):
        answers[name] = requests.post(f"{url}/generate", json={"text": "", "max_length": 9})

    with running(engine) as url:
        threads = []
        for number, name in enumerate(["running", "waiting"]):
            threads.append(threading.Thread(target=generate, args=(url, name)))
            threads[-1].start()
            assert until(lambda n=number: engine.load == (1, n))
        closing = threading.Thread(target=engine.close)
        closing.start()
        assert until(lambda: engine.is_closing)
        generate(url, "new")
        assert requests.get(f"{url}/healthz").status_code == 503
        assert "running" not in answers
        gate.open()
        for thread in [*threads, closing]:
            thread.join()
    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses == {"running": 200, "waiting": 503, "new": 503}
    assert answers["new"].json()["error"]["code"] == "shutting_down"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/healthz")


def test_a_stop_that_is_interrupted_in_the_middle_still_ends(monkeypatch):
    """Something else may wake the network's thread just before `stop` does."""
    engine = tiny_engine()
    server = Server(create_app(engine, plain_chat(engine.tokenizer)), [engine], listen(HOST, 0))
    server.start()
    trigger = server._server.trigger
    pull = trigger._physical_pull

    def slow_pull():
        pull()
        time.sleep(0.3)
        pull()

    monkeypatch.setattr(trigger, "_physical_pull", slow_pull)
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.url}/healthz")


# ---- bad requests --------------------------------------------------------------------------------

TEXT = {"text": "the"}
TALK = {"model": NAME, "messages": CHAT}
BAD_TEXTS = [
    ({}, "text", "text is missing"),
    ({"text": None}, "text", "text must be a text, not null"),
    ({"text": 5}, "text", "must be a text, not 5"),
    ({"text": ["a"]}, "text", "must be a text"),
    ({"text": "\ud800"}, "text", "half of a surrogate pair"),
    ({"text": "x" * 2**20}, "text", "1,048,576 bytes, but no more than"),
    ({"text": "x y " * 200}, "text", "shorten it"),
    ({**TEXT, "max_length": 1}, "max_length", f"a whole number from 2 to {CONTEXT}, not 1"),
    ({**TEXT, "max_length": CONTEXT + 1}, "max_length", f"from 2 to {CONTEXT}"),
    ({**TEXT, "max_length": -3}, "max_length", "not -3"),
    ({**TEXT, "max_length": 2.5}, "max_length", "a whole number"),
    ({**TEXT, "max_length": "9"}, "max_length", 'not "9"'),
    ({**TEXT, "max_length": True}, "max_length", "not true"),
    ({**TEXT, "max_length": 2}, "max_length", "the tokens of this text"),
    ({**TEXT, "temperature": -0.1}, "temperature", "a number from 0 to 100, not -0.1"),
    ({**TEXT, "temperature": float("nan")}, "temperature", "not NaN"),
    ({**TEXT, "temperature": float("inf")}, "temperature", "not Infinity"),
    ({**TEXT, "temperature": "hot"}, "temperature", 'not "hot"'),
    ({**TEXT, "temperature": 10**400}, "temperature", "from 0 to 100"),
    ({**TEXT, "top_k": -1}, "top_k", "a whole number from 0"),
    ({**TEXT, "top_k": 1.5}, "top_k", "a whole number"),
    ({**TEXT, "top_p": 0}, "top_p", "above 0 and not above 1, not 0"),
    ({**TEXT, "top_p": 1.01}, "top_p", "not 1.01"),
    ({**TEXT, "top_p": float("nan")}, "top_p", "not NaN"),
    ({**TEXT, "seed": -1}, "seed", "a whole number from 0"),
    ({**TEXT, "seed": 2**63}, "seed", "a whole number from 0"),
    ({**TEXT, "temprature": 1}, "temprature", "did you mean temperature?"),
    ({**TEXT, "\ud800": 1}, None, "There is no field"),
    ([], None, "The request body must be a JSON object, not []"),
    ("text", None, "must be a JSON object"),
    (None, None, "must be a JSON object, not null"),
]
BAD_CHATS = [
    ({"messages": CHAT}, "model", "model is missing"),
    ({**TALK, "model": 7}, "model", f'must be "{NAME}", not 7'),
    ({"model": NAME}, "messages", "messages is missing"),
    ({**TALK, "messages": "hi"}, "messages", "a list of"),
    ({**TALK, "messages": []}, "messages", "a list of 1 to"),
    ({**TALK, "messages": CHAT * 1001}, "messages", "a list of 1 to"),
    ({**TALK, "messages": [*CHAT, "hi"]}, "messages[1]", "messages[1] must be a JSON object"),
    ({**TALK, "messages": [{"role": "user"}]}, "messages[0].content", "is missing"),
    ({**TALK, "messages": [{"content": ""}]}, "messages[0].role", "is missing"),
    ({**TALK, "messages": [{"role": "boss", "content": ""}]}, "messages[0].role", '"user"'),
    ({**TALK, "messages": [{"role": "user", "content": 1}]}, "messages[0].content", "a text"),
    (
        {**TALK, "messages": [{"role": "user", "content": "\udfff"}]},
        "messages[0].content",
        "half of",
    ),
    ({**TALK, "stream": 1}, "stream", "true or false, not 1"),
    ({**TALK, "stream_options": []}, "stream_options", "a JSON object"),
    ({**TALK, "stream_options": {"include_usage": 3}}, "stream_options.include_usage", "true"),
    ({**TALK, "max_tokens": 0}, "max_tokens", "a whole number from 1"),
    ({**TALK, "max_completion_tokens": -1}, "max_completion_tokens", "a whole number from 1"),
    ({**TALK, "temperature": float("nan")}, "temperature", "not NaN"),
    ({**TALK, "n": 2}, "n", "must be null or 1, not 2"),
    ({**TALK, "n": True}, "n", "not true"),
    ({**TALK, "stop": ["."]}, "stop", "must be null or []"),
    ({**TALK, "logprobs": True}, "logprobs", "must be null or false"),
]
CASES = [("/generate", *case) for case in BAD_TEXTS]
CASES += [("/v1/chat/completions", *case) for case in BAD_CHATS]


@pytest.mark.parametrize(("path", "body", "field", "sentence"), CASES, ids=lambda x: str(x)[:40])
def test_a_bad_request_gets_a_sentence_that_names_the_field(flask, path, body, field, sentence):
    answer = flask.post(path, data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 400
    error = answer.json["error"]
    assert sentence in error["message"] and error["message"].count("\n") == 0
    assert len(error["message"]) < 200 and error["type"] == "invalid_request_error"
    assert error["param"] == field or (field is None and sentence in "There is no field")


BAD_BODIES = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b"{'text': 1}", "line 1, column 2"),
    (b'{"text": "\xff"}', "not UTF-8 (byte 10)"),
    (b'{"text": "\xe7\x8b"}', "not UTF-8"),
    ('{"text": "a"}'.encode("utf-16"), "not UTF-8"),
    (b'{"text": ' + b"9" * 5000 + b"}", "a number that is too long"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"text": "a", "seed": ' + b"[" * 900 + b"]" * 900 + b"}", "seed must be"),
    (b"\x00", "not JSON"),
]


@pytest.mark.parametrize(("body", "sentence"), BAD_BODIES, ids=lambda x: str(x)[:40])
def test_a_body_that_is_no_json_gets_a_sentence(flask, body, sentence):
    answer = flask.post("/generate", data=body, content_type="application/json")
    assert answer.status_code == 400 and sentence in answer.json["error"]["message"]


def test_other_content_types_are_refused(flask):
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]:
        answer = flask.post("/generate", data=b'{"text": ""}', content_type=kind)
        assert answer.status_code == 415 and answer.json["error"]["param"] == "Content-Type"
    with_charset = "application/json; charset=utf-8"
    body = b'{"text": "", "max_length": 3}'
    assert flask.post("/generate", data=body, content_type=with_charset).status_code == 200


def test_a_body_that_is_too_large_is_413(url):
    body = json.dumps({"text": "x" * LARGEST_BODY}).encode()
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{url}/generate", data=body, headers=headers)
    assert answer.status_code == 413 and "at most" in answer.json()["error"]["message"]


def test_wrong_addresses_and_methods_are_answered_in_json(url):
    answer = requests.get(f"{url}/nowhere")
    assert answer.status_code == 404 and "/nowhere" in answer.json()["error"]["message"]
    answer = requests.get(f"{url}/generate")
    assert answer.status_code == 405 and answer.headers["Allow"] == "OPTIONS, POST"
    assert "does not answer GET" in answer.json()["error"]["message"]


def test_the_page_may_run_nothing_but_its_own_script(flask):
    answer = flask.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.mimetype == "text/html" and "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
