"""Thirty irregular weeks of carbon dioxide, and the half year after them: an ODE-RNN and a GRU beside two old methods.

A window has 104 weeks, 30 of them are seen, the next 26 are asked for. The last quarter of the years, 1991 to 2001, is
for the test; learning rates were chosen on the years just before it, by the mean of three runs that did not train on
them. The windows of the test overlap, so that they are far fewer than they seem: the spread over seeds is that of
training alone.
"""

from __future__ import annotations

import math
import time
from functools import partial

import torch
from torch import Tensor, nn

from helpers.data import mauna_loa_co2
from helpers.layers import ODERNN
from helpers.training import fit

from . import record
from .record import mean, spread, store

SEEN, PAST, FUTURE = 30, 104, 26  # weeks
YEAR = 52.0  # weeks of a year, the unit of time
UNIT = 3.0  # ppm
ASKED = torch.arange(PAST, PAST + FUTURE, dtype=torch.float64) / YEAR
SEEDS = (0, 1, 2, 3, 4)
HIDDEN, WINDOWS, TEST_WINDOWS = 24, 640, 256
LEARNING_RATES = (5e-3, 1e-2, 2e-2, 4e-2, 8e-2)
TUNING_SEEDS = (10, 11, 12)
EPOCHS = {"ODE-RNN": 30, "GRU": 30, "GRU, as long as the ODE-RNN": 70}
BASELINES = ("harmonic regression", "last value")
TRAINING = {"batch_size": 128}


def borders() -> tuple[int, int]:
    """The week that validation begins at, and the one that the test begins at."""
    weeks = len(mauna_loa_co2()[1])
    return int(0.6 * weeks), int(0.75 * weeks)


