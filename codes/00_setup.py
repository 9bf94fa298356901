# %% [markdown]
# # 0. Setup: is this machine ready?
#
# At the end of this lesson you will know whether this machine can run the whole course, and if not,
# what to do, one sentence for each problem.
#
# You need: the installation of the [README](../README.md). If this page is open in front of you and
# its cells run, the largest part is done.

# %% [markdown]
# A **cell** is a piece of a program with its output below. Run one with Shift + Enter, or all of
# them from the menu. Behind the page runs one Python process, the **kernel**; the right one is
# called `.venv`, after the folder with the Python that the installation has made. If the cell above
# says that this is another Python, choose `.venv` in the menu, or close the page and start with
# `make lab`.
#
# Every lesson begins with its settings; here it is only the seed, the starting point of everything
# random.

# %%
from utils.course.settings import settings

args = settings(seed=1)

# %% [markdown]
# In a terminal, `python -m utils.doctor` makes all the checks of this page at once. If the next
# cell ends in an error, run that: it names the remedy. Here we make the checks one by one.

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
import psutil
import tensorflow as tf

from utils import doctor
from utils.course.plots import ORANGE, STYLE
from utils.course.seeds import seed_everything
from utils.exercises import lesson_00 as check

plt.style.use(STYLE)
rng = seed_everything(args.seed)

# %% [markdown]
# ## The computer
#
# Each check looks at facts and returns a finding: a name, what was found, and if something is
# wrong, a remedy. We print the name of what is fine and the remedy of what is not.


# %%
def report(*findings):
    for finding in findings:
        print(f"ok       {finding.name}" if finding.ok else finding)


machine = doctor.this_machine()
report(
    doctor.check_python(machine),
    doctor.check_platform(machine),
    doctor.check_cpu(machine, doctor.cpu_features(machine)),
)

# %% [markdown]
# The longest trainings of the course need some memory. Nothing needs a graphics card.

# %%
memory = psutil.virtual_memory()
report(doctor.check_memory(memory.available, memory.total))

# %% [markdown]
# What would the checks say on other machines? They judge facts, so we can hand them made-up ones.
# The problems that the next cells report are not yours. An Intel Mac with a Python that is too new
# for it:

# %% tags=["nbval-check-output"]
print(doctor.check_python(doctor.Machine("Darwin", "x86_64", (3, 12, 1))))

# %% [markdown]
# A Mac with Apple Silicon whose Python was made for Intel. macOS translates it (this is called
# *Rosetta*), and it seems to work, until TensorFlow is imported:

# %% tags=["nbval-check-output"]
print(doctor.check_python(doctor.Machine("Darwin", "x86_64", (3, 11, 9), rosetta=True)))

# %% [markdown]
# A Python that is too old, and one that is too new for everybody:

# %% tags=["nbval-check-output"]
print(doctor.check_python(doctor.Machine("Linux", "x86_64", (3, 9, 18))))
print(doctor.check_python(doctor.Machine("Linux", "x86_64", (3, 14, 0))))

# %% [markdown]
# ## The packages
#
# **NumPy** computes with arrays of numbers. **TensorFlow** does too, and can tell how a result
# changes with them (lesson 1). **Keras** is the friendlier layer on top, with TensorFlow as its
# *backend*; **keras-nlp** adds the parts of language models. Are they there, in versions that fit
# together, and with nothing left over from older ones?

# %%
installed = doctor.installed_versions()
report(
    doctor.check_versions(installed, doctor.required(), doctor.pinned()),
    doctor.check_leftovers(installed),
    doctor.check_backend(os.environ, doctor.keras_json()),
)

# %%
for package in ["tensorflow", "keras", "keras-nlp", "numpy"]:
    print(f"{package:10} {installed[package]}")

# %% [markdown]
# Many older tutorials tell Mac users to install `tensorflow-macos`. It is superseded, and what is
# left of it gets in the way. This is what the check says when it finds it, on a made-up machine:

# %% tags=["nbval-check-output"]
print(doctor.check_leftovers({"tensorflow-macos": "2.12.0", "keras": "2.12.0"}))

# %% [markdown]
# ## The first computation
#
# TensorFlow lists the devices that it can compute on. `CPU:0` is the processor, and it is enough.

# %%
print(doctor.devices())

# %% [markdown]
# Now let it work: draw a million random numbers and add them up.

# %%
draws = tf.random.normal([1000, 1000])
total = tf.reduce_sum(draws)
print(f"{total:.1f}")

