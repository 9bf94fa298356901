# %% [markdown]
# # 13. Optimizers: Muon, and a race to the floor
#
# At the end of this lesson you will have built Muon, the optimizer that trains the course's models,
# shown on a toy why it is fast, and measured it beside AdamW with equal care for both. You will
# know what each trick of a fast training contributes, and how to enter the race.
#
# You need: the narrow valley from [lesson 1](01_linear_regression.ipynb); AdamW, the learning rate
# schedule and the training loop from [lesson 8](08_pretraining.ipynb).

# %%
from utils.course.settings import settings

args = settings(steps=60, batch_size=16, seed=0)
print(args)

# %% [markdown]
# `steps` is the length of the short runs in the middle of the lesson.

# %%
import json
from dataclasses import replace

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from utils.course.plots import STYLE
from utils.data.batches import Windows, as_examples
from utils.data.corpora import load_corpus
from utils.data.downloads import shipped
from utils.exercises import lesson_13 as check
from utils.models.gpt2 import build_gpt2, from_ids
from utils.models.sizes import SIZES
from utils.training.optimizers import Muon
from utils.training.runs import compiled

plt.style.use(STYLE)
rng = np.random.default_rng(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## Why: a matrix has directions
#
# Adam looks at each number alone. But most parameters of a GPT are **weight matrices**, and what a
# matrix does is not in its single numbers: it turns its input, and stretches it more along some
# directions than along others.
#
# Here is a matrix `W` that should become `GOAL`. The variance of its inputs is a thousand times as
# large along their first direction, the most *common* one, as along their last, the *rarest*: the
# loss is a narrow valley, as in lesson 1. The gradient of half the mean squared error is
# `W - GOAL` times `covariance`, the matrix that holds these variances. The directions do not run
# along the axes, so the common ones dominate every single number of the gradient.

# %%
N = 8
directions, _ = np.linalg.qr(rng.normal(size=(N, N)))  # a random basis, one direction a column
variances = np.geomspace(1, 1e-3, N)  # of the inputs along each direction
covariance = directions * variances @ directions.T
GOAL = rng.normal(size=(N, N))


def toy_gradient(W):
    """Of half the mean squared error, (N, N)."""
    return (W - GOAL) @ covariance


# %% [markdown]
# The **singular value decomposition** (SVD) takes a matrix apart into a turn, a stretch and another
# turn: $G = U S V^\top$. The stretches, the **singular values**, come largest first. **Muon** takes
# its step with all of them set to 1: $UV^\top$ in place of $USV^\top$. This is called
# **orthogonalisation**, because $UV^\top$ is the nearest **orthogonal** matrix, one that turns but
# does not stretch. Rare directions then get as much of the step as common ones (Jordan and others,
# *Muon: An optimizer for hidden layers in neural networks*, 2024).


# %%
def by_svd(G):
    """The nearest orthogonal matrix: the same directions, all singular values 1."""
    U, _, Vt = np.linalg.svd(G, full_matrices=False)
    return U @ Vt


G = toy_gradient(np.zeros((N, N)))
U, S, Vt = np.linalg.svd(G)
print("singular values of the gradient       ", S)
print("Adam's first step along its directions", np.diag(U.T @ np.sign(G) @ Vt.T))
print("after orthogonalisation               ", np.linalg.svd(by_svd(G), compute_uv=False))

# %% [markdown]
# Adam's first step is $+1$ or $-1$ for each number. Along the directions of the SVD, it is still
# longest along the common ones, and along two of the rare ones it even points the wrong way: their
# numbers are negative. Now let three optimizers go, each with a falling learning rate. All try
# the same initial rates; we keep the best run of each.


# %%
def momentum_step(state, g, t):
    state["m"] = 0.9 * state["m"] + g
    return state["m"]


def adam_step(state, g, t):
    state["m"] = 0.9 * state["m"] + 0.1 * g
    state["v"] = 0.99 * state["v"] + 0.01 * g**2
    return (state["m"] / (1 - 0.9**t)) / (np.sqrt(state["v"] / (1 - 0.99**t)) + 1e-8)


def muon_toy_step(state, g, t):
    state["m"] = 0.9 * state["m"] + g
    return by_svd(g + 0.9 * state["m"])


def toy_run(step, rate, steps=150):
    """Losses (steps,), and what is left to learn along each direction, (N,)."""
    W, state, losses = np.zeros((N, N)), {"m": 0.0, "v": 0.0}, []
    for t in range(1, steps + 1):
        W = W - rate * (1 - (t - 1) / steps) * step(state, toy_gradient(W), t)
        losses.append(0.5 * np.sum((W - GOAL) * toy_gradient(W)))
    return np.array(losses), np.sqrt(np.mean(((W - GOAL) @ directions) ** 2, axis=0))


# %%
toy = {}
for name, step in [("momentum", momentum_step), ("Adam", adam_step), ("Muon", muon_toy_step)]:
    runs = {rate: toy_run(step, rate) for rate in np.geomspace(0.001, 6, 15)}
    best = min(runs, key=lambda rate: runs[rate][0][-1])
    toy[name] = runs[best]
    print(f"{name:9} best rate {best:.3f}, last loss {runs[best][0][-1]:.1e}", end="")
    print(f", error left along the rarest direction {runs[best][1][-1]:.3f}")
assert min(toy, key=lambda name: toy[name][0][-1]) == "Muon"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
for (name, (losses, error)), marker in zip(toy.items(), "o^s", strict=True):
    left.semilogy(losses, label=name, marker=marker, markevery=25, markersize=4)
    right.plot(range(1, N + 1), error, label=name, marker=marker, markersize=4)
left.set(xlabel="step", ylabel="loss: half the mean squared error")
left.set_title("Muon ends with the lowest loss on the toy")
left.legend(loc="lower left")
right.set(xlabel="direction, from common to rare", ylabel="error left (root mean square)")
right.set_title("What is left to learn along each direction")
right.legend()
plt.show()

# %% [markdown]
# All three have learnt the common directions. Along the rarest one Adam leaves much, momentum some,
# and Muon hardly anything. In the left figure its loss falls late: a step of Muon does not shrink
# with the gradient, so `W` oscillates around `GOAL` until the learning rate is small. The toy is
# simpler than a GPT: its gradient has no noise, and even momentum beats Adam.
#
# ## A real gradient
#
# Does the gradient of a GPT-2 look like that? Take a small one that reads 32 tokens at a time, a
# batch of the tales, and the weight matrix (Keras says `kernel`) with which the feed-forward
# network of the first block widens its input.

# %%
tales = load_corpus("tales")
SHORT = 32  # context window of the demonstrations
windows = Windows(tales.train, SHORT, tales.tokenizer.end_id)  # running text


def batch(step):
    """Inputs, targets and loss mask of a training step, each (batch, SHORT)."""
    return as_examples(*windows.batch(step, args.batch_size, args.seed))


def shorter_gpt2():
    """Two blocks that read at most `SHORT` tokens, always with the same first parameters."""
    keras.utils.set_random_seed(args.seed)
    return from_ids(build_gpt2(tales.vocabulary_size, replace(SIZES["small"], context=SHORT)))


# %%
probe = shorter_gpt2()
inputs, targets, loss_mask = batch(0)
mean_loss = keras.losses.SparseCategoricalCrossentropy(
    from_logits=True, reduction="mean_with_sample_weight"
)
with tf.GradientTape() as tape:
    loss = mean_loss(targets, probe(inputs), loss_mask)
variables = probe.trainable_variables
gradients = {
    variable.path: gradient.numpy()
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True)
    if variable.name == "kernel"
}
G = gradients["transformer_layer_0/feedforward_intermediate_dense/kernel"]  # (128, 512)
U, S, Vt = np.linalg.svd(G, full_matrices=False)
share = np.sum(S[:10] ** 2) / np.sum(S**2)
print(f"singular values: largest {S[0]:.1e}, tenth {S[9]:.1e}, median {np.median(S):.1e}")
print(f"the first ten of {len(S)} hold {share:.0%} of the sum of their squares")
assert share > 0.5

