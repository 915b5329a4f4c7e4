"""The data: facts about the real digits, and the formulas of the toy sets."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_moons

from helpers.data import digits, toy

from .support import DTYPES

few = settings(max_examples=20)
sizes, seeds = st.integers(2, 300), st.integers(0, 2**63 - 1)
TOYS = [toy.moons, toy.annuli, toy.spirals]


# --- digits -----------------------------------------------------------------------------------------------


def everything(split):
    x, y = (torch.cat(parts) for parts in zip(*split, strict=True))
    rows = torch.cat([16 * x.double(), y[:, None].double()], dim=1)
    return rows[sorted(range(len(rows)), key=lambda i: rows[i].tolist())]


@pytest.mark.parametrize("seed", [0, 1])
def test_digits_are_the_real_ones_each_once(seed):
    split = digits(seed)
    assert [part.shape for pair in split for part in pair] == [(1437, 64), (1437,), (360, 64), (360,)]
    rows = everything(split)
    pixels, labels = map(torch.from_numpy, load_digits(return_X_y=True))
    order = sorted(range(1797), key=lambda i: [*pixels[i].tolist(), labels[i].item()])
    assert torch.equal(rows, torch.cat([pixels, labels[:, None].double()], dim=1)[order])


def test_the_facts_in_the_docstring():
    rows = everything(digits())
    assert rows[:, :64].sum().item() == 561_718
    assert rows[:, 64].long().bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (rows[:, :64].min().item(), rows[:, :64].max().item()) == (0, 16)


def test_the_split_is_stratified():
    split = digits(4)
    whole = torch.cat([split.train[1], split.test[1]]).bincount()
    assert (split.test[1].bincount() - whole * 360 / 1797).abs().max() < 1


def test_the_seed_chooses_the_split():
    first, again, other = digits(0), digits(0), digits(1)
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    assert not torch.equal(first.test[0], other.test[0])
    assert not torch.equal(first.train[1], first.train[1].sort().values), "shuffled, not sorted by class"


@pytest.mark.parametrize("dtype", [*DTYPES, None], ids=str)
def test_digits_come_in_the_dtype_asked_for(dtype):
    (x, y), _ = digits(dtype=dtype)
    assert x.dtype == (dtype or torch.get_default_dtype())
    assert y.dtype == torch.int64


def test_another_size_of_the_test_set():
    split = digits(test_size=100)
    assert (len(split.train[0]), len(split.test[0])) == (1697, 100)
    for size in (0, 9, 1788, 5000):
        with pytest.raises(ValueError, match=f"test_size must lie between 10 and 1787; got {size}"):
            digits(test_size=size)


# --- toy --------------------------------------------------------------------------------------------------


@few
@given(n=sizes, seed=seeds, make=st.sampled_from(TOYS))
def test_toys_are_balanced_finite_and_reproducible(n, seed, make):
    x, y = make(n, seed=seed)
    assert x.shape == (n, 2) and y.tolist() == [i % 2 for i in range(n)]
    assert x.isfinite().all()
    torch.rand(3)
    assert torch.equal(make(n, seed=seed)[0], x), "the global generator plays a part"
    assert not torch.equal(make(n, seed=(seed + 1) % 2**63)[0], x)


@pytest.mark.parametrize("make", TOYS)
def test_toys_come_in_the_default_dtype_from_the_same_numbers(make):
    single = make(50)[0]
    assert single.dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        double = make(50)[0]
    finally:
        torch.set_default_dtype(torch.float32)
    assert double.dtype == torch.float64
    assert torch.equal(double.float(), single)


@pytest.mark.parametrize("make", TOYS)
def test_toys_leave_the_global_generator_alone(make):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    make(10)
    assert torch.equal(torch.rand(1), expected)


def on_moons(x, y):
    """Distance of each point from the half circle of its class; the circles are those of sklearn."""
    centre = torch.where(y[:, None] == 0, torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.5])).to(x)
    upright = torch.where(y == 0, 1.0, -1.0).to(x)
    offset = x - centre
    return (offset.norm(dim=1) - 1).abs() + (-upright * offset[:, 1]).clamp(min=0)


def test_moons_lie_where_sklearn_puts_them():
    theirs = [torch.from_numpy(part) for part in make_moons(100)]
    assert on_moons(*theirs).max() < 1e-12
    ours = toy.moons(400, noise=0.0)
    assert on_moons(*ours).max() < 1e-6
    for label in (0, 1):
        (low, high), expected = (x[y == label].double().aminmax(dim=0) for x, y in (ours, theirs))
        torch.testing.assert_close((low, high), tuple(expected), rtol=0, atol=0.02)


@pytest.mark.parametrize("make", [toy.moons, toy.spirals])
def test_noise_is_gaussian_of_the_stated_size(make):
    clean, noisy = make(4000, noise=0.0, seed=3)[0], make(4000, noise=0.2, seed=3)[0]
    difference = (noisy - clean).flatten()
    assert difference.std().item() == pytest.approx(0.2, rel=0.05)
    assert (difference.abs() < 0.2).double().mean().item() == pytest.approx(0.683, abs=0.03)


@few
@given(n=sizes, seed=seeds, radii=st.lists(st.floats(0.1, 10), min_size=3, max_size=3, unique=True))
def test_annuli_keep_to_their_radii(n, seed, radii):
    inner, low, high = sorted(radii)
    x, y = toy.annuli(n, inner=inner, outer=(low, high), seed=seed)
    r, slack = x.double().norm(dim=1), 1e-6 * high
    assert (r[y == 0] <= inner + slack).all()
    assert ((r[y == 1] >= low - slack) & (r[y == 1] <= high + slack)).all()


def test_annuli_are_filled_uniformly():
    """Uniform in area: r² is uniform on [0, a²] and [b², c²], and the angle on the circle."""
    x, y = toy.annuli(20_000, inner=0.5, outer=(1.0, 1.5))
    for label, low, high in [(0, 0.0, 0.25), (1, 1.0, 2.25)]:
        u = (x[y == label].double().square().sum(1) - low) / (high - low)
        assert u.mean().item() == pytest.approx(1 / 2, abs=0.012)
        assert u.square().mean().item() == pytest.approx(1 / 3, abs=0.012)
        assert x[y == label].mean(0).abs().max() < 0.04


def test_spirals_are_archimedean():
    x, y = toy.spirals(500, noise=0.0, turns=1.5)
    x, r = x.double(), x.double().norm(dim=1)
    angle = 2 * math.pi * 1.5 * r + math.pi * y
    torch.testing.assert_close(x, r[:, None] * torch.stack([angle.cos(), angle.sin()], 1), rtol=0, atol=1e-5)
    assert r.max() <= 1 + 1e-6
    assert r.square().mean().item() == pytest.approx(1 / 2, abs=0.06)


@pytest.mark.parametrize("make", TOYS)
def test_toys_need_a_point_a_class(make):
    with pytest.raises(ValueError, match="n must be at least 2.*got 1"):
        make(1)


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf")])
def test_noise_is_a_standard_deviation(noise):
    for make in (toy.moons, toy.spirals):
        with pytest.raises(ValueError, match="noise must be"):
            make(10, noise=noise)


@pytest.mark.parametrize("inner, outer", [(0, (1, 2)), (1, (1, 2)), (0.5, (2, 1)), (0.5, (1, math.inf))])
def test_annuli_refuse_radii_out_of_order(inner, outer):
    with pytest.raises(ValueError, match="radii must satisfy"):
        toy.annuli(10, inner=inner, outer=outer)


@pytest.mark.parametrize("turns", [0, -1, math.inf])
def test_spirals_must_turn(turns):
    with pytest.raises(ValueError, match="turns must be"):
        toy.spirals(10, turns=turns)


@pytest.mark.parametrize("make", TOYS)
def test_toys_want_whole_numbers(make):
    for n in (100.0, "100", None, True):
        with pytest.raises(TypeError, match="n must be a whole number, at least 2, one point a class; got"):
            make(n)
    for seed in (0.5, "1", None):
        with pytest.raises(TypeError, match="seed must be a whole number, at least 0; got"):
            make(10, seed=seed)
    for seed, told in ((-1, "at least 0; got -1"), (2**63, f"at most {2**63 - 1}; got {2**63}")):
        with pytest.raises(ValueError, match=f"seed must be {told}"):
            make(10, seed=seed)


def test_digits_refuse_what_would_truncate_them():
    for dtype in (torch.int64, torch.bool):
        with pytest.raises(TypeError, match=f"dtype must be a floating-point type.*got {dtype}"):
            digits(dtype=dtype)
    with pytest.raises(TypeError, match="seed must be a whole number, at least 0; got 0.5"):
        digits(0.5)
    with pytest.raises(ValueError, match="seed must be at most 4294967295; got 4294967296"):
        digits(2**32)
    with pytest.raises(TypeError, match="test_size must be a whole number; got 0.2"):
        digits(test_size=0.2)
