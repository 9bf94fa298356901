"""Can this Python run the lessons?  `python utils/python_version.py` says so, nothing installed.

The Makefile asks before it creates an environment. That is why this one file also runs on Pythons
that are too old for the lessons (from 3.6), and imports the standard library alone.
"""

import platform
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)

GET_PYTHON = {
    "Darwin": "install Python 3.11 (from python.org, or `brew install python@3.11`)",
    "Windows": "install the 64-bit Python 3.11 (from python.org)",
    "Linux": "install Python 3.11 (with your package manager, conda or uv)",
}


def python_problem(
    version: "tuple[int, ...]", system: str, machine: str, rosetta: bool = False
) -> "str | None":
    """Why a Python cannot run the lessons and what to do, in one sentence; None when it can.

    Args:
        version: the Python version, such as (3, 11, 9).
        system: the system as `platform.system()` says it: "Darwin", "Linux" or "Windows".
        machine: the processor as `platform.machine()` says it: "x86_64", "arm64", "aarch64",
            "AMD64".
        rosetta: whether an Apple Silicon Mac is translating an Intel Python.
    """
    name = f"Python {version[0]}.{version[1]}"
    install = GET_PYTHON.get(system, GET_PYTHON["Linux"])
    remedy = f"{install}, then name it: `make run PYTHON=python3.11`."
    if version[:2] < OLDEST:
        return f"{name} is too old, the lessons need 3.11, 3.12 or 3.13: {remedy}"
    if version[:2] > NEWEST:
        return f"{name} is too new, the lessons need 3.11, 3.12 or 3.13: {remedy}"
    if rosetta:
        remedy = remedy.replace("install", "install the Apple Silicon build of", 1)
        return f"This {name} is an Intel build, which Rosetta is translating: {remedy}"
    if system == "Darwin" and machine == "x86_64" and version[:2] > OLDEST:
        return f"{name} is too new for an Intel Mac, where tensorflow-text stops at 3.11: {remedy}"
    return None


def under_rosetta() -> bool:
    """Whether macOS is translating this process from Intel to Apple Silicon instructions."""
    if platform.system() != "Darwin":
        return False
    try:
        answer = subprocess.check_output(["sysctl", "-in", "sysctl.proc_translated"])
    except (OSError, subprocess.CalledProcessError):
        return False  # a Mac too old to know the question
    return answer.strip() == b"1"


def can_make_environments() -> bool:
    """Whether `python -m venv` works: Debian and Ubuntu ship Python without it."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return False
    return True


def main() -> int:
    """Print what is wrong with the Python that runs this; 0 when nothing is, else 1."""
    problem = python_problem(
        sys.version_info[:3], platform.system(), platform.machine(), under_rosetta()
    )
    if problem is None and not can_make_environments():
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        problem = f"This Python cannot create environments: `sudo apt install {package}`."
    if problem:
        print(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
