"""The pictures of chapter 01, drawn from small data, with text alternatives that speak of that data."""

import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from helpers import layers
from helpers.chapters.ch01_resnet_as_euler import figures
from helpers.solvers import METHODS
from tests.support import drawn


def test_polygons():
    solution = lambda t, start: start * torch.exp(-torch.as_tensor(t))  # noqa: E731
    alt = drawn(figures.polygons(lambda t, y: -y, solution, starts=(1.0,), depths=(2, 5), horizon=1.0))
    assert "with 2, 5 blocks" in alt
    ends = [100 * (1 - 1 / n) ** n / np.exp(-1) for n in (2, 5)]  # Euler's (1 − h)ⁿ in per cent of 1/e
    assert f"at {ends[0]:.0f} % of it with 2 blocks, {ends[1]:.0f} % of it with 5" in alt


def test_solver_swap():
    alt = drawn(figures.solver_swap((2, 4), [[1.0, 0.8], [0.5, 0.7]], [[0.5, 0.5], [0.5, 0.5]]))
    assert "2 steps, 0.90 and 0.50; 4 steps, 0.60 and 0.50" in alt and "Means of 2 seeds" in alt


def test_seeds_of_equal_accuracy_do_not_hide_each_other():
    figure, _ = figures.solver_swap((2, 4), [[1.0, 1.0], [1.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]])
    (ax,) = figure.axes
    places = [place for line in ax.lines if line.get_ls() == "None" for place in zip(*line.get_data(), strict=True)]
    assert len(places) == len(set(places)) == 8


def test_depth_scaling_shows_and_tells_the_geometric_means_of_the_seeds():
    changes = {"smooth": {1.0: [[0.5, 0.25], [2.0, 1.0]]}, "rough": {0.5: [[1.0, 1e5], [1.0, 1e7]]}}
    picture = figures.depth_scaling([8, 16], changes)
    alt = drawn(picture)
    smooth, rough = (ax.lines[0].get_ydata() for ax in picture[0].axes)
    assert smooth == pytest.approx([1.0, 0.5]) and rough == pytest.approx([1.0, 1e6])
    assert "over 2 seeds. smooth weights: β = 1 from 1 to 0.5. rough" in alt
    assert "β = 0.5 from 1 to 1e+06, above the picture." in alt


def test_crossing_and_rings():
    assert "2 trained flows" in drawn(figures.crossing([np.zeros((3, 2))] * 2, [[-1, 1], [1, -1]]))
    states = {"NODE": torch.randn(6, 2), "ANODE": torch.randn(6, 3)}
    assert drawn(figures.rings(states, torch.arange(6) % 2, {"NODE": [[1, 0.5]], "ANODE": [[1, 0.1]]}))


def test_the_order_explorer_knows_its_equations():
    """Each closed-form solution satisfies its equation, by central differences."""
    for words, field, solution, end in figures.EQUATIONS.values():
        t = np.linspace(0.1, end - 0.1, 7)
        slope = (solution(t + 1e-5) - solution(t - 1e-5)) / 2e-5
        exact = field(torch.tensor(t), torch.tensor(solution(t)))
        assert slope == pytest.approx(exact.numpy(), abs=1e-8), words
        assert solution(0.0) == pytest.approx(1.0)
    assert set(figures.ORDER_METHODS) <= set(METHODS)


def test_the_order_explorer_tells_what_it_shows():
    right = figures.orders(Figure())(equation="decay", method="rk4", n=16, per_evaluation=False)[-1]
    error, gain = re.fullmatch(r"error (.*), ÷ (.*) when h is halved", right.get_text()).groups()
    alt = figures.describe_orders(equation="decay", method="rk4", n=16, per_evaluation=False)
    assert "16 steps of the classic Runge–Kutta method, 64 evaluations of f" in alt
    assert f"the error is {float(error):.0e}, divided by {gain} when" in alt and 15 < float(gain) < 19
    costs = {
        paid: figures.describe_orders(equation="decay", method="euler", n=1, per_evaluation=paid)
        for paid in (False, True)
    }
    assert all(told.startswith("y' = −2y with 1 step of Euler's method") for told in costs.values())
    least = {paid: float(re.search(r"errs least, by ([\d.e-]+),", told)[1]) for paid, told in costs.items()}
    assert least[False] < least[True], "a step of rk4 costs four evaluations"


