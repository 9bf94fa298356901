# %% [markdown]
# # 5. Attention: looking things up
#
# At the end of this lesson you will have written the attention of GPT-2, checked that Keras
# computes the same, and watched a small model learn where to look.
#
# You need: softmax and the bigram from [lesson 2](02_next_token.ipynb), vectors for tokens from
# [lesson 4](04_embeddings.ipynb).

# %%
from utils.course.settings import settings

args = settings(epochs=3, batch_size=128, learning_rate=0.003, seed=5)
print(args)

# %%
import tracemalloc

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from utils.course.plots import BLUE, ORANGE, STYLE
from utils.course.seeds import seed_everything
from utils.errors import CourseError
from utils.exercises import lesson_05 as check
from utils.training.progress import Progress

plt.style.use(STYLE)
rng = seed_everything(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## The idea, by hand
#
# The bigram of lesson 2 forgot all but one letter. Attention is how a model remembers: it looks
# things up in what came before. So begin with a look-up that you know, a Python dictionary. You
# hand in a **query**; it is compared with the **keys**; where one is equal, you get its **value**.

# %%
price = {"lemon": 4, "apple": 2, "grape": 6}
print(price["apple"])

# %% [markdown]
# It is a hard look-up: one key matches, or none. Asking for a lime is an error, although a lime is
# nearly a lemon.
#
# To say *nearly*, turn each key into a vector. Here the first number says how sour a fruit is, the
# second how sweet.

# %%
fruits = list(price)
keys = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]])  # lemon, apple, grape: (keys, 2)
values = np.array([4.0, 2.0, 6.0])  # (keys,)
lime = np.array([1.0, 0.0])  # the query: sour

# %% [markdown]
# Compare the query with every key. The usual measure is the **dot product**: multiply number by
# number, add up. It is large where both vectors point the same way.

# %% tags=["nbval-check-output"]
scores = keys @ lime  # (keys,)
print(dict(zip(fruits, scores.tolist(), strict=True)))

# %% [markdown]
# Turn the scores into shares of one whole. That is softmax, from lesson 2: raise $e$ to each score
# and divide by the sum. You can follow it with a pocket calculator.


