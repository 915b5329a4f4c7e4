"""Physics-informed networks: when the residual of an equation is a good loss, and when it is not.

−u'' = (kπ)² sin kπx on (0, 1), and the convection equation u_t + β u_x = 0 on a circle, each by a network that sees the
equation alone; beside the first the same network that is told the solution. Weights, points and steps are the same in
all rows of an equation.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from helpers.layers import PINN, gradient
from helpers.training import fit

from . import record
from .record import store

SEEDS = (0, 1, 2)
WAVES, SPEEDS = (1, 4, 8), (1, 5, 30)
POINTS, EPOCHS, LR = 128, 900, 5e-3  # a third as many epochs follow at a tenth of the rate
CONVECTION_POINTS, CONVECTION_EPOCHS, SIDE = 256, 1200, 10.0
MODES = 12
POISSON = {f"Poisson, k = {k}": k for k in WAVES}
TOLD = {f"told the solution, k = {k}": k for k in WAVES}
CONVECTION = {f"convection, β = {beta}": beta for beta in SPEEDS}
ROWS = (*POISSON, *TOLD, *CONVECTION)
GRID = torch.linspace(0, 1, 1001, dtype=torch.float64)[:, None]


def tanh_net(inputs: int, width: int = 32, depth: int = 3, first: float = 1.0) -> nn.Sequential:
    """Hidden layers of tanh and one output, weights by Glorot's rule, those of the first layer times `first`."""
    sizes = [inputs, *[width] * depth]
    hidden = [m for a, b in zip(sizes, sizes[1:], strict=False) for m in (nn.Linear(a, b), nn.Tanh())]
    net = nn.Sequential(*hidden, nn.Linear(width, 1))
    for layer in net[::2]:
        nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    with torch.no_grad():
        net[0].weight *= first
    return net


# the first layer's weights begin four times as large, so that sin 8πx is no trouble to represent
poisson_net = partial(tanh_net, 1, first=4.0)


def poisson_residual(k: int):
    """(u'' + (kπ)² sin kπx) / (kπ)², in units of the right-hand side's amplitude."""
    w = k * math.pi
    return lambda u, x: gradient(gradient(u, x), x) / w**2 + torch.sin(w * x)


def at_both_ends(net: nn.Module) -> Tensor:
    """u(0) and u(1), which should be 0."""
    return net(torch.tensor([[0.0], [1.0]]))


def convection_residual(beta: float):
    """u_t + β u_ξ at points (ξ, t)."""

    def residual(u, x):
        slope = gradient(u, x)
        return slope[:, 1:] + beta * slope[:, :1]

    return residual


def start_and_period(net: nn.Module) -> Tensor:
    """u(ξ, 0) − sin ξ on 64 points of the circle, and u(0, t) − u(2π, t) at 33 times."""
    circle, clock = torch.linspace(0, 2 * math.pi, 65)[:-1, None], torch.linspace(0, 1, 33)[:, None]
    at_start = net(torch.cat([circle, torch.zeros_like(circle)], 1)) - circle.sin()
    left, right = (net(torch.cat([torch.full_like(clock, end), clock], 1)) for end in (0.0, 2 * math.pi))
    return torch.cat([at_start, left - right])


