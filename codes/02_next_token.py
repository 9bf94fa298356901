# %% [markdown]
# # 2. A language model is a classifier
#
# At the end of this lesson you will have trained a **language model** that generates text letter by
# letter. The text is bad, and you will be able to say exactly why, and how much better a model
# could be.
#
# You need: loss, gradient, learning rate and training and test sets, from
# [lesson 1](01_linear_regression.ipynb), and the logarithm.

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
# A language model answers one question: *what comes next?* Here is a tiny text to learn it from.
# Each pair is a letter and the letter that follows it.

# %%
text = "banana"
pairs = list(pairwise(text))
print(pairs)

# %% [markdown]
# Count the pairs, and you have one of the simplest language models, the **bigram** model. Each row
# of the table is a letter; each column is a letter that may follow it.

# %%
alphabet = sorted(set(text))
counts = np.zeros((3, 3))
for seen, following in pairs:
    counts[alphabet.index(seen), alphabet.index(following)] += 1
print(alphabet)
print(counts)

# %% [markdown]
# Divide each row by its sum, and the counts become probabilities: `a` is always followed by `n`,
# and `n` by `a`. (`axis=1` adds along the rows. `keepdims` keeps the sums as a column, so that each
# row is divided by its own sum.)

# %%
probabilities = counts / counts.sum(axis=1, keepdims=True)  # (3, 3) / (3, 1)
print(probabilities)

# %% [markdown]
# A model that gives a probability to each item of a fixed list is a **classifier**, and the items
# are its **classes**. So a language model is a classifier. Its input is the text so far, and its
# classes are the possible next **tokens**; the list of all tokens is the **vocabulary**. Our tokens
# are single characters. Those of a GPT are larger pieces of text.

# %% [markdown]
# ### From scores to probabilities: softmax
#
# A neural network does not count. It computes a score for each class, called a **logit**, which may
# be any number, negative or positive. **Softmax** turns the logits $z$ into probabilities: it
# raises $e$ to each of them, which makes them positive, and divides by the sum, so that the
# probabilities add up to 1.
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
# Why subtract the maximum? The result stays the same, because numerator and denominator get the
# same factor, which cancels. But $e^{1000}$ is too large for a float, and $e^0$ is not.

# %%
print(softmax(logits + 1000))

# %% [markdown]
# ### How wrong: cross-entropy
#
# The class that really came is the **target** (or label). The loss of one prediction is $-\log p$,
# where $p$ is the probability that the model gave to the target. It is also called the
# **surprisal**: zero for a target that was certain, and larger the less probable the target seemed.
# With the natural logarithm its unit is the **nat**.

# %%
for p in [0.9, 0.5, 0.1, 0.01]:
    print(f"probability {p:4}  loss {-np.log(p):.3f}")

# %% [markdown]
# The mean of these losses over many predictions is the **cross-entropy**. It is the loss that GPT
# is trained with.
#
# Such a number is hard to picture. Raise $e$ to the mean loss, and you get the **perplexity**: a
# model with this loss is as uncertain as one that chooses among that many equally likely tokens. A
# model that has learnt nothing is as uncertain as one that chooses among all of them.

# %%
classes = 27  # 26 letters and the space
loss_of_guessing = -np.log(1 / classes)
print(f"loss {loss_of_guessing:.3f}, perplexity {np.exp(loss_of_guessing):.1f}")

# %% [markdown]
# ### In which direction: the gradient
#
# How does the loss change when a logit changes? Insert softmax into the loss: for the target $t$ it
# is $-z_t + \log \sum_j e^{z_j}$. By the chain rule, the derivative of the logarithm with respect
# to $z_i$ is $e^{z_i} / \sum_j e^{z_j}$, the probability $p_i$. So the derivative of the loss with
# respect to the logits is one of the simplest formulas of the course: *predicted minus true
# probabilities*. The true ones are 1 for the target and 0 for every other class.


# %%
def cross_entropy(logits, target):
    return -np.log(softmax(logits)[target])


def cross_entropy_gradient(logits, target):
    truth = np.zeros_like(logits)
    truth[target] = 1.0
    return softmax(logits) - truth


# %% [markdown]
# As in lesson 1, check the formula by finite differences. Each row of `np.eye(3)` is a **one-hot**
# vector: all zeros, with a single 1. Adding a small multiple of it changes one logit.


# %%
def finite_differences(loss, logits, target, nudge=1e-6):
    """The gradient of loss(logits, target), by changing one logit at a time."""
    nudged = [loss(logits + nudge * one_hot, target) for one_hot in np.eye(len(logits))]
    return (np.array(nudged) - loss(logits, target)) / nudge


