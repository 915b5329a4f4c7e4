"""Executable claims: a statement from the literature, checked in the cell that makes it.

    claim("1.3", "A trained tied ResNet, refined without retraining, converges at the order of its scheme",
          source="Zhao et al. 2026, Eq. 2", kind="observation", measured=slope, expected=1.0, tol=0.1)

prints one line, or on a notebook's page a small block beside it, with the source,

    ✓ 1.3 holds · ◇ observation · measured 0.976, expected 1 ± 0.1 · A trained tied ResNet, refined …

and raises `ClaimFailed` when what was measured is not what was declared. A statement that the experiment
contradicts is declared with ``outcome="contradicted"``: then it is an error if it holds.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence

from IPython.display import display

from helpers._page import on_a_page
from helpers.lesson.records import write_record

KINDS = {"theorem": "∎ theorem", "literature": "❝ literature", "observation": "◇ observation"}
OUTCOMES = {"holds": "✓", "contradicted": "≠"}
COLOURS = {"holds": "#1b7f3b", "contradicted": "#b45309"}
ROUNDING = 1e-6  # a bound this small asks whether two numbers agree up to rounding: its digits are noise
NOISE = 1e-10  # a measured value this small is rounding itself
DIGITS = 4  # more digits than these do not survive another processor

_statements: dict[str, str] = {}  # of this kernel, by id


class ClaimFailed(AssertionError):
    """The declared outcome is not what was measured."""


def claim(
    id: str,
    statement: str,
    *,
    source: str,
    kind: str = "theorem",
    measured,
    expected=None,
    at_most=None,
    at_least=None,
    tol=None,
    outcome: str = "holds",
    digits: int = DIGITS,
) -> None:
    """Check a statement against a measured value, show the verdict, keep a record.

    Exactly one of `expected`, `at_most` and `at_least` is given. Numbers may be Python's, numpy's or torch's
    (0-d, or sequences of any shape): of a sequence every entry must fulfil the expectation, and the entry
    that comes closest to breaking it is the one printed.

    Args:
        id: chapter and number, ``"1.3"``.
        statement: what is claimed, one sentence.
        source: authors, year, arXiv id, theorem, equation or table.
        kind: ``"theorem"`` (a proved statement, checked numerically), ``"literature"`` (an experimental
            result, reproduced) or ``"observation"`` (our own).
        measured: the measured value or values.
        expected: the expected value (or one for each measured), within `tol`; or True or False.
        at_most: upper bound.
        at_least: lower bound.
        tol: tolerance of `expected`, positive; not for True and False.
        outcome: ``"holds"``, or ``"contradicted"`` where the experiment is meant to contradict the statement.
        digits: significant digits printed, those that are reproducible, at most 4; 0 prints the bound and yes
            or no.

    Raises:
        ClaimFailed: the outcome is not the declared one, or a measured value is not finite.
        ValueError: the call itself is malformed; the text names the argument.
    """
    _check_call(id, statement, source, kind, outcome, digits)
    values = _numbers(id, "measured", measured)
    expectation = _Expectation.of(id, expected, at_most, at_least, tol, len(values))
    if not all(map(math.isfinite, values)):
        raise ClaimFailed(f"claim {id}: measured {_several(values)} is not finite, so nothing was shown: {statement}")
    worst = max(range(len(values)), key=lambda i: expectation.excess(values[i], i))
    holds = expectation.excess(values[worst], worst) <= 0
    found = "holds" if holds else "contradicted"
    told = expectation.told(values[worst], worst, digits, holds) + (
        f" (worst of {len(values)})" if len(values) > 1 else ""
    )
    if found != outcome:
        exact = expectation.told(values[worst], worst, 12, holds, exact=True)
        raise ClaimFailed(
            f"claim {id} was declared {outcome!r}, but what was measured says {found!r}: {exact}. {statement}"
        )
    if _statements.setdefault(id, statement) != statement:
        raise ValueError(f"claim: id {id!r} is taken in this notebook, by the claim: {_statements[id]}")
    _show(f"{OUTCOMES[outcome]} {id} {outcome}", f"{KINDS[kind]} · {told}", statement, source, COLOURS[outcome])
    record = {
        "id": id,
        "chapter": int(id.split(".")[0]),
        "statement": statement,
        "source": source,
        "kind": kind,
        "outcome": outcome,
        "measured": values if len(values) > 1 else values[0],
        **expectation.record(),
        "holds": holds,
        "told": told,
    }
    write_record("claims", id, record)


class _Expectation:
    """One bound for each measured value: within `tol` of it, at most it, or at least it."""

    def __init__(self, how: str, bounds: list, tols: list | None):
        self.how, self.bounds, self.tols = how, bounds, tols

    @classmethod
    def of(cls, id: str, expected, at_most, at_least, tol, count: int) -> _Expectation:
        given = {"expected": expected, "at_most": at_most, "at_least": at_least}
        given = {how: bound for how, bound in given.items() if bound is not None}
        if len(given) != 1:
            names = " and ".join(given) or "none"
            raise ValueError(f"claim {id}: give exactly one of expected, at_most, at_least; got {names}")
        ((how, bound),) = given.items()
        if how != "expected" and tol is not None:
            raise ValueError(f"claim {id}: tol belongs to expected, not to {how}")
        bounds = _spread(id, how, bound, count)
        if how == "expected" and all(isinstance(b, bool) for b in bounds):
            if tol is not None:
                raise ValueError(f"claim {id}: expected={bound!r} needs no tol")
            return cls(how, bounds, [0] * count)
        if how == "expected" and tol is None:
            raise ValueError(f"claim {id}: expected needs tol, how far the measured value may be from it")
        tols = _spread(id, "tol", tol, count) if how == "expected" else None
        if tols and not all(t > 0 for t in tols):
            raise ValueError(f"claim {id}: tol must be positive; got {tol!r}")
        return cls(how, bounds, tols)

    def excess(self, value: float, i: int) -> float:
        """By how much `value` breaks the expectation; at most 0 if it does not."""
        if self.how == "at_most":
            return value - self.bounds[i]
        if self.how == "at_least":
            return self.bounds[i] - value
        off, tol = abs(value - self.bounds[i]), self.tols[i]
        return off / tol - 1 if tol else off

    def told(self, value: float, i: int, digits: int, holds: bool, *, exact: bool = False) -> str:
        """The measured value beside the expectation, or the bare bound where the value is rounding."""
        bound, verdict = _written(self.bounds[i], DIGITS), "yes" if holds else "no"
        if self.how == "expected":
            tol = self.tols[i] or math.inf  # of True and False, which are never rounding
            at_rounding, short = tol <= ROUNDING, f"within {_written(tol, DIGITS)} of {bound}: {verdict}"
            long = f"expected {bound}" + ("" if tol == math.inf else f" ± {_written(tol, DIGITS)}")
        else:
            at_rounding = self.how == "at_most" and self.bounds[i] <= ROUNDING or abs(value) < NOISE
            at_rounding &= isinstance(value, float)  # whole numbers are counted, not rounded
            short = f"{'≤' if self.how == 'at_most' else '≥'} {bound}: {verdict}"
            long = f"expected at {self.how[3:]} {bound}"
        if (at_rounding or digits == 0) and not exact:
            return short
        return f"measured {_written(value, digits)}, {long}"

    def record(self) -> dict:
        """The expectation as it stands in the claim's record."""
        one = len(set(map(repr, self.bounds))) == 1
        tol = None if not self.tols or not self.tols[0] else self.tols[0] if len(set(self.tols)) == 1 else self.tols
        return {"expectation": self.how, "bound": self.bounds[0] if one else self.bounds, "tol": tol}


