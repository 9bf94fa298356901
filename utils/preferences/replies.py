"""Replies chosen by maximum mutual information: which one could only be meant for this message?

A language model prefers replies that fit everything. A *backward* model has learnt the message from
the reply; a reply that fits everything makes no message likely. Their weighted sum is

    (1 − weight) · log p(reply | message) + weight · log p(message | reply)

Source: Li and others, *A Diversity-Promoting Objective Function for Neural Conversation Models*,
2016, section 4.2 (MMI-bidi), and for re-ranking with a backward GPT-2 Zhang and others, *DialoGPT*,
2020, section 3.2.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from utils.data.chat_template import Template
from utils.data.dialogue_rows import encoded, pad
from utils.data.dialogues import Dialogue, Message, small_talk
from utils.data.keras_tokenizers import from_keras
from utils.evaluation.losses import TokenLosses
from utils.models.gpt2 import from_ids
from utils.training.finetuning import finetune_on
from utils.training.presets import load_preset
from utils.training.recipes import OWN_DIALOGUES, ChatRecipe
from utils.training.runs import Run

CANDIDATES = 10
RECIPE = ChatRecipe(
    steps=1200,
    batch_size=OWN_DIALOGUES.batch_size,
    learning_rate=OWN_DIALOGUES.learning_rate,
    optimizer=OWN_DIALOGUES.optimizer,
)


class Case(NamedTuple):
    """A message, and the candidates for a reply; the first one is right."""

    message: str
    candidates: list[str]


def exchanges(language: str, split: str) -> list[tuple[str, str]]:
    """The first message and its reply of each dialogue of the small talk."""
    return [
        (dialogue.messages[0].content, dialogue.messages[1].content)
        for dialogue in small_talk(language, split)
    ]


def cases(found: Sequence[tuple[str, str]], number: int, seed: int) -> list[Case]:
    """Messages with their right reply, and others that were said to other messages.

    Args:
        found: messages with their replies.
        number: the number of messages, sampled without replacement; at most all.
        seed: the seed of the sample and of the other replies.
    """
    rng = Random(seed)
    replies = sorted({reply for _, reply in found})
    return [
        Case(message, [right, *rng.sample([r for r in replies if r != right], CANDIDATES - 1)])
        for message, right in rng.sample(list(found), min(number, len(found)))
    ]


def turned(found: Sequence[tuple[str, str]]) -> list[Dialogue]:
    """The exchanges the other way round: the reply is given, the message is to be said."""
    return [_exchange(reply, message) for message, reply in found]


def _exchange(user: str, assistant: str) -> Dialogue:
    return Dialogue((Message("user", user), Message("assistant", assistant)), ("",))


def train_forward(base: Path, language: str = "en", recipe: ChatRecipe = RECIPE) -> Run:
    """A GPT-2 that has learnt to reply to the small talk of the course; see `finetune_on`."""
    dialogues = [_exchange(*pair) for pair in exchanges(language, "train")]
    return finetune_on(dialogues, f"forward-{language}", base, recipe)


def train_backward(base: Path, language: str = "en", recipe: ChatRecipe = RECIPE) -> Run:
    """A GPT-2 that has learnt to say which message was replied to; see `finetune_on`."""
    return finetune_on(turned(exchanges(language, "train")), f"backward-{language}", base, recipe)


class ReplyScorer:
    """log p of a reply after a message, or with a backward model of the message after a reply.

    Args:
        preset: folder of a GPT-2 that knows the roles of a chat.
    """

    def __init__(self, preset: str | Path):
        model = load_preset(preset)
        self.template = Template(from_keras(model.preprocessor.tokenizer))
        self.losses = TokenLosses(from_ids(model), batch_size=CANDIDATES)

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """log p of the second text of each pair after the first one, (pairs,), in nats."""
        rows = encoded([_exchange(*pair) for pair in pairs], self.template)
        longest = -(-max(len(ids) for ids, _ in rows) // 32) * 32 + 1
        ids, weights = pad(rows, longest, self.template.end_id)
        return -(self.losses(ids) * weights).sum(axis=1)


def score_matrices(
    some: Sequence[Case], forward: ReplyScorer, backward: ReplyScorer
) -> tuple[np.ndarray, np.ndarray]:
    """log p(reply | message) and log p(message | reply), (cases, candidates) each, in nats."""
    ahead = [(case.message, reply) for case in some for reply in case.candidates]
    back = [(reply, message) for message, reply in ahead]
    shape = (len(some), -1)
    return forward(ahead).reshape(shape), backward(back).reshape(shape)


def mutual_information(ahead: np.ndarray, back: np.ndarray, weight: float) -> np.ndarray:
    """The score by which replies are ranked, in the shape of the two arguments."""
    return (1 - weight) * ahead + weight * back


def hits_at_1(scores: np.ndarray) -> float:
    """The share of cases in which the right reply, the first one, has the highest score."""
    return float(np.mean(scores.argmax(axis=1) == 0))
