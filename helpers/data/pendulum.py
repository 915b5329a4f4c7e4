"""The pendulum, q' = p and p' = −sin q: noisy velocities to learn from, and its exact motion."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import ellipj, ellipk
from torch import Tensor

from .. import _checks
from .._tensors import points
from . import _numbers

NEAR_THE_TOP = 1e-4  # rad: closer to π the modulus k rounds to 1, where SciPy's functions no longer know the period


def pendulum_field(t: float | Tensor, x: Tensor) -> Tensor:
    """(q', p') = (p, −sin q), whatever t: (..., 2) ↦ (..., 2); length, mass and gravity are one.

    Raises:
        TypeError, ValueError: x is no tensor of float32 or float64, or of another shape.
    """
    q, p = points("x", x, 2).chunk(2, dim=-1)
    return torch.cat([p, -q.sin()], dim=-1)


def pendulum_energy(x: Tensor) -> Tensor:
    """H = p²/2 + 1 − cos q, (..., 2) ↦ (...): 0 at rest, 2 where the pendulum just goes over the top.

    Raises:
        TypeError, ValueError: x is no tensor of float32 or float64, or of another shape.
    """
    q, p = points("x", x, 2).unbind(-1)
    return p**2 / 2 + 1 - q.cos()


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
    n, noise = _checks.whole("n", n, 1), _numbers.noise(noise)
    if not 0 < _numbers.number("top", top, "in (0, 2]") <= 2:
        raise ValueError(f"top must be in (0, 2]; got {top!r}")
    draw = torch.Generator(device="cpu").manual_seed(_checks.seed(seed))
    on_cpu = {"dtype": torch.float64, "device": "cpu"}
    reach = torch.tensor([math.acos(1 - top), math.sqrt(2 * top)], **on_cpu)
    # at least 0.63 of the box has such an energy, so this many points are enough for every n
    x = (2 * torch.rand(8 * n + 64, 2, generator=draw, **on_cpu) - 1) * reach
    x = x[pendulum_energy(x) <= top][:n]
    y = pendulum_field(0, x) + noise * torch.randn(n, 2, generator=draw, **on_cpu)
    return x.to(torch.get_default_dtype()), y.to(torch.get_default_dtype())


def pendulum_exact(q0: float, t: Tensor) -> Tensor:
    """The motion of a pendulum released at rest from the angle q0 at time 0, by Jacobi's elliptic functions.

        q = 2 arcsin(k sn(K − t)), p = −2 k cn(K − t), modulus k = sin(q0/2), K(k) a quarter of the period

    (Whittaker and Watson 1927, A course of modern analysis, § 22.7).

    Args:
        q0: In radians, |q0| < π − 10⁻⁴.
        t: Times, (m,), a tensor or an array, in any order, negative ones too.

    Returns:
        (m, 2), on the CPU, in torch's default dtype.

    Raises:
        TypeError, ValueError: q0 is no number, or too near the top; t is not real, not a vector, or not finite.
    """
    if not abs(_numbers.number("q0", q0, "in (−π, π)")) < math.pi - NEAR_THE_TOP:
        raise ValueError(f"q0 must be in (−π, π), at least {NEAR_THE_TOP:g} from both ends; got {q0!r}")
    times = _times(t)
    k = math.sin(q0 / 2)
    sn, cn, _, _ = ellipj(ellipk(k * k) - times, k * k)
    x = np.stack([2 * np.arcsin(k * sn), -2 * k * cn], axis=-1)
    return torch.from_numpy(x).to(torch.get_default_dtype())


def _times(t):
    """Times as an array of float64."""
    if not isinstance(t, (Tensor, np.ndarray)):
        raise TypeError(f"t must be a tensor or an array of times; got {type(t).__name__}")
    times = t.detach().cpu().numpy() if isinstance(t, Tensor) else t
    if times.dtype.kind not in "iuf":
        raise TypeError(f"t must be of real times; got {t.dtype}")
    if times.ndim != 1 or not np.isfinite(times).all():
        raise ValueError(f"t must be of shape (m,) and finite; got shape {times.shape}, {times!s:.80}")
    return times.astype(float)
