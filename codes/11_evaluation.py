# %% [markdown]
# # 11. Evaluation: how good is it?
#
# At the end of this lesson you will have computed by hand, and in agreement with the libraries that
# papers use, four kinds of measures for language models. You will know what each does not see, and
# how far chance may have moved it. `questions` is how many the report asks.
#
# You need: the loss from [lesson 2](02_next_token.ipynb), the small GPT-2 of [lesson
# 8](08_pretraining.ipynb), sampling from [lesson 9](09_generation.ipynb), and the chat model of
# [lesson 10](10_chat.ipynb). If the models are not there yet, this lesson trains them first, in
# some minutes.

# %%
from utils.course.settings import settings

args = settings(questions=500, seed=11)
print(args)

# %%
import re
import string
from collections import Counter
from types import SimpleNamespace

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
import sacrebleu
import tensorflow as tf
from rouge_score.rouge_scorer import RougeScorer

from utils.course.plots import BLUE, GREEN, ORANGE, PURPLE, STYLE
from utils.data.corpora import load_corpus
from utils.data.dialogues import about_tales, small_talk
from utils.evaluation.examination import examination, is_refusal, is_right
from utils.evaluation.losses import TokenLosses
from utils.exercises import lesson_11 as check
from utils.generation.generator import Generator
from utils.models.gpt2 import from_ids
from utils.small_chat import Assistant, base_answers, chat_run, held_out_questions
from utils.small_gpt2 import pretrained
from utils.tales import NotATale, corpus, parse, sentences

plt.style.use(STYLE)
rng = np.random.default_rng(args.seed)
keras.utils.set_random_seed(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# A language model can be examined in two ways. Show it the right text and ask how probable it finds
# that: **perplexity**. Or let it write, and compare the result with what should stand there: exact
# match and F1, BLEU, ROUGE. The first needs no opinion; the second is nearer to what a user sees.
#
# ## Perplexity
#
# Here are four tokens, with the probability that some model gives to each after reading those
# before it. **Perplexity** is $e$ to the power of the mean loss (lesson 2).

# %% tags=["nbval-check-output"]
words = ["the", "cat", "sat", "."]
p = np.array([1 / 2, 1 / 4, 1 / 8, 1 / 4])
losses = -np.log(p)  # nats
for word, probability, loss in zip(words, p, losses, strict=True):
    print(f"{word:4} probability {probability:.3f}   loss {loss:.3f}")


def perplexity(losses, loss_mask=None):
    """e to the mean of losses in nats; of those with mask 1, if there is a mask."""
    return float(np.exp(np.average(losses, weights=loss_mask)))


print(f"probability of the text: 1 in {1 / p.prod():.0f}")
print(f"perplexity {perplexity(losses):.2f}, its 4th power {perplexity(losses) ** 4:.0f}")

# %% [markdown]
# If each of the four tokens were sampled from four equally likely ones, the text would have the
# same probability. So a perplexity of 4 means: as unsure as between four tokens at each position.
#
# ### The same in keras-nlp
#
# keras-nlp's metric wants the probabilities of the whole vocabulary. Ours has just two tokens: 0 is
# the right one, 1 stands for all others. Of two texts the second is short and padded; the **loss
# mask**, 0 there, keeps padding out of the mean.

# %% tags=["nbval-check-output"]
p = np.array([[1 / 2, 1 / 4, 1 / 8, 1 / 4], [1 / 2, 1 / 2, 1, 1]])  # (batch, time)
loss_mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]])


def library_perplexity(p, loss_mask, batch_size):
    """keras-nlp's perplexity, fed with batches of so many texts."""
    metric = keras_nlp.metrics.Perplexity()
    for start in range(0, len(p), batch_size):
        some = slice(start, start + batch_size)
        both = np.stack([p[some], 1 - p[some]], axis=-1)  # (batch, time, vocabulary of 2)
        metric.update_state(np.zeros(p[some].shape), both, loss_mask[some])
    return float(metric.result())


print(f"by hand                       {perplexity(-np.log(p), loss_mask):.3f}")
print(f"keras-nlp, both in one batch  {library_perplexity(p, loss_mask, 2):.3f}")
print(f"keras-nlp, one after another  {library_perplexity(p, loss_mask, 1):.3f}")

# %% [markdown]
# The last one differs. keras-nlp takes the mean loss of each batch and then the mean of these
# means, weighted by the number of *texts* in the batch, not of *tokens*. In batches of one, a short
# text counts as much as a long one. If batches hold unequal numbers of tokens, collect the losses
# yourself and take one mean at the end. The same for a thousand texts:

# %%
p = rng.uniform(0.05, 1, size=(1000, 12))
lengths = rng.integers(2, 13, size=1000)
loss_mask = (np.arange(12) < lengths[:, None]).astype(float)  # (1000, 12)
by_hand, in_one = perplexity(-np.log(p), loss_mask), library_perplexity(p, loss_mask, 1000)
print(f"1,000 texts: by hand {by_hand:.5f}, keras-nlp {in_one:.5f}")
print(f"keras-nlp in batches of ten: {library_perplexity(p, loss_mask, 10):.5f}")
assert abs(by_hand - in_one) < 1e-4

# %% [markdown]
# ### Perplexity of what?
#
# A perplexity is *per token*, and tokenizers differ. Suppose that three models give the text from
# above the same probability, 1 in 256.

# %% tags=["nbval-check-output"]
for pieces in [2, 4, 8]:
    print(f"{pieces} tokens: perplexity {perplexity([np.log(256) / pieces] * pieces):4.1f}")

# %% [markdown]
# So perplexities of models with different tokenizers must not be compared. Instead, divide the loss
# of the whole text by the number of its characters or words, then take $e$ to that power.
#
# Now your own GPT-2. Lesson 8 kept its loss on the held-out tales, and the floor that comes from
# the random choices of the grammar: on average, no model gets below it. (A single tale may, if its
# choices are likely ones.)

# %%
run = pretrained("tales")
model = keras_nlp.models.GPT2CausalLM.from_preset(run.preset)
tokenizer = model.preprocessor.tokenizer
model.preprocessor = None  # it takes ids now, not texts
CONTEXT, END = model.backbone.max_sequence_length, tokenizer.token_to_id("<|endoftext|>")
floor = load_corpus("tales").floor
print(f"the model {perplexity(run.validation_loss):.3f}, the floor {perplexity(floor):.3f}")

# %% [markdown]
# To look at single tales, put each into a row of its own, between two end tokens. `TokenLosses` of
# lesson 8 gives the loss at each token. We divide their sum by tokens, words or characters, and
# compare some tales with keras-nlp.


# %%
def framed(texts):
    """Rows (texts, CONTEXT + 1): END, a text, END, padding; loss mask (texts, CONTEXT)."""
    rows = np.full((len(texts), CONTEXT + 1), END, "int32")
    loss_mask = np.zeros((len(texts), CONTEXT))
    for row, mask, text in zip(rows, loss_mask, texts, strict=True):
        ids = np.asarray(tokenizer(text))[: CONTEXT - 1]
        row[1 : len(ids) + 1] = ids
        mask[: len(ids) + 1] = 1  # the END behind the text is to be predicted, too
    return rows, loss_mask


reader = from_ids(model)  # with ids as its only input, and logits as its output
token_losses = TokenLosses(reader)
tales = corpus("en", "validation", 1000)
real = [tale.text for tale in tales[:100]]
rows, loss_mask = framed(real)
losses = token_losses(rows)  # (100, CONTEXT)

