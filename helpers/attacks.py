"""Attacks: perturbations of bounded size that are meant to change what a classifier says.

A size `eps` is in the units of the inputs: state their scale beside it. Every attack returns perturbed inputs, so that
`accuracy(model, (attacked, y))` is the accuracy under attack. An attack gives an upper bound of the robust accuracy; a
lower one needs a certificate (`helpers.layers.certified_radius`).
"""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from . import _checks

LOSSES = ("ce", "margin")
DRAWS = 10  # of a model that answers otherwise each time, where the caller does not choose


def gaussian_noise(
    x: Tensor, *, sigma: float, generator: torch.Generator | None = None, box: tuple[float, float] | None = None
) -> Tensor:
    """x + σ ξ with ξ standard normal: what chance does, where an attack does its worst. Its norm is about σ √d.

    Args:
        x: Inputs, (n, ...).
        sigma: σ ≥ 0.
        generator: Of the noise, on the CPU; None means one with seed 0.
        box: The range (lo, hi) that inputs may have; None means any.

    Returns:
        Shaped like x.
    """
    _check_inputs(x, box)
    noise = torch.randn(x.shape, generator=_generator(generator), dtype=torch.float64, device="cpu")
    return _boxed(x + _size("sigma", sigma) * noise.to(x), box)


def fgsm(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: str,
    gradient_model: nn.Module | Callable[[Tensor], Tensor] | None = None,
    loss: str = "ce",
    box: tuple[float, float] | None = None,
) -> Tensor:
    """The fast gradient method: one step of size eps along the gradient of the loss.

    x + eps · sign(∇ℓ) for "linf" (Goodfellow et al. 2015, Explaining and harnessing adversarial examples, arXiv
    1412.6572), x + eps · ∇ℓ / ‖∇ℓ‖₂ for "l2". Exact for linear models with two classes, weak elsewhere: use `pgd`.

    Args, Returns, Raises: As for `pgd`.
    """
    _check(model, x, y, eps, norm, (loss,), box)
    source = model if gradient_model is None else gradient_model
    with _in_eval_mode(model, source):
        _, gradient = _attacked(source, x, y, loss, _draws(source, x, None))
    return _boxed(x + eps * _steepest(gradient, norm), box).detach()


