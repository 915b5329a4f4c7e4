"""The convolutional layers, against closed forms, dense matrices and the theorems that they are built on."""

from __future__ import annotations

import copy
import math
import re

import pytest
import torch
from torch import nn

from helpers.layers import (
    DifferentialConv2d,
    HamiltonianConvBlock,
    HyperbolicBlock,
    ParabolicBlock,
    SymmetricConv2d,
    conv,
    conv_transpose,
    kernel_from_operators,
    operator_basis,
    operator_norm,
    operators_from_kernel,
)
from helpers.layers.convolution import BOUNDARIES

from .support import DEVICES, DTYPES

SOBEL = [[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(params=BOUNDARIES)
def boundary(request):
    return request.param


def identity(z):
    return z


def dense(linear, *shape):
    """The matrix of a linear map of images, one column for every pixel."""
    pixels = torch.eye(math.prod(shape)).reshape(-1, *shape)
    return linear(pixels).detach().flatten(1).T


def jacobian(layer, x):
    j = torch.autograd.functional.jacobian(layer, x)
    return j.reshape(x.numel(), x.numel())


def scaled(layer, factor):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(factor)
    return layer


# --- a convolution, its transpose, its norm -------------------------------------------------------------


def test_a_convolution_reads_ahead_and_the_border_is_what_its_name_says(boundary):
    x, ahead = torch.arange(12.0).reshape(1, 1, 3, 4), torch.zeros(1, 1, 3, 3)
    ahead[0, 0, 1, 2] = 1.0
    last = {"zeros": [0.0, 0.0, 0.0], "replicate": [3.0, 7.0, 11.0], "circular": [0.0, 4.0, 8.0]}[boundary]
    shifted = torch.cat([x[0, 0, :, 1:], torch.tensor(last)[:, None]], dim=1)
    torch.testing.assert_close(conv(x, ahead, boundary)[0, 0], shifted)


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("rows, columns", [(5, 5), (6, 9)])
def test_the_transpose_is_exact(boundary, size, rows, columns):
    kernel = torch.randn(4, 2, size, size)
    x, y = torch.randn(3, 2, rows, columns), torch.randn(3, 4, rows, columns)
    here, there = conv(x, kernel, boundary), conv_transpose(y, kernel, boundary)
    assert (here.shape, there.shape) == (y.shape, x.shape)
    torch.testing.assert_close((here * y).sum((1, 2, 3)), (x * there).sum((1, 2, 3)))
    matrix = dense(lambda x: conv(x, kernel, boundary), 2, rows, columns)
    transpose = dense(lambda y: conv_transpose(y, kernel, boundary), 4, rows, columns)
    torch.testing.assert_close(transpose, matrix.T)


def test_gradients_of_both_maps(boundary):
    kernel = torch.randn(2, 1, 3, 3, requires_grad=True)
    for function, channels in ((conv, 1), (conv_transpose, 2)):
        x = torch.randn(2, channels, 3, 4, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x, k, f=function: f(x, k, boundary), (x, kernel))


def test_the_norm_is_the_top_singular_value(boundary):
    force = SymmetricConv2d(2, 3, boundary=boundary)
    truth = torch.linalg.svdvals(dense(force.apply_K, 2, 8, 8))[0].item()
    assert force.norm((8, 8), 2000) == pytest.approx(truth, rel=1e-6)
    assert truth * 0.99 < force.norm((8, 8)) <= truth * (1 + 1e-12)
    assert 0.9 * truth < force.norm((8, 8), 10) < force.norm((8, 8))
    assert force.running_norm((8, 8)) == pytest.approx(truth, rel=0.01)
    # what one is tempted to take instead
    assert torch.linalg.matrix_norm(force.kernel.flatten(1), 2).item() < 0.95 * truth


def test_the_norm_of_the_laplacian_has_a_closed_form():
    kernel = torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]])
    for boundary, worst in (("circular", 8.0), ("replicate", 8 * math.cos(math.pi / 16) ** 2)):
        maps = [lambda x, f=f, b=boundary: f(x, kernel, b) for f in (conv, conv_transpose)]
        assert operator_norm(*maps, torch.randn(1, 1, 8, 8), 500) == pytest.approx(worst, rel=1e-4)


