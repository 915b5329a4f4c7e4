"""Burgers' equation u_t + u u_x = ν u_xx on a circle, exactly and by a classical method."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import _checks
from .._tensors import finite, rows
from . import _numbers

TOO_FAR = 30  # what the logarithm of φ may span before rounding eats its small end


def burgers_initial(n: int, size: int, *, waves: int = 4, seed: int = 0) -> Tensor:
    """Random functions at the points 2πj/size of the circle, of the frequencies 1 … waves, root mean square about 0.7.

    The same seed gives the same functions on every grid; one of more than 2 · waves points carries them.

    Args:
        n: How many.
        size: Points.
        waves: The highest frequency.
        seed: Of a generator of their own.

    Returns:
        (n, size), on the CPU, in torch's default dtype.

    Raises:
        TypeError, ValueError: A number is not whole, or too small.
    """
    n, size, waves = (_checks.whole(*given) for given in (("n", n, 1), ("size", size, 2), ("waves", waves, 1)))
    draw = torch.Generator(device="cpu").manual_seed(_checks.seed(seed))
    on_cpu = {"dtype": torch.float64, "device": "cpu"}
    a = torch.randn(n, 2, waves, generator=draw, **on_cpu) / math.sqrt(2 * waves)
    x = 2 * math.pi * torch.arange(size, **on_cpu) / size
    k = torch.arange(1, waves + 1, device="cpu")[:, None] * x
    return (a[:, 0] @ k.cos() + a[:, 1] @ k.sin()).to(torch.get_default_dtype())


def burgers_cole_hopf(u0: Tensor, time: float, viscosity: float) -> Tensor:
    """u at `time` by the formula of Hopf (1950) and Cole (1951).

        u = −2ν (log φ)_x,    φ_t = ν φ_xx,    φ₀ = exp(−∫u₀ / 2ν)

    (Hopf, Comm. Pure Appl. Math. 3, 201–230; Cole, Quart. Appl. Math. 9, 225–236.) The heat equation is solved by its
    Fourier coefficients, in float64 whatever the dtype of u0.

    Args:
        u0: (n, N) at N evenly spaced points of [0, 2π), with mean zero; they must resolve φ₀.
        time, viscosity: Positive.

    Returns:
        (n, N), in the dtype and on the device of u0.

    Raises:
        TypeError: u0 is no tensor of float32 or float64, or a number none.
        ValueError: u0 is of another shape, not finite, or not of mean zero; a number is not positive; φ₀ spans more
            than rounding carries, or the points do not resolve it.
    """
    u, time, viscosity = _given(u0, time, viscosity)
    u = u.double()
    worst = (u.mean(-1).abs() / u.abs().amax(-1).clamp(min=torch.finfo(u.dtype).tiny)).max().item()
    if worst > 1e-6:  # as far as float32 rounds
        raise ValueError(f"u0 must have mean zero; got means up to {worst:.3g} of the largest value")
    size = u.shape[-1]
    k = torch.arange(size // 2 + 1).to(u)
    potential = torch.fft.irfft(torch.where(k > 0, torch.fft.rfft(u) / (1j * k.clamp(min=1)), 0), n=size)
    exponent = -potential / (2 * viscosity)
    if (spread := (exponent.amax(-1) - exponent.amin(-1)).max().item()) > TOO_FAR:
        raise ValueError(f"viscosity must be larger, or take `burgers`: φ₀ spans e^{spread:.0f}; got {viscosity:g}")
    c = torch.fft.rfft((exponent - exponent.amax(-1, keepdim=True)).exp()) * torch.exp(-viscosity * k**2 * time)
    phi = torch.fft.irfft(c, n=size)
    if not (phi > 0).all():  # the heat equation keeps φ positive
        raise ValueError(f"u0 must be given at more points: φ becomes negative between them; got {size}")
    return (-2 * viscosity * torch.fft.irfft(1j * k * c, n=size) / phi).to(u0.dtype)


def burgers(u0: Tensor, time: float, viscosity: float, *, steps: int) -> Tensor:
    """The same by the classical method: Fourier in space (2/3 rule), integrating factor and rk4 in time.

    Args:
        u0: (n, N) at N evenly spaced points of [0, 2π), of any mean, which is kept.
        time, viscosity: Positive.
        steps: Of rk4, of length time / steps.

    Returns:
        (n, N), in the dtype and on the device of u0.

    Raises:
        TypeError: u0 is no tensor of float32 or float64, or a number none.
        ValueError: u0 is of another shape or not finite, a number is not positive, or the steps are too long.
    """
    u, time, viscosity = _given(u0, time, viscosity)
    steps, size = _checks.whole("steps", steps, 1), u.shape[-1]
    k = torch.arange(size // 2 + 1).to(u)
    kept = (k < size / 3).to(u)
    h = time / steps
    half = torch.exp(-viscosity * k**2 * h / 2)

    def slope(c):
        return -0.5j * k * kept * torch.fft.rfft(torch.fft.irfft(c, n=size) ** 2)

    c = torch.fft.rfft(u)
    for _ in range(steps):
        k1 = slope(c)
        k2 = slope(half * (c + h / 2 * k1))
        k3 = slope(half * c + h / 2 * k2)
        k4 = slope(half**2 * c + h * half * k3)
        c = half**2 * c + h / 6 * (half**2 * k1 + 2 * half * (k2 + k3) + k4)
    found = torch.fft.irfft(c, n=size)
    if not found.abs().max() <= 2 * u.abs().max():  # the equation lets no value grow; the factor is for Gibbs's waves
        raise ValueError(f"steps must be more: the solution grew, which the equation forbids; got {steps}")
    return found


def _given(u0, time, viscosity):
    """The arguments of both ways to solve the equation, checked."""
    finite("u0", rows("u0", u0))
    if u0.shape[1] < 2:
        raise ValueError(f"u0 must be of shape (n, N ≥ 2); got {tuple(u0.shape)}")
    return u0, _numbers.positive("time", time), _numbers.positive("viscosity", viscosity)