# %% [markdown]
# It does: ten directions out of 128 have most of the gradient.
#
# ## Newton–Schulz: orthogonalisation without an SVD
#
# An SVD in each step would be slow. The **Newton–Schulz iteration** needs nothing but products. Put
# $X = USV^\top$ into a polynomial with odd powers only, $aX + b\,XX^\top X + c\,(XX^\top)^2 X$, and
# you get $U\,(aS + bS^3 + cS^5)\,V^\top$: the directions stay, and each singular value goes through
# the polynomial. The three numbers are chosen so that five rounds bring nearly everything between 0
# and 1 near enough to 1 for training.

# %%
A, B, C = 3.4445, -4.7750, 2.0315


def by_newton_schulz(matrix, rounds=5):
    """Nearly the nearest orthogonal matrix: all singular values about 1."""
    X = matrix / np.linalg.norm(matrix)  # now no singular value is above 1
    for _ in range(rounds):
        square = X @ X.T
        X = A * X + (B * square + C * square @ square) @ X
    return X


# %%
after = np.linalg.svd(by_newton_schulz(G), compute_uv=False)
print(f"afterwards all singular values but one are between {after[-2]:.2f}", end="")
print(f" and {after[0]:.2f}, the last is {after[-1]:.0e}")
turned = U.T @ by_newton_schulz(G) @ Vt.T  # of U diag(s) Vt it leaves diag(s)
same = np.allclose(turned, np.diag(np.diag(turned)), atol=1e-3)
print("the directions are the same:", same)
assert same

