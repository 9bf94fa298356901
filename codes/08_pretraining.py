# %% [markdown]
# # 8. Pretraining: a small GPT-2 from scratch
#
# At the end of this lesson you will have your own small GPT-2, trained from random parameters,
# whose loss is close to the lowest that any model can have. Such a first training, on much plain
# text, is called **pretraining**. You will have written a training loop and compared it with the
# library's, which the long run uses, and be able to say, word by word, what the loss consists of.
#
# You need: gradient descent from [lesson 1](01_linear_regression.ipynb), the loss and the floor
# from [lesson 2](02_next_token.ipynb), the model from [lesson 7](07_gpt2.ipynb).

# %%
from utils.course.settings import settings

args = settings(
    corpus="tales", steps=1400, batch_size=16, learning_rate=0.02, vocabulary_size=1536, seed=0
)
print(args)

# %% [markdown]
# These settings belong to the long training in the second half, `seed` to the whole lesson.
# `corpus` may also be `tales-zh`, `shakespeare`, `python_docs` or the path of a text file of yours.
# Fewer than 120 `steps` shorten the short runs, too.

# %%
import textwrap
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from utils.course.plots import BLUE, GREEN, ORANGE, PURPLE, SKY, STYLE, plot_losses
from utils.data.batches import Windows, as_examples, endless_batches
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
from utils.training.pretraining import prepare, pretrain, windows_of
from utils.training.recipes import Recipe
from utils.training.runs import compiled

plt.style.use(STYLE)
rng = np.random.default_rng(args.seed)
np.set_printoptions(precision=3, suppress=True)
corpus = load_corpus(args.corpus, args.vocabulary_size)  # now: a bad file is told at once

# %% [markdown]
# ## From a text to batches
#
# A model reads a limited number of tokens at once, its **context window**. A text can have any
# length, so it is cut. Here is a text of twelve tokens; our tokens are words for now.

# %%
text = "the cat sat on the mat . the dog ran off ."
words = text.split()
vocabulary = [*sorted(set(words)), "END"]
END = vocabulary.index("END")
ids = np.array([vocabulary.index(word) for word in words])  # (12,)
print(ids)

# %% [markdown]
# We cut *windows* of one token more than the context window. All tokens of a window but the last
# are the inputs; all but the first are the **targets**. The model always reads the true previous
# tokens, never its own predictions. That is called **teacher forcing**, and it is why all positions
# can be trained at once.
#
# The last window may be too short. It is filled up with `END`: **padding**. The **loss mask** is 1
# where a target counts and 0 where it is padding (shown as `·`).


# %%
def cut(ids, context, end_id):
    """Windows (windows, context + 1) of running text, and loss mask (windows, context)."""
    rows, loss_mask = [], []
    for start in range(0, len(ids) - 1, context):
        window = list(ids[start : start + context + 1])
        missing = context + 1 - len(window)
        rows.append(window + [end_id] * missing)
        loss_mask.append([1.0] * (context - missing) + [0.0] * missing)
    return np.array(rows), np.array(loss_mask)


def show(rows, loss_mask):
    for row, mask in zip(rows, loss_mask, strict=True):
        targets = np.where(mask > 0, np.array(vocabulary)[row[1:]], "·")
        print("inputs", *[f"{vocabulary[i]:4}" for i in row[:-1]], " targets", *targets)


# %% tags=["nbval-check-output"]
rows, loss_mask = cut(ids, context=4, end_id=END)
show(rows, loss_mask)
in_order = Windows(ids, 4, END).in_order()  # the course's own
same = all(np.array_equal(*pair) for pair in zip(in_order, (rows, loss_mask), strict=True))
print("the same as utils/data/batches.py:", same)
assert same

# %% [markdown]
# For training, the text is cut anew in each pass over it, at positions shifted by a random number,
# and the windows are shuffled. Otherwise the same targets would always have only one token before
# them. A **batch** is the windows of one training step. With the same text and batch size, it
# depends only on the seed and the number of the step.
#
# Running text in full windows is a **packed sequence**: no position is wasted, but one window may
# show two texts, and the model may look up the hero in the wrong one. A window that begins in the
# middle of a tale hides the hero named before; lesson 13 measures what that costs. If texts are
# short, give each a row of its own, with an `END` before and after it, and padding. The long
# training reads the tales in that way.

# %% tags=["nbval-check-output"]
texts = [ids[:7], ids[7:]]
by_hand, by_hand_mask = [], []
for one in texts:
    row, mask = cut([END, *one, END], context=8, end_id=END)
    by_hand += [*row]  # each text fits into one window
    by_hand_mask += [*mask]
show(by_hand, by_hand_mask)
running = np.array([END, *texts[0], END, *texts[1], END])  # how a corpus keeps its texts
rows, loss_mask = Windows(running, 8, END, documents=True).in_order()
assert np.array_equal(rows, by_hand) and np.array_equal(loss_mask, by_hand_mask)

# %% [markdown]
# ### The loss of a batch
#
# The loss is the cross-entropy of lesson 2, averaged over the targets that count: multiply by the
# loss mask, add, divide by the sum of the mask. Below, the logits are random. The plain mean would
# mislead: a model soon learns that `END` follows `END`, so padding would make the mean look better
# than the model is. (Not yet here, where nothing is learnt.)

