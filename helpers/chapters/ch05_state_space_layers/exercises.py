"""The exercises of chapter 05, state-space layers."""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.lesson import Exercise, Exercises, same_function, same_number, same_option

# --- E5.3, the LegS matrix ------------------------------------------------------------------------------------------


def _legs(n):
    k = torch.arange(n, dtype=torch.float64)
    root = (2 * k + 1).sqrt()
    return -torch.tril(torch.outer(root, root), -1) - torch.diag(k + 1), root


def _no_roots(n):
    k = torch.arange(n, dtype=torch.float64)
    lower = torch.tril((2 * k + 1).expand(n, n), -1)
    return -lower - torch.diag(k + 1), torch.ones_like(k)


def _upper(n):
    A, B = _legs(n)
    return A.T.contiguous(), B


def _odd_diagonal(n):
    A, B = _legs(n)
    k = torch.arange(n, dtype=torch.float64)
    return A - torch.diag(k), B


def _sign(n):
    A, B = _legs(n)
    return -A, B


# --- E5.4, joining two maps -----------------------------------------------------------------------------------------


def _combine(first, second):
    (a, b), (c, d) = first, second
    return a * c, c * b + d


def _swapped(first, second):
    return _combine(second, first)


def _not_multiplied(first, second):
    (a, b), (c, d) = first, second
    return a * c, b + d


def _sum_of_a(first, second):
    (a, b), (c, d) = first, second
    return a + c, c * b + d


def _pairs():
    draw = torch.Generator().manual_seed(0)
    a, b, c, d = torch.randn(4, 6, generator=draw, dtype=torch.float64)
    return [((a, b), (c, d)), ((torch.tensor(2.0), torch.tensor(3.0)), (torch.tensor(5.0), torch.tensor(7.0)))]


# --- E5.5, a causal convolution ------------------------------------------------------------------------------------


def _convolve(u: Tensor, kernel: Tensor) -> Tensor:
    return _padded(u, kernel)[..., : u.shape[-1]]


def _padded(u, kernel, n=None):
    n = n or 2 * u.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(u, n) * torch.fft.rfft(kernel, n), n)


def _circular(u, kernel):
    return _padded(u, kernel, u.shape[-1])


def _wrong_side(u, kernel):
    return _padded(u, kernel)[..., -u.shape[-1] :]


def _correlation(u, kernel):
    n = 2 * u.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(u, n) * torch.fft.rfft(kernel, n).conj(), n)[..., : u.shape[-1]]


def _signals():
    draw = torch.Generator().manual_seed(0)
    decays = torch.exp(-0.3 * torch.arange(9, dtype=torch.float64))
    return [
        (torch.randn(9, generator=draw, dtype=torch.float64), decays),
        (torch.randn(3, 8, generator=draw, dtype=torch.float64), torch.randn(8, generator=draw, dtype=torch.float64)),
    ]


# --- E5.6, parity with one state -----------------------------------------------------------------------------------


def _flip(x):
    return 1 - 2 * x


def _stop(x):
    return 1 - x


def _squashed(x):
    return torch.sigmoid(2 - 4 * x)


def _itself(x):
    return x


def _whole_sign(x):
    return 2 * x - 1


def _bits():
    return [(torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64),)]


# --- E5.7, one step of zero-order hold -----------------------------------------------------------------------------


def _zoh(lam, dt):
    a = torch.exp(lam * dt)
    return a, (a - 1) / lam


def _euler_b(lam, dt):
    return torch.exp(lam * dt), dt


def _bilinear(lam, dt):
    return (1 + lam * dt / 2) / (1 - lam * dt / 2), dt / (1 - lam * dt / 2)


def _no_dt(lam, dt):
    a = torch.exp(lam * dt)
    return a, (a - 1) / (lam * dt)


def _undivided(lam, dt):
    a = torch.exp(lam * dt)
    return a, a - 1


def _poles():
    cases = [(-0.5 + 3j, 0.2), (-1.0 + 0j, 1.5), (2j, 0.7)]
    return [(torch.tensor(lam, dtype=torch.complex128), torch.tensor(dt, dtype=torch.float64)) for lam, dt in cases]


