"""The runs behind a scaling law: many small GPT-2s, several numbers of tokens, two languages.

    python -m benchmarks.scaling             # all runs, about 45 CPU minutes
    python -m benchmarks.scaling --list      # what there is so far

Lesson 14 fits its law to the result, `datasets/scaling.json`. Each run is written when it is
complete; a command that was stopped goes on with the next one. `--again` begins from nothing.

Every run is whole: its learning rate has risen and fallen to 0 when its tokens are used up. No tale
is read twice, since the grammar makes up as many as are wanted. All runs are judged by the same
held-out tales, whose own floor is known. What the models share with all others of the course: the
model, Muon, the windows, the loss. What is other: a size is compiled once for all its runs, and
nothing but the last loss is kept. Time is the CPU time of training, compilation left out.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np

from benchmarks.results import Results, command
from utils.command_line import run as run_command
from utils.models.sizes import ModelSize
from utils.paths import DATASETS

FILE = DATASETS / "scaling.json"
BATCH_SIZE, SEED, CONTEXT = 8, 0, 256
HELD_OUT = 300  # tales
TOKENS_PER_TALE = {"en": 186, "zh": 152}  # in the mean
LAYERS = 2  # of all models of the law: width alone makes them larger
# By width: the numbers of tokens, in thousands. The larger a model, the fewer.
ENGLISH = {
    20: (125, 250), 24: (125, 250, 500, 1000), 32: (125, 250), 40: (125, 250),
    48: (125, 250, 500, 1000, 2000), 64: (125, 250), 80: (125, 250),
    96: (125, 250, 500, 1000, 2000), 128: (125, 250, 500), 160: (125, 250),
    192: (125, 250), 256: (125,), 384: (125,),
}  # fmt: skip
CHINESE = {
    24: (125, 250, 500, 1000), 32: (125, 250), 48: (125, 250, 500, 1000), 64: (125, 250),
    96: (125, 250, 500, 1000), 128: (125, 250),
}  # fmt: skip
DEPTH = ((3, 128, 125_000), (3, 160, 125_000), (3, 192, 125_000))  # what a third layer changes
KEPT = 2_000_000 // 152  # tales are told once for all runs
# Width and tokens: what a fixed CPU time is enough for, by the times of the runs above.
FIXED_TIME = {
    "30 s": ((48, 830_000), (80, 550_000), (128, 320_000), (160, 230_000)),
    "5 min": ((64, 6_750_000), (96, 4_600_000), (160, 2_300_000), (256, 980_000)),
}
# Width, tokens, and the learning rates that are compared there. The best ones, 0.08 and 0.04, give
# the rule of `rate_for`.
TUNING = ((24, 250_000, (0.02, 0.04, 0.08, 0.16)), (80, 250_000, (0.01, 0.02, 0.04, 0.08)))


@dataclass(frozen=True)
class Setting:
    """What one run is made of.

    Attributes:
        language: the language of the tales, "en" or "zh".
        layers, width: the layers and width of the model; the rest follows from them, see `size_of`.
        tokens: the number that the run learns from, rounded down to whole steps.
        rate: the highest learning rate, Muon's; AdamW's is half of it.
    """

    language: str
    layers: int
    width: int
    tokens: int
    rate: float

    @property
    def name(self) -> str:
        """The key of the run in the file."""
        return f"{self.language} {self.layers}x{self.width} {self.tokens} {self.rate:g}"

    @property
    def purpose(self) -> str:
        """What it is for: the "grid" of the fit, "tuning" of the rate, "depth", or a fixed time."""
        if self.rate != rate_for(self.width):
            return "tuning"
        if self.layers != LAYERS:
            return "depth"
        fixed = [t for t, runs in FIXED_TIME.items() if (self.width, self.tokens) in runs]
        return fixed[0] if fixed else "grid"


def size_of(layers: int, width: int) -> ModelSize:
    """A GPT-2 with a head for each 64 features, two at least."""
    return ModelSize(layers, max(2, width // 64), width, 4 * width, CONTEXT)


def non_embedding(size: ModelSize) -> int:
    """Parameters without the tables of tokens and positions."""
    return size.parameters(0) - size.context * size.width


def rate_for(width: int) -> float:
    """The learning rate of a width: it falls from 0.08 at 24 to 0.04 at 80, and on like that."""
    return float(f"{0.04 * (80 / width) ** 0.576:.2g}")


# ---- one run -------------------------------------------------------------------------------------


@cache
def tales(language: str, split: str, number: int):
    """Rows of one tale each (tales, time + 1), their loss mask, and the tales themselves."""
    from utils.data import bpe
    from utils.data.batches import Windows
    from utils.data.keras_tokenizers import folder
    from utils.tales import corpus

    stories = corpus(language, split, number)
    tokenizer = bpe.Tokenizer.load(folder(language))
    end = tokenizer.end_id
    ids = [end] + [i for story in stories for i in (*tokenizer.encode(story.text), end)]
    rows, loss_mask = Windows(np.array(ids), CONTEXT, end, documents=True).in_order()
    return rows, loss_mask, stories


class Trainer:
    """A size of GPT-2 that is compiled once and trained from the same first weights each time."""

    def __init__(self, size: ModelSize, vocabulary_size: int):
        import keras

        from utils.evaluation.losses import TokenLosses
        from utils.models.gpt2 import build_gpt2, from_ids
        from utils.training.optimizers import Muon
        from utils.training.runs import compiled

        keras.utils.set_random_seed(SEED)
        network = from_ids(build_gpt2(vocabulary_size, size))
        optimizer = Muon(0.01, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)
        self.model = compiled(network, optimizer)
        self.losses = TokenLosses(network)
        optimizer.build(self.model.trainable_variables)
        self.first = [variable.numpy() for variable in self._state()]

    def _state(self) -> list:
        return [*self.model.variables, *self.model.optimizer.variables]

    def train(self, rows: np.ndarray, loss_mask: np.ndarray, rate: float) -> tuple[int, float]:
        """Learn from rows, a batch a step; return the number of tokens and the CPU seconds."""
        from utils.data.batches import as_examples
        from utils.training.optimizers import warmup_cosine

        steps = len(rows) // BATCH_SIZE
        schedule = warmup_cosine(rate, steps, warmup=steps // 20)
        rates = [float(schedule(step)) for step in range(steps)]
        batches = [slice(i * BATCH_SIZE, (i + 1) * BATCH_SIZE) for i in range(steps)]
        self.model.train_on_batch(*as_examples(rows[:BATCH_SIZE], loss_mask[:BATCH_SIZE]))
        for variable, value in zip(self._state(), self.first, strict=True):
            variable.assign(value)  # the call above was for compiling only
        start = time.process_time()
        for part, self.model.optimizer.learning_rate in zip(batches, rates, strict=True):
            self.model.train_on_batch(*as_examples(rows[part], loss_mask[part]))
        return int(loss_mask[: steps * BATCH_SIZE].sum()), time.process_time() - start


@cache
def trainer_for(layers: int, width: int) -> Trainer:
    """The trainer of a size; both languages have vocabularies of one size."""
    from utils.data.keras_tokenizers import VOCABULARY_SIZE

    return Trainer(size_of(layers, width), VOCABULARY_SIZE)


def train(setting: Setting) -> dict:
    """Make one run.

    Returns:
        Its `parameters` without embeddings, `tokens` (targets, padding left out), `steps`,
        `seconds` of CPU time, and the `loss` on the held-out tales in nats per token.
    """
    per_tale = TOKENS_PER_TALE[setting.language]
    number = setting.tokens // per_tale // BATCH_SIZE * BATCH_SIZE
    rows, loss_mask, _ = tales(setting.language, "train", max(KEPT, number))
    trainer = trainer_for(setting.layers, setting.width)
    tokens, seconds = trainer.train(rows[:number], loss_mask[:number], setting.rate)
    held_out, mask, _ = tales(setting.language, "validation", HELD_OUT)
    return asdict(setting) | {
        "purpose": setting.purpose,
        "parameters": non_embedding(size_of(setting.layers, setting.width)),
        "tokens": tokens,
        "steps": number // BATCH_SIZE,
        "seconds": round(seconds, 2),
        "loss": round(trainer.losses.mean(held_out, mask), 5),
    }


# ---- all runs ------------------------------------------------------------------------------------


def settings() -> list[Setting]:
    """All runs in the order in which they are made: first the learning rates, then by cost."""
    tuning = [
        Setting("en", LAYERS, width, tokens, rate)
        for width, tokens, rates in TUNING
        for rate in rates
    ]
    sizes = [
        (language, LAYERS, width, 1000 * thousands)
        for language, budgets in (("en", ENGLISH), ("zh", CHINESE))
        for width in budgets
        for thousands in budgets[width]
    ]
    sizes += [("en", *size) for size in DEPTH]
    sizes += [("en", LAYERS, *size) for runs in FIXED_TIME.values() for size in runs]
    runs = [Setting(*size, rate_for(size[2])) for size in sizes]
    runs.sort(key=lambda run: run.tokens * size_of(run.layers, run.width).parameters(0))
    return list(dict.fromkeys([*tuning, *runs]))


def complete(results: Results, plan: Sequence[Setting], make: Callable[[Setting], dict]) -> None:
    """Make the runs that the file does not have, and write each when it is there."""
    runs = results.data["runs"]
    for setting in plan:
        if setting.name not in runs:
            runs[setting.name] = make(setting)
            results.save()
            print(line(runs[setting.name]), flush=True)


def line(run: dict) -> str:
    """What one run has come to."""
    return (
        f"{run['language']} {run['layers']} x {run['width']:3} {run['parameters']:9,} parameters"
        f" {run['tokens']:9,} tokens  rate {run['rate']:<6g}{run['seconds']:7.1f} CPU seconds"
        f"   loss {run['loss']:.4f}"
    )


def floors() -> dict[str, float]:
    """The loss that no model can beat on the held-out tales, for each language."""
    from utils.tales import floor

    found = {}
    for language in ("en", "zh"):
        _, loss_mask, stories = tales(language, "validation", HELD_OUT)
        found[language] = floor(stories, loss_mask.sum(axis=1).astype(int).tolist())[0]
    return found


def main() -> None:
    """Make the runs that are missing, or list those that are there."""
    args = command(__doc__, FILE).parse_args()
    results = Results(args.out, args.again)
    if args.list:
        results.show(lambda name, made: line(made))
        return
    plan = settings()
    results.data |= {"floors": floors(), "batch_size": BATCH_SIZE, "held_out_tales": HELD_OUT}
    results.data["planned"] = len(plan)
    complete(results, plan, train)


if __name__ == "__main__":
    run_command(main)
