"""Sentiment as a prompt to SmolLM2: which of two words is more probable as the answer?

A part of `benchmarks.tasks`. The examples and the question are put as a chat, because the model was
trained on chats. What all prompts have in common is read once, and kept in the cache.
"""

from functools import cache
from os.path import commonprefix

import numpy as np
import tensorflow as tf

from utils.data.dialogues import Message
from utils.data.downloads import download
from utils.data.gguf_reader import read_gguf
from utils.data.smollm2 import ChatTemplate, read_tokenizer
from utils.generation.cached_llama import cached_llama
from utils.models.llama import read_config, read_weights
from utils.tasks.prompts import NO_CONTENT, calibrated
from utils.tasks.task_data import Task

ORDER = "Is the sentiment of the text positive or negative? Answer with one word."
WORDS = {"negative": "Negative", "positive": "Positive"}
ROWS = 8  # prompts that are read at a time
SHAPE = 32  # the length of what is read is a multiple of it


def ask(task: Task, texts: list[str], shots: int, calibrate: bool) -> np.ndarray:
    """The probabilities of the labels, (texts, labels).

    Args:
        task: the task whose training texts give the examples.
        texts: what to classify.
        shots: how many examples, half of each label.
        calibrate: whether to divide by what the model says to texts without content.
    """
    model = Prompted()
    examples: list[Message] = []
    for number in range(shots):
        label = task.labels[number % len(task.labels)]
        text = [one.text for one in task.parts.train if one.label == label][number]
        examples += [_question(text), Message("assistant", WORDS[label])]
    words = [WORDS[label] for label in task.labels]
    scores = model.scores(examples, texts, words)
    nothing = model.scores(examples, list(NO_CONTENT), words) if calibrate else None
    return calibrated(scores, nothing)


def _question(text: str) -> Message:
    return Message("user", f"Text: {text}\n{ORDER}")


class Prompted:
    """SmolLM2, ready to be asked for the probability of a word."""

    def __init__(self):
        self.config, self.template, self.model = _smollm2()
        self._read = tf.function(self.model.read_tokens, autograph=False)

    def scores(self, examples: list[Message], texts: list[str], words: list[str]) -> np.ndarray:
        """The log-probability of the first token of each word, (texts, words)."""
        prompts = [self.template.prompt([*examples, _question(text)]) for text in texts]
        common = commonprefix(prompts)
        ids = [self.template.tokenizer.encode(word)[0] for word in words]
        longest = -(-max(len(prompt) - len(common) for prompt in prompts) // SHAPE) * SHAPE
        space = self.model.empty_cache(ROWS, -(-(len(common) + longest) // 128) * 128)
        _, before = self._read(
            self.model.weights, tf.constant([common] * ROWS), tf.constant(0), space
        )
        found = []
        for start in range(0, len(prompts), ROWS):
            some = [prompt[len(common) :] for prompt in prompts[start : start + ROWS]]
            rows = np.zeros((ROWS, longest), "int32")
            for row, prompt in zip(rows, some, strict=False):
                row[: len(prompt)] = prompt
            logits, _ = self._read(
                self.model.weights, tf.constant(rows), tf.constant(len(common)), before
            )
            last = [len(prompt) - 1 for prompt in some]
            said = tf.nn.log_softmax(logits.numpy()[np.arange(len(some)), last]).numpy()
            found.append(said[:, ids])
        return np.concatenate(found)


@cache
def _smollm2():
    file = read_gguf(download("smollm2"))
    config = read_config(file.metadata)
    template = ChatTemplate(read_tokenizer(file.metadata))
    return config, template, cached_llama(config, read_weights(config, file.tensors))
