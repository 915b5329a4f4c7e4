"""The pictures of chapter 08: a race of integrators, learned energies, cycles, operators on grids, errors by mode.

Those that show trained networks are made by functions of the networks, and come with the function that describes them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from matplotlib.ticker import MaxNLocator

from helpers.figures import style

from . import dynamics

LEVELS = "#d0d0d0"
RACERS = {  # colour, line, marker and its size
    "euler": (style.ORANGE, ":", "^", 3.5),
    "leapfrog": (style.FLOW, "-", "o", 6),
    "rk4": (style.NETWORK, "--", ".", 5),
}
LOWEST, HIGHEST = 1e-9, 1e6  # energy errors that the race shows
SPREAD = 1.5  # decades between two names, at least
METHODS = {"euler": "Euler", "symplectic": "symplectic Euler", "rk4": "rk4"}
FLAT = 1e-11  # changes of the invariant below this one are drawn there
REFERENCE = 64  # points to which the error on another grid is compared


def _short(x):
    """Two digits as people write them: 0.026, 3.1, 140, not 1.4e+02."""
    if x == 0 or 1e-3 <= x < 99.5:
        return f"{x:.2g}"
    return f"{float(f'{x:.2g}'):.0f}" if 99.5 <= x < 1e5 else f"{x:.1e}".replace("e-0", "e-").replace("e+0", "e")


def _percent(x):
    return f"{_short(100 * x)} %"


# --- integrators race ----------------------------------------------------------------------------------------------


def race(fig):
    """Explorer: one pendulum, three integrators at the same step or at the same work, and how they keep its energy."""
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.7])
    _level_lines(left, [0.5, 1.0, 2.0, 3.0])
    left.plot(*dynamics.true_orbit(dynamics.RELEASED).T, color=style.DATA, lw=1.2)
    left.set(xlim=(-3.3, 3.3), ylim=(-2.6, 2.6), xlabel="angle q", ylabel="momentum p")
    left.set_title("the last ten swings")
    dots, lines, names = {}, {}, {}
    for method, (colour, line, marker, size) in RACERS.items():
        look = {"mfc": "none"} if method == "leapfrog" else {}
        (dots[method],) = left.plot([], [], ls="", marker=marker, ms=size, color=colour, **look)
        (lines[method],) = right.loglog([], [], color=colour, ls=line, lw=2.4)
        names[method] = right.text(1, 1, "", color=colour, fontweight="bold", va="center", fontsize=11)
    right.set(xlabel="time t", ylabel="largest energy error so far", ylim=(LOWEST, HIGHEST))
    right.set_yticks([10.0**e for e in range(-9, 7, 3)])
    right.minorticks_off()
    right.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    title = right.set_title(" ")

    def update(h, horizon, equal):
        for method, (t, error, last, _) in _runs(h, horizon, equal).items():
            lines[method].set_data(t, np.maximum(error, LOWEST))
            dots[method].set_data(*last.T)
            names[method].set_text(f"{method}, h = {_step(method, h, equal):g}")
        heights = _apart({method: math.log10(run[3]) for method, run in _runs(h, horizon, equal).items()})
        for method, name in names.items():
            name.set_position((horizon**1.02, 10 ** heights[method]))
        if right.get_xlim()[1] != (end := float(horizon**1.5)):  # beyond the horizon stand the names
            right.set_xlim(1, end)
            right.set_xticks([*(10**k for k in range(3) if 10**k < horizon), horizon])
        title.set_text(_winner(h, horizon, equal))
        return [*dots.values(), *lines.values(), *names.values(), title]

    return update


def _level_lines(ax, levels):
    q, p = np.linspace(-3.6, 3.6, 121), np.linspace(-2.8, 2.8, 91)
    ax.contour(q, p, dynamics.energy(q, p[:, None]), levels=levels, colors=LEVELS, linewidths=0.9)


def _step(method, h, equal):
    """One evaluation of the force a step is a quarter of rk4's work."""
    return h / 4 if equal and method != "rk4" else h


def _runs(h, horizon, equal):
    return {method: dynamics.raced(method, float(_step(method, h, equal)), int(horizon)) for method in RACERS}


def _apart(heights):
    """The same heights, in decades, moved apart so that the names there do not overlap, and kept in the picture."""
    low, high = math.log10(LOWEST) + SPREAD / 2, math.log10(HIGHEST) - SPREAD / 2
    placed, top = {}, high
    order = sorted(heights, key=heights.get, reverse=True)
    for k, name in enumerate(order):
        room = low + SPREAD * (len(order) - 1 - k)  # for those below
        placed[name] = max(min(heights[name], top), room)
        top = placed[name] - SPREAD
    return placed


