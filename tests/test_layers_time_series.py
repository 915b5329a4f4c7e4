"""Layers that read series: gaps and times of each sample's own, closed forms, gradients, clear errors."""

from __future__ import annotations

import copy
import math
import pickle
from functools import partial

import pytest
import torch
from torch import nn

from helpers import data
from helpers.layers import GRUODE, ODERNN, CDEField, FunctionField, LatentODE, MLPField, NeuralCDE, with_time
from helpers.solvers import PATHS, odeint, tableaux
from helpers.solvers.explicit import step

from .support import DEVICES, DTYPES

NAN = math.nan
TIMES = torch.linspace(0, 1, 5, dtype=torch.float64)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(5)
    yield
    torch.set_default_dtype(torch.float32)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def gappy(*shape, seed=0, missing=0.4):
    """Values with gaps; the first row is complete."""
    draw = seeded(seed)
    x = torch.randn(shape, generator=draw)
    hidden = torch.rand(shape, generator=draw) < missing
    hidden[..., 0, :] = False
    return x.masked_fill(hidden, NAN)


def clocks(n, length, seed=1):
    """Irregular times, others in each series."""
    return (0.1 + torch.rand(n, length, generator=seeded(seed))).cumsum(-1)


def read(layer, x, t):
    """What a layer makes of a series with times, in the form that it takes."""
    if isinstance(layer, ODERNN):
        return layer(x, t)
    x = with_time(x, t)
    return layer.eval()(x)[0] if isinstance(layer, LatentODE) else layer(x)


LAYERS = {
    "NeuralCDE": lambda: NeuralCDE(4, 6, 2),
    "NeuralCDE natural_cubic": lambda: NeuralCDE(4, 6, 2, interpolation="natural_cubic", width=5, steps=2),
    "NeuralCDE hermite": lambda: NeuralCDE(4, 6, 2, interpolation="hermite", method="midpoint"),
    "ODERNN": lambda: ODERNN(3, 6, 2),
    "ODERNN of a GRUODE": lambda: ODERNN(3, 6, 2, field=GRUODE(6), method="rk4", steps=2),
    "LatentODE": lambda: LatentODE(3, 2, 6, TIMES),
    "LatentODE steps": lambda: LatentODE(3, 2, 6, TIMES, method="midpoint", steps=8),
}


@pytest.fixture(params=LAYERS, ids=str)
def make(request):
    return LAYERS[request.param]


# --- what all of them promise -------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_keeps_dtype_and_device_and_its_input(make, dtype, device):
    layer, x, t = make().to(device, dtype), gappy(5, 7, 3).to(device, dtype), clocks(5, 7).to(device, dtype)
    before = x.clone()
    y = read(layer, x, t)
    assert (y.dtype, y.device, y.isfinite().all().item()) == (dtype, x.device, True)
    torch.testing.assert_close(x, before, rtol=0, atol=0, equal_nan=True)


def test_a_batch_with_times_of_each_samples_own_is_its_samples_one_by_one(make):
    layer, x, t = make(), gappy(5, 7, 3), clocks(5, 7)
    alone = torch.cat([read(layer, x[k : k + 1], t[k : k + 1]) for k in range(5)])
    torch.testing.assert_close(read(layer, x, t), alone, rtol=0, atol=1e-12)


def test_time_matters(make):
    layer, x, t = make(), gappy(5, 7, 3), clocks(5, 7)
    assert (read(layer, x, t) - read(layer, x, 2 * t)).abs().max() > 1e-4


def test_gradients_are_finite_and_reach_every_parameter_and_what_was_observed(make):
    layer, x, t = make(), gappy(6, 7, 3).requires_grad_(), clocks(6, 7)
    read(layer, x, t).square().sum().backward()
    assert x.grad.isfinite().all() and not x.grad[x.isnan()].any() and x.grad[~x.isnan()].any()
    for name, p in layer.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.any(), name


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["copy", "pickle"]
)
def test_copies_agree(make, twin):
    layer, x, t = make(), gappy(3, 6, 3), clocks(3, 6)
    torch.testing.assert_close(read(twin(layer), x, t), read(layer, x, t), rtol=0, atol=0)


def test_its_weights_can_be_stored_and_loaded(make, tmp_path):
    layer, other, x, t = make(), make(), gappy(3, 6, 3), clocks(3, 6)
    assert (read(layer, x, t) - read(other, x, t)).abs().max() > 1e-6
    torch.save(layer.state_dict(), tmp_path / "weights.pt")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    torch.testing.assert_close(read(other, x, t), read(layer, x, t), rtol=0, atol=0)


