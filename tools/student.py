"""Student copies of the chapters: solutions out, hints folded, and nobody's work ever overwritten.

    python run.py student               make them in student/, or renew those that nobody has touched
    python run.py student --fresh 01    begin chapter 01 again; the old copy stays beside it, with a number

A copy carries a fingerprint of its cells as they were generated. While that fits, the copy follows its chapter;
once somebody has written in it, or run it, it is theirs. It also carries a hash of what it was made from, so that
nothing is generated, and PyTorch not imported, where nothing has changed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import itertools
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from tools.chapters import choose
from tools.process import ROOT
from tools.refresh import write

if TYPE_CHECKING:
    from helpers.lesson import Exercise

STUDENT = ROOT / "student"
OPTIONS = {"--fresh", "--quiet"}
IMPORT = re.compile(r"^from (helpers\.chapters\.\w+\.exercises) import exercises$", re.M)
CHECK = re.compile(r"""exercises\[["'](E\d+\.\d+)["']\]\.check\(""")
WELCOME = (
    "*This is your working copy: write in it, run it, save it; nothing overwrites your work. "
    "[The solved chapter](../notebooks/{name}) has all results, and its solutions folded.*"
)


def student_copy(notebook: NotebookNode, name: str) -> NotebookNode:
    """A solved chapter as a student begins it; the chapter itself stays as it is.

    Args:
        notebook: the chapter, with solution cells that hold their stub in ``metadata.helpers.stub``.
        name: its file name; other chapters are linked by theirs, and are student copies too.

    Returns:
        A notebook without outputs, stubs in place of the solutions, and above each of them its hints, folded.
    """
    copy = nbformat.from_dict(notebook)
    exercises, checked = exercises_of(copy), dict(answers(copy))
    cells = [new_markdown_cell(WELCOME.format(name=name), id="working-copy")]
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if cell.id in checked:
            exercise = exercises[checked[cell.id]]
            cells.append(new_markdown_cell(exercise.folded_hints(), id=f"hints-{exercise.id.replace('.', '-')}"))
            cell.source, cell.metadata = cell.metadata["helpers"]["stub"], NotebookNode()
        cells.append(cell)
    copy.cells = cells
    copy.metadata["helpers"] = {"generated": fingerprint(copy)}
    return copy


def exercises_of(notebook: NotebookNode) -> Mapping[str, Exercise]:
    """The exercises that a chapter imports, by their ids; none if it imports none."""
    module = _module(notebook)
    return importlib.import_module(module).exercises if module else {}


def _module(notebook: NotebookNode) -> str | None:
    found = (IMPORT.search(cell.source) for cell in notebook.cells if cell.cell_type == "code")
    return next((match[1] for match in found if match), None)


def answers(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """The id of every solution cell, and the id of the exercise that the check behind it is about."""
    solution = None
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "solution" in tags:
            solution = cell.id
        elif "check" in tags and solution is not None:
            yield solution, CHECK.search(cell.source)[1]
            solution = None


def fingerprint(notebook: NotebookNode) -> str:
    """A hash of what a student changes by working: the text of cells, their order, and that they were run.

    Metadata are no part of it: JupyterLab writes some of its own when it saves.
    """
    kept = ("cell_type", "source", "attachments", "outputs", "execution_count")
    cells = [[cell.get(key) for key in kept] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()


def origin(notebook: NotebookNode) -> str:
    """A hash of what a copy is made from: the chapter without its outputs, its exercises, and this file."""
    cells = [[cell.id, cell.cell_type, cell.source, cell.metadata] for cell in notebook.cells]
    digest = hashlib.sha256(json.dumps(cells, sort_keys=True).encode())
    module = _module(notebook)
    files = [Path(__file__), *([Path(importlib.util.find_spec(module).origin)] if module else [])]
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def renew(chapter: Path, folder: Path = STUDENT, *, fresh: bool = False) -> tuple[str, bool]:
    """Make or renew the copy of one chapter.

    Args:
        chapter: the solved notebook.
        folder: where the copies are.
        fresh: whether to begin again where a student has worked; the work is kept beside, under a new name.

    Returns:
        What was done, in a few words, and whether that is news: not so where nothing had to be done.
    """
    notebook, target = nbformat.read(chapter, as_version=4), folder / chapter.name
    made_from = origin(notebook)
    exists, (untouched, current) = target.exists(), _state(target, made_from)
    if untouched and current:
        return "as it was", False
    if exists and not untouched and not fresh:
        though = "" if current else ", though there is a newer version"
        again = f'make student ARGS="--fresh {chapter.name[:2]}"'
        return f"your work, left as it is{though}; for a fresh copy beside it: {again}", not current
    copy = student_copy(notebook, chapter.name)
    copy.metadata["helpers"]["from"] = made_from
    folder.mkdir(exist_ok=True)
    kept = _set_aside(target) if exists and not untouched else None
    write((nbformat.writes(copy) + "\n").encode(), target)
    if kept:
        return f"a fresh copy; yours is now {kept.name}", True
    return "renewed, as its chapter has changed" if exists else "made", True


def _state(path: Path, made_from: str) -> tuple[bool, bool]:
    """Whether a copy is as it was generated, and whether from the chapter as it is now."""
    try:
        notebook = nbformat.read(path, as_version=4)
        marks = notebook.metadata["helpers"]
        return fingerprint(notebook) == marks["generated"], marks["from"] == made_from
    except Exception:  # cut short, not a notebook, not ours: whatever it is, somebody may miss it
        return False, False


def _set_aside(path: Path) -> Path:
    """Rename a file to the first free number."""
    names = (path.with_suffix(f".{number}{path.suffix}") for number in itertools.count(1))
    return path.rename(next(name for name in names if not name.exists()))


def main(arguments: Sequence[str]) -> int:
    """Renew the copies of the chapters chosen; ``--quiet`` leaves out what is no news.

    Returns:
        The exit status: 2 for a wrong option or name.
    """
    options = {argument for argument in arguments if argument.startswith("-")}
    names = [argument for argument in arguments if argument not in options]
    try:
        if unknown := options - OPTIONS:
            raise ValueError(f"there is no option {', '.join(sorted(unknown))}; there is --fresh")
        if "--fresh" in options and not names:
            raise ValueError("--fresh wants to know which chapters to begin again: --fresh 01")
        chapters = choose(names)
    except ValueError as error:
        print(f"student: {error}", file=sys.stderr)
        return 2
    for chapter in chapters:
        done, news = renew(chapter, fresh="--fresh" in options)
        if news or "--quiet" not in options:
            print(f"student/{chapter.name}: {done}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
