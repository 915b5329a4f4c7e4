"""The systems of an implicit step, solved by Newton's method and differentiated by the implicit function theorem.

The stages Y_1 … Y_m of a block satisfy

    Y_i = known + h Σ_j a_ij f(t_j, Y_j),

and Newton's correction solves a linear system with the matrix M = I − h (a_ij ∂f/∂y(t_j, Y_j))_ij. How it is solved is
the reader's choice, `linear_solver`:

- "dense": LU factors of M, one for every sample. The last axis of the state is a sample; where samples mix, a first
  look at the field finds it (`Choice`).
- "gmres": products with ∂f/∂y alone, in Krylov spaces of the whole state, whose entries may depend on each other
  across all axes (Saad & Schultz 1986; Knoll & Keyes 2004, Jacobian-free Newton–Krylov methods).
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch

from .errors import NewtonError
from .explicit import combine
from .krylov import gmres

LINEAR_SOLVERS = ("dense", "gmres")
# up to so many unknowns a sample its matrix is factorised, where the caller does not choose
LARGEST_DENSE = 128
# A correction below this, relative to the state, ends the iteration. Newton squares its error, so the correction that
# passes the test (and is applied) leaves an error at rounding level.
RELATIVE_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
# That error was estimated with the matrix before, which a jump of the Jacobian makes worthless: so the correction must
# have shrunk, too, unless it is rounding.
CONTRACTION = 0.1
# A state that has decayed is small beside the field's rounding, and no iteration makes the correction small beside the
# state. One that stands still, or comes and goes, below this many eps of the largest state of the solve is all that can
# be had.
ROUNDING, PATIENCE = 256, 4
MAX_ITERATIONS = 20


class Choice:
    """How the linear systems of one solve are solved: as the caller says, else by size and by a look at the field.

    Args:
        given: One of LINEAR_SOLVERS, or None.
    """

    def __init__(self, given: str | None = None):
        self.given, self.solver = given, "gmres" if given == "gmres" else None

    def of(self, points, slopes) -> str:
        """The solver; the first call of a solve decides.

        Raises:
            ValueError: "dense" was asked for, and the samples depend on each other.
        """
        if self.solver is None:
            small = len(points) * points[0].shape[-1] <= LARGEST_DENSE
            mixed = (small or self.given == "dense") and any(map(_mixes, slopes, points))
            if mixed and self.given == "dense":
                raise ValueError(
                    "options['linear_solver'] = 'dense' takes the last axis of y0 as one sample, and here func mixes "
                    "samples: leave the option out, or give 'gmres'"
                )
            self.solver = "dense" if self.given == "dense" or (small and not mixed) else "gmres"
        return self.solver


@dataclass(frozen=True)
class System:
    """The equations of one block of stages.

    Attributes:
        method: Name of the method, for the message when no solution is found.
        func: The vector field.
        times: The stages' times t_j as `func` wants them.
        a: The block's rows of the tableau.
        start, h: The step.
        choice: How the linear systems are solved.
        scale: The largest |y| of the solve so far.
    """

    method: str
    func: object
    times: tuple
    a: tuple[tuple[float, ...], ...]
    start: float
    h: float
    choice: Choice
    scale: torch.Tensor

    def slopes(self, points):
        return [self.func(time, point) for time, point in zip(self.times, points, strict=True)]

    def defect(self, known, points, slopes):
        """known + h Σ_j a_ij f(t_j, Y_j) − Y_i, the stages beside each other on the last axis."""
        sums = [combine(known, slopes, list(enumerate(row)), self.h) for row in self.a]
        return _beside([total - point for total, point in zip(sums, points, strict=True)])

    def split(self, stacked):
        return (stacked,) if len(self.a) == 1 else stacked.split(stacked.shape[-1] // len(self.a), dim=-1)

    def linearise(self, points, slopes):
        """M at these points, ready to be solved with."""
        return (Dense if self.choice.of(points, slopes) == "dense" else Krylov)(self, points, slopes)


def solve(system: System, known, guess):
    """The stages Y_1 … Y_m, each shaped like `known`; differentiable, once, in `known` and in what the field holds.

    Args:
        guess: Where the iteration starts, for every stage.

    Raises:
        NewtonError: It did not converge; the text has time, step size, method, residual and iteration count.
    """
    # the graphs of the iteration live and die here: a checkpoint around the solve must not keep them
    with torch.autograd.graph.saved_tensors_hooks(_itself, _itself) if torch.is_grad_enabled() else nullcontext():
        stacked, linear = _newton(system, known.detach(), _beside([guess.detach()] * len(system.a)))
    if torch.is_grad_enabled():
        points = system.split(stacked)
        defect = system.defect(known, points, system.slopes(points))
        if defect.requires_grad:
            stacked = _ImplicitFunction.apply(defect, stacked, system, *linear.kept())
    return system.split(stacked)


def _newton(system, known, stacked):
    """Full Newton, all samples at once: the stages, detached, and M at the last iterate.

    A fresh Jacobian each iteration: a frozen one fails on stiff problems, and silently when the test is absolute.
    """
    tolerance, numbers = RELATIVE_TOLERANCE[known.dtype], torch.finfo(known.dtype)
    rounding = ROUNDING * numbers.eps * system.scale
    linear = before = None
    for iteration in range(MAX_ITERATIONS + 1):
        with torch.enable_grad():
            points = [point.detach().requires_grad_() for point in system.split(stacked)]
            slopes = system.slopes(points)
        with torch.no_grad():
            defect = system.defect(known, points, slopes)
        if linear is not None:
            # the matrix before is good enough to measure the error left, and its correction is cheap
            correction = linear.solve(defect, rough=True)
            state = torch.maximum(_largest(stacked), _largest(known)).clamp_min(numbers.tiny)
            moved = _largest(correction)
            shrunk = (moved <= CONTRACTION * before) | (moved <= 8 * numbers.eps * state)
            converged = (moved <= tolerance * state) & shrunk
            stalled = ((moved >= before / 2) | (iteration >= PATIENCE)) & (moved <= rounding)
            if (converged | stalled).all():
                return stacked + correction, system.linearise(points, slopes) if torch.is_grad_enabled() else None
        if iteration == MAX_ITERATIONS or not torch.isfinite(defect).all():
            break
        linear = system.linearise(points, slopes)
        step = linear.solve(defect)
        stacked, before = stacked + step, _largest(step)
    raise NewtonError(
        f"Newton's iteration did not converge: {system.method} at t = {system.start:.6g} with step size "
        f"{abs(system.h):.3g}, largest residual {defect.abs().max().item():.3g} after {iteration} iterations. "
        f"Try a smaller step; {linear.hint if linear is not None else 'the field is not finite at the start'}"
    )


class Dense:
    """M as LU factors, shape (..., m d, m d): one small matrix a sample."""

    hint = (
        "the last axis of the state is one sample, and samples must not mix unless options hold linear_solver='gmres'"
    )

    def __init__(self, system, points, slopes):
        jacobians = [jacobian(slope, point) for slope, point in zip(slopes, points, strict=True)]
        rows = [[j * (-system.h * a) for a, j in zip(row, jacobians, strict=True)] for row in system.a]
        matrix = _beside([torch.cat(block, -2) if len(block) > 1 else block[0] for block in zip(*rows, strict=True)])
        matrix.diagonal(dim1=-2, dim2=-1).add_(1)
        # a singular matrix gives corrections that are not finite, which end the iteration with its own message
        self.factors = torch.linalg.lu_factor_ex(matrix)[:2]

    def solve(self, vector, rough=False):
        return torch.linalg.lu_solve(*self.factors, vector.unsqueeze(-1)).squeeze(-1)

    def kept(self):
        return self.factors


class Krylov:
    """M as its products with vectors; the products with ∂f/∂y are derivatives of the field's transposed ones."""

    hint = "GMRES has no preconditioner: where the state is small, options may hold linear_solver='dense'"

    def __init__(self, system, points, slopes):
        self.system = system
        self.pairs = [_transposed(slope, point) for slope, point in zip(slopes, points, strict=True)]

    def solve(self, vector, rough=False):
        tolerance = 1e-2 if rough else RELATIVE_TOLERANCE[vector.dtype] / 10
        correction, left = gmres(self._product, vector, tolerance)
        # with most of the defect left, the size of the correction says nothing about the error
        return correction if left < 0.5 else correction * torch.nan

    def kept(self):
        return ()

    def _product(self, vector):
        images = [_forward(pair, part) for pair, part in zip(self.pairs, self.system.split(vector), strict=True)]
        sums = [combine(part, images, list(enumerate(row)), -self.system.h)
                for part, row in zip(self.system.split(vector), self.system.a, strict=True)]  # fmt: skip
        return _beside(sums)


