# %% [markdown]
# # 3. Tokenization: pieces between letters and words
#
# At the end of this lesson you will have written the core of GPT-2's **tokenizer**, the program
# that cuts a text into pieces and numbers them. You will have trained it on the tales and compared
# its output with that of Keras.
#
# You need: [lesson 2](02_next_token.ipynb): what a language model predicts, and why a single
# character carries little information.

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
# A model reads numbers. So a text must be cut into pieces, and each different piece gets a number.
# The pieces are called **tokens**, and the list of all different tokens is the **vocabulary**. In
# lesson 2 the tokens were characters; words are another choice. Compare the two on a short text.

# %% tags=["nbval-check-output"]
text = "fast faster fastest long longer longest strange stranger"
print(f"characters: {len(text)} tokens of {len(set(text))} kinds")
print(f"words: {len(text.split())} tokens of {len(set(text.split()))} kinds")

# %% [markdown]
# Characters make a small vocabulary but long texts. Long texts have two costs. The model has to
# make many more predictions, most of which only spell out words. And it can look back only on a
# fixed number of tokens, its **context window**, so with small tokens it sees less of the story.
#
# Words make short texts. But what about an **out-of-vocabulary** word, one that did not occur in
# the text from which the vocabulary was made? All such words get the same token, "unknown", and
# their meaning is lost.

# %% tags=["nbval-check-output"]
known = set(text.split())
print([word if word in known else "<unknown>" for word in ["long", "strangest", "faster"]])

# %% [markdown]
# You can read *strangest* without having seen it before: it is *strange* with the ending of
# *fastest*. We want tokens like these, between letters and words. **Byte-pair encoding** (BPE)
# finds them by counting:
#
# 1. Cut every word into characters.
# 2. Count all pairs of neighbouring tokens.
# 3. Join the most frequent pair into a new token wherever it occurs. This is called a **merge**.
# 4. Repeat from step 2, as often as you like.


# %%
def count_pairs(words):
    """How often each pair of neighbours stands in `words`, which are lists of tokens."""
    return Counter(pair for word in words for pair in pairwise(word))


words = [list(word) for word in text.split()]
print(words[-1])
print(count_pairs(words).most_common(4))

# %% [markdown]
# Count the pair `s`, `t` yourself: once in *fast*, once in *faster*, twice in *fastest*, once each
# in *longest*, *strange* and *stranger*. No pair is more frequent, so it becomes a token.


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
# To train the tokenizer, count and merge in turn. If two pairs are equally frequent, we take the
# one that comes first in the text. Python's `max` does so by itself: a `Counter` keeps its pairs in
# the order in which they first occurred, and `max` returns the first of several equal ones.


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
# begins with the *st* of the first merge. A later merge joins tokens that earlier merges have made,
# so the order of the merges matters.
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
# *strangest* was not in the text, and yet it is encoded as two tokens that both occur elsewhere.
# (They are not quite those that you would choose: the *e* already belongs to *strange*.) A word
# that shares no merge with the text, like *gnat*, is encoded letter by letter. So a word that
# consists of these letters is never out of vocabulary.
#
# The next figure shows how one word is merged step by step. Each box is a token; the colours only
# separate neighbours. Each row shows the word after one more merge. Merges that do not change the
# word are left out.


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
# The vocabulary consists of the alphabet and one token for each merge. The position of a token in
# the vocabulary is its **id**, and ids are what the model reads. To **decode** ids, look up their
# tokens and join them.

# %% tags=["nbval-check-output"]
vocabulary = sorted(set(text)) + [left + right for left, right in merges]
ids = [vocabulary.index(token) for token in encode_word("strangest", merges)]
print(ids, "→", "".join(vocabulary[i] for i in ids))

# %% [markdown]
# ### Bytes: an alphabet that is never too small
#
# One problem is left: characters that the text did not have, such as é, 猫 or 🦊. Unicode has more
# than a hundred thousand characters, too many for an alphabet. But every text is stored as
# **bytes**, and a byte has only 256 values. UTF-8, the usual way to store text, writes each
# character as one to four bytes.

# %% tags=["nbval-check-output"]
for character in "aé猫🦊":
    print(character, list(character.encode("utf-8")))

