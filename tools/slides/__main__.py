"""Build a deck of slides of every chapter into build/slides.

    python run.py slides             all chapters executed
    python run.py slides 00          these executed, the others with the outputs that are stored

The chapters are executed as for the book, once for both. The folder is whole: it can be taken along, and needs no
network.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from string import Template

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from helpers.lesson.explorer import still
from tools.book import site
from tools.book.execution import Executed, collect
from tools.process import ROOT
from tools.slides import rendering
from tools.slides.selection import slides

SLIDES = ROOT / "build" / "slides"
HERE = ROOT / "book" / "deck"


def package(name: str) -> Path:
    """The folder of an installed package that is taken for its files, not for its code."""
    return Path(importlib.util.find_spec(name).origin).parent


def lay_out(chapters: Sequence[Executed], folder: Path = SLIDES) -> dict[str, int]:
    """Write the decks, and the files that they load, into the folder, which is made anew.

    Returns:
        The number of slides of each deck, by the chapter's name; a chapter without marked cells has none.

    Raises:
        ValueError: a chapter's marks are wrong; the text names chapter and cell.
    """
    shutil.rmtree(folder, ignore_errors=True)
    assets = folder / "assets"
    assets.mkdir(parents=True)
    reveal = package("sphinx_revealjs") / "_static" / "revealjs"
    mathematics = package("sphinx-mathjax-offline") / "static" / "mathjax" / "tex-svg.js"
    for file in (reveal / "dist/reveal.css", reveal / "dist/reveal.js", reveal / "plugin/notes/notes.js", mathematics):
        shutil.copy(file, assets)
    for file in (HERE / "deck.css", HERE / "deck.js"):
        shutil.copy(file, assets)
    (assets / "explorer.js").write_text(still.script(), encoding="utf-8")
    (assets / "explorer.css").write_text(still.style(), encoding="utf-8")
    (assets / "code.css").write_text(rendering.style(), encoding="utf-8")
    template = Template((HERE / "deck.html").read_text(encoding="utf-8"))
    counted = {}
    for chapter in chapters:
        try:
            deck = slides(chapter.notebook)
        except ValueError as error:
            raise ValueError(f"{chapter.path.name}: {error}") from error
        if deck:
            page = template.substitute(title=chapter.title, slides=rendering.deck(deck))
            (folder / f"{chapter.name}.html").write_text(page, encoding="utf-8")
            counted[chapter.name] = len(deck)
    return counted


def main(names: Sequence[str]) -> int:
    """Execute, lay out, look; the exit status is 1 when one of them finds something wrong."""
    started = time.monotonic()
    try:
        counted = lay_out(collect(names))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"slides: not built, because a chapter failed: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"slides: not built: {error}", file=sys.stderr)
        return 1
    if found := site.problems(SLIDES):
        print("\n".join(["slides: built, with faults:", *found]), file=sys.stderr)
        return 1
    for name, count in counted.items():
        print(f"slides: {(SLIDES / name).relative_to(ROOT)}.html ({count} slides)")
    _, size = site.measure(SLIDES)
    print(f"slides: {size / 1e6:.0f} MB, {time.monotonic() - started:.0f} s; S opens the speaker's notes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
