# %% [markdown]
# # 14. Scaling: larger, and in several processes
#
# At the end of this lesson you can fit a scaling law to many small runs, and you know how far to
# trust what it predicts, because here the loss that no model can beat is known. You can also
# calculate what a training takes in memory and time, and you have let several processes train one
# model together.
#
# You need: the floor and the training loop from [lesson 8](08_pretraining.ipynb), the bootstrap
# from [lesson 11](11_evaluation.ipynb), Muon from [lesson 13](13_optimizers.ipynb).

# %%
from utils.course.settings import settings

args = settings(steps=168, batch_size=8, seed=0)
print(args)

# %% [markdown]
# The settings are for the models that this lesson trains itself: 168 batches of eight tales, about
# 250,000 tokens, as many as several runs of the table below have read.

# %%
import json
import os
import socket
import subprocess
import sys
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from utils import tales
from utils.course.plots import STYLE
from utils.data.batches import Windows, as_examples
from utils.data.bpe import Tokenizer
from utils.data.downloads import shipped
from utils.data.keras_tokenizers import VOCABULARY_SIZE, folder
from utils.distributed.availability import jax_problem
from utils.errors import CourseError
from utils.evaluation.losses import TokenLosses
from utils.exercises import lesson_14 as check
from utils.models.gpt2 import build_gpt2, from_ids
from utils.models.sizes import SIZES, ModelSize
from utils.training.budget import (
    ATTENTION,
    FLOAT,
    GIB,
    HIDDEN,
    LOGITS,
    PROCESS,
    PROGRAM,
    VECTORS,
    training_memory,
)
from utils.training.optimizers import Muon, warmup_cosine
from utils.training.recipes import Recipe
from utils.training.runs import compiled

plt.style.use(STYLE)
rng = np.random.default_rng(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## A law for the loss
#
# A larger model reaches a lower loss, and so does one that reads more text. A **scaling law** says
# how much lower. The usual form has three terms:
#
# $$L(N, D) = E + \frac{A}{N^\alpha} + \frac{B}{D^\beta}$$
#
# $N$ is the number of parameters, $D$ the number of tokens that training reads. (We count $N$
# without the embedding tables; the authors of the law include them. Below, the fit is made both
# ways.) The second term is what a small model loses against a large one, the third what a short
# training loses against a long one. Both go to zero. What stays is $E$, the **irreducible loss**:
# the entropy of the text itself (Hoffmann and others, *Training Compute-Optimal Large Language
# Models*, 2022, section 3.3; the paper of the model *Chinchilla*).
#
# For real text nobody knows the true $E$, so nobody can say whether a fit has found it. For the
# tales we know it: it is the floor of lesson 8, the entropy of the grammar that writes them, in
# nats per token.
#
# The five numbers $A$, $B$, $E$, $\alpha$ and $\beta$ are found by a fit. $A$, $B$ and $E$ are
# positive and differ by orders of magnitude, so the fit looks for their logarithms.


# %%
def terms(theta, N, D):
    """The three terms of the law, (3, …, runs); theta (…, 5): log A, log B, log E, alpha, beta."""
    log_A, log_B, log_E, alpha, beta = np.moveaxis(np.asarray(theta), -1, 0)[..., None]
    logs = [log_A - alpha * np.log(N), log_B - beta * np.log(D), log_E + 0 * N]
    return np.exp(np.clip(np.array(logs), -50, 50))


def law(theta, N, D):
    """The losses that the law predicts, (…, runs)."""
    return terms(theta, N, D).sum(axis=0)


# %% [markdown]
# A fit needs the gradient: how does each prediction change with each of the five numbers? Of the
# *logarithm* of the loss, the derivative with respect to $\log A$ is the share that the first term
# has in the loss, and so on. With respect to $\alpha$ it is that share, times $-\log N$.


# %%
def jacobian(theta, N, D):
    """Derivatives of the logarithm of each predicted loss, (…, runs, 5)."""
    A, B, E = terms(theta, N, D) / law(theta, N, D)  # shares of the loss
    return np.stack([A, B, E, -A * np.log(N), -B * np.log(D)], axis=-1)


# %% tags=["nbval-check-output"]
TRUTH = np.array([np.log(300), np.log(3000), np.log(0.3), 0.6, 0.65])  # of a toy
some = np.array([2e4, 3e5]), np.array([5e5, 1e6])  # N and D of two runs
nudges = 1e-6 * np.eye(5)  # one number at a time
by_differences = [
    (np.log(law(TRUTH + nudge, *some)) - np.log(law(TRUTH - nudge, *some))) / 2e-6
    for nudge in nudges
]
same = np.allclose(jacobian(TRUTH, *some), np.transpose(by_differences), atol=1e-6)
print("the derivatives are those of finite differences:", same)
assert same

# %% [markdown]
# What should the fit minimise? The differences between the logarithms of predicted and measured
# losses. If they were squared, one odd run would pull the whole law towards it. The **Huber loss**
# is quadratic near zero and linear further out, so a run that is far off counts only in proportion
# to its distance. The authors of the law change from one to the other at 0.001, and so do we. Most
# errors below are larger than that, so in effect the fit minimises their mean absolute value.
#
# The lesson needs hundreds of fits, so this minimiser makes many of them at once. Each step solves
# a small system of equations, as if the law were linear near the present guess. If that makes the
# loss larger, the damping grows and the next step is shorter. (This is the Levenberg–Marquardt
# method with weights; any good minimiser would do. *The code can be skipped at a first reading.*)


# %%
DELTA = 0.001


def huber(residuals):
    """The sum of the Huber losses over the runs, (…)."""
    far = np.abs(residuals) > DELTA
    losses = np.where(far, DELTA * (np.abs(residuals) - DELTA / 2), residuals**2 / 2)
    return losses.sum(axis=-1)


def downhill(theta, residuals, N, D, damping, free):
    """A step towards smaller residuals (…, runs), from the guesses (…, 5)."""
    J = jacobian(theta, N, D) * free
    weights = np.minimum(1, DELTA / np.maximum(np.abs(residuals), 1e-12))  # far runs count less
    weighted = np.swapaxes(J * weights[..., None], -1, -2)  # (…, 5, runs)
    curvature, slope = weighted @ J, weighted @ residuals[..., None]
    diagonal = np.diagonal(curvature, axis1=-2, axis2=-1) + 1e-9
    damped = curvature + (damping * diagonal)[..., None] * np.eye(5)
    return -np.linalg.solve(damped, slope)[..., 0]


def descend(theta, N, D, L, free, rounds=150):
    """From many guesses (…, 5) at once to the nearest minima, and the Huber losses there."""
    residuals, damping = np.log(law(theta, N, D) / L), np.full((*theta.shape[:-1], 1), 1e-3)
    for _ in range(rounds):
        tried = theta + downhill(theta, residuals, N, D, damping, free)
        new = np.log(law(tried, N, D) / L)
        better = (huber(new) < huber(residuals))[..., None]
        theta, residuals = np.where(better, tried, theta), np.where(better, new, residuals)
        damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-9, 1e9)
    return theta, huber(residuals)


