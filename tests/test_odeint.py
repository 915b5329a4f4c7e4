"""What `odeint` returns: orders, conventions, gradients, laws. Each compared with a closed form or with torchdiffeq."""

import math

import numpy as np
import pytest
import torch
import torchdiffeq
from hypothesis import given
from hypothesis import strategies as st

from helpers.solvers import METHODS as ALL
from helpers.solvers import odeint, symplectic
from helpers.solvers.analysis import observed_order

from .support import DEVICES

# symplectic methods take pairs only: test_symplectic.py
METHODS = {name: scheme for name, scheme in ALL.items() if name not in symplectic.METHODS}
IMPLICIT = ["implicit_euler", "implicit_midpoint", "trapezoid", "sdirk2", "gauss4", "kvaerno3"]
ADAPTIVE = [name for name, scheme in METHODS.items() if getattr(scheme, "adaptive", False)]
FIXED = [name for name in METHODS if name not in ADAPTIVE]
EXPLICIT = [name for name in METHODS if name not in IMPLICIT]
ORDERS = {"euler": 1, "midpoint": 2, "heun2": 2, "ralston": 2, "heun3": 3, "rk4": 4, "rk4_38": 4, "ab2": 2,
          "implicit_euler": 1, "implicit_midpoint": 2, "trapezoid": 2, "sdirk2": 2, "gauss4": 4}  # fmt: skip


def tensor(*values, **more):
    return torch.tensor(values, dtype=torch.float64, **more)


def growth(t, y):
    """y' = y cos t, with the solution y(0) exp(sin t)."""
    return y * torch.cos(t)


def rotation(t, y):
    return torch.stack([y[..., 1], -y[..., 0]], -1)


def options(method, steps=20):
    return {} if method in ADAPTIVE else {"num_steps": steps}


