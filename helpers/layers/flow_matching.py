"""Flow matching: a velocity learnt by regression, the samples it makes, and the minimiser that needs no learning."""

from __future__ import annotations

import math

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from helpers._tensors import described, finite, points, real, rows, same_kind
from helpers.solvers import odeint

from . import _checks, _choice
from ._noise import drawn

COUPLINGS = ("independent", "ot")
CALLS = {"euler": 1, "midpoint": 2, "heun2": 2, "rk4": 4}  # of the velocity, a step


class FlowMatching(nn.Module):
    """The residual of conditional flow matching on straight paths: v(t, x_t) − (x₁ − x₀), x_t = (1 − t) x₀ + t x₁.

    Noise x₀ ~ N(0, I) at t = 0, data x₁ at t = 1; `fit(FlowMatching(v), (x, x), loss=squared_norm)` is the whole
    training (Lipman et al. 2023, Flow matching for generative modeling, arXiv 2210.02747; Liu et al. 2023, Flow
    straight and fast, arXiv 2209.03003). Noise, time and pairing are drawn at each call from torch's global generator,
    which `fit` seeds.

    Args:
        velocity: v, a module called as velocity(t, x) with t (n, 1); as velocity(t, x, label) when it has `classes`.
        coupling: How noise is paired with data, see `paired`.
        unlabelled: Where there are classes, the share of samples that are shown without their label.

    Raises:
        TypeError: `velocity` is not a module.
        ValueError: `coupling` is unknown, or `unlabelled` not in [0, 1].
    """

    def __init__(self, velocity: nn.Module, coupling: str = "independent", *, unlabelled: float = 0.1):
        super().__init__()
        self.velocity = _checks.module("velocity", velocity)
        self.coupling = _choice.one_of("coupling", coupling, COUPLINGS)
        self.unlabelled = _checks.number_from_zero("unlabelled", unlabelled)
        if self.unlabelled > 1:
            raise ValueError(f"unlabelled must be in [0, 1]; got {unlabelled!r}")

    def forward(self, x1: Tensor) -> Tensor:
        """Data x₁ (n, d), with classes (n, d + 1) whose last column is the label, ↦ the residual (n, d).

        A label is a whole number from 0 to `classes`, the last for none.

        Raises:
            TypeError: x₁ is no tensor of float32 or float64.
            ValueError: It is empty or not finite, a label is none, or the velocity does not keep the shape (n, d).
        """
        finite("x1", rows("x1", x1))
        label = ()
        if classes := getattr(self.velocity, "classes", 0):
            x1, number = _split(x1, classes)
            hidden = drawn(number.shape, x1, kind=torch.rand) < self.unlabelled
            label = (number.masked_fill(hidden, classes),)
        x0 = paired(drawn(x1.shape, x1), x1, self.coupling)
        t = drawn((len(x1), 1), x1, kind=torch.rand)
        v = self.velocity(t, torch.lerp(x0, x1, t), *label)
        if not isinstance(v, Tensor) or v.shape != x1.shape:  # (n, 1) would broadcast without a word
            got = tuple(v.shape) if isinstance(v, Tensor) else type(v).__name__
            raise ValueError(f"velocity must keep the shape {tuple(x1.shape)} of its x; got {got}")
        return v - (x1 - x0)


def _split(x1, classes):
    """The points (n, d) and the labels (n,) of data whose last column is the label."""
    column = x1[:, -1]
    if x1.shape[1] < 2:
        raise ValueError(f"x1 must be of shape (n, d + 1), its last column the label; got {tuple(x1.shape)}")
    if ((column != column.round()) | (column < 0) | (column > classes)).any():
        raise ValueError(
            f"x1 must hold labels, whole numbers from 0 to {classes}, in its last column; "
            f"got {column.min():g} to {column.max():g}, not all whole or not all in range"
        )
    return x1[:, :-1], column.long()


def squared_norm(residual: Tensor, _=None) -> Tensor:
    """Mean over the batch of ‖residual‖², (n, d) ↦ 0-d. What `fit` hands over as a target is not looked at."""
    return residual.square().sum(-1).mean()


