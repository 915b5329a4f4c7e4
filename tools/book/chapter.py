"""What a chapter becomes on its page: solutions and hints fold, pictures keep their words, claims can be linked."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from tools.student import answers, exercises_of

if TYPE_CHECKING:
    from tools.book.execution import Executed

FOLDED = {"setup": "The set-up of this chapter", "solution": "A solution"}


def page(chapter: Executed) -> NotebookNode:
    """A chapter, executed, as the source of its page; the notebook in it stays as it is."""
    copy = nbformat.from_dict(chapter.notebook)
    exercises, checked = exercises_of(copy), dict(answers(copy))
    first, *others = copy.cells
    cells = [first, new_markdown_cell(_files(chapter), id="files")]
    for cell in others:
        if cell.cell_type == "code":
            if ids := list(claims_made(cell.source)):
                cells.append(new_markdown_cell(_targets(ids), id=f"target-{anchor(ids[0])}"))
            if cell.id in checked:
                exercise = exercises[checked[cell.id]]
                cells.append(new_markdown_cell(exercise.folded_hints(), id=f"hints-{anchor(exercise.id)}"))
            _fold(cell)
            _keep_words(cell)
        cells.append(cell)
    copy.cells = cells
    return copy


def anchor(id: str) -> str:
    """The id of a claim or an exercise as it stands in an address: "1.4" as 1-4."""
    return id.replace(".", "-")


def claims_made(source: str) -> Iterator[str]:
    """The ids of the claims that a cell makes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "claim":
            yield ast.literal_eval(node.args[0])


def _files(chapter: Executed) -> str:
    name = chapter.name
    links = [("notebooks", "the notebook"), ("student", "a copy to work in")]
    told = " · ".join(f'<a href="../downloads/{folder}/{name}.ipynb" download>{words}</a>' for folder, words in links)
    if not chapter.seconds:
        return f'<p class="chapter-files">Take with you: {told}.</p>'
    ran = f"It ran in {sum(chapter.seconds.values()):.0f} seconds"
    drew = f"; drawing its explorers for this page took {chapter.drawing:.0f} more" if chapter.drawing else ""
    return f'<p class="chapter-files">Take with you: {told}. <span>{ran}{drew}.</span></p>'


def _targets(ids: list[str]) -> str:
    """Places that the page of evidence leads to, in front of the cell."""
    return "".join(f'<div class="claim-target" id="claim-{anchor(id)}"></div>' for id in ids)


def _fold(cell: NotebookNode) -> None:
    """Tell MyST-NB to fold a cell's code; what it prints stays, as a solution's check does."""
    tags = cell.metadata.get("tags", [])
    for tag, prompt in FOLDED.items():
        if tag in tags:
            cell.metadata["tags"] = [*tags, "hide-cell" if cell.outputs else "hide-input"]
            cell.metadata.setdefault("mystnb", {}).update(code_prompt_show=prompt, code_prompt_hide=prompt)


def _keep_words(cell: NotebookNode) -> None:
    """Hand a picture's alt text on: MyST-NB looks for it in the cell's metadata, not in the output's."""
    for output in cell.outputs:
        alt = output.get("metadata", {}).get("image/png", {}).get("alt")
        if alt and "text/html" not in output.data:
            cell.metadata.setdefault("mystnb", {}).setdefault("image", {})["alt"] = alt
