"""The course's own small GPT-2: train it, or take the one that was trained.

    python -m utils.small_gpt2                       # on the tales, in some minutes
    python -m utils.small_gpt2 --corpus tales-zh     # on the Chinese tales
    python -m utils.small_gpt2 --corpus my.txt       # on any text in UTF-8

A training can be stopped at any time; the same command goes on with it. What is trained is not
trained again: then the command just draws the curve and writes.
"""

import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from utils.command_line import run
from utils.training.recipes import Recipe

if TYPE_CHECKING:  # Keras takes seconds to import, which --help need not wait for
    from utils.training.pretraining import Run

SNAPSHOTS = (0, 100, 300)  # steps whose weights lesson 8 looks at


def pretrained(corpus_name: str = "tales") -> "Run":
    """The small GPT-2, trained on a corpus; if it is not there yet, it is trained first.

    It is trained in a process of its own, so that no seed and no setting of the lesson that asks
    for it makes a difference to it.

    Raises:
        CourseError: if training fails.
    """
    from utils.data.corpora import load_corpus
    from utils.training.pretraining import is_finished, pretrain, run_folder

    corpus = load_corpus(corpus_name)
    if not is_finished(run_folder(corpus, Recipe())):
        print("The small GPT-2 is not trained yet.", file=sys.stderr)
        train_by("utils.small_gpt2", "--corpus", corpus_name)
    return pretrain(corpus, Recipe(), SNAPSHOTS, quiet=True)


def train_by(module: str, *flags: str) -> None:
    """Train with a command of the course; its reports go to stderr.

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
            process.wait()
            raise KeyboardInterrupt("the training has stopped") from None
    if process.returncode != 0:
        raise CourseError(
            f"Training stopped: run `python -m {' '.join([module, *flags])}` to see why."
        )


def main() -> None:
    """Train, draw the loss curve, write three texts."""
    from utils.course.settings import settings

    usual = {name: value for name, value in asdict(Recipe()).items() if name != "patience"}
    args = settings(corpus="tales", **usual)
    import matplotlib.pyplot as plt

    from utils.course.plots import STYLE, plot_losses
    from utils.data.corpora import load_corpus
    from utils.training.pretraining import pretrain

    corpus = load_corpus(args.corpus, args.vocabulary_size)
    print(f"{corpus.name}: {len(corpus.train):,} tokens to learn from, {args.steps} steps")
    recipe = Recipe(**{name: value for name, value in vars(args).items() if name != "corpus"})
    run = pretrain(corpus, recipe, SNAPSHOTS)
    print(f"validation loss {run.validation_loss:.4f} nats per token", end="")
    if corpus.floor:
        print(f", {run.validation_loss / corpus.floor:.3f} times the floor of {corpus.floor:.4f}")
    plt.style.use(STYLE)
    plot_losses(run.history, corpus.floor)
    plt.show()
    for text in texts(run, 3, args.seed):
        print(f"\n{text}")
    print(f"\nThe model is in {run.folder}.")


def texts(run: "Run", number: int, seed: int) -> list[str]:
    """Texts that the model of a run makes up, from their first token to their end."""
    import keras_nlp

    from utils.generation.generator import Generator

    model = keras_nlp.models.GPT2CausalLM.from_preset(run.preset)
    tokenizer = model.preprocessor.tokenizer
    end_id = tokenizer.end_token_id
    rows = Generator(model, end_id)([[end_id]] * number, top_p=0.8, seed=seed)
    return [tokenizer.detokenize([i for i in row if i != end_id]) for row in rows]


if __name__ == "__main__":
    run(main)
