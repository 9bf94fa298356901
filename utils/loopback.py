"""Requests to this machine never go through a proxy."""

import os
from urllib.request import getproxies

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def bypass_proxies_for_loopback() -> None:
    """Except this machine from the proxies, for every HTTP library and every process started.

    A proxy cannot reach a server at 127.0.0.1: to the proxy, that is the proxy itself. Libraries
    read the variable `no_proxy`. Once it is set, some of them ignore the proxies in the settings
    of macOS and Windows, so those are written into variables, too.
    """
    proxies = getproxies()
    direct = [name for name in proxies.pop("no", "").split(",") if name]
    if not proxies or "*" in direct:
        return
    for scheme, address in proxies.items():
        os.environ.setdefault(f"{scheme}_proxy", address)
    names = ",".join([*direct, *(name for name in LOOPBACK if name not in direct)])
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = names
