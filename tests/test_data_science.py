"""Pendulum, prey and predators, Burgers' equation: against closed forms, quadrature and other solvers."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp

from helpers.data import (
    LOTKA_VOLTERRA,
    burgers,
    burgers_cole_hopf,
    burgers_initial,
    lotka_volterra,
    lotka_volterra_field,
    lotka_volterra_invariant,
    pendulum,
    pendulum_energy,
    pendulum_exact,
    pendulum_field,
)
from helpers.solvers import odeint

NOT_POSITIVE = (0.0, -1.0, math.nan, math.inf)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    yield
    torch.set_default_dtype(torch.float32)


def refused(call, error, name):
    """A call ends in one exception of this kind, which begins with the argument's name and says what was given."""
    with pytest.raises(error, match=rf"^{re.escape(name)} must .*; got ") as caught:
        call()
    assert type(caught.value) is error


def states_refused(call):
    """A function of states (..., 2) refuses what is none."""
    for bad in ([1.0, 2.0], torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=torch.complex128)):
        refused(lambda bad=bad: call(bad), TypeError, "x")
    for shape in ((), (3,), (2, 1), (2, 4)):
        refused(lambda shape=shape: call(torch.ones(shape)), ValueError, "x")


# --- the pendulum ---------------------------------------------------------------------------------------


