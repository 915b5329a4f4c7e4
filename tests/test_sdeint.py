"""Stochastic solves: orders and laws in closed form, paths that stay the same, torchsde's values, clear errors."""

from __future__ import annotations

import json
import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.store_torchsde import CHANNELS, FILE, START, STEPS, TIMES, Equation, StoredPath, cases
from helpers.solvers import SDE, BrownianPath, NonFiniteStateError, brownian, sdeint
from helpers.solvers.analysis import observed_order

from .support import DEVICES, DTYPES

few = settings(max_examples=20)
GRIDS = (16, 32, 64, 128)
PATHS = 1000


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def steps_of(n, end=1.0):
    return torch.linspace(0.0, end, n + 1)


def path(channels=1, *, samples=PATHS, seed=0, end=1.0):
    return BrownianPath(0.0, end, (samples, channels), seed=seed, steps=GRIDS[0])


def errors(sde, y0, method, bm, exact, grids=GRIDS):
    """Mean distance to the exact solution at 1, path by path, on ever finer grids of one path."""
    ends = [sdeint(sde, y0, [0.0, 1.0], method=method, dt=1 / n, bm=bm)[-1] for n in grids]
    return [(end - exact).norm(dim=-1).mean().item() for end in ends]


def order(*args, grids=GRIDS):
    return observed_order(list(grids), errors(*args, grids=grids))


# --- equations with known solutions -------------------------------------------------------------------------------

MU, SIGMA = 0.5, 0.6


def geometric(noise_type="diagonal", sde_type="ito"):
    """dX = μX dt + σX dW."""
    last = (lambda y: SIGMA * y) if noise_type == "diagonal" else (lambda y: SIGMA * y.unsqueeze(-1))
    return SDE(lambda t, y: MU * y, lambda t, y: last(y), noise_type, sde_type)


def geometric_end(bm, sde_type="ito"):
    rate = MU - SIGMA**2 / 2 if sde_type == "ito" else MU
    return torch.exp(rate + SIGMA * bm(0.0, 1.0))


B = torch.tensor([[0.3, 0.9], [-0.2, 0.1]], dtype=torch.float64)  # neither symmetric nor normal


def turning(sde_type):
    """dX = BX dW, one W for both entries: X = exp(BW − ½B²t) X(0), without the ½B² in Stratonovich's sense."""

    def g(t, y):  # no matrix product: for two entries, threads that wait for each other cost a hundred times more
        return (y.unsqueeze(-2) * B).sum(-1, keepdim=True)

    return SDE(lambda t, y: torch.zeros_like(y), g, "scalar", sde_type)


def turning_end(bm, y0, sde_type):
    rates, basis = torch.linalg.eig(B)
    factors = torch.exp(rates * bm(0.0, 1.0) - (rates**2 / 2 if sde_type == "ito" else 0))
    return ((factors * (torch.linalg.inv(basis) @ y0.T.to(basis.dtype)).T) @ basis.T).real


# Kloeden and Platen's X = (1 + t)²(1 + W + t)
ADDITIVE = SDE(
    lambda t, y: 2 * y / (1 + t) + (1 + t) ** 2,
    lambda t, y: ((1 + t) ** 2).expand(len(y), 1, 1),
    "additive",
)


# --- strong order -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise_type", ["diagonal", "scalar"])
@pytest.mark.parametrize("sde_type, method, expected", [
    ("ito", "euler", 0.5),
    ("ito", "milstein", 1),
    ("ito", "srk", 1.5),
    ("stratonovich", "milstein", 1),
    ("stratonovich", "heun", 1),
])  # fmt: skip
def test_strong_order_on_one_path(noise_type, sde_type, method, expected):
    bm = path()
    exact = geometric_end(bm, sde_type)
    found = order(geometric(noise_type, sde_type), torch.ones(PATHS, 1), method, bm, exact)
    assert found == pytest.approx(expected, abs=0.12)


@pytest.mark.parametrize("sde_type, method, expected", [
    ("ito", "euler", 0.5),
    ("ito", "milstein", 1),
    ("ito", "srk", 1.5),
    ("stratonovich", "milstein", 1),
    ("stratonovich", "heun", 1),
])  # fmt: skip
def test_one_noise_for_all_entries_may_mix_them(sde_type, method, expected):
    bm, y0 = path(seed=1), torch.tensor([1.0, -0.5]).expand(PATHS, 2)
    found = order(turning(sde_type), y0, method, bm, turning_end(bm, y0, sde_type))
    assert found == pytest.approx(expected, abs=0.12)


