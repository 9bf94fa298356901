"""Can several processes train together here? Light to import."""

import sys
from importlib.metadata import PackageNotFoundError, version

from packaging.version import Version

OLDEST_JAX = Version("0.8")  # with which Keras 3.15 trains in several processes


def jax_problem() -> str | None:
    """Why processes cannot train together with the JAX that is installed; None if they can."""
    try:
        found = Version(version("jax"))
    except PackageNotFoundError:
        return (
            "Training in several processes needs JAX, which is not installed: run python -m pip"
            " install -c requirements.txt -e '.[cluster]' in the folder of the course."
        )
    if found < OLDEST_JAX:
        return (
            f"Training in several processes needs JAX {OLDEST_JAX} or newer, and this is {found},"
            " the newest that an Intel Mac can have: use Linux, or a Mac with Apple Silicon."
        )
    if sys.platform == "win32":
        return (
            "On Windows the processes cannot reach each other, because JAX has no Gloo there: use"
            " Linux, such as WSL, or macOS."
        )
    return None
