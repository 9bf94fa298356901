# %% [markdown]
# # 8. Pretraining: a small GPT-2 from nothing
#
# At the end of this lesson you will have your own small GPT-2, trained from nothing on the tales,
# whose loss is close to the lowest that any model can have. You will know what each part of its
# training is for, and be able to say, word by word, what that loss consists of.
#
# You need: the narrow valley from [lesson 1](01_linear_regression.ipynb), the loss and the floor
# from [lesson 2](02_next_token.ipynb), the model from [lesson 7](07_gpt2.ipynb).

# %%
from utils.course.settings import settings

args = settings(
    corpus="tales", steps=1400, batch_size=16, learning_rate=0.02, vocabulary_size=1536, seed=0
)
print(args)

# %% [markdown]
# These settings belong to the long training in the second half. `corpus` may also be `tales-zh`,
# `shakespeare`, `python_docs` or the path of a text file of yours; for a file, `vocabulary_size` is
# that of its tokenizer. The demonstrations before it are small and always the same.
#
# Here the seeds are set by `keras.utils.set_random_seed`, further down. The `seed_everything` of
# the other lessons would also switch off the compiler that makes one machine program of a whole
# step (`jit_compile=True`), and this lesson needs its speed.

# %%
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from utils.course.plots import BLUE, ORANGE, PURPLE, SKY, STYLE, plot_losses
from utils.data.batches import Windows, as_examples
from utils.data.bpe import split_words
from utils.data.corpora import load_corpus
from utils.evaluation.losses import TokenLosses
from utils.exercises import lesson_08 as check
from utils.models.gpt2 import build_gpt2, from_ids
from utils.models.sizes import SIZES
from utils.small_gpt2 import SNAPSHOTS
from utils.tales import NotATale, parse
from utils.tales import corpus as tell_again
from utils.tales.surprisal import surprisals
from utils.training.checkpoints import load_checkpoint, save_checkpoint
from utils.training.optimizers import Muon, warmup_cosine
from utils.training.pretraining import pretrain, windows_of
from utils.training.recipes import Recipe
from utils.training.runs import compiled

plt.style.use(STYLE)
rng = np.random.default_rng(args.seed)
np.set_printoptions(precision=3, suppress=True)
corpus = load_corpus(args.corpus, args.vocabulary_size)  # now, so that a bad file is told at once

# %% [markdown]
# ## From a text to batches
#
# A model has a context of fixed length, a text has any length. So the text is cut. Here is one of
# twelve tokens; our tokens are words for now.

# %%
text = "the cat sat on the mat . the dog ran off ."
words = text.split()
vocabulary = [*sorted(set(words)), "END"]
END = vocabulary.index("END")
ids = np.array([vocabulary.index(word) for word in words])  # (12,)
print(ids)

# %% [markdown]
# A **window** is a piece that is one longer than the context: all of it but the last token is read,
# all but the first are the answers. The next window begins where the answers of this one end, so
# that each token is an answer exactly once. The last window may be too short. It is filled up with
# `END`, and each answer gets a **weight**: 1 where it counts, 0 where it is filler.


# %%
def cut(ids, context, end_id):
    """Windows (windows, context + 1) of running text, and weights (windows, context)."""
    rows, weights = [], []
    for start in range(0, len(ids) - 1, context):
        window = list(ids[start : start + context + 1])
        missing = context + 1 - len(window)
        rows.append(window + [end_id] * missing)
        weights.append([1.0] * (context - missing) + [0.0] * missing)
    return np.array(rows), np.array(weights)


def show(rows, weights):
    for row, weight in zip(rows, weights, strict=True):
        answers = np.where(weight > 0, np.array(vocabulary)[row[1:]], "·")
        print("reads", *[f"{vocabulary[i]:4}" for i in row[:-1]], " answers", *answers)


# %% tags=["nbval-check-output"]
rows, weights = cut(ids, context=4, end_id=END)
show(rows, weights)

# %% [markdown]
# The course's own [batches.py](../utils/data/batches.py) does the same.

# %% tags=["nbval-check-output"]
in_order = Windows(ids, 4, END).in_order()
same = all(np.array_equal(*pair) for pair in zip(in_order, (rows, weights), strict=True))
print("the same windows and weights:", same)
assert same

# %% [markdown]
# That is how a text is *measured*. To *train* on it, cut it anew for each pass, at places that are
# shifted by a random number, and shuffle. Otherwise `the` would begin a window each time, and be
# read with nothing before it. `batch` gives the windows of a training step. Here the text stands
# three times in a row, and a step takes three windows of a pass (what does not fill a step is left
# for another pass). The windows depend on the number of the step and the seed, and on nothing else:
# remember that for later.

# %%
toy = Windows(np.tile(ids, 3), 4, END)
for step in range(3):
    print("step", step)
    show(*toy.batch(step, batch_size=3, seed=args.seed))

# %% [markdown]
# ### One tale, one window
#
# Running text is cut wherever the window ends. But ours are two little texts, and a window that
# shows both asks the model to guess a second story from the first. Worse, it will look up the hero
# in the wrong one. If the texts are short, give each a window of its own, with an `END` in front,
# as if another text had just ended there, and one behind.

# %%
texts = [ids[:7], ids[7:]]
by_hand, by_hand_weights = [], []
for text in texts:
    row, weight = cut([END, *text, END], context=8, end_id=END)
    by_hand += [*row]  # each text fits into one window
    by_hand_weights += [*weight]
show(by_hand, by_hand_weights)

# %% tags=["nbval-check-output"]
running = np.array([END, *texts[0], END, *texts[1], END])  # how a corpus keeps its texts
in_order = Windows(running, 8, END, documents=True).in_order()
same = np.array_equal(in_order[0], by_hand) and np.array_equal(in_order[1], by_hand_weights)
print("the same windows and weights:", same)
assert same

# %% [markdown]
# The price is filler: the model computes an answer there, too, which nobody reads.
#
# ### The loss of such a batch
#
# The **loss** is the mean over the answers that count: multiply each by its weight, add, divide by
# the sum of the weights. Here a "model" that says anything.

# %%
batch_rows, batch_weights = in_order
targets = batch_rows[:, 1:]  # (batch, time)
logits = rng.normal(size=(*targets.shape, len(vocabulary)))  # (batch, time, vocabulary)
log_probabilities = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
chosen = np.take_along_axis(log_probabilities, targets[..., None], axis=-1)  # (batch, time, 1)
losses = -chosen[..., 0]  # (batch, time)
weighted = (losses * batch_weights).sum() / batch_weights.sum()

