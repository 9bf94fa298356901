# %% [markdown]
# # 21. Preferences: from likely to preferred
#
# At the end of this lesson you will have written the losses of a reward model and of DPO and the
# gradient of GRPO by hand, and trained a language model by GRPO on what is *preferred*. You will
# know how much this can gain at best, what it costs, and which simple control it has to beat.
#
# You need: sampling and validity from [lesson 9](09_generation.ipynb), the chat template from
# [lesson 10](10_chat.ipynb), and intervals from [lesson 11](11_evaluation.ipynb). If the course's
# small GPT-2 is not there yet, it is trained first (some minutes).

# %%
from utils.course.settings import settings

args = settings(steps=40, batch_size=64, texts=640, seed=21)
print(args)

# %% [markdown]
# The settings are for a short training below: its steps, stories in each step, stories that judge
# the result, and seed.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from utils.course.diagrams import draw_flow
from utils.course.plots import BLUE, GREEN, ORANGE, PURPLE, STYLE
from utils.data.bpe import Tokenizer
from utils.data.downloads import shipped
from utils.data.keras_tokenizers import folder
from utils.exercises import lesson_21 as check
from utils.preferences.grpo import GrpoRecipe, train_with_reward
from utils.preferences.losses import dpo_loss, frontier, group_advantages
from utils.preferences.replies import hits_at_1, mutual_information
from utils.preferences.stories import Storyteller, is_valid, rewards, story_log_probs
from utils.small_gpt2 import pretrained
from utils.training.presets import load_preset

plt.style.use(STYLE)
rng = np.random.default_rng(args.seed)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## Likely is not preferred
#
# Pretraining makes a model say what is *likely* in its training text, fine-tuning (lesson 10) what
# the examples say. Neither asks which of two answers is *better*. Yet judging that is easier than
# writing a good answer. **Reinforcement learning from human feedback** (RLHF; Ouyang and others,
# 2022) learns from such judgements. The model is called the **policy**, the judgement of a text
# its **reward**. The training starts from the **reference model**, the reference for short.
#
# The plan of the lesson:

# %%
BOXES = [
    (0.0, 1.5, "pairs:\nchosen, rejected"),
    (3.2, 2.2, "reward model\ntext → score"),
    (3.2, 0.8, "DPO\nno reward model"),
    (6.6, 2.2, "best-of-n\nchoose a sample"),
    (6.6, 0.8, "GRPO\ntrain on samples"),
    (3.2, -0.6, "parser\ntext → 0 or 1"),
    (9.6, 1.5, "policy"),
]
ARROWS = [(0, 1), (0, 2), (1, 3), (1, 4), (5, 3), (5, 4), (4, 6), (3, 6), (2, 6)]
draw_flow(
    BOXES,
    [(*arrow, "") for arrow in ARROWS],
    "From judgements to a policy: best-of-n, GRPO and DPO",
    height=3,
    bends={(2, 6): 0.6},  # below GRPO
)
plt.show()

# %% [markdown]
# ## Bradley and Terry: scores from comparisons
#
# People contradict each other, and themselves. So a comparison is a game of chance: each text has a
# score $s$, and text $a$ is preferred to text $b$ with probability
#
# $$P(a \succ b) = \sigma(s_a - s_b) = \frac{1}{1 + e^{-(s_a - s_b)}}$$
#
# This is the **Bradley–Terry model** (1952), known from chess ratings. Only differences of scores
# matter. The loss is the cross-entropy of lesson 2, $-\log \sigma(s_a - s_b)$, where $a$ is the
# chosen text. Gradient descent pushes $s_a$ up and $s_b$ down, in proportion to
# $1 - P(a \succ b)$, the probability that the model gave to the wrong outcome.
#
# A **reward model** is a network that computes such a score from a text. First without a network:
# four texts with a score each, and twelve comparisons.

