"""A picture with controls, declared once: live in Jupyter, driven by the tests, a still picture when stored.

    def build(fig):                                  # called once: make the artists
        ax = fig.subplots()
        (curve,) = ax.plot(x, np.sin(x))

        def update(k):                               # called at every move: change them in place
            curve.set_ydata(np.sin(k * x))
            return [curve]                           # what moved; None if that is everything
        return update

    Explorer(build, Slider("k", label="frequency k", min=1, max=5, start=2), name="00-sine",
             alt="A sine of frequency {k}", look_for="What to look for: the number of zeros.")

The picture must depend on the parameters alone, not on those shown before: `Explorer.drive` checks it.
"""

from __future__ import annotations

import base64
import math
import numbers
import os
import re
import string
import time
import traceback
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import anywidget
import traitlets
from matplotlib.axes import Axes

from helpers.lesson.explorer import still as kernelless
from helpers.lesson.explorer.ahead import Ahead
from helpers.lesson.explorer.canvas import DPI, Canvas
from helpers.lesson.explorer.controls import Control
from helpers.lesson.explorer.driving import drive
from helpers.lesson.explorer.plane import check_point, plane
from helpers.lesson.explorer.png import encode_fast, encode_small
from helpers.lesson.records import write_record

HERE = Path(__file__).parent
_shown: dict[str, Explorer] = {}  # of this kernel, by name
MOST_FRAMES = 150  # pictures that a page without a kernel can hold for one explorer


