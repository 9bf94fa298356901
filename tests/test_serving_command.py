"""`python -m utils.serving`: it starts, serves, ends in good order, and says what is wrong."""

import contextlib
import errno
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import keras_nlp
import numpy as np
import psutil
import pytest
import requests
from lesson_code import definitions
from safetensors.numpy import save_file
from tiny_server import CONTEXT, random_model, tiny_tokenizer, until

from utils.data.bpe import Tokenizer, train
from utils.data.chat_template import Template, with_roles
from utils.data.dialogues import Message
from utils.data.keras_tokenizers import as_keras, from_keras
from utils.errors import CourseError
from utils.generation.sampling import as_sampling
from utils.serving import __main__ as command
from utils.serving.__main__ import load_model, main, own_model, read_command_line, where_to_open
from utils.serving.app import create_app
from utils.serving.server import ServerError, listen, urls_of


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    return save(tmp_path_factory.mktemp("models") / "my-model", as_keras(tiny_tokenizer()))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A model in Hugging Face's format, written as lesson 7 does; another size, another context."""
    folder = tmp_path_factory.mktemp("models") / "published"
    folder.mkdir()
    tokenizer = Tokenizer(train("the fox said to the hare: " * 9, 20))
    sizes = {"vocabulary_size": len(tokenizer.tokens), "num_layers": 3, "num_heads": 4}
    sizes |= {"hidden_dim": 32, "intermediate_dim": 128, "max_sequence_length": 96}
    backbone = keras_nlp.models.GPT2Backbone(**sizes)
    rng = np.random.default_rng(0)
    for weight in backbone.weights:
        weight.assign(0.5 * rng.normal(size=weight.shape))
    config = {"model_type": "gpt2", "vocab_size": len(tokenizer.tokens), "n_layer": 3}
    config |= {
        "architectures": ["GPT2LMHeadModel"],
        "n_head": 4,
        "n_embd": 32,
        "n_positions": 96,
        "resid_pdrop": 0.1,
    }
    arrays = definitions("07_gpt2", np=np).as_published(backbone)
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(folder)
    return folder


def save(folder, tokenizer):
    """A model with random weights and a tokenizer, as keras-nlp keeps it."""
    backbone = random_model(len(tokenizer.vocabulary)).backbone
    preprocessor = keras_nlp.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=CONTEXT)
    keras_nlp.models.GPT2CausalLM(backbone, preprocessor).save_to_preset(str(folder))
    return folder


