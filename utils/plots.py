"""The one figure style of the course: `plt.style.use(STYLE)`.

Colours are the Okabe-Ito palette, chosen to be told apart by colour-blind readers; line styles
cycle along with them, so a figure also survives a black-and-white printer.
Source: M. Okabe, K. Ito, Color Universal Design (2008).
"""

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
