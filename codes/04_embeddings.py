# %% [markdown]
# # 4. Embeddings: words that share what was learnt
#
# In this lesson you train a vector for every word of the tales. Words of one kind get similar
# vectors, although nobody tells the model which kinds there are. What such vectors cannot express
# is the order of the words.
#
# You need: softmax, cross-entropy and one-hot vectors, from [lesson 2](02_next_token.ipynb). Unlike
# in [lesson 3](03_tokenization.ipynb), the tokens are whole words, because people can judge their
# vectors more easily. So, in this lesson only, there are out-of-vocabulary words again.

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
# In a bigram table like that of lesson 2, each token has its own row, so what the model learns
# about "cat" does not help with "dog". The reason is the one-hot vectors: any two of them are
# equally far apart, so no two words are more similar than others.
#
# Here is a sentence over a vocabulary of five words; "dog" does not occur in it.

# %% tags=["nbval-check-output"]
toy_words = ["cat", "dog", "mouse", "saw", "the"]
sentence = ["the", "cat", "saw", "the", "mouse"]
toy_ids = np.array([toy_words.index(word) for word in sentence])
one_hot = np.eye(5)[toy_ids]  # (5 positions, 5 words)
print(toy_ids)
print(one_hot.astype(int))

# %% [markdown]
# Now give each word a short vector of real numbers, its **embedding**. These vectors are the rows
# of a matrix, the **embedding table**. Ours starts with random numbers. As in lesson 2, a one-hot
# vector times the matrix selects a row, here one for each word of the sentence.

# %%
toy_table = rng.normal(size=(5, 3))  # (words, numbers per word)
by_product = one_hot @ toy_table  # (5, 5) @ (5, 3) -> (5, 3)
print(by_product)

# %% [markdown]
# The first and the fourth row are equal, because both belong to "the". Most multiplications are by
# zero, so it is much cheaper to read the rows directly, which is called a **look-up**.
#
# NumPy takes the id −1 to mean "the last row" and reports no error, so we check the ids.


# %%
def look_up(ids, table):
    """The rows with these ids: (positions,) and (words, dim) -> (positions, dim)."""
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
# How does the loss change when the table changes? Assume that the layers above have computed the
# gradient of the loss with respect to each vector of the sentence. The matrix `upstream` holds it
# (here invented numbers), one row for each **position**. The row of a word is copied to every
# position where the word occurs, so the gradient of this row is the sum of `upstream` over these
# positions. The product of the transposed one-hot matrix and `upstream` computes this sum.

# %%
upstream = np.arange(1.0, 16.0).reshape(5, 3)  # (positions, dim)
table_gradient = one_hot.T @ upstream  # (words, positions) @ (positions, dim)
for word, row in zip(toy_words, table_gradient, strict=True):
    print(f"{word:6} {row}")

# %% [markdown]
# "dog" was not looked up, so the gradient of its row is zero, and a step of gradient descent does
# not change it. For "the", the gradients from two positions are added. This needs no matrix product
# either: add each row of `upstream` to the row of its word.
#
# As in lesson 1, we check the gradient by changing each number of the table by a tiny amount. The
# simplest loss whose gradient at the vectors is `upstream` is the sum of `upstream` times the
# vectors.


# %%
def look_up_gradient(ids, upstream, words):
    """Add the gradient at each position to the row of its word -> (words, dim)."""
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
# The layer `Embedding` is the look-up, and its only parameters are the table. A `Dense` layer
# without a bias, applied to one-hot vectors, is the matrix product.

# %%
embedding, dense = keras.layers.Embedding(5, 3), keras.layers.Dense(3, use_bias=False)
embedding.build((None,))
dense.build((None, 5))
embedding.set_weights([toy_table])
dense.set_weights([toy_table])

