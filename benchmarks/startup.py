"""How long does a learner wait?  `make bench` measures it on this machine; `--help` lists the rest.

Prints one line for each thing that is timed, in seconds of wall time, as a whole process. First how
long starting takes, the shortest of `--repeats` runs; then each lesson, once, beside the seconds it
may take. The models are trained anew, so lessons 8 and 10 include their training. Start it on a
quiet machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from utils.command_line import whole_number

ROOT = Path(__file__).resolve().parents[1]
STARTS = {
    "Python alone": ["-c", "pass"],
    "the flags of a lesson": [str(ROOT / "codes" / "08_pretraining.py"), "--help"],
    "import of TensorFlow and Keras": ["-c", "import tensorflow, keras"],
    "import of keras_nlp": ["-c", "import keras_nlp"],
    "the doctor": ["-m", "utils.doctor"],
}


def budgets() -> dict[str, int]:
    """The seconds that each lesson may take, by its name."""
    promises = (ROOT / "tests" / "promises.toml").read_text(encoding="utf-8")
    return {name: lesson["budget"] for name, lesson in tomllib.loads(promises).items()}


def seconds(arguments: list[str], folder: str) -> float:
    """The wall time of a Python process with these arguments; what it writes goes to `folder`."""
    environment = os.environ | {"COURSE_CHECKPOINTS": str(Path(folder, "checkpoints"))}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True
    )
    return time.perf_counter() - start


def main() -> None:
    """Time everything, or with --quick all but the lessons."""
    parser = argparse.ArgumentParser(description="How long does a learner wait?")
    runs = "runs of each start (default: 3)"
    parser.add_argument("--repeats", type=whole_number(1), default=3, help=runs)
    parser.add_argument("--quick", action="store_true", help="leave out the lessons themselves")
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as folder:  # of the figures and the models
        for name, arguments in STARTS.items():
            shortest = min(seconds(arguments, folder) for _ in range(options.repeats))
            print(f"{name:32} {shortest:7.2f} s", flush=True)
        for name, budget in {} if options.quick else budgets().items():
            try:
                taken = seconds([str(ROOT / "codes" / f"{name}.py")], folder)
            except subprocess.CalledProcessError as error:
                print(f"{name:32} failed:\n{error.stderr.decode(errors='replace')}", flush=True)
                continue
            over = "   over its budget" if taken > budget else ""
            print(f"{name:32} {taken:7.2f} s of {budget:3} s{over}", flush=True)


if __name__ == "__main__":
    main()
