# %% [markdown]
# # 7. GPT-2: the whole model
#
# At the end of this lesson you will have written GPT-2 in NumPy, proved that keras-nlp's is the
# same, counted the parameters of all four published sizes, run the two tests that a new model
# should pass before any long training, and saved a model in the format in which models are
# exchanged.
#
# You need: the block from [lesson 6](06_transformer.ipynb), the tokenizer from [lesson
# 3](03_tokenization.ipynb), the first loss and the floor from [lesson 2](02_next_token.ipynb).

# %%
from utils.course.settings import settings

args = settings(steps=120, learning_rate=0.001, seed=7, preset="none")
print(args)

# %%
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from utils.course.diagrams import draw_flow
from utils.course.plots import BLUE, GREEN, ORANGE, STYLE
from utils.course.seeds import seed_everything
from utils.data.downloads import download
from utils.data.keras_tokenizers import GPT2Tokenizer, folder, load_tokenizer
from utils.errors import DataUnavailable
from utils.exercises import lesson_07 as check
from utils.models.gpt2 import build_gpt2
from utils.tales import corpus, floor
from utils.training.progress import Progress

plt.style.use(STYLE)
rng = seed_everything(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## One table, used twice
#
# Lesson 6 built the block. GPT-2 is a stack of blocks between an input layer and an output layer,
# and both use the same table: the token embeddings. Here is a language of three words, with an
# embedding of two numbers for each word, and a position embedding for each of two positions.

# %%
words = ["the", "cat", "sat"]
token_table = np.array([[2.0, 0.0], [0.0, 2.0], [-2.0, -1.0]])  # (vocabulary, width)
position_table = np.array([[0.0, 0.5], [0.5, 0.0]])  # (context, width)

# %% [markdown]
# **The input.** A token becomes the sum of its row and the row of its position, as in lesson 4. The
# text is `the cat`.

# %%
ids = np.array([0, 1])  # the cat
x = token_table[ids] + position_table[: len(ids)]  # (time, width)
print(x)

# %% [markdown]
# **The output.** The model must give a logit to each word that may come next. It computes the dot
# product of $x$ with every row of the same table: row `the` gives the logit of `the`, and so on.
# For all rows at once, that is a product with the **transposed** table (`.T`). Using one table at
# both ends is called **weight tying**. (Press and Wolf, *Using the Output Embedding to Improve
# Language Models*, 2017.)

# %%
logits = x @ token_table.T  # (time, vocabulary)
print(logits)
for seen, row in zip(ids, logits, strict=True):
    print(f"after {words[seen]!r} it expects {words[row.argmax()]!r}")

# %% [markdown]
# Check a number: after `the`, the word `cat` gets $2 \cdot 0 + 0.5 \cdot 2$. But look at the
# predictions. With nothing between input and output, each word predicts itself. The reason: among
# rows of about the same length, none has a larger dot product with the row of `the` than that row
# itself, and the small position embedding changes little. This shows what the blocks must do: turn
# the vector of a token into the vector of the next one. A block adds something to $x$, because of
# its residual connections; here we choose by hand what is added.

# %%
added_by_blocks = np.array([[-2.0, 1.5], [-2.5, -3.0]])  # (time, width)
after_blocks = x + added_by_blocks
for seen, row in zip(ids, after_blocks @ token_table.T, strict=True):
    print(f"logits {row}: after {words[seen]!r} it expects {words[row.argmax()]!r}")

# %%
figure, axes = plt.subplots(figsize=(5.4, 4.2))
for word, row in zip(words, token_table, strict=True):
    (circle,) = axes.plot(*row, "o", color=BLUE, markersize=8)
    axes.annotate(word, row, xytext=(-26, -14), textcoords="offset points", color=BLUE)
for start, end, color, style in zip(x, after_blocks, [ORANGE, GREEN], ["-", "--"], strict=True):
    arrow = {"arrowstyle": "->", "color": color, "lw": 2, "ls": style, "shrinkB": 6}
    axes.annotate("", end, start, arrowprops=arrow)
(square,) = axes.plot(*x.T, "s", color="black", markersize=5)
axes.annotate("the, at position 0", x[0], xytext=(-4, 8), textcoords="offset points")
axes.annotate("cat, at position 1", x[1], xytext=(8, 4), textcoords="offset points")
axes.set(xlim=(-2.6, 3.9), ylim=(-1.7, 2.6), xlabel="first feature", ylabel="second feature")
axes.set_title("The blocks move each vector towards the next token's row")
axes.legend([circle, square], ["row of the token table", "input: row + position"])
plt.show()

# %% [markdown]
# Keep the picture in mind. Later in this lesson you will see a trained model do just that.
#
# ## GPT-2, by hand
#
# Now the real model. First the parts of lessons 5 and 6, in NumPy, since no gradients are needed
# this time. Two things are new: GPT-2 uses the `tanh` form of GELU, and it keeps query, key and
# value in one **weight matrix**, side by side. (Keras calls a weight matrix a `kernel`, hence that
# word in some names below.)


# %%
def layer_norm(x, gain, bias, epsilon=1e-5):
    mean = x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gain + bias


def gelu(x):
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def feed_forward(x, mlp_up_kernel, mlp_up_bias, mlp_down_kernel, mlp_down_bias):
    return gelu(x @ mlp_up_kernel + mlp_up_bias) @ mlp_down_kernel + mlp_down_bias


# %%
def attention(x, qkv_kernel, qkv_bias, out_kernel, out_bias, num_heads):
    """Causal self-attention of x (batch, time, width)."""
    batch, time, width = x.shape
    head_dim = width // num_heads
    qkv = x @ qkv_kernel + qkv_bias  # (batch, time, 3 * width)
    qkv = qkv.reshape(batch, time, 3, num_heads, head_dim)
    qkv = qkv.transpose(2, 0, 3, 1, 4)  # (3, batch, heads, time, head_dim)
    query, key, value = qkv
    scores = query @ key.swapaxes(-1, -2) / head_dim**0.5  # (batch, heads, time, time)
    scores = np.where(np.tri(time, dtype=bool), scores, -np.inf)
    mixed = softmax(scores) @ value  # (batch, heads, time, head_dim)
    mixed = mixed.transpose(0, 2, 1, 3).reshape(batch, time, width)
    return mixed @ out_kernel + out_bias


# %% [markdown]
# A model is these functions and its parameters. When GPT-2 was published, each array had a name,
# and programs that exchange GPT-2 models still use these names, slightly adapted. So do we:
# `weights` is a dictionary from name to array. `h.0.ln_1.weight`, for example, is the gain of the
# first normalization in block 0, and `h.0.ln_1.bias` is its bias. In these names, *weight* stands
# for a weight matrix as well as for a gain. All arrays but the two embedding tables come in such
# pairs.
#
# | name | what it is |
# |---|---|
# | `wte`, `wpe` | the tables of tokens (*words*) and of positions |
# | `h.0`, `h.1`, … | the blocks (*hidden* layers) |
# | `ln_1`, `attn.c_attn`, `attn.c_proj` | norm; query, key, value side by side; output |
# | `ln_2`, `mlp.c_fc`, `mlp.c_proj` | norm; feed-forward network, wide and narrow again |
# | `ln_f` | the last (*final*) norm |


# %%
def pair(weights, name):
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def block(x, weights, name, num_heads):
    """A pre-norm block, (batch, time, width) -> the same shape; `name` is h.0, h.1, …"""
    attention_weights = pair(weights, f"{name}.attn.c_attn") + pair(weights, f"{name}.attn.c_proj")
    feed_forward_weights = pair(weights, f"{name}.mlp.c_fc") + pair(weights, f"{name}.mlp.c_proj")
    normal = layer_norm(x, *pair(weights, f"{name}.ln_1"))
    x = x + attention(normal, *attention_weights, num_heads)
    normal = layer_norm(x, *pair(weights, f"{name}.ln_2"))
    return x + feed_forward(normal, *feed_forward_weights)


# %% [markdown]
# And this is GPT-2, all of it: embeddings, blocks, a last normalization, logits. The numbers of
# blocks and heads are in `config`, also under their published names. In the diagram, the lower row
# shows one of the $N$ blocks, with its two residual connections.

# %%
SHAPE = "(batch,\ntime,\nwidth)"
BOXES = [
    (0.0, 1.6, "ids"),
    (2.1, 1.6, "token +\nposition\nembeddings"),
    (4.1, 1.6, "N blocks"),
    (5.9, 1.6, "final\nnorm"),
    (8.05, 1.6, "times the\ntoken table,\ntransposed"),
    (10.6, 1.6, "logits"),
    (0.0, 0.0, "one\nblock: x"),
    (1.9, 0.0, "norm"),
    (3.6, 0.0, "attention"),
    (5.2, 0.0, "+"),
    (6.8, 0.0, "norm"),
    (8.5, 0.0, "MLP"),
    (10.0, 0.0, "+"),
]
MODEL = [
    (0, 1, "(batch,\ntime)"),
    (1, 2, SHAPE),
    (2, 3, SHAPE),
    (3, 4, SHAPE),
    (4, 5, "(batch,\ntime,\nvocabulary)"),
]
BLOCK = [(6, 7, SHAPE), (7, 8, ""), (8, 9, ""), (9, 10, SHAPE), (10, 11, ""), (11, 12, "")]
RESIDUAL = {(6, 9): 0.25, (9, 12): 0.25}  # bent below the parts that they pass
draw_flow(
    BOXES,
    MODEL + BLOCK + [(*ends, "") for ends in RESIDUAL],
    "From the embeddings to the last norm, the shape never changes",
    height=3.4,
    bends=RESIDUAL,
)
plt.show()


# %%
def gpt2(ids, weights, config):
    """Logits from ids: (batch, time) -> (batch, time, vocabulary)."""
    x = weights["wte.weight"][ids] + weights["wpe.weight"][: ids.shape[1]]
    for layer in range(config["n_layer"]):
        x = block(x, weights, f"h.{layer}", config["n_head"])
    x = layer_norm(x, *pair(weights, "ln_f"))
    return x @ weights["wte.weight"].T


# %% [markdown]
# Which arrays does it need, and of what shape? This function answers that for any size of GPT-2, so
# it is a complete description of the parameters.


# %%
def shapes(config):
    """The shape of every array of a GPT-2, by its published name."""
    width = config["n_embd"]
    shape_of = {
        "wte.weight": (config["vocab_size"], width),
        "wpe.weight": (config["n_positions"], width),
        "ln_f.weight": (width,),
        "ln_f.bias": (width,),
    }
    for layer in range(config["n_layer"]):
        for norm in ["ln_1", "ln_2"]:
            shape_of |= {f"h.{layer}.{norm}.weight": (width,), f"h.{layer}.{norm}.bias": (width,)}
        for name, (rows, columns) in {
            "attn.c_attn": (width, 3 * width),
            "attn.c_proj": (width, width),
            "mlp.c_fc": (width, 4 * width),
            "mlp.c_proj": (4 * width, width),
        }.items():
            shape_of[f"h.{layer}.{name}.weight"] = (rows, columns)
            shape_of[f"h.{layer}.{name}.bias"] = (columns,)
    return shape_of


def random_weights(config, rng):
    """The parameters of an untrained GPT-2: every array random, the biases too."""
    return {
        name: (rng.normal(size=shape) / 4).astype("float32")
        for name, shape in shapes(config).items()
    }


# %% tags=["nbval-check-output"]
tiny = {"n_layer": 2, "n_head": 2, "n_embd": 8, "n_positions": 16, "vocab_size": 10}
tiny_weights = random_weights(tiny, rng)
for name, array in list(tiny_weights.items())[:8]:
    print(f"{name:16} {array.shape}")
ids = np.array([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 8]])  # (batch, time)
print("ids", ids.shape, "→ logits", gpt2(ids, tiny_weights, tiny).shape)

