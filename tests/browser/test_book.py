"""A reader of the built book, from a folder on a disk: nothing is fetched, everything moves, nothing is in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.lesson.explorer import still
from tests.browser.visit import Visit, visited
from tools.process import ROOT

SITE = ROOT / "build" / "book" / "html"
BUILT = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if "_static" not in path.parts)
PAGES = [page for page in BUILT if not page.startswith("notebooks/") or visited(page)]
CHAPTERS = [page for page in PAGES if page.startswith("notebooks/")]
DESK, TELEPHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 844}
PIXELS = "(canvas) => canvas.toDataURL()"
AT_REST = "(e) => e.getAttribute('aria-busy') === 'false'"


def test_the_book_is_there():
    written = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    chapters = {page for page in BUILT if page.startswith("notebooks/")}
    assert {page.removeprefix("notebooks/").removesuffix(".html") for page in chapters} == written
    assert CHAPTERS and "index.html" in PAGES and "search.html" in PAGES


def opened(browser, name: str, *, viewport=DESK, scheme="light") -> Visit:
    """A page of the book, watched."""
    return Visit(browser, SITE / name, viewport=viewport, scheme=scheme)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_telephone_in_the_dark(browser, name):
    with opened(browser, name, viewport=TELEPHONE, scheme="dark") as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= TELEPHONE["width"]
        assert visit.page.locator("h1").count() == 1


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(browser, name):
    with opened(browser, name) as visit:
        for details in visit.page.locator("article details").all():
            details.evaluate("(e) => { e.open = true; }")  # what is folded is read, too
        found = [told for scheme in ("light", "dark") for told in serious(visit.page, scheme)]
    assert not found, "\n".join(found)


def serious(page, scheme: str) -> list[str]:
    """What axe-core calls serious or critical, a line for each of the first places."""
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    # without preload: it would fetch the style sheets, which a browser refuses to do from a disk
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
    return [
        f"{scheme}: {fault['id']} ({fault['impact']}): {fault['help']}: {place['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for place in fault["nodes"][:3]
    ]


@pytest.fixture(scope="module")
def controls(tmp_path_factory, notebooks) -> Path:
    """A page with one explorer that has every kind of control."""
    names: dict = {}
    for cell in notebooks["controls.ipynb"].cells:
        exec(cell.source.replace("Explorer(\n", "explorer = Explorer(\n"), names)
    file = tmp_path_factory.mktemp("page") / "controls.html"
    parts = ("<!doctype html><meta charset=utf-8><style>", still.style(), "</style>", still.page(names["explorer"]))
    file.write_text("".join([*parts, "<script>", still.script(), "</script>"]), encoding="utf-8")
    return file


@pytest.fixture(params=[*CHAPTERS, "controls"])
def with_explorers(request, controls) -> str:
    """A page with explorers: a chapter, or our own; its place in the site, or on the disk."""
    return str(controls) if request.param == "controls" else request.param


def counted(name: str, mark: str) -> int:
    """How often a page's file holds some text."""
    return (SITE / name).read_text(encoding="utf-8").count(mark)


def test_every_control_moves_the_picture_and_its_words(browser, with_explorers):
    with opened(browser, with_explorers) as visit:
        explorers = visit.page.locator(".explorer").all()
        assert len(explorers) == counted(with_explorers, 'class="explorer-still"') > 0
        for explorer in explorers:
            for control in explorer.locator("input:not(:disabled), select:not(:disabled)").all():
                work(visit.page, explorer, control)
            explorer.locator("button").press("Enter")


