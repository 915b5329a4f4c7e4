"""The variance-preserving diffusion: an SDE that forgets the data, its reverse, and the flow with the same law."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from helpers._tensors import REAL, real
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

    Args:
        beta_min, beta_max: β at t = 0 and at t = 1, rates in units of 1 / t.

    Raises:
        ValueError: Not 0 ≤ beta_min ≤ beta_max < ∞.
        TypeError: One of them is not a number.
    """

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0):
        self.beta_min = _checks.number_from_zero("beta_min", beta_min)
        self.beta_max = _checks.number_from_zero("beta_max", beta_max)
        if self.beta_min > self.beta_max:
            raise ValueError(f"beta_max must be at least beta_min, {self.beta_min:g}; got {self.beta_max:g}")

    def beta(self, t: float | Tensor) -> float | Tensor:
        """β(t), the rate of forgetting. It stands in the loops of solvers: t is not looked at."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def alpha(self, t: float | Tensor) -> Tensor:
        """α(t), what is left of the data: shaped like t, a tensor of any shape; 0-d for a number.

        Raises:
            TypeError: t is neither a number nor a real tensor.
            ValueError: An entry of t is not in [0, 1].
        """
        return torch.exp(-0.5 * self._integral(t))

    def sigma(self, t: float | Tensor) -> Tensor:
        """σ(t), the standard deviation of the noise; by expm1, since 1 − α² loses its digits near t = 0.

        Takes and raises what `alpha` does. Its slope at t = 0 is infinite.
        """
        return torch.sqrt(-torch.expm1(-self._integral(t)))

    def noised(self, x: Tensor, t: float | Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """X(t) given X(0) = x (n, d), and the noise ε in it, each (n, d) and of the dtype of x.

        Args:
            t: One time, a number or a 0-d tensor, or (n, 1), one for each sample.
            generator: Of ε, on the CPU; None means torch's global one.

        Raises:
            TypeError: x is no tensor of float32 or float64, or t neither a number nor a real tensor.
            ValueError: t is of another shape, or not in [0, 1].
        """
        real("x", x)
        t = _time(t, x.dtype, x.device)
        if t.ndim and t.shape != (*x.shape[:-1], 1):
            raise ValueError(f"t must be one time or of shape {(*x.shape[:-1], 1)}; got {tuple(t.shape)}")
        t = t.to(torch.promote_types(t.dtype, x.dtype))
        noise = drawn(x.shape, x, generator)
        return self.alpha(t).to(x) * x + self.sigma(t).to(x) * noise, noise

    def forward_sde(self) -> SDE:
        """The SDE itself, for `helpers.solvers.sdeint`, in t from 0 to 1."""
        return SDE(lambda t, y: -0.5 * self.beta(t) * y, lambda t, y: self._diffusion(t, y), "diagonal", "ito")

    def reverse_sde(self, score: Score) -> SDE:
        """The reverse SDE for `sdeint`, in the time r = 1 − t, which rises from noise (r = 0) to data (r = 1).

        Args:
            score: s, called as score(t, x) with t = 1 − r; returns the shape of x.

        Raises:
            TypeError: `score` cannot be called.
        """
        _callable(score)

        def drift(r, y):
            return self.beta(1 - r) * (0.5 * y + score(1 - r, y))

        return SDE(drift, lambda r, y: self._diffusion(1 - r, y), "diagonal", "ito")

    def probability_flow(self, score: Score) -> Callable[[float | Tensor, Tensor], Tensor]:
        """The field f(t, x) of the probability-flow ODE, for `odeint` from t = 1 down to a small t > 0.

        Takes and raises what `reverse_sde` does.
        """
        _callable(score)
        return lambda t, x: -0.5 * self.beta(t) * (x + score(t, x))

    def _diffusion(self, t, y):
        return self.beta(t) ** 0.5 * torch.ones_like(y)

    def _integral(self, t):
        """∫₀ᵗ β."""
        t = _time(t, torch.get_default_dtype(), None)
        if not ((t >= 0) & (t <= 1)).all():  # so put that not-a-number is refused
            raise ValueError(f"t must be in [0, 1]; got {t.min():g} to {t.max():g}")
        return self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * t * t

    def __repr__(self) -> str:
        return f"VPSDE(beta_min={self.beta_min:g}, beta_max={self.beta_max:g})"


def _time(t, dtype, device):
    """t as a real tensor, of this dtype where it is none yet."""
    if isinstance(t, Tensor):
        if t.is_complex() or t.dtype == torch.bool:
            raise TypeError(f"t must be a number or a real tensor; got a tensor of {t.dtype}")
        return t if t.dtype in REAL else t.to(dtype)
    try:
        return torch.tensor(float(t), dtype=dtype, device=device)
    except (TypeError, ValueError):
        raise TypeError(f"t must be a number or a real tensor; got {t!r:.80}") from None


def _callable(score):
    if not callable(score):
        raise TypeError(f"score must be callable as score(t, x); got {type(score).__name__}")
