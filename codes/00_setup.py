# %% [markdown]
# # 0. Setup: is this machine ready?
#
# At the end of this lesson you will know whether this machine can run the whole course. If it
# cannot, you will know what to do: each problem comes with its remedy.
#
# You need: the installation of the [README](../README.md). If this page is open in front of you and
# its cells run, most of it is done.

# %% [markdown]
# A notebook consists of **cells**. A code cell is a piece of a program, with its output below. Run
# a cell with Shift + Enter, or run all of them from the menu. One Python process, the **kernel**,
# runs all the cells of the page. In editors such as VS Code the right kernel for this course is
# called `.venv`, after the folder in which the installation has put Python. If the cell above says
# that this is another Python, choose `.venv` in the menu of kernels, or close the page and start it
# with `make lab`.
#
# Every lesson begins with its settings. This one has a single setting, the **seed**: the number
# from which the random-number generator starts. The same seed gives the same random numbers, so a
# result can be repeated.

# %%
from utils.course.settings import settings

args = settings(seed=1)

# %% [markdown]
# The command `python -m utils.doctor`, run in a terminal, makes all the checks of this page at
# once. If the next cell ends in an error, run that command: it says what to do. Here we make the
# checks one by one.

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
# Each check looks at facts about the machine and returns a finding: a name, what was found, and a
# remedy if something is wrong. We print the name if all is well, and the remedy if it is not.


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
# The longest trainings of the course need some memory. No lesson needs a graphics card (GPU).

# %%
memory = psutil.virtual_memory()
report(doctor.check_memory(memory.available, memory.total))

# %% [markdown]
# What would the checks say on other machines? A check only judges the facts that it is given, so we
# can give it invented ones. The problems that the next cells report are therefore not yours. The
# first is an Intel Mac with a Python version that is too new for it:

# %% tags=["nbval-check-output"]
print(doctor.check_python(doctor.Machine("Darwin", "x86_64", (3, 12, 1))))

# %% [markdown]
# The second is a Mac with Apple Silicon whose Python was built for Intel. macOS translates such
# programs (the translator is called *Rosetta*). Everything seems to work until TensorFlow is
# imported:

# %% tags=["nbval-check-output"]
print(doctor.check_python(doctor.Machine("Darwin", "x86_64", (3, 11, 9), rosetta=True)))

# %% [markdown]
# The next two are a Python version that is too old and one that is too new, on any machine:

# %% tags=["nbval-check-output"]
print(doctor.check_python(doctor.Machine("Linux", "x86_64", (3, 9, 18))))
print(doctor.check_python(doctor.Machine("Linux", "x86_64", (3, 14, 0))))

# %% [markdown]
# ## The packages
#
# **NumPy** computes with arrays of numbers. **TensorFlow** does so too, and it can also compute
# derivatives: how a result changes when its inputs change (lesson 1). **Keras** is a library for
# neural networks that is easier to use; it runs on top of TensorFlow, which is then called its
# *backend*. **keras-nlp** adds the parts of language models. The next cell checks that all packages
# are installed, that their versions fit together, that nothing is left over from older versions,
# and that the backend of Keras is TensorFlow.

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
# Many older tutorials tell Mac users to install `tensorflow-macos`. That package is superseded, and
# its remains can break the current one. This is what the check says when it finds it, on an
# invented machine:

# %% tags=["nbval-check-output"]
print(doctor.check_leftovers({"tensorflow-macos": "2.12.0", "keras": "2.12.0"}))

# %% [markdown]
# ## The first computation
#
# TensorFlow lists the devices on which it can compute. `CPU:0` is the processor. It is enough for
# this course.

# %%
print(doctor.devices())

# %% [markdown]
# Now a first computation: sample a million random numbers and add them up.

# %%
samples = tf.random.normal([1000, 1000])
total = tf.reduce_sum(samples)
print(f"{total:.1f}")

# %% [markdown]
# `samples` is a **tensor**: a block of numbers with a **shape**, here 1,000 rows of 1,000 numbers.
# A list of 5 numbers has the shape (5,), and a table with 2 rows and 3 columns has the shape (2,
# 3). A stack of 4 such tables has the shape (4, 2, 3) and holds 4 · 2 · 3 = 24 numbers. Each of
# these directions is called an **axis**, and the shape gives the length of each axis. Summing over
# an axis removes it: the sum of the stack over its last axis has the shape (4, 2). A single number
# is a tensor, too. It has no axes, so its shape is empty.

# %% tags=["nbval-check-output"]
print("samples", samples.shape)
print("total", total.shape)

# %% [markdown]
# Is this sum plausible? The numbers come from the **normal distribution**: their mean is 0, and
# most of them lie between −1 and 1. In a sum of $n$ such numbers the positive and the negative ones
# largely cancel. The sum is 0 on average, and it typically differs from 0 by $\sqrt{n}$: by 10 for
# a hundred numbers, by 1,000 for a million. The check reports a problem only if the difference is
# more than ten times $\sqrt{n}$.

