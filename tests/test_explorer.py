"""Explorers: controls, declaration, the exactness of partial redraws, and what driving them catches."""

from __future__ import annotations

import gc
import io
import json
import math
import sys
import warnings
import weakref

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from matplotlib import pyplot
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from helpers.lesson import Choice, Explorer, Slider, Toggle, show
from helpers.lesson.explorer.canvas import Canvas
from helpers.lesson.explorer.driving import DriveError, states_of
from helpers.lesson.explorer.png import encode_fast, encode_small

x = np.linspace(0, 1, 60)


def slider(name="k", **changed):
    return Slider(name, **{"label": "frequency k", "min": 1, "max": 9, "start": 3, **changed})


def curve(fig):
    """The smallest honest explorer: one curve."""
    ax = fig.subplots()
    (line,) = ax.plot(x, x)
    ax.set_ylim(-1, 1)

    def update(k):
        line.set_ydata(np.sin(k * x))
        return [line]

    return update


def explorer(build=curve, *controls, **changed):
    declared = {
        "name": "00-curve",
        "alt": "A sine of frequency {k}",
        "look_for": "Look for zeros.",
        "size": (3, 2),
    }
    return Explorer(build, *(controls or [slider()]), **{**declared, **changed})


# --- controls -------------------------------------------------------------------------------------


def test_whole_numbers_stay_whole():
    s = slider(min=4, max=640, start=20)
    assert s.values == list(range(4, 641)) and all(type(v) is int for v in s.values)


def test_steps_of_a_tenth_carry_no_rounding_dust():
    assert slider(min=0.0, max=1.0, start=0.3, step=0.1).values == [
        0.0,
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
        0.6,
        0.7,
        0.8,
        0.9,
        1.0,
    ]


def test_a_step_is_found_where_none_is_given():
    assert slider(min=0.0, max=1.5, start=0.5).values[1] == 0.01
    assert slider(min=0, max=20.0, start=5.0).values[1] == 0.2
    odd = slider(min=0.0, max=math.pi, start=0.0)
    assert len(odd.values) == 101 and odd.values[-1] == pytest.approx(math.pi)


def test_log_slider_of_whole_numbers():
    s = slider(min=1, max=128, start=20, scale="log")
    assert s.values == sorted(set(s.values)) and all(type(v) is int for v in s.values)
    assert s.values[:4] == [1, 2, 3, 4] and s.values[-1] == 128 and 20 in s.values and len(s.values) < 60


def test_log_slider_by_a_factor():
    assert slider(min=1, max=128, start=8, scale="log", step=2).values == [1, 2, 4, 8, 16, 32, 64, 128]
    decades = slider(min=1e-3, max=1.0, start=0.1, scale="log", step=10)
    assert decades.values == [0.001, 0.01, 0.1, 1.0] and all(type(v) is float for v in decades.values)


def test_texts_carry_the_unit_and_a_true_minus():
    s = slider(min=-1.0, max=1.0, start=0.0, step=0.5, unit="s")
    assert s.texts == ["−1 s", "−0.5 s", "0 s", "0.5 s", "1 s"]
    assert slider(min=1e-8, max=1e-6, start=1e-7, scale="log", step=10).texts == ["1e−8", "1e−7", "1e−6"]


