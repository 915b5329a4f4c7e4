"""The exercises of chapter 08, science."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from helpers.lesson import Exercise, Exercises, Verdict, call, same_function, same_number, same_option

ROUNDING = 1e-9  # relative: what varies by less is conserved
SEED = 0  # of data for E8.5 on which every mistake gives other numbers
OSCILLATORS = ((1.0, 0.5), (2.0, 0.3), (5.0, 0.38), (0.7, 1.3))  # ω and h of E8.4, hω < 2


def _told(value):
    """What an answer of the wrong kind is."""
    return f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"of type {type(value).__name__}"


def _hint(exercise):
    return f"A hint may help: exercises[{exercise.id!r}].hint(1)."


# --- E8.2, how fast leapfrog's clock is ------------------------------------------------------------------------------

CLOCK = 4 * math.asin(0.25)  # leapfrog's frequency on q″ = −q with h = 0.5, (2/h) asin(h/2)
AHEAD = 1 / (CLOCK - 1)
_within = same_number(
    tol=0.01 * AHEAD, message="Its energy is kept for ever, its clock is not: a small error of phase grows with t."
)


def _is_ahead(answer, exercise):
    """A number within one per cent; the mistakes are recognised within one per cent of themselves."""
    verdict = _within(answer, exercise)
    if verdict.kind != "wrong value":
        return verdict
    number = torch.as_tensor(answer).reshape(-1)[0].item()
    named = (told for told, wrong in exercise.wrong.items() if abs(number - wrong) <= 0.01 * abs(wrong))
    return Verdict.wrong(next(named, f"It is another number. {_hint(exercise)}"))


# --- E8.3, a step of leapfrog's other form ---------------------------------------------------------------------------


def _drift_kick_drift(force, q, p, h):
    q = q + h / 2 * p
    p = p + h * force(q)
    return q + h / 2 * p, p


def _leapfrog(force, q, p, h):
    p = p + h / 2 * force(q)
    q = q + h * p
    return q, p + h / 2 * force(q)


def _whole_drifts(force, q, p, h):
    q = q + h * p
    p = p + h * force(q)
    return q + h * p, p


def _half_kick(force, q, p, h):
    q = q + h / 2 * p
    p = p + h / 2 * force(q)
    return q + h / 2 * p, p


def _old_force(force, q, p, h):
    kicked = p + h * force(q)
    return q + h / 2 * (p + kicked), kicked


def _old_momentum(force, q, p, h):
    return q + h * p, p + h * force(q + h / 2 * p)


def _symplectic_euler(force, q, p, h):
    p = p + h * force(q)
    return q + h * p, p


def _other_symplectic_euler(force, q, p, h):
    q = q + h * p
    return q, p + h * force(q)


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


# --- E8.4, what drift–kick–drift conserves --------------------------------------------------------------------------


def _invariant(q, p, omega, h):
    return p**2 * (1 - h**2 * omega**2 / 4) + omega**2 * q**2


def _true_energy(q, p, omega, h):
    return (p**2 + omega**2 * q**2) / 2


def _plus_sign(q, p, omega, h):
    return p**2 * (1 + h**2 * omega**2 / 4) + omega**2 * q**2


def _h_once(q, p, omega, h):
    return p**2 * (1 - h * omega / 4) + omega**2 * q**2


def _h_not_squared(q, p, omega, h):
    return p**2 * (1 - h * omega**2 / 4) + omega**2 * q**2


def _no_quarter(q, p, omega, h):
    return p**2 * (1 - h**2 * omega**2) + omega**2 * q**2


def _of_q(q, p, omega, h):
    return p**2 + omega**2 * q**2 * (1 - h**2 * omega**2 / 4)


def _nothing(q, p, omega, h):
    return 0 * q + 1.0


@cache
def _walks(omega, h, steps=200):
    """Drift–kick–drift on q″ = −ω²q from five starts: q and p, (5, steps + 1) each."""
    q = torch.tensor([1.0, 0.0, 0.5, -1.5, 2.0], dtype=torch.float64)
    p = torch.tensor([0.0, 1.0, -1.0, 0.7, 3.0], dtype=torch.float64)
    path = [(q, p)]
    for _ in range(steps):
        path.append(_drift_kick_drift(lambda q: -(omega**2) * q, *path[-1], h))
    return tuple(torch.stack(x, 1) for x in zip(*path, strict=True))


def _is_invariant(answer, exercise):
    """Whether a function is conserved along the method's paths, tells them apart, and has its extremum at rest."""
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
        told = (
            f"Along the paths of drift–kick–drift it varies, by up to {worst:.2g} of its differences between the paths."
        )
        return Verdict.wrong(f"{told} {named or _hint(exercise)}")
    for value in found:
        above = value[:-1] - value[-1]
        if not ((above > 0).all() or (above < 0).all()):
            return Verdict.wrong(f"It is conserved, but must be positive definite for hω < 2. {_hint(exercise)}")
    return Verdict.right("Kick–drift–kick keeps another ellipse; both become hyperbolas beyond hω = 2.")


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