def test_an_infinite_value_is_named(make):
    x = gappy(2, 4, 3)
    x[1, 2, 0] = math.inf
    with pytest.raises(ValueError, match="x must hold finite values, or NaN where one is missing; got an infinite"):
        read(make(), x, clocks(2, 4))


# --- time and counts as channels ----------------------------------------------------------------------------------


def test_time_comes_first_and_counts_last():
    x = torch.tensor([[1.0, NAN], [NAN, NAN], [2.0, 3.0], [4.0, NAN]])
    t = torch.tensor([0.0, 0.5, 0.7, 2.0])
    expected = torch.cat([t[:, None], x, torch.tensor([[1, 0], [1, 0], [2, 1], [3, 1]]) / 4], -1)
    torch.testing.assert_close(with_time(x, t, counts=True), expected, equal_nan=True)
    torch.testing.assert_close(with_time(x, t), expected[:, :3], equal_nan=True)
    many = with_time(x.expand(2, 3, 4, 2).float(), t, counts=True)
    assert many.shape == (2, 3, 4, 5) and many.dtype == torch.float32


@pytest.mark.parametrize("t, error, words", [
    ([0.0, 1.0, 2.0], TypeError, "t must be a torch.Tensor of times; got list"),
    (torch.arange(4.0), ValueError, r"t must have shape \(2, 3\) or \(3,\); got \(4,\)"),
    (torch.zeros(2, 1), ValueError, r"t must have shape \(2, 3\) or \(3,\); got \(2, 1\)"),
    (torch.tensor([0.0, NAN, 1.0]), ValueError, "t must be finite; got"),
    (torch.tensor([0.0, 2.0, 1.0]), ValueError, "t must be times that do not decrease along a series; got"),
], ids=["list", "long", "column", "nan", "backwards"])  # fmt: skip
def test_bad_times_are_named(t, error, words):
    with pytest.raises(error, match=words):
        with_time(torch.zeros(2, 3, 1), t)


# --- NeuralCDE ----------------------------------------------------------------------------------------------------


def test_the_field_is_a_bounded_matrix_of_the_state():
    field, z = CDEField(4, 3, 7), torch.randn(2, 5, 4)
    F = field(0.0, z)
    assert F.shape == (2, 5, 4, 3) and F.abs().max() < 1
    weights = torch.tanh(field.outer(torch.relu(field.inner(z)))).reshape(2, 5, 4, 3)
    torch.testing.assert_close(F, weights)


