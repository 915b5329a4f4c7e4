"""Exercises that answer back: two hints, an instant verdict that names the likely mistake, never a traceback.

    exercises["E1.1"].check(midpoint_step)      # a verdict, shown under the cell
    exercises["E1.1"].hint(1)

An answer that runs for ever is stopped like every cell, by the button ■ or *Kernel → Interrupt*.

A chapter declares its exercises in its folder, ``helpers/chapters/``, each with its solution and the wrong answers that
students are likely to give. The same wrong answers serve twice: the check recognises them, and a test sees
that it does.
"""

from __future__ import annotations

import copy
import html
import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LEVELS = ("recall", "compute", "derive", "extend")
NOT_STARTED, MISTYPED, WRONG, RIGHT = "not started", "wrong type or shape", "wrong value", "right"
RAISED = "raised an exception"
ICONS = {NOT_STARTED: "○", MISTYPED: "△", RAISED: "!", WRONG: "✗", RIGHT: "✓"}
COLOURS = {NOT_STARTED: "#6b7280", MISTYPED: "#b45309", RAISED: "#b45309", WRONG: "#b3261e", RIGHT: "#1b7f3b"}
HERE = Path(__file__).resolve().parent
NO_RETURN = "Your function returns None: is there a return?"


@dataclass(frozen=True)
class Verdict:
    """The answer of a check: one of five kinds, and a sentence for the student. True if right.

    Attributes:
        kind: ``"not started"``, ``"wrong type or shape"``, ``"raised an exception"``, ``"wrong value"`` or
            ``"right"``.
        message: what to do about it.
    """

    kind: str
    message: str

    def __post_init__(self) -> None:
        if self.kind not in ICONS:
            raise ValueError(f"Verdict: kind must be one of {', '.join(ICONS)}; got {self.kind!r}")

    @classmethod
    def not_started(
        cls, message: str = "Write your answer in place of the dots, run the cell, then check again."
    ) -> Verdict:
        """The student's cell still holds its stub."""
        return cls(NOT_STARTED, message)

    @classmethod
    def mistyped(cls, message: str) -> Verdict:
        """The answer is of a kind, or has a shape, that cannot be right."""
        return cls(MISTYPED, message)

    @classmethod
    def raised(cls, message: str) -> Verdict:
        """The student's code ended with an exception, or could not be used at all."""
        return cls(RAISED, message)

    @classmethod
    def wrong(cls, message: str) -> Verdict:
        """The value is wrong; `message` names the likely mistake."""
        return cls(WRONG, message)

    @classmethod
    def right(cls, message: str = "Well done.") -> Verdict:
        """The answer is right."""
        return cls(RIGHT, message)

    def __bool__(self) -> bool:
        return self.kind == RIGHT

    def __repr__(self) -> str:
        return f"{ICONS[self.kind]} {self.kind}: {self.message}"

    def _repr_html_(self) -> str:
        return (
            f'<div role="status" style="border-left: 4px solid {COLOURS[self.kind]}; padding: .3em .8em">'
            f"<strong>{ICONS[self.kind]} {self.kind}</strong>: {html.escape(self.message)}</div>"
        )


