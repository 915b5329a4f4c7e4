"""Six photographs that anyone may use: they lie beside this file, and nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FILE = Path(__file__).with_name("photographs.npz")
NAMES = ("camera", "chelsea", "coffee", "brick", "gravel", "grass")


def photographs() -> dict[str, Tensor]:
    """Six grey photographs, name ↦ (rows, columns), in torch's default dtype: 0 is black and 1 is white.

    - "camera" (256, 256), Lav Varshney
    - "chelsea" (150, 225), a cat, Stéfan van der Walt
    - "coffee" (200, 256), Rachel Michetti
    - "brick" (256, 256) and "gravel" (256, 256), textures, CC0Textures
    - "grass" (256, 256), a texture, DeviantArt

    All are dedicated to the public domain (CC0) and come from scikit-image 0.26.0, where skimage/data/_fetchers.py
    states their licences. Here they have half the size, by means over 2 × 2 pixels, and at most 256 × 256 pixels, cut
    from the centre; grey values are those of 8 bits, k/255.

    Returns:
        New tensors on the CPU, in the order above.
    """
    with np.load(FILE) as stored:
        return {name: torch.from_numpy(stored[name]).to(torch.get_default_dtype()) / 255 for name in NAMES}
