"""HiPPO memories: the past of a signal as coefficients of Legendre polynomials, kept up to date by an ODE."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from . import _checks, _choice, _sequences
from .discretize import discretize

_MEASURES = ("legs", "legt")
# how many of the n × n matrices of one step each are formed at a time
_BLOCK = 256


class Hippo(NamedTuple):
    """Matrices of a HiPPO memory: A (n, n), B (n,), P (n, rank) with A + P Pᵀ normal."""

    A: Tensor
    B: Tensor
    P: Tensor

    @property
    def normal(self) -> Tensor:
        """A + P Pᵀ, (n, n), which is −½ I plus a skew-symmetric matrix for LegS, and skew-symmetric for LegT."""
        return self.A + self.P @ self.P.mT

    def diagonal(self) -> tuple[Tensor, Tensor]:
        """The eigenvalues of the normal part with positive imaginary part, ascending, and B in their basis.

        The other half is their conjugates, so that a real output is 2 Re Σ over these.

        Returns:
            Eigenvalues and Vᴴ B, each complex, (n/2,).

        Raises:
            ValueError: n is odd.
        """
        poles, vectors = self.eigenvectors()
        return poles, vectors.mH @ self.B.to(vectors.dtype)

    def eigenvectors(self) -> tuple[Tensor, Tensor]:
        """The eigenvalues of `diagonal` (n/2,), and their eigenvectors V (n, n/2), of length 1."""
        n = _sequences.even_number("n", len(self.B))
        shift = self.normal.diagonal().mean()
        skew = self.normal - shift * torch.eye(n, dtype=self.B.dtype, device=self.B.device)
        frequency, vectors = torch.linalg.eigh(-1j * skew)  # Hermitian: stable, and exactly real frequencies
        return torch.complex(shift.expand(n // 2), frequency[n // 2 :]), vectors[:, n // 2 :]


def hippo(measure: str, n: int, *, dtype: torch.dtype | None = None) -> Hippo:
    """The HiPPO matrices for memories of n Legendre coefficients.

    "legs": the whole past, evenly weighted, c'(t) = (A c + B u) / t. "legt": a window of width w, c'(t) = (A c + B u)
    / w. The basis is orthonormal, √(2k+1) P_k, with P_k(1) = 1 at the present. A is what multiplies c in the equation
    (the papers write −A). (Gu et al. 2020, HiPPO, arXiv 2008.07669; A as a normal matrix minus P Pᵀ, of rank 1 for
    LegS and 2 for LegT: Gu et al. 2021, arXiv 2111.00396.)

    Args:
        n: How many coefficients, at least 1.
        dtype: Of the matrices; None means torch's default.

    Raises:
        ValueError: `measure` is unknown, or n is below 1.
        TypeError: n is not a whole number, or `dtype` not one of real floating-point numbers.
    """
    _choice.one_of("measure", measure, _MEASURES)
    n = _checks.whole_number("n", n, at_least=1)
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype must be one of real floating-point numbers; got {dtype!r}")
    k = torch.arange(n, dtype=dtype)
    B = (2 * k + 1).sqrt()
    if measure == "legs":
        A = -torch.tril(B[:, None] * B[None, :], -1) - torch.diag(k + 1)
        P = (k + 0.5).sqrt()[:, None]
    else:
        sign = (-1.0) ** (k[None, :] - k[:, None])
        A = -B[:, None] * B[None, :] * (torch.tril(torch.ones_like(sign)) + torch.triu(sign, 1))
        P = B[:, None] * torch.stack([k % 2 == 0, k % 2 == 1], 1)
    return Hippo(A, B, P)


def hippo_memory(measure: str, u: Tensor, n: int, *, method: str = "zoh", window: float | None = None) -> Tensor:
    """The coefficients after every sample, online: u (length,) → (length, n). Sample k holds on [k, k + 1).

    LegS is time invariant in s = log t, so that its step from t to t + 1 is Δs = log(1 + 1/t), and its first state is
    (u_0, 0, …). With "zoh" the state is `project` of the samples so far, up to rounding, and holding every sample
    twice as long changes nothing (Gu et al. 2020, arXiv 2008.07669). LegT starts from zero.

    Args:
        measure, n: As for `hippo`.
        method: "zoh", "bilinear" or "euler", see `discretize`.
        window: Width of the window in samples, for "legt" alone.

    Raises:
        ValueError: u is empty or has more axes than one; measure, method or n is not as above; `window` is missing for
            "legt", given for "legs", or not positive.
        TypeError: u is not a tensor of real floating-point numbers.
    """
    _sequences.series("u", u)
    A, B, _ = (z.to(u.device) for z in hippo(measure, n, dtype=u.dtype))
    if measure == "legt":
        if window is None:
            raise ValueError("window must be a number of samples for 'legt'; got None")
        step = 1 / _checks.positive_number("window", window)
        A_bar, B_bar = discretize(A, B, step, method)
        return _states(torch.zeros_like(B), u, lambda start, stop: ([A_bar] * (stop - start), [B_bar] * (stop - start)))
    if window is not None:
        raise ValueError(f"window must be None for 'legs', which remembers the whole past; got {window!r}")
    _choice.one_of("method", method, ("zoh", "bilinear", "euler"))

    def steps(start, stop):
        t = torch.arange(start + 1, stop + 1, dtype=u.dtype, device=u.device)
        A_bar, B_bar = discretize(A, B, torch.log1p(1 / t), method)
        return A_bar.unbind(0), B_bar.unbind(0)

    first = u[0] * (torch.arange(len(B), device=u.device) == 0)
    return torch.cat([first[None], _states(first, u[1:], steps)])


def _states(c, u, steps):
    """The states after each sample of u, from c, with the matrices that `steps` gives for a range of samples."""
    states = [c.new_empty(0, len(c))]
    for start in range(0, len(u), _BLOCK):
        samples = u[start : start + _BLOCK]
        block = []
        for A_bar, B_bar, sample in zip(*steps(start, start + len(samples)), samples, strict=True):
            c = A_bar @ c + B_bar * sample
            block.append(c)
        states.append(torch.stack(block))
    return torch.cat(states)


def legendre(n: int, z: Tensor) -> Tensor:
    """Orthonormal Legendre polynomials √(2k+1) P_k(z), k < n, for the uniform measure on [−1, 1]: z (m,) → (n, m).

    Raises:
        ValueError: n is below 1, or z is empty or has more axes than one.
        TypeError: n is not a whole number, or z not a tensor of real floating-point numbers.
    """
    n = _checks.whole_number("n", n, at_least=1)
    values = [torch.ones_like(_sequences.series("z", z)), z]
    for k in range(1, n - 1):
        values.append(((2 * k + 1) * z * values[k] - k * values[k - 1]) / (k + 1))
    return torch.stack(values[:n]) * (2 * torch.arange(n, dtype=z.dtype, device=z.device)[:, None] + 1).sqrt()


def project(u: Tensor, n: int) -> Tensor:
    """The first n Legendre coefficients of the step function with values u (length,), over its whole interval: (n,).

    Exact, by the antiderivative ∫ P_k = (P_{k+1} − P_{k−1}) / (2k + 1): no quadrature, no recurrence in time.

    Raises:
        ValueError: n is below 1, or u is empty or has more axes than one.
        TypeError: n is not a whole number, or u not a tensor of real floating-point numbers.
    """
    _sequences.series("u", u)
    n = _checks.whole_number("n", n, at_least=1)
    k = torch.arange(n + 1, dtype=u.dtype, device=u.device)
    edges = torch.linspace(-1, 1, len(u) + 1, dtype=u.dtype, device=u.device)
    P = legendre(n + 1, edges) / (2 * k[:, None] + 1).sqrt()
    integral = P[1:] / (2 * k[:n, None] + 1)
    integral[1:] -= P[: n - 1] / (2 * k[1:n, None] + 1)
    return (2 * k[:n] + 1).sqrt() / 2 * (integral.diff(dim=1) @ u)
