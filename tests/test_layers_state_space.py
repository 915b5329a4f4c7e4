"""State-space layers: their modes agree, their scheme is that of a dense system, their states stay where they must."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch

from helpers.layers import LTC, S4, S4D, S5, SelectiveSSM, discretize, hippo, selective_scan
from helpers.solvers import odeint

from .support import DEVICES, DTYPES

LAYERS = {
    "S4D lin": lambda: S4D(4, 8),
    "S4D inv bilinear": lambda: S4D(4, 8, init="inv", method="bilinear"),
    "S4D legs": lambda: S4D(4, 8, init="legs"),
    "S4": lambda: S4(4, 8),
    "S5": lambda: S5(4, 8),
    "S5 bilinear": lambda: S5(4, 8, init="lin", method="bilinear"),
    "SelectiveSSM": lambda: SelectiveSSM(4, 3),
    "LTC": lambda: LTC(4, 4),
    "LTC euler": lambda: LTC(4, 4, method="euler"),
}
STATE_SPACE = [name for name in LAYERS if not name.startswith("LTC")]
BOTH_MODES = [name for name in LAYERS if name.startswith("S4")]
WITH_DT = {"S4D": S4D, "S4": S4, "S5": S5, "SelectiveSSM": SelectiveSSM}


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(5)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(params=LAYERS)
def make(request):
    return LAYERS[request.param]


def far(x, y):
    return ((x - y).abs().max() / y.abs().max()).item()


def stepped(layer, u):
    """The outputs of `step`, sample by sample."""
    state, outputs = None, []
    for sample in u.unbind(1):
        found = layer.step(sample, state)
        y, state = found if isinstance(found, tuple) else (found, found)
        outputs.append(y)
    return torch.stack(outputs, 1)


# --- what all of them promise -------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("length", [1, 2, 3, 20])
def test_every_length_keeps_shape_dtype_and_device(make, length, dtype, device):
    layer, u = make().to(device, dtype), torch.randn(2, length, 4).to(device, dtype)
    before = u.clone()
    y = layer(u)
    assert (y.shape, y.dtype, y.device) == (u.shape, dtype, u.device) and y.isfinite().all()
    assert torch.equal(u, before), "the input was changed in place"


def test_step_by_step_is_the_whole(make):
    layer, u = make(), torch.randn(2, 50, 4)
    assert far(stepped(layer, u), layer(u)) < 1e-12


def test_the_future_reaches_no_output(make):
    layer, u = make(), torch.randn(2, 30, 4)
    changed = torch.cat([u[:, :20], torch.randn(2, 10, 4)], 1)
    assert (layer(u) - layer(changed))[:, :20].abs().max() < 1e-12


def test_samples_of_a_batch_do_not_mix(make):
    layer, u = make(), torch.randn(3, 20, 4)
    assert far(layer(u[1:2]), layer(u)[1:2]) < 1e-12


def test_float32_is_float64_up_to_rounding(make):
    layer, u = make(), torch.randn(2, 100, 4)
    exact = layer(u)
    assert far(copy.deepcopy(layer).float()(u.float()).double(), exact) < 1e-4


def test_the_gradient_reaches_input_and_weights(make):
    layer, u = make(), torch.randn(2, 20, 4, requires_grad=True)
    found = torch.autograd.grad(layer(u).square().sum(), [u, *layer.parameters()])
    assert all(g.isfinite().all() and g.any() for g in found)


def test_the_gradient_is_that_of_the_steps(make):
    layer, u = make(), torch.randn(2, 12, 4, requires_grad=True)
    ours, theirs = (
        torch.autograd.grad(y.square().sum(), [u, *layer.parameters()]) for y in (layer(u), stepped(layer, u))
    )
    assert max(far(x, y) for x, y in zip(ours, theirs, strict=True)) < 1e-9


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["copy", "dump"])
def test_copies_agree(make, twin):
    layer, u = make(), torch.randn(2, 9, 4)
    assert torch.equal(twin(layer)(u), layer(u))


def test_the_state_dict_makes_another_layer_the_same(make):
    layer, other, u = make(), make(), torch.randn(2, 9, 4)
    if not torch.equal(layer(u), other(u)):  # drawn anew
        other.load_state_dict(layer.state_dict())
    assert torch.equal(other(u), layer(u))


def test_the_repr_names_the_sizes(make):
    assert any(size in repr(make()) for size in ("features=4", "units=4"))


def test_an_empty_batch_has_an_empty_answer(make):
    assert len(make()(torch.zeros(0, 5, 4))) == 0


# --- S4D, S4, S5: linear and time invariant -----------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH_MODES)
@pytest.mark.parametrize("dtype, tol", [(torch.float64, 1e-12), (torch.float32, 1e-4)], ids=["float64", "float32"])
def test_convolution_is_recurrence(name, dtype, tol):
    layer, u = LAYERS[name]().to(dtype), torch.randn(2, 200, 4, dtype=dtype)
    assert far(layer(u, mode="recurrence"), layer(u)) < tol


@pytest.mark.parametrize("name", BOTH_MODES)
@pytest.mark.parametrize("length", [1, 2, 3, 255, 256, 257])
def test_the_kernel_is_the_answer_to_an_impulse(name, length):
    layer = LAYERS[name]()
    impulse = torch.zeros(1, length, 4)
    impulse[:, 0] = 1.0
    answer = stepped(layer, impulse)[0].T
    answer[:, 0] -= layer.D
    kernel = layer.kernel(length)
    assert kernel.shape == (4, length) and far(kernel, answer) < 1e-12


@pytest.mark.parametrize("method", ["zoh", "bilinear"])
def test_s4d_is_scipys_simulation_of_its_differential_equation(method):
    layer, u = S4D(1, 6, init="legs", method=method), torch.randn(1, 60, 1)
    poles = torch.complex(-layer.log_decay.exp(), layer.frequency)[0].tolist()
    A = scipy.linalg.block_diag(*[[[p.real, -p.imag], [p.imag, p.real]] for p in poles])
    C = torch.stack([2 * layer.C[0, :, 0], -2 * layer.C[0, :, 1]], 1).detach().reshape(1, -1).numpy()
    continuous = (A, np.tile([1.0, 0.0], 3)[:, None], C, np.zeros((1, 1)))
    A_bar, B_bar, *_ = scipy.signal.cont2discrete(continuous, layer.log_dt.exp().item(), method)
    x, y = np.zeros((6, 1)), []
    for sample in u[0, :, 0].tolist():
        x = A_bar @ x + B_bar * sample
        y.append((C @ x).item() + layer.D.item() * sample)
    np.testing.assert_allclose(layer(u).detach()[0, :, 0], y, atol=1e-11 * np.abs(y).max())


@pytest.mark.parametrize("method", ["zoh", "bilinear"])
def test_s5_is_a_dense_recurrence(method):
    layer, u = S5(3, 6, method=method), torch.randn(1, 40, 3)
    poles = torch.complex(-layer.log_decay.exp(), layer.frequency).detach()
    B, C = (torch.view_as_complex(z.detach()) for z in (layer.B, layer.C))
    # every pole has a step of its own: time is scaled so that all of them take a step of 1
    dt = layer.log_dt.exp().detach()
    continuous = (torch.diag(poles * dt).numpy(), (B * dt[:, None]).numpy(), C.numpy(), np.zeros((3, 3)))
    A_bar, B_bar, *_ = scipy.signal.cont2discrete(continuous, 1.0, method)
    x, y = np.zeros(3, complex), []
    for sample in u[0].numpy():
        x = A_bar @ x + B_bar @ sample
        y.append(2 * (C.numpy() @ x).real + layer.D.detach().numpy() * sample)
    np.testing.assert_allclose(layer(u).detach()[0], y, atol=1e-11 * np.abs(y).max())


@pytest.mark.parametrize("name", ["S4D lin", "S4D legs", "S5"])
def test_half_the_interval_reads_a_signal_with_every_sample_held_twice(name):
    layer, u = LAYERS[name](), torch.randn(2, 30, 4)
    y = layer(u) - layer.D * u
    layer.interval = 0.5
    fine = u.repeat_interleave(2, 1)
    assert far((layer(fine) - layer.D * fine)[:, 1::2], y) < 1e-12
    layer.interval = 1.0
    assert far((layer(fine) - layer.D * fine)[:, 1::2], y) > 0.05


def test_the_interval_multiplies_the_step_of_s4_as_well():
    layer, other, u = S4(3, 8), S4(3, 8), torch.randn(2, 30, 3)
    other.load_state_dict(layer.state_dict())
    with torch.no_grad():
        other.log_dt += math.log(0.25)
    layer.interval = 0.25
    assert far(layer(u), other(u)) < 1e-12 and "interval=0.25" in repr(layer)


@pytest.mark.parametrize("name", BOTH_MODES)
def test_the_kernel_of_any_weights_decays(name):
    layer = LAYERS[name]()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter))
        layer.log_dt.fill_(math.log(0.5))
        layer.log_decay.clamp_(min=-1.0)
    kernel = layer.kernel(2000)
    assert kernel.isfinite().all() and kernel[:, -100:].abs().max() < 1e-6 * kernel.abs().max()


def test_a_bilinear_pole_at_minus_two_over_the_step_forgets_at_once():
    net = S4D(1, 2, method="bilinear")
    with torch.no_grad():
        for z in (net.log_dt, net.log_decay, net.frequency):
            z.zero_()
    net.interval = 2.0
    assert net.discrete()[0].abs().max() == 0
    u, answers = torch.randn(2, 7, 1), []
    for mode in ("convolution", "recurrence"):
        y = net(u, mode)
        answers.append((y, *torch.autograd.grad(y.square().sum(), list(net.parameters()))))
    torch.testing.assert_close(*answers)


# --- S4 -----------------------------------------------------------------------------------------------------------


def legs_of(layer):
    """HiPPO-LegS itself and the layer's C for it: real, dense, without any of the layer's formulas."""
    n = layer.state
    memory = hippo("legs", n)
    _, vectors = memory.eigenvectors()
    C = 2 * (torch.view_as_complex(layer.C.detach()) @ vectors.mH).real
    return memory.A, memory.B, C


@pytest.mark.parametrize("n", [2, 4, 16, 64])
@pytest.mark.parametrize("length", [1, 2, 3, 100, 255, 256])
def test_s4s_kernel_is_the_recurrence_of_hippo_legs(n, length):
    layer = S4(3, n, dt=(1e-3, 1e-1))
    A, B, C = legs_of(layer)
    A_bar, B_bar = discretize(A, B, layer.log_dt.exp().detach(), "bilinear")
    x, expected = B_bar, []
    for _ in range(length):
        expected.append((C * x).sum(-1))
        x = (A_bar @ x.unsqueeze(-1)).squeeze(-1)
    assert far(layer.kernel(length), torch.stack(expected, -1)) < 1e-9


def test_the_dense_form_of_s4_has_the_eigenvalues_of_legs():
    A, B, C = S4(2, 8).dense()
    found = np.sort(np.linalg.eigvals(A.detach().numpy()).real, -1)
    np.testing.assert_allclose(found, np.tile(-np.arange(8.0, 0, -1), (2, 1)), atol=1e-8)
    assert A.shape == (2, 8, 8) and B.shape == C.shape == (2, 8)


def answer(A, B, omega):
    """(iω − A)⁻¹ B, the state's answer to e^{iωt}."""
    A, B = A.to(torch.complex128), B.to(torch.complex128)
    return torch.linalg.solve(1j * omega * torch.eye(A.shape[-1], dtype=A.dtype) - A, B)


