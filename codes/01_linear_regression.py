# %% [markdown]
# # 1. Linear regression: a line through four points
#
# At the end of this lesson you will have trained the smallest neural network there is, and you will
# have a formula that says where its training stands after 500 epochs, without running them.
#
# You need: [lesson 0](00_setup.ipynb) passed on this machine, and school algebra: a straight line,
# a derivative. A GPT, the kind of model behind ChatGPT, is trained by the very loop that you are
# about to write.

# %% [markdown]
# Every setting that you can change is in one line. In a notebook, change a number and run all cells
# again. In a terminal, the same line reads flags: `python codes/01_linear_regression.py --epochs
# 50`.

# %%
from utils.course.settings import settings

args = settings(epochs=500, learning_rate=0.01, seed=4)
print(args)

# %% [markdown]
# The imports and the style of the figures; you may skip them. The seed fixes everything that is
# drawn at random, so that you see the same numbers as this page.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

from utils.course.plots import BLUE, GREEN, ORANGE, STYLE
from utils.course.seeds import seed_everything
from utils.data.downloads import shipped
from utils.exercises import lesson_01 as check
from utils.training.progress import Progress

plt.style.use(STYLE)
seed_everything(args.seed)
np.set_printoptions(precision=4, suppress=True)

# %% [markdown]
# ## The idea, by hand
#
# Here are four points. Look at them and you see the rule: each step to the right goes one down.

# %%
x = np.array([1.0, 2.0, 3.0, 4.0])
y = np.array([0.0, -1.0, -2.0, -3.0])

# %% [markdown]
# A program does not see; it searches. A **model** is a formula with free numbers in it, its
# **parameters**. Ours is a line with the slope `w` (the *weight*) and the height `b` at zero (the
# *bias*).


# %%
def predict(w, b, x):
    return w * x + b


print(predict(0.0, 0.0, x))

# %% [markdown]
# With both parameters at zero the line lies flat, and is wrong. How wrong? We need one number that
# is zero for a perfect line and grows with every miss. The usual choice is the **mean squared
# error**: square each miss, take the mean.


# %%
def mean_squared_error(w, b, x, y):
    return np.mean((predict(w, b, x) - y) ** 2)


print(mean_squared_error(0.0, 0.0, x, y))

# %% [markdown]
# This number is the **loss**. Training means: change the parameters so that the loss falls. In
# which direction? Ask the derivative. The loss of one point is $(wx + b - y)^2$; by the chain rule
# its slope in $w$ is $2(wx + b - y)\,x$ and its slope in $b$ is $2(wx + b - y)$. Take the mean over
# the points. The two slopes together are the **gradient**.


# %%
def gradient(w, b, x, y):
    error = predict(w, b, x) - y
    return np.array([np.mean(2 * error * x), np.mean(2 * error)])


print(gradient(0.0, 0.0, x, y))

# %% [markdown]
# Never trust a derivative that you have not checked. Nudge `w` a little, then `b`, and divide the
# change of the loss by the nudge. You must get the gradient, up to a small rest that comes from the
# size of the nudge.

# %%
nudge = 1e-6
start = mean_squared_error(0.0, 0.0, x, y)
print((mean_squared_error(nudge, 0.0, x, y) - start) / nudge)
print((mean_squared_error(0.0, nudge, x, y) - start) / nudge)

# %% [markdown]
# The gradient points uphill, so we step the other way. How far? The **learning rate** decides: a
# small number that the gradient is multiplied by. That is all of **gradient descent**.
#
# A comment such as `# (steps + 1, 2)` gives the **shape** of an array: so many rows, 2 columns.


# %%
def descend(w, b, learning_rate, steps):
    """Descend on our four points; return the parameters before the first and after each step."""
    path = [(w, b)]
    for _ in range(steps):
        slope_w, slope_b = gradient(w, b, x, y)
        w, b = w - learning_rate * slope_w, b - learning_rate * slope_b
        path.append((w, b))
    return np.array(path)  # (steps + 1, 2)


