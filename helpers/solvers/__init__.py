"""How to step an equation.

`odeint` is the door; `tableaux` holds the Runge–Kutta methods as data; `explicit`, `adaptive`, `implicit` and
`multistep` walk with them along a `grid`; `analysis` asks what a method does to y' = λy, and how fast it converges.
"""

from . import analysis, explicit, tableaux
from .errors import NewtonError, NonFiniteStateError, SolverError, StepSizeUnderflowError, TooManyStepsError
from .solve import GRADIENTS, METHODS, odeint

__all__ = [
    "GRADIENTS",
    "METHODS",
    "NewtonError",
    "NonFiniteStateError",
    "SolverError",
    "StepSizeUnderflowError",
    "TooManyStepsError",
    "analysis",
    "explicit",
    "odeint",
    "tableaux",
]