# %%
def softmax(scores):
    """Shares that add to 1, along the last axis."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


weights = softmax(scores)
print("powers of e", np.exp(scores), "their sum", np.exp(scores).sum().round(3))
print("weights    ", weights)

# %% [markdown]
# These are the **attention weights**: how much the lime looks at each fruit. The answer is the mean
# of the values, each taken as often as its weight says: $0.665 \cdot 4 + 0.245 \cdot 2 + 0.090
# \cdot 6$.

# %%
print(f"a lime should cost about {weights @ values:.2f}")

# %% [markdown]
# That is all of attention: **a look-up in which every key matches a little**. And the dictionary is
# still in there. Multiply the query by a number, so that its arrow gets longer, and the best key
# takes more and more, until the soft look-up is a hard one.

# %%
lengths = [0, 1, 2, 5, 10]
shares = softmax(np.outer(lengths, scores))  # twice the query, twice every score: (lengths, keys)
for length, row in zip(lengths, shares, strict=True):
    print(f"query times {length:2}: weights {row}  price {row @ values:.2f}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
for fruit, key in zip(fruits, keys, strict=True):
    left.plot(*key, "o", color=BLUE, markersize=8)
    left.annotate(f"{fruit}: key", key, xytext=(8, 4), textcoords="offset points")
left.annotate("", lime, (0, 0), arrowprops={"arrowstyle": "->", "color": ORANGE, "lw": 2})
left.annotate("lime: query", lime, xytext=(-4, -16), textcoords="offset points", ha="center")
left.set(xlabel="sour", ylabel="sweet", xlim=(-0.2, 2.9), ylim=(-0.5, 2.5))
left.set_title("Keys are points, the query a direction")
bottom = np.zeros(len(lengths))
for fruit, share, hatch in zip(fruits, shares.T, ["", "///", "..."], strict=True):
    right.bar(
        range(len(lengths)), share, bottom=bottom, label=fruit, hatch=hatch, edgecolor="white"
    )
    bottom += share
right.set_xticks(range(len(lengths)), [f"× {length}" for length in lengths])
right.set(xlabel="length of the query", ylabel="attention weight")
right.set_title("A longer query looks harder")
figure.legend(*right.get_legend_handles_labels(), loc="outside right upper")
plt.show()

# %% [markdown]
# Why soft, if hard is so clear? Because soft has a derivative. Nudge a key and the price changes a
# little; so gradient descent can *learn* what to look for.
#
# ## A text looks things up in itself
#
# In a language model the tokens of a text ask each other. Each token has three vectors: a query
# (*what am I looking for?*), a key (*what can I be found by?*) and a value (*what do I tell those
# who find me?*). Four tokens, with queries and keys about (noun, verb):

# %%
tokens = ["the", "cat", "sat", "it"]
query = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [4.0, 0.0]])  # (time, head_dim)
key = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.5, 0.0]])  # (time, head_dim)
value = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.2, 0.0]])  # (time, head_dim)

# %% [markdown]
# `it` looks for a noun, so does the verb `sat`, the noun `cat` looks for a verb, and `the` for
# nothing at all. (`it` is half a noun itself. The values here say the same as the keys, at half the
# size or less.)
#
# **Scaled dot-product attention** answers all of them at once. In the formula of its inventors it
# is $\mathrm{softmax}(QK^\top / \sqrt{d})\,V$; in NumPy it is ten lines. (Vaswani and others,
# *Attention Is All You Need*, 2017, section 3.2.1.)


# %%
def attention(query, key, value, mask=None):
    """Scaled dot-product attention; returns the outputs and the attention weights."""
    head_dim = query.shape[-1]
    scores = query @ key.swapaxes(-1, -2)  # (..., queries, keys)
    scores = scores / np.sqrt(head_dim)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)  # False: must not be seen
    weights = softmax(scores)  # (..., queries, keys): each row adds to 1
    outputs = weights @ value  # (..., queries, head_dim)
    return outputs, weights


# %% [markdown]
# Three things in it are new. There are many queries at once, so the scores are a matrix with a row
# for each query and a column for each key; `swapaxes` turns the keys on their side for that. There
# is a division by $\sqrt d$, where $d$ is how many numbers each vector has, in code `head_dim`. And
# there is a mask. We shall come to both. First look at the weights.

# %%
outputs, weights = attention(query, key, value)
print("weights (4, 4), row by row:\n", weights)
print("rows add to", weights.sum(axis=-1))
score = query[3] @ key[1] / np.sqrt(2)
print(f"it against cat: score {score:.3f}, weight {weights[3, 1]:.3f}")
print("what it now says:", outputs[3])

# %% [markdown]
# The last row is `it`: most of its weight lies on `cat`. The first row is `the`: it looks for
# nothing, all scores are zero, so it sees the plain mean of everybody. Check one number by hand:
# the score of `it` against `cat` is $4 \cdot 2 / \sqrt 2$. And the output: `it` has come back with
# the value of `cat`. It now says *noun*.
#
# ### The causal mask
#
# GPT writes from left to right. When it learns to predict what comes after `cat`, `cat` must not
# see `sat`: that would be reading the answer. So everything above the diagonal gets the score
# $-\infty$ *before* the softmax. $e^{-\infty}$ is 0, and the rest of the row still adds to 1. Look
# at the second row below: `cat` looked for a verb; the only one is now hidden, so it shares its
# weight equally between the two tokens left.

# %%
causal_mask = np.tri(4, dtype=bool)  # (queries, keys): True where the key is not later
print(causal_mask.astype(int))
causal_outputs, causal_weights = attention(query, key, value, causal_mask)
print(causal_weights)
print("rows add to", causal_weights.sum(axis=-1))


# %%
def draw_weights(axes, weights, rows, columns, numbers=True):
    """A heat map, in per cent: a row looks, a column is looked at; masked cells are hatched."""
    axes.imshow(np.where(weights > 0, weights, np.nan), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.patch.set(hatch="////", edgecolor="lightgrey")  # shines through where there is no number
    for (row, column), weight in np.ndenumerate(weights):
        if numbers and weight >= 0.005:
            color = "white" if weight > 0.5 else "black"
            text = f"{100 * weight:.0f}"
            axes.text(column, row, text, color=color, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(False)


figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True)
draw_weights(left, weights, tokens, tokens)
draw_weights(right, causal_weights, tokens, tokens)
left.set(title="No mask: everybody sees all", ylabel="this token looks …")
right.set_title("Causal: the future is hidden (hatched)")
figure.supxlabel("… at this one (weights in per cent)", fontsize=10)
plt.show()

# %% [markdown]
# Is the future really invisible? Put it to the test: change the last token completely and compare
# the outputs of the first three.

# %% tags=["nbval-check-output"]
other_key, other_value = key.copy(), value.copy()
other_key[-1], other_value[-1] = [9.0, 9.0], [7.0, -7.0]
for name, mask in [("no mask", None), ("causal", causal_mask)]:
    before, _ = attention(query, key, value, mask)
    after, _ = attention(query, other_key, other_value, mask)
    print(f"{name:8} earlier outputs unchanged: {np.array_equal(before[:3], after[:3])}")

# %% [markdown]
# This one triangle is the difference between the two famous families. **BERT**, a model made for
# understanding texts, not for writing them, has no causal mask: every token sees both sides.
# **GPT** has it: it never needed the future in training, so it can write where there is none yet.
# Lesson 6 trains one of each.
#
# What attention does *not* see is order. Without a mask, shuffle the tokens and the outputs are the
# same ones, shuffled. Positions must come from the vectors themselves, as in lesson 4.

# %% tags=["nbval-check-output"]
order = np.array([2, 0, 3, 1])
shuffled, _ = attention(query[order], key[order], value[order])
print("same outputs in another order:", np.allclose(shuffled, outputs[order]))

# %% [markdown]
# ### Where the three vectors come from
#
# Nobody writes queries by hand. A token has one vector $x$, and three learnt matrices make a query,
# a key and a value from it: three `Dense` layers, called **projections**. They are what is learnt
# in attention; the ten lines above have no parameters. When queries, keys and values come from the
# same text, as here, it is **self-attention**.
#
# ### Several heads
#
# Softmax gives one set of weights for a token, so one mean. But `sat` may want to know who sat
# *and* where. So the queries, keys and values are each cut into equal parts, one for each **head**,
# and each head looks on its own. (The cut comes after the projection, so every head still draws on
# the whole token.) No loop is needed: `@` works on the last two axes of an array and repeats over
# all the others, so the heads only have to become such an axis.


# %%
def split_heads(x, num_heads):
    """(batch, time, features) to (batch, heads, time, head_dim)."""
    batch, time, features = x.shape
    if features % num_heads:
        raise CourseError(f"{features} features cannot be cut into {num_heads} equal heads.")
    x = x.reshape(batch, time, num_heads, features // num_heads)  # (batch, time, heads, head_dim)
    return x.transpose(0, 2, 1, 3)  # (batch, heads, time, head_dim)


def merge_heads(x):
    """(batch, heads, time, head_dim) to (batch, time, features)."""
    batch, num_heads, time, head_dim = x.shape
    x = x.transpose(0, 2, 1, 3)  # (batch, time, heads, head_dim)
    return x.reshape(batch, time, num_heads * head_dim)  # (batch, time, features)


# %% [markdown]
# Watch the numbers travel: two tokens with four features each, cut into two heads. Head 0 gets the
# first half of *every* token, head 1 the second half. The transpose is not decoration: a reshape
# alone gives an array of the right shape with the wrong content, and no error. In the second line
# of the output each "head" is one whole token.

# %% tags=["nbval-check-output"]
two_tokens = np.array([[[10, 11, 12, 13], [20, 21, 22, 23]]])  # (1, 2, 4)
right_way = split_heads(two_tokens, num_heads=2)
wrong_way = two_tokens.reshape(1, 2, 2, 2)  # right shape, wrong numbers
for name, heads in [("split_heads", right_way), ("only reshape", wrong_way)]:
    print(f"{name:12} {heads.shape}  head 0: {heads[0, 0].tolist()}", end="")
    print(f"  head 1: {heads[0, 1].tolist()}")
print("merged again:", np.array_equal(merge_heads(right_way), two_tokens))

# %% [markdown]
# Now put it together: three projections, split, attention, merge, and a fourth projection that
# mixes what the heads found. `parameters` holds four pairs of a kernel and a bias. This is
# **multi-head attention** (section 3.2.2 of the paper).


# %%
def multi_head_attention(x, parameters, num_heads, mask=None):
    """Self-attention of x (batch, time, features); returns the outputs and the weights."""
    query, key, value = (
        split_heads(x @ kernel + bias, num_heads)  # (batch, heads, time, head_dim)
        for kernel, bias in parameters[:3]
    )
    outputs, weights = attention(query, key, value, mask)  # weights: (batch, heads, time, time)
    kernel, bias = parameters[3]
    return merge_heads(outputs) @ kernel + bias, weights  # (batch, time, features)


# %% [markdown]
# ## The same in Keras
#
# The layer is called `MultiHeadAttention`. Its first argument asks, the second gives the keys and
# the values; give it the same `x` twice for self-attention. `key_dim` is our `head_dim`, and what
# Keras calls attention scores are our weights, after the softmax. Its biases start at zero, which
# would hide a mistake in ours, so we fill all its arrays with random numbers.

# %%
layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=4)
x = rng.normal(size=(3, 6, 8)).astype("float32")  # (batch, time, features)
layer(x, x)  # the first call creates the weights
layer.set_weights([rng.normal(size=w.shape) / 2 for w in layer.get_weights()])
for weight in layer.weights:
    print(f"{weight.path:45} {weight.shape}")

# %% [markdown]
# Keras keeps heads and head_dim as two axes where we have one. In memory that is the same row of
# numbers, so here a reshape alone is right (no axes change places) and turns its arrays into our
# pairs.


# %%
def as_pairs(arrays):
    """Keras's eight arrays as our four pairs of a kernel (in, out) and a bias (out,)."""
    pairs = []
    for i, (kernel, bias) in enumerate(zip(arrays[0::2], arrays[1::2], strict=True)):
        rows = -1 if i == 3 else len(kernel)  # the last kernel is (heads, head_dim, features)
        bias = bias.reshape(-1)
        pairs.append((kernel.reshape(rows, len(bias)), bias))
    return pairs


