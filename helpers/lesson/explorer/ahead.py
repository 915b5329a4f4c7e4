"""Pictures of an explorer by state: drawn when asked for and, while nobody asks, ahead of the reader.

A reader who presses an arrow key looks at the new picture before pressing it again. In that pause the kernel
draws what one more press of any control would show, so that the next answer costs no drawing at all.

JupyterLab sends a widget's first messages to the kernel's main thread and later ones to a thread of their own. There is
one figure, so whoever draws, or asks for a drawing, holds the lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

PAUSE = 0.06  # s without a request before anything is drawn ahead: a drag, or a key held down, never waits for it
KEPT = 128  # pictures, some 50 kB each


class Ahead:
    """The pictures that `draw` makes, the last `KEPT` of them remembered.

    Args:
        draw: ``draw(at, scale)`` gives the encoded picture at these positions of the controls.
        counts: how many positions each control has.

    Attributes:
        lock: held while something is drawn; who uses the same figure holds it too.
    """

    def __init__(self, draw: Callable[[tuple[int, ...], float], bytes], counts: Sequence[int]):
        self._draw, self._counts = draw, counts
        self._pictures: OrderedDict[tuple, bytes] = OrderedDict()
        self._requests = 0  # what was planned before the last of them is no longer wanted
        self._before: tuple[int, ...] | None = None
        self.lock = threading.RLock()

    def picture(self, at: Sequence[int], scale: float) -> bytes:
        """The picture at these positions; where an event loop runs, its neighbours are drawn in the next pause."""
        at = tuple(at)
        with self.lock:
            self._requests += 1
            picture = self._kept(at, scale)
            wanted = [n for n in self._neighbours(at) if (n, scale) not in self._pictures]
            self._before = at
            self._plan(wanted, scale, PAUSE, self._requests)
        return picture

    def _kept(self, at: tuple[int, ...], scale: float) -> bytes:
        key = (at, scale)
        if key not in self._pictures:
            self._pictures[key] = self._draw(at, scale)
        self._pictures.move_to_end(key)
        while len(self._pictures) > KEPT:
            self._pictures.popitem(last=False)
        return self._pictures[key]

    def _neighbours(self, at: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """One step of one control away; first those of the control that moved last, onwards before back."""
        moved = [b - a for a, b in zip(self._before or at, at, strict=True)]
        for i in sorted(range(len(at)), key=lambda i: moved[i] == 0):
            onwards = -1 if moved[i] < 0 else 1
            for place in (at[i] + onwards, at[i] - onwards):
                if 0 <= place < self._counts[i]:
                    yield (*at[:i], place, *at[i + 1 :])

    def _plan(self, wanted: list[tuple[int, ...]], scale: float, delay: float, request: int) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: a test, or a script
            return
        if wanted:
            loop.call_later(delay, self._work, wanted, scale, request)

    def _work(self, wanted: list[tuple[int, ...]], scale: float, request: int) -> None:
        """Draw one picture, then let requests that have arrived meanwhile go first."""
        first, *rest = wanted
        with self.lock:
            if request != self._requests:
                return
            try:
                self._kept(first, scale)
            except Exception:
                pass  # nobody asked for it yet; who does is told
        self._plan(rest, scale, 0, request)