def _transposed(slope, point):
    """(w, (∂f/∂y)ᵀ w) with its graph in w, or None where the slope does not depend on the point."""
    if not slope.requires_grad:
        return None
    cotangent = torch.zeros_like(slope, requires_grad=True)
    with torch.enable_grad():
        (pulled,) = torch.autograd.grad(slope, point, cotangent, create_graph=True, allow_unused=True)
    return None if pulled is None or not pulled.requires_grad else (cotangent, pulled)


def _forward(pair, vector):
    """(∂f/∂y) v: the transpose of the transpose, which is linear in w, so that the value of w does not matter."""
    if pair is None:
        return torch.zeros_like(vector)
    (image,) = torch.autograd.grad(pair[1], pair[0], vector, retain_graph=True)
    return image


def jacobian(slope, point):
    """∂f/∂y of every sample, shape (..., d, d), from `slope` = f(y) with its graph in `point` = y, shape (..., d).

    One row of all samples by a backward pass, or all rows in one batched pass while that is small: it saves calls, but
    beyond the caches it is slower than the passes one by one.
    """
    size = point.shape[-1]
    if not slope.requires_grad:
        return torch.zeros(*point.shape, size, dtype=point.dtype, device=point.device)
    if 4 <= size and (slope.is_cuda or size * slope.numel() <= 2**15):
        units = torch.eye(size, dtype=slope.dtype, device=slope.device)
        units = units.view(size, *[1] * (slope.dim() - 1), size).expand(size, *slope.shape)
        (rows,) = torch.autograd.grad(slope, point, units, retain_graph=True, allow_unused=True, is_grads_batched=True)
        rows = torch.zeros_like(units) if rows is None else rows
        return rows.movedim(0, -2)
    rows = []
    for unit in torch.eye(size, dtype=slope.dtype, device=slope.device):
        (row,) = torch.autograd.grad(slope, point, unit.expand_as(slope), retain_graph=True, allow_unused=True)
        rows.append(torch.zeros_like(point) if row is None else row)
    return torch.stack(rows, dim=-2)


