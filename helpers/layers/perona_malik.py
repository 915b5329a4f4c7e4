"""Diffusion of images: the heat equation, and Perona and Malik's, which stops at edges."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import _checks

# beyond it a pixel may leave the range of itself and its four neighbours
LARGEST_STEP = 1 / 4


class PeronaMalik(nn.Module):
    """Explicit steps of ∂ₜx = div(g(|∂x|) ∂x), g(s) = 1/(1 + (s/K)²), with no flux through the border (Neumann).

    (Perona & Malik 1990, Scale-space and edge detection using anisotropic diffusion, IEEE Transactions on Pattern
    Analysis and Machine Intelligence 12.) In their scheme every pixel exchanges the flux φ(s) = s g(s) with each of its
    four neighbours, s their difference: what one loses the other gains, so that the mean is kept to rounding. Pixels
    lie at distance 1, and one step takes the time h.

    The flux grows up to s = K, and falls beyond: a difference below K flattens, and an edge above it is made steeper.
    There the equation runs backwards, and as a PDE it is ill-posed; the grid is what regularises it. K = ∞ is the heat
    equation ∂ₜx = Δx, whose solution is x blurred by a Gaussian of standard deviation √(2t).

    What is guaranteed: for h ≤ 1/4 every new pixel is a weighted mean of itself and its neighbours, since g ≤ 1. No
    value leaves [min x, max x], up to rounding (Weickert 1998, Anisotropic diffusion in image processing).

    Args:
        contrast: K, in grey values; `math.inf` for the heat equation.
        step: h, at most 1/4.
        steps: How many.
        enforce: False allows a larger step, and with it new extremes and oscillations.

    Raises:
        TypeError: `contrast` or `step` is no number, `steps` no whole one, or the pixels are not floating-point.
        ValueError: `contrast` is not positive, `step` not positive and finite or above 1/4 without `enforce=False`,
            `steps` < 1, or an image has fewer than 2 × 2 pixels.
    """

    def __init__(self, contrast: float = math.inf, *, step: float = 0.2, steps: int = 1, enforce: bool = True):
        super().__init__()
        self.contrast = math.inf if contrast == math.inf else _checks.positive_number("contrast", contrast)
        self.step = _checks.positive_number("step", step)
        if enforce and self.step > LARGEST_STEP:
            raise ValueError(f"step must be at most 1/4, or values may leave their range; got {step!r}. enforce=False?")
        self.steps = _checks.whole_number("steps", steps, at_least=1)

    def flux(self, s: Tensor) -> Tensor:
        """φ(s) = s/(1 + (s/K)²), entry by entry: what flows between pixels that differ by s, largest at s = K."""
        return s if self.contrast == math.inf else s / (1 + (s / self.contrast).square())

    def velocity(self, x: Tensor) -> Tensor:
        """The divergence of the flux, that is ∂ₜx: (..., rows, columns) ↦ (..., rows, columns)."""
        _check_image(x)
        across = F.pad(self.flux(x.diff(dim=-1)), (1, 1)).diff(dim=-1)
        down = F.pad(self.flux(x.diff(dim=-2)), (0, 0, 1, 1)).diff(dim=-2)
        return across + down

    def forward(self, x: Tensor) -> Tensor:
        """The image after all steps, at time h · steps: (..., rows, columns) ↦ (..., rows, columns)."""
        for _ in range(self.steps):
            x = torch.add(x, self.velocity(x), alpha=self.step)
        return x

    def extra_repr(self) -> str:
        return f"contrast={self.contrast:g}, step={self.step:g}, steps={self.steps}"


def _check_image(x):
    if not x.is_floating_point():
        raise TypeError(f"pixels must be floating-point numbers, since diffusion makes fractions; got {x.dtype}")
    if x.ndim < 2 or min(x.shape[-2:]) < 2:
        raise ValueError(f"an image must be (..., rows, columns), at least 2 × 2 pixels; got {tuple(x.shape)}")
