"""The loss of a language model at each token, and their mean."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops


class TokenLosses:
    """The loss of a model at each token: −log of the probability that it gave to the target.

    Compiled once for one shape, so that a call during training costs nothing but its arithmetic.

    Args:
        model: takes ids, returns logits; see `utils.models.gpt2.from_ids`.
        batch_size: windows at a time.
    """

    def __init__(self, model: keras.Model, batch_size: int = 50):
        self.batch_size = batch_size

        @tf.function(jit_compile=True)
        def losses(inputs, targets):
            logits = model(inputs, training=False)  # (batch, time, vocabulary)
            return ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)

        self._losses = losses

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Losses of windows (windows, context + 1) in nats: (windows, context)."""
        full = -(-len(rows) // self.batch_size) * self.batch_size
        padded = np.resize(rows, (full, rows.shape[1]))  # one shape for every batch
        parts = [
            self._losses(part[:, :-1], part[:, 1:])
            for part in np.split(padded, full // self.batch_size)
        ]
        return np.concatenate(parts)[: len(rows)]

    def mean(self, rows: np.ndarray, weights: np.ndarray) -> float:
        """Their mean over the targets with weight 1, in nats per token."""
        return float(np.sum(self(rows) * weights) / np.sum(weights))
