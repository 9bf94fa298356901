# %% [markdown]
# # 18. Compression: a smaller model, and its price
#
# At the end of this lesson you will have rounded your GPT-2 to eight, four and three bits, cut
# parts out of it, and trained a smaller one with its help. For each you will know the price in
# bytes, in loss and in valid stories. You will also have seen which of them are faster.
#
# You need: bits and blocks from [lesson 16](16_real_model.ipynb), the generator from [lesson
# 9](09_generation.ipynb), and the small GPT-2 that [lesson 8](08_pretraining.ipynb) trains. If it
# is not there yet, this lesson trains it first, which takes some minutes.

# %%
from utils.course.settings import settings

args = settings(texts=100, steps=60, batch_size=8, seed=18)
print(args)

# %% [markdown]
# `texts` is how many stories each model tells to be judged, and how many unseen tales its loss is
# measured on. `steps` and `batch_size` belong to four short trainings near the end, and `seed` to
# the stories and to the random examples.

# %%
import json

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from utils.course.plots import BLUE, GREEN, ORANGE, PURPLE, STYLE
from utils.data.batches import Windows
from utils.data.corpora import load_corpus
from utils.data.downloads import shipped
from utils.exercises import lesson_18 as check
from utils.generation.compressed_gpt2 import (
    BLOCK,
    as_arrays,
    inputs_of_matrices,
    quantize_gpt2,  # all matrices of a GPT-2, to the nearest numbers
    quantize_gpt2_for_texts,  # those of its blocks, by GPTQ
)
from utils.generation.generator import Generator
from utils.generation.int8 import Int8Product, is_available
from utils.generation.int8_gpt2 import Int8GPT2
from utils.generation.plain_gpt2 import plain_logits, read_weights
from utils.models.activation_aware import (
    dequantize_activation_aware,
    quantize_activation_aware,  # one matrix, by AWQ
)
from utils.models.compression import (
    dequantize,
    pack,
    prune,
    quantize,  # one matrix, to the nearest numbers
    quantize_for_inputs,  # one matrix, by GPTQ
    unpack,
)
from utils.models.gpt2 import build_gpt2
from utils.models.sizes import custom_size
from utils.small_gpt2 import pretrained
from utils.tales import NotATale, corpus, floor, parse
from utils.training.presets import load_preset
from utils.training.shrinking import narrowed, train_briefly, with_zeros

