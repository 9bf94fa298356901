"""Beside nanoGPT: the time to a good model, and the speed of training, on the characters of a text.

    git clone https://github.com/karpathy/nanoGPT ../nanoGPT
    python3 -m venv ../nanoGPT/.venv
    ../nanoGPT/.venv/bin/pip install torch numpy
    make bench NANOGPT=../nanoGPT SHAKESPEARE=input.txt

The two run in turns: nanoGPT's recipe for a laptop, and ours. A time is that of a whole process,
from its start to its exit: importing, compiling, training, and all validation that the program does
itself. Both learn from the same first nine tenths of the text, and are judged on the same windows
of the last tenth, all of it; for nanoGPT, which validates on samples, that is done afterwards and
not counted.

For the speed both train one GPT-2, from the same weights, with the batch of that recipe. It has the
biases of a GPT-2. nanoGPT leaves them out by default, and does so in its recipe; how fast it is
there, stands in a column of its own.

The checkout is not changed: nanoGPT runs in a copy of its scripts.
"""

import argparse
import os
import pickle
import re
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.errors import CourseError, show_one_sentence
from utils.quiet import import_tensorflow

ROOT = Path(__file__).resolve().parents[1]
THEIR_LOSS = Path(__file__).with_name("nanogpt_loss.py")
THEIR_WEIGHTS = Path(__file__).with_name("nanogpt_weights.py")
SCRIPTS = ("train.py", "model.py", "configurator.py", "config")
# From nanoGPT's README, "I only have a macbook".
RECIPE = [
    "config/train_shakespeare_char.py",
    *("--device=cpu", "--compile=False", "--eval_iters=20", "--log_interval=1"),
    *("--block_size=64", "--batch_size=12", "--n_layer=4", "--n_head=4", "--n_embd=128"),
    *("--max_iters=2000", "--lr_decay_iters=2000", "--dropout=0.0"),
]
# Where the text is, where the model goes; and keep the last one, not the one that looked best.
PLACES = ["--dataset=text", "--out_dir=out", "--always_save_checkpoint=True"]
# For the speed: from given weights, without validation or saving on the way.
SAME_MODEL = ["--dataset=text", "--out_dir=same", "--init_from=resume", "--eval_interval=10000"]
CONTEXT, TOKENS_PER_STEP = 64, 12 * 64
STEPS_IN_A_GROUP, GROUPS = 50, 14  # as many as ours does in a call, and calls
LARGEST_DIFFERENCE = 1e-4  # of the losses of one model: its GELU differs, exact or by a tanh
SHORTEST = 10_000  # characters: a tenth of them still holds some windows


@dataclass(frozen=True)
class Pair:
    """What one run of each gave: seconds, nats per character, and training tokens a second.

    `recipe_speed` is that of nanoGPT's recipe; the other two speeds are those of the same model.
    """

    their_seconds: float
    our_seconds: float
    their_loss: float
    our_loss: float
    recipe_speed: float
    their_speed: float
    our_speed: float

    @property
    def time_ratio(self) -> float:
        """Our time in theirs."""
        return self.our_seconds / self.their_seconds

    @property
    def speed_ratio(self) -> float:
        """How many times as many tokens a second we train, of the same model."""
        return self.our_speed / self.their_speed

    @property
    def recipe_ratio(self) -> float:
        """The same beside nanoGPT's recipe, whose model has no biases."""
        return self.our_speed / self.recipe_speed


# ---- the same text for both ----------------------------------------------------------------------


def read_text(name: str) -> str:
    """A text in UTF-8.

    Raises:
        CourseError: if there is none, or too little of it.
    """
    try:
        text = Path(name).read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise CourseError(f"SHAKESPEARE={name} cannot be read ({reason}): name a file.") from None
    except UnicodeDecodeError:
        raise CourseError(f"{name} is not text in UTF-8: choose another file.") from None
    if len(text) < SHORTEST:
        raise CourseError(f"{name} has {len(text):,} characters: {SHORTEST:,} are the least.")
    return text


