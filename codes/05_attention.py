# %% [markdown]
# # 5. Attention: looking things up
#
# At the end of this lesson you will have built GPT-2's attention in six small steps, checked that
# Keras's layer computes the same, and seen where trained heads look.
#
# You need: softmax and the bigram from [lesson 2](02_next_token.ipynb), token vectors and positions
# from [lesson 4](04_embeddings.ipynb).

# %%
from utils.course.settings import settings

args = settings(epochs=2, batch_size=128, learning_rate=0.006, seed=5)
print(args)

# %%
import tracemalloc
from functools import partial

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from utils.course.plots import ORANGE, STYLE
from utils.course.seeds import seed_everything
from utils.errors import CourseError
from utils.exercises import lesson_05 as check
from utils.training.progress import Progress

plt.style.use(STYLE)
rng = seed_everything(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## Step 1: tokens look at each other
#
# The bigram of lesson 2 sees one token. A good guess needs all that came before, but not all of it
# matters equally. **Attention** lets each token find the tokens that matter and collect information
# from them.
#
# Here are four tokens, each with a vector $x$ of three features, written by hand: how much it is a
# noun, a verb and a pronoun (and `it` a little of a noun). In a model these are learnt embeddings.

# %%
tokens = ["the", "cat", "sat", "it"]
x = np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0], [0.5, 0, 2]])  # noun, verb, pronoun


def show(name, array):
    print(f"{name} {array.shape}\n{array}")


show("x", x)  # (time, features)

# %% [markdown]
# How well do two tokens match? The usual measure is the **dot product**: multiply feature by
# feature, then add up. It is large if both are large in the same features. The dot products of `it`
# with all tokens are its **scores**.

# %% tags=["nbval-check-output"]
scores = np.array([x[3] @ other for other in x])  # (time,)
print(dict(zip(tokens, scores.tolist(), strict=True)))

# %% [markdown]
# Softmax turns them into shares that add to 1: $e$ to each score, divided by the sum. These are the
# **attention weights**: how much `it` looks at each token.


