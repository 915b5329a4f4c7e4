"""The pictures of chapter 03: paths of a noisy equation, growth and decay by noise, dropout as a diffusion, averages.

A picture without controls comes with its text alternative, made from the same data.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.collections import LineCollection

from helpers.figures import style

from .dynamics import FINEST, HORIZON, PATHS, START, averaged, brownian, clouds, geometric, smoothed, steepest, swirl

RULES = {"ito": "Euler–Maruyama (Itô)", "stratonovich": "Heun (Stratonovich)"}


def _signed(rate: float) -> str:
    return f"{rate:+.2f}".replace("-", "−")


# --- paths ----------------------------------------------------------------------------------------------------------


def paths(fig):
    """Explorer: one path in n steps beside the solution along the same noise, and where all paths end on average."""
    left, right = fig.subplots(1, 2, width_ratios=[1.5, 1])
    t = np.linspace(0, 1, FINEST + 1)
    (exact,) = left.plot(t, t, color=style.FLOW, lw=1.6, label="solution, same noise")
    (steps,) = left.plot([], [], color=style.NETWORK, marker="o", ms=4, lw=1.4, label="method")
    left.set(xlim=(0, 1), ylim=(0, 5), xlabel="t", ylabel="X")
    left.legend(loc="upper left")
    others = right.add_collection(LineCollection([], colors=style.SKY, lw=0.6, alpha=0.5))
    (mean,) = right.plot([], [], color=style.NETWORK, lw=3, label=f"mean of {PATHS} paths")
    (wanted,) = right.plot(t, t, color=style.BLACK, lw=1.5, ls="--", label="mean of the equation")
    right.set(xlim=(0, 1), ylim=(0, 5), xlabel="t")
    right.legend(loc="upper left")
    titles = [ax.set_title(" ") for ax in (left, right)]

    def update(rule, mu, sigma, n):
        states, solution = geometric(rule, mu, sigma, n)
        grid = np.linspace(0, 1, n + 1)
        exact.set_ydata(solution[:, 0])
        steps.set_data(grid, states[:, 0])
        others.set_segments([np.column_stack([grid, column]) for column in states.T[:60]])
        mean.set_data(grid, states.mean(1))
        rate = mu + (sigma**2 / 2 if rule == "stratonovich" else 0.0)
        wanted.set_ydata(np.exp(rate * t))
        titles[0].set_text(f"mean distance at t = 1: {_distance(states, solution):.3f}")
        titles[1].set_text(f"means {states[-1].mean():.2f} and {np.exp(rate):.2f}")
        return [exact, steps, others, mean, wanted, *titles]

    return update


def describe_paths(rule, mu, sigma, n):
    """Text alternative of `paths`."""
    states, solution = geometric(rule, mu, sigma, n)
    rate = mu + (sigma**2 / 2 if rule == "stratonovich" else 0.0)
    return (
        f"dX = {mu:g} X dt + {sigma:g} X dW by {n} steps of {RULES[rule]}: at t = 1 the steps are "
        f"{_distance(states, solution):.3f} from the solution along the same noise, on average over {PATHS} paths; "
        f"their mean is {states[-1].mean():.2f}, that of the equation {np.exp(rate):.2f}."
    )


def _distance(states, solution):
    return np.abs(states[-1] - solution[-1]).mean()


# --- growth and decay ----------------------------------------------------------------------------------------------


def almost_surely(fig):
    """Explorer: paths of dX = aX dt + σX dW on a logarithmic scale, the typical one and the mean square."""
    t, w = np.linspace(0, HORIZON, FINEST + 1), brownian(HORIZON)
    ax = fig.subplots()
    ax.axhline(0, color=style.GREY, lw=1)
    bundle = ax.add_collection(LineCollection([], colors=style.SKY, lw=0.7, alpha=0.45))
    (typical,) = ax.plot([], [], color=style.FLOW, lw=3.5)
    (square,) = ax.plot([], [], color=style.NETWORK, lw=3.5, ls="--")
    (sampled,) = ax.plot([], [], color=style.BLACK, lw=1.6, ls=":")
    ax.set(xlim=(0, HORIZON), ylim=(-22, 14), xlabel="t", ylabel="|X|, powers of ten")
    names = ["200 paths", r"typical, rate $a-\sigma^2/2$", r"root mean square, $a+\sigma^2/2$", "the same, sampled"]
    ax.legend([bundle, typical, square, sampled], names, loc="lower left", fontsize=11)
    title = ax.set_title(" ")

    def update(a, sigma):
        logs = (a - sigma**2 / 2) * t[:, None] + sigma * w  # of the exact solution
        bundle.set_segments([np.column_stack([t, column]) for column in logs.T[:100] / np.log(10)])
        typical.set_data(t, (a - sigma**2 / 2) * t / np.log(10))
        square.set_data(t, (a + sigma**2 / 2) * t / np.log(10))
        sampled.set_data(t, _sampled(logs) / np.log(10))
        title.set_text(_fates(a, sigma))
        return [bundle, typical, square, sampled, title]

    return update


def _sampled(logs):
    """log of the root of the mean square over the paths, without overflow."""
    top = 2 * logs.max(1, keepdims=True)
    return (top[:, 0] + np.log(np.exp(2 * logs - top).mean(1))) / 2


def _fates(a, sigma):
    sure, mean = a - sigma**2 / 2, a + sigma**2 / 2
    words = ["dies" if rate < 0 else "stays" if rate == 0 else "grows" for rate in (sure, mean)]
    return f"almost surely {_signed(sure)}: {words[0]}   ·   in mean square {_signed(mean)}: {words[1]}"


def describe_fates(a, sigma):
    """Text alternative of `almost_surely`."""
    logs = (a - sigma**2 / 2) * HORIZON + sigma * brownian(HORIZON)[-1]
    below = (logs < 0).mean()
    return (
        f"{PATHS} paths of dX = {a:g} X dt + {sigma:g} X dW from 1: {_fates(a, sigma)}. At t = {HORIZON:g} "
        f"{100 * below:.0f} % of the paths are smaller than at the start; the sampled root mean square is ten to the "
        f"{_sampled(logs[None])[0] / np.log(10):.1f}, the true one ten to the "
        f"{(a + sigma**2 / 2) * HORIZON / np.log(10):.1f}."
    )


# --- dropout as a diffusion ----------------------------------------------------------------------------------------


def dropout_as_noise(fig):
    """Explorer: what 500 draws of the masks make of one input, beside the SDE with diffusion √(h(1−p)/p) f."""
    panels = left, right = fig.subplots(1, 2, sharex=True, sharey=True)
    colours = (style.NETWORK, style.FLOW)
    dots = [
        ax.plot([], [], ls="", marker="o", ms=4, alpha=0.35, mec="none", color=colour)[0]
        for ax, colour in zip(panels, colours, strict=True)
    ]
    crosses = [
        ax.plot([], [], ls="", marker="x", ms=11, mew=2.5, color=style.BLACK, label="network, no layer left out")[0]
        for ax in panels
    ]
    way = _way()
    for ax in panels:
        ax.plot(*way[0], marker="s", color=style.BLACK, ms=7, ls="", label="input")
        ax.plot(*way.T, color=style.GREY, lw=2, zorder=0, label="flow, in twice the time")
        ax.set(xlabel="feature 1")
    middle, reach = way.mean(0), 2.6
    left.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
    left.set_ylabel("feature 2")
    left.legend(loc="lower left", fontsize=11)
    titles = [ax.set_title(" ") for ax in panels]

    def update(depth, survival, per_feature):
        noisy, limit, still = clouds(depth, survival, per_feature)
        for cloud, points, cross in zip(dots, (noisy, limit), crosses, strict=True):
            cloud.set_data(*points.T)
            cross.set_data(*still.T)
        titles[0].set_text(f"network, {depth} layers: spread {_spread(noisy):.3f}")
        titles[1].set_text(f"its SDE: spread {_spread(limit):.3f}")
        return [*dots, *crosses, *titles]

    return update


def _spread(points):
    return np.sqrt(points.var(0).sum())


def _way():
    """Where the noiseless flow goes in twice the time, (401, 2): a random depth ends somewhere on it."""
    field, states = swirl(), [START]
    with torch.no_grad():
        for _ in range(400):
            states.append(states[-1] + field(0.0, states[-1]) / 200)
    return torch.cat(states).numpy()


def describe_clouds(depth, survival, per_feature):
    """Text alternative of `dropout_as_noise`."""
    noisy, limit, still = clouds(depth, survival, per_feature)
    what = "each entry of a branch" if per_feature else "each branch as a whole"
    return (
        f"One input after {depth} layers, {what} kept with probability {survival:g}: the outputs of the network spread "
        f"by {_spread(noisy):.3f} around their mean, those of its stochastic equation by {_spread(limit):.3f}; the "
        f"mean of the network is {np.linalg.norm(noisy.mean(0) - still[0]):.3f} from the network without noise."
    )


# --- averages ------------------------------------------------------------------------------------------------------

PLACES = np.linspace(-np.pi, np.pi, 33)


def feynman_kac(fig):
    """Explorer: averages over M noisy paths beside the solution of the heat equation that they estimate."""
    ax = fig.subplots()
    fine = np.linspace(-np.pi, np.pi, 200)
    ax.plot(fine, np.cos(fine), color=style.GREY, lw=1.5, label="u at time 0: cos x")
    (solution,) = ax.plot(fine, fine, color=style.FLOW, lw=3, label="u at time T, exact")
    bars = ax.add_collection(LineCollection([], colors=style.NETWORK, lw=1.5))
    (estimates,) = ax.plot([], [], color=style.NETWORK, ls="", marker="o", ms=5, label="mean over M paths, ± 2 errors")
    ax.set(xlim=(-np.pi, np.pi), ylim=(-1.6, 1.6), xlabel="x", ylabel="u(T, x)")
    ax.legend(loc="upper right", fontsize=11)
    title = ax.set_title(" ")

    def update(count, time, sigma):
        means, errors = averaged(time, sigma, count, PLACES)
        solution.set_ydata(_exact(time, sigma, fine))
        estimates.set_data(PLACES, means)
        bars.set_segments([[(x, m - 2 * e), (x, m + 2 * e)] for x, m, e in zip(PLACES, means, errors, strict=True)])
        title.set_text(f"largest error {_worst(means, time, sigma):.3f}")
        return [solution, estimates, bars, title]

    return update


def _exact(time, sigma, x):
    return np.cos(x) * np.exp(-(sigma**2) * time / 2)


def _worst(means, time, sigma):
    return np.abs(means - _exact(time, sigma, PLACES)).max()


def describe_averages(count, time, sigma):
    """Text alternative of `feynman_kac`."""
    means, errors = averaged(time, sigma, count, PLACES)
    return (
        f"The heat equation from cos x at time {time:g} with σ = {sigma:g}: its solution has the height "
        f"{_exact(time, sigma, 0.0):.2f}; averages over {count} paths are off by {_worst(means, time, sigma):.3f} at "
        f"worst, with standard errors up to {errors.max():.3f}."
    )


# --- smoothing -----------------------------------------------------------------------------------------------------


def smoothing(model, x, y, pixels=101):
    """Explorer of a classifier of the plane: its decisions averaged over Gaussian noise on the input.

    Args:
        model: Maps points (n, 2) to scores (n, 2).
        x, y: Points (n, 2) and their classes, drawn over the decisions.
        pixels: Of the grid, each way.

    Returns:
        build(fig) for the parameter sigma, and the text alternative as a function of it.
    """
    x, y = x.cpu().numpy(), y.cpu().numpy()
    low, reach = x.mean(0) - 2.2, 4.4
    ticks = np.linspace(0, reach, pixels)
    grid = np.stack(np.meshgrid(low[0] + ticks, low[1] + ticks), -1)
    with torch.no_grad():
        points = torch.from_numpy(grid.reshape(-1, 2)).to(next(model.parameters()))
        decisions = model(points).argmax(1).cpu().numpy().reshape(pixels, pixels)
    spacing = reach / (pixels - 1)

    def agreement(values):
        """Which points are named rightly by the more frequent decision around them."""
        column, row = np.clip(((x - low) / spacing).round().astype(int), 0, pixels - 1).T
        return ((values[row, column] > 0.5) == y).mean()

    def build(fig):
        left, right = fig.subplots(1, 2, width_ratios=[1, 1.1])
        extent = (low[0], low[0] + reach, low[1], low[1] + reach)
        shown = left.imshow(decisions, origin="lower", extent=extent, cmap="coolwarm", vmin=0, vmax=1)
        for c, (colour, marker) in enumerate(zip(("#10305c", "#6b1010"), style.CLASS_MARKERS, strict=True)):
            left.plot(*x[y == c].T, ls="", marker=marker, ms=2.5, color=colour)
        left.set(xlabel="input 1", ylabel="input 2")
        left.grid(False)
        across = ticks + low[0]
        (cut,) = right.plot(across, across, color=style.FLOW, lw=2.5)
        right.axhline(0.5, color=style.GREY, lw=1, ls="--")
        right.set(ylim=(-0.05, 1.05), xlabel="input 1, along the middle", ylabel="share of class 1 under noise")
        titles = [ax.set_title(" ") for ax in (left, right)]

        def update(sigma):
            values = smoothed(decisions, spacing, sigma)
            shown.set_data(values)
            cut.set_ydata(values[pixels // 2])
            titles[0].set_text(f"accuracy {agreement(values):.2f}")
            titles[1].set_text(_slopes(values, spacing, sigma))
            return [shown, cut, *titles]

        return update

    def describe(sigma):
        values = smoothed(decisions, spacing, sigma)
        return (
            f"A classifier of the plane, its decisions averaged over Gaussian noise of size {sigma:g} on the input: "
            f"{_slopes(values, spacing, sigma)}; it names {100 * agreement(values):.0f} % of the points rightly."
        )

    return build, describe


def _slopes(values, spacing, sigma):
    found = f"steepest slope {steepest(values, spacing):.2f}"
    return f"{found}, bound {1 / sigma / np.sqrt(2 * np.pi):.2f}" if sigma else f"{found}, no bound"
