"""A lecturer with the decks, from a folder on a disk: every slide fits, is large, and keeps its explorers' keys."""

from __future__ import annotations

import json

import pytest

from tests.browser.visit import Visit, visited
from tests.contract import Chapter
from tools.process import ROOT

SLIDES = ROOT / "build" / "slides"
BUILT = sorted(path.name for path in SLIDES.glob("*.html"))
DECKS = [name for name in BUILT if visited(name)]
PROJECTORS = [{"width": 1280, "height": 720}, {"width": 1920, "height": 1080}]
SMALLEST = 24  # pixels of 720, of any letter but the footer's
LEAST = 0.33  # of the slide's height, for a picture
SHOW = "(e) => { const at = Reveal.getIndices(e.closest('section')); Reveal.slide(at.h, at.v); }"
# Every slide in turn, with all its fragments, and what would not be seen from the back or at all.
TURN_THE_PAGES = """async ([smallest, least]) => {
  const found = [], frame = () => new Promise(requestAnimationFrame);
  for (const slide of document.querySelectorAll('.slide')) {
    const { h, v } = Reveal.getIndices(slide.parentElement);
    Reveal.slide(h, v, 99);
    await frame();
    const name = slide.querySelector('footer span').textContent, say = (words) => found.push(`${name}: ${words}`);
    const scale = Reveal.getScale(), box = slide.getBoundingClientRect();
    const foot = slide.querySelector('footer').getBoundingClientRect().top;
    if (Math.abs(box.width - innerWidth) + Math.abs(box.height - innerHeight) > 1) say("it does not fill the screen");
    if (slide.scrollHeight > slide.clientHeight || slide.scrollWidth > slide.clientWidth) say('it overflows');
    const parts = ":scope > :not(footer), .alive *:not(.explorer-spoken), svg, pre, table";
    for (const part of slide.querySelectorAll(parts)) {
      const { right, bottom, width } = part.getBoundingClientRect(), kind = part.getAttribute('class');
      if (width && (bottom > foot + 1 || right > box.right + 1)) say(`${part.tagName} ${kind} stands out`);
    }
    const words = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
      const { textContent: text, parentElement: around } = words.currentNode;
      if (!text.trim() || around.closest('footer, script, mjx-assistive-mml, .explorer-spoken, [hidden]')) continue;
      if (!around.checkVisibility()) continue;
      if (parseFloat(getComputedStyle(around).fontSize) < smallest) say(`too small: ${text}`);
      if (!around.closest('pre, code') && /\\$|\\\\[[(]|\\*\\*|<\\/?\\w+>/.test(text)) say(`not set: ${text}`);
    }
    for (const control of slide.querySelectorAll('.alive [type=range]:enabled')) {
      if (control.getBoundingClientRect().width < 100 * scale) say(`${control.dataset.name}: too narrow a control`);
    }
    for (const picture of slide.querySelectorAll('.picture, canvas')) {
      const { width, height } = picture.getBoundingClientRect();
      const ratio = (picture.naturalWidth || picture.width) / (picture.naturalHeight || picture.height);
      if (picture.matches('canvas') && Math.abs(width / height / ratio - 1) > 0.01) say('a picture out of shape');
      if (Math.min(height, width / ratio) < least * box.height) say(`a small picture: ${Math.round(height / scale)}`);
    }
  }
  return found;
}"""

TURN_TO_THE_LONGEST_NOTES = """() => {
  const length = (slide) => slide.querySelector('aside.notes')?.textContent.length ?? 0;
  const slides = Reveal.getSlides(), most = Math.max(...slides.map(length));
  const { h, v } = Reveal.getIndices(slides.find((slide) => length(slide) === most));
  Reveal.slide(h, v);
  return most;
}"""


def opened(browser, name: str, *, viewport=PROJECTORS[0]) -> Visit:
    """A deck, watched, once it is ready."""
    visit = Visit(browser, SLIDES / name, viewport=viewport)
    visit.page.wait_for_selector(".reveal.ready")
    return visit


