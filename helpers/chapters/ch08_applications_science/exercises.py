"""The exercises of chapter 08, science."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from helpers.lesson import Exercise, Exercises, Verdict, call, same_function, same_number, same_option

ROUNDING = 1e-9  # relative: what varies by less is conserved
SEED = 62  # of data for E8.5 on which every mistake gives other numbers
OSCILLATORS = ((1.0, 0.5), (2.0, 0.3), (5.0, 0.38), (0.7, 1.3))  # ω and h of E8.4, hω < 2


def _told(value):
    """What an answer of the wrong kind is."""
    return f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"of type {type(value).__name__}"


def _hint(exercise):
    return f"A hint may help: exercises[{exercise.id!r}].hint(1)."


# --- E8.3, a step of leapfrog ---------------------------------------------------------------------------------------


def _leapfrog(force, q, p, h):
    p = p + h / 2 * force(q)
    q = q + h * p
    return q, p + h / 2 * force(q)


def _whole_kicks(force, q, p, h):
    p = p + h * force(q)
    q = q + h * p
    return q, p + h * force(q)


def _old_force(force, q, p, h):
    kick = h / 2 * force(q)
    p = p + kick
    return q + h * p, p + kick


def _symplectic_euler(force, q, p, h):
    p = p + h * force(q)
    return q + h * p, p


def _other_symplectic_euler(force, q, p, h):
    q = q + h * p
    return q, p + h * force(q)


def _drift_first(force, q, p, h):
    q = q + h / 2 * p
    p = p + h * force(q)
    return q + h / 2 * p, p


def _euler(force, q, p, h):
    return q + h * p, p + h * force(q)


def _midpoint(force, q, p, h):
    return q + h * (p + h / 2 * force(q)), p + h * force(q + h / 2 * p)


def _heun(force, q, p, h):
    end = force(q + h * p)
    return q + h * p + h * h / 2 * force(q), p + h / 2 * (force(q) + end)


def _pushes():
    q = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    p = torch.tensor([1.0, 0.4, -0.7], dtype=torch.float64)
    coupled = torch.tensor([[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]], dtype=torch.float64)
    return [(lambda q: -q.sin(), q, p, 0.3), (lambda q: -(coupled @ q) - q**3, q, p, 0.1)]


# --- E8.4, what leapfrog conserves ----------------------------------------------------------------------------------


def _invariant(q, p, omega, h):
    return p**2 + omega**2 * q**2 * (1 - h**2 * omega**2 / 4)


def _true_energy(q, p, omega, h):
    return (p**2 + omega**2 * q**2) / 2


def _plus_sign(q, p, omega, h):
    return p**2 + omega**2 * q**2 * (1 + h**2 * omega**2 / 4)


def _h_once(q, p, omega, h):
    return p**2 + omega**2 * q**2 * (1 - h * omega / 4)


def _h_not_squared(q, p, omega, h):
    return p**2 + omega**2 * q**2 * (1 - h * omega**2 / 4)


def _no_quarter(q, p, omega, h):
    return p**2 + omega**2 * q**2 * (1 - h**2 * omega**2)


def _of_p(q, p, omega, h):
    return p**2 * (1 - h**2 * omega**2 / 4) + omega**2 * q**2


def _nothing(q, p, omega, h):
    return 0 * q + 1.0


@cache
def _walks(omega, h, steps=200):
    """Leapfrog on q″ = −ω²q from five starts: q and p, (5, steps + 1) each."""
    q = torch.tensor([1.0, 0.0, 0.5, -1.5, 2.0], dtype=torch.float64)
    p = torch.tensor([0.0, 1.0, -1.0, 0.7, 3.0], dtype=torch.float64)
    path = [(q, p)]
    for _ in range(steps):
        path.append(_leapfrog(lambda q: -(omega**2) * q, *path[-1], h))
    return tuple(torch.stack(x, 1) for x in zip(*path, strict=True))


def _is_invariant(answer, exercise):
    """Whether a function is conserved along leapfrog's paths, tells them apart, and has its extremum at rest."""
    if not callable(answer):
        return Verdict.mistyped(f"A function is asked for; yours is {_told(answer)}.")
    found = []
    for omega, h in OSCILLATORS:
        q, p = (x.flatten() for x in _walks(omega, h))
        q, p = (torch.cat([x, x.new_zeros(1)]) for x in (q, p))  # the last is at rest
        value = call(answer, q, p, omega, h)
        if not isinstance(value, Tensor) or value.shape != q.shape:
            return Verdict.mistyped(f"A tensor shaped like q is asked for; yours is {_told(value)}.")
        found.append(value.detach().double())
    if not all(value.isfinite().all() for value in found):
        return Verdict.wrong(f"The values are not finite. {_hint(exercise)}")

    named = next((sentence for sentence, wrong in exercise.wrong.items() if _as_good_as(found, wrong)), None)
    drifts = []
    for value in found:
        paths = value[:-1].reshape(5, -1)
        between = (paths.mean(1).max() - paths.mean(1).min()).item()
        if between <= ROUNDING * max(1.0, value.abs().max().item()):
            told = "It has the same value on all paths, so that it tells nothing."
            return Verdict.wrong(named or f"{told} {_hint(exercise)}")
        drifts.append((paths.amax(1) - paths.amin(1)).max().item() / between)
    if (worst := max(drifts)) > ROUNDING:
        told = f"Along leapfrog's paths it varies, by up to {worst:.2g} of its differences between the paths."
        return Verdict.wrong(f"{told} {named or _hint(exercise)}")
    for value in found:
        above = value[:-1] - value[-1]
        if not ((above > 0).all() or (above < 0).all()):
            return Verdict.wrong(f"It is conserved, but must be positive definite for hω < 2. {_hint(exercise)}")
    return Verdict.right("An ellipse for hω < 2, and a hyperbola beyond: that is where leapfrog becomes unstable.")


