"""The exercises of chapter 06, irregular time series."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from helpers.lesson import Exercise, Exercises, same_function, same_number, same_option

# --- E6.3, a step at a kink -----------------------------------------------------------------------------------------


def _rk4(field, z, dx):
    """One step of rk4 along a straight piece: z' = F(z) dX over a unit of time."""
    k1 = field(z) @ dx
    k2 = field(z + k1 / 2) @ dx
    k3 = field(z + k2 / 2) @ dx
    k4 = field(z + k3) @ dx
    return z + (k1 + 2 * k2 + 2 * k3 + k4) / 6


def _solve(field, z0, x):
    z = z0
    for dx in x.diff(dim=0):
        z = _rk4(field, z, dx)
    return z


def _slope_from_the_left(field, z0, x):
    z, before = z0, x[1] - x[0]
    for dx in x.diff(dim=0):
        k1 = field(z) @ before  # at the knot: the slope of the piece before it
        k2 = field(z + k1 / 2) @ dx
        k3 = field(z + k2 / 2) @ dx
        k4 = field(z + k3) @ dx
        z, before = z + (k1 + 2 * k2 + 2 * k3 + k4) / 6, dx
    return z


def _euler(field, z0, x):
    z = z0
    for dx in x.diff(dim=0):
        z = z + field(z) @ dx
    return z


def _values(field, z0, x):
    z = z0
    for here in x[1:]:
        z = _rk4(field, z, here)
    return z


def _one_leap(field, z0, x):
    return _rk4(field, z0, x[-1] - x[0])


def _linear(A: Tensor):
    return lambda z: (A @ z).T  # (channels, hidden, hidden) on (hidden,): (hidden, channels)


def _bounded(A: Tensor):
    return lambda z: torch.tanh(A @ z).T


def _paths():
    draw = torch.Generator().manual_seed(0)
    A = torch.randn(2, 3, 3, generator=draw, dtype=torch.float64) / 2
    x, y = (torch.randn(n, 2, generator=draw, dtype=torch.float64) for n in (5, 8))
    start = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)
    return [(_linear(A), start, x), (_bounded(A), start, y)]


# --- E6.4, nothing from the future ----------------------------------------------------------------------------------


def _filled(fill):
    def causal(x):
        y = x.clone()
        for column in y.T:
            fill(column)
        return y

    return causal


def _forward(column):
    last = 0.0
    for k, value in enumerate(column.tolist()):
        last = last if math.isnan(value) else value
        column[k] = last


def _backward(column):
    following = 0.0
    for k in reversed(range(len(column))):
        value = column[k].item()
        following = following if math.isnan(value) else value
        column[k] = following


def _zeros(column):
    column.nan_to_num_(0.0)


def _mean(column):
    column.copy_(column.nan_to_num(column.nanmean().item()))


def _lines(column):
    known = (~column.isnan()).nonzero()[:, 0].tolist()
    for k in range(len(column)):
        if k in known:
            continue
        left, right = [i for i in known if i < k], [i for i in known if i > k]
        if left and right:
            i, j = left[-1], right[0]
            column[k] = column[i] + (k - i) / (j - i) * (column[j] - column[i])
        else:
            column[k] = column[left[-1]] if left else 0.0


def _gappy():
    nan = math.nan
    rows = [[1.0, nan], [nan, 2.0], [nan, nan], [4.0, nan], [nan, 5.0], [6.0, nan]]
    return [(torch.tensor(rows, dtype=torch.float64),)]


# --- E6.5, counts ---------------------------------------------------------------------------------------------------


def _counts(x):
    return (~x.isnan()).to(x.dtype).cumsum(0)


def _mask(x):
    return (~x.isnan()).to(x.dtype)


def _before(x):
    return _counts(x) - _mask(x)


def _of_rows(x):
    seen = (~x.isnan()).any(1).to(x.dtype).cumsum(0)
    return seen[:, None].expand(x.shape).clone()


# --- E6.6, a gap in two halves --------------------------------------------------------------------------------------


def _defect(advance, h, gap):
    once, twice = advance(h, gap), advance(advance(h, gap / 2), gap / 2)
    return ((twice - once).norm() / once.norm()).item()


def _same_gap_twice(advance, h, gap):
    once, twice = advance(h, gap), advance(advance(h, gap), gap)
    return ((twice - once).norm() / once.norm()).item()


def _one_half(advance, h, gap):
    once, half = advance(h, gap), advance(h, gap / 2)
    return ((half - once).norm() / once.norm()).item()


def _not_relative(advance, h, gap):
    return (advance(advance(h, gap / 2), gap / 2) - advance(h, gap)).norm().item()


def _largest(advance, h, gap):
    once, twice = advance(h, gap), advance(advance(h, gap / 2), gap / 2)
    return ((twice - once).abs().max() / once.abs().max()).item()


def _gaps():
    h = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    euler = lambda h, gap: h - gap * h + 0.1 * gap  # noqa: E731  one step: no flow
    cell = lambda h, gap: torch.tanh(h + gap)  # noqa: E731
    return [(euler, h, 0.8), (cell, h, 0.5)]


# --- E6.7, a harmonic forecast --------------------------------------------------------------------------------------


def _regression(harmonics: int, trend: bool = True, year: float = 2 * math.pi):
    def basis(t):
        columns = [torch.ones_like(t)] + ([t] if trend else [])
        for k in range(1, harmonics + 1):
            columns += [(k * year * t).cos(), (k * year * t).sin()]
        return torch.stack(columns, -1)

    def forecast(t, x, at):
        return (basis(at) @ torch.linalg.lstsq(basis(t), x[:, None]).solution)[:, 0]

    return forecast


