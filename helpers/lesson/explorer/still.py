"""An explorer on a page without a kernel: its pictures drawn beforehand, worked by the same controls.

With HELPERS_STATIC=1, as the book and the slides set it, an explorer's output is `page(explorer)`; the page that
shows it includes `script()` and `style()` once.

Most of a picture is the same at every setting. So the first one is stored whole, and of the others only the pixels that
differ, the rest transparent, all in one palette: exact to the pixel within it, and a third of
the bytes of lossy pictures of the same figures.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
import string
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.cluster import KMeans

from helpers.lesson.explorer.panels import parts, states
from helpers.lesson.explorer.plane import plane

HERE = Path(__file__).parent
BUDGET = 1_500_000  # bytes that an explorer may add to its page
MOST_ALTS = 5000  # texts, where the alt text is a function and each state has its own
COLOURS = 64  # of a figure: lines, their soft edges, and a filled plane
SAMPLES = 12  # pictures that the palette is chosen from
UNKNOWN = 255  # no place in a palette


class TooLarge(ValueError):
    """An explorer does not fit its budget; the text says what to coarsen."""


def page(explorer) -> str:
    """The explorer as HTML: its first picture for every reader, all others as data for the script.

    Args:
        explorer: an `Explorer`.

    Raises:
        TooLarge: more than `BUDGET` bytes; the text names the explorer, its grids and what to coarsen.
        ValueError: the explorer's panels reach into each other.
    """
    start = explorer.frame(**explorer.start).copy()
    palette = _Palette(explorer)
    ground = palette(start)
    drawn = [_drawn(explorer, part, ground, palette) for part in parts(explorer)]
    data = {
        "controls": [_front_end(control) for control in explorer.declared],
        "pixels": explorer.pixels,
        "look_for": explorer.look_for,
        "plane": plane(explorer, lambda control: control.static_values()),
        "alt": _alts(explorer),
        "parts": drawn,
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    width, height = explorer.pixels
    page = (
        f'<div class="explorer-still"><img src="data:image/webp;base64,{_encode(ground)}" '
        f'alt="{html.escape(explorer.alt)}" width="{width}" height="{height}">'
        f'<p class="explorer-look">{html.escape(explorer.look_for)}</p>'
        f'<script type="application/json">{text}</script></div>'
    )
    if (size := len(page.encode())) > BUDGET:
        raise TooLarge(_advice(explorer, drawn, size))
    return page


def script() -> str:
    """The JavaScript that brings every explorer of a page to life: a classic script, which runs from a file too.

    Raises:
        ValueError: explorer.js does not end with the export that is taken off here.
    """
    face, export, rest = (HERE / "explorer.js").read_text(encoding="utf-8").partition("export default { render };")
    if not export or rest.strip():
        raise ValueError("explorer.js must end with 'export default { render };'")
    return f'(() => {{\n"use strict";\n{face}\n{(HERE / "still.js").read_text(encoding="utf-8")}}})();\n'


def style() -> str:
    """The style sheet that goes with it."""
    return (HERE / "explorer.css").read_text(encoding="utf-8")


class _Palette:
    """The colours that all pictures of an explorer share: the commonest as they are, the rest mixed.

    Mixing alone would tint the ground: white would be averaged with the palest edges of letters. For the same reason
    each colour is replaced by the nearest of the palette, exactly, and not by the near enough of image libraries.
    """

    def __init__(self, explorer):
        every = [state for names in explorer.groups() for state in states(explorer, names)]
        # drawn by lot: every k-th state could be always the same value of a control
        some = np.random.default_rng(0).permutation(np.array(every, object))[:SAMPLES]
        pixels = np.concatenate([explorer.frame(**state)[..., :3].reshape(-1, 3).copy() for state in some])
        colours, count = np.unique(pixels, axis=0, return_counts=True)
        order = np.argsort(count, kind="stable")[::-1]
        exact, rest = order[: COLOURS // 2], order[COLOURS // 2 :]
        self.colours = np.concatenate([colours[exact], _mixed(colours[rest], count[rest], COLOURS // 2)])
        self._nearest = np.full(1 << 24, UNKNOWN, np.uint8)  # of every colour met so far

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The picture in these colours, opaque: uint8 (height, width, 4)."""
        red, green, blue = np.moveaxis(picture[..., :3].astype(np.int32), -1, 0)
        packed = red << 16 | green << 8 | blue
        new = np.unique(packed[self._nearest[packed] == UNKNOWN])
        rgb = np.stack([new >> 16, new >> 8 & 255, new & 255], axis=1)
        distance = ((rgb[:, None] - self.colours[None].astype(np.int32)) ** 2).sum(axis=-1)
        self._nearest[new] = distance.argmin(axis=1)
        opaque = np.full((*packed.shape, 1), 255, np.uint8)
        return np.concatenate([self.colours[self._nearest[packed]], opaque], axis=-1)


