"""What a training will take of this machine: memory from arithmetic, time from its first steps."""

import math
import sys
import time
from dataclasses import replace

import keras
import keras_nlp

from utils.errors import CourseError
from utils.memory import free_memory
from utils.models.gpt2 import size_of
from utils.models.sizes import ModelSize
from utils.training.recipes import Recipe

GIB = 1 << 30  # bytes
FLOAT = 4  # bytes
# Python and TensorFlow, and what the compiler takes for each layer.
PROCESS, PROGRAM = 0.9 * GIB, 0.125 * GIB
# How many arrays of each kind are kept for the backward pass, fitted to peaks that were measured
# for the three named sizes; tests/test_budget.py has them.
VECTORS, HIDDEN, ATTENTION, LOGITS = 8, 3, 0.3, 4
SMALLER = "give a smaller --size, --context or --batch-size"


class TooLarge(CourseError):
    """A training that does not fit into the memory."""


def training_memory(recipe: Recipe, vocabulary_size: int, context: int) -> float:
    """About how many bytes a pretraining takes at its peak.

    The model is kept several times: the weights, their gradients, and the optimizer's state, which
    is one array for the matrices that Muon trains and two for what is left to AdamW.

    Args:
        recipe: the training configuration.
        vocabulary_size: tokens in the vocabulary.
        context: length of the windows.
    """
    size = recipe.size
    parameters = size.parameters(vocabulary_size)
    embeddings = (vocabulary_size + size.context) * size.width
    copies = 3 * parameters + embeddings + (parameters if recipe.accumulate > 1 else 0)
    tokens = recipe.batch_size // recipe.accumulate * context
    return _peak(size, copies, tokens, context, LOGITS * vocabulary_size * tokens)


def check_tuning_memory(
    model: keras_nlp.models.GPT2CausalLM, rows: int, context: int, loss_tokens: int
) -> float:
    """About how many bytes it takes to train an existing model with AdamW.

    The weights are there; for those that are trained come their gradients, and the optimizer's two
    moments.

    Args:
        model: a GPT-2; some of its weights may be frozen.
        rows: texts in a step.
        context: tokens of a row.
        loss_tokens: tokens of a step whose logits are made.

    Raises:
        TooLarge: if they are more than this machine has left.
    """
    backbone = model.backbone
    trained = sum(math.prod(variable.shape) for variable in backbone.trainable_variables)
    copies = backbone.count_params() + 3 * trained
    logits = LOGITS * backbone.vocabulary_size * loss_tokens
    needed = _peak(size_of(model), copies, rows * context, context, logits)
    return check_free(needed, "give a smaller --batch-size, or a smaller --base")


def _peak(size: ModelSize, copies: int, tokens: int, context: int, logits: float) -> float:
    """Bytes of some numbers, and of what a step keeps for the backward pass.

    That is, for each token, some vectors of each layer and the attention weights; and the logits.
    """
    layer = VECTORS * size.width + HIDDEN * size.feed_forward + ATTENTION * size.heads * context
    numbers = copies + tokens * size.layers * layer + logits
    return PROCESS + size.layers * PROGRAM + FLOAT * numbers


def check_memory(
    recipe: Recipe, vocabulary_size: int, context: int, in_parts: bool = True
) -> float:
    """About how many bytes a pretraining takes.

    Args:
        recipe, vocabulary_size, context: the arguments of `training_memory`.
        in_parts: whether the command can split a batch into parts.

    Raises:
        TooLarge: if they are more than this machine has left, with flags that make it fit.
    """
    needed = training_memory(recipe, vocabulary_size, context)
    if in_parts and needed > free_memory():
        check_free(needed, _what_fits(recipe, vocabulary_size, context))
    return check_free(needed, SMALLER)


def check_free(needed: float, advice: str) -> float:
    """The bytes that a training needs, if they are free.

    Args:
        needed: bytes.
        advice: what to do if they are not.

    Raises:
        TooLarge: if this machine has less left.
    """
    available = free_memory()
    if needed > available:
        raise TooLarge(
            f"This training takes about {needed / GIB:.1f} GiB of memory, and"
            f" {available / GIB:.1f} GiB are free: {advice}."
        )
    return needed


def _what_fits(recipe: Recipe, vocabulary_size: int, context: int) -> str:
    """Advice: the fewest parts with which it fits, or else what to make smaller."""
    for parts in range(recipe.accumulate + 1, recipe.batch_size + 1):
        if recipe.batch_size % parts == 0:
            smaller = replace(recipe, accumulate=parts)
            if training_memory(smaller, vocabulary_size, context) <= free_memory():
                return f"give --accumulate {parts}, which takes the same batch in smaller parts"
    return SMALLER


class TimeEstimate(keras.callbacks.Callback):
    """Says once, after the first steps, how long the rest of a training will take.

    The first step is left out: it compiles.

    Args:
        measured: steps to measure.
    """

    def __init__(self, measured: int = 5):
        super().__init__()
        self.measured, self.done, self.started = measured, 0, 0.0
        self.first_step = 0  # of a training that goes on

    def on_epoch_begin(self, epoch, logs=None):
        if self.done == 0:
            self.first_step = epoch * self.params["steps"]

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if self.done == 1:
            self.started = time.perf_counter()
        elif self.done == 1 + self.measured:
            seconds = (time.perf_counter() - self.started) / self.measured
            steps = self.params["epochs"] * self.params["steps"]
            left = steps - self.first_step - self.done
            after = "\n" if sys.stdout.isatty() else ""  # Keras's bar stands on the line there
            took = f"{seconds:.2g} s a step on this machine"
            print(f"{after}{took}, so about {_duration(left * seconds)}.")


def _duration(seconds: float) -> str:
    """A time in the unit that a person would choose."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