def work(page, explorer, control) -> None:
    """Move one control by keyboard; canvas, alt text and spoken value must follow, and the page must not jump."""
    canvas, height = explorer.locator("canvas"), explorer.bounding_box()["height"]
    kind = control.evaluate("(e) => e.type")
    assert control.evaluate("(e) => e.labels.length") == 1

    def seen() -> tuple[str, str, str | None]:
        page.wait_for_function(AT_REST, arg=explorer.element_handle())
        return canvas.get_attribute("aria-label"), canvas.evaluate(PIXELS), control.get_attribute("aria-valuetext")

    before = seen()
    last = kind == "select-one" and control.evaluate("(e) => e.selectedIndex === e.length - 1")
    keys = {"checkbox": ["Space"], "select-one": ["ArrowUp" if last else "ArrowDown"]}.get(kind, ["Home", "End"])
    states = []
    for key in keys:
        control.focus()
        page.keyboard.press(key)
        states.append(seen())
    one, other = (states[0], states[1]) if kind == "range" else (before, states[0])
    assert one[0] != other[0], f"the words stay the same: {one[0]}"
    assert one[1] != other[1], f"the picture stays the same: {one[0]}"
    if kind == "range":
        assert one[2] != other[2]
    assert explorer.bounding_box()["height"] == height, "the page jumped"


def test_a_point_is_dragged_over_the_grid_of_the_page(browser, with_explorers):
    with opened(browser, with_explorers) as visit:
        fields = visit.page.locator(".explorer-plane").all()
        assert len(fields) == counted(with_explorers, '"plane":{"controls"')
        for field in fields:
            explorer = field.locator("xpath=ancestor::*[@class='explorer']")
            sliders = explorer.locator("input[type=range]").all()
            field.scroll_into_view_if_needed()
            box, ends = field.bounding_box(), []
            visit.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
            visit.page.mouse.down()
            for across, up in ((0.02, 0.98), (0.98, 0.02)):
                visit.page.mouse.move(box["x"] + across * box["width"], box["y"] + up * box["height"])
                visit.page.wait_for_function(AT_REST, arg=explorer.element_handle())
                ends.append([slider.get_attribute("aria-valuetext") for slider in sliders])
                words = explorer.locator("canvas").get_attribute("aria-label")
                assert all(text in words for text in ends[-1])
            visit.page.mouse.up()
            assert all(one != other for one, other in zip(*ends, strict=True)), ends


# Of every block of code or text: how many letters are out of sight, and their size in pixels.
BLOCKS = "(all) => all.map((e) => [e.scrollWidth - e.clientWidth, parseFloat(getComputedStyle(e).fontSize)])"


@pytest.mark.parametrize("viewport", [DESK, TELEPHONE], ids=["desk", "telephone"])
@pytest.mark.parametrize("name", CHAPTERS)
def test_code_is_large_and_whole(browser, name, viewport):
    with opened(browser, name, viewport=viewport) as visit:
        visit.page.locator("article details").evaluate_all("(all) => all.forEach((e) => { e.open = true; })")
        blocks = visit.page.locator("article pre").evaluate_all(BLOCKS)
        assert len(blocks) > 10
        assert all(hidden <= 0 and size >= 13 for hidden, size in blocks), blocks


@pytest.mark.parametrize("name", CHAPTERS)
def test_on_a_telephone_a_picture_scrolls_instead_of_shrinking(browser, name):
    with opened(browser, name, viewport=TELEPHONE) as visit:
        for explorer in visit.page.locator(".explorer").all():
            canvas, window = explorer.locator("canvas"), explorer.locator(".explorer-window")
            box, frame = canvas.bounding_box(), explorer.locator(".explorer-frame").bounding_box()
            assert round(box["width"]) >= 640 or box["width"] == canvas.evaluate("(e) => e.width")
            assert box["width"] == pytest.approx(frame["width"], abs=1), "a point would be dragged beside the picture"
            assert box["height"] == pytest.approx(frame["height"], abs=1)
            assert window.evaluate("(e) => e.scrollWidth > e.clientWidth && e.tabIndex === 0")
            scroll_to_the_end(window)


def test_a_wide_table_shows_that_there_is_more(browser):
    with opened(browser, "book/glossary.html", viewport=TELEPHONE) as visit:
        scroll_to_the_end(visit.page.locator(".table-wrapper").first)
        visit.page.set_viewport_size(DESK)
        visit.page.wait_for_function("() => !document.querySelector('.more-left, .more-right')")
        assert visit.page.locator(".table-wrapper[tabindex]").count() == 0