parameters = as_pairs(layer.get_weights())
print([kernel.shape for kernel, _ in parameters])

# %%
for causal in [False, True]:
    mask = np.tri(6, dtype=bool) if causal else None
    ours, our_weights = multi_head_attention(x, parameters, 2, mask)
    theirs, their_weights = layer(x, x, use_causal_mask=causal, return_attention_scores=True)
    difference = np.abs(ours - theirs).max()
    print(f"causal {causal!s:5}  largest difference: outputs {difference:.0e}", end="")
    print(f", weights {np.abs(our_weights - their_weights).max():.0e}")
    assert difference < 1e-5 and np.abs(our_weights - their_weights).max() < 1e-5

# %% [markdown]
# ### The gradients, too
#
# A layer that computes the right thing but learns the wrong way would pass this test. So we go
# through the ten lines backwards, with the chain rule. (This part, up to *Why divide by √d*, can be
# skipped at a first reading.)
#
# Let `upstream` be the gradient of the loss at the outputs. If $G$ is the gradient at a product
# $AB$, then $A$ gets $GB^\top$ and $B$ gets $A^\top G$. Lesson 2 had softmax and loss in one; here
# is softmax alone. The gradient of a score is its weight times what its own `weight_gradient` has
# above the row's mean (and, for the scaling, divided by $\sqrt d$).


