"""Convex potential layers: gradient steps that cannot pull two states apart, and the norms that this rests on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from . import _checks

# non-decreasing and 1-Lipschitz: what the proof asks of σ
ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Identity, nn.Sigmoid, nn.Hardtanh, nn.Softsign)


def power_iteration(matrix: Tensor, iterations: int, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The power method for the largest singular value: v ← Wᵀ W v / ‖Wᵀ W v‖.

    Whatever the number of iterations, ‖W v‖ ≤ ‖W‖₂: the result is a *lower* bound, and no certificate can rest
    on it.

    Args:
        matrix: W, (m, n).
        iterations: How often, at least 1.
        start: v to begin with, (n,), not orthogonal to the dominant right singular vector.

    Returns:
        The bound (0-d, differentiable in W with u and v held fixed, as is exact in the limit), and the unit
        vectors u (m,) and v (n,) with u = W v / ‖W v‖.
    """
    iterations = _checks.whole_number("iterations", iterations, at_least=1)
    with torch.no_grad():
        v = start
        for _ in range(iterations):
            u = nn.functional.normalize(matrix @ v, dim=0)
            v = nn.functional.normalize(matrix.T @ u, dim=0)
        u = nn.functional.normalize(matrix @ v, dim=0)
    return u @ matrix @ v, u, v


def spectral_norm(matrix: Tensor) -> Tensor:
    """‖W‖₂ by a singular value decomposition, raised by the rounding that this may have suffered.

    Differentiable. For the dense matrices of this collection, up to a few hundred rows, it costs less than a
    millisecond or two.

    Args:
        matrix: (m, n).

    Returns:
        0-d, not below the norm.
    """
    largest = torch.linalg.matrix_norm(matrix, 2)
    return largest * (1 + max(matrix.shape) * torch.finfo(matrix.dtype).eps)


class ConvexPotentialLayer(nn.Module):
    """x ↦ x − (2 / ‖W‖²) Wᵀ σ(W x + b), with σ non-decreasing and 1-Lipschitz: a 1-Lipschitz layer.

    A step of Euler's method, as long as can be, along the negative gradient of a convex potential whose gradient is
    ‖W‖²-Lipschitz. (Meunier et al. 2022, A dynamical system perspective for Lipschitz neural networks, arXiv
    2110.12690; Sherry et al. 2023, arXiv 2306.17332.) A step of 2/‖W‖² is sharp where σ has slope 1: there the gain
    on the dominant singular vector is exactly 1.

    What is guaranteed: ‖layer(x) − layer(x')‖₂ ≤ ‖x − x'‖₂ for all x, x', up to the rounding of the forward pass, at
    every moment of training and after it, because the norm is that of `spectral_norm`. With `power_iterations`
    the layer trains as its authors' does, with a few warm-started iterations a forward pass: the estimate is a lower
    bound, so *in training mode* the step may be too long and nothing is guaranteed. In eval mode
    the guarantee holds either way.

    Args:
        features: Entries of the state, d.
        hidden: Rows of W; None means as many as `features`.
        activation: Makes σ, called without arguments: one of ReLU, Tanh, Identity, Sigmoid, Hardtanh, Softsign.
        power_iterations: None for the exact norm at all times, or the number of iterations a forward pass takes in
            training mode.

    Attributes:
        weight, bias: W, (hidden, features), and b, (hidden,), drawn as `nn.Linear` draws its own.

    Raises:
        TypeError: `activation` makes another σ, for which the proof may not hold.
        ValueError: A size is below 1.
    """

    # what `certified_radius` reads
    lipschitz = 1.0

    def __init__(
        self,
        features: int,
        hidden: int | None = None,
        *,
        activation: Callable[[], nn.Module] = nn.ReLU,
        power_iterations: int | None = None,
    ):
        super().__init__()
        self.features = _checks.whole_number("features", features, at_least=1)
        hidden = self.features if hidden is None else _checks.whole_number("hidden", hidden, at_least=1)
        drawn = nn.Linear(self.features, hidden)
        self.weight, self.bias = drawn.weight, drawn.bias
        self.activation = activation()
        if type(self.activation) not in ACTIVATIONS:
            names = ", ".join(known.__name__ for known in ACTIVATIONS)
            raise TypeError(f"activation must make one of {names}; got {type(self.activation).__name__}")
        self._known = None  # the last weights whose norm was needed without a gradient, and that norm
        self.power_iterations = power_iterations
        if power_iterations is not None:
            _checks.whole_number("power_iterations", power_iterations, at_least=1)
            self.register_buffer("direction", nn.functional.normalize(torch.randn(self.features), dim=0))

    def norm(self) -> Tensor:
        """The number that the step is made from: not below ‖W‖₂, but in training with `power_iterations`."""
        if self.training and self.power_iterations is not None:
            estimate, _, self.direction = power_iteration(self.weight, self.power_iterations, self.direction)
            return estimate
        if self.weight.requires_grad and torch.is_grad_enabled():
            return spectral_norm(self.weight)
        # An attack asks for it at every step. The weights themselves are compared: whatever way they were changed, the
        # norm is theirs.
        if self._known is None or not _same(self._known[0], self.weight):
            weight = self.weight.detach().clone()
            self._known = weight, spectral_norm(weight)
        return self._known[1]

    def forward(self, x: Tensor) -> Tensor:
        """(..., features) ↦ (..., features)."""
        _checks.last_axis(self, x, self.features)
        # W = 0 has no step, and needs none
        squared = self.norm().square().clamp_min(torch.finfo(x.dtype).tiny)
        return x - 2 / squared * (self.activation(nn.functional.linear(x, self.weight, self.bias)) @ self.weight)

    def extra_repr(self) -> str:
        return f"power_iterations={self.power_iterations}"


def _same(a, b):
    return (a.dtype, a.device) == (b.dtype, b.device) and torch.equal(a, b)