class _ImplicitFunction(torch.autograd.Function):
    """The stages Y as a function of the defect r at them: dY = M⁻¹ dr, whatever iteration found them."""

    @staticmethod
    def forward(ctx, defect, stacked, system, *factors):
        ctx.system = system
        ctx.save_for_backward(stacked, *factors)
        return stacked.clone()

    @staticmethod
    def backward(ctx, gradient):
        if torch.is_grad_enabled():
            raise NotImplementedError("implicit methods have first derivatives only: call without create_graph=True")
        stacked, *factors = ctx.saved_tensors
        if factors:
            pulled = torch.linalg.lu_solve(*factors, gradient.unsqueeze(-1), adjoint=True).squeeze(-1)
        else:
            pulled = _solve_transposed(ctx.system, stacked, gradient)
        return pulled, *[None] * (2 + len(factors))


def _solve_transposed(system, stacked, gradient):
    """M⁻ᵀ g by GMRES; the field is evaluated once more, so that nothing but its arguments had to be kept."""
    with torch.enable_grad():
        points = [point.detach().requires_grad_() for point in system.split(stacked)]
        slopes = system.slopes(points)

    def product(vector):
        parts = system.split(vector)
        images = []
        for j, (slope, point) in enumerate(zip(slopes, points, strict=True)):
            weighted = sum(row[j] * part for row, part in zip(system.a, parts, strict=True))
            (image,) = torch.autograd.grad(slope, point, weighted, retain_graph=True, allow_unused=True)
            images.append(parts[j] if image is None else parts[j] - system.h * image)
        return _beside(images)

    tolerance = RELATIVE_TOLERANCE[gradient.dtype]
    pulled, left = gmres(product, gradient, tolerance)
    if not left <= 100 * tolerance:
        raise NewtonError(
            f"the gradient of an implicit step did not converge: {system.method} at t = {system.start:.6g} with step "
            f"size {abs(system.h):.3g}, GMRES left a relative residual of {left:.3g}. {Krylov.hint}"
        )
    return pulled


def _mixes(slope, point):
    """Whether samples depend on each other: then (∂f/∂y) v is not what the samples' own matrices make of it."""
    if point.numel() == point.shape[-1] or (pair := _transposed(slope, point)) is None:
        return False
    direction = torch.cos(torch.arange(point.numel(), device=point.device)).to(point).view_as(point)
    whole, own = _forward(pair, direction), (jacobian(slope, point) @ direction.unsqueeze(-1)).squeeze(-1)
    return bool((whole - own).abs().max() > torch.finfo(point.dtype).eps ** 0.5 * own.abs().max().clamp_min(1e-30))


def _beside(parts):
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def size(y):
    """The largest entry of a whole state."""
    return y.detach().abs().amax()


def _largest(x):
    return x.abs().amax(dim=-1)


def _itself(tensor):
    return tensor