plt.style.use(STYLE)
rng = np.random.default_rng(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## Whole numbers and a scale
#
# A weight in float32 takes 32 bits. **Quantization** stores a whole number of few bits in its
# place, and for many of them together one **scale**, the size of a step. Lesson 16 read a file in
# such a format, with two numbers for each block. Here is the simplest kind, **symmetric
# quantization** (or *absmax* quantization): zero stays zero, and the largest weight gets the
# largest whole number.

# %% tags=["nbval-check-output"]
weights = np.array([0.7, -0.32, 0.05, 0.49, -0.11, 0.26])
for bits in (8, 4, 3):
    largest = 2 ** (bits - 1) - 1  # 127, 7 or 3
    scale = np.abs(weights).max() / largest
    numbers = np.rint(weights / scale) + 0.0  # -0.0 becomes 0.0
    print(f"{bits} bits: numbers {numbers.astype(int)}  stand for {numbers * scale}")

# %% [markdown]
# Each number is off by half a step at most. With eight bits a step is a 127th of the largest
# weight, with four bits a seventh, with three bits a third. (Four bits can hold sixteen numbers.
# Fifteen are used, −7 to 7, so that the range is symmetric.) The largest weight decides how coarse
# all others become. That is why it matters *who shares a scale*:
#
# * **per tensor**: one scale for the whole weight matrix;
# * **per channel**: one for each output, a row of the matrix as the course stores it, or a column
#   of the `kernel` of a Keras layer;
# * **per group**: one for each 32 inputs of an output.


# %%
def rounded(kernel, bits, axis):
    """Round to whole numbers times a scale; all along `axis` share it.

    Returns whole numbers in the shape of the kernel, and scales that broadcast to it.
    """
    scales = np.abs(kernel).max(axis=axis, keepdims=True) / (2 ** (bits - 1) - 1)
    return np.rint(kernel / scales), scales


def relative_error(found, kernel):
    """How large the error is, as a share of the kernel's size."""
    return np.linalg.norm(found - kernel) / np.linalg.norm(kernel)


# %% tags=["nbval-check-output"]
toy = np.random.default_rng(0).normal(size=(4, 64))
toy[2, 10] = 20.0  # one large weight
others = np.abs(toy) < 20
for name, kernel, axis in [
    ("per tensor ", toy, None),
    ("per channel", toy, -1),
    ("groups of 32", toy.reshape(4, 2, 32), -1),
]:
    numbers, scales = rounded(kernel, 4, axis)
    error = relative_error((numbers * scales).reshape(toy.shape)[others], toy[others])
    zero = np.mean(numbers.reshape(toy.shape)[others] == 0)
    print(f"{name:12} scales: {scales.size}, median {np.median(scales):.2f}", end="")
    print(f"   of the other weights {zero:.0%} become zero, error {error:.0%}")

# %% [markdown]
# One large weight among 256 damages all others if they share its scale: half a step is larger than
# most of them, so these become zero. With a scale of its own for each row, the damage stays in one
# row, and with groups in a part of it. Scales take space, too: at 16 bits each, a group of 32 costs
# half a bit more for every weight.
#
# ### The same in Keras
#
# `quantize` turns a layer of Keras into one with whole numbers. For `"int8"` it does what we did,
# per channel. It also rounds the *inputs* when they come, each row with its own scale, so that the
# processor multiplies whole numbers by whole numbers (**dynamic quantization**).


# %%
def dense_int8(x, kernel, bias):
    """A dense layer in whole numbers: x (rows, inputs), kernel (inputs, outputs)."""
    kernel_numbers, kernel_scales = rounded(kernel, 8, axis=0)  # a scale for each output
    x_numbers, x_scales = rounded(x, 8, axis=-1)  # a scale for each row
    sums = x_numbers @ kernel_numbers  # whole numbers, exact
    return sums * x_scales * kernel_scales + bias


def new_layer():
    """A dense layer with random weights, 64 inputs and 10 outputs."""
    layer = keras.layers.Dense(10)
    layer.build((None, 64))
    numbers = np.random.default_rng(args.seed)
    layer.set_weights([numbers.normal(size=w.shape).astype("float32") for w in layer.weights])
    return layer


# %%
x = rng.normal(size=(5, 64)).astype("float32")
layer = new_layer()
kernel, bias = layer.get_weights()  # (64, 10), (10,)
exact = np.array(layer(x))
layer.quantize("int8")
difference = np.abs(dense_int8(x, kernel, bias) - np.array(layer(x))).max()
print(f"int8 by hand and in Keras: largest difference {difference:.0e}", end="")
print(f", both {relative_error(np.array(layer(x)), exact):.1%} off the exact result")
assert difference < 1e-4

# %% [markdown]
# For `"int4"`, Keras has both per-channel scales, as ours, and groups. In groups it does not force
# zero into the middle: it divides the range from the smallest to the largest weight into fifteen
# steps, and stores beside the scale a **zero point**, the whole number that stands for 0. So all
# sixteen levels are in use.


# %%
def with_zero_point(kernel, group):
    """Four bits with a zero point: kernel (inputs, outputs), `group` inputs share a scale."""
    groups = kernel.reshape(-1, group, kernel.shape[1])  # (groups, group, outputs)
    low, high = groups.min(axis=1, keepdims=True), groups.max(axis=1, keepdims=True)
    scales = (high - low) / 15
    zero_points = np.rint(-low / scales) - 8
    numbers = np.clip(np.rint(groups / scales) + zero_points, -8, 7)
    return ((numbers - zero_points) * scales).reshape(kernel.shape)


# %%
numbers, scales = rounded(kernel, 4, axis=0)
for name, block_size, ours in [
    ("per channel ", -1, numbers * scales),
    ("groups of 32", 32, with_zero_point(kernel, 32)),
]:
    layer = new_layer()
    layer.quantize(config=keras.quantizers.Int4QuantizationConfig(block_size=block_size))
    difference = np.abs(x @ ours + bias - np.array(layer(x))).max()
    print(f"int4, {name}: by hand and in Keras, largest difference {difference:.0e}")
    assert difference < 1e-4

# %% [markdown]
# A byte has eight bits, and there is no smaller type in NumPy. So numbers of four bits are stored
# in pairs. `pack` of `utils/models/compression.py` adds 7 first, so that −7 becomes 0000 and 7
# becomes 1110, and then puts numbers of any width into bytes without a gap. `quantize` beside it is
# our `rounded`, with scales of 16 bits.

# %% tags=["nbval-check-output"]
numbers = np.array([[7, -7, 0, 3], [1, -2, 5, -6]], "int8")
packed = pack(numbers, bits=4)
print("packed:", *[f"{byte:08b}" for byte in packed], " bytes:", packed.nbytes)
print("unpacked equal:", np.array_equal(unpack(packed, 4, numbers.shape), numbers))

# %% [markdown]
# ## Your GPT-2 in fewer bits
#
# Now the model of lesson 8, with its weight matrices as in lesson 9.

# %%
model = load_preset(pretrained("tales").preset)
HEADS, text = model.backbone.num_heads, load_corpus("tales")
END = text.tokenizer.end_id
weights = as_arrays(read_weights(model))
kernel = weights.blocks[0].mlp_up_kernel  # (outputs, inputs)
for name in ("qkv_kernel", "out_kernel", "mlp_up_kernel", "mlp_down_kernel"):
    print(f"{name:16} {getattr(weights.blocks[0], name).shape}")
print(f"{'token_embedding':16} {weights.token_embedding.shape}")

# %%
largest = np.abs(kernel).max(axis=1)  # of each output
typical = np.sqrt(np.mean(kernel**2))
order = np.argsort(-largest)
plt.plot(largest[order] / typical, color=BLUE, label="largest weight of an output")
plt.axhline(largest.max() / typical, color=ORANGE, linestyle="--", label="largest of the matrix")
plt.axhline(1, color="black", linestyle=":", linewidth=1.2, label="typical weight")
plt.xlabel("outputs of mlp_up_kernel, the one with the largest weight first")
plt.ylabel("multiples of the typical weight")
plt.ylim(0, None)
plt.title("A scale for all must fit the dashed line, a scale for each the curve")
plt.legend()
plt.show()

# %% [markdown]
# A scale for the whole matrix has to reach the dashed line, a scale for each output only the curve.
# The lower the curve lies, the finer are the steps of that output. (*Typical* is the root mean
# square.)
#
# ### Three prices
#
# We round a model whose training is over: **post-training quantization**. (**Quantization-aware
# training** rounds during training, so that the model can adapt.) And we round only weights:
# **weight-only quantization**. To compute, they are unpacked to float32. All matrices of the blocks
# and both embedding tables are rounded; biases and normalizations stay in float32. What does it
# cost?
#
# 1. How many bytes does the file take?
# 2. What is the loss on tales that the model has never seen, in multiples of the entropy floor of
#    lesson 8; and what share of the stories that it tells is valid, by the parser of lesson 9?
# 3. How many tokens a second does it generate? *What is faster* measures that for some models.

# %%
windows = Windows(text.validation, 256, END, documents=True)
rows, mask = (part[: args.texts] for part in windows.in_order())  # (tales, time + 1), (tales, time)
FLOOR, _ = floor(corpus("en", "validation", len(rows)), mask.sum(axis=1).astype(int).tolist())


@tf.function(jit_compile=True)
def losses_of(weights, ids, targets):
    logits = plain_logits(weights, ids, HEADS)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)


def loss_of(weights):
    """The loss on held-out tales, in multiples of the floor."""
    losses = losses_of(weights, rows[:, :-1], rows[:, 1:])  # (tales, time)
    return float(np.sum(losses * mask) / mask.sum() / FLOOR)


# %%
generate = Generator(model, END)


def is_valid(ids):
    try:
        parse(text.tokenizer.decode([i for i in ids if i != END]), "en")
    except NotATale:
        return False
    return True


def validity_of(weights, writer=None):
    """The share of valid stories among `args.texts`, sampled at temperature 1."""
    writer = writer or generate
    tf.nest.map_structure(lambda old, new: old.assign(new), writer.weights, weights)
    stories = writer([[END]] * args.texts, seed=args.seed)
    return float(np.mean([is_valid(ids) for ids in stories]))


