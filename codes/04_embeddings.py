# %% [markdown]
# # 4. Embeddings: words that share what was learnt
#
# At the end of this lesson you will have trained a vector for every word of the tales. You will see
# words of one kind come together though nobody named the kinds, and you will know what such vectors
# cannot say: the order of the words.
#
# You need: [lesson 2](02_next_token.ipynb): softmax, cross-entropy, one-hot. In [lesson
# 3](03_tokenization.ipynb) a token was a piece of a word; here whole words will do, because they
# are easier to judge by eye. The price: unknown words are back, for this lesson only.

# %%
from utils.course.settings import settings

args = settings(epochs=5, batch_size=4096, learning_rate=0.01, embedding_dim=32, window=2, seed=4)
print(args)

# %%
import difflib
import re
from collections import Counter

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from utils.course.plots import BLUE, GREEN, ORANGE, PURPLE, SKY, STYLE, YELLOW
from utils.course.seeds import seed_everything
from utils.errors import CourseError
from utils.exercises import lesson_04 as check
from utils.tales import corpus
from utils.training.progress import Progress

plt.style.use(STYLE)
rng = seed_everything(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## The idea, by hand
#
# The bigram table of lesson 2 has one row for each token. What it learns about "cat" changes the
# row of "cat" and no other, so nothing of it helps with "dog". The reason lies in the one-hot
# vectors: any two are equally far apart. To a one-hot vector, no two words are alike.
#
# Here is a sentence over a vocabulary of five words. One of them, "dog", does not occur in it.

# %% tags=["nbval-check-output"]
toy_words = ["cat", "dog", "mouse", "saw", "the"]
sentence = ["the", "cat", "saw", "the", "mouse"]
toy_ids = np.array([toy_words.index(word) for word in sentence])
one_hot = np.eye(5)[toy_ids]  # (5 places, 5 words)
print(toy_ids)
print(one_hot.astype(int))

# %% [markdown]
# Now give each word a short vector of ordinary numbers. All of them together are a matrix with one
# row for each word, the **embedding table**. Ours starts at random.
#
# Lesson 2 said that a one-hot vector times a matrix picks one row. Here it is for a whole sentence.

# %%
toy_table = rng.normal(size=(5, 3))  # (words, numbers per word)
by_product = one_hot @ toy_table  # (5, 5) @ (5, 3) -> (5, 3)
print(by_product)

# %% [markdown]
# The first and the fourth row are the same: both belong to "the". Nearly all the work of this
# product goes into multiplying by zero. So skip it and take the rows. That is a **look-up**.
#
# A warning: NumPy takes the id −1 for "the last row" and says nothing. We check.


# %%
def look_up(ids, table):
    """The rows with these ids: (places,) and (words, dim) -> (places, dim)."""
    wrong = [i for i in ids if not 0 <= i < len(table)]
    if wrong:
        raise CourseError(
            f"The ids of this table go from 0 to {len(table) - 1}; {wrong[0]} is none."
        )
    return table[ids]


vectors = look_up(toy_ids, toy_table)
print("the look-up equals the product:", np.array_equal(vectors, by_product))
assert np.array_equal(vectors, by_product)

# %% [markdown]
# ### Which rows learn
#
# How does the loss change when the table changes? Let us say that each number of the sentence's
# vectors, if it grows by 1, changes the loss by the amount in `upstream`. (In a network this matrix
# comes from the layers above.) The row of a word is copied to every place where the word stands, so
# its gradient is the sum of `upstream` over these places. Adding up the rows at a word's 1s is what
# a product with the transposed one-hot matrix does.

# %%
upstream = np.arange(1.0, 16.0).reshape(5, 3)  # (places, dim)
table_gradient = one_hot.T @ upstream  # (words, places) @ (places, dim) -> (words, dim)
for word, row in zip(toy_words, table_gradient, strict=True):
    print(f"{word:6} {row}")

# %% [markdown]
# Read it row by row. "dog" was not looked up, so its row is zero and a training step leaves it as
# it is. "the" was looked up at two places, and what comes back from the two is added. So the
# gradient needs no product either: add each row of `upstream` to the row of its word.
#
# As always, check by nudging each number of the table. The simplest loss with just these slopes is
# the sum of `upstream` times the vectors; we use it for the check. (`np.ndindex` goes through all
# pairs of row and column.)


# %%
def look_up_gradient(ids, upstream, words):
    """Add what comes back from each place to the row of its word -> (words, dim)."""
    gradient = np.zeros((words, upstream.shape[1]))
    np.add.at(gradient, ids, upstream)
    return gradient


assert np.array_equal(look_up_gradient(toy_ids, upstream, 5), table_gradient)

nudge, by_nudging = 1e-6, np.zeros_like(toy_table)
start = np.sum(upstream * look_up(toy_ids, toy_table))
for cell in np.ndindex(toy_table.shape):
    nudged = toy_table.copy()
    nudged[cell] += nudge
    by_nudging[cell] = (np.sum(upstream * look_up(toy_ids, nudged)) - start) / nudge
print(f"largest difference: {np.abs(by_nudging - table_gradient).max():.0e}")
assert np.allclose(by_nudging, table_gradient, atol=1e-5)

# %% [markdown]
# ### The same in Keras
#
# The layer `Embedding` is the look-up, and its one weight is the table. A `Dense` layer without a
# bias, fed with one-hot vectors, is the product. Give both the same weights.

# %%
embedding, dense = keras.layers.Embedding(5, 3), keras.layers.Dense(3, use_bias=False)
embedding.build((None,))
dense.build((None, 5))
embedding.set_weights([toy_table])
dense.set_weights([toy_table])

# %% [markdown]
# TensorFlow's `GradientTape` writes down what is computed, and then gives the derivative of it. For
# the look-up it returns a list of rows instead of a full table, because most rows of a large one
# would be zero; `convert_to_tensor` fills it up, and adds what belongs to the same row.

# %%
with tf.GradientTape() as tape:
    looked_up = embedding(toy_ids)
    loss = tf.reduce_sum(upstream * looked_up)
sparse_gradient = tape.gradient(loss, embedding.embeddings)
embedding_gradient = tf.convert_to_tensor(sparse_gradient)

with tf.GradientTape() as tape:
    multiplied = dense(one_hot)
    loss = tf.reduce_sum(upstream * multiplied)
dense_gradient = tape.gradient(loss, dense.kernel)

print("rows that came back:", sparse_gradient.indices.numpy())
for name, ours, *theirs in [
    ("vectors", vectors, looked_up, multiplied),
    ("gradient", table_gradient, embedding_gradient, dense_gradient),
]:
    embedding_is_off, dense_is_off = (np.abs(ours - np.asarray(t)).max() for t in theirs)
    print(f"{name:8}  Embedding differs by {embedding_is_off:.0e}, Dense by {dense_is_off:.0e}")
    assert max(embedding_is_off, dense_is_off) < 1e-5

# %% [markdown]
# ## Which words are alike? Those in the same company
#
# The rows of the `Dense` layer in lesson 2 were already embeddings of a sort, as long as the
# alphabet. What is new is that the rows get *short*. Then there is no room for a number of its own
# for each fact, and words that behave alike are pressed together.
#
# We need a task whose solution makes similar words similar. Here is one that needs nothing but
# text: **given a word, tell which words stand near it.** "Duck" and "swan" have the same
# neighbours, so a table that solves the task must give them similar rows. This is **skip-gram**.
#
# A softmax over all words would be slow for a large vocabulary. **Negative sampling** asks smaller
# questions instead. Show the model a word, the *centre*, and a candidate: does this candidate
# really stand near the centre, or was it drawn at random? One candidate is real, a handful are
# noise. (T. Mikolov et al., *Distributed Representations of Words and Phrases and their
# Compositionality*, 2013, section 2.2.)

# %% [markdown]
# ### One question by hand
#
# Each word has two vectors, one as a centre and one as a candidate. With one vector only, a word
# would score high with itself, and words hardly ever stand next to themselves. The score of a
# centre and a candidate is their **dot product** (multiply number by number, add up). It is the
# logit of "yes". A question with two answers needs no softmax: the **sigmoid** $\sigma(s) = 1/(1 +
# e^{-s})$ makes a probability of a single score. The loss is again $-\log$ of the probability of
# the truth, and "no" has the probability $1 - \sigma(s) = \sigma(-s)$:
#
# $$\text{loss} = -\log \sigma(s_\text{real}) - \sum_\text{noise} \log \sigma(-s_\text{noise})$$


# %%
def sigmoid(scores):
    return 1 / (1 + np.exp(-scores))


def negative_sampling_loss(centre, candidates, is_real):
    """Summed loss: (dim,), (candidates, dim), (candidates,) of 1 and 0 -> one number."""
    scores = candidates @ centre  # (candidates,)
    return -np.sum(np.log(sigmoid(np.where(is_real, scores, -scores))))


centre = rng.normal(size=3)
candidates = rng.normal(size=(4, 3))
is_real = np.array([1.0, 0.0, 0.0, 0.0])
print("probability of yes:", sigmoid(candidates @ centre))
print(f"loss {negative_sampling_loss(centre, candidates, is_real):.4f}")

# %% [markdown]
# The first candidate is the real one. The third is noise and was taken for real: most of the loss
# is this one mistake.
#
# The derivative is an old friend. The slope of the loss in a score is $\sigma(s) - 1$ for the real
# candidate and $\sigma(s)$ for noise: *what the model said minus what was true*, as in lesson 2.
# The centre receives this error times the candidate (added up over all candidates); each candidate
# receives its error times the centre.


# %%
def negative_sampling_gradient(centre, candidates, is_real):
    """Gradients for the centre, (dim,), and for the candidates, (candidates, dim)."""
    error = sigmoid(candidates @ centre) - is_real  # (candidates,)
    return error @ candidates, np.outer(error, centre)


centre_gradient, candidates_gradient = negative_sampling_gradient(centre, candidates, is_real)
print("centre    ", centre_gradient)
print("real one  ", candidates_gradient[0])

# %% [markdown]
# A step against it moves the centre towards the real candidate and away from the noise. This time
# Keras checks our loss and our gradients.
#
# In Keras this loss is `BinaryCrossentropy(from_logits=True)`. It takes the *mean* over the
# candidates where the paper takes the sum, so we multiply by their number.

# %%
binary = keras.losses.BinaryCrossentropy(from_logits=True)
centre_variable, candidates_variable = tf.Variable(centre), tf.Variable(candidates)
with tf.GradientTape() as tape:
    scores = tf.linalg.matvec(candidates_variable, centre_variable)  # (4,)
    keras_loss = 4 * binary(is_real, scores)
keras_gradients = tape.gradient(keras_loss, [centre_variable, candidates_variable])

differences = [
    abs(negative_sampling_loss(centre, candidates, is_real) - float(keras_loss)),
    np.abs(centre_gradient - keras_gradients[0]).max(),
    np.abs(candidates_gradient - keras_gradients[1]).max(),
]
print("loss, centre, candidates differ by", ", ".join(f"{d:.0e}" for d in differences))
assert max(differences) < 1e-5

# %% [markdown]
# ## Real text: the tales
#
# Words in lower case, without punctuation: a run of letters is a word. The most common one gets the
# id 0.


# %% tags=["nbval-check-output"]
def split_words(text):
    """The words of a text: runs of letters and apostrophes, in lower case."""
    return re.findall(r"[a-z']+", text.lower())


tales = [split_words(tale.text) for tale in corpus("en", "train", stories=1000)]
counts = Counter(word for tale in tales for word in tale)
words = [word for word, _ in counts.most_common()]
id_of = {word: number for number, word in enumerate(words)}
print(f"{counts.total():,} words, {len(words)} different ones")
print("most common:", ", ".join(words[:8]))


# %% [markdown]
# A word that the tales don't have has no row. Better to say so than to stop with a `KeyError`. And
# when we pick words to look at, let us pick from those that occur 20 times or more: a few sightings
# teach little.


# %% tags=["nbval-check-output"]
def word_ids(sentence, id_of):
    """The ids of a list of words (or characters)."""
    for word in sentence:
        if word not in id_of:
            near = difflib.get_close_matches(word, id_of, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise CourseError(f"The vocabulary has no {word!r}.{hint}")
    return np.array([id_of[word] for word in sentence], dtype="int32")


def common_words(text):
    """The words of a text that the tales use often enough."""
    return [word for word in split_words(text) if counts[word] >= 20]


tale_ids = [word_ids(tale, id_of) for tale in tales]
print(tales[0][:8], "→", tale_ids[0][:8])

# %% [markdown]
# A few words, such as "the" and "a", are everywhere and stand near everything. To hear the others,
# drop some of these: keep a word with the probability $\sqrt{t/f}$, where $f$ is its share of the
# text, and always if $f$ is below the threshold $t$. This is **sub-sampling** (section 2.3 of the
# paper). Large corpora take a far smaller threshold than our small one.

# %%
THRESHOLD = 1e-3
frequency = np.array([counts[word] for word in words]) / counts.total()  # (words,)
keep = np.minimum(1, np.sqrt(THRESHOLD / frequency))
for word in ["the", "said", "duck"]:
    i = id_of[word]
    print(f"{word:5} is {frequency[i]:6.2%} of the text, {keep[i]:4.0%} of it is kept")

kept_ids = [ids[rng.random(len(ids)) < keep[ids]] for ids in tale_ids]  # a die for each word
print(f"{sum(map(len, kept_ids)):,} of {counts.total():,} words are left")
print(" ".join(words[i] for i in kept_ids[0][:20]))

# %% [markdown]
# Two words are **near** each other when at most `window` steps, in what is left, lead from one to
# the other. Each pair counts in both directions.


# %%
def near_pairs(ids, window):
    """All (centre, neighbour) pairs of a text, one in each row."""
    first = np.concatenate([ids[:-d] for d in range(1, window + 1)])  # d steps before second
    second = np.concatenate([ids[d:] for d in range(1, window + 1)])
    both = np.stack([first, second], axis=1)  # (pairs, 2)
    return np.concatenate([both, both[:, ::-1]])


pairs = np.concatenate([near_pairs(ids, args.window) for ids in kept_ids])
centres, neighbours = pairs.T
print(f"{len(pairs):,} pairs")

# %% [markdown]
# To each real neighbour belong five words of noise. They are drawn by their frequency to the power
# of 3/4, which lifts the rare words a little: that worked best in the paper. (The paper draws new
# noise at every step. We draw once, which is simpler.)

# %%
NOISE_WORDS = 5
noise = frequency**0.75 / np.sum(frequency**0.75)  # (words,), adds to 1
drawn = rng.choice(len(words), size=(len(pairs), NOISE_WORDS), p=noise)
candidate_ids = np.concatenate([neighbours[:, None], drawn], axis=1)  # (pairs, 1 + 5)
answers = np.zeros(candidate_ids.shape)
answers[:, 0] = 1  # the first is the real one

print(f"{'centre':>12}   real          noise")
for row in rng.choice(len(pairs), size=4, replace=False):
    real, *others = (words[i] for i in candidate_ids[row])
    print(f"{words[centres[row]]:>12}   {real:13} {' '.join(others)}")

# %% [markdown]
# The model is two tables, one with the vectors as centres and one with those as candidates, and the
# dot product. There is nothing else to learn.
#
# This network is no `Sequential` any more, since it has two inputs. A layer called on an input
# gives an output; `keras.Model` ties inputs and output together. `Dot` multiplies each of the
# candidates with the centre.

# %%
centre_input = keras.Input((), dtype="int32")
candidates_input = keras.Input((1 + NOISE_WORDS,), dtype="int32")
centre_table = keras.layers.Embedding(len(words), args.embedding_dim)
candidate_table = keras.layers.Embedding(len(words), args.embedding_dim)
both = [candidate_table(candidates_input), centre_table(centre_input)]
scores = keras.layers.Dot(axes=(2, 1))(both)  # (batch, 6, dim) · (batch, dim) -> (batch, 6)
model = keras.Model([centre_input, candidates_input], scores)
model.compile(optimizer=keras.optimizers.Adam(args.learning_rate), loss=binary)
print(f"{model.count_params():,} parameters = 2 × {len(words)} × {args.embedding_dim}")

# %% [markdown]
# Before training all scores are nearly zero (Keras starts the tables with small random numbers), so
# the model answers "perhaps" to every question. The loss must be $-\log 0.5$. And on a few pairs,
# our function must find the same loss as Keras.

# %%
some = slice(0, 1000)
first_loss = model.evaluate([centres[some], candidate_ids[some]], answers[some], verbose=0)
untrained, as_candidates = centre_table.get_weights()[0], candidate_table.get_weights()[0]
by_hand = np.mean(
    [
        negative_sampling_loss(untrained[i], as_candidates[six], real) / (1 + NOISE_WORDS)
        for i, six, real in zip(centres[some], candidate_ids[some], answers[some], strict=True)
    ]
)
print(f"Keras {first_loss:.5f}, by hand {by_hand:.5f}, −log 0.5 = {-np.log(0.5):.5f}")
assert abs(first_loss - by_hand) < 1e-5 and abs(first_loss - np.log(2)) < 0.01

# %% [markdown]
# How far can the loss fall? Not to zero: nobody can tell for sure whether "the" was really there or
# drawn. But it must fall below that of a model which has learnt only how much noise there is, and
# answers every question with "one in six".

# %%
share = 1 / (1 + NOISE_WORDS)
one_in_six = -share * np.log(share) - (1 - share) * np.log(1 - share)
print(f"always answering 'one in six' costs {one_in_six:.4f}")
history = model.fit(
    [centres, candidate_ids],
    answers,
    batch_size=args.batch_size,
    epochs=args.epochs,
    verbose=0,
    callbacks=[Progress()],
)
trained, as_candidates = centre_table.get_weights()[0], candidate_table.get_weights()[0]

# %% [markdown]
# ## Nearest neighbours
#
# What we want is not the answers but the table of centres. When are two of its vectors alike? When
# they point in the same direction. Divide each by its length and take the dot product: 1 for the
# same direction, 0 for a right angle, −1 for the opposite. This is the **cosine similarity**.
# (Without the division long vectors would win, whatever their direction.)


# %%
def cosine_similarities(vectors):
    """Each with each: (words, dim) -> (words, words)."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def nearest(similarities, count):
    """The ids of the most similar other words, the best first: (words, count)."""
    others = similarities - 9 * np.eye(len(similarities))  # a word is not its own neighbour
    return np.argsort(-others, axis=1)[:, :count]


similarities = cosine_similarities(trained)
neighbour_ids = nearest(similarities, 5)
for word in common_words("duck lucy pip kite lake brave mother pancake she"):
    [i] = word_ids([word], id_of)
    found = (f"{words[j]} {similarities[i, j]:.2f}" for j in neighbour_ids[i])
    print(f"{word:8}", "  ".join(f"{text:16}" for text in found))

# %% [markdown]
# Nobody told the model what an animal is, or a name. It knows more than kinds: look at "duck". The
# two nearest are those that swim, too. And "lucy" has the names of other children around her, while
# "pip", the name of an animal that helps, has those of the other helpers.
#
# Look at "brave", too: words that stand in the same places are near, whether they mean the same,
# something different, or the opposite. That is all these vectors know.

# %% [markdown]
# ## How good? A number
#
# A handful of words proves nothing; one always picks the nice ones. So let us write down classes as
# a person would who knows the tales, but without looking at the vectors, and measure.

# %% tags=["nbval-check-output"]
CLASSES = {
    "animals": "cat crow squirrel woodpecker pigeon stork goat falcon raven duck beaver swan heron "
    "crane flamingo mouse mole rabbit hedgehog tortoise lizard cow sheep donkey hen turkey pony "
    "kitten chick hamster parrot",
    "children": "mia lucy anna rosa nora zoe ella clara ida sofia hannah maya tom ben leo max sam "
    "jack felix oscar noah paul daniel hugo",
    "helpers": "pip otto nibs tilly bruno dot hazel rufus olga momo fritz wanda",
    "family": "mother father grandmother grandfather aunt uncle",
    "places": "forest woods park river lake pond hills meadow castle farm village mill",
    "things": "kite ball hat cap scarf ribbon doll puppet mitten boat pinwheel ring key watch "
    "brooch necklace comb spoon whistle bell thimble mirror purse",
    "food": "bun pancake honey cake cheese roll pretzel biscuit waffle plum tart",
    "colours": "red blue green yellow purple white black grey golden silver",
    "traits": "brave clever kind quiet cheerful curious stubborn gentle shy lively",
    "weather": "sunny windy cloudy warm cold misty bright",
}

class_of = {}
for kind, members in CLASSES.items():
    class_of |= dict.fromkeys(common_words(members), kind)
sizes = Counter(class_of.values())
print(f"{len(class_of)} words in {len(sizes)} classes:", dict(sizes))

# %% [markdown]
# The question: of the five nearest neighbours of a word, among *all* words of the tales, how many
# belong to its own class? Compare with drawing five words blindly, and with the table before
# training.


# %%
def own_class_shares(vectors):
    """For each class, the mean share of the 5 nearest neighbours that belong to it too."""
    nearest_ids = nearest(cosine_similarities(vectors), 5)
    shares = {kind: [] for kind in sizes}
    for word, kind in class_of.items():
        around = [class_of.get(words[j]) for j in nearest_ids[id_of[word]]]
        shares[kind].append(around.count(kind) / 5)
    return {kind: np.mean(values) for kind, values in shares.items()}


def over_all_words(shares):
    return sum(shares[kind] * sizes[kind] for kind in shares) / len(class_of)


chance = {kind: (size - 1) / (len(words) - 1) for kind, size in sizes.items()}
before, after = own_class_shares(untrained), own_class_shares(trained)


def show(kind, size, *shares):
    print(f"{kind:10} {size:5}", "".join(f"{share:11.1%}" for share in shares))


print(f"{'class':10} words {'chance':>11}{'untrained':>11}{'trained':>11}")
for kind, size in sizes.items():
    show(kind, size, chance[kind], before[kind], after[kind])
show("all", len(class_of), *map(over_all_words, (chance, before, after)))

# %% [markdown]
# The classes with a low share are the instructive ones. What do their words have for neighbours?

# %%
for word in common_words("grey golden red sunny misty"):
    [i] = word_ids([word], id_of)
    print(f"{word:8}", ", ".join(words[j] for j in neighbour_ids[i]))

# %% [markdown]
# "grey" stands among the weather, since in the tales it is a day that is grey. It is also one of
# the five neighbours of "sunny" and "misty", and so lowers the share of the weather. "golden" has
# "favourite" beside it, and "red" has "apple" and "house". A person puts the colours into one class
# because a dictionary does. The vectors learn only how words are *used*, and only in this text.
# What a corpus does not say, its vectors do not know; what it says with a prejudice, they repeat.

# %% [markdown]
# ## A map of words
#
# Nobody can look at a cloud of points in so many dimensions. Turn it until we see it from its
# widest side: the two directions in which the points differ most. The **singular value
# decomposition** of a matrix finds them, the widest first. (Done like this, with the mean
# subtracted, it is called **principal component analysis**, PCA.)


# %%
def widest_view(vectors):
    """From the widest side: (points, dim) -> (points, 2), and the share of the spread it shows."""
    centred = vectors - vectors.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)  # directions: (dim, dim)
    return centred @ directions[:2].T, np.sum(spread[:2] ** 2) / np.sum(spread**2)


on_map = list(class_of)
unit = trained / np.linalg.norm(trained, axis=1, keepdims=True)
view, seen = widest_view(unit[word_ids(on_map, id_of)])  # (words on the map, 2)
print(f"{len(on_map)} words; the map shows {seen:.0%} of their spread")

colours = [BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY, "black", "grey", "saddlebrown", "olive"]
figure, axes = plt.subplots(figsize=(7.2, 5))
for kind, marker, color in zip(sizes, "os^vDPX*<>", colours, strict=True):
    members = [i for i, word in enumerate(on_map) if class_of[word] == kind]
    axes.plot(*view[members].T, marker, color=color, markersize=6, label=kind)
for word, left in {"duck": 9, "cow": -30, "kitten": 9}.items():
    place = view[on_map.index(word)]
    axes.annotate(word, place, (left, 9), textcoords="offset points", weight="bold")
axes.set_title("Most words of one kind lie together; the animals lie in three places")
axes.set(xlabel="first direction", ylabel="second direction")
figure.legend(loc="outside right upper")
plt.show()

# %% [markdown]
# Why three places for the animals? In the tales some animals help, some cannot, and some are in
# trouble themselves: "duck", "cow" and "kitten" play different parts. The map is flat and leaves
# out most of the directions, so kinds that overlap here, such as the helping animals and their
# names, can still be far apart in the full space. The table above was measured there.

# %% [markdown]
# ## Trained against counted
#
# In lesson 2 the trained weights were the logarithms of counts. Is there such a formula here? Take
# one centre and one candidate. As real neighbours they occur `real` times. As noise they are drawn
# about `expected` times: five times the pairs of that centre, times the candidate's share of the
# noise. The best answer to "is it real?" is therefore $p = \text{real} / (\text{real} +
# \text{expected})$. From $\sigma(s) = p$ follows $e^s = p/(1-p) = \text{real} / \text{expected}$.
# So the best score is
#
# $$s = \log \frac{\text{real}}{\text{expected}}$$
#
# So the dot product of two words should be the logarithm of how much more often they meet as
# neighbours than as noise (chance, times five). (O. Levy, Y. Goldberg, *Neural Word Embedding as
# Implicit Matrix Factorization*, 2014.)

# %%
real = np.zeros((len(words), len(words)))
np.add.at(real, (centres, neighbours), 1)
expected = NOISE_WORDS * real.sum(axis=1, keepdims=True) * noise  # (words, 1) * (words,)
often = real >= 20
counted_score = np.log(real[often] / expected[often])
trained_score = (trained @ as_candidates.T)[often]
correlation = np.corrcoef(counted_score, trained_score)[0, 1]
print(f"{often.sum():,} pairs that met 20 times or more, correlation {correlation:.2f}")
print(f"{len(words) ** 2:,} scores from {model.count_params():,} parameters")

plt.plot(counted_score, trained_score, ".", color=BLUE, markersize=3)
plt.axline((0, 0), slope=1, color="black", linewidth=1)
plt.xlabel("log(real / expected), counted")
plt.ylabel("dot product, trained")
plt.title("The dot products follow the counts")
plt.show()

# %% [markdown]
# They follow, but they do not agree as closely as in lesson 2, and they cannot: the full table of
# scores has one number for each pair of words, the two short tables far fewer. What does not fit is
# rounded off, and what words have in common is kept. (Large scores mostly come out too small; pairs
# that never met, whose logarithm would be minus infinity, are not in the picture.)

# %% [markdown]
# ## What sharing buys
#
# Now back to the promise of lesson 2. Take ten words and hide them: a model of the next *word* is
# trained on the tales, but never gets to see what follows one of these ten. Then we ask it, on
# tales that nobody has seen. (The few words there that the training tales lack are left out.)

# %% tags=["nbval-check-output"]
hidden = common_words("duck cow otto lucy mother lake kite ring pancake brave")
hidden_ids = word_ids(hidden, id_of)


def next_word_pairs(ids_of_tales):
    """All (word, next word) of a list of tales, two arrays of the same length."""
    now = np.concatenate([ids[:-1] for ids in ids_of_tales])
    following = np.concatenate([ids[1:] for ids in ids_of_tales])
    return now, following


now, following = next_word_pairs(tale_ids)
visible = ~np.isin(now, hidden_ids)
train_now, train_following = now[visible], following[visible]
print(f"{len(hidden)} hidden words, {np.sum(~visible):,} of {len(now):,} pairs")

held_out = [split_words(tale.text) for tale in corpus("en", "validation", stories=300)]
held_out = [word_ids([w for w in tale if w in id_of], id_of) for tale in held_out]
test_now, test_following = next_word_pairs(held_out)
test_hidden = np.isin(test_now, hidden_ids)
print(f"{len(test_now):,} pairs to measure, {test_hidden.sum()} of them after a hidden word")

# %% [markdown]
# The counted table of lesson 2 is the first model, with the same smoothing. For a hidden word its
# row is empty, so it gives each word the same probability. A second one ignores the word and goes
# by the frequencies.

# %%
SMOOTHING = 0.01
table = np.full((len(words), len(words)), SMOOTHING)
np.add.at(table, (train_now, train_following), 1)
table /= table.sum(axis=1, keepdims=True)
by_frequency = np.bincount(train_following, minlength=len(words)) + SMOOTHING
by_frequency = np.tile(by_frequency / by_frequency.sum(), (len(words), 1))

# %% [markdown]
# The third is a network: look up the vector of the word, then one `Dense` layer for the logits of
# the next word. The vectors stay as they are (`trainable=False`). It exists twice, with our vectors
# and with random ones of the same size.


# %%
def next_word_table(vectors):
    """Train Dense on fixed vectors; return p(next | word) for all words, (words, words)."""
    keras.utils.set_random_seed(args.seed)  # the same start for both
    fixed = keras.layers.Embedding(*vectors.shape, trainable=False)
    logits = keras.layers.Dense(len(words))
    network = keras.Sequential([keras.Input((), dtype="int32"), fixed, logits])
    fixed.set_weights([vectors])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer=keras.optimizers.Adam(0.02), loss=loss)
    network.fit(
        train_now, train_following, batch_size=4096, epochs=5, verbose=0, callbacks=[Progress(5)]
    )
    return keras.ops.softmax(network(np.arange(len(words)))).numpy()


random_vectors = rng.normal(scale=trained.std(), size=trained.shape)
models = {"frequencies": by_frequency, "counted pairs": table}
for name, vectors in [("random vectors", random_vectors), ("trained vectors", trained)]:
    print(name)
    models[name] = next_word_table(vectors)

print(f"{'loss, nats per word':20} after visible words   after hidden words")
losses = {}
for name, predicted in models.items():
    loss = -np.log(predicted[test_now, test_following])
    losses[name] = loss[test_hidden].mean()
    print(f"{name:20} {loss[~test_hidden].mean():19.2f} {losses[name]:20.2f}")
print(f"{'all words alike':20} {np.log(len(words)):19.2f} {np.log(len(words)):20.2f}")
assert losses["trained vectors"] == min(losses.values())

# %% [markdown]
# Read the right column. After a hidden word the counted table is worse than one that ignores the
# word, since it spreads its probability evenly over all words: its loss is the logarithm of their
# number, the last line. Random vectors are no help either: what was learnt about "swan" goes to
# whatever happens to lie in its direction. The trained vectors carry over what was learnt about
# words of the same kind.
#
# The left column is the price: where there is enough to count, the table is better, because short
# vectors round off. Here they were trained for another task and then held still; in a GPT they are
# trained together with everything above them.
#
# What does the model guess for words whose followers it never saw?

# %%
counted_all = np.full((len(words), len(words)), SMOOTHING)
np.add.at(counted_all, (now, following), 1)
counted_all /= counted_all.sum(axis=1, keepdims=True)
for word in common_words("duck mother brave"):
    [i] = word_ids([word], id_of)
    row = models["trained vectors"][i]
    for j in np.argsort(-row)[:4]:
        print(f"{word:>7} {words[j]:8} guessed {row[j]:.2f}, in truth {counted_all[i, j]:.2f}")

# %% [markdown]
# Some guesses are good, some are wide of the mark: a kind says much about what follows, not all.
#
# And be fair: the vectors had read the tales with these words in them; only the layer above had
# not. That is the point. Learn once, from plain text, what words are like: this is
# **pre-training**. Then a task needs fewer examples, and for some words none.

# %% [markdown]
# ## What a bag forgets
#
# Two sentences from the same words; only who asks whom is exchanged. The simplest vector for a
# sentence is the average of its words' vectors.

# %%
english = [split_words("the duck asked the crow"), split_words("the crow asked the duck")]
ids = [word_ids(sentence, id_of) for sentence in english]
first, second = (look_up(i, trained) for i in ids)  # (5 places, dim) each
print(f"the averages differ by {np.abs(first.mean(axis=0) - second.mean(axis=0)).max():.0e}")
assert np.allclose(first.mean(axis=0), second.mean(axis=0), atol=1e-6)

# %% [markdown]
# To an average, a sentence is a **bag of words**: shaken, it is the same bag. And each vector by
# itself does not know its place: "duck" has the same one in both sentences. The remedy of GPT-2 is
# a second table, with a row for each *place*. Its rows are added to those of the words: **position
# embeddings**. In keras-nlp both tables are one layer.
#
# The positions in it are random as long as nothing has trained them; that is enough to see what
# they do. Is the layer the sum of two look-ups?

# %%
PLACES = 16  # the longest sentence that this layer can take
layer = keras_nlp.layers.TokenAndPositionEmbedding(len(words), PLACES, args.embedding_dim)
layer.build((None, PLACES))
layer.token_embedding.set_weights([trained])
[positions] = layer.position_embedding.get_weights()  # (16, dim)
print("tokens", trained.shape, "positions", positions.shape)

by_hand = look_up(ids[0], trained) + look_up(np.arange(len(ids[0])), positions)  # (5, dim)
by_layer = layer(ids[0][None])[0].numpy()  # (1, 5) -> (1, 5, dim) -> (5, dim)
print(f"largest difference {np.abs(by_hand - by_layer).max():.0e}")
assert np.allclose(by_hand, by_layer, atol=1e-6)

# %% [markdown]
# Now the experiment with two sentences. The same sentence twice must give the same **tensor**
# (Keras's word for an array of numbers). And "duck", second in one sentence and last in the other,
# must no longer have the same vector. So is the average cured?

# %%
again = layer(ids[0][None])[0].numpy()
reordered = layer(ids[1][None])[0].numpy()
print(f"same sentence twice differs by {np.abs(by_layer - again).max():.4f}")
duck, other_duck = by_layer[english[0].index("duck")], reordered[english[1].index("duck")]
print(f"the two 'duck' differ by       {np.abs(duck - other_duck).max():.4f}")
change = np.abs(by_layer.mean(axis=0) - reordered.mean(axis=0)).max()
print(f"the averages differ by         {change:.0e}")
assert np.array_equal(by_layer, again) and not np.allclose(duck, other_duck) and change < 1e-6

# %% [markdown]
# It is not! The average of sums is the sum of the averages: that of the words, which is the same
# bag, plus that of the places, which are always the places 0 to 4. Adding a place does not help as
# long as everything that follows is a sum. Something has to **mix** word and place *before* the
# average, so that "duck at place 1" becomes something of its own.

# %% [markdown]
# ### Places as waves
#
# A table of positions ends: this one has 16 rows, and there is no vector for a seventeenth place.
# The first Transformer calculated its positions instead (A. Vaswani et al., *Attention Is All You
# Need*, 2017, section 3.5). Each pair of columns is a sine and a cosine of the place, the first
# pair fast, each next one slower, like the hands of a clock.


# %%
def sine_positions(places, dim, longest=10_000):
    """Sines in the even columns, cosines in the odd ones -> (places, dim)."""
    columns = np.arange(dim)
    speed = longest ** -(columns // 2 * 2 / dim)  # (dim,): from 1 down to nearly 1 / longest
    angles = np.arange(places)[:, None] * speed  # (places, 1) * (dim,) -> (places, dim)
    return np.where(columns % 2 == 0, np.sin(angles), np.cos(angles))


sines = sine_positions(64, args.embedding_dim)
sine_layer = keras_nlp.layers.SinePositionEncoding()
library_sines = sine_layer(np.zeros((1, 64, args.embedding_dim), "float32"))[0].numpy()
print(f"largest difference {np.abs(sines - library_sines).max():.0e}")
assert np.allclose(sines, library_sines, atol=1e-5)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6))
image = left.imshow(sines, aspect="auto", vmin=-1, vmax=1)
left.set(title="Each row is a place", xlabel="column of the vector", ylabel="place in the text")
left.grid(False)
figure.colorbar(image, label="value")
for place, style in [(10, "-"), (40, "--")]:
    right.plot(cosine_similarities(sines)[place], style, label=f"to place {place}")
right.set(title="Neighbouring places have similar vectors", xlabel="place", ylim=(0.2, 1.25))
right.set_ylabel("cosine similarity")
right.legend()
plt.show()

# %% [markdown]
# Follow a column of the left picture downwards: the first ones swing quickly, the next ones slower
# and slower. In the right half of this picture they hardly move in so short a text: sines near 0
# and cosines near 1, in turn. Every row is different, and no row is ever missing.
#
# Now the right picture. Both curves have the same shape, only shifted: the similarity depends on
# *how far apart* two places are, not on where they stand. It falls at first; the later bumps are
# the fast columns coming round again.

# %% [markdown]
# ### A mixer, in two languages
#
# The smallest mixer is one layer with a bend: `Dense` with `relu`, which sets what is negative to
# zero. Without the bend `Dense` is only a weighted sum, and the argument above holds again. Ours is
# random and untrained; it is applied to each vector by itself.
#
# Word order matters in Chinese at least as much, since nothing else says who did it. Here the
# tokens are characters: "the kitten saw the mouse" and "the mouse saw the kitten". Their vectors
# are random, which makes no difference to the question.


# %%
mixer = keras.layers.Dense(64, activation="relu")


def compare(first, second):
    """How much two sentences differ: tensors, averages, averages after mixing."""
    averages = (first.mean(axis=0), second.mean(axis=0))
    mixed = tuple(mixer(vectors).numpy().mean(axis=0) for vectors in (first, second))  # (64,) each
    return [np.abs(a - b).max() for a, b in [(first, second), averages, mixed]]


chinese = [list("小猫看见了老鼠"), list("老鼠看见了小猫")]
characters = sorted({c for tale in corpus("zh", "train", stories=200) for c in tale.text})
character_ids = {character: number for number, character in enumerate(characters)}
character_table = rng.normal(size=(len(characters), args.embedding_dim))
print(f"{len(characters)} characters")

print(f"{'':28} tensors   averages   averages after mixing")
for sentences, token_ids, tokens in [
    (english, id_of, trained),
    (chinese, character_ids, character_table),
]:
    a, b = (word_ids(sentence, token_ids) for sentence in sentences)
    print(" ".join(sentences[0]), "/", " ".join(sentences[1]))
    for name, place in [("no positions", 0 * sines), ("table", positions), ("sines", sines)]:
        first, second = tokens[a] + place[: len(a)], tokens[b] + place[: len(b)]
        assert compare(first, tokens[a] + place[: len(a)]) == [0, 0, 0]  # the same sentence twice
        tensor, average, mixed = compare(first, second)
        print(f"  {name:26} {tensor:7.4f} {average:10.4f} {mixed:23.4f}")
        assert average < 1e-6 and (mixed < 1e-5 or name != "no positions")

# %% [markdown]
# The same picture in both languages. The same sentence twice gives the same tensor, as the first
# `assert` makes sure. Reordered, the tensors differ even without positions, because their rows
# stand in another order; but each row is the same as before, and an average does not look at the
# order. Without positions mixing finds nothing, since there is nothing about the order to be found.
# With positions alone, the average is blind. It takes both: positions, *and* a layer that bends or
# looks around. A mixer that lets the places look at each other is better by far: **attention**, in
# [lesson 5](05_attention.ipynb).
#
# Where the table shows 0.0000, rounding errors are left; the `assert` makes sure that they are
# below $10^{-5}$. Do not compare the other sizes: the table's positions are still small random
# numbers, and the Chinese vectors were drawn larger.

# %% [markdown]
# ## In GPT-2
#
# GPT-2 begins with exactly these two tables, called `wte` (word token embedding) and `wpe` (word
# position embedding) in its files. Its positions are a learnt table, not waves.

# %% [markdown]
# ## If your result looks different
#
# * **The first loss is not $-\log 0.5$.** Then the scores are not near zero at the start, or the
#   loss takes logits for probabilities (`from_logits` is missing).
# * **The neighbours are always the same few words, or make no sense.** Too little training: see
#   whether the loss still falls, take more epochs, and check that the real candidate and the noise
#   have not changed places.
# * **Other neighbours than on this page.** Words of one kind are nearly equal; their order depends
#   on `seed` and on the last digits. The share over all words should change by a few percent only.
# * **An error about a size or an index.** A text longer than the table of positions, or an id
#   beyond the vocabulary. A learnt table cannot be continued: cut the text, or make the table
#   larger before training.

# %% [markdown]
# ## Recap
#
# * A one-hot vector times a matrix is a look-up of a row. In the gradient, rows that were not
#   looked up are zero, and repeated ones add up.
# * Skip-gram gives words that stand in the same company similar vectors. Its gradient is again what
#   the model said minus what was true.
# * Cosine similarity compares directions. Judge an embedding by a number over many words, next to
#   chance and to the untrained table.
# * Similar vectors share what was learnt: that is how a network can use "swan" for "duck".
# * Averages of vectors are bags. Order needs positions, and a layer that mixes them with the words.

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** A whole batch is looked up at once: `ids` has the shape (batch, places), `upstream` the
# shape (batch, places, dim). Write the gradient of the table.


# %%
def batch_gradient(ids, upstream, words):
    """Return an array of shape (words, dim)."""
    ...


check.batch_gradient(batch_gradient)

# %% [markdown]
# **2.** Write the cosine similarity of one vector, shape (dim,), to each row of a table, shape
# (words, dim).


# %%
def cosine_to_all(vector, table):
    """Return an array of shape (words,)."""
    ...


check.cosine_to_all(cosine_to_all)

# %% [markdown]
# **3.** Find the ids of the `count` nearest words to the word with the id `i`, by cosine
# similarity, the nearest first, without the word itself.


# %%
def nearest_words(i, table, count):
    """Return an array of `count` ids."""
    ...


check.nearest_words(nearest_words)

# %% [markdown]
# **4.** Write the negative-sampling loss for one centre with the vector of its real neighbour,
# shape (dim,), and the vectors of the noise, shape (noise words, dim): a sum, as in the paper.


# %%
def skip_gram_loss(centre, real, noise):
    """Return one number."""
    ...


check.skip_gram_loss(skip_gram_loss)

# %% [markdown]
# **5.** The smallest GPT-2 has 50,257 tokens, 1,024 positions and vectors of 768 numbers. How many
# parameters do its two tables have together?

# %%
gpt2_tables = ...

check.gpt2_tables(gpt2_tables)

# %% [markdown]
# ## Next
#
# Each word now has a vector that knows its kind and its place, but nothing of the words around it:
# "watch" is the same vector in "watch the clouds" and in "the golden watch". In [lesson
# 5](05_attention.ipynb) the words begin to look at each other.
