"""The schemes inside the layers, against closed forms: orders, stability, exact solutions, laws of flows."""

from __future__ import annotations

import cmath
import copy
import math
import warnings
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.layers import (
    AugmentedODEBlock,
    LMResNet,
    MLPField,
    ODEBlock,
    PolyNetBlock,
    ResidualStack,
    ReversibleBlock,
)
from helpers.solvers import GRADIENTS, odeint, tableaux
from helpers.solvers.analysis import observed_order

from .support import DEVICES, DTYPES

few = settings(max_examples=25)
seeds = st.integers(0, 2**32 - 1)
FIXED = ["euler", "midpoint", "heun2", "ralston", "heun3", "rk4", "rk4_38"]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(5)
    yield
    torch.set_default_dtype(torch.float32)


class Linear(nn.Module):
    """f(t, x) = A x."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(torch.as_tensor(matrix))

    def forward(self, t, x):
        return x @ self.matrix.T


class Scalar(nn.Module):
    """f(t, x) = λ x + shift."""

    def __init__(self, rate, shift=0.0):
        super().__init__()
        self.rate, self.shift = rate, shift

    def forward(self, t, x):
        return self.rate * x + self.shift


def curved(features):
    """A field with a bias: smooth, nonlinear, f(0) ≠ 0."""
    return MLPField(features, 16)


def flow(field, x, horizon):
    """x(T) to rounding."""
    return odeint(field, x, torch.tensor([0.0, horizon]), rtol=1e-12, atol=1e-12)[-1]


# --- MLPField -----------------------------------------------------------------------------------------------


def test_mlp_field_is_the_formula():
    field, x = MLPField(3, 7, time_dependent=True), torch.randn(5, 3)
    w1, b1, w2, b2 = field.inner.weight, field.inner.bias, field.outer.weight, field.outer.bias
    for t in (0.0, 1.7, torch.tensor(-2.0)):
        expected = torch.tanh(x @ w1.T + field.time_weight * t + b1) @ w2.T + b2
        torch.testing.assert_close(field(t, x), expected)


def test_mlp_field_knows_time_only_if_told():
    x = torch.randn(5, 3)
    still, moving = MLPField(3, 7), MLPField(3, 7, time_dependent=True)
    assert torch.equal(still(0.0, x), still(9.0, x))
    assert not torch.equal(moving(0.0, x), moving(9.0, x))
    assert MLPField(3).inner.out_features == 3


def test_mlp_field_takes_another_activation():
    field, x = MLPField(3, 7, activation=nn.Softplus), torch.randn(5, 3)
    torch.testing.assert_close(field(0.0, x), field.outer(nn.functional.softplus(field.inner(x))))


# --- ODEBlock -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", ["dopri5", "tsit5"])
def test_ode_block_solves_a_linear_equation(method, device):
    matrix, x = torch.randn(4, 4), torch.randn(6, 4)
    block = ODEBlock(Linear(matrix), horizon=1.3, method=method, rtol=1e-10, atol=1e-10).to(device)
    exact = x @ torch.linalg.matrix_exp(1.3 * matrix).T
    torch.testing.assert_close(block(x.to(device)).cpu(), exact, rtol=1e-7, atol=1e-8)


def test_trajectory_begins_at_x_passes_the_exact_solution_and_runs_backwards():
    block, x = ODEBlock(Scalar(-0.8), rtol=1e-10, atol=1e-10), torch.randn(6, 1)
    times = [0.0, 0.25, 1.0, 3.0]
    states = block.trajectory(x, times)
    assert torch.equal(states[0], x)
    torch.testing.assert_close(states, x * torch.exp(-0.8 * torch.tensor(times))[:, None, None])
    torch.testing.assert_close(block.trajectory(states[-1], torch.tensor([3.0, 0.0]))[-1], x)


@pytest.mark.parametrize("method, stages", [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_nfe_of_a_fixed_step_method_is_steps_times_stages(method, stages):
    block = ODEBlock(MLPField(3), method=method, options={"num_steps": 7})
    assert block.nfe == 0
    for _ in range(2):
        block(torch.randn(5, 3)).sum().backward()
        assert block.nfe == 7 * stages


def test_nfe_counts_each_call_of_the_last_forward_alone():
    block, calls = ODEBlock(MLPField(3, 8)), []
    block.field.register_forward_hook(lambda *_: calls.append(1))
    for scale in (0.1, 10.0):
        calls.clear()
        block(scale * torch.randn(5, 3))
        assert block.nfe == len(calls) > 0
    block.trajectory(torch.randn(5, 3), [0.0, 50.0])
    assert len(calls) > block.nfe, "a trajectory is no forward pass"


def test_copies_count_for_themselves():
    block = ODEBlock(MLPField(3), method="euler", options={"num_steps": 7})
    block(torch.randn(5, 3))
    twin = copy.deepcopy(block)
    assert (block.nfe, twin.nfe) == (7, 0)
    twin.options = {"num_steps": 2}
    twin(torch.randn(5, 3))
    assert (block.nfe, twin.nfe) == (7, 2)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_every_gradient_mode_reaches_input_and_parameters(gradient):
    field, x, calls = curved(3), torch.randn(5, 3), []
    field.register_forward_hook(lambda *_: calls.append(1))

    def gradients(mode):
        block = ODEBlock(field, method="rk4", options={"num_steps": 40}, gradient=mode)
        given = x.clone().requires_grad_()
        calls.clear()
        y = block(given)
        forward_calls = len(calls)
        y.square().sum().backward()
        assert block.nfe == forward_calls >= 160, "what the backward pass evaluates does not count"
        found = [given.grad, *(p.grad.clone() for p in field.parameters())]
        block.zero_grad()
        return found

    torch.testing.assert_close(gradients(gradient), gradients("backprop"), rtol=1e-5, atol=1e-7)


def test_ode_block_hands_the_solver_its_settings():
    loose, tight = (ODEBlock(curved(3), horizon=5.0, rtol=tol, atol=tol) for tol in (1e-3, 1e-10))
    tight.load_state_dict(loose.state_dict())
    x = torch.randn(5, 3)
    error = (loose(x) - tight(x)).norm()
    assert 1e-9 < error < 1e-1
    assert tight.nfe > 2 * loose.nfe
    with pytest.raises(ValueError, match="method must be one of"):
        ODEBlock(MLPField(3), method="runge")(x)
    with pytest.raises(ValueError, match="gradient must be one of"):
        ODEBlock(MLPField(3), gradient="magic")(x)
    with pytest.raises(ValueError, match="num_step"):
        ODEBlock(MLPField(3), method="euler", options={"num_step": 3})(x)


@few
@given(seed=seeds, left=st.floats(-3, 3), gap=st.floats(0.05, 3))
def test_a_flow_of_the_line_keeps_the_order_of_its_points(seed, left, gap):
    torch.manual_seed(seed)
    block = ODEBlock(MLPField(1, 8, time_dependent=True), horizon=3.0, rtol=1e-8, atol=1e-10)
    a, b = block(torch.tensor([[left], [left + gap]])).squeeze(1).tolist()
    assert a < b


# --- AugmentedODEBlock --------------------------------------------------------------------------------------


def test_augmentation_appends_zeros():
    block, x = AugmentedODEBlock(Scalar(0.0), augment=3), torch.randn(2, 5, 4)
    y = block(x)
    assert torch.equal(y[..., :4], x)
    assert torch.equal(y[..., 4:], torch.zeros(2, 5, 3))
    assert block.trajectory(x, [0.0, 1.0, 2.0]).shape == (3, 2, 5, 7)


def test_without_augmentation_it_is_the_ode_block():
    field, x = curved(4), torch.randn(5, 4)
    assert torch.equal(AugmentedODEBlock(field, augment=0)(x), ODEBlock(field)(x))


def test_one_more_dimension_lets_two_points_of_the_line_swap():
    half_turn = Linear([[0.0, -1.0], [1.0, 0.0]])
    block = AugmentedODEBlock(half_turn, augment=1, horizon=math.pi, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(block(torch.tensor([[-1.0], [1.0]])), torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    assert block.nfe > 0


# --- ResidualStack ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("method", FIXED)
def test_a_tied_stack_is_the_solver_to_the_last_bit(method, dtype, device):
    field = partial(MLPField, hidden=8, time_dependent=True)
    stack = ResidualStack(4, 7, horizon=2.3, method=method, field=field).to(device, dtype)
    x, t = torch.randn(5, 4, dtype=dtype, device=device), torch.tensor([0.0, 2.3])
    assert torch.equal(stack(x), odeint(stack.field, x, t, method=method, options={"num_steps": 7})[-1])


@pytest.mark.parametrize("method, factor", [
    ("euler", lambda z: 1 + z),
    ("heun2", lambda z: 1 + z + z**2 / 2),
    ("rk4", lambda z: 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24),
])  # fmt: skip
def test_untied_each_layer_uses_its_own_field_in_all_stages(method, factor):
    rates = [0.7, -1.1, 0.4]
    queue = iter(rates)
    stack = ResidualStack(2, 3, horizon=1.5, method=method, tied=False, field=lambda d: Scalar(next(queue)))
    x = torch.randn(4, 2)
    torch.testing.assert_close(stack(x), x * math.prod(factor(stack.step * rate) for rate in rates))


class Clock(nn.Module):
    """f(t, x) = t, whatever the state."""

    def forward(self, t, x):
        return torch.full_like(x, float(t))


@pytest.mark.parametrize("tied", [True, False])
def test_layers_know_their_depth_time(tied):
    # Euler sums the left ends of its steps, the midpoint rule integrates t exactly
    for method, expected in [("euler", sum(0.5 * k * 0.5 for k in range(4))), ("midpoint", 2.0)]:
        stack = ResidualStack(1, 4, horizon=2.0, method=method, tied=tied, field=lambda d: Clock())
        torch.testing.assert_close(stack(torch.zeros(1, 1)).item(), expected)


@pytest.mark.parametrize("method", ["euler", "midpoint", "heun3", "rk4", "bosh3", "dopri5"])
def test_deeper_tied_stacks_converge_to_their_flow_at_the_order_of_the_method(method):
    field, x = curved(3), torch.randn(8, 3)
    exact, depths = flow(field, x, 2.0), [8, 12, 16, 24]
    stacks = [ResidualStack(3, n, horizon=2.0, method=method, field=lambda d: field) for n in depths]
    order = observed_order(depths, [(stack(x) - exact).norm().item() for stack in stacks])
    assert order == pytest.approx(tableaux.get(method).order, abs=0.3)


def test_features_along_holds_every_state():
    stack, x = ResidualStack(3, 5, horizon=2.0, tied=False), torch.randn(4, 3)
    states = stack.features_along(x)
    assert states.shape == (6, 4, 3)
    assert torch.equal(states[0], x)
    assert torch.equal(states[-1], stack(x))
    for k in range(5):
        torch.testing.assert_close(states[k + 1] - states[k], 0.4 * stack.fields[k](0.0, states[k]))


def test_tied_and_untied_parameters():
    def count(**options):
        return sum(p.numel() for p in ResidualStack(3, 5, **options).parameters())

    assert count(tied=False) == 5 * count(tied=True)
    assert ResidualStack(3, 5, horizon=2.0).step == pytest.approx(0.4)


# --- LMResNet -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k, order", [(-0.5, 1), (0.0, 1), (0.3, 1), (0.5, 1), (0.9, 1), (1.0, 2)])
def test_lm_resnet_solves_the_modified_equation(k, order):
    field, x = curved(3), torch.randn(8, 3)
    exact, depths = flow(lambda t, x: field(t, x) / (1 + k), x, 1.0), [64, 128, 256, 512]
    errors = [(LMResNet(3, n, k=k, field=lambda d: field)(x) - exact).norm().item() for n in depths]
    assert observed_order(depths, errors) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("k", [-0.5, 0.3, 1.0])
def test_lm_resnet_on_a_linear_equation_is_the_sum_of_two_powers(k):
    rate, depth, x = -1.7, 12, torch.randn(4, 1)
    net = LMResNet(1, depth, horizon=1.0, k=k, field=lambda d: Scalar(rate))
    z = net.step * rate
    # the roots of r² = (1 − k + z) r + k, and the share of the first in x_0 and x_1
    r1, r2 = ((1 - k + z + sign * cmath.sqrt((1 - k + z) ** 2 + 4 * k)) / 2 for sign in (1, -1))
    weight = (1 + z / (1 + k) - r2) / (r1 - r2)
    torch.testing.assert_close(net(x), x * (weight * r1**depth + (1 - weight) * r2**depth).real)


@pytest.mark.parametrize("k", [-0.9, -0.5, 0.0, 0.5, 1.0, 1.2])
def test_zero_stability_is_the_growth_of_minus_k_to_the_n(k):
    """One kick in the first layer, then f = 0: x_n − x_0 = δ (1 − (−k)^n) / (1 + k), δ the first step."""
    depth, kicks = 60, iter([1.0] + 59 * [0.0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = LMResNet(1, depth, k=k, tied=False, field=lambda d: Scalar(0.0, next(kicks)))
    assert [w.category for w in caught] == ([UserWarning] if k > 1 else [])
    states = net.features_along(torch.zeros(1)).squeeze(1)
    first = net.step / (1 + k)
    expected = torch.tensor([first * (1 - (-k) ** n) / (1 + k) for n in range(depth + 1)])
    torch.testing.assert_close(states, expected)
    bounded = states.abs().max() <= 2 * first / (1 + k)
    assert bounded == (-1 < k <= 1)


def test_lm_resnet_without_memory_is_the_residual_stack():
    x, plain = torch.randn(4, 3), ResidualStack(3, 6, horizon=2.0, tied=False)
    for k in (0.0, "learned"):
        net = LMResNet(3, 6, horizon=2.0, k=k, tied=False)
        net.load_state_dict(plain.state_dict(), strict=False)
        torch.testing.assert_close(net(x), plain(x), rtol=0, atol=1e-14)


def test_learned_k_has_one_value_a_layer_and_means_the_fixed_one():
    fixed, learned = LMResNet(3, 6, k=0.4), LMResNet(3, 6, k="learned")
    assert fixed.k == 0.4 and torch.equal(learned.k, torch.zeros(6))
    learned.load_state_dict(fixed.state_dict(), strict=False)
    with torch.no_grad():
        learned.raw_k.fill_(math.log(1.4 / 0.6))
    x = torch.randn(4, 3)
    torch.testing.assert_close(learned.k, torch.full((6,), 0.4))
    torch.testing.assert_close(learned(x), fixed(x))


@few
@given(raw=st.floats(-600, 600))
def test_learned_k_never_leaves_the_zero_stable_range(raw):
    net = LMResNet(2, 4, k="learned")
    with torch.no_grad():
        net.raw_k.fill_(raw)
    assert ((net.k >= -1) & (net.k <= 1)).all()
    assert torch.isfinite(net.features_along(torch.ones(2))[1]).all()


@pytest.mark.parametrize("k", [-1, float("nan"), float("inf"), "learnt"])
def test_lm_resnet_refuses_k(k):
    with pytest.raises(ValueError, match="k must be"):
        LMResNet(3, 6, k=k)


@pytest.mark.parametrize("k", [None, [0.1, 0.2], {}])
def test_lm_resnet_refuses_what_is_no_number(k):
    with pytest.raises(TypeError, match='k must be a number or "learned"; got'):
        LMResNet(3, 6, k=k)


# --- PolyNetBlock -------------------------------------------------------------------------------------------


def backward_euler(field, x, h):
    """y = x + h f(y), by fixed-point iteration to rounding (h is small here)."""
    y = x
    for _ in range(200):
        y = x + h * field(0.0, y)
    return y


@pytest.mark.parametrize("variant, kind, order", [
    ("poly-2", "linear", 3),
    ("poly-2", "zero at zero", 2),
    ("poly-2", "any", 1),
    ("nested", "linear", 3),
    ("nested", "zero at zero", 3),
    ("nested", "any", 3),
])  # fmt: skip
def test_how_far_a_polynet_block_agrees_with_backward_euler(variant, kind, order):
    x, steps = torch.randn(8, 3), [0.04, 0.02, 0.01, 0.005]
    field = Linear(torch.randn(3, 3)) if kind == "linear" else curved(3)
    if kind == "zero at zero":
        nn.init.zeros_(field.inner.bias)
        nn.init.zeros_(field.outer.bias)
    blocks = [PolyNetBlock(field, step=h, variant=variant) for h in steps]
    defects = [(block(x) - backward_euler(field, x, block.step)).norm().item() for block in blocks]
    assert observed_order([1 / h for h in steps], defects) == pytest.approx(order, abs=0.15)


def test_polynet_variants_are_their_formulas():
    field, x = curved(3), torch.randn(5, 3)

    def residual(x):
        return 0.3 * field(0.0, x)

    literal = x + residual(x) + residual(residual(x))
    torch.testing.assert_close(PolyNetBlock(field, step=0.3)(x), literal)
    nested = PolyNetBlock(field, step=0.3, variant="nested")
    torch.testing.assert_close(nested(x), x + residual(x + residual(x)))


@few
@given(z=st.floats(-3, 2), variant=st.sampled_from(["poly-2", "nested"]))
def test_polynet_is_stable_on_minus_one_to_zero_only(z, variant):
    growth = PolyNetBlock(Scalar(z), variant=variant)(torch.ones(1)).item()
    assert growth == pytest.approx(1 + z + z**2)
    if abs(growth - 1) > 1e-12:
        assert (abs(growth) <= 1) == (-1 <= z <= 0)


@pytest.mark.parametrize("variant", ["poly-2", "nested"])
def test_polynet_layers_are_a_method_of_order_one(variant):
    matrix, x = torch.randn(3, 3), torch.randn(8, 3)
    exact, depths, errors = x @ torch.linalg.matrix_exp(matrix).T, [64, 128, 256, 512], []
    for n in depths:
        block, y = PolyNetBlock(Linear(matrix), step=1 / n, variant=variant), x
        for _ in range(n):
            y = block(y)
        errors.append((y - exact).norm().item())
    assert observed_order(depths, errors) == pytest.approx(1, abs=0.1)


# --- ReversibleBlock ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-10), (torch.float32, 1e-3)], ids=str)
def test_a_hundred_reversible_layers_run_backwards(dtype, bound, device):
    layers = [ReversibleBlock(MLPField(8, 16), MLPField(8, 16)).to(device, dtype) for _ in range(100)]
    x = torch.randn(10, 16, dtype=dtype, device=device)
    with torch.no_grad():
        y = x
        for layer in layers:
            y = layer(y)
        assert (y - x).norm() > x.norm(), "the layers did something"
        for layer in reversed(layers):
            y = layer.inverse(y)
    assert (y - x).abs().max() <= bound


@few
@given(seed=seeds, half=st.integers(1, 5), step=st.floats(0.01, 3), scale=st.floats(0.01, 100))
def test_the_inverse_undoes_the_block_and_the_block_its_inverse(seed, half, step, scale):
    torch.manual_seed(seed)
    block = ReversibleBlock(MLPField(half), MLPField(half), step=step)
    x = scale * torch.randn(4, 2 * half)
    torch.testing.assert_close(block.inverse(block(x)), x, rtol=1e-9, atol=1e-9 * scale)
    torch.testing.assert_close(block(block.inverse(x)), x, rtol=1e-9, atol=1e-9 * scale)


def test_a_reversible_block_is_its_formula_and_keeps_volume():
    f, g, x = curved(2), curved(2), torch.randn(4)
    block = ReversibleBlock(f, g, step=0.5)
    y1 = x[:2] + 0.5 * f(0.0, x[2:])
    torch.testing.assert_close(block(x), torch.cat([y1, x[2:] + 0.5 * g(0.0, y1)]))
    jacobian = torch.autograd.functional.jacobian(block, x)
    torch.testing.assert_close(torch.linalg.det(jacobian).item(), 1.0)
