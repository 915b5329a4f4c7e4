"""Control paths: a curve through the observations of a series, on which `cdeint` drives an equation.

A series is x (..., length, channels), float32 or float64, NaN where a value is missing; its times t, (length,), are
shared by the whole batch. Names and conventions are torchcde's (Kidger et al. 2020, arXiv 2005.08926); three things
differ. Coefficients with missing values are computed for the whole batch at once. A channel without any observation is
an error, where torchcde makes it zero. And a path is asked only inside its interval.
"""

from __future__ import annotations

import operator

import torch
from torch import Tensor, nn

# --- coefficients -------------------------------------------------------------------------------------------------


def forward_fill(x: Tensor) -> Tensor:
    """Each missing value becomes the last one observed before it; what precedes the first observation stays NaN.

    Args:
        x: (..., length, channels), NaN where missing.

    Returns:
        Shaped like x.

    Raises:
        TypeError, ValueError: x is no such series, or holds an infinite value.
    """
    _check_series(x, least=1)
    before, _ = _neighbours(~torch.isnan(x))
    return torch.where(before < 0, torch.nan, x.gather(-2, before.clamp_min(0)))


def linear_interpolation_coeffs(x: Tensor, t: Tensor | None = None, rectilinear: int | None = None) -> Tensor:
    """The knots of the piecewise-linear path through the observed values.

    Args:
        x: (..., length ≥ 2, channels), NaN where missing. Before the first and after the last observation of a channel
            the path is constant.
        t: Times, (length,), strictly increasing, read in x's dtype; None means 0, 1, ….
        rectilinear: The channel that holds time, 0 ≤ rectilinear < channels, without missing values and nowhere
            decreasing. Time then moves first and the values follow, so that the path up to any time depends on nothing
            observed later, as long as each channel begins with a value: one that does not is filled backwards. The
            result has 2 · length − 1 knots, at times 0, 1, …, and `t` must be None.

    Returns:
        (..., length, channels) without NaN, for `LinearInterpolation`. With missing values, and without `rectilinear`,
        a gap is bridged towards the *next* observation: not causal.

    Raises:
        TypeError, ValueError: An argument is not as above, a value is infinite, or a channel of a series has no
            observation (torchcde makes such a channel zero).
    """
    _check_observed(x)
    if rectilinear is not None:
        x, t = _rectilinear(x, t, rectilinear), None
    return _linear(x, _times(t, x))


def natural_cubic_coeffs(x: Tensor, t: Tensor | None = None) -> Tensor:
    """The pieces of the natural cubic spline through the observed values: twice continuously differentiable, and every
    piece depends on every observation, the later ones included.

    Args:
        x: (..., length ≥ 2, channels), NaN where missing; ends as in `linear_interpolation_coeffs`.
        t: Times, (length,), strictly increasing, read in x's dtype; None means 0, 1, ….

    Returns:
        (..., length − 1, 4 · channels), the coefficients a, b, 2c, 3d of a + bs + cs² + ds³ in s = time since the left
        end of the interval, for `CubicSpline`. The spline is of order 4 away from its ends, and of order 2 near them,
        where the data's second derivative is not zero as the spline's is.

    Raises:
        TypeError, ValueError: As `linear_interpolation_coeffs`.
    """
    _check_observed(x)
    t, length = _times(t, x), x.shape[-2]
    before, after = _neighbours(~torch.isnan(x))
    ends = (before < 0) | (after >= length)
    x, known = torch.where(ends, _linear(x, t), x), ends | ~torch.isnan(x)
    # the observed knots of each channel to the front; `r` = 1 / length of a piece, 0 for the pieces that do not exist
    order = (~known).to(torch.int8).argsort(dim=-2, stable=True)
    knots, values = t[order], x.gather(-2, order).nan_to_num(0.0)
    exists = torch.arange(1, length, device=x.device)[:, None] < known.sum(-2, keepdim=True)
    r = torch.where(exists, 1 / (knots.diff(dim=-2)), 0.0)
    rise = values.diff(dim=-2)
    slope = _tridiagonal(r, 3 * rise * r**2)
    left, right = slope[..., :-1, :], slope[..., 1:, :]
    two_c, three_d = (6 * rise * r - 4 * left - 2 * right) * r, (3 * (left + right) - 6 * rise * r) * r**2
    # back to the intervals of t: expand the piece that covers each of them around the interval's left end
    piece = (known.cumsum(-2) - 1)[..., :-1, :].clamp_max(length - 2)
    s = t[:-1, None] - knots.gather(-2, piece)
    a, b, two_c, three_d = (c.gather(-2, piece) for c in (values[..., :-1, :], left, two_c, three_d))
    a = a + s * (b + s * (two_c / 2 + s * three_d / 3))
    b = b + s * (two_c + s * three_d)
    return torch.cat([a, b, two_c + 2 * s * three_d, three_d], -1)


