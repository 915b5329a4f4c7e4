"""Brownian motion as a function of its seed, which can be read at any times, coarse or fine, and stays the same."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from helpers._checks import seed as checked_seed
from helpers._checks import whole

# how often an interval is halved at most, on the way to a time that is on no finer grid
LEVELS = 24


class BrownianPath:
    """Brownian motion on [t0, t1] with W(t0) = 0: every method and every grid that reads it sees the same path.

    [t0, t1] is made of `steps` equal intervals, drawn at once, and each of them can be halved as often as wanted. What
    a halving adds belongs to its place on the path and not to the order of the questions, so increments on a coarse
    grid are the sums of those on a fine one, whichever was asked for first. An interval of length h carries its
    increment ΔW ~ N(0, h) and the independent H = (1/h) ∫ (W − W_left) dt − ΔW/2 ~ N(0, h/12). With Z ~ N(0, h/16) and
    N ~ N(0, h/12), its halves have

        ΔW_left = ΔW/2 + (3/2) H + Z,     H_left, H_right = H/4 − Z/2 ± N/2

    (Foster, Lyons and Oberhauser 2020, An optimal polynomial approximation of Brownian motion, arXiv 1904.06998).
    Times that no halving reaches lie after `LEVELS` of them on the parabola that is the path's expectation there.

    Args:
        t0, t1: The ends, t0 < t1.
        shape: Of W at one time: (batch, m), or another that the noise of an equation has.
        seed: Of the path; or a CPU `torch.Generator`, from which one is drawn.
        steps: How many equal intervals are drawn at once. A solve whose steps are these intervals, or halves, quarters,
            … of them, reads the path quickly; any other is right as well and takes some twenty halvings a step.
        dtype: Of what is returned, None for torch's default. The path itself is float64 and the same for all.
        device: Where what is returned lies. It is drawn on the CPU, so that a GPU sees the same path.

    Raises:
        TypeError, ValueError: An argument cannot be meant.
    """

    levy_area_approximation = "space-time"  # by which torchsde knows that there are areas

    def __init__(self, t0, t1, shape, *, seed=0, steps=1, dtype=None, device="cpu"):
        self.t0, self.t1 = float(t0), float(t1)
        if not (math.isfinite(self.t0) and math.isfinite(self.t1) and self.t0 < self.t1):
            raise ValueError(f"t0 and t1 must be finite with t0 < t1; got {t0} and {t1}")
        if not isinstance(shape, Sequence) or isinstance(shape, str):
            raise TypeError(f"shape must be a tuple of whole numbers; got {shape!r:.80}")
        self.shape = torch.Size(whole("an entry of shape", n, 1) for n in shape)
        self.steps = whole("steps", steps, 1)
        self.dtype = torch.get_default_dtype() if dtype is None else dtype
        self.device = torch.device(device)
        if isinstance(seed, torch.Generator):
            seed = int(torch.randint(2**63 - 1, (), generator=on_the_cpu(seed)))
        self.seed = checked_seed(seed)
        self._h = (self.t1 - self.t0) / self.steps
        # what the rounding of a time amounts to, in intervals
        farthest = max(abs(self.t0), abs(self.t1)) / (self.t1 - self.t0)
        self._slack = 8 * sys.float_info.epsilon * self.steps * (1 + farthest)
        # at the ends of the intervals W and its integral from t0, and of each interval H
        dw, self._area = self._normal(0, 0, (2, self.steps, *self.shape))
        dw *= self._h**0.5
        self._area *= (self._h / 12) ** 0.5
        self._w = _summed(dw)
        self._integral = _summed(self._h * (self._w[:-1] + dw / 2 + self._area))

    def __call__(self, s, t, return_U=False):
        """W(t) − W(s), shaped `shape`; with `return_U` also the area U = ∫_s^t (W(r) − W(s)) dr. torchsde's call."""
        found = self.increments([s, t], return_U=return_U)
        return (found[0][0], found[1][0]) if return_U else found[0]

    def values(self, times) -> Tensor:
        """W at `times` (n,), which do not decrease: (n, *shape)."""
        return self._given(self._read(times)[1], None)

    def increments(self, times, *, return_U=False, like=None):
        """W from each of `times` (n,) to the next, (n − 1, *shape); with `return_U` also the areas, shaped the same.

        The area of an interval [s, t] is U = ∫_s^t (W(r) − W(s)) dr. The answer is of the path's dtype and device, or
        of those of the tensor `like`.
        """
        times, w, integral = self._read(times)
        dw = np.diff(w, axis=0)
        if not return_U:
            return self._given(dw, like)
        h = np.diff(times).reshape(-1, *[1] * len(self.shape))
        return self._given(dw, like), self._given(np.diff(integral, axis=0) - h * w[:-1], like)

    def _given(self, values, like):
        where, dtype = (self.device, self.dtype) if like is None else (like.device, like.dtype)
        return torch.from_numpy(values).to(dtype).to(where)  # in this order: not every device has float64

    def _read(self, times):
        """The times, W there, and its integral from t0."""
        times = np.asarray(torch.as_tensor(times, dtype=torch.float64).cpu())
        place = (times - self.t0) / (self.t1 - self.t0) * self.steps
        if not (place.size and np.isfinite(place).all() and (np.diff(place) >= 0).all()):
            raise ValueError(f"times must be finite and not decrease; got {times.tolist()!r:.80}")
        if place[0] < -self._slack or place[-1] > self.steps + self._slack:
            raise ValueError(f"times must lie in [{self.t0:g}, {self.t1:g}]; got {times[0]:g} to {times[-1]:g}")
        fine = np.round(place * 2.0**LEVELS) / 2.0**LEVELS
        place = np.where(abs(place - fine) <= self._slack, fine, place).clip(0, self.steps)
        w, integral = np.empty((2, len(times), *self.shape))
        inside = {}
        for k, x in enumerate(place):
            interval = int(x)
            w[k], integral[k] = self._w[interval], self._integral[interval]
            if x > interval:
                inside.setdefault(interval, []).append((k, float(x - interval)))
        for interval, wanted in inside.items():
            start, end = self._w[interval : interval + 2]
            known = start, self._integral[interval], end - start, self._area[interval]
            self._descend(0, interval, self._h, *known, wanted, w, integral)
        return times, w, integral

    def _descend(self, level, index, h, start, integral, dw, area, wanted, w_out, integral_out):
        """W and its integral at the times `wanted` inside one interval: (where the answer goes, place in (0, 1))."""
        if level == LEVELS:
            for k, r in wanted:
                w_out[k] = start + r * dw + 6 * r * (1 - r) * area
                integral_out[k] = integral + h * (r * start + r * r / 2 * dw + r * r * (3 - 2 * r) * area)
            return
        z, n = self._normal(level + 1, index, (2, *self.shape))
        z, n = z * (h / 16) ** 0.5, n * (h / 48) ** 0.5
        left, rest = dw / 2 + 1.5 * area + z, area / 4 - z / 2
        middle = start + left, integral + h / 2 * (start + left / 2 + rest + n)
        for k, r in wanted:
            if r == 0.5:
                w_out[k], integral_out[k] = middle
        before = [(k, 2 * r) for k, r in wanted if r < 0.5]
        after = [(k, 2 * r - 1) for k, r in wanted if r > 0.5]
        if before:
            known = start, integral, left, rest + n
            self._descend(level + 1, 2 * index, h / 2, *known, before, w_out, integral_out)
        if after:
            known = *middle, dw - left, rest - n
            self._descend(level + 1, 2 * index + 1, h / 2, *known, after, w_out, integral_out)

    def _normal(self, level, index, shape):
        """Standard normal numbers that belong to one interval of one level: a counter is what makes them its own."""
        numbers = np.random.Philox(key=[self.seed, 0], counter=[0, 0, index, level])
        return np.random.Generator(numbers).standard_normal(shape)


def _summed(steps):
    """0, and the sums of the first, the first two, … steps."""
    return np.concatenate([np.zeros_like(steps[:1]), steps.cumsum(0)])


def on_the_cpu(generator):
    """The generator, if it draws on the CPU."""
    if generator.device.type != "cpu":
        raise ValueError(f"seed must be a whole number or a CPU generator; got a generator on {generator.device}")
    return generator
