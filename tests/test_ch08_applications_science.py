"""The pictures of chapter 08: they draw what the theory says, and their text alternatives say what they show."""

import math
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from scipy import integrate, special
from torch import nn

from helpers.chapters.ch08_applications_science import dynamics, figures
from helpers.chapters.ch08_applications_science import exercises as chapter
from helpers.data import (
    LOTKA_VOLTERRA,
    lotka_volterra_field,
    lotka_volterra_invariant,
    pendulum_energy,
    pendulum_exact,
    pendulum_field,
)
from helpers.layers import HNN
from helpers.solvers import odeint

exercises = chapter.exercises


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
            seen.append((artist.get_text(), artist.get_position()))
        elif hasattr(artist, "get_xydata"):
            seen.append(artist.get_xydata().tolist())
        else:
            seen.append((artist.get_width(), artist.get_height()))
    return seen


# --- integrators race -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("leapfrog", 2), ("rk4", 4)])
def test_the_riders_converge_to_jacobis_functions_at_their_orders(method, order):
    errors = []
    for n in (1600, 3200) if method == "euler" else (200, 400):
        path = dynamics.pendulum_ride(method, 5 / n, n)
        errors.append(np.abs(path - pendulum_exact(2.0, 5 / n * np.arange(n + 1)).numpy()).max())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.12)


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_the_riders_take_the_steps_of_the_collections_solvers(method):
    t = torch.linspace(0, 6, 21)
    wanted = odeint(pendulum_field, torch.tensor([2.0, 0.0]), t, method=method, options={"grid": "t"})
    assert np.allclose(dynamics.pendulum_ride(method, 0.3, 20), wanted, rtol=1e-10, atol=1e-12)


def test_leapfrog_goes_back_on_its_own_way():
    q, p = dynamics.pendulum_ride("leapfrog", 0.4, 50)[-1]
    for _ in range(50):  # the inverse of a kick, a drift, a kick
        p += 0.2 * math.sin(q)
        q -= 0.4 * p
        p += 0.2 * math.sin(q)
    assert (q, p) == pytest.approx((2.0, 0.0), abs=1e-9)


def test_the_period_is_that_of_an_independent_solver():
    q = integrate.solve_ivp(
        lambda t, x: [x[1], -math.sin(x[0])], (0, dynamics.PERIOD), [2.0, 0.0], rtol=1e-10, atol=1e-12
    ).y[:, -1]
    assert q == pytest.approx([2.0, 0.0], abs=1e-7)


@pytest.mark.parametrize(("method", "h"), [("euler", 0.1), ("leapfrog", 0.1), ("leapfrog", 1.5), ("rk4", 0.5)])
def test_the_race_shows_the_largest_energy_error_so_far(method, h):
    t, error, last, worst = dynamics.raced(method, h, 100)
    path = torch.tensor(dynamics.pendulum_ride(method, h, int(100 / h + 1e-9)))
    off = (pendulum_energy(path) - pendulum_energy(path[0])).abs().numpy()
    at = np.round(t / h).astype(int)
    assert np.allclose(error, [off[: k + 1].max() for k in at], atol=2e-12)
    assert t[0] == pytest.approx(h) and 100 - h < t[-1] <= 100 + 1e-9 and worst == pytest.approx(off.max())
    assert (np.diff(error) >= 0).all() and len(t) <= dynamics.POINTS and len(last) <= dynamics.DOTS
    assert (np.abs(last[:, 0]) <= math.pi).all()


def test_the_last_dots_are_of_ten_swings():
    h, horizon = 0.05, 300
    last = dynamics.raced("rk4", h, horizon)[2]
    path = dynamics.pendulum_ride("rk4", h, int(horizon / h + 1e-9))
    path[:, 0] = (path[:, 0] + math.pi) % (2 * math.pi) - math.pi
    found = [int(np.flatnonzero((path == dot).all(1))[-1]) for dot in last]
    period = 4 * special.ellipk(math.sin(1) ** 2)
    assert found == sorted(found) and found[0] * h == pytest.approx(horizon - 10 * period, abs=h)
    assert found[-1] * h > horizon - 1


def test_leapfrog_stays_and_rk4_drifts():
    """Symplectic: the error to t = 1000 is that to t = 100; that of rk4 grows tenfold, with t."""
    ratios = {m: dynamics.raced(m, 0.2, 1000)[3] / dynamics.raced(m, 0.2, 100)[3] for m in ("leapfrog", "rk4")}
    assert ratios["leapfrog"] == pytest.approx(1, abs=0.02) and 8 < ratios["rk4"] < 11


