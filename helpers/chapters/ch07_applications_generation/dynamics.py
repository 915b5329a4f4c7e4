"""The numerics of the pictures of chapter 07, each a function of its parameters alone."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from helpers.data import GaussianMixture, digits, toy
from helpers.layers import VPSDE, EmpiricalVelocity, Guided, generate
from helpers.metrics import sliced_wasserstein
from helpers.solvers import odeint, sdeint

VP = VPSDE()
END = 1e-3  # the diffusion is undone down to this time: at 0 the noise has no density to have a score of
CENTRE, SCALE = (0.5, 0.25), (0.87, 0.5)  # mean and standard deviation of the moons' law
CLOUD = 500  # points that the two flows carry
NOISES = 6  # from which an image is made
STEPS = 40  # of Euler's method, from such a noise to an image
SHEET = (4, 6)  # rows and columns of generated digits
MOMENT_STEPS = 80  # of rk4, for the guided flow


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- a sampler on the line -----------------------------------------------------------------------------------------


@cache
def mixture() -> GaussianMixture:
    """The law on the line that is sampled."""
    weights, means, stds = [0.3, 0.5, 0.2], [[-2.0], [0.5], [2.5]], [0.3, 0.4, 0.2]
    return GaussianMixture(*(torch.tensor(a, dtype=torch.float64) for a in (weights, means, stds)))


def diffused(t: Tensor) -> GaussianMixture:
    """Its law at the time t of the diffusion, t a 0-d tensor."""
    return mixture().noised(VP.alpha(t), VP.sigma(t))


def score(t: Tensor, x: Tensor) -> Tensor:
    """The exact score of that law, (n, 1) ↦ (n, 1)."""
    return diffused(t).score(x)


def times(steps: int, crowd: float) -> Tensor:
    """From 1 down to END, (steps + 1,): END + (1 − END) τ^crowd for even τ."""
    return END + (1 - END) * torch.linspace(1, 0, steps + 1, dtype=torch.float64) ** crowd


@cache
def _levels(particles: int) -> Tensor:
    return (torch.arange(particles, dtype=torch.float64) + 0.5) / particles


@cache
def _wanted(particles: int) -> Tensor:
    return mixture().quantile(_levels(particles))


@lru_cache(maxsize=512)
@torch.no_grad()
def sampled(sampler: str, nfe: int, crowd: float, particles: int = 1000) -> tuple[np.ndarray, np.ndarray, float]:
    """Noise carried to the mixture by "sde", "euler" or "heun2", with `nfe` evaluations of the score.

    Returns:
        The times (steps + 1,), the paths (steps + 1, particles), and how far the ends are from the mixture: the
        1-Wasserstein distance between them and as many quantiles.
    """
    grid = times(nfe // 2 if sampler == "heun2" else nfe, crowd)
    shuffle = torch.randperm(particles, generator=torch.Generator().manual_seed(0))
    start = torch.special.ndtri(_levels(particles))[shuffle, None]
    if sampler == "sde":
        path = sdeint(VP.reverse_sde(score), start, 1 - grid, dt=1.0, seed=1)
    else:
        path = odeint(VP.probability_flow(score), start, grid, method=sampler, options={"grid": "t"})
    path = path[..., 0]
    off = (path[-1].sort().values - _wanted(particles)).abs().mean().item()
    return grid.numpy(), path.numpy(), off


@cache
def chance(particles: int = 1000) -> float:
    """How far as many exact samples of the mixture are from it, on average over 20 draws."""
    draws = [mixture().sample(particles, torch.Generator().manual_seed(seed))[:, 0] for seed in range(20)]
    return torch.stack([(x.sort().values - _wanted(particles)).abs().mean() for x in draws]).mean().item()


@cache
def haze(y: tuple[float, ...], columns: int = 120) -> np.ndarray:
    """The density at the places y, (len(y), columns), from t = 1 on the left to END on the right."""
    places = torch.tensor(y, dtype=torch.float64)[:, None]
    return torch.stack([diffused(t).log_prob(places).exp() for t in times(columns - 1, 1)], 1).numpy()


# --- two flows to the moons ----------------------------------------------------------------------------------------


def moons(n: int, seed: int) -> Tensor:
    """Moons (n, 2), float64, whose law has mean 0 and standard deviation 1 in either coordinate."""
    x = toy.moons(n, noise=0.08, seed=seed)[0].double()
    return (x - x.new_tensor(CENTRE)) / x.new_tensor(SCALE)


@torch.no_grad()
def carried(velocity, nfe: int) -> tuple[np.ndarray, float]:
    """The paths of CLOUD points of noise along v(t, x), by `nfe` steps of Euler's method from t = 0 to 1.

    Returns:
        Paths (nfe + 1, CLOUD, 2), and the sliced 1-Wasserstein distance of their ends from as many moons.
    """
    t = torch.linspace(0, 1, nfe + 1, dtype=torch.float64)
    path = odeint(velocity, _normal(3, CLOUD, 2), t, method="euler", options={"grid": "t"})
    return path.numpy(), sliced_wasserstein(path[-1], moons(CLOUD, 5), directions=64)


# --- whose image? --------------------------------------------------------------------------------------------------


@cache
def pixels(part: str = "train") -> tuple[Tensor, Tensor]:
    """Training or test digits, (n, 64) in [−1, 1], and their classes."""
    x, y = getattr(digits(0, dtype=torch.float64), part)
    return 2 * x - 1, y


@cache
def empirical() -> EmpiricalVelocity:
    """The minimiser of the flow-matching loss on the training digits."""
    return EmpiricalVelocity(pixels()[0])


@cache
@torch.no_grad()
def _roads() -> Tensor:
    t = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    return odeint(empirical(), _normal(0, NOISES, 64), t, method="euler", options={"grid": "t"})


@lru_cache(maxsize=512)
@torch.no_grad()
def whose(sample: int, t: float) -> tuple[np.ndarray, np.ndarray, int, np.ndarray, float]:
    """Where one path to an image is at the time t in [0, 1), and which training images it can still end on.

    Returns:
        The state (64,); E[x₁ | x_t] (64,); the number of the training image nearest to that; how probable each
        training image is, (n,); and their effective number 1 / Σw².
    """
    path, field = _roads()[:, sample], empirical()
    k = min(int(t * STEPS + 1e-9), STEPS - 1)
    x = torch.lerp(path[k], path[k + 1], t * STEPS - k)
    weights, mean = field.weights(t, x), field.mean(t, x)
    near = torch.cdist(mean[None], field.data).argmin().item()
    return x.numpy(), mean.numpy(), near, weights.numpy(), 1 / weights.square().sum().item()


# --- digits on demand ----------------------------------------------------------------------------------------------


@cache
def _spread_of_real(digit: int) -> float:
    x, y = pixels()
    return torch.pdist(x[y == digit]).mean().item()


@torch.no_grad()
def made(velocity: nn.Module, judge: nn.Module, digit: int, weight: float, nfe: int) -> tuple[Tensor, int, float]:
    """A sheet of digits from fixed noise, by guided steps of Euler's method.

    Returns:
        The images (n, 64), cut to black and white, [−1, 1]; how many of them the judge takes for the wanted digit; and
        their mean distance from each other, relative to that of real digits of this class.
    """
    n = SHEET[0] * SHEET[1]
    noise = _normal(4, n, 64).to(next(velocity.parameters(), pixels()[0]))
    field = Guided(velocity, noise.new_full((n,), digit, dtype=torch.int64), weight)
    x = generate(field, noise, nfe).clamp(-1, 1)
    right = int((judge(x).argmax(1) == digit).sum())
    return x, right, torch.pdist(x).mean().item() / _spread_of_real(digit)


# --- guidance ------------------------------------------------------------------------------------------------------


def sharpened(w: float, s: float, gap: float = 1.0) -> tuple[float, float]:
    """Mean and standard deviation of N(gap, 1)^w N(0, s²)^(1 − w), normalised: a Gaussian if w + (1 − w) / s² > 0."""
    precision = w + (1 - w) / s**2
    return w * gap / precision, precision**-0.5


@lru_cache(maxsize=512)
def guided(w: float, s: float, gap: float = 1.0) -> tuple[float, float]:
    """Mean and standard deviation of what the guided probability flow makes of N(0, 1).

    Of p(x) = N(0, s²) and p(x|y) = N(gap, 1) the scores under the diffusion are linear, so that the flow
    x' = a(t) x + b(t) moves mean and log-variance by m' = a m + b, (log v)' = 2a.
    """

    def moments(t, state):
        alpha, beta = VP.alpha(t), VP.beta(t)
        free = 1 / (1 + alpha**2 * (s**2 - 1))  # of the noised p(x), one over its variance; that of p(x|y) is 1
        slope = -0.5 * beta * (1 - w - (1 - w) * free)
        return torch.stack([slope * state[0] - 0.5 * beta * w * alpha * gap, 2 * slope])

    t = torch.linspace(1, 0, MOMENT_STEPS + 1, dtype=torch.float64)
    mean, log_variance = odeint(moments, torch.zeros(2, dtype=torch.float64), t, method="rk4", options={"grid": "t"})[
        -1
    ]
    return mean.item(), (log_variance / 2).exp().item()
