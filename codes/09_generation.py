# %% [markdown]
# # 9. Generation: from probabilities to a text
#
# At the end of this lesson you will have written six ways to choose the next token, measured what
# each of them does to the tales of your own GPT-2, and built the KV cache, without which no chat
# would be fast enough.
#
# You need: GPT-2 as a function from [lesson 7](07_gpt2.ipynb), and the small GPT-2 that [lesson
# 8](08_pretraining.ipynb) trains. If it is not there yet, this lesson trains it first, which takes
# some minutes.

# %% [markdown]
# The first three settings control the **sampling**; `top_k=0` means off, as would `top_p=1.0`; all
# three are explained below. The next two, a **prompt** and a maximum length in tokens, are for
# three tales that the lesson shows; with an empty prompt the model begins a tale of its own.
# `texts` says how many are measured.

# %%
from utils.course.settings import settings

args = settings(temperature=1.0, top_k=0, top_p=0.8, prompt="", length=256, texts=500, seed=9)
print(args)

# %%
from time import perf_counter

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np

from utils.course.plots import BLUE, STYLE
from utils.exercises import lesson_09 as check
from utils.generation.generator import Generator
from utils.generation.plain_gpt2 import read_weights
from utils.small_gpt2 import pretrained
from utils.tales import NotATale, corpus, parse, sentences