# %%
def softmax(scores):
    """Lesson 2's softmax, along the last axis: shares that add to 1."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


weights = softmax(scores)  # (time,)
print("attention weights", weights, "sum", weights.sum().round(3))

# %% [markdown]
# Now `it` collects: a weighted mean of all vectors, in which each counts as much as its attention
# weight says. The result is the **context vector** of `it`.

# %%
context = sum(weight * other for weight, other in zip(weights, x, strict=True))  # (features,)
print("context vector of it", context)

# %% [markdown]
# Two matrix products do it for all tokens at once: row $i$, column $j$ of `x @ x.T` is the dot
# product of tokens $i$ and $j$. Since a text looks at itself, this is **self-attention**.

# %%
scores = x @ x.T  # (time, features) @ (features, time) -> (time, time)
plain_weights = softmax(scores)  # each row adds to 1
contexts = plain_weights @ x  # (time, time) @ (time, features) -> (time, features)
show("scores", scores)
show("attention weights", plain_weights)
show("context vectors", contexts)

# %% [markdown]
# It has no parameters, so it cannot learn, and two things are wrong. Each token looks mostly at
# itself, because here its dot product with itself is the largest (only `the`, all zeros, looks
# everywhere equally). And the scores are symmetric: `cat` has the same score for `it` as `it` for
# `cat`. But a pronoun needs its noun, and a noun needs no pronoun.
#
# ## Step 2: one head
#
# So each token gets three roles. Three matrices of parameters (**weight matrices**) turn each $x$
# into three vectors:
#
# * the **query** $q = x W_q$: what am I looking for?
# * the **key** $k = x W_k$: what can I be found by?
# * the **value** $v = x W_v$: what do I pass on to those who find me?
#
# In a dictionary, you get the value of the key that equals your query. Attention is a *soft*
# look-up: every key matches a little. An exact match is yes or no and has no gradient; a soft one
# changes smoothly, so gradient descent can learn what to look for.
#
# One set of three matrices is a **head**. The left frame of the diagram is one head; steps 3 and 4
# add the rest.
#
# ![Data flow of attention, with shapes](../assets/attention.svg)
#
# Our matrices are written by hand again. Queries, keys and values have two numbers, *noun* and
# *verb* (halved in the values). A noun looks for a verb, verbs and pronouns look for a noun, a
# pronoun twice as strongly.

# %%
W_q = np.array([[0.0, 1], [1, 0], [2, 0]])  # rows: if I am a noun, a verb, a pronoun
W_k = np.array([[1.0, 0], [0, 1], [0, 0]])
W_v = np.array([[0.5, 0], [0, 0.5], [0, 0]])
q, k, v = x @ W_q, x @ W_k, x @ W_v  # (time, features) @ (features, head_dim) -> (time, head_dim)
for name, vectors in [("queries", q), ("keys", k), ("values", v)]:
    show(name, vectors)

# %% [markdown]
# The last row is `it`. Its query, $0.5 \cdot (0, 1) + 2 \cdot (2, 0)$, looks for a noun. Its key
# has 0.5 for *noun*, that of `cat` has 2.
#
# A score is now the dot product of a query (row: who looks) and a key (column: who is looked at).

# %% tags=["nbval-check-output"]
scores = q @ k.T  # (time, head_dim) @ (head_dim, time) -> (time, time)
show("scores", scores)

# %% [markdown]
# Check one: `it` against `cat` is $4 \cdot 2 + 0.5 \cdot 0$. Next, the scores are divided by
# $\sqrt d$, where $d$ is how many numbers a query has (`head_dim`), here 2; *Why divide by √d*
# gives the reason. The rest is as in step 1, but the weighted mean is taken of the values.

# %%
scaled = scores / np.sqrt(2)
head_weights = softmax(scaled)  # (time, time)
contexts = head_weights @ v  # (time, time) @ (time, head_dim) -> (time, head_dim)
show("attention weights", head_weights)
show("context vectors", contexts)

# %% [markdown]
# `it` and `sat` look at `cat`, and `cat` looks at `sat`. `the` has a query of zeros and looks at
# all equally. The context vector of `it` is nearly the value of `cat`.
#
# ### Why queries and keys are separate
#
# If one matrix made both, the scores would be symmetric again. With two, `it` looks at `cat`, and
# `cat` looks no more at `it` than at `the`.

# %% tags=["nbval-check-output"]
one_matrix = (x @ W_q) @ (x @ W_q).T
print("one matrix,   scores symmetric:", np.array_equal(one_matrix, one_matrix.T))
print("two matrices, scores symmetric:", np.array_equal(scores, scores.T))

# %% [markdown]
# ### Why divide by √d
#
# Take queries and keys of $d$ independent random numbers with mean 0 and variance 1. (The
# **variance** is the mean squared distance from the mean.) Each product of two such numbers has
# variance 1. A dot product adds up $d$ of them, so its variance should be $d$. Division by
# $\sqrt d$ divides the variance by $d$.
#
# Why are large scores bad? Softmax turns them into attention weights near 1 and 0, where it is
# flat: change a score a little and the weights hardly change, so hardly any gradient comes back. We
# measure the largest of 32 weights and its derivative with respect to its own score. Without the
# division the derivative is larger for $d = 2$, somewhat smaller for 64, and almost zero for 1024.

# %%
dims = 2 ** np.arange(1, 11)
measured = {"q · k": [], "q · k / √d": []}
print("scores        d  variance  largest weight  its derivative   (of the last two, medians)")
for name, rows in measured.items():
    for d in dims:
        queries, keys = rng.normal(size=(500, 1, d)), rng.normal(size=(500, 32, d))
        scores = (queries @ keys.swapaxes(-1, -2))[:, 0]  # (500, 32)
        scores = scores / np.sqrt(d) if "√" in name else scores
        largest = scores == scores.max(axis=-1, keepdims=True)  # one in each row
        weights = softmax(scores)[largest]  # (500,)
        change = softmax(scores + 1e-6 * largest)[largest] - weights  # the largest score, raised
        rows.append((scores.var(), np.median(weights), np.median(change) / 1e-6))
        if d in (2, 64, 1024):  # each head of GPT-2 has d = 64
            print("{:10} {:4} {:9.2f} {:15.3f} {:15.4f}".format(name, d, *rows[-1]))

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
for (name, rows), style in zip(measured.items(), ["o-", "s--"], strict=True):
    variances, largest, _ = np.transpose(rows)
    left.loglog(dims, variances, style, label=name)
    right.semilogx(dims, largest, style, label=name)
left.set(xlabel="d, numbers in a query", ylabel="variance of the scores")
left.set_title("Without the division the scores grow with d")
right.set(
    xlabel="d, numbers in a query", ylabel="largest attention weight (median)", ylim=(0, 1.05)
)
right.set_title("… and so does the largest attention weight")
left.legend()
plt.show()

# %% [markdown]
# So without the division, such queries and keys with large $d$ put nearly all attention on one key.
#
# ## Step 3: the causal mask
#
# GPT learns to predict the next token. If `cat` could look at `sat`, it would read the answer. The
# **causal mask** forbids looking at later tokens: their scores become $-\infty$ *before* the
# softmax. $e^{-\infty}$ is 0, and the rest of the row still adds to 1.

# %%
causal_mask = np.tri(4, dtype=bool)  # (queries, keys): True where the key is not later
print(causal_mask.astype(int))
causal_weights = softmax(np.where(causal_mask, scaled, -np.inf))  # (time, time)
show("attention weights", causal_weights)

# %% [markdown]
# The only verb comes after `cat`, so `cat` shares its attention equally between the two tokens that
# it may see. Here are the three steps side by side.


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


figure, panels = plt.subplots(1, 3, figsize=(8, 3), sharey=True)
for axes, each in zip(panels, [plain_weights, head_weights, causal_weights], strict=True):
    draw_weights(axes, each, tokens, tokens)
panels[0].set(title="Step 1: at itself, mostly", ylabel="this token looks …")
panels[1].set_title("Step 2: at what it looks for")
panels[2].set_title("Step 3: never ahead (hatched)")
figure.supxlabel("… at this one (attention weights in per cent; blank: below 0.5)", fontsize=10)
plt.show()

# %% [markdown]
# Steps 2 and 3 are one function of ten lines, **scaled dot-product attention**:
# $\mathrm{softmax}(QK^\top / \sqrt{d})\,V$. The rows of $Q$, $K$, $V$ are queries, keys, values.
# (Vaswani and others, *Attention Is All You Need*, 2017, section 3.2.1.)


# %%
def attention(query, key, value, mask=None):
    """Scaled dot-product attention; returns the context vectors and the attention weights."""
    head_dim = query.shape[-1]
    scores = query @ key.swapaxes(-1, -2)  # (..., queries, keys)
    scores = scores / np.sqrt(head_dim)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)  # False: must not be seen
    weights = softmax(scores)  # (..., queries, keys): each row adds to 1
    context = weights @ value  # (..., queries, head_dim)
    return context, weights


# %% [markdown]
# Is the future really invisible? Change key and value of the last token, and compare the first
# three context vectors.

# %% tags=["nbval-check-output"]
other_k, other_v = k.copy(), v.copy()
other_k[-1], other_v[-1] = [9.0, 9.0], [7.0, -7.0]
for name, mask in [("no mask", None), ("causal", causal_mask)]:
    before, _ = attention(q, k, v, mask)
    after, _ = attention(q, other_k, other_v, mask)
    print(f"{name:8} earlier outputs unchanged: {np.array_equal(before[:3], after[:3])}")

# %% [markdown]
# The mask separates two families. **BERT**, made for understanding texts, has none: every token
# sees both sides. **GPT** never sees later tokens during training, so at generation time, when
# there are none, nothing changes.
#
# Without a mask, attention does *not* see order: shuffled tokens get the same context vectors,
# shuffled in the same way. In a single layer, the causal mask shows which tokens came earlier, not
# in which order. That is why lesson 4 adds positions to the embeddings.

# %% tags=["nbval-check-output"]
order = np.array([2, 0, 3, 1])
shuffled, _ = attention(q[order], k[order], v[order])
print("same outputs in another order:", np.allclose(shuffled, contexts[order]))

# %% [markdown]
# ## Step 4: two heads, as a loop
#
# One head gives each token one weighted mean. But `it` may need two things, a noun and a verb. One
# mean may mix them up. So several heads work side by side, each with its own matrices, and their
# context vectors are concatenated. In our second head only a pronoun looks for something: a verb.
#
# Then a fourth matrix $W_o$, the **output projection**, mixes what the heads found and brings it
# back to the number of features of $x$.

# %%
second_W_q = np.array([[0.0, 0], [0, 0], [0, 2]])
heads = [(W_q, W_k, W_v), (second_W_q, W_k, W_v)]  # the same keys and values, to be short
contexts = []
for number, (w_q, w_k, w_v) in enumerate(heads):
    context, weights = attention(x @ w_q, x @ w_k, x @ w_v, causal_mask)
    contexts.append(context)  # (time, head_dim)
    print(f"head {number}: attention weights of it", weights[3])
joined = np.concatenate(contexts, axis=-1)  # (time, heads * head_dim)
show("context vectors, concatenated", joined)
W_o = rng.normal(size=(4, 3))  # (heads * head_dim, features)
print("outputs", (joined @ W_o).shape)

# %% [markdown]
# The last row of the concatenation has both: the noun from head 0, the verb from head 1.
#
# ## Step 5: the same without a loop
#
# With the $W_q$ of both heads side by side, one product gives all queries: columns 0 and 1 for head
# 0, columns 2 and 3 for head 1. Then the heads become an axis of their own. `@` works on the last
# two axes and repeats over all others, so no loop is needed. (The batch axis is for several texts.)


# %%
def split_heads(x, num_heads):
    """(batch, time, heads * head_dim) to (batch, heads, time, head_dim)."""
    batch, time, features = x.shape
    if features % num_heads:
        raise CourseError(f"{features} features cannot be cut into {num_heads} equal heads.")
    x = x.reshape(batch, time, num_heads, features // num_heads)  # (batch, time, heads, head_dim)
    return x.transpose(0, 2, 1, 3)  # (batch, heads, time, head_dim)


def merge_heads(x):
    """(batch, heads, time, head_dim) to (batch, time, heads * head_dim)."""
    batch, num_heads, time, head_dim = x.shape
    x = x.transpose(0, 2, 1, 3)  # (batch, time, heads, head_dim)
    return x.reshape(batch, time, num_heads * head_dim)  # (batch, time, heads * head_dim)


# %% tags=["nbval-check-output"]
wide = [np.concatenate(matrices, axis=1) for matrices in zip(*heads, strict=True)]
print("W_q of both heads", wide[0].shape)
queries, keys, values = (split_heads(x[None] @ matrix, num_heads=2) for matrix in wide)
print("queries", queries.shape, "(batch, heads, time, head_dim)")
context, _ = attention(queries, keys, values, causal_mask)
merged = merge_heads(context)
print("context vectors", context.shape, "merged", merged.shape)
print("equal to the loop:", np.allclose(merged[0], joined))
assert np.allclose(merged[0], joined)

# %% [markdown]
# The transpose is necessary: a reshape alone gives the right shape with the wrong numbers, and no
# error. Head 0 must get the first half of *each* of these two tokens, head 1 the second.

# %% tags=["nbval-check-output"]
two_tokens = np.array([[[10, 11, 12, 13], [20, 21, 22, 23]]])  # (1, 2, 4)
split = split_heads(two_tokens, num_heads=2)
print("split_heads ", split.shape, split.tolist())
print("only reshape", split.shape, two_tokens.reshape(split.shape).tolist())
print("merged again:", np.array_equal(merge_heads(split), two_tokens))

# %% [markdown]
# ## Step 6: the layer
#
# The whole is called **multi-head attention** (section 3.2.2 of the paper). As a class it has four
# **projections**: weight matrices, each with a bias, as in a `Dense` layer.


# %%
class MultiHeadAttention:
    """Self-attention; projections: (weight matrix, bias) of query, key, value and output."""

    def __init__(self, projections, num_heads):
        self.projections = projections
        self.num_heads = num_heads

    def __call__(self, x, mask=None):
        """Outputs (batch, time, features) and attention weights (batch, heads, time, time)."""
        q, k, v = (
            split_heads(x @ matrix + bias, self.num_heads)  # (batch, heads, time, head_dim)
            for matrix, bias in self.projections[:3]
        )
        context, weights = attention(q, k, v, mask)
        matrix, bias = self.projections[3]
        return merge_heads(context) @ matrix + bias, weights


# %% [markdown]
# Keras has the same layer. Its first argument makes the queries, the second keys and values; for
# self-attention give it `x` twice. `key_dim` is our `head_dim`, a `kernel` is a weight matrix, and
# "attention scores" are our attention weights. Biases start at zero, which would hide a mistake in
# ours, so we fill all arrays with random numbers.

# %%
layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=4)
x = rng.normal(size=(3, 6, 8)).astype("float32")  # (batch, time, features)
layer(x, x)  # the first call creates the parameters
layer.set_weights([rng.normal(size=w.shape) / 2 for w in layer.get_weights()])
for array in layer.weights:
    print(f"{array.path:45} {array.shape}")

# %% [markdown]
# Keras has two axes, heads and head_dim, where our matrices have one, in the same order. So here a
# reshape alone is right.


# %%
def as_projections(arrays):
    """Keras's eight arrays as our four pairs of a weight matrix (in, out) and a bias (out,)."""
    projections = []
    for i, (matrix, bias) in enumerate(zip(arrays[0::2], arrays[1::2], strict=True)):
        rows = -1 if i == 3 else len(matrix)  # the last one is (heads, head_dim, features)
        bias = bias.reshape(-1)
        projections.append((matrix.reshape(rows, len(bias)), bias))
    return projections


