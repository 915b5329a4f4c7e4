"""Physics-informed networks: the residual of an equation is the loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers._tensors import described, real, rows

from . import _checks, _weights


class PINN(nn.Module):
    """The residuals of an equation and of its side conditions, as functions of a network's weights.

        loss = mean residual(u_θ, x)² + weight · mean side(u_θ)²

    (Raissi, Perdikaris and Karniadakis 2019, Physics-informed neural networks, J. Comput. Phys. 378, 686–707.)

    Args:
        net: u_θ, (n, d) ↦ (n, 1).
        residual: residual(u, x) at points x (n, d) that require a gradient, u = net(x) (n, 1); one row a point, (n,) or
            (n, equations), these not n.
        side: side(net), the residuals of initial and boundary conditions; a tensor of any shape.
        weight: Of the side conditions, at least 0.

    Raises:
        TypeError: `net` is not a module, a function not callable, or `weight` no number.
        ValueError: `weight` is negative or not finite.
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
        """The two terms of the loss at points x (n, d): mean squares of both residuals, the second weighted, (2,).

        Raises:
            TypeError: x is no tensor of the dtype and on the device of the weights, or a residual no real tensor.
            ValueError: x is no matrix, empty or not finite; the net does not give (n, 1); or a residual is empty or of
                another shape.
        """
        x = _weights.finite_rows("x", x, "net", self.net).detach().requires_grad_()
        with torch.enable_grad():  # the residual needs derivatives in x, also where the weights' are not wanted
            u = real("net", self.net(x))
            if u.shape != (len(x), 1):
                raise ValueError(f"net must map {tuple(x.shape)} to ({len(x)}, 1); got {tuple(u.shape)}")
            equation, side = _one_row_each(self.residual(u, x), len(x)), real("side", self.side(self.net))
            if not side.numel():
                raise ValueError(f"side must hold at least one number; got {tuple(side.shape)}")
            terms = torch.stack([equation.square().mean(), self.weight * side.square().mean()])
        return terms if torch.is_grad_enabled() else terms.detach()


def _one_row_each(residual, n):
    """The residual when it has a row for each of n points; (n, n) is what (n, 1) minus (n,) becomes without a word."""
    columns = real("residual", residual).numel() // n
    if residual.shape not in ((n,), (n, columns)) or not columns or columns == n > 1:
        wanted = f"({n},) or ({n}, equations), one row a point and not ({n}, {n})"
        raise ValueError(f"residual must be of shape {wanted}; got {tuple(residual.shape)}")
    return residual


def gradient(u: Tensor, x: Tensor) -> Tensor:
    """∂u/∂x (n, d) for u (n, 1) whose row i depends on row i of x (n, d) alone; itself differentiable.

    Zero where u does not depend on x, as the second derivative of a linear function.

    Raises:
        TypeError: u or x is no tensor of float32 or float64.
        ValueError: u is not (n, 1), x no matrix or without requires_grad, or u has no gradient, as under no_grad.
    """
    if rows("u", u, 1).shape[0] != rows("x", x).shape[0]:
        raise ValueError(f"u must be of shape ({len(x)}, 1), as x has rows; got {tuple(u.shape)}")
    for name, value in (("x", x), ("u", u)):
        if not value.requires_grad:
            raise ValueError(f"{name} must be recorded by autograd, with requires_grad; got {described(value)} without")
    return torch.autograd.grad(u.sum(), x, create_graph=True, materialize_grads=True)[0]