target = 1
print("formula           ", cross_entropy_gradient(logits, target))
print("finite differences", finite_differences(cross_entropy, logits, target))
assert np.allclose(
    finite_differences(cross_entropy, logits, target),
    cross_entropy_gradient(logits, target),
    atol=1e-5,
)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
bars = np.arange(3)
left.bar(bars - 0.2, softmax(logits), width=0.4, label="predicted", color=BLUE)
left.bar(bars + 0.2, np.eye(3)[target], width=0.4, label="true", color="lightgrey", hatch="//")
left.set(title="Predicted and true probabilities", ylabel="probability")
left.legend()
right.bar(bars, -cross_entropy_gradient(logits, target), width=0.4, color=ORANGE)
right.axhline(0, color="black", linewidth=0.8)
right.set(title="A step changes the logits in proportion to this")
right.set_ylabel("true minus predicted probability")
for axes in (left, right):
    axes.set_xticks(bars, ["class 0", "class 1 (target)", "class 2"])
plt.show()

# %% [markdown]
# A step of gradient descent goes against the gradient, so it raises the logit of the target and
# lowers all others, each in proportion to the error of its probability.

# %% [markdown]
# ### Why not the squared error?
#
# Lesson 1 used the mean squared error. Why another loss here? There are two reasons.
#
# 1. **It measures the probability of the text.** A language model gives a text the product of the
#    probabilities of its tokens. The logarithm turns the product into a sum, so the lowest
#    cross-entropy means the highest probability of the training text. This is called **maximum
#    likelihood**.
# 2. **Its gradient stays large when the model is wrong.** Where a probability is close to zero or
#    one, changing a logit hardly changes it. So the gradient of the squared error nearly vanishes
#    there, and a model that is certain of a wrong class learns almost nothing. In the cross-entropy
#    the logarithm cancels this effect.
#
# Here are two classes. The logit of the wrong one rises, so the model becomes more and more certain
# of it.


# %%
def squared_error(logits, target):
    return np.sum((softmax(logits) - np.eye(len(logits))[target]) ** 2)


print("p(target)   gradient of the target's logit: cross-entropy   squared error")
for logit_of_wrong in [0.0, 2.0, 5.0, 10.0]:
    two = np.array([logit_of_wrong, 0.0])  # class 1 is the target
    gradients = [finite_differences(loss, two, 1)[1] for loss in (cross_entropy, squared_error)]
    print(f"{softmax(two)[1]:9.5f} {gradients[0]:46.4f} {gradients[1]:15.4f}")

# %% [markdown]
# ## Real text
#
# A **corpus** is a collection of text to learn from. The course has its own, [the
# tales](../datasets/tales.md): short children's stories that a program generates. The program
# chooses sentence patterns at random, fills them with words, and keeps track of who is where. Such
# a set of patterns with probabilities is a *probabilistic grammar*. Here is one story.

# %%
train_tales = corpus("en", "train", stories=1000)
validation_tales = corpus("en", "validation", stories=300)
print(train_tales[0].text)

# %% [markdown]
# Put one tale on each line. The model is trained on the **training set** and measured on the
# **validation set**, which is **held out**: never trained on, like the test set of lesson 1.

# %%
train_text = "\n".join(tale.text for tale in train_tales)
validation_text = "\n".join(tale.text for tale in validation_tales)
alphabet = sorted(set(train_text))
print(f"{len(train_text):,} characters to train on, {len(validation_text):,} to measure")
print(f"{len(alphabet)} different ones: {''.join(alphabet)!r}")

# %% [markdown]
# A network needs numbers. Each character gets one, its **id**: its position in the sorted alphabet.

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
# Count all pairs, as in `banana`. `np.add.at` adds 1 at every (row, column) of a long list.

# %%
counts = np.zeros((vocabulary_size, vocabulary_size))
np.add.at(counts, (train_ids[:-1], train_ids[1:]), 1)
print(f"{int(counts.sum()):,} pairs, {np.mean(counts == 0):.0%} of the table is empty")

# %% [markdown]
# Empty cells are a problem. A pair that never occurred gets the probability 0, and if it occurs in
# another text, the loss is infinite. So add a small number to every count. This is **additive
# smoothing**.

# %%
SMOOTHING = 0.01
smoothed = counts + SMOOTHING
table = smoothed / smoothed.sum(axis=1, keepdims=True)  # (vocabulary, vocabulary)

# %% [markdown]
# Here is the part of the table for the twenty most common characters: the space, the vowels, then
# the others. Each row has the probabilities of what follows; the rest, up to 1, belongs to
# characters that are not shown.

