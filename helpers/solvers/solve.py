"""`odeint`: the one door to every method and every gradient."""

from __future__ import annotations

import warnings

import torch

from . import adjoint, arguments, multistep, reversible
from .plan import Adaptive, FixedStep
from .tableaux import TABLEAUX

METHODS = {**TABLEAUX, **multistep.METHODS}
# torchdiffeq's methods that are not ours: the call goes to torchdiffeq, which is imported only then
PASSED_ON = ("dopri8", "fehlberg2", "adaptive_heun", "explicit_adams", "implicit_adams", "fixed_adams", "scipy_solver")
# how a solve is differentiated, and what `options` may hold for it beside the method's own
GRADIENTS = {
    "backprop": (),
    "checkpoint": ("segments",),
    "reversible": ("coupling", "parameters"),
    "adjoint": ("parameters",),
}


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
        gradient: How the solve is differentiated. "backprop": through the operations of the solver; memory grows with
            the number of steps. "checkpoint": the same gradient, steps recomputed in the backward pass; memory grows
            with the square root of the steps (`segments` in `options` chooses); every one-step method. "reversible":
            memory independent of the number of steps; the exact gradient of a reversible two-state scheme that wraps a
            fixed-step one-step method, agrees with it to its order and calls the field twice as often; `coupling` in
            `options`, default 0.999, amplifies rounding by coupling**-steps. "adjoint": the continuous adjoint, memory
            independent of the number of steps; the gradient of the exact flow up to the tolerance, not of the discrete
            solve; explicit one-step methods. The last two have first derivatives only, and need to know the tensors
            that `func` holds: those of a module are found, others go into `options` as `parameters`.

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
        return _torchdiffeq(func, y0, t, method, rtol, atol, options, gradient)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join([*METHODS, *PASSED_ON])}; got {method!r}")
    if not callable(func):
        raise TypeError(f"func must be callable as func(t, y); got {type(func).__name__}")
    times, (field, state, unpack) = arguments.times(t), arguments.pack(func, y0)
    options = dict(options or {})
    extra = {name: options.pop(name) for name in GRADIENTS[gradient] if name in options}
    if getattr(METHODS[method], "adaptive", False):
        plan = Adaptive(METHODS[method], arguments.control(method, state, rtol, atol, options))
    else:
        if rtol is not None or atol is not None:
            warnings.warn(f"rtol and atol have no effect on the fixed-step method {method!r}", stacklevel=2)
        plan = FixedStep(method, METHODS[method], arguments.step_size(method, times, options), state)
    tracked, held = torch.is_grad_enabled(), ()
    if tracked and gradient in ("reversible", "adjoint"):
        slope = arguments.first_slope(field, times[0], state.detach())
        held = arguments.parameters(func, slope, extra.pop("parameters", None))
    if gradient == "reversible":
        states = plan.reversible(field, state, times, held, extra.get("coupling", reversible.DEFAULT_COUPLING))
    elif gradient == "adjoint" and tracked:
        states = adjoint.solve(plan.explicit_tableau(), plan.run, field, state, times, held)
    elif gradient == "checkpoint" and tracked:
        states = plan.checkpointed(field, state, times, **extra)
    else:
        states = plan.run(field, state, times)
    return unpack(torch.stack([state, *states]))


def _torchdiffeq(func, y0, t, method, rtol, atol, options, gradient):
    """The same call, answered by torchdiffeq."""
    import torchdiffeq

    arguments.times(t)
    _, state, _ = arguments.pack(func, y0)
    rtol, atol = arguments.tolerances(state, rtol, atol)
    if gradient != "backprop":
        raise ValueError(f"gradient={gradient!r} takes our own methods; {method!r} is torchdiffeq's")
    trained = isinstance(func, torch.nn.Module) and any(p.requires_grad for p in func.parameters())
    if method == "scipy_solver" and torch.is_grad_enabled() and (state.requires_grad or trained):
        raise ValueError("method 'scipy_solver' returns no gradient: call it under torch.no_grad()")
    return torchdiffeq.odeint(func, y0, t, method=method, rtol=rtol, atol=atol, options=options)