# %% [markdown]
# In Keras the last line is called `mean_with_sample_weight`. The plain mean would be another
# number, and a misleading one: a model soon learns that `END` follows `END`.

# %%
mean_loss = keras.losses.SparseCategoricalCrossentropy(
    from_logits=True, reduction="mean_with_sample_weight"
)
in_keras = float(mean_loss(targets, logits, sample_weight=batch_weights))
print(f"by hand {weighted:.5f}, Keras {in_keras:.5f}; plain mean {losses.mean():.5f}")
assert abs(weighted - in_keras) < 1e-5

# %% [markdown]
# ## From gradient descent to AdamW
#
# Back to lesson 1: four points, a line, and a loss that is a narrow valley. Gradient descent runs
# down its side and then creeps along the floor, because one learning rate must serve both
# directions.

# %%
x = np.array([1.0, 2.0, 3.0, 4.0])
y = np.array([0.0, -1.0, -2.0, -3.0])
GOAL = np.array([-1.0, 1.0])  # slope and height of the best line


def gradient(theta):
    """Of the mean squared error, at theta = (w, b)."""
    error = theta[0] * x + theta[1] - y
    return np.array([np.mean(2 * error * x), np.mean(2 * error)])


def descend(rate, steps):
    path = [np.zeros(2)]
    for _ in range(steps):
        path.append(path[-1] - rate * gradient(path[-1]))
    return np.array(path)  # (steps + 1, 2)


# %% [markdown]
# **Adam** keeps two running means for each parameter: $m$ of its gradients, $v$ of their squares.
# In each step a mean keeps the share $\beta$ of its old value and takes $1 - \beta$ of the new one.
# The parameter moves by $m / \sqrt v$, times the learning rate. If its gradients all have one sign,
# $m$ and $\sqrt v$ are alike in size, and it moves by about the learning rate, whether the
# gradients are large or small. If they go to and fro, $m$ is small and so is the step. (Kingma and
# Ba, *Adam*, 2015.)
#
# Both means start at zero and are too small at first, but not by the same factor, so their quotient
# would be wrong. After $t$ steps a mean holds the share $1 - \beta^t$ of what it should; dividing
# by that mends it. **AdamW** adds **weight decay**: in each step every parameter also shrinks a
# little, so that those which nothing holds up fade away. (Loshchilov and Hutter, *Decoupled Weight
# Decay Regularization*, 2019.)


# %%
def adamw(rate, steps, decay=0.0, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = np.zeros(2), np.zeros(2)
    path = [np.zeros(2)]
    for t in range(1, steps + 1):
        g = gradient(path[-1])
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        step = m_hat / (np.sqrt(v_hat) + epsilon) + decay * path[-1]
        path.append(path[-1] - rate * step)
    return np.array(path)  # (steps + 1, 2)


def keras_path(optimizer, steps):
    theta = keras.Variable(np.zeros(2, "float32"))
    path = [theta.numpy()]
    for _ in range(steps):
        optimizer.apply([gradient(path[-1]).astype("float32")], [theta])
        path.append(theta.numpy())
    return np.array(path)  # (steps + 1, 2)


# %%
for decay in [0.0, 0.1]:
    ours = adamw(0.1, 150, decay)
    theirs = keras_path(keras.optimizers.AdamW(0.1, weight_decay=decay), 150)
    difference = np.abs(ours - theirs).max()
    print(f"decay {decay}: ends at {ours[-1]}, largest difference {difference:.0e}")
    assert difference < 1e-4

# %% [markdown]
# Step for step the same path. Without decay it ends at the goal; with it, nearer to zero.
# Now watch them go. Gradient descent gets the best it can bear, nine tenths of the limit of lesson
# 1.

# %%
limit = 2 / np.linalg.eigvalsh([[np.mean(2 * x * x), np.mean(2 * x)], [np.mean(2 * x), 2]]).max()
paths = {"gradient descent": descend(0.9 * limit, 150), "Adam": adamw(0.1, 150)}
styles = [(BLUE, "o", "-"), (ORANGE, "s", "--")]
w_grid, b_grid = np.meshgrid(np.linspace(-1.6, 0.2, 120), np.linspace(-0.8, 1.4, 120))
misses = w_grid[..., None] * x + b_grid[..., None] - y  # (120, 120, 4)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6))
levels = np.geomspace(0.01, 10, 6)
left.contour(w_grid, b_grid, np.mean(misses**2, axis=-1), levels, colors="grey", linewidths=0.7)
for (name, path), (color, marker, line) in zip(paths.items(), styles, strict=True):
    style = {"color": color, "marker": marker, "linestyle": line, "markersize": 3, "linewidth": 1}
    left.plot(*path.T, label=name, **style)
    distances = np.linalg.norm(path - GOAL, axis=1)
    right.semilogy(distances, color=color, linestyle=line, label=name)
left.plot(*GOAL, "*", color="black", markersize=12)
left.set(xlabel="w", ylabel="b", title="The valley of lesson 1, from above")
right.set(xlabel="step", title="Distance to the goal")
right.legend()
plt.show()

# %% [markdown]
# Gradient descent zigzags from wall to wall. Adam sets out along the diagonal: at first both
# numbers change by the learning rate, whatever their slopes. That leads away from the goal at
# first, and for half of the way gradient descent is ahead. But then Adam travels along the floor,
# faster than gradient descent can, with a wobble that a falling learning rate would cure. In a
# model with a million parameters, whose gradients differ by large factors, that is what counts:
# every one of them gets going.
#
# ### Why the learning rate rises first
#
# Take a thousand parameters whose gradients are nothing but noise. A good optimizer should hardly
# move. How far does Adam go, in units of the learning rate?

# %%
m, v = np.zeros(1000), np.zeros(1000)
strides = []
for t in range(1, 101):
    noise = rng.normal(size=1000)
    m = 0.9 * m + 0.1 * noise
    v = 0.999 * v + 0.001 * noise**2
    strides.append(np.mean(np.abs(m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.999**t))))
print(f"mean stride: first step {strides[0]:.2f}, tenth {strides[9]:.2f}, last {strides[-1]:.2f}")
assert abs(strides[0] - 1) < 1e-6

# %% [markdown]
# The first step is a full one for *every* parameter. It must be: after one gradient $m = g$ and $v
# = g^2$, so $m/\sqrt v$ is $+1$ or $-1$. Adam cannot tell signal from noise before it has seen
# some. Hence **warm-up**: let the learning rate rise from zero.
#
# And at the end let it fall. Near the goal the noise of the batches makes the parameters jitter,
# the more the larger the steps. The usual way down is half a **cosine**: slow at first, then quick,
# then slow.


