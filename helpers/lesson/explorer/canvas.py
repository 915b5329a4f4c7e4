"""A figure drawn over and over: only what changed is painted anew, and no pixel differs from drawing it all.

Matplotlib paints a figure from back to front. Of everything behind the first changing artist a picture is
kept; a new frame is that picture, and over it the changing artists *and all that lies in front of them*, in
matplotlib's own order. Painting the changed artists alone would be a little faster and wrong: a curve would
cover the frame and the legend that belong above it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from helpers.lesson.explorer import painting

DPI = 110  # dots of the picture per inch of the figure, at scale 1


class Canvas:
    """A figure, the artists that `build` put there, and the picture it shows.

    Args:
        build: called once as ``build(figure)``; returns ``update``, which is called as
            ``update(**parameters)`` and changes artists in place. It may return those that it changed; if it
            returns None, they are found by matplotlib's own bookkeeping; if it returns the figure, everything
            is painted anew.
        size: inches, width and height.
        start: the parameters for which the layout is computed. It is computed once and then frozen, so that
            nothing jumps when a tick label gets longer, and a frame costs less.
        layout: another canvas of the same `build`, whose frozen layout is taken over instead.

    Raises:
        TypeError: `build` does not return a function, or one that does not take the parameters.
    """

    def __init__(self, build: Callable, size: tuple, *, start=None, layout: Canvas | None = None):
        self.figure = Figure(size, dpi=DPI, layout="constrained", facecolor="white")
        self._agg = FigureCanvasAgg(self.figure)
        self.update = build(self.figure)
        if not callable(self.update):
            raise TypeError(f"build(fig) must return the function update; got {self.update!r}")
        self._changing: set[Artist] = set()  # all that ever changed: never part of the background again
        self._background, self._layers = None, None
        self._kept_for = None
        if layout is None:
            _check_signature(self.update, start)
            self.update(**start)
            self._agg.draw()
        self.figure.set_layout_engine("none")
        if layout is not None:
            _copy_positions(layout.figure, self.figure)
        painting.settle(self.figure)
        self._scene = painting.scene_of(self.figure)

    def frame(self, parameters: dict, *, scale: float = 1.0, whole: bool = False) -> np.ndarray:
        """The picture for these parameters.

        Args:
            parameters: keyword arguments of ``update``.
            scale: pixels of the picture per pixel of the page.
            whole: paint everything anew.

        Returns:
            uint8 array (height, width, 4): a view that the next frame overwrites.

        Raises:
            TypeError: ``update`` returned something that is no artist of this figure.
        """
        returned = self.update(**parameters)
        changed = set(painting.stale(self.figure) if returned is None else _flat(returned))
        for artist in changed:
            if artist.get_figure(root=True) is not self.figure:
                raise TypeError(f"update must return artists of its own figure; got {artist!r}")
        if self.figure.dpi != DPI * scale:
            self.figure.set_dpi(DPI * scale)
        # Axes that get other limits or ticks are painted whole: there would be no background to keep.
        before, self._scene = self._scene, painting.scene_of(self.figure)
        grounds = {self.figure, self.figure.patch, *(ax.patch for ax in self.figure.axes)}
        self._changing = {a for a in self._changing if a.get_figure(root=True) is self.figure} | changed - grounds
        if whole or changed & grounds or self._scene != before:
            self._kept_for = None
            self._agg.draw()
        else:
            self._paint(changed)
        return np.asarray(self._agg.buffer_rgba())

    def _paint(self, changed: set[Artist]) -> None:
        if self._kept_for != self._changing:
            self._keep_background()
            self._kept_for = set(self._changing)
        self._agg.restore_region(self._background)
        for layer in self._layers:
            layer.paint(anew=painting.holds(layer.artist, changed))

    def _keep_background(self) -> None:
        front = painting.front_of_figure(self.figure, self._changing)
        hidden = [a for a in front if not a.get_animated()]
        try:
            for artist in hidden:
                artist.set_animated(True)  # an animated artist is left out of a draw
            self._agg.draw()
        finally:
            for artist in hidden:
                artist.set_animated(False)
        self._background = self._agg.copy_from_bbox(self.figure.bbox)
        self._layers = [painting.layer(a, self._agg) for a in front]


def _check_signature(update: Callable, parameters: dict) -> None:
    try:
        inspect.signature(update).bind(**parameters)
    except TypeError as error:
        given = ", ".join(parameters)
        raise TypeError(f"update{inspect.signature(update)} does not take the parameters {given}: {error}") from None


def _flat(changed: Artist | Iterable) -> list[Artist]:
    """The artists in what ``update`` returned: one, or a list that may hold containers such as bars."""
    if isinstance(changed, Artist):
        return [changed]
    if not isinstance(changed, Iterable) or isinstance(changed, str):
        raise TypeError(f"update must return the artists that it changed, or None; got {changed!r}")
    return [artist for item in changed for artist in _flat(item)]


def _copy_positions(source: Figure, target: Figure) -> None:
    for old, new in zip(source.axes, target.axes, strict=True):
        new.set_position(old.get_position(original=True))
    for old, new in zip(_figure_texts(source), _figure_texts(target), strict=True):
        new.set_position(old.get_position())


def _figure_texts(figure: Figure) -> list[Artist]:
    """The figure's own titles, which the layout engine places too."""
    return [t for t in (figure._suptitle, figure._supxlabel, figure._supylabel) if t is not None]
