"""`sdeint`: the one door to the stochastic methods."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from helpers._checks import seed as checked_seed

from . import arguments
from .brownian import BrownianPath, on_the_cpu
from .errors import NonFiniteStateError
from .grid import Step, fixed_steps, stage_times
from .stochastic import NOISE_TYPES, SCHEMES, SDE, SDE_TYPES

# normal numbers drawn at once, about what a cache holds; fixed, since the stream of numbers depends on it
CHUNK = 2**17


def sdeint(sde, y0, ts, *, method="euler", dt=1e-2, bm=None, seed=None):
    """Solve dX = f(t, X) dt + g(t, X) dW, X(ts[0]) = y0, with torchsde's conventions.

    Args:
        sde: Holds `f(t, y)`, `g(t, y)`, `noise_type` and `sde_type` as `SDE` says: an `SDE`, or a module made for
            torchsde. They are called with `t` a 0-d tensor.
        y0: Initial state, (batch, d), float32 or float64; with diagonal noise any shape.
        ts: Times at which the solution is wanted, (n,), n ≥ 2, increasing: a tensor or a sequence of floats. No
            gradient flows to them.
        method: "euler" (Euler–Maruyama) solves an Itô equation: strong order 1/2, 1 for additive noise; weak order 1.
            "heun" solves a Stratonovich equation: strong order 1 for noise that is diagonal, scalar or additive.
            "milstein" solves either, not with general noise: strong order 1. "srk" (Rößler's SRI1W1, for additive noise
            SRA1) solves an Itô equation, not with general noise: strong order 1.5. Of diagonal noise the last three
            take it that each entry of g depends on the same entry of y alone. A method that would converge to something
            else than what `sde` says is an error.
        dt: The largest step. Steps land on every time in `ts`, and those between two of them are equal.
        bm: The path: a `BrownianPath`, or anything that returns W(t) − W(s), (batch, m), when called as bm(s, t), and
            with `return_U=True`, which "srk" asks for, a pair of that and of the integral of W − W(s). torchsde's
            `BrownianInterval` is one.
        seed: Where the noise comes from without `bm`: a whole number, or a CPU `torch.Generator`; None for torch's
            global one. It is drawn on the CPU, so that a GPU sees the same noise.

    Returns:
        The solution at `ts`, (n, batch, d); differentiable through the operations of the solver, in y0 and in what f
        and g hold.

    Raises:
        TypeError, ValueError: The call is malformed; the text names the argument, what was given and what is allowed.
        NonFiniteStateError: The state became infinite or not-a-number; the text names time, step size and method.

    It differs from torchsde where that sets a trap: times are Python floats, so that float32 `ts` cost nothing; steps
    land on `ts`, where torchsde interpolates; "milstein" with scalar noise is of order 1 for every g, where torchsde's
    wants the Jacobian of g to be symmetric.

    Sources: Kloeden and Platen 1992, Numerical solution of stochastic differential equations, 10.2, 10.3 (euler,
    milstein); Rößler 2010, SIAM J. Numer. Anal. 48, 922–952 (srk); Li et al. 2020 (arXiv 2001.01328) for the interface.
    """
    _check_equation(sde)
    _check_state(sde, y0)
    scheme = _scheme(method, sde, y0)
    times = _times(ts)
    steps = fixed_steps(times, _largest_step(dt, times))
    clocks = stage_times(steps, scheme.c, y0)
    sde = SDE(_checked("f", sde.f, y0.shape, y0.dtype), sde.g, sde.noise_type, sde.sde_type)
    shape = _noise_shape(sde, y0, clocks[0][0], bm)
    g_shape = y0.shape if sde.noise_type == "diagonal" else (*y0.shape, shape[-1])
    sde = SDE(sde.f, _checked("g", sde.g, g_shape, y0.dtype), sde.noise_type, sde.sde_type)
    if bm is None:
        generator = _generator(seed)
        start = generator.get_state()
        noise = partial(_drawn, shape, y0, steps, scheme.area)
        states = _walk(scheme, sde, y0, steps, clocks, noise(generator))
    elif seed is not None:
        raise ValueError("seed must be None where bm is given: the path has its own")
    else:
        _check_covers(bm, times)
        ends = [*(step.start for step in steps), times[-1]]
        noise = partial(_read, bm, shape, y0, ends, scheme.area)
        states = _walk(scheme, sde, y0, steps, clocks, noise())
    # what is non-finite once stays so: one look at the end is enough
    if not torch.isfinite(states[-1]).all():
        again = noise(torch.Generator().set_state(start)) if bm is None else noise()
        raise _located(method, scheme, sde, y0, steps, clocks, again)
    return torch.stack([y0, *states])


def _walk(scheme, sde, y, steps, clocks, noise):
    """The states at the ends of the steps that are marked as outputs."""
    step, states = scheme.step, []
    for (_, h, is_output), times, (dw, area) in zip(steps, clocks, noise, strict=True):
        y = step(sde, times, y, h, dw, area)
        if is_output:
            states.append(y)
    return states


@torch.no_grad()
def _located(method, scheme, sde, y, steps, clocks, noise):
    """The exception that says where the solve left the finite numbers: walk again, looking at each step."""
    if not torch.isfinite(y).all():
        return NonFiniteStateError("y0 holds infinite or not-a-number entries")
    bad = steps[-1]
    for step, times, (dw, area) in zip(steps, clocks, noise, strict=True):
        y = scheme.step(sde, times, y, step.h, dw, area)
        if not torch.isfinite(y).all():
            bad = step
            break
    return NonFiniteStateError(
        f"the state became non-finite in the step from t = {bad.start:.6g} with step size {bad.h:.3g}, method "
        f"{method!r}: the step is too long for this equation, or the solution itself blows up"
    )


# --- noise --------------------------------------------------------------------------------------------------------


def _drawn(shape, like, steps: list[Step], area, generator) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The increment of every step, and its area where one is wanted, fresh from a generator."""
    count = max(1, CHUNK // max(1, math.prod(shape) * (1 + area)))
    for first in range(0, len(steps), count):
        part = steps[first : first + count]
        h = torch.tensor([step.h for step in part], dtype=torch.float64).to(like.dtype)
        h = h.reshape(-1, *[1] * len(shape))
        z = torch.randn((1 + area, len(part), *shape), generator=generator, dtype=like.dtype)
        dw = z[0].mul_(h.sqrt())
        areas = torch.addcmul(h / 2 * dw, h * (h / 12).sqrt(), z[1]).to(like.device).unbind() if area else None
        yield from zip(dw.to(like.device).unbind(), areas or [None] * len(part), strict=True)


def _read(bm, shape, like, ends: list[float], area) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The same, from a path; `ends` are the times between the steps, and the first and the last."""
    if isinstance(bm, BrownianPath):
        count = max(1, CHUNK // max(1, math.prod(shape) * (1 + area)))
        for first in range(0, len(ends) - 1, count):
            found = bm.increments(ends[first : first + count + 1], return_U=area, like=like)
            yield from zip(*found, strict=True) if area else ((dw, None) for dw in found.unbind())
        return
    for start, end in pairwise(ends):
        found = bm(start, end, return_U=True) if area else (bm(start, end), None)
        if found[0].shape != shape:
            raise ValueError(f"bm must return increments of shape {shape}; got {tuple(found[0].shape)}")
        yield found


def _noise_shape(sde, y0, t, bm):
    """The shape of an increment of W: (batch, m)."""
    if sde.noise_type == "diagonal":
        shape = tuple(y0.shape)
    elif sde.noise_type == "scalar":
        shape = (len(y0), 1)
    else:
        g = sde.g(t, y0)  # once more than the steps need it: its last axis says how many W there are
        if not torch.is_tensor(g) or g.shape[:-1] != y0.shape:
            got = tuple(g.shape) if torch.is_tensor(g) else type(g).__name__
            wanted = ", ".join(map(str, y0.shape))
            raise ValueError(f"g must return the shape ({wanted}, m) for {sde.noise_type} noise; got {got}")
        shape = (len(y0), g.shape[-1])
    given = getattr(bm, "shape", None)
    if given is not None and tuple(given) != shape:
        raise ValueError(f"bm must have shape {shape} for this y0 and {sde.noise_type} noise; got {tuple(given)}")
    return shape


def _generator(seed):
    if seed is None:
        return torch.default_generator
    if isinstance(seed, torch.Generator):
        return on_the_cpu(seed)
    return torch.Generator().manual_seed(checked_seed(seed))


# --- arguments ----------------------------------------------------------------------------------------------------


def _check_equation(sde):
    missing = [name for name in ("f", "g", "noise_type", "sde_type") if not hasattr(sde, name)]
    if missing:
        raise TypeError(f"sde must have f, g, noise_type and sde_type; got {type(sde).__name__} without "
                        f"{', '.join(missing)}")  # fmt: skip
    for name in ("f", "g"):
        if not callable(getattr(sde, name)):
            raise TypeError(f"sde.{name} must be callable as {name}(t, y); got {type(getattr(sde, name)).__name__}")
    for name, allowed in (("noise_type", NOISE_TYPES), ("sde_type", SDE_TYPES)):
        if getattr(sde, name) not in allowed:
            given = getattr(sde, name)
            raise ValueError(f"sde.{name} must be one of {', '.join(map(repr, allowed))}; got {given!r}")


def _check_state(sde, y0):
    if not torch.is_tensor(y0):
        raise TypeError(f"y0 must be a torch.Tensor; got {type(y0).__name__}")
    if y0.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"y0 must be of dtype float32 or float64; got {y0.dtype}")
    if sde.noise_type != "diagonal" and y0.dim() != 2:
        raise ValueError(f"y0 must have shape (batch, d) for {sde.noise_type} noise; got shape {tuple(y0.shape)}")


def _scheme(method, sde, y0):
    """The method, where it converges to what the equation means."""
    if not isinstance(method, str) or method not in SCHEMES:
        raise ValueError(f"method must be one of {', '.join(map(repr, SCHEMES))}; got {method!r}")
    fitting = [n for n, s in SCHEMES.items() if sde.sde_type in s.sde_types and sde.noise_type in s.noise_types]
    if method not in fitting:
        raise ValueError(
            f"method must be one of {', '.join(map(repr, fitting))} for sde_type {sde.sde_type!r} with noise_type "
            f"{sde.noise_type!r}; got {method!r}"
        )
    if method == "milstein" and torch.is_inference_mode_enabled():
        raise ValueError("method 'milstein' differentiates g: use torch.no_grad(), not inference mode")
    return SCHEMES[method]


def _times(ts):
    """The requested times as Python floats."""
    if torch.is_tensor(ts) and ts.requires_grad:
        raise ValueError("ts must not require a gradient: times are constants here; call ts.detach()")
    try:
        times = torch.as_tensor(ts, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"ts must be a tensor or a sequence of times; got {ts!r:.80}") from None
    if times.dim() != 1 or len(times) < 2:
        raise ValueError(f"ts must have shape (n,) with n ≥ 2; got shape {tuple(times.shape)}")
    if not (torch.isfinite(times).all() and (times.diff() > 0).all()):
        raise ValueError(f"ts must be finite and strictly increasing; got {times.tolist()!r:.80}")
    return times.tolist()


def _largest_step(dt, times):
    dt = arguments.positive(dt, "dt")
    if (times[-1] - times[0]) / dt > arguments.MOST_STEPS:
        raise ValueError(f"dt must leave at most {arguments.MOST_STEPS:g} steps; got {dt:g} on an interval of length "
                         f"{times[-1] - times[0]:g}")  # fmt: skip
    return dt


def _check_covers(bm, times):
    if not callable(bm):
        raise TypeError(f"bm must be a BrownianPath, or callable as bm(s, t); got {type(bm).__name__}")
    if isinstance(bm, BrownianPath):
        slack = 1e-12 * (bm.t1 - bm.t0)
        if times[0] < bm.t0 - slack or times[-1] > bm.t1 + slack:
            raise ValueError(f"bm must cover ts, [{times[0]:g}, {times[-1]:g}]; got a path on [{bm.t0:g}, {bm.t1:g}]")


def _checked(name, function, shape, dtype):
    """f or g, whose every answer is looked at: broadcasting would hide a wrong shape."""
    versioned = not torch.is_inference_mode_enabled()

    def field(t, y):
        value = function(t, y)
        try:
            if value.shape == shape and value.dtype is dtype and versioned and not value._version:
                return value
        except AttributeError:
            raise TypeError(f"{name} must return a tensor; got {type(value).__name__}") from None
        if value.shape != shape:
            raise ValueError(f"{name} must return the shape {tuple(shape)}; got {tuple(value.shape)}")
        if value.dtype is not dtype:
            raise TypeError(f"{name} must return the dtype of y0, {dtype}; got {value.dtype}")
        # written in place: it may be a buffer that the next call writes again, while this value is still needed
        return value.clone()

    return field
