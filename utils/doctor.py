"""Is this machine ready for the lessons?  `python -m utils.doctor` says so, check by check.

Each check is a function of the facts it judges, so that a test can ask about machines we do not
have. It returns a Finding: fine or not, what was found, and what to do. Exit code: 0 when the
machine is ready, 1 when something must be done.
"""

import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from utils.python_version import OLDEST, python_problem, under_rosetta

if sys.version_info < OLDEST:
    raise SystemExit(python_problem(sys.version_info[:3], platform.system(), platform.machine()))

import tomllib

try:
    import psutil
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    from packaging.version import Version

    from utils.data.downloads import DOWNLOADS
except ModuleNotFoundError as error:  # the doctor in another Python than that of the course
    raise SystemExit(
        f"{error.name} is not installed in this Python, {sys.executable}: activate the environment"
        " of the course, or run: python -m pip install -c requirements.txt -e ."
    ) from None

from utils.command_line import OneSentenceParser, run
from utils.keras_backend import choose_backend, keras_json, keras_json_problem, overridden
from utils.paths import REPOSITORY, checkpoints_dir, data_dir
from utils.quiet import import_tensorflow, stderr_held_back

GIB = 1 << 30  # bytes
MEMORY_NEEDED, DISK_NEEDED = 2 * GIB, 1 * GIB  # for the longest training, and for what it saves

INSTALL = "python -m pip install -c requirements.txt -e ."
NO_TEXT_NEEDED = "not there; no lesson needs it on Windows"


class Finding(NamedTuple):
    """What one check found. `remedy` is a sentence that says what to do, empty when all is well."""

    name: str
    detail: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        return not self.remedy

    def __str__(self) -> str:
        line = f"{'ok' if self.ok else 'problem':8} {self.name}: {self.detail}"
        return line if self.ok else f"{line}\n         {self.remedy}"


class Machine(NamedTuple):
    """The computer and its Python, in the words of the module `platform`."""

    system: str  # "Darwin", "Linux", "Windows"
    machine: str  # "x86_64", "arm64", "aarch64", "AMD64"
    python: tuple[int, ...]  # (3, 11, 9)
    rosetta: bool = False  # an Intel Python, translated on Apple Silicon


def this_machine() -> Machine:
    """The machine this runs on."""
    python = tuple(sys.version_info[:3])
    return Machine(platform.system(), platform.machine(), python, under_rosetta())


# ---- the machine ---------------------------------------------------------------------------------


def check_python(machine: Machine) -> Finding:
    """Is it a Python for which TensorFlow and the other packages exist?"""
    version = ".".join(map(str, machine.python))
    problem = python_problem(machine.python, machine.system, machine.machine, machine.rosetta)
    return Finding("Python", version, problem or "")


def check_platform(machine: Machine) -> Finding:
    """Is it a computer that TensorFlow is made for?"""
    known = {
        ("Darwin", "arm64"): "Mac with Apple Silicon",
        ("Darwin", "x86_64"): "Mac with Intel",
        ("Linux", "x86_64"): "Linux on Intel or AMD",
        ("Linux", "aarch64"): "Linux on ARM",
        ("Windows", "AMD64"): "Windows on Intel or AMD",
    }
    if machine.rosetta:
        return Finding("Computer", "Mac with Apple Silicon, seen through Rosetta")
    if name := known.get((machine.system, machine.machine)):
        return Finding("Computer", name)
    remedy = "TensorFlow has no packages for it: use a 64-bit Mac, Linux or Windows, or Colab."
    return Finding("Computer", f"{machine.system} on {machine.machine}", remedy)


def check_cpu(machine: Machine, features: set[str] | None) -> Finding:
    """Does the processor have AVX, which TensorFlow's Intel packages are compiled for?

    Args:
        machine: the computer.
        features: the features of the processor, in lower case; None if they are not known.
    """
    if machine.machine not in ("x86_64", "AMD64") or machine.rosetta:
        return Finding("Processor", "ARM, which needs nothing special")
    if features is None:
        return Finding("Processor", "this system does not list its features")
    if any(feature.startswith("avx") for feature in features):
        return Finding("Processor", "has AVX")
    remedy = (
        "TensorFlow needs AVX: in a virtual machine pass the host's processor on, else use Colab."
    )
    return Finding("Processor", "has no AVX", remedy)


def cpu_features(machine: Machine) -> set[str] | None:
    """The features of the processor, in lower case; None where the system does not list them."""
    try:
        if machine.system == "Linux":
            text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
            found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
            return set(found[1].lower().split()) if found else None
        if machine.system == "Darwin":
            text = subprocess.check_output(["sysctl", "-n", "machdep.cpu.features"], text=True)
            return set(text.lower().split())
    except (OSError, subprocess.CalledProcessError):
        return None
    return None


def check_memory(available: int, total: int) -> Finding:
    """Is enough memory free for the longest training? Both arguments are in bytes."""
    detail = f"{available / GIB:.1f} GiB free of {total / GIB:.1f} GiB"
    remedy = "Close other programs, or training will be slow or stopped by the system."
    return Finding("Memory", detail, remedy if available < MEMORY_NEEDED else "")


