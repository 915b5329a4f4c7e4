"""Energies, operators and equations that are learnt, against autograd, explicit sums and closed forms."""

from __future__ import annotations

import copy
import math
import re

import pytest
import torch
from torch import nn

from helpers.layers import (
    HNN,
    PINN,
    UDE,
    FNO1d,
    MLPField,
    MultipleShooting,
    SpectralConv1d,
    fourier_interpolation,
    gradient,
    shooting_loss,
    shooting_windows,
)
from helpers.solvers import NonFiniteStateError, odeint

from .support import DEVICES, DTYPES

TIMES = torch.linspace(0, 2, 9, dtype=torch.float64)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    yield
    torch.set_default_dtype(torch.float32)


def refused(call, error, name):
    """A call ends in one exception of this kind, which begins with the argument's name and says what was given."""
    with pytest.raises(error, match=rf"^{re.escape(name)} must .*; got ") as caught:
        call()
    assert type(caught.value) is error


# --- HNN ------------------------------------------------------------------------------------------------


def by_autograd(net, x):
    """(∂H/∂p, −∂H/∂q) from the energy alone."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(net.energy(x).sum(), x, create_graph=True)
    half = net.features // 2
    return torch.cat([slope[..., half:], -slope[..., :half]], -1)


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("features, hidden", [(2, 64), (6, 7)])
def test_the_velocity_is_the_symplectic_gradient_of_the_energy(features, hidden, separable):
    net = HNN(features, hidden, separable=separable)
    for shape in [(features,), (5, features), (2, 3, features)]:
        x = torch.randn(shape)
        velocity = net(0.3, x)
        assert (velocity.shape, net.energy(x).shape) == (x.shape, x.shape[:-1])
        torch.testing.assert_close(velocity, by_autograd(net, x), rtol=1e-12, atol=1e-13)
    # and so are the gradients that train it
    target = torch.randn(2, 3, features)
    both = [(v - target).square().sum() for v in (net(0.0, x), by_autograd(net, x))]
    one, other = (torch.autograd.grad(loss, [net.outer, *net.inner.parameters()]) for loss in both)
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_the_learnt_energy_is_kept_whatever_was_learnt():
    net = HNN(4, 16)
    with torch.no_grad():
        net.outer.mul_(10)
    x = odeint(net, torch.randn(3, 4), torch.linspace(0, 10, 11), rtol=1e-11, atol=1e-12).detach()
    energy = net.energy(x)
    assert (x - x[0]).abs().max() > 0.5  # it moves
    assert (energy - energy[0]).abs().max() < 1e-8


@pytest.mark.parametrize("separable", [False, True])
def test_the_field_has_no_divergence(separable):
    net = HNN(4, 12, separable=separable)
    for x in torch.randn(5, 4):
        jacobian = torch.autograd.functional.jacobian(lambda x: net(0.0, x), x)
        assert jacobian.diagonal().sum().abs() < 1e-14 < jacobian.abs().max()


@pytest.mark.parametrize("hidden", [2, 9, 16])
def test_a_separable_energy_has_no_mixed_second_derivative(hidden):
    x = torch.randn(4)
    mixed = [torch.autograd.functional.hessian(HNN(4, hidden, separable=s).energy, x)[:2, 2:] for s in (True, False)]
    assert mixed[0].abs().max() == 0 < mixed[1].abs().max()
    net = HNN(4, hidden, separable=True)  # and neither half is lost
    assert (torch.autograd.functional.jacobian(net.energy, x) != 0).all()


def leapfrog(net, x, h, steps):
    """Störmer and Verlet's method by hand: half a kick, a drift, half a kick."""
    q, p = x.chunk(2, -1)
    for _ in range(steps):
        p = p + h / 2 * by_autograd(net, torch.cat([q, p], -1)).chunk(2, -1)[1]
        q = q + h * by_autograd(net, torch.cat([q, p], -1)).chunk(2, -1)[0]
        p = p + h / 2 * by_autograd(net, torch.cat([q, p], -1)).chunk(2, -1)[1]
    return torch.cat([q, p], -1)


