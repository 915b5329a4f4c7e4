"""What a method does to the test equation y' = λy.

One step of size h multiplies y by R(z), z = hλ: the stability function. The method is stable at z when repeated steps
stay bounded, |R(z)| ≤ 1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..tableaux import TABLEAUX, Tableau, get

# Linear multistep methods Σ_j α_j y_{n+j} = h Σ_j β_j f_{n+j} through their polynomials, highest power first.
CHARACTERISTIC = {"ab2": ((1.0, -1.0, 0.0), (0.0, 1.5, -0.5))}

# coefficients and values below this, relative to what they are made of, are rounding
ROUNDING = 1e-12
# a boundary is cut where it leaves for infinity, as that of an A-stable method may
HORIZON = 100.0


class Limits(NamedTuple):
    """How far a stability region reaches: z = −x is stable for x in [0, real], z = iy for y in [0, imaginary]."""

    real: float
    imaginary: float


def stability_function(method):
    """R(z) of a Runge–Kutta method, as a function of a complex number or array.

        R(z) = 1 + z bᵀ (I − zA)⁻¹ 1 = N(z) / det(I − zA)      (Hairer & Wanner 1996, IV.3)

    A polynomial for an explicit method, a rational function for an implicit one.

    Args:
        method: The name of a method, or a `Tableau`.

    Raises:
        ValueError: There is no Runge–Kutta method of this name.
    """
    numerator, denominator = (np.array(p[::-1]) for p in _rational(_tableau(method)))

    def stability(z):
        z = np.asarray(z)
        # infinite at a pole of an implicit method, as it should be
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.polyval(numerator, z) / np.polyval(denominator, z)

    return stability


def _tableau(method):
    return method if isinstance(method, Tableau) else get(method)


@lru_cache(maxsize=64)
def _rational(tableau):
    """Numerator and denominator of R, lowest power first, without leading zeros."""
    a, b = np.array(tableau.a), np.array(tableau.b)
    # det(I − zA) is the characteristic polynomial of A with its coefficients in reverse; 1 for an explicit method
    denominator = _trim(np.real(np.poly(a)))
    # R = 1 + Σ_k z^k bᵀA^(k−1)1, and N is the start of its product with the denominator
    moments, vector = [1.0], np.ones(len(b))
    for _ in b:
        moments.append(b @ vector)
        vector = a @ vector
    return tuple(_trim(np.convolve(moments, denominator)[: len(b) + 1])), tuple(denominator)


def _trim(coefficients):
    """Without what is rounding, and without zeros at the end."""
    small = np.abs(coefficients) < ROUNDING * np.abs(coefficients).max(initial=0)
    return np.trim_zeros(np.where(small, 0.0, coefficients), "b")


def amplification(method, z):
    """By how much one step at z = hλ can grow a solution of y' = λy: |R(z)|, or the largest root of a multistep method.

    Args:
        method: A Runge–Kutta method by name or `Tableau`; a multistep method by name, or as the pair (ρ, σ) of its
            polynomials, coefficients α and β with the highest power first.
        z: Complex number or array of any shape.

    Returns:
        Array of z's shape. The roots of a multistep method are those of ρ(ζ) − zσ(ζ) (Hairer & Wanner 1996, V.1).

    Raises:
        ValueError: The method is unknown.
    """
    polynomials = _multistep(method)
    if polynomials is not None:
        return _largest_root(*polynomials, np.asarray(z, dtype=complex))
    return np.abs(stability_function(method)(z))


def _multistep(method):
    """(ρ, σ) of a multistep method, None for a Runge–Kutta method."""
    if isinstance(method, Tableau):
        return None
    if isinstance(method, tuple) and len(method) == 2:
        rho, sigma = (np.asarray(p, dtype=float) for p in method)
        if rho.ndim != 1 or rho.shape != sigma.shape or len(rho) < 2 or rho[0] == 0:
            raise ValueError(f"method must hold two polynomials of one length ≥ 2 with ρ[0] ≠ 0; got {method}")
        return rho, sigma
    if method in CHARACTERISTIC:
        return tuple(map(np.array, CHARACTERISTIC[method]))
    if method not in TABLEAUX:
        raise ValueError(f"method must be one of {', '.join([*TABLEAUX, *CHARACTERISTIC])}; got {method!r}")
    return None


def _largest_root(rho, sigma, z):
    """The spectral radius of the recursion's companion matrix, for every z at once."""
    polynomial = rho - z[..., None] * sigma
    return np.abs(_roots(polynomial)).max(-1)


