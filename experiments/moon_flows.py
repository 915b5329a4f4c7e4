"""Flows to the moons: how few steps they need, how likely they hold unseen data, and what maximum likelihood cheats on.

Two flows by flow matching, noise paired with data at random or by optimal transport in each batch; flows trained by
maximum likelihood through few steps of rk4; a mixture of Gaussians and a kernel density beside them. The moons are
simulated, so that their own density is known. The learning rates of flow matching (by the mean of three runs), the
number of Gaussians and the width of the kernel were chosen on other samples than those of the test.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from torch import Tensor, nn

from helpers.data import toy
from helpers.layers import CNF, FlowMatching, TimeMLP, generate, squared_norm, straightness
from helpers.metrics import sliced_wasserstein
from helpers.training import fit

from . import record
from .record import store

SEEDS = (0, 1, 2, 3, 4)
POINTS = 2048  # of a training sample (seeds 10, 11, …), a test sample (20, …), a fresh one (30, …) and noise (40, …)
NOISE = 0.08
CENTRE, SCALE = torch.tensor([0.5, 0.25]), torch.tensor([0.87, 0.5])  # mean and standard deviation of the law
COUPLINGS = {"paired at random": "independent", "paired by optimal transport": "ot"}
NFES, SEEN_NFES = (1, 2, 4, 8, 16, 50), (1, 4, 50)
# row → steps of rk4 in training, epochs at the full learning rate, and that rate: a choice by the likelihood that the
# solver of the training reports would take the largest in every row, for the reason that the table shows
LIKELIHOOD = {
    **{f"maximum likelihood, rk4 × {n}, rate {lr:g}": (n, 12, lr) for n in (2, 4, 8) for lr in (3e-3, 1e-2)},
    **{f"maximum likelihood, rk4 × 8, rate {lr:g}, longer": (8, 54, lr) for lr in (3e-3, 1e-2)},
}
FINE = 40  # steps of rk4 that a likelihood is looked at again with
LONG_SEEDS = (0, 1, 2)
TRAINING = {"batch_size": 128}
EPOCHS = 60  # of flow matching, and a quarter as many at a tenth of the rate; maximum likelihood: a third
LEARNING_RATES = (1e-2, 3e-2, 0.1)
TUNING_SEEDS = (50, 51, 52)
GAUSSIANS, WIDTHS = (4, 8, 12, 20, 30), (0.04, 0.06, 0.08, 0.1, 0.12)
BASELINES = ("the moons themselves", "mixture of Gaussians", "kernel density", "one Gaussian")
STORED = {"moons_random": "paired at random", "moons_ot": "paired by optimal transport"}


def moons(n: int, seed: int) -> Tensor:
    """Moons (n, 2) with mean 0 and standard deviation 1 in either coordinate."""
    return (toy.moons(n, noise=NOISE, seed=seed)[0] - CENTRE) / SCALE


def noise(seed: int, n: int = POINTS) -> Tensor:
    """Standard normal points (n, 2), the same for all that are compared."""
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(40 + seed))


def log_density(x: Tensor, nodes: int = 400) -> Tensor:
    """The moons' own log density in nats, (n, 2) ↦ (n,), by the midpoint rule over the angle."""
    angle = (torch.arange(nodes) + 0.5) * math.pi / nodes
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    arcs = torch.cat([upper, torch.tensor([1.0, 0.5]) - upper])
    parts = (x * SCALE + CENTRE).split(512)  # not all distances at once
    terms = [(-(part[:, None] - arcs).square().sum(-1) / (2 * NOISE**2)).logsumexp(1) for part in parts]
    return torch.cat(terms) - math.log(2 * nodes) - math.log(2 * math.pi * NOISE**2) + SCALE.log().sum()


@torch.no_grad()
def nll(log_prob, x: Tensor) -> float:
    """Mean negative log-likelihood in nats a point."""
    return -torch.cat([log_prob(part) for part in x.split(1024)]).mean().item()


def off_the_data(samples: Tensor, x: Tensor) -> float:
    """Share of samples where the moons' density is below that of 99 % of the data x."""
    return (log_density(samples) < log_density(x).quantile(0.01)).double().mean().item()


def in_two_rates(build, x: Tensor, lr: float, seed: int, epochs: int, more: int, loss) -> nn.Module:
    """A model trained at a learning rate, then for some more epochs at a tenth of it."""
    run = partial(fit, train=(x, x), loss=loss, device="cpu", progress=False, **TRAINING)
    model = run(build, epochs=epochs, lr=lr, seed=seed).model
    return run(model, epochs=more, lr=lr / 10, seed=seed + 100).model


def flow() -> TimeMLP:
    """The velocity of flow matching, untrained."""
    return TimeMLP(2, hidden=64, depth=3)


