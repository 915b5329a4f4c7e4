"""A reader in JupyterLab: every notebook runs, every control is worked from the keyboard, the pictures follow."""

from __future__ import annotations

import re

import pytest

from tests.browser.visit import visited
from tests.contract import Chapter
from tools.browsing import ERRORS, MINUTES, open_and_run
from tools.process import ROOT

NOTEBOOKS = ["controls.ipynb", *sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb") if visited(p.name))]
SETTLED = """(img) => img.closest('.explorer').getAttribute('aria-busy') === 'false'
  && img.complete && img.naturalWidth > 0"""
PIXELS = """async (img) => {
  const bytes = new Uint8Array(await (await fetch(img.src)).arrayBuffer());
  const hash = await crypto.subtle.digest('SHA-256', bytes);
  return [...new Uint8Array(hash)].join();
}"""


@pytest.fixture(scope="module", params=NOTEBOOKS)
def chapter(request, browser, lab, notebooks):
    """A notebook opened in JupyterLab with all its cells run; with what the page's console said meanwhile."""
    page = open_and_run(browser, lab.format(name=request.param))
    yield page, Chapter(notebooks[request.param])
    page.close()


class Watched:
    """An explorer in the page, and what a reader perceives of it."""

    def __init__(self, page, root):
        self.page, self.root, self.picture = page, root, root.locator("img")
        self.seen = self.look()

    def look(self) -> tuple[str, str]:
        """Alt text and pixels."""
        return self.picture.get_attribute("alt"), self.picture.evaluate(PIXELS)

    def height(self) -> float:
        return self.root.bounding_box()["height"]

    def settle(self) -> tuple[str, str]:
        """Wait until the picture is that of the controls; what was to be seen before."""
        handle = self.picture.element_handle()
        self.page.wait_for_function(SETTLED, arg=handle, timeout=MINUTES)
        before, self.seen = self.seen, self.look()
        return before

    def wait_for_another(self) -> tuple[str, str]:
        """What was to be seen before the alt text changed, once all is at rest."""
        handle = self.picture.element_handle()
        self.page.wait_for_function("([img, alt]) => img.alt !== alt", arg=[handle, self.seen[0]], timeout=20_000)
        before = self.settle()
        assert self.root.locator(".explorer-trouble").is_hidden()
        return before

    def is_new(self) -> None:
        """Both the alt text and the pixels have changed."""
        before = self.wait_for_another()
        assert before[0] != self.seen[0] and before[1] != self.seen[1], self.seen[0]

    def reset(self) -> None:
        """Back to the start values."""
        self.root.locator("button").press("Enter")
        self.settle()

    def press(self, control, key: str) -> None:
        control.focus()
        self.page.keyboard.press(key)


def test_every_cell_runs(chapter):
    page, notebook = chapter
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == len(notebook.code)
    errors = page.locator(ERRORS)
    assert errors.count() == 0, errors.first.inner_text()


def test_every_explorer_is_there(chapter):
    page, notebook = chapter
    for _ in notebook.explorers:
        page.wait_for_selector(".explorer img[src^=blob]", timeout=MINUTES)
    assert page.locator(".explorer").count() == len(notebook.explorers)


def explorers(page):
    for root in page.locator(".explorer").all():
        root.scroll_into_view_if_needed()
        yield Watched(page, root)


def test_every_slider_moves_the_picture(chapter):
    page, _ = chapter
    for explorer in explorers(page):
        height = explorer.height()
        for slider in explorer.root.locator("input[type=range]").all():
            spoken = slider.get_attribute("aria-valuetext")
            explorer.press(slider, "ArrowRight" if slider.input_value() != slider.get_attribute("max") else "ArrowLeft")
            explorer.wait_for_another()
            assert slider.get_attribute("aria-valuetext") != spoken
            ends = []
            for key in ("Home", "End"):
                explorer.press(slider, key)
                explorer.wait_for_another()
                ends.append(explorer.seen)
            assert ends[0][0] != ends[1][0] and ends[0][1] != ends[1][1], f"both ends look alike: {ends[0][0]}"
        assert explorer.height() == height, "the page jumped"


def test_every_choice_and_checkbox_moves_the_picture(chapter):
    page, _ = chapter
    for explorer in explorers(page):
        explorer.reset()
        for choice in explorer.root.locator("select").all():
            last = choice.evaluate("(select) => select.selectedIndex === select.length - 1")
            explorer.press(choice, "ArrowUp" if last else "ArrowDown")
            explorer.is_new()
        for box in explorer.root.locator("input[type=checkbox]").all():
            explorer.press(box, "Space")
            explorer.is_new()


def test_reset_brings_back_the_first_picture(chapter):
    page, _ = chapter
    for explorer in explorers(page):
        explorer.reset()
        first = explorer.seen
        for slider in explorer.root.locator("input[type=range]").all():
            explorer.press(slider, "End")
        for choice in explorer.root.locator("select").all():
            explorer.press(choice, "End")
        explorer.wait_for_another()
        assert explorer.seen != first
        explorer.reset()
        assert explorer.seen == first


def test_dragging_ends_on_the_last_value(chapter):
    page, _ = chapter
    for explorer in explorers(page):
        if not explorer.root.locator("input[type=range]").count():
            continue
        slider = explorer.root.locator("input[type=range]").first
        box = slider.bounding_box()
        y, left, width = box["y"] + box["height"] / 2, box["x"] + 8, box["width"] - 16
        page.mouse.move(left, y)
        page.mouse.down()
        for i in range(31):  # faster than any kernel draws
            page.mouse.move(left + width * i / 30, y)
        page.mouse.up()
        value = re.escape(slider.get_attribute("aria-valuetext"))
        explorer.settle()
        assert re.search(value, explorer.picture.get_attribute("alt")), "the picture is not that of the last value"
        assert slider.input_value() == slider.get_attribute("max")


def test_a_point_is_dragged_in_the_picture(chapter):
    page, notebook = chapter
    assert page.locator(".explorer-plane").count() == sum(cell.source.count("point=(") for cell in notebook.code)
    for explorer in explorers(page):
        for field in explorer.root.locator(".explorer-plane").all():
            explorer.reset()
            sliders = explorer.root.locator("input[type=range]").all()
            before = [slider.input_value() for slider in sliders]
            box = field.bounding_box()
            page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.3 * box["height"])
            page.mouse.down()
            for i in range(1, 11):
                page.mouse.move(box["x"] + (0.7 - 0.03 * i) * box["width"], box["y"] + (0.3 - 0.01 * i) * box["height"])
            page.mouse.up()
            page.mouse.move(box["x"], box["y"])  # without a button pressed nothing follows
            explorer.is_new()
            assert sum(s.input_value() != old for s, old in zip(sliders, before, strict=True)) == 2
            for slider in sliders:
                assert slider.get_attribute("aria-valuetext") in explorer.seen[0]


