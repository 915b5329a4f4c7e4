"""Continuous normalising flows: a density carried along by a differential equation."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.solvers import odeint

from . import _checks, _choice
from ._noise import drawn

TRACES = ("exact", "hutchinson")
PROBES = ("rademacher", "gaussian")


def log_normal(x: Tensor) -> Tensor:
    """Log density of N(0, I) in nats: x (..., d) ↦ (...)."""
    return -0.5 * (x.square() + math.log(2 * math.pi)).sum(-1)


def exact_divergence(field: Callable, t: float | Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """f(t, x) (..., d) and tr ∂f/∂x (...): one call on d copies of the batch, one vector–Jacobian product.

    The field must act on each sample by itself.
    """
    d, graph = x.shape[-1], torch.is_grad_enabled()
    with torch.enable_grad():
        copies = (x if x.requires_grad else x.detach().requires_grad_()).expand(d, *x.shape)
        f = field(t, copies)
        diagonal = torch.arange(d, device=x.device)
        (rows,) = torch.autograd.grad(f[diagonal, ..., diagonal].sum(), copies, create_graph=graph)
        value, trace = f[0], rows[diagonal, ..., diagonal].sum(0)
    return (value, trace) if graph else (value.detach(), trace.detach())


def hutchinson_divergence(field: Callable, t: float | Tensor, x: Tensor, probes: Tensor) -> tuple[Tensor, Tensor]:
    """f(t, x) (..., d) and the estimate of tr ∂f/∂x (...), the mean of εᵀ (∂f/∂x) ε over the probes ε (k, ..., d)."""
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        copies = (x if x.requires_grad else x.detach().requires_grad_()).expand_as(probes)
        f = field(t, copies)
        (pulled,) = torch.autograd.grad(f, copies, probes, create_graph=graph)
        value, trace = f[0], (pulled * probes).sum(-1).mean(0)
    return (value, trace) if graph else (value.detach(), trace.detach())


class CNF(nn.Module):
    """A continuous normalising flow: x' = f(t, x) carries N(0, I) at t = 0 to the model's density at t = horizon.

    Along a path d/dt log p_t(x(t)) = −tr ∂f/∂x (Chen et al. 2018, Neural ordinary differential equations, arXiv
    1806.07366, Theorem 1), so that one solve of the pair (x, ∫ tr) gives a sample and its log density. Hutchinson's
    estimate εᵀ (∂f/∂x) ε of the trace (Grathwohl et al. 2019, FFJORD, arXiv 1810.01367) draws ε once for a whole solve:
    what is solved is then one ODE with a smooth right-hand side.

    Args:
        field: f, a module called as field(t, x) with x (..., d); it must act on each sample by itself.
        features: d.
        trace: "exact" (d vector–Jacobian products a call) or "hutchinson" (`probes` of them).
        noise: Of Hutchinson's ε: "rademacher" or "gaussian".
        probes: ε's of one solve, k.
        horizon: T.
        **solver: method, rtol, atol, options and gradient of `helpers.solvers.odeint`; none means its defaults.

    Attributes:
        nfe: Calls of the field in the last solve.

    Raises:
        TypeError: `field` is not a module, or a number not one.
        ValueError: `trace` or `noise` is unknown, or a number out of its range.
    """

    def __init__(
        self,
        field: nn.Module,
        features: int,
        *,
        trace: str = "exact",
        noise: str = "rademacher",
        probes: int = 1,
        horizon: float = 1.0,
        **solver,
    ):
        super().__init__()
        self.field = _checks.module("field", field)
        self.features = _checks.whole_number("features", features, at_least=1)
        self.trace = _choice.one_of("trace", trace, TRACES)
        self.noise = _choice.one_of("noise", noise, PROBES)
        self.probes = _checks.whole_number("probes", probes, at_least=1)
        self.horizon = _checks.positive_number("horizon", horizon)
        self.solver, self.nfe = solver, 0

    def transport(
        self, x: Tensor, *, reverse: bool = False, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """The end of the path from x (n, d), and the integral of the trace along it (n,), both in the way of travel.

        That integral is log |det ∂end/∂x|, up to the accuracy of the solver.

        Args:
            reverse: From t = horizon down to 0, from data to noise.
            generator: Of Hutchinson's ε; None means torch's global one.

        Raises:
            ValueError: x is no batch (n, d) of at least one sample.
        """
        if x.ndim != 2 or x.shape[-1] != self.features or not len(x):
            raise ValueError(f"x must be of shape (n ≥ 1, {self.features}); got {tuple(x.shape)}")
        divergence, self.nfe = self._divergence(x, generator), 0

        def augmented(t, state):
            self.nfe += 1
            return divergence(t, state[0])

        times = [self.horizon, 0.0] if reverse else [0.0, self.horizon]
        start = (x, x.new_zeros(len(x)))
        path, trace = odeint(augmented, start, torch.tensor(times, dtype=torch.float64), **self.solver)
        return path[-1], trace[-1]

    def log_prob(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """log p(x) of data x (n, d) in nats: (n,). Solved backwards, from the data to the noise."""
        z, trace = self.transport(x, reverse=True, generator=generator)
        return log_normal(z) + trace

    forward = log_prob  # so that `fit(cnf, (x, x), loss=lambda log_p, _: -log_p.mean())` is maximum likelihood

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """n samples (n, d) and their log p (n,), in one solve forwards."""
        like = next(self.field.parameters(), torch.zeros(()))
        z = drawn((_checks.whole_number("n", n, at_least=1), self.features), like, generator)
        x, trace = self.transport(z, generator=generator)
        return x, log_normal(z) - trace

    def _divergence(self, x, generator):
        if self.trace == "exact":
            return lambda t, y: exact_divergence(self.field, t, y)
        probes = drawn((self.probes, *x.shape), x, generator)
        probes = probes.sign() if self.noise == "rademacher" else probes
        return lambda t, y: hutchinson_divergence(self.field, t, y, probes)

    def extra_repr(self) -> str:
        return f"features={self.features}, trace={self.trace!r}, horizon={self.horizon:g}"
