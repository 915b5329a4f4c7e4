"""The pendulum, q' = p and p' = −sin q: noisy velocities to learn from, and its exact motion."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import ellipj, ellipk
from torch import Tensor

from .. import _checks


def pendulum_field(t: float | Tensor, x: Tensor) -> Tensor:
    """(q', p') = (p, −sin q): (..., 2) ↦ (..., 2)."""
    q, p = x.chunk(2, dim=-1)
    return torch.cat([p, -q.sin()], dim=-1)


def pendulum_energy(x: Tensor) -> Tensor:
    """H = p²/2 + 1 − cos q, (..., 2) ↦ (...): 0 at rest, 2 where the pendulum just goes over the top."""
    return x[..., 1] ** 2 / 2 + 1 - x[..., 0].cos()


def pendulum(n: int, *, noise: float = 0.1, top: float = 1.8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """States of energy at most `top`, uniform there, and their velocities with Gaussian noise.

    Args:
        n: How many.
        noise: Standard deviation in each velocity.
        top: Largest energy, 0 < top ≤ 2.
        seed: Of a generator of their own.

    Returns:
        x (n, 2), y (n, 2), on the CPU, in torch's default dtype.

    Raises:
        TypeError, ValueError: A number is not as above.
    """
    n = _checks.whole("n", n, 1)
    if not 0 < top <= 2:
        raise ValueError(f"top must be in (0, 2]; got {top!r}")
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise must be at least 0 and finite; got {noise!r}")
    draw = torch.Generator().manual_seed(_checks.seed(seed))
    reach = torch.tensor([math.acos(1 - top), math.sqrt(2 * top)], dtype=torch.float64)
    x = (2 * torch.rand(8 * n + 64, 2, generator=draw, dtype=torch.float64) - 1) * reach
    x = x[pendulum_energy(x) <= top][:n]
    y = pendulum_field(0, x) + noise * torch.randn(n, 2, generator=draw, dtype=torch.float64)
    return x.to(torch.get_default_dtype()), y.to(torch.get_default_dtype())


def pendulum_exact(q0: float, t: Tensor) -> Tensor:
    """The motion of a pendulum released at rest from the angle q0, |q0| < π, by Jacobi's functions: (len(t), 2)."""
    if not abs(q0) < math.pi:
        raise ValueError(f"q0 must be in (−π, π); got {q0!r}")
    k = math.sin(q0 / 2)
    sn, cn, dn, _ = ellipj(ellipk(k * k) - np.asarray(t, dtype=float), k * k)
    x = np.stack([2 * np.arcsin(k * sn), -2 * k * cn], axis=-1)
    return torch.from_numpy(x).to(torch.get_default_dtype())
