"""The backend and the number format of Keras: chosen here, before Keras is imported.

Other projects leave settings behind, in environment variables and in ~/.keras/keras.json. Those
that would change the results of the course are overridden, for its own processes only, and one
sentence on stderr says so.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from utils.errors import CourseError

NEEDED: dict[str, Any] = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
}
FLOATS = ("float16", "float32", "float64")  # for any other, Keras cannot be imported
# The first one switches tf.keras to Keras 2, the others end each training early.
UNWANTED = ("TF_USE_LEGACY_KERAS", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")
# The sentence has been said. Processes that this one starts inherit the variable and are silent.
SAID = "COURSE_KERAS_SETTINGS_SAID"


def keras_json_path() -> Path:
    """The settings file of Keras itself."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras"), "keras.json").expanduser()


def keras_json() -> dict[str, Any]:
    """The contents of that file; empty if there is none that can be read."""
    try:
        found = json.loads(keras_json_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keras_json_problem(settings: Mapping[str, Any]) -> str:
    """Why Keras cannot be imported with these settings and what to do; empty if it can.

    Args:
        settings: the contents of keras.json.
    """
    floatx, epsilon = settings.get("floatx", "float32"), settings.get("epsilon", 1e-7)
    if floatx in FLOATS and isinstance(epsilon, float):
        return ""
    return f"Keras cannot read {keras_json_path()}: delete that file, Keras writes a new one."


def overridden(
    environ: Mapping[str, str], settings: Mapping[str, Any], backend: str = "tensorflow"
) -> list[str]:
    """What other projects have set and the course does not use, each as a person would write it.

    Args:
        environ: the environment variables.
        settings: the contents of keras.json.
        backend: the one that is wanted.
    """
    unset = ("", "0", "false", "False")
    found = [f"{name}={environ[name]}" for name in UNWANTED if environ.get(name, "") not in unset]
    needed = dict(NEEDED)
    if chosen := environ.get("KERAS_BACKEND"):
        found += [f"KERAS_BACKEND={chosen}"] if chosen != backend else []
    else:  # then Keras takes it from the file, too
        needed["backend"] = backend
    others = [
        f"{name} {settings[name]}"
        for name, value in needed.items()
        if settings.get(name, value) != value
    ]
    return found + ([f"{', '.join(others)} in {keras_json_path()}"] if others else [])


def choose_backend(backend: str = "tensorflow", quiet: bool = False) -> None:
    """Make Keras use a backend, in this process and in those that it starts.

    Call it before TensorFlow or Keras is imported, and `use_float32` afterwards.

    Args:
        backend: "tensorflow" or "jax".
        quiet: whether to override settings without saying so.

    Raises:
        CourseError: if Keras has been imported with another backend, or cannot be imported.
    """
    if "keras" in sys.modules and (running := _running_backend()) != backend:
        raise CourseError(
            f"Keras already runs on {running} here, and this needs {backend}: restart the kernel"
            " (Kernel → Restart Kernel) and run the cells from the top."
        )
    settings = keras_json()
    if problem := keras_json_problem(settings):
        raise CourseError(problem)
    if ignored := " and ".join(overridden(os.environ, settings, backend)):
        if not quiet and SAID not in os.environ:
            print(
                f"The course runs Keras on {backend} in float32 and ignores {ignored}.",
                file=sys.stderr,
            )
        os.environ[SAID] = "1"
    os.environ["KERAS_BACKEND"] = backend
    for name in UNWANTED:
        os.environ.pop(name, None)


def use_float32() -> None:
    """Make Keras compute as the course needs it, whatever keras.json says."""
    import keras

    keras.config.set_floatx(NEEDED["floatx"])
    keras.config.set_epsilon(NEEDED["epsilon"])
    keras.config.set_image_data_format(NEEDED["image_data_format"])


def _running_backend() -> str:
    import keras

    return keras.config.backend()