@pytest.mark.parametrize(
    ("h", "horizon", "equal", "told"),
    [
        (0.1, 1000, False, r"rk4 keeps the energy 26 times better than leapfrog"),
        (0.4, 1000, True, r"leapfrog keeps the energy 3\d times better than rk4"),
        (0.5, 1000, False, r"leapfrog keeps the energy 3\.\d times better than rk4"),
        (1.5, 1000, False, r"neither keeps the energy: rk4 is off by 1\.4, leapfrog by [\d.]+"),
    ],
)
def test_the_race_says_who_wins(h, horizon, equal, told):
    *artists, title = figures.race(Figure((10, 4)))(h=h, horizon=horizon, equal=equal)
    assert re.fullmatch(told, title.get_text())
    assert title.get_text() in figures.describe_race(h=h, horizon=horizon, equal=equal)
    names = {name.get_text() for name in artists[-3:]}
    short = h / 4 if equal else h
    assert names == {f"euler, h = {short:g}", f"leapfrog, h = {short:g}", f"rk4, h = {h:g}"}


def test_a_tie_is_called_one(monkeypatch):
    run = np.ones(1), np.ones(1), np.ones((1, 2)), 1e-3
    monkeypatch.setattr(dynamics, "raced", lambda *_: run)
    assert figures._winner(0.1, 100, False) == "leapfrog and rk4 keep the energy equally well"


@pytest.mark.parametrize("heights", [(0.0, 0.0, 0.0), (9.0, 8.9, 8.8), (-12.0, -12.0, -12.0), (2.0, -3.0, -3.1)])
def test_the_names_of_the_race_stand_apart_and_in_order(heights):
    placed = figures._apart(dict(zip("abc", heights, strict=True)))
    values = sorted(placed.values())
    assert (np.diff(values) >= figures.SPREAD - 1e-9).all()
    assert values[0] > math.log10(figures.LOWEST) and values[-1] < math.log10(figures.HIGHEST)
    for one, other in ("ab", "bc"):
        a, b = heights["abc".index(one)], heights["abc".index(other)]
        assert a == b or (placed[one] > placed[other]) == (a > b)


def test_the_horizon_of_the_race_is_a_tick():
    update = figures.race(Figure())
    for horizon, ticks in ((1000, [1, 10, 100, 1000]), (300, [1, 10, 100, 300]), (100, [1, 10, 100])):
        *_, title = update(h=0.5, horizon=horizon, equal=False)
        assert title.axes.get_xticks().tolist() == ticks and title.axes.get_xlim()[1] > 5 * horizon


def test_no_name_of_the_race_lies_on_another_or_on_a_line():
    fig = Figure((10.4, 3.9), layout="constrained")
    update = figures.race(fig)
    for h, horizon, equal in ((0.05, 100, True), (0.5, 300, False), (1.5, 1000, False), (0.4, 1000, True)):
        artists = update(h=h, horizon=horizon, equal=equal)
        fig.draw_without_rendering()
        lines, boxes = artists[3:6], [name.get_window_extent() for name in artists[6:9]]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        axes = lines[0].axes
        for box in boxes:
            assert box.x1 < axes.bbox.x1 + 2 and axes.bbox.y0 < box.y0 and box.y1 < axes.bbox.y1
            assert all(axes.transData.transform(line.get_xydata())[:, 0].max() < box.x0 for line in lines)


# --- a learned energy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q0", [0.3, 1.0, 2.2])
def test_the_true_orbit_is_the_level_line_from_the_release(q0):
    orbit = torch.tensor(dynamics.true_orbit(q0))
    assert torch.allclose(pendulum_energy(orbit), torch.tensor(1 - math.cos(q0)))
    assert orbit[0].tolist() == pytest.approx([q0, 0]) and torch.allclose(orbit[0], orbit[-1], atol=1e-12)
    assert orbit[:, 0].min().item() == pytest.approx(-q0)
    t = torch.linspace(0, 30, 400)
    assert np.allclose(dynamics.energy(*pendulum_exact(q0, t).T.numpy()), 1 - math.cos(q0))


