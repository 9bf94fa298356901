"""The settings of a lesson: one line that works in a notebook, in a script and in CI.

    args = settings(epochs=500, learning_rate=0.01)

In a notebook this is a namespace. In a script the same line also reads the command line:
`--epochs 10 --learning-rate 0.1`. Call it before Keras is imported: then `--help` is instant,
and TensorFlow starts without its log lines.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.command_line import OneSentenceParser
from utils.course.hyperparameters import OPTIONS, Hyperparameter
from utils.errors import CourseError, speak_plainly
from utils.loopback import bypass_proxies_for_loopback
from utils.quiet import import_tensorflow


class SettingError(CourseError):
    """A setting has a value that makes no sense."""


def in_notebook() -> bool:
    """True inside a Jupyter kernel, False in a script or a terminal."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


def settings(**defaults: object) -> argparse.Namespace:
    """Return the lesson's settings; in a script the command line overrides them.

    Args:
        defaults: `name=value`, every name an entry of `utils.course.hyperparameters.OPTIONS`. None
            stands for "not given", where the entry says what happens then.

    Raises:
        SettingError: in a notebook, for a value out of range. A script says the same sentence
            on stderr and exits with code 2.
    """
    if in_notebook():
        args = _checked(defaults)
    else:
        args = read_command_line(defaults, sys.argv[1:])
        _prepare_script(args.__dict__.pop("show"), args.__dict__.pop("data_dir"))
    bypass_proxies_for_loopback()
    import_tensorflow()
    return args


def read_command_line(defaults: dict[str, object], words: Sequence[str]) -> argparse.Namespace:
    """Parse `words`; a mistake prints one sentence and exits with code 2."""
    checked = vars(_checked(defaults))
    parser = OneSentenceParser(description=_title(Path(sys.argv[0])))
    for name, default in checked.items():
        option = OPTIONS[name]
        if isinstance(default, bool):
            parser.add_argument(_flag(name), action="store_true", help=option.meaning)
            continue
        parser.add_argument(
            _flag(name),
            type=option.values,
            default=default,
            metavar="VALUE",
            help=f"{option.meaning}: {option.values.expected} (default: {_shown(option, default)})",
        )
    parser.add_argument("--data-dir", metavar="DIR", help="folder of the data")
    parser.add_argument("--show", action="store_true", help="show figures in windows, not in files")
    return parser.parse_args(words)


def _checked(defaults: dict[str, object]) -> argparse.Namespace:
    """The values of the defaults, each converted as the text of a flag would be."""
    return argparse.Namespace(**{name: _value(name, given) for name, given in defaults.items()})


def _value(name: str, given: object) -> object:
    option = OPTIONS[name]
    if given is None and option.unset is not None:
        return None
    try:
        return option.values.convert(str(given))
    except ValueError:
        raise SettingError(f"{name} {option.values.complaint(given)}.") from None


def _shown(option: Hyperparameter, default: object) -> object:
    return option.unset if default is None else default


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _title(script: Path) -> str | None:
    """The lesson's title: the first Markdown heading in its script."""
    lines = script.read_text(encoding="utf-8").splitlines() if script.suffix == ".py" else []
    return next((line[4:] for line in lines if line.startswith("# # ")), None)


def _prepare_script(show: bool, data_dir: str | None) -> None:
    """What a notebook has by itself: figures that appear, UTF-8 text, short error messages."""
    speak_plainly()
    if data_dir:
        os.environ["COURSE_DATA"] = os.path.abspath(os.path.expanduser(data_dir))
    if not show:
        os.environ["MPLBACKEND"] = "module://utils.course.saved_figures"