@pytest.mark.parametrize("method, expected", [("euler", 1), ("milstein", 1), ("srk", 1.5)])
def test_additive_noise_gives_euler_half_an_order(method, expected):
    bm = path()
    exact = 4 * (2 + bm(0.0, 1.0))
    found = order(ADDITIVE, torch.ones(PATHS, 1), method, bm, exact)
    assert found >= expected - 0.12 if method == "srk" else found == pytest.approx(expected, abs=0.12)


@pytest.mark.parametrize("sde_type, method, expected", [("ito", "euler", 0.5), ("stratonovich", "heun", 1)])
def test_general_noise(sde_type, method, expected):
    """Two independent noises on one entry: dX = X (dW₁/2 + dW₂/3)."""
    sizes = torch.tensor([1 / 2, 1 / 3])
    sde = SDE(lambda t, y: 0 * y, lambda t, y: y.unsqueeze(-1) * sizes, "general", sde_type)
    bm = path(2)
    correction = sizes.square().sum() / 2 if sde_type == "ito" else 0
    exact = torch.exp(bm(0.0, 1.0) @ sizes - correction).unsqueeze(-1)
    assert order(sde, torch.ones(PATHS, 1), method, bm, exact) == pytest.approx(expected, abs=0.12)


def test_fresh_noise_on_every_grid_is_no_convergence():
    exact = geometric_end(path())
    ends = [sdeint(geometric(), torch.ones(PATHS, 1), [0.0, 1.0], dt=1 / n, bm=path(seed=n))[-1] for n in GRIDS]
    assert observed_order(GRIDS, [(end - exact).abs().mean().item() for end in ends]) == pytest.approx(0, abs=0.12)


def test_euler_goes_to_itos_solution_and_heun_to_stratonovichs():
    bm, one = path(), torch.ones(PATHS, 1)
    for method, mine, other in (("euler", "ito", "stratonovich"), ("heun", "stratonovich", "ito")):
        end = sdeint(geometric(sde_type=mine), one, [0.0, 1.0], method=method, dt=1 / 128, bm=bm)[-1]
        near, far = ((end - geometric_end(bm, kind)).abs().mean().item() for kind in (mine, other))
        assert near < 0.04 and far > 0.25


def test_heun_with_the_corrected_drift_goes_to_itos_solution():
    corrected = SDE(lambda t, y: (MU - SIGMA**2 / 2) * y, lambda t, y: SIGMA * y, sde_type="stratonovich")
    bm = path()
    assert order(corrected, torch.ones(PATHS, 1), "heun", bm, geometric_end(bm)) == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("h", [0.1, 0.5, 1.5])
def test_the_stationary_variance_of_euler_is_that_of_its_recursion(h):
    theta, sigma, samples = 1.0, 1.0, 20_000
    sde = SDE(lambda t, y: -theta * y, lambda t, y: torch.full_like(y, sigma))
    steps = 40
    end = sdeint(sde, torch.zeros(samples, 1), [0.0, steps * h], dt=h, seed=0)[-1]
    exact = sigma**2 / (2 * theta - theta**2 * h)
    assert end.var().item() == pytest.approx(exact, rel=0.06)  # six standard errors
    assert abs(end.mean().item()) < 6 * (exact / samples) ** 0.5


# --- torchsde -----------------------------------------------------------------------------------------------------

STORED = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", list(cases()), ids=" ".join)
def test_agrees_with_torchsde_on_the_same_path(case):
    noise, sde_type, method = case
    bm = StoredPath(**STORED["paths"][str(CHANNELS[noise])])
    y = sdeint(Equation(noise, sde_type), torch.tensor(START), TIMES, method=method, dt=1 / STEPS, bm=bm)
    theirs = torch.tensor(STORED["solutions"][" ".join(case)])
    torch.testing.assert_close(y, theirs, rtol=0, atol=1e-14)