def paired(x0: Tensor, x1: Tensor, coupling: str = "independent") -> Tensor:
    """x0 (n, d) in the order in which it is paired with x1 (n, d).

    "independent": as it comes. "ot": the permutation that minimises Σ ‖x₀ − x₁‖², by SciPy's assignment solver: the
    optimal transport between the two batches, not between the laws they are drawn from (Tong et al. 2024, Improving and
    generalizing flow-based generative models with minibatch optimal transport, arXiv 2302.00482).

    Raises:
        TypeError: x0 or x1 is no tensor of float32 or float64, or they differ in dtype or device.
        ValueError: `coupling` is unknown, the batches are empty or of different shapes, or "ot" meets an entry that is
            not finite.
    """
    _choice.one_of("coupling", coupling, COUPLINGS)
    same_kind("x0", rows("x0", x0), "x1", rows("x1", x1))
    if x0.shape != x1.shape:
        raise ValueError(f"x0 and x1 must be of one shape (n, d); got {tuple(x0.shape)} and {tuple(x1.shape)}")
    if coupling == "independent":
        return x0
    finite("x0", x0)
    finite("x1", x1)
    cost = torch.cdist(x1.detach(), x0.detach()).square().cpu().numpy()
    _, order = linear_sum_assignment(cost)
    return x0[torch.as_tensor(order, device=x0.device)]


class Guided(nn.Module):
    """v(t, x, ∅) + w (v(t, x, label) − v(t, x, ∅)): classifier-free guidance, both velocities in one call.

    w = 0 ignores the label, w = 1 is the conditional velocity, w > 1 exaggerates it (Ho and Salimans 2022,
    Classifier-free diffusion guidance, arXiv 2207.12598).

    Args:
        velocity: Called as velocity(t, x, label), with `classes`, such as a `TimeMLP`.
        label: (n,), int64 or int32, one for each sample, from 0 to `classes`, the last for none.
        weight: w, any finite number.

    Raises:
        TypeError: `velocity` is no module, `label` no tensor of whole numbers, or `weight` no number.
        ValueError: The velocity has no classes, `label` is of another shape or out of range, or `weight` not finite.
    """

    def __init__(self, velocity: nn.Module, label: Tensor, weight: float = 1.0):
        super().__init__()
        self.velocity = _checks.module("velocity", velocity)
        if not (classes := getattr(velocity, "classes", 0)):
            raise ValueError(f"velocity must have classes; got {type(velocity).__name__} without")
        if not isinstance(label, Tensor) or label.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"label must be a tensor of int64 or int32; got {described(label)}")
        if label.ndim != 1 or not len(label):
            raise ValueError(f"label must be of shape (n ≥ 1,), one for each sample; got {tuple(label.shape)}")
        if label.min() < 0 or label.max() > classes:
            raise ValueError(f"label must be from 0 to {classes}; got {label.min()} to {label.max()}")
        self.register_buffer("label", label)
        self.weight = _number("weight", weight)

    def forward(self, t: float | Tensor, x: Tensor) -> Tensor:
        """x (..., n, d) ↦ (..., n, d): of each sample one copy or more, as a trace takes them.

        Raises:
            ValueError: x has not as many samples as there are labels.
        """
        real("x", x)
        if x.ndim < 2 or x.shape[-2] != len(self.label):
            raise ValueError(f"x must be of shape (..., {len(self.label)}, d), as the labels; got {tuple(x.shape)}")
        label = self.label.expand(x.shape[:-1])
        both = torch.stack([torch.full_like(label, self.velocity.classes), label])
        free, bound = self.velocity(t, torch.stack([x, x]), both)
        return torch.lerp(free, bound, self.weight)