def windows(first: int, last: int, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Windows between two weeks of the record.

    Returns:
        Times of what is seen, (count, SEEN), in years after the beginning of the window; values (count, SEEN) in ppm;
        and the FUTURE weeks that follow, (count, FUTURE), NaN where nothing was measured.
    """
    series, draw = mauna_loa_co2()[1], torch.Generator().manual_seed(seed)
    starts = torch.randint(first, last - PAST - FUTURE + 1, (count,), generator=draw)
    whole = series[starts[:, None] + torch.arange(PAST + FUTURE)]
    order = torch.rand(count, PAST, generator=draw) + whole[:, :PAST].isnan()  # what is missing comes last
    weeks = order.argsort(1)[:, :SEEN].sort(1).values
    return weeks.to(series.dtype) / YEAR, whole.gather(1, weeks), whole[:, PAST:]


def rmse(prediction: Tensor, y: Tensor) -> float:
    """Root mean square error in ppm over the weeks that were measured."""
    return ((prediction - y)[~y.isnan()] ** 2).mean().sqrt().item()


def harmonic_regression(t: Tensor, x: Tensor, at: Tensor = ASKED) -> Tensor:
    """Least squares in each window, a line and two harmonics of the year, continued to the times `at`."""

    def basis(t):
        year = 2 * math.pi * t
        return torch.stack([torch.ones_like(t), t, year.cos(), year.sin(), (2 * year).cos(), (2 * year).sin()], -1)

    return (basis(at) @ torch.linalg.lstsq(basis(t), x[..., None]).solution)[..., 0]


class GapGRU(nn.Module):
    """A GRU that is told (value, whether it was seen, the gap to the last row) in every row, questions included."""

    def __init__(self, hidden: int):
        super().__init__()
        self.gru, self.readout = nn.GRU(3, hidden, batch_first=True), nn.Linear(hidden, 1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """x (n, length, 1), NaN where nothing is seen, t (n, length) ↦ (n, length, 1)."""
        gap = 10 * t.diff(dim=1, prepend=t[:, :1])[..., None]
        return self.readout(self.gru(torch.cat([x.nan_to_num(0.0), (~x.isnan()).to(x.dtype), gap], -1))[0])


class Forecaster(nn.Module):
    """Reads (time, value) of the weeks seen, (n, rows, 2), NaN for an empty row; answers for the FUTURE weeks."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, seen: Tensor) -> Tensor:
        t, x = seen.unbind(-1)
        asked = ASKED.to(t).expand(len(t), FUTURE)
        x = torch.cat([x, torch.full_like(asked, torch.nan)], 1)[..., None]
        return self.net(x, torch.cat([t, asked], 1))[:, -FUTURE:, 0]


def network(row: str) -> Forecaster:
    """The network of a row, untrained."""
    return Forecaster(ODERNN(1, HIDDEN, 1) if row == "ODE-RNN" else GapGRU(HIDDEN))


def scaled(t: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Input (n, SEEN, 2) and target without the window's own level, in UNITs; and the level (n, 1) in ppm."""
    level = x.mean(1, keepdim=True)
    return torch.stack([t, (x - level) / UNIT], -1), (y - level) / UNIT, level


def masked_mse(prediction: Tensor, y: Tensor) -> Tensor:
    """Mean square over all weeks, those not measured counted as 0."""
    return torch.where(y.isnan(), 0.0, prediction - y.nan_to_num(0.0)).square().mean()


def train(row: str, until: int, seed: int, lr: float) -> Forecaster:
    """The network of a row, trained on windows before the week `until`."""
    x, y, _ = scaled(*windows(0, until, WINDOWS, 100 + seed))
    make = partial(network, row)
    settings = TRAINING | {"epochs": EPOCHS[row], "lr": lr, "loss": masked_mse}
    return fit(make, (x, y), seed=seed, device="cpu", progress=False, **settings).model


@torch.no_grad()
def error(model: Forecaster, data: tuple[Tensor, Tensor, Tensor]) -> float:
    """RMSE in ppm on windows."""
    x, _, level = scaled(*data)
    return rmse(UNIT * model(x) + level, data[2])


def test_windows() -> tuple[Tensor, Tensor, Tensor]:
    """The windows that every row is tested on."""
    return windows(borders()[1], len(mauna_loa_co2()[1]), TEST_WINDOWS, 1)


def baseline(row: str) -> float:
    """RMSE in ppm of a method that is not trained."""
    t, x, y = test_windows()
    return rmse(harmonic_regression(t, x) if row == "harmonic regression" else x[:, -1:].expand_as(y), y)


def tune(row: str) -> dict[str, float]:
    """RMSE on the years before the test for every learning rate, the mean of three runs."""
    validation, test = borders()
    data = windows(validation, test, TEST_WINDOWS, 2)
    return record.tune(
        row, LEARNING_RATES, lambda lr, seed: error(train(row, validation, seed, lr), data), TUNING_SEEDS
    )


def main() -> None:
    """Choose, measure all rows, print the table and store it, with the networks of the first seed."""
    rows = [{"row": row, "seeds": list(SEEDS), "rmse": [baseline(row)] * len(SEEDS)} for row in BASELINES]
    tried = {row: tune(row) for row in EPOCHS}
    for row in EPOCHS:
        seconds, errors = [], []
        for seed in SEEDS:
            began = time.process_time()
            model = train(row, borders()[1], seed, float(min(tried[row], key=tried[row].get)))
            seconds.append(time.process_time() - began)
            errors.append(error(model, test_windows()))
            if seed == SEEDS[0] and row in STORED.values():
                record.store_network(next(name for name, kind in STORED.items() if kind == row), model)
        rows.append({"row": row, "seeds": list(SEEDS), "seconds": seconds, "rmse": errors})
    for row in rows:
        print(row["row"], f"{mean(row['rmse']):.2f}±{spread(row['rmse']):.2f} ppm", row.get("seconds"), flush=True)
    settings = {
        "data": "Mauna Loa, weekly means of CO2, 1958 to 2001; test 1991 to 2001",
        "windows": f"{SEEN} of {PAST} weeks seen, {FUTURE} asked; {WINDOWS} to train on, {TEST_WINDOWS} to test",
        "networks": f"{HIDDEN} units; the ODE-RNN takes one midpoint step a gap",
        "optimiser": "Adam",
        **TRAINING,
        "epochs": EPOCHS,
        "dtype": str(torch.get_default_dtype()),
        "rmse in ppm on the years before the test, by learning rate, the mean of three runs": tried,
        "seconds": "of the processor, training alone, one thread; of the machine that made the table",
    }
    store("carbon_dioxide", title="Half a year of carbon dioxide ahead", settings=settings, rows=rows)


STORED = {"co2_ode_rnn": "ODE-RNN", "co2_gru": "GRU, as long as the ODE-RNN"}


def load_network(name: str) -> Forecaster:
    """The stored network of the first seed, "co2_ode_rnn" or "co2_gru"."""
    return record.load_network(name, network(STORED[name]))