plt.style.use(STYLE)
rng = np.random.default_rng(args.seed)
keras.utils.set_random_seed(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## Five words
#
# A language model gives each token a probability, no more. How to choose the next token from these
# probabilities is a separate decision, and this lesson compares six ways. Here is a whole model,
# small enough to check by hand: a **bigram model** that knows five words and looks at the last one
# only. The row is that last word, the column the next one.

# %%
words = ["the", "cat", "crow", "sat", "flew"]
table = np.array(
    [
        [0.02, 0.46, 0.36, 0.10, 0.06],  # after "the"
        [0.10, 0.02, 0.03, 0.45, 0.40],  # after "cat"
        [0.05, 0.02, 0.01, 0.07, 0.85],  # after "crow"
        [0.60, 0.10, 0.10, 0.10, 0.10],  # after "sat"
        [0.60, 0.10, 0.10, 0.10, 0.10],  # after "flew"
    ]
)
table_logits = np.log(table)  # softmax of a logarithm gives the probabilities back

# %% [markdown]
# ### Greedy
#
# The simplest choice is the likeliest word each time. Lesson 7 called it **greedy decoding**.


# %%
def greedy(logits):
    return int(np.argmax(logits))


ids = [0]
for _ in range(8):
    ids.append(greedy(table_logits[ids[-1]]))
print(" ".join(words[i] for i in ids))

# %% [markdown]
# The text repeats, and would do so forever: this model sees only the last word, and greedy decoding
# has nothing random that could lead out of the circle. Large models see the whole text, and still
# show the same fault: a sentence that is there already becomes likelier to come again.
#
# ### Temperature
#
# So sample, as in lesson 2: choose each word at random, with its probability. To control how much
# chance there is, divide the logits by a number before the softmax, the **temperature** $T$:
#
# $$p_i = \frac{e^{z_i / T}}{\sum_j e^{z_j / T}}$$


# %%
def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def with_temperature(logits, temperature):
    return softmax(logits / temperature)


print("       ", "".join(f"{word:>7}" for word in words))
for temperature in [0.01, 0.1, 0.5, 1.0, 2.0, 100.0]:
    p = with_temperature(table_logits[0], temperature)
    print(f"T {temperature:5}", "".join(f"{value:7.3f}" for value in p))

# %% [markdown]
# Read the rows. At $T = 1$ the probabilities are those that the model learnt. The lower $T$, the
# more the likeliest word gains at the cost of the others together; close to zero only that one is
# left, which is greedy decoding. Above 1, the probabilities become more equal; at a very high
# temperature all words are about equally likely.
#
# In ratios: if one word is $a$ times as likely as another at $T = 1$, it is $a^{1/T}$ times as
# likely at temperature $T$.
#
# ### Top-k and top-p
#
# A real vocabulary has a long tail: hundreds or thousands of tokens that are each nearly
# impossible. Together they have a probability that counts. A text is sampled in many steps, so
# sooner or later one of them is chosen. Then it is part of the text, and the model has to continue
# from it. So cut the tail off. **Top-k** keeps the $k$ likeliest tokens. (Fan, Lewis and Dauphin,
# *Hierarchical Neural Story Generation*, 2018.)


# %%
def keep_top_k(p, k):
    """Probabilities with all but the k likeliest set to zero."""
    kept = np.zeros_like(p)
    likeliest = np.argsort(-p)[:k]
    kept[likeliest] = p[likeliest]
    return kept / kept.sum()


p = table[0]
print("probabilities of", *words)
print("all   ", p)
print("top-2 ", keep_top_k(p, 2))

# %% [markdown]
# But how many should be kept? After `crow` one word is very likely; after `the` two are. **Top-p**,
# or *nucleus sampling*, sets a limit for their probability instead of their number: keep the
# likeliest words until they have a probability of at least `top_p` together. A word is still needed
# if the sum of those *before* it is below `top_p`. (Holtzman and others, *The Curious Case of
# Neural Text Degeneration*, 2020.)


# %%
def keep_top_p(p, top_p):
    """Probabilities with all zero but the fewest likeliest that add to at least top_p."""
    order = np.argsort(-p)
    before = np.cumsum(p[order]) - p[order]  # how much the likelier ones have together
    kept = np.zeros_like(p)
    kept[order[before < top_p]] = p[order[before < top_p]]
    return kept / kept.sum()


for word in ["the", "cat", "crow"]:
    p = keep_top_p(table[words.index(word)], 0.8)
    print(f"after {word:5}", p, f"words kept: {np.count_nonzero(p)}")

# %%
settings_shown = {
    "T = 1": table[0],
    "T = 0.5": with_temperature(table_logits[0], 0.5),
    "top-k = 2": keep_top_k(table[0], 2),
    "top-p = 0.9": keep_top_p(table[0], 0.9),
}
figure, panels = plt.subplots(1, 4, figsize=(8.4, 2.5), sharey=True)
for axes, (title, p) in zip(panels, settings_shown.items(), strict=True):
    bars = axes.bar(words, p, color=BLUE)
    axes.bar_label(bars, [f"{value:.2f}" if value else "cut" for value in p], fontsize=8)
    axes.set_title(title)
    axes.tick_params(axis="x", labelrotation=60)
panels[0].set(ylabel="probability", ylim=(0, 0.75))
figure.supxlabel("next word", fontsize=10)
figure.suptitle("After “the”: temperature reshapes, top-k and top-p cut")
plt.show()

# %% [markdown]
# ### Beam search
#
# Greedy decoding has another fault: it decides word by word, so it can miss the likeliest text.
# Compare two texts of three words.

# %%
for text in ["the cat sat", "the crow flew"]:
    first, second, third = [words.index(word) for word in text.split()]
    print(f"{text:14} {table[first, second]:.2f} x {table[second, third]:.2f}", end="")
    print(f" = {table[first, second] * table[second, third]:.3f}")

# %% [markdown]
# The cat is the likelier word, but the crow begins the likelier *text*. To find it, one must keep
# the crow for a step although it is less likely. **Beam search** keeps the `width` likeliest
# beginnings, which are called *hypotheses*, continues each with every word, and keeps the `width`
# likeliest of the results. (It adds logarithms instead of multiplying: the product of many
# probabilities is too small for a floating-point number, which is called *underflow*.)


# %%
def beam_search(start, length, width):
    """The likeliest texts found, as (log-probability, ids), best first."""
    beams = [(0.0, [start])]
    for _ in range(length - 1):
        longer = [
            (score + np.log(p), [*ids, word])
            for score, ids in beams
            for word, p in enumerate(table[ids[-1]])
        ]
        beams = sorted(longer, reverse=True)[:width]
    return beams


# %% tags=["nbval-check-output"]
for width in [1, 2]:
    score, ids = beam_search(0, 3, width)[0]
    print(f"width {width}: {' '.join(words[i] for i in ids):14} probability {np.exp(score):.3f}")

# %% [markdown]
# A beam of width one is greedy decoding. A beam that keeps every text would find the likeliest of
# all; widths in between find a text that is likely but not always the likeliest. But is the
# *likeliest* text what one wants? For a translation, a narrow beam often gives a good text. (Longer
# texts have more factors below 1, so real implementations divide the score by a power of the
# length; otherwise texts come out too short.) For a story, hardly: the likeliest texts resemble one
# another, as the measurement below shows.
#
# ### Contrastive search
#
# The last method uses the inside of the model. Take the $k$ likeliest tokens and give each a score:
# its probability, minus a penalty for being similar to what has been written. Similarity is the
# cosine (lesson 4) of the model's **hidden states**, the vectors that its last layer computes for
# the tokens. A number $\alpha$ from 0 to 1 says how much the penalty counts:
#
# $$\text{score} = (1 - \alpha)\,p - \alpha \max_j \cos(h, h_j)$$
#
# where $h$ is the hidden state of the candidate, for which the candidate has to go through the
# model, and the $h_j$ are those of all tokens so far. The candidate with the highest score is
# chosen, so nothing is random. (Su and others, *A Contrastive Framework for Neural Text
# Generation*, 2022, section 4.2. They also train their models for it, so that the hidden states of
# different words differ.) For our toy model we make up a vector for each word: similar for the two
# animals, and rather similar for the two verbs.

# %%
hidden = np.array([[1.0, 0.1], [0.1, 1.0], [0.3, 1.0], [-1.0, 0.2], [-1.0, -0.6]])


def contrastive_search(start, length, k, alpha):
    """Ids of a text in which each word is likely and yet unlike the words before it."""
    unit = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)  # cosine = product of these
    ids = [start]
    for _ in range(length - 1):
        candidates = np.argsort(-table[ids[-1]])[:k]
        similarity = unit[candidates] @ unit[ids].T  # (k, words so far)
        scores = (1 - alpha) * table[ids[-1], candidates] - alpha * similarity.max(axis=1)
        ids.append(int(candidates[scores.argmax()]))
    return ids