@contextlib.contextmanager
def started(*words):
    """The command with some words, as a process of its own, and the address that it prints."""
    command = [sys.executable, "-m", "utils.serving", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, line
            yield process, found[0]
        finally:
            process.kill()


def answers_the_network(url):
    """It answers at all addresses of this machine, to the hosts and the pages that may ask."""
    addresses = [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family == socket.AF_INET
    ]
    port = url.rpartition(":")[2]
    with requests.Session() as session:
        session.trust_env = False
        for address in addresses:
            assert session.get(f"http://{address}:{port}/healthz").ok
    for host, status in [("evil.example", 421), ("chat.example", 200)]:
        assert requests.get(f"{url}/healthz", headers={"Host": host}).status_code == status
    answer = requests.options(f"{url}/generate", headers={"Origin": "http://a.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "http://a.example"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_it_serves_a_model_to_the_network_and_ends_in_good_order(preset):
    words = ["--preset", preset, "--port", 0, "--slots", 1, "--queue", 400, "--host", "0.0.0.0"]
    words += ["--allow-host", "chat.example", "--cors", "http://a.example/"]
    with started(*words) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        assert requests.get(f"{url}/v1/models").json()["data"][0]["id"] == "my-model"
        answers_the_network(url)
        answers: list = []

        def ask():
            with contextlib.suppress(requests.ConnectionError):  # who comes after the very end
                answers.append(requests.post(f"{url}/generate", json={"text": "the", "top_k": 1}))

        threads = [threading.Thread(target=ask) for _ in range(250)]
        for thread in threads:
            thread.start()
        assert until(lambda: any(answer.ok for answer in list(answers)))
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert process.wait(timeout=20) == 0
        assert "Finishing" in process.stdout.read()
    statuses = [answer.status_code for answer in answers]
    assert {200, 503} == set(statuses)
    texts = {answer.json()["generated_text"] for answer in answers if answer.ok}
    assert len(texts) == 1  # each of them is whole


def test_a_model_that_knows_the_roles_gets_the_template_of_lesson_10(preset, tmp_path):
    tokenizer, chat = tiny_tokenizer(), [Message("user", "the fox")]
    engine, render, writer = own_model(save(tmp_path / "chat", with_roles(tokenizer)), 1, 0)
    assert writer is engine
    assert render(chat) == Template(tokenizer).prompt(chat)
    assert max(render(chat)) == engine._generator.vocabulary_size - 1
    sampling = as_sampling(100.0, 0, 1.0)  # so hot that the token of a role comes soon
    ends = [[*engine.submit([1], CONTEXT, sampling, seed)] for seed in range(20)]
    assert max(max(ids, default=0) for ids in ends) < tokenizer.end_id
    engine.close()


def test_a_published_model_is_served_with_keras_nlps_own_tokenizer(published):
    model = load_model(published)
    in_keras = model.preprocessor.tokenizer
    assert type(in_keras) is keras_nlp.models.GPT2Tokenizer
    tokenizer = from_keras(in_keras)
    assert tokenizer.vocabulary == Tokenizer.load(published).vocabulary
    assert tokenizer.merges == Tokenizer.load(published).merges
    chat, render, writer = own_model(published, 2, 2)
    assert (chat.context, chat.name, writer) == (96, "published", chat)
    flask = create_app(chat, render).test_client()
    text = flask.post("/generate", json={"text": "the fox", "seed": 1}).json["generated_text"]
    assert text.startswith("the fox") and len(text) > 20
    ids = np.asarray(in_keras("the fox"))
    feed = {"token_ids": ids[None], "padding_mask": np.ones_like(ids)[None]}
    likeliest = int(np.argmax(np.asarray(model(feed))[0, -1]))
    reply = chat.submit(ids.tolist(), 96, as_sampling(1.0, 1, 1.0), 0)
    assert next(iter(reply)) == likeliest
    messages = [{"role": "user", "content": "the fox"}]  # it has not been taught to chat
    answer = flask.post("/v1/chat/completions", json={"model": "published", "messages": messages})
    assert answer.status_code == 400 and render is None
    chat.close()


def test_a_vocabulary_and_merges_of_two_tokenizers_are_one_sentence():
    in_keras = as_keras(tiny_tokenizer())
    in_keras.merges = in_keras.merges[1:]
    with pytest.raises(CourseError, match=r"^[^\n]*(merge|vocabulary)[^\n]*$"):
        from_keras(in_keras)


@pytest.fixture
def offline(monkeypatch):
    """Notes each attempt to reach another machine."""
    tried = []
    connect = socket.socket.connect

    def note(self, address):
        tried.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", note)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: note(None, host))
    yield tried
    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.mark.parametrize(
    "name", ["no/such/folder", "gpt2_base_en", "hf://org/gpt2", "kaggle://keras/gpt2/keras/x"]
)
def test_a_folder_that_is_missing_is_one_sentence_and_no_download(name, offline):
    with pytest.raises(CourseError, match="There is no folder"):
        load_model(Path(name))
    with pytest.raises(SystemExit):  # and the command says it before anything is imported
        main(["--preset", name])
    assert offline == []


def test_a_folder_with_the_name_of_a_published_model_is_read(
    published, tmp_path, monkeypatch, offline
):
    shutil.copytree(published, tmp_path / "gpt2_base_en")
    monkeypatch.chdir(tmp_path)
    model = load_model(read_command_line(["--preset", "gpt2_base_en"]).preset)
    assert model.backbone.max_sequence_length == 96 and offline == []


def test_the_folder_of_a_run_is_served_under_the_name_of_the_run(published, tmp_path):
    """It is the folder that a training names at its end; the preset lies in it."""
    shutil.copytree(published, tmp_path / "tales-1234" / "preset")
    preset = read_command_line(["--preset", str(tmp_path / "tales-1234")]).preset
    assert preset == tmp_path / "tales-1234" / "preset"
    engine, *_ = own_model(preset, 1, 0)
    assert engine.name == "tales-1234"
    engine.close()


DAMAGES = {
    "no weights": ("model.weights.h5", None),
    "half of the weights": ("model.weights.h5", 0.5),
    "empty weights": ("model.weights.h5", 0),
    "no config": ("config.json", None),
    "half of the config": ("config.json", 0.5),
    "no tokenizer": ("assets/tokenizer/vocabulary.json", None),
    "half of the vocabulary": ("assets/tokenizer/vocabulary.json", 0.5),
    "half of the merges": ("assets/tokenizer/merges.txt", 0.5),
    "no published weights": ("model.safetensors", None),
    "half of the published weights": ("model.safetensors", 0.5),
    "half of the published config": ("config.json", 0.5),
    "no published vocabulary": ("vocab.json", None),
    "no published merges": ("merges.txt", None),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_preset_is_one_sentence(name, preset, published, tmp_path, capsys):
    file, part = DAMAGES[name]
    folder = tmp_path / "damaged"
    shutil.copytree(preset if (preset / file).exists() and "pub" not in name else published, folder)
    data = (folder / file).read_bytes()
    (folder / file).unlink()
    if part is not None:
        (folder / file).write_bytes(data[: int(part * len(data))])
    assert main(["--port", "0", "--preset", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said and len(said) < 500


def test_another_kind_of_model_is_one_sentence(tmp_path, capsys):
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16}
    keras_nlp.models.BertBackbone(vocabulary_size=50, **sizes).save_to_preset(str(tmp_path / "b"))
    keras_nlp.models.GPT2Backbone(50, **sizes).save_to_preset(str(tmp_path / "no-tokenizer"))
    for folder in ("b", "no-tokenizer"):
        assert main(["--port", "0", "--preset", str(tmp_path / folder)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "GPT-2" in said


def test_the_addresses_that_are_shown_can_be_opened(monkeypatch):
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert urls_of(listener) == [f"http://127.0.0.1:{port}"]
    other = [
        ("lo", socket.AF_INET, "127.0.0.1"),
        ("eth0", socket.AF_INET, "192.0.2.7"),
        ("eth0", socket.AF_INET6, "2001:db8::7"),
        ("eth0", socket.AF_INET6, "fe80::7%eth0"),
        ("eth0", socket.AF_INET, "169.254.1.1"),
        ("unplugged", socket.AF_INET, "192.0.2.9"),
    ]
    addresses: dict = {}
    for name, family, address in other:
        addresses.setdefault(name, []).append(SimpleNamespace(family=family, address=address))
    states = {name: SimpleNamespace(isup=name != "unplugged") for name in addresses}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: addresses)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: states)
    with listen("0.0.0.0", 0) as listener:
        port = listener.getsockname()[1]
        urls = urls_of(listener)
    assert urls == [f"http://127.0.0.1:{port}", f"http://192.0.2.7:{port}"]
    sentence = where_to_open(urls)
    assert all(url in sentence for url in urls) and "0.0.0.0" not in sentence


def test_a_port_that_is_taken_is_one_sentence(capsys):
    with listen("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        assert main(["--port", str(port)]) == 2
        said = capsys.readouterr().err
        assert f"Port {port}" in said and f"--port {port + 1}" in said and said.count("\n") == 1


def test_hosts_that_are_none_are_one_sentence():
    for host in ["no such host", "256.1.1.1", "192.168..5"]:
        with pytest.raises(ServerError, match=r"^There is no host[^\n]*$"):
            listen(host, 0)
    with pytest.raises(ServerError, match=r"^192.0.2.1 is no address of this machine[^\n]*$"):
        listen("192.0.2.1", 0)  # an address for documentation; no machine has it


def test_a_port_of_the_system_is_not_followed_by_another(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    for port, other in [(80, 8000), (1023, 8000), (8000, 8001), (65535, 8000)]:
        with pytest.raises(ServerError, match=f"Permission denied.*--port {other}\\.$"):
            listen("127.0.0.1", port)


def test_by_default_nobody_else_can_connect():
    with listen(read_command_line([]).host, 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.family == socket.AF_INET


@pytest.mark.parametrize(
    "words",
    [
        ["--port", "65536"],
        ["--port", "x"],
        ["--queue", "-1"],
        ["--slots", "0"],
        ["--nothing"],
        ["--cors", "localhost:3000"],
        ["--cors", "http://localhost:3000/page"],
        ["--preset", ""],  # as from an unset variable: the current folder is not meant
        ["--docs", ""],
        ["--docs", ".", "--model", "gpt2"],
        ["--docs", ".", "--preset", "."],
        ["--docs", ".", "--cors", "http://localhost:3000"],
        ["--docs", ".", "--slots", "2"],
        ["--adapter", "pirate=nowhere.safetensors"],
        ["--adapter", "nowhere.safetensors"],
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_one_sentence(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count("\n") == 1 and words[0] in said


def test_a_folder_without_a_model_is_one_sentence(tmp_path, capsys):
    assert main(["--port", "0", "--preset", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "holds no GPT-2" in said and said.count("\n") == 1


def test_a_preset_that_does_not_fit_into_memory_is_one_sentence(preset, monkeypatch, capsys):
    monkeypatch.setattr("utils.memory.free_memory", lambda: 0)
    assert main(["--port", "0", "--preset", str(preset)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("my-model needs about") and "--slots" in said and said.count("\n") == 1


def test_an_adapter_of_a_preset_needs_another_name_than_the_preset(tmp_path, capsys):
    (tmp_path / "mymodel").mkdir()
    (tmp_path / "file").touch()
    words = ["--preset", str(tmp_path / "mymodel"), "--adapter"]
    assert read_command_line([*words, f"small-chat-en={tmp_path / 'file'}"]).adapter
    with pytest.raises(SystemExit) as end:
        main([*words, f"mymodel={tmp_path / 'file'}"])
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count("\n") == 1 and "--adapter" in said


def test_a_file_that_is_no_adapter_is_told_before_a_model_is_trained(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "small_models", lambda *_: pytest.fail("a model was asked for"))
    (tmp_path / "my.txt").write_text("not an adapter")
    assert main(["--port", "0", "--adapter", f"pirate={tmp_path / 'my.txt'}"]) == 2
    said = capsys.readouterr().err
    assert "holds no adapter" in said and said.count("\n") == 1


def test_help_does_not_wait_for_tensorflow():
    code = "import sys, utils.serving.__main__; print('tensorflow' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
