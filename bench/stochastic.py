"""Stochastic solves against torchsde, in units of the bare drift, diffusion and noise of as many steps."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import nn

from helpers.solvers import sdeint

from .report import Table, ahead
from .timing import interleaved

STEPS, BATCH = 100, 1024
METHODS = ("euler", "milstein", "srk")
ABOUT = f"""{STEPS} equal steps over [0, 1] in float32 without gradients, diagonal Itô noise, batch {BATCH}. *cheap*:
f = −y, g = y/2 on two entries; *MLP*: both are networks 2-64-2, g with a sigmoid at its end. *bare* is f, g and
`torch.randn` called once a step, which is all that Euler–Maruyama needs; what the other methods call more often is
charged to them. torchsde stands twice: *fair*, as its authors would want it timed (`ts` in float64,
`BrownianInterval(dt=…, cache_size=None)`, made before each solve, as it must be), and *as documented* (`ts` in float32
and nothing else said), by euler alone. Its srk is another method of the same order."""
COLUMNS = ("field", "solver", "method", "ms", "time / bare")


class Equation(nn.Module):
    """dX = f dt + g dW, as torchsde takes it."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, f, g):
        super().__init__()
        self._f, self._g = f, g

    def f(self, t, y):
        return self._f(y)

    def g(self, t, y):
        return self._g(y)


def equations(device):
    """Name → equation, float32, of two entries."""
    torch.manual_seed(0)
    f, g = (nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 2)) for _ in range(2))
    g.append(nn.Sigmoid())
    return {"cheap": Equation(torch.neg, lambda y: 0.5 * y), "MLP": Equation(f, g).to(device)}


def bare(sde, y0):
    """Drift, diffusion and noise of `STEPS` steps, without a solver: the floor."""
    t = torch.zeros((), device=y0.device)

    def run():
        for _ in range(STEPS):
            sde.f(t, y0)
            sde.g(t, y0)
            torch.randn(y0.shape, dtype=y0.dtype).to(y0.device)

    return run


def solvers(sde, y0):
    """(solver, method) → function without arguments."""
    dt, fine = 1 / STEPS, torch.tensor([0.0, 1.0], dtype=torch.float64, device=y0.device)
    found = {}
    for method in METHODS:
        found["helpers", method] = lambda method=method: sdeint(sde, y0, fine, method=method, dt=dt)[-1]
    if find_spec("torchsde"):
        import torchsde

        def fair(method):
            area = "space-time" if method == "srk" else "none"
            like = {"dtype": y0.dtype, "device": y0.device, "levy_area_approximation": area}
            bm = torchsde.BrownianInterval(0.0, 1.0, y0.shape, dt=dt, cache_size=None, **like)
            return torchsde.sdeint(sde, y0, fine, bm=bm, method=method, dt=dt)[-1]

        for method in METHODS:
            found["torchsde, fair", method] = lambda method=method: fair(method)
        found["torchsde, as documented", "euler"] = lambda: torchsde.sdeint(
            sde, y0, fine.float(), method="euler", dt=dt
        )[-1]
    return found


@torch.no_grad()
def table(device) -> Table:
    """Both equations by every method."""
    rows, compared = [], []
    y0 = torch.ones(BATCH, 2, device=device)
    for name, sde in equations(device).items():
        seconds = interleaved({**solvers(sde, y0), "bare": bare(sde, y0)})
        floor = seconds.pop("bare")
        for (solver, method), took in seconds.items():
            rows.append((name, solver, method, 1e3 * took, took / floor))
            if solver != "helpers":
                compared.append((solver, f"{name} {method}", took / seconds["helpers", method]))
    return Table("Stochastic methods", ABOUT, COLUMNS, rows, ahead(compared))
