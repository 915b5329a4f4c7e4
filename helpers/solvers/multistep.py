"""Explicit linear multistep methods: they remember earlier slopes instead of computing new stages."""

from __future__ import annotations

import torch

from . import explicit, tableaux


def adams_bashforth2(func, y, steps, times, first=None):
    """Two-step Adams–Bashforth on any grid; one evaluation a step, two in the first (Heun's step starts it).

        y_{n+1} = y_n + h_n [(1 + r/2) f_n − (r/2) f_{n−1}],    r = h_n / h_{n−1}

    (Hairer, Nørsett & Wanner 1993, III.5: variable step sizes). A `plan.Walker`.
    """
    start, outputs, before, before_h = tableaux.get("heun2"), [], None, None
    for (_, h, is_output), stage_times in zip(steps, times, strict=True):
        slope = func(stage_times[0], y) if first is None else first
        if before is None:
            slopes, _ = explicit.stages(start, func, stage_times, y, h, slope)
            y = explicit.combine(y, slopes, start.nonzero_weights, h)
        else:
            ratio = h / before_h
            y = torch.add(torch.add(y, slope, alpha=h * (1 + ratio / 2)), before, alpha=-h * ratio / 2)
        before, before_h, first = slope, h, None
        if is_output:
            outputs.append(y)
    return outputs


METHODS = {"ab2": adams_bashforth2}
