"""One cloud of points under four equations: the numerics of the first picture of the map."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

from helpers.data import toy

POINTS, MOST_STEPS, PIXELS, FINE = 400, 64, 32, 4  # FINE: drawn points of the state in each of the finest steps
CENTRE, REACH = np.array([0.5, 0.25]), 2.4  # the window of the plane that is drawn
SPIN = 1.2  # radians in a unit of time, at the centre of the whirl


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

    Every number of steps has a noise of its own: of one Brownian path the ends would settle as the steps shrink.
    """
    h = time / steps
    for kick in _unit_noise(steps):
        x = x + h * whirl(x) + noise * np.sqrt(h) * kick
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


def _speed(away):
    return SPIN * np.exp(-(away**2).sum(1, keepdims=True) / 2)


@cache
def cloud():
    x, y = toy.moons(POINTS, noise=0.08, seed=0)
    return x.double().numpy(), y.numpy()


@lru_cache(maxsize=512)
def walked(time, steps, noise):
    return residual_walk(cloud()[0], time, steps, noise)


def off(end, time):
    """Root mean square distance of the points `end` from where the exact flow takes the cloud."""
    return np.sqrt(((end - whirled(cloud()[0], time)) ** 2).sum(1).mean())


@cache
def _unit_noise(steps):
    return np.random.default_rng([0, steps]).standard_normal((steps, POINTS, 2))


@cache
def _image_modes():
    """Fourier modes of the cloud as an image of counts, and their eigenvalues λ of minus the Laplacian."""
    x, _ = cloud()
    window = [[c - REACH, c + REACH] for c in CENTRE[::-1]]
    counts, *_ = np.histogram2d(x[:, 1], x[:, 0], bins=PIXELS, range=window)
    rows, columns = np.fft.fftfreq(PIXELS), np.fft.rfftfreq(PIXELS)
    eigenvalues = 4 * np.sin(np.pi * rows[:, None]) ** 2 + 4 * np.sin(np.pi * columns) ** 2
    return np.fft.rfft2(counts), eigenvalues


@cache
def _signal():
    """The heights of the points, read along the upper moon and then along the lower one."""
    x, y = cloud()
    heights = [x[y == c][np.argsort(x[y == c][:, 0]), 1] for c in (0, 1)]
    return np.concatenate(heights)[np.linspace(0, POINTS - 1, MOST_STEPS).round().astype(int)]
