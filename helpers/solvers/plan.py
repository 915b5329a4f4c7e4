"""A method together with how it chooses its steps, ready to walk through any list of times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from . import adaptive, arguments, checkpoint, explicit, grid, implicit, reversible
from .errors import NonFiniteStateError
from .tableaux import Tableau


@dataclass
class Adaptive:
    """An embedded explicit method and the rule for its step size."""

    tableau: Tableau
    control: adaptive.Control

    def run(self, func, y, times, accepted=None):
        """The states at times[1:]."""
        first = arguments.first_slope(func, times[0], y)
        states = adaptive.integrate(self.tableau, func, y, times, self.control, first, accepted)
        if not torch.isfinite(states[-1]).all():
            raise NonFiniteStateError(f"the state became non-finite: {self.tableau.name} before t = {times[-1]:.6g}")
        return states

    def checkpointed(self, func, y, times, segments=None):
        """The same, recomputed in the backward pass."""
        first = arguments.first_slope(func, times[0], y)
        return checkpoint.accepted_steps(self.tableau, func, y, times, self.control, first, segments)

    def reversible(self, func, y, times, parameters, coupling):
        raise ValueError(f"gradient='reversible' takes fixed-step one-step methods; {self.tableau.name!r} is adaptive")

    def explicit_tableau(self):
        return self.tableau


class FixedStep:
    """A method that walks along a grid made beforehand.

    Args:
        method: its name.
        scheme: a tableau, or the walking function of a multistep method.
        step_size: the largest step; None for one step from each time to the next.
        y: a state, for its dtype.
    """

    def __init__(self, method, scheme, step_size, y):
        self.method, self.scheme, self.step_size = method, scheme, step_size
        self.one_step = isinstance(scheme, Tableau)
        if not self.one_step:
            self.advance, self.c = scheme, (0.0, 1.0)
            return
        if not scheme.explicit and y.is_complex():
            raise TypeError(f"y0 must be real for the implicit method {method!r}; got {y.dtype}")
        self.advance, self.c = partial((explicit if scheme.explicit else implicit).integrate, scheme), scheme.c

    def run(self, func, y, times, accepted=None):
        """The states at times[1:]."""
        steps, clocks = self._grid(y, times)
        watched = {} if accepted is None else {"accepted": accepted}
        states = self.advance(func, y, steps, clocks, arguments.first_slope(func, times[0], y), **watched)
        return self._finite(states, func, y, steps, clocks)

    def checkpointed(self, func, y, times, segments=None):
        """The same, recomputed in the backward pass."""
        self._wants_one_step("checkpoint")
        arguments.first_slope(func, times[0], y)
        steps, clocks = self._grid(y, times)
        states = checkpoint.fixed_step(self.advance, func, y, steps, clocks, segments)
        return self._finite(states, func, y, steps, clocks)

    def reversible(self, func, y, times, parameters, coupling):
        """The states of the reversible scheme that wraps the method."""
        self._wants_one_step("reversible")
        if not 0 < arguments.positive(coupling, "options['coupling']") <= 1:
            raise ValueError(f"options['coupling'] must lie in (0, 1]; got {coupling!r}")
        steps, clocks = self._grid(y, times)
        increment = partial(explicit.increment if self.scheme.explicit else implicit.increment, self.scheme)
        states = reversible.integrate(increment, self.c, func, y, steps, parameters, coupling)
        return self._finite(states, func, y, steps, clocks)

    def explicit_tableau(self):
        """The tableau that the adjoint's integral over the parameters is computed with."""
        if not (self.one_step and self.scheme.explicit):
            raise ValueError(f"gradient='adjoint' takes explicit one-step methods; got {self.method!r}")
        return self.scheme

    def _wants_one_step(self, gradient):
        if not self.one_step:
            raise ValueError(f"gradient={gradient!r} takes one-step methods; {self.method!r} is a multistep method")

    def _grid(self, y, times):
        steps = grid.fixed_steps(times, self.step_size)
        return steps, grid.stage_times(steps, self.c, y)

    def _finite(self, states, func, y, steps, clocks):
        # every scheme adds to the state, so what is non-finite once stays so: one look at the end is enough
        if not torch.isfinite(states[-1]).all():
            raise self._locate(func, y, steps, clocks)
        return states

    @torch.no_grad()
    def _locate(self, func, y, steps, clocks):
        """The exception that says where the solve left the finite numbers: walk again, looking at each step."""
        if not torch.isfinite(y).all():
            return NonFiniteStateError("y0 holds infinite or not-a-number entries")
        states = self.advance(func, y, [step._replace(is_output=True) for step in steps], clocks)
        bad = next((k for k, state in enumerate(states) if not torch.isfinite(state).all()), len(steps) - 1)
        return NonFiniteStateError(
            f"the state became non-finite in the step from t = {steps[bad].start:.6g} with step size "
            f"{abs(steps[bad].h):.3g}, method {self.method!r}: the step is outside the method's stability region, or "
            "the solution itself blows up"
        )
