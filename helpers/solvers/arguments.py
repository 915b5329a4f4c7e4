"""Reading the arguments of `odeint`: what cannot be meant becomes one clear exception that names the argument."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import fields

import torch

from . import adaptive, newton

FIXED_OPTIONS = ("step_size", "num_steps", "grid")
ADAPTIVE_OPTIONS = tuple(f.name for f in fields(adaptive.Control) if f.name not in ("rtol", "atol"))
DEFAULT_TOLERANCES = {torch.float32: (1e-5, 1e-7), torch.float64: (1e-7, 1e-9)}
MOST_STEPS = 1e7


def times(t):
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


def pack(func, y0):
    """The field, the state and a function for the result, such that the steppers see one tensor with ≥ 1 axis."""
    if torch.is_tensor(y0):
        _check_state(y0, "y0")
        func = _checked(func, y0)
        if y0.dim() > 0:
            return func, y0, lambda solution: solution
        return lambda t, y: func(t, y[0]).unsqueeze(0), y0.unsqueeze(0), lambda solution: solution[:, 0]
    if not isinstance(y0, tuple) or not y0:
        raise TypeError(f"y0 must be a tensor or a non-empty tuple of tensors; got {type(y0).__name__}")
    for i, part in enumerate(y0):
        _check_state(part, f"y0[{i}]")
        if (part.dtype, part.device) != (y0[0].dtype, y0[0].device):
            raise TypeError(f"y0 must have one dtype and device; y0[{i}] has {part.dtype} on {part.device}, "
                            f"y0[0] {y0[0].dtype} on {y0[0].device}")  # fmt: skip
    shapes, sizes, flat_dtype = [part.shape for part in y0], [part.numel() for part in y0], y0[0].dtype

    def split(flat):
        pieces = flat.split(sizes, dim=-1)
        return tuple(p.reshape((*flat.shape[:-1], *shape)) for p, shape in zip(pieces, shapes, strict=True))

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
        if any(slope.dtype != flat_dtype for slope in slopes):
            raise TypeError(f"func must return the dtype of y0, {flat_dtype}; got {[str(s.dtype) for s in slopes]}")
        return join(slopes)

    return field, join(y0), split


def _checked(func, y0):
    """The field, whose every answer is looked at: at three attributes, in Python alone."""
    shape, dtype = y0.shape, y0.dtype
    versioned = not torch.is_inference_mode_enabled()

    def field(t, y):
        slope = func(t, y)
        try:
            if slope.shape == shape and slope.dtype is dtype and versioned and not slope._version:
                return slope
        except AttributeError:
            pass
        _check_slope(slope, y0)
        # written in place: it may be a buffer that the next call writes again, while this slope is still needed
        return slope.clone()

    return field


def _check_slope(slope, y0):
    if not torch.is_tensor(slope):
        raise TypeError(f"func must return a tensor; got {type(slope).__name__}")
    if slope.shape != y0.shape:
        raise ValueError(f"func must return the shape of y0, {tuple(y0.shape)}; got {tuple(slope.shape)}")
    if slope.dtype != y0.dtype:
        raise TypeError(f"func must return the dtype of y0, {y0.dtype}; got {slope.dtype}")


def _check_state(y, name):
    if not torch.is_tensor(y):
        raise TypeError(f"{name} must be a torch.Tensor; got {type(y).__name__}")
    if y.dtype not in (torch.float32, torch.float64, torch.complex64, torch.complex128):
        raise TypeError(f"{name} must be float32, float64, complex64 or complex128; got {y.dtype}")
    if y.numel() == 0:
        raise ValueError(f"{name} must hold at least one number; got shape {tuple(y.shape)}")


def first_slope(func, t, y):
    """func at the start."""
    real = y.real.dtype if y.is_complex() else y.dtype
    slope = func(torch.tensor(t, dtype=real, device=y.device), y)
    if slope.device != y.device:
        raise TypeError(f"func must return a tensor on the device of y0, {y.device}; got {slope.device}")
    return slope


def step_size(method, times, options, more=()):
    """The largest step that the options allow; None when `t` itself is the grid. `more` names the method's own."""
    _known(method, options, (*FIXED_OPTIONS, *more))
    options = {name: value for name, value in options.items() if name in FIXED_OPTIONS}
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
        step_size = length / whole(options["num_steps"], "options['num_steps']")
    else:
        step_size = positive(options["step_size"], "options['step_size']")
    if length / step_size > MOST_STEPS:
        raise ValueError(f"options ask for {length / step_size:.3g} steps; at most {MOST_STEPS:.0e} are taken")
    return step_size


