"""Starts the processes of this machine that train together, and looks after them.

When one of them dies, the engine of the others waits for it, a minute and a half with JAX 0.10, and
then aborts with a report of compiled code. Here the others are stopped at once, and one sentence
says what has happened.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from utils.distributed.jobs import SENTENCE, Job
from utils.distributed.peers import GO_ON, ClusterError, Peers

LOOK = 0.2  # seconds from one look at the processes to the next
# Seconds to find the cause, when a process ends without saying why: usually another one is gone.
FIND_CAUSE = 3.0
COMMAND = [sys.executable, "-u", "-m", "utils.distributed.worker"]
LOG_LINES = 30  # of a process that ended for no known reason


class Worker(NamedTuple):
    """A process that trains.

    Attributes:
        job: what it is to do.
        process: the running process. When its standard input is closed, it ends.
    """

    job: Job
    process: subprocess.Popen

    @classmethod
    def start(
        cls, job: Job, threads: int, checkpoints: str | None, command: Sequence[str] = COMMAND
    ) -> "Worker":
        """Start a process.

        Args:
            job: what it is to do.
            threads: processor threads that it may compute with.
            checkpoints: its folder for checkpoints; None for that of this process.
            command: the program, which reads the job from its standard input.
        """
        environment = os.environ | {"KERAS_BACKEND": "jax", "PJRT_NPROC": str(threads)}
        environment.setdefault("JAX_PLATFORMS", "cpu")
        if checkpoints:
            environment["COURSE_CHECKPOINTS"] = checkpoints
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the launcher alone
        )
        assert process.stdin
        process.stdin.write(job.line())
        process.stdin.flush()
        return cls(job, process)

    @property
    def failed(self) -> bool:
        """Has it ended, but not well?"""
        return self.process.poll() not in (None, 0)

    def cause(self) -> str:
        """Why it has failed, in one sentence; "" if it is not known, or only a consequence."""
        code = self.process.poll()
        if code == SENTENCE:
            return Path(self.job.last_words).read_text(encoding="utf-8")
        if code is None or code >= 0 or -code == signal.SIGABRT:  # so the engine ends by itself
            return ""
        return (
            f"Process {self.job.rank} was killed ({signal.Signals(-code).name}), as it also happens"
            f" when the memory is full: {GO_ON}"
        )

    def log(self) -> str:
        """The last lines of what it said that was not meant for the user."""
        path = Path(self.job.log)
        lines = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return "\n".join(lines.splitlines()[-LOG_LINES:])

    def stop(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin
        self.process.stdin.close()


class Workers:
    """The processes of this machine, inside a `with` block; none of them outlives it.

    Args:
        ranks: those of them that run here.
        job: the job of all of them, without their ranks and files.
        command: the program, as for `Worker.start`.
    """

    def __init__(self, ranks: Iterable[int], job: Job, command: Sequence[str] = COMMAND):
        self.ranks, self.job, self.command = list(ranks), job, command
        self.folder = tempfile.TemporaryDirectory(prefix="cluster-", ignore_cleanup_errors=True)
        self.workers: list[Worker] = []

    def __enter__(self) -> "Workers":
        folder = Path(self.folder.name)
        threads = max(1, (os.cpu_count() or 1) // len(self.ranks))
        try:
            for rank in self.ranks:
                log, last_words = (str(folder / f"{rank}.{name}") for name in ("log", "words"))
                job = replace(self.job, rank=rank, log=log, last_words=last_words)
                own = str(folder / f"checkpoints-{rank}") if rank else None
                self.workers.append(Worker.start(job, threads, own, self.command))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.folder.cleanup()

    def watch(self, peers: Peers) -> None:
        """Wait until all processes have ended well, and be in touch with the other machines.

        Raises:
            ClusterError: if a process fails, here or on another machine.
        """
        while any(worker.process.poll() is None for worker in self.workers):
            peers.watch(LOOK)
            if any(worker.failed for worker in self.workers):
                raise ClusterError(self._cause(peers))

    def _cause(self, peers: Peers) -> str:
        """Why the processes cannot go on: the first sentence that says it, from here or there."""
        deadline = time.monotonic() + FIND_CAUSE
        while time.monotonic() < deadline:
            if causes := [cause for worker in self.workers if (cause := worker.cause())]:
                return causes[0]
            peers.watch(LOOK)
        failed = next(worker for worker in self.workers if worker.failed)
        print(failed.log(), file=sys.stderr)
        return f"Process {failed.job.rank} has failed, its last lines are above: {GO_ON}"