class Hint(str):
    """A hint, shown as Markdown so that its formulas are set."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


class Exercise:
    """One exercise of a chapter.

    Args:
        id: E, chapter and number, ``"E1.1"``: claims have the bare numbers.
        title: a few words.
        level: ``"recall"``, ``"compute"``, ``"derive"`` or ``"extend"``.
        hints: two; the first points the way, the second goes most of it.
        check: ``check(answer, exercise)`` returns a `Verdict`: one of `same_number`, `same_option` and
            `same_function`, or a function of the chapter's own. It may let exceptions of the student's code
            through.
        solution: an answer that is right.
        wrong: likely wrong answers, at least two, by the sentence that names the mistake; the check's verdict
            on each must contain that sentence.

    Raises:
        ValueError: the declaration is incomplete; the text names the exercise and the argument.
    """

    def __init__(
        self,
        id: str,
        title: str,
        *,
        level: str,
        hints: Sequence[str],
        check: Callable[[Any, Exercise], Verdict],
        solution: Any,
        wrong: Mapping[str, Any],
    ):
        if not (isinstance(id, str) and re.fullmatch(r"E\d+\.\d+", id)):
            raise ValueError(f"Exercise: id must be E, chapter and number, such as 'E1.1'; got {id!r}")
        if not (isinstance(title, str) and title.strip()):
            raise ValueError(f"Exercise {id}: title must not be empty; got {title!r}")
        if level not in LEVELS:
            raise ValueError(f"Exercise {id}: level must be one of {', '.join(LEVELS)}; got {level!r}")
        if isinstance(hints, str) or len(hints) != 2 or not all(isinstance(h, str) and h.strip() for h in hints):
            raise ValueError(f"Exercise {id}: hints must be two sentences; got {hints!r}")
        if not callable(check):
            raise ValueError(f"Exercise {id}: check must be a function of the answer and the exercise; got {check!r}")
        if not (isinstance(wrong, Mapping) and len(wrong) >= 2):
            raise ValueError(f"Exercise {id}: wrong must name at least two likely mistakes; got {wrong!r}")
        self.id, self.title, self.level, self.hints = id, title, level, tuple(hints)
        self.solution, self.wrong, self._check = solution, dict(wrong), check

    def __repr__(self) -> str:
        return f"Exercise {self.id} ({self.level}): {self.title}"

    def hint(self, number: int) -> Hint:
        """Hint 1 or 2.

        Raises:
            Unknown: there is no such hint.
        """
        if number not in (1, 2):
            raise Unknown(f"Exercise {self.id} has hint(1) and hint(2), not hint({number!r}).")
        return Hint(f"**Hint {number} of 2.** {self.hints[number - 1]}")

    def folded_hints(self) -> str:
        """Both hints as Markdown, each folded until the reader opens it; no kernel is needed for that."""
        hints = enumerate(self.hints, 1)
        return "\n".join(f"<details><summary>Hint {n} of 2</summary>\n\n{hint}\n\n</details>" for n, hint in hints)

    def check(self, answer: Any) -> Verdict:
        """Judge an answer. Whatever the answer is or does, even if it calls `exit`, a verdict comes back.

        Only the reader's own interruption, KeyboardInterrupt, ends it otherwise.
        """
        if _is_blank(answer):
            return Verdict.not_started()
        try:
            verdict = self._check(answer, self)
        except NotImplementedError:
            return Verdict.not_started()
        except _Blank as blank:
            return Verdict.not_started() if blank.stub else Verdict.mistyped(NO_RETURN)
        except (Exception, SystemExit) as error:
            return Verdict.raised(_blame(error))
        if not isinstance(verdict, Verdict):
            return Verdict.mistyped(f"The check of exercise {self.id} gave no verdict: the fault is ours, not yours.")
        return verdict


def call(function: Callable, *arguments: Any) -> Any:
    """Call a student's function (or layer) on copies of `arguments`; a check uses this, never a bare call.

    Returns:
        What the function returns.

    Raises:
        _Blank: the function is still a stub; `Exercise.check` turns this into *not started*.
        Exception: whatever the function raises; `Exercise.check` turns it into a verdict.
    """
    result = function(*(_copied(a) for a in arguments))
    if _is_blank(result):
        raise _Blank(stub=result is ... or _is_stub(function))
    return result


class Unknown(LookupError):
    """There is no such exercise, or hint: on a notebook's page its sentence alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class Exercises(dict):
    """The exercises of a chapter, by their ids.

    Raises:
        Unknown: one is asked for that is not there; the text says which there are.
    """

    def __init__(self, exercises: Iterable[Exercise]):
        super().__init__({exercise.id: exercise for exercise in exercises})

    def __missing__(self, id: str) -> Exercise:
        raise Unknown(f"There is no exercise {id!r}; there are {', '.join(map(repr, self))}.")


