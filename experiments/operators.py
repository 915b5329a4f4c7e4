"""Operators learnt from pairs of functions: Burgers' equation by an FNO, a CNN, and the CNN between interpolations.

All are trained on 64 points and tested on 32 to 256, on the same functions, and on functions of twice the frequencies.
Learning rates were chosen on functions held out, by the mean of three runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.data import burgers_cole_hopf, burgers_initial
from helpers.layers import FNO1d, fourier_interpolation
from helpers.training import fit

from . import record
from .record import store

SEEDS = (0, 1, 2, 3, 4)
VISCOSITY, TIME, FINE = 0.05, 1.0, 512
TRAINED, SIZES = 64, (32, 64, 128, 256)
FUNCTIONS, TESTED = 256, 100
TRAINING = {"batch_size": 32}
EPOCHS, MORE = 40, 20  # at the learning rate, and at a sixth of it
LEARNING_RATES, TUNING_SEEDS = (1e-3, 3e-3, 1e-2, 3e-2), (10, 11, 12)
INTERPOLATED = "CNN between interpolations"
STORED = {"burgers_fno": "FNO", "burgers_cnn": "CNN"}


class PeriodicCNN1d(nn.Module):
    """A plain residual CNN with circular borders, (n, N) ↦ (n, N): its kernels live in pixels.

    Args:
        width: Channels.
        kernel: Pixels of a kernel, odd.
        depth: Layers.
    """

    def __init__(self, width: int = 16, kernel: int = 9, depth: int = 6):
        super().__init__()
        sizes = [1, *[width] * (depth - 1), 1]
        border = {"padding": kernel // 2, "padding_mode": "circular"}
        self.layers = nn.ModuleList(nn.Conv1d(a, b, kernel, **border) for a, b in zip(sizes, sizes[1:], strict=False))

    def forward(self, u: Tensor) -> Tensor:
        first, *inner, last = self.layers
        v = F.gelu(first(u[:, None]))
        for layer in inner:
            v = v + F.gelu(layer(v))
        return last(v)[:, 0]


KINDS: dict[str, Callable[[], nn.Module]] = {"FNO": partial(FNO1d, 16, 8, 3), "CNN": PeriodicCNN1d}
ROWS = (*KINDS, INTERPOLATED)


@cache
def pairs(n: int, seed: int, size: int = TRAINED, waves: int = 4) -> tuple[Tensor, Tensor]:
    """u at times 0 and TIME on `size` points, (n, size) each, taken from exact solutions on the fine grid."""
    u0 = burgers_initial(n, FINE, waves=waves, seed=seed)
    u1 = burgers_cole_hopf(u0, TIME, VISCOSITY)
    every = FINE // size
    return u0[:, ::every].contiguous(), u1[:, ::every].contiguous()


def relative_error(guess: Tensor, u1: Tensor) -> float:
    """Mean over functions of ‖guess − u‖ / ‖u‖."""
    return ((guess - u1).norm(dim=1) / u1.norm(dim=1)).mean().item()


def squared_relative(guess: Tensor, u1: Tensor) -> Tensor:
    """The loss: mean over functions of ‖guess − u‖² / ‖u‖²."""
    return ((guess - u1).square().sum(1) / u1.square().sum(1)).mean()


def train(kind: str, seed: int, *, lr: float | None = None) -> nn.Module:
    """An operator trained on TRAINED points; `lr` None means the one chosen for the stored table."""
    lr = record.load("operators")["settings"]["chosen"][kind] if lr is None else lr
    run = partial(fit, train=pairs(FUNCTIONS, seed), loss=squared_relative, seed=seed, device="cpu", progress=False)
    first = run(KINDS[kind], epochs=EPOCHS, lr=lr, **TRAINING).model
    return run(first, epochs=MORE, lr=lr / 6, **TRAINING).model


def between_interpolations(net: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network asked on its own grid only: interpolate to TRAINED points, and the answer back."""
    return lambda u: fourier_interpolation(net(fourier_interpolation(u, TRAINED)), u.shape[-1])


@torch.no_grad()
def evaluate(operator: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Relative error on every grid, and on functions of twice the frequencies."""
    found = {}
    for size in SIZES:
        u0, u1 = pairs(TESTED, 1000, size)
        found[f"{size} points"] = relative_error(operator(u0), u1)
    u0, u1 = pairs(TESTED, 1000, TRAINED, 8)
    return found | {"twice the frequencies": relative_error(operator(u0), u1)}


def tune(kind: str) -> dict[str, float]:
    """Relative error on functions held out, for every learning rate, the mean of three runs."""
    u0, u1 = pairs(TESTED, 2000)

    @torch.no_grad()
    def error(net):
        return relative_error(net(u0), u1)

    return record.tune(kind, LEARNING_RATES, lambda lr, seed: error(train(kind, seed, lr=lr)), TUNING_SEEDS)


def main() -> None:
    """Choose, measure all rows, print the table and store it, with the networks of the first seed."""
    tried = {kind: tune(kind) for kind in KINDS}
    chosen = {kind: float(min(found, key=found.get)) for kind, found in tried.items()}
    nets, rows = {}, []
    for kind in KINDS:
        rows.append(record.measured(kind, SEEDS, partial(_row, nets, kind, chosen[kind])))
    again = lambda seed: evaluate(between_interpolations(nets["CNN", seed]))  # noqa: E731
    rows.append(record.measured(INTERPOLATED, SEEDS, again))
    for row in rows:
        row["parameters"] = sum(p.numel() for p in nets[row["row"].split()[0], 0].parameters())
    settings = {
        "data": f"Burgers, viscosity {VISCOSITY:g}, time {TIME:g}; {FUNCTIONS} functions of four waves to train on, "
        f"{TESTED} to test",
        "networks": "FNO of 16 channels, 8 modes, 3 layers; CNN of 16 channels, kernels of 9, 6 layers",
        "optimiser": "Adam",
        "epochs": f"{EPOCHS}, then {MORE} at a sixth of the learning rate",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        "relative error on functions held out, by learning rate, the mean of three runs": tried,
        "chosen": chosen,
        "seconds": "of the processor, one thread, training and measuring; of the machine that made the table",
    }
    store("operators", title="Burgers' equation by operators", settings=settings, rows=rows)


def _row(nets, kind, lr, seed):
    nets[kind, seed] = train(kind, seed, lr=lr)
    if seed == SEEDS[0]:
        record.store_network(next(name for name, of in STORED.items() if of == kind), nets[kind, seed])
    return evaluate(nets[kind, seed])


def load_network(name: str) -> nn.Module:
    """The stored operator of the first seed, "burgers_fno" or "burgers_cnn"."""
    return record.load_network(name, KINDS[STORED[name]]())
