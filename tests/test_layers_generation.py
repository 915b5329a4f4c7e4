"""Layers that generate, against closed forms: flows of linear fields, Gaussian data, all permutations, finite sets."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import pytest
import torch
from torch import nn

from helpers.data import GaussianMixture
from helpers.layers import (
    CNF,
    VPSDE,
    EmpiricalVelocity,
    FlowMatching,
    Guided,
    TimeMLP,
    exact_divergence,
    generate,
    hutchinson_divergence,
    log_normal,
    paired,
    squared_norm,
    straightness,
)
from helpers.solvers import TooManyStepsError, odeint, sdeint

from .support import DEVICES, DTYPES

F32, F64 = torch.float32, torch.float64
NAN = float("nan")
RK4 = {"method": "rk4", "options": {"num_steps": 8}}
A = torch.tensor([[0.3, -0.8, 0.1], [0.5, -0.2, 0.4], [-0.3, 0.2, 0.6]], dtype=F64)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(F64)
    torch.manual_seed(5)
    yield
    torch.set_default_dtype(F32)


def normal(*shape, seed=0, dtype=F64):
    return torch.randn(*shape, generator=seeded(seed), dtype=F64).to(dtype)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    """x' = A x, and how often that was asked for."""

    def __init__(self, matrix=A):
        super().__init__()
        self.matrix, self.calls = nn.Parameter(matrix.clone()), 0

    def forward(self, t, x):
        self.calls += 1
        return x @ self.matrix.T


class Field(nn.Module):
    """A function of t and x as a module without weights."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, t, x):
        return self.function(t, x)


def net(features=2, **more):
    torch.manual_seed(1)
    return TimeMLP(features, 8, 2, activation=nn.Tanh, **more)


def vector(parameters):
    return torch.cat([p.flatten() for p in parameters])


# --- traces -------------------------------------------------------------------------------------------------------


def jacobian_trace(field, t, x):
    jacobians = [torch.autograd.functional.jacobian(lambda y: field(t, y), row) for row in x.reshape(-1, x.shape[-1])]
    return torch.stack([j.trace() for j in jacobians]).reshape(x.shape[:-1])


@pytest.mark.parametrize("shape", [(3,), (1, 3), (4, 3), (2, 4, 3)], ids=str)
def test_the_exact_trace_is_that_of_the_jacobian(shape):
    field, x = net(3), normal(*shape)
    value, trace = exact_divergence(field, 0.4, x)
    torch.testing.assert_close(value, field(0.4, x))
    torch.testing.assert_close(trace, jacobian_trace(field, 0.4, x))


def test_hutchinson_is_the_quadratic_form():
    x, probes = normal(5, 3), normal(7, 5, 3, seed=1)
    value, estimate = hutchinson_divergence(Linear(), 0.0, x, probes)
    torch.testing.assert_close(value, x @ A.T)
    torch.testing.assert_close(estimate, torch.einsum("kni,ij,knj->n", probes, A, probes) / 7)


@pytest.mark.parametrize("noise", ["gaussian", "rademacher"])
def test_hutchinson_is_unbiased_and_of_known_variance(noise):
    """2 ‖S‖² for Gaussian probes, without the diagonal of S for Rademacher's; S = (A + Aᵀ) / 2."""
    n, s = 200_000, (A + A.T) / 2
    probes = normal(1, n, 3, seed=2)
    probes = probes.sign() if noise == "rademacher" else probes
    found = hutchinson_divergence(Linear(), 0.0, torch.zeros(n, 3), probes)[1].detach()
    off = s if noise == "gaussian" else s - torch.diag(s.diagonal())
    variance = 2 * off.square().sum()
    assert abs(found.mean() - A.trace()) < 5 * (variance / n).sqrt()
    assert (found.var() / variance).item() == pytest.approx(1, abs=0.03)


def test_rademacher_is_exact_where_the_jacobian_is_diagonal():
    x = normal(6, 3)
    found = hutchinson_divergence(lambda t, y: y.sin(), 0.0, x, normal(2, 6, 3, seed=1).sign())[1]
    torch.testing.assert_close(found, x.cos().sum(-1))


def estimators(x):
    probes = normal(1, *x.shape, seed=3)
    return exact_divergence, lambda field, t, y: hutchinson_divergence(field, t, y, probes)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_trace_is_the_same_and_has_no_graph(mode):
    field, x = net(), normal(4, 2)
    for divergence in estimators(x):
        expected = divergence(field, 0.3, x)
        with mode():
            inside = divergence(field, torch.tensor(0.3), x + 0)
            probes = torch.ones(1, 4, 2)
            assert hutchinson_divergence(field, 0.3, x, probes)[1].isfinite().all()
        for found, wanted in zip(inside, expected, strict=True):
            assert not found.requires_grad
            torch.testing.assert_close(found, wanted.detach())


def test_the_trace_can_be_differentiated_twice():
    x = normal(3, 2).requires_grad_()
    for divergence in estimators(x):
        assert torch.autograd.gradcheck(lambda y, f=divergence: f(net(), 0.3, y), x)
        assert torch.autograd.gradgradcheck(lambda y, f=divergence: f(net(), 0.3, y)[1], x)
    assert x.grad is None


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("kind", ["constant", "weight"])
def test_a_field_that_ignores_x_has_no_trace(kind, grad):
    w = torch.ones(2, requires_grad=kind == "weight")
    x = normal(4, 2)
    for divergence in estimators(x):
        with torch.set_grad_enabled(grad):
            value, trace = divergence(lambda t, y: w.expand_as(y), 0.0, x)
        assert torch.equal(trace, torch.zeros(4)) and torch.equal(value, torch.ones(4, 2))


