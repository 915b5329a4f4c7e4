"""Forward and backward through steps of rk4, in units of a bare chain of as many field evaluations."""

from __future__ import annotations

from functools import partial

import torch

from helpers.solvers import odeint

from . import peers
from .fields import STEPS, fields
from .forward import evaluations
from .remote import taking_part
from .report import Table, ahead
from .timing import interleaved

GRADIENTS = ("backprop", "checkpoint", "reversible", "adjoint")
# what a gradient is compared with: the exact ones among themselves, those in constant memory among themselves
CONSTANT_MEMORY = ("helpers reversible", "helpers adjoint")
ADJOINT = "torchdiffeq odeint_adjoint"
ABOUT = """One solve, the sum of y(1), and its gradients in the state and in all weights. The unit is a *bare chain* of
residual steps, as many as the forward pass has evaluations, with the backward pass through it. `reversible` calls the
field twice as often as rk4 does, and is measured against a chain twice as long; its milliseconds stand beside."""
COLUMNS = ("field", "gradient", "ms", "forward NFE", "time / bare chain")
OUTPUTS = (51, 401)


def chain(field, y0, calls):
    """The floor: `calls` residual steps of the field and the backward pass through them, no solver."""

    def run():
        y = start = y0.clone().requires_grad_()
        for _ in range(calls):
            y = torch.add(y, field(None, y), alpha=1 / calls)
        torch.autograd.grad(y.sum(), (start, *field.parameters()))

    return run


def through(field, y0, solve):
    """One training step's worth: solve, sum, gradients of the state and of the weights."""

    def run():
        y = y0.clone().requires_grad_()
        torch.autograd.grad(solve(y).sum(), (y, *field.parameters()))

    return run


def solves(name, field, y0):
    """Gradient → prepared solve."""
    ours, steps = peers.installed(), STEPS[name]
    found = {f"helpers {how}": ours["helpers"].fixed(field, y0, steps, how) for how in GRADIENTS}
    for peer, solver in ours.items():
        if peer != "helpers":
            found[peer] = solver.fixed(field, y0, solver.steps(4 * steps))
    if "torchdiffeq" in ours:
        from torchdiffeq import odeint_adjoint

        found[ADJOINT] = ours["torchdiffeq"].fixed(field, y0, steps, odeint_adjoint)
    return found


@torch.no_grad()
def forward_calls(field, y0, solve):
    """How often the forward pass alone calls the field."""
    return evaluations(field, lambda: solve(y0))


def compare(name, field, y0, compiled=None):
    """Gradient → milliseconds, forward evaluations, time over a bare chain of as many.

    Args:
        compiled: diffrax's contestant, where it takes part.
    """
    prepared = solves(name, field, y0)
    calls = {how: forward_calls(field, y0, solve) for how, solve in prepared.items()}
    runs = {how: through(field, y0, solve) for how, solve in prepared.items()}
    if compiled is not None:
        runs["diffrax"], calls["diffrax"] = compiled, compiled.calls
    floors = {f"bare {count}": chain(field, y0, count) for count in set(calls.values())}
    seconds = interleaved({**runs, **floors}, 15)
    return {how: (1e3 * seconds[how], calls[how], seconds[how] / seconds[f"bare {calls[how]}"]) for how in runs}


def table(device) -> Table:
    """Every field and gradient."""
    rows, compared = [], []
    with taking_part(device) as other:
        for name, (field, y0) in fields(device).items():
            compiled = other and other.prepare("backward", field, y0, "rk4", steps=STEPS[name], backward=True)
            found = compare(name, field, y0, compiled)
            rows += [(name, how, *row) for how, row in found.items()]
            for how, (ms, _, ratio) in found.items():
                if how == ADJOINT:
                    compared += [(how, f"{name} {ours[8:]}", ms / found[ours][0]) for ours in CONSTANT_MEMORY]
                elif not how.startswith("helpers"):
                    compared.append((how, name, ratio / found["helpers backprop"][2]))
    what = "time (per evaluation, and `backprop`'s; for odeint_adjoint per solve, and that of the one named)"
    verdict = ahead(compared, what)
    return Table("Forward and backward", ABOUT, COLUMNS, rows, verdict)


def walks(field, count):
    """Solver → function of the state: all of `count` outputs, one step of rk4 between two."""
    t = torch.linspace(0, 1, count, device=next(field.parameters()).device)
    found = {"helpers": lambda y: odeint(field, y, t, method="rk4", options={"grid": "t"})}
    here = peers.installed()
    if "torchdiffeq" in here:
        import torchdiffeq

        found["torchdiffeq"] = partial(torchdiffeq.odeint, field, t=t, method="rk4")
    if "torchdyn" in here:
        from torchdyn.numerics import odeint as torchdyn_odeint

        found["torchdyn"] = lambda y: torchdyn_odeint(field, y, t, "rk4")[1]
    return found


def outputs_table(device) -> Table:
    """Seconds of forward and backward per output time: linear in their number when the ratio is one."""
    field, y0 = fields(device)["mid"]
    few, many = OUTPUTS
    runs = {
        (name, count): through(field, y0, solve) for count in OUTPUTS for name, solve in walks(field, count).items()
    }
    seconds = interleaved(runs, 15, at_most=30.0)
    rows, growth = [], {}
    for name in walks(field, few):
        growth[name] = seconds[name, many] / (many - 1) / (seconds[name, few] / (few - 1))
        rows.append((name, 1e3 * seconds[name, few], 1e3 * seconds[name, many], growth[name]))
    others = [name for name in growth if name != "helpers"]
    compared = [(name, f"{many} outputs", seconds[name, many] / seconds["helpers", many]) for name in others]
    about = f"""The mid field, a loss that sees every output, one step of rk4 from each to the next: {few} outputs and
{many}. *growth* is the time per output at {many} over that at {few}; 1 is linear."""
    columns = ("solver", f"ms at {few}", f"ms at {many}", "growth")
    return Table("Backward against the number of outputs", about, columns, rows, ahead(compared))
