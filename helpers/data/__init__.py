"""Real data that ships inside packages, and simulated data. Nothing is downloaded."""

from . import toy
from .digits import Split, digits

__all__ = ["Split", "digits", "toy"]
