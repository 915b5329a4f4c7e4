"""The Fourier neural operator in one dimension: a layer that acts on frequencies, and so on any grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import _checks


class SpectralConv1d(nn.Module):
    """Multiplies the lowest `modes` Fourier coefficients by matrices and drops the others: (n, c, N) ↦ (n, c, N).

    The coefficients are those of the function, the same on every grid that carries them.

    Args:
        channels: c.
        modes: How many, the mean included.

    Raises:
        TypeError, ValueError: A size is no whole number, at least 1.
    """

    def __init__(self, channels: int, modes: int):
        super().__init__()
        self.channels = _checks.whole_number("channels", channels, at_least=1)
        self.modes = _checks.whole_number("modes", modes, at_least=1)
        self.weight = nn.Parameter(torch.randn(2, self.modes, channels, channels) / channels)  # real, imaginary

    def forward(self, u: Tensor) -> Tensor:
        """(n, c, N) ↦ (n, c, N).

        Raises:
            ValueError: u is of another shape, or N/2 is below the number of modes.
        """
        if u.ndim != 3 or u.shape[1] != self.channels:
            raise ValueError(f"u must be of shape (n, {self.channels}, N); got {tuple(u.shape)}")
        size = u.shape[-1]
        if self.modes > size // 2:
            raise ValueError(f"u must have N ≥ {2 * self.modes} points for {self.modes} modes; got {size}")
        c = torch.fft.rfft(u, norm="forward")[..., : self.modes].permute(2, 0, 1)
        c = (c @ torch.complex(*self.weight)).permute(1, 2, 0)
        return torch.fft.irfft(c, n=size, norm="forward")

    def extra_repr(self) -> str:
        return f"channels={self.channels}, modes={self.modes}"


class FNO1d(nn.Module):
    """A map of periodic functions, u₀ (n, N) ↦ u (n, N), for every N that carries the modes.

        v ← σ(spectral convolution of v + W v + b), `depth` times, between pointwise maps in and out

    (Li et al. 2020, Fourier neural operator for parametric partial differential equations, arXiv 2010.08895). No
    coordinate is fed in, so that the operator commutes with translations.

    Args:
        width: Channels of v.
        modes: Fourier coefficients that a layer multiplies.
        depth: Layers.

    Raises:
        TypeError, ValueError: A size is no whole number, at least 1.
    """

    def __init__(self, width: int = 24, modes: int = 12, depth: int = 3):
        super().__init__()
        width = _checks.whole_number("width", width, at_least=1)
        depth = _checks.whole_number("depth", depth, at_least=1)
        self.lift = nn.Conv1d(1, width, 1)
        self.project = nn.Sequential(nn.Conv1d(width, 64, 1), nn.GELU(), nn.Conv1d(64, 1, 1))
        self.spectral = nn.ModuleList(SpectralConv1d(width, modes) for _ in range(depth))
        self.pointwise = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(depth))

    def forward(self, u: Tensor) -> Tensor:
        """(n, N) ↦ (n, N).

        Raises:
            ValueError: u is of another shape, or its grid too coarse for the modes.
        """
        if u.ndim != 2:
            raise ValueError(f"u must be of shape (n, N); got {tuple(u.shape)}")
        v = self.lift(u[:, None])
        for k, (spectral, pointwise) in enumerate(zip(self.spectral, self.pointwise, strict=True)):
            v = spectral(v) + pointwise(v)
            v = F.gelu(v) if k < len(self.spectral) - 1 else v
        return self.project(v)[:, 0]


def fourier_interpolation(u: Tensor, size: int) -> Tensor:
    """Periodic samples (..., N) on a grid of `size` points: exact for what both grids carry below N/2 and size/2.

    Raises:
        TypeError, ValueError: `size` is no whole number, at least 2, or u has fewer than two samples.
    """
    size = _checks.whole_number("size", size, at_least=2)
    if u.ndim < 1 or u.shape[-1] < 2:
        raise ValueError(f"u must be of shape (..., N ≥ 2); got {tuple(u.shape)}")
    keep = (min(u.shape[-1], size) + 1) // 2  # below the Nyquist frequency of both
    return torch.fft.irfft(torch.fft.rfft(u, norm="forward")[..., :keep], n=size, norm="forward")
