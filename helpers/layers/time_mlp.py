"""The network that learns a velocity or a score: it sees the point, the time, and perhaps a label."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from . import _checks


class TimeMLP(nn.Module):
    """f(t, x) or f(t, x, label): a multilayer perceptron of x, of cos(πkt) and sin(πkt), and of the label.

    Args:
        features: Entries of x, d.
        hidden: Width of each hidden layer.
        depth: Hidden layers.
        frequencies: Time enters by k = 1, …, frequencies.
        classes: Number of labels, 0 for none. The label `classes` means "no label".
        activation: Makes the nonlinearity, called without arguments.

    Raises:
        TypeError, ValueError: A size is not a whole number, or too small.
    """

    def __init__(
        self,
        features: int,
        hidden: int = 128,
        depth: int = 3,
        *,
        frequencies: int = 4,
        classes: int = 0,
        activation: Callable[[], nn.Module] = nn.SiLU,
    ):
        super().__init__()
        self.features = _checks.whole_number("features", features, at_least=1)
        self.classes = _checks.whole_number("classes", classes, at_least=0)
        hidden = _checks.whole_number("hidden", hidden, at_least=1)
        depth = _checks.whole_number("depth", depth, at_least=1)
        frequencies = _checks.whole_number("frequencies", frequencies, at_least=1)
        self.register_buffer("waves", math.pi * torch.arange(1, frequencies + 1))
        self.label = nn.Embedding(self.classes + 1, hidden) if self.classes else None
        self.inner = nn.Linear(self.features + 2 * frequencies, hidden)
        layers = []
        for _ in range(depth - 1):
            layers += [activation(), nn.Linear(hidden, hidden)]
        self.rest = nn.Sequential(*layers, activation(), nn.Linear(hidden, self.features))

    def forward(self, t: float | Tensor, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The value at time t, shaped like x.

        Args:
            t: A number, or a tensor that broadcasts to (..., 1).
            x: (..., d).
            label: (...), int64, where there are classes; None means no label for any.

        Raises:
            ValueError: The last axis of x is not d, or a label is given to a network without classes.
        """
        _checks.last_axis(self, x, self.features)
        if label is not None and self.label is None:
            raise ValueError("label must be None for a network without classes; got a tensor")
        angles = torch.as_tensor(t, dtype=x.dtype, device=x.device) * self.waves.to(x)
        waves = torch.cat([angles.cos(), angles.sin()], -1).expand(*x.shape[:-1], -1)
        z = self.inner(torch.cat([x, waves], -1))
        if self.label is not None:
            z = z + self.label(x.new_full(x.shape[:-1], self.classes, dtype=torch.int64) if label is None else label)
        return self.rest(z)

    def extra_repr(self) -> str:
        return f"features={self.features}, classes={self.classes}"
