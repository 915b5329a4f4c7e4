"""From x' = A x + B u to x_k = A_bar x_{k−1} + B_bar u_k: one step of a linear system, by three rules."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from . import _choice, _sequences

METHODS = ("zoh", "bilinear", "euler")
# below it (e^z − 1)/z is a Taylor polynomial, since the gradient of the quotient cancels
_NEAR = 3e-4


def discretize(A: Tensor, B: Tensor, dt: float | Tensor, method: str = "zoh") -> tuple[Tensor, Tensor]:
    """A_bar and B_bar of x_k = A_bar x_{k−1} + B_bar u_k, for x' = A x + B u.

    Args:
        A: Dense (..., n, n), one axis more than B; or diagonal (..., n), as many axes as B, real or complex.
        B: (..., n); with a diagonal A any shape that broadcasts with it, such as A (n, 1) and B (n, inputs).
        dt: The step Δ, in units of time; a tensor broadcasts over the leading axes (dense), or with A (diagonal).
        method: "zoh" (e^{ΔA}, exact for an input that is constant over the step, also where A is singular), "bilinear"
            (Tustin, the trapezoidal rule with the step's mean input), "euler" (I + ΔA, ΔB).

    Raises:
        ValueError: The method is unknown, the shapes do not fit, dt is not positive and finite everywhere, or A has the
            eigenvalue 2/dt, for which there is no bilinear step.
        TypeError: A or B is not a tensor of floating-point numbers, or dt not of real numbers.
    """
    _choice.one_of("method", method, METHODS)
    _sequences.real_or_complex("A", A)
    _sequences.real_or_complex("B", B)
    full = A.ndim == B.ndim + 1
    if not full and (A.ndim != B.ndim or not A.ndim):
        raise ValueError(f"A must be (..., n, n) or (..., n) for B (..., n); got {tuple(A.shape)} and {tuple(B.shape)}")
    if full and not (B.ndim and A.shape[-1] == A.shape[-2] == B.shape[-1]):
        raise ValueError(f"A must be (..., n, n) for B (..., n); got {tuple(A.shape)} and {tuple(B.shape)}")
    if full:
        A, B = (z.to(torch.promote_types(A.dtype, B.dtype)) for z in (A, B))
    dt = _real(dt).to(A.real)
    axes = [A.shape[:-2], B.shape[:-1], dt.shape] if full else [A.shape, B.shape, dt.shape]
    try:
        torch.broadcast_shapes(*axes)
    except RuntimeError:
        shapes = ", ".join(str(tuple(z.shape)) for z in (A, B, dt))
        raise ValueError(f"A, B and dt must be of shapes that broadcast, see above; got {shapes}") from None
    if not ((dt > 0) & dt.isfinite()).all():
        raise ValueError(f"dt must be positive and finite; got {dt.tolist() if dt.ndim == 0 else _worst(dt)}")
    try:
        if not full and method == "bilinear" and (A * dt == 2).any():
            raise torch.linalg.LinAlgError
        return dense(A, B, dt, method) if full else diagonal(A, B, dt, method)
    except torch.linalg.LinAlgError:
        raise ValueError("A must not have the eigenvalue 2/dt for 'bilinear'; got a singular I − dt A/2") from None


def _real(dt):
    """dt as a real tensor; Python's numbers in float64, so that none is rounded twice."""
    try:
        step = dt if isinstance(dt, Tensor) else torch.as_tensor(dt, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        step = None
    if step is None or isinstance(dt, bool) or step.is_complex() or step.dtype == torch.bool:
        got = dt.dtype if isinstance(dt, Tensor) else repr(dt)
        raise TypeError(f"dt must be a number or a tensor of real numbers; got {got}")
    return step


def _worst(dt):
    wrong = dt[~((dt > 0) & dt.isfinite())]
    return f"{wrong[0].item()} among {dt.numel()}"


def dense(A: Tensor, B: Tensor, dt: Tensor, method: str) -> tuple[Tensor, Tensor]:
    """`discretize` for a dense A, unchecked: for layers, whose steps are positive by how they are made."""
    n = A.shape[-1]
    dt = dt[..., None, None]
    A, B = dt * A, (dt[..., 0] * B).unsqueeze(-1)
    eye = torch.eye(n, dtype=A.dtype, device=A.device)
    if method == "euler":
        return eye + A, B.squeeze(-1)
    leading = torch.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    A, B = A.expand(*leading, n, n), B.expand(*leading, n, 1)
    if method == "bilinear":
        both = torch.linalg.solve(eye - A / 2, torch.cat([eye + A / 2, B], -1))
    else:  # exp of [[ΔA, ΔB], [0, 0]] holds both, also where A is singular
        both = torch.matrix_exp(F.pad(torch.cat([A, B], -1), (0, 0, 0, 1)))[..., :n, :]
    return both[..., :n], both[..., n]


def diagonal(A: Tensor, B: Tensor, dt: Tensor, method: str) -> tuple[Tensor, Tensor]:
    """`discretize` for a diagonal A, unchecked: for layers, whose steps are positive by how they are made."""
    z = A * dt
    if method == "euler":
        return 1 + z, B * dt
    if method == "bilinear":
        return (1 + z / 2) / (1 - z / 2), B * dt / (1 - z / 2)
    near = z.abs() < _NEAR
    small, safe = torch.where(near, z, 0), torch.where(near, 1, z)  # so that no gradient is 0 · ∞
    mean = torch.where(near, 1 + small / 2 * (1 + small / 3 * (1 + small / 4)), expm1(safe) / safe)
    return torch.exp(z), B * dt * mean


def expm1(z: Tensor) -> Tensor:
    """exp(z) − 1 without cancellation near 0, real or complex (torch.expm1 is real only).

    Re = (e^x − 1) cos y − 2 sin²(y/2), Im = e^x sin y, for z = x + i y.
    """
    if not z.is_complex():
        return torch.expm1(z)
    x, y = z.real, z.imag
    return torch.complex(torch.expm1(x) * y.cos() - 2 * (y / 2).sin() ** 2, x.exp() * y.sin())