class Explorer(anywidget.AnyWidget):
    """A figure with labelled controls beside it.

    Args:
        build: called once as ``build(fig)``; makes the artists and returns ``update(**parameters)``, which
            moves them in place and returns those that it moved (or None, which costs a full redraw).
        *controls: `Slider`, `Choice` and `Toggle`, in the order in which they are shown.
        name: unique in the collection, chapter first: ``"01-order"``.
        alt: the text alternative of the picture: a sentence that names every parameter in braces (``"{n}
            steps"`` gives the value with its unit, ``"{n:.2f}"`` formats the bare value), or a function of
            the parameters.
        look_for: one sentence that tells the reader what to watch; shown under the controls.
        size: width and height of the figure in inches.
        panels: for each axes, in the order in which `build` makes them, the names of the controls that change
            it. A page without a kernel then stores each panel's states, which add up and do not multiply.
        point: the names of two sliders, horizontal and vertical, that a press or a drag in the first axes sets: what
            they move is then a point in the picture. The limits of these axes must not change.

    Raises:
        ValueError: the declaration contradicts itself; the text names the explorer and the argument.
        TypeError: an argument is of a kind that cannot be used, or ``update`` does not take the parameters.
    """

    _esm = HERE / "explorer.js"
    _css = HERE / "explorer.css"
    controls = traitlets.List().tag(sync=True)
    pixels = traitlets.List().tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    look_for = traitlets.Unicode().tag(sync=True)
    plane = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        build: Callable,
        *controls: Control,
        name: str,
        alt: str | Callable,
        look_for: str,
        size: tuple[float, float] = (7.2, 4.0),
        panels: Sequence[Sequence[str]] = (),
        point: tuple[str, str] | None = None,
    ):
        self.name, self.size, self._build, self._alt, self._controls = name, size, build, alt, controls
        self.panels, self.point = [tuple(names) for names in panels], point
        self._check_declaration(look_for)
        super().__init__(
            controls=[c.front_end() for c in controls],
            pixels=[round(inches * DPI) for inches in size],
            picture=encode_fast(self.frame(**self.start)),
            alt=self.describe(**self.start),
            look_for=look_for,
            plane=plane(self, lambda control: control.values),
        )
        self.on_msg(self._answer)
        if (former := _shown.get(name)) is not None:
            former.close()  # its cell has been run again: Jupyter would keep it, figure and all, for ever
        _shown[name] = self
        if os.environ.get("HELPERS_DRIVE") == "1":
            self.drive()

    @cached_property
    def _canvas(self) -> Canvas:
        return Canvas(self._build, self.size, start=self.start)

    @cached_property
    def _ahead(self) -> Ahead:
        return Ahead(self._draw, [len(c.values) for c in self._controls])

    def close(self) -> None:
        """Take the widget from the page, and forget figure and pictures; who asks for one again has it drawn anew."""
        super().close()
        for drawn in ("_canvas", "_ahead"):
            self.__dict__.pop(drawn, None)

    @property
    def declared(self) -> tuple[Control, ...]:
        """The controls, in the order in which they are shown."""
        return self._controls

    @property
    def alt_template(self) -> str | None:
        """The sentence that the alt text is made from; None where it is a function."""
        return None if callable(self._alt) else self._alt

    @property
    def start(self) -> dict:
        """The parameters at the beginning."""
        return {c.name: c.start for c in self._controls}

    def groups(self) -> list[tuple[str, ...]]:
        """The controls that change each panel; all of them, once, where no panels are declared."""
        return self.panels or [tuple(c.name for c in self._controls)]

    def axes(self) -> list[Axes]:
        """The axes of the figure, in the order in which they were made."""
        return self._canvas.figure.axes

    def frame(self, *, scale: float = 1.0, **parameters):
        """The picture for these parameters: uint8 (height, width, 4), overwritten by the next frame."""
        return self._canvas.frame(parameters, scale=scale)

    def describe(self, **parameters) -> str:
        """The alt text for these parameters."""
        if callable(self._alt):
            return self._alt(**parameters)
        return self._alt.format(
            **{c.name: _Shown(c.text(parameters[c.name]), parameters[c.name]) for c in self._controls}
        )

    def grid(self) -> dict[str, list]:
        """The values of each parameter that a page without a kernel offers, in every combination."""
        return {c.name: c.static_values() for c in self._controls}

    def __repr__(self) -> str:
        return f"Explorer({', '.join([repr(self.name), *(f'{k}={v!r}' for k, v in self.start.items())])})"

    def _repr_mimebundle_(self, **kwargs):
        """The live widget; beside it, for places without a kernel, the first picture with its alt text.

        Where HELPERS_STATIC=1 asks for pages without a kernel: every picture, in HTML. How long that took stands in
        the metadata, since no reader of the notebook waits for it.
        """
        if os.environ.get("HELPERS_STATIC") == "1":
            began = time.perf_counter()
            data = {"text/html": kernelless.page(self), "text/plain": repr(self)}
            return data, {"text/html": {"seconds": time.perf_counter() - began}}
        data = super()._repr_mimebundle_(**kwargs) or {}
        data, metadata = data if isinstance(data, tuple) else (data, {})
        with self._ahead.lock:  # a move may be answered on another thread
            still = base64.b64encode(encode_small(self.frame(**self.start))).decode()
        width, height = self.pixels
        return (
            {**data, "image/png": still, "text/plain": repr(self)},
            {**(metadata or {}), "image/png": {"alt": self.alt, "width": width, "height": height}},
        )

    def _answer(self, _, request: dict, buffers: list) -> None:
        """Draw what a view in the browser asks for, or say in plain words why it cannot be drawn."""
        reply, pictures = {"view": request["view"], "at": request["at"]}, []
        try:
            pictures = [self._ahead.picture(request["at"], request["scale"])]
            reply["alt"] = self.describe(**self._parameters(request["at"]))
        except Exception as error:
            # A reader must see it: nothing in Jupyter shows what fails behind a message.
            where = traceback.extract_tb(error.__traceback__)[-1]
            reply["error"] = (
                "This setting could not be drawn; the picture still shows the one before. "
                f"{type(error).__name__}: {error} (line {where.lineno} of {where.name})"
            )
        self.send(reply, pictures)

    def _draw(self, at: Sequence[int], scale: float) -> bytes:
        return encode_fast(self.frame(scale=scale, **self._parameters(at)))

    def _parameters(self, at: Sequence[int]) -> dict:
        """The values at these positions of the controls."""
        return {c.name: c.values[i] for c, i in zip(self._controls, at, strict=True)}

    def drive(self) -> list[dict]:
        """Visit the start, every slider end, every choice and two corners; let every exception through.

        Checked at each: a picture that depends on the parameters alone, partial redraw equal to full redraw
        to the pixel, alt text that differs from all others, one picture size, no warning. Writes the
        explorer's record.

        Returns:
            The states visited, each a dict of parameters.

        Raises:
            DriveError: names the explorer and the parameters, says what is wrong.
        """
        states = drive(self)
        record = {
            "name": self.name,
            "alt": self.alt,
            "look_for": self.look_for,
            "size": list(self.size),
            "parameters": [c.record() for c in self._controls],
            "states": states,
            "static_frames": self._count_frames(),
        }
        write_record("explorers", self.name, record)
        return states

    def fresh_canvas(self) -> Canvas:
        """A second figure of the same declaration and layout, on which nothing was shown yet."""
        return Canvas(self._build, self.size, layout=self._canvas)

    def _check_declaration(self, look_for: str) -> None:
        if not (isinstance(self.name, str) and re.fullmatch(r"\d\d-[a-z0-9]+(-[a-z0-9]+)*", self.name)):
            raise ValueError(f"Explorer: name must look like '01-order' (chapter, words); got {self.name!r}")
        me = f"Explorer {self.name!r}"
        if not callable(self._build):
            raise TypeError(f"{me}: build must be a function of a figure; got {self._build!r}")
        for control in self._controls:
            if not isinstance(control, Control):
                raise TypeError(f"{me}: controls must be Slider, Choice or Toggle; got {control!r}")
        names = [c.name for c in self._controls]
        if not names:
            raise ValueError(f"{me}: without a control it is a figure; use show(fig, alt)")
        if repeated := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"{me}: each control needs a name of its own, repeated: {', '.join(repeated)}")
        if not (isinstance(look_for, str) and look_for.strip()):
            raise ValueError(f"{me}: look_for must tell the reader what to watch; got {look_for!r}")
        pair = isinstance(self.size, Sequence) and [isinstance(inches, numbers.Real) for inches in self.size]
        if pair != [True, True] or not all(1 <= inches <= 20 for inches in self.size):
            raise ValueError(f"{me}: size must be (width, height) in inches, 1 to 20 each; got {self.size!r}")
        if not callable(self._alt):
            self._check_alt_template(me, names)
        self._check_panels(me, names)
        if self.point is not None:
            check_point(me, self.point, self._controls)
        if (frames := self._count_frames()) > MOST_FRAMES:
            grid = self.grid()
            sizes = " + ".join(" × ".join(f"{len(grid[n])} ({n})" for n in panel) for panel in self.groups())
            raise ValueError(
                f"{me}: its static grid has {sizes} = {frames} frames, more than {MOST_FRAMES}: "
                "give a slider a smaller grid, or mark a control live_only=True"
            )

    def _check_panels(self, me: str, names: list[str]) -> None:
        if not self.panels:
            return
        named = [name for panel in self.panels for name in panel]
        if unknown := [n for n in named if n not in names]:
            raise ValueError(f"{me}: panels names {unknown[0]!r}, which is no control; there are: {', '.join(names)}")
        if missing := [n for n in names if n not in named]:
            raise ValueError(f"{me}: panels must name every control, missing: {', '.join(missing)}")

    def _check_alt_template(self, me: str, names: list[str]) -> None:
        if not (isinstance(self._alt, str) and self._alt.strip()):
            raise ValueError(f"{me}: alt must be a sentence or a function of the parameters; got {self._alt!r}")
        try:
            named = {f for _, f, _, _ in string.Formatter().parse(self._alt) if f is not None}
        except ValueError as error:
            raise ValueError(f"{me}: alt must have its braces in pairs, {error}; got {self._alt!r}") from None
        if unknown := sorted(named - set(names)):
            raise ValueError(f"{me}: alt names {unknown[0]!r}, which is no parameter; there are: {', '.join(names)}")
        if silent := [n for n in names if n not in named]:
            raise ValueError(f"{me}: alt must name every parameter's value, missing: {', '.join(silent)}")

    def _count_frames(self) -> int:
        grid = self.grid()
        panels = [math.prod(len(grid[name]) for name in names) for names in self.groups()]
        return math.ceil(sum(panels) / len(panels))  # in pictures of the whole


class _Shown(str):
    """A value in an alt text: its words where no format is given, else the bare value so formatted."""

    def __new__(cls, words: str, value):
        shown = super().__new__(cls, words)
        shown.value = value
        return shown

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)
