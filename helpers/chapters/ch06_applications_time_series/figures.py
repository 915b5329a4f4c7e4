"""The pictures of chapter 06: loops, paths through observations, empty weeks, sampling rates, spirals continued.

Those that show trained networks are made by functions of the networks, and come with the function that describes them.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch

from helpers.figures import style

from . import dynamics
from .dynamics import FIRST_YEAR

KINDS = {"linear": "straight lines", "natural_cubic": "natural cubic spline", "hermite": "backward Hermite"}


# --- loops ---------------------------------------------------------------------------------------------------------


def lead_and_lag(fig):
    """Explorer: two signals, one later than the other, the loop that they draw, and its area."""
    left, right = fig.subplots(1, 2, width_ratios=[1.7, 1])
    s, path, _ = dynamics.lead(90, 1, False)
    first, second = (
        left.plot(s, path[:, k], color=colour, ls=line, lw=2.2, label=name)[0]
        for k, (colour, line, name) in enumerate(((style.FLOW, "-", "X₁"), (style.NETWORK, "--", "X₂")))
    )
    left.set(xlabel="time t", ylabel="signals", ylim=(-1.15, 1.5), xlim=(0, 1))
    left.legend(loc="upper right", ncols=2)
    (area,) = right.fill(*path.T, color=style.ORANGE, alpha=0.3, lw=0)
    (loop,) = right.plot(*path.T, color=style.BLACK, lw=2)
    arrow = right.quiver([0], [0], [1], [0], angles="xy", scale_units="xy", scale=1, width=0.014, color=style.BLACK)
    right.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), xlabel="X₁", ylabel="X₂", aspect="equal")
    words, title = left.set_title(" "), right.set_title(" ")

    def update(lag, turns, warped):
        s, path, enclosed = dynamics.lead(lag, turns, warped)
        first.set_data(s, path[:, 0])
        second.set_data(s, path[:, 1])
        area.set_xy(path)
        loop.set_data(*path.T)
        k = len(path) // (8 * turns)
        way = path[k + 1] - path[k - 1]
        arrow.set_offsets(path[k : k + 1])
        arrow.set_UVC(*(0.35 * way / max(np.hypot(*way), 1e-9)))
        words.set_text(_who_leads(enclosed))
        title.set_text(f"Lévy area {_signed(enclosed)}")
        return [first, second, area, loop, arrow, words, title]

    return update


def _signed(x):
    return f"{x + 0.0:.2f}".replace("-", "−") if abs(x) > 5e-3 else "0"


def _who_leads(area):
    if abs(area) < 5e-3:
        return "nobody leads: the loop is a line"
    return "X₁ leads, anticlockwise" if area > 0 else "X₂ leads, clockwise"


def describe_loop(lag, turns, warped):
    """Text alternative of `lead_and_lag`."""
    _, _, area = dynamics.lead(lag, turns, warped)
    return (
        f"Two waves, {turns} {'period' if turns == 1 else 'periods'}, the second {lag:g}° later"
        f"{', played ever faster' if warped else ''}: {_who_leads(area)}; the Lévy area is {_signed(area)}."
    )


# --- a path through observations -----------------------------------------------------------------------------------


def sculptor(fig):
    """Explorer: the path through sunspot numbers before and after one of them is changed, and what a CDE makes of it.

    What moves before the year that precedes the changed one is the future acting on the past.
    """
    years, values = dynamics.spots()
    t = dynamics.fine()
    left, right = fig.subplots(1, 2, width_ratios=[1.5, 1])
    (old,) = left.plot(t, t, color=style.GREY, lw=2.5, ls="--", label="path before")
    (new,) = left.plot(t, t, color=style.FLOW, lw=2.5, label="path after")
    left.plot(years, values, ls="", marker="o", color=style.DATA, ms=6, label="observed")
    (moved,) = left.plot([], [], ls="", marker="D", color=style.NETWORK, ms=10, label="changed value")
    left.set(ylabel="sunspots a year", xlabel="year", ylim=(-110, 330), xlim=(years[0] - 0.3, years[-1] + 0.3))
    left.legend(loc="upper right", ncols=2)
    (band,) = right.fill([2000, 2001, 2001], [1, 1, 2], color=style.GREY, alpha=0.18, lw=0)
    (difference,) = right.semilogy(t, t, color=style.FLOW, lw=2.5, label="the path moves by")
    (state,) = right.semilogy(years, years, color=style.NETWORK, ls="", marker="s", ms=6, label="the state moves by")
    right.set(ylabel="sunspots", xlabel="year", ylim=(1e-3, 3e4), xlim=(years[0] - 0.3, years[-1] + 0.3))
    right.set_xticks(range(1995, years[-1] + 1, 5))
    right.legend(loc="upper left")
    title, word = left.set_title(" "), right.set_title(" ")

    def update(path, year, change):
        (before, z), (after, z_after) = dynamics.sculpted(path, year, 0.0), dynamics.sculpted(path, year, float(change))
        gap, reach = dynamics.moved_past(path, year, float(change))
        old.set_ydata(before)
        new.set_ydata(after)
        moved.set_data([year], [values[years == year][0] + change])
        difference.set_ydata(np.maximum(gap, 1e-9))
        state.set_ydata(np.maximum(np.abs(z_after - z), 1e-9))
        band.set_xy([(FIRST_YEAR - 1, 1e-9), (year - 1, 1e-9), (year - 1, 1e9), (FIRST_YEAR - 1, 1e9)])
        title.set_text(f"{KINDS[path]}, {year} changed by {change:+d}".replace("-", "−"))
        word.set_text(_told_past(year, reach))
        return [old, new, moved, difference, state, band, title, word]

    return update


def _told_past(year, reach):
    return f"before {year - 1} it moves by up to {reach:.2g}" if reach > 1e-9 else f"before {year - 1} nothing moves"


def describe_sculptor(path, year, change):
    """Text alternative of `sculptor`."""
    _, reach = dynamics.moved_past(path, year, float(change))
    z, moved = dynamics.sculpted(path, year, 0.0)[1], dynamics.sculpted(path, year, float(change))[1]
    return (
        f"A path of {KINDS[path]} through yearly sunspot numbers; that of {year} is changed by {change}: "
        f"{_told_past(year, reach)}. The state of a controlled equation at {year} moves by "
        f"{abs(moved - z)[year - FIRST_YEAR]:.0f}."
    )


# --- empty weeks ---------------------------------------------------------------------------------------------------


def empty_weeks(networks, t, x, y, asked, unit):
    """Explorer: forecasts when weeks without an observation are told to the networks one by one.

    Args:
        networks: name → network of (time, value) rows (n, rows, 2), NaN for an empty row, ↦ (n, len(asked)).
        t, x: Times in years (n, rows) and values in ppm (n, rows) of what is seen.
        y: The weeks asked for, (n, len(asked)), NaN where not measured.
        asked: Their times, (len(asked),).
        unit: ppm that the networks count in.

    Returns:
        build(fig) for the parameters window and rows, and the text alternative as a function of them.
    """
    level = x.mean(1, keepdim=True)

    @cache
    def forecast(name, window, rows):
        seen = torch.stack([t[window], (x[window] - level[window]) / unit], -1)
        if rows:
            first, last = t[window, -1].item(), asked[0].item()
            # as many rows as asked for, between the last observation and the first question
            times = torch.linspace(first, last, rows + 2, dtype=seen.dtype)[1:-1]
            seen = torch.cat([seen, torch.stack([times, torch.full_like(times, torch.nan)], -1)])
        with torch.no_grad():
            return (unit * networks[name](seen[None])[0] + level[window]).numpy()

    def moved(name, window, rows):
        """Root mean square change of the forecast, in ppm."""
        return float(np.sqrt(np.mean((forecast(name, window, rows) - forecast(name, window, 0)) ** 2)))

    def build(fig):
        left, right = fig.subplots(1, 2, width_ratios=[2.3, 1])
        (seen,) = left.plot([], [], ls="", marker="o", ms=5, color=style.DATA, label="seen")
        (truth,) = left.plot([], [], color=style.GREY, lw=4, alpha=0.6, label="measured later")
        looks = ((style.FLOW, "-"), (style.NETWORK, "--"))
        lines = [
            left.plot([], [], color=colour, ls=line, lw=2.5, label=name)[0]
            for name, (colour, line) in zip(networks, looks, strict=True)
        ]
        (rug,) = left.plot([], [], ls="", marker="|", ms=14, mew=1.5, color=style.GREEN, label="empty row")
        left.set(xlim=(0, asked[-1].item() + 0.03), xlabel="years", ylabel="CO₂ in ppm")
        left.legend(loc="upper left", ncols=2)
        bars = right.bar(range(len(networks)), [0.0] * len(networks), color=[c for c, _ in looks], hatch=["", "//"])
        right.set_xticks(range(len(networks)), list(networks))
        right.set(ylim=(0, 3.3), ylabel="the forecast moves by, ppm")
        labels = [right.text(i, 0, "", ha="center", va="bottom") for i in range(len(networks))]
        title, other = left.set_title(" "), right.set_title(" ")

        def update(window, rows):
            low = float(x[window].min())
            seen.set_data(t[window], x[window])
            truth.set_data(asked, y[window])
            for line, name in zip(lines, networks, strict=True):
                line.set_data(asked, forecast(name, window, rows))
            times = np.linspace(t[window, -1].item(), asked[0].item(), rows + 2)[1:-1]
            rug.set_data(times, np.full(rows, low - 1.2))
            left.set_ylim(low - 2, low + 16)
            for bar, label, name in zip(bars, labels, networks, strict=True):
                height = moved(name, window, rows)
                bar.set_height(min(height, 3))
                label.set_text(f"{height:.2f}")
                label.set_y(min(height, 3))
            title.set_text(f"{rows} empty row{'s' * (rows != 1)} after the last observation")
            other.set_text("nothing new was seen" if rows else " ")
            return [seen, truth, *lines, rug, *bars, *labels, title, other]

        return update

    def describe(window, rows):
        told = " and ".join(f"{moved(name, window, rows):.2f} ppm ({name})" for name in networks)
        return (
            f"Carbon dioxide over two years, window {window + 1}, and two forecasts of the next half year, with {rows} "
            f"empty rows told to the networks after the last observation: the forecasts move by {told}."
        )

    return build, describe


# --- sampling rates ------------------------------------------------------------------------------------------------


def sampling_rate(networks, views, images, y, scores):
    """Explorer: one digit, read through more and more knots by two networks.

    Args:
        networks: name → network of a view (n, knots, features) ↦ (n, 10).
        views: (name, pieces) → the view of the images that this network reads, (n, knots, features).
        images: (n, 8, 8) pixels in [0, 1].
        y: Their classes.
        scores: name → accuracy on all test images for each number of pieces, a mapping.

    Returns:
        build(fig) for the parameters digit and pieces, and the text alternative as a function of them.
    """
    looks = dict(zip(networks, ((style.FLOW, "-", "o"), (style.NETWORK, "--", "s")), strict=True))

    @cache
    def probabilities(name, digit, pieces):
        with torch.no_grad():
            return torch.softmax(networks[name](views(name, pieces)[digit : digit + 1]), -1)[0].numpy()

    @cache
    def path(digit, pieces):
        rows = images[digit].numpy()
        at = np.linspace(0, 7, 7 * pieces + 1)
        return np.stack([np.interp(at, range(8), rows[:, k]) for k in range(8)], -1)

    def build(fig):
        left, middle, right = fig.subplots(1, 3, width_ratios=[0.6, 1.4, 1.3])
        image = left.imshow(np.zeros((8, 8)), cmap="gray_r", vmin=0, vmax=1, aspect="auto", extent=(0, 8, 8, 0))
        left.set(xticks=[], yticks=[], ylabel="time ↓")
        left.grid(False)
        classes = np.arange(10)
        bars = {
            name: middle.bar(classes + shift, np.zeros(10), 0.4, color=looks[name][0], hatch=hatch, label=name)
            for (name, shift, hatch) in zip(networks, (-0.2, 0.2), ("", "//"), strict=True)
        }
        middle.set(xticks=classes, ylim=(0, 1.3), xlabel="class", ylabel="probability")
        middle.legend(loc="upper right", ncols=2)
        dots = {}
        for name, (colour, line, marker) in looks.items():
            at = np.array(list(scores[name]))
            right.plot(7 * at + 1, list(scores[name].values()), color=colour, ls=line, marker=marker, label=name)
            (dots[name],) = right.plot([], [], ls="", marker=marker, ms=13, mfc="none", mew=2.5, color=colour)
        right.set(xlabel="knots", ylabel="accuracy, 360 images", ylim=(0, 1.19), title="all test images")
        right.legend(loc="upper right", ncols=2)
        title, verdict = left.set_title(" "), middle.set_title(" ")

        def update(digit, pieces):
            image.set_data(path(digit, pieces))
            title.set_text(f"{7 * pieces + 1} knots")
            for name, patches in bars.items():
                for patch, height in zip(patches, probabilities(name, digit, pieces), strict=True):
                    patch.set_height(height)
                dots[name].set_data([7 * pieces + 1], [scores[name][pieces]])
            read = ", ".join(f"{name} {probabilities(name, digit, pieces).argmax()}" for name in networks)
            verdict.set_text(f"a {int(y[digit])}, read as: {read}")
            return [image, title, *(p for patches in bars.values() for p in patches), *dots.values(), verdict]

        return update

    def describe(digit, pieces):
        read = "; ".join(
            f"{name}: {probabilities(name, digit, pieces).argmax()} with probability "
            f"{probabilities(name, digit, pieces).max():.2f}, accuracy on all test images {scores[name][pieces]:.2f}"
            for name in networks
        )
        return f"A handwritten {int(y[digit])} as a path with {7 * pieces + 1} knots, read by two networks. {read}."

    return build, describe


# --- spirals -------------------------------------------------------------------------------------------------------

DRAWS = 12


def spirals(model, times, x, observed):
    """Explorer: a latent ODE that sees the first points of a spiral, and continues it.

    Args:
        model: A `LatentODE` in eval mode.
        times: Of both turns, (m,).
        x: True points, (n, m, 2).
        observed: (n, rows, 3), time and point, NaN where not seen.

    Returns:
        build(fig) for the parameters spiral and seen, and the text alternative as a function of them.
    """
    rows = observed.shape[1]

    @cache
    def posterior(spiral, seen):
        """Points seen, the curves of DRAWS draws of the latent state (DRAWS, m, 2), and that of its mean (m, 2)."""
        shown = observed[spiral : spiral + 1].clone()
        known = (~shown[0, :, 1].isnan()).nonzero()[:, 0]
        shown[:, known[min(seen, len(known)) - 1] + 1 :, 1:] = torch.nan
        with torch.no_grad():
            draw = torch.Generator().manual_seed(0)
            curves = model.sample(shown, DRAWS, times, generator=draw)[:, 0]
            mean = model.decode(model.encode(shown)[0], times)[0]
        return shown[0, :, 1:].numpy(), curves.numpy(), mean.numpy()

    def errors(spiral, seen):
        """Root mean square error of the mean curve in the second turn, and the spread of the draws there."""
        _, curves, mean = posterior(spiral, seen)
        missed = np.sqrt(((mean - x[spiral].numpy())[rows:] ** 2).mean())
        return missed, curves[:, rows:].std(0).mean()

    def build(fig):
        left, right = fig.subplots(1, 2, width_ratios=[1, 1.5])
        draws = [left.plot([], [], color=style.FLOW, lw=1, alpha=0.35)[0] for _ in range(DRAWS)]
        (truth,) = left.plot([], [], color=style.GREY, lw=4, alpha=0.5)
        (best,) = left.plot([], [], color=style.FLOW, lw=2.5)
        (dots,) = left.plot([], [], ls="", marker="o", color=style.DATA, ms=6)
        left.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal", xlabel="x₁", ylabel="x₂")
        (wave,) = right.plot([], [], color=style.GREY, lw=4, alpha=0.5, label="true")
        lines = [right.plot([], [], color=style.FLOW, lw=1, alpha=0.35)[0] for _ in range(DRAWS)]
        (curve,) = right.plot([], [], color=style.FLOW, lw=2.5, label="latent ODE: mean, and draws")
        (marks,) = right.plot([], [], ls="", marker="o", color=style.DATA, ms=6, label="seen")
        turns = times.numpy() / (2 * math.pi)
        right.axvspan(1, 2, color=style.ORANGE, alpha=0.12, lw=0)
        right.set(xlim=(0, 2), ylim=(-1.6, 2.1), xlabel="turns; the second one is never trained on", ylabel="x₁")
        right.legend(loc="upper center", ncols=3)
        title, other = left.set_title(" "), right.set_title(" ")

        def update(spiral, seen):
            shown, curves, mean = posterior(spiral, seen)
            for near, far, one in zip(draws, lines, curves, strict=True):
                near.set_data(*one.T)
                far.set_data(turns, one[:, 0])
            truth.set_data(*x[spiral].numpy().T)
            wave.set_data(turns, x[spiral, :, 0])
            best.set_data(*mean.T)
            curve.set_data(turns, mean[:, 0])
            dots.set_data(*shown.T)
            marks.set_data(turns[:rows], shown[:, 0])
            missed, width = errors(spiral, seen)
            title.set_text(f"{np.isfinite(shown[:, 0]).sum()} points seen")
            other.set_text(f"second turn: error {missed:.2f}, spread of the draws {width:.2f}")
            return [*draws, *lines, truth, wave, best, curve, dots, marks, title, other]

        return update

    def describe(spiral, seen):
        missed, width = errors(spiral, seen)
        count = int(np.isfinite(posterior(spiral, seen)[0][:, 0]).sum())
        return (
            f"Spiral {spiral + 1}, of which {count} noisy points are seen, and {DRAWS} continuations drawn by a latent "
            f"ODE: in the second turn the mean continuation errs by {missed:.2f}, the draws differ by {width:.2f}."
        )

    return build, describe
