"""LM-ResNet: a residual network whose layers remember one more state, as linear multistep methods do."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ._stack import Stack


class LMResNet(Stack):
    """x_{n+1} = (1 − k_n) x_n + k_n x_{n−1} + h f_n(x_n), with h = horizon / depth.

    The LM-architecture of Lu et al. 2018 (Beyond finite layer neural networks, arXiv 1710.10121). For a
    constant k the scheme solves the modified equation (1 + k) x' = f: depth time runs at 1/(1 + k) of its
    usual pace. It is of order 1, except at k = 1, the explicit two-step midpoint rule, which is of order 2.
    The recursion has the roots 1 and −k, hence it is zero-stable exactly for −1 < k ≤ 1. At k = 1 the root −1
    makes it weakly unstable where the field contracts.

    The first layer has no x_{n−1}; it is Euler's step for the modified equation,
    x₁ = x₀ + h f₀(x₀) / (1 + k₀). (A start with x₁ = x₀ + h f₀(x₀) would be wrong by O(h), which costs the
    second order at k = 1.)

    Args:
        features: Entries of the state.
        depth: Number of layers.
        horizon: T = depth · h.
        k: A number for all layers, or "learned": one parameter a layer, k_n = 2 sigmoid(r_n) − 1 in (−1, 1),
            which begins at 0, the plain residual network.
        tied: Whether all layers share one field (`net.field`) or each has its own (`net.fields`).
        field: Makes a vector field from the number of features; None means `MLPField`.

    Raises:
        TypeError: `field` does not make modules, or k is no number.
        ValueError: `features` or `depth` < 1, `horizon` not positive and finite, k not finite, or k = −1,
            where the scheme approximates no differential equation.

    Warns:
        UserWarning: k lies outside (−1, 1]: the scheme is not zero-stable, and explodes as the depth grows.
    """

    def __init__(
        self,
        features: int,
        depth: int,
        *,
        horizon: float = 1.0,
        k: float | str = 0.0,
        tied: bool = True,
        field: Callable[[int], nn.Module] | None = None,
    ):
        super().__init__(features, depth, horizon, tied, field)
        self.fixed_k = None if k == "learned" else _fixed(k)
        raw = nn.Parameter(torch.zeros(self.depth)) if self.fixed_k is None else None
        self.register_parameter("raw_k", raw)

    @property
    def k(self) -> float | Tensor:
        """The number k, or, when it is learned, its values along the layers, (depth,)."""
        return 2 * torch.sigmoid(self.raw_k) - 1 if self.fixed_k is None else self.fixed_k

    def _states(self, x):
        h, before, ks, paces = self.step, None, *self._coefficients()
        for (t, field), k, pace in zip(self._layers(), ks, paces, strict=True):
            slope = field(t, x)
            if before is None:
                following = x + h / pace * slope
            else:
                following = torch.add((1 - k) * x + k * before, slope, alpha=h)
            before, x = x, following
            yield x

    def _coefficients(self):
        """k_n and 1 + k_n for every layer, as numbers or 0-d tensors."""
        if self.fixed_k is not None:
            return [self.fixed_k] * self.depth, [1 + self.fixed_k] * self.depth
        # the sigmoid itself, since 1 + (pace − 1) would round to zero where k is learned close to −1
        paces = 2 * torch.sigmoid(self.raw_k)
        return (paces - 1).unbind(), paces.unbind()

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, k={'learned' if self.fixed_k is None else format(self.fixed_k, 'g')}"


def _fixed(k):
    if isinstance(k, str):
        raise ValueError(f'k must be a number or "learned"; got {k!r}')
    try:
        k = float(k)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f'k must be a number or "learned"; got {k!r:.80}') from None
    if not math.isfinite(k) or k == -1:
        raise ValueError(f"k must be finite and not −1, where (1 + k) x' = f says nothing of x'; got {k!r}")
    if not -1 < k <= 1:
        warnings.warn(
            f"k = {k:g} lies outside (−1, 1]: the scheme is not zero-stable and explodes as the depth grows",
            stacklevel=3,
        )
    return k
