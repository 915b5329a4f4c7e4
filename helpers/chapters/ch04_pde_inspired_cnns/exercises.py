"""The exercises of chapter 04, convolutions as differential operators."""

from __future__ import annotations

import math

import torch

from helpers.lesson import Exercise, Exercises, same_function, same_number, same_option

# --- E4.3, a step of Perona and Malik -------------------------------------------------------------------------------


def _exchange(flux):
    """One step of pixels that exchange `flux` of their differences with their neighbours, nothing with the outside."""

    def step(x, h, K):
        across, down = flux(x[:, 1:] - x[:, :-1], K), flux(x[1:] - x[:-1], K)
        y = x.clone()
        y[:, :-1] += h * across
        y[:, 1:] -= h * across
        y[:-1] += h * down
        y[1:] -= h * down
        return y

    return step


_perona_malik = _exchange(lambda s, K: s / (1 + (s / K) ** 2))
_heat = _exchange(lambda s, K: s)
_unsquared = _exchange(lambda s, K: s / (1 + s.abs() / K))


def _zeros_outside(x, h, K):
    padded = torch.nn.functional.pad(x, [1, 1, 1, 1])
    return _perona_malik(padded, h, K)[1:-1, 1:-1]


def _not_a_divergence(x, h, K):
    padded = torch.nn.functional.pad(x[None, None], [1, 1, 1, 1], mode="replicate")[0, 0]
    middle = padded[1:-1, 1:-1]
    near = torch.stack([padded[1:-1, 2:], padded[1:-1, :-2], padded[2:, 1:-1], padded[:-2, 1:-1]]) - middle
    slope = (near.square().sum(0) / 2).sqrt()
    return x + h * near.sum(0) / (1 + (slope / K) ** 2)


def _images():
    draw = torch.Generator().manual_seed(0)
    small, large = (torch.rand(n, generator=draw, dtype=torch.float64) for n in ((5, 7), (6, 4)))
    return [(small, 0.2, 0.1), (large, 0.1, 0.5)]


# --- E4.4, back along a wave ----------------------------------------------------------------------------------------


def _back(x, following, force, h):
    return 2 * x - following - h**2 * force(x)


def _force_at_the_end(x, following, force, h):
    return 2 * x - following - h**2 * force(following)


def _plus(x, following, force, h):
    return 2 * x - following + h**2 * force(x)


def _h_once(x, following, force, h):
    return 2 * x - following - h * force(x)


def _layers():
    draw = torch.Generator().manual_seed(1)
    x, following = torch.randn(2, 3, 4, generator=draw, dtype=torch.float64)
    return [(x, following, torch.sin, 0.5), (x, following, lambda z: z**3, 0.2)]


# --- E4.5, the mean of both times -----------------------------------------------------------------------------------


def _regression(at):
    def fit(features, u0, u1, dt):
        matrix = at(features(u0), features(u1))
        return torch.linalg.lstsq(matrix, (u1 - u0)[:, None] / dt).solution[:, 0]

    return fit


_midpoint = _regression(lambda before, after: (before + after) / 2)
_forward = _regression(lambda before, after: before)
_backward = _regression(lambda before, after: after)


def _no_step(features, u0, u1, dt):
    return dt * _midpoint(features, u0, u1, dt)


def _pairs():
    x = torch.linspace(0, 2 * math.pi, 41, dtype=torch.float64)[:-1]

    def features(u):
        return torch.stack([(u.roll(-1) - u.roll(1)) / 0.3, u.roll(-1) - 2 * u + u.roll(1)], -1)

    return [(features, x.sin() + (2 * x).cos(), (x - 0.1).sin() * 0.9 + (2 * x - 0.2).cos() * 0.7, 0.1)]


# --- E4.6, the longest step on a graph ------------------------------------------------------------------------------


def _longest(matrix_of):
    def step(adjacency):
        return 2 / torch.linalg.eigvalsh(matrix_of(adjacency))[-1].item()

    return step


def _normalised(adjacency):
    root = adjacency.sum(1).rsqrt()
    return torch.eye(len(adjacency), dtype=adjacency.dtype) - root[:, None] * adjacency * root


_step = _longest(_normalised)
_combinatorial = _longest(lambda adjacency: torch.diag(adjacency.sum(1)) - adjacency)


def _half(adjacency):
    return _step(adjacency) / 2


def _graphs():
    cycle = torch.eye(7, dtype=torch.float64).roll(1, 0)
    star = torch.zeros(5, 5, dtype=torch.float64)
    star[0, 1:] = star[1:, 0] = 1
    path = torch.diag(torch.ones(4, dtype=torch.float64), 1)
    return [(cycle + cycle.T,), (star + path + path.T,)]


