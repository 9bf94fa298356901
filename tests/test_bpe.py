"""Byte-pair encoding: the merges are the right ones, every text survives, bad input is told."""

import gc
import io
import json
import random
import tracemalloc
from itertools import pairwise

import pytest

from utils.data import bpe
from utils.data.bpe import (
    CHARACTER_OF,
    END,
    Tokenizer,
    TokenizerError,
    Trainer,
    merge,
    read_text,
    single_bytes,
    split_words,
    train,
)

# Small enough to count by hand: "ug" stands in 10 + 5 + 5 words, " p" in 5 + 12, "un" in 12 + 4.
HUGS = " hug" * 10 + " pug" * 5 + " pun" * 12 + " bun" * 4 + " hugs" * 5
TEXTS = [
    "Once upon a time there was a fox.",
    "从前有一只小猫，名叫咪咪。",
    "Naïve café — 🦊🧑‍🚀 été!",
    "def f(x):\n    return {'a': x ** 2}  # 2\n\n\n",
    "   leading,   inner   and trailing   ",
    "\t\r\n \u00a0\u3000\u2003x",
    "I'll we've they're it's don't I'M",
    "\x00\x01\x7f",
]


def learn_slowly(text, num_merges):
    """Byte-pair encoding as the paper says it: count every pair again before each merge."""
    words = [single_bytes(word) for word in split_words(text)]
    merges = []
    for _ in range(num_merges):
        counts = {}
        for pair in (pair for word in words for pair in pairwise(word)):
            counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        merges.append(max(counts, key=counts.get))  # the first of the most frequent
        words = [merge(word, merges[-1]) for word in words]
    return merges


def encode_slowly(tokenizer, word):
    """Find the earliest of all possible merges, apply it everywhere, and begin anew."""
    tokens = single_bytes(word)
    while possible := set(pairwise(tokens)) & set(tokenizer.merges):
        tokens = merge(tokens, min(possible, key=tokenizer.merges.index))
    return [tokenizer.tokens.index(token) for token in tokens]


def without_breaks(length, letters="ACGT"):
    """A text that is a single word."""
    return "".join(random.Random(0).choices(letters, k=length))


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(train(" ".join(TEXTS) + HUGS, 60))


def test_an_example_that_can_be_counted_by_hand():
    assert train(HUGS, 3) == [(b"u", b"g"), (b" ", b"p"), (b"u", b"n")]
    assert Tokenizer(train(HUGS, 3)).encode("hug")[-1] == 256


def test_repeated_letters_are_merged_from_the_left():
    assert merge([b"a"] * 5, (b"a", b"a")) == [b"aa", b"aa", b"a"]


def test_among_equals_the_first_in_the_text_wins():
    assert train("zx zx ab ab", 1) == [(b"z", b"x")]
    assert train("ab zx ab zx", 1) == [(b"a", b"b")]


@pytest.mark.parametrize("seed", range(300))
def test_the_quick_trainer_learns_what_the_slow_one_does(seed):
    rng = random.Random(seed)
    letters = "ab cA  \n1é猫"[: rng.randint(1, 11)]  # few letters: many ties and long runs
    text = "".join(rng.choice(letters) for _ in range(rng.randint(1, 150)))
    assert train(text, 15) == learn_slowly(text, 15)


def test_the_quick_trainer_looks_at_few_pairs():
    text = " ".join(f"{a}{b}{c}" for a in "abcdefgh" for b in "aeiou" for c in "klmnrst") * 20
    trainer = Trainer(text)
    assert [trainer.step() for _ in range(50)] == learn_slowly(text, 50)
    at_the_start = sum(len(word) - 1 for word in split_words(text))
    assert trainer.pairs_counted < at_the_start  # the slow one counts nearly as many at each step


@pytest.mark.parametrize("letters", ["ACGT", "a", "的一是不了人我在有他这中大来上国"])
def test_a_text_without_breaks_costs_no_more_than_its_length(letters, monkeypatch):
    text = without_breaks(10_000, letters)
    looks = []
    holds = bpe.Row.holds
    monkeypatch.setattr(bpe.Row, "holds", lambda *args: looks.append(1) or holds(*args))
    trainer = Trainer(text)
    merges = [pair for _ in range(300) if (pair := trainer.step())]
    size = len(text.encode())
    assert max(trainer.pairs_counted, len(looks)) < 20 * size, "300 looks at all of it: 300 * size"
    looks.clear()
    tokenizer = Tokenizer(merges)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(looks) < 3 * size


