"""The loss of a language model at each token, and their mean."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

# Logits are by far the largest arrays of an evaluation. So many are made at a time, however large
# the vocabulary is; a single window is never cut.
MAX_LOGITS = 20_000_000
MAX_WINDOWS = 50


class TokenLosses:
    """The loss of a model at each token: −log of the probability that it gave to the target.

    Compiled once for each shape, so that a call during training costs nothing but its arithmetic.

    Args:
        model: a model from ids to logits; see `utils.models.gpt2.from_ids`.
        batch_size: windows at a time; None for as many as the memory of `MAX_LOGITS` holds.
    """

    def __init__(self, model: keras.Model, batch_size: int | None = None):
        self.batch_size = batch_size
        self.vocabulary_size = model.output_shape[-1]

        @tf.function(jit_compile=True)
        def losses(inputs, targets):
            logits = model(inputs, training=False)  # (batch, time, vocabulary)
            logits = ops.cast(logits, "float32")  # a model may compute in 16 bits
            return ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)

        self._losses = losses

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Losses of windows (windows, context + 1) in nats: (windows, context)."""
        batch_size = self.batch_size or self.windows_at_a_time(rows.shape[1] - 1)
        full = -(-len(rows) // batch_size) * batch_size
        padded = np.resize(rows, (full, rows.shape[1]))  # one shape for every batch
        parts = [
            self._losses(part[:, :-1], part[:, 1:]) for part in np.split(padded, full // batch_size)
        ]
        return np.concatenate(parts)[: len(rows)]

    def windows_at_a_time(self, context: int) -> int:
        """How many windows of this length go through the model together."""
        return min(MAX_WINDOWS, max(1, MAX_LOGITS // (context * self.vocabulary_size)))

    def mean(self, rows: np.ndarray, weights: np.ndarray) -> float:
        """Their mean over the targets with weight 1, in nats per token."""
        return float(np.sum(self(rows) * weights) / np.sum(weights))