# %%
by_hand = descend(0.0, 0.0, args.learning_rate, steps=10)
for step, (w, b) in enumerate(by_hand):
    print(f"step {step:2}  w {w:7.4f}  b {b:7.4f}  loss {mean_squared_error(w, b, x, y):.4f}")

# %% [markdown]
# The loss falls at every step. You have trained a model with nothing but NumPy. Now with the
# library that the rest of the course uses.

# %% [markdown]
# ## The same in Keras
#
# A **layer** is a function with parameters. `Dense` connects each of its inputs to each of its
# outputs, the **units**. With one input and one unit it computes $wx + b$, so this is the smallest
# neural network: the large ones are many such units.
#
# `SGD` is gradient descent. (The S stands for *stochastic*: later each step will see only a random
# part of the data.) Keras draws the first weight at random and sets the bias to zero.

# %%
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])  # one number per point
model.compile(optimizer=keras.optimizers.SGD(args.learning_rate), loss="mean_squared_error")
print(f"{model.count_params()} parameters, for inputs of the shape {model.input_shape}")

# %% [markdown]
# `None` stands for any number of points. One pass over all the data is an **epoch**. Keras takes up
# to 32 points for a step unless you say otherwise, so our four make one step, and here an epoch is
# a step.
#
# We also want to see the path that the parameters take. A **callback** is a listener that Keras
# calls after each epoch.


# %%
class WeightHistory(keras.callbacks.Callback):
    """Keeps (w, b) from before the first epoch and after each one."""

    def on_train_begin(self, logs=None):
        self.path = [self.parameters()]

    def on_epoch_end(self, epoch, logs=None):
        self.path.append(self.parameters())

    def parameters(self):
        weight, bias = self.model.get_weights()  # (1, 1), (1,): arrays, though of one number
        return weight.item(), bias.item()


# %% [markdown]
# The loss that Keras prints for an epoch was measured *before* the step of that epoch. It does not
# begin with our 3.5, because the first weight is another one.

# %%
seen = WeightHistory()
model.fit(x, y, epochs=args.epochs, shuffle=False, verbose=0, callbacks=[Progress(every=50), seen])
keras_path = np.array(seen.path)  # (epochs + 1, 2)

# %% [markdown]
# Does Keras do what we did by hand? Start our own loop where Keras started and compare every step
# of the path. Keras calculates with 7 digits (`float32`), NumPy with 16, so expect differences
# around the seventh. Rounding errors add up over the epochs; we allow 1e-5.

# %%
our_path = descend(*keras_path[0], args.learning_rate, args.epochs)
difference = np.abs(keras_path - our_path).max()
print(f"largest difference on the whole path: {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# ## It has not arrived
#
# The rule behind the points is $y = 1 - x$. Ask the model for the four points it has seen, and for
# two that it has not.

# %% tags=["nbval-check-output"]
asked = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 10.0])
answers = model.predict(asked, verbose=0)[:, 0]  # (6, 1) -> (6,)
for value, answer in zip(asked, answers, strict=True):
    print(f"x = {value:4.0f}   model {answer:7.3f}   rule {1 - value:4.0f}")

# %% [markdown]
# Near the data it is roughly right. At 10 it is clearly off, after hundreds of epochs on a problem
# that a child solves by looking. The picture shows why it takes so long: within a few epochs the
# line drops to the height of the points. Then it turns, very slowly.

# %%
for epochs in sorted({0, min(30, args.epochs), min(150, args.epochs), args.epochs}):
    w, b = our_path[epochs]
    plt.plot([0, 10], predict(w, b, np.array([0, 10])), label=f"after {epochs} epochs")
plt.plot(x, y, "o", color="black", label="the four points")
plt.title("The line finds its height early and its slope late")
plt.xlabel("x")
plt.ylabel("y")
plt.legend()
plt.show()