def without_low_rank(n, omega):
    """How far the diagonal system with B/2 is from S4's, both in S4's coordinates (Re z, Im z)."""
    layer, diagonal = S4(1, n), S4D(1, n, init="legs")
    A, B, _ = (z[0].detach() for z in layer.dense())
    poles = torch.complex(-diagonal.log_decay.exp(), diagonal.frequency)[0].detach()
    normal = torch.cat([torch.cat([p.diag_embed() for p in row], -1) for row in _blocks(poles)], -2)
    exact = answer(A, B, omega)
    return ((answer(normal, B / 2, omega) - exact).norm() / exact.norm()).item()


def _blocks(poles):
    return (poles.real, -poles.imag), (poles.imag, poles.real)


def test_the_diagonal_form_answers_a_slow_input_like_s4_and_not_every_input():
    errors = [without_low_rank(n, 1.0) for n in (16, 32, 64)]
    assert all(abs(error * n - 1) < 0.05 for error, n in zip(errors, (16, 32, 64), strict=True))
    for n in (16, 64):
        assert max(without_low_rank(n, omega) for omega in np.logspace(-1, 4.5, 60)) > 1


# --- the selective layer ------------------------------------------------------------------------------------------


def test_streaming_in_pieces_is_the_whole_with_its_gradient():
    layer, u = SelectiveSSM(4, 3), torch.randn(2, 50, 4)
    pieces, state = [], None
    for piece in u.split([1, 19, 30], 1):
        y, state = layer(piece, state, return_state=True)
        pieces.append(y)
    whole, last = layer(u, return_state=True)
    assert far(torch.cat(pieces, 1), whole) < 1e-12 and far(state, last) < 1e-12
    ours, theirs = (
        torch.autograd.grad(y.square().sum(), list(layer.parameters())) for y in (torch.cat(pieces, 1), whole)
    )
    assert max(far(x, y) for x, y in zip(ours, theirs, strict=True)) < 1e-11