ours = MultiHeadAttention(as_projections(layer.get_weights()), num_heads=2)
for causal in [False, True]:
    our_outputs, our_weights = ours(x, np.tri(6, dtype=bool) if causal else None)
    outputs, weights = layer(x, x, use_causal_mask=causal, return_attention_scores=True)
    differences = [np.abs(our_outputs - outputs).max(), np.abs(our_weights - weights).max()]
    print(f"causal {causal!s:5}  largest difference: outputs {differences[0]:.0e}", end="")
    print(f", attention weights {differences[1]:.0e}")
    assert max(differences) < 1e-5

# %% [markdown]
# From here on we let Keras train.
#
# ## A task that needs a look back
#
# The task is a text like `b3f7a0.f7b3a0`: different letters, each followed by a random digit. After
# the dot the pairs return in another order. To predict the digit after the second `f`, a model must
# look up the first.

# %%
letters, digits, pairs = "abcdefgh", "0123456789", 6
vocabulary = [".", *digits, *letters]
asked = np.arange(2 * pairs + 1, 4 * pairs, 2)  # the positions of the letters after the dot


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


# %%
train_texts, test_texts = make_texts(20_000), make_texts(2_000)
for ids in train_texts[:3]:
    print("".join(vocabulary[i] for i in ids))