# %%
def rate_at(step, peak, steps, warmup):
    if step < warmup:
        return peak * step / warmup
    done = (step - warmup) / (steps - warmup)  # from 0 to 1
    return peak * 0.5 * (1 + np.cos(np.pi * done))


# %%
peak, warmup = args.learning_rate, args.steps // 20
ours = np.array([rate_at(step, peak, args.steps, warmup) for step in range(args.steps)])
schedule = warmup_cosine(peak, args.steps, warmup)  # Keras's, with the course's settings
some = range(0, args.steps, max(1, args.steps // 200))
difference = max(abs(ours[step] - float(schedule(step))) for step in some) / peak
print(f"largest difference {difference:.0e} of the peak")
assert difference < 1e-5

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
left.plot(range(1, 101), strides)
left.set(xlabel="step", ylim=(0, 1.1), title="Adam's stride when there is only noise")
right.plot(ours)
right.axvline(warmup, color="grey", linestyle=":")
right.set(xlabel="step", title="So the learning rate rises, then falls")
plt.show()

# %% [markdown]
# ### Clipping
#
# Now and then a batch is odd, and its gradient huge. One such step can undo many, with Adam too:
# $m$ takes in more of a new gradient than $\sqrt v$ does, and then $v$ stays too large for a
# thousand steps. **Clipping** limits the damage: if the length of the whole gradient, over all
# parameters together, is above a limit, scale it down to that limit. The direction stays.


# %%
def clip(gradients, limit):
    """Scale arrays so that they have at most the length `limit` together."""
    length = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * min(1, limit / length) for g in gradients]


gradients = [np.array([[3.0, 0.0], [0.0, 4.0]]), np.array([12.0])]  # 13 long together
clipped = clip(gradients, limit=1.0)
print([g.round(3).tolist() for g in clipped])

# %% [markdown]
# In Keras it is an argument of the optimizer. A step of plain gradient descent with the learning
# rate 1, from zero, shows the gradient that it really used.

# %%
variables = [keras.Variable(np.zeros_like(g, "float32")) for g in gradients]
keras.optimizers.SGD(1.0, global_clipnorm=1.0).apply(gradients, variables)
difference = max(np.abs(v + c).max() for v, c in zip(variables, clipped, strict=True))
print(f"largest difference {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# ## Muon: for matrices
#
# Adam looks at each number alone. But most parameters of a GPT are **matrices**, and a matrix has
# directions, as lesson 1's bowl had: it turns, and stretches more along some directions than along
# others. For any matrix these stretches are called **singular values** (for a Hessian they are the
# eigenvalues). Let us look at a real gradient: a small, short-sighted GPT-2, a batch of the tales,
# and the first kernel of the feed-forward network. `from_ids` makes lesson 7's model take the ids
# alone: our windows need no padding mask, and without one training is faster.

# %%
tales = load_corpus("tales")
SHORT, BATCH = 32, 16  # context and windows of the demonstrations
short_windows = Windows(tales.train, SHORT, tales.tokenizer.end_id)  # as running text


def short_batch(step):
    """Inputs, targets and weights of a training step, each (BATCH, SHORT)."""
    return as_examples(*short_windows.batch(step, BATCH, args.seed))


def shorter_gpt2():
    """Two blocks that read at most `SHORT` tokens, always with the same first weights."""
    keras.utils.set_random_seed(args.seed)
    return from_ids(build_gpt2(tales.vocabulary_size, replace(SIZES["small"], context=SHORT)))


# %%
probe = shorter_gpt2()
inputs, targets, weights = short_batch(0)
with tf.GradientTape() as tape:
    loss = mean_loss(targets, probe(inputs), weights)
variables = probe.trainable_variables
gradients = {
    variable.path: gradient.numpy()
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True)
    if variable.name == "kernel"
}
for path, G in list(gradients.items())[:6]:
    print(f"{path:58} {G.shape}")

# %% [markdown]
# Query, key, value and the attention's output have three dimensions in Keras, because they are cut
# into heads. They are matrices all the same: 128 features in, 2 heads of 64 out, which is 128.
#
# Now the feed-forward kernel. The **singular value decomposition** takes a matrix apart into a
# turn, a stretch and another turn: $G = U S V^\top$. The stretches come with the largest first.

# %%
G = gradients["transformer_layer_0/feedforward_intermediate_dense/kernel"]  # (128, 512)
U, S, Vt = np.linalg.svd(G, full_matrices=False)  # G = U @ diag(S) @ Vt
print(f"largest {S[0]:.1e}, tenth {S[9]:.1e}, median {np.median(S):.1e}")
share = np.sum(S[:10] ** 2) / np.sum(S**2)
print(f"the first ten of {len(S)} hold {share:.1%} of the sum of their squares")

# %% [markdown]
# A few directions have nearly all of it. In the valley the gradient, too, pointed almost only
# across; here a step goes almost only along ten directions of 128. **Muon** takes the same step
# with all stretches set to 1: in place of $USV^\top$ it uses $UV^\top$, the nearest **orthogonal**
# matrix (for an oblong one: rows of length 1, at right angles to each other). Rare directions get
# as much of the step as common ones. (Jordan and others, *Muon: An optimizer for hidden layers in
# neural networks*, 2024.)
#
# To compute singular values in each step would be slow. There is a shortcut that needs nothing but
# products, the **Newton–Schulz** iteration. Put a matrix $X = USV^\top$ into a polynomial with odd
# powers only, $aX + b\,XX^\top X + c\,(XX^\top)^2 X$, and you get $U\,(aS + bS^3 + cS^5)\,V^\top$:
# the directions stay, each singular value goes through the polynomial. The three numbers are chosen
# so that a few rounds bring nearly everything between 0 and 1 into the neighbourhood of 1.

# %%
A, B, C = 3.4445, -4.7750, 2.0315


def orthogonal(matrix, rounds=5):
    """Nearly the nearest orthogonal matrix: all singular values about 1."""
    X = matrix / np.linalg.norm(matrix)  # now no singular value is above 1
    for _ in range(rounds):
        square = X @ X.T
        X = A * X + (B * square + C * square @ square) @ X
    return X


# %%
after = np.linalg.svd(orthogonal(G), compute_uv=False)
print(f"after it all but one are between {after[-2]:.2f} and {after[0]:.2f}", end="")
print(f", the last is {after[-1]:.0e}")
turned = U.T @ orthogonal(G) @ Vt.T  # of U diag(s) Vt it leaves diag(s)
same = np.allclose(turned, np.diag(np.diag(turned)), atol=1e-3)
print("the directions are the same:", same)
assert same

# %% [markdown]
# One is zero and stays so. What goes into this kernel comes from a new normalization, so its 128
# features have the mean zero: nothing ever went in along the direction (1, 1, … 1).

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
left.semilogy(S / S[0], label="gradient")
left.semilogy(after, label="after Newton–Schulz")
left.axhline(1, color="black", linewidth=0.8, linestyle=":", label="exact: $UV^T$")
left.set(xlabel="number of the singular value", title="A few directions become all")
left.legend()
start = s = np.geomspace(1e-3, 1, 400)
for rounds in range(1, 6):
    s = A * s + B * s**3 + C * s**5
    if rounds in (1, 3, 5):
        right.semilogx(start, s, label=f"round {rounds}")
right.set(xlabel="singular value before", title="What the polynomial does")
right.legend()
plt.show()

# %% [markdown]
# It does not hit 1 exactly, and need not. Around it there is little: a running sum of the
# gradients, the **momentum**; today's gradient once more, as a look ahead; and a factor that grows
# with the matrix, since the larger an orthogonal matrix, the smaller its numbers. With it they are
# about 0.2 for any size, which is Adam's usual stride. (Liu and others, *Muon is Scalable for LLM
# Training*, 2025, section 2.2.)


# %%
def muon_step(kernel, momentum, gradient, rate):
    """The new kernel and momentum; kernels of attention have three axes."""
    momentum = 0.95 * momentum + gradient
    matrix = gradient + 0.95 * momentum
    if matrix.ndim == 3:  # (features, heads, head_dim), or (heads, head_dim, features)
        heads_first = matrix.shape[0] * matrix.shape[1] == matrix.shape[2]
        matrix = matrix.reshape((-1, matrix.shape[2]) if heads_first else (len(matrix), -1))
    step = 0.2 * np.sqrt(max(matrix.shape)) * orthogonal(matrix)
    return kernel - rate * step.reshape(kernel.shape), momentum


# %% [markdown]
# Three steps by hand and with the course's optimizer, on kernels of all these shapes, along random
# gradients. Keras has a Muon; [optimizers.py](../utils/training/optimizers.py) adds to it that
# kernels with three axes count.

# %%
shapes = [G.shape for G in gradients.values()][:6]
optimizer = Muon(0.1, weight_decay=None)
theirs = [keras.Variable(np.zeros(shape, "float32"), name="kernel") for shape in shapes]
ours = [(np.zeros(shape), np.zeros(shape)) for shape in shapes]  # kernel, momentum
for _ in range(3):
    noise = [rng.normal(size=shape).astype("float32") for shape in shapes]
    optimizer.apply(noise, theirs)
    ours = [muon_step(*state, G, rate=0.1) for state, G in zip(ours, noise, strict=True)]
differences = [np.abs(our[0] - their).max() for our, their in zip(ours, theirs, strict=True)]
print(f"{len(shapes)} kernels, largest difference {max(differences):.0e}")
assert max(differences) < 1e-4

# %% tags=["nbval-check-output"]
total = probe.count_params()
with_two_axes = sum(G.size for G in gradients.values() if G.ndim == 2)
kernels = sum(G.size for G in gradients.values())
print(f"of {total:,} parameters Muon moves {kernels:,}, or {with_two_axes:,} without attention")

# %% [markdown]
# Everything else is no matrix that turns anything (biases, gains), or a table to look things up in
# (the embeddings). Those go to AdamW inside the same optimizer. Muon's own part needs no clipping,
# as its step has the same size whatever the gradient; and in our runs the AdamW part has done well
# without it, so the real run below does not clip. Warm-up stays: Muon's first step is a full one as
# well, along a single noisy gradient.

# %% [markdown]
# ## How fast? A sweep you can see
#
# How large should the learning rate be? Nobody can calculate it. So try: a short run at each of
# several rates, all from the same weights, on the same batches. This is a **sweep**.
#
# Preparing a model for `jit_compile` takes longer than such a run. But the learning rate is only a
# number inside the optimizer. So we compile once, and before each run put the old numbers back:
# weights, running means, the counter of steps.


# %%
def ready(optimizer):
    """The shorter GPT-2 ready to train, and a copy of all its numbers and the optimizer's."""
    model = compiled(shorter_gpt2(), optimizer)  # with jit_compile=True and the loss from above
    optimizer.build(model.trainable_variables)
    return model, [variable.numpy() for variable in everything(model)]


def everything(model):
    return [*model.variables, *model.optimizer.variables]


def put_back(model, numbers):
    for variable, number in zip(everything(model), numbers, strict=True):
        variable.assign(number)


def train_step(model, batch, rate):
    """One step with this learning rate; return the loss before it."""
    model.optimizer.learning_rate = rate
    model.reset_metrics()
    return float(model.train_on_batch(*batch))


# %%
RATES = np.geomspace(3e-4, 0.3, 7)
SWEEP_STEPS, WARMUP = 60, 6


def sweep(model, numbers):
    """The losses of a short run at each rate: (rates, steps)."""
    losses = []
    for rate in RATES:
        put_back(model, numbers)
        losses.append([])
        for step in range(SWEEP_STEPS):
            warm = min(1, (step + 1) / WARMUP)
            losses[-1].append(train_step(model, short_batch(step), warm * rate))
    return np.array(losses)


# %%
adamw_model, adamw_start = ready(keras.optimizers.AdamW(0.01, beta_2=0.98))
muon_model, muon_start = ready(Muon(0.01, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None))
swept = {"AdamW": sweep(adamw_model, adamw_start), "Muon": sweep(muon_model, muon_start)}

# %%
ends = {name: losses[:, -10:].mean(axis=1) for name, losses in swept.items()}
print("rate    ", *[f"{rate:7.4f}" for rate in RATES])
for name, end in ends.items():
    print(f"{name:8}", *[f"{loss:7.2f}" for loss in end], f"  best at {RATES[end.argmin()]:.4f}")

# %%
counts = np.unique(tales.train, return_counts=True)[1]
frequency = counts / counts.sum()
by_frequency = -np.sum(frequency * np.log(frequency))
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5))
for (name, end), marker in zip(ends.items(), "so", strict=True):
    left.loglog(RATES, end, marker=marker, label=name)