# %% [markdown]
# A fit of this kind may end in a minimum that is not the lowest one, so we begin at several guesses
# and keep the best end.

# %%
STARTS = np.array(
    [
        [3.0, 4.0, log_E, alpha, beta]
        for log_E in (-3.0, -1.0)
        for alpha in (0.3, 0.8)
        for beta in (0.3, 0.8)
    ]
)


def fit(N, D, L, E=None):
    """The five numbers with the smallest Huber loss, for each row of runs: (…, runs) -> (…, 5).

    If E is given, only the other four are free.
    """
    N, D, L = (np.asarray(part)[..., None, :] for part in (N, D, L))  # (…, 1, runs)
    starts, free = STARTS.copy(), np.ones(5)
    if E is not None:
        starts[:, 2], free[2] = np.log(E), 0
    starts = np.broadcast_to(starts, (*L.shape[:-2], *starts.shape))
    ends, losses = descend(starts, N, D, L, free)
    best = losses.argmin(axis=-1)[..., None, None]
    return np.take_along_axis(ends, best, axis=-2)[..., 0, :]


# %% [markdown]
# ## Does the method find a truth?
#
# First a case in which the law *is* true: losses computed from it, with noise of one per cent. How
# certain is the fitted $E$? The **bootstrap** tells: draw as many runs as there are, with
# replacement, fit again, and see how much the result varies.


# %%
def bootstrap(N, D, L, samples=200):
    """Fits to resampled runs, (samples, 5)."""
    drawn = rng.integers(len(N), size=(samples, len(N)))
    return fit(N[drawn], D[drawn], L[drawn])


def interval(values):
    """The middle 95 % of bootstrapped values."""
    return np.quantile(values, [0.025, 0.975])


# %%
grid = [part.ravel() for part in np.meshgrid(np.geomspace(1e4, 3e6, 12), np.geomspace(1e5, 2e6, 5))]
toy = law(TRUTH, *grid) * np.exp(0.01 * rng.normal(size=len(grid[0])))
E = np.exp(fit(*grid, toy)[2])
low, high = interval(np.exp(bootstrap(*grid, toy)[:, 2]))
print(f"{len(toy)} runs of a toy: E is {E:.3f}, 95 % of the fits lie ", end="")
print(f"between {low:.3f} and {high:.3f}; the truth is {np.exp(TRUTH[2]):.3f}")
assert low < np.exp(TRUTH[2]) < high

# %% [markdown]
# It does, if the law is true. The interval is wider than the noise: $E$ is where the curve goes
# *beyond* the last run, and several laws agree on the runs but not out there.

# %% [markdown]
# ## The runs
#
# Now real runs: small GPT-2s trained on the tales, from ten thousand to over three million
# parameters, most of them with several numbers of tokens. `python -m benchmarks.scaling` made them,
# and makes them anew on your machine; its results come with the course as
# [scaling.json](../datasets/scaling.md). What the runs have in common:
#
# * **Complete runs.** Each has its own learning rate schedule, which reaches 0 at its last token.
#   In the middle of a longer run the learning rate is still high, and the loss with it.
# * **No token twice.** The grammar makes up as many tales as are wanted. $D$ counts the targets;
#   padding does not count.
# * **Two layers.** Only the width differs, so $N$ says all about the size.
# * **Muon**, with the learning rate $0.04 \cdot (80/\text{width})^{0.576}$. This power of the width
#   goes through the best rates of two widths, printed below; for larger widths it is a guess. A law
#   fitted to badly tuned runs describes the tuning.
# * **The same test for all**: held-out tales whose own floor is known.

# %%
results = json.loads(shipped("scaling.json").read_text(encoding="utf-8"))
floors = results["floors"]
every_run = list(results["runs"].values())


def of_language(language, purpose=None):
    """The runs of the file in a language, all of them or those for one purpose."""
    found = [run for run in every_run if run["language"] == language]
    return [run for run in found if purpose in (None, run["purpose"])]


swept = sorted((r["width"], r["tokens"]) for r in every_run if r["purpose"] == "tuning")
for width, tokens in dict.fromkeys(swept):
    same = [r for r in of_language("en") if (r["width"], r["tokens"]) == (width, tokens)]
    rates = [f"{r['rate']:g} → {r['loss']:.2f}" for r in sorted(same, key=lambda r: r["rate"])]
    print(f"width {width}, {tokens:,} tokens; learning rate → loss:", ", ".join(rates))


# %%
def table(language, purpose="grid", rows=0):
    """N, D and the loss of each run, three arrays (runs,); `rows` of embeddings count in N."""
    chosen = of_language(language, purpose)
    return np.array(
        [[r["parameters"] + rows * r["width"], r["tokens"], r["loss"]] for r in chosen]
    ).T


LANGUAGES = {"en": "English", "zh": "Chinese"}
for language in LANGUAGES:
    if table(language).shape[-1] < 12:  # for five unknown numbers
        raise CourseError("Too few runs for a law: python -m benchmarks.scaling goes on with them.")
    N, D, L = table(language)
    print(f"{language}: {len(L)} runs of {len(set(N))} sizes, {N.min():,.0f} to ", end="")
    print(f"{N.max():,.0f} parameters, {D.min():,.0f} to {D.max():,.0f} tokens; ", end="")
    print(f"floor {floors[language]:.4f}")
minutes = sum(run["seconds"] for run in every_run) / 60
print(f"{len(every_run)} of {results['planned']} runs are in the file, those for tuning included")
print(f"they took {minutes:.0f} minutes of processor time")

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharex=True, sharey=True)
for axis, language in zip(axes, LANGUAGES, strict=True):
    N, D, L = table(language)
    for budget, marker in zip(sorted(set(D)), "ov^sD", strict=False):
        which = [i for i in np.argsort(N) if D[i] == budget]
        label = f"{budget / 1e6:.2f}"
        axis.loglog(N[which], L[which], marker=marker, markersize=4, label=label)
    axis.axhline(floors[language], color="black", linewidth=0.8, linestyle=":", label="floor")
    axis.set(xlabel="parameters without embeddings", title=f"{LANGUAGES[language]}: loss by size")
    axis.set_yticks([0.3, 0.5, 1, 2, 4], [0.3, 0.5, 1, 2, 4])
    axis.minorticks_off()
    axis.set_ylim(0.25, 9)  # room for the legend
    axis.legend(title="tokens, millions", ncols=2)
