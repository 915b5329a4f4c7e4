"""The Fourier neural operator in one dimension: a layer that acts on frequencies, and so on any grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers._tensors import real, same_kind

from . import _checks


class SpectralConv1d(nn.Module):
    """Multiplies the lowest `modes` Fourier coefficients by matrices and drops the others: (n, c, N) ↦ (n, c, N).

        û_k ↦ û_k W_k,    W_k ∈ ℂ^{c×c},    k = 0 … modes − 1

    The coefficients are those of the function, the same on every grid that carries them (Li et al. 2020, arXiv
    2010.08895, section 4). The mean stays real, so the imaginary part of W₀ has no effect.

    Args:
        channels: c.
        modes: How many, the mean included.

    Raises:
        TypeError: A size is no whole number.
        ValueError: It is below 1.
    """

    def __init__(self, channels: int, modes: int):
        super().__init__()
        self.channels = _checks.whole_number("channels", channels, at_least=1)
        self.modes = _checks.whole_number("modes", modes, at_least=1)
        self.weight = nn.Parameter(torch.randn(2, self.modes, channels, channels) / channels)  # real, imaginary

    def forward(self, u: Tensor) -> Tensor:
        """(n, c, N) ↦ (n, c, N).

        Raises:
            TypeError: u is no tensor of the dtype and on the device of the weights.
            ValueError: u is of another shape or empty, or the frequency `modes` − 1 is not below N/2.
        """
        if real("u", u).ndim != 3 or not len(u) or u.shape[1] != self.channels:
            raise ValueError(f"u must be of shape (n ≥ 1, {self.channels}, N); got {tuple(u.shape)}")
        same_kind("u", u, "the weights", self.weight)
        size, least = u.shape[-1], 2 * self.modes - 1
        if size < least:
            raise ValueError(f"u must have N ≥ {least} points for {self.modes} modes; got {size}")
        c = torch.fft.rfft(u, norm="forward")[..., : self.modes].permute(2, 0, 1)
        c = (c @ torch.complex(*self.weight)).permute(1, 2, 0)
        return torch.fft.irfft(c, n=size, norm="forward")

    def extra_repr(self) -> str:
        return f"channels={self.channels}, modes={self.modes}"


class FNO1d(nn.Module):
    """A map of periodic functions, u₀ (n, N) ↦ u (n, N), for every N that carries the modes.

        v ← σ(spectral convolution of v + W v + b), `depth` times, between pointwise maps in and out

    with σ = GELU, left out after the last layer; the map out has one hidden layer of 64 (Li et al. 2020, Fourier neural
    operator for parametric partial differential equations, arXiv 2010.08895). No coordinate is fed in, so that the
    operator commutes with translations.

    Args:
        width: Channels of v.
        modes: Fourier coefficients that a layer multiplies, the mean included.
        depth: Layers.

    Raises:
        TypeError: A size is no whole number.
        ValueError: It is below 1.
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
            TypeError: u is no tensor of the dtype and on the device of the weights.
            ValueError: u is of another shape or empty, or its grid too coarse for the modes.
        """
        if real("u", u).ndim != 2 or not u.numel():
            raise ValueError(f"u must be of shape (n ≥ 1, N ≥ 1); got {tuple(u.shape)}")
        same_kind("u", u, "the weights", self.lift.weight)
        v = self.lift(u[:, None])
        for k, (spectral, pointwise) in enumerate(zip(self.spectral, self.pointwise, strict=True)):
            v = spectral(v) + pointwise(v)
            v = F.gelu(v) if k < len(self.spectral) - 1 else v
        return self.project(v)[:, 0]


def fourier_interpolation(u: Tensor, size: int) -> Tensor:
    """Evenly spaced samples (..., N) of a periodic function on a grid of `size` points, (..., size).

    Frequencies below N/2 and size/2 are kept as they are, all others dropped: exact for a function that has none of
    those, to a finer grid and to a coarser one. Both grids begin at the same point.

    Raises:
        TypeError: u is no tensor of float32 or float64, or `size` no whole number.
        ValueError: `size` is below 2, u has fewer than two samples or is empty.
    """
    size = _checks.whole_number("size", size, at_least=2)
    if real("u", u).ndim < 1 or u.shape[-1] < 2 or not u.numel():
        raise ValueError(f"u must be of shape (..., N ≥ 2), not empty; got {tuple(u.shape)}")
    keep = (min(u.shape[-1], size) + 1) // 2  # below the Nyquist frequency of both
    return torch.fft.irfft(torch.fft.rfft(u, norm="forward")[..., :keep], n=size, norm="forward")
