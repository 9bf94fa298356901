"""The settings of other projects do not change what the tests see."""

import os
import signal
import sqlite3  # noqa: F401  (before TensorFlow, which brings a smaller SQLite along)
from contextlib import suppress
from importlib import import_module
from unittest import mock

from utils.keras_backend import choose_backend
from utils.loopback import bypass_proxies_for_loopback

# A shell lets what it starts in the background ignore Ctrl-C, and all its children with it: the
# programs that a test stops with Ctrl-C would run for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

choose_backend(quiet=True)
bypass_proxies_for_loopback()

# Where JAX is installed, TensorFlow and bm25s import it, and it sets the log level of TensorFlow,
# also for the programs that a test starts. After this first import it does so no more.
with mock.patch.dict(os.environ), suppress(ImportError):
    import_module("jax")
