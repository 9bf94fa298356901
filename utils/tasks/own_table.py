"""A classifier for somebody's own table of `text,label`, beside classifiers that count words.

learnt = learn("my.csv")
report(learnt)                                    # accuracy and macro-F1, with intervals
learnt.answering.probabilities(["a new text"])    # (texts, classes), by the recommended model
"""

import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils.data.bpe import Tokenizer
from utils.data.keras_tokenizers import from_keras
from utils.errors import CourseError
from utils.files import read_text
from utils.tasks.counting import Classifier, baselines, looks_chinese
from utils.tasks.heads import (
    HeadRecipe,
    TextClassifier,
    identity_of,
    read_classifier,
    train_head,
)
from utils.tasks.labelled import (
    Example,
    Split,
    TableError,
    as_classes,
    labels_of,
    read_table,
    split,
    without_duplicates,
)
from utils.tasks.language_models import LEAST_TOKENS, corpus_of
from utils.tasks.scoring import confusion, difference, macro_f1, wilson
from utils.training.presets import load_preset
from utils.training.pretraining import pretrain
from utils.training.recipes import Recipe
from utils.training.runs import Run, is_finished

GPT2 = "GPT-2 with a head"
# Of the tokenizer: one token for so many bytes of text. More would make whole phrases a token.
BYTES_A_TOKEN, SMALLEST, LARGEST = 64, 320, 2048
PASSES, FEWEST_STEPS, MOST_STEPS = 6, 40, 400  # of the language model, over the texts
HEAD_PASSES, FEWEST_HEAD_STEPS, MOST_HEAD_STEPS = 12, 200, 400
TOKENS = 4096  # in a step of the language model
# Of the report: the most labels of a confusion matrix, the letters of each; mistakes, and letters.
MOST_LABELS, LABEL_WIDTH, MISTAKES, MISTAKE_WIDTH = 8, 10, 3, 70


class Learnt(NamedTuple):
    """What has been learnt from a table.

    Attributes:
        name: the name of the table.
        parts: its texts.
        duplicates: how many texts were left out.
        right: the classes of the test, (texts,).
        probabilities: the probabilities by classifier, (texts, classes), on the test.
        classifier: the GPT-2 with a head.
        run: its training.
        counting: the classifiers that count words, fitted to the training part, by their names.
    """

    name: str
    parts: Split
    duplicates: int
    right: np.ndarray
    probabilities: dict[str, np.ndarray]
    classifier: TextClassifier
    run: Run
    counting: dict[str, Classifier]

    @property
    def hits(self) -> dict[str, np.ndarray]:
        """Which texts of the test each classifier has right, by its name."""
        return {name: p.argmax(1) == self.right for name, p in self.probabilities.items()}

    @property
    def recommended(self) -> str:
        """The name of the classifier that answers: see `recommendation`."""
        return recommendation(self.hits)

    @property
    def answering(self) -> Classifier | TextClassifier:
        """The classifier that answers."""
        name = self.recommended
        return self.classifier if name == GPT2 else self.counting[name]


