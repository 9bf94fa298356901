"""python -m utils.tales: print tales, with their questions, or write the corpus to files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from utils.tales.corpus import describe, write
from utils.tales.questions import Question
from utils.tales.story import LANGUAGES, tell


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message}; see python -m utils.tales --help\n")


def _at_least(lowest: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < lowest:
            raise argparse.ArgumentTypeError(
                f"needs a whole number of at least {lowest}, not {text!r}"
            )
        return int(text)

    return number


def main(words: list[str] | None = None) -> None:
    """Run the command; a wrong value ends it with code 2 and one sentence."""
    parser = _Parser(prog="python -m utils.tales", description=__doc__, allow_abbrev=False)
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="default: en")
    parser.add_argument(
        "--stories", type=_at_least(1), help="how many (default: 1; with --write, all)"
    )
    parser.add_argument(
        "--seed", type=_at_least(0), default=0, help="number of the first tale (default: 0)"
    )
    parser.add_argument(
        "--questions", action="store_true", help="print the questions of each tale too"
    )
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="write train, validation and test files"
    )
    parser.add_argument("--describe", action="store_true", help="print the corpus in numbers")
    args = parser.parse_args(words)
    if args.write:
        _write(parser, args)
    elif args.describe:
        print(describe(args.language))
    else:
        _print(args)


def _write(parser: _Parser, args: argparse.Namespace) -> None:
    try:
        paths = write(args.write, args.language, args.stories)
    except OSError as error:
        parser.error(f"cannot write to {args.write}: {error.strerror}")
    for path in paths:
        print(f"{path}  {path.stat().st_size:,} bytes")


def _print(args: argparse.Namespace) -> None:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # Windows would use a code page without 汉字
    for seed in range(args.seed, args.seed + (args.stories or 1)):
        story = tell(args.language, seed)
        print(story.text, end="\n\n")
        if args.questions:
            for question in story.questions:
                _print_question(question)
            print()


def _print_question(question: Question, indent: str = "  ") -> None:
    print(f"{indent}{question.kind}: {' / '.join(question.phrasings)}  ->  {question.answer}")
    for follow_up in question.follow_ups:
        _print_question(follow_up, indent + "    ")


if __name__ == "__main__":
    main()