repeated = set(map(bytes, train_texts)) & set(map(bytes, test_texts))
print(len(repeated), "of the test texts occur in training")

# %% [markdown]
# The vector of a position is the sum of two embeddings: of its token, and of the token before it (a
# dot before the first). So the `7` in `f7` says: *a 7, after an f.* Then *after an f* can be the
# key and *a 7* the value; the query of the second `f` asks for *after an f*. No positions are
# needed.


# %%
def build(mix, size):
    """Token and previous token, plus what `mix` finds in the past, to logits; compiled."""
    ids = keras.Input((None,), dtype="int32")  # (batch, time)
    previous = keras.ops.pad(ids[:, :-1], [(0, 0), (1, 0)])  # id 0: the dot
    x = keras.layers.Embedding(size, 64)(ids)  # (batch, time, features)
    x = x + keras.layers.Embedding(size, 64)(previous)
    return finish(ids, x + mix(x), size)


def finish(ids, x, size):
    """A compiled model from ids to the logits of the next token; size: of the vocabulary."""
    model = keras.Model(ids, keras.layers.Dense(size)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True,
        reduction="mean_with_sample_weight",  # the mean over the positions that count
    )
    optimizer = keras.optimizers.Adam(args.learning_rate)
    model.compile(optimizer, loss=loss, weighted_metrics=["accuracy"])
    return model


# %% [markdown]
# Three models differ only in `mix`: no look back; the plain mean of everything so far; attention
# with one head. Adding the result to the input, `x + mix(x)`, is a **residual connection**; lesson
# 6 explains it.


# %%
def no_past(x):
    return keras.ops.zeros_like(x)


def mean_of_the_past(x):
    count = keras.ops.cumsum(keras.ops.ones_like(x), axis=1)  # 1, 2, 3, … along the time
    return keras.ops.cumsum(x, axis=1) / count  # (batch, time, features)


def look_back(x, num_heads=1, head_dim=64):
    layer = keras.layers.MultiHeadAttention(num_heads, head_dim)  # a new one for each call
    return layer(x, x, use_causal_mask=True)


# %% [markdown]
# The target of each position is the next token, as in every GPT. Most of these are random, so a
# **loss mask** counts the loss only at the letters after the dot, where the digits are predicted:
# it is 1 there, 0 elsewhere.


