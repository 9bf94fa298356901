"""Start TensorFlow and Keras without the lines that they print at their start."""

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from utils.keras_backend import choose_backend, use_float32


@contextmanager
def stderr_held_back() -> Iterator[None]:
    """Hold back what is written to stderr, also by compiled code; show it if an error follows.

    TensorFlow prints a warning about CUDA while it is imported, before it reads any setting
    that could turn it off. It is harmless, and would be the first thing that a learner sees.
    """
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except Exception:  # not KeyboardInterrupt: what is held back does not explain that
            sys.stderr.flush()
            held_back.seek(0)
            os.write(screen, held_back.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their start-up lines; real errors still appear.

    Keras gets the backend and the number format of the course. It is also told not to warn that
    keras-nlp's GPT-2 has no `build()` of its own: it would do so whenever one is read from disk,
    and there is nothing to do about it. In a notebook tqdm, which keras-nlp imports, would ask for
    a widget that the course does not need.

    Raises:
        CourseError: if Keras has been imported with another backend, or cannot be imported.
    """
    # What matters reaches Python as an exception; the rest is about missing graphics cards.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # On a graphics card take memory as it is needed: by default TensorFlow takes all of it, and
    # the second notebook finds none. Read when the card is first used; without one, no effect.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    choose_backend("tensorflow")
    with stderr_held_back():
        import tensorflow  # noqa: F401

        use_float32()
    warnings.filterwarnings("ignore", r"`build\(\)` was called on layer 'gpt2_causal_lm")
    warnings.filterwarnings("ignore", "IProgress not found")
