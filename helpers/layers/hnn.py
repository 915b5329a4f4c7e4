"""Hamiltonian neural networks: the energy is learnt, the motion follows from it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from helpers._tensors import points, same_kind
from helpers.solvers import odeint

from . import _checks, _choice

ROLLOUTS = ("symplectic_euler", "leapfrog", "yoshida4")


class HNN(nn.Module):
    """The field (∂H/∂p, −∂H/∂q) of a learnt energy H(q, p) = wᵀ tanh(W x + b), x = (q, p).

    Its solutions keep H, whatever was learnt, as exactly as they are solved (Greydanus et al. 2019, Hamiltonian neural
    networks, arXiv 1906.01563). The gradient is written out, ∇H = Wᵀ (w ⊙ (1 − tanh²(W x + b))), so that training
    needs no second backward pass.

    Args:
        features: Entries of x, even: the first half is q, the second p.
        hidden: Entries of the hidden layer, at least 2.
        separable: H = V(q) + T(p): half of the hidden units see q alone, half p alone. Explicit symplectic methods need
            it.

    Raises:
        TypeError: A size is not a whole number.
        ValueError: It is too small, or `features` is odd.
    """

    def __init__(self, features: int, hidden: int = 64, *, separable: bool = False):
        super().__init__()
        self.features = _checks.whole_number("features", features, at_least=2)
        if self.features % 2:
            raise ValueError(f"features must be even, positions and as many momenta; got {features}")
        hidden, self.separable = _checks.whole_number("hidden", hidden, at_least=2), bool(separable)
        self.inner = nn.Linear(self.features, hidden)
        self.outer = nn.Parameter(torch.empty(hidden).uniform_(-1, 1) * hidden**-0.5)
        sees_q = torch.arange(hidden)[:, None] < hidden // 2
        is_q = torch.arange(self.features) < self.features // 2
        mask = (sees_q == is_q) if self.separable else torch.ones(hidden, self.features)
        self.register_buffer("mask", mask.to(self.inner.weight), persistent=False)

    def energy(self, x: Tensor) -> Tensor:
        """H, (..., features) ↦ (...). Velocities tell it up to a constant.

        Raises:
            TypeError: x is no tensor of the dtype and on the device of the weights.
            ValueError: The last axis of x does not hold `features` entries.
        """
        return self._layer(x)[1] @ self.outer

    def forward(self, t: float | Tensor, x: Tensor) -> Tensor:
        """The velocity (∂H/∂p, −∂H/∂q), (..., features) ↦ (..., features), whatever t.

        Raises:
            TypeError, ValueError: As `energy`.
        """
        weight, s = self._layer(x)
        dq, dp = (((1 - s * s) * self.outer) @ weight).chunk(2, dim=-1)
        return torch.cat([dp, -dq], dim=-1)

    def rollout(self, x0: Tensor, t: Tensor, *, method: str = "leapfrog", num_steps: int = 1) -> Tensor:
        """The solution by an explicit symplectic method, (len(t), *x0.shape).

        Args:
            x0: (..., features).
            t: Times, (m ≥ 2,), increasing or decreasing, the first that of x0.
            method: "symplectic_euler", "leapfrog" or "yoshida4".
            num_steps: Steps from each time to the next where the times are evenly spaced; else the longest step is
                their mean distance over `num_steps`.

        Raises:
            TypeError: x0 is no tensor of the dtype and on the device of the weights, or t no tensor of floats.
            ValueError: H is not separable, or the method is another: there take `odeint` with "implicit_midpoint". Or
                x0 or t is of another shape, or `num_steps` below 1.
            NonFiniteStateError: The solution became infinite.
        """
        if not self.separable:
            raise ValueError("rollout must be asked of a separable H, HNN(..., separable=True); got one that is not")
        _choice.one_of("method", method, ROLLOUTS)
        steps = _checks.whole_number("num_steps", num_steps, at_least=1)
        if not self._fitting("x0", x0).numel():
            raise ValueError(f"x0 must hold at least one state; got {tuple(x0.shape)}")
        intervals = len(t) - 1 if isinstance(t, Tensor) and t.ndim else 1  # what is no list of times odeint refuses

        def halves(t, state):
            return self(t, torch.cat(state, dim=-1)).chunk(2, dim=-1)

        options = {"num_steps": max(1, intervals) * steps}
        return torch.cat(odeint(halves, x0.chunk(2, dim=-1), t, method=method, options=options), dim=-1)

    def _fitting(self, name, x):
        return same_kind(name, points(name, x, self.features), "the weights", self.inner.weight)

    def _layer(self, x):
        self._fitting("x", x)
        weight = self.inner.weight * self.mask
        return weight, torch.tanh(nn.functional.linear(x, weight, self.inner.bias))

    def extra_repr(self) -> str:
        return f"features={self.features}, separable={self.separable}"
