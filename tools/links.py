"""Do the links inside the project lead somewhere?  `python -m tools.links` says so, offline.

Looks at every Markdown file and at the prose of every notebook: relative links and images must
name a file that exists, and `#anchors` a heading. Addresses on the web are left alone. And bold
text must be bold: in Chinese, `**` between a full stop and a word is shown as two asterisks.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin

from utils.paths import REPOSITORY

# What is not ours to check. The prose in codes/zh is checked in the notebooks it becomes.
SKIPPED = re.compile(r"(^|/)(\.[^/]*|build|dist|outputs|cache|node_modules|codes/zh)/")
HTML_LINK = re.compile(r"""\b(?:src|href)=["']([^"']+)["']""")
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False}).use(anchors_plugin, max_level=6)


def documents(root: Path) -> list[Path]:
    """Every Markdown file and notebook under a folder, but for what is skipped."""
    found = [*root.rglob("*.md"), *root.rglob("*.ipynb")]
    return sorted(path for path in found if not SKIPPED.search(path.relative_to(root).as_posix()))


@cache
def tokens(path: Path) -> tuple[Token, ...]:
    """The Markdown of a file or of a notebook's prose, parsed."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return tuple(
        piece for token in MARKDOWN.parse(text) for piece in (token, *(token.children or ()))
    )


def targets(path: Path) -> Iterator[str]:
    """Where the links and images of a document lead, in their order."""
    for token in tokens(path):
        if token.type in ("html_block", "html_inline"):
            yield from HTML_LINK.findall(token.content)
        elif target := token.attrGet("href") or token.attrGet("src"):
            yield str(target)


def has_anchor(path: Path, name: str) -> bool:
    """Whether a heading of a document can be linked to by that name; the empty name is the top.

    GitHub names the heading "By hand: why?" `#by-hand-why`. Jupyter says `#By-hand:-why?`; it keeps
    all but the spaces. In a notebook both are right, and case does not count.
    """
    pieces = tokens(path)
    names = {str(token.attrGet("id")) for token in pieces if token.attrGet("id")}
    if path.suffix == ".ipynb":
        pairs = zip(pieces, pieces[1:], strict=False)
        names |= {text.content.replace(" ", "-") for head, text in pairs if head.attrGet("id")}
    return not name or name.lower() in {known.lower() for known in names}


def broken_links(path: Path) -> list[str]:
    """What each broken link of a document lacks."""
    problems = []
    for target in targets(path):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not goal.exists():
            problems.append(f"{target}: there is no such file")
        elif goal.suffix in (".md", ".ipynb") and not has_anchor(goal, unquote(parts.fragment)):
            problems.append(f"{target}: there is no such heading")
    return problems


def shown_asterisks(path: Path) -> list[str]:
    """The beginnings of texts in which `**` is no bold text, so readers see the asterisks."""
    texts = [token.content for token in tokens(path) if token.type == "text"]
    return [f"{text[:30]} …: ** is shown; put a space beside it" for text in texts if "**" in text]


def main(root: Path = REPOSITORY) -> int:
    """Print each broken link and each bold text that is none; 0 when there is none, else 1."""
    checked = documents(root)
    problems = [
        f"{path.relative_to(root)}: {problem}"
        for path in checked
        for problem in (*broken_links(path), *shown_asterisks(path))
    ]
    for problem in problems:
        print(problem)
    print(f"{len(problems)} broken links or bold texts in {len(checked)} documents.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
