"""The identity of a run: everything that decides its weights.

Equal identities give equal weights on one machine and in one process; several processes that train
one model (`utils.cluster`) add their numbers in another order, so theirs differ by rounding. A run
is kept in a folder that carries its identity in the name, so one that other code, other versions or
other settings have made is never taken for it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from utils.code_digest import digest_of_source, imported_files
from utils.files import atomic_write
from utils.paths import REPOSITORY, checkpoints_dir
from utils.training.recipes import TrainingRecipe

FILE = "run.json"
LIBRARIES = ("keras", "keras-hub", "tensorflow", "numpy")
# What these modules do does not depend on the way they do it: they read settings, show progress,
# keep files, or make data of which every byte is in a digest of the identity.
WITHOUT_EFFECT = (
    "utils.errors",
    "utils.paths",
    "utils.files",
    "utils.quiet",
    "utils.data.bpe",
    "utils.data.corpora",
    "utils.data.downloads",
    "utils.data.keras_tokenizers",
    "utils.training.budget",
    "utils.training.checkpoints",
    "utils.training.identity",
    "utils.training.presets",
    "utils.training.progress",
)


@dataclass(frozen=True)
class Identity:
    """What a run is made of.

    Attributes:
        name: the name of the data, the first part of the folder's name.
        data: digests of everything that is learnt from: texts, tokenizer, the model to start with.
        recipe: the training configuration.
        snapshots: steps after which the weights are kept.
        code: digest of the modules that train; comments and docstrings do not count.
        versions: the versions of the libraries that do the arithmetic.
    """

    name: str
    data: dict[str, str]
    recipe: dict[str, Any]
    snapshots: tuple[int, ...]
    code: str
    versions: dict[str, str]

    @property
    def folder(self) -> Path:
        """Where the run keeps its files."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return checkpoints_dir() / f"{self.name}-{digest[:8]}"

    def save(self) -> None:
        """Write it into the folder.

        Raises:
            CheckpointError: if it cannot be written.
        """
        from utils.training.checkpoints import cannot_write  # imports Keras

        text = json.dumps(asdict(self), indent=1)
        with atomic_write(self.folder / FILE, cannot_write) as part:
            part.write_text(text, encoding="utf-8")


def identify(
    module: str, name: str, data: dict[str, str], recipe: TrainingRecipe, snapshots: tuple = ()
) -> Identity:
    """The identity of a run that would be made now.

    Args:
        module: the one that trains, such as "utils.training.pretraining"; it and what it imports
            make up the digest of the code.
        name, data, recipe, snapshots: the attributes of `Identity`.
    """
    return Identity(
        name=name,
        data=data,
        recipe=asdict(recipe),
        snapshots=tuple(sorted(snapshots)),
        code=digest_of_code(module),
        versions={library: version(library) for library in LIBRARIES},
    )


@cache
def digest_of_code(module: str) -> str:
    """A digest of a module and of all that it imports, but for what has no effect on weights."""
    path = _path(module).with_suffix(".py")
    source = path.read_text(encoding="utf-8")
    skip = {file for name in WITHOUT_EFFECT for file in files_of(name)}
    files = sorted({path} | imported_files(source, REPOSITORY, skip))
    digests = [digest_of_source(f.read_text(encoding="utf-8"), docstrings=False) for f in files]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def files_of(name: str) -> list[Path]:
    """The files of a module, or of all modules of a package."""
    path = _path(name)
    return [path.with_suffix(".py")] if path.with_suffix(".py").is_file() else [*path.glob("*.py")]


def _path(name: str) -> Path:
    return REPOSITORY.joinpath(*name.split("."))


def read_identity(folder: Path) -> Identity | None:
    """The identity that a run was saved with; None if there is none to be read."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Identity(**{**found, "snapshots": tuple(found["snapshots"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def what_differs(other: Identity, wanted: Identity) -> list[str]:
    """What keeps a run from being the wanted one, as words such as "steps 60, not 61"."""
    words = []
    if other.code != wanted.code:
        words.append("the training code has changed")
    for library, number in wanted.versions.items():
        if (old := other.versions.get(library)) != number:
            words.append(f"{library} {old}, not {number}")
    # As JSON: what was read from a file has lists where a recipe has tuples.
    theirs, ours = (json.loads(json.dumps(_flat(run.recipe))) for run in (other, wanted))
    for setting, value in ours.items():
        if (old := theirs.get(setting)) != value:
            words.append(f"{setting.replace('_', ' ')} {old}, not {value}")
    if other.data != wanted.data:
        words.append("other data")
    if other.snapshots != wanted.snapshots:
        words.append("other snapshots")
    return words


def _flat(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe with the numbers of the model's size beside the others."""
    size = recipe.get("size", {})
    return {name: value for name, value in recipe.items() if name != "size"} | size
