"""Convolutional networks as heat and as waves, beside a residual network and a linear classifier, at equal training.

All networks: digits, pixels / 16 in [0, 1], 8 × 8; an opening convolution to 8 channels, three untied blocks of one
kind with h = 0.5 and tanh, the mean over 2 × 2 pixels, a linear classifier. Nothing was tuned: one set of numbers for
all.

A row has the accuracy, the accuracy with noise on the pixels, by what the blocks stretch small random perturbations at
most (sampled, a lower bound), and the largest ratio of a block's step to its limit after training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from helpers.data import digits
from helpers.layers import HamiltonianConvBlock, HyperbolicBlock, ParabolicBlock
from helpers.training import accuracy, fit

from .record import mean, spread, store

CHANNELS, DEPTH, STEP, SIZE = 8, 3, 0.5, (8, 8)
SEEDS = (0, 1, 2)
TRAINING = {"epochs": 15, "batch_size": 64, "lr": 5e-3}
NOISE = 0.3


class ResidualConv(nn.Module):
    """x + h K₂ tanh(K₁ x + b): a residual block without structure, with twice the weights of a parabolic one."""

    def __init__(self, channels: int, step: float):
        super().__init__()
        self.step = step
        self.inner = nn.Conv2d(channels, channels, 3, padding=1)
        self.outer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) ↦ the same."""
        return torch.add(x, self.outer(torch.tanh(self.inner(x))), alpha=self.step)


class AtRest(nn.Module):
    """x ↦ (x, x): a wave that starts without velocity."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Current(nn.Module):
    """(previous, current) ↦ current."""

    def forward(self, state: tuple[Tensor, Tensor]) -> Tensor:
        return state[1]


def network(block: Callable[..., nn.Module]) -> nn.Module:
    """(n, 64) ↦ (n, 10), with three blocks of a kind."""
    blocks = [block(CHANNELS, step=STEP) for _ in range(DEPTH)]
    if block is HyperbolicBlock:
        blocks = [AtRest(), *blocks, Current()]
    opening = nn.Unflatten(1, (1, *SIZE)), nn.Conv2d(1, CHANNELS, 3, padding=1), nn.Tanh()
    return nn.Sequential(*opening, nn.Sequential(*blocks), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * CHANNELS, 10))


ROWS: dict[str, Callable[[], nn.Module]] = {
    "linear classifier": partial(nn.Linear, 64, 10),
    "ResNet": partial(network, ResidualConv),
    "parabolic": partial(network, ParabolicBlock),
    "parabolic, step within its limit": partial(network, partial(ParabolicBlock, limit="shorten")),
    "hyperbolic": partial(network, HyperbolicBlock),
    "Hamiltonian": partial(network, HamiltonianConvBlock),
}


@torch.no_grad()
def feature_gain(model: nn.Module, x: Tensor, size: float = 1e-3) -> float:
    """Largest ratio of what the blocks make of a small random perturbation of their input to that perturbation."""
    features, blocks = model[:3](x), model[3]
    moved = size * torch.randn(features.shape, generator=torch.Generator().manual_seed(0)).to(features)
    after = (blocks(features + moved) - blocks(features)).flatten(1).norm(dim=1)
    return (after / moved.flatten(1).norm(dim=1)).max().item()


def over_limit(model: nn.Module) -> float:
    """The largest step / limit of the blocks: above 1 the theorem says nothing about the network any more."""
    return max(block.step / block.step_limit(SIZE) for block in model[3] if hasattr(block, "step_limit"))


def measure(row: str, seed: int) -> dict[str, float]:
    """Train one network; what the table says of it."""
    split, began = digits(seed), time.perf_counter()
    model = fit(ROWS[row], split.train, seed=seed, device="cpu", progress=False, **TRAINING).model
    found = {"seconds": time.perf_counter() - began}
    x, y = split.test
    noisy = x + NOISE * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)
    found |= {"clean": accuracy(model, (x, y)), "noise": accuracy(model, (noisy, y))}
    if row != "linear classifier":
        found["gain"] = feature_gain(model, x)
    if row not in ("linear classifier", "ResNet"):
        found["step over limit"] = over_limit(model)
    return found


def main() -> None:
    """Measure all rows, print the table and store it."""
    rows = []
    for row, make in ROWS.items():
        found = [measure(row, seed) for seed in SEEDS]
        columns = {key: [values[key] for values in found] for key in found[0]}
        weights = sum(parameter.numel() for parameter in make().parameters())
        rows.append({"row": row, "parameters": weights, "seeds": list(SEEDS), **columns})
        print(row, *(f"{key} {mean(v):.3f}±{spread(v):.3f}" for key, v in columns.items()), sep=" | ", flush=True)
    settings = {
        "data": "scikit-learn digits, 1437 train, 360 test, stratified, split by the seed; x = pixel / 16 in [0, 1]",
        "network": f"{CHANNELS} channels, {DEPTH} untied blocks, h = {STEP:g}, tanh, zeros outside the image",
        "optimiser": "Adam",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        "noise": f"normal, {NOISE:g}, on the test pixels",
        "gain": "sampled, one random perturbation of each test image",
        "seconds": "training alone, one thread; of the machine that made the table, not compared",
    }
    store("pde_cnns", title="Convolutional networks as heat and as waves", settings=settings, rows=rows)
