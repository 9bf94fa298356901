"""Make the lock files from the ranges in pyproject.toml, or check that they agree with it.

    python -m tools.locks                      resolve, keeping the pins that still fit
    python -m tools.locks --upgrade            the same, with the newest version of everything
    python -m tools.locks --check              offline: do they agree with pyproject.toml?
    python -m tools.locks --as darwin-x86_64   print the pins that one platform installs

Resolving is uv's work (https://docs.astral.sh/uv/pip/compile/). Behind a mirror, name it in
UV_DEFAULT_INDEX; no address is ever written into the files.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from utils.paths import REPOSITORY

LOCK, MAC_LOCK = REPOSITORY / "requirements.txt", REPOSITORY / "requirements-mac.txt"

# What `sys_platform` and `platform_machine` are, on each platform the course supports.
PLATFORMS = {
    "darwin-x86_64": ("darwin", "x86_64"),
    "darwin-arm64": ("darwin", "arm64"),
    "linux-x86_64": ("linux", "x86_64"),
    "linux-aarch64": ("linux", "aarch64"),
    "win32-AMD64": ("win32", "AMD64"),
}
# Published without wheels. Allowed because it is pure Python, which pip builds anywhere.
SOURCE_ONLY = ("rouge-score",)
PYTHONS = ("3.11.0", "3.11.9", "3.12.9", "3.13.9")

INTEL = "sys_platform == 'darwin' and platform_machine == 'x86_64'"
NOT_INTEL = "(sys_platform != 'darwin' or platform_machine != 'x86_64')"
READABLE_MARKERS = (
    "",
    INTEL,
    NOT_INTEL,
    "sys_platform == 'darwin'",
    "sys_platform == 'win32'",
    "sys_platform != 'win32'",
    f"sys_platform != 'win32' and {NOT_INTEL}",
)

LOCK_HEADER = """\
# The exact version of everything, for every platform and for Python 3.11 to 3.13.
# Made from pyproject.toml by `python -m tools.locks`; don't edit it by hand.
# `make` installs with it:  pip install -c requirements.txt -e .
"""

MAC_HEADER = """\
# The exact versions for a Mac: one file for Intel and Apple Silicon. It works on Linux, too.
#
#     python3.11 -m venv .venv
#     .venv/bin/python -m pip install -r requirements-mac.txt
#
# Made from pyproject.toml by `python -m tools.locks`; don't edit it by hand. The pins are those
# of requirements.txt, without the tools that only the tests and the maintainers need.
#
# How to read the part after a semicolon: pip skips the line where it is not true.
#
#   sys_platform == 'darwin' and platform_machine == 'x86_64'
#       Only on an Intel Mac. TensorFlow 2.16.2 is the last one made for it, tensorflow-text 2.16.1
#       exists there up to Python 3.11, and both were compiled against NumPy 1. The other lines
#       with this marker are what that TensorFlow asks for.
#   sys_platform != 'darwin' or platform_machine != 'x86_64'
#       Everywhere else, and so on Apple Silicon: a current TensorFlow, with NumPy 2.
#   sys_platform == 'darwin'
#       Any Mac: a small package that only macOS has a use for.
#   sys_platform != 'win32'
#       Any Mac, and Linux: there is no tensorflow-text for Windows, and no Unix terminal.
#   python_full_version < '3.12' and the like
#       A package that one Python needs in another version, or not at all.
#
# Why is tensorflow-macos not here? Once it was the way to get TensorFlow on Apple Silicon, and
# many tutorials still say so. Today the package `tensorflow` itself comes with Apple Silicon
# wheels. The last tensorflow-macos, 2.16.2, is an empty package that pins TensorFlow to 2.16.2,
# for which Apple Silicon has no tensorflow-text; on an Intel Mac its last version, 2.12, brings
# back Keras 2, and the lessons need Keras 3. If you have it, remove it:
#
#     python -m pip uninstall tensorflow-macos tensorflow-metal
"""


class Pin(NamedTuple):
    """One line of a lock file: `name==version ; marker  # via those who ask for it`."""

    name: str
    version: str
    marker: str
    via: str

    def applies(self, environment: dict[str, str]) -> bool:
        return not self.marker or Marker(self.marker).evaluate(environment)

    def __str__(self) -> str:
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{self.name}=={self.version}{marker}"


def environment(platform: str, python: str) -> dict[str, str]:
    """What the markers of a lock file see on a platform with a Python version such as "3.11.9"."""
    sys_platform, machine = PLATFORMS[platform]
    return {
        "sys_platform": sys_platform,
        "platform_machine": machine,
        "platform_system": {"darwin": "Darwin", "linux": "Linux", "win32": "Windows"}[sys_platform],
        "os_name": "nt" if sys_platform == "win32" else "posix",
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def supported(*, windows: bool = True) -> list[dict[str, str]]:
    """Every environment the locks are made for. An Intel Mac is there with Python 3.11 alone.

    Windows is not among those of requirements-mac.txt.
    """
    return [
        environment(platform, python)
        for platform in PLATFORMS
        for python in PYTHONS
        if (platform != "darwin-x86_64" or python.startswith("3.11."))
        and (windows or not platform.startswith("win32"))
    ]


def parse(text: str) -> list[Pin]:
    """Read a lock file.

    Raises:
        ValueError: for a line that is not pinned with `==`.
    """
    pins = []
    for line in text.splitlines():
        requirement, _, comment = line.partition("#")
        if not requirement.strip() or requirement.strip() == "-e .":
            continue
        pin = re.fullmatch(r"([\w.-]+)==([\w.!+]+)(?: ; (.+))?", requirement.strip())
        if pin is None:
            raise ValueError(f"not a pinned requirement: {line}")
        name, version, marker = pin.groups(default="")
        via = comment.strip().removeprefix("via ").replace("-c (workspace), ", "")
        pins.append(Pin(canonicalize_name(name), version, marker, via))
    return pins


def simplify(pin: Pin) -> Pin:
    """Say the same with a short marker, where one selects the same environments."""
    wanted = [pin.applies(env) for env in supported()]
    python_bounds = re.findall(r"python_full_version (?:<|>=) '[\d.]+'", pin.marker)
    for python in ("", *dict.fromkeys(python_bounds)):
        for platform in READABLE_MARKERS:
            marker = " and ".join(part for part in (python, platform) if part)
            marker = marker[1:-1] if marker == NOT_INTEL else marker
            candidate = pin._replace(marker=marker)
            if [candidate.applies(env) for env in supported()] == wanted:
                return candidate
    return pin


def resolve(*options: str, known: str = "") -> list[Pin]:
    """Let uv choose the versions, from wheels (but for SOURCE_ONLY), for all platforms at once.

    Args:
        options: further options for `uv pip compile`.
        known: a lock file's text, whose versions are kept where they still fit.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "lock.txt")
        output.write_text(known, encoding="utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--universal"]
        command += ["--python-version", "3.11", "--only-binary", ":all:", "--quiet"]
        command += [word for name in SOURCE_ONLY for word in ("--no-binary", name)]
        command += ["--no-emit-index-url", "--no-header", "--annotation-style", "line"]
        done = subprocess.run(
            [*command, "--output-file", str(output), *options],
            cwd=REPOSITORY, capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"uv found no versions that fit pyproject.toml:\n{done.stderr}")
        return [simplify(pin) for pin in parse(output.read_text(encoding="utf-8"))]


