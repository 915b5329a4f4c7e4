"""The stable layers, against the theorems that they are built on, and certificates against exact distances."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.attacks import pgd
from helpers.layers import (
    AntisymmetricField,
    AntisymmetricLinear,
    AntisymmetricRNNCell,
    ConvexPotentialLayer,
    HamiltonianBlock,
    ImplicitEulerBlock,
    MLPField,
    ResidualStack,
    certified_accuracy,
    certified_radius,
    power_iteration,
    spectral_norm,
)
from helpers.solvers import odeint

from .support import DEVICES, DTYPES

few = settings(max_examples=25)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(11)
    yield
    torch.set_default_dtype(torch.float32)


def jacobian(layer, x):
    return torch.autograd.functional.jacobian(layer, x)


def scaled(layer, factor):
    """The layer with its weights and biases multiplied, so that nothing is nearly linear."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(factor)
    return layer


# --- what every layer promises --------------------------------------------------------------------------

LAYERS = {
    "AntisymmetricLinear": lambda: AntisymmetricLinear(4, 0.2),
    "antisymmetric stack": lambda: ResidualStack(4, 3, tied=False, field=AntisymmetricField),
    "HamiltonianBlock": lambda: HamiltonianBlock(4, 3, hidden=5),
    "HamiltonianBlock leapfrog": lambda: HamiltonianBlock(4, 3, method="leapfrog"),
    "ConvexPotentialLayer": lambda: ConvexPotentialLayer(4, 5, activation=nn.Tanh),
    "ConvexPotentialLayer, power iteration": lambda: ConvexPotentialLayer(4, 5, power_iterations=2).eval(),
    "ImplicitEulerBlock": lambda: ImplicitEulerBlock(MLPField(4, 5), horizon=0.7, depth=2),
}


@pytest.fixture(params=LAYERS, ids=str)
def make(request):
    return LAYERS[request.param]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4)], ids=str)
def test_takes_any_leading_axes_and_keeps_dtype_and_device(make, shape, dtype, device):
    layer = make().to(device, dtype)
    x = torch.linspace(-1, 1, torch.Size(shape).numel(), dtype=dtype, device=device).reshape(shape)
    before = x.clone()
    y = layer(x)
    assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)
    assert torch.equal(x, before), "the input was changed in place"


def test_gradients_of_input_and_parameters(make):
    layer = make()
    names, values = zip(*layer.named_parameters(), strict=True)

    def output(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), x)

    assert torch.autograd.gradcheck(output, (torch.randn(2, 4, requires_grad=True), *values), atol=1e-5)


def test_state_dict_and_copies(make):
    first, second, x = make(), make(), torch.randn(3, 4)
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))
    scaled(copy.deepcopy(first), 2.0)
    assert torch.equal(first(x), second(x))


def test_wrong_number_of_features(make):
    with pytest.raises(ValueError, match=r"takes states of shape \(\.\.\., 4\); got \(2, 3\)"):
        make()(torch.zeros(2, 3))


# --- antisymmetric --------------------------------------------------------------------------------------


def test_antisymmetric_linear_is_the_formula():
    layer, x = AntisymmetricLinear(5, 0.3), torch.randn(7, 5)
    matrix = layer.weight - layer.weight.T - 0.3 * torch.eye(5)
    torch.testing.assert_close(layer.matrix, matrix)
    torch.testing.assert_close(layer(x), x @ matrix.T + layer.bias)
    assert AntisymmetricLinear(5, bias=False).bias is None


@few
@given(seed=seeds, damping=st.floats(0, 2))
def test_eigenvalues_have_the_real_part_minus_gamma(seed, damping):
    torch.manual_seed(seed)
    layer = scaled(AntisymmetricLinear(6, damping), 5.0)
    real = torch.linalg.eigvals(layer.matrix.detach()).real
    torch.testing.assert_close(real, torch.full((6,), -damping), atol=1e-10, rtol=0)


