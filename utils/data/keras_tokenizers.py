"""The course's tokenizers: GPT-2's, with a vocabulary learnt from the tales, in Keras.

    tokenizer = load_tokenizer("en")        # or "zh"
    ids = np.asarray(tokenizer("Once upon a time"))
    tokenizer.detokenize(ids)

    python -m utils.data.keras_tokenizers    # train them again, write datasets/tokenizer-*/

Call them on strings, eagerly, and train on the ids: inside a `tf.data` pipeline keras-nlp splits
text by another implementation, which is many times slower.
"""

import hashlib
from itertools import product
from pathlib import Path

import keras
import keras_nlp
from tokenizers.pre_tokenizers import ByteLevel

from utils.data import bpe
from utils.data.bpe import TokenizerError
from utils.errors import speak_plainly
from utils.paths import DATASETS
from utils.tales import LANGUAGES, as_text, corpus

# Large enough that every tale fits into a window of 256 tokens, small enough that the embedding
# stays a small part of a small GPT-2.
VOCABULARY_SIZE = 1536
# Training tales to learn from. More of them give merges that are no better on held-out tales.
TALES = 1000
CARD = DATASETS / "tokenizers.md"
NUMBERS = "## Numbers\n"  # what follows this line on the card is written by `main`


@keras.saving.register_keras_serializable(package="course")
class GPT2Tokenizer(keras_nlp.models.GPT2Tokenizer):
    """keras-nlp's GPT-2 tokenizer, with GPT-2's way to cut a text into words.

    keras-nlp 0.31 and 0.32 pass their regular expression to `pre_tokenizers.Split` as a string to
    search for, not as a pattern, so a text is not cut at all, and runs of spaces or line breaks
    get other tokens than GPT-2 gives them. `ByteLevel` contains the right expression.

    A model or preset that was saved with this tokenizer loads where this module is imported.
    """

    def _set_vocabulary_and_merges_tokenizers(self, vocabulary, merges):
        super()._set_vocabulary_and_merges_tokenizers(vocabulary, merges)
        self._tokenizer.pre_tokenizer = ByteLevel(
            add_prefix_space=self.add_prefix_space, use_regex=True
        )


def as_keras(tokenizer: bpe.Tokenizer) -> GPT2Tokenizer:
    """The same tokenizer as a Keras layer: equal ids for every text.

    Raises:
        TokenizerError: if there are no merges, which keras-nlp cannot handle.
    """
    if not tokenizer.merges:
        raise TokenizerError("A tokenizer in Keras needs at least one merge: train it first.")
    return GPT2Tokenizer(vocabulary=tokenizer.vocabulary, merges=tokenizer.merge_lines)


def from_keras(tokenizer: keras_nlp.models.GPT2Tokenizer) -> bpe.Tokenizer:
    """The course's tokenizer with the merges of one in Keras: it knows the bytes of each token.

    Equal ids for every text, with the course's `GPT2Tokenizer` and with keras-nlp's own, whose
    split into words it corrects. Tokens that only the one in Keras has are left out.

    Raises:
        TokenizerError: if the vocabulary is not the one that the merges give.
    """
    lines = [line for line in tokenizer.merges if line and not line.startswith("#version")]
    try:
        course = bpe.Tokenizer(_as_pair(line) for line in lines)
    except (KeyError, ValueError):  # a character that stands for no byte, or not two halves
        raise TokenizerError("The preset's merges are not those of a byte-level BPE.") from None
    if not course.vocabulary.items() <= tokenizer.vocabulary.items():
        raise TokenizerError(
            "The preset's vocabulary is not the one that its merges give:"
            " take both files from the same tokenizer."
        )
    return course


def _as_pair(line: str) -> bpe.Pair:
    left, right = (bytes(bpe.BYTE_OF[character] for character in half) for half in line.split(" "))
    return left, right


def load_tokenizer(language: str = "en") -> GPT2Tokenizer:
    """The tokenizer of the course for the tales in English ("en") or Chinese ("zh").

    Raises:
        TokenizerError: for another language, and if the files are missing or damaged.
    """
    return as_keras(bpe.Tokenizer.load(folder(language)))


def folder(language: str) -> Path:
    """Where vocab.json and merges.txt of a language are; raises TokenizerError if unknown."""
    if language not in LANGUAGES:
        raise TokenizerError(
            f"There is no tokenizer for {language!r}; there are: {', '.join(LANGUAGES)}."
        )
    return DATASETS / f"tokenizer-{language}"


def train_again(language: str) -> bpe.Tokenizer:
    """Learn the course's tokenizer of a language from the tales, as `main` does."""
    text = as_text(corpus(language, "train", TALES))
    return bpe.Tokenizer(bpe.train(text, VOCABULARY_SIZE - bpe.SMALLEST_VOCABULARY))


def main() -> None:
    """Write the tokenizers of both languages, and their sizes and checksums into the card."""
    for language in LANGUAGES:
        train_again(language).save(folder(language))
        print(f"wrote {folder(language)}")
    prose = CARD.read_text(encoding="utf-8").split(NUMBERS)[0]
    CARD.write_text(f"{prose}{NUMBERS}\n{numbers()}", encoding="utf-8", newline="\n")
    print(f"wrote {CARD}")


def numbers() -> str:
    """The tables of the card: the files, and the length of held-out tales in tokens."""
    rows = ["| file | bytes | SHA-256 |", "|---|---|---|"]
    for language, file in product(LANGUAGES, ["merges.txt", "vocab.json"]):
        data = (folder(language) / file).read_bytes()
        name = f"{folder(language).name}/{file}"
        rows.append(f"| `{name}` | {len(data):,} | `{hashlib.sha256(data).hexdigest()}` |")
    rows += ["", "| validation tales | characters | tokens | longest | characters a token |"]
    rows += ["|---|---|---|---|---|"]
    for language in LANGUAGES:
        tokenizer = bpe.Tokenizer.load(folder(language))
        texts = [story.text for story in corpus(language, "validation")]
        lengths = [len(tokenizer.encode(text)) for text in texts]
        characters, tokens = sum(map(len, texts)), sum(lengths)
        mean = f"{characters / len(texts):.1f} | {tokens / len(texts):.1f}"
        rows.append(f"| {language} | {mean} | {max(lengths)} | {characters / tokens:.2f} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    speak_plainly()
    main()