@pytest.fixture(scope="module")
def nets():
    """Two networks of two Euler steps in the plane: one hardly moves its points, the other throws them far."""
    torch.manual_seed(0)
    made = {}
    for size in (0.1, 30.0):
        field = lambda features, size=size: layers.FunctionField(lambda x: size * torch.tanh(x))  # noqa: E731
        made[size] = torch.nn.Sequential(layers.ResidualStack(2, 2, field=field), torch.nn.Linear(2, 2))
    x = torch.randn(40, 2)
    return made, x, (x[:, 0] > 0).long()


def test_a_network_and_its_flow_in_pictures_and_words(nets):
    build, describe = figures.network_and_flow(*nets, key="size", about="Noise. A field of size {:g}")
    figure = Figure()
    update = build(figure)
    *_, apart, judged = update(size=0.1, steps=1, method="euler")
    alt = describe(size=0.1, steps=1, method="euler")
    assert alt.startswith("Noise. A field of size 0.1 now takes 1 step of Euler's method.")
    assert f"at a {apart.get_text().replace('from the flow', 'of')} from where" in alt
    accuracy, of_flow = re.fullmatch(r"accuracy (.*), its flow (.*)", judged.get_text()).groups()
    assert f"accuracy {accuracy}; that of the flow is {of_flow}." in alt


def test_the_window_holds_the_paths_whatever_was_shown_before(nets):
    build, _ = figures.network_and_flow(*nets, key="size", about="{}")
    figure = Figure()
    update = build(figure)
    seen = []
    for size in (0.1, 30.0, 0.1):
        lines, *_ = update(size=size, steps=2, method="euler")
        reach = figure.axes[0].get_xlim()[1]
        assert np.abs(np.concatenate(lines.get_segments())).max() <= reach
        seen.append(reach)
    assert seen[0] == seen[2] < seen[1] and all(np.log2(reach / 1.5) % 1 == 0 for reach in seen)


def doubling(seeds_at_once):
    """Weights and states for the scaling explorer: every layer adds L^−β times a multiple of the state."""

    def random_weights(layers, smooth, seed):
        return torch.full((layers, 2, 3, 3), 1.0 + seed)

    def states_along(beta, weights, x):
        seeds_at_once.append(weights.shape)
        states = [x]
        for V, _ in weights:
            states.append(states[-1] * (1 + len(weights) ** -beta * V[:, :1, :1]))
        return torch.stack(states)

    return random_weights, states_along


def test_sizes_along_the_depth_in_pictures_and_words():
    shapes = []
    build, describe = figures.norm_along_depth(
        *doubling(shapes), torch.ones(2, 3, dtype=torch.float64), deepest=40
    )
    figure = Figure()
    update = build(figure)
    *curves, title = update(beta=0.0, layers=4, smooth=False)
    assert [curve.get_ydata()[-1] for curve in curves] == pytest.approx([2**4, 3**4, 4**4])
    assert "× 69.2" in title.get_text() and "to 69.2 times" in describe(beta=0.0, layers=4, smooth=False)
    assert figure.axes[0].get_ylim() == (0.5, 1e3)
    update(beta=0.0, layers=40, smooth=False)
    assert figure.axes[0].get_ylim() == (0.5, 1e48), "4⁴⁰ is above 10²⁴"
    assert "with β = 3, a factor of 0.0156: the size changes little" in describe(beta=3.0, layers=4, smooth=True)
    assert (4, 2, 3, 3, 3) in shapes and (40, 2, 3, 3, 3) in shapes


def test_there_and_back_shows_the_exact_solution_and_what_comes_back():
    figure = Figure()
    update = figures.there_and_back(figure)
    exact, _, back, title = update(rate=5, digits=10)
    assert exact.get_ydata() == pytest.approx(np.exp(-5 * np.linspace(0, 1, 101)))
    assert back.get_ydata()[0] == pytest.approx(1.0, abs=1e-3) and "comes back as 1" in title.get_text()
    assert "to y(0) = 1, as it was" in figures.describe_there_and_back(rate=5, digits=10)
    *_, back, _ = update(rate=40, digits=3)
    assert back.get_ydata()[0] > 1e6
    told = figures.describe_there_and_back(rate=40, digits=3)
    assert f"to y(0) = {back.get_ydata()[0]:.0e}, where it was 1" in told