def same_number(*, tol: float, message: str = "Well done.") -> Callable[[Any, Exercise], Verdict]:
    """A check of a number, or an array of numbers, against the solution, to the absolute tolerance `tol`.

    The exercise's wrong answers are numbers (or arrays) too and are recognised within the same tolerance.
    """

    def check(answer: Any, exercise: Exercise) -> Verdict:
        if told := _type_or_shape(answer, exercise.solution, "your answer"):
            return Verdict.mistyped(told)
        if _close(answer, exercise.solution, 0.0, tol):
            return Verdict.right(message)
        return _name_mistake(exercise, lambda wrong: _close(answer, wrong, 0.0, tol), _off(answer, exercise.solution))

    return check


def same_option(options: Iterable[str], *, message: str = "Well done.") -> Callable[[Any, Exercise], Verdict]:
    """A check of a multiple choice: the answer is one of `options`; capitals, spaces and (brackets) do not matter."""
    options = [str(o) for o in options]

    def check(answer: Any, exercise: Exercise) -> Verdict:
        if not isinstance(answer, str) or _plain(answer) not in map(_plain, options):
            return Verdict.mistyped(
                f"The answer is one of {', '.join(map(repr, options))}, and nothing else; yours is {_brief(answer)}."
            )
        if _plain(answer) == _plain(exercise.solution):
            return Verdict.right(message)
        return _name_mistake(exercise, lambda wrong: _plain(answer) == _plain(wrong), "That is not it.")

    return check


def same_function(
    inputs: Sequence[tuple] | Callable[[], Sequence[tuple]],
    *,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    message: str = "Well done.",
) -> Callable[[Any, Exercise], Verdict]:
    """A check of a function against the solution, by calling both.

    The exercise's wrong answers are functions too; a mistake is named when the answer agrees with it on all
    inputs.

    Args:
        inputs: argument tuples, or a function that makes them (so that importing the exercises costs
            nothing).
        rtol: relative tolerance of every entry of the result.
        atol: absolute tolerance.
        message: what the student reads when it is right.
    """

    def check(answer: Any, exercise: Exercise) -> Verdict:
        if not callable(answer):
            return Verdict.mistyped(f"A function is asked for; yours is {_brief(answer)}.")
        cases = list(inputs() if callable(inputs) else inputs)
        results = [call(answer, *case) for case in cases]
        expected = [call(exercise.solution, *case) for case in cases]
        for result, wanted in zip(results, expected, strict=True):
            if told := _type_or_shape(result, wanted, "your function's result"):
                return Verdict.mistyped(told)
        if _close(results, expected, rtol, atol):
            return Verdict.right(message)

        def is_mistake(wrong: Callable) -> bool:
            return _close(results, [call(wrong, *case) for case in cases], rtol, atol)

        off = next(i for i, (r, w) in enumerate(zip(results, expected, strict=True)) if not _close(r, w, rtol, atol))
        return _name_mistake(
            exercise, is_mistake, f"On test {off + 1} of {len(cases)}: {_off(results[off], expected[off])}"
        )

    return check


def _documented():
    """Does nothing either."""


IDLE = {idle.__code__.co_code for idle in (lambda: None, _documented)}


class _Blank(Exception):
    """A function gave nothing: a stub, or one without a return."""

    def __init__(self, *, stub: bool):
        self.stub = stub


def _is_stub(function: Any) -> bool:
    """Whether a function, or a layer's forward, does as little as ``...`` or ``pass`` does."""
    forward = getattr(type(function), "forward", None) or getattr(function, "forward", function)
    code = getattr(forward, "__code__", None)
    return code is not None and code.co_code in IDLE



def _is_blank(answer: Any) -> bool:
    return answer is None or answer is ...


def _name_mistake(exercise: Exercise, is_mistake: Callable[[Any], bool], otherwise: str) -> Verdict:
    named = next((sentence for sentence, wrong in exercise.wrong.items() if is_mistake(wrong)), None)
    return Verdict.wrong(named or f"{otherwise} A hint may help: exercises[{exercise.id!r}].hint(1).")


def _copied(argument: Any) -> Any:
    """A copy, so that a student's function that works in place spoils nothing but its own."""
    try:
        return copy.deepcopy(argument)
    except Exception:  # such as a tensor inside a graph
        return argument