# %%
targets = rows[:, 1:]  # (batch, time)
logits = rng.normal(size=(*targets.shape, len(vocabulary)))  # (batch, time, vocabulary)
log_probabilities = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
losses = -np.take_along_axis(log_probabilities, targets[..., None], axis=-1)[..., 0]
masked_mean = (losses * loss_mask).sum() / loss_mask.sum()

mean_loss = keras.losses.SparseCategoricalCrossentropy(
    from_logits=True, reduction="mean_with_sample_weight"
)
in_keras = float(mean_loss(targets, logits, sample_weight=loss_mask))
print(f"by hand {masked_mean:.5f}, Keras {in_keras:.5f}; plain mean {losses.mean():.5f}")
assert abs(masked_mean - in_keras) < 1e-5

# %% [markdown]
# ## From gradient descent to AdamW
#
# Back to lesson 1: four points, a line, and a loss that is a narrow valley. The learning rate is
# now 0.1, near the limit of lesson 1. So **gradient descent** jumps from side to side across the
# valley and still moves slowly along it, because one learning rate must serve both directions.

# %%
x = np.array([1.0, 2.0, 3.0, 4.0])
y = np.array([0.0, -1.0, -2.0, -3.0])
GOAL = np.array([-1.0, 1.0])  # slope and height of the best line


def gradient(theta):
    """Of the mean squared error, at theta = (w, b)."""
    error = theta[0] * x + theta[1] - y
    return np.array([np.mean(2 * error * x), np.mean(2 * error)])


def momentum_descent(rate, steps, beta=0.0):
    """The path of gradient descent; with beta > 0, of gradient descent with momentum."""
    theta, velocity = np.zeros(2), np.zeros(2)
    path = [theta]
    for _ in range(steps):
        velocity = beta * velocity + gradient(theta)
        theta = theta - rate * velocity
        path.append(theta)
    return np.array(path)  # (steps + 1, 2)


# %% [markdown]
# **Momentum** follows a decaying sum of the gradients instead of the latest one. Along the valley
# the gradients agree and add up, so it moves faster. Across the valley they change sign, and after
# the first swings they cancel.
#
# **Adam** keeps two running means for each parameter: $m$ of its gradients, $v$ of their squares.
# With the gradient $g$, each step sets $m \leftarrow \beta_1 m + (1-\beta_1) g$ and
# $v \leftarrow \beta_2 v + (1-\beta_2) g^2$, usually with $\beta_1=0.9$ and $\beta_2=0.999$. The
# parameter moves by $m / \sqrt v$ times the learning rate. If its gradients agree, that is about
# the learning rate, however large they are; if they change sign, it is less. Both means start at 0,
# so at step $t$ they are too small by the factor $1 - \beta^t$, $v$ far more than $m$, so that the
# first steps would be too long; dividing by the factor is called **bias correction** (Kingma and
# Ba, *Adam*, 2015).
#
# **Regularisation** is anything that keeps a model from fitting its training data too closely.
# **Weight decay** is the most usual kind: in each step every parameter also shrinks by a small
# share of itself, so a parameter stays large only if the gradients keep pushing it up. Adam with
# weight decay applied in this way is **AdamW** (Loshchilov and Hutter, *Decoupled Weight Decay
# Regularization*, 2019).


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
optimizers = keras.optimizers
pairs = {
    "gradient descent": (momentum_descent(0.1, 150), optimizers.SGD(0.1)),
    "momentum": (momentum_descent(0.05, 150, 0.8), optimizers.SGD(0.05, momentum=0.8)),
    "Adam": (adamw(0.1, 150), optimizers.Adam(0.1)),
    "AdamW, decay 0.1": (adamw(0.1, 150, 0.1), optimizers.AdamW(0.1, weight_decay=0.1)),
}
for name, (ours, optimizer) in pairs.items():
    difference = np.abs(ours - keras_path(optimizer, 150)).max()
    print(f"{name:17} ends at {ours[-1]}, largest difference to Keras {difference:.0e}")
    assert difference < 1e-4

# %% [markdown]
# Step for step the same paths. With weight decay the line ends nearer to zero than the best one:
# that is the price of regularisation. Now look at the other three.

# %%
w_grid, b_grid = np.meshgrid(np.linspace(-1.6, 0.2, 120), np.linspace(-0.8, 1.5, 120))
misses = w_grid[..., None] * x + b_grid[..., None] - y  # (120, 120, 4)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.3))
levels = np.geomspace(0.01, 10, 5)
left.contour(w_grid, b_grid, np.mean(misses**2, axis=-1), levels, colors="grey", linewidths=0.7)
for name, color, style in zip(pairs, [BLUE, GREEN, ORANGE], ["o-", "^-.", "s--"], strict=False):
    path = pairs[name][0]
    left.plot(*path.T, style, color=color, label=name, markersize=3, linewidth=1)
    right.semilogy(np.linalg.norm(path - GOAL, axis=1), style[1:], color=color, label=name)
left.plot(0, 0, "D", color="black", mfc="white", label="start")
left.plot(*GOAL, "*", color="black", markersize=12, label="best line")
left.legend(handles=left.lines[-2:], loc="upper right", frameon=True)
left.set(xlabel="w, slope", ylabel="b, height", title="Paths; grey: lines of equal loss")
right.set(xlabel="step", ylabel="distance in (w, b)", title="Distance to the best line")
right.legend()
plt.show()

