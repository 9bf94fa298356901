"""Train a classifier on your own table.

python -m utils.tasks my.csv                            # columns text and label, in UTF-8
python -m utils.tasks my.csv --predict "a new text"     # the label of a text
python -m utils.tasks my.csv --predict more.txt         # of each line of a file

It compares a small GPT-2 with classifiers that count words, on texts that none of them has seen,
and predicts with the one that it recommends.
What has been trained is kept: with the same table and settings it is only read.
"""

import os
import sys
from pathlib import Path

from utils.command_line import OneSentenceParser, any_path, name, preset_folder, run, whole_number
from utils.quiet import import_tensorflow
from utils.tasks.labelled import read_table

# What ends in one of these and has no space in it is the name of a file, not a text.
SUFFIXES = (".txt", ".text", ".csv", ".tsv", ".md", ".json", ".jsonl", ".log", ".docx", ".xlsx")


def main(words: list[str] | None = None) -> None:
    """Train, report, and predict if there is something to predict.

    Raises:
        CourseError: if the table cannot be learnt from.
        SystemExit: if the command line is wrong.
    """
    parser = OneSentenceParser(
        prog="python -m utils.tasks",
        description="Train a classifier on a table with the columns text and label.",
    )
    add = parser.add_argument
    add("table", type=any_path(), metavar="TABLE", help="CSV in UTF-8: columns text and label")
    question = "say the label of a text, or of each line of a file"
    add("--predict", type=name("a text or a file"), metavar="FILE_OR_TEXT", help=question)
    start = "preset or run of a GPT-2 to start from; without it, one learns to write the texts"
    add("--base", type=preset_folder(), metavar="FOLDER", help=start)
    add("--steps", type=whole_number(1, 1_000_000), help="gradient steps (as the data need it)")
    add("--seed", type=whole_number(0, 2**32 - 1), default=0, help="of all random numbers (0)")
    args = parser.parse_args(words)
    if args.predict and names_no_file(args.predict):
        parser.error(
            f"there is no file {args.predict!r}: --predict takes a file that is there, with one"
            " text per line, or a text; a text that looks like a path goes into a file, too"
        )
    read_table(args.table)  # a mistake in it is said at once
    import_tensorflow()
    from utils.tasks.own_table import learn, predict, report

    base = Path(args.base) if args.base else None
    learnt = learn(args.table, args.steps, args.seed, base)
    if args.predict:
        print(f"The answers are those of {learnt.recommended}.", file=sys.stderr)
        predict(learnt.answering, learnt.classifier.labels, args.predict)
        return
    report(learnt)
    print(f"\nThe GPT-2 is in {learnt.run.preset}; --predict asks {learnt.recommended}.")


def names_no_file(wanted: str) -> bool:
    """Whether a text is a path rather than a text, but not that of a file.

    A path is a folder, or has no space in it and a separator or one of `SUFFIXES`. Chinese writes
    no spaces and may put a slash between words, so a separator says nothing there.
    """
    from utils.tasks.counting import looks_chinese

    path = os.path.expanduser(wanted)
    if os.path.isdir(path):
        return True
    if os.path.isfile(path) or len(wanted.split()) > 1:
        return False
    separated = ("/" in wanted or "\\" in wanted) and not looks_chinese([wanted])
    return separated or wanted.lower().endswith(SUFFIXES)


if __name__ == "__main__":
    run(main)
