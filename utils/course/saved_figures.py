"""A Matplotlib backend for scripts: `plt.show()` saves each figure and prints where.

Matplotlib loads it by name, `MPLBACKEND=module://utils.course.saved_figures`, which `settings` sets
for every lesson that runs as a script without `--show`.
"""

import itertools
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

from utils.errors import CourseError

_numbers = itertools.count(1)


class FigureManager(FigureManagerBase):
    """Saves instead of showing."""

    @classmethod
    def pyplot_show(cls, *, block=None) -> None:
        """Save every open figure as outputs/SCRIPT-N.png, print its path and close it."""
        for number in plt.get_fignums():
            path = Path("outputs", f"{Path(sys.argv[0]).stem}-{next(_numbers)}.png")
            try:
                path.parent.mkdir(exist_ok=True)
                plt.figure(number).savefig(path)
            except OSError as error:
                raise CourseError(
                    f"Cannot save a figure as {path.absolute()} ({error.strerror}); "
                    "run the lesson in a folder that you can write to."
                ) from error
            plt.close(number)
            print(f"figure saved: {path}")


class FigureCanvas(FigureCanvasAgg):
    """Draws without a screen."""

    manager_class = FigureManager
