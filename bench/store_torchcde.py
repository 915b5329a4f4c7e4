"""What torchcde makes of some small series, with and without gaps: tests compare, and need no torchcde.

`python -m bench.store_torchcde` writes tests/torchcde.json anew; torchcde must be installed, at its newest version.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn

FILE = Path(__file__).parents[1] / "tests" / "torchcde.json"
KINDS = ("linear", "natural_cubic", "hermite")
SERIES, LENGTH, CHANNELS, HIDDEN = 4, 9, 3, 4


def series() -> dict[str, Tensor]:
    """Name → x (series, length, channels): complete; with gaps; ragged, with a channel seen once and one seen twice."""
    draw = torch.Generator().manual_seed(5)
    complete = torch.randn(SERIES, LENGTH, CHANNELS, generator=draw, dtype=torch.float64)
    gaps = complete.masked_fill(torch.rand(complete.shape, generator=draw, dtype=torch.float64) < 0.4, torch.nan)
    gaps[:, 4] = complete[:, 4]  # each channel has been seen
    ragged = complete.clone()
    ragged[:, :3] = ragged[:, 6:] = torch.nan
    ragged[0, :5, 0] = ragged[0, 3, 1] = torch.nan
    return {"complete": complete, "gaps": gaps, "ragged": ragged}


def knots() -> Tensor:
    """Irregular times."""
    draw = torch.Generator().manual_seed(6)
    return (0.2 + torch.rand(LENGTH, generator=draw, dtype=torch.float64)).cumsum(0)


def asked() -> Tensor:
    """Where paths are looked at: between the knots, at one of them and at both ends."""
    t = knots()
    return torch.cat([torch.linspace(t[0].item(), t[-1].item(), 11, dtype=torch.float64), t[3:4]])


class Linear(nn.Module):
    """F(z) = (A_1 z, …, A_c z), with matrices that are written down."""

    def forward(self, t, z):
        n = CHANNELS * HIDDEN * HIDDEN
        A = torch.sin(torch.arange(n, dtype=z.dtype, device=z.device)).reshape(CHANNELS, HIDDEN, HIDDEN) / 3
        return torch.einsum("cij,...j->...ic", A, z)


def start() -> Tensor:
    """z(0), (series, hidden)."""
    return torch.linspace(-1, 1, SERIES * HIDDEN, dtype=torch.float64).reshape(SERIES, HIDDEN)


def main():
    """Compute, and write."""
    import torchcde

    paths = {
        "linear": (torchcde.linear_interpolation_coeffs, torchcde.LinearInterpolation),
        "natural_cubic": (torchcde.natural_cubic_coeffs, torchcde.CubicSpline),
        "hermite": (torchcde.hermite_cubic_coefficients_with_backward_differences, torchcde.CubicSpline),
    }
    values, slopes, solutions, t = {}, {}, {}, knots()
    for name, x in series().items():
        for kind, (coefficients, path) in paths.items():
            X = path(coefficients(x, t), t)
            values[f"{name} {kind}"] = X.evaluate(asked()).tolist()
            slopes[f"{name} {kind}"] = X.derivative(asked()).tolist()
    x = series()["gaps"]
    timed = torch.cat([t.expand(SERIES, LENGTH)[..., None], x], -1)
    timed[:, 0] = timed[:, 0].nan_to_num(0.0)  # torchcde too wants the first value to be there
    rectilinear = torchcde.linear_interpolation_coeffs(timed, rectilinear=0)
    with torch.no_grad():
        for kind, (coefficients, path) in paths.items():
            X = path(coefficients(x, t), t)
            # its rk4 is the 3/8 rule; told to perturb, it takes the slopes of a piece on the piece's own side
            options = {"grid_constructor": lambda func, z, times: t, "perturb": True}
            z = torchcde.cdeint(X, Linear(), start(), t, adjoint=False, method="rk4", options=options)
            solutions[kind] = z.tolist()
    found = {
        "torchcde": metadata.version("torchcde"),
        "values": values,
        "slopes": slopes,
        "rectilinear": rectilinear.tolist(),
        "solutions": solutions,
    }
    FILE.write_text(json.dumps(found, allow_nan=False) + "\n", encoding="utf-8", newline="\n")
    print(f"wrote {len(values)} paths and {len(solutions)} solutions by torchcde {found['torchcde']}")


if __name__ == "__main__":
    main()