def test_the_stored_paths_are_brownian_paths_and_torchsdes_version_is_known():
    assert STORED["torchsde"].split(".") >= ["0", "2", "6"]
    for channels, stored in STORED["paths"].items():
        bm = BrownianPath(0.0, 1.0, (len(START), int(channels)), seed=int(channels), steps=STEPS)
        for mine, theirs in zip(bm.increments(steps_of(STEPS), return_U=True), stored.values(), strict=True):
            torch.testing.assert_close(mine, torch.tensor(theirs), rtol=0, atol=1e-14)


# --- the path -----------------------------------------------------------------------------------------------------


def summed(dw, area, h, count):
    """Increments and areas of intervals that are `count` of those given."""
    dw, area = (x.reshape(-1, count, *x.shape[1:]) for x in (dw, area))
    return dw.sum(1), (area + h * (dw.cumsum(1) - dw)).sum(1)


@pytest.mark.parametrize("steps, fine, count", [(1, 64, 4), (16, 16, 4), (5, 40, 8), (1, 60, 6), (7, 30, 5)])
def test_coarse_increments_and_areas_are_sums_of_fine_ones(steps, fine, count):
    """Also where neither grid is made by halving."""
    bm = BrownianPath(0.0, 3.0, (50, 2), seed=4, steps=steps)
    times = steps_of(fine, 3.0)
    coarse, areas = bm.increments(times[::count], return_U=True)
    sums, sums_of_areas = summed(*bm.increments(times, return_U=True), 3 / fine, count)
    torch.testing.assert_close(sums, coarse, rtol=0, atol=1e-13)
    torch.testing.assert_close(sums_of_areas, areas, rtol=0, atol=1e-13)


@few
@given(times=st.lists(st.floats(-1, 2), min_size=1, max_size=6), steps=st.integers(1, 9), seed=st.integers(0, 9))
def test_what_is_asked_for_first_changes_nothing(times, steps, seed):
    times = [-1.0, *sorted(times), 2.0]
    bm = BrownianPath(-1.0, 2.0, (2, 3), seed=seed, steps=steps)
    together = bm.values(times)
    again = BrownianPath(-1.0, 2.0, (2, 3), seed=seed, steps=steps)
    alone = torch.stack([again(-1.0, t) for t in reversed(times)]).flip(0)
    assert torch.equal(together, alone)
    assert not together[0].any()
    (dw, area), (left, u), (right, v) = (
        bm(s, t, return_U=True) for s, t in ((-1.0, 2.0), (-1.0, times[1]), (times[1], 2.0))
    )
    torch.testing.assert_close(left + right, dw)
    torch.testing.assert_close(u + v + (2.0 - times[1]) * left, area)


def test_the_area_is_the_integral_of_the_path():
    bm, n = BrownianPath(0.0, 1.0, (500, 1), seed=2), 512
    w = bm.values(steps_of(n))
    _, area = bm(0.0, 1.0, return_U=True)
    assert ((torch.trapezoid(w, dx=1 / n, dim=0)) - area).abs().max() < 6 / (n * math.sqrt(12))


@pytest.mark.parametrize("times", [[0.0, 0.25, 0.5, 1.0], [0.1, 0.3, 0.35, 0.9]], ids=["halved", "between"])
def test_increments_have_the_moments_of_brownian_motion(times):
    """Bounds are six standard errors; of 40 000 samples each."""
    samples = 40_000
    bm = BrownianPath(0.0, 1.0, (samples,), seed=3)
    dw, area = bm.increments(times, return_U=True)
    h = torch.tensor(times).diff().unsqueeze(-1)
    standard = torch.stack([dw / h.sqrt(), (area - h / 2 * dw) / (h**3 / 12).sqrt()]).flatten(0, 1)
    bound = 6 / math.sqrt(samples)
    assert standard.mean(-1).abs().max() < bound
    covariance = standard @ standard.T / samples
    assert (covariance - torch.eye(6)).abs().max() < math.sqrt(2) * bound
    assert (standard**4).mean(-1).sub(3).abs().max() < math.sqrt(96) * bound


def test_a_seed_is_a_path_in_every_dtype_and_a_generator_makes_one():
    def made(seed, **more):
        return BrownianPath(0.0, 1.0, (3, 2), seed=seed, **more)(0.1, 0.7)

    assert torch.equal(made(5), made(5)) and not torch.equal(made(5), made(6))
    assert torch.equal(made(5, dtype=torch.float32), made(5).float())
    draw = torch.Generator().manual_seed(1)
    first, second = made(draw), made(draw)
    assert torch.equal(first, made(torch.Generator().manual_seed(1))) and not torch.equal(first, second)


