"""How to step an equation.

`odeint` is the door; `tableaux` holds the Runge–Kutta methods as data; `explicit`, `adaptive`, `implicit`,
`adaptive_implicit`, `multistep` and `symplectic` walk with them along a `grid`; `newton` solves the stages of the
implicit ones; `analysis` asks what a method does to y' = λy and how fast it converges, and what a field does to its
neighbouring solutions.
"""

from . import analysis, explicit, symplectic, tableaux
from .errors import (
    InstabilityError,
    NewtonError,
    NonFiniteStateError,
    SolverError,
    StepSizeUnderflowError,
    TooManyStepsError,
)
from .solve import GRADIENTS, METHODS, odeint

__all__ = [
    "GRADIENTS",
    "METHODS",
    "InstabilityError",
    "NewtonError",
    "NonFiniteStateError",
    "SolverError",
    "StepSizeUnderflowError",
    "TooManyStepsError",
    "analysis",
    "explicit",
    "odeint",
    "symplectic",
    "tableaux",
]
