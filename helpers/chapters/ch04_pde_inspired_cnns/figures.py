"""The pictures of chapter 04: operators, waves, photographs under diffusion, patterns, and a club that splits.

A picture without controls comes with its text alternative, made from the same data.
"""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection

from helpers.figures import style

from . import dynamics
from .dynamics import FRAME, LAST, LAYERS, PATTERNS, SIDE, STEP, WIDTH

IMAGES = {"camera": "camera", "coffee": "cup of coffee", "grass": "grass"}
EQUATIONS = {"heat": "heat", "pm": "Perona–Malik"}
PATTERN_NAMES = {name: f"{name}, F = {feed:g}, k = {kill:g}" for name, (feed, kill) in PATTERNS.items()}


def _blank(ax):
    """No ticks, no grid, no frame: a picture in an axis."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for side in ax.spines.values():
        side.set_visible(False)


# --- a kernel is an operator ---------------------------------------------------------------------------------------

DIAL_LAYERS = 20


def operator_dial(fig):
    """Explorer: K = b1 · 1 + b2 ∂ + b3 (−∂²), what DIAL_LAYERS layers x − h K x do to a signal, and their gain."""
    left, middle, right = fig.subplots(1, 3, width_ratios=[0.8, 1.3, 1.2])
    taps = left.bar([-1, 0, 1], [0, 0, 0], color=style.NETWORK, width=0.7)
    labels = [left.text(i, 0, "", ha="center", va="bottom") for i in (-1, 0, 1)]
    left.axhline(0, color=style.BLACK, lw=0.8)
    left.set(ylim=(-3.2, 5.2), xticks=[-1, 0, 1], xlabel="pixel", title="kernel of K")
    middle.plot(dynamics.signal(), color=style.DATA, lw=1.5, label="signal")
    (out,) = middle.plot(dynamics.signal(), color=style.NETWORK, lw=2, label=f"after {DIAL_LAYERS} layers")
    middle.set(ylim=(-1.6, 3.2), xlabel="pixel", title="layers x − h K x")
    middle.legend(loc="upper center", ncols=2, fontsize=10)
    frequencies = np.linspace(0, math.pi, 200)
    (curve,) = right.plot(frequencies, frequencies, color=style.NETWORK, lw=2.5)
    right.axhline(1, color=style.GREY, ls="--", lw=1)
    right.set(xlim=(0, math.pi), ylim=(0, 3), xticks=[0, math.pi / 2, math.pi], xlabel="frequency per pixel")
    right.set_xticklabels(["0", "π/2", "π"])
    title = right.set_title(" ")

    def update(b1, b2, b3, h):
        weights = dynamics.kernel(b1, b2, b3)
        for bar, text, i, value in zip(taps, labels, (-1, 0, 1), weights, strict=True):
            bar.set_height(value)
            text.set_text(f"{value:.2f}".replace("-", "−"))
            text.set_position((i, max(value, 0) + 0.1))
        out.set_ydata(dynamics.after_layers(weights, h, DIAL_LAYERS))
        factor = dynamics.gain(weights, h, frequencies)
        curve.set_ydata(factor)
        title.set_text(_gain(factor))
        return [*taps, *labels, out, curve, title]

    return update


def _gain(factor):
    top = factor.max()
    return f"gain per layer ≤ {top:.2f}: " + ("stable" if top <= 1 + 1e-9 else "grows")


def describe_dial(b1, b2, b3, h):
    """Text alternative of `operator_dial`."""
    weights = dynamics.kernel(b1, b2, b3)
    factor = dynamics.gain(weights, h, np.linspace(0, math.pi, 200))
    end = np.abs(dynamics.after_layers(weights, h, DIAL_LAYERS)).max()
    size = f"{end:.2f}" if end < 100 else "beyond the picture"
    return (
        f"The kernel {', '.join(f'{w:.2f}' for w in weights)} with h = {h:g}: {_gain(factor)}; slow waves are "
        f"multiplied by {factor[0]:.2f}, the fastest by {factor[-1]:.2f}. "
        f"After {DIAL_LAYERS} layers the largest value is {size}."
    )


# --- waves ---------------------------------------------------------------------------------------------------------


def wave(fig):
    """Explorer: the leapfrog wave at a Courant number, layer by layer, and the state at one layer."""
    left, right = fig.subplots(1, 2, width_ratios=[1.1, 1])
    states = dynamics.wave(1.0)
    image = left.imshow(states, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", origin="lower")
    line = left.axhline(0, color=style.BLACK, lw=1.2)
    left.set(xlabel="pixel", ylabel="layer", title="the wave, layer by layer")
    left.grid(False)
    (state,) = right.plot(states[0], color=style.NETWORK, lw=1.8)
    right.set(xlim=(0, WIDTH - 1), ylim=(-1.5, 1.5), xlabel="pixel", ylabel="state")
    title = right.set_title(" ")

    def update(courant, layer):
        states = dynamics.wave(courant)
        image.set_data(np.clip(states, -1, 1))
        line.set_ydata([layer, layer])
        state.set_ydata(np.clip(states[layer], -1e6, 1e6))
        title.set_text(f"layer {layer}: largest |x| {_size(states[layer])}")
        return [image, line, state, title]

    return update


def _size(x):
    top = np.abs(x).max()
    return f"{top:.2f}" if top < 100 else f"10 to the {math.log10(top):.0f}"


def describe_wave(courant, layer):
    """Text alternative of `wave`."""
    states = dynamics.wave(courant)
    return (
        f"A bump at rest under {LAYERS} wave layers of Courant number {courant:g}: its two halves run "
        f"apart. The largest |x| is {_size(states[layer])} at layer {layer} and {_size(states[-1])} at the last: "
        f"{'it explodes' if np.abs(states[-1]).max() > 2 else 'bounded'}."
    )


# --- photographs under diffusion -----------------------------------------------------------------------------------


def image_flow(fig):
    """Explorer: a noisy photograph, what heat or Perona–Malik makes of it, and the quality over time."""
    left, middle, right = fig.subplots(1, 3, width_ratios=[1, 1, 1.25])
    before, after = (ax.imshow(np.zeros((128, 128), np.uint8), cmap="gray", vmin=0, vmax=255) for ax in (left, middle))
    for ax in (left, middle):
        _blank(ax)
    left.set_title("noisy")
    title = middle.set_title(" ")
    t = STEP * np.arange(LAST + 1)
    (heat,) = right.plot(t, t, color=style.FLOW, ls="--", lw=2, label="heat")
    (pm,) = right.plot(t, t, color=style.NETWORK, lw=2.5, label="Perona–Malik")
    (here,) = right.plot([], [], ls="", marker="o", ms=9, color=style.BLACK)
    right.set(xlabel="diffusion time t", ylabel="PSNR in dB", xlim=(0, STEP * LAST), ylim=(14, 34))
    right.legend(loc="upper right", ncols=2, fontsize=11)
    verdict = right.set_title(" ")

    def update(image, equation, contrast, steps):
        curves = {"heat": dynamics.diffused(image, math.inf), "pm": dynamics.diffused(image, contrast)}
        pictures, quality = curves[equation]
        before.set_data(pictures[0])
        after.set_data(pictures[steps])
        title.set_text(f"{EQUATIONS[equation]}: {quality[steps]:.1f} dB")
        heat.set_ydata(curves["heat"][1])
        pm.set_ydata(curves["pm"][1])
        here.set_data([steps * STEP], [quality[steps]])
        verdict.set_text(f"Perona–Malik at its best: {_lead(curves)} dB")
        return [before, after, title, heat, pm, here, verdict]

    return update


def _lead(curves):
    return f"{curves['pm'][1].max() - curves['heat'][1].max():+.1f}".replace("-", "−")


def describe_flow(image, equation, contrast, steps):
    """Text alternative of `image_flow`."""
    curves = {"heat": dynamics.diffused(image, math.inf), "pm": dynamics.diffused(image, contrast)}
    quality = curves[equation][1]
    return (
        f"The photograph {IMAGES[image]} with noise, {quality[0]:.1f} dB; after the time {steps * STEP:.1f} of "
        f"{EQUATIONS[equation]} {quality[steps]:.1f} dB. At their best times heat reaches "
        f"{curves['heat'][1].max():.1f} and Perona–Malik with K = {contrast:g} {curves['pm'][1].max():.1f} dB, "
        f"{_lead(curves)}."
    )


def denoised(pictures, quality):
    """One photograph in several versions.

    Args:
        pictures: Title → grey values in [0, 1], (rows, columns).
        quality: Title → PSNR in dB, for those that have one.
    """
    figure, axes = plt.subplots(1, len(pictures), figsize=(2.5 * len(pictures), 2.9))
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1)
        _blank(ax)
        ax.set_title(title + (f": {quality[title]:.1f} dB" if title in quality else ""), fontsize=12)
    told = ", ".join(f"{title} {value:.1f} dB" for title, value in quality.items())
    return figure, f"The photograph of a cameraman, {len(pictures)} times. {told}."


# --- patterns ------------------------------------------------------------------------------------------------------


def gray_scott(fig):
    """Explorer: a reaction and two diffusions, after so many thousand layers."""
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.15])
    image = left.imshow(np.zeros((SIDE, SIDE)), cmap="viridis", vmin=0, vmax=0.4)
    _blank(left)
    title = left.set_title(" ")
    layers = FRAME * np.arange(dynamics.FRAMES)
    (spread,) = right.plot(layers, layers * 0.0, color=style.NETWORK, lw=2.5)
    (here,) = right.plot([], [], ls="", marker="o", ms=9, color=style.BLACK)
    right.set(xlabel="layers", ylabel="share of the image with v > 0.1", ylim=(-0.03, 1.03), xlim=(0, layers[-1]))

    def update(pattern, frame):
        frames = dynamics.gray_scott(pattern)
        image.set_data(frames[frame])
        title.set_text(f"F = {PATTERNS[pattern][0]:g}, k = {PATTERNS[pattern][1]:g}, {frame * FRAME} layers")
        spread.set_ydata([(v > 0.1).mean() for v in frames])
        here.set_data([frame * FRAME], [(frames[frame] > 0.1).mean()])
        return [image, title, spread, here]

    return update


def describe_pattern(pattern, frame):
    """Text alternative of `gray_scott`."""
    v = dynamics.gray_scott(pattern)[frame]
    feed, kill = PATTERNS[pattern]
    return (
        f"Gray and Scott's equations with F = {feed:g} and k = {kill:g} after {frame * FRAME} layers: the second "
        f"substance covers {100 * (v > 0.1).mean():.0f} % of the image, its largest value is {v.max():.2f}."
    )


# --- the karate club -----------------------------------------------------------------------------------------------


def karate(fig):
    """Explorer: which of two walkers is likelier at each member after the time t."""
    place, edges, officer = dynamics.club()
    left, right = fig.subplots(1, 2, width_ratios=[1.3, 1])
    left.add_collection(LineCollection(place[edges], colors="#d0d0d0", lw=0.8, zorder=0))
    dots = [
        left.scatter(
            *place[who].T, s=120, marker=marker, c=np.zeros(who.sum()), cmap="RdBu_r", vmin=-1, vmax=1,
            edgecolors=style.BLACK, linewidths=1,
        )
        for who, marker in ((~officer, "o"), (officer, "s"))
    ]  # fmt: skip
    (miss,) = left.plot([], [], ls="", marker="x", ms=14, mew=2.5, color=style.GREEN)
    _blank(left)
    left.set_xlabel("○ went with Mr Hi, □ with the officer")
    title = left.set_title(" ")
    order = np.argsort(officer, kind="stable")
    bars = right.bar(range(34), np.zeros(34), color=[style.NETWORK if officer[i] else style.FLOW for i in order])
    right.set(ylim=(-1.05, 1.05), xlabel="member, Mr Hi's faction first", ylabel="preference")
    note = right.set_title(" ")

    def update(t):
        lean = dynamics.preference(t)
        for dot, who in zip(dots, (~officer, officer), strict=True):
            dot.set_array(lean[who])
        wrong = (lean > 0) != officer
        miss.set_data(*place[wrong].T)
        for bar, value in zip(bars, lean[order], strict=True):
            bar.set_height(value)
        title.set_text(f"{34 - wrong.sum()} of 34 right, × = misplaced")
        note.set_text(f"largest preference {np.abs(lean).max():.3f}")
        return [*dots, miss, *bars, title, note]

    return update


def describe_karate(t):
    """Text alternative of `karate`."""
    lean, officer = dynamics.preference(t), dynamics.club()[2]
    wrong = np.flatnonzero((lean > 0) != officer)
    who = f"misplaced: {', '.join(map(str, wrong))}" if len(wrong) else "none is misplaced"
    return (
        f"The karate club after the time {t:g}: {34 - len(wrong)} of 34 members lean towards the head of their own "
        f"faction; {who}. The largest preference is {np.abs(lean).max():.3f}."
    )