def test_the_ride_of_the_true_field_is_jacobis():
    path, energies = dynamics.learned_ride(pendulum_field, 1.3)
    assert path.shape == (1001, 2) and energies.shape == (1001,)
    assert np.allclose(path[:300], pendulum_exact(1.3, 0.1 * np.arange(300)), atol=1e-4)
    assert np.allclose(energies, 1 - math.cos(1.3), atol=1e-4)


def test_a_network_is_asked_in_its_own_dtype():
    torch.manual_seed(0)
    net = HNN(2, 8).float()
    path, _ = dynamics.learned_ride(net, 0.5)
    double, _ = dynamics.learned_ride(net.double(), 0.5)
    assert path.dtype == np.float64 and np.allclose(path[:50], double[:50], atol=1e-4) and not (path == double).all()


@pytest.fixture
def learned():
    """A pendulum with a wind: p' = −sin q + a p changes the energy by a p²; and one that leaves."""

    def wind(a):
        return lambda t, x: pendulum_field(t, x) + torch.stack([0 * x[:, 0], a * x[:, 1]], -1)

    fields = {"true": pendulum_field, "brake": wind(-0.02), "wind": wind(0.1), "blows up": lambda t, x: x**3}
    return figures.level_sets(fields)


def test_a_brake_takes_the_energy_that_friction_takes(learned):
    build, describe = learned
    *_, line, level, name, title = build(Figure())(model="brake", q0=1.0, until=40)
    exact = 1 - math.cos(1.0)
    wanted = integrate.solve_ivp(
        lambda t, x: [x[1], -math.sin(x[0]) - 0.02 * x[1]], (0, 40), [1.0, 0.0], rtol=1e-9, atol=1e-11
    ).y[:, -1]
    end = wanted[1] ** 2 / 2 + 1 - math.cos(wanted[0])
    assert line.get_xydata()[-1] == pytest.approx([40, end], rel=1e-3) and len(line.get_xdata()) == 401
    assert list(level.get_ydata()) == pytest.approx([exact] * 2)
    assert title.get_text() == f"energy off by {100 * (exact - end) / exact:.2g} % at t = 40"
    assert name.get_text() == "brake, released from 1 rad"
    told = describe(model="brake", q0=1.0, until=40)
    assert title.get_text() in told and "exact level is 0.46" in told and "0.46." in told


def test_an_orbit_that_leaves_is_called_so(learned):
    build, describe = learned
    update = build(Figure())
    *_, line, _, _, title = update(model="wind", q0=2.0, until=100)
    t, energies = line.get_data()
    first = t[np.flatnonzero(energies >= 2)[0]]
    assert title.get_text() == f"the orbit left the data at t = {first:.3g}"
    early = update(model="wind", q0=2.0, until=2)[-1].get_text()
    assert "left" not in early and "at t = 2" in early, "what happens later is not told before"
    track, *_, title = update(model="blows up", q0=1.0, until=50)
    # x' = x³ is infinite at t = 1/2; rk4 with steps of 0.1 is late
    assert re.fullmatch(r"the orbit left the data at t = 0\.[4-9]", title.get_text())
    assert np.isnan(track.get_xydata()[-1]).all() and np.isfinite(track.get_xydata()[:3]).all()
    assert title.get_text() in describe(model="blows up", q0=1.0, until=50)


def test_the_true_field_is_on_the_level(learned):
    build, _ = learned
    track, true, start, line, *_, title = build(Figure())(model="true", q0=0.8, until=10)
    off = float(re.fullmatch(r"energy off by (\S+) % at t = 10", title.get_text())[1])
    assert off < 0.01 and start.get_xydata().tolist() == [[0.8, 0.0]] and len(track.get_xdata()) == 101
    assert line.axes.get_ylim()[1] == pytest.approx(3 * (1 - math.cos(0.8)))


# --- prey and predators ---------------------------------------------------------------------------------------------


def test_the_invariant_is_the_collections():
    x = torch.rand(20, 2) * 5 + 0.1
    assert np.allclose(dynamics.invariant(*x.log().numpy().T), lotka_volterra_invariant(x))


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("symplectic", 1), ("rk4", 4)])
def test_the_cycles_converge_at_their_orders(method, order):
    start = torch.tensor([1.0, 1.0])
    errors = []
    for h in (0.02, 0.01) if order == 1 else (0.1, 0.05):
        numbers, *_ = dynamics.cycled(method, h, 1.0)
        n = round(4 / h)
        exact = odeint(lotka_volterra_field, start, torch.tensor([0.0, n * h]), rtol=1e-10, atol=1e-12)[-1]
        errors.append(np.abs(numbers[n] - exact.numpy()).max())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3)


