# %% [markdown]
# # 1. Linear regression: a line through four points
#
# At the end of this lesson you will have trained the smallest neural network there is, and you will
# be able to say where its training stands after 500 epochs *before* you run it.
#
# You need: [lesson 0](00_setup.ipynb) passed on this machine, and school algebra: a straight line,
# a derivative. A GPT is trained by the very loop that you are about to write.

# %% [markdown]
# Everything that can be turned is in one line. In a notebook, change a number and run all cells
# again. In a terminal, the same line reads flags:
# `python codes/01_linear_regression.py --epochs 50`.

# %%
from utils.settings import settings

args = settings(epochs=500, learning_rate=0.01, seed=4)
print(args)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

from utils.datasets import shipped
from utils.exercises import lesson_01 as check
from utils.plots import BLUE, GREEN, ORANGE, STYLE
from utils.seeds import seed_everything
from utils.training import Progress

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
# its slope in $w$ is $2(wx + b - y)\,x$ and in $b$ it is $2(wx + b - y)$.


# %%
def gradient(w, b, x, y):
    error = predict(w, b, x) - y
    return np.array([np.mean(2 * error * x), np.mean(2 * error)])


print(gradient(0.0, 0.0, x, y))

# %% [markdown]
# Never trust a derivative that you have not checked. Nudge `w` a little, then `b`: the loss must
# change by as much as the gradient says.

# %%
nudge = 1e-6
start = mean_squared_error(0.0, 0.0, x, y)
print((mean_squared_error(nudge, 0.0, x, y) - start) / nudge)
print((mean_squared_error(0.0, nudge, x, y) - start) / nudge)

# %% [markdown]
# The gradient points uphill, so we step the other way. How far? The **learning rate** decides: a
# small number that the gradient is multiplied with. That is all of **gradient descent**:


# %%
def descend(w, b, learning_rate, steps):
    """The parameters after each step, the starting point included: (steps + 1, 2)."""
    path = [(w, b)]
    for _ in range(steps):
        slope_w, slope_b = gradient(w, b, x, y)
        w, b = w - learning_rate * slope_w, b - learning_rate * slope_b
        path.append((w, b))
    return np.array(path)


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
# A `Dense` layer with one unit computes $wx + b$: one weight, one bias. `SGD` is gradient descent,
# `"mean_squared_error"` is our loss. Keras draws the first weight at random.

# %%
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(args.learning_rate), loss="mean_squared_error")
model.summary()

# %% [markdown]
# One pass over all the data is an **epoch**. Our four points fit into a single step, so here an
# epoch is a step. We also note down the parameters after each, to see the way they take.


# %%
class WeightHistory(keras.callbacks.Callback):
    """Keeps (w, b) from before the first epoch and after each one."""

    def on_train_begin(self, logs=None):
        self.path = [self.parameters()]

    def on_epoch_end(self, epoch, logs=None):
        self.path.append(self.parameters())

    def parameters(self):
        kernel, bias = self.model.get_weights()  # (1, 1), (1,)
        return kernel.item(), bias.item()


# %%
history = WeightHistory()
model.fit(
    x, y, epochs=args.epochs, shuffle=False, verbose=0, callbacks=[Progress(every=50), history]
)
keras_path = np.array(history.path)  # (epochs + 1, 2)

# %% [markdown]
# Does Keras do what we did by hand? Start our own loop where Keras started and compare every step
# of the way. Keras calculates with 7 digits, NumPy with 16, so expect a difference in the seventh
# digit, and nowhere before.

# %%
our_path = descend(*keras_path[0], args.learning_rate, args.epochs)
difference = np.abs(keras_path - our_path).max()
print(f"largest difference on the whole way: {difference:.0e}")
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
# Inside the data it is close. At 10 it is clearly off, after hundreds of epochs on a problem that a
# child solves by looking. The picture shows what happens: the line turns quickly to meet the
# points, and then crawls.

# %%
for epochs in [0, min(10, args.epochs), args.epochs]:
    w, b = our_path[epochs]
    plt.plot([0, 10], predict(w, b, np.array([0, 10])), label=f"after {epochs} epochs")
plt.plot(x, y, "o", color="black", label="the four points")
plt.title("The line finds the points early and the slope late")
plt.xlabel("x")
plt.ylabel("y")
plt.legend()
plt.show()

