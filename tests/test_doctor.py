"""The doctor's verdicts, also on machines that we do not have."""

import errno
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from utils import doctor
from utils.doctor import Machine
from utils.python_version import python_problem

ROOT = Path(__file__).parent.parent
INTEL_MAC = Machine("Darwin", "x86_64", (3, 11, 9))
APPLE_SILICON = Machine("Darwin", "arm64", (3, 13, 1))
TRANSLATED = Machine("Darwin", "x86_64", (3, 11, 9), rosetta=True)
LINUX = Machine("Linux", "x86_64", (3, 12, 3))
WINDOWS = Machine("Windows", "AMD64", (3, 11, 9))


@pytest.mark.parametrize("machine", [INTEL_MAC, APPLE_SILICON, LINUX, WINDOWS])
def test_a_supported_machine_is_fine(machine):
    assert doctor.check_python(machine).ok
    assert doctor.check_platform(machine).ok


@pytest.mark.parametrize(
    ("version", "system", "machine", "rosetta", "told"),
    [
        ((3, 9, 18), "Darwin", "arm64", False, "Python 3.9 is too old"),
        ((3, 10, 0), "Linux", "x86_64", False, "Python 3.10 is too old"),
        ((3, 14, 0), "Linux", "aarch64", False, "Python 3.14 is too new"),
        ((4, 0, 0), "Windows", "AMD64", False, "Python 4.0 is too new"),
        ((3, 12, 0), "Darwin", "x86_64", False, "Python 3.12 is too new for an Intel Mac"),
        ((3, 11, 0), "Darwin", "x86_64", True, "Intel build, which Rosetta is translating"),
    ],
)
def test_a_python_that_does_not_fit_is_told_with_the_remedy(
    version, system, machine, rosetta, told
):
    problem = python_problem(version, system, machine, rosetta)
    assert told in problem
    assert "Python 3.11" in problem.partition(": ")[2]
    assert "make run PYTHON=" in problem
    assert "\n" not in problem


def test_the_way_to_get_python_is_the_systems_own():
    assert "brew" in python_problem((3, 9), "Darwin", "arm64")
    assert "brew" not in python_problem((3, 9), "Linux", "x86_64")
    assert "Apple Silicon build of Python" in python_problem((3, 11), "Darwin", "x86_64", True)


def test_the_range_of_pythons_is_that_of_the_project():
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.11,<3.14"' in pyproject
    judged = {minor: python_problem((3, minor), "Linux", "x86_64") for minor in range(8, 17)}
    assert [minor for minor, problem in judged.items() if problem is None] == [11, 12, 13]


