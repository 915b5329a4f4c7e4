"""What functions ask of whole numbers, said once."""

from __future__ import annotations

import operator

NUMPYS_LARGEST_SEED = 2**32 - 1


def whole(name: str, value: int, least: int, more: str = "") -> int:
    """`value` as an int ≥ `least`; `more` says in the message what else is allowed.

    Raises:
        TypeError: It is not a whole number.
        ValueError: It is below `least`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, at least {least}{more}; got {value!r:.80}")
    if number < least:
        raise ValueError(f"{name} must be at least {least}{more}; got {value}")
    return number


def seed(value: int, most: int = 2**63 - 1) -> int:
    """`value` as a seed: a whole number from 0 to `most`, torch's largest or another generator's.

    Raises:
        TypeError, ValueError: It is none.
    """
    number = whole("seed", value, 0)
    if number > most:
        raise ValueError(f"seed must be at most {most}; got {value}")
    return number