class EmpiricalVelocity(nn.Module):
    """The exact minimiser of the flow-matching loss on a finite set of data: nothing is learnt, and all is copied.

        v(t, x) = (E[x₁ | x_t = x] − x) / (1 − t),

    where the mean weighs the data x_i by softmax(−‖x − t x_i‖² / 2 (1 − t)²). For t < 1: a method that looks at the end
    of its last step, such as "rk4" or "heun2", must stop before. Its flow ends on the data (Bertrand et al. 2025, On
    the closed-form of flow matching, arXiv 2506.03719).

    Args:
        data: x_i, (n, d), finite.

    Raises:
        TypeError: `data` is no tensor of float32 or float64.
        ValueError: It is no matrix, empty, or not finite.
    """

    def __init__(self, data: Tensor):
        super().__init__()
        finite("data", rows("data", data))
        self.register_buffer("data", data)
        self.register_buffer("norms", data.square().sum(-1))

    def weights(self, t: float | Tensor, x: Tensor) -> Tensor:
        """How probable each of the data is as the end of the path through x (..., d) at time t: (..., n).

        Args:
            t: In [0, 1), a number or a tensor of one entry.

        Raises:
            TypeError: x is no tensor of the data's dtype and device, or t no number.
            ValueError: The last axis of x is not d, or t is not in [0, 1).
        """
        same_kind("x", points("x", x, self.data.shape[1]), "the data", self.data)
        if isinstance(t, Tensor) and t.numel() != 1:
            raise ValueError(f"t must be one time in [0, 1); got shape {tuple(t.shape)}")
        if not 0 <= _number("t", t.detach() if isinstance(t, Tensor) else t) < 1:
            raise ValueError(f"t must be in [0, 1); got {float(t):g}")
        logits = (t * x @ self.data.T - 0.5 * t * t * self.norms) / (1 - t) ** 2
        return logits.softmax(-1)

    def mean(self, t: float | Tensor, x: Tensor) -> Tensor:
        """E[x₁ | x_t = x], x (..., d) ↦ (..., d). Raises what `weights` raises."""
        return self.weights(t, x) @ self.data

    def forward(self, t: float | Tensor, x: Tensor) -> Tensor:
        """v(t, x), x (..., d) ↦ (..., d). Raises what `weights` raises."""
        return (self.mean(t, x) - x) / (1 - t)


@torch.no_grad()
def generate(velocity, x0: Tensor, nfe: int, method: str = "euler") -> Tensor:
    """Where the flow of the velocity carries x0 from t = 0 to t = 1, by `nfe` calls of it in equal steps.

    Args:
        velocity: Called as velocity(t, x) with t a 0-d tensor.
        x0: Noise, (n ≥ 1, d).
        nfe: A multiple of what a step of the method takes: 1, 2, 2, 4.
        method: "euler", "midpoint", "heun2" or "rk4".

    Returns:
        (n, d), without a graph.

    Raises:
        TypeError: `velocity` cannot be called, x0 is no tensor of float32 or float64, or `nfe` not whole.
        ValueError: The method is unknown, `nfe` no such multiple, or x0 no matrix, or empty.
        SolverError: The state became infinite or not-a-number.
    """
    _callable(velocity)
    rows("x0", x0)
    calls = CALLS[_choice.one_of("method", method, CALLS)]
    if _checks.whole_number("nfe", nfe, at_least=1) % calls:
        raise ValueError(f"nfe must be a multiple of {calls}, the calls in a step of {method!r}; got {nfe}")
    times = torch.tensor([0.0, 1.0], dtype=torch.float64)
    return odeint(velocity, x0, times, method=method, options={"num_steps": nfe // calls})[-1]


@torch.no_grad()
def straightness(velocity, x0: Tensor, steps: int = 50) -> float:
    """E ∫ ‖v(t, x(t)) − (x(1) − x(0))‖² dt over the paths from x0 (n, d): 0 when all are straight, of constant speed.

    One Euler step is then exact (Liu et al. 2023, Flow straight and fast, arXiv 2209.03003). In squared units of x,
    with the mean over the samples for E; paths by rk4 in `steps` steps, the integral by the trapezoidal rule, whose
    error falls as steps**-2.

    Raises:
        TypeError: `velocity` cannot be called, x0 is no tensor of float32 or float64, or `steps` not whole.
        ValueError: `steps` is below 1, or x0 no matrix, or empty.
        SolverError: The state became infinite or not-a-number.
    """
    _callable(velocity)
    rows("x0", x0)
    times = torch.linspace(0, 1, _checks.whole_number("steps", steps, at_least=1) + 1, dtype=torch.float64)
    path = odeint(velocity, x0, times, method="rk4", options={"grid": "t"})
    speed = torch.stack([velocity(t, x) for t, x in zip(times, path, strict=True)])
    square = (speed - (path[-1] - path[0])).square().sum(-1).mean(-1)
    return torch.trapezoid(square, times.to(square)).item()


def _callable(velocity):
    if not callable(velocity):
        raise TypeError(f"velocity must be callable as velocity(t, x); got {type(velocity).__name__}")


def _number(name, value):
    """`value` as a finite float."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number; got {value!r:.80}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite; got {number}")
    return number