def test_the_norm_of_zero_is_zero():
    force = scaled(SymmetricConv2d(2), 0.0)
    assert force.norm((4, 4)) == force.running_norm((4, 4)) == 0.0
    for kind in (ParabolicBlock, HyperbolicBlock, HamiltonianConvBlock):
        assert scaled(kind(2), 0.0).step_limit((4, 4)) == math.inf
    block, x = scaled(ParabolicBlock(2, limit="shorten"), 0.0), torch.randn(1, 2, 4, 4)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("change", [0.2, 5.0])
def test_the_running_norm_follows_the_weights_and_the_size(boundary, change):
    force = SymmetricConv2d(2, 3, boundary=boundary)
    for size in [(8, 8)] * 12 + [(5, 7)] + [(6, 6)] * 3:
        with torch.no_grad():
            force.kernel.add_(change * force.kernel.abs().mean() * torch.randn_like(force.kernel))
        truth = torch.linalg.svdvals(dense(force.apply_K, 2, *size))[0].item()
        assert 0.99 * truth < force.running_norm(size) <= truth * (1 + 1e-12)


def test_the_running_norm_survives_weights_that_are_no_numbers():
    force = SymmetricConv2d(2)
    good, size = force.kernel.detach().clone(), (5, 5)
    for bad in (math.nan, 0.0):
        with torch.no_grad():
            force.kernel.fill_(bad)
            force.running_norm(size)
            force.kernel.copy_(good)
        assert force.running_norm(size) == pytest.approx(force.norm(size), rel=1e-3)


# --- kernels as differential operators ------------------------------------------------------------------


@pytest.mark.parametrize("i", range(3))
@pytest.mark.parametrize("j", range(3))
def test_the_nine_operators_converge_at_second_order(i, j):
    def error(n):
        t = 2 * math.pi / n * torch.arange(n)
        # f, f' and −f'' of e^(sin x), along the columns, and of sin y + cos 2y, along the rows
        f = torch.exp(t.sin()) * torch.stack([torch.ones(n), t.cos(), t.sin() - t.cos() ** 2])
        g = torch.stack([t.sin() + (2 * t).cos(), t.cos() - 2 * (2 * t).sin(), t.sin() + 4 * (2 * t).cos()])
        beta = torch.zeros(1, 1, 3, 3)
        beta[0, 0, i, j] = 1.0
        layer = DifferentialConv2d.from_coefficients(beta, spacing=2 * math.pi / n, boundary="circular")
        return (layer(torch.outer(g[0], f[0])[None, None])[0, 0] - torch.outer(g[i], f[j])).abs().max().item()

    assert math.log2(error(64) / error(128)) == pytest.approx(2, abs=0.03)


@pytest.mark.parametrize("spacing", [1.0, 0.1])
@pytest.mark.parametrize("shape", [(3,), (3, 3), (4, 2, 3, 3)], ids=str)
def test_every_kernel_is_exactly_one_combination(shape, spacing):
    kernel, beta = torch.randn(shape), torch.randn(shape)
    torch.testing.assert_close(kernel_from_operators(operators_from_kernel(kernel, spacing), spacing), kernel)
    torch.testing.assert_close(operators_from_kernel(kernel_from_operators(beta, spacing), spacing), beta)
    assert torch.linalg.det(operator_basis(spacing)).abs().item() == pytest.approx(1 / spacing**3)