left.axhline(by_frequency, color="black", linewidth=0.8, linestyle=":", label="frequencies")
left.set(xlabel="learning rate", title=f"Loss after {SWEEP_STEPS} steps")
best = int(ends["Muon"].argmin())
for number, label in [(0, "too small"), (best, "best"), (len(RATES) - 1, "too large")]:
    right.semilogy(swept["Muon"][number], label=f"{label}: {RATES[number]:.4f}")
right.set(xlabel="step", title="Muon on its way")
for axes in (left, right):
    axes.set_yticks([2, 3, 4, 6, 8, 12, 20], [2, 3, 4, 6, 8, 12, 20])
    axes.minorticks_off()
    axes.legend()
plt.show()

# %% [markdown]
# Muon's curve is a U. On its left the rate is too small: the loss falls, but slowly, and the run is
# over. On its right it is too large: the loss jumps up at first, and what it then wins back is less
# than others have won. In between there is room, for the best rate's neighbours are not far behind.
# So a coarse sweep is enough.
#
# The dotted line is the loss of a model that knows no more than how frequent each token is. In so
# short a run AdamW comes down to it at nearly any rate, and no further; Muon passes. (Given more
# steps AdamW passes, too: enlarge `SWEEP_STEPS` and see.) The best rates of the two are not to be
# compared, since a rate has a meaning only together with its optimizer. Nor is the best rate of one
# model that of another: the real run below, longer and with larger batches, takes 0.02.

