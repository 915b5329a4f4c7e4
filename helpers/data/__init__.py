"""Real data that ships inside packages, this one or others, and simulated data. Nothing is downloaded."""

from . import toy
from .burgers import burgers, burgers_cole_hopf, burgers_initial
from .digits import Split, digits
from .karate import karate_club
from .lotka_volterra import LOTKA_VOLTERRA, lotka_volterra, lotka_volterra_field, lotka_volterra_invariant
from .mixture import GaussianMixture
from .pendulum import pendulum, pendulum_energy, pendulum_exact, pendulum_field
from .photographs import photographs
from .rows import digit_rows
from .series import mauna_loa_co2, sunspots
from .spirals import SPIRAL_TIMES, winding_spirals

__all__ = [
    "GaussianMixture",
    "LOTKA_VOLTERRA",
    "SPIRAL_TIMES",
    "Split",
    "burgers",
    "burgers_cole_hopf",
    "burgers_initial",
    "digit_rows",
    "digits",
    "karate_club",
    "lotka_volterra",
    "lotka_volterra_field",
    "lotka_volterra_invariant",
    "mauna_loa_co2",
    "pendulum",
    "pendulum_energy",
    "pendulum_exact",
    "pendulum_field",
    "photographs",
    "sunspots",
    "toy",
    "winding_spirals",
]
