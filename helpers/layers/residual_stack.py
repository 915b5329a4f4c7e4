"""Residual networks as one-step schemes: with Euler's tableau a ResNet, with another another architecture."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from helpers.solvers import explicit, tableaux

from ._stack import Stack


class ResidualStack(Stack):
    """`depth` steps of an explicit Runge–Kutta method, each of them a layer, with step h = horizon / depth.

    With Euler's method the layers are residual blocks, x_{k+1} = x_k + h f_k(x_k) (He et al. 2016, arXiv
    1512.03385; read as a scheme by E 2017, and by Haber & Ruthotto 2017, arXiv 1705.03341). Tied weights,
    f_k = f, make the stack a solver for x' = f(t, x) on [0, horizon]: it then equals `odeint` on its field
    with the same method and `num_steps` = depth. Untied, layer k uses its own field f_k in all stages of its
    step.

    Args:
        features: Entries of the state.
        depth: Number of layers, L.
        horizon: T, the depth time that the layers cover together.
        method: Name of an explicit tableau of `helpers.solvers`; the step is fixed also where the method has
            an error estimate.
        tied: Whether all layers share one field (`stack.field`) or each has its own (`stack.fields`).
        field: Makes a vector field from the number of features; None means `MLPField`.

    Raises:
        TypeError: `field` does not make modules.
        ValueError: `features` or `depth` < 1, `horizon` not positive and finite, or `method` names no
            explicit tableau.
    """

    def __init__(
        self,
        features: int,
        depth: int,
        *,
        horizon: float = 1.0,
        method: str = "euler",
        tied: bool = True,
        field: Callable[[int], nn.Module] | None = None,
    ):
        super().__init__(features, depth, horizon, tied, field)
        self.tableau = explicit_tableau(method)

    def _states(self, x):
        for t, field in self._layers():
            x = explicit.step(self.tableau, field, t, x, self.step)
            yield x

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, method={self.tableau.name!r}"


def explicit_tableau(method: str) -> tableaux.Tableau:
    """The explicit tableau called `method`; a layer solves no equation, so an implicit one is an error."""
    names = [name for name, tableau in tableaux.TABLEAUX.items() if tableau.explicit]
    if method not in names:
        raise ValueError(
            f"method must be an explicit Runge–Kutta method, one of {', '.join(names)}; got {method!r}"
        )
    return tableaux.get(method)
