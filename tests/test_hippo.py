"""HiPPO memories and the discretisation of linear systems, against quadrature, SciPy and closed forms."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch

from helpers.layers import diagonal_poles, discretize, hippo, hippo_memory, legendre, project

from .support import DEVICES, DTYPES

expm1 = import_module("helpers.layers.discretize").expm1


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def draw(*shape, seed=0, complex=False):
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(*shape, generator=g)
    return torch.complex(z, torch.randn(*shape, generator=g)) if complex else z


def far(x, y):
    return ((x - y).abs().max() / y.abs().max()).item()


def by_quadrature(u, n):
    """Coefficients of the step function u, from numpy's Legendre polynomials at Gauss points of every cell."""
    z, w = np.polynomial.legendre.leggauss(n)
    cells = (z[None] + 2 * np.arange(len(u))[:, None] + 1) / len(u) - 1
    values = np.polynomial.legendre.legvander(cells.ravel(), n - 1) * np.sqrt(2 * np.arange(n) + 1)
    return torch.from_numpy(values.T @ (u.numpy()[:, None] * w[None] / (2 * len(u))).ravel())


# --- the matrices -------------------------------------------------------------------------------------------------


def test_legs_has_the_eigenvalues_minus_one_to_minus_n():
    found = np.sort(np.linalg.eigvals(hippo("legs", 8).A.numpy()))
    np.testing.assert_allclose(found, -np.arange(8, 0, -1), atol=1e-9)


def test_the_matrices_of_three_coefficients_are_those_of_the_paper():
    A, B, _ = hippo("legs", 3)
    three, five, fifteen = math.sqrt(3), math.sqrt(5), math.sqrt(15)
    torch.testing.assert_close(A, -torch.tensor([[1.0, 0, 0], [three, 2, 0], [five, fifteen, 3]]))
    torch.testing.assert_close(B, torch.tensor([1, three, five]))
    A, _, _ = hippo("legt", 3)
    expected = [[1.0, -three, five], [three, 3, -fifteen], [five, fifteen, 5]]
    torch.testing.assert_close(A, -torch.tensor(expected))


@pytest.mark.parametrize("measure, shift", [("legs", -0.5), ("legt", 0.0)])
def test_without_the_low_rank_term_it_is_a_shift_plus_a_skew_symmetric_matrix(measure, shift):
    memory = hippo(measure, 12)
    skew = memory.normal - shift * torch.eye(12)
    torch.testing.assert_close(skew, -skew.T, atol=1e-12, rtol=0)
    assert memory.P.shape == (12, {"legs": 1, "legt": 2}[measure])


@pytest.mark.parametrize("measure", ["legs", "legt"])
def test_a_constant_input_is_a_fixed_point(measure):
    A, B, _ = hippo(measure, 9)
    assert (A[:, 0] + B).abs().max() < 1e-13


@pytest.mark.parametrize("measure, shift", [("legs", -0.5), ("legt", 0.0)])
def test_the_diagonal_form_answers_a_frequency_as_the_normal_part_does(measure, shift):
    memory = hippo(measure, 12)
    poles, b = memory.diagonal()
    theirs = np.sort(np.linalg.eigvals(memory.normal.numpy()).imag)[6:]
    np.testing.assert_allclose(poles.imag, theirs, atol=1e-10)
    assert (poles.real - shift).abs().max() < 1e-12
    at, B = 0.7j, memory.B.to(torch.complex128)
    full = B @ torch.linalg.solve(at * torch.eye(12) - memory.normal, B)
    assert abs(full - (b.abs() ** 2 * (1 / (at - poles) + 1 / (at - poles.conj()))).sum()) < 1e-9


@pytest.mark.parametrize("n", [16, 64, 256])
def test_the_largest_frequency_of_the_normal_part_is_n_squared_over_pi(n):
    assert abs(hippo("legs", n).diagonal()[0].imag[-1].item() * math.pi / n**2 - 1) < 0.01


def test_the_initial_poles_of_s4d():
    poles, b = diagonal_poles("lin", 6)
    torch.testing.assert_close(poles, -0.5 + 1j * math.pi * torch.arange(3))
    assert torch.equal(b, torch.ones_like(poles))
    poles, _ = diagonal_poles("inv", 4)
    torch.testing.assert_close(poles.imag, 4 / math.pi * torch.tensor([3.0, 1 / 3]))
    assert all(torch.equal(x, y) for x, y in zip(diagonal_poles("legs", 6), hippo("legs", 6).diagonal(), strict=True))


# --- memories -----------------------------------------------------------------------------------------------------


def test_legendre_is_orthonormal():
    z, w = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(12))
    values = legendre(9, z)
    torch.testing.assert_close(values * w / 2 @ values.T, torch.eye(9), atol=1e-13, rtol=0)
    assert torch.equal(legendre(1, z), torch.ones(1, 12))


