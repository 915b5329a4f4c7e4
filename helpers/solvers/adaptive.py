"""Explicit Runge–Kutta with error control: the step follows the solution, outputs come from the dense extension."""

from __future__ import annotations

import math
import operator
from bisect import bisect_right
from dataclasses import dataclass

import torch

from .errors import NonFiniteStateError, StepSizeUnderflowError, TooManyStepsError
from .explicit import combine, stages
from .tableaux import Tableau


@dataclass(frozen=True)
class Control:
    """How the step size is chosen. Names and defaults are torchdiffeq's where it has them.

    A step is accepted when error ≤ 1, `error` being the root mean square of the local error estimate in units of
    atol + rtol · max(|y|, |y_next|). The next step is h · clip(safety · error^(−1/order), dfactor, ifactor).
    """

    rtol: float
    atol: float
    first_step: float | None = None
    safety: float = 0.9
    ifactor: float = 10.0
    dfactor: float = 0.2
    min_step: float = 0.0
    max_step: float = math.inf
    max_num_steps: int = 100_000


def integrate(tableau: Tableau, func, y, t: list[float], control: Control, slope, accepted=None):
    """The states at t[1:], from y at t[0] with slope f(t[0], y): see `plan.Walker`. No evaluation leaves the interval.

    One number a step comes back from the device: the error. The last step ends exactly on t[-1]. Every adaptive
    tableau here is first-same-as-last, so an accepted step hands its last slope to the next one.

    Args:
        accepted: called after each accepted step as accepted(start, h, slopes), where somebody wants to know.

    Raises:
        NonFiniteStateError, StepSizeUnderflowError, TooManyStepsError: with time, step size and method.
    """
    now, end, outputs, error = t[0], t[-1], [], 0.0
    magnitude = y.detach().abs()
    h = first_step(tableau, func, now, y, slope, magnitude, end - now, control)

    for _ in range(control.max_num_steps):
        h, last = _limit(h, end - now, control)
        if too_short(now, h, last, control):
            raise _underflow(tableau, now, h, error, control)
        slopes, y_next = stages(tableau, func, clock(tableau, now, h, y), y, h, slope)
        size = y_next.detach().abs()
        error = _error(tableau, slopes, h, magnitude, size, control)
        if error <= 1:
            reached = end if last else now + h
            outputs += outputs_in(tableau, t, now, h, reached, slopes, y, y_next)
            if accepted is not None:
                accepted(now, h, slopes)
            if last:
                return outputs
            now, y, slope, magnitude = reached, y_next, slopes[-1], size
        taken, h = abs(h), h * _factor(tableau, error, control)
    raise too_many(tableau, now, end, taken, control, "the problem is stiff, or the tolerances are too tight for it")


def clock(tableau, start, h, like):
    """The times of the stages of one step, as 0-d tensors."""
    real = like.real.dtype if like.is_complex() else like.dtype
    return torch.tensor([start + c * h for c in tableau.c], dtype=real, device=like.device).unbind()


def outputs_in(tableau, t, start, h, end, slopes, y, y_next):
    """The states at those requested times that lie in the step, (start, end]; from its slopes, without evaluations."""
    low, high = (bisect_right(t, start), bisect_right(t, end)) if h > 0 else _falling(t, start, end)
    return [y_next if t[k] == end else _dense(tableau, slopes, y, h, (t[k] - start) / h) for k in range(low, high)]


def _falling(t, start, end):
    """The same positions in a falling list."""
    return bisect_right(t, -start, key=operator.neg), bisect_right(t, -end, key=operator.neg)


def _limit(h, remaining, control):
    """The step that is taken when h is wanted: at most max_step, and onto the end rather than just short of it."""
    h = math.copysign(min(abs(h), control.max_step), h)
    # a tenth more than wanted is within the safety factor, and saves a last step over a sliver
    last = abs(remaining) <= min(1.1 * abs(h), control.max_step)
    return (remaining if last else h), last


def too_short(now, h, last, control):
    """Whether a step makes no progress, or less than min_step where it is not the one that ends the solve."""
    return now + h == now or (abs(h) < control.min_step and not last)


