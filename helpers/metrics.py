"""How far samples are from what they should be: none of these numbers sees everything."""

from __future__ import annotations

import torch
from torch import Tensor

from . import _checks, _tensors


def sliced_wasserstein(x: Tensor, y: Tensor, *, directions: int = 256, seed: int = 0) -> float:
    """Mean over random directions u of the 1-Wasserstein distance between u·x and u·y, for equally large samples.

    Each is the mean distance of the sorted projections, in the units of x (Rabin et al. 2012, Wasserstein barycenter
    and its application to texture mixing).

    Args:
        x, y: (n, d) each, of one dtype, finite.
        directions: How many.
        seed: Of the directions, drawn on the CPU in float64.

    Raises:
        TypeError: x or y is no tensor of float32 or float64, or they differ in dtype or device; a number is not whole.
        ValueError: The samples are empty, of different shapes or not finite, or a number is out of its range.
    """
    _pair("y", y, "x", x)
    if x.shape != y.shape:
        raise ValueError(f"x and y must be of one shape (n, d); got {tuple(x.shape)} and {tuple(y.shape)}")
    draw = torch.Generator().manual_seed(_checks.seed(seed))
    u = torch.randn(x.shape[1], _checks.whole("directions", directions, 1), generator=draw, dtype=torch.float64)
    u = (u / u.norm(dim=0)).to(x)
    return ((x @ u).sort(0).values - (y @ u).sort(0).values).abs().mean().item()


def frechet(x: Tensor, y: Tensor) -> float:
    """‖m − m'‖² + tr(C + C' − 2 (C C')^½) of two samples (n, d) and (n', d), of two points each at least.

    The squared 2-Wasserstein distance of the Gaussians with their means and covariances (Dowson and Landau 1982, The
    Fréchet distance between multivariate normal distributions), in the squared units of x: it sees two moments and
    nothing else. It falls as the samples grow: compare equal numbers only. Computed in float64; what rounding brings
    below 0 is 0.

    Raises:
        TypeError: x or y is no tensor of float32 or float64, or they differ in dtype or device.
        ValueError: The shapes do not fit, or an entry is not finite.
    """
    _pair("y", y, "x", x, least=2)
    x, y = x.double(), y.double()
    # of one column torch.cov makes a number
    a, b = torch.cov(x.T).reshape(x.shape[1], -1), torch.cov(y.T).reshape(x.shape[1], -1)
    root = torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()
    distance = (x.mean(0) - y.mean(0)).square().sum() + a.trace() + b.trace() - 2 * root
    return distance.clamp(min=0).item()


def nearest(x: Tensor, reference: Tensor) -> Tensor:
    """Euclidean distance of each x (n, d) from the nearest of the reference (m, d): (n,). Holds n × m numbers at once.

    Of generated samples it is compared with that of real ones which nobody trained on: far smaller, they are copies.

    Raises:
        TypeError: x or reference is no tensor of float32 or float64, or they differ in dtype or device.
        ValueError: The shapes do not fit, one is empty, or an entry is not finite.
    """
    _pair("reference", reference, "x", x)
    # by differences: ‖x‖² + ‖y‖² − 2 x·y leaves 1e-7 where the distance is 0
    return torch.cdist(x, reference, compute_mode="donot_use_mm_for_euclid_dist").min(1).values


def _pair(name, y, first, x, least=1):
    """Two finite samples in one space."""
    _tensors.rows(first, x, least=least)
    _tensors.rows(name, y, x.shape[1], least=least)
    _tensors.same_kind(name, y, first, x)
    _tensors.finite(first, x)
    _tensors.finite(name, y)
