"""Exercises of lesson 4, embeddings."""

import numpy as np

from utils.exercises import Answers, exercise

IDS = np.array([[0, 2, 2], [3, 0, 0]])
UPSTREAM = np.arange(1.0, 13.0).reshape(2, 3, 2)
TABLE = np.array([[1.0, 0.0], [5.0, 1.0], [2.0, -9.0], [0.5, 0.4], [-3.0, 0.1], [0.3, 0.0]])
CENTRE = np.array([0.5, -1.0, 2.0])
REAL = np.array([1.0, 0.5, 0.25])
NOISE = np.array([[0.2, -0.4, 0.1], [-1.0, 0.3, 0.7], [0.0, 2.0, -0.5]])


@exercise(
    cases=[(IDS, UPSTREAM, 5), (np.array([[1], [1]]), np.ones((2, 1, 3)), 2)],
    hints=[
        "Begin with zeros of the shape (words, dim), then add each row to the row of its word.",
        "`np.add.at(gradient, ids, upstream)` takes ids of any shape.",
    ],
)
def batch_gradient(ids, upstream, words):
    gradient = np.zeros((words, upstream.shape[-1]))
    np.add.at(gradient, ids, upstream)
    return gradient


@batch_gradient.mistake(
    "`gradient[ids] += upstream` adds only once for a repeated word: use np.add.at."
)
def _(ids, upstream, words):
    gradient = np.zeros((words, upstream.shape[-1]))
    gradient[ids] += upstream
    return gradient


@batch_gradient.mistake("what comes back to a repeated word is added up, not averaged.")
def _(ids, upstream, words):
    times = np.bincount(ids.ravel(), minlength=words)[:, None]
    return batch_gradient.answer(ids, upstream, words) / np.maximum(times, 1)


@batch_gradient.mistake("one gradient for each example: add them up over the batch.")
def _(ids, upstream, words):
    one_hot = np.eye(words)[ids]  # (batch, positions, words)
    return np.swapaxes(one_hot, 1, 2) @ upstream


@batch_gradient.mistake("the table has one row for each word: the shape is (words, dim).")
def _(ids, upstream, words):
    return batch_gradient.answer(ids, upstream, words).T


@exercise(
    cases=[(TABLE[1], TABLE), (CENTRE, NOISE)],
    hints=[
        "The dot product, divided by the length of the vector and by the length of each row.",
        "`np.linalg.norm(table, axis=1)` gives the length of each row.",
    ],
)
def cosine_to_all(vector, table):
    lengths = np.linalg.norm(table, axis=1) * np.linalg.norm(vector)  # (words,)
    return table @ vector / lengths


@cosine_to_all.mistake("that is the dot product. Divide by both lengths.")
def _(vector, table):
    return table @ vector


@cosine_to_all.mistake("divide by the length of the vector as well: the best possible value is 1.")
def _(vector, table):
    return table @ vector / np.linalg.norm(table, axis=1)


@cosine_to_all.mistake("divide by the length of each row as well, or long rows win.")
def _(vector, table):
    return table @ vector / np.linalg.norm(vector)


@cosine_to_all.mistake("each row has a length of its own: np.linalg.norm(table, axis=1).")
def _(vector, table):
    return table @ vector / np.linalg.norm(table) / np.linalg.norm(vector)


@cosine_to_all.mistake("you divided by the squares of the lengths: take the root.")
def _(vector, table):
    return table @ vector / np.sum(table**2, axis=1) / np.sum(vector**2)


@exercise(
    cases=[(0, TABLE, 3), (3, TABLE, 2)],
    hints=[
        "Compute all similarities, then make the one to the word itself so low that it comes last.",
        "`np.argsort(-similarities)[:count]` are the ids of the largest, the best first.",
    ],
)
def nearest_words(i, table, count):
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    similarities = unit @ unit[i]
    similarities[i] = -np.inf
    return np.argsort(-similarities)[:count]


def _cosines(i, table):
    return cosine_to_all.answer(table[i], table)


@nearest_words.mistake("the word itself is among them: it is always its own nearest neighbour.")
def _(i, table, count):
    similarities = _cosines(i, table)
    similarities[i] = np.inf
    return np.argsort(-similarities)[:count]


@nearest_words.mistake("without dividing by the lengths, long vectors win.")
def _(i, table, count):
    scores = table @ table[i]
    scores[i] = -np.inf
    return np.argsort(-scores)[:count]


