"""A pendulum learnt from noisy velocities: a network of the velocity, networks of the energy, and least squares.

All see the same 400 states, are fitted to the same velocities in the same number of steps, and ride by the same rk4 of
step 0.1. Learning rates were chosen by the error on noisy velocities that no other run sees, the mean of three runs.
The last two rows learn a pendulum with friction, whose energy falls: there the energy is the wrong structure.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from helpers.data import pendulum, pendulum_energy, pendulum_exact, pendulum_field
from helpers.layers import HNN, MLPField
from helpers.solvers import NonFiniteStateError, odeint
from helpers.training import fit

from . import record
from .record import store

SEEDS = (0, 1, 2, 3, 4)
STATES, NOISE, FRICTION = 400, 0.1, 0.2
EPOCHS, MORE = 1000, 500  # at the learning rate, and at a tenth of it; all states in every step
LEARNING_RATES, TUNING_SEEDS = (1e-3, 2.5e-3, 5e-3, 1e-2, 2e-2), (50, 51, 52)
KINDS = {
    "MLP": partial(MLPField, 2, 64),
    "HNN": partial(HNN, 2, 64),
    "HNN, H = V + T": partial(HNN, 2, 64, separable=True),
}
CLASSICAL, DAMPED = "least squares, p' = −a sin q", ("MLP, with friction", "HNN, with friction")
ROWS = (*KINDS, CLASSICAL, *DAMPED)
STORED = {"pendulum_mlp": "MLP", "pendulum_hnn": "HNN", "pendulum_separable": "HNN, H = V + T"}
STARTS = torch.tensor([[0.5, 0.0], [1.0, 0.0], [1.5, 0.0], [2.0, 0.0]])
TIMES = torch.linspace(0, 100, 1001, dtype=torch.float64)
LOST = 10.0  # an energy error that says no more than "gone": a ride that leaves the data counts as this


class Velocity(nn.Module):
    """A field as a model for `fit`: x ↦ f(0, x)."""

    def __init__(self, field: nn.Module):
        super().__init__()
        self.field = field

    def forward(self, x: Tensor) -> Tensor:
        return self.field(0.0, x)


def damped(t: float | Tensor, x: Tensor) -> Tensor:
    """The pendulum with friction, p' = −sin q − 0.2 p."""
    return pendulum_field(t, x) - FRICTION * torch.tensor([0.0, 1.0]) * x


def task(seed: int, field=pendulum_field) -> tuple[Tensor, Tensor]:
    """States (STATES, 2) and noisy velocities of a field."""
    x, y = pendulum(STATES, noise=NOISE, seed=seed)
    return x, y - pendulum_field(0.0, x) + field(0.0, x)


def learning_rates() -> dict[str, float]:
    """By kind, as they were chosen for the stored table."""
    return record.load("pendulum")["settings"]["chosen"]


def train(kind: str, seed: int, *, lr: float | None = None, field=pendulum_field) -> nn.Module:
    """The learnt field of a kind; `lr` None means the one chosen."""
    lr = learning_rates()[kind] if lr is None else lr
    build = lambda: Velocity(KINDS[kind]())  # noqa: E731
    run = partial(fit, train=task(seed, field), loss=nn.functional.mse_loss, device="cpu", progress=False, seed=seed)
    return run(run(build, epochs=EPOCHS, lr=lr).model, epochs=MORE, lr=lr / 10).model.field


@torch.no_grad()
def field_error(field, truth=pendulum_field) -> float:
    """Mean squared error of the velocity on 4000 unseen states, without noise."""
    x, _ = pendulum(4000, seed=99)
    return (field(0.0, x) - truth(0.0, x)).square().mean().item()


@torch.no_grad()
def ride(field) -> Tensor:
    """The four orbits of a field by rk4 of step 0.1: (1001, 4, 2), infinite where one blows up."""
    try:
        return odeint(field, STARTS.to(torch.get_default_dtype()), TIMES, method="rk4", options={"grid": "t"})
    except NonFiniteStateError:
        return torch.full((len(TIMES), *STARTS.shape), torch.inf)