# %% tags=["nbval-check-output"]
for alpha in [0.0, 0.3, 0.6]:
    ids = contrastive_search(0, 7, k=3, alpha=alpha)
    print(f"alpha {alpha}: {' '.join(words[i] for i in ids)}")

# %% [markdown]
# With $\alpha = 0$ it is greedy decoding and repeats itself. With a larger $\alpha$ the penalty
# soon counts more than sense: "the sat" is chosen because the vectors of the two words point in
# opposite directions. Such a cosine is negative, and subtracting it even adds to the score.
#
# ## The same in keras-nlp
#
# keras-nlp calls such a method a **sampler**. It needs a function that gets the ids before the
# position `index` and returns logits, hidden states and a cache. Ours looks them up in the table.


# %%
def next_from_table(prompt, cache, index):
    last = prompt[:, index - 1]  # (batch,)
    return keras.ops.take(table_logits, last, axis=0), keras.ops.take(hidden, last, axis=0), cache


def library_search(sampler, length):
    """The ids that a sampler of keras-nlp generates with the toy model, starting with 0."""
    states = np.zeros((1, length, 2))  # hidden states so far; only contrastive search reads them
    states[0, 0] = hidden[0]
    prompt = np.zeros((1, length), "int32")
    return np.array(sampler(next_from_table, prompt, index=1, hidden_states=states))[0].tolist()


# %% [markdown]
# First the methods without chance, called *deterministic*. They must agree word for word.

# %% tags=["nbval-check-output"]
samplers = keras_nlp.samplers
by_greedy = [0]
for _ in range(6):
    by_greedy.append(greedy(table_logits[by_greedy[-1]]))
pairs = {"greedy": (by_greedy, samplers.GreedySampler())}
for width in [2, 4]:
    pairs[f"beam, width {width}"] = beam_search(0, 7, width)[0][1], samplers.BeamSampler(width)
for alpha in [0.3, 0.6]:
    pairs[f"contrastive, alpha {alpha}"] = (
        contrastive_search(0, 7, 3, alpha),
        samplers.ContrastiveSampler(k=3, alpha=alpha),
    )
for name, (ours, sampler) in pairs.items():
    theirs = library_search(sampler, 7)
    print(f"{name:23} {' '.join(words[i] for i in ours):32} the same: {ours == theirs}")
    assert ours == theirs

# %% [markdown]
# For the methods with chance, called *stochastic*, let the library sample many times. Then
# compare how often each word was chosen with the probabilities that our formulas give.


# %%
def library_frequencies(sampler, num_samples=40_000):
    """How often a sampler takes each word after `the`."""
    p = sampler.compute_probabilities(np.tile(table_logits[0], (num_samples, 1)))
    return np.bincount(np.array(sampler.get_next_token(p)), minlength=len(words)) / num_samples


by_formula = {
    "temperature 0.5": (
        with_temperature(table_logits[0], 0.5),
        samplers.RandomSampler(temperature=0.5, seed=1),
    ),
    "top-k 2": (keep_top_k(table[0], 2), samplers.TopKSampler(k=2, seed=2)),
    "top-p 0.9": (keep_top_p(table[0], 0.9), samplers.TopPSampler(p=0.9, seed=3)),
}
for name, (p, sampler) in by_formula.items():
    frequencies = library_frequencies(sampler)
    agree = np.abs(frequencies - p).max() < 0.015
    print(f"{name:16} formula {p}  sampled {frequencies}  within 0.015: {agree}")
    assert agree and np.all(frequencies[p == 0] == 0)

# %% [markdown]
# ## Your own GPT-2
#
# Now the real model. It is stored in a folder, with its tokenizer.

# %%
folder = pretrained("tales").preset
model = keras_nlp.models.GPT2CausalLM.from_preset(folder)
tokenizer = model.preprocessor.tokenizer
model.preprocessor = None  # from here on, ids in and ids out
backbone = model.backbone
CONTEXT, END = backbone.max_sequence_length, tokenizer.token_to_id("<|endoftext|>")


def as_text(ids):
    """The tale in ids that begin with END, and also end with it if the tale is complete."""
    ids = ids[1:-1] if ids[-1] == END else ids[1:]
    return tokenizer.detokenize([int(i) for i in ids])


