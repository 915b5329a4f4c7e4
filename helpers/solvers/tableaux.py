"""Runge–Kutta methods as data: adding a method is adding a row.

A method with s stages advances y' = f(t, y) by one step h through

    k_i = f(t + c_i h,  y + h Σ_j a_ij k_j),        y_next = y + h Σ_i b_i k_i.

It is explicit when a_ij = 0 for j ≥ i, diagonally implicit when a_ij = 0 for j > i, and else fully implicit.
Coefficients are written as exact fractions wherever their authors gave fractions; `tests/test_tableaux.py` checks each
against the order conditions (rooted trees: Hairer, Nørsett & Wanner 1993, Solving Ordinary Differential Equations I,
II.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction as F
from functools import cached_property
from math import sqrt

import numpy as np


@dataclass(frozen=True)
class Tableau:
    """The coefficients of a Runge–Kutta method.

    Attributes:
        name: The name that `odeint` knows it by.
        order: Order of y_next: the local error is O(h^(order + 1)).
        a: s rows of s entries, the stages' weights.
        b: s weights of the step.
        c: s abscissae, in units of the step.
        source: Where the coefficients come from.
        b_error: s weights of the local error estimate (b minus the embedded method's weights), or None.
        error_order: The order of the embedded method, or None.
        dense: s rows of the polynomials b_i(θ) = Σ_m dense[i][m] θ^(m+1) that continue the step to
            y(t + θh) = y + h Σ_i b_i(θ) k_i for θ in [0, 1], or None.
    """

    name: str
    order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    source: str
    b_error: tuple[float, ...] | None = None
    error_order: int | None = None
    dense: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self):
        """That the coefficients are those of a method, and of one that the loops here can walk with.

        Raises:
            ValueError: They are not; the text names the attribute, what was given and what is allowed.
        """
        s = len(self.b)
        self._must(s > 0 and [len(row) for row in self.a] == [s] * s, "a", f"hold len(b) = {s} rows of as many entries")
        self._must(len(self.c) == s, "c", f"hold len(b) = {s} entries")
        self._must(_near(map(sum, self.a), self.c), "c", "be the row sums of a")
        # a method that is not even consistent is still one to look at
        self._must(self.order == 0 or _near([sum(self.b)], [1]), "b", "sum to 1")
        one_by_one = self.explicit or self.diagonally_implicit
        self._must(one_by_one or np.linalg.matrix_rank(self.a) == s, "a", "be invertible, or lower triangular")
        if self.dense is not None:
            self._must(len(self.dense) == s and len(set(map(len, self.dense))) == 1, "dense", f"hold {s} rows alike")
            self._must(_near(map(sum, self.dense), self.b), "dense", "have the row sums b, to end in the step's result")
        if self.b_error is not None:
            # what an adaptive loop takes for granted
            self._must(len(self.b_error) == s and _near([sum(self.b_error)], [0]), "b_error",
                       f"hold {s} entries that sum to 0")  # fmt: skip
            self._must(self.error_order is not None and self.error_order >= 1, "error_order", "be ≥ 1 beside b_error")
            self._must(self.dense is not None, "dense", "be given beside b_error")
            self._must(self.first_same_as_last, "a", "have b for its last row, and zeros for its first, beside b_error")

    def _must(self, holds, name, what):
        if not holds:
            raise ValueError(f"{name} must {what}, in the tableau {self.name!r}; got {getattr(self, name)}")

    @property
    def stages(self) -> int:
        return len(self.b)

    @cached_property
    def explicit(self) -> bool:
        return all(a == 0 for i, row in enumerate(self.a) for a in row[i:])

    @cached_property
    def diagonally_implicit(self) -> bool:
        """Whether the stages can be solved one after the other, each as a system of the state's own size."""
        return not self.explicit and all(a == 0 for i, row in enumerate(self.a) for a in row[i + 1 :])

    @cached_property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Which stages are computed together, one by one, or all at once where the method is fully implicit."""
        one_by_one = self.explicit or self.diagonally_implicit
        return tuple((i,) for i in range(self.stages)) if one_by_one else (tuple(range(self.stages)),)

    @cached_property
    def stiffly_accurate(self) -> bool:
        """Whether y_next is the last stage itself (Hairer & Wanner 1996, IV.15)."""
        return not self.explicit and self.a[-1] == self.b

    @cached_property
    def inverse(self) -> tuple[tuple[float, ...], ...]:
        """A⁻¹ of a fully implicit method; it makes slopes of stages, h k = A⁻¹ (Y − y), without another evaluation."""
        return tuple(map(tuple, np.linalg.inv(np.array(self.a)).tolist()))

    @property
    def adaptive(self) -> bool:
        return self.b_error is not None

    @cached_property
    def first_same_as_last(self) -> bool:
        """Whether the last stage is evaluated at y_next, so that the next step has its first stage for free."""
        return self.a[-1] == self.b and self.c[-1] == 1 and not any(self.a[0]) and self.stages > 1

    @cached_property
    def nonzero_rows(self) -> tuple[tuple[tuple[int, float], ...], ...]:
        """Per stage the pairs (j, a_ij) with a_ij ≠ 0, which a step has to add up."""
        return tuple(_nonzero(row) for row in self.a)

    @cached_property
    def nonzero_weights(self) -> tuple[tuple[int, float], ...]:
        return _nonzero(self.b)

    @cached_property
    def nonzero_error(self) -> tuple[tuple[int, float], ...]:
        return _nonzero(self.b_error)


def _near(given, wanted):
    return all(abs(x - y) <= 1e-9 for x, y in zip(given, wanted, strict=True))


def _nonzero(weights):
    return tuple((j, float(w)) for j, w in enumerate(weights) if w)


def _tableau(name, order, a, b, c, source, **more):
    """Fill every row up to s entries with zeros and turn fractions into floats."""
    rows = tuple(tuple(map(float, row)) + (0.0,) * (len(b) - len(row)) for row in a)
    more = {k: tuple(map(float, v)) if k == "b_error" else v for k, v in more.items()}
    return Tableau(name, order, rows, tuple(map(float, b)), tuple(map(float, c)), source, **more)


# --- continuous extensions ----------------------------------------------------------------------------------------


def _hermite(b, last):
    """The cubic through both ends of the step with the slopes k_0 and k_last there: order 3, no extra stage."""
    rows = [[F(0), 3 * w, -2 * w] for w in map(F, b)]
    for m, w in enumerate((1, -2, 1)):
        rows[0][m] += w
    for m, w in enumerate((0, -1, 1)):
        rows[last][m] += w
    return tuple(tuple(map(float, row)) for row in rows)


def _quartic(b, last, d):
    """The Hermite cubic plus h θ²(1 − θ)² Σ d_i k_i: order 4 for the right d (Hairer et al. 1993, II.6)."""
    cubic = _hermite(b, last)
    return tuple((*_plus(row, (0, w, -2 * w)), w) for row, w in zip(cubic, map(float, d), strict=True))


def _plus(row, other):
    return tuple(x + y for x, y in zip(row, other, strict=True))


# --- explicit, fixed step -----------------------------------------------------------------------------------------

_EXPLICIT = [
    _tableau("euler", 1, [[]], [1], [0], "Euler 1768"),
    _tableau("midpoint", 2, [[], [F(1, 2)]], [0, 1], [0, F(1, 2)], "Runge 1895"),
    _tableau("heun2", 2, [[], [1]], [F(1, 2), F(1, 2)], [0, 1], "Heun 1900"),
    _tableau("ralston", 2, [[], [F(2, 3)]], [F(1, 4), F(3, 4)], [0, F(2, 3)], "Ralston 1962"),
    _tableau("heun3", 3, [[], [F(1, 3)], [0, F(2, 3)]], [F(1, 4), 0, F(3, 4)], [0, F(1, 3), F(2, 3)], "Heun 1900"),
    _tableau(
        "rk4", 4, [[], [F(1, 2)], [0, F(1, 2)], [0, 0, 1]],
        [F(1, 6), F(1, 3), F(1, 3), F(1, 6)], [0, F(1, 2), F(1, 2), 1], "Kutta 1901, the classic method",
    ),
    _tableau(
        "rk4_38", 4, [[], [F(1, 3)], [F(-1, 3), 1], [1, -1, 1]],
        [F(1, 8), F(3, 8), F(3, 8), F(1, 8)], [0, F(1, 3), F(2, 3), 1], "Kutta 1901, the 3/8 rule",
    ),
]  # fmt: skip

# --- explicit, adaptive -------------------------------------------------------------------------------------------

_BOSH3_B = [F(2, 9), F(1, 3), F(4, 9), 0]
_BOSH3 = _tableau(
    "bosh3", 3, [[], [F(1, 2)], [0, F(3, 4)], _BOSH3_B[:3]], _BOSH3_B, [0, F(1, 2), F(3, 4), 1],
    "Bogacki & Shampine 1989",
    b_error=[F(2, 9) - F(7, 24), F(1, 3) - F(1, 4), F(4, 9) - F(1, 3), -F(1, 8)], error_order=2,
    dense=_hermite(_BOSH3_B, last=3),
)  # fmt: skip

_DOPRI5_B = [F(35, 384), 0, F(500, 1113), F(125, 192), F(-2187, 6784), F(11, 84), 0]
_DOPRI5 = _tableau(
    "dopri5", 5,
    [
        [],
        [F(1, 5)],
        [F(3, 40), F(9, 40)],
        [F(44, 45), F(-56, 15), F(32, 9)],
        [F(19372, 6561), F(-25360, 2187), F(64448, 6561), F(-212, 729)],
        [F(9017, 3168), F(-355, 33), F(46732, 5247), F(49, 176), F(-5103, 18656)],
        _DOPRI5_B[:6],
    ],
    _DOPRI5_B, [0, F(1, 5), F(3, 10), F(4, 5), F(8, 9), 1, 1],
    "Dormand & Prince 1980; dense output: Hairer, Nørsett & Wanner 1993, II.6",
    b_error=[F(71, 57600), 0, F(-71, 16695), F(71, 1920), F(-17253, 339200), F(22, 525), F(-1, 40)], error_order=4,
    dense=_quartic(_DOPRI5_B, last=6, d=[
        F(-12715105075, 11282082432), 0, F(87487479700, 32700410799), F(-10690763975, 1880347072),
        F(701980252875, 199316789632), F(-1453857185, 822651844), F(69997945, 29380423),
    ]),
)  # fmt: skip

_TSIT5_B = [
    0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774, 0,
]  # fmt: skip
_TSIT5 = _tableau(
    "tsit5", 5,
    [
        [],
        [0.161],
        [-0.008480655492356989, 0.335480655492357],
        [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
        [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
        [5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383],
        _TSIT5_B[:6],
    ],
    _TSIT5_B, [0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1],
    "Tsitouras 2011, Computers & Mathematics with Applications 62, 770–775",
    b_error=[
        -0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
        0.5823571654525552, -0.45808210592918697, F(1, 66),
    ],
    error_order=4,
    dense=(
        (1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216),
        (0.0, 0.1317, -0.2234, 0.1017),
        (0.0, 3.9302962368947516, -5.941033872131505, 2.490627285651253),
        (0.0, -12.411077166933676, 30.33818863028232, -16.548102889244902),
        (0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928),
        (0.0, -27.896526289197286, 65.09189467479366, -34.87065786149661),
        (0.0, 1.5, -4.0, 2.5),
    ),
)  # fmt: skip

# --- implicit, fixed step -----------------------------------------------------------------------------------------

_SDIRK2_GAMMA = 1 - sqrt(1 / 2)

_IMPLICIT = [
    _tableau("implicit_euler", 1, [[1]], [1], [1], "backward Euler: Hairer & Wanner 1996, IV.3"),
    _tableau(
        "implicit_midpoint", 2, [[F(1, 2)]], [1], [F(1, 2)],
        "the Gauss method with one stage: Hairer, Lubich & Wanner 2006, II.1",
    ),
    _tableau(
        "trapezoid", 2, [[], [F(1, 2), F(1, 2)]], [F(1, 2), F(1, 2)], [0, 1],
        "Crank & Nicolson 1947; the bilinear rule of state-space layers",
    ),
    _tableau(
        "sdirk2", 2, [[_SDIRK2_GAMMA], [1 - _SDIRK2_GAMMA, _SDIRK2_GAMMA]], [1 - _SDIRK2_GAMMA, _SDIRK2_GAMMA],
        [_SDIRK2_GAMMA, 1], "Alexander 1977, SIAM Journal on Numerical Analysis 14, 1006–1021",
    ),
    _tableau(
        "gauss4", 4, [[1 / 4, 1 / 4 - sqrt(3) / 6], [1 / 4 + sqrt(3) / 6, 1 / 4]], [F(1, 2), F(1, 2)],
        [1 / 2 - sqrt(3) / 6, 1 / 2 + sqrt(3) / 6],
        "the Gauss method with two stages, Kuntzmann 1961, Butcher 1964: Hairer & Wanner 1996, IV.5",
    ),
]  # fmt: skip

# --- implicit, adaptive -------------------------------------------------------------------------------------------


def _kvaerno3():
    """ESDIRK 3(2): the method ends on its last stage, the embedded one on the stage before it."""
    g = 0.435866521508458999416  # the root of 6γ³ − 18γ² + 9γ − 1 that makes R(∞) = 0
    third = [(-4 * g**2 + 6 * g - 1) / (4 * g), (1 - 2 * g) / (4 * g), g, 0]
    b = [(6 * g - 1) / (12 * g), 1 / (12 * g * (1 - 2 * g)), (-6 * g**2 + 6 * g - 1) / (6 * g - 3), g]
    return _tableau(
        "kvaerno3", 3, [[], [g, g], third, b], b, [0, 2 * g, 1, 1],
        "Kværnø 2004, BIT Numerical Mathematics 44, 489–502: ESDIRK 3/2a",
        b_error=[w - v for w, v in zip(b, third, strict=True)], error_order=2, dense=_hermite(b, last=3),
    )  # fmt: skip


TABLEAUX = {tableau.name: tableau for tableau in [*_EXPLICIT, _BOSH3, _DOPRI5, _TSIT5, *_IMPLICIT, _kvaerno3()]}


def get(name: str) -> Tableau:
    """The tableau called `name`.

    Raises:
        ValueError: There is no such Runge–Kutta method; the message names those there are.
    """
    if name not in TABLEAUX:
        raise ValueError(f"method must be one of {', '.join(TABLEAUX)}; got {name!r}")
    return TABLEAUX[name]
