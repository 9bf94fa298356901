"""The course's tokenizers: ours, keras-nlp's and Hugging Face's give the same tokens."""

import json
import random
import re
import unicodedata

import keras
import keras_nlp
import numpy as np
import pytest
import tokenizers as hugging_face

from utils.data import bpe
from utils.data import keras_tokenizers as tokenizers

TEXTS = [
    "",
    "Once upon a time there was a fox.",
    "从前有一只小猫，名叫咪咪。",
    "🦊🧑‍🚀 naïve café — ½ x² 한국어 עברית",
    "def f(x):\n    return {'a': x ** 2}  # 2\n\n\n",
    "   leading,   inner   and trailing   ",
    "line\n\n\n   \n\tline\r\n",
    "\u00a0\u3000\u2003x\u0085\x1c",
    "I'll we've they're it's don't I'M",
    "one<|endoftext|>two <|endoftext|>",
]


def random_texts(number, seed=0):
    """Strings of random characters, from all of Unicode and from the keyboard."""
    rng = random.Random(seed)
    # What Unicode has not assigned yet is left out: libraries learn of new letters at other times.
    every = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    common = "  \n\tabcXYZ'sre019.,!?"
    return [
        "".join(rng.choice(rng.choice((every, common))) for _ in range(rng.randint(0, 30)))
        for _ in range(number)
    ]


ALL_TEXTS = TEXTS + random_texts(10_000)


@pytest.fixture(scope="module", params=["en", "zh"])
def language(request):
    return request.param


@pytest.fixture(scope="module")
def ours(language):
    return bpe.Tokenizer.load(tokenizers.folder(language))


@pytest.fixture(scope="module")
def in_keras(language):
    return tokenizers.load_tokenizer(language)


def first_difference(inputs, expected, found):
    for one, wanted, got in zip(inputs, expected, found, strict=True):
        if wanted != got:
            return one, wanted, got
    return None


def test_keras_nlp_gives_the_same_tokens(ours, in_keras):
    expected = [ours.encode(text) for text in ALL_TEXTS]
    found = [np.asarray(ids).tolist() for ids in in_keras(ALL_TEXTS)]
    assert first_difference(ALL_TEXTS, expected, found) is None


def test_keras_nlp_gives_the_same_text(ours, in_keras):
    rng = random.Random(1)
    drawn = [[rng.randrange(len(ours.tokens)) for _ in range(12)] for _ in range(1000)]
    ids = [ours.encode(text) for text in ALL_TEXTS] + drawn  # drawn ones hold half characters
    assert first_difference(ids, [ours.decode(i) for i in ids], in_keras.detokenize(ids)) is None


def test_hugging_face_gives_the_same_tokens_from_the_same_files(ours, language):
    folder = tokenizers.folder(language)
    theirs = hugging_face.ByteLevelBPETokenizer.from_file(
        str(folder / "vocab.json"), str(folder / "merges.txt")
    )
    theirs.add_special_tokens([bpe.END])
    expected = [ours.encode(text) for text in ALL_TEXTS]
    found = [encoding.ids for encoding in theirs.encode_batch(ALL_TEXTS)]
    assert first_difference(ALL_TEXTS, expected, found) is None


def test_every_text_comes_back(ours):
    for text in ALL_TEXTS:
        assert ours.decode(ours.encode(text), strict=True) == text


def test_a_single_text_a_list_and_their_ends(ours, in_keras):
    assert np.asarray(in_keras("a fox")).tolist() == ours.encode("a fox")
    assert in_keras.end_token_id == ours.end_id == in_keras.vocabulary_size() - 1
    assert in_keras.pad_token_id == 0 != in_keras.end_token_id


TRICKY = "Two  spaces,\n\n\nthree   spaces and a 猫."


def small_model(tokenizer):
    backbone = keras_nlp.models.GPT2Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=32,
    )
    preprocessor = keras_nlp.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=32)
    return keras_nlp.models.GPT2CausalLM(backbone, preprocessor)


def same(loaded, tokenizer):
    assert type(loaded) is tokenizers.GPT2Tokenizer
    return np.asarray(loaded(TRICKY)).tolist() == np.asarray(tokenizer(TRICKY)).tolist()


def test_a_saved_model_brings_its_tokenizer_back(tmp_path):
    tokenizer = tokenizers.load_tokenizer("en")
    small_model(tokenizer).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert same(loaded.preprocessor.tokenizer, tokenizer)


def test_a_preset_brings_its_tokenizer_back(tmp_path):
    tokenizer = tokenizers.load_tokenizer("en")
    small_model(tokenizer).save_to_preset(str(tmp_path))
    loaded = keras_nlp.models.GPT2CausalLM.from_preset(str(tmp_path))
    assert same(loaded.preprocessor.tokenizer, tokenizer)
    assert same(keras_nlp.models.GPT2Tokenizer.from_preset(str(tmp_path)), tokenizer)


def test_the_shipped_files_hold_what_they_should(language):
    folder = tokenizers.folder(language)
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    assert set(bpe.CHARACTER_OF.values()) <= vocabulary.keys()
    assert len(vocabulary) == tokenizers.VOCABULARY_SIZE == vocabulary[bpe.END] + 1


def test_training_again_gives_the_same_bytes(language, tmp_path):
    tokenizers.train_again(language).save(tmp_path)
    for file in ("vocab.json", "merges.txt"):
        shipped = (tokenizers.folder(language) / file).read_bytes()
        again = "run: python -m utils.data.keras_tokenizers"
        assert (tmp_path / file).read_bytes() == shipped, again


def test_the_card_tells_the_truth():
    prose, numbers = tokenizers.CARD.read_text(encoding="utf-8").split(tokenizers.NUMBERS)
    assert numbers == "\n" + tokenizers.numbers(), "run: python -m utils.data.keras_tokenizers"
    assert f"{tokenizers.VOCABULARY_SIZE:,} tokens" in prose and f"{tokenizers.TALES:,} [" in prose
    assert all(row in prose for row in ("| What |", "| Made by |", "| Licence |"))
    longest = re.findall(r"^\| (?:en|zh) \|.*\| (\d+) \| [\d.]+ \|$", numbers, re.M)
    assert len(longest) == 2
    # The promise beside VOCABULARY_SIZE: a tale and its end fit into a window of 256 tokens.
    assert all(int(tokens) + 1 <= 256 for tokens in longest)


def test_an_unknown_language():
    with pytest.raises(bpe.TokenizerError, match="no tokenizer for 'fr'; there are: en, zh"):
        tokenizers.load_tokenizer("fr")


def test_a_tokenizer_without_merges():
    with pytest.raises(bpe.TokenizerError, match="at least one merge"):
        tokenizers.as_keras(bpe.Tokenizer([]))
