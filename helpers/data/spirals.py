"""Simulated spirals, seen at a few irregular times with noise, beside what they are without."""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor

from .. import _checks

# two turns, in radians and float64; the first 21 times may be seen, the other 20 are the future
SPIRAL_TIMES = torch.linspace(0, 4 * math.pi, 41, dtype=torch.float64)
PAST = 21


def winding_spirals(n: int, seed: int, seen: int = 12, noise: float = 0.05) -> tuple[Tensor, Tensor]:
    """Spirals over two turns: the even ones wind outwards anticlockwise, the odd ones inwards clockwise.

    At turn s, in [0, 2], an even one is at radius r e^{k (s − 1)} and angle 2π (s + a), with r uniform in [0.4, 0.8], k
    in [0.1, 0.3] and a in [0, 1]; an odd one is such a curve run backwards. (After the spirals of Chen et al. 2018,
    arXiv 1806.07366.)

    Args:
        n: How many.
        seed: Of a generator of their own: the same whatever else has drawn random numbers.
        seen: At how many of the first turn's 21 times each is observed, 1 to 21; each spiral at times of its own.
        noise: Standard deviation of an observed coordinate.

    Returns:
        x (n, 41, 2), the true points at `SPIRAL_TIMES`; and what is seen of them, (n, 21, 3) = time in turns (not in
        radians) and the noisy point, NaN where not seen. On the CPU, in torch's default dtype.

    Raises:
        TypeError, ValueError: `n`, `seed` or `seen` is no such whole number, or `noise` negative or not finite.
    """
    n, seen = _checks.whole("n", n, 1), _checks.whole("seen", seen, 1)
    if seen > PAST:
        raise ValueError(f"seen must be at most {PAST}; got {seen}")
    if isinstance(noise, bool) or not isinstance(noise, numbers.Real):
        raise TypeError(f"noise must be a number, at least 0 and finite; got {noise!r:.80}")
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise must be at least 0 and finite; got {noise!r}")
    draw = torch.Generator().manual_seed(_checks.seed(seed))
    start, size, rate = (torch.rand(n, 1, generator=draw, dtype=torch.float64) for _ in range(3))
    angle, turns = SPIRAL_TIMES + 2 * math.pi * start, SPIRAL_TIMES / (2 * math.pi)
    radius = (0.4 + 0.4 * size) * torch.exp((0.1 + 0.2 * rate) * (turns - 1))
    x = torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
    x[1::2] = x[1::2].flip(1)
    past = x[:, :PAST] + noise * torch.randn(n, PAST, 2, generator=draw, dtype=torch.float64)
    hidden = torch.rand(n, PAST, generator=draw, dtype=torch.float64).argsort(1).argsort(1) >= seen
    past[hidden] = torch.nan
    observed = torch.cat([turns[:PAST].expand(n, PAST)[..., None], past], -1)
    return x.to(torch.get_default_dtype()), observed.to(torch.get_default_dtype())
