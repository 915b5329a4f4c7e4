"""What the linear state-space layers share: stable poles, positive steps, another sampling rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from . import _checks, _sequences


class StateSpace(nn.Module):
    """`state`/2 poles λ, for as many conjugate pairs, and steps Δ: Re λ < 0 and Δ > 0 whatever is trained.

    Args:
        features: H.
        state: N, even.

    Raises:
        ValueError: `features` is below 1, `state` odd or below 2.
        TypeError: A size is not a whole number.
    """

    def __init__(self, features: int, state: int):
        super().__init__()
        self.features = _checks.whole_number("features", features, at_least=1)
        self.state = _sequences.even_number("state", state)
        self._interval = 1.0

    def start(self, poles: Tensor, dt: Sequence[float]) -> None:
        """Begin with these poles, (steps,) or (steps, state / 2), and a step drawn for each row of them."""
        self.log_dt = nn.Parameter(log_uniform(len(poles), dt))
        self.log_decay = nn.Parameter((-poles.real).log().to(self.log_dt.dtype))
        self.frequency = nn.Parameter(poles.imag.to(self.log_dt.dtype))

    @property
    def poles(self) -> Tensor:
        """λ = −exp(log_decay) + i frequency, complex."""
        return torch.complex(-self.log_decay.exp(), self.frequency)

    @property
    def steps(self) -> Tensor:
        """Δ = exp(log_dt) times the interval, with a last axis of one entry, (steps, 1)."""
        return self.log_dt.exp().unsqueeze(-1) * self.interval

    @property
    def interval(self) -> float:
        """Time between two samples as a multiple of that in training, such as 0.5 for one sampled twice as finely.

        It multiplies Δ. Positive and finite; not a parameter, and not part of the `state_dict`.
        """
        return self._interval

    @interval.setter
    def interval(self, value: float):
        self._interval = _checks.positive_number("interval", value)

    def extra_repr(self) -> str:
        return f"features={self.features}, state={self.state}, interval={self.interval:g}"


def log_uniform(shape: int, dt: Sequence[float]) -> Tensor:
    """Logarithms of initial steps Δ, uniform between those of dt = (low, high)."""
    low, high = _sequences.step_range(dt)
    return math.log(low) + torch.rand(shape) * (math.log(high) - math.log(low))


def real_pairs(z: Tensor) -> nn.Parameter:
    """A complex tensor as a real parameter with a last axis (real, imaginary), in torch's default dtype."""
    return nn.Parameter(torch.view_as_real(z.resolve_conj().contiguous()).to(torch.get_default_dtype()))


def gaussian(*shape: int) -> Tensor:
    """Complex numbers with E |z|² = 1, complex128."""
    return torch.view_as_complex(torch.randn(*shape, 2).double() / 2**0.5)
