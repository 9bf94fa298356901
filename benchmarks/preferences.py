"""Learning from preferences: how much each method gains, and what it pays for it.

    python -m benchmarks.preferences             # all runs, about 50 CPU minutes
    python -m benchmarks.preferences --list      # what there is so far

Lesson 21 shows the result, `datasets/preferences.json`. Each part is written when it is complete; a
command that was stopped goes on with the next one. `--again` begins from nothing. The trainings are
runs of the course like all others and are kept in `checkpoints/`.

All of them start from the small GPT-2 that was trained on the tales, and are judged by stories that
it samples afterwards at temperature 1, with seeds that no training uses.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.results import Results, command
from utils.command_line import run as run_command
from utils.data.conversations import REFUSALS
from utils.paths import DATASETS
from utils.quiet import import_tensorflow

FILE = DATASETS / "preferences.json"
MANY, FEW = 2000, 600  # stories of a point that decides something, and of another one
OWN = 2000  # stories of the base from which pairs are made
DIVERSITY = 500  # stories of which the different runs of words are counted
TALES = 200  # held out, for the loss
SEED, OWN_SEED = 500, 600  # of the stories that judge, and of those that pairs are made of
LABELLED = 550  # pairs for the reward model: twice as many labels
FIRST = 9  # policies that are made before the other parts
GROUPS = (2, 4, 8)  # of best-of-n
NOISE_GROUPS, NOISE_SEED = 12, 9000  # of the gradients that are compared
ANSWER_SEEDS = (0,)  # of the trainings on right answers
ANSWER_PARTS = ("plain words", "other words", "no answer")  # of the examination


@dataclass(frozen=True)
class Setting:
    """What one policy is made of.

    Attributes:
        kind: "temperature" for the base itself; "grpo"; "dpo".
        stories: the number of stories that judge it.
        temperature: the temperature at which it is sampled.
        recipe: the settings of the training, arguments of `GrpoRecipe` or `DpoRecipe`.
        prefer: what makes a story the chosen one of a pair, a name in `REWARDS`.
    """

    kind: str
    stories: int = FEW
    temperature: float = 1.0
    recipe: dict | None = None
    prefer: str | None = None


def plan() -> dict[str, Setting]:
    """All policies by name, the most important ones first."""
    improved = {
        "credit": "token",
        "parameters": "last norms",
        "beta": 0.2,
        "learning_rate": 0.01,
        "steps": 80,
    }
    # Advantages by story are in units of their deviation, about 0.5, so β is twice as large there.
    by_story = improved | {"credit": "story", "beta": 0.4}
    everything = improved | {"parameters": "all", "learning_rate": 0.001}
    hacked = {"reward": "hedgehogs", "learning_rate": 0.002, "steps": 30}
    usual: dict = {}

    def dpo(prefer: str, rate: float, seed: int = 0) -> Setting:
        return Setting("dpo", MANY, recipe={"learning_rate": rate, "seed": seed}, prefer=prefer)

    return {
        "base": Setting("temperature", MANY),
        "temperature 0.9": Setting("temperature", MANY, 0.9),
        "improved GRPO, seed 0": Setting("grpo", MANY, recipe=improved),
        "DPO hedgehog, rate 0.0001": dpo("hedgehog", 1e-4),
        "GRPO hedgehogs": Setting("grpo", recipe=hacked),
        "DPO hedgehog, rate 0.0002": dpo("hedgehog", 2e-4),
        "DPO valid, rate 0.0002": dpo("valid", 2e-4),
        "temperature 0.85": Setting("temperature", MANY, 0.85),
        "temperature 0.8": Setting("temperature", MANY, 0.8),
        "GRPO, seed 0": Setting("grpo", MANY, recipe=usual),
        "DPO hedgehog, rate 0.0004": dpo("hedgehog", 4e-4),
        "improved GRPO, seed 1": Setting("grpo", MANY, recipe=improved | {"seed": 1}),
        "improved, but no KL penalty": Setting("grpo", MANY, recipe=improved | {"beta": 0.0}),
        "improved, but by story": Setting("grpo", MANY, recipe=by_story),
        "improved, but all parameters": Setting("grpo", MANY, recipe=everything),
        "DPO valid, rate 0.001": dpo("valid", 1e-3),
        "DPO valid, rate 0.005": dpo("valid", 5e-3),
        "DPO hedgehog, rate 0.0002, seed 1": dpo("hedgehog", 2e-4, 1),
        "DPO valid, rate 0.001, seed 1": dpo("valid", 1e-3, 1),
        "GRPO, seed 1": Setting("grpo", MANY, recipe={"seed": 1}),
    }


class Bench:
    """What the parts share: the base, its stories, and what measures a policy."""

    def __init__(self):
        from utils.data.batches import Windows
        from utils.data.corpora import load_corpus
        from utils.preferences.stories import Storyteller, story_log_probs
        from utils.small_gpt2 import pretrained
        from utils.training.presets import load_preset

        corpus = load_corpus("tales")
        self.tokenizer = corpus.tokenizer
        self.base_folder = Path(pretrained("tales").preset)
        self.model, self.base = (load_preset(self.base_folder) for _ in range(2))
        self.teller = Storyteller(self.model, self.tokenizer)
        self.by_model, self.by_base = map(story_log_probs, (self.model, self.base))
        held_out = Windows(corpus.validation, 256, self.tokenizer.end_id, documents=True)
        self.held_out = [part[:TALES] for part in held_out.in_order()]
        self._own = None

    def tell(self, preset: Path | str, number: int, seed: int, temperature: float = 1.0):
        """Stories by the model in a folder."""
        from utils.training.presets import load_preset

        self.model.backbone.set_weights(load_preset(preset).backbone.get_weights())
        self.teller.update(self.model)
        return self.teller.tell(number, seed, temperature)

    @property
    def own(self):
        """Stories by the base that pairs are made of."""
        if self._own is None:
            self._own = self.tell(self.base_folder, OWN, OWN_SEED)
        return self._own

    def losses_at(self, temperature: float):
        """The losses of the model's tokens if it samples at this temperature."""
        from keras import Model

        from utils.evaluation.losses import TokenLosses
        from utils.models.gpt2 import from_ids

        plain = from_ids(self.model)
        return TokenLosses(Model(plain.inputs, plain.outputs[0] / temperature))

    def measure(self, preset: Path | str, setting: Setting) -> dict:
        """What the file keeps of a policy; its fields are explained in the data card."""
        from utils.preferences.stories import (
            distinct,
            has_hedgehog,
            is_valid,
            number_of_hedgehogs,
            rewards,
            story_log_probs,
        )

        stories = self.tell(preset, setting.stories, SEED, setting.temperature)
        by_policy = self.by_model
        if setting.temperature != 1:
            by_policy = story_log_probs(self.model, setting.temperature)
        ratios = by_policy(stories) - self.by_base(stories)
        some = stories.texts[:DIVERSITY]
        return {
            "valid": round(float(rewards(stories, is_valid).mean()), 4),
            "hedgehog": round(float(rewards(stories, has_hedgehog).mean()), 4),
            "hedgehogs": round(float(rewards(stories, number_of_hedgehogs).mean()), 3),
            "kl": round(float(ratios.mean()), 3),
            "kl_error": round(float(ratios.std() / len(ratios) ** 0.5), 3),
            "loss": round(self.losses_at(setting.temperature).mean(*self.held_out), 4),
            "distinct_3": round(distinct(some), 4),
            "different": len(set(some)) / len(some),
            "tokens": round(float(stories.mask.sum(axis=1).mean()), 1),
            "examples": stories.texts[:3],
        }


