"""Layers that step a Hamiltonian system by a symplectic scheme: their Jacobians are symplectic at any depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import _checks

SCHEMES = ("symplectic_euler", "leapfrog")


class LogCosh(nn.Module):
    """The potential φ(z) = Σ_i log cosh(W z + b)_i, convex, with gradient ∇φ(z) = Wᵀ tanh(W z + b).

    Args:
        features: Entries of z.
        hidden: Rows of W.
    """

    def __init__(self, features: int, hidden: int):
        super().__init__()
        self.linear = nn.Linear(features, hidden)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z): (..., features) ↦ (...)."""
        a = self.linear(z).abs()
        # log cosh a = a + log(1 + e^(−2a)) − log 2 does not overflow
        return (a + torch.log1p(torch.exp(-2 * a)) - torch.log(a.new_tensor(2.0))).sum(-1)

    def gradient(self, z: Tensor) -> Tensor:
        """∇φ(z): (..., features) ↦ (..., features)."""
        return torch.tanh(self.linear(z)) @ self.linear.weight


class HamiltonianBlock(nn.Module):
    """Symplectic steps of q' = ∇T(p), p' = −∇U(q), with H(q, p) = T(p) + U(q) learned.

    The state is x = (q, p), two halves of the last axis; T and U are `LogCosh`. "symplectic_euler" (called
    semi-implicit, and explicit all the same since H is separable): p ← p − h ∇U(q), then q ← q + h ∇T(p).
    "leapfrog" (Störmer–Verlet): half a step of p, one of q, half a step of p.

    For either scheme and at any depth the Jacobian J satisfies Jᵀ Ω J = Ω with Ω = [[0, I], [−I, 0]]. Hence its
    singular values come in pairs (σ, 1/σ) and ‖J‖₂ ≥ 1: gradients cannot all vanish. They may explode.
    (Haber & Ruthotto 2017, arXiv 1705.03341; Galimberti et al. 2021, Hamiltonian deep neural networks guaranteeing
    non-vanishing gradients by design, arXiv 2105.13205.)

    Args:
        features: Entries of the state, an even number.
        depth: Steps, all with the same H; for another H in each layer put blocks in a row.
        step: h.
        hidden: Rows of the matrices in T and U; None means features / 2.
        method: "symplectic_euler" or "leapfrog".

    Attributes:
        kinetic, potential: T and U.

    Raises:
        ValueError: `features` is odd, or another argument is not as above.
    """

    def __init__(
        self,
        features: int,
        depth: int = 1,
        *,
        step: float = 0.1,
        hidden: int | None = None,
        method: str = "symplectic_euler",
    ):
        super().__init__()
        self.features = _checks.whole_number("features", features, at_least=2)
        if self.features % 2:
            raise ValueError(f"features must be even, half of them positions; got {features}")
        if method not in SCHEMES:
            raise ValueError(f"method must be one of {', '.join(SCHEMES)}; got {method!r}")
        self.depth = _checks.whole_number("depth", depth, at_least=1)
        self.step = _checks.positive_number("step", step)
        self.method = method
        half = self.features // 2
        hidden = half if hidden is None else _checks.whole_number("hidden", hidden, at_least=1)
        self.kinetic, self.potential = LogCosh(half, hidden), LogCosh(half, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(..., features) ↦ (..., features)."""
        return self._run(x, self.step, kick_first=True)

    def inverse(self, y: Tensor) -> Tensor:
        """The input that `forward` maps to y, up to rounding: the same moves backwards, in the other order."""
        return self._run(y, -self.step, kick_first=False)

    def hamiltonian(self, x: Tensor) -> Tensor:
        """H(q, p) = T(p) + U(q): (..., features) ↦ (...)."""
        _checks.last_axis(self, x, self.features)
        q, p = x.chunk(2, dim=-1)
        return self.kinetic(p) + self.potential(q)

    def _run(self, x, h, kick_first):
        _checks.last_axis(self, x, self.features)
        q, p = x.chunk(2, dim=-1)
        for _ in range(self.depth):
            if self.method == "leapfrog":
                p = p - h / 2 * self.potential.gradient(q)
                q = q + h * self.kinetic.gradient(p)
                p = p - h / 2 * self.potential.gradient(q)
            elif kick_first:
                p = p - h * self.potential.gradient(q)
                q = q + h * self.kinetic.gradient(p)
            else:
                q = q + h * self.kinetic.gradient(p)
                p = p - h * self.potential.gradient(q)
        return torch.cat([q, p], dim=-1)

    def extra_repr(self) -> str:
        return f"features={self.features}, depth={self.depth}, step={self.step:g}, method={self.method!r}"