# %% [markdown]
# ### Without a cache
#
# To generate a token, send the whole text through the model and use the logits at its last
# position. For the next token, send the whole text again, one token longer. That is what lesson 7
# did. Here is GPT-2 in NumPy once more, for one text. One matrix, `qkv_kernel`, holds the weights
# of query, key and value, one below the other. All weight matrices are stored as (outputs, inputs),
# hence `.T`. One thing is new: attention may get a `past`, the keys and values from earlier calls,
# and it returns all of them, with the new ones appended. The new tokens see the past and, causally,
# each other.

# %%
weights = keras.tree.map_structure(np.array, read_weights(model))
HEADS = backbone.num_heads


def layer_norm(x, gamma, beta):
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def gelu(x):
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


# %%
def attention(x, block, past):
    """Self-attention of new tokens, x (new, width), to the past and to themselves."""
    qkv = (x @ block.qkv_kernel.T + block.qkv_bias).reshape(len(x), 3, HEADS, -1)
    query, key, value = qkv.transpose(1, 2, 0, 3)  # each (heads, new, head_dim)
    if past is not None:
        key = np.concatenate([past[0], key], axis=1)  # (heads, all, head_dim)
        value = np.concatenate([past[1], value], axis=1)
    new, everything = query.shape[1], key.shape[1]
    scores = query @ key.swapaxes(-1, -2) / query.shape[-1] ** 0.5  # (heads, new, all)
    # Row i is the i-th new token: it sees the whole past, and the new tokens up to itself.
    may_see = np.tri(new, everything, everything - new, dtype=bool)
    mixed = softmax(np.where(may_see, scores, -np.inf)) @ value  # (heads, new, head_dim)
    mixed = mixed.transpose(1, 0, 2).reshape(x.shape)
    return mixed @ block.out_kernel.T + block.out_bias, (key, value)


# %%
def gpt2(new_ids, cache=None):
    """Logits for what follows each new id, (new, vocabulary), and the cache with them in it."""
    cache = cache or [None] * len(weights.blocks)
    seen = 0 if cache[0] is None else cache[0][0].shape[1]
    positions = np.arange(seen, seen + len(new_ids))
    x, longer_cache = weights.token_embedding[new_ids] + weights.position_embedding[positions], []
    for block, past in zip(weights.blocks, cache, strict=True):
        mixed, present = attention(layer_norm(x, block.ln_1_gamma, block.ln_1_beta), block, past)
        x = x + mixed
        normal = layer_norm(x, block.ln_2_gamma, block.ln_2_beta)
        inner = gelu(normal @ block.mlp_up_kernel.T + block.mlp_up_bias)
        x = x + inner @ block.mlp_down_kernel.T + block.mlp_down_bias
        longer_cache.append(present)
    x = layer_norm(x, weights.ln_f_gamma, weights.ln_f_beta)
    return x @ weights.token_embedding.T, longer_cache


# %% [markdown]
# Send a tale from the validation set, which the model has never seen, through both models, ours and
# keras-nlp's.

# %%
tales = corpus("en", "validation", 100)
tale_ids = [END, *np.asarray(tokenizer(tales[0].text)).tolist()]
all_at_once, _ = gpt2(tale_ids)
inputs = np.array([tale_ids])
theirs = model.predict_on_batch({"token_ids": inputs, "padding_mask": np.ones_like(inputs)})[0]
difference = np.abs(all_at_once - theirs).max()
print(f"{len(tale_ids)} tokens, largest difference {difference:.0e}")
assert difference < 1e-3

# %% [markdown]
# ### With a cache
#
# What changes in the model when the text grows by one token? For the earlier tokens, nothing. The
# causal mask hides the new token from them, so each has the same keys and values as in the last
# step, in every layer, and computing them again is wasted work. The new token needs nothing of the
# earlier ones but their keys and values. So store those: this is the **KV cache**. Now a single
# token goes through the model in each step.

# %%
cache, one_by_one = None, []
for token in tale_ids:
    logits, cache = gpt2([token], cache)
    one_by_one.append(logits[0])
difference = np.abs(np.array(one_by_one) - all_at_once).max()
print(f"cached against uncached logits: {difference:.0e}")
keys, values = cache[0]
print(f"the cache of a layer: keys {keys.shape}, values {values.shape}  (heads, time, head_dim)")
assert difference < 1e-4

# %% [markdown]
# The logits are the same but for rounding. How much work is saved? Count multiplications, for a
# model of width $d$ with a vocabulary of $V$ tokens. A token that goes through a block costs
# $12 d^2$ in the weight matrices (lesson 6) and $2d$ for each token that it attends to: $d$ for the
# scores and $d$ for the weighted mean of the values. The logits cost $V d$. Our `gpt2` computes
# them at every position; we count only the last one, which is all that is needed.


# %%
def multiplications(new, seen):
    """Multiplications for `new` tokens that follow `seen` ones in the cache."""
    layers, width = backbone.num_layers, backbone.hidden_dim
    kernels = 12 * width**2 * new
    looks = 2 * width * (new * seen + new * new)  # NumPy also computes what the mask hides
    return layers * (kernels + looks) + backbone.vocabulary_size * width