def energy_error(x: Tensor) -> float:
    """Mean over orbits, and over the last five units of time, of the change of the true energy, at most LOST."""
    energy = pendulum_energy(x)
    return (energy[-50:] - energy[0]).abs().nan_to_num(LOST).clamp(max=LOST).mean().item()


def position_error(x: Tensor, until: float) -> float:
    """Root mean square distance from the exact orbits (Jacobi) up to a time, at most LOST."""
    exact = torch.stack([pendulum_exact(q0, TIMES) for q0 in STARTS[:, 0].tolist()], 1)
    squares = (x - exact)[TIMES <= until].square().sum(-1).nan_to_num(LOST**2)
    return squares.mean().sqrt().clamp(max=LOST).item()


def evaluate(field) -> dict[str, float]:
    """Error of the field, of the energy along its orbits at t = 100, and of the state to t = 10 and 100."""
    x = ride(field)
    found = {"field": field_error(field), "energy": energy_error(x)}
    return found | {f"state to {until}": position_error(x, until) for until in (10, 100)}


def least_squares(seed: int):
    """The field p' = −a sin q with a from least squares, where the form of the law is known."""
    x, y = task(seed)
    a = -(x[:, 0].sin() @ y[:, 1]) / (x[:, 0].sin() @ x[:, 0].sin())
    return lambda t, x: torch.stack([x[..., 1], -a * x[..., 0].sin()], -1)


def tune(kind: str) -> dict[str, float]:
    """Mean squared error on noisy velocities held out, for every learning rate, the mean of three runs."""
    x, y = pendulum(STATES, noise=NOISE, seed=60)

    @torch.no_grad()
    def error(field):
        return (field(0.0, x) - y).square().mean().item()

    return record.tune(kind, LEARNING_RATES, lambda lr, seed: error(train(kind, seed, lr=lr)), TUNING_SEEDS)


def main() -> None:
    """Choose, measure all rows, print the table and store it, with the networks of the first seed."""
    tried = {kind: tune(kind) for kind in KINDS}
    chosen = {kind: float(min(found, key=found.get)) for kind, found in tried.items()}
    rows = []
    for kind in KINDS:
        rows.append(record.measured(kind, SEEDS, partial(_row, kind, chosen[kind])))
    rows.append(record.measured(CLASSICAL, SEEDS, lambda seed: evaluate(least_squares(seed))))
    for row in DAMPED:
        kind = row.split(",")[0]
        run = lambda seed, kind=kind: field_error(train(kind, seed, lr=chosen[kind], field=damped), damped)  # noqa: E731
        rows.append(record.measured(row, SEEDS, lambda seed, run=run: {"field": run(seed)}))
    settings = {
        "data": f"{STATES} states of energy up to 1.8, velocities with noise {NOISE:g}",
        "networks": "one hidden layer of 64; MLP 322 weights, HNN 256, H = V + T 192 that count",
        "optimiser": "Adam",
        "epochs": f"{EPOCHS}, then {MORE} at a tenth of the learning rate",
        "dtype": str(torch.get_default_dtype()),
        "rides": f"rk4 of step 0.1 to t = 100 from rest at 0.5, 1, 1.5 and 2; an error above {LOST:g} counts as that",
        "error on noisy velocities held out, by learning rate, the mean of three runs": tried,
        "chosen": chosen,
        "seconds": "of the processor, one thread, training and measuring; of the machine that made the table",
    }
    store("pendulum", title="A pendulum learnt from noisy velocities", settings=settings, rows=rows)


def _row(kind: str, lr: float, seed: int) -> dict[str, float]:
    field = train(kind, seed, lr=lr)
    if seed == SEEDS[0]:
        record.store_network(next(name for name, of in STORED.items() if of == kind), field)
    return evaluate(field)


def load_network(name: str) -> nn.Module:
    """The stored field of the first seed, "pendulum_mlp", "pendulum_hnn" or "pendulum_separable"."""
    return record.load_network(name, KINDS[STORED[name]]())