# %%
def attention_gradient(query, key, value, weights, upstream):
    """Gradients at query, key and value, from the gradient at the outputs."""
    value_gradient = weights.swapaxes(-1, -2) @ upstream  # (..., keys, head_dim)
    weight_gradient = upstream @ value.swapaxes(-1, -2)  # (..., queries, keys)
    row_mean = (weights * weight_gradient).sum(axis=-1, keepdims=True)  # (..., queries, 1)
    score_gradient = weights * (weight_gradient - row_mean) / np.sqrt(query.shape[-1])
    return score_gradient @ key, score_gradient.swapaxes(-1, -2) @ query, value_gradient


# %% [markdown]
# The mask needs no line of its own: a weight of zero passes no gradient. As always, nudge and
# compare. Take the four tokens again, and as loss the outputs times random factors, added up; nudge
# one number of each array.

# %%
upstream = rng.normal(size=(4, 2))
by_formula = attention_gradient(query, key, value, causal_weights, upstream)
for i, name in enumerate(["query", "key", "value"]):
    nudged = [query.copy(), key.copy(), value.copy()]
    nudged[i][1, 0] += 1e-6
    change = (attention(*nudged, causal_mask)[0] - causal_outputs) * upstream
    print(f"{name:5}  formula {by_formula[i][1, 0]:8.5f}  nudging {change.sum() / 1e-6:8.5f}")

# %% [markdown]
# The projections around it are plain `Dense` layers: one product each. So their gradients are two
# products and, for the bias, a sum. Backwards, splitting and merging change places. And `x` goes
# into three projections, so what comes back from the three is added.


# %%
def dense_gradient(x, kernel, upstream):
    """Gradients of x @ kernel + bias: at x, and at the pair (kernel, bias)."""
    flat_x = x.reshape(-1, x.shape[-1])  # (batch * time, in)
    flat_upstream = upstream.reshape(-1, upstream.shape[-1])  # (batch * time, out)
    return upstream @ kernel.T, (flat_x.T @ flat_upstream, flat_upstream.sum(axis=0))


def multi_head_gradient(x, parameters, num_heads, mask, upstream):
    """Gradients of multi_head_attention: at x, and at each of the four pairs."""
    qkv = [split_heads(x @ kernel + bias, num_heads) for kernel, bias in parameters[:3]]
    outputs, weights = attention(*qkv, mask)
    merged = merge_heads(outputs)  # (batch, time, features)
    merged_gradient, last_pair = dense_gradient(merged, parameters[3][0], upstream)
    split_gradient = split_heads(merged_gradient, num_heads)  # (batch, heads, time, head_dim)
    gradients = attention_gradient(*qkv, weights, split_gradient)
    x_gradient, pairs = 0.0, []
    for (kernel, _), gradient in zip(parameters[:3], gradients, strict=True):
        to_x, pair = dense_gradient(x, kernel, merge_heads(gradient))
        x_gradient, pairs = x_gradient + to_x, [*pairs, pair]
    return x_gradient, [*pairs, last_pair]


# %% [markdown]
# Keras leaves gradients to TensorFlow: a `GradientTape` notes every operation and plays them back
# in reverse. Same inputs, same parameters, same upstream gradient. Sums of many float32 products
# differ in their last digits, so we divide by the size of the gradient itself.

# %%
upstream = rng.normal(size=x.shape).astype("float32")
with tf.GradientTape() as tape:
    inputs = tf.Variable(x)
    loss = tf.reduce_sum(layer(inputs, inputs, use_causal_mask=True) * upstream)
keras_x, *keras_arrays = tape.gradient(loss, [inputs, *layer.trainable_variables])
keras_pairs = as_pairs([array.numpy() for array in keras_arrays])
our_x, our_pairs = multi_head_gradient(x, parameters, 2, np.tri(6, dtype=bool), upstream)

ours, theirs = [(our_x,), *our_pairs], [(keras_x,), *keras_pairs]
for name, our, their in zip(["x", "query", "key", "value", "output"], ours, theirs, strict=True):
    largest = max(np.abs(a).max() for a in our)
    difference = max(np.abs(a - b).max() for a, b in zip(our, their, strict=True)) / largest
    print(f"{name:6}  largest gradient {largest:6.2f}  relative difference {difference:.0e}")
    assert difference < 1e-5
print(f"largest gradient of the key's bias {np.abs(our_pairs[1][1]).max():.0e}")

# %% [markdown]
# Outputs, weights and gradients agree. The last line is no mistake: the bias of the keys raises all
# scores of a row together, and softmax does not notice that. It can learn nothing. From here on we
# let Keras train, and know what it does.
#
# ## Why divide by √d
#
# Take two vectors of $d$ random numbers, independent, with mean 0 and variance 1. (The **variance**
# is the mean square of the distance from the mean.) Each product of two of them has variance 1, and
# a dot product adds up $d$ of those, so its variance is $d$. Do not believe it, measure it.

# %%
dims = 2 ** np.arange(1, 11)
variances, scaled_variances = [], []
for d in dims:
    a, b = rng.normal(size=(2, 4000, d))
    products = (a * b).sum(axis=-1)  # 4000 dot products
    variances.append(products.var())
    scaled_variances.append((products / np.sqrt(d)).var())
print("d                   ", dims)
print("variance            ", np.round(variances, 1))
print("after division by √d", np.round(scaled_variances, 2))

