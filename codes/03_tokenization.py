# %% [markdown]
# # 3. Tokenization: pieces between letters and words
#
# At the end of this lesson you will have written the core of GPT-2's **tokenizer**, the program
# that cuts a text into pieces and numbers them. You will have trained it on the tales and compared
# its output with that of keras-nlp.
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
# Characters make a vocabulary that stays small, but long texts. Long texts have two costs. The
# model has to make many more predictions, many of which only spell out words. And it can look back
# only on a fixed number of tokens, its **context window**, so with small tokens it sees less of the
# story.
#
# Words make short texts, but they have two costs as well. Each different word needs a token of its
# own, so the vocabulary, still small here, grows with the text from which it is made. And all
# **out-of-vocabulary** words, those not in that text, get the same token, "unknown": their meaning
# is lost.

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
# 4. Repeat from step 2 until you have enough tokens or no pair is left.


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
# one that comes first in the text. Python's `max` does so, because a `Counter` keeps its pairs in
# the order in which they first occurred.


# %%
def learn(words, num_merges):
    """Yield one merge after the other, each with the counts that led to it."""
    for _ in range(num_merges):
        counts = count_pairs(words)
        if not counts:  # every word has become one token
            return
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
# begins with the *st* of the first merge.
#
# To **encode** a word, cut it into characters and do all the merges again, in the same order. The
# order matters for two reasons. A merge may need a token that an earlier merge has made. And two
# merges may compete for a token: of `fa`, `st`, `r`, merge 5 would join the first two and merge 9
# the last two.


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
print(f"{'strangest':10} {encode_word('strangest', merges[::-1])}, in reverse order")

# %% [markdown]
# *strangest* was not in the text, but it is encoded as two tokens that both occur elsewhere.
# (*est* would be nicer, but the *e* already belongs to *strange*.) No merge applies to *gnat*, so
# it is encoded letter by letter. A word is never out of vocabulary if the text has all its letters.
#
# The figure shows how *strangest* is merged step by step. Each box is a token; the colours only
# separate neighbours. Merges that do not change the word are left out.


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
# The vocabulary consists of the alphabet, which is all the characters of these words, and one token
# for each merge. The position of a token in the vocabulary is its **id**, and ids are what the
# model reads. To **decode** ids, look up their tokens and join them.

# %% tags=["nbval-check-output"]
alphabet = sorted(set().union(*words))
vocabulary = alphabet + [left + right for left, right in merges]
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
# sequence of bytes and can therefore be encoded. `learn` needs no change, because Python joins
# bytes in the same way as strings. Only the first step is different: `bpe.single_bytes` cuts a word
# into its bytes, which Python prints in hexadecimal: `\xe7` is 231. Here are the Chinese words for
# *cat*, *kitten* and *big cat*.

# %% tags=["nbval-check-output"]
byte_words = [bpe.single_bytes(word) for word in ["猫", "小猫", "大猫"]]
print(byte_words[1])
for pair, counts in learn(byte_words, 2):
    print(f"{pair[0]} + {pair[1]} occurs {counts[pair]} times")

# %% [markdown]
# After two merges the three bytes of 猫 are one token. The first merge made a token that is only
# *part* of a character. Such a token cannot be shown on its own. Python's `decode` raises an error
# or, with `errors="replace"`, returns a � (the replacement character).

# %% tags=["nbval-check-output"]
print("猫".encode()[:2].decode("utf-8", errors="replace"))

# %% [markdown]
# ### Spaces belong to words
#
# We cut the toy text at its spaces and lost them. GPT-2 keeps them: it cuts a text into pieces by a
# regular expression, which is called **pre-tokenization**. Merges happen only inside these pieces,
# so no token crosses the border between two of them.
#
# At each position the alternatives between the `|` are tried from left to right. First come
# contractions such as `'ll`. Then come letters of any script (`\p{L}`), numbers (`\p{N}`) and other
# signs, each with the space before them, if there is one. White space is last; of several spaces
# before a word, `\s+(?!\S)` takes all but one. Python's own `re` does not know `\p{L}`, so we use
# the package `regex`.

# %% tags=["nbval-check-output"]
print(bpe.WORD.pattern)
sentence = "I'll wait,  until 10:30!\nDon't run."
print(bpe.split_words(sentence))
print("joined, they are the text again:", "".join(bpe.split_words(sentence)) == sentence)

# %% [markdown]
# ## From a toy to a tool
#
# Now we train on the tales. Our `learn` counts all pairs of the text again before each merge.
# `bpe.Trainer` in [bpe.py](../utils/data/bpe.py) finds the same merges with less work:
#
# * A text repeats its pieces. Count the pairs of each *different* piece once and multiply by how
#   often the piece occurs.
# * A merge changes only the pairs beside the tokens that it joins. Correct only their counts.
#
# Let both do 60 merges on the first hundred tales and see how many pairs they look at. The
# [benchmarks](../benchmarks/README.md) measure the time in seconds.