# %% [markdown]
# The last singular value is zero, up to rounding, and stays so. The input comes from a **layer
# normalization** that is not trained yet (gains 1, biases 0). So the 128 features of the input have
# the mean zero, and nothing ever went in along the direction (1, 1, … 1).

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
numbers = range(1, len(S))  # all but the one that is zero
left.semilogy(numbers, S[:-1] / S[0], label="gradient (largest set to 1)")
left.semilogy(numbers, after[:-1], label="after Newton–Schulz")
left.axhline(1, color="black", linewidth=0.8, linestyle=":", label="by SVD: exactly 1")
left.set(xlabel="rank of the singular value, largest first", ylabel="singular value")
left.set_ylim(2e-4, 2)  # room for the legend
left.set_title("Singular values of the gradient of a GPT-2")
left.legend()
start = s = np.geomspace(1e-3, 1, 400)
for rounds in range(1, 6):
    s = A * s + B * s**3 + C * s**5
    if rounds in (1, 3, 5):
        right.semilogx(start, s, label=f"{rounds} round" + "s" * (rounds > 1))
right.axhline(1, color="black", linewidth=0.8, linestyle=":")
right.set(xlabel="singular value before the first round", ylabel="singular value afterwards")
right.set_ylim(0, 1.45)
right.set_title("The polynomial, applied once and more often")
right.legend(loc="upper center", ncols=3, columnspacing=1, handlelength=1.6)
plt.show()

# %% [markdown]
# ## Muon by hand
#
# The rest of Muon is short. It keeps a **momentum buffer**, a decaying sum of the gradients, and
# uses **Nesterov momentum**: it adds the current gradient once more before the update, as a look
# ahead. If the longer side of an orthogonal matrix is $n$, the root mean square of its numbers is
# $1/\sqrt n$. So the update is multiplied by $0.2\sqrt n$, which makes this mean about 0.2 for any
# size, as in a typical update of Adam (Liu and others, *Muon is Scalable for LLM Training*, 2025,
# section 2.2).


# %%
def muon_step(kernel, momentum, gradient, rate):
    """The new kernel and momentum buffer; kernels of attention have three axes."""
    momentum = 0.95 * momentum + gradient
    matrix = gradient + 0.95 * momentum
    if matrix.ndim == 3:  # (features, heads, head_dim), or (heads, head_dim, features)
        heads_first = matrix.shape[0] * matrix.shape[1] == matrix.shape[2]
        matrix = matrix.reshape((-1, matrix.shape[2]) if heads_first else (len(matrix), -1))
    step = 0.2 * np.sqrt(max(matrix.shape)) * by_newton_schulz(matrix)
    return kernel - rate * step.reshape(kernel.shape), momentum


