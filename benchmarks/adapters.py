"""LoRA beside full fine-tuning and other ways to adapt a model, each with tuned learning rates.

    python -m benchmarks.adapters             # all runs, about an hour of CPU time
    python -m benchmarks.adapters --list      # what there is so far

Lesson 17 shows the result, `datasets/adapters.json`. Each run is written when it is complete; a
command that was stopped goes on with the next one. `--again` begins from nothing.

There are four tasks. In two of them the small GPT-2 goes on to another kind of text: the tales
retold with new words ("retold"), and the help texts of Python ("docs"). In the third the chat model
learns to answer like a pirate ("persona"). In the fourth the small GPT-2, which has only read
tales, learns to answer questions about them ("reading"). All methods are trained alike, with Adam,
for the same number of steps. The learning rate of each is tuned on validation data, and further
rates are tried while the best is at the edge. The result is measured on test data. The persona and
reading are tuned in short runs, then trained for longer, with two seeds.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks import results as results_file
from benchmarks.results import command
from utils.command_line import run as run_command
from utils.paths import DATASETS

FILE = DATASETS / "adapters.json"
STEPS, BATCH_SIZE, CONTEXT = 200, 4, 240
PERSONA_STEPS, PERSONA_TALES, PERSONA_QUESTIONS = 800, 600, 300
PERSONA_TUNING_STEPS = 300
READING_STEPS, READING_TUNING_STEPS, READING_BATCH_SIZE = 600, 150, 2
READING_TALES, READING_QUESTIONS = 2000, 300
SEEDS = (0, 1)  # of the persona and reading; the two texts are trained with the first one only
TALES = {"train": 240, "validation": 40, "test": 60}
WARMUP, DECAY = 10, 0.4  # steps, and the share of all steps in which the rate falls to 0
FACTOR = 3  # between neighbouring learning rates of the tuning
EXTRA = 3  # rates that are tried at most beyond the first three
PERSONA_METHODS = ("full", "LoRA r=8")
READING_METHODS = (
    "full",
    "full, tokens frozen",
    "LoRA r=8, tokens trained",
    "LoRA r=8, roles trained",
    "LoRA r=32",
    "LoRA r=8",
)
DOCS_METHODS = (
    "full",
    "full, tokens frozen",
    "LoRA r=4",
    "LoRA r=16",
    "LoRA r=16, tokens trained",
    "BitFit",
)
RETOLD_METHODS = (
    *DOCS_METHODS,
    "prompt tuning",
    "LoRA r=1",
    "LoRA r=4 query, value",
    "IA3",
    "DoRA r=4",
    "LoRA r=4 feed-forward",
    "AdaLoRA r=4",
    "prefix tuning",
)
TEXT_METHODS = {"retold": RETOLD_METHODS, "docs": DOCS_METHODS}


def first_rates(method: str) -> tuple[float, ...]:
    """The first three learning rates of the tuning: fewer parameters take larger steps."""
    if method.startswith("full"):
        return 1e-3, 3e-3, 9e-3
    if method in ("BitFit", "IA3", "prefix tuning", "prompt tuning"):
        return 1e-2, 3e-2, 9e-2
    return 5e-3, 1.5e-2, 4.5e-2


@dataclass(frozen=True)
class Setting:
    """What one run is made of.

    Attributes:
        task: "retold", "docs", "persona" or "reading".
        method: one of `benchmarks.adapter_methods.METHODS`.
        rate: the highest learning rate.
        seed: the seed of the first parameters and of the order of the rows.
        steps: the length of the schedule.
    """

    task: str
    method: str
    rate: float
    seed: int
    steps: int

    @property
    def name(self) -> str:
        """Tells the run from the others."""
        about = self.task, self.method, f"{self.rate:g}", f"seed {self.seed}", f"{self.steps} steps"
        return " | ".join(about)


# ---- one run -------------------------------------------------------------------------------------


class Trainer:
    """Trains one method. It compiles once, and then takes any task of the same shapes.

    Args:
        method: the way to adapt the model.
        weights: the parameters of the model.
        num_heads: its attention heads in each block.
    """

    def __init__(self, method, weights, num_heads: int):
        import tensorflow as tf

        from benchmarks.adapter_methods import adapted_logits

        self.method, self.weights = method, weights
        start = method.start(weights, np.random.default_rng(0))
        new = {name: tf.constant(array, tf.float32) for name, array in start.items()}
        self.values = {name: tf.Variable(array) for name, array in new.items()}
        self.mean = {name: tf.Variable(tf.zeros_like(array)) for name, array in new.items()}
        self.square = {name: tf.Variable(tf.zeros_like(array)) for name, array in new.items()}
        self.mask = {name: tf.Variable(tf.ones_like(array)) for name, array in new.items()}

        def losses(ids, targets, *views):
            logits = adapted_logits(method.adapt(weights, self.values), ids, num_heads, *views)
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)

        @tf.function(jit_compile=True)
        def step(rate, number, ids, targets, loss_mask, *views):
            with tf.GradientTape() as tape:
                found = losses(ids, targets, *views)
                loss = tf.reduce_sum(found * loss_mask) / tf.reduce_sum(loss_mask)
            gradients = tape.gradient(loss, self.values)
            for name, gradient in gradients.items():  # Adam, with beta_2 = 0.98
                gradient = tf.convert_to_tensor(gradient)  # that of a table comes in slices
                m, v = self.mean[name], self.square[name]
                m.assign(0.9 * m + 0.1 * gradient)
                v.assign(0.98 * v + 0.02 * gradient**2)
                size = m / (1 - 0.9**number) / (tf.sqrt(v / (1 - 0.98**number)) + 1e-8)
                self.values[name].assign((self.values[name] - rate * size) * self.mask[name])
            return loss

        self._step, self._losses = step, tf.function(losses, jit_compile=True)

    def begin(self, seed: int) -> None:
        """Put everything back to the beginning."""
        start = self.method.start(self.weights, np.random.default_rng(seed))
        for name, array in start.items():
            self.values[name].assign(array)
            self.mask[name].assign(np.ones(array.shape))
            for state in (self.mean, self.square):
                state[name].assign(np.zeros(array.shape))

    def train(self, batch: Callable, setting: Setting) -> float:
        """Train from the beginning; return the CPU seconds of a step, without compiling.

        Args:
            batch: a function (step, seed) -> ids, targets and loss mask, (batch, time) each; where
                a row holds several texts, positions and segments besides.
            setting: the setting of the run.
        """
        import tensorflow as tf

        self._step(tf.constant(0.0), tf.constant(1.0), *batch(0, 0))  # compiles, if it has to
        self.begin(setting.seed)
        started = time.process_time()
        for number in range(setting.steps):
            rate = setting.rate * schedule(number, setting.steps)
            self._step(
                tf.constant(rate, tf.float32),
                tf.constant(number + 1.0),
                *batch(number, setting.seed),
            )
            if self.method.budget and number == setting.steps // 3:
                self._cut()
        return (time.process_time() - started) / setting.steps

    def _cut(self) -> None:
        """AdaLoRA: only the important singular values go on."""
        from benchmarks.adapter_methods import keep_important

        names = [name for name in self.values if name.endswith(".s")]
        values = {name: self.values[name].numpy() for name in names}
        gradients = {name: self.mean[name].numpy() for name in names}
        kept = keep_important(values, gradients, self.method.budget)
        for name, ones in kept.items():
            self.mask[name].assign(ones)

    def loss(self, rows: np.ndarray, loss_mask: np.ndarray) -> float:
        """The mean loss of windows, (windows, time + 1), in nats per token."""
        total = 0.0
        for start in range(0, len(rows), 20):
            part = np.resize(rows[start : start + 20], (20, rows.shape[1]))
            there = loss_mask[start : start + 20]
            losses = self._losses(part[:, :-1], part[:, 1:]).numpy()[: len(there)]
            total += float(np.sum(losses * there))
        return total / float(loss_mask.sum())

    @property
    def parameters(self) -> int:
        """How many numbers are trained and kept."""
        sizes = {name: int(np.prod(value.shape)) for name, value in self.values.items()}
        if not self.method.budget:
            return sum(sizes.values())
        kept = 0  # of each s that is kept, a column of P and a row of Q are kept, too
        for name, mask in self.mask.items():
            if name.endswith(".s"):
                P, Q = (self.values[name[:-1] + part].shape for part in "PQ")
                kept += int(mask.numpy().sum()) * (1 + P[0] + Q[1])
        return kept

    @property
    def adapted(self):
        """The model with its parameters as they are now."""
        return self.method.adapt(self.weights, self.values)


def schedule(step: int, steps: int) -> float:
    """The share of the highest learning rate: up in a line, level, down in a line."""
    return min(1.0, (step + 1) / WARMUP, (steps - step) / (DECAY * steps))


# ---- tasks ---------------------------------------------------------------------------------------


class TextTask:
    """Another kind of text: windows of it for training, and the losses that are measured."""

    def __init__(self, name: str, windows: Callable, tales_loss_rows):
        self.name = name
        self.train, validation, test = (windows(split) for split in TALES)
        self.parts = {
            "validation": validation.in_order(),
            "new": test.in_order(),
            "old": tales_loss_rows,
        }

    def batch(self, step: int, seed: int):
        """Ids, targets and loss mask of a step."""
        from utils.data.batches import as_examples

        return as_examples(*self.train.batch(step, BATCH_SIZE, seed))

    def measure(self, trainer: Trainer) -> dict[str, float]:
        """The losses: "validation", "new" for the new kind of text, "old" for the tales."""
        return {name: round(trainer.loss(*part), 4) for name, part in self.parts.items()}


def text_tasks(corpus) -> list[TextTask]:
    """The two kinds of text that the small GPT-2 goes on to."""
    from utils.data.batches import Windows
    from utils.data.corpora import load_corpus
    from utils.data.shifts import retold_tales

    tokenizer, end_id = corpus.tokenizer, corpus.tokenizer.end_id
    old = Windows(corpus.validation, CONTEXT, end_id, documents=True)
    rows = tuple(part[: TALES["test"]] for part in old.in_order())
    docs = load_corpus("python_docs")
    train, held_out = (
        np.array([end_id, *tokenizer.encode(docs.tokenizer.decode(ids[1:-1])), end_id], "int32")
        for ids in (docs.train, docs.validation)
    )
    half = len(held_out) // 2
    parts = {"train": train, "validation": held_out[:half], "test": held_out[half:]}

    def retold(split: str) -> Windows:
        ids = retold_tales(tokenizer, split, TALES[split])
        return Windows(ids, CONTEXT, end_id, documents=True)

    def running(split: str) -> Windows:
        return Windows(parts[split], CONTEXT, end_id)

    return [TextTask("retold", retold, rows), TextTask("docs", running, rows)]


class PersonaTask:
    """The chat model learns to answer like a pirate; asked about tales that it has never seen."""

    name = "persona"

    def __init__(self, model):
        from utils.data.chat_template import Template
        from utils.data.dialogue_rows import PackedRows, encoded
        from utils.data.keras_tokenizers import from_keras
        from utils.data.shifts import persona_dialogues, persona_questions, persona_rows
        from utils.generation.generator import CachedModel, Generator

        self.template = template = Template(from_keras(model.preprocessor.tokenizer))
        context = model.backbone.max_sequence_length
        self.train = persona_rows(PERSONA_TALES, template)
        held_out = persona_dialogues("validation", TALES["validation"], template, context)
        self.held_out = PackedRows(encoded(held_out, template), context, template.end_id).in_order()
        self.questions = {
            split: persona_questions(split, PERSONA_QUESTIONS, template, context)
            for split in ("validation", "test")
        }
        self.parts = CachedModel.from_gpt2(model)
        self.generator = Generator(self.parts, template.end_id)

    def batch(self, step: int, seed: int):
        """Ids, targets, loss mask, positions and segments of a step."""
        return self.train.batch(step, BATCH_SIZE, seed)

    def measure(self, trainer: Trainer) -> dict[str, float]:
        """What is to be low in the tuning, the loss on held-out dialogues, and test results.

        "validation" is the share of questions about validation tales whose reply is not right and
        in style, "right" the share of those about test tales whose reply is, "style" of those in
        style.
        """
        self.generator.update(self.parts._replace(weights=trainer.adapted.weights))
        right, style = self._shares("test")
        return {
            "validation": round(1 - self._shares("validation")[0], 4),
            "loss": round(trainer.loss(*self.held_out), 4),
            "right": round(right, 4),
            "style": round(style, 4),
        }

    def _shares(self, split: str) -> tuple[float, float]:
        """The shares of replies right and in style, and in style."""
        from utils.data.shifts import FAREWELL, GREETING
        from utils.evaluation.scores import exact_match
        from utils.small_chat import answers

        asked = self.questions[split]
        prompts = [self.template.prompt(messages) for messages, _, _ in asked]
        replies = answers(self.generator, prompts, self.template.reply, top_k=1)
        pairs = zip(replies, (spoken for _, _, spoken in asked), strict=True)
        right = [exact_match(reply, spoken, "en") for reply, spoken in pairs]
        style = [one.startswith(GREETING) and one.endswith(FAREWELL) for one in replies]
        return float(np.mean(right)), float(np.mean(style))


class ReadingTask:
    """The small GPT-2 learns to answer questions about a tale; asked about tales it never saw.

    The rows are those of lesson 10 while its questions are plain: a tale and many short
    conversations about it, and now and then small talk.

    Args:
        model: a GPT-2 that knows the roles of a chat.
        template: the chat template that makes ids of messages.
    """

    name = "reading"

    def __init__(self, model, template):
        from utils.data.conversations import tales_with_room
        from utils.data.dialogue_rows import PackedRows, encoded
        from utils.data.dialogues import about_tales, small_talk
        from utils.data.tale_rows import TaleRows
        from utils.evaluation.examination import PLAIN_PER_TALE, examination
        from utils.generation.generator import CachedModel, Generator

        self.template = template
        rows = READING_STEPS * READING_BATCH_SIZE
        stories = tales_with_room("en", "train", READING_TALES)
        self.train = TaleRows(stories, small_talk("en", "train"), template, plain_rows=rows)
        held_out = encoded(about_tales("en", "validation", TALES["validation"]), template)
        context = model.backbone.max_sequence_length
        self.held_out = PackedRows(held_out, context, template.end_id).in_order()
        plain = examination("en", READING_QUESTIONS)["plain words"]
        self.questions = plain[::PLAIN_PER_TALE]  # one about each tale
        self.parts = CachedModel.from_gpt2(model)
        self.generator = Generator(self.parts, template.end_id)

    def batch(self, step: int, seed: int):
        """Ids, targets, loss mask, positions and segments of a step."""
        return self.train.batch(step, READING_BATCH_SIZE, seed)

    def measure(self, trainer: Trainer) -> dict[str, float]:
        """The loss on held-out dialogues, and the share of right replies to how many questions."""
        from utils.evaluation.examination import shares
        from utils.small_chat import answers

        self.generator.update(self.parts._replace(weights=trainer.adapted.weights))
        prompts = [self.template.prompt(question.messages) for question in self.questions]
        replies = answers(self.generator, prompts, self.template.reply, top_k=1)
        return {
            "validation": round(trainer.loss(*self.held_out), 4),
            "right": round(shares(replies, self.questions, "en")[0], 4),
            "questions": len(self.questions),
        }


# ---- all runs ------------------------------------------------------------------------------------


class Results(results_file.Results):
    """The file of results: runs by name, each with its setting and what was measured."""

    def measured(self, setting: Setting, make: Callable[[Setting], dict]) -> dict:
        """What a run has measured, from the file if it is there with the same setting."""
        return self.run(setting.name, asdict(setting), partial(make, setting), line)

    def note(self, **facts: Any) -> None:
        """Keep something that belongs to all runs; runs on another base model are forgotten.

        Args:
            facts: the facts by name. `bases` are the digests of the weights that the tasks start
                from.
        """
        bases = self.data.get("bases", {})
        changed = {task for task, base in facts.get("bases", {}).items() if bases.get(task) != base}
        self.data["runs"] = {
            name: run
            for name, run in self.data["runs"].items()
            if run["setting"]["task"] not in changed
        }
        facts["bases"] = bases | facts.get("bases", {})
        self.data |= facts


def line(name: str, run: dict) -> str:
    """What one run has come to."""
    about = {key: value for key, value in run.items() if key != "setting"}
    return f"{name:60} " + "  ".join(f"{key} {value:g}" for key, value in about.items())


def tune(results: Results, task: str, method: str, steps: int, make: Callable) -> float:
    """The learning rate with the best validation; more are tried while it is at the edge."""
    rates, found = list(first_rates(method)), {}
    while True:
        for rate in rates:
            if rate not in found:
                made = results.measured(Setting(task, method, rate, 0, steps), make)
                found[rate] = made["validation"]
        best = min(rates, key=found.__getitem__)
        if len(rates) < len(first_rates(method)) + EXTRA and best == min(rates):
            rates.insert(0, float(f"{best / FACTOR:.2g}"))
        elif len(rates) < len(first_rates(method)) + EXTRA and best == max(rates):
            rates.append(float(f"{best * FACTOR:.2g}"))
        else:
            return best


def maker(tasks: Sequence, trainer: Callable[[], Trainer]) -> Callable[[Setting], dict]:
    """What makes a run of one method; the trainer is made, and compiled, when it is needed."""
    by_name = {task.name: task for task in tasks}
    ready: list[Trainer] = []

    def make(setting: Setting) -> dict:
        if not ready:
            ready.append(trainer())
        task, (one,) = by_name[setting.task], ready
        seconds = one.train(task.batch, setting)
        about = {"parameters": one.parameters, "ms_per_step": round(1000 * seconds, 1)}
        return about | task.measure(one)

    return make


def texts(results: Results) -> None:
    """All runs of the two text tasks."""
    from benchmarks.adapter_methods import METHODS
    from utils.data.corpora import load_corpus
    from utils.generation.plain_gpt2 import read_weights
    from utils.models.sizes import SIZES
    from utils.small_gpt2 import pretrained
    from utils.training.adapters import weights_digest
    from utils.training.presets import load_preset

    corpus, base = load_corpus("tales"), pretrained("tales")
    model, tasks = load_preset(base.preset), text_tasks(corpus)
    weights, digest = read_weights(model), weights_digest(model)
    results.note(bases={task.name: digest for task in tasks})
    heads = SIZES["small"].heads
    before = Trainer(METHODS["IA3"](), weights, heads)  # changes nothing before it is trained
    results.note(before={task.name: task.measure(before) for task in tasks})
    for method in RETOLD_METHODS:
        make = maker(tasks, partial(Trainer, METHODS[method](), weights, heads))
        for task in tasks:
            if method in TEXT_METHODS[task.name]:
                tune(results, task.name, method, STEPS, make)


def persona(results: Results) -> None:
    """All runs of the persona."""
    from benchmarks.adapter_methods import METHODS
    from utils.generation.plain_gpt2 import read_weights
    from utils.small_chat import chat_run
    from utils.training.adapters import weights_digest
    from utils.training.presets import load_preset

    model = load_preset(chat_run("en").preset)
    results.note(bases={"persona": weights_digest(model)})
    weights, heads, task = read_weights(model), model.backbone.num_heads, PersonaTask(model)
    make = {
        method: maker([task], partial(Trainer, METHODS[method](), weights, heads))
        for method in PERSONA_METHODS
    }
    rates = {m: tune(results, task.name, m, PERSONA_TUNING_STEPS, make[m]) for m in PERSONA_METHODS}
    for seed in SEEDS:
        for method, rate in rates.items():
            results.measured(Setting(task.name, method, rate, seed, PERSONA_STEPS), make[method])


def reading(results: Results) -> None:
    """All runs of reading."""
    from benchmarks.adapter_methods import METHODS
    from utils.data.bpe import Tokenizer
    from utils.data.chat_template import Template
    from utils.data.keras_tokenizers import folder
    from utils.generation.plain_gpt2 import read_weights
    from utils.small_gpt2 import pretrained
    from utils.training.adapters import weights_digest
    from utils.training.finetuning import with_roles_learnt
    from utils.training.presets import load_preset

    template = Template(Tokenizer.load(folder("en")))
    model = load_preset(pretrained("tales").preset)
    results.note(bases={"reading": weights_digest(model)})
    model = with_roles_learnt(model, template)
    weights, heads = read_weights(model), model.backbone.num_heads
    task = ReadingTask(model, template)
    for method in READING_METHODS:
        make = maker([task], partial(Trainer, METHODS[method](), weights, heads))
        rate = tune(results, task.name, method, READING_TUNING_STEPS, make)
        for seed in SEEDS:
            results.measured(Setting(task.name, method, rate, seed, READING_STEPS), make)


def main() -> None:
    """Make the runs that are missing, or list those that are there."""
    args = command(__doc__, FILE).parse_args()
    results = Results(args.out, args.again)
    if args.list:
        results.show(line)
        return

    persona(results)
    texts(results)
    reading(results)


if __name__ == "__main__":
    run_command(main)
