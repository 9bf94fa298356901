"""The chat server under load, beside the twenty-line endpoint with Hugging Face's transformers.

    python -m venv ../hf
    ../hf/bin/pip install torch transformers flask
    python -m benchmarks.serving ../hf/bin/python

Both serve the same weights on this machine, and one after the other meets the same clients: each
sends its next request as soon as the last one is answered, for a minute. A client that gets 429
waits as long as it is told. There are two kinds of requests: new tales (`POST /generate`), and
questions about tales, whose answers come as a stream (`POST /v1/chat/completions`).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import requests

from utils.errors import CourseError, show_one_sentence
from utils.loopback import bypass_proxies_for_loopback
from utils.quiet import import_tensorflow

OTHER_SIDE = Path(__file__).with_name("serving_transformers.py")
TOP_P = 0.8
WANTED = 4.0  # times their tokens per second


class Answer(NamedTuple):
    """What a client saw of a request."""

    status: int
    tokens: int = 0
    first: float | None = None  # seconds until the first piece
    wait: float = 0.0  # seconds to wait before the next request


Ask = Callable[[requests.Session, str, int], Answer]


@dataclass
class Load:
    """What many clients saw in a while."""

    seconds: float
    answers: list[Answer] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)  # of the server, one each second

    @property
    def statuses(self) -> dict[int, int]:
        """How often each status came; 0 for a connection that broke."""
        return dict(sorted(Counter(answer.status for answer in self.answers).items()))

    @property
    def speed(self) -> float:
        """Tokens per second, of all clients together."""
        return sum(answer.tokens for answer in self.answers) / self.seconds

    @property
    def first_p95(self) -> float:
        """Seconds to the first piece of an answer, which one in twenty exceeds."""
        return float(np.percentile([a.first for a in self.answers if a.first is not None], 95))


def measure(url: str, pid: int, ask: Ask, clients: int, seconds: float) -> Load:
    """Let many clients ask at once.

    Args:
        url: the address of the server.
        pid: its process, whose memory is watched.
        ask: a function that makes request number so-and-so.
        clients: the number of clients at once.
        seconds: the time after which no new request is begun.
    """
    load, numbers, start = Load(0.0), count(), time.monotonic()

    def client(_: int) -> None:
        with requests.Session() as session:
            while time.monotonic() - start < seconds:
                try:
                    answer = ask(session, url, next(numbers))
                except requests.RequestException:
                    answer = Answer(0, wait=0.1)
                load.answers.append(answer)
                time.sleep(answer.wait)

    done = threading.Event()

    def watch() -> None:
        process = psutil.Process(pid)
        while not done.wait(1):
            load.megabytes.append(process.memory_info().rss / 2**20)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    load.seconds = time.monotonic() - start
    done.set()
    watcher.join()
    return load


# ---- this course ---------------------------------------------------------------------------------


def refused(response: requests.Response) -> Answer:
    """What came instead of a text."""
    return Answer(response.status_code, wait=float(response.headers.get("Retry-After", 0.1)))


def ask_for_tale(num_tokens: Callable[[str], int]) -> Ask:
    """A new tale."""

    def ask(session: requests.Session, url: str, number: int) -> Answer:
        body: Any = {"text": "", "top_p": TOP_P, "seed": number}
        response = session.post(f"{url}/generate", json=body)
        if response.status_code != 200:
            return refused(response)
        return Answer(200, num_tokens(response.json()["generated_text"]))

    return ask


def ask_in_chat(chats: Sequence[list[dict]], model: str) -> Ask:
    """A question about a tale, answered as a stream."""

    def ask(session: requests.Session, url: str, number: int) -> Answer:
        start, first, tokens = time.monotonic(), None, 0
        body: Any = {"model": model, "messages": chats[number % len(chats)], "top_p": TOP_P}
        body |= {"seed": number, "stream": True, "stream_options": {"include_usage": True}}
        path = f"{url}/v1/chat/completions"
        with session.post(path, json=body, stream=True) as response:
            if response.status_code != 200:
                return refused(response)
            for line in response.iter_lines():
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                if event["choices"] and event["choices"][0]["delta"].get("content"):
                    first = first or time.monotonic() - start
                tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
        return Answer(200, tokens, first)

    return ask


@contextmanager
def our_server(arguments: Sequence[str]):
    """The course's server; its address and its process."""
    command = [sys.executable, "-m", "utils.serving", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            if "http://" not in line:
                raise CourseError("The course's server did not start: see above.")
            yield line.split()[1], process.pid
        finally:
            process.terminate()


# ---- the twenty lines ----------------------------------------------------------------------------


def ask_twenty_lines(prompts: Sequence[list[int]], context: int, ends: Sequence[int]) -> Ask:
    """The same prompts, as ids."""

    def ask(session: requests.Session, url: str, number: int) -> Answer:
        body: Any = {"ids": prompts[number % len(prompts)], "max_length": context, "top_p": TOP_P}
        response = session.post(f"{url}/generate", json=body | {"ends": list(ends)})
        if response.status_code != 200:
            return refused(response)
        return Answer(200, sum(i not in ends for i in response.json()["ids"]))

    return ask


def as_hugging_face(preset: str, end_id: int, folder: Path) -> Path:
    """Write a preset's weights in Hugging Face's format."""
    import keras_nlp
    from safetensors.numpy import save_file

    from benchmarks.parity import config_of, lesson_7

    lesson = lesson_7()
    backbone = keras_nlp.models.GPT2CausalLM.from_preset(preset).backbone
    config = config_of(lesson, backbone.num_layers, backbone.num_heads, backbone.hidden_dim)
    config |= {"n_positions": backbone.max_sequence_length, "vocab_size": backbone.vocabulary_size}
    config |= {"bos_token_id": end_id, "eos_token_id": end_id}
    weights = {key: np.ascontiguousarray(a) for key, a in lesson.as_published(backbone).items()}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@contextmanager
def their_server(python: str, folder: Path):
    """The other server; its address, its process and its versions."""
    try:
        process = subprocess.Popen([python, OTHER_SIDE, folder], stdout=subprocess.PIPE, text=True)
    except OSError as error:
        raise CourseError(f"{python} cannot be started: {error.strerror}.") from error
    with process:
        assert process.stdout
        try:
            port, _, versions = process.stdout.readline().strip().partition(" ")
            if not port:
                raise CourseError(
                    f"{python} failed: it needs torch, transformers and flask, installed with"
                    f" `{python} -m pip install torch transformers flask`."
                )
            yield f"http://127.0.0.1:{port}", process.pid, versions
        finally:
            process.kill()


# ---- the comparison ------------------------------------------------------------------------------


def show(name: str, load: Load) -> None:
    """Print what came of a load."""
    print(f"  {name:12} {load.speed:7,.0f} tokens/s", end="")
    if any(answer.first is not None for answer in load.answers):
        print(f", first piece p95 {load.first_p95:.2f} s", end="")
    warm = load.megabytes[len(load.megabytes) // 6 :] or [0.0]  # without the first ten seconds
    print(f"; memory {warm[0]:,.0f} to {warm[-1]:,.0f} MB; statuses {load.statuses}", flush=True)


def main() -> int:
    """Measure the server under load; exit code 1 if it fails, or is slower than it should be."""
    sys.excepthook = show_one_sentence
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=main.__doc__)
    parser.add_argument(
        "python", help="the Python of an environment with torch, transformers, flask"
    )
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    bypass_proxies_for_loopback()
    import_tensorflow()
    from utils.data.bpe import Tokenizer
    from utils.data.chat_template import Template
    from utils.data.keras_tokenizers import folder as folder_of
    from utils.small_chat import CORPORA, chat_run, held_out_questions
    from utils.small_gpt2 import pretrained

    tokenizer = Tokenizer.load(folder_of("en"))
    template, base, chat = Template(tokenizer), pretrained(CORPORA["en"]), chat_run("en")
    end_id, questions = tokenizer.end_id, held_out_questions("en")
    chats = [[asdict(message) for message in question.messages] for question in questions]
    prompts = [template.prompt(question.messages) for question in questions]
    tale = ask_for_tale(lambda text: len(tokenizer.encode(text)))
    loads: dict[str, list[Load]] = {"new tales": [], "questions": []}
    many = (args.clients, args.seconds)
    with our_server([]) as (url, pid):
        loads["new tales"].append(measure(url, pid, tale, *many))
        loads["questions"].append(measure(url, pid, ask_in_chat(chats, "small-chat-en"), *many))
    ends = [end_id, *template.role_ids.values()]
    theirs = [
        ("new tales", base.preset, ask_twenty_lines([[end_id]], 256, [end_id])),
        ("questions", chat.preset, ask_twenty_lines(prompts, 256, ends)),
    ]
    with tempfile.TemporaryDirectory() as temporary:
        for name, preset, ask in theirs:
            folder = as_hugging_face(preset, end_id, Path(temporary) / name)
            with their_server(args.python, folder) as (url, pid, versions):
                loads[name].append(measure(url, pid, ask, *many))
    print(f"{args.clients} clients, {args.seconds:.0f} s; twenty lines with {versions}")
    good = True
    for name, (ours, other) in loads.items():
        print(name)
        show("this course", ours)
        show("twenty lines", other)
        print(f"  {ours.speed / other.speed:.1f} times")
        good = good and ours.speed >= WANTED * other.speed and set(ours.statuses) <= {200, 429}
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
