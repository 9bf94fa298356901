"""GLOSSARY.md: in order, complete, and each entry leads to the heading that explains it.

In a lesson, bold is for terms and for labels. A bold text is a label if it ends with a punctuation
mark (`**1.**`, `**The loss is nan.**`), begins a list item and a colon follows it, has more than
four words, contains code, a formula or a quotation, or is a single letter. Every other one is a
term, and the glossary must have it. `**Top-k and top-p**` is two terms.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from markdown_it import MarkdownIt

from tools.notebooks import Course
from tools.translation import prose

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "GLOSSARY.md"
ENTRY = re.compile(
    r"(?P<term>[^·\n]+) · (?P<chinese>[^\n]*[\u4e00-\u9fff][^\n]*)\n\n"
    r"(?P<text>.+?)\n\n"
    r"(?:\*Also:\* (?P<also>[^\n]+)\.\n)?"
    r"(?:\[Lesson (?P<lesson>\d+)(?:, “(?P<heading>[^\n]+)”)?\]\((?P<link>[^\s)]+)\)"
    r"|\*Not in a lesson\.\*)\n*",
    re.S,
)
SENTENCE = re.compile(r"[.?!][)”\"*]*(?=\s|$)")
LIST_LABEL = re.compile(r"^(\s*(?:[*-]|\d+\.)\s+\*\*[^*]+)\*\*:", re.M)
LABEL = re.compile(r"[.:;,?!…]$|[`$\"“]|^.$|(\S+\s+){4}\S")

# The first ending that fits counts.
PLURALS = {"ies": "y", "ices": "ix", "sses": "ss", "xes": "x", "ss": "ss", "s": ""}

# Bold words of a lesson that are neither terms nor labels.
EMPHASIS: Mapping[str, Iterable[str]] = {
    "04_embeddings": ["near", "mix"],
    "11_evaluation": ["Other words", "A long answer", "Word salad", "base", "copy"],
    "13_optimizers": ["whole process"],
}

# What a reader of today's articles must be able to look up, be it bold in a lesson or not.
EXPECTED = """
AI, NLP, model, BERT, GPT, LLM, RLHF, TF-IDF, Word2Vec, RNN, LSTM, CNN, Transformer, token,
tokenizer, OOV, tensor, embedding, attention, self-attention, pretraining, fine-tuning, perplexity,
backpropagation, dropout, overfitting, regularisation, weight decay, gradient accumulation,
mixed precision, context window, context vector, residual stream, teacher forcing, calibration,
instruction tuning, hallucination, prompt injection, padding, packed sequence, sampling, target,
position, parameter, weight, attention weights, loss mask, logit, cross-entropy, surprisal,
plain transcript, weight matrix, training configuration, evaluation, graceful shutdown, health check
"""


class Entry(NamedTuple):
    term: str
    also: list[str]
    text: str
    lesson: str | None  # its number
    heading: str | None
    link: str | None


class Lesson(NamedTuple):
    headings: list[str]
    bold: list[str]


def key(term: str) -> str:
    """Terms are the same if they differ in capitals, hyphens, spaces and the plural only."""
    plain = re.sub(r"[-–\s]+", " ", term).casefold().strip()
    for plural, singular in PLURALS.items():
        if plain.endswith(plural):
            return plain.removesuffix(plural) + singular
    return plain


def read_entries(glossary: str) -> tuple[list[Entry], list[str]]:
    """The entries of a glossary, and the beginnings of those that have another form."""
    entries, malformed = [], []
    for part in re.split(r"^### ", re.sub(r"^## .*\n", "", glossary, flags=re.M), flags=re.M)[1:]:
        if found := ENTRY.fullmatch(part):
            also = found["also"].split(", ") if found["also"] else []
            entries.append(
                Entry(found["term"], also, *found.group("text", "lesson", "heading", "link"))
            )
        else:
            malformed.append(part.partition("\n")[0])
    return entries, malformed


def problems(glossary: str, lessons: Mapping[str, Lesson]) -> Iterator[str]:
    """What is wrong with a glossary, one sentence each."""
    entries, malformed = read_entries(glossary)
    for beginning in malformed:
        yield f"{beginning}: not an English and a Chinese name, a text, and where it is explained"
    names = [name for entry in entries for name in (entry.term, *entry.also)]
    seen: set[str] = set()
    for name in names:
        if key(name) in seen:
            yield f"{name}: stands twice"
        seen.add(key(name))
    terms = [entry.term for entry in entries]
    for before, after in zip(terms, terms[1:], strict=False):
        if before.casefold() > after.casefold():
            yield f"{after}: must stand before {before}"
    if re.findall(r"^## (.)$", glossary, re.M) != sorted({term[0].upper() for term in terms}):
        yield "the headings are not the first letters of the terms"
    for entry in entries:
        if not 2 <= len(SENTENCE.findall(entry.text)) <= 3:
            yield f"{entry.term}: has not two or three sentences"
        if entry.link:
            yield from link_problems(entry, lessons)
    for stem, lesson in lessons.items():
        for term in lesson.bold:
            if not is_known(term, seen) and term not in EMPHASIS.get(stem, ()):
                yield f"codes/{stem}.py: **{term}** is not in the glossary"


def link_problems(entry: Entry, lessons: Mapping[str, Lesson]) -> Iterator[str]:
    path, _, anchor = entry.link.partition("#")
    stem = path.removeprefix("notebooks/").removesuffix(".ipynb")
    if path != f"notebooks/{stem}.ipynb" or stem not in lessons:
        yield f"{entry.term}: there is no lesson {path}"
        return
    if int(stem[:2]) != int(entry.lesson):
        yield f"{entry.term}: says lesson {entry.lesson}, links {stem}"
    if entry.heading and entry.heading not in lessons[stem].headings:
        yield f"{entry.term}: {stem} has no heading “{entry.heading}”"
    if anchor != (entry.heading or "").replace(" ", "-"):
        yield f"{entry.term}: the link leads to #{anchor}, not to “{entry.heading}”"


def is_known(bold: str, known: set[str]) -> bool:
    """Whether a bold text is a known term, or a list of some: A, B and C."""
    return key(bold) in known or all(key(part) in known for part in re.split(r", | and ", bold))


def read_lesson(cells: Iterable[str]) -> Lesson:
    """The headings and the bold terms of a lesson's Markdown cells."""
    headings, bold = [], []
    for cell in cells:
        tokens = MarkdownIt().parse(LIST_LABEL.sub(r"\1:**", cell))
        for token, content in zip(tokens, tokens[1:], strict=False):
            if token.type == "heading_open":
                headings.append(content.content)
        bold += [text for token in tokens for text in bold_texts(token.children or [])]
    return Lesson(headings, [text for text in bold if not LABEL.search(text)])


