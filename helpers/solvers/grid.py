"""The grid of a fixed-step solve: made once, in Python floats, so that the loop itself never looks at a tensor."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch


class Step(NamedTuple):
    """From `start` over `h`, negative when time runs backwards; `is_output` when it ends on a requested time."""

    start: float
    h: float
    is_output: bool


def fixed_steps(t: list[float], step_size: float | None) -> list[Step]:
    """Steps of at most `step_size` that land on every time in `t`; with None, one step from each time to the next.

    Each interval is divided evenly, so a `step_size` that does not divide it is made a little smaller, never larger.
    """
    steps = []
    for left, right in zip(t[:-1], t[1:], strict=True):
        length = right - left
        # a hair of slack: 0.3 / 0.1 is 2.9999999999999996, and 1 / (1/49) is 49.00000000000001
        count = 1 if step_size is None else max(1, math.ceil(abs(length) / step_size * (1 - 1e-12) - 1e-9))
        h = length / count
        steps += [Step(left + length * (k / count), h, k == count - 1) for k in range(count)]
    return steps


def stage_times(steps: list[Step], c: tuple[float, ...], like: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    """The times t + c_i h of every step as 0-d tensors, one tuple a step.

    They are views of one tensor made in one go: a new 0-d tensor a stage would cost as much as a small layer, and on
    a GPU a transfer each. Real-valued, in `like`'s precision and on its device.
    """
    distinct = sorted(set(c))
    flat = [start + ci * h for start, h, _ in steps for ci in distinct]
    dtype = like.dtype.to_real() if like.is_complex() else like.dtype
    views = torch.tensor(flat, dtype=dtype, device=like.device).unbind()
    place = [distinct.index(ci) for ci in c]
    return [tuple(views[k + p] for p in place) for k in range(0, len(views), len(distinct))]
