"""A file appears complete or not at all, whatever happens to its writer; one process at a time."""

import errno
import os
import subprocess
import sys

import pytest

from utils.errors import CourseError
from utils.files import atomic_write, exclusive_lock


def refusal(path, error):
    return CourseError(f"{path.name} cannot be written ({error.strerror}).")


def write_file(part, text):
    part.write_text(text, encoding="utf-8")


def write_folder(part, text):
    (part / "inner").mkdir(parents=True)
    write_file(part / "inner" / "file", text)


def read(path):
    return (path / "inner" / "file" if path.is_dir() else path).read_text(encoding="utf-8")


@pytest.fixture(params=[write_file, write_folder], ids=["file", "folder"])
def write(request):
    return request.param


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_appears_when_it_is_complete_and_replaces_what_was_there(tmp_path, write):
    path = tmp_path / "new" / "thing.npz"
    for text in ("one", "two"):
        with atomic_write(path, refusal) as part:
            write(part, text)
            assert not path.exists() or read(path) == "one"
            assert part.suffix == path.suffix
        assert read(path) == text and names(path.parent) == ["thing.npz"]


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), CourseError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
)
def test_a_failure_keeps_what_was_there_and_leaves_nothing_else(tmp_path, write, raised, seen):
    path = tmp_path / "thing"
    with atomic_write(path, refusal) as part:
        write(part, "old")
    with pytest.raises(seen) as caught, atomic_write(path, refusal) as part:
        write(part, "new")
        raise raised
    assert read(path) == "old" and names(tmp_path) == ["thing"]
    if seen is CourseError:
        assert str(caught.value) == "thing cannot be written (No space left on device)."


def test_files_beside_it_are_left_alone(tmp_path, write):
    for name in ("part-thing", "old-thing"):  # a user's, with names that seem to be ours
        write_folder(tmp_path / name, "mine")
    for text in ("old", "new"):
        with atomic_write(tmp_path / "thing", refusal) as part:
            write(part, text)
    assert names(tmp_path) == ["old-thing", "part-thing", "thing"]


def test_what_a_killed_process_left_is_no_obstacle(tmp_path, write):
    for leftover in (".part-thing", ".old-thing"):
        write_folder(tmp_path / leftover, "half")
    write(tmp_path / "thing", "old")
    with atomic_write(tmp_path / "thing", refusal) as part:
        write(part, "new")
    assert read(tmp_path / "thing") == "new" and not (tmp_path / ".part-thing").exists()


def test_a_folder_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    for context in (
        atomic_write(tmp_path / "file" / "thing", refusal),
        exclusive_lock(tmp_path / "file" / ".lock", "", refusal),
    ):
        with pytest.raises(CourseError, match="cannot be written"), context:
            pass


WRITER = """
import sys
from pathlib import Path
from utils.errors import CourseError
from utils.files import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), "Waiting for the other one.", lambda p, e: CourseError()):
    print("entered", flush=True)
    sys.stdin.read()
"""


def start(lock_file):
    command = [sys.executable, "-c", WRITER, str(lock_file)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8")


def test_a_second_process_says_that_it_waits_and_goes_on_when_the_first_is_killed(tmp_path):
    first = start(tmp_path / "folder" / ".lock")
    assert first.stdout.readline() == "entered\n"
    second = start(tmp_path / "folder" / ".lock")
    assert second.stderr.readline() == "Waiting for the other one.\n"
    first.kill()
    first.communicate()
    assert second.communicate()[0] == "entered\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_lock_file_can_be_used_by_others_who_share_the_folder(tmp_path):
    with exclusive_lock(tmp_path / ".lock", "", refusal):
        pass
    assert (tmp_path / ".lock").stat().st_mode & 0o777 == 0o666
