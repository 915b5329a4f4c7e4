"""What every layer promises: shapes, dtypes, devices, gradients, copies, and clear errors."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import torch
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

from .support import DEVICES, DTYPES

RK4 = {"method": "rk4", "options": {"num_steps": 3}}
timed = partial(MLPField, hidden=5, time_dependent=True)

LAYERS = {
    "ODEBlock": lambda: ODEBlock(timed(4), horizon=0.7, **RK4),
    "AugmentedODEBlock": lambda: AugmentedODEBlock(timed(6), augment=2, **RK4),
    "ResidualStack": lambda: ResidualStack(4, 3, method="heun3", field=timed),
    "ResidualStack untied": lambda: ResidualStack(4, 3, tied=False, field=timed),
    "LMResNet": lambda: LMResNet(4, 3, k=0.4, tied=False, field=timed),
    "LMResNet learned": lambda: LMResNet(4, 3, k="learned", field=timed),
    "PolyNetBlock poly-2": lambda: PolyNetBlock(MLPField(4, 5), step=0.3),
    "PolyNetBlock nested": lambda: PolyNetBlock(MLPField(4, 5), step=0.3, variant="nested"),
    "ReversibleBlock": lambda: ReversibleBlock(MLPField(2, 5), MLPField(2, 5)),
}


@pytest.fixture(params=LAYERS, ids=str)
def make(request):
    torch.manual_seed(3)
    return LAYERS[request.param]


def output_shape(layer, shape):
    return (*shape[:-1], shape[-1] + getattr(layer, "augment", 0))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4)], ids=str)
def test_takes_any_leading_axes_and_keeps_dtype_and_device(make, shape, dtype, device):
    layer = make().to(device, dtype)
    x = torch.linspace(-1, 1, 24, dtype=dtype, device=device)[: torch.Size(shape).numel()].reshape(shape)
    before = x.clone()
    y = layer(x)
    assert y.shape == output_shape(layer, shape)
    assert (y.dtype, y.device) == (x.dtype, x.device)
    assert torch.equal(x, before), "the input was changed in place"


def test_samples_do_not_see_each_other(make):
    layer, x = make().double(), torch.randn(6, 4, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[2:4], layer(x[2:4]))


def test_gradients_of_input_and_parameters(make):
    layer = make().double()
    names, values = zip(*layer.named_parameters(), strict=True)

    def output(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), x)

    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(output, (x, *values))


def test_every_parameter_matters(make):
    layer = make().double()
    layer(torch.randn(3, 4, dtype=torch.float64)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        at_time_zero = name == "fields.0.time_weight"  # Euler's first layer: nothing of w t is left
        assert parameter.grad is not None and (parameter.grad.abs().max() > 0) != at_time_zero, name


def test_state_dict_round_trip(make):
    first, second, x = make(), make(), torch.randn(3, 4)
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_agree_and_are_independent(make, twin):
    layer, x = make(), torch.randn(3, 4)
    y = layer(x)
    other = twin(layer)
    assert torch.equal(other(x), y)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    assert not torch.equal(other(x), y)
    assert torch.equal(layer(x), y)


def test_train_and_eval_mode_agree(make):
    layer, x = make(), torch.randn(3, 4)
    assert torch.equal(layer.train()(x), layer.eval()(x))


@pytest.mark.parametrize("name", ["ResidualStack", "LMResNet", "ODEBlock"])
@pytest.mark.parametrize("shape", [(2, 3), (2, 5), ()], ids=str)
def test_wrong_number_of_features(name, shape):
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 4\); got"):
        LAYERS[name]()(torch.zeros(shape))


class Broadcasting(nn.Module):
    """A field that forgets the feature axis: x + h f(x) would broadcast without a word."""

    def forward(self, t, x):
        return x.sum(-1, keepdim=True)


@pytest.mark.parametrize(
    "make_broken",
    [
        lambda: ODEBlock(Broadcasting()),
        lambda: ResidualStack(4, 2, field=lambda d: Broadcasting()),
        lambda: LMResNet(4, 2, field=lambda d: Broadcasting()),
        lambda: PolyNetBlock(Broadcasting()),
        lambda: ReversibleBlock(MLPField(2), Broadcasting()),
    ],
)
def test_a_field_that_changes_the_shape(make_broken):
    with pytest.raises(ValueError, match="shape"):
        make_broken()(torch.ones(3, 4))


@pytest.mark.parametrize("horizon", [0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize(
    "make_layer",
    [
        lambda horizon: ODEBlock(MLPField(2), horizon=horizon),
        lambda horizon: ResidualStack(2, 3, horizon=horizon),
        lambda horizon: LMResNet(2, 3, horizon=horizon),
    ],
)
def test_horizon_must_be_positive_and_finite(make_layer, horizon):
    with pytest.raises(ValueError, match="horizon must be positive and finite"):
        make_layer(horizon)
    with pytest.raises(TypeError, match="horizon must be a number, positive and finite; got None"):
        make_layer(None)


@pytest.mark.parametrize("stack", [ResidualStack, LMResNet])
def test_stacks_refuse_what_is_no_stack(stack):
    with pytest.raises(ValueError, match="depth must be a whole number, at least 1; got 0"):
        stack(4, 0)
    with pytest.raises(TypeError, match="depth must be a whole number, at least 1; got 2.5"):
        stack(4, 2.5)
    with pytest.raises(ValueError, match="features must be a whole number, at least 1; got 0"):
        stack(0, 2)
    with pytest.raises(TypeError, match="function from the number of features to a module; got a module"):
        stack(4, 2, field=MLPField(4))
    with pytest.raises(TypeError, match="field must make an nn.Module.*it made function"):
        stack(4, 2, field=lambda d: lambda t, x: x)


def test_blocks_refuse_a_plain_function_and_bad_numbers():
    def plain(t, x):
        return x

    for make_block in (ODEBlock, PolyNetBlock, partial(ReversibleBlock, MLPField(2))):
        with pytest.raises(TypeError, match="must be an nn.Module.*got function"):
            make_block(plain)
    with pytest.raises(ValueError, match="step must be positive and finite; got 0"):
        PolyNetBlock(MLPField(2), step=0)
    with pytest.raises(ValueError, match="step must be positive and finite; got -1"):
        ReversibleBlock(MLPField(2), MLPField(2), step=-1)
    with pytest.raises(ValueError, match="variant must be one of poly-2, nested; got 'mpoly'"):
        PolyNetBlock(MLPField(2), variant="mpoly")
    with pytest.raises(ValueError, match="augment must be a whole number, at least 0; got -1"):
        AugmentedODEBlock(MLPField(2), augment=-1)
    with pytest.raises(ValueError, match="hidden must be a whole number, at least 1; got 0"):
        MLPField(2, 0)


@pytest.mark.parametrize("method", ["implicit_euler", "trapezoid", "ab2", "rk5"])
def test_an_architecture_needs_an_explicit_tableau(method):
    with pytest.raises(ValueError, match="explicit Runge–Kutta method, one of euler, .*rk4") as caught:
        ResidualStack(4, 3, method=method)
    assert repr(method) in str(caught.value)
    assert "implicit_euler," not in str(caught.value)


@pytest.mark.parametrize("shape", [(3, 5), (3, 0), ()], ids=str)
def test_reversible_block_needs_two_halves(shape):
    block = ReversibleBlock(MLPField(2), MLPField(2))
    for direction in (block, block.inverse):
        with pytest.raises(ValueError, match="even number"):
            direction(torch.zeros(shape))
