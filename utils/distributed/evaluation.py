"""The validation loss, measured by all processes together. For Keras on JAX."""

import jax
import keras
import numpy as np
from keras import ops

from utils.evaluation.losses import MAX_LOGITS, MAX_WINDOWS


class SharedLosses:
    """The mean loss of a model, of which each process computes a share.

    It takes the place of `TokenLosses`, which is compiled by TensorFlow. All processes get the same
    number, to the last bit. So they all stop early at the same step, or none does.

    Args:
        model: a model from ids to logits; see `utils.models.gpt2.from_ids`. It lives on all
            processes, by the distribution that Keras has been given.
    """

    def __init__(self, model: keras.Model):
        self.model = model

        @jax.jit
        def loss_sum(trainable, frozen, inputs, targets, weights):
            logits, _ = model.stateless_call(trainable, frozen, inputs, training=False)
            logits = ops.cast(logits, "float32")  # a model may compute in 16 bits
            losses = ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
            return ops.sum(losses * weights)

        self._loss_sum = loss_sum

    def mean(self, rows: np.ndarray, weights: np.ndarray) -> float:
        """Nats per token, the mean over the targets of weight 1.

        All processes call it together, with the same arguments.

        Args:
            rows: token ids, (windows, context + 1).
            weights: the loss mask, (windows, context), 0 where the target is padding.
        """
        world = jax.process_count()
        share = -(-len(rows) // world)  # windows of a process, rounded up
        size = min(share, self._windows_at_a_time(rows.shape[1] - 1)) * world
        full = -(-len(rows) // size) * size
        counted = np.zeros((full, weights.shape[1]), "float32")  # windows added count nothing
        counted[: len(rows)] = weights
        batches = zip(
            np.split(np.resize(rows, (full, rows.shape[1])), full // size),
            np.split(counted, full // size),
            strict=True,
        )
        return sum(self._sum(*batch) for batch in batches) / float(np.sum(weights, dtype="float64"))

    def _sum(self, rows: np.ndarray, weights: np.ndarray) -> float:
        """The sum of the losses of some windows, as many for each process."""
        variables = (self.model.trainable_variables, self.model.non_trainable_variables)
        state = ([variable.value for variable in kind] for kind in variables)
        batch = (_spread(part) for part in (rows[:, :-1], rows[:, 1:], weights))
        return float(self._loss_sum(*state, *batch))

    def _windows_at_a_time(self, context: int) -> int:
        """How many windows of this length go through the model of one process together."""
        return min(MAX_WINDOWS, max(1, MAX_LOGITS // (context * self.model.output_shape[-1])))


def _spread(rows: np.ndarray) -> jax.Array:
    """One array of all processes, of which this one holds every `world`-th row."""
    layout = keras.distribution.distribution().get_data_layout(rows.shape).backend_layout
    mine = rows[jax.process_index() :: jax.process_count()]
    return jax.make_array_from_process_local_data(layout, mine)