lengths = np.array([4, 8, 16, 32, 64, 128, 256])
without = [sum(multiplications(n, 0) for n in range(1, length + 1)) for length in lengths]
with_cache = [sum(multiplications(1, n) for n in range(length)) for length in lengths]

# %% tags=["nbval-check-output"]
print(f"{backbone.num_layers} layers, d = {backbone.hidden_dim}, V = {backbone.vocabulary_size}")
print("tokens   without cache   with cache   (multiplications in millions)")
for length, plain, cached in zip(lengths, without, with_cache, strict=True):
    print(f"{length:6} {plain / 1e6:15,.1f} {cached / 1e6:12,.1f}   {plain / cached:6.1f} times")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
left.loglog(lengths, without, marker="o", label="without cache")
left.loglog(lengths, with_cache, marker="s", label="with cache")
left.set(xlabel="tokens generated", ylabel="multiplications")
left.set_title("Without a cache the work grows faster")
left.legend()
right.plot(lengths, np.divide(without, with_cache), marker="o")
right.set(xlabel="tokens generated", ylabel="work without / with cache")
right.set_title("The longer the text, the more is saved")
plt.show()

# %% [markdown]
# Without a cache, a text of twice the length takes twice as many steps, each with twice as many
# tokens: the work grows about with the square of the length, and for long texts faster still,
# because that of attention grows with the cube. With a cache the cost of a token grows slowly: it
# attends to one more token than the one before. The price is memory: two vectors for each token in
# each layer. And the text must fit into the context window, since each position has its own learnt
# embedding.
#
# Does this save time, too? Generate greedily in both ways and compare the times, at three lengths.
# The ratios differ from machine to machine, but the gain should grow with the length. Each is the
# ratio of the medians of five repetitions.


# %%
def write_greedily(length, use_cache):
    """Ids of the greedy text, from END on, and the seconds it took."""
    start, ids, cache = perf_counter(), [END], None
    while len(ids) < length:
        logits, cache = gpt2(ids[-1:], cache) if use_cache else gpt2(ids)
        ids.append(int(logits[-1].argmax()))
    return ids, perf_counter() - start


def measured_ratio(length, repetitions=5):
    """Time without the cache by time with it, and whether all texts are the same."""
    texts, seconds = set(), {False: [], True: []}
    for _ in range(repetitions):
        for use_cache, times in seconds.items():
            ids, took = write_greedily(length, use_cache)
            texts.add(tuple(ids))
            times.append(took)
    return np.median(seconds[False]) / np.median(seconds[True]), len(texts) == 1


for length in [8, 32, 96]:
    ratio, same = measured_ratio(length)
    print(f"{length:2} tokens: {ratio:4.1f} times as fast with the cache; the same texts: {same}")
    assert same
assert ratio > 1.5

# %% [markdown]
# ### The same, compiled
#
# In the code above Python runs between every two tokens, and NumPy runs one operation at a time.
# [generator.py](../utils/generation/generator.py) has the same steps in TensorFlow, and the whole
# loop is compiled into one program. Of the files beside it, read
# [plain_gpt2.py](../utils/generation/plain_gpt2.py) first: it is the model above without a cache,
# under the same names. Does the generator write what we write?

# %%
generate = Generator(model, END)
compiled = generate([[END]], top_k=1)[0]
by_hand, _ = write_greedily(len(compiled), use_cache=True)
print(f"{len(compiled)} tokens, as by hand: {compiled == by_hand}")
print(as_text(compiled))

# %% [markdown]
# That is the greedy tale: at each position the likeliest token, which need not give the likeliest
# tale, as the crow has shown. `top_k=1` always gives this one. Now with sampling. The usual order
# is: first the temperature changes the probabilities, then top-k and top-p cut their tail (our
# generator applies each to the whole distribution). Generate three tales with the settings at the
# top. The prompt there is empty, so the model gets only the END of a previous text. Such tales are
# called **unconditional** samples.

# %%
sampling = {"temperature": args.temperature, "top_k": args.top_k, "top_p": args.top_p}
prompt = [END, *np.asarray(tokenizer(args.prompt)).tolist()] if args.prompt else [END]
for ids in generate([prompt] * 3, length=args.length, seed=args.seed, **sampling):
    print(as_text(ids), "\n" if ids[-1] == END else "…\n")

# %% [markdown]
# ## Valid, and not always the same
#
# They read like tales. Are they? The tales have a grammar, and `parse` of `utils.tales` finds out
# whether a text is one of them: every sentence well-formed, and nothing that contradicts what was
# told before. The share of texts that it accepts we call **validity**.


# %%
def kind_of(text):
    """valid, ungrammatical or inconsistent."""
    try:
        parse(text, "en")
    except NotATale as problem:
        return problem.kind
    return "valid"


