"""The convolution that a linear time-invariant state-space model is, and the kernel of a diagonal one."""

from __future__ import annotations

import torch
from torch import Tensor

from . import _checks, _sequences


def fft_convolution(u: Tensor, kernel: Tensor) -> Tensor:
    """Causal convolution y_l = Σ_{j≤l} kernel_j u_{l−j} along the last axis, by FFTs padded to twice the length.

    Without the padding the convolution is circular: the end of the sequence leaks into its beginning.

    Args:
        u: (..., length), length at least 1, real.
        kernel: (..., taps), real; its other axes broadcast with those of u. Taps from `length` on reach no output.

    Returns:
        (..., length).

    Raises:
        ValueError: u or the kernel is empty along its last axis, or their other axes do not broadcast.
        TypeError: u or the kernel is not a tensor of float32 or float64 numbers.
    """
    for name, value in (("u", u), ("kernel", kernel)):
        if not _sequences.real(name, value).ndim or not value.shape[-1]:
            raise ValueError(f"{name} must be of shape (..., length ≥ 1); got {tuple(value.shape)}")
        if value.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{name} must be a tensor of float32 or float64, which have FFTs; got {value.dtype}")
    try:
        leading = torch.broadcast_shapes(u.shape[:-1], kernel.shape[:-1])
    except RuntimeError:
        got = f"{tuple(kernel.shape)} and {tuple(u.shape)}"
        raise ValueError(f"kernel must broadcast with u in all axes but the last; got {got}") from None
    if 0 in leading:  # an FFT of nothing is an error
        return u * kernel[..., :1]
    length = u.shape[-1]
    transform = torch.fft.rfft(u, n=2 * length) * torch.fft.rfft(kernel[..., :length], n=2 * length)
    return torch.fft.irfft(transform, n=2 * length)[..., :length]


def diagonal_kernel(log_a: Tensor, c: Tensor, length: int) -> Tensor:
    """Impulse response k_l = 2 Re Σ_n c_n exp(l · log_a_n), l = 0 … length − 1: (..., n) → (..., length).

    The published way forms a matrix of n · length exponentials (Gu et al. 2022, arXiv 2206.11893). Writing l = m i + j
    factors each of them into exp(m i log_a) · exp(j log_a): 2√length exponentials a pole, and one real matrix product.
    Nothing is promised of stability: Re log_a > 0 gives a kernel that grows.

    Args:
        log_a: Logarithms of the multipliers, complex, (..., n).
        c: Their weights, complex, of the same shape.
        length: At least 1.

    Raises:
        ValueError: `length` is below 1, or the shapes differ.
        TypeError: log_a or c is not complex, they are of two dtypes, or `length` is not a whole number.
    """
    for name, value in (("log_a", log_a), ("c", c)):
        if not isinstance(value, Tensor) or not value.is_complex():
            got = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"{name} must be a complex tensor; got {got}")
    if log_a.dtype != c.dtype:
        raise TypeError(f"c must be of the dtype of log_a, {log_a.dtype}; got {c.dtype}")
    if log_a.shape != c.shape or not c.ndim:
        raise ValueError(f"c must be (..., n) as log_a is; got {tuple(c.shape)} and {tuple(log_a.shape)}")
    length = _checks.whole_number("length", length, at_least=1)
    inner = 1 << max(1, ((length - 1).bit_length() + 1) // 2)  # about √length
    outer = -(-length // inner)
    index = torch.arange(max(inner, outer), dtype=log_a.real.dtype, device=log_a.device)
    fast = torch.exp(log_a.unsqueeze(-1) * index[:inner])
    slow = torch.exp(log_a.unsqueeze(-1) * (inner * index[:outer])) * (2 * c).unsqueeze(-1)
    left = torch.cat([slow.real, -slow.imag], -2)
    right = torch.cat([fast.real, fast.imag], -2)
    return (left.mT @ right).flatten(-2)[..., :length]
