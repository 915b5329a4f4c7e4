"""`odeint`: the one door to every method. It checks the call, prepares the state and hands over to a stepper."""

from __future__ import annotations

import math
import warnings
from dataclasses import fields
from functools import partial

import torch

from . import adaptive, explicit, grid, implicit, multistep
from .errors import NonFiniteStateError
from .tableaux import TABLEAUX, Tableau

FIXED_OPTIONS = ("step_size", "num_steps", "grid")
ADAPTIVE_OPTIONS = tuple(f.name for f in fields(adaptive.Control) if f.name not in ("rtol", "atol"))
# torchdiffeq's methods that are not ours: the call goes to torchdiffeq, which is imported only then
PASSED_ON = ("dopri8", "fehlberg2", "adaptive_heun", "explicit_adams", "implicit_adams", "fixed_adams", "scipy_solver")
METHODS = {**TABLEAUX, **multistep.METHODS}
DEFAULT_TOLERANCES = {torch.float32: (1e-5, 1e-7), torch.float64: (1e-7, 1e-9)}
GRADIENTS = ("backprop",)
MOST_STEPS = 1e7


def odeint(func, y0, t, *, method="dopri5", rtol=None, atol=None, options=None, gradient="backprop"):
    """Solve dy/dt = func(t, y), y(t[0]) = y0, with torchdiffeq's signature and conventions.

    Args:
        func: The vector field, called as `func(t, y)` with `t` a 0-d tensor and `y` shaped like `y0`; returns dy/dt in
            the same shape and dtype (a tuple where `y0` is one).
        y0: Initial state, a tensor of any shape or a tuple of tensors; float32, float64 or complex. Implicit methods
            take the last axis as the state of one sample and need a real state.
        t: Times at which the solution is wanted, shape (n,), n ≥ 2, strictly increasing or strictly decreasing. They
            are constants: no gradient flows to them.
        method: Fixed step: "euler", "midpoint", "heun2", "ralston", "heun3", "rk4" (the classic one), "rk4_38" (what
            torchdiffeq calls "rk4"), "ab2", "implicit_euler", "trapezoid". Adaptive: "bosh3", "dopri5", "tsit5".
            torchdiffeq's other names ("dopri8", "scipy_solver", …) are passed on to it.
        rtol, atol: Tolerances of an adaptive method, relative and absolute, in the units of y. Default 1e-5 and 1e-7
            in float32, 1e-7 and 1e-9 in float64.
        options: Fixed-step methods want exactly one of `step_size` (the largest step), `num_steps` (steps from t[0] to
            t[-1]) or `grid="t"` (one step from each time in `t` to the next); steps land on every time in `t`.
            Adaptive methods take `first_step`, `min_step`, `max_step`, `max_num_steps`, `safety`, `ifactor`, `dfactor`.
        gradient: How the solve is differentiated: "backprop", through the operations of the solver itself.

    Returns:
        The solution at `t`, shape (n, *y0.shape); a tuple of such tensors where `y0` is a tuple.

    Raises:
        TypeError, ValueError: The call is malformed; the text names the argument, what was given and what is allowed.
        SolverError: The solve failed: NonFiniteStateError, StepSizeUnderflowError, TooManyStepsError, NewtonError,
            each with time, step size and method in its text.

    It differs from torchdiffeq where that sets a trap: default tolerances follow the dtype and a relative one below
    10 eps is an error; a fixed-step method never takes `t` as its grid unless told so; steps never leave [t[0], t[-1]];
    an unknown option is an error; `rk4` is the classic method.

    Sources: Chen et al. 2018 (arXiv 1806.07366) for the interface; `tableaux.py` names that of each method.
    """
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient must be one of {', '.join(map(repr, GRADIENTS))}; got {gradient!r}")
    if method in PASSED_ON:
        return _torchdiffeq(func, y0, t, method, rtol, atol, options)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join([*METHODS, *PASSED_ON])}; got {method!r}")
    if not callable(func):
        raise TypeError(f"func must be callable as func(t, y); got {type(func).__name__}")
    times, options = _times(t), dict(options or {})
    field, state, unpack = _pack(func, y0)
    if getattr(METHODS[method], "adaptive", False):
        states = _adaptive(method, field, state, times, rtol, atol, options)
    else:
        if rtol is not None or atol is not None:
            warnings.warn(f"rtol and atol have no effect on the fixed-step method {method!r}", stacklevel=2)
        states = _fixed_step(method, field, state, times, options)
    return unpack(torch.stack([state, *states]))


# --- the two kinds of solve ---------------------------------------------------------------------------------------


