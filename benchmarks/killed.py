"""Kill a training ten times with SIGKILL; is the model the same as that of a training left alone?

    python -m benchmarks.killed
    python -m benchmarks.killed --dialogues my.jsonl --steps 400    # a fine-tuning instead

trains the small GPT-2 on Python's own help texts twice, for `--steps` steps: once in one piece, and
once killed at ten random moments and started again each time. Then it compares all arrays of the
last checkpoints, bit for bit.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def train(folder: Path, command: list[str], kill_after: float | None = None) -> bool:
    """Train in a process of its own; True if it came to the end before it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, "COURSE_CHECKPOINTS": str(folder)},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        code = process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False
    if code != 0:
        sys.exit(f"{' '.join(command)} failed with exit code {code}.")
    return True


def last_step(folder: Path) -> int:
    """The step of the newest checkpoint; 0 if there is none."""
    return max((int(path.stem[-7:]) for path in folder.rglob("checkpoint-*.npz")), default=0)


def weights(folder: Path) -> list[np.ndarray]:
    """All arrays of the newest checkpoint: the weights, and what the optimizer remembers."""
    newest = max(folder.rglob("checkpoint-*.npz"), key=lambda path: path.stem)
    with np.load(newest, allow_pickle=False) as data:
        return [data[name] for name in sorted(data.files)]


def main() -> None:
    """Run both trainings and print what the kills did and whether the weights agree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.killed", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=200, help="gradient steps (default 200)")
    parser.add_argument("--kills", type=int, default=10, help="(default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    parser.add_argument(
        "--between",
        type=float,
        nargs=2,
        default=(0.1, 0.35),
        metavar="SHARE",
        help="kill after so much of the time of a whole run (default 0.1 0.35)",
    )
    parser.add_argument(
        "--dialogues", type=os.path.abspath, help="a JSONL file: fine-tune on it instead"
    )
    args = parser.parse_args()
    command = ["utils.small_gpt2", "--corpus", "python_docs"]
    if args.dialogues:
        from utils.small_gpt2 import pretrained

        base = pretrained().preset
        command = ["utils.small_chat", "--dialogues", args.dialogues, "--base", base]
    command += ["--steps", str(args.steps)]
    moments = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        alone, killed = Path(name, "alone"), Path(name, "killed")
        alone.mkdir()
        killed.mkdir()
        start = time.monotonic()
        train(alone, command)
        whole = time.monotonic() - start
        print(f"in one piece: {whole:.0f} s", flush=True)
        for number in range(1, args.kills + 1):
            # Somewhere from the start of the process to shortly after its first new checkpoints.
            if train(killed, command, moments.uniform(*args.between) * whole):
                print(f"kill {number:2}: came too late, the training had ended")
                break
            print(f"kill {number:2}: at or after step {last_step(killed)}", flush=True)
        train(killed, command)
        pairs = list(zip(weights(alone), weights(killed), strict=True))
        equal = sum(np.array_equal(a, b) for a, b in pairs)
        print(f"arrays that are equal bit for bit: {equal} of {len(pairs)}")
        sys.exit(0 if equal == len(pairs) else 1)


if __name__ == "__main__":
    main()
