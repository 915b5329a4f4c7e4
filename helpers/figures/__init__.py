"""The one look (`style`), and the pictures that several chapters share; those of one chapter lie in its folder.

A picture without controls is a function of its data that returns a figure and its text alternative. One with controls
is a function `build(fig)` that makes the artists once and returns `update(**parameters)`, which moves them: what is
seen depends on the parameters alone.
"""

from .convergence import convergence
from .seeds import seeds

__all__ = ["convergence", "seeds"]
