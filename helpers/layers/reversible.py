"""A residual block that can be run backwards exactly, so that its input need not be stored."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import _checks


class ReversibleBlock(nn.Module):
    """y₁ = x₁ + h f(x₂),  y₂ = x₂ + h g(y₁), where x₁ and x₂ are the halves of the last axis.

    (Gomez et al. 2017, The reversible residual network, arXiv 1707.04585.) The inverse is the same arithmetic
    in the other order, x₂ = y₂ − h g(y₁), x₁ = y₁ − h f(x₂), whatever f and g are; only rounding separates it
    from the input. As a scheme it is the symplectic Euler step of x₁' = f(x₂), x₂' = g(x₁).

    Args:
        f, g: Vector fields on half of the features, modules called as f(t, x), which keep the shape of x. The
            block knows no time: they are called at t = 0.
        step: h; 1 is the block of the paper.

    Raises:
        TypeError: f or g is not a module.
        ValueError: `step` is not positive and finite.
    """

    def __init__(self, f: nn.Module, g: nn.Module, *, step: float = 1.0):
        super().__init__()
        self.f = _checks.module("f", f)
        self.g = _checks.module("g", g)
        self.step = _checks.positive_number("step", step)

    def forward(self, x: Tensor) -> Tensor:
        """(..., features) ↦ (..., features).

        Raises:
            ValueError: The number of features is odd.
        """
        x1, x2 = _halves(x)
        y1 = torch.add(x1, self._move("f", x2), alpha=self.step)
        y2 = torch.add(x2, self._move("g", y1), alpha=self.step)
        return torch.cat([y1, y2], dim=-1)

    def inverse(self, y: Tensor) -> Tensor:
        """The input that `forward` maps to y: (..., features) ↦ (..., features)."""
        y1, y2 = _halves(y)
        x2 = torch.sub(y2, self._move("g", y1), alpha=self.step)
        x1 = torch.sub(y1, self._move("f", x2), alpha=self.step)
        return torch.cat([x1, x2], dim=-1)

    def _move(self, name, x):
        return _checks.velocity(name, getattr(self, name), 0.0, x)

    def extra_repr(self) -> str:
        return f"step={self.step:g}"


def _halves(x):
    if x.ndim == 0 or x.shape[-1] % 2 or not x.shape[-1]:
        raise ValueError(f"ReversibleBlock takes states of shape (..., even number); got {tuple(x.shape)}")
    return x.chunk(2, dim=-1)
