"""Keep off the screen what TensorFlow and Keras say to nobody in particular."""

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stderr_held_back() -> Iterator[None]:
    """Hold back what is written to stderr, also by compiled code; show it if an error follows.

    TensorFlow prints a warning about CUDA while it is imported, before it reads any setting
    that could turn it off. It is harmless, and it is the first thing a learner would see.
    """
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            held_back.seek(0)
            os.write(screen, held_back.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up lines; real errors still appear.

    Keras is told, too, not to wonder that keras-nlp's GPT-2 is a layer without a `build()` of its
    own. It would say so whenever one is read from disk, and there is nothing to do about it. In a
    notebook tqdm, which keras-nlp imports, would ask for a widget that the course does not need.
    """
    # What matters reaches Python as an exception; the rest is about missing graphics cards.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with stderr_held_back():
        import tensorflow  # noqa: F401
    warnings.filterwarnings("ignore", r"`build\(\)` was called on layer 'gpt2_causal_lm")
    warnings.filterwarnings("ignore", "IProgress not found")