# %%
def train_and_test(model, train_texts, test_texts, asked):
    """Train; return the accuracy on the test texts. Only the positions `asked` count."""
    loss_mask = np.zeros((len(train_texts), train_texts.shape[1] - 1), "float32")
    loss_mask[:, asked] = 1.0
    options = {"batch_size": args.batch_size, "epochs": args.epochs, "callbacks": [Progress()]}
    inputs, following = train_texts[:, :-1], train_texts[:, 1:]
    model.fit(inputs, following, sample_weight=loss_mask, verbose=0, **options)
    guesses = model(test_texts[:, :-1]).numpy().argmax(axis=-1)  # (count, time)
    return (guesses == test_texts[:, 1:])[:, asked].mean()


# %%
accuracy, models = {}, {}
for mix in [no_past, mean_of_the_past, look_back]:
    print(mix.__name__)
    model = models[mix.__name__] = build(mix, len(vocabulary))
    accuracy[mix.__name__] = train_and_test(model, train_texts, test_texts, asked)
print("right on texts never seen (chance: one in ten)")
for name, share in accuracy.items():
    print(f"  {name:16} {share:.3f}")
first_half = test_texts[:, 1 : 2 * pairs : 2]  # the digits before the dot: (count, pairs)
most_frequent = np.mean([np.bincount(row).max() for row in first_half]) / pairs
print(f"always the digit most frequent before the dot: {most_frequent:.3f}")

# %% [markdown]
# Without the past the model guesses. The mean of the past is better, but worse than always naming
# the most frequent digit (last line). It does not tell which digit stood beside which letter.
# Attention does.
#
# ### Where does it look?
#
# Put the trained parameters into our own layer. If the logits agree, its attention weights are
# those of the model.


# %%
def arrays_of(model, kind):
    """What all layers of one kind have learnt, a list of NumPy arrays for each layer."""
    return [layer.get_weights() for layer in model.layers if isinstance(layer, kind)]


def by_hand(model, x):
    """Logits from vectors x, and each layer's attention weights (batch, heads, time, time)."""
    mask, maps = np.tri(x.shape[1], dtype=bool), []
    for arrays in arrays_of(model, keras.layers.MultiHeadAttention):
        num_heads = arrays[0].shape[1]  # (features, heads, head_dim)
        found, weights = MultiHeadAttention(as_projections(arrays), num_heads)(x, mask)
        x = x + found
        maps.append(weights)
    ((matrix, bias),) = arrays_of(model, keras.layers.Dense)  # there is exactly one
    return x @ matrix + bias, maps


def one_layer_by_hand(model, ids):
    """Logits and attention weights of a model with one layer, from ids (batch, time)."""
    (token_table,), (previous_table,) = arrays_of(model, keras.layers.Embedding)
    previous = np.pad(ids[:, :-1], [(0, 0), (1, 0)])
    logits, (weights,) = by_hand(model, token_table[ids] + previous_table[previous])
    return logits, weights


def compare(logits, from_keras):
    difference = np.abs(logits - from_keras).max() / np.abs(from_keras).max()
    print(f"largest difference, relative to the largest logit: {difference:.0e}")
    assert difference < 1e-4


# %%
inputs = test_texts[:, :-1]
trained = models["look_back"]
logits, weights = one_layer_by_hand(trained, inputs)
compare(logits, trained(inputs).numpy())
_, untrained_weights = one_layer_by_hand(build(look_back, len(vocabulary)), inputs)

# %% [markdown]
# How much attention lies on the right position, the digit after the same letter's first appearance?
# We take all test texts. *Before* is another model, untrained.


# %%
def right_positions(ids, positions):
    """Where the letters at `positions` (asked,) find their digits: (batch, asked)."""
    first_half, letter = ids[:, None, : 2 * pairs], ids[:, positions, None]
    # argmax of booleans: the first True; + 1: the digit after it
    return (first_half == letter).argmax(axis=-1) + 1


def share_on(weights, positions):
    """The part of the attention weights (batch, asked, time) on `positions` (batch, asked)."""
    return np.take_along_axis(weights, positions[..., None], axis=-1)[..., 0]  # (batch, asked)


right = right_positions(inputs, asked)
for name, each in [("before", untrained_weights), ("after", weights)]:
    share = share_on(each[:, 0, asked], right)
    print(f"{name:6} training: {share.mean():.3f} on the right position", end="")
    print(f", {share.min():.3f} in the worst case")
print(f"equal attention: {np.mean(1 / (asked + 1)):.3f} on each position, on average")

# %%
example = [vocabulary[i] for i in inputs[0]]
figure, axes = plt.subplots(figsize=(8, 2.6))
draw_weights(axes, weights[0, 0, asked], [example[i] for i in asked], example)
axes.plot(right[0], range(pairs), "o", markersize=21, color=ORANGE, markerfacecolor="none")
axes.set_title("Where the letters look (circle: the digit after the same letter before the dot)")
axes.set_xlabel("… at this position of the text (attention weights in per cent; blank: below 0.5)")
axes.set_ylabel("this letter looks …")
plt.show()

# %% [markdown]
# The model uses the text as a dictionary. The last text here has more pairs than any in training.


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
# ## Two heads with different jobs
#
# Why do heads come to differ? They start with different random matrices, so each finds something
# different and gets a different gradient. If the task needs two things at one position, each can
# specialise in one.
#
# Such a task: after the dot come *two* letters, and the answer is a single token, the number made
# of both digits. In `b3f7a0.fb` it is `73`.

# %%
large_vocabulary = vocabulary + [a + b for a in digits for b in digits]  # 00 to 99
second_letters = np.array([14, 17, 20])  # the positions asked: three questions in a text


