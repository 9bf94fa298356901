"""Which English changes reach a translator, and which section they are shown beside."""

import pytest

from tools.translation import (
    Section,
    align,
    as_text,
    brought_up_to_date,
    key_of,
    read_sections,
    word_diff,
)

CELLS = [
    "## A line\n\nA line has a slope and a height at zero; both are numbers.",
    "The *loss* says how wrong a line is: the mean of all squared errors.",
    "Take a step against the gradient, and the loss falls.",
    "## Recap",
]


def section(english, chinese="中文"):
    return Section(key_of(english), english, chinese)


def placed(cells, sections):
    """The English of each section's cell; None for one that belongs to no cell."""
    return {
        row.section.english: row.english if row.key else None
        for row in align(cells, sections)
        if row.section.chinese
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("One line\nand more.", "One line and  more"),
        ("Slow; it takes long", "Slow. It takes long."),
        ("“two” words, (three)", '"two" words (three)'),
        ("a bowl - no: a valley", "a bowl - no, a valley"),
        ("so — at last — it fits", "so at last, it fits…"),
        ("`f(x)` is\n`g`.", "`f(x)` is `g`"),
    ],
)
def test_layout_and_punctuation_do_not_reach_a_translator(old, new):
    assert key_of(old) == key_of(new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("about 0.5", "about 05"),
        ("a line", "no line"),
        ("You know it.", "You know it?"),
        ("$1 - x$", "$1 + x$"),
        ("$X$", "$x$"),
        ("`a.`", "`a`"),
        ("```\nprint(1)\n```", "```\nPrint(1)\n```"),
        ("[bpe](../utils/bpe.py)", "[bpe](../utils/data/bpe.py)"),
        ("two words", "twowords"),
        ("−1", "1"),
        ("*must*", "must"),
    ],
)
def test_meaning_reaches_a_translator(old, new):
    assert key_of(old) != key_of(new)


@pytest.mark.parametrize(
    "english",
    [
        "a --> b <!-- c -->",
        "--flag -- and --- and ends in -",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        r"-\- and -\\-\-> and \-",
        "<!-- 1a2b3c4d\nx\n-->\nnot a section",
        "-->",
        "",
    ],
)
def test_any_english_survives_its_comment(tmp_path, english):
    sections = [section("before"), section(english, "一\n\n二"), section("after", "")]
    text = as_text(sections)
    (tmp_path / "a.md").write_text(text, encoding="utf-8")
    assert read_sections(tmp_path / "a.md") == sections
    assert text.count("--") == 6, "two to open and two to close each of three comments, no more"


def test_a_comment_by_hand_needs_no_english(tmp_path):
    (tmp_path / "a.md").write_text("<!-- 1a2b3c4d -->\n一\n", encoding="utf-8")
    assert read_sections(tmp_path / "a.md") == [Section("1a2b3c4d", "", "一")]


def test_nothing_is_read_from_a_file_that_is_not_there(tmp_path):
    assert read_sections(tmp_path / "a.md") == []


def test_changed_cells_find_their_sections():
    sections = [section(cell) for cell in CELLS]
    loss = "The *loss* says how wrong a line is: the mean of its absolute errors."
    rewritten = "Now walk downhill."
    cells = [CELLS[0], "A cell that is quite new.", loss, rewritten, CELLS[3]]
    assert placed(cells, sections) == {
        CELLS[0]: CELLS[0],
        CELLS[1]: loss,  # by its words
        CELLS[2]: rewritten,  # by its place
        CELLS[3]: CELLS[3],
    }


def test_a_cell_that_moved_keeps_its_section_and_one_that_changed_as_well_is_found():
    sections = [section(cell) for cell in CELLS]
    later = CELLS[1] + " It is never negative."
    cells = [CELLS[2], CELLS[0], CELLS[3], later]
    rows = align(cells, sections)
    assert [row.english for row in rows] == cells, "in the order of the lesson"
    assert placed(cells, sections)[CELLS[1]] == later


def test_a_deleted_cell_leaves_an_orphan_where_it_was():
    sections = [section(cell) for cell in CELLS]
    rows = align([CELLS[0], CELLS[1], CELLS[3]], sections)
    assert [row.section for row in rows] == sections
    assert [row.is_orphan for row in rows] == [False, False, True, False]


def test_a_deleted_cell_and_a_new_one_elsewhere_are_not_the_same():
    sections = [section(cell) for cell in CELLS]
    cells = [CELLS[0], "Another thought.", CELLS[1], CELLS[3]]
    assert placed(cells, sections)[CELLS[2]] is None


def test_a_key_that_stands_twice_is_not_taken_twice():
    twice = [section(CELLS[0]), section(CELLS[0], "又一次"), section(CELLS[1])]
    rows = align(CELLS[:2], twice)
    assert [row.is_orphan for row in rows] == [False, True, False]
    assert brought_up_to_date(rows, confirmed=[key_of(CELLS[0])]) == twice


def test_an_empty_section_goes_with_its_cell():
    assert align([CELLS[0]], [section(CELLS[0]), section(CELLS[1], "")]) == align(
        [CELLS[0]], [section(CELLS[0])]
    )


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("one two three", "one three", "one [-two-] three"),
        ("one three", "one two\nthree", "one {+two+}\nthree"),
        ("one two three", "one four three", "one [-two-]{+four+} three"),
        ("one\ntwo", "one two", "one two"),
        ("", "one two", "{+one two+}"),
    ],
)
def test_the_difference_of_two_texts_in_words(old, new, shown):
    assert word_diff(old, new) == shown
