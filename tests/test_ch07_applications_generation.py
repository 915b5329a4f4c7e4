"""The pictures of chapter 07: they draw what the theory says, and their text alternatives say what they show."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from scipy import integrate, stats
from torch import nn

from helpers.chapters.ch07_applications_generation import dynamics, figures
from helpers.chapters.ch07_applications_generation import exercises as chapter
from helpers.data import GaussianMixture
from helpers.layers import VPSDE
from helpers.metrics import sliced_wasserstein

exercises = chapter.exercises
WEIGHTS, MEANS, STDS = np.array([0.3, 0.5, 0.2]), np.array([-2, 0.5, 2.5]), np.array([0.3, 0.4, 0.2])


@pytest.fixture(autouse=True)
def doubles():
    """As in the chapter, whose first cell sets this."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def snapshot(artists):
    """What is told and drawn by lines, bars and words."""
    seen = []
    for artist in artists:
        if hasattr(artist, "get_text"):
            seen.append(artist.get_text())
        elif hasattr(artist, "get_xydata"):
            seen.append(artist.get_xydata().tolist())
        elif hasattr(artist, "get_width") and hasattr(artist, "get_height"):
            seen.append((artist.get_width(), artist.get_height()))
        elif hasattr(artist, "get_segments"):
            seen.append([segment.tolist() for segment in artist.get_segments()])
        else:
            seen.append(artist.get_array().tolist())
    return seen


# --- a sampler on the line ------------------------------------------------------------------------------------------


def density(x, t):
    """Of the diffused mixture, by hand: α = exp(−½ ∫ β), β from 0.1 to 20."""
    alpha = math.exp(-0.5 * (0.1 * t + 19.9 * t**2 / 2))
    std = np.sqrt(alpha**2 * STDS**2 + 1 - alpha**2)
    return (WEIGHTS * stats.norm.pdf(x[:, None], alpha * MEANS, std)).sum(1)


@pytest.mark.parametrize("t", [0.02, 0.3, 1.0])
def test_the_score_is_the_slope_of_the_log_density(t):
    x, h = np.linspace(-3, 3, 25), 1e-5
    slope = (np.log(density(x + h, t)) - np.log(density(x - h, t))) / (2 * h)
    found = dynamics.score(torch.tensor(t), torch.tensor(x)[:, None])[:, 0]
    assert np.allclose(found, slope, rtol=1e-6, atol=1e-6)


def test_the_haze_is_the_density_at_every_time():
    y = np.linspace(-4, 4, 9)
    haze = dynamics.haze(tuple(y), 5)
    for k, t in enumerate(np.linspace(1, 1e-3, 5)):
        assert np.allclose(haze[:, k], density(y, t))


