"""Noise in the network against noise on its inputs, at equal training: which of them withstands an attack?

All rows: digits, pixels / 16 in [0, 1]; an encoder 64 → 32, eight tied blocks of width 32 over the horizon 1, a
classifier 32 → 10; eight evaluations of the field; the same optimiser, batches and epochs. The rows differ in where
noise enters during training. Attacks are made with the noise off and exact gradients, and on ensembles of noisy passes
with gradients of one pass, averaged over ten, or of the network without its noise.

How much noise is a choice, and it is made on training digits that were held out (`choices`): the test digits have no
part in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from helpers.attacks import pgd
from helpers.data import digits
from helpers.layers import MLPField, ResidualStack, SDEBlock, StochasticDepth
from helpers.training import accuracy, fit

from .record import mean, spread, store

FEATURES, WIDTH, CLASSES, DEPTH = 64, 32, 10, 8
SEEDS = (0, 1, 2, 3, 4)
TRAINING = {"epochs": 40, "batch_size": 128, "lr": 5e-3}
ATTACK = {"eps": 0.5, "norm": "l2", "steps": 20, "loss": ("ce", "margin")}
PASSES, DRAWS, FEW = 20, 10, 120  # of an ensemble; of an averaged gradient; images that an ensemble is attacked on
HELD_OUT, TRIED_ON = 287, (0, 1)
# what was tried on held-out digits, and what the rows below take from it
ADDITIVE, INPUT = (0.5, 1.0, 2.0, 4.0), (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
SIGMA, LITTLE, ENOUGH = 2.0, 0.2, 0.4


class InputNoise(nn.Module):
    """x + σ ξ in train mode, ξ standard normal: the augmentation that noise in a network has to beat."""

    def __init__(self, sigma: float):
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        """Shaped like x."""
        return x + self.sigma * torch.randn(x.shape).to(x) if self.training else x


def classifier(blocks: Callable[[], nn.Module], sigma: float = 0.0) -> nn.Module:
    """(n, 64) ↦ (n, 10): noise on the input, encoder, blocks, classifier."""
    return nn.Sequential(InputNoise(sigma), nn.Linear(FEATURES, WIDTH), blocks(), nn.Linear(WIDTH, CLASSES))


def residual() -> nn.Module:
    """Eight tied residual blocks."""
    return ResidualStack(WIDTH, DEPTH)


def dropped(per: str) -> nn.Module:
    """The same with branches, or their entries, left out at random, half of them."""
    return StochasticDepth(WIDTH, DEPTH, survival=0.5, per=per, horizon=1.0, tied=True)


def additive(sigma: float) -> nn.Module:
    """dX = f dt + σ dW."""
    return SDEBlock(MLPField(WIDTH), sigma, steps=DEPTH)


def multiplicative() -> nn.Module:
    """dX = f dt + f dW: what dropout is a scheme for, without the step that makes it fade."""
    field = MLPField(WIDTH)
    return SDEBlock(field, field, steps=DEPTH)


ROWS: dict[str, Callable[[], nn.Module]] = {
    "ResNet": partial(classifier, residual),
    "dropout on the branch": partial(classifier, partial(dropped, "feature")),
    "stochastic depth": partial(classifier, partial(dropped, "sample")),
    "SDE, additive": partial(classifier, partial(additive, SIGMA)),
    "SDE, g = f": partial(classifier, multiplicative),
    f"ResNet + input noise {LITTLE:g}": partial(classifier, residual, LITTLE),
    f"SDE, g = f + input noise {LITTLE:g}": partial(classifier, multiplicative, LITTLE),
    f"ResNet + input noise {ENOUGH:g}": partial(classifier, residual, ENOUGH),
    f"SDE, g = f + input noise {ENOUGH:g}": partial(classifier, multiplicative, ENOUGH),
}
ENSEMBLES = ("stochastic depth", "SDE, additive", "SDE, g = f")


def train(make: Callable[[], nn.Module], data: tuple[Tensor, Tensor], seed: int) -> nn.Module:
    """The classifier, trained, its weights fixed."""
    return fit(make, data, seed=seed, device="cpu", progress=False, **TRAINING).model.requires_grad_(False)


def measure(row: str, seed: int) -> tuple[dict[str, float], nn.Module]:
    """Train one network: accuracy on the test digits, and under attack, noise off; and the network."""
    began = time.perf_counter()
    model = train(ROWS[row], digits(seed).train, seed)
    found = {"seconds": time.perf_counter() - began}
    x, y = digits(seed).test
    found["clean"] = accuracy(model, (x, y))
    found["attacked"] = accuracy(model, (pgd(model, x, y, **ATTACK), y))
    return found, model


class Ensemble(nn.Module):
    """The mean probability over some passes, the noise left on: log of it, as scores."""

    def __init__(self, model: nn.Module, passes: int):
        super().__init__()
        self.model, self.passes = model, passes

    def forward(self, x: Tensor) -> Tensor:
        """(n, 64) ↦ (n, 10)."""
        with noisy(self.model):
            return torch.stack([self.model(x).softmax(-1) for _ in range(self.passes)]).mean(0).log()


@contextmanager
def noisy(model: nn.Module) -> Iterator[None]:
    """The noise of the blocks on, that of the inputs off, as it was before at the end."""
    _, _, blocks, _ = model
    was = blocks.training
    blocks.train()
    try:
        yield
    finally:
        blocks.train(was)


def measure_ensemble(model: nn.Module, seed: int) -> dict[str, float]:
    """Accuracy of an ensemble of noisy passes on the first test digits, attacked by three gradients."""
    x, y = (part[:FEW] for part in digits(seed).test)
    ensemble = Ensemble(model.eval(), PASSES)
    roads = {
        "one pass": (Ensemble(model, 1), 1),
        "averaged over ten": (Ensemble(model, 1), DRAWS),
        "noise off": (model, 1),
    }
    torch.manual_seed(seed)
    found = {"clean": accuracy(ensemble, (x, y))}
    settings = ATTACK | {"steps": 10, "loss": "margin"}
    for name, (source, samples) in roads.items():
        # success is judged on one set of noisy passes; `samples` is how many gradients are averaged
        moved = pgd(source, x, y, samples=samples, **settings)
        found[name] = accuracy(ensemble, (moved, y))
    return found


def choices() -> dict[str, dict[str, list[float]]]:
    """Clean accuracy and that under attack, on training digits held out of training, for each amount that was tried.

    The rows take the amount that keeps most under attack of those that keep the clean accuracy without noise, up to two
    points; beside the best noise on the inputs there is one that is too little.
    """
    tried = {
        "additive noise": {sigma: partial(classifier, partial(additive, sigma)) for sigma in ADDITIVE},
        "input noise": {sigma: partial(classifier, residual, sigma) for sigma in INPUT},
    }
    found: dict[str, dict[str, list[float]]] = {}
    for what, makes in tried.items():
        for sigma, make in makes.items():
            clean, attacked = [], []
            for seed in TRIED_ON:
                x, y = digits(seed).train
                model = train(make, (x[HELD_OUT:], y[HELD_OUT:]), seed)
                aside = x[:HELD_OUT], y[:HELD_OUT]
                clean.append(accuracy(model, aside))
                attacked.append(accuracy(model, (pgd(model, *aside, **ATTACK), aside[1])))
            found.setdefault(what, {})[f"{sigma:g}"] = [round(mean(clean), 4), round(mean(attacked), 4)]
    return found


def main() -> None:
    """Measure all rows, print the table and store it."""
    rows = []
    for row in ROWS:
        found = []
        for seed in SEEDS:
            values, model = measure(row, seed)
            if row in ENSEMBLES:
                values |= {f"ensemble, {key}": value for key, value in measure_ensemble(model, seed).items()}
            found.append(values)
        columns = {key: [values[key] for values in found] for key in found[0]}
        weights = sum(parameter.numel() for parameter in ROWS[row]().parameters())
        rows.append({"row": row, "parameters": weights, "nfe": DEPTH, "seeds": list(SEEDS), **columns})
        print(row, *(f"{key} {mean(v):.3f}±{spread(v):.3f}" for key, v in columns.items()), sep=" | ", flush=True)
    settings = {
        "data": "scikit-learn digits, 1437 train, 360 test, stratified, split by the seed; x = pixel / 16 in [0, 1]",
        "width": WIDTH,
        "optimiser": "Adam",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        "attack": {**ATTACK, "restarts": 1, "step": "eps / 4", "box": None, "noise": "off"},
        "ensembles": f"{PASSES} passes, the first {FEW} test digits, 10 steps on the margin",
        "clean and attacked on training digits held out, by the amount of noise": choices(),
        "seconds": "training alone, one thread; of the machine that made the table, not compared",
    }
    store("noise", title="Noise in the network and noise on its inputs", settings=settings, rows=rows)