def _roots(polynomials):
    """The roots of polynomials of one degree, shape (..., degree + 1), highest power first: (..., degree)."""
    degree = polynomials.shape[-1] - 1
    companion = np.zeros((*polynomials.shape[:-1], degree, degree), dtype=complex)
    companion[..., 0, :] = -polynomials[..., 1:] / polynomials[..., :1]
    companion[..., range(1, degree), range(degree - 1)] = 1
    return np.linalg.eigvals(companion)


def satisfies_root_condition(polynomial):
    """Whether all roots lie in the closed unit disc, and those on the circle are simple.

    A multistep method is zero-stable when its ρ does (Dahlquist 1956), and stable at z when ρ − zσ does.

    Args:
        polynomial: Coefficients, highest power first, real or complex; the first is not 0.

    Raises:
        ValueError: It is not a polynomial of degree ≥ 1.
    """
    polynomial = np.asarray(polynomial)
    if polynomial.ndim != 1 or len(polynomial) < 2 or polynomial[0] == 0:
        raise ValueError(f"polynomial must hold ≥ 2 coefficients, the first not 0; got {polynomial.tolist()}")
    roots = np.roots(polynomial)
    # a double root comes out of floating point as two, the square root of the rounding apart
    near = 1e-6
    if (np.abs(roots) > 1 + near).any():
        return False
    apart = np.abs(roots[:, None] - roots) + 2 * np.eye(len(roots))
    on_circle = np.abs(np.abs(roots) - 1) <= near
    repeated = (apart <= 2 * near).any(1)
    return bool(not (on_circle & repeated).any() and (np.abs(roots[~repeated]) <= 1 + ROUNDING * 100).all())


def stability_region(method, real, imaginary):
    """Where on a grid of the complex plane the method is stable.

    Args:
        method: As for `amplification`.
        real, imaginary: Grid of z = hλ, shapes (n,) and (m,).

    Returns:
        Boolean array of shape (m, n), true where the amplification is at most one.
    """
    z = np.asarray(real)[None, :] + 1j * np.asarray(imaginary)[:, None]
    return amplification(method, z) <= 1 + 1e-12


# --- limits -------------------------------------------------------------------------------------------------------


def stability_limits(method):
    """How far the stability region reaches along the negative real and the imaginary axis, from 0 without a gap.

    From the sign changes of |D|² − |N|² along the axis, a polynomial (on the imaginary axis Nørsett's E-polynomial:
    Hairer & Wanner 1996, IV.3), so exact to rounding; of a multistep method from the points where its root locus
    crosses the axis, between which the root condition decides. The imaginary limit is 0 where the axis is left at
    once, as by Euler's method, however little the growth.

    Args:
        method: As for `amplification`.

    Returns:
        Limits(real, imaginary), floats; infinite where there is none.

    Raises:
        ValueError: The method is unknown.
    """
    if (polynomials := _multistep(method)) is not None:
        return Limits(*(_multistep_reach(*polynomials, axis) for axis in (-1.0, 1j)))
    numerator, denominator = map(np.array, _rational(_tableau(method)))
    return Limits(*(_reach(_margin(numerator, denominator, axis)) for axis in (-1.0, 1j)))