# %%
nats = (losses * loss_mask).sum()
units = {
    "token": loss_mask.sum(),
    "word": sum(len(text.split()) for text in real),
    "character": sum(len(text) for text in real),
}
for unit, number in units.items():
    print(f"perplexity per {unit:9} {np.exp(nats / number):.3f}")

some = slice(0, 20)
metric = keras_nlp.metrics.Perplexity(from_logits=True)
metric.update_state(rows[some, 1:], reader(rows[some, :-1]), loss_mask[some])
by_hand = perplexity(losses[some], loss_mask[some])
print(f"20 tales: by hand {by_hand:.5f}, keras-nlp {float(metric.result()):.5f}")
assert abs(by_hand - float(metric.result())) < 1e-4

# %% [markdown]
# Only those per word or character could be compared with models of another tokenizer.
#
# ### What it misses
#
# Does perplexity tell a good text from a bad one? It is a mean over tokens, and a contradiction is
# often a single word. Let the model write tales, sampling from all tokens, so that it makes some
# mistakes; `parse` (lesson 9) tells grammatical mistakes from contradictions.


# %%
def kind_of(text):
    """valid, ungrammatical or inconsistent."""
    try:
        parse(text, "en")
    except NotATale as problem:
        return problem.kind
    return "valid"


def perplexities(texts):
    """The model's perplexity for each text: (texts,)."""
    rows, loss_mask = framed(texts)
    return np.exp((token_losses(rows) * loss_mask).sum(axis=1) / loss_mask.sum(axis=1))


# %%
rows = Generator(model, END)([[END]] * 100, seed=args.seed)
written = [tokenizer.detokenize([i for i in ids if i != END]) for ids in rows]
groups = {"real": real, "valid": [], "inconsistent": [], "ungrammatical": []}
for text in written:
    groups[kind_of(text)].append(text)
measured = {name: perplexities(texts) for name, texts in groups.items()}
for name, values in measured.items():
    print(f"{name:13} {len(values):3} tales, median perplexity {np.median(values):.3f}")
usual = np.quantile(measured["real"], [0.05, 0.95])
assert usual[0] < np.median(measured["inconsistent"]) < usual[1]

# %%
figure, axes = plt.subplots(figsize=(7, 3))
for height, (values, color) in enumerate(
    zip(measured.values(), [BLUE, GREEN, ORANGE, PURPLE], strict=True)
):
    spread = height + np.resize(np.linspace(-0.25, 0.25, 7), len(values))
    axes.plot(values, spread, ".", color=color, markersize=4)
    axes.plot(np.median(values), height, "|", color="black", markersize=24, markeredgewidth=2)
kinds = ["valid", "inconsistent", "ungrammatical"]
axes.set_yticks(range(4), ["real tales", *[f"model's: {kind}" for kind in kinds]])
axes.set(xlabel="perplexity of a tale", title="Each dot: a tale. Black: the median of its row")
axes.invert_yaxis()
plt.show()

# %% [markdown]
# Each dot is a tale, each black mark a median. The model's own valid tales suit it better than real
# ones; bad grammar shows a little. The few tales that contradict themselves lie mostly among the
# real ones, where perplexity does not point them out. Here is the one of lowest perplexity, and its
# mistake.

# %%
lowest = int(measured["inconsistent"].argmin())
text, value = groups["inconsistent"][lowest], measured["inconsistent"][lowest]
print(text)
higher = np.mean(measured["real"] > value)
print(f"\nperplexity {value:.3f}; {higher:.0%} of the real tales have a higher one")
try:
    parse(text, "en")
except NotATale as problem:
    print(problem)
assert value < np.median(measured["real"])

# %% [markdown]
# ## Answers: exact match and F1
#
# The easiest texts to compare are short answers, such as those to questions about a tale. `a red
# kite` and `The red kite.` should count as the same, so both are **normalized** first: lower case,
# no punctuation, no articles, no spare spaces. These are the rules of the question set SQuAD.
# (Rajpurkar and others, *SQuAD: 100,000+ Questions for Machine Comprehension of Text*, 2016.)
#
# Chinese has punctuation marks of its own, and no articles or spaces between words. So each Chinese
# character, and each run of Latin letters or digits, is a token.

# %% tags=["nbval-check-output"]
PUNCTUATION = {
    "en": string.punctuation,  # all that ASCII has
    "zh": string.punctuation + "，。、！？：；“”‘’（）《》【】…—～·",
}


def normalize(text, language="en"):
    """Lower case, without punctuation, articles and spare spaces."""
    text = "".join(char for char in text.lower() if char not in PUNCTUATION[language])
    if language == "en":
        text = re.sub(r"\b(a|an|the)\b", " ", text)
    return " ".join(text.split())


def answer_tokens(text, language="en"):
    text = normalize(text, language)
    return text.split() if language == "en" else re.findall(r"[a-z0-9]+|\S", text)


for text in ["To the pond.", "the  Pond", "Jack's red kite", "An apple, a day"]:
    print(f"{text:16} {answer_tokens(text)}")
for text in ["在小镇边上。", "“一只 iPhone！”"]:
    print(text, answer_tokens(text, "zh"))

# %% [markdown]
# Call the text to be judged the *candidate*, the right one the *reference*. **Exact match** is 1 if
# the two are equal after normalization, else 0.
#
# **F1** gives credit for a part. Count the tokens that both have; one that comes twice in one text
# and once in the other counts once. *Precision* is their share of the candidate: is what it says
# right? *Recall* is their share of the reference: did it say everything? F1 is their harmonic mean,
# which is small if either is. With $m$ matches among $c$ tokens of the candidate and $r$ of the
# reference:
#
# $$P = \frac{m}{c} \qquad R = \frac{m}{r} \qquad F_1 = \frac{2 P R}{P + R} = \frac{2m}{c + r}$$


# %%
def precision_recall_f1(matches, num_candidate, num_reference):
    precision = matches / max(1, num_candidate)
    recall = matches / max(1, num_reference)
    return precision, recall, 2 * matches / max(1, num_candidate + num_reference)


def exact_match(candidate, reference, language="en"):
    return float(answer_tokens(candidate, language) == answer_tokens(reference, language))


def token_f1(candidate, reference, language="en"):
    """F1 of two texts over their tokens, in any order; 1 if neither has a token."""
    ours, theirs = answer_tokens(candidate, language), answer_tokens(reference, language)
    if not ours and not theirs:
        return 1.0
    matches = (Counter(ours) & Counter(theirs)).total()  # & keeps the smaller of two counts
    return precision_recall_f1(matches, len(ours), len(theirs))[2]


# %% tags=["nbval-check-output"]
examples = {
    ("en", "To the pond."): ["to pond", "The pond", "To the old pond.", "pond pond pond", "Home."],
    # At the edge of the town: the same, without "at", beside the town, at home.
    ("zh", "在小镇边上。"): ["在小镇边上", "小镇边上", "在小镇旁边。", "在家里。"],
}
for (language, reference), candidates in examples.items():
    print(reference)
    for text in candidates:
        exact = exact_match(text, reference, language)
        print(f"   match {exact:.0f}   F1 {token_f1(text, reference, language):.2f}   {text}")

