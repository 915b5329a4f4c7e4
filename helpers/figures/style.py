"""The one look: the same colour for the same thing in every chapter, and never colour alone."""

from __future__ import annotations

from pathlib import Path

import matplotlib.style

# Okabe & Ito (2008): told apart by readers with any of the common forms of colour blindness.
BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
CYCLE = (BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY, BLACK)
GREY = "#8a8a8a"

DATA = BLACK
FLOW = BLUE  # the solution of a differential equation
NETWORK = VERMILLION  # the network, or the numerical scheme that it is
CLASSES = (BLUE, ORANGE)
CLASS_MARKERS = ("o", "s")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def use():
    """Make this look matplotlib's default; a chapter's set-up cell calls it once."""
    matplotlib.style.use(Path(__file__).with_name("companion.mplstyle"))


def lines(names):
    """Name → keyword arguments that tell its line from the others by colour, line style and marker."""
    return {
        name: {"color": CYCLE[i % 7], "linestyle": LINES[i % 7], "marker": MARKERS[i % 7]}
        for i, name in enumerate(names)
    }