# %% tags=["nbval-check-output"]
tales = corpus("en", "train", TALES)  # the first 1,000 training tales
sample = as_text(tales[:100])  # one tale on each line
sample_pieces = bpe.split_words(sample)
print(f"{len(sample):,} characters, {len(sample_pieces):,} pieces, ", end="")
print(f"{len(set(sample_pieces))} different ones")

# %% tags=["nbval-check-output"]
slow_merges, slow_work = [], 0
for pair, counts in learn([bpe.single_bytes(piece) for piece in sample_pieces], 60):
    slow_merges.append(pair)
    slow_work += counts.total()

trainer = bpe.Trainer(sample)
quick_merges = [trainer.step() for _ in range(60)]
quick_work = trainer.pairs_counted

print("the same merges:", quick_merges == slow_merges)
print(f"pairs looked at: {slow_work:,} and {quick_work:,}")
print("less than a hundredth of the pairs:", quick_work < slow_work / 100)
assert quick_merges == slow_merges

# %% [markdown]
# Now train on all the tales that we have loaded. The setting `vocabulary_size` determines the
# number of merges. Of the vocabulary, 256 tokens are the bytes, and one is a **special token**,
# `<|endoftext|>`, which marks the end of a text. Each of the others comes from one merge.

# %% tags=["nbval-check-output"]
num_merges = args.vocabulary_size - bpe.SMALLEST_VOCABULARY  # which is 257
training_text = as_text(tales)
tokenizer = bpe.Tokenizer(bpe.train(training_text, num_merges))
learnt = [left + right for left, right in tokenizer.merges]
print(f"{len(tales):,} tales, {num_merges:,} merges, {len(tokenizer.tokens):,} tokens")
print("first merges:", learnt[:12])
print("last merges: ", learnt[-8:])

# %% [markdown]
# The first merges are parts of common English words: *he*, *the*, the *nd* of *and*. Among the last
# ones are words of these tales, such as ` stuck`, and four steps on the way to ` birthday`. A space
# is part of the token: ` he` and `he` are two different tokens. Next we check on five very
# different texts that decoding gives back the text.

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
# GPT-2's tokenizer was published as two files: `vocab.json` has the id of each token, and
# `merges.txt` the merges in their order. In both files each byte is written as a visible character;
# a space is `Ġ` and a line break is `Ċ`. GPT-2 first numbers the bytes whose characters are
# visible, so the id of a single byte is not its value.

# %% tags=["nbval-check-output"]
print(tokenizer.merge_lines[:6])  # as in merges.txt
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
# For one text it does not. Which tokenizer is right? Look at the pieces and the tokens of the part
# that differs.

# %%
text = "('the"
in_library = from_library._tokenizer.pre_tokenizer.pre_tokenize_str(text)
print("ours:     ", bpe.split_words(text), [tokenizer.decode([i]) for i in tokenizer.encode(text)])
print("keras-nlp:", [piece for piece, _ in in_library], end=" ")
print([tokenizer.decode([i]) for i in np.asarray(from_library(text))])

# %% [markdown]
# The tales have words like *can't*, so `'t` is a token. But GPT-2's expression cuts this text
# between `'` and `t`: at the `(`, the alternative for other signs takes both `('`. No token may
# cross this border. The version of keras-nlp that the course uses has a bug: it searches for its
# regular expression as if that were plain text, so it does not cut the text at all.
#
# `as_keras` in [keras_tokenizers.py](../utils/data/keras_tokenizers.py) returns keras-nlp's
# tokenizer with the correct regular expression. Compare both with ours, on held-out tales and on
# ten thousand random strings, which mix contractions and common characters with all of Unicode.

# %%
in_unicode = map(chr, range(0x110000))
# Cn: not assigned yet. Cs: half of a surrogate pair, which is no character.
everything = np.array([c for c in in_unicode if unicodedata.category(c) not in ("Cn", "Cs")])
contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"]
keyboard = np.array([*contractions, *" \n\t'(abcdehlmrstvABC019.,!?"])


def random_text():
    length = rng.integers(0, 20)
    rare, common = rng.choice(everything, length), rng.choice(keyboard, length)
    return "".join(rng.permutation([*rare, *common]))


wild_texts = [random_text() for _ in range(10_000)]
print(repr(wild_texts[0]))

