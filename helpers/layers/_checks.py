"""What every layer asks of its arguments, said once."""

from __future__ import annotations

import math
import operator

from torch import Tensor, nn


def whole_number(name: str, value: int, *, at_least: int) -> int:
    """`value` as an int; anything that is not a whole number, or is below `at_least`, is an error."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, at least {at_least}; got {value!r}") from None
    if number < at_least or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number, at least {at_least}; got {value!r}")
    return number


def positive_number(name: str, value: float) -> float:
    """`value` as a float that is positive and finite."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, positive and finite; got {value!r}") from None
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be positive and finite; got {value!r}")
    return number


def number_from_zero(name: str, value: float) -> float:
    """`value` as a float that is zero or positive, and finite."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, at least 0 and finite; got {value!r}") from None
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be at least 0 and finite; got {value!r}")
    return number


def module(name: str, value: nn.Module) -> nn.Module:
    """`value` when it is a module: a plain function would hide its parameters from the layer."""
    if not isinstance(value, nn.Module):
        raise TypeError(f"{name} must be an nn.Module, called as {name}(t, x); got {type(value).__name__}")
    return value


def last_axis(layer: nn.Module, x: Tensor, features: int) -> None:
    """Refuse a state whose last axis does not hold `features` entries."""
    if x.ndim == 0 or x.shape[-1] != features:
        name = type(layer).__name__
        raise ValueError(f"{name} takes states of shape (..., {features}); got {tuple(x.shape)}")


def velocity(name: str, field: nn.Module, t: float | Tensor, x: Tensor) -> Tensor:
    """field(t, x), which must be shaped like x: in x + h f(t, x) broadcasting would hide the mistake."""
    value = field(t, x)
    if value.shape != x.shape:
        raise ValueError(f"{name} must keep the state's shape {tuple(x.shape)}; got {tuple(value.shape)}")
    return value
