"""The pictures of chapter 03: they draw what the theory says, and their text alternatives say what they show."""

import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from helpers.chapters.ch03_sde_robustness import dynamics, exercises, figures


def test_the_noise_of_the_sliders_is_brownian_and_stays_the_same():
    w = dynamics.brownian(2.0, steps=64, paths=4000)
    assert (w[0] == 0).all() and w is dynamics.brownian(2.0, steps=64, paths=4000)
    assert w[-1].var() == pytest.approx(2.0, rel=0.1) and abs(w[-1].mean()) < 0.1
    assert np.diff(w, axis=0).var() == pytest.approx(2.0 / 64, rel=0.02)


@pytest.mark.parametrize(("rule", "order"), [("ito", 0.5), ("stratonovich", 1.0)])
def test_each_rule_converges_to_its_own_equation(rule, order):
    def off(rule, other, n):
        states, _ = dynamics.geometric(rule, 0.5, 0.8, n)
        return np.abs(states[-1] - dynamics.geometric(other, 0.5, 0.8, n)[1][-1]).mean()

    assert np.log2(off(rule, rule, 16) / off(rule, rule, 256)) / 4 == pytest.approx(order, abs=0.15)
    other = "stratonovich" if rule == "ito" else "ito"
    assert off(rule, other, 256) > 0.8 * off(rule, other, 64), "the wrong equation, and more steps do not help"


def test_without_noise_the_paths_are_those_of_the_ordinary_equation():
    states, solution = dynamics.geometric("ito", 1.0, 0.0, 64)
    assert np.allclose(states[-1], (1 + 1 / 64) ** 64) and np.allclose(solution[-1], np.e)


def test_a_path_in_words():
    *_, left, right = figures.paths(Figure())(rule="ito", mu=0.5, sigma=0.8, n=16)
    told = figures.describe_paths(rule="ito", mu=0.5, sigma=0.8, n=16)
    assert left.get_text().split(": ")[1] in told
    mean, wanted = re.search(r"means (\S+) and (\S+)", right.get_text()).groups()
    assert f"mean is {mean}, that of the equation {wanted}" in told
    assert float(wanted) == pytest.approx(np.exp(0.5), abs=0.01)
    other = figures.describe_paths(rule="stratonovich", mu=0.5, sigma=0.8, n=16)
    assert f"equation {np.exp(0.5 + 0.32):.2f}" in other


@pytest.mark.parametrize(
    ("a", "sigma", "words"), [(1, 0.8, "grows grows"), (1, 2, "dies grows"), (-0.5, 0, "dies dies")]
)
def test_what_noise_does_to_growth(a, sigma, words):
    told = figures.describe_fates(a=a, sigma=sigma)
    assert re.findall(r"dies|stays|grows", told) == words.split()
    *_, title = figures.almost_surely(Figure())(a=a, sigma=sigma)
    assert title.get_text() in told and f"{a - sigma**2 / 2:+.2f}".replace("-", "−") in title.get_text()


def test_the_sampled_mean_square_falls_short_of_the_true_one():
    told = figures.describe_fates(a=1, sigma=2)
    sampled, true = (float(number) for number in re.findall(r"ten to the (-?[\d.]+\d)", told))
    assert true == pytest.approx(30 / np.log(10), abs=0.05) and sampled < 0.5 * true


def test_dropout_and_its_equation_spread_alike_and_fade():
    for per_feature in (False, True):
        deep, limit, _ = dynamics.clouds(64, 0.5, per_feature)
        shallow, _, _ = dynamics.clouds(8, 0.5, per_feature)
        assert deep.var(0).sum() == pytest.approx(limit.var(0).sum(), rel=0.25)
        assert 4 < shallow.var(0).sum() / deep.var(0).sum() < 16, (
            "eight times as many layers, an eighth of the variance"
        )


def test_a_cloud_in_words():
    before = torch.get_rng_state()
    *_, left, right = figures.dropout_as_noise(Figure())(depth=16, survival=0.5, per_feature=False)
    assert torch.equal(before, torch.get_rng_state()), "a picture leaves the random numbers of the reader alone"
    told = figures.describe_clouds(depth=16, survival=0.5, per_feature=False)
    spreads = [title.get_text().split("spread ")[1] for title in (left, right)]
    assert f"spread by {spreads[0]} around" in told and f"equation by {spreads[1]};" in told


def test_averages_lie_within_their_errors():
    means, errors = dynamics.averaged(1.0, 1.0, 4096, figures.PLACES)
    assert (np.abs(means - np.cos(figures.PLACES) * np.exp(-0.5)) < 5 * errors).all()
    few = dynamics.averaged(1.0, 1.0, 64, figures.PLACES)[1]
    assert few.mean() / errors.mean() == pytest.approx(8, rel=0.25)
    *_, title = figures.feynman_kac(Figure())(count=64, time=1, sigma=1)
    told = figures.describe_averages(count=64, time=1, sigma=1)
    assert f"off by {title.get_text().split()[-1]} at worst" in told and "height 0.61" in told


@pytest.fixture
def halves():
    """A classifier that tells right from left."""
    model = nn.Linear(2, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    x = torch.tensor([[-1.0, 0.1], [-0.5, -0.2], [0.5, 0.3], [1.0, -0.2]], dtype=torch.float64)
    return figures.smoothing(model, x, torch.tensor([0, 0, 1, 1]))


def test_the_smoothed_step_is_as_steep_as_the_bound_and_no_steeper(halves):
    build, describe = halves
    *_, accuracy, slopes = build(Figure())(sigma=0.3)
    found, bound = (float(number) for number in re.findall(r"\d\.\d+", slopes.get_text()))
    assert bound == pytest.approx(1 / 0.3 / np.sqrt(2 * np.pi), abs=0.01) and 0.97 * bound < found <= bound
    assert accuracy.get_text() == "accuracy 1.00" and slopes.get_text() in describe(sigma=0.3)
    assert "no bound" in describe(sigma=0)


def test_a_smoothing_filter_keeps_constants_and_passes_on_what_it_is_given():
    same = dynamics.smoothed(np.ones((9, 9)), 0.1, 0.5)
    assert np.allclose(same, 1) and (dynamics.smoothed(np.eye(5), 0.1, 0) == np.eye(5)).all()


def test_an_averaged_gradient_is_recognised_by_what_it_does():
    check = exercises._averages
    loss, calls = exercises._shaken()
    exercises._average(loss, torch.zeros(3, dtype=torch.float64), 5)
    assert len(calls) == 5
    assert check(exercises._average, None)
    assert check(exercises._a_sum, None).message == exercises.SUMMED
    assert check(exercises._one_draw, None).message == exercises.ONE
    for answer in (lambda loss, x, draws: "none", 3):
        assert check(answer, None).kind == "wrong type or shape"
    still = lambda loss, x, draws: [loss(x) for _ in range(draws)] and x + 1.0  # noqa: E731
    assert check(still, None).kind == "wrong value"