def _as_good_as(found, other):
    """Whether the values are those of another function, up to a factor and a constant."""
    for value, (omega, h) in zip(found, OSCILLATORS, strict=True):
        q, p = (torch.cat([x.flatten(), x.new_zeros(1)]) for x in _walks(omega, h))
        basis = torch.stack([other(q, p, omega, h), torch.ones_like(q)], 1)
        if basis[:, 0].std() <= ROUNDING:
            if value.std() > ROUNDING:
                return False
            continue
        off = value - basis @ torch.linalg.lstsq(basis, value[:, None]).solution[:, 0]
        if value.std() <= ROUNDING or off.abs().max() > ROUNDING * value.abs().max():
            return False
    return True


# --- E8.5, sparse regression ----------------------------------------------------------------------------------------


def _fitted(library, target, kept):
    coefficients = torch.zeros_like(library[0])
    if kept.any():
        coefficients[kept] = torch.linalg.lstsq(library[:, kept], target[:, None]).solution[:, 0]
    return coefficients


def _all(library):
    return torch.ones(library.shape[1], dtype=torch.bool)


def _stlsq(library, target, threshold):
    kept = _all(library)
    while True:
        coefficients = _fitted(library, target, kept)
        still = kept & (coefficients.abs() >= threshold)
        if (still == kept).all():
            return coefficients
        kept = still


def _least_squares(library, target, threshold):
    return _fitted(library, target, _all(library))


def _not_again(library, target, threshold):
    coefficients = _least_squares(library, target, threshold)
    return torch.where(coefficients.abs() >= threshold, coefficients, 0)


def _one_round(library, target, threshold):
    return _fitted(library, target, _least_squares(library, target, threshold).abs() >= threshold)


def _of_columns(library, target, threshold):
    return _fitted(library, target, library.abs().mean(0) >= threshold)


def _signed(library, target, threshold):
    kept = _all(library)
    for _ in range(library.shape[1] + 1):
        coefficients = _fitted(library, target, kept)
        kept = kept & (coefficients >= threshold)
    return _fitted(library, target, kept)