axes[0].set_ylabel("loss, nats per token")
plt.show()

# %% [markdown]
# Read a line from left to right: at a fixed number of tokens, more parameters help, then less and
# less, and in English some of the largest models are worse again (perhaps for their learning
# rates). Read from line to line: more tokens help at a fixed size.
#
# A law in $N$ takes for granted that only the number of parameters counts, and not the shape of the
# model. Here are three runs with a third layer, which are not part of the fit, each beside the run
# with two layers that has the nearest number of parameters.

# %%
for run in of_language("en", "depth"):
    N, D, L = table("en")
    near = np.where(run["tokens"] == D, np.abs(np.log(N / run["parameters"])), np.inf).argmin()
    print(f"{run['tokens']:,} tokens; 3 layers, {run['parameters']:9,} parameters: ", end="")
    print(f"loss {run['loss']:.2f}; 2 layers, {N[near]:9,.0f} parameters: loss {L[near]:.2f}")

# %% [markdown]
# Three layers are behind here, because of the shape or because of the learning rate, which was
# tuned for two. All runs of the fit have two layers.
#
# ## Two of them, live
#
# You should check a table that someone else has made. Here are two of its runs, the smaller one
# from three seeds, that is, with other first weights and the same tales: how much of a loss is
# chance?


# %%
def rows_of(split, number):
    """Windows of one tale each (tales, time + 1), their loss mask, and the tales."""
    stories = tales.corpus("en", split, number)
    tokenizer = Tokenizer.load(folder("en"))
    end = tokenizer.end_id
    ids = [end] + [i for story in stories for i in (*tokenizer.encode(story.text), end)]
    return (*Windows(np.array(ids), 256, end, documents=True).in_order(), stories)


rows, loss_mask, _ = rows_of("train", args.steps * args.batch_size)
held_out, held_out_mask, stories = rows_of("validation", results["held_out_tales"])
floor, _ = tales.floor(stories, held_out_mask.sum(axis=1).astype(int).tolist())
print(f"floor of the {len(stories)} held-out tales: {floor:.4f}")
assert abs(floor - floors["en"]) < 1e-6


# %%
def batch(step):
    """Inputs, targets and loss mask of a step, (batch, time) each; no tale comes twice."""
    part = slice(step * args.batch_size, (step + 1) * args.batch_size)
    return as_examples(rows[part], loss_mask[part])


def untrained(width, seed):
    """A GPT-2 of two layers."""
    keras.utils.set_random_seed(seed)
    size = ModelSize(layers=2, heads=2, width=width, feed_forward=4 * width, context=256)
    return from_ids(build_gpt2(VOCABULARY_SIZE, size))


def small_runs(width, rate, seeds):
    """Train from each seed, compiled once; the last model, and all losses on the held-out tales."""
    network = untrained(width, seeds[0])
    schedule = warmup_cosine(rate, args.steps, warmup=args.steps // 20)
    optimizer = Muon(schedule, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)
    model, judge, losses = compiled(network, optimizer), TokenLosses(network), []
    optimizer.build(network.trainable_variables)
    start = [variable.numpy() for variable in optimizer.variables]
    for seed in seeds:
        network.set_weights(untrained(width, seed).get_weights())
        for variable, number in zip(optimizer.variables, start, strict=True):
            variable.assign(number)
        for step in range(args.steps):
            model.train_on_batch(*batch(step))
        losses.append(judge.mean(held_out, held_out_mask))
    return network, losses


# %%
LIVE = [(24, 0.08, (0, 1, 2)), (48, 0.054, (0,))]  # width, rate, further seeds
live_tokens = int(loss_mask.sum())
in_file = {(run["width"], run["tokens"]): run["loss"] for run in of_language("en", "grid")}
live = {}
for width, rate, further in LIVE:
    seeds = [args.seed + more for more in further]
    network, live[width] = small_runs(width, rate, seeds)
    there = in_file.get((width, live_tokens))
    for seed, loss in zip(seeds, live[width], strict=True):
        known = there if seed == args.seed else None
        print(f"width {width:3}, seed {seed}: loss {loss:.3f}", end="")
        print(f"; in the file {known:.3f}" if known else "")
    if there and args.batch_size == results["batch_size"] and args.seed == 0:
        assert abs(live[width][0] / there - 1) < 0.1
noise = np.std(np.log(live[24]), ddof=1)
print(f"from seed to seed the loss varies by {noise:.1%} (standard deviation)")
NOISE = 0.02  # of the twins below: more than that
assert noise < NOISE or args.seed or args.steps != 168

# %% [markdown]
# With the default settings the runs of seed 0 are those of the file, up to rounding errors.
#
# ## Does the Chinchilla procedure find the floor?
#
# Fit the law to all runs (the paper's third approach, a *parametric fit*), and compare $E$ with the
# floor. $E$ is left free: the fit knows nothing of the floor.


# %%
def errors(theta, N, D, L):
    """The absolute differences between the logarithms of predicted and true losses, (…, runs)."""
    return np.abs(np.log(law(theta, N, D) / L))


laws, samples = {}, {}
for language in LANGUAGES:
    runs = table(language)
    laws[language], samples[language] = fit(*runs), bootstrap(*runs)
    A, B, E = np.exp(laws[language][:3])
    alpha, beta = laws[language][3:]
    low, high = interval(np.exp(samples[language][:, 2]))
    off = errors(laws[language], *runs)
    print(f"{language}: L = {E:.3f} + {A:.3g} / N^{alpha:.2f} + {B:.3g} / D^{beta:.2f}")
    print(f"    E between {low:.3f} and {high:.3f} in 95% of the bootstrap fits; ", end="")
    inside = "inside" if low < floors[language] < high else "outside"
    print(f"floor {floors[language]:.4f}: {inside} the interval")
    nothing = np.mean(np.exp(samples[language][:, 2]) < floors[language] / 10)
    print(f"    {nothing:.0%} of the bootstrap fits find an E below a tenth of the floor")
    print(f"    error above {DELTA:.1%} in {np.sum(off > DELTA)} of {len(off)} runs; ", end="")
    by_law = law(laws[language], *runs[:2])[off.argmax()]
    N, D, L = runs[:, off.argmax()]
    print(f"mean {off.mean():.1%}; largest: loss by the law {by_law:.2f}, ", end="")
    print(f"measured {L:.2f}, with {N:,.0f} parameters and {D:,.0f} tokens")
    all_counted = table(language, rows=VOCABULARY_SIZE + 256)
    off = errors(fit(*all_counted), *all_counted)
    print(f"    fitted with the embedding tables counted in N: mean error {off.mean():.1%}")
    assert low < floors[language] / 2 < floors[language] < high

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6))
for language, marker, line in zip(LANGUAGES, "o^", ["-", "--"], strict=True):
    N, D, L = table(language)
    name = LANGUAGES[language]
    left.loglog(L, law(laws[language], N, D), marker, markersize=4, label=name)
    values = np.minimum(np.exp(samples[language][:, 2]) / floors[language], 1.99)
    right.hist(values, np.linspace(0, 2, 21), histtype="step", lw=1.8, ls=line, label=name)