def _mixed(colours: np.ndarray, count: np.ndarray, most: int) -> np.ndarray:
    """At most so many colours that stand for all of these. A thin line counts too: hence the root of the count."""
    if len(colours) <= most:
        return colours
    clusters = KMeans(most, random_state=0).fit(colours, sample_weight=np.sqrt(count))
    return clusters.cluster_centers_.round().astype(np.uint8)


def _drawn(explorer, part, ground: np.ndarray, palette: _Palette) -> dict:
    """All pictures of a part, each as its difference from the ground."""
    known: dict[str, int] = {}
    which = []
    for state in states(explorer, part.names):
        picture = palette(explorer.frame(**state))[part.box]
        changed = (picture != ground[part.box]).any(axis=-1, keepdims=True)
        which.append(known.setdefault(_encode(np.where(changed, picture, 0)), len(known)))
    order = [control.name for control in explorer.declared]
    return {
        "controls": [order.index(name) for name in part.names],
        "corner": [part.box[1].start or 0, part.box[0].start or 0],
        "which": which,
        "pictures": list(known),
    }


def _encode(picture: np.ndarray) -> str:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(out, "WEBP", lossless=True, quality=50, method=2)
    return base64.b64encode(out.getvalue()).decode()


def _front_end(control) -> dict:
    """What the browser needs of a control whose values are those of the grid."""
    texts = [control.text(value) for value in control.static_values()]
    return {
        # A checkbox that stands still has one position, so it is shown as a choice of one.
        "kind": "choice" if control.live_only and control.kind == "toggle" else control.kind,
        "name": control.name,
        "label": control.label + (" (moves in Jupyter only)" if control.live_only else ""),
        "texts": texts,
        "start": texts.index(control.text(control.start)),
        "fixed": control.live_only,
    }


def _alts(explorer) -> dict:
    """The alt text as pieces with a text for each value or, where it is a function, one for every state."""
    if explorer.alt_template is None:
        count = math.prod(len(values) for values in explorer.grid().values())
        if count > MOST_ALTS:
            raise TooLarge(f"Explorer {explorer.name!r}: {count} alt texts from a function; give alt as a sentence")
        return {"every": [explorer.describe(**state) for state in states(explorer, explorer.grid())]}
    place = {control.name: i for i, control in enumerate(explorer.declared)}
    pieces: list = []
    for text, name, form, _ in string.Formatter().parse(explorer.alt_template):
        pieces += [text] if text else []
        if name is not None:
            control = explorer.declared[place[name]]
            texts = [format(v, form) if form else control.text(v) for v in control.static_values()]
            pieces.append({"control": place[name], "texts": texts})
    return {"pieces": pieces}


def _advice(explorer, drawn: list[dict], size: int) -> str:
    grid = explorer.grid()
    told = []
    for names, part in zip(explorer.groups(), drawn, strict=True):
        each = sum(map(len, part["pictures"])) / len(part["pictures"])
        grids = " × ".join(f"{len(grid[name])} ({name})" for name in names)
        told.append(f"{grids} = {len(part['which'])} pictures of {each / 1000:.0f} kB")
    sliders = [control.name for control in explorer.declared if control.kind == "slider" and not control.live_only]
    coarser = ""
    if sliders:
        widest = max(sliders, key=lambda name: len(grid[name]))
        fitting = max(2, int(len(grid[widest]) * BUDGET / size))
        coarser = f"give {widest} a grid of {fitting} values (it has {len(grid[widest])}), "
    return (
        f"Explorer {explorer.name!r} takes {size:,} bytes on a page, more than {BUDGET:,}: {'; '.join(told)}. To make "
        f"it fit, {coarser}mark a control live_only=True, make the figure smaller, or declare panels"
    )
