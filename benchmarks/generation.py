"""Tokens a second when generating, beside keras-nlp, Hugging Face's transformers and CTranslate2.

    python -m venv ../hf
    ../hf/bin/pip install torch transformers ctranslate2
    python -m benchmarks.generation ../hf/bin/python

All write whole sequences with the same random weights and the same settings, in turns, so that
whatever else the machine does hits all alike. The first call of each, which may compile, is
reported apart. transformers and CTranslate2 run in an environment of their own, each in a process
that waits between its turns.

The exit code is 1 if the course is slower beside transformers than it should be, or if the
likeliest text differs from that of transformers or CTranslate2 in float32. CTranslate2 is written
in C++ for speed; its speed is printed, and nothing is demanded of it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import numpy as np

from utils.errors import CourseError, show_one_sentence
from utils.quiet import import_tensorflow

PEERS = ["transformers", "ctranslate2"]  # each has its generation_NAME.py
PAUSE = 0.5  # seconds between turns: idle threads of a peer spin for a while before they sleep
PROMPT = [5, 3, 8, 13, 21, 34, 55, 89]
SAMPLING = {"temperature": 0.9, "top_k": 40, "top_p": 0.95}
SMALL = {"layers": 2, "heads": 2, "width": 128, "context": 256, "vocabulary": 1536}
GPT2_124M = {"layers": 12, "heads": 12, "width": 768, "context": 1024, "vocabulary": 50257}
# name, shape, batch, new tokens, repetitions, and at least so many times transformers' speed: less
# for a text of 124M that has only begun, which takes little longer than to read the weights
CASES = [
    ("small, batch 1", SMALL, 1, 248, 9, 4.0),
    ("small, batch 16", SMALL, 16, 248, 7, 2.0),
    ("124M, batch 1, begun", GPT2_124M, 1, 56, 5, 1.25),
    ("124M, batch 1, whole context", GPT2_124M, 1, 1016, 3, 1.5),
]
LONG = 500  # new tokens; from here on keras-nlp, over a minute for a text of 124M, is left out
CHECKED = 248  # new tokens that are compared with those of the peers, at most


class Peer:
    """Another program, in a process of its own.

    Args:
        python: the Python of the environment in which it is installed.
        script: its side of the conversation.

    Raises:
        CourseError: if that Python cannot be started, or lacks what the script imports.
    """

    def __init__(self, python: str, script: Path):
        try:
            self.process = subprocess.Popen(
                [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise CourseError(f"{python} cannot be started: {error.strerror}.") from error
        assert self.process.stdin and self.process.stdout  # they are pipes
        self.tasks, self.answers = self.process.stdin, self.process.stdout
        self.python = python
        self.versions = self._answer()["versions"]

    def ask(self, **task) -> dict:
        """Send a task and wait for its answer."""
        print(json.dumps(task), file=self.tasks, flush=True)
        return self._answer()

    def close(self) -> None:
        """Let the process end."""
        self.tasks.close()
        self.process.wait()

    def _answer(self) -> dict:
        line = self.answers.readline()
        if not line:
            raise CourseError(
                f"{self.python} failed: it needs torch, transformers and ctranslate2, installed"
                f" with `{self.python} -m pip install torch transformers ctranslate2`."
            )
        return json.loads(line)


def make_model(shape: dict, folder: Path):
    """A random GPT-2 in Hugging Face's format, and the same weights in keras-nlp."""
    import keras_nlp
    from safetensors.numpy import save_file

    from benchmarks.parity import config_of, lesson_7

    lesson, rng = lesson_7(), np.random.default_rng(7)
    config = config_of(lesson, shape["layers"], shape["heads"], shape["width"])
    config |= {"n_positions": shape["context"], "vocab_size": shape["vocabulary"]}
    config |= {"bos_token_id": None, "eos_token_id": None}
    weights = {
        name: (rng.normal(size=array) / 20).astype("float32")
        for name, array in lesson.shapes(config).items()
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return keras_nlp.models.GPT2CausalLM.from_preset(str(folder), preprocessor=None)


def memory_bandwidth() -> float:
    """GB/s that two threads read from memory: the best of several passes over 800 MB."""
    halves = np.split(np.ones(200_000_000, "float32"), 2)
    best = np.inf
    with ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            start = perf_counter()
            list(pool.map(np.max, halves))
            best = min(best, perf_counter() - start)
    return sum(half.nbytes for half in halves) / best / 1e9


def programs(model, shape: dict, peers: dict[str, Peer], batch: int, new: int) -> dict:
    """For each program a function that takes a seed, writes, and returns the seconds it took."""
    import keras_nlp

    from utils.generation.generator import Generator

    generator, length = Generator(model, end_id=-2), len(PROMPT) + new
    ids = np.zeros((batch, length), "int32")
    ids[:, : len(PROMPT)] = PROMPT
    mask = np.arange(length) < np.full((batch, 1), len(PROMPT))
    sampler = keras_nlp.samplers.TopPSampler(
        p=SAMPLING["top_p"], k=SAMPLING["top_k"], temperature=SAMPLING["temperature"]
    )
    model.compile(sampler=sampler, jit_compile=shape is SMALL)  # off is faster for the large one

    def course(seed):
        generator([PROMPT] * batch, length, seed=seed, **SAMPLING)

    def keras_nlp_s(seed):
        model.generate({"token_ids": ids, "padding_mask": mask}, stop_token_ids=None)

    def timed(write):
        def run(seed):
            start = perf_counter()
            write(seed)
            return perf_counter() - start

        return run

    def of_peer(peer, **options):
        task = {"prompt": PROMPT, "batch": batch, "new": new, "sampling": SAMPLING, **options}
        return lambda seed: peers[peer].ask(seed=seed, **task)["seconds"]

    ours = {"this course": timed(course), "keras-nlp": timed(keras_nlp_s)}
    if new > LONG:
        del ours["keras-nlp"]
    return ours | {
        "transformers": of_peer("transformers"),
        "CTranslate2 float32": of_peer("ctranslate2", precision="float32"),
        "CTranslate2 int8": of_peer("ctranslate2", precision="int8"),
    }


def check_same(model, peers: dict[str, Peer], new: int) -> bool:
    """Print whether the likeliest text is that of each peer in float32; True if it is."""
    from utils.generation.generator import Generator

    ours = Generator(model, end_id=-2)([PROMPT], len(PROMPT) + new, top_k=1)
    task = {"prompt": PROMPT, "batch": 1, "new": new, "seed": 0, "rows": True}
    task |= {"sampling": {"top_k": 1}, "precision": "float32"}
    same = {name: peer.ask(**task)["rows"] == ours for name, peer in peers.items()}
    print(f"  likeliest text, {new} tokens, the same in", end=" ")
    print(", ".join(f"{name}: {is_same}" for name, is_same in same.items()))
    return all(same.values())


def measure(runs: dict[str, Callable], repetitions: int) -> tuple[dict, dict]:
    """The seconds of each program's first call, and the median of the others."""
    seconds: dict[str, list[float]] = {program: [] for program in runs}
    for seed in range(1 + repetitions):
        for program, run in runs.items():
            sleep(PAUSE)
            seconds[program].append(run(seed))
    first = {program: times[0] for program, times in seconds.items()}
    return first, {program: median(times[1:]) for program, times in seconds.items()}


def compare(name, shape, batch, new, repetitions, wanted, peers, folder, bandwidth) -> bool:
    """Run one case and print it; True if it is fast enough, and right."""
    print(f"{name}: {new} new tokens in each row, medians of {repetitions}")
    model = make_model(shape, folder)
    for peer in peers.values():
        peer.ask(folder=str(folder))
    same = check_same(model, peers, min(new, CHECKED))
    first, seconds = measure(programs(model, shape, peers, batch, new), repetitions)
    for program, time in seconds.items():
        ratio = seconds["transformers"] / time
        print(f"  {program:19} {batch * new / time:8,.0f} tokens/s {ratio:6.2f} times", end="")
        print(f"   (first call {first[program]:.1f} s)")
    if batch == 1:
        read = 4 * (model.count_params() - shape["context"] * shape["width"])  # no positions
        rate = read * new / seconds["this course"] / 1e9
        print(f"  weights read at {rate:.1f} GB/s, {rate / bandwidth:.0%} of {bandwidth:.1f} GB/s")
    return same and seconds["transformers"] / seconds["this course"] >= wanted


def main() -> int:
    """Compare the speed of generation; exit code 1 if ours is slower than it should be."""
    sys.excepthook = show_one_sentence
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generation", description=main.__doc__
    )
    parser.add_argument(
        "python", help="the Python of an environment with torch, transformers and ctranslate2"
    )
    python, folder = parser.parse_args().python, Path(__file__).parent
    peers = {name: Peer(python, folder / f"generation_{name}.py") for name in PEERS}
    import_tensorflow()
    versions = ", ".join(peer.versions for peer in peers.values())
    print(f"beside {versions}; temperature, top-k, top-p: {list(SAMPLING.values())}")
    bandwidth = memory_bandwidth()
    with tempfile.TemporaryDirectory() as models:
        good = [
            compare(*case, peers, Path(models) / str(number), bandwidth)
            for number, case in enumerate(CASES)
        ]
    for peer in peers.values():
        peer.close()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
