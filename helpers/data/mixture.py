"""A mixture of Gaussians, of which everything is known: density, score, and both under noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class GaussianMixture:
    """Σ_k w_k N(m_k, s_k² I) in d dimensions.

    Args:
        weights: (K,), positive, of sum 1.
        means: (K, d).
        stds: (K,), positive.

    Raises:
        ValueError: The shapes do not fit, or weights or standard deviations are out of range.
    """

    def __init__(self, weights: Sequence | Tensor, means: Sequence | Tensor, stds: Sequence | Tensor):
        kind = torch.get_default_dtype()
        self.weights, self.means, self.stds = (torch.as_tensor(a, dtype=kind) for a in (weights, means, stds))
        shapes = tuple(tuple(a.shape) for a in (self.weights, self.means, self.stds))
        if self.means.ndim != 2 or not len(self.means) or shapes[0] != shapes[2] or shapes[0] != shapes[1][:1]:
            raise ValueError(f"weights, means and stds must be of shapes (K,), (K, d), (K,); got {shapes}")
        if not (self.weights > 0).all() or abs(self.weights.sum().item() - 1) > 1e-6:
            raise ValueError(f"weights must be positive and of sum 1; got {self.weights.tolist()}")
        if not (self.stds > 0).all():
            raise ValueError(f"stds must be positive; got {self.stds.tolist()}")

    def noised(self, alpha: float | Tensor, sigma: float | Tensor) -> GaussianMixture:
        """The law of α X + σ ε, ε ~ N(0, I): a mixture again."""
        return GaussianMixture(self.weights, alpha * self.means, (alpha**2 * self.stds**2 + sigma**2) ** 0.5)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats, (..., d) ↦ (...)."""
        return self._log_terms(x).logsumexp(-1)

    def score(self, x: Tensor) -> Tensor:
        """∇ log p, (..., d) ↦ (..., d)."""
        shares = self._log_terms(x).softmax(-1) / self.stds**2
        return shares @ self.means - shares.sum(-1, keepdim=True) * x

    def velocity(self, t: float | Tensor, x: Tensor) -> Tensor:
        """E[x₁ − x₀ | (1 − t) x₀ + t x₁ = x] with x₀ ~ N(0, I) and x₁ of this law, (..., d) ↦ (..., d), t in [0, 1]."""
        noised = self.noised(t, 1 - t)
        shares = noised._log_terms(x).softmax(-1)
        gain = (t * self.stds**2 - (1 - t)) / noised.stds**2  # Cov(x₁ − x₀, x_t) / Var(x_t) in each component
        return (shares * (1 - gain * t)) @ self.means + (shares * gain).sum(-1, keepdim=True) * x

    def cdf(self, x: Tensor) -> Tensor:
        """Distribution function of a mixture on the line, d = 1: (...) ↦ (...)."""
        self._only_on_the_line("cdf")
        z = (x.unsqueeze(-1) - self.means[:, 0]) / self.stds
        return (torch.special.ndtr(z) * self.weights).sum(-1)

    def quantile(self, p: Tensor) -> Tensor:
        """The inverse of `cdf`, by bisection to rounding: p in (0, 1), (...) ↦ (...).

        Raises:
            ValueError: d is not 1, or an entry of p not in (0, 1).
        """
        self._only_on_the_line("quantile")
        if not ((p > 0) & (p < 1)).all():
            raise ValueError(f"p must be in (0, 1); got {p.min():g} to {p.max():g}")
        reach = 40 * self.stds.max()
        low = torch.full_like(p, (self.means.min() - reach).item())
        high = torch.full_like(p, (self.means.max() + reach).item())
        for _ in range(64):
            middle = (low + high) / 2
            below = self.cdf(middle) < p
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n independent points (n, d); `generator` None means torch's global one."""
        part = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        return self.means[part] + self.stds[part, None] * noise

    def _log_terms(self, x):
        d = x.shape[-1]
        squares = (x.unsqueeze(-2) - self.means).square().sum(-1) / self.stds**2
        return self.weights.log() - 0.5 * squares - d * (self.stds.log() + 0.5 * math.log(2 * math.pi))

    def _only_on_the_line(self, name):
        if self.means.shape[1] != 1:
            raise ValueError(f"{name} is defined for d = 1 alone; this mixture has d = {self.means.shape[1]}")
