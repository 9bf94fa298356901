"""The production server around the web application: sockets, threads, and an orderly end.

It is waitress. Flask's own server is for development: it starts a thread for every connection,
however many there are, and cannot tell when a client has hung up. Waitress is pure Python, so it
is the same on Windows, macOS and Linux; gunicorn and uWSGI do not run on Windows. One thread
of it looks after all connections, so a slow client costs no thread; a fixed number of others work.
It sends each piece of a stream at once. And a single process is right here: a second one would
hold a second copy of the model and fight for the same cores.
"""

import logging
import select
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from flask import Flask
from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]

from utils.errors import CourseError

if TYPE_CHECKING:  # brings TensorFlow, and whether the port is free is known in less time
    from utils.serving.engine import Engine

SPARE_THREADS = 8  # for those who only ask how we are, or have to be told that the queue is full
MOST_CONNECTIONS = 500  # Windows cannot watch more than 512
DRAIN_TIMEOUT = 5  # seconds; as long may clients take to read the end of their answers


class ServerError(CourseError):
    """The server cannot be reached at the address that was asked for."""


def listen(host: str, port: int) -> socket.socket:
    """Take an address. From now on clients can connect, but nobody answers yet.

    Raises:
        ServerError: if it is taken, not ours to take, or no address.
    """
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family)
    except socket.gaierror:
        raise ServerError(f"There is no host {host!r}: take 127.0.0.1 or 0.0.0.0.") from None
    except OSError as error:
        raise ServerError(
            f"Port {port} of {host} cannot be used ({error.strerror}): another program may have it,"
            f" so choose another one, such as --port {port + 1 if port < 65535 else 8000}."
        ) from None


class Server:
    """A running server.

    Args:
        app: the web application.
        engines: what it uses.
        listener: what `listen` returned.
    """

    def __init__(self, app: Flask, engines: Sequence["Engine"], listener: socket.socket):
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.engines = list(dict.fromkeys(engines))  # one model may have two tasks
        self._connections: dict = {}  # and the listener, by the number of their file
        self._server = create_server(
            app,
            map=self._connections,
            sockets=[listener],
            # Whoever waits for the model holds a thread.
            threads=sum(engine.slots + engine.queue for engine in self.engines) + SPARE_THREADS,
            connection_limit=MOST_CONNECTIONS,
            # Goes on reading while a request is being answered: that is how a hang-up is noticed.
            channel_request_lookahead=1,
            asyncore_use_poll=hasattr(select, "poll"),
            log_socket_errors=False,
            ident=None,
        )
        self._thread = threading.Thread(target=self._server.run, name="network", daemon=True)

    def start(self) -> None:
        """Answer requests, in threads of their own."""
        # Waitress would complain on the screen each time when a request has to wait for a thread.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._thread.start()

    def stop(self) -> None:
        """Finish the texts that have begun; answer all others with 503; end."""
        for engine in self.engines:
            engine.refuse()
        for engine in self.engines:
            engine.close()
        self._server.task_dispatcher.shutdown(timeout=DRAIN_TIMEOUT)
        until = time.monotonic() + DRAIN_TIMEOUT
        while self._has_unsent() and time.monotonic() < until:
            time.sleep(0.01)
        # The sockets belong to the other thread, so it has to close them; without any, it ends.
        # Under the lock, or it might close the trigger, too, before that has been pulled.
        trigger = self._server.trigger
        with trigger.lock:
            trigger.thunks.append(lambda: wasyncore.close_all(self._connections))
            trigger.pull_trigger()
        self._thread.join()

    def _has_unsent(self) -> bool:
        channels = list(self._server.active_channels.values())
        return any(channel.total_outbufs_len for channel in channels)


def run_until_stopped(server: Server) -> None:
    """Serve until SIGTERM or Ctrl-C; the second one ends everything at once."""
    stop = threading.Event()

    def on_signal(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    server.start()
    while not stop.wait(1):  # without a limit, Windows would not notice Ctrl-C
        pass
    with suppress(OSError):  # whoever read what we print may have gone already
        print("Finishing what has begun.", flush=True)
    server.stop()