def test_the_field_is_the_symplectic_gradient_of_the_energy():
    x = torch.randn(2, 5, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(pendulum_energy(x).sum(), x)
    torch.testing.assert_close(pendulum_field(0.3, x), torch.stack([slope[..., 1], -slope[..., 0]], -1))
    ends = torch.tensor([[0.0, 0.0], [math.pi, 0.0], [0.0, 2.0]])
    torch.testing.assert_close(pendulum_energy(ends), torch.tensor([0.0, 2.0, 2.0]))


@pytest.mark.parametrize("q0", [-2.9, -1.0, 1e-3, 2.0, 3.1])
def test_the_exact_motion_against_a_solver(q0):
    t = torch.linspace(0, 20, 41)
    x = pendulum_exact(q0, t)
    solved = odeint(pendulum_field, torch.tensor([q0, 0.0]), t, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(x, solved, rtol=0, atol=1e-6)
    torch.testing.assert_close(x[0], torch.tensor([q0, 0.0]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("q0", [0.5, 2.0, math.pi - 1.1e-4])
def test_the_exact_motion_keeps_its_energy_and_comes_back(q0):
    t = torch.linspace(-50, 300, 351)
    torch.testing.assert_close(pendulum_energy(pendulum_exact(q0, t)), torch.full((351,), 1 - math.cos(q0)))
    a, b = 1.0, math.cos(q0 / 2)  # Gauss: the period is 2π over the arithmetic-geometric mean
    while abs(a - b) > 1e-15:
        a, b = (a + b) / 2, math.sqrt(a * b)
    period = 2 * math.pi / a
    at = pendulum_exact(q0, period * torch.tensor([-1.0, 0.25, 0.5, 1.0, 3.0]))
    wanted = torch.tensor([q0, 0.0, -q0, q0, q0])
    torch.testing.assert_close(at[:, 0], wanted, rtol=0, atol=1e-6)
    assert at[1, 1].item() == pytest.approx(-2 * math.sin(q0 / 2), abs=1e-6)


def test_the_exact_motion_takes_times_as_they_come():
    t = np.array([3, -1, 0])
    x = pendulum_exact(1.0, t)
    for same in (torch.tensor(t), torch.tensor([3.0, -1.0, 0.0]).requires_grad_(), t[::-1].copy()[::-1]):
        torch.testing.assert_close(pendulum_exact(1.0, same), x)
    assert not pendulum_exact(0.0, t).any()
    assert pendulum_exact(1.0, torch.zeros(0)).shape == (0, 2)
    torch.set_default_dtype(torch.float32)
    assert pendulum_exact(1.0, t).dtype == torch.float32


def area(top, of=lambda q: 1.0):
    """∫ of(q) over the states of energy at most `top`, by quadrature; sin² substitutes the ends' square roots."""
    end = math.acos(1 - top)

    def strip(s):
        q = end * math.sin(s)
        return of(q) * 2 * math.sqrt(max(0.0, 2 * (top - 1 + math.cos(q)))) * end * math.cos(s)

    return quad(strip, -math.pi / 2, math.pi / 2, limit=200)[0]


@pytest.mark.parametrize("top", [0.2, 1.8, 2.0])
def test_the_states_are_uniform_under_the_energy(top):
    n = 20_000
    x, _ = pendulum(n, top=top, seed=1)
    energy = pendulum_energy(x)
    assert energy.max() <= top
    assert x[:, 1].abs().max() > 0.99 * math.sqrt(2 * top) and x[:, 0].abs().max() > 0.95 * math.acos(1 - top)
    levels = top * np.arange(1, 10) / 10
    inside = np.array([area(level) for level in levels]) / area(top)
    expected = n * np.diff(np.concatenate([[0], inside, [1]]))
    counts = np.bincount(np.searchsorted(levels, energy.numpy()), minlength=10)
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # χ² with 9 degrees of freedom, one in a thousand
    # along a level line: as many in each quadrant, and the second moments of the area
    quadrants = np.bincount(2 * (x[:, 0] > 0).numpy() + (x[:, 1] > 0).numpy(), minlength=4)
    assert ((quadrants - n / 4) ** 2 / (n / 4)).sum() < 16.3
    assert x[:, 0].square().mean().item() == pytest.approx(area(top, lambda q: q * q) / area(top), rel=0.05)
    wanted = area(top, lambda q: 2 * (top - 1 + math.cos(q)) / 3) / area(top)  # p² over a strip of half-height p
    assert x[:, 1].square().mean().item() == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize("noise", [0.0, 0.1, 3.0])
def test_the_velocities_have_the_noise_that_was_asked_for(noise):
    x, y = pendulum(20_000, noise=noise, seed=2)
    off = y - pendulum_field(0.0, x)
    torch.testing.assert_close(off.std(0), torch.full((2,), noise), rtol=0.03, atol=1e-12)
    torch.testing.assert_close(off.mean(0), torch.zeros(2), rtol=0, atol=0.03 * noise + 1e-12)
    if noise:
        assert abs(np.corrcoef(off.T.numpy())[0, 1]) < 0.03
        assert (off.abs() > 2 * noise).double().mean().item() == pytest.approx(0.0455, abs=0.005)  # Gaussian


def seeded(made):
    """The same seed gives the same data, whatever was drawn before; another seed others; nothing else is touched."""
    before = torch.get_rng_state()
    one = made(5)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert torch.equal(made(5), one) and not torch.equal(made(6), one)
    torch.set_default_dtype(torch.float32)
    single = made(5)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), one, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 500])
def test_pendulums_are_seeded(n):
    x, y = pendulum(n, top=2.0, seed=4)
    assert x.shape == y.shape == (n, 2)
    seeded(lambda seed: torch.cat(pendulum(n, seed=seed)))


def test_pendulums_refuse():
    states_refused(lambda x: pendulum_field(0.0, x))
    states_refused(pendulum_energy)
    t = torch.ones(2)
    for name in ("n", "seed"):
        for bad in (2.0, True, "3", None):
            refused(lambda k={"n": 3} | {name: bad}: pendulum(**k), TypeError, name)
        refused(lambda k={"n": 3} | {name: -1}: pendulum(**k), ValueError, name)
    refused(lambda: pendulum(0), ValueError, "n")
    for bad in (0.0, -1.0, 2.0001, math.nan, math.inf):
        refused(lambda bad=bad: pendulum(3, top=bad), ValueError, "top")
    for bad in (-0.1, math.nan, math.inf):
        refused(lambda bad=bad: pendulum(3, noise=bad), ValueError, "noise")
    for name in ("top", "noise"):
        for bad in ("1", None, True, [1.0, 2.0]):
            refused(lambda k={name: bad}: pendulum(3, **k), TypeError, name)
    for bad in (math.pi, -math.pi, 4.0, math.pi - 1e-9, math.nan, math.inf):
        refused(lambda bad=bad: pendulum_exact(bad, t), ValueError, "q0")
    refused(lambda: pendulum_exact("1", t), TypeError, "q0")
    for bad in ([1.0], 1.0, t.bool(), t.to(torch.complex128), np.array(["a"])):
        refused(lambda bad=bad: pendulum_exact(1.0, bad), TypeError, "t")
    for bad in (t[0], t[None], t / 0, np.array([np.nan])):
        refused(lambda bad=bad: pendulum_exact(1.0, bad), ValueError, "t")


# --- prey and predators ---------------------------------------------------------------------------------


def test_the_cycle_against_another_solver():
    a, b, c, d = LOTKA_VOLTERRA
    t = np.linspace(0, 12, 61)
    other = solve_ivp(
        lambda t, x: [a * x[0] - b * x[0] * x[1], c * x[0] * x[1] - d * x[1]],
        (0, 12), [0.44249296, 4.6280594], method="DOP853", t_eval=t, rtol=1e-12, atol=1e-13,
    )  # fmt: skip
    torch.testing.assert_close(lotka_volterra(torch.tensor(t)), torch.tensor(other.y.T), rtol=0, atol=1e-7)


@pytest.mark.parametrize("start", [(0.44249296, 4.6280594), (1.0, 1.0), (5.0, 0.01)], ids=["paper", "ones", "far"])
def test_the_invariant_does_not_change(start):
    x = lotka_volterra(torch.linspace(0, 20, 201), start=start)
    value = lotka_volterra_invariant(x)
    torch.testing.assert_close(value, value[:1].expand(201), rtol=0, atol=1e-7)
    assert (x.amax(0) / x.amin(0) > 2).all()
    slope = torch.autograd.functional.jacobian(lotka_volterra_invariant, x[7])
    assert abs(slope @ lotka_volterra_field(0.0, x[7])) < 1e-12 * slope.norm()


def test_where_both_kinds_live_in_balance_nothing_moves():
    a, b, c, d = LOTKA_VOLTERRA
    rest = torch.tensor([d / c, a / b])
    assert lotka_volterra_field(0.0, rest).abs().max() < 1e-15
    torch.testing.assert_close(lotka_volterra(torch.linspace(0, 5, 6), start=(d / c, a / b)), rest.expand(6, 2))


def test_the_noise_is_in_units_of_the_means():
    t = torch.linspace(0, 20, 4001)
    clean, noisy = lotka_volterra(t), lotka_volterra(t, noise=0.05, seed=3)
    off = (noisy - clean) / clean.mean(0)
    torch.testing.assert_close(off.std(0), torch.full((2,), 0.05), rtol=0.05, atol=0)
    torch.testing.assert_close(off.mean(0), torch.zeros(2), rtol=0, atol=0.003)
    assert torch.equal(lotka_volterra(t[:5], noise=0.0, seed=1), lotka_volterra(t[:5], noise=0.0, seed=2))


def test_cycles_are_seeded():
    t = torch.linspace(0, 6, 61, dtype=torch.float64)
    seeded(lambda seed: lotka_volterra(t, noise=0.1, seed=seed))


def test_cycles_refuse():
    states_refused(lambda x: lotka_volterra_field(0.0, x))
    states_refused(lotka_volterra_invariant)
    for bad in ([1.0, 0.0], [-1.0, 1.0], [math.nan, 1.0]):
        refused(lambda bad=bad: lotka_volterra_invariant(torch.tensor([[1.0, 1.0], bad])), ValueError, "x")
    t = torch.linspace(0, 1, 3)
    for bad in NOT_POSITIVE:
        for start in ((bad, 1.0), (1.0, bad)):
            refused(lambda s=start: lotka_volterra(t, start=s), ValueError, "start")
    for bad in (1.0, None, (1.0,), (1.0, 2.0, 3.0), ("1", 2.0), (True, 2.0)):
        refused(lambda bad=bad: lotka_volterra(t, start=bad), TypeError, "start")
    for bad in (-0.1, math.nan, math.inf):
        refused(lambda bad=bad: lotka_volterra(t, noise=bad), ValueError, "noise")
    refused(lambda: lotka_volterra(t, noise="1"), TypeError, "noise")
    for bad in (1.0, True, "1"):
        refused(lambda bad=bad: lotka_volterra(t, seed=bad), TypeError, "seed")
    refused(lambda: lotka_volterra(t, seed=-1), ValueError, "seed")
    for bad in (t.flip(0), t * 0, t / 0, t[:1], t[None], torch.tensor([0.0, 2.0, 1.0]), torch.tensor(1.0)):
        refused(lambda bad=bad: lotka_volterra(bad), ValueError, "t")
    for bad in ([0.0, 1.0], torch.arange(3)):
        refused(lambda bad=bad: lotka_volterra(bad), TypeError, "t")


# --- Burgers' equation ----------------------------------------------------------------------------------


def circle(size):
    return 2 * math.pi * torch.arange(size, dtype=torch.float64) / size


def decaying(a, time, viscosity, x):
    """A solution: φ = 1 + a exp(−νt) cos x solves the heat equation, u = −2ν φ_x/φ."""
    a = a * math.exp(-viscosity * time)
    return 2 * viscosity * a * x.sin() / (1 + a * x.cos())


@pytest.mark.parametrize("size", [64, 65])
@pytest.mark.parametrize("a, time, viscosity", [(0.7, 1.5, 0.3), (-0.5, 0.2, 1.0), (0.6, 3.0, 0.05)])
def test_both_ways_against_a_solution_in_closed_form(a, time, viscosity, size):
    x = circle(size)
    u0, wanted = decaying(a, 0, viscosity, x)[None], decaying(a, time, viscosity, x)[None]
    assert (wanted - u0).abs().max() > 5e-3
    torch.testing.assert_close(burgers_cole_hopf(u0, time, viscosity), wanted, rtol=0, atol=1e-9)
    torch.testing.assert_close(burgers(u0, time, viscosity, steps=400), wanted, rtol=0, atol=1e-9)


def test_both_ways_agree_on_random_functions():
    u0 = burgers_initial(4, 512, seed=5)
    exact, solved = burgers_cole_hopf(u0, 1.0, 0.05), burgers(u0, 1.0, 0.05, steps=400)
    torch.testing.assert_close(solved, exact, rtol=0, atol=1e-7)
    assert (exact - u0).abs().max() > 0.3
    # fourth order in time
    off = [(burgers(u0, 1.0, 0.05, steps=n) - exact).abs().max().item() for n in (50, 100)]
    assert math.log2(off[0] / off[1]) == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize("solve", [burgers_cole_hopf, lambda *given: burgers(*given, steps=50)], ids=["exact", "rk4"])
def test_small_waves_obey_the_heat_equation(solve):
    x = circle(32)
    u0 = (x.sin() + (3 * x).cos())[None]
    heat = math.exp(-0.4) * x.sin() + math.exp(-9 * 0.4) * (3 * x).cos()
    off = [((solve(eps * u0, 2.0, 0.2) / eps)[0] - heat).abs().max().item() for eps in (1e-2, 1e-3)]
    assert off[0] < 0.05 and off[0] / off[1] == pytest.approx(10, rel=0.1)  # what is left is of the second order
    with pytest.raises(ValueError, match="^u0 must have mean zero"):
        burgers_cole_hopf(1e-8 * (u0 + 1), 2.0, 0.2)  # a mean counts beside the wave, however small both are


def test_the_mean_is_kept_and_carries_the_wave_along():
    """Galilei: with c added to u₀ the solution is c + u(x − ct, t)."""
    x, c = circle(64), 0.8
    u0 = decaying(0.7, 0, 0.3, x)[None]
    found = burgers(u0 + c, 1.5, 0.3, steps=800)
    torch.testing.assert_close(found, c + decaying(0.7, 1.5, 0.3, x - 1.5 * c)[None], rtol=0, atol=1e-9)
    assert abs(found.mean().item() - c) < 1e-14
    assert burgers_cole_hopf(u0, 1.5, 0.3).mean().abs() < 1e-12


def test_the_functions_of_a_batch_do_not_meet():
    u0 = burgers_initial(4, 128, seed=1)
    for solve in (burgers_cole_hopf, lambda *given: burgers(*given, steps=60)):
        torch.testing.assert_close(solve(u0, 0.5, 0.1)[2:3], solve(u0[2:3], 0.5, 0.1), rtol=1e-12, atol=1e-13)


def test_burgers_equation_in_single_precision():
    u0 = burgers_initial(5, 256, seed=3)
    exact = burgers_cole_hopf(u0, 1.0, 0.05)
    single, solved = burgers_cole_hopf(u0.float(), 1.0, 0.05), burgers(u0.float(), 1.0, 0.05, steps=400)
    assert single.dtype == solved.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-6)
    torch.testing.assert_close(solved.double(), exact, rtol=0, atol=1e-4)


