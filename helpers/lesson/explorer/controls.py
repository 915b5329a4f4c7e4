"""The controls of an explorer: sliders, choices and toggles, each a finite list of values with their texts.

Every control, the finest slider included, is a list of values fixed when it is declared. The browser only
sends positions in that list, so both sides agree on each value to the last bit, and the formatting of numbers
and units lives in one place.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

MOST_VALUES = 2001  # more positions than a screen has pixels


class Control:
    """What the three controls have in common; not used on its own.

    Attributes:
        name: the keyword under which ``update`` gets the value.
        label: what the reader sees beside the control.
        values: every value the control can take, in order.
        texts: what the reader sees and hears for each value, unit included.
        start: the value at the beginning.
        live_only: on a page without a kernel the control is fixed at its start value.
    """

    kind: str
    name: str
    label: str
    values: list
    texts: list[str]
    start: Any
    live_only: bool

    def _check_words(self) -> None:
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise ValueError(f"{type(self).__name__}: name must be a Python identifier; got {self.name!r}")
        if not (isinstance(self.label, str) and self.label.strip()):
            raise ValueError(f"{self}: label must say in words what the control changes; got {self.label!r}")

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.name!r}"

    def position(self, value: Any) -> int:
        """Position of `value` in the list of values.

        Raises:
            ValueError: the control cannot take this value.
        """
        for i, known in enumerate(self.values):
            if _same(known, value):
                return i
        raise ValueError(f"{self} cannot be {value!r}; it goes through {_brief(self.values)}")

    def text(self, value: Any) -> str:
        """What the reader sees and hears for `value`."""
        return self.texts[self.position(value)]

    def driven(self) -> list:
        """The values that a test visits: both ends of a slider, every option of a choice."""
        return list(self.values)

    def static_values(self) -> list:
        """The values that a page without a kernel offers."""
        return [self.start] if self.live_only else list(self.values)

    def front_end(self) -> dict:
        """What the browser needs to show the control."""
        return {
            "kind": self.kind,
            "name": self.name,
            "label": self.label,
            "texts": self.texts,
            "start": self.position(self.start),
        }

    def record(self) -> dict:
        """What the explorer's record says about the control."""
        return {
            "kind": self.kind,
            "name": self.name,
            "label": self.label,
            "start": self.start,
            "live_only": self.live_only,
            "static": self.static_values(),
        }


