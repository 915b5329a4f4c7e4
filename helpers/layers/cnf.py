"""Continuous normalising flows: a density carried along by a differential equation."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers._tensors import real, rows, same_kind
from helpers.solvers import odeint

from . import _checks, _choice
from ._noise import drawn

TRACES = ("exact", "hutchinson")
PROBES = ("rademacher", "gaussian")
SOLVER = ("method", "rtol", "atol", "options", "gradient")


def log_normal(x: Tensor) -> Tensor:
    """Log density of N(0, I) in nats: x (..., d) ↦ (...).

    Raises:
        TypeError: x is no tensor of float32 or float64.
        ValueError: It is 0-d.
    """
    _at_least_one_axis(x)
    return -0.5 * (x.square() + math.log(2 * math.pi)).sum(-1)


def exact_divergence(field: Callable, t: float | Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """f(t, x) (..., d) and tr ∂f/∂x (...): one call on d copies of the batch, one vector–Jacobian product.

    The field must act on each sample by itself; it sees (d, ..., d). Both results have a graph where gradients are on,
    to differentiate twice or more, and none under `torch.no_grad` and `torch.inference_mode`. A field that does not
    look at x has trace 0.

    Raises:
        TypeError: `field` cannot be called, or x is no tensor of float32 or float64.
        ValueError: x is 0-d, or the field does not keep its shape.
    """
    _at_least_one_axis(x)
    d = x.shape[-1]

    def trace(copies, f, graph):
        diagonal = torch.arange(d, device=x.device)
        pulled = _pulled_back(f[diagonal, ..., diagonal].sum(), copies, None, graph)
        return pulled[diagonal, ..., diagonal].sum(0)

    return _with_trace(field, t, x, d, trace)


def hutchinson_divergence(field: Callable, t: float | Tensor, x: Tensor, probes: Tensor) -> tuple[Tensor, Tensor]:
    """f(t, x) (..., d) and the estimate of tr ∂f/∂x (...), the mean of εᵀ (∂f/∂x) ε over the probes ε (k, ..., d).

    One call on k copies of the batch. It is unbiased where E ε εᵀ = I (Hutchinson 1990, A stochastic estimator of the
    trace of the influence matrix). Of its graph and of the field, see `exact_divergence`.

    Raises:
        TypeError: `field` cannot be called, x is no tensor of float32 or float64, or the probes are of another kind.
        ValueError: x is 0-d, the probes do not fit to it, or the field does not keep its shape.
    """
    _at_least_one_axis(x)
    same_kind("probes", real("probes", probes), "x", x)
    if probes.shape[1:] != x.shape or not len(probes):
        wanted = ", ".join(map(str, x.shape))
        raise ValueError(f"probes must be of shape (k ≥ 1, {wanted}), as x; got {tuple(probes.shape)}")

    def trace(copies, f, graph):
        epsilon = _outside_inference(probes)
        return (_pulled_back(f, copies, epsilon, graph) * epsilon).sum(-1).mean(0)

    return _with_trace(field, t, x, len(probes), trace)


def _with_trace(field, t, x, count, trace):
    """The field at x, and what `trace` makes of `count` copies of x, the field there, and whether a graph is wanted."""
    if not callable(field):
        raise TypeError(f"field must be callable as field(t, x); got {type(field).__name__}")
    graph = torch.is_grad_enabled()
    # in inference mode no graph can be made, not even one for this call alone
    with torch.inference_mode(False), torch.enable_grad():
        t, x = _outside_inference(t), _outside_inference(x)
        copies = (x if x.requires_grad else x.detach().requires_grad_()).expand(count, *x.shape)
        f = field(t, copies)
        if not isinstance(f, Tensor) or f.shape != copies.shape:
            got = tuple(f.shape) if isinstance(f, Tensor) else type(f).__name__
            raise ValueError(f"field must keep the shape of its x, {tuple(copies.shape)}; got {got}")
        value, divergence = f[0], trace(copies, f, graph)
    return (value, divergence) if graph else (value.detach(), divergence.detach())


def _pulled_back(f, copies, cotangent, graph):
    """(∂f/∂copies)ᵀ times the cotangent; 0 where f does not look at the copies."""
    if not f.requires_grad:
        return torch.zeros_like(copies)
    found = torch.autograd.grad(f, copies, cotangent, create_graph=graph, allow_unused=True)[0]
    return torch.zeros_like(copies) if found is None else found


def _outside_inference(value):
    """A copy that a graph may hold, of a tensor that was made in inference mode; to be called outside that mode."""
    return value.clone() if isinstance(value, Tensor) and value.is_inference() else value


def _at_least_one_axis(x):
    if not real("x", x).ndim:
        raise ValueError("x must be of shape (..., d); got ()")


class CNF(nn.Module):
    """A continuous normalising flow: x' = f(t, x) carries N(0, I) at t = 0 to the model's density at t = horizon.

    Along a path d/dt log p_t(x(t)) = −tr ∂f/∂x (Chen et al. 2018, Neural ordinary differential equations, arXiv
    1806.07366, Theorem 1), so that one solve of the pair (x, ∫ tr) gives a sample and its log density. Hutchinson's
    estimate εᵀ (∂f/∂x) ε of the trace (Grathwohl et al. 2019, FFJORD, arXiv 1810.01367) draws ε once for a whole solve:
    what is solved is then one ODE with a smooth right-hand side.

    Args:
        field: f, a module called as field(t, x) with t a 0-d tensor and x (k, n, d): k copies of the batch, for the
            trace. It keeps the shape and acts on each sample by itself.
        features: d.
        trace: "exact" (d vector–Jacobian products a call) or "hutchinson" (`probes` of them).
        noise: Of Hutchinson's ε: "rademacher" or "gaussian".
        probes: ε's of one solve, k.
        horizon: T.
        **solver: method, rtol, atol, options and gradient of `helpers.solvers.odeint`; none means its defaults. Each
            of its gradients reaches x and the weights; "adjoint" is that of the exact flow, up to the tolerance, and
            "reversible" solves by another scheme of the same order.

    Attributes:
        nfe: Calls of the field in the last solve, each on all copies, also in one that failed; those of a backward pass
            are not counted. A copy begins at 0.

    Raises:
        TypeError: `field` is not a module, a number not one, or an argument not the solver's.
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
        if unknown := [name for name in solver if name not in SOLVER]:
            raise TypeError(f"solver must be among {', '.join(SOLVER)}; got {', '.join(map(repr, unknown))}")
        self.solver, self.nfe = solver, 0

    def transport(
        self, x: Tensor, *, reverse: bool = False, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """The end of the path from x (n, d), and the integral of the trace along it (n,), both in the way of travel.

        That integral is log |det ∂end/∂x|, up to the accuracy of the solver.

        Args:
            reverse: From t = horizon down to 0, from data to noise.
            generator: Of Hutchinson's ε, on the CPU; None means torch's global one.

        Raises:
            TypeError: x is no tensor of float32 or float64, or not of the weights' dtype and device.
            ValueError: x is no batch (n, d) of at least one sample, or the field mixes samples or changes the shape.
            SolverError: The solve failed, also since x was not finite.
        """
        rows("x", x, self.features)
        weight = next((p for p in self.field.parameters() if p.is_floating_point()), x)
        same_kind("x", x, "the weights of field", weight)
        augmented = _Augmented(self.field, self._divergence(x, generator))
        times = [self.horizon, 0.0] if reverse else [0.0, self.horizon]
        start = (x, x.new_zeros(len(x)))
        try:
            path, trace = odeint(augmented, start, torch.tensor(times, dtype=torch.float64), **self.solver)
        finally:  # what a solver has spent before it gave up is worth knowing
            self.nfe = augmented.calls
        return path[-1], trace[-1]

    def log_prob(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """log p(x) of data x (n, d) in nats: (n,). Solved backwards, from the data to the noise.

        Takes and raises what `transport` does.
        """
        z, trace = self.transport(x, reverse=True, generator=generator)
        return log_normal(z) + trace

    forward = log_prob  # so that `fit(cnf, (x, x), loss=lambda log_p, _: -log_p.mean())` is maximum likelihood

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """n samples (n, d) and their log p (n,) in nats, in one solve forwards.

        They are of the dtype and on the device of the field's weights; of torch's default where it has none.

        Args:
            n: At least 1.
            generator: Of the noise and of Hutchinson's ε, on the CPU; None means torch's global one.

        Raises:
            TypeError, ValueError, SolverError: n is no whole number ≥ 1; else what `transport` raises.
        """
        like = next((p for p in self.field.parameters() if p.is_floating_point()), torch.zeros(()))
        z = drawn((_checks.whole_number("n", n, at_least=1), self.features), like, generator)
        x, trace = self.transport(z, generator=generator)
        return x, log_normal(z) - trace

    def _divergence(self, x, generator):
        """A function of (field, t, y) that returns the field there and its trace; made for one solve."""
        if self.trace == "exact":
            return exact_divergence
        probes = drawn((self.probes, *x.shape), x, generator)
        probes = probes.sign() if self.noise == "rademacher" else probes
        return lambda field, t, y: hutchinson_divergence(field, t, y, probes)

    def __getstate__(self):
        return {**self.__dict__, "nfe": 0}

    def extra_repr(self) -> str:
        return f"features={self.features}, trace={self.trace!r}, horizon={self.horizon:g}"


class _Augmented(nn.Module):
    """The field of the pair (x, ∫ tr), made for one solve.

    A module, since the solvers look for a module's parameters. What a backward pass calls later changes no `nfe`.
    """

    def __init__(self, field, divergence):
        super().__init__()
        self.field, self.divergence = field, divergence
        self.looked_at, self.calls = _LookedAt(field), 0

    def forward(self, t, state):
        self.calls += 1
        return self.divergence(self.looked_at, t, state[0])


class _LookedAt:
    """The field, refused at its first call where the first sample depends on another: no product gives a trace then."""

    def __init__(self, field):
        self.field, self.seen = field, False

    def __call__(self, t, x):
        f = self.field(t, x)
        if not self.seen and isinstance(f, Tensor) and f.shape == x.shape and f.requires_grad:
            (slope,) = torch.autograd.grad(f[..., 0, :].sum(), x, retain_graph=True, allow_unused=True)
            if slope is not None and (slope[..., 1:, :].abs() > 0).any():
                raise ValueError(
                    "field must act on each sample by itself; got one in which the first sample depends on others, "
                    "as with batch normalisation in train mode"
                )
        self.seen = True
        return f