def test_known_kernels_are_known_operators():
    expected = torch.zeros(3, 3)
    expected[0, 1] = 1.0
    torch.testing.assert_close(operators_from_kernel(torch.tensor(SOBEL) / 8), expected)
    torch.testing.assert_close(operators_from_kernel(torch.tensor(SOBEL).T / 8), expected.T)
    # −∂xx − ∂yy of this basis is averaged along the other axis; the five-point star has ½ ∂xxyy more
    star = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    beta = torch.zeros(3, 3)
    beta[0, 2] = beta[2, 0] = 1.0
    beta[2, 2] = 0.5
    torch.testing.assert_close(operators_from_kernel(star), beta)
    torch.testing.assert_close(kernel_from_operators(torch.tensor([0.0, 1.0, 0.0]), 0.5), torch.tensor([-1.0, 0, 1]))


def test_the_symbol_is_what_the_layer_does_to_waves():
    n = 6
    layer = DifferentialConv2d(2, 3, spacing=0.3, boundary="circular")
    symbol, t = layer.symbol(n), 2 * math.pi / n * torch.arange(n)
    assert symbol.shape == (3, 2, n, n) and symbol.is_complex()
    for p in range(n):
        for q in range(n):
            angle = p * t[:, None] + q * t
            for channel in range(2):
                wave = torch.zeros(2, 2, n, n)
                wave[0, channel], wave[1, channel] = angle.cos(), angle.sin()
                real, imaginary = layer(wave)
                expected = symbol[:, channel, p, q, None, None] * torch.exp(1j * angle)
                torch.testing.assert_close(torch.complex(real, imaginary), expected)


def test_the_symbol_agrees_with_fft_and_holds_the_norm():
    layer, x = DifferentialConv2d(2, 3, boundary="circular"), torch.randn(4, 2, 7, 7)
    symbol = layer.symbol(7)
    expected = torch.einsum("oipq,bipq->bopq", symbol, torch.fft.fft2(x))
    torch.testing.assert_close(torch.fft.fft2(layer(x)), expected)
    top = torch.linalg.svdvals(symbol.permute(2, 3, 0, 1)).max()
    torch.testing.assert_close(top, torch.linalg.svdvals(dense(layer, 2, 7, 7))[0])


def test_the_symbol_of_the_derivative_in_closed_form():
    beta = torch.zeros(1, 1, 3, 3)
    beta[0, 0, 0, 1] = 1.0
    spacing, n = 0.25, 8
    symbol = DifferentialConv2d.from_coefficients(beta, spacing=spacing).symbol(n)[0, 0]
    t = 2 * math.pi / n * torch.arange(n)
    torch.testing.assert_close(symbol, torch.outer((1 + t.cos()) / 2, 1j * t.sin() / spacing))


def test_the_operator_and_not_the_kernel_survives_a_change_of_resolution():
    coarse = DifferentialConv2d.from_kernel(
        torch.tensor(SOBEL)[None, None], spacing=2 * math.pi / 32, boundary="circular"
    )

    def response(layer, n):
        t = 2 * math.pi / n * torch.arange(n)
        return layer(torch.outer(t.cos(), t.sin())[None, None]).abs().max().item()

    fine = coarse.at_spacing(2 * math.pi / 128)
    assert response(fine, 128) == pytest.approx(response(coarse, 32), rel=0.02)
    assert response(coarse, 128) == pytest.approx(response(coarse, 32) / 4, rel=0.02)
    assert fine.boundary == "circular" and fine.spacing == 2 * math.pi / 128


def test_from_kernel_is_the_convolution_and_the_start_is_torchs():
    kernel = torch.randn(4, 2, 3, 3)
    layer, x = DifferentialConv2d.from_kernel(kernel, spacing=0.2), torch.randn(3, 2, 6, 5)
    torch.testing.assert_close(layer(x), nn.functional.conv2d(x, kernel, padding=1))
    torch.manual_seed(3)
    ours = DifferentialConv2d(2, 4, spacing=0.01).kernel
    torch.manual_seed(3)
    torch.testing.assert_close(ours, nn.Conv2d(2, 4, 3, bias=False).weight)


