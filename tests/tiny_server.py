"""A chat server with a tiny random GPT-2, for the tests: it writes nonsense, quickly."""

import contextlib
import os
import threading

import numpy as np

from utils.data.bpe import Tokenizer, train
from utils.generation.generator import Generator
from utils.models.gpt2 import build_gpt2
from utils.models.sizes import ModelSize
from utils.serving.app import create_app
from utils.serving.engine import Engine
from utils.serving.prompts import plain_chat
from utils.serving.server import Server, listen

# A proxy that is set in the environment must not stand between the tests and their own machine.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

CONTEXT, NAME, NEVER = 128, "tiny", -7
SIZE = {"layers": 1, "heads": 2, "width": 16, "feed_forward": 32}
TEXT = "the fox said to the hare: the hare said to the fox! 狐狸对兔子说：兔子对狐狸说。" * 3


def tiny_tokenizer(merges=40):
    """Merges English and Chinese; some of its tokens end inside a Chinese character."""
    return Tokenizer(train(TEXT, merges))


def random_model(vocabulary_size, seed=0):
    """Large random weights, so that its answers differ from place to place; small biases, so that
    no token is the likeliest everywhere."""
    rng = np.random.default_rng(seed)
    model = build_gpt2(vocabulary_size, ModelSize(context=CONTEXT, **SIZE))
    for weight in model.weights:
        scale = 0.5 if weight.name in ("kernel", "embeddings") else 0.05
        weight.assign((weight.name == "gamma") + scale * rng.normal(size=weight.shape))
    return model


def tiny_engine(slots=2, queue=2, end_id=NEVER):
    """An engine whose texts never end, if no end id is given, before they are as long as may be."""
    tokenizer = tiny_tokenizer()
    generator = Generator(random_model(len(tokenizer.tokens)), end_id)
    return Engine(generator, tokenizer, NAME, slots, queue)


class ByHeart(list):
    """A reply that is known beforehand."""

    def __init__(self, ids, most):
        super().__init__(ids[:most])
        self.finish_reason = "length" if len(ids) > most else "stop"

    def cancel(self):
        self.clear()


class Parrot:
    """All that the application needs of an engine. It always says the same; a token is a byte."""

    name, context, end_id, is_closing, load = "parrot", 512, 256, False, (0, 0)
    vocabulary_size, room_for_reply, tells_tales = 257, 40, True
    tokenizer, slots, queue = Tokenizer([]), 1, 1

    def __init__(self, words):
        self.words = words

    def submit(self, prompt, length, sampling, seed, gone, penalties):
        return ByHeart(self.tokenizer.encode(self.words), length - len(prompt))

    def refuse(self):
        self.is_closing = True

    def close(self):
        pass


@contextlib.contextmanager
def running(engine, render=None, base=False):
    """The address of a server for an engine; at the end both are stopped.

    Without `render`, chats are plain transcripts, or `base`: there are none.
    """
    app = create_app(engine, None if base else render or plain_chat(engine.tokenizer))
    server = Server(app, [engine], listen("127.0.0.1", 0))
    server.start()
    yield server.url
    server.stop()


class Gate:
    """Holds the model back: while it is shut, a step happens only when `let` allows it."""

    def __init__(self, engine):
        self._engine, self._step = engine, engine._batch.step
        self._allowed, self._open = threading.Semaphore(0), True
        engine._batch.step = self._held_back

    def _held_back(self):
        if not self._open:
            self._allowed.acquire()
        return self._step()

    def shut(self):
        self._allowed, self._open = threading.Semaphore(0), False

    def let(self, steps):
        self._allowed.release(steps)

    def let_until(self, condition, most=20):
        """Allow one step after the other until something has happened; whether it has."""
        for _ in range(most):
            if until(condition, seconds=0.1):
                return True
            self.let(1)
        return condition()

    def has(self, running, waiting):
        """Whether so many texts are being written and so many wait, after a few steps if need be.

        The engine may begin the first one, and stand at the gate, before the second has come.
        """
        assert until(lambda: sum(self._engine.load) == running + waiting)
        return self.let_until(lambda: self._engine.load == (running, waiting))

    def open(self):
        self._open = True
        self._allowed.release(1000)


@contextlib.contextmanager
def shut(gate):
    """Shut a gate for a while."""
    gate.shut()
    try:
        yield gate
    finally:
        gate.open()


def until(condition, seconds=10.0):
    """Wait for something that another thread does; whether it came."""
    event, waited = threading.Event(), 0.0
    while not condition() and waited < seconds:
        event.wait(0.01)
        waited += 0.01
    return condition()
