"""`cdeint`: the door to controlled differential equations, solved from knot to knot of their path."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from . import multistep, symplectic
from .solve import METHODS, PASSED_ON, odeint
from .tableaux import TABLEAUX

# the methods that are told how many steps to take
FIXED_STEP = (*(name for name, tableau in TABLEAUX.items() if not tableau.adaptive), *multistep.METHODS)


def cdeint(X, func, z0, t, *, method="rk4", rtol=None, atol=None, options=None, gradient="backprop"):
    """Solve dz = F(t, z) dX, z(t[0]) = z0, from knot to knot of the path X.

    Between two knots the path is smooth and the equation is z' = F(t, z) X'(t), which `odeint` solves; every stage of a
    step sees the polynomial of its own piece. So a method keeps its order, also where X has kinks.

    Args:
        X: A path, as `control_path` makes it: `grid_points`, and `derivative(t, piece)` of shape (..., channels).
        func: F, called as func(t, z) with t a 0-d tensor and z (..., hidden); returns (..., hidden, channels).
        z0: (..., hidden), finite, in the dtype of the path. Its leading axes are those of the path, or more of them:
            many solutions may follow one path.
        t: Times of the output, (m ≥ 2,), strictly increasing and within the interval of the path: a tensor or a
            sequence of floats, read in the dtype of the knots. They are constants: no gradient flows to them.
        method, rtol, atol, options, gradient: As `odeint` takes them, except its symplectic methods. Fixed-step methods
            take `num_steps` or `step_size` between two neighbours among knots and output times; without options it is
            one step. Gradients of the path's coefficients are those of "backprop" and "checkpoint"; "adjoint" and
            "reversible" want what `func` holds to be a module's parameters.

    Returns:
        (..., m, hidden); differentiable in z0, in what `func` holds and in the coefficients of the path.

    Raises:
        TypeError, ValueError: The call is malformed; the text names the argument, what was given and what is allowed.
        SolverError: The solve failed, as `odeint` says.

    It differs from torchcde where that sets a trap: torchcde's fixed-step methods take the slope on the wrong side of a
    kink, and are of order 1 there unless told to look beside it. Sources: Kidger et al. 2020 (arXiv 2005.08926).
    """
    knots = _knots(X)
    times = _times(t, X.grid_points, knots)
    if not callable(func):
        raise TypeError(f"func must be callable as func(t, z); got {type(func).__name__}")
    allowed = [name for name in (*METHODS, *PASSED_ON) if name not in symplectic.METHODS]
    if not isinstance(method, str) or method not in allowed:
        raise ValueError(f"method must be one of {', '.join(map(repr, allowed))}; got {method!r}")
    piece = max(0, sum(k <= times[0] for k in knots) - 1)
    piece = min(piece, len(knots) - 2)
    _check_state(z0, X.derivative(X.grid_points.new_tensor(times[0]), piece))
    if options is None and method in FIXED_STEP:
        options = {"num_steps": 1}
    solver = {"method": method, "rtol": rtol, "atol": atol, "options": options, "gradient": gradient}
    stops = sorted({*times, *(k for k in knots if times[0] < k < times[-1])})
    z, states, wanted = z0, [z0], set(times)
    for start, end in pairwise(stops):
        while knots[piece + 1] <= start:
            piece += 1
        # a field for each piece: a backward pass may call it again, and must find its own piece then
        field = _Controlled(func, X, piece)
        z = odeint(field, z, torch.tensor([start, end], dtype=torch.float64), **solver)[-1]
        if end in wanted:
            states.append(z)
    return torch.stack(states, -2)


class _Controlled(nn.Module):
    """z ↦ F(t, z) X'(t) on one piece of the path; a module, since `odeint` looks for parameters."""

    def __init__(self, func, X, piece):
        super().__init__()
        self.func, self.X, self.piece = func, X, piece

    def forward(self, t, z):
        matrix, slope = self.func(t, z), self.X.derivative(t, self.piece)
        # broadcasting would hide a wrong shape
        if getattr(matrix, "shape", None) != (*z.shape, slope.shape[-1]):
            got = tuple(matrix.shape) if torch.is_tensor(matrix) else type(matrix).__name__
            raise ValueError(
                f"func must return the shape (..., hidden, channels) = {(*z.shape, slope.shape[-1])}; got {got}"
            )
        return (matrix * slope[..., None, :]).sum(-1)


# --- arguments ----------------------------------------------------------------------------------------------------


def _knots(X):
    if not torch.is_tensor(getattr(X, "grid_points", None)) or not callable(getattr(X, "derivative", None)):
        raise TypeError(f"X must be a path with grid_points and derivative(t, piece); got {type(X).__name__}")
    knots = X.grid_points.tolist()
    if len(knots) < 2:
        raise ValueError(f"X must have two knots or more; got {len(knots)}")
    return knots


def _times(t, like, knots):
    """The requested times as Python floats, rounded as the knots are: else a step might be as short as rounding."""
    if torch.is_tensor(t) and t.requires_grad:
        raise ValueError("t must not require a gradient: times are constants here; got one that does")
    if torch.is_tensor(t) and t.is_complex():
        raise TypeError(f"t must be of real numbers; got {t.dtype}")
    try:
        times = torch.as_tensor(t, dtype=like.dtype, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"t must be a tensor or a sequence of times; got {t!r:.80}") from None
    if times.dim() != 1 or len(times) < 2:
        raise ValueError(f"t must have shape (m,) with m ≥ 2; got shape {tuple(times.shape)}")
    if not (torch.isfinite(times).all() and (times.diff() > 0).all()):
        raise ValueError(f"t must be finite and strictly increasing; got {times.tolist()!r:.80}")
    times = times.tolist()
    slack = 4 * torch.finfo(like.dtype).eps * max(abs(knots[0]), abs(knots[-1]))
    if times[0] < knots[0] - slack or times[-1] > knots[-1] + slack:
        raise ValueError(f"t must lie within the path's interval [{knots[0]:g}, {knots[-1]:g}]; got {times[0]:g} to "
                         f"{times[-1]:g}")  # fmt: skip
    times[0], times[-1] = max(times[0], knots[0]), min(times[-1], knots[-1])  # no further out than by rounding
    return times


def _check_state(z0, slope):
    if not torch.is_tensor(z0):
        raise TypeError(f"z0 must be a torch.Tensor; got {type(z0).__name__}")
    if (z0.dtype, z0.device) != (slope.dtype, slope.device):
        path = f"{slope.dtype} on {slope.device}"
        raise TypeError(f"z0 must be of the path's dtype and device, {path}; got {z0.dtype} on {z0.device}")
    batch = slope.shape[:-1]
    try:
        fits = z0.dim() > 0 and torch.broadcast_shapes(batch, z0.shape[:-1]) == z0.shape[:-1]
    except RuntimeError:
        fits = False
    if not fits:
        wanted = ", ".join([*map(str, batch), "hidden"])
        raise ValueError(f"z0 must have shape ({wanted}), or more axes before, for this path; got {tuple(z0.shape)}")
    if not torch.isfinite(z0).all():
        raise ValueError("z0 must be finite; got an infinite or not-a-number entry")
