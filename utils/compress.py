"""A GPT-2 of yours with fewer bits for each weight.

    python -m utils.compress FOLDER --bits 4 --to small         # a preset, or the folder of a run
    python -m utils.compress tales-1f747ffd --bits 8 --to small     # or the name of a run
    python -m utils.serving --preset small                      # served like any other GPT-2

Eight bits take a fourth of the bytes and change nearly nothing; four take a seventh, and their
price shows in what the model writes: see lesson 18. Nothing is trained.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from utils.command_line import OneSentenceParser, any_path, one_of, preset_folder, run
from utils.errors import CourseError
from utils.quiet import import_tensorflow


def read_command_line(words: list[str] | None) -> argparse.Namespace:
    """The options; a wrong one ends the command with exit code 2 and one sentence."""
    parser = OneSentenceParser(
        prog="python -m utils.compress",
        description="Write a GPT-2 with fewer bits for each weight.",
    )
    parser.add_argument(
        "model", metavar="MODEL", help="folder of a preset or of a run, or the name of a run"
    )
    bits = "bits of each weight: 8 (the default) or 4"
    parser.add_argument("--bits", type=one_of("8", "4"), default="8", metavar="BITS", help=bits)
    to = "where to write it; a new folder"
    parser.add_argument("--to", type=any_path(), required=True, metavar="FOLDER", help=to)
    return parser.parse_args(words)


def preset_of(model: str) -> Path:
    """The folder of the preset that is meant.

    Raises:
        CourseError: if there is none, or if it is compressed already.
    """
    from utils.models.compressed import is_compressed

    folder = Path(os.path.expanduser(model))
    if not folder.is_dir():
        from utils.training.runs import run_by_name

        return Path(run_by_name(model).preset)
    if is_compressed(folder):
        raise CourseError(f"{folder} is compressed already: compress the model that it comes from.")
    return Path(str(preset_folder().convert(model)))


def compress(model: str, bits: int, to: Path) -> None:
    """Write the model with so many bits for each weight into a folder, and say how large both are.

    Raises:
        CourseError: if there is no such model, or the folder cannot be written.
    """
    from utils.files import atomic_write
    from utils.models.compressed import FILE, save_compressed
    from utils.serving.__main__ import load_model

    if to.exists():
        raise CourseError(f"{to} exists already: give --to the name of a new folder.")
    gpt2 = load_model(preset_of(model))
    with atomic_write(to, _cannot_write) as part:
        save_compressed(gpt2, part, bits)
    before, after = 4 * gpt2.backbone.count_params(), (to / FILE).stat().st_size
    print(f"{before:,} bytes of weights have become {after:,}, in {to}.")
    print(f"`python -m utils.serving --preset {shlex.quote(str(to))}` serves it.")


def _cannot_write(path: Path, error: OSError) -> CourseError:
    reason = error.strerror or error
    return CourseError(
        f"{path} cannot be written ({reason}): free some space, or give --to another folder."
    )


def main(words: list[str] | None = None) -> int:
    """Compress a model. A mistake of the user's is one sentence, and exit code 2."""
    args = read_command_line(words)
    try:
        import_tensorflow()
        import utils.data.chat_template  # noqa: F401  (its tokenizer may stand in the preset)

        compress(args.model, int(args.bits), args.to)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    run(main)
