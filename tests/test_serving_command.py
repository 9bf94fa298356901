"""`python -m utils.serving`: it starts, serves, ends in good order, and says what is wrong."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading

import keras_nlp
import pytest
import requests
from tiny_server import CONTEXT, random_model, tiny_tokenizer, until

from utils.data.chat_template import Template, with_roles
from utils.data.dialogues import Message
from utils.data.keras_tokenizers import as_keras
from utils.generation.sampling import as_sampling
from utils.serving.__main__ import main, own_model
from utils.serving.server import ServerError, listen


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    return save(tmp_path_factory.mktemp("models") / "my-model", as_keras(tiny_tokenizer()))


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_it_serves_a_model_and_ends_in_good_order(preset):
    words = ["--preset", preset, "--port", 0, "--slots", 1, "--queue", 400]
    with started(*words) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        assert requests.get(f"{url}/v1/models").json()["data"][0]["id"] == "my-model"
        answers: list = []

        def ask():
            with contextlib.suppress(requests.ConnectionError):  # who comes after the very end
                answers.append(requests.post(f"{url}/generate", json={"text": "the", "top_k": 1}))

        threads = [threading.Thread(target=ask) for _ in range(100)]
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


def test_a_port_that_is_taken_is_one_sentence(capsys):
    with listen("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        assert main(["--port", str(port)]) == 2
        said = capsys.readouterr().err
        assert f"Port {port}" in said and f"--port {port + 1}" in said and said.count("\n") == 1


def test_hosts_that_are_none_are_one_sentence():
    for host in ["no such host", "256.1.1.1"]:
        with pytest.raises(ServerError, match="There is no host"):
            listen(host, 0)
    with pytest.raises(ServerError, match="cannot be used"):
        listen("192.0.2.1", 0)  # an address for documentation; no machine has it


def test_by_default_nobody_else_can_connect():
    with listen("127.0.0.1", 0) as listener:
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
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_one_sentence(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count("\n") == 1 and words[0] in said


def test_a_folder_without_a_model_is_one_sentence(tmp_path, capsys):
    assert main(["--port", "0", "--preset", str(tmp_path / "none")]) == 2
    said = capsys.readouterr().err
    assert "holds no GPT-2" in said and "Traceback" not in said


def test_help_does_not_wait_for_tensorflow():
    code = "import sys, utils.serving.__main__; print('tensorflow' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
