"""Spirals seen at a few irregular times of one turn, continued for a second: a latent ODE beside two rivals.

All are trained on the first turn alone, for about the same time, on the same spirals. The size and the learning rate of
each were chosen on spirals held out, by the error in their second turn: the choice that favours each of them most.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.data import SPIRAL_TIMES, winding_spirals
from helpers.layers import LatentODE
from helpers.training import fit

from . import record
from .record import mean, spread, store

FIRST = 21  # times of the first turn
SEEDS = (0, 1, 2, 3, 4)
TUNING_SEEDS = (10, 11, 12)  # one run can be lucky
COUNT = 500
LATENT = 4
TRAINING = {"batch_size": 100}
TRIED = [(hidden, lr) for hidden in (32, 64) for lr in (3e-3, 1e-2, 2e-2, 4e-2)]


class FreeRNN(nn.Module):
    """A GRU that reads (point, seen, time) and predicts the next point; where none is seen it reads its prediction."""

    def __init__(self, hidden: int):
        super().__init__()
        self.cell, self.readout = nn.GRUCell(5, hidden), nn.Linear(hidden, 2)

    def forward(self, observed: Tensor, rows: int = FIRST) -> Tensor:
        """(n, FIRST, 3) ↦ (n, rows, 2)."""
        n, outputs = len(observed), []
        h, nothing = observed.new_zeros(n, self.cell.hidden_size), observed.new_full((n, 2), math.nan)
        times = SPIRAL_TIMES.to(observed) / (2 * math.pi)
        for k in range(rows):
            outputs.append(self.readout(h))
            x = observed[:, k, 1:] if k < FIRST else nothing
            seen = (~x.isnan()).to(h.dtype)
            h = self.cell(torch.cat([torch.where(x.isnan(), outputs[-1], x), seen, times[k].expand(n, 1)], -1), h)
        return torch.stack(outputs, 1)


class TimeDecoder(nn.Module):
    """The latent ODE with its flow replaced by a network of (z, t): the same encoder, no differential equation."""

    def __init__(self, hidden: int):
        super().__init__()
        self.latent = latent_ode(hidden)
        sizes = [LATENT + 1, hidden, hidden]
        inner = [part for a, b in zip(sizes, sizes[1:], strict=False) for part in (nn.Linear(a, b), nn.Tanh())]
        self.decoder = nn.Sequential(*inner, nn.Linear(hidden, 2))

    def forward(self, observed: Tensor, rows: int = FIRST) -> Tensor:
        """(n, FIRST, 3) ↦ (n, rows, 2)."""
        z, t = self.latent.encode(observed)[0], SPIRAL_TIMES[:rows, None].to(observed) / (2 * math.pi)
        return self.decoder(torch.cat([z[:, None].expand(-1, rows, -1), t.expand(len(z), -1, 1)], -1))


def latent_ode(hidden: int) -> LatentODE:
    """A latent ODE for the first turn: one midpoint step from time to time."""
    return LatentODE(2, LATENT, hidden, SPIRAL_TIMES[:FIRST].clone(), noise=0.1, method="midpoint")


# row → model of a hidden size, and epochs, so that all train for about the same time
ROWS: dict[str, tuple[Callable[[int], nn.Module], int]] = {
    "latent ODE": (latent_ode, 60),
    "free-running GRU": (FreeRNN, 90),
    "same encoder, network of t": (TimeDecoder, 90),
}


def squares(prediction: Tensor, observed: Tensor) -> Tensor:
    """Mean square over all points, those not seen counted as 0."""
    y = observed[..., 1:]
    return torch.where(y.isnan(), 0.0, prediction - y.nan_to_num(0.0)).square().mean()


def train(row: str, seed: int, hidden: int, lr: float) -> nn.Module:
    """The model of a row, trained on the first turn of COUNT spirals."""
    make, epochs = ROWS[row]
    _, seen = winding_spirals(COUNT, 100 + seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make(hidden)
    loss = (lambda out, y: model.loss(out, y[..., 1:])) if isinstance(model, LatentODE) else squares
    settings = TRAINING | {"epochs": epochs, "lr": lr, "loss": loss}
    return fit(model, (seen, seen), seed=seed, device="cpu", progress=False, **settings).model


@torch.no_grad()
def continued(model: nn.Module, observed: Tensor) -> Tensor:
    """Both turns as the model has them, (n, 41, 2)."""
    if isinstance(model, LatentODE):
        return model.decode(model.encode(observed)[0], SPIRAL_TIMES.to(observed))
    return model(observed, rows=len(SPIRAL_TIMES))


def errors(prediction: Tensor, x: Tensor) -> dict[str, float]:
    """Root mean square error of a coordinate, in the turn that was seen and in the one after it."""
    missed = (prediction - x).square()
    return {"first turn": missed[:, :FIRST].mean().sqrt().item(), "second turn": missed[:, FIRST:].mean().sqrt().item()}


def log_spiral(observed: Tensor) -> Tensor:
    """The oracle: the right family of curves, turning either way, fitted to each window by least squares."""
    grid = SPIRAL_TIMES.to(observed)
    t, z = observed[..., 0], torch.view_as_complex(observed[..., 1:].nan_to_num(0.0).contiguous())
    seen = ~observed[..., 1].isnan()
    best, answer = torch.full((len(z),), torch.inf).to(observed), torch.zeros(len(z), len(grid), dtype=z.dtype)
    for sign in (1, -1):
        turn = torch.exp(2j * sign * math.pi * t)  # t in turns
        for rate in torch.linspace(-0.4, 0.4, 81).tolist():
            shape = torch.exp(rate * t) * turn * seen
            weight = (shape.conj() * z).sum(1) / shape.abs().square().sum(1)
            error = (z * seen - weight[:, None] * shape).abs().square().sum(1)
            curve = weight[:, None] * torch.exp((rate / (2 * math.pi) + 1j * sign) * grid)
            answer = torch.where((error < best)[:, None], curve, answer)
            best = torch.minimum(best, error)
    return torch.view_as_real(answer)


def tune(row: str) -> dict[str, float]:
    """Error in the second turn of spirals held out, the mean of three runs, for every size and learning rate."""
    x, seen = winding_spirals(COUNT, 8)
    found = {}
    for hidden, lr in TRIED:
        runs = [errors(continued(train(row, seed, hidden, lr), seen), x)["second turn"] for seed in TUNING_SEEDS]
        found[f"{hidden} units, lr {lr:g}"] = mean(runs)
        print(row, hidden, lr, f"{found[f'{hidden} units, lr {lr:g}']:.3f}", flush=True)
    return found


def chosen(tried: dict[str, float]) -> dict[str, float]:
    """The size and learning rate with the smallest error."""
    units, lr = min(tried, key=tried.get).split(" units, lr ")
    return {"hidden": int(units), "lr": float(lr)}


def main() -> None:
    """Choose, measure all rows, print the table and store it, with the latent ODE of the first seed."""
    x, seen = winding_spirals(COUNT, 9)
    tried, rows = {row: tune(row) for row in ROWS}, []
    for row, guess in {"least squares in the right family": log_spiral(seen), "always 0": torch.zeros_like(x)}.items():
        rows.append({"row": row, "seeds": list(SEEDS)} | {k: [v] * len(SEEDS) for k, v in errors(guess, x).items()})
    for row in ROWS:
        found = []
        for seed in SEEDS:
            began = time.process_time()
            model = train(row, seed, **chosen(tried[row]))
            found.append({"seconds": time.process_time() - began} | errors(continued(model, seen), x))
            if row == "latent ODE" and seed == SEEDS[0]:
                record.store_network("spirals", model)
        rows.append({"row": row, "seeds": list(SEEDS)} | {key: [values[key] for values in found] for key in found[0]})
    for row in rows:
        told = (f"{k} {mean(v):.3f}±{spread(v):.3f}" for k, v in row.items() if k not in ("row", "seeds"))
        print(row["row"], *told, sep=" | ", flush=True)
    settings = {
        "data": f"{COUNT} simulated spirals to train on, others to test; 12 of 21 points seen, noise 0.05",
        "latent ODE": f"{LATENT} latent dimensions, one midpoint step from time to time, noise 0.1 in the likelihood",
        "optimiser": "Adam",
        **TRAINING,
        "epochs": {row: epochs for row, (_, epochs) in ROWS.items()},
        "dtype": str(torch.get_default_dtype()),
        "error in the second turn of spirals held out": tried,
        "chosen": {row: chosen(found) for row, found in tried.items()},
        "seconds": "of the processor, training alone, one thread; of the machine that made the table",
    }
    store("spirals", title="Spirals continued", settings=settings, rows=rows)


def load_network() -> LatentODE:
    """The latent ODE of the first seed."""
    hidden = record.load("spirals")["settings"]["chosen"]["latent ODE"]["hidden"]
    return record.load_network("spirals", latent_ode(hidden))