# %%
TEXTS = ["a joke", "a poem", "a recipe", "a list"]
GAMES = np.array(  # (chosen, rejected): numbers of texts
    [(0, 1), (0, 1), (1, 0), (0, 2), (0, 2), (1, 2), (2, 1), (1, 3), (1, 3), (2, 3), (3, 2), (0, 3)]
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def bradley_terry(scores, games):
    """The mean loss of some games, and its gradient by the scores."""
    chosen, rejected = games.T
    probability = sigmoid(scores[chosen] - scores[rejected])  # (games,)
    gradient = np.zeros_like(scores)
    np.add.at(gradient, chosen, probability - 1)
    np.add.at(gradient, rejected, 1 - probability)
    return -np.log(probability).mean(), gradient / len(games)


# %%
scores = np.zeros(4)
for step in range(301):
    loss, gradient = bradley_terry(scores, GAMES)
    if step % 100 == 0:
        print(f"step {step:3}   loss {loss:.4f}   scores {scores}")
    scores -= 1.0 * gradient
for name, score in sorted(zip(TEXTS, scores, strict=True), key=lambda pair: -pair[1]):
    print(f"{name:9} {score:+.2f}")
print(f"a joke is preferred to a list with probability {sigmoid(scores[0] - scores[3]):.2f}")

# %% [markdown]
# Joke and list were compared only once. The scores know more about them, from their games against
# the others. TensorFlow computes the same gradient.

# %%
variable = tf.Variable(rng.normal(size=4))
with tf.GradientTape() as tape:
    differences = tf.gather(variable, GAMES[:, 0]) - tf.gather(variable, GAMES[:, 1])
    loss = tf.reduce_mean(tf.math.softplus(-differences))
theirs = tf.convert_to_tensor(tape.gradient(loss, variable)).numpy()
ours = bradley_terry(variable.numpy(), GAMES)[1]
print(f"Bradley-Terry: largest difference of the gradients {np.abs(ours - theirs).max():.0e}")
assert np.allclose(ours, theirs)

# %% [markdown]
# ## How good can it get? The frontier
#
# A policy that only seeks reward can forget everything else. So we maximise the reward minus a
# penalty for leaving the reference: $\beta$ times the **Kullback–Leibler divergence** (KL
# divergence), the mean, over texts that the policy $\pi$ samples, of how many nats likelier the
# policy finds its text than the reference $\pi_0$ does.
#
# $$\text{KL} = \mathbb{E}_{x \sim \pi} \left[\log \pi(x) - \log \pi_0(x)\right], \qquad
# \text{maximise} \quad \mathbb{E}_{x \sim \pi}\left[r(x)\right] - \beta\, \text{KL}$$
#
# The best policy is $\pi^*(x) \propto \pi_0(x)\, e^{r(x)/\beta}$. It multiplies the probability of
# each text by a factor that depends on its reward alone. (The proof: reward minus penalty equals a
# constant minus $\beta$ times the KL divergence of $\pi$ to $\pi^*$, and a KL divergence is never
# negative.)
#
# Let the reward be 1 for good texts and 0 for others, and let the reference write a good one with
# probability $v$. Then the best policy has
#
# $$v^* = \frac{v\, e^{1/\beta}}{1 - v + v\, e^{1/\beta}}$$
#
# and its KL divergence is that of two coins,
# $v^* \log \frac{v^*}{v} + (1 - v^*) \log \frac{1 - v^*}{1 - v}$. For each divergence this gives
# the highest share of good texts that any method can reach: a higher one would beat the best
# policy. The curve is the **frontier**, computed by `frontier(v, kl)`. It depends on $v$ alone,
# which can be measured from samples of the reference. Now take six texts.

# %%
base = np.array([0.30, 0.20, 0.15, 0.15, 0.12, 0.08])  # what the reference would say
good = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])  # the reward of each text


def divergence(policy, reference):
    """KL divergence in nats."""
    return np.sum(policy * np.log(policy / reference))


def best_policy(reference, reward, beta):
    policy = reference * np.exp(reward / beta)
    return policy / policy.sum()


v = base @ good
print(f"reference: good with probability {v:.2f}")
for beta in (4.0, 1.0, 0.25):
    best = best_policy(base, good, beta)
    by_formula = v * np.exp(1 / beta) / (1 - v + v * np.exp(1 / beta))
    print(f"β {beta:4}: {best}  good {best @ good:.3f} (formula {by_formula:.3f})", end="")
    print(f"  KL {divergence(best, base):.3f}")
    assert np.isclose(best @ good, by_formula)

# %% [markdown]
# The good texts keep their proportions among each other, and so do the bad ones. Changing these
# would add divergence but no reward. Is any random policy above the frontier?

# %%
policies = rng.dirichlet(np.ones(6), 5000)
kls = np.array([divergence(policy, base) for policy in policies])
shares = policies @ good
print(f"above the frontier: {np.sum(shares > frontier(v, kls) + 1e-6)} of {len(shares)}")
assert np.all(shares <= frontier(v, kls) + 1e-6)
line = 0.8 * np.linspace(0, 1, 200) ** 2  # closer points where it is steep
label = f"random policies\n({np.mean(kls < 0.8):.0%} are shown)"
plt.plot(kls, shares, ".", markersize=2, color=BLUE, alpha=0.4, label=label)
plt.plot(line, frontier(v, line), "k-", label="frontier")
plt.xlim(0, 0.8)
plt.xlabel("KL divergence to the reference, nats")
plt.ylabel("probability of a good text")
plt.title("No policy gets above the frontier")
plt.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1), markerscale=4)
plt.show()

# %% [markdown]
# ### Best-of-n
#
# The simplest method needs no training: sample $n$ texts and keep the one with the highest reward
# (**best-of-n**). If the reward is 0 or 1 and ties are broken at random, the good texts keep their
# proportions: best-of-n is *on* the frontier. Its cost is $n$ samples for each answer. (The last
# column, for a figure below, is the divergence for any score without ties, $\log n - (n-1)/n$.)

# %%
for n in (1, 2, 4):
    fails = (1 - v) ** n  # all n are bad
    policy = np.where(good == 1, (1 - fails) * base / v, fails * base / (1 - v))
    kl = divergence(policy, base)
    print(f"n {n}: good {policy @ good:.3f}   KL {kl:.3f}   frontier {frontier(v, kl):.3f}", end="")
    print(f"   without ties KL {np.log(n) - (n - 1) / n:.3f}")
    assert abs(policy @ good - frontier(v, kl)) < 1e-3

# %% [markdown]
# ## DPO: the policy is its own reward model
#
# Solve $\pi^*(x) \propto \pi_0(x)\, e^{r(x)/\beta}$ for the reward: a policy that is optimal for
# some reward tells us that reward, up to a constant, as
#
# $$r(x) = \beta \log \frac{\pi(x)}{\pi_0(x)} + \text{constant}$$
#
# Put this **implicit reward** into Bradley and Terry's loss: the constant cancels, and no reward
# model is needed. **Direct preference optimization** (DPO; Rafailov and others, 2023, equation 7)
# trains the policy on the pairs themselves, the chosen text $y_c$ and the rejected one $y_r$.
#
# $$-\log \sigma\left(\beta \log\frac{\pi(y_c)}{\pi_0(y_c)} -
# \beta \log\frac{\pi(y_r)}{\pi_0(y_r)}\right)$$
#
# If the texts answer a prompt, all these probabilities are conditional on it.


