"""A classifier out of a GPT-2: a head on its hidden states, and both are trained together.

    run = train_head(task_parts, "intent-en", tokenizer, HeadRecipe(), base=Path(lm.preset))
    classifier = read_classifier(Path(run.preset))
    classifier.probabilities(["turn on the lamp"])    # (texts, classes)

The hidden states of a text are *pooled*: their mean over its tokens, padding left out. The head is
one layer, from the pooled vector to a logit for each class. Lesson 19 shows it by hand.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import keras_nlp
import numpy as np
import tensorflow as tf
from keras import ops
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from utils.data import bpe
from utils.data.batches import every_step
from utils.data.keras_tokenizers import as_keras, from_keras
from utils.errors import CourseError
from utils.files import atomic_write
from utils.models.gpt2 import build_gpt2, hidden_states
from utils.models.sizes import SIZES, ModelSize
from utils.tasks.labelled import Example, Split, as_classes, labels_of
from utils.training.checkpoints import cannot_write
from utils.training.identity import Identity, identify
from utils.training.optimizers import Muon, warmup_cosine
from utils.training.presets import load_preset, preset_digest, save_preset
from utils.training.recipes import TrainingRecipe
from utils.training.runs import Method, Run, compiled, train_once

FILE = "head.safetensors"
ROWS = 64  # texts that are classified at a time
SHAPE = 16  # the length of all rows is a multiple of it


class ClassifierError(CourseError):
    """A folder that holds no classifier."""


@dataclass(frozen=True)
class HeadRecipe(TrainingRecipe):
    """The configuration of a training of a head and its backbone.

    Attributes:
        steps: the most gradient steps; training stops earlier when the validation loss rises.
        learning_rate: the highest one, Muon's; AdamW's is half of it.
        longest: tokens of a text that are read, at most the context; the rest is left out.
        size: the size of the model, where there is no base.
    """

    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 0.01
    patience: int = 6
    longest: int = 64
    size: ModelSize = SIZES["small"]


# ---- rows ----------------------------------------------------------------------------------------


def rows_of(
    texts: Sequence[str], tokenizer: bpe.Tokenizer, longest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Texts as rows of ids, (texts, longest), and the padding mask, 1 where there is a token.

    Each row begins with the end of text, as texts did in pretraining; padding stands on the right.
    """
    ids = np.full((len(texts), longest), tokenizer.end_id, "int32")
    mask = np.zeros((len(texts), longest), "int32")
    for row, there, text in zip(ids, mask, texts, strict=True):
        some = tokenizer.encode(text)[: longest - 1]
        row[1 : 1 + len(some)] = some
        there[: 1 + len(some)] = 1
    return ids, mask


