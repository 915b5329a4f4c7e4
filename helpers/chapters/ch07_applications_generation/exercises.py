"""The exercises of chapter 07, generation."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from helpers.data import digits
from helpers.layers.cnf import log_normal
from helpers.lesson import Exercise, Exercises, Verdict, call, same_function, same_number, same_option
from helpers.metrics import nearest

MEAN, STD = 2.0, 0.5  # of the data of E7.3 and E7.4


def _told(value):
    """What an answer of the wrong kind is."""
    return f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"of type {type(value).__name__}"


# --- E7.3, the velocity for a Gaussian ------------------------------------------------------------------------------


def _variance(t):
    return t**2 * STD**2 + (1 - t) ** 2


def _velocity(t, x):
    return MEAN + (t * STD**2 - (1 - t)) / _variance(t) * (x - t * MEAN)


def _of_one_pair(t, x):
    return MEAN - x


def _from_data_to_noise(t, x):
    return -_velocity(t, x)


def _not_divided(t, x):
    return MEAN + (t * STD**2 - (1 - t)) * (x - t * MEAN)


def _score(t, x):
    return -(x - t * MEAN) / _variance(t)


def _plus(t, x):
    return MEAN + (t * STD**2 + (1 - t)) / _variance(t) * (x - t * MEAN)


def _places():
    x = torch.linspace(-4, 5, 37, dtype=torch.float64)
    return [(t, x) for t in (0.0, 0.15, 0.4, 0.5, 0.8, 1.0)]


# --- E7.4, Heun's sampler -------------------------------------------------------------------------------------------


def _heun(velocity, x, steps):
    h = 1 / steps
    for k in range(steps):
        first = velocity(k * h, x)
        second = velocity((k + 1) * h, x + h * first)
        x = x + h * (first + second) / 2
    return x


def _euler(velocity, x, steps):
    for k in range(steps):
        x = x + velocity(k / steps, x) / steps
    return x


def _same_time(velocity, x, steps):
    h = 1 / steps
    for k in range(steps):
        first = velocity(k * h, x)
        x = x + h * (first + velocity(k * h, x + h * first)) / 2
    return x


def _midpoint(velocity, x, steps):
    h = 1 / steps
    for k in range(steps):
        half = x + h / 2 * velocity(k * h, x)
        x = x + h * velocity((k + 0.5) * h, half)
    return x


def _sum_of_slopes(velocity, x, steps):
    h = 1 / steps
    for k in range(steps):
        first = velocity(k * h, x)
        x = x + h * (first + velocity((k + 1) * h, x + h * first))
    return x


def _a_call_too_many(velocity, x, steps):
    h = 1 / steps
    for k in range(steps):
        predicted = x + h * velocity(k * h, x)
        x = x + h * (velocity(k * h, x) + velocity((k + 1) * h, predicted)) / 2
    return x


def _is_heun(answer, exercise):
    """Whether a sampler is Heun's: by its values, by the calls of the velocity, and so by its order."""
    if not callable(answer):
        return Verdict.mistyped(f"A function is asked for; yours is {_told(answer)}.")
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    found = [_walked(answer, x, steps) for steps in (16, 32)]
    for end, _ in found:
        if not isinstance(end, Tensor) or end.shape != x.shape:
            return Verdict.mistyped(f"A tensor shaped like x is asked for; yours is {_told(end)}.")
    if not all(end.isfinite().all() for end, _ in found):
        return Verdict.wrong("The samples are not finite: is every step 1 / steps long?")

    def same(other):
        pairs = zip(found, (_walked(other, x, steps) for steps in (16, 32)), strict=True)
        return all(calls == n and torch.allclose(end.double(), y, rtol=1e-9) for (end, calls), (y, n) in pairs)

    # the flow of a Gaussian is known: x₀ goes to m + s x₀
    coarse, fine = ((end - (MEAN + STD * x)).abs().max().item() for end, _ in found)
    order = math.log2(max(coarse, 1e-300) / max(fine, 1e-300))
    if same(exercise.solution):
        return Verdict.right(f"Order {order:.1f} on Gaussian data, and two calls a step.")
    named = next((sentence for sentence, wrong in exercise.wrong.items() if same(wrong)), None)
    calls = found[0][1]
    return Verdict.wrong(
        named
        or f"That is not Heun's method: 16 steps call the velocity {calls} times, and 32 steps divide the error by "
        f"{coarse / max(fine, 1e-300):.2g}. A hint may help: exercises[{exercise.id!r}].hint(1)."
    )


