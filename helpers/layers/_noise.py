"""Random numbers of the layers that generate: drawn on the CPU, so that a GPU changes the speed and not the story."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from helpers._tensors import cpu_generator


def drawn(shape: Sequence[int], like: Tensor, generator: torch.Generator | None = None, kind=torch.randn) -> Tensor:
    """Random numbers in the dtype and on the device of `like`; `kind` is torch.randn or torch.rand.

    Raises:
        TypeError, ValueError: `generator` is none, or none on the CPU.
    """
    return kind(tuple(shape), generator=cpu_generator(generator), dtype=like.dtype, device="cpu").to(like.device)
