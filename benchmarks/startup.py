"""How long does a learner wait?  `make bench` measures it on this machine; `--help` lists the rest.

Prints one line for each thing that is timed, in seconds of wall time, as a whole process: until a
lesson shows its flags, until TensorFlow and Keras are imported, and until each lesson has run.
Start it on a quiet machine; the shortest of `--repeats` runs counts.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "codes").glob("[0-9][0-9]_*.py"))


def seconds(arguments: list[str], repeats: int) -> float:
    """The shortest wall time of a Python process with these arguments, in seconds."""
    times = []
    with tempfile.TemporaryDirectory() as folder:  # figures go there
        for _ in range(repeats):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, *arguments], cwd=folder, check=True, capture_output=True
            )
            times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Time everything, or with --quick all but the lessons."""
    parser = argparse.ArgumentParser(description="How long does a learner wait?")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--quick", action="store_true", help="leave out the lessons themselves")
    options = parser.parse_args()
    tasks = {
        "Python alone": ["-c", "pass"],
        "the flags of a lesson": [str(LESSONS[-1]), "--help"],
        "import of TensorFlow and Keras": ["-c", "import tensorflow, keras"],
        "import of keras_nlp": ["-c", "import keras_nlp"],
        "the doctor": ["-m", "utils.doctor"],
    }
    if not options.quick:
        tasks |= {path.stem: [str(path)] for path in LESSONS}
    print(
        f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, best of {options.repeats}"
    )
    for name, arguments in tasks.items():
        print(f"{name:32} {seconds(arguments, options.repeats):7.2f} s", flush=True)


if __name__ == "__main__":
    main()