# --- CNF ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("horizon", [1.0, 0.4])
def test_the_flow_of_a_linear_field(horizon, dtype, device):
    """Its end is N(0, E Eᵀ), E = exp(T A)."""
    cnf = CNF(Linear(), 3, horizon=horizon).to(device, dtype)
    x, E = normal(5, 3, dtype=dtype).to(device), torch.linalg.matrix_exp(horizon * A)
    law = torch.distributions.MultivariateNormal(torch.zeros(3), E @ E.T)
    found, close = cnf.log_prob(x), {"rtol": 0, "atol": 1e-4 if dtype == F32 else 1e-6}
    assert found.dtype == dtype and found.device == x.device
    torch.testing.assert_close(found.cpu().double(), law.log_prob(x.cpu().double()), **close)
    end, change = cnf.transport(x)
    torch.testing.assert_close(end.cpu().double(), x.cpu().double() @ E.T, **close)
    torch.testing.assert_close(change.cpu().double(), torch.full((5,), torch.linalg.slogdet(E)[1].item()), **close)
    samples, log_p = cnf.sample(4, generator=seeded())
    assert samples.dtype == dtype and samples.device == x.device
    torch.testing.assert_close(log_p.cpu().double(), law.log_prob(samples.cpu().double()), **close)


def test_hutchinsons_flow_of_a_diagonal_field_is_exact():
    field, x = Linear(torch.diag(A.diagonal())), normal(5, 3)
    torch.testing.assert_close(
        CNF(field, 3, trace="hutchinson").log_prob(x), CNF(field, 3).log_prob(x), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
def test_samples_have_the_density_that_is_found_on_the_way_back(trace):
    cnf = CNF(net(), 2, trace=trace, rtol=1e-9, atol=1e-9)
    x, log_p = cnf.sample(6, generator=seeded(4))
    if trace == "exact":
        torch.testing.assert_close(cnf.log_prob(x), log_p, rtol=0, atol=1e-7)
    z, change = cnf.transport(cnf.transport(x, generator=seeded(1))[0], reverse=True, generator=seeded(1))
    torch.testing.assert_close(z, x, rtol=0, atol=1e-7)
    there = cnf.transport(x, generator=seeded(1))[1]
    torch.testing.assert_close(there, -change, rtol=0, atol=1e-7)


def test_the_density_is_of_mass_one():
    axis = torch.linspace(-7, 7, 61)
    with torch.no_grad():
        p = CNF(net(), 2, **RK4).log_prob(torch.cartesian_prod(axis, axis)).exp()
    assert p.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-4)


def test_hutchinson_draws_once_a_solve():
    cnf, x = CNF(net(), 2, trace="hutchinson", probes=3, **RK4), normal(5, 2)
    first = cnf.log_prob(x, generator=seeded(1))
    assert torch.equal(first, cnf.log_prob(x, generator=seeded(1)))
    assert not torch.equal(first, cnf.log_prob(x, generator=seeded(2)))
    finer = CNF(cnf.field, 2, trace="hutchinson", probes=3, method="rk4", options={"num_steps": 16})
    torch.testing.assert_close(finer.log_prob(x, generator=seeded(1)), first, rtol=0, atol=1e-4)
    draw, expected = seeded(1), seeded(1)
    cnf.log_prob(x, generator=draw)
    torch.randn(3, 5, 2, generator=expected)
    assert torch.equal(draw.get_state(), expected.get_state())


@pytest.mark.parametrize("noise", ["rademacher", "gaussian"])
def test_hutchinsons_log_density_is_right_on_average(noise):
    """For a linear field the path does not depend on the noise, and the estimate is linear in the trace."""
    cnf, x = CNF(Linear(), 3, trace="hutchinson", noise=noise, **RK4), normal(1, 3).expand(20_000, 3)
    found, exact = cnf.log_prob(x, generator=seeded()), CNF(Linear(), 3, **RK4).log_prob(x[:1])
    assert abs(found.mean() - exact) < 5 * found.std() / len(x) ** 0.5
    more = CNF(Linear(), 3, trace="hutchinson", noise=noise, probes=4, **RK4).log_prob(x, generator=seeded())
    assert (found.var() / more.var()).item() == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "adjoint", "reversible"])
def test_calls_are_counted_and_those_of_a_backward_pass_are_not(gradient):
    field = Linear()
    cnf = CNF(field, 3, gradient=gradient, **RK4)
    assert cnf.nfe == 0
    log_p = cnf.log_prob(normal(4, 3))
    assert cnf.nfe == field.calls == (64 if gradient == "reversible" else 32)
    log_p.sum().backward()
    assert cnf.nfe == (64 if gradient == "reversible" else 32)
    assert copy.deepcopy(cnf).nfe == pickle.loads(pickle.dumps(cnf)).nfe == 0