# ---- one policy ----------------------------------------------------------------------------------


def make(bench: Bench, setting: Setting) -> dict:
    """Train a policy if it has to be trained, and measure it."""
    start, run, margins = time.process_time(), None, {}
    if setting.kind == "grpo":
        from utils.preferences.grpo import GrpoRecipe, train_with_reward

        recipe = GrpoRecipe(**(setting.recipe or {}))
        run = train_with_reward(bench.base_folder, bench.tokenizer, recipe)
    elif setting.kind == "dpo":
        from utils.preferences.dpo import DpoRecipe, train_on_pairs

        name, dpo = setting.prefer or "", DpoRecipe(**(setting.recipe or {}))
        pairs = story_pairs(bench, name)
        run = train_on_pairs(pairs, name, bench.base_folder, dpo)
        margins = margins_of(bench, pairs, run.preset)
    made: dict = {"seconds": round(time.process_time() - start)} if run else {}
    if run:
        made["history"] = rounded(run.history)
    return made | margins | bench.measure(run.preset if run else bench.base_folder, setting)


def rounded(history: list[dict]) -> list[dict]:
    """The evaluations of a run with four decimals."""
    return [{name: round(value, 4) for name, value in one.items()} for one in history]


def margins_of(bench: Bench, pairs, preset: Path | str) -> dict:
    """How much more the chosen texts have gained on the base than the rejected ones.

    For the pairs of the training and those held out: the mean in nats, and the share above zero.
    """
    from utils.preferences.dpo import log_probs_of, pair_network
    from utils.preferences.pairs import split
    from utils.training.presets import load_preset

    policy, base = (
        log_probs_of(pair_network(load_preset(folder), pairs), pairs)
        for folder in (preset, bench.base_folder)
    )
    gained = policy - base
    margins = gained[:, 0] - gained[:, 1]
    train, held_out = split(len(pairs.rows))
    return {
        name: {
            "nats": round(float(margins[some].mean()), 3),
            "positive": round(float((margins[some] > 0).mean()), 4),
            "chosen": round(float(gained[some, 0].mean()), 3),
        }
        for name, some in {"margin_in_training": train, "margin_held_out": held_out}.items()
    }


