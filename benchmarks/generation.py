"""How fast does it write?  Tokens a second beside keras-nlp and Hugging Face's transformers.

    python -m venv ../hf
    ../hf/bin/pip install torch transformers
    python -m benchmarks.generation ../hf/bin/python

All write whole sequences with the same random weights and the same settings, in turns, so that
whatever else the machine does hits all alike. The first call of each, which compiles, is reported
apart. transformers runs in its own environment, in a second process that waits between its turns.
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
from time import perf_counter

import numpy as np

from utils.errors import CourseError, show_one_sentence
from utils.quiet import import_tensorflow

OTHER_SIDE = Path(__file__).with_name("generation_transformers.py")
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
LONG = 500  # so many new tokens are not asked of keras-nlp: over a minute for each text of 124M
CHECKED = 248  # new tokens that are compared with those of transformers, at most


class Transformers:
    """The other process.

    Raises:
        CourseError: if that Python cannot be started, or lacks torch or transformers.
    """

    def __init__(self, python: str):
        try:
            self.process = subprocess.Popen(
                [python, OTHER_SIDE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise CourseError(f"{python} cannot be started: {error.strerror}.") from error
        assert self.process.stdin and self.process.stdout  # they are pipes
        self.tasks, self.answers = self.process.stdin, self.process.stdout
        self.python = python
        self.versions = self._answer()["versions"]

    def ask(self, **task) -> dict:
        """Send a task, wait for its answer."""
        print(json.dumps(task), file=self.tasks, flush=True)
        return self._answer()

    def _answer(self) -> dict:
        assert self.process.stdout
        line = self.answers.readline()
        if not line:
            raise CourseError(
                f"{self.python} failed: it needs torch and transformers, installed with"
                f" `{self.python} -m pip install torch transformers`."
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


def writers(model, shape: dict, other: Transformers, batch: int, new: int) -> dict[str, Callable]:
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

    def ours(seed):
        return generator([PROMPT] * batch, length, seed=seed, **SAMPLING)

    def keras_nlp_s(seed):
        return model.generate({"token_ids": ids, "padding_mask": mask}, stop_token_ids=None)

    def transformers_s(seed):
        task = {"prompt": PROMPT, "batch": batch, "new": new, "seed": seed}
        return other.ask(**task, sampling={"do_sample": True, **SAMPLING})["seconds"]

    def timed(write):
        def run(seed):
            start = perf_counter()
            write(seed)
            return perf_counter() - start

        return run

    programs = {"this course": timed(ours), "keras-nlp": timed(keras_nlp_s)}
    if new > LONG:
        del programs["keras-nlp"]
    return programs | {"transformers": transformers_s}


def check_same(model, other: Transformers, new: int) -> bool:
    """Print whether the likeliest text is the same with transformers; True if it is."""
    from utils.generation.generator import Generator

    length = len(PROMPT) + new
    ours = Generator(model, end_id=-2)([PROMPT], length, top_k=1)[0]
    task = {"prompt": PROMPT, "batch": 1, "new": new, "seed": 0, "rows": True}
    theirs = other.ask(**task, sampling={"do_sample": False})["rows"][0]
    print(f"  likeliest text, {new} tokens: the same as transformers': {ours == theirs}")
    return ours == theirs


def compare(name, shape, batch, new, repetitions, wanted, other, folder, bandwidth) -> bool:
    """Run one case and print it; True if it is fast enough, and right."""
    print(f"{name}: {new} new tokens in each row, medians of {repetitions}")
    model = make_model(shape, folder)
    other.ask(folder=str(folder))
    same = check_same(model, other, min(new, CHECKED))
    programs = writers(model, shape, other, batch, new)
    first = {program: run(0) for program, run in programs.items()}
    seconds: dict[str, list[float]] = {program: [] for program in programs}
    for seed in range(repetitions):
        for program, run in programs.items():
            seconds[program].append(run(seed))
    reference = median(seconds["transformers"])
    for program, times in seconds.items():
        rate, ratio = batch * new / median(times), reference / median(times)
        print(f"  {program:13} {rate:8,.0f} tokens/s {ratio:6.2f} times", end="")
        print(f"   (first call {first[program]:.1f} s)")
    if batch == 1:
        read = 4 * (model.count_params() - shape["context"] * shape["width"])  # no positions
        rate = read * new / median(seconds["this course"]) / 1e9
        print(f"  weights read at {rate:.1f} GB/s, {rate / bandwidth:.0%} of {bandwidth:.1f} GB/s")
    return same and reference / median(seconds["this course"]) >= wanted


def main() -> int:
    """Compare the speed of generation; exit code 1 if ours is slower than it should be."""
    sys.excepthook = show_one_sentence
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generation", description=main.__doc__
    )
    parser.add_argument("python", help="the Python of an environment with torch and transformers")
    other = Transformers(parser.parse_args().python)
    import_tensorflow()
    print(f"beside {other.versions}; temperature, top-k, top-p: {list(SAMPLING.values())}")
    bandwidth = memory_bandwidth()
    with tempfile.TemporaryDirectory() as folder:
        good = [
            compare(*case, other, Path(folder) / str(number), bandwidth)
            for number, case in enumerate(CASES)
        ]
    assert other.process.stdin
    other.tasks.close()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
