"""Implicit methods: closed forms on linear fields, stiff problems, Newton's iteration and its derivatives."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from helpers.solvers import METHODS, NewtonError, krylov, odeint
from helpers.solvers.analysis import observed_order, stability_function
from helpers.solvers.krylov import gmres
from helpers.solvers.tableaux import TABLEAUX

IMPLICIT = [name for name, tableau in TABLEAUX.items() if not tableau.explicit]
FIXED = [name for name in IMPLICIT if not TABLEAUX[name].adaptive]
L_STABLE = ["implicit_euler", "sdirk2", "kvaerno3"]
G = 1 - math.sqrt(1 / 2)
R = {
    "implicit_euler": lambda z: 1 / (1 - z),
    "implicit_midpoint": lambda z: (1 + z / 2) / (1 - z / 2),
    "trapezoid": lambda z: (1 + z / 2) / (1 - z / 2),
    "sdirk2": lambda z: (1 + (1 - 2 * G) * z) / (1 - G * z) ** 2,
    "gauss4": lambda z: (1 + z / 2 + z**2 / 12) / (1 - z / 2 + z**2 / 12),
    # an L-stable method of order 3 with three implicit stages: its denominator fixes its numerator
    "kvaerno3": lambda z, g=0.435866521508459: (1 + (1 - 3 * g) * z + (0.5 - 3 * g + 3 * g * g) * z**2)
    / (1 - g * z) ** 3,
}


def tensor(*values, **more):
    return torch.tensor(values, dtype=torch.float64, **more)


def one_step(method, h=1.0, **more):
    """Options that make any of the methods take one step over [0, h]."""
    if TABLEAUX[method].adaptive:
        return {"rtol": 1e3, "atol": 1e3, "options": {"first_step": h, **more}}
    return {"options": {"num_steps": 1, **more}}


def counted(field):
    def wrapped(t, y):
        wrapped.calls += 1
        return field(t, y)

    wrapped.calls = 0
    return wrapped


# --- linear fields ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["dense", "gmres"])
@pytest.mark.parametrize("method", IMPLICIT)
def test_one_step_multiplies_by_the_closed_form_of_r(method, solver):
    for z in (-0.3 + 0.4j, 1.2j, -7.0, -1e3 + 1e2j):
        turn = tensor([z.real, -z.imag], [z.imag, z.real])
        end = odeint(
            lambda t, y, m=turn: y @ m.T, tensor(1.0, 0.0), tensor(0.0, 1.0), method=method,
            **one_step(method, linear_solver=solver),
        )[-1]  # fmt: skip
        assert complex(*end.tolist()) == pytest.approx(R[method](z), rel=1e-10, abs=1e-13)
        assert stability_function(method)(z) == pytest.approx(R[method](z), rel=1e-12)


@pytest.mark.parametrize("method", IMPLICIT)
def test_what_is_left_of_a_very_stiff_mode(method):
    """One step with z = −10⁸: an L-stable method damps it away, an A-stable one keeps its modulus at one or less."""
    end = odeint(lambda t, y: -1e8 * y, tensor(1.0), tensor(0.0, 1.0), method=method, **one_step(method))[-1].item()
    if method in L_STABLE:
        assert abs(end) < 1e-7
    else:
        assert 1 - 1e-6 < abs(end) <= 1 + 1e-7


@pytest.mark.parametrize("solver", ["dense", "gmres"])
@pytest.mark.parametrize("method", IMPLICIT)
def test_newton_is_exact_for_a_linear_field_in_one_iteration(method, solver):
    draw = torch.Generator().manual_seed(0)
    matrix = torch.randn(6, 6, dtype=torch.float64, generator=draw) - 4 * torch.eye(6).double()
    field = counted(lambda t, y: y @ matrix.T + torch.cos(t))
    y0 = torch.randn(3, 6, dtype=torch.float64, generator=draw)
    with torch.no_grad():
        odeint(field, y0, tensor(0.0, 0.5), method=method, **one_step(method, 0.5, linear_solver=solver))
    tableau = TABLEAUX[method]
    implicit_stages = sum(any(row[i:]) for i, row in enumerate(tableau.a))
    # the first look at the field; a stage evaluates once to correct and once to see that nothing is left
    assert field.calls == 1 + 2 * implicit_stages


@pytest.mark.parametrize("method", FIXED)
def test_order(method):
    def field(t, y):
        return torch.stack([-y[..., 0] * y[..., 1], y[..., 0] - y[..., 1] * torch.cos(t)], -1)

    y0, t = tensor(1.0, 0.5), tensor(0.0, 2.0)
    exact = odeint(field, y0, t, rtol=1e-13, atol=1e-14)[-1]
    steps = [10, 20, 40, 80]
    errors = [
        (odeint(field, y0, t, method=method, options={"num_steps": n})[-1] - exact).norm().item() for n in steps
    ]
    assert observed_order(steps, errors) == pytest.approx(TABLEAUX[method].order, abs=0.15)


def test_order_of_the_adaptive_one_at_equal_steps():
    field, y0, t = (lambda t, y: y * torch.cos(t)), tensor(1.0), tensor(0.0, 2.0)
    steps, errors = [10, 20, 40, 80], []
    for n in steps:
        more = {"first_step": 2 / n, "max_step": 2 / n, "ifactor": 1.01}
        end = odeint(field, y0, t, method="kvaerno3", rtol=1e3, atol=1e3, options=more)[-1]
        errors.append(abs(end.item() - math.exp(math.sin(2.0))))
    assert observed_order(steps, errors) == pytest.approx(3, abs=0.15)


# --- stiff problems -----------------------------------------------------------------------------------------------


def van_der_pol(t, y):
    """Scaled to the slow time, ε = 1/μ² with μ = 1000."""
    q, p = y[..., 0], y[..., 1]
    return torch.stack([p, ((1 - q**2) * p - q) * 1e6], -1)


def test_van_der_pol_over_a_jump():
    """Against the reference solution of the Test Set for Initial Value Problem Solvers, problem VDPOL, at t = 2."""
    field = counted(van_der_pol)
    with torch.no_grad():
        end = odeint(field, tensor(2.0, -0.66), tensor(0.0, 2.0), method="kvaerno3", rtol=1e-4, atol=1e-6)[-1]
    reference = tensor(1.706167732170483, -0.8928097010247975)
    torch.testing.assert_close(end, reference, rtol=2e-3, atol=0)
    # an explicit method is held to steps of about 3e-6 by stability: two million evaluations
    assert field.calls < 20_000


@pytest.mark.parametrize("method", IMPLICIT)
def test_prothero_robinson(method):
    """y' = λ (y − cos t) − sin t with λ = −10⁶ and y = cos t: accurate at steps 10⁴ times those of Euler's limit.

    Every method here has at least order 1 on it where the step is long for the stiff mode (Prothero & Robinson 1974).
    """
    field = lambda t, y: -1e6 * (y - torch.cos(t)) - torch.sin(t)  # noqa: E731
    more = {"rtol": 1e-4, "atol": 1e-6} if TABLEAUX[method].adaptive else {"options": {"num_steps": 50}}
    y = odeint(field, tensor(1.0), tensor(0.0, 1.0), method=method, **more)[-1].item()
    assert y == pytest.approx(math.cos(1.0), abs=2e-4)


def test_a_batch_of_stiff_samples_equals_the_samples_alone():
    y0 = torch.stack([torch.linspace(1.3, 2, 8), torch.linspace(-1, 1, 8)], -1).double()
    for method in ("sdirk2", "gauss4"):
        how = {"method": method, "options": {"num_steps": 20}}
        batch = odeint(van_der_pol, y0, tensor(0.0, 1e-2), **how)[-1]
        alone = torch.stack([odeint(van_der_pol, y, tensor(0.0, 1e-2), **how)[-1] for y in y0])
        torch.testing.assert_close(batch, alone, atol=1e-8, rtol=1e-8)


# --- Newton -------------------------------------------------------------------------------------------------------


def diffusion(size):
    """The heat equation with a cubic reaction on `size` points, tridiagonal and stiff."""

    def field(t, y):
        inner = nn.functional.pad(y, (1, 1))
        return (inner[..., 2:] - 2 * y + inner[..., :-2]) * size**2 / 4 - y**3

    return field


def test_gmres_and_dense_agree_and_large_states_take_gmres():
    y0 = torch.linspace(0, math.pi, 40, dtype=torch.float64).sin().expand(2, 40) * tensor(1.0, 2.0)[:, None]
    ends = [
        odeint(diffusion(40), y0, tensor(0.0, 0.1), method="gauss4",
               options={"num_steps": 4, "linear_solver": solver})[-1]
        for solver in ("dense", "gmres")
    ]  # fmt: skip
    torch.testing.assert_close(*ends, atol=1e-9, rtol=0)
    mixing = lambda t, y: 5 * (y.mean(0) - y)  # noqa: E731
    how = {"method": "implicit_euler", "options": {"num_steps": 1}}
    wide = torch.randn(4, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    end = odeint(mixing, wide, tensor(0.0, 1.0), **how)[-1]
    torch.testing.assert_close(end, wide.mean(0) + (wide - wide.mean(0)) / 6, atol=1e-10, rtol=0)


@pytest.mark.parametrize("method", ["implicit_euler", "gauss4", "kvaerno3"])
def test_samples_that_mix_are_found_out(method):
    """A column vector, whose last axis is no sample: no Jacobian a sample gives its gradient."""
    matrix = tensor([-1.0, 0.4], [0.3, -2.0])
    y0 = tensor([1.0], [0.5]).requires_grad_()
    how = {"rtol": 1e-9, "atol": 1e-11} if method == "kvaerno3" else {"options": {"num_steps": 40}}
    end = odeint(lambda t, y: matrix @ y, y0, tensor(0.0, 1.0), method=method, **how)[-1]
    (found,) = torch.autograd.grad(end[0, 0], y0)
    tolerance = 2e-2 if method == "implicit_euler" else 1e-6
    torch.testing.assert_close(found[:, 0], torch.matrix_exp(matrix)[0], atol=tolerance, rtol=0)
    with pytest.raises(ValueError, match="'dense' takes the last axis of y0 as one sample.*give 'gmres'"):
        odeint(lambda t, y: matrix @ y, y0, tensor(0.0, 1.0), method="implicit_euler",
               options={"num_steps": 4, "linear_solver": "dense"})  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", ["implicit_euler", "implicit_midpoint", "trapezoid", "sdirk2", "gauss4"])
def test_a_state_that_decays_below_the_rounding_of_its_field(method, dtype):
    """exp(y) − 1 carries the rounding of 1, however small y has become; two samples, decayed to different depths."""
    y0, t = torch.tensor([[0.7], [1e-3]], dtype=dtype), torch.tensor([0.0, 60.0], dtype=dtype)
    end = odeint(lambda t, y: 1 - torch.exp(y), y0, t, method=method, options={"step_size": 0.5}, gradient="checkpoint")
    assert end[-1].abs().max() < 300 * torch.finfo(dtype).eps


def test_a_correction_measured_with_a_worthless_matrix_is_not_believed():
    """From a steep place to a flat one: with the matrix of the steep one every correction looks small."""
    field = lambda t, y: torch.stack([-(torch.tanh(1e11 * y[..., 0]) + 2), 0 * y[..., 1]], -1)  # noqa: E731
    end = odeint(field, tensor([0.0, 1.0]), tensor(0.0, 1.0), method="implicit_euler", options={"num_steps": 1})[-1]
    torch.testing.assert_close(end, tensor([-1.0, 1.0]), atol=1e-9, rtol=0)


def test_kvaerno3_follows_its_tolerance():
    exact = (math.cos(3) + math.sin(3) - math.exp(-3)) / 2
    for tol in (1e-4, 1e-6, 1e-8):
        how = {"method": "kvaerno3", "rtol": tol, "atol": tol}
        end = odeint(lambda t, y: -y + torch.cos(t), tensor(0.0), tensor(0.0, 3.0), **how)[-1]
        assert abs(end.item() - exact) < 20 * tol


def test_gmres_alone():
    draw = torch.Generator().manual_seed(0)
    matrix = torch.randn(30, 30, dtype=torch.float64, generator=draw) + 8 * torch.eye(30).double()
    right = torch.randn(30, dtype=torch.float64, generator=draw)
    x, left = gmres(lambda v: matrix @ v, right, 1e-12)
    torch.testing.assert_close(x, torch.linalg.solve(matrix, right), atol=1e-10, rtol=0)
    assert left <= 1e-12
    # a singular system has no solution: what is left is told, not hidden
    _, left = gmres(lambda v: v * tensor(1.0, 0.0), tensor(1.0, 1.0), 1e-12)
    assert left == pytest.approx(math.sqrt(0.5))
    assert gmres(lambda v: v, tensor(0.0, 0.0), 1e-12)[0].tolist() == [0.0, 0.0]


def test_a_step_that_newton_cannot_take_is_taken_shorter():
    """y' = y² + 1 from 0 is tan t; implicit stages have no solution when h is too long, and the step is cut."""
    more = {"rtol": 1e-6, "atol": 1e-8, "options": {"first_step": 1.5}}
    end = odeint(lambda t, y: y**2 + 1, tensor(0.0), tensor(0.0, 1.5), method="kvaerno3", **more)[-1].item()
    assert end == pytest.approx(math.tan(1.5), rel=1e-3)