# %% [markdown]
# ### A thousand bad answers
#
# A comparison with a library needs many pairs, from right to quite wrong. So spoil right texts:
# *drop* a share of their tokens, *swap* them with the token before, or *replace* them by tokens
# from elsewhere. (Short ones may vanish or stay unchanged.) Tokens are words here, or single
# characters: Chinese ones and punctuation marks.


# %%
def tokens(text):
    return re.findall(r"[A-Za-z0-9'-]+|\S", text)


def spoil(right, how, share, vocabulary):
    """A copy of a list of tokens in which about such a share was dropped, swapped or replaced."""
    spoilt = []
    for token in right:
        hit = rng.random() < share
        if hit and how == "dropped":
            continue
        other = vocabulary[rng.integers(len(vocabulary))]
        spoilt.append(other if hit and how == "replaced" else token)
        if hit and how == "swapped":
            spoilt[-2:] = reversed(spoilt[-2:])
    return spoilt


# %%
HOW = ["dropped", "swapped", "replaced"]
SPACE = {"en": " ", "zh": ""}


def spoilt_copies(texts, language):
    """For each text a copy, spoilt in one of the three ways and to any degree."""
    vocabulary = [token for text in texts for token in tokens(text)]
    copies = []
    for number, text in enumerate(texts):
        copy = spoil(tokens(text), HOW[number % 3], rng.random(), vocabulary)
        copies.append(SPACE[language].join(copy))
    return copies


# %%
def right_answers(language):
    """A thousand answers to questions about held-out tales."""
    dialogues = about_tales(language, "validation", 250)
    return [reply for dialogue in dialogues for _, reply, _ in dialogue.replies()][:1000]


correct = {language: right_answers(language) for language in SPACE}
spoilt = {language: spoilt_copies(texts, language) for language, texts in correct.items()}
for language in SPACE:
    for number in range(3):
        print(f"{HOW[number]:9} {correct[language][number]}  ->  {spoilt[language][number]}")

# %% [markdown]
# The library is *rouge-score*. With our tokens, its ROUGE-1 is this F1, and its ROUGE-L is 1 only
# if both lists of tokens are equal (both explained below). Its first argument is the reference.
# Lesson 10 used exact match and F1, from [scores.py](../utils/evaluation/scores.py).

# %%
for language in SPACE:
    cut = SimpleNamespace(tokenize=lambda text, language=language: answer_tokens(text, language))
    scorer = RougeScorer(["rouge1", "rougeL"], tokenizer=cut)
    differences, same = [], 0
    for ours, theirs in zip(spoilt[language], correct[language], strict=True):
        score = scorer.score(theirs, ours)
        differences.append(abs(token_f1(ours, theirs, language) - score["rouge1"].fmeasure))
        same += exact_match(ours, theirs, language) == (score["rougeL"].fmeasure == 1)
    print(f"{language}: {len(differences)} pairs, match agrees in {same}", end="")
    print(f", largest difference of F1 {max(differences):.0e}")
    assert max(differences) < 1e-9 and same == len(differences) == 1000

# %% [markdown]
# ## BLEU
#
# Longer texts are hardly ever equal, and F1 does not see the order of words. **BLEU**, made for
# translations, counts runs of tokens, **n-grams**: how many single words, pairs, triples and
# quadruples of a translation stand in the reference, too? (Papineni and others, *BLEU: a Method for
# Automatic Evaluation of Machine Translation*, 2002.)


# %%
def ngrams(tokens, n):
    """How often each run of n tokens comes."""
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


reference = tokens("the cat sat on the mat.")
for n in [1, 2]:
    print({" ".join(gram): count for gram, count in ngrams(reference, n).items()})

# %% [markdown]
# ### Clipping
#
# Counted naively, `the the the the` is perfect: each word is in the reference. So an n-gram counts
# at most as often as the reference has it. That is **clipping**, and it is what `&` does with two
# counters.


# %% tags=["nbval-check-output"]
def clipped(candidate, reference, n):
    """How many n-grams of the candidate are in the reference, too, and how many it has."""
    ours = ngrams(candidate, n)
    return (ours & ngrams(reference, n)).total(), ours.total()


for text in [
    "the the the the",
    "the cat sat on a mat.",
    "on the mat sat the cat.",
    "the cat sat on",
]:
    counts = [clipped(tokens(text), reference, n) for n in [1, 2, 3, 4]]
    print(f"{text:24}", *[f"{matches}/{total}" for matches, total in counts])

# %% [markdown]
# From left to right: single words, pairs, triples, quadruples. The third text has all words right,
# but few longer runs.
#
# ### Brevity penalty
#
# The last text is flawless, but it stops halfway, which no precision notices. So BLEU punishes a
# candidate that is shorter than its reference. With lengths $c$ and $r$ the **brevity penalty** is
#
# $$B = \min\left(1, e^{1 - r/c}\right)$$
#
# BLEU is $B$ times the *geometric* mean of the four precisions, the fourth root of their product,
# in per cent. A zero makes everything zero.
#
# ### Add first, then divide
#
# BLEU belongs to a whole **corpus**. Matches, totals and lengths are added over all pairs, and only
# then divided. So keep ten counts for each pair: four matches, four totals, two lengths.


# %%
def bleu_counts(candidate, reference):
    """Matches and totals for n = 1 to 4, and both lengths, of two lists of tokens: (10,)."""
    matches, totals = zip(*[clipped(candidate, reference, n) for n in [1, 2, 3, 4]], strict=True)
    return np.array([*matches, *totals, len(candidate), len(reference)])


# %% [markdown]
# A handful of pairs may have no quadruple in common, and the mean would be zero, however good the
# rest. **Smoothing** puts a small number there. As in sacrebleu, the first precision without a
# match gets half a match, the next one a quarter, and so on. Two cases stay zero: no token is
# right, or no candidate is long enough for a quadruple.


# %% tags=["nbval-check-output"]
def bleu(counts):
    """BLEU in per cent from ten counts, those of a pair or the sums over many."""
    matches, totals, (length, wanted) = counts[:4], counts[4:8], counts[8:]
    if matches[0] == 0 or totals[3] == 0:
        return 0.0
    precisions, half = [], 1.0
    for match, total in zip(matches, totals, strict=True):
        if match == 0:
            half /= 2
        precisions.append((match or half) / total)
    brevity = min(1, np.exp(1 - wanted / length))
    geometric_mean = np.exp(np.mean(np.log(precisions)))
    return float(100 * brevity * geometric_mean)


for text in ["the cat sat on a mat.", "on the mat sat the cat.", "the cat sat on"]:
    print(f"{text:24} BLEU {bleu(bleu_counts(tokens(text), reference)):5.1f}")

# %% [markdown]
# Why add first? Otherwise a short pair would weigh as much as a long one, and a pair too short for
# a quadruple would be worth nothing.

# %% tags=["nbval-check-output"]
pairs = [("the cat sat on a mat.", "the cat sat on the mat."), ("it sat.", "there it sat.")]
counts = np.array([bleu_counts(tokens(ours), tokens(theirs)) for ours, theirs in pairs])
print(counts)
print("BLEU of each pair ", [round(bleu(row), 1) for row in counts])
print("their mean        ", round(float(np.mean([bleu(row) for row in counts])), 1))
print("BLEU as a corpus  ", round(bleu(counts.sum(axis=0)), 1))

