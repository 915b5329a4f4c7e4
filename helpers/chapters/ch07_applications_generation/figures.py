"""The pictures of chapter 07: samplers on the line, flows to the moons, digits and whose they are, guidance, tables.

Those that show trained networks are made by functions of the networks, and come with the function that describes them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from helpers.figures import style

from . import dynamics

SAMPLERS = {"sde": "reverse SDE", "euler": "flow, Euler", "heun2": "flow, Heun"}
SHOWN = 30  # paths on the line
TAILS = 45  # paths in the plane
REACH = 4.2  # of the line
BINS = np.linspace(-REACH, REACH, 57)
TOP = 5  # training images that are told by name


# --- a sampler on the line -----------------------------------------------------------------------------------------


def line_sampler(fig):
    """Explorer: noise on the left becomes data on the right, by the SDE or by the flow, with an exact score.

    What errs is the sampler alone.
    """
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=[2.6, 1])
    y = np.linspace(-REACH, REACH, 141)
    density = dynamics.haze(tuple(y))
    left.imshow(
        density**0.5, origin="lower", aspect="auto", extent=(1, dynamics.END, -REACH, REACH), cmap="Greys", alpha=0.55
    )
    left.grid(False)
    paths = left.add_collection(LineCollection([], colors=style.NETWORK, lw=0.9, alpha=0.75))
    (dots,) = left.plot([], [], ls="", marker=".", ms=4, color=style.NETWORK)
    left.set(xlim=(1, 0), ylim=(-REACH, REACH), xlabel="time t of the diffusion: noise at 1, data at 0", ylabel="x")
    bars = right.barh(
        (BINS[1:] + BINS[:-1]) / 2, np.zeros(len(BINS) - 1), np.diff(BINS), color=style.NETWORK, alpha=0.6
    )
    right.plot(density[:, -1], y, color=style.DATA, lw=2)
    right.set(xlim=(0, 0.85), xlabel="density: line wanted, bars made")
    title, verdict = left.set_title(" "), right.set_title(" ")

    def update(sampler, nfe, crowd):
        t, x, off = dynamics.sampled(sampler, nfe, crowd)
        shown = np.stack([np.broadcast_to(t[:, None], x[:, :SHOWN].shape), x[:, :SHOWN]], -1)
        paths.set_segments(shown.swapaxes(0, 1))
        few = shown.reshape(-1, 2) if len(t) <= 24 else np.empty((0, 2))  # steps that can be told apart
        dots.set_data(*few.T)
        for bar, height in zip(bars, np.histogram(x[-1], BINS, density=True)[0], strict=True):
            bar.set_width(height)
        title.set_text(f"{SAMPLERS[sampler]}: {nfe} evaluations of the score")
        verdict.set_text(f"off by {off:.3f}")
        return [paths, dots, *bars, title, verdict]

    return update


def describe_line_sampler(sampler, nfe, crowd):
    """Text alternative of `line_sampler`."""
    t, x, off = dynamics.sampled(sampler, nfe, crowd)
    grid = "an even time grid" if crowd == 1 else f"a time grid that crowds near the data with the power {crowd:g}"
    luck = f", where as many exact samples are off by {dynamics.chance():.3f}" if sampler == "sde" else ""
    return (
        f"{x.shape[1]} points go from noise to three bumps on the line ({SAMPLERS[sampler]}, {nfe} evaluations of an "
        f"exact score, {len(t) - 1} steps on {grid}). Their ends are off by {off:.3f}{luck}."
    )


# --- two flows to the moons ----------------------------------------------------------------------------------------


def two_flows(velocities):
    """Explorer: the same noise carried to the moons by two trained flows, with few or many steps of Euler's method.

    Args:
        velocities: name → v(t, x) in the plane, float64; two of them.

    Returns:
        build(fig) for the parameters nfe and t, and the text alternative as a function of them.
    """

    @lru_cache(maxsize=128)
    def run(name, nfe):
        return dynamics.carried(velocities[name], nfe)

    def build(fig):
        axes = fig.subplots(1, 2, sharex=True, sharey=True)
        data = dynamics.moons(1200, 20).numpy()
        panels = {}
        for ax, name in zip(axes, velocities, strict=True):
            (goal,) = ax.plot(*data.T, ls="", marker=".", ms=3, color="#b5b5b5", zorder=1)
            tails = ax.add_collection(LineCollection([], colors=style.FLOW, lw=0.8, alpha=0.6, zorder=2))
            (cloud,) = ax.plot([], [], ls="", marker="o", ms=2.5, color=style.NETWORK, zorder=3)
            ax.set(xlim=(-3, 3), ylim=(-2.8, 2.8), xticks=[-2, 0, 2], yticks=[-2, 0, 2], aspect="equal", xlabel=name)
            panels[name] = tails, cloud, ax.set_title(" ")
        fig.legend([goal, tails, cloud], ["data", "paths", "samples"], loc="outside right center", markerscale=2.5)

        def update(nfe, t):
            for name, (tails, cloud, title) in panels.items():
                path, off = run(name, nfe)
                last = min(int(t * nfe + 1e-9), nfe - 1)
                here = path[last] + (t * nfe - last) * (path[last + 1] - path[last])
                tails.set_segments(np.concatenate([path[: last + 1, :TAILS], here[None, :TAILS]]).swapaxes(0, 1))
                cloud.set_data(*here.T)
                title.set_text(_after(nfe, off))
            return [artist for panel in panels.values() for artist in panel]

        return update

    def describe(nfe, t):
        told = "; ".join(f"{name}, {_after(nfe, run(name, nfe)[1])}" for name in velocities)
        return (
            f"{dynamics.CLOUD} points of noise on their way to two moons by two trained flows, shown at t = {t:.2g}. "
            f"At t = 1, {told}."
        )

    return build, describe


def _after(nfe, off):
    return f"{nfe} step{'s' * (nfe != 1)}: off by {off:.2f}"


# --- whose image? --------------------------------------------------------------------------------------------------


def whose_image(fig):
    """Explorer: an image on its way by the closed-form velocity of the training digits, and where it can still end."""
    *small, right = fig.subplots(1, 4, width_ratios=[1, 1, 1, 2.6])
    names = ("the state", "its expected end", "nearest image")
    pictures = [_small(ax, name) for ax, name in zip(small, names, strict=True)]
    bars = right.barh(range(TOP), np.zeros(TOP), color=style.ORANGE, edgecolor=style.BLACK)
    side = right.get_yaxis_transform()
    labels = [
        right.text(-0.03, k, "image 0000, an 8", ha="right", va="center", transform=side, fontsize=11)
        for k in range(TOP)
    ]
    right.set(xlim=(0, 1.02), ylim=(TOP - 0.4, -0.6), yticks=[], xlabel="probability of being the end")
    title = right.set_title(" ")

    def update(sample, t):
        x, mean, near, weights, _ = dynamics.whose(sample, t)
        for picture, values in zip(pictures, (x, mean, dynamics.pixels()[0][near].numpy()), strict=True):
            picture.set_data(values.reshape(8, 8))
        for bar, label, k in zip(bars, labels, _first(weights), strict=True):
            bar.set_width(weights[k])
            label.set_text(_named(k) if weights[k] > 1e-4 else "")  # the rest is no choice any more
        title.set_text(_in_play(sample, t))
        return [*pictures, *bars, *labels, title]

    return update


def _small(ax, name):
    picture = ax.imshow(np.zeros((8, 8)), cmap="gray_r", vmin=-1, vmax=1)
    ax.set(xticks=[], yticks=[], xlabel=name)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return picture


def _first(weights):
    """The most probable images, the most probable one first; ties in the order of the images."""
    return np.argsort(-weights, kind="stable")[:TOP]


def _named(k):
    digit = int(dynamics.pixels()[1][k])
    return f"image {k}, {'an' if digit == 8 else 'a'} {digit}"


def _in_play(sample, t):
    *_, weights, count = dynamics.whose(sample, t)
    if count < 1.05:
        return f"t = {t:g}, decided: it is image {weights.argmax()}"
    return f"t = {t:g}: {count:.{0 if count >= 9.95 else 1}f} images are still in play"


def describe_whose(sample, t):
    """Text alternative of `whose_image`."""
    _, _, near, weights, _ = dynamics.whose(sample, t)
    first = _first(weights)[0]
    return (
        f"Noise {sample + 1} on its way to an image, {_in_play(sample, t)}. The most probable end is {_named(first)}, "
        f"with probability {weights[first]:.2g}; the training image nearest to the expected end is {_named(near)}."
    )


# --- digits on demand ----------------------------------------------------------------------------------------------


def digit_maker(velocity, judge):
    """Explorer: digits made on demand, with more or less guidance, beside real ones.

    Args:
        velocity: v(t, x, label), a module with ten `classes`, of 64 pixels in [−1, 1].
        judge: A module, 64 pixels ↦ 10 scores.

    Returns:
        build(fig) for the parameters digit, weight and nfe, and the text alternative as a function of them.
    """
    rows, columns = dynamics.SHEET

    @lru_cache(maxsize=256)
    def run(digit, weight, nfe):
        return dynamics.made(velocity, judge, digit, weight, nfe)

    def verdict(digit, weight, nfe):
        _, right, spread = run(digit, weight, nfe)
        return f"{right} of {rows * columns} read as {digit}, spread {spread:.2f} × that of real ones"

    def build(fig):
        left, right = fig.subplots(1, 2)
        real, fake = (_sheet(ax, np.zeros((rows * columns, 64)), columns) for ax in (left, right))
        told, title = left.set_title(" "), right.set_title(" ")

        def update(digit, weight, nfe):
            x, y = dynamics.pixels()
            real.set_data(_tiled(x[y == digit][: rows * columns].numpy(), columns))
            fake.set_data(_tiled(run(digit, weight, nfe)[0].cpu().numpy(), columns))
            told.set_text(f"real: {digit}")
            title.set_text(verdict(digit, weight, nfe))
            return [real, fake, told, title]

        return update

    def describe(digit, weight, nfe):
        return (
            f"A sheet of generated digits beside a sheet of real ones; asked for: {digit}, with guidance of weight "
            f"{weight:g}, by {nfe} steps. {verdict(digit, weight, nfe)}."
        )

    return build, describe


def _tiled(images, columns):
    """Images (k, 64) in rows of `columns`, (9 rows + 1, 9 columns + 1); where there is none, and between, white."""
    images = np.concatenate([images, np.full((-len(images) % columns, 64), -1.0)])
    tiles = np.pad(images.reshape(-1, columns, 8, 8), ((0, 0), (0, 0), (1, 0), (1, 0)), constant_values=-1)
    return np.pad(tiles.swapaxes(1, 2).reshape(9 * len(tiles), 9 * columns), ((0, 1), (0, 1)), constant_values=-1)


def _sheet(ax, images, columns):
    picture = ax.imshow(_tiled(images, columns), cmap="gray_r", vmin=-1, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return picture


# --- guidance ------------------------------------------------------------------------------------------------------


def guidance(fig):
    """Explorer: two Gaussians, the sharpened law that guidance is named after, and what its flow makes."""
    ax = fig.subplots()
    looks = {
        "p(x)": {"color": style.GREY, "ls": ":", "lw": 2.5},
        "p(x | y)": {"color": style.DATA, "lw": 7, "alpha": 0.3},
        "guided flow": {"color": style.FLOW, "lw": 3},
        "sharpened": {"color": style.ORANGE, "ls": "--", "lw": 2.5},  # on top, so that it is seen where all agree
    }
    lines = {name: ax.plot([], [], label=name, **look)[0] for name, look in looks.items()}
    ax.set(xlim=(-5, 6), ylim=(0, 1.05), xlabel="x", ylabel="density ÷ its largest value")
    fig.legend(handles=list(lines.values()), loc="outside right center")
    title = ax.set_title(" ")

    def update(w, spread):
        laws = (0.0, spread), (1.0, 1.0), *_both(w, spread)
        for line, (mean, std) in zip(lines.values(), laws, strict=True):
            x = np.sort(np.concatenate([np.linspace(-5, 6, 200), mean + std * np.linspace(-4, 4, 121)]))
            line.set_data(x, np.exp(-(((x - mean) / std) ** 2) / 2))
        title.set_text(_told_stds(w, spread))
        return [*lines.values(), title]

    return update


def _both(w, spread):
    """Mean and standard deviation of what the guided flow makes, and those of the sharpened law."""
    return dynamics.guided(float(w), float(spread)), dynamics.sharpened(float(w), float(spread))


def _told_stds(w, spread):
    (_, made), (_, sharp) = _both(w, spread)
    return f"standard deviation: guided flow {_short(made)}, sharpened law {_short(sharp)}"


def _short(x):
    return f"{x:.2f}" if x >= 0.095 else f"{x:.3f}"


def describe_guidance(w, spread):
    """Text alternative of `guidance`."""
    (end, made), (mean, sharp) = _both(w, spread)
    ratio = sharp / made
    same = "the two agree" if ratio < 1.005 else f"the flow makes a law {ratio:.3g} times as narrow"
    return (
        f"p(x) = N(0, {spread:g}²), p(x|y) = N(1, 1), and guidance of weight {w:g}; {_told_stds(w, spread)}, means "
        f"{end:.2f} and {mean:.2f}: {same}."
    )


# --- tables as pictures --------------------------------------------------------------------------------------------


def nfe_curves(counts, rows, floor):
    """How far samples are from the data against the evaluations of the network, a dot a seed.

    Args:
        counts: Numbers of evaluations.
        rows: label → for each of them a list over seeds.
        floor: What fresh data themselves have.
    """
    fig = Figure((8, 3.9))
    ax = fig.subplots()
    told = []
    for (label, values), look in zip(rows.items(), style.lines(rows).values(), strict=True):
        means = [float(np.mean(v)) for v in values]
        ax.loglog(counts, means, label=label, **look)
        for count, seeds in zip(counts, values, strict=True):
            ax.loglog([count] * len(seeds), seeds, ls="", marker=look["marker"], ms=4, alpha=0.4, color=look["color"])
        told.append(f"{label}: {means[0]:.2g} with {_evaluations(counts[0])}, {means[-1]:.2g} with {counts[-1]}")
    ax.axhline(floor, color=style.DATA, ls=":", lw=1.5, label="fresh data")
    low, high = ax.get_ylim()
    ticks = [n * 10.0**k for k in range(-4, 3) for n in (1, 2, 5) if low <= n * 10.0**k <= high]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.minorticks_off()
    ax.set(xlabel="evaluations of the network", ylabel="distance from the data")
    fig.legend(loc="outside right center")
    return fig, f"Distance from the data, a dot a seed. {'; '.join(told)}. Fresh data have {floor:.2g}."


def _evaluations(count):
    return f"{count} evaluation{'s' * (count != 1)}"


def digits_sheet(rows, words=None):
    """Rows of images.

    Args:
        rows: label → images (k, 64) in [−1, 1].
        words: label → what is to be said of its images in the text alternative.
    """
    columns = max(len(images) for images in rows.values())
    fig = Figure((9.6, 0.8 + 0.62 * len(rows)))
    ax = fig.subplots()
    images = [np.concatenate([_array(x), np.full((columns - len(x), 64), -1.0)]) for x in rows.values()]
    _sheet(ax, np.concatenate(images), columns)
    ax.set_yticks([9 * k + 4.5 for k in range(len(rows))], list(rows))
    ax.tick_params(length=0)
    words = {label: f" ({more})" for label, more in (words or {}).items()}
    told = "; ".join(f"{label}, {len(x)}{words.get(label, '')}" for label, x in rows.items())
    return fig, f"Rows of digits, 8 × 8 pixels each: {told}."


def _array(images):
    return images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)


def judged(rows, columns):
    """Generators judged by more than one number, a dot a seed.

    Args:
        rows: label → column → values over seeds.
        columns: column → what it measures, in words; a panel each.
    """
    fig = Figure((10.4, 1.3 + 0.42 * len(rows)))
    axes = np.atleast_1d(fig.subplots(1, len(columns), sharey=True))
    told = []
    for i, ((label, row), look) in enumerate(zip(rows.items(), _dots(len(rows)), strict=True)):
        for ax, column in zip(axes, columns, strict=True):
            values = np.array(row[column], dtype=float)
            ax.plot([values.mean()] * 2, [i - 0.32, i + 0.32], color=look["color"], lw=2.5)
            ax.plot(values, np.full(len(values), i), ls="", ms=7, alpha=0.75, **look)
        told.append(f"{label}: {', '.join(f'{words} {np.mean(row[key]):.2f}' for key, words in columns.items())}")
    for ax, words in zip(axes, columns.values(), strict=True):
        ax.set(xlabel=words)
        ax.set_xlim(left=min(0, ax.get_xlim()[0]))
    axes[0].set_yticks(range(len(rows)), list(rows))
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    return fig, f"A dot a seed, a bar for their mean. {'; '.join(told)}."


def _dots(n):
    return [{"color": style.CYCLE[i % 7], "marker": style.MARKERS[i % 7]} for i in range(n)]
