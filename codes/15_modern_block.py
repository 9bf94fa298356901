# %% [markdown]
# # 15. The modern block: from GPT-2 to Llama
#
# At the end of this lesson you will have built the five changes that lead from GPT-2's block to the
# block of Llama, which many open models use today, shown that keras-nlp computes the same, and
# judged from measured runs what each change brings.
#
# You need: attention from [lesson 5](05_attention.ipynb), the block from [lesson
# 6](06_transformer.ipynb), the floor and the training loop from [lesson 8](08_pretraining.ipynb),
# the KV cache from [lesson 9](09_generation.ipynb).

# %%
from utils.course.settings import settings

args = settings(steps=100, batch_size=4, seed=0)
print(args)

# %% [markdown]
# The settings belong to two short trainings in the second half of the lesson.

# %%
import json
from dataclasses import replace

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import ops
from scipy import stats

from utils.course.plots import BLUE, ORANGE, STYLE
from utils.data.batches import Windows, as_examples
from utils.data.corpora import load_corpus
from utils.data.downloads import shipped
from utils.evaluation.losses import TokenLosses
from utils.exercises import lesson_15 as check
from utils.models.modern import LLAMA, Experts, Parts, build_model, matched, parameters
from utils.models.sizes import SIZES
from utils.training.optimizers import Muon, warmup_cosine
from utils.training.runs import compiled

