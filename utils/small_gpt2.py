"""The course's own GPT-2: train it, or take the one that was trained.

    python -m utils.small_gpt2                       # the small one on the tales, in some minutes
    python -m utils.small_gpt2 --corpus tales-zh     # on the Chinese tales
    python -m utils.small_gpt2 --corpus my.txt       # on any text in UTF-8
    python -m utils.small_gpt2 --size medium --corpus my.txt --context 128

A training can be stopped at any time; the same command goes on with it. What is trained is not
trained again: then the command just draws the curve and writes.
"""

import signal
import subprocess
import sys
from argparse import Namespace
from dataclasses import fields
from typing import TYPE_CHECKING

from utils.command_line import run
from utils.models.sizes import SIZES, ModelSize, custom_size
from utils.training.recipes import Recipe

if TYPE_CHECKING:  # Keras takes seconds to import, which --help need not wait for
    from utils.data.corpora import Corpus
    from utils.training.runs import Run

# The weights at each evaluation, which lesson 8 looks at. Those of larger models are not kept.
SNAPSHOTS = tuple(range(0, Recipe.steps, Recipe().steps_per_evaluation))
# Wider models need smaller steps.
LEARNING_RATES = {"small": Recipe.learning_rate, "medium": 0.01, "gpt2": 0.005}
GIB = 1 << 30  # bytes
GOODBYE = 15  # seconds that a stopped training has to end


def pretrained(corpus_name: str = "tales") -> "Run":
    """The small GPT-2, trained on a corpus; if it is not there yet, it is trained first.

    It is trained in a process of its own, so that no seed and no setting of the lesson that asks
    for it makes a difference to it.

    Raises:
        CourseError: if training fails.
    """
    from utils.data.corpora import load_corpus
    from utils.training.pretraining import identity_of, pretrain
    from utils.training.runs import is_finished

    corpus = load_corpus(corpus_name)
    if not is_finished(identity_of(corpus, Recipe(), SNAPSHOTS).folder):
        print("The small GPT-2 is not trained yet.", file=sys.stderr)
        train_by("utils.small_gpt2", "--corpus", corpus_name)
    return pretrain(corpus, Recipe(), SNAPSHOTS, quiet=True)


def train_by(module: str, *flags: str) -> None:
    """Train with a command of the course; its evaluations go to stderr.

    Raises:
        CourseError: if training fails.
    """
    from utils.errors import CourseError

    print("That comes first, and takes some minutes.", file=sys.stderr)
    command = [sys.executable, "-u", "-m", module, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            for line in process.stdout or ():
                print(line, end="", file=sys.stderr)
        except KeyboardInterrupt:  # Ctrl-C reaches that process, too, which says so
            try:
                process.wait(GOODBYE)
            except subprocess.TimeoutExpired:  # it was sent to this one alone
                process.send_signal(signal.SIGINT)
                process.wait()
            raise KeyboardInterrupt("the training has stopped") from None
    if process.returncode != 0:
        raise CourseError(
            f"Training stopped: run `python -m {' '.join([module, *flags])}` to see why."
        )


# ---- the command ---------------------------------------------------------------------------------


def main() -> None:
    """Train, draw the loss curve, write three texts."""
    from utils.course.settings import settings

    args = settings(
        corpus="tales",
        size="small",
        **dict.fromkeys((field.name for field in fields(ModelSize)), None),
        steps=Recipe.steps,
        batch_size=Recipe.batch_size,
        accumulate=Recipe.accumulate,
        learning_rate=None,
        vocabulary_size=Recipe.vocabulary_size,
        dtype=Recipe.dtype,
        seed=Recipe.seed,
        run=None,
    )
    recipe = recipe_from(args)

    from utils.data.corpora import load_corpus
    from utils.training.pretraining import pretrain
    from utils.training.runs import run_by_name

    if args.run:
        run = run_by_name(args.run)
        show(run, None, args.seed)
        return
    corpus = load_corpus(args.corpus, args.vocabulary_size)
    announce(corpus, recipe)
    snapshots = SNAPSHOTS if recipe.size == SIZES["small"] else ()
    run = pretrain(corpus, recipe, snapshots, announce=True)
    show(run, floor_of(corpus, recipe.size.context), args.seed)


def recipe_from(args: Namespace) -> Recipe:
    """The training configuration that the settings ask for.

    Raises:
        SizeError: if their numbers make no GPT-2.
    """
    numbers = {field.name: getattr(args, field.name) for field in fields(ModelSize)}
    return Recipe(
        steps=args.steps,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate or LEARNING_RATES[args.size],
        seed=args.seed,
        vocabulary_size=args.vocabulary_size,
        size=custom_size(args.size, **numbers),
        accumulate=args.accumulate,
        dtype=args.dtype,
    )


def announce(corpus: "Corpus", recipe: Recipe) -> None:
    """Print what is about to be trained, and what it takes."""
    from utils.training.budget import training_memory
    from utils.training.pretraining import windows_of

    context = windows_of(corpus, recipe.size.context)[0].context
    parameters = recipe.size.parameters(corpus.vocabulary_size)
    steps = recipe.steps // recipe.steps_per_evaluation * recipe.steps_per_evaluation
    memory = training_memory(recipe, corpus.vocabulary_size, context)
    print(
        f"{corpus.name}: {len(corpus.train):,} tokens to learn from, {steps:,} steps\n"
        f"GPT-2 with {parameters:,} parameters, about {memory / GIB:.1f} GiB of memory"
    )


def floor_of(corpus: "Corpus", context: int) -> float | None:
    """The loss that no model can beat; None, with a sentence, if the context cuts the texts.

    Of a text that is cut only the beginning counts, which is harder to predict than the rest: the
    floor of whole texts would be too low for it.
    """
    import numpy as np

    ends = np.flatnonzero(corpus.validation == corpus.tokenizer.end_id)
    longest = int(np.diff(ends).max(initial=0))
    if corpus.documents and longest > context:
        print(
            f"The longest text has {longest} tokens and the context {context}. What is cut off"
            " counts for nothing, so the lowest possible loss is not known."
        )
        return None
    return corpus.floor


def show(run: "Run", floor: float | None, seed: int) -> None:
    """Print the loss of a run, draw its curve, and let its model write three texts.

    Args:
        run: a finished one.
        floor: the loss that no model can beat, if it is known.
        seed: the seed of the texts.
    """
    import matplotlib.pyplot as plt

    from utils.course.plots import STYLE, plot_losses

    print(f"validation loss {run.validation_loss:.4f} nats per token", end="")
    print(f", {run.validation_loss / floor:.3f} times the floor of {floor:.4f}" if floor else "")
    plt.style.use(STYLE)
    plot_losses(run.history, floor)
    plt.show()
    for text in texts(run, 3, seed):
        print(f"\n{text}")
    print(f"\nThe model is in {run.folder}.")


def texts(run: "Run", number: int, seed: int) -> list[str]:
    """Texts that the model of a run makes up, from their first token to their end."""
    from utils.generation.generator import Generator
    from utils.training.presets import load_preset

    model = load_preset(run.preset)
    tokenizer = model.preprocessor.tokenizer
    end_id = tokenizer.end_token_id
    rows = Generator(model, end_id)([[end_id]] * number, top_p=0.8, seed=seed)
    return [tokenizer.detokenize([i for i in row if i != end_id]) for row in rows]


if __name__ == "__main__":
    run(main)
