"""The numerics of the pictures of chapter 06, each a function of its parameters alone; and the signature of a path."""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

from helpers.data import sunspots
from helpers.solvers import cdeint, control_path

FIRST_YEAR = 1994  # of the path that is sculpted
FINE = 401  # points that a path is drawn at
CORNERS = 241  # of a loop
MEMORY = 0.25  # a year: by what the state of the picture forgets


# --- signatures ----------------------------------------------------------------------------------------------------


def signature(x: Tensor) -> tuple[Tensor, Tensor]:
    """Levels one and two of the signature of the piecewise-linear path x (..., length, channels), by Chen's identity.

    S¹ = ∫ dX and S² = ∫ (X − X(0)) ⊗ dX: shapes (..., channels) and (..., channels, channels).
    """
    steps = x.diff(dim=-2)
    middle = x[..., :-1, :] - x[..., :1, :] + steps / 2
    return x[..., -1, :] - x[..., 0, :], middle.mT @ steps


def levy_area(x: Tensor) -> Tensor:
    """½ (S¹² − S²¹) of a path in the plane, x (..., length, 2): the signed area between the path and its chord."""
    _, level2 = signature(x)
    return (level2[..., 0, 1] - level2[..., 1, 0]) / 2


@lru_cache(maxsize=256)
def lead(lag: float, turns: int, warped: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Two signals, the second later than the first by `lag` degrees.

    Returns:
        Times in [0, 1], (CORNERS,); the path (CORNERS, 2); its Lévy area.
    """
    s = torch.linspace(0, 1, CORNERS, dtype=torch.float64)
    phase = 2 * math.pi * turns * (s**2 if warped else s)
    path = torch.stack([phase.cos(), (phase - math.radians(lag)).cos()], -1)
    return s.numpy(), path.numpy(), levy_area(path).item()


# --- a path through sunspots ---------------------------------------------------------------------------------------


@cache
def spots() -> tuple[np.ndarray, np.ndarray]:
    """Years and yearly mean sunspot numbers from FIRST_YEAR on."""
    years, values = (part.numpy() for part in sunspots())
    late = years >= FIRST_YEAR
    return years[late].astype(int), values[late].astype(float)


@cache
def fine() -> np.ndarray:
    """The times that a path is drawn at, (FINE,)."""
    years, _ = spots()
    return np.linspace(years[0], years[-1], FINE)


def _forgets(t, z):
    """F(z) = (−MEMORY z, 1) for the channels time and value: z is what an average with decaying weights has seen."""
    return torch.stack([-MEMORY * z, torch.ones_like(z)], -1)


@lru_cache(maxsize=512)
def sculpted(kind: str, year: int, change: float) -> tuple[np.ndarray, np.ndarray]:
    """The path through the sunspots when that year's number is changed, and what a CDE makes of it.

    Returns:
        The path (FINE,), and the state of the CDE at the years.
    """
    years, values = spots()
    moved = values + change * (years == year)
    t = torch.tensor(years, dtype=torch.float64)
    X = control_path(torch.stack([t, torch.tensor(moved)], -1), t, kind)
    state = cdeint(X, _forgets, torch.zeros(1, dtype=torch.float64), t, method="rk4")[:, 0]
    return X.evaluate(torch.tensor(fine()))[:, 1].numpy(), state.numpy()


def moved_past(kind: str, year: int, change: float) -> tuple[np.ndarray, float]:
    """By what the path moves, (FINE,), and the largest move before the year that precedes the changed one."""
    gap = np.abs(sculpted(kind, year, change)[0] - sculpted(kind, year, 0.0)[0])
    return gap, gap[fine() <= year - 1].max()
