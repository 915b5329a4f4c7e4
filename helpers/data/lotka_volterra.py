"""Prey and predators: a cycle to learn from, with noise, beside its exact invariant."""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.solvers import odeint

from .. import _checks

# α, β, γ, δ, and a start, as in Rackauckas et al. 2020 (arXiv 2001.04385)
LOTKA_VOLTERRA = (1.3, 0.9, 0.8, 1.8)
START = (0.44249296, 4.6280594)


def lotka_volterra_field(t: float | Tensor, x: Tensor) -> Tensor:
    """(x', y') = (αx − βxy, γxy − δy): (..., 2) ↦ (..., 2)."""
    a, b, c, d = LOTKA_VOLTERRA
    x, y = x.unbind(-1)
    return torch.stack([a * x - b * x * y, c * x * y - d * y], dim=-1)


def lotka_volterra_invariant(x: Tensor) -> Tensor:
    """γx − δ log x + βy − α log y, which does not change along solutions: (..., 2) ↦ (...)."""
    a, b, c, d = LOTKA_VOLTERRA
    return c * x[..., 0] - d * x[..., 0].log() + b * x[..., 1] - a * x[..., 1].log()


def lotka_volterra(t: Tensor, *, start: tuple[float, float] = START, noise: float = 0.0, seed: int = 0) -> Tensor:
    """The solution at the times t, (len(t), 2), by dopri5 at rtol 1e-10, with noise.

    Args:
        t: (m ≥ 2,), increasing, the first that of `start`.
        start: Prey and predators, positive.
        noise: Standard deviation, in units of each species' mean.
        seed: Of the noise, from a generator of its own.
    """
    if min(start) <= 0:
        raise ValueError(f"start must be positive; got {start!r}")
    x = odeint(lotka_volterra_field, torch.tensor(start, dtype=torch.float64), t, rtol=1e-10, atol=1e-12)
    draw = torch.Generator().manual_seed(_checks.seed(seed))
    x = x + noise * x.mean(0) * torch.randn(x.shape, generator=draw, dtype=torch.float64)
    return x.to(torch.get_default_dtype())