# %% [markdown]
# ## Why: two speeds
#
# The loss over all pairs $(w, b)$ is a bowl. Let us look into it from above, as on a hiking map:
# each grey line joins places of equal loss, and the lowest place is the star. The lines are not
# circles but long ellipses: the bowl is a narrow valley.

# %%
# For every (w, b) of a grid, the misses at our four points: [..., None] pairs each with each.
w_grid, b_grid = np.meshgrid(np.linspace(-2.2, 1.2, 200), np.linspace(-1.2, 2.2, 200))
misses = w_grid[..., None] * x + b_grid[..., None] - y  # (200, 200, 4)
loss_grid = np.mean(misses**2, axis=-1)  # (200, 200)

# %%
figure, axes = plt.subplots(figsize=(6.4, 4.4))
levels = np.geomspace(0.01, 30, 12)
lines = axes.contour(w_grid, b_grid, loss_grid, levels=levels, colors="grey", linewidths=0.8)
axes.clabel(lines, levels[-4::3], fmt="loss %.1f")
all_w, all_b = keras_path.T
axes.plot(all_w, all_b, ".", color=BLUE, markersize=4, label="Keras,\none dot an epoch")
axes.plot(-1, 1, "*", color="black", markersize=12, label="the goal:\ny = 1 − x")
axes.set(xlabel="w", ylabel="b", aspect="equal")
axes.set_title("Quickly down the side, slowly along the floor")
figure.legend(loc="outside right upper")
plt.show()

# %% [markdown]
# How does the slope change as we move? Take the derivative of the two slopes once more, which needs
# no more than school algebra: $2(wx + b - y)\,x$ changes by $2x^2$ with $w$ and by $2x$ with $b$;
# $2(wx + b - y)$ changes by $2x$ with $w$ and by $2$ with $b$. The means of these over our points
# are four numbers, the same wherever we are. In a square they are called the **Hessian** matrix.

# %%
hessian = np.array(
    [
        [np.mean(2 * x * x), np.mean(2 * x)],
        [np.mean(2 * x), 2.0],
    ]
)
print(hessian)

# %% [markdown]
# With the data as a matrix $X$, one row $(x, 1)$ for each of the $n$ points, the same reads $H =
# \frac{2}{n} X^\top X$, where $X^\top$ is $X$ with rows and columns exchanged. In Python the
# product of matrices is `@`.

# %%
X = np.stack([x, np.ones_like(x)], axis=1)  # (4, 2)
assert np.allclose(hessian, 2 / len(x) * X.T @ X)

# %% [markdown]
# A matrix turns and stretches. In a few directions it only stretches: these are its
# **eigenvectors**, and the factors are its **eigenvalues**. Those of the Hessian are the two axes
# of the ellipses, and the eigenvalue says how steeply the bowl rises along its axis. (Strictly, how
# fast the slope grows there: the *curvature*.)

# %%
eigenvalues, eigenvectors = np.linalg.eigh(hessian)  # (2,), (2, 2): one vector in each column
for eigenvalue, direction in zip(eigenvalues, eigenvectors.T, strict=True):
    print(f"steepness {eigenvalue:7.4f} along (w, b) = {direction}")
print(f"one axis is {eigenvalues[1] / eigenvalues[0]:.0f} times as steep as the other")

# %% [markdown]
# This ratio, the **condition number**, is the reason for the two speeds. At distance $d$ from the
# goal, the slope along an axis with steepness $\lambda$ is $\lambda d$. A step with the learning
# rate $\eta$ therefore goes from $d$ to $d - \eta\lambda d = (1 - \eta\lambda)\,d$. Every epoch
# multiplies the distance by the same factor, one for each axis.

