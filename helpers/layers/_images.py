"""Checks of what is given to the layers with convolutions."""

from __future__ import annotations

from torch import Tensor


def images(name: str, x: Tensor, channels: int, smallest: int) -> None:
    """Refuse what is no batch of images with these channels, or has sides that a stencil does not fit on."""
    if x.ndim != 4 or x.shape[1] != channels or min(x.shape[-2:]) < smallest:
        shape = f"(batch, {channels}, rows, columns)"
        raise ValueError(f"{name} must have the shape {shape}, no side below {smallest}; got {tuple(x.shape)}")