# %% [markdown]
# ## A tale goes through
#
# The model reads tokens. The course's tokenizer was trained on the tales, as in lesson 3. Its last
# token is a **special token** that stands for no piece of text: `<|endoftext|>` follows every tale,
# and a model generates it to say that the text is finished. (It never has id 0, which keras-nlp
# uses for **padding**, the extra tokens that make short rows as long as the others.)

# %%
tokenizer = load_tokenizer("en")
VOCABULARY_SIZE, CONTEXT = tokenizer.vocabulary_size(), 256
END = tokenizer.token_to_id("<|endoftext|>")
assert END == VOCABULARY_SIZE - 1


def encode(text):
    """The ids of a tale, followed by END."""
    return np.append(np.asarray(tokenizer(text)), END)


# %%
tales = corpus("en", "train", 40)
rows = [encode(tale.text) for tale in tales]
print(f"{VOCABULARY_SIZE} tokens; the longest of these tales has {max(map(len, rows))} of them")
print([tokenizer.detokenize([int(i)]) for i in rows[0][:14]])

# %% [markdown]
# The small GPT-2 of this course has two blocks of width 128 with two heads, and a
# **context window** of 256: it can read at most that many tokens, because it has no embeddings for
# later positions. Send the first tale through the model by hand and read the shapes. The width
# changes only at the output.

