"""Stability functions, regions and orders against what is known in closed form."""

import math

import numpy as np
import pytest
import torch

from helpers.solvers import METHODS, odeint, symplectic
from helpers.solvers.analysis import (
    CHARACTERISTIC,
    amplification,
    field_jacobian,
    is_a_stable,
    is_l_stable,
    log_norm,
    lyapunov_exponents,
    numerical_abscissa,
    observed_order,
    satisfies_root_condition,
    spectral_abscissa,
    stability_boundary,
    stability_function,
    stability_limits,
    stability_region,
    transient_growth,
)
from helpers.solvers.tableaux import TABLEAUX, Tableau

Z = np.array([-1.5 + 0.5j, 0.3j, -0.2, 0.4 - 1.0j, -2.5])


FULL = [name for name, tableau in TABLEAUX.items() if tableau.explicit and tableau.order == tableau.stages]


@pytest.mark.parametrize("name", FULL)
def test_with_as_many_stages_as_its_order_a_method_has_the_exponentials_taylor_polynomial(name):
    taylor = sum(Z**k / math.factorial(k) for k in range(TABLEAUX[name].order + 1))
    np.testing.assert_allclose(stability_function(name)(Z), taylor, rtol=1e-13)


def test_implicit_stability_functions():
    np.testing.assert_allclose(stability_function("implicit_euler")(Z), 1 / (1 - Z), rtol=1e-13)
    np.testing.assert_allclose(stability_function("trapezoid")(Z), (1 + Z / 2) / (1 - Z / 2), rtol=1e-13)


@pytest.mark.parametrize("name", TABLEAUX)
def test_one_step_of_the_solver_multiplies_by_r(name):
    """The solver and the analysis read the same tableau independently."""
    tableau = TABLEAUX[name]
    if tableau.explicit:
        from helpers.solvers import explicit

        one = torch.ones(1, dtype=torch.complex128)
        steps = [explicit.step(tableau, lambda t, y, z=z: z * y, 0.0, one, 1.0).item() for z in Z]
    else:
        turn = [torch.tensor([[z.real, -z.imag], [z.imag, z.real]]) for z in Z]
        start, t = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 1.0])
        # wide tolerances make one step of an adaptive method
        how = {"rtol": 1e3, "atol": 1e3, "options": {"first_step": 1.0}} if tableau.adaptive else {
            "options": {"num_steps": 1}}
        ends = [odeint(lambda t, y, m=m: m @ y, start, t, method=name, **how)[-1] for m in turn]
        steps = [complex(*end.tolist()) for end in ends]
    np.testing.assert_allclose(steps, stability_function(name)(Z), rtol=1e-9)


@pytest.mark.parametrize(
    ("method", "real", "imaginary"),
    [
        ("euler", 2.0, 0.0), ("midpoint", 2.0, 0.0), ("heun2", 2.0, 0.0), ("heun3", 2.5127, math.sqrt(3)),
        ("rk4", 2.7853, math.sqrt(8)), ("dopri5", 3.3066, 0.9972), ("implicit_euler", math.inf, math.inf),
        ("gauss4", math.inf, math.inf), ("kvaerno3", math.inf, math.inf),
    ],
)  # fmt: skip
def test_stability_limits(method, real, imaginary):
    limits = stability_limits(method)
    assert limits == pytest.approx((real, imaginary), abs=1e-4)
    # the region itself: stable just before, unstable just after
    for limit, axis in zip(limits, (-1, 1j), strict=True):
        if 0 < limit < math.inf:
            assert amplification(method, axis * limit * 0.999) <= 1 < amplification(method, axis * limit * 1.001)


