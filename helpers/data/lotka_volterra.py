"""Prey and predators: a cycle to learn from, with noise, beside its exact invariant."""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.solvers import odeint

from .. import _checks
from .._tensors import points
from . import _numbers

# α, β, γ, δ, and a start, as in Rackauckas et al. 2020 (arXiv 2001.04385)
LOTKA_VOLTERRA = (1.3, 0.9, 0.8, 1.8)
START = (0.44249296, 4.6280594)


def lotka_volterra_field(t: float | Tensor, x: Tensor) -> Tensor:
    """(x', y') = (αx − βxy, γxy − δy), whatever t: (..., 2) ↦ (..., 2).

    Raises:
        TypeError, ValueError: x is no tensor of float32 or float64, or of another shape.
    """
    a, b, c, d = LOTKA_VOLTERRA
    x, y = points("x", x, 2).unbind(-1)
    return torch.stack([a * x - b * x * y, c * x * y - d * y], dim=-1)


def lotka_volterra_invariant(x: Tensor) -> Tensor:
    """γx − δ log x + βy − α log y, which does not change along solutions: (..., 2) ↦ (...).

    Raises:
        TypeError, ValueError: x is no tensor of float32 or float64, of another shape, or not positive.
    """
    a, b, c, d = LOTKA_VOLTERRA
    if not (points("x", x, 2) > 0).all():
        raise ValueError(f"x must be positive, as numbers of animals are; got {x.min().item():g}")
    return c * x[..., 0] - d * x[..., 0].log() + b * x[..., 1] - a * x[..., 1].log()


def lotka_volterra(t: Tensor, *, start: tuple[float, float] = START, noise: float = 0.0, seed: int = 0) -> Tensor:
    """The solution at the times t by dopri5 at rtol 1e-10, with Gaussian noise.

    Args:
        t: (m ≥ 2,), increasing, the first that of `start`.
        start: Prey and predators, positive.
        noise: Standard deviation, in units of each species' mean over the m samples.
        seed: Of the noise, from a generator of its own.

    Returns:
        (m, 2), on the CPU, in torch's default dtype.

    Raises:
        TypeError, ValueError: t is no such tensor, `start` not two positive numbers, or `noise` or `seed` none.
    """
    try:
        prey, predators = start
    except (TypeError, ValueError):
        raise TypeError(f"start must be two numbers, prey and predators; got {start!r:.80}") from None
    on_cpu = {"dtype": torch.float64, "device": "cpu"}
    y0 = torch.tensor([_numbers.positive("start", prey), _numbers.positive("start", predators)], **on_cpu)
    noise, draw = _numbers.noise(noise), torch.Generator(device="cpu").manual_seed(_checks.seed(seed))
    if isinstance(t, Tensor) and t.ndim == 1 and len(t) > 1 and t[0] > t[-1]:  # the rest odeint refuses
        raise ValueError(f"t must be increasing; got times from {t[0].item():g} to {t[-1].item():g}")
    x = odeint(lotka_volterra_field, y0, t, rtol=1e-10, atol=1e-12)
    x = x + noise * x.mean(0) * torch.randn(x.shape, generator=draw, **on_cpu)
    return x.to(torch.get_default_dtype())
