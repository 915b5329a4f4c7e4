"""Make helpers/data/photographs.npz from the files inside scikit-image's wheel; run once, and nothing else needs it.

    pip install scikit-image==0.26.0 && python -m tools.photographs

What is done to the images, and whose they are, says helpers/data/PHOTOGRAPHS.md.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from helpers.data.photographs import FILE, NAMES


def half_size(path, largest=256):
    """Grey values of 8 bits: means over 2 × 2 pixels, at most `largest` a side, from the centre."""
    grey = np.asarray(Image.open(path).convert("L"), dtype=float)
    r, c = (n // 2 for n in grey.shape)
    half = grey[: 2 * r, : 2 * c].reshape(r, 2, c, 2).mean((1, 3))
    top, left = (max(n - largest, 0) // 2 for n in half.shape)
    return np.rint(half[top : top + largest, left : left + largest]).astype(np.uint8)


if __name__ == "__main__":
    import skimage  # not a requirement of the package

    np.savez_compressed(FILE, **{name: half_size(Path(skimage.__file__).parent / f"data/{name}.png") for name in NAMES})