def test_the_euler_limit_is_sharp():
    layer = scaled(AntisymmetricLinear(6, 0.4), 3.0)
    matrix, limit = layer.matrix.detach(), layer.euler_limit()

    def radius(step):
        return torch.linalg.eigvals(torch.eye(6) + step * matrix).abs().max().item()

    assert radius(0.999 * limit) < 1 < radius(1.001 * limit)
    assert AntisymmetricLinear(6).euler_limit() == 0.0


def test_one_frequency_in_closed_form():
    layer = AntisymmetricLinear(2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.3, 1.5], [-0.5, 9.0]]))  # ω = 2: the diagonal has no effect
    x, step = torch.tensor([1.0, 0.0]), 0.1
    for _ in range(200):
        x = x + step * layer(x)
    assert x.norm().item() == pytest.approx((1 + (step * 2) ** 2) ** 100, rel=1e-10)
    layer.damping = 0.5
    assert layer.euler_limit() == pytest.approx(2 * 0.5 / (0.25 + 4))


def test_the_rnn_cell_is_eulers_step_and_is_called_as_torchs():
    cell, ours = nn.RNNCell(3, 5), AntisymmetricRNNCell(3, 5, step=0.2, damping=0.7)
    u, h = torch.randn(4, 3), torch.randn(4, 5)
    matrix = ours.recurrent.weight - ours.recurrent.weight.T - 0.7 * torch.eye(5)
    expected = h + 0.2 * torch.tanh(h @ matrix.T + u @ ours.input.weight.T + ours.input.bias)
    torch.testing.assert_close(ours(u, h), expected)
    for arguments in ((u, h), (u,), (u[0], h[0]), (u[0],)):
        assert ours(*arguments).shape == cell(*arguments).shape
    torch.testing.assert_close(ours(u), ours(u, torch.zeros(4, 5)))
    with pytest.raises(ValueError, match=r"hx must have the shape \(4, 5\); got \(5,\)"):
        ours(u, h[0])
    with pytest.raises(ValueError, match=r"input must have the shape \(batch, 3\)"):
        ours(torch.zeros(4, 2))


# --- Hamiltonian ----------------------------------------------------------------------------------------


def omega(features):
    half = features // 2
    zero, identity = torch.zeros(half, half), torch.eye(half)
    return torch.cat([torch.cat([zero, identity], 1), torch.cat([-identity, zero], 1)])


@pytest.mark.parametrize("method", ["symplectic_euler", "leapfrog"])
@pytest.mark.parametrize("depth", [1, 60])
def test_the_jacobian_is_symplectic_and_does_not_vanish(method, depth):
    block = scaled(HamiltonianBlock(8, depth, step=0.3, hidden=6, method=method), 2.0)
    j = jacobian(block, torch.randn(8))
    values = torch.linalg.svdvals(j)
    torch.testing.assert_close(j.T @ omega(8) @ j, omega(8), atol=1e-9 * values[0].item() ** 2, rtol=0)
    assert values[0] > 1.01
    torch.testing.assert_close(values * values.flip(0), torch.ones(8), atol=1e-8 * values[0].item(), rtol=0)


@pytest.mark.parametrize("method, order", [("symplectic_euler", 1), ("leapfrog", 2)])
def test_order_energy_and_inverse(method, order):
    fine = scaled(HamiltonianBlock(4, 1, step=1.0, method=method), 2.0)
    x = torch.randn(6, 4)

    def field(t, x):
        q, p = x.chunk(2, dim=-1)
        return torch.cat([fine.kinetic.gradient(p), -fine.potential.gradient(q)], dim=-1)

    exact = odeint(field, x, torch.tensor([0.0, 1.0]), rtol=1e-12, atol=1e-12)[-1]
    torch.testing.assert_close(fine.hamiltonian(exact), fine.hamiltonian(x))
    errors = []
    for depth in (20, 40):
        fine.depth, fine.step = depth, 1 / depth
        errors.append((fine(x) - exact).abs().max().item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)
    torch.testing.assert_close(fine.inverse(fine(x)), x, atol=1e-12, rtol=0)