# %% [markdown]
# ### The same in sacrebleu
#
# Papers used to tokenize in their own ways, and their BLEUs could not be compared. The library
# **sacrebleu** ended that by tokenizing itself. (Post, *A Call for Clarity in Reporting BLEU
# Scores*, 2018.) It has the tokenizers `13a` for English and `zh` for Chinese. For the tales our
# `tokens` agrees with both; unlike F1's, these tokens include punctuation and keep capitals. For a
# paper use the library: `13a` has more rules, for example for `3.14`.
#
# The pairs are the first two sentences of a thousand held-out tales, and spoilt copies.

# %%
held_out = {"en": tales, "zh": corpus("zh", "validation", 1000)}
openings, copies = {}, {}
for language, space in SPACE.items():
    openings[language] = [space.join(sentences(t.text)[:2]) for t in held_out[language]]
    copies[language] = spoilt_copies(openings[language], language)
print(openings["en"][1], "\n  ->", copies["en"][1])
print(openings["zh"][1], "\n  ->", copies["zh"][1])

# %%
all_counts = {}
for language, name in [("en", "13a"), ("zh", "zh")]:
    pairs = list(zip(copies[language], openings[language], strict=True))
    counts = np.array([bleu_counts(tokens(ours), tokens(theirs)) for ours, theirs in pairs])
    library = sacrebleu.BLEU(tokenize=name, force=True)  # force: no warnings
    theirs = [library.corpus_score([copy], [[text]]).score for copy, text in pairs]
    single = np.abs([bleu(row) for row in counts] - np.array(theirs)).max()
    whole = library.corpus_score(copies[language], [openings[language]]).score
    print(f"{language}: {len(pairs)} pairs, one by one: largest difference {single:.0e}", end="")
    print(f"; as a corpus {bleu(counts.sum(axis=0)):.6f}, sacrebleu {whole:.6f}")
    assert single < 1e-9 and abs(bleu(counts.sum(axis=0)) - whole) < 1e-9
    all_counts[language] = counts  # (1000, 10)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
ratio = np.linspace(0.2, 1.6, 100)  # candidate's length over the reference's
left.plot(ratio, np.minimum(1, np.exp(1 - 1 / ratio)))
left.set(xlabel="length of the candidate / of the reference", ylabel="factor B")
left.set_title("Brevity penalty")
for shift, (language, counts) in zip([-0.2, 0.2], all_counts.items(), strict=True):
    sums = counts.sum(axis=0)
    hatch, label = ("", "English") if language == "en" else ("//", "Chinese")
    precisions = sums[:4] / sums[4:8]
    bars = right.bar(np.arange(1, 5) + shift, precisions, 0.38, label=label, hatch=hatch)
    right.bar_label(bars, fmt="%.2f", fontsize=8)
right.set(xlabel="n, tokens in a run", ylabel="precision", ylim=(0, 1))
right.set_title("Precisions of the spoilt copies")
right.set_xticks(range(1, 5))
right.legend()
plt.show()

# %% [markdown]
# On the left: a candidate of half the length loses most of its BLEU; one that is too long loses
# nothing here (its precision suffers instead). On the right: the longer the run, the fewer survive.
#
# ### keras-nlp, and Chinese
#
# keras-nlp's `Bleu`, from 0 to 1, tokenizes as `13a` does.


# %%
def library_bleu(candidates, references, **options):
    """keras-nlp's BLEU in per cent; a list of references for each candidate."""
    metric = keras_nlp.metrics.Bleu(**options)
    metric.update_state([[reference] for reference in references], candidates)
    return 100 * float(metric.result())


by_hand, by_library = {}, {}
for language in SPACE:
    by_hand[language] = bleu(all_counts[language].sum(axis=0))
    by_library[language] = library_bleu(copies[language], openings[language])
    print(f"{language}: by hand {by_hand[language]:.4f}, keras-nlp {by_library[language]:.4f}")
assert abs(by_library["en"] - by_hand["en"]) < 1e-3 and by_library["zh"] < 1
chinese = openings["zh"][1]
itself = library_bleu([chinese], [chinese])
print(chinese)
print(f"compared with itself: {itself:.1f}")
assert itself == 0

# %% [markdown]
# Chinese does not agree, because `13a` separates words at spaces and at *ASCII* punctuation.
# Chinese has neither, so a whole text is a single token. Even a perfect one then has no pair of
# tokens, let alone a quadruple. So put spaces between our tokens, and let keras-nlp separate at
# spaces only.
#
# And by default keras-nlp does not smooth. So it gives zero to `on the mat sat the cat.`, which has
# no right quadruple (last line below).


# %%
def spaced(texts):
    return [" ".join(tokens(text)) for text in texts]


pair = spaced(copies["zh"]), spaced(openings["zh"])
mended = library_bleu(*pair, tokenizer=tf.strings.split)
print(f"zh: by hand {by_hand['zh']:.4f}, keras-nlp with our tokens {mended:.4f}")
assert abs(mended - by_hand["zh"]) < 1e-3

unsmoothed = library_bleu(["on the mat sat the cat."], ["the cat sat on the mat."])
smoothed = bleu(bleu_counts(tokens("on the mat sat the cat."), reference))
print(f"one short pair: by hand {smoothed:.1f}, keras-nlp {unsmoothed:.1f}")

# %% [markdown]
# ## ROUGE
#
# For summaries, what matters most is that everything important is *there*. So **ROUGE** looks at
# recall as well. **ROUGE-N** is precision, recall and F1 of clipped n-grams, usually for n = 1 and
# n = 2. (Lin, *ROUGE: A Package for Automatic Evaluation of Summaries*, 2004.)


# %% tags=["nbval-check-output"]
def rouge_n(candidate, reference, n):
    """Precision, recall and F1 of the n-grams of two lists of tokens."""
    matches, total = clipped(candidate, reference, n)
    return precision_recall_f1(matches, total, ngrams(reference, n).total())


for text in ["the cat sat on a mat.", "on the mat sat the cat.", "the cat"]:
    for n in [1, 2]:
        precision, recall, f1 = rouge_n(tokens(text), reference, n)
        print(f"{text:24} ROUGE-{n}  precision {precision:.2f}  recall {recall:.2f}  F1 {f1:.2f}")

# %% [markdown]
# ### ROUGE-L: the longest common subsequence
#
# `the cat sat on the mat` and `the old cat sat down on the mat` have no quadruple of words in
# common, although one has only two words more. **ROUGE-L** allows gaps: it asks for the longest
# list of words that both texts contain *in the same order*, the **longest common subsequence**.
#
# A text of $n$ words has $2^n$ subsequences, too many to try. Instead build up a table:
# `table[i][j]` is the answer for the first `i` words of one text and the first `j` of the other.
# Compare the last words of these two beginnings. If they are equal, take both (leaving them out
# never helps): one more than the answer for the beginnings without them. If they differ, they
# cannot both end the common subsequence: leave out the one or the other, and take the larger of the
# two answers. That is **dynamic programming**: each answer is made of smaller ones, and each is
# computed once.


