"""A figure drawn over and over: only what changed is painted anew, and no pixel differs from drawing it all.

Matplotlib paints a figure from back to front. Of everything behind the first changing artist a picture is
kept; a new frame is that picture, and over it the changing artists *and all that lies in front of them*, in
matplotlib's own order. Painting the changed artists alone would be a little faster and wrong: a curve would
cover the frame and the legend that belong above it.
"""

from __future__ import annotations

import inspect
import io
import struct
import zlib
from collections.abc import Callable, Iterable
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
from matplotlib.transforms import Bbox
from PIL import Image

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
            raise TypeError(f"build(fig) must return the function update, got {self.update!r}")
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
        _settle(self.figure)
        self._scene = _scene(self.figure)

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
        changed = set(_stale(self.figure) if returned is None else _flat(returned))
        for artist in changed:
            if artist.get_figure(root=True) is not self.figure:
                raise TypeError(f"update must return artists of its own figure, got {artist!r}")
        if self.figure.dpi != DPI * scale:
            self.figure.set_dpi(DPI * scale)
        # Axes that get other limits or ticks are painted whole: there would be no background to keep.
        before, self._scene = self._scene, _scene(self.figure)
        grounds = {self.figure, self.figure.patch, *(ax.patch for ax in self.figure.axes)}
        self._changing = {a for a in self._changing if a.get_figure(root=True) is self.figure} | changed - grounds
        if whole or changed & grounds or self._scene != before:
            self._kept_for = None
            self._agg.draw()
        else:
            self._paint(changed)
        _settle(self.figure)
        return np.asarray(self._agg.buffer_rgba())

    def _paint(self, changed: set[Artist]) -> None:
        if self._kept_for != self._changing:
            self._keep_background()
            self._kept_for = set(self._changing)
        self._agg.restore_region(self._background)
        for layer in self._layers:
            layer.paint(anew=_holds(layer.artist, changed))

    def _keep_background(self) -> None:
        front = _front_of_figure(self.figure, self._changing)
        hidden = [a for a in front if not a.get_animated()]
        for artist in hidden:
            artist.set_animated(True)  # an animated artist is left out of a draw
        self._agg.draw()
        self._background = self._agg.copy_from_bbox(self.figure.bbox)
        for artist in hidden:
            artist.set_animated(False)
        self._layers = [_Stamp(a, self._agg) if _is_costly(a) else _Layer(a, self._agg) for a in front]


class _Layer:
    """An artist in front of the background, painted at every frame."""

    def __init__(self, artist: Artist, agg: FigureCanvasAgg):
        self.artist, self._agg = artist, agg

    def paint(self, *, anew: bool) -> None:
        self.artist.draw(self._agg.get_renderer())


class _Stamp(_Layer):
    """An artist that costs much and changes little: painted only if it, or a pixel under it, changed.

    A legend costs more than all the curves it explains, most of it for finding its layout once more, and
    mostly the curves run elsewhere. The outcome is the same to the last bit.
    """

    def __init__(self, artist: Artist, agg: FigureCanvasAgg):
        super().__init__(artist, agg)
        self._where = self._under = self._over = self._parts = None

    def paint(self, *, anew: bool) -> None:
        renderer = self._agg.get_renderer()
        if anew:
            self._where = self._under = self._parts = None
            self.artist.draw(renderer)
            return
        if self._where is None:
            self._where = self._find_place(renderer)
        pixels = np.asarray(self._agg.buffer_rgba())[self._where]
        if self._under is not None and np.array_equal(pixels, self._under):
            pixels[...] = self._over
            return
        self._under = pixels.copy()
        if self._parts is None:
            self.artist.draw(renderer)
            self._parts = list(_parts(self.artist))  # this draw has put them in their places
        else:
            for part in self._parts:
                part.draw(renderer)
        self._over = pixels.copy()

    def _find_place(self, renderer) -> tuple[slice, slice]:
        """Rows and columns of the picture that the artist reaches, with a margin for the line width."""
        boxes = [self.artist.get_tightbbox(renderer)]
        if isinstance(self.artist, Axis):
            boxes.append(self.artist.axes.bbox)  # its grid
        boxes = [box for box in boxes if box is not None and np.all(np.isfinite(box.extents))]
        if not boxes:  # it is invisible or empty
            return slice(0), slice(0)
        x0, y0, x1, y1 = Bbox.union(boxes).extents
        margin, height = 0.05 * self._agg.figure.dpi, self._agg.figure.bbox.height
        spans = (height - y1, height - y0), (x0, x1)  # rows count from the top
        return tuple(slice(max(0, int(low - margin)), max(0, int(high + margin) + 1)) for low, high in spans)


