"""Robustness of networks that are read as discretised differential equations, on the real 8 × 8 digits.

The first row is a linear classifier, trained alike, which a network has to beat. All other rows: state of 64 features =
the pixels / 16, in [0, 1]; a linear layer on the last state; eight evaluations of the field (or layers) from input to
output; the same number of weights to 0.2 %; the same optimiser, batches and epochs. Perturbations are in units of the
pixels' range [0, 1] and are not clipped to it.

Two rows compare alone what they differ in: Euler's steps against RK4's, of one tied field, at equal weights and
evaluations. Untied against tied differs in more than tying: at equal weights a tied field has a hidden layer of 257
units, an untied one is a single layer of 64.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn

from helpers.attacks import gaussian_noise, pgd
from helpers.data import digits
from helpers.layers import (
    AntisymmetricField,
    ConvexPotentialLayer,
    FunctionField,
    MLPField,
    ResidualStack,
    certified_accuracy,
)
from helpers.training import accuracy, fit

from . import record
from .record import mean, spread, store

FEATURES, CLASSES, EVALUATIONS, HORIZON = 64, 10, 8, 1.0
# a tied field with one hidden layer of this size has the weights of eight untied layers: 33 217 against 33 280
HIDDEN = 257
SEEDS = (0, 1, 2, 3, 4)
TRAINING = {"epochs": 40, "batch_size": 64, "lr": 2e-3}
NOISE, ADVERSARY = 0.3, {"eps": 1.0, "norm": "l2", "steps": 7}
# a sample counts as robust if it withstands all four runs: two starts, climbing two losses
CLIMB = {"steps": 40, "restarts": 2, "loss": ("ce", "margin")}
ATTACKS = {
    "pgd_l2_0.5": {"eps": 0.5, "norm": "l2"},
    "pgd_l2_1.0": {"eps": 1.0, "norm": "l2"},
    "pgd_linf_0.1": {"eps": 0.1, "norm": "linf"},
}
DAMPING, TEMPERATURE = 0.1, 8.0
# the width of the margin loss: the best of WIDTHS on digits held out of the training set, see `held_out`
RADIUS, WIDTHS, HELD_OUT = 1.0, (0.5, 1.0, 2.0), 287
# the networks of the attack lab: seed 0 of these rows
STORED = {
    "resnet": "ResNet, untied",
    "neural_ode": "neural ODE (tied, RK4)",
    "convex_potential": "convex potential, margin loss",
    "adversarial": "ResNet, untied, adversarial training",
}


# --- the networks ---------------------------------------------------------------------------------------


def _layer(features: int) -> nn.Module:
    """f(t, x) = tanh(W x + b)."""
    return FunctionField(nn.Sequential(nn.Linear(features, features), nn.Tanh()))


def _stack(**settings) -> Callable[[], nn.Module]:
    return partial(ResidualStack, FEATURES, horizon=HORIZON, **settings)


def _mlp() -> nn.Module:
    layers = [(nn.Linear(FEATURES, FEATURES), nn.Tanh()) for _ in range(EVALUATIONS)]
    return nn.Sequential(*(module for pair in layers for module in pair))


def _convex_potential() -> nn.Module:
    return nn.Sequential(*(ConvexPotentialLayer(FEATURES) for _ in range(EVALUATIONS)))


UNTIED = _stack(depth=EVALUATIONS, tied=False, field=_layer)
WIDE = partial(MLPField, hidden=HIDDEN)


# --- the losses -----------------------------------------------------------------------------------------


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The loss of most rows."""
    return nn.functional.cross_entropy(model(x), y)