def test_one_state_with_the_input_s_step_is_a_gate_with_eulers_b():
    layer = SelectiveSSM(1, 1, dt_rank=1)
    with torch.no_grad():
        layer.select.weight.copy_(torch.tensor([[1.0], [0.0], [0.0]]))
    u = torch.randn(1, 30, 1)
    z = layer.widen(u[0])[:, 0]
    delta, _, _ = layer.selection(u)
    torch.testing.assert_close(delta[0, :, 0], torch.log1p(z.exp()))
    # with A = −1 the decay exp(−softplus(z)) is 1 − sigmoid(z), and Euler's input weight is softplus(z)
    h, expected = 0.0, []
    for gate, x in zip(z, u[0, :, 0], strict=True):
        h = (1 - torch.sigmoid(gate)) * h + torch.log1p(gate.exp()) * x
        expected.append(h)
    ones = torch.ones(1, 30, 1)
    y, _ = selective_scan(u, delta, -layer.log_A.exp(), ones, ones)
    assert far(y[0, :, 0], torch.stack(expected)) < 1e-13


@pytest.mark.parametrize("low, high", [(1e-3, 1e-1), (0.5, 0.5)])
def test_initial_steps_lie_in_their_range(low, high):
    layer = SelectiveSSM(200, 2, dt=(low, high))
    starts = [
        torch.nn.functional.softplus(layer.widen.bias),
        *(c(200, 4, dt=(low, high)).log_dt.exp() for c in (S4D, S4)),
    ]
    assert all(low * (1 - 1e-9) <= s.min() and s.max() <= high * (1 + 1e-9) for s in starts)