# %% [markdown]
# So GPT-2 starts with the 256 bytes instead of an alphabet. Every text, in any script, is a
# sequence of bytes and can therefore be encoded. Our functions need no change, because Python joins
# bytes in the same way as strings. `bpe.single_bytes` cuts a word into its bytes, which Python
# prints in hexadecimal: `\xe7` is 231. Here are the Chinese words for *cat*, *kitten* and *big
# cat*.

# %% tags=["nbval-check-output"]
byte_words = [bpe.single_bytes(word) for word in ["猫", "小猫", "大猫"]]
print(byte_words[1])
for pair, counts in learn(byte_words, 2):
    print(f"{pair[0]} + {pair[1]} occurs {counts[pair]} times")

# %% [markdown]
# After two merges the three bytes of 猫 are one token. The first merge made a token that is only
# *part* of a character. Such a token cannot be shown on its own, so Python prints a � (the
# replacement character) for it.

# %% tags=["nbval-check-output"]
print("猫".encode()[:2].decode("utf-8", errors="replace"))

# %% [markdown]
# ### Spaces belong to words
#
# We cut the toy text at its spaces, and the spaces were lost. GPT-2 keeps them: a space belongs to
# the word after it. A regular expression, published with GPT-2, cuts a text into words, numbers and
# punctuation (`\p{L}` is a letter of any script, `\p{N}` a digit). Merges happen only inside these
# pieces, so no token crosses the border between two of them. Joined, the pieces give the text
# again. Of two spaces in a row, the second belongs to the next word and the first is a piece of its
# own.

# %% tags=["nbval-check-output"]
print(bpe.WORD.pattern)
sentence = "I'll wait,  until 10:30!\nDon't run."
print(bpe.split_words(sentence))
print("".join(bpe.split_words(sentence)) == sentence)

# %% [markdown]
# ## From a toy to a tool
#
# Now we train on the tales. How much work will it be? Our `learn` counts every pair of the whole
# text again before each merge. To measure that, we let it do 60 merges on the first hundred tales
# and record how many pairs it has counted.

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
# Most of that work is unnecessary. Two ideas make training fast:
#
# * A text repeats its words. Count the pairs of each *different* word once and multiply by how
#   often the word occurs.
# * A merge changes only the pairs to the left and to the right of the tokens that it joins.
#   Remember at which positions each pair occurs. After a merge, subtract the pairs that have
#   disappeared at these positions from the counts, and add the new ones.
#
# `bpe.Trainer` in [bpe.py](../utils/data/bpe.py) does both. With what you know now you can read it.

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
# The gap widens with every merge: later pairs occur less often, so fewer positions have to be
# counted again. The [benchmarks](../benchmarks/README.md) compare the times in seconds with those
# of other trainers.
#
# Now train on all the tales that we have loaded. The setting `vocabulary_size` determines the
# number of merges. Of the vocabulary, 256 tokens are the bytes, and one is a **special token**,
# `<|endoftext|>`, which marks the end of a text. Each of the others comes from one merge.

# %% tags=["nbval-check-output"]
num_merges = args.vocabulary_size - bpe.SMALLEST_VOCABULARY
tokenizer = bpe.Tokenizer(bpe.train(as_text(tales), num_merges))
learnt = [left + right for left, right in tokenizer.merges]
print(f"{len(tales):,} tales, {num_merges:,} merges, {len(tokenizer.tokens):,} tokens")
print("first merges:", learnt[:12])
print("last merges: ", learnt[-8:])

# %% [markdown]
# The first merges are what you would expect of any English text: *he*, *the*, the *nd* of *and*.
# The last ones are words of these tales. A space is part of the token: ` the` and `the` are two
# different tokens. Next we check that decoding gives back the text, whatever the text is.

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
# GPT-2's tokenizer was published as two files, which many tools can read: `vocab.json` has the id
# of each token, and `merges.txt` the merges in their order. In both files each byte is written as a
# visible character; a space is `Ġ` and a line break is `Ċ`. GPT-2 numbers the bytes whose
# characters are visible first, so the id of a single byte is not its value.

# %% tags=["nbval-check-output"]
print(tokenizer.merge_lines[:6])
print({token: tokenizer.vocabulary[token] for token in ["!", "a", "Ċ", "Ġ"]})
print(list(tokenizer.vocabulary.items())[-2:])

