"""The pictures of chapter 04: they draw what the theory says, and their text alternatives say what they show."""

import math
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from helpers.chapters.ch04_pde_inspired_cnns import dynamics, figures
from tests.support import drawn


@pytest.mark.parametrize(("h", "words"), [(0.5, "≤ 1.00: stable"), (0.55, "≤ 1.20: grows"), (0.1, "≤ 1.00: stable")])
def test_the_dial_knows_the_limit_of_heat(h, words):
    *_, title = figures.operator_dial(Figure())(b1=0, b2=0, b3=1, h=h)
    told = figures.describe_dial(b1=0, b2=0, b3=1, h=h)
    assert words in title.get_text() and title.get_text() in told
    assert f"the fastest by {abs(1 - 4 * h):.2f}" in told and "slow waves are multiplied by 1.00" in told


def test_a_derivative_alone_always_grows():
    assert "grows" in figures.describe_dial(b1=0, b2=1, b3=0, h=0.05)
    assert np.allclose(dynamics.kernel(0, 1, 0), [-0.5, 0, 0.5]) and np.allclose(dynamics.kernel(0, 0, 1), [-1, 2, -1])


def test_the_layers_of_the_dial_are_circulant():
    weights = dynamics.kernel(0.3, -0.2, 0.7)
    matrix = np.eye(dynamics.PIXELS) - 0.2 * sum(
        w * np.roll(np.eye(dynamics.PIXELS), i - 1, axis=1) for i, w in enumerate(weights)  # the first looks back
    )
    wanted = np.linalg.matrix_power(matrix, 5) @ dynamics.signal()
    assert np.allclose(dynamics.after_layers(weights, 0.2, 5), wanted)
    frequencies = 2 * math.pi * np.arange(dynamics.PIXELS) / dynamics.PIXELS
    assert np.allclose(sorted(dynamics.gain(weights, 0.2, frequencies)), sorted(np.abs(np.linalg.eigvals(matrix))))


def test_the_wave_is_that_of_d_alembert_at_courant_number_1_and_explodes_beyond():
    states, n = dynamics.wave(1.0), 40
    halves = (np.roll(states[0], n) + np.roll(states[0], -n)) / 2
    assert np.abs(states[n] - halves).max() < 1e-6
    assert np.abs(dynamics.wave(0.5)).max() < 1.1 and np.abs(dynamics.wave(1.02)[-1]).max() > 10
    *_, title = figures.wave(Figure())(courant=1.0, layer=n)
    told = figures.describe_wave(courant=1.0, layer=n)
    assert f"largest |x| is {title.get_text().split('|x| ')[1]} at layer {n}" in told and told.endswith("bounded.")
    assert figures.describe_wave(courant=1.02, layer=n).endswith("it explodes.")


@pytest.mark.parametrize(("image", "better"), [("camera", True), ("grass", False)])
def test_a_photograph_in_words(image, better):
    *_, here, verdict = figures.image_flow(Figure())(image=image, equation="pm", contrast=0.1, steps=16)
    told = figures.describe_flow(image=image, equation="pm", contrast=0.1, steps=16)
    lead = re.search(r"at its best: (\S+) dB", verdict.get_text())[1]
    assert told.endswith(f"{lead}.") and (lead[0] == "+") == better
    assert f"{here.get_ydata()[0]:.1f} dB" in told and here.get_xdata()[0] == pytest.approx(1.6)


def test_the_quality_of_a_picture():
    clean = torch.zeros(3, 4, 4)
    assert torch.allclose(dynamics.psnr(clean + 0.1, clean), torch.full((3,), 20.0))


def test_versions_of_a_photograph_in_words():
    alt = drawn(figures.denoised({"original": np.eye(8), "noisy": np.eye(8) + 0.1}, {"noisy": 20.0}))
    assert "2 times" in alt and "noisy 20.0 dB" in alt


def test_patterns_live_and_die():
    assert dynamics.gray_scott("nothing")[-1].max() < 0.01
    for pattern in ("spots", "maze", "holes"):
        first, *_, last = dynamics.gray_scott(pattern)
        assert np.isfinite(last).all() and 0.2 < last.max() < 1 and (last > 0.1).mean() > (first > 0.1).mean()
    *_, here = figures.gray_scott(Figure())(pattern="spots", frame=4)
    share = re.search(r"covers (\d+) %", figures.describe_pattern(pattern="spots", frame=4))[1]
    assert round(100 * here.get_ydata()[0]) == int(share)


def test_the_walkers_are_those_of_the_exact_exponential():
    adjacency = dynamics.karate_club()[0].double()
    generator = adjacency / adjacency.sum(1) - torch.eye(34, dtype=torch.float64)  # of columns
    p = torch.matrix_exp(2.0 * generator)[:, [0, 33]]
    assert np.allclose(dynamics.preference(2.0), (p[:, 1] - p[:, 0]) / p.sum(1))


def test_the_club_in_words():
    *_, title, note = figures.karate(Figure())(t=2)
    told = figures.describe_karate(t=2)
    assert "33 of 34" in title.get_text() and "misplaced: 8." in told
    assert note.get_text().split()[-1] in told
