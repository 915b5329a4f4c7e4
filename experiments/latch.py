"""Selection: at every token the class of the flagged sign seen last, by one layer between token-wise networks.

Signs ±1 come by, a tenth of them flagged. The networks before and after the layer see one token at a time, so that what
is remembered is remembered by the layer. Training sees 64 tokens, testing 64 and 256. Learning rates were chosen by the
loss, the mean of three runs, on sequences of the training's length that no other run sees. Beside it an easier task,
for which the rates are taken over: a single token is flagged, and its sign is asked for ever after.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from helpers.layers import S4D, S5, SelectiveSSM
from helpers.training import fit

from . import record
from .record import mean, spread, store

WIDTH, FLAGGED = 16, 0.1
LENGTH, LENGTHS = 64, (64, 256)
SEEDS = (0, 1, 2)
SEQUENCES, TESTED, HELD_OUT = 2048, 500, 1000  # seeds of the test sequences begin at 100
TRAINING = {"epochs": 8, "batch_size": 64}
LEARNING_RATES = (5e-3, 1e-2, 2e-2, 4e-2, 8e-2, 0.16)
TUNING_SEEDS = (50, 51, 52)
UNSEEN = -100  # the class where nothing is asked for: before the first flag

# name → the layer of a width, and whose learning rate it takes
LAYERS: dict[str, tuple[Callable, str]] = {
    "S6": (partial(SelectiveSSM, state=8), "S6"),
    "S4D": (partial(S4D, state=16), "S4D"),
    "S4D, fast steps": (partial(S4D, state=16, dt=(1e-2, 2.0)), "S4D"),
    "S5": (partial(S5, state=32), "S5"),
}
ROWS = tuple(LAYERS)


class OneLayer(nn.Module):
    """Token-wise network, one sequence layer, token-wise network: u (n, length, inputs) ↦ scores (n, length, 2).

    Args:
        layer: Makes the layer of a width, (n, length, width) ↦ the same shape.
        inputs: Features of a token.
    """

    def __init__(self, layer: Callable[[int], nn.Module], inputs: int):
        super().__init__()
        self.before = nn.Sequential(nn.Linear(inputs, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.layer = layer(WIDTH)
        self.after = nn.Sequential(nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, 2))

    def forward(self, u: Tensor) -> Tensor:
        return self.after(self.layer(self.before(u)))


def task(n: int, length: int, seed: int, *, once: bool = False) -> tuple[Tensor, Tensor]:
    """Sequences of signs, some flagged, or one of them only (`once`), and the class of the flagged sign seen last.

    Returns:
        x (n, length, 2): the sign ±1, and 1 where it is flagged, 0 elsewhere; y (n, length): at every token 1 if the
        flagged sign seen last, this token's included, is +1, 0 if it is −1, UNSEEN before the first.
    """
    draw = torch.Generator().manual_seed(seed)
    sign = 2 * (torch.rand(n, length, generator=draw) < 0.5).to(torch.get_default_dtype()) - 1
    chance = torch.rand(n, length, generator=draw)
    flag = chance == chance.amin(1, keepdim=True) if once else chance < FLAGGED
    last = torch.where(flag, torch.arange(length), -1).cummax(1).values
    y = torch.where(last < 0, UNSEEN, (sign.gather(1, last.clamp(min=0)) > 0).long())
    return torch.stack([sign, flag.to(sign.dtype)], -1), y


def every_token(scores: Tensor, y: Tensor) -> Tensor:
    """Cross entropy over all tokens of scores (n, length, 2) where something is asked for."""
    return nn.functional.cross_entropy(scores.flatten(0, 1), y.flatten(), ignore_index=UNSEEN)


def network(row: str) -> OneLayer:
    """The network of a row, untrained."""
    return OneLayer(LAYERS[row][0], inputs=2)


def learning_rates() -> dict[str, float]:
    """By kind of layer, as they were chosen for the stored table."""
    return record.load("latch")["settings"]["chosen"]


def train(row: str, seed: int, *, lr: float | None = None, once: bool = False) -> OneLayer:
    """The network of a row, trained on sequences of LENGTH tokens; `lr` None means the one chosen."""
    lr = learning_rates()[LAYERS[row][1]] if lr is None else lr
    data, make = task(SEQUENCES, LENGTH, seed, once=once), partial(network, row)
    return fit(make, data, lr=lr, loss=every_token, seed=seed, device="cpu", progress=False, **TRAINING).model


@torch.no_grad()
def share_right(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Share of the tokens asked for whose class is right."""
    x, y = data
    return (model(x).argmax(-1) == y)[y != UNSEEN].double().mean().item()


def evaluate(model: nn.Module, seed: int, *, once: bool = False) -> dict[str, float]:
    """Share of tokens that are right, on sequences of every length."""
    begins = "one flag, " if once else ""
    return {
        f"{begins}L = {length}": share_right(model, task(TESTED, length, 100 + seed, once=once)) for length in LENGTHS
    }


@torch.no_grad()
def loss(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Cross entropy over the tokens asked for."""
    x, y = data
    return every_token(model(x), y).item()


def tune(row: str) -> dict[str, float]:
    """Loss on held-out sequences for every learning rate, the mean of three runs."""
    data = task(HELD_OUT, LENGTH, 60)
    return record.tune(row, LEARNING_RATES, lambda lr, seed: loss(train(row, seed, lr=lr), data), TUNING_SEEDS)


def main() -> None:
    """Choose, measure all rows, print the table and store it, with the S6 of the first seed."""
    tried = {kind: tune(kind) for kind in dict.fromkeys(kind for _, kind in LAYERS.values())}
    chosen = {kind: float(min(found, key=found.get)) for kind, found in tried.items()}
    rows = []
    for row in ROWS:
        found = []
        for seed in SEEDS:
            began = time.process_time()
            model = train(row, seed, lr=chosen[LAYERS[row][1]])
            found.append({"seconds": time.process_time() - began} | evaluate(model, seed))
            easier = train(row, seed, lr=chosen[LAYERS[row][1]], once=True)
            found[-1] |= evaluate(easier, seed, once=True)
            if row == "S6" and seed == SEEDS[0]:
                record.store_network("latch", model)
        columns = {key: [values[key] for values in found] for key in found[0]}
        parameters = sum(p.numel() for p in model.parameters())
        rows.append({"row": row, "parameters": parameters, "seeds": list(SEEDS), **columns})
        print(row, *(f"{key} {mean(v):.4f}±{spread(v):.4f}" for key, v in columns.items()), sep=" | ", flush=True)
    settings = {
        "data": f"signs ±1, {FLAGGED:g} of them flagged; {SEQUENCES} sequences of {LENGTH} to train on, "
        f"{TESTED} of each length to test",
        "network": f"token-wise network, one layer of width {WIDTH}, token-wise network",
        "optimiser": "Adam",
        **TRAINING,
        "dtype": str(torch.get_default_dtype()),
        f"loss on held-out sequences of {LENGTH}, by learning rate, the mean of three runs": tried,
        "chosen": chosen,
        "seconds": "training alone, of one core; of the machine that made the table",
    }
    store("latch", title="The flagged sign seen last", settings=settings, rows=rows)


def load_network() -> OneLayer:
    """The stored S6 of the first seed."""
    return record.load_network("latch", network("S6"))