# %% [markdown]
# Here momentum gets nearest to the best line; its learning rate is lower because the gradients add
# up. Adam is made for parameters whose gradients differ in size by large factors.
#
# ### Why the learning rate rises first, then falls
#
# After bias correction the very first $m$ and $v$ are exactly $g$ and $g^2$, so $m/\sqrt v$ is $+1$
# or $-1$: the first step is a full one for *every* parameter, even if its gradient is nothing but
# noise. The left figure below shows the mean step length (*stride*) of a thousand such parameters:
# it becomes shorter as $m$ averages over more gradients. Hence **warm-up**: the learning rate rises
# from zero. After that it falls, because the noise of the batches makes the parameters jitter, the
# more the larger the steps. Half a **cosine** is the usual way down.


# %%
def rate_at(step, peak, steps, warmup):
    if step < warmup:
        return peak * step / warmup
    done = (step - warmup) / (steps - warmup)  # from 0 to 1
    return peak * 0.5 * (1 + np.cos(np.pi * done))


m, v = np.zeros(1000), np.zeros(1000)
strides = []
for t in range(1, 101):
    noise = rng.normal(size=1000)
    m, v = 0.9 * m + 0.1 * noise, 0.999 * v + 0.001 * noise**2
    strides.append(np.mean(np.abs(m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.999**t))))
warmup = args.steps // 20
ours = np.array([rate_at(s, args.learning_rate, args.steps, warmup) for s in range(args.steps)])
schedule = warmup_cosine(args.learning_rate, args.steps, warmup)  # Keras's
some = range(0, args.steps, max(1, args.steps // 200))
difference = max(abs(ours[s] - float(schedule(s))) for s in some) / args.learning_rate
print(f"mean stride: first step {strides[0]:.2f}, last {strides[-1]:.2f} learning rates")
print(f"schedule by hand and Keras's: largest difference {difference:.0e} of the peak")
assert abs(strides[0] - 1) < 1e-6 and difference < 1e-5

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
left.plot(range(1, 101), strides)
left.set(xlabel="step", ylabel="mean stride / learning rate", ylim=(0, 1.1))
left.set_title("Adam's stride when there is only noise")
right.plot(ours)
right.axvline(warmup, color="grey", linestyle=":", label="end of warm-up")
right.set(xlabel="step", ylabel="learning rate", title="Warm-up, then half a cosine")
right.legend()
plt.show()

# %% [markdown]
# ### Clipping
#
# Now and then the gradient of a batch is huge. One such step can undo many, and Adam's running
# means keep it for long. **Gradient clipping** limits this: if the gradient, over all parameters
# together, is longer than a limit, it is scaled down to it. In Keras this is `global_clipnorm`.


# %%
def clip(gradients, limit):
    """Scale arrays so that they have at most the length `limit` together."""
    length = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * min(1, limit / length) for g in gradients]


gradients = [np.array([[3.0, 0.0], [0.0, 4.0]]), np.array([12.0])]  # 13 long together
clipped = clip(gradients, limit=1.0)
print("clipped to the length 1:", *[g.round(3).tolist() for g in clipped])
variables = [keras.Variable(np.zeros_like(g, "float32")) for g in gradients]
keras.optimizers.SGD(1.0, global_clipnorm=1.0).apply(gradients, variables)  # moves by -gradient
difference = max(np.abs(v + c).max() for v, c in zip(variables, clipped, strict=True))
print(f"largest difference to Keras {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# ## The whole training loop on one screen
#
# Here is everything so far, on a small GPT-2 with a context window of 32 tokens. `GradientTape`
# records what the model computes, and `tape.gradient` goes through it backwards to get the gradient
# of the loss for every parameter: **backpropagation**, the chain rule, applied layer by layer.
# `tf.function` turns a step into a graph, which is faster than Python running one operation after
# the other; `jit_compile=True` compiles the graph into one machine program. Lesson 13 measures
# whether that saves time on top.
#
# The optimizer gets $\beta_2 = 0.98$ rather than 0.999: $v$ then averages about the last 50 squared
# gradients, not 1000, which suits a run of only some thousand steps.


# %%
SHORT, BATCH, PEAK, WARMUP = 32, 16, 0.002, 6  # of the demonstrations
STEPS, CUT = (120, 87) if args.steps >= 120 else (20, 13)


def training_loop(model, optimizer, windows):
    """A whole pretraining; return the loss of each step, before its update."""

    @tf.function(jit_compile=True)
    def train_step(inputs, targets, loss_mask):
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)  # (batch, time, vocabulary)
            loss = mean_loss(targets, logits, sample_weight=loss_mask)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)  # clips, decays, moves
        return loss

    optimizer.build(model.trainable_variables)
    losses = []
    for step in range(STEPS):
        rows, loss_mask = windows.batch(step, BATCH, args.seed)
        inputs, targets = rows[:, :-1], rows[:, 1:]  # (batch, time) each
        optimizer.learning_rate = rate_at(step, PEAK, STEPS, WARMUP)
        losses.append(float(train_step(inputs, targets, loss_mask)))
        if (step + 1) % 30 == 0:
            print(f"step {step + 1:3}/{STEPS}  loss {losses[-1]:.4f}")
    return losses


