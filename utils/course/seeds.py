"""One seed for everything random."""

import keras
import numpy as np
import tensorflow as tf


def seed_everything(seed: int) -> np.random.Generator:
    """Make the run repeatable; return a generator for the lesson's own random numbers.

    Sets the seeds of Python, NumPy and TensorFlow, and asks TensorFlow for kernels that add
    their numbers in the same order each time. Two runs on one machine then agree to the last
    bit; another processor may still differ in the seventh digit.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return np.random.default_rng(seed)