def test_symplectic_euler_in_the_logarithms_is_symplectic():
    """The area of a small triangle in (log x, log y) is kept, to rounding of the differences."""

    def area(step, corners):
        (a, b), (c, d), (e, f) = (step(*corner) for corner in corners)
        return (c - a) * (f - b) - (e - a) * (d - b)

    corners = [(0.3, -0.2), (0.3 + 1e-4, -0.2), (0.3, -0.2 + 1e-4)]
    kept = area(lambda u, v: dynamics._advance("symplectic", 0.3, u, v), corners)
    grown = area(lambda u, v: dynamics._advance("euler", 0.3, u, v), corners)
    assert kept == pytest.approx(1e-8, rel=1e-3) and abs(grown / 1e-8 - 1) > 0.01


def test_eulers_step_is_of_the_numbers_themselves():
    x = torch.tensor([3.0, 1.5])
    wanted = x + 0.2 * lotka_volterra_field(0.0, x)
    assert np.exp(dynamics._advance("euler", 0.2, *x.log().tolist())) == pytest.approx(wanted.tolist())
    a, b, *_ = LOTKA_VOLTERRA
    assert dynamics._advance("euler", 0.3, 0.0, math.log((a + 1 / 0.3) / b) + 1e-6) is None, "no negative prey"


@pytest.mark.parametrize("x0", [0.4, 1.0, 4.0])
@pytest.mark.parametrize("h", [0.05, 0.1, 0.3])
def test_what_the_cycles_title_says_holds(h, x0):
    update = figures.cycle(Figure())
    track, start, now, most, name, title = update(method="symplectic", h=h, x0=x0)
    assert title.get_text().endswith(", and does not grow") and name.get_text() == f"symplectic Euler, h = {h:g}"
    assert start.get_xydata().tolist() == [[x0, 1.0]]
    value = lotka_volterra_invariant(torch.tensor(track.get_xydata())).numpy()
    assert np.allclose(now.get_ydata(), np.maximum(np.abs(value - value[0])[1:], figures.FLAT), atol=1e-11)
    assert most.get_ydata()[-1] == pytest.approx(now.get_ydata().max()) and (np.diff(most.get_ydata()) >= 0).all()
    assert figures._short(np.abs(value - value[0]).max()) in title.get_text()
    grown = update(method="euler", h=h, x0=x0)[-1].get_text()
    assert grown.endswith("keeps growing") or grown.endswith("until a species dies out")
    for method in ("euler", "symplectic", "rk4"):
        assert figures._kept(method, h, x0) in figures.describe_cycle(method=method, h=h, x0=x0)


def test_rk4_drifts_slowly_and_euler_dies_out():
    assert figures._kept("rk4", 0.3, 0.4).endswith("and keeps growing")
    numbers, change, died = dynamics.cycled("euler", 0.3, 4.0)
    assert died and len(change) < 200 and figures._kept("euler", 0.3, 4.0).endswith("until a species dies out")
    assert f"ends at t = {0.3 * (len(change) - 1):.3g}" in figures.describe_cycle("euler", 0.3, 4.0)
    assert (numbers > 0).all() and not dynamics.cycled("rk4", 0.3, 4.0)[2]


# --- operators on grids ---------------------------------------------------------------------------------------------


