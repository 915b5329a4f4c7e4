"""Vector fields that a solver is timed on: its own overhead shows on the small one, hardly on the large one."""

from __future__ import annotations

import torch
from torch import nn


class Counted(nn.Module):
    """A field f(t, y) = net(y) that counts its evaluations."""

    def __init__(self, net):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, t, y):
        self.calls += 1
        return self.net(y)


def _mlp(width, hidden, batch):
    return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width)), torch.randn(batch, width)


def _conv():
    net = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.Tanh(), nn.Conv2d(16, 16, 3, padding=1))
    return net, torch.randn(16, 16, 32, 32)


def fields(device):
    """Name → (field, initial state), float32: small MLP 2-64-2 × 128, mid 64-256-64 × 256, conv 16×32×32 × 16."""
    torch.manual_seed(0)
    made = {"small": _mlp(2, 64, 128), "mid": _mlp(64, 256, 256), "conv": _conv()}
    return {name: (Counted(net).to(device), y0.to(device)) for name, (net, y0) in made.items()}