# --- liquid time constants ----------------------------------------------------------------------------------------


def liquid(inputs=2, units=5, **options):
    """An LTC whose time constants are not all 1."""
    layer = LTC(inputs, units, **options)
    with torch.no_grad():
        layer.log_tau.copy_(torch.linspace(math.log(0.5), math.log(5), units))
    return layer


@pytest.mark.parametrize("interval", [0.1, 1.0, 10.0, 1000.0])
def test_the_fused_step_keeps_every_state_in_its_box(interval):
    layer = liquid(substeps=1)
    states = layer(3 * torch.randn(8, 60, 2), interval)
    outside = torch.maximum(states - layer.A.clamp(min=0), layer.A.clamp(max=0) - states)
    assert outside.max() <= 1e-12
    assert states.abs().max() > 0.05 * layer.A.abs().max()


def test_eulers_rule_leaves_the_box_and_explodes():
    layer = liquid(substeps=1, method="euler")
    u = 3 * torch.randn(8, 100, 2)
    assert layer(u, 0.1).abs().max() <= layer.A.abs().max()
    assert layer(u, 10.0).abs().max() > 1e6


@pytest.mark.parametrize("method", ["fused", "euler"])
def test_both_steps_converge_to_the_equation_with_order_one(method):
    layer, u = liquid(), torch.randn(3, 2)

    def field(t, x):
        f = torch.sigmoid(layer.recurrent(x) + layer.drive(u))
        return -((-layer.log_tau).exp() + f) * x + f * layer.A

    start = 0.3 * torch.randn(3, 5)
    exact, errors = odeint(field, start, torch.tensor([0.0, 2.0]))[-1], []
    layer.method = method
    for layer.substeps in (40, 80):
        errors.append((layer.step(u, start, 2.0) - exact).abs().max().item())
    assert abs(math.log2(errors[0] / errors[1]) - 1) < 0.1 and errors[1] < 0.02


