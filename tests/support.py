"""What several tests share: devices and dtypes that exist here, how examples are drawn, a figure and its words."""

from __future__ import annotations

import os

import torch
from hypothesis import settings
from matplotlib.figure import Figure

# HELPERS_DEVICE=cpu means: leave a GPU alone, also where there is one
DEVICES = ["cpu"]
if os.environ.get("HELPERS_DEVICE") != "cpu" and torch.cuda.is_available():
    DEVICES.append("cuda")
DTYPES = [torch.float32, torch.float64]

# the same examples on every machine and in every run, and no verdict that depends on how busy the machine is
settings.register_profile("reproducible", derandomize=True, deadline=None, database=None)
settings.load_profile("reproducible")


def drawn(picture):
    """Draw it, and hand on its text alternative."""
    figure, alt = picture
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    return alt