left.axline((0.3, 0.3), (4, 4), color="black", linewidth=0.8, linestyle=":", label="equal")
ticks = [0.3, 0.5, 1, 2, 4]
left.set_xticks(ticks, ticks)
left.set_yticks(ticks, ticks)
left.minorticks_off()
left.set(xlabel="measured loss, nats per token", ylabel="loss by the law, nats per token")
left.set_title("The fitted law and the runs")
right.axvline(1, color="black", linewidth=0.8, linestyle=":", label="E = floor")
right.set(xlabel="fitted E / floor (last bin: 1.9 or more)", ylabel="bootstrap fits")
right.set_title("What the bootstrap fits say about E")
left.legend()
right.legend()
plt.show()

# %% [markdown]
# The floor lies inside both intervals, but that is no success, because values far below it do, too:
# the intervals begin at zero and end above the floor. Many of the fits find next to no irreducible
# loss. So the procedure does not find $E$ from these runs. A single fit would have hidden that: its
# one number may look like a result. Counting the embedding tables changes the errors little.
#
# Are the runs too few and too far from the floor? Or is the *form* of the law wrong? The bootstrap
# cannot tell, because it takes the form for granted. If the form is wrong, the truth may lie
# outside even a narrow interval. Two experiments:
#
# 1. Set $E$ to zero, or to the floor, and fit the other four numbers. How much worse does the law
#    describe the runs?
# 2. Invent twins of the runs: the same $N$ and $D$, and losses from the law with $E$ at the floor,
#    with noise of two per cent, more than that of the seeds above. For them the form is right. What
#    does the fit find there?

# %%
for language in LANGUAGES:
    N, D, L = table(language)
    at_floor = fit(N, D, L, E=floors[language])
    tried = {"free": laws[language], "nearly 0": fit(N, D, L, E=1e-6), "the floor": at_floor}
    off = {name: errors(theta, N, D, L).mean() for name, theta in tried.items()}
    printed = [f"{name} {error:.1%}" for name, error in off.items()]
    print(f"{language}: mean error of the law with E", ", ".join(printed))
    twins = law(at_floor, N, D) * np.exp(NOISE * rng.normal(size=(50, len(N))))
    found = fit(N, D, twins)
    twin_errors = errors(found, N, D, twins).mean(axis=-1)
    low, middle, high = np.quantile(np.exp(found[:, 2]) / floors[language], [0.025, 0.5, 0.975])
    print(f"    {len(twins)} twins (invented losses, E at the floor): ", end="")
    print(f"mean error at most {twin_errors.max():.1%}; fitted E / floor: ", end="")
    print(f"median {middle:.2f}, 95% between {low:.2f} and {high:.2f}")
    assert off["free"] > 3 * twin_errors.max() and 0.8 < middle < 1.2

# %% [markdown]
# For the twins the fit finds an $E$ near the truth, and the law misses them only by about the
# noise: if the form were right, as many runs, no nearer to the floor, would be enough. It is not
# right for these runs (whose learning rates were tuned at one number of tokens only): the law
# misses them several times as far, nearly alike with $E$ free, near 0 or at the floor.
#
# Where does it miss them? Here are its errors (plus: too high) at the sizes trained with at least
# four numbers of tokens.


# %%
def percent(share):
    """A signed percentage; what rounds to nothing is +0%."""
    return f"{round(share, 2) + 0.0:+.0%}"


for language in LANGUAGES:
    N, D, L = table(language)
    off = law(laws[language], N, D) / L - 1
    for size in sorted(set(N)):
        mine = [i for i in np.argsort(D) if N[i] == size]  # from few tokens to many
        if len(mine) >= 4:
            row = [f"{D[i] / 1e6:.2f} M → {percent(off[i])}" for i in mine]
            print(f"{language} {size:9,.0f} parameters; tokens → error:", ", ".join(row))
N, D, L = table("en")
worst = errors(laws["en"], N, D, L).argmax()
endless = law(laws["en"], N[[worst]], np.array([np.inf]))[0]
print(f"en {N[worst]:9,.0f} parameters: by the law, {endless:.2f} after endless text; ", end="")
print(f"trained with {D[worst]:,.0f} tokens: {L[worst]:.2f}")
assert endless > L[worst]

# %% [markdown]
# In English the law is far too high for the two smaller models once they have read more: in short
# runs small models are far behind. The law counts that as $A/N^\alpha$, which no amount of text can
# reduce (the last line above), but they went on learning. In Chinese, where its $E$ is next to
# nothing, it becomes too low for the largest one.
#
# So the fitted law roughly sums up runs like these, and its $E$ is not the entropy of the text. The
# published laws were fitted to much longer runs of much larger models; but there, too, nobody can
# look up the true $E$.
#
# ## The best use of a fixed time
#
# You have a machine for a fixed time. A small model reads much text in it, a large one little. The
# size with the lowest loss at the end is called **compute-optimal**, and the law names it: put in
# how many tokens each size can read, and take the minimum.
#
# How long does a token take? The file has the processor time of each run.

# %%
english = of_language("en", "grid")
sizes = np.array(sorted({run["parameters"] for run in english}))
per_token = np.array(
    [
        np.median([r["seconds"] / r["tokens"] for r in english if r["parameters"] == size])
        for size in sizes
    ]
)
for size, seconds in zip(sizes, per_token, strict=True):
    print(f"{size:9,} parameters {1e6 * seconds:6.0f} µs a token")

