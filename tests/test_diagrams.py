"""The arrows of a diagram meet the edges of its boxes, however long the texts are."""

import matplotlib.pyplot as plt
import pytest

from utils.course.diagrams import draw_flow
from utils.course.plots import STYLE

FEW_PIXELS = 3


@pytest.mark.parametrize("text", ["a", "a text that is far longer\nand has two lines"])
def test_an_arrow_begins_and_ends_at_the_edges_of_its_boxes(text):
    with plt.style.context(STYLE):
        draw_flow([(0, 0, text), (4, 0, text)], [(0, 1, "(time,)")], "A title")
    figure = plt.gcf()
    figure.canvas.draw()
    found = {drawn.get_text(): drawn for drawn in figure.axes[0].texts}
    left, right = [t.get_bbox_patch().get_window_extent() for t in figure.axes[0].texts[:2]]
    arrow = found[""].arrow_patch.get_window_extent()
    assert arrow.x0 == pytest.approx(left.x1, abs=FEW_PIXELS)
    assert arrow.x1 == pytest.approx(right.x0, abs=FEW_PIXELS)
    assert found["(time,)"].get_window_extent().y0 > arrow.y1  # above the arrow
    plt.close(figure)


def test_a_bent_arrow_leaves_the_straight_line():
    draw_flow([(0, 0, "a"), (4, 0, "b")], [(0, 1, "")], "A title", bends={(0, 1): 0.5})
    figure = plt.gcf()
    figure.canvas.draw()
    arrow = next(t.arrow_patch for t in figure.axes[0].texts if getattr(t, "arrow_patch", None))
    assert arrow.get_window_extent().height > 20
    plt.close(figure)