def test_beyond_the_last_halving_the_path_is_a_parabola_with_the_right_ends_and_area(monkeypatch):
    bm = BrownianPath(0.0, 1.0, (4,), seed=1)
    monkeypatch.setattr(brownian, "LEVELS", 0)
    (start, middle, end), (_, area) = bm.values([0.0, 0.5, 1.0]), bm(0.0, 1.0, return_U=True)
    torch.testing.assert_close((start + 4 * middle + end) / 6, area)
    torch.testing.assert_close(bm.values([1e-9, 1 - 1e-9]), torch.stack([start, end]), rtol=0, atol=1e-7)
    halves = summed(*bm.increments([0.0, 0.5, 1.0], return_U=True), 0.5, 2)
    torch.testing.assert_close(torch.cat(halves), torch.stack([end, area]))


@pytest.mark.parametrize("times", [[0.0, 0.5, 1.1], [-0.1, 0.5], [0.5, 0.2], [0.0, math.nan], []], ids=str)
def test_a_path_is_asked_within_its_ends_in_order(times):
    with pytest.raises(ValueError, match="times must"):
        BrownianPath(0.0, 1.0, (3, 2)).increments(times)


@pytest.mark.parametrize("wrong, words", [
    ({"t1": 0.0}, "t0 and t1 must be finite with t0 < t1"),
    ({"t1": math.inf}, "t0 and t1 must be finite"),
    ({"steps": 0}, "steps must be at least 1"),
    ({"shape": (0, 2)}, "shape must be at least 1"),
    ({"shape": 3}, "shape must be a tuple of whole numbers; got 3"),
    ({"seed": -1}, "seed must be at least 0"),
])  # fmt: skip
def test_a_path_that_cannot_be(wrong, words):
    with pytest.raises((ValueError, TypeError), match=words):
        BrownianPath(**{"t0": 0.0, "t1": 1.0, "shape": (3, 2), **wrong})


# --- the walk -----------------------------------------------------------------------------------------------------