def _margin(numerator, denominator, axis):
    """|D(z)|² − |N(z)|² at z = axis · x as a polynomial in x, lowest power first, rounding removed."""

    def squared(polynomial):
        turned = polynomial * axis ** np.arange(len(polynomial))
        return np.convolve(turned, turned.conj())

    # what a coefficient is made of tells what of it is rounding
    size = max(len(numerator), len(denominator))
    pad = lambda p: np.pad(p, (0, size - len(p)))  # noqa: E731
    margin = np.real(squared(pad(denominator)) - squared(pad(numerator)))
    made_of = np.convolve(np.abs(pad(denominator)), np.abs(pad(denominator)))
    made_of = made_of + np.convolve(np.abs(pad(numerator)), np.abs(pad(numerator)))
    return np.where(np.abs(margin) <= ROUNDING * made_of, 0.0, margin)


def _reach(margin):
    """The end of the interval [0, x] on which the polynomial is not negative."""
    roots = np.roots(np.trim_zeros(margin, "b")[::-1]) if margin.any() else np.array([])
    changes = roots.real[(np.abs(roots.imag) < 1e-7 * np.abs(roots)) & (roots.real > 1e-9)]

    def stable(x):
        powers = x ** np.arange(len(margin))
        return margin @ powers >= -ROUNDING * (np.abs(margin) @ powers)

    return _until(np.sort(changes), stable)


def _until(changes, stable):
    """The first of the rising points `changes` that an interval which is not stable begins at, 0 among them."""
    ends = [0.0, *changes, (changes[-1] if len(changes) else 1.0) * 2 + 1]
    for left, right in zip(ends[:-1], ends[1:], strict=True):
        if not stable((left + right) / 2):
            return float(left)
    return math.inf


def _multistep_reach(rho, sigma, axis):
    """The end of the interval [0, x] in which all z = axis · x satisfy the root condition."""
    # z = ρ(ζ)/σ(ζ) with |ζ| = 1 lies on the axis where z ± conj(z) = 0, a polynomial in ζ, since conj(ζ) = 1/ζ
    turned = np.convolve(rho, sigma[::-1]), np.convolve(rho[::-1], sigma)
    crossing = turned[0] - turned[1] if axis == -1.0 else turned[0] + turned[1]
    crossing = np.where(np.abs(crossing) <= ROUNDING * (np.abs(turned[0]) + np.abs(turned[1])), 0.0, crossing)
    # and where the locus lies along the axis, the region may end where it turns back
    turning = np.polysub(np.polymul(np.polyder(rho), sigma), np.polymul(rho, np.polyder(sigma)))
    circle = np.concatenate([np.roots(crossing), np.roots(turning)])
    # ζ = 1 is z = 0 and a root of a multiplicity m up to the order + 2: it comes out of floating point as a ring of
    # radius eps^(1/m), which the last line leaves out
    circle = circle[np.abs(np.abs(circle) - 1) < 1e-6]
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.polyval(rho, circle) / np.polyval(sigma, circle) / axis
    x = z.real[np.isfinite(z) & (np.abs(z.imag) < 1e-6 * np.abs(z)) & (z.real > 0.01)]
    return _until(np.sort(x), lambda x: satisfies_root_condition(rho - axis * x * sigma))


def is_a_stable(method):
    """Whether the stability region holds the whole left half-plane.

    That is so when R, or the roots of a multistep method, have no pole there and |R| ≤ 1 on the imaginary axis (Hairer
    & Wanner 1996, IV.3 and V.1). Explicit methods never are, nor are multistep methods of an order above two
    (Dahlquist 1963).

    Args:
        method: As for `amplification`.

    Raises:
        ValueError: The method is unknown.
    """
    if (polynomials := _multistep(method)) is not None:
        rho, sigma = polynomials
        return bool(rho[0] * sigma[0] > 0 and stability_limits(method).imaginary == math.inf)
    _, denominator = _rational(_tableau(method))
    poles = np.roots(denominator[::-1])
    return bool((poles.real > 0).all() and stability_limits(method).imaginary == math.inf)


def is_l_stable(method):
    """Whether the method is A-stable and R(z) → 0 as z → ∞, so that what is very stiff is damped away.

    Args:
        method: As for `amplification`.

    Raises:
        ValueError: The method is unknown.
    """
    if (polynomials := _multistep(method)) is not None:
        return is_a_stable(method) and not polynomials[1][1:].any()
    numerator, denominator = _rational(_tableau(method))
    return is_a_stable(method) and len(numerator) < len(denominator)