def heat(u):
    """The heat equation's solution at time 1, by Fourier: exact on every grid, and not Burgers'."""
    k = torch.arange(u.shape[-1] // 2 + 1)
    return torch.fft.irfft(torch.fft.rfft(u) * torch.exp(-dynamics.VISCOSITY * k**2), n=u.shape[-1])


def by_name_of_grid(u):
    """The truth on each grid times a factor that depends on the grid."""
    truth = dynamics.waves()[1][:, :: dynamics.FINE // u.shape[-1]]
    return truth * {32: 1.5, 64: 1.03, 128: 0.35, 256: 1.0}[u.shape[-1]]


@pytest.fixture
def operators():
    return figures.resolution({"heat": heat, "factor": by_name_of_grid})


def test_the_waves_solve_burgers_equation():
    """Against scipy's solver, with derivatives by Fourier on half of the points."""
    u0, truth = (u.numpy() for u in dynamics.waves())
    k, nu = np.arange(129), dynamics.VISCOSITY

    def velocity(t, u):
        return np.fft.irfft(-0.5j * k * np.fft.rfft(u**2) - nu * k**2 * np.fft.rfft(u), n=256)

    u = integrate.solve_ivp(velocity, (0, 1), u0[1, ::2], rtol=1e-7, atol=1e-9).y[:, -1]
    assert u0.shape == truth.shape == (5, 512) and np.abs(u - truth[1, ::2]).max() < 1e-5


def test_the_errors_are_relative_and_means_over_the_functions(operators):
    build, describe = operators
    update = build(Figure())
    before, after, dots, curve, ring, title = update(model="factor", size=64, sample=2)
    assert curve.get_ydata() == pytest.approx([0.5, 0.03, 0.65, 0.0], abs=1e-12)
    assert title.get_text() == "factor: error 3 % on 64 points, 65 % on 128"
    assert ring.get_xydata().tolist() == [[64, pytest.approx(0.03)]]
    u0, truth = dynamics.waves()
    assert np.array_equal(before.get_ydata(), u0[2]) and np.array_equal(after.get_ydata(), truth[2])
    assert np.allclose(dots.get_ydata(), 1.03 * truth[2, ::8])
    assert np.allclose(dots.get_xdata(), before.get_xdata()[::8])
    told = describe(model="factor", size=64, sample=2)
    assert "function 3 on 64 points: off by 3 %" in told and "50 % on 32, 3 % on 64, 65 % on 128, 0 % on 256" in told
    assert update(model="factor", size=128, sample=0)[-1].get_text() == "factor: error 65 % on 128 points, 3 % on 64"


def test_a_map_of_functions_errs_alike_on_every_grid(operators):
    errors = [dynamics.predicted(heat, n)[1] for n in dynamics.SIZES]
    assert errors == pytest.approx([errors[-1]] * 4, rel=0.02) and errors[0] > 0.3
    u, error = dynamics.predicted(heat, 64)
    truth = dynamics.waves()[1][:, ::8].numpy()
    rows = [math.dist(a, b) / math.hypot(*b) for a, b in zip(u, truth, strict=True)]
    assert u.shape == (5, 64) and error == pytest.approx(sum(rows) / 5)


def test_an_operator_is_asked_in_its_own_dtype():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(2.0, dtype=torch.float32))

        def forward(self, u):
            assert u.dtype == torch.float32
            return self.factor * u

    u, _ = dynamics.predicted(Doubled(), 32)
    assert u.dtype == np.float64 and np.allclose(u, 2 * dynamics.waves()[0][:, ::16], atol=1e-5)


# --- errors by mode -------------------------------------------------------------------------------------------------


def run(k, coefficients, points=201):
    x = np.linspace(0, 1, points)
    off = sum(c * np.sin(j * math.pi * x) for j, c in enumerate(coefficients, 1))
    return {"u": (np.sin(k * math.pi * x) + off).tolist(), "modes": list(coefficients)}


@pytest.fixture
def informed():
    one = [0.0] * 12
    eight = [1.2, -0.9, 0.3, 0.4, 0.1, 0.0, 0.0, -0.2, 0.0, 0.0, 0.0, 0.05]
    four, other = [0.0, 0.03, 0.0, 0.04, *one[4:]], [*one[:7], 0.5, *one[8:]]
    return {1: [run(1, [3e-4, *one[1:]])], 4: [run(4, four)], 8: [run(8, eight), run(8, other)]}


@pytest.mark.parametrize(("k", "seed"), [(1, 0), (4, 0), (8, 0), (8, 1)])
def test_the_error_by_mode_is_parsevals(informed, k, seed):
    """Sines are orthogonal: the relative error is the root of the sum of the squared coefficients."""
    build, describe = figures.modes(informed)
    coefficients = np.array(informed[k][seed]["modes"])
    error = math.hypot(*coefficients)
    assert dynamics.wave_error(informed[k][seed]["u"], k) == pytest.approx(error, rel=1e-6)
    exact, made, *bars, seen, one, words, name, title = build(Figure())(k=k, seed=seed)
    assert [bar.get_height() for bar in bars] == pytest.approx(np.abs(coefficients))
    assert title.get_text().startswith(f"off by {figures._percent(error)}")
    assert title.get_text() in describe(k=k, seed=seed) and name.get_text() == f"k = {k}, network {seed + 1}"
    assert np.allclose(exact.get_ydata(), np.sin(k * math.pi * exact.get_xdata()))
    assert np.array_equal(made.get_ydata(), informed[k][seed]["u"]) and made.get_xdata()[[0, -1]].tolist() == [0, 1]
    j, height = seen.get_data()
    assert np.allclose(height / one.get_ydata()[0], (j / k) ** 2) and one.get_xdata()[0] == k
    assert f"(j/{k})²" in words.get_text()


def test_the_share_of_the_low_modes(informed):
    assert dynamics.low_share([3.0, 0.0, 0.0, 4.0], 4) == pytest.approx(9 / 25)
    build, describe = figures.modes(informed)
    update = build(Figure())
    assert update(k=8, seed=0)[-1].get_text() == "off by 160 %, 98 % of it (squared) in modes 1–4"
    assert update(k=8, seed=1)[-1].get_text() == "off by 50 %, 0 % of it (squared) in modes 1–4"
    assert update(k=4, seed=0)[-1].get_text() == "off by 5 %, 36 % of it (squared) in modes 1–2"
    assert update(k=1, seed=0)[-1].get_text() == "off by 0.03 %"
    assert "in mode 1, which the residual sees with weight 0.016" in describe(k=8, seed=0)
    assert "in mode 8, which the residual sees with weight 1." in describe(k=8, seed=1)


@pytest.mark.parametrize("k", [1, 4, 8])
def test_the_residual_sees_a_mode_with_the_weight_that_is_told(k):
    """By second differences: u + ε sin jπx has a residual (j/k)² times that of u + ε sin kπx."""
    x = np.linspace(0, 1, 4001)
    size = {j: np.abs(np.diff(np.sin(j * math.pi * x), 2)).max() for j in (*range(1, 13), k)}
    _, height = figures.modes({k: [run(k, [0.1] * 12)]})[0](Figure())(k=k, seed=0)[14].get_data()
    assert np.allclose(height / height[k - 1], [size[j] / size[k] for j in range(1, 13)], rtol=1e-4)


def test_nothing_lies_on_the_words(informed):
    fig = Figure((10.4, 3.9), layout="constrained")
    update = figures.modes(informed)[0](fig)
    for k, seed in ((1, 0), (4, 0), (8, 0)):
        exact, made, *bars, seen, one, words, name, title = update(k=k, seed=seed)
        fig.draw_without_rendering()
        box = words.get_window_extent()
        assert not any(bar.get_window_extent().overlaps(box) for bar in bars)
        assert seen.get_window_extent().y1 < box.y0 and box.x1 < words.axes.bbox.x1
        legend = exact.axes.get_legend().get_window_extent()
        tops = [exact.axes.transData.transform(line.get_xydata())[:, 1].max() for line in (exact, made)]
        assert max(tops) < legend.y0


# --- all of them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (0.026, "0.026"), (3.14, "3.1"), (26.4, "26"), (99.4, "99"), (99.6, "100"), (140.0, "140"),
     (12_345, "12000"), (1e6, "1.0e6"), (4.2e-5, "4.2e-5"), (1.2e-10, "1.2e-10")],
)  # fmt: skip
def test_numbers_are_told_with_two_digits(value, told):
    assert figures._short(value) == told


