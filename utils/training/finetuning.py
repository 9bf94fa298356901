"""Fine-tuning: a pretrained GPT-2 learns to converse. Lesson 10 explains each part."""

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

from utils.data import bpe
from utils.data.batches import endless_batches
from utils.data.chat_template import Template, with_roles
from utils.data.dialogue_rows import DialogueRows, encoded
from utils.data.dialogues import about_tales, small_talk, small_talk_file
from utils.data.keras_tokenizers import folder as folder_of
from utils.evaluation.losses import TokenLosses
from utils.models.gpt2 import from_ids
from utils.models.surgery import logits_at_positions, resize_token_embeddings
from utils.paths import checkpoints_dir
from utils.tales import LANGUAGES
from utils.training.checkpoints import whole
from utils.training.optimizers import WarmupStableDecay
from utils.training.pretraining import (
    RESULT,
    Run,
    TrainingFailed,
    compiled,
    once,
    read_run,
    save_preset,
)
from utils.training.progress import Progress
from utils.training.recipes import ChatRecipe

VALIDATION_TALES = 40


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


def with_places(batches: tf.data.Dataset, number: int) -> tf.data.Dataset:
    """Batches for `logits_at_positions`: the targets of weight 1, and some of weight 0.

    Args:
        batches: of inputs, targets and weights, (batch, time) each.
        number: of targets that are kept; no batch has more of weight 1.
    """

    def choose(ids, targets, weights):
        weights, places = tf.math.top_k(tf.reshape(weights, [-1]), number)
        return (ids, places), tf.gather(tf.reshape(targets, [-1]), places), weights

    return batches.map(choose)


def prepare(model: keras_nlp.models.GPT2CausalLM, recipe: ChatRecipe) -> keras.Model:
    """A model as `logits_at_positions` makes it, compiled for a run."""
    rate = WarmupStableDecay(
        recipe.learning_rate, recipe.steps, warmup=recipe.steps // 30, decay=recipe.steps * 2 // 5
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, beta_2=0.98)
    return compiled(logits_at_positions(model), optimizer)


def _finetune(base: Run, language: str, recipe: ChatRecipe, folder: Path) -> Run:
    tokenizer = bpe.Tokenizer.load(folder_of(language))
    template = Template(tokenizer)
    train = rows_of(language, "train", None, template)
    validation = rows_of(language, "validation", VALIDATION_TALES, template).in_order()
    keras.utils.set_random_seed(recipe.seed)
    pretrained = keras_nlp.models.GPT2CausalLM.from_preset(base.preset)
    gpt2 = resize_token_embeddings(pretrained, len(template.role_ids), init_from=template.end_id)
    model = prepare(gpt2, recipe)
    batches = endless_batches(train, recipe.batch_size, recipe.seed)
    validate = Validate(TokenLosses(from_ids(gpt2)), validation, recipe)
    model.fit(
        with_places(batches, train.max_loss_tokens(recipe.batch_size)),
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
