"""The settings of other projects do not change what the tests see."""

from utils.keras_backend import choose_backend
from utils.loopback import bypass_proxies_for_loopback

choose_backend(quiet=True)
bypass_proxies_for_loopback()
