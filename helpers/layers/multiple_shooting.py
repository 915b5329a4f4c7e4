"""A trajectory fitted piece by piece: differential equations with an unknown part, learnt from what they did."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers._tensors import real, rows, same_kind
from helpers.solvers import odeint

from . import _checks, _weights


class UDE(nn.Module):
    """A universal differential equation, x' = known(x) + unknown(t, x), for instance with a network for the unknown.

    (Rackauckas et al. 2020, Universal differential equations for scientific machine learning, arXiv 2001.04385.)

    Args:
        known: A function of the state (..., d), shaped like it; None leaves a neural ODE.
        unknown: A module called as unknown(t, x), which keeps the shape of x.

    Raises:
        TypeError: `unknown` is not a module, or `known` not callable.
    """

    def __init__(self, known: Callable[[Tensor], Tensor] | None, unknown: nn.Module):
        super().__init__()
        if known is not None and not callable(known):
            raise TypeError(f"known must be callable as known(x), or None; got {type(known).__name__}")
        self.known, self.unknown = known, _checks.module("unknown", unknown)

    def forward(self, t: float | Tensor, x: Tensor) -> Tensor:
        """(..., d) ↦ (..., d).

        Raises:
            ValueError: A part does not keep the shape of x.
        """
        learnt = _checks.velocity("unknown", self.unknown, t, x)
        if self.known is None:
            return learnt
        known = self.known(x)
        if getattr(known, "shape", None) != x.shape:  # (n, 1) would broadcast without a word
            got = tuple(known.shape) if isinstance(known, Tensor) else type(known).__name__
            raise ValueError(f"known must keep the state's shape {tuple(x.shape)}; got {got}")
        return known + learnt


class MultipleShooting(nn.Module):
    """A trajectory as windows that each solve x' = f(t, x) from a start of their own.

    The starts are parameters, which begin at the data: noise in them is fitted away, and no window is so long that the
    loss becomes rugged (Bock and Plitt 1984, A multiple shooting algorithm for direct solution of optimal control
    problems, IFAC Proceedings 17(2), 1603–1608). The clock of each window begins at 0, so f should not depend on t.

    Args:
        field: f, a module called as field(t, x).
        starts: (windows, d), the data at the first sample of each window; copied.
        spacing: Time between two samples.
        steps: Steps of rk4 from sample to sample.

    Raises:
        TypeError: `field` is not a module, `starts` no tensor of float32 or float64 or not like the field's weights, or
            a number none.
        ValueError: `starts` is no matrix, empty or not finite, or a number out of range.
    """

    def __init__(self, field: nn.Module, starts: Tensor, spacing: float, steps: int = 1):
        super().__init__()
        self.field = _checks.module("field", field)
        self.starts = nn.Parameter(_weights.finite_rows("starts", starts, "field", field).detach().clone())
        self.spacing = _checks.positive_number("spacing", spacing)
        self.steps = _checks.whole_number("steps", steps, at_least=1)

    def forward(self, windows: Tensor) -> Tensor:
        """(windows, length, d), of which only the length is used, ↦ the solutions at the samples, the same shape.

        Raises:
            TypeError: It is not a tensor.
            ValueError: It is of another shape, or the field does not keep the shape of the starts.
            NonFiniteStateError: A solution became infinite.
        """
        if not isinstance(windows, Tensor):
            raise TypeError(f"windows must be a tensor, (windows, length, d); got {type(windows).__name__}")
        count, d = self.starts.shape
        if windows.ndim != 3 or windows.shape[0] != count or windows.shape[1] < 2 or windows.shape[2] != d:
            raise ValueError(f"windows must be of shape ({count}, length ≥ 2, {d}); got {tuple(windows.shape)}")
        t = self.spacing * torch.arange(windows.shape[1], dtype=torch.float64)
        steps = {"num_steps": self.steps * (len(t) - 1)}
        return odeint(self.field, self.starts, t, method="rk4", options=steps).transpose(0, 1)


def shooting_windows(x: Tensor, length: int) -> Tensor:
    """A trajectory (n, d) cut into windows (windows, length, d): each begins at the sample where the last one ended.

    The windows are a view of x, not a copy.

    Raises:
        TypeError: x is no tensor of float32 or float64, or `length` no whole number.
        ValueError: `length` is below 2, x no matrix, or the windows do not cover the samples.
    """
    length = _checks.whole_number("length", length, at_least=2)
    if len(rows("x", x)) < length or (len(x) - 1) % (length - 1):
        raise ValueError(f"x must be of shape (k ({length} − 1) + 1, d), to be covered by windows of {length}; "
                         f"got {tuple(x.shape)}")  # fmt: skip
    return x.unfold(0, length, length - 1).transpose(1, 2)


def shooting_loss(solution: Tensor, data: Tensor, continuity: float = 1.0) -> Tensor:
    """Mean square distance from the data, plus that of each window's end from the next one's start: a 0-d tensor.

    Args:
        solution, data: (windows, length, d).
        continuity: The weight of the second term, at least 0.

    Raises:
        TypeError: A tensor is not of float32 or float64, they differ in dtype or device, or `continuity` is no number.
        ValueError: They are of different shapes, not of three axes or empty, or `continuity` is negative.
    """
    same_kind("data", real("data", data), "solution", real("solution", solution))
    if solution.ndim != 3 or not solution.numel() or solution.shape != data.shape:
        got = f"{tuple(solution.shape)} and {tuple(data.shape)}"
        raise ValueError(f"solution and data must be of one shape (windows, length, d), not empty; got {got}")
    continuity = _checks.number_from_zero("continuity", continuity)
    gaps = solution[:-1, -1] - solution[1:, 0]
    return (solution - data).square().mean() + (continuity * gaps.square().mean() if len(gaps) else 0.0)
