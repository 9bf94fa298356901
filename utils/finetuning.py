"""Fine-tuning: a pretrained GPT-2 learns to converse. Lesson 10 explains each part."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import keras_nlp
import numpy as np
import tensorflow as tf
from keras import ops

from utils import bpe
from utils.chat import Template, with_roles
from utils.checkpoints import checkpoints_dir, whole
from utils.dialogues import CONTEXT, Dialogue, about_tales, small_talk, small_talk_file
from utils.gpt2 import from_ids, small_gpt2
from utils.optimizers import WarmupStableDecay
from utils.pretraining import (
    RESULT,
    Run,
    TrainingFailed,
    compiled,
    once,
    read_run,
    save_preset,
)
from utils.recipe import ChatRecipe
from utils.tales import LANGUAGES
from utils.tokenizers import folder as folder_of
from utils.training import Progress
from utils.windows import TokenLosses, endless_batches

Encoded = tuple[list[int], list[int]]  # ids, and for each of them a weight: to learn or not
NEW_ROWS_SEED = 0
VALIDATION_TALES = 40


# ---- the model -----------------------------------------------------------------------------------


def with_more_rows(
    model: keras_nlp.models.GPT2CausalLM, new: int, like: int
) -> keras_nlp.models.GPT2CausalLM:
    """The same GPT-2 with more rows in its token embedding, for new tokens behind all others.

    A new row begins as a copy of a row that means something similar, plus noise as large as the
    embeddings are, so that the new tokens differ from it and from each other.

    Args:
        model: is not changed.
        new: the number of rows.
        like: the id of the token whose row is copied.
    """
    old = model.backbone
    table, *others = old.get_weights()  # (vocabulary, width), …
    larger = small_gpt2(
        len(table) + new,
        num_layers=old.num_layers,
        num_heads=old.num_heads,
        hidden_dim=old.hidden_dim,
        intermediate_dim=old.intermediate_dim,
        max_sequence_length=old.max_sequence_length,
    )
    noise = np.random.default_rng(NEW_ROWS_SEED).normal(0, table.std(), (new, table.shape[1]))
    rows = (table[like] + noise).astype(table.dtype)
    larger.backbone.set_weights([np.concatenate([table, rows]), *others])
    return larger


# ---- rows ----------------------------------------------------------------------------------------


def pack(dialogues: Iterable[Encoded], length: int) -> Iterator[Encoded]:
    """Put dialogues one behind the other into rows of at most `length` ids, in their order.

    A dialogue is never cut; one that is longer than a row is left out.
    """
    ids: list[int] = []
    weights: list[int] = []
    for more_ids, more_weights in dialogues:
        if len(more_ids) > length:
            continue
        if len(ids) + len(more_ids) > length:
            yield ids, weights
            ids, weights = [], []
        ids, weights = ids + more_ids, weights + more_weights
    if ids:
        yield ids, weights


def pad(rows: Sequence[Encoded], length: int, end_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Fill rows up on the right with end ids, which have weight 0.

    Returns:
        ids: (rows, length), int32.
        weights: (rows, length - 1), float32: of the targets, which are all ids but the first.
    """
    padded = np.full((len(rows), length), end_id, "int32")
    weights = np.zeros((len(rows), length - 1), "float32")
    for i, (ids, spoken) in enumerate(rows):
        padded[i, : len(ids)] = ids
        weights[i, : len(ids) - 1] = spoken[1:]
    return padded, weights


