"""Symplectic methods for separable systems: kicks and drifts in turn, each exact for its half of the field.

The state is a pair (q, p) and the field separable: q' = g(t, p), p' = f(t, q), as Hamilton's equations are with
H = T(p) + V(q). A method is a row of substeps,

    kick:  p ← p + w h f(t + c h, q),        drift:  q ← q + w h g(t + c h, p),

and every row is a symplectic map, since each substep is a shear (Hairer, Lubich & Wanner 2006, Geometric Numerical
Integration, VI.3 and II.5). The field returns both halves, and a substep needs one: a step of n substeps calls the
field n times and throws half of each answer away; where a step begins with the kick that the last one ended with, its
slope is used twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from .arguments import leaves

KICK, DRIFT = "kick", "drift"


@dataclass(frozen=True)
class Splitting:
    """The substeps of a symplectic method.

    Attributes:
        name: The name that `odeint` knows it by.
        order: Order of y_next: the local error is O(h^(order + 1)).
        substeps: Triples (KICK or DRIFT, w, c).
        source: Where the method comes from.
    """

    name: str
    order: int
    substeps: tuple[tuple[str, float, float], ...]
    source: str

    @cached_property
    def c(self) -> tuple[float, ...]:
        return tuple(c for _, _, c in self.substeps)

    @property
    def begins_as_it_ends(self) -> bool:
        """Whether a step's last slope is the next step's first."""
        (first, _, start), (last, _, end) = self.substeps[0], self.substeps[-1]
        return first == last == KICK and (start, end) == (0.0, 1.0)


def _yoshida():
    """Three leapfrog steps of lengths γ, 1 − 2γ, γ with the kicks between them joined; the middle one goes back."""
    g = 1 / (2 - 2 ** (1 / 3))
    m = 1 - 2 * g
    return (
        (KICK, g / 2, 0.0), (DRIFT, g, g / 2), (KICK, (g + m) / 2, g), (DRIFT, m, 0.5),
        (KICK, (g + m) / 2, 1 - g), (DRIFT, g, 1 - g / 2), (KICK, g / 2, 1.0),
    )  # fmt: skip


METHODS = {
    method.name: method
    for method in (
        Splitting("symplectic_euler", 1, ((KICK, 1.0, 0.0), (DRIFT, 1.0, 1.0)), "de Vogelaere 1956"),
        Splitting("symplectic_euler_adjoint", 1, ((DRIFT, 1.0, 0.0), (KICK, 1.0, 1.0)), "de Vogelaere 1956"),
        Splitting(
            "leapfrog", 2, ((KICK, 0.5, 0.0), (DRIFT, 1.0, 0.5), (KICK, 0.5, 1.0)),
            "Störmer 1907, Verlet 1967: the velocity form",
        ),
        Splitting("yoshida4", 4, _yoshida(), "Yoshida 1990, Physics Letters A 150, 262–268; Suzuki 1990"),
    )
}  # fmt: skip


def integrate(method: Splitting, func, y, steps, times, first=None):
    """Walk along `steps`: a `plan.Walker`, whose state is q and p, flat, one behind the other."""
    (q, p), outputs = y.chunk(2), []
    # the first substep looks at the start of the step in every method here
    waiting = None if first is None else first.chunk(2)
    for (_, h, is_output), clock in zip(steps, times, strict=True):
        for (kind, weight, _), time in zip(method.substeps, clock, strict=True):
            dq, dp = func(time, torch.cat([q, p])).chunk(2) if waiting is None else waiting
            waiting = None
            if kind == KICK:
                p = torch.add(p, dp, alpha=weight * h)
            else:
                q = torch.add(q, dq, alpha=weight * h)
        if method.begins_as_it_ends:
            waiting = dq, dp
        if is_output:
            outputs.append(torch.cat([q, p]))
    return outputs


def check_state(method, y0):
    """That the state is a pair of positions and momenta.

    Raises:
        TypeError: y0 is not a tuple of two tensors.
        ValueError: Their shapes differ.
    """
    if not isinstance(y0, tuple) or len(y0) != 2:
        given = f"a tuple of {len(y0)}" if isinstance(y0, tuple) else type(y0).__name__
        raise TypeError(f"y0 must be a tuple (q, p) of two tensors for the symplectic method {method!r}; got {given}")
    q, p = y0
    if torch.is_tensor(q) and torch.is_tensor(p) and q.shape != p.shape:
        raise ValueError(
            f"y0 must hold q and p of one shape for the symplectic method {method!r}; "
            f"got {tuple(q.shape)} and {tuple(p.shape)}"
        )


@torch.no_grad()
def check_separable(method, func, t, y0):
    """That dq does not depend on q, nor dp on p, as far as one look at the field, or four, can tell.

    Where autograd sees no path from q to dq, nor from p to dp, that is a proof, at the price of one evaluation. Else
    the field is called three times more, at displaced positions and momenta, and the halves that must be equal are
    compared; a field that is not finite there is let through.

    Args:
        func: The field as the caller wrote it, from a pair to a pair.
        t: Time of the start, a float.
        y0: The pair (q, p).

    Raises:
        ValueError: The field is not separable.
    """
    q, p = (part.detach() for part in y0)
    time = torch.tensor(t, dtype=q.dtype.to_real() if q.is_complex() else q.dtype, device=q.device)
    with torch.enable_grad():
        leaf_q, leaf_p = q.clone().requires_grad_(), p.clone().requires_grad_()
        slopes = func(time, (leaf_q, leaf_p))
    if not isinstance(slopes, tuple) or [getattr(s, "shape", None) for s in slopes] != [q.shape, p.shape]:
        return  # not what a field returns: the solve itself says so
    if all(s.requires_grad for s in slopes) and not _meets(slopes[0], leaf_q) and not _meets(slopes[1], leaf_p):
        return
    far_q, far_p = _displaced(q), _displaced(p)
    dq, dp = func(time, (far_q, far_p))
    for name, half, other in (("dq", dq, func(time, (q, far_p))[0]), ("dp", dp, func(time, (far_q, p))[1])):
        apart = (half - other).abs().max().item()
        if apart > torch.finfo(half.dtype).eps ** 0.5 * half.abs().max().item():
            raise ValueError(
                f"func must be separable for the symplectic method {method!r}: dq may depend on p alone, dp on q "
                f"alone; {name} moves by {apart:.3g} with {'q' if name == 'dq' else 'p'}. For a field that is not, "
                "'implicit_midpoint' and 'gauss4' are symplectic"
            )


def _meets(slope, leaf):
    return any(found is leaf for found in leaves(slope))


def _displaced(x):
    """Another point not far from x, in no special direction."""
    return x + 0.1 * (1 + x.abs()) * torch.cos(torch.arange(1, x.numel() + 1, device=x.device)).to(x).reshape(x.shape)
