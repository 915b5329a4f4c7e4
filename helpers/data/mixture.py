"""A mixture of Gaussians, of which everything is known: density, score, and both under noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from helpers._checks import whole
from helpers._tensors import cpu_generator, finite, points, real, same_kind


class GaussianMixture:
    """Σ_k w_k N(m_k, s_k² I) in d dimensions.

    Args:
        weights: w, (K,), positive, of sum 1.
        means: m, (K, d), finite.
        stds: s, (K,), positive and finite, in the units of the means.

    Tensors of float32 or float64 keep dtype and device, which must be the same for all that are given; what is no such
    tensor (lists, arrays, whole numbers) follows them, or is of torch's default dtype where there is none. Points that
    a method takes are of the mixture's dtype, and so is what it returns. The methods are differentiable.

    Raises:
        TypeError: An argument is no array of real numbers, or tensors differ in dtype or device.
        ValueError: The shapes do not fit, or an entry is out of its range.
    """

    def __init__(self, weights: Sequence | Tensor, means: Sequence | Tensor, stds: Sequence | Tensor):
        self.weights, self.means, self.stds = _of_one_kind(weights=weights, means=means, stds=stds)
        shapes = tuple(tuple(a.shape) for a in (self.weights, self.means, self.stds))
        # all() is false where d or K is 0
        if self.means.ndim != 2 or not all(shapes[1]) or shapes[0] != shapes[2] or shapes[0] != shapes[1][:1]:
            raise ValueError(f"weights, means and stds must be of shapes (K,), (K, d), (K,); got {shapes}")
        if not (self.weights > 0).all() or not abs(self.weights.sum(dtype=torch.float64).item() - 1) <= 1e-6:
            raise ValueError(f"weights must be positive and of sum 1; got {self.weights.tolist()}")
        finite("means", self.means)
        if not ((self.stds > 0) & self.stds.isfinite()).all():
            raise ValueError(f"stds must be positive and finite; got {self.stds.tolist()}")

    def noised(self, alpha: float | Tensor, sigma: float | Tensor) -> GaussianMixture:
        """The law of α X + σ ε, ε ~ N(0, I): a mixture again, of standard deviations √(α² s² + σ²).

        Args:
            alpha: A number or a 0-d tensor.
            sigma: The same, at least 0, and not 0 where α is. It and α are looked at where they are numbers, and
                taken as they come where they are tensors, since this stands in the loops of solvers.

        Raises:
            TypeError: One of them is neither a number nor a tensor.
            ValueError: One is a tensor that is not 0-d, or a number out of its range.
        """
        given = _scalar("alpha", alpha), _scalar("sigma", sigma)
        if given[1] is not None and given[1] < 0:
            raise ValueError(f"sigma must be at least 0; got {sigma!r}")
        if given == (0, 0):
            raise ValueError("sigma must be above 0 where alpha is 0, or nothing is left to have a density; got 0")
        return self._made(self.weights, alpha * self.means, (alpha**2 * self.stds**2 + sigma**2) ** 0.5)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats, (..., d) ↦ (...).

        Raises:
            TypeError: x is no tensor of the mixture's dtype and device.
            ValueError: Its last axis is not d.
        """
        return self._log_terms(self._points(x)).logsumexp(-1)

    def score(self, x: Tensor) -> Tensor:
        """∇ log p, (..., d) ↦ (..., d). Raises what `log_prob` raises."""
        shares = self._log_terms(self._points(x)).softmax(-1) / self.stds**2
        return shares @ self.means - shares.sum(-1, keepdim=True) * x

    def velocity(self, t: float | Tensor, x: Tensor) -> Tensor:
        """E[x₁ − x₀ | (1 − t) x₀ + t x₁ = x] with x₀ ~ N(0, I) and x₁ of this law, (..., d) ↦ (..., d).

        It solves the continuity equation of the laws `noised(t, 1 - t)` (Lipman et al. 2023, Flow matching for
        generative modeling, arXiv 2210.02747).

        Args:
            t: In [0, 1], a number or a 0-d tensor; the value of a tensor is not looked at.
            x: (..., d).

        Raises:
            TypeError: x is no tensor of the mixture's dtype and device, or t no number.
            ValueError: The last axis of x is not d, or t not 0-d or not in [0, 1].
        """
        number = _scalar("t", t)
        if number is not None and not 0 <= number <= 1:
            raise ValueError(f"t must be in [0, 1]; got {t!r}")
        noised = self.noised(t, 1 - t)
        shares = noised._log_terms(self._points(x)).softmax(-1)
        gain = (t * self.stds**2 - (1 - t)) / noised.stds**2  # Cov(x₁ − x₀, x_t) / Var(x_t) in each component
        return (shares * (1 - gain * t)) @ self.means + (shares * gain).sum(-1, keepdim=True) * x

    def cdf(self, x: Tensor) -> Tensor:
        """Distribution function of a mixture on the line, d = 1: (...) ↦ (...).

        Raises:
            TypeError: x is no tensor of the mixture's dtype and device.
            ValueError: d is not 1.
        """
        self._only_on_the_line("cdf")
        same_kind("x", real("x", x), "the mixture", self.means)
        return self._cdf(x)

    def quantile(self, p: Tensor) -> Tensor:
        """The inverse of `cdf`, by bisection to rounding: p in (0, 1), (...) ↦ (...). Not differentiable.

        Raises:
            TypeError: p is no tensor of the mixture's dtype and device.
            ValueError: d is not 1, or an entry of p not in (0, 1).
        """
        self._only_on_the_line("quantile")
        same_kind("p", real("p", p), "the mixture", self.means)
        if not ((p > 0) & (p < 1)).all():
            raise ValueError(f"p must be in (0, 1); got {p.min():g} to {p.max():g}")
        reach = 40 * self.stds.max()
        low = torch.full_like(p, (self.means.min() - reach).item())
        high = torch.full_like(p, (self.means.max() + reach).item())
        for _ in range(64):
            middle = (low + high) / 2
            below = self._cdf(middle) < p
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n ≥ 1 independent points (n, d); drawn on the CPU, `generator` None means torch's global one.

        Raises:
            TypeError, ValueError: n is no whole number ≥ 1, or `generator` none on the CPU.
        """
        n, generator = whole("n", n, 1), cpu_generator(generator)
        part = torch.multinomial(self.weights.detach().cpu(), n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, dtype=self.means.dtype, device="cpu")
        part, noise = part.to(self.means.device), noise.to(self.means.device)
        return self.means[part] + self.stds[part, None] * noise

    def __repr__(self) -> str:
        return f"GaussianMixture({self.means.shape[0]} components, d = {self.means.shape[1]}, {self.means.dtype})"

    @classmethod
    def _made(cls, weights, means, stds):
        """A mixture of what is known to be one: nothing is looked at again."""
        mixture = object.__new__(cls)
        mixture.weights, mixture.means, mixture.stds = weights, means, stds
        return mixture

    def _points(self, x):
        return same_kind("x", points("x", x, self.means.shape[1]), "the mixture", self.means)

    def _log_terms(self, x):
        d = x.shape[-1]
        squares = (x.unsqueeze(-2) - self.means).square().sum(-1) / self.stds**2
        return self.weights.log() - 0.5 * squares - d * (self.stds.log() + 0.5 * math.log(2 * math.pi))

    def _cdf(self, x):
        z = (x.unsqueeze(-1) - self.means[:, 0]) / self.stds
        return (torch.special.ndtr(z) * self.weights).sum(-1)

    def _only_on_the_line(self, name):
        if self.means.shape[1] != 1:
            raise ValueError(f"{name} is defined for d = 1 alone; got a mixture with d = {self.means.shape[1]}")


def _of_one_kind(**arrays):
    """The arrays as tensors of one dtype on one device: that of the float tensors among them."""
    given = [(name, a) for name, a in arrays.items() if isinstance(a, Tensor) and a.is_floating_point()]
    for name, a in given:
        same_kind(name, real(name, a), given[0][0], given[0][1])
    like = given[0][1] if given else torch.empty(0, dtype=torch.get_default_dtype(), device="cpu")
    return tuple(_as_tensor(name, a, like) for name, a in arrays.items())


def _as_tensor(name, value, like):
    if isinstance(value, Tensor) and value.is_complex():
        raise TypeError(f"{name} must be real numbers; got {value.dtype}")
    try:
        return torch.as_tensor(value, dtype=like.dtype, device=like.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be an array of real numbers; got {value!r:.80} ({error})") from None


def _scalar(name, value):
    """The value of a number; None of a 0-d tensor, into which nobody looks."""
    if isinstance(value, Tensor):
        if value.ndim or value.is_complex():
            raise ValueError(f"{name} must be a number or a real 0-d tensor; got {tuple(value.shape)}, {value.dtype}")
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number or a 0-d tensor; got {value!r:.80}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite; got {value!r}")
    return number