def check_disk(free: int) -> Finding:
    """Is there room for checkpoints and data? `free` is in bytes."""
    remedy = f"Make room: the lessons want {DISK_NEEDED / GIB:.0f} GiB for data and checkpoints."
    return Finding("Disk", f"{free / GIB:.1f} GiB free", remedy if free < DISK_NEEDED else "")


def check_folder(name: str, folder: Path, may_be_shared: bool = False) -> Finding:
    """Can files be written there? The folder is created if it is missing.

    Args:
        name: what the folder is for.
        folder: its path.
        may_be_shared: whether a folder that can only be read is fine, such as one that a workshop
            has filled beforehand.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if may_be_shared and os.path.isdir(folder):
            return Finding(name, f"{folder} can be read, but nothing can be added to it")
        remedy = f"Nothing can be written there ({error.strerror}): change its permissions."
        return Finding(name, str(folder), remedy)
    return Finding(name, f"{folder} can be written to")


# ---- the packages --------------------------------------------------------------------------------


def installed_versions() -> dict[str, str]:
    """The version of every package that is installed in this Python, by its name."""
    return {
        canonicalize_name(name): package.version
        for package in metadata.distributions()
        if (name := package.metadata["Name"])  # an interrupted pip leaves folders without one
    }


def required() -> list[Requirement]:
    """What pyproject.toml says a lesson needs."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in project["dependencies"]]


def pinned() -> dict[str, str]:
    """The versions in requirements.txt for this machine, by the name of the package."""
    lines = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.partition("#")[0]) for line in lines if line and line[0] != "#"]
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def check_versions(
    installed: Mapping[str, str], required: Sequence[Requirement], pinned: Mapping[str, str]
) -> Finding:
    """Are the packages of the lessons there, in versions that work?

    Versions inside the ranges of pyproject.toml are fine; those that differ from
    requirements.txt are named, because a lesson's numbers may then differ a little.
    """
    here = [item for item in required if item.marker is None or item.marker.evaluate()]
    names = [canonicalize_name(item.name) for item in here]
    missing = [name for name in names if name not in installed]
    if missing:
        return Finding("Packages", f"{', '.join(missing)} not installed", f"Run: {INSTALL}")
    wrong = [
        f"{item.name} {installed[name]} (needs {item.specifier})"
        for item, name in zip(here, names, strict=True)
        if not item.specifier.contains(installed[name], prereleases=True)
    ]
    if wrong:
        return Finding("Packages", ", ".join(wrong), f"Run: {INSTALL}")
    others = [name for name in names if installed[name] != pinned.get(name)]
    versions = ", ".join(
        f"{name} {installed[name]} (tested: {pinned.get(name)})" for name in others
    )
    return Finding("Packages", versions or f"all {len(names)} as in requirements.txt")


def check_leftovers(installed: Mapping[str, str]) -> Finding:
    """Is there something from an older tutorial that gets in TensorFlow's way?"""
    unwanted = [name for name in ("tensorflow-macos", "tensorflow-metal") if name in installed]
    if unwanted:
        remedy = (
            "They are superseded, `tensorflow` itself runs on every Mac: run "
            f"`python -m pip uninstall {' '.join(unwanted)}`, then `{INSTALL}`."
        )
        return Finding("Leftovers", ", ".join(unwanted), remedy)
    keras = Version(installed.get("keras", "3"))
    if keras < Version("3"):
        return Finding("Leftovers", f"Keras {keras}", f"The lessons need Keras 3, run: {INSTALL}")
    return Finding("Leftovers", "nothing from an older set-up")


def check_backend(environ: Mapping[str, str], settings: Mapping[str, Any]) -> Finding:
    """Can Keras start, and which settings of other projects does the course override?

    Args:
        environ: the environment variables.
        settings: the contents of ~/.keras/keras.json.
    """
    if problem := keras_json_problem(settings):
        return Finding("Backend", "Keras cannot start", problem)
    ignored = " and ".join(overridden(environ, settings))
    note = f" (the course ignores {ignored})" if ignored else ""
    return Finding("Backend", f"Keras on TensorFlow with float32{note}")


