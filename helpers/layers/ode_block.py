"""Layers whose output is the solution of an ODE: x(T), where x' = f(t, x) and x(0) is the layer's input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from helpers.solvers import odeint

from . import _checks


class ODEBlock(nn.Module):
    """The flow map x(0) ↦ x(T) of x' = f_θ(t, x): a residual stack in the limit of infinitely many layers.

    (Chen et al. 2018, Neural ordinary differential equations, arXiv 1806.07366.)

    Args:
        field: The vector field, a module called as field(t, x), which keeps the shape of x.
        horizon: T, the depth time at which the state is read.
        method, rtol, atol, options, gradient: How the equation is solved and differentiated, as
            `helpers.solvers.odeint` takes them.

    Attributes:
        nfe: How often the last completed forward pass evaluated the field; 0 before the first one. A copy or
            a reloaded block begins at 0 again. Evaluations of a backward pass are not counted.

    Raises:
        TypeError: `field` is not a module.
        ValueError: `horizon` is not positive and finite.
    """

    def __init__(
        self,
        field: nn.Module,
        *,
        horizon: float = 1.0,
        method: str = "dopri5",
        rtol: float | None = None,
        atol: float | None = None,
        options: dict | None = None,
        gradient: str = "backprop",
    ):
        super().__init__()
        self.field = _checks.module("field", field)
        self.horizon = _checks.positive_number("horizon", horizon)
        self.method = method
        self.rtol, self.atol = rtol, atol
        self.options = options
        self.gradient = gradient
        self.nfe = 0

    def forward(self, x: Tensor) -> Tensor:
        """x(T), shaped like x: (..., features) or whatever shape the field takes."""
        states, self.nfe = self._solve(x, [0.0, self.horizon])
        return states[-1]

    def trajectory(self, x: Tensor, t: Sequence[float] | Tensor) -> Tensor:
        """The solution that is x at time t[0], at every time in `t`.

        Args:
            x: The state at t[0], (..., features).
            t: Two or more times, increasing or decreasing.

        Returns:
            (len(t), ..., features). `nfe` stays that of the last forward pass.
        """
        return self._solve(x, t)[0]

    def _solve(self, x, t):
        counted = _Counted(self.field)
        states = odeint(
            counted,
            x,
            torch.as_tensor(t, dtype=torch.float64),
            method=self.method,
            rtol=self.rtol,
            atol=self.atol,
            options=self.options,
            gradient=self.gradient,
        )
        return states, counted.calls

    def __getstate__(self):
        return {**self.__dict__, "nfe": 0}

    def extra_repr(self) -> str:
        return f"horizon={self.horizon:g}, method={self.method!r}, gradient={self.gradient!r}"


class _Counted(nn.Module):
    """The field, and how often one solve has called it.

    A module, since the solvers look for a module's parameters. Made for one solve: no copy of the block
    shares a counter with it, and what a backward pass calls later changes no count.
    """

    def __init__(self, field):
        super().__init__()
        self.field = field
        self.calls = 0

    def forward(self, t, x):
        self.calls += 1
        return self.field(t, x)


class AugmentedODEBlock(ODEBlock):
    """An ODE block on a state with `augment` more entries, all zero at first: room for points to swap places.

    A flow on R^d keeps the topology of its input, so it cannot, for instance, swap two points of the line; in
    a larger space it can (Dupont et al. 2019, Augmented neural ODEs, arXiv 1904.01681, Proposition 1).

    Args:
        field: A vector field on features + augment entries.
        augment: How many zeros are appended to the last axis; 0 gives an `ODEBlock`.
        **solver: `horizon`, `method` and the rest, as for `ODEBlock`.

    Raises:
        ValueError: `augment` is negative.
    """

    def __init__(self, field: nn.Module, *, augment: int, **solver):
        super().__init__(field, **solver)
        self.augment = _checks.whole_number("augment", augment, at_least=0)

    def forward(self, x: Tensor) -> Tensor:
        """The augmented state at T: (..., features) ↦ (..., features + augment)."""
        return super().forward(self._augmented(x))

    def trajectory(self, x: Tensor, t: Sequence[float] | Tensor) -> Tensor:
        """As `ODEBlock.trajectory`: x (..., features) gives (len(t), ..., features + augment)."""
        return super().trajectory(self._augmented(x), t)

    def _augmented(self, x):
        return torch.cat([x, x.new_zeros(*x.shape[:-1], self.augment)], dim=-1)

    def extra_repr(self) -> str:
        return f"augment={self.augment}, {super().extra_repr()}"