def _winner(h, horizon, equal):
    worst = {method: run[3] for method, run in _runs(h, horizon, equal).items()}
    better, other = sorted(("leapfrog", "rk4"), key=worst.get)
    times = worst[other] / worst[better]
    if worst[better] > (1 - math.cos(dynamics.RELEASED)) / 2:
        return (
            f"neither keeps the energy: rk4 is off by {_short(worst['rk4'])}, leapfrog by {_short(worst['leapfrog'])}"
        )
    if times < 1.05:
        return "leapfrog and rk4 keep the energy equally well"
    return f"{better} keeps the energy {_short(times)} times better than {other}"


def describe_race(h, horizon, equal):
    """Text alternative of `race`."""
    told = ", ".join(
        f"{method} with steps of {_step(method, h, equal):g} off by up to {_short(run[3])}"
        for method, run in _runs(h, horizon, equal).items()
    )
    work = "the same number of forces each" if equal else "the same step each"
    return (
        f"A pendulum released from {dynamics.RELEASED:g} rad, to time {horizon}, {work}. Energy: {told}. "
        f"So {_winner(h, horizon, equal)}."
    )


# --- a learned energy ----------------------------------------------------------------------------------------------


def level_sets(fields):
    """Explorer: an orbit of a learned field over the pendulum's level lines, and its true energy over time.

    Args:
        fields: name → field(t, x) of states (n, 2).

    Returns:
        build(fig) for the parameters model, q0 and until, and the text alternative as a function of them.
    """

    @lru_cache(maxsize=256)
    def ride(model, q0):
        return dynamics.learned_ride(fields[model], q0)

    def verdict(model, q0, until):
        energies = ride(model, float(q0))[1][: _states(until)]
        gone = dynamics.left_at(energies)
        if gone is not None:
            return f"the orbit left the data at t = {gone:.3g}"
        exact = 1 - math.cos(q0)
        return f"energy off by {_percent(abs(energies[-1] - exact) / exact)} at t = {until:g}"

    def build(fig):
        left, right = fig.subplots(1, 2, width_ratios=[1.1, 1])
        _level_lines(left, np.arange(0.2, 2.1, 0.3))
        (track,) = left.plot([], [], color=style.NETWORK, lw=1.2)
        (true,) = left.plot([], [], color=style.DATA, lw=2, ls="--")
        (start,) = left.plot([], [], ls="", marker="o", color=style.DATA)
        left.set(xlim=(-3.3, 3.3), ylim=(-2.6, 2.6), xlabel="angle q", ylabel="momentum p")
        (line,) = right.plot([], [], color=style.NETWORK, lw=1.6)
        level = right.axhline(0, color=style.DATA, ls="--", lw=2)
        right.set(xlim=(0, dynamics.RIDE), xlabel="time t", ylabel="true energy H")
        fig.legend([true, track, start], ["exact", "learnt", "release"], loc="outside right center")
        name, title = left.set_title(" "), right.set_title(" ")

        def update(model, q0, until):
            path, energies = (a[: _states(until)] for a in ride(model, float(q0)))
            track.set_data(*path.T)
            true.set_data(*dynamics.true_orbit(q0).T)
            start.set_data([q0], [0])
            line.set_data(dynamics.STEP * np.arange(len(path)), energies)
            level.set_ydata([1 - math.cos(q0)] * 2)
            right.set_ylim(0, min(2.6, 3 * (1 - math.cos(q0))))
            name.set_text(f"{model}, released from {q0:g} rad")
            title.set_text(verdict(model, q0, until))
            return [track, true, start, line, level, name, title]

        return update

    def describe(model, q0, until):
        energies = ride(model, float(q0))[1][: _states(until)]
        return (
            f"The orbit of {model} from {q0:g} rad to time {until:g}, over the level lines of the true energy: "
            f"{verdict(model, q0, until)}. The exact level is {1 - math.cos(q0):.2f}; along the orbit the true energy "
            f"is between {_short(np.nanmin(energies))} and {_short(np.nanmax(energies))}."
        )

    return build, describe


def _states(until):
    return round(until / dynamics.STEP) + 1


# --- prey and predators --------------------------------------------------------------------------------------------