def import_error(module: str) -> str:
    """Import a module; return the first line of the error, empty if there was none."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with stderr_held_back():
        try:
            importlib.import_module(module)
        except Exception as error:  # compiled modules fail in many ways, and each must be told
            return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def check_import(module: str, error: str) -> Finding:
    """Can a module be imported? `error` is what `import_error(module)` says."""
    remedy = (
        f"Install it again: python -m pip install --force-reinstall -c requirements.txt {module}"
    )
    return Finding(module, error or "can be imported", remedy if error else "")


def check_tensorflow_text(machine: Machine, error: str) -> Finding:
    """Is tensorflow-text there? There is none for Windows, and the lessons do without."""
    if machine.system == "Windows" and error:
        return Finding("tensorflow_text", NO_TEXT_NEEDED)
    return check_import("tensorflow_text", error)


# ---- the first computation -----------------------------------------------------------------------


def devices() -> list[str]:
    """The devices that TensorFlow can compute on, such as ["CPU:0"]."""
    import_tensorflow()
    import tensorflow as tf

    return [
        device.name.removeprefix("/physical_device:")
        for device in tf.config.list_physical_devices()
    ]


def check_devices(found: Sequence[str]) -> Finding:
    """What can TensorFlow compute on? A processor is enough for every lesson."""
    gpu = any(name.startswith("GPU") for name in found)
    note = "TensorFlow uses the GPU" if gpu else "TensorFlow sees no GPU, and no lesson needs one"
    return Finding("Devices", f"{', '.join(found)} ({note})")


def random_sum() -> float:
    """The sum of a million draws from a normal distribution, computed by TensorFlow."""
    import_tensorflow()
    import tensorflow as tf

    return float(tf.reduce_sum(tf.random.normal([1000, 1000])))


def check_sum(value: float) -> Finding:
    """Does TensorFlow compute? The sum has the mean 0 and the standard deviation 1000."""
    detail = f"tf.reduce_sum(tf.random.normal([1000, 1000])) = {value:.1f}"
    plausible = 0 < abs(value) < 10_000  # ten standard deviations; never true for NaN
    return Finding("Computing", detail, "" if plausible else f"That is wrong, run: {INSTALL}")


# ---- data and network ----------------------------------------------------------------------------


def check_downloads(present: Mapping[str, bool]) -> Finding:
    """Which optional downloads are here? None is needed to begin.

    Args:
        present: whether a download is here, by its name.
    """
    missing = [name for name, here in present.items() if not here]
    if not missing:
        return Finding("Data", "every optional download is here")
    return Finding("Data", f"{', '.join(missing)} not fetched; optional, `make data` fetches all")


def check_proxy(environ: Mapping[str, str]) -> Finding:
    """Which proxy do downloads use? Requests to this machine never use one.

    Args:
        environ: the environment variables.
    """
    names = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")
    name = next((name for name in names if environ.get(name)), None)
    if name is None:
        return Finding("Network", "no proxy set; once installed, the lessons need no network")
    address = urlsplit(environ[name])
    if not address.hostname:
        remedy = f"Write it as http://HOST:PORT, or run: unset {name}"
        return Finding("Network", f"{name} is no address", remedy)
    if name.upper() == "HTTP_PROXY":
        return Finding("Network", f"{name} is set, but downloads use HTTPS and need HTTPS_PROXY")
    detail = f"downloads go through {address.hostname} ({name}), requests to this machine do not"
    return Finding("Network", detail)


# ---- all together --------------------------------------------------------------------------------


def machine_checks(machine: Machine) -> Iterator[Finding]:
    """The checks that need no TensorFlow."""
    yield check_python(machine)
    yield check_platform(machine)
    yield check_cpu(machine, cpu_features(machine))
    memory = psutil.virtual_memory()
    yield check_memory(memory.available, memory.total)
    figures = check_folder("Figures", Path("outputs").absolute())
    data = check_folder("Data folder", data_dir(), may_be_shared=True)
    models = check_folder("Models", checkpoints_dir(), may_be_shared=True)
    places = [p for p in (REPOSITORY, data_dir(), checkpoints_dir()) if os.path.isdir(p)]
    yield check_disk(min(shutil.disk_usage(place).free for place in places))
    yield from (figures, data, models)
    downloads = {name: os.path.exists(data_dir() / entry.file) for name, entry in DOWNLOADS.items()}
    yield check_downloads(downloads)
    yield check_proxy(os.environ)


def package_checks(machine: Machine) -> Iterator[Finding]:
    """The checks of what is installed, and at the end, if all was well so far, of TensorFlow."""
    installed = installed_versions()
    looks = [
        check_versions(installed, required(), pinned()),
        check_leftovers(installed),
        check_backend(os.environ, keras_json()),
    ]
    yield from looks
    if not all(finding.ok for finding in looks):
        return
    choose_backend(quiet=True)  # the finding has said it
    first_import = check_import("tensorflow", import_error("tensorflow"))
    yield first_import
    if first_import.ok:
        yield check_tensorflow_text(machine, import_error("tensorflow_text"))
        yield check_import("keras_nlp", import_error("keras_nlp"))
        yield check_devices(devices())
        yield check_sum(random_sum())


def main(words: list[str] | None = None) -> int:
    """Print every finding; return 0 when the machine is ready, 1 when something must be done."""
    OneSentenceParser(prog="python -m utils.doctor", description=main.__doc__).parse_args(words)
    machine = this_machine()
    findings = []
    for checks in (machine_checks, package_checks):
        for finding in checks(machine):
            findings.append(finding)
            print(finding, flush=True)
    problems = sum(not finding.ok for finding in findings)
    print(f"{problems} to mend." if problems else "This machine is ready.")
    return 1 if problems else 0


if __name__ == "__main__":
    run(main)