def with_two_letters(texts):
    """The texts of `make_texts`, asked by two letters: ids of shape (count, 22)."""
    first, second = np.split(texts, [2 * pairs + 1], axis=1)
    letter, digit = np.moveaxis(second.reshape(len(texts), 3, 2, 2), -1, 0)  # (count, 3, 2) each
    number = len(vocabulary) + 10 * (digit[..., :1] - 1) + digit[..., 1:] - 1  # (count, 3, 1)
    questions = np.concatenate([letter, number], axis=-1)  # (count, 3, 3)
    return np.hstack([first, questions.reshape(len(texts), -1)])


two_train, two_test = with_two_letters(train_texts), with_two_letters(test_texts)
print(*(large_vocabulary[i] for i in two_train[0]))

# %% [markdown]
# We compare a single head of four numbers, a single one of eight (as many as two heads have
# together), and two heads of four.

# %%
for num_heads, head_dim in [(1, 4), (1, 8), (2, 4)]:
    print(f"heads: {num_heads} of {head_dim} numbers")
    mix = partial(look_back, num_heads=num_heads, head_dim=head_dim)
    two_letters = build(mix, len(large_vocabulary))
    share = train_and_test(two_letters, two_train, two_test, second_letters)
    print(f"right on texts never seen: {share:.3f}")

# %%
two_inputs = two_test[:, :-1]
logits, weights = one_layer_by_hand(two_letters, two_inputs)
compare(logits, two_letters(two_inputs).numpy())
weights = weights[:, :, second_letters]  # (batch, heads, asked, time)
jobs = [right_positions(two_inputs, second_letters - one_back) for one_back in (1, 0)]
for head in range(2):
    first, second = (share_on(weights[:, head], job).mean() for job in jobs)
    print(f"head {head}: {first:.2f} on the digit of the first letter, {second:.2f} of the second")

# %%
example = [large_vocabulary[i] for i in two_inputs[0]]
figure, panels = plt.subplots(2, 1, figsize=(8, 3.8), sharex=True)
style = {"markersize": 20, "color": ORANGE, "markerfacecolor": "none"}
for head, axes in enumerate(panels):
    rows = ["".join(example[i - 1 : i + 1]) for i in second_letters]
    draw_weights(axes, weights[0, head], rows, example)
    axes.plot(jobs[0][0], range(3), "o", **style)
    axes.plot(jobs[1][0], range(3), "s", linestyle="", **style)
    axes.set(ylabel="these letters …", title=f"Head {head}")
panels[0].set_title("Head 0 (circle: digit of the first letter, square: of the second)")
panels[1].set_xlabel("look at this position (attention weights in per cent; blank: below 0.5)")
plt.show()

# %% [markdown]
# Of the two digits, one head looks mainly at the first letter's, the other at the second's;
# attention elsewhere does little harm here. The output projection joins what they found. A single
# head gets one mean of both digits: in four numbers it sometimes mixes them up, in eight it can
# keep them apart. So here a wider head would do, too. (In translation, one wide head was worse
# than eight by 0.9 points of BLEU, a score that lesson 11 explains: Vaswani and others, 2017,
# section 6.2.)
#
# ## Two layers find the trick themselves
#
# So far each position got its previous token. Now the model gets only tokens and positions, as in
# lesson 4. A `7` does not know what it stands after, so a query for *after an f* finds nothing. Try
# one attention layer, then two.


# %%
def build_without_help(num_layers):
    """Token and position, plus what each layer finds in the past, to logits; compiled."""
    embedding = keras_nlp.layers.TokenAndPositionEmbedding(
        len(vocabulary),
        4 * pairs,
        64,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=0.5),  # why: see below
        name="embedding",
    )
    ids = keras.Input((4 * pairs,), dtype="int32")
    x = embedding(ids)  # (batch, time, features)
    for _ in range(num_layers):
        x = x + look_back(x)
    return finish(ids, x, len(vocabulary))


one_layer, two_layers = build_without_help(1), build_without_help(2)
for name, model in [("one layer", one_layer), ("two layers", two_layers)]:
    print(name)
    share = train_and_test(model, train_texts, test_texts, asked)
    print(f"right on texts never seen: {share:.3f}")

# %% [markdown]
# One layer is right about as often as the most frequent digit before the dot. Two layers solve the
# task. Where do they look? In the picture of layer 2, only the rows with a circle count in the
# loss; where the others look does not matter.

# %%
x = two_layers.get_layer("embedding")(inputs).numpy()  # (batch, time, features)
logits, maps = by_hand(two_layers, x)
compare(logits, two_layers(inputs).numpy())
layer_1, layer_2 = (each[:, 0] for each in maps)  # one head each: (batch, time, time)
first_digits = np.arange(1, 2 * pairs, 2)  # the positions of the first half's digits
share = layer_1[:, first_digits, first_digits - 1].mean()
print(f"layer 1: {share:.2f} of a first digit's attention lies on the letter before it")
share = share_on(layer_2[:, asked], right).mean()
print(f"layer 2: {share:.2f} of an asked letter's attention lies on the right digit")

# %%
example = [vocabulary[i] for i in inputs[0]]
figure, panels = plt.subplots(1, 2, figsize=(8, 4.6), sharey=True)
for axes, each in zip(panels, [layer_1, layer_2], strict=True):
    draw_weights(axes, each[0], example, example, numbers=False)
    axes.set_xlabel("… at this position (darker: more attention)")