def test_orders_hold_in_training_and_at_another_spacing():
    layer = DifferentialConv2d(2, 2, orders=[(0, 2), (2, 0)], boundary="replicate")
    allowed = torch.zeros(3, 3, dtype=torch.bool)
    allowed[0, 2] = allowed[2, 0] = True
    with torch.no_grad():
        layer.coefficients.add_(1.0)
    layer(torch.randn(1, 2, 4, 4)).square().sum().backward()
    assert (layer.coefficients.grad[..., ~allowed] == 0).all() and (layer.coefficients.grad[..., allowed] != 0).all()
    for each in (layer, layer.at_spacing(0.5)):
        assert (operators_from_kernel(each.kernel, each.spacing)[..., ~allowed].abs() < 1e-12).all()
        assert each.orders == ((0, 2), (2, 0)) and each.boundary == "replicate"
        # a diffusion does nothing to a constant
        torch.testing.assert_close(each(torch.ones(1, 2, 4, 4)), torch.zeros(1, 2, 4, 4))


# --- a diffusion ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [identity, torch.tanh], ids=["identity", "tanh"])
def test_the_force_is_the_gradient_of_a_potential(boundary, activation):
    force, x = scaled(SymmetricConv2d(2, 3, activation=activation, boundary=boundary), 3.0), torch.randn(4, 2, 5, 6)
    x.requires_grad_()
    z = nn.functional.pad(x, [1] * 4, mode="constant" if boundary == "zeros" else boundary)
    z = nn.functional.conv2d(z, force.kernel, force.bias)
    potential = z.square().sum() / 2 if activation is identity else torch.log(torch.cosh(z)).sum()
    torch.testing.assert_close(force(x), torch.autograd.grad(potential, x)[0])
    j = jacobian(lambda x: force(x[None])[0], torch.randn(2, 4, 4))
    torch.testing.assert_close(j, j.T)
    assert torch.linalg.eigvalsh(j)[0] > -1e-12


def test_the_parabolic_limit_is_sharp(boundary):
    block = ParabolicBlock(2, 3, activation=identity, boundary=boundary)
    _, values, vectors = torch.linalg.svd(dense(block.force.apply_K, 2, 8, 8))
    top, x = vectors[0].reshape(1, 2, 8, 8), torch.randn(1, 2, 8, 8)
    for product, gain in ((1.0, 0.0), (2.0, 1.0), (2.1, 1.1)):
        block.step = product / values[0].item() ** 2
        assert (block(x + top) - block(x)).norm().item() == pytest.approx(gain, abs=1e-10)
    assert block.step_limit((8, 8)) == pytest.approx(2 / values[0].item() ** 2, rel=0.01)
    assert block.step_limit((8, 8)) >= 2 / values[0].item() ** 2 * (1 - 1e-12)


def test_below_the_limit_no_two_images_move_apart():
    block = scaled(ParabolicBlock(2, 3), 3.0)
    block.step = 2 / torch.linalg.svdvals(dense(block.force.apply_K, 2, 6, 6))[0].item() ** 2
    for spread in (0.1, 1.0, 10.0):
        j = jacobian(lambda x: block(x[None])[0], spread * torch.randn(2, 6, 6))
        assert torch.linalg.matrix_norm(j, 2) <= 1 + 1e-12


# --- waves ----------------------------------------------------------------------------------------------


def difference(courant):
    """∂ₜₜu = ∂ₓₓu on a circle, K the forward difference along the rows of an image: leapfrog of that Courant number."""
    block = HyperbolicBlock(1, step=courant, activation=identity, boundary="circular")
    with torch.no_grad():
        block.force.kernel.zero_()
        block.force.kernel[0, 0, 1] = torch.tensor([0.0, -1.0, 1.0])
        block.force.bias.zero_()
    return block


@torch.no_grad()
def test_at_courant_number_one_the_block_is_dalemberts_solution():
    right, left = torch.randn(2, 1, 1, 3, 64)
    block = difference(1.0)
    state = right.roll(-1, -1) + left.roll(1, -1), right + left
    for n in range(1, 101):
        state = block(state)
        torch.testing.assert_close(state[1], right.roll(n, -1) + left.roll(-n, -1), atol=1e-10, rtol=0)
    assert block.step_limit((3, 64)) == pytest.approx(1, rel=2e-3)