# %% [markdown]
# ## Killed, and resumed
#
# A long training will be interrupted: a closed lid, an empty battery, an impatient hand. So it
# writes **checkpoints**: everything that it needs to go on. That is the weights, *and* the
# optimizer's running means, *and* its place in the text. Our batches depend on the step and the
# seed alone, so the number of the step is all that is to be remembered of the place.
#
# `save_checkpoint` of [checkpoints.py](../utils/training/checkpoints.py) writes one file, which
# gets its name only when it is complete; a power cut in the middle of writing leaves the one
# before.


# %%
def train(folder, steps, cut_at=None):
    """Train from the newest checkpoint in a folder, or from the start; return every loss."""
    step, history = load_checkpoint(folder, muon_model)
    plan = warmup_cosine(0.03, steps, WARMUP)
    while step < steps:
        if step == cut_at:
            raise RuntimeError(f"power cut at step {step}")
        loss = train_step(muon_model, short_batch(step), float(plan(step)))
        history.append({"step": step, "loss": loss})
        step += 1
        if step % 10 == 0:
            save_checkpoint(folder, muon_model, step, history)
    return [report["loss"] for report in history]


# %% [markdown]
# One run in one piece. Then another, with a power cut. What was in memory is lost, so we put the
# first numbers back.

# %%
temporary = TemporaryDirectory()  # deleted when Python ends
whole, killed = Path(temporary.name) / "whole", Path(temporary.name) / "killed"

put_back(muon_model, muon_start)
in_one_piece = train(whole, steps=40)
weights_in_one_piece = muon_model.get_weights()

# %% tags=["nbval-check-output"]
put_back(muon_model, muon_start)
try:
    train(killed, steps=40, cut_at=27)
except RuntimeError as error:
    print(error)
put_back(muon_model, muon_start)
print("there is", *[path.name for path in sorted(killed.glob("checkpoint-*"))])

# %% [markdown]
# The same line again, and it goes on from the last checkpoint. The steps after it are done twice.

# %% tags=["nbval-check-output"]
resumed = train(killed, steps=40)
same_losses = resumed == in_one_piece
same_weights = all(map(np.array_equal, muon_model.get_weights(), weights_in_one_piece))
print(f"the same losses: {same_losses}; the same weights, bit for bit: {same_weights}")
assert same_losses and same_weights

# %% [markdown]
# What if a program saves nothing but the weights? Go back to step 30, keep the weights and forget
# the rest.

# %%
(killed / "checkpoint-0000040.npz").unlink()
step, history = load_checkpoint(killed, muon_model)
kept = muon_model.get_weights()
put_back(muon_model, muon_start)  # the optimizer's running means are zero again
muon_model.set_weights(kept)
save_checkpoint(killed, muon_model, step, history)
weights_only = train(killed, steps=40)
print("in one piece", np.round(in_one_piece[30:36], 3))
print("weights only", np.round(weights_only[30:36], 3))
assert weights_only[:31] == in_one_piece[:31] and weights_only[31:] != in_one_piece[31:]

# %%
plt.plot(range(15, 40), in_one_piece[15:], label="in one piece")
plt.plot(range(20, 40), resumed[20:], "o", color=ORANGE, fillstyle="none", label="resumed at 20")
plt.plot(range(30, 40), weights_only[30:], "x--", color=PURPLE, label="from weights alone at 30")
plt.axvline(27, color="grey", linestyle=":", label="power cut")
plt.xlabel("step")
plt.ylabel("loss, nats per token")
plt.title("A good checkpoint leaves no trace")
plt.legend()
plt.show()

# %% [markdown]
# The circles lie on the line. The crosses leave it: another training, though it looks well.
#
# ## Learning by heart
#
# Everything so far only made the *training* loss fall. Does it help with tales that the model has
# not seen? Watch the validation loss as well, and keep the weights with which it was lowest. When
# it has not improved for some reports in a row, the **patience**, stop: **early stopping**. Try it
# on a text that is much too short, about ten tales.


# %%
def validated_training(text, patience, most_steps=120, steps_per_report=10):
    """Train on a text; return (step, training loss, validation loss) of each report."""
    put_back(muon_model, muon_start)
    windows = Windows(text, SHORT, tales.tokenizer.end_id)
    reports, losses = [], []
    for step in range(most_steps):
        batch = as_examples(*windows.batch(step, BATCH, args.seed))
        losses.append(train_step(muon_model, batch, 0.03 * min(1, (step + 1) / WARMUP)))
        if (step + 1) % steps_per_report == 0:
            report = step + 1, np.mean(losses[-steps_per_report:]), token_losses.mean(*unseen)
            reports.append(report)
            best = min(reports, key=lambda report: report[2])
            if report is best:
                best_weights = muon_model.get_weights()
            if step + 1 - best[0] >= patience * steps_per_report:
                break
    muon_model.set_weights(best_weights)
    return np.array(reports)


