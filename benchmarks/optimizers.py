"""AdamW beside Muon, and what each trick contributes: the loss by steps and by CPU seconds.

    python -m benchmarks.optimizers             # all runs, about 28 CPU minutes
    python -m benchmarks.optimizers --list      # what there is so far

Lesson 13 shows the result, `datasets/optimizers.json`. Each run is written when it is complete; a
command that was stopped goes on with the next one. `--again` begins from nothing.

All runs train the course's small GPT-2 from the same first weights and are judged by the same
held-out tales, whose own floor is known. All but two rungs of the ladder have the same batch size.
Time is the CPU time of the process spent on training (all threads, compilation included,
evaluations not), which depends less on other programs than the clock does. On two cores that are
both busy, the clock shows about half of it.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from benchmarks.results import Results, command
from utils.command_line import run as run_command
from utils.paths import DATASETS

FILE = DATASETS / "optimizers.json"
BATCH_SIZE, STEPS, SEED = 8, 1400, 0
LARGE_BATCH = 16  # that of the course's own runs
TUNING_STEPS = 300
SHORT_STEPS = 1000  # of the schedule that ends where the goal is
FACTOR = 3  # between neighbouring learning rates of the tuning
FIRST_RATES = {"AdamW": (0.001, 0.003, 0.009), "Muon": (0.007, 0.02, 0.06)}
TALES = 100  # held out, for the evaluations
STEPS_PER_EVALUATION = 50
SECONDS = 45  # CPU seconds that a slow rung of the ladder may take


@dataclass(frozen=True)
class Setting:
    """What one run is made of.

    Attributes:
        optimizer: "AdamW" or "Muon".
        rate: the highest learning rate.
        steps: the length of the schedule: warm-up, then half a cosine to 0.
        batch_size: windows in a step.
        windows: "padded", one tale each; "packed", running text cut anywhere; "stories", running
            text where each window starts at a story.
        compiled: whether XLA compiles it, as one program for a whole step.
        masked: whether the model also gets a padding mask, as keras-nlp's GPT-2 does by itself.
        stop_after: steps after which the run stops, though its schedule is longer.
        seconds: CPU seconds after which the run stops.
    """

    optimizer: str
    rate: float
    steps: int = STEPS
    batch_size: int = BATCH_SIZE
    windows: str = "stories"
    compiled: bool = True
    masked: bool = False
    stop_after: int | None = None
    seconds: float | None = None


# ---- one run -------------------------------------------------------------------------------------


class StoryWindows:
    """Windows of running text, (context + 1) ids each, that start at a story.

    Behind the story follows the beginning of the next one, in place of padding.
    """

    def __init__(self, ids: np.ndarray, context: int, end_id: int):
        self.ids, self.context = ids, context
        ends = np.flatnonzero(np.asarray(ids) == end_id)
        self.starts = ends[ends < len(ids) - context]

    def batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The windows of a step, (batch, context + 1), and their weights, all 1."""
        number, position = divmod(step, len(self.starts) // batch_size)
        order = np.random.default_rng([seed, number]).permutation(self.starts)
        chosen = order[position * batch_size : (position + 1) * batch_size]
        rows = np.array([self.ids[start : start + self.context + 1] for start in chosen], "int32")
        return rows, np.ones((batch_size, self.context), "float32")


def windows_for(corpus, kind: str):
    """What gives the batches of a run."""
    from utils.data.batches import Windows
    from utils.models.sizes import SIZES

    end_id, context = corpus.tokenizer.end_id, SIZES["small"].context
    padded = Windows(corpus.train, context, end_id, documents=True)
    if kind == "padded":
        return padded
    maker: Callable = StoryWindows if kind == "stories" else Windows
    return maker(corpus.train, padded.context, end_id)  # as long as the padded ones


def optimizer_for(setting: Setting):
    """The optimizer with its schedule; betas and so on are those of the course's runs."""
    import keras

    from utils.training.optimizers import Muon, warmup_cosine

    schedule = warmup_cosine(setting.rate, setting.steps, warmup=setting.steps // 20)
    if setting.optimizer == "AdamW":
        return keras.optimizers.AdamW(schedule, beta_2=0.98, weight_decay=0.01, global_clipnorm=1.0)
    return Muon(schedule, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)


def train(setting: Setting, corpus, judge: Callable) -> list[list[float]]:
    """Train as a setting says; return [step, CPU seconds so far, validation loss] of evaluations.

    Args:
        setting: the setting of the run.
        corpus: the tales.
        judge: a function that makes the one that measures the validation loss of a model from ids
            to logits.
    """
    import keras

    from utils.data.batches import as_examples
    from utils.models.gpt2 import build_gpt2, from_ids
    from utils.training.runs import compiled

    keras.backend.clear_session()
    keras.utils.set_random_seed(SEED)
    gpt2 = build_gpt2(corpus.vocabulary_size)
    network = from_ids(gpt2)
    evaluate = judge(network)
    model = compiled(gpt2 if setting.masked else network, optimizer_for(setting))
    model.jit_compile = setting.compiled
    windows = windows_for(corpus, setting.windows)
    spent, evaluations = 0.0, [[0, 0.0, evaluate()]]
    for step in range(setting.stop_after or setting.steps):
        start = time.process_time()
        ids, targets, weights = as_examples(*windows.batch(step, setting.batch_size, SEED))
        model.train_on_batch(with_mask(ids, weights) if setting.masked else ids, targets, weights)
        spent += time.process_time() - start
        if (step + 1) % STEPS_PER_EVALUATION == 0 or step == 0:
            evaluations.append([step + 1, round(spent, 2), round(evaluate(), 4)])
            if setting.seconds and spent > setting.seconds:
                break
    return evaluations


# ---- all runs ------------------------------------------------------------------------------------


def with_mask(ids: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs of keras-nlp's GPT-2: ids, and 1 where they are no padding; (batch, time) each."""
    mask = np.concatenate([np.ones((len(ids), 1)), weights[:, :-1]], axis=1)
    return {"token_ids": ids, "padding_mask": mask.astype("int32")}


def line(name: str, run: dict) -> str:
    """What one run has come to."""
    step, seconds, loss = run["evaluations"][-1]
    return f"{name:24} {step:5} steps {seconds:7.1f} CPU seconds   validation loss {loss:.4f}"


def evaluations(results: Results, name: str, setting: Setting, make: Callable) -> list:
    """The evaluations of a run, from the file if it is there with the same setting."""
    made = results.run(name, asdict(setting), lambda: {"evaluations": make(setting)}, line)
    return made["evaluations"]


def tune(results: Results, optimizer: str, make: Callable) -> float:
    """The best of a few learning rates in short runs; more are tried while it is at the edge."""
    rates, losses = list(FIRST_RATES[optimizer]), {}
    while True:
        for rate in rates:
            setting = Setting(optimizer, rate, steps=TUNING_STEPS)
            name = f"{optimizer} tuning {rate:g}"
            losses[rate] = evaluations(results, name, setting, make)[-1][2]
        best = min(rates, key=losses.__getitem__)
        if best == rates[0]:
            rates.insert(0, float(f"{best / FACTOR:.2g}"))
        elif best == rates[-1]:
            rates.append(float(f"{best * FACTOR:.2g}"))
        else:
            return best


def all_runs(results: Results, make: Callable) -> None:
    """The tuning, the two long runs, and the rungs of the ladder that are not among those."""
    adamw, muon = (tune(results, optimizer, make) for optimizer in FIRST_RATES)
    slow = Setting("AdamW", adamw, compiled=False, seconds=SECONDS)
    large = Setting("Muon", muon, batch_size=LARGE_BATCH)
    rungs = {
        "Muon": Setting("Muon", muon),
        "AdamW": Setting("AdamW", adamw),
        "large batch": large,
        "short schedule": replace(large, steps=SHORT_STEPS),
        "plain": replace(slow, windows="padded", masked=True),
        "packed": replace(slow, windows="packed"),
        "stories": slow,
    }
    for name, setting in rungs.items():
        evaluations(results, name, setting, make)


def prepared(results: Results) -> Callable[[Setting], list]:
    """Load the tales, note their floor, and return what makes a run."""
    from utils.data.batches import Windows
    from utils.data.corpora import load_corpus
    from utils.evaluation.losses import TokenLosses
    from utils.models.sizes import SIZES
    from utils.tales import corpus as stories_of
    from utils.tales import floor

    corpus = load_corpus("tales")
    validation = Windows(corpus.validation, SIZES["small"].context, corpus.tokenizer.end_id, True)
    rows, weights = (part[:TALES] for part in validation.in_order())
    lengths = weights.sum(axis=1).astype(int).tolist()
    results.data["floor"] = floor(stories_of("en", "validation", TALES), lengths)[0]
    results.data |= {"batch_size": BATCH_SIZE, "context": validation.context, "tales": TALES}

    def judge(network):
        losses = TokenLosses(network)
        return lambda: losses.mean(rows, weights)

    return lambda setting: train(setting, corpus, judge)


def main() -> None:
    """Make the runs that are missing, or list those that are there."""
    args = command(__doc__, FILE).parse_args()
    results = Results(args.out, args.again)
    if args.list:
        results.show(line)
        return
    all_runs(results, prepared(results))


if __name__ == "__main__":
    run_command(main)