def _walked(sampler, x, steps):
    """The end of the sampler's paths on Gaussian data, and how often it called the velocity."""
    calls = []

    def velocity(t, y):
        calls.append(t)
        return _velocity(t, y)

    return call(sampler, velocity, x, steps), len(calls)


# --- E7.6, the log-likelihood ---------------------------------------------------------------------------------------


def _log_prob(x, transport, log_normal):
    z, trace = transport(x)
    return log_normal(z) + trace


def _other_sign(x, transport, log_normal):
    z, trace = transport(x)
    return log_normal(z) - trace


def _no_trace(x, transport, log_normal):
    return log_normal(transport(x)[0])


def _at_the_data(x, transport, log_normal):
    return log_normal(x) + transport(x)[1]


def _shrunk(x):
    """Backwards along x' = x / 2 + 1 over a unit of time, with ∫ of the trace in the way of travel."""
    return (x + 2) * math.exp(-0.5) - 2, torch.full_like(x[:, 0], -0.5)


def _bent(x):
    """Backwards along x' = −tanh x over a unit of time: sinh x(t) = e^(−t) sinh x(0)."""
    y = math.e * x.sinh()
    return y.asinh(), (1 + x.cosh().log() - 0.5 * (1 + y.square()).log())[:, 0]


def _is_density(answer, exercise):
    """Whether a log-density is that of two flows known in closed form; a mistake is shown by its integral."""
    if not callable(answer):
        return Verdict.mistyped(f"A function is asked for; yours is {_told(answer)}.")
    x = torch.linspace(-9, 9, 1801, dtype=torch.float64)[:, None]
    found = [call(answer, x, transport, log_normal) for transport in (_shrunk, _bent)]
    for log_p in found:
        if not isinstance(log_p, Tensor) or log_p.shape != (len(x),):
            return Verdict.mistyped(
                f"A tensor (n,), a number for each row of x, is asked for; yours is {_told(log_p)}."
            )

    def same(other):
        values = (other(x, transport, log_normal) for transport in (_shrunk, _bent))
        return all(torch.allclose(log_p.double(), y, rtol=1e-6) for log_p, y in zip(found, values, strict=True))

    masses = [torch.trapezoid(log_p.exp(), x[:, 0]).item() for log_p in found]
    told = f"The density integrates to {masses[0]:.3g} for one flow, {masses[1]:.3g} for another."
    if same(exercise.solution):
        return Verdict.right(f"{told} A mass of 1 is what tells the sign.")
    named = next((sentence for sentence, wrong in exercise.wrong.items() if same(wrong)), None)
    return Verdict.wrong(f"{told} {named or f'A hint may help: exercises[{exercise.id!r}].hint(1).'}")


# --- E7.7, copies ---------------------------------------------------------------------------------------------------


def _copies(samples, train, test):
    return bool(nearest(samples, train).median() < nearest(test, train).median() / 10)


def _mean_image(samples, train, test):
    return bool((samples.mean(0) - train.mean(0)).norm() < (test.mean(0) - train.mean(0)).norm() / 10)


def _test_as_reference(samples, train, test):
    return bool(nearest(samples, test).median() < nearest(train, test).median() / 10)


def _other_way(samples, train, test):
    return bool(nearest(train, samples).median() < nearest(train, test).median() / 10)


def _by_the_mean(samples, train, test):
    return bool(nearest(samples, train).mean() < nearest(test, train).mean() / 10)


def _by_the_least(samples, train, test):
    return bool(nearest(samples, train).min() < nearest(test, train).median() / 10)