def test_a_constant_field_integrates_the_path():
    net = NeuralCDE(2, 3, 1)
    with torch.no_grad():
        net.field.outer.weight.zero_()
    x = gappy(4, 6, 2, missing=0.0)
    matrix = torch.tanh(net.field.outer.bias).reshape(3, 2)
    expected = net.initial(x[:, 0])[:, None] + (x - x[:, :1]) @ matrix.T
    torch.testing.assert_close(net.trajectory(x), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(net(x), net.readout(expected[:, -1]), rtol=0, atol=1e-12)


def test_more_knots_on_the_same_path_change_nothing_but_by_the_solver():
    net, x = NeuralCDE(3, 6, 2, steps=16), with_time(gappy(4, 6, 2, missing=0.0), torch.arange(6.0))
    denser = torch.lerp(x[:, :-1], x[:, 1:], 0.5)
    denser = torch.cat([torch.stack([x[:, :-1], denser], 2).flatten(1, 2), x[:, -1:]], 1)
    assert denser.shape == (4, 11, 3)
    torch.testing.assert_close(net(denser), net(x), rtol=0, atol=1e-3)  # the field has kinks of its own


@pytest.mark.parametrize("shape", [(7, 4), (3, 7, 4), (2, 3, 7, 4)], ids=["one", "three", "two by three"])
@pytest.mark.parametrize("interpolation", PATHS, ids=str)
def test_takes_any_leading_axes(shape, interpolation):
    net, x = NeuralCDE(4, 6, 2, interpolation=interpolation), gappy(*shape)
    states = net.trajectory(x)
    assert net(x).shape == (*shape[:-2], 2) and states.shape == (*shape[:-1], 6)
    torch.testing.assert_close(net.readout(states[..., -1, :]), net(x), rtol=0, atol=0)
    at = net.trajectory(x, torch.tensor([0.0, 2.0, 6.0]))
    torch.testing.assert_close(at, states[..., [0, 2, 6], :], rtol=0, atol=0)
    assert net.trajectory(x, torch.tensor([0.0, 2.5])).shape == (*shape[:-2], 2, 6)


def test_a_channel_that_one_series_never_shows_is_zero_there():
    net, x = NeuralCDE(3, 6, 2), gappy(4, 5, 3)
    x[1, :, 2] = NAN
    filled = x.clone()
    filled[1, :, 2] = 0
    torch.testing.assert_close(net(x), net(filled), rtol=0, atol=0)
    assert net(torch.full((2, 5, 3), NAN)).isfinite().all()


def test_a_series_padded_with_nothing_ends_where_it_ended():
    net, x = NeuralCDE(3, 6, 2), with_time(gappy(4, 5, 2, missing=0.0), torch.arange(5.0))
    padded = torch.cat([x, torch.full((4, 3, 3), NAN)], 1)
    torch.testing.assert_close(net(padded), net(x), rtol=0, atol=1e-12)


def test_the_state_of_a_linear_path_depends_on_nothing_later():
    for interpolation, causal in (("linear", True), ("hermite", True), ("natural_cubic", False)):
        net, x = NeuralCDE(2, 4, 1, interpolation=interpolation), gappy(3, 8, 2, missing=0.0)
        moved = x.clone()
        moved[:, 5:] += 1
        change = (net.trajectory(moved) - net.trajectory(x)).abs().amax((0, 2))
        assert (change[:5].max() == 0) == causal and change[5] > 1e-3


def test_learns_from_rows_with_most_of_their_pixels_missing():
    (x, y), _ = data.digit_rows(seed=0, missing=0.6)
    x, y = with_time(x[:64], torch.linspace(0, 1, 8)), y[:64]
    assert x.isnan().all(1).any(), "some image never shows some column"
    net = NeuralCDE(9, 8, 10, method="midpoint")
    optimiser, losses = torch.optim.Adam(net.parameters(), lr=0.02), []
    for _ in range(10):
        loss = nn.functional.cross_entropy(net(x), y)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("changed, error, words", [
    ({"channels": 0}, ValueError, "channels must be a whole number, at least 1; got 0"),
    ({"hidden": 2.5}, TypeError, "hidden must be a whole number, at least 1; got 2.5"),
    ({"outputs": -1}, ValueError, "outputs must be a whole number, at least 1; got -1"),
    ({"width": 0}, ValueError, "width must be a whole number, at least 1; got 0"),
    ({"interpolation": "cubic"}, ValueError, "interpolation must be one of 'linear'.*; got 'cubic'"),
    ({"method": "dopri5"}, ValueError, "method must be one of 'euler'.*; got 'dopri5'"),
    ({"steps": 0}, ValueError, "steps must be a whole number, at least 1; got 0"),
], ids=["channels", "hidden", "outputs", "width", "interpolation", "method", "steps"])  # fmt: skip
def test_a_badly_made_neural_cde_is_named(changed, error, words):
    with pytest.raises(error, match=words):
        NeuralCDE(**{"channels": 2, "hidden": 3, "outputs": 1, **changed})


@pytest.mark.parametrize("x, error, words", [
    ([[0.0, 1.0]], TypeError, r"x must be a torch.Tensor of shape \(\.\.\., length, 2\); got list"),
    (torch.zeros(4, 5, 3), ValueError, r"x must have shape \(\.\.\., length, 2\); got \(4, 5, 3\)"),
    (torch.zeros(2), ValueError, r"x must have shape \(\.\.\., length, 2\); got \(2,\)"),
    (torch.zeros(4, 1, 2).double(), ValueError, r"x must have shape .* length ≥ 2; got \(4, 1, 2\)"),
    (torch.zeros(4, 5, 2, dtype=torch.int64), TypeError, "x must be of a floating-point dtype.*; got torch.int64"),
    (torch.zeros(4, 5, 2).float(), TypeError, "x must be of torch.float64, as the parameters are; got torch.float32"),
], ids=["list", "channels", "one axis", "one row", "int", "dtype"])  # fmt: skip
def test_a_series_that_a_neural_cde_does_not_take_is_named(x, error, words):
    net = NeuralCDE(2, 3, 1)
    for ask in (net, net.trajectory):
        with pytest.raises(error, match=words):
            ask(x)


@pytest.mark.parametrize("t, words", [
    (torch.tensor([1.0, 2.0]), "t must be a tensor of shape .* begin at 0"),
    ([0.0, 1.0], "t must be a tensor of shape .* begin at 0"),
    (torch.tensor([0.0, 9.0]), r"t must lie within the path's interval \[0, 4\]; got"),
    (torch.tensor([0.0, 2.0, 1.0]), "t must be finite and strictly increasing; got"),
], ids=["late", "list", "beyond", "backwards"])  # fmt: skip
def test_a_parameter_off_the_path_is_named(t, words):
    with pytest.raises(ValueError, match=words):
        NeuralCDE(2, 3, 1).trajectory(torch.zeros(5, 2), t)


# --- GRUODE -------------------------------------------------------------------------------------------------------


def test_one_euler_step_is_a_gated_recurrent_unit():
    field, h = GRUODE(4), torch.randn(6, 4)
    stepped = step(tableaux.get("euler"), field, 0.0, h, 1.0)
    W, b, U, c = field.gates.weight, field.gates.bias, field.candidate.weight, field.candidate.bias
    for before, after in zip(h, stepped, strict=True):
        r, z = torch.sigmoid(W[:4] @ before + b[:4]), torch.sigmoid(W[4:] @ before + b[4:])
        torch.testing.assert_close(after, (1 - z) * torch.tanh(U @ (r * before) + c) + z * before)


def test_one_euler_step_is_torchs_gru_where_both_conventions_agree():
    # U (r ⊙ h) = r ⊙ (U h) for a diagonal U
    field, cell, h = GRUODE(4), nn.GRUCell(1, 4), torch.randn(6, 4)
    with torch.no_grad():
        field.candidate.weight.copy_(torch.diag(torch.randn(4)))
        cell.weight_hh.copy_(torch.cat([field.gates.weight, field.candidate.weight]))
        cell.bias_ih.copy_(torch.cat([field.gates.bias, field.candidate.bias]))
        cell.bias_hh.zero_()
        stepped = step(tableaux.get("euler"), field, 0.0, h, 1.0)
        torch.testing.assert_close(stepped, cell(torch.zeros(6, 1), h))


@pytest.mark.parametrize("scale", [1, 10])
@torch.no_grad()
def test_the_cube_is_invariant_and_attracts(scale):
    field = GRUODE(8)
    for p in field.parameters():
        p.mul_(scale)
    draw = torch.rand(64, 8, generator=seeded(0)) * 2 - 1
    t, solver = torch.linspace(0, 10, 41), {"method": "rk4", "options": {"num_steps": 400}}
    inside = odeint(field, draw.sign(), t, **solver).abs().amax((1, 2))
    assert inside.max() <= 1 + 1e-9
    outside = odeint(field, 5 * draw, t, **solver).abs().amax((1, 2))
    assert (outside.diff() <= 1e-9).all() and outside[-1] < outside[0]
    # and so it is for Euler's steps up to 1, which are convex combinations, but not for longer ones
    for h, stays in ((1.0, True), (4.0, False)):
        grid = torch.arange(0.0, 30 * h + h / 2, h)
        states = odeint(field, draw.sign(), grid, method="euler", options={"grid": "t"})
        assert (states.abs().max() <= 1 + 1e-12) == stays


def test_a_gru_field_takes_any_leading_axes_and_names_other_states():
    field = GRUODE(3)
    for shape in ((3,), (2, 3), (4, 2, 3)):
        assert field(0.0, torch.randn(shape)).shape == shape
    with pytest.raises(ValueError, match=r"GRUODE takes states of shape \(\.\.\., 3\); got \(2, 4\)"):
        field(0.0, torch.zeros(2, 4))
    for h, got in ((torch.zeros(3).float(), "torch.float32"), (torch.zeros(3).long(), "torch.int64"), ([0.0], "list")):
        with pytest.raises(TypeError, match=f"h must be a tensor of torch.float64, as GRUODE's .*; got {got}"):
            field(0.0, h)
    with pytest.raises(ValueError, match="hidden must be a whole number, at least 1; got 0"):
        GRUODE(0)


# --- ODERNN -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_state_between_observations_is_a_flow():
    net, h = ODERNN(1, 16, 1, method="rk4", steps=8), torch.randn(32, 16, generator=seeded(0)).clamp(-1, 1)
    once, twice = net.evolve(h, 1.5), net.evolve(net.evolve(h, 0.45), 1.05)
    assert (once - twice).norm() / once.norm() <= 1e-5
    # that is of the flow; one step of midpoint has it only to its accuracy
    coarse = ODERNN(1, 16, 1)
    coarse.load_state_dict(net.state_dict())
    once, twice = coarse.evolve(h, 1.5), coarse.evolve(coarse.evolve(h, 0.45), 1.05)
    assert 1e-5 < (once - twice).norm() / once.norm() < 0.1


def test_each_sample_has_its_own_gap_in_closed_form():
    net = ODERNN(1, 2, 1, field=FunctionField(lambda h: -h), method="rk4", steps=16)
    h, gap = torch.randn(4, 2), torch.tensor([0.0, 0.5, 1.0, 2.0])
    torch.testing.assert_close(net.evolve(h, gap), h * torch.exp(-gap)[:, None], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(net.evolve(h, gap)[0], h[0], rtol=0, atol=0)


def test_without_time_between_them_observations_are_torchs_gru():
    net, x = ODERNN(3, 5, 2), torch.randn(4, 6, 3)
    gru = nn.GRU(6, 5, batch_first=True)
    with torch.no_grad():
        for name, p in net.cell.named_parameters():
            getattr(gru, f"{name}_l0").copy_(p)
    expected = gru(torch.cat([x, torch.ones_like(x)], -1))[0]
    torch.testing.assert_close(net.states(x, torch.zeros(4, 6)), expected)
    torch.testing.assert_close(net(x, torch.zeros(4, 6)), net.readout(expected))


def test_a_sample_that_sees_nothing_flows_on():
    net, x, t = ODERNN(2, 4, 1, method="rk4", steps=16), gappy(3, 6, 2, missing=0.0), clocks(3, 6)
    x[1, 3:] = NAN
    states = net.states(x, t)
    expected = net.evolve(states[1:2, 2], t[1:2, 5] - t[1:2, 2])
    torch.testing.assert_close(states[1:2, 5], expected, rtol=0, atol=1e-7)
    x[:, 3:] = NAN  # nobody sees anything
    torch.testing.assert_close(net.states(x, t)[1:2, 5], expected, rtol=0, atol=1e-7)


def test_a_time_that_repeats_with_nothing_to_see_is_a_pad():
    net, x, t = ODERNN(2, 4, 1), gappy(3, 6, 2), clocks(3, 6)
    padded = torch.cat([x, torch.full((3, 2, 2), NAN)], 1)
    states = net.states(padded, torch.cat([t, t[:, -1:].expand(3, 2)], 1))
    torch.testing.assert_close(states[:, :6], net.states(x, t), rtol=0, atol=0)
    for extra in (6, 7):
        torch.testing.assert_close(states[:, extra], states[:, 5], rtol=0, atol=0)


def test_an_answer_depends_on_nothing_later():
    net, x, t = ODERNN(2, 4, 1), gappy(3, 6, 2), clocks(3, 6)
    moved, later = x.clone(), t.clone()
    moved[:, 4:], later[:, 4:] = 1.0, t[:, 4:] + 1
    torch.testing.assert_close(net(moved, later)[:, :4], net(x, t)[:, :4], rtol=0, atol=0)


@pytest.mark.parametrize("t, error, words", [
    ([[0.0, 1.0, 2.0]] * 2, TypeError, "t must be a torch.Tensor of times; got list"),
    (torch.arange(3.0), ValueError, r"t must have shape \(n, length\) = \(2, 3\); got \(3,\)"),
    (torch.zeros(2, 4), ValueError, r"t must have shape \(2, 3\).*; got \(2, 4\)"),
    (torch.tensor([[0.0, 1.0, 2.0], [0.0, 2.0, 1.0]]), ValueError, "t must be times that do not decrease"),
    (torch.tensor([[0.0, 1.0, 2.0], [0.0, 2.0, NAN]]), ValueError, "t must be finite; got"),
], ids=["list", "shared", "long", "backwards", "nan"])  # fmt: skip
def test_times_that_an_ode_rnn_does_not_take_are_named(t, error, words):
    with pytest.raises(error, match=words):
        ODERNN(1, 2, 1)(torch.zeros(2, 3, 1), t)


@pytest.mark.parametrize("changed, error, words", [
    ({"channels": 0}, ValueError, "channels must be a whole number"),
    ({"hidden": 0}, ValueError, "hidden must be a whole number"),
    ({"outputs": 0}, ValueError, "outputs must be a whole number"),
    ({"steps": 0}, ValueError, "steps must be a whole number"),
    ({"method": "implicit_euler"}, ValueError, "method must be one of 'euler'.*; got 'implicit_euler'"),
    ({"method": "ab2"}, ValueError, "method must be one of 'euler'.*; got 'ab2'"),
    ({"field": torch.tanh}, TypeError, "field must be an nn.Module"),
], ids=["channels", "hidden", "outputs", "steps", "implicit", "multistep", "field"])  # fmt: skip
def test_a_badly_made_ode_rnn_is_named(changed, error, words):
    with pytest.raises(error, match=words):
        ODERNN(**{"channels": 1, "hidden": 2, "outputs": 1, **changed})


def test_other_shapes_beside_an_ode_rnn_are_named():
    net = ODERNN(3, 2, 1)
    with pytest.raises(ValueError, match=r"x must have shape \(n, length, 3\); got \(2, 3\)"):
        net(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"gap must be a number or have shape \(4,\); got \(3,\)"):
        net.evolve(torch.zeros(4, 2), torch.zeros(3))
    with pytest.raises(ValueError, match=r"ODERNN takes states of shape \(\.\.\., 2\); got \(4, 3\)"):
        net.evolve(torch.zeros(4, 3), 1.0)
    with pytest.raises(ValueError, match=r"x must have shape \(4, 3\) beside h; got \(4, 1\)"):
        net.observe(torch.zeros(4, 2), torch.zeros(4, 1))
    wide = ODERNN(3, 2, 1, field=FunctionField(lambda h: h[..., :1]))
    with pytest.raises(ValueError, match=r"field must keep the state's shape \(4, 2\); got \(4, 1\)"):
        wide.evolve(torch.zeros(4, 2), 1.0)


@pytest.mark.parametrize("call, error, words", [
    (lambda net, h, x: net.evolve(h, NAN), ValueError, "gap must be finite; got nan"),
    (lambda net, h, x: net.evolve(h, torch.full((4,), math.inf)), ValueError, "gap must be finite; got inf"),
    (lambda net, h, x: net.evolve(h, "1"), TypeError, "gap must be a number or a tensor of real numbers; got '1'"),
    (lambda net, h, x: net.evolve(h, True), TypeError, "gap must be a number or a tensor of real numbers; got True"),
    (lambda net, h, x: net.evolve(h, torch.tensor(1j)), TypeError, "gap must be a number.*; got torch.complex128"),
    (lambda net, h, x: net.evolve(h.float(), 1.0), TypeError, "h must be a tensor of torch.float64.*; got .*32"),
    (lambda net, h, x: net.evolve([0.0], 1.0), TypeError, "h must be a tensor of torch.float64.*; got list"),
    (lambda net, h, x: net.observe(h, x / 0), ValueError, "x must hold finite values.*; got an infinite value"),
    (lambda net, h, x: net.observe(h, x.long()), TypeError, "x must be a tensor of torch.float64.*; got torch.int64"),
    (lambda net, h, x: net.observe(h, [1.0]), TypeError, "x must be a tensor of torch.float64.*; got list"),
    (lambda net, h, x: net(x[None].float(), torch.arange(4.0)[None]), TypeError, "x must be a tensor of .*; got"),
    (lambda net, h, x: net(x[None], torch.arange(4.0)[None] + 0j), TypeError, "t must be a tensor of real times; got"),
])  # fmt: skip
def test_what_an_ode_rnn_cannot_compute_with_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(ODERNN(3, 2, 1), torch.zeros(4, 2), torch.ones(4, 3))


# --- LatentODE ----------------------------------------------------------------------------------------------------


def test_the_loss_is_the_bound_by_hand_where_the_flow_stands_still():
    net = LatentODE(2, 3, 6, TIMES, noise=0.3)
    with torch.no_grad():
        net.field.outer.weight.zero_()
        net.field.outer.bias.zero_()
    x, y = with_time(gappy(4, 5, 2), TIMES), gappy(4, 5, 2, seed=3)
    output = net(x)  # in train mode: z is drawn
    prediction, mean, log_var = output
    q = torch.distributions.Normal(mean, (log_var / 2).exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    expected = 0.0
    torch.manual_seed(8)
    z = q.mean + q.stddev * torch.randn(4, 3)
    torch.manual_seed(8)
    torch.testing.assert_close(net(x)[0], net.readout(z)[:, None].expand(4, 5, 2))
    for k in range(4):
        for i in range(5):
            for c in range(2):
                if not y[k, i, c].isnan():
                    expected -= torch.distributions.Normal(prediction[k, i, c], 0.3).log_prob(y[k, i, c])
    torch.testing.assert_close(net.loss(output, y), (expected + kl.sum()) / 4)
    nothing = torch.full_like(y, NAN)
    torch.testing.assert_close(net.loss(output, nothing), kl.mean())


def test_the_decoder_is_the_flow_in_closed_form():
    net = LatentODE(2, 2, 4, TIMES, steps=64)
    net.field = FunctionField(lambda z: z @ torch.tensor([[0.0, -3.0], [3.0, 0.0]]))
    z = torch.randn(6, 2)
    turn = torch.stack([torch.stack([(3 * t).cos(), -(3 * t).sin(), (3 * t).sin(), (3 * t).cos()]) for t in TIMES])
    exact = torch.einsum("nj,mjk->nmk", z, turn.reshape(5, 2, 2))
    torch.testing.assert_close(net.decode(z), net.readout(exact), rtol=0, atol=1e-6)
    later = torch.tensor([0.0, 0.5, 7.0])
    net.steps = 700
    torch.testing.assert_close(net.decode(z, later)[:, 1], net.readout(exact)[:, 2], rtol=0, atol=1e-6)
    assert net.decode(z.expand(3, 6, 2), later).shape == (3, 6, 3, 2)


def test_the_posterior_begins_narrow_and_training_draws_from_it():
    net, x = LatentODE(2, 3, 6, TIMES), with_time(gappy(5, 7, 2), clocks(5, 7))
    mean, log_var = net.encode(x)
    assert mean.shape == log_var.shape == (5, 3) and -6 < log_var.min() and log_var.max() < -2
    assert not torch.equal(net(x)[0], net(x)[0])
    torch.testing.assert_close(net.eval()(x)[0], net.decode(mean), rtol=0, atol=0)
    state = torch.get_rng_state()
    net(x)
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_come_from_the_posterior():
    net, x = LatentODE(1, 2, 4, TIMES), with_time(gappy(3, 6, 1), clocks(3, 6))
    t, n = torch.tensor([0.0, 0.5]), 20_000
    with torch.no_grad():
        net.posterior.bias[2:] = 1.5  # wide, so that there is something to see
        drawn = net.sample(x, n, t, seeded(0))
        mean, log_var = net.encode(x)
        at_start = net.readout(mean)
        spread = (log_var.exp() @ net.readout.weight.square().T).sqrt()
    assert drawn.shape == (n, 3, 2, 1)
    for ours, exact, error in (
        (drawn[:, :, 0].mean(0), at_start, spread / math.sqrt(n)),
        (drawn[:, :, 0].std(0), spread, spread / math.sqrt(2 * n)),
    ):
        assert ((ours - exact).abs() < 6 * error).all()
    again = partial(net.sample, x, 4, t)
    torch.testing.assert_close(again(seeded(1)), again(seeded(1)), rtol=0, atol=0)
    assert not torch.equal(again(), again())
    assert net.sample(x, 2).shape == (2, 3, 5, 1)


def test_a_row_without_observation_is_read_by_the_encoder():
    net, x = LatentODE(2, 3, 6, TIMES).eval(), with_time(gappy(3, 6, 2), clocks(3, 6))
    question = torch.cat([x, torch.tensor([9.0, NAN, NAN]).expand(3, 1, 3)], 1)
    assert (net.encode(question)[0] - net.encode(x)[0]).abs().max() > 1e-6


@pytest.mark.parametrize("changed, error, words", [
    ({"channels": 0}, ValueError, "channels must be a whole number"),
    ({"latent": 0}, ValueError, "latent must be a whole number"),
    ({"hidden": 0}, ValueError, "hidden must be a whole number"),
    ({"noise": 0.0}, ValueError, "noise must be positive and finite; got 0.0"),
    ({"method": "dopri5"}, ValueError, "method must be one of 'euler'.*; got 'dopri5'"),
    ({"steps": 0}, ValueError, "steps must be a whole number"),
    ({"t": [0.0, 1.0]}, TypeError, "t must be a torch.Tensor of times; got list"),
    ({"t": torch.zeros(1)}, ValueError, r"t must have shape \(m,\) with m ≥ 2; got \(1,\)"),
    ({"t": torch.tensor([0.0, 2.0, 1.0])}, ValueError, "t must be finite and strictly increasing; got"),
    ({"t": torch.tensor([0.0, NAN])}, ValueError, "t must be finite and strictly increasing; got"),
    ({"t": torch.tensor([0.0, 1j])}, TypeError, "t must be of real numbers; got torch.complex"),
    ({"t": torch.tensor([False, True])}, TypeError, "t must be of real numbers; got torch.bool"),
], ids=["channels", "latent", "hidden", "noise", "method", "steps", "list", "one", "backwards", "nan", "complex",
        "bool"])  # fmt: skip
def test_a_badly_made_latent_ode_is_named(changed, error, words):
    with pytest.raises(error, match=words):
        LatentODE(**{"channels": 1, "latent": 2, "hidden": 3, "t": TIMES, **changed})


def test_other_input_of_a_latent_ode_is_named():
    net, x = LatentODE(1, 2, 3, TIMES), torch.zeros(4, 5, 2)
    with pytest.raises(ValueError, match=r"x must have shape \(n, length, 2\); got \(4, 5, 1\)"):
        net(x[..., :1])
    with pytest.raises(ValueError, match=r"x\[\.\.\., 0\] must be finite; got"):
        net(torch.full_like(x, NAN))
    with pytest.raises(ValueError, match=r"x\[\.\.\., 0\] must be times that do not decrease"):
        net(with_time(x[..., :1], torch.arange(5.0)).flip(1))
    with pytest.raises(ValueError, match=r"x must have shape \(4, 5, 1\); got \(4, 5, 2\)"):
        net.loss(net(x), x)
    with pytest.raises(ValueError, match=r"t must begin at the time of z\(0\), 0; got 0.5"):
        net.decode(torch.zeros(4, 2), torch.tensor([0.5, 1.0]))
    with pytest.raises(ValueError, match=r"z must have shape \(\.\.\., 2\); got \(4, 3\)"):
        net.decode(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="draws must be a whole number, at least 1; got 0"):
        net.sample(x, 0)
    with pytest.raises(TypeError, match="generator must be a CPU torch.Generator, or None; got 7"):
        net.sample(x, 1, generator=7)


def test_a_latent_ode_learns_spirals():
    _, seen = data.winding_spirals(64, seed=0)
    net = LatentODE(2, 4, 16, data.SPIRAL_TIMES[:21], method="midpoint")
    optimiser, losses = torch.optim.Adam(net.parameters(), lr=0.01), []
    for _ in range(25):
        loss = net.loss(net(seen), seen[..., 1:])
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.8 * losses[0]
    assert isinstance(net.field, MLPField)


def test_times_that_are_one_in_the_dtype_of_the_weights_are_named():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with pytest.raises(ValueError, match="t must be finite and strictly increasing; got"):
            LatentODE(1, 2, 4, torch.tensor([0.0, 1.0], dtype=torch.float64) + 1e9)
    finally:
        torch.set_default_dtype(before)


def test_what_a_latent_ode_is_asked_in_another_dtype_is_named():
    net = LatentODE(1, 2, 4, TIMES)
    words = "must be of torch.float64, as the parameters are; got torch.float32"
    with pytest.raises(TypeError, match=f"x {words}"):
        net(torch.zeros(3, 5, 2).float())
    with pytest.raises(TypeError, match=f"z {words}"):
        net.decode(torch.zeros(3, 2).float())
    with pytest.raises(TypeError, match="z must be a torch.Tensor of shape .*; got list"):
        net.decode([[0.0, 1.0]])
    with pytest.raises(TypeError, match="output must be what forward returned, three tensors; got Tensor"):
        net.loss(torch.zeros(3, 5, 1), torch.zeros(3, 5, 1))


@pytest.mark.parametrize("dtype", [torch.complex128, torch.bool], ids=["complex", "bool"])
def test_times_that_are_no_real_numbers_are_named(dtype):
    with pytest.raises(TypeError, match="t must be of real numbers; got"):
        with_time(torch.zeros(3, 5, 1), torch.arange(5).to(dtype))