# --- E8.5, sparse regression for several outputs ---------------------------------------------------------------------


def _fitted(library, target, kept):
    """Least squares of each output by its own terms, `kept` (terms, outputs)."""
    coefficients = library.new_zeros(kept.shape)
    for j in range(target.shape[1]):
        own = kept[:, j]
        if own.any():
            coefficients[own, j] = torch.linalg.lstsq(library[:, own], target[:, j, None]).solution[:, 0]
    return coefficients


def _all(library, target):
    return torch.ones(library.shape[1], target.shape[1], dtype=torch.bool)


def _until_nothing_changes(library, target, large):
    """`large` says which coefficients may stay."""
    kept = _all(library, target)
    while True:
        coefficients = _fitted(library, target, kept)
        still = kept & large(coefficients)
        if (still == kept).all():
            return coefficients
        kept = still


def _stlsq(library, target, threshold):
    return _until_nothing_changes(library, target, lambda c: c.abs() >= threshold)


def _common(library, target, threshold):
    """A term stays, for all outputs, while it is large in one."""
    return _until_nothing_changes(library, target, lambda c: (c.abs() >= threshold).any(1, keepdim=True))


def _common_to_all(library, target, threshold):
    """A term goes, for all outputs, when it is small in one."""
    return _until_nothing_changes(library, target, lambda c: (c.abs() >= threshold).all(1, keepdim=True))


def _common_norm(library, target, threshold):
    return _until_nothing_changes(library, target, lambda c: c.norm(dim=1, keepdim=True) >= threshold)


def _signed(library, target, threshold):
    return _until_nothing_changes(library, target, lambda c: c >= threshold)


def _least_squares(library, target, threshold):
    return _fitted(library, target, _all(library, target))


def _not_again(library, target, threshold):
    coefficients = _least_squares(library, target, threshold)
    return torch.where(coefficients.abs() >= threshold, coefficients, 0)


def _one_round(library, target, threshold):
    return _fitted(library, target, _least_squares(library, target, threshold).abs() >= threshold)


def _regressions():
    """Two with correlated columns, where a second round throws out what the first left; one with an empty output."""
    draw = torch.Generator().manual_seed(SEED)
    cases = []
    for true in (
        [[0.0, -1.0, 0.0, 0.6, 0.0, 0.0], [0.8, 0.0, 0.0, -0.5, 0.0, 0.0]],
        [[1.2, 0.0, -0.7, 0.0, 0.0, 0.0], [0.0, 0.0, 0.9, 0.0, 0.0, -0.6], [0.0, 0.7, 0.0, 0.0, 0.5, 0.0]],
    ):
        x = torch.randn(40, 6, generator=draw, dtype=torch.float64)
        library = (x + 1.2 * x[:, :1]) * torch.tensor([1.0, 1.0, 0.2, 1.0, 0.2, 1.0], dtype=torch.float64)
        noise = torch.randn(40, len(true), generator=draw, dtype=torch.float64)
        cases.append((library, library @ torch.tensor(true, dtype=torch.float64).T + 0.5 * noise, 0.25))
    some = torch.stack([2 * library[:, 1], 0 * library[:, 1]], 1)
    return [*cases, (library, some + 0.01 * noise[:, :2], 0.5)]