# %% [markdown]
# We sample at temperature 1, without top-k or top-p, so the stories show all that the model has
# learnt, mistakes included. The same random numbers are used for every model.

# %%
print(f"{'':21} {'bytes':>9} {'loss/floor':>11} {'valid':>7}")
MODELS = {
    "32 bits": (weights, 4 * model.count_params()),
    "8 bits, per channel": quantize_gpt2(weights, 8),
    "4 bits, groups of 32": quantize_gpt2(weights, 4, 32),
    "4 bits, per tensor": quantize_gpt2(weights, 4, "tensor"),
    "3 bits, groups of 32": quantize_gpt2(weights, 3, 32),
}
live = {}
for name, (smaller, size) in MODELS.items():
    live[name] = loss_of(smaller), validity_of(smaller)
    print(f"{name:21} {size:9,} {live[name][0]:11.3f} {live[name][1]:7.0%}")
assert abs(live["8 bits, per channel"][0] - live["32 bits"][0]) < 0.01
assert live["32 bits"][0] < live["4 bits, groups of 32"][0] < live["3 bits, groups of 32"][0]

# %% [markdown]
# Eight bits are free here: about a quarter of the bytes, the same loss. Four bits in groups look
# nearly free, too, if you read the loss only. With so few stories, differences of ten points in the
# last column may be chance. The next table has more bit widths, and more tales and stories for each
# model, so its numbers differ a little. `python -m benchmarks.compression` made it.

# %%
results = json.loads(shipped("compression.json").read_text(encoding="utf-8"))
runs, STORIES = results["runs"], results["stories"]


def prices(name):
    """Bytes, loss in multiples of the floor, share of valid stories."""
    run = runs[name]
    return run.get("bytes", 0), run["loss"] / results["floor"], run["valid"]


SHARED = {"per tensor": "s:", "per channel": "^--", "groups of 32": "o-"}
names = {(bits, label): f"{bits} bits, {label}" for bits in (8, 4, 3, 2) for label in SHARED}
print(f"loss on {results['tales']} tales, {STORIES} stories")
print(f"{'':21} {'bytes':>9} {'loss/floor':>11} {'valid':>7}")
for name in ["float32", *names.values()]:
    size, loss, valid = prices(name)
    print(f"{name:21} {size:9,} {loss:11.3f} {valid:7.1%}")
(_, exact, most), (_, four, some), (_, three, few) = map(
    prices, ("float32", "4 bits, groups of 32", "3 bits, groups of 32")
)
assert four < 1.03 * exact and some < most - 0.08  # the loss hardly moves, stories break
assert 1.1 < three / exact < 1.3 and few < 0.05

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
for (label, style), color in zip(SHARED.items(), (PURPLE, ORANGE, BLUE), strict=True):
    bits = [8, 4, 3, 2]
    points = [prices(names[b, label]) for b in bits]
    left.plot(bits, [loss for _, loss, _ in points], style, color=color, label=label)
    right.plot(bits, [100 * valid for *_, valid in points], style, color=color)
for axes, value in ((left, prices("float32")[1]), (right, 100 * prices("float32")[2])):
    axes.axhline(value, color="black", linewidth=1, linestyle=":", label="float32")
    axes.set(xlabel="bits for each weight", xticks=[8, 4, 3, 2])
    axes.invert_xaxis()
left.set(yscale="log", ylabel="loss, multiples of the floor")
left.set_title("In groups, 3 bits raise the loss by a fifth …")
left.set_yticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
left.minorticks_off()
right.set(ylabel="valid stories, %", ylim=(-3, 75), title="… and leave hardly a valid story")
left.legend(fontsize=9)
plt.show()

# %% [markdown]
# Follow the circles, the groups of 32: at four bits the loss is up by a little, at three bits by
# about a fifth, and on the left that still looks harmless. On the right, at three bits nearly no
# story is valid any more. Why do the two differ so much?
#
# A story has to be right at *every* token. Suppose that each token breaks its story with the same
# probability $e$, independently of the others. Then a story of $n$ tokens is valid with probability
# $(1 - e)^n$, and $n$ is large. The loss is a mean over the tokens, so it hardly notices a rare
# mistake. From the shares of valid stories we can compute $e$.

# %%
LENGTH = mask.sum(axis=1).mean()  # tokens of a tale
print(f"a tale has {LENGTH:.0f} tokens on average")
for name in ("float32", "4 bits, groups of 32", "3 bits, groups of 32"):
    _, loss, valid = prices(name)
    error = 1 - max(valid, 0.5 / STORIES) ** (1 / LENGTH)
    at_least = "at least " if valid == 0 else ""
    print(f"{name:21} {valid:5.1%} valid: {at_least}{error:.2%} of the tokens break", end="")
    print(f"   loss {loss - 1:5.1%} above the floor")
assert three - 1 > 4 * (exact - 1)

# %% [markdown]
# And most of the loss is entropy that no model can avoid, which does not break stories. What lies
# *above* the floor is what the model gets wrong, and at three bits that is several times as much as
# in float32, although the whole loss rises by a fifth. So whoever compresses a model should measure
# what the model is *for*, and not only its loss or perplexity.
#
# ## Rounding that looks at the inputs
#
# So far each weight was rounded to the nearest number, which minimises the error of the *weights*.
# But only the outputs matter. For a weight matrix $W$ (outputs, inputs), its rounded form $Q$ of
# the same shape, and examples of inputs $X$ (examples, inputs), these are two different problems:
#
# $$\min_Q \lVert W - Q \rVert^2 \qquad\text{against}\qquad \min_Q \lVert X (W - Q)^T \rVert^2$$
#
# Here is the difference in the smallest example: two inputs that are always equal, and two weights
# of 0.4 that have to become whole numbers.

# %% tags=["nbval-check-output"]
x = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])  # (examples, inputs)
w = np.array([0.4, 0.4])
for name, q in [("each to the nearest", np.rint(w)), ("with compensation", np.array([0.0, 1.0]))]:
    print(f"{name:20} weights {q}  outputs {x @ q}  exact {x @ w}")

# %% [markdown]
# The second weight was rounded *up* to make up for the first one, which was rounded down. Its own
# error is larger, and the outputs are nearer. **GPTQ** does that systematically. It rounds one
# column of the matrix after the other. After each, it predicts the input of this column from the
# inputs of the columns still to come, by least squares. The coefficients say how much the weights
# in those columns have to change. (Frantar and others, *GPTQ: Accurate Post-Training Quantization
# for Generative Pre-trained Transformers*, 2022.)