def validity(texts):
    return float(np.mean([kind_of(text) == "valid" for text in texts]))


# %% [markdown]
# A model that tells one flawless tale again and again would have full validity. So measure
# **diversity**, too: take all sequences of four neighbouring words, the 4-grams (**n-grams** with
# $n = 4$), and divide the number of different ones by the number of all. (This is *distinct-4*,
# after distinct-1 and distinct-2 of Li and others, *A Diversity-Promoting Objective Function for
# Neural Conversation Models*, 2016.) It falls with the amount of text, so we always take the same
# number of texts; tales are about equally long. Real tales give the value to compare with, and
# other groups of real tales show how much of a difference is chance.


# %%
def diversity(texts, n=4):
    """The share of different runs of n words among all runs of n words."""
    runs = []
    for text in texts:
        parts = text.split()
        runs += [tuple(parts[i : i + n]) for i in range(len(parts) - n + 1)]
    return len(set(runs)) / len(runs)


FEW, MANY = min(16, args.texts), min(100, args.texts)  # texts for diversity and for validity
real = [tale.text for tale in tales]
groups = [diversity(real[start : start + FEW]) for start in range(0, len(real) - FEW + 1, FEW)]
print(f"real tales: validity {validity(real):.0%}, diversity of {len(groups)} groups", end="")
print(f" of {FEW}: {min(groups):.3f} to {max(groups):.3f}")

# %% [markdown]
# First, unconditional tales with the settings at the top. Are any of them copies of tales from the
# training set? A model that had **memorised** its training data would generate such copies.

# %%
BATCH = 100
samples = []
for number, start in enumerate(range(0, args.texts, BATCH)):
    size = min(BATCH, args.texts - start)
    samples += generate([[END]] * size, seed=args.seed + number, **sampling)
texts = [as_text(ids) for ids in samples]
kinds = [kind_of(text) for text in texts]
known = {tale.text for tale in corpus("en", "train")}
for kind in ["valid", "inconsistent", "ungrammatical"]:
    print(f"{kind:14} {kinds.count(kind) / len(kinds):6.1%}")
print(f"copies         {np.mean([text in known for text in texts]):6.1%}", end="")
print(f"   different from each other {len(set(texts)) / len(texts):.1%}")

# %% [markdown]
# No tale is an exact copy; one with a few words changed would not be found in this way.
# *Inconsistent* tales contradict what was told before. *Ungrammatical* means that the grammar of
# the tales cannot make this text, even if it is correct English; a tale without an end is one of
# these, too. Where a tale fails, `parse` says why. Here are the first three reasons, each with the
# sentence.

# %%
for text in [text for text, kind in zip(texts, kinds, strict=True) if kind != "valid"][:3]:
    try:
        parse(text, "en")
    except NotATale as problem:
        print(f"{problem.kind}: {problem}")
        print(f"   {sentences(text)[problem.sentence - 1]}")

# %% [markdown]
# ### All methods, all settings
#
# Now the comparison. Deterministic methods always give the same text for the same beginning, so let
# every method continue the same beginnings: the first eight tokens of real tales. So few texts give
# rough shares: with 100, a difference of ten points may be chance, and with 16, one text is six
# points. (For the settings at the top, the 500 tales above are the better measurement.) The third
# number, the mean log-probability of whole continuations (not of tokens), says how likely they are
# for the model.

# %%
beginnings = [[END, *np.asarray(tokenizer(text))[:8].tolist()] for text in real[:MANY]]
results = {}  # (method, setting): (validity, diversity, mean log-probability)


def log_probability(ids, given):
    """The sum of log p of all ids but the first `given` ones, each after those before it."""
    p = softmax(gpt2(ids[:-1])[0])
    return np.log(p[np.arange(len(p)), ids[1:]])[given - 1 :].sum()


def note(method, setting, rows):
    texts = [as_text(ids) for ids in rows]
    valid, different = validity(texts), diversity(texts[:FEW])
    likely = np.mean([log_probability(ids, len(beginnings[0])) for ids in rows[:FEW]])
    results[method, setting] = valid, different, likely
    print(f"{method:12} {setting or '–':>5}   validity {valid:4.0%} of {len(texts):3}", end="")
    print(f"   diversity {different:.3f} and log p {likely:5.1f} of {FEW}")


# %%
note("greedy", 0, generate(beginnings, top_k=1))
for temperature in [0.3, 0.6, 1.0, 1.4]:
    note("temperature", temperature, generate(beginnings, temperature=temperature, seed=args.seed))
for top_k in [2, 5, 20]:
    note("top-k", top_k, generate(beginnings, top_k=top_k, seed=args.seed))
for top_p in [0.5, 0.8, 0.9, 0.95]:
    note("top-p", top_p, generate(beginnings, top_p=top_p, seed=args.seed))