def prepare(text: str, folder: Path) -> None:
    """Write a text as nanoGPT reads it: ids of characters, nine tenths to train on."""
    characters = sorted(set(text))
    number = {character: i for i, character in enumerate(characters)}
    ids = np.array([number[character] for character in text], dtype="<u2")
    middle = int(0.9 * len(ids))
    folder.mkdir(parents=True)
    ids[:middle].tofile(folder / "train.bin")
    ids[middle:].tofile(folder / "val.bin")
    meta = {"vocab_size": len(characters), "stoi": number, "itos": dict(enumerate(characters))}
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta))


# ---- nanoGPT -------------------------------------------------------------------------------------


def copy_scripts(checkout: str, folder: Path) -> None:
    """Copy what nanoGPT's recipe runs.

    Raises:
        CourseError: if the folder is no checkout of nanoGPT.
    """
    missing = [name for name in SCRIPTS if not (Path(checkout) / name).exists()]
    if not checkout or missing:
        raise CourseError(
            f"NANOGPT={checkout} is no checkout of nanoGPT: get one with"
            " `git clone https://github.com/karpathy/nanoGPT`, and name its folder."
        )
    for name in SCRIPTS:
        copy = shutil.copytree if (Path(checkout) / name).is_dir() else shutil.copy
        copy(Path(checkout) / name, folder / name)