# %%
report(doctor.check_sum(float(total)))

# %% [markdown]
# Now plot the numbers. The grey histogram, with 80 narrow bars, shows the random numbers. The line
# is the formula of the normal distribution, $\frac{1}{\sqrt{2\pi}}\, e^{-x^2/2}$. If you see this
# picture, plotting works.

# %%
grid = np.linspace(-4, 4, 200)
plt.hist(
    samples.numpy().ravel(),
    bins=80,
    range=(-4, 4),
    density=True,
    color="lightgrey",
    label="our samples",
)
plt.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=ORANGE, label="the formula")
plt.title("A million random numbers and the curve they follow")
plt.xlabel("value")
plt.ylabel("density")
plt.legend()
plt.show()

# %% [markdown]
# ## Do the libraries agree?
#
# In nearly every lesson we compute the same thing twice: by hand, mostly in NumPy, and with the
# library. If both results agree, we have understood what the library does. We begin with something
# small, the product of a matrix and a vector. The results need not be equal to the last digit: both
# sides calculate with about 7 digits (`float32`) and may add in a different order, and each
# addition rounds. Numbers around 1 can therefore differ by about a millionth.

# %% tags=["nbval-check-output"]
matrix = rng.normal(size=(3, 4)).astype("float32")
vector = rng.normal(size=4).astype("float32")
by_hand = np.array([sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix])
difference = np.abs(by_hand - keras.ops.matmul(matrix, vector)).max()
print("by hand and in Keras the same:", bool(difference < 1e-5))
assert difference < 1e-5

# %% [markdown]
# Does the seed work? Set the same seed again, sample a second time, and compare.

# %% tags=["nbval-check-output"]
seed_everything(args.seed)
again = tf.random.normal([1000, 1000])
print("the same seed, the same million numbers:", bool(np.array_equal(samples, again)))

# %% [markdown]
# ## If your result looks different
#
# * **A line about your computer, your memory or your packages begins with `problem`.** The line
#   below it says what to do. (The five problems of invented machines always appear.) Then restart
#   the kernel (in a menu of the notebook) and run all cells again.
# * **"This notebook runs in another Python."** The notebook uses a kernel that is not the one of
#   the course: see the top of this page.
# * **The sum is another number, or the last comparison says False.** Did you run the cell that
#   samples the numbers twice? Each run samples the *next* million numbers. Restart the kernel and
#   run all cells. If it still differs, you probably have another version of TensorFlow. What counts
#   is that the sum is plausible.

# %% [markdown]
# ## Recap
#
# * `python -m utils.doctor` says whether a machine is ready, and what to do if it is not.
# * A tensor is a block of numbers. Its shape gives the length of each axis.
# * The same seed gives the same random numbers.
# * What we compute by hand must agree with the library, up to rounding.

# %% [markdown]
# ## Check your understanding
#
# Answer in your own words first; the lesson has said all that you need.
#
# 1. What does each of NumPy, TensorFlow and Keras do, and which of them runs on top of another?
# 2. What does the shape of a tensor tell you, and what happens to it when you sum over an axis?
# 3. You add up a million numbers from the normal distribution. Why is the sum usually neither close
#    to a million nor exactly 0?
# 4. Why does the lesson compute a product both by hand and in Keras, and why does it not demand
#    that the two results are equal to the last digit?
# 5. You run the cell that samples the numbers a second time, and the sum changes. Why is that no
#    error, and how do you get the first sum back?

# %%
question = None  # answer in your own words first; then 1 to 5 shows ours
check.answer(question)

# %% [markdown]
# ## Check yourself
#
# Each lesson ends with exercises that check your answer. Replace `...` by your answer and run the
# cell.
#
# **1.** How many numbers does a tensor of shape (64, 128, 16) hold? First, this is what the reply
# to a wrong answer looks like:

# %% tags=["nbval-check-output"]
check.elements(64 + 128 + 16)

# %% [markdown]
# Now enter your own answer.

# %%
elements = ...

check.elements(elements)

# %% [markdown]
# **2.** Some answers are functions. Write a function that takes the `shape` of a tensor and returns
# the shape that is left after a sum over the last axis: (2, 3, 5) becomes (2, 3).


# %%
def shape_after_sum(shape):
    """Return a tuple."""
    ...


check.shape_after_sum(shape_after_sum)

# %% [markdown]
# **3.** By how much does the sum of `n` normally distributed numbers typically differ from 0?


# %%
def typical_sum(n):
    """Return one number."""
    ...


check.typical_sum(typical_sum)

# %% [markdown]
# Stuck? Every exercise has hints, one per call, and a solution: `check.typical_sum.solution()`.

# %%
check.typical_sum.hint()

# %% [markdown]
# ## Next
#
# The machine is ready. In [lesson 1](01_linear_regression.ipynb) it learns a straight line from
# four points, and you learn why that takes longer than it should.
