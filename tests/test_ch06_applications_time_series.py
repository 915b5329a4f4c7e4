"""The pictures of chapter 06: they draw what the theory says, and their text alternatives say what they show."""

import math
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from helpers.chapters.ch06_applications_time_series import dynamics, figures
from helpers.layers import LatentODE


def double(array):
    return torch.tensor(array, dtype=torch.float64)


# --- signatures and loops -------------------------------------------------------------------------------------------


def test_the_second_level_is_the_double_integral():
    """By brute force: a fine Riemann sum of (X − X(0)) ⊗ dX along the same straight pieces."""
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    s = np.linspace(0, 4, 40_001)
    fine = np.stack([np.interp(s, range(5), x[:, k]) for k in range(3)], -1)
    middle = (fine[1:] + fine[:-1]) / 2 - fine[0]
    level1, level2 = dynamics.signature(x)
    assert np.allclose(level1, fine[-1] - fine[0]) and np.allclose(level2, middle.T @ np.diff(fine, axis=0), atol=1e-7)
    assert torch.allclose(level2 + level2.T, torch.outer(level1, level1)), "the product rule"


def test_joining_two_paths_is_chens_identity():
    x = torch.randn(2, 9, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole, first, second = (dynamics.signature(part) for part in (x, x[:, :4], x[:, 3:]))
    assert torch.allclose(whole[0], first[0] + second[0])
    crossed = first[0][..., :, None] * second[0][..., None, :]
    assert torch.allclose(whole[1], first[1] + second[1] + crossed)


@pytest.mark.parametrize(("lag", "who"), [(60, "X₁ leads"), (-90, "X₂ leads"), (0, "nobody leads"), (180, "nobody")])
def test_a_loop_in_words(lag, who):
    *_, words, title = figures.lead_and_lag(Figure())(lag=lag, turns=2, warped=False)
    told = figures.describe_loop(lag=lag, turns=2, warped=False)
    assert who in words.get_text() and who in told
    area = dynamics.lead(lag, 2, False)[2]
    assert area == pytest.approx(2 * math.pi * math.sin(math.radians(lag)), abs=5e-3)
    assert title.get_text().split()[-1] == told.split()[-1].rstrip(".")


def test_the_speed_changes_the_signals_and_not_the_area():
    (_, even, area), (_, warped, other) = dynamics.lead(60, 1, False), dynamics.lead(60, 1, True)
    assert np.abs(even - warped).max() > 0.5 and area == pytest.approx(other, abs=1e-3)


# --- the path through sunspots --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "still"), [("linear", True), ("hermite", True), ("natural_cubic", False)])
def test_the_past_moves_with_the_spline_alone(kind, still):
    gap, reach = dynamics.moved_past(kind, 2007, 80.0)
    assert (reach < 1e-9) == still and gap.max() == pytest.approx(80, rel=0.1)
    *_, word = figures.sculptor(Figure())(path=kind, year=2007, change=80)
    assert ("nothing moves" in word.get_text()) == still
    assert word.get_text() in figures.describe_sculptor(path=kind, year=2007, change=80)


def test_the_path_goes_through_the_sunspots_and_its_state_forgets():
    years, values = dynamics.spots()
    assert years[0] == 1994 and years[-1] == 2008 and len(dynamics.fine()) == dynamics.FINE
    path, state = dynamics.sculpted("natural_cubic", 2007, 0.0)
    assert np.allclose(np.interp(years, dynamics.fine(), path), values, atol=1.5)
    # linear path: z' = −k z + slope, so that z after a year is e^{−k} z + slope (1 − e^{−k}) / k
    state = dynamics.sculpted("linear", 2007, 0.0)[1]
    k, z = dynamics.MEMORY, [0.0]
    for slope in np.diff(values):
        z.append(math.exp(-k) * z[-1] + slope * (1 - math.exp(-k)) / k)
    assert np.allclose(state, z, rtol=1e-3, atol=1e-2)


# --- networks -------------------------------------------------------------------------------------------------------


class LastValue(nn.Module):
    """Forecasts the last value; `step` is added for every row that it is told."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, seen):
        known = seen[0, :, 1][~seen[0, :, 1].isnan()]
        return (known[-1] + self.step * seen.shape[1]).expand(1, 5)


@pytest.fixture
def weeks():
    t, x = double([[0.0, 0.5, 1.0]] * 2), double([[350.0, 352.0, 351.0], [360.0, 361.0, 365.0]])
    networks = {"steady": LastValue(0.0), "counter": LastValue(0.1)}
    return figures.empty_weeks(networks, t, x, x[:, :1].expand(2, 5), double([2.0, 2.1, 2.2, 2.3, 2.4]), 3.0)


def test_empty_rows_move_only_the_network_that_counts_rows(weeks):
    build, describe = weeks
    told = describe(window=1, rows=10)
    assert "0.00 ppm (steady)" in told and "3.00 ppm (counter)" in told and "10 empty rows" in told
    artists = build(Figure())(window=1, rows=1)
    assert "1 empty row after" in artists[-2].get_text()
    assert "0.00 ppm (steady) and 0.00 ppm (counter)" in describe(window=0, rows=0)
    steady = artists[2]
    assert np.allclose(steady.get_ydata(), 365.0)


class Counts(nn.Module):
    """Says the class that is the number of knots modulo ten."""

    def forward(self, x):
        return 9.0 * nn.functional.one_hot(torch.tensor([x.shape[1] % 10]), 10)


class Same(nn.Module):
    """Says 3."""

    def forward(self, x):
        return 9.0 * nn.functional.one_hot(torch.tensor([3]), 10)


def test_a_digit_at_another_rate_in_words():
    scores = {"a": {1: 0.9, 2: 0.4}, "b": {1: 0.8, 2: 0.85}}
    view = lambda name, pieces: torch.zeros(2, 7 * pieces + 1, 9)  # noqa: E731
    build, describe = figures.sampling_rate({"a": Counts(), "b": Same()}, view, torch.rand(2, 8, 8), [3, 5], scores)
    update = build(Figure())
    assert update(digit=1, pieces=2)[-1].get_text() == "a 5, read as: a 5, b 3"
    told = describe(digit=1, pieces=2)
    assert "15 knots" in told and re.search(r"a: 5 .*images 0.40; b: 3 .*images 0.85\.", told)


@pytest.fixture
def lab():
    torch.manual_seed(0)
    times = double(np.linspace(0, 4 * math.pi, 9))
    model = LatentODE(2, 2, 4, times[:5].clone(), method="midpoint").double().eval()
    x = torch.stack([times.cos(), times.sin()], -1)[None]
    observed = torch.cat([times[None, :5, None] / (2 * math.pi), x[:, :5]], -1)
    observed[0, 1, 1:] = torch.nan
    return model, times, x, observed


def test_a_spiral_in_words(lab):
    model, times, x, observed = lab
    build, describe = figures.spirals(model, times, x, observed)
    artists = build(Figure())(spiral=0, seen=3)
    told = describe(spiral=0, seen=3)
    assert artists[-2].get_text() == "3 points seen" and "of which 3 noisy points" in told
    with torch.no_grad():
        shown = observed.clone()
        shown[0, 4, 1:] = torch.nan  # points 0, 2 and 3 are the first three
        mean = model.decode(model.encode(shown)[0], times)[0]
    missed = (mean - x[0])[5:].square().mean().sqrt().item()
    assert f"errs by {missed:.2f}" in told and f"error {missed:.2f}" in artists[-1].get_text()


def test_fewer_points_than_asked_for_are_all_that_there_are(lab):
    _, describe = figures.spirals(*lab)
    assert describe(spiral=0, seen=12) == describe(spiral=0, seen=4) and "of which 4" in describe(spiral=0, seen=12)