def test_static_values_hold_ends_and_start():
    assert slider(min=0, max=100, start=17, grid=5).static_values() == [0, 17, 50, 75, 100]
    assert slider(min=0, max=100, start=17, grid=2).static_values() == [0, 17, 100]
    assert slider(min=0, max=100, start=17, grid=[30, 10]).static_values() == [10, 17, 30]
    assert slider(min=1, max=4, start=2, grid=50).static_values() == [1, 2, 3, 4]
    assert slider(min=0, max=100, start=17, live_only=True).static_values() == [17]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"min": 9, "max": 1}, "min must be below max"),
        ({"start": 10}, "start=10 lies outside"),
        ({"start": 0.5, "min": 0.0, "max": 1.0, "step": 0.2}, "start=0.5 is not a whole number of steps"),
        ({"step": 3}, "do not reach max=9"),
        ({"step": 0}, "step must be a positive number"),
        ({"step": 1e-4, "min": 0.0, "max": 1.0, "start": 0.0}, "more than 2001"),
        ({"max": math.inf}, "max must be a finite number"),
        ({"min": True}, "min must be a finite number"),
        ({"label": " "}, "label must say in words"),
        ({"name": "k 1"}, "name must be a Python identifier"),
        ({"scale": "cubic"}, "scale must be 'linear' or 'log'"),
        ({"scale": "log", "min": 0}, "a log scale needs min > 0"),
        ({"scale": "log", "step": 1}, "factor between neighbours"),
        ({"grid": 1}, "grid must be at least 2"),
        ({"grid": [2, 77]}, "cannot be 77"),
    ],
)
def test_bad_slider(changed, told):
    with pytest.raises(ValueError, match=told):
        slider(**changed)


def test_numbers_of_numpy_are_numbers():
    plain, arrays = slider(min=1, max=9, start=3), slider(min=np.int64(1), max=np.int32(9), start=np.int16(3))
    assert arrays.values == plain.values and all(type(v) is int for v in arrays.values)
    assert slider(min=np.float32(0), max=np.float64(1), start=0.5, step=np.float32(0.25)).values[1] == 0.25
    assert arrays.position(np.int64(4)) == plain.position(4)
    assert slider(min=0, max=100, start=10, grid=np.array([30, 10])).static_values() == [10, 30]
    assert slider(grid=np.int64(3)).static_values() == slider(grid=3).static_values()


def test_choice_and_toggle():
    choice = Choice("method", label="solver", options={"rk4": "Runge–Kutta 4", "euler": "Euler"}, start="euler")
    assert choice.values == ["rk4", "euler"] and choice.text("rk4") == "Runge–Kutta 4" and choice.start == "euler"
    assert Choice("n", label="n", options=[8, 2]).start == 8
    toggle = Toggle("tied", label="tied weights", start=True, words=("untied", "tied"))
    assert toggle.values == [False, True] and toggle.text(False) == "untied"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Choice("m", label="m", options=["a"]), "at least two"),
        (lambda: Choice("m", label="m", options=None), "options must be a list of values.*got None"),
        (lambda: Choice("m", label="m", options="ab"), "options must be a list of values.*got 'ab'"),
        (lambda: Choice("m", label="m", options=["a", "a"]), "all different"),
        (lambda: Choice("m", label="m", options={1: "a", 2: "a"}), "all different"),
        (
            lambda: Choice("m", label="m", options=["a", "b"], start="c"),
            "cannot be 'c'; it goes through 'a', 'b'",
        ),
        (lambda: Choice("m", label="", options=["a", "b"]), "label must say"),
        (lambda: Toggle("t", label="t", start=1), "start must be True or False"),
        (lambda: Toggle("t", label="t", words=("on", "on")), "two different words"),
    ],
)
def test_bad_choice_or_toggle(make, told):
    with pytest.raises(ValueError, match=told):
        make()


# --- declaration ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "order"}, "name must look like '01-order'"),
        ({"alt": "A sine of frequency {n}"}, "alt names 'n', which is no parameter"),
        ({"alt": "A sine"}, "alt must name every parameter's value, missing: k"),
        ({"alt": ""}, "alt must be a sentence"),
        ({"look_for": ""}, "look_for must tell"),
        ({"size": (3, 0)}, "size must be"),
        ({"size": 5}, r"size must be \(width, height\) in inches, 1 to 20 each; got 5"),
        ({"size": ("7", "4")}, r"size must be \(width, height\)"),
        ({"alt": "A sine of frequency {k"}, "alt must have its braces in pairs"),
        ({"alt": "A sine of frequency {k}}"}, "alt must have its braces in pairs"),
    ],
)
def test_bad_declaration(changed, told):
    with pytest.raises(ValueError, match=told):
        explorer(**changed)


