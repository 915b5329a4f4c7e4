"""Liquid time-constant networks: a recurrent network whose time constants depend on what it sees."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import _checks, _choice, _sequences


class LTC(nn.Module):
    """Liquid time-constant network: u (batch, length, inputs) → its states (batch, length, units).

        x' = −(1/τ + f) x + f A,    f = sigmoid(W x + U u + b),

    so that the time constant τ / (1 + τ f) depends on the input (Hasani et al. 2020, Liquid time-constant networks,
    arXiv 2006.04439). The fused step takes f at the old state and the rest at the new one,
    x ← (x + h f A) / (1 + h (1/τ + f)): a convex combination of 0, x and A for every step h, so that a state between
    min(0, A) and max(0, A) stays there. It is of order 1.

    Args:
        inputs, units: Sizes of u and of the state.
        substeps: Steps between two samples, h = interval / substeps.
        method: "fused", or "euler" for comparison, which is unstable for large h.

    Raises:
        ValueError: A size is below 1, or the method unknown.
        TypeError: A size is not a whole number.
    """

    def __init__(self, inputs: int, units: int, *, substeps: int = 6, method: str = "fused"):
        super().__init__()
        self.inputs = _checks.whole_number("inputs", inputs, at_least=1)
        self.units = _checks.whole_number("units", units, at_least=1)
        self.substeps = _checks.whole_number("substeps", substeps, at_least=1)
        self.method = _choice.one_of("method", method, ("fused", "euler"))
        self.drive = nn.Linear(self.inputs, self.units)
        self.recurrent = nn.Linear(self.units, self.units, bias=False)
        self.A = nn.Parameter(torch.randn(self.units))
        self.log_tau = nn.Parameter(torch.zeros(self.units))

    def step(self, u: Tensor, x: Tensor | None = None, interval: float | Tensor = 1.0) -> Tensor:
        """The state an `interval` later, under the constant input u (batch, inputs): (batch, units).

        Args:
            x: The state before, (batch, units); None means zero.
            interval: Units of time, positive; a number, or a tensor (batch,).

        Raises:
            ValueError: u or x is of another shape, or the interval not positive and finite.
            TypeError: u or x is of another dtype than the parameters, or the interval not of real numbers.
        """
        _sequences.sample(self, u, self.inputs, self.A.dtype)
        interval = self._intervals(interval, [(len(u),)])
        drive = self.drive(u)
        x = torch.zeros_like(drive) if x is None else _sequences.carried("x", x, drive.shape, drive.dtype)
        return self._advance(drive, x, interval if interval.ndim == 0 else interval.unsqueeze(-1))

    def forward(self, u: Tensor, interval: float | Tensor = 1.0) -> Tensor:
        """The states after every sample, from zero: (batch, length, inputs) ↦ (batch, length, units).

        Args:
            interval: How long each sample holds, units of time, positive: a number, or a tensor (length,) or
                (batch, length) for samples at irregular times.

        Raises:
            ValueError: u is of another shape or empty, or the interval not positive and finite.
            TypeError: u is of another dtype than the parameters, or the interval not of real numbers.
        """
        _sequences.sequence(self, u, self.inputs, self.A.dtype)
        batch, length, _ = u.shape
        interval = self._intervals(interval, [(length,), (batch, length)])
        drive = self.drive(u)
        x, states = torch.zeros_like(drive[:, 0]), []
        intervals = interval.expand(batch, length).unsqueeze(-1).unbind(1)
        for now, held in zip(drive.unbind(1), intervals, strict=True):
            x = self._advance(now, x, held)
            states.append(x)
        return torch.stack(states, 1)

    def _advance(self, drive, x, interval):
        h, rate = interval / self.substeps, (-self.log_tau).exp()
        for _ in range(self.substeps):
            f = torch.sigmoid(self.recurrent(x) + drive)
            if self.method == "euler":
                x = x + h * (f * self.A - (rate + f) * x)
            else:
                x = (x + h * f * self.A) / (1 + h * (rate + f))
        return x

    def _intervals(self, interval, shapes):
        """The interval as a tensor of the parameters' dtype, a number or of one of the shapes; all of it positive."""
        if isinstance(interval, bool) or (
            isinstance(interval, Tensor) and (interval.is_complex() or interval.dtype == torch.bool)
        ):
            got = interval.dtype if isinstance(interval, Tensor) else repr(interval)
            raise TypeError(f"interval must be a number or a tensor of real numbers; got {got}")
        if not isinstance(interval, Tensor):
            interval = _checks.positive_number("interval", interval)
        interval = torch.as_tensor(interval, dtype=self.A.dtype, device=self.A.device)
        if interval.ndim and tuple(interval.shape) not in shapes:
            allowed = " or ".join(map(str, shapes))
            raise ValueError(f"interval must be a number or of shape {allowed}; got {tuple(interval.shape)}")
        wrong = ~((interval > 0) & interval.isfinite())
        if wrong.any():
            raise ValueError(f"interval must be positive and finite; got {interval[wrong][0].item()}")
        return interval

    def extra_repr(self) -> str:
        return f"inputs={self.inputs}, units={self.units}, substeps={self.substeps}, method={self.method!r}"
