"""Bad input and failed solves: one clear exception each."""

import numpy as np
import pytest
import torch

from helpers.solvers import (
    NewtonError,
    NonFiniteStateError,
    StepSizeUnderflowError,
    TooManyStepsError,
    odeint,
)

Y0 = torch.tensor([1.0, 2.0], dtype=torch.float64)
T = torch.tensor([0.0, 1.0], dtype=torch.float64)
STEPS = {"num_steps": 4}


def decay(t, y):
    return -y


def call(func=decay, y0=Y0, t=T, **more):
    return odeint(func, y0, t, **{"method": "euler", "options": STEPS, **more})


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": "runge"}, ValueError, r"method must be one of euler, midpoint.*dopri8.*got 'runge'"),
        ({"gradient": "magic"}, ValueError, r"gradient must be one of 'backprop'.*got 'magic'"),
        ({"func": None}, TypeError, r"func must be callable"),
        ({"t": [0.0, 1.0]}, TypeError, r"t must be a torch.Tensor.*got list"),
        ({"t": T[:1]}, ValueError, r"t must have shape \(n,\) with n ≥ 2; got shape \(1,\)"),
        ({"t": torch.tensor([0, 1])}, TypeError, r"t must be of a floating-point dtype; got torch.int64"),
        ({"t": torch.tensor([0.0, 1.0, 0.5])}, ValueError, r"t must be finite and strictly.*got \[0, 1, 0.5\]"),
        ({"t": torch.tensor([0.0, 0.0])}, ValueError, r"strictly increasing or strictly decreasing"),
        ({"t": torch.tensor([0.0, float("nan")])}, ValueError, r"t must be finite"),
        ({"t": T.clone().requires_grad_()}, ValueError, r"t must not require a gradient"),
        ({"y0": [1.0]}, TypeError, r"y0 must be a tensor or a non-empty tuple"),
        ({"y0": ()}, TypeError, r"y0 must be a tensor or a non-empty tuple"),
        ({"y0": torch.tensor([1, 2])}, TypeError, r"y0 must be float32.*got torch.int64"),
        ({"y0": torch.ones(2, dtype=torch.float16)}, TypeError, r"y0 must be float32.*got torch.float16"),
        ({"y0": torch.ones(0)}, ValueError, r"y0 must hold at least one number; got shape \(0,\)"),
        ({"y0": (Y0, Y0.float())}, TypeError, r"y0 must have one dtype and device; y0\[1\] has torch.float32"),
        ({"func": lambda t, y: y[:1]}, ValueError, r"func must return the shape of y0, \(2,\); got \(1,\)"),
        ({"func": lambda t, y: y.float()}, TypeError, r"func must return the dtype of y0, torch.float64; got"),
        ({"func": lambda t, y: 1.0}, TypeError, r"func must return a tensor; got float"),
        ({"func": lambda t, y: y[0], "y0": (Y0, Y0)}, ValueError, r"func must return a tuple.*got shape \(2,\)"),
        ({"func": lambda t, y: (y[0],), "y0": (Y0, Y0)}, ValueError, r"func must return a tuple.*\(2,\), \(2,\)"),
        ({"options": None}, ValueError, r"exactly one of 'step_size', 'num_steps' or grid='t'; got {}"),
        ({"options": {"num_steps": 2, "step_size": 0.1}}, ValueError, r"exactly one of"),
        ({"options": {"stepsize": 0.1}}, ValueError, r"may hold step_size, num_steps, grid; got 'stepsize'"),
        ({"options": {"step_size": 0.0}}, ValueError, r"options\['step_size'\] must be a positive.*got 0.0"),
        ({"options": {"step_size": -0.1}}, ValueError, r"positive, finite number; got -0.1"),
        ({"options": {"step_size": float("nan")}}, ValueError, r"positive, finite number; got nan"),
        ({"options": {"step_size": 1e-9}}, ValueError, r"options ask for 1e\+09 steps; at most 1e\+07"),
        ({"options": {"num_steps": 0}}, ValueError, r"options\['num_steps'\] must be an integer ≥ 1; got 0"),
        ({"options": {"num_steps": 2.5}}, ValueError, r"integer ≥ 1; got 2.5"),
        ({"options": {"grid": "y"}}, ValueError, r"options\['grid'\] must be 't'"),
        ({"method": "dopri5"}, ValueError, r"options for 'dopri5' may hold first_step.*got 'num_steps'"),
        ({"method": "dopri5", "options": {"safety": 0}}, ValueError, r"options\['safety'\] must be a positive"),
        ({"method": "dopri5", "options": {"ifactor": 0.5}}, ValueError, r"dfactor < 1 < ifactor"),
        ({"method": "dopri5", "options": {}, "rtol": 0.0}, ValueError, r"rtol must be a positive, finite number"),
        ({"method": "dopri5", "options": {}, "atol": -1e-9}, ValueError, r"atol must be a positive, finite number"),
        ({"method": "dopri5", "options": {}, "rtol": 1e-16}, ValueError, r"rtol must be at least 10 eps = 2.2e-15"),
        ({"method": "dopri8", "options": {}, "rtol": -1.0}, ValueError, r"rtol must be a positive"),
        ({"method": "yoshida"}, ValueError, r"one of euler.*gauss4, kvaerno3, ab2.*leapfrog, yoshida4, dopri8"),
        ({"options": {**STEPS, "linear_solver": "gmres"}}, ValueError, r"for 'euler' may hold.*'linear_solver'"),
        ({"method": "sdirk2", "options": {**STEPS, "linear_solver": "lu"}}, ValueError,
         r"options\['linear_solver'\] must be 'dense' or 'gmres'; got 'lu'"),
        ({"method": "gauss4", "options": {**STEPS, "solver": "lu"}}, ValueError, r"grid, linear_solver; got 'solver'"),
        ({"method": "gauss4", "options": {"linear_solver": "dense"}}, ValueError, r"exactly one of 'step_size'"),
        ({"method": "kvaerno3", "y0": Y0.to(torch.complex128), "options": {}}, TypeError, r"y0 must be real for the"),
        ({"method": "implicit_euler", "y0": Y0.to(torch.complex128)}, TypeError, r"y0 must be real for the implicit"),
    ],
)  # fmt: skip
def test_malformed_calls(change, error, words):
    with pytest.raises(error, match=words):
        call(**change)


