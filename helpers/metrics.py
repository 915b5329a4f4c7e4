"""How far samples are from what they should be: none of these numbers sees everything."""

from __future__ import annotations

import torch
from torch import Tensor

from . import _checks


def sliced_wasserstein(x: Tensor, y: Tensor, *, directions: int = 256, seed: int = 0) -> float:
    """Mean over random directions of the 1-Wasserstein distance between the projections of two equally large samples.

    Args:
        x, y: (n, d) each.
        directions: How many.
        seed: Of the directions, drawn on the CPU.

    Raises:
        ValueError: The samples are empty, or of different shapes.
    """
    if x.shape != y.shape or x.ndim != 2 or not len(x):
        raise ValueError(f"x and y must be of one shape (n ≥ 1, d); got {tuple(x.shape)} and {tuple(y.shape)}")
    draw = torch.Generator().manual_seed(_checks.seed(seed))
    u = torch.randn(x.shape[1], _checks.whole("directions", directions, 1), generator=draw, dtype=torch.float64)
    u = (u / u.norm(dim=0)).to(x)
    return ((x @ u).sort(0).values - (y @ u).sort(0).values).abs().mean().item()


def frechet(x: Tensor, y: Tensor) -> float:
    """‖m − m'‖² + tr(C + C' − 2 (C C')^½) of two samples (n, d) and (n', d), of two points each at least.

    The squared 2-Wasserstein distance of the Gaussians with their means and covariances (Dowson and Landau 1982): it
    sees two moments and nothing else. It falls as the samples grow: compare equal numbers only.

    Raises:
        ValueError: The shapes do not fit.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"x and y must be of shapes (n ≥ 2, d), one d; got {tuple(x.shape)} and {tuple(y.shape)}")
    a, b = torch.cov(x.T).reshape(x.shape[1], -1), torch.cov(y.T).reshape(x.shape[1], -1)
    root = torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()
    return ((x.mean(0) - y.mean(0)).square().sum() + a.trace() + b.trace() - 2 * root).item()


def nearest(x: Tensor, reference: Tensor) -> Tensor:
    """Distance of each x (n, d) from the nearest of the reference (m, d): (n,).

    Of generated samples it is compared with that of real ones which nobody trained on: far smaller, they are copies.

    Raises:
        ValueError: The shapes do not fit.
    """
    if x.ndim != 2 or reference.ndim != 2 or x.shape[1] != reference.shape[1] or not len(reference):
        shapes = f"{tuple(x.shape)} and {tuple(reference.shape)}"
        raise ValueError(f"x and reference must be of shapes (n, d) and (m ≥ 1, d); got {shapes}")
    # by differences: ‖x‖² + ‖y‖² − 2 x·y leaves 1e-7 where the distance is 0
    return torch.cdist(x, reference, compute_mode="donot_use_mm_for_euclid_dist").min(1).values