def test_the_gradient_is_that_of_the_hamiltonian_which_does_not_overflow():
    block = scaled(HamiltonianBlock(6, hidden=4), 3.0)
    x = torch.randn(6, requires_grad=True)
    (gradient,) = torch.autograd.grad(block.hamiltonian(x), x)
    q, p = x.chunk(2)
    torch.testing.assert_close(gradient, torch.cat([block.potential.gradient(q), block.kinetic.gradient(p)]))
    assert torch.isfinite(block.hamiltonian(1e6 * x))
    z = block.potential.linear(q)
    torch.testing.assert_close(block.potential(q), torch.log(torch.cosh(z)).sum())


def test_hamiltonian_block_refuses():
    with pytest.raises(ValueError, match="features must be even"):
        HamiltonianBlock(5)
    with pytest.raises(ValueError, match="method must be one of symplectic_euler, leapfrog; got 'rk4'"):
        HamiltonianBlock(4, method="rk4")


# --- convex potential -----------------------------------------------------------------------------------


def test_power_iteration_is_a_lower_bound_that_grows_to_the_norm():
    matrix, start = torch.randn(12, 9), torch.randn(9)
    bounds = [power_iteration(matrix, n, start)[0].item() for n in (1, 2, 5, 20, 300)]
    truth = torch.linalg.svdvals(matrix)[0].item()
    assert bounds[0] < 0.99 * truth
    assert bounds == sorted(bounds) and bounds[-1] <= truth * (1 + 1e-12)
    assert bounds[-1] == pytest.approx(truth, rel=1e-9)
    estimate, u, v = power_iteration(matrix, 1, start)
    # also far from the limit: u belongs to the v that is returned, and the bound to both
    torch.testing.assert_close(u, matrix @ v / (matrix @ v).norm())
    torch.testing.assert_close(estimate, (matrix @ v).norm())
    estimate, u, v = power_iteration(matrix.requires_grad_(), 500, start)
    (gradient,) = torch.autograd.grad(estimate, matrix)
    torch.testing.assert_close(gradient, torch.outer(u, v))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_spectral_norm_is_never_too_small(dtype):
    for rows, columns in ((1, 1), (3, 8), (64, 64), (100, 7)):
        matrix = torch.randn(rows, columns, dtype=dtype)
        truth = torch.linalg.svdvals(matrix.double())[0].item()
        assert truth <= spectral_norm(matrix).item() <= truth * (1 + 300 * torch.finfo(dtype).eps)


def test_convex_potential_layer_is_the_formula():
    layer, x = ConvexPotentialLayer(4, 7), torch.randn(5, 4)
    weight, bias = layer.weight, layer.bias
    step = 2 / torch.linalg.svdvals(weight)[0] ** 2
    torch.testing.assert_close(layer(x), x - step * torch.relu(x @ weight.T + bias) @ weight)


@few
@given(seed=seeds, scale=st.floats(1e-3, 1e3), activation=st.sampled_from([nn.ReLU, nn.Tanh, nn.Identity]))
def test_gain_is_at_most_one_everywhere_in_training_and_out_of_it(seed, scale, activation):
    torch.manual_seed(seed)
    layer = scaled(ConvexPotentialLayer(6, 9, activation=activation), scale)
    for mode in (True, False):
        j = jacobian(layer.train(mode), torch.randn(6))
        assert torch.linalg.svdvals(j)[0] <= 1 + 1e-12


def test_the_step_is_sharp():
    layer = ConvexPotentialLayer(6, 9)
    with torch.no_grad():
        layer.bias.fill_(100.0)  # all units active: slope 1
    _, _, v = torch.linalg.svd(layer.weight.detach())
    gain = jacobian(layer, torch.zeros(6)) @ v[0]
    assert gain.norm().item() == pytest.approx(1, rel=1e-12)
    torch.testing.assert_close(gain, -v[0])


def test_with_power_iteration_only_eval_mode_is_certified():
    layer = ConvexPotentialLayer(30, power_iterations=1)
    with torch.no_grad():
        layer.bias.fill_(100.0)
    x = torch.zeros(30)

    def gain():
        return torch.linalg.svdvals(jacobian(layer, x))[0].item()

    assert gain() > 1.01, "a lower bound of the norm makes the step too long"
    for _ in range(500):
        layer(x)
    assert gain() == pytest.approx(1, abs=1e-3)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(30, 30))
    assert layer.eval() and gain() <= 1 + 1e-12