# %%
plt.loglog(dims, variances, "o-", label="q · k")
plt.loglog(dims, scaled_variances, "s--", label="q · k / √d")
plt.loglog(dims, dims, ":", color="black", label="d")
plt.title("Without √d the scores grow with the size of the vectors (d)")
plt.xlabel("d, the numbers in each vector")
plt.ylabel("variance of the score")
plt.legend()
plt.show()

# %% [markdown]
# What is wrong with large scores? Softmax. You saw it with the long query: the look-up turns hard.
# Let random queries look at 32 random keys, with and without the division, and measure two things.
# First, how much of the gradient gets back through the softmax. Second, at how many keys a query
# really looks. For that take the mean of $-\log$ weight, each taken as often as its weight says:
# the **entropy**. $e$ to the entropy is the number of keys, as the perplexity in lesson 2 was a
# number of letters.


# %%
def effective_keys(weights):
    """e to the entropy of each row: how many keys share the weight."""
    entropy = -(weights * np.log(weights + 1e-30)).sum(axis=-1)  # 1e-30 avoids log(0)
    return np.exp(entropy)


def passed_gradient(weights, upstream):
    """The size of the gradient at the scores, relative to the size of `upstream`."""
    row_mean = (weights * upstream).sum(axis=-1, keepdims=True)
    gradient = weights * (upstream - row_mean)
    return np.linalg.norm(gradient, axis=-1) / np.linalg.norm(upstream, axis=-1)


measured = {"q · k": [], "q · k / √d": []}
for d in dims:
    queries, keys_32 = rng.normal(size=(500, 1, d)), rng.normal(size=(500, 32, d))
    scores = (queries @ keys_32.swapaxes(-1, -2))[:, 0]  # (500, 32)
    upstream = rng.normal(size=scores.shape)
    for name, scale in [("q · k", 1.0), ("q · k / √d", np.sqrt(d))]:
        weights = softmax(scores / scale)
        passed = np.median(passed_gradient(weights, upstream))
        measured[name].append((effective_keys(weights).mean(), passed))