# --- E8.6, a shift by Fourier coefficients ---------------------------------------------------------------------------


def _turned(u, s):
    """rfft of the samples, mode k turned by −ks."""
    c = torch.fft.rfft(u)
    return c * torch.exp(-1j * s * torch.arange(len(c), dtype=u.dtype))


def _shift(u, s):
    return torch.fft.irfft(_turned(u, s), n=len(u))


def _to_the_left(u, s):
    return _shift(u, -s)


def _whole_samples(u, s):
    return u.roll(round(s * len(u) / (2 * math.pi)))


def _whole_samples_below(u, s):
    return u.roll(int(s * len(u) / (2 * math.pi)))


def _line_between(u, s):
    at = s * len(u) / (2 * math.pi)
    below = math.floor(at)
    return (below + 1 - at) * u.roll(below) + (at - below) * u.roll(below + 1)


def _all_forward(u, s):
    c = torch.fft.fft(u) * torch.exp(-1j * s * torch.arange(len(u), dtype=u.dtype))
    return torch.fft.ifft(c).real


def _one_half(u, s):
    c = torch.fft.fft(u)
    c[len(u) // 2 + 1 :] = 0
    return torch.fft.ifft(c * torch.exp(-1j * s * torch.arange(len(u), dtype=u.dtype))).real


def _mean_twice(u, s):
    return _shift(u, s) + u.mean()


def _times_n(u, s):
    return len(u) * _shift(u, s)


def _over_n(u, s):
    return _shift(u, s) / len(u)


def _in_turns(u, s):
    return _shift(u, 2 * math.pi * s)


def _in_samples(u, s):
    return _shift(u, 2 * math.pi / len(u) * s)


def _waves(size, modes, draw):
    """Samples of a trigonometric polynomial whose highest mode lies below the Nyquist frequency."""
    x = 2 * math.pi * torch.arange(size, dtype=torch.float64) / size
    a, b = torch.randn(2, modes, generator=draw, dtype=torch.float64)
    k = torch.arange(1, modes + 1, dtype=torch.float64)[:, None]
    return 0.7 + a @ (k * x).cos() + b @ (k * x).sin()


def _signals():
    draw = torch.Generator().manual_seed(0)
    return [(_waves(size, modes, draw), s) for size, modes, s in ((16, 5, 0.7), (15, 7, -1.3), (32, 15, 2.5))]


# --- E8.7, finite differences with a free end ------------------------------------------------------------------------


def _second(size, n):
    """−d²/dx² on `size` points that are 1/n apart, with zeros beside the first and the last."""
    ones = torch.ones(size - 1, dtype=torch.float64)
    return n**2 * (2 * torch.eye(size, dtype=torch.float64) - ones.diag(1) - ones.diag(-1))


def _grid(n):
    return torch.linspace(0, 1, n + 1, dtype=torch.float64)


def _with_last(f, n, row, value):
    """u at the points after the first, whose last equation is: `row`, from the end backwards, times u is `value`."""
    matrix, right = _second(n, n), f(_grid(n)[1:]).clone()
    matrix[-1] = 0.0
    for back, weight in enumerate(row, 1):
        matrix[-1, -back] = weight
    right[-1] = value
    return torch.linalg.solve(matrix, right)


def _without_start(f, n):
    return _with_last(f, n, (2.0 * n**2, -2.0 * n**2), f(_grid(n))[-1])


def _after_zero(u):
    return torch.nn.functional.pad(u, (1, 0))


def _solve(f, n):
    return _after_zero(_without_start(f, n))


def _three_points(f, n):
    """As right as `_solve`: a one-sided difference of order two at the end."""
    return _after_zero(_with_last(f, n, (3.0, -4.0, 1.0), 0.0))


def _first_order_end(f, n):
    return _after_zero(_with_last(f, n, (1.0, -1.0), 0.0))


def _whole_interval(f, n):
    return _after_zero(_with_last(f, n, (1.0 * n**2, -1.0 * n**2), f(_grid(n))[-1]))


def _centred_inside(f, n):
    return _after_zero(_with_last(f, n, (1.0, 0.0, -1.0), 0.0))


def _zero_beyond(f, n):
    return _after_zero(torch.linalg.solve(_second(n, n), f(_grid(n)[1:])))


def _fixed_ends(f, n):
    return torch.nn.functional.pad(torch.linalg.solve(_second(n - 1, n), f(_grid(n)[1:-1])), (1, 1))


def _other_way_round(f, n):
    return _solve(lambda x: f(1 - x), n).flip(0)


def _other_sign(f, n):
    return -_solve(f, n)


def _no_square(f, n):
    return n**2 * _solve(f, n)


def _once_h(f, n):
    return n * _solve(f, n)


SIGN = "The sign: it is *minus* u″ that is f."
SQUARE = "The differences must be divided by h²."
ONCE = "Divide by h², not by h."
REPAIRS = {SIGN: lambda u, n: -u, SQUARE: lambda u, n: u / n**2, ONCE: lambda u, n: u / n}
ORDER_TWO = 3.5  # the error of order two is divided by 4 when the step is halved
FINE = 64


def _loads():
    """f and n; not symmetric about the middle, and not zero at the ends."""
    return [(lambda x: x.exp() * (3 * x).cos(), 8), (lambda x: 1 + x**2, 5), (lambda x: 30 * (5 * x).sin(), 20)]


# Solutions with u(0) = 0 and u′(1) = 0, and their f, which is not zero at 1: a lower order there would not be seen.
KNOWN = (
    (lambda x: x * (-x).exp(), lambda x: (2 - x) * (-x).exp()),
    (lambda x: (2 * x).sin() - 2 * math.cos(2) * x, lambda x: 4 * (2 * x).sin()),
)


def _known(answer):
    """An answer's values for the known solutions on FINE / 2 and FINE intervals."""
    return [[call(answer, f, n) for n in (FINE // 2, FINE)] for _, f in KNOWN]


def _error(u, exact, n):
    return (u.detach().double() - exact(_grid(n))).abs().max().item()


def _order(values, repair=lambda u, n: u):
    """The error on FINE intervals, and by how much it is smaller than on half as many; the worst of the loads."""
    errors = [
        [_error(repair(u, n), exact, n) for u, n in zip(pair, (FINE // 2, FINE), strict=True)]
        for pair, (exact, _) in zip(values, KNOWN, strict=True)
    ]
    ratios = [coarse / fine if fine > ROUNDING else math.inf for coarse, fine in errors]
    return max(fine for _, fine in errors), min((x for x in ratios if not math.isnan(x)), default=0.0)


def _solves(answer, exercise):
    """Whether a solver is of order two, by its errors for known solutions; the mistakes are known by their values."""
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

    named = next((sentence for sentence, wrong in exercise.wrong.items() if same(wrong)), None)
    if named:
        return Verdict.wrong(named)
    values = _known(answer)
    sizes = [(u, n) for pair in values for u, n in zip(pair, (FINE // 2, FINE), strict=True)]
    for u, n in [*((u, n) for _, n, u in found), *sizes]:
        if not isinstance(u, Tensor) or u.shape != (n + 1,) or u.is_complex():
            return Verdict.mistyped(f"A real tensor of n + 1 = {n + 1} values is asked for; yours is {_told(u)}.")
    if not all(u.isfinite().all() for u, _ in sizes):
        return Verdict.wrong(f"The values are not finite. {_hint(exercise)}")
    error, ratio = _order(values)
    if ratio >= ORDER_TWO and error < 0.01:
        gain = f"half the step divides the error by {ratio:.1f}" if ratio < math.inf else "no error is left"
        return Verdict.right(f"Off by {error:.1g} on {FINE} intervals; {gain}. Order two, the free end included.")
    for sentence, repair in REPAIRS.items():
        fixed, gain = _order(values, repair)
        if gain >= ORDER_TWO and fixed < 0.01:
            return Verdict.wrong(sentence)
    start = max(u[0].abs().item() for u, _ in sizes)
    if start > ROUNDING:
        return Verdict.wrong(f"u must be 0 at x = 0; yours is {start:.2g} there. {_hint(exercise)}")
    told = "These are other values."
    if 1.7 < ratio < ORDER_TWO and error < 0.1:
        told = f"Half the step divides the error by {ratio:.1f} only, not by 4: look at the end x = 1."
    return Verdict.wrong(f"{told} {_hint(exercise)}")


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
        "A clock that is fast",
        level="compute",
        hints=(
            "One step turns the oscillator by an angle θ with sin(θ/2) = h/2; the true one turns by h.",
            "Leapfrog's frequency is (2/h) asin(h/2), the true one 1: what part of a turn is gained in a period?",
        ),
        check=_is_ahead,
        solution=AHEAD,
        wrong={
            "This is leapfrog's frequency: by how much is it ahead after one true period?": CLOCK,
            "This is the part of a turn that it gains in one true period: how many of them make a whole turn?": CLOCK
            - 1,
            "This is h²/24, the leading term, for one period: take the exact frequency, and a whole turn.": 0.25 / 24,
            "This is the leading term, h²/24, alone: the exact frequency is asked.": 24 / 0.25,
            "Leapfrog is too *fast*, not too slow: asin(h/2) is larger than h/2.": -AHEAD,
            "The angle of a step is 2 asin(h/2), not 2 sin(h/2).": 1 / (4 * math.sin(0.25) - 1),
            "These are leapfrog's own periods, one more than the true ones.": AHEAD + 1,
            "This is a time: a true period is 2π.": 2 * math.pi * AHEAD,
            "These are steps: a true period has 2π/h of them.": 4 * math.pi * AHEAD,
        },
    ),
    Exercise(
        "E8.3",
        "Drift, kick, drift",
        level="derive",
        hints=(
            "The same three moves with the roles exchanged: now the drift is halved, and the force is asked once.",
            "Half a drift with the old p, a whole kick with the force *there*, half a drift with the new p.",
        ),
        check=same_function(_pushes, message="Order 2 and symplectic too, with one force a step."),
        solution=_drift_kick_drift,
        wrong={
            "This is kick–drift–kick, the chapter's: of the right order, but the other form.": _leapfrog,
            "Each drift is *half* a drift, h/2 times p.": _whole_drifts,
            "The kick is a whole one, h times the force: only the drifts are halved.": _half_kick,
            "The kick takes the force at the place *after* the first drift.": _old_force,
            "The second drift takes the momentum *after* the kick.": _old_momentum,
            "This is symplectic Euler, of order 1: drift half, kick, drift half.": _symplectic_euler,
            "This is the other symplectic Euler, of order 1: split its drift in two.": _other_symplectic_euler,
            "This is Euler's method: each move must see what the last one has changed.": _euler,
            "This is a Runge–Kutta method, the explicit midpoint rule: of order 2, but not symplectic.": _midpoint,
            "This is a Runge–Kutta method, Heun's: of order 2, but not symplectic.": _heun,
        },
    ),
    Exercise(
        "E8.4",
        "What the other form conserves",
        level="derive",
        hints=(
            "Try c p² + ω²q²: one step from q = 0, p = 1 makes p = 1 − h²ω²/2; what is q, and which c keeps the value?",
            "From (0, 1) the step leads to q = h(1 − h²ω²/4). Then c (1 − p²) = ω²q², and 1 − p² = h²ω²(1 − h²ω²/4).",
        ),
        check=_is_invariant,
        solution=_invariant,
        wrong={
            "This is the true energy: the method keeps another one, which depends on h.": _true_energy,
            "The sign: the correction makes the weight of p² *smaller*.": _plus_sign,
            "The correction is (hω)²/4, not hω/4: the method is of order 2.": _h_once,
            "h must be squared: hω² is no pure number.": _h_not_squared,
            "The correction is a quarter of (hω)²: the stability limit is hω = 2, not 1.": _no_quarter,
            "This is what kick–drift–kick keeps; for drift–kick–drift the roles of q and p are exchanged.": _of_q,
            "A constant is conserved by everything: it must tell one path from another.": _nothing,
        },
    ),
    Exercise(
        "E8.5",
        "Few terms for each output",
        level="extend",
        hints=(
            "Which terms are kept is now a table (terms, outputs): each output has a column of its own.",
            "For each output alone: least squares on its terms, drop the small ones, until none is dropped any more.",
        ),
        check=same_function(_regressions, rtol=1e-6, message="So each equation of a system gets its own formula."),
        solution=_stlsq,
        wrong={
            "Each output drops its *own* terms: here a term stays for all as long as one output needs it.": _common,
            "Each output drops its *own* terms: here a term goes for all once it is small in one.": _common_to_all,
            "Each output drops its *own* terms: here the norm over the outputs decides for all.": _common_norm,
            "This is plain least squares: no term is dropped.": _least_squares,
            "After terms are dropped, the others must be fitted again.": _not_again,
            "One round is not enough: after the new fit another term can be small.": _one_round,
            "Compare the *size* with the threshold: −1 is not small.": _signed,
        },
    ),
    Exercise(
        "E8.6",
        "Moved by any distance",
        level="derive",
        hints=(
            "Mode k of u(ξ − s): what becomes of exp(ikξ) when ξ − s is put in?",
            "Multiply the coefficient k of `torch.fft.rfft` by exp(−iks); `torch.fft.irfft(c, n=len(u))` goes back.",
        ),
        check=same_function(
            _signals,
            message="Exact between the samples too: diagonal in Fourier, so a spectral convolution can learn it.",
        ),
        solution=_shift,
        wrong={
            "This moves to the left: u(ξ − s) has the factor exp(−iks).": _to_the_left,
            "This moves by whole samples only: s can lie between them.": _whole_samples,
            "These are whole samples, rounded towards zero: s can lie between them.": _whole_samples_below,
            "Lines between the samples are of order two only: turn the Fourier coefficients instead.": _line_between,
            "Beyond N/2 the entries of `fft` are the modes k − N: turn them so, or take `rfft`.": _all_forward,
            "The conjugate half is missing: `fft` has each mode as k and as N − k, `rfft` once.": _one_half,
            "The mean counts once: it has no conjugate.": _mean_twice,
            "A factor N too much: the coefficients are sums over the samples, divide by N once.": _times_n,
            "A factor 1/N too much: `ifft` and `irfft` divide by N themselves.": _over_n,
            "The function lives on [0, 2π): mode k turns by ks, not by 2πks.": _in_turns,
            "s is a distance in ξ, not a number of samples.": _in_samples,
        },
    ),
    Exercise(
        "E8.7",
        "A free end",
        level="extend",
        hints=(
            "At an inner point (−u₋ + 2u − u₊) / h² = f, h = 1/n; u(1) is unknown too, and needs an equation.",
            "A point beyond the end has by u′(1) = 0 the value of the point before: 2(u − u₋) / h² = f(1).",
        ),
        check=_solves,
        solution=_solve,
        wrong={
            "A one-sided difference at the end is of order one: the whole solution is.": _first_order_end,
            "At the end the second difference is 2(u − u₋) / h²: without the 2 it is of order one.": _whole_interval,
            "This puts the slope zero at the last point *but one*: of order one.": _centred_inside,
            "At x = 1 the slope is 0, not u: the value there is unknown.": _fixed_ends,
            "This is zero one step beyond x = 1: the slope is to be 0 there.": _zero_beyond,
            "The ends are exchanged: u(0) = 0 and u′(1) = 0.": _other_way_round,
            SIGN: _other_sign,
            SQUARE: _no_square,
            ONCE: _once_h,
            "The value at x = 0 is missing: add the zero.": _without_start,
        },
    ),
]
exercises = Exercises(EXERCISES)
