"""The pictures of each chapter: drawn from small data, with a text alternative that speaks of that data."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from helpers.figures import resnet_as_euler, style
from helpers.solvers import METHODS


def drawn(picture):
    """Draw it, and hand on its text alternative."""
    figure, alt = picture
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    return alt


def test_polygons():
    solution = lambda t, start: start * torch.exp(-torch.as_tensor(t))  # noqa: E731
    alt = drawn(resnet_as_euler.polygons(lambda t, y: -y, solution, starts=(1.0,), depths=(2, 5), horizon=1.0))
    assert "with 2, 5 blocks" in alt


def test_convergence_takes_one_run_or_several():
    alt = drawn(resnet_as_euler.convergence([1, 2], {"a": [1, 0.5], "b": [[0.3, 0.1]] * 3}, ylabel="error"))
    assert "Error against the number of steps, 1 to 2" in alt and "a from 1e+00 to 5e-01, b from 3e-01 to 1e-01" in alt


def test_solver_swap():
    alt = drawn(resnet_as_euler.solver_swap((2, 4), [[1.0, 0.8], [0.5, 0.7]], [[0.5, 0.5], [0.5, 0.5]]))
    assert "2 steps, 0.90 and 0.50; 4 steps, 0.60 and 0.50" in alt


def test_depth_scaling():
    alt = drawn(resnet_as_euler.depth_scaling([8, 16], {"smooth": {1.0: [[0.5, 0.25]]}, "rough": {1.0: [[1.0, 2.0]]}}))
    assert "smooth weights: β = 1 from 0.5 to 0.25" in alt


def test_crossing_and_rings():
    assert "2 trained flows" in drawn(resnet_as_euler.crossing([np.zeros((3, 2))] * 2, [[-1, 1], [1, -1]]))
    states = {"NODE": torch.randn(6, 2), "ANODE": torch.randn(6, 3)}
    assert drawn(resnet_as_euler.rings(states, torch.arange(6) % 2, {"NODE": [[1, 0.5]], "ANODE": [[1, 0.1]]}))


def test_the_order_explorer_knows_its_equations():
    """Each closed-form solution satisfies its equation, by central differences."""
    for words, field, solution, end in resnet_as_euler.EQUATIONS.values():
        t = np.linspace(0.1, end - 0.1, 7)
        slope = (solution(t + 1e-5) - solution(t - 1e-5)) / 2e-5
        exact = field(torch.tensor(t), torch.tensor(solution(t)))
        assert slope == pytest.approx(exact.numpy(), abs=1e-8), words
        assert solution(0.0) == pytest.approx(1.0)
    assert set(resnet_as_euler.ORDER_METHODS) <= set(METHODS)


def test_lines_differ_in_more_than_colour():
    looks = list(style.lines("abcdefg").values())
    for key in ("color", "linestyle", "marker"):
        assert len({str(look[key]) for look in looks}) == 7