def test_float32_has_its_own_least_tolerance():
    with pytest.raises(ValueError, match=r"rtol must be at least 10 eps = 1.2e-06 of torch.float32"):
        call(y0=Y0.float(), method="dopri5", options={}, rtol=1e-7)


def test_tolerances_on_a_fixed_step_method_are_warned_about():
    with pytest.warns(UserWarning, match="rtol and atol have no effect on the fixed-step method 'euler'"):
        call(rtol=1e-3)


def test_scipy_solver_refuses_to_lose_a_gradient():
    with pytest.raises(ValueError, match="returns no gradient"):
        call(y0=Y0.clone().requires_grad_(), method="scipy_solver", options={})


@pytest.mark.parametrize("method", ["euler", "rk4", "ab2"])
def test_overflow_names_time_step_and_method(method):
    with pytest.raises(NonFiniteStateError, match=rf"step from t = \d.* with step size 0.01, method '{method}'"):
        odeint(lambda t, y: y**3, 2 * Y0, T, method=method, options={"step_size": 0.01})


def test_the_step_that_overflowed_is_the_one_named():
    field = lambda t, y: y / 0 if t > 0.55 else -y  # noqa: E731
    with pytest.raises(NonFiniteStateError, match=r"step from t = 0.6 with step size 0.1"):
        odeint(field, Y0, T, method="euler", options={"step_size": 0.1})


@pytest.mark.parametrize("method", ["euler", "dopri5", "implicit_euler"])
def test_a_state_that_is_not_finite_from_the_start(method):
    with pytest.raises((NonFiniteStateError, NewtonError), match="finite|converge"):
        odeint(decay, Y0 * float("nan"), T, method=method, options={} if method == "dopri5" else STEPS)


def test_blow_up_is_an_underflow():
    with pytest.raises(StepSizeUnderflowError, match=r"step size underflow: dopri5 at t = 0.5 with step size \d"):
        odeint(lambda t, y: y**2, Y0, T)


def test_a_field_that_stops_being_finite():
    with pytest.raises(NonFiniteStateError, match=r"not finite: dopri5 at t = 0.5"):
        odeint(lambda t, y: torch.where(t > 0.5, torch.nan, -y), Y0, T)


def test_an_endless_solve_ends():
    with pytest.raises(TooManyStepsError, match=r"dopri5 used up max_num_steps = 50 at t = .*stiff"):
        odeint(lambda t, y: -1e6 * (y - torch.cos(t)), Y0, T, options={"max_num_steps": 50})


def test_implicit_methods_need_derivatives():
    with torch.inference_mode(), pytest.raises(ValueError, match=r"'sdirk2' differentiates func: use torch.no_grad"):
        call(method="sdirk2")