token_losses = TokenLosses(muon_model)  # the loss at each token, compiled once
unseen = Windows(tales.validation[:6000], SHORT, tales.tokenizer.end_id).in_order()
few = tales.train[:2000]
by_heart = validated_training(few, patience=3)
enough = validated_training(tales.train, patience=3)
print(f"{np.sum(few == tales.tokenizer.end_id) - 1} whole tales; all training tales:", end=" ")
print(np.sum(tales.train == tales.tokenizer.end_id) - 1)

# %%
best = by_heart[by_heart[:, 2].argmin()]
plt.plot(*by_heart[:, :2].T, marker="o", label="few tales, training")
plt.plot(*by_heart[:, [0, 2]].T, marker="s", label="few tales, validation")
plt.plot(*enough[:, [0, 2]].T, marker="^", label="all tales, validation")
plt.plot(best[0], best[2], "*", color="black", markersize=13, label="kept")
plt.xlabel("step")
plt.ylabel("loss, nats per token")
plt.title("After the star it only learns by heart")
plt.legend()
plt.show()
print(f"stopped at step {by_heart[-1, 0]:.0f}, kept step {best[0]:.0f}")

# %% [markdown]
# With few tales (each step reads a quarter of them) the training loss goes on falling and the
# validation loss turns: from there on the model learns what is special to these tales. With all of
# them it does not turn. More text is the best cure, early stopping the cheapest.
#
# ## The real run
#
# Now everything together, in the size of lesson 7, with a context into which each tale fits. A
# **recipe** is the list of settings. `pretrain` of
# [pretraining.py](../utils/training/pretraining.py) does what you have just seen: windows, warm-up
# and cosine, Muon, validation, early stopping, checkpoints. The text was turned into ids once and
# lies on the disk, two bytes for each; only the windows of the next step are in memory.

# %%
recipe = Recipe(**{name: value for name, value in vars(args).items() if name != "corpus"})
windows = Windows(corpus.train, recipe.size.context, corpus.tokenizer.end_id, corpus.documents)
passes = args.steps * args.batch_size / len(windows)
filler = 1 - (len(corpus.train) - 1) / (len(windows) * windows.context)
print(f"{corpus.name}: {len(corpus.train):,} tokens, {corpus.vocabulary_size} different ones")
print(f"{len(windows):,} windows of {windows.context}, {args.batch_size} in a step", end="")
print(f": {passes:.1f} passes")
if corpus.documents:
    print(f"{filler:.0%} of the answers are filler")

# %% [markdown]
# Training takes some minutes. You can stop it at any time: run the cell again, and it goes on from
# its last checkpoint. When it is finished it is not trained again, but prints the same reports.
# (`make run` makes the same model.) Early weights are kept after the steps in `SNAPSHOTS`.
#
# In the reports below, `loss` is the mean over the steps since the report before, while the model
# was still getting better; `validation_loss` is measured at the end of them, on a part of the
# validation text. So at first the training loss is the higher one. What counts is the loss on the
# whole validation text, which comes last.

# %%
run = pretrain(corpus, recipe, SNAPSHOTS)

# %%
floor = corpus.floor
print(f"validation loss {run.validation_loss:.4f} nats per token", end="")
print(f", perplexity {np.exp(run.validation_loss):.3f}")
if floor:
    print(f"floor           {floor:.4f}, no model can be lower")
    print(f"{run.validation_loss / floor:.3f} times the floor")
    assert run.validation_loss > floor

# %% [markdown]
# For ordinary text nobody knows how low a loss can be. For the tales we do, and the ratio says how
# much there is left to learn.
#
# ### What the curve means
#
# To read a loss one needs something to compare it with. Three models that need no training: one
# that guesses, one that knows how frequent each token is, and the bigram of lesson 2, which counts
# which token follows which.


# %%
def simple_losses(corpus, smoothing=0.01):
    """Validation losses of models that count: nats per token."""
    size = corpus.vocabulary_size
    first, second = np.asarray(corpus.train[:-1], "int64"), np.asarray(corpus.train[1:], "int64")
    seen = np.asarray(corpus.validation[:-1], "int64")
    asked = np.asarray(corpus.validation[1:], "int64")
    single = np.bincount(second, minlength=size) + smoothing
    pairs, often = np.unique(first * size + second, return_counts=True)  # a pair as one number
    place = np.searchsorted(pairs, seen * size + asked).clip(max=len(pairs) - 1)
    count = np.where(pairs[place] == seen * size + asked, often[place], 0)
    total = np.bincount(first, minlength=size)
    by_pairs = (count + smoothing) / (total[seen] + smoothing * size)
    return {
        "guessing": np.log(size),
        "frequencies": -np.log(single[asked] / single.sum()).mean(),
        "pairs": -np.log(by_pairs).mean(),
    }


# %%
levels = simple_losses(corpus)
for name, level in levels.items():
    below = [r["step"] for r in run.history if r["validation_loss"] < level]
    print(f"{name:12} {level:.3f}", f" passed by step {below[0]}" if below else " not passed")

# %%
plot_losses(run.history, floor)
for (name, level), style in zip(levels.items(), [":", "-.", (0, (1, 4))], strict=True):
    plt.axhline(level, color="grey", linestyle=style, linewidth=1, label=name)
ticks = [0.3, 0.5, 1, 2, 3, 5, 7]
plt.yticks(ticks, ticks)
plt.minorticks_off()
plt.legend(loc="center right", ncols=2, fontsize=8, frameon=True)
plt.show()

# %% [markdown]
# Before the first step the model guesses, and its loss is the logarithm of the vocabulary's size.
# Next it learns which tokens are frequent (in the sweep AdamW got no further), then which token
# follows which. That takes some dozens of steps, and is over by the first report. What comes after,
# no table could hold: phrases, sentences, the order of a tale, and at last who is who. The end of
# the curve is flat for two reasons. The floor is near, and the learning rate falls to zero. (The
# training loss may even dip below the floor, since the model has read these tales before. The floor
# is for new ones.)
#
# ### It learns to write
#
# The loss says that it learns. Samples say what. One model takes on the weights of each snapshot in
# turn, so that it is compiled only once, and each begins with the same seed.

# %%
writer = keras_nlp.models.GPT2CausalLM.from_preset(run.preset)
sampler = keras_nlp.samplers.RandomSampler(seed=args.seed)
writer.compile(sampler=sampler, jit_compile=True)
first_draw = sampler.seed_generator.state.numpy()

last_step = run.history[-1]["step"]
stages = {f"step {n}": run.model_at(n).get_weights() for n in SNAPSHOTS if n < last_step}
stages["end"] = writer.get_weights()


