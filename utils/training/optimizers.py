"""The optimizers of pretraining: AdamW, Muon, and the learning rate's way up and down."""

import keras
from keras import ops


def warmup_cosine(
    peak: float, steps: int, warmup: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate that rises from 0 to `peak`, then falls along half a cosine to 0.

    Args:
        peak: the highest rate.
        steps: the length of the whole training, in gradient steps.
        warmup: steps until the peak.
    """
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=peak, warmup_steps=warmup
    )


@keras.saving.register_keras_serializable(package="course")
class WarmupStableDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises in a line to `peak`, stays there, and falls in a line to 0.

    For a run that has no steps to waste below the highest rate that it may use.

    Source: Hu and others, *MiniCPM*, 2024, section 4.

    Args:
        peak: the highest rate.
        steps: the length of the whole training, in gradient steps.
        warmup: steps until the peak.
        decay: steps of the fall at the end.
    """

    def __init__(self, peak: float, steps: int, warmup: int, decay: int):
        self.peak, self.steps, self.warmup, self.decay = peak, steps, warmup, decay

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = (step + 1) / max(1, self.warmup)
        falling = (self.steps - step) / max(1, self.decay)
        return self.peak * ops.clip(ops.minimum(rising, falling), 0.0, 1.0)

    def get_config(self) -> dict:
        """The arguments."""
        return vars(self).copy()


@keras.saving.register_keras_serializable(package="course")
class Muon(keras.optimizers.Muon):
    """Keras's Muon, for the attention of keras-nlp too.

    Muon is for matrices. Keras's takes every two-dimensional variable for one, and leaves the rest
    to AdamW. But `MultiHeadAttention` keeps its matrices in three dimensions, (features, heads,
    head_dim) and for the output (heads, head_dim, features), and its biases in two. Here every
    kernel counts as the matrix that it is, (features, heads · head_dim) or the other way round,
    and everything else is left to AdamW.

    Source: Jordan and others, *Muon: An optimizer for hidden layers in neural networks*, 2024;
    the factor for the learning rate: Liu and others, *Muon is Scalable for LLM Training*, 2025,
    section 2.2.
    """

    def _should_use_adamw(self, variable):
        return variable.name != "kernel"

    def zeropower_via_newtonschulz5(self, x, steps):
        """The nearest orthogonal matrix to the one that is kept in x, in the shape of x."""
        shape = x.shape
        if len(shape) == 3:
            # All heads together make the other side of the square; features stand first or last.
            heads_first = shape[0] * shape[1] == shape[2]
            x = ops.reshape(x, (-1, shape[2]) if heads_first else (shape[0], -1))
        x = super().zeropower_via_newtonschulz5(x, steps)
        return ops.reshape(super().lr_adjust(x), shape)

    def lr_adjust(self, x):
        """Done above, on the matrix."""
        return x
