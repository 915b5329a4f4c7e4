"""PolyNet's block, in the form its authors gave it and in the form that approximates an implicit step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import _checks

VARIANTS = ("poly-2", "nested")


class PolyNetBlock(nn.Module):
    """One block of second degree in the residual map F = h f; two variants, which agree where f is linear.

    `"poly-2"`: x + F(x) + F(F(x)), literally I + F + F∘F (Zhang et al. 2017, PolyNet, arXiv 1611.05725).
    `"nested"`: x + F(x + F(x)) = x + h f(x + h f(x)), two rounds of the fixed-point iteration for backward
    Euler.

    Lu et al. 2018 (arXiv 1710.10121) read poly-2 as an approximation of the backward Euler step y = x + h
    f(y). How far that holds, as the difference from that step in one block:

    | field             | poly-2                 | nested |
    | ----------------- | ---------------------- | ------ |
    | linear, f(x) = Ax | O(h³)                  | O(h³)  |
    | any, f(0) = 0     | O(h²)                  | O(h³)  |
    | any               | O(h): it adds h f(0)   | O(h³)  |

    Both are explicit all the same: on x' = λx each multiplies by R(z) = 1 + z + z², z = hλ, a method of order
    1 that is stable on the real axis for z in [−1, 0] only, half of Euler's interval.

    Args:
        field: The vector field, a module called as field(t, x), which keeps the shape of x. A PolyNet block
            knows no time: it is called at t = 0.
        step: h.
        variant: "poly-2" or "nested".

    Raises:
        TypeError: `field` is not a module.
        ValueError: `step` is not positive and finite, or `variant` is unknown.
    """

    def __init__(self, field: nn.Module, *, step: float = 1.0, variant: str = "poly-2"):
        super().__init__()
        self.field = _checks.module("field", field)
        self.step = _checks.positive_number("step", step)
        if variant not in VARIANTS:
            raise ValueError(f"variant must be one of {', '.join(VARIANTS)}; got {variant!r}")
        self.variant = variant

    def forward(self, x: Tensor) -> Tensor:
        """(..., features) ↦ (..., features)."""
        h, first = self.step, self._slope(x)
        if self.variant == "nested":
            return torch.add(x, self._slope(torch.add(x, first, alpha=h)), alpha=h)
        return torch.add(x, first + self._slope(h * first), alpha=h)

    def _slope(self, x):
        return _checks.velocity("field", self.field, 0.0, x)

    def extra_repr(self) -> str:
        return f"step={self.step:g}, variant={self.variant!r}"