marker = {"color": ORANGE, "markersize": 11, "markerfacecolor": "none"}
panels[0].plot(first_digits - 1, first_digits, "s", **marker)
panels[0].set(title="Layer 1 (square: from a digit to its letter)", ylabel="this token looks …")
panels[1].plot(right[0], asked, "o", **marker)
panels[1].set_title("Layer 2 (circle: from a letter to its digit)")
plt.show()

# %% [markdown]
# The first layer writes into each digit before the dot which letter stands before it, which the
# embeddings no longer say. The second layer looks that up. A head like that of layer 2 is called an
# **induction head**: *the last time this token occurred, what came next?* Large language models
# contain many. (Olsson and others, *In-context Learning and Induction Heads*, 2022.)
#
# ## What it costs
#
# Every token is compared with every token: $n$ tokens have $n^2$ scores. We measure the memory that
# `attention` takes at its peak.

# %%
print("tokens  MiB at the peak  MiB of the scores alone")
for time in [128, 256, 512, 1024, 2048]:
    vectors, mask = rng.normal(size=(3, time, 64)), np.tri(time, dtype=bool)
    tracemalloc.start()
    attention(*vectors, mask)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    scores_alone = time**2 * 8  # float64: eight bytes for each number
    print(f"{time:6} {peak / 2**20:16.1f} {scores_alone / 2**20:24.1f}")

# %% [markdown]
# Twice the text takes about four times the memory (softmax holds three arrays of the scores' size
# at once). And the arithmetic? With $f$ features, the four projections ($f$ to $f$) need $4 f^2$
# multiplications for each token, the scores $n f$, the context vectors $n f$ more. In a transformer
# a **feed-forward network** follows (lesson 6): two `Dense` layers, from $f$ features to $4 f$ and
# back, another $8 f^2$. So scores and context vectors cost $2 n f$ (masked ones included), the
# rest $12 f^2$: equal at $n = 6 f$. Here is one attention layer of the smallest GPT-2, with its
# feed-forward network.

# %% tags=["nbval-check-output"]
width, lengths = 768, 4 ** np.arange(3, 9)
work = {
    "scores and context vectors": 2 * width * lengths**2,
    "feed-forward network": 8 * width**2 * lengths,
    "projections": 4 * width**2 * lengths,
}
print("million multiplications")
print(f"{'tokens in the text':26}", *(f"{length:11,}" for length in lengths))
for name, multiplications in work.items():
    print(f"{name:26}", *(f"{number / 1e6:11,.0f}" for number in multiplications))
print(f"scores and context vectors are half of the work at {6 * width:,} tokens")

# %%
looking, *rest = work.values()
plt.loglog(lengths, looking, "o-", label="scores and context vectors")
plt.loglog(lengths, sum(rest), "s--", label="projections and feed-forward network")
plt.axvline(6 * width, color="black", linestyle=":", label=f"n = 6f = {6 * width:,}")
plt.title("Beyond six times the width, scores and context vectors cost most")
plt.xlabel("tokens in the text (n)")
plt.ylabel("multiplications")
plt.legend()
plt.show()

# %% [markdown]
# In a short chat the $n^2$ scores are a small part of the work; in a book they are most of it.
# (Fast implementations save the memory, computing scores block by block, but not the
# multiplications.)
#
# ## Optional: the backward pass
#
# *This part can be skipped at a first reading.* A layer with right outputs but wrong gradients
# would learn the wrong thing. So here is **backpropagation** by hand, from the outputs back to
# inputs and parameters.
#
# ### The gradient of softmax
#
# Let $s_j$ be the scores of one query, $w_i = e^{s_i} / \sum_k e^{s_k}$ its attention weights, and
# $G_i$ the gradient of the loss at $w_i$. We want the gradient at $s_j$. The logarithm turns the
# fraction into a difference, $\log w_i = s_i - \log \sum_k e^{s_k}$. Its derivative by $s_j$ is
# $[i{=}j] - w_j$, where $[i{=}j]$ is 1 if $i$ equals $j$, else 0. The derivative of $\log w_i$ is
# also that of $w_i$, divided by $w_i$. Hence
#
# $$\frac{\partial w_i}{\partial s_j} = w_i([i{=}j] - w_j)$$
#
# In words: a higher score raises its own weight and lowers all others. For $i = j$ this is
# $w(1-w)$, nearly zero where $w$ is near 1, as we measured above. A change of $s_j$ reaches the
# loss through every weight, so the chain rule adds up:
#
# $$\frac{\partial L}{\partial s_j} = \sum_i G_i w_i([i{=}j] - w_j) = w_j\Bigl(G_j - \sum_i w_i
# G_i\Bigr)$$
#
# The gradient at a score is its weight, times how far its $G$ lies above the *weighted* mean of all
# $G$. The scaling divides it by $\sqrt d$. A masked weight is zero and passes no gradient.
#
# The rest is matrix products: if $D$ is the gradient at $AB$, then $A$ gets $DB^\top$ and $B$ gets
# $A^\top D$. Below, `upstream` is the gradient at the context vectors.


# %%
def attention_gradient(query, key, value, weights, upstream):
    """Gradients at query, key and value, from the gradient at the context vectors."""
    value_gradient = weights.swapaxes(-1, -2) @ upstream  # (..., keys, head_dim)
    weight_gradient = upstream @ value.swapaxes(-1, -2)  # (..., queries, keys)
    weighted_mean = (weights * weight_gradient).sum(axis=-1, keepdims=True)  # (..., queries, 1)
    score_gradient = weights * (weight_gradient - weighted_mean) / np.sqrt(query.shape[-1])
    return score_gradient @ key, score_gradient.swapaxes(-1, -2) @ query, value_gradient


