# %% [markdown]
# # 3. Tokenization: pieces between letters and words
#
# At the end of this lesson you will have written the heart of GPT-2's tokenizer, learning merges
# and applying them, trained it on the tales, and compared its tokens with those of Keras.
#
# You need: [lesson 2](02_next_token.ipynb): what a language model predicts, and why a character is
# a small thing to predict.

# %%
from utils.course.settings import settings

args = settings(vocabulary_size=1536, seed=3)
print(args)

# %%
import unicodedata
from collections import Counter
from itertools import pairwise

import keras_nlp
import matplotlib.pyplot as plt
import numpy as np

from utils.course.plots import GREEN, SKY, STYLE, YELLOW
from utils.course.seeds import seed_everything
from utils.data import bpe
from utils.data.keras_tokenizers import TALES, as_keras, folder
from utils.exercises import lesson_03 as check
from utils.tales import as_text, corpus

plt.style.use(STYLE)
rng = seed_everything(args.seed)

# %% [markdown]
# ## The idea, by hand
#
# A model reads numbers, so a text must be cut into pieces, and each kind of piece gets a number.
# The pieces are called **tokens**, and all kinds together are the **vocabulary**. In lesson 2 the
# tokens were characters. Here is a text to try that on.

# %% tags=["nbval-check-output"]
text = "fast faster fastest long longer longest strange stranger"
print(f"characters: {len(text)} tokens of {len(set(text))} kinds")
print(f"words: {len(text.split())} tokens of {len(set(text.split()))} kinds")

# %% [markdown]
# Characters make a small vocabulary and long texts. That is costly twice: the model spends its
# effort on spelling, and it can look back only on a fixed number of tokens, its **window**, so with
# small tokens it sees less of the story.
#
# Words make short texts. But what becomes of a word that was not there when the vocabulary was
# made, an **out-of-vocabulary** word? It gets a token that says "unknown", and its meaning is lost.

# %% tags=["nbval-check-output"]
known = set(text.split())
print([word if word in known else "<unknown>" for word in ["long", "strangest", "faster"]])

# %% [markdown]
# You have no trouble with *strangest*: you see *strange* and the ending of *fastest*. We want
# tokens like these, between letters and words. **Byte-pair encoding** finds them by counting:
#
# 1. Cut every word into characters.
# 2. Count all pairs of neighbours.
# 3. Join the most frequent pair to a new token, wherever it stands. This is a **merge**.
# 4. Go back to 2, as often as you like.


# %%
def count_pairs(words):
    """How often each pair of neighbours stands in `words`, which are lists of tokens."""
    return Counter(pair for word in words for pair in pairwise(word))


words = [list(word) for word in text.split()]
print(words[-1])
print(count_pairs(words).most_common(4))

# %% [markdown]
# Count `s`, `t` yourself: once in *fast*, once in *faster*, twice in *fastest*, once each in
# *longest*, *strange* and *stranger*. No pair is more frequent, so it becomes a token.


# %%
def merge(word, pair):
    """Join the pair wherever it stands in the word, from left to right."""
    merged, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            merged.append(word[i] + word[i + 1])
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return merged


# %% tags=["nbval-check-output"]
for word in words:
    print(merge(word, ("s", "t")))

# %% [markdown]
# Count and merge in turn, and you have the whole training. If two pairs are equally frequent, we
# take the one that comes first in the text. Python's `max` does that by itself: a `Counter` keeps
# the order in which it met the pairs, and `max` returns the first of equals.


# %%
def learn(words, num_merges):
    """Yield one merge after the other, each with the counts that led to it."""
    for _ in range(num_merges):
        counts = count_pairs(words)
        best = max(counts, key=counts.get)
        yield best, counts
        words = [merge(word, best) for word in words]


# %% tags=["nbval-check-output"]
merges = []
for number, (pair, counts) in enumerate(learn(words, 11), start=1):
    merges.append(pair)
    print(f"merge {number:2}: {pair[0]:>4} + {pair[1]:4} occurs {counts[pair]} times")