# %%
BUDGETS = {"30 s": 30, "5 min": 300}  # of processor time
predicted = {}
for name, seconds in BUDGETS.items():
    affordable = seconds / per_token  # tokens
    predicted[name] = law(laws["en"], sizes, affordable)
    best = predicted[name].argmin()
    N, D = sizes[best], affordable[best]
    print(f"{name:5}: predicted best: {N:,} parameters and {D / 1e6:.2f} million tokens, ", end="")
    print(f"{D / N:.1f} for each parameter; predicted loss {predicted[name][best]:.3f}")
assert predicted["5 min"].min() < floors["en"]

# %% [markdown]
# For five minutes the law promises a loss below the floor, which no model can reach: its $E$ is too
# low, and no run of the fit was so large *and* so long. For both times some sizes were trained with
# about as many tokens as the time allows, the predicted one for five minutes among them. The fit
# has not seen these runs. (With a fixed number of operations in place of a fixed time, curves like
# these are called **IsoFLOP profiles**, the second approach of the paper.)

# %%
figure, axis = plt.subplots()
for (name, losses), line, marker in zip(predicted.items(), ["-", "--"], "o^", strict=True):
    (curve,) = axis.loglog(sizes, losses, line, label=f"{name}, predicted by the law")
    if table("en", name).size:
        N, D, L = (part[np.argsort(table("en", name)[0])] for part in table("en", name))
        axis.loglog(N, L, marker, color=curve.get_color(), label=f"{name}, trained")
        for row in zip(N, D, law(laws["en"], N, D), L, strict=True):
            print(name.ljust(5), "{:9,.0f} parameters {:9,.0f} tokens: ".format(*row), end="")
            print("predicted {:.3f}, trained {:.3f}, ".format(*row[2:]), end="")
            print("error", percent(row[2] / row[3] - 1))
        near = np.abs(np.log(N / sizes[losses.argmin()])).argmin()
        print(f"{name:5}: trained best: {N[L.argmin()]:,.0f} parameters, ", end="")
        print(f"{D[L.argmin()] / N[L.argmin()]:.0f} tokens for each, ", end="")
        print(f"loss {L.min() / floors['en']:.2f} times the floor; nearest to the ", end="")
        print(f"predicted size: {N[near]:,.0f}, with {L[near] / L.min() - 1:.1%} more loss")
        assert (L[near] / L.min() < 1.05) == (name == "30 s")
axis.axhline(floors["en"], color="black", linewidth=0.8, linestyle=":", label="floor")
axis.set_yticks([0.3, 0.5, 1, 2, 4], [0.3, 0.5, 1, 2, 4])
axis.minorticks_off()
axis.set(xlabel="parameters without embeddings", ylabel="loss, nats per token")
axis.set_title("Loss after a fixed processor time")
axis.legend()
plt.show()

# %% [markdown]
# The trained sizes of five minutes form a U: on the left the model is too small for what it has
# read, on the right it has read too little for its size. For thirty seconds the smallest trained
# size is the best, so a still smaller one may be better. But the bottom is flat: sizes that differ
# by a factor of seven end within six per cent.
#
# For five minutes the law is too high for the small sizes and too low for the large ones, and the
# size that it recommends is not the best. That is to be expected: it recommends the size with the
# lowest prediction, which tends to be one where it errs downwards.
#
# The runs of five minutes took the longest, and come closest to the floor. What does the procedure
# find with them?

# %%
both = np.hstack([table("en"), table("en", "5 min")])
resampled = {"without 5-min runs": samples["en"], "with 5-min runs": bootstrap(*both)}
for (name, fits), theta in zip(resampled.items(), [laws["en"], fit(*both)], strict=True):
    low, high = interval(np.exp(fits[:, 2]))
    print(f"{name:18}: E = {np.exp(theta[2]):.3f}, 95% between {low:.3f} and {high:.3f}; ", end="")
    nothing = np.mean(np.exp(fits[:, 2]) < floors["en"] / 10)
    print(f"{nothing:.0%} of the bootstrap fits below a tenth of the floor")
print(f"floor {floors['en']:.3f}; the lowest loss of all these runs {both[2].min():.3f}")
assert low < floors["en"] / 10 < high < floors["en"]

# %% [markdown]
# With them $E$ is nearer to the floor, and fewer of the resampled fits give an $E$ near zero. The
# interval is narrower, but it still begins at zero, and now it ends below the floor: where the form
# of a law is wrong, more runs can make an interval *exclude* the truth. The authors of the law had
# more than 400 runs, of up to 16 billion parameters. A later analysis found the intervals in their
# paper much too narrow for that many runs (Besiroglu and others, *Chinchilla Scaling: A replication
# attempt*, 2024).

# %% [markdown]
# ## How large, how long: by arithmetic
#
# Before you start a large training, calculate: *memory* first. In float32 each parameter takes four
# bytes, its gradient four more. The **optimizer states** of AdamW are two more numbers. That is 16
# bytes for each parameter before a single token has been read. On top come the **activations**:
# what the forward pass computes and the backward pass needs again. They grow with the tokens of a
# batch. For each token each layer keeps several vectors, the hidden layer of its feed-forward
# network, and a row of attention weights for each head; then there are the logits. How many of each
# are kept was fitted to measured peaks, so some are fractions.

# %%
print(f"kept for each token and layer: {VECTORS} vectors, {HIDDEN} hidden layers, ", end="")
print(f"{ATTENTION} rows of attention weights for each head; once: {LOGITS} rows of logits")
PUBLISHED = {  # layers, heads, width, hidden units, context
    "GPT-2 (124M)": ModelSize(12, 12, 768, 3072, 1024),
    "GPT-2 medium (355M)": ModelSize(24, 16, 1024, 4096, 1024),
    "GPT-2 large (774M)": ModelSize(36, 20, 1280, 5120, 1024),
    "GPT-2 XL (1.5B)": ModelSize(48, 25, 1600, 6400, 1024),
}


def activations(size, vocabulary_size, tokens):
    """Bytes that are kept for the backward pass, with the factors of `training/budget.py`."""
    vectors = VECTORS * size.width + HIDDEN * size.feed_forward
    layer = vectors + ATTENTION * size.heads * size.context
    return FLOAT * tokens * (size.layers * layer + LOGITS * vocabulary_size)


print(f"{'GiB':22} {'weights':>8} {'gradient':>8} {'AdamW':>8} {'activations of 1024 tokens':>28}")
for name, size in PUBLISHED.items():
    weights = FLOAT * size.parameters(50_257) / GIB
    kept = activations(size, 50_257, 1024) / GIB
    print(f"{name:22} {weights:8.2f} {weights:8.2f} {2 * weights:8.2f} {kept:28.1f}")

