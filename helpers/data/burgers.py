"""Burgers' equation u_t + u u_x = ν u_xx on a circle, exactly and by a classical method."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import _checks

TOO_FAR = 30  # what the logarithm of φ may span before rounding eats its small end


def burgers_initial(n: int, size: int, *, waves: int = 4, seed: int = 0) -> Tensor:
    """Random functions on [0, 2π), of the frequencies 1 … waves: (n, size), root mean square about 0.7.

    The same seed gives the same functions on every grid.

    Raises:
        TypeError, ValueError: A number is not whole, or too small.
    """
    n, size, waves = (_checks.whole(*given) for given in (("n", n, 1), ("size", size, 2), ("waves", waves, 1)))
    draw = torch.Generator().manual_seed(_checks.seed(seed))
    a = torch.randn(n, 2, waves, generator=draw, dtype=torch.float64) / math.sqrt(2 * waves)
    x = 2 * math.pi * torch.arange(size, dtype=torch.float64) / size
    k = torch.arange(1, waves + 1)[:, None] * x
    return (a[:, 0] @ k.cos() + a[:, 1] @ k.sin()).to(torch.get_default_dtype())


def burgers_cole_hopf(u0: Tensor, time: float, viscosity: float) -> Tensor:
    """u at `time` by the formula of Hopf (1950) and Cole (1951): u = −2ν (log φ)_x, φ_t = ν φ_xx, φ₀ = exp(−∫u₀/2ν).

    Args:
        u0: (n, N) on an even grid of [0, 2π), with mean zero; the grid must resolve φ₀.
        time, viscosity: Positive.

    Returns:
        (n, N).

    Raises:
        ValueError: φ₀ spans more than rounding carries, or a mean is not zero.
    """
    if u0.mean(-1).abs().max() > 1e-6:
        raise ValueError(f"u0 must have mean zero; got means up to {u0.mean(-1).abs().max():.3g}")
    size = u0.shape[-1]
    k = torch.arange(size // 2 + 1).to(u0)
    c = torch.fft.rfft(u0)
    potential = torch.fft.irfft(torch.where(k > 0, c / (1j * k.clamp(min=1)), 0), n=size)
    exponent = -potential / (2 * viscosity)
    if (spread := (exponent.amax(-1) - exponent.amin(-1)).max().item()) > TOO_FAR:
        raise ValueError(f"viscosity must be larger, or take `burgers`: φ₀ spans e^{spread:.0f}; got {viscosity:g}")
    phi = torch.fft.rfft((exponent - exponent.amax(-1, keepdim=True)).exp()) * torch.exp(-viscosity * k**2 * time)
    return -2 * viscosity * torch.fft.irfft(1j * k * phi, n=size) / torch.fft.irfft(phi, n=size)


def burgers(u0: Tensor, time: float, viscosity: float, *, steps: int) -> Tensor:
    """The same by the classical method: Fourier in space (2/3 rule), integrating factor and rk4 in time."""
    size = u0.shape[-1]
    k = torch.arange(size // 2 + 1).to(u0)
    kept = (k < size / 3).to(u0)
    h = time / _checks.whole("steps", steps, 1)
    half = torch.exp(-viscosity * k**2 * h / 2)

    def slope(c):
        return -0.5j * k * kept * torch.fft.rfft(torch.fft.irfft(c, n=size) ** 2)

    c = torch.fft.rfft(u0)
    for _ in range(steps):
        k1 = slope(c)
        k2 = slope(half * (c + h / 2 * k1))
        k3 = slope(half * c + h / 2 * k2)
        k4 = slope(half**2 * c + h * half * k3)
        c = half**2 * c + h / 6 * (half**2 * k1 + 2 * half * (k2 + k3) + k4)
    return torch.fft.irfft(c, n=size)