# %%
def gptq(kernel, inputs, scale):
    """Round a kernel (outputs, inputs) to multiples of a scale, column by column.

    inputs: examples of what it is multiplied with, (examples, inputs)
    """
    left = kernel.astype("float64")  # a copy
    for column in range(kernel.shape[1]):
        nearest = np.rint(left[:, column] / scale) * scale  # (outputs,)
        error = left[:, column] - nearest
        left[:, column] = nearest
        to_come = inputs[:, column + 1 :]  # (examples, columns to come)
        if to_come.shape[1]:
            coefficients, *_ = np.linalg.lstsq(to_come, inputs[:, column], rcond=None)
            left[:, column + 1 :] += np.outer(error, coefficients)  # (outputs, columns to come)
    return left


print("two equal inputs:", gptq(w[None], x, scale=1.0)[0])

# %% [markdown]
# *Can be skipped at a first reading.* The paper's contribution is to do this fast: one Cholesky
# decomposition of the inverse of $X^T X$ solves all least-squares problems together. If one input
# is a sum of others, there is no inverse, so `quantize_for_inputs` adds a little to the diagonal
# (`damping`). Without that it must equal our function.

# %%
common = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 16))  # 16 inputs out of 6 numbers: alike
inputs = common + 0.3 * rng.normal(size=(200, 16))
toy = rng.normal(size=(3, 16)).astype("float32")
for row in toy:  # one output at a time: its scale is that of `quantize`
    scale = float(quantize(row[None], 4).scales[0, 0])
    fast = dequantize(quantize_for_inputs(row[None], inputs, 4, shared=16, damping=0))  # one scale
    ours = np.clip(gptq(row[None], inputs, scale), -7 * scale, 7 * scale)
    same = np.abs(fast - ours).max() < 1e-5
    nearest = dequantize(quantize(row[None], 4))
    off = [np.linalg.norm(inputs @ (q - row[None]).T) for q in (nearest, fast)]
    print(f"the same: {same}   error of the outputs: nearest {off[0]:.2f}, GPTQ {off[1]:.2f}")

# %% [markdown]
# GPTQ's outputs are nearer. Now the four matrices in each block of our model, with 64 tales of the
# training set as **calibration data**. How far off are the weights and the outputs of the matrices,
# on other tales, in the mean over all matrices? And does it help the model?

# %%
CALIBRATION = Windows(text.train, 256, END, documents=True).in_order()[0]
CALIBRATION = CALIBRATION[: min(64, args.texts), :-1]
seen = inputs_of_matrices(weights, HEADS, rows[:32, :-1])


def matrices(weights):
    """The four matrices of each block, in the order of `seen`."""
    return [getattr(block, name) for block in weights.blocks for name in BLOCK]


def errors_of(smaller):
    """How far weights and outputs of the matrices are off, the means over all matrices."""
    triples = list(zip(seen, matrices(smaller), matrices(weights), strict=True))
    of_weights = np.mean([relative_error(q, w) for _, q, w in triples])
    return of_weights, np.mean([relative_error(x @ q.T, x @ w.T) for x, q, w in triples])


# %%
by_inputs = {}
for bits in (4, 3):
    for method in ("nearest", "GPTQ"):
        if method == "GPTQ":
            smaller, _ = quantize_gpt2_for_texts(weights, HEADS, CALIBRATION, bits, 32)
        else:
            smaller, _ = quantize_gpt2(weights, bits, 32, tables=False)
        off, off_outputs = errors_of(smaller)
        loss, valid = loss_of(smaller), validity_of(smaller)
        by_inputs[bits, method] = off, off_outputs, loss, valid
        print(f"{bits} bits, {method:7} weights off {off:5.1%}, outputs {off_outputs:5.1%}", end="")
        print(f"   loss/floor {loss:.3f}   valid {valid:4.0%}")
for bits in (4, 3):
    (w_0, x_0, *_), (w_1, x_1, *_) = by_inputs[bits, "nearest"], by_inputs[bits, "GPTQ"]
    assert w_1 > w_0 and x_1 < x_0
assert abs(by_inputs[4, "GPTQ"][2] - by_inputs[4, "nearest"][2]) < 0.02
lost, left = (by_inputs[3, name][2] - live["32 bits"][0] for name in ("nearest", "GPTQ"))
assert left < lost / 2 or args.texts < 100
assert by_inputs[3, "GPTQ"][3] > by_inputs[3, "nearest"][3] + 0.1 or args.texts < 100

# %% [markdown]
# GPTQ's weights are farther off, and its outputs are nearer. At four bits the losses are nearly the
# same: where rounding hurts little, little can be won. At three bits GPTQ takes most of the damage
# away, and more stories are valid. (Only the blocks are rounded here, the tables are not, so the
# losses are lower than above.)
#
# ### AWQ: finer steps where the inputs are large
#
# *Can be skipped at a first reading.* **AWQ** (activation-aware weight quantization) compensates
# nothing. An error is multiplied by its input, so it does most harm in a column whose input is
# large. AWQ multiplies such a column by a factor before rounding, and divides it by the factor
# afterwards, which makes its steps finer. (Lin and others, *AWQ: Activation-aware Weight
# Quantization for LLM Compression and Acceleration*, 2023.) Here are three bits, and a second
# input that is ten times as large as the others.

# %% tags=["nbval-check-output"]
w, sizes = np.array([0.7, 0.34, -0.3, 0.5]), np.array([1, 10, 1, 1])  # sizes of the inputs
for factor in (1, 2, 4):
    factors = np.array([1, factor, 1, 1])
    q = dequantize(quantize((w * factors)[None], 3))[0] / factors
    print(f"factor {factor}: weights {q}  errors times inputs {np.abs(q - w) * sizes}")

# %% [markdown]
# With a factor of 2, the second weight has steps half as wide, and the others stay as they were.
# With 4 it becomes the largest one, so the common scale grows, and the others get worse. AWQ's
# factors are the mean size of each input to a power $\alpha$ from 0 to 1. It keeps the $\alpha$
# whose *outputs* are nearest on the examples. `quantize_activation_aware` does the same, but reads
# the examples only once.


