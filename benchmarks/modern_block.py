"""What each part of a current model brings: the small GPT-2 with one change at a time, and all.

    python -m benchmarks.modern_block             # all runs, about 20 CPU minutes
    python -m benchmarks.modern_block --list      # what there is so far

Lesson 15 shows the result, `datasets/modern_block.json`. Each run is written when it is complete; a
command that was stopped goes on with the next one. `--again` begins from nothing.

The models of the comparison have as many parameters as the small GPT-2, up to a hidden unit in each
block: what a part saves goes into the feed-forward network, what it costs is taken from there. All
see the same batches in the same order, with the same optimizer, and are judged by the same held-out
tales, whose own floor is known. A seed decides the first weights and the order of the batches.

Another set of runs trains on windows of running text that are shorter than those of the evaluation:
what does a model make of positions that it never saw?
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial

import numpy as np

from benchmarks.results import Results, command
from utils.command_line import run as run_command
from utils.models.sizes import SIZES
from utils.paths import DATASETS

FILE = DATASETS / "modern_block.json"
STEPS, RATE, BATCH_SIZE, SEEDS = 300, 0.02, 4, 3
OTHER_RATES = (0.007, 0.06)  # as lesson 13 tried them: is the rate as good for both?
TALES = 100  # held out, for the evaluations
STEPS_PER_EVALUATION = 100
SHORT, LONG = 122, 488  # contexts, in tokens: trained and judged beyond
WINDOWS, POSITIONS_PER_MEAN = 200, 8  # of those evaluations: windows, positions in a mean

# Arguments of utils.models.modern.Parts.
VARIANTS: dict[str, dict] = {
    "GPT-2": {},
    "RMSNorm": {"rms_norm": True},
    "rotary": {"rotary": True},
    "SwiGLU": {"swiglu": True},
    "grouped": {"group": 2},
    "no biases": {"biases": False},
    "all": {"rms_norm": True, "rotary": True, "swiglu": True, "group": 2, "biases": False},
}

# Two experts, of which a token passes through one: with as many parameters in all as GPT-2, or with
# as many in each expert; and without the loss that keeps both in use.
EXPERTS: dict[str, dict] = {
    "experts": {"parts": {"experts": 2}},
    "wide experts": {"parts": {"experts": 2}, "matched": False},
    "unbalanced experts": {"parts": {"experts": 2, "balance": 0.0}},
}


@dataclass(frozen=True)
class Setting:
    """What one run is made of.

    Attributes:
        parts: the parts of the model, arguments of `utils.models.modern.Parts`.
        seed: the seed of the first weights and of the order of the batches.
        rate: the highest learning rate, Muon's; that of its AdamW is half of it.
        steps: the length of the schedule: warm-up, then half a cosine to 0.
        context: tokens in a window of running text; None for a window for each tale.
        matched: whether it has as many parameters as GPT-2; if not, the same feed-forward width.
    """

    parts: dict
    seed: int = 0
    rate: float = RATE
    steps: int = STEPS
    context: int | None = None
    matched: bool = True


def plan() -> dict[str, Setting]:
    """All runs by name, the most important ones first."""
    runs = {
        f"{name}, seed {seed}": Setting(parts, seed)
        for seed in range(SEEDS)
        for name, parts in VARIANTS.items()
    }
    contexts = [(SHORT, seed) for seed in range(SEEDS)] + [(LONG, 0)]
    runs |= {
        f"{name}, context {context}, seed {seed}": Setting(VARIANTS[name], seed, context=context)
        for context, seed in contexts
        for name in ("GPT-2", "rotary")
    }
    runs |= {
        f"{name}, rate {rate:g}": Setting(VARIANTS[name], rate=rate)
        for rate in OTHER_RATES
        for name in ("GPT-2", "all")
    }
    return runs | {
        f"{name}, seed {seed}": Setting(seed=seed, **arguments)
        for seed in range(SEEDS)
        for name, arguments in EXPERTS.items()
    }


# ---- one run -------------------------------------------------------------------------------------


class Trainer:
    """A compiled model for all runs that differ in the seed only, so that they compile once.

    Attributes:
        model: a model from ids to logits; `restart` gives it its first weights.
        judge: a function that gives its losses.
        feed_forward: the width of its feed-forward networks.
    """

    def __init__(self, setting: Setting, vocabulary_size: int):
        from utils.evaluation.losses import TokenLosses
        from utils.models.modern import Parts, matched
        from utils.training.optimizers import Muon, warmup_cosine
        from utils.training.runs import compiled

        self.parts, self.vocabulary_size = Parts(**setting.parts), vocabulary_size
        size = SIZES["small"]
        if setting.context:
            size = replace(size, context=LONG)  # the table of GPT-2 has a row for each position
        self.size = matched(vocabulary_size, size, self.parts) if setting.matched else size
        self.feed_forward = self.size.feed_forward
        schedule = warmup_cosine(setting.rate, setting.steps, warmup=setting.steps // 20)
        optimizer = Muon(schedule, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)
        self.model = compiled(self.new_model(), optimizer)
        self.judge = TokenLosses(self.model)
        optimizer.build(self.model.trainable_variables)
        self.first_state = [variable.numpy() for variable in optimizer.variables]

    def new_model(self):
        """A model with fresh weights."""
        from utils.models.modern import build_model

        return build_model(self.vocabulary_size, self.size, self.parts)

    def restart(self, seed: int) -> None:
        """Put back the first state of the optimizer, and the first weights of a seed."""
        import keras

        keras.utils.set_random_seed(seed)
        self.model.set_weights(self.new_model().get_weights())
        for variable, number in zip(self.model.optimizer.variables, self.first_state, strict=True):
            variable.assign(number)


@cache
def trainer(kind: str, vocabulary_size: int) -> Trainer:
    """What makes the runs with a setting, given as JSON."""
    return Trainer(Setting(**json.loads(kind)), vocabulary_size)


def train(setting: Setting, corpus, rows: np.ndarray, weights: np.ndarray) -> dict:
    """Train as a setting says.

    Args:
        setting: the setting of the run.
        corpus: the tales.
        rows: the held-out tales, (tales, time + 1).
        weights: their loss mask, (tales, time).

    Returns:
        What the file keeps of a run; its fields are explained in the data card.
    """
    from utils.data.batches import Windows, as_examples
    from utils.models.modern import expert_shares

    used = trainer(json.dumps(asdict(replace(setting, seed=0))), corpus.vocabulary_size)
    used.restart(setting.seed)
    context = setting.context or SIZES["small"].context
    end_id = corpus.tokenizer.end_id
    windows = Windows(corpus.train, context, end_id, documents=setting.context is None)
    batch_size = BATCH_SIZE * 2 * SHORT // context if setting.context else BATCH_SIZE
    spent, evaluations = [], []
    for step in range(setting.steps):
        start = time.process_time()
        used.model.train_on_batch(*as_examples(*windows.batch(step, batch_size, setting.seed)))
        spent.append(time.process_time() - start)
        if (step + 1) % STEPS_PER_EVALUATION == 0 and setting.context is None:
            evaluations.append([step + 1, round(used.judge.mean(rows, weights), 4)])
    made = {
        "parameters": used.model.count_params(),
        "feed_forward": used.feed_forward,
        "milliseconds": round(1000 * float(np.median(spent[1:])), 1),
    }
    if setting.context is not None:
        return made | {"by_position": by_position(used.judge, corpus)}
    if used.parts.experts > 1:
        made["shares"] = np.round(expert_shares(used.model, rows[:, :-1]), 3).tolist()
    return made | {"evaluations": evaluations}


def by_position(judge: Callable, corpus) -> list[float]:
    """The mean losses of held-out running text, of every few positions in its window."""
    from utils.data.batches import Windows

    rows, _ = Windows(corpus.validation, LONG, corpus.tokenizer.end_id).in_order()
    losses = judge(rows[:WINDOWS])  # (windows, LONG)
    means = losses.reshape(len(losses), -1, POSITIONS_PER_MEAN).mean(axis=(0, 2))
    return [round(float(mean), 4) for mean in means]


# ---- all runs ------------------------------------------------------------------------------------


def complete(results: Results, runs: dict[str, Setting], make: Callable[[Setting], dict]) -> None:
    """Make the runs that the file does not have with the same setting, each written at once."""
    for name, setting in runs.items():
        results.run(name, asdict(setting), partial(make, setting), line)


def prepared(results: Results) -> Callable[[Setting], dict]:
    """Load the tales, note their floor, and return what makes a run."""
    from utils.data.batches import Windows
    from utils.data.corpora import load_corpus
    from utils.tales import corpus as stories_of
    from utils.tales import floor

    corpus = load_corpus("tales")
    validation = Windows(corpus.validation, SIZES["small"].context, corpus.tokenizer.end_id, True)
    rows, weights = (part[:TALES] for part in validation.in_order())
    lengths = weights.sum(axis=1).astype(int).tolist()
    results.data["floor"] = floor(stories_of("en", "validation", TALES), lengths)[0]
    results.data |= {"tales": TALES, "batch_size": BATCH_SIZE, "context": validation.context}
    results.data |= {"short": SHORT, "long": LONG, "positions_per_mean": POSITIONS_PER_MEAN}
    return lambda setting: train(setting, corpus, rows, weights)


def line(name: str, run: dict) -> str:
    """What one run has come to."""
    loss = run["evaluations"][-1][1] if "evaluations" in run else run["by_position"][-1]
    return (
        f"{name:34} {run['parameters']:,} parameters {run['milliseconds']:6.0f} ms a step"
        f"   validation loss {loss:.4f}"
    )


def main() -> None:
    """Make the runs that are missing, or list those that are there."""
    args = command(__doc__, FILE).parse_args()
    results = Results(args.out, args.again)
    if args.list:
        results.show(line)
        return
    complete(results, plan(), prepared(results))


if __name__ == "__main__":
    run_command(main)