@cache
def _suspects():
    """name → samples, with 400 training images and 120 others of real digits."""
    x = 2 * digits(0, dtype=torch.float64).train[0] - 1
    train, test, real = x[:400], x[400:520], x[520:640]
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(120, 64, generator=draw, dtype=torch.float64)
    taken = train[torch.randperm(400, generator=draw)[:120]]
    root = torch.linalg.cholesky(torch.cov(train.T) + 1e-6 * torch.eye(64, dtype=torch.float64))
    gaussian = train.mean(0) + (noise - noise.mean(0)) @ root.T  # with the very mean of the training images
    suspects = {
        "copies of training images": taken,
        "such copies with a little noise": taken + 0.01 * noise,
        "training images under much noise": taken + 0.08 * noise,
        "draws from a Gaussian": gaussian,
        "real images that nobody trained on": real,
        "copies of test images": test.clone(),
        "copies, and a third of draws from a Gaussian": torch.cat([taken[:80], gaussian[:40]]),
        "draws from a Gaussian, and a few copies": torch.cat([gaussian[:110], taken[:10]]),
        "all training images, in another order": train.flip(0),
    }
    return suspects, train, test


def _finds_copies(answer, exercise):
    """Whether a detector of copies is right about nine kinds of samples, made from real digits."""
    if not callable(answer):
        return Verdict.mistyped(f"A function is asked for; yours is {_told(answer)}.")
    suspects, train, test = _suspects()
    found = [call(answer, samples, train, test) for samples in suspects.values()]
    for said in found:
        if not isinstance(said, bool | np.bool_) and not (isinstance(said, Tensor) and said.dtype == torch.bool):
            return Verdict.mistyped(f"True or False is asked for; yours is {_told(said)}.")
        if isinstance(said, Tensor) and said.numel() != 1:
            return Verdict.mistyped(f"One answer for all samples is asked for; yours is {_told(said)}.")
    found = [bool(said) for said in found]
    wanted = _said(exercise.solution)
    if found == wanted:
        return Verdict.right("Ask this of every generator before you praise its samples.")
    named = next((sentence for sentence, wrong in exercise.wrong.items() if found == _said(wrong)), None)
    name, said = next((n, s) for n, s, w in zip(suspects, found, wanted, strict=True) if s != w)
    return Verdict.wrong(named or f"Of {name} it says {said}. A hint may help: exercises[{exercise.id!r}].hint(1).")


@cache
def _said(detector):
    suspects, train, test = _suspects()
    return [detector(samples, train, test) for samples in suspects.values()]


# The statements of E7.1, as the chapter prints them:
# (a) Along a flow x′ = f(t, x) the log-density at the moving point changes at the rate +tr ∂f/∂x.
# (b) The probability flow and the reverse SDE carry the same noise to the same image.
# (c) With the exact score and from the same start, the probability flow and the reverse SDE have the same law at every
#     time.
# (d) With noise of ±1, Hutchinson's estimate of a trace is exact.

