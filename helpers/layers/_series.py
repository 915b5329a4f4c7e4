"""What the layers that read series ask of them, said once."""

from __future__ import annotations

import torch
from torch import Tensor


def series(x: Tensor, shape: tuple[int | str, ...], name: str = "x", dtype: torch.dtype | None = None) -> None:
    """Refuse what is no series of this shape: a number is that many entries, a word any number of them, "..." any axes.

    Missing values are NaN; an infinite one would become NaN in the middle of a network. `dtype` is that of the weights
    which read the series; None means any.
    """
    wanted = f"({', '.join(map(str, shape))})"
    if not torch.is_tensor(x):
        raise TypeError(f"{name} must be a torch.Tensor of shape {wanted}; got {type(x).__name__}")
    if not x.is_floating_point():
        raise TypeError(f"{name} must be of a floating-point dtype, NaN where missing; got {x.dtype}")
    axes = [n for n in shape if n != "..."]
    fits = x.dim() == len(axes) if len(axes) == len(shape) else x.dim() >= len(axes)
    if not fits or any(
        n < 1 if isinstance(asked, str) else n != asked
        for n, asked in zip(x.shape[x.dim() - len(axes) :], axes, strict=True)
    ):
        raise ValueError(f"{name} must have shape {wanted}; got {tuple(x.shape)}")
    if dtype is not None and x.dtype != dtype:
        raise TypeError(f"{name} must be of {dtype}, as the parameters are; got {x.dtype}")
    if torch.isinf(x).any():
        raise ValueError(f"{name} must hold finite values, or NaN where one is missing; got an infinite value")


def clock(t: Tensor, shape: torch.Size, name: str = "t") -> None:
    """Refuse times, along the last axis, that are not finite or go back; equal ones are a pad.

    `shape` says how many series and rows there are: t has it, or is one row of times for all of them.
    """
    if not torch.is_tensor(t):
        raise TypeError(f"{name} must be a torch.Tensor of times; got {type(t).__name__}")
    if t.is_complex() or t.dtype == torch.bool:
        raise TypeError(f"{name} must be of real numbers; got {t.dtype}")
    if t.shape not in (shape, shape[-1:]):
        also = "" if len(shape) == 1 else f" or {tuple(shape[-1:])}"
        raise ValueError(f"{name} must have shape {tuple(shape)}{also}; got {tuple(t.shape)}")
    if not torch.isfinite(t).all():
        raise ValueError(f"{name} must be finite; got an infinite or missing time")
    if (t.diff() < 0).any():
        raise ValueError(f"{name} must be times that do not decrease along a series; got a decrease")
