"""Explorers without a kernel: every picture in the page, exact, and no more of them than the panels need."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from helpers.lesson.explorer import Choice, Explorer, Slider, Toggle, still
from helpers.lesson.explorer.driving import DriveError

X = np.linspace(0, 1, 50)


def two_panels(figure):
    left, right = figure.subplots(1, 2)
    (line,) = left.plot(X, X)
    (bar,) = right.bar([0], [1])
    for ax in (left, right):
        ax.set(xlim=(-1, 2), ylim=(-1, 6))

    def update(k, height, red):
        line.set_ydata(k * X)
        line.set_color("#d55e00" if red else "black")
        bar.set_height(height)
        return [line, bar]

    return update


def explorer(build=two_panels, *, panels=(("k", "red"), ("height",)), **changes):
    controls = [
        Slider("k", label="slope", min=0, max=5, start=1),
        Slider("height", label="height", min=1, max=5, start=2, unit="cm"),
        Toggle("red", label="in red", start=False),
    ]
    words = {"name": "00-two", "alt": "Slope {k:.1f}, height {height}, red: {red}.", "look_for": "The <line>."}
    return Explorer(build, *controls, size=(4, 2), panels=panels, **{**words, **changes})


def read(html):
    """The first picture and the data of a page."""
    picture = re.search(r'src="data:image/webp;base64,([^"]+)"', html)[1]
    return pixels(picture), json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.S)[1])


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA")).copy()


def shown(ground, data, at):
    """What the page paints at these positions, by the rule that its script follows."""
    picture = ground.copy()
    for part in data["parts"]:
        place = 0
        for i in part["controls"]:
            place = place * len(data["controls"][i]["texts"]) + at[i]
        over = pixels(part["pictures"][part["which"][place]])
        left, top = part["corner"]
        box = picture[top : top + over.shape[0], left : left + over.shape[1]]
        box[over[..., 3] > 0] = over[over[..., 3] > 0]
    return picture[..., :3].astype(int)


@pytest.mark.parametrize("panels", [(), (("k", "red"), ("height",))], ids=["whole", "panels"])
def test_every_state_is_in_the_page(panels):
    it = explorer(panels=panels)
    ground, data = read(still.page(it))
    for at in [(1, 1, 0), (0, 0, 0), (5, 4, 1), (5, 0, 0), (0, 4, 1)]:
        state = {c.name: c.static_values()[i] for c, i in zip(it.declared, at, strict=True)}
        wanted = it.frame(**state)[..., :3].astype(int)
        off = np.abs(shown(ground, data, at) - wanted).max(axis=-1)
        assert (off > 16).mean() < 0.002, (state, off.max())  # the palette alone lies between them
        assert (shown(ground, data, at)[wanted.sum(axis=-1) == 765] == 255).all()  # white stays white


def test_panels_add_and_do_not_multiply():
    whole, panels = explorer(panels=()), explorer()
    count = {len(it.panels): sum(len(p["which"]) for p in read(still.page(it))[1]["parts"]) for it in (whole, panels)}
    assert count == {0: 6 * 5 * 2, 2: 6 * 2 + 5}
    assert len(still.page(panels)) < len(still.page(whole)) / 2


def test_equal_pictures_are_stored_once():
    def build(figure):
        (line,) = figure.subplots().plot([0, 1], [0, 1])

        def update(k, height, red):
            line.set_ydata([0, k % 2])
            return [line]

        return update

    ground, data = read(still.page(explorer(build, panels=())))
    assert len(data["parts"][0]["pictures"]) == 2 and len(data["parts"][0]["which"]) == 60


def test_alt_text_of_every_state():
    it = explorer()
    data = read(still.page(it))[1]
    pieces = data["alt"]["pieces"]
    at = {"k": 5, "height": 0, "red": 1}
    order = [c["name"] for c in data["controls"]]
    said = "".join(p if isinstance(p, str) else p["texts"][at[order[p["control"]]]] for p in pieces)
    assert said == it.describe(k=5, height=1, red=True) == "Slope 5.0, height 1 cm, red: on."
    own = explorer(alt=lambda k, height, red: f"{k} and {height} and {red}")
    every = read(still.page(own))[1]["alt"]["every"]
    assert len(every) == len(set(every)) == 60 and every[0] == "0 and 1 and False" and every[-1] == "5 and 5 and True"


def test_a_reader_without_javascript_sees_the_first_picture_and_what_to_look_for():
    html = still.page(explorer())
    assert 'alt="Slope 1.0, height 2 cm, red: off."' in html and "The &lt;line&gt;." in html


def test_a_control_that_moves_in_jupyter_only_stands_still():
    def build(figure):
        (line,) = figure.subplots().plot([0, 1], [0, 1])
        return lambda k, red: line.set_ydata([0, k + red]) and [line]

    it = Explorer(
        build,
        Slider("k", label="slope", min=0, max=5, start=1, live_only=True),
        Toggle("red", label="in red", start=True, live_only=True),
        name="00-fixed",
        alt="{k} {red}",
        look_for="-",
    )
    slope, red = read(still.page(it))[1]["controls"]
    assert slope["fixed"] and slope["texts"] == ["1"] and slope["start"] == 0 and "Jupyter" in slope["label"]
    assert red["fixed"] and red["kind"] == "choice" and red["texts"] == ["on"]


def test_too_much_for_a_page_says_what_to_coarsen(monkeypatch):
    monkeypatch.setattr(still, "BUDGET", 5000)
    told = r"'00-two' takes .*: 6 \(k\) × 2 \(red\) = 12 .* fit, give k a grid of [2-5] values \(it has 6\)"
    with pytest.raises(still.TooLarge, match=told):
        still.page(explorer())
    monkeypatch.setattr(still, "MOST_ALTS", 59)
    with pytest.raises(still.TooLarge, match="60 alt texts"):
        still.page(explorer(alt=lambda k, height, red: f"{k}{height}{red}"))


def test_the_output_is_that_page_where_it_is_asked_for(monkeypatch):
    it = explorer()
    assert "image/png" in it._repr_mimebundle_()[0]
    monkeypatch.setenv("HELPERS_STATIC", "1")
    data, metadata = it._repr_mimebundle_()
    assert set(data) == {"text/html", "text/plain"} and data["text/html"] == still.page(it)
    assert metadata["text/html"]["seconds"] > 0


def test_the_page_is_the_same_each_time():
    assert still.page(explorer()) == still.page(explorer())


def test_script_is_classic():
    text = still.script()
    assert "export" not in re.sub(r"//.*", "", text) and "bringToLife" in text and "makeFace" in text


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ((("k",), ("hight",)), "panels names 'hight', which is no control"),
        ((("k",), ("height",)), "panels must name every control, missing: red"),
    ],
)
def test_panels_that_contradict_the_controls(panels, message):
    with pytest.raises(ValueError, match=message):
        explorer(panels=panels)


def test_panels_are_counted_against_the_axes():
    with pytest.raises(ValueError, match="panels names the controls of 3 axes, the figure has 2"):
        still.page(explorer(panels=(("k", "red"), ("height",), ("k",))))


def test_panels_that_overlap_are_refused():
    def build(figure):
        update = two_panels(figure)
        figure.axes[0].set_title("a title so long that it reaches into the panel beside it")
        return update

    with pytest.raises(ValueError, match="reach into each other"):
        still.page(explorer(build))


def test_driving_finds_a_control_that_changes_another_panel():
    with pytest.raises(DriveError, match="depends on a control that panels does not name there"):
        explorer(panels=(("k",), ("height", "red"))).drive()
    explorer().drive()


def test_driving_finds_a_change_between_the_panels():
    def build(figure):
        inner, heading = two_panels(figure), figure.suptitle(" ")

        def update(k, height, red):
            heading.set_text(f"slope {k}")
            return [*inner(k, height, red), heading]

        return update

    with pytest.raises(DriveError, match="or what lies between them"):
        explorer(build).drive()


def test_choices_and_numbers_keep_their_order():
    def build(figure):
        (line,) = figure.subplots().plot([0, 1], [0, 1])
        return lambda how: line.set_ydata([0, len(how)]) and [line]

    it = Explorer(
        build, Choice("how", label="how", options=["b", "aa", "ccc"]), name="00-how", alt="{how}", look_for="-"
    )
    control = read(still.page(it))[1]["controls"][0]
    assert control["texts"] == ["b", "aa", "ccc"] and control["start"] == 0