# %% [markdown]
# Three steps by hand and three with the course's optimizer, on kernels of all shapes of a block,
# along random gradients. Keras has Muon for matrices with two axes. In keras-nlp the kernels of
# attention have three, because the heads are an axis of their own;
# [optimizers.py](../utils/training/optimizers.py) lets Muon train those, too.

# %%
shapes = [gradient.shape for gradient in gradients.values()][:6]
optimizer = Muon(0.1, weight_decay=None)
theirs = [keras.Variable(np.zeros(shape, "float32"), name="kernel") for shape in shapes]
ours = [(np.zeros(shape), np.zeros(shape)) for shape in shapes]  # kernel, momentum
for _ in range(3):
    noise = [rng.normal(size=shape).astype("float32") for shape in shapes]
    optimizer.apply(noise, theirs)
    ours = [muon_step(*state, g, rate=0.1) for state, g in zip(ours, noise, strict=True)]
differences = [np.abs(our[0] - their).max() for our, their in zip(ours, theirs, strict=True)]
print("shapes", *shapes)
print(f"{len(shapes)} kernels agree to 1e-4: {max(differences) < 1e-4}")
assert max(differences) < 1e-4

# %% tags=["nbval-check-output"]
total = probe.count_params()
with_two_axes = sum(g.size for g in gradients.values() if g.ndim == 2)
kernels = sum(g.size for g in gradients.values())
print(f"of {total:,} parameters Muon moves {kernels:,}, or {with_two_axes:,} without attention")

# %% [markdown]
# The other parameters are not matrices that turn vectors: biases and gains are single rows of
# numbers, and embeddings are tables to look things up in (the output layer shares the token table).
# They go to AdamW inside the same optimizer, below at half of Muon's learning rate
# (`adam_lr_ratio`). Muon's part needs no clipping, because its step has the same size whatever the
# gradient. It still needs warm-up, because its first step has full size, too, and follows a single
# noisy gradient.
#
# ## How fast? A sweep you can see
#
# Nobody can calculate the best learning rate. So try: a short run at each of several rates, all on
# the same batches. This is a **learning rate sweep**. To compile only once for each optimizer, each
# run puts back the first numbers of the model and of the optimizer.


# %%
def state_of(model):
    return [*model.variables, *model.optimizer.variables]


def sweep(optimizer):
    """The losses of a short run at each rate: (rates, steps)."""
    model = compiled(shorter_gpt2(), optimizer)  # with jit_compile=True and the loss from above
    optimizer.build(model.trainable_variables)
    start = [variable.numpy() for variable in state_of(model)]
    losses = np.zeros((len(RATES), args.steps))
    for run, rate in enumerate(RATES):
        for variable, number in zip(state_of(model), start, strict=True):
            variable.assign(number)
        for step in range(args.steps):
            model.optimizer.learning_rate = rate * min(1, (step + 1) / WARMUP)
            model.reset_metrics()
            losses[run, step] = model.train_on_batch(*batch(step))
    return losses


# %%
RATES, WARMUP = np.geomspace(1e-3, 0.3, 6), 6
swept = {
    "AdamW": sweep(keras.optimizers.AdamW(0.01, beta_2=0.98, weight_decay=0.0)),
    "Muon": sweep(Muon(0.01, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)),
}
ends = {name: losses[:, -10:].mean(axis=1) for name, losses in swept.items()}
print(f"mean loss of the last 10 of {args.steps} steps, nats per token")
print("rate    ", *[f"{rate:7.4f}" for rate in RATES])
for name, end in ends.items():
    print(f"{name:8}", *[f"{loss:7.2f}" for loss in end], f"  best at {RATES[end.argmin()]:.4f}")

