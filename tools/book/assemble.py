"""Lay the book's source out in build/book/source, as a tree like the repository's: there a link that works in
JupyterLab works too."""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import nbformat
from myst_parser.slugs import github_slugify

from tools.book.chapter import page
from tools.book.evidence import evidence
from tools.book.execution import BUILD, Executed
from tools.book.status import status
from tools.process import ROOT
from tools.student import student_copy

LINK = re.compile(r"(\]\()(?!https?:|#)([^)]+)(\))")
# A place to link to, as JupyterLab and GitHub know it; before a heading it names that.
PLACE = re.compile(r'<span id="([^"]+)"></span>')
OF_A_HEADING = re.compile(rf"^{PLACE.pattern}\n\n(?=#+ +(.+)$)", re.M)
# The order of the pages around the chapters.
PAGES = {
    "Reference": ["glossary", "api", "bibliography"],
    "About this book": ["evidence", "teaching", "accessibility", "status", "citing"],
}
# What only the built book has, so that the landing page in the repository cannot link it.
BUILT = """
[Evidence](book/evidence.md): every claim of the chapters, with what was measured for this book, and the way to its
cell · [Status](book/status.md): what was executed, with which versions, and how long it took.
"""
TREE = "\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def assemble(chapters: Sequence[Executed], root: Path = ROOT, build: Path = BUILD) -> Path:
    """Write the sources of all pages, and what there is to download.

    Args:
        chapters: executed, in their order.
        root: the repository.
        build: where the folders `source` and `extra` are made anew; the latter's content is copied into the site.

    Returns:
        The folder of the sources.
    """
    source, extra = build / "source", build / "extra"
    for folder in (source, extra):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (source / "notebooks", source / "book", extra / "downloads/notebooks", extra / "downloads/student"):
        folder.mkdir(parents=True)
    for chapter in chapters:
        file = chapter.path.name
        nbformat.write(page(chapter), source / "notebooks" / file)
        shutil.copy(chapter.path, extra / "downloads/notebooks" / file)
        solved = nbformat.read(chapter.path, as_version=4)
        nbformat.write(student_copy(solved, file), extra / "downloads/student" / file)
    for path in (root / "book").glob("*.md"):
        (source / "book" / path.name).write_text(places(path.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copy(root / "book" / "references.bib", source / "book")
    shutil.copy(root / "README.png", source)
    bibtex = (root / "book" / "references.bib").read_text(encoding="utf-8")
    (source / "book" / "evidence.md").write_text(evidence(chapters, bibtex), encoding="utf-8")
    (source / "book" / "status.md").write_text(status(chapters), encoding="utf-8")
    (source / "book" / "index.md").rename(source / "index.md")
    opening = (source / "index.md").read_text(encoding="utf-8")
    (source / "index.md").write_text(at_the_top(opening) + BUILT + contents(chapters), encoding="utf-8")
    return source


def at_the_top(markdown: str, folder: str = "book") -> str:
    """A page moved out of its folder to the top, its links adjusted."""
    moved = lambda target: posixpath.normpath(posixpath.join(folder, target))  # noqa: E731
    return LINK.sub(lambda match: match[1] + moved(match[2]) + match[3], markdown)


def places(markdown: str) -> str:
    """A page whose places to link to are those of MyST, which warns of a link to any other."""
    explicit = lambda match: "" if github_slugify(match[2]) == match[1] else f"({match[1]})=\n"  # noqa: E731
    return PLACE.sub(r"[]{#\1}", OF_A_HEADING.sub(explicit, markdown))


def contents(chapters: Sequence[Executed]) -> str:
    """The book's table of contents, as Sphinx wants it."""
    trees = {"Chapters": [f"notebooks/{chapter.name}" for chapter in chapters]}
    trees |= {caption: [f"book/{name}" for name in names] for caption, names in PAGES.items()}
    return "".join(TREE.format(caption=caption, entries="\n".join(names)) for caption, names in trees.items())