@nearest_words.mistake("those are the farthest: argsort puts the smallest first.")
def _(i, table, count):
    similarities = _cosines(i, table)
    similarities[i] = np.inf
    return np.argsort(similarities)[:count]


@nearest_words.mistake("the right words, but the nearest comes first.")
def _(i, table, count):
    return nearest_words.answer(i, table, count)[::-1]


@nearest_words.mistake("the ids are wanted, not the similarities.")
def _(i, table, count):
    return _cosines(i, table)[nearest_words.answer(i, table, count)]


def _sigmoid(scores):
    return 1 / (1 + np.exp(-scores))


@exercise(
    cases=[(CENTRE, REAL, NOISE), (NOISE[1], CENTRE, NOISE[:2])],
    hints=[
        "The score of the real one should be high, those of the noise low: one sign changes.",
        "`-np.log(sigmoid(real @ centre))`, and the same for noise with the score turned round.",
    ],
)
def skip_gram_loss(centre, real, noise):
    def log_sigmoid(scores):
        return -np.log(1 + np.exp(-scores))

    return -log_sigmoid(real @ centre) - np.sum(log_sigmoid(-(noise @ centre)))


@skip_gram_loss.mistake("noise should get a *low* score: turn the sign inside its sigmoid round.")
def _(centre, real, noise):
    return -np.log(_sigmoid(real @ centre)) - np.sum(np.log(_sigmoid(noise @ centre)))


@skip_gram_loss.mistake("the sign: a loss is never negative here.")
def _(centre, real, noise):
    return -skip_gram_loss.answer(centre, real, noise)


@skip_gram_loss.mistake("the real neighbour and the noise are exchanged.")
def _(centre, real, noise):
    return -np.log(_sigmoid(-(real @ centre))) - np.sum(np.log(_sigmoid(noise @ centre)))


@skip_gram_loss.mistake("that is the mean over the candidates, as in Keras; the paper sums.")
def _(centre, real, noise):
    return skip_gram_loss.answer(centre, real, noise) / (1 + len(noise))


@skip_gram_loss.mistake("the noise is missing: with the real neighbour alone all vectors collapse.")
def _(centre, real, noise):
    return -np.log(_sigmoid(real @ centre))


@skip_gram_loss.mistake("sum over the noise words; you took their mean.")
def _(centre, real, noise):
    return -np.log(_sigmoid(real @ centre)) - np.mean(np.log(_sigmoid(-(noise @ centre))))


@exercise(
    hints=[
        "One row for each token, one row for each position; each row has 768 numbers.",
        "`(50_257 + 1_024) * 768`",
    ],
)
def gpt2_tables():
    return (50_257 + 1_024) * 768


@gpt2_tables.mistake("that is the table of the tokens. The positions have one as well.")
def _():
    return 50_257 * 768


@gpt2_tables.mistake("that is the table of the positions. The tokens have one as well.")
def _():
    return 1_024 * 768


@gpt2_tables.mistake("those are the rows; each has 768 numbers.")
def _():
    return 50_257 + 1_024


@gpt2_tables.mistake("a row for each pair of token and position? There are two tables, added up.")
def _():
    return 50_257 * 1_024 * 768


answer = Answers(
    (
        "Which rows learn",
        "The gradient of a row is the sum of the gradients at all positions where the word"
        ' occurs. For "the" the gradients from both positions are added. "dog" was not looked'
        " up, so its gradient is zero and its row does not change.",
    ),
    (
        "Which words are alike? Those in the same company",
        "Skip-gram has to predict from a word which words occur near it. A duck and a swan"
        " have the same neighbours in the text, so a table that solves the task must give them"
        " similar rows.",
    ),
    (
        "How good? A number",
        "A person puts the colours into one class because of what they mean. The vectors"
        ' represent only how words are used in this text: "grey" describes days, like the'
        ' words for the weather, and "red" occurs with "apple". So many neighbours of a colour'
        " are no colours.",
    ),
    (
        "What sharing buys",
        "The counted table has no counts for a hidden word, so it gives every next word the"
        " same probability. The network uses what it has learnt about words with similar"
        " vectors. After a visible word there are enough counts, and short vectors only"
        " approximate them.",
    ),
    (
        "What a bag forgets",
        "The mean of the sums is the mean of the word vectors plus the mean of the position"
        " embeddings, and both are the same in either order. What is missing is a step that"
        " mixes word and position before the mean is taken, such as a non-linear layer or"
        " attention.",
    ),
)
