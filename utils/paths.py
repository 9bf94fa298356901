"""Where the repository, its data and its checkpoints are: the one place that knows."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DATASETS = REPOSITORY / "datasets"  # what is shipped


def data_dir() -> Path:
    """The folder of downloads and of texts as ids: `COURSE_DATA` if set, else `datasets/cache`."""
    return _from_environment("COURSE_DATA", DATASETS / "cache")


def checkpoints_dir() -> Path:
    """The folder of all models: `COURSE_CHECKPOINTS` if set, else `checkpoints`."""
    return _from_environment("COURSE_CHECKPOINTS", REPOSITORY / "checkpoints")


def _from_environment(name: str, default: Path) -> Path:
    return Path(os.path.expanduser(os.environ.get(name) or default)).absolute()
