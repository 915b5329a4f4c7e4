"""The exercises of chapter 03, stochastic equations and robustness."""

from __future__ import annotations

import torch

from helpers.lesson import Exercise, Exercises, Verdict, call, same_function, same_option

# --- E3.2, Milstein's step ------------------------------------------------------------------------------------------


def _milstein(x, h, dW, mu, sigma):
    return x + mu * x * h + sigma * x * dW + sigma**2 * x * (dW**2 - h) / 2


def _euler(x, h, dW, mu, sigma):
    return x + mu * x * h + sigma * x * dW


def _without_half(x, h, dW, mu, sigma):
    return x + mu * x * h + sigma * x * dW + sigma**2 * x * (dW**2 - h)


def _stratonovich(x, h, dW, mu, sigma):
    return x + mu * x * h + sigma * x * dW + sigma**2 * x * dW**2 / 2


def _wrong_sign(x, h, dW, mu, sigma):
    return x + mu * x * h + sigma * x * dW - sigma**2 * x * (dW**2 - h) / 2


def _steps():
    draw = torch.Generator().manual_seed(0)
    x, dW = torch.randn(2, 5, generator=draw, dtype=torch.float64)
    return [(x, 0.1, 0.3 * dW, 0.5, 0.6), (x, 0.5, dW, -1.0, 2.0)]


# --- E3.3, the variance that the method has -------------------------------------------------------------------------


def _stationary(theta, sigma, h):
    return sigma**2 / (2 * theta - theta**2 * h)


def _of_the_equation(theta, sigma, h):
    return sigma**2 / (2 * theta)


def _no_root(theta, sigma, h):
    return sigma**2 * h / (2 * theta - theta**2 * h)


def _plus(theta, sigma, h):
    return sigma**2 / (2 * theta + theta**2 * h)


# --- E3.4, noise that calms ------------------------------------------------------------------------------------------


def _calming(a, rate):
    return (2 * (a - rate)) ** 0.5


def _no_two(a, rate):
    return (a - rate) ** 0.5


def _its_square(a, rate):
    return 2 * (a - rate)


def _other_sign(a, rate):
    return (2 * (a + rate)) ** 0.5 if a + rate > 0 else 0.0


# --- E3.5, how dropout fades -----------------------------------------------------------------------------------------


def _fading(p, L, T, speed):
    return T**2 * (1 - p) / p * speed**2 / L


def _never(p, L, T, speed):
    return T**2 * (1 - p) / p * speed**2


def _bernoulli(p, L, T, speed):
    return T**2 * p * (1 - p) * speed**2 / L


def _twice(p, L, T, speed):
    return T**2 * (1 - p) / p * speed**2 / L**2


# --- E3.6, the gradient of an average --------------------------------------------------------------------------------


NOISE = 2.0


def _shaken():
    """A loss whose gradient at x is x plus fresh noise, and the list that it lengthens at every call."""
    calls = []

    def loss(x):
        calls.append(None)
        z = torch.randn(x.shape, dtype=x.dtype)
        return (x.square() / 2 + NOISE * z * x).sum()

    return loss, calls


def _average(loss, x, draws):
    x = x.clone().requires_grad_()
    total = sum(loss(x) for _ in range(draws))
    return torch.autograd.grad(total, x)[0] / draws


def _one_draw(loss, x, draws):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(loss(x), x)[0]


def _a_sum(loss, x, draws):
    return draws * _average(loss, x, draws)


SUMMED = "This is the sum of the gradients; an average is asked for."
ONE = "One draw, however many are asked for: call the loss anew for every draw."


def _averages(answer, exercise):
    """Whether the function averages over fresh draws: it calls the loss as often as asked, and errs as their root."""
    if not callable(answer):
        return Verdict.mistyped(f"A function is asked for; yours is a {type(answer).__name__}.")
    x, draws = torch.linspace(-1, 1, 2000, dtype=torch.float64), 64
    loss, calls = _shaken()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = call(answer, loss, x.clone(), draws)
    if not torch.is_tensor(found) or found.shape != x.shape:
        return Verdict.mistyped(f"A tensor shaped like x, {tuple(x.shape)}, is asked for.")
    off = (found - x).square().mean().sqrt().item()
    if len(calls) == 1:
        return Verdict.wrong(ONE)
    if abs((found @ x / (x @ x)).item() - draws) < 0.2 * draws:
        return Verdict.wrong(SUMMED)
    if len(calls) != draws or off > 1.5 * NOISE / draws**0.5:
        about = f"{NOISE / draws**0.5:.2f}"
        return Verdict.wrong(f"With {draws} draws it should err by about {about}; yours errs by {off:.2f}.")
    return Verdict.right("Its variance falls like one over the number of draws; so does its blindness.")