@torch.no_grad()
@pytest.mark.parametrize("courant", [0.1, 0.5, 0.9])
def test_a_standing_wave_has_the_frequency_of_the_scheme(courant):
    k, block = 2 * math.pi * 5 / 64, difference(courant)
    x = (k * torch.arange(64)).cos().expand(1, 1, 3, 64)
    theta, state = 2 * math.asin(courant * math.sin(k / 2)), (x, x)
    for n in range(1, 101):
        state = block(state)
        torch.testing.assert_close(state[1], math.cos((n + 0.5) * theta) / math.cos(theta / 2) * x)


@torch.no_grad()
def test_a_wave_is_bounded_below_the_courant_number_one_and_explodes_above():
    x = torch.randn(1, 1, 3, 64)

    def largest(courant):
        block, state, found = difference(courant), (x, x), 0.0
        for _ in range(1000):
            state = block(state)
            found = max(found, (state[1].norm() / x.norm()).item())
        return found

    # a wave of frequency θ that starts at rest is cos((n + ½)θ)/cos(θ/2), and sin(θ/2) ≤ .999
    assert largest(0.999) <= 1 / math.sqrt(1 - 0.999**2)
    assert largest(1.001) > 1e6


@torch.no_grad()
def test_hamiltonian_conv_block_in_closed_form():
    block = HamiltonianConvBlock(2, kernel_size=1, step=0.5, activation=identity)
    for force in (block.first, block.second):
        force.kernel.fill_(2.0)
        force.bias.zero_()
    y, z = torch.randn(2, 3, 1, 4, 4)
    after = y + 0.5 * 4 * z
    torch.testing.assert_close(block(torch.cat([y, z], 1)), torch.cat([after, z - 0.5 * 4 * after], 1))
    assert block.step_limit((4, 4)) == pytest.approx(2 / (2 * 2))
    for step, bounded in ((0.499, True), (0.501, False)):
        block.step, x = step, torch.cat([y, z], 1)
        for _ in range(500):
            x = block(x)
        assert (x.norm() < 100 * y.norm()).item() is bounded


def test_the_hamiltonian_block_is_symplectic():
    block = scaled(HamiltonianConvBlock(2, 3, step=0.7), 2.0)
    j = jacobian(lambda x: block(x[None])[0], torch.randn(2, 4, 4))
    zero, one = torch.zeros(16, 16), torch.eye(16)
    omega = torch.cat([torch.cat([zero, one], 1), torch.cat([-one, zero], 1)])
    torch.testing.assert_close(j.T @ omega @ j, omega, atol=1e-10, rtol=0)


@pytest.mark.parametrize("limit", ["ignore", "shorten"])
@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_thirty_untied_layers_run_backwards(limit, training):
    for kind in (HyperbolicBlock, HamiltonianConvBlock):
        blocks = [kind(4, 3, step=0.3, limit=limit).train(training) for _ in range(30)]
        if limit == "shorten":
            blocks = [scaled(block, 5.0) for block in blocks]
        one, two = torch.randn(2, 3, 4, 6, 6)
        start = state = (one, two) if kind is HyperbolicBlock else one
        for block in blocks:
            state = block(state)
        size = max(float(part.abs().max()) for part in state)
        for block in reversed(blocks):
            state = block.inverse(state)
        torch.testing.assert_close(state, start, atol=1e-11 * size, rtol=0)


