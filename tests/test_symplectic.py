"""Symplectic methods: the two-form, the way back, the energy, the stability limit, and what they refuse."""

import math

import pytest
import torch

from helpers.solvers import METHODS, odeint, symplectic
from helpers.solvers.analysis import observed_order

NAMES = list(symplectic.METHODS)
CALLS = {"symplectic_euler": 2, "symplectic_euler_adjoint": 2, "leapfrog": 2, "yoshida4": 6}
# what brings each of them back: it is its own adjoint, or the other variant is
ADJOINT = {"symplectic_euler": "symplectic_euler_adjoint", "symplectic_euler_adjoint": "symplectic_euler"}


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def pendulum(t, state):
    q, p = state
    return p, -torch.sin(q)


def coupled(t, state):
    """Two bodies on a spring, in a force and with masses that change with time; both halves depend on it."""
    q, p = state
    spring = (q[..., :1] - q[..., 1:]) ** 3
    return (p + p.flip(-1) / 3) * (1 + torch.sin(t) / 2), torch.sin(q) * torch.cos(t) + torch.cat([-spring, spring], -1)


def solve(field, q, p, end, steps, method, start=0.0, **more):
    t = tensor(start, end)
    q, p = odeint(field, (q, p), t, method=method, options={"num_steps": steps, **more.pop("options", {})}, **more)
    return q[-1], p[-1]


@pytest.mark.parametrize("method", NAMES)
def test_the_flow_keeps_the_two_form(method):
    def flow(state):
        q, p = solve(coupled, state[:2], state[2:], 2.0, 15, method)
        return torch.cat([q, p])

    jacobian = torch.autograd.functional.jacobian(flow, tensor(0.3, -0.5, 0.8, 0.1))
    omega = torch.zeros(4, 4).double()
    omega[:2, 2:], omega[2:, :2] = torch.eye(2), -torch.eye(2)
    torch.testing.assert_close(jacobian.T @ omega @ jacobian, omega, atol=1e-12, rtol=0)
    assert (jacobian.T @ jacobian - torch.eye(4)).abs().max() > 0.1  # symplectic, and no rotation


@pytest.mark.parametrize("field", [pendulum, coupled])
@pytest.mark.parametrize("method", NAMES)
def test_back_again_to_rounding(method, field):
    q, p = tensor(0.3, -0.5), tensor(0.8, 0.1)
    there = solve(field, q, p, 3.0, 60, method)
    back = solve(field, *there, 0.0, 60, ADJOINT.get(method, method), start=3.0)
    for found, expected in zip(back, (q, p), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)
    if method in ADJOINT:
        itself = solve(field, *there, 0.0, 60, method, start=3.0)
        assert (itself[0] - q).abs().max() > 1e-4


@pytest.mark.parametrize("method", NAMES)
def test_order_also_where_the_field_depends_on_time(method):
    q, p = tensor(0.3, -0.5), tensor(0.8, 0.1)
    exact = odeint(coupled, (q, p), tensor(0.0, 2.0), rtol=1e-13, atol=1e-14)
    steps, errors = [40, 80, 160, 320], []
    for n in steps:
        ends = solve(coupled, q, p, 2.0, n, method)
        errors.append(sum((end - part[-1]).norm() ** 2 for end, part in zip(ends, exact, strict=True)).sqrt().item())
    assert observed_order(steps, errors) == pytest.approx(symplectic.METHODS[method].order, abs=0.1)


@pytest.mark.parametrize("method", NAMES)
def test_energy_stays_near_its_value_for_ten_thousand_steps(method):
    h, steps = 0.1, 10_000
    t = torch.arange(0, steps + 1, 10, dtype=torch.float64) * h
    with torch.no_grad():
        q, p = odeint(pendulum, (tensor(1.0), tensor(0.0)), t, method=method, options={"step_size": h})
    energy = (p**2 / 2 - torch.cos(q))[:, 0]
    drift = (energy - energy[0]).abs()
    # bounded by a multiple of h^order, and no larger in the last tenth than in the first
    assert drift.max() < h ** symplectic.METHODS[method].order
    assert drift[-100:].max() < 1.05 * drift[:100].max()