# %%
factor = 1 - args.learning_rate * eigenvalues  # (2,)
print(f"{'':27} flat axis  steep axis")
print(f"each epoch keeps            {factor[0]:9.4f} {factor[1]:11.4f}")
print(f"after {args.epochs} epochs there remains {factor[0] ** args.epochs:7.4f}", end="")
print(f" {factor[1] ** args.epochs:11.4f}")

# %% [markdown]
# Along the steep axis nothing is left. Along the flat one a good part of the starting distance is
# still there, and that part is what you saw at $x = 10$.
#
# If every epoch multiplies by the same factor, then $t$ epochs multiply by its $t$-th power. No
# loop is needed: here is where gradient descent stands after *any* number of epochs.


# %%
def closed_form_path(start, goal, learning_rate, steps):
    """Gradient descent without descending: the parameters after 0 … steps steps."""
    distance = (start - goal) @ eigenvectors  # (2,): measured along the two axes
    exponents = np.arange(steps + 1)[:, None]  # (steps + 1, 1): a column, one row per epoch
    distances = (1 - learning_rate * eigenvalues) ** exponents * distance  # (steps + 1, 2)
    return goal + distances @ eigenvectors.T  # from the axes back to (w, b)


# %% [markdown]
# The goal has a formula as well. At the bottom of the bowl the gradient is zero; written out, these
# are the **normal equations** $X^\top X\,\theta = X^\top y$, two equations for the unknown pair
# $\theta = (w, b)$.

# %%
goal = np.linalg.solve(X.T @ X, X.T @ y)
print(f"w = {goal[0]:.4f}, b = {goal[1]:.4f}")

# %% [markdown]
# Now the test. The formula gets the starting point, the learning rate and the four points. It has
# seen nothing of the training.

# %% tags=["nbval-check-output"]
predicted = closed_form_path(keras_path[0], goal, args.learning_rate, args.epochs)
difference = np.abs(keras_path - predicted).max()
print("Keras follows the formula to 1e-5:", bool(difference < 1e-5))
assert difference < 1e-5

