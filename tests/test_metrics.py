"""Distances between samples, against SciPy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
import scipy.stats
import torch

from helpers.metrics import frechet, nearest, sliced_wasserstein

from .support import DEVICES, DTYPES

F32, F64 = torch.float32, torch.float64


def normal(*shape, seed=0, dtype=F64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64).to(dtype)


# --- sliced Wasserstein -------------------------------------------------------------------------------------------


def test_on_the_line_it_is_the_wasserstein_distance():
    x, y = normal(200, 1), 2 * normal(200, 1, seed=1) + 1
    expected = scipy.stats.wasserstein_distance(x[:, 0], y[:, 0])
    assert sliced_wasserstein(x, y, directions=3) == pytest.approx(expected, rel=1e-12)


def test_one_direction_is_the_distance_of_the_projections():
    """The direction is found from the shift of a single point: |u·e| along each axis."""
    x, y = normal(100, 2), normal(100, 2, seed=1).exp()
    axes, origin = torch.eye(2, dtype=F64), torch.zeros(1, 2, dtype=F64)
    size = [sliced_wasserstein(origin, e[None], directions=1, seed=4) for e in axes]
    assert np.hypot(*size) == pytest.approx(1)
    found = sliced_wasserstein(x, y, directions=1, seed=4)
    either = [
        scipy.stats.wasserstein_distance(x @ u, y @ u) for u in torch.tensor([size, [size[0], -size[1]]], dtype=F64)
    ]
    assert min(abs(found - w) for w in either) < 1e-12


def test_a_shift_in_the_plane():
    """It moves each projection by |u·v|, on average 2 |v| / π; standard deviation of |cos| is 0.308."""
    x = normal(50, 2)
    found = sliced_wasserstein(x, x + torch.tensor([3.0, 4.0]), directions=4000)
    assert abs(found - 10 / math.pi) < 5 * 5 * 0.308 / 4000**0.5


def test_order_does_not_matter_and_the_seed_does():
    x, y = normal(40, 3), normal(40, 3, seed=1)
    assert sliced_wasserstein(x, x.flip(0)) == 0
    assert sliced_wasserstein(x, y) == sliced_wasserstein(y, x) == sliced_wasserstein(x, y, seed=0)
    assert sliced_wasserstein(x, y, seed=1) != sliced_wasserstein(x, y)


# --- Fréchet ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_frechet_by_scipys_matrix_root(dtype):
    x, y = normal(400, 5, dtype=dtype), 2 * normal(300, 5, seed=1, dtype=dtype) @ normal(5, 5, seed=2, dtype=dtype) + 1
    p, q = x.double().numpy(), y.double().numpy()
    a, b = np.cov(p.T), np.cov(q.T)
    expected = ((p.mean(0) - q.mean(0)) ** 2).sum() + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert frechet(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_one_column_and_of_few_points():
    x, y = normal(30, 1), 3 * normal(20, 1, seed=1) + 2
    expected = (x.mean() - y.mean()) ** 2 + (x.std() - y.std()) ** 2
    assert frechet(x, y) == pytest.approx(expected.item())
    few = normal(3, 6)  # its covariance has rank 2
    assert 0 <= frechet(few, few) < 1e-6 and frechet(few, few + 1) == pytest.approx(6, abs=1e-6)


def test_frechet_is_never_below_zero():
    assert all(frechet(normal(9, 3, seed=s), normal(9, 3, seed=s)) >= 0 for s in range(20))


# --- nearest ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nearest(dtype, device):
    x, reference = normal(40, 3, dtype=dtype).to(device), normal(60, 3, seed=1, dtype=dtype).to(device)
    found = nearest(x, reference)
    assert found.shape == (40,) and found.dtype == dtype and found.device.type == device
    expected = scipy.spatial.KDTree(reference.cpu().double()).query(x.cpu().double())[0]
    torch.testing.assert_close(found.cpu().double(), torch.as_tensor(expected), rtol=1e-5, atol=1e-6)


def test_the_distance_of_a_copy_is_zero_and_not_rounding():
    x = 100 + normal(60, 64)
    assert nearest(x[:7], x).max() == 0


# --- what is refused ----------------------------------------------------------------------------------------------

GOOD = normal(5, 2)
BAD = {
    "list": (TypeError, [[0.0, 0.0]]),
    "whole": (TypeError, torch.zeros(5, 2, dtype=torch.int64)),
    "complex": (TypeError, torch.zeros(5, 2, dtype=torch.complex128)),
    "another dtype": (TypeError, GOOD.float()),
    "vector": (ValueError, GOOD[0]),
    "empty": (ValueError, GOOD[:0]),
    "no column": (ValueError, GOOD[:, :0]),
    "another d": (ValueError, GOOD[:, :1]),
    "nan": (ValueError, GOOD.log()),
    "infinite": (ValueError, GOOD / 0),
}


@pytest.mark.parametrize("measure", [sliced_wasserstein, frechet, nearest], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", BAD)
def test_refused_as_either_sample(name, measure):
    error, bad = BAD[name]
    for pair in ((bad, GOOD), (GOOD, bad)):
        with pytest.raises(error, match=r"^(x|y|reference) must .*; got"):
            measure(*pair)


CALLS = {
    "two sizes": ("x and y", lambda: sliced_wasserstein(GOOD, GOOD[:3])),
    "one point": ("y", lambda: frechet(GOOD, GOOD[:1])),
    "directions": ("directions", lambda: sliced_wasserstein(GOOD, GOOD, directions=0)),
    "seed": ("seed", lambda: sliced_wasserstein(GOOD, GOOD, seed=-1)),
}


@pytest.mark.parametrize("name", CALLS)
def test_refused(name):
    said, call = CALLS[name]
    with pytest.raises(ValueError, match=rf"^{said} must .*; got"):
        call()


@pytest.mark.parametrize("value", [True, 2.0])
def test_a_number_of_directions_is_whole(value):
    with pytest.raises(TypeError, match="directions must .*; got"):
        sliced_wasserstein(GOOD, GOOD, directions=value)