# %% [markdown]
# TensorFlow's `GradientTape` records a computation and derives gradients from it. For a look-up it
# returns only the rows that were looked up, because in a large table most of the gradient is zero.
# `convert_to_tensor` makes the full table and adds the rows of the same word.

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
# The rows of the `Dense` layer in lesson 2 were already embeddings, but as long as the alphabet.
# Ours are *short*: much shorter than the vocabulary. They have no room for one number per word, so
# each number has to serve for many words.
#
# **Skip-gram** is a task whose solution gives similar words similar vectors, and it needs nothing
# but text: given a word, predict which words occur near it. "Duck" and "swan" have the same
# neighbours, so a table that solves the task must give them similar rows. The best-known method of
# this kind is **Word2Vec**.
#
# A softmax over a large vocabulary would be slow. **Negative sampling** replaces it by yes-or-no
# questions: did a candidate really occur near the given word, the *centre*, or was it sampled at
# random? For each centre there is one real candidate and a few random ones, the *noise*. (T.
# Mikolov et al., *Distributed Representations of Words and Phrases and their Compositionality*,
# 2013, section 2.2.)

# %% [markdown]
# ### One question by hand
#
# Each word has two vectors, one as a centre and one as a candidate. With only one it would get a
# high score with itself, although words hardly ever occur next to themselves. The score of a centre
# and a candidate is their **dot product** (multiply number by number and add up), the logit of
# "yes". With only two answers we need no softmax: the **sigmoid** $\sigma(s) = 1/(1 + e^{-s})$
# turns the score into the probability of "yes". That of "no" is $1 - \sigma(s) = \sigma(-s)$. The
# loss is the cross-entropy, $-\log$ of the probability of the right answer, added up over the
# candidates:
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
# Most of the loss comes from the third candidate: it is noise, but the model takes it for real.
#
# The derivative of the loss with respect to a score is $\sigma(s) - 1$ for the real candidate and
# $\sigma(s)$ for noise. This error is *predicted minus true probability*, as in lesson 2. The
# gradient of a candidate is its error times the centre. That of the centre is the error times the
# candidate, added up over all candidates.


# %%
def negative_sampling_gradient(centre, candidates, is_real):
    """Gradients for the centre, (dim,), and for the candidates, (candidates, dim)."""
    error = sigmoid(candidates @ centre) - is_real  # (candidates,)
    return error @ candidates, np.outer(error, centre)


centre_gradient, candidates_gradient = negative_sampling_gradient(centre, candidates, is_real)
print("centre    ", centre_gradient)
print("real one  ", candidates_gradient[0])

# %% [markdown]
# A step against the gradient moves the centre towards the real candidate and away from the noise.
#
# We check the loss and the gradients with Keras. Its `BinaryCrossentropy(from_logits=True)` takes
# the *mean* over the candidates where the paper takes the sum, so we multiply by their number.

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
# Each run of letters and apostrophes, in lower case, is a word. The most frequent word gets the
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
# A word that is not in the tales has no row, and the error message should say so. Words that we
# look at later should occur at least 20 times, because a few examples give no reliable vector.


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
# A few words, such as "the" and "a", are near every other word, so they say little about their
# neighbours. **Sub-sampling** removes most of them at random: keep each occurrence of a word with
# the probability $\sqrt{t/f}$, where $f$ is the share of the word in the text and $t$ a threshold.
# Words with $f$ below $t$ are always kept (section 2.3 of the paper).

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
# Two words are **near** each other if they are at most `window` words apart in the text that is
# left. Each pair counts in both directions.


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
# For each real neighbour we sample five words of noise, with probabilities proportional to the
# frequency to the power of 3/4. This power makes rare words a little more likely than in the text;
# it worked best in the paper. (Unlike the paper, we sample all noise before training.) By chance,
# noise can contain a real neighbour. `targets` holds 1 for the real candidate, 0 for noise.

# %%
NOISE_WORDS = 5
noise = frequency**0.75 / np.sum(frequency**0.75)  # (words,), adds to 1
drawn = rng.choice(len(words), size=(len(pairs), NOISE_WORDS), p=noise)
candidate_ids = np.concatenate([neighbours[:, None], drawn], axis=1)  # (pairs, 1 + 5)
targets = np.zeros(candidate_ids.shape)
targets[:, 0] = 1  # the first is the real one

print(f"{'centre':>12}   real          noise")
for row in rng.choice(len(pairs), size=4, replace=False):
    real, *others = (words[i] for i in candidate_ids[row])
    print(f"{words[centres[row]]:>12}   {real:13} {' '.join(others)}")

# %% [markdown]
# The only parameters are two embedding tables, one for centres and one for candidates.
#
# With two inputs, the model cannot be `Sequential`. Instead we call each layer on its input, and
# `keras.Model` makes a model from the inputs and the final output. `Dot` computes the dot product
# of the centre with each candidate.

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
# Keras initialises the tables with small random numbers. So before training all scores are nearly
# zero, the probability of "yes" is about one half, and the loss must be near $-\log 0.5$.

