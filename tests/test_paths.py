"""Control paths: known orders, what depends on the future and how far, gaps, torchcde's values, clear errors."""

from __future__ import annotations

import copy
import json
import math

import pytest
import torch

from bench.store_torchcde import FILE, KINDS, LENGTH, SERIES, asked, knots, series
from helpers.solvers import (
    PATHS,
    CubicSpline,
    LinearInterpolation,
    control_path,
    forward_fill,
    linear_interpolation_coeffs,
    natural_cubic_coeffs,
)
from helpers.solvers.analysis import observed_order

from .support import DEVICES, DTYPES

NAN = math.nan


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def column(*values):
    return torch.tensor(values)[:, None]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


# --- what all of them promise -------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("batch", [(), (5,), (2, 3)], ids=["one", "five", "two by three"])
def test_takes_any_leading_axes_and_keeps_dtype_and_device(kind, batch, dtype, device):
    x = torch.randn(*batch, 6, 2, generator=seeded(0)).to(device, dtype)
    before = x.clone()
    X = control_path(x, knots()[:6], kind)
    for t, shape in ((1.0, ()), (torch.tensor(1.0), ()), (X.grid_points, (6,)), (X.grid_points.reshape(2, 3), (2, 3))):
        for y in (X.evaluate(t), X.derivative(t)):
            assert (y.shape, y.dtype, y.device.type) == ((*batch, *shape, 2), dtype, device)
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(X.evaluate(X.grid_points), x, rtol=0, atol=tolerance)
    assert torch.equal(x, before), "the input was changed in place"


def test_a_batch_is_its_series_one_by_one(kind):
    x, t = series()["gaps"], knots()
    together = control_path(x.reshape(2, 2, LENGTH, -1), t, kind).evaluate(asked()).reshape(SERIES, -1, x.shape[-1])
    alone = torch.stack([control_path(y, t, kind).evaluate(asked()) for y in x])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-14)


def test_passes_through_what_was_observed(kind):
    x, t = series()["gaps"], knots()
    missed = (control_path(x, t, kind).evaluate(t) - x)[~x.isnan()]
    assert missed.abs().max() < 1e-12


def test_is_constant_beyond_the_first_and_the_last_observation(kind):
    x = column(NAN, NAN, 2.0, 5.0, NAN, NAN)
    X = control_path(x, interpolation=kind)
    early, late = X.evaluate(torch.tensor([0.0, 0.7])), X.evaluate(torch.tensor([5.0]))
    # a natural spline passes the constant values smoothly, so it is they that are given, not the path between them
    torch.testing.assert_close(late, column(5.0), rtol=0, atol=1e-12)
    torch.testing.assert_close(early[:1], column(2.0), rtol=0, atol=1e-12)
    if kind != "natural_cubic":
        torch.testing.assert_close(early[1:], column(2.0), rtol=0, atol=1e-12)


def test_times_are_read_in_the_dtype_of_the_series_and_counted_without_any(kind):
    x = torch.randn(5, 2, generator=seeded(1))
    ours = control_path(x, interpolation=kind)
    assert ours.grid_points.tolist() == [0, 1, 2, 3, 4] and ours.interval.tolist() == [0, 4]
    torch.testing.assert_close(ours.evaluate(2.3), control_path(x, torch.arange(5), kind).evaluate(2.3))


def test_the_derivative_is_that_of_the_path(kind):
    X = control_path(series()["gaps"], knots(), kind)
    t = (X.grid_points[:-1] + 0.37 * X.grid_points.diff()).requires_grad_()
    slopes = X.derivative(t.detach())
    for channel in range(slopes.shape[-1]):
        (by_autograd,) = torch.autograd.grad(X.evaluate(t)[..., channel].sum(0).sum(), t)
        torch.testing.assert_close(by_autograd, slopes[..., channel].sum(0), rtol=0, atol=1e-11)