def test_bad_controls():
    with pytest.raises(ValueError, match="repeated: k"):
        explorer(curve, slider(), slider())
    with pytest.raises(TypeError, match="controls must be Slider, Choice or Toggle"):
        explorer(curve, "k")
    with pytest.raises(ValueError, match="without a control"):
        Explorer(curve, name="00-none", alt="x", look_for="x")
    with pytest.raises(TypeError, match=r"update\(k\) does not take the parameters n"):
        explorer(curve, slider("n"), alt="{n}")
    with pytest.raises(TypeError, match="must return the function update"):
        explorer(lambda fig: None)


def test_static_grid_has_a_budget():
    many = [slider("k", grid=9), slider("m", grid=9), slider("n", grid=3, start=5)]
    told = r"9 \(k\) × 9 \(m\) × 3 \(n\) = 243 frames, more than 150"
    with pytest.raises(ValueError, match=told):
        explorer(lambda fig: lambda k, m, n: None, *many, alt="{k} {m} {n}")
    many[1] = slider("m", live_only=True)
    e = explorer(lambda fig: lambda k, m, n: None, *many, alt="{k} {m} {n}")
    assert {name: len(values) for name, values in e.grid().items()} == {"k": 9, "m": 1, "n": 3}


def test_alt_text_follows_the_parameters():
    controls = [
        slider(min=1.0, max=9.0, start=3.0, unit="Hz"),
        Toggle("on", label="on", words=("dark", "lit")),
    ]
    e = explorer(lambda fig: lambda k, on: None, *controls, alt="At {k} it is {on}; k = {k:.2f}.")
    assert e.alt == "At 3 Hz it is dark; k = 3.00."
    assert e.describe(k=9.0, on=True) == "At 9 Hz it is lit; k = 9.00."
    assert explorer(alt=lambda k: f"{k + 1}").describe(k=4) == "5"


# --- what it leaves in a notebook -----------------------------------------------------------------


def test_first_frame_is_stored_with_its_alt_text():
    data, metadata = explorer()._repr_mimebundle_()
    assert data["text/plain"] == "Explorer('00-curve', k=3)"
    assert metadata["image/png"]["alt"] == "A sine of frequency 3"
    assert (metadata["image/png"]["width"], metadata["image/png"]["height"]) == (330, 220)
    assert data["image/png"] == explorer()._repr_mimebundle_()[0]["image/png"]


def test_stored_picture_is_that_of_the_start():
    e = explorer()
    before = e._repr_mimebundle_()[0]["image/png"]
    e.frame(k=9)
    assert e._repr_mimebundle_()[0]["image/png"] == before


def test_the_picture_on_the_screen_is_lossless_and_the_stored_one_smaller():
    pixels = explorer().frame(k=5).copy()
    fast, small = encode_fast(pixels), encode_small(pixels)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(fast))), pixels[..., :3])
    stored = np.asarray(Image.open(io.BytesIO(small)).convert("RGB")).astype(int)
    assert len(small) < len(fast) / 2
    assert np.abs(stored - pixels[..., :3]).max() < 32 and np.abs(stored - pixels[..., :3]).mean() < 0.5
    assert (stored[0, 0] == 255).all(), "white stays white"


def test_show_displays_and_closes(monkeypatch):
    shown = []
    monkeypatch.setattr(
        sys.modules["helpers.lesson.show"],
        "display",
        lambda data, **rest: shown.append((data, rest["metadata"])),
    )
    fig = pyplot.figure(figsize=(4, 2))
    fig.subplots().plot(x, x)
    show(fig, "A straight line")
    assert not pyplot.fignum_exists(fig.number)
    ((data, metadata),) = shown
    assert data["text/plain"] == "<Figure 440x220>"
    assert metadata["image/png"] == {"alt": "A straight line", "width": 440, "height": 220}
    assert Image.open(io.BytesIO(data["image/png"])).size == (660, 330)
    with pytest.raises(ValueError, match="alt must say"):
        show(fig, "  ")
    with pytest.raises(TypeError, match="must be a matplotlib Figure"):
        show("picture.png", "A picture")