# %%
counts = np.unique(tales.train, return_counts=True)[1]
frequency = counts / counts.sum()
by_frequency = -np.sum(frequency * np.log(frequency))
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True)
for (name, end), marker in zip(ends.items(), "so", strict=True):
    left.loglog(RATES, end, marker=marker, label=name)
left.axhline(by_frequency, color="black", linewidth=0.8, linestyle=":", label="frequencies only")
left.set(xlabel="learning rate", ylabel="loss, nats per token")
left.set_title(f"Mean loss of the last 10 of {args.steps} steps")
best = int(ends["Muon"].argmin())
for number, label in [(0, "smallest"), (best, "best"), (len(RATES) - 1, "largest")]:
    right.semilogy(swept["Muon"][number], label=f"{label}: {RATES[number]:.3f}")
right.set(xlabel="step", title="Muon at three learning rates")
for axes in (left, right):
    axes.set_yticks([2, 3, 4, 6, 8, 12, 20], [2, 3, 4, 6, 8, 12, 20])
    axes.minorticks_off()
    axes.legend()
plt.show()

# %% [markdown]
# Muon's curve is a U. On its left the rate is too small: the loss falls, but too slowly. On its
# right it is too large: the loss jumps up at first, and does not make up for it. The bottom is
# wide: rates three times apart are enough to find it.
#
# The dotted line is the loss of a model that knows only how frequent each token is. At all but the
# largest rates AdamW comes down to it and hardly further in so short a run, as in lesson 8. Its
# curve is flat down to the smallest rate, so this sweep does not find its best: the rate printed
# for it says little. Do not compare the *rates* of the two: a rate has a meaning only together with
# its optimizer. Nor is the best rate of this small, short run that of another model or a longer
# run.
#
# ## AdamW beside Muon, with equal tuning effort
#
# The following runs take some twenty minutes of processor time, too long for a notebook.
# `python -m benchmarks.optimizers` made them, and makes them anew on your machine; what it wrote is
# in the course as [optimizers.json](../datasets/optimizers.md). The model is the small GPT-2 of
# lesson 8, and the floor, as there, is the loss that no model can beat. For both optimizers the
# tuning began with three rates, each about three times the one before; as long as the best one was
# at the edge, the next one was added. The tuning runs are short; longer ones might find better
# rates, for either optimizer.

# %%
results = json.loads(shipped("optimizers.json").read_text(encoding="utf-8"))
runs, floor = results["runs"], results["floor"]
print(f"{results['tales']} held-out tales, floor {floor:.4f}; ", end="")
print(f"batches of {results['batch_size']} windows of {results['context']} tokens")
for name, run in runs.items():
    if "tuning" in name:
        step, seconds, loss = run["evaluations"][-1]
        print(f"{name.replace('tuning', 'tuning, rate'):26} loss {loss:.3f} after {step} steps")


# %%
def curve(name):
    """Steps, CPU seconds and validation losses of a run in the file, one array each."""
    return np.array(runs[name]["evaluations"]).T


figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True)
for name, style in [("AdamW", "s--"), ("Muon", "o-")]:
    steps, seconds, losses = curve(name)
    label = f"{name}, rate {runs[name]['setting']['rate']:g}"
    left.semilogy(steps, losses / floor, style, markersize=4, label=label)
    right.semilogy(seconds, losses / floor, style, markersize=4, label=label)
for axes, label in [(left, "step"), (right, "CPU seconds")]:
    axes.axhline(1.1, color="black", linewidth=0.8, linestyle=":", label="1.10 times the floor")
    axes.set_yticks([1, 1.5, 2, 3, 5, 10, 20], [1, 1.5, 2, 3, 5, 10, 20])
    axes.minorticks_off()
    axes.set(xlabel=label)
left.set(ylabel="validation loss / floor", title="Validation loss over steps")
right.set(title="Validation loss over processor time")
left.legend()
plt.show()
for name in ("AdamW", "Muon"):
    steps, seconds, losses = curve(name)
    print(f"{name:6} {losses[-1] / floor:.3f} times the floor after {steps[-1]:.0f} steps", end="")
    print(f" and {seconds[-1]:.0f} CPU seconds")