@pytest.mark.parametrize(("product", "bounded"), [(1.99, True), (2.01, False)])
def test_leapfrog_is_bounded_up_to_h_omega_two(product, bounded):
    """q'' = −ω² q; the limit of Störmer–Verlet (Hairer, Lubich & Wanner 2006, I.5)."""
    t = torch.arange(0, 2001, dtype=torch.float64)
    with torch.no_grad():
        q, _ = odeint(lambda t, s: (s[1], -(product**2) * s[0]), (tensor(1.0), tensor(0.0)), t, method="leapfrog",
                      options={"grid": "t"})  # fmt: skip
    # from rest, q_n = cos(nθ) with cos θ = 1 − (hω)²/2
    assert (q.abs().max() <= 1 + 1e-9) if bounded else (q.abs().max() > 1e80)


def test_one_step_by_hand():
    q, p, h = 0.4, 0.7, 0.2
    kick = p - h * math.sin(q)
    euler = solve(pendulum, tensor(q), tensor(p), h, 1, "symplectic_euler")
    assert [x.item() for x in euler] == pytest.approx([q + h * kick, kick], abs=1e-15)
    drift = q + h * p
    adjoint = solve(pendulum, tensor(q), tensor(p), h, 1, "symplectic_euler_adjoint")
    assert [x.item() for x in adjoint] == pytest.approx([drift, p - h * math.sin(drift)], abs=1e-15)
    half = p - h / 2 * math.sin(q)
    place = q + h * half
    leapfrog = solve(pendulum, tensor(q), tensor(p), h, 1, "leapfrog")
    assert [x.item() for x in leapfrog] == pytest.approx([place, half - h / 2 * math.sin(place)], abs=1e-15)


@pytest.mark.parametrize("method", NAMES)
def test_yoshida_is_three_leapfrogs_and_calls_are_counted(method):
    calls = []
    solve(lambda t, s: calls.append(t) or pendulum(t, s), tensor(0.4), tensor(0.7), 1.0, 10, method)
    # beside the substeps, the look that proves the field separable, and the first slope
    assert len(calls) == 10 * CALLS[method] + (2 if METHODS[method].begins_as_it_ends else 1)
    if method == "yoshida4":
        g, state = 1 / (2 - 2 ** (1 / 3)), (tensor(0.4), tensor(0.7))
        for length in (g, 1 - 2 * g, g):
            state = solve(pendulum, *state, 0.1 * length, 1, "leapfrog")
        whole = solve(pendulum, tensor(0.4), tensor(0.7), 0.1, 1, "yoshida4")
        torch.testing.assert_close(torch.cat(whole), torch.cat(state), atol=1e-15, rtol=0)


# --- gradients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint"])
@pytest.mark.parametrize("method", NAMES)
def test_gradients(method, gradient):
    weight = torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    q, p = tensor(0.3, -0.5).requires_grad_(), tensor(0.8, 0.1).requires_grad_()

    def ends(q, p, weight):
        field = lambda t, s: (torch.tanh(s[1] @ weight), -torch.sin(s[0]))  # noqa: E731
        return odeint(field, (q, p), tensor(0.0, 0.3, 1.0), method=method, options={"num_steps": 5}, gradient=gradient)

    assert torch.autograd.gradcheck(ends, (q, p, weight), eps=1e-6, atol=1e-8)
    assert torch.autograd.gradgradcheck(ends, (q, p, weight), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("gradient", "words"),
    [
        ("reversible", "takes Runge–Kutta methods.*'leapfrog'.*'checkpoint'"),
        ("adjoint", "explicit one-step methods; got 'leapfrog'"),
    ],
)
def test_gradients_that_they_do_not_have(gradient, words):
    with pytest.raises(ValueError, match=words):
        solve(pendulum, tensor(0.3).requires_grad_(), tensor(0.8), 1.0, 5, "leapfrog", gradient=gradient)


