"""How fast a method converges, read from errors."""

from __future__ import annotations

import math

import numpy as np


def observed_order(steps, errors):
    """The slope p in error ≈ C h^p, by least squares in the log–log plane.

    Args:
        steps: Numbers of steps over one interval, n values (h is proportional to 1/steps).
        errors: The errors made with them, n positive values.

    Returns:
        The order as a float. It means something only in the asymptotic range, with four step numbers or more.

    Raises:
        ValueError: Fewer than two distinct step numbers, different lengths, or a value that is not positive and finite.
    """
    steps, errors = [float(s) for s in steps], [float(e) for e in errors]
    if len(steps) != len(errors) or len(set(steps)) < 2:
        raise ValueError(f"steps and errors must be of one length with ≥ 2 distinct steps; got {steps} and {errors}")
    for name, values in (("steps", steps), ("errors", errors)):
        if not all(0 < v < math.inf for v in values):
            raise ValueError(f"{name} must be positive and finite; got {values}")
    if min(steps) < 1:
        raise ValueError(f"steps must be numbers of steps, ≥ 1, not step sizes; got {steps}")
    return float(-np.polyfit(np.log(steps), np.log(errors), 1)[0])
