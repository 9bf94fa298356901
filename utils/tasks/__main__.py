"""Train a classifier on your own table.

python -m utils.tasks my.csv                            # columns text and label, in UTF-8
python -m utils.tasks my.csv --predict "a new text"     # the label of a text
python -m utils.tasks my.csv --predict more.txt         # of each line of a file

It compares a small GPT-2 with classifiers that count words, on texts that none of them has seen.
What has been trained is kept: with the same table and settings it is only read.
"""

from pathlib import Path

from utils.command_line import OneSentenceParser, folder, name, run, whole_number
from utils.quiet import import_tensorflow
from utils.tasks.labelled import read_table


def main(words: list[str] | None = None) -> None:
    """Train, report, and predict if there is something to predict.

    Raises:
        CourseError: if the table cannot be learnt from.
    """
    parser = OneSentenceParser(
        prog="python -m utils.tasks",
        description="Train a classifier on a table with the columns text and label.",
    )
    add = parser.add_argument
    add("table", type=Path, metavar="TABLE", help="CSV in UTF-8: columns text and label")
    question = "say the label of a text, or of each line of a file"
    add("--predict", type=name("a text or a file"), metavar="FILE_OR_TEXT", help=question)
    base = "preset of a GPT-2 to start from; without it, one learns to write the texts first"
    add("--base", type=folder(), metavar="FOLDER", help=base)
    add("--steps", type=whole_number(1, 1_000_000), help="gradient steps (as the data need it)")
    add("--seed", type=whole_number(0, 2**32 - 1), default=0, help="of all random numbers (0)")
    args = parser.parse_args(words)
    read_table(args.table.expanduser())  # a mistake in it is said at once
    import_tensorflow()
    from utils.tasks.own_table import learn, predict, report

    learnt = learn(args.table, args.steps, args.seed, Path(args.base) if args.base else None)
    if args.predict:
        predict(learnt.classifier, args.predict)
        return
    report(learnt)
    print(f"The classifier is in {learnt.run.preset}; --predict asks it.")


if __name__ == "__main__":
    run(main)
