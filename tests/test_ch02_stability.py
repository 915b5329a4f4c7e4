"""The pictures of chapter 02: what their text alternatives say is what they show."""

import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from helpers.chapters.ch02_stability import figures
from helpers.layers import ConvexPotentialLayer
from tests.support import drawn


def test_a_point_of_the_stability_region_in_words_and_numbers():
    *_, title = figures.region(Figure())(method="euler", re=-1.0, im=0.5)
    told = figures.describe_region(method="euler", re=-1.0, im=0.5)
    grown, decayed = re.fullmatch(r"\|R\(z\)\| = (.*), \|eᶻ\| = (.*)", title.get_text()).groups()
    assert grown == "0.500" and f"multiplies by {grown} in size, the solution by {decayed}" in told
    assert "real part −1 and imaginary part 0.5" in told and told.endswith("the method decays, the solution decays.")
    assert "the method grows, the solution keeps its size" in figures.describe_region(method="euler", re=0, im=1)
    assert "the method decays, the solution grows" in figures.describe_region(method="implicit_euler", re=1, im=3)


def test_the_dial_knows_the_longest_step():
    longest = 2 * 0.3 / (0.3**2 + 2**2)
    told = figures.describe_dial(omega=2, gamma=0.3, h=0.2)
    assert f"h*, is {longest:.3f}" in told and "grows" in told
    assert "decays" in figures.describe_dial(omega=2, gamma=0.3, h=0.99 * longest)
    *_, title = figures.dial(Figure())(omega=2, gamma=0.3, h=0.2)
    assert re.search(r"factor (\S+),", title.get_text())[1] in told


def test_the_spectrum_tells_its_ends():
    values = np.array([[1.0, 1.0, 1.0], [8.0, 2.0, 0.25]])
    build, describe = figures.spectrum(lambda kind, horizon, layers: (np.array([1, layers]), values), {"a": "plain"})
    *_, title = build(Figure())(kind="a", horizon=5, layers=25)
    assert title.get_text() == "largest 8, smallest 0.2"
    assert "the largest is 8, the median 2, the smallest 0.2" in describe(kind="a", horizon=5, layers=25)


def test_transients_and_gains_speak_of_their_data():
    alt = drawn(figures.transients(torch.tensor([[-1.0, 10.0], [0.0, -1.0]], dtype=torch.float64)))
    assert "rises to 3.72 at t = 0.98" in alt
    assert "rising to 1.30" in drawn(figures.gains([1, 2, 2.3], [1.0, 1.0, 1.3], [0.9, 0.9, 0.8]))


@pytest.fixture
def lab():
    torch.manual_seed(0)
    networks = {
        "certified": torch.nn.Sequential(ConvexPotentialLayer(64), torch.nn.Linear(64, 10)).double().eval(),
        "other": torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10)).double().eval(),
    }
    with torch.no_grad():
        networks["other"][0].weight.mul_(9)  # it may expand: no certificate
    return figures.attack_lab(networks, torch.rand(10, 64).double(), torch.arange(10), masked=lambda model: model)


def test_the_attack_lab_tells_what_became_of_the_digit(lab):
    build, describe = lab
    figure = Figure(layout="constrained")
    *_, verdict, promise = build(figure)(network="certified", digit=3, eps=0.5, gradient="exact")
    told = describe(network="certified", digit=3, eps=0.5, gradient="exact")
    now = re.search(r"now read as (\d)", verdict.get_text())[1]
    assert f"as {now} with probability" in told and promise.get_text().split("= ")[1] in told
    assert describe(network="other", digit=3, eps=0.5, gradient="exact").endswith("no certificate.")