@pytest.mark.parametrize(
    ("build", "here", "there"),
    [
        pytest.param(lambda *_: figures.race, (0.4, 300, True), (1.5, 100, False), id="race"),
        pytest.param(lambda levels, *_: levels[0], ("brake", 1.0, 40), ("blows up", 2.0, 100), id="levels"),
        pytest.param(lambda *_: figures.cycle, ("rk4", 0.2, 1.0), ("euler", 0.3, 4.0), id="cycle"),
        pytest.param(lambda _, grids, __: grids[0], ("heat", 64, 0), ("factor", 128, 3), id="resolution"),
        pytest.param(lambda _, __, runs: figures.modes(runs)[0], (8, 0), (1, 0), id="modes"),
    ],
)
def test_a_picture_does_not_remember(build, here, there, learned, operators, informed):
    fig = Figure((10, 4))
    update = build(learned, operators, informed)(fig)

    def state(parameters):
        return repr((snapshot(update(*parameters)), [(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes]))

    first = state(here)
    assert state(there) != first and state(here) == first


# --- exercises ------------------------------------------------------------------------------------------------------


def test_after_so_many_periods_leapfrog_is_one_ahead():
    """By counting: the phase of the method's own ellipse, step by step."""
    steps = round(4 * math.pi * exercises["E8.2"].solution)  # 2π/h in a period, h = 1/2
    q, p, turned = torch.ones(1), torch.zeros(1), 0.0
    for _ in range(steps):
        before = math.atan2(-p.item(), q.item() * math.sqrt(1 - 0.25 / 4))
        q, p = chapter._leapfrog(lambda q: -q, q, p, 0.5)
        turned += (math.atan2(-p.item(), q.item() * math.sqrt(1 - 0.25 / 4)) - before) % (2 * math.pi)
    assert turned - steps / 2 == pytest.approx(2 * math.pi, abs=0.01)


def test_the_clock_is_judged_to_a_per_cent():
    check = exercises["E8.2"].check
    assert check(93.2) and check(93) and check(torch.tensor(93.3)) and not check(95)
    assert "part of a turn" in check(0.0107).message and "leapfrog's frequency" in check(1.0107).message
    assert "leading term" in check(96).message and "too *fast*" in check(-93).message
    assert "another number" in check(0.5).message and "another number" in check(math.nan).message
    assert check("x").kind == check([1, 2]).kind == "wrong type or shape"
    assert check(2j).kind == "wrong value"


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("_drift_kick_drift", 2),
        ("_leapfrog", 2),
        ("_midpoint", 2),
        ("_symplectic_euler", 1),
        ("_other_symplectic_euler", 1),
        ("_euler", 1),
    ],
)
def test_the_steps_of_the_exercise_are_of_their_orders(name, order):
    step, errors = getattr(chapter, name), []
    for n in (400, 800):
        q, p = 1.0, 0.0
        for _ in range(n):
            q, p = step(lambda q: -math.sin(q), q, p, 4 / n)
        errors.append(abs(q - pendulum_exact(1.0, torch.tensor([4.0]))[0, 0].item()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_the_step_is_the_collections_with_the_roles_exchanged():
    """Drift–kick–drift on (q, p) is kick–drift–kick on (p, −q) for a linear force."""
    q, p = torch.tensor([0.4]), torch.tensor([-1.1])
    field = lambda t, x: (x[1], -x[0])  # noqa: E731
    wanted = odeint(field, (p, -q), torch.tensor([0.0, 0.3]), method="leapfrog", options={"num_steps": 1})
    new_q, new_p = exercises["E8.3"].solution(lambda q: -q, q, p, 0.3)
    assert torch.allclose(torch.cat([new_p, -new_q]), torch.cat([x[-1] for x in wanted]))


@pytest.mark.parametrize("factor", [1.0, -0.5, 7.0])
def test_an_invariant_may_have_a_factor_and_a_constant(factor):
    check, solution = exercises["E8.4"].check, exercises["E8.4"].solution
    assert check(lambda q, p, omega, h: factor * solution(q, p, omega, h) + 3 * h)
    assert check(lambda q, p, omega, h: factor * solution(q, p, omega, h).sqrt())
    ellipse = lambda q, p, w, h: p**2 + w**2 * q**2 / (1 - (h * w / 2) ** 2)  # noqa: E731  another factor
    assert check(ellipse)


def test_what_is_conserved_must_be_definite_and_tell_paths_apart():
    check, solution = exercises["E8.4"].check, exercises["E8.4"].solution
    wavy = check(lambda q, p, omega, h: torch.sin(3 * solution(q, p, omega, h)))
    assert wavy.kind == "wrong value" and "positive definite" in wavy.message
    assert check(lambda q, p, omega, h: 0 * q * p + omega).message.startswith("A constant")
    assert "it varies" in check(lambda q, p, omega, h: p**2 + q**4).message
    assert check(lambda q, p, omega, h: math.nan * q).kind == "wrong value"
    assert check(lambda q, p, omega, h: 1.0).kind == check(3).kind == "wrong type or shape"
    scaled = check(lambda q, p, omega, h: 5 * chapter._true_energy(q, p, omega, h) + 1)
    assert "true energy" in scaled.message


def test_sparse_regression_finds_each_outputs_terms_and_refits_them():
    draw = torch.Generator().manual_seed(5)
    library = torch.randn(200, 6, generator=draw)
    true = torch.tensor([[0.0, -0.9, 0.0, 0.0, 1.3, 0.0], [0.7, 0.0, 0.0, 0.0, -0.4, 0.0], [0.0] * 6]).T
    target = library @ true + 0.01 * torch.randn(200, 3, generator=draw)
    found = exercises["E8.5"].solution(library, target, 0.1)
    assert ((found != 0) == (true != 0)).all() and (found - true).abs().max() < 0.01
    for j, terms in enumerate(([1, 4], [0, 4])):
        kept = np.linalg.lstsq(library[:, terms].numpy(), target[:, j].numpy(), rcond=None)[0]
        assert found[terms, j].numpy() == pytest.approx(kept)


def test_ten_rounds_are_as_good_as_until_nothing_changes():
    def ten_rounds(library, target, threshold):
        c = torch.linalg.lstsq(library, target).solution
        for _ in range(10):
            small = c.abs() < threshold
            c = torch.zeros_like(c)
            for j in range(target.shape[1]):
                if not (own := ~small[:, j]).any():
                    continue
                c[own, j] = torch.linalg.lstsq(library[:, own], target[:, j : j + 1]).solution[:, 0]
        return c

    check = exercises["E8.5"].check
    assert check(ten_rounds)
    assert check(lambda *a: ten_rounds(*a).T).kind == "wrong type or shape"


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("s", [0.3, -2.0, 7.0])
def test_the_shift_is_exact_between_the_samples(size, s):
    x = 2 * math.pi * torch.arange(size) / size
    f = lambda x: 2 + (2 * x).cos() - (2 * x).sin() + (7 * x).sin()  # noqa: E731
    assert torch.allclose(exercises["E8.6"].solution(f(x), s), f(x - s))


def test_a_shift_may_be_written_with_sines_or_with_all_frequencies():
    def sines(u, s):
        """Without any transform."""
        x = 2 * math.pi * torch.arange(len(u)) / len(u)
        moved = [u.mean() * torch.ones_like(u)]
        for k in range(1, (len(u) + 1) // 2):
            moved += [2 * (u @ wave(k * x)) / len(u) * wave(k * (x - s)) for wave in (torch.cos, torch.sin)]
        return sum(moved)

    def signed(u, s):
        k = len(u) * torch.fft.fftfreq(len(u))
        return torch.fft.ifft(torch.fft.fft(u) * torch.exp(-1j * k * s)).real

    assert exercises["E8.6"].check(sines) and exercises["E8.6"].check(signed)


def test_the_differences_with_a_free_end_are_exact_for_parabolas_and_of_second_order():
    solve, x = exercises["E8.7"].solution, torch.linspace(0, 1, 12)
    assert torch.allclose(solve(lambda x: 2 + 0 * x, 11), 2 * x - x**2), "u‴ = 0: no error at all"
    for name, gain in (("_solve", 4), ("_three_points", 4), ("_first_order_end", 2), ("_whole_interval", 2)):
        values = chapter._known(getattr(chapter, name))
        assert chapter._order(values)[1] == pytest.approx(gain, abs=0.15), name


def test_solvers_are_judged_by_order_and_shape():
    check = exercises["E8.7"].check
    assert "divides the error by 4.0" in check(exercises["E8.7"].solution).message
    assert check(chapter._three_points), "another end of order two"
    assert check(lambda f, n: -chapter._three_points(f, n)).message == chapter.SIGN
    assert check(lambda f, n: n**2 * chapter._three_points(f, n)).message == chapter.SQUARE
    assert check(lambda f, n: n * chapter._three_points(f, n)).message == chapter.ONCE
    assert check(lambda f, n: torch.zeros(n)).kind == check(2).kind == "wrong type or shape"
    assert check(lambda f, n: 1.0).kind == check(lambda f, n: [0.0] * (n + 1)).kind == "wrong type or shape"
    assert "0 at x = 0; yours is 1" in check(lambda f, n: torch.ones(n + 1)).message
    assert "other values" in check(lambda f, n: torch.zeros(n + 1)).message
    assert "not finite" in check(lambda f, n: math.nan * torch.zeros(n + 1)).message
    late = check(lambda f, n: chapter._solve(f, n) + torch.linspace(0, 1, n + 1) / n)
    assert "look at the end x = 1" in late.message
