"""Convolutional blocks that are steps of a partial differential equation: diffusions and waves."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from . import _checks, _choice, _images
from .convex_potential import _same
from .convolution import BOUNDARIES, conv, conv_transpose, operator_norm, towards_top

LIMITS = ("ignore", "raise", "shorten")
# by how much limit="shorten" raises the norms: the power method comes from below
MARGIN = 0.01


class SymmetricConv2d(nn.Module):
    """F(x) = Kᵀ σ(K x + b): with σ non-decreasing, the gradient of the convex function Σ s(K x + b), s' = σ.

    Its Jacobian Kᵀ diag(σ') K is symmetric and positive semi-definite, and ‖K‖²-Lipschitz when σ has slopes in [0, 1].
    (Ruthotto & Haber 2018, arXiv 1804.04272, but for the normalisation that they put in front of σ: what is proved
    here needs none.)

    Args:
        channels: Of x.
        hidden: Channels of K x; None means as many.
        activation: σ, a function with slopes in [0, 1] such as torch.tanh or torch.relu. Taken on trust.
        boundary: Of K, and so of Kᵀ: "zeros", "replicate" or "circular".
        kernel_size: k, odd.

    Attributes:
        kernel, bias: (hidden, channels, k, k) and b, (hidden,), drawn as `nn.Conv2d` draws its own.

    Raises:
        TypeError: `activation` is no function.
        ValueError: Another argument is not as above.
    """

    def __init__(
        self,
        channels: int,
        hidden: int | None = None,
        *,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        boundary: str = "zeros",
        kernel_size: int = 3,
    ):
        super().__init__()
        self.channels = _checks.whole_number("channels", channels, at_least=1)
        self.hidden = self.channels if hidden is None else _checks.whole_number("hidden", hidden, at_least=1)
        self.kernel_size = _checks.whole_number("kernel_size", kernel_size, at_least=1)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, or K x would sit between the pixels; got {kernel_size}")
        if not callable(activation):
            raise TypeError(f"activation must be a function of a tensor; got {activation!r}")
        self.activation = activation
        self.boundary = _choice.one_of("boundary", boundary, BOUNDARIES)
        drawn = nn.Conv2d(self.channels, self.hidden, self.kernel_size)
        self.kernel, self.bias = drawn.weight, drawn.bias
        self.register_buffer("direction", None, persistent=False)  # where `running_norm` goes on

    def apply_K(self, x: Tensor) -> Tensor:
        """K x: (batch, channels, rows, columns) ↦ (batch, hidden, rows, columns)."""
        return conv(x, self.kernel, self.boundary)

    def apply_Kt(self, y: Tensor) -> Tensor:
        """Kᵀ y: (batch, hidden, rows, columns) ↦ (batch, channels, rows, columns)."""
        return conv_transpose(y, self.kernel, self.boundary)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) ↦ the same."""
        return self.apply_Kt(self.activation(self.apply_K(x) + self.bias[:, None, None]))

    def norm(self, size: tuple[int, int], iterations: int = 200) -> float:
        """‖K‖₂ on images of `size` = (rows, columns), from below: `operator_norm` from a fixed random start."""
        return operator_norm(self.apply_K, self.apply_Kt, self._start(size), iterations)

    @torch.no_grad()
    def running_norm(self, size: tuple[int, int], iterations: int = 20) -> float:
        """‖K‖₂ from below, going on where the last call for this size stopped: for weights that change a little.

        The power method, in at most ten portions of `iterations`, until one raises the result by less than .1 %. The
        old direction alone could miss what the weights have become: on periodic images it is a wave, and the power
        method never leaves its wave number. So a random start always runs beside it.
        """
        x, axes = self._start(size), (1, 2, 3)
        if self.direction is not None and self.direction.shape == x.shape:
            x = torch.cat([self.direction.to(x), x])
        before = torch.zeros(len(x)).to(x)
        for _ in range(10):
            x = towards_top(self.apply_K, self.apply_Kt, x, iterations, axes)
            norms = torch.linalg.vector_norm(self.apply_K(x), dim=axes)
            if not (norms > 1.001 * before).any():
                break
            before = norms
        best, estimate = norms.argmax(), norms.max().item()
        # not what lost its numbers, from which there is no way back
        self.direction = x[best, None] if 0 < estimate < float("inf") else None
        return estimate

    def extra_repr(self) -> str:
        sizes = f"{self.channels}, {self.hidden}, kernel_size={self.kernel_size}"
        return f"{sizes}, boundary={self.boundary!r}"

    def _start(self, size):
        rows, columns = (_checks.whole_number("size", side, at_least=self.kernel_size) for side in size)
        draw = torch.Generator().manual_seed(0)
        shape = 1, self.channels, rows, columns
        return torch.randn(shape, generator=draw, dtype=torch.float64, device="cpu").to(self.kernel)


class _Block(nn.Module):
    """What the blocks share: a step h, a limit to it, and what is done about the limit.

    A subclass says in `_forces` which symmetric layers it has, and in `_bound` what their norms allow.
    """

    def __init__(self, step: float, limit: str):
        super().__init__()
        self.step = _checks.positive_number("step", step)
        self.limit = _choice.one_of("limit", limit, LIMITS)
        self._known = None  # what a limit was needed for last, those kernels, and that limit

    def _forces(self) -> tuple[SymmetricConv2d, ...]:
        raise NotImplementedError

    def _bound(self, *norms: float) -> float:
        raise NotImplementedError

    def step_limit(self, size: tuple[int, int]) -> float:
        """The longest h that the theory allows on images of `size` = (rows, columns); inf for zero weights.

        From `SymmetricConv2d.norm`, so a little too long where the power method has not converged: never too short.
        """
        return self._bound(*(force.norm(size) for force in self._forces()))

    def _step_at(self, size):
        """The step that `forward` and `inverse` take on images of this size."""
        if self.limit == "ignore":
            return self.step
        limit = self._present_limit(tuple(size))
        if self.limit == "shorten":
            return min(self.step, limit)
        if self.step > limit:
            rows, columns = size
            raise ValueError(f"step must be at most {limit:.6g} on images of {rows} × {columns}; got {self.step:.6g}")
        return self.step

    def _present_limit(self, size):
        """The limit for the present weights.

        Computed once for the same weights, and not from the run of the power method alone: an inverse, or a second
        pass of the same network, must take the very same step.
        """
        case, kernels = (self.limit, self.training, size), [force.kernel.detach() for force in self._forces()]
        if self._known is None or self._known[0] != case or not all(map(_same, self._known[1], kernels)):
            if self.limit == "raise":
                limit = self.step_limit(size)
            else:
                norm = SymmetricConv2d.running_norm if self.training else SymmetricConv2d.norm
                limit = self._bound(*((1 + MARGIN) * norm(force, size) for force in self._forces()))
            self._known = case, [kernel.clone() for kernel in kernels], limit
        return self._known[2]

    def extra_repr(self) -> str:
        return f"step={self.step:g}, limit={self.limit!r}"


class ParabolicBlock(_Block):
    """x ↦ x − h Kᵀ σ(K x + b): an Euler step of the gradient flow ∂ₜx = −Kᵀ σ(K x + b), a nonlinear diffusion.

    Brings no two images further apart, in the 2-norm, when h ≤ 2/‖K‖² and σ has slopes in [0, 1]: the Jacobian is
    I − h Kᵀ diag(σ') K. (Ruthotto & Haber 2018, arXiv 1804.04272, the parabolic CNN; a block with h = 2/‖K‖² is the
    convolutional form of `ConvexPotentialLayer`, Meunier et al. 2022, arXiv 2110.12690.)

    **The limit** depends on the weights and on the size of the images, and training is free to leave it behind:

    - "ignore" steps by h, come what may.
    - "raise" refuses to step when h > `step_limit`.
    - "shorten" steps by h or, if that is shorter, by the limit for ‖K‖ raised by 1 %. In training mode the norm is
      found by some steps of the power method that go on from the last pass, in eval mode as in `step_limit`; no
      gradient runs through it. The power method comes from below, and as a rule misses far less than 1 %; a
      certificate it is not.

    Args:
        channels, hidden: As for `SymmetricConv2d`.
        step: h, the unit of the time t.
        limit: "ignore", "raise" or "shorten".
        activation, boundary, kernel_size: As for `SymmetricConv2d`.

    Attributes:
        force: The `SymmetricConv2d`.

    Raises:
        ValueError: `step` is not positive and finite, `limit` is unknown, or what `SymmetricConv2d` raises; in a
            forward pass, an image has the wrong shape, or with "raise" the step is above the limit.
    """

    def __init__(
        self, channels: int, hidden: int | None = None, *, step: float = 1.0, limit: str = "ignore", **symmetric
    ):
        super().__init__(step, limit)
        self.force = SymmetricConv2d(channels, hidden, **symmetric)

    def _forces(self):
        return (self.force,)

    def _bound(self, norm):
        return _quotient(2, norm**2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) ↦ the same."""
        force = self.force(x)
        return torch.sub(x, force, alpha=self._step_at(x.shape[-2:]))


class HyperbolicBlock(_Block):
    """(x₋, x) ↦ (x, 2x − x₋ − h² Kᵀ σ(K x + b)): a leapfrog step of ∂ₜₜx = −Kᵀ σ(K x + b), a nonlinear wave.

    The state is a pair, the images one step ago and now. `inverse` is the same arithmetic backwards, so that no state
    needs to be stored. With fixed weights and σ the identity all solutions stay bounded if h < 2/‖K‖, the condition of
    Courant, Friedrichs & Lewy 1928; nothing is proved for other σ or weights that differ from block to block.
    (Ruthotto & Haber 2018, arXiv 1804.04272, the second-order CNN.)

    Args:
        channels, hidden, step, limit, activation, boundary, kernel_size: As for `ParabolicBlock`; `step_limit`: 2/‖K‖.

    Attributes:
        force: The `SymmetricConv2d`.

    Raises:
        TypeError: A state is no pair.
        ValueError: As for `ParabolicBlock`, or the two images of a state differ in shape.
    """

    def __init__(
        self, channels: int, hidden: int | None = None, *, step: float = 1.0, limit: str = "ignore", **symmetric
    ):
        super().__init__(step, limit)
        self.force = SymmetricConv2d(channels, hidden, **symmetric)

    def _forces(self):
        return (self.force,)

    def _bound(self, norm):
        return _quotient(2, norm)

    def forward(self, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """(previous, current) ↦ (current, next), each (batch, channels, rows, columns)."""
        previous, x = _pair(state)
        return x, self._other(x, previous)

    def inverse(self, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The state that `forward` maps to this one, up to rounding: (current, next) ↦ (previous, current)."""
        x, following = _pair(state)
        return self._other(x, following), x

    def _other(self, x, neighbour):
        """The scheme is symmetric in time: from x and the image on one side of it, the image on the other side."""
        force = self.force(x)
        return torch.sub(2 * x - neighbour, force, alpha=self._step_at(x.shape[-2:]) ** 2)


class HamiltonianConvBlock(_Block):
    """y ↦ y + h K₁ᵀ σ(K₁ z + b₁), then z ↦ z − h K₂ᵀ σ(K₂ y + b₂); y and z are the halves of the channels.

    A step of the symplectic Euler method for ∂ₜy = K₁ᵀ σ(K₁ z + b₁), ∂ₜz = −K₂ᵀ σ(K₂ y + b₂), a Hamiltonian system;
    `inverse` is the same arithmetic backwards. With fixed weights and σ the identity all solutions stay bounded if
    h < 2/(‖K₁‖ ‖K₂‖); nothing is proved for other σ or weights that differ from block to block. (Ruthotto & Haber 2018,
    arXiv 1804.04272, the Hamiltonian CNN.)

    Args:
        channels: Of y and z together, an even number.
        hidden: Channels of K₁ z and of K₂ y; None means channels / 2.
        step, limit, activation, boundary, kernel_size: As for `ParabolicBlock`; `step_limit`: 2/(‖K₁‖ ‖K₂‖).

    Attributes:
        first, second: The `SymmetricConv2d` with K₁ and the one with K₂.

    Raises:
        ValueError: As for `ParabolicBlock`, or `channels` is odd.
    """

    def __init__(
        self, channels: int, hidden: int | None = None, *, step: float = 1.0, limit: str = "ignore", **symmetric
    ):
        super().__init__(step, limit)
        self.channels = _checks.whole_number("channels", channels, at_least=2)
        if self.channels % 2:
            raise ValueError(f"channels must be even, half of them for y and half for z; got {channels}")
        self.first, self.second = (SymmetricConv2d(self.channels // 2, hidden, **symmetric) for _ in range(2))

    def _forces(self):
        return self.first, self.second

    def _bound(self, first, second):
        return _quotient(2, first * second)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) ↦ the same."""
        (y, z), h = self._halves(x), self._step_at(x.shape[-2:])
        y = torch.add(y, self.first(z), alpha=h)
        z = torch.sub(z, self.second(y), alpha=h)
        return torch.cat([y, z], dim=1)

    def inverse(self, x: Tensor) -> Tensor:
        """The images that `forward` maps to x, up to rounding."""
        (y, z), h = self._halves(x), self._step_at(x.shape[-2:])
        z = torch.add(z, self.second(y), alpha=h)
        y = torch.sub(y, self.first(z), alpha=h)
        return torch.cat([y, z], dim=1)

    def _halves(self, x):
        _images.images("x", x, self.channels, self.first.kernel_size)
        return x.chunk(2, dim=1)


def _quotient(a, b):
    # no weights, no limit
    return a / b if b else float("inf")


def _pair(state):
    if not isinstance(state, (tuple, list)) or len(state) != 2:
        given = f"{len(state)} entries" if isinstance(state, (tuple, list)) else type(state).__name__
        raise TypeError(f"state must be a pair (one step ago, now); got {given}")
    one, other = state
    if one.shape != other.shape:
        raise ValueError(
            f"state must be a pair of images of one shape; got {tuple(one.shape)} and {tuple(other.shape)}"
        )
    return one, other