# %% [markdown]
# Muon gets much nearer to the floor. In about half of AdamW's time it passes the level at which
# AdamW ends. Time is the **CPU time** of training, over all threads: other programs change it less
# than the time on the clock. For the products of Newton–Schulz, a step of Muon needs more
# arithmetic than one of AdamW.
#
# The comparison has a limit. In Muon's run, what is no matrix of a layer learns with AdamW at half
# of Muon's rate, so the embeddings have a larger rate than in the run with AdamW alone. That run
# also has clipping and weight decay. How much of the gap this explains was not measured.
#
# ## The ladder
#
# What does each part of a fast training contribute? Add the parts one at a time and measure after
# each; every part is a rung of the ladder. (Papers call this an *ablation*.) Two rungs are about
# windows. In lesson 8 each tale had a row of its own, with padding. **Packed** running text has
# none, but a window may begin in the middle of a tale whose hero was named before it. The third
# kind of window is packed and starts at a story.

# %% tags=["nbval-check-output"]
line = "END once upon a time . END the cat sat . END a dog ran off . END"
text = line.split()
starts = [position for position, word in enumerate(text) if word == "END"]
longest = max(np.diff(starts)) + 1
print(f"{'padded':27}{'packed':27}starts at a story")
for number, start in enumerate(starts[:3]):
    tale = text[start : starts[number + 1] + 1]
    padded = tale + ["·"] * (longest - len(tale))
    packed = text[number * longest : (number + 1) * longest]
    print(f"{' '.join(padded):27}{' '.join(packed):27}{' '.join(text[start : start + longest])}")

# %% [markdown]
# The rungs, each one with all that is above it:
#
# 1. *plain*: padded rows and a padding mask, as keras-nlp's GPT-2 takes them by default; AdamW; not
#    compiled by XLA
# 2. *packed windows*, which need no padding mask
# 3. *each window starts at a story*
# 4. *compiled* (`jit_compile=True`)
# 5. *Muon* in place of AdamW
# 6. *batch of 16* windows in place of 8, as in lesson 8
# 7. *schedule*: 1000 steps in place of 1400, so that the learning rate falls to 0 sooner
#
# The first three were stopped early. `–` means that a run had not come so far when it ended.

# %%
LADDER = {
    "plain": "plain",
    "packed windows": "packed",
    "starts at a story": "stories",
    "compiled": "AdamW",
    "Muon": "Muon",
    "batch of 16": "large batch",
    "schedule": "short schedule",
}
GOALS = [12, 8, 4, 2, 1.5, 1.1]


def seconds_to(name, goal):
    """CPU seconds until a run is first at or below `goal` times the floor; None if it never is."""
    _, seconds, losses = curve(name)
    return next((s for s, loss in zip(seconds, losses, strict=True) if loss <= goal * floor), None)


print(f"{'CPU seconds to … times the floor':33}", *[f"{goal:>5}" for goal in GOALS], end="")
print("   ms a step  last loss / floor")
for rung, name in LADDER.items():
    steps, seconds, losses = curve(name)
    times = [seconds_to(name, goal) for goal in GOALS]
    cells = [f"{t:5.0f}" if t is not None else "    –" for t in times]
    per_step = 1000 * (seconds[-1] - seconds[1]) / (steps[-1] - steps[1])  # without compiling
    print(
        f"{rung:33}",
        *cells,
        f"{per_step:10.0f}  {losses[-1] / floor:.2f} after {seconds[-1]:.0f} s",
    )