def python_with_torch(checkout: str, named: str | None) -> str:
    """The Python that is to run nanoGPT: the one that is named, or else the first that can.

    Raises:
        CourseError: if none can.
    """
    own = str(Path(checkout).resolve() / ".venv" / "bin" / "python")
    for python in [named] if named else [own, "python3", sys.executable]:
        try:
            subprocess.run([python, "-c", "import torch, numpy"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    raise CourseError(
        f"{named or 'No Python here'} has the torch that nanoGPT needs: run `python3 -m venv"
        f" {checkout}/.venv && {checkout}/.venv/bin/pip install torch numpy`, or name another"
        " Python with TORCH_PYTHON=."
    )


def speed_from_log(log: str) -> float:
    """Training tokens a second, from the lines that nanoGPT prints after each step.

    Taken as ours is taken (`benchmarks.characters`): steps in groups of fifty, and the median of
    the groups. The steps at which it validates do not count.
    """
    validating = set(re.findall(r"^step (\d+):", log, re.MULTILINE))
    steps = re.findall(r"^iter (\d+): .*time ([\d.]+)ms", log, re.MULTILINE)
    times = [float(time) for number, time in steps if number not in validating]
    groups = [times[i : i + STEPS_IN_A_GROUP] for i in range(0, len(times), STEPS_IN_A_GROUP)]
    return TOKENS_PER_STEP / (statistics.median(map(statistics.mean, groups)) / 1000)


def run(command: list[str | Path], folder: Path) -> tuple[float, str]:
    """Seconds from start to exit, and what was printed.

    Raises:
        CourseError: if the process fails.
    """
    start = time.perf_counter()
    process = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
    seconds = time.perf_counter() - start
    if process.returncode:
        reason = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise CourseError(f"{' '.join(map(str, command[:2]))} failed: {reason}")
    return seconds, process.stdout


def last_number(output: str) -> float:
    """The number that a process has printed last."""
    return float(output.split()[-1])


# ---- side by side --------------------------------------------------------------------------------


def prepare_same_model(python: str, folder: Path) -> tuple[float, float]:
    """Give both one GPT-2, and write the windows that both are judged by.

    Returns:
        its loss before any training, in nats per character: in nanoGPT, and in keras-nlp.

    Raises:
        CourseError: if the losses differ, so that it is not the same model.
    """
    import_tensorflow()
    from benchmarks import characters, training_speed

    _, ids, vocabulary_size = characters.read(folder / "data" / "text")
    windows = characters.Windows(ids, CONTEXT, end_id=0)
    rows, weights = windows.in_order()
    np.savez(folder / "windows.npz", rows=rows, weights=weights)

    model = training_speed.new_model(vocabulary_size)
    lesson_code = runpy.run_path(str(ROOT / "tests" / "lesson_code.py"))
    lesson_7 = lesson_code["definitions"]("07_gpt2", np=np)
    np.savez(folder / "weights.npz", **lesson_7.as_published(model.backbone))
    (folder / "same").mkdir()
    heads = training_speed.SIZE.heads
    run([python, THEIR_WEIGHTS, "weights.npz", "same/ckpt.pt", str(heads)], folder)
    theirs = last_number(run([python, THEIR_LOSS, "same/ckpt.pt", "windows.npz"], folder)[1])
    ours = characters.validation_loss(model, windows)
    if abs(theirs - ours) > LARGEST_DIFFERENCE:
        raise CourseError(f"It is not the same model: its loss is {theirs:.5f} and {ours:.5f}.")
    return theirs, ours


def run_pair(python: str, folder: Path) -> Pair:
    """nanoGPT, then ours, as whole processes; then the speeds of both; then nanoGPT's loss."""
    data = folder / "data" / "text"
    their_seconds, recipe_log = run([python, "train.py", *RECIPE, *PLACES], folder)
    our_seconds, our_loss = run([sys.executable, "-m", "benchmarks.characters", data], ROOT)
    steps = f"--max_iters={STEPS_IN_A_GROUP * GROUPS}"
    log = run([python, "train.py", *RECIPE, *SAME_MODEL, steps], folder)[1]
    our_speed = run([sys.executable, "-m", "benchmarks.training_speed", data], ROOT)[1]
    their_loss = run([python, THEIR_LOSS, "out/ckpt.pt", "windows.npz"], folder)[1]
    return Pair(
        their_seconds=their_seconds,
        our_seconds=our_seconds,
        their_loss=last_number(their_loss),
        our_loss=last_number(our_loss),
        recipe_speed=speed_from_log(recipe_log),
        their_speed=speed_from_log(log),
        our_speed=last_number(our_speed),
    )


def main() -> None:
    """Train both alternately, print a line for each pair, then the medians of the ratios."""
    sys.excepthook = show_one_sentence
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nanogpt", description=main.__doc__)
    parser.add_argument("checkout", help="a folder with nanoGPT")
    parser.add_argument("text", help="a text in UTF-8, for example tiny Shakespeare")
    parser.add_argument("--python", help="a Python with torch and numpy")
    parser.add_argument("--pairs", type=int, default=3, help="how often each runs (default 3)")
    args = parser.parse_args()
    if args.pairs < 1:
        parser.error(f"--pairs must be 1 or more, not {args.pairs}")
    text = read_text(args.text)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_scripts(args.checkout, folder)
        python = python_with_torch(args.checkout, args.python)
        prepare(text, folder / "data" / "text")
        their_start, our_start = prepare_same_model(python, folder)
        print(f"{len(text):,} characters, {len(set(text))} different; {os.cpu_count()} processors")
        print(f"the same model has a loss of {their_start:.5f} in nanoGPT, {our_start:.5f} in ours")
        print("            seconds           validation loss    training tokens a second     load")
        print("      nanoGPT  ours  ratio    nanoGPT   ours     recipe nanoGPT    ours  ratio")
        pairs = []
        for number in range(1, args.pairs + 1):
            pairs.append(run_pair(python, folder))
            print(line(number, pairs[-1]), flush=True)
    print(f"median of the times' ratios {statistics.median(p.time_ratio for p in pairs):.2f}")
    print(f"median of the speeds' ratios {statistics.median(p.speed_ratio for p in pairs):.2f}")
    print(f"beside the recipe, no biases {statistics.median(p.recipe_ratio for p in pairs):.2f}")


def line(number: int, pair: Pair) -> str:
    """The line of a pair, with the load of the machine over the last minute."""
    return (
        f"{number:<5} {pair.their_seconds:7.1f} {pair.our_seconds:5.1f} {pair.time_ratio:6.2f}"
        f"    {pair.their_loss:7.4f} {pair.our_loss:6.4f}    {pair.recipe_speed:7,.0f}"
        f" {pair.their_speed:7,.0f} {pair.our_speed:7,.0f} {pair.speed_ratio:6.2f}"
        f"  {os.getloadavg()[0]:5.1f}"
    )


if __name__ == "__main__":
    main()