def test_every_control_has_a_name_and_every_picture_an_alternative(chapter):
    page, _ = chapter
    for explorer in explorers(page):
        tree = explorer.root.aria_snapshot()
        for kind in ("slider", "combobox", "checkbox", "img"):
            for line in re.findall(rf"^\s*- {kind}\b(.*)$", tree, flags=re.M):
                assert re.match(r' ".+"', line), f"a {kind} without a name:\n{tree}"
        assert explorer.root.locator(".explorer-look").inner_text()


def test_what_cannot_be_drawn_is_said_and_then_forgotten(browser, lab):
    page = open_and_run(browser, lab.format(name="trouble.ipynb"))
    page.wait_for_selector(".explorer img[src^=blob]", timeout=MINUTES)
    (explorer,) = explorers(page)
    slider, trouble = explorer.root.locator("input[type=range]"), explorer.root.locator(".explorer-trouble")
    height, first = explorer.height(), explorer.seen
    explorer.press(slider, "End")
    trouble.wait_for(state="visible")
    assert "ZeroDivisionError" in trouble.inner_text() and trouble.get_attribute("role") == "alert"
    assert explorer.look() == first and explorer.height() == height
    explorer.press(slider, "ArrowLeft")
    explorer.is_new()
    assert explorer.seen[0] == "n is 4"
    page.close()


def test_console_stays_silent(chapter):
    page, _ = chapter
    assert page.said == []
