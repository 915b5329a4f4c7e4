"""The scan of a selective state-space model, whose decay, input and output matrices change with time."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from . import _sequences


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """y_t = C_t h_t with h_t = exp(Δ_t A) h_{t−1} + Δ_t B_t u_t, for every feature by itself.

    The scan of Mamba (Gu and Dao 2023, arXiv 2312.00752), chunked as `linear_scan` is; the decay over a chunk is
    exp(A Σ Δ). For the backward pass only the states at the chunks' beginnings are kept; it forms the others again.
    It is not differentiable a second time.

    Args:
        u: (batch, length, features), length at least 1.
        delta: The steps Δ, at least 0 and finite, shaped like u; 0 leaves the state as it is.
        A: (features, state), at most 0, so that no state can grow by itself, and finite.
        B, C: (batch, length, state).
        initial: h_{−1}, (batch, features, state); None means zero.

    Returns:
        y (batch, length, features) and the last state (batch, features, state); gradients flow through both.

    Raises:
        ValueError: The shapes do not fit, u has no length, an entry of A is positive or not finite, or one of delta
            negative or not finite.
        TypeError: The arguments are not real floating-point tensors of one dtype.
    """
    _check(u, delta, A, B, C)
    shape = (u.shape[0], *A.shape)
    initial = u.new_zeros(shape) if initial is None else _sequences.carried("initial", initial, shape, u.dtype)
    if not u.numel():
        return u * delta, initial
    return _SelectiveScan.apply(u, delta, A, B, C, initial)


def _check(u, delta, A, B, C):
    _sequences.real("u", u)
    if u.ndim != 3 or not u.shape[1]:
        raise ValueError(f"u must be of shape (batch, length ≥ 1, features); got {tuple(u.shape)}")
    batch, length, features = u.shape
    if isinstance(A, Tensor) and (A.ndim != 2 or len(A) != features):
        raise ValueError(f"A must be of shape ({features}, state) for u {tuple(u.shape)}; got {tuple(A.shape)}")
    _sequences.carried("A", A, A.shape if isinstance(A, Tensor) else (), u.dtype)
    _sequences.carried("delta", delta, u.shape, u.dtype)
    for name, value in (("B", B), ("C", C)):
        _sequences.carried(name, value, (batch, length, A.shape[1]), u.dtype)
    wrong = ~((A <= 0) & A.isfinite())
    if wrong.any():
        got = A[wrong][0].item()
        raise ValueError(f"A must be at most 0 and finite everywhere, or states grow by themselves; got {got:g}")
    if not delta.numel():
        return
    low, high = delta.detach().aminmax()  # both are NaN where one entry is
    if not (low >= 0 and high < math.inf):
        worst = delta[~((delta >= 0) & delta.isfinite())][0].item()
        raise ValueError(f"delta must be at least 0 and finite everywhere; got {worst:g}")


class _SelectiveScan(torch.autograd.Function):
    """States are (state, features, batch · chunks): long innermost rows, whatever the sizes of a layer are."""

    @staticmethod
    def forward(ctx, u, delta, A, B, C, initial):
        steps = _steps(u.shape[1])
        v, d, b, c = (_cut(z, steps) for z in (u * delta, delta, B, C))
        b, c, rate = b.unsqueeze(2), c.unsqueeze(2), _binary(A.mT.contiguous().unsqueeze(-1))
        starts = _chunk_starts(v, d, b, rate, initial)
        h, decay, work = starts.clone(), torch.empty_like(starts), torch.empty_like(starts)
        y = torch.empty_like(v)
        for v_t, d_t, b_t, c_t, y_t in _walk(v, d, b, c, y):
            torch.mul(d_t, rate, out=decay).exp2_()
            torch.addcmul(torch.mul(v_t, b_t, out=work), decay, h, out=h)
            torch.sum(torch.mul(h, c_t, out=work), 0, out=y_t)
        ctx.save_for_backward(u, delta, A, B, C, starts)
        last = _by_chunk(h, len(u))[..., -1].permute(2, 1, 0).contiguous()
        return _joined(y, u.shape), last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_y, grad_last):
        u, delta, A, B, C, starts = ctx.saved_tensors
        steps = _steps(u.shape[1])
        v, d, b, c = (_cut(z, steps) for z in (u * delta, delta, B, C))
        g = _cut(grad_y, steps)
        b, c, rate = b.unsqueeze(2), c.unsqueeze(2), A.mT.contiguous().unsqueeze(-1)
        states, decays = _states_again(v, d, b, _binary(rate), starts)
        carry = _chunk_ends(g, c, decays, torch.exp(d.sum(0) * rate), grad_last)
        work, adjoint, grad_rate = torch.empty_like(carry), torch.empty_like(carry), torch.zeros_like(carry)
        grad_v, grad_d = torch.empty_like(v), torch.empty_like(v)
        grad_b, grad_c = torch.empty_like(b[:, :, 0]), torch.empty_like(c[:, :, 0])
        walk = _walk(v, d, b, c, g, states[1:], states[:-1], decays, grad_v, grad_d, grad_b, grad_c)
        for v_t, d_t, b_t, c_t, g_t, h_t, before, decay, to_v, to_d, to_b, to_c in reversed(walk):
            torch.add(carry, torch.mul(g_t, c_t, out=work), out=adjoint)
            torch.sum(torch.mul(h_t, g_t, out=work), 1, out=to_c)
            torch.sum(torch.mul(adjoint, v_t, out=work), 1, out=to_b)
            torch.sum(torch.mul(adjoint, b_t, out=work), 0, out=to_v)
            torch.mul(adjoint, decay, out=carry)
            through = torch.mul(carry, before, out=adjoint)  # the gradient with respect to Δ_t A
            grad_rate.addcmul_(through, d_t)
            torch.sum(torch.mul(through, rate, out=work), 0, out=to_d)
        grad_v, grad_d = (_joined(z, u.shape) for z in (grad_v, grad_d))
        grad_b, grad_c = (_joined(z, B.shape) for z in (grad_b, grad_c))
        grad_initial = _by_chunk(carry, len(u))[..., 0].permute(2, 1, 0)
        return grad_v * delta, grad_d + grad_v * u, grad_rate.sum(-1).mT, grad_b, grad_c, grad_initial


def _binary(rate):
    """rate · log₂ e, so that exp(Δ · rate) is 2 to the power of Δ times it: a third of the time, in torch."""
    return rate * math.log2(math.e)


def _walk(*sequences):
    """What every one of them holds at the first step of each chunk, at the second, …"""
    return list(zip(*(z.unbind(0) for z in sequences), strict=True))


def _steps(length):
    return 1 << (length.bit_length() // 2)  # about √length


def _cut(z, steps):
    """(batch, length, k) → (steps, k, batch · chunks)."""
    if missing := -z.shape[1] % steps:
        z = F.pad(z, (0, 0, 0, missing))  # Δ = 0 beyond the end leaves the state as it is
    # as one transposition of a matrix, which torch is quick at
    return z.reshape(-1, steps * z.shape[-1]).mT.contiguous().unflatten(0, (steps, -1))


def _joined(z, shape):
    """The inverse of `_cut`: (steps, k, batch · chunks) → shape, which is (batch, length, k)."""
    return z.flatten(0, 1).mT.reshape(shape[0], -1, shape[2])[:, : shape[1]]


def _by_chunk(h, batch):
    return h.unflatten(-1, (batch, -1))


def _chunk_starts(v, d, b, rate, initial):
    """The state before the first step of every chunk; `rate` is binary, here and below."""
    h = v[0] * b[0]
    decay, work = torch.empty_like(h), torch.empty_like(h)
    for v_t, d_t, b_t in _walk(v[1:], d[1:], b[1:]):
        torch.mul(d_t, rate, out=decay).exp2_()
        torch.addcmul(torch.mul(v_t, b_t, out=work), decay, h, out=h)
    batch = len(initial)
    ends, over_chunk = _by_chunk(h, batch), _by_chunk(torch.exp2(d.sum(0) * rate), batch)
    starts = torch.empty_like(h)
    by_chunk = _by_chunk(starts, batch)
    state = by_chunk[..., 0].copy_(initial.permute(2, 1, 0))
    for i in range(1, ends.shape[-1]):
        state = torch.addcmul(ends[..., i - 1], over_chunk[..., i - 1], state, out=by_chunk[..., i])
    return starts


def _states_again(v, d, b, rate, starts):
    """The states at all times, the chunks' beginnings first, (steps + 1, ...), and the decays that lead to them."""
    states = starts.new_empty(len(v) + 1, *starts.shape)
    states[0] = starts
    decays = starts.new_empty(len(v), *starts.shape)
    work = torch.empty_like(starts)
    for v_t, d_t, b_t, decay, before, h_t in _walk(v, d, b, decays, states[:-1], states[1:]):
        torch.mul(d_t, rate, out=decay).exp2_()
        torch.addcmul(torch.mul(v_t, b_t, out=work), decay, before, out=h_t)
    return states, decays


def _chunk_ends(g, c, decays, over_chunk, grad_last):
    """The adjoint that comes into the end of every chunk: all chunks walk back side by side, then are chained."""
    adjoint = g[-1] * c[-1]
    work = torch.empty_like(adjoint)
    for g_t, c_t, decay in reversed(_walk(g[:-1], c[:-1], decays[1:])):
        torch.addcmul(torch.mul(g_t, c_t, out=work), decay, adjoint, out=adjoint)
    batch = len(grad_last)
    adjoint, over_chunk = _by_chunk(adjoint.mul_(decays[0]), batch), _by_chunk(over_chunk, batch)
    ends = torch.empty_like(work)
    by_chunk = _by_chunk(ends, batch)
    state = by_chunk[..., -1].copy_(grad_last.permute(2, 1, 0))
    for i in range(by_chunk.shape[-1] - 1, 0, -1):
        state = torch.addcmul(adjoint[..., i], over_chunk[..., i], state, out=by_chunk[..., i - 1])
    return ends