@pytest.mark.parametrize("method", FIXED)
def test_fixed_step_methods_converge_at_their_order(method):
    steps = [40, 80, 160, 320]
    errors = []
    for n in steps:
        end = odeint(growth, tensor(1.0), tensor(0.0, 2.0), method=method, options={"num_steps": n})[-1]
        errors.append(abs(end.item() - math.exp(math.sin(2.0))))
    assert observed_order(steps, errors) == pytest.approx(ORDERS[method], abs=0.1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", ADAPTIVE)
def test_adaptive_methods_follow_the_tolerance_also_between_steps(method, device):
    t = torch.linspace(0, 10, 101, dtype=torch.float64, device=device)
    errors = []
    # a step of an implicit method costs more, and of order 3 it takes many
    for rtol in (1e-5, 1e-7, 1e-9) if METHODS[method].explicit else (1e-3, 1e-5, 1e-7):
        y = odeint(growth, tensor(1.0, device=device), t, method=method, rtol=rtol, atol=rtol / 100)
        errors.append((y[:, 0] - torch.exp(torch.sin(t))).abs().max().item())
        assert errors[-1] < 100 * rtol
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


@pytest.mark.parametrize("method", METHODS)
def test_backwards_in_time_returns_to_the_start(method):
    there = odeint(rotation, tensor(1.0, 0.5), tensor(0.0, 1.0), method=method, options=options(method, 200))[-1]
    back = odeint(rotation, there, tensor(1.0, 0.0), method=method, options=options(method, 200))[-1]
    torch.testing.assert_close(back, tensor(1.0, 0.5), atol=6e-3 if ORDERS.get(method) == 1 else 1e-4, rtol=0)


@pytest.mark.parametrize("method", ["euler", "midpoint", "heun3", "dopri5", "bosh3"])
def test_agrees_with_torchdiffeq(method):
    y0, t = tensor(1.0, -0.3).expand(3, 2) * tensor(1.0, 0.5, -2.0)[:, None], tensor(0.0, 0.3, 1.0)
    if method in ADAPTIVE:
        ours = odeint(rotation, y0, t, method=method, rtol=1e-10, atol=1e-12)
        theirs = torchdiffeq.odeint(rotation, y0, t, method=method, rtol=1e-10, atol=1e-12)
        # torchdiffeq steps past an output and interpolates back, which costs its bosh3 three digits
        torch.testing.assert_close(ours, theirs, atol=1e-6 if method == "bosh3" else 1e-9, rtol=0)
    else:
        ours = odeint(rotation, y0, t, method=method, options={"step_size": 0.1})
        theirs = torchdiffeq.odeint(rotation, y0, t, method=method, options={"step_size": 0.1})
        torch.testing.assert_close(ours, theirs, atol=1e-13, rtol=0)


def test_torchdiffeqs_rk4_is_our_rk4_38():
    def f(t, y):
        return t * torch.sin(y) + y

    y0, t = tensor(1.0), tensor(0.0, 1.0)
    theirs = torchdiffeq.odeint(f, y0, t, method="rk4")
    assert torch.equal(odeint(f, y0, t, method="rk4_38", options={"grid": "t"}), theirs)
    assert (odeint(f, y0, t, method="rk4", options={"grid": "t"}) - theirs).abs().max() > 1e-3


@pytest.mark.parametrize("method", ["dopri8", "scipy_solver", "explicit_adams"])
def test_torchdiffeqs_own_methods_are_passed_on(method):
    more = {"options": {"step_size": 0.1}} if method == "explicit_adams" else {"rtol": 1e-9, "atol": 1e-11}
    y = odeint(growth, tensor(1.0), tensor(0.0, 1.0), method=method, **more)
    assert y[-1].item() == pytest.approx(math.exp(math.sin(1.0)), abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_result_has_a_leading_time_axis_and_starts_at_y0(method):
    y0 = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(2, 3, 4)
    y = odeint(lambda t, y: -y, y0, tensor(0.0, 0.5, 0.6, 2.0), method=method, options=options(method))
    assert y.shape == (4, 2, 3, 4)
    assert torch.equal(y[0], y0)
    torch.testing.assert_close(y[-1], y0 * math.exp(-2), atol=0.05, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_tuples_and_scalars_are_states_too(method):
    q, p = tensor(1.0, 2.0), torch.zeros(1, 2, dtype=torch.float64)
    t = tensor(0.0, 0.3, 1.0)
    parts = odeint(lambda t, y: (y[1][0], -y[0][None]), (q, p), t, method=method, options=options(method))
    whole = odeint(
        lambda t, y: torch.cat([y[2:], -y[:2]]), torch.cat([q, p[0]]), t, method=method, options=options(method)
    )
    assert [part.shape for part in parts] == [(3, 2), (3, 1, 2)]
    torch.testing.assert_close(torch.cat([parts[0], parts[1][:, 0]], -1), whole, atol=1e-12, rtol=0)
    scalar = odeint(growth, torch.tensor(1.0, dtype=torch.float64), t, method=method, options=options(method))
    vector = odeint(growth, tensor(1.0), t, method=method, options=options(method))
    assert scalar.shape == (3,)
    torch.testing.assert_close(scalar, vector[:, 0], atol=1e-12, rtol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", METHODS)
def test_dtype_and_device_follow_the_state(method, dtype, device):
    seen = set()

    def field(t, y):
        seen.add((t.dtype, t.device.type, t.dim(), y.dtype, y.device.type))
        return -y * t

    y0 = torch.ones(5, 2, dtype=dtype, device=device)
    y = odeint(field, y0, torch.tensor([0.0, 1.0]), method=method, options=options(method))
    assert (y.dtype, y.device.type) == (dtype, device)
    assert seen == {(dtype, device, 0, dtype, device)}


def test_steps_land_on_every_requested_time_and_never_leave_the_interval():
    for method in METHODS:
        seen = []

        def field(t, y, seen=seen):
            seen.append(t.item())
            return -y

        more = {} if method in ADAPTIVE else {"options": {"step_size": 0.4}}
        odeint(field, tensor(1.0), tensor(0.0, 0.3, 1.0), method=method, **more)
        assert min(seen) >= 0 and max(seen) <= 1
        # the stages of "implicit_midpoint" and "gauss4" lie inside the step
        if method not in ADAPTIVE and {0.0, 1.0} & set(getattr(METHODS[method], "c", (0.0,))):
            assert any(abs(s - 0.3) < 1e-12 for s in seen)


def test_one_evaluation_a_stage():
    expected = {"euler": 10, "midpoint": 20, "rk4": 40, "heun3": 30, "ab2": 11}
    for method, count in expected.items():
        calls = []
        odeint(lambda t, y, calls=calls: calls.append(t) or -y, tensor(1.0), tensor(0.0, 1.0), method=method,
               options={"num_steps": 10})  # fmt: skip
        assert len(calls) == count, method


def test_dense_output_costs_no_evaluation():
    counts = []
    for points in (2, 401):
        calls = []
        t = torch.linspace(0, 5, points, dtype=torch.float64)
        odeint(lambda t, y, calls=calls: calls.append(t) or -y, tensor(1.0), t)
        counts.append(len(calls))
    assert counts[0] == counts[1]


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6), st.integers(1, 50), st.sampled_from([1, -1]))
def test_any_grid_ends_exactly_on_its_times(lengths, count, sign):
    from helpers.solvers.grid import fixed_steps

    t = (sign * np.cumsum([0.0, *lengths])).tolist()
    steps = fixed_steps(t, abs(t[-1]) / count)
    ends = [step.start + step.h for step in steps if step.is_output]
    assert ends == pytest.approx(t[1:], abs=1e-12)
    assert all(abs(step.h) <= abs(t[-1]) / count * (1 + 1e-9) for step in steps)
    assert len(fixed_steps([t[0], t[-1]], abs(t[-1]) / count)) == count


@given(st.floats(-3, 3), st.floats(-3, 3), st.sampled_from([m for m in METHODS if m not in ADAPTIVE]))
def test_a_linear_field_gives_a_linear_map(a, b, method):
    """Superposition: the numerical flow of a linear field is linear, whatever the method."""
    t = tensor(0.0, 1.0)

    def solve(y0):
        return odeint(rotation, y0, t, method=method, options={"num_steps": 7})[-1]

    u, v = tensor(1.0, 0.2), tensor(-0.4, 0.9)
    torch.testing.assert_close(solve(a * u + b * v), a * solve(u) + b * solve(v), atol=1e-12, rtol=0)


# --- gradients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_those_of_the_discrete_solve(method):
    draw = torch.Generator().manual_seed(0)
    weight, y0 = (torch.randn(n, 2, dtype=torch.float64, generator=draw) for n in (2, 3))
    t = tensor(0.0, 0.4, 1.0)
    # one adaptive step on each side of the last output, so that step sizes do not move under the finite differences
    more = {"first_step": 1.0} if method in ADAPTIVE else {"num_steps": 5}
    loose = {"rtol": 1.0, "atol": 1.0} if method in ADAPTIVE else {}

    def solve(weight, y0):
        return odeint(lambda t, y: torch.tanh(y @ weight) * (1 + t), y0, t, method=method, options=more, **loose)

    inputs = (weight.requires_grad_(), y0.requires_grad_())
    assert torch.autograd.gradcheck(solve, inputs, eps=1e-6, atol=1e-7)
    if method in EXPLICIT:
        assert torch.autograd.gradgradcheck(solve, inputs, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", IMPLICIT)
def test_implicit_methods_say_that_they_have_no_second_derivative(method):
    y0 = tensor(1.0, 0.5).requires_grad_()
    end = odeint(lambda t, y: -(y**3), y0, tensor(0.0, 1.0), method=method, options=options(method, 3))[-1].sum()
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        torch.autograd.grad(end, y0, create_graph=True)


def test_gradient_reaches_a_modules_parameters():
    net = torch.nn.Linear(2, 2).double()
    end = odeint(lambda t, y: net(y), tensor(1.0, 2.0), tensor(0.0, 1.0), method="rk4", options={"num_steps": 4})[-1]
    end.sum().backward()
    assert net.weight.grad.abs().sum() > 0


# --- implicit methods ---------------------------------------------------------------------------------------------


@given(st.floats(-1e4, 0.9), st.floats(0.01, 10))
def test_implicit_methods_multiply_by_their_stability_function(lam, h):
    z = lam * h
    y0 = tensor(1.0)
    if z < 0.9:
        euler = odeint(lambda t, y: lam * y, y0, tensor(0.0, h), method="implicit_euler", options={"num_steps": 1})[-1]
        assert euler.item() == pytest.approx(1 / (1 - z), rel=1e-9)
        rule = odeint(lambda t, y: lam * y, y0, tensor(0.0, h), method="trapezoid", options={"num_steps": 1})[-1]
        assert rule.item() == pytest.approx((1 + z / 2) / (1 - z / 2), rel=1e-9, abs=1e-9)


def test_newton_solves_a_linear_field_with_one_jacobian():
    calls = []
    with torch.no_grad():
        odeint(lambda t, y: calls.append(t) or -50 * y, tensor(1.0, 2.0), tensor(0.0, 1.0), method="implicit_euler",
               options={"num_steps": 1})  # fmt: skip
    # the first look at the field, one evaluation with its Jacobian, one to see that it has converged
    assert len(calls) == 3


def test_implicit_euler_on_stiff_van_der_pol_in_a_batch_equals_the_samples_alone():
    mu = 100.0

    def van_der_pol(t, y):
        q, p = y[..., 0], y[..., 1]
        return torch.stack([p, mu * (1 - q**2) * p - q], -1)

    y0 = torch.stack([torch.linspace(0.5, 2, 16), torch.linspace(-1, 1, 16)], -1).double()
    t = tensor(0.0, 0.1, 0.4)
    batch = odeint(van_der_pol, y0, t, method="implicit_euler", options={"step_size": 0.002})
    alone = torch.stack(
        [odeint(van_der_pol, y, t, method="implicit_euler", options={"step_size": 0.002}) for y in y0], 1
    )
    torch.testing.assert_close(batch, alone, atol=1e-9, rtol=0)


def test_trapezoid_keeps_the_energy_of_a_rotation():
    y = odeint(
        rotation, tensor(1.0, 0.5), torch.linspace(0, 100, 11).double(), method="trapezoid", options={"step_size": 0.5}
    )
    torch.testing.assert_close(
        y.norm(dim=-1), torch.full((11,), math.sqrt(1.25), dtype=torch.float64), atol=1e-10, rtol=0
    )


def test_no_step_is_longer_than_the_longest_and_the_last_may_be_shorter_than_the_shortest():
    seen = []

    def field(t, y):
        seen.append(t.item())
        return -y

    t = torch.tensor([0.0, 0.109], dtype=torch.float64)
    odeint(field, torch.ones(1, dtype=torch.float64), t, method="bosh3", options={"max_step": 0.1, "first_step": 0.1})
    assert any(abs(time - 0.1) < 1e-12 for time in seen), "the first step ends at 0.1, not at 0.109"
    options = {"min_step": 0.2, "max_step": 0.3, "first_step": 0.3}
    t, y0 = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    end = odeint(lambda t, y: -y, y0, t, method="dopri5", rtol=1e-4, atol=1e-4, options=options)[-1]
    assert end.item() == pytest.approx(math.exp(-1), abs=1e-4)
    defaults = {"min_step": 0.0, "max_step": math.inf}
    odeint(lambda t, y: -y, y0, t, method="dopri5", options=defaults)


@pytest.mark.parametrize("method", ["bosh3", "dopri5", "tsit5", "kvaerno3"])
def test_no_evaluation_leaves_an_interval_that_is_walked_backwards(method):
    seen = []

    def field(t, y):
        seen.append(t.item())
        return -y

    odeint(field, torch.ones(1, dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64), method=method)
    assert 0 <= min(seen) and max(seen) <= 1


def test_ab2_keeps_its_order_on_a_grid_of_unequal_steps():
    """Steps of lengths 1, 2, 1, 2, …: without the ratio of two steps in its weights the order falls to one."""

    def error(n):
        lengths = torch.tensor([1.0, 2.0] * n, dtype=torch.float64)
        t = torch.cat([torch.zeros(1, dtype=torch.float64), lengths.cumsum(0) / lengths.sum()])
        y0 = torch.ones(1, dtype=torch.float64)
        end = odeint(lambda t, y: -y * torch.cos(3 * t), y0, t, method="ab2", options={"grid": "t"})[-1]
        return abs(end.item() - math.exp(-math.sin(3) / 3))

    errors = [error(n) for n in (20, 40, 80, 160)]
    assert math.log2(errors[-2] / errors[-1]) == pytest.approx(2, abs=0.1)


def test_dropout_draws_the_same_mask_when_a_step_is_taken_again():
    drop, direction = torch.nn.Dropout(0.5), torch.linspace(-1, 1, 50, dtype=torch.float64)

    def end(shift):
        torch.manual_seed(0)
        y0 = (torch.ones(50, dtype=torch.float64) + shift * direction).requires_grad_()
        how = {"method": "euler", "options": {"num_steps": 9}, "gradient": "checkpoint"}
        return y0, odeint(lambda t, y: torch.sin(drop(y)), y0, torch.tensor([0.0, 1.0]).double(), **how)[-1].sum()

    y0, total = end(0.0)
    (gradient,) = torch.autograd.grad(total, y0)
    difference = (end(1e-5)[1] - end(-1e-5)[1]).item() / 2e-5
    assert (gradient @ direction).item() == pytest.approx(difference, rel=1e-6)


def test_reversible_takes_a_field_that_does_not_depend_on_the_state():
    y0 = torch.ones(3, dtype=torch.float64, requires_grad=True)
    how = {"method": "rk4", "options": {"num_steps": 5}, "gradient": "reversible"}
    end = odeint(lambda t, y: torch.ones_like(y) * t, y0, torch.tensor([0.0, 1.0], dtype=torch.float64), **how)[-1]
    torch.testing.assert_close(end, torch.full((3,), 1.5, dtype=torch.float64))
    torch.testing.assert_close(torch.autograd.grad(end.sum(), y0)[0], torch.ones(3, dtype=torch.float64))