# --- the limit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_a_shortened_step_never_expands_whatever_the_weights_became(training, boundary):
    block = ParabolicBlock(2, 3, step=1.0, limit="shorten", activation=identity, boundary=boundary).train(training)
    x = torch.randn(4, 2, 8, 8)

    def gain():
        return torch.linalg.matrix_norm(jacobian(lambda x: block(x[None])[0], torch.zeros(2, 8, 8)), 2).item()

    block(x)
    scaled(block, 10.0)
    pair = torch.randn(2, 4, 2, 8, 8)
    distance = (pair[0] - pair[1]).flatten(1).norm(dim=1)
    assert ((block(pair[0]) - block(pair[1])).flatten(1).norm(dim=1) <= distance).all()
    assert gain() <= 1
    block.limit = "ignore"
    assert gain() > 10
    block.limit = "shorten"
    with torch.no_grad():
        block.force.kernel.copy_(torch.randn_like(block.force.kernel))
    assert gain() <= 1
    block.force.activation = torch.tanh
    assert torch.linalg.matrix_norm(jacobian(lambda x: block(x[None])[0], torch.randn(2, 8, 8)), 2) <= 1


def test_a_step_below_the_limit_is_not_shortened_and_one_above_is_one_percent_short():
    x = torch.randn(1, 2, 6, 6)
    for power, make in ((2, ParabolicBlock), (1, HyperbolicBlock)):
        block = make(2, limit="shorten").eval()
        limit, state = block.step_limit((6, 6)), x if power == 2 else (x, x)
        twin = copy.deepcopy(block)
        twin.limit = "ignore"
        block.step = twin.step = 0.9 * limit
        torch.testing.assert_close(block(state), twin(state), rtol=0, atol=0)
        block.step, twin.step = 7 * limit, limit / 1.01**power
        torch.testing.assert_close(block(state), twin(state))


def test_shorten_has_no_gradient_through_the_norm_and_stores_nothing():
    block, x = scaled(ParabolicBlock(2, limit="shorten"), 5.0), torch.randn(1, 2, 5, 5)
    block(x).sum().backward()
    shortened = block.force.kernel.grad.clone()
    twin = copy.deepcopy(block)
    twin.limit, twin.step = "ignore", block._step_at((5, 5))
    twin.zero_grad()
    twin(x).sum().backward()
    torch.testing.assert_close(shortened, twin.force.kernel.grad)
    assert sorted(block.state_dict()) == ["force.bias", "force.kernel"]
    other = ParabolicBlock(2, limit="shorten")
    other.load_state_dict(block.state_dict())
    assert torch.equal(other.eval()(x), block.eval()(x))
    assert torch.equal(block.train()(x), block(x)), "a second pass with the same weights takes another step"


@pytest.mark.parametrize("kind", [ParabolicBlock, HyperbolicBlock, HamiltonianConvBlock])
def test_raise_refuses_a_step_above_the_limit(kind):
    block, x = kind(2, limit="raise"), torch.randn(1, 2, 6, 7)
    state = (x, x) if kind is HyperbolicBlock else x
    block.step = block.step_limit((6, 7))
    block(state)
    scaled(block, 1.001)
    limit = block.step_limit((6, 7))
    sentence = f"step must be at most {limit:.6g} on images of 6 × 7; got {block.step:.6g}"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        block(state)
    block.limit = "ignore"
    block(state)


# --- what every layer promises --------------------------------------------------------------------------

LAYERS = {
    "DifferentialConv2d": lambda: DifferentialConv2d(2, 2, spacing=0.5, boundary="replicate"),
    "SymmetricConv2d": lambda: SymmetricConv2d(2, 3, kernel_size=5),
    "ParabolicBlock": lambda: ParabolicBlock(2, 3, step=0.1),
    "ParabolicBlock, shorten": lambda: ParabolicBlock(2, 3, step=50.0, limit="shorten"),
    "ParabolicBlock, raise": lambda: ParabolicBlock(2, 3, step=0.01, limit="raise"),
    "HyperbolicBlock": lambda: HyperbolicBlock(2, step=0.5, boundary="circular"),
    "HamiltonianConvBlock": lambda: HamiltonianConvBlock(2, step=0.5, activation=nn.ReLU()),
}


@pytest.fixture(params=LAYERS, ids=str)
def make(request):
    return LAYERS[request.param]