@pytest.mark.parametrize("method", ["implicit_midpoint", "sdirk2", "gauss4", "trapezoid"])
@pytest.mark.parametrize("solver", ["dense", "gmres"])
def test_every_implicit_method_says_where_newton_failed(method, solver):
    field = lambda t, y: torch.where(t > 0.5, 1e3 * (y**2 + 1), -y)  # noqa: E731
    words = rf"{method} at t = 0\.[45]\d* with step size 0\.1, largest residual \S+ after \d+ iterations"
    with pytest.raises(NewtonError, match=words):
        call(field, method=method, options={"num_steps": 10, "linear_solver": solver})


def test_a_field_that_is_not_finite_ends_newton_at_once():
    with pytest.raises(NewtonError, match=r"residual nan after 0 iterations.*not finite at the start"):
        call(lambda t, y: torch.where(t > 0, torch.nan, -y), method="implicit_euler")


def test_newton_says_what_it_left():
    # the step is far beyond the fold of this field: there is no solution to find
    with pytest.raises(NewtonError, match=r"implicit_euler at t = 0 with step size 10.*residual .* after \d+ iter"):
        odeint(lambda t, y: y**2 + 1, Y0, 10 * T, method="implicit_euler", options={"num_steps": 1})


def test_parameters_that_are_read_only_once_keep_their_gradients():
    linear = torch.nn.Linear(2, 2).double()
    y0 = torch.ones(2, dtype=torch.float64)
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for gradient in ("adjoint", "reversible"):
        how = {"method": "rk4", "options": {"num_steps": 20, "parameters": linear.parameters()}, "gradient": gradient}
        end = odeint(lambda t, y: torch.tanh(linear(y)), y0, t, **how)[-1]
        found = torch.autograd.grad(end.sum(), linear.weight)[0]
        plain = odeint(lambda t, y: torch.tanh(linear(y)), y0, t, method="rk4", options={"num_steps": 20})[-1]
        torch.testing.assert_close(found, torch.autograd.grad(plain.sum(), linear.weight)[0], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("segments", [0, -1, 2.5, True, "3"])
@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_segments_are_a_whole_number(method, segments):
    options = {"segments": segments} | ({"num_steps": 4} if method == "rk4" else {})
    with pytest.raises(ValueError, match=r"options\['segments'\] must be an integer ≥ 1; got "):
        odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]), method=method, options=options,
               gradient="checkpoint")  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"options": 3}, TypeError, "options must be a dict; got int"),
        ({"method": ["rk4"]}, TypeError, "method must be a name"),
        ({"gradient": ["adjoint"]}, ValueError, "gradient must be one of"),
        ({"options": {"safety": 5.0}}, ValueError, "'safety'.* at most 1; got 5.0"),
        ({"options": {"max_num_steps": 2.5}}, ValueError, "'max_num_steps'.* integer ≥ 1; got 2.5"),
        ({"method": "explicit_adams"}, ValueError, "must hold 'step_size' for torchdiffeq's 'explicit_adams'"),
        ({"method": "implicit_adams"}, ValueError, "must hold 'step_size' for torchdiffeq's 'implicit_adams'"),
        ({"method": "dopri8", "options": {"fist_step": 0.1}}, ValueError, "'dopri8'.*fist_step"),
    ],
)
def test_what_cannot_be_meant_names_its_argument(changed, error, words):
    with pytest.raises(error, match=words):
        odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]), **changed)