def length_for(texts: Sequence[str], tokenizer: bpe.Tokenizer, longest: int) -> int:
    """The length of rows into which 95 % of some texts fit, and at most `longest`."""
    lengths = [1 + len(tokenizer.encode(text)) for text in texts]
    enough = int(np.percentile(lengths, 95))
    return min(longest, -(-enough // SHAPE) * SHAPE)


def shuffled(number: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Which examples a step takes: all of them once in each pass, in an order of its own."""
    place = step * batch_size + np.arange(batch_size)
    passes, places = divmod(place, number)
    orders = {p: np.random.default_rng((seed, int(p))).permutation(number) for p in set(passes)}
    return np.array([orders[p][i] for p, i in zip(passes, places, strict=True)])


# ---- the classifier ------------------------------------------------------------------------------


def with_head(model: keras_nlp.models.GPT2CausalLM, classes: int) -> keras.Model:
    """A network from ids and padding mask, (batch, time) each, to logits, (batch, classes).

    It shares the weights of the model. The head begins with zeros, so that all classes are equally
    probable.
    """
    states = hidden_states(model)
    ids, mask = states.inputs
    there = ops.cast(mask, "float32")[..., None]  # (batch, time, 1)
    pooled = ops.sum(states.output, axis=1) / ops.sum(there, axis=1)  # (batch, width)
    head = keras.layers.Dense(classes, kernel_initializer="zeros", name="head")
    return keras.Model([ids, mask], head(pooled))


class TextClassifier:
    """Says how probable each class of a text is.

    Args:
        model: the backbone.
        tokenizer: the one that it was trained with.
        labels: the names of the classes.
        longest: tokens of a text that are read; fewer if the context of the backbone is shorter.
    """

    def __init__(
        self,
        model: keras_nlp.models.GPT2CausalLM,
        tokenizer: bpe.Tokenizer,
        labels: Sequence[str],
        longest: int,
    ):
        self.model, self.tokenizer = model, tokenizer
        self.labels = list(labels)
        self.longest = min(longest, model.backbone.max_sequence_length)
        self.network = with_head(model, len(labels))
        rows = tf.TensorSpec((ROWS, self.longest), tf.int32)
        self._logits = tf.function(self._call, input_signature=(rows, rows), jit_compile=True)

    def _call(self, ids, mask):
        return self.network([ids, mask], training=False)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, classes)."""
        ids, mask = rows_of(texts, self.tokenizer, self.longest)
        found = []
        for start in range(0, len(ids), ROWS):
            part = [array[start : start + ROWS] for array in (ids, mask)]
            missing = ROWS - len(part[0])
            filled = [np.pad(array, ((0, missing), (0, 0)), mode="edge") for array in part]
            found.append(self._logits(*filled).numpy()[: ROWS - missing])
        return np.concatenate(found)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, classes); each row adds up to 1."""
        logits = self.logits(texts)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    def cut(self, texts: Sequence[str]) -> int:
        """How many of some texts are longer than what is read of them."""
        return sum(1 + len(self.tokenizer.encode(text)) > self.longest for text in texts)

    def loss(self, examples: Sequence[Example]) -> float:
        """The mean cross-entropy in nats per text."""
        classes = as_classes(examples, self.labels)
        found = self.probabilities([example.text for example in examples])
        right = found[np.arange(len(classes)), classes]
        return float(-np.log(np.maximum(right, 1e-30)).mean())

    def save(self, folder: Path) -> None:
        """Write the backbone as a preset, and the head beside it.

        Raises:
            CheckpointError: if it cannot be written.
        """
        save_preset(self.model, as_keras(self.tokenizer), folder)
        head = self.network.get_layer("head")
        about = {"labels": json.dumps(self.labels), "longest": str(self.longest)}
        arrays = {"kernel": np.array(head.kernel), "bias": np.array(head.bias)}
        with atomic_write(folder / FILE, cannot_write) as part:
            save_file(arrays, part, metadata=about)


def read_classifier(folder: Path) -> TextClassifier:
    """Read a classifier that was saved.

    Raises:
        ClassifierError: if the folder holds none.
    """
    try:
        with safe_open(folder / FILE, framework="np") as file:
            about = file.metadata() or {}
            arrays = [file.get_tensor(name) for name in ("kernel", "bias")]
        labels, longest = json.loads(about["labels"]), int(about["longest"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ClassifierError(
            f"{folder} holds no classifier ({type(error).__name__}): train one first."
        ) from None
    model = load_preset(folder)
    tokenizer = from_keras(model.preprocessor.tokenizer)
    classifier = TextClassifier(model, tokenizer, labels, longest)
    classifier.network.get_layer("head").set_weights(arrays)
    return classifier


# ---- training ------------------------------------------------------------------------------------


def train_head(
    parts: Split,
    name: str,
    tokenizer: bpe.Tokenizer,
    recipe: HeadRecipe,
    base: Path | None = None,
    quiet: bool = True,
) -> Run:
    """Train a classifier, or go on with a training that was stopped.

    The weights that are kept are those with the lowest loss on the validation part. The test part
    is not looked at.

    Args:
        parts: labelled texts.
        name: the name of the data, for the folder of the run.
        tokenizer: the tokenizer of the base.
        recipe: the training configuration.
        base: folder with the preset of a language model to start from; None for fresh weights.
        quiet: whether to skip printing the evaluations of a finished run.

    Raises:
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
        CourseError: if `base` holds no GPT-2.
    """
    identity = identity_of(parts, name, tokenizer, recipe, base)
    return train_once(identity, recipe, _method(parts, tokenizer, recipe, base), quiet)


def identity_of(
    parts: Split, name: str, tokenizer: bpe.Tokenizer, recipe: HeadRecipe, base: Path | None
) -> Identity:
    """The identity of a training, for the arguments of `train_head`.

    Raises:
        CourseError: if `base` holds no preset.
    """
    return identify(__name__, f"head-{name}", data_of(parts, tokenizer, base), recipe)


def data_of(parts: Split, tokenizer: bpe.Tokenizer, base: Path | None) -> dict[str, str]:
    """Digests of what a classifier learns from."""
    examples = json.dumps([parts.train, parts.validation])
    merges = "\n".join(tokenizer.merge_lines)
    return {
        "examples": hashlib.sha256(examples.encode()).hexdigest(),
        "tokenizer": hashlib.sha256(merges.encode()).hexdigest(),
        "base": preset_digest(base) if base else "fresh weights",
    }


def _method(
    parts: Split, tokenizer: bpe.Tokenizer, recipe: HeadRecipe, base: Path | None
) -> Callable[[], Method]:
    """What makes the method, when it is needed."""

    def method() -> Method:
        model = model_from(base, tokenizer, recipe.size)
        labels, texts = labels_of(parts.train), [example.text for example in parts.train]
        longest = length_for(texts, tokenizer, recipe.longest)
        classifier = TextClassifier(model, tokenizer, labels, longest)
        ids, mask = rows_of(texts, tokenizer, classifier.longest)
        classes = np.array(as_classes(parts.train, labels), "int32")
        ones = np.ones(recipe.batch_size, "float32")

        def batch(step: int) -> tuple[np.ndarray, ...]:
            chosen = shuffled(len(ids), recipe.batch_size, recipe.seed, step)
            return ids[chosen], mask[chosen], classes[chosen], ones

        def batches(first_step: int) -> tf.data.Dataset:
            return every_step(batch, first_step).map(lambda i, m, c, w: ((i, m), c, w))

        return Method(
            model=compiled(classifier.network, optimizer_for(recipe)),
            backbone=classifier.network,
            batches=batches,
            evaluate=lambda: classifier.loss(parts.validation),
            evaluate_fully=lambda: classifier.loss(parts.validation),
            save=classifier.save,
        )

    return method


def model_from(
    base: Path | None, tokenizer: bpe.Tokenizer, size: ModelSize
) -> keras_nlp.models.GPT2CausalLM:
    """The language model to start from, or one of the same kind with fresh weights."""
    return load_preset(base) if base else build_gpt2(len(tokenizer.tokens), size)


def optimizer_for(recipe: TrainingRecipe) -> keras.optimizers.Optimizer:
    """Muon with a rate that rises in a tenth of the steps and falls along half a cosine."""
    rate = warmup_cosine(recipe.learning_rate, recipe.steps, warmup=max(1, recipe.steps // 10))
    return Muon(rate, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)
