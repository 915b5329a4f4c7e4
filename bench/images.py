"""Diffusion of an image, in units of as many bare convolutions, and beside scipy's Gaussian filter."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from helpers.layers import PeronaMalik

from .report import Table, ahead
from .timing import interleaved

STEPS, STEP, SIZE = 100, 0.2, 256
ABOUT = f"""{STEPS} steps of {STEP} on one image of {SIZE} × {SIZE} pixels in float32, without gradients: the heat
equation, and Perona and Malik's with contrast 0.1. *bare* is a 3 × 3 convolution of that image, padded with zeros,
called once a step: the least that a diffusion written as a convolution takes. The heat equation has a closed form,
which `scipy.ndimage.gaussian_filter` applies at once, with the standard deviation √(2t) and on the CPU; a nonlinear
diffusion has none."""
COLUMNS = ("equation", "solver", "ms", "time / bare")


def runs(x):
    """(equation, solver) → function without arguments, for the image x, (rows, columns)."""
    from scipy.ndimage import gaussian_filter

    heat = PeronaMalik(step=STEP, steps=STEPS)
    edges = PeronaMalik(0.1, step=STEP, steps=STEPS)
    pixels, sigma = x.cpu().numpy(), math.sqrt(2 * STEP * STEPS)
    return {
        ("heat", "helpers"): lambda: heat(x),
        # scipy's "reflect" is the border without flux
        ("heat", "scipy gaussian_filter"): lambda: gaussian_filter(pixels, sigma, mode="reflect"),
        ("Perona–Malik", "helpers"): lambda: edges(x),
    }


def bare(x):
    """`STEPS` convolutions without anything between them: the floor."""
    image, kernel = x[None, None], torch.full((1, 1, 3, 3), 1 / 9, dtype=x.dtype, device=x.device)

    def run():
        for _ in range(STEPS):
            F.conv2d(image, kernel, padding=1)

    return run


@torch.no_grad()
def table(device) -> Table:
    """Both equations."""
    x = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float32).to(device)
    seconds = interleaved({**runs(x), "bare": bare(x)})
    floor = seconds.pop("bare")
    rows = [(*who, 1e3 * took, took / floor) for who, took in seconds.items()]
    ours, scipys = seconds["heat", "helpers"], seconds["heat", "scipy gaussian_filter"]
    return Table("Diffusion of images", ABOUT, COLUMNS, rows, ahead([("scipy gaussian_filter", "heat", scipys / ours)]))
