"""What a linear system y' = Ay does: at the start, in between, and in the end.

Its solutions obey ‖y(t)‖ ≤ e^{μt} ‖y(0)‖ with the log-norm μ, which is their fastest growth at the start; they behave
like e^{αt} in the end, with the spectral abscissa α ≤ μ. Where A is normal the two are one. Elsewhere a solution may
grow for a while although α < 0 (Trefethen & Embree 2005, Spectra and Pseudospectra, chapters 14 to 17).
"""

from __future__ import annotations

import torch

from ..newton import jacobian


def log_norm(matrix, norm=2):
    """The logarithmic norm μ(A) = lim (‖I + hA‖ − 1) / h as h → 0 (Dahlquist 1958, Lozinskii 1958).

    Args:
        matrix: A, shape (..., n, n), real or complex.
        norm: 2: the largest eigenvalue of the Hermitian part of A, also called numerical abscissa. 1: the largest
            column sum Re a_jj + Σ_{i≠j} |a_ij|. "inf" or float("inf"): the same with rows.

    Returns:
        Real tensor of shape (...); differentiable.

    Raises:
        TypeError, ValueError: `matrix` is no square matrix of floats, or `norm` is none of these.
    """
    _check(matrix)
    if norm == 2:
        return torch.linalg.eigvalsh((matrix + matrix.mH) / 2).amax(-1)
    if norm not in (1, "inf", float("inf")):
        raise ValueError(f"norm must be 1, 2 or 'inf'; got {norm!r}")
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    sums = matrix.abs().sum(-2 if norm == 1 else -1) - diagonal.abs()
    return ((diagonal.real if matrix.is_complex() else diagonal) + sums).amax(-1)


def numerical_abscissa(matrix):
    """ω(A), how far the numerical range reaches to the right: `log_norm(matrix, 2)`, the fastest growth at t = 0."""
    return log_norm(matrix, 2)


def spectral_abscissa(matrix):
    """α(A), the largest real part of an eigenvalue: the growth of y' = Ay in the end, and of nothing before.

    Args:
        matrix: A, shape (..., n, n), real or complex.

    Returns:
        Real tensor of shape (...).

    Raises:
        TypeError, ValueError: `matrix` is no square matrix of floats.
    """
    _check(matrix)
    return torch.linalg.eigvals(matrix).real.amax(-1)


def transient_growth(matrix, t):
    """‖e^{tA}‖₂: by how much a solution of y' = Ay can have grown at time t.

    Args:
        matrix: A, shape (..., n, n), real or complex.
        t: A number, or a tensor of times of shape (m,).

    Returns:
        Real tensor of shape (...), or (..., m).

    Raises:
        TypeError, ValueError: `matrix` is no square matrix of floats, or `t` is neither.
    """
    _check(matrix)
    times = torch.as_tensor(t, device=matrix.device)
    if times.dim() > 1:
        raise ValueError(f"t must be a number or a tensor of shape (m,); got shape {tuple(times.shape)}")
    flows = torch.linalg.matrix_exp(matrix.unsqueeze(-3) * times.to(matrix).reshape(-1, 1, 1))
    growth = torch.linalg.matrix_norm(flows, ord=2)
    return growth.squeeze(-1) if times.dim() == 0 else growth


def field_jacobian(func, y, t=0.0):
    """∂f/∂y of a vector field at (t, y), sample by sample.

    Args:
        func: The field, called as func(t, y) with `t` a 0-d tensor; samples do not mix.
        y: States, shape (..., d).
        t: The time, a number.

    Returns:
        Tensor of shape (..., d, d), without a graph. Its `log_norm` bounds how fast solutions near y part.

    Raises:
        ValueError: `y` has no axis, or func does not keep its shape.
    """
    if y.dim() == 0:
        raise ValueError("y must have shape (..., d); got a scalar")
    with torch.enable_grad():
        point = y.detach().clone().requires_grad_()
        slope = func(torch.tensor(t, dtype=y.dtype, device=y.device), point)
    if slope.shape != y.shape:
        raise ValueError(f"func must return the shape of y, {tuple(y.shape)}; got {tuple(slope.shape)}")
    return jacobian(slope, point)


def _check(matrix):
    if not torch.is_tensor(matrix) or not (matrix.is_floating_point() or matrix.is_complex()):
        raise TypeError(f"matrix must be a tensor of floats; got {getattr(matrix, 'dtype', type(matrix).__name__)}")
    if matrix.dim() < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f"matrix must have shape (..., n, n); got {tuple(matrix.shape)}")