def test_a_part_of_another_dtype_is_not_promoted_in_silence():
    y0 = (torch.ones(2, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    with pytest.raises(TypeError, match="func must return the dtype of y0, torch.float64; got"):
        odeint(lambda t, y: (y[0].float(), y[1]), y0, torch.tensor([0.0, 1.0]))
    with pytest.raises(TypeError, match="func must return a tensor; got float"):
        odeint(lambda t, y: 1.0, torch.tensor(1.0), torch.tensor([0.0, 1.0]))


def test_a_zero_dimensional_state_is_one_in_the_messages_too():
    y0, t = torch.tensor(1.0), torch.tensor([0.0, 1.0])
    with pytest.raises(ValueError, match=r"shape of y0, \(\); got \(1,\)"):
        odeint(lambda t, y: y[None], y0, t)
    parts = odeint(lambda t, y: (-y[0], -y[1]), (y0, torch.ones(2)), t, method="euler", options=STEPS)
    assert [part.shape for part in parts] == [(2,), (2, 2)]
    with pytest.raises(ValueError, match=r"with the shapes of y0, \(\), \(2,\); got \(shape \(1,\), shape \(2,\)\)"):
        odeint(lambda t, y: (-y[0][None], -y[1]), (y0, torch.ones(2)), t)


@pytest.mark.parametrize("method", ["euler", "dopri5", "implicit_euler", "ab2"])
@pytest.mark.parametrize(
    ("later", "error", "words"),
    [
        (lambda y: y[:1], ValueError, r"func must return the shape of y0, \(2,\); got \(1,\)"),
        (lambda y: y.double(), TypeError, "func must return the dtype of y0, torch.float32; got torch.float64"),
        (lambda y: 1.0, TypeError, "func must return a tensor; got float"),
    ],
)
def test_what_a_field_returns_later_is_looked_at_too(method, later, error, words):
    options = {} if method == "dopri5" else STEPS
    with pytest.raises(error, match=words):
        odeint(lambda t, y: later(y) if t > 0.3 else -y, Y0.float(), T, method=method, options=options)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("method", ["rk4", "dopri5", "ab2"])
@pytest.mark.parametrize("y0", [Y0, Y0[0]])
def test_a_field_may_write_into_one_buffer(mode, method, y0):
    buffer, options = torch.empty_like(y0), {} if method == "dopri5" else {"num_steps": 40}
    with mode():
        reused = odeint(lambda t, y: torch.neg(y, out=buffer), y0, T, method=method, options=options)
        assert torch.equal(reused, odeint(decay, y0, T, method=method, options=options))


@pytest.mark.parametrize("solver", ["dense", "gmres"])
def test_a_singular_newton_matrix_is_a_newton_error(solver):
    # I − h ∂f/∂y = 0 with h = 1/4, and the equation has no solution
    options = {"num_steps": 4, "linear_solver": solver}
    with pytest.raises(NewtonError, match=r"implicit_euler at t = 0 with step size 0.25, largest residual"):
        odeint(lambda t, y: 4 * y, Y0, T, method="implicit_euler", options=options)


@pytest.mark.parametrize("method", ["dopri5", "kvaerno3"])
def test_a_shortest_step_holds_for_the_first_one_too(method):
    t, y0 = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    end = odeint(decay, y0, t, method=method, rtol=1e-3, atol=1e-3, options={"min_step": 0.05})[-1]
    assert end.item() == pytest.approx(np.exp(-1), abs=1e-2)
    with pytest.raises(StepSizeUnderflowError, match=r"the tolerances ask for less than min_step = 0.5"):
        odeint(lambda t, y: 20 * torch.cos(20 * t) * y, y0, t, method=method, options={"min_step": 0.5})


@pytest.mark.parametrize(
    "options", [{"min_step": 0.2, "max_step": 0.1}, {"min_step": 0.2, "first_step": 0.1},
                {"first_step": 0.2, "max_step": 0.1}],
)  # fmt: skip
def test_step_sizes_that_contradict_each_other(options):
    with pytest.raises(ValueError, match=r"min_step ≤ first_step ≤ max_step; got {"):
        call(method="dopri5", options=options)


@pytest.mark.parametrize("method", ["dopri5", "kvaerno3"])
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"max_step": 1e-3}, r"step size 0.001: max_step = 0.001 allows no longer ones"),
        ({"safety": 0.01, "first_step": 0.5}, r"safety = 0.01 keeps them short, or the "),
        ({"first_step": 1e-7, "ifactor": 1.5}, r"step size \d\S+: the (problem is stiff, or the )?tolerances"),
    ],
)
def test_too_many_steps_says_what_is_to_blame(method, options, why):
    with pytest.raises(TooManyStepsError, match=rf"{method} used up max_num_steps = 5 at t = \S+ on .* {why}"):
        call(method=method, options={"max_num_steps": 5, **options})


@pytest.mark.parametrize("outputs", [2, 3, 6, 8])
def test_steps_land_on_the_outputs_and_are_as_many_as_the_docstring_says(outputs):
    calls, t = [], torch.linspace(0, 1, outputs, dtype=torch.float64)
    odeint(lambda t, y: calls.append(t) or -y, Y0, t, method="euler", options={"num_steps": 10})
    assert len(calls) == 10 if 10 % (outputs - 1) == 0 else 10 < len(calls) < 10 + outputs - 1


def test_numbers_of_numpy_are_numbers():
    how = {"method": "euler", "options": {"num_steps": np.int64(10)}}
    ten = odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]), **how)[-1]
    tenths = odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]), method="euler",
                    options={"step_size": np.float64(0.1)})[-1]  # fmt: skip
    assert ten.item() == pytest.approx(0.9**10) and tenths.item() == pytest.approx(0.9**10)
