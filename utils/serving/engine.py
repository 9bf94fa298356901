"""The engine: a queue of texts to be written, and the one thread that owns the model.

    engine = Engine(generator, tokenizer, "small-gpt2")
    reply = engine.submit(prompt, length=256, sampling=as_sampling(1.0, 0, 0.8), seed=1)
    for token in reply: ...
    engine.close()

Whoever asks waits in a thread of his own. The engine's thread goes from step to step: in each, all
texts in the slots get one more token; between two, a text that is finished or not wanted any more
leaves its slot, and the next one from the queue takes it. So requests that wait together share a
batch, and a short text never waits for the end of a long one.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import NamedTuple

from utils.data.bpe import Tokenizer
from utils.errors import CourseError
from utils.generation.generator import Generator
from utils.generation.sampling import Sampling
from utils.serving.batching import Batch

logger = logging.getLogger(__name__)


class Busy(CourseError):
    """All slots and all places in the queue are taken."""


class Closing(CourseError):
    """The server is about to end and takes nothing new."""


class ModelFailed(CourseError):
    """The model stopped in the middle of a text. What happened is in the server's log."""


class Request(NamedTuple):
    """What a client wants; see `Engine.submit`."""

    prompt: Sequence[int]
    length: int
    sampling: Sampling
    seed: int


class Reply:
    """A text that was asked for. Iterate over its new ids, once; each comes as soon as it is drawn.

    Iterating raises Closing if the server ends before the text has begun, ModelFailed if it breaks
    off. The id that ends a text is not among them; a token that is no text, such as that of a role
    in a chat, ends it as well.

    Attributes:
        request: what was asked for.
        finish_reason: when all ids have come: "stop" if the model ended the text, "length" if there
            was no more room, "cancelled".
    """

    def __init__(self, request: Request, gone: Callable[[], bool]):
        self.request, self.finish_reason = request, ""
        self._gone = gone
        self._cancelled = False
        self._ids: SimpleQueue[int | None | CourseError] = SimpleQueue()

    def __iter__(self) -> Iterator[int]:
        while (item := self._ids.get()) is not None:
            if isinstance(item, CourseError):
                raise item
            yield item

    def cancel(self) -> None:
        """Nobody wants the rest: frees the slot before the next step."""
        self._cancelled = True

    @property
    def is_wanted(self) -> bool:
        return not (self._cancelled or self._gone())

    def _add(self, number: int) -> None:
        self._ids.put(number)

    def _finish(self, reason: str) -> None:
        self.finish_reason = reason
        self._ids.put(None)

    def _fail(self, error: CourseError) -> None:
        self._ids.put(error)


class Engine:
    """Writes texts for many at once. Making one compiles the model, which takes some seconds.

    Args:
        generator: the model.
        tokenizer: the one that it was trained with.
        name: under which clients ask for the model.
        slots: texts that are written at once.
        queue: how many more may wait.
    """

    def __init__(
        self,
        generator: Generator,
        tokenizer: Tokenizer,
        name: str,
        slots: int = 16,
        queue: int = 64,
    ):
        self.tokenizer, self.name = tokenizer, name
        self.context, self.end_id = generator.context, generator.end_id
        self.slots, self.queue = slots, queue
        self.is_closing = False
        self._generator, self._batch = generator, Batch(generator, slots)
        self._running: dict[int, Reply] = {}
        self._waiting: deque[Reply] = deque()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def load(self) -> tuple[int, int]:
        """How many texts are being written, and how many wait."""
        return len(self._running), len(self._waiting)

    def submit(
        self,
        prompt: Sequence[int],
        length: int,
        sampling: Sampling,
        seed: int,
        gone: Callable[[], bool] = lambda: False,
    ) -> Reply:
        """Ask for a text.

        Args:
            prompt: ids, at least one.
            length: the longest text in tokens, prompt included.
            sampling: how to draw.
            seed: the same seed, the same text, whatever else is being written.
            gone: asked before each step whether the client has hung up.

        Raises:
            GenerationError: if prompt, length or seed make no sense for the model.
            Busy: if the queue is full.
            Closing: if the server is about to end.
        """
        self._generator.check([prompt], length, seed)
        reply = Reply(Request(prompt, length, sampling, seed), gone)
        with self._changed:
            if self.is_closing:
                raise _closing()
            if len(self._running) + len(self._waiting) >= self.slots + self.queue:
                raise Busy("The server is busy: try again in a moment.")
            self._waiting.append(reply)
            self._changed.notify()
        return reply

    def refuse(self) -> None:
        """From now on refuse those that wait and all new ones; what has begun goes on."""
        with self._changed:
            self.is_closing = True
            while self._waiting:
                self._waiting.popleft()._fail(_closing())
            self._changed.notify()

    def close(self) -> None:
        """Finish the texts that have begun, refuse those that wait and all new ones."""
        self.refuse()
        self._thread.join()

    # ---- the engine's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while self._has_work():
            try:
                self._step()
            except Exception:
                logger.exception("The model failed")
                self._give_up()

    def _has_work(self) -> bool:
        """Wait until there is something to do, and fill the slots; False at the very end."""
        with self._changed:
            while not (self._running or self._waiting):
                if self.is_closing:
                    return False
                self._changed.wait()
            self._drop_unwanted()
            free = (slot for slot in range(self.slots) if slot not in self._running)
            for slot, reply in zip(free, list(self._waiting), strict=False):
                self._waiting.popleft()
                self._running[slot] = reply
                self._batch.start(slot, *reply.request)
        return True

    def _drop_unwanted(self) -> None:
        for slot, reply in list(self._running.items()):
            if not reply.is_wanted:
                self._leave(slot, "cancelled")
        for reply in [reply for reply in self._waiting if not reply.is_wanted]:
            self._waiting.remove(reply)
            reply._finish("cancelled")

    def _step(self) -> None:
        if not self._running:  # nobody was left who wanted anything
            return
        for slot, number in self._batch.step().items():
            if number == self.end_id or number >= len(self.tokenizer.tokens):
                self._leave(slot, "stop")
                continue
            reply = self._running[slot]
            reply._add(number)
            if len(self._batch.texts[slot].ids) == reply.request.length:
                self._leave(slot, "length")

    def _leave(self, slot: int, reason: str) -> None:
        self._batch.stop(slot)
        self._running.pop(slot)._finish(reason)

    def _give_up(self) -> None:
        """After a failure: tell all who were in a slot, and go on with those who wait."""
        for slot in list(self._running):
            self._batch.stop(slot)
            self._running.pop(slot)._fail(
                ModelFailed("The model failed in the middle of the text.")
            )


def _closing() -> Closing:
    return Closing("The server is shutting down: try again later.")
