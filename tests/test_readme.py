"""README says what the code can back, and its Chinese edition says the same."""

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tools.readme import CHINESE, ENGLISH, command_line, rows, sections
from tools.translation import Section, as_text, key_of, read_sections

ROOT = Path(__file__).parents[1]
PAGE = """\
[中文](README.zh-CN.md)

# Title

What it is.

## Install

```bash
# this is no heading
make run
```

### Mac

Nothing to do.

## Licence

Free to use."""


# --- the tool -----------------------------------------------------------------------------------


@pytest.fixture
def pages(tmp_path):
    """A README and its Chinese edition, in step."""
    (tmp_path / ENGLISH).write_text(PAGE, encoding="utf-8")
    chinese = [Section(key_of(english), english, "中文") for english in sections(PAGE)]
    (tmp_path / CHINESE).write_text(as_text(chinese), encoding="utf-8")
    return tmp_path


def change(pages, old, new):
    assert old in PAGE
    (pages / ENGLISH).write_text(PAGE.replace(old, new), encoding="utf-8")


def test_a_section_begins_at_each_heading_but_the_first():
    first_lines = [section.partition("\n")[0] for section in sections(PAGE)]
    assert first_lines == ["[中文](README.zh-CN.md)", "## Install", "### Mac", "## Licence"]
    assert "\n\n".join(sections(PAGE)) == PAGE


def test_pages_in_step_pass(pages, capsys):
    assert command_line(pages, ["check"]) == 0
    assert capsys.readouterr().out == "README.zh-CN.md is in step with README.md.\n"


def test_a_changed_section_is_shown_until_it_is_confirmed(pages, capsys):
    key = read_sections(pages / CHINESE)[2].key
    change(pages, "Nothing to do.", "Nothing to install.")
    for command in ("check", "translate"):
        assert command_line(pages, [command]) == 1
        said = capsys.readouterr().out
        assert "Nothing to [-do.-]{+install.+}" in said
        assert f"python -m tools.readme confirm {key}" in said
        assert "Licence" not in said, "only the changed section is named"
    assert command_line(pages, ["confirm", key]) == 0
    assert read_sections(pages / CHINESE)[2].english == "### Mac\n\nNothing to install."
    assert command_line(pages, ["check"]) == 0


def test_a_changed_command_counts(pages):
    change(pages, "make run", "make all")
    assert command_line(pages, ["check"]) == 1
    assert command_line(pages, ["confirm", "all"]) == 0


def test_punctuation_needs_no_translator(pages, capsys):
    change(pages, "Nothing to do.", "Nothing\nto do")
    assert command_line(pages, ["check"]) == 1
    said = capsys.readouterr().out
    assert said.endswith("the newest English. Run: python -m tools.readme translate\n")
    assert "confirm" not in said
    assert command_line(pages, ["translate"]) == 0
    assert read_sections(pages / CHINESE)[2].english == "### Mac\n\nNothing\nto do"


def test_a_new_section_gets_room(pages, capsys):
    change(pages, "## Licence", "## Windows\n\nUse WSL.\n\n## Licence")
    assert command_line(pages, ["translate"]) == 1
    assert "has no Chinese yet for '## Windows'" in capsys.readouterr().out
    empty = [section.english for section in read_sections(pages / CHINESE) if not section.chinese]
    assert empty == ["## Windows\n\nUse WSL."]


def test_a_section_that_is_gone_is_named(pages, capsys):
    change(pages, "\n\n## Licence\n\nFree to use.", "")
    assert command_line(pages, ["check"]) == 1
    assert "belongs to no English cell: delete it" in capsys.readouterr().out


def test_only_a_changed_section_can_be_confirmed(pages, capsys):
    before = (pages / CHINESE).read_text(encoding="utf-8")
    assert command_line(pages, ["confirm", key_of("## Licence\n\nFree to use.")]) == 1
    assert "has not changed; changed: none." in capsys.readouterr().out
    assert (pages / CHINESE).read_text(encoding="utf-8") == before


def test_without_a_chinese_page_every_section_is_missing(pages):
    (pages / CHINESE).unlink()
    assert command_line(pages, ["check"]) == 1
    assert not (pages / CHINESE).exists()


# --- the course's own pages ---------------------------------------------------------------------


def code_blocks(markdown):
    """The commands of a text, without their comments. A line `{"messages": …}` is an example."""
    blocks = [token.content for token in MarkdownIt().parse(markdown) if token.type == "fence"]
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith("{")]
    return [line.partition("#")[0].strip() for line in lines]


def inline(markdown):
    """What stands in `code` in the prose of a text, and where its links and images lead."""
    tokens = [
        child
        for token in MarkdownIt("commonmark").enable("table").parse(markdown)
        for child in token.children or ()
    ]
    code = {token.content for token in tokens if token.type == "code_inline"}
    links = {token.attrGet("href") or token.attrGet("src") for token in tokens}
    return code | links - {None, ENGLISH, CHINESE}


def test_the_chinese_page_is_in_step(capsys):
    assert command_line(ROOT, ["check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("row", rows(ROOT), ids=lambda row: row.english.partition("\n")[0])
def test_both_pages_have_the_same_commands_and_links(row):
    tree = "codes/  "  # the description of the folders is translated
    if tree not in row.english:
        assert code_blocks(row.section.chinese) == code_blocks(row.english)
    assert inline(row.section.chinese) == inline(row.english)


def test_the_two_pages_link_one_another_first():
    english = (ROOT / ENGLISH).read_text(encoding="utf-8")
    assert "(README.zh-CN.md)" in english.partition("\n")[0]
    assert "(README.md)" in read_sections(ROOT / CHINESE)[0].chinese.partition("\n")[0]


def test_the_first_screen_says_that_the_tales_are_synthetic_and_how_many_words_they_have():
    """datasets/tales.md has the exact number, and tests/test_tales.py holds that to the grammar."""
    card = (ROOT / "datasets" / "tales.md").read_text(encoding="utf-8")
    exact = int(re.search(r"different words in the training tales .*\| (\d+) \|", card)[1])
    row = rows(ROOT)[1]  # the first section below the title
    assert "**synthetic**" in row.english
    assert f"about {round(exact, -2)} different words" in row.english
    assert "**合成的**" in row.section.chinese
    assert f"约 {round(exact, -2)} 个" in row.section.chinese


@pytest.mark.parametrize("page", [ENGLISH, CHINESE])
def test_the_table_has_every_lesson_and_none_that_does_not_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    linked = re.findall(r"^\| \[\d.*?\]\(notebooks/(?:zh/)?(\w+)\.ipynb\)", text, re.M)
    lessons = sorted(script.stem for script in (ROOT / "codes").glob("[0-9]*.py"))
    assert sorted(set(linked)) == lessons