# %% tags=["nbval-check-output"]
small = {
    "n_layer": 2,
    "n_head": 2,
    "n_embd": 128,
    "n_positions": CONTEXT,
    "vocab_size": VOCABULARY_SIZE,
}
weights = random_weights(small, rng)
ids = rows[0][None]  # (1, time): a batch of one tale
print("ids                    ", ids.shape)
x = weights["wte.weight"][ids] + weights["wpe.weight"][: ids.shape[1]]
print("tokens plus positions  ", x.shape)
for layer in range(small["n_layer"]):
    x = block(x, weights, f"h.{layer}", small["n_head"])
    print(f"after block {layer}          ", x.shape)
x = layer_norm(x, *pair(weights, "ln_f"))
print("after the last norm    ", x.shape)
logits = x @ weights["wte.weight"].T
print("logits                 ", logits.shape)
assert np.array_equal(logits, gpt2(ids, weights, small))

# %% [markdown]
# ## The same in keras-nlp
#
# keras-nlp has the model in two parts. `GPT2Backbone` is everything up to the last normalization.
# `GPT2CausalLM` adds the output, so it gives logits. `build_gpt2` of
# [gpt2.py](../utils/models/gpt2.py) returns the latter, in the small size of this course.
#
# Its input is a dictionary. `padding_mask` is 1 where there is text and 0 where there is padding.
# Here it is all ones, because each batch has a single row or rows of equal length. (Padding *after*
# a text needs no mask at all: the causal mask hides it from all earlier positions.)
#
# The layers of keras-nlp also offer **dropout**: in each training step a random share of the
# numbers inside the network is set to zero, which works against **overfitting**. It is switched off
# when a model is used. The small GPT-2 of this course uses none: `build_gpt2` sets the share to 0.


# %%
def feed(ids):
    """The input of keras-nlp's GPT-2 for ids (batch, time)."""
    return {"token_ids": ids, "padding_mask": np.ones_like(ids)}


model = build_gpt2(VOCABULARY_SIZE)
backbone = model.backbone
for weight in backbone.weights[:18]:
    print(f"{weight.path:52} {tuple(weight.shape)}")

# %% [markdown]
# The list begins with the two embedding tables and the sixteen arrays of the first block. Not
# printed are the other block and, last, the final normalization. Keras lists each normalization
# after the part that it precedes; the model still normalizes first. One difference remains: Keras
# has separate weight matrices for query, key and value, and their heads and head_dim are two axes.
# We put the three matrices side by side.


# %%
def as_published(backbone):
    """The parameters of a GPT2Backbone under their published names."""
    width, arrays = backbone.hidden_dim, backbone.get_weights()
    weights = {"wte.weight": arrays[0], "wpe.weight": arrays[1]}
    weights |= {"ln_f.weight": arrays[-2], "ln_f.bias": arrays[-1]}
    for layer in range(backbone.num_layers):
        sixteen = arrays[2 + 16 * layer : 18 + 16 * layer]
        kernels = [kernel.reshape(width, width) for kernel in sixteen[0:6:2]]  # query, key, value
        biases = [bias.reshape(width) for bias in sixteen[1:6:2]]
        for name, weight, bias in [
            ("attn.c_attn", np.concatenate(kernels, axis=1), np.concatenate(biases)),
            ("attn.c_proj", sixteen[6].reshape(width, width), sixteen[7]),
            ("ln_1", *sixteen[8:10]),
            ("mlp.c_fc", *sixteen[10:12]),
            ("mlp.c_proj", *sixteen[12:14]),
            ("ln_2", *sixteen[14:16]),
        ]:
            weights[f"h.{layer}.{name}.weight"], weights[f"h.{layer}.{name}.bias"] = weight, bias
    return weights