for name, rows in measured.items():
    for d, (keys_seen, passed) in zip(dims, rows, strict=True):
        if d in [2, 64, 1024]:  # each head of GPT-2 has d = 64
            print(f"{name:10}  d {d:4}: {keys_seen:4.1f} keys, gradient {passed:.0e}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
for (name, rows), style in zip(measured.items(), ["o-", "s--"], strict=True):
    keys_seen, passed = np.transpose(rows)
    left.semilogx(dims, keys_seen, style, label=name)
    right.loglog(dims, passed, style, label=name)
left.set(xlabel="d", ylabel="keys that share the weight", ylim=(0, 32))
left.set_title("Large scores: only one key is seen")
right.set(xlabel="d", ylabel="part of the gradient (median)")
right.set_title("… and hardly any gradient comes back")
left.legend()
plt.show()

# %% [markdown]
# The formula of `attention_gradient` says why. The gradient at the scores is `weights *
# (weight_gradient - row_mean)`. If one weight is 1, the mean *is* that key's own gradient and the
# difference is zero; all the other weights are zero anyway. A model that starts there cannot learn
# to look elsewhere. Divided by $\sqrt d$, hardly anything changes with $d$.
#
# ## What it costs
#
# Every token looks at every token: a text of length $n$ needs $n^2$ scores. Python can watch how
# much memory NumPy takes at the peak while our ten lines run.


# %%
def peak_memory(time, head_dim=64):
    """MiB that attention takes beyond its inputs, measured, for one head."""
    inputs = rng.normal(size=(3, time, head_dim))
    mask = np.tri(time, dtype=bool)
    tracemalloc.start()
    attention(*inputs, mask)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round(peak / 2**20, 2)  # rounded: Python itself adds a few stray bytes


times = np.array([128, 256, 512, 1024, 2048])
memory = np.array([peak_memory(time) for time in times])
scores_memory = times**2 * 8 / 2**20  # float64: eight bytes for each number
inputs_memory = 3 * times * 64 * 8 / 2**20  # query, key, value
print("tokens  MiB at the peak  scores alone  query, key, value")
for row in zip(times, memory, scores_memory, inputs_memory, strict=True):
    print("{:6} {:16.2f} {:13.2f} {:18.2f}".format(*row))

# %% [markdown]
# Each row is twice as long a text as the one above, and takes about four times the memory, while
# the inputs only double. In the long texts the peak is three times the scores: while softmax
# divides, that many arrays of their size are alive at once.
#
# And the arithmetic? A layer of width $f$ has four projections, $4 f^2$ multiplications for each
# token. The scores take $n f$ more for each token, and the weighted mean of the values $n f$ again.
# They are equal where $2 n f = 4 f^2$, at $n = 2 f$. Here is a layer as wide as in the smallest
# GPT-2.

# %% tags=["nbval-check-output"]
width, long_times = 768, 4 ** np.arange(3, 8)
projecting = 4 * width**2 * long_times
looking = 2 * width * long_times**2
print(f"{'tokens':>6} {'projections':>12} {'attention':>10}   (million multiplications)")
for time, linear, square in zip(long_times, projecting, looking, strict=True):
    print(f"{time:6} {linear / 1e6:12,.0f} {square / 1e6:10,.0f}")
print("equal at", 2 * width, "tokens")

# %%
plt.loglog(long_times, looking, "o-", label="attention")
plt.loglog(long_times, projecting, "s--", label="projections")
plt.axvline(2 * width, color="black", linestyle=":", label="n = 2f")
plt.title("Beyond twice the width, attention is most of the work")
plt.xlabel("tokens (n)")
plt.ylabel("multiplications")
plt.legend()
plt.show()

# %% [markdown]
# So in a short chat the square hardly matters; the projections cost more. In a book it is nearly
# all the work of this layer. (The memory can be saved: fast implementations never store the whole
# matrix but compute it block by block. The multiplications stay.)
#
# ## A task that needs a look back
#
# Now let a model learn it. The task is a text like `b3f7a0.f7b3a0`: letters, each followed by a
# digit, drawn anew in every text (two letters may draw the same). After the dot the letters come
# back in another order. What follows the second `f`? Whoever remembers the first knows.

# %%
letters, digits, pairs = "abcdefgh", "0123456789", 6
vocabulary = "." + digits + letters
length = 4 * pairs  # what the model sees: the last digit is only asked for


def make_texts(count):
    """Ids of shape (count, 4 * pairs + 1): six pairs, a dot, the same pairs in another order."""
    # each row shuffled: six different letters
    letter = rng.permuted(np.tile(np.arange(len(letters)), (count, 1)), axis=1)[:, :pairs]
    digit = rng.integers(len(digits), size=(count, pairs))
    # ids: 0 the dot, 1 to 10 the digits, then the letters
    first = np.stack([letter + 1 + len(digits), digit + 1], axis=-1)  # (count, pairs, 2)
    order = rng.permuted(np.tile(np.arange(pairs), (count, 1)), axis=1)  # (count, pairs)
    second = np.take_along_axis(first, order[..., None], axis=1)  # (count, pairs, 2)
    dot = np.zeros((count, 1), int)
    return np.hstack([first.reshape(count, -1), dot, second.reshape(count, -1)])


def decode(ids):
    return "".join(vocabulary[i] for i in ids)


# %%
train_texts, test_texts = make_texts(20_000), make_texts(2_000)
for ids in train_texts[:3]:
    print(decode(ids))
repeated = set(map(decode, train_texts)) & set(map(decode, test_texts))
print(len(repeated), "of the texts for testing occur in training")

# %% [markdown]
# As in every GPT, the target of each place is the token that follows. Most of them cannot be
# guessed, so we ask only at the letters after the dot: each place counts with a factor, 1 there, 0
# elsewhere (`sample_weight`).

# %%
asked = np.arange(2 * pairs + 1, length, 2)  # the places of the letters after the dot


def targets(texts):
    """What fit() needs: inputs, the next tokens, and where they count, each (count, length)."""
    counts = np.zeros((len(texts), length), "float32")
    counts[:, asked] = 1.0
    return texts[:, :-1], texts[:, 1:], counts


# %% [markdown]
# Each place gets the sum of two embeddings, one for its token and one for the token before it. So
# the `7` in `f7` says: *I am a 7, and I stand behind an f.* Here *behind an f* can serve as the
# key, *a 7* as the value; the second `f` only has to ask for *behind an f*. (The first model below
# has only this: it is a model with a two-letter memory, as in lesson 2.)


# %%
def build(mix):
    """Token and previous token, plus what `mix` finds in the past, to logits; compiled."""
    tokens = keras.Input((None,), dtype="int32")  # (batch, time)
    previous = keras.ops.pad(tokens[:, :-1], [(0, 0), (1, 0)])  # id 0: the dot
    x = keras.layers.Embedding(len(vocabulary), 64)(tokens)  # (batch, time, features)
    x = x + keras.layers.Embedding(len(vocabulary), 64)(previous)
    return finish(tokens, x + mix(x))


def finish(tokens, x):
    """A compiled model from tokens to the logits of the next one."""
    model = keras.Model(tokens, keras.layers.Dense(len(vocabulary))(x))
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True,
        reduction="mean_with_sample_weight",  # the mean over the places that count
    )
    optimizer = keras.optimizers.Adam(args.learning_rate)
    model.compile(optimizer, loss=loss, weighted_metrics=["accuracy"])
    return model


# %% [markdown]
# Three models differ only in `mix`. The first does not look back. The second sees the mean of the
# whole past, every place with the same weight. The third has attention, one head. Adding what was
# found to what was there, `x + mix(x)`, is called a **residual** connection; lesson 6 has more to
# say about it.


# %%
def no_past(x):
    return keras.ops.zeros_like(x)


def mean_of_the_past(x):
    count = keras.ops.cumsum(keras.ops.ones_like(x), axis=1)  # 1, 2, 3, … along the time
    return keras.ops.cumsum(x, axis=1) / count  # (batch, time, features)


def look_back(x):
    # each call makes a new layer with weights of its own
    return keras.layers.MultiHeadAttention(num_heads=1, key_dim=64)(x, x, use_causal_mask=True)


# %%
def train_and_test(model):
    """Train; return the accuracy on the texts for testing, at the places that count."""
    inputs, following, counts = targets(train_texts)
    model.fit(
        inputs,
        following,
        sample_weight=counts,
        batch_size=args.batch_size,
        epochs=args.epochs,
        verbose=0,
        callbacks=[Progress()],
    )
    inputs, following, counts = targets(test_texts)
    guesses = model(inputs).numpy().argmax(axis=-1)
    return (guesses == following)[:, asked].mean()


# %%
accuracy, models = {}, {}
for mix in [no_past, mean_of_the_past, look_back]:
    print(mix.__name__)
    models[mix.__name__] = build(mix)
    accuracy[mix.__name__] = train_and_test(models[mix.__name__])