# %% [markdown]
# keras-nlp builds its tokenizer from the same vocabulary and merges. Does it find the same tokens?

# %%
from_library = keras_nlp.models.GPT2Tokenizer(
    vocabulary=tokenizer.vocabulary, merges=tokenizer.merge_lines
)
for text in texts:
    same = np.asarray(from_library(text)).tolist() == tokenizer.encode(text)
    print(f"{same!s:5}  {text!r}")

# %% [markdown]
# In nearly all cases it does, but one line says `False`. Which tokenizer is right? Look at the
# tokens.

# %%
text = "('the"
print(bpe.split_words(text))
print([tokenizer.decode([i]) for i in tokenizer.encode(text)])
print([tokenizer.decode([i]) for i in np.asarray(from_library(text))])

# %% [markdown]
# The tales have words like *can't*, so `'t` is a token. But the regular expression cuts this text
# between `'` and `t`, and no token may cross such a border. The version of keras-nlp that the
# course uses has a bug: it does not pass on the regular expression correctly, so the text is not
# cut at all. The result is seldom affected, because the merges were learnt inside the pieces.
#
# `as_keras` in [keras_tokenizers.py](../utils/data/keras_tokenizers.py) returns keras-nlp's
# tokenizer with the correct regular expression. All later lessons use it.

# %% tags=["nbval-check-output"]
in_keras = as_keras(tokenizer)
for text in texts:
    same = np.asarray(in_keras(text)).tolist() == tokenizer.encode(text)
    print(f"{same!s:5}  {text!r}")

# %% [markdown]
# Five texts prove little. So generate ten thousand random strings, each a mixture of common
# characters and of all the characters in Unicode.

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
# So this is GPT-2's tokenizer: your merges, on bytes, inside the pieces of GPT-2's regular
# expression. The special token `<|endoftext|>` has the last id. The first id, 0, would be a bad
# choice, because of **padding**: all texts of a batch must have the same length, so keras-nlp
# appends tokens with the id 0 to the shorter ones. If 0 were the end of a text, every padded
# position would look like one. (In GPT-2's order the id 0 is the `!`. That does no harm, because a
# padding mask says which positions are padding.)

# %% tags=["nbval-check-output"]
ids = np.asarray(in_keras("The fox slept.<|endoftext|>"))
print([tokenizer.decode([i]) for i in ids])
print("end:", in_keras.end_token_id, " padding:", in_keras.pad_token_id)

# %% [markdown]
# So that every lesson reads the tales in the same way, this tokenizer [comes with the
# course](../datasets/tokenizers.md), together with one for Chinese. Both are stored in `datasets/`
# as GPT-2's two files. Is the English one the same as the one that you have just trained?

# %% tags=["nbval-check-output"]
shipped = bpe.Tokenizer.load(folder("en"))
print("the shipped tokenizer has these merges:", shipped.merges == tokenizer.merges)

# %% [markdown]
# ## What it makes of text
#
# If you keep only the first merges, you get a tokenizer with a smaller vocabulary. The figure shows
# a sentence that the tokenizer was not trained on, encoded with vocabularies of growing size. Each
# box is a token, and ␣ is a space.


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
# From top to bottom the tokens grow from bytes to words. *strangest* and *fox* are still several
# tokens in the last row, since the tales do not use these words, but nothing is lost.
#
# A larger vocabulary makes shorter texts. Is larger always better? We measure it on validation
# tales, which were not used for training: on English tales, and on Chinese tales with merges learnt
# from Chinese.

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
# The curves fall steeply and then flatten: each further token saves less than the one before. But
# each further token also has a cost. The model needs one more row in its tables and one more class
# to predict, and it sees fewer examples of each class. GPT-2 has 50,257 tokens for text from the
# whole web. The tales have few different words, so a small vocabulary is enough. We chose its size
# so that a tale with its end token fits into 256 tokens, the context window of our GPT.

# %% tags=["nbval-check-output"]
lengths = [len(tokenizer.encode(story.text)) for story in corpus("en", "validation", 50)]
print(f"held-out tales: {min(lengths)} to {max(lengths)} tokens, mean {np.mean(lengths):.0f}")
print("all fit, with their end:", max(lengths) + 1 <= 256)

