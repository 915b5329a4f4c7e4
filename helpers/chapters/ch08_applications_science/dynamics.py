"""The numerics of the pictures of chapter 08, each a function of its parameters alone."""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
import torch
from scipy.special import ellipk
from torch import Tensor, nn

from helpers.data import LOTKA_VOLTERRA, burgers_cole_hopf, burgers_initial
from helpers.solvers import NonFiniteStateError, odeint

RELEASED = 2.0  # rad, where the pendulum of the race is let go
PERIOD = 4 * float(ellipk(math.sin(RELEASED / 2) ** 2))  # of its swings
POINTS = 400  # of a curve of the race that are drawn
DOTS = 150  # of its last swings
ROUNDING = 1e-12  # energy errors below this one are not told apart

RIDE, STEP = 100, 0.1  # how long the learned fields are followed, and by which step

PREDATORS = 1.0  # at the start of a cycle
CYCLES = 60.0  # time that it is followed

FINE, SAMPLES, VISCOSITY = 512, 5, 0.05  # of Burgers' equation
SIZES = (32, 64, 128, 256)


# --- the pendulum --------------------------------------------------------------------------------------------------


def energy(q, p):
    """p²/2 + 1 − cos q, of numbers or arrays."""
    return p**2 / 2 + 1 - np.cos(q)


def _euler(q, p, h, steps):
    sin, path = math.sin, [(q, p)]
    for _ in range(steps):
        q, p = q + h * p, p - h * sin(q)
        path.append((q, p))
    return path


def _leapfrog(q, p, h, steps):
    sin, path = math.sin, [(q, p)]
    kick = h / 2 * sin(q)
    for _ in range(steps):
        p -= kick
        q += h * p
        kick = h / 2 * sin(q)  # the force at the end of a step is that at the start of the next one
        p -= kick
        path.append((q, p))
    return path


def _rk4(q, p, h, steps):
    sin, path, half = math.sin, [(q, p)], h / 2
    for _ in range(steps):
        a, b = p, -sin(q)
        c, d = p + half * b, -sin(q + half * a)
        e, f = p + half * d, -sin(q + half * c)
        g, i = p + h * f, -sin(q + h * e)
        q, p = q + h / 6 * (a + 2 * c + 2 * e + g), p + h / 6 * (b + 2 * d + 2 * f + i)
        path.append((q, p))
    return path


RIDERS = {"euler": _euler, "leapfrog": _leapfrog, "rk4": _rk4}


def pendulum_ride(method: str, h: float, steps: int) -> np.ndarray:
    """Angle and momentum, (steps + 1, 2), from RELEASED at rest; plain floats, for one pendulum faster than arrays."""
    return np.array(RIDERS[method](RELEASED, 0.0, h, steps))