# %%
def awq(kernel, inputs, bits, group):
    """Round a kernel (outputs, inputs) for inputs (examples, inputs): its error, alpha, result."""
    sizes, found = np.abs(inputs).mean(axis=0), []
    for alpha in np.linspace(0, 1, 21):
        factors = sizes**alpha
        factors /= np.sqrt(factors.max() * factors.min())  # these two become equally far from 1
        small = dequantize(quantize(kernel * factors, bits, group)) / factors
        found.append((np.linalg.norm(inputs @ (small - kernel).T), alpha, small))
    return min(found, key=lambda one: one[0])


inputs, toy = rng.normal(size=(200, 32)), rng.normal(size=(64, 32))
inputs[:, 5] *= 10  # one of 32 inputs is large
error, alpha, ours = awq(toy, inputs, 4, 32)
fast = dequantize_activation_aware(quantize_activation_aware(toy, inputs, 4, 32))
nearest = np.linalg.norm(inputs @ (dequantize(quantize(toy, 4, 32)) - toy).T)
print(f"the same: {np.abs(fast - ours).max() < 1e-5}   alpha {alpha:.2f}", end="")
print(f"   error of the outputs: nearest {nearest:.1f}, AWQ {error:.1f}")
assert error < 0.9 * nearest
for name, x in zip(("qkv", "out", "mlp_up", "mlp_down"), seen, strict=False):
    sizes = np.abs(x).mean(axis=0)
    print(f"{name:8} largest input {sizes.max() / np.median(sizes):.1f} times the median")

# %% [markdown]
# Keras has both, too, as `GPTQConfig` and `AWQConfig` of `keras.quantizers`. The benchmark compares
# all of them on the same matrices, with four bits, groups of 32 and the same tales. Keras's use a
# zero point, so compare them with rounding with a zero point.

# %%
print(f"{'':19} {'outputs off':>11} {'loss/floor':>11} {'valid':>7}   of {STORIES} stories")
table = {}
for method in ("nearest", "GPTQ", "AWQ", "nearest, zero point", "Keras GPTQ", "Keras AWQ"):
    _, loss, valid = prices(f"blocks, {method}")
    error = runs[f"blocks, {method}"]["error"]
    table[method] = error, loss, valid
    print(f"{method:19} {error:11.1%} {loss:11.3f} {valid:7.1%}")
assert table["GPTQ"][0] < 0.8 * table["nearest"][0]
assert 0.9 < table["AWQ"][0] / table["nearest"][0] < 1
for method in ("Keras GPTQ", "Keras AWQ"):
    same = table[method] == table["nearest, zero point"]
    print(f"{method} has the prices of rounding to the nearest: {same}")

# %% [markdown]
# GPTQ brings the outputs nearest. At four bits that hardly shows in the loss, and the differences
# in valid stories are within chance. AWQ gains little here. A likely reason is that the largest
# inputs are only a few times the median, as printed above. It was made for large models, in which a
# few inputs are far larger than the others.
#
# Keras's two rows equal *nearest, zero point* in every digit: in version 3.15, its GPTQ and AWQ
# only round. The reason is in the source code. To collect the inputs, both replace the method
# `call` of each layer. But a layer that is being quantized runs another method, `quantized_call`,
# so no input is ever collected. Without inputs GPTQ *is* rounding to the nearest, and all factors
# of AWQ are 1. No message says so. Measure what a library gives you, as you would measure your own
# code.
#
# ## Zeros: pruning
#
# Another way to store less is to leave weights out. **Magnitude pruning** sets the weights nearest
# to zero to zero. (Han and others, *Learning both Weights and Connections for Efficient Neural
# Networks*, 2015.)

# %% tags=["nbval-check-output"]
print(prune(np.array([[0.7, -0.3, 0.1], [0.5, -0.1, 0.2]]), share=0.5))

# %% [markdown]
# The other weights can repair part of the damage if the model is trained a little more, while the
# zeros are kept at zero. This fine-tuning after pruning is called **healing**.
#
# So far this is **unstructured pruning**: the zeros are scattered over the matrix. Such a matrix is
# multiplied as slowly as one without zeros, unless the program skips them. (Some GPUs do if two of
# every four weights are zero, **2:4 sparsity**.) In a file, a bit for each weight says whether it
# is there. **Structured pruning** removes whole units, here hidden units of the feed-forward
# networks: the matrices become smaller, so any program has less to compute. We keep the units whose
# two weight vectors, the one that leads in and the one that leads out, have the largest product of
# lengths.

# %%
LESSONS = Windows(text.train, 256, END, documents=True)
half, narrow = with_zeros(model, 0.5), narrowed(model, feed_forward=256)
kernels = [w.numpy() for w in half.backbone.weights if w.name == "kernel"]
zeros = sum(np.sum(kernel == 0) for kernel in kernels)
numbers = sum(kernel.size for kernel in kernels)
share = zeros / half.count_params()
print(f"share of zeros in the blocks: {zeros / numbers:.1%}, in the whole model: {share:.1%}")
print(f"hidden units in each block: {model.backbone.intermediate_dim}, narrowed to 256")

# %%
SIZES = {
    "half of each matrix zero": 4 * (half.count_params() - int(zeros)) + numbers // 8,
    "half of the hidden units": 4 * narrow.count_params(),
}
print(f"{args.steps} steps of healing")
print(f"{'':24} {'bytes':>9}   loss/floor: cut, healed   valid, healed")
cut_down = {}
for (name, size), smaller in zip(SIZES.items(), (half, narrow), strict=True):
    before = loss_of(as_arrays(read_weights(smaller)))
    train_briefly(smaller, LESSONS, args.steps, args.batch_size, rate=0.005)
    after = loss_of(as_arrays(read_weights(smaller)))
    writer = generate if smaller is half else Generator(smaller, END)  # of the right shape
    cut_down[name] = size, after, validity_of(read_weights(smaller), writer)
    print(f"{name:24} {size:9,} {before:16.3f} {after:9.3f} {cut_down[name][2]:12.0%}")
    assert after < before or args.steps < 20
    assert after > prices("4 bits, groups of 32")[1]
    assert cut_down[name][2] < prices("4 bits, groups of 32")[2] or args.texts < 100

