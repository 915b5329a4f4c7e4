"""Two classes in the plane, as pictures need them.

Each function returns x (n, 2) in torch's default dtype and y (n,) int64, on the CPU. Sample i has the label i
mod 2, so every slice is balanced to within one. The numbers come from a generator of their own: the same seed
gives the same points whatever else has drawn random numbers before, in float64 before they are rounded to the
default dtype.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import _checks


def moons(n: int, *, noise: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two interleaved half circles, as `sklearn.datasets.make_moons` defines them.

    With θ uniform on [0, π]: class 0 at (cos θ, sin θ), class 1 at (1 − cos θ, ½ − sin θ), plus Gaussian
    noise.

    Args:
        n: Number of points, at least 2.
        noise: Standard deviation of the noise in each coordinate.
        seed: Of the random numbers.

    Returns:
        x (n, 2), y (n,).
    """
    y, generator = _labels(n), _generator(seed)
    angle = math.pi * _uniform(n, generator)
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], dim=1)
    return _finish(torch.where(y[:, None] == 0, upper, lower), noise, generator), y


def annuli(
    n: int, *, inner: float = 0.5, outer: tuple[float, float] = (1.0, 1.5), seed: int = 0
) -> tuple[Tensor, Tensor]:
    """A disc and a ring around it, each filled uniformly: no flow of the plane separates them by a line.

    Class 0 has ‖x‖ ≤ `inner`, class 1 has `outer[0]` ≤ ‖x‖ ≤ `outer[1]` (the function g of Dupont et al.
    2019, arXiv 1904.01681, in two dimensions). The radius is √(a² + u (b² − a²)) with u uniform, hence
    uniform in area.

    Args:
        n: Number of points, at least 2.
        inner: Radius of the disc.
        outer: Inner and outer radius of the ring.
        seed: Of the random numbers.

    Returns:
        x (n, 2), y (n,).

    Raises:
        ValueError: Not 0 < inner < outer[0] < outer[1].
    """
    if not 0 < inner < outer[0] < outer[1] < math.inf:
        raise ValueError(f"radii must satisfy 0 < inner < outer[0] < outer[1]; got {inner=}, {outer=}")
    y, generator = _labels(n), _generator(seed)
    ring = y.double()  # 1 in the ring, 0 in the disc
    low, high = outer[0] * ring, inner + (outer[1] - inner) * ring
    radius = (low**2 + _uniform(n, generator) * (high**2 - low**2)).sqrt()
    angle = 2 * math.pi * _uniform(n, generator)
    return _finish(_polar(radius, angle), 0.0, generator), y


def spirals(n: int, *, noise: float = 0.02, turns: float = 1.5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two Archimedean arms that wind around each other, half a turn apart.

    With r = √u, u uniform on [0, 1] (about as many points a unit of length near the centre as far out): class
    y lies at radius r and angle 2π · turns · r + πy, plus Gaussian noise.

    Args:
        n: Number of points, at least 2.
        noise: Standard deviation of the noise in each coordinate; neighbouring arms are 1 / (2 · turns)
            apart.
        turns: How often an arm winds around the centre.
        seed: Of the random numbers.

    Returns:
        x (n, 2), y (n,); without noise ‖x‖ ≤ 1.

    Raises:
        ValueError: `turns` is not positive and finite.
    """
    if not 0 < turns < math.inf:
        raise ValueError(f"turns must be positive and finite; got {turns}")
    y, generator = _labels(n), _generator(seed)
    radius = _uniform(n, generator).sqrt()
    return _finish(_polar(radius, 2 * math.pi * turns * radius + math.pi * y.double()), noise, generator), y


def _labels(n):
    return torch.arange(_checks.whole("n", n, 2, ", one point a class"), device="cpu") % 2


def _generator(seed):
    return torch.Generator(device="cpu").manual_seed(_checks.seed(seed))


def _uniform(n, generator):
    return torch.rand(n, generator=generator, dtype=torch.float64, device="cpu")


def _polar(radius, angle):
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def _finish(x, noise, generator):
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise must be a standard deviation, ≥ 0 and finite; got {noise}")
    x = x + noise * torch.randn(x.shape, generator=generator, dtype=torch.float64, device="cpu")
    return x.to(torch.get_default_dtype())
