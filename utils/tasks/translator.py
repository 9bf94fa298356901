"""A small GPT-2 that translates: it reads English and goes on in Chinese.

    run = train_translator(pairs("train", 1000), TranslatorRecipe())
    Translator(run)(["Tom was a shy boy …"])       # a Chinese text for each English one

A row is "English, line break, Chinese, end", and the loss counts the Chinese only: so a model that
does nothing but continue texts becomes a translator. It may start from random weights, or from a
language model that has read texts of both languages of which none is a translation of another.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras_nlp
import numpy as np

from utils.data import bpe
from utils.data.batches import endless_batches
from utils.data.corpora import Corpus
from utils.data.dialogue_rows import Encoded, pad
from utils.data.keras_tokenizers import as_keras, from_keras
from utils.errors import CourseError
from utils.evaluation.losses import TokenLosses
from utils.generation.generator import Generator
from utils.models.gpt2 import build_gpt2, from_ids
from utils.models.sizes import ModelSize
from utils.tasks.translation import Pair, meanings, pairs, told
from utils.training.identity import identify
from utils.training.presets import load_preset, save_preset
from utils.training.pretraining import prepare, pretrain
from utils.training.recipes import Recipe, TrainingRecipe
from utils.training.runs import Method, Run, train_once

SIZE = ModelSize(layers=2, heads=2, width=128, feed_forward=512, context=128)
VOCABULARY_SIZE = 1536
UNPAIRED = 2000  # texts of each language that the language model reads
VALIDATION_TEXTS = 40  # of each language, for the language model
VALIDATION_PAIRS = 64
SEPARATOR = "\n"  # between the English text and the Chinese one


@dataclass(frozen=True)
class TranslatorRecipe(TrainingRecipe):
    """The configuration of a training of a translator.

    Attributes:
        steps: gradient steps.
        batch_size: pairs in a step.
        learning_rate: the highest one, Muon's; AdamW's is half of it.
        patience: evaluations without a better validation loss after which training stops. What is
            kept are the weights with the lowest one.
    """

    steps: int = 400
    batch_size: int = 16
    learning_rate: float = 0.02
    patience: int = 8


# ---- texts that are in no pair -------------------------------------------------------------------


def unpaired_texts(split: str, number: int) -> list[str]:
    """English and Chinese texts in turn, `number` of each; none has the meaning of another."""
    texts = []
    for language, start in (("en", 1), ("zh", 2)):
        found = zip(range(number), meanings(split, start), strict=False)
        texts.append([told(meaning, language, f"{split} {start} {i}") for i, meaning in found])
    return [text for both in zip(*texts, strict=True) for text in both]


def shared_tokenizer() -> bpe.Tokenizer:
    """One vocabulary for both languages, learnt from texts that are in no pair."""
    text = "".join(text + SEPARATOR for text in unpaired_texts("train", UNPAIRED // 4))
    return bpe.Tokenizer(bpe.train(text, VOCABULARY_SIZE - bpe.SMALLEST_VOCABULARY))


def bilingual_corpus(tokenizer: bpe.Tokenizer, number: int = UNPAIRED) -> Corpus:
    """What the language model reads: texts of both languages, one behind the other.

    Args:
        tokenizer: the tokenizer of both languages.
        number: the number of texts in each language.
    """
    train = _joined("train", number, tokenizer)
    validation = _joined("validation", VALIDATION_TEXTS, tokenizer)
    digest = hashlib.sha256(train.tobytes() + validation.tobytes()).hexdigest()
    return Corpus("english-chinese", digest, tokenizer, train, validation, False, None)


def _joined(split: str, number: int, tokenizer: bpe.Tokenizer) -> np.ndarray:
    """The ids of unpaired texts, an end id before the first and after each, (tokens,)."""
    ids = [tokenizer.end_id]
    for text in unpaired_texts(split, number):
        ids += [*tokenizer.encode(text), tokenizer.end_id]
    return np.array(ids, "uint16")


def language_model(tokenizer: bpe.Tokenizer, recipe: Recipe, quiet: bool = True) -> Run:
    """A GPT-2 that has read both languages, but no pair; trained if it is not there yet.

    Args:
        tokenizer: the tokenizer of both languages.
        recipe: the training configuration; its size has to be `SIZE`.
        quiet: whether to skip printing the evaluations of a finished run.

    Raises:
        TrainingFailed, CheckpointError: see `utils.training.pretraining.pretrain`.
    """
    return pretrain(bilingual_corpus(tokenizer), recipe, quiet=quiet)


# ---- rows ----------------------------------------------------------------------------------------


def prompt(english: str, tokenizer: bpe.Tokenizer) -> list[int]:
    """The ids that a translator continues: end of text, English, line break."""
    return [tokenizer.end_id, *tokenizer.encode(english), *tokenizer.encode(SEPARATOR)]


def encoded(pair: Pair, tokenizer: bpe.Tokenizer) -> Encoded:
    """A pair as ids, with weight 1 for those of the Chinese text and for its end, else 0."""
    first = prompt(pair.english, tokenizer)
    second = [*tokenizer.encode(pair.chinese), tokenizer.end_id]
    return first + second, [0] * len(first) + [1] * len(second)


class PairRows:
    """The pairs as rows of ids, shuffled anew for each pass.

    Args:
        pairs: the pairs, none longer than the context.
        tokenizer: the tokenizer of both languages.
        context: the longest input of the model, in tokens.

    Raises:
        CourseError: if a pair is longer.
    """

    def __init__(
        self, pairs: Sequence[Pair], tokenizer: bpe.Tokenizer, context: int = SIZE.context
    ):
        self.context = context
        rows = [encoded(pair, tokenizer) for pair in pairs]
        longest = max(len(ids) for ids, _ in rows) - 1
        if longest > context:
            raise CourseError(
                f"A pair has {longest} tokens, and the model reads {context}: shorten it."
            )
        self.rows, self.weights = pad(rows, context + 1, tokenizer.end_id)

    def batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows (batch, context + 1) and weights (batch, context), from the step and the seed."""
        numbers = np.arange(step * batch_size, (step + 1) * batch_size)
        chosen = [self._place(int(number), seed) for number in numbers]
        return self.rows[chosen], self.weights[chosen]

    def _place(self, number: int, seed: int) -> int:
        passes, position = divmod(number, len(self.rows))
        return int(np.random.default_rng([seed, passes]).permutation(len(self.rows))[position])

    def in_order(self) -> tuple[np.ndarray, np.ndarray]:
        """Every pair once: for validation."""
        return self.rows, self.weights


