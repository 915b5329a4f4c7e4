"""What the layers for sequences ask of their arguments: shapes and dtypes at each call, numbers once, when made."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from . import _checks


def even_number(name: str, value: int) -> int:
    """`value` as an even whole number, at least 2: poles come in conjugate pairs."""
    number = _checks.whole_number(name, value, at_least=2)
    if number % 2:
        raise ValueError(f"{name} must be even, for poles in conjugate pairs; got {value!r}")
    return number


def step_range(dt: Sequence[float]) -> tuple[float, float]:
    """The range that initial steps are drawn from: two numbers, 0 < low ≤ high."""
    try:
        low, high = dt
    except (TypeError, ValueError):
        raise TypeError(f"dt must be a pair (low, high) with 0 < low ≤ high; got {dt!r}") from None
    low, high = _checks.positive_number("dt[0]", low), _checks.positive_number("dt[1]", high)
    if low > high:
        raise ValueError(f"dt must be a pair (low, high) with 0 < low ≤ high; got {dt!r}")
    return low, high


def real(name: str, value: Tensor) -> Tensor:
    """A tensor of real floating-point numbers."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a tensor of real floating-point numbers; got {got}")
    return value


def real_or_complex(name: str, value: Tensor) -> Tensor:
    """A tensor of floating-point numbers, real or complex."""
    if not isinstance(value, Tensor) or not (value.is_floating_point() or value.is_complex()):
        got = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a tensor of floating-point numbers, real or complex; got {got}")
    return value


def series(name: str, value: Tensor) -> Tensor:
    """A real tensor (length,) of at least one sample."""
    if real(name, value).ndim != 1 or not len(value):
        raise ValueError(f"{name} must be of shape (length,), length at least 1; got {tuple(value.shape)}")
    return value


def sequence(layer: nn.Module, u: Tensor, features: int, dtype: torch.dtype) -> Tensor:
    """u when it is (batch, length, features), at least one sample long, in the dtype of the layer's parameters."""
    real_of("u", u, layer, dtype)
    if u.ndim != 3 or u.shape[-1] != features or not u.shape[1]:
        name = type(layer).__name__
        raise ValueError(f"u must be of shape (batch, length ≥ 1, {features}) for {name}; got {tuple(u.shape)}")
    return u


def sample(layer: nn.Module, u: Tensor, features: int, dtype: torch.dtype) -> Tensor:
    """u when it is one sample of every sequence, (batch, features), in the dtype of the layer's parameters."""
    real_of("u", u, layer, dtype)
    if u.ndim != 2 or u.shape[-1] != features:
        name = type(layer).__name__
        raise ValueError(f"u must be of shape (batch, {features}) for a step of {name}; got {tuple(u.shape)}")
    return u


def carried(name: str, state: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A state to go on from, when shape and dtype are those that the layer would have returned."""
    if not isinstance(state, Tensor) or state.dtype != dtype:
        got = state.dtype if isinstance(state, Tensor) else type(state).__name__
        raise TypeError(f"{name} must be a tensor of {dtype}; got {got}")
    if tuple(state.shape) != tuple(shape):
        raise ValueError(f"{name} must be of shape {tuple(shape)}; got {tuple(state.shape)}")
    return state


def real_of(name: str, value: Tensor, layer: nn.Module, dtype: torch.dtype) -> None:
    """Refuse what is no tensor in the dtype of the layer's parameters."""
    if not isinstance(value, Tensor) or value.dtype != dtype:
        got = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a tensor of {dtype}, as {type(layer).__name__}'s parameters are; got {got}")
