"""What a method does to a differential equation, and what the equation does to neighbouring solutions.

`stability` looks at the test equation y' = λy, `convergence` at errors, `growth` at linear systems and at vector
fields linearised in a point, `lyapunov` along a trajectory.
"""

from .convergence import observed_order
from .growth import field_jacobian, log_norm, numerical_abscissa, spectral_abscissa, transient_growth
from .lyapunov import lyapunov_exponents
from .stability import (
    CHARACTERISTIC,
    Limits,
    amplification,
    is_a_stable,
    is_l_stable,
    satisfies_root_condition,
    stability_boundary,
    stability_function,
    stability_limits,
    stability_region,
)

__all__ = [
    "CHARACTERISTIC",
    "Limits",
    "amplification",
    "field_jacobian",
    "is_a_stable",
    "is_l_stable",
    "log_norm",
    "lyapunov_exponents",
    "numerical_abscissa",
    "observed_order",
    "satisfies_root_condition",
    "spectral_abscissa",
    "stability_boundary",
    "stability_function",
    "stability_limits",
    "stability_region",
    "transient_growth",
]