# --- states and fields --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_states_of_any_shape_and_dtype(shape, dtype):
    q, p = torch.full(shape, 0.4, dtype=dtype), torch.full(shape, 0.7, dtype=dtype)
    found = odeint(pendulum, (q, p), torch.tensor([0.0, 0.5, 1.0]), method="leapfrog", options={"step_size": 0.1})
    single = odeint(pendulum, (q.new_full((1,), 0.4), p.new_full((1,), 0.7)), torch.tensor([0.0, 0.5, 1.0]),
                    method="leapfrog", options={"step_size": 0.1})  # fmt: skip
    for part, one in zip(found, single, strict=True):
        assert part.shape == (3, *shape) and part.dtype == dtype
        torch.testing.assert_close(part, one.reshape(3, *[1] * len(shape)).expand(3, *shape))


@pytest.mark.parametrize(
    ("y0", "error", "words"),
    [
        (tensor(1.0, 2.0), TypeError, r"y0 must be a tuple \(q, p\).*'leapfrog'; got Tensor"),
        ((tensor(1.0),), TypeError, r"y0 must be a tuple \(q, p\).*; got a tuple of 1"),
        ((tensor(1.0), tensor(1.0), tensor(1.0)), TypeError, r"got a tuple of 3"),
        ((tensor(1.0), tensor(1.0, 2.0)), ValueError, r"q and p of one shape.*got \(1,\) and \(2,\)"),
        ((tensor(1.0), 2.0), TypeError, r"y0\[1\] must be a torch.Tensor"),
    ],
)
def test_states_that_are_no_pair(y0, error, words):
    with pytest.raises(error, match=words):
        odeint(pendulum, y0, tensor(0.0, 1.0), method="leapfrog", options={"num_steps": 2})


def hidden(field):
    """The same field where autograd does not see it."""

    def wrapped(t, state):
        with torch.no_grad():
            return field(t, state)

    return wrapped


BLOCKS = tensor([0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0])


@pytest.mark.parametrize("see", [lambda f: f, hidden])
@pytest.mark.parametrize(
    ("field", "words"),
    [
        (lambda t, s: (s[0] ** 2 * s[1], -s[0]), r"separable.*'leapfrog'.*dq moves by .* with q.*'implicit_midpoint'"),
        (lambda t, s: (s[1], -s[0] - 0.1 * s[1]), r"dp moves by .* with p"),
    ],
)
def test_fields_that_are_not_separable(field, words, see):
    """From rest, where q² p and its derivative vanish, too."""
    for p in (tensor(0.5, 0.2), tensor(0.0, 0.0)):
        with pytest.raises(ValueError, match=words):
            solve(see(field), tensor(1.0, -1.0), p, 1.0, 5, "leapfrog")


@pytest.mark.parametrize(
    "field",
    [
        hidden(pendulum),
        # autograd sees a path from each to each, and only the numbers tell
        lambda t, s: tuple((BLOCKS @ torch.cat(s)).chunk(2)),
        lambda t, s: tuple(x.detach() for x in pendulum(t, s)),
    ],
)
def test_fields_that_are_separable_though_autograd_cannot_prove_it(field):
    q, p = solve(field, tensor(1.0, -1.0), tensor(0.5, 0.2), 1.0, 5, "leapfrog")
    assert torch.isfinite(torch.cat([q, p])).all()


def test_what_the_field_returns_is_checked():
    with pytest.raises(ValueError, match=r"func must return a tuple of tensors with the shapes of y0"):
        solve(lambda t, s: s[1], tensor(1.0), tensor(0.5), 1.0, 5, "leapfrog")