def test_a_solver_may_ask_for_the_slope_of_either_piece_at_a_knot(kind):
    X = control_path(torch.randn(6, 2, generator=seeded(2)), interpolation=kind)
    eps = 1e-7
    for piece, nearby in ((1, 2 - eps), (2, 2 + eps)):
        torch.testing.assert_close(X.derivative(2.0, piece), X.derivative(nearby), rtol=0, atol=1e-5)
    torch.testing.assert_close(X.derivative(2.0), X.derivative(2.0, 1), rtol=0, atol=0)
    kinked = (X.derivative(2.0, 1) - X.derivative(2.0, 2)).abs().max() > 1e-9
    assert kinked == (kind == "linear")


def test_the_natural_spline_has_two_derivatives_and_none_of_second_order_at_its_ends():
    X = CubicSpline(natural_cubic_coeffs(torch.randn(7, 2, generator=seeded(3)), knots()[:7]), knots()[:7])
    second = X.two_c + X.three_d * 2 * X.grid_points.diff()[:, None]
    torch.testing.assert_close(second[:-1], X.two_c[1:], rtol=0, atol=1e-9)
    torch.testing.assert_close(torch.stack([X.two_c[0], second[-1]]), torch.zeros(2, 2), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["complete", "gaps", "ragged"])
def test_coefficients_are_differentiable_where_values_are_observed(kind, name):
    x, t = series()[name][:2], knots()
    seen = ~x.isnan()
    values = x[seen].clone().requires_grad_()

    def looked_at(values):
        full = torch.full_like(x, torch.nan).masked_scatter(seen, values)
        X = control_path(full, t, kind)
        return torch.cat([X.evaluate(asked()[::4]), X.derivative(asked()[::4])])

    assert torch.autograd.gradcheck(looked_at, (values,))


def test_the_gradient_of_a_missing_value_is_zero(kind):
    x = series()["gaps"].requires_grad_()
    control_path(x, knots(), kind).evaluate(asked()).square().sum().backward()
    assert x.grad.isfinite().all() and not x.grad[x.isnan()].any() and x.grad[~x.isnan()].any()


def test_copies_and_moves_as_a_module_does(kind):
    X = control_path(torch.randn(5, 2, generator=seeded(4)), interpolation=kind)
    torch.testing.assert_close(copy.deepcopy(X).evaluate(1.5), X.evaluate(1.5), rtol=0, atol=0)
    assert X.to(torch.float32).evaluate(1.5).dtype == torch.float32


# --- order, causality, memory -------------------------------------------------------------------------------------


def curve(t):
    return torch.exp(torch.sin(3 * t))


@pytest.mark.parametrize("kind, low, high, expected", [
    ("linear", 0.0, 1.0, 2),
    ("natural_cubic", 0.25, 0.75, 4),
    ("natural_cubic", 0.0, 1.0, 2),
    ("hermite", 0.0, 1.0, 2),
])  # fmt: skip
def test_order(kind, low, high, expected):
    counts, fine, errors = [16, 32, 64, 128], torch.linspace(low, high, 2001), []
    for n in counts:
        t = torch.linspace(0, 1, n + 1)
        errors.append((control_path(curve(t)[:, None], t, kind).evaluate(fine)[:, 0] - curve(fine)).abs().max().item())
    assert observed_order(counts, errors) == pytest.approx(expected, abs=0.1)


def changes(kind, back, n=40):
    """How far the path moves, up to `back` knots before its end, when its last value rises by one."""
    x = torch.randn(n, 1, generator=seeded(6))
    moved = x.clone()
    moved[-1] += 1
    times = torch.linspace(0, n - 1 - back, 20 * n)
    before, after = (control_path(y, interpolation=kind).evaluate(times) for y in (x, moved))
    return (after - before).abs().max().item()