# %% [markdown]
# `fit` does the same with what `compiled` sets: the loss, and an optimizer that knows its schedule.
# An epoch is one step here, so each loss is reported. `from_ids` makes lesson 7's model take the
# ids alone.

# %%
tales = load_corpus("tales")
short_windows = Windows(tales.train, SHORT, tales.tokenizer.end_id)  # as running text


def shorter_gpt2():
    """Two blocks that read at most `SHORT` tokens, always with the same first parameters."""
    keras.utils.set_random_seed(args.seed)
    return from_ids(build_gpt2(tales.vocabulary_size, replace(SIZES["small"], context=SHORT)))


def new_adamw(rate):
    return keras.optimizers.AdamW(rate, beta_2=0.98, weight_decay=0.01, global_clipnorm=1.0)


by_loop = training_loop(shorter_gpt2(), new_adamw(PEAK), short_windows)

# %%
model = compiled(shorter_gpt2(), new_adamw(warmup_cosine(PEAK, STEPS, WARMUP)))
batches = endless_batches(short_windows, BATCH, args.seed)
history = model.fit(batches, epochs=STEPS, steps_per_epoch=1, shuffle=False, verbose=0).history
difference = np.abs(np.subtract(by_loop, history["loss"])).max()
print(f"first and last loss: loop {by_loop[0]:.4f} {by_loop[-1]:.4f}", end="")
print(f", fit {history['loss'][0]:.4f} {history['loss'][-1]:.4f}")
print("the loop and fit have the same losses to 1e-3:", bool(difference < 1e-3))
assert difference < 1e-3

# %% [markdown]
# ## The real run
#
# The loop is right, but AdamW is slow here. From here on we use **Muon**, which gets much further
# in as many steps; [lesson 13](13_optimizers.ipynb) builds it and compares the two. Now the real
# size, with a context window into which each tale fits. A **training configuration** (a *recipe*
# for short) is the list of what decides the result, apart from corpus, code and processor.

# %%
settings_of_run = {name: value for name, value in vars(args).items() if name != "corpus"}
recipe = Recipe(**settings_of_run)
keras.utils.set_random_seed(recipe.seed)
early_model = prepare(build_gpt2(corpus.vocabulary_size, recipe.size, recipe.dtype), recipe)
optimizer = early_model.optimizer.get_config()
configuration = asdict(recipe) | asdict(recipe.size)
configuration["parameters"] = f"{recipe.size.parameters(corpus.vocabulary_size):,}"
configuration["learning_rate"] = f"{warmup} steps of warm-up to {recipe.learning_rate}, cosine to 0"
for name, value in configuration.items():
    if name != "size":
        print(f"{name:16} {value}")
print(f"{'optimizer':16} {optimizer.pop('name')}")
for name, value in optimizer.items():
    if value not in (None, False, []) and name not in ("learning_rate", "ema_momentum"):
        print(f"  {name:20} {value}")

# %% [markdown]
# **Dropout** would set some of the numbers in each token's vector to 0 in each step, chosen at
# random: another regularisation. It is off, because the text is read only a few times. Clipping is
# off, too, and only the parameters that AdamW moves have a little weight decay. **Gradient
# accumulation** (`accumulate`) splits a batch into parts and adds up their gradients, for when a
# batch does not fit into memory. **Mixed precision** (`dtype`) would multiply in 16 bits, which is
# fast on GPUs. Muon moves the matrices of the blocks and AdamW the other parameters; lesson 13
# explains their settings and finds the learning rate by trying several.

# %%
windows, validation = windows_of(corpus, recipe.size.context)
passes = args.steps * args.batch_size / len(windows)
padding = 1 - (len(corpus.train) - 1) / (len(windows) * windows.context)
print(f"{corpus.name}: {len(corpus.train):,} tokens, {corpus.vocabulary_size} different ones")
print(f"{len(windows):,} windows of {windows.context} inputs, {args.batch_size} in a step", end="")
print(f": {passes:.1f} passes")
if corpus.documents:
    print(f"{padding:.0%} of the targets are padding")

# %% [markdown]
# The windows are as long as the longest tale needs, which is less than the context window.
#
# Training takes some minutes. A finished run is not trained again but prints its **evaluations**:
# every so many steps the loss on part of the validation text is measured. `loss` is the mean over
# the steps since the previous evaluation, in nats (with the natural logarithm). **Perplexity** is
# $e$ to the loss: a guess among so many equally likely tokens has the same loss.

# %%
run = pretrain(corpus, recipe, SNAPSHOTS)

# %%
floor = corpus.floor
print(f"loss on the whole validation text {run.validation_loss:.4f} nats per token", end="")
print(f", perplexity {np.exp(run.validation_loss):.3f}")
if floor:
    print(f"floor {floor:.4f}: {run.validation_loss / floor:.3f} times the floor")
    assert run.validation_loss > floor

# %% [markdown]
# The **floor** is the mean loss, on held-out tales (not trained on), of a reader who knows exactly
# the grammar that the tales are made from. No model can be better on such tales. For ordinary text
# nobody knows the floor. For the tales we do, so the ratio says how much is left to learn.
#
# ### What the curve means
#
# A loss needs something to compare it with. Three models that need no gradient descent: one that
# guesses, one that knows how frequent each token is, and lesson 2's bigram, which counts pairs.


