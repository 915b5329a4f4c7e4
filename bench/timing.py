"""Fair timing: contestants take turns in one process, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
import time

import torch


def interleaved(contestants, repetitions=30, at_least=0.02, at_most=9.0):
    """Median seconds of each contestant.

    Args:
        contestants: Name → function without arguments. One that has a method `repeat(count)` repeats itself: it is in
            another process, and one message starts all its calls.
        repetitions: How often each has its turn.
        at_least: Seconds a turn lasts; quick functions are called several times in it.
        at_most: Seconds for all turns together, about; fewer than `repetitions` are taken, but never fewer than three.
            Who takes a third of that for one call has had its turn; and who takes all of it for the first, its warm-up.

    Returns:
        Name → median seconds a call.
    """
    calls, slow, alone = {}, set(), {}
    for name, function in contestants.items():
        alone[name] = _seconds(function, 1)
        if alone[name] <= at_most:
            alone[name] = _seconds(function, 1)
        if alone[name] > at_most / 3:
            slow.add(name)
        calls[name] = max(1, round(at_least / max(alone[name], 1e-9)))
    seconds = {name: [alone[name]] if name in slow else [] for name in contestants}
    turn = sum(calls[name] * alone[name] for name in contestants if name not in slow)
    for _ in range(min(repetitions, max(3, int(at_most / max(turn, 1e-9))))):
        for name, function in contestants.items():
            if name not in slow:
                seconds[name].append(_seconds(function, calls[name]) / calls[name])
    return {name: statistics.median(values) for name, values in seconds.items()}


def _seconds(function, count):
    repeat = getattr(function, "repeat", None)
    _wait()
    start = time.perf_counter()
    if repeat is not None:
        repeat(count)
    else:
        for _ in range(count):
            function()
    _wait()
    return time.perf_counter() - start


def _wait():
    if torch.cuda.is_available():
        torch.cuda.synchronize()
