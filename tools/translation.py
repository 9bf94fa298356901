"""The Chinese edition: the executed English notebook with its Markdown cells swapped.

`codes/zh/NN_topic.md` holds one section per English Markdown cell. The comment above a section is
written by `python -m tools.notebooks`: a key, and the English text that the section translates.

    <!-- 1a2b3c4d
    # Title …
    -->
    # 标题 …
"""

import copy
import re
import textwrap
from collections.abc import Collection, Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from tools.digests import digest
from utils.errors import CourseError

# A comment that a person writes may have no English: `<!-- 1a2b3c4d -->`.
HEADER = re.compile(r"^<!-- ([0-9a-f]{8})(?:\n(.*?)\n| )-->$", re.M | re.S)
LINK = re.compile(r"(\]\()(?![a-z]+:|#|/)([^)\s]+)(\))")
VERBATIM = re.compile(r"(```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$)", re.S)
PUNCTUATION = ".,;:…–—'\"‘’“”"
ALIKE = 0.5  # share of common words above which two texts are versions of one, wherever they stand


class Section(NamedTuple):
    """The Chinese for one English Markdown cell."""

    key: str
    english: str  # when the Chinese was written; "" if that is not known
    chinese: str  # "" before it is written

    def __str__(self) -> str:
        # "--" must not stand inside an HTML comment, and "-->" would end it.
        english = re.sub(r"-(?=\\*-)", r"-\\", self.english)
        return f"<!-- {self.key}\n{english}\n-->\n{self.chinese}\n"


class Row(NamedTuple):
    """An English cell of today beside the section that it most likely belongs to."""

    key: str  # of the cell; "" if the section belongs to no cell
    english: str
    section: Section  # a new, empty one if the cell had none

    @property
    def is_missing(self) -> bool:
        """Whether the Chinese is yet to be written."""
        return not self.section.chinese

    @property
    def is_orphan(self) -> bool:
        """Whether the English cell is gone."""
        return not self.key

    @property
    def is_changed(self) -> bool:
        """Whether the Chinese was written for another English text."""
        return not self.is_missing and self.key not in ("", self.section.key)