def test_the_norm_is_that_of_the_present_weights_however_they_were_changed():
    layer = ConvexPotentialLayer(5).requires_grad_(False)
    other = ConvexPotentialLayer(5).state_dict()

    def data():
        layer.weight.data.mul_(3.0)

    def replaced():
        layer.weight = nn.Parameter(torch.randn(5, 5), requires_grad=False)

    for change in (data, replaced, lambda: layer.load_state_dict(other), layer.float, layer.double):
        layer.norm()
        change()
        assert layer.norm().dtype == layer.weight.dtype
        assert layer.norm().item() == spectral_norm(layer.weight).item()


def test_convex_potential_layer_with_zero_weights_is_the_identity():
    layer, x = scaled(ConvexPotentialLayer(3), 0.0), torch.randn(2, 3)
    for dtype in DTYPES:
        assert torch.equal(layer.to(dtype)(x.to(dtype)), x.to(dtype))


def test_convex_potential_layer_refuses_an_activation_without_the_proof():
    with pytest.raises(TypeError, match="activation must make one of ReLU, .*; got GELU"):
        ConvexPotentialLayer(3, activation=nn.GELU)


# --- implicit Euler -------------------------------------------------------------------------------------


class Linear(nn.Module):
    """f(t, x) = A x."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, t, x):
        return x @ self.matrix.T


def test_implicit_euler_of_a_linear_field_is_a_power_of_the_resolvent():
    matrix, x = torch.randn(4, 4), torch.randn(3, 4)
    block = ImplicitEulerBlock(Linear(matrix), horizon=0.6, depth=3)
    resolvent = torch.linalg.inv(torch.eye(4) - 0.2 * matrix)
    torch.testing.assert_close(block(x), x @ torch.linalg.matrix_power(resolvent, 3).T)


@pytest.mark.parametrize("horizon", [0.1, 1.0, 10.0, 100.0])
def test_implicit_euler_keeps_its_bound_at_any_step(horizon):
    class Contracting(nn.Module):
        """f = A x − tanh(x): μ₂ ≤ μ₂(A), since −tanh only adds damping."""

        def forward(self, t, x):
            return x @ matrix.T - torch.tanh(x)

    matrix = torch.randn(5, 5)
    matrix = matrix - matrix.T - 0.5 * torch.eye(5)
    block = ImplicitEulerBlock(Contracting(), horizon=horizon, depth=2)
    gain = torch.linalg.svdvals(jacobian(block, torch.randn(5)))[0].item()
    assert gain <= block.lipschitz_bound(-0.5) == pytest.approx((1 + horizon / 4) ** -2)


def test_the_implicit_bound_is_sharp_and_has_its_limit():
    block = ImplicitEulerBlock(Linear(-0.5 * torch.eye(3)), horizon=2.0)
    assert jacobian(block, torch.randn(3))[0, 0].item() == pytest.approx(block.lipschitz_bound(-0.5))
    with pytest.raises(ValueError, match="log_norm must be below 1 / step = 0.5"):
        block.lipschitz_bound(0.5)
    with pytest.raises(ValueError, match="depth must be a whole number, at least 1"):
        ImplicitEulerBlock(MLPField(2), depth=0)


# --- certificates ---------------------------------------------------------------------------------------


def exact_distance(weight, bias, x):
    """From x to the nearest hyperplane w_i·x + b_i = w_j·x + b_j with i the class of x, one pair after another."""
    scores = x @ weight.T + bias
    i = scores.argmax().item()
    return min(
        ((scores[i] - scores[j]) / torch.linalg.vector_norm(weight[i] - weight[j])).item()
        for j in range(len(weight))
        if j != i
    )


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("wrap", [lambda head: head, nn.Sequential, lambda head: nn.Sequential(nn.Flatten(), head)])
def test_the_radius_of_a_linear_model_is_the_distance_to_the_boundary(classes, wrap):
    head, x = nn.Linear(6, classes), torch.randn(20, 6)
    expected = [exact_distance(head.weight.detach(), head.bias.detach(), row) for row in x]
    radii = certified_radius(wrap(head), x)
    torch.testing.assert_close(radii, torch.tensor(expected))
    # moved by that much along the normal of the nearest boundary, the class changes; a little less, and it does not
    scores = head(x).detach()
    top = scores.argmax(1, keepdim=True)
    distances = (head.weight[:, None] - head.weight[None]).norm(dim=-1)[top[:, 0]].detach()
    nearest = ((scores.gather(1, top) - scores) / distances).scatter(1, top, math.inf).argmin(1)
    normal = nn.functional.normalize(head.weight[nearest] - head.weight[top[:, 0]]).detach()
    for factor, changed in ((1.001, True), (0.999, False)):
        moved = head(x + factor * radii[:, None] * normal).argmax(1)
        assert ((moved != top[:, 0]) == changed).all()


def rotation(features):
    return torch.linalg.qr(torch.randn(features, features))[0]


def test_isometries_before_the_head_leave_the_radius_as_it_is():
    head, turn = nn.Linear(6, 4), nn.Linear(6, 6, bias=False)
    with torch.no_grad():
        turn.weight.copy_(rotation(6))
    x = torch.randn(9, 6)
    expected = certified_radius(head, x @ turn.weight.T)
    torch.testing.assert_close(certified_radius(nn.Sequential(turn, head), x), expected)
    with torch.no_grad():
        turn.weight.mul_(0.1)
    torch.testing.assert_close(certified_radius(nn.Sequential(turn, head), 10 * x), 10 * expected)


def test_layers_that_may_expand_are_certified_nothing():
    stretch = nn.Linear(6, 6)
    with torch.no_grad():
        stretch.weight.copy_(1.5 * rotation(6))
    for model in (nn.Sequential(stretch, nn.Tanh(), nn.Linear(6, 4)), nn.Sequential(stretch, nn.Identity())):
        with pytest.raises(ValueError, match="must be 1-Lipschitz by construction .* multiply to 1.5"):
            certified_radius(model, torch.zeros(3, 6))


def network(features=5, classes=4):
    body = nn.Sequential(ConvexPotentialLayer(features), nn.Sequential(ConvexPotentialLayer(features, 9), nn.Dropout()))
    return scaled(nn.Sequential(body, nn.Linear(features, classes)), 3.0)


def test_no_attack_succeeds_within_the_radius():
    model, x = network(), torch.randn(200, 5)
    radii, y = certified_radius(model, x), model.eval()(x).argmax(1)
    assert (radii > 0).all() and radii.max() > 0.3
    # every sample has a ball of its own: attack it in the coordinates (x' − x) / radius
    def within(z):
        return model(x + radii[:, None] * z)

    attacked = pgd(within, torch.zeros_like(x), y, eps=0.999, norm="l2", steps=40, restarts=3)
    assert (within(attacked).argmax(1) == y).all()
    beyond = pgd(within, torch.zeros_like(x), y, eps=4.0, norm="l2", steps=40, restarts=3)
    assert (within(beyond).argmax(1) != y).double().mean() > 0.5, "the attack must be one that could have succeeded"


def test_a_certificate_needs_no_label_and_ties_have_none():
    head = nn.Linear(2, 3, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    radii = certified_radius(head, torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
    torch.testing.assert_close(radii, torch.tensor([0.0, 3 / math.sqrt(2)]))
    with torch.no_grad():
        head.weight.zero_()
    constant = nn.Linear(2, 3)
    with torch.no_grad():
        constant.weight.zero_()
        constant.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert certified_radius(constant, torch.zeros(1, 2)).item() == math.inf


def test_scores_without_a_last_linear_layer_use_the_root_of_two():
    class Known(nn.Module):
        lipschitz = 0.5

        def forward(self, x):
            return x / 2

    x = torch.tensor([[3.0, 1.0, 0.0]])
    torch.testing.assert_close(certified_radius(Known(), x), torch.tensor([(1.5 - 0.5) / (0.5 * math.sqrt(2))]))
    # the scores are x / 2, so the boundary is where the two entries are equal: the bound is exact here
    torch.testing.assert_close(certified_radius(nn.Sequential(Known(), nn.Sigmoid()), x).shape, torch.Size([1]))


def test_certified_accuracy_counts_right_and_certified():
    head = nn.Linear(1, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        head.bias.zero_()
    x, y = torch.tensor([[0.1], [0.4], [-0.4], [-0.4]]), torch.tensor([1, 1, 0, 1])
    assert certified_accuracy(head, x, y, eps=0.05) == 0.75
    assert certified_accuracy(head, x, y, eps=0.2) == 0.5
    assert certified_accuracy(head, x, y, eps=0.4) == 0.0, "at the boundary itself nothing is promised"


@pytest.mark.parametrize("y", [torch.tensor(1), torch.ones(4), torch.ones(3, 1), [0, 1, 1], torch.ones(0)])
def test_certified_accuracy_wants_a_class_a_sample(y):
    with pytest.raises(ValueError, match=r"y must hold one class a sample, shape \(3,\), n ≥ 1; got"):
        certified_accuracy(nn.Linear(4, 2), torch.zeros(3, 4), y, eps=0.1)


@pytest.mark.parametrize(("eps", "error"), [(-0.1, ValueError), (math.nan, ValueError), (None, TypeError)])
def test_certified_accuracy_wants_a_size(eps, error):
    with pytest.raises(error, match="eps must be .*at least 0 and finite; got"):
        certified_accuracy(nn.Linear(4, 2), torch.zeros(3, 4), torch.zeros(3), eps=eps)


def test_scores_that_are_no_numbers_certify_nothing():
    with pytest.raises(FloatingPointError, match="not finite"):
        certified_accuracy(nn.Linear(4, 2), torch.full((3, 4), math.nan), torch.zeros(3), eps=0.1)


class Doubled(nn.ReLU):
    """Says that it is a ReLU, and is none."""

    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "model, named",
    [
        (nn.Sequential(ResidualStack(4, 3), nn.Linear(4, 2)), r"Sequential\[0\], ResidualStack"),
        (nn.Sequential(nn.Sequential(nn.Identity(), nn.GELU()), nn.Linear(4, 2)), r"\[0\].*\[1\], GELU"),
        (nn.Sequential(Doubled(), nn.Linear(4, 2)), "Doubled"),
        (nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2)), "BatchNorm1d"),
        (MLPField(4), "MLPField"),
    ],
)
def test_what_is_not_known_is_refused_by_name(model, named):
    with pytest.raises(TypeError, match=named):
        certified_radius(model, torch.zeros(3, 4))


def test_what_changes_a_known_module_is_refused():
    hooked = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))
    hooked[0].register_forward_hook(lambda module, inputs, output: 5 * output)
    with pytest.raises(TypeError, match="hooks"):
        certified_radius(hooked, torch.zeros(3, 4))
    replaced = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))
    replaced[0].forward = lambda x: 5 * x
    with pytest.raises(TypeError, match="ReLU"):
        certified_radius(replaced, torch.zeros(3, 4))


def test_parametrised_weights_are_the_ones_that_count():
    model = nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(6, 6)), nn.Linear(6, 3))
    x = torch.randn(4, 6)
    torch.testing.assert_close(certified_radius(model, x), certified_radius(model[1], model[0](x).detach()))


def test_a_certificate_of_nonsense_is_an_error():
    with pytest.raises(ValueError, match="classes ≥ 2"):
        certified_radius(nn.Linear(4, 1), torch.zeros(3, 4))
    with pytest.raises(FloatingPointError, match="not finite"):
        certified_radius(nn.Linear(4, 2), torch.full((1, 4), math.inf))
    declared = nn.Linear(4, 4)
    declared.lipschitz = math.nan
    with pytest.raises(ValueError, match="lipschitz = nan"):
        certified_radius(nn.Sequential(declared, nn.Linear(4, 2)), torch.zeros(1, 4))


def test_the_modes_are_restored():
    model = network().train()
    model[0][1][0].eval()
    before = [module.training for module in model.modules()]
    certified_radius(model, torch.randn(2, 5))
    assert [module.training for module in model.modules()] == before
