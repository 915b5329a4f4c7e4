"""One step of each stochastic method, for dX = f(t, X) dt + g(t, X) dW.

A step is called as step(sde, times, y, h, dw, area): `sde` holds f, g, `noise_type` and `sde_type`; `times` are
t + c_i h, 0-d tensors; `dw` is the increment of W in the step and `area` the integral of W − W(t) over it, for a method
that asks for it. It returns the next state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

NOISE_TYPES = ("diagonal", "scalar", "additive", "general")
SDE_TYPES = ("ito", "stratonovich")


@dataclass(frozen=True)
class SDE:
    """dX = f(t, X) dt + g(t, X) dW, in the form that `sdeint` takes, and torchsde.

    Attributes:
        f: The drift, called as f(t, y): (batch, d) ↦ (batch, d).
        g: The diffusion, called as g(t, y): (batch, d) ↦ (batch, d) for "diagonal" noise, an independent W for each
            entry; (batch, d, 1) for "scalar" noise, one W for all entries; (batch, d, m) for "additive" noise, where g
            does not depend on y, and for "general" noise.
        noise_type: Which of these four.
        sde_type: "ito" or "stratonovich".
    """

    f: Callable
    g: Callable
    noise_type: str = "diagonal"
    sde_type: str = "ito"


@dataclass(frozen=True)
class Scheme:
    """A method: its step, the times c at which it looks, what it can solve, and whether it wants the areas."""

    step: Callable
    c: tuple[float, ...]
    sde_types: tuple[str, ...]
    noise_types: tuple[str, ...]
    area: bool = False


def euler(sde, times, y, h, dw, area):
    """Euler–Maruyama: y + h f + g ΔW."""
    t, *_ = times
    return _plus_noise(torch.add(y, sde.f(t, y), alpha=h), sde.g(t, y), dw, sde.noise_type)


def milstein(sde, times, y, h, dw, area):
    """y + h f + g ΔW + ½ g'g (ΔW² − h), without the h for a Stratonovich equation (Milstein 1974)."""
    if sde.noise_type == "additive":  # g' = 0
        return euler(sde, times, y, h, dw, area)
    t, *_ = times
    g, slope = _along_itself(sde, t, y)
    twice = dw * dw - h if sde.sde_type == "ito" else dw * dw
    y = torch.addcmul(torch.add(y, sde.f(t, y), alpha=h), g, dw)
    return torch.addcmul(y, slope, twice, value=0.5)


def heun(sde, times, y, h, dw, area):
    """The trapezoidal rule for f and g alike, its end guessed by Euler's method."""
    t, end = times
    f, g = sde.f(t, y), sde.g(t, y)
    guess = _plus_noise(torch.add(y, f, alpha=h), g, dw, sde.noise_type)
    f, g = f + sde.f(end, guess), g + sde.g(end, guess)
    return _plus_noise(torch.add(y, f, alpha=h / 2), g, dw / 2, sde.noise_type)


def srk(sde, times, y, h, dw, area):
    """Rößler's stochastic Runge–Kutta methods of strong order 1.5 (2010, SIAM J. Numer. Anal. 48, 922–952): SRI1W1, and
    SRA1 for additive noise."""
    t, quarter, late, end = times
    f1, g1 = sde.f(t, y), sde.g(t, y)
    if sde.noise_type == "additive":
        g2, mean = sde.g(end, y), area / h
        f2 = sde.f(late, _plus_noise(torch.add(y, f1, alpha=0.75 * h), g2, 1.5 * mean, "additive"))
        y = _plus_noise(_plus_noise(y, g1, mean, "additive"), g2, dw - mean, "additive")
        return y + h / 3 * (f1 + 2 * f2)
    column = _column if sde.noise_type == "scalar" else _same
    root, g1 = h**0.5, column(g1)
    f2 = sde.f(late, y + 0.75 * h * f1 + 1.5 * g1 * area / h)
    g2 = column(sde.g(quarter, y + 0.25 * h * f1 + 0.5 * root * g1))
    g3 = column(sde.g(end, y + h * f1 - root * g1))
    g4 = column(sde.g(quarter, y + 0.25 * h * f1 + root * (-5 * g1 + 3 * g2 + 0.5 * g3)))
    # I_(1,1)/√h, I_(1,0)/h and I_(1,1,1)/h, the iterated integrals of W
    a, b, c = (dw * dw - h) / (2 * root), area / h, (dw**3 - 3 * h * dw) / (6 * h)
    noise = (
        g1 * (-dw - a + 2 * b - 2 * c)
        + g2 * (4 * dw + 4 * a - 4 * b + 5 * c) / 3
        + g3 * (2 * dw - a - 2 * b - 2 * c) / 3
        + g4 * c
    )
    return y + h / 3 * (f1 + 2 * f2) + noise


def _same(g):
    return g


def _column(g):
    return g.squeeze(-1)


def _plus_noise(y, g, dw, noise_type):
    """y + g ΔW."""
    if noise_type == "diagonal":
        return torch.addcmul(y, g, dw)
    if noise_type == "scalar":
        return torch.addcmul(y, g.squeeze(-1), dw)
    return y + (g @ dw.unsqueeze(-1)).squeeze(-1)


def _along_itself(sde, t, y):
    """g and its derivative in its own direction, g'g, both shaped like y."""
    if sde.noise_type == "scalar":

        def column(y):
            return sde.g(t, y).squeeze(-1)

        g = column(y)
        # contiguous: forward mode takes no expanded tensor
        return g, torch.func.jvp(column, (y.contiguous(),), (g.contiguous(),))[1]
    # diagonal: g_i depends on y_i alone, so that a backward pass says the same, and costs a tenth
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        at = y if y.requires_grad and graph else y.detach().requires_grad_()
        g = sde.g(t, at)
        if not g.requires_grad:
            return g, torch.zeros_like(g)
        (slope,) = torch.autograd.grad(g, at, g, create_graph=graph, allow_unused=True, materialize_grads=True)
    return (g, slope) if graph else (g.detach(), slope)


SCHEMES = {
    "euler": Scheme(euler, (0.0,), ("ito",), NOISE_TYPES),
    "milstein": Scheme(milstein, (0.0,), SDE_TYPES, ("diagonal", "scalar", "additive")),
    "heun": Scheme(heun, (0.0, 1.0), ("stratonovich",), NOISE_TYPES),
    "srk": Scheme(srk, (0.0, 0.25, 0.75, 1.0), ("ito",), ("diagonal", "scalar", "additive"), area=True),
}