def test_linear_and_hermite_paths_depend_on_nothing_later_and_the_natural_spline_on_everything():
    assert changes("linear", 1) == changes("hermite", 1) == 0
    # half-way through the last piece s² (2 − s) of the change has come, on the straight path s of it
    assert changes("linear", 0.5) == pytest.approx(1 / 2) and changes("hermite", 0.5) == pytest.approx(3 / 8)
    reach = [changes("natural_cubic", k) for k in (1, 2, 3, 4, 5)]
    assert reach[0] > 0.05
    for nearer, further in zip(reach[1:], reach[2:], strict=False):
        # a natural spline forgets by the root of r² + 4r + 1 a knot
        assert further / nearer == pytest.approx(2 - math.sqrt(3), abs=0.002)


def test_a_gap_that_is_bridged_sees_the_future_and_one_that_is_filled_forward_does_not():
    x = column(0.0, NAN, 1.0)
    assert control_path(x).evaluate(1.0).item() == 0.5
    assert control_path(forward_fill(x)).evaluate(1.0).item() == 0


def test_forward_fill_repeats_the_last_observation():
    x = torch.tensor([[NAN, 1.0, NAN, NAN, 3.0, NAN], [NAN] * 6]).T
    expected = torch.tensor([[NAN, 1.0, 1.0, 1.0, 3.0, 3.0], [NAN] * 6]).T
    torch.testing.assert_close(forward_fill(x), expected, equal_nan=True)
    torch.testing.assert_close(forward_fill(x[None])[0], expected, equal_nan=True)


def timed_series():
    """Time in channel 1, values around it, with gaps."""
    x = series()["gaps"].clone()
    x[..., 1] = knots()
    x[:, 0] = x[:, 0].nan_to_num(0.0)
    return x


def test_a_rectilinear_path_lets_time_pass_first_and_then_the_values_follow():
    x = torch.tensor([[0.0, 5.0], [2.0, NAN], [3.0, 7.0]])
    expected = torch.tensor([[0.0, 5.0], [2.0, 5.0], [2.0, 5.0], [3.0, 5.0], [3.0, 7.0]])
    torch.testing.assert_close(linear_interpolation_coeffs(x, rectilinear=0), expected)
    torch.testing.assert_close(linear_interpolation_coeffs(x.flip(-1), rectilinear=1), expected.flip(-1))


def test_a_rectilinear_path_is_causal_with_gaps_too():
    x = timed_series()
    moved = x.clone()
    moved[:, 5:] += 1  # times as well
    before, after = (LinearInterpolation(linear_interpolation_coeffs(y, rectilinear=1)) for y in (x, moved))
    t = torch.linspace(0, 8, 81)  # up to knot 8, the values of row 4
    torch.testing.assert_close(before.evaluate(t), after.evaluate(t), rtol=0, atol=0)
    assert (before.evaluate(9.0) - after.evaluate(9.0)).abs().max() > 0.5


def test_a_rectilinear_channel_that_begins_with_nothing_is_filled_backwards():
    x = torch.tensor([[0.0, NAN], [1.0, 4.0]])
    assert linear_interpolation_coeffs(x, rectilinear=0)[0].tolist() == [0, 4]


# --- torchcde -----------------------------------------------------------------------------------------------------

STORED = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["complete", "gaps", "ragged"])
def test_agrees_with_torchcde(kind, name):
    X = control_path(series()[name], knots(), kind)
    for ours, theirs in ((X.evaluate(asked()), "values"), (X.derivative(asked()), "slopes")):
        torch.testing.assert_close(ours, torch.tensor(STORED[theirs][f"{name} {kind}"]), rtol=0, atol=1e-12)


def test_rectilinear_knots_are_torchcdes():
    x = series()["gaps"]
    timed = torch.cat([knots().expand(SERIES, LENGTH)[..., None], x], -1)
    timed[:, 0] = timed[:, 0].nan_to_num(0.0)
    ours = linear_interpolation_coeffs(timed, rectilinear=0)
    torch.testing.assert_close(ours, torch.tensor(STORED["rectilinear"]), rtol=0, atol=1e-14)
    assert STORED["torchcde"].split(".") >= ["0", "2", "5"]