# %% [markdown]
# ### The gradient of the layer
#
# A projection is a product plus a bias: its gradients are two products and a sum. Backwards, a
# merge becomes a split, and a split a merge. And `x` goes into three projections, so their
# gradients at `x` are added.


# %%
def dense_gradient(x, matrix, upstream):
    """Gradients of x @ matrix + bias: at x, and at the pair (matrix, bias)."""
    flat_x = x.reshape(-1, x.shape[-1])  # (batch * time, in)
    flat_upstream = upstream.reshape(-1, upstream.shape[-1])  # (batch * time, out)
    return upstream @ matrix.T, (flat_x.T @ flat_upstream, flat_upstream.sum(axis=0))


def multi_head_gradient(layer, x, mask, upstream):
    """Gradients of our MultiHeadAttention: at x, and at each of its four projections."""
    split = partial(split_heads, num_heads=layer.num_heads)
    qkv = [split(x @ matrix + bias) for matrix, bias in layer.projections[:3]]
    context, weights = attention(*qkv, mask)
    matrix, _ = layer.projections[3]
    merged_gradient, last_pair = dense_gradient(merge_heads(context), matrix, upstream)
    gradients = attention_gradient(*qkv, weights, split(merged_gradient))
    x_gradient, pairs = 0.0, []
    for (matrix, _), gradient in zip(layer.projections[:3], gradients, strict=True):
        to_x, pair = dense_gradient(x, matrix, merge_heads(gradient))
        x_gradient, pairs = x_gradient + to_x, [*pairs, pair]
    return x_gradient, [*pairs, last_pair]


# %% [markdown]
# Keras leaves gradients to TensorFlow: a `GradientTape` records every operation and goes back
# through them. Long float32 sums differ in the last digits, so we divide by the gradient's size.

# %%
x = rng.normal(size=(3, 6, 8)).astype("float32")  # (batch, time, features)
upstream = rng.normal(size=x.shape).astype("float32")
with tf.GradientTape() as tape:
    inputs = tf.Variable(x)
    loss = tf.reduce_sum(layer(inputs, inputs, use_causal_mask=True) * upstream)
keras_x, *keras_arrays = tape.gradient(loss, [inputs, *layer.trainable_variables])
keras_pairs = as_projections([array.numpy() for array in keras_arrays])
our_x, our_pairs = multi_head_gradient(ours, x, np.tri(6, dtype=bool), upstream)

names = ["x", "query", "key", "value", "output"]
for name, our, their in zip(names, [(our_x,), *our_pairs], [(keras_x,), *keras_pairs], strict=True):
    largest = max(np.abs(a).max() for a in our)
    difference = max(np.abs(a - b).max() for a, b in zip(our, their, strict=True)) / largest
    print(f"{name:6}  largest gradient {largest:6.2f}  relative difference {difference:.0e}")
    assert difference < 1e-5
print(f"largest gradient of the key's bias {np.abs(our_pairs[1][1]).max():.0e}")

# %% [markdown]
# The gradients agree. The last line is no mistake: the bias of the keys raises all scores of a row
# by the same amount. That leaves the softmax as it is, so the bias gets no gradient.
#
# ## If your result looks different
#
# * **The attention weights are `nan`.** A row of the mask is all False, so every score is
#   $-\infty$, and so is the largest: their difference is `nan`. The causal mask is safe: every
#   token sees itself.
# * **The loss is nearly zero although the targets are random.** The mask is missing or transposed:
#   the model reads the answer. Change a later token and see whether an earlier output changes.
# * **The shapes are right, but nothing is learnt.** Look for a reshape that should have been a
#   reshape and a transpose, and for a softmax along the wrong axis: each *row* adds to 1.
# * **The two-layer model gets stuck.** Look at how its embeddings start. With a small `stddev` the
#   first layer cannot tell positions apart; with a large one the scores are large, and little
#   gradient comes back.

# %% [markdown]
# ## Recap
#
# * Attention is a soft look-up: compare a query with all keys, softmax, weighted mean of the
#   values.
# * The division by $\sqrt d$ keeps the scores small, so that gradients come back.
# * The causal mask puts $-\infty$ above the diagonal before the softmax. GPT has it, BERT does not.
# * Several heads look for several things at once. A reshape *and* a transpose split the projections
#   into heads.
# * The work for scores and context vectors grows with the square of the length, all other work in
#   proportion.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words first; the lesson has said all that you need.
#
# 1. Why does attention have one matrix for queries and another for keys?
# 2. Why are the scores divided by $\sqrt d$ before the softmax?
# 3. What would a GPT do without the causal mask, and why is it applied before the softmax?
# 4. What can two heads do better than one, and why do they come to differ?
# 5. A text becomes twice as long. What happens to the work for the scores, and for the projections?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# **1.** Write the weights of causal attention: `scores` of shape (time, time), not yet masked. Each
# row adds to 1, and no row has weight on a later column.


# %%
def causal_softmax(scores):
    """Return attention weights of shape (time, time)."""
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
    """Return the number of parameters in the four projections."""
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
# Attention moves information between positions, but apart from the softmax only multiplies it by
# matrices. In [lesson 6](06_transformer.ipynb) you will build the block around it and stack it: a
# transformer.