def story_pairs(bench: Bench, prefer: str, number: int | None = None):
    """Pairs of the base's own stories, one with the property and one without it."""
    from utils.preferences.pairs import pairs_of_stories
    from utils.preferences.stories import REWARDS, rewards

    wanted = rewards(bench.own, REWARDS[prefer]) > 0
    pairs = pairs_of_stories(*(bench.own.some(np.flatnonzero(w)) for w in (wanted, ~wanted)))
    return pairs.part(slice(number))


# ---- how noisy a gradient is ---------------------------------------------------------------------


def gradient_noise(bench: Bench) -> dict:
    """GRPO's gradients for the base, each from one group: how much of them is signal?

    For each credit the signal-to-noise ratio, of all parameters and of the last normalizations.
    """
    from utils.preferences.grpo import CREDITS, GrpoRecipe, OnPolicy, _in_last_norms
    from utils.preferences.stories import is_valid, rewards

    bench.tell(bench.base_folder, 0, 0)  # the weights of the base
    models = {
        credit: OnPolicy(bench.model, bench.tokenizer, GrpoRecipe(credit=credit))
        for credit in CREDITS
    }
    gradients = {credit: gradient_of(model) for credit, model in models.items()}
    found: dict[str, list[np.ndarray]] = {credit: [] for credit in CREDITS}
    for group in range(NOISE_GROUPS):
        stories = models[CREDITS[0]].sample(GrpoRecipe().batch_size, NOISE_SEED + group)
        judged = rewards(stories, is_valid)
        for credit, model in models.items():
            advantages = model.advantages(stories, judged).astype("float32")
            found[credit].append(gradients[credit](stories.rows, stories.mask, advantages).numpy())
    last = np.concatenate(
        [
            np.full(int(np.prod(variable.shape)), _in_last_norms(variable, bench.model))
            for variable in models[CREDITS[0]].trainable_weights
        ]
    )
    ratios = {
        credit: {
            part: signal_to_noise(np.array(rows)[:, chosen].astype("float64"))
            for part, chosen in {"all parameters": last | ~last, "last norms": last}.items()
        }
        for credit, rows in found.items()
    }
    return {"groups": NOISE_GROUPS, "signal_to_noise": ratios}


def gradient_of(model) -> Callable:
    """From a group of stories and its advantages to the gradient, (parameters,)."""
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def gradient(rows, mask, advantages):
        with tf.GradientTape() as tape:
            loss = model.loss_of(rows, mask, advantages)
        parts = map(tf.convert_to_tensor, tape.gradient(loss, model.trainable_weights))
        return tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0)

    return gradient