# %% [markdown]
# `training_memory` of [budget.py](../utils/training/budget.py) does a sum of this kind for the
# course's own trainings: Muon in place of AdamW, with one state for a matrix, and Python and
# TensorFlow on top. Here it is beside peaks of three named sizes of the course, measured on a Linux
# machine (they are in `tests/test_budget.py`). The factors were fitted to such peaks, so this shows
# that one set of factors describes them all, not that it holds for other sizes.

# %% tags=["nbval-check-output"]
MEASURED = [  # size, batch size, parts (gradient accumulation), vocabulary, measured peak in GiB
    ("small", 16, 1, 1536, 1.34),
    ("medium", 16, 1, 1536, 2.73),
    ("medium", 16, 4, 1536, 2.06),
    ("gpt2", 2, 2, 50_257, 6.12),
]
for name, rows_in_step, parts, vocabulary_size, peak in MEASURED:
    recipe = Recipe(size=SIZES[name], batch_size=rows_in_step, accumulate=parts)
    estimate = training_memory(recipe, vocabulary_size, recipe.size.context) / GIB
    at_once = rows_in_step // parts
    print(f"{name:7} {at_once:2} of {rows_in_step:2} rows at once: ", end="")
    print(f"calculated {estimate:.1f} GiB, measured {peak:.1f}")
    assert abs(estimate / peak - 1) < 0.1

# %% [markdown]
# *Time* next. A matrix of $n$ numbers takes $n$ multiplications and $n$ additions for each token on
# the way forward, and twice as much on the way back: one product for the gradient of the input, one
# for that of the matrix. So a token costs about $6n$ **FLOPs** (floating-point operations), if $n$
# counts all parameters that multiply. The output layer does, though its table is no part of the
# law's $N$; the attention weights come on top, and are left out.
#
# How many FLOPs a second did the runs of the file reach?


# %%
def flops(layers, width, vocabulary_size, tokens):
    """About how many floating-point operations a training takes."""
    matrices = layers * 12 * width**2 + vocabulary_size * width
    return 6 * matrices * tokens


speeds = {}
for run in english:
    work = flops(run["layers"], run["width"], VOCABULARY_SIZE, run["tokens"])
    speeds.setdefault(run["parameters"], []).append(work / run["seconds"] / 1e9)
for size in sorted(speeds):
    print(f"{size:9,} parameters: {np.median(speeds[size]):3.0f} GFLOPs for each CPU second")

# %% [markdown]
# The smallest models reach a fraction of the best speed, and the largest are a little slower again,
# so time is not proportional to the FLOPs. A likely reason for the first: their matrices are so
# small that everything else takes longer. (The share of the peak speed that a training reaches is
# its **model FLOPs utilisation**, MFU.) With twenty tokens for each parameter, which the Chinchilla
# paper found to be about right for real text, the published sizes would take, at the best of these
# speeds and at 100 TFLOPs a second, about a third of the peak of an A100 GPU in 16 bits:


# %%
def two_digits(number):
    return f"{float(f'{number:.2g}'):,g}"


fastest = max(np.median(some) for some in speeds.values()) * 1e9
print(f"{'':19} 6n, GFLOPs/token  billion tokens  years on one such core  days on the GPU")
for name, size in PUBLISHED.items():
    tokens = 20 * size.parameters(50_257)
    token_flops = flops(size.layers, size.width, 50_257, 1)
    days = token_flops * tokens / 86400  # at one FLOP a second
    print(f"{name:19} {token_flops / 1e9:16.2f}  {two_digits(tokens / 1e9):>14}  ", end="")
    print(f"{two_digits(days / fastest / 365):>22}  {two_digits(days / 1e14):>15}")

# %% [markdown]
# Nothing was fitted to this: a step of the 124M size with AdamW, measured on another machine with
# two cores.

# %%
size = ModelSize(12, 12, 768, 3072, 256)
step_seconds = flops(size.layers, size.width, 50_257, 256) / fastest / 2  # on two cores
print(f"1 x 256 tokens: predicted {step_seconds:.1f} s a step, measured 2.3")
assert abs(step_seconds / 2.3 - 1) < 0.1
copies = 4 * FLOAT * size.parameters(50_257)  # weights, gradients and the two states of AdamW
fixed = PROCESS + size.layers * PROGRAM + copies
for texts, peak in (1, 3.9), (2, 4.2):
    estimate = (fixed + activations(size, 50_257, 256 * texts)) / 1e9
    print(f"{texts} x 256 tokens: predicted {estimate:.1f} GB, measured {peak}")
    assert 1.2 < estimate / peak < 1.4

# %% [markdown]
# The small models' speed holds for the large one; the memory is predicted more than a fifth too
# high.

# %% [markdown]
# ## Many processes: data parallel, by hand
#
# In **data parallelism** every process has the whole model, and each takes a part of every batch.
# Why is the result that of one process? Because the loss of a batch is a mean, and the gradient of
# a mean is the mean of the gradients:
#
# $$\nabla \frac{1}{B} \sum_{i=1}^{B} \ell_i = \frac{1}{P} \sum_{p=1}^{P} \Big( \frac{P}{B}
# \sum_{i \in \text{part } p} \nabla \ell_i \Big)$$
#
# if the $P$ parts are equally large. Here is the gradient of the last small model (`network`), of
# four tales together and of each by itself, as four processes would compute it. With padding the
# parts are *not* equally large, though: the loss is a mean over targets, and a part with longer
# tales has more of them. So each part must count by its share.

# %%
mean_loss = keras.losses.SparseCategoricalCrossentropy(
    from_logits=True, reduction="mean_with_sample_weight"
)


def gradient(inputs, targets, mask):
    """Of the mean loss, all parameters in one row: (parameters,)."""
    with tf.GradientTape() as tape:
        loss = mean_loss(targets, network(inputs), mask)
    parts = tape.gradient(loss, network.trainable_variables)
    return np.concatenate([tf.convert_to_tensor(part).numpy().ravel() for part in parts])


# %%
PROCESSES = 4
inputs, targets, mask = (part[:PROCESSES] for part in batch(0))
whole = gradient(inputs, targets, mask)
shards = [
    (inputs[p::PROCESSES], targets[p::PROCESSES], mask[p::PROCESSES]) for p in range(PROCESSES)
]
gradients = [gradient(*shard) for shard in shards]
shares = [shard[2].sum() / mask.sum() for shard in shards]
print("targets of each process:", *[int(shard[2].sum()) for shard in shards])
for name, weights in [("plain mean", [1 / PROCESSES] * PROCESSES), ("by their shares", shares)]:
    together = sum(weight * part for weight, part in zip(weights, gradients, strict=True))
    off = np.linalg.norm(together - whole) / np.linalg.norm(whole)
    print(f"{name:16} differs from the whole batch by {off:.1e} of its length")
