"""Digits read row by row with pixels missing: a neural CDE beside a GRU, at equal epochs.

Eight rows of eight pixels / 16, one a time step; a share of the pixels is missing at random, a fixed choice for each
image. All models have time as a channel. Learning rate and size of each kind were chosen on a fifth of the training
images, held out, with 30 % of the pixels missing; the test images had no part in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from helpers.data import digit_rows
from helpers.layers import NeuralCDE, with_time
from helpers.solvers.paths import linear_interpolation_coeffs
from helpers.training import accuracy, fit

from .record import mean, spread, store

TIMES = torch.linspace(0, 1, 8, dtype=torch.float64)
SEEDS = (0, 1, 2, 3, 4)
RATES = (0.0, 0.3, 0.6)
TRAINING = {"epochs": 20, "batch_size": 128}
SIZES, LEARNING_RATES = (16, 32, 64), (3e-3, 1e-2, 2e-2)
HELD_OUT = 288  # of 1437 training images


class RowGRU(nn.Module):
    """A GRU over the rows of x (n, length, channels), and an affine map of its last state to ten scores."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.gru, self.readout = nn.GRU(channels, hidden, batch_first=True), nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, length, channels) ↦ (n, 10)."""
        return self.readout(self.gru(x)[1][0])


def cde(channels: int, hidden: int) -> NeuralCDE:
    """A neural CDE along straight lines, one midpoint step from row to row."""
    return NeuralCDE(channels, hidden, 10, method="midpoint")


def zeros_and_mask(x: Tensor) -> Tensor:
    """Time, the pixels with 0 where they are missing, and which are there: (n, 8, 17)."""
    return torch.cat([with_time(x.nan_to_num(0.0), TIMES), (~x.isnan()).to(x.dtype)], -1)


def lines(x: Tensor) -> Tensor:
    """Time, and the pixels with gaps bridged by straight lines; a column without any pixel is 0: (n, 8, 9)."""
    return linear_interpolation_coeffs(with_time(_something_in_each(x), TIMES), TIMES)


def _something_in_each(x):
    return torch.where(x.isnan().all(-2, keepdim=True), 0.0, x)


# name → features of the rows, model of (channels, hidden), its kind (whose size and rate it takes), epochs
MODELS: dict[str, tuple[Callable, Callable, str, int]] = {
    "CDE": (partial(with_time, t=TIMES), partial(cde, 9), "CDE", 20),
    "CDE with counts": (partial(with_time, t=TIMES, counts=True), partial(cde, 17), "CDE", 20),
    "GRU, zeros and mask": (zeros_and_mask, partial(RowGRU, 17), "GRU", 20),
    "GRU, lines": (lines, partial(RowGRU, 9), "GRU", 20),
    "GRU, zeros and mask, 50 epochs": (zeros_and_mask, partial(RowGRU, 17), "GRU", 50),
}
ROWS = [(rate, name) for rate in RATES for name in MODELS if rate or name not in ("CDE with counts", "GRU, lines")]


def label(rate: float, name: str) -> str:
    """What a row of the table is called."""
    return f"{100 * rate:.0f} % missing: {name}"


def train(name: str, data: tuple[Tensor, Tensor], *, hidden: int, lr: float, seed: int) -> nn.Module:
    """A model of this name, trained on (rows, classes)."""
    features, make, _, epochs = MODELS[name]
    x, y = data
    settings = TRAINING | {"epochs": epochs}
    return fit(
        lambda: make(hidden), (features(x), y), lr=lr, seed=seed, device="cpu", progress=False, **settings
    ).model


def score(name: str, model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Share of (rows, classes) that are right."""
    return accuracy(model, (MODELS[name][0](data[0]), data[1]))


def measure(rate: float, name: str, seed: int, settings: dict) -> dict[str, float]:
    """Train one model; what the table says of it."""
    train_rows, test_rows = digit_rows(seed, missing=rate)
    began = time.process_time()
    model = train(name, train_rows, seed=seed, **settings[MODELS[name][2]])
    return {"seconds": time.process_time() - began, "accuracy": score(name, model, test_rows)}


def tune(kind: str, name: str, rate: float = 0.3, splits: tuple[int, ...] = (0, 1)) -> dict[str, float]:
    """Accuracy on held-out training images for every size and learning rate, the mean of two splits."""
    found = {}
    for hidden in SIZES:
        for lr in LEARNING_RATES:
            scores = []
            for seed in splits:
                (x, y), _ = digit_rows(seed, missing=rate)
                model = train(name, (x[HELD_OUT:], y[HELD_OUT:]), hidden=hidden, lr=lr, seed=seed)
                scores.append(score(name, model, (x[:HELD_OUT], y[:HELD_OUT])))
            found[f"{hidden} units, lr {lr:g}"] = mean(scores)
            print(kind, hidden, lr, f"{mean(scores):.3f}", flush=True)
    return found


def chosen(tried: dict[str, float]) -> dict[str, float]:
    """The size and learning rate with the best held-out accuracy."""
    units, lr = max(tried, key=tried.get).split(" units, lr ")
    return {"hidden": int(units), "lr": float(lr)}


def main() -> None:
    """Choose, measure all rows, print the table and store it."""
    tried = {"CDE": tune("CDE", "CDE"), "GRU": tune("GRU", "GRU, zeros and mask")}
    settings = {kind: chosen(found) for kind, found in tried.items()}
    rows = []
    for rate, name in ROWS:
        found = [measure(rate, name, seed, settings) for seed in SEEDS]
        columns = {key: [values[key] for values in found] for key in found[0]}
        rows.append({"row": label(rate, name), "seeds": list(SEEDS), **columns})
        told = (f"{key} {mean(v):.3f}±{spread(v):.3f}" for key, v in columns.items())
        print(label(rate, name), *told, sep=" | ", flush=True)
    told = {
        "data": "scikit-learn digits, 1437 train, 360 test, stratified, split by the seed; rows of 8 pixels / 16",
        "missing": "pixels at random, fixed for each image",
        "CDE": "linear path, one midpoint step from row to row, field tanh(W relu(W z))",
        "optimiser": "Adam",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        "held out": f"{HELD_OUT} training images, 30 % missing, mean of two splits",
        "tried": tried,
        "chosen": settings,
        "seconds": "of the processor, training alone, one thread; of the machine that made the table",
    }
    store("missing_rows", title="Digits by rows, pixels missing", settings=told, rows=rows)