# %%
some = slice(0, 1000)
first_loss = model.evaluate([centres[some], candidate_ids[some]], targets[some], verbose=0)
untrained, as_candidates = centre_table.get_weights()[0], candidate_table.get_weights()[0]
by_hand = np.mean(
    [
        negative_sampling_loss(untrained[i], as_candidates[six], real) / (1 + NOISE_WORDS)
        for i, six, real in zip(centres[some], candidate_ids[some], targets[some], strict=True)
    ]
)
print(f"Keras {first_loss:.5f}, by hand {by_hand:.5f}, −log 0.5 = {-np.log(0.5):.5f}")
assert abs(first_loss - by_hand) < 1e-5 and abs(first_loss - np.log(2)) < 0.01

# %% [markdown]
# How far can the loss fall? Not to zero: nobody can tell whether "the" was a real neighbour or
# noise. But it must fall below that of a **baseline**, which ignores the words and gives every
# candidate the probability one in six.

# %%
share = 1 / (1 + NOISE_WORDS)
one_in_six = -share * np.log(share) - (1 - share) * np.log(1 - share)
print(f"always answering 'one in six' costs {one_in_six:.4f}")
history = model.fit(
    [centres, candidate_ids],
    targets,
    batch_size=args.batch_size,
    epochs=args.epochs,
    verbose=0,
    callbacks=[Progress()],
)
trained, as_candidates = centre_table.get_weights()[0], candidate_table.get_weights()[0]

# %% [markdown]
# ## Nearest neighbours
#
# As the vector of a word we take its row in the table of centres. Two vectors are similar if they
# point in the same direction. The **cosine similarity** measures that: divide each vector by its
# length and take the dot product. It is 1 for the same direction, 0 for a right angle and −1 for
# the opposite one. (Without the division, long vectors would get the highest scores.)


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
# The vectors even distinguish kinds of animals and of names: the two nearest neighbours of "duck"
# swim as well, the neighbours of "lucy" are children, and those of "pip", an animal that helps, are
# other helpers.
#
# Words that occur in the same contexts are neighbours, whether they mean nearly the same, something
# different ("brave" and other traits) or the opposite ("she" and "he"). (The others beside
# "she" are far less similar.)

# %% [markdown]
# ## How good? A number
#
# A few words prove nothing, because one tends to choose those that work well. So we write down
# classes of words, as a person would who knows the tales but has not seen the vectors.

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
# Of the five nearest neighbours of a word, among *all* words of the tales, how many belong to the
# same class? The baselines are five random words and the table before training.


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
# Training raises the share over all words from chance to more than four in five. Which neighbours
# do the words have whose class has a low share?

# %%
for word in common_words("grey golden red sunny misty"):
    [i] = word_ids([word], id_of)
    print(f"{word:8}", ", ".join(words[j] for j in neighbour_ids[i]))

# %% [markdown]
# "grey" has words for the weather as neighbours, because in the tales it is days that are grey. It
# is also a neighbour of "sunny" and "misty", which lowers the share of the class "weather".
# Likewise, "golden" is used like "favourite", and "red" has "apple" as a neighbour: in the tales,
# apples are red. A person puts the colours into one class because of what they mean. The vectors
# represent only how words are *used*, and only in this text. If it contains a prejudice, so do the
# vectors.

# %% [markdown]
# ## A map of words
#
# Nobody can look at points in so many dimensions, so we project them, divided by their lengths,
# onto the plane in which they differ most. This is **principal component analysis** (PCA): subtract
# the mean of all points, find the direction in which they vary most, then the same among those at a
# right angle to it, and so on. The **singular value decomposition** of the matrix of points gives
# these directions, in this order. We use the first two.


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
for word, offset in {"duck": (16, 14), "cow": (-8, -26), "kitten": (14, -20)}.items():
    place, line = view[on_map.index(word)], {"arrowstyle": "-"}
    axes.annotate(word, place, offset, textcoords="offset points", weight="bold", arrowprops=line)
axes.set_title(f"{len(on_map)} words on the plane that shows {seen:.0%} of their spread")
axes.set(xlabel="first direction", ylabel="second direction")
figure.legend(loc="outside right upper")
plt.show()

