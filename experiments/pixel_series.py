"""Digits read pixel by pixel: state-space layers beside a GRU and an LSTM, and a signal sampled twice as finely.

The 64 pixels of a digit come one after another. Learning rates were chosen for each kind of network on a fifth of the
training digits, held out, by the mean of three runs. All rows take equally many epochs but the last two, which say what
more training does for the GRU. "Twice as fine": every pixel is read twice, by the same network, which is told of it by
halving its step, or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from helpers.data import digits
from helpers.layers import S4D, S5
from helpers.training import accuracy, fit

from . import record
from .record import mean, spread, store

SEEDS = (0, 1, 2)
EPOCHS, LONG = 20, 40
TRAINING = {"batch_size": 64}
LEARNING_RATES = (3e-3, 1e-2, 2e-2, 4e-2, 8e-2)
TUNING_SEEDS = (0, 1, 2)
HELD_OUT = 288  # of 1437 training digits
STEPS = (1e-2, 0.3)  # of Δ, for 64 samples; the layers' own default, .001 to .1, is for longer signals


class Deep(nn.Module):
    """State-space layers one after another, each with norm, gate and skip: u (n, length, 1) ↦ scores (n, 10).

    x ← x + GLU(W GELU(layer(norm(x)))); the classifier reads the mean over time.

    Args:
        layer: Makes the state-space layer of a width.
        width: Features.
        depth: How many layers.
    """

    def __init__(self, layer: Callable[[int], nn.Module], width: int, depth: int = 1):
        super().__init__()
        self.encode = nn.Linear(1, width)
        self.layers = nn.ModuleList(layer(width) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.mixes = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, u: Tensor) -> Tensor:
        x = self.encode(u)
        for layer, norm, mix in zip(self.layers, self.norms, self.mixes, strict=True):
            x = x + nn.functional.glu(mix(nn.functional.gelu(layer(norm(x)))))
        return self.head(x.mean(1))


class Recurrent(nn.Module):
    """A GRU or LSTM over the pixels, whose last state the classifier reads: u (n, length, 1) ↦ scores (n, 10)."""

    def __init__(self, cell: Callable, width: int):
        super().__init__()
        self.rnn, self.head = cell(1, width, batch_first=True), nn.Linear(width, 10)

    def forward(self, u: Tensor) -> Tensor:
        return self.head(self.rnn(u)[0][:, -1])


_s4d = partial(S4D, state=16, dt=STEPS)
# name → the network, and the kind whose learning rate it takes
MODELS: dict[str, tuple[Callable, str]] = {
    "S4D": (partial(Deep, _s4d, 24), "S4D"),
    "S4D, two layers": (partial(Deep, _s4d, 24, 2), "S4D"),
    "S4D, default steps": (partial(Deep, partial(S4D, state=16), 24), "S4D, default steps"),
    "S5": (partial(Deep, partial(S5, state=32, dt=STEPS), 24), "S5"),
    "GRU": (partial(Recurrent, nn.GRU, 42), "GRU"),
    "LSTM": (partial(Recurrent, nn.LSTM, 36), "LSTM"),
    "GRU, as long as S4D": (partial(Recurrent, nn.GRU, 42), "GRU"),
    f"GRU, {LONG} epochs": (partial(Recurrent, nn.GRU, 42), "GRU"),
}
ROWS = tuple(MODELS)
SAME_TIME = "GRU, as long as S4D"


def task(seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Training and test digits, split by the seed: each pixels in [0, 1] in reading order, (n, 64, 1), and classes."""
    return tuple((x.unsqueeze(-1), y) for x, y in digits(seed))


def network(row: str) -> nn.Module:
    """The network of a row, untrained."""
    return MODELS[row][0]()


def chosen() -> dict:
    """Learning rates by kind, and the epochs of each row, of the stored table."""
    return record.load("pixel_series")["settings"]["chosen"]


def train(row: str, seed: int, *, found: dict | None = None, data: tuple[Tensor, Tensor] | None = None) -> nn.Module:
    """The network of a row, trained on the training digits, or on `data`; `found` None means the settings `chosen`."""
    found = chosen() if found is None else found
    data = task(seed)[0] if data is None else data
    settings = TRAINING | {"epochs": found["epochs"][row], "lr": found["lr"][MODELS[row][1]]}
    return fit(partial(network, row), data, seed=seed, device="cpu", progress=False, **settings).model


def twice_as_fine(model: nn.Module, data: tuple[Tensor, Tensor], interval: float) -> float:
    """Accuracy where every pixel is read twice and the state-space layers take `interval` for the time between two."""
    for layer in model.layers:
        layer.interval = interval
    score = accuracy(model, (data[0].repeat_interleave(2, 1), data[1]))
    for layer in model.layers:
        layer.interval = 1.0
    return score


def evaluate(model: nn.Module, seed: int) -> dict[str, float]:
    """Accuracy on the test digits; for state-space layers also on those sampled twice as finely."""
    _, test = task(seed)
    found = {"accuracy": accuracy(model, test)}
    if isinstance(model, Deep):
        found["twice as fine, step halved"] = twice_as_fine(model, test, 0.5)
        found["twice as fine, step kept"] = twice_as_fine(model, test, 1.0)
    return found


def tune(kind: str) -> dict[str, float]:
    """Accuracy on held-out training digits for every learning rate, the mean of three splits."""

    def held_out(lr: float, seed: int) -> float:
        (x, y), _ = task(seed)
        found = {"epochs": {kind: EPOCHS}, "lr": {kind: lr}}
        model = train(kind, seed, found=found, data=(x[HELD_OUT:], y[HELD_OUT:]))
        return accuracy(model, (x[:HELD_OUT], y[:HELD_OUT]))

    return record.tune(kind, LEARNING_RATES, held_out, TUNING_SEEDS)


def main() -> None:
    """Choose, measure all rows, print the table and store it."""
    tried = {kind: tune(kind) for kind in dict.fromkeys(kind for _, kind in MODELS.values())}
    found = {"lr": {kind: float(max(scores, key=scores.get)) for kind, scores in tried.items()}}
    found["epochs"] = {row: EPOCHS for row in ROWS} | {f"GRU, {LONG} epochs": LONG}
    rows, seconds = [], {}
    for row in ROWS:
        if row == SAME_TIME:
            found["epochs"][row] = max(1, round(EPOCHS * seconds["S4D"] / seconds["GRU"]))
        measured = []
        for seed in SEEDS:
            began = time.process_time()
            model = train(row, seed, found=found)
            measured.append({"seconds": time.process_time() - began} | evaluate(model, seed))
        columns = {key: [values[key] for values in measured] for key in measured[0]}
        seconds[row] = mean(columns["seconds"])
        parameters = sum(p.numel() for p in model.parameters())
        rows.append({"row": row, "parameters": parameters, "seeds": list(SEEDS), **columns})
        print(row, *(f"{key} {mean(v):.3f}±{spread(v):.3f}" for key, v in columns.items()), sep=" | ", flush=True)
    settings = {
        "data": "scikit-learn digits, 1437 train, 360 test, stratified, split by the seed; pixel by pixel, 64 steps",
        "state-space rows": f"steps Δ from {STEPS[0]:g} to {STEPS[1]:g}, the default .001 to .1; mean over time",
        "GRU, LSTM": "42 and 36 units; the last state is read",
        "optimiser": "Adam",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        f"accuracy on {HELD_OUT} training digits held out, by learning rate, the mean of three runs": tried,
        "chosen": found,
        "seconds": "training alone, of one core; of the machine that made the table",
    }
    store("pixel_series", title="Digits, pixel by pixel", settings=settings, rows=rows)
