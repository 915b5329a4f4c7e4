"""Diagonally implicit Runge–Kutta: each stage is a small nonlinear system, solved by Newton's method."""

from __future__ import annotations

import torch

from .errors import NewtonError
from .explicit import combine
from .grid import Step
from .tableaux import Tableau

# A correction below this, relative to the state, ends the iteration. Newton squares its error, so the correction that
# passes the test (and is applied) leaves an error at rounding level.
RELATIVE_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
MAX_ITERATIONS = 20


def integrate(tableau: Tableau, func, y, steps, times, first=None):
    """Walk along `steps`; returns the states at the marked steps.

    The last axis of y is the state of one sample; leading axes are samples that `func` must not mix. Derivatives
    follow the implicit function theorem at the solution of each stage, not the iteration: they are exact to the
    Newton tolerance, and first order only.

    Raises:
        NewtonError: A stage did not converge; the text has time, step size, method, residual and iteration count.
    """
    outputs = []
    for (start, h, is_output), stage_times in zip(steps, times, strict=True):
        slopes, point = [], y
        for i, (time, weights) in enumerate(zip(stage_times, tableau.nonzero_rows, strict=True)):
            diagonal = tableau.a[i][i]
            known = combine(y, slopes, [(j, w) for j, w in weights if j < i], h)
            if diagonal == 0:
                point, slope = known, func(time, known) if first is None or i else first
            else:
                point = _solve_stage(func, time, known, diagonal * h, guess=point, where=(tableau.name, start, h))
                slope = (point - known) / (diagonal * h)
            slopes.append(slope)
        # stiffly accurate methods end on their last stage; the sum would only add rounding
        y = point if tableau.a[-1] == tableau.b else combine(y, slopes, tableau.nonzero_weights, h)
        first = slopes[-1] if tableau.first_same_as_last else None
        if is_output:
            outputs.append(y)
    return outputs


def increment(tableau: Tableau, func, times, y, h):
    """Ψ_h(t, y): what one step adds to y."""
    (y_next,) = integrate(tableau, func, y, [Step(float(times[0]), h, True)], [times])
    return y_next - y


def _solve_stage(func, time, known, gamma, guess, where):
    """Y with Y = known + γ f(time, Y), shaped like `known`; differentiable in `known` and in what `func` holds."""
    point = _newton(func, time, known.detach(), gamma, guess.detach(), where)
    if not torch.is_grad_enabled():
        return point
    residual = known + gamma * func(time, point) - point
    if not residual.requires_grad:
        return point
    at_solution = point.clone().requires_grad_()
    jacobian = _jacobian(func(time, at_solution), at_solution)
    return _ImplicitFunction.apply(residual, point, *_factorise(jacobian, gamma))


def _newton(func, time, known, gamma, point, where):
    """Full Newton, all samples at once, from the guess `point`: returns Y, detached.

    A fresh Jacobian each iteration: a frozen one fails on stiff problems, and silently when the test is absolute.
    """
    tolerance, smallest = RELATIVE_TOLERANCE[known.dtype], torch.finfo(known.dtype).tiny
    factor = None
    for iteration in range(MAX_ITERATIONS + 1):
        with torch.enable_grad():
            point = point.detach().requires_grad_()
            slope = func(time, point)
        residual = (known + gamma * slope - point).detach()
        if factor is not None:
            # an old factor is good enough to measure the error left, and its correction is free
            correction = _apply_inverse(factor, residual)
            size = torch.maximum(_largest(point), _largest(known)).clamp_min(smallest)
            error = (_largest(correction) / size).max().item()
            if error <= tolerance:
                return point.detach() + correction
        if iteration == MAX_ITERATIONS or not torch.isfinite(residual).all():
            break
        factor = _factorise(_jacobian(slope, point), gamma)
        point = point.detach() + _apply_inverse(factor, residual)
    name, start, h = where
    raise NewtonError(
        f"Newton's iteration did not converge: {name} at t = {start:.6g} with step size {abs(h):.3g}, "
        f"largest residual {residual.abs().max().item():.3g} after {iteration} iterations. Try a smaller step; "
        f"the last axis of the state is one sample, and samples, shape {tuple(point.shape[:-1])}, must not mix"
    )


def _jacobian(slope, point):
    """∂f/∂y of every sample, shape (..., d, d): d backward passes, each for one row of all samples."""
    if not slope.requires_grad:
        return torch.zeros(*point.shape, point.shape[-1], dtype=point.dtype, device=point.device)
    rows = []
    for i in range(point.shape[-1]):
        unit = torch.zeros_like(slope)
        unit[..., i] = 1
        (row,) = torch.autograd.grad(slope, point, unit, retain_graph=True, allow_unused=True)
        rows.append(torch.zeros_like(point) if row is None else row)
    return torch.stack(rows, dim=-2)


def _factorise(jacobian, gamma):
    """LU factors of I − γ ∂f/∂y, the matrix of Newton's iteration and of the implicit function theorem."""
    return torch.linalg.lu_factor(torch.eye(jacobian.shape[-1]).to(jacobian) - gamma * jacobian)


def _apply_inverse(factor, vector):
    return torch.linalg.lu_solve(*factor, vector.unsqueeze(-1)).squeeze(-1)


def _largest(x):
    return x.detach().abs().amax(dim=-1)


class _ImplicitFunction(torch.autograd.Function):
    """Y as a function of the residual r = known + γ f(Y*) − Y at Y*: dY = (I − γ ∂f/∂y)⁻¹ dr."""

    @staticmethod
    def forward(ctx, residual, point, lu, pivots):
        ctx.save_for_backward(lu, pivots)
        return point.clone()

    @staticmethod
    def backward(ctx, gradient):
        if torch.is_grad_enabled():
            raise NotImplementedError("implicit methods have first derivatives only: call without create_graph=True")
        lu, pivots = ctx.saved_tensors
        return torch.linalg.lu_solve(lu, pivots, gradient.unsqueeze(-1), adjoint=True).squeeze(-1), None, None, None