# %% [markdown]
# Why are the animals in three groups? In the tales some help ("duck"), some are asked but cannot
# help ("cow"), and some need help themselves ("kitten"). The map leaves out most of the spread, so
# kinds that overlap here, such as the helping animals and their names, can still be separate in the
# full space, where the shares above were measured.

# %% [markdown]
# ## Trained against counted
#
# > **Can be skipped at a first reading.** This section shows that the trained scores can almost be
# > calculated from counts. Nothing after it depends on it.
#
# In lesson 2 the trained parameters were the logarithms of counts. Here there is a similar formula.
# A centre and a candidate are real neighbours `real` times. As noise for this centre, the candidate
# is sampled about `expected` times: five times the number of pairs of the centre, times the
# candidate's probability as noise. So the best probability for "yes" is $p = \text{real} /
# (\text{real} + \text{expected})$. The score $s$ gives this probability if $\sigma(s) = p$, which
# means $e^s = p/(1-p) = \text{real} / \text{expected}$. So the best score, the dot product of the
# two words, should be
#
# $$s = \log \frac{\text{real}}{\text{expected}}$$
#
# (O. Levy, Y. Goldberg, *Neural Word Embedding as Implicit Matrix Factorization*, 2014.)

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

plt.plot(counted_score, trained_score, ".", color=BLUE, markersize=3, label="a pair of words")
plt.axline((0, 0), slope=1, color="black", linewidth=1, label="both equal")
plt.xlabel("log(real / expected), counted")
plt.ylabel("dot product, trained")
plt.title(f"Dot products against counts, correlation {correlation:.2f}")
plt.legend()
plt.show()

# %% [markdown]
# The dot products follow the counts (on the line both are equal), but less closely than in
# lesson 2. The full table of scores has one number for each pair of words. The two short tables,
# with far fewer parameters, can only approximate it.

# %% [markdown]
# ## What sharing buys
#
# Similar words have similar vectors. Does what is learnt about "cat" now help with "dog"? We hide
# ten words: models that predict the next *word* are trained on the tales, but never see what
# follows one of these ten. We test them on the validation tales, without words that have no row.

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
# The first model is the counted table of lesson 2, with the same smoothing. A hidden word has no
# counts, so every next word gets the same probability. The second model is a baseline that ignores
# the current word and predicts by word frequencies.

# %%
SMOOTHING = 0.01
table = np.full((len(words), len(words)), SMOOTHING)
np.add.at(table, (train_now, train_following), 1)
table /= table.sum(axis=1, keepdims=True)
by_frequency = np.bincount(train_following, minlength=len(words)) + SMOOTHING
by_frequency = np.tile(by_frequency / by_frequency.sum(), (len(words), 1))

# %% [markdown]
# The third model is a network: look up the vector of the word, then one `Dense` layer computes the
# logits of the next word. The vectors stay fixed (`trainable=False`). We train it twice, with our
# trained vectors and with random ones of the same size.


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
# After a hidden word the counted table treats all words alike and is worse than the model that
# ignores the word. Random vectors do not help: the network applies what it has learnt about "swan"
# to whichever words happen to have a similar vector. With trained vectors, these are words of the
# same kind, so the network predicts well after words whose followers its `Dense` layer has never
# seen.
#
# After a visible word there are enough counts, and the counted table is better: short vectors only
# approximate it. Besides, our vectors were trained for another task; in a GPT they are trained
# together with the layers above.
#
# Here are the network's best guesses after hidden words; "in truth" is the share counted in the
# training tales.

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
# Some guesses are close, others are not: the kind of a word says much about what follows, but not
# everything.
#
# The vectors were trained on tales that contain the hidden words; only the layer above them has not
# seen these. That is the idea of **pretraining**: learn once, from plain text, how words are used.
# Another task then needs fewer examples, and for some words none.

# %% [markdown]
# ## What a bag forgets
#
# These two sentences have the same words; only who asks whom is exchanged. The simplest vector for
# a sentence is the mean of the vectors of its words.

