"""The pictures of chapter 02, stability.

A picture without controls comes with its text alternative, made from the same data: `show(*transients(...))`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from matplotlib.figure import Figure

from helpers.attacks import pgd
from helpers.figures import style
from helpers.layers import certified_radius
from helpers.solvers.analysis import (
    amplification,
    log_norm,
    spectral_abscissa,
    stability_function,
    transient_growth,
)

# where a method is stable, and where not: bytes, which stay flat when the picture is resampled, as fractions do not
INSIDE, OUTSIDE = np.array([0xCF, 0xE6, 0xF5], np.uint8), np.full(3, 255, np.uint8)

# --- the test equation --------------------------------------------------------------------------------------------

REGION_METHODS = ("euler", "midpoint", "heun3", "rk4", "implicit_euler", "trapezoid")
REAL, IMAGINARY = np.linspace(-5, 2, 351), np.linspace(-3.5, 3.5, 351)
STEPS = 24


@cache
def _amplified(method):
    """|R| over the plane, shape (imaginary, real)."""
    return amplification(method, REAL[None, :] + 1j * IMAGINARY[:, None])


def region(fig):
    """Explorer: where in the plane of z = hλ a method is stable, and what its steps R(z)^n do at one such z."""
    left, right = fig.subplots(1, 2)
    extent = [REAL[0], REAL[-1], IMAGINARY[0], IMAGINARY[-1]]
    blank = np.full((len(IMAGINARY), len(REAL), 3), 255, np.uint8)
    image = left.imshow(blank, extent=extent, origin="lower", aspect="auto", interpolation="nearest", zorder=0)
    left.axhline(0, color=style.GREY, lw=0.8)
    left.axvline(0, color=style.GREY, lw=0.8)
    (point,) = left.plot([], [], color=style.NETWORK, marker="o", ms=10, mec="white")
    left.set(xlabel="real part of z = hλ", ylabel="imaginary part", xlim=extent[:2], ylim=extent[2:])
    left.grid(False)
    fine = np.linspace(0, STEPS, 600)
    (exact,) = right.plot(fine, fine, color=style.FLOW, lw=3, label="solution, real part")
    (steps,) = right.plot([], [], color=style.NETWORK, marker="o", ms=4, lw=1.2, label="method")
    right.set(xlim=(0, STEPS), ylim=(-3, 4), xlabel="steps")
    right.legend(loc="upper right", ncols=2, frameon=True, framealpha=0.9, edgecolor="none")
    titles = [ax.set_title(" ") for ax in (left, right)]

    def update(method, re, im):
        stable = _amplified(method) <= 1 + 1e-12
        image.set_data(np.where(stable[..., None], INSIDE, OUTSIDE))
        point.set_data([re], [im])
        values = stability_function(method)(complex(re, im)) ** np.arange(STEPS + 1)
        steps.set_data(np.arange(STEPS + 1), np.clip(values.real, -1e6, 1e6))
        exact.set_ydata(np.clip(np.exp(complex(re, im) * fine).real, -1e6, 1e6))
        grown = float(amplification(method, complex(re, im)))
        left.set_title(f"{method}: stable on blue")
        right.set_title(f"|R(z)| = {grown:.3f}, |eᶻ| = {np.exp(re):.3f}")
        return [image, point, steps, exact, *titles]

    return update


def describe_region(method, re, im):
    """Text alternative of `region`."""
    grown = float(amplification(method, complex(re, im)))
    return (
        f"Stability region of {method}, with a point at real part {_minus(re)} and imaginary part {_minus(im)}: every "
        f"step multiplies by {grown:.3f} in size, the solution by {np.exp(re):.3f}; the method {_fate(grown)}, the "
        f"solution {_fate(np.exp(re))}."
    )


def _fate(factor):
    return "grows" if factor > 1 + 1e-12 else "decays" if factor < 1 - 1e-12 else "keeps its size"


def _minus(number):
    return f"{number:g}".replace("-", "−")


# --- a rotation ---------------------------------------------------------------------------------------------------


def dial(fig):
    """Explorer: Euler's steps for a damped rotation, and by how much one step changes the length."""
    left, right = fig.subplots(1, 2)
    turn = np.linspace(0, 12, 400)
    (flow,) = left.plot([], [], color=style.FLOW, lw=2, label="flow")
    (walk,) = left.plot([], [], color=style.NETWORK, marker="o", ms=3.5, lw=1.2, label="Euler's steps")
    left.plot([1], [0], color="black", marker="s", ms=7)
    left.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal", xlabel="x₁", ylabel="x₂")
    left.legend(loc="upper left")
    lengths = np.linspace(0, 1, 201)
    (curve,) = right.plot([], [], color=style.NETWORK, lw=2.5, label="|1 + hλ|")
    right.axhline(1, color=style.GREY, lw=1)
    (here,) = right.plot([], [], color=style.NETWORK, marker="o", ms=10, mec="white")
    (limit,) = right.plot([], [], color=style.FLOW, ls="--", lw=2, label="h*")
    right.set(xlim=(0, 1), ylim=(0.4, 1.8), xlabel="step h", ylabel="factor of the length, each step")
    right.legend(loc="upper left")
    titles = [ax.set_title(" ") for ax in (left, right)]

    def update(omega, gamma, h):
        eigenvalue = complex(-gamma, omega)
        path = np.exp(eigenvalue * turn)
        flow.set_data(path.real, path.imag)
        corners = (1 + h * eigenvalue) ** np.arange(int(12 / h) + 1)
        corners = corners[np.abs(corners) < 1e3]
        walk.set_data(corners.real, corners.imag)
        curve.set_data(lengths, np.abs(1 + lengths * eigenvalue))
        factor, longest = abs(1 + h * eigenvalue), 2 * gamma / (gamma**2 + omega**2)
        here.set_data([h], [factor])
        limit.set_data([longest, longest], [0, 3])
        left.set_title("spirals out" if factor > 1 + 1e-12 else "spirals in" if factor < 1 - 1e-12 else "stays")
        right.set_title(f"factor {factor:.3f}, h* = {longest:.3f}")
        return [flow, walk, curve, here, limit, *titles]

    return update