# %%
def simple_losses(corpus, smoothing=0.01):
    """Validation losses of models that count: nats per token."""
    size = corpus.vocabulary_size
    first, second = np.asarray(corpus.train[:-1], "int64"), np.asarray(corpus.train[1:], "int64")
    seen = np.asarray(corpus.validation[:-1], "int64")
    asked = np.asarray(corpus.validation[1:], "int64")
    single = np.bincount(second, minlength=size) + smoothing
    pairs, often = np.unique(first * size + second, return_counts=True)  # a pair as one number
    position = np.searchsorted(pairs, seen * size + asked).clip(max=len(pairs) - 1)
    count = np.where(pairs[position] == seen * size + asked, often[position], 0)
    total = np.bincount(first, minlength=size)
    by_pairs = (count + smoothing) / (total[seen] + smoothing * size)
    return {
        "guessing": np.log(size),
        "frequencies": -np.log(single[asked] / single.sum()).mean(),
        "pairs": -np.log(by_pairs).mean(),
    }


# %% [markdown]
# All three are passed before the first evaluation. So train the first steps once more and keep the
# loss of each, counting from 0. Same seed, same batches: the mean must be the first `loss` of the
# run.

# %%
losses = []
for step in range(min(70, args.steps)):
    batch = as_examples(*windows.batch(step, recipe.batch_size, recipe.seed))
    losses.append(float(early_model.train_on_batch(*batch)))
    early_model.reset_metrics()
first = run.history[0]
mean = np.mean(losses[: first["step"]])
print(f"mean loss of the first {first['step']} steps {mean:.4f}, in the run {first['loss']:.4f}")
assert abs(mean - first["loss"]) < 0.02

levels = simple_losses(corpus)
print("\nloss of each simple model, nats per token")
for name, level in levels.items():
    passed = [step for step, loss in enumerate(losses) if loss < level]
    print(f"{name:12} {level:.3f}", f" passed at step {passed[0]}" if passed else " not passed")

# %%
plt.plot(losses)
for (name, level), style in zip(levels.items(), [":", "-.", "--"], strict=True):
    plt.axhline(level, color="grey", linestyle=style, linewidth=1.2)
    right_end = {"xy": (1, level), "xycoords": ("axes fraction", "data"), "ha": "right"}
    plt.annotate(f"{name}: {level:.2f}", **right_end, xytext=(0, 3), textcoords="offset points")
plt.xlabel("step")
plt.ylabel("training loss, nats per token")
plt.ylim(0, 1.1 * max(levels.values()))
plt.title("The first steps, beside the losses of three simple models")
plt.show()

# %% [markdown]
# Before the first step the model guesses, and its loss is nearly the logarithm of the vocabulary's
# size. Where it passes the dash-dotted line, it has learnt at least how frequent tokens are; where
# it falls below the dashed one, it knows more than which token usually follows which. Now the
# whole run.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
plt.sca(left)
plot_losses(run.history, floor)
left.set_yticks([0.3, 0.5, 1, 2, 4], [0.3, 0.5, 1, 2, 4])
left.minorticks_off()
late = [e for e in run.history if e["step"] >= 0.7 * args.steps]
for name, label, style in [("loss", "training", "o-"), ("validation_loss", "validation", "s--")]:
    right.plot([e["step"] for e in late], [e[name] for e in late], style, label=label, markersize=4)
if floor:
    right.axhline(floor, color="black", linestyle="--", linewidth=1, label="floor")
    right.axhline(1.03 * floor, color="grey", linestyle=":", label="1.03 times the floor")
right.set(xlabel="step", ylabel="loss, nats per token", title="The end of the run, enlarged")
right.legend()
plt.show()

# %% [markdown]
# The last gains are small; the floor is near, and the learning rate falls to zero. The validation
# loss ends a few per cent above the floor (dotted: 3 % above). The training loss may fall below the
# floor, since the model has read these tales before; the floor is for new ones.
#
# ### It learns to write
#
# The loss says that it learns, samples say what. The run has kept the parameters at step 0 and at
# each evaluation but the last. With each of them the model writes texts, always with the same seed,
# so that many stages begin alike. Here is the beginning of the first text, and all of it at the
# end.

# %%
writer = keras_nlp.models.GPT2CausalLM.from_preset(run.preset)
sampler = keras_nlp.samplers.RandomSampler(seed=args.seed)
writer.compile(sampler=sampler, jit_compile=True)
first_state = sampler.seed_generator.state.numpy()
kept = [step for step in SNAPSHOTS if step < run.history[-1]["step"]]
stages = {f"step {step}": run.model_at(step).get_weights() for step in kept}
stages["end"] = writer.get_weights()


def printable(text):
    """The text, with · for what cannot be shown and for bytes that are no character."""
    return "".join(c if c.isprintable() and c != "\ufffd" or c == "\n" else "·" for c in text)


def write(weights, number=8):
    """Texts that begin from an empty prompt, by a model with these parameters."""
    writer.set_weights(weights)
    sampler.seed_generator.state.assign(first_state)
    return [printable(text) for text in writer.generate([""] * number)]


written = {stage: write(weights) for stage, weights in stages.items()}
for stage, (text, *_) in written.items():
    print(
        f"{stage:10}" + textwrap.fill(text if stage == "end" else text[:84].replace("\n", " "), 96)
    )

