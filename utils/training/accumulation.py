"""Gradient accumulation: a batch in parts, one behind the other, and then one step.

The memory that a step takes grows with the rows that go through the model together. In parts, a
large batch fits into a small memory, and the step is that of the whole batch.
"""

import keras
import tensorflow as tf


class AccumulatingModel(keras.Model):
    """A model whose training step goes through its batch in parts, for `fit`.

    The loss of a batch is the mean over its targets of weight 1. The parts may have different
    numbers of these, so the loss of each part counts by its share of them. Adding up plain means
    would give another gradient.

    Args:
        model: a model from ids to logits; its weights are shared.
        parts: the parts that a batch is split into; they divide the batch size.
    """

    def __init__(self, model: keras.Model, parts: int):
        super().__init__(model.inputs, model.outputs[0])
        self.parts = parts
        self.mean_loss = keras.metrics.Mean(name="loss")

    def get_metrics_result(self):
        """The mean loss since the last evaluation; there are no other metrics."""
        return {"loss": self.mean_loss.result()}

    @property
    def metrics(self):
        """What Keras resets before each epoch."""
        return [self.mean_loss]

    def train_step(self, data):
        """One step for inputs, targets and weights, (batch, time) each."""
        split = [tf.reshape(rows, (self.parts, -1, *rows.shape[1:])) for rows in data]
        total = tf.reduce_sum(data[2])

        def add_part(part, loss, gradients):
            added_loss, added = self._gradients(*(rows[part] for rows in split), total)
            added = [old + new for old, new in zip(gradients, added, strict=True)]
            return part + 1, loss + added_loss, added

        start = 0, 0.0, [tf.zeros(weight.shape) for weight in self.trainable_weights]
        # A loop of TensorFlow's, so that the memory of one part is used again for the next one.
        _, loss, gradients = tf.while_loop(lambda part, *_: part < self.parts, add_part, start)
        self.optimizer.apply(gradients, self.trainable_weights)
        self.mean_loss.update_state(loss)
        return self.get_metrics_result()

    def _gradients(self, inputs, targets, weights, total):
        """The loss of a part, by its share of the weights in the batch, and its gradients."""
        with tf.GradientTape() as tape:
            logits = self(inputs, training=True)
            mean = self.compute_loss(inputs, targets, logits, weights)
            loss = mean * tf.reduce_sum(weights) / total
        gradients = tape.gradient(loss, self.trainable_weights)
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]
