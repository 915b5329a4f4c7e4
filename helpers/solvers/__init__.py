"""How to step an equation.

`odeint` is the door; `tableaux` holds the Runge–Kutta methods as data; `explicit`, `adaptive`, `implicit`,
`adaptive_implicit`, `multistep` and `symplectic` walk with them along a `grid`; `newton` solves the stages of the
implicit ones; `analysis` asks what a method does to y' = λy and how fast it converges, and what a field does to its
neighbouring solutions.

`sdeint` is the door to the stochastic equations; `stochastic` holds the step of each method, and `BrownianPath` is the
noise that they can share.

`cdeint` is the door to equations that are driven by a path, and `paths` draws one through the observations of a series.
"""

from . import analysis, explicit, paths, symplectic, tableaux
from .brownian import BrownianPath
from .errors import (
    InstabilityError,
    NewtonError,
    NonFiniteStateError,
    SolverError,
    StepSizeUnderflowError,
    TooManyStepsError,
)
from .paths import (
    PATHS,
    CubicSpline,
    LinearInterpolation,
    control_path,
    forward_fill,
    hermite_cubic_coefficients_with_backward_differences,
    linear_interpolation_coeffs,
    natural_cubic_coeffs,
)
from .solve import GRADIENTS, METHODS, odeint
from .solve_cde import cdeint
from .solve_sde import sdeint
from .stochastic import SDE

__all__ = [
    "GRADIENTS",
    "METHODS",
    "PATHS",
    "SDE",
    "BrownianPath",
    "CubicSpline",
    "InstabilityError",
    "LinearInterpolation",
    "NewtonError",
    "NonFiniteStateError",
    "SolverError",
    "StepSizeUnderflowError",
    "TooManyStepsError",
    "analysis",
    "cdeint",
    "control_path",
    "explicit",
    "forward_fill",
    "hermite_cubic_coefficients_with_backward_differences",
    "linear_interpolation_coeffs",
    "natural_cubic_coeffs",
    "odeint",
    "paths",
    "sdeint",
    "symplectic",
    "tableaux",
]
