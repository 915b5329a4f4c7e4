"""A method together with how it chooses its steps, ready to walk through any list of times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch

from . import adaptive, adaptive_implicit, arguments, checkpoint, explicit, grid, implicit, newton, symplectic
from . import reversible as two_states
from .errors import NonFiniteStateError
from .tableaux import Tableau


class Walker(Protocol):
    """What walks along a grid with fixed steps, its method bound: `explicit.integrate`, `implicit.integrate`,
    `symplectic.integrate` and the functions in `multistep.METHODS`.

    Args:
        func: The field, from (time, state) to a slope shaped like the state; it has been checked.
        y: The state at the start of the first step, one tensor with ≥ 1 axis (of a pair (q, p): q, then p).
        steps: `grid.Step`s, each from where the last one ended.
        times: For each step the tuple of its stages' times, 0-d tensors, as `grid.stage_times` makes them.
        first: The slope at the start where the caller has it already; a walker that has no use for it ignores it.

    Returns:
        The states at the ends of the steps that are marked as outputs, a list; differentiable through its operations.

    One that is given a longer walk in pieces gives what one walk gives, but for rounding; multistep methods, which
    remember, are not taken in pieces. `explicit.integrate` also takes `accepted`, called after each step as
    accepted(start, h, slopes); `implicit.integrate` takes `choice` and `scale`.

    With error control there is no grid: `adaptive.integrate` and `adaptive_implicit.integrate` take the requested
    times, Python floats, in the place of `steps` and `times`, need the first slope, and return the states at all of
    them but the first.
    """

    def __call__(self, func, y, steps, times, first=None) -> list[torch.Tensor]: ...


@dataclass
class Adaptive:
    """An embedded method and the rule for its step size; `choice` is for an implicit one."""

    tableau: Tableau
    control: adaptive.Control
    choice: newton.Choice | None = None

    def run(self, func, y, times, accepted=None):
        """The states at times[1:]."""
        states = self._integrate(func, y, times, arguments.first_slope(func, times[0], y), accepted)
        if not torch.isfinite(states[-1]).all():
            raise NonFiniteStateError(f"the state became non-finite: {self.tableau.name} before t = {times[-1]:.6g}")
        return states

    def checkpointed(self, func, y, times, segments=None):
        """The same, recomputed in the backward pass."""

        scale = newton.size(y)

        def one_step(func, y, start, h, end, slope):
            slopes, y_next = self._step(func, adaptive.clock(self.tableau, start, h, y), y, start, h, slope, scale)
            found = adaptive.outputs_in(self.tableau, times, start, h, end, slopes, y, y_next)
            return found, y_next, slopes[-1]

        first = arguments.first_slope(func, times[0], y)
        return checkpoint.accepted_steps(self._integrate, one_step, func, y, times, first, segments)

    def _integrate(self, func, y, times, slope, accepted):
        if self.tableau.explicit:
            return adaptive.integrate(self.tableau, func, y, times, self.control, slope, accepted)
        return adaptive_implicit.integrate(
            self.tableau, func, y, times, self.control, slope, accepted, choice=self.choice
        )

    def _step(self, func, clock, y, start, h, slope, scale):
        if self.tableau.explicit:
            return explicit.stages(self.tableau, func, clock, y, h, slope)
        return implicit.step(self.tableau, func, clock, y, start, h, self.choice, scale, slope)

    def reversible(self, func, y, times, parameters, coupling):
        raise ValueError(f"gradient='reversible' takes fixed-step one-step methods; {self.tableau.name!r} is adaptive")

    def explicit_tableau(self):
        return _explicit(self.tableau, self.tableau.name)


class FixedStep:
    """A method that walks along a grid made beforehand.

    Args:
        method: its name.
        scheme: a tableau, a splitting, or the walking function of a multistep method.
        step_size: the largest step; None for one step from each time to the next.
        choice: how an implicit method solves its linear systems.
    """

    def __init__(self, method, scheme, step_size, choice=None):
        self.method, self.scheme, self.step_size = method, scheme, step_size
        self.one_step = isinstance(scheme, (Tableau, symplectic.Splitting))
        self.c = scheme.c if self.one_step else (0.0, 1.0)
        if isinstance(scheme, symplectic.Splitting):
            self.advance = partial(symplectic.integrate, scheme)
        elif not self.one_step:
            self.advance = scheme
        elif scheme.explicit:
            self.advance = partial(explicit.integrate, scheme)
            self.increment = partial(explicit.increment, scheme)
        else:
            self.advance = partial(implicit.integrate, scheme, choice=choice)
            self.increment = partial(implicit.increment, scheme, choice=choice)

    def run(self, func, y, times, accepted=None):
        """The states at times[1:]."""
        steps, clocks = self._grid(y, times)
        watched = {} if accepted is None else {"accepted": accepted}
        states = self.advance(func, y, steps, clocks, arguments.first_slope(func, times[0], y), **watched)
        return self._finite(states, func, y, steps, clocks)

    def checkpointed(self, func, y, times, segments=None):
        """The same, recomputed in the backward pass."""
        self._wants_one_step("checkpoint")
        steps, clocks = self._grid(y, times)
        states = checkpoint.fixed_step(self._scaled(self.advance, y), func, y, steps, clocks, segments)
        return self._finite(states, func, y, steps, clocks)

    def reversible(self, func, y, times, parameters, coupling):
        """The states of the reversible scheme that wraps the method."""
        self._wants_one_step("reversible")
        if not isinstance(self.scheme, Tableau):
            raise ValueError(
                f"gradient='reversible' takes Runge–Kutta methods: its two-state scheme would not be symplectic, as "
                f"{self.method!r} is; use gradient='checkpoint'"
            )
        if not 0 < arguments.positive(coupling, "options['coupling']") <= 1:
            raise ValueError(f"options['coupling'] must lie in (0, 1]; got {coupling!r}")
        steps, clocks = self._grid(y, times)
        states = two_states.integrate(self._scaled(self.increment, y), self.c, func, y, steps, parameters, coupling)
        return self._finite(states, func, y, steps, clocks)

    def _scaled(self, walk, y):
        """A walk that is taken in pieces, and so is told how large the state was at the start."""
        implicit_method = isinstance(self.scheme, Tableau) and not self.scheme.explicit
        return partial(walk, scale=newton.size(y)) if implicit_method else walk

    def explicit_tableau(self):
        """The tableau that the adjoint's integral over the parameters is computed with."""
        return _explicit(self.scheme, self.method)

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


def _explicit(scheme, method):
    """The scheme, if it is an explicit Runge–Kutta method."""
    if not (isinstance(scheme, Tableau) and scheme.explicit):
        raise ValueError(f"gradient='adjoint' takes explicit one-step methods; got {method!r}")
    return scheme
