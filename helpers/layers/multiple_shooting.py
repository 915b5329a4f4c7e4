"""A trajectory fitted piece by piece: differential equations with an unknown part, learnt from what they did."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.solvers import odeint

from . import _checks


class UDE(nn.Module):
    """A universal differential equation, x' = known(x) + unknown(t, x), for instance with a network for the unknown.

    (Rackauckas et al. 2020, Universal differential equations for scientific machine learning, arXiv 2001.04385.)

    Args:
        known: A function of the state (..., d), shaped like it; None leaves a neural ODE.
        unknown: A module called as unknown(t, x).

    Raises:
        TypeError: `unknown` is not a module, or `known` not callable.
    """

    def __init__(self, known: Callable[[Tensor], Tensor] | None, unknown: nn.Module):
        super().__init__()
        if known is not None and not callable(known):
            raise TypeError(f"known must be callable as known(x), or None; got {type(known).__name__}")
        self.known, self.unknown = known, _checks.module("unknown", unknown)

    def forward(self, t: float | Tensor, x: Tensor) -> Tensor:
        """(..., d) ↦ (..., d)."""
        learnt = self.unknown(t, x)
        return learnt if self.known is None else self.known(x) + learnt


class MultipleShooting(nn.Module):
    """A trajectory as windows that each solve the equation from a start of their own (Bock and Plitt 1984).

    The starts are parameters, which begin at the data: noise in them is fitted away, and no window is so long that the
    loss becomes rugged.

    Args:
        field: f, a module called as field(t, x).
        starts: (windows, d), the data at the first sample of each window.
        spacing: Time between two samples.
        steps: Steps of rk4 from sample to sample.

    Raises:
        TypeError, ValueError: `field` is not a module, `starts` no matrix, or a number out of range.
    """

    def __init__(self, field: nn.Module, starts: Tensor, spacing: float, steps: int = 1):
        super().__init__()
        self.field = _checks.module("field", field)
        if starts.ndim != 2 or not len(starts):
            raise ValueError(f"starts must be of shape (windows ≥ 1, d); got {tuple(starts.shape)}")
        self.starts = nn.Parameter(starts.detach().clone())
        self.spacing = _checks.positive_number("spacing", spacing)
        self.steps = _checks.whole_number("steps", steps, at_least=1)

    def forward(self, windows: Tensor) -> Tensor:
        """(windows, length, d), of which only the length is used, ↦ the solutions at the samples, the same shape.

        Raises:
            ValueError: It is of another shape.
        """
        count, d = self.starts.shape
        if windows.ndim != 3 or windows.shape[0] != count or windows.shape[1] < 2 or windows.shape[2] != d:
            raise ValueError(f"windows must be of shape ({count}, length ≥ 2, {d}); got {tuple(windows.shape)}")
        t = self.spacing * torch.arange(windows.shape[1], dtype=torch.float64)
        steps = {"num_steps": self.steps * (len(t) - 1)}
        return odeint(self.field, self.starts, t, method="rk4", options=steps).transpose(0, 1)


def shooting_windows(x: Tensor, length: int) -> Tensor:
    """A trajectory (n, d) cut into windows (windows, length, d): each begins at the sample where the last one ended.

    Raises:
        TypeError, ValueError: `length` is no whole number, at least 2, or the windows do not cover the samples.
    """
    length = _checks.whole_number("length", length, at_least=2)
    if x.ndim != 2 or len(x) < length or (len(x) - 1) % (length - 1):
        raise ValueError(f"x must be of shape (k ({length} − 1) + 1, d), to be covered by windows of {length}; "
                         f"got {tuple(x.shape)}")  # fmt: skip
    return x.unfold(0, length, length - 1).transpose(1, 2)


def shooting_loss(solution: Tensor, data: Tensor, continuity: float = 1.0) -> Tensor:
    """Mean square distance from the data, plus that of each window's end from the next one's start.

    Args:
        solution, data: (windows, length, d).
        continuity: The weight of the second term.
    """
    gaps = solution[:-1, -1] - solution[1:, 0]
    return (solution - data).square().mean() + (continuity * gaps.square().mean() if len(gaps) else 0.0)
