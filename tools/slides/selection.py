"""What of a chapter is on its slides, by the metadata that JupyterLab writes and other tools read, too.

A cell whose ``slideshow.slide_type`` is "slide" begins a slide, with "subslide" it begins one that belongs to the slide
before, with "fragment" it comes on the same slide at the next key. A deck is a selection, so a cell without a type is
not shown; its prose is in the speaker's notes of the slide before, unless it is marked "skip".

Prose to be read is too long to be listened to. ``helpers.slide``, a string or a list of lines, is Markdown that a slide
shows in its place, or, of a code cell, above its output. A line of it that begins with "…" is drawn from the cell, so
that nothing is written twice: "…**Predict" stands for the paragraph that begins with these letters. A line "---" begins
a slide below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nbformat import NotebookNode

SHOWN = ("slide", "subslide", "fragment")
TYPES = (*SHOWN, "skip", "notes", "-")  # what JupyterLab offers
BREAK = re.compile(r"^---\n", re.M)
HEADING = re.compile(r"^#{1,6} +(.+)\n*", re.M)
DRAWN = re.compile(r"^…(.+)$", re.M)


@dataclass(frozen=True)
class Part:
    """What one cell gives to a slide."""

    words: str  # Markdown
    code: NotebookNode | None = None  # the cell, if it is one of code
    fragment: bool = False


@dataclass
class Slide:
    """What is on the screen at once, and what only the speaker sees, as Markdown."""

    title: str
    below: bool
    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def slides(notebook: NotebookNode) -> list[Slide]:
    """The slides of a chapter, in their order; none where no cell is marked.

    Raises:
        ValueError: a cell's type is none of those there are, a fragment has no slide, or a line drawn from a cell is
            not in it; the text names the cell.
    """
    deck: list[Slide] = []
    title = ""
    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        if kind not in (None, *TYPES):
            raise ValueError(f"cell {cell.id}: there is no slide type {kind!r}; there are {', '.join(TYPES)}")
        if kind in SHOWN:
            code = cell if cell.cell_type == "code" else None
            heading, words, *below = words_of(cell)
            if kind != "fragment":
                title = heading or title
                deck.append(Slide(title, kind == "subslide"))
            elif not deck:
                raise ValueError(f"cell {cell.id}: a fragment without a slide before it")
            deck[-1].parts.append(Part(words, code, kind == "fragment"))
            deck += [Slide(title, True, [Part(more)]) for more in below]
        if cell.cell_type == "markdown" and kind != "skip" and deck and said_otherwise(cell):
            deck[-1].notes.append(cell.source)
    return deck


def words_of(cell: NotebookNode) -> tuple[str, ...]:
    """The title that a cell gives to a slide, empty if none, the Markdown below it, and that of further slides.

    Raises:
        ValueError: a line is drawn from the cell and is not in it.
    """
    prose = cell.source if cell.cell_type == "markdown" else ""
    own = cell.metadata.get("helpers", {}).get("slide")
    own = "\n".join(own) if isinstance(own, list) else own
    words = prose if own is None else DRAWN.sub(lambda line: _paragraph(cell, line[1]), own)
    heading = HEADING.match(words)
    title = heading or HEADING.search(prose)
    return title[1] if title else "", *BREAK.split(words[heading.end() :] if heading else words)


def said_otherwise(cell: NotebookNode) -> bool:
    """Whether the prose of a cell is not on the screen as it is."""
    shown = cell.metadata.get("slideshow", {}).get("slide_type") in SHOWN
    return not shown or "slide" in cell.metadata.get("helpers", {})


def _paragraph(cell: NotebookNode, beginning: str) -> str:
    for paragraph in _paragraphs(cell.source):
        if paragraph.startswith(beginning):
            return paragraph
    raise ValueError(f"cell {cell.id}: its slide draws on a paragraph that begins with {beginning!r}; there is none")


def _paragraphs(markdown: str) -> Iterator[str]:
    yield from (paragraph.strip("\n") for paragraph in re.split(r"\n\s*\n", markdown))