def _regressions():
    """Two with correlated columns, where a second round throws out what the first left; one where nothing is left."""
    draw = torch.Generator().manual_seed(SEED)
    cases = []
    for true in ([0.0, -1.0, 0.0, 0.6, 0.0, 0.0], [1.2, 0.0, -0.7, 0.0, 0.0, 0.0]):
        x = torch.randn(40, 6, generator=draw, dtype=torch.float64)
        library = (x + 1.2 * x[:, :1]) * torch.tensor([1.0, 1.0, 0.2, 1.0, 0.2, 1.0], dtype=torch.float64)
        noise = torch.randn(40, generator=draw, dtype=torch.float64)
        cases.append((library, library @ torch.tensor(true, dtype=torch.float64) + 0.5 * noise, 0.25))
    return [*cases, (library, 0.01 * noise, 0.5)]


# --- E8.6, a low-pass filter ----------------------------------------------------------------------------------------


def _low_pass(u, modes):
    c = torch.fft.rfft(u)
    c[modes:] = 0
    return torch.fft.irfft(c, n=len(u))


def _highest(u, modes):
    c = torch.fft.rfft(u)
    c[:-modes] = 0
    return torch.fft.irfft(c, n=len(u))


def _complement(u, modes):
    return u - _low_pass(u, modes)


def _one_more(u, modes):
    return _low_pass(u, modes + 1)


def _no_mean(u, modes):
    return _low_pass(u, modes) - u.mean()


def _next_ones(u, modes):
    return _low_pass(u, modes + 1) - u.mean()


def _one_half(u, modes):
    c = torch.fft.fft(u)
    c[modes:] = 0
    return torch.fft.ifft(c).real


def _signals():
    draw = torch.Generator().manual_seed(0)
    return [(torch.randn(n, generator=draw, dtype=torch.float64) + 0.5, modes) for n, modes in ((32, 5), (15, 3))]


# --- E8.7, finite differences ---------------------------------------------------------------------------------------


def _second(size, n):
    """−d²/dx² on `size` points that are 1/n apart, with zeros beside the first and the last."""
    ones = torch.ones(size - 1, dtype=torch.float64)
    return n**2 * (2 * torch.eye(size, dtype=torch.float64) - ones.diag(1) - ones.diag(-1))


def _grid(n):
    return torch.linspace(0, 1, n + 1, dtype=torch.float64)


def _without_ends(f, n):
    return torch.linalg.solve(_second(n - 1, n), f(_grid(n)[1:-1]))


def _solve(f, n):
    return torch.nn.functional.pad(_without_ends(f, n), (1, 1))


def _other_sign(f, n):
    return -_solve(f, n)


def _no_square(f, n):
    return n**2 * _solve(f, n)


def _once_h(f, n):
    return n * _solve(f, n)


def _too_wide(f, n):
    return torch.linalg.solve(_second(n + 1, n), f(_grid(n)))


def _one_end(f, n):
    return torch.nn.functional.pad(torch.linalg.solve(_second(n, n), f(_grid(n)[1:])), (1, 0))


def _free_end(f, n):
    """u' = 0 at the right end, by a difference of first order."""
    matrix = _second(n, n)
    matrix[-1], right = 0.0, f(_grid(n)[1:]).clone()
    matrix[-1, -1], matrix[-1, -2], right[-1] = n, -n, 0.0
    return torch.nn.functional.pad(torch.linalg.solve(matrix, right), (1, 0))


def _loads():
    """f and n; not symmetric about the middle, and not zero at the ends."""
    return [(lambda x: x.exp() * (3 * x).cos(), 8), (lambda x: 1 + x**2, 5), (lambda x: 30 * (5 * x).sin(), 20)]


