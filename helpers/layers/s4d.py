"""A diagonal state-space model a feature: one layer that is a convolution, a scan and a step, whichever is wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from . import _choice, _sequences
from ._state_space import StateSpace, gaussian, real_pairs
from .discretize import diagonal
from .fft_convolution import diagonal_kernel, fft_convolution
from .hippo import hippo
from .linear_scan import linear_scan

_INITS = ("lin", "inv", "legs")
MODES = ("convolution", "recurrence")
_TINY = 1e-30


def diagonal_poles(init: str, n: int) -> tuple[Tensor, Tensor]:
    """n/2 poles with positive (or zero) imaginary part, and their B: the initialisations of S4D, complex128.

    "lin": −½ + iπk; "inv": −½ + i(n/π)(n/(2k+1) − 1), B = 1; "legs": the normal part of HiPPO-LegS, B in its basis
    (Gu et al. 2022, On the parameterization and initialization of diagonal state space models, arXiv 2206.11893).

    Returns:
        Poles and B, (n/2,) each.

    Raises:
        ValueError: `init` is unknown, or n is odd or below 2.
        TypeError: n is not a whole number.
    """
    _choice.one_of("init", init, _INITS)
    n = _sequences.even_number("n", n)
    if init == "legs":
        return hippo("legs", n, dtype=torch.float64).diagonal()
    k = torch.arange(n // 2, dtype=torch.float64)
    imaginary = math.pi * k if init == "lin" else n / math.pi * (n / (2 * k + 1) - 1)
    poles = torch.complex(torch.full_like(k, -0.5), imaginary)
    return poles, torch.ones_like(poles)


class S4D(StateSpace):
    """One diagonal state-space model a feature: u (batch, length, features) → y of the same shape.

        x' = λ x + b u,    y = 2 Re(c x) + d u,

    with `state`/2 complex poles λ, which stand for `state` real states in conjugate pairs, discretised with a step Δ
    for each feature (Gu et al. 2022, arXiv 2206.11893). Poles keep Re λ < 0 by Re λ = −exp(·), steps Δ > 0 by
    Δ = exp(·), whatever is trained. b is absorbed into c.

    Args:
        features: H.
        state: N, even.
        init: "lin", "inv" or "legs", see `diagonal_poles`.
        dt: Range (low, high) of the initial steps Δ, log-uniform; the time between two samples is 1 in the layer's
            unit, so that a pole of decay ½ remembers about 2/Δ samples.
        method: "zoh" or "bilinear", see `discretize`.

    Attributes:
        interval: By which Δ is multiplied, for another sampling rate than that of training.

    Raises:
        ValueError: `features` is below 1, `state` odd or below 2, init or method unknown, or not 0 < low ≤ high.
        TypeError: A size is not a whole number, or `dt` not a pair of numbers.
    """

    def __init__(
        self,
        features: int,
        state: int = 64,
        *,
        init: str = "lin",
        dt: Sequence[float] = (1e-3, 1e-1),
        method: str = "zoh",
    ):
        super().__init__(features, state)
        self.method = _choice.one_of("method", method, ("zoh", "bilinear"))
        poles, b = diagonal_poles(init, self.state)
        self.start(poles.repeat(self.features, 1), dt)
        self.C = real_pairs(gaussian(self.features, self.state // 2) * b)
        self.D = nn.Parameter(torch.randn(self.features))

    def discrete(self) -> tuple[Tensor, Tensor, Tensor]:
        """a_bar, log a_bar and c b_bar of the recurrence, each (features, state / 2)."""
        poles, dt = self.poles, self.steps
        a, b = diagonal(poles, torch.ones_like(poles), dt, self.method)
        # a pole at −2/Δ has a = 0, where log and its gradient are infinite
        log_a = poles * dt if self.method == "zoh" else torch.where(a == 0, a + _TINY, a).log()
        return a, log_a, torch.view_as_complex(self.C) * b

    def kernel(self, length: int) -> Tensor:
        """The impulse response without the direct term d, (features, length), length at least 1."""
        _, log_a, c = self.discrete()
        return diagonal_kernel(log_a, c, length)

    def forward(self, u: Tensor, mode: str = "convolution") -> Tensor:
        """(batch, length, features) ↦ the same shape.

        Args:
            mode: "convolution" (by FFT), or "recurrence" (a scan over the states); they agree up to rounding.

        Raises:
            ValueError: u is of another shape or empty, or the mode unknown.
            TypeError: u is of another dtype than the parameters.
        """
        _choice.one_of("mode", mode, MODES)
        _sequences.sequence(self, u, self.features, self.D.dtype)
        if mode == "convolution":
            return fft_convolution(u.mT, self.kernel(u.shape[1])).mT + self.D * u
        a, _, c = self.discrete()
        driven = u.transpose(0, 1).unsqueeze(-1).expand(-1, -1, -1, self.state // 2)
        states = linear_scan(a, driven)  # (length, batch, features, state / 2)
        return 2 * torch.einsum("lbhn,hn->blh", states, c).real + self.D * u

    def step(self, u: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One sample u (batch, features) and the state before it → output (batch, features) and state.

        Args:
            x: (batch, features, state / 2), complex; None at the start.

        Raises:
            ValueError: u or x is of another shape.
            TypeError: u or x is of another dtype than the parameters, or their complex one.
        """
        _sequences.sample(self, u, self.features, self.D.dtype)
        a, _, c = self.discrete()
        driven = u.unsqueeze(-1).to(a.dtype)
        if x is None:
            x = driven.expand(-1, -1, self.state // 2)
        else:
            x = a * _sequences.carried("x", x, (*u.shape, self.state // 2), a.dtype) + driven
        return 2 * (x * c).sum(-1).real + self.D * u, x

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, method={self.method!r}"