# --- exactness of partial redraws -----------------------------------------------------------------
# Each build has something in front of, behind or beside what moves. It is driven with update returning what
# it moved, and with update returning nothing.


def lines_and_legend(fig):
    ax = fig.subplots()
    lines = [ax.plot(x, x, lw=4, label=f"curve {i}")[0] for i in range(2)]
    ax.set_ylim(-0.5, 0.5)
    ax.grid(True)
    ax.legend(loc="upper right")

    def update(k):
        for i, line in enumerate(lines):
            line.set_ydata(np.sin((k + i) * x))
        ax.set_title(f"k = {k}")
        return [lines, ax.title]

    return update


def legend_that_wanders(fig):
    ax = fig.subplots()
    (line,) = ax.plot(x, x, label="curve")
    ax.legend(loc="best")
    ax.set(xlim=(0, 1), ylim=(0, 1))

    def update(k):  # leaves the upper right corner, the first choice of a legend, when k grows
        line.set_data(0.8 + 0.2 * x if k < 5 else 0.2 * x, 0.8 + 0.2 * x if k < 5 else 0.2 * x)
        return [line]

    return update


def legend_that_changes(fig):
    ax = fig.subplots()
    (line,) = ax.plot(x, x, label="curve")
    legend = ax.legend(loc="upper left")

    def update(k):
        line.set_ydata(x**k)
        legend.get_texts()[0].set_text("curve " * k)
        return [line, legend]

    return update


def image_under_axes(fig):
    ax = fig.subplots()
    image = ax.imshow(np.zeros((5, 5)), vmin=0, vmax=9, extent=(0, 1, 0, 1), aspect="auto")
    ax.plot(x, x, "w")
    ax.grid(True)

    def update(k):
        image.set_data(np.full((5, 5), k))
        return [image]

    return update


def fill_behind_ticks(fig):
    ax = fig.subplots()
    fill = ax.fill_between(x, 0, x)
    ax.set(xlim=(0, 1), ylim=(0, 1))

    def update(k):
        fill.set_verts([np.column_stack([[0, *x, 1], [0, *x**k, 0]])])
        return [fill]

    return update


def twin_axes(fig):
    ax = fig.subplots()
    (line,) = ax.plot(x, x, lw=8)
    other = ax.twinx()
    other.plot(x, 1 - x, "r", lw=8)
    ax.set_ylim(0, 1)

    def update(k):
        line.set_ydata(x**k)
        return [line]

    return update


def inset(fig):
    ax = fig.subplots()
    ax.plot(x, x)
    small = ax.inset_axes([0.1, 0.5, 0.4, 0.4])
    (line,) = small.plot(x, x)
    ax.annotate("in front", (0.3, 0.7))

    def update(k):
        line.set_ydata(x**k)
        return [line]

    return update


def polar(fig):
    ax = fig.add_subplot(projection="polar")
    (line,) = ax.plot(6 * x, x)

    def update(k):
        line.set_ydata(x**k)
        return [line]

    return update


def solid(fig):
    ax = fig.add_subplot(projection="3d")
    points = ax.scatter(x, x, x)

    def update(k):
        points._offsets3d = (x, x**k, x)
        return [points]

    return update


def without_axis(fig):
    ax, framed = fig.subplots(1, 2)
    image = ax.imshow(np.zeros((5, 5)), vmin=0, vmax=9)
    ax.set_axis_off()
    (line,) = framed.plot(x, x)
    framed.set_frame_on(False)

    def update(k):
        image.set_data(np.full((5, 5), k))
        line.set_ydata(x**k)
        return [image, line]

    return update


def side_by_side(fig):
    left, right = fig.subplots(1, 2)
    segments = LineCollection([], colors="k")
    left.add_collection(segments)
    left.set(xlim=(0, 1), ylim=(0, 1), title="left")
    points = right.scatter(x, x, c=x, vmin=0, vmax=9)
    fig.suptitle("both")
    fig.legend(handles=[points], labels=["points"], loc="outside lower center")

    def update(k):
        segments.set_segments([np.column_stack([x, x**k])])
        points.set_offsets(np.column_stack([x, x**k]))
        points.set_array(x * k)
        return [segments, points]

    return update


