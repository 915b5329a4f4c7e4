"""The numerics of the pictures of chapter 05, each a function of its parameters alone."""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

from helpers.data import sunspots
from helpers.layers import diagonal_poles, discretize, hippo_memory, legendre, linear_scan, project

RULES = ("zoh", "bilinear", "euler")

# --- memories of a signal ------------------------------------------------------------------------------------------

SAMPLES = 309  # as many as there are years of sunspots
WINDOW = 93  # samples, 30 % of the record
_GAUSS = 8  # points a sample that a memory is compared at: exact for a polynomial squared of degree 15 on a sample


@cache
def signal(name: str) -> Tensor:
    """SAMPLES samples of "sunspots", "chirp" or "steps", between −1 and 1."""
    t = torch.arange(SAMPLES, dtype=torch.float64) / SAMPLES
    if name == "chirp":
        return 0.9 * torch.sin(2 * math.pi * (2 * t + 5 * t**2))
    if name == "steps":
        levels = [0.1, 0.8, 0.8, -0.5, -0.1, 0.6, -0.8, -0.8, 0.3, 0.9, -0.2, -0.6]
        return torch.tensor(levels, dtype=torch.float64)[(12 * t).long()]
    values = sunspots()[1].double()
    values = values - values.mean()
    return values / values.abs().max()


@lru_cache(maxsize=64)
def windowed_states(name: str, n: int) -> Tensor:
    """The n coefficients of LegT after every sample, (SAMPLES, n)."""
    return hippo_memory("legt", signal(name), n, window=WINDOW)


def samples_seen(now: int) -> int:
    """How many samples `now` percent of the record are."""
    return max(1, round(SAMPLES * now / 100))


