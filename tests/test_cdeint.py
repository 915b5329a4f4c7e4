"""Controlled equations: a product of exponentials, order across kinks, another speed, gradients, clear errors."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from bench.store_torchcde import FILE, KINDS, Linear, knots, series, start
from helpers.layers import CDEField
from helpers.solvers import NonFiniteStateError, cdeint, control_path, odeint
from helpers.solvers.analysis import observed_order
from helpers.solvers.solve_cde import FIXED_STEP

from .support import DEVICES, DTYPES


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


class LinearField(nn.Module):
    """F(z) = (A_1 z, …, A_c z), shape (..., hidden, channels)."""

    def __init__(self, A):
        super().__init__()
        self.A = nn.Parameter(A)

    def forward(self, t, z):
        return torch.einsum("cij,...j->...ic", self.A, z)


def ordered_product(A, x, z):
    """exp(Σ_c A_c Δx_c) of the last step ⋯ exp of the first step, applied to z."""
    for step in torch.einsum("cij,nc->nij", A, x.diff(dim=0)):
        z = torch.linalg.matrix_exp(step) @ z
    return z


def problem(seed=0):
    """A (3, 5, 5), x (12, 3), z0 (5,): matrices that do not commute."""
    draw = seeded(seed)
    A, x, z0 = (torch.randn(shape, generator=draw) for shape in ((3, 5, 5), (12, 3), (5,)))
    return A / 3, x, z0


def relative(found, exact):
    return ((found - exact).norm() / exact.norm()).item()


# --- closed forms -------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_linear_equation_is_an_ordered_product_of_exponentials():
    A, x, z0 = problem()
    X, exact = control_path(x), ordered_product(A, x, z0)
    errors = {
        n: relative(cdeint(X, LinearField(A), z0, X.interval, options={"num_steps": n})[-1], exact)
        for n in (8, 16, 32, 64)
    }
    assert errors[64] < 1e-6
    assert observed_order(list(errors), list(errors.values())) == pytest.approx(4, abs=0.3)
    assert relative(ordered_product(A, x.flip(0).neg(), z0), exact) > 0.1, "the order of the steps matters here"


@torch.no_grad()
def test_intermediate_times_are_products_up_to_there():
    A, x, z0 = problem()
    X = control_path(x)
    between = X.evaluate(torch.tensor([3.25]))
    z = cdeint(X, LinearField(A), z0, [0.0, 3.25, 5.0], method="dopri5", rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(z[0], z0, rtol=0, atol=0)
    torch.testing.assert_close(z[1], ordered_product(A, torch.cat([x[:4], between]), z0), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(z[2], ordered_product(A, x[:6], z0), rtol=1e-8, atol=1e-8)
    # and a solve may begin between two knots
    part = cdeint(X, LinearField(A), z[1], [3.25, 4.5, 5.0], method="dopri5", rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(part[-1], z[2], rtol=1e-8, atol=1e-8)


def test_one_channel_of_time_makes_it_an_ordinary_equation():
    z0, t = torch.tensor([[0.4, -1.0], [0.2, 0.3]]), torch.tensor([0.0, 0.4, 1.0, 1.5])
    X = control_path(t[:, None], t)
    z = cdeint(X, lambda s, z: (torch.sin(z) * s)[..., None], z0, t, method="dopri5", rtol=1e-9, atol=1e-11)
    y = odeint(lambda s, y: torch.sin(y) * s, z0, t, method="dopri5", rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(z, y.movedim(0, -2), rtol=0, atol=1e-7)


class Reparametrised:
    """The path X(ψ(s)) on [0, 1], ψ(s) = end · s²: the same points, passed at another speed."""

    def __init__(self, X):
        self.X, self.end = X, X.grid_points[-1]
        self.grid_points = (X.grid_points / self.end).sqrt()

    def derivative(self, s, piece):
        return self.X.derivative(self.end * s**2, piece) * 2 * self.end * s


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_only_the_shape_of_the_path_matters_unless_time_is_a_channel(kind):
    A, x, z0 = problem()
    X, many = control_path(x, interpolation=kind), {"num_steps": 64}
    once = cdeint(X, LinearField(A), z0, X.interval, options=many)[-1]
    again = cdeint(Reparametrised(X), LinearField(A), z0, [0.0, 1.0], options=many)[-1]
    assert relative(again, once) < 1e-5
    A = torch.cat([torch.randn(1, 5, 5, generator=seeded(1)) / 3, A])
    slow, fast = (torch.cat([t[:, None], x], 1) for t in (torch.arange(12.0), torch.arange(12.0) ** 2 / 11))
    ends = [cdeint(control_path(p), LinearField(A), z0, [0.0, 11.0], options=many)[-1] for p in (slow, fast)]
    assert relative(ends[1], ends[0]) > 0.5


def kinked(n):
    """A path with n + 1 knots, its field, a start and where it ends."""
    t = torch.linspace(0, 1, n + 1)
    x = torch.stack([t, torch.sin(5 * t), torch.cos(4 * t)], -1)
    A = torch.randn(3, 4, 4, generator=seeded(1)) / 2
    return control_path(x, t), LinearField(A), torch.ones(4), ordered_product(A, x, torch.ones(4))


@pytest.mark.parametrize("method, order", [("rk4", 4), ("midpoint", 2), ("euler", 1)])
@torch.no_grad()
def test_one_step_a_knot_keeps_the_order_of_the_method_across_kinks(method, order):
    counts, errors = [32, 64, 128, 256], []
    for n in counts:
        X, field, z0, exact = kinked(n)
        errors.append(relative(cdeint(X, field, z0, X.interval, method=method)[-1], exact))
    assert observed_order(counts, errors) == pytest.approx(order, abs=0.3)


@torch.no_grad()
def test_a_solver_that_takes_the_slope_arriving_at_each_knot_is_of_order_one():
    counts, errors = [32, 64, 128, 256], []
    for n in counts:
        X, field, z0, exact = kinked(n)

        def blind(t, z, X=X, field=field):
            return (field(t, z) @ X.derivative(t.clamp(0, 1))[..., None])[..., 0]

        errors.append(relative(odeint(blind, z0, X.grid_points, method="rk4", options={"grid": "t"})[-1], exact))
    assert observed_order(counts, errors) == pytest.approx(1, abs=0.1)


# --- torchcde -----------------------------------------------------------------------------------------------------

STORED = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_agrees_with_torchcde_told_to_perturb(kind):
    X = control_path(series()["gaps"], knots(), kind)
    z = cdeint(X, Linear(), start(), knots(), method="rk4_38")
    # its perturbed times are next to the knots, not on them
    torch.testing.assert_close(z, torch.tensor(STORED["solutions"][kind]), rtol=0, atol=1e-9)


# --- the call -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("batch", [(), (4,), (2, 3)], ids=["one", "four", "two by three"])
def test_shapes_dtype_and_device(batch, dtype, device):
    x = torch.randn(*batch, 6, 2, generator=seeded(0)).to(device, dtype)
    X, field = control_path(x), CDEField(3, 2).to(device, dtype)
    z0 = torch.randn(*batch, 3, generator=seeded(1)).to(device, dtype)
    z = cdeint(X, field, z0, [0.0, 0.1, 4.0])
    assert (z.shape, z.dtype, z.device.type) == ((*batch, 3, 3), dtype, device)
    one_by_one = [
        cdeint(control_path(y), field, w, [0.0, 0.1, 4.0])
        for y, w in zip(x.reshape(-1, 6, 2), z0.reshape(-1, 3), strict=True)
    ]
    torch.testing.assert_close(z.reshape(-1, 3, 3), torch.stack(one_by_one))


def test_many_solutions_may_follow_one_path():
    A, x, _ = problem()
    z0 = torch.randn(7, 5, generator=seeded(3))
    z = cdeint(control_path(x), LinearField(A), z0, [0.0, 11.0], options={"num_steps": 32})[:, -1]
    torch.testing.assert_close(z, torch.stack([ordered_product(A, x, w) for w in z0]), rtol=1e-4, atol=1e-4)


def test_a_time_within_rounding_of_a_knot_is_that_knot():
    x = torch.randn(4, 2, generator=seeded(0), dtype=torch.float32)
    t = torch.tensor([0.0, 0.1, 0.2, 0.3], dtype=torch.float64)
    calls, X = [], control_path(x, t)

    def field(s, z):
        calls.append(s)
        return z[..., None].expand(*z.shape, 2)

    z = cdeint(X, field, torch.ones(1, dtype=torch.float32), t)
    assert z.shape == (4, 1) and len(calls) == 3 * 4


@pytest.mark.parametrize("options, calls", [
    (None, 1),
    ({"num_steps": 3}, 3),
    ({"step_size": 0.3}, 4),
    ({"grid": "t"}, 1),
], ids=["none", "num_steps", "step_size", "grid"])  # fmt: skip
def test_steps_are_counted_from_stop_to_stop(options, calls):
    counted = []

    def field(t, z):
        counted.append(float(t))
        return z[..., None]

    X = control_path(torch.arange(5.0)[:, None])
    cdeint(X, field, torch.ones(1), X.interval, method="euler", options=options)
    assert len(counted) == 4 * calls


@pytest.mark.parametrize("method", [*FIXED_STEP, "dopri5", "dopri8"])
def test_every_method_of_odeint_solves_it_but_the_symplectic_ones(method):
    X = control_path(torch.tensor([0.0, 0.1, 0.3])[:, None])
    z = cdeint(X, LinearField(torch.tensor([[[-1.0]]])), torch.ones(1), X.interval, method=method)[-1]
    assert z.item() == pytest.approx(math.exp(-0.3), abs=0.03)


# --- gradients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_reaches_observations_around_gaps_and_the_start(kind):
    x, t = series()["gaps"][:2], knots()
    seen = ~x.isnan()
    field = LinearField(torch.randn(3, 2, 2, generator=seeded(0)) / 3)

    def solved(values, z0):
        X = control_path(torch.full_like(x, torch.nan).masked_scatter(seen, values), t, kind)
        return cdeint(X, field, z0, [t[0].item(), 1.0, t[-1].item()])

    values, z0 = x[seen].clone().requires_grad_(), torch.randn(2, 2, generator=seeded(1)).requires_grad_()
    assert torch.autograd.gradcheck(solved, (values, z0))


@pytest.mark.parametrize("gradient, tolerance", [("checkpoint", 1e-12), ("reversible", 0.02), ("adjoint", 1e-6)])
def test_other_gradients_are_that_of_backpropagation(gradient, tolerance):
    A, x, z0 = problem()
    X, found = control_path(x / 3), {}
    for how in ("backprop", gradient):
        field, start = LinearField(A), z0.clone().requires_grad_()
        z = cdeint(X, field, start, [0.0, 2.5, 11.0], options={"num_steps": 16}, gradient=how)
        found[how] = torch.autograd.grad(z.square().sum(), [start, field.A])
    for ours, exact in zip(found[gradient], found["backprop"], strict=True):
        assert relative(ours, exact) < tolerance


# --- bad input ----------------------------------------------------------------------------------------------------


def call(**changed):
    path = control_path(torch.tensor([[0.0, 1.0], [1.0, 0.5], [1.5, 0.0]]))
    given = {"X": path, "func": CDEField(3, 2), "z0": torch.zeros(3), "t": [0.0, 2.0], **changed}
    return cdeint(given.pop("X"), given.pop("func"), given.pop("z0"), given.pop("t"), **given)


class OneKnot:
    grid_points = torch.zeros(1)

    def derivative(self, t, piece):
        return torch.zeros(2)


NAN = math.nan


@pytest.mark.parametrize("changed, error, words", [
    ({"X": torch.zeros(3, 2)}, TypeError, "X must be a path with grid_points and derivative.*; got Tensor"),
    ({"X": OneKnot()}, ValueError, "X must have two knots or more; got 1"),
    ({"func": 3.0}, TypeError, r"func must be callable as func\(t, z\); got float"),
    ({"func": lambda t, z: z}, ValueError, r"func must return the shape .* = \(3, 2\); got \(3,\)"),
    ({"func": lambda t, z: torch.zeros(2, 3)}, ValueError, r"func must return the shape .* = \(3, 2\); got \(2, 3\)"),
    ({"func": lambda t, z: torch.zeros(3, 1)}, ValueError, r"func must return the shape .* = \(3, 2\); got \(3, 1\)"),
    ({"func": lambda t, z: None}, ValueError, r"func must return the shape .*; got NoneType"),
    ({"z0": [0.0]}, TypeError, "z0 must be a torch.Tensor; got list"),
    ({"z0": torch.zeros(3).float()}, TypeError, "z0 must be of the path's dtype and device, torch.float64"),
    ({"z0": torch.tensor([0.0, NAN, 0.0]).double()}, ValueError, "z0 must be finite; got"),
    ({"z0": torch.tensor([0.0, math.inf, 0.0]).double()}, ValueError, "z0 must be finite; got"),
    ({"z0": torch.tensor(0.0).double()}, ValueError, r"z0 must have shape \(hidden\).*; got \(\)"),
    ({"t": [0.0]}, ValueError, r"t must have shape \(m,\) with m ≥ 2; got shape \(1,\)"),
    ({"t": [0.0, NAN]}, ValueError, "t must be finite and strictly increasing; got"),
    ({"t": [2.0, 0.0]}, ValueError, "t must be finite and strictly increasing; got"),
    ({"t": [0.0, 1.0, 1.0]}, ValueError, "t must be finite and strictly increasing; got"),
    ({"t": [0.0, 2.5]}, ValueError, r"t must lie within the path's interval \[0, 2\]; got 0 to 2.5"),
    ({"t": [-1.0, 1.0]}, ValueError, r"t must lie within the path's interval \[0, 2\]; got -1 to 1"),
    ({"t": torch.tensor([0.0, 1j])}, TypeError, "t must be of real numbers; got torch.complex"),
    ({"t": "soon"}, TypeError, "t must be a tensor or a sequence of times; got 'soon'"),
    ({"t": torch.tensor([0.0, 1.0], requires_grad=True)}, ValueError, "t must not require a gradient"),
    ({"method": "rk5"}, ValueError, "method must be one of 'euler'.*; got 'rk5'"),
    ({"method": "leapfrog"}, ValueError, "method must be one of 'euler'.*; got 'leapfrog'"),
    ({"options": {"steps": 2}}, ValueError, "options for 'rk4' may hold .*; got 'steps'"),
    ({"gradient": "magic"}, ValueError, "gradient must be one of .*; got 'magic'"),
], ids=[
    "X tensor", "X one knot", "func number", "func vector", "func transposed", "func one channel", "func none",
    "z0 list", "z0 dtype", "z0 nan", "z0 inf", "z0 scalar", "t one", "t nan", "t backwards", "t equal", "t late",
    "t early", "t complex", "t word", "t gradient", "method", "symplectic", "options", "gradient",
])  # fmt: skip
def test_bad_input_is_named(changed, error, words):
    with pytest.raises(error, match=words):
        call(**changed)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (5, 1, 3)], ids=["none", "four", "one"])
def test_a_start_for_another_batch_is_named(shape):
    X = control_path(torch.zeros(2, 4, 2))
    with pytest.raises(ValueError, match=r"z0 must have shape \(2, hidden\), or more axes before, .*; got"):
        cdeint(X, CDEField(3, 2), torch.zeros(shape), X.interval)


def test_what_blows_up_says_so():
    X = control_path(torch.tensor([0.0, 1e3])[:, None])
    with pytest.raises(NonFiniteStateError, match="non-finite|infinite"):
        cdeint(X, lambda t, z: (z**3)[..., None], torch.full((1,), 1e3), X.interval, options={"num_steps": 10})