# %% tags=["nbval-check-output"]
published = as_published(backbone)
same_names = {name: array.shape for name, array in published.items()} == shapes(small)
print(f"{len(published)} arrays, the same names and shapes as ours: {same_names}")
assert same_names

# %% [markdown]
# Now the numbers: set all arrays to random numbers (new biases are zero, which would hide
# mistakes), and send the tale through both models.


# %%
def largest_difference(ours, theirs):
    """Largest difference of two arrays of logits, relative to the largest logit."""
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


fresh = model.get_weights()
model.set_weights([rng.normal(size=array.shape) / 4 for array in fresh])
from_keras = model.predict_on_batch(feed(ids))  # (1, time, vocabulary)
by_hand = gpt2(ids, as_published(backbone), small)
difference = largest_difference(by_hand, from_keras)
print(f"logits {from_keras.shape}, largest difference {difference:.0e}")
assert difference < 1e-5
model.set_weights(fresh)

# %% [markdown]
# They are the same model. From here on we use whichever is more convenient.
#
# ## Four sizes
#
# GPT-2 was published in four sizes. They have the same vocabulary and context and differ in three
# numbers: blocks, heads, width. (Radford and others, *Language Models are Unsupervised Multitask
# Learners*, 2019, table 2. The totals in that table were wrong, as its authors said later; the
# names below are the corrected ones.)

# %%
SIZES = {  # blocks, heads, width
    "124M": (12, 12, 768),
    "355M": (24, 16, 1024),
    "774M": (36, 20, 1280),
    "1.5B": (48, 25, 1600),
}
PRESETS = ["gpt2_base_en", "gpt2_medium_en", "gpt2_large_en", "gpt2_extra_large_en"]


def published_config(layers, heads, width):
    return {
        "n_layer": layers,
        "n_head": heads,
        "n_embd": width,
        "n_positions": 1024,
        "vocab_size": 50257,
    }


# %% [markdown]
# The sum over all shapes is the number of parameters. With $V$ tokens, $T$ positions, $L$ blocks
# and width $d$ it is
#
# $$(V + T)\,d + L\,(12\,d^2 + 13\,d) + 2\,d$$
#
# The terms are the two embedding tables, the blocks (counted in lesson 6) and the last
# normalization. The number of heads does not occur: heads split the same weight matrices into more
# or fewer parts.


# %%
def count_parameters(config):
    width, layers = config["n_embd"], config["n_layer"]
    tables = (config["vocab_size"] + config["n_positions"]) * width
    return tables + layers * (12 * width**2 + 13 * width) + 2 * width


# %% [markdown]
# What does keras-nlp count? The largest model needs more memory than many laptops have, so it must
# not be built, only described. Inside a `StatelessScope` Keras records the shape of each array and
# does not allocate it.


# %%
def count_in_keras(config):
    """Parameters of keras-nlp's GPT-2 of this size, without memory for any of them."""
    with keras.StatelessScope(initialize_variables=False):
        backbone = keras_nlp.models.GPT2Backbone(
            vocabulary_size=config["vocab_size"],
            num_layers=config["n_layer"],
            num_heads=config["n_head"],
            hidden_dim=config["n_embd"],
            intermediate_dim=4 * config["n_embd"],
            max_sequence_length=config["n_positions"],
        )
    count = backbone.count_params()
    keras.utils.clear_session()  # else Keras would create the arrays later
    return count


# %% [markdown]
# Each size is counted in three ways. keras-nlp also stores the size of each published model, and
# the `assert` compares that number with all three. The last two columns say how much memory the
# parameters take, at four bytes a number, and how much larger the model would be if the output had
# a table of its own.

# %% tags=["nbval-check-output"]
print("size     formula         shapes          keras-nlp       gigabytes  untied")
for (name, size), preset in zip(SIZES.items(), PRESETS, strict=True):
    config = published_config(*size)
    counts = [
        count_parameters(config),
        sum(int(np.prod(shape)) for shape in shapes(config).values()),
        count_in_keras(config),
    ]
    stated = keras_nlp.models.GPT2Backbone.presets[preset]["metadata"]["params"]
    assert set(counts) == {stated}
    gigabytes, untied = 4 * stated / 1e9, config["vocab_size"] * config["n_embd"] / stated
    print(name, "  ", "".join(f"{count:<16,}" for count in counts), end="")
    print(f"{gigabytes:9.1f}  {untied:+6.0%}")
ours = backbone.count_params()
assert ours == count_parameters(small)
print(f"ours   {ours:<48,}{4 * ours / 1e9:9.3f}  {VOCABULARY_SIZE * 128 / ours:+6.0%}")

# %% [markdown]
# All three agree to the last parameter. Weight tying saves the small models a good part of their
# size, ours too.
#
# ### Where the parameters sit


# %%
def share_of_parts(config):
    """The share of the parameters that each part of the model holds."""
    places = {
        "token table": "wte",
        "positions": "wpe",
        "attention": ".attn",
        "feed-forward": ".mlp",
        "norms": "ln_",
    }
    sizes = {name: np.prod(shape) for name, shape in shapes(config).items()}
    total = sum(sizes.values())
    return {
        part: sum(size for name, size in sizes.items() if place in name) / total
        for part, place in places.items()
    }


# %%
sizes = {"ours": small} | {name: published_config(*size) for name, size in SIZES.items()}
shares = {name: share_of_parts(config) for name, config in sizes.items()}
figure, axes = plt.subplots(figsize=(7.6, 3.4))
left = np.zeros(len(sizes))
hatches = ["", "xx", "///", "...", ""]
for part, hatch in zip(shares["ours"], hatches, strict=True):
    widths = np.array([shares[name][part] for name in sizes])
    label = part if widths.max() > 0.01 else f"{part} (under 1%)"
    bars = axes.barh(list(sizes), widths, left=left, hatch=hatch, edgecolor="white", label=label)
    labels = [f"{width:.0%}" if width > 0.05 else "" for width in widths]
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    for text in axes.bar_label(bars, labels, label_type="center", fontsize=9):
        text.set_bbox(box if text.get_text() else None)
    left += widths
