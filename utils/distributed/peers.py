"""The machines that train together: how they meet, and how each notices that another one is gone.

On every machine one process looks after the training, see `utils.distributed.launcher`. They talk
over TCP, one message a line in JSON: that with process 0 listens, the others connect to it. While
the training runs, each says every few seconds that it is there. One that stays silent is lost.
"""

import json
import selectors
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, NamedTuple, NoReturn

from utils.errors import CourseError
from utils.training.identity import Identity, what_differs

BEAT = 2.0  # seconds from one sign of life to the next
SILENCE = 10.0  # seconds after which a machine is taken for lost
PATIENCE = 600.0  # seconds that the machines wait for one another at the start
LONGEST = 1 << 20  # bytes of a message
GOODBYE = 2.0  # seconds that a machine waits for another one to hang up
RETRY = 0.5  # seconds until a machine tries again to reach process 0
GO_ON = "all processes have stopped, and the same command goes on from the last checkpoint."

Message = dict[str, Any]


class ClusterError(CourseError):
    """The processes cannot train together, or one of them has failed."""


class Address(NamedTuple):
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def read(cls, text: str) -> "Address":
        """The address in a text such as "192.168.0.5:7000" or "[fe80::1]:7000"."""
        host, _, port = text.rpartition(":")
        return cls(host.strip("[]"), int(port))

    @classmethod
    def free(cls, host: str) -> "Address":
        """An address of this machine at which nobody listens."""
        with _listener(host, 0) as found:
            return cls(host, found.getsockname()[1])


def _listener(host: str, port: int) -> socket.socket:
    family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server((host, port), family=family)


# ---- a connection --------------------------------------------------------------------------------


class Gone(Exception):
    """A connection has ended, or what arrives by it makes no sense."""


class Line:
    """A connection to the machine of another process.

    Args:
        connection: an open one.
        rank: the process of the other machine.
    """

    def __init__(self, connection: socket.socket, rank: int = 0):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection, self.rank = connection, rank
        self.arrived: list[Message] = []
        self.unfinished = b""
        self.heard = time.monotonic()

    def send(self, message: Message) -> None:
        """Send a message; that it cannot arrive is noticed when the line is read."""
        with suppress(OSError):
            self.connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> None:
        """Wait until something arrives, and put the messages that are complete into `arrived`.

        Raises:
            Gone: if the connection has ended, if nothing comes in time, or if it is no message.
        """
        try:
            data = self.connection.recv(1 << 16)
            *lines, self.unfinished = (self.unfinished + data).split(b"\n")
            messages = [json.loads(line) for line in lines]
        except (OSError, ValueError) as error:
            raise Gone from error
        sensible = all(isinstance(message, dict) for message in messages)
        if not data or not sensible or len(self.unfinished) > LONGEST:
            raise Gone
        self.heard = time.monotonic()
        self.arrived += messages

    def next(self, seconds: float) -> Message:
        """The next message, which has to begin within some seconds.

        Raises:
            Gone: as above.
        """
        self.connection.settimeout(seconds)
        while not self.arrived:
            self.receive()
        return self.arrived.pop(0)

    def has_ended(self) -> bool:
        """Whether the other side has hung up, or said that it has failed. Waits for nothing."""
        self.connection.settimeout(0)
        try:
            self.receive()
        except Gone as gone:
            return not isinstance(gone.__cause__, BlockingIOError)
        finally:
            self.connection.settimeout(SILENCE)
        return any("failed" in message for message in self.arrived)

    def hang_up(self) -> None:
        """Close the connection when the other side has closed it, too, or after a moment.

        What has been sent would be lost if this side closed with something unread.
        """
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(GOODBYE)
            while self.connection.recv(1 << 16):
                pass
        self.connection.close()


# ---- while the training runs ---------------------------------------------------------------------