EXERCISES = [
    Exercise(
        "E4.1",
        "What is a finer grid?",
        level="recall",
        hints=(
            "Section 1: the kernel of ∂ for pixels at distance δ is (−1, 0, 1)/2δ.",
            "Which of the two, weights or coefficients, contains δ?",
        ),
        check=same_option("abcd", message="The operator is a property of the task; the weights are one of the camera."),
        solution="c",
        wrong={
            "The same weights span half the distance: their answer to the same edge is another one.": "a",
            "That halves every weight; a second derivative needs a quarter of the distance squared.": "b",
            "Nothing has to be learned: coefficients and spacing give the kernel.": "d",
        },
    ),
    Exercise(
        "E4.2",
        "The nine-point Laplacian",
        level="compute",
        hints=(
            "h ≤ 2/‖K‖, as for the five-point one. Which wave does K stretch most?",
            "On a periodic image the waves e^{i(ax + by)} are eigenvectors; try a = π with b = 0, and a = b = π.",
        ),
        check=same_number(
            tol=0.005, message="Half again as long as with five; the maximum principle ends at 0.3."
        ),
        solution=0.375,
        wrong={
            "This is the limit of the five-point Laplacian.": 0.25,
            "This is where its maximum principle ends: a stricter wish than not to expand in the 2-norm.": 0.3,
            "Its eigenvalue at a = π, b = 0 is −4; the one at a = b = π is larger.": 0.5,
        },
    ),
    Exercise(
        "E4.3",
        "A step of Perona and Malik",
        level="derive",
        hints=(
            "Between neighbours flows φ(s) = s/(1 + (s/K)²), s their difference: one gains what the other loses.",
            "Compute all differences across, `x[:, 1:] - x[:, :-1]`, their flux, and add it on one side, subtract it "
            "on the other; the same downwards. Nothing flows over the border.",
        ),
        check=same_function(_images, message="What one pixel gains another one loses: the mean cannot change."),
        solution=_perona_malik,
        wrong={
            "This is the heat equation: the flux must fall where the difference is large.": _heat,
            "Outside of the image there is nothing to exchange with: no flux over the border.": _zeros_outside,
            "g(s) = 1/(1 + (s/K)²): the quotient is squared.": _unsquared,
            "This is g times the Laplacian, not a divergence: it does not conserve the mean.": _not_a_divergence,
        },
    ),
    Exercise(
        "E4.4",
        "Undo a wave",
        level="compute",
        hints=(
            "following = 2 x − previous − h² force(x). Which of the letters is unknown now?",
            "Solve for previous: the same arithmetic, with the two outer states exchanged.",
        ),
        check=same_function(_layers, message="So no state need be kept for the gradient: it can be computed again."),
        solution=_back,
        wrong={
            "The force acts in the middle state, x: that is why the step can be undone.": _force_at_the_end,
            "A wave backwards is a wave: the force has the same sign.": _plus,
            "The equation has a second derivative: the step is squared.": _h_once,
        },
    ),
    Exercise(
        "E4.5",
        "Take the bias out",
        level="extend",
        hints=(
            "Where is (u₁ − u₀)/Δt a derivative to second order: at the beginning, the middle, or the end?",
            "Use (features(u₀) + features(u₁))/2 as the matrix of `torch.linalg.lstsq`.",
        ),
        check=same_function(_pairs, message="The trapezoidal rule: the bias falls from order Δt to order Δt²."),
        solution=_midpoint,
        wrong={
            "These are features at the first time: it finds the modified equation of Euler's method.": _forward,
            "These are features at the second time: the bias only changes its sign.": _backward,
            "The difference of the states must be divided by Δt.": _no_step,
        },
    ),
    Exercise(
        "E4.6",
        "The longest step on a graph",
        level="derive",
        hints=(
            "x ↦ x − τ L x multiplies each eigenvector by 1 − τλ.",
            "L = I − D^(−1/2) A D^(−1/2) with D the degrees; `torch.linalg.eigvalsh` sorts its eigenvalues.",
        ),
        check=same_function(_graphs, message="λ ≤ 2 for every graph, so τ = 1 is always safe."),
        solution=_step,
        wrong={
            "This is the Laplacian D − A, degrees and all: its eigenvalues grow with them.": _combinatorial,
            "|1 − τλ| ≤ 1 allows negative factors down to −1.": _half,
        },
    ),
]
exercises = Exercises(EXERCISES)
