"""The exact gradient in less memory: steps are recomputed in the backward pass instead of being stored.

A solve of n steps is cut into about √n segments. The forward pass keeps what enters each; the backward pass recomputes
one segment at a time (Griewank 1992; Chen et al. 2016, arXiv 1604.06174). What is recomputed is what was computed, so
the gradient is that of plain backpropagation, second derivatives included.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch.utils.checkpoint import checkpoint


def in_segments(run, carry, count, segments=None):
    """Outputs of `count` steps, computed piece by piece; what happens inside a piece is forgotten until backward.

    Args:
        run: function of (first, last, *carry) that takes the steps first … last − 1 and returns (*outputs, *carry).
        carry: tensors that go from one piece to the next, such as the state.
        segments: how many pieces; None means about √count. Dropout in the field draws the same mask again.
    """
    size = math.ceil(count / (segments or math.ceil(math.sqrt(count))))
    outputs = []
    for first in range(0, count, size):
        piece = partial(run, first, min(first + size, count))
        results = checkpoint(piece, *carry, use_reentrant=False)
        outputs += results[: len(results) - len(carry)]
        carry = results[len(results) - len(carry) :]
    return outputs


def fixed_step(advance, func, y, steps, times, segments=None):
    """A fixed-step solve by `advance`, in segments: the states at the marked steps."""

    def run(first, last, y):
        piece = steps[first:last]
        marked = [*piece[:-1], piece[-1]._replace(is_output=True)]
        states = advance(func, y, marked, times[first:last])
        return (*states, states[-1]) if piece[-1].is_output else tuple(states)

    return in_segments(run, (y,), len(steps), segments)


def accepted_steps(integrate, one_step, func, y, t, slope, segments=None):
    """An adaptive solve in segments: once without a graph to find its steps, then along the accepted ones.

    The field is called twice as often in the forward pass. The step sizes are constants of the gradient, as they are
    in plain backpropagation.

    Args:
        integrate: function of (func, y, t, slope, accepted) that solves, and reports each accepted step.
        one_step: function of (func, y, start, h, end, slope) that takes one again: returns the outputs in it, the
            state at its end and the last slope.
    """
    taken = []
    with torch.no_grad():
        integrate(func, y, t, slope, lambda start, h, slopes: taken.append((start, h)))
    ends = [start + h for start, h in taken[:-1]] + [t[-1]]

    def run(first, last, y, slope):
        outputs = []
        for (start, h), end in zip(taken[first:last], ends[first:last], strict=True):
            found, y, slope = one_step(func, y, start, h, end, slope)
            outputs += found
        return (*outputs, y, slope)

    return in_segments(run, (y, slope), len(taken), segments)
