# %% [markdown]
# # 6. The transformer: one block, two masks
#
# At the end of this lesson you will have built the transformer block, of which GPT-2 is a stack,
# checked that keras-nlp computes the same, and trained two small language models with it: a BERT,
# which fills in blanks, and a GPT, which writes.
#
# You need: gradients from [lesson 1](01_linear_regression.ipynb), cross-entropy, Adam and
# perplexity from [lesson 2](02_next_token.ipynb), positions from [lesson 4](04_embeddings.ipynb),
# the causal mask and the two heads that copy from [lesson 5](05_attention.ipynb).

# %%
from utils.course.settings import settings

args = settings(steps=900, batch_size=32, learning_rate=0.0025, questions=250, seed=6)
print(args)

# %% [markdown]
# This lesson needs gradients, and NumPy does not compute them. `keras.ops` has NumPy's functions
# under the same names, and a few more, such as `softmax`. TensorFlow can differentiate what is
# written with them. So the code by hand uses `ops` this time.

# %%
import re
from itertools import islice

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import ops

from utils.course.diagrams import draw_flow
from utils.course.plots import STYLE
from utils.course.seeds import seed_everything
from utils.data.batches import ready_batches
from utils.exercises import lesson_06 as check
from utils.tales import NotATale, corpus, parse, sentences
from utils.training.progress import Progress