# %% [markdown]
# Beam search follows several texts at once, and contrastive search tries several candidates in each
# step, so they are slow. They get the first few beginnings only, and we leave them to keras-nlp's
# `generate`. It takes rows of ids, padded to the full length, and a mask that says which of them
# are given.
#
# Its beam search continues even a text that has ended, and each further token lowers the score. In
# our subclass only END may follow END, with probability 1, so the score stays as it is.


# %%
class BeamSearch(keras_nlp.samplers.BeamSampler):
    """Beam search of keras-nlp in which a text that has ended keeps its score."""

    def __init__(self, width, end):
        super().__init__(width)
        self.end = end

    def __call__(self, next, prompt, index=0, **others):
        def next_or_end(ids, cache, position):
            logits, states, cache = next(ids, cache, position)  # logits: (beams, vocabulary)
            at = keras.ops.arange(ids.shape[1])
            ends = (ids == self.end) & (at >= index) & (at < position)  # generated, not given
            ended = keras.ops.any(ends, axis=-1, keepdims=True)  # (beams, 1)
            only_end = keras.ops.where(keras.ops.arange(logits.shape[-1]) == self.end, 0.0, -1e9)
            return keras.ops.where(ended, only_end, logits), states, cache

        return super().__call__(next_or_end, prompt, index=index, **others)


# %%
def library_generate(sampler):
    """Continue the beginnings with a sampler of keras-nlp; ids up to the end of each tale."""
    given = len(beginnings[0])
    ids = np.zeros((FEW, CONTEXT), "int32")
    ids[:, :given] = beginnings[:FEW]
    mask = np.zeros(ids.shape, bool)  # contrastive search applies ~ to it, wrong for 0 and 1
    mask[:, :given] = True
    model.compile(sampler=sampler, jit_compile=True)
    inputs = {"token_ids": ids, "padding_mask": mask}
    rows = np.array(model.generate(inputs, stop_token_ids=(END,))["token_ids"]).tolist()
    return [row[: row.index(END, given) + 1] if END in row[given:] else row for row in rows]


# %%
SEARCHES = 1 if args.texts < 100 else 2  # settings of each of these slow methods
for width in [2, 4][:SEARCHES]:
    note("beam", width, library_generate(BeamSearch(width, END)))
for alpha in [0.2, 0.6][:SEARCHES]:
    note("contrastive", alpha, library_generate(samplers.ContrastiveSampler(k=4, alpha=alpha)))

# %%
figure, axes = plt.subplots(figsize=(7.6, 5))
looks = {  # marker, its size, a letter for the setting
    "temperature": ("o", 7, "T"),
    "top-k": ("s", 7, "k"),
    "top-p": ("^", 7, "p"),
    "beam": ("D", 7, "width"),
    "contrastive": ("X", 8, "α"),
    "greedy": ("*", 15, ""),  # last, on top of others that make the same texts
}
places = {  # of the setting beside its point, where (8, -4) would hide something
    ("temperature", 0.3): (-26, 6),
    ("temperature", 0.6): (-14, 9),
    ("top-k", 2): (-4, -16),
    ("top-k", 5): (-24, -12),
    ("top-k", 20): (-26, -4),
    ("top-p", 0.5): (-6, -24),
    ("top-p", 0.8): (2, -13),
    ("top-p", 0.95): (14, -4),
    ("beam", 2): (8, 3),
    ("contrastive", 0.2): (8, 2),
}
for method, (marker, size, letter) in looks.items():
    points = [(setting, *point) for (name, setting), point in results.items() if name == method]
    few = method in ("beam", "contrastive")  # hollow: measured with fewer texts
    look = {"marker": marker, "markersize": size, "markerfacecolor": "white" if few else None}
    label = f"{method} ({FEW} texts)" if few else method
    settings_, heights, positions, _ = zip(*points, strict=True)
    (line,) = axes.plot(positions, heights, label=label, **look)
    style = {"textcoords": "offset points", "size": 8, "color": line.get_color()}
    for setting, x, y in zip(settings_, positions, heights, strict=True):
        place = places.get((method, setting), (8, -4))
        if letter:
            axes.annotate(f"{letter} {setting}", (x, y), xytext=place, **style)
axes.axvspan(min(groups), max(groups), color="lightgrey", label="groups of real tales")
axes.set(xlabel="diversity: share of different 4-grams", ylabel=f"validity, share of {MANY} texts")
axes.set_title("Validity and diversity of each method and setting")
axes.legend(loc="lower left")
plt.show()

# %%
if args.texts >= 100:  # fewer texts do not tell
    plain, nucleus = results["temperature", 1.0], results["top-p", 0.9]
    assert nucleus[0] > plain[0] + 0.1 and results["temperature", 1.4][0] < plain[0] - 0.2
    searches = ("greedy", "beam", "contrastive")
    alike = [found[1] for (method, _), found in results.items() if method in searches]
    assert max(alike) < min(groups) - 0.1 and min(groups) - 0.02 < nucleus[1] < max(groups) + 0.02
    likely = [results[key][2] for key in [("greedy", 0), ("beam", 2), ("beam", 4)]]
    assert max(likely) - min(likely) < 5 and min(likely) > plain[2] + 5

