"""Digits read row by row, then looked at more finely: what another sampling rate does to a CDE and to a GRU.

Training sees eight rows. Testing sees the same piecewise-linear path through more knots, which adds nothing to know.
The GRU is told the time and the gap to the last row. One more GRU is trained on paths through a random number of knots:
what it could learn if it were shown. Sizes and learning rates are those that `missing_rows` chose.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from helpers.data import digit_rows
from helpers.layers import NeuralCDE, with_time
from helpers.solvers import control_path
from helpers.training import accuracy, fit

from . import record
from .missing_rows import TIMES, RowGRU
from .record import mean, spread, store

SEEDS = (0, 1, 2, 3, 4)
PIECES = (1, 2, 3, 4, 6)  # of equal length between two rows: 8, 15, 22, 29, 43 knots
IRREGULAR = 6  # knots more, at random times: 14
TRAINING = {"epochs": 20, "batch_size": 128}
ROWS = ("CDE, midpoint", "CDE, rk4", "GRU", "GRU trained at many rates")


def knots(pieces: int) -> Tensor:
    """Times that cut every interval between two rows into equal pieces, the rows' own among them."""
    return torch.linspace(0, 1, 7 * pieces + 1, dtype=torch.float64)


def irregular(seed: int) -> Tensor:
    """The rows' times and IRREGULAR more at random."""
    more = torch.rand(IRREGULAR, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.cat([TIMES, more]).sort().values


def view(x: Tensor, t: Tensor, *, gap: bool = False) -> Tensor:
    """The path through the rows (n, 8, 8), looked at at the times t: time, pixels, and the gap to the last knot."""
    seen = control_path(with_time(x, TIMES), TIMES).evaluate(t)
    if not gap:
        return seen
    return torch.cat([seen, seen[..., :1].diff(dim=-2, prepend=seen[..., :1, :1])], -1)


class ManyRates(nn.Module):
    """A GRU that in training sees every batch through another number of knots."""

    def __init__(self, hidden: int):
        super().__init__()
        self.net = RowGRU(10, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """In training rows (n, 8, 8), otherwise a view (n, knots, 10) ↦ (n, 10)."""
        if self.training:
            pieces = int(torch.randint(1, PIECES[-1] + 1, ()))
            x = view(x, knots(pieces), gap=True)
        return self.net(x)


def network(row: str, sizes: dict) -> nn.Module:
    """The network of a row, untrained."""
    if row.startswith("CDE"):
        return NeuralCDE(9, sizes["CDE"]["hidden"], 10, method=row.partition(", ")[2])
    return (ManyRates if row == "GRU trained at many rates" else lambda n: RowGRU(10, n))(sizes["GRU"]["hidden"])


def sizes() -> dict:
    """Sizes and learning rates as `missing_rows` chose them."""
    return record.load("missing_rows")["settings"]["chosen"]


def train(row: str, seed: int) -> nn.Module:
    """The network of a row, trained on the eight rows of each image."""
    (x, y), _ = digit_rows(seed)
    kind = row[:3]
    seen = x if row == "GRU trained at many rates" else view(x, TIMES, gap=kind == "GRU")
    found = sizes()
    model = lambda: network(row, found)  # noqa: E731
    return fit(model, (seen, y), lr=found[kind]["lr"], seed=seed, device="cpu", progress=False, **TRAINING).model


@torch.no_grad()
def evaluate(row: str, model: nn.Module, seed: int) -> dict[str, float]:
    """Accuracy at every sampling rate, and by what share the scores move from the coarsest to the finest."""
    _, (x, y) = digit_rows(seed)
    times = {f"{7 * n + 1} knots": knots(n) for n in PIECES} | {"14 irregular knots": irregular(seed)}
    views = {name: view(x, t, gap=row[:3] == "GRU") for name, t in times.items()}
    coarse, fine = (model(views[f"{7 * n + 1} knots"]) for n in (PIECES[0], PIECES[-1]))
    moved = ((fine - coarse).norm() / coarse.norm()).item()
    return {name: accuracy(model, (seen, y)) for name, seen in views.items()} | {"scores move": moved}


def main() -> None:
    """Measure all rows, print the table and store it, with the networks of the first seed."""
    rows = []
    for row in ROWS:
        found = []
        for seed in SEEDS:
            began = time.process_time()
            model = train(row, seed)
            found.append({"seconds": time.process_time() - began} | evaluate(row, model, seed))
            if seed == SEEDS[0] and row in STORED.values():
                name = next(name for name, stored in STORED.items() if stored == row)
                record.store_network(name, model)
        columns = {key: [values[key] for values in found] for key in found[0]}
        rows.append({"row": row, "seeds": list(SEEDS), **columns})
        print(row, *(f"{key} {mean(v):.3f}±{spread(v):.3f}" for key, v in columns.items()), sep=" | ", flush=True)
    settings = {
        "data": "scikit-learn digits, 1437 train, 360 test, stratified, split by the seed; rows of 8 pixels / 16",
        "views": "the same piecewise-linear path through more knots",
        "CDE": "linear path, one step from knot to knot",
        "optimiser": "Adam",
        **TRAINING,
        "sizes": sizes(),
        "dtype": str(torch.get_default_dtype()),
        "seconds": "of the processor, training alone, one thread; of the machine that made the table",
    }
    store("sampling_rate", title="The same digits, sampled more finely", settings=settings, rows=rows)


STORED = {"rows_cde": "CDE, rk4", "rows_gru": "GRU"}  # file → the row whose first network it holds


def load_network(name: str) -> nn.Module:
    """The stored network of the first seed, "rows_cde" or "rows_gru"."""
    return record.load_network(name, network(STORED[name], sizes()))