def _show(verdict: str, told: str, statement: str, source: str, colour: str) -> None:
    """One line where there is no page; on one, beside it, a block whose lines break at words."""
    line = f"{verdict} · {told} · {statement}"
    if not on_a_page():
        print(line)
        return
    verdict, told, statement, source = map(html.escape, (verdict, told, statement, source))
    block = (
        f'<div class="claim" style="border-left: 4px solid {colour}; padding: .3em .8em; '
        f'color: var(--jp-content-font-color1, inherit)"><strong>{verdict}</strong> · {told}<br>{statement}<br>'
        f'<small style="color: var(--jp-content-font-color2, inherit)">{source}</small></div>'
    )
    display({"text/plain": line, "text/html": block}, raw=True)


def _check_call(id, statement, source, kind, outcome, digits) -> None:
    if not (isinstance(id, str) and re.fullmatch(r"\d+\.\d+", id)):
        raise ValueError(f"claim: id must be chapter and number, such as '1.3'; got {id!r}")
    for name, text in (("statement", statement), ("source", source)):
        if not (isinstance(text, str) and text.strip()):
            raise ValueError(f"claim {id}: {name} must not be empty; got {text!r}")
        if "\n" in text:
            raise ValueError(f"claim {id}: {name} must be one line; got {text!r}")
    if kind not in KINDS:
        raise ValueError(f"claim {id}: kind must be one of {', '.join(KINDS)}; got {kind!r}")
    if outcome not in OUTCOMES:
        raise ValueError(f"claim {id}: outcome must be one of {', '.join(OUTCOMES)}; got {outcome!r}")
    if digits not in range(DIGITS + 1):
        raise ValueError(f"claim {id}: digits must be 0 to {DIGITS}; got {digits!r}")


def _numbers(id: str, name: str, given) -> list:
    """`given` as a flat list of Python numbers, whatever library it comes from."""
    plain = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(plain, Sequence) and not isinstance(plain, str) and len(plain):
        return [number for entry in plain for number in _numbers(id, name, entry)]
    if isinstance(plain, int | float):
        return [plain]
    raise ValueError(f"claim {id}: {name} must be a real number or a sequence of them; got {given!r}")


def _spread(id: str, name: str, given, count: int) -> list:
    numbers = _numbers(id, name, given)
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"claim {id}: {name} must be finite; got {given!r}")
    if len(numbers) not in (1, count):
        raise ValueError(f"claim {id}: {len(numbers)} values of {name} for {count} measured")
    return numbers * (count // len(numbers))


def _written(value: float, digits: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    return f"{value + 0.0:.{digits or DIGITS}g}"


def _several(values: list) -> str:
    return (
        _written(values[0], DIGITS) if len(values) == 1 else "[" + ", ".join(_written(v, DIGITS) for v in values) + "]"
    )
