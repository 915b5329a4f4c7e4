"""The numerics of the pictures of chapter 03, each a function of its parameters alone."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import torch

from helpers.layers import FunctionField, StochasticDepth
from helpers.solvers import SDE, sdeint

PATHS, FINEST, HORIZON = 200, 256, 10.0
START = torch.tensor([[0.8, -0.4]], dtype=torch.float64)


@cache
def brownian(horizon: float, steps: int = FINEST, paths: int = PATHS, seed: int = 0) -> np.ndarray:
    """W at steps + 1 equal times in [0, horizon], (steps + 1, paths): the same noise at every setting of a slider."""
    normal = np.random.default_rng(seed).standard_normal((steps, paths))
    return np.concatenate([np.zeros((1, paths)), normal.cumsum(0) * (horizon / steps) ** 0.5])


@lru_cache(maxsize=256)
def geometric(rule: str, mu: float, sigma: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """dX = μX dt + σX dW from 1 on [0, 1]: n steps along the paths, and what the rule converges to on the fine grid.

    Args:
        rule: "ito", Euler–Maruyama, or "stratonovich", Heun's method.

    Returns:
        States (n + 1, PATHS), and the solution (FINEST + 1, PATHS) along the same Brownian paths.
    """
    w = brownian(1.0)
    dw, h = np.diff(w[:: FINEST // n], axis=0), 1 / n
    growth = mu * h + sigma * dw
    factors = 1 + growth if rule == "ito" else 1 + growth + growth**2 / 2
    states = np.concatenate([np.ones((1, PATHS)), factors.cumprod(0)])
    rate = mu - (sigma**2 / 2 if rule == "ito" else 0.0)
    return states, np.exp(rate * np.linspace(0, 1, FINEST + 1)[:, None] + sigma * w)


@cache
def swirl() -> FunctionField:
    """f(x) = 2 tanh(Ax), A a rotation with a little growth: paths go round."""
    a = torch.tensor([[0.15, 1.6], [-1.6, 0.15]], dtype=torch.float64)
    return FunctionField(lambda x: 2.0 * torch.tanh(x @ a))


@lru_cache(maxsize=128)
@torch.no_grad()
def clouds(depth: int, survival: float, per_feature: bool, draws: int = 500) -> tuple[np.ndarray, ...]:
    """Outputs of a stack with stochastic depth for one input and of its SDE, (draws, 2) each, and the mean stack's."""
    field, many = swirl(), START.expand(draws, 2)
    per = "feature" if per_feature else "sample"
    stack = StochasticDepth(2, depth, survival=survival, per=per, horizon=1.0, tied=True, field=lambda features: field)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        noisy = stack.train()(many)
    size = ((1 - survival) / survival / depth) ** 0.5
    if per_feature:
        sde = SDE(field, lambda t, x: size * field(t, x))
    else:
        sde = SDE(field, lambda t, x: size * field(t, x).unsqueeze(-1), "scalar")
    limit = sdeint(sde, many, [0.0, 1.0], dt=1 / max(depth, 64), seed=1)[-1]
    return noisy.numpy(), limit.numpy(), stack.eval()(START).numpy()


def averaged(time: float, sigma: float, count: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of cos(x + σW_T) over `count` paths from each place, and its standard error; (places,) each."""
    ends = brownian(1.0, 1, 4096, seed=2)[1, :count] * time**0.5
    values = np.cos(places[:, None] + sigma * ends)
    return values.mean(1), values.std(1, ddof=1) / count**0.5


def smoothed(decisions: np.ndarray, spacing: float, sigma: float) -> np.ndarray:
    """Mean of the decisions (0 or 1 on a square grid) at x + σξ, ξ normal: a filter whose weights add up to one."""
    if not sigma:
        return decisions.astype(float)
    where = np.arange(len(decisions)) * spacing
    weights = np.exp(-((where[:, None] - where) ** 2) / 2 / sigma**2)
    weights /= weights.sum(1, keepdims=True)
    return weights @ decisions @ weights.T


def steepest(values: np.ndarray, spacing: float) -> float:
    """The largest slope between neighbours on the grid."""
    return max(np.abs(np.diff(values, axis=axis)).max() for axis in (0, 1)) / spacing
