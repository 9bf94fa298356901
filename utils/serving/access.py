"""Who may use the server: it answers only for its own hosts, and for pages of allowed origins.

There is no password. A web page that somebody visits cannot use a server on the same machine all
the same: its browser asks the server first whether the page's origin is allowed (CORS, Cross-Origin
Resource Sharing). A page could get round that with a domain name of its own that it lets point to
127.0.0.1 (DNS rebinding); then the request names that domain in its Host header, and is refused.
"""

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, request

from utils.serving.problems import Problem, shown

READABLE = "Retry-After, X-Forgotten-Messages"  # headers that a page of another origin may read
PREFLIGHT_SECONDS = 600  # after these, browsers ask again whether an origin is allowed


def refuse_foreign_hosts(app: Flask, hosts: Collection[str]) -> None:
    """Answer requests for other hosts than `hosts` and this machine's loopback with status 421."""

    @app.before_request
    def check_host() -> None:
        host = request.headers.get("Host")
        if host is not None and not is_own(host, hosts):  # every browser sends one
            name = shown(name_in(host) or host)
            say = f"This server does not answer for the host {name}: open it at its own"
            raise Problem(421, f"{say} address, or start it with --allow-host.", "Host")


def is_own(host: str, hosts: Collection[str]) -> bool:
    """Whether a Host header names this server.

    Args:
        host: the header, such as "localhost:8000".
        hosts: further names and addresses of the server. ".example.org" stands for all names that
            end so; "0.0.0.0" and "::" stand for all addresses, since a page needs a name for DNS
            rebinding.
    """
    name = name_in(host)
    if name in {own.lower() for own in hosts}:
        return True
    if is_address(name):
        return ip_address(name).is_loopback or any(map(_is_every_address, hosts))
    endings = (".localhost", *(own.lower() for own in hosts if own.startswith(".")))
    return name == "localhost" or name.endswith(endings)


def name_in(host: str) -> str:
    """The name in a Host header, without its port; "" if there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_address(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_every_address(host: str) -> bool:
    return is_address(host) and ip_address(host).is_unspecified


def allow_origins(app: Flask, origins: Collection[str]) -> None:
    """Let pages of these origins, such as "http://localhost:3000", use the server; "*" is all."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        origin = request.headers.get("Origin")
        if origins:
            response.vary.add("Origin")
        if origin in origins or (origin and "*" in origins):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = READABLE
            if request.method == "OPTIONS":  # what browsers send first, the preflight request
                asked = request.headers.get("Access-Control-Request-Headers", "")
                response.headers["Access-Control-Allow-Headers"] = asked
                response.headers["Access-Control-Allow-Methods"] = "GET, POST"
                response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return response
