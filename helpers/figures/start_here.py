"""The pictures of chapter 00, the map: one cloud under four equations, the six stops of the tour, the map of the field.

A picture without controls comes with its text alternative, made from the same data: `show(*tour(...))`.
"""

from __future__ import annotations

import textwrap
from functools import cache, lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers.data import toy

from . import style

# --- one cloud, four dynamics -------------------------------------------------------------------------------------

POINTS, MOST_STEPS, PIXELS, FINE = 400, 64, 32, 4  # FINE: drawn points of the state in each of the finest steps
CENTRE, REACH = np.array([0.5, 0.25]), 2.4  # the window of the plane that is drawn
SPIN = 1.2  # radians in a unit of time, at the centre of the whirl
GROUND = "#f6f6f6"
SIGNED = LinearSegmentedColormap.from_list("signed", [style.VERMILLION, GROUND, style.BLUE])


def whirl(x):
    """The vector field of the first two panels: rotation about `CENTRE`, slower further out.

    f(x) = ω(r) J (x − c) with ω(r) = SPIN · exp(−r² / 2), J the quarter turn and r = ‖x − c‖.

    Args:
        x: points, shape (n, 2).
    """
    away = x - CENTRE
    turned = np.stack([-away[:, 1], away[:, 0]], axis=1)
    return _speed(away) * turned


def whirled(x, time):
    """Where the whirl's exact flow carries the points in `time`: r stays, the angle grows by ω(r) · time."""
    away = x - CENTRE
    angle = _speed(away) * time
    turned = np.stack([-away[:, 1], away[:, 0]], axis=1)
    return CENTRE + np.cos(angle) * away + np.sin(angle) * turned


def residual_walk(x, time, steps, noise=0.0):
    """x + h f(x) + noise · ΔW, `steps` times, f the whirl and h = time / steps.

    The Brownian path is the same for every number of steps: coarse increments are sums of fine ones.
    """
    h = time / steps
    fine = _unit_noise() * np.sqrt(time / MOST_STEPS)
    increments = noise * fine.reshape(steps, -1, POINTS, 2).sum(1)
    for increment in increments:
        x = x + h * whirl(x) + increment
    return x


def heated(time, layers):
    """The cloud as an image after `layers` heat layers u + hΔu, h = time / layers, on a periodic grid of pixels.

    A layer multiplies the Fourier mode with the eigenvalue −λ of the five-point Laplacian by 1 − hλ.
    """
    modes, eigenvalues = _image_modes()
    return np.fft.irfft2(modes * (1 - time / layers * eigenvalues) ** layers, s=(PIXELS, PIXELS))