EXERCISES = [
    Exercise(
        "E7.1",
        "What flows and diffusions share",
        level="recall",
        hints=(
            "Where a flow spreads the points out, does the density around them rise or fall?",
            "Two samplers can agree in every histogram and in no path.",
        ),
        check=same_option("abcd", message="The same laws, by other paths: a histogram cannot tell the two."),
        solution="c",
        wrong={
            "Where the flow expands, the density falls: the rate is −tr ∂f/∂x.": "a",
            "The SDE draws new noise on its way: from one start it comes to many ends.": "b",
            "It is right on average; exact it is only where S = (A + Aᵀ)/2 is diagonal.": "d",
        },
    ),
    Exercise(
        "E7.2",
        "What is left of the data",
        level="compute",
        hints=(
            "α(1) = exp(−½ ∫₀¹ β(t) dt), with β growing on a straight line.",
            "The integral of a straight line is the mean of its ends: ½ (0.1 + 12).",
        ),
        check=same_number(tol=5e-5, message="A twentieth of every pixel is left; four digits are enough."),
        solution=math.exp(-0.5 * 6.05),
        wrong={
            "This is α(1)², what is left of the variance: there is a ½ in the exponent.": math.exp(-6.05),
            "β is 12 at the end only; its integral is asked for.": math.exp(-6.0),
            "This is σ(1), the standard deviation of the noise.": math.sqrt(-math.expm1(-6.05)),
            "The integral of a straight line is the mean of its ends, ½ (0.1 + 12).": math.exp(-0.5 * 11.9 / 2),
        },
    ),
    Exercise(
        "E7.3",
        "A velocity in closed form",
        level="derive",
        hints=(
            "x₁ − x₀ and x_t = (1 − t) x₀ + t x₁ are jointly Gaussian: E[x₁ − x₀ | x_t] is a straight line in x_t.",
            "Its slope is Cov(x₁ − x₀, x_t) / Var x_t = (t s² − (1 − t)) / (t² s² + (1 − t)²); at x_t = t m it is m.",
        ),
        check=same_function(_places, message="The best that any network can learn here, by one line of algebra."),
        solution=_velocity,
        wrong={
            "This holds at t = 0 alone, where x is x₀ itself.": _of_one_pair,
            "The sign: the flow runs from noise to data.": _from_data_to_noise,
            "The slope is a covariance *divided by the variance* of x_t.": _not_divided,
            "This is the score of x_t; the velocity is asked for.": _score,
            "Cov(x₁ − x₀, x_t) is t s² *minus* (1 − t): the noise enters with −1.": _plus,
        },
    ),
    Exercise(
        "E7.4",
        "Heun's sampler",
        level="extend",
        hints=(
            "A step of Euler predicts the end; the velocity there, at the *later* time, is the second slope.",
            "Go on from x by h times the mean of the two slopes; keep the first slope, so that a step has two calls.",
        ),
        check=_is_heun,
        solution=_heun,
        wrong={
            "This is Euler's method, one slope a step.": _euler,
            "The second slope belongs to the end of the step, t + h.": _same_time,
            "This is the explicit midpoint method: of order 2 as well, but Heun's is asked for.": _midpoint,
            "Take the *mean* of the two slopes, not their sum.": _sum_of_slopes,
            "The values are right, but keep the first slope: two calls a step are enough.": _a_call_too_many,
        },
    ),
    Exercise(
        "E7.5",
        "Noise of ±1",
        level="compute",
        hints=(
            "Only the symmetric part S = (A + Aᵀ)/2 counts: Gaussian noise has the variance 2 ‖S‖².",
            "Noise of ±1 has 2 (‖S‖² − Σ s_ii²): the diagonal adds nothing, since ε_i² = 1.",
        ),
        check=same_number(tol=1e-3, message="24 against 4: that is why the noise is ±1."),
        solution=6.0,
        wrong={
            "Take the symmetric part S = (A + Aᵀ)/2 in place of A.": 3.5,
            "With noise of ±1 the diagonal adds nothing to the variance.": 1.0,
            "The factor by which it *lowers* the variance is above 1.": 1 / 6,
            "Of the variance, not of the standard deviation.": math.sqrt(6),
            "This is the variance for Gaussian noise; divide it by that for ±1.": 24.0,
            "This is the variance for noise of ±1; a quotient is asked for.": 4.0,
        },
    ),
    Exercise(
        "E7.6",
        "A density has mass 1",
        level="derive",
        hints=(
            "`transport(x)` is the end z of the way *back* to the noise, and log |det ∂z/∂x|.",
            "p(x) = p_noise(z) |det ∂z/∂x|. Take the logarithm, and integrate exp of it on a grid.",
        ),
        check=_is_density,
        solution=_log_prob,
        wrong={
            "The sign: `trace` was integrated on the way back, so that it is log |det ∂z/∂x|.": _other_sign,
            "The trace is left out: space was stretched on the way.": _no_trace,
            "The normal density is that of the noise z, not of the data x.": _at_the_data,
        },
    ),
    Exercise(
        "E7.7",
        "Made, or copied?",
        level="extend",
        hints=(
            "For every sample the distance from the *nearest* training image: `nearest(samples, train)`.",
            "Compare its median with that of `nearest(test, train)`, images that nobody trained on, divided by ten.",
        ),
        check=_finds_copies,
        solution=_copies,
        wrong={
            "The mean of all samples says nothing of a single one: what is nearest to each?": _mean_image,
            "Copies are copies of *training* images; the test images say what distance is usual.": _test_as_reference,
            "For each sample the nearest training image, not for each training image the nearest sample.": _other_way,
            "The median is asked for: a mean is spoilt by a few samples that are no copies.": _by_the_mean,
            "The median is asked for: one copy among many samples is not the rule.": _by_the_least,
        },
    ),
]
exercises = Exercises(EXERCISES)