axes.invert_yaxis()
axes.grid(False)
axes.xaxis.set_major_formatter("{x:.0%}")
axes.set(xlim=(0, 1), xlabel="share of the parameters", ylabel="size of GPT-2")
axes.set_title("The larger a published GPT-2, the less of it is vocabulary")
figure.legend(loc="outside lower center", ncols=5)
plt.show()

# %% [markdown]
# Read the published sizes from top to bottom: the share of the token table shrinks, that of the
# blocks grows, and within the blocks attention and feed-forward stay at one to two. In the
# smallest, nearly a third of the parameters is the token table. Our model is smaller still. That is
# why it has a small vocabulary of its own; with GPT-2's, hardly anything else would be left:

# %%
large_vocabulary = share_of_parts(small | {"vocab_size": 50257})["token table"]
print(f"token table: {shares['ours']['token table']:.0%} with our vocabulary", end="")
print(f", {large_vocabulary:.0%} with GPT-2's")

# %% [markdown]
# ## First test: the first loss
#
# Before training, a model should know nothing: every token is equally likely, and then the loss is
# $\ln V$ for any text, as in lesson 2. If the first loss is far from that, something is wrong with
# the model or the data. The test costs one forward pass. Here are the first 128 tokens of sixteen
# tales.


# %%
def mean_loss(logits, targets):
    """Mean cross-entropy: logits (batch, time, vocabulary), targets (batch, time)."""
    losses = keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)
    return float(np.mean(losses))


batch = np.array([row[:129] for row in rows[:16]])
inputs, targets = batch[:, :-1], batch[:, 1:]  # the target of each token is the next one
fresh_logits = model.predict_on_batch(feed(inputs))
first_loss = mean_loss(fresh_logits, targets)
print(f"first loss {first_loss:.3f}, ln({VOCABULARY_SIZE}) = {np.log(VOCABULARY_SIZE):.3f}")
assert abs(first_loss - np.log(VOCABULARY_SIZE)) < 0.05

# %% [markdown]
# Why is it so close, although the tables and weight matrices are random? Because the numbers in the
# token table are *small*. The last normalization gives the numbers of every $x$ a mean square of 1,
# so the length of $x$ is about $\sqrt d$. A logit is the dot product of $x$ with a row of the
# table. If the numbers in the table have the standard deviation $s$, that of the logits is $s$
# times this length: $\sigma = s\sqrt d$.

# %%
table = backbone.token_embedding.embeddings
table_deviation = np.std(table)
print(f"table: standard deviation {table_deviation:.4f}")
print(f"logits: {table_deviation * 128**0.5:.3f} expected, {fresh_logits.std():.3f} measured")

# %% [markdown]
# Logits that differ so little give nearly equal probabilities. What if they differed more? The loss
# is the logarithm of the sum of all $e^z$, minus the logit of the right token. For logits from a
# **normal distribution** with mean 0 and standard deviation $\sigma$, the mean of $e^z$ is known
# from statistics to be $e^{\sigma^2/2}$. Then the sum is about $V$ times that, and the right
# token's logit is 0 on average. So the loss should rise to about $\ln V + \sigma^2/2$. Multiply the
# table by larger and larger factors and measure.

# %%
factors = [0.1, 1, 2, 5, 10, 20, 50, 100]
start = table.numpy()
measured, deviations, expects_itself, peaks = [], [], [], []
print("factor        σ    loss   ln V + σ²/2   expects itself")
for factor in factors:
    table.assign(factor * start)
    logits = model.predict_on_batch(feed(inputs))
    measured.append(mean_loss(logits, targets))
    deviations.append(logits.std(axis=-1).mean())
    expects_itself.append(np.mean(logits.argmax(axis=-1) == inputs))
    peaks.append(np.sort(softmax(logits[0, -1]))[::-1])  # one prediction, likeliest first
    print(f"{factor:6} {deviations[-1]:8.2f} {measured[-1]:7.2f}", end="")
    print(f"{np.log(VOCABULARY_SIZE) + deviations[-1] ** 2 / 2:14.2f}", end="")
    print(f" {expects_itself[-1]:15.0%}")
table.assign(start)
assert measured[-1] > 5 * measured[0]

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.3))
by_formula = np.log(VOCABULARY_SIZE) + np.array(deviations) ** 2 / 2
left.loglog(factors, measured, marker="o", label="measured")
left.loglog(factors, by_formula, marker="s", label="ln V + σ²/2")
left.axhline(np.log(VOCABULARY_SIZE), color=GREEN, linestyle=":", label="ln V")
left.set(xlabel="table multiplied by", ylabel="first loss, nats per token")
left.set_title("First loss, with the token table scaled")
left.legend()
places = np.arange(1, VOCABULARY_SIZE + 1)
for factor in [1, 5, 20]:
    right.loglog(places, peaks[factors.index(factor)], label=f"table times {factor}")
right.set(xlabel="rank of the token, likeliest first", ylabel="probability", ylim=(1e-6, 2))
right.set_title("One prediction of the untrained model")
right.legend()
plt.show()

