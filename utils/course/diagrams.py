"""Diagrams of boxes and arrows: which way data take.

One call draws a diagram:

    draw_flow([(0, 0, "text"), (2, 0, "GPT-2")], [(0, 1, "(time,)")], "From a text to ids")
    plt.show()
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt

from utils.course.plots import BLUE, ORANGE

BOX = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": BLUE}


def draw_flow(
    boxes: Sequence[tuple[float, float, str]],
    arrows: Sequence[tuple[int, int, str]],
    title: str,
    height: float = 2.8,
    bends: Mapping[tuple[int, int], float] | None = None,
) -> None:
    """Draw texts in boxes, and arrows that begin and end at their edges.

    Args:
        boxes: an (x, y, text) for each: where its middle is, in units of the data.
        arrows: a (from, to, text) for each: the positions of two boxes in the list, and what
            stands above the arrow, such as the shape of the data.
        title: the title of the figure.
        height: the height of the figure in inches.
        bends: how far arrows that are not straight bow out to the right, by (from, to).
    """
    _, axes = plt.subplots(figsize=(8, height))
    centred = {"ha": "center", "va": "center", "fontsize": 9, "bbox": BOX}
    patches = [axes.text(x, y, text, **centred).get_bbox_patch() for x, y, text in boxes]
    for start, stop, text in arrows:
        (x, y, _), (u, v, _) = boxes[start], boxes[stop]
        ends = {"patchA": patches[start], "patchB": patches[stop], "shrinkA": 0, "shrinkB": 0}
        bend = f"arc3,rad={(bends or {}).get((start, stop), 0)}"
        style = {"arrowstyle": "->", "color": ORANGE, "connectionstyle": bend}
        axes.annotate("", (u, v), (x, y), arrowprops=style | ends)
        points = 6 if y == v else 14  # above the arrow, more if it is slanted
        above = {"xytext": (0, points), "textcoords": "offset points", "ha": "center"}
        axes.annotate(text, ((x + u) / 2, (y + v) / 2), fontsize=8, **above)
    xs, ys = [box[0] for box in boxes], [box[1] for box in boxes]
    axes.set(xlim=(min(xs) - 1, max(xs) + 1), ylim=(min(ys) - 0.8, max(ys) + 0.7), title=title)
    axes.axis("off")
