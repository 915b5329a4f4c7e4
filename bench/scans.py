"""State-space layers: S4D's kernel against the published way, the selective scan against mambapy's parallel scan."""

from __future__ import annotations

import random
import statistics
import time
from importlib.util import find_spec

import torch

from helpers.layers import S4D, diagonal_kernel, fft_convolution, selective_scan

from .memory import Live
from .report import Table, ahead

LENGTHS = {"S4D": (256, 1024, 4096), "selective scan": (1024, 4096)}
FEATURES, POLES, STATES = 64, 32, 16
MIB = 2**20
OURS = {"S4D": "two-level kernel", "selective scan": "selective_scan"}
ABOUT = f"""Batch 1, {FEATURES} features, float32. *S4D*: kernel and convolution by FFT, {POLES} poles ({2 * POLES} real
states) a feature; `diagonal_kernel` beside the published way, which forms a matrix of all exponentials (Gu et al. 2022,
arXiv 2206.11893). *selective scan*: {STATES} states a feature, beside `pscan` of mambapy, which wants the decays and
inputs of all times and states ready made; forming them is charged to it, since ours forms them as well. *with
gradient* is forward and backward to all inputs. *× ours*: the time over ours, median over the turns; CPU time of the
process, turns in random order. *growth*: the time over that of a quarter of the length. *kept*: MiB that are held when
the forward pass of a gradient has ended, inputs and output not counted."""
COLUMNS = ("what", "L", "way", "forward, ms", "× ours", "growth", "with gradient, ms", "× ours", "growth", "kept")


def cpu_time(contestants, rounds=9):
    """Name → CPU seconds of `rounds` turns; every one has its turn in each round, in random order."""
    order = random.Random(0)
    for function in contestants.values():
        function()
    seconds = {name: [] for name in contestants}
    for _ in range(rounds):
        for name in order.sample(list(contestants), len(contestants)):
            began = _now()
            contestants[name]()
            seconds[name].append(_now() - began)
    return seconds


def _now():
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()  # a GPU's time is no CPU time
    return time.process_time()


def vandermonde(log_a, c, length):
    """The published kernel: 2 Re Σ c_n exp(l log_a_n) from the matrix of all exponentials."""
    powers = torch.exp(log_a.unsqueeze(-1) * torch.arange(length, device=c.device))
    return 2 * torch.einsum("hn,hnl->hl", c, powers).real


def by_pscan(u, delta, A, B, C):
    """The selective scan by mambapy's parallel scan, as its own Mamba block calls it."""
    from mambapy.pscan import pscan

    a = torch.exp(delta.unsqueeze(-1) * A)
    b = delta.unsqueeze(-1) * B.unsqueeze(2) * u.unsqueeze(-1)
    return (pscan(a, b) @ C.unsqueeze(-1)).squeeze(-1)


def s4d(length, device):
    """Inputs, and way → function of them, of an S4D layer without its direct term."""
    torch.manual_seed(0)
    layer, u = S4D(FEATURES, 2 * POLES).to(device), torch.randn(1, FEATURES, length).to(device)
    _, log_a, c = (z.detach() for z in layer.discrete())
    return (u, log_a, c), {
        OURS["S4D"]: lambda u, log_a, c: fft_convolution(u, diagonal_kernel(log_a, c, length)),
        "Vandermonde kernel": lambda u, log_a, c: fft_convolution(u, vandermonde(log_a, c, length)),
    }


def selective(length, device):
    """Inputs, and way → function of them, of a selective scan from zero."""
    torch.manual_seed(0)
    u, delta = torch.randn(1, length, FEATURES), torch.rand(1, length, FEATURES) * 0.1 + 1e-3
    A = -torch.arange(1.0, STATES + 1).repeat(FEATURES, 1)
    B, C = torch.randn(2, 1, length, STATES)
    ways = {OURS["selective scan"]: lambda *inputs: selective_scan(*inputs)[0]}
    if find_spec("mambapy"):
        ways["mambapy pscan"] = by_pscan
    return tuple(z.to(device) for z in (u, delta, A, B, C)), ways


CASES = {"S4D": s4d, "selective scan": selective}


def forward(way, inputs):
    """A function that runs the way without gradients."""

    def run():
        with torch.no_grad():
            return way(*inputs)

    return run


def with_gradient(way, inputs):
    """A function that runs the way forward and backward."""
    leaves = [z.clone().requires_grad_() for z in inputs]
    return lambda: torch.autograd.grad(way(*leaves).square().mean(), leaves)


def kept(way, inputs):
    """Bytes that are held for the backward pass, besides inputs and output."""
    leaves = [z.clone().requires_grad_() for z in inputs]
    with Live() as live:
        for z in leaves:
            z.detach()  # seen here, an input does not count where the way takes a view of it
        before = live.now
        y = way(*leaves)
        held = live.now - before
    return held - y.untyped_storage().nbytes()


def table(device) -> Table:
    """Both layers at all lengths."""
    rows, compared, last = [], [], {}
    for what, prepare in CASES.items():
        for length in LENGTHS[what]:
            inputs, ways = prepare(length, device)
            times = {
                kind: cpu_time({name: run(way, inputs) for name, way in ways.items()})
                for kind, run in (("forward", forward), ("with gradient", with_gradient))
            }
            sizes = {name: kept(way, inputs) for name, way in ways.items()}
            ours = OURS[what]
            for name in ways:
                cells = []
                for kind, seconds in times.items():
                    took = statistics.median(seconds[name])
                    ratio = statistics.median(x / y for x, y in zip(seconds[name], seconds[ours], strict=True))
                    before = last.get((what, name, kind, length // 4))
                    last[what, name, kind, length] = took
                    cells += [1e3 * took, ratio, took / before if before else None]
                    if name != ours:
                        compared.append((name, f"{what} {kind}, L = {length}", ratio))
                rows.append((what, str(length), name, *cells, sizes[name] / MIB))
                if name != ours:
                    compared.append((name, f"{what} kept, L = {length}", sizes[name] / max(1, sizes[ours])))
    about = ABOUT if find_spec("mambapy") else f"{ABOUT} mambapy is not installed."
    return Table("Scans and kernels", about, COLUMNS, rows, ahead(compared, "time or memory"))
