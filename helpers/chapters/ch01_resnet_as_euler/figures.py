"""The pictures of chapter 01, residual networks as Euler's method.

A picture without controls comes with its text alternative, made from the same data: `show(*polygons(...))`.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache, partial

import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from helpers.figures import style
from helpers.solvers import odeint

# --- blocks and steps ---------------------------------------------------------------------------------------------


def polygons(field, solution, starts, depths, horizon):
    """Euler's polygons over the curves they follow: each corner is the output of one residual block.

    Args:
        field: f(t, y) of a scalar equation.
        solution: function of (t, y0) that gives the exact solution.
        starts: initial values, one curve each.
        depths: numbers of steps, one panel each.
        horizon: T.
    """
    fig = Figure((9.2, 3.4))
    t, ends = np.linspace(0, horizon, 200), {}
    for ax, depth in zip(fig.subplots(1, len(depths), sharey=True), depths, strict=True):
        grid = torch.linspace(0, horizon, depth + 1)
        for start in starts:
            (curve,) = ax.plot(t, solution(t, start), color=style.FLOW, lw=2.5)
            steps = odeint(field, torch.tensor([start]), grid, method="euler", options={"grid": "t"})[:, 0]
            (corners,) = ax.plot(grid, steps, color=style.NETWORK, marker="o", ms=4, lw=1.5)
        ax.set(title=f"{depth} blocks, h = {horizon / depth:g}", xlabel="depth time t")
        ends[depth] = float(steps[-1]) / float(solution(horizon, start))
    ax.legend([curve, corners], ["flow", "residual blocks"], loc="lower center")
    fig.axes[0].set_ylabel("state x(t)")
    told = ", ".join(f"{100 * end:.0f} % of it with {depth} blocks" for depth, end in ends.items())
    return fig, (
        f"Solutions of an equation from {len(starts)} starting points and Euler's polygons over them, with "
        f"{', '.join(map(str, depths))} blocks. The shorter the steps, the closer the corners follow the shape of "
        f"the curves. Where the last curve ends, its polygon is at {told}."
    )


# --- orders -------------------------------------------------------------------------------------------------------


EQUATIONS = {
    "growth": ("y' = y cos t", lambda t, y: y * torch.cos(t), lambda t: np.exp(np.sin(t)), 2.0),
    "decay": ("y' = −2y", lambda t, y: -2 * y, lambda t: np.exp(-2 * t), 2.0),
    "logistic": ("y' = 3y(1 − y/3)", lambda t, y: 3 * y * (1 - y / 3), lambda t: 3 / (1 + 2 * np.exp(-3 * t)), 2.0),
}
METHODS = {
    "euler": "Euler's method",
    "implicit_euler": "backward Euler",
    "ab2": "the two-step Adams–Bashforth method",
    "midpoint": "the midpoint method",
    "heun2": "Heun's method",
    "trapezoid": "the trapezoidal rule",
    "heun3": "Heun's third-order method",
    "rk4": "the classic Runge–Kutta method",
}
ORDER_METHODS = tuple(METHODS)
ORDER_STEPS = (4, 8, 16, 32, 64, 128, 256)


@cache
def _solve(equation, method, n):
    """Values at the n + 1 grid points, and the number of evaluations of the field."""
    _, field, _, end = EQUATIONS[equation]
    calls = 0

    def counted(t, y):
        nonlocal calls
        calls += 1
        return field(t, y)

    t = torch.linspace(0, end, n + 1, dtype=torch.float64)
    with torch.no_grad():
        y = odeint(counted, torch.ones(1, dtype=torch.float64), t, method=method, options={"grid": "t"})
    return y[:, 0].numpy(), calls


def _error(equation, method, n):
    _, _, solution, end = EQUATIONS[equation]
    return abs(_solve(equation, method, n)[0][-1] - solution(end))


def _gain(equation, method, n):
    """The error at n steps, and in words what half the step does to it."""
    error = _error(equation, method, n)
    halved = _error(equation, method, 2 * n) if error > 1e-12 else 0
    return error, f"÷ {error / halved:.1f} when h is halved" if halved > 1e-14 else "at rounding level"


def orders(fig):
    """Explorer: one method at n steps beside its curve, and the error of all methods against their cost."""
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.25])
    t = np.linspace(0, 2, 200)
    (exact,) = left.plot(t, t, color=style.FLOW, lw=3, label="solution")
    (steps,) = left.plot([], [], color=style.NETWORK, marker="o", ms=4, lw=1.5, label="method")
    left.set(xlim=(-0.05, 2.05), ylim=(-0.3, 3.6), xlabel="t", ylabel="y")
    left.legend(loc="upper left")
    others = [right.loglog([], [], color="#b5b5b5", lw=1.2)[0] for _ in ORDER_METHODS]
    (chosen,) = right.loglog([], [], color=style.NETWORK, lw=2.5)
    (here,) = right.loglog([], [], color=style.NETWORK, marker="o", ms=10)
    right.set(xlim=(3, 1300), ylim=(1e-13, 10), ylabel="error at t = 2", xlabel=" ")
    cost = right.text(0.5, -0.11, "", transform=right.transAxes, ha="center", va="top")
    right.legend([chosen, others[0]], ["method", "all others"], loc="lower left")
    titles = [ax.set_title(" ") for ax in (left, right)]

    def update(equation, method, n, per_evaluation):
        words, _, solution, _ = EQUATIONS[equation]
        exact.set_ydata(solution(t))
        values, calls = _solve(equation, method, n)
        steps.set_data(np.linspace(0, 2, n + 1), values)
        for line, name in zip([*others, chosen], [*ORDER_METHODS, method], strict=True):
            paid = [_solve(equation, name, k)[1] if per_evaluation else k for k in ORDER_STEPS]
            line.set_data(paid, [max(_error(equation, name, k), 1e-16) for k in ORDER_STEPS])
        error, gain = _gain(equation, method, n)
        here.set_data([calls if per_evaluation else n], [max(error, 1e-16)])
        right.set_title(f"error {error:.1e}, {gain}")
        cost.set_text("evaluations of f" if per_evaluation else "steps n")
        left.set_title(words)
        return [exact, steps, *others, chosen, here, cost, *titles]

    return update


def describe_orders(equation, method, n, per_evaluation):
    """Text alternative of `orders`."""
    words, _, solution, end = EQUATIONS[equation]
    values, calls = _solve(equation, method, n)
    error, gain = _gain(equation, method, n)
    # at a cost of 64 every method has a point, whichever way the cost is counted
    most = {name: max(k for k in ORDER_STEPS if _solve(equation, name, k)[1] <= 64) for name in ORDER_METHODS}
    errors = {name: _error(equation, name, most[name] if per_evaluation else 64) for name in ORDER_METHODS}
    best = min(errors, key=errors.get)
    cost = "evaluations of f" if per_evaluation else "steps"
    return (
        f"{words} with {_steps(n)} of {METHODS[method]}, {calls} evaluations of f: at t = {end:g} the method stands at "
        f"{values[-1]:.3g} and the solution at {solution(end):.3g}; the error is {error:.0e}, "
        f"{gain.replace('÷', 'divided by')}. Beside it the errors of all methods against their {cost}: with 64 of "
        f"them, {METHODS[best]} errs least, by {errors[best]:.0e}, and {METHODS['euler']} by {errors['euler']:.0e}."
    )


def _steps(n):
    return f"{n} step{'s' if n > 1 else ''}"


# --- a network and its flow ---------------------------------------------------------------------------------------


@torch.no_grad()
def _walk(field, x, horizon, method, steps):
    """States of the points along the depth, shape (steps + 1, n, d)."""
    t = torch.linspace(0, horizon, steps + 1, dtype=x.dtype)
    return odeint(field, x, t, method=method, options={"grid": "t"})


def network_and_flow(networks, x, y, *, key, about, traced=60, fine=128):
    """Explorer of trained residual networks in the plane: their paths and decisions when they take other steps.

    Args:
        networks: value of the parameter `key` → the network, a residual stack followed by a classifier.
        x, y: points, shape (n, 2), and their classes.
        key: name of the parameter that chooses the network.
        about: how the text alternative begins: data and network, with `{}` or `{:g}` for the value of `key`.
        traced: how many points are followed.
        fine: steps of the classic Runge–Kutta method that stand for the flow itself.

    Returns:
        build(fig) for parameters `key`, steps, method, and the text alternative as a function of them.
    """
    x, y = x.cpu(), y.cpu()
    low, high = x.min(0).values - 0.4, x.max(0).values + 0.4
    side = [torch.linspace(a, b, 33, dtype=x.dtype) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    plane = torch.cartesian_prod(*side)
    extent = [low[0].item(), high[0].item(), low[1].item(), high[1].item()]
    paint = np.array([to_rgb(c) for c in style.CLASSES]) * 0.35 + 0.65

    @cache
    def evaluated(chosen, steps, method):
        """Paths of the traced points, the ends of all points, and the accuracy there."""
        stack, head = networks[chosen]
        with torch.no_grad():
            paths = _walk(stack.field, x, stack.horizon, method, steps)
            accuracy = (head(paths[-1]).argmax(-1) == y).double().mean().item()
        return paths[:, :traced], paths[-1], accuracy

    @cache
    def decided(chosen, steps, method):
        """The class of every point of the plane; its path is not kept."""
        stack, head = networks[chosen]
        ends = torch.tensor([0.0, stack.horizon], dtype=x.dtype)
        with torch.no_grad():
            last = odeint(stack.field, plane, ends, method=method, options={"num_steps": steps})[-1]
            return head(last).argmax(-1).reshape(33, 33).T

    @cache
    def compared(chosen, steps, method):
        """Accuracy, accuracy of the flow, relative distance of the ends from the flow's, window of the paths."""
        paths, states, accuracy = evaluated(chosen, steps, method)
        _, flow, accuracy_flow = evaluated(chosen, fine, "rk4")
        return accuracy, accuracy_flow, ((states - flow).norm() / flow.norm()).item(), _window(paths)

    def build(fig):
        left, right = fig.subplots(1, 2)
        blank = np.ones((33, 33, 3))
        image = right.imshow(blank, origin="lower", extent=extent, aspect="auto", interpolation="bilinear", zorder=0)
        for c, (colour, marker) in enumerate(zip(style.CLASSES, style.CLASS_MARKERS, strict=True)):
            right.plot(*x[y == c].T, ls="", marker=marker, ms=3.5, color=colour, mec="white", mew=0.3)
        lines = LineCollection([], lw=1.1, colors=[style.CLASSES[c] for c in y[:traced]], alpha=0.8)
        left.add_collection(lines)
        left.plot(*x[:traced].T, ls="", marker="o", ms=2, color=style.GREY, zorder=2.5)
        (ends,) = left.plot([], [], ls="", marker="o", ms=4, color=style.BLACK)
        for ax in (left, right):
            ax.grid(False)
        left.set(xlabel="feature 1", ylabel="feature 2")
        right.set(xlabel="input 1", ylabel="input 2")
        left.set_title("paths from x(0) to x(T) ●", pad=24)
        right.set_title("points and decisions", pad=24)
        told = [ax.text(0, 1.03, "", transform=ax.transAxes, va="bottom") for ax in (left, right)]

        def update(steps, method, **chosen):
            name = chosen[key]
            paths, _, _ = evaluated(name, steps, method)
            accuracy, accuracy_flow, distance, reach = compared(name, steps, method)
            lines.set_segments(list(paths.transpose(0, 1).numpy()))
            ends.set_data(*paths[-1].T.numpy())
            left.set(xlim=(-reach, reach), ylim=(-reach, reach))
            image.set_data(paint[decided(name, steps, method).numpy()])
            told[0].set_text(f"relative distance from the flow {distance:.2g}")
            told[1].set_text(f"accuracy {accuracy:.2f}, its flow {accuracy_flow:.2f}")
            return [lines, ends, image, *told]

        return update

    def describe(steps, method, **chosen):
        accuracy, accuracy_flow, distance, reach = compared(chosen[key], steps, method)
        return (
            f"{about.format(chosen[key])} now takes {_steps(steps)} of {METHODS[method]}. Left: the paths of {traced} "
            f"points, all within ±{reach:g}; where they end is at a relative distance of {distance:.2g} from where the "
            f"flow takes them. Right: all points on the decision regions, with accuracy {accuracy:.2f}; that of the "
            f"flow is {accuracy_flow:.2f}."
        )

    return build, describe