def test_a_step_that_stays_unsolvable_ends_in_newtons_error():
    how = {"method": "kvaerno3", "options": {"first_step": 1.0, "min_step": 0.5}}
    with pytest.raises(NewtonError, match=r"kvaerno3 at t = 0 with step size .*residual .* after \d+ iterations"):
        odeint(lambda t, y: 1e3 * (y**2 + 1), tensor(0.0), tensor(0.0, 1.0), **how)


def test_the_test_for_convergence_is_relative():
    """The flow of y' = −y³ scales: from s·y0 over t/s² it is s times that from y0 over t, also for tiny s."""
    for scale in (1e-6, 1e6):
        one, other = (
            odeint(lambda t, y: -(y**3), tensor(s), tensor(0.0, 2 / s**2), method="sdirk2",
                   options={"num_steps": 2})[-1].item() / s
            for s in (1.0, scale)
        )  # fmt: skip
        assert other == pytest.approx(one, rel=1e-12)


# --- derivatives --------------------------------------------------------------------------------------------------


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.inner = nn.Parameter(torch.randn(3, 4, generator=draw, dtype=torch.float64))
        self.outer = nn.Parameter(torch.randn(4, 3, generator=draw, dtype=torch.float64))

    def forward(self, t, y):
        return torch.tanh(y @ self.inner + t) @ self.outer - 20 * y


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint"])
@pytest.mark.parametrize("solver", ["dense", "gmres"])
@pytest.mark.parametrize("method", IMPLICIT)
def test_gradient_against_central_differences(method, solver, gradient):
    field = Field()
    y0 = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    more = {"linear_solver": solver}
    if TABLEAUX[method].adaptive:
        # steps that the controller does not move under the differences
        how = {"rtol": 1e3, "atol": 1e3, "options": {"first_step": 0.25, "max_step": 0.25, **more}}
    else:
        how = {"options": {"num_steps": 3, **more}}
    weights = torch.linspace(1, 2, 18).double().reshape(3, 2, 3)

    def loss():
        solution = odeint(field, y0, tensor(0.0, 0.3, 0.9), method=method, gradient=gradient, **how)
        return (solution**2 * weights).sum()

    inputs = (y0, field.inner, field.outer)
    for value, found in zip(inputs, torch.autograd.grad(loss(), inputs), strict=True):
        for place in ((0, 0), (1, 2)):
            ends = []
            for shift in (1e-5, -1e-5):
                with torch.no_grad():
                    value[place] += shift
                    ends.append(loss().item())
                    value[place] -= shift
            assert found[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8, rel=1e-7)


