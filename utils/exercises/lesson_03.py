"""Exercises of lesson 3, tokenization."""

from collections import Counter
from itertools import pairwise

from utils.exercises import Answers, exercise

TALE = [list("the"), list("three"), list("there")]
APART = [list("ab"), list("xy")]
TIED = [["lo", "w"], ["lo", "w", "e", "r"], ["e", "r"]]


@exercise(
    cases=[(TALE,), (TIED,), (APART,), ([["fox"], ["es"], ["fox"], ["es"], ["a", "s"]],)],
    hints=[
        "Count the pairs of all words in one `Counter`; `pairwise(word)` gives those of a word.",
        "`max(counts, key=counts.get)` returns the first of the most frequent.",
    ],
)
def most_frequent_pair(words):
    counts = Counter(pair for word in words for pair in pairwise(word))
    return max(counts, key=counts.get)


@most_frequent_pair.mistake("among equals the first wins; yours takes the last.")
def _(words):
    counts = Counter(pair for word in words for pair in pairwise(word))
    return max(reversed(counts), key=counts.get)


@most_frequent_pair.mistake(
    "among equals the first in the text wins, not the last in the alphabet."
)
def _(words):
    counts = Counter(pair for word in words for pair in pairwise(word))
    return max(counts, key=lambda pair: (counts[pair], pair))


@most_frequent_pair.mistake("a pair must not reach from one word into the next.")
def _(words):
    counts = Counter(pairwise([token for word in words for token in word]))
    return max(counts, key=counts.get)


@exercise(
    cases=[
        (["b", "a", "n", "a", "n", "a"], ("a", "n")),
        (["a", "a", "a", "a", "a"], ("a", "a")),
        (["lo", "w", "lo"], ("w", "e")),
    ],
    hints=[
        "Walk with an index: where the pair stands, append both joined and go two steps, else one.",
        "At the last token `tokens[i + 1]` does not exist: the slice `tokens[i : i + 2]` does.",
    ],
)
def merge_pair(tokens, pair):
    merged, i = [], 0
    while i < len(tokens):
        step = 2 if tuple(tokens[i : i + 2]) == pair else 1
        merged.append("".join(tokens[i : i + step]))
        i += step
    return merged


@merge_pair.mistake("the last token got lost.")
def _(tokens, pair):
    merged = merge_pair.answer(tokens, pair)
    return merged if tuple(tokens[-2:]) == pair else merged[:-1]


@merge_pair.mistake("only the first occurrence was joined; go on to the end of the word.")
def _(tokens, pair):
    for i in range(len(tokens) - 1):
        if tuple(tokens[i : i + 2]) == pair:
            return [*tokens[:i], tokens[i] + tokens[i + 1], *tokens[i + 2 :]]
    return tokens


@merge_pair.mistake('from left to right: in ["a", "a", "a"] it is the first two that are joined.')
def _(tokens, pair):
    backwards = merge_pair.answer([t[::-1] for t in tokens[::-1]], (pair[1][::-1], pair[0][::-1]))
    return [token[::-1] for token in backwards[::-1]]


@merge_pair.mistake("after a match go two tokens on, or the second is used twice.")
def _(tokens, pair):
    merged = []
    for i in range(len(tokens)):
        is_pair = tuple(tokens[i : i + 2]) == pair
        merged.append("".join(tokens[i : i + 2]) if is_pair else tokens[i])
    return merged


RIVER = [("e", "r"), ("v", "er"), ("i", "ver"), ("r", "i"), ("ri", "v")]


@exercise(
    cases=[("river", RIVER), ("riven", RIVER), ("driver", RIVER)],
    hints=[
        "Start with `list(word)`, then do every merge, in the order of the list.",
        "You have written the single merge in exercise 2: call it in a loop.",
    ],
)
def encode(word, merges):
    tokens = list(word)
    for pair in merges:
        tokens = merge_pair.answer(tokens, pair)
    return tokens


@encode.mistake("that is cut by the longest token first; do the merges in the order of the list.")
def _(word, merges):
    known = {left + right for left, right in merges}
    tokens = []
    while word:
        end = next((e for e in range(len(word), 1, -1) if word[:e] in known), 1)
        tokens.append(word[:end])
        word = word[end:]
    return tokens


@encode.mistake("the merges are done in reverse order: begin with the one that was learnt first.")
def _(word, merges):
    return encode.answer(word, merges[::-1])


@encode.mistake("only one merge was done; do them all.")
def _(word, merges):
    return encode.answer(word, merges[:1])


BYTES = [b"\xe7\x8c", b"\xab", b"fox ", b"\xf0\x9f", b"\xa6\x8a"]


@exercise(
    cases=[([2, 0, 1], BYTES), ([3, 4], BYTES), ([0], BYTES), ([], BYTES)],
    hints=[
        "Join the bytes of all tokens first, and make text of them once, at the end.",
        '`b"".join(...)`, then `.decode("utf-8", errors="replace")`: half a character becomes a �.',
    ],
)
def decode(ids, tokens):
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="replace")


@decode.mistake("each token was decoded on its own; join the bytes first, then decode once.")
def _(ids, tokens):
    return "".join(tokens[i].decode("utf-8", errors="replace") for i in ids)


@decode.mistake('half a character must not vanish: `errors="replace"` shows it as a �.')
def _(ids, tokens):
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="ignore")


@exercise(
    hints=[
        "Which tokens are there before the first merge, and which one is no piece of text?",
        "256 bytes and `<|endoftext|>` are not learnt.",
    ],
)
def gpt2_merges():
    return 50_257 - 256 - 1


@gpt2_merges.mistake("you forgot `<|endoftext|>`, which is a token, too.")
def _():
    return 50_257 - 256


@gpt2_merges.mistake("the 256 bytes are there before any merge.")
def _():
    return 50_257 - 1


@gpt2_merges.mistake("that is the whole vocabulary; not every token comes from a merge.")
def _():
    return 50_257


answer = Answers(
    (
        "The idea, by hand",
        "Single characters make long texts: the model has to make many more predictions, and"
        " it sees less of the story in its context window. With whole words, the vocabulary grows"
        " with the text, because each different word needs a token. And every word that is not in"
        ' the vocabulary becomes the same token, "unknown", and its meaning is lost.',
    ),
    (
        "The idea, by hand",
        "A later merge may need tokens that earlier merges have made. For example, stra + nge"
        " can only be joined when stra and nge exist. And two merges may compete for a token: of"
        " fa, st, r, either fa + st or st + r is joined, whichever comes first.",
    ),
    (
        "Bytes: an alphabet that is never too small",
        "Unicode has more than a hundred thousand characters, but there are only 256 bytes,"
        " and every text is stored as bytes. So every text can be encoded. A single token may"
        " then be only a part of a character, which cannot be shown on its own.",
    ),
    (
        "What it makes of text",
        "Later merges save less than the first ones, and each further token has a cost: one more"
        " vector to learn, one more class to predict, and fewer examples of each class.",
    ),
    (
        "One sentence, two languages",
        "The tokenizers cut the same text into different numbers of tokens, so the two losses"
        " are means over different things. On the same text, the loss per character (or bits per"
        " character) can be compared: the total loss, divided by a number that no tokenizer"
        " changes.",
    ),
)