def test_every_chapter_has_a_deck_and_a_draft_may():
    chapters = [Chapter.read(path) for path in (ROOT / "notebooks").glob("*.ipynb")]
    decks = {name.removesuffix(".html") for name in BUILT}
    assert DECKS and decks <= {chapter.path.stem for chapter in chapters}
    assert {chapter.path.stem for chapter in chapters if not chapter.is_draft} <= decks


@pytest.mark.parametrize("viewport", PROJECTORS, ids=lambda size: str(size["height"]))
@pytest.mark.parametrize("name", DECKS)
def test_every_slide_can_be_read_at_the_back(browser, name, viewport):
    with opened(browser, name, viewport=viewport) as visit:
        found = visit.page.evaluate(TURN_THE_PAGES, [SMALLEST, LEAST])
        assert not found, "\n".join(found)


@pytest.mark.parametrize("name", DECKS)
def test_an_explorer_keeps_its_keys_and_the_others_turn_the_page(browser, name):
    with opened(browser, name) as visit:
        page = visit.page
        place = "() => JSON.stringify(Reveal.getIndices())"
        stored = (SLIDES / name).read_text(encoding="utf-8").count('class="explorer-still"')
        explorers = page.locator(".explorer").all()
        assert len(explorers) == stored > 0
        for explorer in explorers:
            explorer.evaluate(SHOW)
            here, canvas = page.evaluate(place), explorer.locator("canvas")
            for control in explorer.locator("input:not(:disabled), select:not(:disabled)").all():
                before = canvas.get_attribute("aria-label")
                control.focus()
                page.keyboard.press(key_for(control))
                page.wait_for_function(
                    "([e, words]) => e.getAttribute('aria-label') !== words", arg=[canvas.element_handle(), before]
                )
                assert page.evaluate(place) == here, "the key of a control turned the page"
            explorer.locator("button").press("Space")
            assert page.evaluate(place) == here
            page.keyboard.press("Escape")
            assert page.evaluate("document.activeElement === document.body")
            assert page.evaluate("() => Reveal.isOverview()") is False, "Escape only left the explorer"
            page.keyboard.press("ArrowRight")
            assert json.loads(page.evaluate(place)) != json.loads(here)


def key_for(control) -> str:
    """A key that changes a control from where it is, by an arrow where arrows do."""
    kind = control.evaluate("(e) => e.type")
    if kind == "checkbox":
        return "Space"
    at_end = "e.selectedIndex === e.length - 1" if kind == "select-one" else "e.value === e.max"
    last = control.evaluate(f"(e) => {at_end}")
    back, forth = ("ArrowUp", "ArrowDown") if kind == "select-one" else ("ArrowLeft", "ArrowRight")
    return back if last else forth


@pytest.mark.parametrize("key", ["ArrowRight", "Space", "PageDown"])
def test_one_key_leads_through_the_whole_deck(browser, key):
    with opened(browser, DECKS[0]) as visit:
        page = visit.page
        seen = set()
        for _ in range(200):
            seen.add(page.evaluate("() => Reveal.getCurrentSlide().querySelector('footer').textContent"))
            if page.evaluate("() => Reveal.isLastSlide() && !Reveal.availableFragments().next"):
                break
            page.keyboard.press(key)
        assert len(seen) == page.locator(".slide").count()


def test_the_speaker_has_the_prose(browser):
    with opened(browser, DECKS[-1]) as visit:
        with visit.page.expect_popup() as popup:
            visit.page.keyboard.press("s")
        popup.value.wait_for_selector(".speaker-controls-notes", state="attached")
        longest = visit.page.evaluate(TURN_TO_THE_LONGEST_NOTES)
        assert longest > 200
        shown = "(n) => document.querySelector('.speaker-controls-notes').innerText.length > n / 2"
        popup.value.wait_for_function(shown, arg=longest)