def _window(paths, smallest=1.5):
    """The smallest ±1.5 · 2^k that holds the paths: few windows, so that most moves keep the scale."""
    return smallest * 2 ** max(0, math.ceil(math.log2(paths.abs().max().item() / smallest)))


def solver_swap(depths, same, fine):
    """Accuracy with the steps of training, and with many more, against the number of steps in training.

    Args:
        depths: numbers of Euler steps in training.
        same, fine: accuracies, shape (len(depths), seeds).
    """
    fig = Figure((7.2, 4.0))
    ax = fig.subplots()
    place = np.arange(len(depths))
    looks = {
        "same steps as in training": (same, style.NETWORK, "o", -0.12),
        "its own flow": (fine, style.FLOW, "s", 0.12),
    }
    for name, (values, colour, marker, shift) in looks.items():
        values = np.array(values)
        ax.plot(place + shift, values.mean(1), color=colour, lw=1, ls=":")
        for i, seed in enumerate(values.T):  # side by side, or equal accuracies would hide each other
            aside = place + shift + 0.05 * (i - (len(values.T) - 1) / 2)
            ax.plot(aside, seed, ls="", marker=marker, color=colour, alpha=0.75, ms=8, mec="white")
        ax.plot([], [], marker=marker, color=colour, ls="", label=name, ms=8)
    ax.set_xticks(place, [str(n) for n in depths])
    ax.axhline(0.5, color=style.GREY, lw=1, ls="--")
    ax.annotate(
        "guessing", (0.99, 0.505), xycoords=ax.get_yaxis_transform(), ha="right", va="bottom", color="#555555", size=11
    )
    ax.set(xlabel="Euler steps in training", ylabel="test accuracy", ylim=(0.3, 1.03))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    pairs = zip(depths, np.mean(same, axis=1), np.mean(fine, axis=1), strict=True)
    means = "; ".join(f"{n} steps, {a:.2f} and {b:.2f}" for n, a, b in pairs)
    return fig, (
        "Test accuracy against the number of Euler steps in training, with the same steps and for the flow: "
        f"{means}. Means of {len(same[0])} seeds, joined by dotted lines; a marker for each seed."
    )


