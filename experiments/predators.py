"""Half of a law is known: how prey and predators meet is to be found, with a network and without one.

Lotka–Volterra's cycle, 61 samples in a little more than one turn, 1 % noise. A universal differential equation learns
the unknown part by multiple shooting, and sparse regression (STLSQ) on ten candidate terms reads it off. Beside it a
neural ODE that knows nothing; and the regression without a network, on differences of the data or on their integrals.
Sparser samples follow, where also the coefficients themselves are fitted to the trajectory (Gauss–Newton).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares
from torch import Tensor, nn

from helpers.data import LOTKA_VOLTERRA, lotka_volterra
from helpers.layers import UDE, MLPField, MultipleShooting, shooting_loss, shooting_windows
from helpers.solvers import SolverError, odeint
from helpers.training import fit

from . import record
from .record import store

SEEDS, SPARSE_SEEDS = (0, 1, 2, 3, 4), (0, 1, 2)
NOISE, THRESHOLD = 0.01, 0.2
# spacing → samples, windows of how many, rk4 steps from sample to sample
PLANS = {0.1: (61, 6, 1), 0.3: (21, 5, 3), 0.5: (25, 4, 5)}
EPOCHS, HIDDEN, LR = 600, 32, 2e-2  # half as many epochs follow at a tenth of the rate
TERMS = ("x", "y", "xy", "x²", "y²")
XY = 2  # the place of the true term
X, Y = "xy in x'", "xy in y'"  # the table's columns of its coefficients
AHEAD = 0.1 * torch.arange(201, dtype=torch.float64)  # to t = 20; the data end at 6
NETWORKS = ("UDE", "symbolic, from the UDE", "neural ODE")
WAYS = ("STLSQ on differences", "STLSQ on integrals")
GAUSS_NEWTON = "Gauss–Newton"
DENSE = (*NETWORKS, *WAYS)
SPARSE_WAYS = (NETWORKS[1], *WAYS, GAUSS_NEWTON)
SPARSE = tuple(f"{way}, spacing {gap:g}" for gap in (0.3, 0.5) for way in SPARSE_WAYS)
ROWS = (*DENSE, *SPARSE)


def known(x: Tensor) -> Tensor:
    """What is known: prey grow, predators die. (..., 2) ↦ (..., 2)."""
    return x * torch.tensor([LOTKA_VOLTERRA[0], -LOTKA_VOLTERRA[3]]).to(x)


def library(x: Tensor) -> Tensor:
    """The candidate terms x, y, xy, x², y² of states (..., 2): (..., 5)."""
    a, b = x.unbind(-1)
    return torch.stack([a, b, a * b, a * a, b * b], dim=-1)


def stlsq(columns: Tensor, target: Tensor, threshold: float = THRESHOLD, rounds: int = 10) -> Tensor:
    """Sequentially thresholded least squares (Brunton, Proctor and Kutz 2016, PNAS 113, 3932–3937).

    Fit, drop what is smaller than the threshold, fit what is left, until nothing changes.

    Args:
        columns: Candidate terms, (n, terms).
        target: (n, outputs), each output by itself.

    Returns:
        Coefficients (terms, outputs).
    """
    keep = torch.ones(columns.shape[1], target.shape[1], dtype=torch.bool)
    for _ in range(rounds):
        found = torch.zeros(keep.shape, dtype=target.dtype)
        for j in range(target.shape[1]):
            if keep[:, j].any():
                found[keep[:, j], j] = torch.linalg.lstsq(columns[:, keep[:, j]], target[:, j : j + 1]).solution[:, 0]
        if torch.equal(new := found.abs() >= threshold, keep):
            break
        keep = new
    return torch.where(keep, found, 0.0)


def samples(seed: int, spacing: float = 0.1) -> Tensor:
    """The noisy samples of a spacing, (n, 2)."""
    return lotka_volterra(spacing * torch.arange(PLANS[spacing][0], dtype=torch.float64), noise=NOISE, seed=seed)


def train(part, seed: int, spacing: float = 0.1) -> MultipleShooting:
    """A network for what `part` leaves unknown (None: for everything), by multiple shooting."""
    _, length, steps = PLANS[spacing]
    windows = shooting_windows(samples(seed, spacing), length)
    build = lambda: MultipleShooting(UDE(part, MLPField(2, HIDDEN)), windows[:, 0], spacing, steps)  # noqa: E731
    run = partial(fit, train=(windows, windows), loss=shooting_loss, seed=seed, device="cpu", progress=False)
    return run(run(build, epochs=EPOCHS, lr=LR).model, epochs=EPOCHS // 2, lr=LR / 10).model


@torch.no_grad()
def read_off(model: MultipleShooting, spacing: float = 0.1) -> Tensor:
    """The network's part along the fitted trajectory as a sparse combination of the terms, (5, 2)."""
    x = model(torch.empty(len(model.starts), PLANS[spacing][1], 2)).flatten(0, 1)
    return stlsq(library(x), model.field.unknown(0.0, x))


def from_differences(x: Tensor, spacing: float = 0.1) -> Tensor:
    """STLSQ on central differences of the samples."""
    return stlsq(library(x[1:-1]), (x[2:] - x[:-2]) / (2 * spacing) - known(x[1:-1]))