# %% [markdown]
# Read the table downwards: a rung helps if its seconds are fewer than those above it. The seconds
# include compiling, and end at the first evaluation that reaches the goal. Rungs 2 and 3 compute
# the same in a step, so the difference of their milliseconds is noise.
#
# In our file, neither the windows nor compiling bring a gain that is clear of this noise. Muon
# saves about a third of the seconds or more. With a batch of 16, a step takes twice as long and is
# worth about two of the others, until the loss is near the floor: there only the larger batch gets
# down to 1.10 times the floor. (A likely reason: its gradients are less noisy.) The shorter
# schedule is there sooner, and ends a little higher.
#
# ## The race
#
# Who reaches 1.10 times the floor in the least time? The rules:
#
# * An entry is a module that `python -m` runs with `--seed`, and that leaves one trained preset. It
#   may use the training tales as it likes.
# * It runs once with each of three seeds, and every run has to arrive.
# * What counts is the time on the clock (`seconds`) of the **whole process**, from start to exit:
#   imports, compiling, evaluations.
# * It has two cores.
# * Entries are judged on validation tales that no run of the course has used; their own floor is
#   known.
#
# The course's own entry is the command of lesson 8, with padded windows and a batch of 16. In a
# terminal, in the folder of the course,
#
#     python -m benchmarks.race
#     python -m benchmarks.race --flags "--steps 1000"
#     python -m benchmarks.race --module my_entry
#
# measure an entry, and write it into the table that is read here.

# %%
print("entry                                          seed  seconds  CPU seconds  times the floor")
laps = results.get("race", [])
for lap in laps:
    print(
        f"{lap['entry']:45} {lap['seed']:5} {lap['seconds']:8.0f} {lap['cpu_seconds']:12.0f}",
        end="",
    )
    print(f"  {lap['ratio']:.3f}" + ("" if lap["ratio"] <= 1.1 else " (did not arrive)"))
if not laps:
    print("No entry has been measured with this file yet.")

# %% [markdown]
# ## If your result looks different
#
# * **Seconds.** They are those of the machine that made the file. On yours the numbers will change,
#   but Muon should stay ahead.
# * **Muon diverges on a model of your own.** Look which variables it takes for matrices. Embeddings
#   and biases must go to AdamW.
# * **AdamW is better in your task.** That may happen, for example after a pretraining with AdamW.
#   Tune both alike before you decide.

# %% [markdown]
# ## Recap
#
# * Muon gives every direction of a weight matrix a step of about the same size; Adam does that for
#   every single number.
# * Orthogonalisation sets all singular values to 1; Newton–Schulz does it with products alone.
# * Only matrices that turn something go to Muon; the rest goes to AdamW.
# * A sweep shows which rates are too small, good or too large. Rates of two optimizers are not to
#   be compared.
# * A comparison is fair if both are tuned alike, and if time is counted as well as steps.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words; then let `check.answer` show ours.
#
# 1. Adam already divides by the size of each gradient. What does it miss?
# 2. What does orthogonalisation change in a gradient, and what does it leave?
# 3. Why Newton–Schulz and not the SVD?
# 4. Which parameters does Muon leave to AdamW, and why?
# 5. Two optimizers are compared at the same learning rate. What is wrong with that?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Orthogonalise a matrix exactly, with `np.linalg.svd`; it need not be square.


# %%
def orthogonalise(matrix):
    """Return the nearest orthogonal matrix, of the same shape."""
    ...


check.orthogonalise(orthogonalise)

# %% [markdown]
# **2.** What does one round of Newton–Schulz make of a singular value `s`?


# %%
def newton_schulz_round(s, a, b, c):
    """Return the singular value after one round."""
    ...


check.newton_schulz_round(newton_schulz_round)

# %% [markdown]
# **3.** Nesterov momentum: the new momentum buffer, and the matrix that is then orthogonalised.


# %%
def nesterov(momentum, gradient, beta):
    """Return the new momentum buffer and the look ahead, two arrays."""
    ...


check.nesterov(nesterov)

# %% [markdown]
# **4.** From evaluations `steps`, `losses` of a run and a floor: at which step is the loss first at
# or below `ratio` times the floor? If it never is, -1.


# %%
def first_step_below(steps, losses, floor, ratio):
    """Return a step, or -1."""
    ...


check.first_step_below(first_step_below)

# %% [markdown]
# ## Next
#
# What a larger model and more text would bring, and when that pays, is the next question of Part
# III.
