"""The Chinese edition: the executed English notebook with its Markdown cells swapped.

`codes/zh/NN_topic.md` holds one section per English Markdown cell, keyed by that cell's digest:

    <!-- 1a2b3c4d -->
    # 标题 …
"""

import copy
import re
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from tools.digests import digest

SECTION = re.compile(r"^<!-- ([0-9a-f]{8}) -->\n(.*?)(?=^<!-- [0-9a-f]{8} -->|\Z)", re.M | re.S)
LINK = re.compile(r"(\]\()(?![a-z]+:|#|/)([^)\s]+)(\))")


class Translation(NamedTuple):
    """A translated notebook and what keeps it from being complete."""

    notebook: NotebookNode
    missing: list[str]  # English cells without a section, as "key first line"
    orphans: list[str]  # sections without an English cell, as "key first line"


def translate(notebook: NotebookNode, sections_file: Path, editions: set[str]) -> Translation:
    """Swap each English Markdown cell for its Chinese section.

    Args:
        notebook: the finished English notebook; it is not changed.
        sections_file: `codes/zh/NN_topic.md`.
        editions: the notebook file names that have a Chinese edition; links to these stay
            in the Chinese folder, all other relative links climb out of it.
    """
    text = sections_file.read_text(encoding="utf-8")
    sections = {key: body.strip() for key, body in SECTION.findall(text)}
    translated, missing, used = copy.deepcopy(notebook), [], set()
    for cell in translated.cells:
        if cell.cell_type != "markdown" or "generated" in cell.metadata.get("tags", []):
            continue
        key = digest(cell.source)
        used.add(key)
        if sections.get(key):
            cell.source = _relink(sections[key], editions)
        else:
            missing.append(f"{key} {_first_line(cell.source)}")
    orphans = [f"{key} {_first_line(body)}" for key, body in sections.items() if key not in used]
    return Translation(translated, missing, orphans)


def _relink(markdown: str, editions: set[str]) -> str:
    def climb(match: re.Match) -> str:
        start, target, end = match.groups()
        stays = target.split("#")[0] in editions
        return start + (target if stays else "../" + target) + end

    return LINK.sub(climb, markdown)


def _first_line(markdown: str) -> str:
    return repr(markdown.splitlines()[0][:60]) if markdown else "(empty)"
