"""Physics-informed networks: the residual of an equation is the loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from . import _checks


class PINN(nn.Module):
    """The residuals of an equation and of its side conditions, as functions of a network's weights.

    (Raissi, Perdikaris and Karniadakis 2019, J. Comput. Phys. 378, 686–707.)

    Args:
        net: u_θ, (n, d) ↦ (n, 1).
        residual: residual(u, x) at points x (n, d) that require a gradient, u = net(x); any shape.
        side: side(net), the residuals of initial and boundary conditions; any shape.
        weight: Of the side conditions.

    Raises:
        TypeError, ValueError: `net` is not a module, a function not callable, or `weight` negative.
    """

    def __init__(
        self,
        net: nn.Module,
        residual: Callable[[Tensor, Tensor], Tensor],
        side: Callable[[nn.Module], Tensor],
        weight: float = 1.0,
    ):
        super().__init__()
        if not isinstance(net, nn.Module):
            raise TypeError(f"net must be an nn.Module, called as net(x); got {type(net).__name__}")
        for name, function in (("residual", residual), ("side", side)):
            if not callable(function):
                raise TypeError(f"{name} must be callable; got {type(function).__name__}")
        self.net, self.residual, self.side = net, residual, side
        self.weight = _checks.number_from_zero("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        """The two terms of the loss at points x (n, d): mean squares of both residuals, the second weighted, (2,)."""
        x = x.detach().requires_grad_()
        equation = self.residual(self.net(x), x).square().mean()
        return torch.stack([equation, self.weight * self.side(self.net).square().mean()])


def gradient(u: Tensor, x: Tensor) -> Tensor:
    """∂u/∂x (n, d) for u (n, 1) whose row i depends on row i of x (n, d) alone; itself differentiable."""
    return torch.autograd.grad(u.sum(), x, create_graph=True)[0]
