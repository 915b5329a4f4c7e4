"""Implicit methods on a batch of stiff oscillators and on a network, against what the peers offer for such problems."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import torch
from scipy.integrate import solve_ivp

from helpers.solvers import odeint

from . import peers
from .fields import Counted, stiff_fields
from .forward import bare
from .remote import taking_part
from .report import Table, ahead
from .timing import interleaved

STEPS = {"van der Pol": 50, "MLP 16-64-16": 20}
FLOOR = 100  # evaluations whose time gives that of one
ABOUT = f"""Without gradients, float64. *van der Pol*: 64 oscillators from (2, 0) to t = 2, μ from 1 to 1000 evenly in
its logarithm; *MLP 16-64-16*: batch 64, to t = 1. Equal steps of the implicit Euler method
({", ".join(f"{steps} on {name}" for name, steps in STEPS.items())}), and adaptive methods at rtol
{peers.TOLERANCES["rtol"]:g}, atol {peers.TOLERANCES["atol"]:g}. *time / B* is in evaluations of the bare field, and
holds what Jacobians and linear systems cost. *error* is the largest of all samples, relative to the sample's size,
against a solve of each by SciPy's LSODA at 1e-10. torchdiffeq has no implicit Runge–Kutta method: its
`implicit_adams` (in as many equal steps) and its door to SciPy, which takes the batch as one system and returns no
gradients, are what it offers. torchdyn minimises each step's residual by L-BFGS. diffrax (`vmap`) gives each sample
steps of its own."""
COLUMNS = ("problem", "kind", "solver", "ms", "time / B", "error")


def fixed(name, field, y0, end):
    """Solver → function: equal steps of the implicit Euler method, or what comes closest."""
    steps, t = STEPS[name], torch.tensor([0.0, end], dtype=y0.dtype, device=y0.device)
    ours = {"method": "implicit_euler", "options": {"num_steps": steps}}
    found = {"helpers implicit_euler": lambda: odeint(field, y0, t, **ours)[-1]}
    here = peers.installed()
    if "torchdiffeq" in here:
        import torchdiffeq

        options = {"step_size": end / steps}
        found["torchdiffeq implicit_adams"] = lambda: torchdiffeq.odeint(
            field, y0, t, method="implicit_adams", options=options, rtol=1e-7, atol=1e-9
        )[-1]
    if "torchdyn" in here:
        from torchdyn.numerics import odeint as torchdyn_odeint

        grid = torch.linspace(0, end, steps + 1, dtype=y0.dtype, device=y0.device)

        def torchdyn():
            with torch.enable_grad():  # its minimiser differentiates
                return torchdyn_odeint(field, y0, grid, "ieuler", save_at=grid[[0, -1]])[1][-1].detach()

        found["torchdyn implicit_euler"] = torchdyn
    return found


def adaptive(name, field, y0, end):
    """Solver → function: stiff solvers that choose their steps."""
    t = torch.tensor([0.0, end], dtype=y0.dtype, device=y0.device)
    found = {"helpers kvaerno3": lambda: odeint(field, y0, t, method="kvaerno3", **peers.TOLERANCES)[-1]}
    if "torchdiffeq" in peers.installed() and not y0.is_cuda:
        import torchdiffeq

        solver = partial(torchdiffeq.odeint, method="scipy_solver", options={"solver": "Radau"}, **peers.TOLERANCES)
        found["torchdiffeq scipy_solver Radau"] = lambda: solver(field, y0, t)[-1]
    return found


def reference(field, y0, end):
    """Every sample by itself, by SciPy's LSODA at a tight tolerance."""
    ends = []
    for k, start in enumerate(y0):
        one = _sample(field, k)
        ends.append(solve_ivp(one, (0.0, end), start.numpy(), method="LSODA", rtol=1e-10, atol=1e-12).y[:, -1])
    return torch.from_numpy(np.stack(ends))


def _sample(field, k):
    """The field of one sample, in numpy: torch would take longer for a single one."""
    if isinstance(field, Counted):
        first, bias, second, out = (p.detach().cpu().numpy() for p in field.parameters())
        return lambda t, y: second @ np.tanh(first @ y + bias) + out
    mu = field.mu[k].item()
    return lambda t, y: (y[1], mu * (1 - y[0] ** 2) * y[1] - y[0])


def error(end, exact):
    """Largest relative error of a sample; infinite where the result is not finite."""
    relative = (end.cpu() - exact).norm(dim=-1) / exact.norm(dim=-1)
    return relative.max().item() if torch.isfinite(relative).all() else float("inf")


def _keep(ends, solver, run):
    """Solve, and leave the result where the errors are looked up: some solvers are too slow to be asked once more."""
    ends[solver] = run()


@torch.no_grad()
def table(device) -> Table:
    """Both problems, equal steps and adaptive ones."""
    rows, compared = [], []
    with taking_part(device, double=True) as other, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # implicit_adams says at each step that it does not converge
        for name, (field, y0, end) in stiff_fields(device).items():
            exact = reference(field, y0.cpu(), end)
            for kind, solvers, method, steps in (
                ("equal steps", fixed, "implicit_euler", STEPS[name]),
                ("adaptive", adaptive, "kvaerno3", None),
            ):
                runs = solvers(name, field, y0, end)
                ends = {}
                runs = {solver: partial(_keep, ends, solver, run) for solver, run in runs.items()}
                if other:
                    compiled = other.prepare("implicit", field, y0, method, end=end, steps=steps, each=True)
                    runs[f"diffrax {method}"] = compiled
                    ends[f"diffrax {method}"] = torch.from_numpy(compiled.result())
                seconds = interleaved({**runs, "bare": bare(field, y0, FLOOR)}, 10)
                errors = {solver: error(ends[solver], exact) for solver in runs}
                ours = f"helpers {method}"
                for solver, inaccuracy in errors.items():
                    cost = seconds[solver] / (seconds["bare"] / FLOOR)
                    rows.append((name, kind, solver, 1e3 * seconds[solver], cost, inaccuracy))
                    # a result that is wrong is not ahead, however soon it comes
                    if solver != ours and inaccuracy <= 10 * errors[ours]:
                        compared.append((solver, name, seconds[solver] / seconds[ours]))
    verdict = ahead(compared) + " Solvers with more than ten times our error are left out of this comparison."
    return Table("Implicit methods", ABOUT, COLUMNS, rows, verdict)
