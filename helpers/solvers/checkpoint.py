"""The exact gradient in less memory: steps are recomputed in the backward pass instead of being stored.

A solve of n steps is cut into about √n segments. The forward pass keeps what enters each; the backward pass recomputes
one segment at a time (Griewank 1992; Chen et al. 2016, arXiv 1604.06174). What is recomputed is what was computed, so
the gradient is that of plain backpropagation, second derivatives included.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import get_device_states, set_device_states

from .arguments import with_own_graph


def in_segments(run, carry, count, segments=None):
    """Outputs of `count` steps, computed piece by piece; what happens inside a piece is forgotten until backward.

    Args:
        run: function of (first, last, *carry) that takes the steps first … last − 1 and returns (*outputs, *carry).
        carry: tensors that go from one piece to the next, such as the state.
        segments: how many pieces; None means about √count. Dropout in the field draws the same mask again.
    """
    size = math.ceil(count / (segments or math.ceil(math.sqrt(count))))
    outputs, filled = [], []
    for first in range(0, count, size):
        piece = partial(run, first, min(first + size, count))
        results = _Piece(piece, carry, filled).forward()
        outputs += results[: len(results) - len(carry)]
        carry = results[len(results) - len(carry) :]
    return outputs


class _Piece:
    """One piece of a solve: what autograd saves in it is dropped at its end, and computed again when it is wanted.

    As `torch.utils.checkpoint`, but what is saved stays until the piece ends, no more than its second run needs: so a
    field that differentiates inside, such as the gradient of an energy, does not set off that run at every call.

    Args:
        run: function of the tensors in `carry`.
        filled: the one piece of the solve, if any, that holds what it saved; shared by all of them.
    """

    def __init__(self, run, carry, filled):
        self.run, self.carry, self.filled = run, carry, filled
        self.saved, self.count = [], None
        self.draws = torch.get_rng_state(), *get_device_states(*carry)

    def forward(self):
        results = self._recorded(self.carry)
        self.count, self.saved = len(self.saved), []
        return results

    def _recorded(self, carry):
        self.saved = []
        with saved_tensors_hooks(self._save, self._load):
            return self.run(*carry)

    def _save(self, tensor):
        # detached: what an operation saves may be its own result, which would then keep itself alive
        self.saved.append(tensor.detach())
        return len(self.saved) - 1

    def _load(self, place):
        if not self.saved:
            self._again()
        return self.saved[place]

    def _again(self):
        while self.filled:
            self.filled.pop().saved = []
        state, devices, states = self.draws
        with torch.enable_grad(), torch.random.fork_rng(devices):
            torch.set_rng_state(state)
            set_device_states(devices, states)
            self._recorded([tensor.detach().requires_grad_(tensor.requires_grad) for tensor in self.carry])
        self.filled.append(self)
        if len(self.saved) != self.count:
            raise RuntimeError(
                "func must do the same when it is called again, for gradient='checkpoint'; autograd saved "
                f"{self.count} tensors the first time and {len(self.saved)} the second: use gradient='backprop'"
            )


def _draws(y):
    """The states of the generators that a field may draw from."""
    return [torch.get_rng_state(), *get_device_states(y)[1]]


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
    taken, before = [], _draws(y)
    with torch.no_grad():
        integrate(with_own_graph(func), y, t, slope, lambda start, h, slopes: taken.append((start, h)))
    if not all(map(torch.equal, before, _draws(y))):
        raise ValueError(
            "func must not draw random numbers, as dropout does, for an adaptive method with gradient='checkpoint': "
            "the steps would be those of another draw; use gradient='backprop' or a fixed-step method"
        )
    ends = [start + h for start, h in taken[:-1]] + [t[-1]]

    def run(first, last, y, slope):
        outputs = []
        for (start, h), end in zip(taken[first:last], ends[first:last], strict=True):
            found, y, slope = one_step(func, y, start, h, end, slope)
            outputs += found
        return (*outputs, y, slope)

    return in_segments(run, (y, slope), len(taken), segments)