@dataclass(frozen=True, eq=False)
class Slider(Control):
    """A number that the reader slides; passed on as int where `min`, `max` (and a linear `step`) are ints.

    Args:
        name: the keyword under which ``update`` gets the value.
        label: what the reader sees, such as ``"steps n"``.
        min: first value.
        max: last value.
        start: value at the beginning.
        step: linear: the distance of neighbours (1 for ints, else about a hundredth of the range).
            log: the *factor* between neighbours (about 1.12 if not given; 2 gives 1, 2, 4, …).
        unit: printed and spoken after the number.
        scale: ``"linear"`` or ``"log"``.
        grid: how many values, or which, a page without a kernel offers; the start value is always one of
            them.
        live_only: on such a page the slider is fixed at `start`.

    Raises:
        ValueError: the declaration contradicts itself; the text names the slider and what is allowed.
    """

    name: str
    _: KW_ONLY
    label: str
    min: float
    max: float
    start: float
    step: float | None = None
    unit: str = ""
    scale: str = "linear"
    grid: int | Sequence[float] = 9
    live_only: bool = False
    values: list = field(init=False, repr=False)
    texts: list = field(init=False, repr=False)
    kind = "slider"

    def __post_init__(self) -> None:
        self._check_words()
        for what in ("min", "max", "start", "step"):
            object.__setattr__(self, what, _plain(getattr(self, what)))
        for what in ("min", "max", "start"):
            if not _is_number(getattr(self, what)):
                raise ValueError(f"{self}: {what} must be a finite number; got {getattr(self, what)!r}")
        if not self.min < self.max:
            raise ValueError(f"{self}: min must be below max, got min={self.min}, max={self.max}")
        if not self.min <= self.start <= self.max:
            raise ValueError(f"{self}: start={self.start} lies outside min={self.min} … max={self.max}")
        if self.scale not in ("linear", "log"):
            raise ValueError(f"{self}: scale must be 'linear' or 'log'; got {self.scale!r}")
        values = self._log_values() if self.scale == "log" else self._linear_values()
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "texts", [_written(v) + (f" {self.unit}" if self.unit else "") for v in values])
        object.__setattr__(self, "start", values[self.position(self.start)])
        self.static_values()  # a grid that cannot be is an error now, not when the page is built

    def _linear_values(self) -> list:
        whole = all(isinstance(v, int) for v in (self.min, self.max, self.start)) and isinstance(self.step, int | None)
        step = self.step if self.step is not None else 1 if whole else _nice_step(self.max - self.min)
        if not (_is_number(step) and step > 0):
            raise ValueError(f"{self}: step must be a positive number; got {step!r}")
        count = round((self.max - self.min) / step)
        self._check_count(count + 1)
        if not math.isclose(count * step, self.max - self.min, rel_tol=1e-9):
            raise ValueError(f"{self}: steps of {step} from min={self.min} do not reach max={self.max}")
        values = [self.min + i * step if whole else _tidy(self.min + i * step, 12) for i in range(count + 1)]
        if not any(_same(v, self.start) for v in values):
            raise ValueError(f"{self}: start={self.start} is not a whole number of steps of {step} from min={self.min}")
        return values

    def _log_values(self) -> list:
        if self.min <= 0:
            raise ValueError(f"{self}: a log scale needs min > 0, got min={self.min}")
        factor = self.step if self.step is not None else 10 ** (1 / 20)
        if not (_is_number(factor) and factor > 1):
            raise ValueError(f"{self}: on a log scale step is the factor between neighbours, above 1; got {factor!r}")
        whole = all(isinstance(v, int) for v in (self.min, self.max, self.start))
        count = math.ceil(math.log(self.max / self.min) / math.log(factor) - 1e-9)
        self._check_count(count + 1)
        inner = [self.min * factor**i for i in range(1, count)]
        inner = [round(v) if whole else _tidy(v, 3) for v in inner]
        # Rounding makes neighbours meet at the low end of whole numbers; the ends and the start stay as
        # declared.
        values = sorted(
            {v for v in inner if self.min < v < self.max and not _same(v, self.start)}
            | {self.min, self.max, self.start}
        )
        return values if whole else [float(v) for v in values]

    def _check_count(self, count: int) -> None:
        if count > MOST_VALUES:
            raise ValueError(f"{self}: {count} positions are more than {MOST_VALUES}; use a larger step")

    def driven(self) -> list:
        """Both ends."""
        return [self.values[0], self.values[-1]]

    def static_values(self) -> list:
        """`grid` values spread evenly over the slider's length, or those listed, with `start` among them."""
        if self.live_only:
            return [self.start]
        if isinstance(self.grid, Iterable):
            return [self.values[i] for i in sorted({self.position(v) for v in (*self.grid, self.start)})]
        if isinstance(self.grid, bool) or not isinstance(self.grid, numbers.Integral) or self.grid < 2:
            raise ValueError(f"{self}: grid must be at least 2 values, or a list of values; got {self.grid!r}")
        count, last = min(self.grid, len(self.values)), len(self.values) - 1
        positions = {round(i * last / (count - 1)) for i in range(count)}
        start = self.position(self.start)
        if start not in positions:  # its nearest neighbour gives way, so that the count and both ends stay
            positions.discard(min(positions - {0, last}, key=lambda i: abs(i - start), default=None))
            positions.add(start)
        return [self.values[i] for i in sorted(positions)]

    def record(self) -> dict:
        """As for every control, and the range."""
        return {
            **super().record(),
            "unit": self.unit,
            "min": self.min,
            "max": self.max,
            "scale": self.scale,
            "positions": len(self.values),
        }