def test_the_initial_functions_are_the_same_on_every_grid_and_seeded():
    fine = burgers_initial(3, 128, seed=2)
    for size in (2, 8, 32, 64):
        torch.testing.assert_close(burgers_initial(3, size, seed=2), fine[:, :: 128 // size], rtol=0, atol=1e-13)
    seeded(lambda seed: burgers_initial(3, 17, seed=seed))


@pytest.mark.parametrize("waves", [1, 4, 9])
def test_the_initial_functions_hold_their_frequencies_alone(waves):
    u = burgers_initial(4000, 32, waves=waves, seed=2)
    power = torch.fft.rfft(u, norm="forward").abs().square().mean(0)
    assert power[0] < 1e-28 and (power[waves + 1 :] < 1e-28).all()
    torch.testing.assert_close(power[1 : waves + 1], torch.full((waves,), 0.25 / waves), rtol=0.1, atol=0)
    assert u.square().mean().sqrt().item() == pytest.approx(math.sqrt(0.5), rel=0.03)


def test_burgers_equation_refuses():
    u0 = burgers_initial(3, 64)
    for solve in (burgers_cole_hopf, lambda *given: burgers(*given, steps=5)):
        refused(lambda s=solve: s(u0.tolist(), 1.0, 0.1), TypeError, "u0")
        for dtype in (torch.int64, torch.complex128):
            refused(lambda s=solve, d=dtype: s(u0.to(d), 1.0, 0.1), TypeError, "u0")
        for bad in (u0[0], u0[:0], u0[:, :1], u0[None], u0 / 0):
            refused(lambda s=solve, bad=bad: s(bad, 1.0, 0.1), ValueError, "u0")
        for bad in NOT_POSITIVE:
            refused(lambda s=solve, bad=bad: s(u0, bad, 0.1), ValueError, "time")
            refused(lambda s=solve, bad=bad: s(u0, 1.0, bad), ValueError, "viscosity")
        refused(lambda s=solve: s(u0, None, 0.1), TypeError, "time")
        refused(lambda s=solve: s(u0, 1.0, "a"), TypeError, "viscosity")
    refused(lambda: burgers_cole_hopf(u0 + 0.01, 1.0, 0.1), ValueError, "u0")
    refused(lambda: burgers_cole_hopf(u0, 1.0, 0.001), ValueError, "viscosity")
    coarse = burgers_initial(100, 32, seed=3)  # of some of these 32 points do not resolve φ
    refused(lambda: burgers_cole_hopf(coarse, 1.0, 0.05), ValueError, "u0")
    refused(lambda: burgers(u0, 1.0, 0.1, steps=0), ValueError, "steps")
    refused(lambda: burgers(u0, 1.0, 0.1, steps=2.0), TypeError, "steps")
    refused(lambda: burgers(20 * u0, 10.0, 0.01, steps=20), ValueError, "steps")
    good = {"n": 2, "size": 8, "waves": 2, "seed": 0}
    for name, least in (("n", 1), ("size", 2), ("waves", 1), ("seed", 0)):
        refused(lambda n=name, k=least: burgers_initial(**good | {n: k - 1}), ValueError, name)
        for bad in (2.0, True, "2", None):
            refused(lambda n=name, bad=bad: burgers_initial(**good | {n: bad}), TypeError, name)