def test_gradient_is_that_of_the_solution_and_not_of_the_iteration():
    """d/dλ of (1 − hλ)⁻ⁿ y0, in closed form."""
    rate = tensor(-3.0, requires_grad=True)
    end = odeint(lambda t, y: rate * y, tensor(2.0), tensor(0.0, 1.0), method="implicit_euler",
                 options={"num_steps": 4})[-1]  # fmt: skip
    (found,) = torch.autograd.grad(end.sum(), rate)
    assert found.item() == pytest.approx(2 * 4 * 0.25 * 1.75**-5, rel=1e-12)


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint"])
def test_the_backward_pass_does_not_repeat_the_iteration(gradient):
    """Evaluations: as many forward whatever the gradient; backward none, or with checkpoints those once more."""
    module = Field()
    field = counted(lambda t, y: module(t, y))
    how = {"method": "sdirk2", "options": {"num_steps": 16, "linear_solver": "dense"}}
    odeint(field, torch.ones(2, 3).double(), tensor(0.0, 1.0), **how)
    plain, field.calls = field.calls, 0
    end = odeint(field, torch.ones(2, 3).double(), tensor(0.0, 1.0), gradient=gradient, **how)[-1].sum()
    # a derivative inside a checkpoint, as Newton takes it, must not set off the recomputation
    assert abs(field.calls - plain) <= 1
    field.calls = 0
    end.backward()
    assert field.calls == 0 if gradient == "backprop" else plain / 2 < field.calls <= plain


