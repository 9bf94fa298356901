"""A training in several processes, as the machine that starts some of them sees it."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import NamedTuple

import keras

from utils.data.corpora import Corpus
from utils.distributed.jobs import Job
from utils.distributed.launcher import Workers
from utils.distributed.peers import Address, Meeting, Peers, alone, gather, join
from utils.files import exclusive_lock
from utils.memory import free_memory
from utils.training.budget import GIB, TooLarge, training_memory
from utils.training.checkpoints import (
    cannot_write,
    forget_checkpoints,
    is_readable,
    newest_step,
    save_checkpoint,
)
from utils.training.identity import Identity
from utils.training.pretraining import identity_of, method_of, windows_of
from utils.training.recipes import Recipe
from utils.training.runs import Processes, Run, drop_orphaned_checkpoints, is_finished, read_run


class Place(NamedTuple):
    """Which of the processes run on this machine.

    Attributes:
        world: how many processes there are.
        process: the only one that runs here; None if all do.
        coordinator: where process 0 listens; None if all processes run here.
    """

    world: int
    process: int | None = None
    coordinator: str | None = None

    @property
    def ranks(self) -> Sequence[int]:
        """The processes of this machine."""
        return range(self.world) if self.process is None else [self.process]

    @property
    def leads(self) -> bool:
        """Does process 0, which writes all files, run here?"""
        return 0 in self.ranks


def train(
    name: str, corpus: Corpus, recipe: Recipe, snapshots: Sequence[int], place: Place
) -> Run | None:
    """Train a GPT-2, or go on with a training that was stopped, by whichever command.

    Args:
        name: the name of the corpus, or the path of its file.
        corpus, recipe, snapshots: the arguments of `utils.training.pretraining.pretrain`.
        place: which processes run on this machine.

    Returns:
        The finished run; None on a machine that does not have it.

    Raises:
        CourseError: if a process fails, here or on another machine.
    """
    identity = identity_of(corpus, recipe, snapshots)
    finished = place.leads and _begin(identity, corpus, recipe, place)
    with Peers(f"The machine of process {place.ranks[0]}") as peers:
        meeting = _meet(peers, place, identity, finished)
        job = Job(
            world=place.world,
            coordinator=str(meeting.engine),
            host=meeting.host,
            corpus=name,
            recipe=asdict(recipe),
            run=identity.folder.name,
            snapshots=list(snapshots),
        )
        if not meeting.finished:
            with Workers(place.ranks, job) as workers:
                workers.watch(peers)
    return read_run(identity.folder) if place.leads else None


def _meet(peers: Peers, place: Place, identity: Identity, finished: bool) -> Meeting:
    if place.coordinator is None:
        return alone(finished)
    address = Address.read(place.coordinator)
    if place.leads:
        return gather(peers, address, place.world, identity, finished)
    return join(peers, address, place.ranks[0], place.world, identity)


# ---- before the processes start ------------------------------------------------------------------


def _begin(identity: Identity, corpus: Corpus, recipe: Recipe, place: Place) -> bool:
    """See to it that there is a checkpoint to go on from; return whether all is done already."""
    folder = identity.folder
    if is_finished(folder):
        return True
    waiting = f"Another process is training {folder.name}: waiting for it."
    with exclusive_lock(folder / ".lock", waiting, cannot_write):
        if is_finished(folder):
            return True
        _check_memory(corpus, recipe, place)
        drop_orphaned_checkpoints(identity)
        if not any(is_readable(path) for path in folder.glob("checkpoint-*.npz")):
            forget_checkpoints(folder)
            _first_checkpoint(identity, corpus, recipe, place)
    print(
        f"{corpus.name}: {len(corpus.train):,} tokens to learn from, {recipe.steps} steps\n"
        f"processes: {place.world}, each with {recipe.batch_size // place.world} of the"
        f" {recipe.batch_size} windows of a step"
    )
    if step := newest_step(folder):
        print(f"going on after step {step}")
    return False


def _first_checkpoint(identity: Identity, corpus: Corpus, recipe: Recipe, place: Place) -> None:
    """Write that of step 0, with the first weights that a single process would have.

    From the same seed JAX makes other random numbers than TensorFlow, which is used here.
    """
    keras.utils.set_random_seed(recipe.seed)
    method = method_of(corpus, recipe, Processes(0, place.world))
    save_checkpoint(identity.folder, method.model, 0, [])


def _check_memory(corpus: Corpus, recipe: Recipe, place: Place) -> None:
    """Raise TooLarge if the processes of this machine do not fit into its memory together."""
    share = replace(recipe, batch_size=recipe.batch_size // place.world)
    context = windows_of(corpus, recipe.size.context)[0].context
    each = training_memory(share, corpus.vocabulary_size, context)
    available = free_memory()
    if each * len(place.ranks) > available:
        raise TooLarge(
            f"Each of the {len(place.ranks)} processes on this machine takes about"
            f" {each / GIB:.1f} GiB of memory, and {available / GIB:.1f} GiB are free: give fewer"
            " --processes, or a smaller --size, --context or --batch-size."
        )