def cycle(fig):
    """Explorer: prey and predators by three methods, over the level lines of what they should keep."""
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.35])
    u = np.log(np.linspace(0.02, 8, 160))
    left.contour(
        np.exp(u), np.exp(u), dynamics.invariant(u, u[:, None]), levels=np.arange(1.4, 8, 0.6), colors=LEVELS,
        linewidths=0.9,
    )  # fmt: skip
    (track,) = left.plot([], [], color=style.NETWORK, lw=1.3)
    (start,) = left.plot([], [], ls="", marker="o", color=style.DATA)
    left.set(xlim=(0, 8), ylim=(0, 6), xlabel="prey x", ylabel="predators y")
    (now,) = right.semilogy([], [], color=style.NETWORK, lw=1, alpha=0.45)
    (most,) = right.semilogy([], [], color=style.NETWORK, lw=2.4)
    right.set(xlim=(0, dynamics.CYCLES), ylim=(FLAT, 1e2), xlabel="time t")
    right.set_ylabel("change of V (thick: so far)")
    name, title = left.set_title(" "), right.set_title(" ")

    def update(method, h, x0):
        numbers, change, _ = dynamics.cycled(method, float(h), float(x0))
        size = np.maximum(np.abs(change), FLAT)
        t = h * np.arange(len(size))
        track.set_data(*numbers.T)
        start.set_data([x0], [dynamics.PREDATORS])
        now.set_data(t[1:], size[1:])
        most.set_data(t[1:], np.maximum.accumulate(size)[1:])
        name.set_text(f"{METHODS[method]}, h = {h:g}")
        title.set_text(_kept(method, h, x0))
        return [track, start, now, most, name, title]

    return update


def _kept(method, h, x0):
    _, change, died = dynamics.cycled(method, float(h), float(x0))
    size = np.abs(change)
    told = f"V changes by up to {_short(size.max())}"
    if died:
        return f"{told}, until a species dies out"
    sixth = len(size) // 6  # almost two cycles
    return f"{told}, and {'keeps growing' if size[-sixth:].max() > 2 * size[:sixth].max() else 'does not grow'}"


def describe_cycle(method, h, x0):
    """Text alternative of `cycle`."""
    numbers, change, died = dynamics.cycled(method, float(h), float(x0))
    end = f" The path ends at t = {h * (len(change) - 1):.3g}." if died else ""
    return (
        f"Prey and predators from {x0:g} and {dynamics.PREDATORS:g}, by {METHODS[method]} with steps of {h:g}: "
        f"{_kept(method, h, x0)}. The prey is between {_short(numbers[:, 0].min())} and "
        f"{_short(numbers[:, 0].max())}.{end}"
    )


# --- operators on grids --------------------------------------------------------------------------------------------


