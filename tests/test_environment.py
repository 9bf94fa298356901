"""What other projects have left in a user's environment, and what the course makes of it."""

import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

from utils.doctor import keras_json
from utils.loopback import bypass_proxies_for_loopback

NOWHERE = "http://127.0.0.1:9"  # nobody listens there


def python(code, *words, **environ):
    """Run code in a process of its own."""
    command = [sys.executable, "-c", code, *words]
    environ = {**os.environ, **environ}
    return subprocess.run(command, env=environ, capture_output=True, encoding="utf-8")


# ---- Keras ---------------------------------------------------------------------------------------

SHOW_KERAS = """
from utils.course.settings import settings

settings(seed=1)
import keras

layer = keras.layers.Dense(1)
print(keras.config.backend(), layer(keras.ops.ones((1, 1))).dtype)
print(keras.config.epsilon(), keras.config.image_data_format())
"""


@pytest.mark.parametrize(
    ("environ", "settings", "told"),
    [
        (
            {"KERAS_BACKEND": "torch", "TF_USE_LEGACY_KERAS": "1"},
            {"floatx": "float64", "epsilon": 0.1},
            "TF_USE_LEGACY_KERAS=1 and KERAS_BACKEND=torch and floatx float64, epsilon 0.1",
        ),
        (
            {"KERAS_BACKEND": ""},
            {"backend": "theano", "floatx": "float16", "image_data_format": "channels_first"},
            "floatx float16, image_data_format channels_first, backend theano",
        ),
    ],
    ids=["environment variables", "keras.json"],
)
def test_settings_of_other_projects_are_overridden_with_one_sentence(
    tmp_path, environ, settings, told
):
    (tmp_path / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
    done = python(SHOW_KERAS, KERAS_HOME=str(tmp_path), **environ)
    assert done.stdout == "tensorflow <dtype: 'float32'>\n1e-07 channels_last\n", done.stderr
    assert done.stderr.count("\n") == 1 and f"ignores {told}" in done.stderr


def test_a_process_that_is_started_says_it_no_second_time(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "float16"}', encoding="utf-8")
    code = (
        "import subprocess, sys\n"
        "from utils.keras_backend import choose_backend\n"
        "choose_backend()\n"
        "if len(sys.argv) == 2: subprocess.run([sys.executable, '-c', sys.argv[1], '', 'last'])"
    )
    assert python(code, code, KERAS_HOME=str(tmp_path)).stderr.count("ignores") == 1


# As if a notebook had imported Keras before the cell with the settings.
KERAS_ON_JAX = """
import sys
from types import SimpleNamespace

sys.modules["keras"] = SimpleNamespace(config=SimpleNamespace(backend=lambda: "jax"))
"""


@pytest.mark.parametrize(
    ("before", "settings", "told"),
    [
        (KERAS_ON_JAX, {}, "Keras already runs on jax here, and this needs tensorflow: restart"),
        ("", {"floatx": "float8"}, "delete that file"),
    ],
    ids=["already imported", "a keras.json that Keras refuses"],
)
def test_what_cannot_be_overridden_is_one_sentence(tmp_path, before, settings, told):
    (tmp_path / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
    done = python(before + SHOW_KERAS, KERAS_HOME=str(tmp_path))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and told in done.stderr


def test_a_keras_json_that_cannot_be_read_is_as_good_as_none(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_json() == {}
    for text, contents in (("{", {}), ("[1]", {}), ('{"backend": "jax"}', {"backend": "jax"})):
        (tmp_path / "keras.json").write_text(text, encoding="utf-8")
        assert keras_json() == contents


# ---- proxies -------------------------------------------------------------------------------------


@pytest.fixture
def server():
    """The address of a server on this machine."""
    handler = http.server.SimpleHTTPRequestHandler
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


LESSON = "from utils.course.settings import settings; settings(seed=1)"
ALONE = "from utils.loopback import *; bypass_proxies_for_loopback()"


@pytest.mark.parametrize(
    ("variable", "prepare"),
    [("http_proxy", LESSON), ("HTTP_PROXY", ALONE), ("all_proxy", ALONE)],
)
def test_a_request_to_this_machine_goes_through_no_proxy(server, variable, prepare):
    code = (
        f"import os, urllib.request\n{prepare}\n"
        "import httpx, requests\n"
        "url = os.environ['SERVER']\n"
        "print(requests.get(url).status_code, httpx.get(url).status_code)\n"
        "print(urllib.request.urlopen(url).status)"
    )
    done = python(code, SERVER=server, no_proxy="", NO_PROXY="", **{variable: NOWHERE})
    assert done.stdout == "200 200\n200\n", done.stderr


def without_proxies(monkeypatch, **set_):
    """No proxy but those given."""
    for scheme in ("http", "https", "ftp", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper()):
            monkeypatch.delenv(name, raising=False)
    for name, value in set_.items():
        monkeypatch.setenv(name, value)


def test_the_exceptions_of_a_user_stay(monkeypatch):
    without_proxies(monkeypatch, https_proxy=NOWHERE, NO_PROXY="example.org,localhost")
    bypass_proxies_for_loopback()
    assert os.environ["no_proxy"] == "example.org,localhost,127.0.0.1,::1"
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"]


def test_the_proxies_of_the_system_stay(monkeypatch):
    """Once `no_proxy` is set, Python no longer asks macOS and Windows for theirs."""
    without_proxies(monkeypatch)
    monkeypatch.setattr("utils.loopback.getproxies", lambda: {"https": NOWHERE})
    bypass_proxies_for_loopback()
    assert os.environ.pop("https_proxy") == NOWHERE
    assert "127.0.0.1" in os.environ.pop("no_proxy") and os.environ.pop("NO_PROXY")


def test_without_a_proxy_nothing_is_set(monkeypatch):
    without_proxies(monkeypatch)
    monkeypatch.setattr("utils.loopback.getproxies", dict)
    bypass_proxies_for_loopback()
    assert "no_proxy" not in os.environ