EXERCISES = [
    Exercise(
        "E3.1",
        "What does stochastic depth tend to?",
        level="recall",
        hints=(
            "Section 3: how large is the noise of one layer, and how many layers are there?",
            "h = T/L. The variance of a layer is of the size h²; L of them add up to L h².",
        ),
        check=same_option("abcd", message="The noise fades as the layers become many: what is left is the ODE."),
        solution="b",
        wrong={
            "Its diffusion is √(h(1−p)/p) f: with h it goes to zero, so in the limit there is no noise.": "a",
            "With weights divided by p in training the mean is that of all layers.": "c",
            "Each layer is kept or not by itself; their sum has a variance that shrinks with L.": "d",
        },
    ),
    Exercise(
        "E3.2",
        "Milstein's term",
        level="compute",
        hints=(
            "Expand the diffusion along its own increment: σX changes by σ · σX ΔW within the step.",
            "The double integral ∫∫ dW dW over a step is (ΔW² − h)/2 in Itô's sense.",
        ),
        check=same_function(_steps, message="One more term, and the order of single paths goes from one half to one."),
        solution=_milstein,
        wrong={
            "This is Euler–Maruyama: the term of order h in ΔW² is missing.": _euler,
            "The double integral is half of ΔW² − h.": _without_half,
            "Without the −h the step belongs to Stratonovich's equation.": _stratonovich,
            "The sign is wrong: the diffusion grows along its own increment.": _wrong_sign,
        },
    ),
    Exercise(
        "E3.3",
        "The variance of the method",
        level="derive",
        hints=(
            "X_{n+1} = (1 − θh) X_n + σ √h Z. What does the variance do in one step?",
            "v = (1 − θh)² v + σ² h. Solve for v.",
        ),
        check=same_function(
            lambda: [(1.0, 1.0, 0.5), (0.7, 2.0, 0.1), (3.0, 0.5, 0.2)],
            message="The method has a variance of its own; it is the equation's only for h → 0.",
        ),
        solution=_stationary,
        wrong={
            "This is the variance of the equation itself. The steps of the method add to it.": _of_the_equation,
            "The noise of a step is σ√h Z, so its variance is σ²h, which cancels one h.": _no_root,
            "(1 − θh)² = 1 − 2θh + θ²h²: the last term is positive, and stands against the first.": _plus,
        },
    ),
    Exercise(
        "E3.4",
        "How much noise calms?",
        level="compute",
        hints=(
            "The almost sure rate of dX = aX dt + σX dW is a − σ²/2.",
            "Set it equal to the rate that is wanted, and solve for σ.",
        ),
        check=same_function(
            lambda: [(1.0, -0.5), (2.0, -1.0), (0.5, 0.0)],
            message="And the mean square grows at 2a + σ², faster than without noise: it calms no average.",
        ),
        solution=_calming,
        wrong={
            "Itô's correction is σ²/2, not σ².": _no_two,
            "This is σ²: take the root.": _its_square,
            "The rate that is wanted stands on the other side: a − σ²/2 = rate.": _other_sign,
        },
    ),
    Exercise(
        "E3.5",
        "How dropout fades with depth",
        level="derive",
        hints=(
            "One layer adds h (b/p) f with b = 0 or 1. What is the variance of b/p?",
            "var(b/p) = (1 − p)/p, so a layer adds h²(1 − p)/p |f|². Add L of them, h = T/L.",
        ),
        check=same_function(
            lambda: [(0.5, 10, 1.0, 2.0), (0.8, 100, 2.0, 1.0), (0.9, 7, 0.5, 3.0)],
            message="As 1/L: a deep network with dropout is nearly deterministic.",
        ),
        solution=_fading,
        wrong={
            "L layers add L times h² = T²/L², which leaves 1/L.": _never,
            "The branch is divided by p, so the variance of b/p counts: (1 − p)/p.": _bernoulli,
            "This is the variance of one layer; there are L of them.": _twice,
        },
    ),
    Exercise(
        "E3.6",
        "Average over the noise before you attack",
        level="extend",
        hints=(
            "The gradient of a mean is the mean of the gradients: call the loss several times, each with fresh noise.",
            "Add up `loss(x)` over the draws, differentiate once, and divide by their number.",
        ),
        check=_averages,
        solution=_average,
        wrong={ONE: _one_draw, SUMMED: _a_sum},
    ),
]
exercises = Exercises(EXERCISES)