def _stale(container: Artist) -> Iterable[Artist]:
    """The artists touched since `_settle`; what axes and their ticks say of themselves is in `_scene`."""
    for child in container.get_children():
        if isinstance(child, Axes) and not _is_plain(child):
            yield child  # they keep accounts of their own, and are painted whole in any case
        elif isinstance(child, Axes | SubFigure):
            yield from _stale(child)
        elif not isinstance(child, Axis) and (child.stale or any(True for _ in _stale(child))):
            yield child


def _settle(container: Artist) -> None:
    """Mark everything as untouched: a draw does so only for what is visible and not empty."""
    for child in container.get_children():
        child.stale = False
        if not isinstance(child, Axis):
            _settle(child)


def _scene(figure: Figure) -> list:
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


def _is_plain(axes: Axes) -> bool:
    """Whether axes draw their children in turn and do nothing else, as polar and solid ones do."""
    return type(axes).draw is Axes.draw


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


def _is_costly(artist: Artist) -> bool:
    if isinstance(artist, Legend):
        return artist._loc != 0  # a legend at the "best" place may wander
    return isinstance(artist, Text | Axis)


def encode_fast(pixels: np.ndarray) -> bytes:
    """`pixels` (height, width, 4) as PNG, in less than half the time that an image library takes.

    Libraries try five row filters on every row. For a plot on a plain ground one is nearly always best: the
    difference from the row above, which turns most of the picture into zeros before it is compressed.
    """
    height, width, _ = pixels.shape
    rgb = pixels[..., :3].reshape(height, 3 * width)
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = 2  # the number of that filter
    rows[0, 1:] = rgb[0]
    np.subtract(rgb[1:], rgb[:-1], out=rows[1:, 1:])
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(rows, level=1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def encode_small(pixels: np.ndarray) -> bytes:
    """`pixels` (height, width, 4) as PNG, small, for storing."""
    out = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(out, "PNG", optimize=True)
    return out.getvalue()


def _front_of_figure(figure: Figure, changed: set[Artist]) -> list[Artist]:
    """Artists to be painted anew, back to front: the changed ones and what may lie over them."""
    front, boxes = [], []
    for child in sorted((c for c in figure.get_children() if c is not figure.patch), key=attrgetter("zorder")):
        inside_axes = isinstance(child, Axes)
        # What is drawn later may lie over what changed: titles of the figure, twin axes, but not the axes
        # beside.
        if any(child.bbox.overlaps(box) for box in boxes) if inside_axes else front:
            front.append(child)
        elif _holds(child, changed):
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
    first = next((i for i, c in enumerate(children) if _holds(c, changed)), len(children))
    return children[first:]


def _holds(artist: Artist, changed: set[Artist]) -> bool:
    return artist in changed or any(_holds(child, changed) for child in artist.get_children())


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
        raise TypeError(f"update must return the artists that it changed, or None, got {changed!r}")
    return [artist for item in changed for artist in _flat(item)]


def _copy_positions(source: Figure, target: Figure) -> None:
    for old, new in zip(source.axes, target.axes, strict=True):
        new.set_position(old.get_position(original=True))
    for old, new in zip(_figure_texts(source), _figure_texts(target), strict=True):
        new.set_position(old.get_position())


def _figure_texts(figure: Figure) -> list[Artist]:
    """The figure's own titles, which the layout engine places too."""
    return [t for t in (figure._suptitle, figure._supxlabel, figure._supylabel) if t is not None]
