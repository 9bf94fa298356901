"""Classification as a prompt: the language model says which label comes next.

    prompt = Prompt("{text} It was", {"positive": " good", "negative": " bad"})
    prompted = PromptedModel(model, tokenizer, prompt, longest=64)
    prompted.probabilities(texts)             # zero-shot: nothing has been trained
    run = train_prompt(parts, "sentiment-en", prompt, tokenizer, PromptRecipe(), base)

The score of a label is the log-probability of its words after the text. A model may prefer the
words of one label whatever the text says; `calibrated` divides by what it says to a text without
content.

Sources: A. Radford et al., Language Models are Unsupervised Multitask Learners (2019); T. Zhao et
al., Calibrate Before Use (2021).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras_nlp
import numpy as np
import tensorflow as tf

from utils.data import bpe
from utils.data.batches import every_step
from utils.data.keras_tokenizers import as_keras
from utils.errors import CourseError
from utils.models.gpt2 import from_ids
from utils.tasks.heads import (
    HeadRecipe,
    data_of,
    length_for,
    model_from,
    optimizer_for,
    shuffled,
)
from utils.tasks.labelled import Example, Split
from utils.training.identity import identify
from utils.training.presets import save_preset
from utils.training.runs import Method, Run, compiled, train_once

ROWS = 64  # rows that are scored at a time
NO_CONTENT = ("", "N/A", "...")  # texts that say nothing


class Prompt(NamedTuple):
    """How a text is put, and what each label is called.

    Attributes:
        form: a text with "{text}" in it; what comes next is the label.
        words: the words that are said, by label; with the space before it, where there is one.
    """

    form: str
    words: dict[str, str]


PROMPTS = {
    "sentiment-en": Prompt("{text} It was", {"negative": " bad", "positive": " good"}),
    "sentiment-zh": Prompt("{text}总之，很", {"negative": "差", "positive": "好"}),
}


def prompt_for(task: str, labels: Sequence[str]) -> Prompt:
    """The prompt of a task; where there is none of its own, the label stands behind an arrow."""
    if task in PROMPTS:
        return PROMPTS[task]
    return Prompt("{text} ->", {label: f" {_spaced(label)}" for label in labels})


def _spaced(label: str) -> str:
    """A label in words: "TurnOn" is "turn on"."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in label).strip().replace("_", " ")


@dataclass(frozen=True)
class PromptRecipe(HeadRecipe):
    """The configuration of a training with prompts; `longest` counts the tokens of the text."""


class Rows(NamedTuple):
    """Prompts with their labels, ready for a language model.

    Attributes:
        ids: token ids, (rows, time), the end of text before and after each, padding on the right.
        weights: the loss mask, (rows, time - 1), 1 where the next token belongs to the label.
    """

    ids: np.ndarray
    weights: np.ndarray


