"""The series: what their sources say of them, what is missing, spirals in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from helpers.data import SPIRAL_TIMES, digit_rows, digits, mauna_loa_co2, sunspots, winding_spirals
from helpers.data.series import FILE

from .support import DTYPES


@pytest.fixture(params=DTYPES, ids=str)
def dtype(request):
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# --- measured -----------------------------------------------------------------------------------------------------


def test_the_sunspots_are_those_of_the_record(dtype):
    years, numbers = sunspots()
    assert years.dtype == numbers.dtype == dtype and years.tolist() == list(range(1700, 2009))
    known = {1700: 5.0, 1715: 27.0, 1816: 45.8, 1957: 190.2, 2008: 2.9}
    for year, number in known.items():
        assert numbers[year - 1700].item() == pytest.approx(number, abs=1e-5)
    assert numbers.argmax() == 1957 - 1700 and numbers.min() == 0
    torch.testing.assert_close(numbers, (10 * numbers.double()).round().div(10).to(dtype), rtol=0, atol=0)


def test_sunspots_come_and_go_in_eleven_years(double):
    _, numbers = sunspots()
    spectrum = torch.fft.rfft(numbers - numbers.mean()).abs()
    assert 309 / spectrum.argmax().item() == pytest.approx(11, abs=0.2)


def test_carbon_dioxide_is_that_of_the_record(dtype):
    years, ppm = mauna_loa_co2()
    assert years.shape == ppm.shape == (2284,) and years.dtype == ppm.dtype == dtype
    assert ppm.isnan().sum() == 59 and years.isfinite().all()
    seen = ppm[~ppm.isnan()]
    assert ppm[0].item() == pytest.approx(316.1, abs=1e-4) and ppm[-1].item() == pytest.approx(371.5, abs=1e-4)
    assert 312 < seen.min() and seen.max() < 375


def test_weeks_follow_each_other_by_the_calendar(double):
    years, _ = mauna_loa_co2()
    torch.testing.assert_close(years.diff(), torch.full((2283,), 7 / 365.25), rtol=0, atol=1e-9)
    # 29 March 1958 and 29 December 2001
    for k, day, length, year in ((0, 87, 365, 1958), (-1, 362, 365, 2001)):
        assert years[k].item() == pytest.approx(year + day / length, abs=1.2 / 365)


def test_carbon_dioxide_rises_and_breathes_with_the_seasons(double):
    years, ppm = mauna_loa_co2()
    seen = ~ppm.isnan()
    t, y = years[seen] - 1980, ppm[seen]
    basis = torch.stack([torch.ones_like(t), t, t**2, (2 * math.pi * t).cos(), (2 * math.pi * t).sin()], -1)
    weights = torch.linalg.lstsq(basis, y[:, None]).solution[:, 0]
    assert weights[1].item() == pytest.approx(1.3, abs=0.1)  # ppm a year
    assert weights[3:].norm().item() == pytest.approx(2.8, abs=0.2)  # ppm
    assert (basis @ weights - y).square().mean().sqrt() < 1.2
    highest = math.atan2(weights[4], weights[3]) / (2 * math.pi) % 1
    assert 0.3 < highest < 0.42, "the maximum is in May"


def test_each_call_makes_its_own_tensors():
    for load in (sunspots, mauna_loa_co2):
        load()[1].zero_()
        assert load()[1].nan_to_num(0.0).max() > 100


def test_every_source_and_the_licence_are_named():
    beside = FILE.with_name("SERIES.md").read_text(encoding="utf-8")
    for text in (beside, sunspots.__doc__ + mauna_loa_co2.__doc__):
        for name in ("ublic domain", "statsmodels", "National Geophysical Data Center", "Whorf", "Mauna Loa"):
            assert name in text
    with np.load(FILE) as stored:
        assert all(f"`{name}`" in beside for name in stored)
    assert FILE.stat().st_size < 20_000


# --- digits by rows -----------------------------------------------------------------------------------------------


def test_complete_rows_are_the_digits(dtype):
    for (x, y), (flat, labels) in zip(digit_rows(seed=3), digits(seed=3), strict=True):
        assert x.dtype == dtype and torch.equal(x, flat.reshape(-1, 8, 8)) and torch.equal(y, labels)


def test_a_share_of_the_pixels_is_missing_and_the_others_are_as_they_were():
    for (x, _), (whole, _) in zip(digit_rows(seed=1, missing=0.3), digit_rows(seed=1), strict=True):
        gone = x.isnan()
        assert torch.equal(x[~gone], whole[~gone])
        assert gone.double().mean().item() == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / x.numel()))
        # whatever the pixel is: ink and paper alike
        ink = whole > 0.5
        assert abs(gone[ink].double().mean() - gone[~ink].double().mean()) < 0.02


def test_what_is_missing_depends_on_the_seed_and_not_on_the_default_dtype():
    masks = {}
    for seed in (0, 1):
        masks[seed] = [x.isnan() for x, _ in digit_rows(seed, 0.6)]
    torch.set_default_dtype(torch.float64)
    try:
        again = [x.isnan() for x, _ in digit_rows(0, 0.6)]
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(map(torch.equal, masks[0], again)) and not torch.equal(masks[0][0], masks[1][0])
    assert not torch.equal(masks[0][0][:360], masks[0][1]), "test images miss other pixels"
    # six in ten: one column in sixty is never seen
    assert masks[0][0].all(1).double().mean().item() == pytest.approx(0.6**8, abs=0.005)


@pytest.mark.parametrize("arguments, error, words", [
    ({"missing": 1.0}, ValueError, r"missing must be in \[0, 1\); got 1.0"),
    ({"missing": -0.1}, ValueError, r"missing must be in \[0, 1\); got -0.1"),
    ({"missing": math.nan}, ValueError, r"missing must be in \[0, 1\); got nan"),
    ({"missing": "half"}, TypeError, r"missing must be a number in \[0, 1\); got 'half'"),
    ({"seed": 0.5}, TypeError, "seed must be a whole number"),
    ({"seed": -1}, ValueError, "seed must be at least 0"),
], ids=["all", "negative", "nan", "word", "seed half", "seed negative"])  # fmt: skip
def test_rows_that_cannot_be_are_named(arguments, error, words):
    with pytest.raises(error, match=words):
        digit_rows(**arguments)


# --- spirals ------------------------------------------------------------------------------------------------------


def test_spirals_turn_at_a_constant_rate_and_grow_exponentially(double):
    x, _ = winding_spirals(40, seed=2)
    z = torch.view_as_complex(x)
    ratio = z[:, 1:] / z[:, :-1]
    step = SPIRAL_TIMES[1].item()
    turns = torch.where(torch.arange(40) % 2 == 0, step, -step)
    torch.testing.assert_close(ratio.angle(), turns[:, None].expand(40, 40), rtol=0, atol=1e-12)
    growth = ratio.abs().log() * 2 * math.pi / step
    torch.testing.assert_close(growth, growth[:, :1].expand(40, 40), rtol=0, atol=1e-11)
    assert (growth[::2] > 0.1 - 1e-9).all() and (growth[::2] < 0.3 + 1e-9).all()
    assert (growth[1::2] < -0.1 + 1e-9).all() and (growth[1::2] > -0.3 - 1e-9).all()
    middle = z[:, 20].abs()
    assert (middle > 0.4 - 1e-9).all() and (middle < 0.8 + 1e-9).all()


def test_spirals_are_seen_twelve_times_in_the_first_turn(dtype):
    x, observed = winding_spirals(200, seed=0)
    assert x.shape == (200, 41, 2) and observed.shape == (200, 21, 3) and x.dtype == observed.dtype == dtype
    seen = ~observed[..., 1:].isnan()
    assert (seen.sum(1) == 12).all() and torch.equal(seen[..., 0], seen[..., 1])
    torch.testing.assert_close(observed[..., 0], torch.linspace(0, 1, 21).expand(200, 21))
    assert SPIRAL_TIMES.shape == (41,) and SPIRAL_TIMES[20].item() == pytest.approx(2 * math.pi)
    assert 0.4 < seen.double().mean((0, 2)).min() and seen.double().mean((0, 2)).max() < 0.75, "at times of its own"
    missed = (observed[..., 1:] - x[:, :21])[seen]
    assert missed.std().item() == pytest.approx(0.05, rel=6 / math.sqrt(2 * len(missed)))
    assert abs(missed.mean().item()) < 6 * 0.05 / math.sqrt(len(missed))


def test_spirals_follow_their_seed_alone():
    first = winding_spirals(6, seed=4)
    torch.rand(3)
    for a, b in zip(first, winding_spirals(6, seed=4), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first[0], winding_spirals(6, seed=5)[0])


def test_without_noise_a_spiral_is_seen_as_it_is():
    x, observed = winding_spirals(5, seed=1, seen=21, noise=0.0)
    assert torch.equal(observed[..., 1:], x[:, :21])


@pytest.mark.parametrize("arguments, error, words", [
    ({"n": 0}, ValueError, "n must be at least 1; got 0"),
    ({"n": 2.0}, TypeError, "n must be a whole number"),
    ({"seed": None}, TypeError, "seed must be a whole number"),
    ({"seen": 0}, ValueError, "seen must be at least 1; got 0"),
    ({"seen": 22}, ValueError, "seen must be at most 21; got 22"),
    ({"noise": -1.0}, ValueError, "noise must be at least 0 and finite; got -1.0"),
    ({"noise": math.inf}, ValueError, "noise must be at least 0 and finite; got inf"),
    ({"noise": "much"}, TypeError, "noise must be a number, at least 0 and finite; got 'much'"),
], ids=["n", "n float", "seed", "seen none", "seen many", "noise negative", "noise inf", "noise word"])  # fmt: skip
def test_spirals_that_cannot_be_are_named(arguments, error, words):
    with pytest.raises(error, match=words):
        winding_spirals(**{"n": 3, "seed": 0, **arguments})