def test_a_rollout_is_leapfrog_and_keeps_area():
    net = HNN(2, 16, separable=True)
    x0 = torch.randn(3, 2)
    path = net.rollout(x0, TIMES, num_steps=3)
    assert path.shape == (9, 3, 2)
    torch.testing.assert_close(path[0], x0)
    for k in (1, 8):
        torch.testing.assert_close(path[k], leapfrog(net, x0, 0.25 / 3, 3 * k), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(net.rollout(path[-1], TIMES.flip(0), num_steps=3)[-1], x0, rtol=1e-11, atol=1e-12)
    one = torch.autograd.functional.jacobian(lambda x: net.rollout(x, TIMES)[-1], x0[0])
    assert torch.linalg.det(one).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("method, order", [("symplectic_euler", 1), ("leapfrog", 2), ("yoshida4", 4)])
def test_rollouts_converge_with_the_order_of_their_method(method, order):
    net = HNN(2, 16, separable=True)
    with torch.no_grad():
        net.outer.mul_(5)
    x0, t = torch.tensor([0.7, 0.2]), torch.tensor([0.0, 1.0, 2.0])
    exact = odeint(net, x0, t, rtol=1e-12, atol=1e-13)[-1]
    coarse, fine = (net.rollout(x0, t, method=method, num_steps=n)[-1] - exact for n in (10, 20))
    assert math.log2((coarse.norm() / fine.norm()).item()) == pytest.approx(order, abs=0.3)


def test_uneven_times_share_the_steps():
    net, x0 = HNN(2, 8, separable=True), torch.randn(2)
    found = net.rollout(x0, torch.tensor([0.0, 0.5, 2.0]), num_steps=2)  # the mean distance is 1: steps of at most ½
    torch.testing.assert_close(found[1], leapfrog(net, x0, 0.5, 1))
    torch.testing.assert_close(found[2], leapfrog(net, x0, 0.5, 4))


def test_an_hnn_that_is_saved_or_copied_is_the_same():
    net, other = HNN(4, 6, separable=True), HNN(4, 6, separable=True)
    x = torch.randn(3, 4)
    assert sorted(net.state_dict()) == ["inner.bias", "inner.weight", "outer"]
    other.load_state_dict(net.state_dict())
    for same in (other, copy.deepcopy(net)):
        torch.testing.assert_close(same(0.0, x), net(0.0, x), rtol=0, atol=0)
    torch.testing.assert_close(net.float()(0.0, x.float()).double(), other(0.0, x), rtol=1e-5, atol=1e-6)
    assert repr(net).startswith("HNN(\n  features=4, separable=True")


def test_an_hnn_refuses():
    net, joint, t = HNN(2, 8, separable=True), HNN(2, 8), torch.linspace(0, 1, 3)
    refused(lambda: HNN(3), ValueError, "features")
    refused(lambda: HNN(0), ValueError, "features")
    refused(lambda: HNN(2.0), TypeError, "features")
    refused(lambda: HNN(2, 1), ValueError, "hidden")
    for call in (net.energy, lambda x: net(0.0, x)):
        refused(lambda c=call: c([1.0, 2.0]), TypeError, "x")
        refused(lambda c=call: c(torch.ones(2, dtype=torch.int64)), TypeError, "x")
        refused(lambda c=call: c(torch.ones(2, dtype=torch.complex128)), TypeError, "x")
        refused(lambda c=call: c(torch.ones(2, dtype=torch.float32)), TypeError, "x")
        refused(lambda c=call: c(torch.ones(2, 3)), ValueError, "x")
        refused(lambda c=call: c(torch.tensor(1.0)), ValueError, "x")
    refused(lambda: joint.rollout(torch.ones(2), t), ValueError, "rollout")
    refused(lambda: net.rollout(torch.ones(2), t, method="rk4"), ValueError, "method")
    refused(lambda: net.rollout(torch.ones(2), t, num_steps=0), ValueError, "num_steps")
    refused(lambda: net.rollout(torch.ones(2), t, num_steps=1.0), TypeError, "num_steps")
    refused(lambda: net.rollout(torch.ones(3), t), ValueError, "x0")
    refused(lambda: net.rollout(torch.ones(0, 2), t), ValueError, "x0")
    refused(lambda: net.rollout([1.0, 2.0], t), TypeError, "x0")
    refused(lambda: net.rollout(torch.ones(2), [0.0, 1.0]), TypeError, "t")
    for times in (torch.tensor(1.0), torch.ones(1), torch.ones(0), torch.ones(2, 2), torch.tensor([0.0, 2.0, 1.0])):
        with pytest.raises(ValueError, match="^t must "):
            net.rollout(torch.ones(2), times)
    with pytest.raises(NonFiniteStateError):
        net.rollout(torch.tensor([0.0, math.nan]), t)


# --- the Fourier neural operator ------------------------------------------------------------------------


def waves(n, size, highest):
    """Functions of frequencies up to `highest`, by their sums, the same on every grid."""
    draw = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, n, highest + 1, generator=draw)
    x = 2 * math.pi * torch.arange(size) / size
    k = torch.arange(highest + 1)[:, None] * x
    return a @ k.cos() + b @ k.sin()


