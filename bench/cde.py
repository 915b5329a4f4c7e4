"""Controlled differential equations against torchcde: solves, and coefficients of series with gaps."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from helpers.layers import CDEField
from helpers.solvers import PATHS, cdeint, control_path

from .report import Table, ahead
from .timing import interleaved

SERIES, LENGTH, CHANNELS, HIDDEN = 128, 30, 9, 32
KINDS = ("linear", "natural_cubic")
ABOUT = f"""{SERIES} series × {LENGTH} knots × {CHANNELS} channels in float32, hidden state {HIDDEN}, F a network
{HIDDEN}-{HIDDEN}-{HIDDEN * CHANNELS}; rk4, one step from knot to knot. *gradient* is forward and backward, through the
operations of the solver (`adjoint=False`). torchcde solves along a linear path as its documentation shows, and is of
order 1 there: its first stage sees the slope before the knot (`options={{"perturb": True}}` would mend that). The
*coefficients* are of the same series with 30 % of the values missing."""
COLUMNS = ("path", "what", "solver", "ms", "time / helpers")


def series(device):
    """x (series, length, channels), and the same with gaps, each channel seen at its first and last time."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(SERIES, LENGTH, CHANNELS, generator=draw)
    missing = torch.rand(x.shape, generator=draw) < 0.3
    missing[:, [0, -1]] = False
    return x.to(device), x.masked_fill(missing, torch.nan).to(device)


def backward(solve):
    """The solve and its gradient."""
    return lambda: solve()[..., -1, :].square().mean().backward()


def without_graph(solve):
    """The solve alone."""
    return torch.no_grad()(solve)


def solves(kind, x, field, z0):
    """Solver → function without arguments: the solution at both ends."""
    X = control_path(x, interpolation=kind)
    found = {"helpers": lambda: cdeint(X, field, z0, X.interval, method="rk4", options={"num_steps": 1})}
    if find_spec("torchcde"):
        import torchcde

        coefficients, path = _theirs()[kind]
        Y, options = path(coefficients(x)), {"step_size": 1.0}
        found["torchcde"] = lambda: torchcde.cdeint(
            Y, field, z0, Y.interval, adjoint=False, method="rk4", options=options
        )
    return found


def coefficients(kind, x):
    """Solver → function without arguments: the coefficients of x."""
    found = {"helpers": lambda: PATHS[kind][0](x)}
    if find_spec("torchcde"):
        found["torchcde"] = lambda: _theirs()[kind][0](x)
    return found


def _theirs():
    import torchcde

    return {
        "linear": (torchcde.linear_interpolation_coeffs, torchcde.LinearInterpolation),
        "natural_cubic": (torchcde.natural_cubic_coeffs, torchcde.CubicSpline),
    }


def table(device) -> Table:
    """Both paths: forward, with gradient, coefficients."""
    rows, compared = [], []
    torch.manual_seed(0)
    field, z0 = CDEField(HIDDEN, CHANNELS).to(device), torch.randn(SERIES, HIDDEN).to(device)
    x, gaps = series(device)
    for kind in KINDS:
        runs = solves(kind, x, field, z0)
        measured = {
            "forward": {name: without_graph(run) for name, run in runs.items()},
            "gradient": {name: backward(run) for name, run in runs.items()},
            "coefficients": coefficients(kind, gaps),
        }
        for what, contestants in measured.items():
            seconds = interleaved(contestants)
            for solver, took in seconds.items():
                rows.append((kind, what, solver, 1e3 * took, took / seconds["helpers"]))
                if solver != "helpers":
                    compared.append((solver, f"{kind} {what}", took / seconds["helpers"]))
    installed = ahead(compared) if compared else "torchcde is not installed, so nothing was compared."
    return Table("Controlled differential equations", ABOUT, COLUMNS, rows, installed)