@lru_cache(maxsize=512)
def remembered(name: str, measure: str, n: int, now: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """What the coefficients at `now` percent of the record stand for.

    Returns:
        Times in samples (m,), the curve at them (m,), the coefficients (n,), and the relative error in L² over what the
        measure remembers; before the record began the signal counts as 0.
    """
    seen = samples_seen(now)
    if measure == "legs":  # by its closed form, which the state of `hippo_memory` is up to rounding, and far quicker
        length, c = seen, project(signal(name)[:seen], n)
    else:
        length, c = WINDOW, windowed_states(name, n)[seen - 1]
    kept = torch.cat([torch.zeros(max(0, length - seen), dtype=c.dtype), signal(name)[max(0, seen - length) : seen]])
    error, nodes, curve = unexplained(c, kept)
    return (seen - length + length * nodes).numpy(), curve.numpy(), c.numpy(), error


def unexplained(c: Tensor, u: Tensor) -> tuple[float, Tensor, Tensor]:
    """How far the polynomial with Legendre coefficients c (n,) is from the step function with values u (length,).

    Returns:
        The relative distance in L²; points in (0, 1), by Gauss on every sample; and the polynomial at them.
    """
    z, w = (torch.tensor(v, dtype=c.dtype) for v in np.polynomial.legendre.leggauss(_GAUSS))
    nodes = ((torch.arange(len(u), dtype=c.dtype)[:, None] + (z + 1) / 2) / len(u)).flatten()
    curve = c @ legendre(len(c), 2 * nodes - 1)
    squares = (curve - u.repeat_interleave(_GAUSS)).square() @ w.repeat(len(u)) / 2
    return (squares / u.square().sum()).sqrt().item(), nodes, curve


# --- one pole ------------------------------------------------------------------------------------------------------

SHOWN = 8.0  # units of time that a kernel is drawn for
OMEGA = np.linspace(0, 20, 401)


def multiplier(rule: str, pole: complex, dt: float) -> tuple[complex, complex]:
    """a_bar and b_bar of x' = pole x + u by a rule."""
    one = torch.ones(1, dtype=torch.complex128)
    return tuple(z.item() for z in discretize(pole * one, one, dt, rule))


@lru_cache(maxsize=1024)
def one_pole(rule: str, pole: complex, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """A conjugate pair of poles, y = 2 Re x, under a rule.

    Returns:
        The middles of the steps (m,), the kernel 2 Re(b_bar a_bar^k) / Δ there (m,), the gain at OMEGA, NaN above half
        the sampling rate and where there is none, since the rule is unstable; and |a_bar|.
    """
    a, b = multiplier(rule, pole, dt)
    k = np.arange(math.ceil(SHOWN / dt))
    size = abs(a)
    powers = np.exp(np.minimum(k * np.log(max(size, 1e-300)), 50) + 1j * k * np.angle(a))
    z = np.exp(-1j * OMEGA * dt)
    gain = np.abs(b / (1 - a * z) + np.conj(b) / (1 - np.conj(a) * z)) if size < 1 else np.full_like(OMEGA, np.nan)
    return (k + 0.5) * dt, 2 * (b * powers).real / dt, np.where(OMEGA * dt <= math.pi, gain, np.nan), size


def exact_kernel(pole: complex, t: np.ndarray) -> np.ndarray:
    """2 Re e^{pole t}."""
    return 2 * np.exp(pole * t).real


def exact_gain(pole: complex) -> np.ndarray:
    """|1 / (iω − λ) + 1 / (iω − λ̄)| at OMEGA."""
    return np.abs(1 / (1j * OMEGA - pole) + 1 / (1j * OMEGA - np.conj(pole)))


# --- all poles -----------------------------------------------------------------------------------------------------


@cache
def spectrum(poles: str, n: int) -> np.ndarray:
    """n eigenvalues, of the LegS matrix ("legs matrix": −1, …, −n) or of its normal part ("s4d poles", n even)."""
    if poles == "legs matrix":
        return -np.arange(1.0, n + 1) + 0j
    half = diagonal_poles("legs", n)[0].numpy()
    return np.concatenate([half, half.conj()])


@lru_cache(maxsize=1024)
def images(rule: str, poles: str, n: int, dt: float) -> np.ndarray:
    """The eigenvalues of A_bar, (n,): a rule is the same function of each eigenvalue of A."""
    values = torch.from_numpy(spectrum(poles, n))
    return discretize(values, torch.ones_like(values), dt, rule)[0].numpy()


def stable_region(rule: str, dt: float) -> np.ndarray:
    """The outline (m, 2) of the poles that a rule is stable for: a disc for Euler, otherwise the left half-plane."""
    if rule != "euler":
        return np.array([(0, -1e5), (0, 1e5), (-1e5, 1e5), (-1e5, -1e5)])
    # dense near 0, where the logarithmic axes spread it
    half = np.geomspace(1e-6, math.pi, 300)
    angle = np.concatenate([half, -half[::-1]])
    return np.stack([np.expm1(0) - 2 * np.sin(angle / 2) ** 2, np.sin(angle)], -1) / dt


# --- a strip of tokens ---------------------------------------------------------------------------------------------

TOKENS, FIRST = 40, 2  # tokens, and the place of the first flagged one
FLAGGED_VALUES = (0.9, -0.8)


@lru_cache(maxsize=512)
def strip(flagged: float, others: float, second: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float]]:
    """h_t = e^{−Δ_t} h_{t−1} + (1 − e^{−Δ_t}) x_t over the strip; Δ_t is `flagged` at places FIRST and `second`.

    Returns:
        Values, steps Δ and states, (TOKENS,) each, and which share of each flagged value is in the last state.
    """
    values = 1.2 * torch.rand(TOKENS, generator=torch.Generator().manual_seed(4), dtype=torch.float64) - 0.6
    delta = torch.full_like(values, others)
    places = [FIRST, second]
    values[places], delta[places] = torch.tensor(FLAGGED_VALUES, dtype=torch.float64), flagged
    wrote = -torch.expm1(-delta)
    alone = torch.zeros(TOKENS, 2, dtype=torch.float64)
    alone[places, [0, 1]] = wrote[places]
    left = linear_scan(torch.exp(-delta)[:, None], torch.cat([(wrote * values)[:, None], alone], 1))
    return values.numpy(), delta.numpy(), left[:, 0].numpy(), tuple(left[-1, 1:].tolist())


# --- a scan --------------------------------------------------------------------------------------------------------

LENGTH = 8


def first_known(element: int, rounds: int) -> int:
    """The first of the inputs that have reached an element after some rounds of doubling."""
    return max(0, element + 1 - 2**rounds)


def reached(element: int, rounds: int) -> set[tuple[int, int]]:
    """The nodes (round, element) that this one is made of, itself among them."""
    nodes, row = {(rounds, element)}, {element}
    for r in range(rounds, 0, -1):
        row |= {i - 2 ** (r - 1) for i in row if i >= 2 ** (r - 1)}
        nodes |= {(r - 1, i) for i in row}
    return nodes


def work(length: int) -> dict[str, tuple[int, int]]:
    """Maps joined, and rounds one after another, of a loop, of doubling and of the scan in chunks of `linear_scan`."""
    rounds = math.ceil(math.log2(length))
    steps = 1 << (length.bit_length() // 2)
    chunks = -(-length // steps)
    return {
        "loop": (length - 1, length - 1),
        "doubling": (sum(length - 2**r for r in range(rounds)), rounds),
        # all chunks side by side, their ends chained, all chunks again from the right states
        "chunks": ((steps - 1) * chunks + chunks - 1 + steps * chunks, 2 * steps + chunks - 2),
    }
