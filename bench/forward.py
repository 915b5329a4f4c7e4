"""Forward solves against torchdiffeq, in units of the bare vector field called as often as the solver calls it."""

from __future__ import annotations

import torch
import torchdiffeq

from helpers.solvers import odeint

from .fields import fields
from .timing import interleaved

STEPS = 20
TOLERANCES = {"rtol": 1e-5, "atol": 1e-7}


def evaluations(field, solve):
    """How often one solve calls the field."""
    field.calls = 0
    solve()
    return field.calls


def bare(field, y0, calls):
    """The field alone, called `calls` times: the floor that no solver can go below."""
    t = torch.zeros((), device=y0.device)

    def run():
        for _ in range(calls):
            field(t, y0)

    return run


def fixed_step(field, y0):
    """Seconds per evaluation of rk4 with equal steps, ours and torchdiffeq's, over the bare field's."""
    t = torch.tensor([0.0, 1.0], device=y0.device)
    solves = {
        "helpers": lambda: odeint(field, y0, t, method="rk4", options={"num_steps": STEPS}),
        "torchdiffeq": lambda: torchdiffeq.odeint(field, y0, t, method="rk4", options={"step_size": 1 / STEPS}),
    }
    return _ratios(field, y0, solves)


def adaptive(field, y0):
    """The same for dopri5 at one tolerance, with the error of each against a float64 solve."""
    t = torch.tensor([0.0, 1.0], device=y0.device)
    solves = {
        "helpers": lambda: odeint(field, y0, t, method="dopri5", **TOLERANCES)[-1],
        "torchdiffeq": lambda: torchdiffeq.odeint(field, y0, t, method="dopri5", **TOLERANCES)[-1],
    }
    result = _ratios(field, y0, solves)
    reference = torchdiffeq.odeint(field.double(), y0.double(), t.double(), method="dopri8", rtol=1e-12, atol=1e-14)[-1]
    field.float()
    for name, solve in solves.items():
        result[name]["error"] = ((solve() - reference).norm() / reference.norm()).item()
    return result


def _ratios(field, y0, solves):
    calls = {name: evaluations(field, solve) for name, solve in solves.items()}
    contestants = {**solves, **{f"bare {name}": bare(field, y0, count) for name, count in calls.items()}}
    seconds = interleaved(contestants)
    return {
        name: {"ms": 1e3 * seconds[name], "nfe": calls[name], "ratio": seconds[name] / seconds[f"bare {name}"]}
        for name in solves
    }


@torch.no_grad()
def table(device):
    """Lines of the table: per field and method milliseconds, evaluations, time over the bare field, error."""
    lines = ["field   solve   solver          ms   NFE   / bare field   faster by   relative error"]
    for name, (field, y0) in fields(device).items():
        for kind, measure in (("rk4", fixed_step), ("dopri5", adaptive)):
            result = measure(field, y0)
            faster = result["torchdiffeq"]["ms"] / result["helpers"]["ms"]
            for solver, row in result.items():
                gain = f"{faster:9.2f}" if solver == "helpers" else " " * 9
                error = f"{row['error']:.1e}" if "error" in row else ""
                lines.append(
                    f"{name:7} {kind:7} {solver:12} {row['ms']:7.2f} {row['nfe']:5d} {row['ratio']:14.2f} {gain}"
                    f"   {error}"
                )
    return lines