# %% [markdown]
# ## Why: two speeds
#
# The loss over all pairs $(w, b)$ is a bowl. Let us look into it from above, with the way that
# Keras took. The contours are not circles but long ellipses: a narrow valley.

# %%
w_grid, b_grid = np.meshgrid(np.linspace(-2.2, 1.2, 200), np.linspace(-1.2, 2.2, 200))
misses = w_grid[..., None] * x + b_grid[..., None] - y  # (200, 200, 4)
loss_grid = np.mean(misses**2, axis=-1)  # (200, 200)


# %%
def draw_bowl(axes):
    levels = np.geomspace(0.01, 30, 12)
    axes.contour(w_grid, b_grid, loss_grid, levels=levels, colors="grey", linewidths=0.8)
    axes.plot(-1, 1, "*", color="black", markersize=12, label="the rule, y = 1 − x")
    axes.set(xlabel="w", ylabel="b", aspect="equal")


figure, axes = plt.subplots(figsize=(6.4, 4.4))
draw_bowl(axes)
axes.plot(*keras_path.T, ".", color=BLUE, markersize=4, label="Keras, one dot an epoch")
axes.set_title("Down the side in a few steps, then along the valley floor")
figure.legend(loc="outside right upper")
plt.show()

# %% [markdown]
# The shape of a bowl is told by its second derivatives, the **Hessian** matrix $H$. With the data
# as a matrix $X$ that holds a column of $x$ and a column of ones, it is $H = \frac{2}{n} X^\top X$.
# For our loss it is the same everywhere, whatever `w` and `b` are.

# %%
X = np.stack([x, np.ones_like(x)], axis=1)  # (4, 2)
hessian = 2 / len(x) * X.T @ X  # (2, 2)
print(hessian)

# %% [markdown]
# The **eigenvectors** of $H$ are the axes of the ellipses; its **eigenvalues** say how steep the
# bowl is along them.

# %%
eigenvalues, eigenvectors = np.linalg.eigh(hessian)  # (2,), (2, 2): smallest first
for eigenvalue, direction in zip(eigenvalues, eigenvectors.T, strict=True):
    print(f"steepness {eigenvalue:7.4f} along (w, b) = {direction}")
print(f"one direction is {eigenvalues[1] / eigenvalues[0]:.0f} times as steep as the other")

# %% [markdown]
# This number, the **condition number**, is the whole story. Measure the distance to the goal along
# each axis. A step of gradient descent multiplies it by $1 - \eta\lambda$, where $\eta$ is the
# learning rate and $\lambda$ the steepness of that axis.

# %%
shrink = 1 - args.learning_rate * eigenvalues  # (2,)
print("each epoch keeps         ", shrink)
print(f"after {args.epochs} epochs there is", shrink**args.epochs)

# %% [markdown]
# Along the steep axis nothing is left. Along the flat one, a good part of the starting error is
# still there, and that part is what you saw at $x = 10$.
#
# If every step multiplies by the same number, then $t$ steps multiply by its $t$-th power. So we
# need no loop: here is where gradient descent stands after *any* number of epochs.


# %%
def closed_form_path(start, goal, learning_rate, steps):
    """Gradient descent without descending: the parameters after 0 … steps steps."""
    distance = eigenvectors.T @ (start - goal)  # (2,): along each axis
    powers = (1 - learning_rate * eigenvalues) ** np.arange(steps + 1)[:, None]  # (steps + 1, 2)
    return goal + (powers * distance) @ eigenvectors.T  # (steps + 1, 2)


# %% [markdown]
# The goal itself has a formula, too: at the bottom of the bowl the gradient is zero, which gives
# the **normal equations** $X^\top X\,\theta = X^\top y$, two equations for two unknowns.

# %%
goal = np.linalg.solve(X.T @ X, X.T @ y)
print(f"w = {goal[0]:.4f}, b = {goal[1]:.4f}")

# %% tags=["nbval-check-output"]
predicted = closed_form_path(keras_path[0], goal, args.learning_rate, args.epochs)
difference = np.abs(keras_path - predicted).max()
print("Keras follows the formula to 1e-5:", bool(difference < 1e-5))
assert difference < 1e-5

