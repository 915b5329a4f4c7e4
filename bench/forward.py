"""Forward solves against the peers, in units of the bare vector field called as often as the solver calls it."""

from __future__ import annotations

import torch

from . import peers
from .fields import SHAPES, STEPS, fields
from .remote import taking_part
from .report import Table, ahead
from .timing import interleaved

ABOUT = f"""One solve over [0, 1] in float32 without gradients: {STEPS["small"]} equal steps of rk4 ({STEPS["conv"]} on
conv), and dopri5 at rtol {peers.TOLERANCES["rtol"]:g}, atol {peers.TOLERANCES["atol"]:g}. Fields:
{"; ".join(f"*{name}*, {shape}" for name, shape in SHAPES.items())}.
*NFE* counts the evaluations that a solver makes, and *time / B* charges it with its own; *helpers is faster by*
compares whole solves. *error* is the relative distance of y(1) to a solve by dopri8 in float64. torchode has no rk4 and
steps by dopri5, whose six evaluations a step spread its cost; torchebm chooses no first step and is given
{peers.FIRST_STEP:g}."""
COLUMNS = ("field", "solver", "method", "ms", "NFE", "time / B", "helpers is faster by", "error")


def evaluations(field, solve):
    """How often one solve calls the field."""
    before = field.count[0]
    solve()
    return field.count[0] - before


def bare(field, y0, calls):
    """The field alone, called `calls` times: the floor that no solver can go below."""
    t = torch.zeros((), device=y0.device)

    def run():
        for _ in range(calls):
            field(t, y0)

    return run


def reference(field, y0):
    """y(1) in float64, close to exact."""
    import torchdiffeq

    t = torch.tensor([0.0, 1.0], dtype=torch.float64, device=y0.device)
    result = torchdiffeq.odeint(field.double(), y0.double(), t, method="dopri8", rtol=1e-12, atol=1e-14)[-1]
    field.float()
    return result


def fixed_step(name, field, y0, solvers):
    """Solver → (method, function without arguments): equal steps, as many evaluations each."""
    steps = STEPS[name]
    prepared = {}
    for solver, peer in solvers.items():
        solve = peer.fixed(field, y0, peer.steps(4 * steps))
        prepared[solver] = (peer.method, lambda solve=solve: solve(y0))
    return prepared


def adaptive(name, field, y0, solvers):
    """Solver → (method, function without arguments): dopri5 at one tolerance."""
    prepared = {}
    for solver, peer in solvers.items():
        solve = peer.adaptive(field, y0)
        prepared[solver] = ("dopri5", lambda solve=solve: solve(y0))
    return prepared


def compare(field, y0, prepared, compiled=None):
    """Solver → method, milliseconds, evaluations, time over the bare field's, and y(1).

    Args:
        prepared: Solver → (method, function).
        compiled: diffrax's contestant and its method, where it takes part.
    """
    calls = {name: evaluations(field, solve) for name, (_, solve) in prepared.items()}
    runs = {name: solve for name, (_, solve) in prepared.items()}
    methods = {name: method for name, (method, _) in prepared.items()}
    ends = {name: solve() for name, solve in runs.items()}
    if compiled is not None:
        methods["diffrax"], runs["diffrax"] = compiled
        calls["diffrax"], ends["diffrax"] = runs["diffrax"].calls, torch.from_numpy(runs["diffrax"].result())
    floors = {f"bare {count}": bare(field, y0, count) for count in set(calls.values())}
    seconds = interleaved({**runs, **floors})
    return {
        name: {
            "method": methods[name],
            "ms": 1e3 * seconds[name],
            "nfe": calls[name],
            "ratio": seconds[name] / seconds[f"bare {calls[name]}"],
            "end": ends[name],
        }
        for name in runs
    }


@torch.no_grad()
def table(device) -> Table:
    """Every field by rk4 and dopri5."""
    solvers, rows, compared = peers.installed(), [], []
    with taking_part(device) as other:
        for name, (field, y0) in fields(device).items():
            exact = reference(field, y0)
            for kind, prepare, steps in (("rk4", fixed_step, STEPS[name]), ("dopri5", adaptive, None)):
                contestant = other and (kind, other.prepare("forward", field, y0, kind, steps=steps))
                found = compare(field, y0, prepare(name, field, y0, solvers), contestant)
                ours = found["helpers"]
                for solver, row in found.items():
                    error = ((row["end"] - exact).norm() / exact.norm()).item()
                    faster = None if solver == "helpers" else row["ms"] / ours["ms"]
                    rows.append((name, solver, row["method"], row["ms"], row["nfe"], row["ratio"], faster, error))
                    if solver != "helpers":
                        # equal steps: an evaluation for an evaluation; one tolerance: a solve for a solve
                        share = row["ratio"] / ours["ratio"] if steps else faster
                        compared.append((solver, f"{name} {kind}", share))
    verdict = ahead(compared, "time (per evaluation for rk4, per solve for dopri5)")
    return Table("Forward", ABOUT, COLUMNS, rows, verdict)
