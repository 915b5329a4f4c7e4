"""The pictures of chapter 00, the map: one cloud under four equations, the six stops of the tour, the map of the field.

A picture without controls comes with its text alternative, made from the same data: `show(*tour(...))`.
"""

from __future__ import annotations

import textwrap
from itertools import product

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers.figures import style

from .cards import FAMILIES, LEVELS, QUESTIONS, card
from .dynamics import CENTRE, REACH, cloud, heated, off, remembered, walked

GROUND = "#f6f6f6"
SIGNED = LinearSegmentedColormap.from_list("signed", [style.VERMILLION, GROUND, style.BLUE])
CENTRED = {"ha": "center", "va": "center", "size": 10}

# --- one cloud, four dynamics -------------------------------------------------------------------------------------


def four_dynamics(fig):
    """Explorer: the same points as points, as noisy points, as an image and as a signal, all with h = T / L."""
    panels = plane, noisy, image, signal = fig.subplots(1, 4, width_ratios=[1, 1, 1, 1.25])
    headings = "ODE · whirl", "SDE · whirl + noise", "PDE · heat", "state space · memory"
    notes = "off the flow by", "off the flow by", "limit ¼, h = T/L =", "memory 1/γ ="
    numbers = []
    for ax, heading, note in zip(panels, headings, notes, strict=True):
        ax.set_title(heading, pad=24, weight="bold")
        words = ax.text(0, 1.03, note, transform=ax.transAxes, va="bottom")
        # apart from its words, which stay: text is what costs most in a frame
        numbers.append(ax.annotate("", (1, 0), xycoords=words, xytext=(4, 0), textcoords="offset points", va="bottom"))
        numbers[-1].set_in_layout(False)  # or it would push the headings out of the picture
    x, y = cloud()
    clouds = []
    for ax in (plane, noisy):
        ax.plot(*x.T, ls="", marker=".", ms=2, color="#bdbdbd")
        for c, marker in enumerate(style.CLASS_MARKERS):
            (dots,) = ax.plot([], [], ls="", marker=marker, ms=2.4, mew=0, color=style.CLASSES[c])
            clouds.append(dots)
        ax.set(xlim=CENTRE[0] + np.array([-REACH, REACH]), ylim=CENTRE[1] + np.array([-REACH, REACH]))
    start = heated(0.0, 1)
    top = start.max() / 3
    shown = image.imshow(start, origin="lower", cmap=SIGNED, vmin=-top, vmax=top, interpolation="nearest")
    (inputs,) = signal.plot([], [], color=style.GREY, lw=1.2, drawstyle="steps-post", label="input u")
    (state,) = signal.plot([], [], color=style.FLOW, lw=2.2, label="state x")
    signal.set(xlim=(0, 1), ylim=(-1, 1.9), xticks=[0, 1], xticklabels=["0", "T"], yticks=[0, 1], box_aspect=0.8)
    signal.legend(loc="upper right", ncols=2, handlelength=1.0, columnspacing=0.8, borderaxespad=0.0)
    for ax in (plane, noisy, image):
        ax.set(xticks=[], yticks=[], aspect="equal", facecolor=GROUND)
        ax.grid(False)
        ax.spines[:].set_visible(False)

    def update(L, T, sigma, gamma):
        ends = walked(T, L, 0.0), walked(T, L, sigma)
        for i, dots in enumerate(clouds):
            dots.set_data(*ends[i // 2][y == i % 2].T)
        shown.set_data(heated(T, L))
        times, held, states = remembered(gamma, T, L)
        inputs.set_data(times, held)
        state.set_data(times, states)
        values = f"{off(ends[0], T):.2f}", f"{off(ends[1], T):.2f}", f"{T / L:.3g}", f"{1 / gamma:.3g}"
        for number, value in zip(numbers, values, strict=True):
            number.set_text(value)
        numbers[2].set_color("black" if T / L <= 0.25 else style.NETWORK)
        return [*clouds, shown, inputs, state, *numbers]

    return update


def describe_four(L, T, sigma, gamma):
    """Text alternative of `four_dynamics`."""
    wild = "smoothed" if T / L <= 0.25 else "above the limit ¼, where a checkerboard grows"
    return (
        f"Two moons of points after L = {L} step{'s' if L > 1 else ''} over the time T = {T:g}, in four panels. "
        f"Whirled by residual blocks, {off(walked(T, L, 0.0), T):.2f} from where the exact flow takes them; the same "
        f"with noise σ = {sigma:g}; as an image under heat layers with h = {T / L:.3g}, {wild}; as a signal read by a "
        f"state that forgets at the rate γ = {gamma:g}."
    )


# --- the six stops ------------------------------------------------------------------------------------------------


def tour(*, layers, flow, means, sizes, routes, memory, paths):
    """The six stops of the tour, a panel each.

    Args:
        layers: states of a residual network, shape (L + 1, n, 2).
        flow: states of the flow that it approximates, shape (times, n, 2).
        means: means of the Itô and of the Stratonovich solution on an even grid of [0, 1], shape (times, 2).
        sizes: step h → norms of an image after 0, 1, … heat layers.
        routes: name of a route → the states at its corners, shape (corners, 2).
        memory: times and states of a solution, and of the layer that samples it: (t, x(t), t_k, x_k).
        paths: states on an even grid of [0, 1] of points carried from noise to data, shape (times, n).
    """
    fig = Figure((9.4, 6.0))
    ode, sde, pde, cde, ssm, generative = fig.subplots(2, 3).flat

    ode.plot(*np.moveaxis(np.asarray(flow), 2, 0), color=style.FLOW, lw=2.5)
    ode.plot(*np.moveaxis(np.asarray(layers), 2, 0), color=style.NETWORK, marker="o", ms=3, lw=1)
    ode.set(title="1 · layers near a flow", xlabel="feature 1", ylabel="feature 2")
    ode.margins(y=0.2)
    ode.legend(ode.lines[:: len(ode.lines) - 1], ["flow", "layers"], loc="upper left", ncols=2)

    ito, stratonovich = np.asarray(means).T
    t = np.linspace(0, 1, len(ito))
    sde.plot(t, stratonovich, color=style.NETWORK, ls="--", label="Heun")
    sde.plot(t, ito, color=style.FLOW, label="Euler–Maruyama")
    sde.set(title="2 · two rules, two means", xlabel="t", ylabel="mean of X(t)", ylim=(0.9, 1.6))
    sde.legend(loc="upper left")

    for (h, norms), look in zip(sizes.items(), style.lines(sizes).values(), strict=True):
        pde.semilogy(np.asarray(norms) / norms[0], color=look["color"], ls=look["linestyle"], label=f"h = {h:g}")
    pde.set(title="3 · calm, or wild", xlabel="heat layers", ylabel="size of the image")
    pde.legend(loc="upper left")

    for (name, corners), look in zip(routes.items(), style.lines(routes).values(), strict=True):
        end = corners[-1]
        cde.plot(*np.transpose(corners), ls=look["linestyle"], color=look["color"])
        cde.plot(*end, ls="", marker=look["marker"], color=look["color"], ms=10)
        cde.annotate(name, end, xytext=(9, 0), textcoords="offset points", va="center", color=look["color"])
    cde.plot(*next(iter(routes.values()))[0], marker="o", ls="", color=style.DATA, ms=7)
    cde.set(title="4 · the order counts", xlabel="$z_1$", ylabel="$z_2$", xlim=(0.7, 4.4), ylim=(0.7, 3.4))

    t, curve, samples, states = map(np.asarray, memory)
    ssm.plot(t, curve, color=style.FLOW, lw=2.5, label="ODE")
    ssm.plot(samples, states, ls="", marker="o", ms=5, color=style.NETWORK, label="layer")
    ssm.set(title="5 · exact at every sample", xlabel="data time", ylabel="state $x_1$")
    ssm.margins(y=0.3)
    ssm.legend(loc="upper left", ncols=2)

    paths = np.asarray(paths)
    generative.plot(np.linspace(0, 1, len(paths)), paths, color=style.FLOW, lw=0.9)
    generative.set(title="6 · noise becomes data", xlabel="t", ylabel="x(t)", xlim=(0, 1))

    growth = ", ".join(f"× {norms[-1] / norms[0]:.2g} with h = {h:g}" for h, norms in sizes.items())
    places = "; ".join(f"({z[-1][0]:.3g}, {z[-1][1]:.3g}) by the route {name}" for name, z in routes.items())
    return fig, (
        "The six stops, a panel each. 1: the polygons of a residual network beside the curves of its flow. 2: the mean "
        f"of the noisy equation ends at {ito[-1]:.3g} with Euler–Maruyama and at {stratonovich[-1]:.3g} with Heun. "
        f"3: the size of an image after {len(norms) - 1} heat layers, {growth}. 4: three routes to the same point end "
        f"in three states, {places}. 5: the state-space layer lies on the solution at every sample. 6: paths from a "
        f"wide cloud of noise to data between {paths[-1].min():.2g} and {paths[-1].max():.2g}."
    )


# --- the map of the field -----------------------------------------------------------------------------------------


def field_map(fig):
    """Explorer: all places of the map with a keyword each, and the card of the chosen one."""
    overview, page = fig.subplots(2, 1, height_ratios=[1.15, 1])
    rows = {(level, q): i + 0.3 * (level == "layer") for i, (level, q) in enumerate(product(LEVELS, QUESTIONS))}
    for column, (family, (_, short)) in enumerate(FAMILIES.items()):
        overview.text(column + 0.5, -0.15, short, ha="center", va="bottom", weight="bold")
        for (level, question), top in rows.items():
            keyword = card(family, level, question).keyword
            fill = {"fc": "#e3edf4", "ec": "#c9d6df"} if keyword else {"fc": "white", "ec": "#9a9a9a", "ls": ":"}
            overview.add_patch(Rectangle((column + 0.02, top + 0.06), 0.96, 0.88, **fill))
            overview.text(column + 0.5, top + 0.52, keyword or "?", **CENTRED)
    for (level, question), top in rows.items():
        overview.text(-0.06, top + 0.52, question, ha="right", va="center")
        if question == "improve":
            overview.text(-0.86, top + 0.52, level, ha="center", va="center", rotation=90, weight="bold")
    mark = overview.add_patch(Rectangle((0, 0), 0.96, 0.88, fc=style.BLUE, ec=style.BLUE, zorder=4))
    marked = overview.text(0, 0, "", color="white", zorder=5, **CENTRED)
    overview.set(xlim=(-1, len(FAMILIES)), ylim=(max(rows.values()) + 1.1, -0.75))
    page.set(xlim=(0, 1), ylim=(1, 0))
    for ax in (overview, page):
        ax.axis("off")
    headline = page.text(0, 0.06, "", va="top", weight="bold", size=13)
    text = page.text(0, 0.27, "", va="top", linespacing=1.4)
    source = page.text(0, 1.0, "", va="bottom", size=11, color=style.BLUE)
    for words in (headline, text, source):
        words.set_in_layout(False)  # the overview keeps its width, however long they are

    def update(family, level, question):
        column, top, here = list(FAMILIES).index(family), rows[level, question], card(family, level, question)
        mark.set_xy((column + 0.02, top + 0.06))
        marked.set(position=(column + 0.5, top + 0.52), text=here.keyword or "?")
        headline.set_text(here.headline)
        text.set_text(textwrap.fill(here.text, 108))
        source.set_text(here.source)
        return [mark, marked, headline, text, source]

    return update


def describe_place(family, level, question):
    """Text alternative of `field_map`: the words of the chosen card."""
    here = card(family, level, question)
    where = f"{FAMILIES[family][0]}, {LEVELS[level]}, {QUESTIONS[question]}"
    return f"Map of the field, at {where}. {here.headline} {here.text} {here.source}"