# %% tags=["nbval-check-output"]
def lcs_table(a, b):
    """Lengths of the longest common subsequences of all beginnings: (len(a) + 1, len(b) + 1)."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                table[i][j] = table[i - 1][j - 1] + 1
            else:
                table[i][j] = max(table[i - 1][j], table[i][j - 1])
    return np.array(table)


def rouge_l(candidate, reference):
    """Precision, recall and F1 by the longest common subsequence of two lists of tokens."""
    length = lcs_table(candidate, reference)[-1, -1]
    return precision_recall_f1(length, len(candidate), len(reference))


for text in ["the cat sat on a mat.", "on the mat sat the cat.", "the cat"]:
    precision, recall, f1 = rouge_l(tokens(text), reference)
    print(f"{text:24} ROUGE-L  precision {precision:.2f}  recall {recall:.2f}  F1 {f1:.2f}")

# %% [markdown]
# To find the words, walk back from the end of the table: where two are equal, take them and go back
# in both texts; where not, go to the larger neighbour.


# %%
def common(a, b):
    """Pairs of positions (i, j) with a[i] == b[j] that make up a longest common subsequence."""
    table, i, j, positions = lcs_table(a, b), len(a), len(b), []
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            positions.append((i, j))
        elif table[i - 1, j] >= table[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return positions[::-1]


candidate = tokens("the old cat sat down on the mat.")
print(" ".join(candidate[i] for i, _ in common(candidate, reference)))

# %%
table = lcs_table(candidate, reference)
figure, axes = plt.subplots(figsize=(6.4, 4.4))
axes.imshow(table, aspect="auto", alpha=0.6)
for (i, j), length in np.ndenumerate(table):
    axes.text(j, i, length, ha="center", va="center", fontsize=9)
for i, j in common(candidate, reference):
    axes.plot(j + 1, i + 1, "o", color=ORANGE, markersize=20, fillstyle="none", markeredgewidth=2)
axes.set_xticks(range(len(reference) + 1), ["(none)", *reference])
axes.set_yticks(range(len(candidate) + 1), ["(none)", *candidate])
axes.set(xlabel="reference, up to this word", ylabel="candidate, up to this word")
axes.set_title("Numbers: longest common subsequence so far. Circles: the words taken")
axes.grid(visible=False)
plt.show()

# %% [markdown]
# ### The same in rouge-score
#
# *rouge-score*'s own tokens are runs of letters from a to z and digits, in lower case; even the
# apostrophe separates. We add Chinese characters, each a token of its own. So there are three ways
# to cut a text: exact match and F1 use `answer_tokens` (lower case, no punctuation, no articles),
# BLEU `tokens` (all is kept), ROUGE `rouge_tokens` (lower case, no punctuation).


# %%
def rouge_tokens(text):
    return re.findall(r"[a-z0-9]+|[\u4e00-\u9fff]", text.lower())


def rouge(candidate, reference):
    """Nine numbers: precision, recall and F1 of ROUGE-1, ROUGE-2 and ROUGE-L."""
    pair = rouge_tokens(candidate), rouge_tokens(reference)
    return np.array([rouge_n(*pair, 1), rouge_n(*pair, 2), rouge_l(*pair)])  # (3, 3)


# %%
rouges = {}
NAMES = ["rouge1", "rouge2", "rougeL"]
for language, cut in [("en", None), ("zh", SimpleNamespace(tokenize=rouge_tokens))]:
    scorer = RougeScorer(NAMES, tokenizer=cut)
    pairs = list(zip(copies[language], openings[language], strict=True))
    ours = np.array([rouge(*pair) for pair in pairs])  # (1000, 3, 3)
    scores = [scorer.score(text, copy) for copy, text in pairs]
    theirs = np.array([[score[name] for name in NAMES] for score in scores])
    difference = np.abs(ours - theirs).max()
    print(f"{language}: {len(pairs)} pairs, largest difference {difference:.0e}", end="")
    print(f", mean F1 of ROUGE-1, -2, -L {ours.mean(axis=0)[:, 2]}")
    assert difference < 1e-9
    rouges[language] = ours

# %% [markdown]
# keras-nlp's `RougeN` and `RougeL` call rouge-score and return the means, but do not let us choose
# the tokens.


# %%
def library_rouge(metric, candidates, references):
    """The mean F1 of one of keras-nlp's ROUGE metrics."""
    metric.update_state(references, candidates)
    return float(metric.result()["f1_score"])


mean_f1 = {language: values.mean(axis=0)[:, 2] for language, values in rouges.items()}
metrics = [keras_nlp.metrics.RougeN(order=2), keras_nlp.metrics.RougeL()]
theirs = [library_rouge(metric, copies["en"], openings["en"]) for metric in metrics]
print(f"en, ROUGE-2 and -L: by hand {mean_f1['en'][1:]}, keras-nlp {np.array(theirs)}")
assert np.abs(theirs - mean_f1["en"][1:]).max() < 1e-4
itself = library_rouge(keras_nlp.metrics.RougeL(), [chinese], [chinese])
print(f"Chinese with itself: by hand {rouge(chinese, chinese)[2, 2]:.1f}, keras-nlp {itself:.1f}")
assert itself == 0

# %% [markdown]
# The Chinese text has no letter from a to z, so it has no tokens.
#
# ## What each of them sees
#
# Of the tokens of openings of tales, a growing share is dropped, swapped or replaced. All measures
# get the tokens of BLEU here, and BLEU is divided by 100.


# %%
def damage(how, share, texts):
    """BLEU, and mean F1 of ROUGE-1, ROUGE-2 and ROUGE-L, of copies spoilt to this degree: (4,)."""
    vocabulary = [token for text in texts for token in text]
    pairs = [(spoil(text, how, share, vocabulary), text) for text in texts]
    score = bleu(np.sum([bleu_counts(*pair) for pair in pairs], axis=0)) / 100
    f1s = [[rouge_n(*pair, 1)[2], rouge_n(*pair, 2)[2], rouge_l(*pair)[2]] for pair in pairs]
    return np.array([score, *np.mean(f1s, axis=0)])


SHARES, MEASURES = np.linspace(0, 0.5, 6), ["BLEU", "ROUGE-1", "ROUGE-2", "ROUGE-L"]
some = [tokens(text) for text in openings["en"][:50]]
seen = {how: np.array([damage(how, share, some) for share in SHARES]) for how in HOW}
at_half = {how: dict(zip(MEASURES, values[-1], strict=True)) for how, values in seen.items()}
for how, values in at_half.items():
    print(f"half of the tokens {how:9}", *[f"{name} {v:.2f}" for name, v in values.items()])
assert at_half["swapped"]["ROUGE-1"] > 0.999
assert abs(at_half["dropped"]["ROUGE-1"] - at_half["dropped"]["ROUGE-L"]) < 1e-9
assert all(min(values, key=values.get) == "BLEU" for values in at_half.values())

# %%
figure, panels = plt.subplots(1, 3, figsize=(8.4, 3.2), sharey=True)
for axes, (how, values) in zip(panels, seen.items(), strict=True):
    for value, label, marker in zip(values.T, MEASURES, "os^D", strict=True):
        size, fill = (9, "none") if label == "ROUGE-1" else (4, "full")  # seen where both are equal
        axes.plot(SHARES, value, marker=marker, markersize=size, fillstyle=fill, label=label)
    axes.set(xlabel=f"share of tokens {how}", title=f"Tokens {how}", ylim=(0, 1.03))
panels[0].set_ylabel("BLEU / 100, or mean F1")
panels[0].legend()
plt.show()

