"""Smaller models that have to learn a little again: pruned, narrowed, or taught by a larger one.

small = with_zeros(model, share=0.3)           # magnitude pruning
small = narrowed(model, feed_forward=256)      # structured pruning
train_briefly(small, windows, ...)             # healing
train_briefly(student, windows, ..., teacher=model)   # distillation
"""

from collections.abc import Callable
from dataclasses import replace

import keras
import keras_nlp
import numpy as np
import tensorflow as tf
from keras import ops

from utils.data.batches import Batches, as_examples
from utils.errors import CourseError
from utils.models.compression import prune
from utils.models.gpt2 import build_gpt2, from_ids, size_of
from utils.training.optimizers import Muon, warmup_cosine
from utils.training.runs import compiled


def with_zeros(model: keras_nlp.models.GPT2CausalLM, share: float) -> keras_nlp.models.GPT2CausalLM:
    """A copy of a GPT-2 with a share of each weight matrix of its blocks set to zero.

    The smallest numbers go (**magnitude pruning**), and the zeros stay zero when the copy is
    trained. Source: Han and others, *Learning both Weights and Connections for Efficient Neural
    Networks*, 2015.

    Args:
        model: the GPT-2; it is not modified.
        share: the share of zeros in each matrix, 0 to 1.
    """
    small = build_gpt2(model.backbone.vocabulary_size, size_of(model))
    for variable, array in zip(small.backbone.weights, model.backbone.get_weights(), strict=True):
        if variable.name == "kernel":
            array = prune(array, share)
            variable.constraint = _keep_zeros(array != 0)
        variable.assign(array)
    return small


def _keep_zeros(mask: np.ndarray) -> Callable:
    """What an optimizer does with a variable after each step."""
    mask = mask.astype("float32")
    return lambda variable: variable * mask


def narrowed(
    model: keras_nlp.models.GPT2CausalLM, feed_forward: int
) -> keras_nlp.models.GPT2CausalLM:
    """A GPT-2 with fewer hidden units in each feed-forward network (**structured pruning**).

    A hidden unit is one row of one matrix and one column of the other. The units stay whose two
    weight vectors have the largest product of lengths.

    Args:
        model: the GPT-2; it is not modified.
        feed_forward: hidden units that stay.

    Raises:
        CourseError: if the model has fewer.
    """
    size = size_of(model)
    if not 1 <= feed_forward <= size.feed_forward:
        raise CourseError(
            f"feed_forward must be a whole number from 1 to {size.feed_forward}, the hidden units"
            f" of this model, not {feed_forward}."
        )
    small = build_gpt2(model.backbone.vocabulary_size, replace(size, feed_forward=feed_forward))
    for variable, array in zip(small.backbone.weights, model.backbone.get_weights(), strict=True):
        if variable.shape == array.shape:
            variable.assign(array)
    layers = zip(small.backbone.transformer_layers, model.backbone.transformer_layers, strict=True)
    for ours, theirs in layers:
        # up (width, hidden), its bias (hidden,), down (hidden, width)
        up, bias = theirs._feedforward_intermediate_dense.get_weights()
        down, _ = theirs._feedforward_output_dense.get_weights()
        lengths = np.linalg.norm(up, axis=0) * np.linalg.norm(down, axis=1)  # (hidden,)
        kept = np.sort(np.argsort(-lengths, kind="stable")[:feed_forward])
        ours._feedforward_intermediate_dense.set_weights([up[:, kept], bias[kept]])
        ours._feedforward_output_dense.kernel.assign(down[kept])
    return small


def probabilities_of(teacher: keras_nlp.models.GPT2CausalLM) -> Callable[[np.ndarray], tf.Tensor]:
    """From ids (batch, time) to what a model says comes next, (batch, time, vocabulary)."""
    network = from_ids(teacher)
    return tf.function(lambda ids: ops.softmax(network(ids, training=False)), jit_compile=True)


def train_briefly(
    model: keras_nlp.models.GPT2CausalLM,
    windows: Batches,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int = 0,
    teacher: keras_nlp.models.GPT2CausalLM | None = None,
) -> list[float]:
    """Train a model for some steps, on the tokens of texts or on a teacher's predictions.

    With a teacher, the target of each position is not the token that comes next but the
    probabilities that the teacher gives to all tokens. Source: Hinton and others, *Distilling the
    Knowledge in a Neural Network*, 2015, section 2, with temperature 1.

    Args:
        model: a GPT-2; it is modified.
        windows: the texts.
        steps, batch_size, seed: the settings of the training.
        rate: the highest learning rate, Muon's; that of its AdamW is half of it.
        teacher: a GPT-2 with the same vocabulary; it is not modified.

    Returns:
        The loss of each step, nats per token.
    """
    schedule = warmup_cosine(rate, steps, warmup=max(1, steps // 20))
    optimizer = Muon(schedule, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)
    network = compiled(from_ids(model), optimizer)
    if teacher is not None:
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )
        network.compile(optimizer=optimizer, loss=loss, weighted_metrics=[], jit_compile=True)
    predict = probabilities_of(teacher) if teacher is not None else None
    losses = []
    for step in range(steps):
        ids, targets, weights = as_examples(*windows.batch(step, batch_size, seed))
        targets = predict(tf.constant(ids)) if predict else targets
        losses.append(float(network.train_on_batch(ids, targets, weights)))
    return losses
