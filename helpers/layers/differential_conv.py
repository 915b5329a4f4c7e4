"""Convolutions whose weights are the coefficients of a differential operator."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from . import _checks, _choice
from .convolution import BOUNDARIES, conv


def operator_basis(
    spacing: float = 1.0, *, dtype: torch.dtype | None = None, device: torch.device | None = None
) -> Tensor:
    """The rows (1, 2, 1)/4 ≈ 1, (−1, 0, 1)/2δ ≈ ∂ and (−1, 2, −1)/δ² ≈ −∂², each with an error of O(δ²): (3, 3).

    A basis of all kernels of length 3, with determinant 1/δ³ up to its sign.

    Args:
        spacing: δ, the distance of neighbouring pixels, in the unit of x.
        dtype, device: Of the result; None means torch's default.

    Raises:
        ValueError: `spacing` is not positive and finite.
    """
    spacing = _checks.positive_number("spacing", spacing)
    rows = torch.tensor([[0.25, 0.5, 0.25], [-0.5, 0.0, 0.5], [-1.0, 2.0, -1.0]], dtype=dtype, device=device)
    return rows / torch.tensor([[1.0], [spacing], [spacing**2]], dtype=dtype, device=device)


def kernel_from_operators(coefficients: Tensor, spacing: float = 1.0) -> Tensor:
    """Σ β[i, j] (operator i along y) ⊗ (operator j along x), the operators being 1, ∂, −∂² (see `operator_basis`).

    So β[0, 1] is the coefficient of ∂x, β[0, 2] of −∂xx, β[1, 1] of ∂xy and β[2, 2] of ∂xxyy. (Ruthotto & Haber 2018,
    Deep neural networks motivated by partial differential equations, arXiv 1804.04272, Section 2.)

    Args:
        coefficients: β, (..., 3, 3), or (3,) for an operator on the line.
        spacing: δ. β[i, j] has the unit of length^(i + j), the kernel none.

    Returns:
        The kernel, shaped like β.

    Raises:
        ValueError: `coefficients` has another shape, or `spacing` is not positive and finite.
    """
    return _combined("coefficients", coefficients, operator_basis(spacing, **_like(coefficients)))


def operators_from_kernel(kernel: Tensor, spacing: float = 1.0) -> Tensor:
    """The inverse of `kernel_from_operators`: the one β whose combination is this kernel.

    Args:
        kernel: (..., 3, 3), or (3,).
        spacing: δ.

    Returns:
        β, shaped like the kernel.

    Raises:
        ValueError: `kernel` has another shape, or `spacing` is not positive and finite.
    """
    return _combined("kernel", kernel, torch.linalg.inv(operator_basis(spacing, **_like(kernel))))


class DifferentialConv2d(nn.Module):
    """A 3 × 3 convolution, without bias, that is Σ β[i, j] (operator i along y)(operator j along x), with 1, ∂, −∂².

    Every 3 × 3 kernel is one such sum and only one. The kernel depends on the spacing δ of the pixels, the operator
    does not: `at_spacing` moves a trained layer to another resolution. (Ruthotto & Haber 2018, arXiv 1804.04272,
    Section 2; used to find equations in data by Long et al. 2017, PDE-Net, arXiv 1710.09668.)

    Args:
        in_channels, out_channels: Channels.
        spacing: δ, the distance of neighbouring pixels, in the unit of x and y.
        orders: The pairs (i, j) that β may be non-zero for, each of 0, 1 or 2; None means all nine. [(0, 2), (2, 0)]
            leaves −∂xx and −∂yy.
        boundary: How an image continues: "zeros", "replicate" or "circular".

    Attributes:
        coefficients: β, (out, in, 3, 3), drawn such that the kernel is what `nn.Conv2d` draws.

    Raises:
        ValueError: An argument is not as above.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        spacing: float = 1.0,
        orders: Iterable[tuple[int, int]] | None = None,
        boundary: str = "zeros",
    ):
        super().__init__()
        self.in_channels = _checks.whole_number("in_channels", in_channels, at_least=1)
        self.out_channels = _checks.whole_number("out_channels", out_channels, at_least=1)
        self.spacing = _checks.positive_number("spacing", spacing)
        self.boundary = _choice.one_of("boundary", boundary, BOUNDARIES)
        self.orders = None if orders is None else _pairs(orders)
        allowed = torch.ones(3, 3, dtype=torch.bool)
        if self.orders is not None:
            allowed = torch.zeros(3, 3, dtype=torch.bool)
            allowed[tuple(zip(*self.orders, strict=True))] = True
        self.register_buffer("allowed", allowed, persistent=False)
        drawn = nn.Conv2d(self.in_channels, self.out_channels, 3, bias=False).weight.detach()
        self.coefficients = nn.Parameter(operators_from_kernel(drawn, self.spacing) * allowed)

    @classmethod
    def from_kernel(cls, kernel: Tensor, *, spacing: float = 1.0, boundary: str = "zeros") -> DifferentialConv2d:
        """The layer that is the convolution with this kernel, (out, in, 3, 3), at this spacing."""
        _four_axes("kernel", kernel)
        return cls.from_coefficients(operators_from_kernel(kernel, spacing), spacing=spacing, boundary=boundary)

    @classmethod
    def from_coefficients(
        cls, coefficients: Tensor, *, spacing: float = 1.0, boundary: str = "zeros"
    ) -> DifferentialConv2d:
        """The layer with these coefficients β, (out, in, 3, 3)."""
        _four_axes("coefficients", coefficients)
        return cls(*coefficients.shape[1::-1], spacing=spacing, boundary=boundary)._filled(coefficients)

    @property
    def kernel(self) -> Tensor:
        """The kernel that the operator has at this spacing, (out, in, 3, 3)."""
        return kernel_from_operators(self.coefficients * self.allowed, self.spacing)

    def at_spacing(self, spacing: float) -> DifferentialConv2d:
        """A new layer: the same operator on a grid of another spacing."""
        known = {"spacing": spacing, "orders": self.orders, "boundary": self.boundary}
        return type(self)(self.in_channels, self.out_channels, **known)._filled(self.coefficients * self.allowed)

    def symbol(self, n: int) -> Tensor:
        """The frequency response H on periodic n × n images: e^{i(k_x x + k_y y)} ↦ H e^{i(k_x x + k_y y)}.

        The wave of index [p, q] has the wave numbers k_y = 2π p/(n δ) along the rows and k_x = 2π q/(n δ) along the
        columns, so that fft2(layer(x)) = H · fft2(x), summed over the channels of x. Exact with the boundary
        "circular"; with the others it is what the layer does away from the border. The largest singular value of
        H[:, :, p, q] over all p and q is the norm of the layer (Sedghi et al. 2018, arXiv 1805.10408).

        Args:
            n: Pixels along a side, at least 3.

        Returns:
            Complex, (out, in, n, n).
        """
        n = _checks.whole_number("n", n, at_least=3)
        kernel = self.kernel
        angle = 2 * math.pi / n * torch.arange(n, **_like(kernel))
        # a correlation looks ahead: the pixel at offset a has the phase e^{+i a angle}
        phase = torch.exp(1j * angle[:, None] * torch.arange(-1, 2, **_like(kernel)))
        return torch.einsum("pa,oiab,qb->oipq", phase, kernel.to(phase.dtype), phase)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, rows, columns) ↦ (batch, out_channels, rows, columns)."""
        return conv(x, self.kernel, self.boundary)

    def extra_repr(self) -> str:
        orders = "" if self.orders is None else f", orders={list(self.orders)}"
        channels = f"{self.in_channels}, {self.out_channels}"
        return f"{channels}, spacing={self.spacing:g}{orders}, boundary={self.boundary!r}"

    def _filled(self, coefficients):
        self.coefficients = nn.Parameter(coefficients.detach().clone())
        return self.to(coefficients.device)


def _like(x):
    return {"dtype": x.dtype, "device": x.device}


def _combined(name, x, matrix):
    """x @ matrix along x, and along y too if x has both axes."""
    if x.shape == (3,):
        return x @ matrix
    if x.shape[-2:] != (3, 3):
        raise ValueError(f"{name} must have the shape (..., 3, 3) or (3,); got {tuple(x.shape)}")
    return matrix.T @ x @ matrix


def _four_axes(name, x):
    if x.ndim != 4 or x.shape[-2:] != (3, 3):
        raise ValueError(f"{name} must have the shape (out, in, 3, 3); got {tuple(x.shape)}")


def _pairs(orders):
    given = list(orders)
    pairs = tuple(tuple(pair) if isinstance(pair, (tuple, list)) else () for pair in given)
    if not pairs or not all(len(pair) == 2 and all(type(i) is int and 0 <= i <= 2 for i in pair) for pair in pairs):
        raise ValueError(f"orders must be pairs (i, j) of 0, 1 or 2, at least one pair; got {given!r}")
    return pairs