def on_channels(u, channels):
    return u.reshape(-1, channels, u.shape[-1])


@pytest.mark.parametrize("size, modes", [(16, 5), (16, 8), (15, 8), (7, 1), (1, 1)])
def test_a_spectral_convolution_is_an_explicit_fourier_sum(size, modes):
    layer, u = SpectralConv1d(3, modes), torch.randn(2, 3, size)
    j, wanted = torch.arange(size), torch.zeros(2, 3, size)
    weight = torch.complex(*layer.weight.detach())
    for k in range(modes):
        wave = torch.exp(-2j * math.pi * k * j / size)
        coefficient = (u * wave).sum(-1) / size
        product = torch.einsum("ni,io->no", coefficient, weight[k])
        wanted += (1 if k == 0 else 2) * (product[..., None] * wave.conj()).real
    torch.testing.assert_close(layer(u), wanted, rtol=1e-11, atol=1e-12)


def test_identity_matrices_make_a_low_pass_filter():
    layer = SpectralConv1d(2, 4)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([torch.eye(2).expand(4, 2, 2), torch.zeros(4, 2, 2)]))
    x = 2 * math.pi * torch.arange(20) / 20
    low, high = 1 + (3 * x).cos() + x.sin(), (4 * x).sin() + (9 * x).cos()
    torch.testing.assert_close(layer((low + high).expand(1, 2, 20)), low.expand(1, 2, 20), rtol=0, atol=1e-13)