def learn(
    path: Path | str,
    steps: int | None = None,
    seed: int = 0,
    base: Path | None = None,
) -> Learnt:
    """Train a classifier on a table, or take the one that was trained on it before.

    Args:
        path: the file of the table; see `utils.tasks.labelled.read_table`.
        steps: gradient steps of the head's training; None for about twelve passes over the texts.
        seed: the seed of the split, the first weights and the order.
        base: folder with the preset of a GPT-2 to start from; None for one that first learns to
            write the table's own texts, without their labels.

    Raises:
        TableError: if the table cannot be learnt from.
        CourseError: if `base` holds no GPT-2, or something cannot be written.
    """
    path = Path(path)
    unique, duplicates = without_duplicates(read_table(path))
    parts = _split(path, unique, seed)
    texts = [example.text for example in parts.train]
    tokenizer, start, note = _backbone(path.stem, parts, seed, base)
    if steps is None:
        steps = min(MOST_HEAD_STEPS, max(FEWEST_HEAD_STEPS, HEAD_PASSES * len(texts) // 32))
    recipe = HeadRecipe(steps=steps, seed=seed)
    if note and not is_finished(identity_of(parts, path.stem, tokenizer, recipe, start).folder):
        print(note, file=sys.stderr)
    run = train_head(parts, path.stem, tokenizer, recipe, start)
    labels, tested = labels_of(parts.train), [example.text for example in parts.test]
    classes, found = as_classes(parts.train, labels), {}
    counting = baselines("zh" if looks_chinese(texts) else "en")
    for name, counts in counting.items():
        counts.fit(texts, classes)
        found[name] = counts.probabilities(tested)
    classifier = read_classifier(Path(run.preset))
    found[GPT2] = classifier.probabilities(tested)
    right = np.array(as_classes(parts.test, labels))
    return Learnt(path.name, parts, duplicates, right, found, classifier, run, counting)


def _split(path: Path, examples: list[Example], seed: int) -> Split:
    labels = labels_of(examples)
    if len(labels) < 2:
        raise TableError(
            f"{path}: without duplicates and texts that have several labels, fewer than two labels"
            " are left: look at the rows whose texts are alike."
        )
    return split(examples, seed)


def _backbone(
    name: str, parts: Split, seed: int, base: Path | None
) -> tuple[Tokenizer, Path | None, str]:
    """The tokenizer, the preset of the language model to start from, and why there is none."""
    if base:
        return from_keras(load_preset(base).preprocessor.tokenizer), base, ""
    texts, held_out = ([one.text for one in part] for part in (parts.train, parts.validation))
    size = len("".join(texts).encode()) // BYTES_A_TOKEN
    corpus = corpus_of(name, texts, held_out, min(LARGEST, max(SMALLEST, size)))
    if len(corpus.train) < LEAST_TOKENS:
        note = (
            f"The texts have {len(corpus.train):,} tokens, too few to train a language model on:"
            " the GPT-2 starts from fresh weights; --base takes another one."
        )
        return corpus.tokenizer, None, note
    steps = min(MOST_STEPS, max(FEWEST_STEPS, PASSES * len(corpus.train) // TOKENS))
    run = pretrain(corpus, Recipe(steps=steps, seed=seed), quiet=True, announce=True)
    return corpus.tokenizer, Path(run.preset), ""


def report(learnt: Learnt) -> None:
    """Print what each classifier has come to on the test, which is ahead, and its mistakes."""
    train, validation, test = map(len, learnt.parts)
    labels = learnt.classifier.labels
    print(f"{learnt.name}: {train + validation + test:,} texts with {len(labels)} labels", end="")
    print(f" ({learnt.duplicates:,} duplicates left out); {train:,} to learn from,", end=" ")
    print(f"{validation:,} for validation, {test:,} for the test")
    texts = [example.text for part in learnt.parts for example in part]
    if note := _what_is_cut(learnt.classifier, texts):
        print(note)
    print(f"{'':22}{'accuracy (95 % interval)':>26}{'macro-F1':>10}")
    hits = learnt.hits
    for name, found in learnt.probabilities.items():
        f1 = macro_f1(confusion(learnt.right, found.argmax(1), len(labels)))
        print(f"{name:22}{wilson(int(hits[name].sum()), test)!s:>26}{f1:10.3f}")
    print(verdict(hits))
    name = learnt.recommended
    found = learnt.probabilities[name]
    if len(labels) <= MOST_LABELS:
        print(f"\n{name} on the held-out texts (rows: true label; columns: predicted):")
        print(matrix(confusion(learnt.right, found.argmax(1), len(labels)), labels))
    if wrong := mistakes(found, learnt.right):
        print(f"\nheld-out texts that {name} is surest of and gets wrong:")
    for i in wrong:
        text = " ".join(learnt.parts.test[i].text.split())[:MISTAKE_WIDTH]
        true, predicted = labels[learnt.right[i]], labels[found[i].argmax()]
        print(f"{text}\n    true {true}, predicted {predicted} ({found[i].max():.2f})")


def matrix(counts: np.ndarray, labels: Sequence[str]) -> str:
    """A confusion matrix as lines of text, with the labels shortened.

    Args:
        counts: how often class i was called class j, (classes, classes).
        labels: the labels in the order of the classes.
    """
    short = [
        label if len(label) <= LABEL_WIDTH else f"{label[: LABEL_WIDTH - 1]}…" for label in labels
    ]
    width = max(map(_columns, [*short, str(counts.max())]))
    rows = [["", *short]]
    rows += [[label, *map(str, row)] for label, row in zip(short, counts, strict=True)]
    return "\n".join(
        "  ".join(" " * (width - _columns(cell)) + cell for cell in row) for row in rows
    )


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes; a Chinese character takes two."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def mistakes(probabilities: np.ndarray, right: np.ndarray) -> list[int]:
    """The texts with a wrong label of the highest probability, the surest first; at most three.

    Args:
        probabilities: (texts, classes).
        right: the true classes, (texts,).
    """
    order = np.argsort(-probabilities.max(1), kind="stable")
    return [int(i) for i in order if probabilities[i].argmax() != right[i]][:MISTAKES]


def _what_is_cut(classifier: TextClassifier, texts: Sequence[str]) -> str:
    """One sentence about texts that are not read to their end; "" if there are none."""
    cut = classifier.cut(texts)
    if not cut:
        return ""
    return (
        f"{GPT2} reads at most {classifier.longest} tokens of a text: {cut:,} of {len(texts):,}"
        " texts are longer, and the rest of them is left out."
    )


def verdict(hits: dict[str, np.ndarray]) -> str:
    """One sentence: is the GPT-2 better than the best of the others?

    Args:
        hits: the hits by classifier: which texts of the test it has right.
    """
    best = _best_counting(hits)
    change, low, high = (100 * one for one in difference(hits[GPT2], hits[best]))
    measured = f"{change:+.1f} points beside {best} (95 % interval {low:+.1f} to {high:+.1f})"
    if low > 0:
        return f"{GPT2}: {measured}: it is better on these texts."
    if high < 0:
        return f"{GPT2}: {measured}: take {best}, it is better here, and smaller and faster."
    return f"{GPT2}: {measured}: so few texts cannot tell which is better; {best} is simpler."


def recommendation(hits: dict[str, np.ndarray]) -> str:
    """The best of the others where `verdict` says to take it, and the GPT-2 everywhere else.

    Args:
        hits: the hits by classifier.
    """
    best = _best_counting(hits)
    return best if difference(hits[GPT2], hits[best])[2] < 0 else GPT2


def _best_counting(hits: dict[str, np.ndarray]) -> str:
    return max((name for name in hits if name != GPT2), key=lambda name: hits[name].mean())


def texts_of(wanted: str) -> Iterator[str]:
    """The lines of a file, or the text itself where there is no such file.

    Raises:
        CourseError: if the file is not text.
    """
    path = os.path.expanduser(wanted)
    # os.path raises nothing for a text that is no possible name, such as one that is too long.
    lines = read_text(path, CourseError).split("\n") if os.path.isfile(path) else [wanted]
    yield from (line.strip() for line in lines if line.strip())


def predict(classifier: Classifier | TextClassifier, labels: Sequence[str], wanted: str) -> None:
    """Print the likeliest label of each text, its probability, and the text.

    Texts that are too long for the GPT-2 to be read to their end are counted on stderr.

    Args:
        classifier: what says it.
        labels: the labels in the order of its classes.
        wanted: a file with one text per line, or a text.

    Raises:
        CourseError: if there is no text.
    """
    texts = list(texts_of(wanted))
    if not texts:
        raise CourseError(f"{wanted!r} holds no text.")
    if isinstance(classifier, TextClassifier) and (note := _what_is_cut(classifier, texts)):
        print(note, file=sys.stderr)
    for text, row in zip(texts, classifier.probabilities(texts), strict=True):
        print(f"{labels[row.argmax()]}  {row.max():.2f}  {text}")