plt.style.use(STYLE)
rng = seed_everything(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## The parts, by hand
#
# Attention moves information from one position of the text to another. Three more parts are needed
# to process that information and to make a deep stack of layers trainable. Each is a few lines.
#
# ### Layer normalization
#
# After some layers the numbers of one token may be in the hundreds and those of another in the
# hundredths, and such differences make training unstable. **Layer normalization** brings each token
# to the same scale: subtract the mean of its features, divide by their standard deviation. (Ba,
# Kiros and Hinton, *Layer Normalization*, 2016.)
#
# Training can then choose another scale: each feature is multiplied by a learnt factor, the
# **gain**, and a learnt **bias** is added to it. Gains start at 1 and biases at 0. The small
# `epsilon` prevents a division by zero.


# %%
def layer_norm(x, gain, bias, epsilon=1e-5):
    """Normalize the features of each token: mean 0, variance 1, then gain and bias."""
    mean = ops.mean(x, axis=-1, keepdims=True)  # (..., 1)
    variance = ops.var(x, axis=-1, keepdims=True)  # (..., 1)
    return (x - mean) / ops.sqrt(variance + epsilon) * gain + bias  # (..., features)


# %% [markdown]
# Two tokens with four features each. The second is the first, times a hundred.

# %%
x = np.array([[1.0, 2.0, 3.0, 6.0], [100.0, 200.0, 300.0, 600.0]], "float32")  # (tokens, features)
normal = np.array(layer_norm(x, np.ones(4, "float32"), np.zeros(4, "float32")))
print(normal)
print("means", normal.mean(axis=-1).round(3), "variances", normal.var(axis=-1).round(3))

# %% [markdown]
# Afterwards they are equal: the scale is gone, the pattern remains. Note the axis. Each *token* is
# normalized over its own features; the other tokens and the other texts of the batch have no
# influence. Keras calls the gain `gamma` and the bias `beta`. Set both to random numbers, and
# compare Keras's layer with ours.

# %%
layer = keras.layers.LayerNormalization(epsilon=1e-5)
x = (5 * rng.normal(size=(3, 6, 8)) + 2).astype("float32")  # (batch, time, features)
layer(x)  # the first call creates the weights
layer.set_weights([rng.normal(size=8), rng.normal(size=8)])
difference = np.abs(layer_norm(x, *layer.weights) - layer(x)).max()
print(f"largest difference {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# ### The feed-forward network and GELU
#
# Given the attention weights, attention only averages values. That is a linear operation, and
# linear operations alone cannot compute much. So after it each token passes through a small
# network, the **feed-forward network** (`mlp` in code, for *multilayer perceptron*): a `Dense`
# layer that makes the vector wider, usually four times, a non-linear function, and a `Dense` layer
# that brings it back to its old width. Without the function in between, two `Dense` layers could be
# replaced by one.
#
# A common choice for this function, the **activation**, is **ReLU**: negative numbers become zero.
# GPT-2 and BERT use a smooth one, **GELU**: multiply $x$ by $\Phi(x)$, the probability that a
# number from the standard **normal distribution** (the bell curve) is below $x$. (Hendrycks and
# Gimpel, *Gaussian Error Linear Units*, 2016.) $\Phi$ is computed with `erf`, the *error function*.
# GPT-2 uses a cheaper approximation with `tanh`, from the same paper.


# %%
def gelu(x):
    return 0.5 * x * (1 + ops.erf(x / 2**0.5))


def gelu_tanh(x):
    return 0.5 * x * (1 + ops.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


# %%
grid = np.linspace(-5, 5, 1001, dtype="float32")
for ours, approximate in [(gelu, False), (gelu_tanh, True)]:
    difference = np.abs(ours(grid) - keras.activations.gelu(grid, approximate=approximate)).max()
    print(f"{ours.__name__:9} differs from Keras by {difference:.0e}")
    assert difference < 1e-5
between = np.array(gelu_tanh(grid) - gelu(grid))
print(f"the two forms differ by {np.abs(between).max():.1e} at most")

# %%
plt.figure(figsize=(5, 3.2))
plt.plot(grid, np.maximum(grid, 0), label="ReLU")
plt.plot(grid, gelu(grid), label="GELU")
plt.axis((-4, 2.5, -0.5, 2.5))
plt.xlabel("x")
plt.ylabel("activation")
plt.title("GELU is a ReLU without the corner")
plt.legend()
plt.show()

# %% [markdown]
# Look just left of zero. ReLU is flat there: its slope is zero, so no gradient passes through a
# negative number. GELU has a slope on both sides of zero. The whole network is then one line.


# %%
def feed_forward(x, mlp_up_kernel, mlp_up_bias, mlp_down_kernel, mlp_down_bias):
    """Each token on its own: (..., features) -> (..., hidden) -> (..., features)."""
    return gelu(x @ mlp_up_kernel + mlp_up_bias) @ mlp_down_kernel + mlp_down_bias


# %% [markdown]
# Nothing crosses from token to token here: change the last token, and the outputs of the others
# stay the same. Only attention moves information between tokens.

# %% tags=["nbval-check-output"]
shapes = [(8, 32), (32,), (32, 8), (8,)]
weights = [rng.normal(size=shape).astype("float32") for shape in shapes]
changed = x.copy()
changed[:, -1] = 100.0
before, after = feed_forward(x, *weights), feed_forward(changed, *weights)
print("first five tokens unchanged:", np.allclose(before[:, :5], after[:, :5]))
print("last token unchanged:", np.allclose(before[:, 5], after[:, 5]))

# %% [markdown]
# ### The residual connection
#
# The third part is a plus sign. Instead of replacing $x$ by $f(x)$, add: $x + f(x)$. That is a
# **residual connection**. The layer has to learn only the change; where $f(x)$ is 0, $x$ passes
# through unchanged. (He and others, *Deep Residual Learning for Image Recognition*, 2016.)
# In a stack of such layers the vector of a token runs from bottom to top as one running sum: each
# layer reads it and adds something. It is called the **residual stream**.
#
# The importance of the plus shows in the gradient. **Backpropagation** computes gradients from the
# loss back to the input, layer by layer. Stack untrained feed-forward networks, each of which
# replaces $x$ by $f(x)$, by $2f(x)$, by $x + f(x)$ or by $x + f(\mathrm{norm}(x))$. Send a random
# gradient of norm (length) 1 in at the top, and measure its norm at the bottom.


# %%
def feed_forward_stack(x, depth, kind, rng):
    """`depth` untrained feed-forward networks; kind: what happens to x at each of them."""
    for _ in range(depth):
        mlp_up_kernel = (rng.normal(size=(32, 128)) / 32**0.5).astype("float32")
        mlp_down_kernel = (rng.normal(size=(128, 32)) / 128**0.5).astype("float32")
        weights = mlp_up_kernel, 0.0, mlp_down_kernel, 0.0
        if kind in ["f(x)", "2 f(x)"]:
            x = feed_forward(x, *weights) * (2 if kind == "2 f(x)" else 1)
        elif kind == "x + f(x)":
            x = x + feed_forward(x, *weights)
        else:
            x = x + feed_forward(layer_norm(x, 1.0, 0.0), *weights)
    return x


def gradient_that_arrives(depth, kind):
    """Norm of the gradient at the input, for a random one of norm 1 at the output."""
    rng = np.random.default_rng(args.seed)  # the same weights for every kind
    x, upstream = rng.normal(size=(2, 16, 32)).astype("float32")  # each (tokens, features)
    upstream = upstream / np.linalg.norm(upstream)
    x = ops.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        # The gradient of this sum at the top of the stack is `upstream`.
        loss = ops.sum(feed_forward_stack(x, depth, kind, rng) * upstream)
    return float(ops.norm(tape.gradient(loss, x)))


# %%
depths = [1, 2, 4, 8, 12, 16, 24]
kinds = ["f(x)", "2 f(x)", "x + f(x)", "x + f(norm(x))"]
arrived = {kind: [gradient_that_arrives(depth, kind) for depth in depths] for kind in kinds}
print("layers        ", *[f"{depth:8}" for depth in depths])
for kind, norms in arrived.items():
    print(f"{kind:14}", *[f"{norm:8.1e}" for norm in norms])
assert arrived["f(x)"][-1] < 1e-3 < 0.5 < arrived["x + f(norm(x))"][-1] < 20
assert arrived["x + f(x)"][-1] > 40 and arrived["2 f(x)"][-1] > 400

# %%
for (kind, norms), marker in zip(arrived.items(), "ovs^", strict=True):
    plt.semilogy(depths, norms, marker=marker, label=kind)
plt.xlabel("feed-forward networks in the stack")
plt.ylabel("norm of the gradient at the bottom")
plt.title("The plus lets the gradient through, the norm keeps it in bounds")
plt.legend()
plt.show()

# %% [markdown]
# Without the plus each layer multiplies the gradient by about the same factor. For $f(x)$ it is
# below 1: from some depth on, almost nothing reaches the bottom layers, and they hardly learn. This
# is the **vanishing gradient**. For $2f(x)$ the factor is above 1: an **exploding gradient**.
#
# With the plus the gradient has a path around every layer. It still grows, since each plus adds to
# it what came back through $f$. A normalization divides $x$ by its size, and so the gradient
# through $f$ is divided by it, too. Every layer adds to $x$, so this size grows along the stack.
# Then the gradient grows far more slowly: at depth 24 it is still below 20.

# %% [markdown]
# ## The block
#
# Now put the parts together. A **transformer block** is attention, then a feed-forward network,
# each with a normalization and a residual connection. Two orders are in use:
#
# * **post-norm**, as in the first transformer and in BERT: $x \leftarrow \mathrm{norm}(x + f(x))$;
# * **pre-norm**, as in GPT-2: $x \leftarrow x + f(\mathrm{norm}(x))$.
#
# (Vaswani and others, *Attention Is All You Need*, 2017, sections 3.1 and 3.3; Radford and others,
# *Language Models are Unsupervised Multitask Learners*, 2019, section 2.3.) The picture shows
# pre-norm; the curved arrows are the residual connections.

# %%
SHAPE = "(batch,\ntime,\nfeatures)"
BOXES = [(0, "x"), (2.9, "norm"), (4.8, "attention"), (6.6, "+")]
BOXES += [(9.5, "norm"), (12.0, "feed-forward"), (14.3, "+"), (16.9, "x")]
draw_flow(
    [(x, 0, text) for x, text in BOXES],
    [(0, 1, SHAPE), (1, 2, ""), (2, 3, ""), (3, 4, SHAPE), (4, 5, ""), (5, 6, ""), (6, 7, SHAPE)]
    + [(0, 3, ""), (3, 6, "")],
    "Pre-norm: each part adds to x, and the shape stays",
    height=2.2,
    bends={(0, 3): 0.3, (3, 6): 0.3},
)
plt.show()

# %% [markdown]
# The attention is that of lesson 5, with the array shapes of Keras. `einsum` multiplies two arrays
# and sums over the letters that are missing after the arrow, so the heads need no reshape. The
# letters: `b` batch, `t` time (position) of the query, `s` time of the key, `f` features, `h` head,
# `d` the numbers in a head.


# %%
def attention(
    x, q_kernel, q_bias, k_kernel, k_bias, v_kernel, v_bias, out_kernel, out_bias, causal
):
    """Multi-head self-attention of x (batch, time, features) with Keras's eight arrays."""
    queries = ops.einsum("btf,fhd->bthd", x, q_kernel) + q_bias  # (batch, time, heads, head_dim)
    keys = ops.einsum("bsf,fhd->bshd", x, k_kernel) + k_bias
    values = ops.einsum("bsf,fhd->bshd", x, v_kernel) + v_bias
    scores = ops.einsum("bthd,bshd->bhts", queries, keys)  # (batch, heads, time, time)
    scores = scores / q_kernel.shape[-1] ** 0.5
    if causal:
        mask = np.tri(x.shape[1], dtype=bool)  # (time, time): True where the key is not later
        scores = ops.where(mask, scores, -1e9)
    weights = ops.softmax(scores)  # each row adds to 1
    mixed = ops.einsum("bhts,bshd->bthd", weights, values)
    return ops.einsum("bthd,hdf->btf", mixed, out_kernel) + out_bias  # (batch, time, features)


# %% [markdown]
# And here is the block. The dictionary `p` holds its parameters in four groups.


# %%
def block(x, p, causal, pre_norm=True):
    """A transformer block: (batch, time, features) -> the same shape."""
    if pre_norm:
        x = x + attention(layer_norm(x, *p["norm 1"]), *p["attention"], causal)
        return x + feed_forward(layer_norm(x, *p["norm 2"]), *p["feed-forward"])
    x = layer_norm(x + attention(x, *p["attention"], causal), *p["norm 1"])
    return layer_norm(x + feed_forward(x, *p["feed-forward"]), *p["norm 2"])


# %% [markdown]
# ### The same in keras-nlp
#
# keras-nlp calls the block `TransformerDecoder`. (A **decoder** has the causal mask; below you will
# see that this depends on a single argument.) `normalize_first=True` means pre-norm. Here are its
# parameters with their shapes. Keras calls a **weight matrix** a `kernel`.

# %%
library_block = keras_nlp.layers.TransformerDecoder(
    intermediate_dim=64, num_heads=2, activation="gelu", normalize_first=True, name="block"
)
x = rng.normal(size=(2, 10, 16)).astype("float32")  # (batch, time, features)
library_block(x)  # the first call creates the weights
for weight in library_block.weights:
    print(f"{weight.path:52} {weight.shape}")

# %% [markdown]
# Nothing has to be copied: our functions can use the same variables, split into groups. The order
# is the one just printed.


# %%
def grouped(weights):
    """The block's sixteen arrays under the names that `block` uses."""
    return {
        "attention": weights[0:8],
        "norm 1": weights[8:10],
        "feed-forward": weights[10:14],
        "norm 2": weights[14:16],
    }


# %% [markdown]
# With the same input and parameters the outputs must agree, and so must the gradients at the input
# and at all sixteen arrays. The loss here is the sum of the outputs, each times a random number.
# Try both orders, with the causal mask and without.


# %%
def output_and_gradients(function, x, variables, upstream):
    """function(x), and the gradients of sum(function(x) * upstream) at x and the variables."""
    x = ops.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = function(x)
        loss = ops.sum(output * upstream)
    return [output, *tape.gradient(loss, [x, *variables])]


def largest_difference(ours, theirs):
    """Largest difference of two lists of arrays, relative to the largest number of each array."""
    pairs = zip(map(np.array, ours), map(np.array, theirs), strict=True)
    return max(np.abs(a - b).max() / max(1.0, np.abs(b).max()) for a, b in pairs)


# %%
def compare(pre_norm, causal):
    """Our block and the library's, with the same random weights: differences of both kinds."""
    library = keras_nlp.layers.TransformerDecoder(
        64, num_heads=2, activation="gelu", normalize_first=pre_norm
    )
    library.build(x.shape)
    library.set_weights([rng.normal(size=w.shape) / 4 for w in library.weights])
    p, upstream = grouped(library.weights), rng.normal(size=x.shape).astype("float32")
    ours, theirs = (
        output_and_gradients(function, x, library.weights, upstream)
        for function in (
            lambda x: block(x, p, causal, pre_norm),
            lambda x: library(x, use_causal_mask=causal),
        )
    )
    return largest_difference(ours[:1], theirs[:1]), largest_difference(ours[1:], theirs[1:])


for pre_norm in [True, False]:
    for causal in [True, False]:
        output, gradients = compare(pre_norm, causal)
        print(f"pre-norm {pre_norm!s:5}  causal {causal!s:5}", end="")
        print(f"  differences: outputs {output:.0e}, gradients {gradients:.0e}")
        assert output < 1e-5 and gradients < 1e-5

# %% [markdown]
# ## Pre-norm or post-norm: depth decides
#
# The two orders have the same parameters. They differ in the path of the residual stream. In
# pre-norm it runs from bottom to top through plus signs alone. In post-norm it passes through a
# normalization after every plus, twice in each block.
#
# First take untrained stacks with random inputs and targets. Measure the gradient of the loss at
# one weight matrix of the first block and at the same one of the last. A pre-norm stack gets one
# more normalization at its top, as in GPT-2.


# %%
def stack_of_blocks(depth, pre_norm, classes=50, width=64):
    """Layers that turn tokens into logits: (batch, time) -> (batch, time, classes)."""
    blocks = [
        keras_nlp.layers.TransformerDecoder(
            4 * width, num_heads=4, activation="gelu", normalize_first=pre_norm
        )
        for _ in range(depth)
    ]
    top = [keras.layers.LayerNormalization(epsilon=1e-5)] if pre_norm else []
    return [keras.layers.Embedding(classes, width), *blocks, *top, keras.layers.Dense(classes)]


def loss_of(layers, ids, targets):
    """The mean cross-entropy of a stack."""
    x = ids
    for layer in layers:
        x = layer(x)
    losses = keras.losses.sparse_categorical_crossentropy(targets, x, from_logits=True)
    return ops.mean(losses)


def gradient_of_each_block(layers, ids, targets):
    """Norm of the gradient at the first feed-forward weight matrix of each block."""
    with tf.GradientTape() as tape:
        loss = loss_of(layers, ids, targets)
    kernels = [layer.weights[10] for layer in layers if len(layer.weights) == 16]
    return np.array([ops.norm(gradient) for gradient in tape.gradient(loss, kernels)])


# %%
depths = [1, 3, 8]
ids, targets = rng.integers(0, 50, size=(2, 8, 16))  # each (batch, time)
gradients = {
    name: [gradient_of_each_block(stack_of_blocks(n, pre_norm), ids, targets) for n in depths]
    for name, pre_norm in [("pre-norm", True), ("post-norm", False)]
}
print("blocks                ", *[f"{depth:6}" for depth in depths])
for name, stacks in gradients.items():
    print(f"{name:9}  first block ", *[f"{norms[0]:6.3f}" for norms in stacks])
    print(f"{'':9}  last block  ", *[f"{norms[-1]:6.3f}" for norms in stacks])
assert gradients["pre-norm"][-1][-1] < 0.5 * gradients["pre-norm"][0][-1]
assert gradients["post-norm"][-1][-1] > 0.7 * gradients["post-norm"][0][-1]

# %% [markdown]
# The first block gets a gradient in both orders, at every depth. They differ at the top: in a
# deeper stack the gradient of the last block is clearly smaller with pre-norm, but not with
# post-norm. Xiong and others (*On Layer Normalization in the Transformer Architecture*, 2020) see
# in large gradients at the top the reason why a deep post-norm stack does not tolerate large steps
# at first. It needs a **warm-up**: a learning rate that starts very small and rises slowly.
#
# Now train both. Each token has a fixed partner, and the model must name it; attention is not even
# needed. Data, optimizer and learning rate are the same. The deep post-norm stack runs once more
# with a warm-up. (`tf.function` turns a step into a graph, which runs faster. Keras's `fit` does
# the same for you.)


# %%
def learn_partners(depth, pre_norm, warmup=1, learning_rate=0.005):
    """Train a stack to name each token's partner; return the loss at each step."""
    keras.utils.set_random_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    partner = rng.permutation(50)
    steps = min(48, args.steps)
    batches = rng.integers(0, 50, size=(steps, 16, 16))  # (steps, batch, time)
    layers, optimizer = stack_of_blocks(depth, pre_norm), keras.optimizers.Adam()
    loss_of(layers, batches[0], partner[batches[0]])  # the first call creates the weights
    weights = [weight for layer in layers for weight in layer.trainable_weights]
    optimizer.build(weights)

    @tf.function
    def step(ids, targets):
        with tf.GradientTape() as tape:
            loss = loss_of(layers, ids, targets)
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    losses = []
    for number, ids in enumerate(batches, start=1):
        optimizer.learning_rate = learning_rate * min(1, number / warmup)
        losses.append(float(step(ops.array(ids), ops.array(partner[ids]))))
    return losses


# %%
DEEP = 8 if args.steps >= 100 else 3  # a short run takes fewer
races = {
    (name, depth): learn_partners(depth, pre_norm)
    for depth in [2, DEEP]
    for name, pre_norm in [("pre-norm", True), ("post-norm", False)]
}
races["post-norm, warm-up", DEEP] = learn_partners(DEEP, pre_norm=False, warmup=24)
for (name, depth), losses in races.items():
    print(f"{name:18} {depth} blocks: loss {losses[0]:.2f} at first, {losses[-1]:.2f} at last")
if DEEP == 8:
    assert races["post-norm", 8][-1] > 3
    assert all(losses[-1] < 1 for race, losses in races.items() if race != ("post-norm", 8))

# %%
figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
styles = {"pre-norm": "-", "post-norm": "--", "post-norm, warm-up": ":"}
for (name, depth), losses in races.items():
    panel = panels[0] if depth == 2 else panels[1]
    panel.plot(losses, styles[name], label=name)
    panel.set(title=f"{depth} blocks", xlabel="step")
panels[0].set_ylabel("loss, nats per token")
if DEEP == 8:
    figure.suptitle(
        "2 blocks train in either order, 8 in post-norm only with a warm-up", fontsize="medium"
    )
panels[1].legend()
plt.show()

# %% [markdown]
# With two blocks both orders learn the partners. With eight, post-norm gets no further than
# guessing among the 50 tokens, whose loss is $\ln 50 \approx 3.9$. Pre-norm learns them, and so
# does post-norm with a warm-up.
#
# BERT is post-norm, 12 or 24 blocks deep, and was trained with a warm-up, too. Xiong and others
# train pre-norm models without one. GPT-2 and nearly all later models are pre-norm, and so are the
# models of this course from here on.


# %% [markdown]
# ## One block, two masks
#
# A stack of such blocks is a **transformer**. Which kind depends on the mask:
#
# * **GPT** (**decoder-only**) has the causal mask. A word sees itself and what stands to its left.
#   Its training question: *what is the next word?*
# * **BERT** (**encoder-only**) has a mask that hides nothing. A word sees both sides. Asking for a
#   word that it sees would teach it nothing, so some words are replaced by blanks (`[MASK]` in the
#   real BERT). Its training question: *what stood in the blank?* (Devlin and others, *BERT:
#   Pre-training of Deep Bidirectional Transformers*, 2019, section 3.1.)


# %%
def draw_mask(axes, sees, words, title):
    """Draw a mask: a row for each query, a column for each key; a hatched cell is hidden."""
    axes.imshow(np.where(sees, 0.6, np.nan), cmap="Blues", vmin=0, vmax=1)
    axes.patch.set(hatch="////", edgecolor="lightgrey")
    axes.set_xticks(range(len(words)), words, rotation=45)
    axes.set_yticks(range(len(words)), words)
    between = np.arange(len(words) - 1) + 0.5
    axes.set_xticks(between, minor=True)
    axes.set_yticks(between, minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(False)
    axes.grid(which="minor", color="white", alpha=1)
    axes.set_title(title)


figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
draw_mask(left, np.ones((5, 5)), ["the", "crow", "[BLANK]", "to", "her"], "BERT: sees both sides")
draw_mask(right, np.tri(5), ["the", "crow", "flew", "to", "her"], "GPT: sees the left side")
left.set_ylabel("this word sees …")
figure.supxlabel("… this one (hatched: hidden)", fontsize=10)
plt.show()

# %% [markdown]
# ### The text
#
# The texts are the tales again. Tokens are whole words here, so that each blank hides one word and
# you can judge the answer. All words of the held-out tales occur in training, too. A word keeps the
# space before it, so that joining the tokens gives the text back. Punctuation marks count as words.


# %%
def split(text):
    """A tale's words and punctuation marks, each with the space before it."""
    return re.findall(r" ?\w+(?:'\w+)?| ?[^\w\s]", text)


train_tales, validation_tales = corpus("en", "train", 4000), corpus("en", "validation", 300)
print(split(validation_tales[0].text)[:14])
assert all("".join(split(tale.text)) == tale.text for tale in validation_tales)

# %% [markdown]
# Two tokens are no words: `[END]` stands after the last word of a tale, and `[BLANK]` hides a word.
#
# Each training example, a row, begins where a sentence begins and ends after 32 words, even within
# a sentence. So the rows of a tale overlap.

# %%
LENGTH = 32
BLANK, END = 0, 1
words = {word for tale in train_tales for word in split(tale.text)}
vocabulary = np.array(["[BLANK]", "[END]", *sorted(words)])
id_of = {word: number for number, word in enumerate(vocabulary)}


def rows_of(tales):
    """A row of LENGTH ids from the beginning of each sentence that has so many words left."""
    rows = []
    for tale in tales:
        ids = [id_of[word] for word in split(tale.text)] + [END]
        start = 0
        for sentence in sentences(tale.text):
            if start + LENGTH <= len(ids):
                rows.append(ids[start : start + LENGTH])
            start += len(split(sentence))
    return np.array(rows)  # (rows, LENGTH)


train_rows, validation_rows = rows_of(train_tales), rows_of(validation_tales)
print(f"{len(vocabulary)} tokens, {len(train_rows):,} rows to train on")

# %% [markdown]
# ### The model
#
# One function builds both models.

# %%
WIDTH, HEADS, BLOCKS = 96, 4, 2


def language_model(causal):
    """Logits at every position: (batch, time) -> (batch, time, vocabulary)."""
    ids = keras.Input((None,), dtype="int32")
    embedding = keras_nlp.layers.TokenAndPositionEmbedding(len(vocabulary), LENGTH, WIDTH)
    x = embedding(ids)  # (batch, time, features)
    for number in range(BLOCKS):
        x = keras_nlp.layers.TransformerDecoder(
            4 * WIDTH,
            HEADS,
            activation="gelu",
            normalize_first=True,
            # So a sum of `WIDTH` products is about as large as what goes in.
            kernel_initializer=keras.initializers.RandomNormal(stddev=WIDTH**-0.5),
            name=f"block_{number}",
        )(x, use_causal_mask=causal)
    x = keras.layers.LayerNormalization(epsilon=1e-5, name="last_norm")(x)
    logits = embedding.token_embedding(x, reverse=True)  # (batch, time, vocabulary)
    return keras.Model(ids, logits)


bert, gpt = language_model(causal=False), language_model(causal=True)

# %% [markdown]
# The only difference is one argument, `use_causal_mask=causal`. (keras-nlp also has a
# `TransformerEncoder`: an **encoder** is this block with the argument fixed to False. The real BERT
# is post-norm; ours is pre-norm, so that the mask is the only difference.)
#
# The line that computes `logits` uses the embedding matrix a second time, transposed: the logit of
# a token is the dot product of $x$ with that token's vector. So input and output share one matrix,
# as in GPT-2 and BERT. This is called **weight tying**, or *tied embeddings*.
#
# Test the mask as in lesson 5: change the last word and see whether the outputs at the earlier
# positions change.

# %% tags=["nbval-check-output"]
row = validation_rows[:1]
changed = row.copy()
changed[0, -1] = END
for name, model in [("BERT", bert), ("GPT", gpt)]:
    same = np.allclose(model(row)[:, :-1], model(changed)[:, :-1], atol=1e-6)
    print(f"{name:4} {model.count_params():,} parameters; earlier positions unchanged: {same}")
assert bert.count_params() == gpt.count_params()

# %% [markdown]
# ### Where the parameters sit
#
# Let $d$ be the width, the number of features of a token. Attention has four weight matrices of
# $d \times d$ with their biases. The feed-forward network has two, $d \times 4d$ and $4d \times d$,
# also with biases. Each normalization has a gain and a bias. The embeddings have one row of $d$
# numbers for each of the $V$ tokens and for each position.


# %%
def parameters(vocabulary_size, length, width, blocks):
    """The number of parameters in each part of our models."""
    return {
        "token embeddings": vocabulary_size * width,
        "position embeddings": length * width,
        "attention": blocks * (4 * width**2 + 4 * width),
        "feed-forward": blocks * (8 * width**2 + 5 * width),
        "normalizations": (2 * blocks + 1) * 2 * width,
    }


# %% tags=["nbval-check-output"]
parts = parameters(len(vocabulary), LENGTH, WIDTH, BLOCKS)
for name, count in parts.items():
    print(f"{name:20} {count:8,}  {count / sum(parts.values()):5.1%}")
print(f"{'together':20} {sum(parts.values()):8,}")
assert sum(parts.values()) == gpt.count_params()

# %% [markdown]
# In a block, the feed-forward network has twice as many parameters as attention: $8d^2$ against
# $4d^2$. The embeddings grow with $d$, the blocks with $d^2$ and with their number. So with the
# same vocabulary a larger model has a smaller share of its parameters in the embeddings.

# %% [markdown]
# ### One row, two training examples
#
# A row of text becomes a training example in two ways. GPT learns *next-token prediction*; BERT's
# task is called **masked language modelling**. Both give inputs, **targets**, and a **loss mask**:
# a number for each position, 0 where the loss does not count. (Keras calls these numbers *sample
# weights*. BERT's authors asked for 15 % of the words: most were blanked out, a tenth of them left
# unchanged, a tenth replaced by random words.)


# %%
BLANKS = 0.25  # share of the words that BERT must predict


def next_word(rows, rng):
    """For GPT: every word is a question, and its answer is the next one."""
    return rows[:, :-1], rows[:, 1:], np.ones(rows[:, 1:].shape, "float32")


def fill_blanks(rows, rng):
    """For BERT: blank some words out; only those count."""
    blank = (rng.random(rows.shape) < BLANKS) & (rows != END)
    # Divided by their share, so that the mean over all positions is about that over the blanks.
    return np.where(blank, BLANK, rows), rows, (blank / BLANKS).astype("float32")


# %%
for prepare in [next_word, fill_blanks]:
    inputs, targets, loss_mask = prepare(validation_rows[1:2], np.random.default_rng(args.seed))
    print(prepare.__name__, "\n  reads  ", *[vocabulary[i].strip() for i in inputs[0, :14]])
    counting = np.where(loss_mask > 0, targets, BLANK)
    print("  targets", *[vocabulary[i].strip().replace("[BLANK]", "·") for i in counting[0, :14]])

# %% [markdown]
# GPT gets a question at every word, BERT at every fourth on average.
#
# ### Training both
#
# The rows, the number of steps and the optimizer are the same. The learning rate has a warm-up
# during the first tenth and then falls to a twentieth of its peak; lesson 8 explains why. A line is
# printed after each *epoch*: usually one pass over the training data, here a tenth of the steps.


# %%
def batches(prepare):
    """Endless batches of freshly shuffled rows."""
    rng, size = np.random.default_rng(args.seed), min(args.batch_size, len(train_rows))
    while True:
        order = rng.permutation(len(train_rows))
        for start in range(0, len(order) - size + 1, size):
            yield prepare(train_rows[order[start : start + size]], rng)


def train(model, prepare):
    """Train for args.steps steps; return Keras's history."""
    rate = keras.optimizers.schedules.CosineDecay(
        args.learning_rate / 10,
        decay_steps=args.steps - args.steps // 10,
        alpha=0.05,
        warmup_target=args.learning_rate,
        warmup_steps=args.steps // 10,
    )
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=["accuracy"],
    )
    return model.fit(
        ready_batches(islice(batches(prepare), 10 * max(1, args.steps // 10))),
        steps_per_epoch=max(1, args.steps // 10),
        epochs=10,
        shuffle=False,
        verbose=0,
        callbacks=[Progress()],
    )


# %%
bert_history = train(bert, fill_blanks)

# %%
gpt_history = train(gpt, next_word)

# %%
per_report = max(1, args.steps // 10)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
for axes, key in [(left, "loss"), (right, "accuracy")]:
    for history, name, marker in [(bert_history, "BERT", "o"), (gpt_history, "GPT", "s")]:
        values = history.history[key]
        axes.plot(per_report * np.arange(1, 11), values, marker=marker, markersize=4, label=name)
    axes.set_xlabel("step")
left.set_title("Loss while training")
left.set_ylabel("loss, nats per word asked")
right.set_title("Accuracy while training")
right.set_ylabel("accuracy, share of the words asked")
left.legend()
plt.show()

# %% [markdown]
# (Each point is the mean over its tenth of the steps.) GPT is ahead from the first point on, with
# four times as many questions in a step. BERT's loss falls slowly at first, then quickly. A likely
# reason: a blank says nothing about the word that it hides, so BERT must first learn to attend to
# the neighbouring words.

# %% [markdown]
# ## The same question to both
#
# Replace one word of a held-out row by a blank and ask for it. BERT reads both sides, GPT only what
# stands before the blank. Some words are easier than others, so several kinds are asked. Each tale
# has a `memory`, which knows who plays in it: `hero` is the child's name, `helper` an animal or a
# person, and `pal` the helper's name.


# %%
def told(*roles):
    """All who play one of these roles in the training tales."""
    return {tale.memory[role] for tale in train_tales for role in roles}


every_word = {word.strip() for word in vocabulary[2:]}
names = told("hero", "pal")
KINDS = {
    "any word": every_word,  # or punctuation mark
    "first word": {word for word in every_word if word[0].isupper()} - names - {"I"},
    "how it moved": {"climbed", "flew", "swam", "crept", "dug", "jumped", "walked", "waded"},
    "who helped": told("helper"),
    "a name": names,
}


def ask_for(kind):
    """Positions of some words of a kind: (rows, columns), never of the first word of a row."""
    wanted = [i for i, word in enumerate(vocabulary) if word.strip() in KINDS[kind]]
    rows, columns = np.nonzero(np.isin(validation_rows[:, 1:], wanted))
    some = rng.permutation(len(rows))[: args.questions]
    return validation_rows[rows[some]], columns[some] + 1


def told_before(rows, columns):
    """Does the word at one column of each row also stand before it? (rows,)."""
    truth = rows[np.arange(len(rows)), columns]
    before = np.arange(rows.shape[1]) < columns[:, None]  # (rows, LENGTH)
    return ((rows == truth[:, None]) & before).any(axis=1)


def probabilities(model, ids):
    """The model's probabilities at every position: (rows, time, vocabulary)."""
    return ops.softmax(model.predict(ids, batch_size=250, verbose=0)).numpy()


def bert_answers(rows, columns):
    """BERT's probabilities for the word at one column of each row: (rows, vocabulary)."""
    blanked = np.where(np.arange(LENGTH) == columns[:, None], BLANK, rows)
    return probabilities(bert, blanked)[np.arange(len(rows)), columns]


def gpt_answers(rows, columns):
    """The same of GPT. Its output at a position predicts the next word, hence the - 1."""
    return probabilities(gpt, rows[:, :-1])[np.arange(len(rows)), columns - 1]


# %% [markdown]
# `gpt_answers` gives the model the answer and the words after it, too. This is no cheating: you
# have seen that the outputs at earlier positions do not depend on later words.


# %%
def show(rows, columns):
    """The first question, and the three likeliest answers of each model."""
    words = list(vocabulary[rows[0]])
    truth, words[columns[0]] = words[columns[0]].strip(), " ____"
    print("".join(words).strip())
    for name, answers in [("BERT", bert_answers), ("GPT ", gpt_answers)]:
        says = answers(rows[:1], columns[:1])[0]  # (vocabulary,)
        best = np.argsort(says)[::-1][:3]
        print(f"  {name}", ", ".join(f"{vocabulary[i].strip()} {says[i]:.2f}" for i in best))
    print("  truth", truth, "\n")


questions = {kind: ask_for(kind) for kind in KINDS}
for kind in KINDS:
    print(f"[{kind}]", end=" ")
    show(*questions[kind])

# %% [markdown]
# At the *first word* of a sentence GPT knows little, since many sentences may follow. BERT reads
# the one that does. *How it moved* depends on the helper and has to fit the words after the blank.
# A *name* can be known only if it occurs a second time in the row, for GPT before the blank. Then
# it has to be copied, which takes a pair of heads that work together, as in lesson 5.
#
# Can GPT use the right side, too? Yes, in another way: it can compute how probable a whole text is,
# by adding the log-probabilities of its words. So put each of its ten likeliest answers into the
# blank and keep the one that makes the row most probable. This **rescoring** takes ten more forward
# passes.


# %%
def log_probability(rows):
    """GPT's log-probability of each row, given its first word: (rows,)."""
    says = np.log(probabilities(gpt, rows[:, :-1]))  # (rows, time - 1, vocabulary)
    return np.take_along_axis(says, rows[:, 1:, None], axis=-1)[..., 0].sum(axis=-1)


def best_of_ten(rows, columns):
    """GPT's choice after rescoring its ten likeliest answers for each row: (rows,)."""
    every = np.arange(len(rows))
    candidates = gpt_answers(rows, columns).argsort(axis=-1)[:, -10:]  # (rows, 10)
    scores = []
    for tried in candidates.T:
        filled = rows.copy()
        filled[every, columns] = tried
        scores.append(log_probability(filled))
    return candidates[every, np.argmax(scores, axis=0)]  # (rows,)


# %%
table = {}
for kind, (rows, columns) in questions.items():
    truth = rows[np.arange(len(rows)), columns]
    guesses = [
        bert_answers(rows, columns).argmax(axis=-1),
        gpt_answers(rows, columns).argmax(axis=-1),
        best_of_ten(rows, columns),
        np.full(len(rows), np.bincount(truth).argmax()),  # always the most common answer
    ]
    table[kind] = np.array(guesses) == truth  # (4, questions)
    if kind in ["who helped", "a name"]:
        table[f"{kind}, told before"] = table[kind][:, told_before(rows, columns)]

print("the blank               questions    BERT     GPT  GPT, rescored  most common", end="")
print("  error at most")
for kind, right in table.items():
    number = right.shape[1]
    shares = [f"{share:.0%}" for share in right.mean(axis=1)] if number else ["–"] * 4
    of_bert, of_gpt, rescored, common = shares
    error = f"{0.5 / number**0.5:.1%}" if number else "–"
    print(f"{kind:23} {number:9} {of_bert:>7} {of_gpt:>7} {rescored:>14} {common:>12} {error:>14}")
print("error at most: the standard error of a share of one half, by the number of questions")
if args.steps >= 900:  # a shorter training may not get there
    right = {kind: right.mean(axis=1) for kind, right in table.items()}
    assert min(right["first word"][[0, 2]]) > 2 * right["first word"][1]
    lead = {kind: right[kind][0] - right[kind][1] for kind in KINDS}  # of BERT
    assert max(lead, key=lead.get) == "first word" and abs(lead["any word"]) < 0.15
    assert sum(right[kind][2] - right[kind][0] for kind in KINDS) > 0
    assert max(*right["who helped, told before"], *right["a name, told before"]) < 0.5

# %% [markdown]
# On *any word* the two are close. At the *first word* of a sentence the right side helps BERT most.
# With rescoring GPT uses it, too, and over all five kinds together it is then ahead of BERT, at
# many times the cost. (*Most common*: always answering with the kind's most common word.)
#
# *Who helped* and *names* are hard for both. In "told before" rows the answer also stands before
# the blank, so that both could copy it, but fewer than half are right. So after so short a training
# the models have learnt the phrases, but do not reliably look up who it was.
#
# After equal steps BERT has been asked a quarter as many questions as GPT. So the table does not
# show what each could do in the end.

# %% [markdown]
# ### The next word
#
# Now GPT's question: only the left side is given. Ask for the last word of each row. BERT was
# trained on such questions, too: the last word could be a blank like any other.

# %%
rows = validation_rows[validation_rows[:, -1] != END]  # BERT was never asked for an [END]
last, truth = np.full(len(rows), LENGTH - 1), rows[:, -1]
bert_next, gpt_next = (
    np.mean(answers(rows, last).argmax(axis=-1) == truth) for answers in (bert_answers, gpt_answers)
)
print(f"next word right: BERT {bert_next:.0%}, GPT {gpt_next:.0%}")
assert args.steps < 900 or gpt_next > bert_next + 0.1

# %% [markdown]
# GPT is well ahead: it was trained on nothing else. Its probabilities also multiply to that of a
# whole text, which gives a perplexity. BERT's do not, since each of them uses both sides. (Their
# product gives a *pseudo-perplexity*.)
#
# ### Can it write?
#
# Both get the same beginnings, the first eight words of 40 held-out tales, and add 24. GPT writes
# as the bigram model of lesson 2 did: sample a word, append it, repeat. BERT does not predict a
# next word, but it can be made to write: append 24 blanks, let it sample a word where it is surest,
# give it the result, and repeat until no blank is left. (Ghazvininejad and others, *Mask-Predict*,
# 2019, fill in several at once.)


# %%
def sample(says, rng):
    """Sample one token from each row of probabilities (rows, vocabulary)."""
    says = says.astype("float64")
    return np.array([rng.choice(len(p), p=p / p.sum()) for p in says])


def with_blanks(beginnings):
    """The beginnings, and blanks up to LENGTH."""
    added = np.full((len(beginnings), LENGTH - beginnings.shape[1]), BLANK)
    return np.column_stack([beginnings, added])


def gpt_writes(beginnings, rng):
    """Fill the blanks from left to right; the mask hides those that are still to come."""
    ids = with_blanks(beginnings)
    for place in range(beginnings.shape[1], LENGTH):
        says = probabilities(gpt, ids[:, :-1])[:, place - 1]  # (rows, vocabulary)
        ids[:, place] = sample(says, rng)
    return ids


def bert_writes(beginnings, rng):
    """Fill the blanks, the surest position of each row first."""
    ids, every = with_blanks(beginnings), np.arange(len(beginnings))
    while (ids == BLANK).any():
        says = probabilities(bert, ids)  # (rows, LENGTH, vocabulary)
        says[..., BLANK] = 0.0  # a blank is no answer
        sure = np.where(ids == BLANK, says.max(axis=-1), -1.0)  # (rows, LENGTH)
        place = sure.argmax(axis=-1)  # (rows,)
        ids[every, place] = sample(says[every, place], rng)
    return ids


# %%
GIVEN = 8
beginnings = np.array(
    [[id_of[word] for word in split(tale.text)[:GIVEN]] for tale in validation_tales[:40]]
)
written = {
    "BERT": bert_writes(beginnings, np.random.default_rng(args.seed)),
    "GPT": gpt_writes(beginnings, np.random.default_rng(args.seed)),
}


def as_text(ids):
    """The words of a row up to the end of the tale, as one string."""
    return "".join(vocabulary[ids]).split("[END]")[0]


for name, texts in written.items():
    for ids in texts[:2]:
        print(f"{name:4} {as_text(ids[:GIVEN])} …{as_text(ids)[len(as_text(ids[:GIVEN])) :]}\n")

# %% [markdown]
# Which is better? This can be measured, because tales can be parsed. `parse` from `utils.tales`
# raises `NotATale` where a text stops being a tale: where the grammar is wrong, or where a girl is
# suddenly called *he*. Count the added words up to that position.


# %%
def words_before_the_first_mistake(ids):
    """How many of the added words can stand in a tale."""
    text = as_text(ids)
    try:
        parse(text)
    except NotATale as mistake:
        text = text[: mistake.position]
    return max(0, len(split(text)) - GIVEN)


written["real"] = np.array(
    [[id_of[w] for w in split(t.text)[:LENGTH]] for t in validation_tales[:40]]
)
unbroken = {}
for name, texts in written.items():
    mean = unbroken[name] = np.mean([words_before_the_first_mistake(ids) for ids in texts])
    print(f"{name:4} {mean:4.1f} of {LENGTH - GIVEN} words before the first mistake, on average")
assert args.steps < 900 or unbroken["GPT"] > 5 * unbroken["BERT"]

# %% [markdown]
# (The real tales do not quite reach 24, because a text that is cut off in the middle of a phrase
# counts up to the last whole phrase.) BERT fails almost at once. It was trained with a quarter of
# the words blank; here it begins with three quarters. How does this change its answers?

# %%
filled, rows = [], validation_rows[:1000]
for share in [0.25, 0.5, 0.75]:
    blank = (rng.random(rows.shape) < share) & (rows != END)
    guesses = probabilities(bert, np.where(blank, BLANK, rows)).argmax(axis=-1)
    filled.append(np.mean(guesses[blank] == rows[blank]))
    print(f"{share:.0%} of the words blank: BERT right in {filled[-1]:.0%} of them")
assert args.steps < 900 or filled[0] > 1.5 * filled[-1]

# %% [markdown]
# The block, the text and the number of steps are the same; only the mask and the training question
# differ. Writing asks GPT, at every word, the question that it was trained on. It asks BERT for
# words among more blanks than in training, where it is right less often. A model like BERT that is
# trained with every share of blanks can write: a **masked diffusion model**. (Sahoo and others,
# *Simple and Effective Masked Diffusion Language Models*, 2024.) Most of today's chat models are
# GPTs, while models like BERT classify texts and rank search results.
#
# ## If your result looks different
#
# * **Your block and keras-nlp's differ in the third digit.** Look at `epsilon`: Keras's own
#   `LayerNormalization` has 1e-3 unless told otherwise, `TransformerDecoder` and GPT-2 have 1e-5.
#   Then look at GELU: the exact form or the one with `tanh`.
# * **BERT's accuracy stays where it began.** It still guesses the most common word. Give it more
#   `steps`. If that does not help, halve the `learning_rate`: a rate that is too large has the same
#   effect.
# * **GPT's loss falls to nearly nothing.** It reads the answer: the targets are not shifted by one,
#   or the causal mask is missing. (Then the cell that changes the last word prints False for GPT.)

# %% [markdown]
# ## Recap
#
# * A transformer block is attention and a feed-forward network, each with a normalization and a
#   residual connection. The one by hand computes the same as keras-nlp's.
# * Attention moves information between positions. The feed-forward network works on each position
#   alone and holds two thirds of a block's parameters.
# * The residual connection lets the gradient through, the normalization keeps it in bounds.
#   At eight blocks and this learning rate, pre-norm learnt; post-norm needed a warm-up.
# * BERT and GPT are one block with two masks. Seeing the right side helps most where the left side
#   says little. GPT can write because writing asks the question that it was trained on.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words; the lesson's text has all that you need.
#
# 1. What does layer normalization do to a token, and what may training change about it?
# 2. Why does the feed-forward network need an activation, and what can it not do?
# 3. Why does a deep stack need residual connections, and why do they need a normalization?
# 4. How do pre-norm and post-norm differ, and when does it matter?
# 5. BERT and GPT are built of the same block. Why does one fill in blanks and the other write?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Write layer normalization once more, in NumPy, for `x` of shape (..., features), with an
# epsilon of 1e-5.


# %%
def normalize(x, gain, bias):
    """Return an array of the shape of x."""
    ...


check.normalize(normalize)

# %% [markdown]
# **2.** How many parameters does a block of the given `width` have? Count weight matrices, biases
# and normalizations. The feed-forward network is four times as wide.


# %%
def block_parameters(width):
    """Return a whole number."""
    ...


check.block_parameters(block_parameters)

# %% [markdown]
# **3.** Put a post-norm block together from its parts. `attend`, `feed_forward` and `norm` are
# functions of one array.


# %%
def post_norm_block(x, attend, feed_forward, norm):
    """Return an array of the shape of x."""
    ...


check.post_norm_block(post_norm_block)

# %% [markdown]
# **4.** There is a third mask, that of a **prefix language model**. It reads, say, a whole
# sentence, both sides, and then writes a translation from left to right: the first `prompt` words
# see each other, and every later word sees itself and all words before it. Return the mask as 0 and
# 1, with one row for each query.


# %%
def prefix_mask(prompt, time):
    """Return an array of shape (time, time) of whole numbers."""
    ...


check.prefix_mask(prefix_mask)

# %% [markdown]
# **5.** Measure a BERT: `guesses`, `truth` and `blanks` have the shape (rows, time), and `blanks`
# is 1 where a word was blanked out. What share of the blanks did it fill in correctly?


# %%
def accuracy_on_blanks(guesses, truth, blanks):
    """Return one number from 0 to 1."""
    ...


check.accuracy_on_blanks(accuracy_on_blanks)

# %% [markdown]
# ## Next
#
# You have all the parts. In [lesson 7](07_gpt2.ipynb) you will stack them into a GPT-2 whose
# parameters have the names and shapes of the published one.
