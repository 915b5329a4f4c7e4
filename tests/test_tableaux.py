"""Every tableau satisfies the order conditions of its order, and no more."""

from dataclasses import replace
from fractions import Fraction
from itertools import combinations_with_replacement
from math import prod

import numpy as np
import pytest
import torch

from helpers.solvers import adaptive
from helpers.solvers.tableaux import TABLEAUX, Tableau, get

THETAS = (0.1, 0.37, 0.5, 0.82, 1.0)
DENSE_ORDER = {"bosh3": 3, "dopri5": 4, "tsit5": 4, "kvaerno3": 3}


def trees(order):
    """Rooted trees with `order` vertices, a tree being the sorted tuple of its subtrees."""
    if order == 1:
        return [()]
    found = set()
    for parts in partitions(order - 1):
        choices = [list(combinations_with_replacement(trees(size), parts.count(size))) for size in sorted(set(parts))]
        stack = [()]
        for choice in choices:
            stack = [chosen + group for chosen in stack for group in choice]
        found.update(tuple(sorted(s)) for s in stack)
    return sorted(found)


def partitions(n, largest=None):
    """Lists of positive integers that add up to n, in falling order."""
    if n == 0:
        return [()]
    return [(k, *rest) for k in range(min(n, largest or n), 0, -1) for rest in partitions(n - k, k)]


def size(tree):
    return 1 + sum(map(size, tree))


def density(tree):
    return size(tree) * prod(map(density, tree))


def stage_weights(tree, a):
    """The elementary weight of a tree at every stage: the product over its subtrees of a · (their weights)."""
    return prod((a @ stage_weights(sub, a) for sub in tree), start=np.ones(len(a)))


def defect(b, a, order, theta=1.0):
    """The largest violation of Σ_i b_i Φ_i(τ) = θ^|τ| / γ(τ) over the trees of this order."""
    return max(abs(b @ stage_weights(tree, a) - theta**order / density(tree)) for tree in trees(order))


def test_the_trees_themselves():
    assert [len(trees(n)) for n in range(1, 7)] == [1, 1, 2, 4, 9, 20]
    bushy = ((), (), ())
    assert (size(bushy), density(bushy)) == (4, 4)
    tall = (((),),)
    assert Fraction(1, density(tall)) == Fraction(1, 6)


@pytest.mark.parametrize("name", TABLEAUX)
def test_order_of_the_step(name):
    tableau = get(name)
    a, b = np.array(tableau.a), np.array(tableau.b)
    np.testing.assert_allclose(a.sum(1), tableau.c, atol=1e-14)
    for order in range(1, tableau.order + 1):
        assert defect(b, a, order) < 1e-13
    assert defect(b, a, tableau.order + 1) > 1e-5


@pytest.mark.parametrize("name", [name for name in TABLEAUX if TABLEAUX[name].adaptive])
def test_embedded_and_dense_weights(name):
    tableau = get(name)
    a, b = np.array(tableau.a), np.array(tableau.b)
    embedded = b - np.array(tableau.b_error)
    assert max(defect(embedded, a, order) for order in range(1, tableau.error_order + 1)) < 1e-13
    assert defect(embedded, a, tableau.error_order + 1) > 1e-5
    for theta in THETAS:
        weights = np.array(tableau.dense) @ [theta ** (m + 1) for m in range(len(tableau.dense[0]))]
        assert max(defect(weights, a, order, theta) for order in range(1, DENSE_ORDER[name] + 1)) < 1e-13
    # the loop of an adaptive solve counts on the last stage being the next step's first
    assert tableau.first_same_as_last
    # and an implicit one that both results are stages, so that the difference stays bounded on a stiff problem
    assert tableau.explicit or (tableau.stiffly_accurate and np.allclose(embedded, a[-2], atol=1e-15))


@pytest.mark.parametrize("name", TABLEAUX)
def test_shapes(name):
    tableau = get(name)
    assert {len(row) for row in tableau.a} == {len(tableau.a)} == {tableau.stages} == {len(tableau.c)}
    assert tableau.explicit == (np.triu(np.array(tableau.a)) == 0).all()


@pytest.mark.parametrize("name", TABLEAUX)
def test_what_is_solved_together(name):
    """Every stage needs those of its own block and of earlier ones only."""
    tableau = get(name)
    assert [i for block in tableau.blocks for i in block] == list(range(tableau.stages))
    for block in tableau.blocks:
        assert all(tableau.a[i][j] == 0 for i in block for j in range(block[-1] + 1, tableau.stages))
    assert (len(tableau.blocks) == tableau.stages) == (tableau.explicit or tableau.diagonally_implicit)