# --- depth and scale ----------------------------------------------------------------------------------------------


def depth_scaling(depths, change):
    """How much a random network changes its input, against its depth.

    Args:
        depths: numbers of layers.
        change: kind of weights → exponent β → changes, shape (seeds, len(depths)).
    """
    fig = Figure((8.6, 3.8))
    bottom, top = 1e-2, 1e4
    told = []
    for ax, (kind, rows) in zip(fig.subplots(1, len(change), sharey=True), change.items(), strict=True):
        ends = []
        for (beta, values), look in zip(rows.items(), style.lines(rows).values(), strict=True):
            middle = np.exp(np.log(np.array(values)).mean(0))
            ax.loglog(depths, middle, **look, label=f"β = {beta:g}")
            leaves = ", above the picture" if middle[-1] > top else ""
            ends.append(f"β = {beta:g} from {middle[0]:.2g} to {middle[-1]:.2g}{leaves}")
        told.append(f"{kind} weights: {', '.join(ends)}.")
        ax.set(title=f"{kind} weights", xlabel="layers L", ylim=(bottom, top))
        ax.set_xticks(depths, [str(n) for n in depths])
        ax.minorticks_off()
    fig.axes[0].set_ylabel(r"change  $\|x_L - x_0\|\,/\,\|x_0\|$")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    return fig, (
        f"Relative change of the state against the number of layers, {depths[0]} to {depths[-1]}, log–log, geometric "
        f"means over {len(values)} seeds. {' '.join(told)}"
    )