# %%
def dpo(log_probs, reference, beta):
    """DPO's mean loss, and its gradient by the log probabilities, (pairs, 2), chosen one first."""
    implicit = beta * (log_probs - reference)  # (pairs, 2)
    right = sigmoid(implicit[:, 0] - implicit[:, 1])  # (pairs,)
    gradient = beta * np.stack([right - 1, 1 - right], axis=1) / len(right)
    return -np.log(right).mean(), gradient


reference = rng.normal(-60, 5, (8, 2)).astype("float32")
log_probs = reference + rng.normal(0, 4, (8, 2)).astype("float32")
loss, by_hand = dpo(log_probs, reference, 0.3)
variable = tf.Variable(log_probs)
with tf.GradientTape() as tape:
    theirs = dpo_loss(variable, reference, 0.3)  # the one that the course trains with
difference = np.abs(tape.gradient(theirs, variable).numpy() - by_hand).max()
print(f"DPO: loss by hand {loss:.5f}, TensorFlow {float(theirs):.5f}", end=", ")
print(f"largest difference of the gradients {difference:.0e}")
assert abs(loss - float(theirs)) < 1e-5 and difference < 1e-6

# %% [markdown]
# The loss does *not* say how likely the chosen text is: it falls, too, if both texts become
# unlikelier, the rejected one faster. It ignores texts in no pair. We train a policy with six
# logits, first with all six texts in pairs, then without the last good and the last bad one.


