"""Stories that a model makes up, many at a time, and what can be said about each of them.

    teller = Storyteller(model, tokenizer)
    stories = teller.tell(2000, seed=1)
    log_p = story_log_probs(model)(stories)         # nats per story
    valid = rewards(stories, is_valid)

The parser of the tales is a *verifiable reward*: it says of every text whether it is a tale, and
nobody has to label anything.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import keras_nlp
import numpy as np
from keras import ops

from utils.data.bpe import Tokenizer
from utils.evaluation.losses import TokenLosses
from utils.generation.generator import Generator
from utils.models.gpt2 import from_ids
from utils.tales import NotATale, parse

BATCH = 64  # stories that are sampled together; one shape, so that nothing compiles twice
LENGTH = 248  # tokens, the end id in front included; no tale of the course is longer


class Stories(NamedTuple):
    """Sampled stories.

    Attributes:
        rows: ids, (stories, LENGTH), int32: the end id, the story, padded with end ids.
        mask: 1 for each token that was sampled, else 0, (stories, LENGTH - 1), float32. The end id
            behind a story counts, since the model has sampled it, too.
        texts: the stories without the end id.
    """

    rows: np.ndarray
    mask: np.ndarray
    texts: list[str]

    def some(self, numbers: Sequence[int]) -> "Stories":
        """Some of them, by number."""
        return Stories(self.rows[numbers], self.mask[numbers], [self.texts[i] for i in numbers])


class Storyteller:
    """Samples stories from the weights that a model has now; `update` takes newer ones.

    Args:
        model: a GPT-2 that was trained on the tales.
        tokenizer: the tokenizer of that model.
    """

    def __init__(self, model: keras_nlp.models.GPT2CausalLM, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.generator = Generator(model, tokenizer.end_id)
        self.length = min(LENGTH, self.generator.context)

    def update(self, model: keras_nlp.models.GPT2CausalLM) -> None:
        """Take over the weights of a model of the same size."""
        self.generator.update(model)

    def tell(self, number: int, seed: int, temperature: float = 1.0) -> Stories:
        """Sample stories, each from its first token on.

        Args:
            number: the number of stories.
            seed: a whole number, 0 or more; the same seed gives the same stories.
            temperature: the number by which the logits are divided.
        """
        end_id, found = self.tokenizer.end_id, []
        for part in range(-(-number // BATCH)):
            found += self.generator(
                [[end_id]] * BATCH,
                length=self.length,
                temperature=temperature,
                seed=1_000_003 * seed + part,
            )
        return as_stories(found[:number], self.tokenizer, self.length)


def as_stories(found: Sequence[Sequence[int]], tokenizer: Tokenizer, length: int) -> Stories:
    """Lists of ids as `Stories`.

    Args:
        found: token ids of stories; each begins with the end id, and ends with it if the story is
            complete.
        tokenizer: the tokenizer that decodes them.
        length: the length of the rows, in tokens.
    """
    rows = np.full((len(found), length), tokenizer.end_id, "int32")
    mask = np.zeros((len(found), length - 1), "float32")
    for row, weights, ids in zip(rows, mask, found, strict=True):
        row[: len(ids)] = ids
        weights[: len(ids) - 1] = 1
    texts = [tokenizer.decode(i for i in ids if i != tokenizer.end_id) for ids in found]
    return Stories(rows, mask, texts)


# ---- rewards -------------------------------------------------------------------------------------

Reward = Callable[[str], float]


def is_valid(text: str) -> float:
    """1 for a text that the grammar of the English tales can tell, else 0."""
    try:
        parse(text, "en")
    except NotATale:
        return 0.0
    return 1.0


def has_hedgehog(text: str) -> float:
    """1 for a text with a hedgehog in it, else 0."""
    return float("hedgehog" in text)


def number_of_hedgehogs(text: str) -> float:
    """How often a hedgehog is named: a reward that invites to be hacked."""
    return float(text.count("hedgehog"))


REWARDS: dict[str, Reward] = {
    "valid": is_valid,
    "hedgehog": has_hedgehog,
    "hedgehogs": number_of_hedgehogs,
}


def rewards(stories: Stories, reward: Reward) -> np.ndarray:
    """The reward of each story, (stories,), float32."""
    return np.array([reward(text) for text in stories.texts], "float32")


def wrong_tokens(text: str, ids: Sequence[int], tokenizer: Tokenizer) -> tuple[int, int]:
    """Which tokens make a text no tale: those of the first word that no tale could have there.

    Args:
        text: what the ids say.
        ids: the ids of the story, without the end id in front; the one behind it may be there.
        tokenizer: the tokenizer that made the ids.

    Returns:
        The number of the first of these tokens and of the one behind the last; the length of the
        ids twice if the text is a tale.
    """
    try:
        parse(text, "en")
    except NotATale as problem:
        position = problem.position
    else:
        return len(ids), len(ids)
    word = re.match(r"\s*\S*", text[position:])
    after = position + (word.end() if word else 0)
    # A token may hold a part of a character only, but the tales have none of these.
    ends = np.cumsum([len(tokenizer.decode([i])) for i in ids if i != tokenizer.end_id])
    first = int(np.searchsorted(ends, position, side="right"))
    return first, max(first, int(np.searchsorted(ends, after, side="left"))) + 1


# ---- measuring -----------------------------------------------------------------------------------


def token_log_probs(
    model: keras_nlp.models.GPT2CausalLM, temperature: float = 1.0
) -> Callable[[Stories], np.ndarray]:
    """What gives log p of each token of some stories, (stories, LENGTH - 1), in nats.

    Args:
        model: the model whose probabilities are asked for, with the weights that it has then.
        temperature: the temperature at which it would sample.
    """
    plain = from_ids(model)
    losses = TokenLosses(keras.Model(plain.inputs, plain.outputs[0] / temperature))
    return lambda stories: -losses(stories.rows) * stories.mask


def story_log_probs(
    model: keras_nlp.models.GPT2CausalLM, temperature: float = 1.0
) -> Callable[[Stories], np.ndarray]:
    """What gives log p of each story, (stories,), in nats; see `token_log_probs`."""
    log_probs = token_log_probs(model, temperature)
    return lambda stories: log_probs(stories).sum(axis=1)


def distinct(texts: Sequence[str], n: int = 3) -> float:
    """The share of different runs of n words among all runs of n words.

    It falls with the amount of text, so compare equal numbers of texts only.

    Source: Li and others, *A Diversity-Promoting Objective Function for Neural Conversation
    Models*, 2016.
    """
    runs: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = text.split()
        runs.update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    return len(runs) / max(1, runs.total())


def log_prob_network(model: keras_nlp.models.GPT2CausalLM) -> keras.Model:
    """The same weights, from rows of ids to log p of each token but the first, for training.

    Input (batch, time + 1), output (batch, time), in nats.
    """
    rows = keras.Input((None,), dtype="int32")
    logits = from_ids(model)(rows[:, :-1])  # (batch, time, vocabulary)
    losses = ops.sparse_categorical_crossentropy(rows[:, 1:], logits, from_logits=True)
    return keras.Model(rows, -losses)
