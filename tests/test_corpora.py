"""From a text to ids on disk: what is refused, what is kept, how much memory it takes."""

import subprocess
import sys

import numpy as np
import pytest

from utils import tales
from utils.data.corpora import BLOCK, CorpusError, load_corpus

SENTENCES = "The hen laid an egg. The fox came by, and the hen flew up into the tree!\n"


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def text_file(tmp_path):
    def write(content):
        path = tmp_path / "my.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return str(path)

    return write


def text_of(corpus):
    """Both parts, decoded, without the end ids."""
    ids = np.concatenate([corpus.train, corpus.validation])
    return corpus.tokenizer.decode(ids[ids != corpus.tokenizer.end_id])


@pytest.mark.parametrize("text", [SENTENCES * 300, "猫在树上睡觉。" * 500, "a" * 5000, "é " * 3000])
def test_a_file_comes_back_whole(text_file, text):
    corpus = load_corpus(text_file(text), vocabulary_size=300)
    assert text_of(corpus) == text
    assert corpus.name == "my.txt" and corpus.floor is None and not corpus.documents
    share = len(corpus.tokenizer.decode(corpus.validation[1:-1]).encode()) / len(text.encode())
    assert share == pytest.approx(0.1, abs=0.01)


def test_a_file_of_many_blocks_comes_back_whole(text_file):
    text = "".join(f"Line {i} of a long file – with a dash.\n" for i in range(80_000))
    assert len(text) > 2 * BLOCK
    assert text_of(load_corpus(text_file(text), vocabulary_size=300)) == text


def test_every_document_lies_between_two_end_ids():
    corpus = load_corpus("tales")
    ends = np.flatnonzero(corpus.validation == corpus.tokenizer.end_id)
    stories = tales.corpus("en", "validation")
    assert ends[0] == 0 and len(ends) == len(stories) + 1
    for start, stop, story in zip(ends[:50], ends[1:51], stories, strict=False):
        assert corpus.tokenizer.decode(corpus.validation[start + 1 : stop]) == story.text
    lengths = [len(corpus.tokenizer.encode(story.text)) + 1 for story in stories]
    assert corpus.floor == tales.floor(stories, lengths)[0]


def test_ids_are_made_once_and_read_from_disk(text_file, data_folder):
    path = text_file(SENTENCES * 100)
    first = load_corpus(path, 300)
    made = {p: p.stat().st_mtime_ns for p in data_folder.rglob("*.ids")}
    second = load_corpus(path, 300)
    assert isinstance(second.train, np.memmap) and second.digest == first.digest
    assert {p: p.stat().st_mtime_ns for p in data_folder.rglob("*.ids")} == made
    assert load_corpus(path, 280).digest != first.digest, "another tokenizer, other ids"
    text_file(SENTENCES * 101)
    assert load_corpus(path, 300).digest != first.digest, "another text, other ids"


def test_an_interrupted_conversion_leaves_nothing_that_looks_finished(text_file, monkeypatch):
    from utils.data import bpe

    path = text_file(SENTENCES * 100)
    with monkeypatch.context() as patch:
        patch.setattr(bpe.Tokenizer, "encode", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load_corpus(path, 300)
    assert text_of(load_corpus(path, 300)) == SENTENCES * 100


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0" * 2000, "is not text in UTF-8"),
        (b"text and then\0zero bytes " * 1000, "is not text in UTF-8"),
        ("Füße ".encode("latin-1") * 3000, "is not text in UTF-8"),
        (SENTENCES.encode("utf-16") * 100, "is not text in UTF-8"),
    ],
)
def test_what_is_no_text_gets_one_sentence(text_file, content, sentence):
    with pytest.raises(CorpusError, match=sentence) as error:
        load_corpus(text_file(content))
    assert "\n" not in str(error.value)


def test_a_missing_file_and_an_unusable_folder_get_one_sentence(text_file, tmp_path, monkeypatch):
    with pytest.raises(CorpusError, match=r"no corpus 'nowhere.txt'.*tales, tales-zh"):
        load_corpus("nowhere.txt")
    monkeypatch.setenv("COURSE_DATA", text_file("in the way"))
    with pytest.raises(CorpusError, match="--data-dir"):
        load_corpus(text_file(SENTENCES))


def test_the_help_texts_of_python_need_no_network():
    corpus = load_corpus("python_docs", 300)
    assert "for" in corpus.tokenizer.decode(corpus.train[:2000])
    assert len(corpus.train) > 100_000


def test_a_large_file_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "large.txt"
    with open(path, "w", encoding="utf-8") as file:
        for i in range(400_000):
            file.write(f"{i} is a number, and {i * 7919 % 10007} is another one.\n")
    program = (
        "import resource, sys; from utils.data.corpora import load_corpus\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "load_corpus(sys.argv[1], 300)\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print((after - before) / (1 if sys.platform == 'darwin' else 1 / 1024))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr
    size = path.stat().st_size
    assert float(result.stdout) < 150e6, f"{size:,} bytes of text"
