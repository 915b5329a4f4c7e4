"""All states of a linear recurrence at once, in about 2√length vectorised operations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from . import _sequences


def linear_scan(a: Tensor, b: Tensor, initial: Tensor | None = None) -> Tensor:
    """All states of h_t = a_t h_{t−1} + b_t, from h_{−1} = `initial`, along axis 0.

    The length is cut into about √length chunks. All chunks take their steps side by side, the states at their ends are
    chained, and a second pass starts every chunk from the right state: 2√length vectorised operations, work in
    proportion to the length, and products of many a formed once a chunk only. (A scan in blocks: Blelloch 1990, Prefix
    sums and their applications.) The gradient is the same scan backwards in time, and so is the gradient's own.

    Args:
        a: (length, ...), or any shape that broadcasts to that of b: one without the first axis is the same for all
            times. Real or complex, as b is; of two dtypes the wider one is taken.
        b: (length, ...), length at least 1.
        initial: b's shape without the first axis, in the dtype of the result; None means zero.

    Returns:
        h, shaped like b.

    Raises:
        ValueError: b is empty along its first axis, a does not broadcast to b, or `initial` is of another shape.
        TypeError: a or b is not a tensor of floating-point numbers, or `initial` of another dtype than the result.
    """
    _sequences.real_or_complex("a", a)
    _sequences.real_or_complex("b", b)
    if not b.ndim or not len(b):
        raise ValueError(f"b must be of shape (length ≥ 1, ...); got {tuple(b.shape)}")
    if not _broadcasts(a.shape, b.shape):
        raise ValueError(f"a must broadcast to b's shape {tuple(b.shape)}; got {tuple(a.shape)}")
    dtype = torch.promote_types(a.dtype, b.dtype)
    constant = a.ndim < b.ndim or len(a) == 1
    a, b = a.to(dtype).expand(b.shape), b.to(dtype)
    if initial is not None:
        _sequences.carried("initial", initial, b.shape[1:], dtype)
        b = torch.cat([b[:1] + a[:1] * initial, b[1:]])
    return _LinearScan.apply(a, b, constant, False)


def _broadcasts(shape, to):
    return len(shape) <= len(to) and all(m in (1, n) for m, n in zip(shape[::-1], to[::-1], strict=False))


class _LinearScan(torch.autograd.Function):
    """h_t = a_t h_{t−1} + b_t; backwards in time, h_t = a_t h_{t+1} + b_t. `constant`: all a_t are one view."""

    @staticmethod
    def forward(ctx, a, b, constant, backwards):
        h = _chunked_scan(a, b, constant, backwards)
        ctx.save_for_backward(a, h)
        ctx.constant, ctx.backwards = constant, backwards
        return h

    @staticmethod
    def backward(ctx, grad):
        a, h = ctx.saved_tensors
        after = _following(a, ctx.constant, ctx.backwards)
        grad_b = _LinearScan.apply(after, grad, ctx.constant, not ctx.backwards)
        if not ctx.needs_input_grad[0]:
            return None, grad_b, None, None
        none = torch.zeros_like(h[:1])
        before = torch.cat([h[1:], none]) if ctx.backwards else torch.cat([none, h[:-1]])
        return grad_b * before.conj(), grad_b, None, None


def _following(a, constant, backwards):
    """The multipliers of the adjoint scan: those one step on, conjugate; where there is none, any finite number."""
    if constant:
        return a[:1].conj().resolve_conj().expand(a.shape)
    none = torch.zeros_like(a[:1])
    return (torch.cat([none, a[:-1]]) if backwards else torch.cat([a[1:], none])).conj().resolve_conj()


def _chunked_scan(a, b, constant, backwards):
    length = len(b)
    steps = 1 << (length.bit_length() // 2)  # about √length
    chunks = -(-length // steps)
    h = b.new_empty(chunks * steps, *b.shape[1:])
    multipliers = [a[:1]] * steps if constant else _steps(a, chunks, steps)
    walk = list(zip(multipliers, _steps(b, chunks, steps), _steps(h, chunks, steps), strict=True))
    order = range(chunks)
    if backwards:
        walk, order = walk[::-1], order[::-1]
    decay, state = walk[0][0], walk[0][1].clone(memory_format=torch.contiguous_format)
    for a_t, b_t, _ in walk[1:]:
        torch.addcmul(b_t, a_t, state, out=state)
        decay = a_t * decay
    decay = decay.expand(state.shape)
    start = torch.zeros_like(state)
    for here, following in zip(order[:-1], order[1:], strict=True):
        torch.addcmul(state[here], decay[here], start[here], out=start[following])
    for a_t, b_t, h_t in walk:
        start = torch.addcmul(b_t, a_t, start, out=h_t)
    return h[:length]


def _steps(z, chunks, steps):
    """The first, second, … entry of every chunk, (chunks, ...) each; zeros fill the last chunk up."""
    if missing := chunks * steps - len(z):
        z = F.pad(z, (0, 0) * (z.ndim - 1) + (0, missing))
    return z.unflatten(0, (chunks, steps)).unbind(1)
