"""Fine-tuning: a pretrained GPT-2 learns to converse. Lesson 10 explains each part."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

from utils.data import bpe
from utils.data.batches import every_step
from utils.data.chat_template import ChatTokenizer, Template, with_roles
from utils.data.conversations import conversations, tales_with_room
from utils.data.dialogue_rows import PackedRows, encoded, pad
from utils.data.dialogues import (
    LONGEST_DIALOGUE,
    Dialogue,
    DialogueError,
    small_talk,
    small_talk_file,
)
from utils.data.keras_tokenizers import folder as folder_of
from utils.data.keras_tokenizers import from_keras
from utils.data.tale_rows import TaleRows
from utils.evaluation.losses import TokenLosses
from utils.models.gpt2 import from_ids
from utils.models.surgery import packed_logits, resize_token_embeddings
from utils.tales import LANGUAGES, wordings
from utils.training.budget import check_tuning_memory
from utils.training.identity import Identity, identify
from utils.training.optimizers import Muon, WarmupStableDecay
from utils.training.presets import load_preset, preset_digest, save_preset
from utils.training.recipes import OWN_DIALOGUES, ChatRecipe, TrainingRecipe
from utils.training.runs import (
    Method,
    Run,
    compiled,
    train_once,
)

VALIDATION_TALES = 60
PLAIN_SHARE = 0.28  # of the rows; they come first, in plain words
HELD_OUT = 10  # one dialogue in so many is for validation
PASSES, FEWEST_STEPS = 10, 100  # over somebody's own dialogues; early stopping may end it sooner


class Lesson(NamedTuple):
    """What a model learns from: the rows of training, and ids and weights for validation."""

    train: TaleRows | PackedRows
    validation: tuple[np.ndarray, np.ndarray]


# ---- the course's own dialogues ------------------------------------------------------------------


def finetune(
    base: Run, language: str, recipe: ChatRecipe, quiet: bool = False, tales: int | None = None
) -> Run:
    """Fine-tune a pretrained model on the course's dialogues, or go on with a stopped training.

    Args:
        base: the pretrained model.
        language: the language of its tales: "en" or "zh".
        recipe: the training configuration.
        quiet: whether to skip printing the evaluations of a finished run.
        tales: about how many tales of each split to talk; None for the usual number.

    Raises:
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
    """
    template = Template(bpe.Tokenizer.load(folder_of(language)))

    def read() -> Lesson:
        return Lesson(
            train_rows(language, tales, template, recipe),
            validation_rows(language, tales or VALIDATION_TALES, template),
        )

    identity = identity_of(base, language, recipe, tales)
    prepare = _prepare(Path(base.preset), template, read, recipe)
    return train_once(identity, recipe, prepare, quiet)


def identity_of(base: Run, language: str, recipe: ChatRecipe, tales: int | None = None) -> Identity:
    """The identity of a fine-tuning on the course's dialogues."""
    some = [asdict(dialogue) for dialogue in conversations(language, "validation", 3)]
    parts = [
        small_talk_file(language).read_text(encoding="utf-8"),
        LANGUAGES[language].RULES,
        LANGUAGES[language].QUESTIONS,
        wordings.LANGUAGES[language].WORDINGS,
        some,
        tales,
    ]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    data = {"base": base.folder.name, "dialogues": digest}
    return identify(__name__, f"chat-{language}", data, recipe)


def train_rows(
    language: str, tales: int | None, template: Template, recipe: ChatRecipe
) -> TaleRows:
    """The course's own conversations for training, about some tales or about all of them."""
    stories = tales_with_room(language, "train", tales)
    plain_rows = int(PLAIN_SHARE * recipe.steps * recipe.batch_size)
    return TaleRows(stories, small_talk(language, "train"), template, plain_rows)


def validation_rows(language: str, tales: int, template: Template) -> tuple[np.ndarray, np.ndarray]:
    """Conversations about tales of the validation split, with held-out small talk in them.

    No rows of small talk alone: its loss tells how sure a model is of replies that it can only
    guess, and it would hide what the model has learnt to read.

    Returns:
        ids and weights, as `pad` makes them.
    """
    told = encoded(conversations(language, "validation", tales), template)
    return pad(told, LONGEST_DIALOGUE + 1, template.end_id)


# ---- anybody's dialogues -------------------------------------------------------------------------