def bars_and_errors(fig):
    ax = fig.subplots()
    bars = ax.bar([0, 1, 2], [1, 2, 3])
    text = ax.text(1, 5, "")
    ax.set_ylim(0, 9)

    def update(k):
        for bar in bars:
            bar.set_height(k)
        text.set_text(f"height {k}")
        return [bars, text]

    return update


def limits_that_move(fig):
    ax = fig.subplots()
    (line,) = ax.plot(x, x)

    def update(k):
        line.set_ydata(k * x)
        ax.set_ylim(0, k)
        ax.set_xlabel(f"x times {k}")
        return [line]

    return update


def contours_made_anew(fig):
    ax = fig.subplots()
    ax.plot(x, x)
    here = []

    def update(k):
        while here:
            here.pop().remove()
        here.append(ax.contour(x, x, np.hypot(*np.meshgrid(x, x)) ** k, levels=3))
        return here

    return update


def vanishing(fig):
    ax = fig.subplots()
    (line,) = ax.plot(x, x)
    (other,) = ax.plot(x, 1 - x)

    def update(k):
        line.set_visible(k > 1)
        other.set_alpha(0.1 * k)
        return [line, other]

    return update


BUILDS = [
    curve, lines_and_legend, legend_that_wanders, legend_that_changes, image_under_axes, fill_behind_ticks,
    twin_axes, inset, polar, solid, without_axis, side_by_side, bars_and_errors, limits_that_move,
    contours_made_anew, vanishing,
]  # fmt: skip


def silent(build):
    """`build` with an update that does not say what it moved."""

    def build_silently(fig):
        update = build(fig)

        def update_silently(k):
            update(k)

        return update_silently

    return build_silently


@pytest.mark.parametrize("says", [True, False], ids=["returns", "silent"])
@pytest.mark.parametrize("build", BUILDS, ids=lambda b: b.__name__)
def test_partial_redraw_equals_full_redraw(build, says):
    e = explorer(build if says else silent(build))
    alone = {k: e.fresh_canvas().frame({"k": k}, whole=True).copy() for k in (3, 4, 8)}
    for k in (3, 4, 4, 8, 3):
        assert np.array_equal(e.frame(k=k), alone[k]), f"k = {k}"
    for k in (4, 8):
        partial = e.frame(k=k, scale=1.5).copy()
    assert np.array_equal(partial, e.fresh_canvas().frame({"k": 8}, scale=1.5, whole=True)), "dense screen"


@pytest.mark.parametrize("build", [lines_and_legend, side_by_side, vanishing], ids=lambda b: b.__name__)
@pytest.mark.parametrize("says", [True, False], ids=["returns", "silent"])
def test_moves_do_not_draw_the_figure(build, says, monkeypatch):
    e = explorer(build if says else silent(build))
    for k in range(1, 10):  # whatever can change has changed once
        e.frame(k=k)
    drawn = []
    monkeypatch.setattr(e._canvas._agg, "draw", lambda: drawn.append(1))
    pictures = {e.frame(k=k).tobytes() for k in range(1, 10)}
    assert not drawn and len(pictures) == 9