def write(weights, number=8):
    """Texts from nothing, by a model with these weights."""
    writer.set_weights(weights)
    sampler.seed_generator.state.assign(first_draw)
    texts = writer.generate([""] * number)
    return ["".join(c if c.isprintable() or c == "\n" else "·" for c in text) for text in texts]


written = {stage: write(weights) for stage, weights in stages.items()}

# %%
for stage in [name for name in stages if name != "end"]:
    print(f"{stage}:\n{written[stage][0][:400]}\n")

# %%
print(written["end"][0])

# %% [markdown]
# At first noise, made of pieces of words. After a hundred steps there are sentences, and many are
# good, but nobody remembers anything: names change, and so do the things that are lost. After three
# hundred the sentences come in order, and still things get mixed up. The last one reads like a
# story. Is it one?
#
# The tales have a parser: it reads a text and says whether it is a tale, and if not, in which
# sentence it stops being one. There are eight texts from each stage.


# %%
def judge(text):
    """None for a tale, else the NotATale with the reason."""
    try:
        parse(text, corpus.language)
    except NotATale as error:
        return error


if corpus.language:
    verdicts = {stage: [judge(text) for text in texts] for stage, texts in written.items()}
    print("stops being a tale in sentence")
    for stage, errors in verdicts.items():
        print(f"{stage:9}", *[f"{error.sentence:2}" if error else " ✓" for error in errors])
    print("\nthe first text")
    for stage, errors in verdicts.items():
        print(f"{stage:9}", errors[0] or "a tale from beginning to end")
else:
    print("Only tales can be parsed.")

# %% [markdown]
# The parser stops at the first mistake. *Is not how a tale goes on* is a mistake of grammar, *does
# not fit what was told before* one of memory: early texts break the grammar before their memory can
# be put to the test. A late mistake is well hidden; find it in the text above. How many of its
# texts are tales, and how that depends on the way of drawing, is a subject of lesson 9.
#
# ## Where is the surprise?
#
# A loss is a mean over many tokens, and a mean hides things. So look at one held-out tale, word by
# word. What does each word cost the model? And what *must* it cost? A reader who knows the rules of
# the tales by heart is not surprised by most words. But when a name is drawn from a list, even that
# reader pays $-\log$ of its probability: of twelve equally likely names, the first costs $\log 12$,
# about 2.5 nats. `surprisals` computes this exactly. The probability of a beginning of $k$ words is
# the sum of those of all tales that begin so; divide it by that of the first $k - 1$ words, and you
# have the probability of word $k$ after them.
#
# The model predicts tokens, the grammar tells words, so we add up the tokens of each word.

# %%
english = corpus.language == "en"
if english:
    stories = tell_again("en", "validation", 200)  # the first ones of corpus.validation
    _, validation = windows_of(corpus, recipe.size.context)
    rows, _ = validation.in_order()
    rows = rows[: len(stories)]  # (200, context + 1)
else:
    print("This part needs the English tales: it compares the model with their grammar.")


def word_losses(text, losses):
    """The model's surprise at each word of a tale and at its end, from that at its tokens."""
    lengths = [len(corpus.tokenizer.encode(word)) for word in split_words(text)]
    starts = np.cumsum([0, *lengths])  # of each word, and of the end
    return np.add.reduceat(losses[: starts[-1] + 1], starts)


# %%
if english:
    exact = [np.array(surprisals(story.text, "en", split_words)) for story in stories]
    token_losses = TokenLosses(from_ids(writer))  # shares the weights of `writer`
    by_stage = {}
    for stage, weights in stages.items():
        writer.set_weights(weights)
        losses = token_losses(rows)  # (200, context)
        pairs = zip(stories, losses, strict=True)
        by_stage[stage] = [word_losses(story.text, loss) for story, loss in pairs]
    by_model = by_stage["end"]
    print("nats a tale")
    print(f"from the exact probabilities {np.mean([-story.log_prob for story in stories]):.4f}")
    print(f"the same, word by word       {np.mean([nats.sum() for nats in exact]):.4f}")
    print(f"the model, token by token    {np.mean([nats.sum() for nats in by_model]):.4f}")

# %% [markdown]
# The words of a tale add up to $-\log$ of its exact probability, so nothing is lost. Now the
# picture: a bar for what the model paid, a black mark for what had to be paid.


# %%
def draw(story, owed, paid, per_row=40):
    """The surprise of each word of a tale, as bars over its text."""
    words = [*(word.strip() for word in split_words(story.text)), "END"]
    count = -(-len(words) // per_row)
    figure, all_axes = plt.subplots(count, 1, figsize=(8, 1.6 * count), sharey=True)
    for number, axes in enumerate(all_axes):
        here = slice(number * per_row, (number + 1) * per_row)
        places = np.arange(len(words[here]))
        axes.bar(places, paid[here], color=SKY, label="the model")
        axes.plot(places, owed[here], "_", color="black", mew=2, label="a reader of the grammar")
        axes.set_xticks(places, words[here], rotation=90, fontsize=7)
        axes.set(xlim=(-0.8, per_row - 0.2), ylabel="nats")
        axes.grid(axis="x", visible=False)
    all_axes[0].set_title("Choices cost, the rest is free")
    all_axes[0].legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 0.98), fontsize=8)
    plt.show()


if english:
    draw(stories[0], exact[0], by_model[0])

# %% [markdown]
# Read a few sentences along the bars. Where the tale makes a choice, who it is about, what got
# lost, where it fell, there is a bar, and it ends near the mark: the model knows not only what may
# come, but how probable it is. Once a phrase has begun, its words are free. And so is what was said
# before, wherever it must come: the hero's name costs where it is first told, and after that only
# where it opens a sentence. What is chosen there is not who, but *which sentence comes next*; it
# could have begun with another word, and the reader of the grammar pays as well. **The loss of a
# language model is the price of the choices. Everything else it has learnt.**
#
# Where bar and mark differ, the model's probabilities are not yet exact. Where the bar is lower, it
# was lucky; on average the high ones cost more than the low ones save. Which words cost it most
# above the floor, over all these tales?

# %%
if english:
    excess = Counter()
    for story, owed, paid in zip(stories, exact, by_model, strict=True):
        for word, nats in zip([*split_words(story.text), "END"], paid - owed, strict=True):
            excess[word.strip()] += nats / len(stories)
    print(f"above the floor: {sum(excess.values()):.2f} nats a tale; the largest parts of it:")
    for word, nats in excess.most_common(8):
        print(f"  {word:10} {nats:.2f}")

