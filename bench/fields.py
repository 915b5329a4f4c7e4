"""Vector fields that a solver is timed on: its own overhead shows on the small one, hardly on the large one."""

from __future__ import annotations

import math

import torch
from torch import nn

# steps of rk4 over [0, 1]; the ratios are per evaluation, so that the slow field can do with fewer
STEPS = {"small": 20, "mid": 20, "conv": 4}
SHAPES = {
    "small": "MLP 2-64-2, batch 128",
    "mid": "MLP 64-256-64, batch 256",
    "conv": "two 3×3 convolutions of 16×32×32, batch 32",
}


class Counted(nn.Module):
    """A field f(t, y) = net(y) that counts its evaluations."""

    def __init__(self, net):
        super().__init__()
        # in a list: a module that sets an attribute of its own takes longer than a small tanh
        self.net, self.count = net, [0]

    def forward(self, t, y):
        self.count[0] += 1
        return self.net(y)


class VanDerPol(nn.Module):
    """x' = v, v' = μ (1 − x²) v − x, with a μ of its own for each sample: from harmless to stiff."""

    def __init__(self, batch=64, largest=1000.0):
        super().__init__()
        self.register_buffer("mu", torch.logspace(0, math.log10(largest), batch, dtype=torch.float64))

    def forward(self, t, y):
        x, v = y.unbind(-1)
        return torch.stack([v, self.mu * (1 - x * x) * v - x], -1)


def _mlp(width, hidden, batch):
    return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width)), torch.randn(batch, width)


def _conv():
    net = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.Tanh(), nn.Conv2d(16, 16, 3, padding=1))
    return net, torch.randn(32, 16, 32, 32)


def fields(device):
    """Name → (field, initial state), float32."""
    torch.manual_seed(0)
    made = {"small": _mlp(2, 64, 128), "mid": _mlp(64, 256, 256), "conv": _conv()}
    return {name: (Counted(net).to(device), y0.to(device)) for name, (net, y0) in made.items()}


def stiff_fields(device):
    """Name → (field, initial state, end time), float64: for the implicit methods."""
    torch.manual_seed(0)
    oscillators, (net, y0) = VanDerPol(), _mlp(16, 64, 64)
    start = torch.tensor([2.0, 0.0], dtype=torch.float64).expand(len(oscillators.mu), 2).clone()
    return {
        "van der Pol": (oscillators.to(device), start.to(device), 2.0),
        "MLP 16-64-16": (Counted(net).double().to(device), y0.double().to(device), 1.0),
    }