def test_limits_of_a_method_that_is_not_in_the_table():
    """A-stable or not with the diagonal γ of a two-stage SDIRK method: A-stable iff γ ≥ 1/4, and L-stable at 1 − √½."""

    def sdirk(g):
        return Tableau("sdirk", 2, ((g, 0.0), (1 - 2 * g, g)), (0.5, 0.5), (g, 1 - g), "Hairer & Wanner 1996, IV.3")

    assert is_a_stable(sdirk(0.26)) and not is_l_stable(sdirk(0.26)) and not is_a_stable(sdirk(0.24))
    assert stability_limits(sdirk(0.24)).real < math.inf
    assert is_l_stable(sdirk(1 - math.sqrt(0.5)))
    # the midpoint rule read backwards has modulus one on the imaginary axis, too, and its pole on the wrong side
    assert not is_a_stable(Tableau("backwards", 0, ((-0.5,),), (-1.0,), (-0.5,), "R(z) = (1 − z/2) / (1 + z/2)"))


def test_a_and_l_stability():
    implicit = {name for name, tableau in TABLEAUX.items() if not tableau.explicit}
    assert {name for name in TABLEAUX if is_a_stable(name)} == implicit
    assert {name for name in TABLEAUX if is_l_stable(name)} == {"implicit_euler", "sdirk2", "kvaerno3"}
    left = -np.logspace(-3, 9, 60) * np.exp(1j * np.linspace(-1.57, 1.57, 21))[:, None]
    for name in implicit:
        assert (amplification(name, left) <= 1 + 1e-12).all()


@pytest.mark.parametrize("method", TABLEAUX)
def test_the_boundary_is_where_r_has_modulus_one(method):
    curves = stability_boundary(method, 200)
    for curve in curves:
        kept = curve[np.isfinite(curve)]
        np.testing.assert_allclose(abs(stability_function(method)(kept)), 1, atol=1e-10)
        assert np.array_equal(curve[:1], curve[-1:], equal_nan=True)
        # a curve, and not dots: no step is long for the place it is at
        steps = abs(np.diff(curve))
        assert np.nanmax(steps / (1 + abs(curve[1:]) ** 2)) < 0.2
    # all of it: an unstable and a stable point are separated, seen on a ray to the left
    limit = stability_limits(method).real
    if limit < math.inf:
        assert min(abs(curve + limit).min() for curve in curves) < 0.05


@pytest.mark.parametrize("points", [8, 15, 100])
@pytest.mark.parametrize("method", ["heun3", "rk4", "dopri5", "tsit5"])
def test_no_root_is_lost_or_taken_twice_by_the_boundary(method, points):
    """As many distinct points as angles and branches, however far roots move from one angle to the next."""
    found = np.concatenate([curve[:-1] for curve in stability_boundary(method, points)])
    degree = 6 if TABLEAUX[method].order == 5 else TABLEAUX[method].order
    apart = abs(found[:, None] - found) + np.eye(len(found))
    assert len(found) % degree == 0 and len(found) >= points * degree and apart.min() > 1e-6


def test_boundaries_in_closed_form():
    (circle,) = stability_boundary("euler")
    np.testing.assert_allclose(abs(circle + 1), 1, rtol=1e-12)
    (axis,) = stability_boundary("trapezoid")
    np.testing.assert_allclose(axis.real[np.isfinite(axis)], 0, atol=1e-9)
    assert np.isnan(axis).any()  # it goes through infinity
    (locus,) = stability_boundary("ab2")
    assert locus[abs(locus + 1).argmin()] == pytest.approx(-1, abs=1e-2)
    # backward differentiation of order two, whose locus stays on the right: A-stable
    (bdf2,) = stability_boundary(((1.5, -2.0, 0.5), (1.0, 0.0, 0.0)))
    assert bdf2.real.min() > -1e-12
    curve = stability_boundary("rk4")
    curve[0][:] = 0
    assert abs(stability_boundary("rk4")[0]).max() > 1  # what a caller does to it does not come back