# --- bad input ----------------------------------------------------------------------------------------------------

COEFFICIENTS = [coefficients for coefficients, _ in PATHS.values()]
GOOD = torch.tensor([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0]], dtype=torch.float64)


def with_entry(value, *place):
    x = GOOD.clone()
    x[place] = value
    return x


@pytest.mark.parametrize("coefficients", COEFFICIENTS, ids=KINDS)
@pytest.mark.parametrize("x, error, words", [
    (GOOD.tolist(), TypeError, "x must be a torch.Tensor; got list"),
    (GOOD.long(), TypeError, "x must be of dtype float32 or float64; got torch.int64"),
    (GOOD[0], ValueError, r"x must have shape \(\.\.\., length, channels\) with length ≥ 2; got \(2,\)"),
    (GOOD[:1], ValueError, r"x must have shape .* length ≥ 2; got \(1, 2\)"),
    (GOOD[:, :0], ValueError, r"x must have shape .*; got \(3, 0\)"),
    (with_entry(math.inf, 1, 0), ValueError, "x must hold finite values, or NaN where one is missing; got an infinite"),
    (with_entry(NAN, slice(None), 1), ValueError, "x must hold .*: channel 1 has no observation"),
    (torch.stack([GOOD, with_entry(NAN, slice(None), 0)]), ValueError, "channel 0 of series 1 has no observation"),
    (with_entry(NAN, slice(None), 1)[None, None], ValueError, r"channel 1 of series \(0, 0\) has no observation"),
], ids=["list", "int", "one axis", "one row", "no channel", "inf", "unseen", "in a batch", "two axes"])  # fmt: skip
def test_a_bad_series_is_named(coefficients, x, error, words):
    with pytest.raises(error, match=words):
        coefficients(x)


@pytest.mark.parametrize("coefficients", COEFFICIENTS, ids=KINDS)
@pytest.mark.parametrize("t, error, words", [
    ([0.0, 1.0, 2.0], TypeError, "t must be a torch.Tensor of times, or None; got list"),
    (torch.tensor([0.0, 1.0]), ValueError, r"t must have shape \(3,\), a time for each knot; got \(2,\)"),
    (torch.tensor([0.0, 1.0, 1.0]), ValueError, "t must be finite and strictly increasing .*; got"),
    (torch.tensor([2.0, 1.0, 0.0]), ValueError, "t must be finite and strictly increasing .*; got"),
    (torch.tensor([0.0, NAN, 2.0]), ValueError, "t must be finite and strictly increasing .*; got"),
    (torch.tensor([0.0, 1.0, math.inf]), ValueError, "t must be finite and strictly increasing .*; got"),
    (torch.tensor([0.0, 1.0, 2.0], requires_grad=True), ValueError, "t must be real and not require a gradient"),
], ids=["list", "short", "equal", "backwards", "nan", "inf", "gradient"])  # fmt: skip
def test_bad_times_are_named(coefficients, t, error, words):
    with pytest.raises(error, match=words):
        coefficients(GOOD, t)


def test_times_that_float32_cannot_tell_apart_are_named():
    t = torch.tensor([0.0, 1.0, 1.0 + 1e-9])
    control_path(GOOD, t)
    with pytest.raises(ValueError, match="t must be finite and strictly increasing in torch.float32"):
        control_path(GOOD.float(), t)


