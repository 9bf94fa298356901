# %% [markdown]
# # 2. A language model is a classifier
#
# At the end of this lesson you will have trained a model that writes, letter by letter. It writes
# badly, and you will be able to say exactly why, and how much better a model could be.
#
# You need: [lesson 1](01_linear_regression.ipynb): loss, gradient, learning rate.

# %%
from utils.settings import settings

args = settings(epochs=10, batch_size=8192, learning_rate=0.05, seed=1)
print(args)

# %%
from collections import Counter

import keras
import matplotlib.pyplot as plt
import numpy as np

from utils.exercises import lesson_02 as check
from utils.plots import BLUE, GREEN, ORANGE, STYLE
from utils.seeds import seed_everything
from utils.tales import corpus, floor
from utils.training import Progress

plt.style.use(STYLE)
rng = seed_everything(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## The idea, by hand
#
# A language model answers one question: *what comes next?* Here is a whole language to learn it
# from. After every letter stands the letter that follows it.

# %%
text = "banana"
pairs = list(zip(text, text[1:], strict=False))
print(pairs)

# %% [markdown]
# Count the pairs, and you have the simplest language model there is, a **bigram** model: row = the
# letter we see, column = the letter that follows.

# %%
alphabet = sorted(set(text))
counts = np.zeros((3, 3))
for seen, following in pairs:
    counts[alphabet.index(seen), alphabet.index(following)] += 1
print(alphabet)
print(counts)

# %% [markdown]
# Divide each row by its sum and the counts are probabilities: after `a` comes `n`, always. After
# `n` comes `a`.

# %%
probabilities = counts / counts.sum(axis=1, keepdims=True)  # each row adds to 1
print(probabilities)

# %% [markdown]
# So a language model is a **classifier**. Its classes are the letters; its input is what came
# before. GPT does the same with some fifty thousand classes and a longer past.

# %% [markdown]
# ### From scores to probabilities: softmax
#
# A neural network does not count. It computes a score for each class, any number from minus to plus
# infinity, called a **logit**. **Softmax** makes probabilities of logits: raise $e$ to each, divide
# by the sum.


# %%
def softmax(logits):
    """Probabilities from logits, along the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


logits = np.array([2.0, 1.0, 0.0])
print(softmax(logits))

# %% [markdown]
# Why subtract the maximum? It changes nothing in the result, since it cancels in the fraction, but
# $e^{1000}$ is too large for a computer, and $e^0$ is not.

# %%
print(softmax(logits + 1000))

# %% [markdown]
# ### How wrong: cross-entropy
#
# The loss of one prediction is $-\log p$, where $p$ is the probability that the model gave to what
# really came. Certain and right costs nothing. The less probable the truth seemed, the larger the
# loss. This is the **cross-entropy**, and it is the loss that GPT is trained with.

# %%
for p in [1.0, 0.5, 0.1, 0.01]:
    print(f"probability {p:4}  loss {np.log(1 / p):.3f}")

# %% [markdown]
# A loss is hard to feel. Raise $e$ to it and you get the **perplexity**: among how many equally
# likely choices the model seems to hesitate. A model that has learnt nothing hesitates among all.

# %%
classes = 27
loss_of_guessing = -np.log(1 / classes)
print(f"loss {loss_of_guessing:.3f}, perplexity {np.exp(loss_of_guessing):.1f}")

# %% [markdown]
# ### Which way to go: the gradient
#
# How does the loss change when a logit changes? The answer is the most pleasant formula of the
# whole course: the gradient is the probabilities, minus 1 at the right class. That is, *what the
# model said minus what was true*.


# %%
def cross_entropy(logits, target):
    return -np.log(softmax(logits)[target])


def cross_entropy_gradient(logits, target):
    truth = np.zeros_like(logits)
    truth[target] = 1.0
    return softmax(logits) - truth


# %% [markdown]
# As always, nudge each logit a little and compare.

# %%
target, nudge = 1, 1e-6
nudged = [cross_entropy(logits + nudge * one_hot, target) for one_hot in np.eye(3)]
by_nudging = (np.array(nudged) - cross_entropy(logits, target)) / nudge
print("formula", cross_entropy_gradient(logits, target))
print("nudging", by_nudging)
assert np.allclose(by_nudging, cross_entropy_gradient(logits, target), atol=1e-5)

# %%
bars = np.arange(3)
plt.bar(bars - 0.2, softmax(logits), width=0.4, label="what the model said", color=BLUE)
plt.bar(bars + 0.2, np.eye(3)[target], width=0.4, label="what was true", color="lightgrey")
step = -cross_entropy_gradient(logits, target)
plt.plot(bars, step, "D", color=ORANGE, markersize=7, label="the step that training takes")
plt.axhline(0, color="black", linewidth=0.8)
plt.xticks(bars, ["class 0", "class 1", "class 2"])
plt.title("The right logit is pulled up, the others are pushed down")
plt.legend()
plt.show()

# %% [markdown]
# ## Real text
#
# The course has a corpus of its own: [the tales](../datasets/tales.md), short stories for children
# that a grammar of ours tells. Here is the first.

# %%
train_tales = corpus("en", "train", stories=1000)
validation_tales = corpus("en", "validation", stories=300)
print(train_tales[0].text)

# %% [markdown]
# One tale to a line. We train on one part and measure on the other, which the model never sees.

# %%
train_text = "\n".join(tale.text for tale in train_tales)
validation_text = "\n".join(tale.text for tale in validation_tales)
alphabet = sorted(set(train_text))
print(f"{len(train_text):,} characters to train on, {len(validation_text):,} to measure")
print(f"{len(alphabet)} different ones: {''.join(alphabet)!r}")

# %% [markdown]
# A network needs numbers. Each character gets one: its place in the alphabet, its **id**.

# %%
vocabulary_size = len(alphabet)
id_of = {character: number for number, character in enumerate(alphabet)}


def encode(text):
    return np.array([id_of[character] for character in text])


def decode(ids):
    return "".join(alphabet[i] for i in ids)


train_ids, validation_ids = encode(train_text), encode(validation_text)
print(encode("Once upon"), "→", decode(encode("Once upon")))

# %% [markdown]
# Count all pairs, as with the banana. `np.add.at` adds 1 at every (row, column) of a long list.

# %%
counts = np.zeros((vocabulary_size, vocabulary_size))
np.add.at(counts, (train_ids[:-1], train_ids[1:]), 1)
print(f"{int(counts.sum()):,} pairs, {np.mean(counts == 0):.0%} of the table is empty")

# %% [markdown]
# Empty cells are a problem: a pair that never occurred gets the probability 0, and if it comes
# after all, the loss is infinite. So we pretend to have seen every pair one hundredth of a time.
# This is called **smoothing**.

# %%
smoothed = counts + 0.01
table = smoothed / smoothed.sum(axis=1, keepdims=True)  # (vocabulary, vocabulary)

# %%
letters = [id_of[c] for c in " aeioubcdfghlmnrstwy"]
names = [alphabet[i].replace(" ", "␣") for i in letters]
figure, axes = plt.subplots(figsize=(6.4, 5.4))
image = axes.imshow(table[np.ix_(letters, letters)], vmin=0)
axes.set(xticks=range(len(names)), xticklabels=names, xlabel="next character")
axes.set(yticks=range(len(names)), yticklabels=names, ylabel="this character")
axes.grid(False)
axes.set_title("After each character, what comes next? (␣ is a space)")
figure.colorbar(image, label="probability")
plt.show()

# %% [markdown]
# You can read English off the picture: after `h` comes `e`, after many letters comes the end of the
# word. How good is the table as a model? Its loss on text, per character:


# %%
def table_loss(table, ids):
    """Mean of −log p(next | this), in nats per character."""
    return -np.log(table[ids[:-1], ids[1:]]).mean()


counted_loss = table_loss(table, train_ids)
print(f"training {counted_loss:.4f}, validation {table_loss(table, validation_ids):.4f}")

# %% [markdown]
# ## The same in Keras
#
# One `Dense` layer without a bias can hold the same table. Its input is the character as a
# **one-hot** vector: all zeros, with a 1 at its id. A one-hot vector times a matrix picks one row,
# so each row of the weights holds the logits for what follows one character.

# %%
model = keras.Sequential(
    [
        keras.Input((), dtype="int32"),
        keras.layers.CategoryEncoding(vocabulary_size, output_mode="one_hot"),
        keras.layers.Dense(vocabulary_size, use_bias=False, kernel_initializer="zeros"),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer=keras.optimizers.Adam(args.learning_rate), loss=loss)
print(f"{model.count_params():,} parameters")

# %% [markdown]
# Which weights would make it equal to the table? Softmax raises $e$ to the weights, so put in the
# **logarithm of the counts**; the division by the row sum is the one that softmax does anyway.

# %%
model.set_weights([np.log(smoothed)])
keras_loss = model.evaluate(train_ids[:-1], train_ids[1:], batch_size=65536, verbose=0)
print(f"counted {counted_loss:.5f}, Keras {keras_loss:.5f}")
assert abs(counted_loss - keras_loss) < 1e-4

# %% [markdown]
# Now forget the counts and train from zero, by descending along the gradient. With all weights at
# zero every character is equally likely, so the first loss must be the logarithm of the size of the
# alphabet. Check that whenever you start a training: it is the cheapest test there is.

# %%
model.set_weights([np.zeros((vocabulary_size, vocabulary_size))])
first_loss = model.evaluate(train_ids[:-1], train_ids[1:], batch_size=65536, verbose=0)
print(f"before training {first_loss:.4f}, log({vocabulary_size}) = {np.log(vocabulary_size):.4f}")
assert abs(first_loss - np.log(vocabulary_size)) < 1e-3

# %% [markdown]
# `Adam` is gradient descent with a step size of its own for each parameter, which it adapts as it
# goes. Rare characters have small gradients; Adam does not let them wait. Every step takes a
# **batch** of pairs instead of all of them.

# %%
history = model.fit(
    train_ids[:-1],
    train_ids[1:],
    batch_size=args.batch_size,
    epochs=args.epochs,
    validation_data=(validation_ids[:-1], validation_ids[1:]),
    validation_batch_size=65536,
    verbose=0,
    callbacks=[Progress()],
)

# %%
trained_loss = model.evaluate(train_ids[:-1], train_ids[1:], batch_size=65536, verbose=0)
print(f"trained {trained_loss:.4f}, counted {counted_loss:.4f}")
print(f"difference {trained_loss - counted_loss:.4f}")

# %% [markdown]
# Gradient descent has found what counting finds, without being told to count. Are the weights the
# logarithms of the counts, too? A softmax does not notice when all logits of a row rise together,
# so compare the logarithms of the probabilities, where such a shift is gone.

# %%
log_learnt = np.log(softmax(model.get_weights()[0].astype("float64")))
log_counted = np.log(table)
often = counts >= 100
difference = np.abs(log_learnt - log_counted)[often]
print(f"{often.sum()} pairs seen 100 times or more, median difference {np.median(difference):.3f}")

# %%
plt.plot(log_counted[counts > 0], log_learnt[counts > 0], ".", color=ORANGE, label="rarer pairs")
plt.plot(log_counted[often], log_learnt[often], ".", color=BLUE, label="seen 100 times or more")
plt.axline((0, 0), slope=1, color="black", linewidth=0.8)
plt.xlabel("log of the counted probability")
plt.ylabel("log of the learnt one")
plt.title("The weights that training finds are the logarithms of the counts")
plt.legend()
plt.show()

# %% [markdown]
# ## Let it write
#
# To write, look up the row of the last character, draw the next one with these probabilities,
# append it, and repeat. Every GPT writes by this loop. Only the model inside is larger.


# %%
def write(table, length, rng):
    """Draw `length` characters, starting after a line break."""
    ids = [id_of["\n"]]
    for _ in range(length):
        ids.append(rng.choice(vocabulary_size, p=table[ids[-1]]))
    return decode(ids[1:])


learnt_table = np.exp(log_learnt)
print(write(learnt_table, 300, rng))

# %% [markdown]
# It has the feel of English, in two-letter pieces. Compare with a model that knows only how
# frequent each character is, and with one that knows nothing.

# %%
frequency = counts.sum(axis=0) / counts.sum()  # (vocabulary,)
unigram_table = np.tile(frequency, (vocabulary_size, 1))
uniform_table = np.full_like(table, 1 / vocabulary_size)
print("nothing:    ", repr(write(uniform_table, 70, rng)))
print("frequencies:", repr(write(unigram_table, 70, rng)))

# %%
models = {"nothing": uniform_table, "frequencies": unigram_table}
models |= {"pairs, counted": table, "pairs, trained": learnt_table}
print(f"{'what it knows':16} {'loss':>6} {'perplexity':>11}   (on held-out tales)")
for name, candidate in models.items():
    validation_loss = table_loss(candidate, validation_ids)
    print(f"{name:16} {validation_loss:6.3f} {np.exp(validation_loss):11.1f}")

# %% [markdown]
# ## Why it forgets
#
# The bigram model sees one character. All of these end in a space, and to the model that makes them
# the same: one row of the table, one and the same answer.

# %%
for past in ["Once upon a ", "flew through the ", "said "]:
    likely = np.argsort(table[id_of[past[-1]]])[::-1][:5]
    guesses = ", ".join(f"{alphabet[i]!r} {table[id_of[past[-1]], i]:.2f}" for i in likely)
    print(f"{past!r:20} → {guesses}")

# %% [markdown]
# So let it see more. Count which character follows each *pair*, each *triple*, and so on: an
# **n-gram** model. A table with a row for every possible past no longer fits, so we keep a
# dictionary with the pasts that occurred.


# %%
def count_contexts(text, length):
    """How often each run of `length` characters occurs."""
    return Counter(text[i : i + length] for i in range(len(text) - length + 1))


def ngram_loss(text, past, runs, pasts, smoothing=0.1):
    """Mean loss per character when `past` characters are seen, in nats."""
    total = 0.0
    for i in range(past, len(text)):
        seen, run = text[i - past : i], text[i - past : i + 1]
        total -= np.log((runs[run] + smoothing) / (pasts[seen] + smoothing * vocabulary_size))
    return total / (len(text) - past)


# %%
lengths = [0, 1, 2, 3, 4, 6, 8, 10, 12]
train_losses, validation_losses = [], []
sample = train_text[: len(validation_text)]
for past in lengths:
    runs, pasts = count_contexts(train_text, past + 1), count_contexts(train_text, past)
    train_losses.append(ngram_loss(sample, past, runs, pasts))
    validation_losses.append(ngram_loss(validation_text, past, runs, pasts))
    print(f"sees {past:2}: {len(pasts):7,} pasts", end="")
    print(f"   training {train_losses[-1]:.3f}   validation {validation_losses[-1]:.3f}")

# %% [markdown]
# At first each character of memory helps a lot. Then the gain stops and turns into a loss: the
# table has more and more rows, each was seen only a few times, and in a new tale there are pasts
# that it has never met. A table cannot use what it knows about *"the cat"* for *"the dog"*.
#
# How good could a model be? Of ordinary text nobody knows. Of the tales we do: they come from a
# grammar, the grammar knows the exact probability of every tale, and no model can be better than
# that on average. This lowest possible loss is the **floor**.

# %%
lowest, standard_error = floor(validation_tales)
print(f"floor {lowest:.3f} ± {standard_error:.3f} nats per character")
assert lowest < min(validation_losses)

# %%
plt.plot(lengths, train_losses, label="training")
plt.plot(lengths, validation_losses, label="validation")
plt.axhline(lowest, color=GREEN, linestyle=":", label="floor: no model can be lower")
plt.xlabel("characters the model sees")
plt.ylabel("loss, nats per character")
plt.title("Counting longer pasts helps, until it only memorises")
plt.legend()
plt.show()

# %% [markdown]
# Between the best table and the floor lies a wide gap, and the rest of this course is the way down.
# It takes three ideas: better pieces than letters (lesson 3), vectors that let similar things share
# what was learnt (lesson 4), and attention, which looks far back without a table (lesson 5).

# %% [markdown]
# ## If your result looks different
#
# * **The first loss is not the logarithm of the alphabet's size.** Then the logits are not all
#   equal at the start, or the loss is told `from_logits=False` while it gets logits.
# * **The trained loss stays above the counted one.** Train for more epochs; the rare rows are last.
# * **Your sample reads differently.** It should: it is drawn at random, from `seed`.

# %% [markdown]
# ## Recap
#
# * A language model is a classifier whose classes are the possible next tokens.
# * Softmax makes probabilities of logits; cross-entropy is the surprise at the truth; its gradient
#   is what was said minus what was true.
# * One `Dense` layer on one-hot characters is a bigram table, and its weights are the logarithms of
#   the counts.
# * A model that guesses starts at the logarithm of the number of classes. Perplexity is $e$ to the
#   loss.
# * Tables forget, because they cannot share between similar pasts.

# %% [markdown]
# ## Check yourself
#
# **1.** Write softmax for a whole batch of logits: shape (batch, classes), each row adds to 1.


# %%
def batch_softmax(logits):
    """Return probabilities of the same shape."""
    ...


check.batch_softmax(batch_softmax)

# %% [markdown]
# **2.** Write the loss of a batch: logits of shape (batch, classes), targets of shape (batch,), one
# number back.


# %%
def batch_cross_entropy(logits, targets):
    """Return the mean cross-entropy, in nats."""
    ...


check.batch_cross_entropy(batch_cross_entropy)

# %% [markdown]
# **3.** A model gives the right character the probabilities 0.5, 0.25 and 0.125 at three places.
# What is its perplexity?

# %%
perplexity = ...

check.perplexity(perplexity)

# %% [markdown]
# **4.** Count the pairs of a list of ids: a matrix whose entry (i, j) says how often j follows i.


# %%
def count_pairs(ids, vocabulary_size):
    """Return an array of shape (vocabulary_size, vocabulary_size)."""
    ...


check.count_pairs(count_pairs)

# %% [markdown]
# **5.** The logits are (0, 0, 0, 0) and class 2 is the right one. What is the gradient of the loss?

# %%
gradient = ...

check.gradient(gradient)

# %% [markdown]
# ## Next
#
# Characters are the smallest pieces of text, and too small. In lesson 3 you will write the
# tokenizer of GPT-2: pieces between letters and words, learnt from the text itself.