def test_a_long_training_shows_its_progress_in_a_terminal_only(monkeypatch, capsys):
    monkeypatch.setattr(bpe, "PROGRESS_DELAY", 0)
    train(HUGS, 3)
    assert capsys.readouterr() == ("", "")
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    train(HUGS, 3)
    assert "merges: 100%" in terminal.getvalue() and "3/3" in terminal.getvalue()


def test_training_stops_when_every_word_is_one_token():
    merges = train("abc abc", 100)
    assert merges == [(b"a", b"b"), (b"ab", b"c"), (b" ", b"abc")]
    assert train("a", 5) == []


def test_words_are_cut_as_gpt2_cuts_them():
    assert split_words("I'll go,  at 10:30 ?!\n\n ok") == [
        *["I", "'ll", " go", ",", " ", " at", " 10", ":", "30", " ?!", "\n\n", " ok"]
    ]


@pytest.mark.parametrize("text", ["", *TEXTS, "".join(map(chr, range(0x3000)))])
def test_every_text_comes_back(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids, strict=True) == text
    assert b"".join(tokenizer.tokens[i] for i in ids) == text.encode()


def test_encoding_joins_in_the_order_of_learning():
    tokenizer = Tokenizer([(b"b", b"c"), (b"a", b"b"), (b"a", b"bc")])
    assert [tokenizer.tokens[i] for i in tokenizer.encode("abcab")] == [b"abc", b"ab"]


@pytest.mark.parametrize("seed", range(100))
def test_the_quick_encoder_gives_what_the_slow_one_does(seed):
    rng = random.Random(seed)
    letters = "abcé猫"[: rng.randint(1, 5)]  # no breaks: long words, and long runs of a letter
    tokenizer = Tokenizer(train("".join(rng.choices(letters, k=200)), rng.randint(1, 40)))
    word = "".join(rng.choices(letters, k=rng.randint(1, 150)))
    assert tokenizer.encode(word) == encode_slowly(tokenizer, word)


def test_long_words_are_not_kept_in_memory():
    tokenizer = Tokenizer(train(without_breaks(1000), 50))
    tracemalloc.start()
    for letter in "ACGT":
        tokenizer.encode(letter + without_breaks(5000))
    gc.collect()  # it also empties the interpreter's store of small tuples
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 5000, "less than one of the words"


def test_the_text_end_is_one_token(tokenizer):
    ids = tokenizer.encode(f"one{END}two{END}")
    assert ids.count(tokenizer.end_id) == 2 and ids[-1] == tokenizer.end_id
    assert tokenizer.decode(ids) == f"one{END}two{END}"


def test_the_vocabulary_is_laid_out_like_gpt2s(tokenizer):
    vocabulary = tokenizer.vocabulary
    assert len(CHARACTER_OF) == len(set(CHARACTER_OF.values())) == 256
    # In the published vocabulary of GPT-2 these are the ids of "!", "a", a line break and a space.
    assert [vocabulary[token] for token in "!aĊĠ"] == [0, 64, 198, 220]
    assert list(vocabulary.values()) == list(range(256 + 60 + 1))
    assert vocabulary[END] == 256 + 60


class TestFiles:
    def test_saved_and_loaded(self, tokenizer, tmp_path):
        tokenizer.save(tmp_path / "new" / "folder")
        loaded = Tokenizer.load(tmp_path / "new" / "folder")
        assert loaded.merges == tokenizer.merges
        for text in TEXTS:
            assert loaded.encode(text) == tokenizer.encode(text)

    def test_the_format_is_gpt2s(self, tmp_path):
        Tokenizer(train(HUGS, 2)).save(tmp_path)
        merges = (tmp_path / "merges.txt").read_bytes()
        assert merges == "#version: 0.2\nu g\nĠ p\n".encode()
        vocabulary = json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))
        assert vocabulary["ug"] == 256 and vocabulary["Ġp"] == 257 and vocabulary[END] == 258

    def test_a_merges_file_without_version_and_with_a_number_sign(self, tmp_path):
        Tokenizer([(b"#", b"v")]).save(tmp_path)
        (tmp_path / "merges.txt").write_text("# v\n", encoding="utf-8")
        assert Tokenizer.load(tmp_path).merges == [(b"#", b"v")]