# %% [markdown]
# * **ROUGE-1** (and F1, with its own tokens) does not see order at all: in the middle panel its
#   line is flat.
# * **ROUGE-2 and BLEU** see order. One wrong word inside a text spoils two pairs and four
#   quadruples.
# * **ROUGE-L** lies between: a word that has moved is lost, the others still count. Where tokens
#   are only dropped, it equals ROUGE-1.
# * **BLEU** falls fastest, and for dropped tokens it falls twice: by precision and by brevity.
#
# ## How they are fooled
#
# None of them knows what a word means. Here are a question about a tale, the right answer and some
# candidates.

# %%
print("Why couldn't Jack get the kite?")
why = "Because the water was too deep."
candidates = {
    "Because the water was too deep.": "right",
    "The pond was over his head.": "right",
    "Jack couldn't get it because the water was too deep for him to stand in.": "right",
    "Because the water was not too deep.": "wrong",
    "Because the water was too cold.": "wrong",
    "deep too was water the Because.": "nonsense",
}


# %% tags=["nbval-check-output"]
def all_measures(candidate, reference):
    """Every measure of one pair of English texts, from 0 to 1."""
    rouge_f1s = rouge(candidate, reference)[:, 2]
    return {
        "match": exact_match(candidate, reference),
        "F1": token_f1(candidate, reference),
        "BLEU": bleu(bleu_counts(tokens(candidate), tokens(reference))) / 100,
        **dict(zip(["ROUGE-1", "ROUGE-2", "ROUGE-L"], rouge_f1s, strict=True)),
    }


scored = {text: all_measures(text, why) for text in candidates}
print(f"{'':9}", *[f"{name:>7}" for name in scored[why]])
for text, verdict in candidates.items():
    print(f"{verdict:9}", *[f"{value:7.2f}" for value in scored[text].values()], f"  {text}")
wrong = scored["Because the water was not too deep."]
other_words = scored["The pond was over his head."]
assert all(wrong[name] > other_words[name] for name in wrong if name != "match")

# %% [markdown]
# * **`not` costs one word** and turns the answer round. Every measure but exact match takes it for
#   far better than the right answer in other words.
# * **Other words** get little, and that for words like `was`, in BLEU even for the full stop.
#   Several references help, or questions that leave little choice.
# * **A long answer** contains the right one, but its low precision puts its F1 below that of both
#   wrong ones.
# * **Word salad** has all words, so F1 and ROUGE-1 are 1.
#
# Chinese has traps of its own: exchange the characters of `海上` (at sea), and you get `上海`
# (Shanghai); and `不` (not) is a single character.

# %% tags=["nbval-check-output"]
# "In Shanghai" for "at sea", and "because the water is not deep" for "… is very deep".
for given_answer, right_answer in [("在上海。", "在海上。"), ("因为水不深。", "因为水很深。")]:
    f1 = token_f1(given_answer, right_answer, "zh")
    order = rouge_l(rouge_tokens(given_answer), rouge_tokens(right_answer))[2]
    print(f"{given_answer} for {right_answer}  F1 {f1:.2f}  ROUGE-L {order:.2f}")

# %% [markdown]
# So never trust one number: read some answers, and take two measures whose faults differ. A measure
# can still compare two models that answer the same questions in the same style, if the difference
# is not mere chance.
#
# ## How sure?
#
# Make up a model: it gives the right answers to a hundred questions, but with a quarter of the
# tokens replaced. With a hundred other questions, its mean F1 would have been another number. How
# far off might it be? The hundred are our best picture of what questions are like, so sample from
# *them*: a hundred at random *with replacement*, so that some come twice and some not at all.
# Compute the mean, a few thousand times. This is the **bootstrap**. (Efron, *Bootstrap Methods:
# Another Look at the Jackknife*, 1979.) The middle 95 % of these means is the **percentile
# interval**.

# %%
hundred = correct["en"][:100]
vocabulary = [token for text in hundred for token in tokens(text)]
first = [" ".join(spoil(tokens(text), "replaced", 0.25, vocabulary)) for text in hundred]
scores = np.array([token_f1(*pair) for pair in zip(first, hundred, strict=True)])  # (100,)
print(f"mean F1 {scores.mean():.3f}")
for _ in range(4):
    chosen = rng.integers(len(scores), size=len(scores))
    times = np.bincount(chosen, minlength=len(scores))
    print(f"resampled {scores[chosen].mean():.3f}, copies of the first ten questions {times[:10]}")


# %%
def bootstrap(scores, resamples=5000):
    """Means of resampled scores, (resamples,)."""
    chosen = rng.integers(len(scores), size=(resamples, len(scores)))
    return scores[chosen].mean(axis=1)


def interval(values, level=0.95):
    """Lower and upper end of the middle part of the values, along the first axis."""
    return np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)


means = bootstrap(scores)
low, high = interval(means)
print(f"mean F1 {scores.mean():.3f}, 95 % interval {low:.3f} to {high:.3f}")
by_formula = scores.std() / len(scores) ** 0.5
print(f"standard deviation of the mean: bootstrap {means.std():.4f}, formula {by_formula:.4f}")
assert abs(means.std() / by_formula - 1) < 0.05

# %% [markdown]
# For a mean there is also a formula: its standard deviation (the *standard error*) is that of the
# scores, divided by the root of their number. The bootstrap finds the same, and also works where
# there is no simple formula. (It samples at random, so its ends move a little from call to call.)
#
# ### Which of two is better?
#
# A second model makes the mistakes of the first and a few more.

# %%
second = [" ".join(spoil(tokens(text), "dropped", 0.12, vocabulary)) for text in first]
second_scores = np.array([token_f1(*pair) for pair in zip(second, hundred, strict=True)])
intervals = {"first": interval(bootstrap(scores)), "second": interval(bootstrap(second_scores))}
for values, (name, (low, high)) in zip([scores, second_scores], intervals.items(), strict=True):
    print(f"{name:10} mean F1     {values.mean():.3f}, 95 % interval {low:.3f} to {high:.3f}")
differences = scores - second_scores  # question by question
low, high = interval(bootstrap(differences))
print(f"difference of means {differences.mean():.3f}, 95 % interval {low:.3f} to {high:.3f}")
widths = [np.diff(ends).item() for ends in (intervals["first"], intervals["second"], (low, high))]
print("widths of the intervals", " ".join(f"{width:.3f}" for width in widths))
assert intervals["second"][1] > intervals["first"][0] and low > 0
assert widths[2] < min(widths[:2])

# %% [markdown]
# The two intervals overlap, as if the difference were chance. But the second model shares the
# mistakes of the first (here by construction), so both means vary *together*. So compare question
# by question, by the bootstrap of the differences (a *paired bootstrap*). Its interval is narrower
# and does not contain zero: chance alone hardly explains the difference, and the first model is
# better on questions of this kind. (Koehn, *Statistical Significance Tests for Machine Translation
# Evaluation*, 2004.)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
for values, color in [(scores, BLUE), (second_scores, ORANGE)]:
    name, hatch = ("first", "") if values is scores else ("second", "//")
    left.hist(bootstrap(values), bins=40, alpha=0.6, color=color, label=name, hatch=hatch)
left.set(xlabel="mean F1", title="Each by itself: the resamples overlap")
left.set_ylabel("number of resamples")
left.legend()
right.hist(bootstrap(differences), bins=40, alpha=0.6, color=GREEN)
right.axvline(0, color="black")
right.axvspan(low, high, ymax=0.04, color="black", label="95 % interval")
right.set(xlabel="mean F1, first minus second", ylabel="number of resamples")
right.set_title("Question by question: interval above 0")
right.legend()
plt.show()

