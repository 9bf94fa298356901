"""Translation from English into Chinese, where the meaning is known: how many pairs does it take?

    python -m benchmarks.translation             # all runs, about 45 CPU minutes
    python -m benchmarks.translation --list      # what there is so far

Lesson 19 shows the result, `datasets/translation.json`. Each run is written when it is complete; a
command that was stopped goes on where it was. `--again` begins from nothing.

A small GPT-2 learns from 200, 1,000 or 5,000 pairs of passages, from random weights or from those
of a language model that has read texts of both languages, but no pair. All have the same number of
steps at most; a training whose validation loss rises stops earlier. Each of the two methods has its
learning rate chosen first, in shorter trials, by the loss on the validation pairs. Beside them
stand two translators that count words, and one that knows the meaning and chooses another wording
at random. All are asked for the same passages, of two kinds: "test" has combinations of facts that
are in no pair of the training, "familiar" has only such as may be there.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import results as results_file
from benchmarks.results import command
from utils.command_line import run as run_command
from utils.paths import DATASETS
from utils.tasks.translation import Pair, pairs, read, told
from utils.tasks.word_for_word import Model1, TranslationMemory, as_words, bleu, judge

if TYPE_CHECKING:
    from utils.training.runs import Run

FILE = DATASETS / "translation.json"
PAIRS = (200, 1000, 5000)
SEEDS = (0, 1)
STEPS, BATCH_SIZE = 1600, 8
RATES = (0.005, 0.01, 0.02, 0.04)  # of the trials
TRIAL_STEPS, TRIAL_PAIRS, TRIAL_SEED = 600, 1000, 2
PRETRAINING_STEPS, PRETRAINING_RATE = 400, 0.02
TESTS = {"test": "test", "familiar": "validation"}  # name -> split
TEXTS = 200  # of each test
SKIPPED = 64  # pairs of the validation split that choose the weights, and so are not asked
ROUNDS = 8  # of IBM Model 1


@dataclass(frozen=True)
class Setting:
    """What one run is made of.

    Attributes:
        method: "scratch", "pretrained", "IBM Model 1", "translation memory" or "another wording".
        pairs: how many it has learnt from.
        seed: the seed of the first weights and of the order of the pairs; 0 where there is no
            chance.
        steps: gradient steps, 0 where there are none.
        rate: the highest learning rate, 0 where there is none.
    """

    method: str
    pairs: int
    seed: int = 0
    steps: int = 0
    rate: float = 0.0

    @property
    def name(self) -> str:
        """Tells the run from the others."""
        return f"{self.method} | {self.pairs} pairs | seed {self.seed}"


Translate = Callable[[Sequence[str]], list[str]]


# ---- what is measured ----------------------------------------------------------------------------


def questions() -> dict[str, list[Pair]]:
    """The passages that everyone is asked for, by the name of the test."""
    found = {}
    for name, split in TESTS.items():
        skipped = SKIPPED if split == "validation" else 0
        found[name] = pairs(split, skipped + TEXTS)[skipped:]
    return found


def measure(translate: Translate) -> dict:
    """What all tests say of a translator, and its fluent wrong text with the highest BLEU."""
    asked = questions()
    said = {name: translate([pair.english for pair in some]) for name, some in asked.items()}
    judged = {name: judge(said[name], some)._asdict() for name, some in asked.items()}
    return judged | {"wrong": nearly(said["test"], asked["test"])}


def nearly(translations: Sequence[str], asked: Sequence[Pair]) -> dict | None:
    """Of the passages that say something else, that with the highest BLEU; None if there is none.

    It can be read, so it is fluent and does not contradict itself. Of equal ones it is the first.
    BLEU is that of the single text.
    """
    wrong = [
        (bleu([text], [pair.chinese]), -number)
        for number, (text, pair) in enumerate(zip(translations, asked, strict=True))
        if read(text, "zh") not in (None, pair.meaning)
    ]
    if not wrong:
        return None
    score, place = max(wrong)
    pair = asked[-place]
    return {
        "english": pair.english,
        "reference": pair.chinese,
        "translation": translations[-place],
        "bleu": round(score, 2),
    }


# ---- translators ---------------------------------------------------------------------------------


def counted(setting: Setting) -> dict:
    """A translator that learns by counting, or the one that needs not learn."""
    train = pairs("train", setting.pairs)
    if setting.method == "IBM Model 1":
        model = Model1(as_words(train), ROUNDS)
        return measure(lambda texts: [model.translate(text) for text in texts])
    if setting.method == "translation memory":
        memory = TranslationMemory(train)
        return measure(lambda texts: [memory(text) for text in texts])
    known = {pair.english: pair.meaning for some in questions().values() for pair in some}
    return measure(lambda texts: [told(known[text], "zh", f"another {text}") for text in texts])


def trained(setting: Setting) -> dict:
    """A small GPT-2, trained by the harness of the course, and what it has right."""
    from utils.tasks.translator import Translator

    run, about = learnt(setting)
    return about | measure(Translator(run))


def learnt(setting: Setting) -> "tuple[Run, dict]":
    """A training, with its loss on the validation pairs and its seconds of CPU time."""
    from utils.tasks.translator import (
        SIZE,
        TranslatorRecipe,
        language_model,
        shared_tokenizer,
        train_translator,
    )
    from utils.training.recipes import Recipe

    tokenizer, base = shared_tokenizer(), None
    if setting.method == "pretrained":
        first = Recipe(PRETRAINING_STEPS, 16, PRETRAINING_RATE, setting.seed, size=SIZE)
        base = language_model(tokenizer, first)
    recipe = TranslatorRecipe(setting.steps, BATCH_SIZE, setting.rate, setting.seed)
    started = time.process_time()
    run = train_translator(pairs("train", setting.pairs), tokenizer, recipe, base)
    seconds = time.process_time() - started
    return run, {"loss": round(run.validation_loss, 4), "seconds": round(seconds, 1)}


# ---- all runs ------------------------------------------------------------------------------------


class Results(results_file.Results):
    """The file of results: runs by name, each with its setting and what was measured."""

    def measured(self, setting: Setting, make: Callable[[Setting], dict]) -> None:
        """Make a run, unless it is in the file with the same setting."""
        self.run(setting.name, asdict(setting), partial(make, setting), line)

    def best_rate(self, method: str) -> float:
        """The learning rate with the lowest validation loss; trials that are missing are made."""
        trials = self.data.setdefault("trials", {})
        for rate in RATES:
            setting = Setting(method, TRIAL_PAIRS, TRIAL_SEED, TRIAL_STEPS, rate)
            name = f"{method} | rate {rate}"
            if name not in trials or trials[name]["setting"] != asdict(setting):
                trials[name] = {"setting": asdict(setting), **learnt(setting)[1]}
                self.save()
                print(name, "loss", trials[name]["loss"], flush=True)
        return min(RATES, key=lambda rate: trials[f"{method} | rate {rate}"]["loss"])


def line(name: str, run: dict) -> str:
    """What one run has come to."""
    words = []
    for test in TESTS:
        found = run[test]
        share = sum(found["facts"].values()) / len(found["facts"]) / found["texts"]
        words.append(
            f"{test}: right {found['right'] / found['texts']:.3f},"
            f" readable {found['readable'] / found['texts']:.3f}, facts {share:.3f},"
            f" BLEU {found['bleu']:.1f}"
        )
    return f"{name:42} {'   '.join(words)}"


def counts() -> list[Setting]:
    """The runs that need no training by steps."""
    known = [Setting(method, n) for method in ("IBM Model 1", "translation memory") for n in PAIRS]
    return [Setting("another wording", 0), *known]


def trainings(rates: dict[str, float], seeds: Sequence[int]) -> list[Setting]:
    """The trainings, each method with its learning rate."""
    return [
        Setting(method, number, seed, STEPS, rate)
        for seed in seeds
        for number in reversed(PAIRS)
        for method, rate in rates.items()
    ]


def main() -> None:
    """Make the runs that are missing, or list those that are there."""
    args = command(__doc__, FILE).parse_args()
    results = Results(args.out, args.again)
    if args.list:
        results.show(line)
        return
    results.data |= {"texts": TEXTS, "batch_size": BATCH_SIZE, "pretraining": PRETRAINING_STEPS}
    for setting in counts():
        results.measured(setting, counted)
    rates = {method: results.best_rate(method) for method in ("scratch", "pretrained")}
    for setting in trainings(rates, SEEDS):
        results.measured(setting, trained)


if __name__ == "__main__":
    run_command(main)
