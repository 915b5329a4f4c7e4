"""The numerics of the pictures of chapter 04, each a function of its parameters alone."""

from __future__ import annotations

import math
from functools import cache, lru_cache

import networkx
import numpy as np
import torch

from helpers.data import karate_club, photographs
from helpers.layers import GraphDiffusion, PeronaMalik, kernel_from_operators

STEP, LAST = 0.1, 40  # of the diffusion of a photograph: a step, and how many of them
SIGMA = 0.1
PIXELS = 96  # of the signal of the operator dial
LAYERS, WIDTH = 160, 160  # of the wave
SIDE, FRAME, FRAMES = 64, 500, 9  # of Gray and Scott's patterns: pixels, steps between two frames, frames


def psnr(x, clean):
    """Peak signal-to-noise ratio in dB over the last two axes, grey values in [0, 1]."""
    return -10 * (x - clean).square().mean((-1, -2)).log10()


@cache
def crop(image: str) -> torch.Tensor:
    """A square of a photograph, (128, 128)."""
    return photographs()[image][10:138, 60:188]


@lru_cache(maxsize=64)
def diffused(image: str, contrast: float) -> tuple[list[np.ndarray], np.ndarray]:
    """A noisy photograph after 0 … LAST steps as 8-bit pictures, and their PSNR in dB, (LAST + 1,)."""
    clean = crop(image)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, layer, pictures, quality = clean + SIGMA * noise.to(clean), PeronaMalik(contrast, step=STEP), [], []
    for k in range(LAST + 1):
        x = layer(x) if k else x
        pictures.append((x.clamp(0, 1) * 255).to(torch.uint8).numpy())
        quality.append(psnr(x, clean).item())
    return pictures, np.array(quality)


@cache
def signal() -> np.ndarray:
    """A box and a bump on PIXELS places."""
    x = np.linspace(0, 2 * math.pi, PIXELS, endpoint=False)
    return np.where((x > 1) & (x < 2.2), 1.0, 0.0) + np.where(x > 3, np.exp(-4 * (x - 4.5) ** 2), 0.0)


def kernel(b1: float, b2: float, b3: float) -> np.ndarray:
    """The three weights of b1 · 1 + b2 ∂ + b3 (−∂²) for pixels at distance 1."""
    return kernel_from_operators(torch.tensor([b1, b2, b3], dtype=torch.float64)).numpy()


def after_layers(weights: np.ndarray, h: float, layers: int) -> np.ndarray:
    """The signal after so many layers x − h K x, periodic; clipped, for it may explode."""
    y = signal()
    for _ in range(layers):
        y = y - h * (weights[0] * np.roll(y, 1) + weights[1] * y + weights[2] * np.roll(y, -1))
    return np.clip(y, -1e3, 1e3)


def gain(weights: np.ndarray, h: float, frequencies: np.ndarray) -> np.ndarray:
    """By what one layer x − h K x multiplies a wave of each frequency, per pixel."""
    symbol = weights[0] * np.exp(-1j * frequencies) + weights[1] + weights[2] * np.exp(1j * frequencies)
    return np.abs(1 - h * symbol)


@lru_cache(maxsize=128)
def wave(courant: float) -> np.ndarray:
    """States of the leapfrog wave, (LAYERS + 1, WIDTH), from a bump at rest with noise of the size of rounding."""
    i = np.arange(WIDTH)
    x = np.exp(-((i - WIDTH / 2) ** 2) / 20.0) + 1e-9 * np.random.default_rng(0).standard_normal(WIDTH)

    def force(x):
        return 2 * x - np.roll(x, 1) - np.roll(x, -1)

    states = [x, x - courant**2 / 2 * force(x)]
    while len(states) <= LAYERS:
        states.append(2 * states[-1] - states[-2] - courant**2 * force(states[-1]))
    return np.array(states)


PATTERNS = {"spots": (0.030, 0.062), "maze": (0.029, 0.057), "holes": (0.039, 0.058), "nothing": (0.060, 0.068)}


@cache
def gray_scott(pattern: str) -> list[np.ndarray]:
    """Frames of v, (SIDE, SIDE), of ∂u = 0.16 Δu − uv² + F(1 − u), ∂v = 0.08 Δv + uv² − (F + k)v, periodic.

    Explicit steps of length 1, pixels at distance 1, from a square of v in the middle with a little noise.
    """
    feed, kill = PATTERNS[pattern]
    u, v = np.ones((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32)
    middle = slice(SIDE // 2 - 6, SIDE // 2 + 6)
    u[middle, middle], v[middle, middle] = 0.5, 0.25
    v += 0.02 * np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    frames = [v.copy()]
    for step in range(1, FRAME * (FRAMES - 1) + 1):
        reaction = u * v * v
        u += np.float32(0.16) * _laplacian(u) - reaction + np.float32(feed) * (1 - u)
        v += np.float32(0.08) * _laplacian(v) + reaction - np.float32(feed + kill) * v
        if step % FRAME == 0:
            frames.append(v.copy())
    return frames


def _laplacian(x):
    padded = np.pad(x, 1, mode="wrap")
    return padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * x


@cache
def club() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the karate club: places of the members (34, 2), friendships (edges, 2), and who followed the officer (34,)."""
    graph = networkx.karate_club_graph()
    place = np.array(list(networkx.spring_layout(graph, seed=3).values()))
    return place, np.array(graph.edges), karate_club()[1].numpy()


@cache
def _spectrum():
    adjacency, _ = karate_club()
    adjacency = adjacency.double()
    values, modes = torch.linalg.eigh(GraphDiffusion(adjacency).laplacian)
    return values, modes, adjacency.sum(1, keepdim=True).sqrt()


def preference(t: float) -> np.ndarray:
    """(p₂ − p₁)/(p₂ + p₁) at each member, (34,): of walkers that started at the two heads, after the time t."""
    values, modes, root = _spectrum()
    start = torch.eye(34, dtype=torch.float64)[:, [0, 33]] / root
    p = root * (modes @ ((-t * values).exp()[:, None] * (modes.T @ start)))
    return ((p[:, 1] - p[:, 0]) / p.sum(1)).numpy()