# %% [markdown]
# Neither file is half as large, because the embedding tables stay as they are; in the second, so
# does attention. Healing brings the loss a good part of the way back, but after so short a training
# far fewer stories are valid than before pruning. How far does a longer healing get? The benchmark
# has pruned models after 400 steps, with two seeds each.


# %%
def healed(name):
    """Bytes, loss and validity of a model that has learnt for 400 steps, with either seed."""
    return [prices(f"{name}, seed {seed}") for seed in (0, 1)]


print(f"{'':18} {'bytes':>9}   loss/floor: cut, healed twice   valid: cut, healed twice")
for name in ("30% zeros", "50% zeros", "384 hidden units", "256 hidden units"):
    cut = runs[f"{name}, seed 0"]["cut"]
    (size, *first), (_, *second) = healed(name)
    print(f"{name:18} {size:9,} {cut['loss'] / FLOOR:17.3f}", end="")
    print(
        f" {first[0]:7.3f} {second[0]:7.3f} {cut['valid']:13.1%} {first[1]:7.1%} {second[1]:7.1%}"
    )
    assert max(first[0], second[0]) < prices("4 bits, groups of 32")[1]
_, loss, valid = prices("float32")
print(f"{'float32':18} {prices('float32')[0]:9,} {loss:17.3f} {'':15} {valid:13.1%}")

# %% [markdown]
# Now the loss of all four comes back to that of the whole model, or near it, and validity follows:
# with 384 hidden units or with 30% zeros it differs from float32 by no more than chance, with 256
# hidden units by more. All have a lower loss than four bits in groups, but their files are five to
# six times as large. For a small file, pruning alone is not the way here.
#
# ## A smaller student: distillation
#
# The last way is to train a smaller model, a **student**, from the start, with the help of the
# model that we have, its **teacher**. The usual target of a position is one token, the one that
# follows in the text. The teacher's target is a probability for *every* token, a **soft target**:
# it also says what else could have followed. That is called **knowledge distillation**. (Hinton
# and others, *Distilling the Knowledge in a Neural Network*, 2015. They also raise the temperature
# of both distributions; here it is 1.)
#
# The loss is cross-entropy with the teacher's probabilities $t_i$ in place of a single 1:
# $-\sum_i t_i \log p_i$. Its gradient with respect to the logits is $p - t$, student minus teacher;
# in lesson 2 it was predicted minus true. Here is the position of a tale at which the teacher is
# least sure.

# %%
sentence = text.tokenizer.encode(corpus("en", "validation", 1)[0].text)[:60]
ids = tf.constant([[END, *sentence]])
logits = plain_logits(tf.nest.map_structure(tf.constant, weights), ids, HEADS)
teacher_says = np.array(tf.nn.softmax(logits[0]))  # (positions, vocabulary)
position = int(np.argmax(-np.sum(teacher_says * np.log(teacher_says), axis=1)))  # the least sure
print("…" + text.tokenizer.decode(sentence[max(0, position - 12) : position]))
for token in np.argsort(-teacher_says[position])[:6]:
    print(f"   {text.tokenizer.decode([int(token)])!r:12} {teacher_says[position, token]:.2f}")
median = np.median(teacher_says.max(axis=1))
print(f"median over all positions: {median:.2f} for the likeliest token")

# %% [markdown]
# The text has only one of these continuations, chosen by chance. The student of a teacher sees them
# all at once, so its gradient is less noisy. (Where the teacher is sure, the two targets hardly
# differ.) We train one block instead of two for a few steps, once with the tokens of the text as
# targets, once with a teacher; same first weights, same tales, same number of steps.

# %%
students, tell = {}, None
for name, teacher in (("alone", None), ("taught", model)):
    keras.utils.set_random_seed(args.seed)
    student = build_gpt2(len(weights.token_embedding), custom_size("small", layers=1))
    train_briefly(student, LESSONS, args.steps, args.batch_size, rate=0.02, teacher=teacher)
    tell = tell or Generator(student, END)
    size, learnt = 4 * student.count_params(), as_arrays(read_weights(student))
    students[name] = size, loss_of(learnt), validity_of(learnt, tell)
    print(f"{name:6} {size:,} bytes after {args.steps} steps:", end="")
    print(f"   loss/floor {students[name][1]:.2f}   valid {students[name][2]:.0%}")
assert students["taught"][1] < students["alone"][1] or args.steps < 60

# %% [markdown]
# So short a training ends far from the floor. These are the students of the benchmark, after 400
# steps, with two seeds.

# %%
for name in ("student alone", "student taught"):
    for seed, (_, loss, valid) in enumerate(healed(name)):
        print(f"{name:15} seed {seed}   loss/floor {loss:.3f}   valid {valid:5.1%}")
alone, taught = ([loss for _, loss, _ in healed(f"student {way}")] for way in ("alone", "taught"))
assert max(taught) < min(alone)

# %% [markdown]
# With a teacher the loss is lower after the same steps, with both seeds. But two runs without a
# teacher also differ much from one another, so two seeds do not tell *how much* lower. A step with
# a teacher costs more, because the teacher reads every text. Hardly any story is valid: for that,
# one block has to learn for longer, if it can.
#
# ## All points
#
# Here are the models of the benchmark by their bytes. Good models are low in the left picture and
# high in the right one, and small ones are on the left in both. What was trained, was trained for
# 400 steps.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6))
rounded_models = [
    (f"{bits} bits", [prices(names[bits, label]) for label in SHARED], marker, BLUE)
    for bits, marker in [(8, "o"), (4, "P"), (3, "v"), (2, "X")]
]
for label, points, marker, color in [
    ("float32", [prices("float32")], "*", "black"),
    *rounded_models,
    ("30% or 50% zeros, healed", healed("30% zeros") + healed("50% zeros"), "s", ORANGE),
    (
        "fewer hidden units, healed",
        healed("384 hidden units") + healed("256 hidden units"),
        "D",
        GREEN,
    ),
    ("one block, taught", healed("student taught"), "^", PURPLE),
]:
    sizes, losses, valid = map(np.array, zip(*points, strict=True))
    left.plot(sizes / 1e6, losses, marker, color=color, linestyle="", label=label)
    right.plot(sizes / 1e6, 100 * valid, marker, color=color, linestyle="")
for axes in (left, right):
    axes.set(xscale="log", xlabel="bytes, millions")
    axes.set_xticks([0.2, 0.3, 0.5, 1, 2], [0.2, 0.3, 0.5, 1, 2])
    axes.minorticks_off()