def scroll_to_the_end(box) -> None:
    """By keyboard, with what its edges show at both ends."""
    edges = "(e) => ['left', 'right'].filter((side) => e.classList.contains(`more-${side}`)).join()"
    assert box.evaluate(edges) == "right"
    assert "gradient" in box.evaluate("(e) => getComputedStyle(e).maskImage")
    box.focus()
    box.press("ArrowRight")
    box.page.wait_for_function(f"(e) => ({edges})(e) === 'left,right'", arg=box.element_handle())
    assert box.evaluate("(e) => getComputedStyle(e).maskImage") == "none", "the focus would not be seen"
    box.evaluate("(e) => e.scrollTo(e.scrollWidth, 0)")
    box.page.wait_for_function(f"(e) => ({edges})(e) === 'left'", arg=box.element_handle())


def test_a_sign_has_its_row(browser):
    with opened(browser, "book/glossary.html") as visit:
        visit.page.goto((SITE / "book" / "glossary.html").as_uri() + "#sign-r")
        row = visit.page.locator("tr:has(:target)")
        assert "stability function" in row.inner_text()
        assert row.evaluate("(e) => getComputedStyle(e).backgroundColor") != "rgba(0, 0, 0, 0)"


LOOKS = "(e) => ['backgroundColor', 'boxShadow', 'fontSize', 'color', 'border'].map((key) => getComputedStyle(e)[key])"


@pytest.mark.parametrize("name", CHAPTERS)
def test_solutions_and_hints_are_folded_alike(browser, name):
    with opened(browser, name) as visit:
        folds = visit.page.locator("article details")
        assert folds.count() >= 3
        assert folds.evaluate_all("(all) => all.every((e) => !e.open)")
        solution = visit.page.get_by_text("A solution", exact=True).first
        code = solution.locator("xpath=ancestor::details").locator("pre").first
        assert not code.is_visible()
        solution.click()
        assert code.is_visible()
        for part in ("", "/summary"):
            fold = solution.locator(f"xpath=ancestor::details{part}")
            hint = visit.page.get_by_text("Hint 1 of 2").first.locator(f"xpath=ancestor::details{part}")
            assert fold.evaluate(LOOKS) == hint.evaluate(LOOKS), "they look alike"


def test_the_search_finds_a_word_without_a_server(browser):
    with opened(browser, "search.html") as visit:
        visit.page.goto((SITE / "search.html").as_uri() + "?q=PolyNet")
        visit.page.wait_for_selector("ul.search li a")
        hits = visit.page.locator("ul.search li a").evaluate_all("(all) => all.map((a) => a.textContent)")
        assert any("residual network" in hit for hit in hits), hits


def test_the_page_of_the_search_says_what_it_finds(browser):
    with opened(browser, "search.html") as visit:
        assert "glossary" in visit.page.locator("#search-finds").inner_text()
        field = visit.page.locator("article input[type=search], main input[type=search]").first
        field.fill("Euler–Maruyama")
        field.press("Enter")
        visit.page.wait_for_selector("ul.search li a")
        assert field.input_value() == "Euler–Maruyama"


def test_the_scheme_can_be_chosen(browser):
    with opened(browser, "index.html") as visit:
        ground = "() => getComputedStyle(document.body).backgroundColor"
        seen = set()
        for _ in range(3):
            visit.page.locator(".theme-toggle-content button").click()
            seen.add(visit.page.evaluate(ground))
        assert len(seen) == 2


def test_a_claim_on_the_page_of_evidence_leads_to_its_cell(browser):
    with opened(browser, "book/evidence.html") as visit:
        visit.page.locator("#evidence-0-4 a").first.click()
        visit.page.wait_for_url("**/00_start_here.html#claim-0-4")
        cell = visit.page.locator("#claim-0-4 ~ .cell").first
        assert "0.4 holds" in cell.inner_text()


def test_a_code_cell_can_be_copied(browser):
    with opened(browser, CHAPTERS[0]) as visit:
        assert visit.page.locator("div.cell_input button.copybtn").count() > 10
