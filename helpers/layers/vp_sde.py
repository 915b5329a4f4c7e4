"""The variance-preserving diffusion: an SDE that forgets the data, its reverse, and the flow with the same law."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.solvers import SDE

from . import _checks
from ._noise import drawn

Score = Callable[[float | Tensor, Tensor], Tensor]


class VPSDE:
    """dX = −½ β(t) X dt + √β(t) dW on [0, 1], β linear from `beta_min` to `beta_max`: data at t = 0, noise at t = 1.

    X(t) = α(t) X(0) + σ(t) ε with α = exp(−½ ∫₀ᵗ β), σ² = 1 − α², ε ~ N(0, I). With the score s(t, x) = ∇ log p_t(x)

        the reverse SDE:      dX = [−½ β X − β s] dt + √β dW̄,  backwards in t,
        the probability flow: dx/dt = −½ β (x + s)

    both have the marginals p_t (Song et al. 2021, Score-based generative modeling through stochastic differential
    equations, arXiv 2011.13456).

    Raises:
        ValueError: Not 0 ≤ beta_min ≤ beta_max.
        TypeError: One of them is not a number.
    """

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0):
        self.beta_min = _checks.number_from_zero("beta_min", beta_min)
        self.beta_max = _checks.number_from_zero("beta_max", beta_max)
        if self.beta_min > self.beta_max:
            raise ValueError(f"beta_max must be at least beta_min, {beta_min:g}; got {beta_max:g}")

    def beta(self, t: float | Tensor) -> float | Tensor:
        """β(t), the rate of forgetting."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def alpha(self, t: float | Tensor) -> Tensor:
        """α(t), what is left of the data; t in [0, 1]."""
        return torch.exp(-0.5 * self._integral(t))

    def sigma(self, t: float | Tensor) -> Tensor:
        """σ(t), the standard deviation of the noise; by expm1, since 1 − α² loses its digits near t = 0."""
        return torch.sqrt(-torch.expm1(-self._integral(t)))

    def noised(self, x: Tensor, t: float | Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """X(t) given X(0) = x (n, d), and the noise ε in it, each (n, d); t a number or (n, 1)."""
        noise = drawn(x.shape, x, generator)
        return self.alpha(t).to(x) * x + self.sigma(t).to(x) * noise, noise

    def forward_sde(self) -> SDE:
        """The SDE itself, for `helpers.solvers.sdeint`."""
        return SDE(lambda t, y: -0.5 * self.beta(t) * y, lambda t, y: self._diffusion(t, y), "diagonal", "ito")

    def reverse_sde(self, score: Score) -> SDE:
        """The reverse SDE for `sdeint`, in the time r = 1 − t, which rises from noise (r = 0) to data (r = 1)."""

        def drift(r, y):
            return self.beta(1 - r) * (0.5 * y + score(1 - r, y))

        return SDE(drift, lambda r, y: self._diffusion(1 - r, y), "diagonal", "ito")

    def probability_flow(self, score: Score) -> Callable[[float | Tensor, Tensor], Tensor]:
        """The field f(t, x) of the probability-flow ODE, for `odeint` from t = 1 down to a small t > 0."""
        return lambda t, x: -0.5 * self.beta(t) * (x + score(t, x))

    def _diffusion(self, t, y):
        return self.beta(t) ** 0.5 * torch.ones_like(y)

    def _integral(self, t):
        """∫₀ᵗ β."""
        t = t if isinstance(t, Tensor) else torch.as_tensor(t, dtype=torch.get_default_dtype())
        if ((t < 0) | (t > 1)).any():
            raise ValueError(f"t must be in [0, 1]; got {t.min():g} to {t.max():g}")
        return self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * t * t

    def __repr__(self) -> str:
        return f"VPSDE(beta_min={self.beta_min:g}, beta_max={self.beta_max:g})"
