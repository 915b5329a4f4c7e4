"""Which part of an explorer's picture depends on which controls.

An explorer may say, for each of its axes, which controls change it. Then a page without a kernel stores a
picture for each state of a panel and not for each state of the whole: sliders that move different panels add
up instead of multiplying.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Part:
    """A box of the picture, and the controls that change what is in it.

    Attributes:
        names: the controls.
        box: rows and columns, in pixels.
    """

    names: tuple[str, ...]
    box: tuple[slice, slice]


def states(explorer, names: Iterable[str]) -> list[dict]:
    """The states of a page without a kernel in which all but the controls `names` stand at the start."""
    grid, names = explorer.grid(), list(names)
    return [{**explorer.start, **dict(zip(names, at, strict=True))} for at in itertools.product(*map(grid.get, names))]


def parts(explorer, among: Iterable[dict] | None = None) -> list[Part]:
    """The parts of the picture; one, all of it, where the explorer says nothing of panels.

    Args:
        explorer: an `Explorer`.
        among: the states that are looked at for how far a panel reaches with its labels; those of a page
            without a kernel if not given.

    Raises:
        ValueError: the panels are not as many as the axes, or reach into each other.
    """
    axes, groups = explorer.axes(), explorer.groups()
    if not explorer.panels:
        return [Part(tuple(groups[0]), (slice(None), slice(None)))]
    me = f"Explorer {explorer.name!r}"
    if len(axes) != len(groups):
        raise ValueError(f"{me}: panels names the controls of {len(groups)} axes, the figure has {len(axes)}")
    found = []
    for i, names in enumerate(groups):
        chosen = states(explorer, names) if among is None else [_at(explorer, s, names) for s in among]
        found.append(Part(tuple(names), _reach(explorer, i, chosen)))
    for one, other in itertools.combinations(found, 2):
        if all(a.start < b.stop and b.start < a.stop for a, b in zip(one.box, other.box, strict=True)):
            raise ValueError(
                f"{me}: the panels of ({', '.join(one.names)}) and ({', '.join(other.names)}) reach into each "
                "other; leave room between the axes, or do not declare panels"
            )
    return found


def composed(explorer, state: dict, start: np.ndarray, parts: Iterable[Part]) -> np.ndarray:
    """The picture that a page without a kernel shows: the start's, and in each part what its own controls make."""
    picture = start.copy()
    for part in parts:
        picture[part.box] = explorer.frame(**_at(explorer, state, part.names))[part.box]
    return picture


def _at(explorer, state: dict, names: Iterable[str]) -> dict:
    """The start with the controls `names` as in `state`."""
    return {**explorer.start, **{name: state[name] for name in names}}


def _reach(explorer, index: int, chosen: Iterable[dict]) -> tuple[slice, slice]:
    """The box that holds the axes with all their labels in each of the states."""
    width, height = explorer.pixels
    boxes = []
    for state in chosen:
        explorer.frame(**state)
        boxes.append(explorer.axes()[index].get_tightbbox().extents)
    left, bottom = np.min(boxes, axis=0)[:2]
    right, top = np.max(boxes, axis=0)[2:]
    rows = slice(max(0, height - math.ceil(top) - 1), min(height, height - math.floor(bottom) + 1))
    return rows, slice(max(0, math.floor(left) - 1), min(width, math.ceil(right) + 1))