def signal_to_noise(rows: np.ndarray) -> list[float]:
    """The squared length of the mean over the mean squared length, and its standard error.

    The first is estimated without bias, from the products of different rows; the error is that of a
    jackknife over the rows.
    """
    products = rows @ rows.T
    powers, number = np.diag(products), len(rows)

    def ratio(kept: np.ndarray) -> float:
        some, size = products[np.ix_(kept, kept)], len(kept)
        signal = (some.sum() - np.trace(some)) / (size * (size - 1))
        return float(signal / powers[kept].mean())

    every = np.arange(number)
    without = [ratio(np.delete(every, i)) for i in every]
    error = np.sqrt((number - 1) * np.var(without))
    return [round(ratio(every), 4), round(float(error), 4)]


# ---- what predicts validity ----------------------------------------------------------------------


def predict_validity(bench: Bench) -> dict:
    """A reward model on labels, beside the probabilities that the model gives by itself."""
    from utils.preferences.reward_model import (
        RewardRecipe,
        auc,
        load_reward_model,
        score,
        train_reward_model,
    )
    from utils.preferences.stories import is_valid, rewards, token_log_probs

    recipe = RewardRecipe()
    pairs = story_pairs(bench, "valid", LABELLED)
    run = train_reward_model(pairs, "valid", bench.base_folder, recipe)
    scorer = load_reward_model(run, bench.base_folder)
    stories = bench.tell(bench.base_folder, MANY, SEED)
    valid = rewards(stories, is_valid) > 0
    by_token = token_log_probs(bench.base)(stories)
    scores = {
        "reward model": score(scorer, stories.rows, stories.mask),
        "mean log p": by_token.sum(axis=1) / stories.mask.sum(axis=1),
        "lowest log p": by_token.min(axis=1),
        "length": -stories.mask.sum(axis=1),
    }
    chosen = score(scorer, pairs.rows[:, 0], pairs.mask[:, 0])
    rejected = score(scorer, pairs.rows[:, 1], pairs.mask[:, 1])
    return {
        "pairs": len(pairs.rows),
        "recipe": asdict(recipe),
        "history": rounded(run.history),
        "accuracy_in_training": round(float(np.mean(chosen > rejected)), 3),
        "auc": {name: round(auc(s[valid], s[~valid]), 3) for name, s in scores.items()},
        "best_of_n": {name: best_of(s, valid) for name, s in scores.items()},
    }


