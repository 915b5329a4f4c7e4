"""Fair timing: contestants take turns in one process, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
import time

import torch


def interleaved(contestants, repetitions=30, at_least=0.02):
    """Median seconds of each contestant.

    Args:
        contestants: Name → function without arguments.
        repetitions: How often each has its turn.
        at_least: Seconds a turn lasts; quick functions are called several times in it.

    Returns:
        Name → median seconds a call.
    """
    calls = {}
    for name, function in contestants.items():
        function()
        start = time.perf_counter()
        function()
        calls[name] = max(1, round(at_least / max(time.perf_counter() - start, 1e-9)))
    seconds = {name: [] for name in contestants}
    for _ in range(repetitions):
        for name, function in contestants.items():
            _wait()
            start = time.perf_counter()
            for _ in range(calls[name]):
                function()
            _wait()
            seconds[name].append((time.perf_counter() - start) / calls[name])
    return {name: statistics.median(values) for name, values in seconds.items()}


def _wait():
    if torch.cuda.is_available():
        torch.cuda.synchronize()