left.set(yscale="log", ylabel="loss, multiples of the floor", title="Rounding saves the most bytes")
left.set_yticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
left.minorticks_off()
left.legend(fontsize=8)
right.set(ylabel="valid stories, %", ylim=(-3, 75), title="Eight bits: about as valid as float32")
plt.show()
assert all(abs(prices(names[8, label])[2] - most) < 0.08 for label in SHARED)

# %% [markdown]
# Rounding is the best way to a small file here: eight bits lose nothing that we can measure in a
# quarter of the bytes. Healed pruning loses little, too, and saves few bytes. With fewer than four
# bits the quality falls quickly. (A pruned model can be rounded, too; that is not tried here.)
#
# ## What is faster
#
# Fewer bytes are not always fewer seconds. The speeds below are from one run of the benchmark, one
# text at a time, all programs in turns, in tokens for each second of processor time. A rounded file
# is not among them: it is unpacked to float32 when it is read, so it is as fast as float32.

# %%
speeds = runs["speeds"]["tokens_per_second"]
MEANINGS = {
    "float32": "our generator, the model as it is",
    "int8 kernels": "Int8GPT2, see below",
    "pruned 50%": "our generator, half of each matrix zero",
    "narrowed to 256": "our generator, half of the hidden units",
    "one layer": "our generator, one block in place of two",
    "width 64": "our generator, half of the width",
    "keras-nlp float32": "generate of keras-nlp",
    "keras-nlp int8": "the same after quantize('int8')",
    "keras-nlp int4": "the same after quantize('int4')",
}
print(f"float32: {speeds['float32']:,.0f} tokens a second; all as multiples of that:")
for name, meaning in MEANINGS.items():
    print(f"{name:17} {speeds[name] / speeds['float32']:5.2f}   {meaning}")
assert 0.8 < speeds["pruned 50%"] / speeds["float32"] < 1.25
assert all(1 < speeds[name] / speeds["float32"] < 1.3 for name in list(MEANINGS)[3:6])
assert speeds["int8 kernels"] < speeds["float32"] / 3
assert speeds["keras-nlp float32"] < speeds["keras-nlp int8"] < speeds["float32"]

# %% [markdown]
# The model with zeros is as fast as the one without: zeros are multiplied like other numbers. The
# smaller models are only a little faster. One block in place of two saves so little that most of
# the time must be spent outside the blocks. `Int8GPT2` is several times *slower*. A likely reason
# is that Python calls each of its products, while our generator is compiled as a whole. In Keras
# int8 is faster than float32, and still slower than our generator. At this size the program matters
# more than the number of bits.
#
# ### Eight bits at the size of GPT-2
#
# A model of 124 million parameters is another case. To generate one token, all weights have to be
# fetched from memory: half a gigabyte in float32, a quarter of that in int8. TensorFlow has
# products in int8 for phones, those of **LiteRT** (once TensorFlow Lite). `Int8Product` of
# `utils/generation/int8.py` multiplies with one matrix, and rounds the inputs as well: dynamic
# quantization, as above. `Int8GPT2` is the GPT-2 of lesson 9 with such products, in NumPy, with a
# KV cache.
#
# First: is it the same model? Here with our own weights, along held-out tales. (Where TensorFlow
# lacks these products, NumPy takes their place: slow, but rounded to eight bits, too.)


# %%
def int8_by_hand(kernel):
    """What multiplies by a matrix (outputs, inputs) as `dense_int8` does."""
    return lambda x: dense_int8(x, kernel.T, 0)


print("products in int8 by", "LiteRT" if is_available() else "NumPy, since LiteRT has none here")
product = Int8Product if is_available() else int8_by_hand
int8 = Int8GPT2(weights, HEADS, END, product=product)

# %%
ids = rows[:4, :-1]
x = int8.read(ids, np.zeros(4, int), int8.empty_cache(4), range(4))
in_int8 = int8.logits(x)  # (4 * time, vocabulary)
exact = plain_logits(tf.nest.map_structure(tf.constant, weights), tf.constant(ids), HEADS)
exact = np.array(exact).reshape(in_int8.shape)
told = mask[:4].reshape(-1) > 0  # no padding
error = np.sqrt(np.mean((in_int8 - exact)[told] ** 2)) / exact[told].std()
same = np.mean(in_int8[told].argmax(axis=1) == exact[told].argmax(axis=1))
print(f"logits off by {error:.1%} of their spread, the likeliest token is the same: {same:.1%}")
targets = rows[:4, 1:].reshape(-1)[told]
losses = [
    np.mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits[told]))
    for logits in (exact, in_int8)
]
print(f"loss on these tales: {losses[0]:.4f} nats per token in float32, {losses[1]:.4f} in int8")
assert error < 0.05 and same > 0.95 and abs(losses[1] - losses[0]) < 0.005

# %%
exact_model = Int8GPT2(weights, HEADS, END, product=lambda kernel: lambda x: x @ kernel.T)
beginnings = rows[:20, :31].tolist()
same, valid = 0, np.zeros(2, int)
print("where they part: the token of each, with its probability in float32")
for begun in beginnings:
    texts = [list(writer.continued(begun, 256)) for writer in (exact_model, int8)]
    valid += [is_valid(begun + ids) for ids in texts]
    part = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), None)
    same += part is None
    if part is None:
        continue
    begun = begun + texts[0][:part]  # up to where they part
    x = exact_model.read(np.array([begun]), np.zeros(1, int), exact_model.empty_cache(1), [0])
    p = tf.nn.softmax(exact_model.logits(x[-1:])[0]).numpy()
    assert p[texts[1][part]] > 0.7 * p[texts[0][part]]
    ways = [f"{text.tokenizer.decode([ids[part]])!r} {p[ids[part]]:.3f}" for ids in texts]
    print(f"after {part:3} tokens: in float32 {ways[0]:18} in int8 {ways[1]}")
print(f"{same} of {len(beginnings)} greedy texts are the same;", end=" ")
print(f"valid: {valid[0]} in float32, {valid[1]} in int8")
assert abs(valid[0] - valid[1]) < 8

