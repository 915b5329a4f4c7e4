"""The network that learns a velocity or a score: it sees the point, the time, and perhaps a label."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers._tensors import described, real, same_kind

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
        TypeError, ValueError: A size is not a whole number, or too small, or `activation` makes no module.
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
            layers += [_made(activation), nn.Linear(hidden, hidden)]
        self.rest = nn.Sequential(*layers, _made(activation), nn.Linear(hidden, self.features))

    def forward(self, t: float | Tensor, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The value at time t, shaped like x.

        Args:
            t: A number, or a tensor that broadcasts to (..., 1).
            x: (..., d), of the weights' dtype.
            label: int64 or int32, what broadcasts to (...), where there are classes: 0, …, `classes`, the last for no
                label; None means no label for any.

        Raises:
            TypeError: x is no tensor of the weights' dtype and device, t no real number, or `label` not whole.
            ValueError: The last axis of x is not d, t or `label` does not fit to x, or a label is out of range (on a
                GPU that is torch's to find), or given to a network without classes.
        """
        real("x", x)
        _checks.last_axis(self, x, self.features)
        same_kind("x", x, "the weights", self.inner.weight)
        _check_time(t, x)
        angles = torch.as_tensor(t, dtype=x.dtype, device=x.device) * self.waves.to(x)
        waves = torch.cat([angles.cos(), angles.sin()], -1).expand(*x.shape[:-1], -1)
        z = self.inner(torch.cat([x, waves], -1))
        if self.label is not None or label is not None:
            z = z + self._labelled(x, label)
        return self.rest(z)

    def _labelled(self, x, label):
        """What the label adds to the first layer: (..., hidden)."""
        if self.label is None:
            raise ValueError(f"label must be None for a network without classes; got {type(label).__name__}")
        if label is None:
            label = x.new_full(x.shape[:-1], self.classes, dtype=torch.int64)
        if not isinstance(label, Tensor) or label.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"label must be a tensor of int64 or int32; got {described(label)}")
        if not _fits(label.shape, x.shape[:-1]):
            raise ValueError(f"label must broadcast to {tuple(x.shape[:-1])}; got shape {tuple(label.shape)}")
        try:
            return self.label(label.expand(x.shape[:-1]))
        except IndexError:
            raise ValueError(
                f"label must be from 0 to {self.classes}, that for none; got {label.min()} to {label.max()}"
            ) from None

    def extra_repr(self) -> str:
        return f"features={self.features}, classes={self.classes}"


def _made(activation):
    # a module, such as nn.SiLU(), is no maker: called without arguments it would end in torch's own message
    layer = activation() if callable(activation) and not isinstance(activation, nn.Module) else None
    if not isinstance(layer, nn.Module):
        raise TypeError(f"activation must make an nn.Module, called without arguments; got {activation!r:.80}")
    return layer


def _check_time(t, x):
    if isinstance(t, Tensor):
        if t.is_complex():
            raise TypeError(f"t must be a number or a real tensor; got a tensor of {t.dtype}")
        if t.ndim and not _fits(t.shape, (*x.shape[:-1], 1)):
            # (n,) beside x (n, d) would be taken for n frequencies
            raise ValueError(f"t must be one time or broadcast to {(*x.shape[:-1], 1)}; got shape {tuple(t.shape)}")
    elif not isinstance(t, numbers.Real):
        raise TypeError(f"t must be a number or a real tensor; got {t!r:.80}")


def _fits(shape, whole):
    """Whether `shape` broadcasts to `whole` and no further."""
    ends = zip(reversed(shape), reversed(whole), strict=False)
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in ends)