# %%
common = np.argsort(counts.sum(axis=1))[::-1][:20]
letters = sorted(common, key=lambda i: (alphabet[i] not in " aeiou", alphabet[i]))
names = [alphabet[i].replace(" ", "␣") for i in letters]
figure, axes = plt.subplots(figsize=(6.4, 5.4))
image = axes.imshow(table[np.ix_(letters, letters)], vmin=0)
axes.set(xticks=range(len(names)), xticklabels=names, xlabel="next character")
axes.set(yticks=range(len(names)), yticklabels=names, ylabel="this character")
axes.grid(False)
axes.set_title("Probability of the next character, by this character (␣: space)")
figure.colorbar(image, label="probability")
plt.show()

# %% [markdown]
# The table shows English spelling: `h` is mostly followed by `e`, and `d` by the end of the word.
# How good is it as a model? For each pair of the text, look up the probability that the table gives
# to the target. The loss is the mean surprisal.


# %%
def table_loss(table, ids):
    """Mean of −log p(next | this), in nats per character."""
    return -np.log(table[ids[:-1], ids[1:]]).mean()


counted_loss = table_loss(table, train_ids)
print(f"training {counted_loss:.4f}, validation {table_loss(table, validation_ids):.4f}")

# %% [markdown]
# ## The same in Keras
#
# One `Dense` layer without a bias can hold the same table. Its input is a character as a one-hot
# vector, with the 1 at its id. The layer multiplies it by its **weight matrix** (Keras calls it
# `kernel`). A one-hot vector times a matrix gives one row of the matrix, so each row holds the
# logits for what follows one character, and the gradient that you have checked is the gradient of
# that row.
#
# There is no softmax in the model, because the loss applies it; hence `from_logits=True`. *Sparse*
# means that each target is given as an id, not as a one-hot vector.

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
# Which weights make it equal to the table? Softmax raises $e$ to the logits, so use the logarithms
# of the smoothed counts. The division by the sum of the row is already part of softmax.

# %%
model.set_weights([np.log(smoothed)])
keras_loss = model.evaluate(train_ids[:-1], train_ids[1:], batch_size=65536, verbose=0)
print(f"counted {counted_loss:.5f}, Keras {keras_loss:.5f}")
assert abs(counted_loss - keras_loss) < 1e-4

# %% [markdown]
# Now forget the counts and train with gradient descent, from weights of zero. Then every character
# is equally likely, so the first loss must be the logarithm of the size of the vocabulary, up to
# rounding. (Small random weights give nearly the same value.) Check this whenever you begin to
# train a classifier: it takes one line, and can find a wrong loss function or a wrong
# initialisation.

# %%
model.set_weights([np.zeros((vocabulary_size, vocabulary_size))])
first_loss = model.evaluate(train_ids[:-1], train_ids[1:], batch_size=65536, verbose=0)
print(f"before training {first_loss:.4f}, log({vocabulary_size}) = {np.log(vocabulary_size):.4f}")
assert abs(first_loss - np.log(vocabulary_size)) < 1e-3

# %% [markdown]
# `Adam` is a variant of gradient descent that adapts the step size of each parameter during
# training. Parameters with small gradients, such as those of rare characters, get larger steps than
# with plain gradient descent (lesson 8 explains how). Each step uses a **batch** of pairs, so an
# epoch has many steps.
#
# `loss` is the mean over an epoch, during which the model was still learning. `val_loss` is
# measured after the epoch, on the validation set.

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
# Gradient descent has very nearly found what counting finds, although it never counted. Where does
# the difference come from? There are two possible causes. Pairs that never occur should get the
# probability 0, for which their weights would have to go to minus infinity. And the probabilities
# of the other pairs may not be exact yet.
#
# The first part can be computed. If a row gives the probability $q$ to pairs that never occur, then
# the probabilities of all others are too small by the factor $1 - q$, which adds $-\log(1 - q)$ to
# the loss.

# %%
weights = model.get_weights()[0].astype("float64")  # (vocabulary, vocabulary)
learnt_table = np.array([softmax(row) for row in weights])
never = counts == 0
q = np.where(never, learnt_table, 0).sum(axis=1)  # (vocabulary,)
share_of_row = counts.sum(axis=1) / counts.sum()  # (vocabulary,)
print(f"difference {trained_loss - counted_loss:.4f}, of which pairs that never occur", end="")
print(f" cause {-np.sum(share_of_row * np.log(1 - q)):.4f}")

# %% [markdown]
# The rest is in the pairs that do occur. Compare their probabilities, not the weights themselves:
# adding the same number to all logits of a row changes nothing after softmax.