def norm_along_depth(random_weights, states_along, x0, *, deepest):
    """Explorer: the size of the state along a random network.

    Args:
        random_weights: function of (layers, smooth, seed) → pairs of weights, shape (layers, 2, width, width).
        states_along: function of (beta, weights, x0) → states, shape (layers + 1, *x0.shape); it takes the weights of
            all seeds at once, shape (layers, 2, seeds, width, width), and x0 once for each.
        x0: inputs, shape (n, width).
        deepest: most layers. Independent weights are drawn once, and shallower networks are made of the first of them.

    Returns:
        build(fig) for parameters beta, layers, smooth, and the text alternative as a function of them.
    """
    seeds = (0, 1, 2)

    def drawn(layers, smooth):
        return torch.stack([random_weights(layers, smooth, seed) for seed in seeds], dim=2)

    independent = cache(partial(drawn, deepest, False))
    smooth_in_depth = lru_cache(maxsize=1)(partial(drawn, smooth=True))  # 100 MB at 512 layers, and quickly made

    @cache
    def walked(beta, layers, smooth):
        """Sizes relative to x0, shape (layers + 1, seeds), and the growth at the end, their geometric mean."""
        weights = smooth_in_depth(layers) if smooth else independent()[:layers]
        states = states_along(beta, weights, x0.expand(len(seeds), *x0.shape))
        sizes = (states.flatten(2).norm(dim=2) / x0.norm()).clamp_min(1e-30).numpy()
        return sizes, np.exp(np.log(sizes[-1]).mean())

    def build(fig):
        ax = fig.subplots()
        ax.axhline(1, color=style.GREY, lw=1, ls="--")
        curves = [ax.semilogy([], [], **look, markevery=0.1)[0] for look in style.lines(seeds).values()]
        ax.set(xlim=(0, 1), xlabel="depth k / L", ylabel=r"size  $\|x_k\|\,/\,\|x_0\|$")
        ax.yaxis.set_label_coords(-0.1, 0.5)  # room for powers of ten of any length
        title = ax.set_title(" ")
        labels = [f"weights {seed + 1}" for seed in seeds]
        fig.legend(curves, labels, loc="outside lower center", ncols=len(seeds))

        def update(beta, layers, smooth):
            sizes, growth = walked(beta, layers, smooth)
            for curve, run in zip(curves, sizes.T, strict=True):
                curve.set_data(np.linspace(0, 1, layers + 1), run)
            ax.set_ylim(0.5, _decades(float(sizes.max())))
            scale = r"$L^{-\beta}$" + f" = {layers**-beta:.3g}"
            title.set_text(f"branch scaled by {scale}: size at the end × {growth:.3g}")
            return [*curves, title]

        return update

    def describe(beta, layers, smooth):
        sizes, growth = walked(beta, layers, smooth)
        kind = "weights smooth in depth" if smooth else "independent weights"
        fate = "changes little" if growth < 1.5 else "grows" if growth < 100 else "explodes"
        return (
            f"Size of the state along {layers} layers with {kind}, three draws, the branch scaled by L to the power −β "
            f"with β = {beta:g}, a factor of {layers**-beta:.3g}: the size {fate}, to {growth:.3g} times that of the "
            f"input. The picture reaches up to {_decades(float(sizes.max())):.0e}."
        )

    return build, describe


