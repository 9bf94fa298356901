"""The course's data: files shipped in `datasets/`, and downloads that are fetched once and kept.

    python -m utils.data.downloads                # what is here, what can be fetched
    python -m utils.data.downloads shakespeare    # fetch one
    python -m utils.data.downloads --all          # fetch all, before a workshop without network

Downloads use `requests` rather than pooch or `keras.utils.get_file`: those know one address for
a file and start an interrupted download from the beginning.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm  # type: ignore[import-untyped]

from utils.command_line import OneSentenceParser
from utils.errors import DataUnavailable, speak_plainly
from utils.files import exclusive_lock
from utils.paths import DATASETS, data_dir

TIMEOUT = (10, 30)  # seconds: to connect, and of silence
BLOCK = 1 << 16  # bytes


@dataclass(frozen=True)
class Download:
    """A file to fetch: where from, and how to tell that it is the right one."""

    name: str
    file: str  # its name in `data_dir()`
    urls: tuple[str, ...]  # tried in this order
    sha256: str
    bytes: int


DOWNLOADS = {
    entry.name: entry
    for entry in (
        Download(
            name="shakespeare",
            file="shakespeare.txt",
            urls=(
                "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                "https://storage.googleapis.com/download.tensorflow.org/data/shakespeare.txt",
            ),
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            bytes=1_115_394,
        ),
    )
}


def shipped(name: str) -> Path:
    """Return the path of a file in `datasets/`; raise DataUnavailable if it is missing.

    A file that differs from its card is used all the same, because editing one is a good
    experiment; a note on stderr says so, because the results then differ from the lesson's.
    """
    path = DATASETS / name
    if not path.is_file():
        raise DataUnavailable(
            f"{path} is missing: bring it back with `git checkout -- datasets/{name}`."
        )
    if _sha256(path) not in path.with_suffix(".md").read_text(encoding="utf-8"):
        print(
            f"Note: {path} has been edited, so results differ from those in the lesson;"
            f" `git checkout -- datasets/{name}` brings the original back.",
            file=sys.stderr,
        )
    return path


def download(name: str) -> Path:
    """Return the path of a download, fetching it if it is not in `data_dir()` yet.

    The path appears only once the whole file has the right SHA-256. An interrupted download is
    continued by the next call. A second process waits for the first. A file that is there is read
    without a lock and without writing anything, so its folder may be shared read-only.

    Raises:
        DataUnavailable: for an unknown name, if no address delivers the file, if the folder cannot
            be used, and if there is a file of that name with other content, which is left alone.
    """
    if name not in DOWNLOADS:
        raise DataUnavailable(_unknown([name]))
    entry = DOWNLOADS[name]
    path = data_dir() / entry.file
    waiting = f"Another process is downloading {entry.file}: waiting for it."
    try:
        if not path.exists():
            with exclusive_lock(path.with_name(f"{path.name}.lock"), waiting, _cannot_use):
                if not path.exists():  # else another process has just fetched it
                    _fetch(entry, path)
        intact = _sha256(path) == entry.sha256
    except OSError as error:
        raise _cannot_use(path, error) from error
    if not intact:
        raise DataUnavailable(
            f"{path} is not the file it should be (SHA-256 {entry.sha256}):"
            " move it away and run this again."
        )
    return path


def _cannot_use(path: Path, error: OSError) -> DataUnavailable:
    return DataUnavailable(
        f"{path} cannot be used ({error.strerror or error}): mend that, or set COURSE_DATA"
        " to a folder with free space that you may write to."
    )


def _fetch(entry: Download, path: Path) -> None:
    """Try one address after the other; each continues what the one before left."""
    part = path.with_name(f"{path.name}.part")
    problems = []
    for url in entry.urls:
        problem = _fetch_from(url, entry, part)
        if not problem:
            part.replace(path)
            return
        problems.append(f"{urlsplit(url).netloc}: {problem}")
    raise DataUnavailable(
        f"{entry.file} could not be downloaded ({'; '.join(problems)}): run this again later, or"
        f" get {entry.urls[0]} on another machine, check that its SHA-256 is {entry.sha256},"
        f" and put it at {path}."
    )


def _fetch_from(url: str, entry: Download, part: Path) -> str:
    """Complete `part` from one address; return what went wrong, nothing if all is well."""
    resumed = part.exists()
    try:
        _append(url, entry, part)
    except requests.RequestException as error:
        if error.response is None:
            return type(error).__name__
        return f"HTTP {error.response.status_code}"
    size = part.stat().st_size
    if size < entry.bytes:
        return f"only {size:,} of {entry.bytes:,} bytes"
    if _sha256(part) == entry.sha256:
        return ""
    part.unlink()
    if resumed:  # the bytes from before may be the wrong ones: once more, from the beginning
        return _fetch_from(url, entry, part)
    return "wrong content"


def _append(url: str, entry: Download, part: Path) -> None:
    """Download what `part` lacks, or everything where the server cannot continue a file."""
    start = part.stat().st_size if part.exists() else 0
    if start >= entry.bytes:  # stopped after the last byte: only the check is left
        return
    headers = {"Accept-Encoding": "identity"}  # a range of compressed bytes would be useless
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as reply:
        reply.raise_for_status()
        if reply.status_code != requests.codes.partial_content:
            start = 0
        bar = tqdm(
            desc=entry.file,
            initial=start,
            total=entry.bytes,
            unit="B",
            unit_scale=True,
            disable=None,  # silent unless in a terminal
        )
        with bar, open(part, "ab" if start else "wb") as file:
            for block in reply.iter_content(BLOCK):
                bar.update(file.write(block))
                if file.tell() > entry.bytes:  # not our file, perhaps an endless one
                    return


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unknown(names: list[str]) -> str:
    return f"No download is called {', '.join(names)}; there are: {', '.join(DOWNLOADS)}."


def _list() -> None:
    print(f"Shipped, in {DATASETS}:")
    for path in sorted(DATASETS.iterdir()):
        if path.is_file() and path.suffix != ".md" and not path.name.startswith("."):
            print(f"  {path.name:16} {path.stat().st_size:12,} bytes")
    print(f"Downloads, in {data_dir()}:")
    for name, entry in DOWNLOADS.items():
        state = "here" if (data_dir() / entry.file).exists() else "not fetched yet"
        print(f"  {name:16} {entry.bytes:12,} bytes  {state}")


def main(arguments: list[str] | None = None) -> int:
    """List the data, or fetch what is named; return the exit code (1: failed, 2: no such name)."""
    program = "python -m utils.data.downloads"
    parser = OneSentenceParser(prog=program, description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a download to fetch")
    parser.add_argument("--all", action="store_true", help="fetch every download")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.names if name not in DOWNLOADS]:
        print(_unknown(unknown), file=sys.stderr)
        return 2
    names = list(DOWNLOADS) if args.all else args.names
    if not names:
        _list()
    failed = 0
    for name in names:
        try:
            print(f"{name}: {download(name)}")
        except DataUnavailable as error:
            print(error, file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    speak_plainly()
    sys.exit(main())