def options(given):
    """A copy of the options, so that the caller's own stay as they are."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"options must be a dict; got {type(given).__name__}")
    return dict(given or {})


def linear_solver(given):
    """How the linear systems of an implicit method are solved; None where the size decides."""
    if given is not None and given not in newton.LINEAR_SOLVERS:
        allowed = " or ".join(map(repr, newton.LINEAR_SOLVERS))
        raise ValueError(f"options['linear_solver'] must be {allowed}; got {given!r}")
    return given


def tolerances(y, rtol, atol):
    real = y.real.dtype if y.is_complex() else y.dtype
    relative, absolute = DEFAULT_TOLERANCES[real]
    relative = relative if rtol is None else positive(rtol, "rtol")
    absolute = absolute if atol is None else positive(atol, "atol")
    if relative < (least := 10 * torch.finfo(real).eps):
        raise ValueError(f"rtol must be at least 10 eps = {least:.2g} of {real}; got {relative:g}")
    return relative, absolute


def control(method, y, rtol, atol, options, more=()):
    """How an adaptive method chooses its steps. `more` names options of the method's own."""
    _known(method, options, (*ADAPTIVE_OPTIONS, *more))
    options = {name: value for name, value in options.items() if name in ADAPTIVE_OPTIONS}
    if options.get("max_step") == math.inf:  # torchdiffeq's own defaults may be said aloud
        del options["max_step"]
    if options.get("min_step") == 0:
        del options["min_step"]
    for name, value in options.items():
        (whole if name == "max_num_steps" else positive)(value, f"options['{name}']")
    if options.get("safety", 0.9) > 1:
        raise ValueError(f"options['safety'] must be at most 1; got {options['safety']!r}")
    if not options.get("dfactor", 0.2) < 1 < options.get("ifactor", 10.0):
        raise ValueError(f"options must have dfactor < 1 < ifactor; got {options}")
    shortest, longest = options.get("min_step", 0.0), options.get("max_step", math.inf)
    if not shortest <= options.get("first_step", shortest) <= longest:
        raise ValueError(f"options must have min_step ≤ first_step ≤ max_step; got {options}")
    relative, absolute = tolerances(y, rtol, atol)
    return adaptive.Control(relative, absolute, **options)


def _known(method, options, allowed):
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise ValueError(f"options for {method!r} may hold {', '.join(allowed)}; got {', '.join(map(repr, unknown))}")


def whole(value, name):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be an integer ≥ 1; got {value!r}")
    return int(value)


def positive(value, name):
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a positive, finite number; got {value!r}")
    return float(value)


def parameters(func, given):
    """The tensors beside y that a gradient must reach: the parameters of a module, and those given."""
    if given is not None and (torch.is_tensor(given) or not isinstance(given, Iterable)):
        raise TypeError(
            f"options['parameters'] must be a sequence of tensors that require a gradient; got {type(given).__name__}"
        )
    given = tuple(given or ())  # a generator, such as module.parameters(), can be read only once
    if not all(torch.is_tensor(p) and p.requires_grad for p in given):
        raise ValueError(
            "options['parameters'] must be a sequence of tensors that require a gradient; got "
            f"{_describe(tuple(given))}"
        )
    own = tuple(p for p in func.parameters() if p.requires_grad) if isinstance(func, torch.nn.Module) else ()
    return tuple({id(p): p for p in (*own, *given)}.values())


def accounted(func, held):
    """The field, which refuses to compute with a tensor whose gradient would be lost without a word.

    Where a solve without a graph calls it, nothing may require a gradient but y and what is in `held`.
    """
    known, stop = {id(p) for p in held}, {p.grad_fn for p in held}

    def look(t, y, slope):
        if any(leaf is not y and id(leaf) not in known for leaf in leaves(slope, stop)):
            raise ValueError(
                "func holds tensors that require a gradient and are not parameters of a module: make func an nn.Module "
                f"that has them, or name them in options['parameters']; got such a tensor at t = {float(t):.6g}"
            )

    return with_own_graph(func, look)


def with_own_graph(func, look=None):
    """The field for a solve without a graph, whose every call has one of its own: a field may differentiate inside.

    Args:
        look: called as look(t, y, slope) while that graph is there.
    """

    def field(t, y):
        if torch.is_grad_enabled():
            return func(t, y)
        y = y.detach().requires_grad_()
        with torch.enable_grad():
            slope = func(t, y)
        if look is not None:
            look(t, y, slope)
        return slope.detach()

    return field


def leaves(tensor, stop=()):
    """The leaf tensors that require a gradient and that `tensor` was computed from, by way of no node in `stop`."""
    if tensor.grad_fn is None:
        return [tensor] if tensor.requires_grad else []
    found, seen, open_nodes = [], {None, *stop}, [tensor.grad_fn]
    while open_nodes:
        node = open_nodes.pop()
        if node not in seen:
            seen.add(node)
            if type(node) is _LEAF:
                found.append(node.variable)
            open_nodes += [parent for parent, _ in node.next_functions]
    return found


# the type of the nodes in which a graph ends
_LEAF = type(torch.ones(1, requires_grad=True).view(1).grad_fn.next_functions[0][0])


def _short(values):
    text = ", ".join(f"{v:g}" for v in values[:6])
    return f"[{text}{', …' if len(values) > 6 else ''}]"


def _describe(value):
    if isinstance(value, tuple):
        return f"({', '.join(map(_describe, value))})"
    return f"shape {tuple(value.shape)}" if torch.is_tensor(value) else type(value).__name__
