# %% [markdown]
# # 1. Linear regression: a line through four points
#
# At the end of this lesson you will have trained a neural network with two parameters. You will
# also have a formula that gives its parameters after 500 epochs of training, without running them.
#
# You need: [lesson 0](00_setup.ipynb) passed on this machine, and school mathematics: a straight
# line, a derivative, the chain rule, a logarithm. One section uses linear algebra: a matrix times a
# vector, the transpose, and two linear equations with two unknowns; it explains eigenvectors
# itself. It is marked *Can be skipped at a first reading*. A box at its beginning says what the
# rest of the lesson needs from it. Exercises 2 to 4 use its formulas.
#
# A GPT, the kind of model behind ChatGPT, is trained by the same loop that you are about to write.

# %% [markdown]
# All settings that you can change are in one line. In a notebook, change a number and run all cells
# again. In a terminal, the same line reads flags:
# `python codes/01_linear_regression.py --epochs 50`.

# %%
from utils.course.settings import settings

args = settings(epochs=500, learning_rate=0.01, seed=4)
print(args)

# %% [markdown]
# The next cell, imports and the style of the figures, need not be read, only run. The seed makes
# the random numbers the same in every run, so that you see the numbers of this page.

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
# Here are four points. You can see the rule at once: each time x grows by 1, y falls by 1.

# %%
x = np.array([1.0, 2.0, 3.0, 4.0])
y = np.array([0.0, -1.0, -2.0, -3.0])

# %% [markdown]
# Now a program is to find it. A **model** is a formula that contains adjustable numbers, its
# **parameters**. Our model is a line with the slope `w` (the **weight**) and the intercept `b` (the
# **bias**): its height at $x = 0$.


# %%
def predict(w, b, x):
    return w * x + b


print(predict(0.0, 0.0, x))

# %% [markdown]
# With both parameters at zero the line is flat, and wrong. We need one number that says how wrong:
# zero for a perfect line, and larger with larger errors (prediction minus true y). The usual choice
# is the **mean squared error**: square each error, then take the mean. Squares are used so that
# errors above and below the points cannot cancel, and because they are easy to differentiate.


# %%
def mean_squared_error(w, b, x, y):
    return np.mean((predict(w, b, x) - y) ** 2)


print(mean_squared_error(0.0, 0.0, x, y))

# %% [markdown]
# This number is the **loss**. **Training** means changing the parameters so that the loss falls.
# The derivative of the loss with respect to a parameter says whether to raise or lower it. The loss
# of one point is $(wx + b - y)^2$. By the chain rule its derivative with respect to $w$ is
# $2(wx + b - y)\,x$, and with respect to $b$ it is $2(wx + b - y)$. Take the mean of each over the
# points. The two **partial derivatives** together are the **gradient**.


# %%
def gradient(w, b, x, y):
    error = predict(w, b, x) - y
    return np.array([np.mean(2 * error * x), np.mean(2 * error)])


print(gradient(0.0, 0.0, x, y))

# %% [markdown]
# Always check a derivative that you have worked out. Increase only `w` by a tiny amount, and divide
# the change of the loss by that amount; then do so with `b`. The results must equal the gradient,
# except for a small difference that comes from the size of the change. This is a **gradient check**
# by **finite differences**.

# %%
nudge = 1e-6
start = mean_squared_error(0.0, 0.0, x, y)
print((mean_squared_error(nudge, 0.0, x, y) - start) / nudge)
print((mean_squared_error(0.0, nudge, x, y) - start) / nudge)

# %% [markdown]
# The gradient points in the direction in which the loss grows fastest, so we step the opposite way:
# we multiply it by a small number, the **learning rate**, and subtract the product from the
# parameters. Repeating such steps is called **gradient descent**.
#
# A comment such as `# (steps + 1, 2)` gives the **shape** of an array: `steps + 1` rows, 2 columns.


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
# The loss falls at every step: you have trained a model. Next comes the same with Keras, the
# library of the rest of the course.

