"""Explicit Runge–Kutta with fixed steps: the loop that a residual network already is."""

from __future__ import annotations

import torch

from .grid import Step
from .tableaux import Tableau


def combine(y, slopes, weights, h):
    """y + h Σ_j w_j k_j over the pairs (j, w_j) in `weights`, without a temporary per term.

    The first term makes a new tensor; without autograd the others are added to it in place.
    """
    if not weights:
        return y
    (j, w), *rest = weights
    total = torch.add(y, slopes[j], alpha=h * w)
    if not rest:
        return total
    if torch.is_grad_enabled():
        for j, w in rest:
            total = torch.add(total, slopes[j], alpha=h * w)
    else:
        for j, w in rest:
            total.add_(slopes[j], alpha=h * w)
    return total


def stages(tableau: Tableau, func, times, y, h, first=None):
    """The slopes k_1 … k_s of one explicit step, and the point at which the last of them was taken.

    Args:
        times: s times at which the stages look, t + c_i h, in the form that `func` wants them.
        first: k_1 where the caller has it already.
    """
    slopes, point = [func(times[0], y) if first is None else first], y
    for time, weights in zip(times[1:], tableau.nonzero_rows[1:], strict=True):
        point = combine(y, slopes, weights, h)
        slopes.append(func(time, point))
    return slopes, point


def step(tableau: Tableau, func, t, y, h):
    """One explicit step from (t, y) to t + h: returns y_next, shaped like y.

    `t` and `h` are Python floats (or t a 0-d tensor); this is the form in which a layer uses a tableau.
    """
    slopes, _ = stages(tableau, func, [t + c * h for c in tableau.c], y, h)
    return combine(y, slopes, tableau.nonzero_weights, h)


def increment(tableau: Tableau, func, times, y, h):
    """Ψ_h(t, y): what one step adds to y."""
    slopes, _ = stages(tableau, func, times, y, h)
    (j, weight), *rest = tableau.nonzero_weights
    return combine(slopes[j] * (h * weight), slopes, rest, h)


def integrate(tableau: Tableau, func, y, steps: list[Step], times, first=None, accepted=None):
    """Walk along `steps`: a `plan.Walker`.

    Args:
        accepted: called after each step as accepted(start, h, slopes), where somebody wants to know.
    """
    weights, outputs = tableau.nonzero_weights, []
    for (start, h, is_output), stage_times in zip(steps, times, strict=True):
        slopes, _ = stages(tableau, func, stage_times, y, h, first)
        y, first = combine(y, slopes, weights, h), None
        if accepted is not None:
            accepted(start, h, slopes)
        if is_output:
            outputs.append(y)
    return outputs