assert off < 1e-4

# %% [markdown]
# The plain mean is a wrong gradient; weighted by the shares, only rounding errors are left.
#
# ## Ring all-reduce
#
# Now each process has a gradient, and every one needs the sum of all. This is an **all-reduce**. In
# the simplest one, a leader collects all gradients and sends the sum back; with many processes its
# network connection is the bottleneck. In a **ring all-reduce** all processes do the same. Each one
# cuts its gradient into as many pieces as there are processes, and sends to its right neighbour
# only.
#
# ![Ring all-reduce with four processes](../assets/ring.svg)
#
# 1. *Reduce-scatter*: in each step everyone passes one piece on, and adds the piece that arrives to
#    its own. After $P - 1$ steps each process has the full sum of one piece.
# 2. *All-gather*: the finished pieces go round once more, and replace what is there.
#
# (Patarasuk and Yuan, *Bandwidth optimal all-reduce algorithms for clusters of workstations*,
# 2009.)


# %%
def ring_all_reduce(vectors):
    """The sum at every process, (processes, n), and how many numbers each one has sent."""
    P = len(vectors)
    pieces = [np.array_split(vector.astype("float64"), P) for vector in vectors]  # of each process
    sent = np.zeros(P, int)
    for step in range(2 * P - 2):
        gathering = step >= P - 1
        moving = [(rank, (rank - step) % P) for rank in range(P)]
        cargo = [pieces[rank][piece].copy() for rank, piece in moving]  # all send at once
        for (rank, piece), numbers in zip(moving, cargo, strict=True):
            right = pieces[(rank + 1) % P]
            right[piece] = numbers if gathering else right[piece] + numbers
            sent[rank] += len(numbers)
    return np.array([np.concatenate(mine) for mine in pieces]), sent


# %%
weighted = [share * part for share, part in zip(shares, gradients, strict=True)]
sums, sent = ring_all_reduce(weighted)
print("every process has the gradient of the whole batch:", np.allclose(sums, sum(weighted)))
assert np.allclose(sums, sum(weighted))
n = len(whole)
print(f"numbers in a gradient {n:,}; each process sends {sent.max():,}, ", end="")
print(f"{sent.max() / n:.2f} times as many; 2 (P - 1) / P is {2 * (PROCESSES - 1) / PROCESSES}")

# %% tags=["nbval-check-output"]
print("processes   ring, each sends    leader sends")
for P in (2, 4, 8, 64):
    _, sent = ring_all_reduce([np.ones(6400)] * P)
    print(f"{P:9} {sent.max() / 6400:12.2f} gradients {P - 1:5} gradients")

# %% [markdown]
# However many processes there are, none sends more than twice the size of a gradient. The price is
# the number of steps, each of which waits for the neighbour; for small messages other patterns are
# faster.

# %% [markdown]
# ## The real thing: Keras on JAX
#
# Keras does all this by itself if its **backend**, the library below it that computes, is JAX. A
# program needs only a *distribution*, set before the model is built. The processes find each other
# at an address, that of the *coordinator*. All-reduce is one of several *collective operations*;
# *Gloo* is a library of them for processors, as *NCCL* is for Nvidia's GPUs.
#
# The following program is started several times, each time with another *rank*, the number of the
# process. It trains a small transformer for five steps on a toy: each row has 17 consecutive
# numbers, and a random number of targets. In data parallelism each process takes every `world`-th
# row of each batch, `rows[rank::world]`. The loss is a mean over the targets of all processes.
#
# **Model parallelism** is for a model that is too large for one device. A **layout map** says for
# each weight matrix along which of its axes it is cut; what it does not name, each process has
# whole. Each process keeps only its pieces, and the backend adds the exchanges that the matrix
# products need. Here the embedding table is cut by tokens, attention by heads, and the feed-forward
# network by hidden units.

# %%
WORKER = """
import hashlib, json, random, sys
import keras, jax, numpy as np
from keras import layers

kind, rank, world, address = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if world > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, world, rank)
if kind == "data":
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
else:
    mesh = keras.distribution.DeviceMesh((1, world), ("batch", "model"))
    layout = keras.distribution.LayoutMap(mesh)
    layout["table/embeddings"] = ("model", None)  # (vocabulary, width): by tokens
    layout["attention/(query|key|value)/kernel"] = (None, "model", None)  # by heads
    layout["attention/attention_output/kernel"] = ("model", None, None)
    layout["up/kernel"] = (None, "model")  # (width, hidden): by hidden units
    layout["down/kernel"] = ("model", None)
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(
            layout_map=layout, batch_dim_name="batch", auto_shard_dataset=False
        )
    )

random.seed(0)  # Keras draws its seeds here; its own set_random_seed would import TensorFlow
ids = keras.Input((16,), dtype="int32")
x = layers.Embedding(64, 32, name="table")(ids)
x = x + layers.MultiHeadAttention(2, 16, name="attention")(x, x, use_causal_mask=True)
x = x + layers.Dense(32, name="down")(layers.Dense(128, "gelu", name="up")(x))
model = keras.Model(ids, layers.Dense(64, name="logits")(x))
loss = keras.losses.SparseCategoricalCrossentropy(
    from_logits=True, reduction="mean_with_sample_weight"
)
model.compile(keras.optimizers.SGD(0.5, momentum=0.9), loss, jit_compile=True)

rng, losses = np.random.default_rng(0), []
for step in range(5):
    rows = (np.arange(17) + rng.integers(0, 40, (12, 1))).astype("int32")
    mask = (np.arange(16) < rng.integers(1, 17, (12, 1))).astype("float32")
    if kind == "data":
        rows, mask = rows[rank::world], mask[rank::world]
    model.reset_metrics()
    losses.append(float(model.train_on_batch(rows[:, :-1], rows[:, 1:], sample_weight=mask)))

held = {v.path: (v.shape, v.value.addressable_shards[0].data.shape) for v in model.weights}
digest = None
if kind == "data":  # every process has all parameters
    digest = hashlib.sha256(b"".join(v.tobytes() for v in model.get_weights())).hexdigest()
print(json.dumps({"losses": losses, "held": held, "digest": digest}))
"""

# %% [markdown]
# JAX is an optional part of the course. Without it the cell after the next one says so, and the
# lesson goes on.