# %%
log_learnt, log_counted = np.log(learnt_table), np.log(table)
often = counts >= 100
difference = np.abs(log_learnt - log_counted)[often]
print(f"{often.sum()} pairs seen 100 times or more: their probabilities differ", end="")
print(f" by {np.expm1(np.median(difference)):.0%} (median)")

# %%
rare = (counts > 0) & ~often
plt.plot(log_counted[often], log_learnt[often], ".", color=BLUE, label="seen 100 times or more")
plt.plot(log_counted[rare], log_learnt[rare], "x", color=ORANGE, label="rarer pairs", markersize=5)
plt.axline((0, 0), slope=1, color="black", linewidth=0.8, label="both equal")
plt.xlabel("log of the counted probability (nats)")
plt.ylabel("log of the learnt probability (nats)")
plt.title("The learnt probabilities are close to the counted ones")
plt.legend()
plt.show()

# %% [markdown]
# ## Sampling: the model generates text
#
# To generate text, look up the row of the last character, choose the next character at random with
# these probabilities, append it, and repeat. Choosing at random with given probabilities is called
# **sampling**. Every GPT generates text with this loop. Only the model inside is larger and sees
# more of the text.


# %%
def generate(table, length, rng):
    """Sample `length` characters, starting after a line break."""
    ids = [id_of["\n"]]
    for _ in range(length):
        ids.append(rng.choice(vocabulary_size, p=table[ids[-1]]))
    return decode(ids[1:])


print(generate(learnt_table, 300, rng))

# %% [markdown]
# Two letters in a row look like English; longer pieces rarely do. Compare it with a model that
# knows only how frequent each character is (a **unigram** model), and with one that knows nothing.

# %%
frequency = counts.sum(axis=0) / counts.sum()  # (vocabulary,)
unigram_table = np.tile(frequency, (vocabulary_size, 1))
uniform_table = np.full_like(table, 1 / vocabulary_size)
print("nothing:    ", repr(generate(uniform_table, 70, rng)))
print("frequencies:", repr(generate(unigram_table, 70, rng)))

# %%
models = {"nothing": uniform_table, "frequencies": unigram_table}
models |= {"pairs, counted": table, "pairs, trained": learnt_table}
print("what it knows      loss  perplexity   (held-out tales; loss in nats per character)")
for name, candidate in models.items():
    validation_loss = table_loss(candidate, validation_ids)
    print(f"{name:16} {validation_loss:6.3f} {np.exp(validation_loss):11.1f}")

# %% [markdown]
# ## Why it forgets: a context of one character
#
# Seeing one character has lowered the perplexity a lot. But one character is all that the bigram
# model sees. The three texts below all end in a space, so the model uses the same row of the table
# and makes the same prediction for each.

# %%
for context in ["Once upon a ", "flew through the ", "said "]:
    row = table[id_of[context[-1]]]
    likely = np.argsort(row)[::-1][:5]
    print(f"{context!r:20} →", ", ".join(f"{alphabet[i]!r} {row[i]:.2f}" for i in likely))

# %% [markdown]
# So let it see more. Count which character follows each *pair* of characters, each *triple*, and so
# on. This is an **n-gram** model. The tokens that a model sees are its **context**; the largest
# number that it can see is its **context window**. With longer contexts, a table with a row for
# every possible one no longer fits into memory, so keep a dictionary of those that occurred.


# %%
def count_runs(text, length):
    """How often each run of `length` characters occurs."""
    return Counter(text[i : i + length] for i in range(len(text) - length + 1))


def ngram_loss(text, length, runs, contexts):
    """Mean loss per character, in nats, when `length` characters are seen."""
    total = 0.0
    for i in range(length, len(text)):
        context, run = text[i - length : i], text[i - length : i + 1]
        # Every possible next character is seen SMOOTHING times more, hence the added term.
        seen = contexts[context] + SMOOTHING * vocabulary_size
        total -= np.log((runs[run] + SMOOTHING) / seen)
    return total / (len(text) - length)


# %%
lengths = [0, 1, 2, 3, 4, 6, 8, 10, 12]
train_losses, validation_losses = [], []
part_of_training = train_text[: len(validation_text)]  # equally long, which saves time
print("characters seen  contexts  median count  training loss  validation loss, nats per character")
for length in lengths:
    runs = count_runs(train_text, length + 1)
    contexts = count_runs(train_text[:-1], length)  # after the last character comes nothing
    train_losses.append(ngram_loss(part_of_training, length, runs, contexts))
    validation_losses.append(ngram_loss(validation_text, length, runs, contexts))
    times = np.median(list(contexts.values()))
    print(f"{length:15} {len(contexts):9,} {times:13,.0f}", end="")
    print(f" {train_losses[-1]:14.3f} {validation_losses[-1]:16.3f}")