def hermite_cubic_coefficients_with_backward_differences(x: Tensor, t: Tensor | None = None) -> Tensor:
    """The pieces of a cubic path whose slope at each knot is that of the line arriving there: once continuously
    differentiable, and the path up to a knot depends on nothing observed after it. Missing values are bridged linearly
    before, which is *not* causal: fill them forward where that matters.

    Args:
        x, t: As `natural_cubic_coeffs`.

    Returns:
        (..., length − 1, 4 · channels), for `CubicSpline` (Morrill et al. 2022, arXiv 2106.11028).

    Raises:
        TypeError, ValueError: As `linear_interpolation_coeffs`.
    """
    _check_observed(x)
    t = _times(t, x)
    x, h = _linear(x, t), t.diff()[:, None]
    arriving = x.diff(dim=-2) / h
    leaving = torch.cat([arriving[..., :1, :], arriving[..., :-1, :]], -2)
    two_c = 4 * (arriving - leaving) / h
    return torch.cat([x[..., :-1, :], leaving, two_c, -3 * (arriving - leaving) / h**2], -1)


# --- paths --------------------------------------------------------------------------------------------------------


class CubicSpline(nn.Module):
    """A path of cubic pieces, X(t) = a + bs + cs² + ds³ with s = t − (left end of the piece).

    Args:
        coeffs: (..., length − 1, 4 · channels), as the functions above make them.
        t: The knots, (length ≥ 2,), strictly increasing, read in the dtype of the coefficients; None means 0, 1, ….

    Attributes:
        grid_points: The knots, (length,).
        interval: The first and the last of them, (2,).

    Raises:
        TypeError, ValueError: An argument is not as above, or a coefficient is not finite.
    """

    def __init__(self, coeffs: Tensor, t: Tensor | None = None):
        super().__init__()
        _check_coefficients(coeffs, least=1)
        if coeffs.shape[-1] % 4:
            raise ValueError(f"coeffs must have shape (..., length - 1, 4 · channels); got {tuple(coeffs.shape)}")
        self.register_buffer("grid_points", _times(t, coeffs, coeffs.shape[-2] + 1))
        for name, part in zip(("a", "b", "two_c", "three_d"), coeffs.chunk(4, -1), strict=True):
            self.register_buffer(name, part)

    @property
    def interval(self) -> Tensor:
        return self.grid_points[[0, -1]]

    def evaluate(self, t: Tensor | float) -> Tensor:
        """X(t): t of any shape, within the interval, gives (..., *t.shape, channels).

        Raises:
            ValueError: A time lies outside the interval, or is NaN.
        """
        s, k = self._at(t)
        a, b, two_c, three_d = (c[..., k, :] for c in (self.a, self.b, self.two_c, self.three_d))
        return a + s * (b + s * (two_c / 2 + s * three_d / 3))

    def derivative(self, t: Tensor | float, piece: int | None = None) -> Tensor:
        """dX/dt, (..., *t.shape, channels): at a knot the slope arriving there.

        Args:
            t: Times within the interval.
            piece: The number of the interval between two knots whose polynomial is asked, as a solver does that walks
                from knot to knot: `t` is not looked at then.

        Raises:
            ValueError: As `evaluate`.
        """
        s, k = self._at(t, piece)
        b, two_c, three_d = (c[..., k, :] for c in (self.b, self.two_c, self.three_d))
        return torch.addcmul(b, s, torch.addcmul(two_c, s, three_d))

    def _at(self, t, piece=None):
        """Time since the left end of the piece that covers t, with an axis for channels, and the piece's number."""
        t = _moments(t, self.grid_points)
        if piece is None:
            _check_inside(t, self.grid_points)
            piece = torch.bucketize(t.detach().contiguous(), self.grid_points) - 1
            piece = piece.clamp(0, len(self.grid_points) - 2)
        return (t - self.grid_points[piece])[..., None], piece