class Peers:
    """The other machines of a training, inside a `with` block; none, if all is on this one.

    Process 0 has a connection to each of the others, and these have one to process 0. If the block
    raises, the others are told why; else that all is done here.

    Args:
        name: what the others call this machine.
        silence: seconds after which a machine that says nothing is taken for lost.
    """

    def __init__(self, name: str, silence: float = SILENCE):
        self.lines: list[Line] = []
        self.name, self.silence, self.beaten = name, silence, 0.0

    def begin(self) -> None:
        """From now on, each machine must give signs of life."""
        for line in self.lines:
            line.connection.settimeout(self.silence)
            line.heard = time.monotonic()

    def __enter__(self) -> "Peers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if isinstance(error, CourseError):
            self._tell({"failed": str(error)})
        elif error is not None:
            self._tell({"failed": f"{self.name} was stopped: {GO_ON}"})
        else:
            self._tell({"done": True})
        for line in self.lines:
            line.hang_up()

    def watch(self, seconds: float) -> None:
        """For some seconds at most: give a sign of life, and read what arrives.

        Raises:
            ClusterError: if another machine has failed or is lost.
        """
        if time.monotonic() - self.beaten > BEAT:
            self._tell({"alive": True})
            self.beaten = time.monotonic()
        for line in self._readable(seconds):
            try:
                line.receive()
            except Gone:
                self._listen_to(line)  # what came before the end
                if line in self.lines:
                    self._lost(line)
        for line in list(self.lines):
            self._listen_to(line)

    def _readable(self, seconds: float) -> list[Line]:
        if not self.lines:
            time.sleep(seconds)
            return []
        with selectors.DefaultSelector() as selector:
            for line in self.lines:
                selector.register(line.connection, selectors.EVENT_READ, line)
            return [key.data for key, _ in selector.select(seconds)]

    def _listen_to(self, line: Line) -> None:
        while line.arrived:
            message = line.arrived.pop(0)
            if "failed" in message:
                raise ClusterError(str(message["failed"]))
            if "done" in message:
                self.lines.remove(line)
                line.connection.close()
                return
        if time.monotonic() - line.heard > self.silence:
            self._lost(line)

    def _lost(self, line: Line) -> NoReturn:
        raise ClusterError(
            f"The machine of process {line.rank} is lost, its connection has ended or it has said"
            f" nothing for {self.silence:.0f} seconds: {GO_ON}"
        )

    def _tell(self, message: Message) -> None:
        for line in self.lines:
            line.send(message)


# ---- meeting -------------------------------------------------------------------------------------


class Meeting(NamedTuple):
    """What the machines have agreed on.

    Attributes:
        engine: where the engine of process 0 listens, and the others find it.
        host: the address of this machine in the network of the others.
        finished: whether there is nothing left to train.
    """

    engine: Address
    host: str
    finished: bool


def alone(finished: bool) -> Meeting:
    """All processes run on this machine, and no other machine can reach them."""
    host = "127.0.0.1"
    return Meeting(Address.free(host), host, finished)


def gather(
    peers: Peers, address: Address, world: int, identity: Identity, finished: bool
) -> Meeting:
    """Wait for the machines of all other processes. For the machine of process 0.

    Args:
        peers: the peers, to which those that have come are added.
        address: where to listen.
        world: number of processes.
        identity: the identity of the run; the others must want the same one.
        finished: whether there is nothing left to train; then the others are only told so.

    Raises:
        ClusterError: if one of them wants something else, or does not come.
    """
    deadline = time.monotonic() + PATIENCE
    with _listening(address) as listener:
        if world > 1:
            print(f"Waiting for {world - 1} more at {address}.", file=sys.stderr)
        while absent := _absent(world, peers):
            listener.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                line = Line(listener.accept()[0])
                hello = line.next(SILENCE)
                line.rank = int(hello["process"])
            except TimeoutError:
                raise ClusterError(
                    f"{absent} did not come within {PATIENCE / 60:.0f} minutes: start the same"
                    f" command there, with --coordinator {address}."
                ) from None
            except (Gone, OSError, KeyError, TypeError, ValueError):
                continue  # a stranger
            peers.lines[:] = [other for other in peers.lines if not other.has_ended()]
            known = [other.rank for other in peers.lines]
            peers.lines.append(line)
            _check(hello, known, world, identity)
        host = listener.getsockname()[0]
    engine = Address.free(host)
    for line in peers.lines:
        line.send({"engine": engine, "finished": finished})
    peers.begin()
    return Meeting(engine, host, finished)