# %% [markdown]
# Follow the last lines upwards: *strange* is *stra* and *nge*, *stra* is *str* and *a*, and *str*
# begins with the *st* of the first merge. Merges build on merges, so their order matters.
#
# To **encode** a word, cut it into characters and do all the merges again, in the same order.


# %%
def encode_word(word, merges):
    """The tokens of a word."""
    tokens = list(word)
    for pair in merges:
        tokens = merge(tokens, pair)
    return tokens


# %% tags=["nbval-check-output"]
for word in ["stranger", "strangest", "lost", "gnat"]:
    print(f"{word:10} {encode_word(word, merges)}")

# %% [markdown]
# *strangest* was never in the text, and yet it comes out in two pieces that both occur elsewhere.
# (They are not quite those that you would choose: the *e* already belongs to *strange*.) A word
# with nothing familiar in it, like *gnat*, falls back to its letters. No word that is made of these
# letters is unknown any more.
#
# Here is one word while it grows together. Each box is a token; the colours only tell neighbours
# apart. Each row is one merge later; merges that do not touch the word are left out.


# %%
def draw_strip(axes, row, tokens, label):
    """Draw the tokens as boxes side by side, as wide as their text."""
    left = 0
    for number, token in enumerate(tokens):
        colour = [SKY, YELLOW, "lightgrey", GREEN][number % 4]
        axes.barh(row, len(token), 0.8, left, color=colour, alpha=0.5, edgecolor="black")
        shown = token.replace(" ", "␣").replace("\n", "↵")
        axes.text(left + len(token) / 2, row, shown, ha="center", va="center", family="monospace")
        left += len(token)
    axes.text(left + 0.5, row, label, va="center")


