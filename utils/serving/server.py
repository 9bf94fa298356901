"""The production server around the web application: sockets, threads, graceful shutdown.

It is waitress. Flask's own server is for development: it starts a thread for every connection,
however many there are, and does not notice when a client disconnects. Waitress is pure Python, so
it is the same on Windows, macOS and Linux; gunicorn and uWSGI do not run on Windows. One of its
threads looks after all connections, so a slow client costs no thread; a fixed number of other
threads work. It sends each piece of a stream at once. A single process is right here: a second one
would hold a second copy of the model and compete for the same cores.
"""

import errno
import logging
import select
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

import psutil
from flask import Flask
from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]

from utils.errors import CourseError

if TYPE_CHECKING:  # imports TensorFlow, which takes longer than to see whether the port is free
    from utils.serving.engine import Engine

SPARE_THREADS = 8  # for health checks, and for the answer that the queue is full
MOST_CONNECTIONS = 500  # Windows cannot watch more than 512
DRAIN_TIMEOUT = 5  # seconds that clients have at a shutdown to read the end of their answers


class ServerError(CourseError):
    """The server cannot use the address that was asked for."""


def listen(host: str, port: int) -> socket.socket:
    """Bind an address. From now on clients can connect, but are not answered yet.

    Raises:
        ServerError: if the address is in use, not one of this machine, or no address at all.
    """
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family)
    except (socket.gaierror, UnicodeError):
        raise ServerError(f"There is no host {host!r}: take 127.0.0.1 or 0.0.0.0.") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            say = f"{host} is no address of this machine: take 127.0.0.1 or 0.0.0.0."
            raise ServerError(say) from None
        other = port + 1 if 1024 <= port < 65535 else 8000  # the lower ones are the system's
        raise ServerError(
            f"Port {port} of {host} cannot be used ({error.strerror}): another program may have it,"
            f" so choose another one, such as --port {other}."
        ) from None


def urls_of(listener: socket.socket) -> list[str]:
    """The URLs at which a browser can open the server.

    If it listens at all addresses of the machine (0.0.0.0 or ::), the first URL is for this
    machine, and the others are for other machines in the network.
    """
    host, port = listener.getsockname()[:2]
    hosts = [host]
    if ip_address(host).is_unspecified:
        loopback = "::1" if listener.family == socket.AF_INET6 else "127.0.0.1"
        hosts = [loopback, *_network_addresses(listener.family)]
    return [f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}" for host in hosts]


def _network_addresses(family: int) -> list[str]:
    """This machine's addresses, IPv4 or IPv6, in the networks that it is connected to now."""
    states = psutil.net_if_stats()
    found = [
        entry.address
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family == family and (name not in states or states[name].isup)
    ]
    addresses = [address for address in found if "%" not in address]  # those are link-local
    return [
        address
        for address in addresses
        if not (ip_address(address).is_loopback or ip_address(address).is_link_local)
    ]


class Server:
    """A server that is ready to start.

    Attributes:
        urls: where a browser can open it; see `urls_of`.
        url: the first of them, for this machine.

    Args:
        app: the web application.
        engines: the engines that the application uses.
        listener: the socket that `listen` returned.
    """

    def __init__(self, app: Flask, engines: Sequence["Engine"], listener: socket.socket):
        self.urls = urls_of(listener)
        self.url = self.urls[0]
        self.engines = list(dict.fromkeys(engines))  # one model may have two tasks
        self._connections: dict = {}  # by file descriptor; the listener is among them
        self._server = create_server(
            app,
            map=self._connections,
            sockets=[listener],
            # Each request that waits for the model holds a thread.
            threads=sum(engine.slots + engine.queue for engine in self.engines) + SPARE_THREADS,
            connection_limit=MOST_CONNECTIONS,
            # Read on while a request is being answered: so a disconnected client is noticed.
            channel_request_lookahead=1,
            asyncore_use_poll=hasattr(select, "poll"),
            log_socket_errors=False,
            ident=None,
        )
        self._thread = threading.Thread(target=self._server.run, name="network", daemon=True)

    def start(self) -> None:
        """Answer requests, in threads of their own."""
        # Waitress would print a warning each time that a request has to wait for a thread.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._thread.start()

    def stop(self) -> None:
        """Graceful shutdown: finish the texts that have begun, answer all others with 503."""
        for engine in self.engines:
            engine.refuse()
        for engine in self.engines:
            engine.close()
        self._server.task_dispatcher.shutdown(timeout=DRAIN_TIMEOUT)
        until = time.monotonic() + DRAIN_TIMEOUT
        while self._has_unsent() and time.monotonic() < until:
            time.sleep(0.01)
        # The sockets belong to the network thread, so that thread has to close them; then it ends.
        # Under the lock: otherwise it might close the trigger, too, before that has been pulled.
        trigger = self._server.trigger
        with trigger.lock:
            trigger.thunks.append(lambda: wasyncore.close_all(self._connections))
            trigger.pull_trigger()
        self._thread.join()

    def _has_unsent(self) -> bool:
        channels = list(self._server.active_channels.values())
        return any(channel.total_outbufs_len for channel in channels)


def run_until_stopped(server: Server) -> None:
    """Serve until SIGTERM or Ctrl-C, then shut down gracefully; a second signal ends at once."""
    stop = threading.Event()

    def on_signal(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    server.start()
    while not stop.wait(1):  # without a limit, Windows would not notice Ctrl-C
        pass
    with suppress(OSError):  # the program that reads our output may have ended already
        print("Finishing what has begun.", flush=True)
    server.stop()
