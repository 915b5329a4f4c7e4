"""Show a finished figure with its text alternative."""

from __future__ import annotations

import numpy as np
from IPython.display import display
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from helpers.lesson.explorer.canvas import DPI
from helpers.lesson.explorer.png import encode_small

DENSITY = 1.5  # pixels of the picture per pixel of the page: crisp, and still small


def show(figure: Figure, alt: str) -> None:
    """Display `figure` as one picture with alt text, then close it.

    The stored output is the picture, its alt text and a text/plain that stays the same from run to run. The
    figure is drawn as it is, without trimming its margins, so that equal sizes stay equal on the page.

    Args:
        figure: a matplotlib figure.
        alt: what the picture shows, in a sentence or two, for a reader who does not see it.

    Raises:
        TypeError: `figure` is not a figure.
        ValueError: `alt` is empty.
    """
    if not isinstance(figure, Figure):
        raise TypeError(f"show: figure must be a matplotlib Figure; got {figure!r}")
    if not (isinstance(alt, str) and alt.strip()):
        raise ValueError(f"show: alt must say what the picture shows; got {alt!r}")
    figure.set_dpi(DPI * DENSITY)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = encode_small(np.asarray(canvas.buffer_rgba()))
    pyplot.close(figure)
    width, height = (round(inches * DPI) for inches in figure.get_size_inches())
    display(
        {"image/png": picture, "text/plain": f"<Figure {width}x{height}>"},
        metadata={"image/png": {"alt": alt, "width": width, "height": height}},
        raw=True,
    )
