"""The digits as short series: each image is read row by row, with pixels missing at random."""

from __future__ import annotations

import numbers

import torch

from .digits import Split, digits


def digit_rows(seed: int = 0, missing: float = 0.0) -> Split:
    """The digits of `digits(seed)` as series of eight rows of eight pixels, a share of the pixels missing.

    A pixel is missing independently of its value and of all others, and stays so: every call with the same seed and
    share gives the same. At 0.6 about one channel in sixty has no observation in a whole series.

    Args:
        seed: Chooses the split and what is missing.
        missing: The probability of a pixel to be missing, 0 ≤ missing < 1.

    Returns:
        `Split(train=(x, y), test=(x, y))` on the CPU: x (n, 8, 8) = (image, row, pixel) in [0, 1], in torch's default
        dtype, NaN where missing; y (n,) int64. 1437 and 360 images; source as `digits` says.

    Raises:
        TypeError: `seed` is no whole number, or `missing` no number.
        ValueError: `missing` is not in [0, 1).
    """
    if isinstance(missing, bool) or not isinstance(missing, numbers.Real):
        raise TypeError(f"missing must be a number in [0, 1); got {missing!r:.80}")
    if not 0 <= missing < 1:
        raise ValueError(f"missing must be in [0, 1); got {missing!r}")
    return Split(*((_spoiled(x, missing, 1000 * k + int(seed)), y) for k, (x, y) in enumerate(digits(seed))))


def _spoiled(x, missing, seed):
    """The images as rows, pixels missing by a generator of their own."""
    x = x.reshape(-1, 8, 8)
    # in float64 whatever the default is: the same seed means the same pixels
    draw = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.masked_fill(draw < missing, torch.nan)
