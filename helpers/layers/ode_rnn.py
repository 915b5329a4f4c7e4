"""A recurrent network whose state flows between the observations."""

from __future__ import annotations

import numbers

import torch
from torch import Tensor, nn

from helpers.solvers import tableaux
from helpers.solvers.explicit import step

from . import _checks, _choice, _sequences, _series
from .vector_field import MLPField


class ODERNN(nn.Module):
    """Between observations h' = f_θ(h); at an observation h ← GRU(x, h) (Rubanova et al. 2019, arXiv 1907.03907).

    Each series of a batch has times of its own: a gap of length Δ is solved over [0, 1], with Δ f_θ for field.

    Args:
        channels: Of x.
        hidden: Entries of h; h = 0 before the first time.
        outputs: Entries of the output.
        field: Module on (..., hidden), called as field(s, h), s being the share of the gap that has passed: an
            autonomous one, `GRUODE` for instance. None means an `MLPField`.
        method, steps: An explicit Runge–Kutta method by name, and its steps in each gap.

    Raises:
        TypeError: `field` is no module.
        ValueError: A number is not positive and whole, or the method is none of that kind.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        outputs: int,
        *,
        field: nn.Module | None = None,
        method: str = "midpoint",
        steps: int = 1,
    ):
        super().__init__()
        self.channels = _checks.whole_number("channels", channels, at_least=1)
        self.hidden = _checks.whole_number("hidden", hidden, at_least=1)
        self.field = MLPField(self.hidden, self.hidden) if field is None else _checks.module("field", field)
        self.cell = nn.GRUCell(2 * self.channels, self.hidden)
        self.readout = nn.Linear(self.hidden, _checks.whole_number("outputs", outputs, at_least=1))
        explicit = [name for name, tableau in tableaux.TABLEAUX.items() if tableau.explicit]
        self.method = _choice.one_of("method", method, explicit)
        self.steps = _checks.whole_number("steps", steps, at_least=1)

    def evolve(self, h: Tensor, gap: Tensor | float) -> Tensor:
        """h (n, hidden) after the time `gap`, (n,) or a number: each sample its own gap, in one solve over [0, 1].

        Raises:
            ValueError: h or gap has another shape, gap is not finite, or the field does not keep the shape of h.
            TypeError: h is of another dtype than the parameters, or gap not of real numbers.
        """
        self._check_state(h)
        if not torch.is_tensor(gap) and (isinstance(gap, bool) or not isinstance(gap, numbers.Real)):
            raise TypeError(f"gap must be a number or a tensor of real numbers; got {gap!r:.80}")
        if torch.is_tensor(gap) and (gap.is_complex() or gap.dtype == torch.bool):
            raise TypeError(f"gap must be a number or a tensor of real numbers; got {gap.dtype}")
        gap = torch.as_tensor(gap, dtype=h.dtype, device=h.device)
        if not gap.isfinite().all():
            raise ValueError(f"gap must be finite; got {gap[~gap.isfinite()][0].item()}")
        if gap.dim() > 0 and gap.shape != h.shape[:-1]:
            raise ValueError(f"gap must be a number or have shape {tuple(h.shape[:-1])}; got {tuple(gap.shape)}")
        return self._evolved(h, gap)

    def _evolved(self, h, gap):
        """`evolve`, unchecked: for a series whose times have been looked at as a whole."""
        tableau, gap = tableaux.get(self.method), gap[..., None]
        for k in range(self.steps):
            h = step(tableau, lambda s, h: gap * self._velocity(s, h), k / self.steps, h, 1 / self.steps)
        return h

    def _velocity(self, s, h):
        return _checks.velocity("field", self.field, s, h)

    def observe(self, h: Tensor, x: Tensor) -> Tensor:
        """h (n, hidden) after seeing x (n, channels), NaN where missing; samples that see nothing keep their state.

        Raises:
            ValueError: h or x has another shape, or x an infinite value.
            TypeError: h or x is of another dtype than the parameters.
        """
        self._check_state(h)
        _sequences.real_of("x", x, self, h.dtype)
        if x.shape != (*h.shape[:-1], self.channels):
            raise ValueError(f"x must have shape {(*h.shape[:-1], self.channels)} beside h; got {tuple(x.shape)}")
        if torch.isinf(x).any():
            raise ValueError("x must hold finite values, or NaN where one is missing; got an infinite value")
        return self._observed(h, x)

    def _observed(self, h, x):
        seen = ~torch.isnan(x)
        new = self.cell(torch.cat([x.nan_to_num(0.0), seen.to(x.dtype)], -1), h)
        return torch.where(seen.any(-1, keepdim=True), new, h)

    def _check_state(self, h):
        _sequences.real_of("h", h, self, self.readout.weight.dtype)
        _checks.last_axis(self, h, self.hidden)

    def states(self, x: Tensor, t: Tensor) -> Tensor:
        """h just after each time, (n, length, hidden).

        Args:
            x: (n, length, channels), NaN where missing.
            t: (n, length), the times of each series, in the order of the rows and nowhere decreasing. A time that
                repeats the one before it lets nothing pass: with a row of NaN it is a pad for a series that is shorter
                than the others. Read in x's dtype.

        Raises:
            TypeError, ValueError: x is no such series in the dtype of the parameters, or t not its times.
        """
        _series.series(x, ("n", "length", self.channels))
        _sequences.real_of("x", x, self, self.readout.weight.dtype)
        if torch.is_tensor(t) and t.dim() != 2:
            raise ValueError(f"t must have shape (n, length) = {tuple(x.shape[:2])}; got {tuple(t.shape)}")
        if torch.is_tensor(t) and t.is_complex():
            raise TypeError(f"t must be a tensor of real times; got {t.dtype}")
        _series.clock(t, x.shape[:2])
        seen = (~torch.isnan(x)).any(-1).any(0).tolist()  # in one look: whether anybody sees anything
        h, states = x.new_zeros(len(x), self.hidden), []
        gaps = t.to(x).diff(dim=1).unbind(1)
        for k, (x_k, anything) in enumerate(zip(x.unbind(1), seen, strict=True)):
            if k > 0:
                h = self._evolved(h, gaps[k - 1])
            if anything:
                h = self._observed(h, x_k)
            states.append(h)
        return torch.stack(states, 1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The outputs at every time, (n, length, outputs); a row of x without observation is a question, not data.

        Args, raises: as `states`.
        """
        return self.readout(self.states(x, t))

    def extra_repr(self) -> str:
        return f"channels={self.channels}, hidden={self.hidden}, method={self.method!r}, steps={self.steps}"