def test_a_silent_update_is_found_out_exactly():
    e = explorer(silent(lines_and_legend))
    (ax,) = e._canvas.figure.axes
    for k in (3, 4, 5):
        ax.set_ylim(-1, k // 4 + 1)  # at 4 everything is painted whole
        e.frame(k=k)
    assert {a for a in e._canvas._changing if getattr(a, "get_text", lambda: "x")()} == {*ax.lines, ax.title}


def test_layout_is_frozen():
    e = explorer(limits_that_move)
    places = []
    for k in (1, 9):
        e.frame(k=k)
        places.append(e._canvas.figure.axes[0].get_position().bounds)
    assert places[0] == places[1]


def test_update_that_returns_the_figure_is_painted_whole():
    def build(fig):
        update = curve(fig)

        def whole(k):
            update(k)
            fig.axes[0].tick_params(labelsize=4 + k)  # matplotlib keeps no account of this
            return fig

        return whole

    explorer(build).drive()


def test_update_must_return_artists_of_its_figure():
    (stranger,) = Figure().subplots().plot(x, x)
    for returned, told in [
        (3, "must return the artists"),
        ("line", "must return the artists"),
        (stranger, "its own figure"),
    ]:
        canvas = Canvas(lambda fig, returned=returned: lambda k: returned, (3, 2), start={"k": 1})
        with pytest.raises(TypeError, match=told):
            canvas.frame({"k": 2})


# --- what driving visits and catches --------------------------------------------------------------


def test_states_visited():
    controls = [slider(), Choice("m", label="m", options=["a", "b", "c"]), Toggle("t", label="t")]
    visited = [tuple(s.values()) for s in states_of(controls)]
    assert visited[0] == (3, "a", False)
    assert set(visited) == {
        (3, "a", False), (1, "a", False), (9, "a", False), (3, "b", False), (3, "c", False), (3, "a", True),
        (9, "c", True),
    }  # fmt: skip


def test_driving_leaves_the_corners_in():
    two = [slider("k"), slider("n")]
    assert {tuple(s.values()) for s in states_of(two)} == {
        (3, 3),
        (1, 3),
        (9, 3),
        (3, 1),
        (3, 9),
        (9, 9),
        (1, 1),
    }


def broken_at_the_end(fig):
    update = curve(fig)

    def at_end(k):
        if k == 9:
            raise ZeroDivisionError("nothing is left")
        return update(k)

    return at_end


def forgets_an_artist(fig):
    ax = fig.subplots()
    lines = [ax.plot(x, x)[0] for _ in range(2)]

    def update(k):
        for i, line in enumerate(lines):
            line.set_ydata(x ** (k + i))
        return lines[1:]  # the first one lies behind

    return update


def touches_behind_the_back(fig):
    update = curve(fig)

    def unaccounted(k):
        fig.axes[0].tick_params(labelsize=4 + k)
        update(k)

    return unaccounted


def remembers(fig):
    ax = fig.subplots()
    (line,) = ax.plot(x, x)
    ax.set_ylim(0, 9)
    highest = [0]

    def update(k):
        highest[0] = max(highest[0], k)
        line.set_ydata(highest[0] * x)
        return [line]

    return update


def sets_once(fig):
    ax = fig.subplots()
    (line,) = ax.plot(x, x)

    def update(k):
        if k > 5:
            line.set_linestyle("--")
        line.set_ydata(x**k)

    return update


def warns_at_the_end(fig):
    update = curve(fig)

    def at_end(k):
        if k == 9:
            warnings.warn("division by zero", RuntimeWarning, stacklevel=1)
        return update(k)

    return at_end


def grows(fig):
    update = curve(fig)

    def larger(k):
        fig.set_size_inches(3, 3 if k == 9 else 2)
        update(k)

    return larger


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (broken_at_the_end, "at k=9: ZeroDivisionError: nothing is left"),
        (forgets_an_artist, "changed something that it did not return"),
        (touches_behind_the_back, "changed something that it did not return"),
        (remembers, "depends on what was shown before"),
        (sets_once, "depends on what was shown before"),
        (warns_at_the_end, "at k=9: RuntimeWarning: division by zero"),
        (grows, "the size of the picture is not constant"),
    ],
    ids=lambda b: getattr(b, "__name__", ""),
)
def test_driving_catches(build, told):
    e = explorer(build)
    with pytest.raises(DriveError, match=told) as caught:
        e.drive()
    assert "Explorer '00-curve'" in str(caught.value)


def test_driving_catches_alt_texts_that_do_not_differ():
    with pytest.raises(DriveError, match="alt text is the same as at k=3"):
        explorer(alt=lambda k: "A sine").drive()
    with pytest.raises(DriveError, match="alt text must be a sentence"):
        explorer(alt=lambda k: "" if k == 9 else str(k)).drive()


