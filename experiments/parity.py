"""Parity of a bit string by a diagonal recurrence: with multipliers in (0, 1) it cannot, with (−1, 1) it is learnt.

One recurrence between token-wise networks; training asks for the parity of every prefix of 16 bits, testing for that of
the whole string. Learning rates were chosen by the loss, the mean of three runs, on strings of the training's length
that no other run sees.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from helpers.layers import linear_scan
from helpers.training import fit

from . import record
from .latch import OneLayer, every_token, loss
from .record import mean, spread, store

LENGTH, LENGTHS = 16, (16, 128)
SEEDS = (0, 1, 2, 3, 4)
STRINGS, TESTED = 2048, 1000  # seeds of the test strings begin at 100
TRAINING = {"epochs": 12, "batch_size": 64}
LEARNING_RATES = (2e-3, 5e-3, 1e-2, 2e-2, 4e-2)
TUNING_SEEDS = (50, 51, 52)
SQUASH: dict[str, Callable] = {"(0, 1)": torch.sigmoid, "(−1, 1)": torch.tanh}  # row → what bounds its multipliers
ROWS = tuple(SQUASH)


class Recurrence(nn.Module):
    """h_t = a(u_t) h_{t−1} + b(u_t), every feature by itself; a squashed affine map of u_t, b an affine one.

    With a in (0, 1) a state never changes its sign but by what is added; with (−1, 1) it can (Grazzi et al. 2024,
    arXiv 2411.12537). u (n, length, width) ↦ the states, the same shape.

    Args:
        width: Features.
        squash: What bounds the multipliers, torch.sigmoid or torch.tanh.
    """

    def __init__(self, width: int, squash: Callable[[Tensor], Tensor]):
        super().__init__()
        self.a, self.b, self.squash = nn.Linear(width, width), nn.Linear(width, width), squash

    def multipliers(self, u: Tensor) -> Tensor:
        """a(u_t), shaped like u."""
        return self.squash(self.a(u))

    def forward(self, u: Tensor) -> Tensor:
        return linear_scan(self.multipliers(u).transpose(0, 1), self.b(u).transpose(0, 1)).transpose(0, 1)


def task(n: int, length: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random bits x (n, length, 1), and the parity y (n, length) of every prefix: 1 if it has an odd number of ones."""
    bits = torch.rand(n, length, generator=torch.Generator().manual_seed(seed)) < 0.5
    return bits.to(torch.get_default_dtype()).unsqueeze(-1), bits.cumsum(1) % 2


def network(row: str) -> OneLayer:
    """The network of a row, untrained."""
    return OneLayer(partial(Recurrence, squash=SQUASH[row]), inputs=1)


def learning_rates() -> dict[str, float]:
    """By row, as they were chosen for the stored table."""
    return record.load("parity")["settings"]["chosen"]


def train(row: str, seed: int, *, lr: float | None = None) -> OneLayer:
    """The network of a row, trained on every prefix of strings of LENGTH bits; `lr` None means the one chosen."""
    lr = learning_rates()[row] if lr is None else lr
    data, make = task(STRINGS, LENGTH, seed), partial(network, row)
    return fit(make, data, lr=lr, loss=every_token, seed=seed, device="cpu", progress=False, **TRAINING).model


@torch.no_grad()
def share_right(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Share of strings whose own parity, that of the last prefix, is right."""
    x, y = data
    return (model(x)[:, -1].argmax(-1) == y[:, -1]).double().mean().item()


def evaluate(model: nn.Module, seed: int) -> dict[str, float]:
    """Share of strings that are right, at every length."""
    return {f"L = {length}": share_right(model, task(TESTED, length, 100 + seed)) for length in LENGTHS}


def tune(row: str) -> dict[str, float]:
    """Loss on held-out strings for every learning rate, the mean of three runs."""
    data = task(TESTED, LENGTH, 60)
    return record.tune(row, LEARNING_RATES, lambda lr, seed: loss(train(row, seed, lr=lr), data), TUNING_SEEDS)


def main() -> None:
    """Choose, measure all rows, print the table and store it."""
    tried = {row: tune(row) for row in ROWS}
    chosen = {row: float(min(found, key=found.get)) for row, found in tried.items()}
    rows = []
    for row in ROWS:
        found = []
        for seed in SEEDS:
            began = time.process_time()
            model = train(row, seed, lr=chosen[row])
            found.append({"seconds": time.process_time() - began} | evaluate(model, seed))
        columns = {key: [values[key] for values in found] for key in found[0]}
        parameters = sum(p.numel() for p in model.parameters())
        rows.append({"row": row, "parameters": parameters, "seeds": list(SEEDS), **columns})
        print(row, *(f"{key} {mean(v):.3f}±{spread(v):.3f}" for key, v in columns.items()), sep=" | ", flush=True)
    settings = {
        "data": f"random bits; {STRINGS} strings of {LENGTH} to train on, {TESTED} of each length to test",
        "network": "token-wise network, one recurrence of width 16, token-wise network",
        "optimiser": "Adam",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        f"loss on held-out strings of {LENGTH}, by learning rate, the mean of three runs": tried,
        "chosen": chosen,
        "seconds": "training alone, of one core; of the machine that made the table",
    }
    store("parity", title="The parity of a bit string", settings=settings, rows=rows)
