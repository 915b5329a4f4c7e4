"""The exercises of chapter 02, stability."""

from __future__ import annotations

import torch

from helpers.attacks import gaussian_noise, pgd
from helpers.layers import certified_radius
from helpers.lesson import Exercise, Exercises, Verdict, call, same_function, same_option

# --- E2.2, the longest step ----------------------------------------------------------------------------------------


def _longest_step(gamma, omega):
    return 2 * gamma / (gamma**2 + omega**2)


def _without_two(gamma, omega):
    return gamma / (gamma**2 + omega**2)


def _damping_only(gamma, omega):
    return 2 / gamma


def _by_modulus(gamma, omega):
    return 2 / (gamma**2 + omega**2) ** 0.5


# --- E2.3, a symplectic step ---------------------------------------------------------------------------------------


def _symplectic(grad_U, grad_T, q, p, h):
    p = p - h * grad_U(q)
    return q + h * grad_T(p), p


def _explicit(grad_U, grad_T, q, p, h):
    return q + h * grad_T(p), p - h * grad_U(q)


def _position_first(grad_U, grad_T, q, p, h):
    q = q + h * grad_T(p)
    return q, p - h * grad_U(q)


def _upwards(grad_U, grad_T, q, p, h):
    p = p + h * grad_U(q)
    return q + h * grad_T(p), p


def _leapfrog(grad_U, grad_T, q, p, h):
    p = p - h / 2 * grad_U(q)
    q = q + h * grad_T(p)
    return q, p - h / 2 * grad_U(q)


def _systems():
    draw = torch.Generator().manual_seed(0)
    q, p = torch.randn(2, 4, 3, generator=draw, dtype=torch.float64)
    return [(torch.sin, torch.tanh, q, p, h) for h in (0.1, 0.5)] + [(torch.tanh, lambda p: p, q, p, 0.3)]


# --- E2.4, the power method ----------------------------------------------------------------------------------------


def _norm(W, v, n):
    for _ in range(n):
        v = W.T @ (W @ v)
        v = v / v.norm()
    return (W @ v).norm()


def _squared(W, v, n):
    for _ in range(n):
        v = W.T @ (W @ v)
        v = v / v.norm()
    return v @ (W.T @ (W @ v))


def _eigenvalue(W, v, n):
    for _ in range(n):
        v = W @ v
        v = v / v.norm()
    return (W @ v).norm()


def _not_scaled(W, v, n):
    for _ in range(n):
        v = W.T @ (W @ v)
    return (W @ v).norm()


def _frobenius(W, v, n):
    return W.norm()


def _matrices():
    draw = torch.Generator().manual_seed(1)
    W = torch.randn(3, 6, 6, generator=draw, dtype=torch.float64)
    v = torch.randn(6, generator=draw, dtype=torch.float64)
    return [(each, v, n) for each, n in zip(W, (5, 20, 100), strict=True)]


# --- E2.5, a certificate -------------------------------------------------------------------------------------------


def _radius(z, W):
    i = z.argmax()
    others = torch.arange(len(z)) != i
    return ((z[i] - z[others]) / (W[i] - W[others]).norm(dim=1)).min()


def _runner_up_only(z, W):
    i, j = z.topk(2).indices
    return (z[i] - z[j]) / (W[i] - W[j]).norm()


def _margin_alone(z, W):
    first, second = z.topk(2).values
    return first - second


def _by_root_two(z, W):
    first, second = z.topk(2).values
    return (first - second) / 2**0.5


def _largest(z, W):
    i = z.argmax()
    others = torch.arange(len(z)) != i
    return ((z[i] - z[others]) / (W[i] - W[others]).norm(dim=1)).max()


def _scores():
    draw = torch.Generator().manual_seed(3)
    W = torch.randn(2, 5, 4, generator=draw, dtype=torch.float64)
    spoilt = torch.tensor([[3.0, 0.0], [0.0, 0.1], [-3.0, 0.0]], dtype=torch.float64)
    z = torch.tensor([2.0, 1.2, 1.0], dtype=torch.float64)  # the runner-up is not the nearest boundary
    near = torch.tensor([[1.0, 0.0], [1.0, 0.2], [-2.0, 0.0]], dtype=torch.float64)
    drawn = [(torch.randn(5, generator=draw, dtype=torch.float64), each) for each in W]
    return [*drawn, (z, spoilt), (z, near)]


# --- E2.6, the log-norm --------------------------------------------------------------------------------------------


def _log_norm(A):
    return torch.linalg.eigvalsh((A + A.T) / 2)[-1]


def _abscissa(A):
    return torch.linalg.eigvals(A).real.max()


def _not_halved(A):
    return torch.linalg.eigvalsh(A + A.T)[-1]


def _spectral_norm(A):
    return torch.linalg.matrix_norm(A, 2)


def _smallest(A):
    return torch.linalg.eigvalsh((A + A.T) / 2)[0]


