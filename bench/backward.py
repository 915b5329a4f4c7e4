"""Forward and backward through twenty steps of rk4, in units of a bare chain of as many field evaluations."""

from __future__ import annotations

import torch
import torchdiffeq

from helpers.solvers import odeint

from .fields import fields
from .forward import STEPS, evaluations
from .timing import interleaved


def chain(field, y0, calls):
    """The floor: `calls` residual steps of the field and the backward pass through them, no solver."""

    def run():
        y = start = y0.clone().requires_grad_()
        for _ in range(calls):
            y = torch.add(y, field(None, y), alpha=1 / calls)
        torch.autograd.grad(y.sum(), (start, *field.parameters()))

    return run


def through(field, y0, solve, outputs=2):
    """One training step's worth: solve, sum, gradients of the state and of the weights."""
    t = torch.linspace(0, 1, outputs, device=y0.device)

    def run():
        y = y0.clone().requires_grad_()
        torch.autograd.grad(solve(field, y, t).sum(), (y, *field.parameters()))

    return run


@torch.no_grad()
def forward_calls(field, y0, solve):
    """How often the forward pass alone calls the field."""
    t = torch.tensor([0.0, 1.0], device=y0.device)
    return evaluations(field, lambda: solve(field, y0, t))


def ours(gradient):
    return lambda field, y, t: odeint(field, y, t, method="rk4", options={"num_steps": STEPS}, gradient=gradient)


def theirs(solver):
    return lambda field, y, t: solver(field, y, t, method="rk4", options={"step_size": 1 / STEPS})


SOLVES = {
    **{f"helpers {gradient}": ours(gradient) for gradient in ("backprop", "checkpoint", "reversible", "adjoint")},
    "torchdiffeq odeint": theirs(torchdiffeq.odeint),
    "torchdiffeq odeint_adjoint": theirs(torchdiffeq.odeint_adjoint),
}


def table(device, repetitions=10):
    """Lines of the table: milliseconds, forward evaluations, time over a bare chain of as many."""
    lines = ["field   gradient                          ms   forward NFE   / bare chain"]
    for name, (field, y0) in fields(device).items():
        runs = {solve: through(field, y0, function) for solve, function in SOLVES.items()}
        calls = {solve: forward_calls(field, y0, function) for solve, function in SOLVES.items()}
        floors = {f"bare {count}": chain(field, y0, count) for count in set(calls.values())}
        seconds = interleaved({**runs, **floors}, repetitions)
        for solve, count in calls.items():
            ratio = seconds[solve] / seconds[f"bare {count}"]
            lines.append(f"{name:7} {solve:28} {1e3 * seconds[solve]:7.2f} {count:13d} {ratio:14.2f}")
    return lines


def outputs_table(device, repetitions=10):
    """Seconds of forward and backward per output time: linear in their number when the ratio is one."""
    field, y0 = fields(device)["small"]
    lines = ["solver                       ms at 51 outputs   at 401   per output, 401 / 51"]
    solves = {
        "helpers": lambda field, y, t: odeint(field, y, t, method="rk4", options={"grid": "t"}),
        "torchdiffeq": lambda field, y, t: torchdiffeq.odeint(field, y, t, method="rk4"),
    }
    for name, solve in solves.items():
        runs = {count: through(field, y0, solve, outputs=count) for count in (51, 401)}
        seconds = interleaved(runs, repetitions)
        ratio = seconds[401] / 400 / (seconds[51] / 50)
        lines.append(f"{name:28} {1e3 * seconds[51]:16.1f} {1e3 * seconds[401]:8.1f} {ratio:23.2f}")
    return lines
