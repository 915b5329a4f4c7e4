"""The structured state-space model S4: HiPPO-LegS itself, by its diagonal-plus-low-rank form. Clear before fast."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import _checks, _choice, _sequences
from ._state_space import StateSpace, gaussian, real_pairs
from .discretize import dense
from .fft_convolution import fft_convolution
from .hippo import hippo
from .s4d import MODES


class S4(StateSpace):
    """One diagonal-plus-low-rank state-space model a feature: u (batch, length, features) → y of the same shape.

        x' = A x + B u,    y = C x + D u,    A = V (Λ − p pᴴ) Vᴴ,

    which starts as HiPPO-LegS, whose rank is one (Gu et al. 2021, Efficiently modeling long sequences with structured
    state spaces, arXiv 2111.00396). V is left out, as C is learnt; Λ, p and B come in conjugate pairs of which one
    half is kept, z, and pᴴ x = 2 Re(pᴴ z). Re Λ = −exp(·) and −p pᴴ ≤ 0 keep A stable whatever is trained.

    The step is the bilinear rule with Δ = exp(·). The kernel K_l = C A_bar^l B_bar, l < L, is the inverse Fourier
    transform of its generating function at the roots of unity (algorithm 1 there): with ζ = exp(−2πi k/L),

        K̂(ζ) = C̃ (2/Δ (1 − ζ) − (1 + ζ) A)⁻¹ 2 B,    C̃ = C (1 − A_bar^L),

    where Woodbury's identity makes four Cauchy sums Σ v_n w_n / (2/Δ (1 − ζ) − (1 + ζ) Λ_n) of the inverse. Written
    so, there is no pole at ζ = −1.

    Args:
        features: H.
        state: N, even.
        dt: Range (low, high) of the initial steps Δ, log-uniform.

    Attributes:
        interval: By which Δ is multiplied, for another sampling rate than that of training.

    Raises:
        ValueError: `features` is below 1, `state` odd or below 2, or not 0 < low ≤ high.
        TypeError: A size is not a whole number, or `dt` not a pair of numbers.
    """

    def __init__(self, features: int, state: int = 64, *, dt: Sequence[float] = (1e-3, 1e-1)):
        super().__init__(features, state)
        memory = hippo("legs", self.state, dtype=torch.float64)
        poles, vectors = memory.eigenvectors()
        p, b = (vectors.mH @ z.to(vectors.dtype) for z in (memory.P[:, 0], memory.B))
        self.start(poles.repeat(self.features, 1), dt)
        self.P, self.B = (real_pairs(z.repeat(self.features, 1)) for z in (p, b))
        self.C = real_pairs(gaussian(self.features, self.state // 2))
        self.D = nn.Parameter(torch.randn(self.features))

    def continuous(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Λ, p, B and C, each complex, (features, state / 2)."""
        return self.poles, *(torch.view_as_complex(z) for z in (self.P, self.B, self.C))

    def dense(self) -> tuple[Tensor, Tensor, Tensor]:
        """A (features, state, state), B and C (features, state) of the same system, real, on (Re z, Im z)."""
        poles, p, b, c = self.continuous()
        re, im = poles.real.diag_embed(), poles.imag.diag_embed()
        low = torch.cat([p.real, p.imag], -1)
        A = torch.cat([torch.cat([re, -im], -1), torch.cat([im, re], -1)], -2)
        A = A - 2 * low.unsqueeze(-1) * low.unsqueeze(-2)
        return A, torch.cat([b.real, b.imag], -1), 2 * torch.cat([c.real, -c.imag], -1)

    def kernel(self, length: int) -> Tensor:
        """The impulse response without the direct term D, (features, length), length at least 1."""
        length = _checks.whole_number("length", length, at_least=1)
        poles, p, b, _ = self.continuous()
        c = self._truncated(length)
        angle = -2 * math.pi / length * torch.arange(length // 2 + 1, dtype=self.D.dtype, device=self.D.device)
        root = torch.polar(torch.ones_like(angle), angle)
        scale, damp = 2 / self.steps * (1 - root), 1 + root  # (features, roots), (roots,)

        def cauchy(v, w):
            """Σ v w / (scale − damp Λ) over both halves, (features, roots)."""
            halves = ((v * w, poles), ((v * w).conj(), poles.conj()))
            return sum(
                (weights.unsqueeze(-2) / (scale.unsqueeze(-1) - damp[:, None] * lam.unsqueeze(-2))).sum(-1)
                for weights, lam in halves
            )

        low_rank = damp * cauchy(c, p) * cauchy(p.conj(), b) / (1 + damp * cauchy(p.conj(), p))
        return torch.fft.irfft(2 * (cauchy(c, b) - low_rank), n=length)

    def forward(self, u: Tensor, mode: str = "convolution") -> Tensor:
        """(batch, length, features) ↦ the same shape.

        Args:
            mode: "convolution" (by FFT), or "recurrence" (the states themselves, chunks of √length steps side by side);
                they agree up to rounding.

        Raises:
            ValueError: u is of another shape or empty, or the mode unknown.
            TypeError: u is of another dtype than the parameters.
        """
        _choice.one_of("mode", mode, MODES)
        _sequences.sequence(self, u, self.features, self.D.dtype)
        if mode == "convolution":
            return fft_convolution(u.mT, self.kernel(u.shape[1])).mT + self.D * u
        return self._recurrence(u)

    def step(self, u: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One sample u (batch, features) and the state before it → output (batch, features) and state.

        Args:
            x: z above, (batch, features, state / 2), complex; None at the start.

        Raises:
            ValueError: u or x is of another shape.
            TypeError: u or x is of another dtype than the parameters, or their complex one.
        """
        _sequences.sample(self, u, self.features, self.D.dtype)
        system = self._system()
        shape, dtype = (*u.shape, self.state // 2), system[0].dtype
        x = system[0].new_zeros(shape) if x is None else _sequences.carried("x", x, shape, dtype)
        return self._advance(system, u, x)

    def _recurrence(self, u):
        """As `linear_scan` does it: all chunks from zero, the states at their ends chained, all chunks once more."""
        length = u.shape[1]
        steps = 1 << (length.bit_length() // 2)  # about √length
        chunks = -(-length // steps)
        samples = F.pad(u, (0, 0, 0, chunks * steps - length)).unflatten(1, (chunks, steps)).unbind(2)
        system = self._system()
        x = system[0].new_zeros(len(u), chunks, self.features, self.state // 2)
        for sample in samples:
            _, x = self._advance(system, sample, x)
        x, outputs = self._starts(x, steps), []
        for sample in samples:
            y, x = self._advance(system, sample, x)
            outputs.append(y)
        return torch.stack(outputs, 2).flatten(1, 2)[:, :length]

    def _starts(self, ends, steps):
        """The state before every chunk, from those that chunks of so many steps reach from zero."""
        A, B, _ = self.dense()
        over = torch.linalg.matrix_power(dense(A, B, self.steps.squeeze(-1), "bilinear")[0], steps)
        reached = torch.cat([ends.real, ends.imag], -1)
        starts = [torch.zeros_like(reached[:, 0])]
        for end in reached.unbind(1)[:-1]:
            starts.append((over @ starts[-1].unsqueeze(-1)).squeeze(-1) + end)
        return torch.complex(*torch.stack(starts, 1).chunk(2, -1))

    def _truncated(self, length):
        """C̃ = C (1 − A_bar^length), complex (features, state / 2)."""
        A, B, C = self.dense()
        A_bar, _ = dense(A, B, self.steps.squeeze(-1), "bilinear")
        power = torch.linalg.matrix_power(A_bar, length)
        re, im = (C - (C.unsqueeze(-2) @ power).squeeze(-2)).chunk(2, -1)
        return torch.complex(re, -im) / 2

    def _system(self):
        """Λ, p, B, C, 2/Δ, and what Woodbury's identity needs of (2/Δ − A)⁻¹."""
        poles, p, b, c = self.continuous()
        scale = 2 / self.steps
        resolvent = 1 / (scale - poles)
        return poles, p, b, c, scale, resolvent, 1 + _paired(p, resolvent * p)

    def _advance(self, system, u, x):
        """One bilinear step: (2/Δ − A) x_k = (2/Δ + A) x_{k−1} + 2 B u_k, in O(state) operations."""
        poles, p, b, c, scale, resolvent, inner = system
        right = (scale + poles) * x - p * _paired(p, x) + 2 * b * u.unsqueeze(-1)
        x = resolvent * right
        x = x - resolvent * p * (_paired(p, x) / inner)
        return 2 * (c * x).sum(-1).real + self.D * u, x


def _paired(p, z):
    """pᴴ x for x = (z, z̄), which is real: (..., n) → (..., 1)."""
    return 2 * (p.conj() * z).sum(-1, keepdim=True).real