# %% [markdown]
# ## The same in Keras
#
# A **layer** is a function with parameters. `Dense` connects each of its inputs to each of its
# outputs, which are called **units**. With one input and one unit it computes $wx + b$, a very
# small **neural network**. Large ones have many such units. `Sequential` puts layers one behind the
# other, `compile` sets the loss and the optimizer (the rule for the steps), and `fit` trains.
#
# `SGD` stands for **stochastic gradient descent**: in later lessons each step will use only a
# random part of the data. Here each uses all four points, so no step is random. Keras sets the
# weight to a random number and the bias to zero before training; this is the **initialisation**.
#
# Keras computes the gradient by itself: it applies the chain rule from the loss back through every
# layer. This is called **backpropagation**.

# %%
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])  # one number per point
model.compile(optimizer=keras.optimizers.SGD(args.learning_rate), loss="mean_squared_error")
print(f"{model.count_params()} parameters, for inputs of the shape {model.input_shape}")

# %% [markdown]
# `None` stands for any number of points. One pass over all the data is an **epoch**. Keras uses up
# to 32 points for one step unless told otherwise. We have four, so here an epoch is one step.
#
# We also want to record how the parameters change. A **callback** is an object whose methods Keras
# calls during training, for example after each epoch.


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
# begin with our 3.5, because Keras starts from another weight.

# %%
seen = WeightHistory()
model.fit(x, y, epochs=args.epochs, shuffle=False, verbose=0, callbacks=[Progress(every=50), seen])
keras_path = np.array(seen.path)  # (epochs + 1, 2)

# %% [markdown]
# Does Keras take the same steps? Start our own loop where Keras started and compare every step.
# Keras computes with about 7 decimal digits (`float32`), NumPy with about 16, so expect differences
# near the seventh digit; we allow 1e-5.

# %%
our_path = descend(*keras_path[0], args.learning_rate, args.epochs)
difference = np.abs(keras_path - our_path).max()
print(f"largest difference on the whole path: {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# ## Training has not converged
#
# The rule behind the points is $y = 1 - x$. Ask the model for a prediction at the four inputs that
# it was trained on, and at two others.

# %% tags=["nbval-check-output"]
asked = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 10.0])
answers = model.predict(asked, verbose=0)[:, 0]  # (6, 1) -> (6,)
for value, answer in zip(asked, answers, strict=True):
    print(f"x = {value:4.0f}   model {answer:7.3f}   rule {1 - value:4.0f}", end="")
    print(f"   error {answer - (1 - value):6.3f}")

# %% [markdown]
# At 10 the error is several times as large as at any of the four points. Training has not
# **converged**: more epochs would still change the parameters. The figure shows where the time
# goes. In the first epochs the line comes close to the points. After that it turns, very slowly,
# around a point near $x = 3$, where the error is smallest.

# %%
for epochs in sorted({0, min(30, args.epochs), min(150, args.epochs), args.epochs}):
    w, b = our_path[epochs]
    label = f"epoch {epochs}: w = {w:.2f}, b = {b:.2f}"
    plt.plot([0, 10], predict(w, b, np.array([0, 10])), label=label)
plt.plot(x, y, "o", color="black", label="the four points")
plt.title("First the line comes close to the points, then it turns slowly")
plt.xlabel("x")
plt.ylabel("y")
plt.ylim(bottom=-11)
plt.legend(loc="lower left")
plt.show()

# %% [markdown]
# ## Why: two speeds
#
# Over all pairs $(w, b)$ the loss has the shape of a valley. The figure shows it from above: each
# grey line, a *contour line*, joins pairs with the same loss, and the star is the **minimum**, the
# pair with the lowest loss and so the goal of the training. The contour lines are long ellipses,
# not circles, so the valley is narrow.

# %%
# The errors of every (w, b) of a grid at our four points: [..., None] pairs each with each.
w_grid, b_grid = np.meshgrid(np.linspace(-2.2, 1.8, 200), np.linspace(-1.2, 2.2, 200))
errors = w_grid[..., None] * x + b_grid[..., None] - y  # (200, 200, 4)
loss_grid = np.mean(errors**2, axis=-1)  # (200, 200)