def _solves(answer, exercise):
    """Whether a solver is that of second-order differences: by its values; its order is measured on a sine."""
    if not callable(answer):
        return Verdict.mistyped(f"A function is asked for; yours is {_told(answer)}.")
    found = [(f, n, call(answer, f, n)) for f, n in _loads()]

    def same(other):
        return all(
            isinstance(u, Tensor)
            and u.shape == (wanted := other(f, n)).shape
            and torch.allclose(u.detach().double(), wanted, rtol=1e-6, atol=1e-9)
            for f, n, u in found
        )

    if same(exercise.solution):
        coarse, fine = (_off_the_sine(call(answer, _sine, n), n) for n in (16, 32))
        return Verdict.right(
            f"Off by {fine:.1g} for sin πx on 32 intervals; half the step divides the error by {coarse / fine:.1f}. "
            "Keep this solver at hand when a network is to be praised."
        )
    named = next((sentence for sentence, wrong in exercise.wrong.items() if same(wrong)), None)
    if named:
        return Verdict.wrong(named)
    for _, n, u in found:
        if not isinstance(u, Tensor) or u.shape != (n + 1,):
            return Verdict.mistyped(f"A tensor of n + 1 = {n + 1} values is asked for; yours is {_told(u)}.")
    ends = max(u[[0, -1]].abs().max().item() for *_, u in found)
    told = f"u must be 0 at both ends; yours is {ends:.2g} there." if not ends < 1e-9 else "These are other values."
    return Verdict.wrong(f"{told} {_hint(exercise)}")


def _sine(x):
    return math.pi**2 * (math.pi * x).sin()


def _off_the_sine(u, n):
    return (u - (math.pi * _grid(n)).sin()).abs().max().item()


# The statements of E8.1, as the chapter prints them:
# (a) Leapfrog keeps the energy of a pendulum exactly.
# (b) An HNN keeps the energy that it has learnt, not the true one.
# (c) A symplectic method has the smaller error in the position, whatever the step.
# (d) A small residual means a small error.

