"""Keep `README.zh-CN.md` in step with `README.md`, section by section.

    python -m tools.readme check              say which sections have changed
    python -m tools.readme translate          the same, and make room for new sections
    python -m tools.readme confirm KEY …      say that changed sections are translated

It works as for the lessons: the comment above a Chinese section holds the English that it
translates. A section of README begins at a heading; the first one is what stands above all others.
"""

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt

from tools import translation
from utils.errors import CourseError
from utils.paths import REPOSITORY

ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
COMMAND = "python -m tools.readme"


def sections(text: str) -> list[str]:
    """The sections of a Markdown text: each heading but the first one begins a new one."""
    lines = text.splitlines()
    headings = [
        token.map[0]
        for token in MarkdownIt().parse(text)
        if token.type == "heading_open" and token.map and token.level == 0
    ]
    bounds = [0, *headings[1:], len(lines)]
    pieces = zip(bounds, bounds[1:], strict=False)
    return ["\n".join(lines[start:end]).strip() for start, end in pieces]


def rows(root: Path) -> list[translation.Row]:
    """The English sections beside the Chinese ones."""
    english = sections((root / ENGLISH).read_text(encoding="utf-8"))
    return translation.align(english, translation.read_sections(root / CHINESE))


def check(root: Path) -> Iterator[str]:
    """Everything that is out of step, one sentence each."""
    yield from translation.problems(rows(root), CHINESE, f"{COMMAND} confirm")
    newest = translation.as_text(translation.brought_up_to_date(rows(root)))
    if not (root / CHINESE).exists() or (root / CHINESE).read_text(encoding="utf-8") != newest:
        yield f"{CHINESE} does not show the newest English. Run: {COMMAND} translate"


def bring_up_to_date(root: Path, confirmed: Collection[str] = ()) -> None:
    """Write the newest English into the comments of the Chinese file.

    Args:
        root: the folder of both files.
        confirmed: keys of changed sections whose Chinese fits the newest English; or `all`.

    Raises:
        CourseError: for a key whose English has not changed.
    """
    changed = [row.section.key for row in rows(root) if row.is_changed]
    for key in confirmed:
        if key not in (*changed, "all"):
            known = ", ".join(changed) or "none"
            raise CourseError(f"The English of section {key} has not changed; changed: {known}.")
    keys = changed if "all" in confirmed else confirmed
    newest = translation.as_text(translation.brought_up_to_date(rows(root), keys))
    (root / CHINESE).write_text(newest, encoding="utf-8", newline="\n")


def command_line(root: Path, words: Sequence[str]) -> int:
    """Do what `words` say, print what is out of step, and return the exit code."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=f"Keep {CHINESE} in step.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="say which sections have changed")
    commands.add_parser("translate", help="the same, and make room for new sections")
    confirm = commands.add_parser("confirm", help="say that changed sections are translated")
    confirm.add_argument("keys", nargs="+", metavar="KEY", help="of a changed section; or: all")
    args = parser.parse_args(words)
    try:
        if args.command != "check":
            bring_up_to_date(root, getattr(args, "keys", ()))
        found = list(check(root))
    except CourseError as error:
        found = [str(error)]
    print("\n".join(found) or f"{CHINESE} is in step with {ENGLISH}.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(command_line(REPOSITORY, sys.argv[1:]))