# %%
english = [split_words("the duck asked the crow"), split_words("the crow asked the duck")]
ids = [word_ids(sentence, id_of) for sentence in english]
first, second = (look_up(i, trained) for i in ids)  # (5 positions, dim) each
print(f"the averages differ by {np.abs(first.mean(axis=0) - second.mean(axis=0)).max():.0e}")
assert np.allclose(first.mean(axis=0), second.mean(axis=0), atol=1e-6)

# %% [markdown]
# The mean treats a sentence as a **bag of words**: it depends on which words the sentence contains,
# not on their order. And no word vector contains its position in the sentence. GPT-2 has a second
# table for this. Its rows, the **position embeddings**, one for each position, are added to the
# word vectors. In keras-nlp both tables are one layer. We check that it is the sum of two look-ups.
#
# Our position embeddings are untrained, random numbers, which is enough to see what they do.

# %%
MAX_POSITIONS = 16  # the longest sentence that this layer can take
layer = keras_nlp.layers.TokenAndPositionEmbedding(len(words), MAX_POSITIONS, args.embedding_dim)
layer.build((None, MAX_POSITIONS))
layer.token_embedding.set_weights([trained])
[positions] = layer.position_embedding.get_weights()  # (16, dim)
print("tokens", trained.shape, "positions", positions.shape)

by_hand = look_up(ids[0], trained) + look_up(np.arange(len(ids[0])), positions)  # (5, dim)
by_layer = layer(ids[0][None])[0].numpy()  # (1, 5) -> (1, 5, dim) -> (5, dim)
print(f"largest difference {np.abs(by_hand - by_layer).max():.0e}")
assert np.allclose(by_hand, by_layer, atol=1e-6)

# %% [markdown]
# The same sentence twice must give the same **tensor**. "duck" has a different position in each
# sentence, so its two vectors must now differ. Do the means differ as well?

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
# They do not! The mean of the sums is the mean of the word vectors plus the mean of the position
# embeddings. Both means are the same for the two sentences, which use the same positions. So adding
# positions does not help as long as everything after it is a sum. Something has to **mix** word and
# position *before* the mean is taken, so that "duck at position 1" becomes different from "duck"
# plus "position 1".

# %% [markdown]
# ### Positions as waves
#
# A table of positions has an end: ours has no row for a seventeenth position. The first Transformer
# calculated its position vectors instead, by **sinusoidal position encoding** (A. Vaswani et al.,
# *Attention Is All You Need*, 2017, section 3.5). Each pair of columns holds the sine and the
# cosine of the position times a speed. Each pair is slower than the one before, like the hands of a
# clock.


# %%
def sine_positions(positions, dim, longest=10_000):
    """Sines in the even columns, cosines in the odd ones -> (positions, dim)."""
    columns = np.arange(dim)
    speed = longest ** -(columns // 2 * 2 / dim)  # (dim,): from 1 down to nearly 1 / longest
    angles = np.arange(positions)[:, None] * speed  # (positions, 1) * (dim,)
    return np.where(columns % 2 == 0, np.sin(angles), np.cos(angles))


sines = sine_positions(64, args.embedding_dim)
sine_layer = keras_nlp.layers.SinePositionEncoding()
library_sines = sine_layer(np.zeros((1, 64, args.embedding_dim), "float32"))[0].numpy()
print(f"largest difference {np.abs(sines - library_sines).max():.0e}")
assert np.allclose(sines, library_sines, atol=1e-5)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6))
image = left.imshow(sines, aspect="auto", vmin=-1, vmax=1)
left.set(title="Each row is a position", xlabel="column of the vector")
left.set_ylabel("position in the text")
left.grid(False)
figure.colorbar(image, label="value")
for place, style in [(10, "-"), (40, "--")]:
    right.plot(cosine_similarities(sines)[place], style, label=f"to position {place}")
right.set(title="Nearby positions have similar vectors", xlabel="position", ylim=(0.2, 1.25))
right.set_ylabel("cosine similarity")
right.legend()
plt.show()

# %% [markdown]
# In the left figure, every row is different, and there can be one for every position, however long
# the text is. The last columns are so slow that here the sines stay near 0 and the cosines near 1.
#
# In the right figure, both curves have the same shape, only shifted: the similarity depends on *how
# far apart* two positions are, not on where they are. It falls with the distance at first. The
# later bumps come from the fast columns, which repeat.