def read_sections(path: Path) -> list[Section]:
    """The sections of a file, in their order; none if there is no such file.

    Raises:
        CourseError: for text that stands above the first comment.
    """
    before, *parts = HEADER.split(path.read_text(encoding="utf-8") if path.exists() else "")
    if before.strip():
        raise CourseError(f"{path.name}: {first_line(before)} stands above the first section.")
    return [
        Section(key, re.sub(r"-\\(?=\\*-)", "-", english or ""), chinese.strip())
        for key, english, chinese in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


def as_text(sections: Iterable[Section]) -> str:
    """The text of the file that `read_sections` reads."""
    return "\n".join(map(str, sections))


def words(english: str) -> list[str]:
    """What a translation depends on: not white space, line breaks, capitals and punctuation.

    Code and formulas are kept as they are. A question mark is no mere punctuation.
    """
    found = []
    for number, piece in enumerate(VERBATIM.split(english)):
        if number % 2:  # what VERBATIM matched
            found.append(" ".join(piece.split()))
        else:
            found += [word.strip(PUNCTUATION).casefold() for word in piece.split()]
    return [word for word in found if word]


def key_of(english: str) -> str:
    """The key of a cell: it changes when the translation may have to change."""
    return digest(" ".join(words(english)))


def align(cells: Iterable[str], sections: Iterable[Section]) -> list[Row]:
    """Place the sections beside the English cells, in the order of the cells.

    A section whose English has changed goes to the cell that it most likely belongs to. One that
    belongs to no cell follows the section that it followed in the file; if it is empty, it goes.
    """
    english = {key_of(cell): cell for cell in cells}
    keys = list(english)
    kept = [section for section in sections if section.chinese or section.key in english]
    places = _places(english, kept)
    rows, last = [], -1
    for number, section in enumerate(kept):
        if number in places:
            last = places[number]
            rows.append((last, Row(keys[last], english[keys[last]], section)))
        else:
            rows.append((last, Row("", section.english, section)))
    for place in set(range(len(keys))) - set(places.values()):
        new = Section(keys[place], english[keys[place]], "")
        rows.append((place, Row(new.key, new.english, new)))
    return [row for _, row in sorted(rows, key=lambda numbered: numbered[0])]


def _places(english: dict[str, str], sections: list[Section]) -> dict[int, int]:
    """The number of a section → the number of its cell.

    Equal keys first. Then the pairs most alike, if they are very much so or if the cell stands
    between those of the section's neighbours.
    """
    cells = {key: number for number, key in enumerate(english)}
    places: dict[int, int] = {}
    for number, section in enumerate(sections):
        if section.key in cells and cells[section.key] not in places.values():
            places[number] = cells[section.key]
    texts = [words(text) for text in english.values()]
    candidates = [
        (_likeness(words(section.english), texts[cell]), number, cell)
        for number, section in enumerate(sections)
        for cell in range(len(texts))
        if number not in places and cell not in places.values()
    ]
    for likeness, number, cell in sorted(candidates, key=lambda candidate: -candidate[0]):
        is_free = number not in places and cell not in places.values()
        if is_free and (likeness > ALIKE or _in_order(places, number, cell)):
            places[number] = cell
    return places


def _likeness(one: list[str], other: list[str]) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _in_order(places: dict[int, int], number: int, cell: int) -> bool:
    before = max((other for other in places if other < number), default=None)
    after = min((other for other in places if other > number), default=None)
    return (before is None or places[before] < cell) and (after is None or cell < places[after])


def brought_up_to_date(rows: Iterable[Row], confirmed: Collection[str] = ()) -> list[Section]:
    """The sections with the English of today in their comments.

    Args:
        rows: the rows from `align`.
        confirmed: the keys of changed sections whose Chinese fits the English of today. The others
            keep their key and the English for which they were written.
    """
    return [
        Section(key, english, section.chinese)
        if key and section.key in (key, *confirmed)
        else section
        for key, english, section in rows
    ]


def problems(rows: Iterable[Row], file: str, confirm: str) -> Iterator[str]:
    """What keeps a Chinese file from being complete, each with what to do.

    Args:
        rows: the rows from `align`.
        file: the name of the Chinese file.
        confirm: the command that confirms a section when its key is appended.
    """
    for row in rows:
        where = f"{file}: section {row.section.key}"
        if row.is_missing:
            yield f"{where} has no Chinese yet for {first_line(row.english)}."
        elif row.is_orphan:
            said = first_line(row.section.chinese)
            yield f"{where}, {said}, belongs to no English cell: delete it."
        elif row.is_changed:
            said = first_line(row.section.chinese)
            yield (
                f"{where}, {said}: the English has changed.\n"
                + textwrap.indent(word_diff(row.section.english, row.english), "    ")
                + f"\n  When the Chinese says this, too, run: {confirm} {row.section.key}"
            )


def word_diff(old: str, new: str) -> str:
    """The new text, with what it lost as [-words-] and what it gained as {+words+}."""
    before, after = old.split(), re.findall(r"\S+\s*", new)
    matcher = SequenceMatcher(None, before, [word.strip() for word in after], autojunk=False)
    pieces = []
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        added = "".join(after[new_start:new_end])
        if kind == "equal":
            pieces.append(added)
            continue
        if start < end:
            pieces.append(f"[-{' '.join(before[start:end])}-]" + " " * (not added))
        if added:
            bare = added.rstrip()
            pieces.append(f"{{+{bare}+}}{added[len(bare) :]}")
    return "".join(pieces).rstrip()


def translate(
    notebook: NotebookNode, sections: Iterable[Section], editions: set[str]
) -> NotebookNode:
    """A copy of a finished English notebook with its prose in Chinese, where there is any.

    Args:
        notebook: the English notebook; it is not modified.
        sections: those of the lesson.
        editions: the notebook file names that have a Chinese edition; links to these stay
            in the Chinese folder, all other relative links climb out of it.
    """
    chinese = {section.key: section.chinese for section in sections}
    translated = copy.deepcopy(notebook)
    for cell in prose(translated):
        if text := chinese.get(key_of(cell.source)):
            cell.source = _relink(text, editions)
    return translated


def prose(notebook: NotebookNode) -> list[NotebookNode]:
    """The Markdown cells that a person wrote."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "markdown" and "generated" not in cell.metadata.get("tags", [])
    ]


def first_line(markdown: str) -> str:
    """The beginning of a text, in quotation marks."""
    line = markdown.strip().partition("\n")[0]
    return f"'{line[:60]}'"


def _relink(markdown: str, editions: set[str]) -> str:
    def climb(match: re.Match) -> str:
        start, target, end = match.groups()
        stays = target.split("#")[0] in editions
        return start + (target if stays else "../" + target) + end

    return LINK.sub(climb, markdown)