class LinearInterpolation(CubicSpline):
    """The path of straight pieces between knots.

    Args:
        coeffs: Its values there, (..., length ≥ 2, channels), finite, as `linear_interpolation_coeffs` makes them.
        t: The knots, (length,), strictly increasing; None means 0, 1, ….

    Raises:
        TypeError, ValueError: An argument is not as above.
    """

    def __init__(self, coeffs: Tensor, t: Tensor | None = None):
        _check_coefficients(coeffs, least=2)
        t = _times(t, coeffs)
        slope = coeffs.diff(dim=-2) / t.diff()[:, None]
        nothing = torch.zeros_like(slope)
        super().__init__(torch.cat([coeffs[..., :-1, :], slope, nothing, nothing], -1), t)

    def derivative(self, t: Tensor | float, piece: int | None = None) -> Tensor:
        """As `CubicSpline.derivative`."""
        return self.b[..., self._at(t)[1] if piece is None else piece, :]


# name → (coefficients, path)
PATHS = {
    "linear": (linear_interpolation_coeffs, LinearInterpolation),
    "natural_cubic": (natural_cubic_coeffs, CubicSpline),
    "hermite": (hermite_cubic_coefficients_with_backward_differences, CubicSpline),
}


def control_path(x: Tensor, t: Tensor | None = None, interpolation: str = "linear") -> CubicSpline:
    """The control path through a series.

    Args:
        x: (..., length ≥ 2, channels), NaN where missing, at least one observation in each channel of each series.
        t: Times, (length,), strictly increasing; None means 0, 1, ….
        interpolation: "linear" (order 2, kinks at the knots), "natural_cubic" (order 4 away from the ends, depends on
            the future) or "hermite" (order 2, smooth, causal where nothing is missing).

    Returns:
        A path with `evaluate`, `derivative`, `grid_points` and `interval`.

    Raises:
        TypeError, ValueError: As `linear_interpolation_coeffs`, or the interpolation is unknown.
    """
    check_interpolation(interpolation)
    coefficients, kind = PATHS[interpolation]
    return kind(coefficients(x, t), t)