@pytest.mark.parametrize("order", range(1, 9))
def test_backward_differentiation_is_zero_stable_up_to_order_six(order):
    """ρ(ζ) = Σ_j (1/j) ζ^(k−j) (ζ − 1)^j (Hairer, Nørsett & Wanner 1993, III.3)."""
    rho = sum(np.polymul(np.poly([0] * (order - j)), np.poly([1] * j)) / j for j in range(1, order + 1))
    assert satisfies_root_condition(rho) == (order <= 6)


def test_the_root_condition():
    assert satisfies_root_condition([1, 0, -1])  # ±1, each simple
    assert not satisfies_root_condition([1, -2, 1])  # 1 twice
    assert not satisfies_root_condition([1, -2.0001, 1.0001])
    assert satisfies_root_condition([1, 0, 0]) and satisfies_root_condition([1, -1j])
    assert not satisfies_root_condition([1, -1.01])
    assert amplification(((1.0, -1.0), (1.0, 0.0)), -3.0) == pytest.approx(1 / 4)  # implicit Euler, too
    for polynomial in ([1], [0, 1], [[1, 2]]):
        with pytest.raises(ValueError, match="polynomial must hold"):
            satisfies_root_condition(polynomial)


@pytest.mark.parametrize(
    ("method", "real", "imaginary"),
    [
        ("ab2", 1.0, 0.0),
        (((1, -1, 0, 0), (0, 23 / 12, -16 / 12, 5 / 12)), 6 / 11, 0.7236),  # Adams–Bashforth of order 3
        (((1, 0, -1), (0, 2, 0)), 0.0, 1.0),  # the two-step midpoint rule
        (((1, -1), (0, 1)), *stability_limits("euler")),
        (((1, -1), (0.5, 0.5)), *stability_limits("trapezoid")),
        (((1.5, -2, 0.5), (1, 0, 0)), math.inf, math.inf),  # BDF2
        (((11 / 6, -3, 1.5, -1 / 3), (1, 0, 0, 0)), math.inf, 0.0),  # BDF3
    ],
)  # fmt: skip
def test_stability_limits_of_multistep_methods(method, real, imaginary):
    limits = stability_limits(method)
    assert limits == pytest.approx((real, imaginary), abs=1e-4)
    for limit, axis in zip(limits, (-1, 1j), strict=True):
        if 0 < limit < math.inf:
            assert amplification(method, axis * limit * 0.999) <= 1 + 1e-9
            assert amplification(method, axis * limit * 1.001) > 1


def test_a_and_l_stability_of_multistep_methods():
    bdf = {k: (np.array(bdf_rho), np.eye(k + 1)[0]) for k, bdf_rho in enumerate(
        ([1, -1], [1.5, -2, 0.5], [11 / 6, -3, 1.5, -1 / 3]), 1)}  # fmt: skip
    assert [is_a_stable(bdf[k]) for k in (1, 2, 3)] == [is_l_stable(bdf[k]) for k in (1, 2, 3)] == [True, True, False]
    trapezoid = ((1, -1), (0.5, 0.5))
    assert is_a_stable(trapezoid) and not is_l_stable(trapezoid)
    assert not is_a_stable("ab2") and not is_l_stable("ab2")


def test_real_limit_of_ab2():
    assert amplification("ab2", -1) == pytest.approx(1, abs=1e-12)
    assert amplification("ab2", -0.999) < 1 < amplification("ab2", -1.001)


def test_ab2_amplification_is_what_its_recursion_does():
    for z in (-0.5, -0.95, -1.2):
        t = torch.arange(62, dtype=torch.float64)
        y = odeint(lambda t, y, z=z: z * y, torch.ones(1).double(), t, method="ab2", options={"grid": "t"})[:, 0]
        # far along, only the largest root of the recursion is left
        assert abs(y[61] / y[60]).item() == pytest.approx(amplification("ab2", z).item(), rel=1e-2)