# %% [markdown]
# At first each additional character helps a lot. Then the validation loss rises again, while the
# training loss goes on falling. This is **overfitting**: the model memorises its training text
# instead of learning what holds for other texts too. The table has more and more rows, the median
# context was seen only a few times, and a new tale has contexts that never occurred in training. A
# table cannot use what it has learnt about *"the cat"* for *"the dog"*.
#
# How good could a model be? For ordinary text nobody knows. For the tales we do, because the
# program makes each choice with a known probability. The product of these probabilities is the
# probability of the tale, and its $-\log$, per character, is the loss of a model that knows the
# program. Its mean is the **entropy** of the tales. On average no model can have a lower loss, so
# the course calls it the **entropy floor**. We compute it as a mean over the validation tales; the
# *standard error* says how far the choice of these tales typically moves such a mean.

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
plt.title("Longer contexts help until the table overfits")
plt.legend()
plt.show()

# %% [markdown]
# The floor is low because most characters of a tale follow from those before, for a model that has
# learnt the grammar. There is a wide gap between the best table and the floor. The following
# lessons narrow it with three ideas: tokens that are larger than letters (lesson 3), vectors that
# let similar tokens share what was learnt (lesson 4), and attention, which uses a long context
# without a table (lesson 5).

# %% [markdown]
# ## If your result looks different
#
# * **The loss in Keras is not the counted one.** It may lack `from_logits=True`.
# * **The first loss is not the logarithm of the vocabulary's size.** Then the logits are not all
#   equal at the start.
# * **The trained loss stays far above the counted one.** Train for more epochs.
# * **Your generated text is another one.** That is expected: it is sampled at random and depends on
#   `seed`.

# %% [markdown]
# ## Recap
#
# * A language model is a classifier whose classes are the possible next tokens.
# * Softmax turns logits into probabilities. The cross-entropy is the mean surprisal of the targets,
#   and its gradient is predicted minus true probabilities.
# * One `Dense` layer on one-hot characters is a bigram table. Its weights are the logarithms of the
#   counts, up to a number that is added to each row.
# * A model that guesses has the logarithm of the number of classes as its loss. The perplexity is
#   $e$ to the loss.
# * Tables with long contexts overfit, because similar contexts share nothing.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words first; the lesson has said all that you need.
#
# 1. In what sense is a language model a classifier? What is its input, and what are its classes?
# 2. Why is a language model trained with the cross-entropy and not with the squared error?
# 3. What is the gradient of the cross-entropy with respect to the logits, and what does a step of
#    gradient descent do to them?
# 4. Which loss does a model have before training, and why is it worth checking?
# 5. With longer contexts the training loss of an n-gram model goes on falling, but its validation
#    loss rises. Why?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Our softmax takes the logits of one prediction. Write it for a batch of predictions,
# without a loop. The shape is (batch, classes), and each row must add to 1.


# %%
def batch_softmax(logits):
    """Return probabilities of the same shape."""
    ...


check.batch_softmax(batch_softmax)

# %% [markdown]
# **2.** Write the loss of a batch: from logits of shape (batch, classes) and targets of shape
# (batch,) to one number.


# %%
def batch_cross_entropy(logits, targets):
    """Return the mean cross-entropy, in nats."""
    ...


check.batch_cross_entropy(batch_cross_entropy)

# %% [markdown]
# **3.** A model gives the target the probabilities 0.5, 0.25 and 0.125 at three positions. What is
# its perplexity?

# %%
perplexity = ...

check.perplexity(perplexity)

# %% [markdown]
# **4.** Count the *triples* of an array of ids: entry (i, j, k) says how often i is followed by j
# and then by k.


# %%
def count_triples(ids, vocabulary_size):
    """Return an array of shape (vocabulary_size, vocabulary_size, vocabulary_size)."""
    ...


check.count_triples(count_triples)

# %% [markdown]
# **5.** The logits are (0, 0, 0, 0) and the target is class 2, counted from 0. What is the gradient
# of the loss, four numbers?

# %%
gradient = ...

check.gradient(gradient)

# %% [markdown]
# ## Next
#
# Characters are too small as tokens: a context of many characters is only a few words. In
# [lesson 3](03_tokenization.ipynb) you will write the tokenizer of GPT-2, whose tokens are pieces
# between letters and words, learnt from the text itself.
