"""Lyapunov exponents: how fast neighbouring solutions part, on average along a trajectory."""

from __future__ import annotations

import math

import torch

from ..newton import jacobian
from ..solve import odeint


def lyapunov_exponents(
    func, y0, *, duration, step_size, count=None, warm_up=0.0, interval=None, method="rk4", start=0.0
):
    """The largest Lyapunov exponents of y' = func(t, y), by the QR method.

    The solution is taken along with `count` tangent vectors, Q' = ∂f/∂y(y) Q; at the end of each interval Q R is
    factorised anew, and the exponents are the means of log R_ii per time (Benettin et al. 1980, Meccanica 15, 9–20;
    Shimada & Nagashima 1979). The error falls like 1 / duration: it is statistics, not the solver, that limits the
    figures of a chaotic system. Several trajectories at once, averaged, are much faster than a long one.

    Args:
        func: The field, called as func(t, y) with y of shape (..., d); samples do not mix.
        y0: States to start from, shape (..., d), real.
        duration: Time over which the growth is averaged.
        step_size: Step of the fixed-step method.
        count: How many exponents, 1 … d; None means all.
        warm_up: Time beforehand in which trajectory and tangent vectors settle, and nothing is counted.
        interval: Time from one factorisation to the next; None means ten steps.
        method: An explicit fixed-step method of `odeint`.
        start: The time at the start.

    Returns:
        Tensor of shape (..., count), falling along the last axis up to statistics.

    Raises:
        ValueError: `count` is not in 1 … d, or a time is negative or not finite.
        SolverError: The solve failed.
    """
    size = y0.shape[-1] if y0.dim() else 0
    count = size if count is None else count
    if not 1 <= count <= size:
        raise ValueError(f"count must lie in 1 … {size}, the size of the state; got {count}")
    interval = 10 * step_size if interval is None else interval
    for name, value in (("duration", duration), ("step_size", step_size), ("interval", interval)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite; got {value!r}")
    if not 0 <= warm_up < math.inf:
        raise ValueError(f"warm_up must not be negative, and finite; got {warm_up!r}")

    def field(t, bundle):
        """The state in the first row, a tangent vector in each of the others."""
        with torch.enable_grad():
            y = bundle[..., 0, :].detach().requires_grad_()
            slope = func(t, y)
        tangents = bundle[..., 1:, :] @ jacobian(slope, y).mT
        return torch.cat([slope.detach().unsqueeze(-2), tangents], -2)

    unit = torch.eye(size).to(y0)[:count].expand(*y0.shape[:-1], count, size)
    bundle, total, now = torch.cat([y0.detach().unsqueeze(-2), unit], -2), 0.0, start
    with torch.no_grad():
        for length, counts in ((warm_up, False), (duration, True)):
            for piece in _pieces(length, interval):
                t = torch.tensor([now, now + piece], dtype=torch.float64)
                bundle = odeint(field, bundle, t, method=method, options={"step_size": step_size})[-1]
                q, r = torch.linalg.qr(bundle[..., 1:, :].mT)
                if counts:
                    total = total + r.diagonal(dim1=-2, dim2=-1).abs().log()
                bundle, now = torch.cat([bundle[..., :1, :], q.mT], -2), now + piece
    return total / duration


def _pieces(length, interval):
    """`length` in equal pieces of about `interval`."""
    number = max(1, math.ceil(length / interval - 1e-9)) if length else 0
    return [length / number] * number if number else []