def _decades(largest):
    """The smallest of 10³, 10⁶, 10¹², …, 10¹⁹² that is above `largest`: few scales, so that most moves keep theirs."""
    scales = [10.0 ** (3 * 2**k) for k in range(7)]
    return next((scale for scale in scales if scale > largest), scales[-1])


# --- what a flow cannot do ----------------------------------------------------------------------------------------


def crossing(flows, blocks):
    """Paths of two points that should change places: a flow on the line beside one residual block.

    Args:
        flows: paths of trained neural ODEs on the line, each of shape (times, 2).
        blocks: input and output of one residual block, shape (2, 2).
    """
    fig = Figure((8.6, 3.6))
    left, right = fig.subplots(1, 2, sharey=True)
    for paths in flows:
        for path, colour in zip(paths.T, style.CLASSES, strict=True):
            left.plot(np.linspace(0, 1, len(path)), path, color=colour)
    for path, colour in zip(np.array(blocks).T, style.CLASSES, strict=True):
        right.plot([0, 1], path, color=colour, marker="o")
    for ax, title in ((left, "trained flows on the line"), (right, "one residual block")):
        ax.plot([1, 1], [-1, 1], ls="", marker="x", color=style.BLACK, ms=10, mew=2, clip_on=False, zorder=5)
        ax.set(title=title, xlabel="depth time t", ylim=(-1.3, 1.3))
    left.set_ylabel("state x(t)")
    right.annotate("× targets", (0.97, 0.03), xycoords="axes fraction", ha="right", fontsize=11)
    closest = min(float((paths[:, 1] - paths[:, 0]).min()) for paths in np.array([np.array(p) for p in flows]))
    swapped = np.sign(np.diff(blocks[0])) != np.sign(np.diff(blocks[-1]))
    return fig, (
        f"Left: the paths of the points −1 and 1 under {len(flows)} trained flows on the line; where they come "
        f"closest, the upper is {closest:.2g} above the lower. Right: one residual block, whose straight paths "
        f"{'cross' if swapped else 'do not cross'}."
    )


