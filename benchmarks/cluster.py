"""The same training in one process, and in one, two and three on JAX; then one of two is killed.

    python -m benchmarks.cluster

Each training begins with the same weights and sees the same batches, so the losses must be the same
but for rounding. The one whose process is killed goes on in three. JAX must be installed.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from utils.command_line import run, whole_number
from utils.data.corpora import NAMES, Corpus, load_corpus
from utils.distributed.peers import ClusterError
from utils.distributed.together import Place, train
from utils.models.sizes import ModelSize
from utils.training.checkpoints import newest_step
from utils.training.pretraining import identity_of, pretrain
from utils.training.recipes import Recipe
from utils.training.runs import Run

SIZE = ModelSize(layers=1, heads=1, width=32, feed_forward=128, context=64)
BATCH_SIZE = 12  # divisible by 1, 2 and 3


def main() -> None:
    """Train five times, and print the losses side by side."""
    parser = argparse.ArgumentParser(description="The same training in several processes.")
    parser.add_argument("--corpus", choices=NAMES, default="python_docs")
    parser.add_argument("--steps", type=whole_number(20), default=60)
    args = parser.parse_args()
    recipe = Recipe(args.steps, BATCH_SIZE, vocabulary_size=512, size=SIZE)
    corpus = load_corpus(args.corpus, recipe.vocabulary_size)

    def together(number: int) -> Run:
        finished = train(args.corpus, corpus, recipe, (), Place(number))
        assert finished is not None
        return finished

    runs = {"TensorFlow": anew(lambda: pretrain(corpus, recipe))}
    for number in (1, 2, 3):
        runs[f"{number} on JAX"] = anew(lambda number=number: together(number))  # type: ignore[misc]
    runs["2, then 3"] = anew(lambda: interrupted(corpus, recipe, together))
    report(runs)


def anew(make: Callable[[], Run]) -> Run:
    """What `make` trains in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COURSE_CHECKPOINTS"] = folder
        return make()


def interrupted(corpus: Corpus, recipe: Recipe, together: Callable[[int], Run]) -> Run:
    """A training in two processes, of which one is killed half-way; it goes on in three."""
    folder, killed = identity_of(corpus, recipe).folder, threading.Event()
    died = threading.Thread(target=kill_one, args=[folder, recipe.steps // 2, killed], daemon=True)
    died.start()
    try:
        together(2)
    except ClusterError as error:
        print(f"\n{error}\n")
    assert killed.is_set(), "nobody was killed"
    return together(3)


def kill_one(folder: Path, step: int, killed: threading.Event) -> None:
    """Kill a process with SIGKILL, as soon as there is a checkpoint of a step or a later one."""
    while newest_step(folder) < step:
        time.sleep(0.02)
    children = psutil.Process().children()
    workers = [child for child in children if "utils.distributed.worker" in child.cmdline()]
    workers[-1].kill()
    killed.set()


def report(runs: dict[str, Run]) -> None:
    """Print the validation losses at every other evaluation, and how far they are apart."""
    print("\nvalidation loss  " + "".join(f"{name:>14}" for name in runs))
    histories = [run.history for run in runs.values()]
    for entries in list(zip(*histories, strict=True))[1::4]:
        row = "".join(f"{entry['validation_loss']:14.6f}" for entry in entries)
        print(f"after step {entries[0]['step']:5} {row}")
    final = [run.validation_loss for run in runs.values()]
    print("all of the text  " + "".join(f"{loss:14.6f}" for loss in final))
    print(f"largest difference at the end: {max(final) - min(final):.1e} nats per token")


if __name__ == "__main__":
    run(main)