def _adaptive(method, func, y, times, rtol, atol, options):
    control = _control(method, y, rtol, atol, options)
    states = adaptive.integrate(METHODS[method], func, y, times, control, _first_slope(func, times[0], y))
    if not torch.isfinite(states[-1]).all():
        raise NonFiniteStateError(f"the state became non-finite: {method} on the way to t = {times[-1]:.6g}")
    return states


def _fixed_step(method, func, y, times, options):
    steps = grid.fixed_steps(times, _step_size(method, times, options))
    advance, c = _stepper(method, y)
    stage_times = grid.stage_times(steps, c, y)
    states = advance(func, y, steps, stage_times, _first_slope(func, times[0], y))
    # every scheme adds to the state, so what is non-finite once stays so: one look at the end is enough
    if not torch.isfinite(states[-1]).all():
        raise _locate_non_finite(method, advance, func, y, steps, stage_times)
    return states


def _stepper(method, y):
    """The function that walks along a grid, and the abscissae at which it wants the time."""
    scheme = METHODS[method]
    if not isinstance(scheme, Tableau):
        return scheme, (0.0, 1.0)
    if scheme.explicit:
        return partial(explicit.integrate, scheme), scheme.c
    if y.is_complex():
        raise TypeError(f"y0 must be real for the implicit method {method!r}; got {y.dtype}")
    return partial(implicit.integrate, scheme), scheme.c


@torch.no_grad()
def _locate_non_finite(method, advance, func, y, steps, stage_times):
    """The exception that says where a fixed-step solve left the finite numbers: walk again, looking at each step."""
    if not torch.isfinite(y).all():
        return NonFiniteStateError("y0 holds infinite or not-a-number entries")
    states = advance(func, y, [step._replace(is_output=True) for step in steps], stage_times, None)
    bad = next((k for k, state in enumerate(states) if not torch.isfinite(state).all()), len(steps) - 1)
    return NonFiniteStateError(
        f"the state became non-finite in the step from t = {steps[bad].start:.6g} with step size {abs(steps[bad].h):.3g}, "
        f"method {method!r}: the step is outside the method's stability region, or the solution itself blows up"
    )


# --- reading the arguments ----------------------------------------------------------------------------------------


def _times(t):
    """The requested times as Python floats."""
    if not torch.is_tensor(t):
        raise TypeError(f"t must be a torch.Tensor of times; got {type(t).__name__}")
    if t.dim() != 1 or len(t) < 2:
        raise ValueError(f"t must have shape (n,) with n ≥ 2; got shape {tuple(t.shape)}")
    if not t.is_floating_point():
        raise TypeError(f"t must be of a floating-point dtype; got {t.dtype}")
    if t.requires_grad:
        raise ValueError("t must not require a gradient: times are constants here; call t.detach()")
    times = t.tolist()
    steps = [b - a for a, b in zip(times[:-1], times[1:], strict=True)]
    if not (all(s > 0 for s in steps) or all(s < 0 for s in steps)) or not all(map(math.isfinite, times)):
        raise ValueError(f"t must be finite and strictly increasing or strictly decreasing; got {_short(times)}")
    return times


def _pack(func, y0):
    """The field, the state and a function for the result, such that the steppers see one tensor with ≥ 1 axis."""
    if torch.is_tensor(y0):
        _check_state(y0, "y0")
        if y0.dim() > 0:
            return func, y0, lambda solution: solution
        return (lambda t, y: func(t, y[0]).unsqueeze(0)), y0.unsqueeze(0), lambda solution: solution[:, 0]
    if not isinstance(y0, tuple) or not y0:
        raise TypeError(f"y0 must be a tensor or a non-empty tuple of tensors; got {type(y0).__name__}")
    for i, part in enumerate(y0):
        _check_state(part, f"y0[{i}]")
        if (part.dtype, part.device) != (y0[0].dtype, y0[0].device):
            raise TypeError(f"y0 must have one dtype and device; y0[{i}] has {part.dtype} on {part.device}, "
                            f"y0[0] {y0[0].dtype} on {y0[0].device}")  # fmt: skip
    shapes, sizes = [part.shape for part in y0], [part.numel() for part in y0]

    def split(flat):
        pieces = flat.split(sizes, dim=-1)
        return tuple(p.reshape(*flat.shape[:-1], *shape) for p, shape in zip(pieces, shapes, strict=True))

    def join(parts):
        return torch.cat([part.reshape(-1) for part in parts])

    def field(t, y):
        slopes = func(t, split(y))
        got = [getattr(s, "shape", None) for s in slopes] if isinstance(slopes, tuple) else None
        if got != shapes:
            wanted = ", ".join(str(tuple(shape)) for shape in shapes)
            raise ValueError(
                f"func must return a tuple of tensors with the shapes of y0, {wanted}; got {_describe(slopes)}"
            )
        return join(slopes)

    return field, join(y0), split