# %% [markdown]
# ### BLEU, too
#
# BLEU is no mean over pairs, so there is no such formula. But its counts are sums: sample pairs,
# add their counts, compute BLEU. sacrebleu does this, too, with other random numbers. It prints the
# mean of the samples (μ), half the interval (±), the four precisions, the brevity penalty (BP), and
# the lengths with their ratio.

# %%
counts = all_counts["en"][:200]
chosen = rng.integers(len(counts), size=(2000, len(counts)))
resampled = np.array([bleu(counts[some].sum(axis=0)) for some in chosen])
low, high = interval(resampled)
whole, half = bleu(counts.sum(axis=0)), (high - low) / 2
print(f"by hand    BLEU = {whole:.2f} (μ = {resampled.mean():.2f} ± {half:.2f})")
pairs = copies["en"][:200], [openings["en"][:200]]
print("sacrebleu ", sacrebleu.BLEU(force=True).corpus_score(*pairs, n_bootstrap=2000))

# %% [markdown]
# ### Does it keep its promise?
#
# *95 %* is a promise: in many exams, each with new questions, 95 of 100 intervals should contain
# the truth. Nobody knows the truth about a real model, so make one up that answers each question
# right with the probability 0.8.
#
# (If $k$ of $n$ scores are 1, each resampled one is 1 with the probability $k/n$. Their sum has a
# *binomial* distribution: `rng.binomial` samples it directly.)

# %%
TRUTH, EXAMS = 0.8, 1000


def examined(questions):
    """Lower and upper ends of the intervals of many exams: (2, EXAMS)."""
    shares = rng.binomial(questions, TRUTH, size=EXAMS) / questions  # what each exam finds
    resampled = rng.binomial(questions, shares, size=(1000, EXAMS)) / questions
    return interval(resampled)


covered = {}
for questions in [5, 10, 20, 50, 100, 200, 500]:
    ends = examined(questions)
    covered[questions] = np.mean((ends[0] <= TRUTH) & (ends[1] >= TRUTH))
    width = np.mean(ends[1] - ends[0])
    print(f"{questions:4} questions: mean width {width:.2f}", end="")
    print(f", contain the truth {covered[questions]:.1%}")
assert all(0.92 < covered[questions] < 0.98 for questions in covered if questions >= 50)
assert covered[5] < 0.85

# %%
ends = examined(100)[:, :50]
misses = (ends[0] > TRUTH) | (ends[1] < TRUTH)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6))
left.vlines(np.arange(50), *ends, color=np.where(misses, ORANGE, BLUE), linewidth=2)
(missing,) = left.plot(np.flatnonzero(misses), ends[1, misses] + 0.01, "v", color=ORANGE)
truth = left.axhline(TRUTH, color="black", linestyle="-", linewidth=1)
left.set(xlabel="exam", ylabel="share of right answers", ylim=(None, 1.04))
left.set_title("Intervals of fifty exams, 100 questions each")
left.legend([truth, missing], ["truth", "misses the truth"], ncols=2, loc="upper left")
right.semilogx(list(covered), list(covered.values()), marker="o", label="measured")
right.axhline(0.95, color="black", linestyle=":", linewidth=1, label="promised")
right.set(xlabel="questions in an exam", title="With few questions, too many miss", ylim=(0.5, 1))
right.set_ylabel("share of intervals with the truth")
right.legend(loc="lower right")
right.set_xticks(list(covered), list(covered))
right.minorticks_off()
plt.show()

# %% [markdown]
# On the left, orange marks a miss. On the right: with fifty questions or more the promise is kept,
# as nearly as a thousand exams can tell; with ten or fewer it is not. The worst case is a perfect
# result: every resample has only right answers, and the interval has no width. With five questions
# a third of all exams are perfect ($0.8^5$), and their intervals miss.
#
# From fifty questions on, four times as many about halve the width.

# %% [markdown]
# ## The report
#
# Three systems answer the five hundred questions of lesson 10, about tales that neither training
# has seen:
#
# * **base**, the GPT-2 of lesson 8, which reads tale and question as one text and continues it, up
#   to a full stop;
# * **fine-tuned**, the chat model of lesson 10;
# * **copy**, which repeats the question. It knows nothing. Always have such a baseline.
#
# All is in English here; [the benchmarks](../benchmarks/README.md#from-text-to-answers) have a
# table of the Chinese chat model.

