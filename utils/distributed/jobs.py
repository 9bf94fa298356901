"""What the command tells each worker, and how a worker ends. Light to import."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from utils.models.sizes import ModelSize
from utils.training.recipes import Recipe

# How a worker ends: with a sentence for the user, or with an error that nobody expected.
SENTENCE, UNEXPECTED = 2, 3


@dataclass(frozen=True)
class Job:
    """What a worker is to do; it arrives as one line of JSON on its standard input.

    Attributes:
        world: how many processes train together.
        coordinator: host and port at which process 0 lets the engines find each other.
        host: address of this machine at which the other engines reach this one.
        corpus: name of the corpus, or path of a text file.
        recipe: the training configuration, its size as a dictionary, too.
        run: name of the run's folder; it says what is trained, by which code.
        snapshots: steps after which the weights are kept.
        rank: which of the processes it is; process 0 leads.
        log: file for all that is not meant for the user.
        last_words: file for the sentence that says why the worker cannot go on.
    """

    world: int
    coordinator: str
    host: str
    corpus: str
    recipe: dict[str, Any]
    run: str
    snapshots: list[int]
    rank: int = 0
    log: str = ""
    last_words: str = ""

    @classmethod
    def from_line(cls, line: str) -> "Job":
        """The job that `line` has written."""
        return cls(**json.loads(line))

    def line(self) -> str:
        """The job as one line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    def training_recipe(self) -> Recipe:
        """The training configuration."""
        return Recipe(**{**self.recipe, "size": ModelSize(**self.recipe["size"])})
