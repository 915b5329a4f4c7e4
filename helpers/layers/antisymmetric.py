"""Antisymmetric weights: a linear part whose eigenvalues have the real part −γ, whatever is learned."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from . import _checks


class AntisymmetricLinear(nn.Module):
    """x ↦ K x + b with K = W − Wᵀ − γ I; W is free.

    The eigenvalues of K are −γ ± iω, |ω| ≤ ‖W − Wᵀ‖₂, so x' = K x keeps ‖x‖ for γ = 0 and loses it at the rate
    γ otherwise. (Haber & Ruthotto 2017, Stable architectures for deep neural networks, arXiv 1705.03341; Chang et
    al. 2019, AntisymmetricRNN, arXiv 1902.09689.) For x' = σ(K x + b) this is no promise about norms: there
    the Jacobian is diag(σ') K.

    Args:
        features: Entries of the state, d.
        damping: γ ≥ 0.
        bias: Whether there is a b.

    Attributes:
        weight: W, (d, d), drawn as `nn.Linear` draws its own. Its symmetric part has no effect.
        bias: b, (d,), or None.
    """

    def __init__(self, features: int, damping: float = 0.0, bias: bool = True):
        super().__init__()
        self.features = _checks.whole_number("features", features, at_least=1)
        self.damping = _checks.number_from_zero("damping", damping)
        drawn = nn.Linear(self.features, self.features, bias=bias)
        self.weight, self.bias = drawn.weight, drawn.bias

    @property
    def matrix(self) -> Tensor:
        """K, (d, d)."""
        return antisymmetric(self.weight, self.damping)

    def euler_limit(self) -> float:
        """h* = 2γ / (γ² + ω²), ω = ‖W − Wᵀ‖₂: Euler's method on x' = K x decays for h < h*; 0 without damping."""
        rotation = torch.linalg.matrix_norm(antisymmetric(self.weight.detach(), 0.0), 2).item()
        return 2 * self.damping / (self.damping**2 + rotation**2) if self.damping else 0.0

    def forward(self, x: Tensor) -> Tensor:
        """(..., features) ↦ (..., features)."""
        _checks.last_axis(self, x, self.features)
        return nn.functional.linear(x, self.matrix, self.bias)

    def extra_repr(self) -> str:
        return f"features={self.features}, damping={self.damping:g}, bias={self.bias is not None}"


class AntisymmetricField(nn.Module):
    """f(t, x) = σ((W − Wᵀ − γ I) x + b): the field of the antisymmetric residual network.

    Args:
        features, damping: As for `AntisymmetricLinear`.
        activation: Makes σ, called without arguments.
    """

    def __init__(
        self, features: int, damping: float = 0.0, *, activation: Callable[[], nn.Module] = nn.Tanh
    ):
        super().__init__()
        self.linear = AntisymmetricLinear(features, damping)
        self.activation = activation()

    def forward(self, t: float | Tensor, x: Tensor) -> Tensor:
        """The velocity, (..., features) ↦ (..., features); the same at every t."""
        return self.activation(self.linear(x))


class AntisymmetricRNNCell(nn.Module):
    """h_n = h_{n−1} + ε tanh((W − Wᵀ − γ I) h_{n−1} + V u_n + b), called as `torch.nn.RNNCell` is.

    Euler's method with step ε for h' = tanh(K h + V u + b) (Chang et al. 2019, AntisymmetricRNN: a dynamical
    system view on recurrent neural networks, arXiv 1902.09689, without their gate).

    Args:
        input_size: Entries of an input u_n.
        hidden_size: Entries of the state h_n.
        bias: Whether there is a b.
        step: ε.
        damping: γ ≥ 0.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, *, step: float = 0.1, damping: float = 0.01
    ):
        super().__init__()
        self.input_size = _checks.whole_number("input_size", input_size, at_least=1)
        self.hidden_size = _checks.whole_number("hidden_size", hidden_size, at_least=1)
        self.step = _checks.positive_number("step", step)
        self.recurrent = AntisymmetricLinear(self.hidden_size, damping, bias=False)
        self.input = nn.Linear(self.input_size, self.hidden_size, bias=bias)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state.

        Args:
            input: u_n, (batch, input_size) or (input_size,).
            hx: h_{n−1}, (batch, hidden_size) or (hidden_size,); None means zeros.

        Returns:
            h_n, shaped like hx.

        Raises:
            ValueError: The shapes do not fit.
        """
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"input must have the shape (batch, {self.input_size}) or ({self.input_size},); "
                f"got {tuple(input.shape)}"
            )
        shape = (*input.shape[:-1], self.hidden_size)
        if hx is None:
            hx = input.new_zeros(shape)
        elif hx.shape != shape:
            raise ValueError(f"hx must have the shape {shape}; got {tuple(hx.shape)}")
        return hx + self.step * torch.tanh(self.recurrent(hx) + self.input(input))

    def extra_repr(self) -> str:
        return f"step={self.step:g}"


def antisymmetric(weight: Tensor, damping: float) -> Tensor:
    """W − Wᵀ − γ I."""
    identity = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
    return weight - weight.T - damping * identity