# %%
figure, axes = plt.subplots(figsize=(5.6, 4.9))
levels = np.geomspace(0.01, 30, 12)
lines = axes.contour(w_grid, b_grid, loss_grid, levels=levels, colors="grey", linewidths=0.8)
axes.clabel(lines, levels[-4::3], fmt="loss %.2g")
all_w, all_b = keras_path.T
axes.plot(all_w, all_b, ".", color=BLUE, markersize=4, label="Keras, one dot per epoch")
axes.plot(all_w[0], all_b[0], "D", color=ORANGE, markersize=8, label="the start")
axes.plot(-1, 1, "*", color="black", markersize=12, label="the goal: y = 1 − x")
axes.set(xlabel="w (slope)", ylabel="b (height at x = 0)", aspect="equal")
axes.set_title("Fast across the valley, slow along it")
axes.legend(loc="lower left", frameon=True)
plt.show()

# %% [markdown]
# Why is it narrow? Move away from the goal by the same distance in two directions, nearly those of
# the axes of the ellipses. If `w` and `b` both grow, the line rises at all four points. If `w`
# grows and `b` falls, the line turns around a point near the data, so it stays close to all four
# points.

# %%
for change_w, change_b in [(0.9, 0.3), (0.3, -0.9)]:
    loss = mean_squared_error(-1 + change_w, 1 + change_b, x, y)
    print(f"w {change_w:+.1f}, b {change_b:+.1f}: loss {loss:.3f}")

# %% [markdown]
# So the loss is steep in the first direction and nearly flat in the second. In the *steep
# direction* the gradient is large, so the steps are large and the distance to the goal shrinks
# quickly. In the *flat direction* the gradient is small, so every step is small and the distance
# shrinks slowly. The remaining distance changes the predictions near the data only a little. Far
# from the data, at $x = 10$, it changes them much more.
#
# For a line, the goal could be calculated at once. That works only for a few kinds of models, such
# as those that are linear in their parameters, with a squared loss. For a GPT there is only
# gradient descent, with steep and flat directions, too.

# %% [markdown]
# ## The two speeds, calculated
#
# > **Can be skipped at a first reading.** This section uses linear algebra and ends with the
# > formula that was promised at the beginning. If you skip it, run its cells all the same, take
# > this with you, and go on at *A learning rate that is too large*:
# >
# > 1. Each of the two directions has a *curvature* $\lambda$: how fast the gradient grows there.
# >    In the code the curvatures are the `eigenvalues` of $\frac{2}{n} X^\top X$, a matrix made of
# >    the inputs. The larger divided by the smaller is the *condition number*.
# > 2. With the learning rate $\eta$, every epoch multiplies the part of the distance to the goal
# >    in each direction by a *factor* of its own, $1 - \eta\lambda$. So the steep direction limits
# >    the learning rate; the flat one decides how many epochs it takes.

# %% [markdown]
# ### The Hessian: how the gradient changes
#
# Differentiate the two partial derivatives once more. $2(wx + b - y)\,x$ changes by $2x^2$ with $w$
# and by $2x$ with $b$; $2(wx + b - y)$ changes by $2x$ with $w$ and by $2$ with $b$. The means of
# these over our points are four numbers, which do not depend on $w$ and $b$. Arranged in a square
# they are the **Hessian** matrix.

# %%
hessian = np.array(
    [
        [np.mean(2 * x * x), np.mean(2 * x)],
        [np.mean(2 * x), 2.0],
    ]
)
print(hessian)

# %% [markdown]
# Write the data as a matrix $X$ with one row $(x, 1)$ for each of the $n$ points. Then the same
# matrix is $H = \frac{2}{n} X^\top X$, where the **transpose** $X^\top$ is $X$ with rows and
# columns exchanged. In Python the product of matrices is `@`.

# %%
X = np.stack([x, np.ones_like(x)], axis=1)  # (4, 2)
assert np.allclose(hessian, 2 / len(x) * X.T @ X)

# %% [markdown]
# The goal has a formula as well. With $\theta = (w, b)$ the gradient is
# $\frac{2}{n} X^\top (X\theta - y)$. Setting it to zero gives the **normal equations**
# $X^\top X\,\theta = X^\top y$: two equations, two unknowns.

