"""The settings of other projects do not change what the tests see."""

import os
import sqlite3  # noqa: F401  (before TensorFlow, which brings a smaller SQLite along)
from contextlib import suppress
from importlib import import_module
from unittest import mock

from utils.keras_backend import choose_backend
from utils.loopback import bypass_proxies_for_loopback

choose_backend(quiet=True)
bypass_proxies_for_loopback()

# Where JAX is installed, TensorFlow and bm25s import it, and it sets the log level of TensorFlow,
# also for the programs that a test starts. After this first import it does so no more.
with mock.patch.dict(os.environ), suppress(ImportError):
    import_module("jax")