def pgd(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: str,
    steps: int,
    restarts: int = 1,
    gradient_model: nn.Module | Callable[[Tensor], Tensor] | None = None,
    step_size: float | None = None,
    loss: str | Sequence[str] = "margin",
    samples: int | None = None,
    box: tuple[float, float] | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Projected gradient ascent on the loss within ‖x' − x‖ ≤ eps, from one start or several.

    x' ← P(x' + α s), with s the direction of steepest ascent in the norm (sign(∇ℓ), or ∇ℓ / ‖∇ℓ‖₂) and P the projection
    to the ball (Madry et al. 2018, Towards deep learning models resistant to adversarial attacks, arXiv 1706.06083).
    Two choices differ from that paper, to make the attack stronger and its strength comparable:

    * The first run starts at x itself (Kurakin et al. 2017, arXiv 1607.02533), which finds the optimum of a linear
      model exactly; every further one starts at a point drawn uniformly from the ball, as theirs do.
    * Of all points that the runs visit, x among them, the result is for each sample the one where `model` gives some
      wrong class the largest lead over the true one. So no more is lost by more steps or restarts: with the same
      settings otherwise, they never give a weaker attack.

    Gradients are exact by default: autograd's of `model`. With `gradient_model` the attacker climbs by the gradient
    of another model (an approximation of the same network, or a substitute), while success is judged on `model` all the
    same: that is how gradient masking is shown (Athalye et al. 2018, arXiv 1802.00420).

    Samples are attacked independently, in eval mode. The modes of the models are restored, their parameters get no
    gradient.

    Args:
        model: Maps x to scores (n, classes ≥ 2); a module or a function.
        x: Inputs, (n, ...), floating point.
        y: True classes, (n,), int64.
        eps: Radius of the ball, ≥ 0, in the units of x.
        norm: "l2" or "linf", over all entries of a sample.
        steps: Gradient steps a run, at least 1.
        restarts: Runs, at least 1.
        gradient_model: The model whose gradient the attacker sees; None means `model`.
        step_size: α; None means eps / 4, whatever `steps` is, so that a longer run continues a shorter one.
        loss: What the attacker climbs: "margin", the lead of the best wrong class over the true one (Carlini & Wagner
            2017, arXiv 1608.04644), "ce", the cross entropy, or both in a tuple: each then gets all runs, from the same
            starts. Cross entropy depends on the scale of the scores. Where they are large its gradient vanishes in
            rounding; where they are small, as in a 1-Lipschitz network, it pushes all classes at once and finds less.
        samples: Draws over which a random model's scores and gradients are averaged (expectation over transformation,
            Athalye et al. 2018). None means 1 for a model that answers the same twice, else 10.
        box: The range (lo, hi) that inputs may have; None means any.
        generator: Of the random starts, on the CPU; None means one with seed 0.

    Returns:
        The perturbed inputs, shaped like x, detached; ‖x' − x‖ ≤ eps up to rounding.

    Raises:
        TypeError, ValueError: An argument is not as described; the text names it and what is allowed.
        FloatingPointError: A score or a gradient is not finite.
    """
    losses = (loss,) if isinstance(loss, str) or not isinstance(loss, Sequence) else tuple(loss)
    _check(model, x, y, eps, norm, losses, box)
    steps, restarts = _checks.whole("steps", steps, 1), _checks.whole("restarts", restarts, 1)
    alpha = eps / 4 if step_size is None else _size("step_size", step_size)
    if step_size == 0:
        raise ValueError("step_size must be positive, or no step leads anywhere; got 0")
    generator, origin = _generator(generator), x.detach()
    best, best_lead = origin.clone(), origin.new_full((len(x),), -math.inf)

    def move(point, gradient):
        delta = point - origin + alpha * _steepest(gradient, norm)
        return _boxed(origin + _projected(delta, eps, norm), box)

    with _in_eval_mode(model, gradient_model):
        draws = {source: _draws(source, origin, samples) for source in {model, gradient_model} - {None}}
        for run in range(restarts):
            start = origin if run == 0 else _boxed(origin + _in_ball(origin, eps, norm, generator), box)
            for climbed in losses:
                for point, lead in _ascent(model, gradient_model, start, y, climbed, steps, move, draws):
                    best = torch.where(_per_sample(lead > best_lead, x), point, best)
                    best_lead = torch.maximum(lead, best_lead)
    return best


def _ascent(model, gradient_model, point, y, loss, steps, move, draws):
    """The points of one run, its start among them, each with the lead that `model` gives a wrong class there."""
    for _ in range(steps):
        if gradient_model is None:
            lead, gradient = _attacked(model, point, y, loss, draws[model])  # one pass serves both
        else:
            lead = _judged(model, point, y, draws[model])
            _, gradient = _attacked(gradient_model, point, y, loss, draws[gradient_model])
        yield point, lead
        point = move(point, gradient)
    yield point, _judged(model, point, y, draws[model])


def _draws(model, x, samples):
    """How many draws of the model are averaged: as asked for, else by whether two passes differ."""
    if samples is not None:
        return _checks.whole("samples", samples, 1)
    with torch.no_grad():
        return 1 if torch.equal(model(x), model(x)) else DRAWS


def _judged(model, point, y, draws):
    """The mean lead at `point`, without a gradient."""
    with torch.no_grad():
        return sum(_lead(_checked(model(point), y), y) for _ in range(draws)) / draws


def _attacked(model, point, y, loss, draws):
    """The mean lead at `point`, and the mean gradient of the loss there; each sample's is its own."""
    total = lead = 0.0
    for _ in range(draws):
        with torch.enable_grad():
            point = point.detach().requires_grad_()
            scores = _checked(model(point), y)
            leads = _lead(scores, y)
            value = nn.functional.cross_entropy(scores, y, reduction="sum") if loss == LOSSES[0] else leads.sum()
            (gradient,) = torch.autograd.grad(value, point)
        total, lead = total + gradient, lead + leads.detach()
    if not torch.isfinite(total).all():
        raise FloatingPointError("the gradient that the attack climbs by is not finite")
    return lead / draws, total / draws


def _lead(scores, y):
    """By how much the best wrong class is ahead of the true one: positive where the sample is misclassified."""
    true = scores.gather(1, y[:, None])
    return (scores - true).scatter(1, y[:, None], -math.inf).amax(dim=1)