def sentence(action, *arguments, **options):
    """What a wrong use says; it must be one line that ends in a full stop."""
    with pytest.raises(TokenizerError) as caught:
        action(*arguments, **options)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


class TestBadInput:
    def test_nothing_to_learn_from(self):
        assert "empty" in sentence(train, "", 10)

    def test_half_of_a_surrogate_pair(self, tokenizer):
        assert "U+D83D" in sentence(tokenizer.encode, "fox \ud83d")
        assert "U+D83D" in sentence(train, "fox \ud83d", 10)

    def test_half_a_character(self, tokenizer):
        fox = tokenizer.encode("🦊")[:-1]
        assert tokenizer.decode(fox) == "�"
        assert "half a character" in sentence(tokenizer.decode, fox, strict=True)

    @pytest.mark.parametrize("number", [-1, 317, 50_000])
    def test_an_id_out_of_range(self, tokenizer, number):
        said = sentence(tokenizer.decode, [1, number])
        assert f"no token {number}:" in said and "from 0 to 316" in said

    def test_merges_that_do_not_build_on_one_another(self):
        assert "order" in sentence(Tokenizer, [(b"ab", b"c"), (b"a", b"b")])
        assert "order" in sentence(Tokenizer, [(b"a", b"b"), (b"a", b"b")])

    def test_a_file_that_is_not_utf8(self, tmp_path):
        path = tmp_path / "notes.txt"
        path.write_bytes(b"\xef\xbb\xbfHerr\r\n" + "Müller".encode("latin-1"))
        said = sentence(read_text, path)
        assert f"{path} is not text in UTF-8 (line 2, byte offset 10: 0xfc)" in said

    def test_a_byte_order_mark_is_no_part_of_a_text(self, tokenizer, tmp_path):
        tokenizer.save(tmp_path)
        for name in ("merges.txt", "vocab.json"):  # as an editor on Windows saves them
            text = (tmp_path / name).read_text(encoding="utf-8")
            (tmp_path / name).write_text(text, encoding="utf-8-sig", newline="\r\n")
        assert read_text(tmp_path / "merges.txt").startswith("#version")
        assert Tokenizer.load(tmp_path).merges == tokenizer.merges

    def test_a_file_that_is_not_there(self, tmp_path):
        assert "merges.txt cannot be read (No such file" in sentence(Tokenizer.load, tmp_path)
        assert "cannot be read" in sentence(read_text, tmp_path)

    @pytest.mark.parametrize("line", ["ab", "a b c", "a  b", "a 猫", "a\tb", " a"])
    def test_a_line_that_is_not_a_merge(self, tokenizer, tmp_path, line):
        tokenizer.save(tmp_path)
        (tmp_path / "merges.txt").write_text(f"#version: 0.2\n{line}\n", encoding="utf-8")
        assert f"line 2: {line!r} is not a merge" in sentence(Tokenizer.load, tmp_path)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("{", "is not JSON (line 1"),
            ("[1, 2]", "must hold a JSON object"),
            ('{"a": 0}', "lacks 255 of the 256 bytes"),
        ],
    )
    def test_a_vocabulary_that_is_damaged_or_too_small(self, tokenizer, tmp_path, content, said):
        tokenizer.save(tmp_path)
        (tmp_path / "vocab.json").write_text(content, encoding="utf-8")
        assert said in sentence(Tokenizer.load, tmp_path)

    def test_a_text_end_that_is_not_the_last(self, tokenizer, tmp_path):
        tokenizer.save(tmp_path)
        changed = tokenizer.vocabulary | {END: 0, "!": len(tokenizer.tokens) - 1}
        (tmp_path / "vocab.json").write_text(json.dumps(changed), encoding="utf-8")
        assert f"must end with {END}" in sentence(Tokenizer.load, tmp_path)

    def test_files_of_two_tokenizers(self, tokenizer, tmp_path):
        Tokenizer(tokenizer.merges[:-1]).save(tmp_path)
        keep = (tmp_path / "merges.txt").read_bytes()
        tokenizer.save(tmp_path)
        (tmp_path / "merges.txt").write_bytes(keep)
        assert "do not belong together" in sentence(Tokenizer.load, tmp_path)

    def test_a_folder_that_cannot_be_written(self, tokenizer, tmp_path):
        (tmp_path / "file").write_text("", encoding="utf-8")
        assert "cannot be written" in sentence(tokenizer.save, tmp_path / "file")
