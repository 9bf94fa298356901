"""The file of results that a benchmark writes, and the flags of all benchmarks that have one.

    args = command(__doc__, FILE).parse_args()
    results = Results(args.out, args.again)
    results.run("Muon", {"rate": 0.02}, make, line)     # only if the file does not have it

Each run is written when it is complete, so a command that was stopped goes on where it was.
"""

import argparse
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from utils.command_line import any_path
from utils.errors import CourseError
from utils.files import atomic_write

LIBRARIES = ("keras", "keras-hub", "tensorflow", "numpy")

Line = Callable[[str, dict], str]  # what to print of a run, from its name and what it is


class Results:
    """Runs by name, each with its setting and what was measured, and facts about all of them.

    Args:
        path: the file; it need not be there yet.
        again: whether to begin from nothing.

    Raises:
        CourseError: if the file is damaged.
    """

    def __init__(self, path: Path, again: bool = False):
        self.path, self.versions = path, {name: version(name) for name in LIBRARIES}
        self.data: dict = {"versions": self.versions, "runs": {}}
        if path.is_file() and not again:
            try:
                self.data |= json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                raise CourseError(f"{path} is damaged: restore it, or give --again.") from None

    def check_versions(self) -> None:
        """Raise CourseError if other versions have made the file: runs of two are not compared."""
        if self.data["versions"] != self.versions:
            made = " and ".join(
                f"{name} {self.data['versions'].get(name)}, not {number}"
                for name, number in self.versions.items()
                if self.data["versions"].get(name) != number
            )
            raise CourseError(
                f"{self.path} was made with {made}: give --out another file, or --again to make all"
                " its runs anew."
            )

    def run(self, name: str, setting: dict, make: Callable[[], dict], line: Line) -> dict:
        """A run with this setting, from the file if it is there; else it is made and written.

        Raises:
            CourseError: if other versions have made the file.
        """
        self.check_versions()
        made = self.data["runs"].get(name)
        if made is None or made["setting"] != setting:
            made = self.data["runs"][name] = {"setting": setting} | make()
            self.save()
            print(line(name, made), flush=True)
        return made

    def show(self, line: Line) -> None:
        """Print all runs."""
        for name, made in self.data["runs"].items():
            print(line(name, made))

    def save(self) -> None:
        """Write the file, all of it or nothing."""
        self.check_versions()
        write(self.path, self.data)


def write(path: Path, data: dict) -> None:
    """Write a file of results, one run on a line, all of it or nothing."""
    runs = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(run)}" for name, run in data["runs"].items()
    )
    rest = json.dumps({name: value for name, value in data.items() if name != "runs"})
    with atomic_write(path, cannot_write) as part:
        part.write_text(f'{rest[:-1]}, "runs": {{\n{runs}\n}}}}\n', encoding="utf-8")


def cannot_write(path: Path, error: OSError) -> CourseError:
    """What to raise where the file cannot be written."""
    return CourseError(f"{path} cannot be written ({error.strerror or error}): give --out another.")


def command(description: str | None, file: Path) -> argparse.ArgumentParser:
    """The command line of a benchmark whose results are in `file` unless told otherwise."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="list the runs of the file")
    parser.add_argument("--again", action="store_true", help="make all runs anew")
    parser.add_argument("--out", type=any_path(), default=file, help="the file of results")
    return parser
