"""`odeint`: the one door to every method and every gradient."""

from __future__ import annotations

import warnings

import torch

from . import adjoint, arguments, multistep, newton, reversible, symplectic
from .plan import Adaptive, FixedStep
from .tableaux import TABLEAUX, Tableau

METHODS = {**TABLEAUX, **multistep.METHODS, **symplectic.METHODS}
IMPLICIT_OPTIONS = ("linear_solver",)
# torchdiffeq's methods that are not ours: the call goes to torchdiffeq, which is imported only then
PASSED_ON = ("dopri8", "fehlberg2", "adaptive_heun", "explicit_adams", "implicit_adams", "fixed_adams", "scipy_solver")
# of these, the ones that take t for their grid where nothing else is said
GRID_IS_T = ("explicit_adams", "implicit_adams", "fixed_adams")
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
            the same shape and dtype (a tuple where `y0` is one). Symplectic methods want it separable: `dq` depends
            on `p` alone and `dp` on `q` alone; they look at it once more at the start to see that it is, and three
            times more where autograd cannot prove it.
        y0: Initial state, a tensor of any shape or a tuple of tensors; float32, float64 or complex. Implicit methods
            take the last axis as the state of one sample and need a real state; of a tuple, or a scalar, everything
            is one sample. Symplectic methods want a pair `(q, p)` of one shape.
        t: Times at which the solution is wanted, shape (n,), n ≥ 2, strictly increasing or strictly decreasing. They
            are constants: no gradient flows to them.
        method: Explicit, fixed step: "euler", "midpoint", "heun2", "ralston", "heun3", "rk4" (the classic one),
            "rk4_38" (what torchdiffeq calls "rk4"), "ab2". Explicit, adaptive: "bosh3", "dopri5", "tsit5". Implicit,
            fixed step: "implicit_euler" and "sdirk2" (L-stable), "implicit_midpoint", "trapezoid" and "gauss4"
            (A-stable). Implicit, adaptive, for stiff problems: "kvaerno3" (L-stable). Symplectic, fixed step:
            "symplectic_euler" (p first) and its adjoint "symplectic_euler_adjoint" (q first), "leapfrog"
            (Störmer–Verlet), "yoshida4", whose middle substep looks up to 0.36 steps beyond either end of the step.
            torchdiffeq's other names ("dopri8", "scipy_solver", …) are passed on to it.
        rtol, atol: Tolerances of an adaptive method, relative and absolute, in the units of y. Default 1e-5 and 1e-7
            in float32, 1e-7 and 1e-9 in float64.
        options: Fixed-step methods want exactly one of `step_size` (the largest step), `num_steps` (n for steps of at
            most 1/n of the way from t[0] to t[-1]) or `grid="t"` (one step from each time in `t` to the next). Steps
            land on every time in `t`, and those between two of them are equal: n steps where the times lie on a grid of
            n, as two times do, else a few more, less than one for every interval.
            Adaptive methods take `first_step`, `min_step`, `max_step`, `max_num_steps`, `safety`, `ifactor`, `dfactor`.
            Implicit methods also take `linear_solver`, for the systems in Newton's iteration: "dense", one matrix a
            sample, or "gmres", Jacobian-vector products alone, the whole state as one system; the default is "dense"
            up to 128 unknowns a sample (the entries of its state, times the stages that are solved for together) where
            samples do not depend on each other.
        gradient: How the solve is differentiated. "backprop": through the operations of the solver; memory grows with
            the number of steps. "checkpoint": the same gradient, steps recomputed in the backward pass; memory grows
            with the square root of the steps (`segments` in `options` chooses); every one-step method. "reversible":
            memory independent of the number of steps; the exact gradient of a reversible two-state scheme that wraps a
            fixed-step Runge–Kutta method, agrees with it to its order and calls the field twice as often; `coupling` in
            `options`, default 0.999, amplifies rounding by coupling**-steps. It is stable where the flow does not
            contract: a part of the solution that decays like exp(−kt) makes what is between the two states grow like
            exp(kt), and where it grows beyond half of the solution InstabilityError is raised. "adjoint": the
            continuous adjoint, memory independent of the number of steps; the gradient of the exact flow up to the
            tolerance, not of the discrete solve; explicit Runge–Kutta methods. The last two need to know the tensors
            that `func` holds: those of a module are found, others go into `options` as `parameters`, a sequence; a
            tensor that is in neither raises. An adaptive method with "checkpoint" takes no field that draws random
            numbers. Symplectic methods take the first two. Second derivatives: by the first two, through methods that
            are not implicit; else asking for one raises.

    Returns:
        The solution at `t`, shape (n, *y0.shape); a tuple of such tensors where `y0` is a tuple.

    Raises:
        TypeError, ValueError: The call is malformed; the text names the argument, what was given and what is allowed.
        SolverError: The solve failed: NonFiniteStateError, StepSizeUnderflowError, TooManyStepsError, NewtonError,
            InstabilityError, each with time, step size and method in its text.

    It differs from torchdiffeq where that sets a trap: default tolerances follow the dtype and a relative one below
    10 eps is an error; a fixed-step method never takes `t` as its grid unless told so; steps never leave [t[0], t[-1]];
    an unknown option is an error; `rk4` is the classic method.

    Sources: Chen et al. 2018 (arXiv 1806.07366) for the interface; `tableaux.py` names that of each method.
    """
    if not isinstance(gradient, str) or gradient not in GRADIENTS:
        raise ValueError(f"gradient must be one of {', '.join(map(repr, GRADIENTS))}; got {gradient!r}")
    if not isinstance(method, str):
        raise TypeError(f"method must be a name, one of {', '.join([*METHODS, *PASSED_ON])}; got {method!r}")
    if method in PASSED_ON:
        return _torchdiffeq(func, y0, t, method, rtol, atol, options, gradient)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join([*METHODS, *PASSED_ON])}; got {method!r}")
    if not callable(func):
        raise TypeError(f"func must be callable as func(t, y); got {type(func).__name__}")
    times = arguments.times(t)
    if method in symplectic.METHODS:
        symplectic.check_state(method, y0)
    field, state, unpack = arguments.pack(func, y0)
    options = arguments.options(options)
    extra = {name: options.pop(name) for name in GRADIENTS[gradient] if name in options}
    if "segments" in extra:
        extra["segments"] = arguments.whole(extra["segments"], "options['segments']")
    plan = _plan(method, times, state, rtol, atol, options)
    tracked, held = torch.is_grad_enabled(), ()
    if tracked and gradient in ("reversible", "adjoint"):
        held = arguments.parameters(func, extra.pop("parameters", None))
        field = arguments.accounted(field, held)
    if method in symplectic.METHODS:
        symplectic.check_separable(method, func, times[0], y0)
    if gradient == "reversible":
        states = plan.reversible(field, state, times, held, extra.get("coupling", reversible.DEFAULT_COUPLING))
    elif gradient == "adjoint" and tracked:
        states = adjoint.solve(plan.explicit_tableau(), plan.run, field, state, times, held)
    elif gradient == "checkpoint" and tracked:
        states = plan.checkpointed(field, state, times, **extra)
    else:
        states = plan.run(field, state, times)
    return unpack(torch.stack([state, *states]))


def _plan(method, times, state, rtol, atol, options):
    """The method with its options, ready to run."""
    scheme = METHODS[method]
    own = IMPLICIT_OPTIONS if isinstance(scheme, Tableau) and not scheme.explicit else ()
    if own and state.is_complex():
        raise TypeError(f"y0 must be real for the implicit method {method!r}; got {state.dtype}")
    if own and torch.is_inference_mode_enabled():
        raise ValueError(f"the implicit method {method!r} differentiates func: use torch.no_grad(), not inference mode")
    solver = newton.Choice(arguments.linear_solver(options.get("linear_solver"))) if own else None
    if getattr(scheme, "adaptive", False):
        return Adaptive(scheme, arguments.control(method, state, rtol, atol, options, own), solver)
    if rtol is not None or atol is not None:
        warnings.warn(f"rtol and atol have no effect on the fixed-step method {method!r}", stacklevel=3)
    return FixedStep(method, scheme, arguments.step_size(method, times, options, own), solver)


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
    options = arguments.options(options)
    if method in GRID_IS_T and "step_size" not in options:
        raise ValueError(f"options must hold 'step_size' for torchdiffeq's {method!r}, or t would be its only steps")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*Unexpected arguments")  # a misspelt option would have no effect
        try:
            return torchdiffeq.odeint(func, y0, t, method=method, rtol=rtol, atol=atol, options=options)
        except UserWarning as warning:
            raise ValueError(f"options for torchdiffeq's {method!r}: {warning}") from None