def direct() -> dict[str, list[Requirement]]:
    """The requirements written in pyproject.toml: those of a lesson ("base"), and "dev"."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"base": project["dependencies"], **project["optional-dependencies"]}
    return {group: [Requirement(line) for line in lines] for group, lines in groups.items()}


def lock_text(pins: list[Pin]) -> str:
    """requirements.txt: one line a pin, each with who asked for it."""
    return LOCK_HEADER + "\n" + "".join(f"{pin}  # via {pin.via}\n" for pin in pins)


def mac_text(pins: list[Pin]) -> str:
    """requirements-mac.txt: what a lesson imports first, then what those packages bring along."""
    pins = [pin for pin in pins if any(pin.applies(env) for env in supported(windows=False))]
    named = {canonicalize_name(requirement.name) for requirement in direct()["base"]}
    sections = [
        ("This project itself, so that `import utils` works.", ["-e ."]),
        ("What the lessons use.", [str(pin) for pin in pins if pin.name in named]),
        ("What those packages need.", [str(pin) for pin in pins if pin.name not in named]),
    ]
    return MAC_HEADER + "".join(
        f"\n# {title}\n" + "\n".join(lines) + "\n" for title, lines in sections
    )


def write(upgrade: bool) -> None:
    """Resolve once for everything, then for a Mac's file within those pins."""
    known = LOCK.read_text(encoding="utf-8") if LOCK.exists() and not upgrade else ""
    extras = [word for extra in ("dev", "cluster", "documents") for word in ("--extra", extra)]
    LOCK.write_text(lock_text(resolve(*extras, known=known)), encoding="utf-8")
    MAC_LOCK.write_text(mac_text(resolve("--constraint", str(LOCK))), encoding="utf-8")


