"""A word out of a few that are allowed, which most layers take as an argument."""

from __future__ import annotations

from collections.abc import Iterable


def one_of(name: str, value: str, allowed: Iterable[str]) -> str:
    """`value` when it is one of the words that are allowed."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value