# %% [markdown]
# Greedy texts part where float32 gives two tokens nearly equal probabilities: rounding decides
# which one wins, and from there on it is another story. It need not be a worse one: the loss is
# nearly the same, and about as many stories are valid. (With twenty, a few more or fewer may be
# chance.) Now the speed, by the clock, at the shape of GPT-2 124M, with random weights, beside
# CTranslate2, an inference engine in C++ with an int8 of its own.

# %%
large = runs["speeds 124M"]
speeds = large["tokens_per_second"]
print(f"float32 {large['float32_bytes'] / 1e6:.0f} MB, int8 {large['int8_bytes'] / 1e6:.0f} MB")
print(f"logits off by {large['logit_error']:.1%}, same token {large['same_token']:.1%}")
for name, speed in speeds.items():
    print(f"{name:20} {speed / speeds['float32']:5.2f} times our generator in float32")
assert 2 < speeds["int8"] / speeds["float32"] < 4

# %% [markdown]
# Here our int8 is more than twice as fast as our float32. A likely reason is that it has a quarter
# of the bytes to read. The machine had much other work during this run, so take the ratios as
# rough, and do not rank the programs by them.
# `python -m benchmarks.compression --only speeds --out mine.json` measures ours on your machine.
# (Random weights have no outliers: see *If your result looks different*.)
#
# ### The cache can mislead a benchmark
#
# A product with a matrix is fast while the matrix stays in the **CPU cache**, some megabytes of
# fast memory in the processor. A benchmark that multiplies with a few matrices again and again
# measures the cache. Here is the time of a product with a matrix of 1024 × 1024, when it is one of
# several matrices that take turns.

# %%
run = runs["cache"]
side, stacks = run["setting"]["matrix"], np.array(run["setting"]["stacks"])
in_float32, in_int8 = np.array(run["milliseconds"]).T
megabytes = stacks * side**2 * 4 / 1e6  # of all matrices, in float32
print("matrices  float32 MB   time, float32 / int8")
ratios = in_float32 / in_int8
for count, size, ratio in zip(stacks, megabytes, ratios, strict=True):
    print(f"{count:8} {size:11.0f} {ratio:10.1f}")
assert 0 < ratios.argmax() < len(ratios) - 1 and ratios.max() > 1.5 * ratios[-1]
assert 3 < ratios[-1] < 5

# %%
plt.plot(megabytes, 1000 * in_float32, "s--", color=ORANGE, label="float32")
plt.plot(megabytes, 1000 * in_int8, "o-", color=BLUE, label="int8")
plt.xscale("log")
plt.yscale("log")
plt.xticks([5, 10, 20, 50, 100, 200], [5, 10, 20, 50, 100, 200])
plt.yticks([20, 50, 100, 200], [20, 50, 100, 200])
plt.minorticks_off()
plt.xlabel("all matrices together, MB in float32")
plt.ylabel("time of one product, µs")
plt.title("With more matrices, the time rises earlier in float32 than in int8")
plt.legend()
plt.show()

# %% [markdown]
# The ratio is largest in the middle, where the time in float32 has risen and the time in int8
# hardly has. A likely explanation: there the int8 matrices still fit into the cache, and the
# float32 ones do not. A benchmark of that size makes int8 look too good. For a large model the
# right end counts, with a ratio near four, that of the bytes: its weights come from memory at every
# token. (A whole model gains less, since it does more than these products.)
#
# To compress a model of your own and to serve it, see the [README](../README.md#fewer-bits).

# %% [markdown]
# ## If your result looks different
#
# * **Your validity differs by some points.** With 300 stories the standard error is about three
#   points, and with the lesson's own 100 it is five.
# * **Eight bits made your model much worse.** Look for a few inputs that are far larger than the
#   others: large models have such *outliers*. `Int8Product` mixes each group of inputs by a
#   Hadamard matrix first, which spreads an outlier over its group.
# * **Your int8 model is slower than float32.** It is small, or your program unpacks the weights
#   before it multiplies. Measure at the size that you want to use.
# * **Your TensorFlow has no kernels for int8.** Then the lesson says so, and multiplies in NumPy.
#   `python -m utils.serving --weights int8` says so, too, and takes float32.
#
# ## Recap
#
# * Quantization stores whole numbers and a scale. The fewer weights share a scale, the smaller is
#   the error; groups of 32 cost half a bit more.
# * Loss and validity are different prices: a mean over tokens hides what breaks whole texts.
# * GPTQ keeps the outputs near, not the weights, by compensating each rounding error with the
#   weights that are still to come.
# * Scattered zeros save bytes, not time. Smaller matrices and smaller students save both (here
#   little time), and have to be trained.
# * With products made for it, int8 is faster than our float32 in a large model, and not in a small
#   one. Measure at the size that you use.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words; then let `check.answer` show ours.
#
# 1. Why does one large weight hurt the others, and what do groups change about it?
# 2. How can the loss rise by a little while most stories break?
# 3. What does GPTQ minimise, and how can it be better to round a weight *away* from the nearest
#    number?
# 4. What can a student learn from a teacher's probabilities that the text does not tell it?
# 5. Why is our int8 faster than our float32 for GPT-2 124M, but not for the small GPT-2?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Round a weight matrix (outputs, inputs) to whole numbers of `bits` bits with one scale for
# each output, and return the matrix that they stand for.


# %%
def per_channel(kernel, bits):
    """Return an array of the shape of kernel."""
    ...


check.per_channel(per_channel)

# %% [markdown]
# **2.** How many bytes does a matrix take with `bits` bits for each weight and a scale of 16 bits
# for each group? `group` divides `inputs`.


# %%
def stored_bytes(outputs, inputs, bits, group):
    """Return a whole number."""
    ...


check.stored_bytes(stored_bytes)

# %% [markdown]
# **3.** A share `valid` of the stories is valid, each has `tokens` tokens, and each token breaks
# its story with the same probability. What is that probability?


# %%
def error_of_a_token(valid, tokens):
    """Return a number from 0 to 1."""
    ...


check.error_of_a_token(error_of_a_token)

# %% [markdown]
# **4.** The loss of distillation at one position: `teacher` are probabilities (vocabulary,),
# `logits` are the student's (vocabulary,).


# %%
def distillation_loss(teacher, logits):
    """Return a number in nats."""
    ...


check.distillation_loss(distillation_loss)

# %% [markdown]
# ## Next
#
# A model can be made smaller or faster. [Lesson 19](19_tasks.ipynb) gives it another task: to
# classify texts.