def resolution(models):
    """Explorer: a learned operator asked on grids of other sizes, beside the exact solution of Burgers' equation.

    Args:
        models: name → map of initial values (n, N) to values at time 1, (n, N).

    Returns:
        build(fig) for the parameters model, size and sample, and the text alternative as a function of them.
    """

    @lru_cache(maxsize=64)
    def run(model, size):
        return dynamics.predicted(models[model], size)

    def verdict(model, size):
        other = REFERENCE if size != REFERENCE else 2 * REFERENCE
        (_, here), (_, there) = run(model, size), run(model, other)
        return f"error {_percent(here)} on {size} points, {_percent(there)} on {other}"

    def build(fig):
        left, right = fig.subplots(1, 2, width_ratios=[1.7, 1])
        x, (u0, truth) = dynamics.places(dynamics.FINE), dynamics.waves()
        (before,) = left.plot(x, x, color=style.GREY, lw=1.2)
        (after,) = left.plot(x, x, color=style.FLOW, lw=2.4)
        (dots,) = left.plot([], [], ls="", marker="o", ms=4, color=style.NETWORK)
        reach = 1.2 * u0.abs().max().item()
        left.set(xlim=(0, 2 * math.pi), ylim=(-reach, reach), xlabel="x", ylabel="u")
        left.set_xticks([0, math.pi, 2 * math.pi], ["0", "π", "2π"])
        sizes = np.array(dynamics.SIZES)
        (curve,) = right.loglog(sizes, np.ones(len(sizes)), color=style.NETWORK, marker="o", lw=1.5)
        (ring,) = right.plot([], [], ls="", marker="o", ms=14, mfc="none", mew=2.5, color=style.DATA)
        right.minorticks_off()
        right.set_xticks(sizes, [str(size) for size in sizes])
        ticks = [1e-3, 1e-2, 1e-1, 1]
        right.set_yticks(ticks, ["0.1 %", "1 %", "10 %", "100 %"])
        right.set(xlim=(24, 340), ylim=(1e-3, 4), xlabel="points N", ylabel="relative error")
        right.set_title(f"mean of {dynamics.SAMPLES} functions")
        legend = ["u(0, x)", "u(1, x), exact", "u(1, x), learnt"]
        fig.legend([before, after, dots], legend, loc="outside right center")
        title = left.set_title(" ")

        def update(model, size, sample):
            before.set_ydata(u0[sample])
            after.set_ydata(truth[sample])
            dots.set_data(dynamics.places(size), run(model, size)[0][sample])
            curve.set_ydata([run(model, n)[1] for n in dynamics.SIZES])
            ring.set_data([size], [run(model, size)[1]])
            title.set_text(f"{model}: {verdict(model, size)}")
            return [before, after, dots, curve, ring, title]

        return update

    def describe(model, size, sample):
        told = ", ".join(f"{_percent(run(model, n)[1])} on {n}" for n in dynamics.SIZES)
        u, truth = run(model, size)[0][sample], dynamics.waves()[1][sample, :: dynamics.FINE // size].numpy()
        this = np.linalg.norm(u - truth) / np.linalg.norm(truth)
        return (
            f"{model} on Burgers' equation, function {sample + 1} on {size} points: off by {_percent(this)}. "
            f"Mean over {dynamics.SAMPLES} functions: {told} points."
        )

    return build, describe


# --- errors by mode ------------------------------------------------------------------------------------------------


def modes(runs):
    """Explorer: physics-informed networks of −u″ = (kπ)² sin kπx, and the modes that their error lies in.

    Args:
        runs: k → runs, each with "u", values on an even grid of [0, 1], ends included, and "modes", the sine
            coefficients of the error, modes 1, 2, ….

    Returns:
        build(fig) for the parameters k and seed, and the text alternative as a function of them.
    """
    numbers = np.arange(1, 1 + max(len(run["modes"]) for seeds in runs.values() for run in seeds))

    def verdict(k, seed):
        run = runs[k][seed]
        off = f"off by {_percent(dynamics.wave_error(run['u'], k))}"
        if k < 2:
            return off
        low = "mode 1" if k < 4 else f"modes 1–{k // 2}"
        return f"{off}, {100 * dynamics.low_share(run['modes'], k):.0f} % of it (squared) in {low}"

    def build(fig):
        left, right = fig.subplots(1, 2, width_ratios=[1, 1.15])
        (exact,) = left.plot([], [], color=style.DATA, lw=2, ls="--", label="solution")
        (made,) = left.plot([], [], color=style.NETWORK, lw=2.2, label="network")
        left.set(xlim=(0, 1), xlabel="x", ylabel="u")
        left.legend(loc="upper right", ncols=2)
        bars = right.bar(numbers, np.zeros(len(numbers)), 0.7, color=style.NETWORK)
        # its height is counted in that of the axes, so that it does not depend on the bars
        (seen,) = right.plot(
            numbers, 0.8 * (numbers / numbers[-1]) ** 2, color=style.BLUE, lw=2, ls="-", marker="s", ms=4,
            transform=right.get_xaxis_transform(),
        )  # fmt: skip
        (one,) = right.plot(
            [], [], ls="", marker="s", ms=11, mfc="none", mew=2, color=style.BLUE, transform=right.get_xaxis_transform()
        )
        right.yaxis.set_major_locator(MaxNLocator(4))
        right.yaxis.set_major_formatter(lambda x, _: f"{x:.2g}")
        words = right.text(0.02, 0.98, "", transform=right.transAxes, va="top", color=style.BLUE)
        right.set(xlim=(0.4, numbers[-1] + 0.6), xticks=numbers, xlabel="mode j", ylabel="bars: error in mode j")
        name, title = left.set_title(" "), right.set_title(" ")

        def update(k, seed):
            run = runs[k][seed]
            x = np.linspace(0, 1, len(run["u"]))
            fine = np.linspace(0, 1, 401)
            exact.set_data(fine, np.sin(k * math.pi * fine))
            made.set_data(x, run["u"])
            reach = 1.1 * max(1.0, np.abs(run["u"]).max())
            left.set_ylim(-reach, 1.5 * reach)  # above stands the legend
            heights = np.zeros(len(numbers))
            heights[: len(run["modes"])] = np.abs(run["modes"])
            for bar, height in zip(bars, heights, strict=True):
                bar.set_height(height)
            right.set_ylim(0, max(heights.max(), 1e-12) / 0.8)  # above stand the words
            one.set_data([k], [0.8 * (k / numbers[-1]) ** 2])
            words.set_text(f"line: (j/{k})², how the residual sees mode j; □ is 1")
            name.set_text(f"k = {k}, network {seed + 1}")
            title.set_text(verdict(k, seed))
            return [exact, made, *bars, seen, one, words, name, title]

        return update

    def describe(k, seed):
        worst = int(np.argmax(np.abs(runs[k][seed]["modes"]))) + 1
        return (
            f"A physics-informed network of −u″ = (kπ)² sin kπx with k = {k}, network {seed + 1}: {verdict(k, seed)}. "
            f"The largest error is in mode {worst}, which the residual sees with weight {_short((worst / k) ** 2)}."
        )

    return build, describe