def test_regions():
    real, imaginary = np.linspace(-3, 3, 13), np.linspace(-2, 2, 9)
    region = stability_region("euler", real, imaginary)
    assert region.shape == (9, 13)
    z = real[None] + 1j * imaginary[:, None]
    assert (region == (abs(1 + z) <= 1 + 1e-12)).all()
    assert (stability_region("trapezoid", real, imaginary) == (z.real <= 0)).all()
    assert set(METHODS) == set(TABLEAUX) | set(CHARACTERISTIC) | set(symplectic.METHODS)


def test_observed_order_is_the_slope():
    steps = [10, 20, 40, 80]
    assert observed_order(steps, [3.0 * n**-2.5 for n in steps]) == pytest.approx(2.5, abs=1e-12)


@pytest.mark.parametrize(
    ("steps", "errors", "words"),
    [([1], [0.1], "≥ 2 distinct"), ([1, 2], [0.1], "one length"), ([1, 2], [0.1, 0.0], "errors must be positive"),
     ([0, 2], [0.1, 0.1], "steps must be positive"), ([1, 2], [0.1, float("nan")], "errors must be positive")],
)  # fmt: skip
def test_observed_order_refuses_what_has_no_slope(steps, errors, words):
    with pytest.raises(ValueError, match=words):
        observed_order(steps, errors)


def test_unknown_methods():
    with pytest.raises(ValueError, match="euler.*ab2.*got 'leapfog'"):
        amplification("leapfog", 0.1)
    with pytest.raises(ValueError, match="got 'ab2'"):
        stability_function("ab2")
    with pytest.raises(ValueError, match="got 'leapfrog'"):
        stability_boundary("leapfrog")
    with pytest.raises(ValueError, match="two polynomials of one length"):
        amplification(((1.0, -1.0), (1.0,)), 0.1)
    with pytest.raises(ValueError, match="points must be an integer ≥ 8; got 3"):
        stability_boundary("rk4", 3)


# --- growth -------------------------------------------------------------------------------------------------------

SHEAR = torch.tensor([[-1.0, 10.0], [0.0, -1.0]], dtype=torch.float64)


def test_transient_growth_of_a_shear():
    """e^{tA} = e^{−t} [[1, 10t], [0, 1]]: its norm in closed form, 3.716 at most, though the abscissa is −1."""
    t = torch.linspace(0, 5, 5001, dtype=torch.float64)
    growth = transient_growth(SHEAR, t)
    torch.testing.assert_close(growth, torch.exp(-t) * (5 * t + torch.sqrt(1 + 25 * t**2)), atol=1e-12, rtol=1e-12)
    assert (growth.max().item(), t[growth.argmax()].item()) == pytest.approx((3.716, 0.98), abs=2e-3)
    assert spectral_abscissa(SHEAR).item() == pytest.approx(-1, abs=1e-7)
    # the slope at 0 is the log-norm, here −1 + 10/2
    assert log_norm(SHEAR).item() == pytest.approx(4, abs=1e-12) == numerical_abscissa(SHEAR).item()
    assert (transient_growth(SHEAR, 1e-6).item() - 1) / 1e-6 == pytest.approx(4, abs=1e-3)
    assert transient_growth(torch.stack([SHEAR, -SHEAR]), t[:3]).shape == (2, 3)


@pytest.mark.parametrize("norm", [1, 2, "inf"])
def test_log_norms_are_the_limit_that_defines_them_and_bound_the_flow(norm):
    draw = torch.Generator().manual_seed(0)
    real = torch.randn(5, 4, 4, dtype=torch.float64, generator=draw)
    matrices = torch.complex(real, torch.randn(5, 4, 4, dtype=torch.float64, generator=draw))
    order, h = float(norm), 1e-7
    for a in (real, matrices):
        limit = (torch.linalg.matrix_norm(torch.eye(4) + h * a, ord=order) - 1) / h
        mu = log_norm(a, norm)
        torch.testing.assert_close(mu, limit, atol=1e-5, rtol=0)
        assert (spectral_abscissa(a) <= mu + 1e-12).all()
        flow = torch.linalg.matrix_norm(torch.linalg.matrix_exp(a), ord=order)
        assert (flow <= torch.exp(mu) * (1 + 1e-12)).all()
    assert log_norm(SHEAR - SHEAR.T, norm).item() == (0.0 if norm == 2 else 10.0)


