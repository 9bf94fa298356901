"""The lock files agree with pyproject.toml, and every platform can install them."""

import ast
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import locks
from tools.locks import Pin

ROOT = Path(__file__).parent.parent
LOCK, MAC = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("requirements.txt", "requirements-mac.txt")
)

# ---- the files of the project --------------------------------------------------------------------


def test_the_lock_files_agree_with_pyproject():
    assert locks.disagreements(locks.parse(LOCK), locks.parse(MAC), locks.direct()) == []


def test_no_address_is_written_into_the_locks():
    assert "://" not in LOCK + MAC


@pytest.mark.parametrize(
    ("platform", "python", "name", "version"),
    [
        ("darwin-x86_64", "3.11.9", "tensorflow", ["2.16.2"]),
        ("darwin-x86_64", "3.11.9", "numpy", ["1.26.4"]),
        ("win32-AMD64", "3.12.9", "tensorflow-text", None),
        ("linux-aarch64", "3.13.9", "appnope", None),
    ],
)
def test_the_markers_say_which_platform_gets_what(platform, python, name, version):
    pins = locks.pins_for(locks.parse(LOCK), locks.environment(platform, python))
    assert pins.get(name) == version


def test_apple_silicon_gets_a_current_tensorflow():
    pins = locks.pins_for(locks.parse(MAC), locks.environment("darwin-arm64", "3.11.9"))
    intel = locks.pins_for(locks.parse(MAC), locks.environment("darwin-x86_64", "3.11.9"))
    assert pins["tensorflow"] > ["2.20"] > intel["tensorflow"]
    assert pins["keras-nlp"] == intel["keras-nlp"]


def test_every_marker_in_the_macs_file_is_explained():
    comments = " ".join(line for line in MAC.splitlines() if line.startswith("#"))
    for marker in {pin.marker for pin in locks.parse(MAC)} - {""}:
        for part in marker.replace("(", "").replace(")", "").split(" and "):
            assert part in comments or "python_full_version" in part


def test_what_we_import_is_declared():
    distributions = importlib.metadata.packages_distributions()
    groups = locks.direct()
    base = {canonicalize_name(item.name) for item in groups["base"]}
    dev = base | {canonicalize_name(item.name) for item in groups["dev"]}
    cluster = base | {canonicalize_name(item.name) for item in groups["cluster"]}
    for folder, declared in {"codes": base, "utils": base, "tools": dev, "tests": dev}.items():
        ours = {"utils", "tools", "benchmarks"}
        ours |= {path.stem for path in (ROOT / folder).glob("*.py")}
        for path in (ROOT / folder).rglob("*.py"):
            known = declared
            if path.parent == ROOT / "utils" / "distributed":
                known = cluster  # `python -m utils.cluster` asks for this extra
            for module in imported(path) - ours - sys.stdlib_module_names:
                names = {canonicalize_name(name) for name in distributions.get(module, [module])}
                assert names & known, f"{path.name} imports {module}: add it to pyproject.toml"