@dataclass(frozen=True, eq=False)
class Choice(Control):
    """One of several named options.

    Args:
        name: the keyword under which ``update`` gets the value.
        label: what the reader sees, such as ``"solver"``.
        options: a list of values, or a mapping from values to the words that the reader sees.
        start: value at the beginning; the first option if not given.
        live_only: on a page without a kernel the choice is fixed at `start`.

    Raises:
        ValueError: fewer than two options, two alike, or an unknown `start`.
    """

    name: str
    _: KW_ONLY
    label: str
    options: Sequence | Mapping
    start: Any = None
    live_only: bool = False
    values: list = field(init=False, repr=False)
    texts: list = field(init=False, repr=False)
    kind = "choice"

    def __post_init__(self) -> None:
        self._check_words()
        if isinstance(self.options, str) or not isinstance(self.options, Iterable):
            raise ValueError(f"{self}: options must be a list of values or a mapping to words; got {self.options!r}")
        named = self.options if isinstance(self.options, Mapping) else {v: str(v) for v in self.options}
        if len(named) < 2 or len(named) != len(self.options) or len(set(named.values())) != len(named):
            raise ValueError(f"{self}: options must be at least two, all different; got {self.options!r}")
        object.__setattr__(self, "values", list(named))
        object.__setattr__(self, "texts", [str(text) for text in named.values()])
        if self.start is None and None not in named:
            object.__setattr__(self, "start", self.values[0])
        self.position(self.start)


@dataclass(frozen=True, eq=False)
class Toggle(Control):
    """A checkbox; ``update`` gets True or False.

    Args:
        name: the keyword under which ``update`` gets the value.
        label: what the reader sees, such as ``"tied weights"``.
        start: value at the beginning.
        words: what False and True are called in the alt text.
        live_only: on a page without a kernel the checkbox is fixed at `start`.

    Raises:
        ValueError: `start` is not a bool, or `words` are not two different words.
    """

    name: str
    _: KW_ONLY
    label: str
    start: bool = False
    words: tuple[str, str] = ("off", "on")
    live_only: bool = False
    values: list = field(init=False, repr=False)
    texts: list = field(init=False, repr=False)
    kind = "toggle"

    def __post_init__(self) -> None:
        self._check_words()
        if not isinstance(self.start, bool):
            raise ValueError(f"{self}: start must be True or False; got {self.start!r}")
        if len(self.words) != 2 or self.words[0] == self.words[1]:
            raise ValueError(f"{self}: words must be two different words, for False and True; got {self.words!r}")
        object.__setattr__(self, "values", [False, True])
        object.__setattr__(self, "texts", [str(word) for word in self.words])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: Any) -> Any:
    """A number of numpy's or torch's as Python's own."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _same(a: Any, b: Any) -> bool:
    a, b = _plain(a), _plain(b)
    if _is_number(a) and _is_number(b):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return type(a) is type(b) and a == b


def _tidy(value: float, digits: int) -> float:
    """`value` without the last bits that 0.1 + 0.2 leaves behind."""
    return float(f"{value:.{digits}g}") + 0.0


def _nice_step(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most a hundredth of `length` and divides it."""
    power = 10.0 ** math.floor(math.log10(length / 100))
    for step in (5 * power, 2 * power, power):
        if step <= length / 100 * (1 + 1e-9) and math.isclose(round(length / step) * step, length, rel_tol=1e-9):
            return step
    return length / 100


def _written(value: float) -> str:
    """A number as the reader sees it: `20`, `0.25`, `−1.5`, `1e−5`."""
    text = str(value) if isinstance(value, int) else f"{value:.6g}"
    mantissa, _, exponent = text.partition("e")
    return (mantissa + (f"e{int(exponent)}" if exponent else "")).replace("-", "\N{MINUS SIGN}")


def _brief(values: list) -> str:
    shown = [repr(v) for v in values] if len(values) <= 12 else [*map(repr, values[:3]), "…", repr(values[-1])]
    return ", ".join(shown)
