"""One of the processes that train a model together; `utils.distributed.launcher` starts it.

Keras runs on JAX here: every process computes the gradient of its own rows, and the engine adds
them up. What happens in a step, and when a run is evaluated, stopped and saved, is the same as in
the training of a single process.

Only process 0 has the folder of the run. It sends the others what they need to go on from there.
"""

import json
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.command_line import OneSentenceParser
from utils.distributed.jobs import SENTENCE, UNEXPECTED, Job
from utils.errors import CourseError

if TYPE_CHECKING:  # Keras must not be imported before its backend is chosen
    from utils.data.corpora import Corpus
    from utils.training.recipes import Recipe
    from utils.training.runs import Method, Processes

HEADER = 4096  # bytes that say which file follows
CHECKPOINTS = "checkpoint-*.npz"
CHUNK = 1 << 26  # bytes of a file that travel at a time


def main() -> None:
    """Read the job, train, and leave with a code that says how it went."""
    OneSentenceParser(
        prog="python -m utils.distributed.worker",
        description="One process of `python -m utils.cluster`, which starts it and gives it a job.",
    ).parse_args()
    job = Job.from_line(sys.stdin.readline())
    _quiet_start(job)
    threading.Thread(target=_leave_with_the_launcher, args=[job], daemon=True).start()
    try:
        _train(job)
    except CourseError as error:
        Path(job.last_words).write_text(str(error), encoding="utf-8")
        _leave(SENTENCE)
    except BaseException:
        with open(job.log, "a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        _leave(UNEXPECTED)
    _leave(0)


def _quiet_start(job: Job) -> None:
    """Send what compiled code says to the log; of process 0, Python still reaches the screen."""
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    screen = [os.dup(number) for number in (1, 2)]
    for number in (1, 2):
        os.dup2(log, number)
    if job.rank == 0:
        sys.stdout, sys.stderr = (os.fdopen(copy, "w", 1, encoding="utf-8") for copy in screen)


def _leave_with_the_launcher(job: Job) -> None:
    """When the launcher ends, in whatever way, its end of the pipe closes."""
    sys.stdin.read()
    shutil.rmtree(Path(job.log).parent, ignore_errors=True)  # it was killed, else it had done so
    _leave(UNEXPECTED)


def _leave(code: int) -> None:
    """End at once. The usual way waits for the other processes, which may be gone."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody may read it any more
            stream.flush()
    os._exit(code)


# ---- training ------------------------------------------------------------------------------------


def _train(job: Job) -> None:
    _start_engine(job)

    from utils.data.corpora import load_corpus
    from utils.training.pretraining import identity_of
    from utils.training.runs import Processes, train_once

    recipe, processes = job.training_recipe(), Processes(job.rank, job.world)
    corpus = load_corpus(job.corpus, recipe.vocabulary_size)
    identity = identity_of(corpus, recipe, job.snapshots)
    if identity.folder.name != job.run:
        raise CourseError("The code or the text has changed meanwhile: start the command again.")
    share_files(identity.folder, processes.leads)
    train_once(
        identity,
        recipe,
        lambda: _method(corpus, recipe, processes),
        processes=processes,
        announce=processes.leads,
    )
    _say_goodbye()


def _method(corpus: "Corpus", recipe: "Recipe", processes: "Processes") -> "Method":
    """That of a single process, evaluated by all and saved by one."""
    import keras

    from utils.distributed.evaluation import SharedLosses
    from utils.training.pretraining import method_of

    method = method_of(corpus, recipe, processes, SharedLosses)

    def save(path: Path) -> None:
        # Else every variable that saving makes would wait for its copies in the other processes.
        keras.distribution.set_distribution(None)
        method.save(path)

    return method._replace(save=save)


def _start_engine(job: Job) -> None:
    """Start JAX and Keras, joined with those of the other processes."""
    import jax

    from utils.keras_backend import choose_backend, use_float32

    choose_backend("jax", quiet=True)
    if job.world > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        _reach_at(job.host)
        jax.distributed.initialize(
            coordinator_address=job.coordinator,
            num_processes=job.world,
            process_id=job.rank,
            cluster_detection_method="deactivate",
            coordinator_bind_address=job.coordinator,
        )
    import keras

    use_float32()
    everything = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(everything)


def _reach_at(host: str) -> None:
    """Have Gloo listen at `host`. By itself it takes what the name of this machine leads to.

    On many machines that name leads nowhere, or to an address that the others cannot reach. JAX has
    no setting for it (0.10); where its parts have other names, Gloo keeps its own choice.
    """
    try:
        from jaxlib import _jax  # type: ignore[attr-defined]

        make: Callable[..., Any] = _jax.make_gloo_tcp_collectives
    except (ImportError, AttributeError):
        return
    _jax.make_gloo_tcp_collectives = lambda **options: make(**{"hostname": host, **options})


def _say_goodbye() -> None:
    """Wait for all processes, so that none takes the end of another one for a failure."""
    import jax

    if jax.process_count() > 1:
        jax.distributed.shutdown()


# ---- what the other processes need ---------------------------------------------------------------


def share_files(folder: Path, leads: bool) -> None:
    """Give every process the newest good checkpoint and the best weights of process 0.

    All processes call it together.

    Args:
        folder: the folder of the run; that of process 0 is read, those of the others are written.
        leads: whether this is process 0.
    """
    import jax

    if jax.process_count() == 1:
        return
    if leads:
        for path in _needed(folder):
            _send(path)
        _header({})
        return
    folder.mkdir(parents=True, exist_ok=True)
    while about := _header({}):
        _receive(folder / about["name"], about["size"])


def _needed(folder: Path) -> list[Path]:
    """The files with which a process goes on from the newest good checkpoint."""
    from utils.training.checkpoints import is_readable
    from utils.training.runs import BEST

    checkpoints = sorted(folder.glob(CHECKPOINTS), reverse=True)
    good = next((path for path in checkpoints if is_readable(path)), None)
    return [path for path in (good, folder / BEST) if path is not None and path.exists()]


def _send(path: Path) -> None:
    _header({"name": path.name, "size": path.stat().st_size})
    with open(path, "rb") as file:
        while piece := file.read(CHUNK):
            _from_the_leader(piece)


def _receive(path: Path, size: int) -> None:
    from utils.training.checkpoints import cannot_write

    try:
        with open(path, "wb") as file:
            while missing := size - file.tell():
                file.write(_from_the_leader(bytes(min(CHUNK, missing))))
    except OSError as error:
        raise cannot_write(path, error) from None


def _header(about: dict[str, Any]) -> dict[str, Any]:
    """What process 0 says about the file that follows; empty after the last one."""
    return json.loads(_from_the_leader(json.dumps(about).encode().ljust(HEADER)))


def _from_the_leader(mine: bytes) -> bytes:
    """The bytes of process 0; those of the others, as many, do not count."""
    import numpy as np
    from jax.experimental import multihost_utils

    return bytes(multihost_utils.broadcast_one_to_all(np.frombuffer(mine, "uint8")))


if __name__ == "__main__":
    main()