def check_interpolation(interpolation: str) -> str:
    """`interpolation` when it is the name of one.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(interpolation, str) or interpolation not in PATHS:
        raise ValueError(f"interpolation must be one of {', '.join(map(repr, PATHS))}; got {interpolation!r}")
    return interpolation


# --- numerics -----------------------------------------------------------------------------------------------------


def _neighbours(known):
    """For each place the last observed index up to it (−1: none), and the first from it onwards (length: none)."""
    index = torch.arange(known.shape[-2], device=known.device)[:, None].expand(known.shape)
    before = torch.where(known, index, -1).cummax(-2).values
    after = torch.where(known, index, known.shape[-2]).flip(-2).cummin(-2).values.flip(-2)
    return before, after


def _linear(x, t):
    """x with its gaps bridged linearly and its ends held constant."""
    before, after = _neighbours(~torch.isnan(x))
    last = x.shape[-2] - 1
    left = torch.where(before < 0, after.clamp_max(last), before)
    right = torch.where(after > last, left, after)
    start, width = t[left], t[right] - t[left]
    # at an observation, and beyond the ends, both neighbours are one
    share = torch.where(width > 0, (t[:, None] - start) / torch.where(width > 0, width, 1), 0)
    low = x.gather(-2, left)
    return low + share * (x.gather(-2, right) - low)


def _rectilinear(x, t, channel):
    """The series with 2 · length − 1 knots in which time moves first and the values follow."""
    if t is not None:
        raise ValueError(f"t must be None with rectilinear, since time is a channel there; got {type(t).__name__}")
    try:
        channel = operator.index(channel)
    except TypeError:
        raise TypeError(f"rectilinear must be the number of a channel; got {channel!r:.80}") from None
    if not 0 <= channel < x.shape[-1]:
        raise ValueError(f"rectilinear must be a channel from 0 to {x.shape[-1] - 1}; got {channel}")
    time = x[..., channel]
    if torch.isnan(time).any():
        raise ValueError(f"x must have no missing time in the rectilinear channel {channel}; got NaN")
    if (time.diff() < 0).any():
        raise ValueError(f"x must have times that do not decrease in the rectilinear channel {channel}; got a decrease")
    x = forward_fill(x).repeat_interleave(2, dim=-2)
    time = x[..., channel].roll(-1, -1)  # each value waits until the time of the next one has come
    return torch.cat([x[..., :channel], time[..., None], x[..., channel + 1 :]], -1)[..., :-1, :]


def _tridiagonal(r, pull):
    """Slopes m_i of the natural spline: r_{i−1} m_{i−1} + 2 (r_{i−1} + r_i) m_i + r_i m_{i+1} = pull_{i−1} + pull_i.

    Thomas's elimination along axis −2; knots without neighbours get slope 0.
    """
    zero = torch.zeros_like(r[..., :1, :])
    r, pull = torch.cat([zero, r, zero], -2).unbind(-2), torch.cat([zero, pull, zero], -2).unbind(-2)
    upper, right = [], []
    for left_r, right_r, left_pull, right_pull in zip(r, r[1:], pull, pull[1:], strict=False):
        pivot, b = 2 * (left_r + right_r), left_pull + right_pull
        if upper:
            pivot, b = pivot - left_r * upper[-1], b - left_r * right[-1]
        pivot = torch.where(pivot == 0, 1.0, pivot)
        upper.append(right_r / pivot)
        right.append(b / pivot)
    slopes = [right[-1]]
    for u, b in zip(upper[-2::-1], right[-2::-1], strict=True):
        slopes.append(b - u * slopes[-1])
    return torch.stack(slopes[::-1], -2)


# --- arguments ----------------------------------------------------------------------------------------------------


def _check_tensor(name, x, shape, least):
    if not torch.is_tensor(x):
        raise TypeError(f"{name} must be a torch.Tensor; got {type(x).__name__}")
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be of dtype float32 or float64; got {x.dtype}")
    if x.dim() < 2 or x.shape[-2] < least or x.shape[-1] < 1:
        raise ValueError(f"{name} must have shape {shape}; got {tuple(x.shape)}")


def _check_series(x, least):
    _check_tensor("x", x, f"(..., length, channels) with length ≥ {least}", least)
    if torch.isinf(x).any():
        raise ValueError("x must hold finite values, or NaN where one is missing; got an infinite value")


def _check_observed(x):
    """A series of two rows or more, each channel of which has been observed."""
    _check_series(x, least=2)
    unseen = torch.isnan(x).all(-2)
    if unseen.any():
        *series, channel = unseen.nonzero()[0].tolist()
        where = f"channel {channel}"
        if series:
            where += f" of series {series[0] if len(series) == 1 else tuple(series)}"
        raise ValueError(f"x must hold an observation in each channel; got NaN alone: {where} has no observation")


def _check_coefficients(coeffs, least):
    _check_tensor("coeffs", coeffs, f"(..., at least {least}, channels or 4 · channels)", least)
    if not torch.isfinite(coeffs).all():
        raise ValueError("coeffs must be finite; got an infinite value, or NaN, as only a series x may have")


def _times(t, x, length=None):
    """The knots in the dtype and on the device of x: one for each of its rows, or `length` of them."""
    length = x.shape[-2] if length is None else length
    if t is None:
        return torch.arange(length, dtype=x.dtype, device=x.device)
    if not torch.is_tensor(t):
        raise TypeError(f"t must be a torch.Tensor of times, or None; got {type(t).__name__}")
    if t.shape != (length,):
        raise ValueError(f"t must have shape ({length},), a time for each knot; got {tuple(t.shape)}")
    if t.is_complex() or t.requires_grad:
        raise ValueError("t must be real and not require a gradient: times are constants here; got one that is not so")
    t = t.to(x)
    if not (torch.isfinite(t).all() and (t.diff() > 0).all()):
        raise ValueError(f"t must be finite and strictly increasing in {x.dtype}; got {t.tolist()!r:.80}")
    return t


def _moments(t, knots):
    """Times in the dtype and on the device of the knots."""
    try:
        real = not (t.is_complex() if torch.is_tensor(t) else isinstance(t, complex))
        moments = torch.as_tensor(t, dtype=knots.dtype, device=knots.device) if real else None
    except (TypeError, ValueError, RuntimeError):
        moments = None
    if moments is None:
        raise TypeError(f"t must be a real number or a tensor of real numbers; got {t!r:.80}")
    return moments


def _check_inside(t, knots):
    low, high = knots[0], knots[-1]
    slack = 4 * torch.finfo(knots.dtype).eps * torch.maximum(low.abs(), high.abs())
    if not ((t >= low - slack) & (t <= high + slack)).all():  # so that NaN is outside, too
        got = f"{t.min().item():g} to {t.max().item():g}"
        raise ValueError(f"t must lie within the path's interval [{low.item():g}, {high.item():g}]; got {got}")