class Watched:
    """dX = −X dt + X/2 dW, which remembers when it was asked."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self):
        self.seen = []

    def f(self, t, y):
        self.seen.append(t)
        return -y

    def g(self, t, y):
        return y / 2


def test_steps_land_on_every_time_and_are_no_longer_than_dt():
    sde, ts = Watched(), [0.0, 0.3, 0.35, 1.0]
    sdeint(sde, torch.ones(2, 1), ts, dt=0.1, seed=0)
    seen = [t.item() for t in sde.seen]
    assert seen == pytest.approx([0, 0.1, 0.2, 0.3, *(0.35 + 0.65 * k / 7 for k in range(7))])
    assert all(t.dim() == 0 and t.dtype == torch.float64 for t in sde.seen)


def test_the_result_starts_at_y0_and_an_output_between_changes_nothing():
    bm, y0 = path(samples=3), torch.tensor([[1.0], [2.0], [-1.0]])
    y = sdeint(geometric(), y0, torch.tensor([0.0, 0.25, 0.5, 1.0]), dt=1 / 16, bm=bm)
    assert y.shape == (4, 3, 1) and torch.equal(y[0], y0)
    torch.testing.assert_close(y[-1], sdeint(geometric(), y0, [0.0, 1.0], dt=1 / 16, bm=bm)[-1])
    # and a solve may begin within the path
    torch.testing.assert_close(y[1:], sdeint(geometric(), y[1], [0.25, 0.5, 1.0], dt=1 / 16, bm=bm))


@pytest.mark.parametrize("method", ["euler", "milstein", "srk"])
def test_fresh_noise_comes_from_a_seed_a_generator_or_the_global_one(method):
    solve = partial(sdeint, geometric(), torch.ones(4, 1), [0.0, 0.3, 1.0], method=method, dt=0.07)
    seeded = solve(seed=3)
    assert torch.equal(seeded, solve(seed=3)) and not torch.equal(seeded, solve(seed=4))
    draw = torch.Generator().manual_seed(3)
    assert torch.equal(solve(seed=draw), seeded) and not torch.equal(solve(seed=draw), seeded)
    torch.manual_seed(3)
    assert torch.equal(solve(), seeded) and not torch.equal(solve(), seeded)


def test_fresh_noise_has_the_law_of_a_path():
    """dX₁ = dW₁, dX₂ = X₁ dt by srk, which is exact here: Var = T, T³/3, covariance T²/2.

    The bound is six standard errors.
    """
    samples, end = 40_000, 2.0
    sde = SDE(
        lambda t, y: torch.stack([0 * y[:, 0], y[:, 0]], 1),
        lambda t, y: torch.tensor([1.0, 0.0]).reshape(1, 2, 1).expand(len(y), 2, 1),
        "additive",
    )
    y = sdeint(sde, torch.zeros(samples, 2), [0.0, end], method="srk", dt=0.6, seed=1)[-1]
    expected = torch.tensor([[end, end**2 / 2], [end**2 / 2, end**3 / 3]])
    assert ((y.T @ y / samples - expected) / expected).abs().max() < 6 * math.sqrt(2 / samples)


def test_diagonal_noise_takes_a_state_of_any_shape():
    y0 = torch.linspace(0.5, 1, 24).reshape(2, 3, 4)
    bm = BrownianPath(0.0, 1.0, (2, 3, 4), steps=8)
    y = sdeint(geometric(), y0, [0.0, 1.0], dt=1 / 8, bm=bm)[-1]
    flat = StoredPathOf(bm.increments(steps_of(8)).reshape(8, 24, 1), 8)
    in_a_row = sdeint(geometric(), y0.reshape(24, 1), [0.0, 1.0], dt=1 / 8, bm=flat)[-1]
    torch.testing.assert_close(y.reshape(24, 1), in_a_row)


class StoredPathOf:
    """Increments as a function, as anyone may write one."""

    def __init__(self, increments, steps):
        self.increments, self.steps = increments, steps

    def __call__(self, s, t):
        return self.increments[round(s * self.steps)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("method", ["euler", "milstein", "srk"])
def test_dtype_and_device_follow_the_state(method, dtype, device):
    y0 = torch.ones(5, 2, dtype=dtype, device=device)
    kept = Watched()
    for source in ({"seed": 0}, {"bm": BrownianPath(0.0, 1.0, (5, 2), steps=10)}):
        y = sdeint(kept, y0, [0.0, 1.0], method=method, dt=0.1, **source)
        assert (y.dtype, y.device) == (dtype, y0.device)
        wide = sdeint(kept, torch.ones(5, 2), [0.0, 1.0], method=method, dt=0.1, **source)
        if "bm" in source:
            torch.testing.assert_close(y.cpu().double(), wide, rtol=1e-5, atol=1e-5)
    assert {(t.dtype, t.device.type) for t in kept.seen} == {(dtype, device), (torch.float64, "cpu")}


def test_a_diffusion_that_writes_into_a_buffer_of_its_own_is_safe():
    def buffered(function):
        buffer = torch.empty(5, 2)
        return lambda t, y: buffer.copy_(function(t, y))

    f, g = (lambda t, y: -y), (lambda t, y: y / 2)
    bm, y0 = path(2, samples=5), torch.ones(5, 2)
    for sde_type, method in (("stratonovich", "heun"), ("ito", "srk")):
        ends = [
            sdeint(SDE(*fg, "diagonal", sde_type), y0, [0.0, 1.0], method=method, dt=1 / 16, bm=bm)
            for fg in ((f, g), (buffered(f), buffered(g)))
        ]
        assert torch.equal(*ends)


# --- gradients ----------------------------------------------------------------------------------------------------


class Trained(nn.Module):
    """One weight in the drift and one in the diffusion, which depends on y as its noise type lets it."""

    def __init__(self, noise_type, sde_type):
        super().__init__()
        self.noise_type, self.sde_type = noise_type, sde_type

    def forward(self, y0, a, b, method, bm):
        def g(t, y):
            if self.noise_type == "diagonal":
                return torch.sin(b * y) + t
            if self.noise_type == "scalar":
                return torch.sin(b * y.flip(-1)).unsqueeze(-1)
            mixing = torch.tensor([[1.0, 0.5], [-0.3, 0.7]]) * b
            if self.noise_type == "additive":
                return (mixing * (1 + t)).expand(len(y), 2, 2)
            return mixing * torch.cos(y).unsqueeze(-1)

        sde = SDE(lambda t, y: torch.tanh(a * y.flip(-1)) * (1 + t), g, self.noise_type, self.sde_type)
        return sdeint(sde, y0, [0.0, 0.5, 1.0], method=method, dt=0.25, bm=bm)


@pytest.mark.parametrize("case", [
    *(("ito", noise, method) for method in ("euler", "milstein", "srk") for noise in CHANNELS if noise != "general"),
    ("ito", "general", "euler"),
    ("stratonovich", "diagonal", "milstein"),
    *(("stratonovich", noise, "heun") for noise in CHANNELS),
], ids=" ".join)  # fmt: skip
def test_gradients_are_those_of_finite_differences(case):
    sde_type, noise, method = case
    torch.manual_seed(0)
    bm = BrownianPath(0.0, 1.0, (3, 1 if noise == "scalar" else 2), seed=1, steps=4)
    y0, a, b = torch.randn(3, 2, requires_grad=True), torch.tensor(0.7, requires_grad=True), torch.tensor(0.4)
    model = Trained(noise, sde_type)
    assert torch.autograd.gradcheck(lambda *x: model(*x, method, bm), (y0, a, b.requires_grad_()))


@pytest.mark.parametrize("noise", ["diagonal", "scalar"])
def test_milstein_reaches_the_weights_of_g_also_where_y0_needs_no_gradient(noise):
    bm, y0, b = path(1, samples=4), torch.ones(4, 1), torch.tensor(0.4, requires_grad=True)

    def end(b, dt=1 / 16):
        return Trained(noise, "ito")(y0, torch.tensor(0.7), b, "milstein", bm)[-1].sum()

    (slope,) = torch.autograd.grad(end(b), b)
    with torch.no_grad():
        assert slope.item() == pytest.approx(((end(b + 1e-5) - end(b - 1e-5)) / 2e-5).item(), rel=1e-6)
        assert not end(b).requires_grad


# --- errors -------------------------------------------------------------------------------------------------------

ONES = torch.ones(3, 2, dtype=torch.float64)


def shaped(*shape, noise_type="diagonal", sde_type="ito"):
    return SDE(lambda t, y: -y, lambda t, y: torch.ones(shape), noise_type, sde_type)


@pytest.mark.parametrize("change, error, words", [
    ({"dt": 0.0}, ValueError, "dt must be a positive, finite number; got 0.0"),
    ({"dt": -0.1}, ValueError, "dt must be a positive, finite number; got -0.1"),
    ({"dt": 1e-12}, ValueError, "dt must leave at most"),
    ({"ts": [0.0, 1.0, 1.0]}, ValueError, "ts must be finite and strictly increasing; got"),
    ({"ts": [1.0, 0.0]}, ValueError, "ts must be finite and strictly increasing; got"),
    ({"ts": [0.0, math.inf]}, ValueError, "ts must be finite"),
    ({"ts": [0.0]}, ValueError, r"ts must have shape \(n,\) with n ≥ 2; got shape \(1,\)"),
    ({"ts": "now"}, TypeError, "ts must be a tensor or a sequence of times; got 'now'"),
    ({"ts": torch.tensor([0.0, 1.0], requires_grad=True)}, ValueError, "ts must not require a gradient"),
    ({"method": "magic"}, ValueError, "method must be one of 'euler', 'milstein', 'heun', 'srk'; got 'magic'"),
    ({"method": "heun"}, ValueError, "method must be one of 'euler', 'milstein', 'srk' for sde_type 'ito' with "
                                     "noise_type 'diagonal'; got 'heun'"),
    ({"sde": shaped(3, 2, sde_type="stratonovich")}, ValueError, "one of 'milstein', 'heun' for sde_type 'strat"),
    ({"sde": shaped(3, 2, 4, noise_type="general"), "method": "srk"}, ValueError, "must be one of 'euler' for"),
    ({"sde": shaped(3, 2, noise_type="white")}, ValueError, "noise_type must be one of 'diagonal', .*; got 'white'"),
    ({"sde": shaped(3, 2, sde_type="Ito")}, ValueError, "sde_type must be one of 'ito', 'stratonovich'; got 'Ito'"),
    ({"sde": nn.Linear(2, 2)}, TypeError, "sde must have f, g, noise_type and sde_type; got Linear without f, g"),
    ({"sde": SDE(lambda t, y: y, 1.0)}, TypeError, r"sde.g must be callable as g\(t, y\); got float"),
    ({"sde": shaped(2)}, ValueError, r"g must return the shape \(3, 2\); got \(2,\)"),
    ({"sde": shaped(3, 2, 1)}, ValueError, r"g must return the shape \(3, 2\); got \(3, 2, 1\)"),
    ({"sde": shaped(3, 2, noise_type="scalar")}, ValueError, r"g must return the shape \(3, 2, 1\); got \(3, 2\)"),
    ({"sde": shaped(3, 2, noise_type="additive")}, ValueError, r"g must return the shape \(3, 2, m\) for additive"),
    ({"sde": shaped(2, 4, noise_type="general")}, ValueError, r"g must return the shape \(3, 2, m\) for general"),
    ({"sde": SDE(lambda t, y: y[:, 0], lambda t, y: y)}, ValueError, r"f must return the shape \(3, 2\); got \(3,\)"),
    ({"sde": SDE(lambda t, y: 0.0, lambda t, y: y)}, TypeError, "f must return a tensor; got float"),
    ({"sde": SDE(lambda t, y: y, lambda t, y: y.float())}, TypeError, "g must return the dtype of y0, torch.float64"),
    ({"y0": [1.0]}, TypeError, "y0 must be a torch.Tensor; got list"),
    ({"y0": torch.ones(3, 2, dtype=torch.int64)}, TypeError, "y0 must be of dtype float32 or float64; got"),
    ({"y0": torch.ones(3), "sde": shaped(3, 1, noise_type="scalar")}, ValueError, r"y0 must have shape \(batch, d\)"),
    ({"bm": BrownianPath(0.0, 0.5, (3, 2))}, ValueError, r"bm must cover ts, \[0, 1\]; got a path on \[0, 0.5\]"),
    ({"bm": BrownianPath(0.5, 1.0, (3, 2))}, ValueError, r"bm must cover ts, \[0, 1\]; got a path on \[0.5, 1\]"),
    ({"bm": BrownianPath(0.0, 1.0, (4, 2))}, ValueError, r"bm must have shape \(3, 2\) for .*; got \(4, 2\)"),
    ({"bm": BrownianPath(0.0, 1.0, (3, 1))}, ValueError, r"bm must have shape \(3, 2\) for .*; got \(3, 1\)"),
    ({"bm": lambda s, t: torch.ones(2)}, ValueError, r"bm must return increments of shape \(3, 2\); got \(2,\)"),
    ({"bm": 3.0}, TypeError, r"bm must be a BrownianPath, or callable as bm\(s, t\); got float"),
    ({"bm": BrownianPath(0.0, 1.0, (3, 2)), "seed": 1}, ValueError, "seed must be None where bm is given"),
    ({"seed": -1}, ValueError, "seed must be at least 0; got -1"),
])  # fmt: skip
def test_what_cannot_be_meant_is_one_clear_exception(change, error, words):
    call = {"sde": geometric(), "y0": ONES, "ts": [0.0, 1.0], "dt": 0.25, **change}
    with pytest.raises(error, match=words):
        sdeint(call.pop("sde"), call.pop("y0"), call.pop("ts"), **call)


@pytest.mark.parametrize(
    "source", [{"seed": 0}, {"bm": BrownianPath(0.0, 1.0, (3, 2))}, {}], ids=["seed", "bm", "neither"]
)
def test_a_state_that_blows_up_is_named_with_time_step_and_method(source):
    sde = SDE(lambda t, y: y / torch.where(t < 0.5, 1.0, 0.0), lambda t, y: 0.1 * y)
    words = "in the step from t = 0.5 with step size 0.25, method 'euler'"
    with pytest.raises(NonFiniteStateError, match=words):
        sdeint(sde, ONES, [0.0, 1.0], dt=0.25, **source)
    with pytest.raises(NonFiniteStateError, match="y0 holds infinite"):
        sdeint(sde, ONES / 0, [0.0, 1.0], dt=0.25, **source)


def test_milstein_under_inference_mode_says_what_to_do():
    with torch.inference_mode(), pytest.raises(ValueError, match="use torch.no_grad"):
        sdeint(geometric(), ONES, [0.0, 1.0], method="milstein")
    with torch.inference_mode():
        assert sdeint(geometric(), ONES, [0.0, 1.0], method="srk", dt=0.5, seed=0).shape == (2, 3, 2)