# %%
some = slice(0, None, max(1, args.epochs // 25))
for column, name, color in [(0, "w", BLUE), (1, "b", ORANGE)]:
    plt.plot(predicted[:, column], "-", color=color, linewidth=1.2, label=f"{name}, closed form")
    epochs = np.arange(args.epochs + 1)[some]
    plt.plot(epochs, keras_path[some, column], "os"[column], color=color, label=f"{name}, Keras")
plt.title("The formula runs through every dot")
plt.xlabel("epoch")
plt.ylabel("parameter")
plt.legend(ncols=2)
plt.show()

# %% [markdown]
# Seen along the two axes there are only two numbers to follow, the distances to the goal. On a
# logarithmic scale, equal factors are equal steps, so each distance is a straight line. The steep
# one falls until it reaches the last digit of `float32`; what is jagged there is rounding. The flat
# one hardly moves.

# %%
distances = np.abs((keras_path - goal) @ eigenvectors)  # (epochs + 1, 2)
plt.semilogy(distances[:, 1], label=f"steep axis, λ = {eigenvalues[1]:.2f}")
plt.semilogy(distances[:, 0], label=f"flat axis, λ = {eigenvalues[0]:.2f}")
plt.title("Two axes, two speeds")
plt.xlabel("epoch")
plt.ylabel("distance to the goal")
plt.legend()
plt.show()

# %% [markdown]
# Why does anybody descend, if there is a formula for the goal? Because the formula exists only for
# models that are linear in their parameters. A GPT has no normal equations, only a gradient. But
# the picture stays useful there: steep directions are learnt first, flat ones take most of the
# time.

# %% [markdown]
# ## A learning rate that is too large
#
# So take larger steps? Look at the factor $1 - \eta\lambda$ again. When $\eta\lambda$ is above 2,
# the factor is below −1: each step overshoots and lands farther away than it began. The steep axis
# gets there first and sets the limit.

# %%
limit = 2 / eigenvalues.max()
print(f"below a learning rate of {limit:.4f} the descent settles, above it explodes")

# %%
for rate in [args.learning_rate, 0.9 * limit, 1.02 * limit]:
    path = descend(0.0, 0.0, rate, steps=60)
    losses = [mean_squared_error(w, b, x, y) for w, b in path]
    plt.semilogy(losses, label=f"learning rate {rate:.3f}")
plt.title("Below the limit the loss falls, just above it explodes")
plt.xlabel("epoch")
plt.ylabel("loss")
plt.legend()
plt.show()

# %% [markdown]
# Keras obeys the same limit. Here it starts at zero again, with 1.2 times the limit. In a large
# model such a run ends in `nan`, "not a number".

# %%
model.set_weights([np.zeros((1, 1)), np.zeros(1)])
model.compile(optimizer=keras.optimizers.SGD(1.2 * limit), loss="mean_squared_error")
diverging = model.fit(x, y, epochs=10, shuffle=False, verbose=0, callbacks=[Progress()])
losses = diverging.history["loss"]
assert losses[-1] > losses[0]

# %% [markdown]
# ## Real data: the planets
#
# In 1619 Johannes Kepler published a rule that ties a planet's year to the size of its orbit. He
# knew six planets, and had searched for years. You have a `Dense` layer and [the
# data](../datasets/planets.md).

# %%
planets = np.genfromtxt(
    shipped("planets.csv"), delimiter=",", names=True, dtype=None, encoding="utf-8"
)
print(planets.dtype.names)
print(planets[0])

# %% [markdown]
# The *semi-major axis* is the size of the orbit: half its longest diameter. In *astronomical units*
# (au) that of the Earth is 1; the Earth's year is 1, too.
#
# Split the data before you study it. The bodies known since antiquity are for **training**. All
# that were discovered after Kepler are for **testing**: the model never sees them, so they tell
# whether it learnt a law or only its six examples.

# %%
old = planets["discovered"] == "antiquity"
size, year = planets["semi_major_axis_au"], planets["period_years"]
print("training:", ", ".join(planets["name"][old]))
print("testing: ", ", ".join(planets["name"][~old]))  # ~ is "not"

# %% [markdown]
# A straight line through size and year? It is a poor rule: it sends Mercury around the Sun in
# negative time.

# %%
slope, height = np.polyfit(size[old], year[old], deg=1)  # least squares, from NumPy
print(f"Mercury's year by the straight line: {predict(slope, height, size[0]):.2f} years")

# %% [markdown]
# The year $T$ grows faster than the size $a$, perhaps like a power: $T = c\,a^k$. Take logarithms
# on both sides, $\log T = k \log a + \log c$, and the power has become the slope of a straight
# line.

# %%
log_size, log_year = np.log10(size), np.log10(year)

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
left.plot(size[old], year[old], "o")
left.set(title="size and year: a curve", xlabel="orbit (Earth's = 1)", ylabel="year (Earth's = 1)")
right.plot(log_size[old], log_year[old], "o")
right.set(title="their logarithms: a line", xlabel="log10 of the orbit", ylabel="log10 of the year")
plt.show()

# %% [markdown]
# This time we do not guess the learning rate, we ask the Hessian. Half the limit is a good rate: it
# makes the factor of the steep axis zero, so that axis arrives in one step. And the axes are no
# longer so unequal, because the logarithms lie on both sides of zero.

# %%
X_planets = np.stack([log_size[old], np.ones(old.sum())], axis=1)  # (6, 2)
steepness = np.linalg.eigvalsh(2 / old.sum() * X_planets.T @ X_planets)  # (2,)
planet_rate = 1 / steepness.max()
print(f"condition number {steepness[1] / steepness[0]:.1f}, learning rate {planet_rate:.3f}")

# %%
kepler = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
kepler.compile(optimizer=keras.optimizers.SGD(planet_rate), loss="mean_squared_error")
kepler.fit(
    log_size[old],
    log_year[old],
    epochs=50,
    shuffle=False,
    verbose=0,
    callbacks=[Progress(every=10)],
)
weight, bias = (parameter.item() for parameter in kepler.get_weights())
print(f"year = {10**bias:.3f} × size to the power of {weight:.3f}")

# %% [markdown]
# Kepler's third law says: the *squares* of the years go as the *cubes* of the sizes, a power of
# 3/2. The model has found it. Does it hold for the worlds that nobody knew in 1619?

# %%
guess = 10 ** kepler.predict(log_size, verbose=0)[:, 0]  # (bodies,) years
error = 100 * (guess / year - 1)
for body in np.flatnonzero(~old):
    print(f"{planets['name'][body]:9} {year[body]:7.1f} years, model {guess[body]:7.1f}", end="")
    print(f"  ({error[body]:+.2f} %)")

# %%
plt.loglog(size, guess, "-", color=BLUE, label="the model's law")
plt.loglog(size[old], year[old], "o", color=GREEN, label="training: known to Kepler")
plt.loglog(size[~old], year[~old], "s", color=ORANGE, label="testing: discovered later")
plt.title("Six planets were enough")
plt.xlabel("orbit (Earth's = 1)")
plt.ylabel("year (Earth's = 1)")
plt.legend()
plt.show()

# %% [markdown]
# ## If your result looks different
#
# * **The loss grows or becomes `nan`.** The learning rate is above the limit. Compute the limit as
#   above, or divide the rate by ten until the loss falls.
# * **The answer at 10 is off by another amount.** Keras draws the first weight from `seed`; another
#   seed starts elsewhere in the valley. The path changes, the formula still fits it.
# * **The last digits differ from this page.** Processors round in different order. What must hold
#   is checked by the `assert` lines; if they pass, your machine is fine.

# %% [markdown]
# ## Recap
#
# * A model is a formula with parameters; the loss says how wrong it is; training is descending
#   along the gradient.
# * One step multiplies the distance along each axis of the bowl by $1 - \eta\lambda$. The steepest
#   axis limits the learning rate, the flattest one decides how long it takes.
# * Keras's path equals the formula, so nothing about it is magic.
# * Good features help more than many epochs: the logarithm made a line out of a curve.
# * Keep data aside that the model never sees. Only there does learning show.

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell. Stuck? `check.gradient_of_sum.hint()` gives a
# nudge, `check.gradient_of_sum.solution()` shows one way.
#
# **1.** Some books minimise the *sum* of the squared errors instead of the mean. Write the gradient
# of that loss.


# %%
def gradient_of_sum(w, b, x, y):
    """Return (slope in w, slope in b) of sum((w * x + b - y) ** 2)."""
    ...


check.gradient_of_sum(gradient_of_sum)

# %% [markdown]
# **2.** Given any inputs `x` (an array), return the learning rate above which gradient descent on
# the mean squared error explodes.


# %%
def learning_rate_limit(x):
    """Return 2 / λ for the right λ."""
    ...


check.learning_rate_limit(learning_rate_limit)

# %% [markdown]
# **3.** How many epochs (a whole number) does our run on the four points need until at most one
# hundredth of the distance along the flat axis is left? The learning rate is 0.01.

# %%
epochs_to_one_percent = ...

check.epochs_to_one_percent(epochs_to_one_percent)

# %% [markdown]
# **4.** Subtract the mean from the four `x` before training. What is the condition number now?

# %%
condition_number_centred = ...

check.condition_number_centred(condition_number_centred)

# %% [markdown]
# **5.** An asteroid circles the Sun at twice the Earth's distance. How long is its year, in years?
# Use Kepler's law.

# %%
year_of_asteroid = ...

check.year_of_asteroid(year_of_asteroid)

# %% [markdown]
# ## Next
#
# A line predicts a number. A language model predicts the next letter. In [lesson
# 2](02_next_token.ipynb) you will see how small the step from one to the other is.
