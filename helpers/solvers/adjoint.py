"""The continuous adjoint: the gradient as the solution of a second differential equation, solved backwards.

With a(t) = ∂ℓ/∂y(t), the loss ℓ depending on y at the output times,

    a' = −(∂f/∂y)ᵀ a,        dℓ/dθ = ∫ (∂f/∂θ)ᵀ a dt,

where y(t) is computed again along the way, by solving y' = f backwards from y(T) (Pontryagin et al. 1962; Chen et al.
2018, arXiv 1806.07366, Algorithm 1). This is the gradient of the *exact* flow, up to the tolerance; it is not the
gradient of the discrete solve, and where the flow contracts strongly the y that comes back is not the y that went
(Gholami et al. 2019, arXiv 1902.10298).
"""

from __future__ import annotations

from functools import partial

import torch

from .reversible import accumulate


def solve(tableau, run, func, y, times, parameters):
    """The states at times[1:], whose gradient, in y and `parameters`, is the adjoint's; first derivatives only.

    Args:
        run: function of (func, y, times, accepted) → states at times[1:]; it calls accepted(start, h, slopes) after
            each step that counts, when `accepted` is not None.
    """
    return list(_Adjoint.apply((tableau, run, func, times), y, *parameters))


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, problem, y, *parameters):
        _, run, func, times = ctx.problem = problem
        states = run(func, y, times, None)
        ctx.save_for_backward(torch.stack([y, *states]), *parameters)
        return tuple(states)

    @staticmethod
    def backward(ctx, *gradients):
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "gradient='adjoint' has first derivatives only: use gradient='backprop' or 'checkpoint'"
            )
        tableau, run, func, times = ctx.problem
        states, *parameters = ctx.saved_tensors
        totals = [torch.zeros_like(p) for p in parameters]
        field, collect = partial(_pair_field, func, parameters), partial(_collect, tableau, totals)
        a = torch.zeros_like(states[0])
        for k in range(len(times) - 1, 0, -1):
            # every output is a fresh start for y, which bounds how far the re-computed state can drift
            pair = torch.stack([states[k], a + gradients[k - 1]])
            (pair,) = run(field, pair, [times[k], times[k - 1]], collect)
            a = pair[1]
        return None, a, *totals


def _pair_field(func, parameters, t, pair):
    """The field of the pair (y, a), stacked; the slope carries along what it adds to the parameters' gradient."""
    y, a = pair
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        slope = func(t, y)
    from_y, *found = [None] * (1 + len(parameters))
    if slope.requires_grad:
        from_y, *found = torch.autograd.grad(slope, (y, *parameters), a, allow_unused=True)
    both = torch.stack([slope.detach(), torch.zeros_like(y) if from_y is None else -from_y])
    both.to_parameters = found
    return both


def _collect(tableau, totals, start, h, slopes):
    """Add one step of the integral over the parameters: the quadrature of the method itself. Here h < 0."""
    for j, weight in tableau.nonzero_weights:
        accumulate(totals, [None if g is None else g * (-h * weight) for g in slopes[j].to_parameters])