@pytest.mark.parametrize("length", [1, 2, 40])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_the_projection_is_the_integral(length, n):
    u = draw(length)
    assert (project(u, n) - by_quadrature(u, n)).abs().max() < 1e-12


@pytest.mark.parametrize("n", [1, 2, 16])
def test_the_legs_state_is_the_projection_of_the_held_samples_after_each_of_them(n):
    u = draw(300, seed=1)
    states = hippo_memory("legs", u, n)
    assert states.shape == (300, n)
    for k in (1, 2, 3, 100, 257, 258, 300):
        assert (states[k - 1] - by_quadrature(u[:k], n)).abs().max() < 1e-10, k


def test_other_rules_are_not_exact():
    u = draw(300, seed=1)
    exact = by_quadrature(u, 16)
    errors = [far(hippo_memory("legs", u, 16, method=method)[-1], exact) for method in ("bilinear", "euler")]
    assert 1e-6 < errors[0] < errors[1]


def test_samples_held_twice_as_long_leave_the_same_memory():
    u = draw(200, seed=2)
    slow = u.repeat_interleave(2)
    assert far(hippo_memory("legs", slow, 12)[1::2], hippo_memory("legs", u, 12)) < 1e-10
    once, twice = (hippo_memory("legt", z, 12, window=60.0)[-1] for z in (u, slow))
    assert far(twice, once) > 0.1


def test_legt_remembers_its_window_and_forgets_what_is_older():
    t = torch.arange(400.0)
    u = torch.where(t < 200, draw(400, seed=3), torch.sin(t / 25))
    within = hippo_memory("legt", u, 24, window=100.0)[-1]
    assert far(within, by_quadrature(u[-100:], 24)) < 0.02


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("measure, window", [("legs", None), ("legt", 5.0)])
def test_a_memory_keeps_dtype_and_device(measure, window, dtype, device):
    u = draw(9).to(device, dtype)
    states = hippo_memory(measure, u, 4, window=window)
    assert (states.dtype, states.device, tuple(states.shape)) == (dtype, u.device, (9, 4))
    exact = hippo_memory(measure, u.double(), 4, window=window)
    assert far(states.double(), exact) < 1e-5


# --- discretisation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["zoh", "bilinear", "euler"])
def test_a_dense_system_is_discretised_as_scipy_does(method):
    A, B, _ = hippo("legs", 5)
    theirs = scipy.signal.cont2discrete((A.numpy(), B.numpy()[:, None], np.eye(5), np.zeros((5, 1))), 0.3, method)
    ours = discretize(A, B, 0.3, method)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-13)
    np.testing.assert_allclose(ours[1], theirs[1][:, 0], atol=1e-13)


@pytest.mark.parametrize("method", ["zoh", "bilinear", "euler"])
def test_diagonal_is_dense_with_a_diagonal_matrix(method):
    A, B = draw(4, seed=1, complex=True), draw(4, seed=2, complex=True)
    full, flat = discretize(torch.diag(A), B, 0.3, method), discretize(A, B, 0.3, method)
    assert far(torch.diag(flat[0]), full[0]) < 1e-13 and far(flat[1], full[1]) < 1e-13


def test_zero_order_hold_is_the_exponential_also_where_a_is_singular():
    A, B, dt = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([0.0, 1.0]), 0.5
    A_bar, B_bar = discretize(A, B, dt)
    np.testing.assert_allclose(A_bar, scipy.linalg.expm(dt * A.numpy()), atol=1e-15)
    torch.testing.assert_close(B_bar, torch.tensor([dt**2 / 2, dt]))  # a held force moves a mass so
    assert discretize(torch.zeros(2), torch.ones(2), dt)[1].tolist() == [dt, dt]


@pytest.mark.parametrize("shape", ["dense", "diagonal"])
def test_a_tensor_of_steps(shape):
    A, B, _ = hippo("legs", 5)
    dt = torch.tensor([0.1, 0.2])
    if shape == "diagonal":
        A, dt = A.diagonal(), dt[:, None]
        B = B[None].expand(2, 5)
        A = A[None]
        both, alone = discretize(A, B, dt), discretize(A, B, 0.2)
        pairs = [(both[0][1], alone[0][0]), (both[1][1], alone[1][1])]
    else:
        both, alone = discretize(A, B, dt), discretize(A, B, 0.2)
        pairs = [(both[0][1], alone[0]), (both[1][1], alone[1])]
    assert max(far(x, y) for x, y in pairs) < 1e-14


