"""The official GPT-2 in the chat server: it continues texts, and nothing pretends that it chats.

Its files are made small here, in the same format, and served locally under the same names.
"""

import hashlib
import http.server
import json
import threading
from functools import partial

import keras_nlp
import numpy as np
import pytest
from lesson_code import definitions
from playwright.sync_api import expect, sync_playwright
from safetensors.numpy import save_file
from test_serving_page import CHROMIUM, LOCAL_ONLY
from tiny_server import Parrot, running

from utils.data import downloads
from utils.data.bpe import Tokenizer, train
from utils.serving.__main__ import main, official_gpt2, own_model, read_command_line
from utils.serving.app import create_app

FILES = ["config.json", "merges.txt", "vocab.json", "model.safetensors"]
TEXT = "the fox said to the hare"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The files of a small GPT-2 with random weights, in Hugging Face's format."""
    folder = tmp_path_factory.mktemp("mirror")
    tokenizer = Tokenizer(train(f"{TEXT}: " * 9, 20))
    backbone = keras_nlp.models.GPT2Backbone(len(tokenizer.tokens), 2, 2, 16, 64, 0, 64)
    rng = np.random.default_rng(0)
    for weight in backbone.weights:
        weight.assign(0.5 * rng.normal(size=weight.shape))
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "resid_pdrop": 0.1}
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 64}
    config |= {**sizes, "vocab_size": len(tokenizer.tokens)}
    arrays = definitions("07_gpt2", np=np).as_published(backbone)
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(folder)
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(published, tmp_path, monkeypatch):
    """A server with these files at the addresses of the download; the first mirror is gone."""
    handler = partial(Quiet, directory=str(published))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def entry(name):
        data = (published / name).read_bytes()
        urls = tuple(f"http://127.0.0.1:{port}/{name}" for port in (9, server.server_port))
        digest = hashlib.sha256(data).hexdigest()
        return downloads.Download(f"gpt2 {name}", f"gpt2/{name}", urls, digest, len(data))

    parts = tuple(map(entry, FILES))
    monkeypatch.setitem(downloads.DOWNLOADS, "gpt2", downloads.Several("gpt2", parts))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    yield server
    server.shutdown()
    server.server_close()


def test_the_official_files_are_those_of_the_download():
    parts = downloads.DOWNLOADS["gpt2"].parts
    assert [part.file for part in parts] == [f"gpt2/{name}" for name in FILES]
    assert all(len(part.urls) == 2 for part in parts)


def test_it_is_fetched_and_continues_texts(mirror, tmp_path, capsys):
    models = official_gpt2(2, 2)
    assert {path.name for path in (tmp_path / "gpt2").iterdir()} >= set(FILES)
    assert models.render is None and models.chat.context == 64
    client = create_app(*models).test_client()
    (model,) = client.get("/v1/models").json["data"]
    assert (model["id"], model["chats"], model["tells_tales"]) == ("gpt2", False, False)
    body = {"model": "gpt2", "prompt": TEXT, "max_tokens": 8, "temperature": 0}
    text = client.post("/v1/completions", json=body).json["choices"][0]["text"]
    assert text and text == client.post("/v1/completions", json=body).json["choices"][0]["text"]
    messages = [{"role": "user", "content": TEXT}]
    answer = client.post("/v1/chat/completions", json={"model": "gpt2", "messages": messages})
    assert answer.status_code == 400 and "/v1/completions" in answer.json["error"]["message"]
    models.chat.close()


def test_the_same_folder_as_a_preset_is_a_base_model_too(published):
    models = own_model(published, 1, 0)
    assert models.render is None
    models.chat.close()


def test_a_download_that_fails_is_one_sentence(mirror, capsys):
    mirror.shutdown()
    mirror.server_close()
    assert main(["--model", "gpt2", "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert "could not be downloaded" in said and "SHA-256" in said and said.count("\n") == 1


def test_a_damaged_file_is_one_sentence(mirror, tmp_path, capsys):
    downloads.download("gpt2")
    (tmp_path / "gpt2" / "merges.txt").write_text("x", encoding="utf-8")
    assert main(["--model", "gpt2", "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert "merges.txt" in said and "move it away" in said and said.count("\n") == 1


def test_too_little_memory_is_one_sentence(mirror, monkeypatch, capsys):
    monkeypatch.setattr("utils.memory.free_memory", lambda: 0)
    assert main(["--model", "gpt2", "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert "0.0 GB are free" in said and "--slots" in said and said.count("\n") == 1


def test_it_has_fewer_slots_than_the_small_models():
    assert read_command_line(["--model", "gpt2"]).slots == 8


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_page_lets_one_text_grow(monkeypatch):
    engine, sent = Parrot(" ran to the hare"), []
    submit = engine.submit

    def note(prompt, *rest, **more):
        sent.append(engine.tokenizer.decode(prompt[1:]))
        return submit(prompt, *rest, **more)

    monkeypatch.setattr(engine, "submit", note)
    with running(engine, base=True) as url, sync_playwright() as playwright:
        args = ["--no-sandbox", LOCAL_ONLY]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        page = browser.new_context(locale="en-US").new_page()
        page.set_default_timeout(20_000)
        page.goto(url)
        expect(page.locator("#welcome")).to_contain_text("continues the text that you begin")
        expect(page.locator("#tell")).to_be_hidden()
        expect(page.locator("#box")).to_have_attribute("placeholder", "The beginning of a text")
        for number, text in enumerate(["the fox", "and"], 1):
            page.locator("#box").fill(text)
            page.locator("#box").press("Enter")
            expect(page.locator("#log p.assistant")).to_have_count(number)
            expect(page.locator("#send")).to_be_visible()
        assert sent == ["the fox", "the fox ran to the hare and"]
        expect(page.locator("#log p.assistant").last).to_have_text(" ran to the hare")
        page.locator("#language").click()
        page.locator("#new").click()
        expect(page.locator("#welcome")).to_contain_text("接着往下写")
        browser.close()