# %% [markdown]
# Up to a factor of 5 the formula fits. Beyond that the loss is far above it, because one logit does
# not follow the normal distribution. The last column says which: that of the token itself. This is
# the effect of the three words at the beginning of the lesson. Input and output use one table, and
# when its rows are long, they outweigh what the blocks add. At factor 5 the token's own logit is
# already the largest, but too small to matter. Beyond that it soon takes nearly all the
# probability, and then the loss is about as large as this logit. (At factor 100, $x$ and the
# token's row are nearly parallel and about $\sqrt{128}$ long, so it is about 128.) The right
# picture shows a single prediction for each of three factors: with a large one, an untrained model
# is sure of its answer. Training would first have to undo that.
#
# A factor of 100 is not far-fetched: it gives the table a standard deviation of about 1, which is
# what standard normal random numbers have. The **initialisation** of the published GPT-2 uses 0.02,
# and keras-nlp's uses half of that for the table, as you have seen.

# %% [markdown]
# ## Second test: can it learn at all?
#
# A long training is expensive, so first run a short one that must succeed: train on one tale, again
# and again, until the model has **memorised** it. A model that cannot even do that has a fault.
# (Everywhere else overfitting is to be avoided; here it is the aim.)
#
# At the same time, train a second model with a common mistake: the targets are not shifted, so
# the target of each token is that token itself.

# %%
tale_ids = rows[0][None]  # (1, time)
inputs, targets = tale_ids[:, :-1], tale_ids[:, 1:]


def memorise(targets):
    """Train a new small GPT-2 on the one tale; return it and the loss at each step."""
    keras.utils.set_random_seed(args.seed)
    model = build_gpt2(VOCABULARY_SIZE)
    model.compile(
        optimizer=keras.optimizers.Adam(args.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],  # the loss is enough
    )
    history = model.fit(
        feed(inputs),
        targets,
        epochs=args.steps,  # the tale is one batch, so an epoch is one step
        shuffle=False,
        verbose=0,
        callbacks=[Progress(every=20)],
    )
    return model, history.history["loss"]


# %%
right_model, right_losses = memorise(targets)

# %%
wrong_model, wrong_losses = memorise(inputs)

# %% [markdown]
# Both losses fall to almost nothing. How low could a model get that knows how tales are made but
# has not seen this one? That is the floor of lesson 2, here per token and as a mean over our tales.
# Such a model's loss on a single tale may lie a little above or below it, but not far below.

# %%
lowest, _ = floor(tales, [len(row) for row in rows])
print(f"floor {lowest:.3f}; last losses: targets shifted {right_losses[-1]:.3f}", end="")
print(f", not shifted {wrong_losses[-1]:.3f}")

# %%
plt.semilogy(right_losses, label="targets: the next token")
plt.semilogy(wrong_losses, label="targets not shifted")
plt.axhline(lowest, color=GREEN, linestyle=":", label="floor of the tales")
plt.axhline(np.log(VOCABULARY_SIZE), color="grey", linewidth=1, label="ln V")
plt.xlabel("step")
plt.ylabel("loss, nats per token")
plt.title("Loss on the one tale, with right and with wrong targets")
plt.legend()
plt.show()

# %% [markdown]
# With shifted targets, a loss far below the floor means that the model has memorised the text. But
# the two curves look alike. (Only the first number gives a hint: an untrained model gives the token
# that it reads a slightly higher probability, so the loss of the wrong model begins just below
# $\ln V$.) So do not stop at the loss: let the models generate text. The simplest way is to take
# the likeliest token each time, which is called **greedy decoding**. The ids after the last word
# are padding, so the input keeps its shape and Keras need not compile the model again for each
# length. The causal mask hides the padding from the positions that are read.


# %%
def continue_greedily(model, beginning, length):
    """Append the likeliest token until there are `length` of them: (length,) ids."""
    ids = np.zeros((1, CONTEXT), "int32")
    ids[0, : len(beginning)] = beginning
    for place in range(len(beginning), length):
        logits = model.predict_on_batch(feed(ids))  # (1, CONTEXT, vocabulary)
        ids[0, place] = logits[0, place - 1].argmax()
    return ids[0, :length]


# %% tags=["nbval-check-output"]
beginning = tale_ids[0, :5]
recited = continue_greedily(right_model, beginning, tale_ids.shape[1])
print(tokenizer.detokenize(recited[:-1]), "\n")
print(f"tokens as in the tale: {np.mean(recited == tale_ids[0]):.0%}")
print(f"and it ends where the tale ends: {recited[-1] == END}")

# %%
print(tokenizer.detokenize(continue_greedily(wrong_model, beginning, 20)))

# %% [markdown]
# The right model recites the tale from its first five tokens. The other one has learnt to repeat
# its input. Its loss was as low. A falling loss says that a model learns something; a sample says
# what.
#
# What about another tale? A memorised tale does not help with it:

# %%
other = rows[1][None]
other_loss = mean_loss(right_model.predict_on_batch(feed(other[:, :-1])), other[:, 1:])
print(f"loss on this tale {right_losses[-1]:.2f}, on another one {other_loss:.2f}", end="")
print(f", of guessing {np.log(VOCABULARY_SIZE):.2f} nats per token")

# %% [markdown]
# The result is about as bad as guessing, or worse: the model is often sure, and wrong. Lesson 8
# trains on thousands of tales instead.
#
# ### Look inside
#
# Now back to the picture of the three words. After each block, take the **residual stream** $x$ and
# treat it as if the model ended there: apply the last normalization and compute the logits. Which
# token does $x$ predict, the one that went in or the one that comes next?

# %%
weights = as_published(right_model.backbone)
x = weights["wte.weight"][inputs] + weights["wpe.weight"][: inputs.shape[1]]
points_to = []  # (probability of the token itself, of the next one) at each depth
for depth in range(small["n_layer"] + 1):
    if depth > 0:
        x = block(x, weights, f"h.{depth - 1}", small["n_head"])
    says = softmax(layer_norm(x, *pair(weights, "ln_f")) @ weights["wte.weight"].T)
    itself = np.take_along_axis(says, inputs[..., None], axis=-1).mean()
    following = np.take_along_axis(says, targets[..., None], axis=-1).mean()
    points_to.append((itself, following))
    print(f"depth {depth}: itself {itself:.3f}, the next token {following:.3f}")
