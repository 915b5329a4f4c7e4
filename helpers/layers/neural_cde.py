"""A recurrent network in continuous time: an equation that is driven by the path through the data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from helpers.solvers import cdeint, control_path
from helpers.solvers.paths import check_interpolation
from helpers.solvers.solve_cde import FIXED_STEP

from . import _checks, _choice, _series


def with_time(x: Tensor, t: Tensor, counts: bool = False) -> Tensor:
    """Time as first channel, then x, then (counts=True) how often each channel has been observed so far.

    Args:
        x: (..., length, channels), NaN where missing.
        t: (length,), or (..., length) where each series has times of its own: finite, nowhere decreasing, read in x's
            dtype.
        counts: Whether to append the counts, as shares of the length, which lie in [0, 1].

    Returns:
        (..., length, 1 + channels), or 1 + 2 · channels (Kidger et al. 2020, arXiv 2005.08926).

    Raises:
        TypeError, ValueError: x is no such series, or t not its times.
    """
    _series.series(x, ("...", "length", "channels"))
    _series.clock(t, x.shape[:-1])
    parts = [t.to(x).expand(x.shape[:-1])[..., None], x]
    if counts:
        parts.append((~torch.isnan(x)).to(x.dtype).cumsum(-2) / x.shape[-2])
    return torch.cat(parts, -1)


class CDEField(nn.Module):
    """F_θ(z) = tanh(W₂ relu(W₁ z + b₁) + b₂) as a matrix: (..., hidden) ↦ (..., hidden, channels).

    Args:
        hidden: Entries of z.
        channels: Of the path that drives it.
        width: Of the hidden layer; None means as many as `hidden`.
    """

    def __init__(self, hidden: int, channels: int, width: int | None = None):
        super().__init__()
        self.hidden = _checks.whole_number("hidden", hidden, at_least=1)
        self.channels = _checks.whole_number("channels", channels, at_least=1)
        width = self.hidden if width is None else _checks.whole_number("width", width, at_least=1)
        self.inner = nn.Linear(self.hidden, width)
        self.outer = nn.Linear(width, self.hidden * self.channels)

    def forward(self, t: float | Tensor, z: Tensor) -> Tensor:
        """F_θ(z), whatever t.

        Raises:
            ValueError: The last axis of z does not hold `hidden` entries.
        """
        _checks.last_axis(self, z, self.hidden)
        return torch.tanh(self.outer(torch.relu(self.inner(z)))).unflatten(-1, (self.hidden, self.channels))

    def extra_repr(self) -> str:
        return f"hidden={self.hidden}, channels={self.channels}"


class NeuralCDE(nn.Module):
    """z(0) = ζ(X(0)), dz = F_θ(z) dX, output = ℓ(z(T)), with ζ and ℓ affine (Kidger et al. 2020, arXiv 2005.08926).

    X is a path through the series, and z follows its shape alone: passed at another speed it leads to the same z. So
    time must be a *channel* of x (`with_time`) wherever speed carries information. The path's own parameter is the
    number of the observation, 0, 1, …: the series of a batch may have times of their own, each in its time channel.

    A channel without any observation in one series of a batch is taken as zero, as torchcde does; the functions of
    `helpers.solvers.paths` refuse it. A series that is shorter than the others of its batch may, with linear
    interpolation, be padded with NaN in every channel, time included: the path rests there, and z with it.

    Args:
        channels: Of x, time and counts included.
        hidden: Entries of z.
        outputs: Entries of the output.
        width: Hidden layer of the field; None means as many as `hidden`.
        interpolation: "linear", "natural_cubic" or "hermite", see `helpers.solvers.control_path`.
        method, steps: A fixed-step method of `odeint`, and how many steps it takes between two observations.

    Raises:
        TypeError, ValueError: A number is not positive and whole, or a name is unknown.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        outputs: int,
        *,
        width: int | None = None,
        interpolation: str = "linear",
        method: str = "rk4",
        steps: int = 1,
    ):
        super().__init__()
        self.field = CDEField(hidden, channels, width)
        self.initial = nn.Linear(channels, hidden)
        self.readout = nn.Linear(hidden, _checks.whole_number("outputs", outputs, at_least=1))
        self.interpolation = check_interpolation(interpolation)
        self.method = _choice.one_of("method", method, FIXED_STEP)
        self.steps = _checks.whole_number("steps", steps, at_least=1)

    def trajectory(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """z along the path.

        Args:
            x: (..., length ≥ 2, channels), NaN where missing.
            t: Parameters of the path, (m ≥ 2,), strictly increasing in [0, length − 1]; None means the observations'
                0, 1, …. The first must be 0, where z begins.

        Returns:
            (..., m, hidden).

        Raises:
            TypeError, ValueError: x is no such series, or t as it must not be.
        """
        self._check(x)
        x = torch.where(torch.isnan(x).all(-2, keepdim=True), 0.0, x)
        X = control_path(x, interpolation=self.interpolation)
        if t is None:
            t = X.grid_points
        elif not torch.is_tensor(t) or t.dim() != 1 or len(t) < 2 or t[0] != 0:
            got = t.tolist() if torch.is_tensor(t) else t
            raise ValueError(f"t must be a tensor of shape (m,), m ≥ 2, and begin at 0, as z does; got {got!r:.80}")
        start = self.initial(X.evaluate(X.grid_points[0]))
        return cdeint(X, self.field, start, t, method=self.method, options={"num_steps": self.steps})

    def forward(self, x: Tensor) -> Tensor:
        """(..., length, channels), NaN where missing ↦ (..., outputs).

        Raises:
            TypeError, ValueError: As `trajectory`.
        """
        self._check(x)
        ends = torch.tensor([0.0, max(1.0, x.shape[-2] - 1.0)], dtype=torch.float64)
        return self.readout(self.trajectory(x, ends)[..., -1, :])

    def _check(self, x):
        _series.series(x, ("...", "length", self.field.channels), dtype=self.readout.weight.dtype)

    def extra_repr(self) -> str:
        return f"interpolation={self.interpolation!r}, method={self.method!r}, steps={self.steps}"
