"""Train a GPT-2 in several processes, on one machine or on several.

    python -m utils.cluster --processes 2 --size medium --corpus my.txt

On several machines, one process each, the same command everywhere but for its number. Process 0
listens at an address of its own machine:

    python -m utils.cluster --processes 2 --coordinator 192.168.0.5:7000 --process-id 0
    python -m utils.cluster --processes 2 --coordinator 192.168.0.5:7000 --process-id 1

The flags are those of `python -m utils.small_gpt2`, without --accumulate and --run, and so are the
runs: what one of the commands has begun, the other one goes on with, in any number of processes.
"""

from argparse import Namespace
from dataclasses import fields

from utils.command_line import run
from utils.distributed.availability import jax_problem
from utils.errors import CourseError
from utils.models.sizes import SIZES, ModelSize
from utils.small_gpt2 import SNAPSHOTS, floor_of, recipe_from, show
from utils.training.recipes import Recipe


def main() -> None:
    """Train, draw the loss curve, write three texts."""
    from utils.course.settings import settings

    args = settings(
        processes=2,
        coordinator=None,
        process_id=None,
        corpus="tales",
        size="small",
        **dict.fromkeys((field.name for field in fields(ModelSize)), None),
        steps=Recipe.steps,
        batch_size=Recipe.batch_size,
        learning_rate=None,
        vocabulary_size=Recipe.vocabulary_size,
        dtype=Recipe.dtype,
        seed=Recipe.seed,
    )
    check(args)
    recipe = recipe_from(Namespace(**vars(args), accumulate=1))

    from utils.data.corpora import load_corpus
    from utils.distributed.together import Place, train

    corpus = load_corpus(args.corpus, args.vocabulary_size)
    place = Place(args.processes, args.process_id, args.coordinator)
    snapshots = SNAPSHOTS if recipe.size == SIZES["small"] else ()
    if trained := train(args.corpus, corpus, recipe, snapshots, place):
        show(trained, floor_of(corpus, recipe.size.context), args.seed)
    else:
        print("The model is trained; it is on the machine of process 0.")


def check(args: Namespace) -> None:
    """Raise CourseError if the processes that the settings ask for cannot be had."""
    if problem := jax_problem():
        raise CourseError(problem)
    if (args.coordinator is None) != (args.process_id is None):
        raise CourseError(
            "Several machines need both --coordinator and --process-id, one machine neither."
        )
    if args.process_id is not None and args.process_id >= args.processes:
        raise CourseError(
            f"--process-id is a number from 0 to {args.processes - 1}, below --processes, and not"
            f" {args.process_id}."
        )
    if args.batch_size % args.processes:
        below = args.batch_size // args.processes * args.processes
        raise CourseError(
            f"{args.processes} processes cannot share a batch of {args.batch_size} evenly: give"
            f" --batch-size {max(below, args.processes)}, for example."
        )


if __name__ == "__main__":
    run(main)