def best_of(scores: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """The share of valid stories if the best one of each n by a score is taken, for several n."""
    found = {}
    for n in GROUPS:
        groups = len(scores) // n
        best = scores[: groups * n].reshape(groups, n).argmax(axis=1)
        right = valid[n * np.arange(groups) + best]
        found[str(n)] = round(float(right.mean()), 4)
    return found


# ---- replies -------------------------------------------------------------------------------------


def rank_replies(bench: Bench) -> dict:
    """log p of candidates for a reply, forward and backward, on the held-out small talk.

    Half of the messages is for choosing the weight, the other half judges.
    """
    from utils.preferences.replies import (
        ReplyScorer,
        cases,
        exchanges,
        score_matrices,
        train_backward,
        train_forward,
    )

    forward, backward = (train(bench.base_folder) for train in (train_forward, train_backward))
    scorers = ReplyScorer(forward.preset), ReplyScorer(backward.preset)
    found = exchanges("en", "validation")
    parts = {}
    for name, part in {"choose": found[::2], "judge": found[1::2]}.items():
        some = cases(part, len(part), seed=21)
        ahead, back = score_matrices(some, *scorers)
        parts[name] = {
            "messages": [case.message for case in some],
            "candidates": [case.candidates for case in some],
            "forward": np.round(ahead, 2).tolist(),
            "backward": np.round(back, 2).tolist(),
        }
    return parts


# ---- right answers -------------------------------------------------------------------------------


def right_answers(bench: Bench) -> dict:
    """The chat model before and after a training on right answers, examined on held-out tales."""
    from utils.preferences.answers import AnswerRecipe, train_on_answers
    from utils.small_chat import chat_run

    base = Path(chat_run().preset)
    runs = {"before": examine_answers(base, base)}
    for seed in ANSWER_SEEDS:
        start = time.process_time()
        run = train_on_answers(base, AnswerRecipe(seed=seed))
        made = {"seconds": round(time.process_time() - start), "history": rounded(run.history)}
        runs[f"seed {seed}"] = made | examine_answers(Path(run.preset), base)
    for name, one in runs.items():
        shares = [f"{way} {share(one[way]):.3f}" for way in ("likeliest", "sampled")]
        print(f"answers, {name}: {', '.join(shares)}  KL {one['kl']:.3f}", flush=True)
    return {"recipe": asdict(AnswerRecipe()), "runs": runs}


def share(parts: dict[str, str]) -> float:
    """The share of right answers in all parts together."""
    marks = "".join(parts.values())
    return marks.count("1") / len(marks)


def examine_answers(preset: Path, base: Path) -> dict:
    """What the file keeps of a chat model: for each part of the examination 1 where it is right."""
    from utils.data.chat_template import Template
    from utils.data.keras_tokenizers import from_keras
    from utils.evaluation.examination import examination
    from utils.evaluation.losses import TokenLosses
    from utils.generation.generator import Generator
    from utils.models.gpt2 import from_ids
    from utils.preferences.answers import answer_rewards, sample_replies
    from utils.training.finetuning import VALIDATION_TALES, validation_rows
    from utils.training.presets import load_preset

    model = load_preset(preset)
    template = Template(from_keras(model.preprocessor.tokenizer))
    generator = Generator(model, template.end_id)
    losses, by_base = (TokenLosses(from_ids(one)) for one in (model, load_preset(base)))
    made: dict = {"likeliest": {}, "sampled": {}}
    ratios: list[float] = []
    refusals: Counter[str] = Counter()
    for part, asked in examination("en").items():
        if part in ANSWER_PARTS:
            prompts = [template.prompt(question.messages) for question in asked]
            for way, top_k in (("likeliest", 1), ("sampled", 0)):
                found = sample_replies(generator, template, prompts, SEED, top_k)
                right = answer_rewards(found.texts, asked).astype(int)
                made[way][part] = "".join(map(str, right))
            ratios += [*((by_base(found.rows) - losses(found.rows)) * found.mask).sum(axis=1)]
            refusals.update(text for text in found.texts if text in REFUSALS["en"])
    return made | {
        "kl": round(float(np.mean(ratios)), 4),
        "kl_error": round(float(np.std(ratios) / len(ratios) ** 0.5), 4),
        "loss": round(losses.mean(*validation_rows("en", VALIDATION_TALES, template)), 4),
        "refusals": dict(sorted(refusals.items())),
    }


# ---- all of it -----------------------------------------------------------------------------------


def complete(results: Results, bench: Callable[[], Bench]) -> None:
    """Make what the file does not have, each part written at once."""
    policies = list(plan().items())
    make_policies(results, bench, policies[:FIRST])
    parts: dict[str, Callable] = {
        "prediction": predict_validity,
        "replies": rank_replies,
        "answers": right_answers,
        "gradients": gradient_noise,
    }
    results.check_versions()
    for name, part in parts.items():
        if name not in results.data:
            results.data[name] = part(bench())
            results.save()
    make_policies(results, bench, policies[FIRST:])


def make_policies(results: Results, bench: Callable[[], Bench], policies: Iterable[tuple]) -> None:
    """Make the policies that the file does not have with the same setting."""

    def measured(setting: Setting) -> dict:
        return make(bench(), setting)

    for name, setting in policies:
        results.run(name, asdict(setting), partial(measured, setting), line)


def line(name: str, made: dict) -> str:
    """What one policy has come to."""
    return (
        f"{name:28} valid {made['valid']:.3f}  hedgehog {made['hedgehog']:.3f}  KL"
        f" {made['kl']:6.2f}  loss {made['loss']:.4f}  distinct-3 {made['distinct_3']:.3f}"
    )


def main() -> None:
    """Make the parts that are missing, or list those that are there."""
    from functools import cache

    args = command(__doc__, FILE).parse_args()
    results = Results(args.out, args.again)
    if args.list:
        results.show(line)
        return
    import_tensorflow()
    complete(results, cache(Bench))


if __name__ == "__main__":
    run_command(main)
