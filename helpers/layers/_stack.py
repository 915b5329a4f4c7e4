"""What all stacks of layers share: their fields, their step, and the way through the layers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from . import _checks
from .vector_field import MLPField


class Stack(nn.Module):
    """`depth` layers that cover the depth time [0, horizon] in steps h.

    A subclass says in `_states` what a layer does. Tied, all layers share `field`; untied, layer k has
    `fields[k]`.
    """

    def __init__(
        self,
        features: int,
        depth: int,
        horizon: float,
        tied: bool,
        field: Callable[[int], nn.Module] | None,
    ):
        super().__init__()
        self.features = _checks.whole_number("features", features, at_least=1)
        self.depth = _checks.whole_number("depth", depth, at_least=1)
        self.horizon = _checks.positive_number("horizon", horizon)
        self.tied = tied
        made = [_made(field, self.features) for _ in range(1 if tied else self.depth)]
        if tied:
            self.field = made[0]
        else:
            self.fields = nn.ModuleList(made)

    @property
    def step(self) -> float:
        """h = horizon / depth."""
        return self.horizon / self.depth

    def forward(self, x: Tensor) -> Tensor:
        """The last state: (..., features) ↦ (..., features)."""
        _checks.last_axis(self, x, self.features)
        # no list of the states: without autograd, only the last one stays in memory
        return deque(self._states(x), maxlen=1).pop()

    def features_along(self, x: Tensor) -> Tensor:
        """The input and the state after every layer: (..., features) ↦ (depth + 1, ..., features)."""
        _checks.last_axis(self, x, self.features)
        return torch.stack([x, *self._states(x)])

    def _states(self, x: Tensor) -> Iterator[Tensor]:
        """The state after each layer in turn."""
        raise NotImplementedError

    def _layers(self) -> Iterator[tuple[float, Callable[[float, Tensor], Tensor]]]:
        """Each layer's depth time, formed just as `odeint` forms its own, and its field, which is checked."""
        for k in range(self.depth):
            field = self.field if self.tied else self.fields[k]
            yield self.horizon * (k / self.depth), partial(_checks.velocity, "field", field)

    def extra_repr(self) -> str:
        return f"features={self.features}, depth={self.depth}, horizon={self.horizon:g}, tied={self.tied}"


def _made(field, features):
    if isinstance(field, nn.Module):
        raise TypeError("field must be a function from the number of features to a module; got a module")
    module = MLPField(features) if field is None else field(features)
    if not isinstance(module, nn.Module):
        raise TypeError(f"field must make an nn.Module, called as f(t, x); it made {type(module).__name__}")
    return module