def imported(path):
    """The first names of the modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def test_the_pins_of_one_platform_can_be_printed(capsys):
    assert locks.main(["--as", "darwin-x86_64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "tensorflow==2.16.2" in lines
    assert len(lines) == len({line.partition("==")[0] for line in lines})
    assert not [line for line in lines if ";" in line or "#" in line]


# ---- what --check reports ------------------------------------------------------------------------

GROUPS = {
    "base": [Requirement("numpy>=1.26"), Requirement("appnope ; sys_platform == 'darwin'")],
    "dev": [Requirement("pytest>=8")],
}
SOUND = """\
appnope==1.0.0 ; sys_platform == 'darwin'  # via from-a-line-to-gpt (pyproject.toml)
numpy==1.26.4 ; sys_platform == 'darwin'  # via from-a-line-to-gpt (pyproject.toml)
numpy==2.4.6 ; sys_platform != 'darwin'  # via from-a-line-to-gpt (pyproject.toml)
pytest==9.2.0  # via from-a-line-to-gpt (pyproject.toml)
"""
SOUND_MAC = "\n".join(line for line in SOUND.splitlines() if "pytest" not in line)


def test_files_that_agree_have_nothing_to_report():
    assert locks.disagreements(locks.parse(SOUND), locks.parse(SOUND_MAC), GROUPS) == []


@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        ("pytest==9.2.0", "pytest==7.0.0", "pytest>=8 is required on darwin x86_64, Python 3.11"),
        ("pytest==9.2.0", "other==9.2.0", "other is no longer in pyproject.toml"),
        ("pytest==9.2.0", "other==9.2.0", "but nothing is pinned"),
        ("sys_platform == 'darwin'", "sys_platform == 'linux'", "numpy has several pins on linux"),
        ("numpy==1.26.4", "numpy==1.27.0", "numpy is not pinned as in requirements.txt"),
    ],
)
def test_a_lock_that_does_not_agree_is_told(written, instead, told):
    lock = locks.parse(SOUND.replace(written, instead))
    problems = locks.disagreements(lock, locks.parse(SOUND_MAC), GROUPS)
    assert told in "\n".join(problems)


def test_a_macs_file_that_lacks_something_is_told():
    mac = locks.parse(SOUND_MAC.replace("appnope", "other"))
    problems = locks.disagreements(locks.parse(SOUND), mac, GROUPS)
    assert any(text.startswith("requirements-mac.txt: appnope") for text in problems)
    assert "requirements-mac.txt: other is not pinned as in requirements.txt" in problems


@pytest.mark.parametrize("line", ["numpy>=2", "numpy", "numpy @ https://example.org/numpy.whl"])
def test_a_line_that_is_not_pinned_is_refused(line):
    with pytest.raises(ValueError, match="not a pinned requirement"):
        locks.parse(line)


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("sys_platform == 'darwin' or sys_platform == 'linux' or sys_platform == 'win32'", ""),
        ("sys_platform == 'linux' or platform_machine == 'arm64'", locks.READABLE_MARKERS[-1]),
        (
            "python_full_version < '3.12' and sys_platform != 'nothing'",
            "python_full_version < '3.12'",
        ),
        ("sys_platform == 'linux' and platform_machine == 'x86_64'", None),
    ],
)
def test_a_marker_is_shortened_without_changing_what_it_selects(long, short):
    pin = locks.simplify(Pin("name", "1", long, ""))
    assert pin.marker == (long if short is None else short)


# ---- can every platform install them? ------------------------------------------------------------

TARGETS = {
    "darwin-x86_64": "x86_64-apple-darwin",
    "darwin-arm64": "aarch64-apple-darwin",
    "linux-x86_64": "x86_64-manylinux_2_28",
    "linux-aarch64": "aarch64-manylinux_2_28",
}
INSTALLS = [
    ("requirements-mac.txt", "darwin-x86_64", "3.11.9"),
    ("requirements-mac.txt", "darwin-arm64", "3.11.9"),
    ("requirements.txt", "darwin-x86_64", "3.11.9"),
    ("requirements.txt", "darwin-arm64", "3.11.9"),
    ("requirements.txt", "darwin-arm64", "3.13.9"),
    ("requirements.txt", "linux-x86_64", "3.11.9"),
    ("requirements.txt", "linux-x86_64", "3.13.9"),
    ("requirements.txt", "linux-aarch64", "3.11.9"),
]


def uv_compile(folder, text, *options):
    """Let uv resolve requirements from wheels alone, but for what is published as source only."""
    path = folder / "requirements.in"
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "uv", "pip", "compile", path, "--only-binary", ":all:"]
    command += [word for name in locks.SOURCE_ONLY for word in ("--no-binary", name)]
    command += ["--no-header", "--no-annotate", "--no-config", *options]
    environ = {**os.environ, "UV_HTTP_RETRIES": "0"}
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Skip where packages cannot be looked up at all."""
    done = uv_compile(tmp_path_factory.mktemp("probe"), "packaging")
    if done.returncode:
        pytest.skip("no network: which wheels exist can only be asked of a package registry")


@pytest.mark.parametrize(("file", "platform", "python"), INSTALLS)
def test_every_platform_can_install_it_from_wheels_alone(
    registry, tmp_path, file, platform, python
):
    pins = locks.parse((ROOT / file).read_text(encoding="utf-8"))
    options = ["--python-platform", TARGETS[platform], "--python-version", python]
    done = uv_compile(tmp_path, "\n".join(map(str, pins)), *options)
    assert done.returncode == 0, done.stderr
    # Nothing but the pins: were a dependency missing from the file, uv would have added it.
    env = locks.environment(platform, python)
    expected = [f"{pin.name}=={pin.version}" for pin in pins if pin.applies(env)]
    assert sorted(done.stdout.split()) == sorted(expected)


def test_an_intel_mac_has_no_wheels_beyond_python_3_11(registry, tmp_path):
    """Why the doctor refuses 3.12 there; when this fails, it need not do so any more."""
    options = ["--python-platform", "x86_64-apple-darwin", "--python-version", "3.12"]
    done = uv_compile(tmp_path, "tensorflow-text>=2.16", *options)
    assert done.returncode != 0
    assert "tensorflow-text" in done.stderr
