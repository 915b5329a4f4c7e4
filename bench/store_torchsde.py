"""What torchsde makes of some small equations, on paths that are stored beside it: tests compare, and need no torchsde.

`python -m bench.store_torchsde` writes tests/torchsde.json anew; torchsde must be installed, at its newest version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import torch
from torch import nn

from helpers.solvers import BrownianPath

FILE = Path(__file__).parents[1] / "tests" / "torchsde.json"
STEPS, BATCH = 16, 3
TIMES = [0.0, 0.25, 1.0]
START = [[0.3, -1.2], [1.0, 0.5], [-0.7, 2.0]]
CHANNELS = {"diagonal": 2, "scalar": 1, "additive": 3, "general": 3}
METHODS = {"ito": ("euler", "milstein", "srk"), "stratonovich": ("heun", "milstein")}


class Equation(nn.Module):
    """A coupled, time-dependent drift with each of the four kinds of noise.

    The scalar noise is diagonal in y: where it is not, torchsde's Milstein multiplies by the transposed Jacobian.
    """

    def __init__(self, noise_type, sde_type):
        super().__init__()
        self.noise_type, self.sde_type = noise_type, sde_type

    def f(self, t, y):
        return torch.sin(y.flip(-1)) * torch.cos(t) - 0.3 * y

    def g(self, t, y):
        if self.noise_type == "diagonal":
            return 0.5 * torch.cos(y) + 0.2 * t
        if self.noise_type == "scalar":
            return (0.5 * torch.cos(y) + 0.2 * t).unsqueeze(-1)
        mixing = torch.arange(6, dtype=y.dtype, device=y.device).reshape(2, 3) / 7 + 0.2 * t
        if self.noise_type == "additive":
            return mixing.expand(len(y), 2, 3)
        return mixing * torch.cos(y).unsqueeze(-1)


class StoredPath:
    """A path that knows its increments and areas on a grid of `STEPS` steps over [0, 1], and nothing else."""

    levy_area_approximation = "space-time"

    def __init__(self, increments, areas):
        self.dw, self.area = torch.tensor(increments, dtype=torch.float64), torch.tensor(areas, dtype=torch.float64)
        self.shape, self.dtype, self.device = self.dw.shape[1:], self.dw.dtype, self.dw.device

    def __call__(self, s, t, return_U=False):
        k = round(float(s) * STEPS)
        if abs(float(s) * STEPS - k) > 1e-9 or abs(float(t) * STEPS - k - 1) > 1e-9:
            raise ValueError(f"the path is stored step by step; asked for [{float(s)}, {float(t)}]")
        return (self.dw[k], self.area[k]) if return_U else self.dw[k]


def cases() -> Iterator[tuple[str, str, str]]:
    """(noise type, SDE type, method)."""
    for noise in CHANNELS:
        for sde_type, methods in METHODS.items():
            for method in methods:
                if noise != "general" or method not in ("milstein", "srk"):
                    yield noise, sde_type, method


def main():
    """Solve, and write."""
    import torchsde
    from torchsde._core.methods import srk
    from torchsde._core.methods.tableaus import srid1

    # its srk steps by SRI2W1, except for additive noise; of SRI1W1, which ours is, it has the table
    srk.srid2 = srid1
    grid = [k / STEPS for k in range(STEPS + 1)]
    paths = {}
    for channels in sorted(set(CHANNELS.values())):
        path = BrownianPath(0.0, 1.0, (BATCH, channels), seed=channels, steps=STEPS, dtype=torch.float64)
        increments, areas = path.increments(grid, return_U=True)
        paths[str(channels)] = {"increments": increments.tolist(), "areas": areas.tolist()}
    ts, y0 = (torch.tensor(x, dtype=torch.float64) for x in (TIMES, START))
    solutions = {}
    for noise, sde_type, method in cases():
        bm = StoredPath(**paths[str(CHANNELS[noise])])
        with torch.no_grad():
            y = torchsde.sdeint(Equation(noise, sde_type), y0, ts, bm=bm, method=method, dt=1 / STEPS)
        solutions[f"{noise} {sde_type} {method}"] = y.tolist()
    found = {"torchsde": metadata.version("torchsde"), "paths": paths, "solutions": solutions}
    FILE.write_text(json.dumps(found, indent=None) + "\n", encoding="utf-8", newline="\n")
    print(f"wrote {len(solutions)} solutions by torchsde {found['torchsde']}")


if __name__ == "__main__":
    main()
