"""Scans, kernels and convolutions, against loops and sums over everything, and their gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from helpers.layers import diagonal_kernel, fft_convolution, linear_scan, selective_scan

from .support import DEVICES, DTYPES

LENGTHS = [*range(1, 18), 31, 32, 33, 100, 257]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def draw(*shape, seed=0, complex=False):
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(shape, generator=g)
    return torch.complex(z, torch.randn(shape, generator=g)) if complex else z


def far(x, y):
    return ((x - y).abs().max() / y.abs().max()).item()


# --- linear scan --------------------------------------------------------------------------------------------------


def loop(a, b, h=None):
    """h_t = a_t h_{t−1} + b_t, one step at a time."""
    states = []
    for a_t, b_t in zip(a.expand_as(b), b, strict=True):
        h = b_t if h is None else a_t * h + b_t
        states.append(h)
    return torch.stack(states)


@pytest.mark.parametrize("complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_scan_is_the_loop(length, complex):
    a, b = draw(length, 2, 3, seed=1, complex=complex) * 0.6, draw(length, 2, 3, seed=2, complex=complex)
    initial = draw(2, 3, seed=3, complex=complex)
    assert far(linear_scan(a, b), loop(a, b)) < 1e-12
    assert far(linear_scan(a, b, initial), loop(a, b, initial)) < 1e-12


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 2, 3), (20, 1, 3), (20, 2, 1), (1, 1, 1)], ids=repr)
def test_a_broadcasts_against_b(shape):
    a, b = draw(*shape, seed=1) * 0.6, draw(20, 2, 3, seed=2)
    assert far(linear_scan(a, b), loop(a, b)) < 1e-12
    whole = a.expand(20, 2, 3).clone()
    for leaf in (a.requires_grad_(), whole.requires_grad_()):
        linear_scan(leaf, b).square().sum().backward()
    torch.testing.assert_close(a.grad, whole.grad.sum_to_size(shape), atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("constant", [False, True], ids=["varying", "constant"])
@pytest.mark.parametrize("length", [1, 2, 5, 9])
def test_the_gradient_of_a_scan_and_of_its_gradient(length, constant, complex):
    a = draw(*(() if constant else (length,)), 2, seed=1, complex=complex) * 0.6
    inputs = (a, draw(length, 2, seed=2, complex=complex), draw(2, seed=3, complex=complex))
    inputs = [z.requires_grad_() for z in inputs]
    assert gradcheck(linear_scan, inputs) and gradgradcheck(linear_scan, inputs)


def test_real_multipliers_and_complex_inputs():
    a, b = draw(10, 2, seed=1) * 0.6, draw(10, 2, seed=2, complex=True)
    assert far(linear_scan(a, b), loop(a, b)) < 1e-14
    a.requires_grad_()
    linear_scan(a, b).abs().square().sum().backward()
    assert a.grad.dtype == torch.float64 and a.grad.isfinite().all()


def test_a_long_product_neither_overflows_nor_vanishes_into_nan():
    a, b = torch.rand(5000, generator=torch.Generator().manual_seed(0)), draw(5000, seed=1)
    for dtype, tol in ((torch.float64, 1e-14), (torch.float32, 1e-5)):
        assert far(linear_scan(a.to(dtype), b.to(dtype)).double(), loop(a, b)) < tol


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [*DTYPES, torch.complex64], ids=str)
def test_a_scan_keeps_dtype_and_device_and_its_inputs(dtype, device):
    a, b = (draw(9, 2, seed=s).to(device, dtype) for s in (1, 2))
    before = a.clone(), b.clone()
    h = linear_scan(a, b)
    assert (h.dtype, h.device, h.shape) == (dtype, a.device, b.shape)
    assert torch.equal(a, before[0]) and torch.equal(b, before[1])


def test_a_scan_of_a_transposed_and_of_a_conjugate_view():
    a, b = draw(3, 20, seed=1, complex=True) * 0.6, draw(3, 20, seed=2, complex=True)
    assert far(linear_scan(a.T.conj(), b.T), loop(a.T.conj().resolve_conj(), b.T)) < 1e-12


# --- selective scan -----------------------------------------------------------------------------------------------


def selective_loop(u, delta, A, B, C, h=None):
    h = torch.zeros(u.shape[0], u.shape[2], A.shape[1]) if h is None else h
    ys = []
    for t in range(u.shape[1]):
        h = torch.exp(delta[:, t, :, None] * A) * h + (delta[:, t] * u[:, t])[..., None] * B[:, t, None]
        ys.append((h * C[:, t, None]).sum(-1))
    return torch.stack(ys, 1), h


def selective_case(length, batch=2, features=3, state=2):
    return [
        draw(batch, length, features, seed=1),
        draw(batch, length, features, seed=4).abs() * 0.3,
        -draw(features, state, seed=5).abs() - 0.1,
        draw(batch, length, state, seed=2),
        draw(batch, length, state, seed=3),
        draw(batch, features, state, seed=6),
    ]


@pytest.mark.parametrize("initial", [False, True], ids=["from zero", "carried on"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_selective_scan_is_the_loop(length, initial):
    case = selective_case(length)[: 5 + initial]
    for ours, theirs in zip(selective_scan(*case), selective_loop(*case), strict=True):
        assert ours.shape == theirs.shape and far(ours, theirs) < 1e-12


@pytest.mark.parametrize("length", [1, 2, 3, 8, 9])
def test_the_gradient_of_a_selective_scan(length):
    assert gradcheck(selective_scan, [z.requires_grad_() for z in selective_case(length)])


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 4, 1), (3, 1, 5)], ids=repr)
def test_the_gradient_of_a_longer_selective_scan_is_that_of_the_loop(sizes):
    inputs = [z.requires_grad_() for z in selective_case(70, *sizes)]
    found = []
    for scan in (selective_scan, selective_loop):
        y, last = scan(*inputs)
        found.append(torch.autograd.grad(y.square().sum() + last.pow(3).sum(), inputs))
    for ours, theirs in zip(*found, strict=True):
        assert far(ours, theirs) < 1e-11


def test_the_gradient_of_one_of_the_two_results_alone():
    inputs = [z.requires_grad_() for z in selective_case(7)]
    for which in (0, 1):
        ours, theirs = (
            torch.autograd.grad(scan(*inputs)[which].square().sum(), inputs, allow_unused=True, materialize_grads=True)
            for scan in (selective_scan, selective_loop)
        )
        for x, y in zip(ours, theirs, strict=True):
            torch.testing.assert_close(x, y, atol=1e-12, rtol=1e-10)


def test_a_selective_scan_in_pieces_with_the_gradient_through_the_carried_state():
    u, delta, A, B, C, initial = inputs = [z.requires_grad_() for z in selective_case(23)]
    whole, last = selective_scan(*inputs)
    first, state = selective_scan(*(z[:, :9] for z in (u, delta)), A, *(z[:, :9] for z in (B, C)), initial)
    second, state = selective_scan(*(z[:, 9:] for z in (u, delta)), A, *(z[:, 9:] for z in (B, C)), state)
    pieces = torch.cat([first, second], 1)
    assert far(pieces, whole) < 1e-13 and far(state, last) < 1e-13
    ours, theirs = (torch.autograd.grad(y.square().sum(), inputs) for y in (pieces, whole))
    assert max(far(x, y) for x, y in zip(ours, theirs, strict=True)) < 1e-12


def test_a_step_of_zero_leaves_the_state_as_it_is():
    u, delta, A, B, C, initial = selective_case(5)
    _, last = selective_scan(u, torch.zeros_like(delta), A, B, C, initial)
    assert torch.equal(last, initial)


def test_a_selective_scan_says_that_it_is_differentiable_once():
    inputs = [z.requires_grad_() for z in selective_case(4)]
    (grad,) = torch.autograd.grad(selective_scan(*inputs)[0].square().sum(), inputs[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_only_the_inputs_and_the_chunks_beginnings_are_kept_for_the_backward_pass():
    inputs = [z.requires_grad_() for z in selective_case(1024, 1, 4, 8)]
    kept = {}

    def pack(z):
        kept[z.untyped_storage().data_ptr()] = z.numel()
        return z

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda z: z):
        selective_scan(*inputs)
    own = {z.untyped_storage().data_ptr() for z in inputs}
    assert sum(n for where, n in kept.items() if where not in own) <= 2 * math.isqrt(1024) * 4 * 8


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_selective_scan_keeps_dtype_and_device(dtype, device):
    case = [z.to(device, dtype) for z in selective_case(50)]
    y, last = selective_scan(*case)
    assert (y.dtype, last.dtype, y.device) == (dtype, dtype, case[0].device)
    assert far(y.cpu().double(), selective_loop(*selective_case(50))[0]) < 1e-5


# --- kernels and convolutions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 16, 17, 100, 255, 256, 257, 1024])
def test_the_kernel_is_the_sum_over_all_poles_and_times(length):
    log_a = -draw(3, 4, seed=1).abs() * 0.02 + 1j * draw(3, 4, seed=2)
    c = draw(3, 4, seed=3, complex=True)
    naive = 2 * (c[..., None] * torch.exp(log_a[..., None] * torch.arange(length))).sum(1).real
    kernel = diagonal_kernel(log_a, c, length)
    assert kernel.shape == (3, length) and far(kernel, naive) < 1e-12


def test_the_gradient_of_the_kernel():
    log_a = (-draw(2, 3, seed=1).abs() * 0.2 + 1j * draw(2, 3, seed=2)).requires_grad_()
    assert gradcheck(lambda x, y: diagonal_kernel(x, y, 11), (log_a, draw(2, 3, seed=3, complex=True).requires_grad_()))


@pytest.mark.parametrize("length", [1, 2, 3, 17, 64])
@pytest.mark.parametrize("taps", [1, 5, 64, 200])
def test_the_convolution_is_numpys(length, taps):
    u, kernel = draw(2, 3, length, seed=4), draw(3, taps, seed=5)
    direct = np.stack([[np.convolve(u[i, j].numpy(), kernel[j].numpy())[:length] for j in range(3)] for i in range(2)])
    np.testing.assert_allclose(fft_convolution(u, kernel), direct, atol=1e-12 * np.abs(direct).max())


def test_the_end_of_a_sequence_does_not_leak_into_its_beginning():
    u = torch.zeros(8)
    u[-1] = 1.0
    kernel = torch.ones(8)
    assert fft_convolution(u, kernel)[:-1].abs().max() < 1e-14
    circular = torch.fft.irfft(torch.fft.rfft(u) * torch.fft.rfft(kernel), n=8)
    assert circular[:-1].min() > 0.9  # what it would be without the padding


def test_no_samples_are_an_empty_result():
    u = torch.zeros(0, 5, 3)
    assert fft_convolution(u, torch.ones(1, 2)).shape == u.shape
    y, last = selective_scan(u, u, -torch.ones(3, 2), torch.zeros(0, 5, 2), torch.zeros(0, 5, 2))
    assert y.shape == u.shape and last.shape == (0, 3, 2)


# --- bad input ----------------------------------------------------------------------------------------------------


def selective(**changed):
    names = ("u", "delta", "A", "B", "C", "initial")
    return lambda: selective_scan(**{**dict(zip(names, selective_case(5), strict=True)), **changed})


ONES, WHOLE = torch.ones(5, 2, dtype=torch.float64), torch.ones(5, 2, dtype=torch.int64)
CASE = [z.double() for z in selective_case(5)]
REFUSED = {
    "a too long": (ValueError, "a must", lambda: linear_scan(torch.ones(6, 2), ONES)),
    "a with more axes": (ValueError, "a must", lambda: linear_scan(torch.ones(1, 5, 2), ONES)),
    "b empty": (ValueError, "b must", lambda: linear_scan(ONES[:0], ONES[:0])),
    "b a number": (ValueError, "b must", lambda: linear_scan(ONES[0, 0], ONES[0, 0])),
    "a integers": (TypeError, "a must", lambda: linear_scan(WHOLE, ONES)),
    "b integers": (TypeError, "b must", lambda: linear_scan(ONES, WHOLE)),
    "initial of another shape": (ValueError, "initial must", lambda: linear_scan(ONES, ONES, torch.ones(3))),
    "initial complex": (TypeError, "initial must", lambda: linear_scan(ONES, ONES, 1j * ONES[0])),
    "initial a number": (TypeError, "initial must", lambda: linear_scan(ONES, ONES, 1.0)),
    "u axes": (ValueError, "u must", selective(u=ONES)),
    "u empty": (ValueError, "u must", selective(u=CASE[0][:, :0])),
    "u complex": (TypeError, "u must", selective(u=CASE[0] + 0j)),
    "delta longer": (ValueError, "delta must", selective(delta=torch.ones(2, 6, 3, dtype=torch.float64))),
    "delta float32": (TypeError, "delta must", selective(delta=CASE[1].float())),
    "delta negative": (ValueError, "delta must", selective(delta=-CASE[1])),
    "delta nan": (ValueError, "delta must", selective(delta=CASE[1] * math.nan)),
    "delta infinite": (ValueError, "delta must", selective(delta=CASE[1] * math.inf)),
    "A positive": (ValueError, "A must", selective(A=-CASE[2])),
    "A nan": (ValueError, "A must", selective(A=CASE[2] * math.nan)),
    "A infinite": (ValueError, "A must", selective(A=CASE[2] * math.inf)),
    "A transposed": (ValueError, "A must", selective(A=CASE[2].T)),
    "A complex": (TypeError, "A must", selective(A=CASE[2] + 0j)),
    "A a number": (TypeError, "A must", selective(A=-1.0)),
    "B shorter": (ValueError, "B must", selective(B=CASE[3][:, :4])),
    "C of another state": (ValueError, "C must", selective(C=CASE[4][..., :1])),
    "C complex": (TypeError, "C must", selective(C=CASE[4] + 0j)),
    "initial of another batch": (ValueError, "initial must", selective(initial=CASE[5][:1])),
    "initial float32": (TypeError, "initial must", selective(initial=CASE[5].float())),
    "kernel length": (ValueError, "length must", lambda: diagonal_kernel(1j * ONES, 1j * ONES, 0)),
    "kernel real": (TypeError, "log_a must", lambda: diagonal_kernel(ONES, 1j * ONES, 3)),
    "kernel weights real": (TypeError, "c must", lambda: diagonal_kernel(1j * ONES, ONES, 3)),
    "kernel shapes": (ValueError, "c must", lambda: diagonal_kernel(1j * ONES, 1j * ONES[0], 3)),
    "kernel of two dtypes": (TypeError, "c must", lambda: diagonal_kernel(1j * ONES, 1j * ONES.float(), 3)),
    "convolution of other axes": (ValueError, "kernel must", lambda: fft_convolution(ONES, ONES[:3])),
    "convolution of halves": (TypeError, "u must", lambda: fft_convolution(ONES.half(), ONES.half())),
    "convolution empty": (ValueError, "u must", lambda: fft_convolution(ONES[:, :0], ONES)),
    "convolution without taps": (ValueError, "kernel must", lambda: fft_convolution(ONES, ONES[:, :0])),
    "convolution complex": (TypeError, "kernel must", lambda: fft_convolution(ONES, 1j * ONES)),
    "convolution integers": (TypeError, "u must", lambda: fft_convolution(WHOLE, ONES)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_named(case):
    kind, words, call = REFUSED[case]
    with pytest.raises(kind, match=f"^{words}.*got"):
        call()
