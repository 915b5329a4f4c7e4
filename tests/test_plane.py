"""The point that is moved in the picture: places in the axes and positions of the sliders are the same thing."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from helpers.lesson import Choice, Explorer, Slider
from helpers.lesson.explorer.plane import plane


def picture(fig):
    """Two axes; the point lives in the first, whose vertical scale is logarithmic."""
    first, second = fig.subplots(1, 2)
    first.set(xlim=(-2, 2), ylim=(1, 100), yscale="log")
    (dot,) = first.plot([0], [10], "o")
    words = second.set_title(" ")

    def update(kind, x, y):
        dot.set_data([x], [y])
        dot.set_marker(kind)
        words.set_text(f"{x}, {y}, {kind}")
        return [dot, words]

    return update


def explorer(point=("x", "y"), **changed):
    controls = {
        "kind": Choice("kind", label="marker", options=["o", "s"], start="o"),
        "x": Slider("x", label="across", min=-1, max=1, start=0, step=0.5, grid=[-1, 0, 1]),
        "y": Slider("y", label="up", min=1, max=100, start=10, step=10, scale="log", grid=[1, 10, 100]),
    } | changed
    words = {"name": "07-point", "alt": "{kind} at {x}, {y}", "look_for": "Look."}
    return Explorer(picture, *controls.values(), **words, size=(6, 3), point=point)


def test_a_value_lies_where_the_axes_put_it():
    told = explorer().plane
    assert told["controls"] == [1, 2]
    np.testing.assert_allclose(told["across"], [0.25, 0.375, 0.5, 0.625, 0.75])
    np.testing.assert_allclose(told["up"], [0, 0.5, 1])  # 1, 10, 100 on a logarithmic axis


def test_the_box_is_where_the_picture_has_the_axes():
    """The dot, drawn for two settings, is found in the pixels where box and places say that it is."""
    made = explorer()
    left, top, width, height = made.plane["box"]
    for x, y in ((-1, 10), (1, 10), (0, 10)):
        at = made.frame(kind="s", x=x, y=y)[..., :3].astype(int)
        other = made.frame(kind="s", x=x, y=100)[..., :3].astype(int)
        rows, columns = np.nonzero((at != other)[:, : at.shape[1] // 2].any(axis=-1))
        here = rows > at.shape[0] * (top + height / 4)  # the dot at y = 10, not the one at y = 100
        wanted = left + width * made.plane["across"][made.declared[1].position(x)]
        assert abs(columns[here].mean() / at.shape[1] - wanted) < 0.01
        assert abs(rows[here].mean() / at.shape[0] - (top + height / 2)) < 0.01


def test_a_page_offers_the_values_of_its_grid():
    made = explorer()
    told = plane(made, lambda control: control.static_values())
    np.testing.assert_allclose(told["across"], [0.25, 0.5, 0.75])
    assert told["box"] == made.plane["box"]


def test_the_stored_page_has_it(monkeypatch):
    monkeypatch.setenv("HELPERS_STATIC", "1")
    data, _ = explorer()._repr_mimebundle_()
    told = json.loads(re.search(r"<script[^>]*>(.*?)</script>", data["text/html"], re.S)[1])
    assert told["plane"]["controls"] == [1, 2] and len(told["plane"]["across"]) == 3


def test_without_a_point_there_is_none():
    assert explorer(point=None).plane == {}


@pytest.mark.parametrize(
    "point", [("x",), ("x", "x"), ("x", "kind"), ("x", "z"), ("x", "y", "kind")]
)
def test_a_point_is_two_sliders(point):
    with pytest.raises(ValueError, match="'07-point': point must name two different sliders.*of x, y; got"):
        explorer(point=point)


def test_a_point_moves_without_a_kernel_too():
    still = Slider("y", label="up", min=1, max=100, start=10, step=10, scale="log", live_only=True)
    with pytest.raises(ValueError, match="not live_only"):
        explorer(y=still)