EXERCISES = [
    Exercise(
        "E8.1",
        "What is kept, and what is small",
        level="recall",
        hints=(
            "Which statement would survive perfect arithmetic, bad training and a large step?",
            "The field of an HNN is (∂H/∂p, −∂H/∂q) of *its* H: along it dH/dt = 0, whatever H is.",
        ),
        check=same_option("abcd", message="Structure keeps something; the data say whether it is the right thing."),
        solution="b",
        wrong={
            "Its energy error is bounded, not zero: it keeps *another* energy, near the true one.": "a",
            "At equal steps rk4 has the smaller error in the angle: energy is not accuracy.": "c",
            "The residual sees an error in mode j with weight (j/k)²: what is smooth is hardly seen.": "d",
        },
    ),
    Exercise(
        "E8.2",
        "The longest step",
        level="compute",
        hints=(
            "q″ = −ω²q is the test equation: what is ω here?",
            "Leapfrog is stable for hω < 2, where 1 − h²ω²/4 is positive.",
        ),
        check=same_number(tol=1e-6, message="hω < 2: beyond it the conserved ellipse is a hyperbola."),
        solution=2 / 5,
        wrong={
            "ω² = 25, so that ω = 5.": 2 / 25,
            "The limit is hω < 2, not hω < 1.": 1 / 5,
            "This is ω times the limit's 2: divide by ω.": 10.0,
            "This is rk4's limit, hω < 2√2.": 2 * math.sqrt(2) / 5,
            "Euler's method has no stable step here, but leapfrog has.": 0.0,
        },
    ),
    Exercise(
        "E8.3",
        "Kick, drift, kick",
        level="derive",
        hints=(
            "Half a kick changes p by h/2 times the force; the drift changes q by h times the *new* p.",
            "The second half kick takes the force at the new q. Return (q, p).",
        ),
        check=same_function(_pushes, message="Order 2, and a step with −h takes you back."),
        solution=_leapfrog,
        wrong={
            "Each kick is *half* a kick, h/2 times the force.": _whole_kicks,
            "The second kick takes the force at the *new* place.": _old_force,
            "This is symplectic Euler, of order 1: kick half, drift, kick half.": _symplectic_euler,
            "This is the other symplectic Euler, of order 1: it drifts first and kicks once.": _other_symplectic_euler,
            "This is drift–kick–drift: of the right order and symplectic, but another method.": _drift_first,
            "This is Euler's method: the drift must take the momentum after the kick.": _euler,
            "This is a Runge–Kutta method, the explicit midpoint rule: of order 2, but not symplectic.": _midpoint,
            "This is a Runge–Kutta method, Heun's: the last kick must see the q *after* the drift.": _heun,
        },
    ),
    Exercise(
        "E8.4",
        "What leapfrog conserves",
        level="derive",
        hints=(
            "Try p² + c q²: after one step from (1, 0), q = 1 − h²ω²/2; what is p, and for which c is the value kept?",
            "From (1, 0) the step leads to p = −hω²(1 − h²ω²/4). Then c (1 − q²) = p², and 1 − q² = h²ω²(1 − h²ω²/4).",
        ),
        check=_is_invariant,
        solution=_invariant,
        wrong={
            "This is the true energy: leapfrog keeps another one, which depends on h.": _true_energy,
            "The sign: the correction makes the weight of q² *smaller*.": _plus_sign,
            "The correction is (hω)²/4, not hω/4: leapfrog is of order 2.": _h_once,
            "h must be squared: hω² is no pure number.": _h_not_squared,
            "The correction is a quarter of (hω)²: the stability limit is hω = 2, not 1.": _no_quarter,
            "For kick–drift–kick the correction belongs to q²; with p² it is that of drift–kick–drift.": _of_p,
            "A constant is conserved by everything: it must tell one path from another.": _nothing,
        },
    ),
    Exercise(
        "E8.5",
        "Few terms",
        level="extend",
        hints=(
            "Least squares; drop the terms whose coefficient is below the threshold; least squares on what is left.",
            "Go on until no term is dropped any more: without its neighbours a coefficient can become small.",
        ),
        check=same_function(_regressions, rtol=1e-6, message="So a formula is read off the data."),
        solution=_stlsq,
        wrong={
            "This is plain least squares: no term is dropped.": _least_squares,
            "After terms are dropped, the others must be fitted again.": _not_again,
            "One round is not enough: after the new fit another term can be small.": _one_round,
            "The threshold is for the coefficients, not for the columns of the library.": _of_columns,
            "Compare the *size* with the threshold: −1 is not small.": _signed,
        },
    ),
    Exercise(
        "E8.6",
        "A low-pass filter",
        level="derive",
        hints=(
            "`torch.fft.rfft` gives the coefficients from the mean upwards; set to zero those from `modes` on.",
            "`torch.fft.irfft(c, n=len(u))` goes back: name n, or an odd number of samples loses one.",
        ),
        check=same_function(_signals, message="A spectral convolution with identity weights does just this."),
        solution=_low_pass,
        wrong={
            "These are the highest ones; the lowest are to be kept.": _highest,
            "This is what the filter takes away: return what it keeps.": _complement,
            "The mean counts as one of the `modes`: this is one too many.": _one_more,
            "The mean belongs to what is kept.": _no_mean,
            "The lowest coefficient is the mean: begin with it.": _next_ones,
            "`fft` has each frequency twice, as k and as N − k: keep both, or take `rfft`.": _one_half,
        },
    ),
    Exercise(
        "E8.7",
        "The method to beat",
        level="extend",
        hints=(
            "At an inner point (−u₋ + 2u − u₊) / h² = f, with h = 1/n; the ends are zero, and are not unknown.",
            "A tridiagonal matrix of n − 1 rows, `torch.linalg.solve`, then a zero at either end.",
        ),
        check=_solves,
        solution=_solve,
        wrong={
            "The sign: it is *minus* u″ that is f.": _other_sign,
            "The differences must be divided by h².": _no_square,
            "Divide by h², not by h.": _once_h,
            "This is zero one step *beyond* either end: the ends themselves are not unknown.": _too_wide,
            "This is zero one step beyond the right end: of first order there.": _one_end,
            "At the right end u is 0, not its slope.": _free_end,
            "The values at the two ends are missing: add the zeros.": _without_ends,
        },
    ),
]
exercises = Exercises(EXERCISES)
