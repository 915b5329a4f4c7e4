"""The pictures of chapter 05: memories, one pole and all of them under three rules, a strip of tokens, a scan."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from helpers.figures import style

from . import dynamics
from .dynamics import FIRST, LENGTH, RULES, SAMPLES, TOKENS, WINDOW

SIGNALS = {"sunspots": "sunspots since 1700", "chirp": "a chirp", "steps": "steps"}
MEASURES = {"legs": "LegS, the whole past", "legt": "LegT, a window of 30 %"}
RULE_NAMES = {"zoh": "zero-order hold", "bilinear": "bilinear", "euler": "Euler"}
POLES = {"legs matrix": "LegS matrix", "s4d poles": "S4D poles"}
_LOOKS = {"zoh": (style.GREEN, "s"), "bilinear": (style.ORANGE, "D"), "euler": (style.NETWORK, "o")}

# --- memories of a signal ------------------------------------------------------------------------------------------


def memory(fig):
    """Explorer: the past of a signal in n numbers, and the curve that they stand for."""
    left, right = fig.subplots(1, 2, width_ratios=[2.6, 1])
    (future,) = left.plot([], [], color="#c8c8c8", lw=1.2, drawstyle="steps-post")
    (past,) = left.plot([], [], color=style.DATA, lw=1.4, drawstyle="steps-post", label="signal")
    (curve,) = left.plot([], [], color=style.NETWORK, lw=2.6, alpha=0.85, label="what is remembered")
    line = left.axvline(0, color=style.GREY, lw=1.2, ls="--", label="now")
    left.set(xlim=(0, SAMPLES), ylim=(-1.4, 1.9), xlabel="time in samples", ylabel="signal")
    left.legend(loc="upper left", ncols=3)
    bars = right.bar(range(64), np.zeros(64), width=0.8, color=style.NETWORK)
    right.axhline(0, color=style.GREY, lw=0.8)
    right.set(xlabel="coefficient")
    title, count = left.set_title(" "), right.set_title(" ")

    def update(signal, measure, n, now):
        t, values, c, error = dynamics.remembered(signal, measure, n, now)
        u, seen = dynamics.signal(signal).numpy(), dynamics.samples_seen(now)
        past.set_data(np.arange(seen + 1), np.append(u[:seen], u[seen - 1]))
        future.set_data(np.arange(seen - 1, SAMPLES), u[seen - 1 :])
        curve.set_data(t, values)
        line.set_xdata([seen, seen])
        right.set(xlim=(-0.8, n - 0.2), ylim=(-1.1 * np.abs(c).max(), 1.1 * np.abs(c).max()))
        for bar, height in zip(bars, np.pad(c, (0, 64 - n)), strict=True):
            bar.set_height(height)
        title.set_text(f"{MEASURES[measure]}: error {_percent(error)}")
        count.set_text(f"the state: {n} numbers")
        return [future, past, curve, line, *bars, title, count]

    return update


def _percent(share):
    return f"{100 * share:.0f} %" if share >= 0.0095 else f"{100 * share:.1g} %"


def describe_memory(signal, measure, n, now):
    """Text alternative of `memory`."""
    *_, error = dynamics.remembered(signal, measure, n, now)
    kept = f"all {dynamics.samples_seen(now)} samples so far" if measure == "legs" else f"the last {WINDOW} samples"
    return (
        f"A signal ({SIGNALS[signal]}) and the curve that the {n} coefficients of a memory ({MEASURES[measure]}) stand "
        f"for after {now} % of the record: over {kept} they differ by {_percent(error)} of the signal, in L²."
    )


def reconstructions(u, memories):
    """The step function with values u (length,) and the curves that several states stand for, one panel each.

    Args:
        u: The samples seen.
        memories: What a panel is called → Legendre coefficients over the whole past, (n,).

    Returns:
        Figure and text alternative.
    """
    fig = Figure((4.6 * len(memories), 3.2))
    axes, told = fig.subplots(1, len(memories), sharey=True, squeeze=False)[0], []
    for ax, (name, c) in zip(axes, memories.items(), strict=True):
        error, nodes, curve = dynamics.unexplained(c, u)
        ax.stairs(u.numpy(), np.arange(len(u) + 1), color=style.DATA, lw=1.2, label="signal", baseline=None)
        ax.plot(len(u) * nodes, curve, color=style.NETWORK, lw=2, alpha=0.85, label="what is remembered")
        room = u.abs().max().item()
        ax.set(xlabel="time in samples", ylim=(-1.4 * room, 1.8 * room), title=f"{name}: error {_percent(error)}")
        told.append(f"{name}, {_percent(error)}")
    axes[0].legend(loc="upper left", ncols=2)
    axes[0].set_ylabel("signal")
    return fig, f"A signal of {len(u)} samples and what is remembered of it; relative errors: {'; '.join(told)}."


# --- one pole ------------------------------------------------------------------------------------------------------


_DOTS = 80  # more would hide the curve


def pole(fig):
    """Explorer: the kernel and the gain of one pair of poles, exactly and by three rules."""
    left, right = fig.subplots(1, 2, width_ratios=[1.5, 1])
    t = np.linspace(0, dynamics.SHOWN, 600)
    (kernel,) = left.plot(t, t, color=style.FLOW, lw=4, alpha=0.5, label="exact")
    (gain,) = right.plot(dynamics.OMEGA, dynamics.OMEGA + 1, color=style.FLOW, lw=4, alpha=0.5)
    dots, gains = {}, {}
    for (rule, (colour, marker)), line in zip(_LOOKS.items(), ("-", "--", ":"), strict=True):
        (dots[rule],) = left.plot([], [], ls="", marker=marker, ms=4.5, color=colour, label=RULE_NAMES[rule])
        (gains[rule],) = right.plot([], [], ls=line, lw=2, color=colour)
    left.axhline(0, color=style.GREY, lw=0.8)
    left.set(xlim=(0, dynamics.SHOWN), ylim=(-2.6, 3.6), xlabel="time; a dot in the middle of its step")
    left.set_ylabel("kernel")
    left.legend(loc="upper right", ncols=4, columnspacing=1, handletextpad=0.4)
    right.set(xlim=(0, 20), yscale="log", ylim=(3e-3, 100), xlabel="frequency ω")
    title, other = left.set_title(" "), right.set_title(" ")

    def update(decay, frequency, dt):
        value = complex(-decay, frequency)
        kernel.set_ydata(dynamics.exact_kernel(value, t))
        gain.set_ydata(dynamics.exact_gain(value))
        for rule in RULES:
            at, y, answer, _ = dynamics.one_pole(rule, value, dt)
            few = slice(None, None, math.ceil(len(at) / _DOTS))
            # what leaves the picture is not drawn
            dots[rule].set_data(at[few], np.where(np.abs(y) < 2.6, y, np.nan)[few])
            gains[rule].set_data(dynamics.OMEGA, answer)
        title.set_text(_verdict(value, dt))
        other.set_text(f"gain up to ω = π/Δ = {math.pi / dt:.3g}")
        return [kernel, gain, *dots.values(), *gains.values(), title, other]

    return update


def _verdict(value, dt):
    sizes = {rule: dynamics.one_pole(rule, value, dt)[-1] for rule in RULES}
    wrong = [f"{RULE_NAMES[rule]} is unstable, |multiplier| {size:.2f}" for rule, size in sizes.items() if size > 1]
    return "; ".join(wrong) if wrong else "all three rules are stable"


def describe_pole(decay, frequency, dt):
    """Text alternative of `pole`."""
    value = complex(-decay, frequency)
    sizes = ", ".join(f"{dynamics.one_pole(rule, value, dt)[-1]:.3f} ({RULE_NAMES[rule]})" for rule in RULES)
    return (
        f"The kernel of a pair of poles −{decay:g} ± {frequency:g}i and its gain over frequency, exactly and by three "
        f"rules with the step {dt:g}, whose multipliers are of size {sizes}: {_verdict(value, dt)}."
    )


# --- all poles -----------------------------------------------------------------------------------------------------

_EDGE = 1.75  # what lies further out in the z-plane is drawn here


def plane(fig):
    """Explorer: the poles of LegS, or of S4D, and where a rule takes them: inside the unit circle, or out of it."""
    left, right = fig.subplots(1, 2, width_ratios=[1.35, 1])
    (region,) = left.fill([0, 1, 1], [0, 0, 1], color=style.SKY, alpha=0.25, lw=0, label="the rule is stable")
    (poles_,) = left.plot([], [], ls="", marker="o", ms=6, color=style.FLOW, label="poles")
    left.axhline(0, color=style.GREY, lw=0.8)
    left.axvline(0, color=style.GREY, lw=0.8)
    left.set_xscale("symlog", linthresh=0.1, linscale=0.5)
    left.set_yscale("symlog", linthresh=1, linscale=0.5)
    left.set(xlim=(-200, 0.3), ylim=(-3e5, 3e5), xlabel="Re λ", ylabel="Im λ")
    left.set_xticks([-100, -10, -1, 0], ["−100", "−10", "−1", "0"])
    left.set_yticks([-1000, -10, 0, 10, 1000], ["−1000", "−10", "0", "10", "1000"])
    left.legend(loc="upper left", ncols=2)
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 300))
    right.fill(circle.real, circle.imag, color=style.SKY, alpha=0.25, lw=0)
    right.plot(circle.real, circle.imag, color=style.GREY, lw=1)
    (inside,) = right.plot([], [], ls="", marker="o", ms=6, color=style.NETWORK, label="inside")
    (outside,) = right.plot([], [], ls="", marker="X", ms=9, color=style.BLACK, label="outside")
    right.set(xlim=(-1.9, 1.9), ylim=(-1.9, 2.6), aspect="equal", xlabel="real part (further out: at 1.75)")
    right.legend(loc="upper center", ncols=2)
    title, other = left.set_title(" "), right.set_title(" ")

    def update(rule, poles, n, dt):
        values, moved = dynamics.spectrum(poles, n), dynamics.images(rule, poles, n, dt)
        region.set_xy(dynamics.stable_region(rule, dt))
        poles_.set_data(values.real, values.imag)
        size = np.abs(moved)
        drawn = moved * np.minimum(1, _EDGE / np.maximum(size, 1e-300))
        inside.set_data(drawn[size < 1].real, drawn[size < 1].imag)
        outside.set_data(drawn[size >= 1].real, drawn[size >= 1].imag)
        title.set_text(f"{POLES[poles]}, n = {n}, Δ = {dt:.3g}")
        other.set_text(_radius(size.max()))
        return [region, poles_, inside, outside, title, other]

    return update


def _radius(rho):
    if rho < 1:
        return f"radius {rho:.3f}: stable" if rho < 0.9995 else "radius just below 1: stable"
    return f"radius {rho:.3f}: unstable" if rho < 10 else f"radius {rho:.0f}: unstable"


def describe_plane(rule, poles, n, dt):
    """Text alternative of `plane`."""
    size = np.abs(dynamics.images(rule, poles, n, dt))
    return (
        f"{n} poles ({POLES[poles]}) and their images by one step Δ = {dt:.3g} of the rule {RULE_NAMES[rule]}: "
        f"{int((size >= 1).sum())} of {n} lie outside the unit circle; spectral {_radius(size.max())}."
    )


# --- a strip of tokens ---------------------------------------------------------------------------------------------


def strip(fig):
    """Explorer: a state that writes with a step of its own at flagged tokens, and another at all others."""
    top, middle, bottom = fig.subplots(3, 1, sharex=True, height_ratios=[0.45, 1, 2.2])
    tokens = np.arange(TOKENS)
    cells = top.imshow(np.zeros((1, TOKENS)), cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
    (flags,) = top.plot([], [], ls="", marker="v", ms=9, color=style.NETWORK, clip_on=False)
    top.set(yticks=[], ylabel="x")
    top.grid(False)
    bars = middle.bar(tokens, np.ones(TOKENS), color=style.GREY, width=0.8, bottom=_FLOOR)
    middle.set(yscale="log", ylim=(_FLOOR, 12), ylabel="Δ", yticks=[1e-3, 1e-1, 10])
    middle.minorticks_off()
    (dots,) = bottom.plot([], [], ls="", marker="o", ms=4, color=style.DATA, label="tokens")
    (marked,) = bottom.plot([], [], ls="", marker="v", ms=9, color=style.NETWORK, label="flagged")
    (wanted,) = bottom.step([], [], where="post", color=style.BLACK, lw=1.5, ls=":", label="flagged value seen last")
    (state,) = bottom.step([], [], where="post", color=style.FLOW, lw=3, label="state")
    bottom.axhline(0, color=style.GREY, lw=0.8)
    bottom.set(xlabel="token", ylabel="value", ylim=(-1.1, 1.7), xlim=(-0.7, TOKENS - 0.3))
    bottom.legend(loc="upper right", ncols=4)
    title = top.set_title(" ", pad=17)

    def update(flagged, others, second):
        values, delta, h, shares = dynamics.strip(flagged, others, second)
        places = [FIRST, second]
        cells.set_data(values[None])
        flags.set_data(places, [-0.75, -0.75])
        for i, (bar, height) in enumerate(zip(bars, delta, strict=True)):
            bar.set_height(height - _FLOOR)
            bar.set_color(style.NETWORK if i in places else style.GREY)
        dots.set_data(tokens, values)
        marked.set_data(places, values[places])
        wanted.set_data(tokens[FIRST:], np.where(tokens[FIRST:] < second, *values[places]))
        state.set_data(tokens, h)
        title.set_text(f"In the last state: {_left(shares)}")
        return [cells, flags, *bars, dots, marked, wanted, state, title]

    return update


_FLOOR = 5e-4  # of the logarithmic axis of the steps


def _left(shares):
    first, second = (f"{100 * share:.0f} %" for share in shares)
    return f"{second} of the second flagged value, {first} of the first"


def _signed(x):
    return f"{round(x, 2) + 0.0:.2f}".replace("-", "−")


def describe_strip(flagged, others, second):
    """Text alternative of `strip`."""
    *_, h, shares = dynamics.strip(flagged, others, second)
    return (
        f"{TOKENS} tokens, those at places {FIRST} and {second} flagged; the step is {flagged:.3g} at these and "
        f"{others:.3g} elsewhere. In the last state, {_signed(h[-1])}, there is {_left(shares)}."
    )


# --- a scan --------------------------------------------------------------------------------------------------------


def tree(fig):
    """Explorer: which inputs have reached an element after some rounds of the doubling scan."""
    ax = fig.subplots()
    rows = int(math.log2(LENGTH))
    edges = {}
    for r in range(1, rows + 1):
        for i in range(LENGTH):
            sources = [i] if i < 2 ** (r - 1) else [i, i - 2 ** (r - 1)]
            for j in sources:
                (edges[(r - 1, j), (r, i)],) = ax.plot([j, i], [r - 1, r], zorder=1)
    nodes = {
        (r, i): ax.plot([i], [r], ls="", marker="o", ms=17, mew=1.5, zorder=2)[0]
        for r in range(rows + 1)
        for i in range(LENGTH)
    }
    for i in range(LENGTH):
        ax.text(i, 0, str(i), ha="center", va="center", zorder=3)
    ax.set_yticks(range(rows + 1), ["inputs", *(f"round {r}" for r in range(1, rows + 1))])
    ax.set_xticks([])
    ax.set(ylim=(rows + 0.4, -0.4), xlim=(-0.5, LENGTH - 0.5), xlabel=_told_work(LENGTH))
    ax.grid(False)
    title = ax.set_title(" ")

    def update(rounds, element):
        reached = dynamics.reached(element, rounds)
        for (r, i), node in nodes.items():
            known, done = (r, i) in reached, r <= rounds
            node.set_markerfacecolor(style.ORANGE if known else "white")
            node.set_markeredgecolor(style.NETWORK if known else style.FLOW if done else "#d5d5d5")
            node.set_marker("s" if (r, i) == (rounds, element) else "o")
        for (_, end), edge in edges.items():
            known, done = end in reached, end[0] <= rounds
            edge.set(
                color=style.NETWORK if known else style.FLOW if done else "#e0e0e0",
                lw=3 if known else 1.2,
                ls="-" if done else ":",
            )
        title.set_text(_told_tree(rounds, element))
        return [*edges.values(), *nodes.values(), title]

    return update


def _told_tree(rounds, element):
    first = dynamics.first_known(element, rounds)
    known = f"input {element} alone" if first == element else f"inputs {first}…{element}"
    return f"after {rounds} round{'s' * (rounds != 1)} element {element} knows {known}"


def _told_work(length):
    return f"{length} elements: " + "; ".join(
        f"{_SCANS[name]} {joins} joins in {rounds} rounds" for name, (joins, rounds) in dynamics.work(length).items()
    )


_SCANS = {"loop": "a loop takes", "doubling": "doubling", "chunks": "chunks"}


def describe_tree(rounds, element):
    """Text alternative of `tree`."""
    return (
        f"A scan by doubling over {LENGTH} elements: {_told_tree(rounds, element)}. "
        f"{_told_work(LENGTH)}. {_told_work(4096)}."
    )
