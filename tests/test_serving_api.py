"""The chat server answers as it says: to OpenAI's own client, to bad requests, to too many."""

import json
import socket
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import openai
import pytest
import requests
from tiny_server import CONTEXT, NAME, Gate, Parrot, running, shut, tiny_engine, until

from utils.data.chat_template import ROOM_FOR_REPLY, Template
from utils.data.dialogues import Message
from utils.generation.sampling import as_sampling
from utils.serving.__main__ import read_command_line
from utils.serving.app import LARGEST_BODY, create_app
from utils.serving.prompts import as_beginning, plain_chat
from utils.serving.schemas import IGNORED
from utils.serving.server import Server, listen
from utils.small_chat import Assistant

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


# ---- OpenAI's API: what the official clients and common front ends send --------------------------


@pytest.mark.parametrize("content", [[{"type": "text", "text": "the fox"}], ["the ", "fox"]])
def test_a_message_may_be_text_parts(client, content):
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    same = ask(client, messages=[{"role": "user", "content": parts}])
    assert same.choices == ask(client).choices


def test_a_developer_is_the_system(client):
    answers = [
        ask(client, messages=[{"role": role, "content": "Be kind."}, *CHAT])
        for role in ("system", "developer")
    ]
    assert answers[0].choices == answers[1].choices != ask(client).choices


@pytest.mark.parametrize("silent", [{"content": None}, {}, {"content": "", "refusal": None}])
def test_an_assistant_may_have_said_nothing(client, silent):
    answer = ask(client, messages=[*CHAT, {"role": "assistant", **silent}, *CHAT])
    said = ask(client, messages=[*CHAT, {"role": "assistant", "content": ""}, *CHAT])
    assert answer.choices == said.choices


def test_harmless_fields_are_ignored(client):
    for name in IGNORED:
        assert ask(client, max_tokens=5, extra_body={name: "x"}).choices[0].finish_reason
    nothing = {"tools": [], "functions": [], "response_format": {"type": "text"}, "logit_bias": {}}
    same = ask(client, extra_body={**nothing, "stop": [], "tool_choice": "auto", "logprobs": False})
    assert same.choices == ask(client).choices


def test_top_p_0_takes_the_likeliest(client, flask):
    likeliest = ask(client, temperature=0).choices[0].message.content
    assert ask(client, top_p=0).choices[0].message.content == likeliest
    by_top_p = flask.post("/generate", json={"text": "the", "top_p": 0}).json
    assert by_top_p == flask.post("/generate", json={"text": "the", "top_k": 1}).json


def chat_with(parrot, **asked):
    """The answer of a parrot to a chat: its text, its finish reason, the pieces of the stream."""
    flask = create_app(parrot, plain_chat(parrot.tokenizer)).test_client()
    body = {"model": "parrot", "messages": CHAT, **asked}
    (choice,) = flask.post("/v1/chat/completions", json=body).json["choices"]
    events = flask.post("/v1/chat/completions", json={**body, "stream": True}).get_data()
    chunks = [json.loads(event[6:]) for event in events.decode().split("\n\n")[:-2]]
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(pieces) == choice["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == choice["finish_reason"]
    return choice["message"]["content"], choice["finish_reason"], pieces


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("hare", "the fox said to the "),
        ("the", ""),
        (["hare", " to"], "the fox said"),
        (["xyz", "said to us", "fox sat", "hare?"], "the fox said to the hare"),
        ("hare!", "the fox said to the hare"),
        ("e", "th"),
        ("said to the hare", "the fox "),
        ([], "the fox said to the hare"),
        (None, "the fox said to the hare"),
    ],
    ids=str,
)
def test_a_text_ends_before_a_stop_text(stop, text):
    """A parrot's token is a byte, so that every stop text comes in several pieces."""
    said, reason, pieces = chat_with(Parrot("the fox said to the hare"), stop=stop)
    assert (said, reason) == (text, "stop")
    if stop == ["hare", " to"]:
        assert len(pieces) > 10  # it is still a stream


def test_a_beginning_of_a_stop_text_at_the_end_is_text(engine):
    assert chat_with(Parrot("a 狐狸狐"), stop=["狐狐", "狐狸狐狸"])[:2] == ("a 狐狸狐", "stop")
    assert chat_with(Parrot("x" * 600), stop="xy")[1] == "length"


