"""What simulated data ask of numbers and of states, said once."""

from __future__ import annotations

import math


def number(name: str, value: float, allowed: str) -> float:
    """`value` as a finite float; `allowed` says in the message which numbers are.

    Raises:
        TypeError: It is not a number.
        ValueError: It is not finite.
    """
    try:
        found = None if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None:
        raise TypeError(f"{name} must be a number, {allowed}; got {value!r:.80}")
    if not math.isfinite(found):
        raise ValueError(f"{name} must be {allowed}; got {value!r:.80}")
    return found


def positive(name: str, value: float) -> float:
    """`value` as a float that is positive and finite."""
    allowed = "positive and finite"
    if (found := number(name, value, allowed)) <= 0:
        raise ValueError(f"{name} must be {allowed}; got {value!r:.80}")
    return found


def noise(value: float) -> float:
    """`value` as a standard deviation: zero or positive, and finite."""
    allowed = "a standard deviation, at least 0 and finite"
    if (found := number("noise", value, allowed)) < 0:
        raise ValueError(f"noise must be {allowed}; got {value!r:.80}")
    return found