def finetune_on(
    dialogues: Sequence[Dialogue], name: str, base: Path, recipe: ChatRecipe, quiet: bool = False
) -> Run:
    """Fine-tune a model on somebody's own dialogues, or go on with a stopped training.

    Every tenth dialogue is held out for validation; see `split`.

    Args:
        dialogues: the dialogues to learn; each fits into the context of the model.
        name: the name of the data, for the folder of the run.
        base: folder with the preset of a GPT-2, of any size, with or without the roles of a chat.
        recipe: the training configuration.
        quiet: whether to skip printing the evaluations of a finished run.

    Raises:
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
        CourseError: if `base` holds no GPT-2.
    """
    tokenizer = from_keras(load_preset(base).preprocessor.tokenizer)
    template = Template(tokenizer)

    def read() -> Lesson:
        context = load_preset(base).backbone.max_sequence_length
        train, validation = (
            PackedRows(encoded(part, template), context, template.end_id)
            for part in split(dialogues)
        )
        return Lesson(train, validation.in_order())

    text = json.dumps([asdict(dialogue) for dialogue in dialogues])
    digest = hashlib.sha256(text.encode()).hexdigest()
    data = {"base": preset_digest(base), "dialogues": digest}
    identity = identify(__name__, f"chat-{name}", data, recipe)
    method = _prepare(base, template, read, recipe)
    return train_once(identity, recipe, method, quiet, announce=True)


def steps_for(
    dialogues: Sequence[Dialogue], template: Template, context: int, batch_size: int
) -> int:
    """Steps for about `PASSES` passes over some dialogues, and no more than over the tales."""
    rows = PackedRows(encoded(dialogues, template), context, template.end_id).rows
    return min(OWN_DIALOGUES.steps, max(FEWEST_STEPS, PASSES * len(rows) // batch_size))


def split(dialogues: Sequence[Dialogue]) -> tuple[list[Dialogue], list[Dialogue]]:
    """The dialogues to learn from, and every tenth one, held out.

    Raises:
        DialogueError: if there are too few to hold any out.
    """
    if len(dialogues) < HELD_OUT:
        raise DialogueError(
            f"There are {len(dialogues)} dialogues that can be learnt, and at least {HELD_OUT} are"
            " needed, because one in ten is held out: add some."
        )
    held_out = [d for number, d in enumerate(dialogues, 1) if number % HELD_OUT == 0]
    return [d for number, d in enumerate(dialogues, 1) if number % HELD_OUT], held_out


# ---- training ------------------------------------------------------------------------------------


def packed_batches(
    rows: TaleRows | PackedRows, batch_size: int, seed: int, first_step: int = 0
) -> tf.data.Dataset:
    """Batches for `packed_logits`: the targets of weight 1, and some of weight 0.

    Args:
        rows: the rows, which give the arrays of any step.
        batch_size: rows in a step.
        seed: the seed of what is sampled.
        first_step: number of the step to begin with.
    """
    number = rows.max_loss_tokens

    def choose(ids, targets, weights, positions, segments):
        weights, target_positions = tf.math.top_k(weights, number)  # (batch, chosen)
        inputs = (ids, positions, segments, target_positions)
        return inputs, tf.gather(targets, target_positions, batch_dims=1), weights

    batches = every_step(lambda step: rows.batch(step, batch_size, seed), first_step)
    return batches.map(choose).prefetch(2)  # rows are written while the model trains


def prepare(model: keras_nlp.models.GPT2CausalLM, recipe: ChatRecipe) -> keras.Model:
    """A model as `packed_logits` makes it, compiled for a run."""
    rate = WarmupStableDecay(
        recipe.learning_rate, recipe.steps, warmup=recipe.steps // 30, decay=recipe.steps * 2 // 5
    )
    if recipe.optimizer == "muon":
        optimizer = Muon(rate, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)
    else:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, beta_2=0.98)
    return compiled(packed_logits(model), optimizer)


def check_rows_fit(
    model: keras_nlp.models.GPT2CausalLM, rows: TaleRows | PackedRows, recipe: TrainingRecipe
) -> None:
    """Raise TooLarge if the steps of a fine-tuning need more memory than there is."""
    loss_tokens = recipe.batch_size * rows.max_loss_tokens
    check_tuning_memory(model, recipe.batch_size, rows.length - 1, loss_tokens)


def _prepare(
    base: Path, template: Template, read: Callable[[], Lesson], recipe: ChatRecipe
) -> Callable[[], Method]:
    """What makes the method of a fine-tuning, when it is needed."""

    def method() -> Method:
        lesson = read()
        gpt2 = with_roles_learnt(load_preset(base), template)
        check_rows_fit(gpt2, lesson.train, recipe)
        losses, validation = TokenLosses(from_ids(gpt2)), lesson.validation

        def batches(first_step: int) -> tf.data.Dataset:
            return packed_batches(lesson.train, recipe.batch_size, recipe.seed, first_step)

        return Method(
            model=prepare(gpt2, recipe),
            backbone=gpt2.backbone,
            batches=batches,
            evaluate=lambda: losses.mean(*validation),
            evaluate_fully=lambda: losses.mean(*validation),
            save=lambda path: save_preset(gpt2, with_roles(template.tokenizer), path),
        )

    return method


def with_roles_learnt(
    model: keras_nlp.models.GPT2CausalLM, template: Template
) -> keras_nlp.models.GPT2CausalLM:
    """A GPT-2 with a row of its token embedding for each role; the model itself if it has them."""
    if isinstance(model.preprocessor.tokenizer, ChatTokenizer):
        return model
    return resize_token_embeddings(model, len(template.role_ids), init_from=template.end_id)