def on_images(layer, x):
    return layer((0.5 * x, x))[1] if isinstance(layer, HyperbolicBlock) else layer(x)


class OnImages(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return on_images(self.layer, x)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtype_and_device_follow_the_input_also_after_a_first_pass(make, dtype, device):
    layer, x = make(), torch.randn(3, 2, 6, 5)
    on_images(layer, x)
    layer, x = layer.to(device, dtype), x.to(device, dtype)
    before = x.clone()
    y = on_images(layer, x)
    assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)
    assert torch.equal(x, before), "the input was changed in place"
    if hasattr(layer, "symbol"):
        assert (layer.symbol(4).dtype, layer.symbol(4).device) == (dtype.to_complex(), x.device)
        assert layer.at_spacing(0.1)(x).dtype == DifferentialConv2d.from_kernel(layer.kernel)(x).dtype == dtype


def test_the_images_of_a_batch_do_not_meet(make):
    layer, x = make().eval(), torch.randn(4, 2, 6, 5)
    torch.testing.assert_close(on_images(layer, x)[2:3], on_images(layer, x[2:3]))


def test_gradients_of_input_and_parameters(make):
    module = OnImages(make())
    parameters = dict(module.named_parameters())
    if getattr(module.layer, "limit", None) == "shorten":
        del parameters["layer.force.kernel"]  # no gradient runs through the norm
    names, values = zip(*parameters.items(), strict=True)

    def output(x, *parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), x)

    assert torch.autograd.gradcheck(output, (torch.randn(1, 2, 5, 5, requires_grad=True), *values), atol=1e-5)