class DialogueRows:
    """The rows of each step of a fine-tuning, as `utils.windows.endless_batches` takes them.

    A dialogue about a tale fills a row by itself. Small talk is short, so a row is packed with as
    much of it as it holds. The rows of all steps stand in one sequence, and every sixth is small
    talk.

    Args:
        tales: dialogues about tales.
        talk: small talk.
        end_id: pads.
        talk_every: one row in so many is small talk.
    """

    def __init__(
        self,
        tales: Sequence[Encoded],
        talk: Sequence[Encoded],
        end_id: int,
        talk_every: int = 6,
    ):
        self.tales, self.talk, self.talk_every = tales, talk, talk_every
        self.context, self.end_id = CONTEXT, end_id

    def batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of one step, a function of the step and the seed: see `pad`."""
        numbers = range(step * batch_size, (step + 1) * batch_size)
        return pad([self._row(n, seed) for n in numbers], self.context + 1, self.end_id)

    def _row(self, number: int, seed: int) -> Encoded:
        rows_of_talk, place = divmod(number, self.talk_every)
        if place == 0:
            order = np.random.default_rng([seed, number]).permutation(len(self.talk))
            return next(pack((self.talk[int(i)] for i in order), self.context + 1))
        return self._tale(number - rows_of_talk - 1, seed)

    def _tale(self, number: int, seed: int) -> Encoded:
        """The next dialogue about a tale; after each pass they are shuffled anew."""
        passes, place = divmod(number, len(self.tales))
        order = np.random.default_rng([seed, passes]).permutation(len(self.tales))
        return self.tales[int(order[place])]

    def most_learnt(self, batch_size: int) -> int:
        """No step has more targets of weight 1 than this."""
        rows_of_talk = math.ceil(batch_size / self.talk_every)
        in_a_tale = max(sum(weights) for _, weights in self.tales)
        return rows_of_talk * self.context + (batch_size - rows_of_talk) * in_a_tale

    def in_order(self) -> tuple[np.ndarray, np.ndarray]:
        """Every dialogue once: for validation."""
        rows = pack([*self.tales, *self.talk], self.context + 1)
        return pad(list(rows), self.context + 1, self.end_id)


def encoded(dialogues: Sequence[Dialogue], template: Template) -> list[Encoded]:
    """Dialogues as ids with their weights."""
    return [template.encode(dialogue.messages) for dialogue in dialogues]


# ---- training ------------------------------------------------------------------------------------


def finetune(base: Run, language: str, recipe: ChatRecipe, quiet: bool = False) -> Run:
    """Fine-tune a pretrained model on the course's dialogues; what is finished is only read.

    A second process that wants the same run waits for the first.

    Args:
        base: the pretrained model.
        language: of its tales: "en" or "zh".
        recipe: how.
        quiet: do not print the reports of a finished run.

    Raises:
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
    """
    folder = run_folder(base, language, recipe)
    return once(folder, recipe, lambda: _finetune(base, language, recipe, folder), quiet)


def run_folder(base: Run, language: str, recipe: ChatRecipe) -> Path:
    """Where a run keeps its files. Another base, recipe or dialogue has another folder."""
    talk = small_talk_file(language).read_text(encoding="utf-8")
    some = [asdict(dialogue) for dialogue in about_tales(language, "validation", 3)]
    parts = [base.folder.name, talk, LANGUAGES[language].QUESTIONS, some, asdict(recipe)]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
    return checkpoints_dir() / f"chat-{language}-{digest}"


def rows_of(language: str, split: str, tales: int | None, template: Template) -> DialogueRows:
    """The dialogues of a split, "train" or "validation", ready for training."""
    return DialogueRows(
        encoded(about_tales(language, split, tales, template.tokenizer), template),
        encoded(small_talk(language, split), template),
        template.end_id,
    )


def logits_at_places(model: keras_nlp.models.GPT2CausalLM) -> keras.Model:
    """The same model, the same weights, with logits for some places only.

    Logits are about a quarter of the arithmetic of a step, and in a dialogue about a tale one
    target in nine is learnt.

    The inputs are ids, (batch, time), and places, (chosen,), counted through all rows, one behind
    the other. The output are the logits, (chosen, vocabulary).
    """
    ids = keras.Input((None,), dtype="int32")
    places = keras.Input((), dtype="int32")
    hidden = model.backbone({"token_ids": ids, "padding_mask": ops.ones_like(ids)})
    hidden = ops.take(ops.reshape(hidden, (-1, hidden.shape[-1])), places, axis=0)
    return keras.Model([ids, places], model.backbone.token_embedding(hidden, reverse=True))


def with_places(batches: tf.data.Dataset, number: int) -> tf.data.Dataset:
    """Batches for `logits_at_places`: all targets of weight 1, filled up with others of weight 0.

    Args:
        batches: of inputs, targets and weights, (batch, time) each.
        number: of targets that are kept; no batch has more of weight 1.
    """

    def choose(ids, targets, weights):
        weights, places = tf.math.top_k(tf.reshape(weights, [-1]), number)
        return (ids, places), tf.gather(tf.reshape(targets, [-1]), places), weights

    return batches.map(choose)


def prepare(model: keras_nlp.models.GPT2CausalLM, recipe: ChatRecipe) -> keras.Model:
    """A model as `logits_at_places` makes it, compiled for a run."""
    rate = WarmupStableDecay(
        recipe.learning_rate, recipe.steps, warmup=recipe.steps // 30, decay=recipe.steps * 2 // 5
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, beta_2=0.98)
    return compiled(logits_at_places(model), optimizer)


def _finetune(base: Run, language: str, recipe: ChatRecipe, folder: Path) -> Run:
    tokenizer = bpe.Tokenizer.load(folder_of(language))
    template = Template(tokenizer)
    train = rows_of(language, "train", None, template)
    validation = rows_of(language, "validation", VALIDATION_TALES, template).in_order()
    keras.utils.set_random_seed(recipe.seed)
    pretrained = keras_nlp.models.GPT2CausalLM.from_preset(base.preset)
    gpt2 = with_more_rows(pretrained, len(template.role_ids), like=template.end_id)
    model = prepare(gpt2, recipe)
    batches = endless_batches(train, recipe.batch_size, recipe.seed)
    validate = Validate(TokenLosses(from_ids(gpt2)), validation, recipe)
    model.fit(
        with_places(batches, train.most_learnt(recipe.batch_size)),
        epochs=recipe.steps // recipe.steps_per_report,
        steps_per_epoch=recipe.steps_per_report,
        shuffle=False,  # the batches are shuffled already
        verbose=0,
        callbacks=[
            validate,
            keras.callbacks.EarlyStopping(
                "validation_loss", patience=recipe.patience, restore_best_weights=True, mode="min"
            ),
            Progress(steps_per_epoch=recipe.steps_per_report),
        ],
    )
    result = {"history": validate.history, "validation_loss": validate.loss()}
    with whole(folder / RESULT) as path:
        path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    save_preset(gpt2, with_roles(tokenizer), folder / "preset")  # last: it says: finished
    return read_run(folder)


class Validate(keras.callbacks.Callback):
    """Adds `validation_loss` to what each epoch reports, and keeps the reports in `history`."""

    def __init__(
        self, losses: TokenLosses, rows: tuple[np.ndarray, np.ndarray], recipe: ChatRecipe
    ):
        super().__init__()
        self.losses, self.rows, self.recipe = losses, rows, recipe
        self.history: list[dict] = []

    def loss(self) -> float:
        """The validation loss of the model as it is now, in nats per learnt token."""
        return self.losses.mean(*self.rows)

    def on_epoch_end(self, epoch, logs=None):
        logs["validation_loss"] = self.loss()
        if not math.isfinite(logs["loss"] + logs["validation_loss"]):
            raise TrainingFailed(
                f"The loss became {logs['loss']}: the learning rate {self.recipe.learning_rate:g}"
                " is too high, try a tenth of it."
            )
        step = (epoch + 1) * self.recipe.steps_per_report
        rate = float(self.model.optimizer.learning_rate)
        self.history.append({"step": step, **logs, "learning_rate": rate})
