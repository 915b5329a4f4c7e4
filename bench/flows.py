"""Continuous normalising flows: the log density of a batch, beside torchdyn's CNF."""

from __future__ import annotations

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import torch
from torch import nn

from helpers.layers import CNF, TimeMLP, log_normal

from .report import Table, ahead
from .timing import interleaved

BATCH, HIDDEN, DEPTH, STEPS = 512, 64, 3, 8
OURS = "helpers"
ABOUT = f"""log p of {BATCH} points in the plane, float32: exact trace, a `TimeMLP` of {DEPTH} hidden layers, {HIDDEN}
wide, classic rk4 with {STEPS} steps, {4 * STEPS} evaluations. *with gradient* is forward and backward to all weights.
torchdyn stands with its `CNF` and its `odeint`; its trace is a loop over the coordinates, one vector–Jacobian product
each, ours one product on as many copies of the batch, and a look whether samples are independent is charged to us.
*off*: the largest difference from ours, nats; torchdyn's rk4 takes the times 0, 0, ½, ½ of a step where the method
has 0, ½, ½, 1."""
COLUMNS = ("library", "forward, ms", "× ours", "with gradient, ms", "× ours", "off")


class Timed(nn.Module):
    """A field for torchdyn's `CNF`, which calls it without the time."""

    def __init__(self, field):
        super().__init__()
        self.field, self.now = field, None

    def forward(self, x):
        return self.field(self.now, x)


def ways(field):
    """Name → log p as a function of x."""
    flow = CNF(field, 2, method="rk4", options={"num_steps": STEPS})
    found = {OURS: flow.log_prob}
    if find_spec("torchdyn"):
        from torchdyn.numerics import odeint

        timed = Timed(field)
        theirs = _their_flow()(timed)

        def augmented(t, state, args=None):
            timed.now = t
            return theirs(state)

        def log_prob(x):
            grid = torch.linspace(1, 0, STEPS + 1, dtype=x.dtype, device=x.device)
            start = torch.cat([x.new_zeros(len(x), 1), x], 1)
            end = odeint(augmented, start, grid, "rk4", save_at=grid[[0, -1]])[1][-1]
            return log_normal(end[:, 1:]) - end[:, 0]

        found["torchdyn"] = log_prob
    return found


def _their_flow():
    """torchdyn's class, from its file: its package imports Lightning and torchvision, which a flow does not need."""
    path = Path(find_spec("torchdyn").origin).parent / "models" / "cnf.py"
    spec = spec_from_file_location("torchdyn_cnf", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CNF


def forward(way, x):
    """A function that finds log p without gradients."""

    def run():
        with torch.no_grad():
            return way(x)

    return run


def with_gradient(way, x, weights):
    """A function that finds log p and the gradient of its mean in the weights."""
    return lambda: torch.autograd.grad(way(x).mean(), weights, allow_unused=True)


def table(device) -> Table:
    """Both libraries, forward and with gradient."""
    torch.manual_seed(0)
    field, x = TimeMLP(2, HIDDEN, DEPTH).to(device), torch.randn(BATCH, 2).to(device)
    weights, found = tuple(field.parameters()), ways(field)
    log_p = {name: forward(way, x)() for name, way in found.items()}
    seconds = {
        "forward": interleaved({name: forward(way, x) for name, way in found.items()}),
        "with gradient": interleaved({name: with_gradient(way, x, weights) for name, way in found.items()}),
    }
    rows, compared = [], []
    for name in found:
        cells = []
        for kind, took in seconds.items():
            ratio = took[name] / took[OURS]
            cells += [1e3 * took[name], ratio]
            if name != OURS:
                compared.append((name, kind, ratio))
        rows.append((name, *cells, None if name == OURS else (log_p[name] - log_p[OURS]).abs().max().item()))
    about = ABOUT if find_spec("torchdyn") else f"{ABOUT} torchdyn is not installed."
    return Table("Continuous normalising flows", about, COLUMNS, rows, ahead(compared, "time"))
