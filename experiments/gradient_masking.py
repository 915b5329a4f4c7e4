"""Gradient masking by the solver: one trained network, one attack, and only the attacker's gradient changes.

The network is an antisymmetric neural ODE on the digits (pixels / 16, in [0, 1]), trained through RK4 and deployed with
an adaptive method of small tolerance. The attacker sees the gradient of this very network by different roads: exact
ones, through a solver, and the continuous adjoint at tolerances that people use to save time. Whether an attack has
succeeded is always judged on the deployed network. (Huang et al. 2020, Adversarial robustness of stabilized neural ODEs
might be from obfuscated gradients, arXiv 2009.13145.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from helpers.attacks import pgd
from helpers.data import digits
from helpers.layers import AntisymmetricField, ODEBlock
from helpers.solvers import odeint
from helpers.training import accuracy, fit

from . import record
from .record import mean, spread, store

FEATURES, CLASSES, DAMPING = 64, 10, 0.1
HORIZONS, SEEDS, SAMPLES = (1.0, 5.0), (0, 1, 2), 200
TRAINING = {"epochs": 30, "batch_size": 64, "lr": 2e-3}
TRAINING_STEP, TIGHT, LOOSE = 0.25, 1e-5, 1e-1
DEPLOYED = {"method": "dopri5", "rtol": TIGHT, "atol": TIGHT}
ATTACK = {"eps": 1.0, "norm": "l2", "steps": 20, "loss": "ce"}
EULER_STEPS = (64, 16, 4, 1)
# a black box: the gradient of another network, which shares nothing with this one but the training digits
OUTSIDE = "another network's, a linear classifier"


class CoarseAdjoint(nn.Module):
    """The network with an accurate forward pass, and the adjoint equation in n Euler steps for a backward pass.

    From the end, n times: a ← a + h (∂f/∂x)ᵀ a, x ← x − h f, with h = T / n. One step is the whole depth at once.
    """

    def __init__(self, model: nn.Module, steps: int):
        super().__init__()
        (self.block, self.head), self.steps = model, steps

    def forward(self, x: Tensor) -> Tensor:
        """Scores, (n, 64) ↦ (n, 10)."""
        return self.head(_CoarseAdjoint.apply(x, self.block, self.steps))


class _CoarseAdjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, block, steps):
        ctx.block, ctx.steps = block, steps
        with torch.no_grad():
            end = block(x)
        ctx.save_for_backward(end)
        return end

    @staticmethod
    def backward(ctx, a):
        (x,), h = ctx.saved_tensors, ctx.block.horizon / ctx.steps
        for k in range(ctx.steps, 0, -1):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                slope = ctx.block.field(k * h, x)
            (pulled,) = torch.autograd.grad(slope, x, a)
            x, a = x - h * slope.detach(), a + h * pulled
        return a, None, None


class Solved(nn.Module):
    """The network with other settings of the solver, weights shared."""

    def __init__(self, model: nn.Module, **settings):
        super().__init__()
        self.block, self.head = model
        self.settings = settings

    def forward(self, x: Tensor) -> Tensor:
        """Scores, (n, 64) ↦ (n, 10)."""
        times = torch.tensor([0.0, self.block.horizon], dtype=torch.float64)
        return self.head(odeint(self.block.field, x, times, **self.settings)[-1])


def _adjoint(tolerance):
    return {"method": "dopri5", "rtol": tolerance, "atol": tolerance, "gradient": "adjoint"}


def _coarse(steps):
    return f"accurate forward, adjoint in {steps} Euler step{'s' if steps > 1 else ''}"


# the roads to a gradient, each from the deployed network
GRADIENTS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "exact, through the deployed solver": lambda model: model,
    "exact, through RK4": lambda model: Solved(model, method="rk4", options={"step_size": TRAINING_STEP}),
    "adjoint, tolerance 1e-5": lambda model: Solved(model, **_adjoint(TIGHT)),
    "adjoint, tolerance 1e-1": lambda model: Solved(model, **_adjoint(LOOSE)),
    **{_coarse(steps): partial(CoarseAdjoint, steps=steps) for steps in EULER_STEPS},
}


def network(horizon: float, **solver) -> nn.Module:
    """The classifier, not trained: (n, 64) ↦ (n, 10), an antisymmetric neural ODE and a linear layer."""
    block = ODEBlock(AntisymmetricField(FEATURES, DAMPING), horizon=horizon, **solver)
    return nn.Sequential(block, nn.Linear(FEATURES, CLASSES))


def train(horizon: float, seed: int) -> nn.Module:
    """The deployed network: trained through RK4, then solved by dopri5 with tolerance 1e-5."""
    made = partial(network, horizon, method="rk4", options={"step_size": TRAINING_STEP})
    trained = fit(made, digits(seed).train, seed=seed, device="cpu", progress=False, **TRAINING).model
    deployed = network(horizon, **DEPLOYED)
    deployed.load_state_dict(trained.state_dict())
    return deployed.eval()


def load_network() -> nn.Module:
    """The network of the longest horizon and the first seed, trained and deployed, as `main` has stored it."""
    return record.load_network("masked", network(HORIZONS[-1], **DEPLOYED))


def measure(seed: int, model: nn.Module) -> dict[str, float]:
    """Attack a network on 200 test digits by every gradient.

    Args:
        seed: Of the network, and of the split into training and test digits.
        model: As `train` makes it.

    Returns:
        Accuracy of the deployed network: "clean", and under attack by the name of the gradient; with `forward
        accuracy at tolerance 1e-1`, which tells whether the loosest attacker still differentiates the same function.
        OUTSIDE is the attack by a classifier that knows nothing of the network.
    """
    began = time.perf_counter()
    x, y = (part[:SAMPLES] for part in digits(seed).test)
    found = {"clean": accuracy(model, (x, y))}
    found["forward accuracy at tolerance 1e-1"] = accuracy(Solved(model, **_adjoint(LOOSE)), (x, y))
    for name, road in GRADIENTS.items():
        found[name] = accuracy(model, (pgd(model, x, y, **ATTACK, gradient_model=road(model)), y))
    other = fit(lambda: nn.Linear(FEATURES, CLASSES), digits(seed).train, seed=seed, progress=False, **TRAINING).model
    found[OUTSIDE] = accuracy(model, (pgd(model, x, y, **ATTACK, gradient_model=other), y))
    return found | {"seconds": time.perf_counter() - began}


def main() -> None:
    """Measure all rows, print the table and store it."""
    rows = []
    for horizon in HORIZONS:
        models = [train(horizon, seed) for seed in SEEDS]
        found = [measure(seed, model) for seed, model in zip(SEEDS, models, strict=True)]
        columns = {key: [values[key] for values in found] for key in found[0]}
        rows.append({"row": f"T = {horizon:g}", "seeds": list(SEEDS), **columns})
        if horizon == HORIZONS[-1]:
            record.store_network("masked", models[0])
        print(horizon, *(f"{key} {mean(v):.3f}±{spread(v):.3f}" for key, v in columns.items()), sep=" | ", flush=True)
    settings = {
        "data": f"scikit-learn digits, 1437 train, {SAMPLES} of the 360 test, split by the seed; x = pixel / 16",
        "field": "tanh((W − Wᵀ − γ I) x + b), tied",
        "features": FEATURES,
        "damping": DAMPING,
        "trained through": f"rk4, step {TRAINING_STEP}",
        "deployed with": f"dopri5, rtol = atol = {TIGHT:g}",
        "optimiser": "Adam",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        "attack": {**ATTACK, "restarts": 1, "step": "eps / 4", "box": None},
        "seconds": "attacks, one thread; of the machine that made the table, not compared",
    }
    store("gradient_masking", title="Robust accuracy against the attacker's gradient", settings=settings, rows=rows)