def test_a_stop_text_frees_the_slot(client, engine):
    whole = ask(client).choices[0].message.content
    with shut(engine.gate) as gate:
        gate.let(40)
        stream = ask(client.with_options(timeout=30), stream=True, stop=whole[2:5])
        assert "".join(one.choices[0].delta.content or "" for one in stream) == whole[:2]
        assert gate.let_until(lambda: engine.load == (0, 0))
    answer = ask(client, stop=whole[10:14])
    assert answer.usage.completion_tokens < CONTEXT / 2


def test_n_texts_differ_and_have_seeds_that_follow_one_another(client):
    single = [ask(client, seed=seed).choices[0] for seed in (3, 4)]
    answer = ask(client, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    texts = [choice.message.content for choice in answer.choices]
    assert texts == [choice.message.content for choice in single] and texts[0] != texts[1]
    prompt = answer.usage.prompt_tokens
    assert answer.usage.completion_tokens == 2 * (CONTEXT - prompt)
    chunks = list(ask(client, n=2, stream=True))
    for number, text in enumerate(texts):
        choices = [c.choices[0] for c in chunks if c.choices[0].index == number]
        assert "".join(choice.delta.content or "" for choice in choices) == text
        assert choices[0].delta.role == "assistant" and choices[-1].finish_reason == "length"


def test_n_texts_are_taken_all_or_none(engine, url, client):
    with shut(engine.gate) as gate:
        for seed in range(SLOTS + QUEUE - 1):
            engine.submit([1], 50, as_sampling(1.0, 0, 1.0), seed)
        with pytest.raises(openai.RateLimitError):
            ask(client, n=2)
        assert gate.let_until(lambda: engine.load == (SLOTS, QUEUE - 1))
    assert is_idle(engine)


# ---- OpenAI's API: texts to be completed ---------------------------------------------------------


def complete(client, prompt="the fox", **changes):
    return client.completions.create(**{"model": NAME, "prompt": prompt, "seed": 3, **changes})


def test_openai_completes_a_text(client, engine):
    answer = complete(client, max_tokens=30, top_p=0.9, temperature=1.2)
    prompt = as_beginning("the fox", engine.tokenizer)
    sampling = {"temperature": 1.2, "top_p": 0.9, "seed": 3}
    written = list(engine._generator.stream(prompt, len(prompt) + 30, **sampling))
    assert answer.choices[0].text == engine.tokenizer.decode(written)
    assert answer.object == "text_completion" and answer.choices[0].finish_reason == "length"
    assert answer.usage.prompt_tokens == len(prompt) and answer.usage.completion_tokens == 30
    assert complete(client).usage.completion_tokens == 16  # as in OpenAI's API


def test_openai_completes_a_text_as_a_stream(client):
    whole = complete(client, max_tokens=40)
    *pieces, usage = complete(
        client, max_tokens=40, stream=True, stream_options={"include_usage": True}
    )
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text
    assert len(pieces) > 10 and pieces[-1].choices[0].finish_reason == "length"
    assert usage.usage == whole.usage


def test_several_prompts_echo_and_stop(client):
    texts = ["the fox", "the hare"]
    single = [complete(client, texts[0], seed=3), complete(client, texts[1], seed=4)]
    both = complete(client, texts)
    assert [c.text for c in both.choices] == [answer.choices[0].text for answer in single]
    assert [c.index for c in both.choices] == [0, 1]
    text = single[0].choices[0].text
    echoed = complete(client, texts[0], echo=True, stop=text[3:6])
    assert echoed.choices[0].text == texts[0] + text[:3]
    assert echoed.choices[0].finish_reason == "stop"


def test_both_models_are_listed_and_complete_texts():
    chat, writer = Parrot("an answer"), Parrot("a tale")
    chat.name, writer.name = "chat", "writer"
    flask = create_app(chat, plain_chat(chat.tokenizer), writer).test_client()
    models = flask.get("/v1/models").json["data"]
    assert [(one["id"], one["max_model_len"]) for one in models] == [("chat", 512), ("writer", 512)]
    for name, text in [("chat", "an answer"), ("writer", "a tale")]:
        answer = flask.post("/v1/completions", json={"model": name, "prompt": ""}).json
        assert answer["choices"][0]["text"] == text[:16] and answer["model"] == name
        assert flask.get(f"/v1/models/{name}").json["id"] == name
    refused = flask.post("/v1/chat/completions", json={"model": "writer", "messages": CHAT})
    assert (
        refused.status_code == 404 and "this server has chat." in refused.json["error"]["message"]
    )
    refused = flask.post("/v1/completions", json={"model": "gpt", "prompt": ""})
    assert refused.status_code == 404 and "chat and writer" in refused.json["error"]["message"]


# ---- OpenAI's API: logit_bias and penalties ------------------------------------------------------


def test_a_bias_makes_a_token_certain_or_impossible(client, engine):
    token = engine.tokenizer.encode("fox")[0]
    answer = ask(client, logit_bias={token: 100}, max_tokens=7)
    assert answer.choices[0].message.content == engine.tokenizer.decode([token] * 7)
    whole = ask(client, temperature=0, max_tokens=30).choices[0].message.content
    likeliest = engine.tokenizer.encode(whole)[0]
    other = ask(client, temperature=0, max_tokens=30, logit_bias={likeliest: -100})
    assert other.choices[0].message.content[:1] != whole[:1]
    assert ask(client, temperature=0, max_tokens=30).choices[0].message.content == whole


def test_penalties_make_a_text_repeat_itself_less(client, engine):
    def most_frequent(**penalty):
        bias = {engine.tokenizer.encode("fox")[0]: 30}
        answer = ask(client, temperature=0, max_tokens=60, logit_bias=bias, **penalty)
        ids = engine.tokenizer.encode(answer.choices[0].message.content)
        return np.bincount(ids).max()

    assert most_frequent() == most_frequent(presence_penalty=2) == 60
    assert most_frequent(frequency_penalty=2) < 30 < most_frequent(frequency_penalty=-2)


# ---- a chat that is longer than the context ------------------------------------------------------


def long_chat(turns):
    talk = [{"role": "system", "content": "the fox"}]
    for number in range(turns):
        talk += [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": "!"}]
    return [*talk, {"role": "user", "content": "the hare?"}]


def test_the_oldest_turns_are_forgotten_as_in_the_terminal(engine):
    """One context policy: the prompt of the API is the one of `Assistant.stream`."""
    template, prompts = Template(engine.tokenizer), []

    def write(prompt, *_, **__):
        prompts.append(list(prompt))
        return iter(())

    assistant = Assistant.__new__(Assistant)
    assistant.template = template
    assistant.generator = SimpleNamespace(context=CONTEXT, stream=write)
    parrot = Parrot("!")
    parrot.context, parrot.tokenizer = CONTEXT, engine.tokenizer
    reply = parrot.submit([0], 9, None, 0, None, None)
    parrot.submit = lambda prompt, *_: prompts.append(prompt) or reply
    flask = create_app(parrot, template.prompt).test_client()
    for turns in range(40):
        talk = long_chat(turns)
        list(assistant.stream([Message(one["role"], one["content"]) for one in talk]))
        answer = flask.post("/v1/chat/completions", json={"model": "parrot", "messages": talk})
        assert prompts[-1] == prompts[-2] and len(prompts[-1]) <= CONTEXT - ROOM_FOR_REPLY
        forgotten = int(answer.headers["X-Forgotten-Messages"])
        kept = [talk[0], *talk[1 + forgotten :]]
        assert template.prompt([Message(**one) for one in kept]) == prompts[-1]
    assert forgotten > 20


def test_a_chat_of_a_thousand_long_messages_is_answered(client):
    talk = [{"role": "user", "content": "the fox said to the hare " * 60}] * 999
    assert ask(client, messages=[*talk, *CHAT]).choices == ask(client).choices


# ---- who may use the server ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("LocalHost:8000", 200),
        ("127.0.0.1:1", 200),
        ("127.9.9.9", 200),
        ("[::1]:8000", 200),
        ("chat.example.org", 200),
        ("a.b.example.com", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("example.com.evil.example", 421),
        ("192.0.2.7", 421),
        ("[2001:db8::1]:80", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_a_foreign_host_is_refused(host, status):
    """Else a page could reach a server on this machine through a name that it lets point here."""
    parrot = Parrot("hello")
    hosts = ["127.0.0.1", "Chat.example.org", ".example.com"]
    flask = create_app(parrot, plain_chat(parrot.tokenizer), hosts=hosts).test_client()
    headers = {"Host": host}
    answer = flask.get("/", headers=headers)
    assert answer.status_code == status
    body = {"model": "parrot", "messages": CHAT}
    answer = flask.post("/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == status
    if status == 421:
        assert "--allow-host" in answer.json["error"]["message"]


def test_a_server_of_the_whole_network_has_many_addresses_but_no_foreign_name():
    parrot = Parrot("hello")
    flask = create_app(parrot, plain_chat(parrot.tokenizer), hosts=["0.0.0.0"]).test_client()
    statuses = [
        flask.get("/healthz", headers={"Host": host}).status_code
        for host in ["192.0.2.7:8000", "[2001:db8::1]", "evil.example", "0.0.0.0.evil.example"]
    ]
    assert statuses == [200, 200, 421, 421]


def test_the_name_that_is_refused_is_the_one_to_start_it_with():
    def answer(hosts):
        parrot = Parrot("hello")
        flask = create_app(parrot, plain_chat(parrot.tokenizer), hosts=hosts).test_client()
        return flask.get("/healthz", headers={"Host": "mymac.local:8000"})

    refused = answer(["127.0.0.1"])
    assert refused.status_code == 421 and '"mymac.local"' in refused.json["error"]["message"]
    for name in ["mymac.local", "mymac.local:8000"]:
        allowed = read_command_line(["--allow-host", name]).allow_host
        assert answer(["127.0.0.1", *allowed]).status_code == 200
    addresses = ["2001:db8::1", "[2001:db8::1]:8000", ".example.org"]
    words = [word for name in addresses for word in ("--allow-host", name)]
    assert read_command_line(words).allow_host == ["2001:db8::1", "2001:db8::1", ".example.org"]


PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
}


def test_a_page_of_an_allowed_origin_may_use_the_server():
    parrot, mine, other = Parrot("hello"), "http://localhost:3000", "https://evil.example"
    flask = create_app(parrot, plain_chat(parrot.tokenizer), origins=[mine]).test_client()
    body = {"model": "parrot", "messages": CHAT, "stream": True}
    for path in ["/v1/chat/completions", "/v1/completions", "/generate", "/v1/models"]:
        answer = flask.options(path, headers={"Origin": mine, **PREFLIGHT})
        allowed = {name: value for name, value in answer.headers if name.startswith("Access-")}
        assert answer.status_code == 200
        assert allowed["Access-Control-Allow-Origin"] == mine
        assert (
            allowed["Access-Control-Allow-Headers"] == PREFLIGHT["Access-Control-Request-Headers"]
        )
        assert "POST" in allowed["Access-Control-Allow-Methods"]
    for origin, seen in [(mine, mine), (other, None), (f"{mine}.evil.example", None)]:
        headers = {"Origin": origin}
        for answer in [
            flask.options("/generate", headers={**headers, **PREFLIGHT}),
            flask.post("/v1/chat/completions", json=body, headers=headers),
            flask.post("/generate", json={}, headers=headers),  # errors can be read, too
        ]:
            assert answer.headers.get("Access-Control-Allow-Origin") == seen
            assert "Origin" in answer.headers["Vary"]


def test_other_pages_may_not_unless_somebody_says_so(flask):
    headers = {"Origin": "http://localhost:3000", **PREFLIGHT}
    answer = flask.options("/v1/chat/completions", headers=headers)
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
    parrot = Parrot("hello")
    everyone = create_app(parrot, plain_chat(parrot.tokenizer), origins=["*"]).test_client()
    answer = everyone.options("/v1/chat/completions", headers=headers)
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


def test_a_proxy_does_not_come_between(url, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert requests.get(f"{url}/healthz").json()["status"] == "ok"
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none needed", max_retries=0)
    assert ask(client, max_tokens=2).choices


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


def test_a_stream_that_fails_before_its_first_word_takes_its_other_texts_along(
    engine, client, monkeypatch
):
    """One of the two is in a slot and fails; the other waits, and would be written for nobody."""
    step, failed = engine._batch.step, threading.Event()

    def fail_once():
        if failed.is_set():
            return step()
        if engine.load == (SLOTS, 1):
            failed.set()
            raise RuntimeError
        time.sleep(0.01)
        return {}

    with shut(engine.gate) as gate:
        monkeypatch.setattr(engine._batch, "step", fail_once)
        for seed in range(SLOTS - 1):
            engine.submit([1], CONTEXT, as_sampling(1.0, 0, 1.0), seed)
        with pytest.raises(openai.InternalServerError):
            ask(client, n=2, stream=True)
        assert gate.let_until(lambda: engine.load == (0, 0))  # long before the text would end


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
    ({**TEXT, "top_p": -0.1}, "top_p", "a number from 0 to 1, not -0.1"),
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
    ({**TALK, "n": SLOTS + 1}, "n", f"a whole number from 1 to {SLOTS}, not {SLOTS + 1}"),
    ({**TALK, "n": True}, "n", "not true"),
    ({**TALK, "stop": ""}, "stop", "a text that is not empty or a list of up to 4 texts"),
    ({**TALK, "stop": ["a", ""]}, "stop[1]", "a text that is not empty"),
    ({**TALK, "stop": ["a"] * 5}, "stop", "a list of up to 4 texts"),
    ({**TALK, "stop": ["a", 1]}, "stop[1]", "must be a text that is not empty, not 1"),
    ({**TALK, "temprature": 1}, "temprature", "did you mean temperature?"),
    ({**TALK, "min_p": 0.1}, "min_p", "There is no field"),
    ({**TALK, "presence_penalty": 3}, "presence_penalty", "a number from -2 to 2"),
    ({**TALK, "frequency_penalty": "x"}, "frequency_penalty", "a number from -2 to 2"),
    ({**TALK, "logit_bias": {"5": 101}}, "logit_bias.5", "a number from -100 to 100"),
    ({**TALK, "logit_bias": {"5": True}}, "logit_bias.5", "not true"),
    ({**TALK, "logit_bias": {"99999": 1}}, "logit_bias", "ids from 0 to"),
    ({**TALK, "logit_bias": {"fox": 1}}, "logit_bias", 'the token "fox"'),
    ({**TALK, "logit_bias": {"-1": 1}}, "logit_bias", 'the token "-1"'),
    ({**TALK, "messages": [{"role": "user", "content": None}]}, "messages[0].content", "not null"),
    ({**TALK, "messages": [{"role": "tool", "content": ""}]}, "messages[0].role", "not"),
    (
        {**TALK, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "messages[0].content[0].type",
        'must be "text", not "image_url"',
    ),
    (
        {**TALK, "messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
        "is missing",
    ),
    (
        {**TALK, "messages": [{"role": "user", "content": [{"type": "text", "text": "\ud800"}]}]},
        "messages[0].content[0].text",
        "half of a surrogate pair",
    ),
    # The first mistake of a request is named, in its own order.
    ({**TALK, "top_p": 5, "temperature": -1}, "top_p", "from 0 to 1"),
    ({**TALK, "temperature": -1, "top_p": 5}, "temperature", "from 0 to 100"),
    ({**TALK, "nonsense": 1, "top_p": 5}, "nonsense", "There is no field"),
]
# What would change the answer in a way that is not possible here, in place of an answer without it.
REFUSED = {
    "audio": {"voice": "alloy", "format": "wav"},
    "function_call": {"name": "f"},
    "functions": [{"name": "f"}],
    "logprobs": True,
    "modalities": ["text", "audio"],
    "reasoning_effort": "high",
    "response_format": {"type": "json_object"},
    "tool_choice": "required",
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "top_logprobs": 2,
    "verbosity": "high",
    "web_search_options": {},
}
BAD_CHATS += [({**TALK, name: value}, name, "must be null") for name, value in REFUSED.items()]
PROMPT = {"model": NAME, "prompt": "the fox"}
BAD_PROMPTS = [
    ({"model": NAME}, "prompt", "prompt is missing"),
    ({**PROMPT, "prompt": 5}, "prompt", f"a text or a list of 1 to {SLOTS} texts, not 5"),
    ({**PROMPT, "prompt": []}, "prompt", f"a list of 1 to {SLOTS} texts"),
    ({**PROMPT, "prompt": [1, 2]}, "prompt[0]", "must be a text, not 1"),
    ({**PROMPT, "prompt": ["a", "b"], "n": 2}, "n", f"at most {SLOTS}, not 4"),
    ({**PROMPT, "prompt": "x y " * 200}, "prompt", "shorten it"),
    ({**PROMPT, "max_tokens": 0}, "max_tokens", "a whole number from 1"),
    ({**PROMPT, "suffix": "the end"}, "suffix", 'must be null or ""'),
    ({**PROMPT, "logprobs": 2}, "logprobs", "must be null"),
    ({**PROMPT, "best_of": 2}, "best_of", "must be null or 1"),
    ({**PROMPT, "messages": CHAT}, "messages", "There is no field"),
]
CASES = [("/generate", *case) for case in BAD_TEXTS]
CASES += [("/v1/chat/completions", *case) for case in BAD_CHATS]
CASES += [("/v1/completions", *case) for case in BAD_PROMPTS]


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