def test_a_solve_that_fails_has_counted_its_calls():
    flow = CNF(Linear(), 3, options={"max_num_steps": 2})
    with pytest.raises(TooManyStepsError):
        flow.log_prob(normal(4, 3))
    assert flow.nfe == flow.field.calls > 0


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "adjoint", "reversible"])
@pytest.mark.parametrize("wanted", [True, False], ids=["x and weights", "weights"])
def test_every_gradient_is_that_of_finite_differences(wanted, gradient, trace):
    field, x = net(), normal(3, 2).requires_grad_(wanted)
    steps = {"method": "rk4", "options": {"num_steps": 30}}
    cnf = CNF(field, 2, trace=trace, gradient=gradient, **steps)
    cnf.log_prob(x, generator=seeded(1)).sum().backward()
    plain, step = CNF(field, 2, trace=trace, **steps), 1e-5
    moved = [(p, p.grad) for p in (*field.parameters(), *([x] if wanted else []))]
    directions = [normal(*p.shape, seed=k) for k, (p, _) in enumerate(moved)]
    slope = sum((g * d).sum() for (_, g), d in zip(moved, directions, strict=True)).item()
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            for (p, _), d in zip(moved, directions, strict=True):
                p += sign * step * d
            values.append(plain.log_prob(x, generator=seeded(1)).sum().item())
            for (p, _), d in zip(moved, directions, strict=True):
                p -= sign * step * d
    assert abs(slope) > 0.1 and (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_flow_without_gradients(mode, trace):
    cnf, x = CNF(net(), 2, trace=trace, **RK4), normal(4, 2)
    expected = cnf.log_prob(x, generator=seeded(1)).detach()
    with mode():
        found = cnf.log_prob(x + 0, generator=seeded(1))
        assert not found.requires_grad and cnf.sample(3)[0].shape == (3, 2)
    torch.testing.assert_close(found.clone(), expected)


def test_a_flow_of_a_guided_velocity_has_a_density():
    label = torch.tensor([0, 2, 1, 2])
    model, x = net(classes=3), normal(4, 2)
    cnf = CNF(Guided(model, label, 2.0), 2, **RK4)
    alone = [CNF(Guided(model, label[i : i + 1], 2.0), 2, **RK4).log_prob(x[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(cnf.log_prob(x), torch.cat(alone))


def test_maximum_likelihood_fits_a_scale():
    field = Linear(torch.zeros(1, 1))
    cnf, x = CNF(field, 1, **RK4), 2 * normal(500, 1)
    optimiser = torch.optim.LBFGS(field.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = -cnf(x).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    assert field.matrix.exp().item() == pytest.approx(x.square().mean().sqrt().item(), rel=1e-4)


def test_a_flow_keeps_its_weights():
    one, two = CNF(net(), 2, **RK4), CNF(TimeMLP(2, 8, 2, activation=nn.Tanh), 2, **RK4)
    x = normal(3, 2)
    two.load_state_dict(one.state_dict())
    assert torch.equal(one.log_prob(x), two.log_prob(x))
    assert "features=2" in repr(one) and "trace='exact'" in repr(one)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_log_normal(dtype):
    x = normal(4, 5, 3, dtype=dtype)
    torch.testing.assert_close(log_normal(x), torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(-1))


# --- the diffusion ------------------------------------------------------------------------------------------------


def moments(vp, t, mean, variance):
    """Of the diffusion of N(mean, variance), by solving m' = −½ β m, v' = β (1 − v)."""

    def slope(s, state):
        return torch.stack([-0.5 * vp.beta(s) * state[0], vp.beta(s) * (1 - state[1])])

    return odeint(slope, torch.tensor([mean, variance]), torch.tensor([0.0, t]), rtol=1e-10, atol=1e-12)[-1]


@pytest.mark.parametrize("t", [0.05, 0.4, 1.0])
@pytest.mark.parametrize("rates", [(0.1, 20.0), (3.0, 3.0)], ids=str)
def test_alpha_and_sigma_are_those_of_the_moments(rates, t):
    vp = VPSDE(*rates)
    mean, variance = moments(vp, t, 1.0, 0.0)
    assert vp.alpha(t).item() == pytest.approx(mean.item(), rel=1e-8)
    assert vp.sigma(t).item() ** 2 == pytest.approx(variance.item(), rel=1e-8)
    assert torch.equal(vp.alpha(torch.tensor([[t], [t]])), vp.alpha(t).expand(2, 1))


def test_sigma_keeps_its_digits_near_zero():
    assert VPSDE().sigma(1e-14).item() == pytest.approx(math.sqrt(0.1 * 1e-14), rel=1e-6)
    assert VPSDE().sigma(0).item() == 0 and VPSDE().alpha(0).item() == 1


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_noised_is_its_own_formula_in_the_dtype_of_x(dtype):
    vp, x = VPSDE(), normal(4, 2, dtype=dtype)
    for t in (0.3, torch.tensor(0.3), torch.tensor([[0.1], [0.2], [0.3], [0.4]])):
        y, noise = vp.noised(x, t, seeded(1))
        assert y.dtype == noise.dtype == dtype
        assert torch.equal(noise, torch.randn(4, 2, generator=seeded(1), dtype=dtype))
        expected = vp.alpha(t) * x.double() + vp.sigma(t) * noise.double()
        torch.testing.assert_close(y, expected.to(dtype))


def test_noised_in_float64_is_of_its_accuracy_under_another_default():
    x = normal(4, 2)
    expected = VPSDE().noised(x, 0.3, seeded())[0]
    torch.set_default_dtype(F32)
    torch.testing.assert_close(VPSDE().noised(x, 0.3, seeded())[0], expected, rtol=1e-14, atol=1e-14)


def test_euler_maruyama_has_the_marginals():
    vp, n = VPSDE(), 20_000
    end = sdeint(vp.forward_sde(), torch.full((n, 1), 2.0), [0.0, 0.3], dt=0.003, seed=0)[-1]
    sigma = vp.sigma(0.3).item()
    # a bias of the step, about 0.003, beside the standard errors
    assert abs(end.mean() - 2 * vp.alpha(0.3)) < 0.004 + 5 * sigma / n**0.5
    assert abs(end.std() - sigma) < 0.004 + 5 * sigma / (2 * n) ** 0.5


class GaussianScore:
    """Of the diffusion of N(1, 0.25)."""

    vp = VPSDE()

    def law(self, t):
        return self.vp.alpha(t), self.vp.alpha(t) ** 2 * 0.25 + self.vp.sigma(t) ** 2

    def __call__(self, t, x):
        mean, variance = self.law(t)
        return (mean - x) / variance


def test_the_probability_flow_keeps_gaussian_data():
    """It carries mean + z std to mean + z std, at every time."""
    score, z = GaussianScore(), torch.tensor([[-1.5], [0.0], [2.0]])
    times = torch.tensor([1.0, 0.7, 0.3, 0.1, 0.0])
    mean, variance = score.law(times[:, None, None])
    expected = mean + z * variance.sqrt()
    found = odeint(score.vp.probability_flow(score), expected[0], times, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)


def test_the_reverse_sde_has_the_variance_of_every_time():
    score, n = GaussianScore(), 20_000
    mean, variance = score.law(1.0)
    start = mean + variance.sqrt() * normal(n, 1)
    times = [0.0, 0.5, 0.8, 1.0]
    found = sdeint(score.vp.reverse_sde(score), start, times, dt=0.005, seed=1)
    for r, x in zip(times, found, strict=True):
        mean, variance = score.law(1 - r)
        std = variance.sqrt().item()
        # a bias of the step, below 0.015, beside the standard errors
        assert abs(x.mean() - mean) < 0.015 + 5 * std / n**0.5
        assert abs(x.std() - std) < 0.015 + 5 * std / (2 * n) ** 0.5


# --- TimeMLP ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(2,), (5, 2), (3, 5, 2)], ids=str)
def test_time_may_be_a_number_or_one_for_each_sample(shape, dtype, device):
    model, x = net(classes=3).to(device, dtype), normal(*shape, dtype=dtype).to(device)
    expected = model(0.3, x)
    assert expected.shape == x.shape and expected.dtype == dtype and expected.device == x.device
    for t in (torch.tensor(0.3), torch.full((*shape[:-1], 1), 0.3), torch.full((1,) * len(shape), 0.3, dtype=F32)):
        torch.testing.assert_close(model(t, x), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(model(1, x), model(1.0, x)) and not torch.equal(model(1, x), expected)
    nothing = torch.full(shape[:-1], 3).to(device)
    assert torch.equal(model(0.3, x, nothing), expected)
    for label in (torch.tensor(1).to(device), nothing.fill_(1), nothing.int()):
        torch.testing.assert_close(model(0.3, x, label), model(0.3, x, torch.ones_like(nothing)))
    assert not torch.equal(model(0.3, x, nothing), expected)


def test_each_sample_sees_its_own_time_and_label():
    model, x = net(classes=3), normal(4, 2)
    t, label = torch.rand(4, 1), torch.tensor([0, 1, 2, 3])
    one_by_one = [model(t[i].item(), x[i], label[i]) for i in range(4)]
    torch.testing.assert_close(model(t, x, label), torch.stack(one_by_one))


def test_the_network_is_that_of_its_formula():
    model, x, t = net(), normal(3, 2), 0.3
    angles = [math.pi * k * t for k in range(1, 5)]
    waves = torch.tensor([*map(math.cos, angles), *map(math.sin, angles)]).expand(3, -1)
    torch.testing.assert_close(model(t, x), model.rest(model.inner(torch.cat([x, waves], 1))))
    sizes = [(m.in_features, m.out_features) for m in TimeMLP(3, 7, 4, frequencies=2).modules() if type(m) is nn.Linear]
    assert sizes == [(7, 7), (7, 7), (7, 7), (7, 7), (7, 3)]


@pytest.mark.parametrize("make", [lambda: net(classes=2), lambda: EmpiricalVelocity(normal(4, 2))], ids=["net", "data"])
def test_a_velocity_keeps_its_state(make):
    one, two = make(), make()
    for p in two.state_dict().values():
        p.zero_()
    two.load_state_dict(one.state_dict())
    x = normal(3, 2, seed=1)
    assert torch.equal(one(0.3, x), two(0.3, x))
    assert torch.equal(pickle.loads(pickle.dumps(one))(0.3, x), copy.deepcopy(one)(0.3, x))


# --- flow matching ------------------------------------------------------------------------------------------------


class Recorded(nn.Module):
    """Velocity 0, that remembers what it was asked."""

    def __init__(self, classes=0):
        super().__init__()
        self.classes, self.seen = classes, []

    def forward(self, t, x, *label):
        self.seen.append((t, x, *label))
        return torch.zeros_like(x)


def test_the_residual_is_on_average_what_the_velocity_is_off():
    """Of samples with (t, x_t) near a point, and in inner products with smooth functions of both."""
    mix, n = GaussianMixture([0.4, 0.6], [[-1.5], [1.0]], [0.5, 0.3]), 200_000
    velocity = Recorded()
    torch.manual_seed(0)
    residual = FlowMatching(velocity)(mix.sample(n))
    ((t, x),) = velocity.seen
    order = t[:, 0].argsort()
    # each sample's own time, by slices of equal times: within a slice t varies by 1/400
    t, x = t[order], x[order]
    exact = torch.cat([mix.velocity(s.mean(), y) for s, y in zip(t.split(500), x.split(500), strict=True)])
    off = residual[order] + exact  # v = 0, so that E[residual | t, x] = −u
    for g in (torch.ones(()), t, x, (3 * x).sin() * t, (x > 0.5) & (t > 0.8)):
        z = off * g
        assert abs(z.mean()) < 5 * z.std() / n**0.5 + 1e-3
    assert (t.min(), t.max()) == pytest.approx((0, 1), abs=1e-3)


def test_the_residual_is_made_of_the_draws_in_their_order():
    """Hidden labels, noise, time: what is stored was trained so."""
    velocity, x1 = Recorded(classes=4), normal(6, 2)
    label = torch.tensor([0, 1, 2, 3, 4, 0])
    torch.manual_seed(3)
    residual = FlowMatching(velocity, unlabelled=0.5)(torch.cat([x1, label[:, None]], 1))
    torch.manual_seed(3)
    hidden, x0, t = torch.rand(6) < 0.5, torch.randn(6, 2), torch.rand(6, 1)
    assert torch.equal(velocity.seen[0][2], torch.where(hidden, 4, label))
    assert torch.equal(velocity.seen[0][0], t)
    torch.testing.assert_close(velocity.seen[0][1], (1 - t) * x0 + t * x1)
    torch.testing.assert_close(residual, x0 - x1)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_labels_are_hidden_in_the_right_share(share):
    velocity, n = Recorded(classes=2), 20_000
    x = torch.cat([normal(n, 1), torch.arange(n)[:, None] % 2], 1)
    FlowMatching(velocity, unlabelled=share)(x)
    found = (velocity.seen[0][2] == 2).double().mean().item()
    assert abs(found - share) <= 5 * math.sqrt(share * (1 - share) / n)
    kept = velocity.seen[0][2] != 2
    assert torch.equal(velocity.seen[0][2][kept], x[kept, 1].long())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("coupling", ["independent", "ot"])
def test_training_reaches_the_weights(coupling, dtype):
    model = net().to(dtype)
    loss = squared_norm(FlowMatching(model, coupling)(normal(8, 2, dtype=dtype)))
    loss.backward()
    assert loss.dtype == dtype and loss.ndim == 0 and all(p.grad.isfinite().all() for p in model.parameters())
    residual = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert squared_norm(residual).item() == 13


# --- pairing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_pairing_is_the_best_of_all_permutations(seed, dtype):
    x0, x1 = normal(6, 2, seed=seed, dtype=dtype), normal(6, 2, seed=seed + 100, dtype=dtype)
    best = min(itertools.permutations(range(6)), key=lambda p: (x0[list(p)] - x1).square().sum().item())
    assert torch.equal(paired(x0, x1, "ot"), x0[list(best)])
    assert paired(x0, x1) is x0


def test_pairing_undoes_a_shuffle():
    x = normal(40, 2)
    order = torch.randperm(40, generator=seeded())
    assert torch.equal(paired((x + 0.01)[order], x, "ot"), x + 0.01)
    x0 = normal(5, 2, seed=1).requires_grad_()
    (slope,) = torch.autograd.grad((paired(x0, x[:5], "ot") * x[:5]).sum(), x0)
    assert torch.equal(slope.sort(0).values, x[:5].sort(0).values), "the gradient goes through the permutation"


# --- guidance -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0, 1, 2, -0.5])
def test_guidance_is_made_of_two_calls(weight):
    model, x, label = net(classes=3), normal(5, 2), torch.tensor([0, 1, 2, 3, 0])
    for t in (0.3, torch.tensor(0.3), torch.linspace(0, 1, 5)[:, None]):
        free, bound = model(t, x), model(t, x, label)
        torch.testing.assert_close(Guided(model, label, weight)(t, x), (1 - weight) * free + weight * bound)
    assert torch.equal(Guided(model, label.int(), weight)(t, x), Guided(model, label, weight)(t, x))
    more = normal(2, 5, 2, seed=1)  # as many copies as classes would be, or features
    expected = torch.stack([Guided(model, label, weight)(0.3, y) for y in more])
    torch.testing.assert_close(Guided(model, label, weight)(0.3, more), expected)


# --- the empirical velocity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("t", [0, 0.4, 0.9])
def test_the_empirical_velocity_is_that_of_a_mixture_of_points(t, dtype):
    x, y = normal(30, 3), normal(6, 3, seed=1)
    points = GaussianMixture(torch.full((30,), 1 / 30), x, torch.full((30,), 1e-9))
    field = EmpiricalVelocity(x.to(dtype))
    close = {"rtol": 1e-3, "atol": 1e-3} if dtype == F32 else {"rtol": 1e-7, "atol": 1e-7}
    for at in (t, torch.tensor(t, dtype=F64), torch.tensor([[t]], dtype=dtype)):
        found = field(at, y.to(dtype))
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), points.velocity(t, y), **close)
    weights = field.weights(t, y.to(dtype))
    torch.testing.assert_close(weights.sum(-1), torch.ones(6, dtype=dtype))
    torch.testing.assert_close(field.mean(t, y.to(dtype)), weights @ x.to(dtype))


def test_the_weights_are_those_of_the_distances():
    x, y, t = normal(7, 2), normal(3, 4, 2, seed=1), 0.6
    expected = (-(y[..., None, :] - t * x).square().sum(-1) / (2 * 0.4**2)).softmax(-1)
    torch.testing.assert_close(EmpiricalVelocity(x).weights(t, y), expected)


def test_its_flow_ends_on_the_data():
    x = normal(20, 3)
    ends = generate(EmpiricalVelocity(x), normal(50, 3, seed=1), 60)
    distance = torch.cdist(ends, x, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    assert distance.values.max() < 1e-10 and len(set(distance.indices.tolist())) > 5


# --- generation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method, order", [("euler", 1), ("midpoint", 2), ("heun2", 2), ("rk4", 4)])
def test_generation_is_of_its_order_and_calls_as_often_as_it_says(method, order):
    x0, errors = normal(5, 3), []
    for nfe in (16, 32):
        field = Linear()
        found = generate(field, x0, nfe, method)
        assert field.calls == nfe and not found.requires_grad
        errors.append((found - x0 @ torch.linalg.matrix_exp(A).T).norm().item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def test_generation_follows_the_dtype():
    x0 = normal(3, 2, dtype=F32)
    assert generate(lambda t, x: -x, x0, 4, "rk4").dtype == F32


def test_one_eulers_step_sends_all_noise_to_the_mean():
    mix = GaussianMixture([0.4, 0.6], [[-1.5], [1.0]], [0.5, 0.3])
    torch.testing.assert_close(generate(mix.velocity, normal(5, 1), 1), torch.zeros(5, 1), rtol=0, atol=1e-12)


def test_a_straight_flow_is_straight():
    shift = torch.tensor([3.0, -1.0])
    assert straightness(lambda t, x: shift.expand_as(x), normal(5, 2)) < 1e-25
    # (1 − t) x₀ + t (2 x₀ + 1): x' = x₀ + 1 with x₀ = (x − t) / (1 + t), straight though not constant in x
    assert straightness(lambda t, x: (x - t) / (1 + t) + 1, normal(5, 2)) < 1e-12


def test_the_straightness_of_a_flow_that_is_not():
    """x' = −x: ∫ (−e^−t − (e^−1 − 1))² dt x₀² = ((1 − e^−2) / 2 − (1 − e^−1)²) x₀²."""
    x0 = normal(6, 3)
    expected = ((1 - math.exp(-2)) / 2 - (1 - math.exp(-1)) ** 2) * x0.square().sum(-1).mean().item()
    assert straightness(lambda t, x: -x, x0, steps=400) == pytest.approx(expected, rel=1e-3)
    errors = [abs(straightness(lambda t, x: -x, x0, steps=n) - expected) for n in (20, 40)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.02)


# --- what is refused ----------------------------------------------------------------------------------------------

X = torch.tensor([[0.1, 0.2], [0.3, -0.4], [0.5, 0.6]], dtype=F64)
WHOLE, COMPLEX = X.long(), X.to(torch.complex128)


def cnf(field=None, **more):
    return CNF(net() if field is None else field, 2, **{**RK4, **more})


def mixing(t, x):
    return x * x.flip(-2)


def flow(classes=0, velocity=None):
    return FlowMatching(net(classes=classes) if velocity is None else velocity)


def data():
    return EmpiricalVelocity(X)


REFUSED = {
    # CNF and the traces
    "field a function": (TypeError, "field", lambda: CNF(torch.sin, 2)),
    "features float": (TypeError, "features", lambda: CNF(net(), 2.0)),
    "trace": (ValueError, "trace", lambda: cnf(trace="approximate")),
    "noise": (ValueError, "noise", lambda: cnf(noise="uniform")),
    "probes": (ValueError, "probes", lambda: cnf(probes=0)),
    "horizon 0": (ValueError, "horizon", lambda: cnf(horizon=0)),
    "horizon nan": (ValueError, "horizon", lambda: cnf(horizon=NAN)),
    "horizon word": (TypeError, "horizon", lambda: cnf(horizon="one")),
    "solver misspelt": (TypeError, "solver", lambda: cnf(metod="rk4")),
    "method unknown": (ValueError, "method", lambda: CNF(net(), 2, method="rk5").log_prob(X)),
    "options misspelt": (ValueError, "options", lambda: cnf(options={"steps": 8}).log_prob(X)),
    "x list": (TypeError, "x", lambda: cnf().log_prob(X.tolist())),
    "x whole": (TypeError, "x", lambda: cnf().log_prob(WHOLE)),
    "x complex": (TypeError, "x", lambda: cnf().log_prob(COMPLEX)),
    "x float32": (TypeError, "x", lambda: cnf().log_prob(X.float())),
    "x vector": (ValueError, "x", lambda: cnf().log_prob(X[0])),
    "x too wide": (ValueError, "x", lambda: cnf().log_prob(torch.zeros(3, 3))),
    "x empty": (ValueError, "x", lambda: cnf().transport(X[:0])),
    "n zero": (ValueError, "n", lambda: cnf().sample(0)),
    "n true": (ValueError, "n", lambda: cnf().sample(True)),
    "n float": (TypeError, "n", lambda: cnf().sample(3.0)),
    "generator a seed": (TypeError, "generator", lambda: cnf().sample(3, generator=0)),
    "field of another shape": (ValueError, "field", lambda: cnf(Field(lambda t, x: x[..., :1])).log_prob(X)),
    "field of no tensor": (ValueError, "field", lambda: cnf(Field(lambda t, x: None)).log_prob(X)),
    "field that mixes": (ValueError, "field", lambda: cnf(Field(lambda t, x: x - x.mean(-2, True))).log_prob(X)),
    "field that mixes, estimated": (ValueError, "field", lambda: cnf(Field(mixing), trace="hutchinson").sample(4)),
    "log_normal whole": (TypeError, "x", lambda: log_normal(WHOLE)),
    "log_normal 0-d": (ValueError, "x", lambda: log_normal(torch.zeros(()))),
    "exact: field": (TypeError, "field", lambda: exact_divergence(None, 0.0, X)),
    "exact: x whole": (TypeError, "x", lambda: exact_divergence(torch.add, 0, WHOLE)),
    "exact: x 0-d": (ValueError, "x", lambda: exact_divergence(torch.add, 0.0, torch.zeros(()))),
    "probes of another shape": (ValueError, "probes", lambda: hutchinson_divergence(torch.add, 0.0, X, X)),
    "no probes": (ValueError, "probes", lambda: hutchinson_divergence(torch.add, 0.0, X, X[None][:0])),
    "probes float32": (TypeError, "probes", lambda: hutchinson_divergence(torch.add, 0.0, X, X[None].float())),
    # VPSDE
    "beta_min negative": (ValueError, "beta_min", lambda: VPSDE(-1.0)),
    "beta_max small": (ValueError, "beta_max", lambda: VPSDE(3.0, 1.0)),
    "beta_max nan": (ValueError, "beta_max", lambda: VPSDE(0.1, NAN)),
    "beta_min word": (TypeError, "beta_min", lambda: VPSDE("low")),
    "alpha above": (ValueError, "t", lambda: VPSDE().alpha(1.2)),
    "alpha nan": (ValueError, "t", lambda: VPSDE().alpha(NAN)),
    "sigma of one entry": (ValueError, "t", lambda: VPSDE().sigma(torch.tensor([0.5, -0.1]))),
    "sigma of a nan": (ValueError, "t", lambda: VPSDE().sigma(torch.tensor([0.5, NAN]))),
    "alpha complex": (TypeError, "t", lambda: VPSDE().alpha(torch.tensor(1j))),
    "alpha word": (TypeError, "t", lambda: VPSDE().alpha("noon")),
    "noised: t a row": (ValueError, "t", lambda: VPSDE().noised(torch.zeros(2, 2), torch.tensor([0.1, 0.2]))),
    "noised: t above": (ValueError, "t", lambda: VPSDE().noised(X, 2.0)),
    "noised: x whole": (TypeError, "x", lambda: VPSDE().noised(WHOLE, 0.5)),
    "noised: generator": (TypeError, "generator", lambda: VPSDE().noised(X, 0.5, 0)),
    "score": (TypeError, "score", lambda: VPSDE().reverse_sde(None)),
    "score of the flow": (TypeError, "score", lambda: VPSDE().probability_flow(X)),
    # TimeMLP
    "hidden": (ValueError, "hidden", lambda: TimeMLP(2, 0)),
    "depth float": (TypeError, "depth", lambda: TimeMLP(2, 8, 1.5)),
    "frequencies": (ValueError, "frequencies", lambda: TimeMLP(2, frequencies=0)),
    "classes": (ValueError, "classes", lambda: TimeMLP(2, classes=-1)),
    "activation made already": (TypeError, "activation", lambda: TimeMLP(2, activation=nn.SiLU())),
    "activation a word": (TypeError, "activation", lambda: TimeMLP(2, activation="silu")),
    "net: x list": (TypeError, "x", lambda: net()(0.5, X.tolist())),
    "net: x whole": (TypeError, "x", lambda: net()(0.5, WHOLE)),
    "net: x float32": (TypeError, "x", lambda: net()(0.5, X.float())),
    "net: x too wide": (ValueError, "TimeMLP", lambda: net()(0.5, torch.zeros(3, 3))),
    "net: t a row": (ValueError, "t", lambda: net()(torch.zeros(4), torch.zeros(4, 2))),
    "net: t too long": (ValueError, "t", lambda: net()(torch.zeros(4, 1), X)),
    "net: t complex": (TypeError, "t", lambda: net()(torch.tensor(1j), X)),
    "net: t none": (TypeError, "t", lambda: net()(None, X)),
    "no classes": (ValueError, "label", lambda: net()(0.5, X, torch.zeros(3, dtype=torch.int64))),
    "label float": (TypeError, "label", lambda: net(classes=3)(0.5, X, torch.zeros(3))),
    "label list": (TypeError, "label", lambda: net(classes=3)(0.5, X, [0, 1, 2])),
    "label short": (ValueError, "label", lambda: net(classes=3)(0.5, X, torch.tensor([0, 1]))),
    "label column": (ValueError, "label", lambda: net(classes=3)(0.5, X, torch.tensor([[0], [1], [2]]))),
    "label above": (ValueError, "label", lambda: net(classes=3)(0.5, X, torch.tensor([0, 1, 4]))),
    "label below": (ValueError, "label", lambda: net(classes=3)(0.5, X, torch.tensor([0, 1, -1]))),
    # FlowMatching and the pairing
    "velocity a function": (TypeError, "velocity", lambda: FlowMatching(torch.add)),
    "coupling": (ValueError, "coupling", lambda: FlowMatching(net(), "optimal")),
    "unlabelled": (ValueError, "unlabelled", lambda: FlowMatching(net(), unlabelled=1.1)),
    "unlabelled nan": (ValueError, "unlabelled", lambda: FlowMatching(net(), unlabelled=NAN)),
    "x1 whole": (TypeError, "x1", lambda: flow()(WHOLE)),
    "x1 vector": (ValueError, "x1", lambda: flow()(X[0])),
    "x1 empty": (ValueError, "x1", lambda: flow()(X[:0])),
    "x1 nan": (ValueError, "x1", lambda: flow()(X.log())),
    "x1 float32": (TypeError, "x", lambda: flow()(X.float())),
    "x1 without points": (ValueError, "x1", lambda: flow(3)(torch.zeros(3, 1))),
    "labels of no class": (ValueError, "x1", lambda: flow(3)(torch.full((3, 3), 4.0))),
    "labels negative": (ValueError, "x1", lambda: flow(3)(torch.full((3, 3), -1.0))),
    "labels not whole": (ValueError, "x1", lambda: flow(3)(torch.full((3, 3), 0.5))),
    "velocity narrow": (ValueError, "velocity", lambda: flow(velocity=Field(lambda t, x: x[:, :1]))(X)),
    "pair of two sizes": (ValueError, "x0 and x1", lambda: paired(X, X[:2])),
    "pair of two dtypes": (TypeError, "x0", lambda: paired(X.float(), X)),
    "pair empty": (ValueError, "x0", lambda: paired(X[:0], X[:0], "ot")),
    "pair nan": (ValueError, "x0", lambda: paired(X.log(), X, "ot")),
    "pair of lists": (TypeError, "x0", lambda: paired([0.0], [0.0])),
    "pair how": (ValueError, "coupling", lambda: paired(X, X, "best")),
    # Guided
    "guided: no classes": (ValueError, "velocity", lambda: Guided(net(), torch.zeros(3, dtype=torch.int64))),
    "guided: a function": (TypeError, "velocity", lambda: Guided(torch.add, torch.zeros(3, dtype=torch.int64))),
    "guided: label float": (TypeError, "label", lambda: Guided(net(classes=3), torch.zeros(3))),
    "guided: label 0-d": (ValueError, "label", lambda: Guided(net(classes=3), torch.tensor(1))),
    "guided: label above": (ValueError, "label", lambda: Guided(net(classes=3), torch.tensor([4]))),
    "guided: weight word": (TypeError, "weight", lambda: Guided(net(classes=3), torch.tensor([1]), "much")),
    "guided: weight nan": (ValueError, "weight", lambda: Guided(net(classes=3), torch.tensor([1]), NAN)),
    "guided: too many": (ValueError, "x", lambda: Guided(net(classes=3), torch.tensor([1, 2]))(0.5, X)),
    "guided: x list": (TypeError, "x", lambda: Guided(net(classes=3), torch.tensor([1]))(0.5, [0.0])),
    # EmpiricalVelocity
    "data list": (TypeError, "data", lambda: EmpiricalVelocity(X.tolist())),
    "data whole": (TypeError, "data", lambda: EmpiricalVelocity(WHOLE)),
    "data vector": (ValueError, "data", lambda: EmpiricalVelocity(X[0])),
    "data empty": (ValueError, "data", lambda: EmpiricalVelocity(X[:0])),
    "data nan": (ValueError, "data", lambda: EmpiricalVelocity(X.log())),
    "data: t one": (ValueError, "t", lambda: data()(1, X)),
    "data: t below": (ValueError, "t", lambda: data()(torch.tensor(-0.1), X)),
    "data: t nan": (ValueError, "t", lambda: data()(NAN, X)),
    "data: t many": (ValueError, "t", lambda: data()(torch.zeros(3, 1), X)),
    "data: t word": (TypeError, "t", lambda: data()("noon", X)),
    "data: x narrow": (ValueError, "x", lambda: data()(0.5, X[:, :1])),
    "data: x float32": (TypeError, "x", lambda: data().mean(0.5, X.float())),
    "data: to the end": (ValueError, "t", lambda: generate(data(), X, 8, "rk4")),
    # generate and straightness
    "nfe odd": (ValueError, "nfe", lambda: generate(net(), X, 5, "midpoint")),
    "nfe zero": (ValueError, "nfe", lambda: generate(net(), X, 0)),
    "nfe true": (ValueError, "nfe", lambda: generate(net(), X, True)),
    "nfe float": (TypeError, "nfe", lambda: generate(net(), X, 4.0)),
    "method": (ValueError, "method", lambda: generate(net(), X, 4, "dopri5")),
    "x0 list": (TypeError, "x0", lambda: generate(net(), X.tolist(), 4)),
    "x0 empty": (ValueError, "x0", lambda: generate(net(), X[:0], 4)),
    "velocity none": (TypeError, "velocity", lambda: generate(None, X, 4)),
    "steps": (ValueError, "steps", lambda: straightness(net(), X, 0)),
    "straight: x0 whole": (TypeError, "x0", lambda: straightness(net(), WHOLE)),
    "straight: velocity": (TypeError, "velocity", lambda: straightness(X, X)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    error, said, call = REFUSED[name]
    with pytest.raises(error, match=rf"^{said}\b.*; got"):
        call()


@pytest.mark.skipif("cuda" not in DEVICES, reason="needs a GPU")
def test_a_generator_on_a_gpu_is_refused():
    with pytest.raises(ValueError, match="generator must .*; got"):
        cnf().sample(3, generator=torch.Generator("cuda"))


@pytest.mark.parametrize("field", [nn.BatchNorm1d(2), nn.Identity()], ids=["batch norm", "identity"])
def test_batch_normalisation_is_refused_in_train_mode_alone(field):
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = field

        def forward(self, t, x):
            return self.inner(x.reshape(-1, 2)).reshape(x.shape)

    flow = cnf(Normed().double())
    if isinstance(field, nn.BatchNorm1d):
        with pytest.raises(ValueError, match="^field must act on each sample by itself; got"):
            flow.log_prob(X)
    assert flow.eval().log_prob(X).shape == (3,)
