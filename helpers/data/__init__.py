"""Real data that ships inside packages, this one or others, and simulated data. Nothing is downloaded."""

from . import toy
from .digits import Split, digits
from .karate import karate_club
from .mixture import GaussianMixture
from .photographs import photographs
from .rows import digit_rows
from .series import mauna_loa_co2, sunspots
from .spirals import SPIRAL_TIMES, winding_spirals

__all__ = [
    "GaussianMixture",
    "SPIRAL_TIMES",
    "Split",
    "digit_rows",
    "digits",
    "karate_club",
    "mauna_loa_co2",
    "photographs",
    "sunspots",
    "toy",
    "winding_spirals",
]