def test_saved_memory_does_not_grow_with_the_iterations():
    """A field that takes Newton more iterations keeps as many bytes a step."""

    def bytes_of(stiffness):
        kept = {}

        def pack(x):
            kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        y0, field = torch.ones(64, 2).double().requires_grad_(), counted(lambda t, y: -stiffness * y**3)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            odeint(field, y0, tensor(0.0, 1.0), method="implicit_euler", options={"num_steps": 4})
        return field.calls, sum(kept.values())

    (few, small), (many, large) = bytes_of(1e-8), bytes_of(1e3)
    assert many > few + 4 and large == small


def test_a_gradient_that_gmres_cannot_find_is_an_error(monkeypatch):
    y0 = torch.linspace(0, 1, 30).double().requires_grad_()
    how = {"method": "implicit_euler", "options": {"num_steps": 1, "linear_solver": "gmres"}}
    end = odeint(diffusion(30), y0, tensor(0.0, 1.0), **how)[-1]
    monkeypatch.setattr(krylov, "LARGEST_SPACE", 2)
    with pytest.raises(NewtonError, match=r"gradient of an implicit step did not converge: implicit_euler at t = 0"):
        torch.autograd.grad(end.norm(), y0)


@pytest.mark.parametrize("gradient", ["reversible", "adjoint"])
def test_gradients_that_kvaerno3_does_not_have(gradient):
    words = {"reversible": "'kvaerno3' is adaptive", "adjoint": "explicit one-step methods; got 'kvaerno3'"}
    with pytest.raises(ValueError, match=words[gradient]):
        odeint(Field(), torch.ones(2, 3).double(), tensor(0.0, 1.0), method="kvaerno3", gradient=gradient)


def test_names():
    assert set(IMPLICIT) == set(R) <= set(METHODS)
    assert np.allclose([abs(R["gauss4"](1j * w)) for w in (0.1, 3, 50)], 1)


def test_the_trapezoid_takes_its_first_slope_from_the_step_before():
    """One evaluation at the start, two a step on a linear field: Newton's first look, and one that finds it solved."""
    field = counted(lambda t, y: -y)
    with torch.no_grad():
        odeint(field, torch.ones(2).double(), tensor(0.0, 1.0), method="trapezoid", options={"num_steps": 10})
    assert field.calls == 1 + 2 * 10