def _factor(tableau, error, control):
    """By how much the step changes; an estimate that is not finite counts as a very large error."""
    if not math.isfinite(error):
        return control.dfactor
    wanted = control.safety * max(error, 1e-300) ** (-1 / (tableau.error_order + 1))
    return min(control.ifactor, max(control.dfactor, wanted))


@torch.no_grad()
def _error(tableau, slopes, h, magnitude, magnitude_next, control):
    """Root mean square of h Σ e_i k_i relative to the tolerances. The controller is never differentiated."""
    (j, weight), *rest = tableau.nonzero_error
    estimate = slopes[j] * (h * weight)
    for j, weight in rest:
        estimate.add_(slopes[j], alpha=h * weight)
    scale = torch.maximum(magnitude, magnitude_next).mul_(control.rtol).add_(control.atol)
    return torch.linalg.vector_norm(estimate.div_(scale)).item() / math.sqrt(scale.numel())


def _dense(tableau, slopes, y, h, theta):
    """The state at t + θh, from the slopes of the step."""
    weights = [sum(p * theta ** (m + 1) for m, p in enumerate(row)) for row in tableau.dense]
    return combine(y, slopes, [(j, w) for j, w in enumerate(weights) if w], h)


def first_step(tableau, func, now, y, slope, magnitude, length, control):
    """The step that is tried first, with its sign: the caller's, else a guess that `min_step` allows."""
    given = control.first_step
    h = given or max(_first_step(tableau, func, now, y, slope, magnitude, length, control), control.min_step)
    return math.copysign(h, length)


def _first_step(tableau, func, t, y, slope, magnitude, length, control):
    """A first step size from the sizes of y, y' and y'' (Hairer, Nørsett & Wanner 1993, II.4). One evaluation."""
    y, slope = y.detach(), slope.detach()
    scale = magnitude * control.rtol + control.atol

    def rms(x):
        return torch.linalg.vector_norm(x / scale).item() / math.sqrt(scale.numel())

    value, first = rms(y), rms(slope)
    if not math.isfinite(value + first):
        raise NonFiniteStateError(
            f"the state or the vector field is not finite at the start: {tableau.name} at t = {t:.6g}"
        )
    guess = 1e-6 if min(value, first) < 1e-5 else 0.01 * value / first
    guess = min(guess, abs(length))
    h = math.copysign(guess, length)
    time = torch.tensor(t + h, dtype=magnitude.dtype, device=y.device)
    second = rms(func(time, torch.add(y, slope, alpha=h)).detach() - slope) / guess
    if not math.isfinite(second):
        return guess
    largest = max(first, second)
    if largest <= 1e-15:
        return min(abs(length), max(1e-6, guess * 1e-3))
    return min(100 * guess, (0.01 / largest) ** (1 / (tableau.error_order + 1)))


def too_many(tableau, now, end, taken, control, otherwise):
    """The exception for a solve that used up its steps, the last of them of size `taken`, and what is to blame."""
    why = otherwise
    if taken >= control.max_step:
        why = f"max_step = {control.max_step:g} allows no longer ones"
    elif control.safety < 0.5:
        why = f"safety = {control.safety:g} keeps them short, or {otherwise}"
    return TooManyStepsError(
        f"{tableau.name} used up max_num_steps = {control.max_num_steps} at t = {now:.6g} on the way to {end:.6g} with "
        f"step size {taken:.3g}: {why}"
    )


def _underflow(tableau, t, h, error, control):
    where = f"{tableau.name} at t = {t:.6g} with step size {abs(h):.3g}"
    if not math.isfinite(error):
        return NonFiniteStateError(f"the state or the vector field is not finite: {where}")
    if abs(h) < control.min_step:
        return StepSizeUnderflowError(
            f"step size underflow: {where}: the tolerances ask for less than min_step = {control.min_step:g}"
        )
    return StepSizeUnderflowError(
        f"step size underflow: {where}: the solution blows up or jumps here, or the tolerances are too tight"
    )