# %% [markdown]
# ### One sentence, two languages
#
# A Chinese character carries about as much meaning as an English word, or half of one. So is
# Chinese shorter? Count the same sentence in both languages, with both tokenizers.

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
# In characters the Chinese sentence is much shorter; in bytes the difference is small. In tokens
# the result depends on the text that the tokenizer was trained on. Each tokenizer needs few tokens
# in its own language and falls back to bytes in the other: for the English tokenizer a Chinese
# character is three tokens. The price of a language model is often per token, and its context
# window is a number of tokens. So the same text costs more, and less of it fits, in a language that
# the tokenizer was not trained on.

# %% tags=["nbval-check-output"]
print(pieces(chinese, two["Chinese"]))
print(pieces(tokenizer, two["Chinese"])[:9], "…")

# %% [markdown]
# The Chinese tokenizer has found words, although Chinese puts no spaces between them. The English
# tokenizer uses single bytes, which are parts of characters and cannot be shown one by one. Both
# tokenizers decode to the exact text.
#
# So keep three words apart. A *character* is what people read, a *byte* is what files store, and a
# *token* is what the model reads. Loss and perplexity "per token" can only be compared between
# models with the same tokenizer, because another tokenizer cuts the same text into another number
# of tokens. Loss "per character", as in lesson 2, can always be compared.

# %% [markdown]
# ## If your result looks different
#
# * **`the shipped tokenizer has these merges: False`.** You have changed `vocabulary_size` or the
#   tales. The tokenizer that comes with the course belongs to the default settings; yours works as
#   well.
# * **Your merges differ from another tool's on the same text.** The other tool breaks ties in
#   another way, or cuts the text by another regular expression. GPT-2's own merges come from
#   another text: only the method is the same.
# * **A � in the output.** You have decoded a part of a character. Decode all the tokens together.

# %% [markdown]
# ## Recap
#
# * Tokens are pieces between characters and words. Byte-pair encoding finds them by joining the
#   most frequent pair of neighbours again and again.
# * With the 256 bytes as alphabet, every text can be encoded, and decoding gives it back exactly.
#   No word is out of vocabulary.
# * The merges, in their order, define the tokenizer: the vocabulary, encoding and the files all
#   follow from them. Keras gives the same tokens, once its regular expression is corrected.
# * Training is fast if each step counts again only what the last merge has changed.
# * A token is not a character: the same sentence needs more tokens in a language that the tokenizer
#   was not trained on.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words first; the lesson has said all that you need.
#
# 1. What speaks against single characters as tokens, and what against whole words?
# 2. A tokenizer encodes a word by doing its merges again. Why must it do them in the order in which
#    they were learnt?
# 3. Why does GPT-2 start from bytes and not from characters, and what does that mean for a single
#    token?
# 4. A larger vocabulary makes texts shorter. Why is it still not always better?
# 5. Two models with different tokenizers report their loss per token on the same text. Why can you
#    not compare the two numbers, and which number could you compare?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Find the most frequent pair of neighbours in a list of words. If several pairs are equally
# frequent, return the first.


# %%
def most_frequent_pair(words):
    """Return a pair of tokens; each word is a list of tokens."""
    ...


check.most_frequent_pair(most_frequent_pair)

# %% [markdown]
# **2.** Join a pair of tokens wherever it occurs in a word, from left to right. In `a a a` the pair
# `a a` is joined once.


# %%
def merge_pair(tokens, pair):
    """Return a new list of tokens."""
    ...


check.merge_pair(merge_pair)

# %% [markdown]
# **3.** Encode a word with a list of merges. Try it without looking at the lesson.


# %%
def encode(word, merges):
    """Return the tokens of `word`, a list of strings."""
    ...


check.encode(encode)

# %% [markdown]
# **4.** Decode a list of ids. `tokens` holds the bytes of each id. A character may be spread over
# several tokens.


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
# So far a token is only a number to the model: the ids of ` castle` and ` village` say nothing
# about what the two have in common. In [lesson 4](04_embeddings.ipynb) every token becomes a
# vector, and similar tokens get similar vectors.
