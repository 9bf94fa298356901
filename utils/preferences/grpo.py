"""GRPO: a model samples stories, a reward judges them, and the better ones become likelier.

    run = train_with_reward(base, tokenizer, GrpoRecipe())

In each step a group of stories is sampled from the model as it is then (*on-policy*). Its rewards,
less their mean, say how much likelier or unlikelier each story is to become. The samples depend on
the seed, the step and the weights alone, so a training that was stopped goes on as if it had not.

Source: Shao and others, *DeepSeekMath*, 2024, section 4.1. As each group is used for one step, the
ratio of new and old policy is 1 there, and nothing has to be clipped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import keras_nlp
import numpy as np
import tensorflow as tf
from keras import ops

from utils.data.batches import every_step
from utils.data.bpe import Tokenizer
from utils.data.keras_tokenizers import as_keras
from utils.errors import CourseError
from utils.models.gpt2 import build_gpt2, from_ids, size_of
from utils.preferences.losses import group_advantages
from utils.preferences.stories import (
    REWARDS,
    Stories,
    Storyteller,
    rewards,
    wrong_tokens,
)
from utils.training.identity import identify
from utils.training.optimizers import WarmupStableDecay
from utils.training.presets import load_preset, preset_digest, save_preset
from utils.training.recipes import TrainingRecipe
from utils.training.runs import Method, Run, train_once

JUDGED = 192  # stories of the last evaluation
VALIDATION_SEED = 1000  # far from the seeds of training
CREDITS = ("story", "token")
PARAMETERS = ("all", "last norms")


class RewardError(CourseError):
    """A reward or a way to credit it that there is not."""


@dataclass(frozen=True)
class GrpoRecipe(TrainingRecipe):
    """The configuration of a training with a reward.

    Attributes:
        steps: groups of stories.
        batch_size: stories in a group.
        learning_rate: the highest one; it rises in a fifth of the steps and falls in a line to 0.
        reward: a name in `utils.preferences.stories.REWARDS`.
        beta: what a nat of divergence from the base costs, in units of the advantages. The
            divergence is that of the two distributions at every sampled token, not an estimate.
        credit: the kind of credit: "story" gives each token of a story the advantage of the story,
            as GRPO does; "token" blames the tokens alone at which the parser finds a text to be no
            tale.
        parameters: which ones are trained: "all", or "last norms", the scales and shifts of the
            layer normalizations in the last block and behind it.
        evaluations: how often the model is judged.
    """

    steps: int = 40
    batch_size: int = 64
    learning_rate: float = 0.001
    patience: int = 1000
    reward: str = "valid"
    beta: float = 0.0
    credit: str = "story"
    parameters: str = "all"
    evaluations: int = 4

    @property
    def steps_per_evaluation(self) -> int:
        """Steps between two evaluations."""
        return max(1, self.steps // self.evaluations)


def train_with_reward(base: Path, tokenizer: Tokenizer, recipe: GrpoRecipe, quiet=False) -> Run:
    """Train a model with a reward, or go on with a training that was stopped.

    The validation loss at an evaluation is minus the mean reward since the one before: each group
    of stories is new, so none is judged after it has been learnt from. The one of the run is minus
    the mean reward of a few stories more, by the weights that are kept, those with the lowest one.

    Args:
        base: folder with the preset of a GPT-2 that was trained on the English tales.
        tokenizer: the tokenizer of that model.
        recipe: the training configuration.
        quiet: whether to skip printing the evaluations of a finished run.

    Raises:
        RewardError: if the recipe names a reward that there is not.
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
        CourseError: if `base` holds no GPT-2.
    """
    check(recipe)
    identity = identify(__name__, f"grpo-{recipe.reward}", {"base": preset_digest(base)}, recipe)
    return train_once(identity, recipe, _prepare(base, tokenizer, recipe), quiet)


def check(recipe: GrpoRecipe) -> None:
    """Raise RewardError if there is no such reward, or no such way to train with it."""
    if recipe.reward not in REWARDS:
        names = ", ".join(REWARDS)
        raise RewardError(f"There is no reward {recipe.reward!r}; the rewards are {names}.")
    if recipe.credit not in CREDITS:
        raise RewardError(f"credit must be one of {', '.join(CREDITS)}, not {recipe.credit!r}.")
    if recipe.parameters not in PARAMETERS:
        names = " or ".join(PARAMETERS)
        raise RewardError(f"parameters must be {names}, not {recipe.parameters!r}.")
    if recipe.credit == "token" and recipe.reward != "valid":
        raise RewardError('Only the reward "valid" says which tokens are to blame.')


def _prepare(base: Path, tokenizer: Tokenizer, recipe: GrpoRecipe) -> Callable[[], Method]:
    """What makes the method, when it is needed."""

    def method() -> Method:
        gpt2 = load_preset(base)
        for variable in gpt2.backbone.weights:
            variable.trainable = recipe.parameters == "all" or _in_last_norms(variable, gpt2)
        model = OnPolicy(gpt2, tokenizer, recipe)
        rate = WarmupStableDecay(
            recipe.learning_rate, recipe.steps, warmup=recipe.steps // 5, decay=recipe.steps
        )
        optimizer = keras.optimizers.Adam(rate, beta_2=0.98)
        model.compile(optimizer=optimizer, run_eagerly=True)
        optimizer.build(model.trainable_variables)

        def evaluate_fully() -> float:
            return -float(rewards(model.sample(JUDGED, VALIDATION_SEED), model.reward).mean())

        return Method(
            model=model,
            backbone=gpt2.backbone,
            batches=lambda step: every_step(lambda number: (np.array([number]),), step),
            evaluate=lambda: -float(model.means[1].result()),
            evaluate_fully=evaluate_fully,
            save=lambda path: save_preset(gpt2, as_keras(tokenizer), path),
        )

    return method


class OnPolicy(keras.Model):
    """From ids to logits; its training step samples its own batch, for `fit`.

    Compile it with `run_eagerly=True`: the parser is Python. What is expensive is compiled anyway.

    Args:
        gpt2: the GPT-2 whose weights are shared.
        tokenizer: the tokenizer of the model.
        recipe: the recipe, which says how many stories are sampled, and how they are judged.
    """

    def __init__(self, gpt2: keras_nlp.models.GPT2CausalLM, tokenizer: Tokenizer, recipe):
        network = from_ids(gpt2)
        super().__init__(network.inputs[0], network.outputs[0])
        self.gpt2, self.recipe = gpt2, recipe
        self.reward = REWARDS[recipe.reward]
        self.teller = Storyteller(gpt2, tokenizer)
        self.base_logits = _frozen(gpt2) if recipe.beta else None
        self.means = [keras.metrics.Mean(name=name) for name in ("loss", "reward")]

    @property
    def metrics(self):
        """What Keras resets before each epoch."""
        return self.means

    def sample(self, number: int, seed: int) -> Stories:
        """Stories by the weights that the model has now."""
        self.teller.update(self.gpt2)
        return self.teller.tell(number, seed)

    def train_step(self, data):
        """One step; the data is its number."""
        seed = 100_000 * (1 + self.recipe.seed) + int(data[0][0])
        stories = self.sample(self.recipe.batch_size, seed)
        found = rewards(stories, self.reward)
        advantages = self.advantages(stories, found).astype("float32")
        loss = self._step(stories.rows, stories.mask, advantages)
        for mean, value in zip(self.means, (loss, found.mean()), strict=True):
            mean.update_state(value)
        return {mean.name: mean.result() for mean in self.means}

    def advantages(self, stories: Stories, found: np.ndarray) -> np.ndarray:
        """The advantage of each token, (stories, time), 0 where none was sampled.

        Args:
            stories: stories that the model has sampled.
            found: their rewards, (stories,).
        """
        if self.recipe.credit == "token":
            return token_advantages(stories, self.teller.tokenizer)
        return group_advantages(found)[:, None] * stories.mask

    @tf.function(jit_compile=True)
    def _step(self, rows, mask, advantages):
        """Make the tokens with a positive advantage likelier, the others unlikelier."""
        with tf.GradientTape() as tape:
            loss = self.loss_of(rows, mask, advantages)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        return loss

    def loss_of(self, rows, mask, advantages):
        """−advantage · log p and the price of the divergence, summed over the tokens of a story.

        Args:
            rows: ids, (stories, time + 1).
            mask: 1 for each sampled token, else 0, (stories, time).
            advantages: the advantage of each token, 0 where none was sampled, (stories, time).
        """
        log_probs = ops.log_softmax(self(rows[:, :-1], training=False))  # (…, time, vocabulary)
        sampled = ops.take_along_axis(log_probs, rows[:, 1:, None], axis=-1)[..., 0]
        loss = -advantages * sampled
        if self.base_logits is not None:
            base = ops.log_softmax(self.base_logits(rows[:, :-1]))
            loss += self.recipe.beta * mask * ops.sum(ops.exp(log_probs) * (log_probs - base), -1)
        return ops.mean(ops.sum(loss, axis=1))


def token_advantages(stories: Stories, tokenizer: Tokenizer) -> np.ndarray:
    """Advantages that blame the wrong word alone, (stories, time).

    What was told before it was not wrong yet, and what comes after it can mend nothing: it does not
    count. The blame is in units of the reward, 1 for each wrong story; all tokens that count share
    the opposite of it.

    Args:
        stories: stories that a model has sampled.
        tokenizer: the tokenizer of the model.
    """
    counted, blame = stories.mask.copy(), np.zeros_like(stories.mask)
    for number, (text, row) in enumerate(zip(stories.texts, stories.rows, strict=True)):
        length = int(stories.mask[number].sum())
        first, after = wrong_tokens(text, row[1 : 1 + length].tolist(), tokenizer)
        if first < length or after > length:
            first = min(first, length - 1)  # a story without an end: the last token is to blame
            blame[number, first:after] = -1
            counted[number, after:] = 0
    blame *= counted
    return (blame - blame.sum() / counted.sum()) * counted


def _in_last_norms(variable: keras.Variable, gpt2: keras_nlp.models.GPT2CausalLM) -> bool:
    """Whether it belongs to a layer normalization of the last block, or to the one behind it."""
    *_, layer, _ = variable.path.split("/")
    last = f"transformer_layer_{gpt2.backbone.num_layers - 1}/" in variable.path
    return layer.endswith("layer_norm") and (last or layer == "layer_norm")


def _frozen(gpt2: keras_nlp.models.GPT2CausalLM) -> Callable:
    """From ids to the logits of the weights that the model has now, whatever becomes of them."""
    copy = build_gpt2(gpt2.backbone.vocabulary_size, size_of(gpt2))
    copy.backbone.set_weights(gpt2.backbone.get_weights())
    network = from_ids(copy)
    return lambda ids: network(ids, training=False)  # a function, so that Keras does not train it