def _array(value: Any) -> np.ndarray:
    """`value` as a numpy array; torch tensors come along without torch being imported."""
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def _type_or_shape(answer: Any, wanted: Any, what: str) -> str:
    """What is wrong with the type or the shape of `answer`, in a sentence; empty if nothing is."""
    if isinstance(wanted, tuple | list):
        if not isinstance(answer, tuple | list):
            return f"A tuple of {len(wanted)} is asked for; {what} is {_brief(answer)}."
        if len(answer) != len(wanted):
            return f"A tuple of {len(wanted)} is asked for; {what} has {len(answer)} entries."
        pairs = zip(answer, wanted, strict=True)
        return next(
            (told for i, (a, w) in enumerate(pairs) if (told := _type_or_shape(a, w, f"entry {i} of {what}"))),
            "",
        )
    number = isinstance(wanted, bool | int | float | complex | np.number)
    if _is_blank(answer) or isinstance(answer, str) or callable(answer):
        return f"{'A number' if number else 'An array'} is asked for; {what} is {_brief(answer)}."
    if hasattr(wanted, "detach") and not hasattr(answer, "detach"):
        return f"A tensor is asked for; {what} is {_brief(answer)}."
    values = _array(answer)
    if values.dtype.kind not in "biufc":
        return f"{'A number' if number else 'An array of numbers'} is asked for; {what} is {_brief(answer)}."
    if values.shape != np.shape(_array(wanted)) and not (number and values.size == 1):
        shape = np.shape(_array(wanted))
        return (
            f"The shape {shape} is asked for; {what} has the shape {values.shape}."
            if shape
            else (f"A single number is asked for; {what} has the shape {values.shape}.")
        )
    return ""


def _close(answer: Any, wanted: Any, rtol: float, atol: float) -> bool:
    if isinstance(wanted, tuple | list):
        return all(_close(a, w, rtol, atol) for a, w in zip(answer, wanted, strict=True))
    a, w = _array(answer), _array(wanted)
    return a.size == w.size and bool(np.allclose(a.reshape(w.shape), w, rtol=rtol, atol=atol))


def _off(answer: Any, wanted: Any) -> str:
    """How far off an answer of the right shape is, without giving the right one away."""
    if isinstance(wanted, tuple | list):
        return next(_off(a, w) for a, w in zip(answer, wanted, strict=True) if not _close(a, w, 1e-12, 0.0))
    a, w = _array(answer).ravel(), _array(wanted).ravel()
    if not np.all(np.isfinite(a)):
        return "the result is not finite."
    distance, size = np.abs(a - w).max(), np.abs(w).max()
    percent = 100 * distance / size if size else 0.0
    share = f"{_rounded(percent)} % of it" if 0 < percent < 1e4 else f"{distance:.2g}"
    return f"the value differs from the right one by {share}."


def _rounded(number: float) -> str:
    """Two digits as people write them, 300 and not 3e+02."""
    return f"{number:.2g}" if number < 99.5 else f"{float(f'{number:.2g}'):.0f}"


def _blame(error: BaseException) -> str:
    """What went wrong in the student's code, with its line; or that the check could not use the answer."""
    told = ": ".join(filter(None, (type(error).__name__, _text(error))))
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if "ipykernel" in f.filename or f.filename.startswith("<")]
    if theirs:
        line = f", in “{theirs[-1].line}”" if theirs[-1].line else ""
        return f"Your code stops at line {theirs[-1].lineno} of {theirs[-1].name}{line}. {told}"
    return f"The check could not use your answer. {told}"


def _text(error: BaseException) -> str:
    try:
        return re.sub(r"[\w.]*<locals>\.", "", str(error))  # where a function was defined helps nobody
    except Exception:  # a student's own exception can be as broken as any other answer
        return ""


def _plain(text: str) -> str:
    return " ".join(str(text).split()).strip("(). ").casefold()


def _brief(value: Any) -> str:
    """A value in a few words: its type, and the value itself if it is short."""
    if callable(value):
        return f"a function ({getattr(value, '__name__', type(value).__name__)})"
    shown = repr(value)
    return (
        f"{shown} ({type(value).__name__})" if len(shown) <= 40 and "\n" not in shown else f"a {type(value).__name__}"
    )
