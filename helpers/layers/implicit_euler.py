"""Layers that solve an equation for their output: steps of implicit Euler."""

from __future__ import annotations

from torch import nn

from . import _checks
from .ode_block import ODEBlock


class ImplicitEulerBlock(ODEBlock):
    """`depth` steps of implicit Euler: x_{k+1} = x_k + h f(t_{k+1}, x_{k+1}), h = horizon / depth.

    Each step is solved by Newton's method, and differentiated by the implicit function theorem at the solution.
    (Reshniak & Webster 2019, Robust learning with implicit residual networks, arXiv 1905.10479.)

    If the log-norm μ₂ of the field, λ_max of the symmetric part of ∂f/∂x, is at most μ everywhere and h μ < 1, then a
    step has the Lipschitz constant 1 / (1 − h μ) at most, whatever h is: with μ < 0 the layer contracts, and a longer
    step contracts more. Explicit Euler has no such bound.

    Args:
        field: The vector field, a module called as field(t, x), which keeps the shape of x; the last axis is the state
            of one sample.
        horizon: T.
        depth: Number of steps.

    Raises:
        TypeError: `field` is not a module.
        ValueError: `horizon` is not positive and finite, or `depth` < 1.
        helpers.solvers.SolverError: In the forward pass, where Newton's iteration does not converge.
    """

    def __init__(self, field: nn.Module, *, horizon: float = 1.0, depth: int = 1):
        self.depth = _checks.whole_number("depth", depth, at_least=1)
        super().__init__(field, horizon=horizon, method="implicit_euler", options={"num_steps": self.depth})

    @property
    def step(self) -> float:
        """h = horizon / depth."""
        return self.horizon / self.depth

    def lipschitz_bound(self, log_norm: float) -> float:
        """(1 − h μ)^−depth, which bounds the Lipschitz constant of the block.

        Args:
            log_norm: μ, an upper bound of the field's log-norm over all t and x.

        Raises:
            ValueError: h μ ≥ 1: the equation of a step may then have several solutions, and no bound holds.
        """
        if not self.step * log_norm < 1:
            raise ValueError(
                f"log_norm must be below 1 / step = {1 / self.step:g}, or the bound does not hold; got {log_norm}"
            )
        return (1 - self.step * log_norm) ** -self.depth

    def extra_repr(self) -> str:
        return f"horizon={self.horizon:g}, depth={self.depth}"
