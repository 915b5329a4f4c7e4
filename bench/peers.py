"""The torch peers, each behind the same small face, imported only where it is installed.

A solver is prepared for a field and then called with states only: what a user can build once is not timed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch

from helpers.solvers import odeint

TOLERANCES = {"rtol": 1e-5, "atol": 1e-7}
FIRST_STEP = 0.1  # for torchebm, which does not choose one


@dataclass(frozen=True)
class Solver:
    """How to solve y' = field(t, y) from t = 0 to 1 with one package.

    Attributes:
        fixed: (field, y0, steps) → function of y0 that returns y(1), with equal steps of rk4 or of `method`.
        adaptive: The same by dopri5 at TOLERANCES; its third argument, steps, is left out.
        method: What `fixed` steps with, where the package has no rk4.
        stages: Evaluations a step of that method.
    """

    fixed: Callable
    adaptive: Callable
    method: str = "rk4"
    stages: int = 4

    def steps(self, evaluations: int) -> int:
        """Steps that take as many evaluations, or just fewer."""
        return evaluations // self.stages


def ends(y):
    return torch.tensor([0.0, 1.0], device=y.device, dtype=y.dtype)


def _helpers():
    def fixed(field, y0, steps, gradient="backprop"):
        t = ends(y0)
        return lambda y: odeint(field, y, t, method="rk4", options={"num_steps": steps}, gradient=gradient)[-1]

    def adaptive(field, y0):
        t = ends(y0)
        return lambda y: odeint(field, y, t, method="dopri5", **TOLERANCES)[-1]

    return Solver(fixed, adaptive)


def _torchdiffeq():
    from torchdiffeq import odeint as solve

    def fixed(field, y0, steps, solve=solve):
        t = ends(y0)
        return lambda y: solve(field, y, t, method="rk4", options={"step_size": 1 / steps})[-1]

    def adaptive(field, y0):
        t = ends(y0)
        return lambda y: solve(field, y, t, method="dopri5", **TOLERANCES)[-1]

    return Solver(fixed, adaptive)


def _torchode():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchode

    def prepared(field, y0, controller, **start):
        shape, many = y0.shape, len(y0)

        def flat(t, y):
            return field(t, y.view(shape)).flatten(1)

        term = torchode.ODETerm(flat)
        solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=term), controller(term))
        begin, end = torch.zeros(many, device=y0.device), torch.ones(many, device=y0.device)

        def run(y):
            problem = torchode.InitialValueProblem(y.flatten(1), t_start=begin, t_end=end)
            return solver.solve(problem, **start).ys[:, -1].view(shape)

        return run

    def fixed(field, y0, steps):
        step = torch.full((len(y0),), 1 / steps, device=y0.device)
        return prepared(field, y0, lambda term: torchode.FixedStepController(), dt0=step)

    def adaptive(field, y0):
        return prepared(field, y0, lambda term: torchode.IntegralController(**TOLERANCES, term=term))

    return Solver(fixed, adaptive, method="dopri5 with equal steps", stages=6)


def _torchdyn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchdyn.numerics import odeint as solve

    def fixed(field, y0, steps):
        t = torch.linspace(0, 1, steps + 1, device=y0.device)
        return lambda y: solve(field, y, t, "rk4", save_at=t[[0, -1]])[1][-1]

    def adaptive(field, y0):
        t = ends(y0)
        return lambda y: solve(field, y, t, "dopri5", **TOLERANCES)[1][-1]

    return Solver(fixed, adaptive)


def _torchebm():
    from torchebm.integrators import Dopri5Integrator, RK4Integrator

    def fixed(field, y0, steps):
        solver, t = RK4Integrator(device=y0.device), torch.linspace(0, 1, steps + 1, device=y0.device)

        def drift(x, t):
            return field(t, x)

        return lambda y: solver.integrate({"x": y}, 1 / steps, steps, drift=drift, t=t)["x"]

    def adaptive(field, y0):
        solver, t = Dopri5Integrator(**TOLERANCES, device=y0.device), ends(y0)

        def drift(x, t):
            return field(t, x)

        return lambda y: solver.integrate({"x": y}, FIRST_STEP, 1, drift=drift, t=t)["x"]

    return Solver(fixed, adaptive)


SOLVERS = {
    "helpers": _helpers,
    "torchdiffeq": _torchdiffeq,
    "torchode": _torchode,
    "torchdyn": _torchdyn,
    "torchebm": _torchebm,
}


def installed() -> dict[str, Solver]:
    """Name → solver, ours first."""
    here = [name for name in SOLVERS if name == "helpers" or find_spec(name)]
    return {name: SOLVERS[name]() for name in here}
