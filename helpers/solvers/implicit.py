"""Implicit Runge–Kutta: stages that are solutions of nonlinear systems (see `newton`)."""

from __future__ import annotations

import torch

from . import newton
from .explicit import combine
from .grid import Step
from .tableaux import Tableau


def integrate(tableau: Tableau, func, y, steps, times, first=None, *, choice=None, scale=None):
    """Walk along `steps`: a `plan.Walker`.

    Derivatives follow the implicit function theorem at the solution of each stage, not the iteration: they are exact
    to the Newton tolerance, and first order only.

    Args:
        choice: A `newton.Choice`, how the linear systems are solved.
        scale: The largest |y| of the solve before this walk.

    Raises:
        NewtonError: A stage did not converge; the text has time, step size, method, residual and iteration count.
    """
    outputs, choice, scale = [], choice or newton.Choice(), newton.size(y) if scale is None else scale
    for (start, h, is_output), stage_times in zip(steps, times, strict=True):
        scale = torch.maximum(scale, newton.size(y))
        slopes, y = step(tableau, func, stage_times, y, start, h, choice, scale, first)
        first = slopes[-1] if tableau.first_same_as_last else None
        if is_output:
            outputs.append(y)
    return outputs


def step(tableau: Tableau, func, times, y, start, h, choice, scale, first=None):
    """The slopes of one step from `start` over h, and the state it ends in.

    Args:
        times: The times of the stages, in the form that `func` wants them.
        choice, scale: As for `integrate`.
        first: k_1 where the caller has it already, for a method whose first stage is y itself.
    """
    slopes, point = [], y
    for block in tableau.blocks:
        known = combine(y, slopes, [(j, w) for j, w in tableau.nonzero_rows[block[0]] if j < block[0]], h)
        if not any(tableau.a[block[0]][block[0] :]):
            point = known
            slopes.append(func(times[block[0]], known) if first is None or block[0] else first)
            continue
        rows = tuple(tableau.a[i][block[0] : block[-1] + 1] for i in block)
        system = newton.System(tableau.name, func, tuple(times[i] for i in block), rows, start, h, choice, scale)
        points = newton.solve(system, known, guess=point)
        point = points[-1]
        slopes += _slopes(tableau, points, known, rows, h)
    # the sum over the slopes would only add rounding to a last stage that is the result already
    return slopes, point if tableau.stiffly_accurate else combine(y, slopes, tableau.nonzero_weights, h)


def _slopes(tableau, points, known, rows, h):
    """k = A⁻¹ (Y − known) / h: on a stiff problem closer to the truth than f(Y), which amplifies what is left in Y."""
    moves = [point - known for point in points]
    if len(points) == 1:
        return [moves[0] / (rows[0][0] * h)]
    return [sum(move * (w / h) for w, move in zip(row, moves, strict=True)) for row in tableau.inverse]


def increment(tableau: Tableau, func, times, y, h, *, choice=None, scale=None):
    """Ψ_h(t, y): what one step adds to y."""
    # the start names the step in a message; the first stage's time is where it begins, or close to it
    (y_next,) = integrate(tableau, func, y, [Step(float(times[0]), h, True)], [times], choice=choice, scale=scale)
    return y_next - y
