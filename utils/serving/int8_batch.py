"""Several texts at once with a model that is not compiled, such as `Int8Llama`."""

import numpy as np
import tensorflow as tf

from utils.generation.int8_llama import Int8Llama
from utils.generation.sampling import sample_tokens
from utils.serving.batching import Batch, compiled


class Int8Batch(Batch):
    """As `Batch`, but a step reads only the slots that have a text, and only sampling is compiled.

    Args:
        model: the model.
        slots: texts at once.
    """

    def __init__(self, model: Int8Llama, slots: int):
        self.model = model
        super().__init__(model, slots)  # type: ignore[arg-type]

    def _prepare(self) -> None:
        """Make the cache, compile the sampling for one text and for all, and read a first token."""
        self.cache, self._bias_changed = self.model.empty_cache(self.slots), False
        self._read, self._samplers = self._read_chunk, {}
        for slots in ([0], range(self.slots)):
            _, _, uniform, sampling = self._inputs(slots)
            logits = tf.constant(self.bias[slots])
            self._samplers[len(slots)] = compiled(sample_tokens, logits, uniform, sampling)
        one, first = np.zeros((1, 1), "int32"), np.zeros(1, "int32")
        self.model.logits(self.model.read(one, first, self.cache, [0]))

    def _sampled(self) -> dict[int, int]:
        """What follows the token at the position of each text, by slot."""
        if not self.texts:
            return {}
        slots = list(self.texts)
        rows = slots if len(slots) == 1 else list(range(self.slots))
        tokens, positions, uniform, sampling = self._inputs(rows)
        here = [rows.index(slot) for slot in slots]
        x = self.model.read(tokens.numpy()[here], positions.numpy()[here], self.cache, slots)
        logits = self.bias[rows]
        logits[here] += self.model.logits(x)
        sampled = self._samplers[len(rows)](tf.constant(logits), uniform, sampling).numpy()
        return dict(zip(slots, sampled[here].tolist(), strict=True))

    def _read_chunk(self, slot: tf.Tensor, tokens: tf.Tensor, position: tf.Tensor) -> None:
        """Read a piece of a prompt, (1, chunk), in one slot."""
        self.model.read(tokens.numpy(), position.numpy()[None], self.cache, [int(slot)])
