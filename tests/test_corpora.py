"""From a text to ids on disk: what is refused, what is kept, how much memory it takes."""

import codecs
import errno
import hashlib
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from read_only import read_only

from utils import tales
from utils.data import bpe
from utils.data.corpora import BLOCK, CorpusError, load_corpus
from utils.small_gpt2 import floor_of

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


def test_every_document_lies_between_two_end_ids(capsys):
    corpus = load_corpus("tales")
    ends = np.flatnonzero(corpus.validation == corpus.tokenizer.end_id)
    stories = tales.corpus("en", "validation")
    assert ends[0] == 0 and len(ends) == len(stories) + 1
    for start, stop, story in zip(ends[:50], ends[1:51], stories, strict=False):
        assert corpus.tokenizer.decode(corpus.validation[start + 1 : stop]) == story.text
    lengths = [len(corpus.tokenizer.encode(story.text)) + 1 for story in stories]
    assert corpus.floor == floor_of(corpus, 256) == tales.floor(stories, lengths)[0]
    assert "is not known" not in capsys.readouterr().out
    assert floor_of(corpus, 64) is None, "of a tale that is cut only the beginning counts"
    said = capsys.readouterr().out
    assert f"The longest text has {max(lengths)} tokens and the context 64." in said


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
    path = text_file(SENTENCES * 100)
    with monkeypatch.context() as patch:
        patch.setattr(bpe.Tokenizer, "encode", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load_corpus(path, 300)
    assert text_of(load_corpus(path, 300)) == SENTENCES * 100


@pytest.mark.parametrize("name", ["my.txt", "python_docs"])
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_finished_folder_is_read_without_writing(text_file, data_folder, name, number):
    name = text_file(SENTENCES * 100) if name == "my.txt" else name
    made = load_corpus(name, 280)
    with read_only(data_folder, number):
        again = load_corpus(name, 280)
        assert again.digest == made.digest and np.array_equal(again.train, made.train)
        with pytest.raises(CorpusError, match=r"cannot be written .*--data-dir"):
            load_corpus(name, 281)


def test_a_lock_file_of_somebody_else_is_no_obstacle(text_file, data_folder):
    path = text_file(SENTENCES * 100)
    load_corpus(path, 300)
    (lock,) = data_folder.rglob("*.lock")
    with read_only(lock, errno.EACCES):
        assert text_of(load_corpus(path, 300)) == SENTENCES * 100


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def change(path):
    path.write_text(path.read_text(encoding="utf-8").replace("e", "a", 1), encoding="utf-8")


def remove(path):
    path.unlink()


def remove_all(path):
    shutil.rmtree(path.parent)
    path.parent.mkdir()


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *[(f, d) for f in ("train.ids", "validation.ids") for d in (cut, remove)],
        *[(f, d) for f in ("merges.txt", "vocab.json") for d in (cut, change, remove)],
        *[("contents.json", d) for d in (cut, remove, remove_all)],
    ],
)
def test_a_damaged_folder_is_made_anew_and_one_sentence_says_so(
    text_file, data_folder, capsys, file, damage
):
    path = text_file(SENTENCES * 100)
    digest = load_corpus(path, 300).digest
    folder = data_folder / "tokens" / digest
    intact = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert capsys.readouterr().err == ""
    damage(folder / file)
    load_corpus(path, 300)
    assert capsys.readouterr().err == f"{folder} is damaged: it is made anew.\n"
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == intact
    load_corpus(path, 300)
    assert capsys.readouterr().err == ""


def test_a_damaged_help_text_is_made_anew(data_folder):
    digest = load_corpus("python_docs", 280).digest
    (text,) = data_folder.glob("python_docs-*.txt")
    cut(text)
    assert load_corpus("python_docs", 280).digest == digest


def test_two_that_want_the_same_corpus_make_it_once(text_file, monkeypatch, capsys):
    path = text_file(SENTENCES * 100)
    trained, together = [], threading.Barrier(2)
    train = bpe.train

    def slowly(*arguments):
        together.wait(timeout=60)  # now the other one may come
        trained.append(1)
        return train(*arguments)

    monkeypatch.setattr(bpe, "train", slowly)
    first = threading.Thread(target=load_corpus, args=(path, 300))
    first.start()
    together.wait(timeout=60)
    assert text_of(load_corpus(path, 300)) == SENTENCES * 100
    first.join()
    assert trained == [1]


def test_the_digest_of_a_tokenizer_follows_its_merges(text_file):
    first, same, other = (
        load_corpus(text_file(text), size)
        for text, size in [(SENTENCES * 100, 300), (SENTENCES * 200, 300), (SENTENCES * 100, 290)]
    )
    assert first.digest != same.digest and first.tokenizer_digest == same.tokenizer_digest
    assert first.tokenizer_digest != other.tokenizer_digest
    lines = "\n".join(first.tokenizer.merge_lines)
    assert first.tokenizer_digest == hashlib.sha256(lines.encode()).hexdigest()


def test_a_byte_order_mark_is_no_part_of_the_text(text_file):
    text = SENTENCES * 100 + "\ufeff"  # anywhere else it is a character
    assert text_of(load_corpus(text_file(codecs.BOM_UTF8 + text.encode()), 300)) == text


@pytest.mark.parametrize(
    ("content", "line", "offset", "byte"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0" * 2000, 1, 0, 0x89),
        (b"text\nand\nthen\0zero bytes " * 1000, 3, 13, 0),
        ("Füße ".encode("latin-1") * 3000, 1, 1, 0xFC),
        ("猫在树上".encode("gbk") * 3000, 1, 2, 0xD4),
        (SENTENCES.encode("utf-16") * 100, 1, 0, 0xFF),
        (SENTENCES.encode("utf-16-le") * 100, 1, 1, 0),
        (b"\x1f\x8b\x08\x00compressed", 1, 1, 0x8B),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n" * 100, 2, 10, 0xE2),
        (b"ab\n" * BLOCK + b"\xff" + b"ab\n" * 5, BLOCK + 1, 3 * BLOCK, 0xFF),
        (b"a\n" + "猫".encode() * BLOCK + b"b\n\xe7\x8cz", 3, 3 * BLOCK + 4, 0xE7),
        (SENTENCES.encode() * 100 + "猫".encode()[:2], 101, len(SENTENCES) * 100, 0xE7),
        (codecs.BOM_UTF8 + b"ab\xff", 1, 5, 0xFF),
    ],
)
def test_what_is_no_text_is_refused_with_its_first_wrong_byte(
    text_file, data_folder, content, line, offset, byte
):
    path = text_file(content)
    with pytest.raises(CorpusError) as error:
        load_corpus(path)
    where = f"line {line}, byte offset {offset}: 0x{byte:02x}"
    assert str(error.value).startswith(f"{path} is not text in UTF-8 ({where}): ")
    assert "\n" not in str(error.value) and content[offset] == byte
    assert not [p for p in data_folder.rglob("*") if "my.txt" in p.name and p.suffix != ".lock"]


@pytest.mark.parametrize("content", [b"", b"a", codecs.BOM_UTF8, codecs.BOM_UTF8 + b"a"])
def test_a_text_that_is_empty_or_nearly_so_gets_one_sentence(text_file, content):
    with pytest.raises(CorpusError, match=r"my\.txt is empty or nearly so"):
        load_corpus(text_file(content))


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