def minimised(model, data: tuple[Tensor, Tensor], loss, seed: int, epochs: int) -> nn.Module:
    """Adam on all points in every step, then a third as many epochs at a tenth of the rate."""
    run = partial(fit, train=data, loss=loss, seed=seed, device="cpu", progress=False)
    return run(run(model, epochs=epochs, lr=LR).model, epochs=epochs // 3, lr=LR / 10).model


def points(seed: int, n: int, features: int) -> Tensor:
    """Random points of the unit cube, (n, features)."""
    return torch.rand(n, features, generator=torch.Generator().manual_seed(seed))


def solve_poisson(k: int, seed: int) -> nn.Module:
    """u_θ by the residual and the values at both ends."""
    x = points(seed, POINTS, 1)
    build = lambda: PINN(poisson_net(), poisson_residual(k), at_both_ends)  # noqa: E731
    return minimised(build, (x, x), lambda terms, _: terms.sum(), seed, EPOCHS).net


def fit_poisson(k: int, seed: int) -> nn.Module:
    """The same network at the same points, told the solution."""
    x = points(seed, POINTS, 1)
    return minimised(poisson_net, (x, torch.sin(k * math.pi * x)), nn.functional.mse_loss, seed, EPOCHS)


def solve_convection(beta: float, seed: int) -> nn.Module:
    """u_θ(ξ, t) by the residual, the initial values and the period."""
    x = points(seed, CONVECTION_POINTS, 2) * torch.tensor([2 * math.pi, 1.0])
    build = lambda: PINN(tanh_net(2, 24), convection_residual(beta), start_and_period, SIDE)  # noqa: E731
    return minimised(build, (x, x), lambda terms, _: terms.sum(), seed, CONVECTION_EPOCHS).net


@torch.no_grad()
def against_sine(u, k: int) -> dict:
    """Relative error against sin kπx, its sine coefficients, the share of modes below k/2 + 1, and u on 201 points."""
    x = GRID.to(torch.get_default_dtype())
    exact, values = torch.sin(k * math.pi * x), u(x)
    off = values - exact
    modes = torch.stack([2 * (off * torch.sin(j * math.pi * x)).mean() for j in range(1, MODES + 1)])
    low = (modes[: max(1, k // 2)].square().sum() / modes.square().sum()).item()
    return {
        "error": (off.norm() / exact.norm()).item(),
        "low modes": low,
        "modes": [round(m, 5) for m in modes.tolist()],
        "u": [round(v, 3) for v in values[::5, 0].tolist()],
    }


@torch.no_grad()
def against_wave(u, beta: float) -> dict[str, float]:
    """Relative error against sin(ξ − βt) on 64 × 33 points."""
    grid = torch.cartesian_prod(torch.linspace(0, 2 * math.pi, 65)[:-1], torch.linspace(0, 1, 33))
    exact = torch.sin(grid[:, 0] - beta * grid[:, 1])
    return {"error": ((u(grid)[:, 0] - exact).norm() / exact.norm()).item()}


def residual_size(u, k: int, x: Tensor) -> float:
    """Root mean square of the residual at points x (n, 1), relative to that of the right-hand side."""
    x = x.detach().to(torch.get_default_dtype()).requires_grad_()
    left = poisson_residual(k)(u(x), x)
    return (left.square().mean() / torch.sin(k * math.pi * x).square().mean()).sqrt().item()


def measure(row: str, seed: int) -> dict:
    """What a row finds for a seed."""
    if row in POISSON:
        k, u = POISSON[row], solve_poisson(POISSON[row], seed)
        sizes = {
            "residual": residual_size(u, k, GRID),
            "residual on the points": residual_size(u, k, points(seed, POINTS, 1)),
        }
        return against_sine(u, k) | sizes
    if row in TOLD:
        return {"error": against_sine(fit_poisson(TOLD[row], seed), TOLD[row])["error"]}
    return against_wave(solve_convection(CONVECTION[row], seed), CONVECTION[row])


def main() -> None:
    """Measure all rows, print the table and store it."""
    rows = [record.measured(row, SEEDS, partial(measure, row)) for row in ROWS]
    settings = {
        "Poisson": f"3 hidden layers of 32, {POINTS} random points, both ends; {EPOCHS} epochs at {LR:g}, then a third "
        "at a tenth",
        "convection": f"3 hidden layers of 24, {CONVECTION_POINTS} random points, side conditions × {SIDE:g}; "
        f"{CONVECTION_EPOCHS} epochs, then a third at a tenth",
        "optimiser": "Adam",
        "dtype": str(torch.get_default_dtype()),
        "low modes": "share of the squared error in modes 1 … k/2",
        "seconds": "of the processor, one thread, training and measuring; of the machine that made the table",
    }
    store("residuals", title="Networks that see an equation alone", settings=settings, rows=rows)