# %%
def start(kind, rank, world, address):
    """A process with the program above, on JAX."""
    backend = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    backend |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # compiles sooner; the model is tiny
    command = [sys.executable, "-c", WORKER, kind, str(rank), str(world), address]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "encoding": "utf-8"}
    return subprocess.Popen(command, env=os.environ | backend, **pipes)


def free_address():
    """An address on this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return f"localhost:{found.getsockname()[1]}"


def together(kind, world, patience=240):
    """What each of the processes reports, or None if one fails or `patience` seconds are over."""
    address, end = free_address(), time.monotonic() + patience
    processes = [start(kind, rank, world, address) for rank in range(world)]
    while time.monotonic() < end:
        codes = {process.poll() for process in processes}  # None: it has not ended
        if codes == {0} or codes - {None, 0}:
            break
        time.sleep(0.1)
    failed = any(process.poll() != 0 for process in processes)
    for process in processes:
        process.kill()  # does nothing to one that has ended
    answers = [process.communicate()[0] for process in processes]
    return None if failed else [json.loads(answer.splitlines()[-1]) for answer in answers]


# %%
reports = {}
if problem := jax_problem():
    print("This part is skipped.", problem)
else:
    jobs = [("data", 1), ("data", 2), ("data", 3), ("model", 2)]
    for kind, world in jobs if args.steps >= 100 else jobs[:2]:
        reports[kind, world] = together(kind, world)
        if reports[kind, world] is None:
            print(f"{world} processes could not work together on this machine ({kind} parallel).")
reports = {job: report for job, report in reports.items() if report}

# %%
TOLERANCE = 1e-4
alone = reports.get(("data", 1))
for (kind, world), report in reports.items():
    for rank, process in enumerate(report):
        print(f"{kind} parallel, process {rank} of {world}: losses", np.array(process["losses"]))
        assert alone is None or np.allclose(process["losses"], alone[0]["losses"], rtol=TOLERANCE)
if len(reports) > 1 and alone:
    print(f"all the same to {TOLERANCE}")

# %%
for (kind, world), report in reports.items():
    if kind == "data" and world > 1:
        equal = len({process["digest"] for process in report}) == 1
        print(f"data parallel, {world} processes: all have the same parameters: {equal}")
        assert equal
    if kind == "model":
        for path, (shape, piece) in report[0]["held"].items():
            if shape != piece:
                print(f"model parallel: {path:34} is {shape}, a process holds {piece}")

# %% [markdown]
# The losses are compared with a tolerance, because the terms of a sum are added in another order
# and rounded differently. The parameters are equal to the last bit in all processes of a
# data-parallel training (their SHA-256 was compared): every process has received the same
# gradients.
#
# On Keras's TensorFlow backend the lines about a distribution are accepted and *do nothing*: each
# process trains a model of its own, without a warning. TensorFlow has strategies of its own. With
# the versions of this course, `MirroredStrategy` works, for several devices of one process, without
# `jit_compile`. `MultiWorkerMirroredStrategy`, for several processes, fails inside `fit`
# ([keras issue 20585](https://github.com/keras-team/keras/issues/20585)); a training loop written
# by hand around `strategy.run` works.
#
# The course's own command trains a GPT-2 in this way, on the tales or on your text, on one machine
# or on several:
#
# ```
# python -m utils.cluster --processes 2 --size medium --corpus my.txt
# ```
#
# If a process dies, the others end within 20 seconds with one sentence; the same command goes on
# from the last checkpoint ([measured](../benchmarks/README.md#several-processes)). The
# [README](../README.md#several-processes-several-machines) says what several machines need.
#
# ## If your result looks different
#
# * **The fit finds another E.** Look at the interval first. Then look which runs you fit: leave out
#   the shortest ones and fit again.
# * **A law with $E$ near zero, or with $\alpha$ above 2.** The runs do not reach the region where a
#   term becomes visible, or the form is wrong. More runs of the same kind do not help; longer or
#   larger ones may.
# * **Your runs are far from the file's.** Are `steps`, `batch_size` and `seed` the default
#   values?
# * **The processes could not work together.** A firewall may stop them, or the name `localhost`
#   does not resolve to 127.0.0.1.

# %% [markdown]
# ## Recap
#
# * A scaling law splits the loss into what no model can beat, what a larger model would win, and
#   what more text would win.
# * $E$ lies beyond all runs. A fit always gives a number for it. The bootstrap says what that
#   number is worth, if the form of the law is right. From these runs the procedure does not find
#   the floor: the intervals begin at zero, and the form is not right.
# * A law describes most of its runs roughly and may miss single ones by far; far beyond them it can
#   promise the impossible.
# * For a fixed time there is a best size, and a law fitted to short runs may miss it.
# * Float32 with AdamW takes 16 bytes for each parameter, plus activations; a token costs about 6
#   FLOPs for each parameter that multiplies.
# * The gradient of a batch is the mean of those of its parts, weighted by their targets. A ring
#   all-reduce adds them up; each process sends less than twice the size of a gradient.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words; then let `check.answer` show ours.
#
# 1. What does each of the three terms of the law mean?
# 2. Why must every run of the table have finished its own learning rate schedule?
# 3. A fit gives $E$ with a narrow bootstrap interval. Why may the true value still lie outside?
# 4. Two processes have parts of a batch with unequal numbers of targets. What goes wrong with the
#    plain mean of their gradients?
# 5. What does model parallelism save that data parallelism does not?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** From the five numbers of a law, the loss of a model with `N` parameters after `D` tokens.


# %%
def loss_by_law(N, D, A, B, E, alpha, beta):
    """Return the predicted loss."""
    ...


check.loss_by_law(loss_by_law)

# %% [markdown]
# **2.** How many bytes do the weights, the gradients and AdamW's states take, all in float32?


# %%
def adamw_bytes(parameters):
    """Return the number of bytes, without activations."""
    ...


check.adamw_bytes(adamw_bytes)

# %% [markdown]
# **3.** The gradient of a whole batch from those of its parts; `targets` says how many targets each
# part has.


# %%
def combine(gradients, targets):
    """Return the gradient of the whole batch; gradients is (parts, n), targets (parts,)."""
    ...


check.combine(combine)

# %% [markdown]
# **4.** How many numbers does each of `P` processes send in a ring all-reduce of `n` numbers? `P`
# divides `n`.


# %%
def ring_traffic(n, P):
    """Return a whole number."""
    ...


check.ring_traffic(ring_traffic)

# %% [markdown]
# ## Next
#
# A larger GPT-2 is still a GPT-2. Current models have changed its parts: other normalisation,
# positions, activation and attention. Which of these changes lowers the loss is measured in the
# same way, in [lesson 15](15_modern_block.ipynb).