# %%
goal = np.linalg.solve(X.T @ X, X.T @ y)
print(f"w = {goal[0]:.4f}, b = {goal[1]:.4f}")

# %% [markdown]
# The gradient is zero at the goal and changes as the Hessian says. So anywhere else the gradient
# is the Hessian times the displacement from the goal. Check it at one place.

# %%
displacement = np.array([0.3, -0.2])
print("gradient              ", gradient(*(goal + displacement), x, y))
print("Hessian × displacement", hessian @ displacement)
assert np.allclose(gradient(*(goal + displacement), x, y), hessian @ displacement)

# %% [markdown]
# ### Eigenvectors: directions that a matrix keeps
#
# A matrix times a vector is a new vector, in general with another length *and* another direction.
# This example can be checked by hand.

# %%
M = np.array([[2.0, 1.0], [1.0, 2.0]])
vectors = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]])  # (3, 2): one vector in each row
products = vectors @ M.T  # (3, 2): M times each of them
for vector, product in zip(vectors, products, strict=True):
    print(vector, "→", product)

# %%
figure, axes = plt.subplots(figsize=(4.6, 4.6))
scale = {"angles": "xy", "scale_units": "xy", "scale": 1}
axes.quiver(*np.zeros((2, 3)), *products.T, color=[BLUE, ORANGE, "grey"], width=0.022, **scale)
axes.quiver(*np.zeros((2, 3)), *vectors.T, color="black", width=0.008, **scale)
axes.text(2.0, 2.9, "(1, 1) → (3, 3)\nsame direction, 3 ×", color=BLUE, ha="right", va="top")
axes.text(1.1, -1.0, "(1, −1) → (1, −1)\nsame direction, 1 ×", color=ORANGE, va="top")
axes.text(2.1, 0.9, "(1, 0) → (2, 1)\nturned", color="dimgrey", va="top")
axes.set(xlim=(-0.4, 3.6), ylim=(-1.8, 3.3), aspect="equal")
axes.set(xlabel="first component", ylabel="second component")
axes.set_title("Black: a vector; coloured: M times it")
plt.show()

# %% [markdown]
# $(1, 1)$ keeps its direction and becomes three times as long; $(1, -1)$ keeps its direction and
# its length. Such vectors are the **eigenvectors** of the matrix, and the factors, here 3 and 1,
# are its **eigenvalues**.
#
# A matrix that is symmetric (mirrored at its diagonal), like this one and like every Hessian, has
# as many eigenvectors at right angles to each other as it has rows. Every vector is a sum of parts
# along them, and the matrix multiplies each part by its own eigenvalue. For example $(1, 0)$ is
# half of $(1, 1)$ plus half of $(1, -1)$, so it becomes
# $\frac{1}{2} \cdot 3 \cdot (1, 1) + \frac{1}{2} \cdot 1 \cdot (1, -1) = (2, 1)$.

# %% [markdown]
# Now the Hessian. Its eigenvectors are the two axes of the ellipses, the steep and the flat
# direction. Its eigenvalues are the **curvatures** of the loss: how fast the gradient grows in each
# direction. The largest divided by the smallest is the **condition number**. (`eigh` puts the
# smallest first; the sign of an eigenvector does not matter.)

# %%
eigenvalues, eigenvectors = np.linalg.eigh(hessian)  # (2,), (2, 2): one vector in each column
for eigenvalue, direction in zip(eigenvalues, eigenvectors.T, strict=True):
    print(f"curvature {eigenvalue:7.4f} along (w, b) = {direction}")
print(f"condition number {eigenvalues[1] / eigenvalues[0]:.0f}")

# %% [markdown]
# ### One factor for each direction
#
# Let $d$ be the part of the displacement from the goal that lies along one eigenvector, with the
# eigenvalue $\lambda$. The gradient along it is $\lambda d$. A step with the learning rate $\eta$
# therefore leads from $d$ to $d - \eta\lambda d = (1 - \eta\lambda)\,d$. Every epoch multiplies
# this part of the distance by the same factor.

# %%
factor = 1 - args.learning_rate * eigenvalues  # (2,)
print("share of the distance left  flat direction  steep direction")
for epochs in [1, args.epochs]:
    flat, steep = factor**epochs
    print(f"after epoch {epochs:<15} {flat:14.3g} {steep:16.3g}")