plt.style.use(STYLE)
rng = np.random.default_rng(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## What has changed since 2019
#
# The plan of the block is still GPT-2's: attention, then a feed-forward network, each behind a
# normalization and with a residual connection around it. Five parts have been replaced. (Touvron
# and others, *LLaMA: Open and Efficient Foundation Language Models*, 2023, section 2.2; groups of
# query heads came with the larger models of Llama 2.)
#
# | | GPT-2 | Llama |
# |---|---|---|
# | normalization | layer normalization | RMSNorm |
# | positions | a table of vectors, added once | rotary: queries and keys are turned |
# | feed-forward network | two matrices, GELU | three matrices, SwiGLU |
# | keys and values | of each query head | of each group of query heads |
# | biases | in every `Dense` layer | none |
#
# ![GPT-2's block beside Llama's, with shapes](../assets/modern_block.svg)
#
# Each part is first built by hand, then compared with the library's: the same input and the same
# parameters must give the same output and the same gradients (of a randomly weighted sum of the
# outputs, with respect to the input and each parameter). The library's parts come from a small
# `LlamaBackbone`, keras-nlp's Llama. Its norms contain a small `epsilon`; the next section shows
# why it is set here.

# %%
EPSILON = 1e-5
FEATURES, HEADS, KV_HEADS, HIDDEN = 32, 4, 2, 48


def new_library(epsilon=EPSILON):
    """keras-nlp's Llama with one block and random parameters."""
    backbone = keras_nlp.models.LlamaBackbone(
        vocabulary_size=50,
        num_layers=1,
        num_query_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        hidden_dim=FEATURES,
        intermediate_dim=HIDDEN,
        layer_norm_epsilon=epsilon,
        tie_word_embeddings=True,  # the output uses the table of the input, as in GPT-2
    )
    numbers = np.random.default_rng(args.seed)
    backbone.set_weights([numbers.normal(size=w.shape) / 4 for w in backbone.weights])
    return backbone


library = new_library()
for weight in library.weights:
    print(f"{weight.path:60} {weight.shape}")


# %%
def compare(name, ours, theirs, x, variables=()):
    """Print the largest differences of outputs and of gradients, relative to each array's size."""
    x, upstream = ops.convert_to_tensor(x), rng.normal(size=x.shape).astype("float32")
    results = []
    for function in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = function(x)
            loss = ops.sum(output * upstream)
        results.append([output, *tape.gradient(loss, [x, *variables])])
    pairs = zip(*[map(np.array, result) for result in results], strict=True)
    differences = [np.abs(a - b).max() / max(1.0, np.abs(b).max()) for a, b in pairs]
    print(f"{name}: differences of outputs {differences[0]:.0e}", end="")
    print(f", of {len(differences) - 1} gradients {max(differences[1:]):.0e}")
    assert max(differences) < 1e-5


# %% [markdown]
# ## RMSNorm
#
# Layer normalization subtracts the mean of a token's features and divides by their standard
# deviation. **RMSNorm** only divides, by the root of the mean square (RMS). It needs one sum over
# the features where layer normalization needs two, and has no bias. The paper assumes that layer
# normalization helps because it takes away the size of the features, not because it takes away
# their mean. (Zhang and Sennrich, *Root Mean Square Layer Normalization*, 2019.)

# %% tags=["nbval-check-output"]
token = np.array([1.0, -2.0, 3.0, 6.0])  # the features of one token
print("mean", token.mean(), "  RMS", np.sqrt(np.mean(token**2)).round(3))
print("layer normalization", (token - token.mean()) / token.std())
print("RMSNorm            ", token / np.sqrt(np.mean(token**2)))

# %% [markdown]
# The results differ in their mean, which is 0 only after layer normalization. Both undo a
# multiplication: a token that is ten times as large gives the same result. They treat an added
# constant differently: layer normalization removes it, RMSNorm does not.


# %%
def rms_norm(x, scale, epsilon=EPSILON):
    """Divide the features of each token by the root of their mean square, then scale them."""
    mean_square = ops.mean(x**2, axis=-1, keepdims=True)  # (..., 1)
    return x / ops.sqrt(mean_square + epsilon) * scale  # (..., features)


# %% tags=["nbval-check-output"]
for name, other in [("as it is", token), ("times 10", 10 * token), ("plus 10", token + 10)]:
    layer_norm = (other - other.mean()) / other.std()
    print(f"{name}: layer normalization {layer_norm}, RMSNorm {np.array(rms_norm(other, 1.0))}")

# %%
x = rng.normal(size=(2, 6, FEATURES)).astype("float32")  # (batch, time, features)
norm = library.layer_norm  # the last layer of the backbone
compare("RMSNorm", lambda x: rms_norm(x, norm.scale), norm, x, norm.weights)

# %% [markdown]
# ### The trap: epsilon
#
# `epsilon` prevents a division by zero. Published models were trained with their own value, often
# $10^{-5}$, and `LlamaBackbone` takes $10^{-6}$ by default. With the wrong epsilon and inputs of
# size 1, you see hardly any difference. With small inputs you do, for instance with the vectors of
# an untrained token table: keras-nlp samples them with a standard deviation of 0.01. Their mean
# square is then $10^{-4}$. Adding $10^{-5}$ makes it a tenth larger, its root about a twentieth.
# (The error below is smaller: the largest output belongs to a large token.)

# %%
for size in (1.0, 0.1, 0.01):
    right, wrong = (rms_norm(size * x, norm.scale, epsilon) for epsilon in (1e-5, 1e-6))
    error = np.abs(right - wrong).max() / np.abs(right).max()
    print(f"features of size {size:4}: with the wrong epsilon outputs are off by {error:.4%}")
    assert size > 0.01 or error > 0.01

# %% [markdown]
# ## Rotary positions
#
# Attention does not see order, so GPT-2 adds a learnt vector for each position to the token's
# vector. That has two weak points. The table ends: there is no vector for position 257 of a model
# with 256. And what matters in a text is mostly the *distance* of two tokens, which the model has
# to work out from two positions.
#
# **Rotary position embedding** (RoPE) adds nothing. It takes two features of a query or a key as a
# point in the plane and turns it, by an angle that grows with the position. (Su and others,
# *RoFormer: Enhanced Transformer with Rotary Position Embedding*, 2021.)


# %%
def turn(vector, angle):
    """A vector of two features, turned by an angle in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    left, right = vector
    return np.array([left * cos - right * sin, right * cos + left * sin])


# %% [markdown]
# The dot product of two vectors depends on their lengths and on the angle between them. If both are
# turned by the same angle, it does not change. So a query at position 5 and a key at position 3
# have the same score as at positions 105 and 103.

# %% tags=["nbval-check-output"]
query, key = np.array([1.0, 0.5]), np.array([0.8, -0.3])
for query_position, key_position in [(5, 3), (15, 13), (105, 103), (5, 2), (105, 102)]:
    score = turn(query, query_position) @ turn(key, key_position)  # one radian a position
    print(f"positions {query_position:3} and {key_position:3}: score {score:.3f}")

# %% [markdown]
# Only the distance counts, and nothing had to be learnt for it. But one pair of features alone
# would be ambiguous: after $2\pi$ positions it is back where it began. So each pair of a head turns
# at a speed of its own: pair $i$ of $n$ makes $w^{-i/n}$ radians per position, where $w$, the
# `wavelength`, is 10,000. The first pair makes one radian, the last ones of a head of 64 features
# less than a thousandth. Like the hands of a clock, the fast ones tell the exact distance, the slow
# ones tell far from near.
#
# Which features make a pair is a convention. The paper takes neighbours: features 0 and 1, 2 and 3.
# Keras takes feature $i$ of the first half and feature $i$ of the second half. Both work, but
# weights that were trained with one are wrong with the other, until the columns of the query and
# key matrices are permuted.


# %%
def rotary(x, wavelength=10_000):
    """Turn the features of queries or keys (batch, time, heads, head_dim) by their position."""
    half = x.shape[-1] // 2
    speeds = wavelength ** -(np.arange(half) / half)  # radians for each position, (half,)
    angles = np.arange(x.shape[1])[:, None, None] * speeds  # (time, 1, half)
    cos, sin = np.cos(angles).astype("float32"), np.sin(angles).astype("float32")
    left, right = x[..., :half], x[..., half:]  # each (batch, time, heads, half)
    return ops.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)


# %%
queries = rng.normal(size=(2, 6, HEADS, 8)).astype("float32")  # (batch, time, heads, head_dim)
compare("rotary", rotary, keras_nlp.layers.RotaryEmbedding(), queries)
lengths = np.linalg.norm(queries, axis=-1), np.linalg.norm(rotary(queries), axis=-1)
print(f"turning changes no length: {np.allclose(*lengths, atol=1e-5)}")

# %% [markdown]
# How does the score depend on the distance? Take a query and a key that are both a vector of ones,
# in a head of 64 features as in GPT-2. Their score is then proportional to a sum of cosines, one
# for each pair.

# %%
distances = np.arange(200)
speeds = 10_000 ** -(np.arange(32) / 32)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
for position in range(6):
    point = turn(np.array([1.0, 0.0]), position)
    left.plot([0, point[0]], [0, point[1]], color=BLUE, linestyle="-")
    left.text(*(1.14 * point), position, ha="center", va="center", fontsize=9)
left.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal", xlabel="feature 0")
left.set(ylabel="feature 32", title="One vector at positions 0 to 5")
for pair in (0, 8, 16):
    right.plot(np.cos(distances * speeds[pair]), linewidth=1, label=f"pair {pair}")
right.plot(np.cos(distances[:, None] * speeds).mean(axis=1), "k-", label="mean of 32 pairs")
right.set(xlabel="distance, tokens", ylabel="cos of the angle", ylim=(-1.05, 1.05))
right.set_title("Three of the 32 pairs, and the mean of all")
figure.legend(loc="outside lower right", ncols=4)
plt.show()

# %% [markdown]
# The mean over the pairs tends to fall with the distance. That holds for these two vectors:
# training chooses the queries and keys, and so which pairs matter to a head.
#
# ## SwiGLU: a feed-forward network with a gate
#
# GPT-2's feed-forward network makes each token's vector wider, applies GELU, and makes it narrow
# again. A **gated linear unit** (GLU) has a second matrix beside the first. One computes values,
# the other computes for each of them a **gate**, by which it is multiplied. With **SiLU** in the
# gate (also called Swish: $x$ times its sigmoid) the network is called **SwiGLU**. (Shazeer, *GLU
# Variants Improve Transformer*, 2020.)

# %% tags=["nbval-check-output"]
values, gates = np.array([2.0, 2.0, 2.0, 2.0]), np.array([-4.0, 0.0, 1.0, 4.0])
silu = gates / (1 + np.exp(-gates))
print("values          ", values)
print("gates after SiLU", silu)
print("products        ", values * silu)

# %% [markdown]
# With GELU, each hidden number decides by itself whether it passes. With a gate, another number
# decides. A gate is not limited to 0 to 1: here one is 3.9. So the network can multiply two
# functions of its input, which a network with GELU can only approximate. The paper measures a lower
# loss, gives no explanation, and says so.


# %%
def swiglu(x, up, gate, down):
    """Each token on its own: (..., features) -> (..., hidden), gated -> (..., features)."""
    gates = x @ gate  # (..., hidden)
    return (x @ up * gates * ops.sigmoid(gates)) @ down


# %% [markdown]
# Three matrices instead of two: for the same number of parameters the hidden layer becomes
# narrower, by a factor of $2/3$.
#
# keras-nlp has no layer of its own for SwiGLU, it is a part of the block. But in a block whose
# attention has an output projection of zeros, attention adds nothing, and what remains is $x +
# \mathrm{swiglu}(\mathrm{norm}(x))$.

# %%
block = new_library().transformer_layers[0]
projection, up, gate, down, scale = (block.weights[number] for number in (3, 5, 6, 7, 8))
projection.assign(np.zeros(projection.shape))
compare(
    "SwiGLU",
    lambda x: x + swiglu(rms_norm(x, scale), up, gate, down),
    block,
    x,
    [up, gate, down, scale],
)

# %% [markdown]
# ## Grouped-query attention
#
# When a model generates text, the KV cache holds the keys and values of all tokens so far. In long
# chats it fills the memory, and for each new token all of it must be read. **Grouped-query
# attention** (GQA) makes it smaller: a group of query heads shares one key head and one value head.
# If all query heads share a single one, it is called **multi-query attention**. (Ainslie and
# others, *GQA: Training Generalized Multi-Query Transformer Models*, 2023.)

# %% tags=["nbval-check-output"]
print("query head    ", np.arange(HEADS))
print("reads key head", np.repeat(np.arange(KV_HEADS), HEADS // KV_HEADS))


# %%
def grouped_attention(x, query, key, value, projection, rotate=None):
    """Causal attention; key and value have fewer heads than query. No biases."""
    queries = ops.einsum("btf,fhd->bthd", x, query)  # (batch, time, heads, head_dim)
    keys = ops.einsum("bsf,fhd->bshd", x, key)  # (batch, time, kv_heads, head_dim)
    values = ops.einsum("bsf,fhd->bshd", x, value)
    if rotate:
        queries, keys = rotate(queries), rotate(keys)  # values have no position
    group = queries.shape[2] // keys.shape[2]
    keys, values = ops.repeat(keys, group, axis=2), ops.repeat(values, group, axis=2)
    scores = ops.einsum("bthd,bshd->bhts", queries, keys) / queries.shape[-1] ** 0.5
    causal_mask = np.tri(x.shape[1], dtype=bool)  # (time, time)
    weights = ops.softmax(ops.where(causal_mask, scores, -1e9))  # (batch, heads, time, time)
    mixed = ops.einsum("bhts,bshd->bthd", weights, values)  # (batch, time, heads, head_dim)
    return ops.einsum("bthd,hdf->btf", mixed, projection)  # (batch, time, features)


# %% [markdown]
# Keras has a layer for it, without positions.

# %%
layer = keras.layers.GroupQueryAttention(FEATURES // HEADS, HEADS, KV_HEADS, use_bias=False)
layer(x, x)  # the first call creates the parameters
layer.set_weights([rng.normal(size=w.shape) / 4 for w in layer.weights])
compare(
    "grouped-query attention",
    lambda x: grouped_attention(x, *layer.weights),
    lambda x: layer(x, x, use_causal_mask=True),
    x,
    layer.weights,
)

# %% [markdown]
# ### What it saves: the KV cache
#
# For each token the cache holds a key and a value in every block and every key head. So its size is
# a product of six numbers.


# %%
def cache_bytes(layers, kv_heads, head_dim, tokens, bytes_per_number):
    """Bytes of the keys and values of one text."""
    return 2 * layers * kv_heads * head_dim * tokens * bytes_per_number


cache = np.zeros((2, 6, KV_HEADS, FEATURES // HEADS), "float32")  # of one block and 6 tokens
print("as large as the arrays:", cache_bytes(1, KV_HEADS, FEATURES // HEADS, 6, 4) == cache.nbytes)

# %% [markdown]
# Here are some published models with the whole of their context, in numbers of 16 bits.

# %% tags=["nbval-check-output"]
MODELS = [  # name, blocks, query heads, key heads, head_dim, context
    ("GPT-2 124M", 12, 12, 12, 64, 1024),
    ("Llama 2 7B", 32, 32, 32, 128, 4096),
    ("SmolLM2 135M", 30, 9, 3, 64, 8192),
    ("Llama 3 8B", 32, 32, 8, 128, 8192),
]
print("              query/key heads  tokens   KV cache   with a key head for each query head")
for name, layers, heads, kv_heads, head_dim, context in MODELS:
    print(f"{name:14} {heads:10} / {kv_heads:2} {context:7}", end="")
    for count in (kv_heads, heads):
        print(f" {cache_bytes(layers, count, head_dim, context, 2) / 2**20:8,.0f} MiB", end="")
    print()

# %% [markdown]
# Llama 3 has four query heads in a group, and twice the context of Llama 2 in half the cache. GQA
# saves memory and the time to read it. It saves little arithmetic: there are as many scores as
# before.
#
# ## No biases
#
# A `Dense` layer of Llama only multiplies by a matrix. The reason given is that large models train
# more stably without biases. (Chowdhery and others, *PaLM: Scaling Language Modeling with
# Pathways*, 2022, section 2.) There were never many of them:

# %% tags=["nbval-check-output"]
SIZE = SIZES["small"]
VOCABULARY_SIZE = 1536
total = parameters(VOCABULARY_SIZE, SIZE, Parts())
biases = total - parameters(VOCABULARY_SIZE, SIZE, Parts(biases=False))
print(f"{biases:,} of {total:,} parameters of the small GPT-2: {biases / total:.1%}")
print("arrays in a block of Llama:", len(block.weights), "and of GPT-2: 16")

# %% [markdown]
# ## The block, whole
#
# Now all five together. The function `grouped` gives names to the arrays of a block, in the order
# in which keras-nlp lists them.


# %%
def llama_block(x, p, epsilon=EPSILON):
    """A block of Llama: (batch, time, features) -> the same shape."""
    x = x + grouped_attention(rms_norm(x, p["norm 1"], epsilon), *p["attention"], rotate=rotary)
    return x + swiglu(rms_norm(x, p["norm 2"], epsilon), *p["network"])


def grouped(weights):
    """The nine arrays of the block under the names that `llama_block` uses."""
    return {
        "attention": weights[0:4],
        "norm 1": weights[4],
        "network": weights[5:8],
        "norm 2": weights[8],
    }


# %%
block = library.transformer_layers[0]
p = grouped(block.weights)
compare("the block", lambda x: llama_block(x, p), block, x, block.weights)
right = block(0.01 * x)
wrong = np.abs(llama_block(0.01 * x, p, epsilon=1e-6) - right).max()
print(f"small inputs and the wrong epsilon: outputs of size {np.abs(right).max():.2g}", end="")
print(f" differ by up to {wrong:.0e}")
assert wrong > 1e-4

# %% [markdown]
# The last line is the trap again.
#
# For the trainings below, [modern.py](../utils/models/modern.py) builds a model of such blocks from
# Keras layers, with a switch for each part. With all switches on it must be keras-nlp's Llama: the
# same logits from the same arrays. (With all off it is GPT-2; a test of the course checks that.)


# %%
def in_our_order(arrays):
    """The arrays of the library's Llama with one block, in the order of `build_model`."""
    table, *parts, last = arrays
    p = grouped(parts)
    return [table, p["norm 1"], *p["attention"], p["norm 2"], *p["network"], last]


one_block = replace(SIZES["small"], layers=1, heads=HEADS, width=FEATURES, feed_forward=HIDDEN)
model = build_model(50, one_block, LLAMA)
model.set_weights(in_our_order(library.get_weights()))
ids = rng.integers(50, size=(2, 8))  # (batch, time)
hidden = library({"token_ids": ids, "padding_mask": np.ones_like(ids)})
logits = library.token_embedding(hidden, reverse=True)  # (batch, time, vocabulary)
difference = np.abs(model(ids) - logits).max() / np.abs(logits).max()
print(f"logits {logits.shape}, largest difference {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# ## Equal parameters, equal tokens
#
# To find out what each change brings, we change the small GPT-2 of lesson 8 in one part at a time,
# and then in all.
#
# Each part also changes the number of parameters: rotary positions need no table, grouped keys have
# smaller matrices, a gate costs a third matrix. A larger model may be better for that reason alone.
# So every model here has the same number of parameters: what a part saves is spent on a wider
# feed-forward network, what it costs is taken from there. An experiment in which one part is
# changed at a time is called an **ablation**. All models see the same batches in the same order,
# with the optimizer of lesson 13, Muon, at the same learning rate.

# %% tags=["nbval-check-output"]
results = json.loads(shipped("modern_block.json").read_text(encoding="utf-8"))
runs, floor = results["runs"], results["floor"]
NAMES = ["GPT-2", "RMSNorm", "rotary", "SwiGLU", "grouped", "no biases", "all"]
SEEDS = range(1 + max(run["setting"]["seed"] for run in runs.values()))
PARTS = {name: Parts(**runs[f"{name}, seed 0"]["setting"]["parts"]) for name in NAMES}
print("           parameters  feed-forward width")
for name, parts in PARTS.items():
    size = matched(VOCABULARY_SIZE, SIZE, parts)
    print(f"{name:10} {parameters(VOCABULARY_SIZE, size, parts):10,} {size.feed_forward:19}")

# %% [markdown]
# The width is a whole number, so the parameters cannot be matched exactly, only to within one
# hidden unit in each block. In `grouped`, the two query heads of the small GPT-2 share a key head.
# `grouped` and `rotary` have a clearly wider feed-forward network than GPT-2, so a part is judged
# together with what its savings buy.
#
# ## The beginning of two trainings
#
# Here are the first steps of two runs, of GPT-2 and of all five changes. The learning rate follows
# the schedule of the whole run. The losses are in nats per token.

# %%
tales = load_corpus("tales")
windows = Windows(tales.train, SIZE.context, tales.tokenizer.end_id, documents=True)
held_out = Windows(tales.validation, SIZE.context, tales.tokenizer.end_id, documents=True)
rows, loss_mask = (part[: results["tales"]] for part in held_out.in_order())
whole = runs["GPT-2, seed 0"]["setting"]


def begin_training(parts):
    """The validation loss after the first steps of a run."""
    keras.utils.set_random_seed(args.seed)
    model = build_model(tales.vocabulary_size, matched(VOCABULARY_SIZE, SIZE, parts), parts)
    schedule = warmup_cosine(whole["rate"], whole["steps"], warmup=whole["steps"] // 20)
    compiled(model, Muon(schedule, adam_lr_ratio=0.5, adam_beta_2=0.98, weight_decay=None))
    for step in range(args.steps):
        model.train_on_batch(*as_examples(*windows.batch(step, args.batch_size, args.seed)))
    return TokenLosses(model).mean(rows, loss_mask)


# %%
for name in ("GPT-2", "all"):
    loss = begin_training(PARTS[name])
    print(f"{name:6} validation loss after {args.steps} steps: {loss:.3f}", end="")
    kept = dict(runs.get(f"{name}, seed {args.seed}", {}).get("evaluations", []))
    if args.steps in kept and args.batch_size == results["batch_size"]:
        print(f", in the file: {kept[args.steps]:.3f}", end="")
        assert abs(loss / kept[args.steps] - 1) < 0.2
    print()

# %% [markdown]
# ## What does each change bring?
#
# The full comparison has seven models with several seeds each, too long for a notebook.
# `python -m benchmarks.modern_block` made these runs; the course ships its results as
# [modern_block.json](../datasets/modern_block.md). A seed decides the first parameters and the
# order of the batches.
#
# The same model with another seed ends at another loss. So a difference between two models can be
# chance, and it needs an interval.
#
# *Can be skipped at a first reading.* From each loss subtract the mean of its model and the mean of
# its seed, and add the mean of all: what is left is chance, and its size says how far a mean over
# the seeds can be off. Since that size is itself estimated from few numbers, the interval comes
# from Student's t-distribution. Six differences are tested, and with so many one may look real by
# chance. So each interval may be wrong with a probability of 5 % divided by six (the **Bonferroni
# correction**), and all six hold together with at least 95 %.


# %%
def t_limit(freedom, comparisons, risk=0.05):
    """How many standard errors a difference may be off, all comparisons taken together."""
    return stats.t.ppf(1 - risk / comparisons / 2, freedom)  # a difference has two sides


def differences(losses):
    """Mean difference of each further row to row 0, (models - 1,), and their half interval.

    losses: (models, seeds)
    """
    models, seeds = losses.shape
    chance = losses - losses.mean(axis=1, keepdims=True) - losses.mean(axis=0) + losses.mean()
    freedom = (models - 1) * (seeds - 1)
    error = np.sqrt(2 / seeds * np.sum(chance**2) / freedom)  # of a difference of two means
    means = losses.mean(axis=1)
    return means[1:] - means[0], t_limit(freedom, models - 1) * error


def verdict(difference, half):
    """What an interval allows to say."""
    if abs(difference) <= half:
        return "no difference"
    return "better" if difference < 0 else "worse"


# %%
def last_loss(name):
    """Validation loss at the end of a run, in multiples of the floor."""
    return runs[name]["evaluations"][-1][1] / floor


losses = np.array([[last_loss(f"{name}, seed {seed}") for seed in SEEDS] for name in NAMES])
changes, half = differences(losses)
print(f"{whole['steps']} steps, {results['tales']} held-out tales", end="")
print(f", floor {floor:.4f} nats per token; validation losses are multiples of it")
print(f"{'':10}", *[f" seed {seed}" for seed in SEEDS], " difference to GPT-2")
for number, name in enumerate(NAMES):
    print(f"{name:10}", *[f"{loss:7.3f}" for loss in losses[number]], end="")
    if number:
        change = changes[number - 1]
        print(f"  {change:+.3f} ± {half:.3f}  {verdict(change, half)}", end="")
    print()

# %%
figure, axes = plt.subplots(figsize=(6.4, 3.2))
heights = np.arange(len(changes))[::-1]
label = "mean and interval"
axes.errorbar(changes, heights, xerr=half, fmt="o", color=BLUE, capsize=4, label=label)
for seed, marker in zip(SEEDS, "x+1"[: len(SEEDS)], strict=True):
    points = losses[1:, seed] - losses[0, seed]
    axes.plot(points, heights - 0.2, marker, color=ORANGE, markersize=6, label=f"seed {seed}")
axes.axvline(0, color="black", linewidth=0.8, linestyle=":")
axes.set_yticks(heights, NAMES[1:])
axes.set(xlabel="loss minus that of GPT-2, multiples of the floor", ylim=(-0.6, len(changes) - 0.2))
axes.set_title("Left of 0: a lower loss than GPT-2. Intervals across 0 decide nothing")
axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# Read the last column. If the whole interval lies on one side of zero, the change has made this
# model better or worse. *No difference* means that these runs do not show one: it may be zero, or
# too small for so few seeds. Rotary positions lower the loss; a likely reason is that they need not
# be learnt. SwiGLU was chosen for a lower loss, and here it raises the loss. The model with all
# changes shows no difference. The runs end far above the entropy floor of lesson 8, and what helps
# at the beginning of a training need not help at its end.
#
# Does a part that brings no difference deserve its place? RMSNorm has less to compute, large models
# are said to train more stably without biases, grouped queries make the cache small. For such a
# part "no difference" is good news: these runs show no price for it.
#
# Two more questions before you believe the table. First: lesson 13 tuned the learning rate for
# GPT-2. Is it as good for the model with all changes? Here are three rates for both, with one seed.

# %%
print("rate       ", *[f"{rate:7}" for rate in (0.007, 0.02, 0.06)])
for name in ("GPT-2", "all"):
    ends = [last_loss(f"{name}, {run}") for run in ("rate 0.007", "seed 0", "rate 0.06")]
    print(f"{name:11}", *[f"{loss:7.3f}" for loss in ends], " times the floor")

# %% [markdown]
# Of these three rates, the middle one is best for both. If one were best at another, the comparison
# above would have been unfair to it; for SwiGLU alone this was not tried. Second: what does a step
# cost?

# %%
times = {
    name: np.median([runs[f"{name}, seed {seed}"]["milliseconds"] for seed in SEEDS])
    for name in NAMES
}
for name, time in times.items():
    print(f"{name:10} {time / times['GPT-2']:.2f} times the CPU time of GPT-2's step")

# %% [markdown]
# No change makes a step slower or faster by a tenth. These ratios are rough, because the machine
# had other work, and they hold for this code on a CPU.
#
# ## Positions that the model never saw
#
# In the next runs GPT-2's table of positions is long enough, but training uses only its first rows:
# the windows are short pieces of running text (122 tokens), one tale after the other. Then the
# models, again with equal parameters, read windows that are four times as long (488). For
# comparison, both were also trained on the long windows, on as many tokens in all, with one seed.


# %%
def by_position(name, context):
    """The loss along a window, the mean over its runs: (positions / positions_per_mean,)."""
    prefix = f"{name}, context {context}, "
    return np.mean([run["by_position"] for key, run in runs.items() if key.startswith(prefix)], 0)


SHORT, LONG, WIDTH = results["short"], results["long"], results["positions_per_mean"]
centres = (np.arange(LONG // WIDTH) + 0.5) * WIDTH  # positions, in tokens
PARTS_OF_WINDOW = [(SHORT // 2, SHORT), (SHORT, 2 * SHORT), (2 * SHORT, LONG)]
print(f"{'':32} loss at positions, nats per token")
print(f"{'trained on':32}", *[f"{f'{a} to {b}':>11}" for a, b in PARTS_OF_WINDOW])
ends = {}
for context in (SHORT, LONG):
    for name in ("GPT-2", "rotary"):
        curve = by_position(name, context)
        ends[name, context] = [
            curve[(a < centres) & (centres < b)].mean() for a, b in PARTS_OF_WINDOW
        ]
        print(f"{context} tokens, {name:20}", *[f"{loss:11.3f}" for loss in ends[name, context]])

# %%
for (name, context), style in zip(ends, ["s--", "o-", "s:", "o:"], strict=True):
    color = ORANGE if name == "GPT-2" else BLUE
    label = f"{name}, trained on {context} tokens"
    curve = by_position(name, context)
    plt.plot(centres, curve, style, color=color, markersize=4, markevery=4, label=label)
plt.axvline(SHORT, color="black", linewidth=0.8, linestyle=":")
plt.yscale("log")
plt.yticks([0.5, 1, 2, 4, 8], [0.5, 1, 2, 4, 8])
plt.ylim(0.45, 16)
plt.minorticks_off()
plt.xlabel("position in the window, tokens")
plt.ylabel("loss, nats per token")
plt.title("Right of the dotted line: positions that the short windows never had")
plt.legend(fontsize=9, ncols=2, loc="upper right")
plt.show()

# %% [markdown]
# All models were trained on the positions left of the dotted line. Right of it the short-trained
# ones are on new ground. The table has rows there, but they still hold the random numbers of the
# beginning. Rotary positions need no rows, but queries now meet keys at distances that never
# occurred in training, and in the slow pairs at new angles. The distance from the curves of the
# long-trained models is what that costs. (The long-trained table is worse than rotary positions
# everywhere, probably because it has four times as many rows to learn as the short-trained one,
# from the same number of tokens.) Models with a long context are trained on long texts, at least at
# the end, often after all angles have been made smaller (**position interpolation**). (Chen and
# others, *Extending Context Window of Large Language Models via Positional Interpolation*, 2023.)
#
# ## Mixture of experts
#
# *Can be skipped at a first reading.* In a **mixture of experts** (MoE) each block has several
# feed-forward networks, the experts. A small matrix, the **router**, gives every expert a share (a
# probability) for each token, and with **top-1 routing** the token passes only through the expert
# with the largest share. So a model can have more parameters without more arithmetic for each
# token. (Fedus and others, *Switch Transformers: Scaling to Trillion Parameter Models with Simple
# and Efficient Sparsity*, 2021, section 2.)
#
# The choice has no gradient: change the router a little, and the same expert is chosen. Therefore
# the expert's output is multiplied by its share. Through the share the router learns.


# %%
def mixture(x, router, networks):
    """Each token of x (..., features) passes through the network with the largest share."""
    shares = ops.softmax(x @ router)  # (..., experts)
    largest = ops.argmax(shares, axis=-1)  # (...)
    output = 0.0
    for number, network in enumerate(networks):
        share = ops.where(largest == number, shares[..., number], 0.0)  # 0: not its token
        output = output + share[..., None] * network(x)  # (..., features)
    return output


# %%
layer = Experts(one_block, Parts(experts=2))
layer(x)  # the first call creates the parameters
layer.set_weights([rng.normal(size=w.shape) / 4 for w in layer.weights])
compare(
    "mixture of experts",
    lambda x: mixture(x, layer.router.kernel, layer.networks),
    layer,
    x,
    layer.weights,
)

# %% [markdown]
# Nothing keeps the router from sending every token to the same expert, and the others then learn
# nothing. A **load-balancing loss**, added to the training loss with a small factor, works against
# that. For each expert take the part of the tokens that it gets, times its mean share; add up, and
# multiply by the number of experts. If the tokens are spread evenly this is 1, and it grows with
# the unevenness.


# %%
def balancing(shares):
    """The balancing loss of shares (tokens, experts)."""
    experts = shares.shape[-1]
    tokens = np.bincount(shares.argmax(axis=-1), minlength=experts) / len(shares)  # (experts,)
    return experts * np.sum(tokens * shares.mean(axis=0))


# %% tags=["nbval-check-output"]
print("evenly  ", balancing(np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2], [0.2, 0.8]])).round(2))
print("all to 0", balancing(np.array([[0.9, 0.1], [0.9, 0.1], [0.8, 0.2], [0.8, 0.2]])).round(2))

# %% [markdown]
# `modern_block.json` has three kinds of such models. In `experts` the two networks together are as
# large as that of GPT-2, so the model has equal parameters, and a token uses only one half of them.
# In `wide experts` each is as large as that of GPT-2: equal arithmetic for each token, and more
# parameters. `unbalanced experts` are like the first kind, without the balancing loss.

# %%
MIXTURES = ["GPT-2", "experts", "wide experts", "unbalanced experts"]
losses = np.array([[last_loss(f"{name}, seed {seed}") for seed in SEEDS] for name in MIXTURES])
changes, half = differences(losses)
print(f"{'':48} difference to GPT-2,")
print(f"{'':20}parameters  busiest expert   multiples of the floor")
for name, change in zip(MIXTURES[1:], changes, strict=True):
    made = [runs[f"{name}, seed {seed}"] for seed in SEEDS]
    busiest = np.mean([np.max(run["shares"], axis=-1) for run in made])  # over seeds and blocks
    print(f"{name:19} {made[0]['parameters']:10,} {busiest:15.0%}", end="")
    print(f"   {change:+.3f} ± {half:.3f}  {verdict(change, half)}")

# %% [markdown]
# The busiest expert is the one that reads more of the held-out tokens, the mean over blocks and
# seeds; at 50 % both are in equal use. Without the balancing loss one expert reads most tokens, at
# nearly the same validation loss. All three kinds end worse than GPT-2. With equal parameters, a
# token uses fewer of them. Even the kind with more parameters is worse, probably because in so
# short a run each expert learns from only a part of the tokens.
# Our code computes both experts for every token and drops one, so it saves nothing. Real
# implementations compute only the chosen one.
#
# ## If your result looks different
#
# * **A logit comparison with a published model is off by some per cent.** Look at `epsilon` first,
#   and try small inputs; then look at the layout of the rotary pairs.
# * **The live losses differ from the file's.** Processors round differently, and training amplifies
#   it.
# * **A difference between two of your own models vanishes with another seed.** Then it was chance.
#   Use at least three seeds.
# * **Your ranking is another one.** These are small models, trained briefly on a simple text. What
#   holds for a large model must be measured there.

# %% [markdown]
# ## Recap
#
# * RMSNorm divides by the root mean square and subtracts nothing. Its `epsilon` belongs to the
#   model.
# * Rotary positions turn queries and keys, so that a score depends on the distance of two tokens.
# * SwiGLU multiplies each hidden number by a gate, in a network two thirds as wide.
# * Grouped-query attention keeps fewer keys and values: the KV cache is smaller by a factor of the
#   group's size.
# * A fair comparison has equal parameters, equal tokens, several seeds and an interval, and "no
#   difference" is an answer.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words; then let `check.answer` show ours.
#
# 1. What does RMSNorm leave out, and why is what remains enough?
# 2. Why does the score of two rotated vectors depend only on the distance of their positions?
# 3. With the same number of parameters, what does SwiGLU have to give up for its gate?
# 4. What does grouped-query attention save, and what not?
# 5. Two models differ by 0.01 with an interval of ± 0.02. What may you say?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** RMSNorm in NumPy, for `x` with the features on the last axis.


# %%
def rms_norm_of(x, scale, epsilon):
    """Return an array of the shape of x."""
    ...


check.rms_norm(rms_norm_of)

# %% [markdown]
# **2.** Turn a single query `vector` (head_dim,) by its `position`, with Keras's pairs.


# %%
def rotate(vector, position, wavelength):
    """Return an array of the shape of vector."""
    ...


check.rotate(rotate)

# %% [markdown]
# **3.** A feed-forward network of GPT-2 without biases has `hidden` units. How many may one with a
# gate have, for as many parameters? Round to a whole number.


# %%
def gated_width(width, hidden):
    """Return a whole number."""
    ...


check.gated_width(gated_width)

# %% [markdown]
# **4.** How many bytes does the KV cache of one text take, with numbers of 16 bits?


# %%
def cache_size(layers, query_heads, kv_heads, head_dim, tokens):
    """Return a whole number."""
    ...


check.cache_bytes(cache_size)

# %% [markdown]
# ## Next
#
# You now know every part of the block of many current open models. The next lesson takes a real
# one, with weights that others have trained, and runs it in code that you could have written.