if right_losses[-1] < lowest:  # else it has not learnt the tale
    assert points_to[0][0] > 0.5 > points_to[-1][0] and points_to[-1][1] > 0.5 > points_to[0][1]

# %%
itself, following = np.transpose(points_to)
plt.plot(itself, marker="o", label="the token itself")
plt.plot(following, marker="s", label="the next token")
plt.xticks(range(small["n_layer"] + 1))
plt.xlabel("blocks passed")
plt.ylabel("mean probability of the token")
plt.ylim(-0.02, 1.02)
plt.title("What the residual stream predicts after each block")
plt.legend()
plt.show()

# %% [markdown]
# Before the first block, $x$ predicts the token itself; after the last block, it predicts the next
# one. (This model has memorised one tale, and we look at that tale. A model trained on many tales
# comes only as near as the next token can be predicted.) Only the output of the last block was
# trained for this. This way of looking into a model is called the **logit lens** (nostalgebraist,
# *interpreting GPT: the logit lens*, 2020).
#
# ## A model as a folder
#
# Models are exchanged as folders in the format of Hugging Face, a public library of models: a few
# small text files and one large file of numbers. To show that the format does not depend on Keras,
# make a model without Keras first: random parameters, in a size of our own. The three settings
# whose names end in `pdrop` are dropout rates.

# %%
config = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "n_layer": 3,
    "n_head": 2,
    "n_embd": 48,
    "n_positions": CONTEXT,
    "vocab_size": VOCABULARY_SIZE,
    "activation_function": "gelu_new",  # their name for the tanh form
    "layer_norm_epsilon": 1e-5,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "bos_token_id": END,
    "eos_token_id": END,
}
weights = random_weights(config, rng)

# %% [markdown]
# Then write it. The shapes are already those of the format, because GPT-2's weight matrices are
# stored as (inputs, outputs), as `x @ kernel` needs them and as Keras has them. Most other models
# come from PyTorch, whose `Linear` layers store (outputs, inputs), so their matrices must be
# transposed when they are loaded. The output has no array in the file, since it is the token table.


# %%
def save_folder(weights, config, path):
    """Write a GPT-2 with the course's English tokenizer in Hugging Face's format."""
    path.mkdir(exist_ok=True)
    tokenizer_config = {"tokenizer_class": "GPT2Tokenizer", "model_max_length": CONTEXT}
    tokenizer_config |= {f"{role}_token": "<|endoftext|>" for role in ["bos", "eos", "unk"]}
    for name, content in [("config", config), ("tokenizer_config", tokenizer_config)]:
        text = json.dumps(content, indent=2)
        (path / f"{name}.json").write_text(text, encoding="utf-8")
    for name in ["vocab.json", "merges.txt"]:
        shutil.copy(folder("en") / name, path / name)
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})


# %%
temporary = TemporaryDirectory()  # deleted when Python ends
random_gpt2 = Path(temporary.name) / "random-gpt2"
save_folder(weights, config, random_gpt2)
for path in sorted(random_gpt2.iterdir()):
    print(f"{path.name:24} {path.stat().st_size:9,} bytes")

# %% [markdown]
# `safetensors` is a simple format: eight bytes that give the length of a table of contents, that
# table as JSON, then the numbers. It holds no code, so a model from an unknown source can be opened
# without running anything of theirs.

# %% tags=["nbval-check-output"]
with open(random_gpt2 / "model.safetensors", "rb") as file:
    contents = json.loads(file.read(int.from_bytes(file.read(8), "little")))
for name in ["wte.weight", "h.0.attn.c_attn.weight", "h.2.mlp.c_proj.bias"]:
    print(f"{name:24} {contents[name]['dtype']} {contents[name]['shape']}")

# %% [markdown]
# Now read it with keras-nlp. `from_preset` takes the path of such a folder, builds the model that
# `config.json` describes, splits `c_attn` into query, key and value, and brings the arrays into
# Keras's shapes. Are the logits those of the model that we wrote?

# %%
loaded = keras_nlp.models.GPT2CausalLM.from_preset(str(random_gpt2), preprocessor=None)
from_keras = loaded.predict_on_batch(feed(tale_ids))
difference = largest_difference(gpt2(tale_ids, weights, config), from_keras)
print(f"{loaded.count_params():,} parameters, largest difference {difference:.0e}")
assert difference < 1e-5

loaded_tokenizer = GPT2Tokenizer.from_preset(str(random_gpt2))
same_tokens = [np.array_equal(loaded_tokenizer(tale.text), tokenizer(tale.text)) for tale in tales]
print(f"the same tokens: {all(same_tokens)}")
assert all(same_tokens)

# %% [markdown]
# It works in the other direction, too: `as_published` gives the arrays of the model that memorised
# a tale their published names. Hugging Face's own library, transformers, reads such a folder and
# computes the same logits; [the benchmarks](../benchmarks/README.md) show it.

# %%
one_tale = Path(temporary.name) / "one-tale"
save_folder(as_published(right_model.backbone), config | small, one_tale)
loaded = keras_nlp.models.GPT2CausalLM.from_preset(str(one_tale), preprocessor=None)
print(tokenizer.detokenize(continue_greedily(loaded, beginning, 40)))

