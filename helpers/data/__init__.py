"""Real data that ships inside packages, this one or others, and simulated data. Nothing is downloaded."""

from . import toy
from .digits import Split, digits
from .karate import karate_club
from .photographs import photographs

__all__ = ["Split", "digits", "karate_club", "photographs", "toy"]
