"""What a method does to the test equation y' = λy, and how fast it converges.

One step of size h multiplies y by R(z), z = hλ: the stability function. The method is stable at z when repeated steps
stay bounded, |R(z)| ≤ 1.
"""

from __future__ import annotations

import math

import numpy as np

from .tableaux import TABLEAUX, Tableau, get

# Linear multistep methods Σ_j α_j y_{n+j} = h Σ_j β_j f_{n+j} through their polynomials, highest power first.
CHARACTERISTIC = {"ab2": ((1.0, -1.0, 0.0), (0.0, 1.5, -0.5))}


def stability_function(method):
    """R(z) of a Runge–Kutta method, as a function of a complex number or array.

        R(z) = det(I − zA + z 1 bᵀ) / det(I − zA)      (Hairer & Wanner 1996, IV.3, Proposition 3.2)

    A polynomial for an explicit method, a rational function for an implicit one.

    Args:
        method: The name of a method, or a `Tableau`.

    Raises:
        ValueError: There is no Runge–Kutta method of this name.
    """
    tableau = method if isinstance(method, Tableau) else get(method)
    a, b = np.array(tableau.a), np.array(tableau.b)
    # det(I − zM) is the characteristic polynomial of M with its coefficients in reverse
    numerator, denominator = _trim(np.poly(a - b)), _trim(np.poly(a))

    def stability(z):
        z = np.asarray(z)
        with np.errstate(
            divide="ignore", invalid="ignore"
        ):  # infinite at a pole of an implicit method, as it should be
            return np.polyval(numerator[::-1], z) / np.polyval(denominator[::-1], z)

    return stability


def _trim(coefficients):
    """Drop what is rounding: np.poly goes through eigenvalues, and a zero coefficient comes out as 1e-17."""
    coefficients = np.real(coefficients)
    coefficients[np.abs(coefficients) < 1e-13] = 0.0
    return coefficients


def amplification(method, z):
    """By how much one step at z = hλ can grow a solution of y' = λy: |R(z)|, or the largest root of a multistep method.

    Args:
        method: A Runge–Kutta method by name or `Tableau`, or the name of a multistep method.
        z: Complex number or array of any shape.

    Returns:
        Array of z's shape. The roots of a multistep method are those of ρ(ζ) − zσ(ζ) (Hairer & Wanner 1996, V.1).

    Raises:
        ValueError: The method is unknown.
    """
    if isinstance(method, str) and method in CHARACTERISTIC:
        return _largest_root(method, np.asarray(z, dtype=complex))
    if isinstance(method, str) and method not in TABLEAUX:
        raise ValueError(f"method must be one of {', '.join([*TABLEAUX, *CHARACTERISTIC])}; got {method!r}")
    return np.abs(stability_function(method)(z))


def _largest_root(method, z):
    """The spectral radius of the recursion's companion matrix, for every z at once."""
    rho, sigma = map(np.array, CHARACTERISTIC[method])
    polynomial = rho - z[..., None] * sigma
    degree = len(rho) - 1
    companion = np.zeros((*z.shape, degree, degree), dtype=complex)
    companion[..., 0, :] = -polynomial[..., 1:] / polynomial[..., :1]
    companion[..., range(1, degree), range(degree - 1)] = 1
    return np.abs(np.linalg.eigvals(companion)).max(-1)


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


def observed_order(steps, errors):
    """The slope p in error ≈ C h^p, by least squares in the log–log plane.

    Args:
        steps: Numbers of steps over one interval, n values (h is proportional to 1/steps).
        errors: The errors made with them, n positive values.

    Returns:
        The order as a float. It means something only in the asymptotic range, with four step numbers or more.

    Raises:
        ValueError: Fewer than two distinct step numbers, different lengths, or a value that is not positive and finite.
    """
    steps, errors = [float(s) for s in steps], [float(e) for e in errors]
    if len(steps) != len(errors) or len(set(steps)) < 2:
        raise ValueError(f"steps and errors must be of one length with ≥ 2 distinct steps; got {steps} and {errors}")
    for name, values in (("steps", steps), ("errors", errors)):
        if not all(0 < v < math.inf for v in values):
            raise ValueError(f"{name} must be positive and finite; got {values}")
    return float(-np.polyfit(np.log(steps), np.log(errors), 1)[0])