def train_flow(row: str, seed: int, *, lr: float | None = None) -> TimeMLP:
    """A velocity by flow matching; `lr` None means the one chosen for the stored table."""
    lr = record.load("moon_flows")["settings"]["chosen"][row] if lr is None else lr
    build = lambda: FlowMatching(flow(), COUPLINGS[row])  # noqa: E731
    return in_two_rates(build, moons(POINTS, 10 + seed), lr, seed, EPOCHS, EPOCHS // 4, squared_norm).velocity


def train_likelihood(row: str, seed: int) -> CNF:
    """A flow by maximum likelihood with the exact trace, through so many steps of rk4."""
    steps, epochs, lr = LIKELIHOOD[row]
    field = partial(TimeMLP, 2, hidden=32, depth=2, activation=nn.Tanh)
    build = lambda: CNF(field(), 2, method="rk4", options={"num_steps": steps})  # noqa: E731
    x = moons(POINTS, 10 + seed)
    return in_two_rates(build, x, lr, seed, epochs, epochs // 3, lambda log_p, _: -log_p.mean())


def likelihood(velocity: nn.Module, x: Tensor, steps: int) -> float:
    """Negative log-likelihood of x under the flow of a velocity, solved in so many steps of rk4."""
    return nll(CNF(velocity, 2, method="rk4", options={"num_steps": steps}).log_prob, x)


@torch.no_grad()
def evaluate(velocity: nn.Module, seed: int) -> dict[str, float]:
    """Distance of samples from the test sample by NFE, share off the data, straightness and likelihood."""
    x, z = moons(POINTS, 20 + seed), noise(seed)
    samples = {nfe: generate(velocity, z, nfe) for nfe in NFES}
    found = {f"distance, NFE {nfe}": sliced_wasserstein(y, x) for nfe, y in samples.items()}
    found |= {f"off the data, NFE {nfe}": off_the_data(samples[nfe], x) for nfe in SEEN_NFES}
    found["spread, NFE 1"] = samples[1].std(0).max().item()
    return found | {"straightness": straightness(velocity, z[:1024]), "nll": likelihood(velocity, x, FINE)}


def evaluate_likelihood(cnf: CNF, seed: int) -> dict[str, float]:
    """The likelihood that its own solver reports, and that of the same weights in FINE steps, and in twice as many."""
    x = moons(POINTS, 20 + seed)
    fine, finer = (likelihood(cnf.field, x, steps) for steps in (FINE, 2 * FINE))
    return {"reported": nll(cnf.log_prob, x), "nll": fine, "nll in twice the steps": finer}


def baseline(row: str, seed: int, settings: dict) -> dict[str, float]:
    """Likelihood of a rival that is no flow; `settings` are the chosen number of Gaussians and width."""
    x, test = moons(POINTS, 10 + seed), moons(POINTS, 20 + seed)
    if row == "the moons themselves":
        fresh = moons(POINTS, 30 + seed)
        return {"nll": nll(log_density, test), "distance": sliced_wasserstein(fresh, test)}
    return {"nll": rival(row, x, test, settings.get(row), seed)}


def rival(row: str, x: Tensor, test: Tensor, size: float | None, seed: int = 0) -> float:
    """Negative log-likelihood of `test` under a mixture of `size` Gaussians, or a kernel of that width."""
    if row == "kernel density":
        return -KernelDensity(bandwidth=size).fit(x.numpy()).score(test.numpy()) / len(test)
    number = 1 if row == "one Gaussian" else int(size)
    return -GaussianMixture(number, random_state=seed, n_init=2).fit(x.numpy()).score(test.numpy())


def choose() -> tuple[dict, dict]:
    """What was tried on samples that no other run sees, {row: {setting: nll}}, and the best of each."""
    x, held_out = moons(POINTS, 60), moons(POINTS, 61)
    tried = {
        "mixture of Gaussians": {f"{k}": rival("mixture of Gaussians", x, held_out, k) for k in GAUSSIANS},
        "kernel density": {f"{width:g}": rival("kernel density", x, held_out, width) for width in WIDTHS},
    }
    for row in COUPLINGS:
        score = lambda lr, seed, row=row: likelihood(train_flow(row, seed, lr=lr), held_out, FINE)  # noqa: E731
        tried[row] = record.tune(row, LEARNING_RATES, score, TUNING_SEEDS)
    return tried, {row: float(min(found, key=found.get)) for row, found in tried.items()}


def main() -> None:
    """Choose, measure all rows, print the table and store it, with the flows of the first seed."""
    tried, chosen = choose()
    rows = [record.measured(row, SEEDS, partial(baseline, row, settings=chosen)) for row in BASELINES]
    for row in COUPLINGS:
        rows.append(record.measured(row, SEEDS, lambda seed, row=row: _flow_row(row, seed, chosen[row])))
    for row, (_, epochs, _) in LIKELIHOOD.items():
        seeds = SEEDS if epochs == 12 else LONG_SEEDS
        rows.append(
            record.measured(row, seeds, lambda seed, row=row: evaluate_likelihood(train_likelihood(row, seed), seed))
        )
    settings = {
        "data": f"moons with noise {NOISE:g}, mean 0 and deviation 1; {POINTS} points to train on, {POINTS} to test",
        "flow matching": "3 hidden layers of 64; 960 steps, then 240 at a tenth of the learning rate",
        "maximum likelihood": "2 hidden layers of 32, exact trace; 192 + 64 steps, longer: 864 + 288",
        "optimiser": "Adam",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        "nll in nats on samples held out, by number of Gaussians, width or learning rate (mean of three runs)": tried,
        "chosen": chosen,
        "seconds": "of the processor, one thread, training and measuring; of the machine that made the table",
    }
    store("moon_flows", title="Flows to the moons", settings=settings, rows=rows)


def _flow_row(row: str, seed: int, lr: float) -> dict[str, float]:
    velocity = train_flow(row, seed, lr=lr)
    if seed == SEEDS[0]:
        record.store_network(next(name for name, kind in STORED.items() if kind == row), velocity)
    return evaluate(velocity, seed)


def load_network(name: str) -> TimeMLP:
    """The stored velocity of the first seed, "moons_random" or "moons_ot"."""
    return record.load_network(name, flow())
