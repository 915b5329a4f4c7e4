"""Mamba's selective state-space model: the input decides what is written, kept and read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import _checks, _sequences
from ._state_space import log_uniform
from .selective_scan import selective_scan


class SelectiveSSM(nn.Module):
    """S6: u (batch, length, features) → y of the same shape.

        h_t = exp(Δ_t A) h_{t−1} + Δ_t B_t u_t,    y_t = C_t h_t + D u_t,

    with Δ_t = softplus(·), B_t, C_t computed from u_t (Gu and Dao 2023, Mamba: linear-time sequence modeling with
    selective state spaces, arXiv 2312.00752). A is exact (zero-order hold), B is Euler's rule, as in the authors' code.
    A = −exp(·) stays negative whatever is trained. The block around it (convolution, gate) is not part of it.

    Args:
        features: How many, each with `state` states of its own.
        state: N, at least 1.
        dt_rank: Rank of the map from u_t to Δ_t; None means features / 16, rounded up.
        dt: Range (low, high) of the initial steps Δ, log-uniform.

    Raises:
        ValueError: A size is below 1, or not 0 < low ≤ high.
        TypeError: A size is not a whole number, or `dt` not a pair of numbers.
    """

    def __init__(
        self, features: int, state: int = 16, *, dt_rank: int | None = None, dt: Sequence[float] = (1e-3, 1e-1)
    ):
        super().__init__()
        self.features = _checks.whole_number("features", features, at_least=1)
        self.state = _checks.whole_number("state", state, at_least=1)
        rank = -(-self.features // 16) if dt_rank is None else _checks.whole_number("dt_rank", dt_rank, at_least=1)
        start = log_uniform(self.features, dt).exp()
        first = torch.arange(1, self.state + 1).to(torch.get_default_dtype())
        self.log_A = nn.Parameter(first.log().repeat(self.features, 1))
        self.select = nn.Linear(self.features, rank + 2 * self.state, bias=False)
        self.widen = nn.Linear(rank, self.features)
        self.D = nn.Parameter(torch.ones(self.features))
        self.sizes = [rank, self.state, self.state]
        with torch.no_grad():
            self.widen.bias.copy_(start + torch.log(-torch.expm1(-start)))  # softplus(bias) = start

    def selection(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Δ (..., features), B and C (..., state) that the samples u (..., features) choose."""
        _sequences.real_of("u", u, self, self.D.dtype)
        _checks.last_axis(self, u, self.features)
        low, B, C = self.select(u).split(self.sizes, dim=-1)
        return F.softplus(self.widen(low)), B, C

    def forward(self, u: Tensor, state: Tensor | None = None, *, return_state: bool = False):
        """A sequence, or its continuation: (batch, length, features) ↦ the same shape.

        Args:
            state: The state to go on from, (batch, features, state); None means zero.
            return_state: Whether to return the last state too, for the next piece; the gradient flows through it.

        Raises:
            ValueError: u or the state is of another shape, or u empty; or steps Δ that are not finite come out of u.
            TypeError: u or the state is of another dtype than the parameters.
        """
        _sequences.sequence(self, u, self.features, self.D.dtype)
        if state is not None:
            _sequences.carried("state", state, (len(u), self.features, self.state), u.dtype)
        delta, B, C = self.selection(u)
        y, last = selective_scan(u, delta, -self.log_A.exp(), B, C, state)
        y = y + self.D * u
        return (y, last) if return_state else y

    def step(self, u: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One sample u (batch, features) and the state before it → output (batch, features) and state.

        Args:
            h: (batch, features, state); None at the start.

        Raises:
            ValueError: u or h is of another shape.
            TypeError: u or h is of another dtype than the parameters.
        """
        _sequences.sample(self, u, self.features, self.D.dtype)
        delta, B, C = self.selection(u)
        driven = (delta * u).unsqueeze(-1) * B.unsqueeze(-2)
        if h is None:
            h = driven
        else:
            h = _sequences.carried("h", h, driven.shape, driven.dtype)
            h = torch.exp(delta.unsqueeze(-1) * -self.log_A.exp()) * h + driven
        return (h @ C.unsqueeze(-1)).squeeze(-1) + self.D * u, h

    def extra_repr(self) -> str:
        return f"features={self.features}, state={self.state}"