def test_inverse_of_a_fully_implicit_method():
    tableau = get("gauss4")
    np.testing.assert_allclose(np.array(tableau.a) @ tableau.inverse, np.eye(2), atol=1e-14)
    # the two-stage Gauss method ends at y + √3 (Y_2 − Y_1)
    np.testing.assert_allclose(np.array(tableau.b) @ tableau.inverse, [-(3**0.5), 3**0.5], atol=1e-14)


def test_gauss_is_the_collocation_of_its_order():
    """Σ_j a_ij c_j^(k−1) = c_i^k / k for k ≤ s, and symplectic: b_i a_ij + b_j a_ji = b_i b_j (HLW 2006, VI.4)."""
    for name in ("implicit_midpoint", "gauss4"):
        tableau = get(name)
        a, b, c = map(np.array, (tableau.a, tableau.b, tableau.c))
        for k in range(1, tableau.stages + 1):
            np.testing.assert_allclose(a @ c ** (k - 1), c**k / k, atol=1e-15)
        np.testing.assert_allclose(b[:, None] * a + b * a.T, np.outer(b, b), atol=1e-15)


def test_rk4_is_the_classic_one_and_not_the_three_eighths_rule():
    assert get("rk4").b == (1 / 6, 1 / 3, 1 / 3, 1 / 6)
    assert get("rk4_38").b == (1 / 8, 3 / 8, 3 / 8, 1 / 8)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="euler.*dopri5.*got 'dopri'"):
        get("dopri")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("heun2", {"a": ((0.0,), (1.0,))}, r"a must hold len\(b\) = 2 rows of as many entries, in the tableau 'heun2'"),
        ("heun2", {"a": ((0.0, 0.0),)}, r"a must hold len\(b\) = 2 rows"),
        ("heun2", {"b": (0.5, 0.5, 0.0)}, r"a must hold len\(b\) = 3 rows"),
        ("euler", {"a": (), "b": (), "c": ()}, r"a must hold"),
        ("heun2", {"c": (0.0,)}, r"c must hold len\(b\) = 2 entries.*got \(0.0,\)"),
        ("heun2", {"c": (0.0, 0.5)}, r"c must be the row sums of a.*got \(0.0, 0.5\)"),
        ("heun2", {"c": (0.0, float("nan"))}, r"c must be the row sums of a"),
        ("heun2", {"b": (0.5, 0.4)}, r"b must sum to 1.*got \(0.5, 0.4\)"),
        ("gauss4", {"a": ((0.5, -0.5), (0.5, -0.5)), "c": (0.0, 0.0)}, r"a must be invertible, or lower triangular"),
        ("bosh3", {"dense": get("bosh3").dense[:3]}, r"dense must hold 4 rows alike"),
        ("bosh3", {"dense": get("dopri5").dense[:4]}, r"dense must have the row sums b"),
        ("bosh3", {"dense": None}, r"dense must be given beside b_error.*got None"),
        ("bosh3", {"b_error": (0.5, -0.5)}, r"b_error must hold 4 entries that sum to 0"),
        ("bosh3", {"b_error": (0.5, -0.4, 0.0, 0.0)}, r"b_error must hold 4 entries that sum to 0"),
        ("bosh3", {"error_order": None}, r"error_order must be ≥ 1 beside b_error.*got None"),
        # Heun's method with Euler's inside, a fine pair: but its last slope is not the next step's first
        ("heun2", {"b_error": (-0.5, 0.5), "error_order": 1, "dense": ((1.0, -0.5), (0.0, 0.5))},
         r"a must have b for its last row, and zeros for its first, beside b_error"),
    ],
)  # fmt: skip
def test_a_tableau_that_is_none_is_refused(name, change, words):
    with pytest.raises(ValueError, match=words):
        replace(get(name), **change)


def test_an_inconsistent_method_may_be_looked_at():
    Tableau("backwards", 0, ((-0.5,),), (-1.0,), (-0.5,), "order 0")


@pytest.mark.parametrize("swapped", [False, True])
def test_an_error_is_measured_against_the_larger_end_of_the_step(swapped):
    """√(mean (h Σ e_i k_i / (atol + rtol max(|y|, |y_next|)))²), whichever end the larger entry is at."""
    control, slopes = adaptive.Control(rtol=0.1, atol=0.01), torch.tensor([[1.0, 2], [3, -1], [0, 4], [2, 2]]).double()
    ends = torch.tensor([[5.0, 0.1], [1.0, 7.0]]).double()
    found = adaptive._error(get("bosh3"), list(slopes), 0.5, *(ends.flip(0) if swapped else ends), control)
    estimate = 0.5 * torch.tensor(get("bosh3").b_error).double() @ slopes
    scaled = estimate / torch.tensor([0.01 + 0.5, 0.01 + 0.7])
    assert found == pytest.approx(scaled.square().mean().sqrt().item(), rel=1e-6)
