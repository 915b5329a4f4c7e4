"""Stability functions, regions and orders against what is known in closed form."""

import math

import numpy as np
import pytest
import torch

from helpers.solvers import METHODS, odeint
from helpers.solvers.analysis import amplification, observed_order, stability_function, stability_region
from helpers.solvers.tableaux import TABLEAUX

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
        ends = [odeint(lambda t, y, m=m: m @ y, start, t, method=name, options={"num_steps": 1})[-1] for m in turn]
        steps = [complex(*end.tolist()) for end in ends]
    np.testing.assert_allclose(steps, stability_function(name)(Z), rtol=1e-9)


def real_limit(method):
    """How far the stability interval reaches along the negative real axis, by bisection."""
    inside, outside = 0.0, 100.0
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if amplification(method, -middle) <= 1 else (inside, middle)
    return inside


@pytest.mark.parametrize(
    ("method", "limit"),
    [("euler", 2.0), ("midpoint", 2.0), ("heun3", 2.5127), ("rk4", 2.7853), ("dopri5", 3.3066), ("ab2", 1.0)],
)
def test_real_stability_limits(method, limit):
    assert real_limit(method) == pytest.approx(limit, abs=1e-4)


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
    assert set(METHODS) == set(TABLEAUX) | {"ab2"}


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