# ---- training ------------------------------------------------------------------------------------


def train_translator(
    train: Sequence[Pair],
    tokenizer: bpe.Tokenizer,
    recipe: TranslatorRecipe,
    base: Run | None = None,
    quiet: bool = False,
) -> Run:
    """Train a translator, or go on with a training that was stopped.

    Args:
        train: the pairs to learn from.
        tokenizer: the tokenizer of both languages.
        recipe: the training configuration.
        base: the language model to start from; None for random weights.
        quiet: whether to skip printing the evaluations of a finished run.

    Raises:
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
        CourseError: if a pair is too long for the model.
    """
    digest = hashlib.sha256(json.dumps([(p.english, p.chinese) for p in train]).encode())
    merges = "\n".join(tokenizer.merge_lines)
    data = {
        "base": base.folder.name if base else "random weights",
        "pairs": digest.hexdigest(),
        "tokenizer": hashlib.sha256(merges.encode()).hexdigest(),
    }
    identity = identify(__name__, f"translator-{len(train)}", data, recipe)
    return train_once(identity, recipe, _prepare(train, tokenizer, recipe, base), quiet)


def _prepare(
    train: Sequence[Pair], tokenizer: bpe.Tokenizer, recipe: TranslatorRecipe, base: Run | None
) -> Callable[[], Method]:
    """What makes the method, when it is needed."""

    def method() -> Method:
        rows = PairRows(train, tokenizer)
        held_out = PairRows(pairs("validation", VALIDATION_PAIRS), tokenizer).in_order()
        gpt2 = first_model(tokenizer, base)
        model = prepare(gpt2, _as_pretraining(recipe))
        losses = TokenLosses(from_ids(gpt2))

        def save(path: Path) -> None:
            save_preset(gpt2, as_keras(tokenizer), path)

        return Method(
            model=model,
            backbone=gpt2.backbone,
            batches=lambda first: endless_batches(rows, recipe.batch_size, recipe.seed, first),
            evaluate=lambda: losses.mean(*held_out),
            evaluate_fully=lambda: losses.mean(*held_out),
            save=save,
        )

    return method


def first_model(tokenizer: bpe.Tokenizer, base: Run | None) -> keras_nlp.models.GPT2CausalLM:
    """The model before training: with random weights, or with those of a language model."""
    model = build_gpt2(len(tokenizer.tokens), SIZE)
    if base is not None:
        model.backbone.set_weights(load_preset(base.preset).backbone.get_weights())
    return model


def _as_pretraining(recipe: TranslatorRecipe) -> Recipe:
    """What `prepare` needs: the optimizer and its schedule are those of pretraining."""
    return Recipe(recipe.steps, recipe.batch_size, recipe.learning_rate, recipe.seed)


# ---- translating ---------------------------------------------------------------------------------


class Translator:
    """Translates with a trained model: it always takes the likeliest next token.

    Args:
        run: a run of `train_translator`.
    """

    def __init__(self, run: Run):
        model = load_preset(run.preset)
        self.tokenizer = from_keras(model.preprocessor.tokenizer)
        self.generator = Generator(model, self.tokenizer.end_id)

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """The Chinese text for each English one; a text without an end is cut at the context.

        Raises:
            GenerationError: if a text is so long that no room is left for its translation.
        """
        prompts = [prompt(text, self.tokenizer) for text in texts]
        rows = self.generator(prompts, top_k=1)
        texts = []
        for row, first in zip(rows, prompts, strict=True):
            ids = row[len(first) :]
            texts.append(self.tokenizer.decode(i for i in ids if i != self.tokenizer.end_id))
        return texts
