"""The race to 1.10 times the floor: who trains a model that good in the least time?

    python -m benchmarks.race                                  # the course's own entry, three seeds
    python -m benchmarks.race --flags "--steps 1000"           # the same command with other flags
    python -m benchmarks.race --module my_entry --seeds 1      # a module of your own

The rules:

- An entry is a module that `python -m` runs with `--seed`, and that writes a preset into a folder
  below `COURSE_CHECKPOINTS`. It may use the training tales as it likes, and the first thousand
  validation tales.
- It is run once with each seed, and every seed has to arrive. Nobody chooses among seeds.
- What counts is the whole process, from start to exit: imports, compiling, evaluations, writing.
  Only the tales are prepared before.
- It has two cores.
- The judge are validation tales that no run of the course has ever used. Their own floor is known.

The table of `datasets/optimizers.json` is measured anew by this command; lesson 13 shows it.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.optimizers import FILE
from benchmarks.results import write
from utils.command_line import any_path
from utils.command_line import run as run_command
from utils.errors import CourseError

GOAL = 1.10  # times the floor
USED, UNUSED = 1000, 400  # validation tales: the first ones are the course's, then the judge's
CORES = 2


def judge(preset: Path) -> float:
    """The loss of a trained model on tales that nothing has used, divided by their floor."""
    import numpy as np

    from utils.data.batches import Windows
    from utils.data.corpora import load_corpus
    from utils.evaluation.losses import TokenLosses
    from utils.models.gpt2 import from_ids
    from utils.tales import corpus as stories_of
    from utils.tales import floor
    from utils.training.presets import load_preset

    tokenizer = load_corpus("tales").tokenizer
    stories = stories_of("en", "validation", USED + UNUSED)[USED:]
    ids = [tokenizer.end_id]
    for story in stories:
        ids += [*tokenizer.encode(story.text), tokenizer.end_id]
    model = load_preset(preset)
    windows = Windows(np.array(ids), model.backbone.max_sequence_length, tokenizer.end_id, True)
    rows, loss_mask = windows.in_order()
    lengths = loss_mask.sum(axis=1).astype(int).tolist()
    return TokenLosses(from_ids(model)).mean(rows, loss_mask) / floor(stories, lengths)[0]


def run_entry(module: str, flags: str, seed: int) -> dict:
    """Run an entry as a process of its own and judge its model.

    Raises:
        CourseError: if it fails or leaves no model, or more than one.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", module, "--seed", str(seed), *shlex.split(flags)]
        environment = {**os.environ, "COURSE_CHECKPOINTS": folder}
        start, before = time.perf_counter(), os.times()
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL)
        seconds, after = time.perf_counter() - start, os.times()
        presets = sorted(Path(folder).rglob("preset"))
        if done.returncode or len(presets) != 1:
            raise CourseError(f"`{shlex.join(command)}` left {len(presets)} models, not one.")
        processor = sum(after[2:4]) - sum(before[2:4])  # of child processes: user, system
        return {
            "entry": f"{module} {flags}".strip(),
            "seed": seed,
            "seconds": round(seconds, 1),
            "cpu_seconds": round(processor, 1),
            "ratio": round(judge(presets[0]), 4),
        }


def main() -> None:
    """Run an entry with each seed, print what came of it, and write it into the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--module", default="utils.small_gpt2", help="the entry")
    parser.add_argument("--flags", default="", help="its flags, in quotation marks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=any_path(), default=FILE, help="the file with the table")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # the entry inherits it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    for seed in args.seeds:
        lap = run_entry(args.module, args.flags, seed)
        print(lap_line(lap), flush=True)
        data = json.loads(args.out.read_text(encoding="utf-8"))
        same = (lap["entry"], lap["seed"])
        others = [old for old in data.get("race", []) if (old["entry"], old["seed"]) != same]
        write(args.out, data | {"race": [*others, lap]})


def lap_line(lap: dict) -> str:
    """One run of an entry, in words."""
    arrived = "arrived" if lap["ratio"] <= GOAL else "did not arrive"
    return (
        f"{lap['entry']}, seed {lap['seed']}: {lap['seconds']:.0f} s,"
        f" {lap['cpu_seconds']:.0f} CPU seconds, {lap['ratio']:.3f} times the floor, {arrived}"
    )


if __name__ == "__main__":
    run_command(main)