# %%
in_keras = as_keras(tokenizer)
held_out = [tale.text for tale in corpus("en", "validation", 50)]
for name, texts in [("tales", held_out), ("random strings", wild_texts)]:
    ours = [tokenizer.encode(text) for text in texts]
    for version, keras_tokenizer in [("keras-nlp", from_library), ("as_keras", in_keras)]:
        theirs = [np.asarray(ids).tolist() for ids in keras_tokenizer(texts)]
        different = sum(a != b for a, b in zip(ours, theirs, strict=True))
        print(f"{version:9} {len(texts):6,} {name}, different tokens in {different:,} of them")
    assert ours == theirs  # those of as_keras
print("every text comes back:", [tokenizer.decode(ids) for ids in ours] == wild_texts)

# %% [markdown]
# So this is GPT-2's tokenizer: your merges, on bytes, inside the pieces of GPT-2's regular
# expression. In these tales the bug changes nothing. A likely reason is that the merges were learnt
# inside the pieces.
#
# `<|endoftext|>` has the last id; where a text contains it, both tokenizers make it a single token.
# Where all texts of a batch must have the same length, keras-nlp appends **padding**, tokens with
# the id 0, to the shorter ones. The id 0 is also that of `!`, so a padding mask says which
# positions are padding.

# %% tags=["nbval-check-output"]
text = "The fox slept.<|endoftext|>"
ids = np.asarray(in_keras(text)).tolist()
print([tokenizer.decode([i]) for i in ids], "the same in ours:", ids == tokenizer.encode(text))
print("end:", in_keras.end_token_id, " padding:", in_keras.pad_token_id)

# %% [markdown]
# The GPTs of later lessons use this tokenizer. It [comes with the
# course](../datasets/tokenizers.md), together with one for Chinese. Is the English one the same as
# yours?

# %% tags=["nbval-check-output"]
shipped = bpe.Tokenizer.load(folder("en"))  # datasets/tokenizer-en/
print("the shipped tokenizer has these merges:", shipped.merges == tokenizer.merges)

# %% [markdown]
# ## What it makes of text
#
# If you keep only the first merges, you get a tokenizer with a smaller vocabulary. The figure shows
# a new sentence, encoded with vocabularies of growing size; ␣ is a space. Below it stands how often
# three of the words occur in the training tales.


# %%
def first_merges(tokenizer, size):
    """The tokenizer with only as many merges as give a vocabulary of this size."""
    return bpe.Tokenizer(tokenizer.merges[: size - bpe.SMALLEST_VOCABULARY])


def shown_tokens(tokenizer, text):
    """The tokens of a text, each as text."""
    return [tokenizer.decode([i]) for i in tokenizer.encode(text)]


# %%
sentence = "It was the strangest fox in the village."
sizes = [size for size in (257, 512, 1024) if size < args.vocabulary_size]
sizes.append(args.vocabulary_size)
axes = empty_axes(len(sizes), len(sentence), room=20)
for row, size in enumerate(sizes):
    tokens = shown_tokens(first_merges(tokenizer, size), sentence)
    draw_strip(axes, row, tokens, f"vocabulary {size}: {len(tokens)} tokens")
axes.set_title("The same sentence, with a growing vocabulary")
plt.show()
print({word: training_text.count(word) for word in ["strangest", "fox", "village"]})

# %% [markdown]
# From top to bottom the tokens grow from bytes to words. *village* is one token in the last row.
# *strangest* and *fox*, which the tales never use, are still several tokens, but nothing is lost.
#
# How much shorter does a larger vocabulary make a text? We measure it on held-out tales: English
# ones, and Chinese ones with merges learnt from Chinese.

# %%
chinese_tales = corpus("zh", "train", TALES)
chinese = bpe.Tokenizer(bpe.train(as_text(chinese_tales), num_merges))

english_text = "\n".join(held_out)
chinese_text = "\n".join(tale.text for tale in corpus("zh", "validation", 50))


# %%
def tokens_per_character(tokenizer, sizes, text):
    """What a text needs with the first merges only, for each size of the vocabulary."""
    return [len(first_merges(tokenizer, size).encode(text)) / len(text) for size in sizes]


many_sizes = np.unique(np.geomspace(257, args.vocabulary_size, 20).astype(int))
in_english = tokens_per_character(tokenizer, many_sizes, english_text)
in_chinese = tokens_per_character(chinese, many_sizes, chinese_text)

# %%
plt.plot(many_sizes, in_chinese, label="Chinese tales, Chinese merges")
plt.plot(many_sizes, in_english, label="English tales, English merges")
plt.axhline(1, color="grey", linewidth=0.8, linestyle=":")
plt.text(many_sizes[-1], 1.03, "one token per character", ha="right", color="dimgrey")
plt.ylim(bottom=0)
plt.title("The first merges save the most")
plt.xlabel("size of the vocabulary, tokens")
plt.ylabel("tokens per character")
plt.legend()
plt.show()