def from_integrals(x: Tensor, spacing: float = 0.1) -> Tensor:
    """STLSQ on x(t + 1) − x(t) = ∫ known + terms · coefficients, integrals by the trapezoidal rule."""
    span = max(1, round(1 / spacing))

    def gained(y):
        area = torch.cat([torch.zeros(1, y.shape[1]).to(y), spacing * (y[1:] + y[:-1]).cumsum(0) / 2])
        return area[span:] - area[:-span]

    return stlsq(gained(library(x)), x[span:] - x[:-span] - gained(known(x)))


def gauss_newton(x: Tensor, spacing: float) -> Tensor:
    """Ten coefficients and the start by least squares between solution and samples, from −½, ½ for xy and 0 else."""
    t, guess, x = spacing * np.arange(len(x)), np.zeros((5, 2)), x.numpy()
    guess[XY] = -0.5, 0.5
    a, d = LOTKA_VOLTERRA[0], LOTKA_VOLTERRA[3]

    def field(t, z, c):
        return np.array([a * z[0], -d * z[1]]) + np.array([z[0], z[1], z[0] * z[1], z[0] ** 2, z[1] ** 2]) @ c

    def misfit(unknowns):
        c = (unknowns[:10].reshape(5, 2),)
        run = solve_ivp(field, (0, t[-1]), unknowns[10:], t_eval=t, args=c, rtol=1e-7, atol=1e-9)
        return (run.y.T - x).ravel() if run.y.shape == x.T.shape else np.full(x.size, 1e3)

    found = least_squares(misfit, np.concatenate([guess.ravel(), x[0]]), max_nfev=60).x[:10].reshape(5, 2)
    return torch.from_numpy(np.where(np.abs(found) < THRESHOLD, 0, found))


def symbolic(coefficients: Tensor):
    """The field known + terms · coefficients."""
    return lambda t, x: known(x) + library(x) @ coefficients


@torch.no_grad()
def ahead(field, start: Tensor) -> float:
    """Root mean square error on t in [6, 20], in units of each species' mean, at most 10."""
    truth = lotka_volterra(AHEAD)
    try:
        x = odeint(field, start, AHEAD, method="rk4", options={"step_size": 0.05})
    except SolverError:
        return 10.0
    return ((x - truth)[60:] / truth.mean(0)).square().mean().sqrt().clamp(max=10.0).item()


def told(coefficients: Tensor) -> dict[str, float]:
    """The coefficients of xy, and whether it is the only term in both equations (1 or 0)."""
    alone = torch.zeros(5, 2, dtype=torch.bool)
    alone[XY] = True
    exact = float(torch.equal(coefficients != 0, alone))
    return {X: coefficients[XY, 0].item(), Y: coefficients[XY, 1].item(), "only xy": exact}


def regression(way: str, seed: int, spacing: float = 0.1) -> Tensor:
    """Coefficients of a way that trains no network."""
    ways = dict(zip((*WAYS, GAUSS_NEWTON), (from_differences, from_integrals, gauss_newton), strict=True))
    return ways[way](samples(seed, spacing), spacing)


def main() -> None:
    """Measure all rows, print the table and store it, with the UDE of the first seed."""
    models = {seed: train(known, seed) for seed in SEEDS}
    record.store_network("predators", models[0].field.unknown)
    black = {seed: train(None, seed) for seed in SEEDS}
    first = {seed: model.starts[0].detach() for seed, model in models.items()}

    def dense(row, seed):
        if row == "UDE":
            return {"ahead": ahead(models[seed].field, first[seed])}
        if row == "neural ODE":
            return {"ahead": ahead(black[seed].field, black[seed].starts[0].detach())}
        found = read_off(models[seed]) if row in NETWORKS else regression(row, seed)
        start = first[seed] if row in NETWORKS else samples(seed)[0]
        return told(found) | {"ahead": ahead(symbolic(found), start)}

    def sparse(way, spacing, seed):
        if way in NETWORKS:
            return told(read_off(train(known, seed, spacing), spacing))
        return told(regression(way, seed, spacing))

    rows = [record.measured(row, SEEDS, partial(dense, row)) for row in DENSE]
    for row in SPARSE:
        way, spacing = row.split(", spacing ")
        rows.append(record.measured(row, SPARSE_SEEDS, partial(sparse, way, float(spacing))))
    settings = {
        "data": f"Lotka–Volterra {LOTKA_VOLTERRA}, noise {NOISE:g} of each species' mean",
        "samples": {f"spacing {spacing:g}": plan[0] for spacing, plan in PLANS.items()},
        "networks": f"one hidden layer of {HIDDEN}, multiple shooting with free starts",
        "optimiser": "Adam",
        "epochs": f"{EPOCHS} at {LR:g}, then {EPOCHS // 2} at a tenth",
        "terms": list(TERMS),
        "threshold": THRESHOLD,
        "ahead": "root mean square error on t from 6 to 20 in units of the means, at most 10",
        "dtype": str(torch.get_default_dtype()),
        "seconds": "of the processor, one thread; those of the networks' training are not in the first three rows",
    }
    store("predators", title="Half of a law is known", settings=settings, rows=rows)


def load_network() -> nn.Module:
    """The stored network of the first seed for the unknown part."""
    return record.load_network("predators", MLPField(2, HIDDEN))