# %% [markdown]
# If a few words have most of it, there is something that the model has not learnt. If no word
# stands out, what is missing is spread thinly. For names one has to look twice: where a name is
# first told it is a draw, and only where it comes again is there something to remember.

# %% [markdown]
# ### What is learnt when
#
# Take the same words at each stage and sort them: *choices*, where even the reader of the grammar
# pays; *names again*, where it must be the child or the helper of before; and *the rest*.


# %%
def kinds(story, owed):
    """0 for a choice, 1 for a name that is certain, 2 for the rest, for each word and the end."""
    names = {story.memory["hero"], story.memory["pal"]}
    is_name = [word.strip() in names for word in [*split_words(story.text), "END"]]
    return np.where(owed > 0.01, 0, np.where(is_name, 1, 2))


if english:
    kind_of = [kinds(story, owed) for story, owed in zip(stories, exact, strict=True)]
    flat = np.concatenate(kind_of)
    print("nats a tale      choices  names again  the rest   together")
    print("(words a tale) ", *[f"{np.sum(flat == k) / len(stories):9.1f}" for k in range(3)])
    for stage, losses in [*by_stage.items(), ("the floor", exact)]:
        paid = np.concatenate(losses) / len(stories)
        sums = [paid[flat == kind].sum() for kind in range(3)]
        print(f"{stage:15}", *[f"{nats:9.2f}" for nats in sums], f"{sum(sums):11.2f}")

# %% [markdown]
# Read it column by column. *The rest*, phrases and grammar, falls fastest. *Names again* take
# longer: to copy a name needs two heads that work together, as in lesson 5, and as long as they
# have not found each other, a name is a choice among all names. And the *choices* come down to
# their floor and can go no lower: nothing is to be learnt from dice. Compare what is above the
# floor at the end: most of it is here. The model knows what may come, but not yet exactly how
# probable each thing is.

# %% [markdown]
# ## What a run leaves behind

# %%
for path in sorted(run.folder.iterdir()):
    if not path.name.startswith("."):
        print(path.name + ("/" if path.is_dir() else ""))

# %% [markdown]
# `preset` is the trained model with its tokenizer; `from_preset` reads it, as you have seen, and
# the lessons after this one will. `checkpoint-…` are the last two checkpoints, `snapshot-…` the
# early weights, `best` those with the lowest validation loss, `run.json` says what the run was made
# of, and `result.json` has the reports.
#
# `logs` is for **TensorBoard**, a program that draws the curves of all your runs in a browser, also
# while they are training. In a terminal, in the folder of the course:
#
# `tensorboard --logdir checkpoints`
#
# ## Your own text
#
# `python codes/08_pretraining.py --corpus my.txt` trains on a text of yours, in any language, from
# some kilobytes to a hundred megabytes; in a notebook, set `corpus` at the top. It must be a
# plain text file in UTF-8. The last tenth becomes the validation text. What to expect:
#
# * **A tokenizer of its own** is trained first, on a sample, with `vocabulary_size` tokens. A small
#   text wants a small vocabulary.
# * **The time** depends on `steps` times `batch_size`, not on the length of the text. What depends
#   on the length is the number of passes. With a small text there are many: watch the validation
#   loss turn, and let early stopping do its work.
# * **The memory** stays the same, since the ids are read from the disk.
# * **No floor.** Nobody knows it. Compare with `pairs`, as above.
# * **Do not expect it to talk.** It will write in the manner of your text, with its words and
#   phrases. Sense over many sentences takes a text as simple as the tales, or a larger model.
#
# To try, there is `python_docs`, the help texts that come with Python, which needs no network, and
# `shakespeare`, some plays, which are downloaded.

# %% [markdown]
# ## If your result looks different
#
# * **The loss became `nan`, or stands still far above `pairs`.** The learning rate is too high. A
#   run that becomes `nan` stops and says so. Try a third of the rate.
# * **The curve has the right shape and ends too high.** Not enough steps: the learning rate fell to
#   zero before the model was done. Give it more `steps`; that is a new run from the start, for its
#   schedule is another one.
# * **The validation loss turns up.** Too little text, or too many passes.
# * **The first validation loss is fine, the samples are noise.** Look whether the tokenizer that
#   decodes is the one that encoded.
# * **Your digits differ from this page.** Another processor rounds differently, and training
#   enlarges that. On one machine two runs are equal to the last bit.

# %% [markdown]
# ## Recap
#
# * A text becomes windows; answers are the inputs, one to the right; filler has weight 0.
# * Adam gives every parameter a step of the same size; AdamW lets unused ones fade; Muon gives
#   every direction of a matrix a step of the same size. The learning rate rises, then falls.
# * A sweep shows a U: too slow, good, too large.
# * A checkpoint is weights, the optimizer's state and the place in the text. The validation loss
#   says when to stop.
# * A loss means something beside others: guessing, counting, and the floor. It is the price of the
#   choices in the text.

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Cut running text into windows: only the full ones, the inputs and the targets apart. Each
# id but the first is a target once, as long as the windows are full.


# %%
def full_windows(ids, context):
    """Return two arrays of shape (windows, context): inputs and targets."""
    ...


check.full_windows(full_windows)

# %% [markdown]
# **2.** The learning rate at a step: up from 0 in a straight line, which takes `warmup` steps, then
# down to 0 in a straight line as well, instead of the cosine.


# %%
def linear_rate(step, peak, steps, warmup):
    """Return the learning rate of one step."""
    ...


check.linear_rate(linear_rate)

# %% [markdown]
# **3.** The loss of a batch with filler: from the losses at all places and their weights.


# %%
def weighted_loss(losses, weights):
    """Return the mean over the answers that count."""
    ...


check.weighted_loss(weighted_loss)

# %% [markdown]
# **4.** Adam without the correction, that is with $m$ and $v$ instead of $m/(1 - \beta_1^t)$ and
# $v/(1 - \beta_2^t)$: how long is the very first step, in units of the learning rate? With $\beta_1
# = 0.9$ and $\beta_2 = 0.999$.

# %%
first_stride = ...

check.first_stride(first_stride)

# %% [markdown]
# **5.** A model has a validation loss of 0.32 nats per token, the floor is 0.29, and a tale has 200
# tokens. How many times less probable does the model think a typical tale than it really is?

# %%
times_less_probable = ...

check.times_less_probable(times_less_probable)

# %% [markdown]
# ## Next
#
# Your model can write, and so far it has drawn each token just as it came. In [lesson
# 9](09_generation.ipynb) you will learn other ways to draw, what each does to the tales, and how to
# make it many times as fast.