@lru_cache(maxsize=512)
def raced(method: str, h: float, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """How well a method keeps the pendulum's energy up to the time `horizon`.

    Returns:
        Times (m ≤ POINTS,), equally spaced in their logarithm; the largest error of the energy up to each of them;
        angles in [−π, π) and momenta of the last ten swings, (≤ DOTS, 2); and the largest error of all.
    """
    q, p = pendulum_ride(method, h, int(horizon / h + 1e-9)).T
    so_far = np.maximum.accumulate(np.maximum(np.abs(energy(q, p) - energy(q[0], p[0])), ROUNDING))
    pick = np.unique(np.geomspace(1, len(q) - 1, POINTS).astype(int))
    last = np.arange(max(0, math.ceil((horizon - 10 * PERIOD) / h)), len(q))
    last = last[:: math.ceil(len(last) / DOTS)]
    dots = np.stack([(q[last] + math.pi) % (2 * math.pi) - math.pi, p[last]], -1)
    return h * pick, so_far[pick], dots, float(so_far[-1])


def true_orbit(q0: float, points: int = 201) -> np.ndarray:
    """The closed orbit of a pendulum released at rest from q0, (points, 2): the level line of its energy."""
    angle = np.linspace(0, 2 * math.pi, points)
    k = math.sin(q0 / 2)
    return np.stack([2 * np.arcsin(k * np.cos(angle)), -2 * k * np.sin(angle)], -1)


@torch.no_grad()
def learned_ride(field, q0: float) -> tuple[np.ndarray, np.ndarray]:
    """The orbit of field(t, x) from (q0, 0), by steps of rk4: states (n, 2), and their true energies (n,).

    Once the field has carried the state beyond all numbers, both are NaN.
    """
    like = next(field.parameters(), None) if isinstance(field, nn.Module) else None
    x = torch.tensor([[q0, 0.0]], **({} if like is None else {"dtype": like.dtype, "device": like.device}))
    t = torch.linspace(0, RIDE, round(RIDE / STEP) + 1, dtype=torch.float64)
    path = np.full((len(t), 2), np.nan)
    try:
        path[:] = _followed(field, x, t)
    except NonFiniteStateError:
        path[0] = q0, 0.0
        for k in range(len(t) - 1):  # one by one, up to the step that fails
            try:
                x = _followed(field, x, t[k : k + 2])[-1:].to(x)
            except NonFiniteStateError:
                break
            path[k + 1] = x[0].cpu()
    return path, energy(*path.T)


def _followed(field, x, t):
    return odeint(field, x, t.to(x), method="rk4", options={"grid": "t"})[:, 0].cpu()


def left_at(energies: np.ndarray) -> float | None:
    """The first time at which a ride's energy is not below 2, where a pendulum goes over the top; None if never."""
    gone = ~(energies < 2)  # NaN counts
    return STEP * int(gone.argmax()) if gone.any() else None


# --- prey and predators --------------------------------------------------------------------------------------------


def invariant(u, v):
    """γ eᵘ − δ u + β eᵛ − α v, of the logarithms of prey and predators: numbers or arrays."""
    a, b, c, d = LOTKA_VOLTERRA
    return c * np.exp(u) - d * u + b * np.exp(v) - a * v


def _advance(method, h, u, v):
    """One step of the logarithms, u' = α − β eᵛ and v' = γ eᵘ − δ; None where a species is gone."""
    a, b, c, d = LOTKA_VOLTERRA
    exp = math.exp
    if method == "euler":  # of the species themselves: x → x + h x (α − β y)
        grown, fed = 1 + h * (a - b * exp(v)), 1 + h * (c * exp(u) - d)
        return (u + math.log(grown), v + math.log(fed)) if grown > 0 and fed > 0 else None
    if method == "symplectic":
        v += h * (c * exp(u) - d)
        return u + h * (a - b * exp(v)), v
    k1, l1 = a - b * exp(v), c * exp(u) - d
    k2, l2 = a - b * exp(v + h / 2 * l1), c * exp(u + h / 2 * k1) - d
    k3, l3 = a - b * exp(v + h / 2 * l2), c * exp(u + h / 2 * k2) - d
    k4, l4 = a - b * exp(v + h * l3), c * exp(u + h * k3) - d
    return u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), v + h / 6 * (l1 + 2 * l2 + 2 * l3 + l4)


@lru_cache(maxsize=512)
def cycled(method: str, h: float, x0: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """Prey and predators from (x0, PREDATORS) up to the time CYCLES, by "euler", "symplectic" or "rk4".

    Returns:
        Numbers (n, 2) of both; the change of the invariant since the start, (n,); and whether a species died out, which
        ends the path.
    """
    state = math.log(x0), math.log(PREDATORS)
    path, died = [state], False
    for _ in range(int(CYCLES / h + 1e-9)):
        state = _advance(method, h, *state)
        if died := state is None or min(state) < -30 or max(state) > 30:
            break
        path.append(state)
    u, v = np.array(path).T
    value = invariant(u, v)
    return np.exp(np.stack([u, v], -1)), value - value[0], died


# --- Burgers' equation ---------------------------------------------------------------------------------------------


@cache
def waves() -> tuple[Tensor, Tensor]:
    """Initial values and solutions at time 1, (SAMPLES, FINE) each, float64, on a grid of [0, 2π)."""
    u0 = burgers_initial(SAMPLES, FINE, seed=99).double()
    return u0, burgers_cole_hopf(u0, 1.0, VISCOSITY)


def places(size: int) -> np.ndarray:
    """An even grid of [0, 2π)."""
    return 2 * math.pi * np.arange(size) / size


@torch.no_grad()
def predicted(model, size: int) -> tuple[np.ndarray, float]:
    """What a model (n, N) ↦ (n, N) makes of the initial values on `size` points.

    Returns:
        Its values (SAMPLES, size), and the mean of their relative errors.
    """
    u0, truth = (u[:, :: FINE // size] for u in waves())
    like = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    given = u0.to(torch.get_default_dtype()) if like is None else u0.to(like)
    u = model(given).double().cpu()
    return u.numpy(), ((u - truth).norm(dim=1) / truth.norm(dim=1)).mean().item()


# --- physics-informed networks -------------------------------------------------------------------------------------


def wave_error(u, k: int) -> float:
    """Relative error of values on an even grid of [0, 1], ends included, against sin kπx."""
    x = np.linspace(0, 1, len(u))
    exact = np.sin(k * math.pi * x)
    return math.sqrt(np.trapezoid((np.asarray(u) - exact) ** 2, x) / np.trapezoid(exact**2, x))


def low_share(modes, k: int) -> float:
    """Of the squared coefficients of the modes 1, 2, …, the share of those up to k/2."""
    squares = np.square(modes)
    return float(squares[: k // 2].sum() / squares.sum())