def test_the_same_function_on_two_grids_gives_the_same_function():
    """A spectral convolution always; an FNO of one layer, since all that is not linear there comes pointwise after."""
    layer, net = SpectralConv1d(2, 6), FNO1d(8, 6, 1)
    for coarse, fine in ((64, 256), (25, 75), (13, 26)):
        a, b = waves(4, coarse, 6), waves(4, fine, 6)
        step = fine // coarse
        pair = layer(on_channels(a, 2)), layer(on_channels(b, 2))[..., ::step]
        torch.testing.assert_close(*pair, rtol=0, atol=1e-12)
        torch.testing.assert_close(net(a), net(b)[:, ::step], rtol=0, atol=1e-12)
    # after a nonlinearity the next layer meets new frequencies, which a coarse grid folds back
    deep = FNO1d(8, 6, 3)
    finest = deep(waves(4, 1024, 6))
    off = [(deep(waves(4, n, 6)) - finest[:, :: 1024 // n]).abs().max().item() for n in (16, 64, 256)]
    assert off[0] > 1e-5 > 1e-7 > off[2] and off[0] > off[1] > off[2]


@pytest.mark.parametrize("shift", [1, 10, 31])
def test_an_fno_commutes_with_translations(shift):
    net, u = FNO1d(6, 5, 3), torch.randn(3, 32)
    torch.testing.assert_close(net(u.roll(shift, -1)), net(u).roll(shift, -1), rtol=0, atol=1e-12)


def test_an_fno_treats_its_functions_one_by_one():
    net, u = FNO1d(6, 5, 2), torch.randn(4, 17)
    assert net(u).shape == (4, 17)
    torch.testing.assert_close(net(u)[2:3], net(u[2:3]), rtol=0, atol=1e-13)
    other = net(torch.where(torch.arange(4)[:, None] == 1, 9.0, u))
    assert [torch.allclose(a, b) for a, b in zip(net(u), other, strict=True)] == [True, False, True, True]
    assert sum(p.numel() for p in FNO1d(16, 8, 3).parameters()) == 32 + 3 * (2 * 8 * 16**2 + 16 * 17) + 64 * 17 + 65
    assert all(p.grad is not None for p in _trained(net, u).parameters())


def test_an_fno_bends_between_its_layers_and_not_after_the_last():
    u = torch.randn(3, 16)
    for depth, bent in ((1, lambda v: v), (2, nn.functional.gelu)):
        net = FNO1d(4, 3, depth)
        with torch.no_grad():
            for spectral, pointwise in zip(net.spectral, net.pointwise, strict=True):
                spectral.weight.zero_()
                pointwise.weight.copy_(torch.eye(4)[..., None])
                pointwise.bias.zero_()
        torch.testing.assert_close(net(u), net.project(bent(net.lift(u[:, None])))[:, 0], rtol=0, atol=1e-14)


def _trained(net, u):
    net(u).square().sum().backward()
    return net


def test_an_fno_refuses():
    layer, net = SpectralConv1d(2, 4), FNO1d(4, 4, 1)
    for kind, names in ((SpectralConv1d, ("channels", "modes")), (FNO1d, ("width", "modes", "depth"))):
        for name in names:
            good = dict.fromkeys(names, 3)
            refused(lambda k=kind, g=good | {name: 0}: k(**g), ValueError, name)
            refused(lambda k=kind, g=good | {name: 2.5}: k(**g), TypeError, name)
            refused(lambda k=kind, g=good | {name: True}: k(**g), ValueError, name)
    for call, shape in ((layer, (1, 2, 8)), (net, (1, 8))):
        good = torch.zeros(shape)
        refused(lambda c=call, u=good: c(u.tolist()), TypeError, "u")
        for dtype in (torch.float32, torch.int64, torch.complex128):
            refused(lambda c=call, u=good, d=dtype: c(u.to(d)), TypeError, "u")
        refused(lambda c=call, u=good: c(u[0]), ValueError, "u")
        refused(lambda c=call, u=good: c(u[:0]), ValueError, "u")
        refused(lambda c=call, u=good: c(u[None]), ValueError, "u")
        with pytest.raises(ValueError, match=r"^u must have N ≥ 7 points for 4 modes; got 6$"):
            call(good[..., :6])
        assert call(good[..., :7]).shape == (*shape[:-1], 7)
    refused(lambda: layer(torch.zeros(1, 3, 8)), ValueError, "u")
    refused(lambda: net(torch.zeros(2, 0)), ValueError, "u")


@pytest.mark.parametrize("here", [9, 10, 16, 33])
@pytest.mark.parametrize("there", [9, 10, 16, 40, 81])
def test_interpolation_is_exact_for_what_both_grids_carry(here, there):
    highest = (min(here, there) - 1) // 2
    found = fourier_interpolation(waves(3, here, highest), there)
    torch.testing.assert_close(found, waves(3, there, highest), rtol=0, atol=1e-12)


def test_interpolation_drops_the_frequencies_that_a_grid_does_not_carry():
    x = 2 * math.pi * torch.arange(32) / 32
    u = 2 + (3 * x).sin() + (5 * x).cos()
    coarse = 2 * math.pi * torch.arange(10) / 10
    torch.testing.assert_close(fourier_interpolation(u, 10), 2 + (3 * coarse).sin(), rtol=0, atol=1e-13)
    torch.testing.assert_close(fourier_interpolation(u, 2), torch.full((2,), 2.0), rtol=0, atol=1e-13)
    assert fourier_interpolation(u.float(), 50).dtype == torch.float32
    assert fourier_interpolation(u.expand(2, 3, 32), 5).shape == (2, 3, 5)
    assert torch.autograd.gradcheck(lambda u: fourier_interpolation(u, 7), torch.randn(2, 5, requires_grad=True))


def test_interpolation_refuses():
    u = torch.zeros(2, 8)
    refused(lambda: fourier_interpolation(u, 1), ValueError, "size")
    refused(lambda: fourier_interpolation(u, 8.0), TypeError, "size")
    refused(lambda: fourier_interpolation(u.tolist(), 8), TypeError, "u")
    refused(lambda: fourier_interpolation(u.long(), 8), TypeError, "u")
    refused(lambda: fourier_interpolation(u.to(torch.complex128), 8), TypeError, "u")
    for bad in (torch.tensor(1.0), u[:, :1], u[:0]):
        refused(lambda bad=bad: fourier_interpolation(bad, 8), ValueError, "u")


# --- universal differential equations, multiple shooting --------------------------------------------------


class Linear(nn.Module):
    """x ↦ A x, whatever t."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, t, x):
        return x @ self.matrix.T


class Field(nn.Module):
    """A function of time and state as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, t, x):
        return self.function(t, x)


MATRIX = [[-0.3, 1.0], [-1.5, 0.2]]


def test_a_ude_is_a_sum():
    unknown, x = MLPField(2, 5), torch.randn(4, 2)
    torch.testing.assert_close(UDE(torch.sin, unknown)(0.3, x), x.sin() + unknown(0.3, x), rtol=0, atol=0)
    torch.testing.assert_close(UDE(None, unknown)(0.3, x), unknown(0.3, x), rtol=0, atol=0)
    clock = UDE(torch.zeros_like, Field(lambda t, x: t * x))
    torch.testing.assert_close(clock(3.0, x), 3 * x)
    assert len(list(UDE(torch.sin, unknown).parameters())) == len(list(unknown.parameters()))
    assert len(list(UDE(Linear(torch.eye(2)), unknown).parameters())) == len(list(unknown.parameters())) + 1


def test_a_ude_refuses():
    unknown, x = MLPField(2, 5), torch.randn(4, 2)
    refused(lambda: UDE(3.0, unknown), TypeError, "known")
    refused(lambda: UDE(None, torch.sin), TypeError, "unknown")
    refused(lambda: UDE(lambda x: x[:, :1], unknown)(0.0, x), ValueError, "known")
    refused(lambda: UDE(lambda x: 1.0, unknown)(0.0, x), ValueError, "known")
    refused(lambda: UDE(torch.sin, Field(lambda t, x: x[:, :1]))(0.0, x), ValueError, "unknown")


@pytest.mark.parametrize("steps", [1, 3])
def test_windows_follow_a_linear_field(steps):
    a, starts = torch.tensor(MATRIX), torch.randn(4, 2)
    model = MultipleShooting(Linear(a), starts, 0.2, steps)
    found = model(torch.empty(4, 6, 2))
    assert found.shape == (4, 6, 2)
    # what rk4 makes of x' = A x is a polynomial of hA
    ha = 0.2 / steps * a
    one = sum(torch.linalg.matrix_power(ha, k) / math.factorial(k) for k in range(5))
    for j in range(6):
        wanted = starts @ torch.linalg.matrix_power(one, j * steps).T
        torch.testing.assert_close(found[:, j], wanted, rtol=1e-12, atol=1e-13)
        exact = starts @ torch.linalg.matrix_exp(0.2 * j * a).T
        torch.testing.assert_close(found[:, j], exact, rtol=0, atol=2e-3 / steps**4)


def test_the_gradient_reaches_the_starts_and_the_field():
    a = torch.tensor(MATRIX)
    model = MultipleShooting(Linear(a), torch.randn(3, 2), 0.1, 20)
    ahead = torch.randn(2)
    (model(torch.empty(3, 4, 2))[:, -1] @ ahead).sum().backward()
    wanted = torch.linalg.matrix_exp(0.3 * a).T @ ahead
    torch.testing.assert_close(model.starts.grad, wanted.expand(3, 2), rtol=1e-7, atol=1e-8)
    # d(exp(tA) x)/dA in the direction A itself is t A exp(tA) x
    slope = (model.field.matrix.grad * a).sum()
    states = model(torch.empty(3, 4, 2))[:, -1].detach()
    assert slope.item() == pytest.approx((0.3 * states @ a.T @ ahead).sum().item(), rel=1e-6)


def test_the_starts_are_a_copy_and_parameters():
    data = torch.randn(3, 2)
    model = MultipleShooting(Linear(torch.eye(2)), data, 0.1)
    with torch.no_grad():
        model.starts.zero_()
    assert data.abs().min() > 0 and dict(model.named_parameters()).keys() == {"starts", "field.matrix"}


@pytest.mark.parametrize("length, count", [(2, 6), (3, 3), (4, 2), (7, 1)])
def test_windows_cover_the_samples_and_share_their_ends(length, count):
    x = torch.randn(7, 2)
    windows = shooting_windows(x, length)
    assert windows.shape == (count, length, 2)
    for i, window in enumerate(windows):
        torch.testing.assert_close(window, x[i * (length - 1) : i * (length - 1) + length], rtol=0, atol=0)
    torch.testing.assert_close(windows[:-1, -1], windows[1:, 0], rtol=0, atol=0)
    torch.testing.assert_close(windows[-1, -1], x[-1], rtol=0, atol=0)


def test_the_loss_of_shooting_by_hand():
    data = torch.zeros(2, 2, 1)
    solution = torch.tensor([[[1.0], [2.0]], [[5.0], [-1.0]]])  # squares 1 + 4 + 25 + 1; the gap is 2 − 5
    assert shooting_loss(solution, data).item() == pytest.approx(31 / 4 + 9)
    assert shooting_loss(solution, data, 0.5).item() == pytest.approx(31 / 4 + 4.5)
    assert shooting_loss(solution, data, 0).item() == pytest.approx(31 / 4)
    assert shooting_loss(solution[:1], data[:1]).item() == pytest.approx(5 / 2)
    pair = torch.tensor([[[0.0, 0.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 0.0]]])  # two entries: gaps 0 and 2, mean 2
    assert shooting_loss(pair, pair).item() == pytest.approx(2.0)


def test_the_true_field_and_starts_have_no_loss():
    a = torch.tensor(MATRIX)
    truth = torch.stack([torch.linalg.matrix_exp(0.1 * k * a) @ torch.tensor([1.0, 0.5]) for k in range(13)])
    windows = shooting_windows(truth, 5)
    model = MultipleShooting(Linear(a), windows[:, 0], 0.1, 10)
    assert shooting_loss(model(windows), windows) < 1e-15
    wrong = MultipleShooting(Linear(1.1 * a), windows[:, 0], 0.1, 10)
    assert shooting_loss(wrong(windows), windows) > 1e-4


def test_shooting_refuses():
    field, starts = MLPField(2, 4), torch.zeros(3, 2)
    refused(lambda: MultipleShooting(torch.sin, starts, 0.1), TypeError, "field")
    refused(lambda: MultipleShooting(field, starts.tolist(), 0.1), TypeError, "starts")
    for dtype in (torch.int64, torch.complex128, torch.float32):
        refused(lambda d=dtype: MultipleShooting(field, starts.to(d), 0.1), TypeError, "starts")
    for bad in (starts[0], starts[:0], starts[None], starts[:, :0], starts * math.nan):
        refused(lambda bad=bad: MultipleShooting(field, bad, 0.1), ValueError, "starts")
    for spacing in (0.0, -1.0, math.nan, math.inf):
        refused(lambda s=spacing: MultipleShooting(field, starts, s), ValueError, "spacing")
    refused(lambda: MultipleShooting(field, starts, "a"), TypeError, "spacing")
    refused(lambda: MultipleShooting(field, starts, 0.1, 0), ValueError, "steps")
    refused(lambda: MultipleShooting(field, starts, 0.1, 1.5), TypeError, "steps")
    model = MultipleShooting(field, starts, 0.1)
    refused(lambda: model([1.0]), TypeError, "windows")
    for shape in ((3, 1, 2), (2, 4, 2), (3, 4, 1), (4, 2)):
        refused(lambda s=shape: model(torch.zeros(s)), ValueError, "windows")


def test_windows_and_their_loss_refuse():
    x, windows = torch.zeros(7, 2), torch.zeros(3, 3, 2)
    refused(lambda: shooting_windows(x, 1), ValueError, "length")
    refused(lambda: shooting_windows(x, 3.0), TypeError, "length")
    refused(lambda: shooting_windows(x.tolist(), 3), TypeError, "x")
    refused(lambda: shooting_windows(x.long(), 3), TypeError, "x")
    for bad in (x[:6], x[:2], x[:0], x[:, 0], x[None]):
        refused(lambda bad=bad: shooting_windows(bad, 3), ValueError, "x")
    refused(lambda: shooting_loss(windows.tolist(), windows), TypeError, "solution")
    refused(lambda: shooting_loss(windows, windows.tolist()), TypeError, "data")
    refused(lambda: shooting_loss(windows, windows.float()), TypeError, "data")
    for solution, data in ((windows, windows[:1]), (windows[..., :1], windows), (x, x), (windows[:0], windows[:0])):
        refused(lambda s=solution, d=data: shooting_loss(s, d), ValueError, "solution and data")
    for weight in (-1.0, math.nan, math.inf):
        refused(lambda w=weight: shooting_loss(windows, windows, w), ValueError, "continuity")
    refused(lambda: shooting_loss(windows, windows, None), TypeError, "continuity")


# --- physics-informed networks --------------------------------------------------------------------------


class Power(nn.Module):
    """u = a x³."""

    def __init__(self, a=1.0):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, x):
        return self.a * x**3


def at_two(net):
    return net(torch.tensor([[2.0]])) - 7.0


def test_the_terms_of_a_pinn_by_hand():
    x = torch.tensor([[1.0], [2.0], [-0.5]])
    solved = PINN(Power(), lambda u, x: gradient(gradient(u, x), x) - 6 * x, at_two, 2.5)
    torch.testing.assert_close(solved(x), torch.tensor([0.0, 2.5]), rtol=0, atol=1e-13)
    # u' − 2x² = x²: the mean of x⁴
    off = PINN(Power(), lambda u, x: gradient(u, x) - 2 * x**2, at_two, 0.0)
    torch.testing.assert_close(off(x), torch.tensor([(1 + 16 + 1 / 16) / 3, 0.0]))
    # residuals in several columns, and as a vector
    two = PINN(Power(), lambda u, x: torch.cat([u, 2 * u], 1), at_two)
    one = PINN(Power(), lambda u, x: u[:, 0], at_two)
    mean = (1 + 64 + 1 / 64) / 3
    torch.testing.assert_close(two(x), torch.tensor([2.5 * mean, 1.0]))
    torch.testing.assert_close(one(x), torch.tensor([mean, 1.0]))


def test_a_pinn_has_the_gradient_of_its_terms_in_the_weights():
    x = torch.tensor([[1.0], [2.0]])
    model = PINN(Power(3.0), lambda u, x: gradient(u, x) - 3 * x**2, at_two, 2.0)
    terms = model(x)
    # ((a − 1) 3x²)² and 2 (8a − 7)²
    torch.testing.assert_close(terms, torch.tensor([4 * 9 * (1 + 16) / 2, 2 * 17.0**2]))
    slopes = [torch.autograd.grad(term, model.net.a, retain_graph=True)[0].item() for term in terms]
    assert slopes == pytest.approx([2 * 2 * 9 * 17 / 2, 2 * 2 * 17 * 8])
    with torch.no_grad():
        quiet = model(x)
    assert not quiet.requires_grad and not x.requires_grad
    torch.testing.assert_close(quiet, terms.detach())


def test_gradients_in_closed_form_once_and_twice():
    x = torch.randn(6, 2, requires_grad=True)
    a, b = x.detach().unbind(1)
    u = x[:, :1].sin() * (2 * x[:, 1:]).exp()
    once = gradient(u, x)
    torch.testing.assert_close(once, torch.stack([a.cos() * (2 * b).exp(), 2 * a.sin() * (2 * b).exp()], 1))
    torch.testing.assert_close(gradient(once[:, :1], x)[:, 0], -a.sin() * (2 * b).exp())
    torch.testing.assert_close(gradient(once[:, 1:], x)[:, 0], 2 * a.cos() * (2 * b).exp())
    torch.testing.assert_close(gradient(once[:, 1:], x)[:, 1], 4 * a.sin() * (2 * b).exp())


def test_the_second_derivative_of_a_linear_function_is_zero():
    net, x = nn.Linear(2, 1), torch.randn(4, 2, requires_grad=True)
    torch.testing.assert_close(gradient(net(x), x), net.weight.expand(4, 2))
    assert (gradient(gradient(net(x), x)[:, :1], x) == 0).all()


def test_a_pinn_refuses():
    net, x = nn.Linear(1, 1), torch.rand(3, 1)

    def made(net=net, residual=lambda u, x: u, side=at_two, weight=1.0):
        return PINN(net, residual, side, weight)

    refused(lambda: made(net=torch.sin), TypeError, "net")
    refused(lambda: made(residual=1.0), TypeError, "residual")
    refused(lambda: made(side=None), TypeError, "side")
    refused(lambda: made(weight=-1.0), ValueError, "weight")
    refused(lambda: made(weight=math.nan), ValueError, "weight")
    refused(lambda: made(weight=None), TypeError, "weight")
    refused(lambda: made()(x.tolist()), TypeError, "x")
    for dtype in (torch.float32, torch.int64, torch.complex128):
        refused(lambda d=dtype: made()(x.to(d)), TypeError, "x")
    for bad in (x[0], x[:0], x / 0):
        refused(lambda bad=bad: made()(bad), ValueError, "x")
    refused(lambda: made(net=nn.Linear(1, 2))(x), ValueError, "net")
    refused(lambda: made(residual=lambda u, x: 1.0)(x), TypeError, "residual")
    refused(lambda: made(residual=lambda u, x: None)(x), TypeError, "residual")
    # the classic mistake: (3, 1) minus (3,) is (3, 3)
    refused(lambda: made(residual=lambda u, x: u - x[:, 0])(x), ValueError, "residual")
    for bad in (lambda u, x: u.sum(), lambda u, x: u[:2], lambda u, x: u[:, :0], lambda u, x: u[..., None]):
        refused(lambda bad=bad: made(residual=bad)(x), ValueError, "residual")
    refused(lambda: made(side=lambda net: 0.0)(x), TypeError, "side")
    refused(lambda: made(side=lambda net: torch.zeros(0))(x), ValueError, "side")


def test_gradient_refuses():
    x = torch.rand(3, 2, requires_grad=True)
    u = x[:, :1] ** 2
    refused(lambda: gradient(u.tolist(), x), TypeError, "u")
    refused(lambda: gradient(u, x.tolist()), TypeError, "x")
    for bad in (x, u[:2], u[:, 0], u.sum()):
        refused(lambda bad=bad: gradient(bad, x), ValueError, "u")
    refused(lambda: gradient(u, x.detach()), ValueError, "x")
    refused(lambda: gradient(u.detach(), x), ValueError, "u")


# --- dtypes and devices ---------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
def test_layers_work_in_the_dtype_and_on_the_device_of_their_weights(dtype, device):
    kind = {"dtype": dtype, "device": device}
    x, u = torch.rand(4, 2, **kind), torch.rand(3, 16, **kind)
    net = HNN(2, 8, separable=True).to(**kind)
    shooting = MultipleShooting(UDE(torch.sin, MLPField(2, 4).to(**kind)), x, 0.1)
    pinn = PINN(nn.Linear(2, 1).to(**kind), lambda u, x: gradient(u, x), lambda net: net(x))
    windows = shooting(torch.zeros(4, 3, 2))
    found = [net(0.0, x), net.energy(x), net.rollout(x, TIMES), FNO1d(4, 3, 2).to(**kind)(u), windows, pinn(x)]
    found += [fourier_interpolation(u, 20), shooting_windows(x, 2), shooting_loss(windows, windows)]
    assert {(f.dtype, f.device.type) for f in found} == {(dtype, device)}