# %% [markdown]
# At first noise, made of pieces of words. Soon there are beginnings of sentences, but what follows
# does not fit what came before. At the end it reads like a story. Is it one? The tales have a
# parser: it says whether a text is a tale, and if not, in which sentence it stops being one. Eight
# texts for each stage:


# %%
def judge(text):
    """None for a tale, else the NotATale with the reason."""
    try:
        parse(text, corpus.language)
    except NotATale as error:
        return error


failed = None
if corpus.language:
    print("the sentence in which each of the eight texts stops being a tale (✓: in none)")
    for stage, texts in written.items():
        errors = [judge(text) for text in texts]
        print(f"{stage:9}", *[f"{error.sentence:2}" if error else " ✓" for error in errors])
        wrong = [(stage, *pair) for pair in zip(texts, errors, strict=True) if pair[1]]
        failed = wrong[0] if wrong else failed  # of the latest stage that has one
else:
    print("Only tales can be parsed.")

# %% [markdown]
# Here is a text that failed, from the latest stage that has one. `▶` marks where the parser
# stopped: no tale goes on in this way. *Is not how a tale goes on* means that the rules of the
# tales' grammar do not allow these words, *does not fit what was told before* that they contradict
# the text so far.

# %%
if failed:
    stage, bad, error = failed
    marked = f"{bad[: error.position].rstrip()} ▶ {bad[error.position :].lstrip()}"
    print(f"{stage}, {error.kind}, {error}\n")
    print(textwrap.fill(marked, 96))

# %% [markdown]
# ## Surprisal, word by word
#
# The loss is a mean over all tokens. The **surprisal** of one word is $-\log$ of its probability.
# What does each word of a validation tale cost the model, and what *must* it cost? A reader who
# knows the grammar of the tales exactly is not surprised by most words. But when one of $n$ equally
# likely names is told, even that reader pays $\log n$ nats. `surprisals` computes this exactly, for
# each word after those before it. The model predicts tokens, so we add up the tokens of each word.


# %%
english = corpus.language == "en"


def word_losses(text, losses):
    """The model's surprisal of each word of a tale and of its end, from that of its tokens."""
    lengths = [len(corpus.tokenizer.encode(word)) for word in split_words(text)]
    starts = np.cumsum([0, *lengths])  # of each word, and of the end
    return np.add.reduceat(losses[: starts[-1] + 1], starts)


if english:
    stories = tell_again("en", "validation", 200)  # the first ones of corpus.validation
    rows = validation.in_order()[0][: len(stories)]  # (200, context + 1)
    exact = [np.array(surprisals(story.text, "en", split_words)) for story in stories]
    writer.set_weights(stages["end"])
    token_losses = TokenLosses(from_ids(writer))(rows)  # (200, context)
    pairs = zip(stories, token_losses, strict=True)
    by_model = [word_losses(story.text, losses) for story, losses in pairs]
    print(f"nats a tale, mean of the first {len(stories)} validation tales")
    print(f"from the exact probabilities {np.mean([-story.log_prob for story in stories]):.4f}")
    print(f"the same, word by word       {np.mean([nats.sum() for nats in exact]):.4f}")
    print(f"the model, token by token    {np.mean([nats.sum() for nats in by_model]):.4f}")
else:
    print("This part needs the English tales: it compares the model with their grammar.")


