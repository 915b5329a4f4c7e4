"""A point that is moved in the picture itself: where two sliders' values lie in the first axes.

The sliders stay, as the form for the keyboard and for screen readers; a press or a drag in the axes sets both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from helpers.lesson.explorer.controls import Control, Slider


def plane(explorer, values: Callable[[Control], Sequence]) -> dict:
    """What the browser needs to turn a place in the picture into positions of two sliders; {} without a point.

    Args:
        explorer: an `Explorer`, its layout frozen.
        values: The values that a slider offers there, as `lambda control: control.values`.

    Returns:
        "controls": the two sliders' places in the list of controls, horizontal and vertical.
        "box": left, top, width and height of the first axes, in fractions of the picture.
        "across", "up": for each value of the two its distance from the left and the lower edge of the box, in
        fractions of it, whatever the scales of the axes.
    """
    if explorer.point is None:
        return {}
    axes, names = explorer.axes()[0], [control.name for control in explorer.declared]
    box, (left, low) = axes.get_position(), [axes.get_xlim()[0], axes.get_ylim()[0]]
    places = [names.index(name) for name in explorer.point]
    across, up = ([float(v) for v in values(explorer.declared[place])] for place in places)
    to_box = axes.transData + axes.transAxes.inverted()
    return {
        "controls": places,
        "box": [_short(n) for n in (box.x0, 1 - box.y1, box.width, box.height)],
        "across": [_short(x) for x, _ in to_box.transform(np.column_stack([across, np.full(len(across), low)]))],
        "up": [_short(y) for _, y in to_box.transform(np.column_stack([np.full(len(up), left), up]))],
    }


def check_point(me: str, point, controls: Sequence[Control]) -> None:
    """That `point` names two sliders that also move without a kernel.

    Raises:
        ValueError: It does not; the text begins with `me`.
    """
    sliders = {control.name for control in controls if isinstance(control, Slider) and not control.live_only}
    if len(point) != 2 or len(set(point)) != 2 or not set(point) <= sliders:
        raise ValueError(
            f"{me}: point must name two different sliders that are not live_only, horizontal and vertical, of "
            f"{', '.join(sorted(sliders)) or 'which there are none'}; got {point!r}"
        )


def _short(number: float) -> float:
    return round(float(number), 4)