@pytest.mark.parametrize("method, left, mean", [("zoh", 1, 2), ("bilinear", 1, 2), ("euler", 1, 1)])
def test_the_order_is_that_of_the_input_s_treatment(method, left, mean):
    # x' = −x + cos t, x(0) = 0, has x = (cos t + sin t − e^{−t}) / 2
    exact, orders = (math.cos(2) + math.sin(2) - math.exp(-2)) / 2, {}
    for kind in ("left", "mean"):
        errors = []
        for steps in (200, 400):
            h = 2 / steps
            a, b = (z.item() for z in discretize(torch.tensor([-1.0]), torch.tensor([1.0]), h, method))
            x = 0.0
            for k in range(steps):
                now, after = math.cos(k * h), math.cos((k + 1) * h)
                x = a * x + b * (now if kind == "left" else (now + after) / 2)
            errors.append(abs(x - exact))
        orders[kind] = math.log2(errors[0] / errors[1])
    assert abs(orders["left"] - left) < 0.1 and abs(orders["mean"] - mean) < 0.1


@pytest.mark.parametrize("n", [4, 16, 64])
def test_eulers_rule_is_stable_on_legs_below_two_over_n(n):
    A, B, _ = hippo("legs", n)

    def radius(dt, method):
        return discretize(A, B, dt, method)[0].diagonal().abs().max().item()  # of a triangular matrix

    assert radius(1.999 / n, "euler") < 1 < radius(2.001 / n, "euler")
    assert radius(50.0, "bilinear") < 1 and radius(50.0, "zoh") < 1


def test_expm1_has_no_cancellation_near_zero():
    z = torch.tensor([1e-9 + 1e-9j, 1e-12j, -50 + 3j, 1e-3j, 0.0 + 0j, 3.0 - 2j])
    series = z * (1 + z / 2 * (1 + z / 3 * (1 + z / 4 * (1 + z / 5 * (1 + z / 6)))))
    small = z.abs() < 2e-3
    assert ((expm1(z) - series).abs()[small] <= 1e-15 * z.abs()[small]).all()
    torch.testing.assert_close(expm1(z)[~small], torch.from_numpy(np.expm1(z[~small].numpy())), atol=0, rtol=1e-14)


@pytest.mark.parametrize("method", ["zoh", "bilinear", "euler"])
def test_the_gradient_of_the_discretisation(method):
    A = torch.cat([draw(3, seed=1, complex=True), torch.zeros(1, dtype=torch.complex128)]).requires_grad_()
    B, dt = draw(4, seed=2, complex=True).requires_grad_(), torch.full((4,), 0.3).requires_grad_()
    found = torch.autograd.grad(sum(z.abs().square().sum() for z in discretize(A, B, dt, method)), (A, B, dt))
    assert all(g.isfinite().all() for g in found)
    away = A.detach()[:3].requires_grad_()
    assert torch.autograd.gradcheck(lambda *z: discretize(*z, method), (away, B[:3], dt[:3]))


@pytest.mark.parametrize("dtype, tol", [(torch.float32, 1e-3), (torch.float64, 1e-10)], ids=str)
@pytest.mark.parametrize("z", [0.0, 1e-9, -1e-7, 1e-5, -2.9e-4, 3.1e-4, 1e-3])
def test_near_zero_the_gradient_of_the_mean_does_not_cancel(z, dtype, tol):
    """(e^z − 1)/z = Σ zᵏ/(k + 1)!, and its derivative Σ k zᵏ⁻¹/(k + 1)!, also for complex z."""
    for number in (z, 1j * z):
        kind = dtype.to_complex() if isinstance(number, complex) else dtype
        A = torch.full((1,), number, dtype=kind, requires_grad=True)
        mean = discretize(A, torch.ones_like(A), 1.0)[1]
        slope = torch.autograd.grad(mean.real.sum(), A)[0].resolve_conj().item()
        value, derivative = (
            sum(c * number**k for k, c in enumerate(series))
            for series in ([1, 1 / 2, 1 / 6, 1 / 24, 1 / 120], [1 / 2, 1 / 3, 1 / 8, 1 / 30, 1 / 144])
        )
        assert abs(mean.item() - value) <= 10 * torch.finfo(dtype).eps
        assert abs(slope - complex(derivative).conjugate()) <= tol


def test_near_zero_the_second_derivative_of_the_mean_is_one_third():
    A = torch.tensor([0.0, 1e-9]).requires_grad_()
    slope = torch.autograd.grad(discretize(A, torch.ones(2), 1.0)[1].sum(), A, create_graph=True)[0]
    second = torch.autograd.grad(slope.sum(), A)[0]
    torch.testing.assert_close(second, torch.full((2,), 1 / 3), rtol=1e-6, atol=0)


def test_the_wider_dtype_is_taken_for_a_dense_system():
    for method in ("zoh", "bilinear", "euler"):
        A_bar, B_bar = discretize(torch.eye(2).float(), torch.ones(2), 0.1, method)
        assert A_bar.dtype == B_bar.dtype == torch.float64


# --- bad input ----------------------------------------------------------------------------------------------------