def _fields():
    draw = torch.Generator().manual_seed(2)
    shear = torch.tensor([[-1.0, 10.0], [0.0, -1.0]], dtype=torch.float64)
    return [(shear,), *((A,) for A in torch.randn(2, 4, 4, generator=draw, dtype=torch.float64))]


# --- E2.7, an honest number ----------------------------------------------------------------------------------------


def _honest(survived):
    return torch.stack(list(survived.values())).all(0).double().mean().item()


def _lowest_accuracy(survived):
    return min(each.double().mean().item() for each in survived.values())


def _mean(survived):
    return torch.stack(list(survived.values())).double().mean().item()


def _any(survived):
    return torch.stack(list(survived.values())).any(0).double().mean().item()


def _broken(survived):
    return 1 - _honest(survived)


def _attacks():
    one = {
        "exact": torch.tensor([True, False, False, True, False]),
        "adjoint": torch.tensor([True, True, False, False, True]),
        "noise": torch.tensor([True, True, True, True, True]),
    }
    return [(one,), ({"exact": one["exact"]},)]


# --- E2.8, a masked gradient ---------------------------------------------------------------------------------------

SATURATION = 1e4
NOTHING_MOVED = "Nothing has moved: your attack climbs by a gradient that is zero. Take that of unsaturated scores."
TOO_LONG = "This is longer than ε: project back to the ball, or let pgd do it."
TOO_WEAK = "The points have moved, and too many keep their class: chance does not look for the boundary."


def _saturated():
    """A linear classifier with saturated scores, points that it classifies, and a size that reaches past all borders.

    The distance to the border of a linear classifier is known, so an ε that suffices for every point is, too.
    """
    draw = torch.Generator().manual_seed(0)
    linear = torch.nn.Linear(16, 5, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(5, 16, generator=draw, dtype=torch.float64))
        linear.bias.zero_()
    x = torch.randn(200, 16, generator=draw, dtype=torch.float64)
    radius = certified_radius(linear, x)
    x, radius = x[radius > 0.5], radius[radius > 0.5]
    return (lambda x: SATURATION * linear(x)), x, linear(x).argmax(1), 1.5 * float(radius.max())


def _breaks(answer, exercise):
    if not callable(answer):
        return Verdict.mistyped("A function attack(model, x, y, eps) is asked for.")
    model, x, y, eps = _saturated()
    moved = call(answer, model, x, y, eps)
    if not torch.is_tensor(moved) or moved.shape != x.shape:
        return Verdict.mistyped(f"The attacked points are asked for, a tensor of the shape {tuple(x.shape)}, as x is.")
    moved = moved.detach()
    if (moved - x).norm(dim=1).max() > eps * (1 + 1e-6):
        return Verdict.wrong(TOO_LONG)
    survived = (model(moved).argmax(1) == y).double().mean().item()
    if survived <= 0.1:
        return Verdict.right(
            f"{survived:.0%} of the points survive. The classifier was never robust, only its gradient was gone."
        )
    return Verdict.wrong(NOTHING_MOVED if torch.equal(moved, x) else TOO_WEAK)


def _unsaturated_attack(model, x, y, eps):
    unsaturated = lambda x: model(x) / SATURATION  # noqa: E731
    return pgd(model, x, y, eps=eps, norm="l2", steps=40, loss="ce", gradient_model=unsaturated)


def _by_its_own_gradient(model, x, y, eps):
    return pgd(model, x, y, eps=eps, norm="l2", steps=40, loss="ce")


def _by_chance(model, x, y, eps):
    return gaussian_noise(x, sigma=eps / 8)


def _too_far(model, x, y, eps):
    return x + 3 * (_unsaturated_attack(model, x, y, eps) - x)


