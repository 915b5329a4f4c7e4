"""`GaussianMixture` against torch.distributions, the continuity equation, conditional means and its own inverses."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from helpers.data import GaussianMixture

from .support import DEVICES, DTYPES

F32, F64 = torch.float32, torch.float64
ONE = ([1.0], [[0.0]], [1.0])


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(F64)
    yield
    torch.set_default_dtype(F32)


def normal(*shape, seed=0, dtype=F64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64).to(dtype)


def plane(dtype=F64):
    weights, means, stds = [0.3, 0.7], [[-1.0, 0.5], [1.0, 0.0]], [0.5, 0.8]
    return GaussianMixture(*(torch.tensor(a, dtype=dtype) for a in (weights, means, stds)))


def line():
    return GaussianMixture([0.4, 0.6], [[-1.5], [1.0]], [0.5, 0.3])


def theirs(mix):
    parts = Normal(mix.means, mix.stds[:, None].expand(mix.means.shape))
    return MixtureSameFamily(Categorical(mix.weights), Independent(parts, 1))


# --- the law ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(2,), (50, 2), (3, 4, 2)], ids=str)
def test_density_and_score_are_those_of_torch(shape, dtype):
    mix, x = plane(dtype), normal(*shape, dtype=dtype).requires_grad_()
    expected = theirs(mix).log_prob(x)
    assert mix.log_prob(x).dtype == dtype
    torch.testing.assert_close(mix.log_prob(x), expected)
    torch.testing.assert_close(mix.score(x), torch.autograd.grad(expected.sum(), x)[0])


def test_far_away_nothing_underflows():
    x = torch.tensor([[1e4, -1e4]])
    assert plane().log_prob(x).isfinite().all()
    torch.testing.assert_close(plane().score(x), (torch.tensor([[1.0, 0.0]]) - x) / 0.64)


def test_the_density_of_a_line_is_of_mass_one():
    p = lambda x: line().log_prob(torch.tensor([x])).exp().item()  # noqa: E731
    assert scipy.integrate.quad(p, -6, 6, points=[-1.5, 1.0])[0] == pytest.approx(1, abs=1e-8)


def test_noised_is_the_law_of_what_it_says():
    """Against the convolution of the density with a Gaussian, by quadrature."""
    alpha, sigma, y = 0.7, 0.4, 0.3

    def integrand(x):
        return line().log_prob(torch.tensor([x])).exp().item() * scipy.stats.norm.pdf(y, alpha * x, sigma)

    expected = scipy.integrate.quad(integrand, -6, 6, points=[-1.5, 1.0])[0]
    for a, s in ((alpha, sigma), (torch.tensor(alpha), torch.tensor(sigma))):
        assert line().noised(a, s).log_prob(torch.tensor([y])).exp().item() == pytest.approx(expected, rel=1e-8)


def test_noised_by_nothing_is_itself():
    x = normal(5, 2)
    torch.testing.assert_close(plane().noised(1, 0).log_prob(x), plane().log_prob(x))


# --- the velocity -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0.1, 0.6, 0.95])
def test_the_velocity_solves_the_continuity_equation(at):
    """∂p/∂t + ∂(p v)/∂x = 0 on the line, by automatic differentiation."""
    t, x = torch.tensor(at, requires_grad=True), torch.linspace(-2, 2, 21)[:, None].requires_grad_()
    p = line().noised(t, 1 - t).log_prob(x).exp()
    flux = torch.autograd.grad((p * line().velocity(t, x)[:, 0]).sum(), x, create_graph=True)[0][:, 0]
    change = torch.stack([torch.autograd.grad(q, t, retain_graph=True)[0] for q in p])
    assert change.abs().max() > 1e-2 and (change + flux).abs().max() < 1e-10


@pytest.mark.parametrize("at", [0.3, 0.8])
def test_the_velocity_is_the_conditional_mean(at):
    """E[(x₁ − x₀) g(x_t)] = E[v(x_t) g(x_t)] for every g, in standard errors."""
    draw = torch.Generator().manual_seed(1)
    x1 = plane().sample(100_000, draw)
    x0 = torch.randn(x1.shape, generator=draw)
    xt = (1 - at) * x0 + at * x1
    off = x1 - x0 - plane().velocity(at, xt)
    for g in (torch.ones(()), xt, xt.sin(), xt.flip(-1)):
        z = off * g
        assert (z.mean(0).abs() < 5 * z.std(0) / len(z) ** 0.5).all()


def test_the_velocity_at_both_ends():
    x = normal(6, 2)
    mean = plane().weights @ plane().means
    torch.testing.assert_close(plane().velocity(0, x), mean - x)
    torch.testing.assert_close(plane().velocity(1, x), x)


# --- on the line --------------------------------------------------------------------------------------------------


def test_cdf_and_quantile():
    x = torch.linspace(-4, 3, 12).reshape(3, 4)
    expected = 0.4 * scipy.stats.norm.cdf(x, -1.5, 0.5) + 0.6 * scipy.stats.norm.cdf(x, 1.0, 0.3)
    torch.testing.assert_close(line().cdf(x), torch.as_tensor(expected))
    p = torch.tensor([1e-12, 0.1, 0.4, 0.7, 0.999])
    torch.testing.assert_close(line().cdf(line().quantile(p)), p, rtol=1e-9, atol=1e-15)
    torch.testing.assert_close(GaussianMixture(*ONE).quantile(p), torch.as_tensor(scipy.stats.norm.ppf(p)))


# --- samples ------------------------------------------------------------------------------------------------------


def test_samples_follow_the_law_and_the_generator():
    found = line().sample(20_000, torch.Generator().manual_seed(0))
    assert scipy.stats.kstest(found[:, 0], lambda x: line().cdf(torch.as_tensor(x)).numpy()).pvalue > 0.01
    assert torch.equal(found, line().sample(20_000, torch.Generator().manual_seed(0)))
    torch.manual_seed(3)
    first = line().sample(4)
    torch.manual_seed(3)
    assert torch.equal(first, line().sample(4))


def test_the_draws_of_a_seed_stay():
    """First the parts by `multinomial`, then one `randn`: what is stored was drawn so."""
    draw, mix = torch.Generator().manual_seed(5), plane()
    part = torch.multinomial(mix.weights, 7, replacement=True, generator=draw)
    noise = torch.randn(7, 2, generator=draw)
    expected = mix.means[part] + mix.stds[part, None] * noise
    assert torch.equal(mix.sample(7, torch.Generator().manual_seed(5)), expected)


# --- dtype and device ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("default", DTYPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_tensors_keep_their_dtype_whatever_the_default(dtype, default, device):
    torch.set_default_dtype(default)
    mix = GaussianMixture([1 / 3, 2 / 3], torch.tensor([[0.1], [0.2]], dtype=dtype, device=device), [0.1, 0.3])
    x = torch.zeros(4, 1, dtype=dtype, device=device)
    found = (*vars(mix).values(), mix.sample(3), mix.log_prob(x), mix.score(x), mix.velocity(0.5, x))
    found += mix.noised(torch.tensor(0.5, dtype=F64), 0.1).stds, mix.cdf(x), mix.quantile(x + 0.5)
    assert {a.dtype for a in found} == {dtype} and {a.device.type for a in found} == {device}
    if dtype == F64:
        assert mix.weights[0].item() == 1 / 3 and mix.means[0, 0].item() == 0.1


@pytest.mark.parametrize("default", DTYPES, ids=str)
def test_lists_arrays_and_whole_numbers_are_of_the_default_dtype(default):
    torch.set_default_dtype(default)
    mix = GaussianMixture(np.array([0.5, 0.5]), torch.tensor([[0], [1]]), [1, 2])
    assert {a.dtype for a in vars(mix).values()} == {default}
    assert repr(mix) == f"GaussianMixture(2 components, d = 1, {default})"


def test_a_copy_is_the_same():
    x = normal(3, 2)
    assert torch.equal(copy.deepcopy(plane()).log_prob(x), plane().log_prob(x))


def test_a_gradient_reaches_the_means():
    means = torch.tensor([[0.0], [1.0]], requires_grad=True)
    mix = GaussianMixture([0.5, 0.5], means, [1.0, 1.0])
    (slope,) = torch.autograd.grad(mix.noised(0.5, 0.1).log_prob(torch.ones(3, 1)).sum(), means)
    assert slope.isfinite().all() and slope.any()


# --- what is refused ----------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
MADE = {
    "weights sum": (ValueError, "weights", ([0.5, 0.4], [[0.0], [1.0]], [1.0, 1.0])),
    "weights sign": (ValueError, "weights", ([1.5, -0.5], [[0.0], [1.0]], [1.0, 1.0])),
    "weights nan": (ValueError, "weights", ([NAN, 1.0], [[0.0], [1.0]], [1.0, 1.0])),
    "stds zero": (ValueError, "stds", ([1.0], [[0.0]], [0.0])),
    "stds nan": (ValueError, "stds", ([1.0], [[0.0]], [NAN])),
    "stds inf": (ValueError, "stds", ([1.0], [[0.0]], [INF])),
    "means nan": (ValueError, "means", ([1.0], [[NAN]], [1.0])),
    "means vector": (ValueError, "means", ([1.0], [0.0], [1.0])),
    "no component": (ValueError, "means", ([], torch.zeros(0, 2), [])),
    "no coordinate": (ValueError, "means", ([1.0], torch.zeros(1, 0), [1.0])),
    "lengths": (ValueError, "stds", ([0.5, 0.5], [[0.0], [1.0]], [1.0])),
    "word": (TypeError, "means", ([1.0], "middle", [1.0])),
    "complex": (TypeError, "means", ([1.0], torch.zeros(1, 1, dtype=torch.complex128), [1.0])),
    "half": (TypeError, "means", ([1.0], torch.zeros(1, 1, dtype=torch.float16), [1.0])),
    "two dtypes": (TypeError, "stds", ([1.0], torch.zeros(1, 1, dtype=F64), torch.ones(1, dtype=F32))),
}


@pytest.mark.parametrize("name", MADE)
def test_no_mixture_is_made_of(name):
    error, said, arguments = MADE[name]
    with pytest.raises(error, match=f"{said}.*; got"):
        GaussianMixture(*arguments)


CALLS = {
    "alpha vector": (ValueError, "alpha", lambda m: m.noised(torch.ones(3, 1), 1.0)),
    "alpha word": (TypeError, "alpha", lambda m: m.noised("a", 1.0)),
    "alpha nan": (ValueError, "alpha", lambda m: m.noised(NAN, 1.0)),
    "sigma negative": (ValueError, "sigma", lambda m: m.noised(1.0, -0.1)),
    "nothing left": (ValueError, "sigma", lambda m: m.noised(0, 0)),
    "t above": (ValueError, "t", lambda m: m.velocity(1.1, torch.zeros(1, 2))),
    "t nan": (ValueError, "t", lambda m: m.velocity(NAN, torch.zeros(1, 2))),
    "t column": (ValueError, "t", lambda m: m.velocity(torch.zeros(3, 1), torch.zeros(3, 2))),
    "x one column": (ValueError, "x", lambda m: m.log_prob(torch.zeros(5, 1))),
    "x 0-d": (ValueError, "x", lambda m: m.score(torch.zeros(()))),
    "x list": (TypeError, "x", lambda m: m.log_prob([[0.0, 0.0]])),
    "x whole": (TypeError, "x", lambda m: m.log_prob(torch.zeros(5, 2, dtype=torch.int64))),
    "x float32": (TypeError, "x", lambda m: m.velocity(0.5, torch.zeros(5, 2, dtype=F32))),
    "cdf in the plane": (ValueError, "cdf", lambda m: m.cdf(torch.zeros(5))),
    "quantile in the plane": (ValueError, "quantile", lambda m: m.quantile(torch.full((5,), 0.5))),
    "cdf of a number": (TypeError, "x", lambda m: line().cdf(0.5)),
    "p zero": (ValueError, "p", lambda m: line().quantile(torch.tensor([0.0, 0.5]))),
    "p nan": (ValueError, "p", lambda m: line().quantile(torch.tensor([NAN, 0.5]))),
    "p a number": (TypeError, "p", lambda m: line().quantile(0.5)),
    "p float32": (TypeError, "p", lambda m: line().quantile(torch.tensor([0.5], dtype=F32))),
    "n zero": (ValueError, "n", lambda m: m.sample(0)),
    "n true": (TypeError, "n", lambda m: m.sample(True)),
    "n float": (TypeError, "n", lambda m: m.sample(3.0)),
    "generator a seed": (TypeError, "generator", lambda m: m.sample(3, 0)),
}


@pytest.mark.parametrize("name", CALLS)
def test_refused(name):
    error, said, call = CALLS[name]
    with pytest.raises(error, match=rf"^{said}\b.*; got"):
        call(plane())


def test_in_a_loop_nothing_is_looked_at_twice(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("validated again")

    mix, x = plane(), normal(3, 2)
    monkeypatch.setattr(GaussianMixture, "__init__", refuse)
    mix.noised(torch.tensor(0.5), torch.tensor(0.5)).score(x)
    mix.velocity(0.5, x)