def test_state_dict_copies_and_the_words_of_print(make):
    first, second, x = make().eval(), make().eval(), torch.randn(1, 2, 5, 5)
    assert not torch.equal(on_images(first, x), on_images(second, x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(on_images(first, x), on_images(second, x))
    scaled(copy.deepcopy(first), 2.0)
    assert torch.equal(on_images(first, x), on_images(second, x))
    assert type(first).__name__ in repr(first)


@pytest.mark.parametrize("shape", [(1, 3, 6, 6), (1, 2, 2, 6), (1, 2, 6, 2), (2, 6, 6)], ids=str)
def test_images_of_the_wrong_shape(make, shape):
    side = 5 if "kernel_size=5" in repr(make()) else 3
    sentence = f"x must have the shape (batch, 2, rows, columns), no side below {side}; got {shape}"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        on_images(make(), torch.zeros(shape))


# --- what is refused ------------------------------------------------------------------------------------

X, K = torch.zeros(1, 2, 6, 6), torch.zeros(3, 2, 3, 3)
REFUSED = {
    "even kernel": (lambda: conv(X, torch.zeros(3, 2, 4, 4)), "kernel must have .* k odd; got (3, 2, 4, 4)"),
    "kernel of two axes": (lambda: conv(X, torch.zeros(3, 3)), "kernel must have .* k odd; got (3, 3)"),
    "kernel no square": (lambda: conv_transpose(X, torch.zeros(3, 2, 3, 5)), "kernel must .*; got (3, 2, 3, 5)"),
    "conv's channels": (lambda: conv(torch.zeros(1, 3, 6, 6), K), "x must .* (batch, 2, .*; got (1, 3, 6, 6)"),
    "its transpose's": (lambda: conv_transpose(X, K), "y must have .* (batch, 3, .*; got (1, 2, 6, 6)"),
    "conv's boundary": (lambda: conv(X, K, "mirror"), "boundary must be one of .*'circular'; got 'mirror'"),
    "boundary": (lambda: DifferentialConv2d(2, 2, boundary="same"), "boundary must be one of .*; got 'same'"),
    "boundary of K": (lambda: ParabolicBlock(2, boundary="reflect"), "boundary must be one of .*; got 'reflect'"),
    "even size": (lambda: ParabolicBlock(2, kernel_size=4), "kernel_size must be odd, .*; got 4"),
    "iterations": (lambda: SymmetricConv2d(2).norm((6, 6), 0), "iterations must be .* at least 1; got 0"),
    "start": (lambda: operator_norm(identity, identity, X), "start must have an entry .*; got zeros only"),
    "limit": (lambda: HyperbolicBlock(2, limit="keep"), "limit must be one of 'ignore', 'raise', .*; got 'keep'"),
    "step 0": (lambda: ParabolicBlock(2, step=0.0), "step must be positive and finite; got 0.0"),
    "step inf": (lambda: HyperbolicBlock(2, step=math.inf), "step must be positive and finite; got inf"),
    "step nan": (lambda: HamiltonianConvBlock(2, step=math.nan), "step must be positive and finite; got nan"),
    "spacing": (lambda: DifferentialConv2d(1, 1, spacing=0), "spacing must be positive and finite; got 0"),
    "spacing of at_spacing": (lambda: DifferentialConv2d(1, 1).at_spacing(-1.0), "spacing must be .*; got -1.0"),
    "spacing of a kernel": (lambda: operators_from_kernel(K, -2.0), "spacing must be positive and finite; got -2.0"),
    "odd channels": (lambda: HamiltonianConvBlock(3), "channels must be even, .*; got 3"),
    "no channels": (lambda: SymmetricConv2d(0), "channels must be a whole number, at least 1; got 0"),
    "nothing hidden": (lambda: ParabolicBlock(2, 0), "hidden must be a whole number, at least 1; got 0"),
    "pair of shapes": (lambda: HyperbolicBlock(2)((X, X[..., 1:])), "state must be .* and (1, 2, 6, 5)"),
    "size": (lambda: ParabolicBlock(2).step_limit((6, 2)), "size must be a whole number, at least 3; got 2"),
    "n": (lambda: DifferentialConv2d(1, 1).symbol(2), "n must be a whole number, at least 3; got 2"),
    "5 × 5 kernel": (
        lambda: operators_from_kernel(torch.zeros(5, 5)),
        "kernel must .* (..., 3, 3) or (3,); got (5, 5)",
    ),
    "five coefficients": (lambda: kernel_from_operators(torch.zeros(5)), "coefficients must have .*; got (5,)"),
    "from a 3 × 3": (lambda: DifferentialConv2d.from_kernel(torch.zeros(3, 3)), "kernel must .*; got (3, 3)"),
    "from 5 × 5": (lambda: DifferentialConv2d.from_kernel(torch.zeros(1, 1, 5, 5)), "kernel must .*(1, 1, 5, 5)"),
    "coefficients": (lambda: DifferentialConv2d.from_coefficients(torch.zeros(3)), "coefficients must .*; got (3,)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refuses(what):
    call, sentence = REFUSED[what]
    with pytest.raises(ValueError, match=re.escape(sentence).replace(r"\.\*", ".*")):
        call()


@pytest.mark.parametrize("orders", [[], [(0, 3)], [(-1, 0)], [(1,)], [0, 1], [(0, 1, 2)], ["01"], [(0.5, 1)]], ids=str)
def test_orders_are_pairs_of_0_1_2(orders):
    sentence = f"orders must be pairs (i, j) of 0, 1 or 2, at least one pair; got {orders}"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        DifferentialConv2d(1, 1, orders=orders)


@pytest.mark.parametrize(
    "state, given", [(torch.zeros(2, 2, 6, 6), "Tensor"), ((X,), "1 entries"), ((X,) * 3, "3 entr")]
)
def test_the_state_of_a_wave_is_a_pair(state, given):
    for call in (HyperbolicBlock(2).forward, HyperbolicBlock(2).inverse):
        with pytest.raises(TypeError, match=rf"state must be a pair \(one step ago, now\); got {given}"):
            call(state)


def test_the_activation_is_a_function():
    with pytest.raises(TypeError, match="activation must be a function of a tensor; got 'tanh'"):
        SymmetricConv2d(2, activation="tanh")