def test_one_variable_makes_every_explorer_drive_itself(monkeypatch, tmp_path):
    monkeypatch.setenv("HELPERS_BUILD", str(tmp_path))
    explorer(broken_at_the_end)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("HELPERS_DRIVE", "1")
    with pytest.raises(DriveError, match="at k=9"):
        explorer(broken_at_the_end)
    explorer()
    record = json.loads((tmp_path / "explorers" / "00-curve.json").read_text(encoding="utf-8"))
    assert record["name"] == "00-curve" and record["states"] == [{"k": 3}, {"k": 1}, {"k": 9}]
    assert record["static_frames"] == 9 and record["parameters"][0]["static"] == [1, 2, 3, 4, 5, 6, 7, 8, 9]


# --- live -----------------------------------------------------------------------------------------


@pytest.fixture
def answers(monkeypatch):
    """An explorer that breaks at its end, and what it sends to the browser."""
    sent = []
    monkeypatch.setattr(Explorer, "send", lambda self, content, buffers=None: sent.append((content, buffers)))
    return explorer(broken_at_the_end), sent


def test_a_move_is_answered_with_picture_and_alt_text(answers):
    e, sent = answers
    e._answer(e, {"view": "v1", "at": [4], "scale": 1}, [])
    reply, (picture,) = sent[-1]
    assert reply == {"view": "v1", "at": [4], "alt": "A sine of frequency 5"}
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture))), e.frame(k=5)[..., :3])


def test_a_dense_screen_gets_more_pixels(answers):
    e, sent = answers
    e._answer(e, {"view": "v1", "at": [4], "scale": 1.5}, [])
    assert Image.open(io.BytesIO(sent[-1][1][0])).size == (495, 330)
    e._answer(e, {"view": "v1", "at": [4], "scale": 1}, [])
    assert Image.open(io.BytesIO(sent[-1][1][0])).size == (330, 220)


@pytest.mark.parametrize("says", [True, False], ids=["behind", "in_front"])
def test_a_picture_that_cannot_be_drawn_leaves_no_traces(says, monkeypatch):
    def build(fig):
        update = curve(fig)
        text = fig.axes[0].text(0, 0, "", zorder=0)

        def with_formula(k):
            text.set_text(r"$\frac{1}$" if k == 9 else "")  # a formula is read when it is drawn
            moved = update(k)
            return moved if says else None

        return with_formula

    sent = []
    monkeypatch.setattr(Explorer, "send", lambda self, content, buffers=None: sent.append((content, buffers)))
    e = explorer(build)
    e._canvas._kept_for = None
    for position in (8, 4):
        e._answer(e, {"view": "v1", "at": [position], "scale": 1}, [])
    assert "error" in sent[0][0] and "error" not in sent[1][0]
    expected = e.fresh_canvas().frame({"k": 5}, whole=True)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(sent[1][1][0]))), expected[..., :3])
    assert np.array_equal(e._canvas.frame({"k": 5}, whole=True), expected)


def test_an_exception_is_told_to_the_reader_and_wedges_nothing(answers):
    e, sent = answers
    e._answer(e, {"view": "v1", "at": [8], "scale": 1}, [])
    reply, pictures = sent[-1]
    assert not pictures and "alt" not in reply
    assert reply["error"].startswith("This setting could not be drawn")
    assert "ZeroDivisionError: nothing is left" in reply["error"]
    e._answer(e, {"view": "v1", "at": [0], "scale": 1}, [])
    assert sent[-1][0]["alt"] == "A sine of frequency 1" and len(sent[-1][1]) == 1


def test_a_cell_run_again_leaves_nothing_of_the_explorer_before():
    first = explorer()
    figure, one = weakref.ref(first.axes()[0].figure), first.frame(k=3).copy()
    second = explorer()
    gc.collect()
    assert figure() is None and first.comm is None and second.comm is not None
    assert first not in _instances.values() and second in _instances.values()
    other = explorer(name="00-other")
    assert second.comm is not None and other.comm is not None
    assert np.array_equal(first.frame(k=3), one), "who still has it may draw it"
