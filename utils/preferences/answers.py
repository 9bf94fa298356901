"""Right answers: GRPO on a chat model, with the exact match as a verifiable reward.

    run = train_on_answers(Path(chat_run().preset), AnswerRecipe())

In each step the model is asked some questions about tales of the training, and replies several
times to each, at temperature 1. A reply earns 1 if it is the right one, or, where the tale has no
answer, if it says so; else 0. The replies to one question are a group: each is compared with the
others to the same question. Where all of a group are right, or all wrong, there is nothing to
learn; so only the replies with an advantage are learnt from (*dynamic sampling*).

Sources: Shao and others, *DeepSeekMath*, 2024, section 4.1; for dynamic sampling Yu and others,
*DAPO*, 2025, section 3.2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import keras_nlp
import numpy as np

from utils.data.batches import every_step
from utils.data.chat_template import Template, with_roles
from utils.data.conversations import REFUSALS, conversations
from utils.data.keras_tokenizers import from_keras
from utils.evaluation.examination import REFUSE, Question, is_right
from utils.generation.generator import Generator
from utils.preferences.grpo import GrpoRecipe, OnPolicy
from utils.preferences.losses import group_advantages
from utils.training.identity import identify
from utils.training.optimizers import WarmupStableDecay
from utils.training.presets import load_preset, preset_digest, save_preset
from utils.training.runs import Method, Run, train_once

TALES = 2000  # of the training split, with a conversation about each
BATCH = 64  # replies that are sampled together
ROOM = 16  # tokens that a question leaves for the reply
KINDS = ("who", "where", "what", "why", "order", "unanswered")  # small talk has no right answer


@dataclass(frozen=True)
class AnswerRecipe(GrpoRecipe):
    """The configuration of a training on right answers; the reward is the exact match.

    Attributes:
        batch_size: questions in a step.
        replies: the number of replies to each of them.
        learnt: replies that the gradient is computed from, those with the largest advantages.
    """

    steps: int = 32
    learning_rate: float = 3e-4
    beta: float = 0.1
    replies: int = 4
    learnt: int = 64


def questions_of_training(language: str = "en", tales: int = TALES) -> list[Question]:
    """Questions about tales of the training split, in the wordings of the training.

    Args:
        language: "en" or "zh".
        tales: the tales that are looked at.
    """
    turns = (turn for d in conversations(language, "train", tales) for turn in d.replies())
    return [
        Question(messages, REFUSE if reply in REFUSALS[language] else reply, kind)
        for messages, reply, kind in turns
        if kind in KINDS
    ]


class Replies(NamedTuple):
    """Sampled replies.

    Attributes:
        rows: ids of prompt and reply, padded to the context, (replies, time + 1), int32.
        mask: 1 for each token that was sampled, (replies, time), float32.
        texts: the replies.
    """

    rows: np.ndarray
    mask: np.ndarray
    texts: list[str]


def sample_replies(
    generator: Generator,
    template: Template,
    prompts: Sequence[Sequence[int]],
    seed: int,
    top_k: int = 0,
) -> Replies:
    """A reply to each prompt, at temperature 1.

    Args:
        generator: a generator with the weights that are to reply.
        template: the chat template of the model.
        prompts: ids, each shorter than the context.
        seed: a whole number, 0 or more.
        top_k: the number of likeliest tokens to sample from; 0 for all, 1 for the likeliest reply.
    """
    length = generator.context
    rows = np.full((len(prompts), length), template.end_id, "int32")
    mask = np.zeros((len(prompts), length - 1), "float32")
    texts = []
    parts = [list(prompts[start : start + BATCH]) for start in range(0, len(prompts), BATCH)]
    found = [
        ids
        for number, part in enumerate(parts)
        for ids in generator(
            [*part, *[part[0]] * (BATCH - len(part))],  # one shape, so that nothing compiles twice
            top_k=top_k,
            seed=1_000_003 * seed + number,
        )[: len(part)]
    ]
    for row, weights, prompt, ids in zip(rows, mask, prompts, found, strict=True):
        row[: len(ids)] = ids
        weights[len(prompt) - 1 : len(ids) - 1] = 1
        texts.append(template.reply(ids[len(prompt) :]))
    return Replies(rows, mask, texts)


def answer_rewards(
    replies: Sequence[str], questions: Sequence[Question], language: str = "en"
) -> np.ndarray:
    """1 for each right reply, or a refusal where the tale has no answer, else 0: (replies,)."""
    pairs = zip(replies, questions, strict=True)
    return np.array([is_right(*pair, language) for pair in pairs], "float32")


def train_on_answers(
    base: Path, recipe: AnswerRecipe, questions: Sequence[Question] | None = None, quiet=False
) -> Run:
    """Train a chat model to answer rightly, or go on with a training that was stopped.

    The validation loss at an evaluation is minus the mean reward since the one before; the weights
    with the lowest one are kept.

    Args:
        base: folder with the preset of a chat model that has read English tales.
        recipe: the training configuration.
        questions: the questions that are asked in training; None for the usual ones.
        quiet: whether to skip printing the evaluations of a finished run.

    Raises:
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
        CourseError: if `base` holds no GPT-2.
    """
    asked = questions_of_training() if questions is None else list(questions)
    data = {"base": preset_digest(base), "questions": f"{len(asked)}, {asked[0]}, {asked[-1]}"}
    identity = identify(__name__, "grpo-answers", data, recipe)
    return train_once(identity, recipe, _prepare(base, asked, recipe), quiet)


def _prepare(
    base: Path, questions: Sequence[Question], recipe: AnswerRecipe
) -> Callable[[], Method]:
    """What makes the method, when it is needed."""

    def method() -> Method:
        gpt2 = load_preset(base)
        model = OnPolicyChat(gpt2, questions, recipe)
        rate = WarmupStableDecay(
            recipe.learning_rate, recipe.steps, warmup=recipe.steps // 5, decay=recipe.steps
        )
        optimizer = keras.optimizers.Adam(rate, beta_2=0.98, global_clipnorm=1.0)
        model.compile(optimizer=optimizer, run_eagerly=True)
        optimizer.build(model.trainable_variables)

        def mean_loss() -> float:
            return -float(model.means[1].result())

        return Method(
            model=model,
            backbone=gpt2.backbone,
            batches=lambda step: every_step(lambda number: (np.array([number]),), step),
            evaluate=mean_loss,
            evaluate_fully=mean_loss,
            save=lambda path: save_preset(gpt2, with_roles(model.template.tokenizer), path),
        )

    return method


class OnPolicyChat(OnPolicy):
    """`OnPolicy`, but a training step asks questions and samples replies.

    Args:
        gpt2: a chat model, whose weights are shared.
        questions: the questions to ask.
        recipe: the recipe, which says how many questions and replies a step has.
    """

    def __init__(self, gpt2: keras_nlp.models.GPT2CausalLM, questions, recipe: AnswerRecipe):
        tokenizer = from_keras(gpt2.preprocessor.tokenizer)
        super().__init__(gpt2, tokenizer, recipe)
        self.template, self.generator = Template(tokenizer), self.teller.generator
        self.questions = [question for question in questions if self._has_room(question)]
        self.means.append(keras.metrics.Mean(name="mixed"))

    def _has_room(self, question: Question) -> bool:
        return self.template.fits(question.messages, self.generator.context - ROOM)

    def train_step(self, data):
        """One step; the data is its number."""
        asked, replies = self._ask(int(data[0][0]))
        found = answer_rewards(replies.texts, asked).reshape(-1, self.recipe.replies)
        advantages = np.concatenate([group_advantages(group) for group in found])
        learnt = np.argsort(-np.abs(advantages), kind="stable")[: self.recipe.learnt]
        rows, mask = replies.rows[learnt], replies.mask[learnt]
        loss = self._step(rows, mask, (advantages[learnt, None] * mask).astype("float32"))
        mixed = np.mean(found.min(axis=1) < found.max(axis=1))
        for mean, value in zip(self.means, (loss, found.mean(), mixed), strict=True):
            mean.update_state(value)
        return {mean.name: mean.result() for mean in self.means}

    def _ask(self, step: int) -> tuple[list[Question], Replies]:
        """The questions of a step, each as often as it is replied to, and the replies."""
        rng = np.random.default_rng([self.recipe.seed, step])
        size = min(self.recipe.batch_size, len(self.questions))
        some = rng.choice(len(self.questions), size, replace=False)
        asked = [self.questions[i] for i in some for _ in range(self.recipe.replies)]
        prompts = [self.template.prompt(question.messages) for question in asked]
        self.generator.update(self.gpt2)
        seed = 100_000 * (1 + self.recipe.seed) + step
        return asked, sample_replies(self.generator, self.template, prompts, seed)
