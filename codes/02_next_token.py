# %% [markdown]
# # 2. A language model is a classifier
#
# At the end of this lesson you will have trained a model that writes, letter by letter. It writes
# badly, and you will be able to say exactly why, and how much better a model could be.
#
# You need: [lesson 1](01_linear_regression.ipynb): loss, gradient, learning rate.

# %%
from utils.course.settings import settings

args = settings(epochs=10, batch_size=8192, learning_rate=0.05, seed=1)
print(args)

# %%
from collections import Counter
from itertools import pairwise

import keras
import matplotlib.pyplot as plt
import numpy as np

from utils.course.plots import BLUE, GREEN, ORANGE, STYLE
from utils.course.seeds import seed_everything
from utils.exercises import lesson_02 as check
from utils.tales import corpus, floor
from utils.training.progress import Progress

plt.style.use(STYLE)
rng = seed_everything(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## The idea, by hand
#
# A language model answers one question: *what comes next?* Here is a whole language to learn it
# from. Each pair is a letter and the letter that follows it.

# %%
text = "banana"
pairs = list(pairwise(text))
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
# `n` comes `a`. (`axis=1` adds along the rows; `keepdims` leaves the sums as a column, so that the
# division goes row by row.)

# %%
probabilities = counts / counts.sum(axis=1, keepdims=True)  # (3, 3) / (3, 1)
print(probabilities)

# %% [markdown]
# A model that gives a probability to each of a fixed list of answers is a **classifier**; the
# answers are its **classes**. So a language model is a classifier. Its input is what came before,
# and a class is called a **token**. Our tokens are single characters; those of a GPT are larger
# pieces of text.

# %% [markdown]
# ### From scores to probabilities: softmax
#
# A neural network does not count. It computes a score for each class, any number, negative or
# positive, called a **logit**. **Softmax** makes probabilities of the logits $z$: raise $e$ to
# each, which is always positive, and divide by the sum, so that they add to 1.
#
# $$p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$


# %%
def softmax(logits):
    """Probabilities from the logits of one prediction, (classes,) -> (classes,)."""
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


logits = np.array([2.0, 1.0, 0.0])
print(softmax(logits))

# %% [markdown]
# Why subtract the maximum? It changes nothing in the result, since it cancels in the fraction. But
# $e^{1000}$ is too large for a float, and $e^0$ is not.

# %%
print(softmax(logits + 1000))

# %% [markdown]
# ### How wrong: cross-entropy
#
# The loss of one prediction is $-\log p$, with the natural logarithm, where $p$ is the probability
# that the model gave to what really came. Certain and right costs nothing. The less probable the
# truth seemed, the larger the loss. This is the **cross-entropy**, and it is the loss that GPT is
# trained with. Its unit is the **nat**.

# %%
for p in [0.9, 0.5, 0.1, 0.01]:
    print(f"probability {p:4}  loss {-np.log(p):.3f}")

# %% [markdown]
# A loss is hard to feel. Raise $e$ to the mean loss and you get the **perplexity**: among how many
# equally likely choices the model seems to hesitate. A model that has learnt nothing hesitates
# among all.

# %%
classes = 27  # 26 letters and the space
loss_of_guessing = -np.log(1 / classes)
print(f"loss {loss_of_guessing:.3f}, perplexity {np.exp(loss_of_guessing):.1f}")

# %% [markdown]
# ### Which way to go: the gradient
#
# How does the loss change when a logit changes? Insert softmax into the loss and the loss of the
# right class $t$ is $-z_t + \log \sum_j e^{z_j}$. Its derivative is the most pleasant formula of
# the whole course: the probabilities, minus 1 at the right class. That is, *what the model said
# minus what was true*.


# %%
def cross_entropy(logits, target):
    return -np.log(softmax(logits)[target])


def cross_entropy_gradient(logits, target):
    truth = np.zeros_like(logits)
    truth[target] = 1.0
    return softmax(logits) - truth


# %% [markdown]
# As always, nudge each logit a little and compare. Each row of `np.eye(3)` is a **one-hot** vector:
# all zeros, with a single 1.

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
plt.plot(bars, step, "D", color=ORANGE, markersize=7, label="direction of the step")
plt.axhline(0, color="black", linewidth=0.8)
plt.xticks(bars, ["class 0", "class 1", "class 2"])
plt.ylabel("probability")
plt.title("The right logit is pulled up, the others are pushed down")
plt.legend()
plt.show()

# %% [markdown]
# ## Real text
#
# A **corpus** is a body of text to learn from. The course has its own, [the
# tales](../datasets/tales.md): short stories for children that a program makes up. It fills
# sentence patterns, chosen at random, and remembers who is where; such a set of patterns is called
# a *grammar*. Here is one story.

# %%
train_tales = corpus("en", "train", stories=1000)
validation_tales = corpus("en", "validation", stories=300)
print(train_tales[0].text)

# %% [markdown]
# One tale to a line. We train on one part and measure on another that the model never sees, the
# **validation** part, as with the planets of lesson 1.

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
# after all, the loss is infinite. So we pretend to have seen every pair a hundredth of a time more.
# This is called **smoothing**.

# %%
SMOOTHING = 0.01
smoothed = counts + SMOOTHING
table = smoothed / smoothed.sum(axis=1, keepdims=True)  # (vocabulary, vocabulary)

# %% [markdown]
# Here is the part of the table for the twenty most common characters, the vowels first. Each row
# says what follows; what is missing to 1 goes to the characters left out.

# %%
common = np.argsort(counts.sum(axis=1))[::-1][:20]
letters = sorted(common, key=lambda i: (alphabet[i] not in " aeiou", alphabet[i]))
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
# word. How good is the table as a model? For each pair of the text, look up the probability that
# the table gives to what came; the loss is the mean of $-\log$ of it.


# %%
def table_loss(table, ids):
    """Mean of −log p(next | this), in nats per character."""
    return -np.log(table[ids[:-1], ids[1:]]).mean()


counted_loss = table_loss(table, train_ids)
print(f"training {counted_loss:.4f}, validation {table_loss(table, validation_ids):.4f}")

# %% [markdown]
# ## The same in Keras
#
# One `Dense` layer without a bias can hold the same table. Its input is the character as a one-hot
# vector, with the 1 at its id. A one-hot vector times a matrix picks one row, so each row of the
# weights holds the logits for what follows one character. The gradient that you have checked is the
# gradient of that row.
#
# There is no softmax in the model: the loss applies it, hence `from_logits=True`. *Sparse* means
# that the right answer is given as an id, not as a one-hot vector.

# %%
model = keras.Sequential(
    [
        keras.Input((), dtype="int32"),  # one id
        keras.layers.CategoryEncoding(vocabulary_size, output_mode="one_hot"),
        keras.layers.Dense(vocabulary_size, use_bias=False, kernel_initializer="zeros"),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer=keras.optimizers.Adam(args.learning_rate), loss=loss)
print(f"{model.count_params():,} parameters = {vocabulary_size} × {vocabulary_size}")

# %% [markdown]
# Which weights would make it equal to the table? Softmax raises $e$ to the weights, so put in the
# **logarithm of the (smoothed) counts**; the division by the row's sum is what softmax does anyway.

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
# goes: parameters with small gradients, such as those of rare characters, need not wait for the
# others. Each step now takes a **batch** of pairs, so an epoch is many steps.
#
# `loss` is the mean over an epoch, during which the model was still learning; `val_loss` is
# measured after it, on the validation part.

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
# Gradient descent has very nearly found what counting finds, and nobody told it to count. What is
# missing are the pairs that never occur: their weights would have to go to minus infinity.
#
# Are the weights the logarithms of the counts? Softmax does not notice when all logits of a row
# rise together, so compare the logarithms of the probabilities, where such a shift is gone.

# %%
weights = model.get_weights()[0].astype("float64")  # (vocabulary, vocabulary)
log_learnt = np.log([softmax(row) for row in weights])
log_counted = np.log(table)
often = counts >= 100
difference = np.abs(log_learnt - log_counted)[often]
print(f"{often.sum()} pairs seen 100 times or more: their probabilities differ", end="")
print(f" by {np.expm1(np.median(difference)):.0%} (median)")

# %%
rare = (counts > 0) & ~often
plt.plot(log_counted[often], log_learnt[often], ".", color=BLUE, label="seen 100 times or more")
plt.plot(log_counted[rare], log_learnt[rare], "x", color=ORANGE, label="rarer pairs", markersize=5)
plt.axline((0, 0), slope=1, color="black", linewidth=0.8)
plt.xlabel("log of the counted probability")
plt.ylabel("log of the learnt one")
plt.title("Training finds the logarithms of the counted probabilities")
plt.legend()
plt.show()

# %% [markdown]
# ## Let it write
#
# To write, look up the row of the last character, draw the next one with these probabilities,
# append # it, and repeat. Every GPT writes by this loop; only the model inside is larger, and looks
# farther back.


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
# ## Why it cannot remember
#
# One character of memory has cut the hesitation a lot. But one character is all that the bigram
# model sees. The three texts below end in a space, and to the model that makes them the same: one
# row of the table, one and the same answer.

# %%
for context in ["Once upon a ", "flew through the ", "said "]:
    row = table[id_of[context[-1]]]
    likely = np.argsort(row)[::-1][:5]
    print(f"{context!r:20} →", ", ".join(f"{alphabet[i]!r} {row[i]:.2f}" for i in likely))

# %% [markdown]
# So let it see more. Count which character follows each *pair*, each *triple*, and so on: an
# **n-gram** model. What it sees is called its **context**. A table with a row for every possible
# context no longer fits into memory, so we keep a dictionary of those that occurred.


# %%
def count_runs(text, length):
    """How often each run of `length` characters occurs."""
    return Counter(text[i : i + length] for i in range(len(text) - length + 1))


def ngram_loss(text, length, runs, contexts):
    """Mean loss per character, in nats, when `length` characters are seen."""
    total = 0.0
    for i in range(length, len(text)):
        context, run = text[i - length : i], text[i - length : i + 1]
        # Every possible next character is seen SMOOTHING times more, hence the sum below the line.
        seen = contexts[context] + SMOOTHING * vocabulary_size
        total -= np.log((runs[run] + SMOOTHING) / seen)
    return total / (len(text) - length)


# %%
lengths = [0, 1, 2, 3, 4, 6, 8, 10, 12]
train_losses, validation_losses = [], []
part_of_training = train_text[: len(validation_text)]
for length in lengths:
    runs, contexts = count_runs(train_text, length + 1), count_runs(train_text, length)
    train_losses.append(ngram_loss(part_of_training, length, runs, contexts))
    validation_losses.append(ngram_loss(validation_text, length, runs, contexts))
    print(f"sees {length:2}: {len(contexts):7,} contexts", end="")
    print(f"   training {train_losses[-1]:.3f}   validation {validation_losses[-1]:.3f}")

# %% [markdown]
# At first each character of memory helps a lot. Then validation stops improving and turns back,
# while training goes on falling: the table has more and more rows, each was seen only a few times,
# and a new tale brings contexts that it has never met. A table cannot use what it knows about *"the
# cat"* for *"the dog"*.
#
# How good could a model be? For ordinary text nobody knows. For the tales we do. The program that
# made up a tale drew each choice with a known probability; multiply these, and you have the
# probability of the tale. Its $-\log$, per character, is the loss of a model that knows the program
# by heart. On average no model can be better: this is the **floor**.

# %%
lowest, standard_error = floor(validation_tales)
print(f"floor {lowest:.4f} nats per character (standard error {standard_error:.4f})")
print(f"perplexity {np.exp(lowest):.2f}")
assert lowest < min(validation_losses)

# %%
plt.plot(lengths, train_losses, marker="o", label="training")
plt.plot(lengths, validation_losses, marker="s", label="validation")
plt.axhline(lowest, color=GREEN, linestyle=":", label="floor: no model can be lower")
plt.xlabel("characters the model sees")
plt.ylabel("loss, nats per character")
plt.title("Longer contexts help, until the table only memorises")
plt.legend()
plt.show()

# %% [markdown]
# Once a tale has begun, most of its characters are all but certain, for one who understands it.
# Between the best table and that floor lies a wide gap, and the rest of this course is the way
# down. It takes three ideas: better pieces than letters (lesson 3), vectors that let similar things
# share what was learnt (lesson 4), and attention, which looks far back without a table (lesson 5).

# %% [markdown]
# ## If your result looks different
#
# * **The first loss is not the logarithm of the alphabet's size.** Then the logits are not all
#   equal at the start, or the loss is told `from_logits=False` while it gets logits.
# * **The trained loss stays far above the counted one.** Train for more epochs; the rare rows are
#   last.
# * **Your sample reads differently.** It should: it is drawn at random, from `seed`.

# %% [markdown]
# ## Recap
#
# * A language model is a classifier whose classes are the possible next tokens.
# * Softmax makes probabilities of logits; the cross-entropy is large when the truth seemed
#   improbable; its gradient is what was said minus what was true.
# * One `Dense` layer on one-hot characters is a bigram table, and its weights are the logarithms of
#   the counts, up to a shift of each row.
# * A model that guesses starts at the logarithm of the number of classes. Perplexity is $e$ to the
#   loss.
# * Tables cannot remember far, because similar contexts share nothing.

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Our softmax takes the logits of one prediction. Write it for a batch of them, without a
# loop: the shape is (batch, classes), and each row must add to 1.


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
# **4.** Count the *triples* of an array of ids: entry (i, j, k) says how often i, j, k stand in a
# row.


# %%
def count_triples(ids, vocabulary_size):
    """Return an array of shape (vocabulary_size, vocabulary_size, vocabulary_size)."""
    ...


check.count_triples(count_triples)

# %% [markdown]
# **5.** The logits are (0, 0, 0, 0) and class 2 is the right one, counted from 0. What is the
# gradient of the loss, four numbers?

# %%
gradient = ...

check.gradient(gradient)

# %% [markdown]
# ## Next
#
# Characters are the smallest pieces of text, and too small. In lesson 3 you will write the
# tokenizer of GPT-2: pieces between letters and words, learnt from the text itself.