# %% [markdown]
# ### A mixer, in two languages
#
# The smallest mixer is one non-linear layer: `Dense` with an **activation function**, here
# **ReLU**, which replaces negative numbers by zero. Without it, `Dense` would compute only a
# weighted sum, and the argument above would hold again. Our mixer has random parameters and is
# applied to each position separately.
#
# Word order matters in Chinese, too: the Chinese sentences mean "the kitten saw the mouse" and "the
# mouse saw the kitten". Their tokens are characters with random vectors, which is enough here.


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

print("largest difference of the    tensors   averages   averages after mixing")
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
# The result is the same in both languages. Without positions, the tensors differ only in the order
# of their rows, so the mean is the same, with or without mixing. With positions but without mixing,
# the mean is still the same. It takes both: positions *and* a layer that mixes, either a non-linear
# one or one that combines several positions. The second kind is **attention**, the subject of
# [lesson 5](05_attention.ipynb).
#
# Positions do not change the first column, because both sentences get the same ones. Where the
# table shows 0.0000, only rounding errors are left.

# %% [markdown]
# ## In GPT-2
#
# GPT-2 begins with these two tables, in its files called `wte` (word token embedding) and `wpe`
# (word position embedding). Its position embeddings are learnt, not sines and cosines.

# %% [markdown]
# ## If your result looks different
#
# * **The first loss is not $-\log 0.5$.** Either the scores do not start near zero, or
#   `from_logits` is missing, so the loss takes logits for probabilities.
# * **The neighbours make no sense, or are always the same.** If the loss still falls, train for
#   more epochs. Check that the real candidate and the noise are not exchanged.
# * **Other neighbours than on this page.** Words of one kind have nearly the same similarity, so
#   their order depends on `seed` and rounding. The share over all words should hardly change.
# * **An error about a size or an index.** The text is longer than the table of positions, or an id
#   is not in the vocabulary. Cut the text, or make the table larger before training.

# %% [markdown]
# ## Recap
#
# * A one-hot vector times a matrix is a look-up of a row. The gradient of a row is the sum over the
#   positions where it was looked up.
# * Skip-gram gives similar vectors to words that have the same neighbours. Its error, too, is
#   predicted minus true probability.
# * Cosine similarity compares directions. Judge embeddings by a number over many words, compared
#   with chance and the untrained table.
# * Words with similar vectors share what was learnt: what a network learns about "swan" helps with
#   "duck".
# * The mean of word vectors ignores their order. To represent it, a model needs positions and a
#   layer that mixes them with the words.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words first; the lesson has said all that you need.
#
# 1. A sentence contains "the" twice and "dog" not at all. What does a step of gradient descent do
#    to their rows of the embedding table?
# 2. Nobody tells skip-gram that a duck and a swan are both animals. Why do they get similar
#    vectors?
# 3. The training worked. Why does the class "colours" have the lowest share of neighbours in its
#    own class?
# 4. After a hidden word, the network with trained vectors predicts much better than the counted
#    table, after a visible word worse. Why?
# 5. Why do two sentences with the same words in another order have the same mean even after
#    position embeddings are added, and what is missing?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** A whole batch is looked up at once: `ids` has the shape (batch, positions), `upstream` the
# shape (batch, positions, dim). Write the gradient of the table.


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
# **3.** Find the ids of the `count` words nearest to the word with the id `i`, by cosine
# similarity, the nearest first and without the word itself.


# %%
def nearest_words(i, table, count):
    """Return an array of `count` ids."""
    ...


check.nearest_words(nearest_words)

# %% [markdown]
# **4.** Write the negative-sampling loss of one centre, given the vectors of its real neighbour,
# shape (dim,), and of the noise, shape (noise words, dim). Take the sum, as in the paper.


# %%
def skip_gram_loss(centre, real, noise):
    """Return one number."""
    ...


check.skip_gram_loss(skip_gram_loss)

# %% [markdown]
# **5.** The smallest GPT-2 has 50,257 tokens, 1,024 positions and vectors of 768 numbers. How many
# parameters do its two embedding tables have together?

# %%
gpt2_tables = ...

check.gpt2_tables(gpt2_tables)

# %% [markdown]
# ## Next
#
# The vector of a token now depends on the word and its position, but not on the words around it:
# "watch" has the same word vector in "watch the clouds" and "the golden watch". In [lesson
# 5](05_attention.ipynb) each token collects information from the others.
