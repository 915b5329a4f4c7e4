"""Which artists of a figure changed, which lie in front of them, and how to paint those without waste."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.legend import Legend
from matplotlib.offsetbox import OffsetBox
from matplotlib.text import Text


def stale(container: Artist) -> Iterable[Artist]:
    """The artists touched since they were drawn; what axes and their ticks say of themselves is in `scene_of`."""
    for child in container.get_children():
        if isinstance(child, Axes) and not _is_plain(child):
            yield child  # they keep accounts of their own, and are painted whole in any case
        elif isinstance(child, Axes | SubFigure):
            yield from stale(child)
        elif not isinstance(child, Axis) and (child.stale or any(True for _ in stale(child))):
            yield child


def settle(container: Artist) -> None:
    """Mark everything as untouched: the draw that finds the layout leaves traces, in legends for one."""
    for child in container.get_children():
        child.stale = False
        if not isinstance(child, Axis):
            settle(child)


def scene_of(figure: Figure) -> list:
    """What decides where things stand, beside the artists themselves: limits, ticks, what is there at all."""
    scene = [figure.dpi, figure.bbox.bounds, set(map(id, figure.get_children()))]
    for ax in figure.axes:
        scene += [ax.get_xlim(), ax.get_ylim(), ax.get_position().bounds, set(map(id, ax.get_children()))]
        scene += [ax.get_visible(), ax.axison, _is_plain(ax) and ax.get_frame_on()]
        for axis in (ax.xaxis, ax.yaxis):
            scene += [axis.get_scale(), axis.get_major_locator(), axis.get_major_formatter()]
            scene += [axis.get_minor_locator(), axis.get_minor_formatter(), axis.get_visible()]
            scene += [axis.label.get_text(), axis.label.get_color(), axis.label.get_fontsize()]
    return scene


def front_of_figure(figure: Figure, changed: set[Artist]) -> list[Artist]:
    """Artists to be painted anew, back to front: the changed ones and what may lie over them."""
    front, boxes = [], []
    for child in sorted((c for c in figure.get_children() if c is not figure.patch), key=attrgetter("zorder")):
        inside_axes = isinstance(child, Axes)
        # What is drawn later may lie over what changed: titles of the figure, twin axes, not the axes beside.
        if any(child.bbox.overlaps(box) for box in boxes) if inside_axes else front:
            front.append(child)
        elif holds(child, changed):
            front += _front_of_axes(child, changed) if inside_axes and _is_plain(child) else [child]
        else:
            continue
        if inside_axes:
            boxes.append(child.bbox)
    return front


def _front_of_axes(axes: Axes, changed: set[Artist]) -> list[Artist]:
    """The same within plain axes, in the order of ``Axes.draw``."""
    left_out = {axes.patch}
    if not (axes.axison and axes.get_frame_on()):
        left_out.update(axes.spines.values())
    if not axes.axison:
        left_out.update((axes.xaxis, axes.yaxis))
    children = sorted((c for c in axes.get_children() if c not in left_out), key=attrgetter("zorder"))
    first = next((i for i, c in enumerate(children) if holds(c, changed)), len(children))
    return children[first:]


def holds(artist: Artist, changed: set[Artist]) -> bool:
    """Whether an artist, or one that it is made of, is among the changed ones."""
    return artist in changed or any(holds(child, changed) for child in artist.get_children())


def _is_plain(axes: Axes) -> bool:
    """Whether axes draw their children in turn and do nothing else, as polar and solid ones do."""
    return type(axes).draw is Axes.draw


class Layer:
    """An artist in front of the background, painted at every frame."""

    def __init__(self, artist: Artist, agg: FigureCanvasAgg):
        self.artist, self._agg = artist, agg

    def paint(self, *, anew: bool) -> None:
        self.artist.draw(self._agg.get_renderer())


class Stamp(Layer):
    """An artist that costs much and changes little: painted only if it, or a pixel under it, changed.

    A legend costs more than all the curves it explains, most of it for finding its layout once more, and
    mostly the curves run elsewhere. Where nothing changed under it, its pixels are put back as they were.
    """

    def __init__(self, artist: Artist, agg: FigureCanvasAgg):
        super().__init__(artist, agg)
        self._touched = self._under = self._over = self._parts = None

    def paint(self, *, anew: bool) -> None:
        if anew:
            self._touched = self._under = self._parts = None
            super().paint(anew=True)
            return
        pixels = np.asarray(self._agg.buffer_rgba()).view(np.uint32).reshape(-1)
        if self._touched is None:
            self._touched = self._find_touched(pixels)
        under = pixels[self._touched]
        if self._under is not None and np.array_equal(under, self._under):
            pixels[self._touched] = self._over
            return
        self._draw()
        self._under, self._over = under, pixels[self._touched]

    def _draw(self) -> None:
        if self._parts is None:
            super().paint(anew=True)
            self._parts = list(_parts(self.artist))  # this draw has put them in their places
            return
        renderer = self._agg.get_renderer()
        for part in self._parts:
            part.draw(renderer)

    def _find_touched(self, pixels: np.ndarray) -> np.ndarray:
        """Which pixels the artist paints on: those that it changes on a black or on a white ground."""
        before, touched = pixels.copy(), np.zeros(len(pixels), bool)
        for shade in (b"\x00\x00\x00\xff", b"\xff\xff\xff\xff"):
            ground = np.frombuffer(shade, np.uint32)[0]
            pixels[:] = ground
            self._draw()
            touched |= pixels != ground
        pixels[:] = before
        return np.flatnonzero(touched)


def layer(artist: Artist, agg: FigureCanvasAgg) -> Layer:
    """The way to paint this artist, frame after frame."""
    # A legend at the "best" place may wander, so it is no stamp.
    costly = artist._loc != 0 if isinstance(artist, Legend) else isinstance(artist, Text | Axis)
    return Stamp(artist, agg) if costly else Layer(artist, agg)


def _parts(artist: Artist) -> Iterable[Artist]:
    """What a legend is made of, back to front, without the boxes that lay it out; else the artist itself."""
    if isinstance(artist, Legend) and artist.get_visible() and not artist.shadow:
        yield artist.get_frame()
        yield from (part for box in artist.get_children() if isinstance(box, OffsetBox) for part in _parts(box))
    elif isinstance(artist, OffsetBox):
        for child in artist.get_visible_children():
            yield from _parts(child)
    else:
        yield artist
