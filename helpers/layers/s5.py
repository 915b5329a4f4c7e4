"""One state-space model for all features together, run by a scan."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from . import _choice, _sequences
from ._state_space import StateSpace, gaussian, real_pairs
from .discretize import diagonal
from .linear_scan import linear_scan
from .s4d import diagonal_poles


class S5(StateSpace):
    """One state-space model for all features together: u (batch, length, features) → y of the same shape.

        x' = Λ x + B u,    y = 2 Re(C x) + D u,

    with `state`/2 complex poles, each with a step Δ of its own, and dense B, C (Smith et al. 2022, Simplified state
    space layers for sequence modeling, arXiv 2208.04933). The poles start at those of the normal part of HiPPO-LegS;
    Re Λ = −exp(·) and Δ = exp(·) keep the model stable whatever is trained.

    Args:
        features: H.
        state: N, even.
        init: "lin", "inv" or "legs", see `diagonal_poles`.
        dt: Range (low, high) of the initial steps Δ, log-uniform.
        method: "zoh" or "bilinear", see `discretize`.

    Attributes:
        interval: By which Δ is multiplied, for another sampling rate than that of training.

    Raises:
        ValueError: `features` is below 1, `state` odd or below 2, init or method unknown, or not 0 < low ≤ high.
        TypeError: A size is not a whole number, or `dt` not a pair of numbers.
    """

    def __init__(
        self,
        features: int,
        state: int = 64,
        *,
        init: str = "legs",
        dt: Sequence[float] = (1e-3, 1e-1),
        method: str = "zoh",
    ):
        super().__init__(features, state)
        self.method = _choice.one_of("method", method, ("zoh", "bilinear"))
        poles, _ = diagonal_poles(init, self.state)
        half = self.state // 2
        self.start(poles, dt)
        self.B = real_pairs(gaussian(half, self.features) / self.features**0.5)
        self.C = real_pairs(gaussian(self.features, half) / half**0.5)
        self.D = nn.Parameter(torch.randn(self.features))

    def discrete(self) -> tuple[Tensor, Tensor]:
        """a_bar (state / 2,) and B_bar (state / 2, features)."""
        a, b = diagonal(self.poles.unsqueeze(-1), torch.view_as_complex(self.B), self.steps, self.method)
        return a.squeeze(-1), b

    def forward(self, u: Tensor) -> Tensor:
        """(batch, length, features) ↦ the same shape.

        Raises:
            ValueError: u is of another shape, or empty.
            TypeError: u is of another dtype than the parameters.
        """
        _sequences.sequence(self, u, self.features, self.D.dtype)
        a, b = self.discrete()
        states = linear_scan(a, u.transpose(0, 1).to(b.dtype) @ b.mT)  # (length, batch, state / 2)
        return self._read(states).transpose(0, 1) + self.D * u

    def step(self, u: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One sample u (batch, features) and the state before it → output (batch, features) and state.

        Args:
            x: (batch, state / 2), complex; None at the start.

        Raises:
            ValueError: u or x is of another shape.
            TypeError: u or x is of another dtype than the parameters, or their complex one.
        """
        _sequences.sample(self, u, self.features, self.D.dtype)
        a, b = self.discrete()
        driven = u.to(b.dtype) @ b.mT
        x = driven if x is None else a * _sequences.carried("x", x, driven.shape, driven.dtype) + driven
        return self._read(x) + self.D * u, x

    def _read(self, x):
        return 2 * (x @ torch.view_as_complex(self.C).mT).real

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, method={self.method!r}"