EXERCISES = [
    # (a) Zero-order hold is exact for every input. (b) Euler is stable wherever all Re λ < 0. (c) Mamba's code takes
    # zero-order hold for A and Euler's rule for B. (d) The bilinear rule has order two, also where every step sees the
    # input at its left end.
    Exercise(
        "E5.1",
        "Which rule does what?",
        level="recall",
        hints=(
            "Claims 5.8, 5.10 and 5.13: which input is a rule exact for, and which steps is it stable for?",
            "Three of the statements are true under a condition that they do not name. The fourth is read in code.",
        ),
        check=same_option("abcd", message="So its stationary state is off: the two rules do not fit each other."),
        solution="c",
        wrong={
            "It is exact for an input that is constant over each step, and of order one or two otherwise.": "a",
            "Euler also needs |1 + Δλ| < 1: a fast or ringing pole needs a short step.": "b",
            "The order is that of the input's treatment: one at the left end, two with the mean of both ends.": "d",
        },
    ),
    Exercise(
        "E5.2",
        "How long may Euler step?",
        level="compute",
        hints=(
            "A step multiplies the mode of the pole λ by 1 + Δλ. How large may this number be?",
            "|1 + Δλ|² = (1 − Δ/2)² + 9Δ² ≤ 1: solve for Δ.",
        ),
        check=same_number(tol=1e-3, message="Δ ≤ −2 Re λ/|λ|²: a pole that rings fast wants a short step."),
        solution=2 * 0.5 / (0.5**2 + 3**2),
        wrong={
            "This is 2/|λ|, right for a real pole; a ringing one wants a shorter step.": 2 / 9.25**0.5,
            "Only the decay was used: −2/Re λ. The imaginary part moves 1 + Δλ as well.": 4.0,
            "Solve (1 − Δ/2)² + 9Δ² = 1 once more: this is half of it.": 0.5 / 9.25,
            "This is twice the limit.": 2 / 9.25,
        },
    ),
    Exercise(
        "E5.3",
        "The LegS matrix",
        level="derive",
        hints=(
            "With r_k = √(2k + 1): below the diagonal there is −r_i r_j, above it nothing. And on it?",
            "`torch.tril(torch.outer(r, r), -1)`, with a minus sign; on the diagonal −(k + 1), and B = r.",
        ),
        check=same_function(
            lambda: [(1,), (4,), (7,)],
            message="A constant input is its fixed point: A (v, 0, …, 0) + B v = 0. Try it.",
        ),
        solution=_legs,
        wrong={
            "The basis is orthonormal: the factors √(2k + 1) are missing.": _no_roots,
            "Coefficient k is driven by those *below* it: the triangle is the lower one.": _upper,
            "On the diagonal there is −(k + 1).": _odd_diagonal,
            "This is the papers' A, which they subtract; what multiplies c here forgets: it has the minus sign.": _sign,
        },
    ),
    Exercise(
        "E5.4",
        "Joining two maps",
        level="derive",
        hints=(
            "First h ↦ a h + b, then h ↦ c h + d. Put one into the other.",
            "c (a h + b) + d: what stands before h, and what stands alone?",
        ),
        check=same_function(
            _pairs, message="It is associative, so that brackets may stand anywhere: a scan is a tree."
        ),
        solution=_combine,
        wrong={
            "This is second, then first: the order matters.": _swapped,
            "The second map multiplies also what the first has added.": _not_multiplied,
            "Multipliers multiply.": _sum_of_a,
        },
    ),
    Exercise(
        "E5.5",
        "A convolution that does not look ahead",
        level="compute",
        hints=(
            "The Fourier transform convolves on a circle: what leaves at the end comes in at the beginning.",
            "Zeros up to twice the length make room (`rfft(u, 2 * n)`); then keep the first n.",
        ),
        check=same_function(_signals, rtol=1e-6, message="No entry knows a later input: change one, and look."),
        solution=_convolve,
        wrong={
            "On a circle the end of the input comes round to the beginning: zeros must be padded.": _circular,
            "The result begins at the first entry; you kept the last ones.": _wrong_side,
            "This is a correlation, which looks at later inputs: no conjugate.": _correlation,
        },
    ),
    Exercise(
        "E5.6",
        "Parity with one number",
        level="extend",
        hints=(
            "A zero leaves the state as it is. What must a one do to ±1?",
            "a(0) = 1 and a(1) = −1, by a straight line.",
        ),
        check=same_function(_bits, message="And no multiplier in (0, 1) ever changes a sign: Section 7."),
        solution=_flip,
        wrong={
            "At a one the state becomes 0, and stays so: nothing brings it back.": _stop,
            "A multiplier in (0, 1) never changes the sign.": _squashed,
            "A zero must leave the state as it is, and here it erases it.": _itself,
            "This flips at every zero; a flip at every one is asked for.": _whole_sign,
        },
    ),
    Exercise(
        "E5.7",
        "One step of a pole",
        level="derive",
        hints=(
            "Solve x′ = λ x + u over a step with constant u: what is left of x, and what does u add?",
            "The input adds ∫₀^Δ e^{λs} ds, an integral that you can take.",
        ),
        check=same_function(_poles, message="Exact as long as the input holds still; at λ = 0 the limit is Δ."),
        solution=_zoh,
        wrong={
            "Your b is Euler's: the input decays during the step, too.": _euler_b,
            "This is the bilinear rule.": _bilinear,
            "The integral over a step is as long as the step: a factor Δ is missing in b.": _no_dt,
            "∫ e^{λs} ds has λ in the denominator.": _undivided,
        },
    ),
]
exercises = Exercises(EXERCISES)