# %% [markdown]
# ## The real one
#
# So your model differs from the GPT-2 that OpenAI trained only in its size, its tokenizer and its
# numbers. If you have a network connection and half a gigabyte of disk space, download those of the
# smallest size: in the cell with `settings(...)` near the top set `preset="gpt2"` and run
# everything again; or, in a terminal, `python codes/07_gpt2.py --preset gpt2`. The course fetches
# the official files from either of two addresses and checks them ([gpt2.md](../datasets/gpt2.md));
# `make chat MODEL=gpt2` serves the same ones. They are stored on your machine, so the second time
# is quick.
#
# keras-nlp's own downloads, from another address, are `gpt2_base_en` (the same size) and the larger
# `gpt2_medium_en`, `gpt2_large_en` and `gpt2_extra_large_en`. A third way is the path of a folder
# with the four files named below.


# %%
FILES = "config.json, vocab.json, merges.txt and model.safetensors"


def load_published(preset):
    """GPT-2 with public weights: gpt2, one of PRESETS, or a folder in Hugging Face's format.

    Raises:
        DataUnavailable: if they cannot be fetched or read.
    """
    source = str(download("gpt2")) if preset == "gpt2" else preset
    try:
        return keras_nlp.models.GPT2CausalLM.from_preset(source)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        if preset in PRESETS:
            advice = (
                "could not be fetched: try again with a network, or set preset to gpt2, the"
                f" smallest size from other addresses, or to a folder with {FILES}."
            )
        else:
            advice = f"holds no GPT-2 that can be read: it needs {FILES}, complete."
        raise DataUnavailable(f"{preset} {advice}") from error


# %%
if args.preset == "none":
    print("No preset is set, so nothing is fetched.")
else:
    real = load_published(args.preset)
    real.compile(sampler="greedy")
    print(f"{args.preset}: {real.count_params():,} parameters")
    print(real.generate("The cat sat on the", max_length=30))
    ids = np.asarray(real.preprocessor.tokenizer(tales[0].text))[None]
    loss = mean_loss(real(feed(ids[:, :-1])), ids[:, 1:])
    print(f"loss on our tale {loss:.2f}, guessing {np.log(real.backbone.vocabulary_size):.2f}")

# %% [markdown]
# ## If your result looks different
#
# * **Your logits and keras-nlp's differ in the third digit.** You have the exact GELU instead of
#   the one with `tanh`, or another `epsilon`. If they differ completely, look for a reshape that
#   exchanges heads and head_dim, or for query, key and value in the wrong order.
# * **The first loss is far above $\ln V$.** The logits are too large: look at the initialisation of
#   the token table. If it is *below*, the model has been trained before, the targets are not
#   shifted, or the mean counts padding, where each target equals its input.
# * **The loss on one tale gets stuck.** If it stays close to the loss of a model that knows only
#   how frequent each token is, which the next cell prints, the learning rate is too large (0.003
#   may show it). Lower it, and give it more `steps`.
# * **The loss falls and the text repeats one token.** The targets are not shifted.

# %%
frequency = np.unique(tale_ids, return_counts=True)[1] / tale_ids.size
print(f"counting the tokens of the tale gives {-(frequency * np.log(frequency)).sum():.2f}")

# %% [markdown]
# ## Recap
#
# * GPT-2 is an embedding table, a stack of pre-norm blocks, a normalization, and the same table
#   again for the logits. In NumPy it fits on a page, and it gives the same logits as keras-nlp's.
# * The blocks turn the vector of each token into the vector of the next. The logit lens shows it,
#   for one memorised tale.
# * The number of parameters follows from vocabulary, context, width and number of blocks. Blocks
#   grow with the square of the width, the tables only with the width.
# * Before a long training: the first loss must be about $\ln V$, and the model must be able to
#   memorise one text. Then read what it writes.
# * A model is its config, its tokenizer and named arrays. Any program that knows this format can
#   load it.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words; the lesson's text has all that you need.
#
# 1. Without any blocks, which word would a model with tied embeddings predict, and why?
# 2. Why can the small GPT-2 not read more than 256 tokens?
# 3. What should the loss of an untrained model be, and what does another value tell you?
# 4. Why let a model memorise a single text, and why is a low loss on it not enough?
# 5. What must a folder contain so that another program can load the model?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** The logits: `x` has the shape (batch, time, width), `token_table` (vocabulary, width).


# %%
def tied_logits(x, token_table):
    """Return logits of shape (batch, time, vocabulary)."""
    ...


check.tied_logits(tied_logits)

# %% [markdown]
# **2.** Split rows of ids (batch, time) into the inputs and the targets of a language model.


# %%
def inputs_and_targets(ids):
    """Return two arrays of shape (batch, time - 1)."""
    ...


check.inputs_and_targets(inputs_and_targets)

# %% [markdown]
# **3.** How many parameters does GPT-2 have if the output is *not* tied, but has a table of its
# own?


# %%
def untied_parameters(vocabulary_size, context, width, layers):
    """Return a whole number."""
    ...


check.untied_parameters(untied_parameters)

# %% [markdown]
# **4.** Do what `from_preset` does with `c_attn`: split a published weight matrix of shape (width,
# 3 · width) into the matrices of query, key and value as Keras has them, each (width, heads,
# head_dim).


# %%
def split_kernel(kernel, num_heads):
    """Return an array of shape (3, width, heads, head_dim)."""
    ...


check.split_kernel(split_kernel)

# %% [markdown]
# **5.** A colleague trains GPT-2 with its vocabulary of 50,257 tokens. What should the first loss
# be?

# %%
first_loss_of_gpt2 = ...

check.first_loss_of_gpt2(first_loss_of_gpt2)

# %% [markdown]
# ## Next
#
# The model is built, and it can learn. In [lesson 8](08_pretraining.ipynb) you will train it on all
# the tales, until its loss is close to the floor.