# %%
base_run, chat = pretrained("tales"), chat_run("en")
assistant = Assistant(chat)
questions = held_out_questions("en", args.questions)
expected = [question.answer for question in questions]
given = {
    "base": base_answers(base_run, "en", questions),
    "fine-tuned": assistant.replies([question.messages for question in questions]),
    "copy": [question.messages[-1].content for question in questions],
}
for number in [0, args.questions // 5, args.questions * 2 // 5]:
    print(f"{questions[number].messages[-1].content:34} right: {expected[number]}")
    for name, replies in given.items():
        print(f"   {name:11} {replies[number]}")
print("most frequent of base:", Counter(given["base"]).most_common(3))

# %% [markdown]
# Four measures of each, with 95 % intervals:

# %%
report, partly_right = {}, {}  # name: {measure: (value, low, high)}; name: numbers of replies
for name, replies in given.items():
    pairs = list(zip(replies, expected, strict=True))
    per_question = {
        "match": np.array([exact_match(*pair) for pair in pairs]),
        "F1": np.array([token_f1(*pair) for pair in pairs]),
        "ROUGE-L": np.array([rouge(*pair)[2, 2] for pair in pairs]),  # its F1
    }
    not_exact = per_question["F1"][per_question["match"] == 0]
    partly_right[name] = np.sum(not_exact > 0), len(not_exact)
    report[name] = {
        measure: (scores.mean(), *interval(bootstrap(scores)))
        for measure, scores in per_question.items()
    }
    counts = np.array([bleu_counts(*map(tokens, pair)) for pair in pairs])
    chosen = rng.integers(len(counts), size=(500, len(counts)))  # BLEU is slow: fewer resamples
    resampled = np.array([bleu(counts[some].sum(axis=0)) for some in chosen]) / 100
    report[name]["BLEU"] = bleu(counts.sum(axis=0)) / 100, *interval(resampled)

# %%
print(f"{'':11}", *[f"{measure:>19}" for measure in report["copy"]])
for name, measures in report.items():
    cells = [f"{value:5.3f} ({low:.3f}-{high:.3f})" for value, low, high in measures.values()]
    print(f"{name:11}", *[f"{cell:>19}" for cell in cells])
print("\nnot exact, but with an F1 above 0:", end=" ")
print(", ".join(f"{name} {some} of {all_}" for name, (some, all_) in partly_right.items()))
assert report["fine-tuned"]["match"][1] > report["copy"]["match"][2]

# %% [markdown]
# Nobody need doubt who is best. The copy shows what overlap alone is worth: a question shares words
# with its answer, and F1 and ROUGE pay for them. The base model ends nearly every text at once, so
# only the full stop is left, which our code appends. Normalization removes it; BLEU counts it as a
# right token. (The last line counts wrong replies that share a word with the right answer. They
# alone raise F1 above exact match.)
#
# One number hides much, so count each kind of question:

# %%
kinds = ["who", "where", "what", "why", "order"]
hits = [exact_match(*pair) for pair in zip(given["fine-tuned"], expected, strict=True)]
for kind in kinds:
    of_kind = np.array(
        [hit for hit, question in zip(hits, questions, strict=True) if question.kind == kind]
    )
    low, high = interval(bootstrap(of_kind))
    print(f"{kind:6} {len(of_kind):4} questions   match {of_kind.mean():4.0%}", end="")
    print(f"   95 % interval {low:.0%} to {high:.0%}")

# %% [markdown]
# Where all answers are right, the interval has no width and cannot be believed. Most questions
# about order are easy for a reason. Here are those that say *before or after*, with X for each
# name, and the right answers; then some wrong replies to other questions.

# %%
wordings = Counter()
for question in questions:
    text = question.messages[-1].content
    if "before or after" in text:
        without_names = re.sub(r"(?<= )[A-Z]\w+( the \w+)?", "X", text)
        wordings[without_names, question.answer] += 1
for (text, answer), number in sorted(wordings.items()):
    print(f"{number:3} times: {text:54} {answer}")
assert len(wordings) == len({text for text, _ in wordings})  # one answer for each wording

told = zip(hits, questions, given["fine-tuned"], strict=True)
for question, reply in [pair for hit, *pair in told if not hit][:5]:
    print(f"{question.messages[-1].content}   right: {question.answer}   said: {reply}")

# %% [markdown]
# In every tale the child tries alone first and is helped afterwards, so a wording always has the
# same answer: no need to read the tale. Look for a **shortcut** like that where a score is too
# good. And read the replies that count as wrong: exact match also rejects right facts in other
# words.
#
# ## Hallucination
#
# To state what has no source is called **hallucination**. Training rewards a likely continuation;
# in a chat, after a question, that is an answer, whether the model can know it or not. Nothing
# marks it as invented. To measure this, ask what the text does not say.
#
# Two shares belong together: of questions *without* an answer, those that get one (`no answer`,
# `wrong`); of questions *with* an answer, those that are refused (`other words`, `refused`). Each
# alone is easily zero: refuse everything, or nothing.
#
# The questions are from lesson 10's examination, in words that no training text has used. *Refused*
# is one of the three refusals of the training, *right* an exact match, *small talk* a sentence of
# the training's small talk, which claims nothing about the tale. All else is *wrong*. Each wording
# is asked about two tales. Such pairs are alike, so the bootstrap samples pairs, not questions.

# %%
talk = {m.content for dialogue in small_talk("en") for m in dialogue.messages}
OUTCOMES = ["refused", "right", "small talk", "wrong"]


def outcome(reply, question):
    if is_refusal(reply, "en"):
        return "refused"
    if is_right(reply, question, "en"):
        return "right"
    return "small talk" if reply in talk else "wrong"


# %%
wrong_replies = {}
for name in ["no answer", "other words"]:
    part = examination("en")[name][: args.questions]
    replies = assistant.replies([question.messages for question in part])
    outcomes = np.array([outcome(*pair) for pair in zip(replies, part, strict=True)])
    print(f"{name}, {len(part)} questions")
    for kind in OUTCOMES:
        found = outcomes == kind
        if found.any():
            by_wording = found[: len(found) // 2 * 2].reshape(-1, 2).mean(axis=1)
            low, high = interval(bootstrap(by_wording))
            print(f"   {kind:10} {found.mean():4.0%}   95 % interval {low:.0%} to {high:.0%}")
    told = zip(outcomes, part, replies, strict=True)
    wrong_replies[name] = [pair for kind, *pair in told if kind == "wrong"]

# %%
for name, pairs in wrong_replies.items():
    print(f"wrong: {name}")
    for question, reply in pairs[:: max(1, len(pairs) // 5)][:5]:  # from all topics
        print(f"   {question.messages[-1].content:62} said: {reply}")

# %% [markdown]
# Where the tale has no answer, a wrong reply is invented. Where it has one, a wrong reply has no
# source either, and sounds as sure as a right one; it may fit another question.
#
# This course has two remedies: examples of "I don't know" in the training (lesson 10), and a text
# to answer from (lesson 20).
#
# ## If your result looks different
#
# * **A Chinese measure is exactly zero.** Look at the tokens before you look at the model: there
#   may be none, or only one.
# * **Your BLEU differs from somebody else's.** Is theirs a mean over pairs? How did they tokenize
#   and smooth, and in lower case? sacrebleu's `get_signature()` says the last three.
# * **F1 is high and the answers are poor.** Read twenty of them: is the deciding word wrong?
# * **Two runs differ.** Overlapping intervals decide nothing: take the differences question by
#   question, or ask more questions.
# * **Your model writes other tales than those on this page.** Another processor rounds differently
#   in training. What needs no model is the same everywhere.
#
# ## Recap
#
# * Perplexity says how probable the right text is. It depends on the tokens, and hardly sees
#   contradictions.
# * Exact match and F1 are for short answers. BLEU is clipped precision with a brevity penalty, over
#   a corpus. ROUGE-N adds recall, ROUGE-L allows gaps.
# * All compare tokens, not meanings, and depend on the tokenization, in Chinese entirely.
# * The bootstrap shows how far chance goes. Compare two models by their differences on the same
#   questions.
# * Hallucination: count answers where the text has none, and refusals where it has one.
#
# ## Check your understanding
#
# 1. Two models have a different perplexity on the same text. When does the comparison mean nothing?
# 2. When is exact match too strict, and what does F1 give instead?
# 3. Why does BLEU clip its counts, and why does it need a brevity penalty?
# 4. Of 100 questions, model A gets 2 more right than model B. What has to be known before one of
#    them is called better?
# 5. Why does a chat model answer a question that nobody can answer, and which two numbers show it?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Two models have different tokenizers. Compute a perplexity that can be compared, the one
# *per character*, from the mean loss per token in nats and the numbers of tokens and characters.


# %%
def per_character(loss, num_tokens, num_characters):
    """Return the perplexity per character."""
    ...


check.per_character(per_character)

# %% [markdown]
# **2.** A question may have several right answers. Then the best of the F1s counts. Write it for a
# list of tokens and a list of such lists; none of them is empty.


# %%
def best_f1(candidate, references):
    """Return the highest F1 of a candidate (tokens) with one of several references."""
    ...


check.best_f1(best_f1)

# %% [markdown]
# **3.** A candidate is the first half of its reference, word for word; both are long. What is its
# BLEU, in per cent?

# %%
half_bleu = ...

check.half_bleu(half_bleu)

# %% [markdown]
# **4.** With nearly the same table one gets the **edit distance**: the fewest words that must be
# inserted, deleted or replaced to turn one text into another. (Divided by the length of the
# reference it is the *word error rate* of speech recognition.) Write it. The row and the column of
# the empty beginnings are not zero here.


# %%
def edit_distance(a, b):
    """Return the number of insertions, deletions and replacements that turn list a into b."""
    ...


check.edit_distance(edit_distance)

# %% [markdown]
# **5.** Twenty questions, twenty right answers, and the bootstrap is sure of 100 %. How large may
# the model's true share of *errors* be, so that such a result still has the probability 0.05?

# %%
hidden_errors = ...

check.hidden_errors(hidden_errors)

# %% [markdown]
# ## Next
#
# In lesson 12 others talk to your model: it moves behind a server, with a page to chat on, and has
# to cope with bad input and many people at once.