# --- the boundary as a curve --------------------------------------------------------------------------------------


def stability_boundary(method, points=400):
    """The curves on which R(z) has modulus one: the boundary of the stability region.

    They are the roots of N(z) = e^{iφ} D(z) as φ goes round, followed from one φ to the next. For a multistep method
    the curve is z = ρ(e^{iφ}) / σ(e^{iφ}), the root locus, of which parts may lie outside the region (Hairer & Wanner
    1996, V.1).

    Args:
        method: As for `amplification`.
        points: Number of angles φ, ≥ 8 (an odd one is rounded up); a curve may take φ round several times.

    Returns:
        List of complex arrays, each a closed curve with its first point repeated at the end. What is farther from 0
        than 100 is NaN, so that a plot breaks the line where a curve goes through infinity. Cached: the first call
        takes a few milliseconds.

    Raises:
        ValueError: The method is unknown, or `points` < 8.
    """
    if not isinstance(points, int) or points < 8:
        raise ValueError(f"points must be an integer ≥ 8; got {points!r}")
    polynomials = _multistep(method)
    if polynomials is not None:
        circle = np.exp(1j * _angles(points))
        with np.errstate(divide="ignore", invalid="ignore"):
            locus = np.polyval(polynomials[0], circle) / np.polyval(polynomials[1], circle)
        return [_closed(locus)]
    return [curve.copy() for curve in _locus(_tableau(method), points)]


def _angles(points):
    # between the special angles 0 and π, at which a root may be infinite
    return 2 * np.pi * (np.arange(points) + 0.5) / points


@lru_cache(maxsize=64)
def _locus(tableau, points):
    numerator, denominator = map(np.array, _rational(tableau))
    size = max(len(numerator), len(denominator))
    numerator, denominator = (np.pad(p, (0, size - len(p)))[::-1] for p in (numerator, denominator))
    upper = _angles(points + points % 2)[: (points + 1) // 2]
    roots = _roots(numerator - np.exp(1j * upper)[:, None] * denominator)
    roots = np.concatenate([roots, roots[::-1].conj()])  # R is real on the real axis: −φ belongs to conj(z)
    branches = _followed(np.concatenate([roots, roots[:1]]))
    # branch k ends at φ = 2π where branch follows[k] began at φ = 0
    ends, starts = branches[-1], branches[0]
    follows = np.abs(ends[:, None] - starts).argmin(1)
    curves, left = [], set(range(len(starts)))
    while left:
        k, pieces = min(left), []
        while k in left:
            left.remove(k)
            pieces.append(branches[:-1, k])
            k = int(follows[k])
        curves.append(_closed(np.concatenate(pieces)))
    return curves


def _followed(roots):
    """The roots of each row in such an order that a column is continuous: each takes its nearest neighbour."""
    count = roots.shape[1]
    if count == 1:
        return roots
    # distances on the sphere, on which a root at infinity is as near as any other
    x, scale = roots, np.sqrt(1 + np.abs(roots) ** 2)
    distance = np.abs(x[1:, None, :] - x[:-1, :, None]) / (scale[1:, None, :] * scale[:-1, :, None])
    nearest = distance.argmin(2)
    order, rows = np.arange(count), [roots[0]]
    for k, (step, table) in enumerate(zip(nearest.tolist(), distance, strict=True)):
        if len(set(step)) < count:
            step = _one_to_one(table)
        order = [step[i] for i in order]
        rows.append(roots[k + 1, order])
    return np.array(rows)


def _one_to_one(distance):
    """Pairs of least distance, nearest first: where two roots nearly meet, both would take the same one."""
    distance, partner = distance.copy(), [0] * len(distance)
    for _ in partner:
        i, j = np.unravel_index(distance.argmin(), distance.shape)
        partner[i] = int(j)
        distance[i, :], distance[:, j] = np.inf, np.inf
    return partner


def _closed(curve):
    curve = np.append(curve, curve[0])
    curve[~(np.abs(curve) <= HORIZON)] = complex(math.nan, math.nan)
    return curve