def test_intervals_for_every_time_and_every_sample():
    layer, u = liquid(), torch.randn(3, 4, 2)
    intervals = torch.rand(3, 4) + 0.5
    whole = layer(u, intervals)
    alone = torch.cat([layer(u[i : i + 1], intervals[i]) for i in range(3)])
    assert far(alone, whole) < 1e-14
    x = None
    for k in range(4):
        x = layer.step(u[:, k], x, intervals[:, k])
    assert far(x, whole[:, -1]) < 1e-14
    assert torch.equal(layer(u, torch.tensor(2.0)), layer(u, 2))


# --- bad input ----------------------------------------------------------------------------------------------------

SIZES = {
    "features": lambda make: make(0),
    "features whole": lambda make: make(2.5),
    "state": lambda make: make(4, 0),
    "dt of one number": lambda make: make(4, 4, dt=0.1),
    "dt[0]": lambda make: make(4, 4, dt=(0.0, 0.1)),
    "dt[1]": lambda make: make(4, 4, dt=(0.1, math.inf)),
    "dt reversed": lambda make: make(4, 4, dt=(0.2, 0.1)),
}


@pytest.mark.parametrize("name", WITH_DT)
@pytest.mark.parametrize("case", SIZES)
def test_bad_sizes_are_named(name, case):
    argument = case.split()[0]
    with pytest.raises((ValueError, TypeError)) as caught:
        SIZES[case](WITH_DT[name])
    assert str(caught.value).startswith(argument) and "got" in str(caught.value)


