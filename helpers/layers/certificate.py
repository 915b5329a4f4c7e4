"""Certificates: how far an input can be moved before the class that a model names can change."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from . import _checks
from .convex_potential import spectral_norm

ROUNDING = 1e-5  # of a spectral norm in float32
# Lipschitz constants of torch's modules in eval mode, in the Euclidean norm
KNOWN = {
    nn.Identity: lambda module: 1.0,
    nn.Flatten: lambda module: 1.0,
    nn.Dropout: lambda module: 1.0,
    nn.ReLU: lambda module: 1.0,
    nn.Tanh: lambda module: 1.0,
    nn.Hardtanh: lambda module: 1.0,
    nn.Softsign: lambda module: 1.0,
    nn.Sigmoid: lambda module: 0.25,
    nn.LeakyReLU: lambda module: max(1.0, abs(module.negative_slope)),
    nn.Linear: lambda module: spectral_norm(module.weight.detach()).item(),
}


def certified_radius(model: nn.Module, x: Tensor) -> Tensor:
    """The distance within which no perturbation changes the class that `model` names for x.

    The model must be a classifier that is 1-Lipschitz by construction up to its last layer: modules in a row
    (`nn.Sequential`, also nested) whose last is an `nn.Linear` with rows w_1, …, w_C. With L ≤ 1 the product of the
    Lipschitz constants of the modules before it, z the scores and i the largest of them,

        radius = min over j ≠ i of (z_i − z_j) / (L ‖w_i − w_j‖₂),

    which is the exact distance to the decision boundary where the model is linear, and a lower bound of it otherwise.
    Where the last module is not an `nn.Linear`, L is that of the scores themselves and ‖w_i − w_j‖ becomes √2.
    (Tsuzuku et al. 2018, Lipschitz-margin training, arXiv 1802.04034, there with √2 and one constant for all classes.)

    The constants known are those of `ConvexPotentialLayer` (1), of `nn.Linear` (its spectral norm), of Identity,
    Flatten, Dropout, ReLU, Tanh, Hardtanh, Softsign, Sigmoid, LeakyReLU; another module declares its own by an
    attribute `lipschitz`, a promise that is taken at its word. Everything else is refused: a certificate that rests
    on a guess is none.

    The class may be wrong: a radius says that the answer is stable, not that it is true. It holds in exact arithmetic;
    rounding in the scores enters it. It speaks of the model in eval mode, in which it is evaluated.

    Args:
        model: A classifier as described; its mode is restored.
        x: Samples, (n, ...) as the model takes them.

    Returns:
        (n,), no gradient: ‖δ‖₂ < radius leaves the class as it is. 0 where two classes share the largest score: nothing
        is certified there. Infinite where no input can change the class.

    Raises:
        TypeError: A module whose Lipschitz constant is not known; the text names it and where it stands.
        ValueError: The layers before the last may expand: L > 1, and the bound would hold, but say next to nothing; the
            scores are not of shape (..., classes ≥ 2); or a declared constant is negative or not finite.
        FloatingPointError: A score is not finite.
    """
    constant, head = _lipschitz(model)
    if constant > 1 + ROUNDING:
        raise ValueError(
            "model must be 1-Lipschitz by construction up to its last layer; the constants of its modules multiply to "
            f"{constant:.3g}"
        )
    scores = _scores(model, x)
    top = scores.argmax(dim=-1, keepdim=True)
    margins = scores.gather(-1, top) - scores
    slopes = constant * _distances(head, scores)[top.squeeze(-1)]
    # a margin of 0 to another class certifies nothing, whatever it is divided by
    radii = torch.where(margins > 0, margins / slopes, 0.0).scatter(-1, top, math.inf)
    return radii.amin(dim=-1)


def certified_accuracy(model: nn.Module, x: Tensor, y: Tensor, *, eps: float) -> float:
    """The fraction of samples named rightly, and with a certified radius above eps: no attack of L2-size eps can
    bring the accuracy below it.

    Args:
        model, x: As for `certified_radius`.
        y: Class numbers, (n,).
        eps: Size of the perturbation, ≥ 0.

    Raises:
        TypeError, ValueError: `y` holds no class for every sample, or `eps` is not ≥ 0 and finite.
        FloatingPointError: A score is not finite.
    """
    eps, named = _checks.number_from_zero("eps", eps), _scores(model, x).argmax(dim=-1)
    if not torch.is_tensor(y) or y.shape != named.shape or not y.numel():
        given = tuple(y.shape) if torch.is_tensor(y) else type(y).__name__
        raise ValueError(f"y must hold one class a sample, shape {tuple(named.shape)}, n ≥ 1; got {given}")
    right = named == y
    return (right & (certified_radius(model, x) > eps)).double().mean().item()


def _lipschitz(model):
    """The product of the constants of all modules but a last `nn.Linear`, and that module, or None."""
    row = list(_in_a_row(model, type(model).__name__))
    head = row.pop()[1] if row and _is(row[-1][1], nn.Linear) else None
    return math.prod(_constant(module, name) for name, module in row), head


def _in_a_row(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules of nested `nn.Sequential`s in the order of their calls, each with the way to it."""
    # a hook may change what a module returns, and its constant would not tell
    if module._forward_hooks or module._forward_pre_hooks:
        raise TypeError(f"{name} has forward hooks, so its Lipschitz constant is not known")
    if _is(module, nn.Sequential):
        for key, child in module.named_children():
            yield from _in_a_row(child, f"{name}[{key}], {type(child).__name__},")
    else:
        yield name, module


def _constant(module, name):
    declared = getattr(module, "lipschitz", None)
    if declared is not None:
        if not 0 <= declared < math.inf:
            raise ValueError(f"{name} declares lipschitz = {declared}; it must be a number ≥ 0 and finite")
        return float(declared)
    for kind, constant in KNOWN.items():
        if _is(module, kind):
            return constant(module)
    raise TypeError(
        f"{name} is no module whose Lipschitz constant is known, so nothing can be certified. Known: "
        f"{', '.join(kind.__name__ for kind in KNOWN)}, ConvexPotentialLayer, nn.Sequential of them; "
        "any other module may declare its constant as an attribute `lipschitz`"
    )


def _is(module, kind):
    """Whether the module computes what `kind` does: a subclass, or an instance, may have a forward of its own."""
    return isinstance(module, kind) and type(module).forward is kind.forward and "forward" not in vars(module)


def _scores(model, x):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            scores = model(x)
    finally:
        for module, mode in modes:
            module.training = mode
    if scores.ndim < 1 or scores.shape[-1] < 2:
        raise ValueError(f"the model must give scores of shape (n, classes ≥ 2); got {tuple(scores.shape)}")
    if not torch.isfinite(scores).all():
        raise FloatingPointError("the model gives scores that are not finite: nothing can be certified")
    return scores


def _distances(head, scores):
    """‖w_i − w_j‖₂ of all pairs, (C, C); √2 where the scores have no last linear layer."""
    if head is None:
        return torch.full((scores.shape[-1],) * 2, math.sqrt(2)).to(scores)
    rows = head.weight.detach()
    return (rows[:, None] - rows[None]).norm(dim=-1)
