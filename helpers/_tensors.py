"""What functions ask of tensors, said once. All but `finite` looks at attributes alone, so it may stand in a loop."""

from __future__ import annotations

import torch
from torch import Tensor

REAL = (torch.float32, torch.float64)


def described(value) -> str:
    """What was given, in a word or two."""
    return f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def real(name: str, value: Tensor) -> Tensor:
    """`value` when it is a tensor of float32 or float64."""
    if not isinstance(value, Tensor) or value.dtype not in REAL:
        raise TypeError(f"{name} must be a tensor of float32 or float64; got {described(value)}")
    return value


def same_kind(name: str, value: Tensor, owner: str, other: Tensor) -> Tensor:
    """`value` when it has the dtype and the device of `other`; `owner` is what the message calls that."""
    if value.dtype != other.dtype or value.device != other.device:
        raise TypeError(
            f"{name} must have dtype and device of {owner}, {other.dtype} on {other.device}; "
            f"got {value.dtype} on {value.device}"
        )
    return value


def rows(name: str, value: Tensor, columns: int | None = None, *, least: int = 1) -> Tensor:
    """`value` when it is a real matrix of at least `least` rows, and of `columns` columns where that is said."""
    real(name, value)
    if value.ndim != 2 or len(value) < least or not value.shape[1] or columns not in (None, value.shape[1]):
        wanted = "d ≥ 1" if columns is None else columns
        raise ValueError(f"{name} must be of shape (n ≥ {least}, {wanted}); got {tuple(value.shape)}")
    return value


def points(name: str, value: Tensor, features: int) -> Tensor:
    """`value` when it is real and of shape (..., features)."""
    real(name, value)
    if not value.ndim or value.shape[-1] != features:
        raise ValueError(f"{name} must be of shape (..., {features}); got {tuple(value.shape)}")
    return value


def finite(name: str, value: Tensor) -> Tensor:
    """`value` when every entry is a finite number. Looks at values: once a call, not in a loop."""
    bad = value.numel() - int(value.detach().isfinite().sum())
    if bad:
        raise ValueError(f"{name} must be finite; got {bad} infinite or not-a-number of {value.numel()} entries")
    return value


def cpu_generator(value: torch.Generator | None) -> torch.Generator | None:
    """`value` when it is None or draws on the CPU, where all random numbers here are drawn."""
    if value is None:
        return None
    if not isinstance(value, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator on the CPU, or None; got {type(value).__name__}")
    if value.device.type != "cpu":
        raise ValueError(f"generator must be on the CPU, or None; got one on {value.device}")
    return value