# %% [markdown]
# In the steep direction hardly anything is left. In the flat direction a good part of the starting
# distance is left, as you saw at $x = 10$.

# %% [markdown]
# ### A formula for the whole path
#
# If every epoch multiplies by the same factor, then $t$ epochs multiply by its $t$-th power. So the
# parameters after *any* number of epochs can be computed without a loop. The eigenvectors from
# `eigh` have length 1, so `@ eigenvectors` gives the parts along them; `@ eigenvectors.T` adds
# these up.


# %%
def closed_form_path(start, goal, learning_rate, steps):
    """Gradient descent without a loop: the parameters after 0 … steps steps."""
    distance = (start - goal) @ eigenvectors  # (2,): measured along the two eigenvectors
    exponents = np.arange(steps + 1)[:, None]  # (steps + 1, 1): a column, one row per epoch
    distances = (1 - learning_rate * eigenvalues) ** exponents * distance  # (steps + 1, 2)
    return goal + distances @ eigenvectors.T  # from the eigenvectors back to (w, b)


# %% [markdown]
# The formula is given the starting point, the learning rate and the four points, and nothing from
# the training.

# %% tags=["nbval-check-output"]
predicted = closed_form_path(keras_path[0], goal, args.learning_rate, args.epochs)
difference = np.abs(keras_path - predicted).max()
print("Keras follows the formula to 1e-5:", bool(difference < 1e-5))
assert difference < 1e-5

