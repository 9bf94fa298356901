"""Read the text of a file: .txt, .md, .html, .pdf, .docx.

    for section in sections(Path("report.pdf")):
        print(section.place, section.text)

A text is read piece by piece, so that a file may be larger than memory. What a file says is only
ever text to be searched: nothing in it is run, followed or obeyed.
"""

import codecs
import importlib
import logging
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from utils.errors import CourseError

BLOCK = 1 << 16  # characters of a text that are read at a time
ENDS = ("\n\n", "\n", " ")  # where a block ends, best first
HIDDEN = {"script", "style", "template", "noscript"}  # elements of HTML that nobody sees
# Elements after which a new line begins.
BLOCKS = {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "table", "ul"}
BLOCKS |= {"ol", "section", "article", "blockquote", "dt", "dd", "title", "hr", "main", "header"}
BLOCKS |= {"footer", "nav", "aside", "figure", "figcaption", "form", "caption", "summary", "option"}
CELLS = {"td", "th", "button"}  # elements after which the line goes on, but not the word


class Unreadable(CourseError):
    """A file whose text cannot be had; the message says why, as the end of a sentence."""


class Section(NamedTuple):
    """A part of a document.

    Attributes:
        text: what it says.
        place: where it stands, such as "page 3"; "" if `line` says it.
        line: the line of the file at which it begins, counted from 1; 0 if that means nothing.
    """

    text: str
    place: str = ""
    line: int = 0


def sections(path: Path) -> Iterator[Section]:
    """The text of a file, in parts.

    Raises:
        Unreadable: if it cannot be read, is damaged, or has no text.
    """
    empty = True
    try:
        if path.exists() and not path.is_file():  # a pipe, whose text may never end
            raise Unreadable("it is not a regular file")
        for section in READERS[path.suffix.lower()](path):
            if section.text.strip():
                empty = False
                yield section
    except (Unreadable, MemoryError):
        raise
    except OSError as error:
        raise Unreadable(f"it cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a damaged file makes the libraries raise errors of any kind
        raise Unreadable(f"it is damaged ({type(error).__name__}: {error})"[:200]) from error
    if empty:
        raise Unreadable("it has no text; a scanned page is only a picture")


def _blocks(path: Path) -> Iterator[str]:
    """A text in UTF-8, or in UTF-16 with its mark, in blocks that end at the end of a line."""
    with open(path, "rb") as file:
        start = file.read(4)
        wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    rest = ""
    try:
        with open(path, encoding="utf-16" if wide else "utf-8-sig") as text:
            while block := text.read(BLOCK):
                rest += block
                if "\0" in block:
                    raise Unreadable("it is not a text")
                cut = next((at for end in ENDS if (at := rest.rfind(end) + 1)), len(rest))
                if len(block) == BLOCK:  # else it is the last one
                    yield rest[:cut]
                    rest = rest[cut:]
        yield rest
    except UnicodeError:
        raise Unreadable("it is not in UTF-8: save it in that encoding") from None


def _read_text(path: Path) -> Iterator[Section]:
    line = 1
    for block in _blocks(path):
        yield Section(block, line=line)
        line += block.count("\n")


class _Visible(HTMLParser):
    """Collects what a page shows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.hidden += tag in HIDDEN
        if tag in BLOCKS:
            self.parts.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(0, self.hidden - (tag in HIDDEN))
        if tag in BLOCKS:
            self.parts.append("\n\n")
        elif tag in CELLS:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)

    def paragraphs(self) -> str:
        """What has been collected since the last call, up to the end of a paragraph."""
        text, _, rest = "".join(self.parts).rpartition("\n\n")
        self.parts = [rest]
        return text


def _read_html(path: Path) -> Iterator[Section]:
    parser = _Visible()
    for block in _blocks(path):
        parser.feed(block)
        yield Section(parser.paragraphs())
    parser.close()
    yield Section("".join(parser.parts))


def _read_pdf(path: Path) -> Iterator[Section]:
    pypdf = _library("pypdf")
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its remarks on what it mends
    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("it is protected by a password")
        for number, page in enumerate(reader.pages, 1):
            yield Section(_whole_characters(page.extract_text()), place=f"page {number}")
    except pypdf.errors.DependencyError:
        raise Unreadable(
            "it is encrypted: reading it needs `python -m pip install cryptography` in this"
            " environment"
        ) from None


def _whole_characters(text: str) -> str:
    """A text in which a PDF may have put two halves for a character, or a single one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read_docx(path: Path) -> Iterator[Section]:
    document = _library("docx").Document(str(path))
    body = document.element.body
    yield Section(_paragraphs(body))
    for number, table in enumerate(_within(body, "tbl", "tbl"), 1):
        yield Section(_rows(table), place=f"table {number}")
    for part in document.sections:
        kinds = {"header": (part.first_page_header, part.header)}
        kinds["footer"] = (part.first_page_footer, part.footer)
        for place, blocks in kinds.items():
            for block in blocks:
                if not block.is_linked_to_previous:  # else it is that of the section before
                    yield Section(_all_text(block._element), place)
    for relation in document.part.rels.values():
        place = relation.reltype.rpartition("/")[2]
        if place in ("footnotes", "endnotes"):
            oxml = importlib.import_module("docx.oxml")
            notes = oxml.OxmlElement("w:body")  # python-docx cannot search their own root
            notes.extend(oxml.parse_xml(relation.target_part.blob))
            yield Section(_all_text(notes), place)


def _within(element, kind: str, container: str) -> list:
    """Elements of a .docx inside another one, but not those in a `container` inside it.

    Their text counts in a content control, in a text box and where changes are tracked, too; what
    has been moved away, and the second form of a text box for old programs, does not.
    """
    depth = len(element.xpath(f"ancestor-or-self::w:{container}"))
    return element.xpath(
        f".//w:{kind}[count(ancestor::w:{container}) = {depth}]"
        "[not(ancestor::w:moveFrom or ancestor::*[local-name() = 'Fallback'])]"
    )


def _all_text(element) -> str:
    return "\n\n".join([_paragraphs(element), *map(_rows, _within(element, "tbl", "tbl"))])


def _paragraphs(element) -> str:
    """The paragraphs outside of tables."""
    paragraphs = _within(element, "p", "tbl")
    return "\n\n".join("".join(run.text for run in _within(p, "r", "p")) for p in paragraphs)


def _rows(table) -> str:
    """A table of a .docx, a line for each row; a table in a cell follows the text of that cell."""
    rows = [_within(row, "tc", "tbl") for row in _within(table, "tr", "tbl")]
    return "\n".join(" | ".join(_all_text(cell) for cell in cells) for cells in rows)


def _library(name: str):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Unreadable(
            "reading it needs `python -m pip install pypdf python-docx` in this environment"
        ) from None


READERS: dict[str, Callable[[Path], Iterator[Section]]] = {
    ".txt": _read_text,
    ".md": _read_text,
    ".html": _read_html,
    ".htm": _read_html,
    ".pdf": _read_pdf,
    ".docx": _read_docx,
}