def join(peers: Peers, address: Address, rank: int, world: int, identity: Identity) -> Meeting:
    """Meet the machine of process 0, and wait until the others have come. For all other machines.

    Args:
        peers: the peers, to which the machine of process 0 is added.
        address: where that machine listens.
        rank: the process of this machine.
        world, identity: the arguments of `gather`.

    Raises:
        ClusterError: if that machine cannot be found, or sends this one away.
    """
    line = Line(_connected(address))
    peers.lines.append(line)
    hello = {"process": rank, "processes": world, "identity": asdict(identity)}
    line.send(hello)
    try:
        message = line.next(PATIENCE + SILENCE)
        if "failed" in message:
            raise ClusterError(str(message["failed"]))
        engine = Address(*message["engine"])
    except (Gone, KeyError, TypeError):
        raise ClusterError(
            f"The machine of process 0 at {address} has hung up: look there for the reason."
        ) from None
    peers.begin()
    return Meeting(engine, line.connection.getsockname()[0], bool(message["finished"]))


def _listening(address: Address) -> socket.socket:
    try:
        return _listener(*address)
    except OSError as error:
        raise ClusterError(
            f"Process 0 cannot listen at {address} ({error.strerror or error}): give --coordinator"
            " an address of its own machine and a free port."
        ) from None


def _connected(address: Address) -> socket.socket:
    """A connection to process 0, which may start later than this process."""
    deadline, said = time.monotonic() + PATIENCE, False
    while True:
        try:
            return socket.create_connection(address, timeout=SILENCE)
        except OSError as error:
            if time.monotonic() > deadline or isinstance(error, socket.gaierror):
                raise ClusterError(
                    f"Process 0 cannot be reached at {address} ({error.strerror or error}): is it"
                    " started, and does a firewall let this machine through?"
                ) from None
        if not said:
            print(f"Waiting for process 0 at {address}.", file=sys.stderr)
            said = True
        time.sleep(RETRY)


def _absent(world: int, peers: Peers) -> str:
    """The processes that have not come, as the beginning of a sentence; "" if all have."""
    ranks = sorted(set(range(1, world)) - {line.rank for line in peers.lines})
    names = " and ".join(map(str, ranks))
    return f"Process{'es' if len(ranks) > 1 else ''} {names}" if ranks else ""


def _check(hello: Message, known: list[int], world: int, identity: Identity) -> None:
    """Raise ClusterError if a machine does not belong to those that are there."""
    rank, processes = hello["process"], hello.get("processes")
    if processes != world:
        raise ClusterError(
            f"Process {rank} was started with --processes {processes}, process 0 with {world}: give"
            " every machine the same number."
        )
    if rank in known or not 0 < rank < world:
        raise ClusterError(
            f"Two machines were started with --process-id {rank}: give each one its own number,"
            f" from 0 to {world - 1}."
        )
    try:
        theirs = hello["identity"]
        theirs = Identity(**{**theirs, "snapshots": tuple(theirs["snapshots"])})
        differences = what_differs(theirs, identity)
    except (KeyError, TypeError, AttributeError):
        differences = ["another version of the course"]
    if differences:
        raise ClusterError(
            f"Process {rank} would train something else than process 0 ({'; '.join(differences)}):"
            " give every machine the same text, settings and versions."
        )