class PromptedModel:
    """A language model as a classifier.

    Args:
        model: the language model.
        tokenizer: its own.
        prompt: how texts are put.
        longest: tokens of a text that are read; fewer if the context is too short for them.

    Raises:
        CourseError: if the prompt leaves no room for a text in the context.
    """

    def __init__(
        self,
        model: keras_nlp.models.GPT2CausalLM,
        tokenizer: bpe.Tokenizer,
        prompt: Prompt,
        longest: int,
    ):
        self.model, self.tokenizer, self.prompt, self.longest = model, tokenizer, prompt, longest
        self.labels = sorted(prompt.words)
        before, self.after = prompt.form.split("{text}")
        self.before = tokenizer.encode(before)
        self.suffix = tokenizer.encode(self.after)
        self.words = {label: tokenizer.encode(word) for label, word in prompt.words.items()}
        spare = len(self.before) + len(self.suffix) + max(map(len, self.words.values())) + 2
        context = model.backbone.max_sequence_length
        if spare > context:
            raise CourseError(
                f"The prompt with its longest label takes {spare} positions, and the model has a"
                f" context of {context}, which leaves no room for a text: shorten the prompt or the"
                " words of the labels, or take a model with a longer context."
            )
        self.time = min(longest + spare, context + 1)
        self.network = from_ids(model)
        ids = tf.TensorSpec((ROWS, self.time), tf.int32)
        weights = tf.TensorSpec((ROWS, self.time - 1), tf.float32)
        self._scores = tf.function(
            self._score, input_signature=(ids, weights), jit_compile=True, autograph=False
        )

    def rows(self, texts: Sequence[str], labels: Sequence[str]) -> Rows:
        """Each text with the words of a label after it."""
        end = self.tokenizer.end_id
        ids = np.full((len(texts), self.time), end, "int32")
        weights = np.zeros((len(texts), self.time - 1), "float32")
        for row, weight, text, label in zip(ids, weights, texts, labels, strict=True):
            word = [*self.words[label], end]
            room = self.time - 1 - len(self.before) - len(self.suffix) - len(word)
            some = self.tokenizer.encode(text)[: min(self.longest, room)]
            put = [end, *self.before, *some, *self.suffix]
            row[: len(put) + len(word)] = put + word
            weight[len(put) - 1 : len(put) + len(word) - 1] = 1
        return Rows(ids, weights)

    def _score(self, ids, weights):
        """The log-probability of each row's targets, (rows,)."""
        logits = self.network(ids[:, :-1], training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ids[:, 1:], logits)
        return -tf.reduce_sum(losses * weights, axis=1)

    def log_probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """The log-probability of the words of each label after each text, (texts, labels)."""
        columns = []
        for label in self.labels:
            rows = self.rows(texts, [label] * len(texts))
            found = []
            for start in range(0, len(texts), ROWS):
                part = [array[start : start + ROWS] for array in rows]
                missing = ROWS - len(part[0])
                filled = [np.pad(array, ((0, missing), (0, 0)), mode="edge") for array in part]
                found.append(self._scores(*filled).numpy()[: ROWS - missing])
            columns.append(np.concatenate(found))
        return np.stack(columns, axis=1)

    def probabilities(self, texts: Sequence[str], calibrate: bool = False) -> np.ndarray:
        """The probabilities of the labels among themselves, (texts, labels).

        Args:
            texts: what to classify.
            calibrate: whether to divide by what the model says to texts without content.
        """
        scores = self.log_probabilities(texts)
        return calibrated(scores, self.log_probabilities(NO_CONTENT) if calibrate else None)

    def loss(self, examples: Sequence[Example]) -> float:
        """The mean over the texts of -log p of the right label's words, in nats."""
        rows = self.rows([one.text for one in examples], [one.label for one in examples])
        total = 0.0
        for start in range(0, len(examples), ROWS):
            part = [array[start : start + ROWS] for array in rows]
            missing = ROWS - len(part[0])
            ids = np.pad(part[0], ((0, missing), (0, 0)), mode="edge")
            weights = np.pad(part[1], ((0, missing), (0, 0)))
            total -= float(self._scores(ids, weights).numpy().sum())
        return total / len(examples)


def calibrated(scores: np.ndarray, without_content: np.ndarray | None = None) -> np.ndarray:
    """Log-probabilities of words as probabilities of labels, (texts, labels).

    Args:
        scores: log-probabilities, (texts, labels).
        without_content: the same for texts that say nothing; their mean is subtracted.
    """
    if without_content is not None:
        scores = scores - without_content.mean(0)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


# ---- training ------------------------------------------------------------------------------------


def train_prompt(
    parts: Split,
    name: str,
    prompt: Prompt,
    tokenizer: bpe.Tokenizer,
    recipe: PromptRecipe,
    base: Path | None = None,
    quiet: bool = True,
) -> Run:
    """Teach a language model to say the label after a text, or go on with a stopped training.

    Only the words of the labels count in the loss. For the arguments see
    `utils.tasks.heads.train_head`; the preset of the run is the language model.

    Raises:
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
        CourseError: if `base` holds no GPT-2, or its context is too short for the prompt.
    """
    data = data_of(parts, tokenizer, base) | {"prompt": json.dumps(prompt)}
    identity = identify(__name__, f"prompt-{name}", data, recipe)
    return train_once(identity, recipe, _method(parts, prompt, tokenizer, recipe, base), quiet)


def _method(
    parts: Split, prompt: Prompt, tokenizer: bpe.Tokenizer, recipe: PromptRecipe, base: Path | None
) -> Callable[[], Method]:
    """What makes the method, when it is needed."""

    def method() -> Method:
        model = model_from(base, tokenizer, recipe.size)
        texts = [example.text for example in parts.train]
        longest = length_for(texts, tokenizer, recipe.longest)
        prompted = PromptedModel(model, tokenizer, prompt, longest)
        rows = prompted.rows(texts, [example.label for example in parts.train])

        def batch(step: int) -> tuple[np.ndarray, ...]:
            chosen = shuffled(len(texts), recipe.batch_size, recipe.seed, step)
            ids = rows.ids[chosen]
            return ids[:, :-1], ids[:, 1:], rows.weights[chosen]

        return Method(
            model=compiled(prompted.network, optimizer_for(recipe)),
            backbone=model.backbone,
            batches=lambda first_step: every_step(batch, first_step),
            evaluate=lambda: prompted.loss(parts.validation),
            evaluate_fully=lambda: prompted.loss(parts.validation),
            save=lambda path: save_preset(model, as_keras(tokenizer), path),
        )

    return method