def test_the_makefile_can_ask_a_python_with_nothing_installed():
    command = [sys.executable, "-I", "-S", ROOT / "utils" / "python_version.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_unknown_computer_is_told():
    finding = doctor.check_platform(Machine("Linux", "i686", (3, 11, 0)))
    assert "i686" in finding.detail
    assert "64-bit" in finding.remedy
    assert "Rosetta" in doctor.check_platform(TRANSLATED).detail


@pytest.mark.parametrize(
    ("machine", "features", "ok"),
    [
        (LINUX, {"sse2", "avx", "avx2"}, True),
        (INTEL_MAC, {"sse4.2", "avx1.0"}, True),
        (LINUX, {"sse2"}, False),
        (WINDOWS, None, True),
        (APPLE_SILICON, set(), True),
    ],
)
def test_an_intel_processor_needs_avx(machine, features, ok):
    assert doctor.check_cpu(machine, features).ok is ok


def test_little_memory_and_a_full_disk_are_told():
    assert doctor.check_memory(available=8 * doctor.GIB, total=16 * doctor.GIB).ok
    finding = doctor.check_memory(available=doctor.GIB // 2, total=4 * doctor.GIB)
    assert finding.detail == "0.5 GiB free of 4.0 GiB"
    assert "Close other programs" in finding.remedy
    assert doctor.check_disk(free=5 * doctor.GIB).ok
    assert "Make room" in doctor.check_disk(free=doctor.GIB // 3).remedy


def test_a_folder_is_created_and_left_empty(tmp_path):
    assert doctor.check_folder("Figures", tmp_path / "a" / "outputs").ok
    assert list((tmp_path / "a" / "outputs").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    finding = doctor.check_folder("Figures", tmp_path / "file" / "outputs")
    assert "Nothing can be written" in finding.remedy


def test_a_data_folder_that_can_only_be_read_is_fine(tmp_path, monkeypatch):
    def refuse(dir):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert not doctor.check_folder("Figures", tmp_path).ok
    assert doctor.check_folder("Data folder", tmp_path, may_be_shared=True).ok


def test_a_data_folder_that_cannot_even_be_looked_at_is_told(tmp_path, monkeypatch):
    closed, stat, mkdir = str(tmp_path / "closed"), os.stat, os.mkdir

    def refused(real):
        def call(path, *args, **options):
            if str(path).startswith(closed):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return real(path, *args, **options)

        return call

    monkeypatch.setattr("os.stat", refused(stat))
    monkeypatch.setattr("os.mkdir", refused(mkdir))
    monkeypatch.setenv("COURSE_DATA", str(Path(closed, "data")))
    monkeypatch.chdir(tmp_path)  # where the folder of the figures is made
    findings = {finding.name: finding for finding in doctor.machine_checks(LINUX)}
    assert "Nothing can be written there" in findings["Data folder"].remedy
    assert "not fetched" in findings["Data"].detail


REQUIRED = [
    Requirement("tensorflow>=2.16.2"),
    Requirement("keras>=3.15"),
    Requirement("appnope ; sys_platform == 'no such system'"),
]
PINNED = {"tensorflow": "2.21.0", "keras": "3.15.1"}


@pytest.mark.parametrize(
    ("installed", "told", "ok"),
    [
        (PINNED, "all 2 as in requirements.txt", True),
        ({**PINNED, "tensorflow": "2.22.0"}, "tensorflow 2.22.0 (tested: 2.21.0)", True),
        ({**PINNED, "keras": "2.12.0"}, "keras 2.12.0 (needs >=3.15)", False),
        ({"keras": "3.15.1"}, "tensorflow not installed", False),
    ],
)
def test_versions(installed, told, ok):
    finding = doctor.check_versions(installed, REQUIRED, PINNED)
    assert finding.detail == told
    assert finding.ok is ok
    assert ok or "pip install" in finding.remedy


def test_what_is_installed_here_is_found_in_the_projects_files():
    assert doctor.check_versions(doctor.installed_versions(), doctor.required(), doctor.pinned()).ok


def test_what_an_interrupted_installation_has_left_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "~eras-3.0.dist-info").mkdir()
    (tmp_path / "~eras-3.0.dist-info" / "METADATA").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert "keras" in doctor.installed_versions()


def test_leftovers_of_older_tutorials_are_named():
    assert doctor.check_leftovers({"keras": "3.15.1", "tensorflow": "2.21.0"}).ok
    finding = doctor.check_leftovers({"tensorflow-macos": "2.16.2", "tensorflow-metal": "1.2.0"})
    assert "pip uninstall tensorflow-macos tensorflow-metal" in finding.remedy
    assert "Keras 3" in doctor.check_leftovers({"keras": "2.12.0"}).remedy


@pytest.mark.parametrize(
    ("environ", "settings", "told"),
    [
        ({"KERAS_BACKEND": "jax"}, {}, "ignores KERAS_BACKEND=jax)"),
        ({}, {"backend": "torch"}, "ignores backend torch in "),
        ({}, {"floatx": "float16", "backend": "tensorflow"}, "ignores floatx float16 in "),
        ({"TF_USE_LEGACY_KERAS": "1"}, {}, "ignores TF_USE_LEGACY_KERAS=1)"),
    ],
)
def test_settings_of_other_projects_are_told_and_no_problem(environ, settings, told):
    finding = doctor.check_backend(environ, settings)
    assert finding.ok and told in finding.detail


@pytest.mark.parametrize(
    ("environ", "settings"),
    [
        ({}, {}),
        ({"KERAS_BACKEND": "tensorflow"}, {"backend": "jax"}),
        ({"KERAS_BACKEND": "", "TF_USE_LEGACY_KERAS": "0"}, {"backend": "tensorflow"}),
    ],
)
def test_settings_that_change_nothing_are_not_told(environ, settings):
    assert "ignores" not in doctor.check_backend(environ, settings).detail


def test_a_keras_json_that_keras_refuses_is_a_problem():
    for settings in ({"floatx": "float8"}, {"epsilon": 1}):
        assert "delete that file" in doctor.check_backend({}, settings).remedy


def test_a_module_that_breaks_on_import_is_told(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("raise OSError('no symbol')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    error = doctor.import_error("half_installed")
    assert error == "OSError: no symbol"
    assert "pip install" in doctor.check_import("half_installed", error).remedy
    assert doctor.import_error("json") == ""


def test_windows_does_without_tensorflow_text():
    error = "ModuleNotFoundError: No module named 'tensorflow_text'"
    assert doctor.check_tensorflow_text(WINDOWS, error).ok
    assert not doctor.check_tensorflow_text(APPLE_SILICON, error).ok
    assert doctor.check_tensorflow_text(APPLE_SILICON, "").ok


def test_a_sum_that_cannot_be_is_told():
    assert doctor.check_sum(-1234.5).ok
    for wrong in (math.nan, math.inf, 1e6, 0.0):
        assert not doctor.check_sum(wrong).ok


def test_it_says_whether_tensorflow_sees_a_gpu():
    assert "no GPU, and no lesson needs one" in doctor.check_devices(["CPU:0"]).detail
    assert "TensorFlow uses the GPU" in doctor.check_devices(["CPU:0", "GPU:0"]).detail


def test_downloads_that_are_missing_are_no_problem():
    finding = doctor.check_downloads({"shakespeare": False, "other": True})
    assert finding.ok
    assert finding.detail.startswith("shakespeare not fetched")
    assert "every" in doctor.check_downloads({"shakespeare": True}).detail


def test_a_proxy_is_named_without_its_password():
    finding = doctor.check_proxy({"https_proxy": "http://me:secret@proxy.example:8080"})
    assert "downloads go through proxy.example" in finding.detail
    assert "requests to this machine do not" in finding.detail
    assert "secret" not in str(finding)
    assert "need HTTPS_PROXY" in doctor.check_proxy({"http_proxy": "http://127.0.0.1:9"}).detail
    assert not doctor.check_proxy({"HTTPS_PROXY": "proxy.example"}).ok
    assert "no proxy" in doctor.check_proxy({}).detail


def test_a_problem_shows_its_remedy_on_a_line_of_its_own():
    assert str(doctor.Finding("Disk", "1.0 GiB free")) == "ok       Disk: 1.0 GiB free"
    shown = str(doctor.Finding("Disk", "none", "Make room."))
    assert shown.splitlines() == ["problem  Disk: none", "         Make room."]


def report(**environ):
    """The exit code and the lines of `python -m utils.doctor`."""
    done = subprocess.run(
        [sys.executable, "-m", "utils.doctor"],
        cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_the_exit_code_tells_that_something_must_be_done(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "float8"}', encoding="utf-8")
    code, lines = report(KERAS_HOME=str(tmp_path))
    assert code == 1
    assert lines[-1] == "1 to mend."
    assert "delete that file" in lines[-2]


def test_this_machine_is_ready_and_settings_of_other_projects_are_told_once(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "float16"}', encoding="utf-8")
    code, lines = report(KERAS_HOME=str(tmp_path), KERAS_BACKEND="jax", TF_USE_LEGACY_KERAS="1")
    assert code == 0, "\n".join(lines)
    (line,) = [line for line in lines if "ignores" in line]
    assert "KERAS_BACKEND=jax" in line and "TF_USE_LEGACY_KERAS=1" in line and "float16" in line
    assert any("tf.reduce_sum" in line for line in lines)
    assert lines[-1] == "This machine is ready."


def test_in_a_python_without_the_packages_it_says_where_they_are_missing():
    code = (
        "import runpy, sys; sys.modules['psutil'] = None\n"
        "runpy.run_module('utils.doctor', run_name='__main__')"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"psutil is not installed in this Python, {sys.executable}: ")


def test_in_a_python_that_is_too_old_it_says_so():
    code = (
        "import runpy, sys; sys.version_info = (3, 10, 12); sys.modules['tomllib'] = None\n"
        "runpy.run_module('utils.doctor', run_name='__main__')"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("Python 3.10 is too old") and done.stderr.count("\n") == 1