def empty_axes(rows, length, room):
    """Axes without ticks, for `rows` strips of `length` characters and `room` for the labels."""
    figure, axes = plt.subplots(figsize=(6.4, 0.4 * rows + 0.4))
    axes.set(xlim=(-0.2, length + room), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes


# %%
stages = [(list("strangest"), "characters")]
for number, pair in enumerate(merges, start=1):
    tokens = merge(stages[-1][0], pair)
    if tokens != stages[-1][0]:
        stages.append((tokens, f"merge {number:2}: {pair[0]} + {pair[1]}"))

axes = empty_axes(len(stages), len("strangest"), room=7)
for row, (tokens, label) in enumerate(stages):
    draw_strip(axes, row, tokens, label)
axes.set_title("Each merge joins two neighbours")
plt.show()

# %% [markdown]
# The vocabulary is the alphabet and one token for each merge; a token's place in it is its **id**.
# To **decode**, look the tokens up and join them.

# %% tags=["nbval-check-output"]
vocabulary = sorted(set(text)) + [left + right for left, right in merges]
ids = [vocabulary.index(token) for token in encode_word("strangest", merges)]
print(ids, "→", "".join(vocabulary[i] for i in ids))

# %% [markdown]
# ### Bytes: an alphabet that is never too small
#
# One gap is left. What about a character that the text did not have, an é, a 猫, a 🦊? Unicode has
# more than a hundred thousand of them. But every text is stored as **bytes**, and a byte has only
# 256 values. UTF-8, the usual way to store text, writes a character with one to four bytes.

# %% tags=["nbval-check-output"]
for character in "aé猫🦊":
    print(character, list(character.encode("utf-8")))

# %% [markdown]
# So GPT-2 starts with the 256 bytes in place of an alphabet, and every text there is, in any
# script, can be encoded. Our functions need no change: Python joins bytes like strings.
# `bpe.single_bytes` cuts a word into its bytes, which Python prints in hexadecimal: `\xe7` is 231.
# Here are the Chinese words for *cat*, *kitten* and *big cat*.

# %% tags=["nbval-check-output"]
byte_words = [bpe.single_bytes(word) for word in ["猫", "小猫", "大猫"]]
print(byte_words[1])
for pair, counts in learn(byte_words, 2):
    print(f"{pair[0]} + {pair[1]} occurs {counts[pair]} times")

# %% [markdown]
# Two merges, and the three bytes of 猫 are one token. Before that there were tokens that are *part*
# of a character. On its own such a token cannot be shown; Python prints a � in its place.

# %% tags=["nbval-check-output"]
print("猫".encode()[:2].decode("utf-8", errors="replace"))

# %% [markdown]
# ### Spaces belong to words
#
# The toy text was cut at its spaces, and the spaces were lost. GPT-2 keeps them: a space belongs to
# the word after it. A regular expression, published with GPT-2, cuts a text into words, numbers and
# signs (`\p{L}` is a letter of any script, `\p{N}` a digit); no token ever reaches across such a
# cut. Joined, the pieces are the text again. Of two spaces, the second belongs to the word and the
# first stands alone.

# %% tags=["nbval-check-output"]
print(bpe.WORD.pattern)
sentence = "I'll wait,  until 10:30!\nDon't run."
print(bpe.split_words(sentence))
print("".join(bpe.split_words(sentence)) == sentence)

# %% [markdown]
# ## From a toy to a tool
#
# Now the tales. How much work will it be? Our `learn` counts every pair of the whole text again
# before each merge. Let it do 60 merges on the first hundred tales, and note how many pairs it has
# looked at.

# %% tags=["nbval-check-output"]
tales = corpus("en", "train", TALES)
sample = as_text(tales[:100])
sample_words = [bpe.single_bytes(word) for word in bpe.split_words(sample)]
print(f"{len(sample):,} characters, {len(sample_words):,} words")

# %%
slow_merges, looked_at = [], []
for pair, counts in learn(sample_words, 60):
    slow_merges.append(pair)
    looked_at.append(counts.total())
slow_work = np.cumsum(looked_at)

# %% [markdown]
# Most of that was in vain. Two thoughts make training fast:
#
# * A text repeats its words. Count the pairs of each *different* word once, times its frequency.
# * A merge changes only the pairs to the left and to the right of what it joins. Remember at which
#   positions each pair occurs; after a merge take the pairs that have vanished there out of the
#   counts, and put the new ones in.
#
# `bpe.Trainer` in [bpe.py](../utils/data/bpe.py) does both. It is well worth reading now.

# %%
trainer = bpe.Trainer(sample)
quick_merges, quick_work = [], []
for _ in range(60):
    quick_merges.append(trainer.step())
    quick_work.append(trainer.pairs_counted)

# %% tags=["nbval-check-output"]
print("the same merges:", quick_merges == slow_merges)
print(f"pairs looked at: {slow_work[-1]:,} and {quick_work[-1]:,}")
print("less than a hundredth of the work:", bool(quick_work[-1] < slow_work[-1] / 100))
assert quick_merges == slow_merges

# %%
steps = np.arange(1, 61)
plt.semilogy(steps, slow_work, label="count everything again")
plt.semilogy(steps, quick_work, label="count what has changed")
plt.title("The same merges, for a small part of the work")
plt.xlabel("merges")
plt.ylabel("pairs looked at, in total")
plt.legend(loc="center right")
plt.show()

# %% [markdown]
# The gap widens with every merge, because each new pair occurs less often, so less has to be
# counted again. For times in seconds, next to other trainers, see the
# [benchmarks](../benchmarks/README.md).
#
# So let us train on all the tales that we have loaded, with as many merges as the setting
# `vocabulary_size` leaves room for: 256 tokens are bytes, and one, `<|endoftext|>`, marks the end
# of a text.

# %% tags=["nbval-check-output"]
num_merges = args.vocabulary_size - bpe.SMALLEST_VOCABULARY
tokenizer = bpe.Tokenizer(bpe.train(as_text(tales), num_merges))
learnt = [left + right for left, right in tokenizer.merges]
print(f"{len(tales):,} tales, {num_merges:,} merges, {len(tokenizer.tokens):,} tokens")
print("first merges:", learnt[:12])
print("last merges: ", learnt[-8:])

# %% [markdown]
# The first merges are what any English text would give: *he*, *the*, the *nd* of *and*. The last
# ones are words of these tales. A space belongs to the token: ` the` is one, and `the` without a
# space is another. Does every text come back, whatever it is?

# %% tags=["nbval-check-output"]
texts = [
    "Once upon a time there was a fox.",
    "从前有一只小猫。",
    "🦊 naïve café ½",
    "print('the end')\n",
    "three   spaces and\n\n\nblank lines",
]
for text in texts:
    ids = tokenizer.encode(text)
    print(f"{len(text):3} characters, {len(ids):3} tokens, comes back: ", end="")
    print(tokenizer.decode(ids) == text)

# %% [markdown]
# ## The same in Keras
#
# GPT-2 was published with two files, and tools of all kinds read them: `vocab.json`, the id of each
# token, and `merges.txt`, the merges. In both, each byte stands as a character that can be seen. A
# space is `Ġ`, a line break is `Ċ`. The ids of the single bytes follow GPT-2's order, visible
# characters first, so they are not the values of the bytes.

# %% tags=["nbval-check-output"]
print(tokenizer.merge_lines[:6])
print({token: tokenizer.vocabulary[token] for token in ["!", "a", "Ċ", "Ġ"]})
print(list(tokenizer.vocabulary.items())[-2:])

# %% [markdown]
# keras-nlp takes the same two things. Does it find the same tokens?

# %%
from_library = keras_nlp.models.GPT2Tokenizer(
    vocabulary=tokenizer.vocabulary, merges=tokenizer.merge_lines
)
for text in texts:
    same = np.asarray(from_library(text)).tolist() == tokenizer.encode(text)
    print(f"{same!s:5}  {text!r}")

# %% [markdown]
# Nearly always: look for the `False`. Who is right? Look at the pieces.

# %%
text = "('the"
print(bpe.split_words(text))
print([tokenizer.decode([i]) for i in tokenizer.encode(text)])
print([tokenizer.decode([i]) for i in np.asarray(from_library(text))])

# %% [markdown]
# The tales have words like *can't*, so `'t` is a token. But here a cut lies between `'` and `t`,
# and no token reaches across a cut. keras-nlp, in the version that the course uses, passes its
# pattern on in a wrong way, and does not cut at all. It matters seldom, because the merges were
# learnt inside the cuts.
#
# `as_keras` in [keras_tokenizers.py](../utils/data/keras_tokenizers.py) gives you keras-nlp's
# tokenizer with the right pattern put in. All later lessons use that one.

# %% tags=["nbval-check-output"]
in_keras = as_keras(tokenizer)
for text in texts:
    same = np.asarray(in_keras(text)).tolist() == tokenizer.encode(text)
    print(f"{same!s:5}  {text!r}")

# %% [markdown]
# Five texts prove little. So draw ten thousand strings, each a wild mix of the keyboard and of all
# the characters that Unicode has.

# %%
in_unicode = map(chr, range(0x110000))
# Cn: not assigned yet. Cs: half of a surrogate pair, which is no character.
everything = np.array([c for c in in_unicode if unicodedata.category(c) not in ("Cn", "Cs")])
keyboard = np.array(list(" \n\tabcdeABCXYZ'sre0123456789.,!?"))


def random_text():
    length = rng.integers(0, 20)
    rare, common = rng.choice(everything, length), rng.choice(keyboard, length)
    return "".join(rng.permutation([*rare, *common]))


wild_texts = [random_text() for _ in range(10_000)]
print(repr(wild_texts[0]))

# %% tags=["nbval-check-output"]
ours = [tokenizer.encode(text) for text in wild_texts]
theirs = [np.asarray(ids).tolist() for ids in in_keras(wild_texts)]
different = sum(a != b for a, b in zip(ours, theirs, strict=True))
print(f"{len(wild_texts):,} texts, different tokens in {different} of them")
print("every text comes back:", [tokenizer.decode(ids) for ids in ours] == wild_texts)
assert ours == theirs

# %% [markdown]
# So this is GPT-2's tokenizer: your merges, on bytes, cut by GPT-2's pattern. The marker
# `<|endoftext|>` is a token of its own, with the last id. It must not be the first: the texts of a
# batch must have one length, so keras-nlp fills short ones up with id 0 (**padding**), and every
# filled place would look like the end of a text. (In GPT-2's order id 0 is the `!`. That does no
# harm, because a mask says which places are filled.)

# %% tags=["nbval-check-output"]
ids = np.asarray(in_keras("The fox slept.<|endoftext|>"))
print([tokenizer.decode([i]) for i in ids])
print("end:", in_keras.end_token_id, " padding:", in_keras.pad_token_id)

# %% [markdown]
# So that every lesson reads the tales in the same way, this tokenizer [comes with the
# course](../datasets/tokenizers.md), and one for Chinese. They lie in `datasets/`, in GPT-2's two
# files. Is the English one the one that you have just trained?

# %% tags=["nbval-check-output"]
shipped = bpe.Tokenizer.load(folder("en"))
print("the shipped tokenizer has these merges:", shipped.merges == tokenizer.merges)

# %% [markdown]
# ## What it makes of text
#
# Take the first merges only and you have a smaller tokenizer. Here is a sentence that the tokenizer
# has not seen, cut with four sizes of vocabulary. Each box is a token, ␣ is a space.


# %%
def pieces(tokenizer, text):
    """The tokens of a text, each as text."""
    return [tokenizer.decode([i]) for i in tokenizer.encode(text)]


sentence = "It was the strangest fox in the village."
sizes = [size for size in (257, 320, 512) if size < args.vocabulary_size]
sizes.append(args.vocabulary_size)
axes = empty_axes(len(sizes), len(sentence), room=14)
for row, size in enumerate(sizes):
    smaller = bpe.Tokenizer(tokenizer.merges[: size - bpe.SMALLEST_VOCABULARY])
    tokens = pieces(smaller, sentence)
    draw_strip(axes, row, tokens, f"{size}: {len(tokens)} tokens")
axes.set_title("The same sentence, with a growing vocabulary")
plt.show()

# %% [markdown]
# From top to bottom the pieces grow from bytes to words. *strangest* and *fox* stay in pieces,
# since the tales do not use them, but nothing is lost.
#
# A larger vocabulary makes shorter texts. Is larger always better? Measure it on held-out tales, in
# English and, with merges learnt from the Chinese tales, in Chinese.

# %%
chinese_tales = corpus("zh", "train", TALES)
chinese = bpe.Tokenizer(bpe.train(as_text(chinese_tales), num_merges))

held_out = as_text(corpus("en", "validation", 50))
chinese_held_out = as_text(corpus("zh", "validation", 50))


# %%
def tokens_per_character(tokenizer, sizes, text):
    """What a text needs with the first merges only, for each size of the vocabulary."""
    smaller = [bpe.Tokenizer(tokenizer.merges[: size - bpe.SMALLEST_VOCABULARY]) for size in sizes]
    return [len(each.encode(text)) / len(text) for each in smaller]


sizes = np.unique(np.geomspace(257, args.vocabulary_size, 20).astype(int))
in_english = tokens_per_character(tokenizer, sizes, held_out)
in_chinese = tokens_per_character(chinese, sizes, chinese_held_out)

# %%
plt.plot(sizes, in_chinese, label="Chinese tales, Chinese merges")
plt.plot(sizes, in_english, label="English tales, English merges")
plt.axhline(1, color="grey", linewidth=0.8, linestyle=":")
plt.text(sizes[-1], 1.03, "one token per character", ha="right", color="dimgrey")
plt.ylim(bottom=0)
plt.title("The first merges save the most")
plt.xlabel("size of the vocabulary")
plt.ylabel("tokens per character")
plt.legend()
plt.show()

# %% tags=["nbval-check-output"]
for name, values in [("English", in_english), ("Chinese", in_chinese)]:
    print(f"{name}: from {values[0]:.2f} to {values[-1]:.2f} tokens per character")

# %% [markdown]
# The curves fall steeply and then flatten. Each further token also costs something: a row in the
# model's tables, and one more class to predict, with fewer examples to learn it from. GPT-2 has
# 50,257 tokens for all of the web. The tales have few words, so a small vocabulary will do. We
# chose the size so that a tale and its end fit into the 256 tokens that our GPT will look back on
# at most.

# %% tags=["nbval-check-output"]
lengths = [len(tokenizer.encode(story.text)) for story in corpus("en", "validation", 50)]
print(f"held-out tales: {min(lengths)} to {max(lengths)} tokens, mean {np.mean(lengths):.0f}")
print("all fit, with their end:", max(lengths) + 1 <= 256)

# %% [markdown]
# ### One sentence, two languages
#
# A Chinese character stands for as much as an English word, or half of one. So is Chinese shorter?
# Count the same sentence in both languages, with both tokenizers.

# %% tags=["nbval-check-output"]
two = {
    "English": "Once upon a time a kitten lived by the river.",
    "Chinese": "从前，河边住着一只小猫。",
}
print(f"{'':9}characters  bytes  English tokenizer  Chinese tokenizer")
for name, text in two.items():
    counts = [len(text), len(text.encode()), len(tokenizer.encode(text)), len(chinese.encode(text))]
    print("{:9}{:10}{:7}{:19}{:19}".format(name, *counts))

# %% [markdown]
# In characters Chinese is much shorter, in bytes no longer so. In tokens it depends on who trained
# the tokenizer. Each one is short in its own language and falls back to bytes in the other: for the
# English tokenizer a Chinese character is three tokens. Whoever pays for a model by the token, or
# has a window of so many tokens, pays more in a language that the tokenizer has not learnt.

# %% tags=["nbval-check-output"]
print(pieces(chinese, two["Chinese"]))
print(pieces(tokenizer, two["Chinese"])[:9], "…")

# %% [markdown]
# The Chinese tokenizer has found words, although Chinese puts no spaces between them. The other one
# sees bytes, parts of characters, which cannot be shown one by one. In both cases the text comes
# back whole.
#
# So mind the words. A *character* is what people read, a *byte* is what files hold, and a **token**
# is what the model reads; these are three different things. Loss and perplexity "per token" can
# only be compared between models that have the same tokenizer; "per character", as in lesson 2,
# always.

# %% [markdown]
# ## If your result looks different
#
# * **`the shipped tokenizer has these merges: False`.** You have changed `vocabulary_size`, or the
#   tales. The shipped one belongs to the default; yours works as well.
# * **Your merges differ from another tool's on the same text.** Then ties are broken in another
#   way, or the text is cut into words by another pattern. GPT-2's own merges come from another
#   text: only the method is the same.
# * **A � in the output.** You decoded a part of a character. Decode the tokens together.

# %% [markdown]
# ## Recap
#
# * Tokens are pieces between characters and words; byte-pair encoding finds them by joining the
#   most frequent neighbours again and again.
# * Starting from 256 bytes, every text can be encoded and comes back exactly. There are no unknown
#   words.
# * The merges, in their order, are the whole tokenizer: training, encoding and files all follow
#   from them. Keras, with its pattern mended, gives the same tokens.
# * Count again only what has changed, and training is fast.
# * A token is not a character: the same sentence costs more in a language that the tokenizer has
#   not learnt.

# %% [markdown]
# ## Check yourself
#
# **1.** Find the pair of neighbours that is most frequent in a list of words. Among equals, the
# first wins.


# %%
def most_frequent_pair(words):
    """Return a pair of tokens; each word is a list of tokens."""
    ...


check.most_frequent_pair(most_frequent_pair)

# %% [markdown]
# **2.** Join a pair of tokens wherever it stands in a word, from left to right. In `a a a` the pair
# `a a` stands once.


# %%
def merge_pair(tokens, pair):
    """Return a new list of tokens."""
    ...


check.merge_pair(merge_pair)

# %% [markdown]
# **3.** Encode a word with a list of merges. Do it without looking at the lesson.


# %%
def encode(word, merges):
    """Return the tokens of `word`, a list of strings."""
    ...


check.encode(encode)

# %% [markdown]
# **4.** Decode ids. `tokens` holds the bytes of each id; a character may be spread over several
# tokens.


# %%
def decode(ids, tokens):
    """Return a string."""
    ...


check.decode(decode)

# %% [markdown]
# **5.** The vocabulary of GPT-2 has 50,257 tokens. How many merges did it learn?

# %%
gpt2_merges = ...

check.gpt2_merges(gpt2_merges)

# %% [markdown]
# ## Next
#
# To the model a token is only a number so far: the ids of ` castle` and ` village` have nothing in
# common. In [lesson 4](04_embeddings.ipynb) every token becomes a vector, and similar tokens come
# to lie near one another.