# %% tags=["nbval-check-output"]
for name, text, values in [
    ("English", english_text, in_english),
    ("Chinese", chinese_text, in_chinese),
]:
    pieces = len(bpe.split_words(text)) / len(text)
    print(f"{name}: from {values[0]:.2f} to {values[-1]:.2f} tokens per character, ", end="")
    print(f"{pieces:.2f} pieces per character")

# %% [markdown]
# The curves fall steeply and then flatten. They cannot fall below the number of pieces per
# character, because no token crosses the border of a piece. English is nearly there. In Chinese,
# which has no spaces, a piece reaches from one punctuation mark to the next.
#
# Each further token also has a cost. The model has to learn one more vector ([lesson
# 4](04_embeddings.ipynb)) and one more class to predict, and it sees fewer examples of each class:
# the last column shows how often a token occurs in these 50 tales, on average.

# %% tags=["nbval-check-output"]
print("vocabulary  tokens in a tale  tales of up to 256 tokens  occurrences of a token")
for size in sizes:
    smaller = first_merges(tokenizer, size)
    lengths = [len(smaller.encode(text)) + 1 for text in held_out]  # with <|endoftext|>
    shortest_to_longest = f"{min(lengths)} to {max(lengths)}"
    fit = sum(length <= 256 for length in lengths)
    print(f"{size:10}{shortest_to_longest:>18}{fit:27}{sum(lengths) / size:24.1f}")
print(len(set(bpe.split_words(training_text))), "different pieces in the training tales")

# %% [markdown]
# The GPT of [lesson 7](07_gpt2.ipynb) has a context window of 256 tokens; with our size each of
# these tales fits into it. GPT-2 has 50,257 tokens for text from millions of web pages. Our tales
# have so few different pieces that these could be the tokens, but then every other word, like
# *fox*, would be out of vocabulary.

# %% [markdown]
# ### One sentence, two languages
#
# Is a sentence shorter in Chinese? Count this one in both languages, with both tokenizers.

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
# This one is: in characters it is about a quarter as long, in bytes a fifth shorter, and in tokens,
# each language with its own tokenizer, a quarter shorter. With the other tokenizer it falls back to
# bytes: for the English one a Chinese character is three tokens. Context windows, and often prices,
# are counted in tokens. So the same text costs more, and less of it fits, in a language that the
# tokenizer was not trained on.

# %% tags=["nbval-check-output"]
print(shown_tokens(chinese, two["Chinese"]))
print(shown_tokens(tokenizer, two["Chinese"])[:9], "…")

# %% [markdown]
# The Chinese tokenizer has found words, although Chinese puts no spaces between them: 河边
# (*riverside*), 住着 (*lived*) and 一只 (*a*, before an animal). It has not joined 从前 (*once upon
# a time*) and 小猫 (*kitten*).
#
# So keep three words apart. A *character*, in this course a Unicode code point, is what Python's
# `len` counts in a text; a *byte* is what files store; a *token* is what the model reads. Loss and
# perplexity "per token" can only be compared between models with the same tokenizer, because
# another tokenizer cuts the same text into another number of tokens. The loss "per character", as
# in lesson 2, can be compared on the same text: it is the loss per token times the tokens per
# character. Divided by log 2, it is called **bits per character**.

# %% [markdown]
# ## If your result looks different
#
# * **`the shipped tokenizer has these merges: False`.** You have changed `vocabulary_size` or the
#   tales. Your tokenizer works as well.
# * **Your merges differ from another tool's on the same text.** The other tool breaks ties in
#   another way, or cuts the text by another regular expression.
# * **A � in the output.** You have decoded a part of a character. Decode all the tokens together.

# %% [markdown]
# ## Recap
#
# * Tokens are pieces between characters and words. Byte-pair encoding finds them by joining the
#   most frequent pair of neighbours again and again.
# * With the 256 bytes as alphabet, every text can be encoded: no word is out of vocabulary.
#   Decoding gives the text back exactly.
# * The merges, in their order, the regular expression and the special token define the tokenizer.
#   keras-nlp gives the same tokens, once its regular expression is corrected.
# * Training looks at far fewer pairs if it counts each different piece once and then corrects only
#   what a merge has changed.
# * A token is neither a character nor a byte. How many tokens a sentence needs depends on the text
#   that the tokenizer was trained on.

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
# **2.** Join a pair of tokens wherever it occurs in a word, from left to right. In
# `["a", "a", "a"]` the pair `("a", "a")` is joined once.


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
# several tokens. Bytes that are no valid UTF-8 become �.


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
