"""The engine: a queue of texts to be written, and the one thread that owns the model.

    engine = Engine(generator, tokenizer, "small-gpt2")
    reply = engine.submit(prompt, length=256, sampling=as_sampling(1.0, 0, 0.8), seed=1)
    for token in reply: ...
    engine.close()

Each request waits in a thread of its own. The engine's thread goes from step to step: in each step,
all texts in the slots get one more token; between two steps, a text that is finished or no longer
wanted leaves its slot, and the next one from the queue takes it. So requests that wait together
share a batch, and a short text never waits for the end of a long one.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import NamedTuple

from utils.data.bpe import Tokenizer
from utils.data.chat_template import ROOM_FOR_REPLY
from utils.errors import CourseError
from utils.generation.generator import Generator
from utils.generation.int8_llama import Int8Llama
from utils.generation.sampling import Sampling
from utils.serving.batching import NO_PENALTIES, Batch, Penalties
from utils.serving.prompts import special_ids

logger = logging.getLogger(__name__)


class Busy(CourseError):
    """All slots and all places in the queue are taken."""


class Closing(CourseError):
    """The server is shutting down and accepts no new requests."""


class ModelFailed(CourseError):
    """The model failed in the middle of a text; the server's log has the traceback."""


class Request(NamedTuple):
    """What a client asked for; see `Engine.submit`."""

    prompt: Sequence[int]
    length: int
    sampling: Sampling
    seed: int
    penalties: Penalties = NO_PENALTIES
    adapter: int = 0


class Reply:
    """A requested text. Iterate over its new ids, once; each comes as soon as it is sampled.

    The end id ends a text and is not among its ids. A token that is no text, such as that of a role
    in a chat, ends it as well.

    Attributes:
        request: what was asked for.
        finish_reason: the reason to stop, set when all ids have come. "stop": the model ended the
            text; "length": it has the requested length; "cancelled": nobody wanted the rest.

    Raises:
        Closing: while iterating, if the server shuts down before the text has begun.
        ModelFailed: while iterating, if the model fails.
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
        """Give up the rest of the text: its slot is free before the next step."""
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
    """Writes texts for many clients at once. Making one compiles the model, which takes seconds.

    Attributes:
        context: the model's context, in tokens.
        end_id: the token that ends a text.
        vocabulary_size: the number of the model's tokens.
        is_closing: whether new requests are refused.

    Args:
        generator: the model.
        tokenizer: the tokenizer that the model was trained with.
        name: the model's name in requests.
        slots: the number of texts that are written at once.
        queue: the number of texts that may wait.
        room_for_reply: tokens of the context that are kept free for the reply in a long chat.
        tells_tales: whether the model writes a tale when it is given nothing.
        batch: what writes the texts: a function of `generator` and `slots`.
    """

    def __init__(
        self,
        generator: Generator | Int8Llama,
        tokenizer: Tokenizer,
        name: str,
        slots: int = 16,
        queue: int = 64,
        room_for_reply: int = ROOM_FOR_REPLY,
        tells_tales: bool = True,
        batch: Callable[..., Batch] = Batch,
    ):
        self.tokenizer, self.name = tokenizer, name
        self.room_for_reply, self.tells_tales = room_for_reply, tells_tales
        self._special_ids = special_ids(tokenizer)
        self.context, self.end_id = generator.context, generator.end_id
        self.vocabulary_size = generator.vocabulary_size
        self.slots, self.queue = slots, queue
        self.is_closing = False
        self._generator, self._batch = generator, batch(generator, slots)
        self._running: dict[int, Reply] = {}
        self._waiting: deque[Reply] = deque()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def load(self) -> tuple[int, int]:
        """The number of texts being written, and the number that wait."""
        return len(self._running), len(self._waiting)

    def submit(
        self,
        prompt: Sequence[int],
        length: int,
        sampling: Sampling,
        seed: int,
        gone: Callable[[], bool] = lambda: False,
        penalties: Penalties = NO_PENALTIES,
        adapter: int = 0,
    ) -> Reply:
        """Ask for a text.

        Args:
            prompt: ids, at least one.
            length: the longest text in tokens, prompt included.
            sampling: the sampling settings.
            seed: the same seed, the same text, whatever else is being written.
            gone: a function that tells whether the client has disconnected; called before each
                step.
            penalties: the penalties that change the logits.
            adapter: the number of the adapter that the text is written with; 0 for none.

        Raises:
            GenerationError: if prompt, length or seed make no sense for the model.
            Busy: if the queue is full.
            Closing: if the server is shutting down.
        """
        self._generator.check([prompt], length, seed)
        reply = Reply(Request(prompt, length, sampling, seed, penalties, adapter), gone)
        with self._changed:
            if self.is_closing:
                raise _closing()
            if len(self._running) + len(self._waiting) >= self.slots + self.queue:
                raise Busy("The server is busy: try again in a moment.")
            self._waiting.append(reply)
            self._changed.notify()
        return reply

    def refuse(self) -> None:
        """Refuse waiting and new requests from now on; texts that have begun go on."""
        with self._changed:
            self.is_closing = True
            while self._waiting:
                self._waiting.popleft()._fail(_closing())
            self._changed.notify()

    def close(self) -> None:
        """Graceful shutdown: finish the texts that have begun, refuse all other requests."""
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
        """Wait for requests and fill the slots; False after a shutdown, when all is written."""
        with self._changed:
            while not (self._running or self._waiting):
                if self.is_closing:
                    return False
                self._changed.wait()
            self._drop_unwanted()
            while self._waiting and len(self._running) < self.slots:
                reply = self._waiting.popleft()
                free = [slot for slot in range(self.slots) if slot not in self._running]
                slot = self._batch.best_slot(free, reply.request.prompt)
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
        if not self._running:  # all that waited was cancelled
            return
        for slot, number in self._batch.step().items():
            if self._ends_text(number):
                self._leave(slot, "stop")
                continue
            reply = self._running[slot]
            reply._add(number)
            if len(self._batch.texts[slot].ids) == reply.request.length:
                self._leave(slot, "length")

    def _ends_text(self, number: int) -> bool:
        """Whether a token is the end of a text, or no text."""
        is_special = number in self._special_ids or number >= len(self.tokenizer.tokens)
        return is_special or number == self.end_id

    def _leave(self, slot: int, reason: str) -> None:
        self._batch.stop(slot)
        self._running.pop(slot)._finish(reason)

    def _give_up(self) -> None:
        """After a failure: end the texts in the slots with an error; those that wait go on."""
        for slot in list(self._running):
            self._batch.stop(slot)
            self._running.pop(slot)._fail(
                ModelFailed("The model failed in the middle of the text.")
            )


def _closing() -> Closing:
    return Closing("The server is shutting down: try again later.")