EXERCISES = [
    Exercise(
        "E2.1",
        "What does antisymmetry promise?",
        level="recall",
        hints=(
            "Which statement is about the linear equation and its exact solution, and nothing else?",
            "Section 2 lengthens a turn with Euler's step; section 3 shows a tanh network that grows without one.",
        ),
        check=same_option(
            "abcd", message="The linear flow, and schemes that keep quadratic forms, such as the implicit midpoint."
        ),
        solution="c",
        wrong={
            "Euler's step lengthens every turn, by the factor √(1 + h²ω²).": "a",
            "With an activation the Jacobian is diag(σ')K, which is not antisymmetric; the norm may grow.": "b",
            "Damping makes the flow decay, and with it the gradient: stability is bought, not given.": "d",
        },
    ),
    Exercise(
        "E2.2",
        "The longest step for a damped rotation",
        level="derive",
        hints=(
            "The eigenvalues are −γ ± iω. For which h is |1 + h(−γ + iω)| = 1?",
            "(1 − hγ)² + h²ω² = 1. One solution is h = 0; divide by h.",
        ),
        check=same_function(
            lambda: [(0.1, 2.0), (1.5, 0.3), (0.5, 0.5)],
            message="Without damping it is zero: no step is short enough for a rotation.",
        ),
        solution=_longest_step,
        wrong={
            "Half of it: the linear term of (1 − hγ)² is 2hγ.": _without_two,
            "This forgets the rotation: it is right for ω = 0 only.": _damping_only,
            "This is where |hλ| = 2, a circle around 0; the region of Euler's method is a disc around −1.": _by_modulus,
        },
    ),
    Exercise(
        "E2.3",
        "Make a step symplectic",
        level="compute",
        hints=(
            "Update one half first; then the other half with what you have just computed.",
            "p ← p − h ∇U(q), then q ← q + h ∇T(p) with the new p.",
        ),
        check=same_function(
            _systems, message="One reordered line, and JᵀΩJ = Ω holds to rounding, at every depth."
        ),
        solution=_symplectic,
        wrong={
            "Both halves use old values: this is explicit Euler, and not symplectic.": _explicit,
            "This is the other symplectic Euler, q first. The exercise asks for p first.": _position_first,
            "The force is minus the gradient of U.": _upwards,
            "This is leapfrog: symplectic and of second order, but two kicks a step; one is asked for.": _leapfrog,
        },
    ),
    Exercise(
        "E2.4",
        "The norm of a matrix, by the power method",
        level="compute",
        hints=(
            "The largest singular value of W belongs to the largest eigenvalue of which symmetric matrix?",
            "Repeat v ← WᵀW v, divided by its length; at the end return the length of W v.",
        ),
        check=same_function(
            _matrices, message="It approaches the norm from below: for a certificate, that is the wrong side."
        ),
        solution=_norm,
        wrong={
            "This is the square of the norm: an eigenvalue of WᵀW.": _squared,
            "Powers of W find an eigenvalue of W, not a singular value.": _eigenvalue,
            "The vector must be scaled to length one, or the result carries its length.": _not_scaled,
            "This is the Frobenius norm; the spectral norm is smaller.": _frobenius,
        },
    ),
    Exercise(
        "E2.5",
        "Certify one image",
        level="derive",
        hints=(
            "Features move by at most ε. By how much can the difference of two scores, (w_i − w_j)·x, change?",
            "By ε‖w_i − w_j‖. Ask for every j ≠ i how large ε may be, and take the smallest.",
        ),
        check=same_function(_scores, message="A promise that no attack can break, and it costs one pass."),
        solution=_radius,
        wrong={
            "The runner-up need not be the nearest boundary: take the smallest over all classes.": _runner_up_only,
            "A lead is in units of scores; divide by how fast it can change, ‖w_i − w_j‖.": _margin_alone,
            "√2 is right where the scores themselves are 1-Lipschitz; here the rows of W are known.": _by_root_two,
            "The certificate must hold for every other class: take the smallest, not the largest.": _largest,
        },
    ),
    Exercise(
        "E2.6",
        "How fast can a perturbation grow at once?",
        level="compute",
        hints=(
            "d/dt ‖x‖² = 2 xᵀAx. Which part of A does this see?",
            "The largest eigenvalue of the symmetric part, (A + Aᵀ)/2.",
        ),
        check=same_function(_fields, message="For the shear it is 4, though both eigenvalues are −1."),
        solution=_log_norm,
        wrong={
            "This is the spectral abscissa: what holds for late times.": _abscissa,
            "Half of it: the symmetric part is (A + Aᵀ)/2.": _not_halved,
            "This is the norm of A, which is never negative and cannot see a contraction.": _spectral_norm,
            "This is the smallest eigenvalue of the symmetric part: the slowest growth.": _smallest,
        },
    ),
    Exercise(
        "E2.7",
        "One number from several attacks",
        level="extend",
        hints=(
            "An image is robust if it withstands every attack that you have tried.",
            "Combine the attacks image by image with a logical and; then take the mean.",
        ),
        check=same_function(
            _attacks, message="Now change the attacker's gradient in section 8 and watch which number does not move."
        ),
        solution=_honest,
        wrong={
            "The lowest accuracy of one attack is too high: two attacks may break different images.": _lowest_accuracy,
            "The mean over attacks rewards you for trying weak ones.": _mean,
            "An image that withstands one attack is not robust: it must withstand all.": _any,
            "This is the fraction that was broken.": _broken,
        },
    ),
    Exercise(
        "E2.8",
        "Break a classifier by changing only the gradient",
        level="extend",
        hints=(
            "The classes do not change when all scores are divided by the same number. What happens to the softmax?",
            "Give pgd another model to take the gradient from: gradient_model=lambda x: model(x) / 10_000.",
        ),
        check=_breaks,
        solution=_unsaturated_attack,
        wrong={NOTHING_MOVED: _by_its_own_gradient, TOO_WEAK: _by_chance, TOO_LONG: _too_far},
    ),
]
exercises = Exercises(EXERCISES)