def test_the_time_grid_crowds_near_the_data():
    even, crowded = dynamics.times(8, 1.0), dynamics.times(8, 3.0)
    for grid in (even, crowded):
        assert grid[0].item() == 1 and grid[-1].item() == pytest.approx(1e-3) and (grid.diff() < 0).all()
    assert torch.allclose(even.diff(), even.diff()[:1]) and crowded[4].item() == pytest.approx(1e-3 + 0.999 / 8)


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("heun2", 2)])
def test_the_flow_converges_at_the_order_of_its_method(sampler, order):
    exact = dynamics.sampled("heun2", 400, 2.0)[1][-1]
    errors = [np.abs(dynamics.sampled(sampler, nfe, 2.0)[1][-1] - exact).mean() for nfe in (64, 128)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize(("sampler", "most"), [("heun2", 0.003), ("euler", 0.01), ("sde", 0.09)])
def test_with_many_evaluations_every_sampler_makes_the_mixture(sampler, most):
    t, x, off = dynamics.sampled(sampler, 128, 2.0)
    assert x.shape == (len(t), 1000) and len(t) == (65 if sampler == "heun2" else 129)
    levels = (np.arange(1000) + 0.5) / 1000
    fine = np.linspace(-5, 5, 20_001)
    cdf = (WEIGHTS * stats.norm.cdf(fine[:, None], MEANS, STDS)).sum(1)
    assert off == pytest.approx(stats.wasserstein_distance(x[-1], np.interp(levels, cdf, fine)), abs=1e-3)
    assert off < most


def test_the_flow_keeps_the_order_of_the_points_and_the_sde_does_not():
    for sampler, kept in (("euler", True), ("heun2", True), ("sde", False)):
        path = dynamics.sampled(sampler, 40, 2.0)[1]
        assert np.array_equal(path[0].argsort(), path[-1].argsort()) == kept


def test_chance_is_what_theory_says():
    """E W₁ of n exact samples is about √(2/π) ∫ √(F (1 − F) / n), the quantiles' own error aside."""
    x = np.linspace(-5, 5, 20_001)
    cdf = (WEIGHTS * stats.norm.cdf(x[:, None], MEANS, STDS)).sum(1)
    theory = math.sqrt(2 / math.pi) * integrate.trapezoid(np.sqrt(cdf * (1 - cdf) / 1000), x)
    assert dynamics.chance() == pytest.approx(theory, rel=0.25)


def test_a_sampler_in_words():
    update = figures.line_sampler(Figure())
    *_, title, verdict = update(sampler="heun2", nfe=20, crowd=2.0)
    assert title.get_text() == "flow, Heun: 20 evaluations of the score"
    told = figures.describe_line_sampler("heun2", 20, 2.0)
    assert verdict.get_text() in told and "10 steps" in told and "power 2" in told and "exact samples" not in told
    told = figures.describe_line_sampler("sde", 8, 1.0)
    assert "even time grid" in told and f"as many exact samples are off by {dynamics.chance():.3f}" in told


def test_the_bars_are_the_histogram_of_the_ends():
    _, dots, *bars, _, _ = figures.line_sampler(Figure())(sampler="sde", nfe=12, crowd=1.0)
    ends = dynamics.sampled("sde", 12, 1.0)[1][-1]
    inside = np.mean(np.abs(ends) <= figures.REACH)
    assert sum(bar.get_width() * bar.get_height() for bar in bars) == pytest.approx(1) and inside > 0.9
    middle = [bar for bar in bars if abs(bar.get_y()) < 1e-9]
    share = np.mean((ends >= 0) & (ends < 0.15)) / inside / 0.15
    assert middle[0].get_width() == pytest.approx(share) and len(dots.get_xdata()) == 13 * figures.SHOWN


# --- two flows ------------------------------------------------------------------------------------------------------


def test_the_moons_have_mean_zero_and_deviation_one():
    x = dynamics.moons(20_000, 0)
    assert x.dtype == torch.float64
    assert x.mean(0).abs().max() < 0.02 and (x.std(0) - 1).abs().max() < 0.02


@pytest.fixture
def flows():
    return figures.two_flows(
        {"still": lambda t, x: 0 * x, "drift": lambda t, x: x.new_tensor([1.0, 0.0]).expand(x.shape)}
    )


def test_two_flows_move_as_their_velocities_say(flows):
    build, describe = flows
    tails, cloud, title, drawn, moved, other = build(Figure())(nfe=3, t=0.5)
    here, there = (dots.get_xydata() for dots in (cloud, moved))
    assert np.allclose(there - here, [0.5, 0])
    segment = tails.get_segments()[0]
    assert len(segment) == 3 and np.allclose(segment, here[0])
    assert np.allclose(drawn.get_segments()[0], here[0] + [[0, 0], [1 / 3, 0], [1 / 2, 0]]), "up to where the dot is"
    start = torch.tensor(here)
    for told, end in ((title, start), (other, start + torch.tensor([1.0, 0.0]))):
        off = sliced_wasserstein(end, dynamics.moons(len(start), 5), directions=64)
        assert told.get_text() == f"3 steps: off by {off:.2f}" and f"{off:.2f}" in describe(nfe=3, t=0.5)
    assert "still, 1 step: off" in describe(nfe=1, t=0.0) and "shown at t = 0." in describe(nfe=1, t=0.0)


def test_at_the_end_the_cloud_is_the_end_of_the_paths():
    field = lambda t, x: (0.25 - x) / (1 - t)  # noqa: E731  lands on 0.25 with the last step of Euler's method
    build, _ = figures.two_flows({"a": field, "b": field})
    for nfe in (1, 7):
        _, cloud, *_ = build(Figure())(nfe=nfe, t=1.0)
        assert np.allclose(cloud.get_xydata(), 0.25)


# --- whose image? ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0.0, 0.3, 0.51, 0.9])
def test_the_weights_are_bayes_rule(t):
    x, mean, near, weights, count = dynamics.whose(2, t)
    data = dynamics.pixels()[0].numpy()
    logs = -((x - t * data) ** 2).sum(1) / (2 * (1 - t) ** 2)
    expected = np.exp(logs - logs.max())
    expected /= expected.sum()
    assert np.allclose(weights, expected, atol=1e-9) and count == pytest.approx(1 / (expected**2).sum(), rel=1e-6)
    assert np.allclose(mean, expected @ data, atol=1e-8)
    assert near == ((data - mean) ** 2).sum(1).argmin()


def test_at_first_all_images_are_in_play_and_at_last_one():
    n = len(dynamics.pixels()[0])
    assert n == 1437
    *_, title = figures.whose_image(Figure())(sample=0, t=0.0)
    assert title.get_text() == "t = 0: 1437 images are still in play"
    for sample in range(dynamics.NOISES):
        *_, title = figures.whose_image(Figure())(sample=sample, t=0.99)
        x, mean, near, *_ = dynamics.whose(sample, 0.99)
        assert title.get_text() == f"t = 0.99, decided: it is image {near}"
        assert np.allclose(mean, dynamics.pixels()[0][near], atol=1e-6), "the end is a training image"
        assert title.get_text() in figures.describe_whose(sample=sample, t=0.99)


def test_the_path_runs_from_the_noise_to_the_end_of_the_last_step():
    noise = torch.randn(dynamics.NOISES, 64, generator=torch.Generator().manual_seed(0))
    x, mean, *_ = dynamics.whose(3, 0.0)
    assert np.allclose(x, noise[3])
    # Euler's first step: on the straight line to the mean of all images
    assert np.allclose(dynamics.whose(3, 0.02)[0], x + 0.02 * (mean - x))


def test_the_five_first_are_told_and_only_those_that_count():
    update = figures.whose_image(Figure())
    artists = update(sample=1, t=0.3)
    weights = dynamics.whose(1, 0.3)[3]
    bars, labels = artists[3:8], artists[8:13]
    assert [bar.get_width() for bar in bars] == sorted(weights, reverse=True)[:5]
    y = dynamics.pixels()[1]
    for bar, label in zip(bars, labels, strict=True):
        k, digit = map(int, re.fullmatch(r"image (\d+), an? (\d)", label.get_text()).groups())
        assert weights[k] == bar.get_width() and y[k] == digit and ("an 8" in label.get_text()) == (digit == 8)
    labels = [label.get_text() for label in update(sample=1, t=0.99)[8:13]]
    assert labels[0] and labels[1:] == [""] * 4


# --- digits on demand -----------------------------------------------------------------------------------------------


class Grey(nn.Module):
    """Carries all noise to a grey image of brightness label/10; to black-and-white's middle, 0, without a label."""

    classes = 10

    def forward(self, t, x, label):
        goal = label.where(label < 10, 0)[..., None] / 10
        return (goal - x) / (1 - t)


class Still(nn.Module):
    """Moves nothing."""

    classes = 10

    def forward(self, t, x, label):
        return 0 * x


class Meter(nn.Module):
    """Reads the brightness of an image, in tenths."""

    def forward(self, x):
        return -(x.mean(-1, keepdim=True) - torch.arange(10) / 10).abs()


@pytest.mark.parametrize(
    ("digit", "weight", "right"), [(3, 1, 24), (3, 0, 0), (0, 0, 24), (3, 2, 0), (9, 5, 24), (4, 0.5, 0)]
)
def test_the_label_is_obeyed_as_far_as_guidance_goes(digit, weight, right):
    """w = 2 asks for twice the brightness, w = 0 for none; what is brighter than white is cut to it."""
    build, describe = figures.digit_maker(Grey(), Meter())
    _, fake, real, title = build(Figure())(digit=digit, weight=weight, nfe=4)
    assert title.get_text() == f"{right} of 24 read as {digit}, spread 0.00 × that of real ones"
    assert real.get_text() == f"real: {digit}" and title.get_text() in describe(digit=digit, weight=weight, nfe=4)
    assert fake.get_array()[1, 1] == pytest.approx(min(weight * digit / 10, 1))


def test_the_spread_is_measured_in_that_of_real_digits():
    images, _, spread = dynamics.made(Still(), Meter(), 7, 1.0, 2)
    x, y = (a.numpy() for a in dynamics.pixels())

    def apart(a):
        return np.mean([np.linalg.norm(p - q) for p, q in itertools.combinations(a, 2)])

    assert spread == pytest.approx(apart(images.numpy()) / apart(x[y == 7])) and images.abs().max() == 1


def test_images_lie_row_by_row_on_their_sheet():
    images = np.arange(7 * 64, dtype=float).reshape(7, 64)
    sheet = figures._tiled(images, 3)
    assert sheet.shape == (28, 28)
    for k in range(9):
        row, column = 1 + 9 * (k // 3), 1 + 9 * (k % 3)
        tile = sheet[row : row + 8, column : column + 8]
        assert np.array_equal(tile, images[k].reshape(8, 8)) if k < 7 else (tile == -1).all()
    assert (sheet[::9] == -1).all() and (sheet[:, ::9] == -1).all()


# --- guidance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", [1.0, 2.0, 3.5, 5.0])
@pytest.mark.parametrize("s", [1.5, 2.0, 3.0])
def test_with_equal_means_the_variance_is_a_power(w, s):
    mean, std = dynamics.guided(w, s, 0.0)
    assert mean == pytest.approx(0, abs=1e-12)
    assert std**2 == pytest.approx(s ** (2 * (1 - w)), rel=3e-3)


@pytest.mark.parametrize(("w", "s"), [(1.0, 2.0), (2.0, 2.0), (4.0, 3.0)])
def test_the_guided_moments_are_those_of_points_on_its_flow(w, s):
    """Two points by scipy's solver, with scores by differences of log densities: a linear flow is known by two."""
    vp = VPSDE()

    def slope(t, x):
        alpha = math.exp(-0.5 * (0.1 * t + 19.9 * t**2 / 2))
        laws = stats.norm(0, math.sqrt(alpha**2 * s**2 + 1 - alpha**2)), stats.norm(alpha, 1)
        free, bound = ((law.logpdf(x + 1e-4) - law.logpdf(x - 1e-4)) / 2e-4 for law in laws)
        return -0.5 * vp.beta(t) * (x + free + w * (bound - free))

    ends = integrate.solve_ivp(slope, (1, 0), [-1.0, 1.0], rtol=1e-7, atol=1e-9).y[:, -1]
    assert dynamics.guided(w, s) == pytest.approx((ends.mean(), (ends[1] - ends[0]) / 2), rel=1e-4)


@pytest.mark.parametrize(("w", "s"), [(1.0, 2.0), (2.0, 1.5), (5.0, 3.0)])
def test_the_sharpened_law_is_the_normalised_product(w, s):
    x = np.linspace(-12, 12, 24_001)
    p = stats.norm.pdf(x, 1, 1) ** w * stats.norm.pdf(x, 0, s) ** (1 - w)
    p /= integrate.trapezoid(p, x)
    mean = integrate.trapezoid(x * p, x)
    std = math.sqrt(integrate.trapezoid((x - mean) ** 2 * p, x))
    assert dynamics.sharpened(w, s) == pytest.approx((mean, std), rel=1e-6)


def test_guidance_in_words_and_lines():
    free, bound, flow, sharp, title = figures.guidance(Figure())(w=3, spread=2)
    made, wanted = dynamics.guided(3.0, 2.0), dynamics.sharpened(3.0, 2.0)
    for line, (mean, std) in ((free, (0, 2)), (bound, (1, 1)), (flow, made), (sharp, wanted)):
        x, y = line.get_data()
        assert np.allclose(y, stats.norm.pdf(x, mean, std) / stats.norm.pdf(0, 0, std)) and y.max() == pytest.approx(1)
    assert title.get_text() == "standard deviation: guided flow 0.25, sharpened law 0.63"
    told = figures.describe_guidance(w=3, spread=2)
    assert title.get_text() in told and "a law 2.53 times as narrow" in told
    assert "the two agree" in figures.describe_guidance(w=1, spread=2)


@pytest.mark.parametrize(
    ("build", "here", "there"),
    [
        pytest.param(figures.line_sampler, ("sde", 8, 1.0), ("heun2", 40, 2.0), id="line"),
        pytest.param(figures.whose_image, (0, 0.2), (1, 0.9), id="image"),
        pytest.param(figures.guidance, (2.0, 2.0), (5.0, 1.5), id="guidance"),
    ],
)
def test_a_picture_does_not_remember(build, here, there):
    update = build(Figure())
    first = snapshot(update(*here))
    assert snapshot(update(*there)) != first and snapshot(update(*here)) == first


# --- tables as pictures ---------------------------------------------------------------------------------------------


def test_curves_show_each_seed_and_their_mean():
    rows = {"a": [[1.0, 3.0], [0.5, 0.5]], "b": [[0.2, 0.2], [0.1, 0.3]]}
    fig, alt = figures.nfe_curves([1, 8], rows, 0.05)
    ax = fig.axes[0]
    drawn = [line.get_xydata().tolist() for line in ax.lines]
    assert [[1, 2.0], [8, 0.5]] in drawn and [[8, 0.1], [8, 0.3]] in drawn
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert "a: 2 with 1 evaluation, 0.5 with 8" in alt and "Fresh data have 0.05" in alt


def test_a_sheet_has_a_row_for_each_label():
    rows = {"real": torch.ones(3, 64), "made": torch.zeros(2, 64)}
    fig, alt = figures.digits_sheet(rows)
    (ax,) = fig.axes
    picture = ax.images[0].get_array()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["real", "made"]
    assert (picture[1:9, 1:9] == 1).all() and (picture[10:18, 10:18] == 0).all() and (picture[10:18, 19:27] == -1).all()
    assert "real, 3; made, 2" in alt
    assert "real, 3 (all black); made, 2" in figures.digits_sheet(rows, {"real": "all black"})[1]


def test_generators_are_judged_by_a_dot_a_seed():
    rows = {"copies": {"f": [0.3, 0.5], "n": [0.0, 0.0]}, "flow": {"f": [1.0, 2.0], "n": [1.5, 1.4]}}
    fig, alt = figures.judged(rows, {"f": "Fréchet distance", "n": "nearest"})
    left, right = fig.axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("Fréchet distance", "nearest")
    drawn = [line.get_xydata().tolist() for line in left.lines]
    assert [[0.3, 0], [0.5, 0]] in drawn and [[1.0, 1], [2.0, 1]] in drawn and left.get_xlim()[0] <= 0
    assert "copies: Fréchet distance 0.40, nearest 0.00; flow: Fréchet distance 1.50, nearest 1.45" in alt


# --- exercises ------------------------------------------------------------------------------------------------------


def test_what_is_left_of_the_data_is_what_the_layer_says():
    assert exercises["E7.2"].solution == pytest.approx(VPSDE(0.1, 12).alpha(1.0).item(), rel=1e-6)


@pytest.mark.parametrize("t", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_the_velocity_of_a_gaussian_is_that_of_a_mixture_of_one(t):
    law = GaussianMixture([1.0], [[chapter.MEAN]], [chapter.STD])
    x = torch.linspace(-5, 6, 45)
    assert torch.allclose(exercises["E7.3"].solution(t, x), law.velocity(t, x[:, None])[:, 0], rtol=1e-9, atol=1e-12)


def test_heun_is_told_by_order_and_calls():
    check = exercises["E7.4"].check
    assert "Order 1.9" in check(exercises["E7.4"].solution).message
    verdict = check(lambda velocity, x, steps: x + velocity(0.0, x))
    assert verdict.kind == "wrong value" and "16 steps call the velocity 1 times" in verdict.message
    assert check(lambda velocity, x, steps: math.nan * x).kind == "wrong value"
    assert check(lambda velocity, x, steps: x[0]).kind == check(7).kind == "wrong type or shape"


@pytest.mark.parametrize(("name", "order"), [("_heun", 2), ("_midpoint", 2), ("_euler", 1), ("_same_time", 1)])
def test_the_samplers_of_the_exercise_are_of_their_orders(name, order):
    """On x' = (1 + t) x, whose solution is e^(t + t²/2)."""
    sampler = getattr(chapter, name)
    errors = [abs(sampler(lambda t, x: (1 + t) * x, 1.0, n) - math.exp(1.5)) for n in (128, 256)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)


def test_noise_of_plus_and_minus_one_has_a_sixth_of_the_variance():
    A = np.array([[1.0, 2.0], [0.0, 3.0]])
    signs = [np.array(e) for e in itertools.product((-1, 1), repeat=2)]
    rademacher = np.var([e @ A @ e for e in signs])
    gaussian = 2 * (np.linalg.eigvalsh((A + A.T) / 2) ** 2).sum()  # a sum of λ χ², each of variance 2
    assert exercises["E7.5"].solution == pytest.approx(gaussian / rademacher)


@pytest.mark.parametrize("transport", [chapter._shrunk, chapter._bent])
def test_the_closed_flows_of_the_likelihood_are_flows(transport):
    """The trace that they report is log |dz/dx|, by differences."""
    x, h = torch.linspace(-3, 3, 13)[:, None], 1e-6
    z, trace = transport(x)
    slope = (transport(x + h)[0] - transport(x - h)[0])[:, 0] / (2 * h)
    assert torch.allclose(slope.log(), trace, atol=1e-7) and z.shape == x.shape


def test_a_mass_of_one_alone_is_not_enough():
    check = exercises["E7.6"].check
    verdict = check(lambda x, transport, log_normal: log_normal(x))
    assert verdict.kind == "wrong value" and "integrates to 1 for one flow, 1 for another" in verdict.message
    sign = check(chapter._other_sign).message
    assert "integrates to 2.72 for one flow" in sign, "e^(2 · ½), since the trace is −½"
    assert check(lambda x, transport, log_normal: transport(x)[0]).kind == check(1).kind == "wrong type or shape"


def test_a_detector_of_copies_is_asked_about_both_kinds():
    check = exercises["E7.7"].check
    for answer in (True, False):
        verdict = check(lambda samples, train, test, answer=answer: answer)
        assert verdict.kind == "wrong value" and "A hint may help" in verdict.message
    assert check(lambda samples, train, test: torch.tensor([True, False])).kind == "wrong type or shape"
    assert check(lambda samples, train, test: 0.3).kind == check("yes").kind == "wrong type or shape"
    median = lambda a, b: torch.cdist(a, b).min(1).values.median()  # noqa: E731
    assert check(lambda samples, train, test: median(samples, train) < 0.1 * median(test, train))