def _steepest(gradient, norm):
    """The direction of unit size along which a linear function with this gradient grows fastest."""
    if norm == "linf":
        return gradient.sign()
    flat = gradient.flatten(1)
    # scaled first: the squares of a small gradient would underflow, and the attack would stop without a word
    flat = flat / flat.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    return (flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-12)).view_as(gradient)


def _projected(delta, eps, norm):
    """The point of the ball that is closest to `delta`."""
    if norm == "linf":
        return delta.clamp(-eps, eps)
    length = _per_sample(delta.flatten(1).norm(dim=1), delta)
    return torch.where(length > eps, delta * (eps / length.clamp_min(torch.finfo(delta.dtype).tiny)), delta)


def _in_ball(x, eps, norm, generator):
    """A perturbation drawn uniformly from the ball, on the CPU."""
    if norm == "linf":
        return eps * (2 * torch.rand(x.shape, generator=generator, dtype=torch.float64) - 1).to(x)
    direction = torch.randn(x.shape, generator=generator, dtype=torch.float64).flatten(1)
    radius = torch.rand(len(x), 1, generator=generator, dtype=torch.float64) ** (1 / direction.shape[1])
    return (eps * radius * nn.functional.normalize(direction)).view(x.shape).to(x)


def _boxed(x, box):
    return x if box is None else x.clamp(*box)


def _per_sample(value, x):
    """(n,) made to broadcast against x, (n, ...)."""
    return value.view(-1, *[1] * (x.ndim - 1))


@contextlib.contextmanager
def _in_eval_mode(*models):
    """Every module in eval mode, and each back in its own mode at the end."""
    modules = [m for model in models if isinstance(model, nn.Module) for m in model.modules()]
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def _generator(generator):
    if generator is None:
        return torch.Generator(device="cpu").manual_seed(0)
    if not isinstance(getattr(generator, "device", None), torch.device):
        raise TypeError(f"generator must be a torch.Generator on the CPU, or None; got {generator!r:.80}")
    if generator.device.type != "cpu":
        raise ValueError(f"generator must be on the CPU, so that a GPU draws the same; got {generator.device}")
    return generator


def _check(model, x, y, eps, norm, losses, box):
    if not callable(model):
        raise TypeError(f"model must be callable as model(x); got {type(model).__name__}")
    if norm not in ("l2", "linf"):
        raise ValueError(f'norm must be "l2" or "linf"; got {norm!r}')
    if not losses or not all(loss in LOSSES for loss in losses):
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, or several of them; got {losses}")
    _size("eps", eps)
    _check_inputs(x, box)
    if x.ndim < 2 or not len(x):
        raise ValueError(f"x must have the shape (n, ...), n ≥ 1, samples first; got {tuple(x.shape)}")
    if not torch.is_tensor(y):
        raise TypeError(f"y must be a tensor, int64; got {type(y).__name__}")
    if y.shape != x.shape[:1] or y.dtype != torch.int64:
        raise ValueError(
            f"y must hold one class a sample, shape ({len(x)},), int64; got {tuple(y.shape)}, {y.dtype}"
        )


def _check_inputs(x, box):
    if not torch.is_tensor(x):
        raise TypeError(f"x must be a tensor, floating point; got {type(x).__name__}")
    if not torch.is_floating_point(x):
        raise TypeError(f"x must be floating point; got {x.dtype}")
    if box is None:
        return
    if not isinstance(box, Sequence) or [isinstance(end, numbers.Real) for end in box] != [True, True]:
        raise TypeError(f"box must be a range (lo, hi) of two numbers, or None; got {box!r:.80}")
    low, high = box
    if not low < high:
        raise ValueError(f"box must be a range (lo, hi) with lo < hi; got {box}")
    if x.min() < low or x.max() > high:
        raise ValueError(f"x must lie within box = {box}, or keeping them there would leave the ball around it")


def _checked(scores, y):
    if scores.ndim != 2 or len(scores) != len(y) or scores.shape[1] < 2:
        raise ValueError(f"the model must give scores ({len(y)}, classes ≥ 2); got {tuple(scores.shape)}")
    if not torch.isfinite(scores).all():
        raise FloatingPointError("the model gives scores that are not finite")
    if y.min() < 0 or y.max() >= scores.shape[1]:
        raise ValueError(f"y must lie between 0 and {scores.shape[1] - 1}; got {y.min()} to {y.max()}")
    return scores


def _size(name, value):
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, at least 0 and finite; got {value!r:.80}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite; got {value}")
    return value
