"""The decks' machinery on small notebooks, and the marks in the chapters."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.chapters import is_draft
from tests.contract import Chapter
from tools.book import execution
from tools.process import ROOT
from tools.slides import rendering
from tools.slides.selection import SHOWN, slides

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STILL = '<div class="explorer-still"><img src="" width="8" height="5"><p class="explorer-look">Look.</p></div>'
PROSE = """## 2 · A question

Much can be *said* about $x_k$.

$$x = 1$$

**Predict.** What is $x$?"""


def marked(cell, kind=None, words=None):
    """The cell with a slide type, and words for the slide."""
    if kind:
        cell.metadata["slideshow"] = {"slide_type": kind}
    if words is not None:
        cell.metadata["helpers"] = {"slide": words}
    return cell


def text(source, *marks):
    return marked(new_markdown_cell(source), *marks)


def code(source, *outputs, marks=()):
    return marked(new_code_cell(source, outputs=list(outputs)), *marks)


def chosen(*cells):
    return slides(new_notebook(cells=list(cells)))


# --- what is shown --------------------------------------------------------------------------------------


def test_a_deck_is_a_selection():
    assert chosen(text("# A"), code("x = 1")) == []
    one, two = chosen(text("# A\n\nWords.", "slide"), text("left out"), code("x = 1", marks=["subslide"]))
    assert (one.title, one.below, [part.words for part in one.parts]) == ("A", False, ["Words."])
    assert (two.title, two.below, two.parts[0].code.source) == ("A", True, "x = 1"), "the title stays"
    assert one.notes == ["left out"] and two.notes == []


def test_a_fragment_joins_the_slide_before():
    (slide,) = chosen(text("# A\n\nb", "slide"), code("x = 1", marks=["fragment", "Then:"]))
    assert [(part.words, part.fragment) for part in slide.parts] == [("b", False), ("Then:", True)]


def test_other_words_are_shown_and_the_prose_is_in_the_notes():
    (slide,) = chosen(text(PROSE, "slide", "Short."), text("More."), text("**2.1 (recall)** Exercise", "skip"))
    assert (slide.title, slide.parts[0].words) == ("2 · A question", "Short.")
    assert slide.notes == [PROSE, "More."]


@pytest.mark.parametrize("words", ["…$$x\n\nSo?\n\n…**Predict", ["…$$x", "", "So?", "", "…**Predict"]])
def test_paragraphs_are_drawn_from_the_cell(words):
    (slide,) = chosen(text(PROSE, "slide", words))
    assert slide.parts[0].words == "$$x = 1$$\n\nSo?\n\n**Predict.** What is $x$?"


def test_a_slide_may_have_a_title_of_its_own():
    (slide,) = chosen(code("x = 1", marks=["slide", "## Why?\n\nBecause."]))
    assert (slide.title, slide.parts[0].words) == ("Why?", "Because.")


@pytest.mark.parametrize(
    "cells, told",
    [
        ([text("# A", "slyde")], "there is no slide type 'slyde'"),
        ([text("# A", "fragment")], "a fragment without a slide before it"),
        ([text(PROSE, "slide", "…**Foretell")], "begins with '**Foretell'; there is none"),
    ],
)
def test_wrong_marks_are_told_with_their_cell(cells, told):
    with pytest.raises(ValueError, match=re.escape(told)) as error:
        chosen(*cells)
    assert cells[0].id in str(error.value)


# --- as HTML --------------------------------------------------------------------------------------------


def test_formulas_are_left_to_mathjax_and_links_lead_nowhere():
    shown = rendering.markdown("[words](../book/glossary.md#a) $a<b_c$ *x*\n\n$$a_1 & b$$\n\n| a |\n| - |\n| $\\|$ |")
    assert "<a" not in shown and "words" in shown
    assert r"\(a&lt;b_c\)" in shown and r"\[a_1 &amp; b\]" in shown and "<em>x</em>" in shown and "<td>" in shown


def test_a_cell_shows_what_it_puts_out_or_else_its_code():
    picture = new_output("display_data", {"image/png": "AA\nBB"}, metadata={"image/png": {"alt": "a < b"}})
    explorer = new_output("execute_result", {"text/html": STILL, "text/plain": "E"})
    said = new_output("stream", text="1 < 2\n")
    deck = chosen(
        text("# A", "slide"),
        code("def f(): ...", marks=["subslide"]),
        code("show()", picture, said, marks=["subslide"]),
        code("Explorer()", explorer, marks=["fragment"]),
    )
    shown = rendering.deck(deck)
    assert shown.count("<section>") == 4 and shown.count("<h1>") == 3, "one column of three slides"
    assert '<div class="part highlight">' in shown and ">f</span>" in shown and "show()" not in shown
    assert '<img class="part picture" src="data:image/png;base64,AABB" alt="a &lt; b">' in shown
    assert '<pre class="part printed">1 &lt; 2</pre>' in shown
    assert f'<div class="part fragment alive" data-prevent-swipe style="--ratio: 1.6000">{STILL}</div>' in shown
    assert '<p class="look fragment">Look.</p>' in shown
    claimed = new_output("display_data", {"text/html": "<b>holds</b>", "text/plain": "holds"})
    said = rendering.deck(chosen(text("# A", "slide"), code("claim()", claimed, marks=["fragment"])))
    assert '<div class="part fragment told"><b>holds</b></div>' in said, "no picture that swipes are kept from"
    assert re.findall(r"\d+ / \d+", shown) == ["1 / 3", "2 / 3", "3 / 3"]


# --- the chapters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if not is_draft(p)], ids=lambda path: path.stem)
def test_a_chapter_can_be_lectured_from_its_deck(path):
    notebook = nbformat.read(path, as_version=4)
    deck = slides(notebook)
    assert len(deck) >= 12
    assert deck[0].parts[0].words.startswith("**In one sentence.**")
    words = [part.words for slide in deck for part in slide.parts]
    assert sum("**Predict" in text for text in words) >= 6
    on_screen = {part.code.source for slide in deck for part in slide.parts if part.code}
    explorers = [cell for cell in notebook.cells if cell.cell_type == "code" and "Explorer(" in cell.source]
    assert len(explorers) == len(Chapter.read(path).explorers)
    assert [cell.id for cell in explorers if cell.source not in on_screen] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_words_for_a_slide_belong_to_a_cell_that_is_shown(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if "slide" in cell.metadata.get("helpers", {}):
            assert cell.metadata.get("slideshow", {}).get("slide_type") in SHOWN, cell.id


def test_marks_do_not_make_a_chapter_run_again():
    chapter = new_notebook(cells=[new_code_cell("x", id="one")])
    before = execution.fingerprint(chapter)
    marked(chapter.cells[0], "slide", "Words")
    assert execution.fingerprint(chapter) == before
    chapter.cells[0].metadata["tags"] = ["raises-exception"]
    assert execution.fingerprint(chapter) != before
