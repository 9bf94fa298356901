"""The one figure style of the course: `plt.style.use(STYLE)`.

Colours are the Okabe-Ito palette, chosen to be told apart by colour-blind readers; line styles
cycle along with them, so a figure also survives a black-and-white printer.
Source: M. Okabe, K. Ito, Color Universal Design (2008).
"""

import matplotlib.pyplot as plt
from cycler import cycler

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, YELLOW, SKY = "#CC79A7", "#E69F00", "#56B4E9"

STYLE = {
    "figure.figsize": (6.4, 3.6),  # inches; fits a notebook column beside its prompt
    "figure.dpi": 96,
    "savefig.dpi": 96,
    "figure.constrained_layout.use": True,  # labels are never cut off
    "axes.prop_cycle": (
        cycler(color=[BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY])
        + cycler(linestyle=["-", "--", "-.", ":", "-", "--"])
    ),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "font.size": 10,
    "lines.linewidth": 1.8,
    "image.cmap": "viridis",  # equal steps in the data look equal, also in grey
}


def plot_losses(history: list[dict], floor: float | None = None) -> None:
    """Draw the training and validation loss of a run over its steps.

    Args:
        history: the evaluations of the run, each with "step", "loss" and "validation_loss" (nats
            per token).
        floor: the loss that no model can beat (nats per token), drawn as a line; None if it is not
            known.
    """
    steps = [report["step"] for report in history]
    for name, marker in [("loss", "o"), ("validation_loss", "s")]:
        losses = [report[name] for report in history]
        label = "training" if name == "loss" else "validation"
        plt.plot(steps, losses, marker=marker, markersize=4, label=label)
    if floor is not None:
        plt.axhline(floor, color="black", linestyle="--", linewidth=1, label="floor")
    plt.yscale("log")
    plt.xlabel("step")
    plt.ylabel("loss, nats per token")
    plt.title("Loss while training" if floor is None else "Loss while training, and its floor")
    plt.legend()
