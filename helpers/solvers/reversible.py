"""The gradient in memory that does not grow with the number of steps: the solve is run backwards, exactly.

Any one-step method y + Ψ_h(t, y) becomes algebraically reversible when it steps two states that start equal
(McCallum & Foster 2024, Efficient, accurate and stable gradients for neural ODEs, arXiv 2410.11648):

    y_{n+1} = λ y_n + (1 − λ) z_n + Ψ_h(t_n, z_n),        z_{n+1} = z_n − Ψ_{−h}(t_{n+1}, y_{n+1}).

Solved for (y_n, z_n) the same two lines give the states back, so that the backward pass needs none of them stored.
The coupling λ < 1 keeps y and z together; going back divides by it, which amplifies rounding by λ^−n.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch

from .errors import InstabilityError
from .grid import Step, stage_times

DEFAULT_COUPLING = 0.999
# y − z is of the size of the error, about twice it; apart by more than this part of the solution, they mean nothing
FARTHEST_APART = 0.5


def integrate(increment, c, func, y, steps: list[Step], parameters, coupling=DEFAULT_COUPLING):
    """The states at the marked steps, differentiable in y and in `parameters`, once.

    Args:
        increment: Ψ as a function of (func, times, y, h).
        c: the abscissae at which Ψ wants the time.
        coupling: λ in (0, 1].

    Raises:
        InstabilityError: the two states moved apart.

    Warns:
        UserWarning: rounding, amplified by λ^−n, has taken more than half of the digits of the states that come back,
            and so of the gradient.
    """
    if -len(steps) * math.log(coupling) > -math.log(torch.finfo(y.dtype).eps) / 2:
        warnings.warn(
            f"gradient='reversible' amplifies rounding by coupling**-steps = {coupling:g}**-{len(steps)}: more than "
            "half of the digits are lost; take fewer steps, a coupling closer to 1, or gradient='checkpoint'",
            stacklevel=4,
        )
    return list(_Reversible.apply(_Problem(increment, c, func, steps, coupling), y, *parameters))


class _Problem(NamedTuple):
    """What `solve` was given, beside the tensors."""

    increment: Callable
    c: tuple[float, ...]
    func: Callable
    steps: list[Step]
    coupling: float


class _Reversible(torch.autograd.Function):
    @staticmethod
    def forward(ctx, problem, y, *parameters):
        increment, _, func, steps, coupling = ctx.problem = problem
        z, outputs, states = y, [], y
        for (_, h, is_output), there, back in zip(steps, *_clocks(problem, y), strict=True):
            y = torch.lerp(z, y, coupling) + increment(func, there, z, h)
            z = z - increment(func, back, y, -h)
            if is_output:
                outputs.append(y)
        _together(y, z, [states, *outputs], steps)
        ctx.save_for_backward(y, z, *parameters)
        return tuple(outputs)

    @staticmethod
    def backward(ctx, *gradients):
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "gradient='reversible' has first derivatives only: use gradient='backprop' or 'checkpoint'"
            )
        steps, coupling = ctx.problem.steps, ctx.problem.coupling
        y, z, *parameters = ctx.saved_tensors
        totals, waiting = [torch.zeros_like(p) for p in parameters], list(gradients)
        to_y, to_z = torch.zeros_like(y), torch.zeros_like(z)
        walk = list(zip(steps, *_clocks(ctx.problem, y), strict=True))
        for (_, h, is_output), there, back in reversed(walk):
            if is_output:
                to_y = to_y + waiting.pop()
            moved, pulled = _pull_back(ctx.problem, back, y, -h, -to_z, parameters, totals)
            z, to_y = z + moved, to_y + pulled
            moved, pulled = _pull_back(ctx.problem, there, z, h, to_y, parameters, totals)
            y = (y - moved - (1 - coupling) * z) / coupling
            to_y, to_z = coupling * to_y, to_z + (1 - coupling) * to_y + pulled
        return None, to_y + to_z, *totals


def _together(y, z, states, steps):
    """That the two states are still one solution: where the flow contracts, what is between them grows instead."""
    apart = (y - z).abs().max().item()
    size = max(state.abs().max().item() for state in states)
    if FARTHEST_APART * size < apart < math.inf:  # what is not finite has a message of its own
        raise InstabilityError(
            f"gradient='reversible': its two states are {apart:.3g} apart at t = {steps[-1].start + steps[-1].h:.6g}, "
            f"in a solution of size {size:.3g}, with step size {abs(steps[-1].h):.3g}: the flow contracts too much "
            "for the scheme, or the steps are too long; solve over a shorter time or with shorter steps, or use "
            "gradient='checkpoint'"
        )


def _clocks(problem, like):
    """The stages' times of every step from its start, and from its end backwards."""
    c, steps = problem.c, problem.steps
    mirrored = [Step(start + h, -h, is_output) for start, h, is_output in steps]
    return stage_times(steps, c, like), stage_times(mirrored, c, like)


def _pull_back(problem, times, y, h, gradient, parameters, totals):
    """Ψ_h(t, y), and `gradient` pulled back through it: to y, and into `totals` for the parameters."""
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        moved = problem.increment(problem.func, times, y, h)
    if not moved.requires_grad:  # a field of the time alone, or a constant
        return moved, torch.zeros_like(y)
    from_y, *found = torch.autograd.grad(moved, (y, *parameters), gradient, allow_unused=True)
    accumulate(totals, found)
    return moved.detach(), torch.zeros_like(y) if from_y is None else from_y


def accumulate(totals, found):
    """Add the gradients that exist, in place: no copy of the parameters a step."""
    for total, gradient in zip(totals, found, strict=True):
        if gradient is not None:
            total.add_(gradient)