def rings(features, labels, losses):
    """Where two kinds of neural ODE send the rings, and what it costs them.

    Args:
        features: model → output features, shape (n, d); the first two are drawn, or the first and the third.
        labels: classes, shape (n,).
        losses: model → training loss, shape (seeds, epochs).
    """
    fig = Figure((9.4, 3.4))
    axes = fig.subplots(1, 3)
    for ax, (name, states) in zip(axes, features.items(), strict=False):
        shown = states[:, [0, 1]] if states.shape[1] == 2 else states[:, [0, 2]]
        for c, (colour, marker) in enumerate(zip(style.CLASSES, style.CLASS_MARKERS, strict=True)):
            ax.plot(*shown[labels == c].T, ls="", marker=marker, ms=3, color=colour, label=("disc", "ring")[c])
        ax.set(title=name, xlabel="feature 1", ylabel="feature 2" if states.shape[1] == 2 else "extra feature")
    axes[0].legend(loc="lower right", markerscale=2, handletextpad=0.1)
    for (name, runs), look in zip(losses.items(), style.lines(losses).values(), strict=True):
        for run in runs:
            axes[2].semilogy(run, color=look["color"], ls=look["linestyle"], lw=1.5)
        end = max(run[-1] for run in runs)
        axes[2].annotate(name, (len(runs[0]), 2 * end), color=look["color"], ha="right", va="bottom")
    axes[2].set(title="training loss", xlabel="epoch")
    told = ", ".join(f"{name} down to {min(run[-1] for run in runs):.0e}" for name, runs in losses.items())
    apart = ", ".join(f"{name} {_apart(states, labels):.1f}" for name, states in features.items())
    return fig, (
        "Disc and ring after the flow, two features of each model, and training losses. Distance between the centres "
        f"of disc and ring, in units of their mean spread: {apart}. Right: the losses, {told}."
    )


def _apart(states, labels):
    """Distance between the two classes' centres over the root mean square distance of points from their own."""
    centres = [states[labels == c].mean(0) for c in (0, 1)]
    spread = [((states[labels == c] - centre) ** 2).sum(1) for c, centre in enumerate(centres)]
    return float(((centres[0] - centres[1]) ** 2).sum() ** 0.5 / (sum(map(sum, spread)) / len(states)) ** 0.5)


# --- there and back -----------------------------------------------------------------------------------------------


@cache
def _there_and_back(rate, digits):
    """y' = −rate · y solved from 1 to the end of the unit interval, and from what came out back to its start."""
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    tolerances = {"rtol": 10.0**-digits, "atol": 10.0 ** -(digits + 2)}
    with torch.no_grad():
        there = odeint(lambda t, y: -rate * y, torch.ones(1, dtype=torch.float64), t, **tolerances)
        back = odeint(lambda t, y: -rate * y, there[-1], t.flip(0), **tolerances).flip(0)
    return t.numpy(), there[:, 0].numpy(), back[:, 0].numpy()


def there_and_back(fig):
    """Explorer: a contracting solution, and its reconstruction by solving backwards from the end."""
    ax = fig.subplots()
    (exact,) = ax.semilogy([], [], color=style.GREY, lw=1.5, label="exact: exp(−λt)")
    (forward,) = ax.semilogy([], [], color=style.FLOW, lw=4, alpha=0.6, label="there: |y| from t = 0")
    (backward,) = ax.semilogy([], [], color=style.NETWORK, ls="--", label="back: |y| from t = 1")
    ax.set(xlim=(0, 1), ylim=(1e-18, 1e12), xlabel="t", ylabel="|y(t)|")
    title = ax.set_title(" ")
    ax.legend(loc="lower left")

    def update(rate, digits):
        t, there, back = _there_and_back(rate, digits)
        exact.set_data(t, np.exp(-rate * t))
        forward.set_data(t, np.abs(there))
        backward.set_data(t, np.abs(back))
        title.set_text(f"y(0) was 1 and comes back as {back[0]:.3g}")
        return [exact, forward, backward, title]

    return update


def describe_there_and_back(rate, digits):
    """Text alternative of `there_and_back`."""
    _, there, back = _there_and_back(rate, digits)
    found = "1, as it was" if abs(back[0] - 1) < 0.05 else f"{back[0]:.1g}, where it was 1"
    return (
        f"Solution of y′ = −λy from y(0) = 1 with λ = {rate}, tolerance ten to the minus {digits}, on a logarithmic "
        f"axis. At t = 1 it is {math.exp(-rate):.0e}; the way there ends at a size of {abs(there[-1]):.0e}, and the "
        f"way back from that comes to y(0) = {found}."
    )
