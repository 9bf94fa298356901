"""Train byte-pair encodings side by side: this course, minbpe, and Hugging Face's tokenizers.

    python -m benchmarks.bpe FILE [--merges 1000] [--minbpe CHECKOUT]

Times are CPU seconds on one core, reading the file left out. minbpe is not installed with the
course: get https://github.com/karpathy/minbpe and name the folder.
"""

import argparse
import importlib
import json
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

from utils.data import bpe
from utils.errors import CourseError, show_one_sentence

Merges = list[bpe.Pair]


def with_course(text: str, num_merges: int) -> Merges:
    """The trainer of lesson 3."""
    return bpe.train(text, num_merges)


def minbpe_trainer(checkout: Path) -> Callable[[str, int], Merges]:
    """minbpe's trainer, with the pattern of GPT-2, from a copy of its repository.

    Raises:
        CourseError: if the folder is not such a copy.
    """
    if not (checkout / "minbpe" / "regex.py").is_file():
        raise CourseError(f"{checkout} holds no minbpe/regex.py: name a checkout of minbpe.")
    # A bare package, because its own __init__ also imports what needs tiktoken.
    package = types.ModuleType("minbpe")
    package.__path__ = [str(checkout / "minbpe")]
    sys.modules["minbpe"] = package
    module = importlib.import_module("minbpe.regex")

    def with_minbpe(text: str, num_merges: int) -> Merges:
        tokenizer = module.RegexTokenizer(module.GPT2_SPLIT_PATTERN)
        tokenizer.train(text, 256 + num_merges)
        return [(tokenizer.vocab[left], tokenizer.vocab[right]) for left, right in tokenizer.merges]

    return with_minbpe


def with_tokenizers(text: str, num_merges: int) -> Merges:
    """Hugging Face's trainer, which is compiled Rust. It breaks ties in its own way."""
    import tokenizers
    from tokenizers import models, pre_tokenizers, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + num_merges,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(_as_bytes(left), _as_bytes(right)) for left, right in merges]


def _as_bytes(token: str) -> bytes:
    return bytes(bpe.BYTE_OF[character] for character in token)


def measure(
    train: Callable[[str, int], Merges], text: str, num_merges: int
) -> tuple[float, Merges]:
    """CPU seconds, and the merges."""
    start = time.process_time()
    merges = train(text, num_merges)
    return time.process_time() - start, merges


def main() -> None:
    """Measure each trainer on the same text and print a line for it."""
    sys.excepthook = show_one_sentence
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bpe", description=main.__doc__)
    parser.add_argument("file", type=Path, help="a text in UTF-8")
    parser.add_argument("--merges", type=int, default=1000, help="how many to learn (default 1000)")
    parser.add_argument("--minbpe", type=Path, metavar="CHECKOUT", help="a checkout of minbpe")
    args = parser.parse_args()
    if args.merges < 1:
        parser.error(f"--merges must be 1 or more, not {args.merges}")
    os.environ["RAYON_NUM_THREADS"] = "1"  # one core for the Rust trainer, too

    text = bpe.read_text(args.file)
    trainers: dict[str, Callable[[str, int], Merges]]
    trainers = {"this course": with_course, "tokenizers": with_tokenizers}
    if args.minbpe:
        trainers["minbpe"] = minbpe_trainer(args.minbpe)
    print(f"{len(text.encode()):,} bytes, {args.merges:,} merges, CPU seconds on one core")
    for name, train in trainers.items():
        seconds, merges = measure(train, text, args.merges)
        if name == "this course":
            ours, our_seconds = merges, seconds
        ratio = seconds / our_seconds
        same = "the same merges" if merges == ours else f"{shared(merges, ours):.1%} of the merges"
        print(f"{name:12} {seconds:9.2f} s  {ratio:8.2f} times this course   {same}", flush=True)


def shared(merges: Merges, ours: Merges) -> float:
    """The part of our merges that another trainer has found, too, in whatever order."""
    return len(set(merges) & set(ours)) / len(ours)


if __name__ == "__main__":
    main()
