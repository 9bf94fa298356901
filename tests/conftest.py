"""The settings of other projects do not change what the tests see."""

import sqlite3  # noqa: F401  (before TensorFlow, which brings a smaller SQLite along)

from utils.keras_backend import choose_backend
from utils.loopback import bypass_proxies_for_loopback

choose_backend(quiet=True)
bypass_proxies_for_loopback()
