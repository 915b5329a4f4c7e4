"""The vector field f_θ(t, x) that every differential equation in this collection learns, in its smallest
form."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from . import _checks


class MLPField(nn.Module):
    """f_θ(t, x) = W₂ σ(W₁ x + b₁) + b₂, or with time f_θ(t, x) = W₂ σ(W₁ x + w t + b₁) + b₂.

    The inside of a residual block with one hidden layer, and the usual field of a neural ODE
    (Chen et al. 2018, arXiv 1806.07366).

    Args:
        features: Entries of the state, d.
        hidden: Entries of the hidden layer; None means as many as `features`.
        activation: Makes σ, called without arguments.
        time_dependent: Whether the field also sees t, as one more input of the hidden layer.
    """

    def __init__(
        self,
        features: int,
        hidden: int | None = None,
        *,
        activation: Callable[[], nn.Module] = nn.Tanh,
        time_dependent: bool = False,
    ):
        super().__init__()
        self.features = _checks.whole_number("features", features, at_least=1)
        hidden = self.features if hidden is None else _checks.whole_number("hidden", hidden, at_least=1)
        self.inner = nn.Linear(self.features, hidden)
        self.activation = activation()
        self.outer = nn.Linear(hidden, self.features)
        if time_dependent:
            bound = self.features**-0.5  # what nn.Linear draws its own weights from
            self.time_weight = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
        else:
            self.register_parameter("time_weight", None)

    def forward(self, t: float | Tensor, x: Tensor) -> Tensor:
        """The velocity at time t.

        Args:
            t: A float or a 0-d tensor; without effect unless the field is time-dependent.
            x: States, (..., features).

        Returns:
            (..., features).

        Raises:
            ValueError: The last axis of x does not hold `features` entries.
        """
        _checks.last_axis(self, x, self.features)
        z = self.inner(x)
        if self.time_weight is not None:
            z = z + self.time_weight * t
        return self.outer(self.activation(z))

    def extra_repr(self) -> str:
        return f"features={self.features}, time_dependent={self.time_weight is not None}"


class FunctionField(nn.Module):
    """The autonomous field f(x) of a plain function: called as field(t, x), it ignores t.

    Args:
        function: Maps x (..., features) to a tensor of the same shape.

    Raises:
        TypeError: `function` is not callable.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        if not callable(function):
            raise TypeError(f"function must be callable as function(x); got {type(function).__name__}")
        self.function = function

    def forward(self, t, x):
        return self.function(x)