print("right on texts never seen (chance: one in ten)")
for name, share in accuracy.items():
    print(f"  {name:16} {share:.3f}")
first_half = test_texts[:, 1 : 2 * pairs : 2]  # the digits before the dot: (count, pairs)
most_frequent = np.mean([np.bincount(row).max() for row in first_half]) / pairs
print(f"always the digit most frequent before the dot: {most_frequent:.3f}")

# %% [markdown]
# Without the past the model guesses among all digits. With the mean of the past it does better than
# chance, but not by looking up: a mean tells *which* letters and digits there were, and a digit
# that occurred often is a good guess, as the last line shows. It does not tell who stood beside
# whom. Attention keeps them apart until it knows what it looks for.
#
# ### Where does it look?
#
# Take the trained kernels and biases out of Keras and run them through our own ten lines. If the
# logits are the same, the attention weights that we see on the way are the ones that the model
# uses.


# %%
def arrays_of(model, kind):
    """What all layers of one kind have learnt, a list of NumPy arrays for each layer."""
    return [layer.get_weights() for layer in model.layers if isinstance(layer, kind)]


def by_hand(model, x):
    """Logits from the vectors x, and each attention layer's weights: (batch, time, time)."""
    mask, maps = np.tri(x.shape[1], dtype=bool), []
    for arrays in arrays_of(model, keras.layers.MultiHeadAttention):
        found, weights = multi_head_attention(x, as_pairs(arrays), 1, mask)
        x = x + found
        maps.append(weights[:, 0])
    ((kernel, bias),) = arrays_of(model, keras.layers.Dense)  # there is exactly one
    return x @ kernel + bias, maps


def one_layer_by_hand(model, ids):
    """Logits and attention weights of the model above, from ids (batch, time)."""
    (token_table,), (previous_table,) = arrays_of(model, keras.layers.Embedding)
    previous = np.pad(ids[:, :-1], [(0, 0), (1, 0)])
    logits, (weights,) = by_hand(model, token_table[ids] + previous_table[previous])
    return logits, weights


# %%
inputs = targets(test_texts)[0]
trained = models["look_back"]
logits, weights = one_layer_by_hand(trained, inputs)
from_keras = trained(inputs).numpy()
difference = np.abs(logits - from_keras).max() / np.abs(from_keras).max()
print(f"largest difference, relative to the largest logit: {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# Now the picture. Each row is a letter that comes back, each column a place of the text. The right
# place, marked by a circle, is the digit behind the same letter's first appearance. Above: a model
# of the same kind before training.


# %%
def right_places(ids):
    """Where the digit stands that each asked letter should look at: (batch, asked)."""
    first_half, letter = ids[:, None, : 2 * pairs], ids[:, asked, None]
    # argmax of booleans: the first True; + 1: the digit behind it
    return (first_half == letter).argmax(axis=-1) + 1


_, untrained_weights = one_layer_by_hand(build(look_back), inputs)
places = right_places(inputs)

# %%
example = list(decode(inputs[0]))
figure, panels = plt.subplots(2, 1, figsize=(8, 4.6), sharex=True)
for axes, each in zip(panels, [untrained_weights, weights], strict=True):
    draw_weights(axes, each[0, asked], [example[i] for i in asked], example)
    axes.plot(places[0], range(pairs), "o", markersize=21, color=ORANGE, markerfacecolor="none")
    axes.set_ylabel("this letter looks …")
panels[0].set_title(
    "Before training: a little everywhere (weights in per cent; circles: the right place)"
)
panels[1].set_title("After training: at the digit behind the same letter")
panels[1].set_xlabel("… at this place of the text")
plt.show()

# %% [markdown]
# One text may be luck. Over all texts for testing, how much of the weight lies on the right place?

# %%
for name, each in [("before", untrained_weights), ("after", weights)]:
    share = np.take_along_axis(each[:, asked], places[..., None], axis=-1)[..., 0]
    print(f"{name:6} training: {share.mean():.3f} of the weight on the right place", end="")
    print(f", {share.min():.3f} in the worst case")

# %% [markdown]
# It is a dictionary again, one that was learnt. You can ask it yourself. The last text here has
# more pairs than any that it was trained with.


# %%
def ask(text):
    """What the trained model expects after `text`."""
    if not text or not set(text) <= set(vocabulary):
        raise CourseError("Ask with a text of the letters a to h, digits and the dot.")
    ids = np.array([[vocabulary.index(character) for character in text]])
    logits, _ = one_layer_by_hand(trained, ids)
    return vocabulary[logits[0, -1].argmax()]


for text in ["a1b2c3d4e5f6.b", "a1b9c3d4e5f6.b", "a1b9c3d4e5f6.c", "h0g1f2e3d4c5b6a7.g"]:
    print(f"{text:18} → {ask(text)}")

# %% [markdown]
# ## Two layers find the trick themselves
#
# We helped: we gave each place its previous token. Take the help away. The next model gets the
# token and its position, as in lesson 4, and nothing else. Now a `7` does not know what it stands
# behind, so a look for "the digit behind an `f`" finds nothing. Try it with one layer of attention,
# and with two, one on top of the other.


# %%
def build_without_help(num_layers):
    """Token and position, plus what each layer finds in the past, to logits; compiled."""
    # why 0.5: see "If your result looks different"
    embedding = keras_nlp.layers.TokenAndPositionEmbedding(
        len(vocabulary),
        length,
        64,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=0.5),
        name="embedding",
    )
    tokens = keras.Input((length,), dtype="int32")
    x = embedding(tokens)  # (batch, time, features)
    for _ in range(num_layers):
        x = x + look_back(x)
    return finish(tokens, x)