# %%
figure, panels = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
for axes, last in zip(panels, [min(20, args.epochs), args.epochs], strict=True):
    some = np.arange(0, last + 1, max(1, last // 20))
    for column, name, color in [(0, "w", BLUE), (1, "b", ORANGE)]:
        axes.plot(predicted[: last + 1, column], "-", color=color, label=f"{name}, formula")
        axes.plot(some, keras_path[some, column], "os"[column], color=color, label=f"{name}, Keras")
    axes.set(title=f"epochs 0 to {last}", xlabel="epoch")
panels[0].set_ylabel("value of the parameter")
panels[1].legend(ncols=2)
figure.suptitle("The formula runs through every dot", fontsize="medium")
plt.show()

# %% [markdown]
# On a logarithmic scale equal factors are equal steps, so each distance is a straight line. The
# steep one falls until it reaches the last digit of `float32`; below that, the line shows only
# rounding errors.

# %%
distances = np.abs((keras_path - goal) @ eigenvectors)  # (epochs + 1, 2)
plt.semilogy(distances[:, 1], label=f"steep direction, λ = {eigenvalues[1]:.2f}")
plt.semilogy(distances[:, 0], label=f"flat direction, λ = {eigenvalues[0]:.2f}")
plt.title("Two directions, two speeds")
plt.xlabel("epoch")
plt.ylabel("distance to the goal, in (w, b)")
plt.legend()
plt.show()

# %% [markdown]
# ## A learning rate that is too large
#
# Why not take larger steps? A step that is too large overshoots: it crosses the valley and ends
# higher on the other side than it began. There the gradient is even larger, so the next step
# overshoots by more, and the loss grows without end. Training **diverges**. With smaller steps it
# converges, given enough epochs. The steep direction sets the limit, because its curvature is the
# largest.
#
# The section above gives the limit: for $\eta\lambda$ above 2 the factor $1 - \eta\lambda$ is below
# −1, and each step multiplies the distance by more than 1.

# %%
limit = 2 / eigenvalues.max()
print(f"below a learning rate of {limit:.4f} gradient descent converges, above it diverges")

# %%
for rate in [args.learning_rate, 0.9 * limit, 1.02 * limit]:
    path = descend(0.0, 0.0, rate, steps=60)
    losses = [mean_squared_error(w, b, x, y) for w, b in path]
    plt.semilogy(losses, label=f"learning rate {rate:.3f}")
plt.title(f"Up to a learning rate of {limit:.4f} the loss falls, above it grows")
plt.xlabel("epoch")
plt.ylabel("loss (mean squared error)")
plt.legend()
plt.show()

# %% [markdown]
# Keras has the same limit. Here both parameters start at zero, and the learning rate is 1.2 times
# the limit. A much longer run leaves the range of `float32` and ends with the loss `nan`, "not a
# number".

# %%
model.set_weights([np.zeros((1, 1)), np.zeros(1)])
model.compile(optimizer=keras.optimizers.SGD(1.2 * limit), loss="mean_squared_error")
diverging = model.fit(x, y, epochs=10, shuffle=False, verbose=0, callbacks=[Progress()])
losses = diverging.history["loss"]
assert losses[-1] > losses[0]

# %% [markdown]
# ## Real data: the planets
#
# In 1619 Johannes Kepler published a law that relates the size of a planet's orbit to the time that
# one orbit takes. He knew six planets. We look for the law with a `Dense` layer, in [today's
# data](../datasets/planets.md).

# %%
planets = np.genfromtxt(
    shipped("planets.csv"), delimiter=",", names=True, dtype=None, encoding="utf-8"
)
print(planets.dtype.names)
print(planets[0])

# %% [markdown]
# The *semi-major axis* is the size of the orbit: half its longest diameter, in *astronomical units*
# (au). The *orbital period* is the time for one orbit, in years. For the Earth both are 1.
#
# Split the data before you study it. The six bodies known since antiquity are the **training set**.
# Those discovered after Kepler are the **test set**. The model never sees them during training, so
# they show whether its rule holds for other bodies, too, or only for these six. Being right on data
# that was not in the training set is called **generalisation**.

# %%
old = planets["discovered"] == "antiquity"
size, period = planets["semi_major_axis_au"], planets["period_years"]
print("training:", ", ".join(planets["name"][old]))
print("testing: ", ", ".join(planets["name"][~old]))  # ~ is "not"

# %% [markdown]
# A straight line through size and period is a poor rule: it gives Mercury a negative period.

# %%
slope, height = np.polyfit(size[old], period[old], deg=1)  # least squares, from NumPy
print(f"Mercury's period by the straight line: {predict(slope, height, size[0]):.2f} years")

# %% [markdown]
# The period $T$ grows faster than the size $a$, perhaps like a power: $T = c\,a^k$. Take logarithms
# on both sides, $\log T = k \log a + \log c$, and the power has become the slope of a straight
# line. The inputs of a model are called its **features**; here the logarithm is the better feature,
# and $\log T$ is easier to predict than $T$.

# %%
log_size, log_period = np.log10(size), np.log10(period)

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
left.plot(size[old], period[old], "o")
left.set(title="Period against size: a curve")
left.set(xlabel="semi-major axis, au", ylabel="period, years")
right.plot(log_size[old], log_period[old], "o")
right.set(title="Their logarithms: a straight line")
right.set(xlabel="log10 (semi-major axis in au)", ylabel="log10 (period in years)")
plt.show()

# %% [markdown]
# The learning rate is half the limit, so the factor of the steep direction is zero: it needs a
# single step. The flat direction needs far fewer epochs than before, because the first learning
# rate was far below half its limit, and because the condition number is smaller here: the
# logarithms lie on both sides of zero, so `b` can make up for a wrong `w` only a little.

# %%
X_planets = np.stack([log_size[old], np.ones(old.sum())], axis=1)  # (6, 2)
curvatures = np.linalg.eigvalsh(2 / old.sum() * X_planets.T @ X_planets)  # (2,)
planet_rate = 1 / curvatures.max()
print(f"condition number {curvatures[1] / curvatures[0]:.1f}, learning rate {planet_rate:.3f}")

# %%
kepler = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
kepler.compile(optimizer=keras.optimizers.SGD(planet_rate), loss="mean_squared_error")
kepler.fit(
    log_size[old],
    log_period[old],
    epochs=50,
    shuffle=False,
    verbose=0,
    callbacks=[Progress(every=10)],
)
weight, bias = (parameter.item() for parameter in kepler.get_weights())
print(f"period = {10**bias:.3f} × size to the power of {weight:.3f}")

# %% [markdown]
# Kepler's third law says that the *squares* of the periods are proportional to the *cubes* of the
# sizes, which is a power of 3/2. The model has found it. Does it hold for the test set?

# %%
guess = 10 ** kepler.predict(log_size, verbose=0)[:, 0]  # (bodies,) years
error = 100 * (guess / period - 1)
for body in np.flatnonzero(~old):
    print(f"{planets['name'][body]:9} {period[body]:7.1f} years, model {guess[body]:7.1f}", end="")
    print(f"  ({error[body]:+.2f} %)")

# %%
plt.loglog(size, guess, "-", color=BLUE, label="the model's law")
plt.loglog(size[old], period[old], "o", color=GREEN, label="training: known to Kepler")
plt.loglog(size[~old], period[~old], "s", color=ORANGE, label="testing: discovered later")
plt.title("A law from six planets also fits four bodies that were not in training")
plt.xlabel("semi-major axis, au")
plt.ylabel("period, years")
plt.legend()
plt.show()

# %% [markdown]
# ## If your result looks different
#
# * **The loss grows or becomes `nan`.** The learning rate is above the limit. Compute the limit as
#   above, or divide the learning rate by ten until the loss falls.
# * **The prediction at 10 is off by another amount.** The first weight depends on `seed`; another
#   seed starts elsewhere in the valley. The path changes, and the formula still fits it.
# * **The last digits differ from this page.** Processors round in different order. If the `assert`
#   lines pass, Keras, our loop and the formula agree, and the differences do not matter.

# %% [markdown]
# ## Recap
#
# * A model is a formula with parameters. The loss says how wrong it is. Gradient descent changes
#   the parameters against the gradient, so that the loss falls.
# * Each step multiplies the part of the distance that lies in a direction of curvature $\lambda$ by
#   $1 - \eta\lambda$. The steepest direction limits the learning rate; the flattest one decides how
#   many epochs it takes.
# * Keras takes the same path as our own loop and as the formula.
# * A good feature can help more than many epochs: with logarithms the curve became a line.
# * Keep a test set that is never trained on. It shows whether the model generalises.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words first; the lesson has said all that you need.
#
# 1. What does the loss tell you, and what does one step of gradient descent do about it?
# 2. You have worked out a formula for a gradient. How can you check it without doing the algebra
#    again?
# 3. After 500 epochs the predictions near the four points are good, but at $x = 10$ the model is
#    still off. Why does it take so long to correct that?
# 4. What happens when the learning rate is too large, and why is it the steep direction that sets
#    the limit?
# 5. Why were four of the bodies kept out of training?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Replace `...` by your answer and run the cell. `check.gradient_of_sum.hint()` gives a hint,
# `check.gradient_of_sum.solution()` shows one way.
#
# **1.** Some books minimise the *sum* of the squared errors instead of the mean. Write the gradient
# of that loss.


# %%
def gradient_of_sum(w, b, x, y):
    """Return the derivatives with respect to w and b of sum((w * x + b - y) ** 2)."""
    ...


check.gradient_of_sum(gradient_of_sum)

# %% [markdown]
# **2.** Given any inputs `x` (an array), return the learning rate above which gradient descent on
# the mean squared error diverges.


# %%
def learning_rate_limit(x):
    """Return 2 / λ for the right λ."""
    ...


check.learning_rate_limit(learning_rate_limit)

# %% [markdown]
# **3.** How many epochs (a whole number) does our run on the four points need until at most one
# hundredth of the starting distance in the flat direction is left? The learning rate is 0.01.

# %%
epochs_to_one_percent = ...

check.epochs_to_one_percent(epochs_to_one_percent)

# %% [markdown]
# **4.** Subtract the mean from the four `x` before training. What is the condition number now?

# %%
condition_number_centred = ...

check.condition_number_centred(condition_number_centred)

# %% [markdown]
# **5.** The orbit of an asteroid has a semi-major axis of 2 au. How long is its period, in years?
# Use Kepler's law.

# %%
year_of_asteroid = ...

check.year_of_asteroid(year_of_asteroid)

# %% [markdown]
# ## Next
#
# A line predicts a number. A language model predicts the next piece of a text.
# [Lesson 2](02_next_token.ipynb) shows how small the step from one to the other is.