# %%
def softmax(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def train_by_dpo(pairs, beta=1.0, steps=100, rate=0.5):
    """The policy after DPO on pairs of texts (chosen, rejected), starting from the reference."""
    logits = np.log(base)
    for _ in range(steps):
        policy = softmax(logits)
        _, gradient = dpo(np.log(policy)[pairs], np.log(base)[pairs], beta)
        upstream = np.zeros(6)
        np.add.at(upstream, pairs, gradient)
        logits -= rate * (upstream - policy * upstream.sum())  # through the softmax
    return policy


# %%
every = np.array([(c, r) for c in (0, 2, 5) for r in (1, 3, 4)])
few = np.array([(c, r) for c in (0, 2) for r in (1, 3)])
for name, pairs in [("all texts in pairs", every), ("four texts in pairs", few)]:
    policy = train_by_dpo(pairs)
    kl = divergence(policy, base)
    print(f"{name:20} {policy}  good {policy @ good:.3f}", end="")
    print(f"  KL {kl:.3f}  frontier {frontier(v, kl):.3f}")
assert policy[5] < base[5] and policy[4] < base[4]  # the two that are in no pair

# %% [markdown]
# With all texts in pairs the policy is on the frontier. With four of them, the chosen ones take
# probability from the two others, the good one like the bad one, and the policy is below the
# frontier. No set of pairs holds all texts of a language model; what happens to the others is left
# to its parameters.
#
# ## GRPO: learn from one's own samples
#
# A policy can also be trained on texts that it samples itself (**on-policy**): the better ones
# become likelier. The gradient of the mean reward is, by the chain rule (the *log-derivative
# trick*), the mean over samples of the reward times the gradient of $\log \pi(x)$, the **policy
# gradient** (REINFORCE; Williams, 1992). If all rewards are equal it is 0, as no policy can change
# their mean. So subtracting a constant from all rewards does not change it, but can make its
# estimate less noisy. **Group relative policy optimization** (GRPO; Shao and others,
# *DeepSeekMath*, 2024, section 4.1) subtracts the mean reward of a group of samples (for the same
# prompt, if there is one) and divides by the standard deviation; the result is the **advantage** of
# a text.

# %%
exact = base * (good - v)  # the gradient of the mean reward by the logits


def policy_gradient(size, baseline):
    """The estimate from one group of samples, by the logits."""
    texts = rng.choice(6, size, p=base)
    advantages = good[texts] - (good[texts].mean() if baseline else 0)
    gradient = np.zeros(6)
    np.add.at(gradient, texts, advantages)
    return (gradient - base * advantages.sum()) / size


for baseline in (False, True):
    found = np.array([policy_gradient(16, baseline) for _ in range(4000)])
    noise = found.std(axis=0).mean()
    print(f"mean reward subtracted: {baseline!s:5}  estimates: mean {found.mean(axis=0)}", end="")
    print(f"  standard deviation {noise:.3f}")
    if not baseline:
        plain_noise = noise
print(f"{'exact gradient':47}{exact}")
assert noise < 0.9 * plain_noise

# %%
toy_rewards = good[rng.choice(6, 8, p=base)]
print("rewards   ", toy_rewards)
print("advantages", group_advantages(toy_rewards))

# %% [markdown]
# Without subtraction the mean of the estimates agrees with the exact gradient. Subtracting the mean
# reward makes them less noisy, but too small by the factor $(n - 1)/n$ for groups of $n$: each
# sample is compared with a mean that it is part of.
#
# ## Stories, and a parser as the judge
#
# Now the small GPT-2 of lesson 8. The parser of lesson 9 says whether its stories are tales that
# the grammar can tell. This is a **verifiable reward**: nobody labels anything, and the same text
# always gets the same reward. Lesson 9 called the share of valid stories, here at temperature 1,
# the *validity* of a model.

# %%
base_folder = Path(pretrained("tales").preset)
tokenizer = Tokenizer.load(folder("en"))
model = load_preset(base_folder)
teller = Storyteller(model, tokenizer)
JUDGE = 500 + args.seed  # the seed of the stories that judge; no training uses it
by_base = story_log_probs(load_preset(base_folder))
base_stories = teller.tell(args.texts, JUDGE)
base_valid = rewards(base_stories, is_valid)


def with_interval(found):
    """A share or a mean with the half width of its 95 % interval."""
    return f"{np.mean(found):.3f} ± {1.96 * np.std(found) / len(found) ** 0.5:.3f}"


print(f"valid {with_interval(base_valid)} of {args.texts} stories at temperature 1")
print(f"log p of a story {np.mean(by_base(base_stories)):.1f} nats on average")

# %% [markdown]
# ## Plain GRPO: a long way, a small gain
#
# The following runs were made once, by `python -m benchmarks.preferences` ([data
# card](../datasets/preferences.md)), as they take too long for a lesson. In each step the model
# samples a group of 64 stories, the parser judges them, and one step of Adam follows
# ([grpo.py](../utils/preferences/grpo.py)). The trained policy then tells other stories, as many as
# the column *stories* says. The base was trained like the model above.
#
# Each row has the difference in validity with its 95 % interval, and its costs: the KL divergence
# to the base in nats per story; the loss on held-out tales in nats per token, which rises if the
# policy forgets their language; and *distinct-3*, the share of different runs of three words in 500
# stories, which falls if it repeats itself. The frontier is the highest validity possible at this
# divergence.

# %%
data = json.loads(shipped("preferences.json").read_text(encoding="utf-8"))
points = data["runs"]
v = points["base"]["valid"]


def variance(name):
    """That of a measured validity."""
    return points[name]["valid"] * (1 - points[name]["valid"]) / points[name]["setting"]["stories"]


def gain_of(name):
    """Validity above that of the base, and the half width of its 95 % interval."""
    return points[name]["valid"] - v, 1.96 * (variance("base") + variance(name)) ** 0.5


def change_of(name):
    """The gain with its interval, for a table."""
    gain, half = gain_of(name)
    return " " * 14 if name == "base" else f"{gain:+.3f} ± {half:.3f}"


def show(names):
    print(f"{'':28} stories  valid  difference         KL   loss  distinct-3  frontier")
    for name in names:
        made, change = points[name], change_of(name)
        print(f"{name:28} {made['setting']['stories']:7,}  {made['valid']:.3f}", end="")
        print(f"  {change} {made['kl']:6.2f}", end="")
        print(f"  {made['loss']:.3f}  {made['distinct_3']:10.3f}  {frontier(v, made['kl']):8.3f}")


PLAIN = ["GRPO, seed 0", "GRPO, seed 1"]
plain = GrpoRecipe(**points[PLAIN[0]]["setting"]["recipe"])
print(f"{plain.steps} steps of {plain.batch_size} stories", end=", ")
print(f"learning rate {plain.learning_rate}, β = {plain.beta:g}")
show(["base", *PLAIN])
for name in PLAIN:
    assert gain_of(name)[0] < 0.1 and points[name]["kl"] > 1
    assert frontier(v, points[name]["kl"]) > 0.95

# %% [markdown]
# Every token of a story gets the advantage of the story, all parameters are trained, and nothing
# keeps the policy near the base (β = 0). With this setting the gain is small with both seeds, yet
# at this divergence the frontier is near 1.
#
# ### Which token was wrong?
#
# Why is the gain so small? A likely reason: all tokens of an invalid story become unlikelier,
# although one word made it invalid. The parser knows *where* a text stops being a tale. So in
# *credit by token* the tokens of the first wrong word get −1, all others 0. What comes after
# that word does not count, since nothing can mend the story any more. Then the mean of all tokens
# that count is subtracted, without dividing by the standard deviation, so the others have the same
# small positive advantage. Deciding what has earned a reward is **credit assignment**; rewards for
# single steps are **process rewards** (Lightman and others, 2023).
#
# How good is such a gradient? We computed that of the base from several groups of 64 stories. What
# these have in common is the signal, the rest is noise. The **signal-to-noise ratio** here is the
# mean dot product of two groups' gradients over the mean squared length of one. (Independent noise
# cancels in the products, so their mean estimates the squared length of the signal; it can come
# out below 0.) At a ratio of 0.01, signal and noise are equal in the mean of about a hundred
# groups. *Last norms*, for the next section, are the two layer normalizations of the last block
# and the one before the logits.

# %%
noise = data["gradients"]
print(f"signal-to-noise ratio of one group, from {noise['groups']} groups (± 1.96 standard errors)")
for credit, parts in noise["signal_to_noise"].items():
    for part, (ratio, error) in parts.items():
        print(f"credit by {credit}, {part:14} {ratio:+.4f} ± {1.96 * error:.4f}")
(by_story, error), _ = noise["signal_to_noise"]["story"].values()
(by_token, _), (in_norms, _) = noise["signal_to_noise"]["token"].values()
assert abs(by_story) < 1.96 * error and 0 < 3 * by_token < in_norms

# %% [markdown]
# With credit by story the ratio of all parameters cannot be told from 0: one group says next to
# nothing about where to go. By token it is just above 0. In the last norms both are larger.
#
# ### Fewer parameters
#
# Adam divides each gradient by its usual size. So a parameter whose gradient is only noise moves
# as fast as one with a signal, and each of these moves costs KL divergence. Therefore we train
# only the scales and shifts of the last norms. Among other things, they can make the logits
# sharper or flatter, as a temperature does.

# %%
last = f"transformer_layer_{model.backbone.num_layers - 1}/"
norms = [
    weight
    for weight in model.backbone.weights
    if "layer_norm" in weight.path and (last in weight.path or weight.path.startswith("layer_norm"))
]
print(f"{sum(w.shape[0] for w in norms)} of {model.backbone.count_params():,} parameters")

# %% [markdown]
# ### A KL penalty
#
# We maximise reward minus β times KL divergence. To estimate the divergence by
# $\log \pi - \log \pi_0$ of the sampled tokens would add noise. But both models give all
# probabilities of the next token, so their divergence can be computed exactly. Its sum over the
# tokens of a story is, on average, the divergence of the stories; times β it is added to the loss,
# as a **KL penalty**.
#
# Now a training with all three changes.

# %%
recipe = GrpoRecipe(
    steps=args.steps,
    batch_size=args.batch_size,
    seed=args.seed,
    learning_rate=0.02,
    credit="token",
    parameters="last norms",
    beta=0.2,
)
run = train_with_reward(base_folder, tokenizer, recipe)
model.backbone.set_weights(load_preset(run.preset).backbone.get_weights())
teller.update(model)
stories = teller.tell(args.texts, JUDGE)
valid = rewards(stories, is_valid)
ratios = story_log_probs(model)(stories) - by_base(stories)
print(f"valid {with_interval(base_valid)} before, {with_interval(valid)} after")
difference = valid - base_valid
print(f"difference {with_interval(difference)}")
if args.steps >= 40:  # the interval excludes 0
    assert difference.mean() > 1.96 * difference.std() / len(difference) ** 0.5
print(f"KL to the base {with_interval(ratios)} nats per story")

# %% [markdown]
# The interval of the difference excludes 0: validity has risen. The `validation_loss` is minus the
# mean reward since the previous evaluation; every group of stories is new. The size of the `loss`
# says nothing by itself.
#
# "Improved GRPO" in the table is the same with half the learning rate, twice as many steps and two
# other seeds. The rows below it lack one of the three changes each.

# %%
IMPROVED = [name for name in points if name.startswith("improved GRPO, seed")]
ABLATIONS = [name for name in points if name.startswith("improved, but")]
show(["base", *PLAIN, *IMPROVED, *ABLATIONS])
nearest = min(points[name]["kl"] for name in PLAIN)
for name in IMPROVED:
    gain, half = gain_of(name)
    assert gain - half > 0.06 and points[name]["kl"] < nearest / 3
    assert points[name]["loss"] < points["base"]["loss"] + 0.01
    assert points["improved, but no KL penalty"]["kl"] > 5 * points[name]["kl"]
    assert points["improved, but by story"]["valid"] < points[name]["valid"]
    assert points["improved, but all parameters"]["valid"] < points[name]["valid"]

# %% [markdown]
# Improved GRPO gains more than plain GRPO (in twice as many steps), at a small part of its
# divergence. Loss and distinct-3 have hardly changed.
#
# Each change counts, as far as one training each can tell. Without the penalty validity is no
# lower, but the divergence is more than five times as large and the loss has risen. The gain is
# smaller with credit by story, at about the same divergence, and with all parameters. (By story the
# advantages are about twice as large, so β is doubled, too. With all parameters the learning rate
# is that of plain GRPO.)
#
# ### The control: a lower temperature
#
# A lower temperature (lesson 9) gives more valid stories, too, without any training. Every claim
# that a training has made a model better at sampling needs this control.

# %%
TEMPERATURES = [f"temperature {t}" for t in (0.9, 0.85, 0.8)]
show(["base", *TEMPERATURES])

# %% [markdown]
# To be fair, we compare at equal KL divergence, by linear interpolation between the temperatures.

# %%
control_kl = [points[name]["kl"] for name in ["base", *TEMPERATURES]]
control = [points[name]["valid"] for name in ["base", *TEMPERATURES]]
for name in IMPROVED:
    made, half = points[name], 1.96 * (variance(name) + variance("temperature 0.85")) ** 0.5
    at_equal = np.interp(made["kl"], control_kl, control)
    print(f"{name:20} KL {made['kl']:.2f}: valid {made['valid']:.3f},", end=" ")
    print(f"by temperature {at_equal:.3f}, difference {made['valid'] - at_equal:+.3f} ± {half:.3f}")
    assert abs(made["valid"] - at_equal) < half
    assert max(points[other]["valid"] for other in PLAIN) < at_equal

# %%
line = np.geomspace(0.01, 6, 400)
plt.plot(line, frontier(v, line), "k-", linewidth=1, label="frontier")
plt.plot(control_kl[1:], control[1:], "^", color=ORANGE, label="temperature 0.9, 0.85, 0.8")
between = line[line <= control_kl[-1]]
interpolated = np.interp(between, control_kl, control)  # straight, but not with this axis
plt.plot(between, interpolated, "--", color=ORANGE, label="linear interpolation, from the base")
GROUPS = [
    (PLAIN, "o", BLUE, "GRPO, plain"),
    (IMPROVED, "s", GREEN, "improved GRPO"),
    (["DPO valid, rate 0.0002"], "x", PURPLE, "DPO for validity, lowest rate (see below)"),
]
for names, marker, color, label in GROUPS:
    x, y = [points[name]["kl"] for name in names], [points[name]["valid"] for name in names]
    plt.plot(x, y, marker, color=color, label=label, linestyle="none")
for score, marker in (("lowest log p", "d"), ("reward model", "v")):
    best = data["prediction"]["best_of_n"][score]
    ns = [int(n) for n in best]
    label = f"best of {', '.join(map(str, ns))} by the {score} (see below)"
    x = [np.log(n) - (n - 1) / n for n in ns]
    plt.plot(x, best.values(), marker, color="gray", linestyle="none", label=label)
plt.axhline(v, color="gray", linewidth=1, linestyle=":", label="base")
plt.xscale("log")
plt.xlabel("KL divergence to the base, nats per story")
plt.ylabel("validity")
plt.ylim(0.59, 1.02)
plt.title("Improved GRPO gains about what a lower temperature gains")
plt.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Each interval (of the two validities, at the measured divergence) contains 0: the training gains
# about what a lower temperature gains. There is no sign that it has learnt to tell better stories.
# Plain GRPO goes further from the base and stays below both.
#
# Best-of-n by the lowest $\log p$ of a story, which a later section explains, comes nearer to the
# frontier than both at the divergence of $n = 2$. (No temperature here diverges as far as $n = 4$.)
#
# ## DPO as steering, and DPO that does not work
#
# Pairs for DPO can be made from the base's own stories: the chosen one has a property, the rejected
# one has not. First a matter of taste, stories with a *hedgehog*; then validity itself. The *rate*
# is DPO's learning rate; the frontier is that of the property.


# %%
def show_dpo(names, wanted):
    print(f"{'':33} stories  hedgehog  valid  difference         KL   loss", end="")
    print("  distinct-3  frontier")
    for name in names:
        made = points[name]
        possible = frontier(points["base"][wanted], made["kl"])
        change = change_of(name)
        print(f"{name:33} {made['setting']['stories']:7,}  {made['hedgehog']:8.3f}", end="  ")
        print(f"{made['valid']:.3f}  {change} {made['kl']:6.2f}", end="")
        print(f"  {made['loss']:.3f}  {made['distinct_3']:10.3f}  {possible:8.3f}")


hedgehogs = [name for name in points if name.startswith("DPO hedgehog")]
show_dpo(["base", *hedgehogs], "hedgehog")
steered = points["DPO hedgehog, rate 0.0002"]
assert 0.4 < steered["hedgehog"] < 0.6 and steered["valid"] > 0.45
assert sum(gain_of("DPO hedgehog, rate 0.0002")) < 0  # all of its interval
assert points["DPO hedgehog, rate 0.0004"]["valid"] < 0.45

# %%
DPO_VALID = [name for name in points if name.startswith("DPO valid")]
show_dpo(["base", *DPO_VALID], "valid")
gentle, *firm = DPO_VALID
assert gain_of(gentle)[0] < gain_of(gentle)[1]  # no more than chance
assert max(points[name]["valid"] for name in firm) < 0.1

# %% [markdown]
# As *steering*, DPO works, though far below the frontier. With the middle rate about half of the
# stories have a hedgehog, with both seeds, and validity falls: the pairs say nothing about it. With
# twice the rate most stories are no longer valid.
#
# For validity itself DPO does not work. With the lowest rate the gain is within chance, with larger
# ones nearly no story is valid. What does DPO's loss see of this? The **margin** is what the chosen
# story has gained on the rejected one, in nats: the difference of their log ratios to the base.

# %%
print(f"{'mean over pairs, nats':33} margin in training, held out   chosen, held out   valid")
for name in [*hedgehogs, *DPO_VALID]:
    made = points[name]
    seen, new = made["margin_in_training"], made["margin_held_out"]
    print(f"{name:33} {seen['nats']:+18.1f} {new['nats']:+10.1f}", end="")
    print(f" {new['chosen']:+18.1f} {made['valid']:7.3f}")
    assert seen["nats"] > new["nats"] > 0
assert all(points[name]["margin_held_out"]["chosen"] < -5 for name in firm)

# %% [markdown]
# The margin rises in every training, on held-out pairs, too, and says nothing of the ruin. With
# the larger rates the *chosen* stories have become much unlikelier than they were: the rejected
# ones only more so. The loss knows the difference of the two, not where the probability has gone;
# it has gone to texts in no pair. A likely reason why validity cannot be learnt from such pairs: a
# valid and an invalid story differ in most tokens, one of them decides, and the label does not say
# which.
#
# ## Reward hacking and collapse
#
# A reward describes what we want, and a policy finds what the description has left out. Getting the
# reward in an unintended way is called **reward hacking**. Here the reward is the *number* of times
# that "hedgehog" stands in the story, and β = 0.

# %%
hacked = points["GRPO hedgehogs"]
for name in ("base", "GRPO hedgehogs"):
    made = points[name]
    print(f"{name:15} hedgehogs a story {made['hedgehogs']:.2f}  valid {made['valid']:.3f}", end="")
    print(f"  KL {made['kl']:.1f}  distinct-3 {made['distinct_3']:.3f}")
print()
for text in hacked["examples"][:2]:
    print(text[:150], "…")
print(f"different stories among 500: {hacked['different']:.0%}")
assert hacked["valid"] < 0.05 and hacked["distinct_3"] < 0.1 and hacked["kl"] > 20

# %% [markdown]
# No story is valid, and most of them repeat another one. That a policy keeps a few texts only is
# called **mode collapse**. The reward alone looks like success; the KL divergence and the number of
# different texts show what has happened. A KL penalty and a reward with an upper limit work against
# it; improved GRPO had both.
#
# ## A reward model that fails, and a number that predicts
#
# Without a parser, a reward model has to judge. We trained one, the base with a score at its end,
# on pairs of valid and invalid stories by Bradley and Terry's loss. The **area under the curve**
# (AUC) is the probability that a new valid story gets a higher score than an invalid one; 0.5 is
# chance. Two rows show what the language model knows without any label: the mean of $\log p$ over
# the tokens of a story, and the *lowest* one. The length is a control: the shorter, the better, as
# fewer words can be wrong.

# %%
prediction = data["prediction"]
print(f"{prediction['pairs']} pairs, so {2 * prediction['pairs']} labels", end="; ")
print(f"right in training {prediction['accuracy_in_training']:.0%}")
for name, chosen in prediction["best_of_n"].items():
    print(f"{name:14} AUC {prediction['auc'][name]:.3f}", end="   ")
    print(", ".join(f"best of {n} valid {share:.3f}" for n, share in chosen.items()))
area = prediction["auc"]
assert area["reward model"] < 0.65 and prediction["accuracy_in_training"] < 2 / 3
assert area["mean log p"] < area["lowest log p"] and area["lowest log p"] > 0.85

# %% [markdown]
# The reward model is hardly better than chance, or than length, on new stories; best-of-n by it
# gains little on the base's validity above. It gets more than one in three of its training pairs
# wrong. A likely reason, again: the label does not say which word is wrong. The lowest $\log p$
# needs no label and predicts validity well: a wrong word is often one that the model itself found
# unlikely, sampled by bad luck. In the mean over all tokens it counts for less.
#
# ## Right answers
#
# A right answer is a verifiable reward, too. The chat model of lesson 10 replies four times, at
# temperature 1, to each question about tales of its training. A reply earns 1 if it is right word
# for word (*exact match*, lesson 11) or, where the tale has no answer, if it is one of the three
# ways to say so. The four replies are a group of GRPO
# ([answers.py](../utils/preferences/answers.py)).
#
# Where all four replies are right, or all wrong, all advantages are 0: nothing can be learnt. So
# each step asks many questions, and learns from the replies with the largest advantages, much like
# **dynamic sampling** (Yu and others, *DAPO*, 2025). All parameters are trained, with a KL penalty.
#
# The examination of lesson 10 judges the result, on tales that no training has seen. Its questions
# are in plain words, in other words (unseen, too), or have no answer in the tale. The reply is the
# likeliest one, then one sampled at temperature 1. The difference is that to the model before
# training, question by question.

# %%
answers = data["answers"]["runs"]


def marks(name, way, part):
    """1 for each question of a part that a run answers rightly, else 0."""
    return np.array([int(mark) for mark in answers[name][way][part]])


for way in ("likeliest", "sampled"):
    for part in answers["before"][way]:
        before = marks("before", way, part)
        change = marks("seed 0", way, part) - before
        if part != "plain words":  # each wording is asked about two tales: one value for both
            change = change.reshape(-1, 2).mean(axis=1)
        print(f"{way:9} {part:11} {len(before)} questions, right {before.mean():.3f}", end="")
        moved = f"difference {with_interval(change)}" if change.any() else "no mark changed"
        print(f" before, {moved}")
        if part == "other words":
            assert abs(change.mean()) < 1.96 * change.std() / len(change) ** 0.5

# %% [markdown]
# The costs are the KL divergence to the chat model in nats per reply, the loss on conversations
# about held-out tales, and the refusals to all questions.

# %%
for name, made in answers.items():
    print(f"{name:7} KL {made['kl']:.3f}  loss {made['loss']:.3f}", end="  ")
    print(", ".join(f"{count} × {text!r}" for text, count in made["refusals"].items()))
more = np.diff([sum(made["refusals"].values()) for made in answers.values()])[0]
rightly = np.diff([marks(name, "sampled", "no answer").sum() for name in answers])[0]
print(f"sampled refusals: {more:+}, to questions without an answer {rightly:+}")

# %% [markdown]
# Hardly anything is gained. Questions in plain words left almost nothing to gain. For the other
# wordings no change can be told from 0: its own replies to known ones have not taught the model
# others. Without an answer the gain is about as large as its error, and only a part of the
# additional refusals are right. This one training shows only that a verifiable reward is no
# guarantee.
#
# ## Replies that say something: maximum mutual information
#
# Best-of-n can use other scores. A language model often prefers replies that fit any message. So
# train a second one, a **backward model**, to say the *message* from the reply: a reply that fits
# any message makes none of them likely. Re-rank candidates by both scores,
#
# $$(1 - w) \log p(\text{reply} \mid \text{message}) + w \log p(\text{message} \mid \text{reply})$$
#
# This is **maximum mutual information** (MMI; Li and others, 2016). The messages are small talk
# that no training has seen. Each has ten candidates, one of them right: **hits@1** is the share of
# messages that rank it first. Half of the messages choose the weight, the other half judge.

# %%
replies = data["replies"]
choose, judge = (
    [np.array(replies[part][name]) for name in ("forward", "backward")]
    for part in ("choose", "judge")
)
weights = np.linspace(0, 1, 21)
found = [hits_at_1(mutual_information(*choose, weight)) for weight in weights]
weight = float(weights[np.argmax(found)])
print(f"{len(choose[0])} messages choose the weight {weight:.2f}, {len(judge[0])} judge")
hits = {
    "forward alone": hits_at_1(judge[0]),
    "backward alone": hits_at_1(judge[1]),
    "both": hits_at_1(mutual_information(*judge, weight)),
}
for name, share in hits.items():
    print(f"{name:15} hits@1 {share:.3f}")
gained = (mutual_information(*judge, weight).argmax(axis=1) == 0) - 1.0 * (
    judge[0].argmax(axis=1) == 0
)
print(f"both less forward alone: {with_interval(gained)}")
assert hits["both"] > max(hits["forward alone"], hits["backward alone"]) and hits["both"] > 0.65

# %%
messages, candidates = replies["judge"]["messages"], replies["judge"]["candidates"]
both = mutual_information(*judge, weight)
chosen = {"forward alone": judge[0], "backward alone": judge[1], "both": both}


def distinct_of(texts, n):
    """The share of different runs of n words in all texts together."""
    split = [text.split() for text in texts]
    runs = [tuple(words[i : i + n]) for words in split for i in range(len(words) - n + 1)]
    return len(set(runs)) / len(runs)


print(f"{len({reply for options in candidates for reply in options})} different candidates in all")
print(f"{'':15} distinct-1 distinct-2 words a reply")
right = [options[0] for options in candidates]
picked = {
    name: [options[i] for options, i in zip(candidates, scores.argmax(axis=1), strict=True)]
    for name, scores in chosen.items()
}
for name, texts in {**picked, "right replies": right}.items():
    length = np.mean([len(text.split()) for text in texts])
    print(f"{name:15} {distinct_of(texts, 1):10.3f} {distinct_of(texts, 2):10.3f} {length:13.1f}")

# %%
changed = np.flatnonzero((judge[0].argmax(axis=1) != 0) & (both.argmax(axis=1) == 0))
for i in changed[:3]:
    print(
        f"> {messages[i]}\n  forward: {picked['forward alone'][i]}\n  both:    {picked['both'][i]}"
    )

# %%
plt.plot(weights, found, "o-", label="messages that choose")
curve = [hits_at_1(mutual_information(*judge, one)) for one in weights]
plt.plot(weights, curve, "s--", label="messages that judge")
plt.axvline(weight, color="black", linewidth=1, linestyle=":", label="chosen weight")
plt.xlabel("weight of the backward model")
plt.ylabel("hits@1, share of the messages")
plt.ylim(0, 1)
plt.title("Both directions together rank best")
plt.legend()
plt.show()

# %% [markdown]
# Both directions together find the right reply more often than either alone. (The number of
# training steps, though, was raised after a first result on all messages, so those that judge were
# not quite unseen.) Their replies are about as long and varied as those of the forward model: the
# gain is in hits@1 only. The task is easy: small talk has few different replies, and the forward
# model alone does most of the work. On real conversations, in a trial outside the course, models of
# this size stayed at chance.
#
# ## Your own preferences
#
# DPO for pairs of your own, as a command:
#
#     python -m utils.preferences --pairs my.jsonl
#     python -m utils.preferences --pairs my.jsonl --base FOLDER
#
# Each line of the file is one pair:
#
#     {"prompt": "Hello!", "chosen": "Hello to you!", "rejected": "What do you want?"}
#
# The chat model of lesson 10 learns, or the one in the folder. One pair in ten is held out. At the
# end you see in how many of these the chosen text is the likelier one, before and after, and some
# replies of both models. Read them: the share may be perfect while the model is ruined.
#
# ## If your result looks different
#
# * **Validity hardly moves in your training, or falls.** A few steps are not enough; the lesson
#   trains for `--steps 40`. Look at the interval.
# * **The loss of DPO is near 0 and the texts are broken.** The policy is too far from the
#   reference. Lower the learning rate, raise β, or stop earlier.
# * **KL comes out negative.** It is a mean over samples and has an error; the true one never is.
#
# ## Recap
#
# * Comparisons become scores by Bradley and Terry's model. DPO needs no reward model: its score is
#   β times the log ratio of policy and reference.
# * For a reward of 0 or 1 the best possible share of good texts is known for each KL divergence.
#   Best-of-n by this reward reaches it, with n samples each time.
# * GRPO learns from its own samples, each compared with the mean of its group. Credit where the
#   mistake is and fewer parameters make its gradient less noisy; an exact KL penalty keeps the
#   policy near the reference.
# * A gain needs an interval, its costs, and a control: here, a lower temperature.
# * A loss for pairs says nothing about texts in no pair, and a policy maximises the reward as
#   written, not as meant.
#
# ## Check your understanding
#
# Answer in your own words; then let `check.answer` show ours.
#
# 1. Joke and list were compared only once. Why do the scores know more about them than that game?
# 2. Why do all good texts keep their proportions under the best policy for a reward of 0 or 1?
# 3. How can DPO's loss fall while the chosen text becomes unlikelier?
# 4. Why does GRPO subtract the mean reward of the group?
# 5. Why must a gain in validity be compared with a lower temperature?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** The probability that the first text wins, by Bradley and Terry, for two scores.


# %%
def win_probability(first, second):
    """Return a number from 0 to 1."""
    ...


check.win_probability(win_probability)

# %% [markdown]
# **2.** The highest share of good texts for a reward of 0 or 1, if the reference has the share `v`
# and a nat of KL divergence costs `beta`.


# %%
def best_share(v, beta):
    """Return a number from 0 to 1."""
    ...


check.best_share(best_share)

# %% [markdown]
# **3.** DPO's loss for one pair. The arguments are log probabilities: of the chosen and the
# rejected text by the policy, then by the reference.


# %%
def pair_loss(chosen, rejected, chosen_0, rejected_0, beta):
    """Return the loss in nats."""
    ...


check.pair_loss(pair_loss)

# %% [markdown]
# **4.** GRPO's advantages for the rewards of a group: less their mean, divided by their standard
# deviation. If all rewards are equal, all advantages are 0.


# %%
def advantages(rewards):
    """Return an array with an advantage for each reward."""
    ...


check.advantages(advantages)

# %% [markdown]
# ## Next
#
# Collect thirty pairs about one thing that the chat model should say differently, and run `python
# -m utils.preferences`. Then find a question at which it has become worse.