def sharp_cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of the scores times 8: a 1-Lipschitz network cannot make its scores large by itself."""
    return nn.functional.cross_entropy(TEMPERATURE * model(x), y)


def margin(model: nn.Module, x: Tensor, y: Tensor, radius: float = RADIUS) -> Tensor:
    """max(0, radius − r), r the certified radius with a sign: negative where the sample is misclassified."""
    scores, rows = model(x), model[-1].weight
    leads = scores.gather(1, y[:, None]) - scores
    others = nn.functional.one_hot(y, CLASSES) == 0
    radii = leads[others].view(len(x), -1) / (rows[y][:, None] - rows).norm(dim=-1)[others].view(len(x), -1)
    return (radius - radii.amin(dim=1)).clamp_min(0).mean()


def adversarial(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Cross entropy at the perturbed inputs of an attack on the model as it is now (Madry et al., arXiv 1706.06083)."""
    return nn.functional.cross_entropy(model(pgd(model, x, y, loss="ce", **ADVERSARY)), y)


LINEAR = "linear classifier"
ROWS: dict[str, tuple[Callable[[], nn.Module], Callable[..., Tensor]]] = {
    LINEAR: (nn.Identity, cross_entropy),
    "MLP": (_mlp, cross_entropy),
    "ResNet, untied": (UNTIED, cross_entropy),
    "ResNet, tied (Euler)": (_stack(depth=EVALUATIONS, field=WIDE), cross_entropy),
    "neural ODE (tied, RK4)": (_stack(depth=EVALUATIONS // 4, method="rk4", field=WIDE), cross_entropy),
    "antisymmetric, untied": (
        _stack(depth=EVALUATIONS, tied=False, field=partial(AntisymmetricField, damping=DAMPING)),
        cross_entropy,
    ),
    "convex potential, cross entropy × 8": (_convex_potential, sharp_cross_entropy),
    "convex potential, margin loss": (_convex_potential, margin),
    "ResNet, untied, adversarial training": (UNTIED, adversarial),
}


# --- the measurement ------------------------------------------------------------------------------------


def network(row: str) -> nn.Module:
    """The classifier of a row, not trained: (n, 64) ↦ (n, 10)."""
    return nn.Sequential(ROWS[row][0](), nn.Linear(FEATURES, CLASSES))


class _WithInputs(nn.Module):
    """Hands the loss the model and its inputs in the place of scores: an attack needs both."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model, x


def train(row: str, seed: int, *, data: tuple[Tensor, Tensor] | None = None, loss: Callable | None = None) -> nn.Module:
    """The classifier of a row, trained: the seed fixes the split, the first weights and the batches.

    Args:
        row: A key of ROWS.
        seed: Of everything random.
        data: In place of all training digits.
        loss: In place of the row's.
    """
    loss = ROWS[row][1] if loss is None else loss
    history = fit(
        lambda: _WithInputs(network(row)),
        digits(seed).train if data is None else data,
        loss=lambda given, y: loss(*given, y),
        seed=seed,
        device="cpu",
        progress=False,
        **TRAINING,
    )
    return history.model.model


def measure(row: str, seed: int, substitute: nn.Module | None = None) -> tuple[dict[str, float], nn.Module]:
    """Train one network and attack it on the 360 test digits.

    Args:
        row: A key of ROWS.
        seed: Of everything random.
        substitute: Another network, whose gradients make the examples of one more attack.

    Returns:
        Accuracies by name, with the seconds of the training; and the network.
    """
    began = time.perf_counter()
    model = train(row, seed).requires_grad_(False)
    found = {"seconds": time.perf_counter() - began}
    x, y = digits(seed).test
    found["clean"] = accuracy(model, (x, y))
    found["noise_0.3"] = accuracy(model, (gaussian_noise(x, sigma=NOISE), y))
    for name, attack in ATTACKS.items():
        found[name] = accuracy(model, (pgd(model, x, y, **attack, **CLIMB), y))
    # the most common attack, alone: what it misses depends on the scale of the scores
    alone = CLIMB | {"loss": "ce"}
    found["pgd_l2_0.5_ce"] = accuracy(model, (pgd(model, x, y, **ATTACKS["pgd_l2_0.5"], **alone), y))
    if substitute is not None:
        there = pgd(substitute, x, y, **ATTACKS["pgd_l2_0.5"], **CLIMB)
        found["transfer_l2_0.5"] = accuracy(model, (there, y))
    if getattr(model[0], "tied", False):
        # the same weights with eight times the steps: does the network follow its differential equation?
        finer = copy.deepcopy(model)
        finer[0].depth *= 8
        found["clean_finer"] = accuracy(finer, (x, y))
    if row.startswith("convex") or row == LINEAR:
        for eps in (0.5, 1.0):
            found[f"certified_{eps}"] = certified_accuracy(model, x, y, eps=eps)
    return found, model


def held_out(seeds=(0, 1, 2)) -> dict[str, float]:
    """Accuracy under the attack of size 0.5, for each width of the margin loss, on digits held out of the training set.

    The widths were compared here: the test digits play no part in the choice.
    """
    found = {}
    for width in WIDTHS:
        scores = []
        for seed in seeds:
            x, y = digits(seed).train
            kept, aside = (x[HELD_OUT:], y[HELD_OUT:]), (x[:HELD_OUT], y[:HELD_OUT])
            loss = partial(margin, radius=width)
            model = train("convex potential, margin loss", seed, data=kept, loss=loss).requires_grad_(False)
            scores.append(accuracy(model, (pgd(model, *aside, **ATTACKS["pgd_l2_0.5"], **CLIMB), aside[1])))
        found[f"{width:g}"] = mean(scores)
    return found


# --- the attack lab's networks --------------------------------------------------------------------------


def load_network(name: str) -> nn.Module:
    """A trained network of the attack lab, in eval mode and torch's default dtype: a key of STORED.

    Raises:
        ValueError: There is no network of that name.
    """
    if name not in STORED:
        raise ValueError(f"name must be one of {', '.join(STORED)}; got {name!r}")
    return record.load_network(name, network(STORED[name]))


def main() -> None:
    """Measure all rows, print the table, store it and the attack lab's networks."""
    files = {row: name for name, row in STORED.items()}
    rows, substitute = [], cache(train)
    for row in ROWS:
        found = []
        for seed in SEEDS:
            # the substitute has seen the same digits; that of the MLP itself is the ResNet
            other = "ResNet, untied" if row == "MLP" else "MLP"
            values, model = measure(row, seed, substitute(other, seed))
            found.append(values)
            if seed == SEEDS[0] and row in files:
                record.store_network(files[row], model)
        columns = {key: [values[key] for values in found] for key in found[0]}
        weights = sum(parameter.numel() for parameter in network(row).parameters())
        nfe = 0 if row == LINEAR else EVALUATIONS
        rows.append({"row": row, "parameters": weights, "nfe": nfe, "seeds": list(SEEDS), **columns})
        print(row, *(f"{key} {mean(v):.3f}±{spread(v):.3f}" for key, v in columns.items()), sep=" | ", flush=True)
    settings = {
        "data": "scikit-learn digits, 1437 train, 360 test, stratified, split by the seed; x = pixel / 16 in [0, 1]",
        "features": FEATURES,
        "horizon": HORIZON,
        "hidden of the tied fields": HIDDEN,
        "damping": DAMPING,
        "optimiser": "Adam",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        "attack": {**CLIMB, "step": "eps / 4", "box": None, "gradients": "exact"},
        "adversarial training": ADVERSARY,
        "temperature": TEMPERATURE,
        "margin loss radius": RADIUS,
        "accuracy under attack by that radius, on training digits held out": held_out(),
        "clean_finer": "the same weights, eight times the steps over the same horizon",
        "transfer": "examples made on the MLP of the same seed, for the MLP on the untied ResNet",
        "seconds": "training alone, one thread; of the machine that made the table, not compared",
    }
    store("robustness", title="Robust accuracy on digits", settings=settings, rows=rows)