# %% [markdown]
# Look at the grey band first: it shows how diverse groups of real tales are. A perfect model would
# be in it, at the top. Differences of ten points in validity may be chance.
#
# * **Greedy decoding, beam search and contrastive search** are on the left: they choose the same
#   for similar beginnings, so their tales resemble one another. They do not repeat themselves as
#   the toy did, because our tales are short and the model has learnt to end them. Contrastive
#   search was made against repetition within long texts, which our tales do not have. Beam search
#   finds tales about as likely as the greedy ones (`log p`), not always likelier: it compares
#   beginnings, so a complete tale can lose to one whose unlikely choices are still to come.
# * **Temperature.** As it rises, the points move to the right until they reach the real tales. From
#   there on they only fall: more chance adds mistakes, and hardly any diversity.
# * **Top-k** keeps equally many tokens at each position. With a small $k$ the tales resemble one
#   another; a large $k$ leaves much of the tail, and many mistakes.
# * **Top-p** adapts, because how many tokens make sense changes from position to position. With 0.9
#   there are far fewer mistakes than with plain sampling (temperature 1), and the diversity is
#   about that of real tales.
#
# A temperature of 0.6 comes close to that, too; so few texts cannot tell which is better. The
# course samples with temperature 1 and top-p for another reason: the tokens that are kept keep the
# ratios that the model has learnt, and only the tail is removed, where a model trained for minutes
# is least reliable. At the top, top-p is 0.8: more certain than 0.9, less diverse.

# %% [markdown]
# | method | random | good for |
# |---|---|---|
# | greedy | no | short exact answers, results that can be repeated |
# | temperature | yes | more or less variety |
# | top-k | yes | a simple cut of the tail |
# | top-p | yes | most texts; used in this course |
# | beam search | no | translation |
# | contrastive search | no | long texts without repetition |
#
# ## If your result looks different
#
# * **Validity is much lower everywhere.** Then the model has not learnt enough: compare its loss
#   with the lowest possible one (lesson 8). The choice of the sampling method can hide mistakes of
#   the model, not mend them.
# * **All texts are the same.** You sample with `top_k=1`, or with a temperature near zero. It is
#   intended that every *run* gives the same tales: use another `seed` for others.
# * **Your tales differ from those on this page.** The same seed gives the same tales only with the
#   same parameters, and another processor rounds differently during training.
#
# ## Recap
#
# * A model gives probabilities; how to choose from them is a separate decision.
# * Temperature makes the probabilities more or less equal, top-k and top-p cut their tail, beam
#   search looks for likely texts, contrastive search for likely and new tokens.
# * Validity without diversity is easy, and so is diversity without validity. Measure both.
# * The KV cache stores each token's keys and values, so that a step sends one token through the
#   model instead of the whole text. The logits are the same.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words; the lesson's text has all that you need.
#
# 1. What does the temperature change, and what happens near zero?
# 2. Why cut off the tail of the probabilities, and how does top-p differ from top-k?
# 3. Why can greedy decoding miss the likeliest text, and what does beam search do about it?
# 4. Why does a KV cache not change the logits, and what does it cost?
# 5. Why is validity alone not enough to judge a sampling method?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Write temperature for a batch of logits, (batch, vocabulary), and return probabilities of
# the same shape.


# %%
def batch_temperature(logits, temperature):
    """Return probabilities of the same shape."""
    ...


check.batch_temperature(batch_temperature)

# %% [markdown]
# **2.** *Min-p* is another way to cut the tail: keep the tokens whose probability is at least
# `min_p` times that of the likeliest, and make the rest add to 1. Write it for the probabilities at
# one position.


# %%
def keep_min_p(p, min_p):
    """Return probabilities of the same shape."""
    ...


check.keep_min_p(keep_min_p)

# %% [markdown]
# **3.** How many tokens go through the model, in all, until a text has grown from 1 token to 100?
# Answer with a pair: without a cache, with one. (The last token, once generated, need not go
# through.)

# %%
tokens_read = ...

check.tokens_read(tokens_read)

# %% [markdown]
# **4.** How many numbers does the KV cache of a text hold? `time` is its length in tokens.


# %%
def cache_size(layers, heads, head_dim, time):
    """Return how many numbers the cache holds."""
    ...


check.cache_size(cache_size)

# %% [markdown]
# **5.** At temperature 1 a token is four times as likely as another. How many times as likely is it
# at temperature 0.5?

# %%
ratio = ...

check.ratio(ratio)

# %% [markdown]
# ## Next
#
# Your model continues a tale that you begin. It does not answer. In [lesson 10](10_chat.ipynb) it
# learns to chat: to tell your messages from its own, and to stop when it is your turn.