@pytest.mark.parametrize("x, arguments, error, words", [
    (GOOD, {"rectilinear": 2}, ValueError, "rectilinear must be a channel from 0 to 1; got 2"),
    (GOOD, {"rectilinear": -1}, ValueError, "rectilinear must be a channel from 0 to 1; got -1"),
    (GOOD, {"rectilinear": 0.5}, TypeError, "rectilinear must be the number of a channel; got 0.5"),
    (GOOD, {"rectilinear": 0, "t": torch.arange(3.0)}, ValueError, "t must be None with rectilinear"),
    (with_entry(NAN, 1, 0), {"rectilinear": 0}, ValueError, "x must have no missing time in the rectilinear channel 0"),
    (GOOD.flip(0), {"rectilinear": 0}, ValueError, "x must have times that do not decrease in .* channel 0"),
], ids=["too large", "negative", "half", "t", "missing", "backwards"])  # fmt: skip
def test_a_bad_rectilinear_channel_is_named(x, arguments, error, words):
    with pytest.raises(error, match=words):
        linear_interpolation_coeffs(x, **arguments)


@pytest.mark.parametrize("kind", ["cubic", None, ["linear"]], ids=["cubic", "none", "list"])
def test_an_unknown_interpolation_is_named(kind):
    with pytest.raises(ValueError, match="interpolation must be one of 'linear', 'natural_cubic', 'hermite'; got"):
        control_path(GOOD, interpolation=kind)


@pytest.mark.parametrize("path, coeffs, error, words", [
    (LinearInterpolation, with_entry(NAN, 1, 0), ValueError, "coeffs must be finite; got"),
    (LinearInterpolation, GOOD[:1], ValueError, r"coeffs must have shape .*; got \(1, 2\)"),
    (LinearInterpolation, GOOD.int(), TypeError, "coeffs must be of dtype float32 or float64; got torch.int32"),
    (CubicSpline, GOOD, ValueError, r"coeffs must have shape \(\.\.\., length - 1, 4 · channels\); got \(3, 2\)"),
    (CubicSpline, torch.full((2, 4), NAN), ValueError, "coeffs must be finite; got"),
    (CubicSpline, torch.zeros(0, 4), ValueError, r"coeffs must have shape .*; got \(0, 4\)"),
    (CubicSpline, None, TypeError, "coeffs must be a torch.Tensor; got NoneType"),
], ids=["nan", "one knot", "int", "not fourfold", "cubic nan", "no piece", "none"])  # fmt: skip
def test_bad_coefficients_are_named(path, coeffs, error, words):
    with pytest.raises(error, match=words):
        path(coeffs)


def test_a_spline_wants_one_knot_more_than_pieces():
    with pytest.raises(ValueError, match=r"t must have shape \(4,\), a time for each knot; got \(3,\)"):
        CubicSpline(torch.zeros(3, 8), torch.arange(3.0))


@pytest.mark.parametrize("t", [-0.1, 2.1, NAN, torch.tensor([0.5, 2.5])], ids=["before", "after", "nan", "one of two"])
def test_a_path_is_not_asked_outside_its_interval(kind, t):
    X = control_path(GOOD, interpolation=kind)
    for ask in (X.evaluate, X.derivative):
        with pytest.raises(ValueError, match=r"t must lie within the path's interval \[0, 2\]; got"):
            ask(t)


def test_an_end_is_inside_though_it_was_rounded(kind):
    t = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    X = control_path(GOOD.float(), t, kind)
    torch.testing.assert_close(X.evaluate(t[-1]), GOOD[-1].float())
    torch.testing.assert_close(X.evaluate(0.7 + 1e-8), GOOD[-1].float())


@pytest.mark.parametrize("t", ["noon", None, 1j, torch.tensor([0.0, 1j])], ids=["word", "none", "complex", "tensor"])
@pytest.mark.parametrize("kind", ["linear", "natural_cubic"])
def test_a_path_is_asked_at_real_numbers_only(kind, t):
    path = control_path(torch.zeros(3, 1), interpolation=kind)
    for ask in (path.evaluate, path.derivative):
        with pytest.raises(TypeError, match="t must be a real number or a tensor of real numbers; got"):
            ask(t)