def bold_texts(tokens) -> Iterator[str]:
    text = None
    for token in tokens:
        if token.type == "strong_open":
            text = ""
        elif token.type == "strong_close":
            yield text.strip()
            text = None
        elif text is not None:
            text += {"softbreak": " ", "code_inline": "`"}.get(token.type, token.content)


@cache
def course_lessons() -> dict[str, Lesson]:
    course = Course()
    return {
        script.stem: read_lesson(cell.source for cell in prose(course.read_script(script)))
        for script in course.scripts()
    }


# --- the glossary of the course -----------------------------------------------------------------


def test_the_glossary_is_in_order_and_has_every_bold_term():
    found = list(problems(GLOSSARY.read_text(encoding="utf-8"), course_lessons()))
    assert not found, "\n".join(found)


def test_the_glossary_has_what_a_reader_looks_up():
    entries, _ = read_entries(GLOSSARY.read_text(encoding="utf-8"))
    known = {key(name) for entry in entries for name in (entry.term, *entry.also)}
    expected = [term.strip() for term in EXPECTED.replace("\n", " ").split(",")]
    assert [term for term in expected if key(term) not in known] == []
    assert len(entries) >= 90


def test_no_exception_is_left_over():
    for stem, words in EMPHASIS.items():
        assert set(words) <= set(course_lessons()[stem].bold), stem


# --- the checks themselves ----------------------------------------------------------------------

GOOD = """\
# Glossary

## A

### Attention · 注意力

Tokens look at tokens. It has weights.

*Also:* attention mechanism, look-up.
[Lesson 5, “Look up, by hand”](notebooks/05_attention.ipynb#Look-up,-by-hand)

### Axis · 轴

A direction. A table has two.

[Lesson 5](notebooks/05_attention.ipynb)

## N

### NLP · 自然语言处理

Machines read. And write!

*Not in a lesson.*
"""
CELLS = [
    "# 5. Attention: **attention**",
    "## Look up, by hand\n\n**Attention\nmechanisms**, **Look-ups**, **axis**, **NLP and axis**.",
    "* **A label.** And **more than four words are no term**, nor is **`code`**, nor **d**.\n"
    "* **1.** One, **say what?**\n* **Another label**: two.",
]


def test_a_good_glossary_passes():
    assert list(problems(GOOD, {"05_attention": read_lesson(CELLS)})) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("## Look up", "## Look down", "Attention: 05_attention has no heading “Look up, by hand”"),
        ("**axis**", "**heads**", "codes/05_attention.py: **heads** is not in the glossary"),
        ("**NLP and", "**Heads and", "codes/05_attention.py: **Heads and axis** is not in the"),
        (
            "**A label.**",
            "**A label**",
            "codes/05_attention.py: **A label** is not in the glossary",
        ),
    ],
)
def test_a_change_of_a_lesson_is_told_by_name(old, new, problem):
    cells = [cell.replace(old, new) for cell in CELLS]
    assert cells != CELLS
    [found] = problems(GOOD, {"05_attention": read_lesson(cells)})
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("Axis · 轴", "Axis", "Axis: not an English and a Chinese name"),
        ("Axis · 轴", "Axis · axis", "Axis · axis: not an English and a Chinese name"),
        ("*Not in a lesson.*", "", "NLP · 自然语言处理: not an English"),
        ("Axis · 轴", "Area · 轴", "Area: must stand before Attention"),
        ("look-up.", "axis.", "Axis: stands twice"),
        ("\n## N\n", "\n## M\n", "the headings are not the first letters"),
        (" A table has two.", "", "Axis: has not two or three sentences"),
        ("05_attention.ipynb)", "06_attention.ipynb)", "Axis: there is no lesson notebooks/06_att"),
        ("[Lesson 5]", "[Lesson 6]", "Axis: says lesson 6, links 05_attention"),
        ("#Look-up,-by-hand", "#look-up-by-hand", "Attention: the link leads to #look-up-by-hand"),
    ],
)
def test_a_mistake_of_the_glossary_is_named(old, new, problem):
    assert old in GOOD
    lesson = read_lesson(CELLS)
    found = list(problems(GOOD.replace(old, new), {"05_attention": lesson._replace(bold=[])}))
    assert [sentence for sentence in found if sentence.startswith(problem)], found
