"""GMRES: a linear system solved with products alone (Saad & Schultz 1986, SIAM J. Sci. Stat. Comput. 7, 856–869)."""

from __future__ import annotations

import math

import numpy as np
import torch

LARGEST_SPACE = 60
MAX_RESTARTS = 10


@torch.no_grad()
def gmres(product, right, tolerance):
    """x with ‖b − Ax‖ ≤ tolerance ‖b‖ where that is reached, else the best that was found.

    Args:
        product: A as a function of a tensor shaped like `right`.
        right: b, of any shape; the whole tensor is one vector.
        tolerance: Of the residual, relative to b.

    Returns:
        x, and its relative residual as a float.
    """
    size = torch.linalg.vector_norm(right).item()
    x, residual, left = torch.zeros_like(right), right, 1.0
    if size == 0 or not math.isfinite(size):
        return x + right, 0.0 if size == 0 else size
    for _ in range(MAX_RESTARTS):
        update = _cycle(product, residual, tolerance / left)
        moved = x + update
        residual = right - product(moved)
        before, left = left, torch.linalg.vector_norm(residual).item() / size
        if not left < before:
            # rounding, or a space too small for this matrix: nothing more is to be had
            return x, before
        x = moved
        if left <= tolerance:
            break
    return x, left


def _cycle(product, residual, tolerance):
    """The x that makes ‖r − Ax‖ smallest in the Krylov space that reaches the tolerance, or in the largest allowed."""
    shape, size = residual.shape, torch.linalg.vector_norm(residual)
    most = min(residual.numel(), LARGEST_SPACE)
    basis = residual.new_zeros(most + 1, residual.numel())
    basis[0] = residual.reshape(-1) / size
    hessenberg, target = np.zeros((most + 1, most)), np.zeros(most + 1)
    target[0] = 1.0
    for k in range(most):
        image = product(basis[k].reshape(shape)).reshape(-1)
        space, column = basis[: k + 1], 0
        for _ in range(2):  # orthogonalised once is not orthogonal in floating point, twice is
            part = space @ image
            image, column = image - part @ space, column + part
        length = torch.linalg.vector_norm(image)
        hessenberg[: k + 2, k] = torch.cat([column, length[None]]).cpu().numpy()
        corner = hessenberg[: k + 2, : k + 1]
        if not np.isfinite(corner[:, k]).all():
            return residual * math.nan
        weights = np.linalg.lstsq(corner, target[: k + 2], rcond=None)[0]
        if np.linalg.norm(corner @ weights - target[: k + 2]) <= tolerance or hessenberg[k + 1, k] == 0:
            break
        basis[k + 1] = image / length
    return (size * (torch.as_tensor(weights).to(basis) @ basis[: len(weights)])).reshape(shape)
