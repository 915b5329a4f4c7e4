"""Recurrent networks that read a digit pixel by pixel: 64 steps, one number each, the class asked after the last.

All cells have 48 hidden units and are trained alike. The ratio of gradients tells what is left of the loss's gradient
on its way back through time: its norm at the first 16 pixels over that at the last 16.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from helpers.data import digits
from helpers.layers import AntisymmetricRNNCell
from helpers.training import accuracy, fit

from .record import mean, spread, store

HIDDEN, CLASSES, SEEDS, QUARTER = 48, 10, (0, 1, 2, 3, 4), 16
STEP, DAMPING = 0.1, 0.1
TRAINING = {"epochs": 25, "batch_size": 64, "lr": 3e-3}


class ResidualRNNCell(nn.Module):
    """h_n = h_{n−1} + ε tanh(W h_{n−1} + V u_n + b): the antisymmetric cell with a free matrix."""

    def __init__(self, input_size: int, hidden_size: int, *, step: float):
        super().__init__()
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        self.input = nn.Linear(input_size, hidden_size)
        self.step = step

    def forward(self, input: Tensor, hx: Tensor) -> Tensor:
        """(batch, input_size), (batch, hidden_size) ↦ (batch, hidden_size)."""
        return hx + self.step * torch.tanh(self.recurrent(hx) + self.input(input))


class Reader(nn.Module):
    """Scores from the state after the last pixel: (n, 64) ↦ (n, 10)."""

    def __init__(self, cell: Callable[[int, int], nn.Module]):
        super().__init__()
        self.cell = cell(1, HIDDEN)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Pixel after pixel, row by row."""
        h = x.new_zeros(len(x), HIDDEN)
        for pixel in x.unbind(dim=1):
            h = self.cell(pixel[:, None], h)
        return self.head(h)


CELLS = {
    "RNN": nn.RNNCell,
    "residual RNN": partial(ResidualRNNCell, step=STEP),
    "antisymmetric RNN": partial(AntisymmetricRNNCell, step=STEP, damping=DAMPING),
    "GRU": nn.GRUCell,
}


def measure(row: str, seed: int) -> dict[str, float]:
    """Train one network: its accuracy on the 360 test digits, and the ratio of gradients there."""
    train, (x, y) = digits(seed)
    history = fit(lambda: Reader(CELLS[row]), train, seed=seed, device="cpu", progress=False, **TRAINING)
    return {
        "clean": accuracy(history.model, (x, y)),
        "gradient ratio": gradient_ratio(history.model, x, y),
        "seconds": history.seconds,
    }


def gradient_ratio(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """‖∂ℓ/∂(first 16 pixels)‖ / ‖∂ℓ/∂(last 16 pixels)‖ over all samples."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), x)
    return (gradient[:, :QUARTER].norm() / gradient[:, -QUARTER:].norm()).item()


def main() -> None:
    """Measure all rows, print the table and store it."""
    rows = []
    for row in CELLS:
        began = time.perf_counter()
        found = [measure(row, seed) for seed in SEEDS]
        columns = {key: [values[key] for values in found] for key in found[0]}
        weights = sum(parameter.numel() for parameter in Reader(CELLS[row]).parameters())
        rows.append({"row": row, "parameters": weights, "seeds": list(SEEDS), **columns})
        text = (f"{key} {mean(v):.3f}±{spread(v):.3f}" for key, v in columns.items())
        print(row, *text, f"{time.perf_counter() - began:.0f} s", sep=" | ", flush=True)
    settings = {
        "data": "scikit-learn digits, 1437 train, 360 test, split by the seed; x = pixel / 16, row by row",
        "hidden": HIDDEN,
        "step": STEP,
        "damping": DAMPING,
        "optimiser": "Adam",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        "seconds": "training, one thread; of the machine that made the table, not compared",
    }
    store("pixel_digits", title="Digits read pixel by pixel", settings=settings, rows=rows)