def pins_for(pins: list[Pin], env: dict[str, str]) -> dict[str, list[str]]:
    """Name → versions that pip is told to install there (one, in a sound lock)."""
    versions: dict[str, list[str]] = {}
    for pin in pins:
        if pin.applies(env):
            versions.setdefault(pin.name, []).append(pin.version)
    return versions


def disagreements(
    lock: list[Pin], mac: list[Pin], groups: dict[str, list[Requirement]]
) -> list[str]:
    """What is wrong with the lock files, a sentence each; empty when nothing is."""
    asked = [requirement for requirements in groups.values() for requirement in requirements]
    found = [f"requirements.txt: {problem}" for problem in orphans(lock, asked)]
    for env in supported():
        found += [f"requirements.txt: {problem}" for problem in unmet(asked, lock, env)]
    for env in supported(windows=False):
        found += [f"requirements-mac.txt: {problem}" for problem in unmet(groups["base"], mac, env)]
        found += [f"requirements-mac.txt: {problem}" for problem in strangers(mac, lock, env)]
    return list(dict.fromkeys(found))  # each sentence once


def unmet(requirements: list[Requirement], pins: list[Pin], env: dict[str, str]) -> list[str]:
    """Where the pins don't give an environment one version of each thing it requires."""
    where = f"on {env['sys_platform']} {env['platform_machine']}, Python {env['python_version']}"
    pinned = pins_for(pins, env)
    found = [f"{name} has several pins {where}" for name in pinned if len(pinned[name]) > 1]
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate(env):
            continue
        for version in pinned.get(canonicalize_name(requirement.name), ["nothing"]):
            if version == "nothing" or version not in requirement.specifier:
                found.append(f"{requirement} is required {where}, but {version} is pinned")
    return found


def strangers(mac: list[Pin], lock: list[Pin], env: dict[str, str]) -> list[str]:
    """Pins of the Mac's file that the whole lock has in another version, or not at all."""
    pinned = pins_for(lock, env)
    return [
        f"{name} is not pinned as in requirements.txt"
        for name, versions in pins_for(mac, env).items()
        if versions != pinned.get(name)
    ]


def orphans(lock: list[Pin], asked: list[Requirement]) -> list[str]:
    """Pins that pyproject.toml once asked for, and no longer does."""
    names = {canonicalize_name(requirement.name) for requirement in asked}
    return [
        f"{pin.name} is no longer in pyproject.toml"
        for pin in lock
        if pin.via == "from-a-line-to-gpt (pyproject.toml)" and pin.name not in names
    ]


def check() -> int:
    """Print what does not agree; 0 when everything does, else 1."""
    try:
        lock, mac = (parse(path.read_text(encoding="utf-8")) for path in (LOCK, MAC_LOCK))
    except (OSError, ValueError) as error:
        problems = [str(error)]
    else:
        problems = disagreements(lock, mac, direct())
    for problem in problems:
        print(problem)
    print("Run: python -m tools.locks" if problems else "The lock files agree with pyproject.toml.")
    return 1 if problems else 0


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.locks",
        description="Make the lock files from the ranges in pyproject.toml.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--upgrade", action="store_true", help="take the newest versions")
    what.add_argument("--check", action="store_true", help="only check, offline")
    what.add_argument("--as", dest="platform", choices=PLATFORMS, help="print one platform's pins")
    options = parser.parse_args(arguments)
    if options.check:
        return check()
    if options.platform:
        env = environment(options.platform, "3.11.9")
        pins = parse(LOCK.read_text(encoding="utf-8"))
        print("\n".join(f"{pin.name}=={pin.version}" for pin in pins if pin.applies(env)))
        return 0
    write(options.upgrade)
    return check()


if __name__ == "__main__":
    sys.exit(main())