one_layer, two_layers = build_without_help(1), build_without_help(2)
for name, model in [("one layer", one_layer), ("two layers", two_layers)]:
    print(name)
    print(f"right on texts never seen: {train_and_test(model):.3f}")

# %% [markdown]
# One look is not enough: it is right about as often as the guess of the most frequent digit. Two
# are enough. Our ten lines show what they do. In the right picture only the rows with a circle are
# asked; what the others look at in layer 2 never reaches the loss.

# %%
x = two_layers.get_layer("embedding")(inputs).numpy()  # (batch, time, features)
logits, maps = by_hand(two_layers, x)
from_keras = two_layers(inputs).numpy()
difference = np.abs(logits - from_keras).max() / np.abs(from_keras).max()
print(f"largest difference, relative to the largest logit: {difference:.0e}")
assert difference < 1e-5

first_digits = np.arange(1, 2 * pairs, 2)  # the places of the first half's digits
share = maps[0][:, first_digits, first_digits - 1].mean()
print(f"layer 1: {share:.2f} of a first digit's weight lies on the letter before it")
share = np.take_along_axis(maps[1][:, asked], places[..., None], axis=-1).mean()
print(f"layer 2: {share:.2f} of an asked letter's weight lies on the right digit")

# %%
figure, panels = plt.subplots(1, 2, figsize=(8, 4.2), sharey=True)
for axes, each in zip(panels, maps, strict=True):
    draw_weights(axes, each[0], example, example, numbers=False)
    axes.set_xlabel("… at this place")
marker = {"color": ORANGE, "markersize": 11, "markerfacecolor": "none"}
panels[0].plot(first_digits - 1, first_digits, "s", **marker)
panels[0].set(title="Layer 1: a digit looks at its letter (square)", ylabel="this token looks …")
panels[1].plot(places[0], asked, "o", **marker)
panels[1].set_title("Layer 2: a letter looks at its digit (circle)")
plt.show()

# %% [markdown]
# The first layer writes into each digit which letter it stands behind: the very help that we took
# away. The second layer uses it. Nobody told the model to: descending the loss led there. The
# second one is called an **induction head**, and large language models contain many: *the last time
# I saw this, what came next?* (Olsson and others, *In-context Learning and Induction Heads*, 2022.)
#
# ## If your result looks different
#
# * **The weights are `nan`.** A row of the mask is all False, so every score is $-\infty$ and the
#   sum is zero. The causal mask is safe: every token sees at least itself.
# * **The loss falls to nearly zero at once, and the samples are nonsense.** The mask is missing or
#   upside down, and the model reads the answer. Change a later token and see whether an earlier
#   output moves.
# * **The right shapes, but nothing is learnt.** Look for a reshape that should have been a reshape
#   and a transpose, and for a softmax along the wrong axis: each *row* adds to 1.
# * **The two-layer model gets stuck.** Look at how its embeddings start. With a small `stddev` all
#   places look alike and the first layer finds nothing to tell them apart; with a large one the
#   scores are large, the look-up is hard from the start and little gradient comes back.

# %% [markdown]
# ## Recap
#
# * Attention is a soft dictionary: compare a query with all keys, softmax, mean of the values.
# * The causal mask puts $-\infty$ above the diagonal before the softmax. GPT has it, BERT does not.
# * Heads are a reshape *and* a transpose; the parameters sit in four projections.
# * The division by $\sqrt d$ keeps the variance of random scores at 1, and the gradient alive.
# * Cost grows with the square of the length.
# * A bigram forgets; attention looks back as far as the text goes, and we can see where
#   it looks.

# %% [markdown]
# ## Check yourself
#
# **1.** Write the weights of causal attention: `scores` of shape (time, time), not yet masked. Each
# row adds to 1, and no row has weight on a later column.


# %%
def causal_softmax(scores):
    """Return weights of shape (time, time)."""
    ...


check.causal_softmax(causal_softmax)

# %% [markdown]
# **2.** Write the scaled scores for one head: `query` (queries, head_dim), `key` (keys, head_dim).


# %%
def scaled_scores(query, key):
    """Return scores of shape (queries, keys)."""
    ...


check.scaled_scores(scaled_scores)

# %% [markdown]
# **3.** Split one text, without a batch axis, into heads.


# %%
def split_text(x, num_heads):
    """Turn (time, features) into (heads, time, head_dim)."""
    ...


check.split_text(split_text)

# %% [markdown]
# **4.** How many parameters does a `MultiHeadAttention` layer have, biases included?


# %%
def count_parameters(features, num_heads, head_dim):
    """Return the number of weights in the four projections."""
    ...


check.count_parameters(count_parameters)

# %% [markdown]
# **5.** A chat grows from 1,000 to 8,000 tokens. How many times as large is its score matrix?

# %%
times_as_large = ...

check.times_as_large(times_as_large)

# %% [markdown]
# ## Next
#
# Attention moves information between places. It does not yet *think* about what it found. In
# [lesson 6](06_transformer.ipynb) you will build the block around it, and stack it: a transformer.