def test_jacobian_of_a_field():
    y = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = field_jacobian(lambda t, y: torch.tanh(y @ weight.T) + t, y, t=2.0)
    torch.testing.assert_close(found, (1 - torch.tanh(y @ weight.T) ** 2)[..., None] * weight, atol=1e-14, rtol=0)
    assert field_jacobian(lambda t, y: torch.ones_like(y), y).abs().max() == 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: log_norm([[1.0]]), TypeError, "matrix must be a tensor of floats; got list"),
        (lambda: spectral_abscissa(torch.ones(2, 3)), ValueError, r"shape \(..., n, n\); got \(2, 3\)"),
        (lambda: transient_growth(SHEAR, torch.ones(2, 2)), ValueError, r"t must be a number or a tensor"),
        (lambda: numerical_abscissa(lambda t, y: -y), TypeError, "matrix must be a tensor of floats; got function"),
        (lambda: log_norm(SHEAR, 3), ValueError, "norm must be 1, 2 or 'inf'; got 3"),
        (lambda: field_jacobian(lambda t, y: y[:1], torch.ones(2)), ValueError, r"shape of y, \(2,\); got \(1,\)"),
        (lambda: lyapunov_exponents(lambda t, y: y, torch.ones(2), duration=1, step_size=0.1, count=3), ValueError,
         "count must lie in 1 … 2"),
        (lambda: lyapunov_exponents(lambda t, y: y, torch.ones(2), duration=-1, step_size=0.1), ValueError,
         "duration must be positive"),
        (lambda: lyapunov_exponents(lambda t, y: y, torch.ones(2), duration=1, step_size=0.1, warm_up=-1), ValueError,
         "warm_up must not be negative"),
    ],
)  # fmt: skip
def test_malformed_questions(call, error, words):
    with pytest.raises(error, match=words):
        call()


# --- Lyapunov exponents -------------------------------------------------------------------------------------------


def test_exponents_of_a_linear_system_are_those_of_the_method():
    """Once the tangents have settled on the eigenvectors, h times an exponent is log |R(hλ)|, without statistics."""
    draw = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=draw))[0]
    rates, h = torch.tensor([1.0, -2.0, -6.0], dtype=torch.float64), 0.05
    matrix = turn @ torch.diag(rates) @ turn.T
    found = lyapunov_exponents(lambda t, y: y @ matrix.T, torch.zeros(3).double(), duration=2, step_size=h, warm_up=15)
    expected = np.log(abs(stability_function("rk4")(h * rates.numpy()))) / h
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_allclose(found, rates, atol=1e-3)


def test_exponents_of_the_lorenz_system():
    """0.906, 0, −14.57 (Sprott 2003, Chaos and Time-Series Analysis); their sum is the divergence, −41/3, exactly."""

    def lorenz(t, y):
        a, b, c = y.unbind(-1)
        return torch.stack([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c], -1)

    # 512 trajectories over 20 time units leave a standard error of 0.003
    starts = torch.randn(512, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 5
    starts[:, 2] += 25
    found = lyapunov_exponents(lorenz, starts, duration=20, step_size=0.02, warm_up=10)
    torch.testing.assert_close(found.sum(-1), torch.full((512,), -41 / 3).double(), atol=3e-3, rtol=0)
    np.testing.assert_allclose(found.mean(0), [0.906, 0.0, -14.572], atol=0.015)
    assert lyapunov_exponents(lorenz, starts[0], duration=1, step_size=0.02, count=1).shape == (1,)