def remembered(rate, time, samples):
    """The state of x' = rate · (u − x), x(0) = 0, that reads the cloud as a signal u held between its samples.

    Returns:
        Times in [0, 1], in units of `time`; held input and exact state at them.
    """
    held = np.repeat(_signal()[:: MOST_STEPS // samples], FINE * MOST_STEPS // samples)
    keep = np.exp(-rate * time / len(held))
    state = [0.0]
    for u in held.tolist():
        state.append(keep * state[-1] + (1 - keep) * u)
    return np.linspace(0, 1, len(state)), np.append(held, held[-1]), np.array(state)


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
    x, y = _cloud()
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
        ends = _walked(T, L, 0.0), _walked(T, L, sigma)
        for i, dots in enumerate(clouds):
            dots.set_data(*ends[i // 2][y == i % 2].T)
        shown.set_data(heated(T, L))
        times, held, states = remembered(gamma, T, L)
        inputs.set_data(times, held)
        state.set_data(times, states)
        values = f"{_off(ends[0], T):.2f}", f"{_off(ends[1], T):.2f}", f"{T / L:.3g}", f"{1 / gamma:.3g}"
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
        f"Whirled by residual blocks, {_off(_walked(T, L, 0.0), T):.2f} from where the exact flow takes them; the same "
        f"with noise σ = {sigma:g}; as an image under heat layers with h = {T / L:.3g}, {wild}; as a signal read by a "
        f"state that forgets at the rate γ = {gamma:g}."
    )


def _speed(away):
    return SPIN * np.exp(-(away**2).sum(1, keepdims=True) / 2)


@cache
def _cloud():
    x, y = toy.moons(POINTS, noise=0.08, seed=0)
    return x.double().numpy(), y.numpy()


@lru_cache(maxsize=512)
def _walked(time, steps, noise):
    return residual_walk(_cloud()[0], time, steps, noise)


def _off(end, time):
    """Root mean square distance of the points `end` from where the exact flow takes the cloud."""
    return np.sqrt(((end - whirled(_cloud()[0], time)) ** 2).sum(1).mean())


@cache
def _unit_noise():
    return np.random.default_rng(0).standard_normal((MOST_STEPS, POINTS, 2))


@cache
def _image_modes():
    """Fourier modes of the cloud as an image of counts, and their eigenvalues λ of minus the Laplacian."""
    x, _ = _cloud()
    window = [[c - REACH, c + REACH] for c in CENTRE[::-1]]
    counts, *_ = np.histogram2d(x[:, 1], x[:, 0], bins=PIXELS, range=window)
    rows, columns = np.fft.fftfreq(PIXELS), np.fft.rfftfreq(PIXELS)
    eigenvalues = 4 * np.sin(np.pi * rows[:, None]) ** 2 + 4 * np.sin(np.pi * columns) ** 2
    return np.fft.rfft2(counts), eigenvalues


@cache
def _signal():
    """The heights of the points, read along the upper moon and then along the lower one."""
    x, y = _cloud()
    heights = [x[y == c][np.argsort(x[y == c][:, 0]), 1] for c in (0, 1)]
    return np.concatenate(heights)[np.linspace(0, POINTS - 1, MOST_STEPS).round().astype(int)]


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

FAMILIES = {
    "ode": ("ordinary (ODE)", "ordinary"),
    "sde": ("stochastic (SDE)", "stochastic"),
    "pde": ("partial (PDE)", "partial"),
    "cde": ("controlled (CDE)", "controlled"),
    "ssm": ("state space (SSM)", "state space"),
    "generative": ("generative flows and diffusion models", "generative"),
}
LEVELS = {"model": "model: the whole network", "layer": "layer: one component"}
QUESTIONS = {"explain": "explain the architecture", "improve": "improve the network", "apply": "where it is used"}
CENTRED = {"ha": "center", "va": "center", "size": 10}
WRITTEN = (0, 1, 2)  # the chapters that exist; the others are announced as to come


class Card(NamedTuple):
    """What stands at one place of the map.

    Attributes:
        keyword: at most 16 characters, for the overview.
        headline: the answer in one sentence.
        text: what to know about it.
        papers: authors, year, arXiv id; empty where nothing is known to us.
        chapter: where the collection continues; None where it has no chapter.
    """

    keyword: str
    headline: str
    text: str
    papers: str = ""
    chapter: int | None = None

    @property
    def source(self) -> str:
        """Papers and chapter in one line."""
        if not self.papers:
            return "No paper of which we are sure."
        if self.chapter is None:
            return f"{self.papers}. No chapter of ours goes there."
        return f"{self.papers}. Chapter {self.chapter}{'' if self.chapter in WRITTEN else ', to come'}."


UNKNOWN = Card(
    "",
    "Nothing known to us.",
    "We know of no work that answers this question here, and would be glad to hear of one. An empty place on a map "
    "says that nobody told the map makers, not that nothing is there.",
)

CARDS = {
    ("ode", "model", "explain"): Card(
        "Euler steps",
        "A residual block is one step of Euler's method.",
        "The identity holds for every residual network. That a network follows a flow is a hypothesis: it needs steps "
        "short enough for its weights, and a limit as the depth grows needs weights that vary smoothly from layer to "
        "layer. Both can be tested.",
        "E 2017; Haber & Ruthotto 2017 (arXiv 1705.03341); Sander et al. 2022 (arXiv 2205.14612)",
        1,
    ),
    ("ode", "model", "improve"): Card(
        "stable layers",
        "Stability theory says which weights let a perturbation grow.",
        "x − h Wᵀσ(Wx + b) is a step down a convex potential where σ rises with slopes of at most one. No longer than "
        "h = 2/‖W‖², it never increases the distance of two inputs. A Hamiltonian network keeps its gradients from "
        "vanishing at any depth.",
        "Meunier et al. 2022 (arXiv 2110.12690); Galimberti et al. 2021 (arXiv 2105.13205)",
        2,
    ),
    ("ode", "model", "apply"): Card(
        "learned energy",
        "A network can learn the energy of a motion instead of its velocity.",
        "A Hamiltonian neural network learns a scalar H(q, p); its derivatives give the vector field, whose exact flow "
        "conserves H. Trained on noisy observations, it learns a law with a conserved quantity.",
        "Greydanus et al. 2019 (arXiv 1906.01563)",
        8,
    ),
    ("ode", "layer", "explain"): Card(
        "liquid cells",
        "A recurrent cell can be an ODE whose time constant depends on the input.",
        "In a liquid time-constant network each neuron relaxes at a speed that its input sets, and its state stays in "
        "a bounded range. An ODE solver computes the output.",
        "Hasani et al. 2020 (arXiv 2006.04439)",
        5,
    ),
    ("ode", "layer", "improve"): Card(
        "antisymmetry",
        "A recurrent cell with an antisymmetric matrix turns its state instead of stretching it.",
        "In AntisymmetricRNN the matrix is W − Wᵀ, with imaginary eigenvalues: as far as the linearised equation "
        "tells, signals neither explode nor die out along a sequence. Some damping makes Euler's step stable as well.",
        "Chang et al. 2019 (arXiv 1902.09689)",
        2,
    ),
    ("ode", "layer", "apply"): Card(
        "sporadic data",
        "Between two measurements, the state of a cell can follow an ODE.",
        "A plain recurrent cell expects data at regular times. GRU-ODE-Bayes lets the state evolve until the next "
        "measurement comes, whenever that is; its authors apply it to health care and climate records.",
        "De Brouwer et al. 2019 (arXiv 1905.12374)",
        6,
    ),
    ("sde", "model", "explain"): Card(
        "random weights",
        "Independent random weights lead to a stochastic equation, not to an ordinary one.",
        "At initialisation with independent weights, a residual network scaled by L^(−1/2) tends to an SDE as it gets "
        "deeper; with weights smooth in depth, scaled by 1/L, to an ODE (Marion et al.). In trained networks Cohen et "
        "al. found either regime, or neither.",
        "Marion et al. 2022 (arXiv 2206.06929); Cohen et al. 2021 (arXiv 2105.12245)",
        1,
    ),
    ("sde", "model", "improve"): Card(
        "injected noise",
        "Noise inside a network can make it more robust; a plain remedy may do as well.",
        "Neural SDEs regularise by noise along the depth. A later study found that augmenting the data removes their "
        "advantage, so a fair comparison needs an augmented baseline.",
        "Liu et al. 2019 (arXiv 1906.02355); Oganesyan et al. 2020 (arXiv 2002.09779)",
        3,
    ),
    ("sde", "model", "apply"): Card(
        "uncertainty",
        "The size of the noise can say how unsure a network is.",
        "SDE-Net learns a drift that predicts and a diffusion that is small on familiar inputs and large elsewhere. "
        "Compare it with a simple detector of outliers before you trust it.",
        "Kong et al. 2020 (arXiv 2008.10546)",
        3,
    ),
    ("sde", "layer", "explain"): Card(
        "stochastic depth",
        "A residual block that is skipped at random takes a step of an SDE, in the weak sense.",
        "Stochastic depth and dropout in the branch add noise with the mean and the variance of an Euler–Maruyama "
        "step. With branches of size 1/L this noise fades as L grows.",
        "Lu et al. 2018 (arXiv 1710.10121); Sun, Tao & Du 2018 (arXiv 1812.00174)",
        3,
    ),
    ("sde", "layer", "improve"): Card(
        "noise that calms",
        "Noise in proportion to the state can stabilise a layer that would explode without it.",
        "dX = aX dt + σX dW grows like exp((a − σ²/2) t) on almost every path, so that σ² > 2a calms it. Its mean "
        "square grows like exp((2a + σ²) t) all the same: say which of the two you mean by stable.",
        "Liu et al. 2019 (arXiv 1906.02355)",
        3,
    ),
    ("pde", "model", "explain"): Card(
        "parabolic CNN",
        "A convolutional network can be a time-stepping scheme for a PDE on its image.",
        "A parabolic CNN smooths as heat does, a hyperbolic CNN carries its features along as a wave does. Both "
        "inherit step bounds of the kind that you meet at stop 3.",
        "Ruthotto & Haber 2018 (arXiv 1804.04272)",
        4,
    ),
    ("pde", "model", "improve"): Card(
        "reversible waves",
        "The type of the PDE decides what a deep network may forget.",
        "A parabolic network with a bounded step does not amplify a perturbation of its input. A hyperbolic network "
        "can be run backwards, so that training need not store its features.",
        "Ruthotto & Haber 2018 (arXiv 1804.04272)",
        4,
    ),
    ("pde", "model", "apply"): Card(
        "PDE-Net",
        "A network whose kernels are derivative stencils can find the PDE behind observed fields.",
        "It learns the stencils and the equation together from snapshots. What it finds is the equation that its own "
        "time steps obey, which differs a little from the true one.",
        "Long et al. 2018 (arXiv 1710.09668)",
        4,
    ),
    ("pde", "layer", "explain"): Card(
        "kernel = stencil",
        "A convolution kernel is a combination of derivatives.",
        "Every kernel of three taps is a sum of an average, a first and a second difference, and this change of basis "
        "can be undone. A convolution layer can thus be read as a differential operator.",
        "Ruthotto & Haber 2018 (arXiv 1804.04272)",
        4,
    ),
    ("pde", "layer", "improve"): Card(
        "graph diffusion",
        "A graph layer as a step of heat flow explains why deep graph networks make all nodes alike.",
        "Heat evens out differences; so do many layers of averaging over neighbours. Read as diffusion, a graph "
        "network (GRAND) has a stopping time and step bounds, and can use implicit steps.",
        "Chamberlain et al. 2021 (arXiv 2106.10934)",
        4,
    ),
    ("pde", "layer", "apply"): Card(
        "Fourier layers",
        "A layer that acts on low frequencies maps functions to functions, on any grid.",
        "The Fourier neural operator learns to map the data of a PDE to its solution. Whether it is faster than a good "
        "classical solver at equal error is a separate question, often asked of a weak baseline.",
        "Li et al. 2020 (arXiv 2010.08895); McGreivy & Hakim 2024 (arXiv 2407.07218)",
        8,
    ),
    ("cde", "model", "explain"): Card(
        "neural CDE",
        "A recurrent network in continuous time is an equation driven by its input path.",
        "In dz = F(z) dX the state moves when the data move. The order of the data matters, the speed at which they "
        "are read does not, unless time is made one of the channels.",
        "Kidger 2022 (arXiv 2202.02435)",
        6,
    ),
    ("cde", "model", "improve"): Card(
        "no peeking",
        "How data are joined into a path decides whether the model sees the future.",
        "With a natural cubic spline a later measurement changes the path before it. For predictions in real time the "
        "path must be built from the past alone.",
        "Morrill et al. 2021 (arXiv 2106.11028)",
        6,
    ),
    ("cde", "model", "apply"): Card(
        "irregular series",
        "Time series with gaps need no resampling: a path exists between the measurements.",
        "Neural CDEs read irregular, partly observed series as they are. A survey compares them with neural ODEs and "
        "SDEs for this purpose.",
        "Kidger 2022 (arXiv 2202.02435); Oh et al. 2025 (arXiv 2502.09885)",
        6,
    ),
    ("cde", "layer", "explain"): Card(
        "selectivity",
        "A selective state-space layer is a linear CDE, driven by gates of its input.",
        "The reading says what such layers can compute, in terms of the signature of their input, and why letting the "
        "input choose the transition makes a difference.",
        "Cirone et al. 2024 (arXiv 2402.19047)",
        5,
    ),
    ("cde", "layer", "improve"): Card(
        "mixed channels",
        "Dense transitions compute more than diagonal ones; stacking wins it back.",
        "The theory of linear CDEs separates the two: a diagonal layer is cheap and limited, a stack of diagonal "
        "layers with mixing between them is not.",
        "Cirone et al. 2024 (arXiv 2402.19047)",
        5,
    ),
    ("ssm", "model", "explain"): Card(
        "",
        "Nothing known to us.",
        "A state-space equation describes one layer, with data time as its clock. We know of no account of a whole "
        "stack of such layers as one differential equation in depth and data time.",
    ),
    ("ssm", "model", "apply"): Card(
        "Mamba",
        "Stacks of state-space layers serve as models of long sequences.",
        "Mamba is such a stack, with transitions that the input selects; its authors test it on language, audio and "
        "genomes. The differential equation is in each layer; its depth is not read as one.",
        "Gu & Dao 2023 (arXiv 2312.00752)",
        5,
    ),
    ("ssm", "layer", "explain"): Card(
        "HiPPO",
        "The state can hold the best polynomial picture of the whole past.",
        "HiPPO derives the matrices A and B for which the state consists of the coefficients of the input's history in "
        "orthogonal polynomials. Memory becomes an approximation problem with a known answer.",
        "Gu et al. 2020 (arXiv 2008.07669)",
        5,
    ),
    ("ssm", "layer", "improve"): Card(
        "eigenvalues",
        "The eigenvalues that a layer may have decide what it can keep track of.",
        "With eigenvalues between 0 and 1 a diagonal layer cannot follow the parity of a long sequence of bits. Let "
        "them be negative, and it can.",
        "Merrill et al. 2024 (arXiv 2404.08819); Grazzi et al. 2024 (arXiv 2411.12537)",
        5,
    ),
    ("ssm", "layer", "apply"): Card(
        "new time scales",
        "A layer that came from an ODE can read data at another speed.",
        "The sampling interval is a parameter of the discretisation, not of the equation. The authors of HiPPO tested "
        "theirs on time scales that it had not seen in training.",
        "Gu et al. 2020 (arXiv 2008.07669)",
        5,
    ),
    ("generative", "model", "explain"): Card(
        "moving density",
        "A flow carries a probability density along, and the change can be computed.",
        "Along the path of a point the logarithm of the density changes at the rate −tr(∂f/∂x). A continuous "
        "normalising flow is a neural ODE trained through this formula.",
        "Chen et al. 2018 (arXiv 1806.07366)",
        7,
    ),
    ("generative", "model", "improve"): Card(
        "straight paths",
        "The straighter the paths of a flow, the fewer evaluations it needs.",
        "Penalising the kinetic energy of the flow during training straightens its paths, and the solver gets away "
        "with fewer steps.",
        "Finlay et al. 2020 (arXiv 2002.02798)",
        9,
    ),
    ("generative", "model", "apply"): Card(
        "flow matching",
        "Images are generated by an equation that carries noise to data.",
        "A diffusion model learns the drift of an SDE that undoes the noising of data, flow matching the velocity of "
        "an ODE with the same purpose. Sampling is solving.",
        "Song et al. 2020 (arXiv 2011.13456); Lipman et al. 2022 (arXiv 2210.02747)",
        7,
    ),
    ("generative", "layer", "explain"): Card(
        "invertible block",
        "A residual block with a small enough branch can be undone.",
        "If the branch has a Lipschitz constant below one, x + F(x) is invertible, and a stack of such blocks is a "
        "generative model whose likelihood can be computed approximately.",
        "Behrmann et al. 2018 (arXiv 1811.00995)",
        None,
    ),
}


def card(family, level, question):
    """What is known to us at this place of the map; `UNKNOWN` where nothing is."""
    return CARDS.get((family, level, question), UNKNOWN)


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