# %%
def draw(story, owed, paid, per_row=32):
    """The surprisal of each word of a tale, as bars over its text."""
    words = [*(word.strip() for word in split_words(story.text)), "END"]
    count = -(-len(words) // per_row)
    figure, all_axes = plt.subplots(count, 1, figsize=(8, 1.3 * count), sharey=True)
    for number, axes in enumerate(np.atleast_1d(all_axes)):
        here = slice(number * per_row, (number + 1) * per_row)
        positions = np.arange(len(words[here]))
        axes.bar(positions, paid[here], color=SKY, label="the model")
        axes.plot(positions, owed[here], "_", color="black", mew=2, label="reader of the grammar")
        axes.set_xticks(positions, words[here], rotation=60, ha="right", fontsize=9)
        axes.set(xlim=(-0.8, per_row - 0.2), ylim=(0, 1.4 * max(paid)), ylabel="nats")
        axes.grid(axis="x", visible=False)
    figure.suptitle("Surprisal of each word of a validation tale", fontsize=11)
    np.atleast_1d(all_axes)[0].legend(ncols=2, loc="upper right", fontsize=8)
    plt.show()


if english:
    draw(stories[0], exact[0], by_model[0])

# %% [markdown]
# Where the tale makes a choice (who it is about, what got lost), there is a bar, and it ends near
# the mark in most cases: the model knows not only what may come, but how probable it is. Once a
# phrase has begun, its words are nearly free. The hero's name costs where it is first told, and
# later only where the grammar could have begun the sentence in another way. So the loss on this
# tale is nearly all paid for choices; the sums above say so of 200 tales.

# %% [markdown]
# ## Overfitting: memorising instead of learning
#
# A falling *training* loss proves nothing about new texts. A model that **memorises** its training
# text gets better there and worse elsewhere: **overfitting**. Watch the validation loss, keep the
# parameters with which it was lowest, and stop when it has not improved for some evaluations, the
# **patience**. That is **early stopping**. Try it on a text that is much too short; here we only
# look for the step to keep.


# %%
schedule = warmup_cosine(0.03, STEPS, WARMUP)  # the real run's optimizer: faster
muon = Muon(schedule, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None)
model = compiled(shorter_gpt2(), muon)
muon.build(model.trainable_variables)
everything = [*model.variables, *muon.variables]
start = [variable.numpy() for variable in everything]


def put_back():
    """The short model and its optimizer as they were before the first step."""
    for variable, number in zip(everything, start, strict=True):
        variable.assign(number)


def train_step(step, windows):
    model.reset_metrics()
    return float(model.train_on_batch(*as_examples(*windows.batch(step, BATCH, args.seed))))


def validated_training(text, patience, every=10):
    """Train on a text; return (step, training loss, validation loss) of each evaluation."""
    put_back()
    windows = Windows(text, SHORT, tales.tokenizer.end_id)
    evaluations, losses = [], []
    for step in range(STEPS):
        losses.append(train_step(step, windows))
        if (step + 1) % every == 0:
            evaluations.append((step + 1, np.mean(losses[-every:]), short_losses.mean(*unseen)))
            best = min(evaluations, key=lambda one: one[2])
            if step + 1 - best[0] >= patience * every:
                break
    return np.array(evaluations)


# %%
short_losses = TokenLosses(model)  # the loss of each token, compiled once
unseen = Windows(tales.validation[:6000], SHORT, tales.tokenizer.end_id).in_order()
few = tales.train[:2000]
memorised = validated_training(few, patience=3)
enough = validated_training(tales.train, patience=3)
best = memorised[memorised[:, 2].argmin()]
whole_tales = [np.sum(text == tales.tokenizer.end_id) - 1 for text in (few, tales.train)]
print(f"few tales: {whole_tales[0]} whole ones; all tales: {whole_tales[1]:,}")
print(f"stopped at step {memorised[-1, 0]:.0f}, kept step {best[0]:.0f}")

# %%
plt.plot(*memorised[:, :2].T, marker="o", label="few tales, training")
plt.plot(*memorised[:, [0, 2]].T, marker="s", label="few tales, validation")
plt.plot(*enough[:, [0, 2]].T, marker="^", label="all tales, validation")
plt.plot(best[0], best[2], "*", color="black", markersize=13, label="few tales, kept step")
plt.xlabel("step")
plt.ylabel("loss, nats per token")
plt.title("Training on few and on all tales; early stopping keeps the star")
plt.legend()
plt.show()

# %% [markdown]
# With few tales the training loss goes on falling and the validation loss rises again. With all of
# them it does not. More text is the best remedy; early stopping and regularisation need none.
#
# ## Killed, and resumed
#
# A long training will be interrupted. So it writes **checkpoints**: everything that it needs to go
# on. That is the parameters, *and* the optimizer's state (its running means and the number of the
# step, from which the schedule takes its rate). The batches need no memory: they depend on step and
# seed alone.


# %%
def train(folder, cut_at=None):
    """Train from the newest checkpoint in a folder, or from the start; return every loss."""
    step, history = load_checkpoint(folder, model)
    while step < STEPS:
        if step == cut_at:
            raise RuntimeError(f"interrupted at step {step}")
        history.append({"step": step, "loss": train_step(step, short_windows)})
        step += 1
        if step % 10 == 0:
            save_checkpoint(folder, model, step, history)
    return [one["loss"] for one in history]


temporary = TemporaryDirectory()  # deleted when Python ends
whole, killed = Path(temporary.name) / "whole", Path(temporary.name) / "killed"
put_back()
in_one_piece = train(whole)
parameters_in_one_piece = model.get_weights()

# %% [markdown]
# Now a run that is interrupted. What was in memory is lost, so the first numbers are put back. The
# same call again goes on from the last checkpoint.

# %% tags=["nbval-check-output"]
put_back()
try:
    train(killed, cut_at=CUT)
except RuntimeError as error:
    print(error)
put_back()
print("there is", *[path.name for path in sorted(killed.glob("checkpoint-*"))])
resumed = train(killed)
same_losses = resumed == in_one_piece
same_weights = all(map(np.array_equal, model.get_weights(), parameters_in_one_piece))
print(f"the same losses: {same_losses}; the same weights, bit for bit: {same_weights}")
assert same_losses and same_weights

# %% [markdown]
# What if a program saves nothing but the parameters? Take them from ten steps before the end.

# %%
(killed / f"checkpoint-{STEPS:07}.npz").unlink()
step, history = load_checkpoint(killed, model)
parameters = model.get_weights()
put_back()  # the optimizer's state, too
model.set_weights(parameters)
save_checkpoint(killed, model, step, history)
weights_only = train(killed)
for name, losses in [("in one piece", in_one_piece), ("parameters only", weights_only)]:
    print(f"{name:15} mean loss of the last ten steps {np.mean(losses[step:]):.3f}")
assert weights_only[: step + 1] == in_one_piece[: step + 1]
assert STEPS < 120 or np.mean(weights_only[step:]) > np.mean(in_one_piece[step:]) + 0.05

# %%
half, at = STEPS // 2, CUT // 10 * 10
plt.plot(range(half, STEPS), in_one_piece[half:], label="in one piece")
plt.plot(range(at, STEPS), resumed[at:], "o", color=ORANGE, mfc="none", label=f"resumed at {at}")
plt.plot(range(step, STEPS), weights_only[step:], "x--", color=PURPLE, label="parameters only")
plt.axvline(CUT, color="grey", linestyle=":", label="interrupted")
plt.xlabel("step")
plt.ylabel("loss, nats per token")
plt.title("Resumed from a complete checkpoint: the same losses")
plt.legend()
plt.show()

# %% [markdown]
# The circles lie on the line. The crosses leave it, because the schedule begins with its warm-up
# again and the running means are lost. The last steps should be the smallest, and here they are
# large again: the loss ends clearly higher.
#
# ## Real language
#
# The tales are simple on purpose. `python_docs` is real text: the help pages that come with Python,
# written by people. The next cell trains on it; so does this command, which also takes the path
# of a text:
#
# `python -m utils.small_gpt2 --corpus python_docs --steps 240`

# %%
docs = load_corpus("python_docs")
docs_recipe = replace(Recipe(), steps=min(240, args.steps))
print(f"{len(docs.train):,} tokens, {docs.vocabulary_size} different ones")
docs_run = pretrain(docs, docs_recipe)
docs_levels = simple_losses(docs)

# %%
plot_losses(docs_run.history)
for (name, level), style in zip(docs_levels.items(), [":", "-.", "--"], strict=True):
    plt.axhline(level, color="grey", linestyle=style, linewidth=1.2, label=f"{name}: {level:.2f}")
plt.yticks([2, 3, 4, 5, 7], [2, 3, 4, 5, 7])
plt.minorticks_off()
plt.title("Real text: loss while training, beside three simple models")
plt.legend(fontsize=8)
plt.show()

# %%
docs_writer = keras_nlp.models.GPT2CausalLM.from_preset(docs_run.preset)
docs_writer.compile(sampler=keras_nlp.samplers.TopPSampler(0.8, seed=args.seed), jit_compile=True)
sample = docs_writer.generate(["The "])[0]
print(f"loss {docs_run.validation_loss:.3f}, perplexity {np.exp(docs_run.validation_loss):.1f}\n")
print(printable(sample[:900]))

# %% [markdown]
# This is far from good, although improbable tokens were left out (lesson 9). There are words and
# short phrases of the manual, but also words that do not exist, and sentences do not hold together.
# The validation loss ends below `pairs`, the training loss far lower: this gap is the first sign of
# overfitting. The text is short and is read several times.
#
# ## What a run leaves behind

# %%
for path in sorted(run.folder.iterdir()):
    if not path.name.startswith("."):
        print(path.name + ("/" if path.is_dir() else ""))

# %% [markdown]
# `best` has the parameters with the lowest validation loss, `preset` the model with these and its
# tokenizer; `from_preset` reads it, and the next lessons will. `checkpoint-…` are the last two
# checkpoints, `snapshot-…` the parameters that wrote the samples above, `run.json` says what the
# run was made of, `result.json` has its evaluations. `logs` is for **TensorBoard**, which draws the
# curves of all your runs in a browser: `tensorboard --logdir checkpoints`.
#
# ## If your result looks different
#
# * **The loss became `nan`, or stays far above `pairs`.** The learning rate is too high. Divide it
#   by three.
# * **The curve has the right shape and ends too high.** Not enough steps: the learning rate fell to
#   zero before the model was done. More `steps` make a new run, for its schedule is another one.
# * **The validation loss turns up.** Overfitting: too little text, or too many passes.
# * **The validation loss is fine, the samples are noise.** Look whether the tokenizer that decodes
#   is the one that encoded.
# * **Your digits differ from this page.** Another processor rounds differently, and training
#   enlarges that. On one machine two runs should be equal to the last bit.

# %% [markdown]
# ## Recap
#
# * A text becomes windows; targets are the inputs, one to the right; the loss mask leaves out
#   padding.
# * Momentum adds up gradients; Adam divides by the size of each parameter's gradients; AdamW adds
#   weight decay. The learning rate rises, then falls; clipping shortens huge gradients.
# * A training loop is: batch, loss, backpropagation, update. `fit` does the same.
# * A loss means something only next to other losses: guessing, counting, and the floor. On the
#   tales it is nearly all paid for choices.
# * The validation loss shows overfitting and says when to stop. A checkpoint is the parameters and
#   the optimizer's state, with the step.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words; then let `check.answer` show ours.
#
# 1. Why does the loss need a mask?
# 2. What does momentum do in a narrow valley, and why?
# 3. Why does the learning rate start at zero, although the model has everything still to learn?
# 4. The training loss is below the floor. Is the model better than possible?
# 5. How do you recognise overfitting, and what can be done about it?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Cut running text into full windows, and drop the rest. Return inputs and targets apart.
# Each id but the first is a target once, as far as the windows go.


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
# **3.** The loss of a batch with padding: from the losses at all positions and the loss mask.


# %%
def masked_loss(losses, loss_mask):
    """Return the mean over the targets that count."""
    ...


check.masked_loss(masked_loss)

# %% [markdown]
# **4.** Adam without bias correction, that is with $m$ and $v$ instead of $m/(1 - \beta_1^t)$ and
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
# Your model can write, and so far each token of a tale was sampled just as its probability says. In
# [lesson 9](09_generation.ipynb) you will learn other ways to sample, what each does to the tales,
# and how to make it many times as fast.