def _check_state(y, name):
    if not torch.is_tensor(y):
        raise TypeError(f"{name} must be a torch.Tensor; got {type(y).__name__}")
    if y.dtype not in (torch.float32, torch.float64, torch.complex64, torch.complex128):
        raise TypeError(f"{name} must be float32, float64, complex64 or complex128; got {y.dtype}")
    if y.numel() == 0:
        raise ValueError(f"{name} must hold at least one number; got shape {tuple(y.shape)}")


def _first_slope(func, t, y):
    """func at the start, and the one place where what it returns is looked at."""
    real = y.real.dtype if y.is_complex() else y.dtype
    slope = func(torch.tensor(t, dtype=real, device=y.device), y)
    if not torch.is_tensor(slope):
        raise TypeError(f"func must return a tensor; got {type(slope).__name__}")
    if slope.shape != y.shape:
        raise ValueError(f"func must return the shape of y0, {tuple(y.shape)}; got {tuple(slope.shape)}")
    if slope.dtype != y.dtype:
        raise TypeError(f"func must return the dtype of y0, {y.dtype}; got {slope.dtype}")
    if slope.device != y.device:
        raise TypeError(f"func must return a tensor on the device of y0, {y.device}; got {slope.device}")
    return slope


def _step_size(method, times, options):
    """The largest step that the options allow; None when `t` itself is the grid."""
    _known(method, options, FIXED_OPTIONS)
    if len(options) != 1:
        raise ValueError(
            f"options for the fixed-step method {method!r} must hold exactly one of 'step_size', 'num_steps' or "
            f"grid='t'; got {options}"
        )
    length = abs(times[-1] - times[0])
    if "grid" in options:
        if options["grid"] != "t":
            raise ValueError(
                f"options['grid'] must be 't', one step from each time in t to the next; got {options['grid']!r}"
            )
        return None
    if "num_steps" in options:
        count = options["num_steps"]
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"options['num_steps'] must be an integer ≥ 1; got {count!r}")
        step_size = length / count
    else:
        step_size = _positive(options["step_size"], "options['step_size']")
    if length / step_size > MOST_STEPS:
        raise ValueError(f"options ask for {length / step_size:.3g} steps; at most {MOST_STEPS:.0e} are taken")
    return step_size


def _tolerances(y, rtol, atol):
    real = y.real.dtype if y.is_complex() else y.dtype
    relative, absolute = DEFAULT_TOLERANCES[real]
    relative = relative if rtol is None else _positive(rtol, "rtol")
    absolute = absolute if atol is None else _positive(atol, "atol")
    if relative < (least := 10 * torch.finfo(real).eps):
        raise ValueError(f"rtol must be at least 10 eps = {least:.2g} of {real}; got {relative:g}")
    return relative, absolute


def _control(method, y, rtol, atol, options):
    _known(method, options, ADAPTIVE_OPTIONS)
    for name, value in options.items():
        _positive(value, f"options['{name}']")
    if not options.get("dfactor", 0.2) < 1 < options.get("ifactor", 10.0):
        raise ValueError(f"options must have dfactor < 1 < ifactor; got {options}")
    relative, absolute = _tolerances(y, rtol, atol)
    return adaptive.Control(relative, absolute, **options)


def _known(method, options, allowed):
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise ValueError(f"options for {method!r} may hold {', '.join(allowed)}; got {', '.join(map(repr, unknown))}")


def _positive(value, name):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a positive, finite number; got {value!r}")
    return value


def _torchdiffeq(func, y0, t, method, rtol, atol, options):
    """The same call, answered by torchdiffeq."""
    import torchdiffeq

    _times(t)
    _, state, _ = _pack(func, y0)
    rtol, atol = _tolerances(state, rtol, atol)
    trained = isinstance(func, torch.nn.Module) and any(p.requires_grad for p in func.parameters())
    if method == "scipy_solver" and torch.is_grad_enabled() and (state.requires_grad or trained):
        raise ValueError("method 'scipy_solver' returns no gradient: call it under torch.no_grad()")
    return torchdiffeq.odeint(func, y0, t, method=method, rtol=rtol, atol=atol, options=options)


def _short(values):
    text = ", ".join(f"{v:g}" for v in values[:6])
    return f"[{text}{', …' if len(values) > 6 else ''}]"


def _describe(value):
    if isinstance(value, tuple):
        return f"({', '.join(map(_describe, value))})"
    return f"shape {tuple(value.shape)}" if torch.is_tensor(value) else type(value).__name__