def describe_dial(omega, gamma, h):
    """Text alternative of `dial`."""
    factor, longest = abs(1 + h * complex(-gamma, omega)), 2 * gamma / (gamma**2 + omega**2)
    return (
        f"Euler's steps of length {h:g} for a rotation of frequency {omega:g} with damping {gamma:g}, beside the flow: "
        f"each step multiplies the length by {factor:.3f}, so that it {_fate(factor)}; the longest step that does not "
        f"lengthen, h*, is {longest:.3f}."
    )


# --- perturbations along the depth --------------------------------------------------------------------------------


def spectra(along, kinds):
    """Largest, median and smallest singular value of the Jacobian against depth, a panel a kind of layer.

    Args:
        along: kind → singular values after each recorded layer, shape (records, d), with the layers' numbers.
        kinds: name → words for the title, five of them.
    """
    fig = Figure((9.6, 5.2))
    axes, told = fig.subplots(2, 3, sharex=True, sharey=True), []
    for ax, (kind, words) in zip(axes.flat, kinds.items(), strict=False):
        depths, values = along[kind]
        values = np.maximum(values, 1e-18)
        middle = np.median(values, axis=1)
        ax.fill_between(depths, values[:, -1], values[:, 0], color=style.SKY, alpha=0.35, lw=0)
        ax.semilogy(depths, values[:, 0], color=style.NETWORK, lw=2, label="largest")
        ax.semilogy(depths, middle, color=style.FLOW, ls="--", lw=2, label="median")
        ax.semilogy(depths, values[:, -1], color="black", ls=":", lw=2, label="smallest")
        ax.axhline(1, color=style.GREY, lw=0.8)
        ax.set_title(words)
        told.append(f"{words} from {values[-1, -1]:.0e} over {middle[-1]:.0e} to {values[-1, 0]:.0e}")
    axes[0, 0].set_ylim(1e-13, 1e6)
    for ax in axes.flat[len(kinds) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("layer")
    for ax in axes[:, 0]:
        ax.set_ylabel("singular values")
    axes.flat[-1].legend(*axes[0, 0].get_legend_handles_labels(), loc="center")
    return fig, (
        f"Singular values of the Jacobian from the input to each of {int(depths[-1])} layers, one panel for each kind "
        f"of layer; at the end, smallest over median to largest: {'; '.join(told)}."
    )


def spectrum(singular_values, kinds):
    """Explorer: the singular values of a network's Jacobian, all of them, for one kind of layer.

    Args:
        singular_values: function (kind, horizon, layers) → (layers recorded, values (records, d)).
        kinds: name → words.

    Returns:
        build(fig) for parameters kind, horizon, layers, and the text alternative as a function of them.
    """
    computed = cache(singular_values)

    def build(fig):
        left, right = fig.subplots(1, 2, width_ratios=[1.5, 1])
        lines = [
            left.semilogy([], [], color=c, ls=ls, lw=2, label=name)[0]
            for name, c, ls in (
                ("largest", style.NETWORK, "-"), ("median", style.FLOW, "--"), ("smallest", "black", ":"),
            )
        ]  # fmt: skip
        left.axhline(1, color=style.GREY, lw=0.8)
        left.set(xlim=(0, 1), ylim=(1e-9, 1e5), xlabel="depth time t / T", ylabel="singular values")
        left.legend(loc="lower left")
        right.axhline(1, color=style.GREY, lw=0.8)
        (dots,) = right.semilogy([], [], color=style.NETWORK, marker="o", ms=4, ls="")
        right.set(xlim=(0, 33), ylim=(1e-9, 1e5), xlabel="number", ylabel="at the last layer")
        titles = [ax.set_title(" ") for ax in (left, right)]

        def update(kind, horizon, layers):
            depths, values = computed(kind, horizon, layers)
            shown = np.maximum(values, 1e-12)
            for line, of in zip(lines, (shown[:, 0], np.median(shown, axis=1), shown[:, -1]), strict=True):
                line.set_data(depths / layers, of)
            dots.set_data(np.arange(1, shown.shape[1] + 1), shown[-1])
            left.set_title(f"{kinds[kind]}, h = {horizon / layers:.3g}")
            right.set_title(f"largest {values[-1, 0]:.2g}, smallest {values[-1, -1]:.1g}")
            return [*lines, dots, *titles]

        return update

    def describe(kind, horizon, layers):
        values = computed(kind, horizon, layers)[1][-1]
        return (
            f"Singular values of the Jacobian of a network with {layers} layers, {kinds[kind]}, over the horizon "
            f"{horizon:g}, along the depth; at the end the largest is {values[0]:.2g}, the median "
            f"{np.median(values):.1g}, the smallest {values[-1]:.1g}."
        )

    return build, describe


# --- bounds -------------------------------------------------------------------------------------------------------


def transients(A, horizon=6.0):
    """‖exp(tA)‖ between what the eigenvalues say of late times and what the log-norm says of all times."""
    t = torch.linspace(0, horizon, 241, dtype=torch.float64)
    grown = transient_growth(A, t)
    alpha, mu = float(spectral_abscissa(A)), float(log_norm(A))
    norm = float(torch.linalg.matrix_norm(A, 2))
    fig = Figure((7.2, 4.0))
    ax = fig.subplots()
    ax.semilogy(t, grown, color=style.FLOW, lw=3, label="‖exp(tA)‖")
    ax.semilogy(t, torch.exp(alpha * t), color="black", ls="--", label=f"exp(αt), α = {alpha:.2g}")
    ax.semilogy(t, torch.exp(mu * t), color=style.NETWORK, ls="-.", label=f"exp(μ₂t), μ₂ = {mu:.2g}")
    ax.semilogy(t, torch.exp(norm * t), color=style.GREEN, ls=":", label=f"exp(‖A‖t), ‖A‖ = {norm:.3g}")
    ax.axhline(1, color=style.GREY, lw=0.8)
    ax.set(ylim=(1e-2, 1e4), xlabel="t", ylabel="growth of a perturbation")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right upper")
    peak = int(grown.argmax())
    return fig, (
        f"The largest growth of a perturbation under x' = Ax rises to {grown[peak]:.2f} at t = {t[peak]:.2f} before it "
        f"decays as the eigenvalues promise from the start; the log-norm's bound rises for ever, as exp({mu:.2g} t), "
        f"and the bound by the norm of A faster still."
    )


def gains(lengths, exact, sampled):
    """The gain of a gradient step against its length: exact, and as random pairs of points estimate it.

    Args:
        lengths: h ‖W‖², shape (n,).
        exact: Largest gain of the Jacobian, shape (n,).
        sampled: Largest ratio of distances over random pairs, shape (n,).
    """
    fig = Figure((7.2, 3.8))
    ax = fig.subplots()
    ax.plot(lengths, exact, color=style.NETWORK, lw=2.5, label="exact")
    ax.plot(lengths, sampled, color=style.FLOW, ls="--", marker="o", ms=5, label="from pairs of points")
    ax.axhline(1, color=style.GREY, lw=1)
    ax.axvline(2, color=style.GREY, lw=1, ls=":")
    ax.set(xlabel="length of the step h‖W‖²", ylabel="Lipschitz constant")
    ax.legend(loc="upper left")
    return fig, (
        f"The Lipschitz constant of a gradient step: exactly 1 up to the length 2, then rising to {exact[-1]:.2f}. The "
        f"estimate from random pairs of points stays below, and is {sampled[-1]:.2f} at the end."
    )


# --- the attack lab -----------------------------------------------------------------------------------------------


def attack_lab(networks, x, y, *, masked):
    """Explorer of one attacked digit: the image, what was added, what the network makes of it, and a certificate.

    Args:
        networks: name → classifier of (n, 64) in eval mode.
        x, y: digits (n, 64) and their classes.
        masked: classifier → the classifier by whose gradient the attacker climbs when it is told the wrong one.

    Returns:
        build(fig) for parameters network, digit, eps, gradient, and the text alternative as a function of them.
    """
    x, y = x.cpu(), y.cpu()

    @cache
    def attacked(network, digit, eps, gradient):
        model = networks[network]
        one, label = x[digit : digit + 1], y[digit : digit + 1]
        source = None if gradient == "exact" else masked(model)
        settings = {"eps": eps, "norm": "l2", "steps": 20, "loss": "ce", "gradient_model": source}
        moved = pgd(model, one, label, **settings) if eps else one
        with torch.no_grad():
            before, after = (torch.softmax(model(points), -1)[0].numpy() for points in (one, moved))
        try:
            radius = float(certified_radius(model, one)[0])
        except (TypeError, ValueError):  # no certificate for such a network
            radius = None
        return moved[0].numpy(), before, after, radius

    def build(fig):
        fig.get_layout_engine().set(wspace=0.06)
        images, bars = fig.subplots(1, 4, width_ratios=[1, 1, 1, 1.9])[:3], fig.axes[3]
        shown = []
        for ax, title, look in zip(
            images, ("digit", "added", "attacked"), (("gray_r", 0, 1), ("RdBu_r", -0.5, 0.5), ("gray_r", 0, 1)),
            strict=True,
        ):  # fmt: skip
            shown.append(ax.imshow(np.zeros((8, 8)), cmap=look[0], vmin=look[1], vmax=look[2]))
            ax.set(xticks=[], yticks=[], title=title)
            ax.grid(False)
        classes = np.arange(10)
        first = bars.bar(classes - 0.2, np.zeros(10), 0.4, color=style.FLOW, label="digit")
        second = bars.bar(classes + 0.2, np.zeros(10), 0.4, color=style.NETWORK, hatch="//", label="attacked")
        bars.set(xticks=classes, ylim=(0, 1.18), xlabel="class", ylabel="probability")
        bars.legend(loc="upper right", ncols=2)
        verdict, promise = bars.set_title(" "), images[0].set_xlabel(" ", loc="left")

        def update(network, digit, eps, gradient):
            moved, before, after, radius = attacked(network, digit, eps, gradient)
            for image, pixels in zip(shown, (x[digit].numpy(), moved - x[digit].numpy(), moved), strict=True):
                image.set_data(pixels.reshape(8, 8))
            for patches, heights in ((first, before), (second, after)):
                for patch, height in zip(patches, heights, strict=True):
                    patch.set_height(height)
            fooled = after.argmax() != int(y[digit])
            verdict.set_text(f"a {int(y[digit])}, now read as {after.argmax()}" + (": fooled" if fooled else ""))
            promise.set_text("no certificate" if radius is None else f"certified to ε = {radius:.2f}")
            return [*shown, *first, *second, verdict, promise]

        return update

    def describe(network, digit, eps, gradient):
        _, before, after, radius = attacked(network, digit, eps, gradient)
        how = "the exact gradient" if gradient == "exact" else "the gradient of scaled scores"
        return (
            f"The digit {int(y[digit])} and the network {network}, attacked with size {eps:g} by {how}: read as "
            f"{before.argmax()} with probability {before.max():.2f} before, as {after.argmax()} with probability "
            f"{after.max():.2f} after; "
            + ("no certificate." if radius is None else f"certified up to {radius:.2f}.")
        )

    return build, describe
