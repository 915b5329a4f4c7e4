"""Implicit Runge–Kutta with error control: the controller of `adaptive`, with stages that are solved for."""

from __future__ import annotations

import torch

from . import adaptive, implicit, newton
from .adaptive import Control
from .errors import NewtonError
from .tableaux import Tableau

# by how much a step shrinks whose equations had no solution within reach
AFTER_FAILURE = 0.25


def integrate(tableau: Tableau, func, y, t, control: Control, slope, accepted=None, *, choice=None):
    """The states at t[1:], from y at t[0] with slope f(t[0], y). No evaluation leaves the interval.

    As `adaptive.integrate`; and a step on which Newton's iteration does not converge is taken again, shorter.

    Raises:
        NewtonError, NonFiniteStateError, StepSizeUnderflowError, TooManyStepsError: With time, step size and method.
    """
    now, end, outputs, error, failure = t[0], t[-1], [], 0.0, None
    magnitude, choice, scale = y.detach().abs(), choice or newton.Choice(), newton.size(y)
    h = adaptive.first_step(tableau, func, now, y, slope, magnitude, end - now, control)

    for _ in range(control.max_num_steps):
        h, last = adaptive._limit(h, end - now, control)
        if adaptive.too_short(now, h, last, control):
            raise failure or adaptive._underflow(tableau, now, h, error, control)
        taken, scale = abs(h), torch.maximum(scale, newton.size(y))
        try:
            times = adaptive.clock(tableau, now, h, y)
            slopes, y_next = implicit.step(tableau, func, times, y, now, h, choice, scale, slope)
        except NewtonError as reason:
            failure, h = reason, h * AFTER_FAILURE
            continue
        size = y_next.detach().abs()
        error = adaptive._error(tableau, slopes, h, magnitude, size, control)
        if error <= 1:
            reached = end if last else now + h
            outputs += adaptive.outputs_in(tableau, t, now, h, reached, slopes, y, y_next)
            if accepted is not None:
                accepted(now, h, slopes)
            if last:
                return outputs
            now, y, slope, magnitude, failure = reached, y_next, slopes[-1], size, None
        h *= adaptive._factor(tableau, error, control)
    otherwise = f"the tolerances are too tight for a method of order {tableau.order}"
    raise adaptive.too_many(tableau, now, end, taken, control, otherwise)