REFUSED = {
    "S4D odd state": (ValueError, "state must be even", lambda: S4D(4, 5)),
    "S4 odd state": (ValueError, "state must be even", lambda: S4(4, 5)),
    "S5 odd state": (ValueError, "state must be even", lambda: S5(4, 5)),
    "S4D init": (ValueError, "init must", lambda: S4D(4, 4, init="random")),
    "S5 init": (ValueError, "init must", lambda: S5(4, 4, init="random")),
    "S4D method": (ValueError, "method must", lambda: S4D(4, 4, method="euler")),
    "S5 method": (ValueError, "method must", lambda: S5(4, 4, method="euler")),
    "S4D mode": (ValueError, "mode must", lambda: S4D(4, 4)(torch.ones(1, 2, 4), mode="fft")),
    "S4 mode": (ValueError, "mode must", lambda: S4(4, 4)(torch.ones(1, 2, 4), mode="fft")),
    "S4D kernel": (ValueError, "length must", lambda: S4D(4, 4).kernel(0)),
    "S4 kernel": (ValueError, "length must", lambda: S4(4, 4).kernel(0)),
    "dt_rank": (ValueError, "dt_rank must", lambda: SelectiveSSM(4, dt_rank=0)),
    "selection of a list": (TypeError, "u must", lambda: SelectiveSSM(4).selection([1.0] * 4)),
    "selection": (ValueError, "SelectiveSSM takes", lambda: SelectiveSSM(4).selection(torch.ones(2, 3))),
    "state of another batch": (
        ValueError,
        "state must",
        lambda: SelectiveSSM(4, 3)(torch.ones(2, 5, 4), torch.ones(1, 4, 3)),
    ),
    "state float32": (
        TypeError,
        "state must",
        lambda: SelectiveSSM(4, 3)(torch.ones(2, 5, 4), torch.ones(2, 4, 3).float()),
    ),
    "nan": (ValueError, "delta must", lambda: SelectiveSSM(4, 3)(torch.full((2, 5, 4), math.nan))),
    "LTC inputs": (ValueError, "inputs must", lambda: LTC(0, 3)),
    "LTC units": (ValueError, "units must", lambda: LTC(3, 0)),
    "LTC substeps": (ValueError, "substeps must", lambda: LTC(3, 3, substeps=0)),
    "LTC method": (ValueError, "method must", lambda: LTC(3, 3, method="rk4")),
    "LTC interval zero": (ValueError, "interval must", lambda: LTC(4, 3)(torch.ones(2, 5, 4), 0.0)),
    "LTC interval nan": (ValueError, "interval must", lambda: LTC(4, 3).step(torch.ones(2, 4), None, math.nan)),
    "LTC interval true": (TypeError, "interval must", lambda: LTC(4, 3)(torch.ones(2, 5, 4), True)),
    "LTC interval complex": (TypeError, "interval must", lambda: LTC(4, 3)(torch.ones(2, 5, 4), 1j * torch.ones(5))),
    "LTC interval yes or no": (TypeError, "interval must", lambda: LTC(4, 3)(torch.ones(2, 5, 4), torch.ones(5) > 0)),
    "LTC one interval": (
        ValueError,
        "interval must",
        lambda: LTC(4, 3)(torch.ones(2, 3, 4), torch.tensor([1.0, -1.0, 1.0])),
    ),
    "LTC intervals": (ValueError, "interval must", lambda: LTC(4, 3)(torch.ones(2, 5, 4), torch.ones(2))),
    "LTC intervals of a step": (
        ValueError,
        "interval must",
        lambda: LTC(4, 3).step(torch.ones(2, 4), None, torch.ones(3)),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_named(case):
    kind, words, call = REFUSED[case]
    with pytest.raises(kind, match=f"^{words}.*got"):
        call()


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan], ids=repr)
@pytest.mark.parametrize("name", ["S4D lin", "S4", "S5"])
def test_an_interval_is_positive(name, value):
    layer = LAYERS[name]()
    with pytest.raises(ValueError, match="^interval must.*got"):
        layer.interval = value
    assert layer.interval == 1.0


BAD_SEQUENCES = {
    "features": (ValueError, lambda: torch.ones(2, 5, 3)),
    "axes": (ValueError, lambda: torch.ones(5, 4)),
    "empty": (ValueError, lambda: torch.ones(2, 0, 4)),
    "complex": (TypeError, lambda: torch.ones(2, 5, 4) + 0j),
    "integers": (TypeError, lambda: torch.ones(2, 5, 4, dtype=torch.int64)),
    "float32": (TypeError, lambda: torch.ones(2, 5, 4, dtype=torch.float32)),
    "list": (TypeError, lambda: [[[1.0] * 4]]),
}


@pytest.mark.parametrize("case", BAD_SEQUENCES)
def test_a_bad_sequence_is_named(make, case):
    kind, u = BAD_SEQUENCES[case]
    with pytest.raises(kind, match="^u must.*got"):
        make()(u())


@pytest.mark.parametrize("case", ["features", "axes", "complex", "state of another batch", "state of another dtype"])
def test_a_bad_step_is_named(make, case):
    layer, u = make(), torch.ones(2, 4)
    found = layer.step(u)
    state = found[1] if isinstance(found, tuple) else found
    bad = {
        "features": (ValueError, "u", torch.ones(2, 3), None),
        "axes": (ValueError, "u", torch.ones(2, 1, 4), None),
        "complex": (TypeError, "u", u + 0j, None),
        "state of another batch": (ValueError, "[xh]", u, state[:1]),
        "state of another dtype": (TypeError, "[xh]", u, state.float() if state.is_floating_point() else state.real),
    }
    kind, argument, u, state = bad[case]
    with pytest.raises(kind, match=f"^{argument} must.*got"):
        layer.step(u, state)