# %%
figure, axes = plt.subplots(figsize=(6.4, 4.4))
draw_bowl(axes)
axes.plot(*keras_path[::4].T, "o", color=BLUE, markersize=5, label="Keras, every 4th epoch")
axes.plot(*predicted.T, "-", color=ORANGE, linewidth=1.2, label="closed form")
axes.set_title("The formula runs through every dot")
figure.legend(loc="outside right upper")
plt.show()

# %% [markdown]
# Seen along the two axes, the mystery is gone: on a logarithmic scale the distances are two
# straight lines. One reaches the floor of float32 at once, the other hardly moves.

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
# Why then does anybody descend, if there is a formula for the goal? Because the formula exists only
# for straight lines. A GPT has no normal equations, only a gradient. What you have just seen stays
# true there: steep directions are learnt first, flat ones take most of the time.

# %% [markdown]
# ## A learning rate that is too large
#
# So take larger steps? Look at $1 - \eta\lambda$ again. Once $\eta\lambda$ is above 2, it is below
# −1: each step overshoots and lands farther away than it began. The steep axis decides.

# %%
limit = 2 / eigenvalues.max()
print(f"the largest learning rate that still converges: {limit:.4f}")

# %%
for rate in [args.learning_rate, 0.9 * limit, 1.02 * limit]:
    path = descend(0.0, 0.0, rate, steps=60)
    losses = [mean_squared_error(w, b, x, y) for w, b in path]
    plt.semilogy(losses, label=f"learning rate {rate:.3f}")
plt.title("Just below the limit it works, just above it explodes")
plt.xlabel("epoch")
plt.ylabel("loss")
plt.legend()
plt.show()

# %% [markdown]
# Keras obeys the same limit. This is what a diverging run looks like; in a large model it ends in
# `nan`, "not a number".

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
# knew six planets and spent years on it. You have a trained eye, a `Dense` layer, and [the
# data](../datasets/planets.md).

# %%
planets = np.genfromtxt(
    shipped("planets.csv"), delimiter=",", names=True, dtype=None, encoding="utf-8"
)
for planet in planets:
    print(planet)

# %% [markdown]
# Split the data before you look at it. The bodies known since antiquity are for **training**; all
# that were discovered after Kepler are for **testing**: the model never sees them, so they tell
# whether it learnt a law or only its six examples.

# %%
old = planets["discovered"] == "antiquity"
size, year = planets["semi_major_axis_au"], planets["period_years"]
print(f"{old.sum()} for training, {(~old).sum()} for testing")

# %% [markdown]
# A straight line through size and year? It is a poor rule: it sends Mercury around the Sun in
# negative time.

# %%
slope, height = np.polyfit(size[old], year[old], deg=1)  # least squares, from NumPy
print(f"Mercury's year by the straight line: {predict(slope, height, size[0]):.2f} years")

# %% [markdown]
# The year grows faster than the size, perhaps like a power: $T = c\,a^k$. Take logarithms on both
# sides, $\log T = k \log a + \log c$, and the power has become the slope of a straight line.

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
# takes the steep axis to its goal in one step. And the axes are no longer so unequal.

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
    epochs=args.epochs,
    shuffle=False,
    verbose=0,
    callbacks=[Progress(every=100)],
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
#   seed starts elsewhere in the valley. The way changes, the formula still fits it.
# * **The last digits differ from the notebook.** Processors round in different order. What must
#   hold is checked by the `assert` lines; if they pass, your machine is fine.

# %% [markdown]
# ## Recap
#
# * A model is a formula with parameters; the loss says how wrong it is; training is descending
#   along the gradient.
# * One step shrinks the error along each axis of the bowl by $1 - \eta\lambda$. The steepest axis
#   limits the learning rate, the flattest one decides how long it takes.
# * Keras's path equals the formula, so nothing about it is magic.
# * Good features help more than many epochs: the logarithm made a law out of a curve.
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
# **2.** Given any inputs `x` (an array), return the largest learning rate with which gradient
# descent on the mean squared error still converges.


# %%
def largest_learning_rate(x):
    """Return 2 / λ for the right λ."""
    ...


check.largest_learning_rate(largest_learning_rate)

# %% [markdown]
# **3.** How many epochs does our run on the four points need until only one hundredth of the error
# along the flat axis is left?

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
