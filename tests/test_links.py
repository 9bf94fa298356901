"""Broken links and bold text that is not bold are found, and good ones are left alone."""

import nbformat
import pytest

from tools import links

PAGE = """\
# First page

See [the other](docs/other%20page.md#two-words), [above](#first-page), <img src="a.png">
and [the web](https://example.org/nothing#here).

```
[not a link](nowhere.md)
```
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "docs" / "other page.md").write_text("## Two words\n", encoding="utf-8")
    (tmp_path / "a.png").write_bytes(b"")
    return tmp_path


def say(site, capsys):
    links.tokens.cache_clear()
    code = links.main(site)
    return code, capsys.readouterr().out


def test_good_links_pass(site, capsys):
    assert say(site, capsys) == (0, "0 broken links or bold texts in 2 documents.\n")


@pytest.mark.parametrize(
    ("written", "wrong", "problem"),
    [
        ("docs/other%20page.md", "docs/gone.md", "docs/gone.md#two-words: there is no such file"),
        ("#two-words", "#three-words", "page.md#three-words: there is no such heading"),
        ("#first-page", "#last-page", "#last-page: there is no such heading"),
        ("a.png", "b.png", "b.png: there is no such file"),
    ],
)
def test_a_broken_link_is_named(site, capsys, written, wrong, problem):
    (site / "README.md").write_text(PAGE.replace(written, wrong), encoding="utf-8")
    code, said = say(site, capsys)
    assert code == 1
    assert problem in said


def test_the_prose_of_a_notebook_is_checked(site, capsys):
    cells = [
        nbformat.v4.new_markdown_cell("[gone](gone.md) and [the page](../README.md)"),
        nbformat.v4.new_code_cell("'[code](is_not_prose.md)'"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), site / "docs" / "lesson.ipynb")
    code, said = say(site, capsys)
    assert code == 1
    assert said.splitlines()[0] == "docs/lesson.ipynb: gone.md: there is no such file"
    assert "1 broken links" in said


@pytest.mark.parametrize(
    ("written", "shown"), [("**粗体。**文字", 1), ("**粗体。** 文字", 0), ("`2**3`", 0)]
)
def test_bold_text_that_does_not_close_is_named(site, capsys, written, shown):
    (site / "README.md").write_text(written, encoding="utf-8")
    code, said = say(site, capsys)
    assert code == shown
    assert said.count("README.md: **粗体。**文字 …: ** is shown") == shown


def test_installed_packages_are_not_ours(site, capsys):
    (site / ".venv").mkdir()
    (site / ".venv" / "README.md").write_text("[gone](gone.md)", encoding="utf-8")
    assert say(site, capsys)[0] == 0


@pytest.mark.parametrize(
    ("anchor", "broken"), [("By-hand:-why?", 0), ("by-hand-why", 0), ("By-hand:-how?", 1)]
)
def test_a_heading_of_a_notebook_has_the_name_that_jupyter_gives_it(site, capsys, anchor, broken):
    cells = [nbformat.v4.new_markdown_cell("## By hand: why?\n\nBecause.")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), site / "docs" / "lesson.ipynb")
    (site / "README.md").write_text(f"[there](docs/lesson.ipynb#{anchor})", encoding="utf-8")
    assert say(site, capsys)[0] == broken


def test_a_heading_of_a_page_has_the_name_that_github_gives_it(site, capsys):
    (site / "README.md").write_text("# By hand: why?\n\n[up](#By-hand:-why?)", encoding="utf-8")
    assert say(site, capsys)[0] == 1
