"""python -m utils.tales: print tales, with their questions, or write the corpus to files."""

from __future__ import annotations

import argparse

from utils.command_line import OneSentenceParser, any_path, one_of, run, whole_number
from utils.tales.corpus import describe, write
from utils.tales.questions import Question
from utils.tales.story import LANGUAGES, tell


def main(words: list[str] | None = None) -> None:
    """Print tales, with their questions, or write the corpus to files."""
    parser = OneSentenceParser(prog="python -m utils.tales", description=main.__doc__)
    parser.add_argument(
        "--language", type=one_of(*LANGUAGES), default="en", help="en or zh (default: en)"
    )
    parser.add_argument(
        "--stories", type=whole_number(1), help="number of tales (default: 1; with --write, all)"
    )
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="number of the first tale (default: 0)"
    )
    parser.add_argument(
        "--questions", action="store_true", help="print the questions of each tale too"
    )
    parser.add_argument(
        "--write", type=any_path(), metavar="DIR", help="write train, validation and test files"
    )
    parser.add_argument("--describe", action="store_true", help="print the corpus in numbers")
    args = parser.parse_args(words)
    if args.write:
        _write(parser, args)
    elif args.describe:
        print(describe(args.language))
    else:
        _print(args)


def _write(parser: OneSentenceParser, args: argparse.Namespace) -> None:
    try:
        paths = write(args.write, args.language, args.stories)
    except OSError as error:
        parser.error(f"cannot write to {args.write} ({error.strerror})")
    for path in paths:
        print(f"{path}  {path.stat().st_size:,} bytes")


def _print(args: argparse.Namespace) -> None:
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
    run(main)