_harmonic = _regression(2)
_no_trend = _regression(2, trend=False)
_one = _regression(1)
_in_weeks = _regression(2, year=2 * math.pi / 52)


def _windows():
    t = torch.tensor([0.0, 0.1, 0.15, 0.3, 0.45, 0.5, 0.7, 0.8, 1.0, 1.2, 1.35, 1.5, 1.8], dtype=torch.float64)
    noise = torch.randn(len(t), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = 350 + 1.5 * t + 3 * (2 * math.pi * t).cos() + (4 * math.pi * t).sin() + 0.3 * noise
    return [(t, x, torch.tensor([2.0, 2.1, 2.4], dtype=torch.float64))]


EXERCISES = [
    Exercise(
        "E6.1",
        "What a path without a clock cannot tell",
        level="recall",
        hints=(
            "Claims 6.4 and 6.5: what does another speed along the same path change?",
            "Which question is about *when*, and not about *what came after what*?",
        ),
        check=same_option("abcd", message="Make time a channel, and the speed is part of the shape."),
        solution="b",
        wrong={
            "The order of the points is the shape of the path: this much it can tell.": "a",
            "The last value minus the first is the first level of the signature.": "c",
            "Who leads and who follows is an area, and a clock changes no area.": "d",
        },
    ),
    Exercise(
        "E6.2",
        "An area",
        level="compute",
        hints=(
            "Draw the path. Which way round does it run, and how often?",
            "½ (S¹² − S²¹) counts an area anticlockwise as positive, and twice what is enclosed twice.",
        ),
        check=same_number(tol=1e-3, message="Twice around, clockwise: twice the area, with a minus sign."),
        solution=-4.0,
        wrong={
            "It runs clockwise: the area counts as negative.": 4.0,
            "It runs around twice, and each time the area is added.": -2.0,
            "S¹² − S²¹ is twice the area.": -8.0,
            "Clockwise is negative, and it runs around twice.": 2.0,
        },
    ),
    Exercise(
        "E6.3",
        "From knot to knot",
        level="derive",
        hints=(
            "Along the straight piece with the increment Δx, the equation is z′ = F(z) Δx for one unit of time.",
            "Take one step of the classic rk4 for this equation on each piece: the four slopes all use the same Δx.",
        ),
        check=same_function(_paths, message="No stage sees the slope of a piece that it is not on: order 4."),
        solution=_solve,
        wrong={
            "The first slope at a knot must use the piece that begins there, not the one before.": _slope_from_the_left,
            "This is Euler's method; the classic rk4 takes four slopes a piece.": _euler,
            "dX is a *difference* of the path's points, not a point.": _values,
            "One step over the whole path forgets what lies between its ends.": _one_leap,
        },
    ),
    Exercise(
        "E6.4",
        "Nothing from the future",
        level="derive",
        hints=(
            "At row k you may use rows 0 to k. What do you know of a channel that is missing there?",
            "Carry the last observed value of each channel forward; before the first one there is only 0.",
        ),
        check=same_function(_gappy, message="Test it as Section 3 does: change a later row, nothing before may move."),
        solution=_filled(_forward),
        wrong={
            "Straight lines bridge a gap towards the *next* value.": _filled(_lines),
            "This carries values back from the future.": _filled(_backward),
            "A zero says “the value was 0”; the last known value says less that is false.": _filled(_zeros),
            "The mean of a channel knows all its later values.": _filled(_mean),
        },
    ),
    Exercise(
        "E6.5",
        "How often was it seen?",
        level="compute",
        hints=(
            "One number for each row and channel: how many observations there were up to and with this row.",
            "`(~x.isnan())` is the mask; `cumsum` along the rows adds it up.",
        ),
        check=same_function(_gappy, message="As channels of a path the counts make missingness part of its shape."),
        solution=_counts,
        wrong={
            "This is the mask; its running sum is asked for.": _mask,
            "The observation of the row itself counts, too.": _before,
            "Every channel has its own count.": _of_rows,
        },
    ),
    Exercise(
        "E6.6",
        "A gap in two halves",
        level="derive",
        hints=(
            "Pass the gap once as a whole. Then pass half of it, and from the state that you get the other half.",
            "`advance(advance(h, gap / 2), gap / 2)`; the difference is measured in units of the first state's norm.",
        ),
        check=same_function(_gaps, message="Now try it on the GRU of Section 4, and on a flow with one step a gap."),
        solution=_defect,
        wrong={
            "Two *halves*: twice the whole gap is another time.": _same_gap_twice,
            "The second half is missing: go on from the state after the first.": _one_half,
            "Divide by the norm of the state after the gap in one piece.": _not_relative,
            "The norm is asked for, not the largest entry.": _largest,
        },
    ),
    Exercise(
        "E6.7",
        "The method to beat",
        level="extend",
        hints=(
            "Columns: 1, t, and cos and sin of 2πt and of 4πt, with t in years.",
            "`torch.linalg.lstsq(basis(t), x[:, None]).solution`, then multiply by the basis at the new times.",
        ),
        check=same_function(
            _windows, rtol=1e-6, message="Six numbers a window, no training: beat 0.81 ppm, or say why you cannot."
        ),
        solution=_harmonic,
        wrong={
            "Carbon dioxide rises from year to year: the basis needs a line.": _no_trend,
            "Two harmonics of the year are asked for: 2πt and 4πt.": _one,
            "t is in years, so that the year's wave is cos 2πt.": _in_weeks,
        },
    ),
]
exercises = Exercises(EXERCISES)