REFUSED = {
    "measure unknown": (ValueError, "measure", lambda: hippo("lagt", 4)),
    "no coefficients": (ValueError, "n must", lambda: hippo("legs", 0)),
    "n not whole": (TypeError, "n must", lambda: hippo("legs", 2.5)),
    "complex matrices": (TypeError, "dtype", lambda: hippo("legs", 2, dtype=torch.complex64)),
    "dtype a word": (TypeError, "dtype", lambda: hippo("legs", 2, dtype="float64")),
    "odd diagonal": (ValueError, "n must be even", lambda: hippo("legs", 5).diagonal()),
    "memory measure": (ValueError, "measure", lambda: hippo_memory("x", torch.ones(3), 4)),
    "memory method": (ValueError, "method", lambda: hippo_memory("legs", torch.ones(1), 4, method="rk4")),
    "memory empty": (ValueError, "u must", lambda: hippo_memory("legs", torch.ones(0), 4)),
    "memory axes": (ValueError, "u must", lambda: hippo_memory("legs", torch.ones(2, 3), 4)),
    "memory integers": (TypeError, "u must", lambda: hippo_memory("legs", torch.arange(3), 4)),
    "memory n": (ValueError, "n must", lambda: hippo_memory("legs", torch.ones(3), 0)),
    "window missing": (ValueError, "window", lambda: hippo_memory("legt", torch.ones(3), 4)),
    "window negative": (ValueError, "window", lambda: hippo_memory("legt", torch.ones(3), 4, window=-1.0)),
    "window of legs": (ValueError, "window", lambda: hippo_memory("legs", torch.ones(3), 4, window=3.0)),
    "legendre n": (ValueError, "n must", lambda: legendre(0, torch.ones(3))),
    "legendre z": (TypeError, "z must", lambda: legendre(3, torch.arange(3))),
    "project n": (ValueError, "n must", lambda: project(torch.ones(3), 0)),
    "project empty": (ValueError, "u must", lambda: project(torch.ones(0), 3)),
    "method unknown": (ValueError, "method", lambda: discretize(torch.ones(2), torch.ones(2), 0.1, "foh")),
    "dt zero": (ValueError, "dt must", lambda: discretize(torch.ones(2), torch.ones(2), 0.0)),
    "dt nan": (ValueError, "dt must", lambda: discretize(torch.ones(2), torch.ones(2), math.nan)),
    "dt infinite": (ValueError, "dt must", lambda: discretize(torch.ones(2, 2), torch.ones(2), math.inf)),
    "one dt of several": (
        ValueError,
        "dt must",
        lambda: discretize(torch.ones(2), torch.ones(2), torch.tensor([0.1, -0.5])),
    ),
    "dt a word": (TypeError, "dt must", lambda: discretize(torch.ones(2), torch.ones(2), "0.1")),
    "dt none": (TypeError, "dt must", lambda: discretize(torch.ones(2), torch.ones(2), None)),
    "dt true": (TypeError, "dt must", lambda: discretize(torch.ones(2), torch.ones(2), True)),
    "dt complex": (TypeError, "dt must", lambda: discretize(torch.ones(2), torch.ones(2), torch.tensor(0.1 + 0j))),
    "more dt than A": (ValueError, "A, B and dt", lambda: discretize(torch.ones(3), torch.ones(3), torch.ones(4))),
    "more A than B": (ValueError, "A, B and dt", lambda: discretize(torch.ones(2, 3, 3), torch.ones(5, 3), 0.1)),
    "no bilinear step": (
        ValueError,
        "A must not",
        lambda: discretize(4 * torch.eye(2), torch.ones(2), 0.5, "bilinear"),
    ),
    "no diagonal bilinear step": (
        ValueError,
        "A must not",
        lambda: discretize(torch.tensor([-1.0, 4.0]), torch.ones(2), 0.5, "bilinear"),
    ),
    "not square": (ValueError, "A must", lambda: discretize(torch.ones(2, 3), torch.ones(3), 0.1)),
    "other size": (ValueError, "A must", lambda: discretize(torch.ones(2, 2), torch.ones(3), 0.1)),
    "axes": (ValueError, "A must", lambda: discretize(torch.ones(2, 2, 2), torch.ones(2), 0.1)),
    "integers": (TypeError, "A must", lambda: discretize(torch.ones(2, dtype=torch.int64), torch.ones(2), 0.1)),
    "init unknown": (ValueError, "init", lambda: diagonal_poles("random", 4)),
    "odd poles": (ValueError, "n must be even", lambda: diagonal_poles("lin", 3)),
    "no poles": (ValueError, "n must", lambda: diagonal_poles("lin", 0)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_named(case):
    kind, words, call = REFUSED[case]
    with pytest.raises(kind, match=f"{words}.*got"):
        call()