# %% [markdown]
# `draws` is a **tensor**: a block of numbers with a **shape**, here 1,000 rows of 1,000. A list of
# 5 numbers has the shape (5,), a table with 2 rows and 3 columns (2, 3), a stack of 4 such tables
# (4, 2, 3), which makes 4 · 2 · 3 = 24 numbers. Each position in a shape is an **axis**; to sum
# over the last one leaves (4, 2). A single number is a tensor, too. Its shape is empty.

# %% tags=["nbval-check-output"]
print("draws", draws.shape)
print("total", total.shape)

# %% [markdown]
# Is this sum plausible? The numbers come from the **normal distribution**: 0 on average, mostly
# between −1 and 1. In a sum of $n$ of them most of the positive and the negative cancel out. It is
# 0 on average and typically misses by $\sqrt{n}$: by 10 for a hundred numbers, by 1,000 for a
# million. The doctor calls it wrong at ten times that.

# %%
report(doctor.check_sum(float(total)))

# %% [markdown]
# Draw what you have drawn. The grey bars, 80 narrow ones, are our numbers, the line is the formula
# of the normal distribution, $\frac{1}{\sqrt{2\pi}}\, e^{-x^2/2}$. If you see this picture, figures
# work.

# %%
grid = np.linspace(-4, 4, 200)
plt.hist(
    draws.numpy().ravel(),
    bins=80,
    range=(-4, 4),
    density=True,
    color="lightgrey",
    label="our draws",
)
plt.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=ORANGE, label="the formula")
plt.title("A million random numbers and the curve they follow")
plt.xlabel("value")
plt.ylabel("share of the draws per unit")
plt.legend()
plt.show()

# %% [markdown]
# ## Do the libraries agree? In nearly every lesson we compute a thing twice: by hand, mostly in
# NumPy, and with the library. Let us begin with something small, a matrix times a vector. The two
# calculate with 7 digits and may add in a different order, so numbers around 1 can differ by about
# a millionth.

# %% tags=["nbval-check-output"]
matrix = rng.normal(size=(3, 4)).astype("float32")
vector = rng.normal(size=4).astype("float32")
by_hand = np.array([sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix])
difference = np.abs(by_hand - keras.ops.matmul(matrix, vector)).max()
print("by hand and in Keras the same:", bool(difference < 1e-5))
assert difference < 1e-5

# %% [markdown]
# Does the seed work? Set it twice, draw twice, compare.

# %% tags=["nbval-check-output"]
seed_everything(args.seed)
again = tf.random.normal([1000, 1000])
print("the same seed, the same million numbers:", bool(np.array_equal(draws, again)))

# %% [markdown]
# ## If your result looks different
#
# * **A line about your computer, your memory or your packages begins with `problem`.** Below it
#   stands what to do. (The five about made-up machines always appear.) Then restart the kernel (a
#   menu of the notebook) and run all cells again.
# * **"This notebook runs in another Python."** It has another kernel than the one of the course:
#   see the top of this page.
# * **The sum is another number, or the last comparison says False.** Did you run the cell with the
#   draws twice? Each time it draws the *next* million numbers. Restart the kernel and run all
#   cells. If it still differs, you have another version of TensorFlow; what counts is that the sum
#   is plausible.

# %% [markdown]
# ## Recap
#
# * `python -m utils.doctor` says whether a machine is ready, and what to do if not.
# * A tensor is a block of numbers with a shape.
# * The same seed gives the same random numbers.
# * What we compute by hand must agree with the library, up to rounding.

# %% [markdown]
# ## Check yourself
#
# Each lesson ends with exercises that answer you. Replace `...` by your answer and run the cell.
#
# **1.** How many numbers does a tensor of shape (64, 128, 16) hold? This is what a wrong answer
# looks like:

# %% tags=["nbval-check-output"]
check.elements(64 + 128 + 16)

# %% [markdown]
# And now yours.

# %%
elements = ...

check.elements(elements)

# %% [markdown]
# **2.** Some answers are functions. Return the shape that is left when a tensor of the given
# `shape` is summed over its last axis: (2, 3, 5) becomes (2, 3).


# %%
def shape_after_sum(shape):
    """Return a tuple."""
    ...


check.shape_after_sum(shape_after_sum)

# %% [markdown]
# **3.** By how much does the sum of `n` normally distributed numbers typically miss 0?


# %%
def typical_sum(n):
    """Return one number."""
    ...


check.typical_sum(typical_sum)

# %% [markdown]
# Stuck? Every exercise has hints and a solution.

# %%
check.typical_sum.hint()

# %% [markdown]
# ## Next
#
# The machine is ready. In [lesson 1](01_linear_regression.ipynb) it learns a straight line from
# four points, and you learn why that takes longer than it should.
